//! `proof.fork` of a configuration: the block a chain forked from.

use fork_types::{Class, Fault, IdError, SlotSinceGenesis, StateHash};
use serde::Deserialize;

/// The block a chain forked from, as a configuration says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkPoint {
    /// State hash of the block.
    pub state_hash: StateHash,
    /// Height of the block.
    pub blockchain_length: u32,
    /// Slot since genesis. In the config of a chain it is the slot of the chain's genesis; in an
    /// export it is that or the slot of the fork block, see
    /// [`SlotMeaning`](fork_types::document::SlotMeaning).
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Member names of an older generation that were read; empty for today's names.
    pub older_names: Vec<&'static str>,
}

/// Why `proof.fork` is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForkPointError {
    /// Under none of its names.
    #[error("`{name}` is missing")]
    Missing {
        /// Today's name.
        name: &'static str,
    },
    /// Under more than one of its names.
    #[error("`{first}` and `{second}` are names of the same value, only one may be there")]
    Twice {
        /// One name.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// The state hash is none.
    #[error("`{name}` cannot be read")]
    StateHash {
        /// The name it was under.
        name: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
}

impl Fault for ForkPointError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::Twice { .. } | Self::StateHash { .. } => Class::BadInput,
        }
    }
}

/// The object in all three generations of names. Upstream reads this object as it is, so unknown
/// members are refused here, unlike nearly everywhere else.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ForkPointJson {
    state_hash: Option<String>,
    blockchain_length: Option<u32>,
    global_slot_since_genesis: Option<u32>,
    genesis_slot: Option<u32>,
    previous_state_hash: Option<String>,
    previous_length: Option<u32>,
    previous_global_slot: Option<u32>,
}

impl ForkPointJson {
    pub(crate) fn decode(self) -> Result<ForkPoint, ForkPointError> {
        let mut older_names = Vec::new();
        let (name, state_hash) = one_of(
            [
                ("state_hash", self.state_hash),
                ("previous_state_hash", self.previous_state_hash),
            ],
            &mut older_names,
        )?;
        let (_, blockchain_length) = one_of(
            [
                ("blockchain_length", self.blockchain_length),
                ("previous_length", self.previous_length),
            ],
            &mut older_names,
        )?;
        let (_, slot) = one_of(
            [
                ("global_slot_since_genesis", self.global_slot_since_genesis),
                ("genesis_slot", self.genesis_slot),
                ("previous_global_slot", self.previous_global_slot),
            ],
            &mut older_names,
        )?;
        Ok(ForkPoint {
            state_hash: state_hash
                .parse()
                .map_err(|source| ForkPointError::StateHash { name, source })?,
            blockchain_length,
            global_slot_since_genesis: SlotSinceGenesis::new(slot),
            older_names,
        })
    }
}

/// The value that is there; the first name is today's.
fn one_of<T, const N: usize>(
    values: [(&'static str, Option<T>); N],
    older_names: &mut Vec<&'static str>,
) -> Result<(&'static str, T), ForkPointError> {
    let today = values[0].0;
    let mut found: Option<(&'static str, T)> = None;
    for (name, value) in values {
        let Some(value) = value else { continue };
        if let Some((first, _)) = found {
            return Err(ForkPointError::Twice {
                first,
                second: name,
            });
        }
        found = Some((name, value));
    }
    let found = found.ok_or(ForkPointError::Missing { name: today })?;
    if found.0 != today {
        older_names.push(found.0);
    }
    Ok(found)
}
