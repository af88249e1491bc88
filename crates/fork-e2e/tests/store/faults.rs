//! A storage service that fails.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use fork_daemon::StoreError;
use fork_daemon::store::Trouble;
use fork_e2e::s3::{Fault, S3Server};

use crate::support::{noise, open, options, read_all, remote, trouble};

#[test]
fn creating_is_conditional_and_replacing_is_not() {
    let (server, store) = remote();
    store.create("a", b"1").unwrap();
    store.create("a", b"2").unwrap();
    store.replace("a", b"3").unwrap();
    let puts: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.kind() == "put")
        .collect();
    assert_eq!(
        puts.iter().map(|seen| seen.conditional).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert!(puts.iter().all(|seen| seen.path == "/forks/test/net/a"));
    // One read back for each that was stored, none for the one that was not.
    assert_eq!((server.count("get"), server.seen().len()), (2, 5));
}

#[test]
fn passing_trouble_is_waited_out() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Reset,
    ] {
        let (server, store) = remote();
        for (kind, count) in [
            ("put", 2),
            ("get", 2),
            ("list", 1),
            ("head", 1),
            ("delete", 1),
        ] {
            server.forget();
            server.break_requests(kind, 0, count, fault);
            match kind {
                "put" => assert!(store.create("a", b"1").unwrap()),
                "get" => assert_eq!(store.read("a", 9).unwrap().unwrap(), b"1"),
                "list" => assert_eq!(store.list("").unwrap().len(), 1),
                "head" => assert_eq!(store.size("a").unwrap(), Some(1)),
                _ => store.remove("a").unwrap(),
            }
            assert_eq!(server.count(kind), count + 1, "{fault:?} {kind}");
        }
    }
}

#[test]
fn lasting_trouble_is_given_up_in_bounded_time() {
    let (server, store) = remote();
    server.break_requests("*", 0, usize::MAX, Fault::Status(500));
    let started = Instant::now();
    let error = store.create("a", b"1").unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    let StoreError::Service {
        attempts, source, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*attempts, server.seen().len()), (5, 5));
    assert_eq!(
        source.to_string(),
        "the service answered with status 500: Ordered: as ordered"
    );
    assert_eq!(trouble(&error), Some(Trouble::Unreachable));
    for error in [
        store.read("a", 1).unwrap_err(),
        store.size("a").unwrap_err(),
        store.list("").unwrap_err(),
        store.replace("a", b"").unwrap_err(),
        store.remove("a").unwrap_err(),
    ] {
        assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
    }
    server.unhook();
    assert!(store.create("a", b"1").unwrap());
}

#[test]
fn what_will_not_pass_is_not_repeated() {
    let (server, store) = remote();
    for (status, expected) in [
        (400, Trouble::Refused),
        (403, Trouble::Denied),
        (401, Trouble::Denied),
        (501, Trouble::Refused),
    ] {
        server.forget();
        server.break_requests("*", 0, usize::MAX, Fault::Status(status));
        let error = store.replace("a", b"").unwrap_err();
        assert_eq!(trouble(&error), Some(expected), "{error}");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[test]
fn a_service_that_never_answers_is_given_up() {
    let server = S3Server::start().unwrap();
    let mut options = options(&server);
    options.request_timeout = Duration::from_millis(200);
    options.retries_max = 2;
    let url = server.url("").parse().unwrap();
    let store = fork_daemon::Store::open_with(&url, options).unwrap();
    server.break_requests("*", 0, usize::MAX, Fault::Delay(Duration::from_secs(20)));
    let started = Instant::now();
    let error = store.size("a").unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(error.to_string().ends_with("(attempts: 3)"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "no answer within 200ms");
}

#[test]
fn a_dead_service_is_an_error_and_its_return_is_noticed() {
    let (mut server, store) = remote();
    assert!(store.create("a", b"1").unwrap());
    server.stop();
    let error = store.read("a", 1).unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("Connection refused"), "{cause}");
    server.restart().unwrap();
    assert_eq!(store.read("a", 1).unwrap().unwrap(), b"1");
}

#[test]
fn an_exchange_whose_answer_was_lost_is_known_by_its_bytes() {
    let (server, store) = remote();
    assert!(store.replace_if("a", None, b"1").unwrap());
    let (_, version) = store.read_version("a", 9).unwrap().unwrap();
    server.break_requests("put", 0, 1, Fault::ResetAfter);
    assert!(store.replace_if("a", Some(&version), b"2").unwrap());
    server.unhook();
    assert_eq!(store.read("a", 1).unwrap().unwrap(), b"2");
    // Never carried out, and then the object is another.
    let (_, version) = store.read_version("a", 9).unwrap().unwrap();
    store.replace("a", b"3").unwrap();
    server.break_requests("put", 0, 1, Fault::Reset);
    assert!(!store.replace_if("a", Some(&version), b"4").unwrap());
    assert_eq!(store.read("a", 1).unwrap().unwrap(), b"3");
    // A service that knows no such condition.
    server.break_requests("put", 0, usize::MAX, Fault::Status(501));
    let error = store.replace_if("a", Some(&version), b"4").unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Refused), "{error}");
}

