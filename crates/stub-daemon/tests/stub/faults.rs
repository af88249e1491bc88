//! Every fault, at the byte it was asked for.

use std::time::{Duration, Instant};

use crate::client::{Client, End, ask};
use crate::daemon;

const QUERY: &str = "{ fork_config }";

fn fault(action: &str) -> String {
    format!("[[fault]]\noperation = \"fork_config\"\naction = {action}\n")
}

/// The proper answer, and that a fault is over after one request.
fn proper() -> Vec<u8> {
    let daemon = daemon("");
    let answer = ask(daemon.address(), QUERY);
    assert_eq!((answer.status(), answer.end), (200, End::Complete));
    answer.body
}

#[test]
fn resets_and_truncations_come_after_their_byte() {
    let whole = proper();
    for (kind, end) in [("reset", End::Reset), ("truncate", End::Closed)] {
        for after in [0, 1, 4095, 65_536, 65_537, whole.len() - 1] {
            let daemon = daemon(&fault(&format!("{{ {kind} = {{ after = {after} }} }}")));
            let mut client = Client::new(daemon.address());
            let answer = client.ask(QUERY);
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.promised(), whole.len());
            assert_eq!((answer.body.len(), answer.end), (after, end), "{kind}");
            assert_eq!(answer.body, whole[..after]);
            let log = &daemon.requests()[0];
            assert_eq!((log.body_bytes, log.complete), (after as u64, false));
            // The next one is answered.
            assert_eq!(ask(daemon.address(), QUERY).body, whole);
        }
    }
}

#[test]
fn a_reset_before_the_header_sends_nothing() {
    let daemon = daemon(&fault("\"reset-before-header\""));
    let answer = ask(daemon.address(), QUERY);
    assert_eq!((answer.head.as_str(), answer.end), ("", End::Reset));
}

#[test]
fn a_position_after_the_end_is_the_end() {
    let whole = proper();
    let daemon = daemon(&fault("{ truncate = { after = 1000000000 } }"));
    let mut client = Client::new(daemon.address());
    assert_eq!(client.ask(QUERY).body, whole);
    assert_eq!(client.read_some(1).unwrap_err(), End::Closed);
}

#[test]
fn one_byte_is_corrupted() {
    let whole = proper();
    for at in [0, 70_000, whole.len() - 1] {
        let daemon = daemon(&fault(&format!(
            "{{ corrupt = {{ at = {at}, mask = 16 }} }}"
        )));
        let answer = ask(daemon.address(), QUERY);
        assert_eq!(answer.end, End::Complete);
        let different: Vec<usize> = (0..whole.len())
            .filter(|index| whole[*index] != answer.body[*index])
            .collect();
        assert_eq!(different, [at]);
        assert_eq!(answer.body[at], whole[at] ^ 16);
    }
}

#[test]
fn a_stall_holds_at_its_byte_until_released() {
    let whole = proper();
    let daemon = daemon(&fault("{ stall = { after = 70000 } }"));
    let mut client = Client::new(daemon.address());
    client.query(QUERY);
    let mut seen = Vec::new();
    client
        .0
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut piece = [0; 1000];
    while let Ok(count) = std::io::Read::read(&mut client.0, &mut piece) {
        seen.extend_from_slice(&piece[..count]);
    }
    let head = seen
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert_eq!(seen.len() - head, 70_000);
    assert_eq!(daemon.requests()[0].body_bytes, 0, "it is not over yet");
    daemon.release_stalls();
    while seen.len() - head < whole.len() {
        seen.extend(client.read_some(1 << 16).unwrap());
    }
    assert_eq!(seen[head..], whole);
}

