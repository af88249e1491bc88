//! HTTP, hooks, logs, killing and stopping.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use stub_daemon::{Clock, StubDaemon};

use crate::client::{Client, End, ask};
use crate::{WORLD, daemon};

#[test]
fn other_paths_and_methods_are_refused() {
    let daemon = daemon("");
    let mut client = Client::new(daemon.address());
    client.write("GET /graphql HTTP/1.1\r\n\r\n");
    let answer = client.read();
    assert_eq!(answer.status(), 405);
    assert!(answer.head.contains("Allow: POST"));
    client.write("POST /other HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(client.read().status(), 404);
    // Still in step.
    assert_eq!(client.ask("{ syncStatus }").status(), 200);
    assert_eq!(daemon.request_count("syncStatus"), 1);
}

#[test]
fn too_much_and_nonsense_are_refused() {
    let daemon = daemon("");
    for (text, status) in [
        (
            "POST /graphql HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n".to_owned(),
            413,
        ),
        (
            format!("POST /graphql HTTP/1.1\r\nX: {}", "x".repeat(20_000)),
            431,
        ),
        ("\0\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = Client::new(daemon.address());
        client.write(&text);
        let answer = client.read();
        assert_eq!(answer.status(), status);
        assert_eq!(client.read_some(1).unwrap_err(), End::Closed);
    }
    let mut client = Client::new(daemon.address());
    client.write("POST /graphql HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    let answer = client.read().json();
    assert!(answer["data"].is_null());
    assert!(answer["errors"][0]["message"].is_string());
}

#[test]
fn requests_come_in_pieces_in_chunks_and_together() {
    let daemon = daemon("");
    let body = r#"{"query":"{ syncStatus }"}"#;
    let mut client = Client::new(daemon.address());
    let head = format!(
        "POST /graphql HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for piece in [&head[..10], &head[10..], &body[..1], &body[1..]] {
        client.write(piece);
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(client.read().status(), 200);
    client.write(&format!(
        "POST /graphql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.read().status(), 200);
    client.write(&format!("{head}{body}{head}{body}"));
    let first = client.read();
    assert_eq!(first.status(), 200);
    client.write("POST /graphql HTTP/1.1\r\nConnection: close\r\n\r\n");
    while client.read_some(1 << 16).is_ok() {}
    assert_eq!(daemon.requests().len(), 5);
}

#[test]
fn the_clock_is_the_tests() {
    let clock = Clock::manual(393_796);
    let daemon = StubDaemon::start(Arc::clone(&WORLD), 1, clock.clone()).unwrap();
    let mut client = Client::new(daemon.address());
    let mut tip = || {
        let answer = client.ask("{ daemonStatus { stateHash } }").json();
        let hash = answer["data"]["daemonStatus"]["stateHash"].clone();
        let hash = hash.as_str().unwrap().parse().unwrap();
        let block = &WORLD.blocks()[WORLD.block_index(hash).unwrap()];
        (block.branch.clone(), block.slot())
    };
    assert_eq!(tip(), ("main".to_owned(), 393_796));
    clock.set(393_798);
    assert_eq!(tip(), ("main".to_owned(), 393_798));
    clock.advance();
    assert_eq!(tip(), ("side".to_owned(), 393_799));
    clock.set(393_806);
    assert_eq!(tip(), ("main".to_owned(), 393_805));
}

#[test]
fn a_hook_is_called_when_its_byte_is_out() {
    let daemon = Arc::new(daemon(""));
    let (sender, calls) = channel();
    let (go_on, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    daemon.on_request("fork_config", Some(2), 70_000, move |event| {
        sender.send(event.clone()).unwrap();
        wait.lock().unwrap().recv().unwrap();
    });
    let whole = ask(daemon.address(), "{ fork_config }").body;
    assert!(calls.try_recv().is_err());
    let mut client = Client::new(daemon.address());
    client.query("{ fork_config }");
    let event = calls.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((event.nth, event.body_bytes), (2, 70_000));
    let mut seen = 0;
    client
        .0
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut piece = [0; 4096];
    while let Ok(count) = std::io::Read::read(&mut client.0, &mut piece) {
        seen += count;
    }
    assert!((70_000..70_400).contains(&seen), "{seen}");
    go_on.send(()).unwrap();
    client
        .0
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    while seen < whole.len() {
        seen += client.read_some(1 << 16).unwrap().len();
    }
}

#[test]
fn heavy_requests_are_counted_while_somebody_reads_them() {
    let daemon =
        daemon("[[fault]]\noperation = \"fork_config\"\ncount = 3\naction = { stall = {} }\n");
    let wait_for = |count| {
        let since = Instant::now();
        while daemon.request_count("fork_config") < count {
            assert!(since.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for count in 1..=2 {
        let mut client = Client::new(daemon.address());
        client.query("{ fork_config }");
        wait_for(count);
        // Given up: the next one is alone.
        drop(client);
    }
    assert_eq!(daemon.concurrent_heavy_max(), 1);
    let mut first = Client::new(daemon.address());
    first.query("{ fork_config }");
    wait_for(3);
    // Others are not heavy.
    assert_eq!(ask(daemon.address(), "{ syncStatus }").status(), 200);
    assert_eq!(daemon.concurrent_heavy_max(), 1);
    assert_eq!(ask(daemon.address(), "{ fork_config }").status(), 200);
    assert_eq!(daemon.concurrent_heavy_max(), 2);
    daemon.release_stalls();
    assert_eq!(first.read().status(), 200);
}

#[test]
fn asking_again_at_once_is_not_asking_twice() {
    let daemon = daemon("");
    for _ in 0..50 {
        assert_eq!(ask(daemon.address(), "{ fork_config }").end, End::Complete);
    }
    assert_eq!(daemon.concurrent_heavy_max(), 1);
}

#[test]
fn who_has_the_last_byte_may_ask_again() {
    let daemon = daemon("");
    let (sender, called) = channel();
    let (go_on, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    daemon.on_request("fork_config", Some(1), u64::MAX, move |event| {
        sender.send(event.body_bytes).unwrap();
        wait.lock().unwrap().recv().unwrap();
    });
    let mut first = Client::new(daemon.address());
    let whole = first.ask("{ fork_config }").body;
    assert_eq!(called.recv().unwrap(), whole.len() as u64);
    // The first connection is open, and its thread has not come back yet.
    assert_eq!(ask(daemon.address(), "{ fork_config }").body, whole);
    assert_eq!(daemon.concurrent_heavy_max(), 1);
    go_on.send(()).unwrap();
}

#[test]
fn killed_and_restarted_on_the_same_port() {
    let daemon = daemon("[[fault]]\naction = { stall = { after = 5 } }\n");
    let address = daemon.address();
    let mut stalled = Client::new(address);
    stalled.query("{ fork_config }");
    let head = stalled.read_some(10).unwrap();
    assert!(head.starts_with(b"HTTP/1.1"));
    for _ in 0..3 {
        daemon.kill();
        assert!(!daemon.is_listening());
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(daemon.restart());
        assert_eq!(ask(address, "{ syncStatus }").status(), 200);
    }
    assert_eq!(stalled.read().end, End::Reset);
    assert_eq!(daemon.url(), format!("http://{address}/graphql"));
}

#[test]
fn dropping_stops_everything() {
    let daemon = daemon("[[fault]]\naction = { stall = { after = 5 } }\n");
    let address = daemon.address();
    let mut stalled = Client::new(address);
    stalled.query("{ fork_config }");
    assert!(!stalled.read_some(5).unwrap().is_empty());
    let _idle = Client::new(address);
    let since = Instant::now();
    drop(daemon);
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_an_error() {
    let first = daemon("");
    let text = crate::scenario_text().replacen(
        "name = \"a\"",
        &format!("name = \"a\"\nlisten = \"{}\"", first.address()),
        1,
    );
    let error = StubDaemon::start(crate::build(&text), 0, Clock::manual(0)).unwrap_err();
    assert!(error.to_string().contains(&first.address().to_string()));
}
