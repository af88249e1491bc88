//! What is installed in an image or a root.

use std::collections::BTreeSet;

use super::{Check, Finding};
use crate::facts::Facts;
use crate::subject::{EntryKind, SubjectKind};

pub(super) static CHECKS: [Check; 2] = [
    Check {
        id: "image.dpkg-status",
        proves: "dpkg's database says that the package, and no other config package, is installed",
        run: status,
    },
    Check {
        id: "image.content",
        proves: "the image shows exactly the files that dpkg says the package installed",
        run: content,
    },
];

fn status(facts: &Facts) -> Finding {
    let subject = match super::package::subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let may_lack = subject.kind == SubjectKind::Root && !subject.dpkg.has_status;
    if !subject.kind.is_image() && (subject.kind != SubjectKind::Root || may_lack) {
        return Finding::not_run("there is no dpkg database");
    }
    let expected = format!("mina-{}-config", facts.reference.network.package_name());
    Finding::same(
        expected,
        subject.dpkg.packages.join(", "),
        "var/lib/dpkg/status",
    )
}

fn content(facts: &Facts) -> Finding {
    let subject = match super::package::subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let Some(list) = &subject.dpkg.list else {
        return if subject.kind.is_image()
            || (subject.kind == SubjectKind::Root && subject.control.is_some())
        {
            Finding::failed("the package's list of files", "none", "var/lib/dpkg/info")
        } else {
            Finding::not_run("there is no dpkg database")
        };
    };
    let text = String::from_utf8_lossy(list);
    let listed: BTreeSet<&str> = text
        .lines()
        .map(|line| match line {
            "/." => "",
            other => other.trim_start_matches('/'),
        })
        .collect();
    let mut problems = Vec::new();
    for (path, entry) in &subject.entries {
        let is_own = !matches!(entry.kind, EntryKind::Directory);
        if is_own && !listed.contains(path.as_str()) {
            problems.push(format!("`/{path}` is not the package's"));
        }
    }
    for path in &listed {
        if !path.is_empty() && !subject.entries.contains_key(*path) {
            problems.push(format!("`/{}` is missing", path.escape_debug()));
        }
    }
    Finding::none(
        &problems,
        "the files that dpkg lists",
        &subject.name,
        format!("{} paths", listed.len()),
    )
}
