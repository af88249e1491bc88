//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fork_ledger::diagnose::PERMUTATIONS_MAX_DEFAULT;
use fork_types::{Era, LedgerHash, Role, SlotSinceGenesis, StateHash};
use fork_worker::{InputArg, ReportingArgs, UsageError};

use crate::digest::DigestArgs;

/// Deepest tree a ledger store can have.
const DEPTH_MAX: i64 = fork_store::key::DEPTH_MAX as i64;

/// Look into ledgers, blocks and ledger stores
///
/// Computes roots, account hashes and state hashes from files, and reads ledger tarballs and
/// database directories. Nothing is written but the result on standard output; a store is read
/// from a copy in a scratch directory that is removed at the end. Only `convert` writes a file.
///
/// Exit code 4 says that what was read contradicts what it was compared with.
#[derive(Clone, Debug, Parser)]
#[command(name = "inspect-ledger", version)]
pub struct InspectLedger {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Compute the Merkle root of an account list
    Hash(HashArgs),
    /// Print index, public key, token and hash of every account, one JSON object per line
    Accounts(AccountsArgs),
    /// Recompute the state hash of a precomputed block and print its fork facts
    Block(BlockArgs),
    /// Print the entries of a ledger tarball or database directory as scanner text
    Scan(ScanArgs),
    /// Compare two ledger tarballs or database directories entry by entry
    Diff(DiffArgs),
    /// Print the digests of ledger tarballs or database directories, and say whether they are equal
    Digest(DigestArgs),
    /// Print the file name a daemon looks for a ledger's tarball under
    TarballName(TarballNameArgs),
    /// Convert an account list to the other form: JSON or bin_prot
    Convert(ConvertArgs),
    /// Say which known mistake a wrong root comes from
    Explain(ExplainArgs),
}

/// Form of an account list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListForm {
    /// A JSON array, one account a line, as `mina ledger export` prints it
    Json,
    /// A dump: the bytes of the daemon's store, a quarter of the size and faster to read
    BinProt,
}

impl ListForm {
    /// The name used on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::BinProt => "bin-prot",
        }
    }
}

/// Convert an account list to the other form
///
/// Reads either form and writes the one asked for, account by account. The accounts are read by the
/// fork loader; every account written is the one that was read.
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// File or URL: a bare JSON array or a dump; plain, gzip or zstd
    #[arg(value_name = "FILE")]
    pub file: InputArg,

    /// Protocol era of the accounts: berkeley or mesa
    #[arg(long, value_name = "ERA")]
    pub era: Era,

    /// Form to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: ListForm,

    /// File to write; one of that name is replaced when the new one is complete
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Fill missing permissions, receipt chain hash and voted-for hash with defaults
    #[arg(long)]
    pub ignore_missing: bool,

    /// SHA-256 the file must have, as it lies
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Which of upstream's two conversions reads the accounts.
///
/// They differ in what they put where something is missing, most of all in the delegate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Loader {
    /// As the tool that builds fork ledgers: nothing is filled in
    #[default]
    Fork,
    /// As a daemon reads its configuration: missing members get defaults
    Daemon,
}

impl Loader {
    /// The name used on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Daemon => "daemon",
        }
    }
}

/// Whether the genesis winner is put in front of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Winner {
    /// By the rule of the ledger object, with the daemon loader; otherwise no
    #[default]
    Auto,
    /// As if the ledger object asked for it (a list that begins with it gets no second one)
    Yes,
    /// Never
    No,
}

