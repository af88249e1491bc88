//! The files of the packages: what they hold, and what the archive says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fork_package::DataEntryKind;
use fork_store::{LedgerComparison, LedgerSides, compare_ledgers, tarball_name};
use fork_types::{Era, Role};
use rayon::prelude::*;
use serde_json::Value;

use crate::diff::side::{FileEntry, Side};
use crate::diff::{Found, Part, compare, json};
use crate::error::DebError;

/// Compares all files; ledgers are unpacked below `scratch`.
pub(super) fn compare(
    found: &mut Found,
    left: &Side,
    right: &Side,
    era: Era,
    scratch: &Path,
) -> Result<(), DebError> {
    let pairs = ledger_pairs(left, right, era);
    ledgers(found, left, right, &pairs, era, scratch)?;
    let of_ledgers: BTreeSet<&str> = pairs
        .values()
        .flat_map(|pair| [pair.0.as_str(), pair.1.as_str()])
        .collect();
    let paths: BTreeSet<&String> = left.entries.keys().chain(right.entries.keys()).collect();
    let mut attributes = Attributes::default();
    for path in paths {
        match (left.entries.get(path), right.entries.get(path)) {
            (Some(here), Some(there)) => {
                attributes.compare(path, here, there);
                if !of_ledgers.contains(path.as_str()) {
                    content(found, path, (left, here), (right, there));
                }
            }
            _ if of_ledgers.contains(path.as_str()) => {}
            (here, there) => {
                let shown = |one: Option<&FileEntry>| one.map(described);
                let (here, there) = (shown(here), shown(there));
                let what = format!("`/{path}`");
                let (here, there) = (here.as_deref(), there.as_deref());
                found.add(Part::File, what, here, there, Vec::new());
            }
        }
    }
    attributes.report(found);
    let common = |side: &Side, other: &Side| -> Vec<String> {
        let order = side.order.iter();
        order
            .filter(|path| other.entries.contains_key(*path))
            .cloned()
            .collect()
    };
    if common(left, right) != common(right, left) {
        let what = "order of the files";
        found.add(Part::Attributes, what, None, None, Vec::new());
    }
    if left.payload_sha256 != right.payload_sha256 && found.differences.is_empty() {
        let what = "headers or padding of the data archive that name nothing a package has";
        found.add(Part::Attributes, what, None, None, Vec::new());
    }
    Ok(())
}

fn described(file: &FileEntry) -> String {
    match &file.entry.kind {
        DataEntryKind::File { bytes } => format!("{bytes} bytes, SHA-256 {}", file.sha256),
        kind => kind_name(kind),
    }
}

fn kind_name(kind: &DataEntryKind) -> String {
    match kind {
        DataEntryKind::File { .. } => "a file".to_owned(),
        DataEntryKind::Directory => "a directory".to_owned(),
        DataEntryKind::Symlink { target } => format!("a symbolic link to `{target}`"),
        DataEntryKind::HardLink { target } => format!("another name of `/{target}`"),
        DataEntryKind::Special => "a device or pipe".to_owned(),
    }
}

/// Compares what a path holds.
fn content(found: &mut Found, path: &str, left: (&Side, &FileEntry), right: (&Side, &FileEntry)) {
    let what = format!("`/{path}`");
    let ((left, here), (right, there)) = (left, right);
    let (one, other) = (kind_name(&here.entry.kind), kind_name(&there.entry.kind));
    if one != other {
        found.value(Part::File, what, &one, &other);
        return;
    }
    if here.sha256 == there.sha256 {
        return;
    }
    let (Some(one), Some(other)) = (left.kept.get(path), right.kept.get(path)) else {
        found.value(Part::File, what, &described(here), &described(there));
        return;
    };
    let values: [Option<Value>; 2] = [one, other].map(|bytes| serde_json::from_slice(bytes).ok());
    match values {
        [Some(here), Some(there)] if path.ends_with(".json") => {
            if here == there {
                let what = format!("{what}: the same values, spelled otherwise");
                compare::text(found, Part::Packing, &what, Some(one), Some(other));
            }
            json::compare(found, &format!("/{path}"), "", &here, &there);
        }
        _ => compare::text(found, Part::File, &what, Some(one), Some(other)),
    }
}

/// Tarballs to be compared, by what they are of.
type Pairs = BTreeMap<String, (String, String)>;

/// The tarballs of the roles on both sides. Their names follow from their roots, so a ledger that
/// differs has another name, and only the configs say which ones belong together.
fn ledger_pairs(left: &Side, right: &Side, era: Era) -> Pairs {
    let mut pairs = Pairs::new();
    for role in Role::ALL {
        let (here, there) = (tarball_of(left, role, era), tarball_of(right, role, era));
        if let (Some(here), Some(there)) = (here, there) {
            let is_known = pairs
                .values()
                .any(|pair| *pair == (here.clone(), there.clone()));
            if !is_known {
                pairs.insert(format!("{role} ledger"), (here, there));
            }
        }
    }
    // What no config names, under the same name.
    for path in left.entries.keys() {
        let is_paired = pairs
            .values()
            .any(|pair| pair.0 == *path || pair.1 == *path);
        if is_tarball(path) && !is_paired && right.entries.contains_key(path) {
            pairs.insert(format!("`/{path}`"), (path.clone(), path.clone()));
        }
    }
    pairs
}

fn is_tarball(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".tar.gz")
        && Role::ALL
            .iter()
            .any(|role| name.starts_with(role.tarball_prefix()))
}

