//! Mistakes in accounts, orders, depths and rules.

use std::collections::HashSet;
use std::sync::Arc;

use fork_ledger::account::{Account, Permissions, Timing, TokenSymbol, V1Account, Vesting};
use fork_ledger::batch::AccountBatch;
use fork_ledger::diagnose::{
    AccountsInMemory, NamedRoot, Outcome, Question, Reference, Shape, Step, diagnose,
};
use fork_ledger::hash::hash_v1_accounts;
use fork_ledger::migrate::{MesaTiming, Rule, slot_reduction_update};
use fork_ledger::verification_key::{VERIFICATION_KEY_BYTES, VerificationKey};
use fork_types::{Amount, Era, FieldBytes, LedgerHash, ReceiptChainHash, StateHash, TokenId};

use crate::support::winner;

use crate::common::*;

#[test]
fn the_expected_root_needs_no_explanation() {
    let list = accounts(Era::Mesa, 20);
    let diagnosis = ask(&question(Era::Mesa, root(Era::Mesa, &list)), &list);
    assert!(diagnosis.is_expected() && diagnosis.is_explained());
    assert_eq!((diagnosis.accounts, diagnosis.hypotheses.len()), (20, 0));
}

#[test]
fn what_no_mistake_gives_is_explained_by_none() {
    for (era, count) in [
        (Era::Mesa, 23),
        (Era::Berkeley, 16),
        (Era::Mesa, 1),
        (Era::Berkeley, 0),
    ] {
        let list = accounts(era, count);
        let expected = LedgerHash::new(FieldBytes::from_u64(77));
        let diagnosis = ask(&question(era, expected), &list);
        assert!(!diagnosis.is_explained());
        assert_eq!(first(&diagnosis), None);
        assert!(diagnosis.tried() >= 60, "{}", diagnosis.tried());
        let given = root(era, &list);
        assert_eq!(diagnosis.given, Some(given));
        let ids: HashSet<&str> = diagnosis.hypotheses.iter().map(|h| h.id.as_str()).collect();
        assert_eq!(ids.len(), diagnosis.hypotheses.len());
        for hypothesis in &diagnosis.hypotheses {
            assert!(!matches!(hypothesis.outcome, Outcome::Skipped { .. }));
            for text in [&hypothesis.summary, &hypothesis.advice] {
                assert!(!text.contains("  ") && !text.ends_with('.'), "{text}");
            }
        }
    }
}

#[test]
fn one_changed_account_is_not_explained_without_a_reference_and_is_with_one() {
    let list = accounts(Era::Mesa, 21);
    let mut right = list.clone();
    right[13].balance = Amount::from_nanomina(5_000_000_000);
    right[13].permissions.set_verification_key_txn_version = 4;
    let question = question(Era::Mesa, root(Era::Mesa, &right));
    assert!(!ask(&question, &list).is_explained());
    let (mut ours, mut theirs) = (in_memory(Era::Mesa, &list), in_memory(Era::Mesa, &right));
    let diagnosis = diagnose(&question, &mut ours, Some(&mut theirs), &mut |_| ()).unwrap();
    assert!(diagnosis.is_explained());
    let Some(Reference::Compared(comparison)) = &diagnosis.reference else {
        panic!("{:?}", diagnosis.reference);
    };
    assert_eq!(comparison.root, question.expected);
    assert_eq!(comparison.leaves.shape, Shape::Changed);
    assert_eq!(comparison.leaves.first, [13]);
    let difference = &comparison.differences[0];
    assert_eq!(difference.ours, Some(list[13].public_key));
    let members: Vec<_> = difference
        .members
        .iter()
        .map(|m| (m.member.as_str(), m.theirs.as_deref().unwrap()))
        .collect();
    assert_eq!(
        members,
        [
            ("balance", "5"),
            ("permissions.set_verification_key.txn_version", "4")
        ]
    );
}

