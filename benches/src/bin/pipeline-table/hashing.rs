//! Hashing alone: accounts in memory to a root.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fork_bench::report::{Table, grouped, median, seconds};
use fork_bench::run::{Failure, say};
use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::MerkleTree;
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::{Era, Role};
use pasta_poseidon::Kernel;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::table::mix_name;

/// Accounts made and hashed at a time: about 30 MB.
const CHUNK_ACCOUNTS: usize = 1 << 16;

/// What it took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hashing {
    leaves_ms: f64,
    tree_ms: f64,
}

/// Hashes a made-up ledger with the kernel of this process; gives the times as JSON.
pub(crate) fn in_this_process(mix: Mix, accounts: u32) -> Result<String, Failure> {
    let made = Accounts::new(&FixtureSpec {
        accounts,
        mix,
        ..FixtureSpec::default()
    })?;
    // The comparison of kernels at first use is not part of it.
    let _ = Kernel::active();
    let keys = VkHashCache::new();
    let mut leaves = Vec::new();
    let mut hashing = Duration::ZERO;
    for start in (0..accounts).step_by(CHUNK_ACCOUNTS) {
        let end = accounts.min(start.saturating_add(CHUNK_ACCOUNTS as u32));
        let chunk: Vec<Account> = (start..end)
            .into_par_iter()
            .map(|index| made.account(Role::Genesis, index))
            .collect();
        let started = Instant::now();
        leaves.extend(hash_accounts(Era::Berkeley, &chunk, &keys)?);
        hashing += started.elapsed();
    }
    let started = Instant::now();
    let tree = MerkleTree::new(Era::Berkeley, Era::Berkeley.depth(), leaves)?;
    std::hint::black_box(tree.root());
    let hashing = Hashing {
        leaves_ms: hashing.as_secs_f64() * 1e3,
        tree_ms: started.elapsed().as_secs_f64() * 1e3,
    };
    Ok(serde_json::to_string(&hashing)?)
}

/// The table for ledgers of these sizes, with every kernel of this machine.
pub(crate) fn table(ledgers: &[(Mix, u32)], runs: u32) -> Result<String, Failure> {
    let mut table = Table::new(&[
        "accounts",
        "kernel",
        "leaves",
        "tree",
        "together",
        "µs/account",
    ]);
    for (mix, accounts) in ledgers {
        for kernel in Kernel::available() {
            say(&format!(
                "hashing {} accounts, {mix:?}, {}",
                grouped(*accounts),
                kernel.name()
            ));
            let times = (0..runs)
                .map(|_| in_child(*mix, *accounts, kernel))
                .collect::<Result<Vec<_>, _>>()?;
            let middle = |part: fn(&Hashing) -> f64| {
                let values: Vec<f64> = times.iter().map(part).collect();
                median(&values).unwrap_or_default()
            };
            let together = middle(|hashing| hashing.leaves_ms + hashing.tree_ms);
            let time = |ms: f64| seconds(Duration::from_secs_f64(ms / 1e3));
            table.row(&[
                format!("{} {}", grouped(*accounts), mix_name(*mix)),
                kernel.name().to_owned(),
                time(middle(|hashing| hashing.leaves_ms)),
                time(middle(|hashing| hashing.tree_ms)),
                time(together),
                format!("{:.2}", together * 1e3 / f64::from(*accounts)),
            ]);
        }
    }
    Ok(format!(
        "## Hashing to a root\n\n\
         Accounts in memory to leaves to the root at depth 35, berkeley, all cores; medians of \
         {runs} runs.\n\n{}\n",
        table.into_text()
    ))
}

/// A kernel is chosen once per process, so each measurement has one of its own.
fn in_child(mix: Mix, accounts: u32, kernel: Kernel) -> Result<Hashing, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--hash", &accounts.to_string()])
        .args(["--hash-mix", crate::workers::mix_argument(mix)])
        .env("FORKPACK_KERNEL", kernel.name())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("hashing ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
