//! `--check`: every stored object is read again and compared with what the documents say.

use std::collections::BTreeMap;

use fork_genesis::block::{Block, NameCheck};
use fork_types::document::{StoredCandidate, StoredLedger};
use fork_types::{Class, Fault, LedgerHash, Role};
use fork_worker::{Context, Unit};
use sha2::{Digest, Sha256};

use super::ListError;
use super::read_back::{
    ReadBackError, StoredAccounts, compare_digests, compare_recomputed, differing, recompute,
};
use super::stock::{Ledger, Stock, StoreProblem, as_problem, chain};
use crate::catalog::Catalog;

/// What is wrong with each ledger, by root.
pub(crate) type LedgerProblems = BTreeMap<LedgerHash, Vec<StoreProblem>>;

/// Reads every ledger: both digests, and the root from the accounts.
///
/// # Errors
///
/// Fails when the store or the line to it does; what is wrong in the store is no error.
pub(crate) fn check_ledgers(
    catalog: &Catalog,
    stock: &Stock,
    context: &Context,
) -> Result<LedgerProblems, ListError> {
    let complete = || {
        stock.ledgers.values().filter_map(|ledger| match ledger {
            Ledger::Complete(ledger) => Some(ledger),
            Ledger::Broken(_) => None,
        })
    };
    let total = complete().map(|ledger| ledger.list.bytes).sum();
    let progress = context.progress("checking ledgers", total, Unit::Bytes);
    let mut problems = LedgerProblems::new();
    for ledger in complete() {
        problems.insert(ledger.root, check_ledger(catalog, ledger)?);
        progress.advance(ledger.list.bytes);
    }
    Ok(problems)
}

fn check_ledger(catalog: &Catalog, ledger: &StoredLedger) -> Result<Vec<StoreProblem>, ListError> {
    let source = match catalog.accounts(ledger) {
        Ok(source) => source,
        Err(error) => return Ok(vec![as_problem(error)?]),
    };
    let read = || -> Result<Vec<StoreProblem>, ReadBackError> {
        let accounts = StoredAccounts::new(ledger, source)?;
        let (accounts, recomputed) = recompute(accounts, ledger.era, ledger.root)?;
        let (stored, text) = accounts.finish()?;
        let mut problems = compare_digests(ledger, &stored, &text);
        problems.extend(compare_recomputed(ledger, &recomputed));
        Ok(problems)
    };
    match read() {
        Ok(problems) => Ok(problems),
        Err(error) => unreadable(
            format!("the stored accounts of ledger {}", ledger.root),
            error,
        ),
    }
}

/// A failure of what is stored as something to list; one of the machine stays an error.
fn unreadable(what: String, error: ReadBackError) -> Result<Vec<StoreProblem>, ListError> {
    if error.class() == Class::Environment {
        return Err(error.into());
    }
    Ok(vec![StoreProblem {
        what,
        expected: "readable".to_owned(),
        found: chain(&error),
    }])
}

/// Reads the block of a candidate again, and compares it with the candidate.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) fn check_block(
    catalog: &Catalog,
    stored: &StoredCandidate,
) -> Result<Vec<StoreProblem>, ListError> {
    let hash = stored.candidate.fork_block.state_hash;
    let what = format!("block {hash}");
    let Some(bytes) = catalog.block(hash)? else {
        return Ok(vec![StoreProblem {
            what,
            expected: "in the store, because a candidate names it".to_owned(),
            found: "missing".to_owned(),
        }]);
    };
    Ok(compare_block(stored, &bytes))
}

/// Compares the bytes of a block with everything the candidate says about it.
pub(crate) fn compare_block(stored: &StoredCandidate, bytes: &[u8]) -> Vec<StoreProblem> {
    let candidate = &stored.candidate;
    let claimed = &candidate.fork_block;
    let what = format!("block {}", claimed.state_hash);
    let mut problems = Vec::new();
    if let Some(file) = &candidate.block {
        problems.extend(differing([
            (
                format!("the SHA-256 of {what}"),
                file.sha256.clone(),
                hex::encode(Sha256::digest(bytes)),
            ),
            (
                format!("the size of {what}"),
                file.bytes.to_string(),
                bytes.len().to_string(),
            ),
        ]));
    }
    let facts = match Block::from_slice(bytes) {
        Ok(block) => block.facts(),
        Err(error) => {
            problems.push(StoreProblem {
                what,
                expected: "readable".to_owned(),
                found: chain(&error),
            });
            return problems;
        }
    };
    // As import does: a rule that is not proved yet refuses nothing.
    if facts.check_name(claimed.state_hash) == NameCheck::Differs {
        problems.push(StoreProblem {
            what: format!("the state hash of the stored {what}"),
            expected: claimed.state_hash.to_string(),
            found: facts.state_hash.to_string(),
        });
    }
    let root = |role| {
        let root = stored.root(role);
        root.map_or_else(|| "unknown".to_owned(), |root| root.to_string())
    };
    problems.extend(differing([
        (
            format!("the height of {what}"),
            claimed.blockchain_length.to_string(),
            facts.blockchain_length.to_string(),
        ),
        (
            format!("the slot of {what}"),
            claimed
                .slot_since_hard_fork
                .unwrap_or(facts.slot_since_hard_fork)
                .to_string(),
            facts.slot_since_hard_fork.to_string(),
        ),
        (
            format!("the staged ledger of {what}"),
            root(Role::Genesis),
            facts.staged_ledger_hash.to_string(),
        ),
        (
            format!("the staking ledger of {what}"),
            root(Role::Staking),
            facts.staking_epoch.ledger_hash.to_string(),
        ),
        (
            format!("the next ledger of {what}"),
            root(Role::Next),
            facts.next_epoch.ledger_hash.to_string(),
        ),
    ]));
    problems
}
