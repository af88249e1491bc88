//! Files in parts.

use std::sync::mpsc;

use fork_daemon::StoreError;
use fork_daemon::store::Trouble;
use fork_e2e::s3::{Fault, S3Server};

use crate::support::{Source, noise, read_all, remote, source, trouble};

/// Eight parts.
const FILE_BYTES: usize = 40 << 20;

fn large() -> Source {
    source(noise(FILE_BYTES, 11))
}

/// How many requests of each kind there were: begin, part, complete, abort.
fn counts(server: &S3Server) -> [usize; 4] {
    ["begin", "part", "complete", "abort"].map(|kind| server.count(kind))
}

#[test]
fn a_large_file_goes_in_parts() {
    let (server, store) = remote();
    let source = large();
    source.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [1, 8, 1, 0]);
    // One look whether it is there, one read back.
    assert_eq!((server.count("head"), server.count("get")), (1, 1));
    assert_eq!(server.seen().len(), 12);
    assert!(!source.journal.exists());
    assert!(read_all(&store, "big").unwrap() == source.content);
    server.forget();
    // Stored already: looked at and read, not sent.
    source.upload(&store, "big").unwrap();
    assert_eq!((counts(&server), server.seen().len()), ([0; 4], 2));
    assert_eq!(server.unfinished_uploads().unwrap().len(), 0);
}

#[test]
fn a_last_part_may_be_short() {
    let (server, store) = remote();
    let source = source(noise((10 << 20) + 1, 12));
    source.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [1, 3, 1, 0]);
    assert!(read_all(&store, "big").unwrap() == source.content);
}

#[test]
fn an_interrupted_upload_sends_only_what_is_missing() {
    let (server, store) = remote();
    let source = large();
    server.break_requests("part", 3, usize::MAX, Fault::Status(500));
    let error = source.upload(&store, "big").unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
    assert!(source.journal.exists());
    assert_eq!(store.size("big").unwrap(), None);
    server.unhook();
    server.forget();
    source.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [0, 5, 1, 0]);
    assert!(read_all(&store, "big").unwrap() == source.content);
    assert!(!source.journal.exists());
    assert_eq!(server.unfinished_uploads().unwrap().len(), 0);
}

#[test]
fn a_part_whose_bytes_changed_since_is_sent_again() {
    let (server, store) = remote();
    let mut source = large();
    let right = source.content.clone();
    // The first parts go out with a wrong byte in one of them, and the upload breaks off.
    source.content[0] ^= 1;
    std::fs::write(&source.path, &source.content).unwrap();
    server.break_requests("part", 3, usize::MAX, Fault::Status(500));
    source.upload(&store, "big").unwrap_err();
    server.unhook();
    server.forget();
    let sent: Vec<u64> = journal_parts(&source);
    std::fs::write(&source.path, &right).unwrap();
    source.upload(&store, "big").unwrap();
    let again = usize::from(sent.contains(&0));
    assert_eq!(counts(&server), [0, 8 - sent.len() + again, 1, 0]);
    assert!(read_all(&store, "big").unwrap() == right);
}

