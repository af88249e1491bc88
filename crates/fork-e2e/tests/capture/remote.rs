//! The store in a bucket: a real S3-compatible server, which dies.

use std::sync::{Arc, Mutex};

use fork_e2e::s3::{ACCESS_KEY, Fault, S3Server, SECRET_KEY};

use crate::support::{Ran, Rig, binary, seeds, until};

fn rig(server: &S3Server, daemons: usize, slot: u32) -> Rig {
    let mut rig = Rig::new(daemons, slot);
    rig.store = server.url("capture/one");
    rig.store_files = server.object_path("capture/one");
    rig.environment = server.environment();
    rig
}

#[test]
fn a_bucket_is_as_good_as_a_directory() {
    let server = S3Server::start().unwrap();
    let remote = rig(&server, 2, 1009);
    remote.once().ends(&[0], "capture");
    remote.assert_complete("capture");
    let local = Rig::new(2, 1009);
    local.once().ends(&[0], "capture");
    // The blocks after the end of transactions are seen by the same names.
    for rig in [&remote, &local] {
        rig.clock.set(1020);
        rig.once().ends(&[0], "until the end");
        let arguments = [
            "select",
            "--network",
            "network.toml",
            "--store",
            &rig.store,
            "--output",
            "chosen",
            "--confirmations",
            "7",
        ];
        let select = rig.command(&binary("dump-candidates"), &arguments).output();
        Ran::of(select.unwrap()).ends(&[0], "select");
    }
    let names = |rig: &Rig| {
        let mut names: Vec<_> = std::fs::read_dir(rig.path("chosen"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&remote), names(&local));
    for name in names(&remote) {
        let read = |rig: &Rig| std::fs::read(rig.path("chosen").join(&name)).unwrap();
        assert_eq!(read(&remote), read(&local), "{}", name.display());
    }
    assert!(server.unfinished_uploads().unwrap().is_empty());
}

#[test]
fn credentials_are_nowhere() {
    let server = S3Server::start().unwrap();
    let mut rig = rig(&server, 1, 1007);
    let mut seen = String::new();
    for secret in [None, Some("not-the-key-but-secret-all-the-same")] {
        if let Some(secret) = secret {
            for (name, value) in &mut rig.environment {
                if name == "AWS_SECRET_ACCESS_KEY" {
                    secret.clone_into(value);
                }
            }
        }
        let address = rig.daemons[0].address();
        let daemon = format!("a=http://user:daemon-password@{address}/graphql?token=daemon-token");
        let arguments = [
            "capture",
            "--network",
            "network.toml",
            "--store",
            &rig.store,
            "--work-dir",
            "work",
            "--once",
            "--store-timeout",
            "0.3",
            "--daemon",
            &daemon,
            "--pause",
            "0",
        ];
        let ran = rig.command(&binary("dump-candidates"), &arguments).output();
        let ran = Ran::of(ran.unwrap()).ends(if secret.is_some() { &[6] } else { &[0] }, "run");
        seen.push_str(&ran.stdout);
        seen.push_str(&ran.stderr);
    }
    for directory in [rig.path("work"), rig.store_files.clone()] {
        let mut directories = vec![directory];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    seen.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
                }
            }
        }
    }
    assert!(seen.contains("candidate height=707"));
    for secret in [
        SECRET_KEY,
        ACCESS_KEY,
        "secret-all-the-same",
        "daemon-password",
        "daemon-token",
    ] {
        assert!(!seen.contains(secret), "{secret} was shown");
    }
}

