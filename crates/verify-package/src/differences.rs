//! Where two lists of accounts differ.

use fork_ledger::account::Account;
use fork_store::account_differences;

/// Differences that are kept in words.
const KEPT_MAX: usize = 5;
/// Longest value shown.
const VALUE_CHARS_MAX: usize = 120;

/// How many accounts differ, and how the first of them do.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// Number of accounts that differ.
    pub count: u64,
    /// The first, member by member.
    pub kept: Vec<String>,
}

impl Differences {
    /// Compares the account at a leaf; `None` is one that is not there.
    pub fn compare(&mut self, leaf: u64, expected: Option<&Account>, found: Option<&Account>) {
        if expected == found {
            return;
        }
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(describe(leaf, expected, found));
        }
    }

    /// Adds those of the leaves behind.
    pub fn merge(&mut self, behind: &Self) {
        self.count += behind.count;
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        self.kept.extend(behind.kept.iter().take(room).cloned());
    }
}

fn describe(leaf: u64, expected: Option<&Account>, found: Option<&Account>) -> String {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            let members: Vec<String> = account_differences(expected, found)
                .into_iter()
                .map(|one| {
                    format!(
                        "{} is {}, expected {}",
                        one.field,
                        short(&one.right),
                        short(&one.left)
                    )
                })
                .collect();
            format!(
                "account {leaf} ({}): {}",
                found.public_key,
                members.join("; ")
            )
        }
        (Some(expected), None) => format!(
            "account {leaf} ({}) is missing or does not decode",
            expected.public_key
        ),
        (None, Some(found)) => format!(
            "account {leaf} ({}) is in the store and not in the candidate",
            found.public_key
        ),
        (None, None) => String::new(),
    }
}

fn short(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
