//! The chain id: what nodes compare before they talk to each other.
//!
//! ```text
//! G        = hex(BLAKE2b-256(k ‖ slots_per_epoch ‖ slots_per_sub_window ‖ delta ‖ txpool_max_size ‖ time))
//! chain id = hex(BLAKE2b-256(genesis state hash ‖ digests ‖ G ‖ md5(version) ‖ md5(version)))
//! ```
//!
//! All parts are text, joined without separators. Upstream's formula names a transaction and a
//! network version; the daemon passes the transaction version for both. Sources: MinaProtocol/mina
//! `chain_id.ml`, `src/lib/genesis_constants/genesis_constants.ml`; o1-labs/mina-rust
//! `core/src/chain_id.rs`.

use blake2::Blake2b;
use blake2::digest::consts::U32;
use fork_types::document::ChainIdSummary;
use fork_types::{Class, Fault, StateHash};
use md5::{Digest, Md5};

use crate::text::shown;
use crate::timestamp::GenesisTimestamp;

/// Constraint systems whose digests enter the chain id, in hashing order.
pub const CONSTRAINT_SYSTEMS: [&str; 3] =
    ["transaction-merge", "transaction-base", "blockchain-step"];

/// What a chain id is made from. The genesis state hash and the digests need the daemon's circuits
/// and may not be known; everything else always is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainIdInputs {
    /// State hash of the genesis block.
    pub genesis_state_hash: Option<StateHash>,
    /// Digests of the three constraint systems.
    pub constraint_digests: Option<[ConstraintDigest; 3]>,
    /// Confirmations that make a block final.
    pub k: u32,
    /// Slots per epoch.
    pub slots_per_epoch: u32,
    /// Slots per sub-window.
    pub slots_per_sub_window: u32,
    /// Slots a block may be late.
    pub delta: u32,
    /// Commands a node keeps waiting.
    pub txpool_max_size: u32,
    /// Genesis time.
    pub genesis_timestamp: GenesisTimestamp,
    /// Transaction version of the chain.
    pub transaction_version: u32,
}

/// MD5 of a constraint system, 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintDigest(String);

/// A text that is no [`ConstraintDigest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no constraint system digest: expected 32 lower-case hexadecimal digits")]
pub struct ConstraintDigestError {
    found: String,
}

impl Fault for ConstraintDigestError {
    fn class(&self) -> Class {
        Class::BadInput
    }
}

impl std::str::FromStr for ConstraintDigest {
    type Err = ConstraintDigestError;

    fn from_str(text: &str) -> Result<Self, ConstraintDigestError> {
        let good = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConstraintDigestError { found: shown(text) })
        }
    }
}

impl ChainIdInputs {
    /// G of the formula: the hash of the constants.
    #[must_use]
    pub fn constants_hash(&self) -> String {
        let text = format!(
            "{}{}{}{}{}{}",
            self.k,
            self.slots_per_epoch,
            self.slots_per_sub_window,
            self.delta,
            self.txpool_max_size,
            self.genesis_timestamp.chain_id_text()
        );
        blake2b_hex(&text)
    }

    /// The chain id, when every input is known.
    #[must_use]
    pub fn chain_id(&self) -> Option<String> {
        let mut text = self.genesis_state_hash?.to_string();
        for ConstraintDigest(digest) in self.constraint_digests.as_ref()? {
            text.push_str(digest);
        }
        text.push_str(&self.constants_hash());
        let version = hex::encode(Md5::digest(self.transaction_version.to_string()));
        text.push_str(&version);
        text.push_str(&version);
        Some(blake2b_hex(&text))
    }

