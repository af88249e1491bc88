//! Proving a store by reading back what was written, without RocksDB and without hashing again.

use std::ops::Range;
use std::path::Path;

use fork_ledger::merkle::{MerkleTree, ledger_hash};
use sha2::{Digest, Sha256};

use crate::entry::{describe_key, describe_value};
use crate::error::{StoreError, StoreErrorKind};
use crate::index::{Row, SortedIndex, entry_count, hash_node_count};
use crate::key::{ACCOUNT_TAG, KeyLayout, TEXT_TAG};
use crate::log_reader::{Batch, LogReader, Record};
use crate::payload::in_order;
use crate::problem::{Problem, Problems};
use crate::proof::StoreProof;
use crate::reader::RawEntry;
use crate::scan::push_line;
use crate::writer::FinishedStore;

/// Reads the log-only store in `directory` back and proves that it is, byte for byte, the one that
/// `store` says was written, of the ledger whose tree is `tree`.
///
/// It shares no code with the writer: the log is read strictly (checksums, lengths, sequence
/// numbers, nothing left over), every key is built again and compared, hash nodes are compared with
/// the tree, text records with the sorted accounts, and accounts by a digest taken when they were
/// pushed. What it takes on trust is what [`prove_store`](crate::prove_store) does not: that the
/// tree is the tree of these accounts. The writer has checked that the accounts' bytes decode to
/// the accounts ([`push_accounts`](crate::LedgerStoreWriter::push_accounts)) that were hashed.
///
/// The result is that of `prove_store`. Both read the log only, so this can run beside
/// [`write_tarball`](crate::write_tarball). Uses all threads of the current rayon pool and about
/// two megabytes per thread (four batches), or 40 MB when batches are as large as they can be;
/// besides the index, four bytes per owner when some owner has two accounts.
///
/// # Errors
///
/// Fails with [`StoreErrorKind::Log`] where the log is damaged and with
/// [`StoreErrorKind::Unproven`] on the first entry that is not what it should be.
pub fn prove_log(
    directory: &Path,
    store: &FinishedStore,
    tree: &MerkleTree,
) -> Result<StoreProof, StoreError> {
    let expected = Expected::new(store.layout(), store.index(), tree);
    let readback = Readback {
        log: &LogReader::open(directory)?,
        directory,
        expected: &expected,
        wants_text: true,
    };
    readback.check_count()?;
    let mut content = Sha256::new();
    // The digest is taken in key order, in which hash nodes come before the accounts.
    let [accounts, nodes, texts] = expected.sections();
    readback.pass(nodes, |product| content.update(&product.text))?;
    let mut accounts_digest = Sha256::new();
    readback.pass(accounts, |product| {
        content.update(&product.text);
        accounts_digest.update(&product.raw);
    })?;
    readback.pass(texts, |product| content.update(&product.text))?;
    if accounts_digest.finalize().as_slice() != store.accounts_sha256() {
        return Err(readback.unproven(Problem::AccountBytes));
    }
    Ok(StoreProof {
        root: ledger_hash(tree.root()),
        accounts: expected.accounts,
        owners: expected.owners,
        hash_nodes: expected.hash_nodes,
        entries: readback.log.entries(),
        content_sha256: hex::encode(content.finalize()),
    })
}

/// Compares every entry of a log but the accounts' values with what follows from a tree and the sorted
/// accounts. Returns the number of distinct owners and of hash nodes.
///
/// # Errors
///
/// As [`prove_log`].
pub(crate) fn compare_log(
    log: &LogReader,
    directory: &Path,
    layout: KeyLayout,
    index: &SortedIndex,
    tree: &MerkleTree,
) -> Result<(u64, u64), StoreError> {
    let expected = Expected::new(layout, index, tree);
    let readback = Readback {
        log,
        directory,
        expected: &expected,
        wants_text: false,
    };
    readback.check_count()?;
    // The accounts too, though whoever took them has seen their keys: nothing is left out here.
    for section in expected.sections() {
        readback.pass(section, |_| ())?;
    }
    Ok((expected.owners, expected.hash_nodes))
}

struct Readback<'a> {
    log: &'a LogReader,
    directory: &'a Path,
    expected: &'a Expected<'a>,
    /// Whether the scanner text and the raw accounts are needed.
    wants_text: bool,
}

/// What a thread makes of a batch.
#[derive(Default)]
struct Product {
    buffer: Vec<u8>,
    batch: Batch,
    /// Scanner text of the entries.
    text: Vec<u8>,
    /// The entries as they stand in the batch.
    raw: Vec<u8>,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

impl Readback<'_> {
    fn check_count(&self) -> Result<(), StoreError> {
        let expected = &self.expected;
        let by_accounts = entry_count(expected.accounts, expected.owners, expected.layout.depth());
        let found = self.log.entries();
        if found != by_accounts {
            // A damaged count is damage in the first place.
            let (mut buffer, mut batch) = (Vec::new(), Batch::default());
            for record in self.log.records(0, found) {
                self.log.read_batch(record, &mut buffer, &mut batch)?;
            }
            return Err(self.unproven(Problem::EntryCount {
                expected: by_accounts,
                found,
            }));
        }
        Ok(())
    }

