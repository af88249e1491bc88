//! What every kind of store does alike.

use std::collections::BTreeSet;
use std::sync::Barrier;

use fork_daemon::{Store, StoreError};
use fork_e2e::s3::S3Server;
use tempfile::TempDir;

use crate::support::{noise, open, read_all, source};

/// Every promise of a store that needs no fault to be seen.
fn conform(store: &Store) {
    absent_objects(store);
    small_objects(store);
    listing(store);
    streams(store);
    uploads(store);
    bad_names(store);
    race(store);
    exchanges(store);
    exchange_race(store);
    readers_see_whole_objects(store);
}

fn absent_objects(store: &Store) {
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(store.list("none/").unwrap(), []);
    assert_eq!(store.read("none/a", 10).unwrap(), None);
    assert_eq!(store.size("none").unwrap(), None);
    assert!(store.reader("none").unwrap().is_none());
    store.remove("none/a").unwrap();
}

fn small_objects(store: &Store) {
    assert!(store.create("small/a.json", b"first").unwrap());
    assert!(!store.create("small/a.json", b"second").unwrap());
    assert!(!store.create("small/a.json", b"first").unwrap());
    assert_eq!(store.read("small/a.json", 5).unwrap().unwrap(), b"first");
    assert_eq!(store.size("small/a.json").unwrap(), Some(5));
    let error = store.read("small/a.json", 4).unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::TooLarge {
                bytes: 5,
                bytes_max: 4,
                ..
            }
        ),
        "{error}"
    );
    store.replace("small/a.json", b"third, longer").unwrap();
    store.replace("small/b.json", b"new").unwrap();
    assert_eq!(
        store.read("small/a.json", 99).unwrap().unwrap(),
        b"third, longer"
    );
    assert_eq!(store.read("small/b.json", 99).unwrap().unwrap(), b"new");
    assert!(store.create("small/empty", b"").unwrap());
    assert_eq!(store.read("small/empty", 0).unwrap().unwrap(), b"");
    assert_eq!(read_all(store, "small/empty").unwrap(), b"");
    // An object is no directory of others.
    assert_eq!(store.read("small", 99).unwrap(), None);
    assert_eq!(store.size("small").unwrap(), None);
    store.remove("small/a.json").unwrap();
    store.remove("small/a.json").unwrap();
    assert_eq!(store.read("small/a.json", 99).unwrap(), None);
    assert!(store.create("small/a.json", b"again").unwrap());
    for name in ["a.json", "b.json", "empty"] {
        store.remove(&format!("small/{name}")).unwrap();
    }
}

fn listing(store: &Store) {
    let keys = [
        "list/a/2",
        "list/a-b/1",
        "list/a.b",
        "list/a/10/x",
        "list/B",
        "list2/a",
    ];
    for (size, key) in keys.iter().enumerate() {
        assert!(store.create(key, &vec![b'x'; size]).unwrap(), "{key}");
    }
    let list = |prefix: &str| -> Vec<(String, u64)> {
        let entries = store.list(prefix).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.key, entry.bytes))
            .collect()
    };
    let expected = |all: &[(&str, u64)]| -> Vec<(String, u64)> {
        all.iter()
            .map(|(key, bytes)| ((*key).to_owned(), *bytes))
            .collect()
    };
    let below = [
        ("list/B", 4),
        ("list/a-b/1", 1),
        ("list/a.b", 2),
        ("list/a/10/x", 3),
        ("list/a/2", 0),
    ];
    assert_eq!(list("list/"), expected(&below));
    assert_eq!(list("list/a/"), expected(&below[3..]));
    assert_eq!(list("list/a.b/"), []);
    assert_eq!(list("").len(), keys.len());
    for key in keys {
        store.remove(key).unwrap();
    }
    assert_eq!(list(""), []);
}

