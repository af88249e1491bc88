//! The same work done the straightforward way, to have something to compare with.

use std::error::Error;
use std::time::{Duration, Instant};

use fork_ledger::account::Account;
use fork_ledger::hash::hash_account;
use fork_ledger::json::{
    AccountJson, ForkRules, VerificationKeyCache, from_fork_config, write_account_json,
};
use fork_ledger::merkle::{EmptyHashes, node_hash};
use fork_ledger::migrate::Rule;
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::{Era, Role, SlotSinceGenesis};
use pasta_poseidon::Fp;
use serde::Deserialize;

/// Accounts it is measured on; the time per account hardly depends on their number.
pub(crate) const ACCOUNTS: u32 = 10_000;

/// Parses a whole list into `serde_json::Value`, then converts, hashes, migrates and hashes again
/// one account at a time, then both trees node by node; one thread, no store.
pub(crate) fn measure(mix: Mix, fork_slot: SlotSinceGenesis) -> Result<Duration, Box<dyn Error>> {
    let spec = FixtureSpec {
        accounts: ACCOUNTS,
        mix,
        ..FixtureSpec::default()
    };
    let text = list(&Accounts::new(&spec)?);
    let rule = Rule::from_pair(Era::Berkeley, Era::Mesa, None, Some(fork_slot))?;
    let rules = ForkRules::strict(Era::Berkeley);

    let started = Instant::now();
    let values: Vec<serde_json::Value> = serde_json::from_slice(&text)?;
    let (keys, hashes) = (VerificationKeyCache::new(), VkHashCache::new());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for value in &values {
        let json = AccountJson::deserialize(value)?;
        let account: Account = from_fork_config(&json, &rules, &keys)?;
        before.push(hash_account(Era::Berkeley, &account, &hashes)?);
        let (account, _) = rule.migrate(&account)?;
        after.push(hash_account(Era::Mesa, &account, &hashes)?);
    }
    for (era, leaves) in [(Era::Berkeley, before), (Era::Mesa, after)] {
        std::hint::black_box(root(era, leaves));
    }
    Ok(started.elapsed())
}

fn list(accounts: &Accounts) -> Vec<u8> {
    let mut text = Vec::new();
    for index in 0..accounts.len(Role::Genesis) {
        text.push(if index == 0 { b'[' } else { b',' });
        write_account_json(&accounts.account(Role::Genesis, index), &mut text);
    }
    text.push(b']');
    text
}

fn root(era: Era, leaves: Vec<Fp>) -> Option<Fp> {
    let depth = u16::from(era.depth());
    let empty = EmptyHashes::new(era, depth);
    let mut nodes = leaves;
    for height in 0..depth {
        let missing = empty.get(height)?;
        nodes = nodes
            .chunks(2)
            .map(|pair| {
                let right = pair.get(1).copied().unwrap_or(missing);
                node_hash(era, height, pair[0], right)
            })
            .collect();
    }
    nodes.first().copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fork_ledger::merkle::MerkleTree;

    use super::*;

    #[test]
    fn the_root_is_the_library_s() {
        let leaves: Vec<Fp> = (0..11).map(Fp::from_u64).collect();
        let tree = MerkleTree::new(Era::Berkeley, Era::Berkeley.depth(), leaves.clone()).unwrap();
        assert_eq!(root(Era::Berkeley, leaves), Some(tree.root()));
    }
}
