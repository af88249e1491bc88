//! Writes a made-up fork for tests and benches.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fork_testkit::fixture::{Files, FixtureSpec, ForkSlotStyle, MODEL_FILE, Mix, write_fixture};
use fork_types::{Era, Fault};

/// Make up a fork from a seed: ledgers, block, configs, and a model of what is in them
///
/// Writes a fork config, the fork block, the three exports, a replayer output, the old chain's
/// config, a network file and `fixture.json`, which says what a correct tool must find. The same
/// options give the same bytes on every machine. A run that is interrupted leaves nothing.
#[derive(Debug, Parser)]
#[command(name = "generate-fixture", version)]
struct GenerateFixture {
    /// Directory to write into; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Accounts of the genesis ledger, at least 10; the epoch ledgers have a few less
    #[arg(long, value_name = "N", default_value_t = FixtureSpec::default().accounts)]
    accounts: u32,

    /// Seed of everything that is random
    #[arg(long, value_name = "S", default_value_t = FixtureSpec::default().seed)]
    seed: u64,

    /// Era of the accounts: berkeley, or mesa for a fork from Mesa to Mesa
    #[arg(long, value_name = "ERA", default_value_t = FixtureSpec::default().era)]
    era: Era,

    /// Kinds of accounts
    #[arg(long, value_enum, default_value_t = FixtureSpec::default().mix)]
    mix: Mix,

    /// Make the staking and the next epoch ledger the same
    #[arg(long)]
    share_epoch_ledgers: bool,

    /// Make each epoch ledger differ from the genesis ledger at one place of ten only
    #[arg(long)]
    few_changes: bool,

    /// Put bytes that are no UTF-8 into some strings, as daemons print them
    #[arg(long)]
    raw_bytes: bool,

    /// Meaning of the fork slot in the fork config
    #[arg(long, value_enum, default_value_t = FixtureSpec::default().fork_slot_style)]
    fork_slot_style: ForkSlotStyle,

    /// Compress the fork config
    #[arg(long)]
    gzip: bool,

    /// Files to write; the exports and the replayer output triple the size
    #[arg(long, value_enum, default_value_t = FixtureSpec::default().files)]
    files: Files,

    /// Replace an existing output directory
    #[arg(long)]
    force: bool,
}

impl GenerateFixture {
    fn spec(&self) -> FixtureSpec {
        FixtureSpec {
            accounts: self.accounts,
            seed: self.seed,
            era: self.era,
            mix: self.mix,
            share_epoch_ledgers: self.share_epoch_ledgers,
            few_changes: self.few_changes,
            raw_bytes: self.raw_bytes,
            fork_slot_style: self.fork_slot_style,
            gzip: self.gzip,
            files: self.files,
        }
    }
}

fn main() -> ExitCode {
    let arguments = GenerateFixture::parse();
    match write_fixture(&arguments.spec(), &arguments.output, arguments.force) {
        Ok(_) => {
            let model = arguments.output.join(MODEL_FILE);
            // A closed pipe does not make the fixture any worse.
            let _ = writeln!(std::io::stdout(), "{}", model.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut message = format!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(source) = cause {
                message.push_str(&format!(": {source}"));
                cause = source.source();
            }
            if let Some(hint) = error.hint() {
                message.push_str(&format!("\n\nhint: {hint}"));
            }
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(error.class().exit_code())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        GenerateFixture::command().debug_assert();
        let parsed = GenerateFixture::try_parse_from(["generate-fixture", "-o", "x"]).unwrap();
        assert_eq!(parsed.spec(), FixtureSpec::default());
        assert!(GenerateFixture::try_parse_from(["generate-fixture"]).is_err());
    }
}
