//! One pass over the account lists, in batches.
//!
//! The lists of several roles are read side by side, so that what they have in common is hashed
//! once ([`crate::share`]). While one batch is worked on, the next is read and parsed.

use std::io::Read;
use std::ops::Range;

use fork_ledger::account::{Account, Timing, V1Account};
use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::hash::{HashError, derive_token_ids, hash_v1_accounts};
use fork_ledger::json::{ListedAccountError, StreamError};
use fork_ledger::merkle::{MerkleTree, RootBuilder, ledger_hash};
use fork_ledger::migrate::{Audit, MigrateError, Rule};
use fork_store::{LedgerStoreWriter, PieceAccounts, PieceWriter};
use fork_types::{LedgerHash, TokenId};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::error::PassError;
use crate::share::shared;

/// Accounts that one thread migrates at a time.
const ACCOUNTS_PER_JOB: usize = 512;

/// How the root of the source accounts is computed.
pub(crate) enum SourceRoot {
    /// Not at all.
    Skipped,
    /// In constant memory.
    Streamed(Box<RootBuilder>),
    /// From all leaves, so that ledgers can share nodes.
    Kept(Vec<Fp>),
}

/// Where the migrated accounts go.
pub(crate) enum Target {
    /// Into a store; the leaf hashes are kept for its tree.
    Store {
        /// The store.
        writer: Box<LedgerStoreWriter>,
        /// Leaf hashes under the target era's rules.
        leaves: Vec<Fp>,
    },
    /// Into a piece of a store; the leaf hashes are kept for the subtrees.
    Piece {
        /// The piece.
        writer: Box<PieceWriter>,
        /// Leaf hashes under the target era's rules.
        leaves: Vec<Fp>,
    },
    /// Nowhere: only the root is wanted.
    RootOnly(Box<RootBuilder>),
}

/// A list, or a part of one that is to be read.
#[derive(Debug)]
pub(crate) struct ListPart<R> {
    reader: ListReader<R>,
    /// Accounts still to be read; `None` for all.
    left: Option<usize>,
    /// Whether accounts behind the part were seen.
    goes_on: bool,
}

impl<R: Read> ListPart<R> {
    /// A whole list.
    pub(crate) const fn whole(reader: ListReader<R>) -> Self {
        Self {
            reader,
            left: None,
            goes_on: false,
        }
    }

    /// The source, for what is to be done with it at the end.
    pub(crate) fn into_source(self) -> R {
        self.reader.into_source()
    }

    /// Passes over what is before the part of a whole list, without parsing it, and reads no further
    /// than to its end.
    pub(crate) fn narrow(
        &mut self,
        part: Range<u32>,
    ) -> Result<(), StreamError<ListedAccountError>> {
        self.left = Some(part.len());
        if part.is_empty() {
            return Ok(());
        }
        self.reader.skip(part.start)
    }
}

/// Whether a list has the accounts it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Right,
    TooShort,
    TooLong,
}

impl<R: Read + Send> ListPart<R> {
    fn next_batch(&mut self) -> Result<Option<AccountBatch>, StreamError<ListedAccountError>> {
        let Some(left) = self.left else {
            return self.reader.next_batch();
        };
        if left == 0 {
            return Ok(None);
        }
        let mut batch = self.reader.next_batch()?;
        if let Some(batch) = &mut batch {
            self.goes_on |= batch.len() > left;
            batch.truncate(left);
            self.left = Some(left - batch.len());
        }
        Ok(batch)
    }

    /// Whether the part was there, once it was read; `is_last` says that the list ends with it.
    pub(crate) fn length(
        &mut self,
        is_last: bool,
    ) -> Result<Length, StreamError<ListedAccountError>> {
        if self.left.is_some_and(|left| left > 0) {
            return Ok(Length::TooShort);
        }
        if is_last && (self.goes_on || self.reader.next_batch()?.is_some()) {
            return Ok(Length::TooLong);
        }
        Ok(Length::Right)
    }
}

/// One ledger on its way through a pass.
pub(crate) struct Lane {
    /// Root under the source era's rules.
    pub(crate) source_root: SourceRoot,
    /// Where the migrated accounts go.
    pub(crate) target: Target,
    /// Counts.
    pub(crate) audit: Audit,
    /// Timed accounts before migration.
    pub(crate) timed: u64,
}

/// What stopped a pass, and in which lane.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// Number of the lane.
    pub(crate) lane: usize,
    /// What happened.
    pub(crate) reason: StopReason,
}

/// What stopped a pass.
#[derive(Debug)]
pub(crate) enum StopReason {
    /// The list cannot be read.
    Read(StreamError<ListedAccountError>),
    /// Its accounts cannot be worked on.
    Work(PassError),
}

