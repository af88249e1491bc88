//! The package as such: files, modes, checksums, control data.

use std::collections::{BTreeMap, BTreeSet};

use fork_package::{PackageVersion, installed_size_kib};
use fork_types::Role;

use super::{Check, Finding};
use crate::converted::Converted;
use crate::facts::{Facts, is_commit_config};
use crate::subject::{DATA_DIRECTORY, Entry, EntryKind, Subject, SubjectKind, UNIT, is_tarball_of};

pub(super) static CHECKS: [Check; 8] = [
    Check {
        id: "package.readable",
        proves: "the package can be read to its end, within all limits",
        run: readable,
    },
    Check {
        id: "package.files",
        proves: "it holds exactly the files of a config package, each once, and nothing else (or what the daemon's package has, when converted)",
        run: files,
    },
    Check {
        id: "package.modes",
        proves: "files are 0644, directories 0755, and all belong to root (or to who unpacked them)",
        run: modes,
    },
    Check {
        id: "package.md5sums",
        proves: "the checksums that dpkg keeps are those of exactly these files",
        run: md5sums,
    },
    Check {
        id: "package.control",
        proves: "name, version, architecture and installed size are what they should be, and nothing would be run (or the daemon's scripts, when converted)",
        run: control,
    },
    Check {
        id: "config.readable",
        proves: "the config that names the ledgers is JSON",
        run: config_readable,
    },
    Check {
        id: "config.copies",
        proves: "the config for the daemon's commit and the network's are the same bytes",
        run: copies,
    },
    Check {
        id: "config.old-config",
        proves: "the packaged config of the old chain is the one given, byte for byte",
        run: old_config,
    },
];

/// The package, or why the check cannot run.
pub(super) fn subject(facts: &Facts) -> Result<&Subject, Finding> {
    facts
        .subject
        .as_ref()
        .map_err(|_| Finding::not_run("the package cannot be read"))
}

fn readable(facts: &Facts) -> Finding {
    match &facts.subject {
        Ok(subject) => Finding::passed(format!("{} paths", subject.entries.len())),
        Err(problem) => Finding::failed("a readable package", problem, facts.kind.name()),
    }
}

/// The comparison with the daemon's package that it was converted from, when one was named and can be
/// read; that it cannot is a finding of `package.files`.
fn converted(facts: &Facts) -> Option<&Converted> {
    facts.converted.as_ref().and_then(|one| one.as_ref().ok())
}

/// What a path of a package must be.
fn wanted(subject: &Subject, network: &str, path: &str, entry: &Entry) -> Result<(), String> {
    let is_directory = matches!(entry.kind, EntryKind::Directory);
    let parents: &[&str] = match subject.kind {
        SubjectKind::Automode => &["genesis"],
        _ => &[
            "",
            "var",
            "var/lib",
            DATA_DIRECTORY,
            "usr",
            "usr/lib",
            "usr/lib/systemd",
            "usr/lib/systemd/user",
        ],
    };
    if parents.contains(&path) {
        return if is_directory {
            Ok(())
        } else {
            Err(format!("`/{path}` is not a directory"))
        };
    }
    if let EntryKind::Other(what) = &entry.kind {
        return Err(format!("`/{path}` is {what}"));
    }
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_tarball = is_tarball_of(name, Role::Genesis) || is_tarball_of(name, Role::Staking);
    let is_known = match subject.kind {
        SubjectKind::Automode => {
            matches!(path, "daemon.json" | "activated") || (directory == "genesis" && is_tarball)
        }
        _ => {
            path == UNIT
                || (directory == DATA_DIRECTORY
                    && (is_tarball
                        || is_commit_config(name)
                        || name == format!("{network}.json")
                        || name == format!("{network}.old.json")))
        }
    };
    match (is_known, is_directory) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("`/{path}` is a directory")),
        (false, _) => Err(format!("`/{}` does not belong there", path.escape_debug())),
    }
}

