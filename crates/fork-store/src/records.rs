//! The entries that follow from the accounts: hash nodes and text records.

use std::ops::Range;

use fork_ledger::binprot::{account_id_bytes, encode_token_ids};
use fork_ledger::merkle::MerkleTree;
use fork_ledger::packing::field_bytes;

use crate::entry::Entry;
use crate::index::{Row, SortedIndex};
use crate::key::{Key, KeyLayout, push_location_key, push_token_ids_key};
use crate::payload::{Payload, in_order};

/// Entries made at a time by a thread: about 0.2 MB.
const ENTRIES_PER_CHUNK: usize = 1024;

/// Makes all hash nodes of a ledger in key order, on all threads: the nodes above an account,
/// leaves first. Nodes of empty subtrees are not stored. Returns their number.
pub(crate) fn hash_records<E: Send>(
    layout: KeyLayout,
    tree: &MerkleTree,
    mut take: impl FnMut(&Payload) -> Result<(), E> + Send,
) -> Result<u64, E> {
    let mut count = 0;
    for height in 0..=layout.depth() {
        let nodes = tree.level(height).unwrap_or_default();
        count += nodes.len() as u64;
        let make = |range: Range<usize>, payload: &mut Payload| {
            payload.clear();
            let mut key = Vec::new();
            for (index, node) in (range.start as u64..).zip(&nodes[range]) {
                key.clear();
                layout.encode(&Key::Hash { height, index }, &mut key);
                payload.put(&key, field_bytes(*node).as_le_bytes());
            }
            Ok(())
        };
        in_order(nodes.len(), ENTRIES_PER_CHUNK, make, &mut take)?;
    }
    Ok(count)
}

/// Makes all text records in key order, on all threads: locations, token owners, token sets, the
/// last location.
///
/// `last_account_location` comes at the very end, so a log that was cut short holds a ledger
/// without accounts rather than one with too few.
pub(crate) fn text_records<E: Send>(
    layout: KeyLayout,
    index: &SortedIndex,
    mut take: impl FnMut(&Payload) -> Result<(), E> + Send,
) -> Result<(), E> {
    let rows = index.rows();
    let locations = |range: Range<usize>, payload: &mut Payload| {
        payload.clear();
        put_locations(layout, &rows[range], payload);
        Ok(())
    };
    in_order(rows.len(), ENTRIES_PER_CHUNK, locations, &mut take)?;
    let owners = |range: Range<usize>, payload: &mut Payload| {
        payload.clear();
        put_token_owners(layout, index.by_derived(range), payload);
        Ok(())
    };
    in_order(rows.len(), ENTRIES_PER_CHUNK, owners, &mut take)?;
    let sets = |range: Range<usize>, payload: &mut Payload| {
        payload.clear();
        put_token_sets(index.owners_in(range), payload);
        Ok(())
    };
    in_order(rows.len(), ENTRIES_PER_CHUNK, sets, &mut take)?;
    // Leaves are contiguous, so the last one is the number of accounts less one.
    let last = Entry::LastLocation {
        index: rows.len().saturating_sub(1) as u64,
    };
    let (key, value) = last.encode(layout);
    let mut payload = Payload::default();
    payload.put(&key, &value);
    take(&payload)
}

fn put_locations(layout: KeyLayout, rows: &[Row], payload: &mut Payload) {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for row in rows {
        key.clear();
        value.clear();
        let text = row.public_key().text();
        push_location_key(text.as_str(), &row.token_id(), &mut key);
        layout.encode_location(row.leaf(), &mut value);
        payload.put(&key, &value);
    }
}

fn put_token_owners<'a>(
    layout: KeyLayout,
    rows: impl Iterator<Item = &'a Row>,
    payload: &mut Payload,
) {
    let mut key = Vec::new();
    for row in rows {
        key.clear();
        let token_id = row.derived();
        layout.encode(&Key::TokenOwner { token_id }, &mut key);
        payload.put(&key, &account_id_bytes(&row.public_key(), &row.token_id()));
    }
}

fn put_token_sets<'a>(owners: impl Iterator<Item = &'a [Row]>, payload: &mut Payload) {
    let (mut key, mut value, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for rows in owners {
        let Some(owner) = rows.first() else {
            continue;
        };
        key.clear();
        value.clear();
        tokens.clear();
        tokens.extend(rows.iter().map(Row::token_id));
        push_token_ids_key(owner.public_key().text().as_str(), &mut key);
        encode_token_ids(&tokens, &mut value);
        payload.put(&key, &value);
    }
}
