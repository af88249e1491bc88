//! Who owns which leaf: the part of a ledger from which all text records follow.

use std::cmp::Ordering;

use fork_ledger::binprot::{account_id_bytes, encode_token_ids};
use fork_ledger::hash::derive_token_id;
use fork_ledger::merkle::MerkleTree;
use fork_ledger::packing::field_bytes;
use fork_types::{FieldBytes, PublicKey, TokenId};
use rayon::prelude::*;

use crate::entry::Entry;
use crate::error::{StoreError, StoreErrorKind};
use crate::key::{Key, KeyLayout, push_location_key, push_token_ids_key};

/// Bytes of memory per account that a writer or a proof keeps: a row, and four of the
/// permutation that sorts the derived tokens.
pub const INDEX_BYTES_PER_ACCOUNT: usize = size_of::<Row>() + size_of::<u32>();

/// Most accounts: positions are four bytes.
pub const ACCOUNTS_MAX: u64 = u32::MAX as u64;

/// Rows whose key texts are made at a time, on all threads.
const TEXTS_PER_BATCH: usize = 4096;

/// One account.
#[derive(Clone, Copy, Debug)]
struct Row {
    x: FieldBytes,
    token: FieldBytes,
    derived: FieldBytes,
    leaf: u32,
    is_odd: bool,
}

impl Row {
    fn public_key(&self) -> PublicKey {
        PublicKey::new(self.x, self.is_odd)
    }

    fn token_id(&self) -> TokenId {
        TokenId::new(self.token)
    }

    /// Orders owners as their texts in keys are ordered.
    ///
    /// Texts of public keys all have 55 characters and the Base58 alphabet ascends, so they are
    /// ordered as the numbers they stand for: version, tags, x from its first byte, parity.
    fn compare_owner(&self, other: &Self) -> Ordering {
        let key = |row: &Self| (*row.x.as_le_bytes(), row.is_odd);
        key(self).cmp(&key(other))
    }

    /// Orders accounts as their `$pk!token` keys are ordered. Tokens there are big-endian text, so
    /// they ascend as integers, which is also the order inside a `$tids!` set.
    fn compare(&self, other: &Self) -> Ordering {
        self.compare_owner(other)
            .then_with(|| self.token.cmp(&other.token))
    }
}

/// Two accounts of one owner and token.
pub(crate) struct Duplicate {
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) public_key: PublicKey,
    pub(crate) token_id: TokenId,
}

/// The accounts pushed so far, in leaf order.
#[derive(Debug, Default)]
pub(crate) struct AccountIndex {
    rows: Vec<Row>,
}

impl AccountIndex {
    /// Adds the account of the next leaf; returns its index.
    pub(crate) fn push(
        &mut self,
        public_key: PublicKey,
        token_id: TokenId,
    ) -> Result<u64, StoreError> {
        let leaf = u32::try_from(self.rows.len())
            .ok()
            .filter(|leaf| *leaf < u32::MAX)
            .ok_or(StoreErrorKind::TooManyAccounts {
                accounts_max: ACCOUNTS_MAX,
            })?;
        self.rows.push(Row {
            x: public_key.x(),
            token: token_id.field(),
            derived: FieldBytes::ZERO,
            leaf,
            is_odd: public_key.is_odd(),
        });
        Ok(u64::from(leaf))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Derives the owned tokens and sorts, on all threads of the current rayon pool.
    pub(crate) fn sort(self) -> SortedIndex {
        let mut rows = self.rows;
        rows.par_iter_mut().for_each(|row| {
            row.derived = derive_token_id(&row.public_key(), row.token_id()).field();
        });
        rows.par_sort_unstable_by(|a, b| a.compare(b).then_with(|| a.leaf.cmp(&b.leaf)));
        SortedIndex { rows }
    }
}

/// The accounts in the order of their `$pk!token` keys.
#[derive(Debug)]
pub(crate) struct SortedIndex {
    rows: Vec<Row>,
}

impl SortedIndex {
    pub(crate) fn duplicates(&self) -> impl Iterator<Item = Duplicate> + '_ {
        self.rows
            .windows(2)
            .filter(|pair| pair[0].compare(&pair[1]) == Ordering::Equal)
            .map(|pair| Duplicate {
                first: u64::from(pair[0].leaf),
                second: u64::from(pair[1].leaf),
                public_key: pair[0].public_key(),
                token_id: pair[0].token_id(),
            })
    }

    /// Number of distinct public keys.
    pub(crate) fn owners(&self) -> u64 {
        self.by_owner().count() as u64
    }

    fn by_owner(&self) -> impl Iterator<Item = &[Row]> {
        self.rows
            .chunk_by(|a, b| a.compare_owner(b) == Ordering::Equal)
    }

