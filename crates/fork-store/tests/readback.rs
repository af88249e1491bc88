//! What reading back accepts, and everything it must refuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod common;

use std::path::{Path, PathBuf};

use common::{accounts, log_bytes, tree};
use fork_ledger::account::Account;
use fork_ledger::hash::derive_token_id;
use fork_ledger::merkle::MerkleTree;
use fork_store::log::{CURRENT_NAME, LOG_NAME, LogDirectory, MANIFEST_NAME};
use fork_store::{
    AccountIndex, Examined, FinishedStore, LedgerStoreWriter, LogDefect, LogExaminer, Problem,
    StoreError, StoreErrorKind, StoreProof, prove_log, prove_store, write_tarball,
};
use fork_types::{Class, Era, Fault};
use proptest::prelude::*;
use tempfile::TempDir;

const DEPTH: u8 = 35;
const ERA: Era = Era::Mesa;

type Entry = (Vec<u8>, Vec<u8>);

/// A store that was written, and what is known about it.
struct Written {
    temporary: TempDir,
    directory: PathBuf,
    store: FinishedStore,
    tree: MerkleTree,
    log: Vec<u8>,
}

impl Written {
    fn new(depth: u8, list: &[Account]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("store");
        let mut writer = LedgerStoreWriter::create_scratch(&directory, depth).unwrap();
        writer.push_accounts(ERA, list, None).unwrap();
        let tree = tree(ERA, depth, list);
        let store = writer.finish_for_proof(&tree).unwrap();
        Self {
            log: log_bytes(&directory),
            temporary,
            directory,
            store,
            tree,
        }
    }

    /// Proves a copy, and sees that an examiner, which knows nothing of what was written, agrees.
    fn prove(&self, directory: &Path) -> Result<StoreProof, StoreError> {
        let outcome = prove_log(directory, &self.store, &self.tree);
        let examined = self.examine(directory);
        match (&outcome, &examined) {
            (Ok(proof), Ok(examined)) => {
                let found = (examined.root, examined.accounts, examined.owners);
                assert_eq!(found, (proof.root, proof.accounts, proof.owners));
                let found = (examined.hash_nodes, examined.entries);
                assert_eq!(found, (proof.hash_nodes, proof.entries));
            }
            (Err(_), Err(_)) => {}
            _ => panic!("{outcome:?}, but {examined:?}"),
        }
        outcome
    }

    /// Examines a copy as a log, in takes of odd sizes.
    fn examine(&self, directory: &Path) -> Result<Examined, StoreError> {
        let depth = self.tree.depth();
        let mut examiner = LogExaminer::open(directory, ERA, depth)?;
        let mut found = Vec::new();
        let mut index = AccountIndex::default();
        for count in [1, 4095, 2, 777].into_iter().cycle() {
            let accounts = examiner.take(count)?;
            if accounts.is_empty() {
                break;
            }
            for account in &accounts {
                let owns = derive_token_id(&account.public_key, account.token_id);
                index.push(account.public_key, account.token_id, Some(owns))?;
            }
            found.extend(accounts);
        }
        if found.is_empty() {
            return examiner.finish(index, &self.tree);
        }
        examiner.finish(index, &tree(ERA, depth, &found))
    }

    /// Proves a copy with another log.
    fn prove_bytes(&self, log: &[u8]) -> Result<StoreProof, StoreError> {
        std::fs::write(self.directory.join(LOG_NAME), log).unwrap();
        let outcome = self.prove(&self.directory);
        std::fs::write(self.directory.join(LOG_NAME), &self.log).unwrap();
        outcome
    }

    /// Proves a copy whose entries were changed and framed again, with right checksums.
    fn prove_entries(
        &self,
        change: impl FnOnce(&mut Vec<Entry>),
    ) -> Result<StoreProof, StoreError> {
        let mut entries = entries(&self.log);
        change(&mut entries);
        let directory = self.temporary.path().join("changed");
        let mut log = LogDirectory::create(&directory).unwrap();
        for (key, value) in &entries {
            log.put(key, value).unwrap();
        }
        log.finish().unwrap();
        let outcome = self.prove(&directory);
        std::fs::remove_dir_all(directory).unwrap();
        outcome
    }
}

