//! Measures the Poseidon kernels beside a plain arkworks implementation, and prints Markdown.
//!
//! All contestants take turns in one process, each for a millisecond or a few at a time, hundreds of
//! times. What else the machine does then hits all of them alike, and the minimum is undisturbed.

mod contest;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use fork_bench_peers::{machine, poseidon};
use pasta_poseidon::Kernel;

use crate::contest::{Contestant, Outcome};

/// `vpmadd52` instructions per round of the IFMA kernel, for all its lanes.
const MADDS_PER_ROUND: f64 = 1230.0;

/// Rounds of a permutation.
const ROUNDS: f64 = 55.0;

/// Lanes of the IFMA kernel.
const LANES: f64 = 8.0;

/// Inputs on which all implementations must agree before anything is measured.
const INPUTS_COMPARED: u64 = 1003;

/// Measure the Poseidon kernels and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "kernel-table", version)]
struct Args {
    /// Turns of each contestant
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let kernels: Vec<Kernel> = Kernel::available().collect();
    if !poseidon::equals_library(&kernels, INPUTS_COMPARED) {
        return Err("a kernel and the plain implementation give different hashes".into());
    }
    let load = machine::load();
    let mut contestants = contest::contestants(&kernels);
    // Before and after, because the clock of a processor may change; the better one counts.
    let rate_before = pasta_poseidon::bench::madd_rate();
    let outcomes = contest::run(&mut contestants, args.turns);
    let rate_after = pasta_poseidon::bench::madd_rate();
    let rate = rate_before.into_iter().chain(rate_after).reduce(f64::max);

    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name()).collect();
    let mut text = format!(
        "## Machine\n\n{}. Kernels it can run: {}; in use: `{}`. Load average before: {load}, after: {}.\n\n\
         ## Kernels\n\n\
         One thread. {} turns of each, taken one after the other over and over; nanoseconds per \
         permutation.\n\n",
        machine::description(),
        names.join(", "),
        Kernel::active().name(),
        machine::load(),
        args.turns,
    );
    text.push_str(&table(&contestants, &outcomes));
    text.push_str(&limit(rate, &contestants, &outcomes));
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The outcomes, compared with the first contestant.
fn table(contestants: &[Contestant], outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| what | median, ns | minimum, ns | ratio to plain ark-ff (medians) | (minima) |\n\
         |---|---:|---:|---:|---:|\n",
    );
    let Some(first) = outcomes.first() else {
        return text;
    };
    for (contestant, outcome) in contestants.iter().zip(outcomes) {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.2}× | {:.2}× |",
            contestant.name,
            outcome.median_ns,
            outcome.minimum_ns,
            first.median_ns / outcome.median_ns,
            first.minimum_ns / outcome.minimum_ns,
        );
    }
    text
}

/// How far the IFMA kernel is from what its multiplications alone would take.
fn limit(rate: Option<f64>, contestants: &[Contestant], outcomes: &[Outcome]) -> String {
    let best = contestants
        .iter()
        .zip(outcomes)
        .filter(|(contestant, _)| contestant.kernel == Some(Kernel::Ifma))
        .min_by(|(_, one), (_, two)| one.median_ns.total_cmp(&two.median_ns));
    let (Some(rate), Some((contestant, outcome))) = (rate, best) else {
        return "\nThis processor has no AVX-512 IFMA, so there is no arithmetic limit to compare \
                with.\n"
            .to_owned();
    };
    let bound_ns = MADDS_PER_ROUND * ROUNDS / LANES / rate;
    format!(
        "\nArithmetic limit of the IFMA kernel: {MADDS_PER_ROUND} `vpmadd52` per round × {ROUNDS} \
         rounds ÷ {LANES} lanes ÷ {rate:.2} per ns (measured in the same run) = **{bound_ns:.0} ns**. \
         The best row ({}) takes {:.2}× that by its median, {:.2}× by its minimum: it keeps the \
         multipliers busy {:.0} % of the time.\n",
        contestant.name,
        outcome.median_ns / bound_ns,
        outcome.minimum_ns / bound_ns,
        100.0 * bound_ns / outcome.median_ns,
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
    }
}