/// An account list and how to read it.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// File or URL: an export (bare array, text before it is skipped), a ledger object, or a whole
    /// daemon.json, fork_config or replayer file; plain, gzip or zstd
    #[arg(value_name = "FILE")]
    pub file: InputArg,

    /// Protocol era whose rules apply: v1, berkeley or mesa
    #[arg(long, value_name = "ERA")]
    pub era: Era,

    /// Whose reading of the accounts
    #[arg(long, value_enum, default_value_t)]
    pub loader: Loader,

    /// Which ledger of a document with several: genesis, staking or next. Epoch ledgers never get a
    /// genesis winner
    #[arg(long, value_name = "ROLE", default_value_t = Role::Genesis)]
    pub ledger: Role,

    /// Fill missing permissions, receipt chain hash and voted-for hash with defaults (fork loader)
    #[arg(long)]
    pub ignore_missing: bool,

    /// Extend a zkApp state that is too short with zeros (fork loader)
    #[arg(long)]
    pub pad_app_state: bool,

    /// SHA-256 the file must have, as it lies
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,
}

impl ListArgs {
    /// Refuses options that do not go together.
    ///
    /// # Errors
    ///
    /// Fails when an option of the fork loader is given without it, or for v1, which has none.
    pub fn check(&self) -> Result<(), UsageError> {
        let relaxed = match (self.ignore_missing, self.pad_app_state) {
            (true, _) => "--ignore-missing",
            (false, true) => "--pad-app-state",
            (false, false) => return Ok(()),
        };
        if self.era == Era::V1 {
            return Err(UsageError::new(
                format!("{relaxed} has no meaning in era v1"),
                "v1 lists are read in one way only; leave the option out",
            ));
        }
        match self.loader {
            Loader::Fork => Ok(()),
            Loader::Daemon => Err(UsageError::new(
                format!("{relaxed} is an option of the fork loader"),
                "leave it out, or use --loader fork",
            )),
        }
    }
}

/// Compute the Merkle root of an account list
///
/// Prints the root alone on the first line, then everything it depends on. Accounts are streamed,
/// so memory does not grow with the list.
#[derive(Args, Clone, Debug)]
pub struct HashArgs {
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,

    /// Whether the genesis winner is added at index 0 (daemon loader)
    #[arg(long, value_enum, default_value_t)]
    pub winner: Winner,

    /// Depth of the tree [default: 20 for v1, 35 otherwise]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=DEPTH_MAX))]
    pub depth: Option<u8>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl HashArgs {
    /// Refuses options that do not go together.
    ///
    /// # Errors
    ///
    /// As [`ListArgs::check`], and on a winner where there can be none.
    pub fn check(&self) -> Result<(), UsageError> {
        self.list.check()?;
        if self.winner != Winner::Yes {
            return Ok(());
        }
        let refused = |reason: &str, hint: &str| {
            Err(UsageError::new(format!("--winner yes: {reason}"), hint))
        };
        if self.list.loader == Loader::Fork {
            return refused(
                "the fork loader never adds the genesis winner",
                "use --loader daemon",
            );
        }
        if self.list.era == Era::V1 {
            return refused(
                "the genesis winner is not supported in era v1",
                "put the account in front of the list",
            );
        }
        if self.list.ledger != Role::Genesis {
            return refused(
                "epoch ledgers have no genesis winner",
                "leave out --ledger or --winner",
            );
        }
        Ok(())
    }
}

/// Say which known mistake a wrong root comes from
///
/// Computes the root each known mistake would give (genesis winner, loader, era, depth, order,
/// migration, transaction version, one account lost or doubled, and more) and names those that give
/// the expected one. When none does, compare with another list of the ledger: --reference.
///
/// Exit code 0 says that the root is the expected one or that an explanation was found, 4 that
/// nothing explains it. The list is read several times.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  inspect-ledger explain --era mesa --expect-root jx7b... ledger.json
  inspect-ledger explain --era berkeley --expect-root jx7b... \\
      --fork-slot 859560 --fork-slot 859558 export.json.gz
  inspect-ledger explain --era mesa --expect-root jx7b... --reference other.json ledger.json")]
pub struct ExplainArgs {
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,

    /// Root the ledger should have
    #[arg(long, value_name = "HASH")]
    pub expect_root: LedgerHash,

    /// Whether the genesis winner is added at index 0 (daemon loader)
    #[arg(long, value_enum, default_value_t)]
    pub winner: Winner,

