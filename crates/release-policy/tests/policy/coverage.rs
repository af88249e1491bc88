//! That every row of the specification has its test: the lists of rows are closed and stand here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use release_policy::Policy;
use release_policy::policy::Effect;

use crate::policies::{RULES, all_rows};
use crate::world::policy_text;

/// The acceptance checks A01 to A74, by what they check.
const CHECKS: [&str; 74] = [
    "policy parser",
    "rule coverage",
    "manifest signature",
    "DSSE",
    "artifact digest",
    "inside check",
    "payload identity",
    "Splice names",
    "Splice names after 1.0",
    "Mithril candidate",
    "Mithril history",
    "same commit",
    "Spacemesh bump",
    "build number",
    "version mapping",
    "stage order",
    "no-skip waiver",
    "containment",
    "change classes",
    "minimal diff",
    "dependency bump",
    "regular calendar",
    "proposal",
    "vote threshold",
    "vote hygiene",
    "vote channel",
    "amended proposal",
    "obligations",
    "waves",
    "reconcile",
    "practice run",
    "train cadence",
    "late feature",
    "feature isolation",
    "reset",
    "activation kind",
    "upgrade number and name",
    "audit flow",
    "lead time",
    "chains",
    "config match",
    "governance",
    "common version",
    "version mismatch",
    "candidate rejected",
    "crate version at candidate",
    "checksum file",
    "image promotion",
    "backups",
    "artifact coverage",
    "changelog and commit",
    "trigger",
    "smoke test",
    "post-deploy effects",
    "simmer",
    "daily visit",
    "stalled layer",
    "integrate",
    "retire",
    "postmortem",
    "info page",
    "log",
    "replay",
    "clock",
    "crash safety",
    "evidence binding",
    "exit codes",
    "hard-fork seed test",
    "test config",
    "6-hour budget",
    "apt",
    "Buildkite",
    "no network",
    "end to end",
];

/// The traps T1 to T15, by what one falls into.
const TRAPS: [&str; 15] = [
    "prerelease10 before prerelease2",
    "build numbers have an order, and are no part of the version",
    "1.2.3+1 after 1.2.3 for dpkg",
    "a preview after its release for dpkg",
    "no + in OCI tags, no - in DNS names",
    "versions that are no SemVer",
    "text around the signed block",
    "re-versioning changes the file and not its content",
    "two workflows build one tag",
    "the formula on the ledger wants one vote less",
    "order of versions against content",
    "quoted votes",
    "a time that is made up",
    "packages that nobody signed",
    "evidence of what was built before",
];

/// What each rule does when it is not met, by process, in the order of the rules: deny, pend, warn,
/// record. A rule that ends an attempt denies; one that asks for obligations or a retirement pends.
const EFFECTS: [(&str, &str); 5] = [
    ("splice-sv-bugfix", "DPDDDDDDDDDRDDPDWWPPPDDD"),
    ("optimism-train", "WRDDDDDDDDDDDDPDDPDDDPDPPPPDPD"),
    ("mithril-release", "DDDDPDPDDPDDDDPPDDPDRR"),
    ("spacemesh-cycle", "DDDDDDDPDPPPPPPPDDDPPPPPDD"),
    ("mina-hardfork", "DDDDDDDPPD"),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The rows that names of tests begin with: `a14_t2_build_numbers` is a test of A14 and T2.
fn rows_with_tests() -> BTreeMap<String, Vec<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for directory in ["release-policy/tests", "promote-release/tests"] {
        sources(&crates.join(directory), &mut files);
    }
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split('(').next());
            if let Some(name) = name.filter(|_| is_test) {
                let row = |part: &&str| {
                    let digits = part.strip_prefix(['a', 't']).unwrap_or_default();
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                };
                for part in name.split('_').take_while(row) {
                    rows.entry(part.to_owned())
                        .or_default()
                        .push(name.to_owned());
                }
            }
            // Attributes and comments may stand between.
            if line == "#[test]" {
                is_test = true;
            } else if !line.starts_with("#[") && !line.starts_with("//") {
                is_test = false;
            }
        }
    }
    rows
}