fn files(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let network = facts.reference.network.package_name();
    let converted = converted(facts);
    let is_own = |path: &str| converted.is_some_and(|one| one.own.contains(path));
    let mut problems: Vec<String> = subject
        .entries
        .iter()
        .filter(|(path, _)| !is_own(path))
        .filter_map(|(path, entry)| wanted(subject, network, path, entry).err())
        .collect();
    match &facts.converted {
        Some(Ok(converted)) => problems.extend(converted.file_problems.iter().cloned()),
        Some(Err(problem)) => problems.push(problem.clone()),
        None => {}
    }
    problems.extend(
        subject
            .duplicates
            .iter()
            .map(|path| format!("`/{path}` is there twice")),
    );
    problems.extend(
        subject
            .other_members
            .iter()
            .map(|what| format!("the archive also has {what}")),
    );
    let mut count = |what: &str, found: usize, allowed: std::ops::RangeInclusive<usize>| {
        if !allowed.contains(&found) {
            problems.push(format!("{found} {what}"));
        }
    };
    let has = |path: &str| {
        usize::from(
            subject
                .entries
                .get(path)
                .is_some_and(|one| one.file().is_some()),
        )
    };
    count(
        "genesis tarballs",
        subject.tarballs(Role::Genesis).count(),
        1..=1,
    );
    count(
        "epoch tarballs",
        subject.tarballs(Role::Staking).count(),
        1..=2,
    );
    if subject.kind == SubjectKind::Automode {
        count("daemon.json", has("daemon.json"), 1..=1);
    } else {
        let commits = subject
            .files_in(DATA_DIRECTORY)
            .filter(|(_, name, _)| is_commit_config(name))
            .count();
        count("configs for a commit", commits, 1..=1);
        for name in [format!("{network}.json"), format!("{network}.old.json")] {
            count(&name, has(&format!("{DATA_DIRECTORY}/{name}")), 1..=1);
        }
        // A converted package has the daemon's, wherever that is.
        if converted.is_none() {
            count("systemd units", has(UNIT), 1..=1);
        }
    }
    let found = subject
        .entries
        .values()
        .filter(|one| one.file().is_some())
        .count();
    Finding::none(
        &problems,
        match converted {
            None => "the files of a config package",
            Some(_) => "the daemon's files and those of the fork",
        },
        &subject.name,
        match converted {
            None => format!("{found} files"),
            Some(one) => format!("{found} files; {} entries are the daemon's", one.own.len()),
        },
    )
}

fn modes(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    if subject.kind == SubjectKind::Automode {
        return Finding::not_run("a daemon writes with the modes of its user");
    }
    let mut problems = Vec::new();
    let converted = converted(facts);
    for (path, entry) in &subject.entries {
        if converted.is_some_and(|one| one.own.contains(path)) {
            continue;
        }
        let expected = match &entry.kind {
            EntryKind::File(_) => 0o644,
            // What is above the package's own directories belongs to the system.
            EntryKind::Directory if subject.kind != SubjectKind::Deb && path.is_empty() => continue,
            EntryKind::Directory => 0o755,
            EntryKind::Other(_) => continue,
        };
        if entry.mode != expected {
            problems.push(format!(
                "`/{path}` has mode {:04o}, expected {expected:04o}",
                entry.mode
            ));
        }
        if (entry.uid, entry.gid) != subject.owner {
            problems.push(format!(
                "`/{path}` belongs to {}:{}, expected {}:{}",
                entry.uid, entry.gid, subject.owner.0, subject.owner.1
            ));
        }
    }
    Finding::none(
        &problems,
        "0644 for files, 0755 for directories, one owner",
        &subject.name,
        format!("owner {}:{}", subject.owner.0, subject.owner.1),
    )
}

fn md5sums(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let Some(text) = &subject.md5sums else {
        // dpkg itself finds nothing wrong with a package whose checksums are gone.
        let is_installed = subject.control.is_some();
        return match subject.kind {
            SubjectKind::Automode => Finding::not_run("no checksums came with it"),
            SubjectKind::Root if !is_installed => {
                Finding::not_run("the root has no dpkg database with the package")
            }
            _ => Finding::failed("checksums", "none", &subject.name),
        };
    };
    let text = String::from_utf8_lossy(text);
    let mut listed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for line in text.lines() {
        match line.split_once("  ") {
            Some((digest, path)) if listed.insert(path, digest).is_none() => {}
            _ => problems.push(format!("line `{}`", line.escape_debug())),
        }
    }
    let converted = converted(facts);
    let is_conffile = |path: &str| converted.is_some_and(|one| one.conffiles.contains(path));
    // Other names of files are listed too, with the checksum that the file has.
    let is_link = |path: &str| converted.is_some_and(|one| one.own.contains(path));
    for (path, digests) in &subject.digests {
        if is_conffile(path) && !listed.contains_key(path.as_str()) {
            continue;
        }
        match listed.remove(path.as_str()) {
            Some(digest) if digest == digests.md5 => {}
            Some(digest) => problems.push(format!(
                "`/{path}` has MD5 {}, listed {digest}",
                digests.md5
            )),
            None => problems.push(format!("`/{path}` is not listed")),
        }
    }
    problems.extend(
        listed
            .keys()
            .filter(|path| !is_link(path))
            .map(|path| format!("`/{}` is listed and not there", path.escape_debug())),
    );
    Finding::none(
        &problems,
        "the checksum of every file",
        "md5sums",
        format!("{} files", subject.digests.len()),
    )
}