#[test]
fn a_reference_of_another_length_says_which_accounts_are_too_many() {
    let list = accounts(Era::Berkeley, 12);
    let mut other = list.clone();
    let lost = other.remove(4);
    other.remove(4);
    let expected = root(Era::Berkeley, &other);
    for (ours, theirs, shape) in [
        (
            &list,
            &other,
            Shape::Extra {
                index: 4,
                accounts: 2,
            },
        ),
        (
            &other,
            &list,
            Shape::Missing {
                index: 4,
                accounts: 2,
            },
        ),
    ] {
        let question = question(
            Era::Berkeley,
            if ours == &list {
                expected
            } else {
                root(Era::Berkeley, &list)
            },
        );
        let (mut ours, mut theirs) = (
            in_memory(Era::Berkeley, ours),
            in_memory(Era::Berkeley, theirs),
        );
        let diagnosis = diagnose(&question, &mut ours, Some(&mut theirs), &mut |_| ()).unwrap();
        let Some(Reference::Compared(comparison)) = &diagnosis.reference else {
            panic!("{:?}", diagnosis.reference);
        };
        assert_eq!(
            (comparison.leaves.shape, comparison.leaves.differing),
            (shape, 2)
        );
        let difference = &comparison.differences[0];
        assert_eq!(difference.ours.or(difference.theirs), Some(lost.public_key));
        assert_eq!(difference.members, []);
        assert_eq!(
            difference.ours.is_some(),
            matches!(shape, Shape::Extra { .. })
        );
    }
}

#[test]
fn genesis_winners_too_few_and_too_many_are_found() {
    for era in [Era::Berkeley, Era::Mesa] {
        let list = accounts(era, 19);
        let with = [vec![winner(era)], list.clone()].concat();
        found(
            "missing-winner",
            &ask(&question(era, root(era, &with)), &list),
        );
        found(
            "extra-winner",
            &ask(&question(era, root(era, &list)), &with),
        );
        let behind = [list.clone(), vec![winner(era)]].concat();
        found(
            "missing-winner-at-end",
            &ask(&question(era, root(era, &behind)), &list),
        );
        found(
            "extra-winner",
            &ask(&question(era, root(era, &list)), &behind),
        );
        // The winner is added here, and should not be.
        let asked = Question {
            winner: Some(true),
            ..question(era, root(era, &list))
        };
        found("extra-winner", &ask(&asked, &list));
        // With the winner added, changes are still those of the accounts behind it.
        let mut changed = list.clone();
        changed.iter_mut().for_each(|account| account.nonce = 0);
        let changed = [vec![winner(era)], changed].concat();
        let asked = Question {
            winner: Some(true),
            ..question(era, root(era, &changed))
        };
        found("lost-nonce", &ask(&asked, &list));
    }
}

#[test]
fn other_orders_are_found() {
    let era = Era::Mesa;
    let list = accounts(era, 22);
    for id in [
        "reversed",
        "rotated-left",
        "rotated-right",
        "sorted",
        "sorted-by-number",
    ] {
        let mut other = list.clone();
        match id {
            "reversed" => other.reverse(),
            "rotated-left" => other.rotate_left(1),
            "rotated-right" => other.rotate_right(1),
            "sorted" => other.sort_by_key(|account| account.public_key.to_string()),
            _ => other.sort_by_key(|account| account.public_key),
        }
        found(id, &ask(&question(era, root(era, &other)), &list));
    }
}

#[test]
fn other_depths_and_empty_leaves_are_found() {
    for (era, other) in [(Era::Mesa, Era::Berkeley), (Era::Berkeley, Era::Mesa)] {
        for count in [1, 16, 17] {
            let list = accounts(era, count);
            let leaves = leaves(era, &list);
            for depth in [5, 10, 20, 34, 36, 40] {
                let expected = root_of_leaves(era, depth, leaves.clone());
                found(
                    &format!("depth-{depth}"),
                    &ask(&question(era, expected), &list),
                );
            }
            let asked = Question {
                depth: 20,
                ..question(era, root(era, &list))
            };
            found("depth-35", &ask(&asked, &list));
            let expected = root_of_leaves(other, 35, leaves);
            found(
                &format!("empty-leaf-{other}"),
                &ask(&question(era, expected), &list),
            );
        }
    }
}

