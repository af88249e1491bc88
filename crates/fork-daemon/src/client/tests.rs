use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

use fork_types::{Class, EpochSeed, Fault, FieldBytes, LedgerHash};

use super::*;

/// What a server does with one connection, once it read the request.
type Act = Box<dyn FnOnce(&mut TcpStream) + Send>;

fn body(text: &str) -> Act {
    raw(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    ))
}

fn raw(answer: &str) -> Act {
    let answer = answer.to_owned();
    Box::new(move |stream| {
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read(&mut [0; 64]);
    })
}

/// A server for as many connections as there are acts; it returns the bodies of the requests.
fn server(acts: Vec<Act>) -> (DaemonClient, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    let deadlines = Deadlines {
        connect: Duration::from_secs(5),
        light: Duration::from_millis(300),
        export_begin: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        export_total: Duration::from_secs(5),
    };
    let client = DaemonClient::new(&url.parse().unwrap(), deadlines).unwrap();
    let thread = std::thread::spawn(move || {
        acts.into_iter()
            .map(|act| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0; 1];
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let head = String::from_utf8(request).unwrap().to_lowercase();
                assert!(head.starts_with("post /graphql http/1.1"), "{head}");
                let length = head.split("content-length: ").nth(1).unwrap();
                let length = length.split("\r\n").next().unwrap().parse().unwrap();
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                act(&mut stream);
                String::from_utf8(body).unwrap()
            })
            .collect()
    });
    (client, thread)
}

fn hash(number: u64) -> StateHash {
    StateHash::new(FieldBytes::from_u64(number))
}

fn block(number: u64, parent: u64, slot: u32) -> String {
    let ledger = LedgerHash::new(FieldBytes::from_u64(number));
    let seed = EpochSeed::new(FieldBytes::from_u64(number));
    let epoch = format!("{{\"seed\":\"{seed}\",\"ledger\":{{\"hash\":\"{ledger}\"}}}}");
    format!(
        "{{\"stateHash\":\"{}\",\"commandTransactionCount\":2,\"transactions\":{{\"coinbase\":\
         \"720000000000\",\"feeTransfer\":[{{\"fee\":\"1\"}},null]}},\"protocolState\":{{\
         \"previousStateHash\":\"{}\",\"blockchainState\":{{\"stagedLedgerHash\":\"{ledger}\"}},\
         \"consensusState\":{{\"blockHeight\":\"{number}\",\"slot\":\"{slot}\",\
         \"slotSinceGenesis\":\"{}\",\"stakingEpochData\":{epoch},\"nextEpochData\":{epoch}}}}}}}",
        hash(number),
        hash(parent),
        slot + 1000,
    )
}

fn chain(blocks: &[String]) -> Act {
    body(&format!(
        "{{\"data\":{{\"bestChain\":[{}]}}}}",
        blocks.join(",")
    ))
}

#[test]
fn good_answers() {
    let (client, server) = server(vec![
        body(
            "{\"data\":{\"syncStatus\":\"SYNCED\",\"version\":null,\"networkID\":\"mina:devnet\",\
             \"timeOffset\":-3,\"daemonStatus\":{\"chainId\":\"abc\",\"consensusTimeNow\":\
             {\"globalSlot\":\"77\"}}}}",
        ),
        body(
            "{\"data\":{\"runtimeConfig\":{\"daemon\":{\"slot_tx_end\":90,\
             \"slot_chain_end\":\"100\"},\"x\":1}}}",
        ),
        chain(&[block(7, 6, 70), block(8, 7, 72)]),
        body("{\"data\":{\"protocolState\":\"{\\\"a\\\":1}\"}}"),
        body("{\"data\":{\"fork_config\":{\"proof\":1}}}"),
    ]);
    let status = client.status().unwrap();
    assert_eq!(status.sync_status, "SYNCED");
    assert_eq!(status.clock_slot.unwrap().get(), 77);
    assert_eq!(status.time_offset_s, Some(-3));
    assert_eq!(status.daemon_version, None);
    let config = client.runtime_config().unwrap();
    assert_eq!(config.stop.slot_tx_end.unwrap().get(), 90);
    assert_eq!(config.stop.slot_chain_end.unwrap().get(), 100);
    assert!(config.text.ends_with(b"\"x\":1}"));
    let blocks = client.best_chain(16).unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[1].state_hash, hash(8));
    assert_eq!(blocks[1].fee_transfers, 1);
    assert_eq!(blocks[1].global_slot_since_genesis.get(), 1072);
    assert!(!blocks[1].is_empty());
    assert_eq!(client.protocol_state(hash(8)).unwrap(), "{\"a\":1}");
    let mut target = Vec::new();
    let export = client.fork_config(hash(8), &mut target).unwrap();
    assert_eq!(target, b"{\"data\":{\"fork_config\":{\"proof\":1}}}");
    assert_eq!(export.bytes, target.len() as u64);
    let requests = server.join().unwrap();
    assert!(requests[2].contains("\"max\":16"), "{}", requests[2]);
    assert!(
        requests[4].contains(&hash(8).to_string()),
        "{}",
        requests[4]
    );
}

