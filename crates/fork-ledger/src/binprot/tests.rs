use fork_types::{Amount, Era, FieldBytes, PublicKey, SlotSinceGenesis, SlotSpan, TokenId};
use proptest::prelude::*;

use super::arbitrary;
use super::*;
use crate::account::{Account, Permissions, Timing, Vesting};
use crate::json::ledger_object::released_genesis_winner;

fn hex_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    hex::encode(bytes)
}

fn bytes_of(account: &Account) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_account(account, &mut bytes);
    bytes
}

/// The table of `ledger-store.md` 8.1; the last three follow from the rule and were not seen.
#[test]
fn integers() {
    for (value, bytes) in [
        (0, "00"),
        (127, "7f"),
        (128, "fe8000"),
        (1_000, "fee803"),
        (10_101, "fe7527"),
        (32_767, "feff7f"),
        (32_768, "fd00800000"),
        (62_772, "fd34f50000"),
        (2_147_483_647, "fdffffff7f"),
        (2_147_483_648, "fc0000008000000000"),
        (20_000_001_000, "fce8cb17a804000000"),
        (100_000_001_000_000_000, "fc00ca249978456301"),
        (20_493_829_175_997_356, "fcac731f7007cf4800"),
        (1 << 63, "fc0000000000000080"),
        (u64::MAX, "ffff"),
        (u64::MAX - 127, "ff80"),
        (u64::MAX - 128, "fe7fff"),
    ] {
        assert_eq!(hex_of(|out| write_u64(value, out)), bytes, "{value}");
        assert_eq!(
            Reader::new(&hex::decode(bytes).unwrap()).u64().unwrap(),
            value
        );
    }
    for (value, bytes) in [(1 << 31, "fd00000080"), (u32::MAX, "ffff")] {
        assert_eq!(hex_of(|out| write_u32(value, out)), bytes, "{value}");
        assert_eq!(
            Reader::new(&hex::decode(bytes).unwrap()).u32().unwrap(),
            value
        );
    }
}

/// Lengths use two bytes twice as far as integers do.
#[test]
fn lengths() {
    for (value, bytes) in [
        (127, "7f"),
        (128, "fe8000"),
        (0x8000, "fe0080"),
        (0xffff, "feffff"),
        (0x1_0000, "fd00000100"),
        (0xffff_ffff, "fdffffffff"),
        (0x1_0000_0000, "fc0000000001000000"),
    ] {
        assert_eq!(hex_of(|out| write_nat0(value, out)), bytes, "{value}");
        assert_eq!(
            Reader::new(&hex::decode(bytes).unwrap()).nat0().unwrap(),
            value
        );
    }
}

#[test]
fn longer_forms_and_undefined_codes_are_refused() {
    let int = |bytes: &str| {
        Reader::new(&hex::decode(bytes).unwrap())
            .int()
            .unwrap_err()
            .kind
    };
    for long in [
        "fe7f00",
        "fe80ff",
        "ff05",
        "fdff7f0000",
        "fd0080ffff",
        "fcffffff7f00000000",
        "fc00000080ffffffff",
    ] {
        assert!(matches!(int(long), BinProtErrorKind::NotShortest), "{long}");
    }
    for code in 0x80..=0xfb {
        assert!(matches!(
            int(&format!("{code:02x}00")),
            BinProtErrorKind::Code { .. }
        ));
    }
    assert!(matches!(int("fd000000"), BinProtErrorKind::UnexpectedEnd));
    let nat0 = |bytes: &str| {
        Reader::new(&hex::decode(bytes).unwrap())
            .nat0()
            .unwrap_err()
            .kind
    };
    assert!(matches!(nat0("fe7f00"), BinProtErrorKind::NotShortest));
    assert!(matches!(nat0("fdffff0000"), BinProtErrorKind::NotShortest));
    assert!(matches!(
        nat0("ff05"),
        BinProtErrorKind::Code { code: 0xff }
    ));
    let beyond = Reader::new(&hex::decode("fc0000008000000000").unwrap())
        .u32()
        .unwrap_err();
    assert!(matches!(beyond.kind, BinProtErrorKind::NotUInt32));
    assert_eq!(beyond.offset, 0);
}

/// `ledger-store.md` 8.7: the empty accounts, which differ in one byte.
#[test]
fn empty_accounts() {
    let expected = |version: &str| {
        [
            &"00".repeat(33),
            "01",
            &"00".repeat(31),
            "000000",
            "0b143c0645497a5987a7b88f66340e03db943f0a0df48b69a3a82921ce97b10a",
            "00",
            &"00".repeat(32),
            "00",
            "03000300030303",
            version,
            "030303030303",
            "00",
        ]
        .concat()
    };
    for (era, version) in [(Era::Berkeley, "03"), (Era::Mesa, "04")] {
        let bytes = empty_account_bytes(era);
        assert_eq!(bytes.len(), 149);
        assert_eq!(hex::encode(&bytes), expected(version));
        assert_eq!(decode_account(era, &bytes).unwrap(), Account::empty(era));
    }
}

