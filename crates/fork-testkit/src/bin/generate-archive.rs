//! Writes a made-up archive database for rehearsals.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use fork_fs::StagedDir;
use fork_testkit::archive::{ChainSpec, chain};
use fork_testkit::fixture::FixtureError;
use fork_types::{Era, Fault};

/// Make up the database of an archive node from a seed: blocks that follow from their transactions
///
/// Writes `archive.sql` for an empty database, the description of the network, and every precomputed
/// block. The same options give the same bytes on every machine.
#[derive(Debug, Parser)]
#[command(name = "generate-archive", version)]
struct GenerateArchive {
    /// Directory to write into; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Accounts of the genesis ledger, at least 30
    #[arg(long, value_name = "N", default_value_t = ChainSpec::default().accounts, value_parser = clap::value_parser!(u32).range(30..))]
    accounts: u32,

    /// Height of the highest block
    #[arg(long, value_name = "N", default_value_t = ChainSpec::default().height, value_parser = clap::value_parser!(u32).range(1..10_000))]
    height: u32,

    /// Seed of everything that is random
    #[arg(long, value_name = "S", default_value_t = ChainSpec::default().seed)]
    seed: u64,

    /// Era of the blocks
    #[arg(long, value_name = "ERA", default_value_t = ChainSpec::default().era)]
    era: Era,

    /// From this height on blocks are empty, as after the end of transactions
    #[arg(long, value_name = "N", default_value_t = ChainSpec::default().empty_from)]
    empty_from: u32,

    /// The ledger inside the block at this height cannot be put together
    #[arg(long, value_name = "N")]
    unknown_at: Option<u32>,

    /// Replace an existing output directory
    #[arg(long)]
    force: bool,
}

impl GenerateArchive {
    fn spec(&self) -> ChainSpec {
        ChainSpec {
            accounts: self.accounts,
            height: self.height,
            seed: self.seed,
            era: self.era,
            empty_from: self.empty_from,
            unknown_at: self.unknown_at,
            ..ChainSpec::default()
        }
    }

    fn write(&self) -> Result<(), FixtureError> {
        let spec = self.spec();
        let model = chain(&spec)?;
        let staged = StagedDir::create(&self.output, self.force)?;
        let write = |name: &str, bytes: &[u8]| -> Result<(), FixtureError> {
            Ok(fork_fs::write_atomic(&staged.path().join(name), bytes)?)
        };
        write("archive.sql", model.sql.as_bytes())?;
        write("network.toml", spec.network_toml().as_bytes())?;
        for block in model.blocks.iter().filter(|block| !block.json.is_empty()) {
            let name = format!("made-up-{}-{}.json", block.height, block.state_hash);
            write(&name, &block.json)?;
        }
        staged.commit()?;
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments = GenerateArchive::parse();
    match arguments.write() {
        Ok(()) => {
            let path: &Path = &arguments.output;
            // A closed pipe does not make the archive any worse.
            let _ = writeln!(std::io::stdout(), "{}", path.join("archive.sql").display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut message = format!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(source) = cause {
                message.push_str(&format!(": {source}"));
                cause = source.source();
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
        GenerateArchive::command().debug_assert();
        let parsed = GenerateArchive::try_parse_from(["generate-archive", "-o", "x"]).unwrap();
        assert_eq!(parsed.spec(), ChainSpec::default());
    }
}
