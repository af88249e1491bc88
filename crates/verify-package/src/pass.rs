//! One pass over the candidate's lists and the package's stores, side by side.
//!
//! At every leaf the candidate's account is hashed by the old rules, migrated again and compared with
//! the one in the store, which is hashed by the new rules. What several ledgers have at the same leaf
//! is hashed once. While one batch is worked on, in pieces on all threads, the next is read.

mod piece;

use std::fs::File;
use std::io::BufReader;

use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::migrate::{Audit, Rule, Totals};
use fork_store::{AccountIndex, LogExaminer, StoreError, StoreExaminer};
use fork_types::Era;
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::differences::Differences;
use crate::series::Series;
use crate::subject::error_text;
use piece::{Found, Piece, Work};

/// Accounts of a store read at a time where there is no list beside it.
const ACCOUNTS_PER_BATCH: usize = 8192;
/// Leaves that one thread works on at a time: as many as keep all threads busy to the end of a batch,
/// because of few zkApps most fill the last lanes of the hash badly; but not more than help.
const LEAVES_PER_PIECE: std::ops::RangeInclusive<usize> = 128..=512;

/// Pieces of a batch for each thread.
const PIECES_PER_THREAD: usize = 4;

/// How a store is read.
#[derive(Debug)]
pub(crate) enum Examiner<'a> {
    /// As a log in our own spelling; fails on anything else.
    Log(LogExaminer),
    /// With RocksDB; says everything that is wrong.
    RocksDb(StoreExaminer<'a>),
}

impl Examiner<'_> {
    fn take(&mut self, count: usize) -> Result<Vec<Option<Account>>, StoreError> {
        match self {
            Self::Log(log) => Ok(log.take(count)?.into_iter().map(Some).collect()),
            Self::RocksDb(store) => store.take(count),
        }
    }
}

/// Where the accounts of a ledger come from.
pub(crate) struct Inputs<'a> {
    /// The candidate's list, until it ends or breaks.
    pub(crate) list: Option<ListReader<BufReader<File>>>,
    /// The package's store, until it breaks.
    pub(crate) examiner: Option<Examiner<'a>>,
}

/// What was found out about a ledger.
#[derive(Default)]
pub(crate) struct Lane {
    /// Why the list was not read to its end.
    pub(crate) list_problem: Option<String>,
    /// Why the list was not migrated to its end.
    pub(crate) migrate_problem: Option<String>,
    /// Why the store was not read to its end.
    pub(crate) store_problem: Option<String>,
    /// Leaves of the list, by the old rules.
    pub(crate) source_leaves: Vec<Fp>,
    /// Leaves of the migrated list, by the new rules, as far as they are not those of the store.
    pub(crate) migrated: Migrated,
    /// Leaves of the store.
    pub(crate) store_leaves: Vec<Fp>,
    /// Counts of the migration.
    pub(crate) audit: Audit,
    /// Balances in the list.
    pub(crate) list_totals: Totals,
    /// Balances in the store.
    pub(crate) store_totals: Totals,
    /// Charts of the list.
    pub(crate) list_series: Series,
    /// Charts of the store.
    pub(crate) store_series: Series,
    /// Where migrated list and store differ.
    pub(crate) differences: Differences,
    /// Who owns which leaf of the store.
    pub(crate) index: AccountIndex,
}

/// Leaves of a migrated list. Those of a right package are the store's, so they are not kept twice.
#[derive(Default)]
pub(crate) struct Migrated {
    /// Number of accounts.
    accounts: usize,
    /// All leaves, once one is not the store's.
    own: Option<Vec<Fp>>,
}

impl Migrated {
    /// Number of migrated accounts.
    pub(crate) const fn len(&self) -> usize {
        self.accounts
    }

    /// The leaves, unless they are exactly those of the store.
    pub(crate) fn unlike<'a>(&'a self, store: &'a [Fp]) -> Option<&'a [Fp]> {
        match &self.own {
            Some(own) => (own != store).then_some(own.as_slice()),
            None => (self.accounts != store.len()).then(|| &store[..self.accounts]),
        }
    }

