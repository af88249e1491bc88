//! Slot numbers. A slot since genesis counts from the first v1 genesis; a slot since hard fork
//! counts from the genesis of the chain that is running. They are different types because mixing
//! them has published wrong genesis slots before.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a decimal unsigned 32-bit number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a decimal number below 2^32")]
pub struct SlotError {
    found: String,
}

/// Parses decimal digits only: no sign, blank or leading `+`, which `u32::from_str` would take.
pub(crate) fn parse_u32(text: &str) -> Result<u32, SlotError> {
    let error = || SlotError {
        found: text.to_owned(),
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    text.parse().map_err(|_| error())
}

macro_rules! slot_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// Wraps a number of slots.
            #[must_use]
            pub const fn new(slots: u32) -> Self {
                Self(slots)
            }

            /// The number of slots.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = SlotError;

            fn from_str(text: &str) -> Result<Self, SlotError> {
                parse_u32(text).map(Self)
            }
        }
    };
}

slot_type! {
    /// A global slot since genesis: counted from the first v1 genesis across all forks.
    SlotSinceGenesis
}
slot_type! {
    /// A slot since the last hard fork: counted from the genesis of the running chain.
    SlotSinceHardFork
}
slot_type! {
    /// A number of slots, such as a vesting period.
    SlotSpan
}

impl SlotSinceGenesis {
    /// The slot `since_fork` slots after the fork whose genesis is at this slot; `None` when the
    /// result does not fit 32 bits.
    #[must_use]
    pub const fn checked_add(self, since_fork: SlotSinceHardFork) -> Option<Self> {
        match self.0.checked_add(since_fork.0) {
            Some(slot) => Some(Self(slot)),
            None => None,
        }
    }

    /// How far this slot is after `fork_genesis`; `None` when it lies before it.
    #[must_use]
    pub const fn checked_since(self, fork_genesis: Self) -> Option<SlotSinceHardFork> {
        match self.0.checked_sub(fork_genesis.0) {
            Some(slots) => Some(SlotSinceHardFork(slots)),
            None => None,
        }
    }
}

impl SlotSinceHardFork {
    /// The slot `span` slots later; `None` when the result does not fit 32 bits.
    #[must_use]
    pub const fn checked_add(self, span: SlotSpan) -> Option<Self> {
        match self.0.checked_add(span.0) {
            Some(slot) => Some(Self(slot)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_digits_only() {
        assert_eq!("12000".parse(), Ok(SlotSinceGenesis::new(12000)));
        for bad in ["", "+1", "-1", " 1", "1 ", "1.0", "4294967296", "0x1"] {
            assert!(bad.parse::<SlotSinceGenesis>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn golden_devnet_mesa_slot() {
        let scheduled = SlotSinceHardFork::new(413_640)
            .checked_add(SlotSpan::new(60))
            .unwrap();
        assert_eq!(
            SlotSinceGenesis::new(445_860).checked_add(scheduled),
            Some(SlotSinceGenesis::new(859_560))
        );
        assert_eq!(
            SlotSinceGenesis::new(859_560).checked_since(SlotSinceGenesis::new(445_860)),
            Some(scheduled)
        );
    }
}
