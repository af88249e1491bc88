//! Who owns which leaf: the part of a ledger from which all text records follow.

use std::cmp::Ordering;
use std::ops::Range;

use fork_ledger::hash::derive_token_ids;
use fork_types::{FieldBytes, PublicKey, TokenId};
use rayon::prelude::*;

use crate::error::{StoreError, StoreErrorKind};

/// Bytes of memory per account that a writer or a proof keeps: a row, and eight of the order of the
/// derived tokens.
pub const INDEX_BYTES_PER_ACCOUNT: usize = size_of::<Row>() + size_of::<u64>();

/// Most accounts: positions are four bytes.
pub const ACCOUNTS_MAX: u64 = u32::MAX as u64;

/// Tokens derived at a time: enough for all threads, 6 MB of copies.
const TOKENS_PER_BATCH: usize = 1 << 16;

/// One account. Fields are kept as words of which the first decides, so that comparing them takes
/// a few instructions: sorting is most of what is done with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The x coordinate's bytes, the first byte most significant.
    x: [u64; 4],
    /// The token as an integer, the most significant word first.
    token: [u64; 4],
    /// The token that the account owns, likewise; zeros until it is known.
    derived: [u64; 4],
    leaf: u32,
    is_odd: bool,
}

impl Row {
    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey::new(field(swapped(self.x)), self.is_odd)
    }

    pub(crate) fn token_id(&self) -> TokenId {
        TokenId::new(field(self.token))
    }

    /// The token that the account owns.
    pub(crate) fn derived(&self) -> TokenId {
        TokenId::new(field(self.derived))
    }

    pub(crate) fn leaf(&self) -> u64 {
        u64::from(self.leaf)
    }

    /// Orders owners as their texts in keys are ordered.
    ///
    /// Texts of public keys all have 55 characters and the Base58 alphabet ascends, so they are
    /// ordered as the numbers they stand for: version, tags, x from its first byte, parity.
    fn compare_owner(&self, other: &Self) -> Ordering {
        (self.x, self.is_odd).cmp(&(other.x, other.is_odd))
    }

    pub(crate) fn has_owner_of(&self, other: &Self) -> bool {
        self.compare_owner(other) == Ordering::Equal
    }

    /// Orders accounts as their `$pk!token` keys are ordered. Tokens there are big-endian text, so
    /// they ascend as integers, which is also the order inside a `$tids!` set.
    fn compare(&self, other: &Self) -> Ordering {
        self.compare_owner(other)
            .then_with(|| self.token.cmp(&other.token))
    }
}

/// The words of an integer, the most significant first.
fn words(field: FieldBytes) -> [u64; 4] {
    let (words, _) = field.as_le_bytes().as_chunks::<8>();
    let word = |number: usize| {
        words
            .get(number)
            .map_or(0, |word| u64::from_le_bytes(*word))
    };
    [word(3), word(2), word(1), word(0)]
}

/// Turns words of little-endian bytes read first byte first into the words of the integer, and back.
fn swapped(words: [u64; 4]) -> [u64; 4] {
    let [a, b, c, d] = words.map(u64::swap_bytes);
    [d, c, b, a]
}

/// The field element that has these words.
fn field(words: [u64; 4]) -> FieldBytes {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words.iter().rev()) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    // The words come from a field element, so they are one.
    FieldBytes::from_le_bytes(bytes).unwrap_or_default()
}

/// Two accounts of one owner and token.
pub(crate) struct Duplicate {
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) public_key: PublicKey,
    pub(crate) token_id: TokenId,
}

/// Who owns which leaf: accounts pushed in leaf order. From it follow all text records of a store.
#[derive(Debug, Default)]
pub struct AccountIndex {
    rows: Vec<Row>,
}