    /// Checks the entries of a section, on all threads, and hands them over in order.
    fn pass(
        &self,
        section: Range<u64>,
        mut take: impl FnMut(&Product) + Send,
    ) -> Result<(), StoreError> {
        let records = self.log.records(section.start, section.end);
        let mut last_key: Option<Vec<u8>> = None;
        in_order(
            records.len(),
            1,
            |range, product: &mut Product| {
                records[range]
                    .iter()
                    .try_for_each(|record| self.check(record, &section, product))
            },
            |product| {
                let ascends = last_key
                    .as_ref()
                    .is_none_or(|last| last < &product.first_key);
                if !ascends {
                    return Err(self.out_of_order(&product.first_key));
                }
                last_key
                    .get_or_insert_default()
                    .clone_from(&product.last_key);
                take(product);
                Ok(())
            },
        )
    }

    /// Reads a batch and checks those of its entries that belong to the section.
    fn check(
        &self,
        record: &Record,
        section: &Range<u64>,
        product: &mut Product,
    ) -> Result<(), StoreError> {
        let Product {
            buffer,
            batch,
            text,
            raw,
            first_key,
            last_key,
        } = product;
        self.log.read_batch(record, buffer, batch)?;
        text.clear();
        raw.clear();
        let mut expected = (Vec::new(), Vec::new());
        let mut previous: Option<&[u8]> = None;
        let start = record.first.max(section.start);
        let end = section.end.min(record.first + u64::from(record.count));
        for entry in start..end {
            let Some(((key, value), encoded)) = batch.get((entry - record.first) as usize) else {
                // The batch was parsed, so it has as many entries as it says.
                continue;
            };
            self.compare(entry, (key, value), &mut expected)?;
            match previous {
                None => key.clone_into(first_key),
                Some(previous) if previous < key => {}
                Some(_) => return Err(self.out_of_order(key)),
            }
            previous = Some(key);
            if self.wants_text {
                push_line(key, value, text);
                if section.start == 0 {
                    raw.extend_from_slice(encoded);
                }
            }
        }
        previous.unwrap_or_default().clone_into(last_key);
        Ok(())
    }

    /// Compares an entry with what must be there, which is built in the two buffers.
    fn compare(
        &self,
        entry: u64,
        (key, value): RawEntry<'_>,
        (expected_key, expected_value): &mut (Vec<u8>, Vec<u8>),
    ) -> Result<(), StoreError> {
        let layout = self.expected.layout;
        expected_key.clear();
        expected_value.clear();
        let is_account = self
            .expected
            .build(entry, expected_key, expected_value)
            .is_account;
        if key != expected_key {
            return Err(self.unproven(Problem::Different {
                entry: format!("key of entry {entry} of the log"),
                expected: describe_key(layout, expected_key),
                found: describe_key(layout, key),
            }));
        }
        if !is_account && value != expected_value {
            return Err(self.unproven(Problem::Different {
                entry: describe_key(layout, key),
                expected: describe_value(layout, key, expected_value),
                found: describe_value(layout, key, value),
            }));
        }
        Ok(())
    }

    fn out_of_order(&self, key: &[u8]) -> StoreError {
        self.unproven(Problem::Order {
            entry: describe_key(self.expected.layout, key),
        })
    }

    fn unproven(&self, problem: Problem) -> StoreError {
        let mut problems = Problems::default();
        problems.push(problem);
        StoreErrorKind::Unproven {
            path: self.directory.to_owned(),
            problems,
        }
        .into()
    }
}

/// What every entry must be, by its position in the log. Built from the tree and the sorted
/// accounts, without the writer's encoders.
struct Expected<'a> {
    layout: KeyLayout,
    tree: &'a MerkleTree,
    index: &'a SortedIndex,
    accounts: u64,
    owners: u64,
    hash_nodes: u64,
    /// Number of nodes below each height.
    nodes_below: Vec<u64>,
    /// First rows of the owners; empty when every row has another one.
    owner_rows: Vec<u32>,
}

/// What was built for an entry.
struct Built {
    /// Only the key is known.
    is_account: bool,
}