#[test]
fn a_stall_ends_after_its_time() {
    let whole = proper();
    let daemon = daemon(&fault("{ stall = { after = 10, seconds = 1 } }"));
    let since = Instant::now();
    assert_eq!(ask(daemon.address(), QUERY).body, whole);
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[test]
fn slow_answers_keep_their_pace() {
    let whole = proper();
    let rate = whole.len();
    let daemon = daemon(&fault(&format!(
        "{{ slow = {{ bytes_per_second = {rate} }} }}"
    )));
    let since = Instant::now();
    assert_eq!(ask(daemon.address(), QUERY).body, whole);
    let took = since.elapsed().as_secs_f64();
    assert!((0.9..3.0).contains(&took), "{took}");
}

#[test]
fn statuses_have_no_data() {
    let daemon = daemon(
        "[[fault]]\ncount = 1\naction = { status = { code = 429, retry_after = 7 } }\n\
         [[fault]]\nfrom = 2\naction = { status = { code = 500 } }\n\
         [[fault]]\nfrom = 3\naction = { status = { code = 413 } }\n",
    );
    let mut client = Client::new(daemon.address());
    let answer = client.ask("{ syncStatus }");
    assert_eq!(answer.status(), 429);
    assert!(answer.head.contains("\r\nRetry-After: 7\r\n"));
    assert_eq!(client.ask("{ syncStatus }").status(), 500);
    assert_eq!(client.ask("{ syncStatus }").status(), 413);
    assert_eq!(
        client.ask("{ syncStatus }").json()["data"]["syncStatus"],
        "SYNCED"
    );
}

#[test]
fn answers_without_a_config() {
    let cases = [
        ("\"null-data\"", r#"{"data":{"fork_config":null}}"#),
        (
            "{ error-in-data = { message = \"no\" } }",
            r#"{"data":{"fork_config":{"error":"no"}}}"#,
        ),
        (
            "{ graphql-errors = { message = \"no\" } }",
            r#"{"data":null,"errors":[{"message":"no"}]}"#,
        ),
    ];
    for (action, expected) in cases {
        let daemon = daemon(&fault(action));
        let answer = ask(daemon.address(), QUERY);
        assert_eq!(answer.status(), 200);
        assert_eq!(String::from_utf8_lossy(&answer.body), expected);
    }
    let daemon = daemon(&fault("\"not-json\""));
    let answer = ask(daemon.address(), QUERY);
    assert_eq!((answer.status(), answer.end), (200, End::Complete));
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
}

#[test]
fn faults_wait_for_their_operation_and_number() {
    let daemon = daemon(
        "[[fault]]\noperation = \"bestChain\"\nfrom = 2\ncount = 2\naction = \"null-data\"\n",
    );
    let mut client = Client::new(daemon.address());
    let mut is_null = |query: &str| client.ask(query).json()["data"]["bestChain"].is_null();
    let chain = "{ bestChain(maxLength: 1) { stateHash } }";
    assert!(!is_null(chain));
    assert!(is_null("{ syncStatus }"));
    assert!(is_null(chain) && is_null(chain));
    assert!(!is_null(chain));
    let faults: Vec<bool> = daemon
        .requests()
        .iter()
        .map(|log| log.fault.is_some())
        .collect();
    assert_eq!(faults, [false, false, true, true, false]);
}

#[test]
fn a_killed_daemon_comes_back_by_itself() {
    let daemon = daemon(&fault("{ kill = { after = 5000, restart_after = 1 } }"));
    let mut idle = Client::new(daemon.address());
    assert_eq!(idle.ask("{ syncStatus }").status(), 200);
    let since = Instant::now();
    let answer = ask(daemon.address(), QUERY);
    assert_eq!((answer.body.len(), answer.end), (5000, End::Reset));
    // Other connections go, too.
    assert!(idle.read_some(1).is_err());
    while std::net::TcpStream::connect(daemon.address()).is_err() {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(ask(daemon.address(), "{ syncStatus }").status(), 200);
}

#[test]
fn chunked_answers_fail_at_the_same_bytes() {
    let text = crate::scenario_text().replacen("lag = 1", "lag = 1\nchunked = true", 1);
    let world = crate::build(&text);
    let clock = stub_daemon::Clock::manual(393_802);
    let daemon = stub_daemon::StubDaemon::start(world, 2, clock).unwrap();
    let answer = ask(daemon.address(), "{ syncStatus }");
    assert!(answer.head.contains("Transfer-Encoding: chunked"));
    assert_eq!(
        answer.body,
        b"20\r\n{\"data\":{\"syncStatus\":\"SYNCED\"}}\r\n0\r\n\r\n"
    );
    daemon.set_faults(crate::parse_faults(
        "[[fault]]\naction = { truncate = { after = 3 } }\n",
    ));
    let answer = ask(daemon.address(), "{ syncStatus }");
    assert_eq!(
        (answer.body.as_slice(), answer.end),
        (&b"3\r\n{\"d\r\n"[..], End::Closed)
    );
}