    /// Depth of the tree [default: 20 for v1, 35 otherwise]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=DEPTH_MAX))]
    pub depth: Option<u8>,

    /// Another list of the same ledger, read the same way, to compare account by account
    #[arg(long, value_name = "FILE2")]
    pub reference: Option<InputArg>,

    /// Slot since genesis of the new genesis, to try migrations to mesa with; give it twice to try
    /// the fork block's slot too
    #[arg(long, value_name = "N")]
    pub fork_slot: Vec<SlotSinceGenesis>,

    /// Root of another ledger of the network, to find out that the list is that one; repeatable
    #[arg(long, value_name = "NAME=HASH", value_parser = parse_known_root)]
    pub known_root: Vec<(String, LedgerHash)>,

    /// Poseidon permutations spent at most; hypotheses that need more are skipped
    #[arg(long, value_name = "N", default_value_t = PERMUTATIONS_MAX_DEFAULT)]
    pub limit_hashes: u64,

    /// Differences from the reference that are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max: usize,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl ExplainArgs {
    /// Refuses options that do not go together.
    ///
    /// # Errors
    ///
    /// As [`HashArgs::check`].
    pub fn check(&self) -> Result<(), UsageError> {
        HashArgs {
            list: self.list.clone(),
            winner: self.winner,
            depth: self.depth,
            reporting: self.reporting.clone(),
        }
        .check()
    }
}

/// `NAME=HASH`; the name becomes part of an identifier.
fn parse_known_root(text: &str) -> Result<(String, LedgerHash), String> {
    let (name, root) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not NAME=HASH"))?;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(good) {
        return Err(format!(
            "`{name}` is not a name of lower-case letters, digits and hyphens"
        ));
    }
    let root = root.parse().map_err(|error| format!("{error}"))?;
    Ok((name.to_owned(), root))
}

/// Print index, public key, token and hash of every account
///
/// One JSON object per line, in the order of the list. The genesis winner a daemon may add is not
/// listed.
#[derive(Args, Clone, Debug)]
pub struct AccountsArgs {
    /// The list.
    #[command(flatten)]
    pub list: ListArgs,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Recompute the state hash of a precomputed block
///
/// The hash is compared with the one in the file's name when it has the form
/// `<network>-<height>-<state hash>.json`, and with `--expect`.
#[derive(Args, Clone, Debug)]
pub struct BlockArgs {
    /// File or URL of the block; plain, gzip or zstd
    #[arg(value_name = "FILE")]
    pub file: InputArg,

    /// State hash the block must have
    #[arg(long, value_name = "HASH")]
    pub expect: Option<StateHash>,

    /// Slot time of the block's chain in milliseconds; without it the timestamp is not checked
    #[arg(long, value_name = "MS")]
    pub slot_ms: Option<u64>,

    /// SHA-256 the file must have, as it lies
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Print the entries of a ledger store as scanner text
///
/// One line per entry in key order, `<key hex> : <value hex>`: the text of upstream's
/// `mina-rocksdb-scanner`. It is the same with any `--format`.
#[derive(Args, Clone, Debug)]
pub struct ScanArgs {
    /// Ledger tarball or database directory
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Where stores are unpacked or copied to [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "FORKPACK_SCRATCH")]
    pub scratch: Option<PathBuf>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Compare two ledger stores entry by entry
///
/// Names the first difference that the others follow from, then the first ones of each kind: accounts
/// field by field, texts, hash nodes. Of two tarballs that hold the same it says what differs in their
/// packing. Ends with exit code 4 when they hold something else.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Ledger tarball, database directory, or directory that `migrate-ledger` wrote
    #[arg(value_name = "A")]
    pub left: PathBuf,

    /// The one to compare it with
    #[arg(value_name = "B")]
    pub right: PathBuf,

    /// Differences shown of each kind
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max: usize,

