//! Two lists of one ledger: where they differ, and in which members.

use std::collections::BTreeMap;

use fork_types::PublicKey;
use pasta_poseidon::Fp;
use serde_json::Value;

use crate::account::{Account, V1Account};
use crate::json::write_account_json;

/// How the leaves of two lists differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// They do not.
    Same,
    /// The list has accounts that the reference lacks; without them it is the reference.
    Extra {
        /// Index of the first.
        index: u64,
        /// How many.
        accounts: u64,
    },
    /// The list lacks accounts that the reference has; with them it is the reference.
    Missing {
        /// Index of the first in the reference.
        index: u64,
        /// How many.
        accounts: u64,
    },
    /// Both have the same accounts in another order.
    Reordered {
        /// First index with another account.
        index: u64,
    },
    /// Anything else: compared index by index.
    Changed,
}

/// Leaves of two lists side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafComparison {
    /// How they differ.
    pub shape: Shape,
    /// Indices whose leaves differ, or which only one list has.
    pub differing: u64,
    /// The first of those indices.
    pub first: Vec<u64>,
}

/// Compares two lists of leaves. At most `shown_max` indices are listed.
#[must_use]
pub fn compare_leaves(ours: &[Fp], theirs: &[Fp], shown_max: usize) -> LeafComparison {
    let shorter = ours.len().min(theirs.len());
    let prefix = ours
        .iter()
        .zip(theirs)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    let suffix = ours
        .iter()
        .rev()
        .zip(theirs.iter().rev())
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    let index = prefix as u64;
    let shape = if ours.len() == theirs.len() {
        if prefix == shorter {
            Shape::Same
        } else if is_reordered(ours, theirs) {
            Shape::Reordered { index }
        } else {
            Shape::Changed
        }
    } else if prefix + suffix < shorter {
        Shape::Changed
    } else if ours.len() > theirs.len() {
        Shape::Extra {
            index,
            accounts: (ours.len() - theirs.len()) as u64,
        }
    } else {
        Shape::Missing {
            index,
            accounts: (theirs.len() - ours.len()) as u64,
        }
    };
    let places: Box<dyn Iterator<Item = u64>> = match shape {
        Shape::Extra { index, accounts } | Shape::Missing { index, accounts } => {
            Box::new(index..index + accounts)
        }
        Shape::Same | Shape::Reordered { .. } | Shape::Changed => {
            let longer = ours.len().max(theirs.len());
            Box::new(
                (prefix..longer)
                    .filter(|index| ours.get(*index) != theirs.get(*index))
                    .map(|index| index as u64),
            )
        }
    };
    let (mut differing, mut first) = (0, Vec::new());
    for place in places {
        differing += 1;
        if first.len() < shown_max {
            first.push(place);
        }
    }
    LeafComparison {
        shape,
        differing,
        first,
    }
}

fn is_reordered(ours: &[Fp], theirs: &[Fp]) -> bool {
    let sorted = |leaves: &[Fp]| {
        let mut leaves: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.to_le_bytes()).collect();
        leaves.sort_unstable();
        leaves
    };
    sorted(ours) == sorted(theirs)
}

/// A member that two accounts differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDifference {
    /// Its path in account JSON, such as `permissions.set_verification_key.txn_version`.
    pub member: String,
    /// Its value in the list; `None` when it is absent.
    pub ours: Option<String>,
    /// Its value in the reference; `None` when it is absent.
    pub theirs: Option<String>,
}

/// The members two accounts differ in, as account JSON names and prints them, sorted by name.
#[must_use]
pub fn member_differences(ours: &Account, theirs: &Account) -> Vec<MemberDifference> {
    differences(members(ours), members(theirs))
}

/// As [`member_differences`], for v1.
#[must_use]
pub fn v1_member_differences(ours: &V1Account, theirs: &V1Account) -> Vec<MemberDifference> {
    differences(v1_members(ours), v1_members(theirs))
}

type Members = BTreeMap<String, String>;

fn differences(mut ours: Members, mut theirs: Members) -> Vec<MemberDifference> {
    let mut names: Vec<String> = ours.keys().chain(theirs.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|member| {
            let (ours, theirs) = (ours.remove(&member), theirs.remove(&member));
            (ours != theirs).then_some(MemberDifference {
                member,
                ours,
                theirs,
            })
        })
        .collect()
}

fn members(account: &Account) -> Members {
    let mut text = Vec::new();
    write_account_json(account, &mut text);
    let mut members = Members::new();
    if let Ok(value) = serde_json::from_slice::<Value>(&text) {
        flatten("", &value, &mut members);
    }
    members
}

