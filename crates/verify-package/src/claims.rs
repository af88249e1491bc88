//! What follows from the checks, in sentences.

use crate::report::{Outcome, ReportCheck};

/// What a run proves when all checks it rests on pass.
struct Claim {
    sentence: &'static str,
    /// The checks, or the beginnings of their identifiers.
    checks: &'static [&'static str],
    /// Whether it is left out when there was nothing to check, because not every form of a package
    /// has it.
    is_optional: bool,
}

const fn claim(sentence: &'static str, checks: &'static [&'static str]) -> Claim {
    Claim {
        sentence,
        checks,
        is_optional: false,
    }
}

const fn optional(sentence: &'static str, checks: &'static [&'static str]) -> Claim {
    Claim {
        sentence,
        checks,
        is_optional: true,
    }
}

const NOTHING_ELSE: &str =
    "The package holds these files and nothing else, and installing it runs nothing.";

const CLAIMS: [Claim; 19] = [
    claim(
        "The candidate is whole: its files are the ones its document names, for this network.",
        &["candidate."],
    ),
    claim(
        "The fork block is what it says: its state hash was recomputed, and it belongs to this chain.",
        &["block."],
    ),
    claim(
        "The candidate is the state of the fork block: its accounts hash to the three roots.",
        &["root."],
    ),
    claim(
        "Every account in the package is the candidate's, migrated by the rule, member by member.",
        &["migration."],
    ),
    claim(
        "No MINA and no other token appeared or disappeared in any of the three ledgers.",
        &["supply."],
    ),
    claim(
        "A daemon finds each ledger: name, digest and root are those that the config asks for.",
        &["tarball.", "config.ledger-hashes"],
    ),
    claim(
        "Each ledger database holds these accounts and what follows from them, and nothing else.",
        &["store."],
    ),
    claim(
        "The config continues the fork block: its state hash, height and epoch seeds.",
        &[
            "config.fork-state-hash",
            "config.fork-length",
            "config.epoch-seeds",
        ],
    ),
    claim(
        "The new chain starts in the right slot and at the right time, each computed from the other.",
        &[
            "config.fork-slot",
            "config.timestamp-from-slot",
            "config.slot-from-timestamp",
        ],
    ),
    claim(
        "The config has the members of a fork config, for this network, and none left over from the old chain.",
        &[
            "config.readable",
            "config.schema",
            "config.constants",
            "config.no-stale-stop-slots",
            "config.no-genesis-winner",
            "config.network-id",
            "config.chain-id",
        ],
    ),
    claim(
        NOTHING_ELSE,
        &[
            "package.readable",
            "package.files",
            "package.modes",
            "package.md5sums",
            "package.control",
            "config.copies",
        ],
    ),
    optional(
        "dpkg itself finds nothing wrong with it.",
        &["package.dpkg"],
    ),
    claim(
        "The packaged config of the old chain is the one given.",
        &["config.old-config"],
    ),
    optional(
        "What is installed is this package, and the image shows its files unchanged.",
        &["image."],
    ),
    optional(
        "Both packages give nodes the same chain and the same ledgers.",
        &[
            "against.readable",
            "against.chain-id-inputs",
            "against.ledgers",
        ],
    ),
    optional(
        "Both packages install the same beside config and ledgers.",
        &["against.files"],
    ),
    optional(
        "The node started from the package: it woke with the packaged genesis block, slots, seeds and ledger hashes.",
        &[
            "daemon.boot",
            "daemon.genesis-block",
            "daemon.ledger-hashes",
            "daemon.chain-id",
        ],
    ),
    optional(
        "Every account of the node that was asked for is the packaged one, and its own Merkle path leads to the packaged root.",
        &["daemon.accounts.", "daemon.merkle-paths."],
    ),
    optional(
        "The ledgers that the node exported are the packaged ones, account by account.",
        &["daemon.export."],
    ),
];

/// What no run proves.
const NEVER: [&str; 6] = [
    "That the fork block is the canonical one, and the last before the stop slot.",
    "That the block's proof verifies.",
    "That the migration rule is the daemon's: this program migrates and hashes with the code that made the package.",
    "The chain id as a whole: the genesis state hash and the digests of the circuits need the daemon.",
    "What else an image does: its entrypoint, and its other files and packages.",
    "That what is published is what was verified here: compare the SHA-256 of the file.",
];

/// Says it differently for a converted package, which brings a daemon and its scripts.
pub(crate) fn of_converted(proved: &mut [String], not_proved: &mut Vec<String>) {
    for sentence in proved.iter_mut().filter(|one| *one == NOTHING_ELSE) {
        *sentence = "What the fork does not bring is as in the daemon's package that was named, to the byte: files, owners, scripts, control data."
            .to_owned();
    }
    not_proved.push(
        "What the daemon and its scripts do: they are compared with the daemon's package that was named, and not judged."
            .to_owned(),
    );
}

/// What is proved, and what is not. A claim with a failed check is in neither: the check says more.
pub(crate) fn judge(checks: &[ReportCheck]) -> (Vec<String>, Vec<String>) {
    let mut proved = Vec::new();
    let mut not_proved = Vec::new();
    for claim in &CLAIMS {
        let mine: Vec<&ReportCheck> = checks
            .iter()
            .filter(|check| rests_on(claim, &check.id))
            .collect();
        let has = |outcome| mine.iter().any(|check| check.outcome == outcome);
        let not_run = mine.iter().find(|check| check.outcome == Outcome::NotRun);
        match not_run {
            _ if has(Outcome::Failed) => {}
            None if mine.is_empty() => {}
            None => proved.push(claim.sentence.to_owned()),
            Some(_) if claim.is_optional && !has(Outcome::Passed) => {}
            Some(first) => {
                let sentence = claim.sentence.trim_end_matches('.');
                let reason = first.detail.lines().next().unwrap_or_default();
                not_proved.push(format!("{sentence}. Not checked: {} ({reason}).", first.id));
            }
        }
    }
    not_proved.extend(NEVER.map(str::to_owned));
    (proved, not_proved)
}

fn rests_on(claim: &Claim, id: &str) -> bool {
    claim
        .checks
        .iter()
        .any(|wanted| match wanted.strip_suffix('.') {
            Some(group) => id
                .strip_prefix(group)
                .is_some_and(|rest| rest.starts_with('.')),
            None => id == *wanted,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;

    fn all(outcome: impl Fn(&str) -> Outcome) -> Vec<ReportCheck> {
        let checks = CHECKS.iter().flat_map(|table| table.iter());
        checks
            .map(|check| ReportCheck {
                id: check.id.to_owned(),
                proves: check.proves.to_owned(),
                outcome: outcome(check.id),
                detail: "why\nmore".to_owned(),
                expected: None,
                found: None,
                place: None,
                ms: 0,
            })
            .collect()
    }

    #[test]
    fn every_check_carries_exactly_one_claim() {
        for check in CHECKS.iter().flat_map(|table| table.iter()) {
            let claims = CLAIMS.iter().filter(|claim| rests_on(claim, check.id));
            assert_eq!(claims.count(), 1, "{}", check.id);
        }
        for claim in &CLAIMS {
            for wanted in claim.checks {
                let mut ids = CHECKS.iter().flat_map(|table| table.iter());
                assert!(ids.any(|one| one.id.starts_with(wanted)), "{wanted}");
            }
        }
    }

    #[test]
    fn what_was_not_checked_is_not_proved() {
        let (proved, not_proved) = judge(&all(|_| Outcome::Passed));
        assert_eq!(
            (proved.len(), not_proved.len()),
            (CLAIMS.len(), NEVER.len())
        );
        let (proved, not_proved) = judge(&all(|id| match id {
            "block.seeds" | "against.ledgers" => Outcome::NotRun,
            "root.next" => Outcome::Failed,
            id if id.starts_with("image.") => Outcome::NotRun,
            _ => Outcome::Passed,
        }));
        assert_eq!(proved.len(), CLAIMS.len() - 4);
        assert_eq!(not_proved.len(), NEVER.len() + 2);
        assert!(not_proved[0].ends_with("chain. Not checked: block.seeds (why)."));
        assert!(not_proved[1].contains("against.ledgers"));
    }
}
