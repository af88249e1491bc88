//! Why a ledger from an archive is not what its block says.

use fork_archive::{Archive, ArchiveBlock, Branch};
use fork_worker::Context;

use crate::error::MaterializeError;
use crate::ledger::materialize;

/// Looks for the reasons that archives are known for, the cheapest first. `is_based` says that the
/// genesis accounts are from a list, which was proved.
///
/// Each probe reads and hashes one ledger; there are as many as the number of blocks has binary
/// digits.
pub(crate) fn find(
    archive: &mut Archive,
    block: &ArchiveBlock,
    branch: &Branch,
    is_based: bool,
    context: &Context,
) -> Result<Vec<String>, MaterializeError> {
    let mut causes = Vec::new();
    let others = archive.other_geneses(&branch.genesis)?;
    if !others.is_empty() {
        causes.push(format!(
            "the archive has {} genesis blocks: this branch begins at {}, and there is {}",
            others.len() + 1,
            branch.genesis.state_hash,
            others.join(", "),
        ));
    }
    let silent = archive.blocks_without_rows(block)?;
    if silent.count > 0 {
        causes.push(format!(
            "{} blocks of the branch have transactions and no account rows: {}; they are written \
             after the block, and a crash in between loses them",
            silent.count,
            silent.shown.join(", "),
        ));
    }
    if is_based {
        return Ok(causes);
    }
    let bar = context.progress("looking for the block", 0, fork_worker::Unit::Items);
    let is_right = |archive: &mut Archive, probe: &ArchiveBlock| {
        bar.advance(1);
        let ledger = materialize(archive, probe, None, None, &bar)?;
        Ok::<_, MaterializeError>(ledger.root == Some(probe.ledger_hash))
    };
    if !is_right(archive, &branch.genesis)? {
        causes.push(format!(
            "the accounts of the genesis block {} itself are wrong or incomplete: put them in again \
             with the archive toolbox's populate-genesis-accounts, or give them with \
             --genesis-accounts",
            branch.genesis.state_hash
        ));
        return Ok(causes);
    }
    // The genesis is right and the block is wrong: somewhere in between is the first wrong one.
    let (mut right, mut wrong) = (branch.genesis.height, block.clone());
    while wrong.height > right + 1 {
        let middle = right + (wrong.height - right) / 2;
        let Some(probe) = archive.ancestor(block, middle)? else {
            return Ok(causes);
        };
        if is_right(archive, &probe)? {
            right = middle;
        } else {
            wrong = probe;
        }
    }
    let touched = archive.leaves_of(&wrong)?;
    causes.push(format!(
        "the first wrong block of the branch is {} at height {} ({}): the ledger of its parent is \
         right, so rows of this block are missing or wrong. It has {} rows, of leaves {}",
        wrong.state_hash,
        wrong.height,
        wrong.status.name(),
        touched.count,
        touched.shown.join(", "),
    ));
    Ok(causes)
}