fn journal_parts(source: &Source) -> Vec<u64> {
    let bytes = std::fs::read(&source.journal).unwrap();
    let journal: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let parts = journal["parts"].as_array().unwrap();
    parts
        .iter()
        .map(|part| part["index"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_service_that_dies_in_the_middle() {
    let (mut server, store) = remote();
    let source = large();
    let (sender, receiver) = mpsc::channel();
    let mut parts = 0;
    server.hook(move |seen| {
        parts += usize::from(seen.kind() == "part");
        // Four at a time: when the seventh comes, two have been answered at least.
        if parts == 7 {
            sender.send(()).unwrap();
        }
        None
    });
    let error = std::thread::scope(|scope| {
        let upload = scope.spawn(|| source.upload(&store, "big"));
        receiver.recv().unwrap();
        server.stop();
        upload.join().unwrap().unwrap_err()
    });
    assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
    let known = journal_parts(&source).len();
    assert!((1..8).contains(&known), "{known}");
    server.unhook();
    server.forget();
    server.restart().unwrap();
    source.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [0, 8 - known, 1, 0]);
    assert!(read_all(&store, "big").unwrap() == source.content);
}

#[test]
fn passing_trouble_does_not_break_an_upload() {
    let (server, store) = remote();
    let source = large();
    let mut number = 0;
    server.hook(move |seen| {
        number += 1;
        let faults = [Fault::Status(503), Fault::Reset, Fault::ResetAfter];
        (seen.number % 3 == 0).then_some(faults[number % 3])
    });
    source.upload(&store, "big").unwrap();
    server.unhook();
    assert!(read_all(&store, "big").unwrap() == source.content);
}

#[test]
fn a_completion_whose_answer_was_lost_is_found() {
    let (server, store) = remote();
    let source = large();
    server.break_requests("complete", 0, 1, Fault::ResetAfter);
    source.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [1, 8, 2, 0]);
    assert!(read_all(&store, "big").unwrap() == source.content);
}

#[test]
fn an_upload_that_the_service_forgot_is_started_over() {
    let (server, store) = remote();
    let source = large();
    server.break_requests("part", 3, usize::MAX, Fault::Status(500));
    source.upload(&store, "big").unwrap_err();
    server.unhook();
    for upload in server.unfinished_uploads().unwrap() {
        let root = server.object_path("");
        std::fs::remove_file(
            root.parent()
                .unwrap()
                .join(format!(".upload-{upload}.json")),
        )
        .unwrap();
    }
    server.forget();
    source.upload(&store, "big").unwrap();
    let [begin, part, complete, abort] = counts(&server);
    // Up to four parts go out before the first answer says that the upload is gone.
    assert!((9..=12).contains(&part), "{part}");
    assert_eq!([begin, complete, abort], [1, 1, 1]);
    assert!(read_all(&store, "big").unwrap() == source.content);
}

#[test]
fn the_journal_of_another_upload_is_not_used() {
    let (server, store) = remote();
    let first = large();
    server.break_requests("part", 3, usize::MAX, Fault::Status(500));
    first.upload(&store, "big").unwrap_err();
    server.unhook();
    server.forget();
    let mut second = source(noise(FILE_BYTES, 13));
    second.journal.clone_from(&first.journal);
    second.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [1, 8, 1, 1]);
    assert!(read_all(&store, "big").unwrap() == second.content);
    assert_eq!(server.unfinished_uploads().unwrap().len(), 0);
    // Neither is one that is no journal.
    store.remove("big").unwrap();
    std::fs::write(&second.journal, b"{").unwrap();
    server.forget();
    second.upload(&store, "big").unwrap();
    assert_eq!(counts(&server), [1, 8, 1, 0]);
    assert!(!second.journal.exists());
}

#[test]
fn a_file_that_is_not_what_it_should_be_gets_no_name() {
    let (server, store) = remote();
    for damage in ["content", "longer", "shorter"] {
        let mut source = large();
        match damage {
            "content" => source.content[FILE_BYTES - 1] ^= 1,
            "longer" => source.content.push(0),
            _ => source.content.truncate(FILE_BYTES - 1),
        }
        std::fs::write(&source.path, &source.content).unwrap();
        let error = source.upload(&store, "big").unwrap_err();
        assert!(
            matches!(&error, StoreError::Source { .. }),
            "{damage}: {error}"
        );
        assert_eq!(server.count("complete"), 0);
        assert_eq!(server.unfinished_uploads().unwrap().len(), 0);
        assert!(!source.journal.exists());
        assert_eq!(store.list("").unwrap(), []);
    }
}

#[test]
fn what_is_damaged_on_the_way_is_removed() {
    let (server, store) = remote();
    for bytes in [FILE_BYTES, 1000] {
        let source = source(noise(bytes, 14));
        let path = server.object_path("test/net/big");
        server.hook(move |seen| {
            if seen.kind() == "get" {
                let mut content = std::fs::read(&path).unwrap();
                content[bytes / 2] ^= 1;
                std::fs::write(&path, content).unwrap();
            }
            None
        });
        let error = source.upload(&store, "big").unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
        server.unhook();
        assert_eq!(store.size("big").unwrap(), None);
        assert!(!source.journal.exists());
        source.upload(&store, "big").unwrap();
        store.remove("big").unwrap();
    }
}

#[test]
fn two_uploads_of_the_same_file_at_the_same_time() {
    let (server, store) = remote();
    for bytes in [FILE_BYTES, 1000] {
        let sources = [11, 11].map(|seed| source(noise(bytes, seed)));
        std::thread::scope(|scope| {
            for source in &sources {
                let store = &store;
                scope.spawn(move || source.upload(store, "big").unwrap());
            }
        });
        assert!(read_all(&store, "big").unwrap() == sources[0].content);
        store.remove("big").unwrap();
    }
    assert_eq!(server.unfinished_uploads().unwrap().len(), 0);
}
