//! Measures the forms a dumped ledger can have: size, time and fidelity, as a Markdown table.
//!
//! The question is open upstream: which form should account lists be handed over in?

mod form;

use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::report::{Table, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure};
use fork_ledger::account::Account;
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::Role;

use crate::form::{Form, forms};

/// Accounts of the ledger with every kind of account, which is for fidelity only.
const ODD_ACCOUNTS: u32 = 10_000;

/// Measure the forms of a dumped ledger, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "dump-formats", version)]
struct Args {
    /// Size of the ledgers
    #[arg(long, value_name = "N", value_parser = run::accounts, default_value = "100k")]
    accounts: u32,

    /// Repetitions, of which the table shows the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

fn main() -> ExitCode {
    run::finish(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut text = String::from(
        "## Forms of a dumped ledger\n\n\
         The same ledger in every form, in memory, on one thread; medians. Writing is from accounts \
         to bytes, reading from bytes to accounts, compression included. bin_prot is what the store \
         holds, account after account, each after its length. Fidelity: the accounts read are equal \
         in every field, and writing them again gives the same bytes.\n\n",
    );
    let mut table = Table::new(&[
        "ledger",
        "form",
        "size",
        "bytes/account",
        "of plain JSON",
        "write",
        "read",
        "fidelity",
    ]);
    for (mix, name) in [(Mix::Plain, "plain"), (Mix::Realistic, "mixed")] {
        let accounts = ledger(args.accounts, mix, false)?;
        let mut json_bytes = None;
        for form in forms() {
            run::say(&format!("{name}: {}", form.name));
            let outcome = single.install(|| contest(&form, &accounts, args.runs))?;
            let json_bytes = *json_bytes.get_or_insert(outcome.bytes);
            table.row(&[
                format!("{} {name}", grouped(args.accounts)),
                form.name.clone(),
                megabytes(outcome.bytes),
                format!("{:.0}", outcome.bytes as f64 / f64::from(args.accounts)),
                format!("{:.1} %", 100.0 * outcome.bytes as f64 / json_bytes as f64),
                seconds(outcome.write),
                seconds(outcome.read),
                outcome.fidelity.to_owned(),
            ]);
        }
    }
    text.push_str(&table.into_text());
    text.push_str(&odd(&single)?);
    Ok(text)
}

/// What became of a ledger in one form.
struct Outcome {
    bytes: u64,
    write: Duration,
    read: Duration,
    fidelity: &'static str,
}

fn contest(form: &Form, accounts: &[Account], runs: u32) -> Result<Outcome, Failure> {
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    let mut written = Vec::new();
    let mut faithful = true;
    for _ in 0..runs {
        let started = Instant::now();
        written = form.write(accounts)?;
        writes.push(started.elapsed());
        let started = Instant::now();
        let read = form.read(&written)?;
        reads.push(started.elapsed());
        faithful &= read == accounts;
    }
    faithful &= form.write(&form.read(&written)?)? == written;
    Ok(Outcome {
        bytes: written.len() as u64,
        write: median(&writes).unwrap_or_default(),
        read: median(&reads).unwrap_or_default(),
        fidelity: if faithful { "exact" } else { "LOSSY" },
    })
}

/// Fidelity on every kind of account, with strings that are no UTF-8, which ledgers may have.
fn odd(single: &rayon::ThreadPool) -> Result<String, Failure> {
    let accounts = ledger(ODD_ACCOUNTS, Mix::Mixed, true)?;
    let mut text = format!(
        "\nOn {} accounts of every kind, with token symbols and URIs that are no UTF-8 (the protocol \
         allows any bytes):",
        grouped(ODD_ACCOUNTS)
    );
    for form in forms() {
        let outcome = single.install(|| contest(&form, &accounts, 1))?;
        let _ = write!(text, " {} {};", form.name, outcome.fidelity);
    }
    let json = form::json(&accounts);
    let readable = serde_json::from_slice::<serde_json::Value>(&json).is_ok();
    text.push_str(if readable {
        " other JSON readers take the JSON forms as well.\n"
    } else {
        " but other JSON readers, which insist on UTF-8, refuse the JSON forms.\n"
    });
    Ok(text)
}

fn ledger(accounts: u32, mix: Mix, raw_bytes: bool) -> Result<Vec<Account>, Failure> {
    let made = Accounts::new(&FixtureSpec {
        accounts,
        mix,
        raw_bytes,
        ..FixtureSpec::default()
    })?;
    Ok((0..accounts)
        .map(|index| made.account(Role::Genesis, index))
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_form_is_exact() {
        let accounts = ledger(200, Mix::Mixed, true).unwrap();
        for form in forms() {
            let outcome = contest(&form, &accounts, 1).unwrap();
            assert_eq!(outcome.fidelity, "exact", "{}", form.name);
        }
    }
}
