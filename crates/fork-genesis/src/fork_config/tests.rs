use std::convert::Infallible;

use fork_types::{Class, Fault};

use super::*;
use crate::import::Progress;

const FORK: &str = "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV";
const HASH: &str = "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf";
const SEED: &str = "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531";
const NEXT_SEED: &str = "2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT";

/// Never raised; only names the type.
#[derive(Debug, thiserror::Error)]
#[error("stop at {0}")]
struct Stop(u32);

impl Fault for Stop {
    fn class(&self) -> Class {
        Class::Interrupted
    }
}

fn accounts(count: u32) -> String {
    let accounts: Vec<String> = (0..count)
        .map(|number| format!("{{\"pk\":\"k{number}\",\"balance\":\"{number}\"}}"))
        .collect();
    format!("[{}]", accounts.join(","))
}

fn parts() -> [String; 4] {
    [
        "\"genesis\":{\"genesis_state_timestamp\":\"2024-04-09T21:00:00Z\",\"k\":1}".to_owned(),
        format!(
            "\"proof\":{{\"level\":\"full\",\"fork\":{{\"state_hash\":\"{FORK}\",\
             \"blockchain_length\":296371,\"global_slot_since_genesis\":445860}}}}"
        ),
        format!(
            "\"ledger\":{{\"add_genesis_winner\":false,\"hash\":\"{HASH}\",\"accounts\":{}}}",
            accounts(3)
        ),
        format!(
            "\"epoch_data\":{{\"next\":{{\"seed\":\"{NEXT_SEED}\",\"accounts\":{}}},\
             \"staking\":{{\"accounts\":{},\"seed\":\"{SEED}\"}}}}",
            accounts(1),
            accounts(2)
        ),
    ]
}

fn config() -> String {
    format!("{{{}}}", parts().join(","))
}

type Seen = Vec<(Role, u32, String)>;

fn import(text: &str) -> (Result<ForkConfigFacts, ImportError<Stop>>, Seen) {
    let mut seen = Vec::new();
    let facts = read(text.as_bytes(), |role, index, account| {
        seen.push((role, index, account.pk.unwrap().as_str().to_owned()));
        Ok(())
    });
    (facts, seen)
}

fn fails(text: &str) -> ImportError<Stop> {
    import(text).0.unwrap_err()
}

fn edited(from: &str, to: &str) -> String {
    assert!(config().contains(from), "{from}");
    config().replacen(from, to, 1)
}

#[test]
fn members_come_in_any_order_and_in_any_envelope() {
    let (facts, seen) = import(&config());
    let facts = facts.unwrap();
    assert_eq!(facts.fork.blockchain_length, 296_371);
    assert_eq!(facts.fork.global_slot_since_genesis.get(), 445_860);
    assert_eq!(facts.ledger.claimed_root.unwrap().to_string(), HASH);
    assert_eq!(facts.epochs.staking_seed.to_string(), SEED);
    assert_eq!(facts.epochs.next_seed.to_string(), NEXT_SEED);
    let counts = Role::ALL.map(|role| facts.ledger(role).accounts);
    assert_eq!(counts, [3, 2, 1]);
    assert_eq!(facts.genesis_timestamp.unwrap().ms(), 1_712_696_400_000);
    assert_eq!(facts.warnings, Vec::<String>::new());
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[2], (Role::Genesis, 2, "k2".to_owned()));
    assert_eq!(seen[3], (Role::Next, 0, "k0".to_owned()));
    assert_eq!(seen[5], (Role::Staking, 1, "k1".to_owned()));
    let mut parts = parts();
    parts.reverse();
    let reversed = format!("{{\"daemon\":{{}},{}}}", parts.join(","));
    assert_eq!(import(&reversed).0.unwrap(), facts);
    for envelope in [
        format!("{{\"data\":{{\"fork_config\":{}}}}}", config()),
        format!(
            "{{\"errors\":null,\"data\":{{\"fork_config\":{}}}}}",
            config()
        ),
        format!("{{\"fork_config\":{}}}", config()),
    ] {
        assert_eq!(import(&envelope).0.unwrap(), facts);
    }
}

