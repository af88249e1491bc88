//! The digest of an account's zkApp part.
//!
//! Source: MinaProtocol/mina `src/lib/mina_base/zkapp_account.ml`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use fork_types::{FieldBytes, SlotSinceGenesis};
use pasta_poseidon::{Fp, Instance, State, hash, hash_batch, prefix_state};

use crate::account::{ACTION_STATE_LEN, Zkapp};
use crate::packing::{KimchiPacker, element, field_bytes};
use crate::verification_key::{DUMMY_KEY_HASH, VkHashCache};

/// An element of the action state of a zkApp that never had actions: kimchi Poseidon of the salt
/// `MinaZkappActionStateEmptyElt`.
pub const EMPTY_ACTION_STATE: Fp = Fp::from_le_bytes_reduced(&[
    0xf9, 0x65, 0x69, 0xd2, 0xda, 0xc1, 0x79, 0xc8, 0x1e, 0x3d, 0x0b, 0x58, 0x24, 0xac, 0x86, 0xe8,
    0x29, 0x2e, 0x3f, 0xe9, 0x52, 0xf7, 0x86, 0x1f, 0xf8, 0x57, 0xb9, 0x35, 0x54, 0xbc, 0x72, 0x37,
]);

/// Elements of a digest besides the state: URI, action state, key and the packed one.
const ELEMENTS_WITHOUT_STATE: usize = 1 + ACTION_STATE_LEN + 1 + 1;

static ZKAPP_PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaZkappAccount"));

static URI_PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaZkappUri"));

/// Hash of a zkApp URI.
#[must_use]
pub fn uri_hash(uri: &[u8]) -> Fp {
    static EMPTY: LazyLock<Fp> = LazyLock::new(|| compute_uri_hash(&[]));
    if uri.is_empty() {
        *EMPTY
    } else {
        compute_uri_hash(uri)
    }
}

fn compute_uri_hash(uri: &[u8]) -> Fp {
    hash(&URI_PREFIX, &uri_elements(uri))
}

/// Every bit is a chunk of its own, the least significant of each byte first, and one set bit ends
/// the URI. Chunks of eight bits would pack differently.
fn uri_elements(uri: &[u8]) -> Vec<Fp> {
    let mut elements = Vec::with_capacity(uri.len() * 8 / 254 + 1);
    let mut packer = KimchiPacker::new(&mut elements);
    for byte in uri {
        for bit in 0..8 {
            packer.push_bit(byte >> bit & 1 == 1);
        }
    }
    packer.push_bit(true);
    packer.finish();
    elements
}

/// Hashes of the URIs, each distinct one computed once, those of one width as a batch.
fn uri_hashes(zkapps: &[&Zkapp]) -> Vec<Fp> {
    let mut hashes: HashMap<&[u8], Fp> = HashMap::new();
    let mut by_width: BTreeMap<usize, (Vec<&[u8]>, Vec<Fp>)> = BTreeMap::new();
    for zkapp in zkapps {
        let uri = zkapp.zkapp_uri.as_slice();
        let Entry::Vacant(place) = hashes.entry(uri) else {
            continue;
        };
        if uri.is_empty() {
            place.insert(uri_hash(uri));
            continue;
        }
        place.insert(Fp::ZERO);
        let of_uri = uri_elements(uri);
        let (uris, elements) = by_width.entry(of_uri.len()).or_default();
        uris.push(uri);
        elements.extend(of_uri);
    }
    for (width, (uris, elements)) in by_width {
        let mut computed = vec![Fp::ZERO; uris.len()];
        hash_batch(&URI_PREFIX, width, &elements, &mut computed);
        hashes.extend(uris.into_iter().zip(computed));
    }
    zkapps
        .iter()
        .map(|zkapp| {
            hashes
                .get(zkapp.zkapp_uri.as_slice())
                .copied()
                .unwrap_or_else(|| uri_hash(&zkapp.zkapp_uri))
        })
        .collect()
}

/// Digest of the zkApp that accounts without one are hashed with.
pub(super) fn default_digest(app_state_len: usize) -> Fp {
    let zkapp = Zkapp {
        app_state: vec![FieldBytes::ZERO; app_state_len],
        verification_key: None,
        zkapp_version: 0,
        action_state: [field_bytes(EMPTY_ACTION_STATE); ACTION_STATE_LEN],
        last_action_slot: SlotSinceGenesis::new(0),
        proved_state: false,
        zkapp_uri: Vec::new(),
    };
    digests(app_state_len, &[&zkapp], &VkHashCache::new())[0]
}

/// Digests of zkApps whose states all have `app_state_len` elements.
pub(super) fn digests(app_state_len: usize, zkapps: &[&Zkapp], keys: &VkHashCache) -> Vec<Fp> {
    let width = ELEMENTS_WITHOUT_STATE + app_state_len;
    let mut elements = Vec::with_capacity(width * zkapps.len());
    let owned: Vec<_> = zkapps
        .iter()
        .filter_map(|zkapp| zkapp.verification_key.as_ref())
        .collect();
    let mut key_hashes = keys.hashes(&owned).into_iter();
    let uri_hashes = uri_hashes(zkapps);
    for (zkapp, uri_hash) in zkapps.iter().zip(uri_hashes) {
        let key_hash = zkapp
            .verification_key
            .as_ref()
            .and_then(|_| key_hashes.next())
            .unwrap_or(DUMMY_KEY_HASH);
        push_elements(zkapp, uri_hash, key_hash, &mut elements);
    }
    let mut digests = vec![Fp::ZERO; zkapps.len()];
    hash_batch(&ZKAPP_PREFIX, width, &elements, &mut digests);
    digests
}

/// Fields in reverse order of declaration, arrays forward; first the elements, then the packed one.
fn push_elements(zkapp: &Zkapp, uri_hash: Fp, key_hash: Fp, elements: &mut Vec<Fp>) {
    let Zkapp {
        app_state,
        verification_key: _,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri: _,
    } = zkapp;
    elements.push(uri_hash);
    elements.extend(action_state.iter().copied().map(element));
    elements.push(key_hash);
    elements.extend(app_state.iter().copied().map(element));
    let mut packer = KimchiPacker::new(elements);
    packer.push_bit(*proved_state);
    packer.push(last_action_slot.get().into(), 32);
    packer.push((*zkapp_version).into(), 32);
    packer.finish();
}
