//! Why a ledger from an archive is not what its block says.
//!
//! What archives are known for is looked for first, the cheapest first: it needs the database alone.
//! Then the first wrong block of the branch is found, by bisection, and at that block everything that
//! the sibling blocks, the other era and the hypotheses of `fork_ledger::diagnose` can explain.

mod explain;
mod rows;

use fork_archive::{Archive, ArchiveBlock};
use fork_worker::{Context, Progress, Unit};

use crate::base::GenesisAccounts;
use crate::error::MaterializeError;
use crate::ledger::{Materialized, gather, materialize};
use crate::prove::Located;

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Suspect<'a> {
    /// The block and its branch.
    pub(crate) at: &'a Located,
    /// What was read instead of its ledger.
    pub(crate) ledger: &'a Materialized,
    /// The list of genesis accounts, which was proved.
    pub(crate) base: Option<&'a GenesisAccounts>,
    /// For bars.
    pub(crate) context: &'a Context,
}

/// Looks for reasons. Each probe of the bisection reads and hashes one ledger; there are as many as the
/// number of blocks has binary digits.
pub(crate) fn find(
    archive: &mut Archive,
    suspect: Suspect<'_>,
) -> Result<Vec<String>, MaterializeError> {
    let Located { block, branch, .. } = suspect.at;
    let mut causes = Vec::new();
    let others = archive.other_geneses(&branch.genesis)?;
    if !others.is_empty() {
        causes.push(format!(
            "the archive has {} genesis blocks: this branch begins at {}, and there is {}. It was \
             started with another config once: rows of the one are not those of the other",
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
    rows::leaves(archive, block, suspect.ledger, &mut causes)?;

    let bar = suspect
        .context
        .progress("looking for the block", 0, Unit::Items);
    let Some((right, wrong)) = first_wrong(archive, suspect, &bar)? else {
        return Ok(causes);
    };
    let Some(right) = right else {
        causes.push(format!(
            "the accounts of the genesis block {} itself are wrong or incomplete: put them in again \
             with `materialize-ledger populate` or the archive toolbox's populate-genesis-accounts, \
             or give them with --genesis-accounts",
            branch.genesis.state_hash
        ));
        if !other_era(archive, suspect, &wrong, &bar, &mut causes)? {
            explain::explain(archive, suspect, &wrong, &mut causes)?;
        }
        return Ok(causes);
    };
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
    if !rows::of_siblings(archive, suspect, &right, &wrong, &bar, &mut causes)? {
        explain::explain(archive, suspect, &wrong, &mut causes)?;
    }
    Ok(causes)
}

/// The first wrong block of the branch and its parent, or the genesis alone. Nothing when the branch
/// cannot be followed.
fn first_wrong(
    archive: &mut Archive,
    suspect: Suspect<'_>,
    bar: &Progress,
) -> Result<Option<(Option<ArchiveBlock>, ArchiveBlock)>, MaterializeError> {
    let Located { block, branch, .. } = suspect.at;
    let is_right = |archive: &mut Archive, probe: &ArchiveBlock| {
        bar.advance(1);
        let base = suspect.base.map(GenesisAccounts::open).transpose()?;
        let ledger = materialize(archive, probe, base, None, bar)?;
        Ok::<_, MaterializeError>(ledger.root == Some(probe.ledger_hash))
    };
    if !is_right(archive, &branch.genesis)? {
        return Ok(Some((None, branch.genesis.clone())));
    }
    // The genesis is right and the block is wrong: somewhere in between is the first wrong one.
    let (mut right, mut wrong) = (branch.genesis.clone(), block.clone());
    while wrong.height > right.height + 1 {
        let middle = right.height + (wrong.height - right.height) / 2;
        let Some(probe) = archive.ancestor(block, middle)? else {
            return Ok(None);
        };
        if is_right(archive, &probe)? {
            right = probe;
        } else {
            wrong = probe;
        }
    }
    Ok(Some((Some(right), wrong)))
}

/// Whether the same accounts have the root under the rules of the other era.
fn other_era(
    archive: &mut Archive,
    suspect: Suspect<'_>,
    wrong: &ArchiveBlock,
    bar: &Progress,
    causes: &mut Vec<String>,
) -> Result<bool, MaterializeError> {
    let Some(era) = explain::other_era(archive, suspect.at.era) else {
        return Ok(false);
    };
    let base = suspect.base.map(GenesisAccounts::open).transpose()?;
    // Rows that the other era cannot have are no reason to stop looking.
    let Ok(ledger) = gather(archive, wrong, era, base, None, bar) else {
        return Ok(false);
    };
    let is_it = ledger.root == Some(wrong.ledger_hash);
    if is_it {
        causes.push(format!(
            "by the rules of era {era} the accounts have the root: the block's protocol version says \
             {}, and is wrong",
            suspect.at.era
        ));
    }
    Ok(is_it)
}