fn streams(store: &Store) {
    let content = noise(3_000_001, 1);
    store.replace("stream", &content).unwrap();
    // In another thread, as compressors and hashers read.
    let read =
        std::thread::scope(|scope| scope.spawn(|| read_all(store, "stream")).join().unwrap());
    assert!(read.unwrap() == content);
    // One that is not read to its end does no harm.
    drop(store.reader("stream").unwrap());
    store.remove("stream").unwrap();
}

fn uploads(store: &Store) {
    for bytes in [0, 1, 2_000_000] {
        let source = source(noise(bytes, 2));
        let key = format!("upload/{}", source.digest.sha256);
        source.upload(store, &key).unwrap();
        source.upload(store, &key).unwrap();
        assert!(!source.journal.exists());
        assert!(read_all(store, &key).unwrap() == source.content);
        store.remove(&key).unwrap();
    }
    let mut source = source(noise(70_000, 3));
    let right = source.digest.clone();
    source.digest.sha256 = "0".repeat(64);
    let error = source.upload(store, "upload/a").unwrap_err();
    assert!(matches!(&error, StoreError::Source { .. }), "{error}");
    for bytes in [69_999, 70_001] {
        source.digest = right.clone();
        source.digest.bytes = bytes;
        let error = source.upload(store, "upload/a").unwrap_err();
        assert!(matches!(&error, StoreError::Source { .. }), "{error}");
    }
    assert_eq!(store.size("upload/a").unwrap(), None);
    source.digest = right;
    // Another object under the name: same size, another size.
    for (other, differing) in [(noise(70_000, 4), "SHA-256"), (noise(9, 4), "size")] {
        store.replace("upload/a", &other).unwrap();
        let error = source.upload(store, "upload/a").unwrap_err();
        assert!(
            matches!(&error, StoreError::Differs { what, .. } if *what == differing),
            "{error}"
        );
        assert!(read_all(store, "upload/a").unwrap() == other);
    }
    store.remove("upload/a").unwrap();
}

fn bad_names(store: &Store) {
    for key in ["", "/a", "../a", "a/../b", ".a", "a//b", "a b", "a/"] {
        let source = source(Vec::new());
        let errors = [
            store.read(key, 1).map(drop),
            store.size(key).map(drop),
            store.reader(key).map(drop),
            store.create(key, b"").map(drop),
            store.replace(key, b""),
            source.upload(store, key),
            store.remove(key),
        ];
        for error in errors {
            assert!(matches!(error, Err(StoreError::Key { .. })), "{key}");
        }
    }
    for prefix in ["a", "/", "../", "a//"] {
        assert!(
            matches!(store.list(prefix), Err(StoreError::Key { .. })),
            "{prefix}"
        );
    }
    assert_eq!(store.list("").unwrap(), []);
}

fn race(store: &Store) {
    const THREADS: u8 = 8;
    for round in 0..5 {
        let key = format!("race/{round}");
        let barrier = Barrier::new(THREADS.into());
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let (key, barrier) = (&key, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        (number, store.create(key, &[number; 5000]).unwrap())
                    })
                })
                .collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results
                .filter_map(|(number, won)| won.then_some(number))
                .collect()
        });
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert!(store.read(&key, 9999).unwrap().unwrap() == [winners[0]; 5000]);
        store.remove(&key).unwrap();
    }
}

fn exchanges(store: &Store) {
    let key = "swap/a";
    assert!(store.read_version(key, 9).unwrap().is_none());
    assert!(store.replace_if(key, None, b"1").unwrap());
    let (bytes, first) = store.read_version(key, 9).unwrap().unwrap();
    assert_eq!(bytes, b"1");
    // It is there now.
    assert!(!store.replace_if(key, None, b"x").unwrap());
    assert!(store.replace_if(key, Some(&first), b"2").unwrap());
    // It is another one now.
    assert!(!store.replace_if(key, Some(&first), b"x").unwrap());
    let (bytes, second) = store.read_version(key, 9).unwrap().unwrap();
    assert_eq!(bytes, b"2");
    assert_ne!(first, second);
    store.replace(key, b"3").unwrap();
    assert!(!store.replace_if(key, Some(&second), b"x").unwrap());
    assert_eq!(store.read(key, 9).unwrap().unwrap(), b"3");
    let error = store.read_version(key, 0).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    store.remove(key).unwrap();
    assert!(!store.replace_if(key, Some(&second), b"x").unwrap());
    assert_eq!(store.read(key, 9).unwrap(), None);
    let error = store.replace_if("../a", None, b"");
    assert!(matches!(error, Err(StoreError::Key { .. })));
}