    /// Inputs in hashing order and the chain id, as far as they are known.
    #[must_use]
    pub fn summary(&self) -> ChainIdSummary {
        let mut inputs: Vec<(String, String)> = Vec::new();
        let mut push = |name: &str, value: String| inputs.push((name.to_owned(), value));
        if let Some(hash) = self.genesis_state_hash {
            push("genesis_state_hash", hash.to_string());
        }
        for (name, ConstraintDigest(digest)) in CONSTRAINT_SYSTEMS
            .iter()
            .zip(self.constraint_digests.iter().flatten())
        {
            push(&format!("constraint_system_digest/{name}"), digest.clone());
        }
        push("k", self.k.to_string());
        push("slots_per_epoch", self.slots_per_epoch.to_string());
        push(
            "slots_per_sub_window",
            self.slots_per_sub_window.to_string(),
        );
        push("delta", self.delta.to_string());
        push("txpool_max_size", self.txpool_max_size.to_string());
        push(
            "genesis_state_timestamp",
            self.genesis_timestamp.chain_id_text(),
        );
        push("genesis_constants_hash", self.constants_hash());
        push("transaction_version", self.transaction_version.to_string());
        ChainIdSummary {
            inputs,
            chain_id: self.chain_id(),
        }
    }
}

fn blake2b_hex(text: &str) -> String {
    hex::encode(Blake2b::<U32>::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berkeley(genesis: &str, time: &str, digests: [&str; 3]) -> ChainIdInputs {
        ChainIdInputs {
            genesis_state_hash: Some(genesis.parse().unwrap()),
            constraint_digests: Some(digests.map(|digest| digest.parse().unwrap())),
            k: 290,
            slots_per_epoch: 7140,
            slots_per_sub_window: 7,
            delta: 0,
            txpool_max_size: 3000,
            genesis_timestamp: GenesisTimestamp::parse(time).unwrap().0,
            transaction_version: 3,
        }
    }

    fn devnet() -> ChainIdInputs {
        berkeley(
            "3NL93SipJfAMNDBRfQ8Uo8LPovC74mnJZfZYB5SK7mTtkL72dsPx",
            "2024-04-09T21:00:00Z",
            [
                "b8879f677f622a1d86648030701f43e1",
                "3bf6bb8a97665fe7a9df6fc146e4f942",
                "d024a9ac78d4c93a888b63fc85eeb66a",
            ],
        )
    }

    #[test]
    fn published_chain_ids() {
        let mainnet = berkeley(
            "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
            "2024-06-05T00:00:00Z",
            [
                "b8879f677f622a1d86648030701f43e1",
                "d31948e661cc662675b0c079458f714a",
                "14ab5562ed292de7a3deb9e12f00aec0",
            ],
        );
        for (inputs, constants, id) in [
            (
                devnet(),
                "4a4069e18177fc48e14a15dc230dedbcf6d5e7c88e2b5e2133fb6c4b0b151169",
                "29936104443aaf264a7f0192ac64b1c7173198c1ed404c1bcff5e562e05eb7f6",
            ),
            (
                mainnet,
                "e743e69db23468a71fca3ee4b7ea064658d76120ba441fadca7d9e7d153e8625",
                "a7351abc7ddf2ea92d1b38cc8e636c271c1dfd2c081c637f62ebc2af34eb7cc1",
            ),
        ] {
            assert_eq!(inputs.constants_hash(), constants);
            assert_eq!(inputs.chain_id().as_deref(), Some(id));
            assert_eq!(inputs.summary().chain_id.as_deref(), Some(id));
            assert_eq!(inputs.summary().inputs.len(), 12);
        }
    }

    #[test]
    fn partial_inputs_give_a_summary_without_an_id() {
        let mut inputs = devnet();
        inputs.constraint_digests = None;
        let summary = inputs.summary();
        assert_eq!(summary.chain_id, None);
        assert_eq!(summary.inputs.len(), 9);
        assert_eq!(summary.inputs[0].0, "genesis_state_hash");
        inputs = devnet();
        inputs.genesis_state_hash = None;
        assert_eq!(inputs.summary().chain_id, None);
        assert_eq!(
            inputs.summary().inputs[0].0,
            "constraint_system_digest/transaction-merge"
        );
    }

    #[test]
    fn digests_are_checked() {
        for bad in [
            "",
            "b8879f677f622a1d86648030701f43e",
            "B8879f677f622a1d86648030701f43e1",
        ] {
            assert!(bad.parse::<ConstraintDigest>().is_err());
        }
    }
}
