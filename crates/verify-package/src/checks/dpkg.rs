//! What a real dpkg says.

use std::collections::BTreeSet;

use super::{Check, Finding};
use crate::dpkg::{DpkgAnswer, DpkgFacts};
use crate::facts::Facts;
use crate::subject::{Entry, EntryKind, Subject};

pub(super) static CHECKS: [Check; 1] = [Check {
    id: "package.dpkg",
    proves: "the dpkg of this machine reads the same package, and finds every installed file as its checksum says",
    run,
}];

fn run(facts: &Facts) -> Finding {
    let subject = match super::package::subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    match &facts.dpkg {
        DpkgFacts::NotAsked { why } => Finding::not_run(why),
        DpkgFacts::Deb {
            info,
            show,
            contents,
        } => deb(subject, info, show, contents),
        DpkgFacts::Root { verify } => root(verify),
    }
}

fn deb(subject: &Subject, info: &DpkgAnswer, show: &DpkgAnswer, contents: &DpkgAnswer) -> Finding {
    let mut problems = Vec::new();
    if let Err(problem) = &info.output {
        problems.push(format!("--info: {problem}"));
    }
    let value = |field: &str| {
        let control = subject.control.as_ref();
        control
            .and_then(|control| control.get(field))
            .unwrap_or_default()
    };
    let expected = ["Package", "Version", "Architecture"].map(value).join(" ");
    match &show.output {
        Err(problem) => problems.push(format!("--show: {problem}")),
        Ok(found) if found.trim_end() != expected => problems.push(format!(
            "--show: `{}`, read here as `{}`",
            found.trim_end().escape_debug(),
            expected.escape_debug()
        )),
        Ok(_) => {}
    }
    match &contents.output {
        Err(problem) => problems.push(format!("--contents: {problem}")),
        Ok(found) => problems.extend(compare(subject, found)),
    }
    Finding::none(
        &problems,
        "what is read here",
        &subject.name,
        format!("{} entries, {expected}", subject.entries.len()),
    )
}

/// What dpkg lists and we did not read, or the reverse.
fn compare(subject: &Subject, found: &str) -> Vec<String> {
    let ours: BTreeSet<String> = subject
        .entries
        .iter()
        .map(|(path, entry)| line(path, entry))
        .collect();
    let theirs: BTreeSet<String> = found.lines().map(shortened).collect();
    let words = |line: &String| line.escape_debug().to_string();
    let only_theirs = theirs
        .difference(&ours)
        .map(|line| format!("dpkg lists `{}`", words(line)));
    let only_ours = ours
        .difference(&theirs)
        .map(|line| format!("dpkg does not list `{}`", words(line)));
    only_theirs.chain(only_ours).collect()
}

/// An entry as `tar` lists it, without owner and time; of what is no file or directory only the path.
fn line(path: &str, entry: &Entry) -> String {
    let mode = permissions(entry.mode);
    match &entry.kind {
        EntryKind::File(content) => format!("-{mode} {} ./{path}", content.bytes),
        EntryKind::Directory => format!("d{mode} 0 ./{path}"),
        EntryKind::Other(_) => format!("other ./{path}"),
    }
}

/// A line of `tar`: mode, owner, size (or device), date, time, path.
fn shortened(line: &str) -> String {
    let mut fields = line.splitn(2, ' ');
    let mode = fields.next().unwrap_or_default();
    let mut rest = fields.next().unwrap_or_default().trim_start();
    let mut field = || {
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        first
    };
    let (_owner, size, _date, _time) = (field(), field(), field(), field());
    match mode.as_bytes().first() {
        // Directories have a slash at their end, or have none.
        Some(b'd') if rest == "./" => format!("{mode} {size} {rest}"),
        Some(b'-' | b'd') => format!("{mode} {size} {}", rest.trim_end_matches('/')),
        _ => {
            let path = rest.split_once(" -> ").or(rest.split_once(" link to "));
            format!("other {}", path.map_or(rest, |(path, _)| path))
        }
    }
}

/// Permission bits in letters.
fn permissions(mode: u32) -> String {
    let letter = |bit: u32, letter: char| if mode & bit == 0 { '-' } else { letter };
    let last = |bit: u32, special: u32, letter: char| match (mode & bit != 0, mode & special != 0) {
        (true, true) => letter,
        (false, true) => letter.to_ascii_uppercase(),
        (true, false) => 'x',
        (false, false) => '-',
    };
    [
        letter(0o400, 'r'),
        letter(0o200, 'w'),
        last(0o100, 0o4000, 's'),
        letter(0o040, 'r'),
        letter(0o020, 'w'),
        last(0o010, 0o2000, 's'),
        letter(0o004, 'r'),
        letter(0o002, 'w'),
        last(0o001, 0o1000, 't'),
    ]
    .iter()
    .collect()
}

fn root(verify: &DpkgAnswer) -> Finding {
    let place = "dpkg --verify";
    match &verify.output {
        Err(problem) => Finding::failed("an answer", problem, place),
        // It ends well whatever it finds; what is wrong is what it prints.
        Ok(found) => {
            let lines = found.lines().chain(verify.messages.lines());
            let problems: Vec<String> = lines.map(str::to_owned).collect();
            Finding::none(&problems, "nothing to complain of", place, "no complaint")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_tar_writes_them() {
        for (mode, text) in [
            (0o644, "rw-r--r--"),
            (0o755, "rwxr-xr-x"),
            (0o4755, "rwsr-xr-x"),
            (0o4644, "rwSr--r--"),
            (0o2711, "rwx--s--x"),
            (0o1777, "rwxrwxrwt"),
            (0o1776, "rwxrwxrwT"),
            (0, "---------"),
        ] {
            assert_eq!(permissions(mode), text, "{mode:o}");
        }
    }

    #[test]
    fn owner_and_time_are_left_out() {
        for (line, short) in [
            (
                "-rw-r--r-- root/root       504 2026-09-03 18:00 ./usr/a b",
                "-rw-r--r-- 504 ./usr/a b",
            ),
            ("drwxr-xr-x 0/0 0 2026-09-03 18:00 ./", "drwxr-xr-x 0 ./"),
            (
                "lrwxrwxrwx root/root 0 2026-09-03 18:00 ./a -> b c",
                "other ./a",
            ),
            (
                "hrw-r--r-- root/root 0 2026-09-03 18:00 ./a link to ./b",
                "other ./a",
            ),
            (
                "crw-r--r-- root/root 1,3 2026-09-03 18:00 ./null",
                "other ./null",
            ),
            ("", "other "),
        ] {
            assert_eq!(shortened(line), short);
        }
    }
}
