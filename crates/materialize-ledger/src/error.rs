//! What `materialize-ledger` can end with.

use std::path::PathBuf;

use fork_archive::{ArchiveError, PopulateError};
use fork_fs::FsError;
use fork_genesis::config::ConfigError;
use fork_genesis::schedule::ScheduleError;
use fork_ledger::diagnose::ConvertError;
use fork_ledger::hash::HashError;
use fork_ledger::json::{ListedAccountError, StreamError};
use fork_ledger::merkle::MerkleError;
use fork_store::StoreError;
use fork_types::{Class, Era, Fault, LedgerHash, StateHash};
use fork_worker::InputError;

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct MaterializeError(Box<MaterializeErrorKind>);

impl MaterializeError {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &MaterializeErrorKind {
        &self.0
    }
}

impl<E: Into<MaterializeErrorKind>> From<E> for MaterializeError {
    fn from(kind: E) -> Self {
        Self(Box::new(kind.into()))
    }
}

/// The kinds of [`MaterializeError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterializeErrorKind {
    /// The archive did not give it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The list of genesis accounts cannot be read.
    #[error("the genesis accounts of {file} cannot be read")]
    Base {
        /// The file.
        file: String,
        /// Why not.
        source: StreamError<ListedAccountError>,
    },
    /// The configuration with genesis accounts cannot be read.
    #[error("the genesis accounts of the configuration {file} cannot be read")]
    BaseConfig {
        /// The file.
        file: String,
        /// Why not.
        source: StreamError<ConvertError>,
    },
    /// What was given for genesis accounts gives none.
    #[error("{file} {problem}")]
    NoBase {
        /// The file.
        file: String,
        /// What it is or has instead.
        problem: String,
    },
    /// A password that others can read.
    #[error("the password in {} can be read by others than its owner", path.display())]
    OpenPassword {
        /// The file.
        path: PathBuf,
    },
    /// An account that an archive cannot hold.
    #[error(transparent)]
    Populate(#[from] PopulateError),
    /// No tables for that era.
    #[error("no tables of that schema hold accounts of era {era}")]
    NoSchema {
        /// The era.
        era: Era,
    },
    /// A ledger store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list of genesis accounts is another ledger.
    #[error(
        "the {accounts} accounts of {file} hash to {computed}, and the genesis block {genesis} has \
         the ledger {expected}"
    )]
    OtherBase {
        /// The file.
        file: String,
        /// How many accounts it has.
        accounts: u64,
        /// Their root.
        computed: LedgerHash,
        /// The chain's genesis block.
        genesis: StateHash,
        /// That block's root.
        expected: LedgerHash,
    },
    /// No genesis accounts.
    #[error(
        "the archive has no accounts of the genesis block {genesis} at height {height}, on which \
         block {state_hash} is built"
    )]
    NoGenesisAccounts {
        /// The genesis block.
        genesis: StateHash,
        /// Its height.
        height: u32,
        /// The block asked for.
        state_hash: StateHash,
    },
    /// The config of the chain before the fork.
    #[error("prefork config `{name}`")]
    Prefork {
        /// As given.
        name: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// Its stop slots contradict themselves.
    #[error("the stop slots of the prefork config cannot be used")]
    Schedule(#[source] ScheduleError),
    /// Leaves without an account.
    #[error(
        "the ledger after block {state_hash} has holes: no account at {count} of {leaves} leaves \
         ({shown})"
    )]
    Holes {
        /// The block.
        state_hash: StateHash,
        /// How many.
        count: u64,
        /// Leaves up to the last account.
        leaves: u64,
        /// The first of them.
        shown: String,
        /// What it may come from.
        causes: Vec<String>,
    },
    /// Several accounts at one leaf.
    #[error("the ledger after block {state_hash} has several accounts at one leaf: {shown}")]
    Repeats {
        /// The block.
        state_hash: StateHash,
        /// The first leaves.
        shown: String,
        /// What it may come from.
        causes: Vec<String>,
    },
    /// The root is another one.
    #[error(
        "the {accounts} accounts after block {state_hash} hash to {computed}, and the block has the \
         ledger {expected}"
    )]
    Root {
        /// The block.
        state_hash: StateHash,
        /// How many accounts.
        accounts: u64,
        /// Their root.
        computed: LedgerHash,
        /// The block's.
        expected: LedgerHash,
        /// What it may come from.
        causes: Vec<String>,
    },
    /// An account has no hash.
    #[error("the accounts from leaf {first} on cannot be hashed")]
    Hash {
        /// The first leaf of the batch.
        first: u64,
        /// Why not.
        source: HashError,
    },
    /// More accounts than the tree has room for.
    #[error("the ledger has no root")]
    Merkle(#[from] MerkleError),
    /// A ledger known by its root, or a candidate.
    #[error(transparent)]
    Wanted(#[from] crate::wanted::WantedError),
    /// Epochs that do not follow from the blocks below.
    #[error(transparent)]
    Epochs(#[from] crate::epochs::EpochError),
    /// Another ledger that should be the same.
    #[error(transparent)]
    Compare(#[from] crate::compare::CompareError),
    /// No fork block.
    #[error(transparent)]
    Choice(#[from] crate::select::ChoiceError),
    /// stdout cannot be written to.
    #[error(transparent)]
    Output(#[from] fork_worker::OutputError),
    /// What the archive and other sources say does not fit together.
    #[error(transparent)]
    Contradiction(#[from] fork_genesis::candidate::ContradictionError),
    /// A network file that cannot be used.
    #[error("network `{name}`")]
    Network {
        /// File or name.
        name: String,
        /// What is wrong.
        source: fork_genesis::network::NetworkError,
    },
    /// A block file that cannot be read.
    #[error("the block {name}")]
    Block {
        /// The file.
        name: String,
        /// What is wrong.
        source: Box<fork_genesis::block::BlockError>,
    },
    /// An account list that cannot be read.
    #[error("the accounts of {file} cannot be read")]
    List {
        /// The file.
        file: String,
        /// Why not.
        source: StreamError<ListedAccountError>,
    },
    /// Nothing says which block.
    #[error("none of --state-hash, --height and --ledger-hash is given")]
    NoBlock,
}

impl Fault for MaterializeError {
    fn class(&self) -> Class {
        match self.kind() {
            MaterializeErrorKind::Archive(error) => error.class(),
            MaterializeErrorKind::File(error) => error.class(),
            MaterializeErrorKind::Input(error) => error.class(),
            MaterializeErrorKind::Base { source, .. } => source.class(),
            MaterializeErrorKind::Wanted(error) => error.class(),
            MaterializeErrorKind::Epochs(error) => error.class(),
            MaterializeErrorKind::Compare(error) => error.class(),
            MaterializeErrorKind::Choice(error) => error.class(),
            MaterializeErrorKind::Output(error) => error.class(),
            MaterializeErrorKind::Contradiction(error) => error.class(),
            MaterializeErrorKind::Network { source, .. } => source.class(),
            MaterializeErrorKind::Prefork { source, .. } => source.class(),
            MaterializeErrorKind::Schedule(error) => error.class(),
            MaterializeErrorKind::Block { source, .. } => source.class(),
            MaterializeErrorKind::List { source, .. } => source.class(),
            MaterializeErrorKind::BaseConfig { source, .. } => match source {
                StreamError::Read { .. } => Class::Environment,
                _ => Class::BadInput,
            },
            MaterializeErrorKind::NoBase { .. } => Class::BadInput,
            MaterializeErrorKind::Store(error) => error.class(),
            MaterializeErrorKind::Populate(error) => error.class(),
            MaterializeErrorKind::NoSchema { .. } | MaterializeErrorKind::OpenPassword { .. } => {
                Class::Usage
            }
            MaterializeErrorKind::NoGenesisAccounts { .. } => Class::Pending,
            MaterializeErrorKind::OtherBase { .. }
            | MaterializeErrorKind::Holes { .. }
            | MaterializeErrorKind::Repeats { .. }
            | MaterializeErrorKind::Root { .. } => Class::Wrong,
            MaterializeErrorKind::Hash { .. } => Class::BadInput,
            MaterializeErrorKind::Merkle(error) => error.class(),
            MaterializeErrorKind::NoBlock => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.kind() {
            MaterializeErrorKind::Archive(error) => error.hint(),
            MaterializeErrorKind::File(error) => error.hint(),
            MaterializeErrorKind::Input(error) => error.hint(),
            MaterializeErrorKind::Base { source, .. }
            | MaterializeErrorKind::List { source, .. } => source.hint(),
            MaterializeErrorKind::Wanted(error) => error.hint(),
            MaterializeErrorKind::Epochs(error) => error.hint(),
            MaterializeErrorKind::Compare(error) => error.hint(),
            MaterializeErrorKind::Choice(error) => error.hint(),
            MaterializeErrorKind::Output(error) => error.hint(),
            MaterializeErrorKind::Contradiction(error) => error.hint(),
            MaterializeErrorKind::Network { source, .. } => source.hint(),
            MaterializeErrorKind::Prefork { source, .. } => source.hint(),
            MaterializeErrorKind::Schedule(error) => error.hint(),
            MaterializeErrorKind::Block { source, .. } => source.hint(),
            MaterializeErrorKind::Store(error) => error.hint(),
            MaterializeErrorKind::Populate(error) => error.hint(),
            MaterializeErrorKind::OpenPassword { path } => {
                Some(format!("chmod 600 {}", path.display()))
            }
            MaterializeErrorKind::NoSchema { .. } => Some(
                "accounts of Berkeley fit into tables of Berkeley and Mesa, those of Mesa into \
                 tables of Mesa"
                    .to_owned(),
            ),
            MaterializeErrorKind::BaseConfig { .. } | MaterializeErrorKind::NoBase { .. } => Some(
                "it may be an account list or dump, a daemon's configuration with accounts or with \
                 its tarball beside it, a ledger tarball, a migrated ledger, or a candidate"
                    .to_owned(),
            ),
            MaterializeErrorKind::NoGenesisAccounts { .. } => Some(
                "give the genesis accounts with --genesis-accounts, or put them into the archive \
                 with the archive toolbox's populate-genesis-accounts"
                    .to_owned(),
            ),
            MaterializeErrorKind::OtherBase { .. } => Some(
                "it must be the ledger that this chain began with: for a chain after a hard fork, \
                 the migrated one"
                    .to_owned(),
            ),
            MaterializeErrorKind::Holes { causes, .. }
            | MaterializeErrorKind::Repeats { causes, .. }
            | MaterializeErrorKind::Root { causes, .. } => {
                (!causes.is_empty()).then(|| causes.join("\n      "))
            }
            MaterializeErrorKind::Hash { .. }
            | MaterializeErrorKind::Merkle(_)
            | MaterializeErrorKind::NoBlock => None,
        }
    }
}
