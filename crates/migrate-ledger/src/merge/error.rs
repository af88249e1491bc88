//! Why shards could not be merged.

use std::path::PathBuf;

use fork_types::{Class, Fault, LedgerHash, Role, StateHash};

use crate::plan::SHARDS_MAX;

/// Why shards could not be merged; what can also happen to whole ledgers is in
/// [`MigrateLedgerError`](crate::MigrateLedgerError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// More directories than there can be shards.
    #[error("{found} shards are given, expected at most {SHARDS_MAX}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A document that contradicts itself.
    #[error("the document of shard `{}` contradicts itself: {problem}", shard.display())]
    Inconsistent {
        /// Directory of the shard.
        shard: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Two shards that were not made by the same command line.
    #[error(
        "shard `{}` does not belong to shard `{}`: its {what} is {found}, expected {expected}",
        shard.display(),
        other.display()
    )]
    Differs {
        /// Directory of the shard.
        shard: PathBuf,
        /// Directory of the shard it is compared with.
        other: PathBuf,
        /// What differs.
        what: String,
        /// Of the other shard.
        expected: String,
        /// Of this shard.
        found: String,
    },
    /// One shard twice.
    #[error("shard {number}/{of} is given twice: `{}` and `{}`", first.display(), second.display())]
    Twice {
        /// Number of the shard.
        number: u32,
        /// Number of shards.
        of: u32,
        /// One directory.
        first: PathBuf,
        /// The other directory.
        second: PathBuf,
    },
    /// Shards that are not there.
    #[error("of {of} shards, {missing} are not given")]
    Missing {
        /// Their numbers, such as `2/4, 3/4`.
        missing: String,
        /// The first of them.
        first: String,
        /// Number of shards.
        of: u32,
    },
    /// Accounts that no shard has.
    #[error(
        "accounts {expected} to {last} of the {role} ledger are in no shard: `{}` begins at \
         account {found}",
        shard.display()
    )]
    Gap {
        /// The ledger.
        role: Role,
        /// Directory of the shard behind the gap.
        shard: PathBuf,
        /// Where it should begin.
        expected: u32,
        /// Last account of the gap.
        last: u32,
        /// Where it begins.
        found: u32,
    },
    /// Accounts that two shards have.
    #[error(
        "accounts {found} to {last} of the {role} ledger are in two shards: `{}` begins at account \
         {found}, expected {expected}",
        shard.display()
    )]
    Overlap {
        /// The ledger.
        role: Role,
        /// Directory of the second shard.
        shard: PathBuf,
        /// Where it should begin.
        expected: u32,
        /// Last account that both have.
        last: u32,
        /// Where it begins.
        found: u32,
    },
    /// The last shard does not end with the ledger.
    #[error(
        "the {role} ledger has {expected} accounts, but the last shard, `{}`, ends with number {found}",
        shard.display()
    )]
    End {
        /// The ledger.
        role: Role,
        /// Directory of the last shard.
        shard: PathBuf,
        /// Accounts of the ledger.
        expected: u32,
        /// Accounts up to the shard's end.
        found: u32,
    },
    /// The shards name a candidate, and none is given.
    #[error(
        "the shards were made from a candidate of {network} (fork block {state_hash}), but --candidate \
         is not given"
    )]
    CandidateMissing {
        /// Network of the candidate.
        network: String,
        /// Fork block of the candidate.
        state_hash: StateHash,
    },
    /// A candidate is given, and the shards name none.
    #[error(
        "--candidate `{}` is given, but shard `{}` was made from a bare account list",
        candidate.display(),
        shard.display()
    )]
    NotOfCandidate {
        /// The candidate's directory.
        candidate: PathBuf,
        /// Directory of a shard.
        shard: PathBuf,
    },
    /// The shards name another candidate.
    #[error(
        "candidate `{}` is not the one that shard `{}` was made from: {what} is {found}, expected \
         {expected}",
        candidate.display(),
        shard.display()
    )]
    OtherCandidate {
        /// The candidate's directory.
        candidate: PathBuf,
        /// Directory of a shard.
        shard: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the shard says.
        expected: String,
        /// What the candidate says.
        found: String,
    },
    /// A source root to compare with, and none that was computed.
    #[error("--source-root is given, but the shards were made with --skip-source-root")]
    NoSourceRoots,
    /// The leaves of a shard do not hash to its subtrees.
    #[error(
        "the accounts of the {role} ledger from {leaf} on hash to the subtree {}, but `{}` says \
         {claimed}",
        computed.map_or_else(|| "of nothing".to_owned(), |root| root.to_string()),
        shard.display()
    )]
    SubtreeRoot {
        /// The ledger.
        role: Role,
        /// Directory of the shard.
        shard: PathBuf,
        /// First account of the subtree.
        leaf: u64,
        /// What the document says.
        claimed: LedgerHash,
        /// What the hashes of the piece give; `None` where there are no accounts.
        computed: Option<LedgerHash>,
    },
    /// The migrated ledger is not the one the caller expects.
    #[error("the migrated {role} ledger hashes to {computed}, expected {expected} (--expect-root)")]
    TargetRoot {
        /// The ledger.
        role: Role,
        /// What was expected.
        expected: LedgerHash,
        /// What came out.
        computed: LedgerHash,
    },
}

impl Fault for MergeError {
    fn class(&self) -> Class {
        match self {
            Self::TooMany { .. }
            | Self::Twice { .. }
            | Self::CandidateMissing { .. }
            | Self::NotOfCandidate { .. }
            | Self::NoSourceRoots => Class::Usage,
            Self::Inconsistent { .. }
            | Self::Differs { .. }
            | Self::Missing { .. }
            | Self::Gap { .. }
            | Self::Overlap { .. }
            | Self::End { .. }
            | Self::OtherCandidate { .. } => Class::BadInput,
            Self::SubtreeRoot { .. } | Self::TargetRoot { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooMany { .. } => return None,
            Self::Inconsistent { .. } => "make this shard again",
            Self::Differs { .. } => {
                "make all shards with the same options from the same candidate, and merge only those"
            }
            Self::Twice { .. } => "name every shard once",
            Self::Missing { first, .. } => {
                return Some(format!(
                    "name the directories of all shards; one that does not exist is made with \
                     `migrate-ledger shard --shard {first}` and the options of the others"
                ));
            }
            Self::Gap { .. } | Self::Overlap { .. } | Self::End { .. } => {
                "make all shards again with the same version of this program"
            }
            Self::CandidateMissing { .. } => {
                "pass --candidate with the directory the shards were made from; its document is enough"
            }
            Self::NotOfCandidate { .. } => {
                "leave --candidate out and pass --source-root, or make the shards with --candidate"
            }
            Self::OtherCandidate { .. } => {
                "pass the candidate that the shards were made from, or make them again from this one"
            }
            Self::NoSourceRoots => {
                "leave --source-root out, or make the shards without --skip-source-root"
            }
            Self::SubtreeRoot { .. } => {
                "the shard's piece and its document do not belong together: make it again"
            }
            Self::TargetRoot { .. } => {
                "migrate this ledger in one run with the same --expect-root: that says whether another \
                 variant of the rule gives it"
            }
        };
        Some(hint.to_owned())
    }
}
