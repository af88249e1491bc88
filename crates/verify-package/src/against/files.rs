//! What is installed beside config and ledgers.

use std::collections::{BTreeMap, BTreeSet};

use fork_types::Role;

use super::{Found, Side};
use crate::facts::is_commit_config;
use crate::report::{Effect, Part};
use crate::subject::{DATA_DIRECTORY, Subject, SubjectKind, is_tarball_of};

/// Differences that are kept.
const KEPT_MAX: usize = 20;
/// Fields that are dpkg's own, or that follow from the files.
const NOT_OF_THE_PACKAGE: [&str; 4] = ["Status", "Conffiles", "Config-Version", "Installed-Size"];

/// Compares whatever both forms of a package have.
pub(super) fn compare(found: &mut Found, here: &Side<'_>, there: &Side<'_>, network: &str) {
    let (left, right) = (here.subject, there.subject);
    let is_plain = |subject: &Subject| subject.kind == SubjectKind::Automode;
    if is_plain(left) || is_plain(right) {
        found.gap(
            Part::Files,
            "old config, control data and other files: a daemon's own directory has none",
        );
        return;
    }
    old_config(found, left, right, network);
    control(found, left, right);
    commit_configs(found, left, right);
    others(found, left, right, network);
    if left.kind == SubjectKind::Deb && right.kind == SubjectKind::Deb {
        modes(found, left, right);
    }
}

fn digest<'a>(subject: &'a Subject, path: &str) -> &'a str {
    let digests = subject.digests.get(path);
    digests.map_or("absent", |one| one.sha256.as_str())
}

fn old_config(found: &mut Found, left: &Subject, right: &Subject, network: &str) {
    let path = format!("{DATA_DIRECTORY}/{network}.old.json");
    let (here, there) = (digest(left, &path), digest(right, &path));
    if here != there {
        found.differs(
            "old config",
            Part::Files,
            (here, there),
            Effect::Other,
            "the old chain's config; no daemon of the new chain reads it",
        );
    }
}

fn control(found: &mut Found, left: &Subject, right: &Subject) {
    let (Some(here), Some(there)) = (&left.control, &right.control) else {
        found.gap(Part::Files, "control data: one of the packages has none");
        return;
    };
    let mut names: Vec<&str> = here.fields().map(|(name, _)| name).collect();
    let has = |name: &str| here.get(name).is_some();
    names.extend(
        there
            .fields()
            .map(|(name, _)| name)
            .filter(|name| !has(name)),
    );
    let differing = names
        .into_iter()
        .filter(|name| !NOT_OF_THE_PACKAGE.contains(name) && here.get(name) != there.get(name));
    for name in differing.take(KEPT_MAX) {
        found.differs(
            format!("control, {}", fork_worker::text::clipped(name, 100)),
            Part::Files,
            (
                here.get(name).unwrap_or("absent"),
                there.get(name).unwrap_or("absent"),
            ),
            Effect::Other,
            "what dpkg is told about the package",
        );
    }
}

fn commit_configs(found: &mut Found, left: &Subject, right: &Subject) {
    let names = |subject: &Subject| {
        let files = subject.files_in(DATA_DIRECTORY);
        let names: Vec<&str> = files
            .map(|(_, name, _)| name)
            .filter(|name| is_commit_config(name))
            .collect();
        names.join(", ")
    };
    let (here, there) = (names(left), names(right));
    if here != there {
        found.differs(
            "config for a commit",
            Part::Files,
            (&here, &there),
            Effect::Other,
            "another build of the daemon loads the config by itself",
        );
    }
}

/// Files that were not compared under another name.
fn others(found: &mut Found, left: &Subject, right: &Subject, network: &str) {
    let is_other = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_config = name == format!("{network}.json") || name == format!("{network}.old.json");
        !(is_config
            || is_commit_config(name)
            || is_tarball_of(name, Role::Genesis)
            || is_tarball_of(name, Role::Staking))
    };
    let paths: BTreeSet<&String> = left.digests.keys().chain(right.digests.keys()).collect();
    let differing = paths
        .into_iter()
        .filter(|path| is_other(path) && digest(left, path) != digest(right, path));
    for path in differing.take(KEPT_MAX) {
        found.differs(
            format!("file /{}", path.escape_debug()),
            Part::Files,
            (digest(left, path), digest(right, path)),
            Effect::Other,
            "SHA-256 of an installed file",
        );
    }
}

fn modes(found: &mut Found, left: &Subject, right: &Subject) {
    let modes = |subject: &Subject| -> BTreeMap<String, String> {
        let all = subject.entries.iter();
        all.map(|(path, entry)| {
            let mode = format!("{:04o} {}:{}", entry.mode, entry.uid, entry.gid);
            (path.clone(), mode)
        })
        .collect()
    };
    let (here, there) = (modes(left), modes(right));
    let differing = here
        .iter()
        .filter_map(|(path, mode)| Some((path, mode, there.get(path)?)))
        .filter(|(_, one, other)| one != other);
    for (path, one, other) in differing.take(KEPT_MAX) {
        found.differs(
            format!("mode of /{}", path.escape_debug()),
            Part::Files,
            (one, other),
            Effect::Other,
            "permissions and owner of an installed file",
        );
    }
}
