//! Single ledgers.

use std::time::{Duration, Instant};

use fork_bench::report::{grouped, median, seconds};
use fork_bench::run::{Failure, WorkDir, say};
use fork_testkit::fixture::{FixtureSpec, Mix, write_account_list};
use fork_types::Role;

use crate::candidate;
use crate::workers::{Migration, Settings, Source, Workers};

/// From here on a run takes so long that there are fewer.
const LARGE_ACCOUNTS: u32 = 1_000_001;

/// What is run how often.
pub(crate) struct Plan {
    /// Largest ledger for the portable kernel.
    pub(crate) portable_accounts_max: u32,
    /// Repetitions.
    pub(crate) runs: u32,
    /// Repetitions for large ledgers.
    pub(crate) large_runs: u32,
}

/// One ledger, migrated in several ways.
pub(crate) struct Ledger {
    pub(crate) mix: Mix,
    pub(crate) accounts: u32,
    pub(crate) rows: Vec<Row>,
}

/// One way, repeated.
pub(crate) struct Row {
    pub(crate) settings: Settings,
    pub(crate) runs: Vec<Migration>,
}

impl Row {
    pub(crate) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            runs: Vec::new(),
        }
    }

    /// The median time.
    pub(crate) fn time(&self) -> Duration {
        self.median_of(|run| Some(run.time)).unwrap_or_default()
    }

    /// The fastest and the slowest.
    pub(crate) fn range(&self) -> Option<(Duration, Duration)> {
        let times = || self.runs.iter().map(|run| run.time);
        Some((times().min()?, times().max()?))
    }

    /// The largest peak, because a limit has to hold every time.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.memory_bytes).max()
    }

    /// Median milliseconds of a stage.
    pub(crate) fn stage_ms(&self, stage: &str) -> Option<u64> {
        self.median_of(|run| run.stages_ms.get(stage).copied())
    }

    pub(crate) fn median_of<T: Copy + PartialOrd>(
        &self,
        part: impl Fn(&Migration) -> Option<T>,
    ) -> Option<T> {
        let values: Vec<T> = self.runs.iter().filter_map(part).collect();
        median(&values)
    }
}

impl Plan {
    pub(crate) const fn runs(&self, accounts: u32) -> u32 {
        if accounts < LARGE_ACCOUNTS {
            self.runs
        } else {
            self.large_runs
        }
    }

    /// With the kernel in use first; for each, both roots, which makes the candidate for the migrated
    /// root only.
    pub(crate) fn rows(&self, accounts: u32) -> Vec<Row> {
        let portable = (accounts <= self.portable_accounts_max).then_some(Some("portable"));
        [None]
            .into_iter()
            .chain(portable)
            .flat_map(|kernel| {
                [true, false].map(|source_root| {
                    Row::new(Settings {
                        source_root,
                        kernel,
                    })
                })
            })
            .collect()
    }
}

/// Writes a ledger's account list once and migrates it in every way of the plan, in turns.
pub(crate) fn measure(
    workers: &Workers,
    work: &WorkDir,
    plan: &Plan,
    mix: Mix,
    accounts: u32,
) -> Result<Ledger, Failure> {
    let directory = work.path().join(format!("{mix:?}-{accounts}"));
    fork_fs::create_dir_all(&directory)?;
    let list = directory.join("accounts.json");
    let spec = FixtureSpec {
        accounts,
        mix,
        ..FixtureSpec::default()
    };
    let started = Instant::now();
    write_account_list(&spec, Role::Genesis, &list)?;
    say(&format!(
        "{} accounts, {mix:?}: made up in {}",
        grouped(accounts),
        seconds(started.elapsed())
    ));
    let mut rows = plan.rows(accounts);
    let output = work.path().join("output");
    let mut imported = false;
    for _ in 0..plan.runs(accounts) {
        for row in &mut rows {
            let source = if row.settings.source_root {
                Source::List(&list)
            } else {
                Source::Candidate(&directory, &[Role::Genesis])
            };
            let run = workers.migrate(source, row.settings, &output)?;
            if let Some(source) = run.source.as_ref().filter(|_| !imported) {
                candidate::write(&directory, source)?;
                imported = true;
            }
            say(&format!("  {:?}: {}", row.settings, seconds(run.time)));
            row.runs.push(run);
        }
    }
    check_roots(&rows)?;
    work.discard(&directory)?;
    Ok(Ledger {
        mix,
        accounts,
        rows,
    })
}

/// A time counts only for the right result, and all of them compute the same one.
pub(crate) fn check_roots(rows: &[Row]) -> Result<(), Failure> {
    let mut roots = rows.iter().flat_map(|row| &row.runs).map(|run| &run.roots);
    let Some(first) = roots.next() else {
        return Ok(());
    };
    if roots.all(|other| other == first) {
        Ok(())
    } else {
        Err("two migrations of one ledger have different roots".into())
    }
}
