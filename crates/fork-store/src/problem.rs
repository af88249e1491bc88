//! What can be wrong with a store that opens.

use std::fmt;

use fork_types::{Class, LedgerHash, PublicKey, TokenId};

/// Problems kept: enough to see a pattern, few enough to read.
pub const PROBLEMS_KEPT_MAX: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// There is no account at all.
    NoAccounts,
    /// The accounts hash to another root.
    Root {
        /// The root asked for.
        expected: LedgerHash,
        /// The root of the accounts.
        found: LedgerHash,
    },
    /// Another number of accounts.
    AccountCount {
        /// The number asked for.
        expected: u64,
        /// The number in the store.
        found: u64,
    },
    /// Another number of entries than the accounts ask for.
    EntryCount {
        /// H + 3N + D + 1.
        expected: u64,
        /// The number in the store.
        found: u64,
    },
    /// Indices are not 0, 1, 2, …
    Gap {
        /// The next index.
        expected: u64,
        /// The next index in the store.
        found: u64,
    },
    /// An account's key that is malformed.
    AccountKey {
        /// The key, described.
        key: String,
        /// What is wrong with it.
        error: String,
    },
    /// An account that does not decode.
    Account {
        /// Leaf index.
        index: u64,
        /// What is wrong with it.
        error: String,
    },
    /// The accounts are not the bytes that were written.
    AccountBytes,
    /// An entry that does not come after the one before it in the log.
    Order {
        /// What it is about.
        entry: String,
    },
    /// Two accounts of one owner and token.
    DuplicateAccount {
        /// Leaf index of one.
        first: u64,
        /// Leaf index of the other.
        second: u64,
        /// Owner.
        public_key: PublicKey,
        /// Token.
        token_id: TokenId,
    },
    /// An entry that the accounts ask for is not there.
    Missing {
        /// What it is about.
        entry: String,
        /// What it should hold.
        expected: String,
    },
    /// An entry that nothing asks for.
    Extra {
        /// What it is about.
        entry: String,
        /// What it holds.
        found: String,
    },
    /// An entry with another value than the accounts give.
    Different {
        /// What it is about.
        entry: String,
        /// What the accounts give.
        expected: String,
        /// What it holds.
        found: String,
    },
}

impl Problem {
    /// Whether the store is unreadable (bad input) or readable and wrong.
    fn class(&self) -> Class {
        match self {
            Self::AccountKey { .. } | Self::Account { .. } => Class::BadInput,
            Self::NoAccounts
            | Self::Root { .. }
            | Self::AccountCount { .. }
            | Self::EntryCount { .. }
            | Self::Gap { .. }
            | Self::AccountBytes
            | Self::Order { .. }
            | Self::DuplicateAccount { .. }
            | Self::Missing { .. }
            | Self::Extra { .. }
            | Self::Different { .. } => Class::Wrong,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccounts => f.write_str("it holds no account"),
            Self::Root { expected, found } => {
                write!(f, "the accounts hash to {found}, expected {expected}")
            }
            Self::AccountCount { expected, found } => {
                write!(f, "{found} accounts, expected {expected}")
            }
            Self::EntryCount { expected, found } => {
                write!(f, "{found} entries, expected {expected}")
            }
            Self::Gap { expected, found } => {
                write!(f, "account {expected} is missing; the next one is {found}")
            }
            Self::AccountKey { key, error } => write!(f, "malformed account {key}: {error}"),
            Self::Account { index, error } => write!(f, "account {index} is malformed: {error}"),
            Self::AccountBytes => {
                f.write_str("the bytes of some account are not those that were written")
            }
            Self::Order { entry } => write!(f, "{entry} does not come after the entry before it"),
            Self::DuplicateAccount {
                first,
                second,
                public_key,
                token_id,
            } => write!(
                f,
                "accounts {first} and {second} are both of {public_key}, token {token_id}"
            ),
            Self::Missing { entry, expected } => {
                write!(f, "{entry} is missing, expected {expected}")
            }
            Self::Extra { entry, found } => write!(f, "{entry} should not exist, found {found}"),
            Self::Different {
                entry,
                expected,
                found,
            } => write!(f, "{entry}: found {found}, expected {expected}"),
        }
    }
}

/// At most [`PROBLEMS_KEPT_MAX`] problems, and the number of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    total: u64,
}

impl Problems {
    /// Counts a problem and keeps it if there is room; `problem` is made only then.
    pub(crate) fn push_with(&mut self, problem: impl FnOnce() -> Problem) {
        self.total += 1;
        if self.kept.len() < PROBLEMS_KEPT_MAX {
            self.kept.push(problem());
        }
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        self.push_with(|| problem);
    }

    /// Counts a problem and puts it first: what sums up all others must not be pushed out by them.
    pub(crate) fn push_first(&mut self, problem: Problem) {
        self.total += 1;
        self.kept.truncate(PROBLEMS_KEPT_MAX - 1);
        self.kept.insert(0, problem);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The problems kept: the wrong root and number of accounts, then the others in the order found.
    #[must_use]
    pub fn kept(&self) -> &[Problem] {
        &self.kept
    }

    /// Number of all problems.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bad input if something could not be read, else wrong.
    pub(crate) fn class(&self) -> Class {
        let unreadable = |problem: &Problem| problem.class() == Class::BadInput;
        if self.kept.iter().any(unreadable) {
            Class::BadInput
        } else {
            Class::Wrong
        }
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self.class() {
            Class::BadInput => {
                "check that --era is the era of the store; if it is, the store is damaged"
            }
            _ => {
                "do not publish this store; write it again from its accounts and compare their root with the source's"
            }
        }
    }
}

impl fmt::Display for Problems {
    /// All kept problems, separated by semicolons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.kept.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        let hidden = self.total - self.kept.len() as u64;
        if hidden > 0 {
            write!(f, "; and {hidden} more problem(s)")?;
        }
        Ok(())
    }
}
