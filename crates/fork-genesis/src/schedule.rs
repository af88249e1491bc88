//! From stop slots to the slot and time of the new genesis, and back.
//!
//! ```text
//! scheduled slot (since hard fork, old chain) = slot_chain_end + hard_fork_genesis_slot_delta
//! new global slot since genesis               = old fork slot + scheduled slot
//! new genesis time                            = old genesis time + scheduled slot * OLD slot time
//! ```
//!
//! The slot time is the old chain's and comes from the network file; there is no default time.
//! Sources: MinaProtocol/mina `src/lib/runtime_config/runtime_config.ml`; `spec/migration.md` 7.

use fork_types::{Class, Fault, SlotSinceGenesis, SlotSinceHardFork, SlotSpan};

use crate::timestamp::{GenesisTimestamp, TimestampError};

/// The clock of the chain that is being left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainClock {
    /// Genesis time of the chain.
    pub genesis: GenesisTimestamp,
    /// Slot time in milliseconds.
    pub slot_ms: u64,
    /// Slot since genesis of the chain's own genesis: 0 for a chain that never forked.
    pub fork_slot: SlotSinceGenesis,
}

/// What is known about the new genesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleInput {
    /// Slot since hard fork after which no transactions are taken.
    pub slot_tx_end: Option<SlotSinceHardFork>,
    /// Slot since hard fork after which no blocks are made.
    pub slot_chain_end: Option<SlotSinceHardFork>,
    /// Slots from the chain's end to the new genesis.
    pub genesis_slot_delta: Option<SlotSpan>,
    /// Time of the new genesis, when it is given directly.
    pub genesis_timestamp: Option<GenesisTimestamp>,
}

impl ScheduleInput {
    /// With what somebody decided instead. An `unscheduled` fork forgets what was planned.
    ///
    /// # Errors
    ///
    /// Fails on a time that cannot be read.
    pub fn overridden(
        self,
        unscheduled: bool,
        slot_chain_end: Option<SlotSinceHardFork>,
        genesis_slot_delta: Option<SlotSpan>,
        genesis_timestamp: Option<&str>,
    ) -> Result<Self, TimestampError> {
        let planned = if unscheduled { Self::default() } else { self };
        let given = genesis_timestamp.map(GenesisTimestamp::parse).transpose()?;
        Ok(Self {
            slot_tx_end: planned.slot_tx_end,
            slot_chain_end: slot_chain_end.or(planned.slot_chain_end),
            genesis_slot_delta: genesis_slot_delta.or(planned.genesis_slot_delta),
            genesis_timestamp: given.map(|(time, _)| time).or(planned.genesis_timestamp),
        })
    }
}

/// Slot and time of the new genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Slot of the new genesis, counted on the old chain.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Slot of the new genesis since the first genesis: the new `proof.fork` slot.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Time of the new genesis.
    pub genesis_timestamp: GenesisTimestamp,
    /// Every step, in words and numbers.
    pub derivation: Vec<String>,
}

/// Why there is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Nothing to compute from.
    #[error(
        "the time of the new genesis is not known: neither a genesis timestamp nor slot_chain_end \
         with hard_fork_genesis_slot_delta is given"
    )]
    NothingGiven,
    /// One of two values that belong together.
    #[error("{given} is given without {missing}")]
    HalfGiven {
        /// What is there.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A slot time of 0.
    #[error("the slot time of the network is 0 ms")]
    SlotTimeZero,
    /// A slot or time that does not fit.
    #[error("{what} does not fit: {arithmetic}")]
    Overflow {
        /// What was computed.
        what: &'static str,
        /// From which numbers.
        arithmetic: String,
    },
    /// The new genesis is not after the old one.
    #[error("the new genesis time {new} is not after {old}, the genesis of the chain it follows")]
    NotAfterGenesis {
        /// New genesis time.
        new: GenesisTimestamp,
        /// Old genesis time.
        old: GenesisTimestamp,
    },
    /// The new genesis is not at the start of a slot.
    #[error(
        "the new genesis time {new} is {excess_ms} ms after slot {slot} of {slot_ms} ms; the nearest \
         slots start at {before} and {after}"
    )]
    NotAligned {
        /// New genesis time.
        new: GenesisTimestamp,
        /// How far into the slot it is, in milliseconds.
        excess_ms: u64,
        /// The slot it lies in.
        slot: u64,
        /// Slot time in milliseconds.
        slot_ms: u64,
        /// Start of that slot.
        before: GenesisTimestamp,
        /// Start of the next one.
        after: GenesisTimestamp,
    },
    /// The two derivations disagree.
    #[error(
        "slot_chain_end {slot_chain_end} + delta {delta} is slot {from_slots} at {slots_time}, but \
         the genesis timestamp {given} is slot {from_time}"
    )]
    Disagree {
        /// Given chain end.
        slot_chain_end: SlotSinceHardFork,
        /// Given delta.
        delta: SlotSpan,
        /// Scheduled slot.
        from_slots: SlotSinceHardFork,
        /// Its time.
        slots_time: GenesisTimestamp,
        /// Given time.
        given: GenesisTimestamp,
        /// Its slot.
        from_time: SlotSinceHardFork,
    },
    /// Slots that do not follow each other.
    #[error("{later_name} {later} lies before {earlier_name} {earlier}")]
    Order {
        /// Which should be first.
        earlier_name: &'static str,
        /// Its slot.
        earlier: SlotSinceHardFork,
        /// Which should follow.
        later_name: &'static str,
        /// Its slot.
        later: SlotSinceHardFork,
    },
}

