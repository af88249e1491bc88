//! Account hashes account by account, on arkworks.
//!
//! The elements are those of `fork_ledger::hash`, gathered straightforwardly; a test compares the
//! hashes.

use std::collections::HashMap;
use std::sync::Arc;

use fork_ledger::account::{Account, Auth, Permissions, Timing, Vesting, Zkapp};
use fork_ledger::packing::{KimchiPacker, element};
use fork_ledger::verification_key::{DUMMY_KEY_HASH, VerificationKey};
use fork_types::{Era, PublicKey};
use pasta_poseidon::Fp;

use crate::poseidon::{Element, from_library, hash, prefix_state};

/// Bytes of a coordinate of a verification key.
const COORDINATE_BYTES: usize = 32;

/// Offsets of the bytes of a verification key that are no coordinates: two enumerations and the ends
/// of two vectors.
const KEY_RUNS: [std::ops::Range<usize>; 3] = [2..450, 451..1411, 1412..1796];

/// Hashes accounts one by one; remembers verification keys, as peers do.
pub(crate) struct Hasher {
    account: [Element; 3],
    zkapp: [Element; 3],
    uri: [Element; 3],
    key: [Element; 3],
    keys: HashMap<Arc<VerificationKey>, Element>,
    /// Per era: the digest of no zkApp.
    default_digests: Vec<(Era, Element)>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        let default_digests = [Era::Berkeley, Era::Mesa].map(|era| {
            let digest = fork_ledger::hash::default_zkapp_digest(era).unwrap_or(Fp::ZERO);
            (era, from_library(digest))
        });
        Self {
            account: prefix_state("MinaAccount"),
            zkapp: prefix_state("MinaZkappAccount"),
            uri: prefix_state("MinaZkappUri"),
            key: prefix_state("MinaSideLoadedVk"),
            keys: HashMap::new(),
            default_digests: default_digests.to_vec(),
        }
    }

    pub(crate) fn hash(&mut self, era: Era, account: &Account) -> Element {
        let digest = match &account.zkapp {
            Some(zkapp) => self.zkapp_digest(zkapp),
            None => self
                .default_digests
                .iter()
                .find(|(of, _)| *of == era)
                .map_or_else(Element::default, |(_, digest)| *digest),
        };
        let mut inputs = vec![digest];
        let mut elements = Vec::new();
        push_account(account, &mut elements);
        inputs.extend(elements.into_iter().map(from_library));
        hash(&self.account, &inputs)
    }

    fn zkapp_digest(&mut self, zkapp: &Zkapp) -> Element {
        let mut elements = Vec::new();
        let mut packer = KimchiPacker::new(&mut elements);
        for byte in &zkapp.zkapp_uri {
            for bit in 0..8 {
                packer.push_bit(byte >> bit & 1 == 1);
            }
        }
        packer.push_bit(true);
        packer.finish();
        let mut inputs = vec![hash(&self.uri, &converted(elements))];
        inputs.extend(
            zkapp
                .action_state
                .iter()
                .map(|value| from_library(element(*value))),
        );
        inputs.push(match &zkapp.verification_key {
            Some(key) => self.key_hash(key),
            None => from_library(DUMMY_KEY_HASH),
        });
        inputs.extend(
            zkapp
                .app_state
                .iter()
                .map(|value| from_library(element(*value))),
        );
        let mut elements = Vec::new();
        let mut packer = KimchiPacker::new(&mut elements);
        packer.push_bit(zkapp.proved_state);
        packer.push(zkapp.last_action_slot.get().into(), 32);
        packer.push(zkapp.zkapp_version.into(), 32);
        packer.finish();
        inputs.extend(converted(elements));
        hash(&self.zkapp, &inputs)
    }

    fn key_hash(&mut self, key: &Arc<VerificationKey>) -> Element {
        if let Some(known) = self.keys.get(key) {
            return *known;
        }
        let bytes = key.as_bytes();
        let mut elements = Vec::new();
        for run in KEY_RUNS {
            let coordinates: &[[u8; COORDINATE_BYTES]] = bytes[run].as_chunks().0;
            elements.extend(coordinates.iter().map(Fp::from_le_bytes_reduced));
        }
        let mut packer = KimchiPacker::new(&mut elements);
        for enumeration in &bytes[..2] {
            for value in 0..3 {
                packer.push_bit(*enumeration == value);
            }
        }
        packer.finish();
        let computed = hash(&self.key, &converted(elements));
        self.keys.insert(Arc::clone(key), computed);
        computed
    }
}