/// The server dies at a request the seed chooses, in a way it chooses, and comes back for the next
/// run.
#[test]
fn a_dying_object_store() {
    let ways = [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Reset,
        Fault::ResetAfter,
        Fault::Cut(10),
    ];
    // How many requests there are to choose from.
    let server = S3Server::start().unwrap();
    let whole = rig(&server, 1, 1007);
    whole.once().ends(&[0], "whole");
    let requests = server.seen().len();
    for seed in seeds(30) {
        let mut server = S3Server::start().unwrap();
        let rig = rig(&server, 1, 1007);
        let seed = usize::try_from(seed).unwrap();
        let nth = seed * 7919 % requests;
        let way = ways[seed % ways.len()];
        let what = format!("FORKPACK_SEED={seed}: {way:?} from request {nth} of {requests} on");
        server.break_requests("*", nth, usize::MAX, way);
        rig.once().ends(&[6], &what);
        server.unhook();
        if seed % 2 == 0 {
            server.stop();
            rig.once().ends(&[6], &what);
            server.restart().unwrap();
        }
        assert!(rig.stored().is_subset(&rig.offered()), "{what}");
        rig.finish(1, &what);
        rig.assert_complete(&what);
        // Nothing that arrived whole is asked for again.
        assert!(rig.daemons[0].request_count("fork_config") <= 4, "{what}");
    }
}

#[test]
fn killed_at_any_request_to_the_store() {
    let server = S3Server::start().unwrap();
    let whole = rig(&server, 1, 1007);
    whole.once().ends(&[0], "whole");
    let requests = server.seen().len();
    for seed in seeds(60) {
        let server = S3Server::start().unwrap();
        let rig = rig(&server, 1, 1007);
        let seed = usize::try_from(seed).unwrap();
        let nth = seed * 7907 % requests;
        let what = format!("FORKPACK_SEED={seed}: killed at request {nth} of {requests}");
        let child = Arc::new(Mutex::new(rig.capture(&["--once"]).spawn().unwrap()));
        let victim = Arc::clone(&child);
        let mut met = 0;
        server.hook(move |_| {
            if met == nth {
                victim.lock().unwrap().kill().unwrap();
            }
            met += 1;
            None
        });
        let mut ended = None;
        until(&what, || {
            ended = child.lock().unwrap().try_wait().unwrap();
            ended.is_some()
        });
        server.unhook();
        assert!(rig.stored().is_subset(&rig.offered()), "{what}");
        rig.finish(1, &what);
        rig.assert_complete(&what);
        assert!(rig.daemons[0].request_count("fork_config") <= 5, "{what}");
    }
}

#[test]
fn a_daemon_in_a_shared_store_needs_a_name() {
    let server = S3Server::start().unwrap();
    let rig = rig(&server, 1, 1007);
    let url = rig.daemons[0].url();
    let arguments = [
        "capture",
        "--network",
        "network.toml",
        "--store",
        &rig.store,
        "--once",
        "--daemon",
        &url,
    ];
    let ran = rig.command(&binary("dump-candidates"), &arguments).output();
    let ran = Ran::of(ran.unwrap()).ends(&[2], "unnamed");
    assert!(ran.stderr.contains("--daemon NAME=URL"), "{}", ran.stderr);
}

/// A store that failed once and works again is no problem in the end, although no candidate came.
#[test]
fn a_store_that_recovers_is_forgiven() {
    let server = S3Server::start().unwrap();
    let scenario = stub_daemon::Scenario::from_toml(include_str!("quiet.toml")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = stub_daemon::World::build(&scenario, cache.path()).unwrap();
    let mut rig = Rig::of(Arc::new(world), 1, 1012);
    rig.store = server.url("capture/one");
    rig.environment = server.environment();
    let mut views = 0;
    server.hook(move |seen| {
        let is_view = seen.kind() == "put" && seen.path.contains("/daemons/");
        views += u32::from(is_view);
        // Not among those that are tried again at once.
        (is_view && views == 1).then_some(Fault::Status(403))
    });
    let child = rig.capture(&["--window", "2"]).spawn().unwrap();
    let views = || {
        let seen = server.seen();
        let puts = seen.iter().filter(|seen| seen.kind() == "put");
        puts.filter(|seen| seen.path.contains("/daemons/")).count()
    };
    until("a view is stored", || views() >= 3);
    rig.clock.set(1021);
    let ran = Ran::of(child.wait_with_output().unwrap()).ends(&[0], "recovered");
    assert!(ran.stderr.contains("could not store"), "{}", ran.stderr);
}