#[test]
fn changes_of_every_account_are_found() {
    for era in [Era::Berkeley, Era::Mesa] {
        let list = accounts(era, 40);
        let list = list.as_slice();
        planted("delegate-self", era, era, list, |account| {
            if account.token_id == TokenId::DEFAULT {
                account.delegate = account.delegate.or(Some(account.public_key));
            }
        });
        planted("delegate-none", era, era, list, |account| {
            account.delegate = account.delegate.filter(|key| *key != account.public_key);
        });
        for to in 0..=5 {
            planted(&format!("txn-version-{to}"), era, era, list, |account| {
                account.permissions.set_verification_key_txn_version = to;
            });
            for from in [2, 3] {
                // Replacing one of two versions by the other is replacing all.
                if to != 2 && to != 3 {
                    let id = format!("txn-version-{from}-to-{to}");
                    planted(&id, era, era, list, |account| {
                        let version = &mut account.permissions.set_verification_key_txn_version;
                        if *version == from {
                            *version = to;
                        }
                    });
                }
            }
        }
        for version in 2..=4 {
            let id = format!("permissions-default-{version}");
            planted(&id, era, era, list, |account| {
                account.permissions = Permissions::user_default(version);
            });
        }
        planted("lost-timing", era, era, list, |account| {
            account.timing = Timing::Untimed
        });
        planted("lost-nonce", era, era, list, |account| account.nonce = 0);
        planted("lost-receipt-chain-hash", era, era, list, |account| {
            account.receipt_chain_hash = ReceiptChainHash::EMPTY;
        });
        planted("lost-voting-for", era, era, list, |account| {
            account.voting_for = StateHash::DUMMY;
        });
        planted("lost-token-symbol", era, era, list, |account| {
            account.token_symbol = TokenSymbol::default();
        });
        planted("lost-token", era, era, list, |account| {
            account.token_id = TokenId::DEFAULT
        });
        planted("lost-zkapp", era, era, list, |account| account.zkapp = None);
        let mut with_key = list.to_vec();
        let key = VerificationKey::from_bytes(&[0; VERIFICATION_KEY_BYTES]).unwrap();
        let zkapp = with_key
            .iter_mut()
            .find_map(|account| account.zkapp.as_mut());
        zkapp.unwrap().verification_key = Some(Arc::new(key));
        planted(
            "lost-zkapp-verification-key",
            era,
            era,
            &with_key,
            |account| {
                if let Some(zkapp) = &mut account.zkapp {
                    zkapp.verification_key = None;
                }
            },
        );
    }
}

