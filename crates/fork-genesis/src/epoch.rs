//! How the epochs of a block follow from those of its parent.
//!
//! A block carries the data of two epochs: the staking epoch, whose ledger and seed decide who produces
//! blocks now, and the next one. Within an epoch the staking epoch's data stand still; the next epoch's
//! seed takes in the VRF output of every block in the first two thirds, and its lock checkpoint is the
//! last block that did so. The first block of a new epoch makes the next epoch its staking epoch and
//! begins another one, with the snarked ledger of its parent.
//!
//! So two seeds that somebody claims are the end of a chain of hashes over all blocks since the genesis,
//! and can be recomputed wherever those blocks' VRF outputs are known, such as in an archive.
//!
//! Source: MinaProtocol/mina `src/lib/consensus/proof_of_stake.ml` (`Epoch_data.update_pair`)
//! and `src/lib/consensus/epoch_seed.ml`. That seeds follow from VRF
//! outputs, and what stands still within an epoch, holds for every pair of parent and child of two public
//! archives and of the precomputed blocks that are known. No public data with the first block of an epoch
//! is known; what is said of it is from source.

use std::fmt;
use std::sync::LazyLock;

use fork_ledger::packing::{element, field_bytes};
use fork_types::{EpochSeed, FieldBytes, LedgerHash, SlotSinceHardFork, StateHash};
use pasta_poseidon::{Instance, State, hash, prefix_state};

use crate::protocol_state::{EpochData, VrfOutput};

static SEED_STATE: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaEpochSeed"));

/// The bit of a VRF output that blocks and archives do not keep: they have 253 of the 254 that were
/// hashed. A field element has a bit above only with a probability of 2^-128.
const LOST_BIT: u8 = 1 << 5;

/// The two seeds that may come after `before` when a block has this VRF output: one for each value of
/// the bit that is lost.
#[must_use]
pub fn seeds_after(before: EpochSeed, output: &VrfOutput) -> [EpochSeed; 2] {
    [0, LOST_BIT].map(|bit| {
        let mut bytes = *output.bytes();
        bytes[31] |= bit;
        // Values up to 2^254 are elements: the order is slightly above.
        let output = FieldBytes::from_le_bytes(bytes).unwrap_or_default();
        let inputs = [element(before.field()), element(output)];
        EpochSeed::new(field_bytes(hash(&SEED_STATE, &inputs)))
    })
}

/// Whether a block with this VRF output makes the seed `after` of `before`.
#[must_use]
pub fn seed_follows(before: EpochSeed, output: &VrfOutput, after: EpochSeed) -> bool {
    seeds_after(before, output).contains(&after)
}

/// What a block says of its epochs, and what the rule needs besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochPoint {
    /// The block.
    pub state_hash: StateHash,
    /// Its slot.
    pub slot: SlotSinceHardFork,
    /// Its snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// Its VRF output.
    pub last_vrf_output: VrfOutput,
    /// The staking epoch.
    pub staking: EpochData,
    /// The next epoch.
    pub next: EpochData,
}

/// What the rule takes from the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRule {
    /// Slots per epoch, a multiple of three and not 0.
    pub slots_per_epoch: u32,
    /// Ledger of the chain's genesis block. While it is still the snarked ledger, a new epoch keeps the
    /// ledger of the one before.
    pub genesis_ledger_hash: LedgerHash,
}

/// A value that does not follow from the parent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochContradiction {
    /// Which epoch: `staking` or `next`.
    pub epoch: &'static str,
    /// Which value of it, such as `seed`.
    pub value: &'static str,
    /// What follows from the parent.
    pub expected: String,
    /// What the block says.
    pub found: String,
}

impl fmt::Display for EpochContradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch,
            value,
            expected,
            found,
        } = self;
        write!(
            f,
            "the {value} of the {epoch} epoch is {found}, and {expected} follows from its parent"
        )
    }
}

impl EpochRule {
    /// The epoch of a slot, and whether blocks there change the seed.
    const fn place(&self, slot: SlotSinceHardFork) -> (u32, bool) {
        let slots = match self.slots_per_epoch {
            0 => 1,
            slots => slots,
        };
        let third = slots / 3;
        (slot.get() / slots, slot.get() % slots < 2 * third)
    }