/// The path of the tarball whose root the config names for a role.
fn tarball_of(side: &Side, role: Role, era: Era) -> Option<String> {
    let pointer = match role {
        Role::Genesis => "/ledger/hash",
        Role::Staking => "/epoch_data/staking/hash",
        Role::Next => "/epoch_data/next/hash",
    };
    let configs = side
        .kept
        .iter()
        .filter(|(path, _)| path.ends_with(".json") && !path.ends_with(".old.json"));
    let roots = configs.filter_map(|(_, bytes)| {
        let config: Value = serde_json::from_slice(bytes).ok()?;
        config.pointer(pointer)?.as_str()?.parse().ok()
    });
    for root in roots {
        let name = tarball_name(role.tarball_prefix(), &root, era);
        let mut paths = side.entries.keys();
        if let Some(path) = paths.find(|path| path.rsplit('/').next() == Some(name.as_str())) {
            return Some(path.clone());
        }
    }
    // A network whose tarballs are named otherwise: the only one of its kind.
    let mut of_kind = side.entries.keys().filter(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        role == Role::Genesis && is_tarball(path) && name.starts_with(role.tarball_prefix())
    });
    match (of_kind.next(), of_kind.next()) {
        (Some(path), None) => Some(path.clone()),
        _ => None,
    }
}

fn ledgers(
    found: &mut Found,
    left: &Side,
    right: &Side,
    pairs: &Pairs,
    era: Era,
    scratch: &Path,
) -> Result<(), DebError> {
    let digest = |side: &Side, path: &str| side.entries.get(path).map(|one| one.sha256.clone());
    let changed: BTreeMap<&String, &(String, String)> = pairs
        .iter()
        .filter(|(_, (here, there))| digest(left, here) != digest(right, there))
        .collect();
    let here: BTreeSet<&str> = changed.values().map(|pair| pair.0.as_str()).collect();
    let there: BTreeSet<&str> = changed.values().map(|pair| pair.1.as_str()).collect();
    let (here, there) = rayon::join(
        || left.fetch(&here, scratch),
        || right.fetch(&there, scratch),
    );
    let (here, there) = (here?, there?);
    let kept_max = found.max;
    let compared: Vec<_> = changed
        .par_iter()
        .map(|(what, (one, other))| {
            let files = (here.get(one), there.get(other));
            let (Some(first), Some(second)) = files else {
                return (*what, one, other, Err("it is too large".to_owned()));
            };
            let sides = LedgerSides {
                left: (first.path(), era),
                right: (second.path(), era),
                depth: era.depth(),
                kept_max,
                scratch,
            };
            let result = compare_ledgers(&sides).map_err(|error| error_text(&error));
            (*what, one, other, result)
        })
        .collect();
    for (what, one, other, result) in compared {
        ledger(found, what, (one, other), result);
    }
    // The same ledger in another place.
    for (what, (one, other)) in pairs {
        if one != other && !changed.contains_key(what) {
            let what = format!("name of the {what}, of the same bytes");
            found.value(Part::File, what, one, other);
        }
    }
    Ok(())
}

fn ledger(
    found: &mut Found,
    what: &str,
    paths: (&str, &str),
    result: Result<LedgerComparison, String>,
) {
    let (left, right) = (Some(paths.0), Some(paths.1));
    match result {
        Err(error) => {
            let detail = vec![format!("what they hold was not compared: {error}")];
            found.add(Part::Ledger, what, left, right, detail);
        }
        Ok(comparison) if comparison.content.is_equal() => {
            let what = format!(
                "{what}: the same {} entries, packed otherwise",
                comparison.content.left_entries
            );
            found.add(Part::Packing, what, left, right, comparison.packing);
        }
        Ok(LedgerComparison { mut content, .. }) => {
            content.differences.sort_by_key(|one| one.kind);
            let mut detail: Vec<String> = Vec::new();
            for one in content.differences.iter().take(found.max) {
                detail.push(one.to_string());
                detail.extend(one.fields.iter().skip(1).map(|field| format!("  {field}")));
            }
            detail.push(format!(
                "entries: {} changed, {} only in A, {} only in B",
                content.changed, content.only_left, content.only_right
            ));
            found.add(Part::Ledger, what, left, right, detail);
        }
    }
}

fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Attributes that differ, in groups: another time is one difference, not one for each file.
#[derive(Default)]
struct Attributes<'a>(BTreeMap<(&'static str, String, String), Vec<&'a str>>);

impl<'a> Attributes<'a> {
    fn compare(&mut self, path: &'a str, left: &FileEntry, right: &FileEntry) {
        let (here, there) = (&left.entry, &right.entry);
        for (name, one, other) in [
            (
                "mode",
                format!("{:04o}", here.mode),
                format!("{:04o}", there.mode),
            ),
            ("owner", here.uid.to_string(), there.uid.to_string()),
            ("group", here.gid.to_string(), there.gid.to_string()),
            ("time", here.mtime.to_string(), there.mtime.to_string()),
        ] {
            if one != other {
                self.0.entry((name, one, other)).or_default().push(path);
            }
        }
    }

    fn report(self, found: &mut Found) {
        let max = found.max;
        for ((name, left, right), paths) in self.0 {
            let what = match paths.as_slice() {
                [path] => format!("{name} of `/{path}`"),
                paths => format!("{name} of {} files and directories", paths.len()),
            };
            let detail = match paths.len() {
                1 => Vec::new(),
                _ => paths
                    .iter()
                    .take(max)
                    .map(|path| format!("/{path}"))
                    .collect(),
            };
            found.add(Part::Attributes, what, Some(&left), Some(&right), detail);
        }
    }
}