    /// Hands over all text records in key order: locations, token owners, token sets, the last
    /// location.
    ///
    /// `last_account_location` comes at the very end, so a log that was cut short holds a ledger
    /// without accounts rather than one with too few.
    pub(crate) fn text_records<E>(
        &self,
        layout: KeyLayout,
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut key = Vec::new();
        let mut value = Vec::new();
        for rows in self.rows.chunks(TEXTS_PER_BATCH) {
            let texts: Vec<String> = rows
                .par_iter()
                .map(|row| row.public_key().to_string())
                .collect();
            for (row, text) in rows.iter().zip(texts) {
                key.clear();
                value.clear();
                push_location_key(&text, &row.token_id(), &mut key);
                layout.encode_location(u64::from(row.leaf), &mut value);
                put(&key, &value)?;
            }
        }
        for position in self.positions_by_derived() {
            let Some(row) = self.rows.get(position as usize) else {
                continue;
            };
            key.clear();
            let token_id = TokenId::new(row.derived);
            layout.encode(&Key::TokenOwner { token_id }, &mut key);
            put(&key, &account_id_bytes(&row.public_key(), &row.token_id()))?;
        }
        self.token_sets(&mut key, &mut value, &mut put)?;
        // Leaves are contiguous, so the last one is the number of accounts less one.
        let last = Entry::LastLocation {
            index: self.rows.len().saturating_sub(1) as u64,
        };
        let (key, value) = last.encode(layout);
        put(&key, &value)
    }

    fn token_sets<E>(
        &self,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
        put: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut owners = self.by_owner();
        let mut batch: Vec<&[Row]> = Vec::with_capacity(TEXTS_PER_BATCH);
        let mut tokens = Vec::new();
        loop {
            batch.clear();
            batch.extend(owners.by_ref().take(TEXTS_PER_BATCH));
            if batch.is_empty() {
                return Ok(());
            }
            let texts: Vec<String> = batch
                .par_iter()
                .map(|rows| rows.first().map(|row| row.public_key().to_string()))
                .map(Option::unwrap_or_default)
                .collect();
            for (rows, text) in batch.iter().zip(texts) {
                key.clear();
                value.clear();
                tokens.clear();
                tokens.extend(rows.iter().map(Row::token_id));
                push_token_ids_key(&text, key);
                encode_token_ids(&tokens, value);
                put(key, value)?;
            }
        }
    }

    /// Positions of the rows in the order of their `$tid!` keys.
    fn positions_by_derived(&self) -> Vec<u32> {
        let mut positions: Vec<u32> = (0..).take(self.rows.len()).collect();
        positions.par_sort_unstable_by(|a, b| {
            let derived = |position: u32| self.rows.get(position as usize).map(|row| row.derived);
            derived(*a).cmp(&derived(*b))
        });
        positions
    }
}

/// Hands over all hash nodes of a ledger in key order: the nodes above an account, leaves first.
/// Nodes of empty subtrees are not stored.
pub(crate) fn hash_records<E>(
    layout: KeyLayout,
    tree: &MerkleTree,
    mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let mut key = Vec::new();
    let mut count = 0;
    for height in 0..=layout.depth() {
        for (index, node) in (0..).zip(tree.level(height).unwrap_or_default()) {
            key.clear();
            layout.encode(&Key::Hash { height, index }, &mut key);
            put(&key, field_bytes(*node).as_le_bytes())?;
            count += 1;
        }
    }
    Ok(count)
}

/// H: hash nodes above `accounts` contiguous leaves.
#[must_use]
pub fn hash_node_count(accounts: u64, depth: u8) -> u64 {
    (0..=u32::from(depth))
        .map(|height| accounts.div_ceil(1_u64.checked_shl(height).unwrap_or(u64::MAX)))
        .sum()
}

/// Entries of a store: H + 3N + D + 1 for N accounts of D distinct owners.
#[must_use]
pub fn entry_count(accounts: u64, owners: u64, depth: u8) -> u64 {
    hash_node_count(accounts, depth) + 3 * accounts + owners + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_specification() {
        // Before `$tid!` records there were N fewer entries.
        assert_eq!(hash_node_count(6404, 20), 12_822);
        assert_eq!(entry_count(6404, 6404, 20) - 6404, 32_035);
        assert_eq!(hash_node_count(1676, 20), 3365);
        assert_eq!(entry_count(1676, 1676, 20) - 1676, 8394);
        assert_eq!(hash_node_count(1, 35), 36);
        assert_eq!(entry_count(1, 1, 35), 41);
        assert_eq!(hash_node_count(228_174, 35), 456_370);
        assert_eq!(entry_count(228_174, 228_174, 35), 1_369_067);
        assert_eq!(hash_node_count(277_307, 35), 554_638);
        assert_eq!(entry_count(277_307, 277_307, 35), 1_663_867);
    }

    #[test]
    fn a_row_is_what_the_documentation_says() {
        assert_eq!(INDEX_BYTES_PER_ACCOUNT, 108);
    }

    #[test]
    fn owners_are_ordered_as_their_texts() {
        let rows: Vec<Row> = (0..200_u64)
            .map(|number| {
                let mut x = [0; 32];
                x[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
                x[20] = number as u8;
                Row {
                    x: FieldBytes::from_le_bytes(x).unwrap(),
                    token: FieldBytes::ONE,
                    derived: FieldBytes::ZERO,
                    leaf: 0,
                    is_odd: number % 3 == 0,
                }
            })
            .collect();
        for a in &rows {
            for b in &rows {
                let texts = a.public_key().to_string().cmp(&b.public_key().to_string());
                assert_eq!(a.compare_owner(b), texts);
            }
        }
    }
}
