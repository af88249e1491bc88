//! What a candidate is held against: network, block file, config of the chain before the fork.

use std::path::Path;

use fork_fs::write_atomic;
use fork_genesis::archive::ArchiveFacts;
use fork_genesis::block::{BLOCK_BYTES_MAX, Block, BlockProblem, ForkBlockFacts, parse_file_name};
use fork_genesis::candidate::{ComputedLedger, Evidence, Expected, Import};
use fork_genesis::config::PreforkConfig;
use fork_genesis::network::Network;
use fork_genesis::schedule::Schedule;
use fork_types::document::{FileRef, SourceRef};
use fork_types::{LedgerHash, StateHash};
use fork_worker::{Context, Input, InputArg};

use super::CandidateArgs;
use crate::epochs::{EpochBasis, FirstEpochs};
use crate::error::{MaterializeError, MaterializeErrorKind};

/// Name of the block in a candidate directory.
const BLOCK_NAME: &str = "block.json";

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// Largest config of the chain before the fork, in bytes; released ones have one or two KiB.
const PREFORK_BYTES_MAX: u64 = 64 << 20;

/// All of it.
pub(super) struct Given {
    pub(super) network: Network,
    pub(super) block: Option<ReadBlock>,
    prefork: Option<PreforkConfig>,
    schedule: Option<Schedule>,
    state_hashes: Vec<Expected<StateHash>>,
    lengths: Vec<Expected<u32>>,
}

/// A block file and what was seen of it.
pub(super) struct ReadBlock {
    facts: ForkBlockFacts,
    problems: Vec<BlockProblem>,
    pub(super) file: FileRef,
    named: Option<(u32, StateHash)>,
}

impl Given {
    /// Reads whatever the command line names; a block goes to `directory`.
    pub(super) fn read(
        args: &CandidateArgs,
        directory: &Path,
        context: &Context,
        sources: &mut Vec<SourceRef>,
    ) -> Result<Self, MaterializeError> {
        let network = read_network(&args.network)?;
        let slot_ms = network.chain.slot_ms;
        let prefork = match &args.prefork_config {
            Some(argument) => Some(read_prefork(argument, context, sources)?),
            None => None,
        };
        let schedule = match &prefork {
            Some(prefork) => prefork
                .schedule(slot_ms)
                .map_err(MaterializeErrorKind::Schedule)?,
            None => None,
        };
        let block = match &args.block {
            Some(argument) => Some(read_block(argument, slot_ms, directory, context, sources)?),
            None => None,
        };
        let named = block.as_ref().and_then(|block| block.named);
        let by = || "file name".to_owned();
        Ok(Self {
            network,
            block,
            prefork,
            schedule,
            state_hashes: named
                .map(|(_, value)| Expected { value, by: by() })
                .into_iter()
                .collect(),
            lengths: named
                .map(|(value, _)| Expected { value, by: by() })
                .into_iter()
                .collect(),
        })
    }

    /// All of it beside the archive.
    pub(super) fn evidence<'a>(
        &'a self,
        facts: &'a ArchiveFacts,
        computed: [ComputedLedger; 3],
    ) -> Evidence<'a> {
        let block = self.block.as_ref();
        Evidence {
            network: &self.network,
            block: block.map(|block| &block.facts),
            block_problems: block.map_or(&[], |block| &block.problems),
            expected_state_hashes: &self.state_hashes,
            expected_lengths: &self.lengths,
            import: Some(Import::Archive(facts)),
            computed,
            expected_roots: [None, None, None],
            prefork: self.prefork.as_ref(),
            schedule: self.schedule.as_ref(),
        }
    }

    /// What the epochs of the chain's first block are by the config it began with. A chain that began
    /// without epochs of its own has those of its genesis ledger.
    pub(super) fn epochs(&self, genesis_ledger: LedgerHash) -> EpochBasis {
        let first = self
            .prefork
            .as_ref()
            .and_then(|prefork| match prefork.epochs {
                Some([staking, next]) => Some(FirstEpochs {
                    seeds: [staking.seed, next.seed],
                    ledgers: [staking.ledger_hash, next.ledger_hash],
                }),
                None => {
                    let is_first = prefork.fork.is_none();
                    is_first.then(|| FirstEpochs::of_first_genesis(Some(genesis_ledger)))
                }
            });
        EpochBasis {
            slots_per_epoch: self.network.chain.slots_per_epoch,
            first,
        }
    }
}

/// A network file, or one that ships.
pub(crate) fn read_network(name: &str) -> Result<Network, MaterializeError> {
    let file = fork_fs::read_named_file(name, NETWORK_BYTES_MAX)?;
    let network = Network::named(name, file.as_deref());
    Ok(network.map_err(|source| MaterializeErrorKind::Network {
        name: name.to_owned(),
        source,
    })?)
}

fn read_prefork(
    argument: &InputArg,
    context: &Context,
    sources: &mut Vec<SourceRef>,
) -> Result<PreforkConfig, MaterializeError> {
    let (bytes, source) =
        Input::read_all(argument, "prefork-config", PREFORK_BYTES_MAX, None, context)?;
    let config =
        PreforkConfig::from_json(&bytes).map_err(|source| MaterializeErrorKind::Prefork {
            name: argument.to_string(),
            source,
        })?;
    sources.push(source);
    Ok(config)
}

fn read_block(
    argument: &InputArg,
    slot_ms: u64,
    directory: &Path,
    context: &Context,
    sources: &mut Vec<SourceRef>,
) -> Result<ReadBlock, MaterializeError> {
    let (bytes, source) = Input::read_all(argument, "block", BLOCK_BYTES_MAX, None, context)?;
    let block = Block::from_slice(&bytes).map_err(|source| MaterializeErrorKind::Block {
        name: argument.to_string(),
        source: Box::new(source),
    })?;
    write_atomic(&directory.join(BLOCK_NAME), &bytes)?;
    let named = parse_file_name(&source.name);
    sources.push(source);
    Ok(ReadBlock {
        facts: block.facts(),
        problems: block.problems(Some(slot_ms)),
        file: fork_fs::file_ref(directory, BLOCK_NAME)?,
        named,
    })
}
