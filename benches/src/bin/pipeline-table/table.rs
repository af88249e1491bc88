//! The results as Markdown.

use std::fmt::Write;
use std::time::Duration;

use fork_types::document::LedgerDocument;

use crate::workers::Run;

/// Stages of a migration as `ledger.json` names them.
const STAGES: [&str; 5] = ["read-hash-migrate", "tree", "store", "prove", "tarball"];

/// Time in which a fork has to be packed.
const BUDGET: Duration = Duration::from_secs(6 * 60 * 60);

/// The table of the runs that migrate one ledger.
pub(crate) fn runs(runs: &[Run], baseline_us_per_account: f64) -> String {
    let mut text = String::from(
        "| accounts | import of 3 ledgers | read-hash-migrate | tree | store | prove | tarball \
         | migrate in all | import + migrate | peak import | peak migrate | fork config \
         | account list | tarball size | µs/account migrate | µs/account hashing part \
         | baseline ÷ hashing part | load before → after |\n",
    );
    text.push_str(&"|---:".repeat(18));
    text.push_str("|\n");
    for run in runs {
        let Some(ledger) = run.ledgers.first() else {
            continue;
        };
        let accounts = f64::from(run.accounts);
        let hashing_us =
            (stage_ms(ledger, STAGES[0]) + stage_ms(ledger, STAGES[1])) as f64 * 1e3 / accounts;
        let _ = write!(
            text,
            "| {} | {} ",
            grouped(run.accounts),
            seconds(run.import)
        );
        for stage in STAGES {
            let time = Duration::from_millis(stage_ms(ledger, stage));
            let _ = write!(text, "| {} ", seconds(time));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.1} | {hashing_us:.1} | {:.1}× | {} → {} |",
            seconds(run.migrate),
            seconds(run.import + run.migrate),
            memory(run.import_memory_bytes),
            memory(ledger.peak_memory_bytes),
            megabytes(run.fork_config_bytes),
            megabytes(ledger.source.file.bytes),
            megabytes(ledger.tarball.file.bytes),
            run.migrate.as_secs_f64() * 1e6 / accounts,
            baseline_us_per_account / hashing_us,
            run.load[0],
            run.load[1],
        );
    }
    text
}

/// The line about all three ledgers at mainnet's size.
pub(crate) fn mainnet(run: &Run) -> String {
    let total = run.import + run.migrate;
    let peaks: Vec<String> = run
        .ledgers
        .iter()
        .map(|ledger| format!("{} {}", ledger.role, memory(ledger.peak_memory_bytes)))
        .collect();
    let tarballs: u64 = run
        .ledgers
        .iter()
        .map(|ledger| ledger.tarball.file.bytes)
        .sum();
    format!(
        "Mainnet's size, {} accounts × 3 ledgers (the epoch ledgers a little shorter): import {}, \
         three migrations in parallel {}, together **{}** = **{:.2} % of the 6-hour budget**. Peak \
         memory: import {}, {}. Fork config {}, tarballs {} together. Load {} → {}.\n",
        grouped(run.accounts),
        seconds(run.import),
        seconds(run.migrate),
        seconds(total),
        100.0 * total.as_secs_f64() / BUDGET.as_secs_f64(),
        memory(run.import_memory_bytes),
        peaks.join(", "),
        megabytes(run.fork_config_bytes),
        megabytes(tarballs),
        run.load[0],
        run.load[1],
    )
}

fn stage_ms(ledger: &LedgerDocument, stage: &str) -> u64 {
    ledger.stages_ms.get(stage).copied().unwrap_or(0)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Empty where it is not known.
fn memory(bytes: Option<u64>) -> String {
    bytes.map(megabytes).unwrap_or_default()
}

/// Digits in groups of three.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(277_307), "277 307");
        assert_eq!(grouped(1_000_000), "1 000 000");
    }
}
