//! Where two statements part: in the words of a fork, not of JSON.

use fork_sign::{Statement, Subject};
use serde_json::Value;

use crate::manifest::Manifest;
use crate::show::plain;

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Which fact or artefact, and both values.
    pub(crate) words: String,
    /// What it usually comes from.
    pub(crate) hint: Option<&'static str>,
}

/// Facts in the order in which one follows from the other, so that the first difference is the cause
/// of those after it.
const ORDER: [(&str, &str); 14] = [
    ("network", "the two were built for different networks"),
    (
        "fork_block",
        "the two started from different fork blocks, or only one of them had the block to check it: compare the candidates",
    ),
    (
        "seeds",
        "the seeds come from the fork block: compare the candidates",
    ),
    (
        "rule",
        "the two migrated by different rules, variants or fork slots",
    ),
    (
        "ledgers",
        "with the same accounts and roots before, a root after that differs is a bug: please report it; otherwise compare the candidates",
    ),
    (
        "genesis",
        "slot and time follow from the stop slots and the options given: compare the two network.json",
    ),
    (
        "chain_id",
        "the inputs come from the network file, the old chain's config and the options given",
    ),
    (
        "sources_verified",
        "one of the two was built with --unverified-source",
    ),
    (
        "overrides",
        "one of the two was built against a rule or a check",
    ),
    (
        "package",
        "version, commit and time of a package are options; its verification is the report given",
    ),
    (
        "image",
        "an image follows from the package and its base: use the same base, or leave the image out on both sides",
    ),
    (
        "further_packages",
        "the two were built for different distributions",
    ),
    (
        "further_images",
        "the two were built for different distributions or architectures, or on other bases",
    ),
    ("tool_version", "use the same release of the tools"),
];

/// The first difference between two statements; none when they say the same.
pub(crate) fn first_difference(
    first: &Statement<Manifest>,
    second: &Statement<Manifest>,
) -> Option<Difference> {
    let values = |statement: &Statement<Manifest>| serde_json::to_value(statement.predicate()).ok();
    let (a, b) = (values(first)?, values(second)?);
    // Verdicts last: what was built comes before what was said of it.
    let mut verdict = None;
    for (member, hint) in ORDER {
        let found = difference(member, &a[member], &b[member], &mut verdict);
        if let Some(words) = found {
            return Some(Difference {
                words,
                hint: Some(hint),
            });
        }
    }
    let words = subjects(first.subjects(), second.subjects());
    let hint = "every fact above the bytes agrees: compare files, seed list and options of the packages, and the releases of the tools";
    if let Some(words) = words {
        return Some(Difference {
            words,
            hint: Some(hint),
        });
    }
    if let Some(words) = verdict {
        let hint = "the two gave other reports, or verified with other inputs";
        return Some(Difference {
            words,
            hint: Some(hint),
        });
    }
    // Format and version, which readers check.
    (a != b).then(|| Difference {
        words: "the form of the manifest".to_owned(),
        hint: None,
    })
}

/// The first difference at or below a path; verdicts are put aside.
fn difference(path: &str, a: &Value, b: &Value, verdict: &mut Option<String>) -> Option<String> {
    if a == b {
        return None;
    }
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
            // Words before lists: a verdict before the checks behind it.
            names.sort_by_key(|name| (a[*name].is_array() || b[*name].is_array(), *name));
            names.dedup();
            names.into_iter().find_map(|name| {
                let inner = format!("{path}.{name}");
                if name == "verification" {
                    if verdict.is_none() {
                        *verdict = difference(&inner, &a[name], &b[name], &mut None);
                    }
                    return None;
                }
                difference(&inner, &a[name], &b[name], verdict)
            })
        }
        (Value::Array(left), Value::Array(right)) => {
            let count = left.len().max(right.len());
            (0..count).find_map(|index| {
                let at = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
                let (one, other) = (at(left), at(right));
                // Ledgers and inputs have names; a number says little.
                let name = [&one, &other].into_iter().find_map(|item| {
                    let name = item.get("role").or_else(|| item.get("name"))?;
                    name.as_str().map(str::to_owned)
                });
                let name = name.unwrap_or_else(|| index.to_string());
                difference(&format!("{path}.{name}"), &one, &other, verdict)
            })
        }
        _ => Some(format!("fact `{path}` is {} and {}", shown(a), shown(b))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => plain(text),
        Value::Object(_) | Value::Array(_) => "present".to_owned(),
        other => other.to_string(),
    }
}

