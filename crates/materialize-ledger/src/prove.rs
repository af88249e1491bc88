//! A staged ledger that is proved, wherever its accounts go.

use fork_archive::{Archive, ArchiveBlock, BlockChoice, Branch};
use fork_types::Era;
use fork_worker::{Context, Unit};

use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::{AccountSink, Materialized, gather};

/// A block, found and led back to its genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The block.
    pub block: ArchiveBlock,
    /// Its era.
    pub era: Era,
    /// Its branch.
    pub branch: Branch,
}

impl Located {
    /// Finds a block and walks to its genesis.
    ///
    /// # Errors
    ///
    /// Fails as [`Archive::block`], [`Archive::era`] and [`Archive::branch`] do.
    pub fn find(archive: &mut Archive, choice: &BlockChoice) -> Result<Self, MaterializeError> {
        let block = archive.block(choice)?;
        let era = archive.era(&block)?;
        let branch = archive.branch(&block)?;
        Ok(Self { block, era, branch })
    }
}

/// A staged ledger whose root is its block's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The block.
    pub at: Located,
    /// How many accounts.
    pub accounts: u64,
    /// Money of the default token, in nanomina.
    pub total: u128,
}

/// Reads the staged ledger after a block from an open archive and compares its root. What went into
/// `list` is the ledger only when this succeeds. Why a root is wrong is not looked for.
///
/// # Errors
///
/// Fails when the block or accounts are not there, and on any other root than the block's.
pub fn prove_staged(
    archive: &mut Archive,
    choice: &BlockChoice,
    list: Option<&mut dyn AccountSink>,
    context: &Context,
) -> Result<Proved, MaterializeError> {
    let at = Located::find(archive, choice)?;
    if archive.rows_of(&at.branch.genesis)? == 0 {
        return Err(no_genesis_accounts(&at));
    }
    let progress = context.progress("reading accounts", 0, Unit::Items);
    let ledger = gather(archive, &at.block, at.era, None, list, &progress)?;
    if ledger.root != Some(at.block.ledger_hash) {
        return Err(wrong(&at.block, &ledger, Vec::new()));
    }
    Ok(Proved {
        at,
        accounts: ledger.leaves,
        total: ledger.total,
    })
}

/// The error that the accounts of the genesis are not there.
pub(crate) fn no_genesis_accounts(at: &Located) -> MaterializeError {
    MaterializeErrorKind::NoGenesisAccounts {
        genesis: at.branch.genesis.state_hash,
        height: at.branch.genesis.height,
        state_hash: at.block.state_hash,
    }
    .into()
}

/// The error that the ledger is not the block's.
pub(crate) fn wrong(
    block: &ArchiveBlock,
    ledger: &Materialized,
    causes: Vec<String>,
) -> MaterializeError {
    let state_hash = block.state_hash;
    match ledger.root {
        Some(computed) => MaterializeErrorKind::Root {
            state_hash,
            accounts: ledger.leaves,
            computed,
            expected: block.ledger_hash,
            causes,
        },
        None if ledger.repeats.count > 0 => MaterializeErrorKind::Repeats {
            state_hash,
            shown: ledger.repeats.shown(),
            causes,
        },
        None => MaterializeErrorKind::Holes {
            state_hash,
            count: ledger.holes.count,
            leaves: ledger.leaves,
            shown: ledger.holes.shown(),
            causes,
        },
    }
    .into()
}
