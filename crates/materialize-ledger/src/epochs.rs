//! Seeds and epoch ledgers, proved from block to block.
//!
//! Nothing in a ledger says of which epoch it is, and a seed is in no ledger. But both follow from the
//! blocks below: the archive has the VRF output of every block, whose hashes the seeds are, and the
//! checkpoints and lengths that tie each row of an epoch to its block. So a seed, a pointer or a ledger
//! that is another one contradicts the blocks around it, and all of them down to the first block of
//! the chain are compared.

use fork_archive::{ArchiveErrorKind, ArchivedEpoch, EpochBlock};
use fork_genesis::epoch::{EpochPoint, EpochRule, seeds_after};
use fork_genesis::protocol_state::EpochData;
use fork_types::document::ProvedEpochs;
use fork_types::{Class, EpochSeed, Fault, FieldBytes, LedgerHash, StateHash};
use fork_worker::{Context, Unit};

use crate::error::MaterializeError;
use crate::prove::Located;

/// What the epochs of a chain's first block are, by something other than the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstEpochs {
    /// Seeds of the staking and of the next epoch before that block.
    pub seeds: [EpochSeed; 2],
    /// Roots of the two ledgers, where they are known.
    pub ledgers: [Option<LedgerHash>; 2],
}

impl FirstEpochs {
    /// Those of a chain that no other came before: nothing is in its seeds yet. Both ledgers are its
    /// genesis ledger, where that is to be compared.
    #[must_use]
    pub const fn of_first_genesis(ledger: Option<LedgerHash>) -> Self {
        Self {
            seeds: [EpochSeed::new(FieldBytes::ZERO); 2],
            ledgers: [ledger; 2],
        }
    }
}

/// What the rule needs besides the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochBasis {
    /// Slots per epoch.
    pub slots_per_epoch: u32,
    /// The epochs of the chain's first block; without them they are what the archive says, unless its
    /// first seed is that of a first genesis.
    pub first: Option<FirstEpochs>,
}

/// Why the epochs of a block cannot be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// Values that do not follow from the parent's.
    #[error("the epochs of block {state_hash} at height {height} do not follow: {problem}")]
    Broken {
        /// The block.
        state_hash: StateHash,
        /// Its height.
        height: u32,
        /// What is wrong.
        problem: String,
    },
    /// The first block's are others.
    #[error("the epochs of the chain's first block {state_hash} are others: {problem}")]
    First {
        /// The block.
        state_hash: StateHash,
        /// What is wrong.
        problem: String,
    },
}

impl Fault for EpochError {
    fn class(&self) -> Class {
        Class::Wrong
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Broken { .. } => {
                "rows of blocks or epoch_data are wrong: compare them with another archive, or give \
                 the precomputed fork block with --block, whose state hash proves its seeds"
            }
            Self::First { .. } => {
                "is --prefork-config the config this chain began with? Otherwise rows of blocks or \
                 epoch_data are wrong; a precomputed fork block (--block) proves its seeds"
            }
        };
        Some(hint.to_owned())
    }
}

fn data(epoch: &ArchivedEpoch) -> EpochData {
    EpochData {
        ledger_hash: epoch.ledger_hash,
        total_currency: epoch.total_currency,
        seed: epoch.seed,
        start_checkpoint: epoch.start_checkpoint,
        lock_checkpoint: epoch.lock_checkpoint,
        epoch_length: epoch.epoch_length,
    }
}

fn point(block: &EpochBlock) -> Result<EpochPoint, ArchiveErrorKind> {
    let last_vrf_output = block.last_vrf_output.parse();
    Ok(EpochPoint {
        state_hash: block.state_hash,
        slot: block.slot_since_hard_fork,
        snarked_ledger_hash: block.snarked_ledger_hash,
        last_vrf_output: last_vrf_output.map_err(
            |error: fork_genesis::protocol_state::VrfOutputError| ArchiveErrorKind::Value {
                table: "blocks",
                column: "last_vrf_output",
                row: format!("block {}", block.state_hash),
                problem: error.to_string(),
            },
        )?,
        staking: data(&block.staking),
        next: data(&block.next),
    })
}

/// What is wrong with the first block, and whether its seeds were compared.
fn first_block(point: &EpochPoint, expected: Option<&FirstEpochs>) -> (Option<String>, bool) {
    let (staking, next) = (&point.staking, &point.next);
    let of_first_genesis = FirstEpochs::of_first_genesis(None);
    let expected = match expected {
        Some(expected) => expected,
        None if staking.seed == of_first_genesis.seeds[0] => &of_first_genesis,
        None => return (None, false),
    };
    let seeds = seeds_after(expected.seeds[1], &point.last_vrf_output);
    let problem = if staking.seed != expected.seeds[0] {
        Some(format!(
            "the staking seed is {}, expected {}",
            staking.seed, expected.seeds[0]
        ))
    } else if !seeds.contains(&next.seed) {
        let [first, second] = seeds;
        Some(format!(
            "the next seed is {}, expected {first} or {second}",
            next.seed
        ))
    } else {
        [("staking", staking, 0), ("next", next, 1)]
            .into_iter()
            .find_map(|(name, epoch, place)| {
                let ledger = expected.ledgers[place].filter(|root| *root != epoch.ledger_hash)?;
                let found = epoch.ledger_hash;
                Some(format!("the {name} ledger is {found}, expected {ledger}"))
            })
    };
    (problem, true)
}

/// Holds the epochs of every block of a branch, from the genesis of its chain up, against those of its
/// parent: a linear read, and one or two hashes per block.
///
/// # Errors
///
/// Fails with [`EpochError`] on the first block that contradicts its parent, and when the archive does.
pub fn prove_epochs(
    archive: &mut fork_archive::Archive,
    at: &Located,
    basis: &EpochBasis,
    context: &Context,
) -> Result<ProvedEpochs, MaterializeError> {
    let rule = EpochRule {
        slots_per_epoch: basis.slots_per_epoch,
        genesis_ledger_hash: at.branch.genesis.ledger_hash,
    };
    let total = u64::from(at.branch.blocks);
    let progress = context.progress("comparing epochs", total, Unit::Items);
    let mut parent: Option<EpochPoint> = None;
    let mut problem: Option<EpochError> = None;
    let mut proved = ProvedEpochs {
        blocks: 0,
        from_config: basis.first.is_some(),
        from_archive: false,
    };
    archive.epochs(&at.block, &mut |block| {
        proved.blocks += 1;
        progress.advance(1);
        // The rest is read for the connection alone.
        if problem.is_some() {
            return Ok(());
        }
        let here = point(&block)?;
        let state_hash = block.state_hash;
        match &parent {
            None => {
                let (found, compared) = first_block(&here, basis.first.as_ref());
                proved.from_archive = !compared;
                problem = found.map(|problem| EpochError::First {
                    state_hash,
                    problem,
                });
            }
            Some(before) => {
                problem = rule
                    .contradiction(before, &here)
                    .map(|found| EpochError::Broken {
                        state_hash,
                        height: block.height,
                        problem: found.to_string(),
                    });
            }
        }
        parent = Some(here);
        Ok(())
    })?;
    drop(progress);
    problem.map_or(Ok(proved), |problem| Err(problem.into()))
}
