//! Exports of a node, account by account against the packaged stores.

use std::io::BufReader;
use std::path::Path;

use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_store::{StoreExaminer, StoreReader};
use fork_types::{LedgerHash, Role};

use crate::differences::Differences;
use crate::facts::Facts;
use crate::subject::error_text;

/// Largest export read: twenty times what 280 thousand accounts have.
const EXPORT_BYTES_MAX: u64 = 16 << 30;

/// Accounts of a store read at a time where the export has none left.
const ACCOUNTS_PER_BATCH: usize = 8192;

/// An export that was read to its end.
#[derive(Clone, Debug)]
pub struct ExportFacts {
    /// Accounts in it.
    pub accounts: u64,
    /// Root recomputed from them.
    pub root: LedgerHash,
    /// Where it differs from the packaged store.
    pub differences: Differences,
}

/// Why an export was not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportProblem {
    /// There is nothing to compare, or nothing to compare with.
    Missing(String),
    /// The file is no list of accounts.
    Broken(String),
}

/// File of a ledger's export, by the words of `mina ledger export`.
#[must_use]
pub const fn export_name(role: Role) -> &'static str {
    match role {
        Role::Genesis => "staged-ledger.json",
        Role::Staking => "staking-epoch-ledger.json",
        Role::Next => "next-epoch-ledger.json",
    }
}

/// Opens the packaged store of a role.
pub(super) fn open(facts: &Facts, role: Role) -> Result<StoreReader, String> {
    let path = facts.ledger(role).tarball.as_ref().map_err(Clone::clone)?;
    let tarball = facts.tarballs.get(path);
    let tarball = tarball.ok_or_else(|| format!("`{path}` was not unpacked"))?;
    StoreReader::open(tarball.directory()).map_err(|error| error_text(&error))
}

/// Compares the export of a role with the packaged store, leaf by leaf.
pub(super) fn compare(
    facts: &Facts,
    role: Role,
    directory: &Path,
) -> Result<ExportFacts, ExportProblem> {
    let broken =
        |problem: String| ExportProblem::Broken(format!("`{}`: {problem}", export_name(role)));
    let in_store =
        |problem: String| ExportProblem::Missing(format!("the packaged ledger: {problem}"));
    let name = export_name(role);
    let path = directory.join(name);
    if !fork_fs::exists(&path) {
        return Err(ExportProblem::Missing(format!("there is no `{name}`")));
    }
    let bytes = fork_fs::file_bytes(&path).map_err(|error| broken(error_text(&error)))?;
    if bytes > EXPORT_BYTES_MAX {
        return Err(broken(format!("has {bytes} bytes, more than any export")));
    }
    let era = facts.reference.network.target_era;
    let file = fork_fs::open(&path).map_err(|error| broken(error_text(&error)))?;
    let input = BufReader::with_capacity(1 << 18, file);
    let mut list = ListReader::new(input, era, false).map_err(|error| broken(error.to_string()))?;
    let store = open(facts, role).map_err(in_store)?;
    let mut examiner = StoreExaminer::new(&store, era, era.depth())
        .map_err(|error| in_store(error_text(&error)))?;
    let hasher = LeafHasher::new(era);
    let mut builder = RootBuilder::new(era, era.depth());
    let mut differences = Differences::default();
    let mut leaf = 0;
    loop {
        let batch = list
            .next_batch()
            .map_err(|error| broken(error_text(&error)))?;
        let accounts = match &batch {
            Some(AccountBatch::Later(accounts)) => accounts.as_slice(),
            // An era with stores has no such accounts.
            Some(AccountBatch::V1(_)) | None => &[],
        };
        let count = if accounts.is_empty() {
            ACCOUNTS_PER_BATCH
        } else {
            accounts.len()
        };
        let stored = examiner
            .take(count)
            .map_err(|error| in_store(error_text(&error)))?;
        if accounts.is_empty() && stored.is_empty() {
            break;
        }
        for position in 0..accounts.len().max(stored.len()) {
            let packaged = stored.get(position).and_then(Option::as_ref);
            differences.compare(leaf, packaged, accounts.get(position));
            leaf += 1;
        }
        let leaves = hasher
            .hash_as(era, accounts)
            .map_err(|error| broken(error_text(&error)))?;
        builder
            .extend_from_slice(&leaves)
            .map_err(|error| broken(error_text(&error)))?;
    }
    Ok(ExportFacts {
        accounts: builder.len(),
        root: ledger_hash(builder.finish()),
        differences,
    })
}