#[test]
fn a02_every_acceptance_check_and_every_trap_has_a_test_of_its_name() {
    let rows = rows_with_tests();
    let checks = CHECKS
        .iter()
        .enumerate()
        .map(|(at, what)| (format!("a{:02}", at + 1), what));
    let traps = TRAPS
        .iter()
        .enumerate()
        .map(|(at, what)| (format!("t{}", at + 1), what));
    let wanted: BTreeMap<String, &&str> = checks.chain(traps).collect();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(row, _)| !rows.contains_key(*row))
        .collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
    let unknown: Vec<_> = rows
        .iter()
        .filter(|(row, _)| !wanted.contains_key(*row))
        .collect();
    assert!(
        unknown.is_empty(),
        "tests of rows that are not there: {unknown:?}"
    );
}

#[test]
fn a02_every_rule_does_what_its_row_says() {
    for (policy, letters) in EFFECTS {
        let read = Policy::parse(&policy_text(policy)).unwrap();
        assert_eq!(read.gates.len(), letters.len(), "{policy}");
        let (_, prefix, _) = RULES.iter().find(|(name, ..)| *name == policy).unwrap();
        for (number, letter) in letters.chars().enumerate() {
            let id = format!("{prefix}-{:02}", number + 1);
            let effect = match read.gate(&id).unwrap().effect {
                Effect::Deny => 'D',
                Effect::Pend => 'P',
                Effect::Warn => 'W',
                Effect::Record => 'R',
            };
            assert_eq!(effect, letter, "{id}");
        }
    }
    let rules: usize = EFFECTS.iter().map(|(_, letters)| letters.len()).sum();
    assert_eq!(rules, 112);
}

/// Rows of a table of the specification, by their first cell, with the last.
fn table(text: &str, is_row: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        if line.starts_with("| ") && cells.len() >= 3 && is_row(cells[0]) {
            let last = cells[cells.len() - 1].to_owned();
            assert!(
                rows.insert(cells[0].to_owned(), last).is_none(),
                "{} twice",
                cells[0]
            );
        }
    }
    rows
}

/// The lists above against the specification itself, where it lies.
#[test]
fn a02_the_lists_are_those_of_the_specification() {
    let shared = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("spec/release-policies.md");
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(
            std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none(),
            "{} is missing",
            path.display()
        );
        eprintln!(
            "NOT TESTED: the lists of rows, because {} is not there",
            path.display()
        );
        return;
    };
    let numbered = |letter: char, cell: &str| {
        cell.strip_prefix(letter)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    assert_eq!(table(&text, |cell| numbered('A', cell)).len(), CHECKS.len());
    assert_eq!(table(&text, |cell| numbered('T', cell)).len(), TRAPS.len());
    let rule = |cell: &str| {
        cell.split_once('-')
            .is_some_and(|(one, rest)| one.len() == 1 && "SOMPH".contains(one) && rest.len() == 2)
    };
    let rules = table(&text, rule);
    let ours: BTreeSet<String> = all_rows()
        .into_values()
        .flatten()
        .map(str::to_owned)
        .collect();
    assert_eq!(rules.keys().cloned().collect::<BTreeSet<_>>(), ours);
    // Where the effect is a plain word, it is ours.
    for (policy, _) in EFFECTS {
        let read = Policy::parse(&policy_text(policy)).unwrap();
        for gate in &read.gates {
            let written = &rules[&gate.id];
            let effect = match gate.effect {
                Effect::Deny => "DENY",
                Effect::Pend => "PEND",
                Effect::Warn => "WARN",
                Effect::Record => "REC",
            };
            let plain = ["DENY", "PEND", "WARN", "REC"]
                .iter()
                .any(|word| written.starts_with(word));
            // `DENY / PEND`: each has its case.
            assert!(!plain || written.contains(effect), "{}: {written}", gate.id);
        }
    }
}