#[test]
fn timing_example() {
    let mut account = Account::empty(Era::Berkeley);
    account.timing = Timing::Timed(Vesting {
        initial_minimum_balance: "1000000".parse().unwrap(),
        cliff_time: SlotSinceGenesis::new(12_000),
        cliff_amount: "500000".parse().unwrap(),
        vesting_period: SlotSpan::new(6),
        vesting_increment: "150".parse().unwrap(),
    });
    let bytes = hex::encode(bytes_of(&account));
    assert!(
        bytes.contains("01fc0080c6a47e8d030000fee02efc00406352bfc601000006fc005cb2ec22000000"),
        "{bytes}"
    );
}

/// `ledger-store.md` 8.9: four accounts of a block of the Berkeley devnet, from o1-labs/mina-rust
/// `tests/files/archive-breadcrumb/3NK56ZbCS31qb8SvCtCCYza4beRDtKgXA2JL6s3evKouG2KkKtiy.bin`.
#[test]
fn stored_accounts() {
    const REST: &str = "0100000000000000000000000000000000000000000000000000000000000000\
         00BALANCE000b143c0645497a5987a7b88f66340e03db943f0a0df48b69a3a82921ce97b10a01KEY\
         0000000000000000000000000000000000000000000000000000000000000000\
         0003000300030303TXN03030303030300";
    for (text, key_bytes, balance, balance_bytes, txn_version) in [
        (
            "B62qmo4nfFemr9hFtvz8F5h4JFSCxikVNsUJmZcfXQ9SGJ4abEC1RtH",
            "63aaebf0904f8056cded850c861f00465c95feeb54114da56f6483fbb3bdd11a01",
            20_493_829_175_997_356,
            "fcac731f7007cf4800",
            2,
        ),
        (
            "B62qrsaLKgMey9Y6aZjdL5FVFa1dkYC4u4qr69Mw1vp54QRt5KVk98o",
            "fb2ca94805a1eb44cf940a0a127b26f591fdcb6262bd6d6389c614f209efb61b00",
            33_269_000_000_000,
            "fc0052ed0a421e0000",
            3,
        ),
        (
            "B62qqJ3yvb6fHJQFzfd9r7hBkkX1hktbbwv9aapxuqUhXynxzDG9FqJ",
            "cc17663bf8349c16c252611593e1d802bea3474a3a9232d5ae825e5b245bb82600",
            33_665_000_000_000,
            "fc00ca5d3e9e1e0000",
            3,
        ),
        (
            "B62qpvyUytaLbqjyDyBfYJjetNMaWbsfjMKfULihuFRR1gZ5CgY5gKt",
            "c13f90d6e034cd86de7f55ed22b30e2a06b3f62b62900831f14e1a3130fbf33d01",
            33_595_000_000_000,
            "fc008e0af28d1e0000",
            3,
        ),
    ] {
        let stored = format!("{key_bytes}{REST}")
            .replace("BALANCE", balance_bytes)
            .replace("KEY", key_bytes)
            .replace("TXN", &format!("{txn_version:02}"));
        let stored = hex::decode(stored).unwrap();
        assert_eq!(stored.len(), 190);
        let public_key: PublicKey = text.parse().unwrap();
        let expected = Account {
            public_key,
            balance: Amount::from_nanomina(balance),
            delegate: Some(public_key),
            permissions: Permissions::user_default(txn_version),
            ..Account::empty(Era::Berkeley)
        };
        assert_eq!(decode_account(Era::Berkeley, &stored).unwrap(), expected);
        assert_eq!(bytes_of(&expected), stored);
    }
}

#[test]
fn winner_takes_184_bytes() {
    for era in [Era::Berkeley, Era::Mesa] {
        assert_eq!(bytes_of(&released_genesis_winner(era).unwrap()).len(), 184);
    }
}

#[test]
fn smallest_zkapp_part() {
    for (era, part_bytes) in [(Era::Berkeley, 424), (Era::Mesa, 1192)] {
        let mut account = Account::empty(era);
        account.zkapp = Some(Box::new(crate::account::Zkapp {
            app_state: vec![FieldBytes::ZERO; era.app_state_len()],
            verification_key: None,
            zkapp_version: 0,
            action_state: [FieldBytes::ZERO; 5],
            last_action_slot: SlotSinceGenesis::new(0),
            proved_state: false,
            zkapp_uri: Vec::new(),
        }));
        assert_eq!(bytes_of(&account).len(), 149 + part_bytes);
    }
}