impl Lane {
    /// A lane for a pass; `is_alone` says that there is no other one.
    pub(crate) fn new(rule: Rule, target: Target, skip_source_root: bool, is_alone: bool) -> Self {
        let source = rule.source();
        let source_root = match (skip_source_root, is_alone) {
            (true, _) => SourceRoot::Skipped,
            (false, true) => {
                SourceRoot::Streamed(Box::new(RootBuilder::new(source, source.depth())))
            }
            (false, false) => SourceRoot::Kept(Vec::new()),
        };
        Self {
            source_root,
            target,
            audit: Audit::default(),
            timed: 0,
        }
    }

    /// A lane that only computes the migrated root.
    pub(crate) fn root_only(rule: Rule) -> Self {
        let target = rule.target();
        let builder = RootBuilder::new(target, target.depth());
        Self::new(rule, Target::RootOnly(Box::new(builder)), true, true)
    }
}

/// Takes the roots of the source accounts out of the lanes; `None` where they were skipped.
pub(crate) fn source_roots(
    rule: Rule,
    lanes: &mut [Lane],
) -> Result<Vec<Option<LedgerHash>>, PassError> {
    let source = rule.source();
    let mut first: Option<MerkleTree> = None;
    let mut roots = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let root = match std::mem::replace(&mut lane.source_root, SourceRoot::Skipped) {
            SourceRoot::Skipped => None,
            SourceRoot::Streamed(builder) => Some(builder.finish()),
            SourceRoot::Kept(leaves) => Some(match &first {
                Some(first) => MerkleTree::new_beside(first, leaves)?.root(),
                None => first
                    .insert(MerkleTree::new(source, source.depth(), leaves)?)
                    .root(),
            }),
        };
        roots.push(root.map(ledger_hash));
    }
    Ok(roots)
}

/// Reads all lists, or parts that begin at leaf `first`, to their ends. There are as many readers as
/// lanes.
pub(crate) fn run<R: Read + Send>(
    rule: Rule,
    first: u64,
    readers: &mut [ListPart<R>],
    lanes: &mut [Lane],
    mut advance: impl FnMut(u64) + Send,
) -> Result<(), Box<Stopped>> {
    let hasher = LeafHasher::new(rule.source());
    let mut first = first;
    let mut batches = read(readers)?;
    while batches.iter().any(|batch| !batch.is_empty()) {
        let (next, worked) = rayon::join(
            || read(readers),
            || work(rule, &hasher, lanes, first, batches),
        );
        // What is wrong in this batch comes first in the lists.
        let count = worked?;
        advance(count);
        first += count;
        batches = next?;
    }
    Ok(())
}

/// The next batch of every list; an empty one after its end.
fn read<R: Read + Send>(readers: &mut [ListPart<R>]) -> Result<Vec<AccountBatch>, Box<Stopped>> {
    readers
        .iter_mut()
        .enumerate()
        .map(|(lane, reader)| match reader.next_batch() {
            Ok(batch) => Ok(batch.unwrap_or(AccountBatch::Later(Vec::new()))),
            Err(error) => Err(Box::new(Stopped {
                lane,
                reason: StopReason::Read(error),
            })),
        })
        .collect()
}

/// Works on a batch of every lane, whose accounts have leaf indices from `first` on; gives the
/// number of positions.
fn work(
    rule: Rule,
    hasher: &LeafHasher,
    lanes: &mut [Lane],
    first: u64,
    batches: Vec<AccountBatch>,
) -> Result<u64, Box<Stopped>> {
    let stopped = |lane| {
        move |error| {
            Box::new(Stopped {
                lane,
                reason: StopReason::Work(error),
            })
        }
    };
    // A shared hash belongs to no lane; the message names the first account of the batch.
    let hash_error = |source| stopped(0)(PassError::Hash { first, source });
    let mut migrated = Vec::with_capacity(lanes.len());
    for (number, (lane, batch)) in lanes.iter_mut().zip(&batches).enumerate() {
        let accounts = migrate(rule, first, batch, lane).map_err(stopped(number))?;
        migrated.push(accounts);
    }
    let count = migrated.iter().map(Vec::len).max().unwrap_or(0) as u64;

    let wants_source = lanes
        .iter()
        .any(|lane| !matches!(lane.source_root, SourceRoot::Skipped));
    // Where nothing changes, neither does the hash.
    let is_same = matches!(rule, Rule::BerkeleyToBerkeley | Rule::MesaToMesa);
    let source_hashes = if wants_source || is_same {
        hash_sources(rule, hasher, &batches).map_err(hash_error)?
    } else {
        Vec::new()
    };
    drop(batches);
    if wants_source {
        for (number, (lane, hashes)) in lanes.iter_mut().zip(&source_hashes).enumerate() {
            match &mut lane.source_root {
                SourceRoot::Skipped => {}
                SourceRoot::Streamed(builder) => builder
                    .extend_from_slice(hashes)
                    .map_err(PassError::from)
                    .map_err(stopped(number))?,
                SourceRoot::Kept(leaves) => leaves.extend_from_slice(hashes),
            }
        }
    }
    let lists: Vec<&[Account]> = migrated.iter().map(Vec::as_slice).collect();
    let target_hashes = if is_same {
        source_hashes
    } else {
        shared(&lists, |accounts| hasher.hash_as(rule.target(), accounts)).map_err(hash_error)?
    };
    let tokens = tokens(lanes, &lists).map_err(stopped(0))?;
    for (number, lane) in lanes.iter_mut().enumerate() {
        let (accounts, hashes) = (&migrated[number], &target_hashes[number]);
        match &mut lane.target {
            Target::Store { writer, leaves } => {
                let derived = tokens.get(number).map(Vec::as_slice);
                writer
                    .push_accounts(rule.target(), accounts, derived)
                    .map_err(PassError::from)
                    .map_err(stopped(number))?;
                leaves.extend_from_slice(hashes);
            }
            Target::Piece { writer, leaves } => {
                let part = PieceAccounts {
                    accounts,
                    hashes,
                    derived: tokens.get(number).map_or(&[], Vec::as_slice),
                };
                writer
                    .push(part)
                    .map_err(PassError::from)
                    .map_err(stopped(number))?;
                leaves.extend_from_slice(hashes);
            }
            Target::RootOnly(builder) => builder
                .extend_from_slice(hashes)
                .map_err(PassError::from)
                .map_err(stopped(number))?,
        }
    }
    Ok(count)
}

