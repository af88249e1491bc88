//! Rows at a wrong leaf or under a wrong block.

use std::collections::BTreeMap;

use fork_archive::{Archive, ArchiveBlock};
use fork_fs::FsError;
use fork_ledger::account::Account;
use fork_ledger::batch::LeafHasher;
use fork_ledger::merkle::{EmptyHashes, MerkleTree, ledger_hash, root_of_path};
use fork_types::{Era, PublicKey};
use fork_worker::Progress;
use pasta_poseidon::Fp;

use super::Suspect;
use crate::base::GenesisAccounts;
use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::{AccountSink, Materialized, gather};

/// Leaves without an account, or with several, that are looked into.
const LEAVES_MAX: usize = 3;

/// Rows of one block that are tried.
const ROWS_MAX: usize = 4096;

/// Looks what else there is about the leaves that have no account or several.
pub(super) fn leaves(
    archive: &mut Archive,
    block: &ArchiveBlock,
    ledger: &Materialized,
    causes: &mut Vec<String>,
) -> Result<(), MaterializeError> {
    for (leaf, _) in ledger.holes.first.iter().take(LEAVES_MAX) {
        let elsewhere = archive.leaf_elsewhere(block, *leaf)?;
        if elsewhere.count > 0 {
            causes.push(format!(
                "leaf {leaf} has an account in {} blocks off the branch: {}; its row was put under \
                 the wrong block, or is lost here",
                elsewhere.count,
                elsewhere.shown.join(", "),
            ));
        }
    }
    for (leaf, _) in ledger.repeats.first.iter().take(LEAVES_MAX) {
        let accounts = archive.accounts_at(block, *leaf)?;
        let mut cause = format!(
            "leaf {leaf} has {} rows on the branch: {}",
            accounts.count,
            accounts.shown.join(", ")
        );
        let elsewhere = archive.leaf_elsewhere(block, *leaf)?;
        if elsewhere.count > 0 {
            cause.push_str(&format!(
                "; blocks off the branch have an account there too, and a row of theirs may have \
                 been put under a block of this one: {}",
                elsewhere.shown.join(", ")
            ));
        }
        causes.push(cause);
    }
    Ok(())
}

/// Whether one row less, or one row of a sibling block, makes the wrong block right: then rows of
/// another branch are among those of this one.
pub(super) fn of_siblings(
    archive: &mut Archive,
    suspect: Suspect<'_>,
    right: &ArchiveBlock,
    wrong: &ArchiveBlock,
    bar: &Progress,
    causes: &mut Vec<String>,
) -> Result<bool, MaterializeError> {
    let era = suspect.at.era;
    let before = leaf_hashes(archive, suspect, right, bar)?;
    let after = leaf_hashes(archive, suspect, wrong, bar)?;
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(false);
    };
    let tree = MerkleTree::new(era, era.depth(), after)?;
    let gives_the_root = |index: u64, leaf: Fp| {
        let path = tree.path(index);
        path.is_some_and(|path| {
            ledger_hash(root_of_path(era, leaf, index, &path)) == wrong.ledger_hash
        })
    };
    let length = tree.len() as u64;
    let mut siblings = Vec::new();
    for sibling in archive.siblings(wrong)? {
        let rows = rows_of(archive, &sibling, era)?;
        siblings.push((sibling, rows));
    }
    let found = causes.len();
    let empty = EmptyHashes::new(era, 0).root();
    for (index, (leaf, owner)) in &rows_of(archive, wrong, era)? {
        let without = match before.get(usize::try_from(*index).unwrap_or(usize::MAX)) {
            Some(leaf) => *leaf,
            None if index + 1 == length => empty,
            None => continue,
        };
        if gives_the_root(*index, without) {
            let origin = siblings
                .iter()
                .find(|(_, rows)| rows.get(index).is_some_and(|(other, _)| other == leaf));
            let origin = origin.map_or_else(
                || "it belongs to another block".to_owned(),
                |(sibling, _)| format!("it is that of its sibling {}", sibling.state_hash),
            );
            causes.push(format!(
                "without the row of {owner} at leaf {index} the root of block {} is right: {origin}",
                wrong.state_hash
            ));
        }
    }
    for (sibling, rows) in &siblings {
        for (index, (leaf, owner)) in rows {
            if *index <= length && gives_the_root(*index, *leaf) {
                causes.push(format!(
                    "with the row of {owner} at leaf {index} that its sibling {} has, the root of \
                     block {} is right: the row was put under the wrong block",
                    sibling.state_hash, wrong.state_hash
                ));
            }
        }
    }
    Ok(causes.len() > found)
}

/// Hash and owner of each account that a block touched, by leaf.
fn rows_of(
    archive: &mut Archive,
    block: &ArchiveBlock,
    era: Era,
) -> Result<BTreeMap<u64, (Fp, PublicKey)>, MaterializeError> {
    let mut rows = BTreeMap::new();
    let hasher = LeafHasher::new(era);
    let mut stream = archive.rows_as_accounts(block, era)?;
    while let Some(batch) = stream.next_batch()? {
        let (indices, accounts): (Vec<u32>, Vec<Account>) = batch
            .into_iter()
            .map(|row| (row.index, row.account))
            .unzip();
        let first = rows.len() as u64;
        let leaves = hasher
            .hash_as(era, &accounts)
            .map_err(|source| MaterializeErrorKind::Hash { first, source })?;
        for ((index, leaf), account) in indices.into_iter().zip(leaves).zip(accounts) {
            rows.insert(u64::from(index), (leaf, account.public_key));
        }
        if rows.len() >= ROWS_MAX {
            break;
        }
    }
    Ok(rows)
}

/// The leaves of the ledger after a block; nothing when it is not whole.
fn leaf_hashes(
    archive: &mut Archive,
    suspect: Suspect<'_>,
    block: &ArchiveBlock,
    bar: &Progress,
) -> Result<Option<Vec<Fp>>, MaterializeError> {
    let base = suspect.base.map(GenesisAccounts::open).transpose()?;
    let mut leaves = Leaves(Vec::new());
    let sink = Some(&mut leaves as &mut dyn AccountSink);
    let ledger = gather(archive, block, suspect.at.era, base, sink, bar)?;
    Ok(ledger.root.map(|_| leaves.0))
}

/// 32 bytes of each account.
struct Leaves(Vec<Fp>);

impl AccountSink for Leaves {
    fn write(&mut self, _accounts: &[Account]) -> Result<(), FsError> {
        Ok(())
    }

    fn take_leaves(&mut self, leaves: &[Fp]) {
        self.0.extend_from_slice(leaves);
    }
}