/// Fragments of a log: offset, length of the data, kind.
fn fragments(log: &[u8]) -> Vec<(usize, usize, u8)> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < log.len() {
        let left = 32_768 - offset % 32_768;
        if left < 7 {
            offset += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([log[offset + 4], log[offset + 5]]));
        found.push((offset, length, log[offset + 6]));
        offset += 7 + length;
    }
    found
}

/// All entries of a log in its order.
fn entries(log: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut batch = Vec::new();
    for (offset, length, kind) in fragments(log) {
        batch.extend_from_slice(&log[offset + 7..offset + 7 + length]);
        if kind == 2 || kind == 3 {
            continue;
        }
        let mut rest = &batch[12..];
        while !rest.is_empty() {
            let (key, after) = item(&rest[1..]);
            let (value, after) = item(after);
            found.push((key, value));
            rest = after;
        }
        batch.clear();
    }
    found
}

fn item(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut length = 0;
    let mut place = 0;
    loop {
        length |= usize::from(bytes[place] & 0x7f) << (7 * place);
        place += 1;
        if bytes[place - 1] < 0x80 {
            return (
                bytes[place..place + length].to_vec(),
                &bytes[place + length..],
            );
        }
    }
}

/// Puts the right checksum into the fragment at `offset`.
fn seal(log: &mut [u8], offset: usize) {
    let length = usize::from(u16::from_le_bytes([log[offset + 4], log[offset + 5]]));
    let sum = crc32c::crc32c(&log[offset + 6..offset + 7 + length]);
    let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
    log[offset..offset + 4].copy_from_slice(&masked.to_le_bytes());
}

fn defect(outcome: Result<StoreProof, StoreError>) -> LogDefect {
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("damaged at byte"), "{error}");
    match error.kind() {
        StoreErrorKind::Log { defect, .. } => defect.clone(),
        other => panic!("no defect of the log: {other}"),
    }
}

fn problem(outcome: Result<StoreProof, StoreError>) -> Problem {
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    match error.kind() {
        StoreErrorKind::Unproven { problems, .. } => problems.kept()[0].clone(),
        other => panic!("no problem: {other}"),
    }
}

#[test]
fn both_proofs_agree_and_run_beside_packing() {
    let list = accounts(ERA, 3000, 11);
    let written = Written::new(DEPTH, &list);
    let target = written.temporary.path().join("x.tar.gz");
    let (proof, packed) = rayon::join(
        || written.prove(&written.directory),
        || write_tarball(&written.directory, &target),
    );
    let (proof, packed) = (proof.unwrap(), packed.unwrap());
    let summary = written.store.summary();
    let full = prove_store(&written.directory, ERA, DEPTH, &summary.root, 3000).unwrap();
    assert_eq!(proof, full);
    assert!(
        proof.owners < proof.accounts,
        "some owners have several tokens"
    );
    assert_eq!(packed.bytes, std::fs::metadata(target).unwrap().len());
}

#[test]
fn ways_of_pushing_write_the_same() {
    let list = accounts(ERA, 1000, 12);
    let derived: Vec<_> = list
        .iter()
        .map(|account| derive_token_id(&account.public_key, account.token_id))
        .collect();
    let written = Written::new(DEPTH, &list);
    let single = written.temporary.path().join("single");
    let mut writer = LedgerStoreWriter::create(&single, DEPTH).unwrap();
    for account in &list {
        writer.push_account(account).unwrap();
    }
    let store = writer.finish_for_proof(&written.tree).unwrap();
    assert!(log_bytes(&single) == written.log);
    let by_tokens = written.temporary.path().join("tokens");
    let mut writer = LedgerStoreWriter::create_scratch(&by_tokens, DEPTH).unwrap();
    for (list, derived) in list.chunks(300).zip(derived.chunks(300)) {
        writer.push_accounts(ERA, list, Some(derived)).unwrap();
    }
    writer.finish(&written.tree).unwrap();
    assert!(log_bytes(&by_tokens) == written.log);
    // What one writer knows proves what the other wrote.
    prove_log(&by_tokens, &store, &written.tree).unwrap();

    let mut writer = LedgerStoreWriter::create(&written.temporary.path().join("x"), DEPTH).unwrap();
    let error = writer
        .push_accounts(ERA, &list, Some(&derived[1..]))
        .unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::DerivedTokens { .. }));
    let other = list
        .iter()
        .position(|account| account.zkapp.is_some())
        .unwrap();
    let error = writer
        .push_accounts(Era::Berkeley, &list, None)
        .unwrap_err();
    assert!(
        matches!(error.kind(), StoreErrorKind::SelfCheck { leaf, .. } if *leaf == other as u64),
        "{error}"
    );
    assert_eq!(error.class(), Class::Internal);
}

