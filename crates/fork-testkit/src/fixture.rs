//! A fork made up from a seed.
//!
//! ```no_run
//! use fork_testkit::fixture::{FixtureSpec, write_fixture};
//!
//! # fn main() -> Result<(), fork_testkit::fixture::FixtureError> {
//! let spec = FixtureSpec {
//!     accounts: 1000,
//!     ..FixtureSpec::default()
//! };
//! let model = write_fixture(&spec, "target/fixture".as_ref(), false)?;
//! assert_eq!(model.ledgers.genesis.accounts, 1000);
//! # Ok(()) }
//! ```
//!
//! An account is a function of the seed, the ledger and its index ([`Accounts::account`]), so a
//! ledger of millions is never held in memory; it is made again for each file it goes into.

mod accounts;
mod chain;
mod documents;
mod ledger;
mod random;
mod vesting;

use std::path::Path;

use fork_fs::{FsError, StagedDir};
use fork_ledger::hash::HashError;
use fork_ledger::merkle::MerkleError;
use fork_types::{Class, Era, Fault, Role, SlotSinceGenesis, StateHash};
use serde::Serialize;

pub use accounts::Accounts;
pub use chain::Chain;
pub use ledger::LedgerModel;
pub use random::Random;
pub use vesting::VestingState;

/// Fewest accounts: with ten there is one of every kind.
pub const ACCOUNTS_MIN: u32 = 10;

/// Name of the file with the model.
pub const MODEL_FILE: &str = "fixture.json";

/// What a fixture is to be like. Every part of it changes the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixtureSpec {
    /// Accounts of the genesis (staged) ledger; the epoch ledgers have a few less.
    pub accounts: u32,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Era of the accounts: Berkeley, or Mesa for a fork from Mesa to Mesa.
    pub era: Era,
    /// Which kinds of accounts there are.
    pub mix: Mix,
    /// Makes the staking and the next epoch ledger the same.
    pub share_epoch_ledgers: bool,
    /// Makes each epoch ledger equal to the genesis ledger at nine places of ten, as ledgers a few
    /// weeks apart are. Otherwise one place of three (staking) and of five (next) differs.
    pub few_changes: bool,
    /// Puts bytes that are no UTF-8 into some token symbols and URIs, as daemons print them. Tools
    /// that insist on UTF-8 cannot read such files.
    pub raw_bytes: bool,
    /// Which of its two meanings the fork slot of the fork config has.
    pub fork_slot_style: ForkSlotStyle,
    /// Compresses the fork config.
    pub gzip: bool,
    /// Which files to write.
    pub files: Files,
}

impl Default for FixtureSpec {
    fn default() -> Self {
        Self {
            accounts: 1000,
            seed: 1,
            era: Era::Berkeley,
            mix: Mix::Mixed,
            share_epoch_ledgers: false,
            few_changes: false,
            raw_bytes: false,
            fork_slot_style: ForkSlotStyle::Scheduled,
            gzip: false,
            files: Files::All,
        }
    }
}

/// Which kinds of accounts a fixture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// Untimed accounts of the default token with ordinary numbers, as nearly all real ones are.
    Plain,
    /// Every kind there is, with extreme numbers and strings.
    Mixed,
    /// Plain ones but for 3 % zkApps with a verification key each, 5 % timed accounts and 3 % of
    /// custom tokens.
    Realistic,
}

/// What `proof.fork.global_slot_since_genesis` of a fork config means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ForkSlotStyle {
    /// Newer daemons: the scheduled slot of the new genesis, with its timestamp.
    Scheduled,
    /// Older daemons: the fork block's own slot, without a timestamp.
    ForkBlock,
}

/// Which files a fixture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// All of them: the ledgers are written three times.
    All,
    /// The fork config and the small files only, for large ledgers.
    ForkConfig,
}

/// What a correct tool must find in a fixture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Version of this document.
    pub format: u32,
    /// Number of accounts asked for.
    pub accounts: u32,
    /// The seed.
    pub seed: u64,
    /// Era of the accounts.
    pub era: Era,
    /// Kinds of accounts.
    pub mix: Mix,
    /// Name of the made-up network.
    pub network: String,
    /// State hash of the fork block.
    pub state_hash: StateHash,
    /// Height of the fork block.
    pub blockchain_length: u32,
    /// Slot since genesis of the fork block.
    pub fork_block_slot: SlotSinceGenesis,
    /// Slot since genesis of the new genesis: what vesting is computed with.
    pub fork_slot: SlotSinceGenesis,
    /// Time of the new genesis.
    pub genesis_timestamp: String,
    /// The three ledgers, before migration.
    pub ledgers: Ledgers<LedgerModel>,
    /// Names of the files.
    pub files: Vec<String>,
}