    /// The first value of `child` that does not follow from `parent`. Currency totals are compared
    /// within an epoch only, and the lock checkpoint only where the rule for it is certain.
    #[must_use]
    pub fn contradiction(
        &self,
        parent: &EpochPoint,
        child: &EpochPoint,
    ) -> Option<EpochContradiction> {
        let (before, _) = self.place(parent.slot);
        let (epoch, changes_seed) = self.place(child.slot);
        let is_new = epoch > before;
        let staking = if is_new {
            &parent.next
        } else {
            &parent.staking
        };
        let mut found = Found(None);
        found.data("staking", staking, &child.staking);
        let (old, next) = (&parent.next, &child.next);
        if is_new {
            let ledger = if parent.snarked_ledger_hash == self.genesis_ledger_hash {
                old.ledger_hash
            } else {
                parent.snarked_ledger_hash
            };
            found.value("next", "ledger", ledger, next.ledger_hash);
            let start = parent.state_hash;
            found.value("next", "start checkpoint", start, next.start_checkpoint);
            found.value("next", "epoch length", 1, next.epoch_length);
        } else {
            found.value("next", "ledger", old.ledger_hash, next.ledger_hash);
            let (before, after) = (old.total_currency, next.total_currency);
            found.value("next", "total currency", before, after);
            let start = old.start_checkpoint;
            found.value("next", "start checkpoint", start, next.start_checkpoint);
            let length = old.epoch_length.saturating_add(1);
            found.value("next", "epoch length", length, next.epoch_length);
        }
        if changes_seed {
            let lock = parent.state_hash;
            found.value("next", "lock checkpoint", lock, next.lock_checkpoint);
            let seeds = seeds_after(old.seed, &child.last_vrf_output);
            if !seeds.contains(&next.seed) {
                let [first, second] = seeds;
                let expected = format!("{first} or {second}");
                found.note("next", "seed", expected, next.seed.to_string());
            }
        } else {
            if !is_new {
                let lock = old.lock_checkpoint;
                found.value("next", "lock checkpoint", lock, next.lock_checkpoint);
            }
            found.value("next", "seed", old.seed, next.seed);
        }
        found.0
    }
}

/// The first contradiction.
struct Found(Option<EpochContradiction>);

impl Found {
    fn note(&mut self, epoch: &'static str, value: &'static str, expected: String, found: String) {
        self.0.get_or_insert(EpochContradiction {
            epoch,
            value,
            expected,
            found,
        });
    }