#[test]
fn three_generations_of_fork_members() {
    let (today, _) = import(&config());
    let today = today.unwrap();
    for (from, to, names) in [
        (
            "global_slot_since_genesis",
            "genesis_slot",
            vec!["genesis_slot"],
        ),
        (
            "global_slot_since_genesis",
            "previous_global_slot",
            vec!["previous_global_slot"],
        ),
        (
            "blockchain_length",
            "previous_length",
            vec!["previous_length"],
        ),
        (
            "state_hash",
            "previous_state_hash",
            vec!["previous_state_hash"],
        ),
    ] {
        let facts = import(&edited(from, to)).0.unwrap();
        assert_eq!(facts.fork.older_names, names);
        assert_eq!(facts.warnings.len(), 1);
        assert_eq!(facts.fork.state_hash, today.fork.state_hash);
        assert_eq!(facts.fork.global_slot_since_genesis.get(), 445_860);
    }
    for (from, to) in [
        (
            "\"blockchain_length\"",
            "\"genesis_slot\":1,\"blockchain_length\"",
        ),
        (
            "\"global_slot_since_genesis\":445860",
            "\"genesis_slot\":null",
        ),
        ("\"state_hash\":\"3N", "\"state_hash\":\"3X"),
    ] {
        assert!(
            matches!(fails(&edited(from, to)), ImportError::ForkPoint { .. }),
            "{to}"
        );
    }
    assert!(matches!(
        fails(&edited(
            "\"blockchain_length\"",
            "\"surprise\":1,\"blockchain_length\""
        )),
        ImportError::Json { .. }
    ));
}

#[test]
fn answers_that_are_no_config() {
    for text in [
        "null",
        "{\"data\":null}",
        "{\"data\":{\"fork_config\":null}}",
        "{\"data\":{\"fork_config\":{\"error\":\"Daemon is bootstrapping\"}}}",
        "{\"error\":\"Daemon is bootstrapping\"}",
        "{\"errors\":[{\"message\":\"Daemon is Bootstrapping\"}],\"data\":null}",
    ] {
        let error = fails(text);
        assert!(
            matches!(error, ImportError::NotYet { .. }),
            "{text}: {error}"
        );
        assert_eq!(error.class(), Class::Pending);
        assert!(error.hint().is_some());
    }
    for text in [
        "{\"data\":{\"fork_config\":{\"error\":\"no such block\"}}}",
        "{\"data\":{\"fork_config\":{\"error\":{\"code\":7}}}}",
        "{\"errors\":[{\"message\":\"Unknown field\"}]}",
        "{\"errors\":[{}]}",
    ] {
        let error = fails(text);
        assert!(
            matches!(error, ImportError::DaemonError { .. }),
            "{text}: {error}"
        );
        assert_eq!(error.class(), Class::BadInput);
    }
    for text in ["{}", "{\"data\":{}}", "{\"data\":{\"block\":{}}}"] {
        assert!(matches!(
            fails(text),
            ImportError::Missing {
                path: "proof.fork",
                ..
            }
        ));
    }
}

#[test]
fn ledger_objects_that_are_not_listed_completely_are_refused() {
    let inherited = edited(
        "\"hash\"",
        "\"name\":\"devnet\",\"num_accounts\":6,\"hash\"",
    );
    let facts = import(&inherited).0.unwrap();
    assert_eq!(
        facts.warnings,
        [
            "the ledger object carries name `devnet` and num_accounts 6, inherited from another \
          config; ignored, the list has 3 accounts"
        ]
    );
    for (from, to) in [
        ("\"hash\"", "\"num_accounts\":7,\"hash\""),
        (
            "\"hash\"",
            "\"balances\":[{\"number\":1,\"balance\":\"1\"}],\"hash\"",
        ),
        (
            "\"add_genesis_winner\":false",
            "\"add_genesis_winner\":true",
        ),
        ("\"add_genesis_winner\":false", "\"x\":0"),
        ("\"accounts\"", "\"x\""),
        ("\"seed\":\"2vad", "\"accounts\":null,\"x\":\""),
    ] {
        let error = fails(&edited(from, to).replace(
            "\"accounts\":[{\"pk\":\"k0\",\"balance\":\"0\"}]",
            if to.contains("null") {
                "\"y\":0,\"seed\":\"2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT\""
            } else {
                "\"accounts\":[]"
            },
        ));
        assert!(
            matches!(error, ImportError::LedgerObject { .. }),
            "{to}: {error:?}"
        );
        assert_eq!(error.class(), Class::BadInput);
    }
}

