//! Some leaves of all ledgers at once: what one thread works on.

use std::ops::Range;

use fork_ledger::account::{Account, V1Account};
use fork_ledger::batch::{AccountBatch, LeafHasher};
use fork_ledger::hash::{HashError, derive_token_ids, hash_v1_accounts};
use fork_ledger::migrate::{Audit, MigrateError, Rule, Totals};
use fork_types::{Era, PublicKey, TokenId};
use pasta_poseidon::Fp;

use crate::differences::Differences;
use crate::series::Series;
use crate::subject::error_text;

/// Some leaves of a ledger.
pub(super) struct Piece<'a> {
    list: List<'a>,
    store: &'a [Option<Account>],
}

/// Accounts of the list.
#[derive(Clone, Copy)]
enum List<'a> {
    V1(&'a [V1Account]),
    Later(&'a [Account]),
}

impl List<'_> {
    const fn len(self) -> usize {
        match self {
            Self::V1(accounts) => accounts.len(),
            Self::Later(accounts) => accounts.len(),
        }
    }
}

impl<'a> Piece<'a> {
    /// The leaves from `start` on, `count` at most.
    pub(super) fn new(
        list: &'a AccountBatch,
        store: &'a [Option<Account>],
        start: usize,
        count: usize,
    ) -> Self {
        Self {
            list: match list {
                AccountBatch::V1(accounts) => List::V1(part(accounts, start, count)),
                AccountBatch::Later(accounts) => List::Later(part(accounts, start, count)),
            },
            store: part(store, start, count),
        }
    }
}

fn part<T>(items: &[T], start: usize, count: usize) -> &[T] {
    let Range { start, end } = start.min(items.len())..(start + count).min(items.len());
    &items[start..end]
}

/// What was found in a piece.
#[derive(Default)]
pub(super) struct Found {
    pub(super) list_problem: Option<String>,
    pub(super) migrate_problem: Option<String>,
    pub(super) store_problem: Option<String>,
    pub(super) source_leaves: Vec<Fp>,
    pub(super) migrated_leaves: Vec<Fp>,
    pub(super) store_leaves: Vec<Fp>,
    pub(super) audit: Audit,
    pub(super) list_totals: Totals,
    pub(super) store_totals: Totals,
    pub(super) list_series: Series,
    pub(super) store_series: Series,
    pub(super) differences: Differences,
    /// Of every stored account who it is, and which token it owns.
    pub(super) owned: Vec<Owned>,
}

/// An account of a store.
pub(super) struct Owned {
    pub(super) public_key: PublicKey,
    pub(super) token_id: TokenId,
    /// The token that it owns.
    pub(super) owns: TokenId,
}

/// What is done with pieces.
pub(super) struct Work<'a> {
    pub(super) hasher: &'a LeafHasher,
    pub(super) source: Era,
    pub(super) target: Era,
    pub(super) rule: Option<Rule>,
    /// Empty charts of a list and of a store.
    pub(super) list_series: Series,
    pub(super) store_series: Series,
}