    /// Adds the leaves of a piece; `store` has those of the store up to and with this piece, of which
    /// `piece` are new.
    fn extend(&mut self, leaves: &[Fp], store: &[Fp], piece: &[Fp]) {
        if self.own.is_none() && leaves != piece {
            // As long as they were equal, the store had at least as many.
            let before = store.len() - piece.len();
            let mut own = Vec::with_capacity(store.len());
            own.extend_from_slice(&store[..before.min(self.accounts)]);
            self.own = Some(own);
        }
        if let Some(own) = &mut self.own {
            own.extend_from_slice(leaves);
        }
        self.accounts += leaves.len();
    }
}

impl Lane {
    /// Nothing yet, with empty charts.
    pub(crate) fn new(list_series: Series, store_series: Series) -> Self {
        Self {
            list_series,
            store_series,
            ..Self::default()
        }
    }
}

/// A batch of one ledger.
struct Batch {
    list: AccountBatch,
    store: Vec<Option<Account>>,
}

impl Batch {
    fn len(&self) -> usize {
        self.list.len().max(self.store.len())
    }
}

/// Reads everything to its end. `rule` is absent when none could be chosen; then nothing is migrated.
pub(crate) fn run(
    source: Era,
    target: Era,
    rule: Option<Rule>,
    inputs: &mut [Inputs<'_>],
    lanes: &mut [Lane],
) {
    let hasher = LeafHasher::new(source);
    let Some(any) = lanes.first() else {
        return;
    };
    let work = Work {
        hasher: &hasher,
        source,
        target,
        rule,
        list_series: any.list_series.fresh(),
        store_series: any.store_series.fresh(),
    };
    let mut first = 0;
    let mut done: Vec<Vec<Found>> = Vec::new();
    let mut batches = read(inputs, lanes);
    while batches.iter().any(|batch| batch.len() > 0) {
        // What reading finds wrong is kept apart until all is done.
        let mut problems: Vec<Lane> = lanes.iter().map(|_| Lane::default()).collect();
        let (next, (pieces, ())) = rayon::join(
            || read(inputs, &mut problems),
            || rayon::join(|| work_on(&work, first, &batches), || add_all(lanes, &done)),
        );
        done = pieces;
        for ((lane, found), input) in lanes.iter_mut().zip(problems).zip(inputs.iter_mut()) {
            lane.list_problem = lane.list_problem.take().or(found.list_problem);
            lane.store_problem = lane.store_problem.take().or(found.store_problem);
            if lane.list_problem.is_some() {
                input.list = None;
            }
        }
        first += batches.iter().map(Batch::len).max().unwrap_or(0) as u64;
        batches = next;
    }
    add_all(lanes, &done);
}

/// Adds what was found in the pieces of a batch, in order.
fn add_all(lanes: &mut [Lane], pieces: &[Vec<Found>]) {
    lanes.par_iter_mut().enumerate().for_each(|(number, lane)| {
        for found in pieces.iter().filter_map(|piece| piece.get(number)) {
            add(lane, found);
        }
    });
}

/// Works on a batch of every ledger, in pieces, on all threads.
fn work_on(work: &Work<'_>, first: u64, batches: &[Batch]) -> Vec<Vec<Found>> {
    let leaves = batches.iter().map(Batch::len).max().unwrap_or(0);
    let per_thread = ACCOUNTS_PER_BATCH / (PIECES_PER_THREAD * rayon::current_num_threads());
    let length = per_thread.clamp(*LEAVES_PER_PIECE.start(), *LEAVES_PER_PIECE.end());
    (0..leaves.div_ceil(length))
        .into_par_iter()
        .with_max_len(1)
        .map(|number| {
            let start = number * length;
            let pieces: Vec<Piece<'_>> = batches
                .iter()
                .map(|batch| Piece::new(&batch.list, &batch.store, start, length))
                .collect();
            work.take(first + start as u64, &pieces)
        })
        .collect()
}

/// Adds what was found in a piece, in order.
fn add(lane: &mut Lane, found: &Found) {
    lane.list_problem = lane.list_problem.take().or(found.list_problem.clone());
    lane.store_problem = lane.store_problem.take().or(found.store_problem.clone());
    let migrate_problem = found.migrate_problem.clone();
    lane.migrate_problem = lane.migrate_problem.take().or(migrate_problem);
    lane.source_leaves.extend_from_slice(&found.source_leaves);
    lane.store_leaves.extend_from_slice(&found.store_leaves);
    lane.migrated.extend(
        &found.migrated_leaves,
        &lane.store_leaves,
        &found.store_leaves,
    );
    lane.audit.merge(&found.audit);
    lane.list_totals.default_token += found.list_totals.default_token;
    lane.list_totals.other_tokens += found.list_totals.other_tokens;
    lane.store_totals.default_token += found.store_totals.default_token;
    lane.store_totals.other_tokens += found.store_totals.other_tokens;
    lane.list_series.merge(&found.list_series);
    lane.store_series.merge(&found.store_series);
    lane.differences.merge(&found.differences);
    for owned in &found.owned {
        let owns = Some(owned.owns);
        if let Err(error) = lane.index.push(owned.public_key, owned.token_id, owns) {
            lane.store_problem.get_or_insert(error_text(&error));
            return;
        }
    }
}

/// The next batch of every ledger; empty ones at the end.
fn read(inputs: &mut [Inputs<'_>], lanes: &mut [Lane]) -> Vec<Batch> {
    inputs
        .par_iter_mut()
        .zip(lanes)
        .map(|(input, lane)| {
            let mut list = AccountBatch::Later(Vec::new());
            match input.list.as_mut().map(ListReader::next_batch) {
                None => {}
                Some(Ok(Some(batch))) => list = batch,
                Some(Ok(None)) => input.list = None,
                Some(Err(error)) => {
                    lane.list_problem = Some(error_text(&error));
                    input.list = None;
                }
            }
            let count = if list.is_empty() {
                ACCOUNTS_PER_BATCH
            } else {
                list.len()
            };
            let mut store = Vec::new();
            match input.examiner.as_mut().map(|one| one.take(count)) {
                None => {}
                Some(Ok(accounts)) => store = accounts,
                Some(Err(error)) => {
                    lane.store_problem = Some(error_text(&error));
                    input.examiner = None;
                }
            }
            Batch { list, store }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(numbers: &[u64]) -> Vec<Fp> {
        numbers.iter().map(|number| Fp::from_u64(*number)).collect()
    }

    /// What is kept for migrated pieces beside stored ones.
    fn kept(pieces: &[(&[u64], &[u64])]) -> Option<Vec<Fp>> {
        let (mut migrated, mut store) = (Migrated::default(), Vec::new());
        let mut all = 0;
        for (own, stored) in pieces {
            let piece = leaves(stored);
            store.extend_from_slice(&piece);
            migrated.extend(&leaves(own), &store, &piece);
            all += own.len();
        }
        assert_eq!(migrated.len(), all);
        migrated.unlike(&store).map(<[Fp]>::to_vec)
    }

    #[test]
    fn migrated_leaves_are_kept_only_when_they_are_not_the_stores() {
        assert_eq!(kept(&[]), None);
        assert_eq!(kept(&[(&[1, 2], &[1, 2]), (&[3], &[3])]), None);
        let cases: [&[(&[u64], &[u64])]; 6] = [
            &[(&[1, 2], &[1, 2]), (&[9], &[3])],
            &[(&[9, 2], &[1, 2]), (&[3], &[3])],
            // The store ends first, the list ends first, and one of them is empty.
            &[(&[1, 2], &[1, 2]), (&[3, 4], &[3]), (&[5], &[])],
            &[(&[1, 2], &[1, 2]), (&[3], &[3, 4])],
            &[(&[], &[1, 2])],
            &[(&[1], &[]), (&[2], &[])],
        ];
        for pieces in cases {
            let all: Vec<u64> = pieces.iter().flat_map(|(own, _)| own.to_vec()).collect();
            assert_eq!(kept(pieces), Some(leaves(&all)), "{pieces:?}");
        }
    }
}
