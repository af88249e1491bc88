//! What a package is held against.

use std::path::{Path, PathBuf};

use fork_genesis::block::{BLOCK_BYTES_MAX, Block, BlockProblem, ForkBlockFacts};
use fork_genesis::config::PreforkConfig;
use fork_genesis::network::Network;
use fork_genesis::schedule::{ChainClock, Schedule};
use fork_types::document::{Candidate, CandidateLedger, FileRef, SlotMeaning};
use fork_types::{Role, SlotSinceGenesis};
use fork_worker::{Context, Input, ScheduleArgs};
use sha2::{Digest, Sha256};

use crate::args::Args;
use crate::error::VerifyError;
use crate::subject::error_text;

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;
/// Largest prefork config read, in bytes.
const PREFORK_BYTES_MAX: u64 = 64 << 20;

/// The fork block.
#[derive(Debug)]
pub struct ForkBlockEvidence {
    /// What it says.
    pub facts: ForkBlockFacts,
    /// What it says against itself.
    pub problems: Vec<BlockProblem>,
    /// Where it came from.
    pub by: String,
}

/// The old chain's config.
#[derive(Debug)]
pub struct Prefork {
    /// What it says.
    pub config: PreforkConfig,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Everything that a package is held against.
#[derive(Debug)]
pub struct Reference {
    /// Directory of the candidate.
    pub directory: PathBuf,
    /// The candidate.
    pub candidate: Candidate,
    /// SHA-256 of its document.
    pub candidate_sha256: String,
    /// The network.
    pub network: Network,
    /// The block; `Err` says why there is none.
    pub block: Result<ForkBlockEvidence, String>,
    /// Whether the candidate has a block that cannot be read.
    pub block_is_broken: bool,
    /// The old chain's config.
    pub prefork: Option<Prefork>,
    /// Slot of the new genesis and who says so; absent when only the package does.
    pub fork_slot: Option<(SlotSinceGenesis, String)>,
    /// The schedule that follows from the stop slots.
    pub schedule: Result<Schedule, String>,
}

impl Reference {
    /// Reads everything that the command line names.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be read. What is merely wrong is left to the checks.
    pub fn read(args: &Args, context: &Context) -> Result<Self, VerifyError> {
        let (candidate, bytes): (Candidate, _) = fork_fs::read_document(&args.candidate)?;
        let file = fork_fs::read_named_file(&args.network, NETWORK_BYTES_MAX)?;
        let network = Network::named(&args.network, file.as_deref()).map_err(|source| {
            VerifyError::Network {
                name: args.network.clone(),
                source,
            }
        })?;
        let prefork = args
            .prefork_config
            .as_ref()
            .map(|input| {
                let (bytes, _) =
                    Input::read_all(input, "prefork-config", PREFORK_BYTES_MAX, None, context)?;
                let config =
                    PreforkConfig::from_json(&bytes).map_err(|source| VerifyError::Prefork {
                        name: input.to_string(),
                        source,
                    })?;
                Ok::<_, VerifyError>(Prefork { config, bytes })
            })
            .transpose()?;
        let slot_ms = network.chain.slot_ms;
        let (block, block_is_broken) = match &args.block {
            Some(input) => {
                let (bytes, _) = Input::read_all(input, "block", BLOCK_BYTES_MAX, None, context)?;
                let block = Block::from_slice(&bytes).map_err(|source| VerifyError::Block {
                    name: input.to_string(),
                    source: Box::new(source),
                })?;
                (Ok(evidence(&block, slot_ms, "--block")), false)
            }
            None => own_block(&args.candidate, candidate.block.as_ref(), slot_ms),
        };
        let mut reference = Self {
            directory: args.candidate.clone(),
            candidate_sha256: hex::encode(Sha256::digest(&bytes)),
            candidate,
            network,
            block,
            block_is_broken,
            prefork,
            fork_slot: None,
            schedule: Err("not derived yet".to_owned()),
        };
        reference.schedule = reference.schedule(&args.schedule)?;
        reference.fork_slot = reference.fork_slot(args);
        Ok(reference)
    }