/// The first difference between two sorted lists of subjects.
fn subjects(first: &[Subject], second: &[Subject]) -> Option<String> {
    let only = |here: &[Subject], there: &[Subject], which: &str| {
        let lacks = |one: &&Subject| !there.iter().any(|other| other.name == one.name);
        let found = here.iter().find(lacks)?;
        let name = plain(&found.name);
        Some(format!("artefact `{name}` is only in the {which}"))
    };
    let changed = || {
        first.iter().find_map(|one| {
            let other = second.iter().find(|other| other.name == one.name)?;
            let name = format!("artefact `{}`", plain(&one.name));
            let digests = one.digest.iter().find_map(|(algorithm, value)| {
                let there = other.digest.get(algorithm).map_or("absent", String::as_str);
                (there != value).then(|| format!("{name}: {algorithm} is {value} and {there}"))
            });
            digests.or_else(|| {
                let differs = one != other;
                differs.then(|| format!("{name}: what is said of it differs"))
            })
        })
    };
    only(first, second, "first")
        .or_else(|| only(second, first, "second"))
        .or_else(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::statement;

    #[test]
    fn the_cause_is_told_before_what_follows_from_it() {
        let here = statement(|_, _| {});
        assert_eq!(first_difference(&here, &here), None);
        let difference = |other: &Statement<Manifest>| first_difference(&here, other).unwrap();
        // A package of another version is another file, too.
        let version = difference(&statement(|manifest, subjects| {
            manifest.package.version = "2".to_owned();
            subjects[0]
                .digest
                .insert("sha256".to_owned(), "ee".repeat(32));
        }));
        assert_eq!(version.words, "fact `package.version` is 1 and 2");
        assert!(version.hint.unwrap().contains("version"));
        let root = difference(&statement(|manifest, _| {
            manifest.ledgers[1].accounts_after = 7;
            manifest.genesis.timestamp_ms = 1;
            manifest.image = None;
        }));
        assert_eq!(
            root.words,
            "fact `ledgers.staking.accounts_after` is 3 and 7"
        );
        let input = difference(&statement(|manifest, _| {
            manifest.chain_id.inputs[0].value = "291".to_owned();
        }));
        assert_eq!(input.words, "fact `chain_id.inputs.k.value` is 290 and 291");
        let image = difference(&statement(|manifest, _| manifest.image = None));
        assert_eq!(image.words, "fact `image` is present and absent");
        let tool = difference(&statement(|manifest, _| {
            manifest.tool_version = "9".to_owned();
        }));
        assert!(tool.words.starts_with("fact `tool_version` is"), "{tool:?}");
    }

    #[test]
    fn artefacts_are_told_before_verdicts() {
        let here = statement(|_, _| {});
        let bytes = statement(|manifest, subjects| {
            manifest.package.verification = crate::Verdict::none();
            subjects[0]
                .digest
                .insert("sha256".to_owned(), "ee".repeat(32));
        });
        let found = first_difference(&here, &bytes).unwrap();
        let expected = format!(
            "artefact `a.deb`: sha256 is {} and {}",
            "0a".repeat(32),
            "ee".repeat(32)
        );
        assert_eq!(found.words, expected);
        let verdict = statement(|manifest, _| {
            manifest.package.verification = crate::Verdict::none();
        });
        let found = first_difference(&here, &verdict).unwrap();
        assert_eq!(
            found.words,
            "fact `package.verification.verdict` is passed and not-verified"
        );
        let fewer = statement(|_, subjects| drop(subjects.remove(0)));
        let found = first_difference(&here, &fewer).unwrap();
        assert_eq!(found.words, "artefact `a.deb` is only in the first");
        let said = statement(|_, subjects| {
            subjects[0].annotations.insert("bytes".to_owned(), 1.into());
        });
        let found = first_difference(&said, &here).unwrap();
        assert_eq!(found.words, "artefact `a.deb`: what is said of it differs");
    }
}
