//! Ledger stores, their tarballs, and what is read by crates that need RocksDB.

use std::io::Write;
use std::path::Path;

use fork_store::log::{
    CURRENT_BYTES, CURRENT_NAME, LOG_NAME, LogDirectory, MANIFEST_BYTES, MANIFEST_NAME,
};
use fork_store::scan::ScanParser;
use fork_store::sst::write_sst_store;
use fork_store::{
    Entry, KeyLayout, LedgerStoreWriter, StoreReader, content_digest, examine_store, restore_scan,
    unpack_tarball, write_scan,
};
use fork_types::Era;
use verify_package::{ConfigView, ReportDocument};

use crate::documents::returns;
use crate::image::write;
use crate::repair::{with_checksums, with_log_checksums};
use crate::{seeds, shown};

/// Most entries of a store made from a few kilobytes.
const ENTRIES_MAX: u64 = 100_000;
const DEPTH: u8 = 35;

/// The config of a package: what is strictly right can be looked into member by member.
pub(crate) fn packaged_config(data: &[u8]) {
    for is_automode in [false, true] {
        match ConfigView::read(data, is_automode) {
            Ok(view) => {
                for role in fork_types::Role::ALL {
                    let root = view.root(role);
                    assert!(
                        view.strict.is_err()
                            || root.is_some()
                            || view.shown("/ledger/hash") != "absent"
                    );
                }
                assert!(view.shown("").len() < 4000);
            }
            Err(problem) => assert!(problem.len() < 4000),
        }
    }
}

/// A report comes back from the report as it is written.
pub(crate) fn report(data: &[u8]) {
    returns::<ReportDocument>(data);
}

/// A log-only store around any log. What the strict reader takes, RocksDB takes as well, and finds
/// no more in it.
pub(crate) fn log(data: &[u8]) {
    let repaired = with_log_checksums(data);
    for bytes in [data, &repaired] {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path();
        write(&path.join(CURRENT_NAME), CURRENT_BYTES);
        write(&path.join(MANIFEST_NAME), &MANIFEST_BYTES);
        write(&path.join(LOG_NAME), bytes);
        match fork_store::fuzzing::read_log(path) {
            Ok(entries) => {
                let found = read(path).expect("RocksDB reads what the strict reader does");
                assert!(found <= entries, "{found} entries, {entries} in the log");
                assert_eq!(found == 0, entries == 0);
            }
            Err(error) => drop(shown(&error)),
        }
    }
}

/// Number of entries that RocksDB finds.
fn read(path: &Path) -> Result<u64, fork_store::StoreError> {
    let store = StoreReader::open(path)?;
    let mut entries = store.entries();
    let mut count = 0;
    while let Some((key, value)) = entries.advance()? {
        count += 1;
        assert!(count < ENTRIES_MAX);
        if let Ok(layout) = KeyLayout::new(DEPTH) {
            match Entry::decode(layout, key, value) {
                Ok(entry) => assert_eq!(entry.encode(layout), (key.to_vec(), value.to_vec())),
                Err(error) => drop(shown(&error)),
            }
        }
    }
    Ok(count)
}

/// Files that a directory may hold, by the byte that stands before each.
const NAMES: [&str; 8] = [
    "CURRENT",
    "MANIFEST-000001",
    "000003.log",
    "MANIFEST-000005",
    "000007.sst",
    "000009.sst",
    "IDENTITY",
    "OPTIONS-000007",
];

/// Files one after the other: which, four bytes of length, content. A directory of them is read by
/// RocksDB or refused.
pub(crate) fn directory(data: &[u8]) {
    let directory = directory_of(data);
    if let Err(error) = read(directory.path()) {
        shown(&error);
        return;
    }
    let store = StoreReader::open(directory.path()).expect("it opened a moment ago");
    if let Err(error) = examine_store(&store, Era::Mesa, DEPTH) {
        shown(&error);
    }
}

/// The same directory read from a copy that is opened for writing: refused, or the same content. The
/// directory itself stays as it is.
pub(crate) fn directory_copy(data: &[u8]) {
    let directory = directory_of(data);
    let names = || {
        let entries = std::fs::read_dir(directory.path()).expect("it is there");
        entries.count()
    };
    let files = names();
    let scratch = tempfile::tempdir().expect("there is room for a directory");
    let copied = StoreReader::open_copy(directory.path(), scratch.path())
        .and_then(|store| content_digest(&store));
    assert_eq!(names(), files);
    let left = std::fs::read_dir(scratch.path()).expect("it is there");
    assert_eq!(left.count(), 0, "the copy goes away");
    let read = StoreReader::open(directory.path()).and_then(|store| content_digest(&store));
    match (copied, read) {
        (Ok(copied), Ok(read)) => assert_eq!(copied, read),
        (copied, read) => {
            for error in [copied.err(), read.err()].into_iter().flatten() {
                shown(&error);
            }
        }
    }
}

fn directory_of(data: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let mut rest = data;
    while let Some((header, content)) = rest.split_at_checked(5) {
        let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let (content, behind) = content.split_at(length);
        rest = behind;
        let name = NAMES[usize::from(header[0]) % NAMES.len()];
        let repaired = if name.ends_with(".log") || name.starts_with("MANIFEST") {
            with_log_checksums(content)
        } else {
            content.to_vec()
        };
        write(&directory.path().join(name), &repaired);
    }
    directory
}

