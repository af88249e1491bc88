//! Both codecs against the `bs58` crate.

use proptest::prelude::*;

use super::check::{
    base58check_decode, base58check_encode, decode_good_id, decode_id, encode_id, shown,
};
use super::*;
use crate::id::IdError;

fn reference_decode(text: &str) -> Option<Vec<u8>> {
    bs58::decode(text).into_vec().ok()
}

/// The identifier decoder without its fast path.
fn slow_decode_id<const N: usize>(version: u8, text: &str) -> Result<[u8; N], IdError> {
    let payload = base58check_decode("id", version, text)?;
    <[u8; N]>::try_from(payload).map_err(|payload| IdError::Length {
        what: "id",
        found: shown(text),
        expected: N,
        found_bytes: payload.len(),
    })
}

/// All that must hold of any text, good or bad, for one kind of identifier.
fn decodes_as_before<const N: usize>(version: u8, text: &str) {
    assert_eq!(decode(text), reference_decode(text), "{text}");
    if let Some(short) = decode_short(text) {
        let expected = reference_decode(text).unwrap();
        assert_eq!(short[SHORT_BYTES - expected.len()..], expected, "{text}");
    }
    let found = decode_id::<N>("id", version, text);
    assert_eq!(found, slow_decode_id(version, text), "{text}");
}

/// The good text of a payload, and texts around it: every prefix and suffix, each character
/// replaced, ones in front, one more character behind.
fn decodes_around<const N: usize>(version: u8, payload: [u8; N]) {
    let text = base58check_encode(version, &payload);
    assert_eq!(encode_id(version, &payload).as_str(), text);
    assert_eq!(decode_id("id", version, &text), Ok(payload));
    assert_eq!(decode_good_id(version, &text), Some(payload), "{text}");
    decodes_as_before::<N>(version, &text);
    for cut in 0..text.len() {
        decodes_as_before::<N>(version, &text[..cut]);
        decodes_as_before::<N>(version, &text[cut..]);
        for character in ["1", "2", "z", "0", "é", "\0", "\u{7f}"] {
            let changed = [&text[..cut], character, &text[cut + 1..]].concat();
            decodes_as_before::<N>(version, &changed);
            let longer = [&text[..cut], character, &text[cut..]].concat();
            decodes_as_before::<N>(version, &longer);
        }
    }
    for ones in 1..8 {
        decodes_as_before::<N>(version, &["1".repeat(ones), text.clone()].concat());
    }
    decodes_as_before::<N>(version.wrapping_add(1), &text);
}

/// A text whose checksum is good, for payloads of another size than asked for.
fn decodes_other_sizes<const N: usize>(version: u8, bytes: &[u8]) {
    for size in 0..=bytes.len() {
        decodes_as_before::<N>(version, &base58check_encode(version, &bytes[..size]));
        let zero_version = base58check_encode(0, &bytes[..size]);
        decodes_as_before::<N>(version, &zero_version);
        decodes_as_before::<N>(0, &zero_version);
        // The same number without the byte that its leading one stands for.
        decodes_as_before::<N>(0, &zero_version[1..]);
    }
}

#[test]
fn boundary_payloads() {
    for version in [0x01, 0x05, 0x0C, 0x1C, 0xCB, 0xFF] {
        for byte in [0x00, 0x01, 0x80, 0xFF] {
            decodes_around(version, [byte; 32]);
            decodes_around(version, [byte; 33]);
            decodes_around(version, [byte; 35]);
            decodes_other_sizes::<32>(version, &[byte; 40]);
            decodes_other_sizes::<33>(version, &[byte; 40]);
            decodes_other_sizes::<35>(version, &[byte; 40]);
        }
    }
}

#[test]
fn boundary_numbers() {
    for byte in [0x00, 0x01, 0xFF] {
        for size in 0..=80 {
            let data = vec![byte; size];
            let text = encode(&data);
            assert_eq!(text, bs58::encode(&data).into_string());
            decodes_as_before::<35>(0xCB, &text);
        }
    }
    for character in ["1", "2", "z"] {
        for length in 0..=120 {
            decodes_as_before::<35>(0xCB, &character.repeat(length));
        }
    }
    // The largest number of 40 bytes, the next one, and the largest of 55 digits.
    let largest = bs58::encode([0xFF; SHORT_BYTES]).into_string();
    assert_eq!(decode_short(&largest), Some([0xFF; SHORT_BYTES]));
    let mut next = [0; SHORT_BYTES + 1];
    next[0] = 1;
    assert_eq!(decode_short(&bs58::encode(next).into_string()), None);
    assert_eq!(decode_short(&"z".repeat(SHORT_CHARS)), None);
    assert_eq!(encode_short(&[0xFF; SHORT_BYTES]).as_str(), largest);
    assert_eq!(encode_short(&[0; SHORT_BYTES]).as_str(), "");
}

#[test]
fn every_character() {
    for byte in 0..=u8::MAX {
        let character = char::from(byte).to_string();
        decodes_as_before::<32>(0x1C, &character);
        decodes_as_before::<32>(0x1C, &character.repeat(50));
    }
}

proptest! {
    #[test]
    fn random_data(data in proptest::collection::vec(any::<u8>(), 0..200), zeros in 0_usize..12) {
        let data = [vec![0; zeros], data].concat();
        let text = bs58::encode(&data).into_string();
        prop_assert_eq!(&encode(&data), &text);
        prop_assert_eq!(decode(&text), Some(data));
    }

    #[test]
    fn random_numbers(data: [u8; SHORT_BYTES], zeros in 0_usize..=SHORT_BYTES) {
        let mut data = data;
        data[..zeros].fill(0);
        let number = encode_short(&data);
        let minimal: Vec<u8> = data.into_iter().skip_while(|byte| *byte == 0).collect();
        prop_assert_eq!(number.as_str(), bs58::encode(minimal).into_string());
        prop_assert_eq!(decode_short(number.as_str()).unwrap_or(data), data);
    }

    #[test]
    fn random_identifiers(
        version: u8,
        key: [u8; 35],
        tagged: [u8; 33],
        untagged: [u8; 32],
    ) {
        let version = version.max(1);
        decodes_around(version, key);
        decodes_around(version, tagged);
        decodes_around(version, untagged);
    }

    #[test]
    fn random_texts(text in "[1-9A-HJ-NP-Za-km-z]{0,70}", any_text in "\\PC{0,60}") {
        decodes_as_before::<35>(0xCB, &text);
        decodes_as_before::<33>(0x0C, &text);
        decodes_as_before::<32>(0x1C, &text);
        decodes_as_before::<32>(0x1C, &any_text);
    }

    #[test]
    fn texts_with_good_checksums(
        version: u8,
        asked: u8,
        payload in proptest::collection::vec(any::<u8>(), 0..42),
    ) {
        let text = base58check_encode(version, &payload);
        decodes_as_before::<35>(asked, &text);
        decodes_as_before::<35>(version, &text);
        decodes_as_before::<33>(version, &text);
        decodes_as_before::<32>(version, &text);
    }
}