impl Work<'_> {
    /// Works on the same leaves of every ledger, of which `first` is the first.
    pub(super) fn take(&self, first: u64, pieces: &[Piece<'_>]) -> Vec<Found> {
        let nothing = |_| Found {
            list_series: self.list_series.fresh(),
            store_series: self.store_series.fresh(),
            ..Found::default()
        };
        let mut found: Vec<Found> = pieces.iter().map(nothing).collect();
        self.hash_lists(&mut found, pieces);
        let mut compared = Vec::with_capacity(pieces.len());
        for (found, piece) in found.iter_mut().zip(pieces) {
            sum(&mut found.store_totals, piece.store.iter().flatten());
            found.store_series.add(piece.store.iter().flatten());
            let migrated = self.migrate(first, found, piece);
            compared.push(compare(first, found, migrated, piece));
        }
        let stored: Vec<Vec<&Account>> = pieces
            .iter()
            .map(|piece| piece.store.iter().flatten().collect())
            .collect();
        self.hash_stores(&mut found, &stored);
        for (found, compared) in found.iter_mut().zip(compared) {
            self.hash_migrated(found, compared);
        }
        own(&mut found, &stored);
        found
    }

    /// Hashes the lists by the old rules and sums their balances.
    fn hash_lists(&self, found: &mut [Found], pieces: &[Piece<'_>]) {
        let mut first: Vec<Vec<&V1Account>> = Vec::with_capacity(pieces.len());
        let mut later: Vec<Vec<&Account>> = Vec::with_capacity(pieces.len());
        for (found, piece) in found.iter_mut().zip(pieces) {
            let (mut of_first, mut of_later) = (Vec::new(), Vec::new());
            match piece.list {
                List::V1(accounts) => {
                    found.list_series.add(accounts);
                    for account in accounts {
                        let balance = account.balance.nanomina();
                        add(&mut found.list_totals, account.token_id == 1, balance);
                    }
                    of_first.extend(accounts);
                }
                List::Later(accounts) => {
                    found.list_series.add(accounts);
                    sum(&mut found.list_totals, accounts.iter());
                    of_later.extend(accounts);
                }
            }
            first.push(of_first);
            later.push(of_later);
        }
        let hashes = if self.source == Era::V1 {
            shared(&first, |accounts| {
                let accounts: Vec<V1Account> = accounts.iter().copied().cloned().collect();
                Ok(hash_v1_accounts(&accounts))
            })
        } else {
            shared(&later, |accounts| {
                self.hasher.hash_here(self.source, accounts)
            })
        };
        match hashes {
            Ok(hashes) => {
                for (found, hashes) in found.iter_mut().zip(hashes) {
                    found.source_leaves = hashes;
                }
            }
            Err(error) => {
                for found in found {
                    found.list_problem = Some(error_text(&error));
                }
            }
        }
    }

    /// Migrates and counts; nothing when an account could not be migrated.
    fn migrate(&self, first: u64, found: &mut Found, piece: &Piece<'_>) -> Vec<Account> {
        let Some(rule) = self.rule else {
            return Vec::new();
        };
        let audit = &mut found.audit;
        let migrated: Result<Vec<Account>, MigrateError> = match piece.list {
            List::V1(accounts) => accounts
                .iter()
                .map(|account| {
                    let (after, changes) = rule.migrate_v1(account)?;
                    audit.record_v1(account, &after, &changes);
                    Ok(after)
                })
                .collect(),
            List::Later(accounts) => accounts
                .iter()
                .map(|account| {
                    let (after, changes) = rule.migrate(account)?;
                    audit.record(account, &after, &changes);
                    Ok(after)
                })
                .collect(),
        };
        migrated.unwrap_or_else(|error| {
            found.migrate_problem = Some(format!(
                "an account from {first} on: {}",
                error_text(&error)
            ));
            Vec::new()
        })
    }

    fn hash_stores(&self, found: &mut [Found], stored: &[Vec<&Account>]) {
        let hashes = shared(stored, |accounts| {
            self.hasher.hash_here(self.target, accounts)
        });
        match hashes {
            Ok(hashes) => {
                for (found, hashes) in found.iter_mut().zip(hashes) {
                    found.store_leaves = hashes;
                }
            }
            // Strict decoding leaves nothing that cannot be hashed.
            Err(error) => {
                for found in found {
                    found.store_problem = Some(error_text(&error));
                }
            }
        }
    }

    /// Leaves of the migrated accounts: those of equal stored ones, and hashes of the others.
    fn hash_migrated(&self, found: &mut Found, compared: Compared) {
        let others = self.hasher.hash_here(self.target, &compared.others);
        let mut others = match others {
            Ok(hashes) => hashes.into_iter(),
            Err(error) => {
                found.migrate_problem = Some(error_text(&error));
                return;
            }
        };
        for place in compared.places {
            let leaf = match place {
                Some(place) => found.store_leaves.get(place).copied(),
                None => others.next(),
            };
            found.migrated_leaves.extend(leaf);
        }
    }
}

/// Derives the tokens that the stored accounts own.
fn own(found: &mut [Found], stored: &[Vec<&Account>]) {
    let ids: Vec<Vec<_>> = stored
        .iter()
        .map(|accounts| {
            accounts
                .iter()
                .map(|account| (account.public_key, account.token_id))
                .collect()
        })
        .collect();
    let lists: Vec<Vec<&_>> = ids.iter().map(|ids| ids.iter().collect()).collect();
    let tokens = shared(&lists, |ids| {
        let ids: Vec<_> = ids.iter().copied().copied().collect();
        Ok::<_, HashError>(derive_token_ids(&ids))
    });
    let tokens = tokens.unwrap_or_default();
    for ((found, ids), tokens) in found.iter_mut().zip(ids).zip(tokens) {
        let owned = ids.into_iter().zip(tokens);
        found.owned = owned
            .map(|((public_key, token_id), owns)| Owned {
                public_key,
                token_id,
                owns,
            })
            .collect();
    }
}

/// Migrated accounts beside stored ones.
struct Compared {
    /// For every migrated account the position of its equal among the stored ones.
    places: Vec<Option<usize>>,
    /// Those that have no equal.
    others: Vec<Account>,
}

/// Compares migrated accounts with stored ones at the same leaves. Where nothing was migrated there is
/// nothing to compare.
fn compare(first: u64, found: &mut Found, migrated: Vec<Account>, piece: &Piece<'_>) -> Compared {
    if migrated.len() == piece.list.len() {
        let length = migrated.len().max(piece.store.len());
        for (leaf, position) in (first..).zip(0..length) {
            let stored = piece.store.get(position).and_then(Option::as_ref);
            found
                .differences
                .compare(leaf, migrated.get(position), stored);
        }
    }
    let mut present = 0;
    let mut compared = Compared {
        places: Vec::with_capacity(migrated.len()),
        others: Vec::new(),
    };
    for (position, account) in migrated.into_iter().enumerate() {
        let stored = piece.store.get(position).and_then(Option::as_ref);
        if stored == Some(&account) {
            compared.places.push(Some(present));
        } else {
            compared.places.push(None);
            compared.others.push(account);
        }
        present += usize::from(stored.is_some());
    }
    compared
}

fn sum<'a>(totals: &mut Totals, accounts: impl Iterator<Item = &'a Account>) {
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

/// Computes a value for every item of every list, those of equal items at equal positions once.
///
/// Ledgers of one fork have the same accounts at the same leaves but for those that changed between
/// two epochs.
fn shared<'a, K: PartialEq, V: Copy>(
    lists: &[Vec<&'a K>],
    compute: impl FnOnce(&[&'a K]) -> Result<Vec<V>, HashError>,
) -> Result<Vec<Vec<V>>, HashError> {
    let mut distinct: Vec<&K> = Vec::new();
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
                distinct.push(item);
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
        let lists = lists.map(|list| list.iter().collect());
        let found = shared(&lists, |items| {
            assert_eq!(items, [&1, &2, &3, &5, &4, &9]);
            Ok(items.iter().map(|item| *item * *item).collect())
        });
        assert_eq!(
            found.unwrap(),
            [vec![1, 4, 9], vec![1, 25, 9, 16], vec![81, 25]]
        );
    }

    #[test]
    fn parts_end_where_the_items_do() {
        let items = [1, 2, 3, 4, 5];
        assert_eq!(part(&items, 0, 2), [1, 2]);
        assert_eq!(part(&items, 4, 2), [5]);
        assert_eq!(part(&items, 6, 2), [0; 0]);
    }
}