/// Leaf hashes under the source era's rules.
fn hash_sources(
    rule: Rule,
    hasher: &LeafHasher,
    batches: &[AccountBatch],
) -> Result<Vec<Vec<Fp>>, HashError> {
    let first: Vec<&[V1Account]> = batches
        .iter()
        .map(|batch| match batch {
            AccountBatch::V1(accounts) => accounts.as_slice(),
            AccountBatch::Later(_) => &[],
        })
        .collect();
    if first.iter().any(|accounts| !accounts.is_empty()) {
        return shared(&first, |accounts| Ok(hash_v1_accounts(accounts)));
    }
    let later: Vec<&[Account]> = batches
        .iter()
        .map(|batch| match batch {
            AccountBatch::V1(_) => &[],
            AccountBatch::Later(accounts) => accounts.as_slice(),
        })
        .collect();
    shared(&later, |accounts| hasher.hash_as(rule.source(), accounts))
}

/// The tokens that the accounts own, which the stores need; nothing where there is no store.
fn tokens(lanes: &[Lane], lists: &[&[Account]]) -> Result<Vec<Vec<TokenId>>, PassError> {
    if !lanes
        .iter()
        .any(|lane| !matches!(lane.target, Target::RootOnly(_)))
    {
        return Ok(Vec::new());
    }
    let ids: Vec<Vec<_>> = lists
        .iter()
        .map(|accounts| {
            accounts
                .iter()
                .map(|account| (account.public_key, account.token_id))
                .collect()
        })
        .collect();
    let ids: Vec<&[_]> = ids.iter().map(Vec::as_slice).collect();
    shared(&ids, |ids| Ok(derive_token_ids(ids)))
}

/// Migrates a batch and counts in its lane.
fn migrate(
    rule: Rule,
    first: u64,
    batch: &AccountBatch,
    lane: &mut Lane,
) -> Result<Vec<Account>, PassError> {
    let jobs = match batch {
        AccountBatch::V1(accounts) => jobs(accounts, first, |account: &V1Account, audit| {
            let (after, changes) = rule.migrate_v1(account)?;
            audit.record_v1(account, &after, &changes);
            Ok((after, account.timing))
        }),
        AccountBatch::Later(accounts) => jobs(accounts, first, |account: &Account, audit| {
            let (after, changes) = rule.migrate(account)?;
            audit.record(account, &after, &changes);
            Ok((after, account.timing))
        }),
    };
    let mut migrated = Vec::with_capacity(batch.len());
    // All jobs ran to their end, so that the error is the first of the list.
    for job in jobs {
        let mut job = job?;
        migrated.append(&mut job.accounts);
        lane.audit.merge(&job.audit);
        lane.timed += job.timed;
    }
    Ok(migrated)
}

/// What one thread migrated.
struct Job {
    accounts: Vec<Account>,
    audit: Audit,
    timed: u64,
}

fn jobs<A: Sync>(
    accounts: &[A],
    first: u64,
    migrate: impl Fn(&A, &mut Audit) -> Result<(Account, Timing), MigrateError> + Sync,
) -> Vec<Result<Job, PassError>> {
    accounts
        .par_chunks(ACCOUNTS_PER_JOB)
        .enumerate()
        .map(|(number, accounts)| {
            let start = first + (number * ACCOUNTS_PER_JOB) as u64;
            let mut job = Job {
                accounts: Vec::with_capacity(accounts.len()),
                audit: Audit::default(),
                timed: 0,
            };
            for (index, account) in (start..).zip(accounts) {
                let (after, timing) = migrate(account, &mut job.audit)
                    .map_err(|source| PassError::Migrate { index, source })?;
                job.timed += u64::from(matches!(timing, Timing::Timed(_)));
                job.accounts.push(after);
            }
            Ok(job)
        })
        .collect()
}