#[test]
fn changes_of_v1_accounts_are_found() {
    let list: Vec<V1Account> = (0..20)
        .map(|number| V1Account {
            public_key: key(number),
            token_id: 1 + number % 2,
            balance: Amount::from_nanomina(1000 * number),
            nonce: number as u32,
            receipt_chain_hash: ReceiptChainHash::new(FieldBytes::from_u64(number)),
            delegate: match number % 3 {
                0 => None,
                1 => Some(key(number)),
                _ => Some(key(3)),
            },
            voting_for: StateHash::new(FieldBytes::from_u64(number)),
            timing: match number % 4 {
                0 => Timing::Timed(Vesting::UNTIMED),
                _ => Timing::Untimed,
            },
            ..V1Account::empty()
        })
        .collect();
    type Planted = (&'static str, fn(&mut V1Account));
    let changes: [Planted; 7] = [
        ("delegate-self", |account| {
            account.delegate = account.delegate.or(Some(account.public_key));
        }),
        ("delegate-none", |account| {
            account.delegate = account.delegate.filter(|key| *key != account.public_key);
        }),
        ("lost-timing", |account| account.timing = Timing::Untimed),
        ("lost-nonce", |account| account.nonce = 0),
        ("lost-receipt-chain-hash", |account| {
            account.receipt_chain_hash = ReceiptChainHash::EMPTY;
        }),
        ("lost-voting-for", |account| {
            account.voting_for = StateHash::DUMMY
        }),
        ("lost-token", |account| account.token_id = 1),
    ];
    for (id, change) in changes {
        let mut other = list.clone();
        other.iter_mut().for_each(change);
        let expected = root_of_leaves(Era::V1, 20, hash_v1_accounts(&other));
        let mut source = AccountsInMemory {
            era: Era::V1,
            accounts: AccountBatch::V1(list.clone()),
        };
        let asked = question(Era::V1, expected);
        let diagnosis = diagnose(&asked, &mut source, None, &mut |_| ()).unwrap();
        assert_eq!(first(&diagnosis), Some(id));
    }
}

#[test]
fn eras_and_widths_are_found() {
    let list = accounts(Era::Mesa, 30);
    planted("era-berkeley", Era::Mesa, Era::Berkeley, &list, narrow);
    let mut unpadded = leaves(Era::Mesa, &list);
    for (leaf, account) in unpadded.iter_mut().zip(&list) {
        if account.zkapp.is_some() {
            let mut narrowed = account.clone();
            narrow(&mut narrowed);
            *leaf = leaves(Era::Berkeley, &[narrowed])[0];
        }
    }
    let expected = root_of_leaves(Era::Mesa, 35, unpadded);
    found(
        "app-state-unpadded",
        &ask(&question(Era::Mesa, expected), &list),
    );
    let list = accounts(Era::Berkeley, 30);
    planted("era-mesa", Era::Berkeley, Era::Mesa, &list, widen);
    // A state that is really wider has no root of Berkeley, and is no failure.
    let mut list = accounts(Era::Mesa, 30);
    list[4].zkapp.as_mut().unwrap().app_state[20] = FieldBytes::from_u64(1);
    let diagnosis = ask(
        &question(Era::Mesa, LedgerHash::new(FieldBytes::ZERO)),
        &list,
    );
    for id in ["era-berkeley", "app-state-unpadded"] {
        let hypothesis = diagnosis.hypotheses.iter().find(|h| h.id == id).unwrap();
        assert!(
            matches!(hypothesis.outcome, Outcome::Refused { .. }),
            "{id}"
        );
    }
}

#[test]
fn migrations_done_not_done_and_done_twice_are_found() {
    let berkeley = accounts(Era::Berkeley, 33);
    let migrated = |rule: Rule, list: &[Account]| -> Vec<Account> {
        list.iter()
            .map(|account| rule.migrate(account).unwrap().0)
            .collect()
    };
    for slot in [SLOT, BLOCK_SLOT] {
        for (id, timing) in [
            (
                "untimed-becomes-timed",
                MesaTiming::UntimedBecomesTimed { fork_slot: slot },
            ),
            (
                "untimed-stays",
                MesaTiming::UntimedStays { fork_slot: slot },
            ),
        ] {
            let expected = root(
                Era::Mesa,
                &migrated(Rule::BerkeleyToMesa(timing), &berkeley),
            );
            let id = format!("migrated-{id}-{slot}");
            found(&id, &ask(&question(Era::Berkeley, expected), &berkeley));
            // Named as mesa, without anything that tells it is not.
            let plain: Vec<Account> = berkeley
                .iter()
                .filter(|a| a.zkapp.is_none())
                .cloned()
                .collect();
            let expected = root(Era::Mesa, &migrated(Rule::BerkeleyToMesa(timing), &plain));
            found(&id, &ask(&question(Era::Mesa, expected), &plain));
        }
    }
    // Both variants, whichever of them the list was migrated by.
    let stays = Rule::BerkeleyToMesa(MesaTiming::UntimedStays { fork_slot: SLOT });
    let timed = Rule::BerkeleyToMesa(MesaTiming::UntimedBecomesTimed { fork_slot: SLOT });
    let only_untimed: Vec<Account> = berkeley
        .iter()
        .filter(|account| account.timing != Timing::Timed(Vesting::UNTIMED))
        .cloned()
        .collect();
    let (stays, timed) = (
        migrated(stays, &only_untimed),
        migrated(timed, &only_untimed),
    );
    let ask_mesa = |expected: &[Account], list: &[Account]| {
        ask(&question(Era::Mesa, root(Era::Mesa, expected)), list)
    };
    found("untimed-becomes-timed", &ask_mesa(&timed, &stays));
    found("timed-becomes-untimed", &ask_mesa(&stays, &timed));
    // The update once more, on a list of mesa.
    let mesa = accounts(Era::Mesa, 33);
    for (becomes, id) in [(false, "untimed-stays"), (true, "untimed-becomes-timed")] {
        let id = format!("vesting-update-{id}-{BLOCK_SLOT}");
        planted(&id, Era::Mesa, Era::Mesa, &mesa, |account| {
            match &account.timing {
                Timing::Timed(vesting) => {
                    let updated = slot_reduction_update(vesting, BLOCK_SLOT).unwrap();
                    account.timing = Timing::Timed(updated);
                }
                Timing::Untimed if becomes => account.timing = Timing::Timed(Vesting::UNTIMED),
                Timing::Untimed => {}
            }
        });
    }
}

#[test]
fn swapped_ledgers_are_found() {
    let (list, other) = (accounts(Era::Mesa, 9), accounts(Era::Mesa, 10));
    let (given, expected) = (root(Era::Mesa, &list), root(Era::Mesa, &other));
    let named = |name: &str, root| {
        vec![NamedRoot {
            name: name.to_owned(),
            root,
        }]
    };
    let asked = Question {
        known_roots: named("next", given),
        ..question(Era::Mesa, expected)
    };
    found("list-is-next", &ask(&asked, &list));
    let asked = Question {
        other_lists: named("staking", expected),
        ..question(Era::Mesa, expected)
    };
    found("expected-is-staking", &ask(&asked, &list));
}

#[test]
fn edits_of_one_place_are_found_at_their_place() {
    let era = Era::Mesa;
    for count in [2, 3, 8, 9, 17] {
        let list = accounts(era, count);
        for index in 0..list.len() {
            for id in ["dropped-account", "repeated-account", "swapped-accounts"] {
                let mut other = list.clone();
                match id {
                    "dropped-account" => {
                        other.remove(index);
                    }
                    "repeated-account" => other.insert(index, list[index].clone()),
                    _ if index + 1 < list.len() => other.swap(index, index + 1),
                    _ => continue,
                }
                let diagnosis = ask(&question(era, root(era, &other)), &list);
                // Two accounts have but one other order.
                if count == 2 && id == "swapped-accounts" {
                    found("reversed", &diagnosis);
                    continue;
                }
                found(id, &diagnosis);
                let found = diagnosis.explanations().next().unwrap();
                let Outcome::Found {
                    index: place,
                    public_key,
                    ..
                } = &found.outcome
                else {
                    panic!("{found:?}");
                };
                assert_eq!(*place, index as u64);
                assert_eq!(*public_key, list[index].public_key);
            }
        }
    }
    let list = accounts(era, 17);
    let asked = |other: &[Account]| ask(&question(era, root(era, other)), &list);
    found("truncated-list", &asked(&list[..11]));
    found(
        "repeated-at-end",
        &asked(&[&list[..], &list[4..5]].concat()),
    );
    let mut blank = leaves(era, &list);
    blank[6] = leaves(era, &[Account::empty(era)])[0];
    let expected = root_of_leaves(era, 35, blank);
    found("blank-account", &ask(&question(era, expected), &list));
}

#[test]
fn what_exceeds_the_limit_is_skipped_and_said() {
    let list = accounts(Era::Mesa, 50);
    let mut other = list.clone();
    other.remove(30);
    let expected = root(Era::Mesa, &other);
    let free = ask(&question(Era::Mesa, expected), &list);
    found("dropped-account", &free);
    for permutations_max in [0, 300, 1000, 3000, 9000] {
        let asked = Question {
            permutations_max,
            ..question(Era::Mesa, expected)
        };
        let diagnosis = ask(&asked, &list);
        // The first reading, and less than one step beyond the limit.
        assert!(diagnosis.permutations <= permutations_max + 1500);
        let skipped = diagnosis
            .hypotheses
            .iter()
            .any(|h| matches!(h.outcome, Outcome::Skipped { permutations } if permutations > 0));
        assert!(skipped || diagnosis.is_explained(), "{permutations_max}");
        if permutations_max < 1000 {
            assert!(!diagnosis.is_explained());
        }
    }
}

#[test]
fn steps_tell_how_far_a_search_is() {
    let list = accounts(Era::Mesa, 10);
    let asked = question(Era::Mesa, LedgerHash::new(FieldBytes::ZERO));
    let (mut places, mut tried, mut readings) = (0, 0, 0);
    let mut source = in_memory(Era::Mesa, &list);
    diagnose(&asked, &mut source, None, &mut |step| match step {
        Step::Reading(_) => readings += 1,
        Step::Searching { places: more, .. } => places += more,
        Step::Tried(more) => tried += more,
    })
    .unwrap();
    assert_eq!((tried, places), (places, 59));
    assert!(readings >= 4);
}