/// Something per ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ledgers<T> {
    /// The staged ledger of the fork block.
    pub genesis: T,
    /// The staking epoch ledger.
    pub staking: T,
    /// The next epoch ledger.
    pub next: T,
}

/// Why a fixture could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// Too few accounts for one of each kind.
    #[error("a fixture has at least {ACCOUNTS_MIN} accounts, {found} were asked for")]
    TooFewAccounts {
        /// The number asked for.
        found: u32,
    },
    /// There is no generator for v1.
    #[error("there are no made-up ledgers of era {era}")]
    Era {
        /// The era asked for.
        era: Era,
    },
    /// The output cannot be written.
    #[error("the fixture could not be written")]
    Fs(#[from] FsError),
    /// A generated account has no hash: a bug here.
    #[error("a generated account cannot be hashed")]
    Hash(#[from] HashError),
    /// More accounts than a ledger has room for.
    #[error("the generated ledger has no root")]
    Merkle(#[from] MerkleError),
    /// The numbers of the made-up chain do not fit: a bug here.
    #[error("the generated chain contradicts itself: {what}")]
    Chain {
        /// What does not fit.
        what: &'static str,
    },
    /// A small document could not be printed: a bug here.
    #[error("a generated document cannot be printed")]
    Json(#[from] serde_json::Error),
}

impl Fault for FixtureError {
    fn class(&self) -> Class {
        match self {
            Self::TooFewAccounts { .. } | Self::Era { .. } => Class::Usage,
            Self::Fs(error) => error.class(),
            Self::Merkle(error) => error.class(),
            Self::Hash(_) | Self::Chain { .. } | Self::Json(_) => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(error) => error.hint(),
            Self::Era { .. } => {
                Some("choose berkeley, or mesa for a fork from Mesa to Mesa".to_owned())
            }
            Self::TooFewAccounts { .. }
            | Self::Merkle(_)
            | Self::Hash(_)
            | Self::Chain { .. }
            | Self::Json(_) => None,
        }
    }
}

/// Writes a fixture into the directory `output` and returns its model, which is also in there.
///
/// `output` must not exist or be empty, unless `force` says that it is to be replaced. It appears
/// whole or not at all. Memory does not grow with the number of accounts; all cores are used.
///
/// # Errors
///
/// Fails on a spec that asks for the impossible and when the disk refuses.
pub fn write_fixture(
    spec: &FixtureSpec,
    output: &Path,
    force: bool,
) -> Result<Model, FixtureError> {
    let accounts = Accounts::new(spec)?;
    let directory = StagedDir::create(output, force)?;
    let ledgers = ledger::models(&accounts)?;
    let chain = Chain::new(spec, &ledgers)?;
    let files = documents::write_all(spec, &accounts, &chain, &ledgers, directory.path())?;
    let facts = chain.block.facts();
    let model = Model {
        format: 1,
        accounts: spec.accounts,
        seed: spec.seed,
        era: spec.era,
        mix: spec.mix,
        network: chain.name.clone(),
        state_hash: facts.state_hash,
        blockchain_length: facts.blockchain_length,
        fork_block_slot: facts.global_slot_since_genesis,
        fork_slot: chain.fork_slot,
        genesis_timestamp: chain.new_genesis.to_string(),
        ledgers,
        files,
    };
    let mut json = serde_json::to_vec_pretty(&model)?;
    json.push(b'\n');
    fork_fs::write_atomic(&directory.path().join(MODEL_FILE), &json)?;
    directory.commit()?;
    Ok(model)
}

/// Writes one ledger of `spec` to the file `output` as a bare account list, without computing any
/// root: for ledgers so large that hashing them first would take longer than what is measured.
/// Returns the number of accounts.
///
/// # Errors
///
/// As [`write_fixture`].
pub fn write_account_list(
    spec: &FixtureSpec,
    role: Role,
    output: &Path,
) -> Result<u32, FixtureError> {
    let accounts = Accounts::new(spec)?;
    documents::account_list(&accounts, role, output)?;
    Ok(accounts.len(role))
}
