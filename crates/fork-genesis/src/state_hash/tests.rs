use fork_types::id::{PendingCoinbaseAux, PendingCoinbaseHash, StagedLedgerAuxHash};
use fork_types::{FieldBytes, LedgerHash};

use super::*;
use crate::block::Block;
use crate::shared;

mod vectors;

struct Vector {
    id: &'static str,
    file: Option<&'static str>,
    non_snark: [&'static str; 3],
    digest: &'static str,
    sponge_after_2: &'static str,
    sponge_after_38: &'static str,
    previous: &'static str,
    body: &'static str,
    body_text: &'static str,
    state: &'static str,
    elements: [&'static str; 49],
}

fn fp(big_endian: &str) -> Fp {
    element(FieldBytes::from_be_hex(big_endian).unwrap())
}

fn hex_of(value: Fp) -> String {
    field_bytes(value).to_be_hex_upper().to_lowercase()
}

#[test]
fn prefix_states_are_the_published_ones() {
    let words = |state: &State| state.words().map(hex_of);
    assert_eq!(
        words(&STATE_STATE),
        [
            "0b89d5371b6ec14b310b5adc82150b2bf08c506d5ac5da7f311cdefe86f5b636",
            "10f13937e29e20fcf506cd415ed5b8d40751fece44b28a7b60ea3e4d5cde436c",
            "2be7e6f9810ba2f220c85b39593e02c3e8367e6f261b2c2f3a0c248bf4529ae9",
        ]
    );
    assert_eq!(
        words(&BODY_STATE),
        [
            "07d8682d5664a5b5a2650841c45e2e8ca2ac5dcd159b1f692caa8c539a923aeb",
            "004bf1d2e81ddb175ddad24d3a5ecf5d397ea2d2f763f12beed8a41194a01987",
            "29ceef6c5ceb0cc44dd3175c7d848236adfc9a245ecb21102e93d79957fd8e6f",
        ]
    );
}

#[test]
fn elements_hash_to_the_published_state_hashes() {
    for vector in vectors::VECTORS {
        let elements = vector.elements.map(fp);
        for (count, expected) in [(2, vector.sponge_after_2), (38, vector.sponge_after_38)] {
            let mut sponge = *BODY_STATE;
            sponge.absorb(&elements[..count]);
            assert_eq!(hex_of(sponge.words()[0]), expected, "{} {count}", vector.id);
        }
        let body = hash_body_elements(&elements);
        assert_eq!(hex_of(element(body.field())), vector.body, "{}", vector.id);
        assert_eq!(body.to_string(), vector.body_text, "{}", vector.id);
        let previous = StateHash::new(FieldBytes::from_be_hex(vector.previous).unwrap());
        assert_eq!(
            state_hash(previous, body).to_string(),
            vector.state,
            "{}",
            vector.id
        );
    }
}

#[test]
fn non_snark_digests_are_the_published_ones() {
    for vector in vectors::VECTORS {
        let bytes = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
        let [ledger, aux, coinbase] = vector.non_snark;
        let hashes = StagedLedgerHash {
            ledger_hash: LedgerHash::new(FieldBytes::from_be_hex(ledger).unwrap()),
            aux_hash: StagedLedgerAuxHash::new(bytes(aux)),
            pending_coinbase_aux: PendingCoinbaseAux::new(bytes(coinbase)),
            pending_coinbase_hash: PendingCoinbaseHash::new(FieldBytes::ZERO),
        };
        assert_eq!(
            hex::encode(non_snark_digest(&hashes)),
            vector.digest,
            "{}",
            vector.id
        );
    }
}

#[test]
fn blocks_give_the_published_elements() {
    for vector in vectors::VECTORS {
        let Some(file) = vector.file else { continue };
        let Some(bytes) = shared::read(&format!("reference-data/blocks/{file}")) else {
            continue;
        };
        let block = Block::from_slice(&bytes).unwrap();
        let elements = body_elements(&block.protocol_state.body)
            .into_iter()
            .map(hex_of);
        for (index, (computed, expected)) in elements.zip(vector.elements).enumerate() {
            assert_eq!(computed, expected, "{} element {index}", vector.id);
        }
        assert_eq!(block.facts().state_hash.to_string(), vector.state);
    }
}