impl<'a> Expected<'a> {
    fn new(layout: KeyLayout, index: &'a SortedIndex, tree: &'a MerkleTree) -> Self {
        let accounts = index.rows().len() as u64;
        let owners = index.owners();
        let mut owner_rows = Vec::new();
        if owners < accounts {
            let mut row = 0;
            for rows in index.rows().chunk_by(Row::has_owner_of) {
                owner_rows.push(row);
                row += rows.len() as u32;
            }
        }
        let nodes_below = (0..=layout.depth())
            .scan(0, |below, height| {
                let start = *below;
                *below += accounts.div_ceil(1 << height);
                Some(start)
            })
            .collect();
        Self {
            layout,
            tree,
            index,
            accounts,
            owners,
            hash_nodes: hash_node_count(accounts, layout.depth()),
            nodes_below,
            owner_rows,
        }
    }

    /// Where the accounts, the hash nodes and the texts are in the log.
    fn sections(&self) -> [Range<u64>; 3] {
        let texts = self.accounts + self.hash_nodes;
        let end = texts + 2 * self.accounts + self.owners + 1;
        [0..self.accounts, self.accounts..texts, texts..end]
    }

    fn build(&self, entry: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Built {
        let [accounts, nodes, texts] = self.sections();
        let is_account = entry < accounts.end;
        if is_account {
            self.push_path(ACCOUNT_TAG, self.layout.depth(), entry, key);
        } else if entry < nodes.end {
            self.build_node(entry - nodes.start, key, value);
        } else {
            self.build_text(entry - texts.start, key, value);
        }
        Built { is_account }
    }

    fn build_node(&self, number: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let height = self.nodes_below.partition_point(|below| *below <= number) - 1;
        let index = number - self.nodes_below[height];
        let height = height as u8;
        self.push_path(height, self.layout.depth() - height, index, key);
        let nodes = self.tree.level(height).unwrap_or_default();
        if let Some(node) = nodes.get(index as usize) {
            value.extend_from_slice(&node.to_le_bytes());
        }
    }

    fn build_text(&self, number: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let rows = self.index.rows();
        let count = rows.len();
        let number = number as usize;
        key.push(TEXT_TAG);
        if let Some(row) = rows.get(number) {
            key.push(b'$');
            key.extend_from_slice(row.public_key().text().as_bytes());
            key.push(b'!');
            push_token(row.token_id().field().to_le_bytes(), key);
            self.push_path(ACCOUNT_TAG, self.layout.depth(), row.leaf(), value);
        } else if number < 2 * count {
            let position = number - count;
            for row in self.index.by_derived(position..position + 1) {
                key.extend_from_slice(b"$tid!");
                push_token(row.derived().field().to_le_bytes(), key);
                let owner = row.public_key();
                value.extend_from_slice(owner.x().as_le_bytes());
                value.push(u8::from(owner.is_odd()));
                value.extend_from_slice(row.token_id().field().as_le_bytes());
            }
        } else if let Some(rows) = self.owner(number - 2 * count) {
            key.extend_from_slice(b"$tids!");
            for row in rows.iter().take(1) {
                key.extend_from_slice(row.public_key().text().as_bytes());
            }
            push_count(rows.len() as u32, value);
            for row in rows {
                value.extend_from_slice(row.token_id().field().as_le_bytes());
            }
        } else {
            key.extend_from_slice(b"last_account_location");
            self.push_path(ACCOUNT_TAG, self.layout.depth(), self.accounts - 1, value);
        }
    }

    /// The rows of an owner, by the owner's position.
    fn owner(&self, number: usize) -> Option<&[Row]> {
        let rows = self.index.rows();
        if self.owner_rows.is_empty() {
            return rows.get(number..=number);
        }
        let start = *self.owner_rows.get(number)? as usize;
        let end = self.owner_rows.get(number + 1);
        rows.get(start..end.map_or(rows.len(), |end| *end as usize))
    }

    /// A byte and the first `bits` branches from the root to the node at `index` of its level, from
    /// the most significant bit on, filled up with zeros to whole bytes of the deepest path.
    fn push_path(&self, first: u8, bits: u8, index: u64, out: &mut Vec<u8>) {
        let bytes = self.layout.depth().div_ceil(8);
        // At most 56 branches in seven bytes.
        let path = index << (8 * u32::from(bytes) - u32::from(bits));
        out.push(first);
        out.extend(
            path.to_be_bytes()
                .iter()
                .skip(size_of::<u64>() - usize::from(bytes)),
        );
    }
}

/// `0x` and 64 upper-case digits of the integer.
fn push_token(le_bytes: [u8; 32], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    for byte in le_bytes.iter().rev() {
        for digit in [byte >> 4, byte & 15] {
            out.push(if digit < 10 {
                b'0' + digit
            } else {
                b'A' - 10 + digit
            });
        }
    }
}

/// The number of elements in front of a set: one byte, or a tag and two or four.
fn push_count(count: u32, out: &mut Vec<u8>) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count @ ..0x80), _) => out.push(count),
        (_, Ok(count)) => {
            out.push(0xfe);
            out.extend_from_slice(&count.to_le_bytes());
        }
        _ => {
            out.push(0xfd);
            out.extend_from_slice(&count.to_le_bytes());
        }
    }
}
