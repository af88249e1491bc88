//! Why a ledger could not be migrated.

use fork_fs::FsError;
use fork_ledger::hash::HashError;
use fork_ledger::json::{ListedAccountError, StreamError};
use fork_ledger::merkle::MerkleError;
use fork_ledger::migrate::{MigrateError, RuleError, SupplyMismatch};
use fork_store::StoreError;
use fork_types::{Class, Fault, LedgerHash, Role};
use fork_worker::InputError;

use crate::merge::MergeError;
use crate::shard::ShardError;

/// What stopped a pass over the accounts.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// An account that cannot be migrated.
    #[error("account {index} cannot be migrated")]
    Migrate {
        /// Leaf index.
        index: u64,
        /// Why not.
        source: MigrateError,
    },
    /// An account that cannot be hashed.
    #[error("an account from {first} on cannot be hashed")]
    Hash {
        /// Leaf index of the first account of the batch.
        first: u64,
        /// Why not.
        source: HashError,
    },
    /// The tree is too small.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault for PassError {
    fn class(&self) -> Class {
        match self {
            Self::Migrate { source, .. } => source.class(),
            Self::Hash { source, .. } => source.class(),
            Self::Merkle(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Migrate { source, .. } => source.hint(),
            Self::Hash { source, .. } => source.hint(),
            Self::Merkle(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Why `migrate-ledger` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateLedgerError {
    /// The account list is bad.
    #[error("account list `{name}`")]
    Accounts {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: Box<StreamError<ListedAccountError>>,
    },
    /// The accounts of a list cannot be migrated, hashed or stored.
    #[error("account list `{name}`")]
    Work {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: Box<PassError>,
    },
    /// The input could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// The pair of eras, the variant or the fork slot name no rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A step after the pass over the accounts failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Something about a shard.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Something about shards that are merged.
    #[error(transparent)]
    Merge(Box<MergeError>),
    /// Nothing to migrate.
    #[error("neither --candidate nor --accounts is given")]
    NoSource,
    /// The candidate was made under another era's rules.
    #[error("the candidate's ledgers follow the rules of {found}, but --from says {expected}")]
    Era {
        /// `--from`.
        expected: fork_types::Era,
        /// The candidate's.
        found: fork_types::Era,
    },
    /// Nothing to compare the source root with.
    #[error("nothing claims a root for the {role} ledger, so {computed} cannot be verified")]
    Unverified {
        /// The ledger.
        role: Role,
        /// What the accounts hash to.
        computed: LedgerHash,
    },
    /// The accounts are not the ledger that was claimed.
    #[error(
        "the accounts of the {role} ledger in `{name}` hash to {computed}, expected {expected} \
         (claimed by {by})"
    )]
    SourceRoot {
        /// The ledger.
        role: Role,
        /// The account list.
        name: String,
        /// What was claimed.
        expected: LedgerHash,
        /// By whom.
        by: String,
        /// What the accounts hash to.
        computed: LedgerHash,
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
        /// The variant of the rule that gives the expected root, if one does.
        matching_variant: Option<String>,
    },
    /// An option that names one ledger's root, for several ledgers.
    #[error("{option} names the root of one ledger, but {roles} roles are given")]
    RootOfSeveral {
        /// The option.
        option: &'static str,
        /// Number of roles.
        roles: usize,
    },
    /// A role given twice.
    #[error("--role {role} is given twice")]
    RoleTwice {
        /// The role.
        role: Role,
    },
    /// The candidate does not say that the source root was computed.
    #[error(
        "the candidate does not say that the root of its {role} ledger was computed and equals the \
         claimed one"
    )]
    SourceRootNotComputed {
        /// The ledger.
        role: Role,
    },
    /// Money was made or lost: a bug.
    #[error(transparent)]
    Supply(#[from] SupplyMismatch),
    /// More accounts than documents can say.
    #[error("{found} accounts are more than a ledger document can count")]
    TooManyAccounts {
        /// How many.
        found: u64,
    },
}

impl From<MergeError> for MigrateLedgerError {
    fn from(error: MergeError) -> Self {
        Self::Merge(Box::new(error))
    }
}

impl Fault for MigrateLedgerError {
    fn class(&self) -> Class {
        match self {
            Self::Accounts { source, .. } => source.class(),
            Self::Work { source, .. } => source.class(),
            Self::Input(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Rule(error) => error.class(),
            Self::Pass(error) => error.class(),
            Self::Supply(error) => error.class(),
            Self::Shard(error) => error.class(),
            Self::Merge(error) => error.class(),
            Self::NoSource
            | Self::Era { .. }
            | Self::Unverified { .. }
            | Self::RootOfSeveral { .. }
            | Self::RoleTwice { .. }
            | Self::SourceRootNotComputed { .. } => Class::Usage,
            Self::SourceRoot { .. } | Self::TargetRoot { .. } => Class::Wrong,
            Self::TooManyAccounts { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Accounts { source, .. } => return source.hint(),
            Self::Work { source, .. } => return source.hint(),
            Self::Input(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Rule(error) => return error.hint(),
            Self::Pass(error) => return error.hint(),
            Self::Supply(error) => return error.hint(),
            Self::Shard(error) => return error.hint(),
            Self::Merge(error) => return error.hint(),
            Self::TooManyAccounts { .. } | Self::NoSource | Self::RoleTwice { .. } => return None,
            Self::RootOfSeveral { .. } => "migrate that ledger in a run of its own",
            Self::SourceRootNotComputed { .. } => {
                "leave --skip-source-root out: the root is then computed here"
            }
            Self::Era { found, .. } => {
                return Some(format!(
                    "pass --from {found}, or import the candidate again"
                ));
            }
            Self::Unverified { .. } => {
                "give the block at import, or --source-root ROOT from a source you trust; \
                 --unverified-source goes on without, and every later document will say so"
            }
            Self::SourceRoot { .. } => {
                "these are not the accounts of that ledger: dump them again (the daemon may have \
                 moved on, or its fork_config exporter changed permissions), and check --from"
            }
            Self::TargetRoot {
                matching_variant: Some(variant),
                ..
            } => {
                return Some(format!(
                    "the expected root is that of --variant {variant}; whoever published it used \
                     that variant"
                ));
            }
            Self::TargetRoot { .. } => {
                "no variant of this rule gives the expected root; check --from, --to, --fork-slot \
                 and that the candidate is the one the root was published for"
            }
        };
        Some(hint.to_owned())
    }
}