impl Fault for ScheduleError {
    fn class(&self) -> Class {
        match self {
            Self::NothingGiven | Self::HalfGiven { .. } => Class::Usage,
            Self::SlotTimeZero | Self::Overflow { .. } => Class::BadInput,
            Self::NotAfterGenesis { .. }
            | Self::NotAligned { .. }
            | Self::Disagree { .. }
            | Self::Order { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NothingGiven => {
                "give the slots, the timestamp, or both; both together check each other"
            }
            Self::Disagree { .. } | Self::NotAligned { .. } => {
                "check the slot time of the network file: it must be the old chain's, and stop \
                 slots count from the last hard fork"
            }
            Self::HalfGiven { .. }
            | Self::SlotTimeZero
            | Self::Overflow { .. }
            | Self::NotAfterGenesis { .. }
            | Self::Order { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl ChainClock {
    /// Time at which `slot` of this chain starts.
    ///
    /// # Errors
    ///
    /// Fails when the time does not fit.
    pub fn time_of(&self, slot: SlotSinceHardFork) -> Result<GenesisTimestamp, ScheduleError> {
        u64::from(slot.get())
            .checked_mul(self.slot_ms)
            .and_then(|ms| ms.checked_add(self.genesis.ms()))
            .and_then(|ms| GenesisTimestamp::from_ms(ms).ok())
            .ok_or_else(|| ScheduleError::Overflow {
                what: "the time of a slot",
                arithmetic: format!("{} + {slot} * {} ms", self.genesis, self.slot_ms),
            })
    }

    /// The slot of this chain that starts at `time`.
    ///
    /// # Errors
    ///
    /// Fails when no slot starts then: before or at genesis, and inside a slot.
    pub fn slot_at(&self, time: GenesisTimestamp) -> Result<SlotSinceHardFork, ScheduleError> {
        let not_after = ScheduleError::NotAfterGenesis {
            new: time,
            old: self.genesis,
        };
        let elapsed_ms = time
            .ms()
            .checked_sub(self.genesis.ms())
            .filter(|elapsed| *elapsed > 0)
            .ok_or(not_after)?;
        let slot = elapsed_ms
            .checked_div(self.slot_ms)
            .ok_or(ScheduleError::SlotTimeZero)?;
        let excess_ms = elapsed_ms % self.slot_ms;
        if excess_ms != 0 {
            let at = |ms: Option<u64>| {
                ms.and_then(|ms| GenesisTimestamp::from_ms(ms).ok())
                    .unwrap_or(time)
            };
            let before = time.ms() - excess_ms;
            return Err(ScheduleError::NotAligned {
                new: time,
                excess_ms,
                slot,
                slot_ms: self.slot_ms,
                before: at(Some(before)),
                after: at(before.checked_add(self.slot_ms)),
            });
        }
        u32::try_from(slot)
            .map(SlotSinceHardFork::new)
            .map_err(|_| ScheduleError::Overflow {
                what: "the slot of the new genesis",
                arithmetic: format!("{elapsed_ms} ms / {} ms = {slot}", self.slot_ms),
            })
    }

    /// Slot since genesis of a slot of this chain.
    ///
    /// # Errors
    ///
    /// Fails when it does not fit 32 bits.
    pub fn global(&self, slot: SlotSinceHardFork) -> Result<SlotSinceGenesis, ScheduleError> {
        self.fork_slot
            .checked_add(slot)
            .ok_or_else(|| ScheduleError::Overflow {
                what: "the global slot of the new genesis",
                arithmetic: format!("{} + {slot}", self.fork_slot),
            })
    }
}

impl Schedule {
    /// Derives slot and time of the new genesis, from whatever is given, and both ways when both
    /// are given.
    ///
    /// # Errors
    ///
    /// Fails when nothing is given (there is no default time), when the two ways disagree, when the
    /// time is not the start of a slot, and on slots that do not follow each other.
    pub fn derive(clock: &ChainClock, input: &ScheduleInput) -> Result<Self, ScheduleError> {
        if clock.slot_ms == 0 {
            return Err(ScheduleError::SlotTimeZero);
        }
        let mut derivation = vec![format!(
            "old chain: genesis {}, {} ms per slot, its genesis is slot {} since genesis",
            clock.genesis, clock.slot_ms, clock.fork_slot
        )];
        let from_slots = Self::from_slots(clock, input, &mut derivation)?;
        let from_time = Self::from_time(clock, input, &mut derivation)?;
        let (slot, time) = match (from_slots, from_time) {
            (None, None) => return Err(ScheduleError::NothingGiven),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(slots), Some(time)) if slots != time => {
                return Err(ScheduleError::Disagree {
                    slot_chain_end: input.slot_chain_end.unwrap_or_default(),
                    delta: input.genesis_slot_delta.unwrap_or_default(),
                    from_slots: slots.0,
                    slots_time: slots.1,
                    given: time.1,
                    from_time: time.0,
                });
            }
            (Some(both), Some(_)) => {
                derivation.push("slot and timestamp agree".to_owned());
                both
            }
        };
        check_order(
            "slot_tx_end",
            input.slot_tx_end,
            "slot_chain_end",
            input.slot_chain_end,
        )?;
        check_order(
            "slot_tx_end",
            input.slot_tx_end,
            "the slot of the new genesis",
            Some(slot),
        )?;
        check_order(
            "slot_chain_end",
            input.slot_chain_end,
            "the slot of the new genesis",
            Some(slot),
        )?;
        let global = clock.global(slot)?;
        derivation.push(format!(
            "global slot since genesis of the new genesis: {} + {slot} = {global}",
            clock.fork_slot
        ));
        Ok(Self {
            slot_since_hard_fork: slot,
            global_slot_since_genesis: global,
            genesis_timestamp: time,
            derivation,
        })
    }

    fn from_slots(
        clock: &ChainClock,
        input: &ScheduleInput,
        derivation: &mut Vec<String>,
    ) -> Result<Option<(SlotSinceHardFork, GenesisTimestamp)>, ScheduleError> {
        let half = |given, missing| Err(ScheduleError::HalfGiven { given, missing });
        let (chain_end, delta) = match (input.slot_chain_end, input.genesis_slot_delta) {
            (Some(chain_end), Some(delta)) => (chain_end, delta),
            (None, Some(_)) => return half("hard_fork_genesis_slot_delta", "slot_chain_end"),
            // With a timestamp a lone chain end still says what the time must not precede.
            (Some(_), None) if input.genesis_timestamp.is_none() => {
                return half("slot_chain_end", "hard_fork_genesis_slot_delta");
            }
            (_, None) => return Ok(None),
        };
        let slot = chain_end
            .checked_add(delta)
            .ok_or_else(|| ScheduleError::Overflow {
                what: "the slot of the new genesis",
                arithmetic: format!("{chain_end} + {delta}"),
            })?;
        let time = clock.time_of(slot)?;
        derivation.push(format!(
            "slot of the new genesis since the last hard fork: slot_chain_end {chain_end} + delta \
             {delta} = {slot}"
        ));
        derivation.push(format!(
            "its time: {} + {slot} * {} ms = {time}",
            clock.genesis, clock.slot_ms
        ));
        Ok(Some((slot, time)))
    }

    fn from_time(
        clock: &ChainClock,
        input: &ScheduleInput,
        derivation: &mut Vec<String>,
    ) -> Result<Option<(SlotSinceHardFork, GenesisTimestamp)>, ScheduleError> {
        let Some(time) = input.genesis_timestamp else {
            return Ok(None);
        };
        let slot = clock.slot_at(time)?;
        derivation.push(format!(
            "slot of the given genesis time since the last hard fork: ({time} - {}) / {} ms = {slot}",
            clock.genesis, clock.slot_ms
        ));
        Ok(Some((slot, time)))
    }
}

fn check_order(
    earlier_name: &'static str,
    earlier: Option<SlotSinceHardFork>,
    later_name: &'static str,
    later: Option<SlotSinceHardFork>,
) -> Result<(), ScheduleError> {
    match (earlier, later) {
        (Some(earlier), Some(later)) if later < earlier => Err(ScheduleError::Order {
            earlier_name,
            earlier,
            later_name,
            later,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