    fn value<T: PartialEq + fmt::Display>(
        &mut self,
        epoch: &'static str,
        value: &'static str,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.note(epoch, value, expected.to_string(), found.to_string());
        }
    }

    fn data(&mut self, epoch: &'static str, expected: &EpochData, found: &EpochData) {
        let (before, after) = (expected, found);
        self.value(epoch, "seed", before.seed, after.seed);
        self.value(epoch, "ledger", before.ledger_hash, after.ledger_hash);
        self.value(
            epoch,
            "total currency",
            before.total_currency,
            after.total_currency,
        );
        self.value(
            epoch,
            "start checkpoint",
            before.start_checkpoint,
            after.start_checkpoint,
        );
        self.value(
            epoch,
            "lock checkpoint",
            before.lock_checkpoint,
            after.lock_checkpoint,
        );
        self.value(
            epoch,
            "epoch length",
            before.epoch_length,
            after.epoch_length,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fork_types::Amount;

    const SLOTS: u32 = 30;

    fn rule() -> EpochRule {
        EpochRule {
            slots_per_epoch: SLOTS,
            genesis_ledger_hash: ledger(1),
        }
    }

    fn field(number: u8) -> FieldBytes {
        let mut bytes = [0; 32];
        bytes[0] = number;
        FieldBytes::from_le_bytes(bytes).unwrap()
    }

    fn ledger(number: u8) -> LedgerHash {
        LedgerHash::new(field(number))
    }

    fn epoch(number: u8) -> EpochData {
        EpochData {
            ledger_hash: ledger(number),
            total_currency: Amount::from_nanomina(u64::from(number)),
            seed: EpochSeed::new(field(number)),
            start_checkpoint: StateHash::new(field(number)),
            lock_checkpoint: StateHash::new(field(number)),
            epoch_length: 5,
        }
    }

    fn point(number: u8, slot: u32) -> EpochPoint {
        EpochPoint {
            state_hash: StateHash::new(field(100 + number)),
            slot: SlotSinceHardFork::new(slot),
            snarked_ledger_hash: ledger(50),
            last_vrf_output: VrfOutput::new([number; 32].map(|byte| byte & 0x1f)).unwrap(),
            staking: epoch(10),
            next: epoch(20),
        }
    }

    /// A child at `slot` that follows from its parent, by the text of the rule.
    fn child(parent: &EpochPoint, slot: u32) -> EpochPoint {
        let mut child = point(7, slot);
        (child.staking, child.next) = (parent.staking.clone(), parent.next.clone());
        child.next.epoch_length += 1;
        if slot / SLOTS > parent.slot.get() / SLOTS {
            child.staking = parent.next.clone();
            child.next.epoch_length = 1;
            child.next.start_checkpoint = parent.state_hash;
            if parent.snarked_ledger_hash != ledger(1) {
                child.next.ledger_hash = parent.snarked_ledger_hash;
            }
        }
        if slot % SLOTS < 20 {
            child.next.lock_checkpoint = parent.state_hash;
            child.next.seed = seeds_after(parent.next.seed, &child.last_vrf_output)[1];
        }
        child
    }

    #[test]
    fn a_child_in_every_place_follows() {
        for (before, after) in [
            (3, 4),
            (3, 19),
            (3, 20),
            (25, 29),
            (3, 30),
            (29, 50),
            (29, 95),
        ] {
            for genesis in [false, true] {
                let mut parent = point(3, before);
                if genesis {
                    parent.snarked_ledger_hash = ledger(1);
                }
                let child = child(&parent, after);
                assert_eq!(
                    rule().contradiction(&parent, &child),
                    None,
                    "{before} {after}"
                );
            }
        }
    }

    #[test]
    fn every_value_is_compared() {
        type Edit = fn(&mut EpochPoint);
        let edits: [(&str, &str, Edit); 12] = [
            ("staking", "seed", |at| at.staking.seed = epoch(9).seed),
            ("staking", "ledger", |at| at.staking.ledger_hash = ledger(9)),
            ("staking", "total currency", |at| {
                at.staking.total_currency = Amount::ZERO;
            }),
            ("staking", "start checkpoint", |at| {
                at.staking.start_checkpoint = at.state_hash;
            }),
            ("staking", "lock checkpoint", |at| {
                at.staking.lock_checkpoint = at.state_hash;
            }),
            ("staking", "epoch length", |at| at.staking.epoch_length += 1),
            ("next", "seed", |at| at.next.seed = epoch(9).seed),
            ("next", "seed", |at| {
                let mut output = *at.last_vrf_output.bytes();
                output[0] ^= 1;
                at.last_vrf_output = VrfOutput::new(output).unwrap();
            }),
            ("next", "ledger", |at| at.next.ledger_hash = ledger(9)),
            ("next", "start checkpoint", |at| {
                at.next.start_checkpoint = at.state_hash;
            }),
            ("next", "lock checkpoint", |at| {
                at.next.lock_checkpoint = at.state_hash;
            }),
            ("next", "epoch length", |at| at.next.epoch_length += 1),
        ];
        for slot in [4, 33] {
            let parent = point(3, 3);
            for (epoch, value, edit) in edits {
                let mut child = child(&parent, slot);
                edit(&mut child);
                let found = rule().contradiction(&parent, &child).unwrap();
                assert_eq!((found.epoch, found.value), (epoch, value), "slot {slot}");
                assert_ne!(found.expected, found.found);
            }
        }
        // The last third: neither the seed nor its checkpoint moves.
        let parent = point(3, 21);
        for (value, edit) in [
            ("seed", edits[6].2),
            ("lock checkpoint", edits[10].2),
            ("total currency", |at: &mut EpochPoint| {
                at.next.total_currency = Amount::ZERO;
            }),
        ] {
            let mut child = child(&parent, 22);
            edit(&mut child);
            let found = rule().contradiction(&parent, &child).unwrap();
            assert_eq!(found.value, value);
        }
    }

    /// The genesis block of the public test network of November 2024, and one of its next blocks: both
    /// values of the lost bit occur.
    #[test]
    fn published_seeds_follow_from_published_outputs() {
        let published = [
            (
                "2va9BGv9JrLTtrzZttiEMDYw1Zj6a6EHzXjmP9evHDTG3oEquURA",
                "39cyg4ZmMtnb_aFUIerNAoAJV8qtkfOpq0zFzPspjgM=",
                "2vafPBQ3zQdHUEDDnFGuiNvJz7s2MhTLJgSzQSnu5fnZavT27cms",
            ),
            (
                "2vbNmL57Q95z8subuevjCE54go6mq44fFPJmekMu4WnaWxpG6sp5",
                "q5IeSyaWPMHbUi1H-4F9R1lYgMJHdC_CAsWRlBjVtgE=",
                "2var47mScGoHUTeXDjFxvTNz8Parh3gPDsyKWBHgYHFrb1k5BpLs",
            ),
        ];
        for (number, (before, output, after)) in published.into_iter().enumerate() {
            let before: EpochSeed = before.parse().unwrap();
            let after: EpochSeed = after.parse().unwrap();
            let output: VrfOutput = output.parse().unwrap();
            let seeds = seeds_after(before, &output);
            assert_eq!(seeds[1 - number], after);
            assert_ne!(seeds[number], after);
            assert!(seed_follows(before, &output, after));
            assert!(!seed_follows(after, &output, before));
        }
        // The first genesis begins with nothing.
        assert_eq!(
            published[0].0.parse::<EpochSeed>().unwrap(),
            EpochSeed::new(FieldBytes::ZERO)
        );
    }
}