#[test]
fn another_width_is_refused() {
    let mut account = Account::empty(Era::Berkeley);
    account.zkapp = Some(Box::new(crate::account::Zkapp {
        app_state: vec![FieldBytes::ONE; 8],
        verification_key: None,
        zkapp_version: 1,
        action_state: [FieldBytes::ONE; 5],
        last_action_slot: SlotSinceGenesis::new(1),
        proved_state: true,
        zkapp_uri: b"x".to_vec(),
    }));
    let bytes = bytes_of(&account);
    assert!(decode_account(Era::Berkeley, &bytes).is_ok());
    assert!(decode_account(Era::Mesa, &bytes).is_err());
    assert!(matches!(
        decode_account(Era::V1, &bytes).unwrap_err().kind,
        BinProtErrorKind::WrongEra { era: Era::V1 }
    ));
}

/// Changes one byte of a good account and says how decoding fails.
fn failure_with(offset: usize, byte: u8) -> (usize, BinProtErrorKind) {
    let mut bytes = empty_account_bytes(Era::Berkeley);
    bytes[offset] = byte;
    let error = decode_account(Era::Berkeley, &bytes).unwrap_err();
    (error.offset, error.kind)
}

#[test]
fn each_defect_names_its_place() {
    assert!(matches!(
        failure_with(31, 0xff),
        (0, BinProtErrorKind::FieldTooLarge)
    ));
    assert!(matches!(
        failure_with(32, 2),
        (32, BinProtErrorKind::Tag { byte: 2, .. })
    ));
    assert!(matches!(
        failure_with(65, 7),
        (
            65,
            BinProtErrorKind::TooLong {
                found: 7,
                bytes_max: 6,
                ..
            }
        )
    ));
    assert!(matches!(
        failure_with(134, 5),
        (134, BinProtErrorKind::Tag { byte: 5, .. })
    ));
    let mut long = empty_account_bytes(Era::Berkeley);
    long.push(0);
    let error = decode_account(Era::Berkeley, &long).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 bytes left over at byte 149 of the binary form"
    );
    for cut in 0..149 {
        let bytes = &empty_account_bytes(Era::Berkeley)[..cut];
        assert!(matches!(
            decode_account(Era::Berkeley, bytes).unwrap_err().kind,
            BinProtErrorKind::UnexpectedEnd
        ));
    }
}

#[test]
fn token_sets() {
    let token = |number| TokenId::new(FieldBytes::from_u64(number));
    let mut bytes = Vec::new();
    encode_token_ids(&[TokenId::DEFAULT], &mut bytes);
    assert_eq!(hex::encode(&bytes), format!("0101{}", "00".repeat(31)));
    // 256 is after 255 as an integer and before it as bytes.
    let tokens = [token(1), token(255), token(256)];
    bytes.clear();
    encode_token_ids(&tokens, &mut bytes);
    assert_eq!(decode_token_ids(&bytes).unwrap(), tokens);
    for bad in [[token(2), token(1)], [token(1), token(1)]] {
        bytes.clear();
        encode_token_ids(&bad, &mut bytes);
        let error = decode_token_ids(&bytes).unwrap_err();
        assert!(matches!(error.kind, BinProtErrorKind::NotAscending));
        assert_eq!(error.offset, 33);
    }
    // A length that is not backed by bytes must not be allocated.
    assert!(decode_token_ids(&hex::decode("fcffffffffffffff7f").unwrap()).is_err());
}

proptest! {
    #[test]
    fn integers_round_trip(value in arbitrary::number64(), small in arbitrary::number32()) {
        let mut bytes = Vec::new();
        write_u64(value, &mut bytes);
        write_u32(small, &mut bytes);
        write_nat0(value, &mut bytes);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.u64().unwrap(), value);
        prop_assert_eq!(reader.u32().unwrap(), small);
        prop_assert_eq!(reader.nat0().unwrap(), value);
        prop_assert!(reader.end().is_ok());
    }

    #[test]
    fn berkeley_accounts_round_trip(account in arbitrary::account(Era::Berkeley)) {
        let bytes = bytes_of(&account);
        prop_assert_eq!(decode_account(Era::Berkeley, &bytes).unwrap(), account);
    }

    #[test]
    fn mesa_accounts_round_trip(account in arbitrary::account(Era::Mesa)) {
        let bytes = bytes_of(&account);
        prop_assert_eq!(decode_account(Era::Mesa, &bytes).unwrap(), account);
    }

    /// Whatever decodes is exactly what encoding gives: no account has two encodings.
    #[test]
    fn one_encoding_per_account(
        account in arbitrary::account(Era::Berkeley),
        place: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = bytes_of(&account);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(decoded) = decode_account(Era::Berkeley, &bytes) {
            prop_assert_eq!(bytes_of(&decoded), bytes);
        }
    }

    #[test]
    fn account_ids_round_trip(key in arbitrary::public_key(), token in arbitrary::field()) {
        let bytes = account_id_bytes(&key, &TokenId::new(token));
        prop_assert_eq!(bytes.len(), 65);
        prop_assert_eq!(decode_account_id(&bytes).unwrap(), (key, TokenId::new(token)));
        prop_assert!(decode_account_id(&bytes[1..]).is_err());
    }
}
