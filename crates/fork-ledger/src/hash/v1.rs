//! The hash of v1 accounts: legacy Poseidon, legacy packing, other fields.
//!
//! Source: o1-labs/mina-rust `ledger/src/account/legacy.rs`.

use std::sync::LazyLock;

use fork_types::PublicKey;
use pasta_poseidon::{Fp, Instance, State, hash, hash_batch, prefix_state};
use rayon::prelude::*;

use super::{ACCOUNTS_PER_JOB, auth_bits, timing_numbers};
use crate::account::{V1Account, V1Auth, V1Permissions, Vesting};
use crate::packing::{LegacyPacker, element};

/// Hash of the dummy key of v1, which enters the digest of "no snapp".
const LEGACY_DUMMY_KEY_HASH: Fp = Fp::from_le_bytes_reduced(&[
    0x77, 0xa4, 0x30, 0xa0, 0x3e, 0xfa, 0xfd, 0x14, 0xd7, 0x2e, 0x1a, 0x3c, 0x45, 0xa1, 0xfd, 0xca,
    0x82, 0x67, 0xfc, 0xce, 0x9a, 0x72, 0x9a, 0x1d, 0x25, 0x12, 0x8b, 0xb5, 0xde, 0xc6, 0x9d, 0x3f,
]);

/// Elements of an account: five of its own and two packed.
const ACCOUNT_ELEMENTS: usize = 7;

/// Elements of a snapp's state.
const SNAPP_STATE_LEN: usize = 8;

static ACCOUNT_PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Legacy, "CodaAccount"));

/// Digest of "no snapp", the only one there is: [`V1Account`] has none.
static NO_SNAPP_DIGEST: LazyLock<Fp> = LazyLock::new(|| {
    let mut elements = [Fp::ZERO; 1 + SNAPP_STATE_LEN];
    elements[0] = LEGACY_DUMMY_KEY_HASH;
    hash(
        &prefix_state(Instance::Legacy, "CodaSnappAccount"),
        &elements,
    )
});

/// Hash of an account: the leaf of a v1 ledger.
#[must_use]
pub fn hash_v1_account(account: &V1Account) -> Fp {
    let mut elements = Vec::with_capacity(ACCOUNT_ELEMENTS);
    push_elements(account, &mut elements);
    hash(&ACCOUNT_PREFIX, &elements)
}

/// Hashes of many accounts, in their order, on all threads of the current rayon pool.
#[must_use]
pub fn hash_v1_accounts(accounts: &[V1Account]) -> Vec<Fp> {
    let mut out = vec![Fp::ZERO; accounts.len()];
    accounts
        .par_chunks(ACCOUNTS_PER_JOB)
        .zip(out.par_chunks_mut(ACCOUNTS_PER_JOB))
        .for_each(|(accounts, out)| {
            let mut elements = Vec::with_capacity(ACCOUNT_ELEMENTS * accounts.len());
            for account in accounts {
                push_elements(account, &mut elements);
            }
            hash_batch(&ACCOUNT_PREFIX, ACCOUNT_ELEMENTS, &elements, out);
        });
    out
}

fn push_elements(account: &V1Account, elements: &mut Vec<Fp>) {
    let V1Account {
        public_key,
        token_id,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing,
        permissions,
    } = account;
    let delegate = delegate.unwrap_or(PublicKey::EMPTY);
    let (is_timed, vesting) = timing_numbers(timing);
    let Vesting {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = vesting;
    let V1Permissions {
        stake,
        edit_state,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
    } = *permissions;

    elements.extend([
        *NO_SNAPP_DIGEST,
        element(voting_for.field()),
        element(delegate.x()),
        element(receipt_chain_hash.field()),
        element(public_key.x()),
    ]);
    let mut packer = LegacyPacker::new(elements);
    for auth in [
        set_verification_key,
        set_permissions,
        set_delegate,
        receive,
        send,
        edit_state,
    ] {
        push_auth(&mut packer, auth);
    }
    packer.push_bit(stake);
    packer.push_bit(is_timed);
    packer.push(initial_minimum_balance.nanomina(), 64);
    packer.push(cliff_time.get().into(), 32);
    packer.push(cliff_amount.nanomina(), 64);
    packer.push(vesting_period.get().into(), 32);
    packer.push(vesting_increment.nanomina(), 64);
    packer.push_bit(delegate.is_odd());
    packer.push((*nonce).into(), 32);
    packer.push(balance.nanomina(), 64);
    // Token permissions: the token is not owned and the account is not disabled, which is all that
    // V1Account can say.
    packer.push(0, 2);
    packer.push(*token_id, 64);
    packer.push_bit(public_key.is_odd());
    packer.finish();
}

/// The three bits in their order, which is the most significant first.
fn push_auth(packer: &mut LegacyPacker<'_>, auth: V1Auth) {
    let bits = auth_bits(auth);
    for bit in [2, 1, 0] {
        packer.push_bit(bits >> bit & 1 == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_snapp_hashes_to_the_known_digest() {
        let hex: String = NO_SNAPP_DIGEST
            .to_le_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "aede155e6bda30f8cc7ff3340cd722a2aec79d3e70f8355eb0af44767b5b1332"
        );
    }
}
