//! What can go wrong.

use std::io;
use std::path::PathBuf;

use fork_fs::FsError;
use fork_genesis::BlockError;
use fork_ledger::diagnose::ConvertError;
use fork_ledger::hash::HashError;
use fork_ledger::json::{AccountError, LedgerObjectError, ListedAccountError, StreamError};
use fork_ledger::merkle::MerkleError;
use fork_store::StoreError;
use fork_types::{Class, Era, Fault, LedgerHash, Role, StateHash};
use fork_worker::InputError;

/// Why an account of a list was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The account cannot be read by the rules asked for.
    #[error(transparent)]
    Account(#[from] ListedAccountError),
    /// It has no hash in the era asked for.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// It has no room in the tree.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// It has no place in what is tried.
    #[error("{0}")]
    Unfit(String),
    /// Its line could not be written.
    #[error("could not write to standard output")]
    Stdout(#[source] io::Error),
}

impl From<ConvertError> for LeafError {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Account(error) => Self::Account(error),
            error => Self::Unfit(error.to_string()),
        }
    }
}

impl Fault for LeafError {
    fn class(&self) -> Class {
        match self {
            Self::Account(error) => error.class(),
            Self::Hash(error) => error.class(),
            Self::Merkle(error) => error.class(),
            Self::Unfit(_) => Class::BadInput,
            Self::Stdout(_) => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Account(error) => error.hint(),
            Self::Hash(error) => error.hint(),
            Self::Merkle(_) => Some("give the tree's real depth with --depth".to_owned()),
            Self::Unfit(_) | Self::Stdout(_) => None,
        }
    }
}

/// Why something could not be looked into, or what it contradicts.
///
/// One word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InspectError(Box<InspectErrorKind>);

/// The cases of [`InspectError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectErrorKind {
    /// The file or URL.
    #[error(transparent)]
    Input(InputError),
    /// The accounts in it.
    #[error("could not use the accounts of `{file}`")]
    Accounts {
        /// Path or URL.
        file: String,
        /// What is wrong, and after how many accounts.
        source: StreamError<LeafError>,
    },
    /// The accounts to be converted.
    #[error("could not convert the accounts of `{file}`")]
    Convert {
        /// Path or URL.
        file: String,
        /// What is wrong, and after how many accounts.
        source: StreamError<ListedAccountError>,
    },
    /// An era whose accounts have no second form.
    #[error("accounts of era {era} have no bin_prot form here")]
    NoForm {
        /// The era.
        era: Era,
    },
    /// The file to be written.
    #[error(transparent)]
    File(FsError),
    /// The document has no such list.
    #[error("`{file}` has no accounts of the {role} ledger")]
    NoLedger {
        /// Path or URL.
        file: String,
        /// The ledger asked for.
        role: Role,
        /// Whether there is a ledger object, only without accounts.
        named_only: bool,
    },
    /// The ledger object asks for what cannot be computed.
    #[error("could not build the ledger of `{file}` as a daemon does")]
    LedgerObject {
        /// Path or URL.
        file: String,
        /// What it asks for.
        source: LedgerObjectError,
    },
    /// A v1 object that asks for the genesis winner.
    #[error(
        "the ledger object of `{file}` asks for the genesis winner, which is not supported in v1"
    )]
    WinnerV1 {
        /// Path or URL.
        file: String,
    },
    /// The winner itself.
    #[error("could not make the genesis winner's account")]
    Winner(#[source] AccountError),
    /// The winner's leaf.
    #[error("could not hash the genesis winner's account")]
    WinnerHash(#[source] LeafError),
    /// A block that cannot be read.
    #[error("could not use the block `{file}`")]
    Block {
        /// Path or URL.
        file: String,
        /// Why not.
        source: BlockError,
    },
    /// A block that is not the one it is said to be.
    #[error("block `{file}` has state hash {computed}, {claimant} says {claimed}")]
    StateHashDiffers {
        /// Path or URL.
        file: String,
        /// Who says otherwise: `its name` or `--expect`.
        claimant: &'static str,
        /// What is said.
        claimed: StateHash,
        /// What was computed.
        computed: StateHash,
    },
    /// A block of another height than its name says.
    #[error("block `{file}` has height {found}, its name says {claimed}")]
    HeightDiffers {
        /// Path or URL.
        file: String,
        /// What the name says.
        claimed: u32,
        /// What the block says.
        found: u32,
    },
    /// An expectation that cannot be proved or disproved.
    #[error("block `{file}` cannot be compared with --expect: {reason}")]
    NotComparable {
        /// Path or URL.
        file: String,
        /// Why not.
        reason: &'static str,
    },
    /// A block that contradicts itself.
    #[error("block `{file}` contradicts itself: {}", ids.join(", "))]
    Contradiction {
        /// Path or URL.
        file: String,
        /// The problems' identifiers.
        ids: Vec<&'static str>,
    },
    /// A root that nothing known explains.
    #[error("`{file}` has root {computed}, expected {expected}, and no known mistake explains it")]
    Unexplained {
        /// Path or URL.
        file: String,
        /// Root of the list.
        computed: LedgerHash,
        /// Root it should have.
        expected: LedgerHash,
    },
    /// A list that can be read in no way that was tried and gives the expected root.
    #[error(
        "`{file}` cannot be read as asked, and no other reading gives root {expected}: {reason}"
    )]
    UnexplainedReading {
        /// Path or URL.
        file: String,
        /// Why it cannot be read as asked.
        reason: String,
        /// Root it should have.
        expected: LedgerHash,
    },
    /// A store that cannot be read.
    #[error(transparent)]
    Store(StoreError),
    /// Two stores that are not the same.
    #[error("`{}` and `{}` differ in {entries} entries", left.display(), right.display())]
    StoresDiffer {
        /// The one store.
        left: PathBuf,
        /// The other.
        right: PathBuf,
        /// Entries that differ or are in one only.
        entries: u64,
    },
    /// A store with another content than it should have.
    #[error("`{}` has content digest {found}, {wanted_by} has {wanted}", path.display())]
    ContentDiffers {
        /// The store.
        path: PathBuf,
        /// Its content digest.
        found: String,
        /// The one it should have.
        wanted: String,
        /// Who has that: another store or `--expect`.
        wanted_by: String,
    },
    /// Standard output is closed or full.
    #[error("could not write to standard output")]
    Stdout(#[source] io::Error),
}

