//! One pass over the candidate's lists and the package's stores, side by side.
//!
//! At every leaf the candidate's account is hashed by the old rules, migrated again and compared with
//! the one in the store, which is hashed by the new rules. What several ledgers have at the same leaf
//! is hashed once. While one batch is worked on, the next is read.

use std::fs::File;
use std::io::BufReader;

use fork_ledger::account::{Account, V1Account};
use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::hash::{HashError, derive_token_ids, hash_v1_accounts};
use fork_ledger::migrate::{Audit, MigrateError, Rule, Totals};
use fork_store::StoreExaminer;
use fork_types::{Era, TokenId};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::differences::Differences;
use crate::series::Series;
use crate::subject::error_text;

/// Accounts of a store read at a time where there is no list beside it.
const ACCOUNTS_PER_BATCH: usize = 8192;
/// Accounts that one thread migrates at a time.
const ACCOUNTS_PER_JOB: usize = 512;

/// Where the accounts of a ledger come from.
pub(crate) struct Inputs<'a> {
    /// The candidate's list, until it ends or breaks.
    pub(crate) list: Option<ListReader<BufReader<File>>>,
    /// The package's store, until it breaks.
    pub(crate) examiner: Option<StoreExaminer<'a>>,
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
    /// Leaves of the migrated list, by the new rules.
    pub(crate) migrated_leaves: Vec<Fp>,
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
    /// Places compared so far.
    first: u64,
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

