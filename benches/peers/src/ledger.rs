//! A whole ledger as other tools do it, on one thread.
//!
//! The list is parsed into one tree of JSON values; then each account is converted, migrated and
//! hashed by itself; then the tree of hashes is computed node by node. No store and no tarball.

use std::error::Error;
use std::time::{Duration, Instant};

use fork_ledger::account::Account;
use fork_ledger::json::{AccountJson, ForkRules, VerificationKeyCache, from_fork_config};
use fork_ledger::merkle::EmptyHashes;
use fork_ledger::migrate::Rule;
use fork_types::Era;
use pasta_poseidon::Fp;
use serde::Deserialize;

use crate::account::Hasher;
use crate::poseidon::{Element, from_library, hash, prefix_state, to_library};

/// What it took, and the root it found.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// JSON to accounts.
    pub read: Duration,
    /// Migration of all accounts.
    pub migrate: Duration,
    /// Leaves and tree under the source era's rules.
    pub source_hashing: Duration,
    /// Leaves and tree under the target era's rules.
    pub target_hashing: Duration,
    /// Root before migration.
    pub source_root: Fp,
    /// Root after migration.
    pub target_root: Fp,
}

/// Reads, migrates and hashes the account list `text`.
///
/// # Errors
///
/// Fails on accounts the tools would refuse as well.
pub fn measure(text: &[u8], rule: Rule) -> Result<Measured, Box<dyn Error>> {
    let keys = VerificationKeyCache::new();
    let rules = ForkRules::strict(rule.source());
    let started = Instant::now();
    let values: Vec<serde_json::Value> = serde_json::from_slice(text)?;
    let accounts = values
        .iter()
        .map(|value| {
            Ok(from_fork_config(
                &AccountJson::deserialize(value)?,
                &rules,
                &keys,
            )?)
        })
        .collect::<Result<Vec<Account>, Box<dyn Error>>>()?;
    drop(values);
    let read = started.elapsed();

    let mut hasher = Hasher::new();
    let (source_hashing, source_root) = root(rule.source(), &accounts, &mut hasher)?;
    let started = Instant::now();
    let migrated = accounts
        .iter()
        .map(|account| Ok(rule.migrate(account)?.0))
        .collect::<Result<Vec<Account>, Box<dyn Error>>>()?;
    let migrate = started.elapsed();
    let (target_hashing, target_root) = root(rule.target(), &migrated, &mut hasher)?;
    Ok(Measured {
        read,
        migrate,
        source_hashing,
        target_hashing,
        source_root,
        target_root,
    })
}

fn root(
    era: Era,
    accounts: &[Account],
    hasher: &mut Hasher,
) -> Result<(Duration, Fp), Box<dyn Error>> {
    let depth = u16::from(era.depth());
    let empty = EmptyHashes::new(era, depth);
    let started = Instant::now();
    let mut nodes: Vec<Element> = accounts
        .iter()
        .map(|account| hasher.hash(era, account))
        .collect();
    for height in 0..depth {
        let state = prefix_state(&format!("MinaMklTree{height:03}"));
        let missing = from_library(empty.get(height).unwrap_or(Fp::ZERO));
        nodes = nodes
            .chunks(2)
            .map(|pair| hash(&state, &[pair[0], pair.get(1).copied().unwrap_or(missing)]))
            .collect();
    }
    let elapsed = started.elapsed();
    let root = nodes.first().copied().and_then(to_library);
    Ok((
        elapsed,
        root.ok_or("a ledger without accounts has no root")?,
    ))
}
