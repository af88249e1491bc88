//! Protocol eras and ledger roles.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A protocol era: which accounts exist, how they are hashed and how deep the tree is.
///
/// Never derived from the data: a plain account looks the same in Berkeley and Mesa and hashes
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// The original mainnet (1.x): legacy Poseidon, depth 20.
    V1,
    /// Protocol 3.x: zkApp state of 8 field elements, depth 35.
    Berkeley,
    /// Protocol 4.x: zkApp state of 32 field elements, depth 35.
    Mesa,
}

impl Era {
    /// Depth of the ledger tree on mainnet and devnet.
    #[must_use]
    pub const fn depth(self) -> u8 {
        match self {
            Self::V1 => 20,
            Self::Berkeley | Self::Mesa => 35,
        }
    }

    /// Number of field elements in a zkApp's state. v1 snapps had 8 as well.
    #[must_use]
    pub const fn app_state_len(self) -> usize {
        match self {
            Self::V1 | Self::Berkeley => 8,
            Self::Mesa => 32,
        }
    }

    /// Transaction version in the permissions of new accounts and of the empty account. v1
    /// accounts carry none; 0 stands for that.
    #[must_use]
    pub const fn txn_version(self) -> u32 {
        match self {
            Self::V1 => 0,
            Self::Berkeley => 3,
            Self::Mesa => 4,
        }
    }

    /// The name used on command lines and in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::Berkeley => "berkeley",
            Self::Mesa => "mesa",
        }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no era or role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}; expected one of {expected}")]
pub struct EraError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl FromStr for Era {
    type Err = EraError;

    fn from_str(text: &str) -> Result<Self, EraError> {
        match text {
            "v1" => Ok(Self::V1),
            "berkeley" => Ok(Self::Berkeley),
            "mesa" => Ok(Self::Mesa),
            _ => Err(EraError {
                what: "protocol era",
                found: text.to_owned(),
                expected: "v1, berkeley, mesa",
            }),
        }
    }
}

/// Which of a fork's three ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The staged ledger of the fork block, which becomes the genesis ledger.
    Genesis,
    /// The staking epoch ledger.
    Staking,
    /// The next epoch ledger.
    Next,
}

impl Role {
    /// All three, in the order upstream writes them.
    pub const ALL: [Self; 3] = [Self::Genesis, Self::Staking, Self::Next];

    /// The name used on command lines and in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Staking => "staking",
            Self::Next => "next",
        }
    }

    /// First part of the tarball's name (`spec`: genesis ledgers and epoch ledgers never share a
    /// name, the two epoch ledgers do when their roots are equal).
    #[must_use]
    pub const fn tarball_prefix(self) -> &'static str {
        match self {
            Self::Genesis => "genesis_ledger",
            Self::Staking | Self::Next => "epoch_ledger",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = EraError;

    fn from_str(text: &str) -> Result<Self, EraError> {
        match text {
            "genesis" => Ok(Self::Genesis),
            "staking" => Ok(Self::Staking),
            "next" => Ok(Self::Next),
            _ => Err(EraError {
                what: "ledger role",
                found: text.to_owned(),
                expected: "genesis, staking, next",
            }),
        }
    }
}