impl InspectError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &InspectErrorKind {
        &self.0
    }
}

impl From<InspectErrorKind> for InspectError {
    fn from(kind: InspectErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<InputError> for InspectError {
    fn from(source: InputError) -> Self {
        InspectErrorKind::Input(source).into()
    }
}

impl From<FsError> for InspectError {
    fn from(source: FsError) -> Self {
        InspectErrorKind::File(source).into()
    }
}

impl From<StoreError> for InspectError {
    fn from(source: StoreError) -> Self {
        InspectErrorKind::Store(source).into()
    }
}

impl Fault for InspectError {
    fn class(&self) -> Class {
        match self.kind() {
            InspectErrorKind::Input(error) => error.class(),
            InspectErrorKind::Accounts { source, .. } => source.class(),
            InspectErrorKind::LedgerObject { source, .. } => source.class(),
            InspectErrorKind::Convert { source, .. } => source.class(),
            InspectErrorKind::File(error) => error.class(),
            InspectErrorKind::NoForm { .. } => Class::Usage,
            InspectErrorKind::NoLedger { .. }
            | InspectErrorKind::WinnerV1 { .. }
            | InspectErrorKind::NotComparable { .. } => Class::BadInput,
            InspectErrorKind::Winner(_) | InspectErrorKind::WinnerHash(_) => Class::Internal,
            InspectErrorKind::Block { source, .. } => source.class(),
            InspectErrorKind::StateHashDiffers { .. }
            | InspectErrorKind::HeightDiffers { .. }
            | InspectErrorKind::Contradiction { .. }
            | InspectErrorKind::Unexplained { .. }
            | InspectErrorKind::UnexplainedReading { .. }
            | InspectErrorKind::StoresDiffer { .. }
            | InspectErrorKind::ContentDiffers { .. } => Class::Wrong,
            InspectErrorKind::Store(error) => error.class(),
            InspectErrorKind::Stdout(_) => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self.kind() {
            InspectErrorKind::Input(error) => return error.hint(),
            InspectErrorKind::Accounts { source, .. } => return source.hint(),
            InspectErrorKind::LedgerObject { source, .. } => return source.hint(),
            InspectErrorKind::Convert { source, .. } => return source.hint(),
            InspectErrorKind::File(error) => return error.hint(),
            InspectErrorKind::Block { source, .. } => return source.hint(),
            InspectErrorKind::Store(error) => return error.hint(),
            InspectErrorKind::NoLedger {
                named_only: true, ..
            } => "the document only names the ledger by its hash; export its accounts first",
            InspectErrorKind::NoLedger {
                role: Role::Next, ..
            } => {
                "a document without a next epoch ledger uses the staking one for both: \
                 --ledger staking"
            }
            InspectErrorKind::NoLedger { .. } => {
                "accounts are looked for in a bare array, `accounts`, `ledger`, `genesis_ledger` \
                 and `epoch_data`; --ledger selects one of several"
            }
            InspectErrorKind::WinnerV1 { .. } => {
                "put the winner's account in front of the list, or use --winner no"
            }
            InspectErrorKind::StateHashDiffers { .. } | InspectErrorKind::HeightDiffers { .. } => {
                "the file is renamed, altered or another block; fetch it again from a daemon or its \
                 upload bucket"
            }
            InspectErrorKind::NotComparable { .. } => {
                "leave out --expect and compare the printed facts by hand"
            }
            InspectErrorKind::Contradiction { .. } => {
                "the block was altered or put together by hand; fetch it from a daemon"
            }
            InspectErrorKind::StoresDiffer { .. } => {
                "the first differences are on standard output; more with --max"
            }
            InspectErrorKind::ContentDiffers { .. } => {
                "`inspect-ledger diff` shows which entries differ, accounts field by field"
            }
            InspectErrorKind::Unexplained { .. } => {
                "an account was changed, or two mistakes were made at once: get another export of \
                 the ledger and give it with --reference"
            }
            InspectErrorKind::UnexplainedReading { .. } => {
                "repair the list or get another export of it; what was tried is on standard output"
            }
            InspectErrorKind::Winner(_)
            | InspectErrorKind::WinnerHash(_)
            | InspectErrorKind::NoForm { .. }
            | InspectErrorKind::Stdout(_) => return None,
        };
        Some(text.to_owned())
    }
}
