//! What to change: a pure function of what is there and what is given, but for reading the indices.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fork_daemon::Store;
use fork_fs::Digested;
use fork_package::apt::{ALL, Entry, Index, IndexRef, Previous, Release, format_date};
use sha2::{Digest, Sha256};

use super::PublishError;
use super::error::PublishedOtherwise;
use super::site::{Site, State};

/// A package to publish.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) entry: Entry,
    pub(super) path: PathBuf,
    pub(super) digest: Digested,
}

/// What the command line says.
#[derive(Clone, Debug)]
pub(super) struct Settings<'a> {
    pub(super) suite: &'a str,
    pub(super) component: &'a str,
    pub(super) architectures: &'a [String],
    pub(super) origin: Option<&'a str>,
    pub(super) label: Option<&'a str>,
    pub(super) valid_seconds: Option<u64>,
    pub(super) date: u64,
    pub(super) keep: u32,
    pub(super) renew: bool,
}

/// The next state of a suite.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) text: String,
    pub(super) date: u64,
    /// Content of every index by its path.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Old index files that are no longer kept: path and digest.
    pub(super) dropped: Vec<Previous>,
}

/// What to change.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The packages, and whether each is new.
    pub(super) packages: Vec<(Given, bool)>,
    pub(super) state: Option<State>,
    /// `None` when the suite stays as it is.
    pub(super) next: Option<Next>,
}

impl Plan {
    /// Reads the indices of the present state and works out the next one.
    pub(super) fn make(
        settings: &Settings<'_>,
        state: Option<State>,
        given: Vec<Given>,
        store: &Store,
    ) -> Result<Self, PublishError> {
        let site = Site {
            store,
            suite: settings.suite,
        };
        let mut components = match &state {
            Some(state) => site.read_components(&state.release)?,
            None => BTreeMap::new(),
        };
        let mut packages: Vec<(Given, bool)> = Vec::new();
        for given in given {
            let same = |(other, _): &&(Given, bool)| other.entry.is_same_package(&given.entry);
            if let Some((first, _)) = packages.iter().find(same) {
                if first.digest != given.digest {
                    return Err(PublishError::Twice {
                        first: first.path.clone(),
                        second: given.path,
                    });
                }
                continue;
            }
            let is_new = !is_published(&components, &given, settings.component)?;
            packages.push((given, is_new));
        }
        let component = components.entry(settings.component.to_owned()).or_default();
        for (given, _) in &packages {
            component.add(given.entry.clone());
        }
        let next = next(settings, state.as_ref(), &components)?;
        Ok(Self {
            packages,
            state,
            next,
        })
    }
}

/// Whether the package is in the component with these bytes; an error when it is anywhere with others.
fn is_published(
    components: &BTreeMap<String, Index>,
    given: &Given,
    component: &str,
) -> Result<bool, PublishError> {
    let mut found = false;
    for (name, index) in components {
        for entry in index.entries() {
            if !entry.is_same_package(&given.entry) {
                continue;
            }
            if entry.sha256 != given.entry.sha256 {
                let error = PublishedOtherwise {
                    package: entry.package.clone(),
                    version: entry.version.as_str().to_owned(),
                    architecture: entry.architecture.clone(),
                    published: entry.sha256.clone(),
                    path: given.path.clone(),
                    given: given.entry.sha256.clone(),
                };
                return Err(PublishError::Published(Box::new(error)));
            }
            found |= name == component;
        }
    }
    Ok(found)
}