#[test]
fn an_absent_next_epoch_is_the_staking_epoch() {
    let next = format!(
        "\"next\":{{\"seed\":\"{NEXT_SEED}\",\"accounts\":{}}},",
        accounts(1)
    );
    for to in ["", "\"next\":null,"] {
        let facts = import(&edited(&next, to)).0.unwrap();
        assert_eq!(facts.epochs.next, None);
        assert_eq!(facts.epochs.next_seed, facts.epochs.staking_seed);
        assert_eq!(facts.ledger(Role::Next).accounts, 2);
        assert_eq!(facts.warnings.len(), 1);
    }
    for (from, path) in [
        ("\"epoch_data\"", "epoch_data"),
        ("\"staking\"", "epoch_data.staking"),
        ("\"seed\":\"2vb", "epoch_data.staking.seed"),
        ("\"seed\":\"2va", "epoch_data.next.seed"),
    ] {
        let to = from.replacen('"', "\"x", 1);
        assert!(
            matches!(fails(&edited(from, &to)), ImportError::Missing { path: found, .. } if found == path),
            "{path}"
        );
    }
}

#[test]
fn truncation_says_where() {
    let text = config();
    for length in 1..text.len() {
        let error = fails(&text[..length]);
        let ImportError::Json { source, .. } = &error else {
            panic!("{length}: {error:?}")
        };
        assert!(source.is_eof() && source.line() == 1, "{length}: {error:?}");
        assert_eq!(error.class(), Class::BadInput);
        assert!(error.hint().is_some());
    }
    let cut = &text[..text.find("\"k2\"").unwrap()];
    let error = fails(cut);
    assert_eq!(
        error.to_string(),
        "malformed JSON in the fork config after 2 accounts of the genesis ledger"
    );
    assert!(matches!(
        fails(&format!("{text}x")),
        ImportError::Json { .. }
    ));
    let doubled = edited("\"genesis\":", "\"ledger\":{},\"genesis\":");
    assert!(matches!(fails(&doubled), ImportError::Json { .. }));
    assert_eq!(Progress::default().to_string(), "");
}

#[test]
fn the_callback_stops_the_reading_with_its_own_error() {
    let result = read(config().as_bytes(), |role, index, _| {
        if role == Role::Next {
            Err(Stop(index))
        } else {
            Ok(())
        }
    });
    let error = result.unwrap_err();
    assert!(matches!(error, ImportError::Visit(Stop(0))));
    assert_eq!(error.class(), Class::Interrupted);
    let ids = [
        ("\"hash\":\"j", "\"hash\":\"x", "ledger.hash"),
        (
            "\"seed\":\"2vb",
            "\"seed\":\"2vx",
            "epoch_data.staking.seed",
        ),
    ];
    for (from, to, path) in ids {
        assert!(
            matches!(fails(&edited(from, to)), ImportError::Id { path: found, .. } if found == path)
        );
    }
    assert!(matches!(
        fails(&edited("2024-04-09T", "2024-04-39T")),
        ImportError::Timestamp { .. }
    ));
}

#[test]
fn failing_readers_are_the_environment() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let error = read(Failing, |_, _, _| Ok::<(), Stop>(())).unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    let endless = b"{\"x\":\"".chain(std::io::repeat(b'a'));
    let error = read(endless, |_, _, _| Ok::<(), Infallible>(())).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { .. }));
}