fn control(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let network = facts.reference.network.package_name();
    let converted = converted(facts);
    let name = match converted {
        Some(converted) => converted.package.clone(),
        None => format!("mina-{network}-config"),
    };
    let Some(control) = &subject.control else {
        return match subject.kind {
            SubjectKind::Automode => Finding::not_run("it is no package"),
            SubjectKind::Root if !subject.dpkg.has_status => {
                Finding::not_run("the root has no dpkg database")
            }
            _ => Finding::failed(
                &name,
                format!(
                    "not installed; there are: {}",
                    subject.dpkg.packages.join(", ")
                ),
                "var/lib/dpkg/status",
            ),
        };
    };
    let value = |field: &str| control.get(field).unwrap_or_default();
    let mut problems = Vec::new();
    let mut same = |field: &str, expected: &str| {
        if value(field) != expected {
            problems.push(format!(
                "{field} is `{}`, expected `{expected}`",
                value(field).escape_debug()
            ));
        }
    };
    same("Package", &name);
    same(
        "Architecture",
        converted.map_or("all", |one| one.architecture.as_str()),
    );
    if subject.kind != SubjectKind::Deb {
        same("Status", "install ok installed");
        same("Conffiles", "");
    }
    // Nothing else may come with it, and nothing may hold it in place.
    let nothing_else = [
        "Pre-Depends",
        "Depends",
        "Recommends",
        "Conflicts",
        "Essential",
        "Protected",
    ];
    for field in nothing_else.into_iter().filter(|_| converted.is_none()) {
        same(field, "");
    }
    problems.extend(
        converted
            .iter()
            .flat_map(|one| one.control_problems.iter().cloned()),
    );
    if let Err(error) = value("Version").parse::<PackageVersion>() {
        problems.push(format!(
            "Version `{}`: {error}",
            value("Version").escape_debug()
        ));
    }
    if subject.kind == SubjectKind::Deb {
        let files = subject.entries.values().filter_map(Entry::file);
        let directories = subject.entries.len() - subject.digests.len();
        let size = match converted {
            Some(converted) => converted.installed_size_kib,
            None => installed_size_kib(files.map(|file| file.bytes), directories as u64),
        };
        // Upstream leaves it empty.
        if !matches!(value("Installed-Size"), "") && value("Installed-Size") != size.to_string() {
            problems.push(format!(
                "Installed-Size is `{}`, the files take {size} KiB",
                value("Installed-Size").escape_debug()
            ));
        }
        let known: BTreeSet<&str> = ["control", "md5sums"].into();
        for file in &subject.control_files {
            if converted.is_none() && !known.contains(file.as_str()) {
                problems.push(format!("there is a control file `{}`", file.escape_debug()));
            }
        }
    }
    for file in &subject.dpkg.info_files {
        let suffix = file.strip_prefix(&name).unwrap_or_default();
        if !matches!(suffix, ".list" | ".md5sums") {
            problems.push(format!("dpkg keeps a file `{}`", file.escape_debug()));
        }
    }
    Finding::none(
        &problems,
        match converted {
            None => format!("{name}, architecture all"),
            Some(_) => format!("{name}, and the rest as the daemon's package has it"),
        },
        "control",
        format!("{name} {}", value("Version")),
    )
}

fn config_readable(facts: &Facts) -> Finding {
    match (&facts.subject, &facts.config) {
        (Err(_), _) => Finding::not_run("the package cannot be read"),
        (_, Ok(_)) => Finding::passed(format!("`/{}`", facts.config_path)),
        (_, Err(problem)) => Finding::failed("a runtime config", problem, &facts.config_path),
    }
}

fn copies(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    if subject.kind == SubjectKind::Automode {
        return Finding::not_run("a daemon writes one config only");
    }
    let network = format!(
        "{DATA_DIRECTORY}/{}.json",
        facts.reference.network.package_name()
    );
    let digest = |path: &str| subject.digests.get(path).map(|one| one.sha256.as_str());
    let Some(expected) = digest(&network) else {
        return Finding::not_run(format!("there is no `/{network}`"));
    };
    let mut names = Vec::new();
    for (path, name, _) in subject.files_in(DATA_DIRECTORY) {
        if is_commit_config(name) {
            if digest(path) != Some(expected) {
                return Finding::failed(
                    format!("SHA-256 {expected} as of `/{network}`"),
                    digest(path).unwrap_or_default(),
                    format!("/{path}"),
                );
            }
            names.push(name);
        }
    }
    if names.is_empty() {
        return Finding::not_run("there is no config for a commit");
    }
    Finding::passed(names.join(", "))
}

fn old_config(facts: &Facts) -> Finding {
    let subject = match subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let Some(prefork) = &facts.reference.prefork else {
        return Finding::not_run("no --prefork-config was given");
    };
    let path = format!(
        "{DATA_DIRECTORY}/{}.old.json",
        facts.reference.network.package_name()
    );
    let Some(content) = subject.entries.get(&path).and_then(Entry::file) else {
        return Finding::not_run(format!("there is no `/{path}`"));
    };
    let limit = prefork.bytes.len() as u64;
    let is_same = content.bytes == limit
        && fork_fs::read_limited(content.path(), limit).is_ok_and(|bytes| bytes == prefork.bytes);
    if is_same {
        Finding::passed(format!("{limit} bytes"))
    } else {
        Finding::failed(
            format!("the {limit} bytes of --prefork-config"),
            format!("{} other bytes", content.bytes),
            format!("/{path}"),
        )
    }
}
