//! Do the transactions of a block give the accounts it left?
//!
//! What a ledger inside a block is made of, on a whole block, where the answer is known. It is how the
//! rules in [`crate::prefix`] are held against archives of real networks.

use fork_archive::{Archive, ArchiveBlock};
use fork_types::LedgerHash;
use fork_worker::{Context, Unit};

use crate::error::MaterializeError;
use crate::ledger::{Extras, Picked, materialize_with};
use crate::prefix::{Known, Prefixes};

/// What came of computing the accounts of a block from its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Root of the parent's ledger, computed; absent when that has holes.
    pub parent_root: Option<LedgerHash>,
    /// Accounts that the block touched.
    pub accounts: usize,
    /// Of these, accounts that come out as the block left them, in every member.
    pub equal: usize,
    /// Accounts that do so but for the receipt chain, which goes over a zkApp command.
    pub without_receipt: usize,
    /// Accounts that applied zkApp commands change, which are not computed.
    pub not_computed: usize,
    /// Leaves whose accounts come out otherwise.
    pub differing: Vec<u64>,
}

/// Computes the accounts of a block from those of its parent and its transactions, and compares.
///
/// # Errors
///
/// Fails when the archive does not give them.
pub fn recompute(
    archive: &mut Archive,
    block: &ArchiveBlock,
    parent: &ArchiveBlock,
    context: &Context,
) -> Result<Recomputed, MaterializeError> {
    let era = archive.era(block)?;
    let touched = archive.touched_leaves(std::slice::from_ref(block), usize::MAX)?;
    let extras = Extras {
        picked: Some(Picked::new(era, touched)),
        ..Extras::default()
    };
    let progress = context.progress("reading accounts", 0, Unit::Items);
    let ledger = materialize_with(archive, parent, extras, &progress)?;
    let before = ledger.picked.map(|picked| picked.accounts);
    let before = before.unwrap_or_default();
    let changes = archive.changes(block)?;
    let prefixes = Prefixes::new(&changes, &before, era);
    let mut result = Recomputed {
        parent_root: ledger.root,
        accounts: changes.accounts.len(),
        ..Recomputed::default()
    };
    for row in &changes.accounts {
        let leaf = u64::from(row.index);
        if prefixes.has_second_pass(leaf) {
            result.not_computed += 1;
            continue;
        }
        match prefixes.by_transactions(leaf, true) {
            Known::Account(account) if *account == row.account => {
                result.equal += 1;
                continue;
            }
            _ => {}
        }
        match prefixes.by_transactions(leaf, false) {
            Known::Account(mut account) => {
                account.receipt_chain_hash = row.account.receipt_chain_hash;
                if *account == row.account && prefixes.pays_for_zkapp(leaf) {
                    result.without_receipt += 1;
                } else {
                    result.differing.push(leaf);
                }
            }
            Known::Absent | Known::Unknown => result.differing.push(leaf),
        }
    }
    Ok(result)
}