#[test]
fn an_answer_that_was_lost_is_no_error() {
    let (server, store) = remote();
    server.break_requests("put", 0, 1, Fault::ResetAfter);
    // It was stored by the first request; the second finds it.
    assert!(!store.create("a", b"1").unwrap());
    assert_eq!(server.count("put"), 2);
    server.break_requests("put", 0, 1, Fault::ResetAfter);
    store.replace("a", b"2").unwrap();
    assert_eq!(store.read("a", 1).unwrap().unwrap(), b"2");
    server.break_requests("delete", 0, 1, Fault::ResetAfter);
    store.remove("a").unwrap();
    assert_eq!(store.size("a").unwrap(), None);
}

#[test]
fn what_reads_back_as_something_else_is_noticed() {
    let (server, store) = remote();
    let damage = |times: usize| {
        let path = server.object_path("test/net/a");
        let mut met = 0;
        server.hook(move |seen| {
            if seen.kind() == "get" && met < times {
                met += 1;
                std::fs::write(&path, b"x").unwrap();
            }
            None
        });
    };
    damage(1);
    let error = store.create("a", b"1").unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(store.size("a").unwrap(), None);
    damage(1);
    server.forget();
    store.replace("a", b"1").unwrap();
    assert_eq!(server.count("put"), 2);
    assert_eq!(store.read("a", 1).unwrap().unwrap(), b"1");
    damage(usize::MAX);
    server.forget();
    let error = store.replace("a", b"1").unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(server.count("put"), 3);
}

#[test]
fn a_download_goes_on_where_its_connection_broke() {
    let (server, store) = remote();
    let content = noise(2_000_000, 7);
    store.replace("a", &content).unwrap();
    for fault in [Fault::Cut(300_000), Fault::Stall(300_000)] {
        server.forget();
        server.break_requests("get", 0, 3, fault);
        assert!(read_all(&store, "a").unwrap() == content, "{fault:?}");
        let starts: Vec<_> = server.seen().iter().map(|seen| seen.range_start).collect();
        let expected = [None, Some(300_000), Some(600_000), Some(900_000)];
        assert_eq!(starts, expected, "{fault:?}");
    }
    assert!(server.stalled());
    // The request that asks for the rest may fail as well.
    server.forget();
    let mut number = 0;
    server.hook(move |_| {
        number += 1;
        [
            Some(Fault::Cut(1000)),
            Some(Fault::Status(503)),
            Some(Fault::Reset),
            None,
        ][number.min(4) - 1]
    });
    assert!(read_all(&store, "a").unwrap() == content);
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn a_download_that_breaks_too_often_ends() {
    let (server, store) = remote();
    store.replace("a", &noise(2_000_000, 7)).unwrap();
    server.forget();
    server.break_requests("get", 0, usize::MAX, Fault::Cut(1000));
    let mut reader = store.reader("a").unwrap().unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let inner = error
        .get_ref()
        .unwrap()
        .downcast_ref::<StoreError>()
        .unwrap();
    assert_eq!(trouble(inner), Some(Trouble::Unreachable), "{inner}");
    // The first and five resumptions.
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn two_versions_are_never_mixed() {
    let (server, store) = remote();
    store.replace("a", &noise(2_000_000, 7)).unwrap();
    server.break_requests("get", 0, 1, Fault::Cut(300_000));
    let mut reader = store.reader("a").unwrap().unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    store.replace("a", &noise(2_000_000, 8)).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let inner = error
        .get_ref()
        .unwrap()
        .downcast_ref::<StoreError>()
        .unwrap();
    assert!(matches!(inner, StoreError::Changed { .. }), "{inner}");
}

#[test]
fn a_missing_bucket_is_no_empty_store() {
    let server = S3Server::start().unwrap();
    let url = "s3://mistyped/x".parse().unwrap();
    let store = fork_daemon::Store::open_with(&url, options(&server)).unwrap();
    let errors = [store.list("").unwrap_err(), store.list("a/").unwrap_err()];
    for error in errors {
        assert_eq!(trouble(&error), Some(Trouble::NoBucket), "{error}");
    }
}

#[test]
fn foreign_objects_and_many_pages() {
    let server = S3Server::start().unwrap();
    let store = open(&server, "");
    let directory = server.object_path("many");
    std::fs::create_dir(&directory).unwrap();
    for number in 0..1205 {
        std::fs::write(directory.join(format!("{number:04}")), b"x").unwrap();
    }
    for foreign in [".hidden", "with space", "umlaut-ä", "percent%41"] {
        std::fs::write(directory.join(foreign), b"x").unwrap();
    }
    let listed = store.list("many/").unwrap();
    assert_eq!(listed.len(), 1205);
    assert_eq!(listed[1204].key, "many/1204");
    assert_eq!(server.count("list"), 2);
}
