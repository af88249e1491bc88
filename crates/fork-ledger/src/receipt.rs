//! Receipt chain hashes: what an account remembers of the commands it paid for.
//!
//! Each command's hash goes over the payload and the hash before. Payments and delegations are still
//! hashed as v1 did: legacy Poseidon, legacy packing, and a token and a flag that are gone. A zkApp
//! command's goes over its commitment, which takes all of its account updates; it is not here.
//!
//! Source: MinaProtocol/mina `src/lib/mina_base/receipt.ml` and `transaction_union_payload.ml`
//! (`to_input_legacy`). Proved on the payments of published archives, see `materialize-ledger`.

use std::sync::LazyLock;

use fork_types::{Amount, Memo, PublicKey, ReceiptChainHash};
use pasta_poseidon::{Fp, Instance, State, hash, prefix_state};

use crate::packing::{LegacyPacker, element, field_bytes};

static PREFIX: LazyLock<State> = LazyLock::new(|| prefix_state(Instance::Legacy, "CodaReceiptUC"));

/// The token and fee token of all such commands, as v1 numbered it.
const DEFAULT_TOKEN: u64 = 1;

/// Field elements of a command: four, and 824 bits.
const ELEMENTS: usize = 8;

/// A payment or a delegation, as far as it is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCommand {
    /// Who pays fee and amount, or delegates.
    pub fee_payer: PublicKey,
    /// The fee.
    pub fee: Amount,
    /// The account's nonce before the command.
    pub nonce: u32,
    /// Last slot in which it may be applied; `None` for any.
    pub valid_until: Option<u32>,
    /// Its memo.
    pub memo: Memo,
    /// What it does.
    pub body: CommandBody,
}

/// What a [`SignedCommand`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandBody {
    /// Sends money.
    Payment {
        /// To whom.
        receiver: PublicKey,
        /// How much.
        amount: Amount,
    },
    /// Changes the delegate.
    Delegation {
        /// The new one.
        delegate: PublicKey,
    },
}

impl CommandBody {
    /// The other account that the command names.
    #[must_use]
    pub const fn receiver(&self) -> PublicKey {
        match self {
            Self::Payment { receiver, .. } => *receiver,
            Self::Delegation { delegate } => *delegate,
        }
    }
}

/// The receipt chain hash of the fee payer after `command`, applied or failed, when it was `before`.
#[must_use]
pub fn receipt_chain_hash(command: &SignedCommand, before: ReceiptChainHash) -> ReceiptChainHash {
    let SignedCommand {
        fee_payer,
        fee,
        nonce,
        valid_until,
        memo,
        body,
    } = command;
    let receiver = body.receiver();
    let (tag, amount) = match body {
        CommandBody::Payment { amount, .. } => (0, *amount),
        CommandBody::Delegation { .. } => (1, Amount::ZERO),
    };
    let mut elements: Vec<Fp> = Vec::with_capacity(ELEMENTS);
    // The fee payer is also the source.
    elements.extend([
        element(fee_payer.x()),
        element(fee_payer.x()),
        element(receiver.x()),
        element(before.field()),
    ]);
    let mut packer = LegacyPacker::new(&mut elements);
    packer.push(fee.nanomina(), 64);
    packer.push(DEFAULT_TOKEN, 64);
    packer.push_bit(fee_payer.is_odd());
    packer.push((*nonce).into(), 32);
    packer.push(valid_until.unwrap_or(u32::MAX).into(), 32);
    for byte in memo.bytes() {
        packer.push((*byte).into(), 8);
    }
    // Three bits, the most significant first.
    packer.push_bit(false);
    packer.push_bit(false);
    packer.push_bit(tag == 1);
    packer.push_bit(fee_payer.is_odd());
    packer.push_bit(receiver.is_odd());
    packer.push(DEFAULT_TOKEN, 64);
    packer.push(amount.nanomina(), 64);
    // Used to say whether a token was locked.
    packer.push_bit(false);
    packer.finish();
    ReceiptChainHash::new(field_bytes(hash(&PREFIX, &elements)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payment of a published archive: see the test vectors below.
    fn payment() -> SignedCommand {
        let payer: PublicKey = PAYER.parse().unwrap();
        SignedCommand {
            fee_payer: payer,
            fee: Amount::from_nanomina(250_000_000),
            nonce: 0,
            valid_until: None,
            memo: "E4YM2vTHhWEg66xpj52JErHUBU4pZ1yageL4TVDDpTTSsv8mK6YaH"
                .parse()
                .unwrap(),
            body: CommandBody::Payment {
                receiver: payer,
                amount: Amount::from_nanomina(1_000_000_000),
            },
        }
    }

    const PAYER: &str = "B62qrCV2xfWipHVW7KvdKSqXVqbTJLs4oNGhuDp8Ag34vy57mN4pcEi";

    /// Block 8 of the archive of 2025-11-23: the payer's one payment there.
    #[test]
    fn the_chain_of_a_published_payment() {
        let command = SignedCommand {
            nonce: 7,
            ..payment()
        };
        let before: ReceiptChainHash = "2n2NViyb1VFLjM5piUG1SzfkURQBFpqMKfF5FsoFRGZ21je7pfQX"
            .parse()
            .unwrap();
        let after = receipt_chain_hash(&command, before);
        assert_eq!(
            after.to_string(),
            "2n14vkQGfN4tGEvxFhjDqEegg78tgQn2CCLkQ51XykVCEQrxN8Te"
        );
        let delegation = SignedCommand {
            body: CommandBody::Delegation {
                delegate: command.body.receiver(),
            },
            ..command
        };
        assert_ne!(receipt_chain_hash(&delegation, before), after);
    }
}