/// A tarball, or an archive to make one of: unpacked or refused, and nothing lies beside.
pub(crate) fn tarball(data: &[u8]) {
    let packed = if data.starts_with(&[0x1f, 0x8b]) {
        data.to_vec()
    } else {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder
            .write_all(&with_checksums(data))
            .expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let file = directory.path().join("a.tar.gz");
    write(&file, &packed);
    let target = directory.path().join("unpacked");
    std::fs::create_dir(&target).expect("there is room for a directory");
    if let Err(error) = unpack_tarball(&file, &target) {
        shown(&error);
    }
    let beside = std::fs::read_dir(directory.path())
        .expect("it is there")
        .count();
    assert_eq!(beside, 2);
    for entry in std::fs::read_dir(&target).expect("it is there") {
        let kind = entry
            .expect("it is there")
            .file_type()
            .expect("it is there");
        assert!(kind.is_file());
    }
}

/// Scanner text comes back from the store that is made of it.
pub(crate) fn scan_text(data: &[u8]) {
    let mut parser = ScanParser::new(data);
    let mut entries = 0_u64;
    loop {
        match parser.next_entry() {
            Ok(Some(_)) => entries += 1,
            Ok(None) => break,
            Err(error) => {
                shown(&error);
                return;
            }
        }
    }
    if entries == 0 || entries > 4 {
        return;
    }
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("store");
    std::fs::create_dir(&path).expect("there is room for a directory");
    assert_eq!(
        restore_scan(data, &path).expect("the text is right"),
        entries
    );
    let store = StoreReader::open(&path).expect("what was written is read");
    let mut text = Vec::new();
    write_scan(&store, &mut text).expect("what was written is read");
    assert_eq!(text, data);
}

/// A key has one spelling.
pub(crate) fn key(data: &[u8]) {
    for depth in [1, 20, DEPTH, 56] {
        let layout = KeyLayout::new(depth).expect("the layout has keys for it");
        match layout.parse(data) {
            Ok(key) => assert_eq!(layout.bytes(&key), data),
            Err(error) => drop(shown(&error)),
        }
    }
}

/// A store of two ledgers' accounts, in a directory.
fn made(accounts: usize) -> tempfile::TempDir {
    use fork_ledger::batch::{AccountBatch, AccountReader, LeafHasher};
    use fork_ledger::merkle::MerkleTree;

    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("store");
    let mut writer = LedgerStoreWriter::create_scratch(&path, DEPTH).expect("there is room");
    let list = seeds::accounts().swap_remove(1);
    let mut reader = AccountReader::new(&list[1..], Era::Berkeley, true);
    let batch = reader
        .next_batch()
        .expect("the seed is right")
        .expect("it has accounts");
    let leaves = LeafHasher::new(Era::Berkeley)
        .hash(&batch)
        .expect("they have hashes");
    let AccountBatch::Later(all) = batch else {
        panic!("accounts of v1");
    };
    let all = &all[..accounts.min(all.len())];
    writer
        .push_accounts(Era::Berkeley, all, None)
        .expect("there is room");
    let leaves = leaves[..all.len()].to_vec();
    let tree = MerkleTree::new(Era::Berkeley, DEPTH, leaves).expect("there is room in the tree");
    writer.finish(&tree).expect("there is room");
    directory
}

fn content(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it was written a moment ago")
}

pub(crate) fn log_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (1..4)
        .map(|accounts| content(&made(accounts).path().join("store").join(LOG_NAME)))
        .collect();
    // One value that takes several fragments and two blocks.
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("store");
    let mut log = LogDirectory::create_scratch(&path).expect("there is room");
    log.put(b"a", &[7; 40_000]).expect("there is room");
    log.put(b"b", b"").expect("there is room");
    log.finish().expect("there is room");
    seeds.push(content(&path.join(LOG_NAME)));
    seeds
}

pub(crate) fn directory_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut add = |path: &Path| {
        let mut seed = Vec::new();
        let mut names: Vec<_> = std::fs::read_dir(path)
            .expect("it is there")
            .map(|entry| entry.expect("it is there").file_name())
            .collect();
        names.sort();
        for name in names {
            let name = name.to_str().expect("names are text");
            let Some(known) = NAMES.iter().position(|known| *known == name) else {
                continue;
            };
            let content = content(&path.join(name));
            seed.push(u8::try_from(known).expect("there are eight"));
            seed.extend_from_slice(
                &u32::try_from(content.len())
                    .expect("it is small")
                    .to_le_bytes(),
            );
            seed.extend_from_slice(&content);
        }
        seeds.push(seed);
    };
    let log = made(2);
    add(&log.path().join("store"));
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("store");
    let entries = (0..20_u8).map(|number| ([number; 35], vec![number; 50]));
    write_sst_store(entries, &path).expect("there is room");
    add(&path);
    seeds
}

pub(crate) fn tarball_seeds() -> Vec<Vec<u8>> {
    let store = made(2);
    let file = store.path().join("a.tar.gz");
    fork_store::write_tarball(&store.path().join("store"), &file).expect("there is room");
    let packed = content(&file);
    let mut archive = Vec::new();
    std::io::Read::read_to_end(
        &mut fork_package::gzip::decoder(packed.as_slice()),
        &mut archive,
    )
    .expect("what was written is read");
    let mut seeds = vec![packed, archive];
    seeds.extend(seeds::tars());
    seeds
}

pub(crate) fn scan_seeds() -> Vec<Vec<u8>> {
    vec![
        b"00 : ff\n01 : \n".to_vec(),
        b"fe0000000000 : 0102030405060708\nff6c : \n".to_vec(),
    ]
}

pub(crate) fn key_seeds() -> Vec<Vec<u8>> {
    let store = made(3);
    let reader = StoreReader::open(&store.path().join("store")).expect("it was just written");
    let mut entries = reader.entries();
    let mut seeds = Vec::new();
    while let Some((key, _)) = entries.advance().expect("it was just written") {
        seeds.push(key.to_vec());
    }
    seeds
}