    /// The clock of the old chain: of its config, or else of the network file.
    #[must_use]
    pub fn clock(&self) -> (ChainClock, &'static str) {
        self.prefork
            .as_ref()
            .and_then(|prefork| prefork.config.clock(self.network.chain.slot_ms))
            .map_or((self.network.clock(), "the network file"), |clock| {
                (clock, "the prefork config")
            })
    }

    /// A ledger of the candidate.
    #[must_use]
    pub const fn ledger(&self, role: Role) -> &CandidateLedger {
        self.candidate.ledger(role)
    }

    /// Slot and time of the new genesis; the inner result says why there are none.
    fn schedule(&self, given: &ScheduleArgs) -> Result<Result<Schedule, String>, VerifyError> {
        let (clock, _) = self.clock();
        let mut planned = self
            .prefork
            .as_ref()
            .map(|prefork| prefork.config.schedule_input())
            .unwrap_or_default();
        let stop = &self.network.stop;
        planned.slot_tx_end = planned.slot_tx_end.or(stop.slot_tx_end);
        planned.slot_chain_end = planned.slot_chain_end.or(stop.slot_chain_end);
        planned.genesis_slot_delta = planned
            .genesis_slot_delta
            .or(stop.hard_fork_genesis_slot_delta);
        let input = planned
            .overridden(
                given.unscheduled,
                given.slot_chain_end,
                given.genesis_slot_delta,
                given.genesis_timestamp.as_deref(),
            )
            .map_err(VerifyError::Timestamp)?;
        match Schedule::derive(&clock, &input) {
            Ok(schedule) => Ok(Ok(schedule)),
            // What was said on the command line is not put aside because it cannot be.
            Err(source) if given.is_given() => Err(VerifyError::Schedule { source }),
            Err(error) => Ok(Err(error_text(&error))),
        }
    }

    fn fork_slot(&self, args: &Args) -> Option<(SlotSinceGenesis, String)> {
        let given = args.fork_slot.map(|slot| (slot, "--fork-slot".to_owned()));
        let derived = || {
            let schedule = self.schedule.as_ref().ok()?;
            let by = match &args.schedule {
                given if given.genesis_timestamp.is_some() => "--genesis-timestamp",
                given if given.is_given() => "the given stop slots",
                _ => "the stop slots",
            };
            Some((schedule.global_slot_since_genesis, by.to_owned()))
        };
        let scheduled = || {
            let scheduled = self.candidate.scheduled.as_ref()?;
            (scheduled.meaning == SlotMeaning::ScheduledGenesis).then(|| {
                (
                    scheduled.global_slot_since_genesis,
                    "the candidate".to_owned(),
                )
            })
        };
        given.or_else(derived).or_else(scheduled)
    }
}

fn own_block(
    directory: &Path,
    file: Option<&FileRef>,
    slot_ms: u64,
) -> (Result<ForkBlockEvidence, String>, bool) {
    let Some(file) = file else {
        let why = "no --block was given and the candidate has none".to_owned();
        return (Err(why), false);
    };
    let read = || {
        let path = fork_fs::child(directory, &file.name).map_err(|error| error_text(&error))?;
        let bytes =
            fork_fs::read_limited(&path, BLOCK_BYTES_MAX).map_err(|error| error_text(&error))?;
        let block = Block::from_slice(&bytes).map_err(|error| error_text(&error))?;
        Ok(evidence(&block, slot_ms, "the candidate's block"))
    };
    let block = read();
    let is_broken = block.is_err();
    (block, is_broken)
}

fn evidence(block: &Block, slot_ms: u64, by: &str) -> ForkBlockEvidence {
    ForkBlockEvidence {
        facts: block.facts(),
        problems: block.problems(Some(slot_ms)),
        by: by.to_owned(),
    }
}