    /// Era the accounts are decoded by; stores do not say it
    #[arg(long, value_name = "ERA", default_value_t = Era::Mesa)]
    pub era: Era,

    /// Era of A when it is another one than B's
    #[arg(long, value_name = "ERA")]
    pub left_era: Option<Era>,

    /// Depth of the trees; stores do not say it
    #[arg(
        long,
        value_name = "N",
        default_value_t = Era::Mesa.depth(),
        value_parser = clap::value_parser!(u8).range(1..=DEPTH_MAX)
    )]
    pub depth: u8,

    /// Where stores are unpacked or copied to [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "FORKPACK_SCRATCH")]
    pub scratch: Option<PathBuf>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// First part of a tarball's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TarballPrefix {
    /// The genesis ledger
    #[value(name = "genesis_ledger")]
    GenesisLedger,
    /// The staking or the next epoch ledger
    #[value(name = "epoch_ledger")]
    EpochLedger,
}

impl TarballPrefix {
    /// The text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenesisLedger => "genesis_ledger",
            Self::EpochLedger => "epoch_ledger",
        }
    }
}

/// Print the file name a daemon looks for a ledger's tarball under
#[derive(Args, Clone, Debug)]
pub struct TarballNameArgs {
    /// Root of the ledger
    #[arg(value_name = "ROOT")]
    pub root: LedgerHash,

    /// Era of the daemon that reads the tarball
    #[arg(long, value_name = "ERA")]
    pub era: Era,

    /// First part of the name
    #[arg(long, value_enum)]
    pub prefix: TarballPrefix,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use fork_types::{Class, Fault};

    use super::*;

    fn parse(line: &str) -> Result<InspectLedger, clap::Error> {
        InspectLedger::try_parse_from(
            std::iter::once("inspect-ledger").chain(line.split_whitespace()),
        )
    }

    fn hash_args(line: &str) -> HashArgs {
        match parse(line).unwrap().command {
            Command::Hash(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_parser_is_consistent() {
        InspectLedger::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let args = hash_args("hash --era mesa list.json");
        assert_eq!(args.list.era, Era::Mesa);
        assert_eq!(args.list.loader, Loader::Fork);
        assert_eq!(args.list.ledger, Role::Genesis);
        assert_eq!(args.winner, Winner::Auto);
        assert_eq!(args.depth, None);
        assert!(args.check().is_ok());
        let Command::Diff(args) = parse("diff a b").unwrap().command else {
            panic!();
        };
        assert_eq!((args.max, args.depth, args.era), (10, 35, Era::Mesa));
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused() {
        for line in [
            "",
            "hash list.json",
            "hash --era mesa",
            "hash --era olympus list.json",
            "hash --era mesa --depth 0 list.json",
            "hash --era mesa --depth 57 list.json",
            "hash --era mesa --winner maybe list.json",
            "hash --era mesa --sha256 12 list.json",
            "hash --era mesa --ledger snarked list.json",
            "hash --era mesa ftp://host/list.json",
            "block --expect jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92 b.json",
            "diff a",
            "tarball-name --era mesa --prefix ledger jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (line, good) in [
            ("hash --era mesa --winner yes f", false),
            ("hash --era mesa --loader daemon --winner yes f", true),
            ("hash --era v1 --loader daemon --winner yes f", false),
            (
                "hash --era mesa --loader daemon --winner yes --ledger next f",
                false,
            ),
            ("hash --era mesa --winner no f", true),
            ("hash --era mesa --ignore-missing --pad-app-state f", true),
            ("hash --era mesa --loader daemon --ignore-missing f", false),
            ("hash --era mesa --loader daemon --pad-app-state f", false),
            ("hash --era v1 --pad-app-state f", false),
        ] {
            let outcome = hash_args(line).check();
            assert_eq!(outcome.is_ok(), good, "{line}");
            if let Err(error) = outcome {
                assert_eq!(error.class(), Class::Usage);
                assert!(error.hint().is_some());
            }
        }
    }
}
