//! The three ledgers of one fork config.

use std::path::Path;
use std::time::Duration;

use fork_bench::report::{grouped, median, seconds};
use fork_bench::run::{Failure, WorkDir, say};
use fork_testkit::fixture::{Files, FixtureSpec, Mix, write_fixture};
use fork_types::Role;

use crate::rows::{Plan, Row, check_roots};
use crate::workers::{Settings, Source, Workers};

/// Three ledgers, migrated in several ways.
pub(crate) struct Three {
    /// Accounts of the largest, the genesis ledger.
    pub(crate) accounts: u32,
    /// Accounts of all three.
    pub(crate) accounts_together: u32,
    /// Size of the fork config.
    pub(crate) fork_config_bytes: u64,
    /// Median time of the import.
    pub(crate) import: Duration,
    /// Peak memory of the import.
    pub(crate) import_memory_bytes: Option<u64>,
    /// All in one process, with all roots: what the extrapolation is based on.
    pub(crate) together: Row,
    /// All in one process, migrated roots only.
    pub(crate) together_migrated_only: Row,
    /// Three processes at once, with all roots.
    pub(crate) apart: Row,
}

/// Makes up a fork whose epoch ledgers equal the genesis ledger at nine places of ten, imports it
/// and migrates its ledgers.
pub(crate) fn measure(
    workers: &Workers,
    work: &WorkDir,
    plan: &Plan,
    accounts: u32,
) -> Result<Three, Failure> {
    let directory = work.path().join("three");
    let fixture = directory.join("fixture");
    fork_fs::create_dir_all(&directory)?;
    say(&format!("three ledgers of {} accounts", grouped(accounts)));
    let spec = FixtureSpec {
        accounts,
        mix: Mix::Plain,
        few_changes: true,
        files: Files::ForkConfig,
        ..FixtureSpec::default()
    };
    let model = write_fixture(&spec, &fixture, true)?;
    let candidate = directory.join("candidate");
    let mut imports = Vec::new();
    let mut import_memory_bytes = None;
    for _ in 0..plan.runs(accounts) {
        fork_fs::remove_dir_all(&candidate)?;
        let (time, memory) = workers.import(&fixture, &candidate)?;
        say(&format!("  import: {}", seconds(time)));
        imports.push(time);
        import_memory_bytes = import_memory_bytes.max(memory);
    }
    let [together, together_migrated_only, apart] =
        migrations(workers, plan, accounts, &directory, &candidate)?;
    let fork_config_bytes = fork_fs::file_bytes(&fixture.join("fork_config.json"))?;
    work.discard(&directory)?;
    Ok(Three {
        accounts,
        accounts_together: model.ledgers.genesis.accounts
            + model.ledgers.staking.accounts
            + model.ledgers.next.accounts,
        fork_config_bytes,
        import: median(&imports).unwrap_or_default(),
        import_memory_bytes,
        together,
        together_migrated_only,
        apart,
    })
}

fn migrations(
    workers: &Workers,
    plan: &Plan,
    accounts: u32,
    directory: &Path,
    candidate: &Path,
) -> Result<[Row; 3], Failure> {
    let roles = [Role::Genesis, Role::Staking, Role::Next];
    let all = Source::Candidate(candidate, &roles);
    let output = directory.join("output");
    let settings = |source_root| Settings {
        source_root,
        kernel: None,
    };
    let mut rows = [true, false, true].map(|source_root| Row::new(settings(source_root)));
    for _ in 0..plan.runs(accounts) {
        let [together, migrated_only, apart] = &mut rows;
        for row in [together, migrated_only] {
            let run = workers.migrate(all, row.settings, &output)?;
            say(&format!(
                "  one process, {:?}: {}",
                row.settings,
                seconds(run.time)
            ));
            row.runs.push(run);
        }
        let run = workers.migrate_apart(candidate, &roles, apart.settings, &output)?;
        say(&format!("  three processes: {}", seconds(run.time)));
        apart.runs.push(run);
    }
    check_roots(&rows)?;
    Ok(rows)
}
