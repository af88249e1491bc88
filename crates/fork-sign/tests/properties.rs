//! Whatever is changed, it is noticed; whatever order things come in, it says nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;

use fork_sign::{
    Envelope, KeyId, PAYLOAD_TYPE, PublicKey, SIGNATURES_MAX, SecretKey, SignatureStatus,
    Statement, Subject, TrustedKeys,
};
use proptest::prelude::*;

const TYPES: [&str; 1] = [PAYLOAD_TYPE];

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32]).unwrap()
}

fn trusted(numbers: impl IntoIterator<Item = u8>) -> TrustedKeys {
    let mut keys = TrustedKeys::new();
    for number in numbers {
        keys.insert(key(number).public().clone()).unwrap();
    }
    keys
}

fn envelope(signers: &[u8]) -> Envelope {
    let subjects = vec![Subject::new("a.deb", "0f".repeat(32))];
    let statement = Statement::new("https://example.org/v1", subjects, "fact").unwrap();
    let mut envelope = Envelope::new(statement.to_payload().unwrap());
    for signer in signers {
        envelope.sign(&key(*signer)).unwrap();
    }
    envelope
}

/// What a reader concludes from an envelope: nothing, when it cannot be read or the signatures do not
/// suffice or one is wrong.
fn conclusion(bytes: &[u8], keys: &TrustedKeys) -> Option<(Vec<u8>, BTreeSet<KeyId>)> {
    let envelope = Envelope::from_json(bytes).ok()?;
    let verification = envelope.verify(keys, 2, &TYPES).ok()?;
    if !verification.wrong().is_empty() {
        return None;
    }
    let payload = verification.payload()?.to_vec();
    Some((payload, verification.signers().clone()))
}

/// Every byte of the file, with every bit flipped and a few other values: what is concluded is the
/// same or nothing. Only what is not signed and decides nothing may be changed without notice: white
/// space, and letters of a key's label, which make it nobody's.
#[test]
fn no_changed_byte_changes_what_is_concluded() {
    let keys = trusted([1, 2]);
    let bytes = envelope(&[1, 2]).to_json().unwrap();
    let original = conclusion(&bytes, &keys).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let label = |at: usize| {
        let found = text
            .match_indices("\"keyid\": \"")
            .map(|(start, head)| start + head.len());
        found
            .into_iter()
            .any(|start| (start..start + 64).contains(&at))
    };
    let mut unnoticed = BTreeSet::new();
    for at in 0..bytes.len() {
        let values = (0..8).map(|bit| bytes[at] ^ (1 << bit));
        for value in values.chain(*b" \n\"\\{}[]-_=") {
            let mut changed = bytes.clone();
            changed[at] = value;
            if changed == bytes {
                continue;
            }
            match conclusion(&changed, &keys) {
                None => {}
                Some(found) => {
                    assert_eq!(found, original, "byte {at}: {value:#x}");
                    unnoticed.insert(at);
                }
            }
        }
    }
    for at in unnoticed {
        let byte = bytes[at];
        assert!(
            byte.is_ascii_whitespace() || label(at),
            "byte {at}: {byte:#x}"
        );
    }
    for cut in 0..bytes.len() - 1 {
        assert_eq!(conclusion(&bytes[..cut], &keys), None, "{cut} bytes");
    }
    assert_eq!(conclusion(&[&bytes[..], b"{}"].concat(), &keys), None);
}