/// The next state, unless it would say the same as the present one.
fn next(
    settings: &Settings<'_>,
    state: Option<&State>,
    components: &BTreeMap<String, Index>,
) -> Result<Option<Next>, PublishError> {
    let now = state.map(|state| &state.release);
    let architectures = architectures(settings, now, components);
    let mut files = BTreeMap::new();
    for (component, packages) in components {
        for architecture in &architectures {
            let mut index = Index::default();
            let fitting = |entry: &&Entry| entry.is_for(architecture);
            for entry in packages.entries().iter().filter(fitting) {
                index.add(entry.clone());
            }
            let path = format!("{component}/binary-{architecture}/Packages");
            let gzip = index.to_gzip().map_err(|source| {
                fork_fs::FsError::io(fork_fs::Operation::Write, path.as_ref(), source)
            })?;
            files.insert(format!("{path}.gz"), gzip);
            files.insert(path, index.to_text().into_bytes());
        }
    }
    let indices: BTreeMap<String, IndexRef> = files
        .iter()
        .map(|(path, bytes)| (path.clone(), reference(bytes)))
        .collect();
    let span = now.and_then(|now| now.valid_until?.checked_sub(now.date));
    let valid_seconds = settings.valid_seconds.or(span);
    let owned = |given: Option<&str>, old: Option<&String>| {
        given.map(ToOwned::to_owned).or_else(|| old.cloned())
    };
    let (previous, dropped) = previous(now, &indices, settings.keep);
    let release = Release {
        origin: owned(settings.origin, now.and_then(|now| now.origin.as_ref())),
        label: owned(settings.label, now.and_then(|now| now.label.as_ref())),
        suite: settings.suite.to_owned(),
        codename: now.map_or_else(|| settings.suite.to_owned(), |now| now.codename.clone()),
        date: settings.date,
        valid_until: valid_seconds.map(|seconds| settings.date.saturating_add(seconds)),
        architectures,
        components: components.keys().cloned().collect(),
        indices,
        previous,
    };
    if let Some(now) = now {
        let as_dated = |release: &Release| Release {
            date: 0,
            valid_until: None,
            previous: Vec::new(),
            ..release.clone()
        };
        let is_same = as_dated(now) == as_dated(&release) && span == valid_seconds;
        if is_same && !settings.renew {
            return Ok(None);
        }
        if settings.date < now.date {
            let date = |seconds| format_date(seconds).map_err(PublishError::Internal);
            return Err(PublishError::Date {
                published: date(now.date)?,
                date: date(settings.date)?,
            });
        }
    }
    Ok(Some(Next {
        text: release.to_text().map_err(PublishError::Internal)?,
        date: settings.date,
        files,
        dropped,
    }))
}

/// How a Release file names these bytes.
pub(super) fn reference(bytes: &[u8]) -> IndexRef {
    IndexRef {
        sha256: hex::encode(Sha256::digest(bytes)),
        bytes: bytes.len() as u64,
    }
}

fn architectures(
    settings: &Settings<'_>,
    now: Option<&Release>,
    components: &BTreeMap<String, Index>,
) -> Vec<String> {
    let of_packages = components
        .values()
        .flat_map(Index::entries)
        .map(|entry| &entry.architecture)
        .filter(|name| *name != ALL);
    let of_suite = now.iter().flat_map(|now| &now.architectures);
    let mut names: Vec<String> = settings
        .architectures
        .iter()
        .chain(of_packages)
        .chain(of_suite)
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Which index files of earlier states are kept, and which no longer. An index only ever grows, so one
/// that is dropped is never needed again.
fn previous(
    now: Option<&Release>,
    indices: &BTreeMap<String, IndexRef>,
    keep: u32,
) -> (Vec<Previous>, Vec<Previous>) {
    let Some(now) = now else {
        return (Vec::new(), Vec::new());
    };
    if now.indices == *indices {
        return (now.previous.clone(), Vec::new());
    }
    let replaced = now.indices.iter().map(|(path, index)| Previous {
        age: 1,
        path: path.clone(),
        sha256: index.sha256.clone(),
    });
    let older = now.previous.iter().map(|one| Previous {
        age: one.age.saturating_add(1),
        ..one.clone()
    });
    let is_current = |one: &Previous| {
        let index = indices.get(&one.path);
        index.is_some_and(|index| index.sha256 == one.sha256)
    };
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    for one in replaced.chain(older).filter(|one| !is_current(one)) {
        if one.age <= keep {
            kept.push(one);
        } else {
            dropped.push(one);
        }
    }
    kept.sort();
    (kept, dropped)
}