fn flatten(path: &str, value: &Value, members: &mut Members) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, members);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, members);
            }
        }
        Value::String(text) => {
            members.insert(path.to_owned(), text.clone());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            members.insert(path.to_owned(), value.to_string());
        }
    }
}

fn v1_members(account: &V1Account) -> Members {
    let V1Account {
        public_key,
        token_id,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing,
        permissions,
    } = account;
    let mut members: Members = [
        ("pk", public_key.to_string()),
        ("token", token_id.to_string()),
        ("balance", balance.to_string()),
        ("nonce", nonce.to_string()),
        ("receipt_chain_hash", receipt_chain_hash.to_string()),
        ("voting_for", voting_for.to_string()),
        ("timing", format!("{timing:?}")),
        ("permissions", format!("{permissions:?}")),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect();
    if let Some(delegate) = delegate {
        members.insert("delegate".to_owned(), delegate.to_string());
    }
    members
}

/// One account that the two lists do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDifference {
    /// Index of the place compared.
    pub index: u64,
    /// Owner of the list's account there, if it is part of the comparison.
    pub ours: Option<PublicKey>,
    /// Owner of the reference's account there, if it is part of the comparison.
    pub theirs: Option<PublicKey>,
    /// Members that differ, when both have an account there.
    pub members: Vec<MemberDifference>,
}

#[cfg(test)]
mod tests {
    use fork_types::{Amount, Era, SlotSinceGenesis};

    use super::*;
    use crate::account::{Timing, Vesting};

    fn leaves(numbers: &[u64]) -> Vec<Fp> {
        numbers.iter().copied().map(Fp::from_u64).collect()
    }

    #[test]
    fn shapes_are_told_apart() {
        let ours = leaves(&[1, 2, 3, 4, 5]);
        for (theirs, shape, first) in [
            (vec![1, 2, 3, 4, 5], Shape::Same, vec![]),
            (
                vec![1, 2, 4, 5],
                Shape::Extra {
                    index: 2,
                    accounts: 1,
                },
                vec![2],
            ),
            (
                vec![1, 2, 3],
                Shape::Extra {
                    index: 3,
                    accounts: 2,
                },
                vec![3, 4],
            ),
            (
                vec![9, 1, 2, 3, 4, 5],
                Shape::Missing {
                    index: 0,
                    accounts: 1,
                },
                vec![0],
            ),
            (
                vec![1, 4, 3, 2, 5],
                Shape::Reordered { index: 1 },
                vec![1, 3],
            ),
            (vec![1, 2, 9, 4, 5], Shape::Changed, vec![2]),
            (vec![9, 2, 3, 4], Shape::Changed, vec![0, 4]),
        ] {
            let found = compare_leaves(&ours, &leaves(&theirs), 10);
            assert_eq!((found.shape, &found.first), (shape, &first), "{theirs:?}");
            assert_eq!(found.differing, first.len() as u64);
        }
        let found = compare_leaves(&ours, &leaves(&[6, 7, 8, 9, 10]), 2);
        assert_eq!((found.differing, found.first), (5, vec![0, 1]));
    }

    #[test]
    fn members_are_named_as_in_json() {
        let ours = Account::empty(Era::Mesa);
        assert_eq!(member_differences(&ours, &ours), []);
        let mut theirs = ours.clone();
        theirs.balance = Amount::from_nanomina(1_500_000_000);
        theirs.permissions.set_verification_key_txn_version = 2;
        theirs.timing = Timing::Timed(Vesting {
            cliff_time: SlotSinceGenesis::new(7),
            ..Vesting::UNTIMED
        });
        let found = member_differences(&ours, &theirs);
        let names: Vec<&str> = found.iter().map(|found| found.member.as_str()).collect();
        assert_eq!(
            names,
            [
                "balance",
                "permissions.set_verification_key.txn_version",
                "timing.cliff_amount",
                "timing.cliff_time",
                "timing.initial_minimum_balance",
                "timing.vesting_increment",
                "timing.vesting_period",
            ]
        );
        assert_eq!(found[1].ours.as_deref(), Some("4"));
        assert_eq!(found[1].theirs.as_deref(), Some("2"));
        assert_eq!(found[3].ours, None);
        assert_eq!(found[3].theirs.as_deref(), Some("7"));
        let ours = V1Account::empty();
        let mut theirs = ours.clone();
        theirs.nonce = 3;
        let found = v1_member_differences(&ours, &theirs);
        assert_eq!(found[0].member, "nonce");
        assert_eq!(found.len(), 1);
    }
}