#[test]
fn shape_and_spelling_of_an_envelope_are_strict() {
    let bytes = envelope(&[1]).to_json().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to, words) in [
        (
            "\"payloadType\"",
            "\"x\": 1, \"payloadType\"",
            "no DSSE envelope",
        ),
        (
            "\"keyid\"",
            "\"keyid\": \"\", \"keyid\"",
            "no DSSE envelope",
        ),
        ("==\"", "\"", "only spelling"),
        ("==\"", "==\\n\"", "only spelling"),
        ("==\"", "=\"", "only spelling"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let error = Envelope::from_json(changed.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{to}: {error}");
    }
    // Bits behind the last byte: 64 bytes leave four of them.
    let last = text.rfind("==\"").unwrap() - 1;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = alphabet
        .iter()
        .position(|one| *one == text.as_bytes()[last])
        .unwrap();
    let mut changed = text.clone().into_bytes();
    changed[last] = alphabet[place | 1];
    assert_ne!(changed, text.as_bytes());
    assert!(Envelope::from_json(&changed).is_err());
    let many = serde_json::json!({
        "payload": "", "payloadType": PAYLOAD_TYPE,
        "signatures": vec![serde_json::json!({ "sig": "" }); SIGNATURES_MAX + 1],
    });
    let error = Envelope::from_json(many.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("the limit is 64"), "{error}");
}

#[test]
fn a_signature_in_another_s_name_is_told_from_an_unknown_one() {
    let (one, two) = (key(1), key(2));
    let json = String::from_utf8(envelope(&[2]).to_json().unwrap()).unwrap();
    let relabelled = |label: &str| {
        let text = json.replace(two.public().id().as_str(), label);
        Envelope::from_json(text.as_bytes()).unwrap()
    };
    let keys = trusted([1]);
    let status = |envelope: &Envelope| {
        envelope
            .verify(&keys, 1, &TYPES)
            .unwrap()
            .statuses()
            .to_vec()
    };
    let in_the_name_of_one = relabelled(one.public().id().as_str());
    assert_eq!(
        status(&in_the_name_of_one),
        [SignatureStatus::Wrong(one.public().id().clone())]
    );
    assert_eq!(
        status(&relabelled("release manager")),
        [SignatureStatus::Unknown {
            label: "release manager".to_owned()
        }]
    );
    // Whoever is trusted counts, whatever the label says.
    let both = trusted([1, 2]);
    let verification = in_the_name_of_one.verify(&both, 1, &TYPES).unwrap();
    assert_eq!(
        verification.statuses(),
        [SignatureStatus::Good(two.public().id().clone())]
    );
}

/// One person cannot be two by labelling a signature twice, or leaving the label out.
#[test]
fn a_key_counts_once_under_any_number_of_labels() {
    let json = String::from_utf8(envelope(&[1]).to_json().unwrap()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let signature = value["signatures"][0]["sig"].clone();
    for label in ["", "me", key(2).public().id().as_str()] {
        let entry = serde_json::json!({ "keyid": label, "sig": signature });
        value["signatures"].as_array_mut().unwrap().push(entry);
    }
    let envelope = Envelope::from_json(value.to_string().as_bytes()).unwrap();
    assert_eq!(envelope.signature_count(), 4);
    let keys = trusted([1, 2]);
    let verification = envelope.verify(&keys, 2, &TYPES).unwrap();
    let good = SignatureStatus::Good(key(1).public().id().clone());
    assert_eq!(verification.statuses(), vec![good; 4]);
    assert_eq!(verification.signers().len(), 1);
    assert!(!verification.is_met() && verification.payload().is_none());
}

#[test]
fn a_key_file_is_one_block_and_nothing_else() {
    let secret = key(3);
    let private = secret.to_pem().unwrap();
    let public = secret.public().to_pem().unwrap();
    let read = SecretKey::from_pem(private.as_bytes()).unwrap();
    assert_eq!(read.public(), secret.public());
    assert_eq!(
        PublicKey::from_pem(public.as_bytes()).unwrap(),
        *secret.public()
    );
    let crlf = private.replace('\n', "\r\n");
    assert!(SecretKey::from_pem(crlf.as_bytes()).is_ok());
    let secret_text = private.lines().nth(1).unwrap().to_owned();
    for wrong in [
        String::new(),
        "x".to_owned(),
        format!("{}{}", *private, *private),
        format!("{}{public}", *private),
        format!("key:\n{}", *private),
        format!("{}tail", *private),
        private.replace(&secret_text, &secret_text[..40]),
        private.replace(&secret_text, &format!("{secret_text}{secret_text}")),
        private.replace("END", "BEGIN"),
        private.replace('M', "-"),
    ] {
        let error = SecretKey::from_pem(wrong.as_bytes()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&secret_text[20..28]), "{shown}");
        assert!(PublicKey::from_pem(wrong.as_bytes()).is_err());
    }
    let shown = format!("{secret:?}");
    assert!(shown.contains(secret.public().id().as_str()), "{shown}");
    assert!(
        !shown.contains("030303") && !shown.contains("3, 3, 3"),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The threshold counts different trusted keys and nothing else.
    #[test]
    fn threshold_counts_different_trusted_keys(
        signers in proptest::collection::vec(1_u8..8, 0..10),
        trust in proptest::collection::btree_set(1_u8..8, 1..7),
        threshold in 0_usize..9,
    ) {
        let keys = trusted(trust.iter().copied());
        let envelope = envelope(&signers);
        let different: BTreeSet<u8> = signers.iter().copied().collect();
        prop_assert_eq!(envelope.signature_count(), different.len());
        match envelope.verify(&keys, threshold, &TYPES) {
            Err(error) => {
                prop_assert!(threshold == 0 || threshold > trust.len(), "{}", error);
            }
            Ok(verification) => {
                let count = different.intersection(&trust).count();
                prop_assert!((1..=trust.len()).contains(&threshold));
                prop_assert_eq!(verification.signers().len(), count);
                prop_assert_eq!(verification.is_met(), count >= threshold);
                prop_assert_eq!(verification.missing(), threshold.saturating_sub(count));
                prop_assert_eq!(verification.payload().is_some(), count >= threshold);
                prop_assert!(verification.wrong().is_empty());
            }
        }
    }

    /// Signing in any order, on any number of machines, and merging gives the same file.
    #[test]
    fn order_and_merging_say_nothing(
        order in Just([1_u8, 2, 3, 4, 5]).prop_shuffle(),
        split in 0_usize..=5,
    ) {
        let whole = envelope(&[1, 2, 3, 4, 5]).to_json().unwrap();
        prop_assert_eq!(&envelope(&order).to_json().unwrap(), &whole);
        let (left, right) = (envelope(&order[..split]), envelope(&order[split..]));
        let (mut a, mut b) = (left.clone(), right.clone());
        prop_assert_eq!(a.merge(&right).unwrap(), 5 - split);
        prop_assert_eq!(b.merge(&left).unwrap(), split);
        prop_assert_eq!(b.merge(&left).unwrap(), 0);
        prop_assert_eq!(&a.to_json().unwrap(), &whole);
        prop_assert_eq!(&b.to_json().unwrap(), &whole);
        prop_assert_eq!(Envelope::from_json(&whole).unwrap(), a);
        let mut other = Envelope::new(b"{}".to_vec());
        prop_assert!(other.merge(&left).is_err());
    }

    /// Bytes from anywhere end in an error, never in a crash.
    #[test]
    fn anything_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::from_json(&bytes);
        let _ = SecretKey::from_pem(&bytes);
        let _ = PublicKey::from_pem(&bytes);
        let _ = Statement::<serde_json::Value>::from_payload(&bytes, "x");
    }
}
