//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use fork_types::document::StoreProofKind;
use fork_types::{Era, LedgerHash, Role, SlotSinceGenesis};
use fork_worker::{InputArg, OutputArgs, ReportingArgs};

/// Migrate ledgers of a fork candidate into proved RocksDB tarballs
///
/// Reads an account list of a candidate directory, recomputes its root and compares it with the
/// candidate's claim, migrates every account by the rule that --from and --to name, writes the
/// daemon's RocksDB store, reads it back and proves it, and packs it into a tarball with the name
/// the daemon looks for. A run that fails or is interrupted leaves nothing at --output.
///
/// Several roles in one run hash what their ledgers have in common once, which takes about two thirds
/// of the time of separate runs; each gets a directory named after it inside --output.
///
/// `migrate-ledger shard` migrates a part of the same ledgers, for several machines, and
/// `migrate-ledger merge` puts the parts together; see `migrate-ledger help`.
#[derive(Clone, Debug, Parser)]
#[command(name = "migrate-ledger", version)]
pub struct Args {
    /// What is migrated, and how.
    #[command(flatten)]
    pub source: SourceArgs,

    /// Root the accounts must hash to before migration
    #[arg(long, value_name = "ROOT", conflicts_with = "skip_source_root")]
    pub source_root: Option<LedgerHash>,

    /// Root the migrated ledger must hash to
    #[arg(long, value_name = "ROOT")]
    pub expect_root: Option<LedgerHash>,

    /// Go on when nothing claims a root for the source accounts; every later document repeats it
    #[arg(long)]
    pub unverified_source: bool,

    /// How to prove the store: log reads it back and compares every entry with what was hashed;
    /// rocksdb opens it with the daemon's RocksDB and computes every hash again (about twice the
    /// time, and 1 kB of memory per account)
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub proof: Proof,

    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// What is migrated, and how; the same for whole ledgers and for shards.
#[derive(clap::Args, Clone, Debug)]
pub struct SourceArgs {
    /// Candidate directory that `dump-candidates` wrote
    #[arg(long, value_name = "DIR", required_unless_present = "accounts")]
    pub candidate: Option<PathBuf>,

    /// A bare account list instead of a candidate: JSON or a bin_prot dump (path or URL, plain, gzip
    /// or zstd)
    #[arg(long, value_name = "FILE", conflicts_with = "candidate")]
    pub accounts: Option<InputArg>,

    /// SHA-256 the account list must have (with --accounts)
    #[arg(long, value_name = "HEX", requires = "accounts", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,

    /// Which ledger: genesis, staking or next; may be given several times with --candidate
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<Role>,

    /// Protocol era of the accounts: v1, berkeley or mesa
    #[arg(long, value_name = "ERA")]
    pub from: Era,

    /// Protocol era to migrate to: berkeley or mesa
    #[arg(long, value_name = "ERA")]
    pub to: Era,

    /// Global slot since genesis of the new genesis, for the vesting update of berkeley to mesa
    /// [default: the scheduled slot, when the candidate has established one]
    #[arg(long, value_name = "SLOT")]
    pub fork_slot: Option<SlotSinceGenesis>,

    /// Variant of the rule, such as untimed-becomes-timed (the default of berkeley to mesa),
    /// untimed-stays or no-vesting
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,

    /// Do not compute the source root again: the candidate says that it was computed from exactly
    /// these bytes and equals the claim
    #[arg(long, requires = "candidate")]
    pub skip_source_root: bool,

    /// Fill missing permissions, receipt chain hash and vote with their defaults
    #[arg(long)]
    pub ignore_missing: bool,
}

/// How a store is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Proof {
    /// Read back and compared.
    #[default]
    Log,
    /// Opened with RocksDB and hashed again.
    Rocksdb,
}

impl From<Proof> for StoreProofKind {
    fn from(proof: Proof) -> Self {
        match proof {
            Proof::Log => Self::Log,
            Proof::Rocksdb => Self::Rocksdb,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_is_as_published() {
        let help = Args::command().term_width(100).render_long_help();
        insta::assert_snapshot!("help", help);
    }

    #[test]
    fn a_source_and_both_eras_are_required() {
        let parse = |text: &str| Args::try_parse_from(text.split(' '));
        assert!(
            parse("migrate-ledger --candidate c --role next --from berkeley --to mesa -o o")
                .is_ok()
        );
        for bad in [
            "migrate-ledger --role next --from berkeley --to mesa -o o",
            "migrate-ledger --candidate c --accounts a --role next --from berkeley --to mesa -o o",
            "migrate-ledger --candidate c --role next --to mesa -o o",
            "migrate-ledger --candidate c --role other --from berkeley --to mesa -o o",
            "migrate-ledger --candidate c --role next --from berkeley --to mesa",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse(
            "migrate-ledger --candidate c --role next --from berkeley --to mesa -o o \
             --expect-root 3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x"
                .replace("             ", "")
                .as_str(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("version byte"), "{error}");
    }
}
