//! `block`: a precomputed block's state hash and fork facts.

use std::fmt::Write as _;

use fork_genesis::block::{HashRule, NameCheck, parse_file_name};
use fork_genesis::protocol_state::EpochData;
use fork_genesis::{Block, BlockError, ForkBlockFacts};
use fork_types::document::SourceRef;
use fork_types::{EpochSeed, LedgerHash, StateHash};
use fork_worker::{Context, Input};
use serde::Serialize;

use crate::args::BlockArgs;
use crate::error::{InspectError, InspectErrorKind};

/// Outcome of comparing the computed hash with a claimed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Equal.
    Matches,
    /// Different.
    Differs,
    /// A genesis block, whose hash cannot be recomputed.
    GenesisCannotBeChecked,
    /// Different, but no published Mesa hash was ever reproduced, so nothing follows.
    UnverifiedForMesa,
}

impl From<NameCheck> for Check {
    fn from(check: NameCheck) -> Self {
        match check {
            NameCheck::Matches => Self::Matches,
            NameCheck::Differs => Self::Differs,
            NameCheck::GenesisCannotBeChecked => Self::GenesisCannotBeChecked,
            NameCheck::UnverifiedForMesa => Self::UnverifiedForMesa,
        }
    }
}

/// A claimed hash and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The hash.
    pub state_hash: StateHash,
    /// The height, when the claim has one.
    pub height: Option<u32>,
    /// The outcome.
    pub check: Check,
}

/// One epoch of the block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochReport {
    /// Root of its ledger.
    pub ledger_hash: LedgerHash,
    /// Its seed.
    pub seed: EpochSeed,
    /// Currency in its ledger, nanomina.
    pub total_currency: String,
    /// Blocks in it.
    pub epoch_length: u32,
}

impl From<&EpochData> for EpochReport {
    fn from(epoch: &EpochData) -> Self {
        Self {
            ledger_hash: epoch.ledger_hash,
            seed: epoch.seed,
            total_currency: epoch.total_currency.nanomina().to_string(),
            epoch_length: epoch.epoch_length,
        }
    }
}

/// Something a block says that contradicts something else it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemReport {
    /// Stable identifier.
    pub id: &'static str,
    /// The member.
    pub path: &'static str,
    /// What follows from the rest of the block.
    pub expected: String,
    /// What it says.
    pub found: String,
    /// Whether good blocks were seen with this.
    pub warning_only: bool,
}

/// What a block says about the fork it may be the last block before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockReport {
    /// Version of this object.
    pub version: u32,
    /// State hash, recomputed.
    pub state_hash: StateHash,
    /// Hash of the body, recomputed.
    pub body_hash: String,
    /// Whether published hashes were reproduced with the rule used.
    pub hash_rule_proved: bool,
    /// What the file's name claims.
    pub name: Option<Claim>,
    /// What `--expect` claims.
    pub expect: Option<Claim>,
    /// State hash of the parent.
    pub previous_state_hash: StateHash,
    /// Genesis state hash of the chain.
    pub genesis_state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// The block's own slot since genesis.
    pub global_slot_since_genesis: u32,
    /// The block's own slot since the last hard fork.
    pub slot_since_hard_fork: u32,
    /// Slot since genesis of the chain's genesis.
    pub chain_fork_slot: Option<u32>,
    /// Root of the staged ledger.
    pub staged_ledger_hash: LedgerHash,
    /// Root of the snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// Root of the chain's genesis ledger.
    pub genesis_ledger_hash: LedgerHash,
    /// The staking epoch.
    pub staking_epoch: EpochReport,
    /// The next epoch.
    pub next_epoch: EpochReport,
    /// Currency in the snarked ledger, nanomina.
    pub total_currency: String,
    /// Time of the block's slot, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// When the producer meant to publish.
    pub scheduled_time_ms: Option<u64>,
    /// Transaction version of the protocol.
    pub transaction_version: Option<u32>,
    /// Version of the file format.
    pub file_version: Option<u32>,
    /// Self-contradictions.
    pub problems: Vec<ProblemReport>,
    /// The file.
    pub source: SourceRef,
}

/// Reads a block and compares it with its name and `--expect`.
///
/// # Errors
///
/// Fails when the file is no usable block. What is wrong about a readable one is in the report; see
/// [`BlockReport::verdict`].
pub fn inspect_block(args: &BlockArgs, context: &Context) -> Result<BlockReport, InspectError> {
    let mut input = Input::open(&args.file, "block", context)?;
    let block = match Block::from_reader(&mut input) {
        Ok(block) => block,
        Err(BlockError::Read { source }) => return Err(input.damaged(source).into()),
        Err(source) => {
            return Err(InspectErrorKind::Block {
                file: input.name().to_owned(),
                source,
            }
            .into());
        }
    };
    let name = claim_in_name(input.name());
    let source = input.finish(args.sha256.as_deref())?;
    let facts = block.facts();
    let problems = block
        .problems(args.slot_ms)
        .into_iter()
        .map(|problem| ProblemReport {
            id: problem.id,
            path: problem.path,
            expected: problem.expected,
            found: problem.found,
            warning_only: problem.warning_only,
        })
        .collect();
    let claim = |state_hash, height| Claim {
        state_hash,
        height,
        check: facts.check_name(state_hash).into(),
    };
    Ok(BlockReport {
        version: 1,
        state_hash: facts.state_hash,
        body_hash: facts.body_hash.to_string(),
        hash_rule_proved: facts.hash_rule == HashRule::Proved,
        name: name.map(|(height, state_hash)| claim(state_hash, Some(height))),
        expect: args.expect.map(|state_hash| claim(state_hash, None)),
        previous_state_hash: facts.previous_state_hash,
        genesis_state_hash: facts.genesis_state_hash,
        blockchain_length: facts.blockchain_length,
        global_slot_since_genesis: facts.global_slot_since_genesis.get(),
        slot_since_hard_fork: facts.slot_since_hard_fork.get(),
        chain_fork_slot: ForkBlockFacts::chain_fork_slot(&facts).map(|slot| slot.get()),
        staged_ledger_hash: facts.staged_ledger_hash,
        snarked_ledger_hash: facts.snarked_ledger_hash,
        genesis_ledger_hash: facts.genesis_ledger_hash,
        staking_epoch: (&facts.staking_epoch).into(),
        next_epoch: (&facts.next_epoch).into(),
        total_currency: facts.total_currency.nanomina().to_string(),
        timestamp_ms: facts.timestamp_ms,
        scheduled_time_ms: facts.scheduled_time_ms,
        transaction_version: facts.transaction_version,
        file_version: facts.file_version,
        problems,
        source,
    })
}

