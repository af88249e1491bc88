//! The results as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use fork_bench::report::{Table, gibibytes, grouped, megabytes, seconds};
use fork_testkit::fixture::Mix;

use crate::rows::{Ledger, Row};
use crate::three::Three;
use crate::workers::{Peer, Settings};

/// Time in which a fork has to be packed.
const BUDGET: Duration = Duration::from_secs(6 * 60 * 60);

/// Accounts of the ledger that growth is measured against.
const GROWTH_BASE: u32 = 100_000;

/// What the peers' way is, and what it takes.
pub(crate) fn peers(peers: &[(Mix, Peer)]) -> String {
    let mut text = String::from(
        "The peers' way, measured in the same run before and after everything else (the faster of \
         the two counts), on one thread: a tree of JSON values, then account by account converted, \
         migrated and hashed with a plain ark-ff permutation, then node by node. It writes no store \
         and no tarball and computes no token ids, so the ratios below are in its favour. \
         Microseconds per account:\n\n",
    );
    let mut table = Table::new(&[
        "accounts",
        "JSON to accounts",
        "migrate",
        "source root",
        "migrated root",
        "migrated root only",
        "both roots",
    ]);
    for (mix, peer) in peers {
        table.row(&[
            format!("{} {}", grouped(peer.accounts), mix_name(*mix)),
            format!("{:.1}", peer.read_us),
            format!("{:.1}", peer.migrate_us),
            format!("{:.1}", peer.source_hashing_us),
            format!("{:.1}", peer.target_hashing_us),
            format!("{:.1}", peer.us(false)),
            format!("{:.1}", peer.us(true)),
        ]);
    }
    text.push_str(&table.into_text());
    text.push('\n');
    text
}

/// The tables of the single ledgers.
pub(crate) fn ledgers(ledgers: &[Ledger], peers: &[(Mix, Peer)]) -> String {
    let mut table = Table::new(&[
        "accounts",
        "kernel",
        "roots",
        "median",
        "fastest – slowest",
        "µs/account",
        "peak memory",
        "JSON",
        "tarball",
        "peers' way",
        "ratio",
    ]);
    for ledger in ledgers {
        for row in &ledger.rows {
            let mut cells = vec![
                format!("{} {}", grouped(ledger.accounts), mix_name(ledger.mix)),
                kernel(row.settings),
                roots(row.settings).to_owned(),
            ];
            cells.extend(measured(row, ledger.accounts));
            cells.extend(compared(row, ledger.accounts, peer(peers, ledger.mix)));
            table.row(&cells);
        }
    }
    let mut text = table.into_text();
    text.push_str("\nStages, seconds (medians):\n\n");
    text.push_str(&stages(ledgers));
    text.push_str(&growth(ledgers));
    text
}

/// The table of the three ledgers.
pub(crate) fn three(three: &Three, peers: &[(Mix, Peer)]) -> String {
    let mut text = format!(
        "\n## Three ledgers of one fork config\n\n\
         {} plain accounts in the genesis ledger, {} in all three; the epoch ledgers are a little \
         shorter and equal it at nine places of ten. Fork config {}; its import (which hashes all \
         three to check their roots) takes {}{}.\n\n",
        grouped(three.accounts),
        grouped(three.accounts_together),
        megabytes(three.fork_config_bytes),
        seconds(three.import),
        three
            .import_memory_bytes
            .map(|bytes| format!(" and {}", gibibytes(bytes)))
            .unwrap_or_default(),
    );
    let mut table = Table::new(&[
        "how",
        "roots",
        "median",
        "fastest – slowest",
        "µs/account",
        "peak memory",
        "JSON",
        "tarballs",
        "peers' way",
        "ratio",
    ]);
    for (how, row) in [
        ("one process", &three.together),
        ("one process", &three.together_migrated_only),
        ("three processes at once", &three.apart),
    ] {
        let mut cells = vec![how.to_owned(), roots(row.settings).to_owned()];
        cells.extend(measured(row, three.accounts_together));
        cells.extend(compared(
            row,
            three.accounts_together,
            peer(peers, Mix::Plain),
        ));
        table.row(&cells);
    }
    text.push_str(&table.into_text());
    text
}

/// What larger networks would take of the time there is.
pub(crate) fn extrapolation(three: &Three, ledgers: &[Ledger]) -> String {
    let factor = growth_beyond(three.accounts, ledgers).max(1.0);
    let base = three.import + three.together.time();
    let mut text = format!(
        "\n## Extrapolation to the 6-hour budget\n\n\
         Import and migration of three ledgers in one process, both roots, this machine. The first \
         line is measured; the others are that in proportion to the accounts, times {factor:.2}, by \
         which the time per account grows up to the largest ledger measured above.\n\n"
    );
    let mut table = Table::new(&[
        "network",
        "accounts × 3",
        "import + migration",
        "of the budget",
        "peak memory",
    ]);
    for scale in [1_u32, 4, 40] {
        let factor = if scale == 1 { 1.0 } else { factor };
        let time = base.mul_f64(f64::from(scale) * factor);
        let memory = three.together.memory_bytes();
        table.row(&[
            format!("{scale}× mainnet"),
            grouped(three.accounts.saturating_mul(scale)),
            seconds(time),
            format!("{:.2} %", 100.0 * time.as_secs_f64() / BUDGET.as_secs_f64()),
            memory
                .map(|bytes| gibibytes(bytes * u64::from(scale)))
                .unwrap_or_default(),
        ]);
    }
    text.push_str(&table.into_text());
    text
}

