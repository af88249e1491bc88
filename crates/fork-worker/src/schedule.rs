//! How the new genesis was scheduled, on the command line of whoever makes the config and of whoever
//! verifies it.

use fork_types::{SlotSinceHardFork, SlotSpan};

/// The new genesis; what is not given is the prefork config's.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScheduleArgs {
    /// Time of the new genesis, with its zone
    #[arg(long, value_name = "TIME")]
    pub genesis_timestamp: Option<String>,

    /// Slot since hard fork at which the old chain ends [default: the prefork config's]
    #[arg(long, value_name = "SLOT")]
    pub slot_chain_end: Option<SlotSinceHardFork>,

    /// Slots from the chain's end to the new genesis [default: the prefork config's]
    #[arg(long, value_name = "SLOTS")]
    pub genesis_slot_delta: Option<SlotSpan>,

    /// Disregard the prefork config's stop slots: an emergency fork that they did not plan
    #[arg(long, requires = "genesis_timestamp")]
    pub unscheduled: bool,
}

impl ScheduleArgs {
    /// Whether anything is given.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.genesis_timestamp.is_some()
            || self.slot_chain_end.is_some()
            || self.genesis_slot_delta.is_some()
    }
}
