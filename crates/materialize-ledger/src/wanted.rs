//! Why a ledger that is known by its root is not there.

use fork_archive::SnarkedRange;
use fork_types::{Class, Fault, LedgerHash, Role, StateHash};

use crate::find::named;

/// A search that found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// Root that was looked for.
    pub root: LedgerHash,
    /// The block whose branch was looked at.
    pub tip: StateHash,
    /// Where the ledger must lie; `None` when no block of the branch has it as its snarked ledger.
    pub range: Option<SnarkedRange>,
    /// Whether the chain's genesis block names it as an epoch ledger: then it is none of this chain.
    pub is_first: bool,
    /// Blocks that were taken apart.
    pub blocks: u32,
    /// Places inside them that were tried.
    pub prefixes: u64,
    /// Of these, places at which an account is not known, because it pays for a zkApp command before
    /// and for something behind it.
    pub unknown: u64,
    /// Blocks in which the order of transactions begins again, by height: where the ledger probably
    /// lies.
    pub by_order: Vec<(u32, StateHash)>,
    /// Whether the range has more blocks than are taken apart.
    pub too_long: bool,
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no block of the archive has the staged ledger {}, and ",
            self.root
        )?;
        let Some(range) = self.range else {
            return write!(
                f,
                "none on the branch of {} has it as its snarked ledger{}",
                self.tip,
                if self.is_first {
                    ": the chain began with it as an epoch ledger"
                } else {
                    ""
                }
            );
        };
        let (lowest, highest) = (range.above.saturating_add(1), range.up_to);
        if self.too_long {
            return write!(
                f,
                "the blocks it can lie in, from height {lowest} to {highest}, are too many to look \
                 inside"
            );
        }
        write!(
            f,
            "it is not found inside those from height {lowest} to {highest} either ({} blocks, {} \
             places",
            self.blocks, self.prefixes
        )?;
        if self.unknown > 0 {
            write!(
                f,
                ", at {} of which the archive does not give an account's receipt chain",
                self.unknown
            )?;
        }
        f.write_str(")")?;
        match self.by_order.as_slice() {
            [] => Ok(()),
            blocks => {
                let blocks = blocks.iter().map(|(height, hash)| named(*height, *hash));
                let blocks: Vec<String> = blocks.collect();
                write!(
                    f,
                    "; by the order of its transactions a tree ends in {}",
                    blocks.join(", ")
                )
            }
        }
    }
}

/// Why a ledger that was asked for by its root, or a candidate, is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WantedError {
    /// The archive does not give it.
    #[error("{0}")]
    NotFound(Box<NotFound>),
    /// A block of the range is not what it says.
    #[error(
        "the ledger {wanted} cannot be had: the accounts after block {} hash to {computed}, \
         and the block has the ledger {expected}", named(*height, *state_hash)
    )]
    Broken {
        /// The ledger that was looked for.
        wanted: LedgerHash,
        /// The block.
        state_hash: StateHash,
        /// Its height.
        height: u32,
        /// What its accounts hash to.
        computed: String,
        /// What they should.
        expected: LedgerHash,
    },
    /// Epoch ledgers are missing.
    #[error(
        "the archive lacks {}: {}",
        .missing.iter().map(|(role, _)| format!("the {role} ledger")).collect::<Vec<_>>().join(" and "),
        .missing.iter().map(|(_, search)| search.to_string()).collect::<Vec<_>>().join("; ")
    )]
    Missing {
        /// Each with what was tried.
        missing: Vec<(Role, NotFound)>,
    },
    /// A written list has another root than the search.
    #[error("the accounts written for ledger {wanted} hash to {computed}")]
    Other {
        /// The ledger.
        wanted: LedgerHash,
        /// What came of it.
        computed: String,
    },
    /// A ledger from a file is another one.
    #[error(
        "the {accounts} accounts of {file} {}, and the {role} ledger of the fork block is {expected}",
        .computed.map_or_else(|| "have no root".to_owned(), |root| format!("hash to {root}"))
    )]
    OtherFile {
        /// The file.
        file: String,
        /// What it was given as.
        role: Role,
        /// Its accounts.
        accounts: u64,
        /// Their root.
        computed: Option<LedgerHash>,
        /// The root it must have.
        expected: LedgerHash,
    },
}

impl Fault for WantedError {
    fn class(&self) -> Class {
        match self {
            // What was looked through and is not there is wrong; what could not be looked through may
            // come.
            Self::NotFound(search) if search.range.is_some() && !search.too_long => Class::Wrong,
            Self::NotFound(_) | Self::Missing { .. } => Class::Pending,
            Self::Broken { .. } | Self::OtherFile { .. } | Self::Other { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound(_) => {
                "a daemon's export of this ledger, or a replayer's output, is what is left"
            }
            Self::Missing { missing } => {
                let wanted = |(role, search): &(Role, NotFound)| {
                    let option = match role {
                        Role::Next => "--next-staking-ledger",
                        Role::Genesis | Role::Staking => "--staking-ledger",
                    };
                    let from = if search.is_first {
                        "the config this chain began with"
                    } else {
                        "a daemon's export or a replayer's output"
                    };
                    format!(
                        "give the accounts of {} with {option} FILE, from {from}",
                        search.root
                    )
                };
                let hints: Vec<String> = missing.iter().map(wanted).collect();
                return Some(hints.join("\n      "));
            }
            Self::Broken { .. } => {
                "rows of that block are missing or wrong; `materialize-ledger staged` for it says \
                 more"
            }
            Self::OtherFile { .. } => {
                "it must be the ledger before migration, with its accounts in leaf order"
            }
            Self::Other { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
