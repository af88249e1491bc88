//! The mistake behind a wrong root is named.

use std::fs;
use std::io::BufReader;

use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, ListReader};
use fork_ledger::migrate::Rule;
use fork_types::{Amount, Era, SlotSinceGenesis};
use serde_json::Value;
use verify_package::{Explanation, Outcome, ReportDocument};

use crate::case::{Case, STORE, flip};
use crate::support::Made;

/// The candidate's staged accounts.
fn staged(case: &Case<'_>) -> Vec<Account> {
    let file = fs::File::open(case.candidate.join("staged_ledger.json")).unwrap();
    let mut list = ListReader::new(BufReader::new(file), Era::Berkeley, false).unwrap();
    let mut accounts = Vec::new();
    while let Some(AccountBatch::Later(batch)) = list.next_batch().unwrap() {
        accounts.extend(batch);
    }
    accounts
}

/// Makes the package's genesis ledger by another rule.
fn migrate(case: &mut Case<'_>, variant: &str, slot: Option<u32>) {
    let slot = slot.map(SlotSinceGenesis::new);
    let rule = Rule::from_pair(Era::Berkeley, Era::Mesa, Some(variant), slot).unwrap();
    let accounts = staged(case);
    case.forge(|all| {
        *all = accounts
            .iter()
            .map(|account| rule.migrate(account).unwrap().0)
            .collect();
    });
}

fn report(mutate: impl FnOnce(&mut Case<'_>)) -> ReportDocument {
    let made = Made::once("verify-mutations");
    let mut case = Case::new(made);
    mutate(&mut case);
    case.run().report()
}

/// The explanation of a check; the check's detail must say the same.
fn explained(report: &ReportDocument, check: &str) -> Explanation {
    let found = report.explanations.iter().find(|one| one.check == check);
    let found = found.unwrap_or_else(|| panic!("{check}: {:?}", report.explanations));
    let check = report.checks.iter().find(|one| one.id == check).unwrap();
    assert_eq!(check.outcome, Outcome::Failed);
    assert!(check.detail.contains(&found.text), "{check:?}");
    found.clone()
}

const MIGRATION: &str = "migration.genesis.root";

#[test]
fn another_migration_is_named() {
    for (variant, slot, mistake) in [
        ("no-vesting", None, "read-as-berkeley-era-mesa"),
        (
            "untimed-stays",
            Some(958_440),
            "read-as-berkeley-migrated-untimed-stays-958440",
        ),
        // The fork block's own slot.
        (
            "untimed-becomes-timed",
            Some(958_279),
            "read-as-berkeley-migrated-untimed-becomes-timed-958279",
        ),
        // The fork block's slot since the last hard fork.
        (
            "untimed-becomes-timed",
            Some(393_799),
            "read-as-berkeley-migrated-untimed-becomes-timed-393799",
        ),
    ] {
        let report = report(|case| migrate(case, variant, slot));
        let found = explained(&report, MIGRATION);
        assert_eq!(found.mistake.as_deref(), Some(mistake), "{found:#?}");
        assert!(found.advice.is_some() && found.tried > 0);
        assert!(!found.differences.is_empty());
    }
}

#[test]
fn another_list_of_the_candidate_is_named() {
    let report = report(|case| {
        case.opened.config(|config| {
            for member in ["hash", "s3_data_hash"] {
                let (a, b) = (
                    config["epoch_data"]["staking"][member].clone(),
                    config["epoch_data"]["next"][member].clone(),
                );
                config["epoch_data"]["staking"][member] = b;
                config["epoch_data"]["next"][member] = a;
            }
        });
    });
    let found = explained(&report, "migration.staking.root");
    assert_eq!(found.mistake.as_deref(), Some("list-is-next"));
    let found = explained(&report, "migration.next.root");
    assert_eq!(found.mistake.as_deref(), Some("list-is-staking"));
}

#[test]
fn an_account_too_many_or_out_of_place_is_named() {
    let repeat = |case: &mut Case<'_>, from: usize, to: usize| {
        case.staged(|all| {
            let account = all[from].clone();
            all.insert(to, account);
        });
        case.name_staged();
    };
    // The candidate has it twice: without the second one the root is right.
    let first = report(|case| repeat(case, 6, 7));
    let found = explained(&first, "root.staged");
    assert_eq!(found.mistake.as_deref(), Some("dropped-account"));
    assert!(matches!(found.index, Some(6 | 7)), "{found:?}");
    let key = found.public_key.unwrap();
    assert!(found.text.contains(&key), "{}", found.text);

    let swapped = report(|case| {
        case.staged(|all| all.swap(3, 4));
        case.name_staged();
    });
    let found = explained(&swapped, "root.staged");
    assert_eq!(found.mistake.as_deref(), Some("swapped-accounts"));
    assert_eq!(found.index, Some(3));

    let reversed = report(|case| {
        case.staged(|all| all.reverse());
        case.name_staged();
    });
    let found = explained(&reversed, "root.staged");
    assert_eq!(found.mistake.as_deref(), Some("reversed"));
}

#[test]
fn a_changed_account_is_named_by_comparison() {
    let report = report(|case| {
        case.forge(|accounts| accounts[8].balance = Amount::from_nanomina(1));
    });
    let found = explained(&report, MIGRATION);
    assert_eq!(found.mistake.as_deref(), Some("other-accounts"));
    assert_eq!(found.differences.len(), 1);
    assert!(
        found.text.contains("account 8") && found.text.contains("balance"),
        "{}",
        found.text
    );
}

#[test]
fn what_no_mistake_gives_is_said_to_be_unexplained() {
    let report = report(|case| case.entries(|entries| flip(entries, &[35])));
    let found = explained(&report, "store.genesis.root");
    assert_eq!(found.mistake, None);
    assert!(found.tried >= 40, "{found:?}");
    assert!(found.text.starts_with("none of "), "{}", found.text);
    assert_eq!(found.skipped, 0);
    // The accounts themselves are as they should be.
    assert!(found.differences.is_empty());
}

#[test]
fn a_missing_account_is_found_in_the_package() {
    let report = report(|case| {
        case.staged(|all| {
            all.remove(5);
        });
        case.name_staged();
    });
    let found = explained(&report, "root.staged");
    assert_eq!(found.mistake, None);
    assert!(found.text.contains("first account 5"), "{}", found.text);
}

#[test]
fn nothing_is_explained_where_nothing_failed_or_nobody_asks() {
    assert_eq!(report(|_| ()).explanations, []);
    let never = report(|case| {
        migrate(case, "no-vesting", None);
        case.more = ["--explain", "never"].map(str::to_owned).to_vec();
    });
    assert_eq!(never.explanations, []);
    assert!(never.ids(Outcome::Failed).contains(&MIGRATION));
    // A config without a root has none to explain.
    let none = report(|case| {
        case.opened
            .config(|config| config[STORE]["hash"] = Value::Null);
    });
    assert_eq!(none.explanations, []);
}
