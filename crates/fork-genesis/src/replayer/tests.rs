use std::convert::Infallible;

use super::*;

const HASH: &str = "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV";
const SEED: &str = "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531";

fn output() -> String {
    format!(
        "{{\"target_epoch_ledgers_state_hash\":\"{HASH}\",\"target_fork_state_hash\":\"{HASH}\",\
         \"target_genesis_ledger\":{{\"name\":\"release\",\"num_accounts\":250,\"hash\":\"stale\",\
         \"accounts\":[{{\"pk\":\"a\"}}]}},\"target_epoch_data\":{{\"staking\":{{\"seed\":\"{SEED}\",\
         \"hash\":\"stale\",\"accounts\":[{{\"pk\":\"b\"}},{{\"pk\":\"c\"}}]}},\"next\":{{\"seed\":\
         \"{SEED}\",\"accounts\":[]}}}}}}"
    )
}

fn import(text: &str) -> Result<(ReplayerFacts, String), ImportError<Infallible>> {
    let mut keys = String::new();
    let facts = read(text.as_bytes(), |_, _, account| {
        keys.push_str(account.pk.unwrap().as_str());
        Ok(())
    })?;
    Ok((facts, keys))
}

#[test]
fn stale_members_are_discarded_with_a_note() {
    let (facts, keys) = import(&output()).unwrap();
    assert_eq!(keys, "abc");
    assert_eq!(facts.fork_state_hash.to_string(), HASH);
    assert_eq!(facts.epoch_ledgers_state_hash, Some(facts.fork_state_hash));
    assert_eq!(Role::ALL.map(|role| facts.ledger(role).accounts), [1, 2, 0]);
    assert!(
        Role::ALL
            .iter()
            .all(|role| facts.ledger(*role).claimed_root.is_none())
    );
    assert_eq!(facts.ledger.meta.name, None);
    assert_eq!(
        facts.warnings,
        [
            "the genesis ledger carries hash `stale`, name `release`, num_accounts 250 of the \
             replayer's input; discarded",
            "the staking ledger carries hash `stale` of the replayer's input; discarded",
        ]
    );
}

#[test]
fn other_documents_are_told_apart() {
    for (member, path) in [
        ("target_fork_state_hash", "target_fork_state_hash"),
        ("target_genesis_ledger", "target_genesis_ledger"),
        ("target_epoch_data", "target_epoch_data"),
    ] {
        let text = output().replace(&format!("\"{member}\""), "\"other\"");
        assert!(
            matches!(import(&text), Err(ImportError::Missing { path: found, .. }) if found == path)
        );
    }
    assert!(matches!(import("[]"), Err(ImportError::Json { .. })));
    assert!(matches!(
        import(&output().replacen("\"accounts\"", "\"x\"", 1)),
        Err(ImportError::LedgerObject { .. })
    ));
}
