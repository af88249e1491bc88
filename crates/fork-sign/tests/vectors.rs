//! Published vectors: DSSE's own, and those of RFC 8032 behind its keys.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use fork_sign::{Envelope, EnvelopeError, PublicKey, SecretKey, TrustedKeys, pae};
use serde_json::Value;

fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
    hex::decode(hexadecimal).unwrap().try_into().unwrap()
}

/// A public key as a file: the 12 bytes that stand before every ed25519 key (RFC 8410), and the key.
fn public(key: &[u8; 32]) -> PublicKey {
    use base64::Engine;
    let der = [&bytes::<12>("302a300506032b6570032100")[..], key].concat();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    PublicKey::from_pem(pem.as_bytes()).unwrap()
}

/// RFC 8032, 7.1: tests 1 to 3.
#[test]
fn signatures_are_those_of_the_rfc() {
    for (seed, key, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let secret = SecretKey::from_seed(&bytes(seed)).unwrap();
        assert_eq!(*secret.public(), public(&bytes(key)));
        let message = hex::decode(message).unwrap();
        assert_eq!(hex::encode(secret.sign(&message)), signature);
        let mut signature = hex::decode(signature).unwrap();
        assert!(secret.public().verifies(&message, &signature));
        signature[63] ^= 1;
        assert!(!secret.public().verifies(&message, &signature));
    }
}

/// Signatures that lax verifiers take: a second spelling of S (S + L), and keys of small order, for
/// which a signature of zeros fits messages it was never made for.
#[test]
fn signatures_with_a_second_spelling_are_refused() {
    let secret = SecretKey::from_seed(&[7; 32]).unwrap();
    let signature = secret.sign(b"message");
    let mut second = signature;
    // The group's order L (RFC 8032, 5.1), little-endian.
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, add) in second[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert!(secret.public().verifies(b"message", &signature));
    assert!(!secret.public().verifies(b"message", &second));
    for length in [0, 63, 65] {
        assert!(!secret.public().verifies(b"message", &vec![0; length]));
    }
    for weak in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // The neutral element once more: y = 1 + p.
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        use base64::Engine;
        let der = format!("302a300506032b6570032100{weak}");
        let body = base64::engine::general_purpose::STANDARD.encode(hex::decode(der).unwrap());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let error = PublicKey::from_pem(pem.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("weak"), "{weak}: {error}");
    }
}

/// The example in DSSE's protocol.
#[test]
fn encoding_is_that_of_the_specification() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn envelopes_are_judged_as_dsse_judges_them() {
    let text = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/vectors/dsse.json"
    ))
    .unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    let strings = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    };
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let id = vector["id"].as_str().unwrap();
        let json = serde_json::to_vec(&vector["envelope"]).unwrap();
        let envelope = Envelope::from_json(&json).unwrap();
        // The encoding of what was signed; one vector's envelope says another type.
        if id != "payload-type-swapped" {
            assert_eq!(hex::encode(envelope.signed_bytes()), vector["pae"], "{id}");
        }
        let mut trusted = TrustedKeys::new();
        for name in strings(&vector["trustedKeys"]) {
            let key = file["keys"][name]["public"].as_str().unwrap();
            assert!(trusted.insert(public(&bytes(key))).unwrap());
        }
        let types = strings(&vector["supportedPayloadTypes"]);
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let threshold = vector["threshold"].as_u64().unwrap().try_into().unwrap();
        let accepted = match envelope.verify(&trusted, threshold, &types) {
            Ok(verification) => {
                assert_eq!(verification.payload().is_some(), verification.is_met());
                verification.is_met()
            }
            Err(EnvelopeError::PayloadType { .. }) => false,
            Err(error) => panic!("{id}: {error}"),
        };
        assert_eq!(accepted, vector["expect"] == "accept", "{id}");
    }
}