/// Many writers add a line each; none is lost.
fn exchange_race(store: &Store) {
    const THREADS: usize = 6;
    let key = "swap/lines";
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    loop {
                        let now = store.read_version(key, 9999).unwrap();
                        let (mut lines, version) =
                            now.map_or((Vec::new(), None), |(lines, v)| (lines, Some(v)));
                        lines.extend_from_slice(format!("{number}\n").as_bytes());
                        if store.replace_if(key, version.as_ref(), &lines).unwrap() {
                            return;
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let lines = store.read(key, 9999).unwrap().unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let numbers: BTreeSet<&str> = lines.lines().collect();
    assert_eq!((numbers.len(), lines.lines().count()), (THREADS, THREADS));
    store.remove(key).unwrap();
}

fn readers_see_whole_objects(store: &Store) {
    let versions = [vec![b'a'; 40_000], vec![b'b'; 70_000]];
    store.replace("whole", &versions[0]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..20 {
                store.replace("whole", &versions[round % 2]).unwrap();
            }
        });
        let mut seen = BTreeSet::new();
        while !writer.is_finished() {
            let found = store.read("whole", 1 << 20).unwrap().unwrap();
            assert!(versions.contains(&found), "{} bytes", found.len());
            seen.insert(found.len());
        }
        assert!(!seen.is_empty());
        writer.join().unwrap();
    });
    store.remove("whole").unwrap();
}

#[test]
fn a_directory() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("not/there/yet");
    let store = Store::open(&root.display().to_string().parse().unwrap()).unwrap();
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(store.read("a", 1).unwrap(), None);
    assert!(!directory.path().join("not").exists());
    conform(&store);
}

#[test]
fn a_prefix_in_a_bucket_and_a_whole_bucket() {
    let server = S3Server::start().unwrap();
    let store = open(&server, "test/net");
    conform(&store);
    assert!(store.create("mine", b"1").unwrap());
    // Prefixes keep stores apart, also where one is the beginning of the other's name.
    let neighbour = open(&server, "test/ne");
    assert_eq!(neighbour.list("").unwrap(), []);
    assert!(neighbour.create("mine", b"2").unwrap());
    store.remove("mine").unwrap();
    assert_eq!(neighbour.read("mine", 1).unwrap().unwrap(), b"2");
    neighbour.remove("mine").unwrap();
    conform(&open(&server, ""));
}

#[test]
fn what_a_crash_leaves_in_a_directory_is_not_listed_and_can_be_cleaned() {
    let directory = TempDir::new().unwrap();
    let url = format!(
        "file://{}",
        directory.path().canonicalize().unwrap().display()
    );
    let store = Store::open(&url.parse().unwrap()).unwrap();
    assert!(store.create("a/x", b"1").unwrap());
    let left = directory.path().join("a/.x.partial-4000000000-3");
    let living = directory
        .path()
        .join(format!("a/.x.partial-{}-999", std::process::id()));
    std::fs::write(&left, b"half").unwrap();
    std::fs::write(&living, b"half").unwrap();
    assert_eq!(store.list("").unwrap().len(), 1);
    assert_eq!(store.clean().unwrap(), 1);
    assert!(!left.exists() && living.exists());
    assert_eq!(store.read("a/x", 1).unwrap().unwrap(), b"1");
}

#[test]
fn a_file_is_no_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = file.path().display().to_string().parse().unwrap();
    assert!(Store::open(&url).is_err());
}