/// Height and state hash in a file's name, which may say that it is compressed.
fn claim_in_name(path: &str) -> Option<(u32, StateHash)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(name);
    parse_file_name(name)
}

impl BlockReport {
    /// What is wrong about the block, if anything.
    ///
    /// # Errors
    ///
    /// Fails with the first of: another hash or height than the name says, another hash than
    /// `--expect` or one that cannot be compared with it, self-contradictions.
    pub fn verdict(&self, file: &str) -> Result<(), InspectError> {
        let claims = [("its name", &self.name), ("--expect", &self.expect)];
        for (claimant, claim) in claims {
            let Some(claim) = claim else { continue };
            if claim.check == Check::Differs {
                return Err(InspectErrorKind::StateHashDiffers {
                    file: file.to_owned(),
                    claimant,
                    claimed: claim.state_hash,
                    computed: self.state_hash,
                }
                .into());
            }
            if let Some(claimed) = claim
                .height
                .filter(|height| *height != self.blockchain_length)
            {
                return Err(InspectErrorKind::HeightDiffers {
                    file: file.to_owned(),
                    claimed,
                    found: self.blockchain_length,
                }
                .into());
            }
        }
        // An explicit expectation that nothing can confirm must not look confirmed.
        let reason = match self.expect.as_ref().map(|claim| claim.check) {
            Some(Check::GenesisCannotBeChecked) => {
                Some("the hash of a genesis block cannot be recomputed")
            }
            Some(Check::UnverifiedForMesa) => {
                Some("the hashes differ, and the rule is not verified for Mesa")
            }
            Some(Check::Matches | Check::Differs) | None => None,
        };
        if let Some(reason) = reason {
            return Err(InspectErrorKind::NotComparable {
                file: file.to_owned(),
                reason,
            }
            .into());
        }
        let ids: Vec<&'static str> = self
            .problems
            .iter()
            .filter(|problem| !problem.warning_only)
            .map(|problem| problem.id)
            .collect();
        if ids.is_empty() {
            Ok(())
        } else {
            Err(InspectErrorKind::Contradiction {
                file: file.to_owned(),
                ids,
            }
            .into())
        }
    }

    /// The report for people: the state hash alone on the first line.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = format!("{}\n", self.state_hash);
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<22} {value}");
        };
        if !self.hash_rule_proved {
            line("hash rule", &"Berkeley's, not verified for Mesa");
        }
        for (name, claim) in [("file name", &self.name), ("--expect", &self.expect)] {
            if let Some(claim) = claim {
                let verdict = match claim.check {
                    Check::Matches => "matches",
                    Check::Differs => "DIFFERS",
                    Check::GenesisCannotBeChecked => {
                        "genesis block, whose hash cannot be recomputed"
                    }
                    Check::UnverifiedForMesa => "differs, the rule is not verified for Mesa",
                };
                line(name, &format_args!("{verdict} ({})", claim.state_hash));
            }
        }
        line("height", &self.blockchain_length);
        line("slot since genesis", &self.global_slot_since_genesis);
        line("slot since hard fork", &self.slot_since_hard_fork);
        if let Some(slot) = self.chain_fork_slot {
            line("chain began at slot", &slot);
        }
        line("parent", &self.previous_state_hash);
        line("genesis state hash", &self.genesis_state_hash);
        line("staged ledger", &self.staged_ledger_hash);
        line("snarked ledger", &self.snarked_ledger_hash);
        line("genesis ledger", &self.genesis_ledger_hash);
        line("staking epoch ledger", &self.staking_epoch.ledger_hash);
        line("staking epoch seed", &self.staking_epoch.seed);
        line("next epoch ledger", &self.next_epoch.ledger_hash);
        line("next epoch seed", &self.next_epoch.seed);
        line("timestamp (ms)", &self.timestamp_ms);
        if let Some(time) = self.scheduled_time_ms {
            line("scheduled time (ms)", &time);
        }
        if let Some(version) = self.transaction_version {
            line("transaction version", &version);
        }
        for problem in &self.problems {
            let kind = if problem.warning_only {
                "warning"
            } else {
                "problem"
            };
            line(
                kind,
                &format_args!(
                    "{}: `{}` is {}, expected {}",
                    problem.id, problem.path, problem.found, problem.expected
                ),
            );
        }
        text
    }
}
