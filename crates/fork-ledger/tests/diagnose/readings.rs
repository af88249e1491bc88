//! Lists read by another loader or as another era.

use fork_ledger::account::Account;
use fork_ledger::batch::AccountBatch;
use fork_ledger::diagnose::{
    AccountSource, BatchSink, Diagnosis, Question, ReadFailure, Reading, ReadingLoader, diagnose,
};
use fork_ledger::hash::hash_v1_account;
use fork_ledger::json::{
    AccountJson, DaemonRules, ForkRules, VerificationKeyCache, from_daemon_config,
    from_fork_config, v1_from_json, write_account_json,
};
use fork_ledger::migrate::{MesaTiming, Rule};
use fork_ledger::packing::field_bytes;
use fork_types::{Era, LedgerHash, TokenId};
use pasta_poseidon::Fp;

use crate::support::{self, plain_account, winner};

use crate::common::*;

/// A JSON list, read by the loader asked for.
struct JsonList(String);

impl AccountSource for JsonList {
    type Error = serde_json::Error;

    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<serde_json::Error>> {
        let list: Vec<AccountJson<'_>> =
            serde_json::from_str(&self.0).map_err(ReadFailure::Failed)?;
        let refused =
            |error: fork_ledger::json::AccountError| ReadFailure::Refused(error.to_string());
        // Small batches, so that lanes go on across them.
        for part in list.chunks(7) {
            let keys = VerificationKeyCache::new();
            let batch = if reading.era == Era::V1 {
                let accounts: Result<Vec<_>, _> = part.iter().map(v1_from_json).collect();
                AccountBatch::V1(accounts.map_err(refused)?)
            } else {
                let accounts: Result<Vec<_>, _> = part
                    .iter()
                    .map(|json| match reading.loader {
                        ReadingLoader::Fork {
                            ignore_missing,
                            pad_app_state,
                        } => {
                            let rules = ForkRules {
                                era: reading.era,
                                ignore_missing,
                                pad_app_state,
                            };
                            from_fork_config(json, &rules, &keys)
                        }
                        ReadingLoader::Daemon { missing_delegate } => {
                            let rules = DaemonRules {
                                missing_delegate,
                                ..DaemonRules::released(reading.era)
                            };
                            from_daemon_config(json, &rules, &keys)
                        }
                    })
                    .collect();
                AccountBatch::Later(accounts.map_err(refused)?)
            };
            sink(batch).map_err(ReadFailure::Refused)?;
        }
        Ok(false)
    }
}

fn json(accounts: &[Account]) -> JsonList {
    let texts: Vec<String> = accounts
        .iter()
        .map(|account| {
            let mut text = Vec::new();
            write_account_json(account, &mut text);
            String::from_utf8(text).unwrap()
        })
        .collect();
    JsonList(format!("[{}]", texts.join(",")))
}

fn ask_json(question: &Question, mut list: JsonList) -> Diagnosis {
    diagnose(question, &mut list, None, &mut |_| ()).unwrap()
}

#[test]
fn the_wrong_loader_is_found() {
    let era = Era::Mesa;
    let list = accounts(era, 31);
    let mut daemon = list.clone();
    for account in &mut daemon {
        if account.token_id == TokenId::DEFAULT {
            account.delegate = account.delegate.or(Some(account.public_key));
        }
    }
    let asked = question(era, root(era, &daemon));
    found("loader-daemon", &ask_json(&asked, json(&list)));
    let with_winner = [vec![winner(era)], daemon].concat();
    let asked = question(era, root(era, &with_winner));
    found("loader-daemon-with-winner", &ask_json(&asked, json(&list)));
    let asked = Question {
        reading: Reading {
            era,
            loader: DAEMON,
        },
        ..question(era, root(era, &list))
    };
    found("loader-daemon-no-delegate", &ask_json(&asked, json(&list)));
}

#[test]
fn lists_that_cannot_be_read_as_asked_are_read_otherwise() {
    let berkeley = accounts(Era::Berkeley, 31);
    let mut widened = berkeley.clone();
    widened.iter_mut().for_each(widen);
    let asked = question(Era::Mesa, root(Era::Mesa, &widened));
    let diagnosis = ask_json(&asked, json(&berkeley));
    found("pad-app-state", &diagnosis);
    assert_eq!(diagnosis.given, None);
    assert!(!diagnosis.is_unreadable());
    let asked = question(Era::Mesa, root(Era::Berkeley, &berkeley));
    found(
        "pad-app-state-era-berkeley",
        &ask_json(&asked, json(&berkeley)),
    );
    let rule = Rule::BerkeleyToMesa(MesaTiming::UntimedStays { fork_slot: SLOT });
    let migrated: Vec<Account> = berkeley
        .iter()
        .map(|account| rule.migrate(account).unwrap().0)
        .collect();
    let asked = question(Era::Mesa, root(Era::Mesa, &migrated));
    let diagnosis = ask_json(&asked, json(&berkeley));
    found(
        &format!("pad-app-state-migrated-untimed-stays-{SLOT}"),
        &diagnosis,
    );
    // Without permissions and hashes.
    let text =
        r#"[{"pk":"B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg","balance":"7"}]"#;
    let mut account = plain_account(Era::Mesa, support::WINNER, 7_000_000_000);
    account.delegate = None;
    let asked = question(Era::Mesa, root(Era::Mesa, &[account]));
    // A daemon that leaves delegates empty fills in the same.
    let diagnosis = ask_json(&asked, JsonList(text.to_owned()));
    let ids: Vec<&str> = diagnosis.explanations().map(|h| h.id.as_str()).collect();
    assert!(ids.contains(&"ignore-missing"), "{ids:?}");
    let diagnosis = ask_json(&asked, JsonList(r#"[{"pk":"x","balance":"7"}]"#.to_owned()));
    assert!(diagnosis.is_unreadable() && !diagnosis.is_explained());
}

#[test]
fn v1_lists_are_told_from_later_ones() {
    let texts: Vec<String> = (1..=9)
        .map(|number| format!(r#"{{"pk":"{}","balance":"{number}"}}"#, key(number)))
        .collect();
    let text = format!("[{}]", texts.join(","));
    let list: Vec<AccountJson<'_>> = serde_json::from_str(&text).unwrap();
    let v1: Vec<_> = list
        .iter()
        .map(|json| v1_from_json(json).unwrap())
        .collect();
    let v1_leaves = v1.iter().map(hash_v1_account).collect();
    let v1_root = root_of_leaves(Era::V1, 20, v1_leaves);
    let asked = question(Era::Berkeley, v1_root);
    found("read-as-v1", &ask_json(&asked, JsonList(text.clone())));
    for txn_version in [1, 2, 3] {
        let rule = Rule::V1ToBerkeley { txn_version };
        let migrated: Vec<Account> = v1
            .iter()
            .map(|account| rule.migrate_v1(account).unwrap().0)
            .collect();
        let expected = root(Era::Berkeley, &migrated);
        let asked = question(Era::V1, expected);
        let id = format!("migrated-from-v1-txn-{txn_version}");
        found(&id, &ask_json(&asked, JsonList(text.clone())));
    }
    let mut list = JsonList(text);
    let asked = question(Era::V1, LedgerHash::new(field_bytes(Fp::from_u64(3))));
    let diagnosis = diagnose(&asked, &mut list, None, &mut |_| ()).unwrap();
    assert_eq!(diagnosis.given, Some(v1_root));
    assert!(!diagnosis.is_explained());
}
