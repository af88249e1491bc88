//! The epochs of made-up blocks, as the protocol takes them over from the parent.

use fork_genesis::epoch::seeds_after;
use fork_genesis::protocol_state::{EpochData, VrfOutput};
use fork_types::{Amount, EpochSeed, FieldBytes, LedgerHash, StateHash};

use super::rows::{Rows, quoted};
use crate::fixture::Random;

/// The epochs of a block, and the VRF output that is in their seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// Output of the block's VRF.
    pub last_vrf_output: VrfOutput,
    /// The staking epoch.
    pub staking: EpochData,
    /// The next epoch.
    pub next: EpochData,
}

/// What the epochs of a child take from its parent besides the parent's.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    /// Its state hash.
    pub state_hash: StateHash,
    /// Its slot since the last hard fork.
    pub slot: u32,
    /// Its snarked ledger; `None` while that is still the genesis ledger.
    pub snarked: Option<LedgerHash>,
}

/// A VRF output and the bit of it that nobody keeps.
fn output(random: &mut Random) -> (VrfOutput, usize) {
    let mut bytes = random.field().to_le_bytes();
    let lost = usize::from(bytes[31] >> 5 & 1);
    bytes[31] &= 0x1f;
    (VrfOutput::new(bytes).unwrap_or_default(), lost)
}

impl Epochs {
    /// Roots of the two ledgers.
    #[must_use]
    pub const fn ledgers(&self) -> [LedgerHash; 2] {
        [self.staking.ledger_hash, self.next.ledger_hash]
    }

    /// The two seeds.
    #[must_use]
    pub const fn seeds(&self) -> [EpochSeed; 2] {
        [self.staking.seed, self.next.seed]
    }

    /// Those of a chain's first block: the first seed is zero.
    #[must_use]
    pub fn of_genesis(root: LedgerHash, random: &mut Random) -> Self {
        let (last_vrf_output, lost) = output(random);
        let staking = EpochData {
            ledger_hash: root,
            total_currency: Amount::from_nanomina(1000),
            seed: EpochSeed::new(FieldBytes::ZERO),
            start_checkpoint: StateHash::DUMMY,
            lock_checkpoint: StateHash::DUMMY,
            epoch_length: 1,
        };
        let next = EpochData {
            seed: seeds_after(staking.seed, &last_vrf_output)[lost],
            epoch_length: 2,
            ..staking.clone()
        };
        Self {
            last_vrf_output,
            staking,
            next,
        }
    }

    /// Those of a child at `slot`.
    #[must_use]
    pub fn of_child(
        &self,
        parent: Parent,
        slot: u32,
        slots_per_epoch: u32,
        random: &mut Random,
    ) -> Self {
        let (last_vrf_output, lost) = output(random);
        let mut staking = self.staking.clone();
        let mut next = self.next.clone();
        if slot / slots_per_epoch == parent.slot / slots_per_epoch {
            next.epoch_length += 1;
        } else {
            staking = next.clone();
            next.ledger_hash = parent.snarked.unwrap_or(next.ledger_hash);
            next.start_checkpoint = parent.state_hash;
            next.lock_checkpoint = StateHash::DUMMY;
            next.epoch_length = 1;
        }
        if slot % slots_per_epoch < slots_per_epoch / 3 * 2 {
            next.lock_checkpoint = parent.state_hash;
            next.seed = seeds_after(next.seed, &last_vrf_output)[lost];
        }
        Self {
            last_vrf_output,
            staking,
            next,
        }
    }
}

impl Rows {
    /// The rows of the two epochs.
    pub(super) fn epochs(&mut self, epochs: &Epochs) -> [usize; 2] {
        [&epochs.staking, &epochs.next].map(|epoch| {
            let ledger = quoted(&epoch.ledger_hash.to_string());
            let ledger = self.id("snarked_ledger_hashes", &ledger);
            let values = format!(
                "'{}', {ledger}, '{}', '{}', '{}', {}",
                epoch.seed,
                epoch.total_currency.nanomina(),
                epoch.start_checkpoint,
                epoch.lock_checkpoint,
                epoch.epoch_length
            );
            self.id("epoch_data", &values)
        })
    }
}