/// The log is what every digest is taken of: it must not depend on how it is written.
#[test]
fn a_log_has_pinned_bytes() {
    let list = accounts(ERA, 5000, 1);
    let written = Written::new(DEPTH, &list);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(5)
        .build()
        .unwrap();
    let other = pool.install(|| Written::new(DEPTH, &list));
    assert!(written.log == other.log);
    let digest = {
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(&written.log))
    };
    assert_eq!(
        digest,
        "4a7f4456daf360c99f3a41ec219a66b5cc03a22baae136011e512b49e0a49304"
    );
}

#[test]
fn every_damaged_byte_is_refused() {
    let written = Written::new(DEPTH, &accounts(ERA, 400, 13));
    written.prove_bytes(&written.log).unwrap();
    let mut positions: Vec<usize> = (0..written.log.len()).step_by(2999).collect();
    for (offset, length, _) in fragments(&written.log).into_iter().step_by(5) {
        positions.extend(offset..offset + 7 + 20.min(length));
        positions.push(offset + 6 + length);
        positions.extend((offset + 7 + length..written.log.len()).take(6));
    }
    for position in positions {
        let mut log = written.log.clone();
        log[position] ^= 0x11;
        let error = written.prove_bytes(&log).unwrap_err();
        assert_eq!(
            error.class(),
            Class::Environment,
            "byte {position}: {error}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn defects_have_names() {
    // Enough for several batches and all kinds of fragments.
    let written = Written::new(DEPTH, &accounts(ERA, 1500, 14));
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut log = written.log.clone();
        change(&mut log);
        defect(written.prove_bytes(&log))
    };
    let all = fragments(&written.log);
    let (second, _, _) = all[1];
    let next_record = all
        .iter()
        .skip(1)
        .find(|(_, _, kind)| *kind <= 2)
        .unwrap()
        .0;
    assert!(matches!(
        changed(&|log| log[10_000] ^= 1),
        LogDefect::Checksum { .. }
    ));
    assert!(matches!(
        changed(&|log| log[second + 5] = 0xff),
        LogDefect::Length { .. }
    ));
    assert!(matches!(
        changed(&|log| log[second + 6] = 1),
        LogDefect::Kind { kind: 1, .. }
    ));
    assert!(matches!(
        changed(&|log| log[6] = 4),
        LogDefect::Kind { kind: 4, .. }
    ));
    assert!(matches!(
        changed(&|log| {
            log[next_record + 7] += 1;
            seal(log, next_record);
        }),
        LogDefect::Sequence { .. }
    ));
    assert!(matches!(
        changed(&|log| {
            log[next_record + 7 + 12] = 0;
            seal(log, next_record);
        }),
        LogDefect::Entry { entry: 0, .. }
    ));
    assert!(matches!(
        changed(&|log| {
            log.truncate(next_record + 3);
        }),
        LogDefect::Truncated | LogDefect::Padding
    ));
    // Behind the last record: another empty one, zeros, a byte.
    for tail in [&[0_u8; 7][..], &[0; 4096], &[1], &[0, 0, 0, 0, 0, 0, 1]] {
        changed(&|log| log.extend_from_slice(tail));
    }
    let directory = written.temporary.path().join("files");
    for (name, bytes) in [
        (CURRENT_NAME, &b"MANIFEST-000002\n"[..]),
        (CURRENT_NAME, b"MANIFEST-000001\n\n"),
        (MANIFEST_NAME, b""),
        ("000004.log", b""),
    ] {
        common::copy(&written.directory, &directory);
        std::fs::write(directory.join(name), bytes).unwrap();
        let found = defect(written.prove(&directory));
        assert!(matches!(found, LogDefect::File { name: found } if found == name));
        std::fs::remove_dir_all(&directory).unwrap();
    }
    for name in [CURRENT_NAME, MANIFEST_NAME, LOG_NAME] {
        common::copy(&written.directory, &directory);
        std::fs::remove_file(directory.join(name)).unwrap();
        assert!(matches!(
            defect(written.prove(&directory)),
            LogDefect::File { .. }
        ));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn padding_must_be_zeros() {
    // Longer URIs move the end of the first batch to where less than a header is left in a block.
    let first_end = |list: &[Account]| {
        let all = fragments(&Written::new(DEPTH, list).log);
        let (offset, length, _) = *all.iter().find(|(_, _, kind)| *kind == 4).unwrap();
        offset + 7 + length
    };
    let (mut list, mut missing) = (2000..)
        .map(|count| {
            let list = accounts(ERA, count, 15);
            let missing = 32_768 - 3 - first_end(&list) % 32_768;
            (list, missing)
        })
        .find(|(_, missing)| *missing < 16_000)
        .unwrap();
    for zkapp in list.iter_mut().filter_map(|account| account.zkapp.as_mut()) {
        let more = missing.min(90);
        zkapp.zkapp_uri.resize(zkapp.zkapp_uri.len() + more, b'x');
        missing -= more;
    }
    assert_eq!(missing, 0);
    let written = Written::new(DEPTH, &list);
    let end = first_end(&list);
    assert_eq!(end % 32_768, 32_768 - 3);
    written.prove_bytes(&written.log).unwrap();
    for byte in 0..3 {
        let mut log = written.log.clone();
        log[end + byte] = 1;
        assert_eq!(defect(written.prove_bytes(&log)), LogDefect::Padding);
        let outcome = written.prove_bytes(&written.log[..end + byte + 1]);
        assert_eq!(defect(outcome), LogDefect::Padding);
    }
}

#[test]
fn cut_logs_are_refused() {
    let written = Written::new(DEPTH, &accounts(ERA, 900, 16));
    let mut lengths: Vec<usize> = (0..written.log.len()).step_by(4099).collect();
    for (offset, length, _) in fragments(&written.log) {
        lengths.extend([
            offset,
            offset + 1,
            offset + 7,
            offset + 8,
            offset + 6 + length,
        ]);
    }
    for length in lengths {
        let outcome = written.prove_bytes(&written.log[..length]);
        assert!(outcome.is_err(), "cut to {length} bytes");
    }
    assert!(matches!(
        problem(written.prove_bytes(&[])),
        Problem::EntryCount { found: 0, .. }
    ));
}

#[test]
fn entries_must_be_the_right_ones() {
    let count = 1500;
    let written = Written::new(DEPTH, &accounts(ERA, count, 17));
    written.prove_entries(|_| {}).unwrap();
    let total = entries(&written.log).len();
    let places = [
        0,
        count - 1,
        count,
        count + 5,
        2 * count,
        total - 1,
        total - 2,
        total - 900,
        total / 2,
    ];
    for place in places {
        let what = format!("entry {place}");
        let swapped = written.prove_entries(|entries| entries.swap(place, (place + 1) % total));
        assert!(
            matches!(problem(swapped), Problem::Different { .. }),
            "{what}"
        );
        let dropped = written.prove_entries(|entries| drop(entries.remove(place)));
        assert!(
            matches!(problem(dropped), Problem::EntryCount { .. }),
            "{what}"
        );
        let twice = written.prove_entries(|entries| entries.insert(place, entries[place].clone()));
        assert!(
            matches!(problem(twice), Problem::EntryCount { .. }),
            "{what}"
        );
        // One more and one less, so that the number is right.
        let replaced = written.prove_entries(|entries| {
            let other = entries[(place + 7) % total].clone();
            entries[place] = other;
        });
        assert!(
            matches!(problem(replaced), Problem::Different { .. }),
            "{what}"
        );
        for position in [0, 1, 5] {
            let value = written.prove_entries(|entries| entries[place].1[position] ^= 1);
            let expected_kind = matches!(problem(value), Problem::AccountBytes) == (place < count);
            assert!(expected_kind, "{what}, byte {position}");
            let key = written.prove_entries(|entries| entries[place].0[position] ^= 1);
            let found = problem(key);
            assert!(
                matches!(found, Problem::Different { .. }),
                "{what}: {found}"
            );
        }
        let longer = written.prove_entries(|entries| entries[place].1.push(0));
        problem(longer);
        let longer = written.prove_entries(|entries| entries[place].0.push(0));
        problem(longer);
    }
    let added = written.prove_entries(|entries| entries.push((vec![0xff, b'z'], vec![])));
    assert!(matches!(problem(added), Problem::EntryCount { .. }));
}

#[test]
fn another_tree_or_ledger_is_refused() {
    let list = accounts(ERA, 300, 18);
    let mut written = Written::new(DEPTH, &list);
    let mut other = list.clone();
    other[77].nonce ^= 1;
    let others = Written::new(DEPTH, &other);
    // Whoever examines another whole store finds nothing wrong with it.
    let examined = written.examine(&others.directory).unwrap();
    assert_eq!(examined.root, others.store.summary().root);
    let outcome = prove_log(&others.directory, &written.store, &written.tree);
    assert!(matches!(problem(outcome), Problem::Different { entry, .. }
        if entry == "hash node at height 0, index 77"));
    written.tree = tree(ERA, DEPTH, &other);
    let outcome = prove_log(&written.directory, &written.store, &written.tree);
    assert!(matches!(problem(outcome), Problem::Different { .. }));
}

/// Batches cut elsewhere are read by RocksDB and are not what the writer writes.
#[test]
fn batches_must_end_where_they_do() {
    let written = Written::new(DEPTH, &accounts(ERA, 10, 19));
    let all = entries(&written.log);
    let mut log = Vec::new();
    let mut sequence = 1_u64;
    for part in all.chunks(20) {
        let offset = log.len();
        let mut batch = sequence.to_le_bytes().to_vec();
        batch.extend_from_slice(&(part.len() as u32).to_le_bytes());
        for (key, value) in part {
            batch.extend_from_slice(&[1, key.len() as u8]);
            batch.extend_from_slice(key);
            let length = value.len();
            if length >= 0x80 {
                batch.extend_from_slice(&[length as u8 | 0x80, (length >> 7) as u8]);
            } else {
                batch.push(length as u8);
            }
            batch.extend_from_slice(value);
        }
        log.extend_from_slice(&[0; 4]);
        log.extend_from_slice(&(batch.len() as u16).to_le_bytes());
        log.push(1);
        log.extend_from_slice(&batch);
        seal(&mut log, offset);
        sequence += part.len() as u64;
    }
    assert!(log.len() < 32_768);
    assert!(matches!(
        defect(written.prove_bytes(&log)),
        LogDefect::BatchEnd { count: 20, .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_accepted(count in 1_usize..600, seed: u64, depth in 10_u8..=40) {
        let written = Written::new(depth, &accounts(ERA, count, seed));
        let proof = written.prove(&written.directory).unwrap();
        let root = written.store.summary().root;
        let full = prove_store(&written.directory, ERA, depth, &root, count as u64).unwrap();
        prop_assert_eq!(proof, full);
    }

    #[test]
    fn a_flipped_bit_is_refused(position: prop::sample::Index, bit in 0_u32..8) {
        let written = Written::new(DEPTH, &accounts(ERA, 60, 20));
        let mut log = written.log.clone();
        let position = position.index(log.len());
        log[position] ^= 1 << bit;
        prop_assert!(written.prove_bytes(&log).is_err());
    }
}
