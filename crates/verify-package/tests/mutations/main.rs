//! Every mutation of a good package, candidate, block or command line fails exactly the checks it must.
//!
//! The tables are `ROWS` and `SERIES` of the modules; a new mutation is a line in one of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod accounts;
mod archive;
mod block;
mod candidate;
mod case;
mod config;
mod explained;
mod forms;
mod package;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use case::{Case, Row, Series};
use rayon::prelude::*;
use support::{Made, has_dpkg};
use verify_package::{CHECKS, Outcome};

const ROWS: &[&[Row]] = &[
    candidate::ROWS,
    block::ROWS,
    config::ROWS,
    package::ROWS,
    store::ROWS,
    accounts::ROWS,
    forms::ROWS,
];
const SERIES: &[&[Series]] = &[candidate::SERIES, block::SERIES, accounts::SERIES];

/// Checks that no mutation fails, and why none can.
const NEVER_FAIL: &[(&str, &str)] = &[
    (
        "migration.genesis.audit",
        "it holds the rule, applied again here, to what its name says: only a mistake of ours fails it",
    ),
    (
        "config.chain-id",
        "it computes something to be shown and compares it with nothing",
    ),
];

/// A mutation on its way.
struct One {
    name: String,
    mutate: Box<dyn Fn(&mut Case<'_>) + Send + Sync>,
    failed: &'static [&'static str],
}

fn all() -> Vec<One> {
    let rows = ROWS.iter().flat_map(|table| table.iter()).map(|row| One {
        name: row.name.to_owned(),
        mutate: Box::new(row.mutate),
        failed: row.failed,
    });
    let series = SERIES.iter().flat_map(|table| table.iter());
    let more = series.flat_map(|series| {
        series.items.iter().map(|item| One {
            name: format!("{}: {item}", series.name),
            mutate: Box::new(|case| (series.mutate)(case, item)),
            failed: series.failed,
        })
    });
    rows.chain(more).collect()
}

/// Names for several checks that fail together.
fn spelled_out(failed: &'static [&'static str]) -> BTreeSet<&'static str> {
    failed
        .iter()
        .flat_map(|id| match *id {
            "+" => store::OTHER_ACCOUNTS,
            "+list" => candidate::OTHER,
            "+block" => block::OTHER,
            "+forged" => accounts::OTHER,
            _ => std::slice::from_ref(id),
        })
        .copied()
        .filter(|id| *id != "package.dpkg" || has_dpkg())
        .collect()
}

/// Runs a mutation; says what was not as expected.
fn outcome(made: &Made, one: &One) -> Option<String> {
    let mut case = Case::new(made);
    (one.mutate)(&mut case);
    let mut run = case.run();
    // Which mistake it is like is another test's matter.
    run.more.extend(["--explain", "never"].map(str::to_owned));
    let report = run.report();
    for check in &report.checks {
        if check.outcome == Outcome::Failed {
            assert!(
                check.expected.is_some() && check.found != check.expected,
                "{}: {check:?}",
                one.name
            );
        }
    }
    let failed: BTreeSet<&str> = report.ids(Outcome::Failed).into_iter().collect();
    let expected = spelled_out(one.failed);
    (failed != expected).then(|| {
        let extra: Vec<_> = failed.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&failed).collect();
        let mut text = format!(
            "{}\n  all {failed:?}\n  extra {extra:?}\n  missing {missing:?}",
            one.name
        );
        for check in report
            .checks
            .iter()
            .filter(|check| extra.contains(&&check.id.as_str()))
        {
            text.push_str(&format!("\n    {}: {:?}", check.id, check.found));
        }
        text
    })
}

#[test]
fn every_mutation_fails_its_checks_and_no_others() {
    let made = Made::once("verify-mutations");
    let all = all();
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "a name came twice");
    assert!(all.len() >= 300, "{}", all.len());
    let tried = |one: &One| {
        let tried = catch_unwind(AssertUnwindSafe(|| outcome(made, one)));
        tried.unwrap_or_else(|_| Some(format!("{}: panicked", one.name)))
    };
    let wrong: Vec<String> = all.par_iter().filter_map(tried).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} mutations\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_check_is_failed_by_some_mutation() {
    let failed: BTreeSet<&str> = all()
        .iter()
        .flat_map(|one| spelled_out(one.failed))
        .collect();
    for check in CHECKS.iter().flat_map(|table| table.iter()) {
        // What is said of one ledger's check holds for the same check of the others.
        let of_genesis = check
            .id
            .replace(".staking", ".genesis")
            .replace(".next", ".genesis");
        let reason = NEVER_FAIL.iter().find(|(id, _)| *id == of_genesis);
        let is_failed = failed.contains(check.id) || failed.contains(of_genesis.as_str());
        let is_dpkg = check.id == "package.dpkg" && !has_dpkg();
        // `tests/node.rs` and `tests/against.rs` have tables of their own.
        if check.id.starts_with("daemon.") || check.id.starts_with("against.") {
            continue;
        }
        assert!(
            is_dpkg || is_failed != reason.is_some(),
            "{}: failed by a mutation: {is_failed}, said never to fail: {}",
            check.id,
            reason.is_some()
        );
    }
}