/// Every state of a daemon that a client must tell apart, with the class of its error.
#[test]
fn every_failure_is_its_own() {
    type Case = (&'static str, Act, fn(&DaemonError) -> bool, Class);
    let cases: Vec<Case> = vec![
        (
            "bootstrapping, current daemons",
            body("{\"errors\":[{\"message\":\"Daemon is bootstrapping\"}],\"data\":null}"),
            |error| matches!(error, DaemonError::NotReady { .. }),
            Class::Pending,
        ),
        (
            "bootstrapping, older daemons",
            body("{\"data\":{\"fork_config\":{\"error\":\"Daemon is bootstrapping\"}}}"),
            |error| matches!(error, DaemonError::NotReady { .. }),
            Class::Pending,
        ),
        (
            "fork point not reached",
            body("{\"data\":{\"fork_config\":null}}"),
            |error| matches!(error, DaemonError::Null { .. }),
            Class::Pending,
        ),
        (
            "data is null",
            body("{\"data\":null}"),
            |error| matches!(error, DaemonError::Null { .. }),
            Class::Pending,
        ),
        (
            "another error",
            body("{\"errors\":[{\"message\":\"no such block\"}]}"),
            |error| matches!(error, DaemonError::Refused { .. }),
            Class::BadInput,
        ),
        (
            "another error inside data",
            body("{\"data\":{\"fork_config\":{\"error\":{\"code\":7}}}}"),
            |error| matches!(error, DaemonError::Refused { .. }),
            Class::BadInput,
        ),
        (
            "no JSON",
            body("<html>\u{7}502"),
            |error| matches!(error, DaemonError::Json { .. }),
            Class::BadInput,
        ),
        (
            "HTTP 500",
            raw("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
            |error| matches!(error, DaemonError::Status { status: 500, .. }),
            Class::Environment,
        ),
        (
            "HTTP 429",
            raw("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
            |error| {
                matches!(
                    error,
                    DaemonError::Status {
                        status: 429,
                        retry_after_s: Some(7),
                        ..
                    }
                )
            },
            Class::Environment,
        ),
        (
            "HTTP 413",
            raw("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n"),
            |error| matches!(error, DaemonError::Status { status: 413, .. }),
            Class::BadInput,
        ),
        (
            "a redirect",
            raw("HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            |error| matches!(error, DaemonError::Status { status: 302, .. }),
            Class::BadInput,
        ),
        (
            "a cut body",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":"),
            |error| {
                matches!(
                    error,
                    DaemonError::Cut {
                        received: 8,
                        promised: Some(100),
                        ..
                    }
                )
            },
            Class::Environment,
        ),
        (
            "no header",
            raw(""),
            |error| matches!(error, DaemonError::Connection { .. }),
            Class::Environment,
        ),
        (
            "silence before the header",
            Box::new(|stream| drop(stream.read(&mut [0; 1]))),
            |error| matches!(error, DaemonError::Timeout { .. }),
            Class::Environment,
        ),
        (
            "silence within the body",
            Box::new(|stream| {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
                    .unwrap();
                let _ = stream.read(&mut [0; 1]);
            }),
            |error| matches!(error, DaemonError::Timeout { .. }),
            Class::Environment,
        ),
    ];
    let (names, rest): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .map(|(name, act, check, class)| (name, (act, check, class)))
        .unzip();
    let (acts, expected): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .map(|(act, check, class)| (act, (check, class)))
        .unzip();
    let (client, server) = server(acts);
    for (name, (check, class)) in names.into_iter().zip(expected) {
        let error = client.fork_config(hash(1), &mut Vec::new()).unwrap_err();
        assert!(check(&error), "{name}: {error:?}");
        assert_eq!(error.class(), class, "{name}");
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(!text.contains("secret"), "{name}: {text}");
    }
    server.join().unwrap();
    // Nobody listens any more.
    let error = client.status().unwrap_err();
    assert!(matches!(error, DaemonError::Connection { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn blocks_that_are_no_chain_are_refused() {
    let (client, server) = server(vec![
        chain(&[block(7, 6, 70), block(8, 6, 72)]),
        chain(&[block(7, 6, 70), block(9, 7, 72)]),
        chain(&[block(7, 6, 70), block(8, 7, 70)]),
        chain(&[block(7, 6, 70).replace("\"blockHeight\":\"7\"", "\"blockHeight\":\"-7\"")]),
        body("{\"data\":{\"bestChain\":null}}"),
        body("{\"data\":{\"bestChain\":[{}]}}"),
    ]);
    for member in ["previousStateHash", "blockHeight", "slot", "blockHeight"] {
        let error = client.best_chain(16).unwrap_err();
        assert!(error.to_string().contains(member), "{member}: {error}");
        assert_eq!(error.class(), Class::BadInput);
    }
    assert_eq!(client.best_chain(16).unwrap_err().class(), Class::Pending);
    assert_eq!(client.best_chain(16).unwrap_err().class(), Class::BadInput);
    server.join().unwrap();
}

#[test]
fn a_disk_that_is_full_is_no_fault_of_the_daemon() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (client, server) = server(vec![body("{\"data\":{\"fork_config\":{}}}")]);
    let error = client.fork_config(hash(1), &mut Full).unwrap_err();
    assert!(matches!(error, DaemonError::Write(_)), "{error:?}");
    server.join().unwrap();
}

/// An answer with a best tip and these members after it.
fn accounts(members: &str) -> Act {
    body(&format!(
        "{{\"data\":{{\"bestChain\":[{}]{members}}}}}",
        block(8, 7, 72)
    ))
}

#[test]
fn accounts_come_with_the_tip_they_are_of() {
    use fork_types::{PublicKey, TokenId};
    let key = PublicKey::new(FieldBytes::ONE, false);
    let ids = [(key, TokenId::DEFAULT); 2];
    let full = ",\"a1\":null,\"a0\":{\"publicKey\":\"B62\",\"balance\":{\"total\":\"5\"},\"nonce\":3,\
         \"delegateAccount\":{\"publicKey\":\"B63\"},\"timing\":{\"cliffTime\":\"9\"},\"permissions\":\
         {\"send\":\"None\",\"access\":null,\"setVerificationKey\":{\"auth\":\"Proof\",\"txnVersion\":\
         \"4\"}},\"zkappState\":[\"1\",2],\"verificationKey\":{\"hash\":\"77\"},\"index\":6,\
         \"merklePath\":[{\"left\":\"1\",\"right\":null},{\"left\":null,\"right\":\"2\"}]}";
    let (client, server) = server(vec![
        accounts(full),
        accounts(",\"a0\":null"),
        accounts(",\"a0\":null,\"a1\":{\"merklePath\":[{\"left\":null,\"right\":null}]}"),
        accounts(",\"a0\":null,\"a1\":{\"merklePath\":[{\"left\":\"1\",\"right\":\"2\"}]}"),
        accounts(",\"a0\":null,\"a1\":{\"index\":-1}"),
        body("{\"data\":{\"bestChain\":[],\"a0\":null,\"a1\":null}}"),
        body(
            "{\"errors\":[{\"message\":\"Could not obtain best chain from transition frontier\"}]}",
        ),
    ]);
    let answer = client.accounts(&ids).unwrap();
    assert_eq!(answer.tip.blockchain_length, 8);
    assert_eq!(answer.accounts[1], None);
    let account = answer.accounts[0].clone().unwrap();
    assert_eq!(account.balance.as_deref(), Some("5"));
    assert_eq!(account.nonce.as_deref(), Some("3"));
    assert_eq!(account.delegate.as_deref(), Some("B63"));
    assert_eq!(account.timing.cliff_time.as_deref(), Some("9"));
    assert_eq!(account.timing.cliff_amount, None);
    let words: Vec<_> = account.permissions.into_iter().collect();
    let words: Vec<_> = words
        .iter()
        .map(|(name, word)| (&**name, &**word))
        .collect();
    assert_eq!(
        words,
        [
            ("send", "None"),
            ("setVerificationKey", "Proof"),
            ("txnVersion", "4")
        ]
    );
    assert_eq!(account.zkapp_state.unwrap(), ["1", "2"]);
    assert_eq!(account.index, Some(6));
    let sides: Vec<bool> = account
        .merkle_path
        .unwrap()
        .iter()
        .map(|one| one.from_left)
        .collect();
    assert_eq!(sides, [true, false]);
    // One alias is missing; neither side, both; no index; no ledger yet, in two forms.
    for expected in [
        "null",
        "merklePath",
        "merklePath",
        "index",
        "null",
        "not ready",
    ] {
        let error = client.accounts(&ids).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let requests = server.join().unwrap();
    assert!(
        requests[0].contains("a1: account(publicKey: "),
        "{}",
        requests[0]
    );
}

#[test]
fn too_many_accounts_are_not_asked_for_at_once() {
    use fork_types::{PublicKey, TokenId};
    let key = PublicKey::new(FieldBytes::ONE, false);
    let ids = [(key, TokenId::DEFAULT); ACCOUNTS_PER_QUERY_MAX + 1];
    let aliases: String = (0..ids.len())
        .map(|number| format!(",\"a{number}\":null"))
        .collect();
    let (client, server) = server(vec![accounts(&aliases)]);
    assert_eq!(
        client.accounts(&ids).unwrap().accounts.len(),
        ACCOUNTS_PER_QUERY_MAX
    );
    let beyond = format!("a{ACCOUNTS_PER_QUERY_MAX}:");
    assert!(!server.join().unwrap()[0].contains(&beyond));
}

#[test]
fn a_node_says_what_it_is() {
    let (client, server) = server(vec![
        body(
            "{\"data\":{\"syncStatus\":\"BOOTSTRAP\",\"daemonStatus\":{\"chainId\":\"c\",\
             \"commitId\":null,\"blockchainLength\":null},\"genesisConstants\":{\"genesisTimestamp\":\
             \"2026\"}}}",
        ),
        body(&format!(
            "{{\"data\":{{\"genesisBlock\":{}}}}}",
            block(8, 7, 72)
        )),
        body("{\"data\":{\"genesisBlock\":null}}"),
        chain(&[block(8, 7, 72)]),
        chain(&[]),
    ]);
    let status = client.node_status().unwrap();
    assert_eq!(status.sync_status, "BOOTSTRAP");
    assert_eq!((status.best_tip_height, status.commit_id), (None, None));
    assert_eq!(client.genesis_block().unwrap().blockchain_length, 8);
    assert_eq!(client.genesis_block().unwrap_err().class(), Class::Pending);
    assert_eq!(client.best_tip().unwrap().state_hash, hash(8));
    assert_eq!(client.best_tip().unwrap_err().class(), Class::Pending);
    server.join().unwrap();
}
