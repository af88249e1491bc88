use proptest::prelude::*;

use super::*;

const WINNER: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

#[test]
fn published_encodings() {
    assert_eq!(
        LedgerHash::new(FieldBytes::ZERO).to_string(),
        "jw6bz2wud1N6itRUHZ5ypo3267stk4UgzkiuWtAMPRZo9g4Udyd"
    );
    assert_eq!(
        LedgerHash::new(FieldBytes::ONE).to_string(),
        "jw73XZp5bcaVCnVTK7qr817gnCfLxfkjuwyCJhmrN4eL3sqWXkX"
    );
    assert_eq!(
        StateHash::DUMMY.to_string(),
        "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x"
    );
    assert_eq!(
        StateBodyHash::new(FieldBytes::ZERO).to_string(),
        "3WtfTvMk1U11nw3e7CHoXuvt1JXhumKCeJEHcy3JF8U7B85vFaXf"
    );
    assert_eq!(
        EpochSeed::new(FieldBytes::ZERO).to_string(),
        "2va9BGv9JrLTtrzZttiEMDYw1Zj6a6EHzXjmP9evHDTG3oEquURA"
    );
    assert_eq!(
        TokenId::DEFAULT.to_string(),
        "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf"
    );
    assert_eq!(
        ReceiptChainHash::EMPTY.to_string(),
        "2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe"
    );
    let winner: PublicKey = WINNER.parse().unwrap();
    assert_eq!(
        winner.x().to_le_hex(),
        "0f48c65bd25f85f3e4ea4efebeb75b797bd743603be04b4ead845698b76bd331"
    );
    assert!(!winner.is_odd());
    assert_eq!(winner.to_string(), WINNER);
}

#[test]
fn each_defect_has_its_own_error() {
    let parse = |text: &str| text.parse::<LedgerHash>();
    let encode = |payload: &[u8]| base58check_encode(0x05, payload);
    assert!(matches!(parse("j0"), Err(IdError::Alphabet { .. })));
    assert!(matches!(parse(""), Err(IdError::Length { .. })));
    assert!(matches!(
        parse("jw6bz2wud1N6itRUHZ5ypo3267stk4UgzkiuWtAMPRZo9g4Udye"),
        Err(IdError::Checksum { .. })
    ));
    assert!(matches!(
        parse(&StateHash::DUMMY.to_string()),
        Err(IdError::Version {
            expected: 5,
            found_version: 16,
            ..
        })
    ));
    assert!(matches!(
        parse(&encode(&[1; 32])),
        Err(IdError::Length { .. })
    ));
    assert!(matches!(
        parse(&encode(&[2; 33])),
        Err(IdError::Tag { byte: 2, .. })
    ));
    let mut modulus = vec![1];
    modulus.extend_from_slice(&FIELD_MODULUS_LE);
    assert!(matches!(
        parse(&encode(&modulus)),
        Err(IdError::NotCanonical { .. })
    ));
    modulus[1] = 0;
    assert!(parse(&encode(&modulus)).is_ok(), "p - 1 is an element");
    let mut key = [1; 35];
    key[34] = 2;
    assert!(matches!(
        base58check_encode(0xCB, &key).parse::<PublicKey>(),
        Err(IdError::Tag { byte: 2, .. })
    ));
}

#[test]
fn common_texts_are_those_of_the_constants() {
    assert_eq!(TokenId::DEFAULT.text().as_str(), TokenId::DEFAULT_TEXT);
    assert_eq!(TokenId::DEFAULT_TEXT.parse(), Ok(TokenId::DEFAULT));
    assert_eq!(StateHash::DUMMY.to_string().parse(), Ok(StateHash::DUMMY));
}

#[test]
fn defects_are_named_in_order() {
    let mut key = [1; 35];
    let parse = |key: &[u8; 35]| base58check_encode(0xCB, key).parse::<PublicKey>();
    key[2..34].fill(0xFF);
    assert!(matches!(parse(&key), Err(IdError::NotCanonical { .. })));
    key[34] = 7;
    assert!(matches!(parse(&key), Err(IdError::Tag { byte: 7, .. })));
    key[1] = 6;
    assert!(matches!(parse(&key), Err(IdError::Tag { byte: 6, .. })));
    key[0] = 5;
    assert!(matches!(parse(&key), Err(IdError::Tag { byte: 5, .. })));
}

#[test]
fn documents() {
    let json = format!("\"{WINNER}\"");
    let winner: PublicKey = WINNER.parse().unwrap();
    assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), winner);
    assert_eq!(serde_json::to_string(&winner).unwrap(), json);
    let escaped = json.replace('B', "\\u0042");
    assert_eq!(serde_json::from_str::<PublicKey>(&escaped).unwrap(), winner);
    let message = |json: &str| {
        let parsed = serde_json::from_str::<PublicKey>(json);
        parsed.unwrap_err().to_string()
    };
    assert_eq!(
        message("\"B\""),
        "public key `B` holds 1 payload bytes, expected 5"
    );
    assert_eq!(
        message("1"),
        "invalid type: integer `1`, expected a string at line 1 column 1"
    );
}

/// The order of the numbers, byte by byte.
fn compares_as_bytes(one: [u8; 32], other: [u8; 32]) {
    let is_below = one.iter().rev().lt(FIELD_MODULUS_LE.iter().rev());
    assert_eq!(FieldBytes::from_le_bytes(one).is_some(), is_below);
    let expected = one.iter().rev().cmp(other.iter().rev());
    assert_eq!(FieldBytes(one).cmp(&FieldBytes(other)), expected);
}

#[test]
fn neighbours_of_the_modulus() {
    let mut near = vec![FIELD_MODULUS_LE, [0; 32], [0xFF; 32]];
    for index in 0..32 {
        for change in [1, 0x80, 0xFF] {
            let mut bytes = FIELD_MODULUS_LE;
            bytes[index] = bytes[index].wrapping_add(change);
            near.push(bytes);
        }
    }
    for one in &near {
        for other in &near {
            compares_as_bytes(*one, *other);
        }
    }
}

#[test]
fn account_token_member() {
    assert_eq!(TokenId::parse_account_member("1"), Ok(TokenId::DEFAULT));
    assert_eq!(
        TokenId::parse_account_member("2"),
        Ok(TokenId::new(FieldBytes::from_u64(2)))
    );
    assert!(TokenId::parse_account_member("10").is_err());
    assert!(TokenId::parse_account_member("").is_err());
    assert!(TokenId::parse_account_member("Z").is_err());
    assert!(TokenId::parse_account_member("12345678912345").is_err());
}

proptest! {
    #[test]
    fn texts_round_trip(mut bytes: [u8; 32], is_odd: bool) {
        bytes[31] &= 0x3f;
        let field = FieldBytes::from_le_bytes(bytes).unwrap();
        let key = PublicKey::new(field, is_odd);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(key.text().as_bytes().len(), PublicKey::TEXT_BYTES);
        prop_assert_eq!(key.text().to_string(), key.to_string());
        let hash = LedgerHash::new(field);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        let token = TokenId::new(field);
        prop_assert_eq!(token.to_string().parse(), Ok(token));
        prop_assert_eq!(FieldBytes::from_be_hex(&field.to_be_hex_upper()), Some(field));
    }

    #[test]
    fn numbers_compare_as_bytes(one: [u8; 32], other: [u8; 32], shared in 0_usize..33) {
        let mut other = other;
        other[32 - shared..].copy_from_slice(&one[32 - shared..]);
        compares_as_bytes(one, other);
    }
}