impl AccountIndex {
    /// Adds the account of the next leaf, and the token it owns if that is known; returns its
    /// index.
    ///
    /// # Errors
    ///
    /// Fails on more accounts than [`ACCOUNTS_MAX`].
    pub fn push(
        &mut self,
        public_key: PublicKey,
        token_id: TokenId,
        derived: Option<TokenId>,
    ) -> Result<u64, StoreError> {
        let leaf = u32::try_from(self.rows.len())
            .ok()
            .filter(|leaf| *leaf < u32::MAX)
            .ok_or(StoreErrorKind::TooManyAccounts {
                accounts_max: ACCOUNTS_MAX,
            })?;
        self.rows.push(Row {
            x: swapped(words(public_key.x())),
            token: words(token_id.field()),
            derived: derived.map_or([0; 4], |derived| words(derived.field())),
            leaf,
            is_odd: public_key.is_odd(),
        });
        Ok(u64::from(leaf))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Derives the owned tokens that are not known and sorts, on all threads of the current rayon
    /// pool.
    pub(crate) fn sort(self) -> SortedIndex {
        let mut rows = self.rows;
        derive_missing(&mut rows);
        rows.par_sort_unstable_by(|a, b| a.compare(b).then_with(|| a.leaf.cmp(&b.leaf)));
        SortedIndex {
            by_derived: sort_derived(&rows),
            rows,
        }
    }
}

fn derive_missing(rows: &mut [Row]) {
    for batch in rows.chunks_mut(TOKENS_PER_BATCH) {
        // No account derives zero: that is one chance in 2^254, and deriving it again does no harm.
        let missing = |row: &&mut Row| row.derived == [0; 4];
        let mut missing: Vec<&mut Row> = batch.iter_mut().filter(missing).collect();
        let ids: Vec<_> = missing
            .iter()
            .map(|row| (row.public_key(), row.token_id()))
            .collect();
        for (row, derived) in missing.iter_mut().zip(derive_token_ids(&ids)) {
            row.derived = words(derived.field());
        }
    }
}

/// Positions of the rows in the order of their derived tokens, below 32 bits of the token.
///
/// Sorting these words moves and compares no rows, which lie far apart; 32 bits leave a hundred
/// pairs of a million undecided, which are compared in full.
fn sort_derived(rows: &[Row]) -> Vec<u64> {
    let start = |row: &Row| (row.derived[0] >> 31) << 32;
    let mut order: Vec<u64> = rows
        .par_iter()
        .enumerate()
        .map(|(position, row)| start(row) | position as u64)
        .collect();
    order.par_sort_unstable();
    let undecided = order.chunk_by_mut(|a, b| a >> 32 == b >> 32);
    for positions in undecided.filter(|positions| positions.len() > 1) {
        positions.sort_by_key(|entry| rows[position(*entry)].derived);
    }
    order
}

fn position(entry: u64) -> usize {
    (entry & u64::from(u32::MAX)) as usize
}

/// The accounts in the order of their `$pk!token` keys.
#[derive(Debug)]
pub(crate) struct SortedIndex {
    rows: Vec<Row>,
    by_derived: Vec<u64>,
}

impl SortedIndex {
    pub(crate) fn duplicates(&self) -> impl Iterator<Item = Duplicate> + '_ {
        self.rows
            .windows(2)
            .filter(|pair| pair[0].compare(&pair[1]) == Ordering::Equal)
            .map(|pair| Duplicate {
                first: pair[0].leaf(),
                second: pair[1].leaf(),
                public_key: pair[0].public_key(),
                token_id: pair[0].token_id(),
            })
    }

    /// Number of distinct public keys.
    pub(crate) fn owners(&self) -> u64 {
        self.rows.chunk_by(Row::has_owner_of).count() as u64
    }

    /// All rows in order.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows at some places of the order of their derived tokens, which is that of the `$tid!`
    /// keys.
    pub(crate) fn by_derived(&self, range: Range<usize>) -> impl Iterator<Item = &Row> {
        self.by_derived[range]
            .iter()
            .map(|entry| &self.rows[position(*entry)])
    }

    /// The rows of each owner whose first row is in the range.
    pub(crate) fn owners_in(&self, range: Range<usize>) -> impl Iterator<Item = &[Row]> {
        let is_continued = |at: usize| at > 0 && self.rows[at].has_owner_of(&self.rows[at - 1]);
        let mut start = range.start;
        while start < range.end && is_continued(start) {
            start += 1;
        }
        let mut end = range.end;
        while start < end && end < self.rows.len() && is_continued(end) {
            end += 1;
        }
        self.rows[start..end].chunk_by(Row::has_owner_of)
    }
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
        assert_eq!(INDEX_BYTES_PER_ACCOUNT, 112);
    }

    #[test]
    fn tokens_that_agree_in_32_bits_are_ordered() {
        let mut index = AccountIndex::default();
        for number in 0..100_u64 {
            let mut token = [0; 32];
            token[0] = (number * 37 % 100) as u8;
            token[31] = 0x20 | (number % 3) as u8;
            let derived = TokenId::new(FieldBytes::from_le_bytes(token).unwrap());
            let owner = PublicKey::new(FieldBytes::from_u64(number * 7919 % 100), false);
            index.push(owner, TokenId::DEFAULT, Some(derived)).unwrap();
        }
        let index = index.sort();
        let tokens: Vec<_> = index.by_derived(0..100).map(|row| row.derived).collect();
        assert!(tokens.is_sorted());
        assert_eq!(tokens.len(), 100);
    }

    #[test]
    fn owners_are_ordered_as_their_texts() {
        let rows: Vec<Row> = (0..200_u64)
            .map(|number| {
                let mut x = [0; 32];
                x[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
                x[20] = number as u8;
                let mut index = AccountIndex::default();
                let x = FieldBytes::from_le_bytes(x).unwrap();
                let public_key = PublicKey::new(x, number % 3 == 0);
                index.push(public_key, TokenId::DEFAULT, None).unwrap();
                let row = index.rows[0];
                assert_eq!(
                    (row.public_key(), row.token_id()),
                    (public_key, TokenId::DEFAULT)
                );
                row
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