/// Reads everything to its end. `rule` is absent when none could be chosen; then nothing is migrated.
pub(crate) fn run(
    source: Era,
    target: Era,
    rule: Option<Rule>,
    inputs: &mut [Inputs<'_>],
    lanes: &mut [Lane],
) {
    let hasher = LeafHasher::new(source);
    let work = Work {
        hasher: &hasher,
        source,
        target,
        rule,
    };
    let mut batches = read(inputs, lanes);
    while batches
        .iter()
        .any(|batch| !batch.list.is_empty() || !batch.store.is_empty())
    {
        // What reading finds wrong is kept apart until both are done.
        let mut found: Vec<Lane> = lanes.iter().map(|_| Lane::default()).collect();
        let (next, recorded) =
            rayon::join(|| read(inputs, &mut found), || work.take(lanes, batches));
        for ((lane, found), input) in lanes.iter_mut().zip(found).zip(inputs.iter_mut()) {
            lane.list_problem = lane.list_problem.take().or(found.list_problem);
            lane.store_problem = lane.store_problem.take().or(found.store_problem);
            if lane.list_problem.is_some() {
                input.list = None;
            }
        }
        for ((lane, input), owned) in lanes.iter_mut().zip(inputs.iter_mut()).zip(recorded) {
            record(lane, input, &owned);
        }
        batches = next;
    }
}

/// Accounts of a store with the tokens they own.
type Owned = Vec<(Account, TokenId)>;

fn record(lane: &mut Lane, input: &mut Inputs<'_>, owned: &Owned) {
    let Some(examiner) = &mut input.examiner else {
        return;
    };
    let recorded = owned
        .iter()
        .try_for_each(|(account, token)| examiner.record(account, *token));
    if let Err(error) = recorded {
        lane.store_problem = Some(error_text(&error));
        input.examiner = None;
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

struct Work<'a> {
    hasher: &'a LeafHasher,
    source: Era,
    target: Era,
    rule: Option<Rule>,
}

impl Work<'_> {
    /// Works on a batch of every ledger; gives the accounts of the stores with their tokens.
    fn take(&self, lanes: &mut [Lane], batches: Vec<Batch>) -> Vec<Owned> {
        self.hash_lists(lanes, &batches);
        let mut stored: Vec<Vec<Account>> = Vec::with_capacity(lanes.len());
        let mut migrated: Vec<Compared> = Vec::with_capacity(lanes.len());
        for (lane, batch) in lanes.iter_mut().zip(batches) {
            let Batch { list, store } = batch;
            let accounts = self.migrate(lane, &list);
            lane.first += list.len().max(store.len()) as u64;
            migrated.push(compare(lane, accounts, list.len(), &store));
            stored.push(store.into_iter().flatten().collect());
        }
        let lists: Vec<&[Account]> = stored.iter().map(Vec::as_slice).collect();
        let hashes = shared(&lists, |accounts| {
            self.hasher.hash_as(self.target, accounts)
        });
        let hashes = hashes.unwrap_or_else(|error| {
            // Strict decoding leaves nothing that cannot be hashed.
            for lane in lanes.iter_mut() {
                lane.store_problem = Some(error_text(&error));
            }
            lists.iter().map(|_| Vec::new()).collect()
        });
        for ((lane, compared), hashes) in lanes.iter_mut().zip(migrated).zip(&hashes) {
            self.hash_migrated(lane, compared, hashes);
            lane.store_leaves.extend_from_slice(hashes);
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
        let tokens = shared(&ids, |ids| Ok::<_, HashError>(derive_token_ids(ids)));
        stored
            .into_iter()
            .zip(tokens.unwrap_or_default())
            .map(|(accounts, tokens)| accounts.into_iter().zip(tokens).collect())
            .collect()
    }

    /// Hashes the lists by the old rules and sums their balances.
    fn hash_lists(&self, lanes: &mut [Lane], batches: &[Batch]) {
        for (lane, batch) in lanes.iter_mut().zip(batches) {
            match &batch.list {
                AccountBatch::V1(accounts) => {
                    lane.list_series.add(accounts);
                    for account in accounts {
                        let balance = account.balance.nanomina();
                        add(&mut lane.list_totals, account.token_id == 1, balance);
                    }
                }
                AccountBatch::Later(accounts) => {
                    lane.list_series.add(accounts);
                    sum(&mut lane.list_totals, accounts);
                }
            }
        }
        let first: Vec<&[V1Account]> = batches
            .iter()
            .map(|batch| match &batch.list {
                AccountBatch::V1(accounts) => accounts.as_slice(),
                AccountBatch::Later(_) => &[],
            })
            .collect();
        let later: Vec<&[Account]> = batches
            .iter()
            .map(|batch| match &batch.list {
                AccountBatch::V1(_) => &[],
                AccountBatch::Later(accounts) => accounts.as_slice(),
            })
            .collect();
        let hashes = if self.source == Era::V1 {
            shared(&first, |accounts| Ok(hash_v1_accounts(accounts)))
        } else {
            shared(&later, |accounts| {
                self.hasher.hash_as(self.source, accounts)
            })
        };
        match hashes {
            Ok(hashes) => {
                for (lane, hashes) in lanes.iter_mut().zip(hashes) {
                    lane.source_leaves.extend(hashes);
                }
            }
            Err(error) => {
                for lane in lanes {
                    lane.list_problem = Some(error_text(&error));
                }
            }
        }
    }

    /// Migrates a batch and counts; nothing once something could not be migrated.
    fn migrate(&self, lane: &mut Lane, batch: &AccountBatch) -> Vec<Account> {
        let Some(rule) = self.rule.filter(|_| lane.migrate_problem.is_none()) else {
            return Vec::new();
        };
        let jobs = match batch {
            AccountBatch::V1(accounts) => jobs(accounts, |account: &V1Account, audit| {
                let (after, changes) = rule.migrate_v1(account)?;
                audit.record_v1(account, &after, &changes);
                Ok(after)
            }),
            AccountBatch::Later(accounts) => jobs(accounts, |account: &Account, audit| {
                let (after, changes) = rule.migrate(account)?;
                audit.record(account, &after, &changes);
                Ok(after)
            }),
        };
        let mut migrated = Vec::with_capacity(batch.len());
        for job in jobs {
            match job {
                Ok((accounts, audit)) => {
                    migrated.extend(accounts);
                    lane.audit.merge(&audit);
                }
                Err(error) => {
                    lane.migrate_problem = Some(format!(
                        "an account from {} on: {}",
                        lane.first,
                        error_text(&error)
                    ));
                    return Vec::new();
                }
            }
        }
        migrated
    }

    /// Leaves of the migrated accounts: those of equal stored ones, and hashes of the others.
    fn hash_migrated(&self, lane: &mut Lane, compared: Compared, stored: &[Fp]) {
        let others = self.hasher.hash_as(self.target, &compared.others);
        let mut others = match others {
            Ok(hashes) => hashes.into_iter(),
            Err(error) => {
                lane.migrate_problem = Some(error_text(&error));
                return;
            }
        };
        for place in compared.places {
            let leaf = match place {
                Some(place) => stored.get(place).copied(),
                None => others.next(),
            };
            lane.migrated_leaves.extend(leaf);
        }
    }
}

/// Migrated accounts beside stored ones.
struct Compared {
    /// For every migrated account the position of its equal among the stored ones.
    places: Vec<Option<usize>>,
    /// Those that have no equal.
    others: Vec<Account>,
}

/// Compares migrated accounts with stored ones at the same leaves, of which `listed` come from the
/// list. Where nothing was migrated there is nothing to compare.
fn compare(
    lane: &mut Lane,
    migrated: Vec<Account>,
    listed: usize,
    store: &[Option<Account>],
) -> Compared {
    lane.store_series.add(store.iter().flatten());
    for account in store.iter().flatten() {
        let is_default = account.token_id == TokenId::DEFAULT;
        add(
            &mut lane.store_totals,
            is_default,
            account.balance.nanomina(),
        );
    }
    let first = lane.first - listed.max(store.len()) as u64;
    let is_migrated = migrated.len() == listed;
    if is_migrated {
        let length = migrated.len().max(store.len());
        for (leaf, position) in (first..).zip(0..length) {
            let found = store.get(position).and_then(Option::as_ref);
            lane.differences
                .compare(leaf, migrated.get(position), found);
        }
    }
    let mut present = 0;
    let mut compared = Compared {
        places: Vec::with_capacity(migrated.len()),
        others: Vec::new(),
    };
    for (position, account) in migrated.into_iter().enumerate() {
        let found = store.get(position).and_then(Option::as_ref);
        if found == Some(&account) {
            compared.places.push(Some(present));
        } else {
            compared.places.push(None);
            compared.others.push(account);
        }
        present += usize::from(found.is_some());
    }
    compared
}

fn sum(totals: &mut Totals, accounts: &[Account]) {
    for account in accounts {
        let is_default = account.token_id == TokenId::DEFAULT;
        add(totals, is_default, account.balance.nanomina());
    }
}

fn add(totals: &mut Totals, is_default: bool, balance: u64) {
    if is_default {
        totals.default_token += u128::from(balance);
    } else {
        totals.other_tokens += u128::from(balance);
    }
}

type Job = Result<(Vec<Account>, Audit), MigrateError>;

fn jobs<A: Sync>(
    accounts: &[A],
    migrate: impl Fn(&A, &mut Audit) -> Result<Account, MigrateError> + Sync,
) -> Vec<Job> {
    accounts
        .par_chunks(ACCOUNTS_PER_JOB)
        .map(|accounts| {
            let mut audit = Audit::default();
            let migrated = accounts
                .iter()
                .map(|account| migrate(account, &mut audit))
                .collect::<Result<_, _>>()?;
            Ok((migrated, audit))
        })
        .collect()
}

/// Computes a value for every item of every list, those of equal items at equal positions once.
///
/// Ledgers of one fork have the same accounts at the same leaves but for those that changed between
/// two epochs.
fn shared<K: Clone + PartialEq, V: Copy>(
    lists: &[&[K]],
    compute: impl FnOnce(&[K]) -> Result<Vec<V>, HashError>,
) -> Result<Vec<Vec<V>>, HashError> {
    let mut distinct: Vec<K> = Vec::new();
    let mut places: Vec<Vec<usize>> = Vec::with_capacity(lists.len());
    for list in lists {
        let mut own = Vec::with_capacity(list.len());
        for (position, item) in list.iter().enumerate() {
            let same = lists
                .iter()
                .zip(&places)
                .find(|(earlier, _)| earlier.get(position) == Some(item))
                .and_then(|(_, places)| places.get(position).copied());
            own.push(same.unwrap_or(distinct.len()));
            if same.is_none() {
                distinct.push(item.clone());
            }
        }
        places.push(own);
    }
    let values = compute(&distinct)?;
    Ok(places
        .into_iter()
        .map(|places| {
            places
                .into_iter()
                .filter_map(|place| values.get(place).copied())
                .collect()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_items_at_equal_positions_are_computed_once() {
        let lists: [&[u64]; 3] = [&[1, 2, 3], &[1, 5, 3, 4], &[9, 5]];
        let found = shared(&lists, |items| {
            assert_eq!(items, [1, 2, 3, 5, 4, 9]);
            Ok(items.iter().map(|item| item * item).collect())
        });
        assert_eq!(
            found.unwrap(),
            [vec![1, 4, 9], vec![1, 25, 9, 16], vec![81, 25]]
        );
    }
}