fn measured(row: &Row, accounts: u32) -> [String; 6] {
    let range = row
        .range()
        .map(|(fastest, slowest)| format!("{} – {}", seconds(fastest), seconds(slowest)));
    [
        seconds(row.time()),
        range.unwrap_or_default(),
        format!("{:.2}", us_per_account(row, accounts)),
        row.memory_bytes().map(gibibytes).unwrap_or_default(),
        row.median_of(|run| Some(run.json_bytes))
            .map(megabytes)
            .unwrap_or_default(),
        row.median_of(|run| Some(run.tarball_bytes))
            .map(megabytes)
            .unwrap_or_default(),
    ]
}

fn compared(row: &Row, accounts: u32, peer: Option<Peer>) -> [String; 2] {
    let Some(peer) = peer else {
        return [String::new(), String::new()];
    };
    let peer_seconds = peer.us(row.settings.source_root) * f64::from(accounts) / 1e6;
    [
        format!("{peer_seconds:.2} s"),
        format!("{:.1}×", peer_seconds / row.time().as_secs_f64()),
    ]
}

fn stages(ledgers: &[Ledger]) -> String {
    let names: BTreeSet<&str> = ledgers
        .iter()
        .flat_map(|ledger| &ledger.rows)
        .flat_map(|row| &row.runs)
        .flat_map(|run| run.stages_ms.keys().map(String::as_str))
        .collect();
    let mut titles = vec!["accounts", "kernel", "roots"];
    titles.extend(&names);
    let mut table = Table::new(&titles);
    for ledger in ledgers {
        for row in &ledger.rows {
            let mut cells = vec![
                format!("{} {}", grouped(ledger.accounts), mix_name(ledger.mix)),
                kernel(row.settings),
                roots(row.settings).to_owned(),
            ];
            cells.extend(names.iter().map(|name| {
                row.stage_ms(name)
                    .map(|ms| format!("{:.2}", Duration::from_millis(ms).as_secs_f64()))
                    .unwrap_or_default()
            }));
            table.row(&cells);
        }
    }
    table.into_text()
}

/// Time and memory per account of the largest plain ledger against a smaller one.
fn growth(ledgers: &[Ledger]) -> String {
    let plain = || ledgers.iter().filter(|ledger| ledger.mix == Mix::Plain);
    let base = plain().min_by_key(|ledger| ledger.accounts.abs_diff(GROWTH_BASE));
    let largest = plain().max_by_key(|ledger| ledger.accounts);
    let (Some(base), Some(largest)) = (base, largest) else {
        return String::new();
    };
    let mut text = String::new();
    for row in &largest.rows {
        let other = base
            .rows
            .iter()
            .find(|other| other.settings == row.settings);
        let Some(other) = other.filter(|_| largest.accounts > base.accounts) else {
            continue;
        };
        let time = us_per_account(row, largest.accounts) / us_per_account(other, base.accounts);
        let memory = row
            .memory_bytes()
            .zip(other.memory_bytes())
            .map(|(more, less)| {
                let accounts = f64::from(largest.accounts - base.accounts);
                let bytes = more.saturating_sub(less) as f64 / accounts;
                format!("; {bytes:.0} bytes of memory for each account more")
            });
        let _ = writeln!(
            text,
            "\nFrom {} to {} accounts ({}, {}): {:+.1} % time per account{}.",
            grouped(base.accounts),
            grouped(largest.accounts),
            kernel(row.settings),
            roots(row.settings),
            100.0 * (time - 1.0),
            memory.unwrap_or_default(),
        );
    }
    text
}

/// Time per account, both roots, of the largest plain ledger over that of the one nearest to
/// `accounts`.
fn growth_beyond(accounts: u32, ledgers: &[Ledger]) -> f64 {
    let us = |ledger: &Ledger| {
        let wanted = Settings {
            source_root: true,
            kernel: None,
        };
        let row = ledger.rows.iter().find(|row| row.settings == wanted)?;
        Some(us_per_account(row, ledger.accounts))
    };
    let plain = || ledgers.iter().filter(|ledger| ledger.mix == Mix::Plain);
    let near = plain().min_by_key(|ledger| ledger.accounts.abs_diff(accounts));
    let largest = plain().max_by_key(|ledger| ledger.accounts);
    match (near.and_then(us), largest.and_then(us)) {
        (Some(near), Some(largest)) if near > 0.0 => largest / near,
        _ => 1.0,
    }
}

fn us_per_account(row: &Row, accounts: u32) -> f64 {
    row.time().as_secs_f64() * 1e6 / f64::from(accounts)
}

fn peer(peers: &[(Mix, Peer)], mix: Mix) -> Option<Peer> {
    peers
        .iter()
        .find(|(of, _)| *of == mix)
        .map(|(_, peer)| *peer)
}

/// A kind of accounts in the tables.
pub(crate) const fn mix_name(mix: Mix) -> &'static str {
    match mix {
        Mix::Plain => "plain",
        Mix::Mixed => "of every kind",
        Mix::Realistic => "mixed",
    }
}

fn kernel(settings: Settings) -> String {
    settings
        .kernel
        .unwrap_or_else(|| pasta_poseidon::Kernel::active().name())
        .to_owned()
}

const fn roots(settings: Settings) -> &'static str {
    if settings.source_root {
        "both"
    } else {
        "migrated"
    }
}