fn converted(elements: Vec<Fp>) -> Vec<Element> {
    elements.into_iter().map(from_library).collect()
}

/// The elements after the zkApp digest.
fn push_account(account: &Account, elements: &mut Vec<Fp>) {
    let delegate = account.delegate.unwrap_or(PublicKey::EMPTY);
    let (is_timed, vesting) = match account.timing {
        Timing::Untimed => (false, Vesting::UNTIMED),
        Timing::Timed(vesting) => (true, vesting),
    };
    elements.extend([
        element(account.voting_for.field()),
        element(delegate.x()),
        element(account.receipt_chain_hash.field()),
        element(account.token_id.field()),
        element(account.public_key.x()),
    ]);
    let mut packer = KimchiPacker::new(elements);
    push_permissions(&account.permissions, &mut packer);
    packer.push_bit(is_timed);
    packer.push(vesting.initial_minimum_balance.nanomina().into(), 64);
    packer.push(vesting.cliff_time.get().into(), 32);
    packer.push(vesting.cliff_amount.nanomina().into(), 64);
    packer.push(vesting.vesting_period.get().into(), 32);
    packer.push(vesting.vesting_increment.nanomina().into(), 64);
    packer.push_bit(delegate.is_odd());
    packer.push(account.nonce.into(), 32);
    packer.push(account.balance.nanomina().into(), 64);
    let symbol = account.token_symbol.as_bytes().iter().rev();
    packer.push(
        symbol.fold(0, |number, byte| number << 8 | u128::from(*byte)),
        48,
    );
    packer.push_bit(account.public_key.is_odd());
    packer.finish();
}

fn push_permissions(permissions: &Permissions, packer: &mut KimchiPacker<'_>) {
    let before_version = [
        permissions.edit_state,
        permissions.access,
        permissions.send,
        permissions.receive,
        permissions.set_delegate,
        permissions.set_permissions,
        permissions.set_verification_key,
    ];
    let after_version = [
        permissions.set_zkapp_uri,
        permissions.edit_action_state,
        permissions.set_token_symbol,
        permissions.increment_nonce,
        permissions.set_voting_for,
        permissions.set_timing,
    ];
    for auth in before_version {
        packer.push(auth_bits(auth), 3);
    }
    packer.push(permissions.set_verification_key_txn_version.into(), 32);
    for auth in after_version {
        packer.push(auth_bits(auth), 3);
    }
}

const fn auth_bits(auth: Auth) -> u128 {
    match auth {
        Auth::None => 0b101,
        Auth::Either => 0b001,
        Auth::Proof => 0b000,
        Auth::Signature => 0b011,
        Auth::Impossible => 0b110,
    }
}

#[cfg(test)]
mod tests {
    use fork_ledger::hash::hash_account;
    use fork_ledger::verification_key::VkHashCache;
    use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
    use fork_types::Role;

    use super::*;

    #[test]
    fn hashes_are_the_library_s() {
        for era in [Era::Berkeley, Era::Mesa] {
            for mix in [Mix::Mixed, Mix::Realistic] {
                let spec = FixtureSpec {
                    accounts: 200,
                    era,
                    mix,
                    ..FixtureSpec::default()
                };
                let accounts = Accounts::new(&spec).unwrap();
                let mut hasher = Hasher::new();
                let keys = VkHashCache::new();
                for index in 0..spec.accounts {
                    let account = accounts.account(Role::Genesis, index);
                    let expected = hash_account(era, &account, &keys).unwrap();
                    assert_eq!(
                        hasher.hash(era, &account),
                        from_library(expected),
                        "{index}"
                    );
                }
            }
        }
    }
}
