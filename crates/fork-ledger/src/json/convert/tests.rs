use fork_types::{Amount, AmountError, Fault, FieldBytes, IdError, SlotSinceGenesis};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::account::{Auth, Timing, TokenSymbol};
use crate::binprot::arbitrary;
use crate::json::{v1_from_json, write_account_json};

const PK: &str = "B62qnzbXmRNo9q32n4SNu2mpB8e7FYYLH8NmaX6oFCBYjjQ8SbD7uzV";
const WINNER: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";
/// A token derived from the winner (`hashing.md` 10.6).
const TOKEN: &str = "wuuBRg3V8YCtL2nU8cLcC9LcUWpwyKVsyRgfEv4yjBa5wzrp3u";

const FORK: ForkRules = ForkRules::strict(Era::Berkeley);
const LENIENT: ForkRules = ForkRules {
    era: Era::Berkeley,
    ignore_missing: true,
    pad_app_state: false,
};

fn parse(json: &str) -> AccountJson<'_> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// An account with `members` besides key and balance.
fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"pk": "{PK}", "balance": "7.5"{comma} {members}}}"#)
}

fn daemon(json: &str) -> Result<Account, AccountError> {
    let rules = DaemonRules::released(Era::Berkeley);
    from_daemon_config(&parse(json), &rules, &VerificationKeyCache::new())
}

fn fork(json: &str) -> Result<Account, AccountError> {
    from_fork_config(&parse(json), &LENIENT, &VerificationKeyCache::new())
}

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

#[test]
fn defaults_of_the_daemon() {
    let expected = Account {
        public_key: key(PK),
        balance: Amount::from_nanomina(7_500_000_000),
        delegate: Some(key(PK)),
        ..Account::empty(Era::Berkeley)
    };
    assert_eq!(daemon(&with("")).unwrap(), expected);
    let nulls = r#""delegate": null, "timing": null, "token": null, "receipt_chain_hash": null,
        "voting_for": null, "zkapp": null, "permissions": null, "token_symbol": null"#;
    assert_eq!(daemon(&with(nulls)).unwrap(), expected);
}

/// The difference that gives a wrong root without any other sign.
#[test]
fn a_missing_delegate_is_self_for_the_daemon_and_none_for_the_fork() {
    for members in ["", r#""delegate": null"#, r#""token": "1""#] {
        assert_eq!(daemon(&with(members)).unwrap().delegate, Some(key(PK)));
        assert_eq!(fork(&with(members)).unwrap().delegate, None);
    }
    let custom = with(&format!(r#""token": "{TOKEN}""#));
    assert_eq!(daemon(&custom).unwrap().delegate, None);
    assert_eq!(fork(&custom).unwrap().delegate, None);
    let stated = with(&format!(r#""token": "{TOKEN}", "delegate": "{WINNER}""#));
    assert_eq!(daemon(&stated).unwrap().delegate, Some(key(WINNER)));
    assert_eq!(fork(&stated).unwrap().delegate, Some(key(WINNER)));
    let newest = DaemonRules {
        missing_delegate: MissingDelegate::NoDelegate,
        ..DaemonRules::released(Era::Berkeley)
    };
    let json = with("");
    let account = from_daemon_config(&parse(&json), &newest, &VerificationKeyCache::new());
    assert_eq!(account.unwrap().delegate, None);
}

#[test]
fn the_fork_tool_fills_in_only_when_asked() {
    let complete = [
        (
            "receipt_chain_hash",
            r#""2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe""#,
        ),
        (
            "voting_for",
            r#""3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x""#,
        ),
        ("permissions", "{}"),
    ];
    let strict = |members: &[(&str, &str)]| {
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!(r#""{name}": {value}"#))
            .collect();
        let json = with(&members.join(","));
        from_fork_config(&parse(&json), &FORK, &VerificationKeyCache::new())
    };
    let mut account = daemon(&with("")).unwrap();
    account.delegate = None;
    assert_eq!(strict(&complete).unwrap(), account);
    assert_eq!(fork(&with("")).unwrap(), account);
    for missing in 0..complete.len() {
        let mut members = complete.to_vec();
        let (name, _) = members.remove(missing);
        let error = strict(&members).unwrap_err();
        assert!(
            matches!(&error, AccountError::MissingStrict { path } if path == name),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn one_missing_permission_is_the_default_of_the_era() {
    let json = with(r#""permissions": {"send": "PROOF", "access": "Either"}"#);
    for (era, txn_version) in [(Era::Berkeley, 3), (Era::Mesa, 4)] {
        let mut expected = Permissions::user_default(txn_version);
        expected.send = Auth::Proof;
        expected.access = Auth::Either;
        let keys = VerificationKeyCache::new();
        let by_daemon = from_daemon_config(&parse(&json), &DaemonRules::released(era), &keys);
        let by_fork = from_fork_config(&parse(&json), &ForkRules { era, ..LENIENT }, &keys);
        assert_eq!(by_daemon.unwrap().permissions, expected);
        assert_eq!(by_fork.unwrap().permissions, expected);
    }
}

#[test]
fn every_permission_reaches_its_place() {
    let names = [
        "edit_state",
        "access",
        "send",
        "receive",
        "set_delegate",
        "set_permissions",
        "set_zkapp_uri",
        "edit_action_state",
        "set_token_symbol",
        "increment_nonce",
        "set_voting_for",
        "set_timing",
    ];
    for name in names {
        let json = with(&format!(r#""permissions": {{"{name}": "impossible"}}"#));
        let permissions = fork(&json).unwrap().permissions;
        let mut expected = Permissions::user_default(3);
        *match name {
            "edit_state" => &mut expected.edit_state,
            "access" => &mut expected.access,
            "send" => &mut expected.send,
            "receive" => &mut expected.receive,
            "set_delegate" => &mut expected.set_delegate,
            "set_permissions" => &mut expected.set_permissions,
            "set_zkapp_uri" => &mut expected.set_zkapp_uri,
            "edit_action_state" => &mut expected.edit_action_state,
            "set_token_symbol" => &mut expected.set_token_symbol,
            "increment_nonce" => &mut expected.increment_nonce,
            "set_voting_for" => &mut expected.set_voting_for,
            _ => &mut expected.set_timing,
        } = Auth::Impossible;
        assert_eq!(permissions, expected, "{name}");
        let bad = with(&format!(r#""permissions": {{"{name}": "both"}}"#));
        let error = fork(&bad).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`permissions.{name}` is `both`, expected one of none, either, proof, signature, \
                 impossible"
            )
        );
    }
}

#[test]
fn txn_versions_are_kept_or_overridden() {
    let json =
        with(r#""permissions": {"set_verification_key": {"auth": "proof", "txn_version": "2"}}"#);
    let permissions = daemon(&json).unwrap().permissions;
    assert_eq!(permissions.set_verification_key, Auth::Proof);
    assert_eq!(permissions.set_verification_key_txn_version, 2);
    let overriding = DaemonRules {
        txn_version: Some(5),
        ..DaemonRules::released(Era::Mesa)
    };
    for json in [json, with("")] {
        let account =
            from_daemon_config(&parse(&json), &overriding, &VerificationKeyCache::new()).unwrap();
        assert_eq!(account.permissions.set_verification_key_txn_version, 5);
    }
}

#[test]
fn the_plain_word_of_v1_is_refused_with_the_rewrite() {
    let json = with(r#""permissions": {"set_verification_key": "signature"}"#);
    for error in [daemon(&json).unwrap_err(), fork(&json).unwrap_err()] {
        assert!(matches!(
            error,
            AccountError::PlainSetVerificationKey { .. }
        ));
        let hint = error.hint().unwrap();
        assert!(
            hint.contains(r#"{"auth": "signature", "txn_version": "2"}"#),
            "{hint}"
        );
    }
    let v1 = v1_from_json(&parse(&json)).unwrap();
    assert_eq!(v1.permissions, crate::account::V1Permissions::DEFAULT);
}

#[test]
fn a_zero_period_divides_the_two_conversions() {
    let json = with(
        r#""timing": {"initial_minimum_balance": "1", "cliff_time": "2", "cliff_amount": "3",
            "vesting_period": "0", "vesting_increment": "4"}"#,
    );
    assert!(matches!(
        daemon(&json),
        Err(AccountError::VestingPeriodZero)
    ));
    let Timing::Timed(vesting) = fork(&json).unwrap().timing else {
        panic!("timed");
    };
    assert_eq!(vesting.vesting_period.get(), 0);
    assert_eq!(vesting.cliff_time, SlotSinceGenesis::new(2));
}

fn zkapp_json(elements: usize) -> String {
    let state = vec![r#""5""#; elements].join(",");
    with(&format!(
        r#""zkapp": {{"app_state": [{state}], "verification_key": null, "zkapp_version": "3",
            "action_state": ["1", "2", "3", "4", "5"], "last_action_slot": 7,
            "proved_state": true, "zkapp_uri": "https://example.com"}}"#
    ))
}

#[test]
fn state_width_is_exact_unless_padding_is_asked_for() {
    let keys = VerificationKeyCache::new();
    for era in [Era::Berkeley, Era::Mesa] {
        let width = era.app_state_len();
        for (pad, elements, good) in [
            (false, width, true),
            (false, width - 1, false),
            (false, width + 1, false),
            (true, width, true),
            (true, width - 1, true),
            (true, 0, true),
            (true, width + 1, false),
        ] {
            let json = zkapp_json(elements);
            let rules = ForkRules {
                era,
                ignore_missing: true,
                pad_app_state: pad,
            };
            let account = from_fork_config(&parse(&json), &rules, &keys);
            assert_eq!(account.is_ok(), good, "{era} {pad} {elements}");
            match account {
                Ok(account) => {
                    let state = account.zkapp.unwrap().app_state;
                    let mut expected = vec![FieldBytes::from_u64(5); elements];
                    expected.resize(width, FieldBytes::ZERO);
                    assert_eq!(state, expected);
                }
                Err(error) => assert!(matches!(
                    error,
                    AccountError::AppStateWidth { found, .. } if found == elements
                )),
            }
            let daemon = from_daemon_config(&parse(&json), &DaemonRules::released(era), &keys);
            assert_eq!(daemon.is_ok(), elements == width);
        }
    }
}

/// Replaces one member's value by JSON text.
fn replaced(json: &str, member: &str, value: &str) -> String {
    let mut object: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut place = &mut object;
    for name in member.split('.') {
        place = &mut place[name];
    }
    *place = serde_json::from_str(value).unwrap();
    object.to_string()
}

#[test]
fn defects_are_distinguished_and_located() {
    let message = |json: &str| {
        let error = fork(json).unwrap_err();
        assert_eq!(error.class(), fork_types::Class::BadInput);
        error.to_string()
    };
    let zkapp = zkapp_json(8);
    for (member, value, expected) in [
        (
            "nonce",
            r#""-1""#,
            "`nonce` is `-1`, expected a decimal number below 2^32",
        ),
        (
            "nonce",
            r#""4294967296""#,
            "`nonce` is `4294967296`, expected a decimal number below 2^32",
        ),
        (
            "token_symbol",
            r#""1234567""#,
            "`token_symbol` has 7 bytes, at most 6 are allowed",
        ),
        (
            "token_symbol",
            r#""éééé""#,
            "`token_symbol` has 8 bytes, at most 6 are allowed",
        ),
        (
            "zkapp.app_state",
            r#"["1", "2", "3", "0x4", "5", "6", "7", "8"]"#,
            "`zkapp.app_state[3]` is `0x4`, expected a decimal field element",
        ),
        (
            "zkapp.action_state",
            r#"["1", "2", "3",
               "28948022309329048855892746252171976963363056481941560715954676764349967630337",
               "5"]"#,
            "`zkapp.action_state[3]` is \
             `28948022309329048855892746252171976963363056481941560715954676764349967630337`, \
             which is not below the field modulus",
        ),
        (
            "zkapp.action_state",
            r#"["1"]"#,
            "`zkapp.action_state` has 1 elements, expected 5",
        ),
        (
            "zkapp.zkapp_version",
            r#""x""#,
            "`zkapp.zkapp_version` is `x`, expected a decimal number below 2^32",
        ),
        (
            "zkapp.proved_state",
            "null",
            "`zkapp.proved_state` is missing",
        ),
        (
            "zkapp.last_action_slot",
            "null",
            "`zkapp.last_action_slot` is missing",
        ),
        (
            "zkapp.verification_key",
            r#""AAAA""#,
            "`zkapp.verification_key` holds 3 bytes, a verification key has 1796",
        ),
        (
            "zkapp.verification_key",
            r#""AAA""#,
            "`zkapp.verification_key` is not base64 of the standard alphabet with padding",
        ),
        ("timing", "{}", "`timing.cliff_time` is missing"),
        ("balance", "null", "`balance` is missing"),
        ("pk", "null", "`pk` is missing"),
    ] {
        assert_eq!(message(&replaced(&zkapp, member, value)), expected);
    }
    let uri = format!(r#""{}""#, "x".repeat(256));
    assert_eq!(
        message(&replaced(&zkapp, "zkapp.zkapp_uri", &uri)),
        "`zkapp.zkapp_uri` has 256 bytes, at most 255 are allowed"
    );
}

#[test]
fn causes_tell_bad_texts_apart() {
    let json = with("");
    let id = |member: &str, text: &str| match fork(&replaced(&json, member, &format!("{text:?}"))) {
        Err(AccountError::Id { path, source }) => {
            assert_eq!(path, member);
            source
        }
        other => panic!("{other:?}"),
    };
    let bad_checksum = PK.replace("uzV", "uzW");
    assert!(matches!(id("pk", &bad_checksum), IdError::Checksum { .. }));
    assert!(matches!(id("delegate", TOKEN), IdError::Version { .. }));
    assert!(matches!(id("delegate", "l"), IdError::Alphabet { .. }));
    assert!(matches!(
        id("receipt_chain_hash", WINNER),
        IdError::Version { .. }
    ));
    assert!(matches!(id("voting_for", PK), IdError::Version { .. }));
    assert!(matches!(id("token", "10"), IdError::Alphabet { .. }));
    let amount = |text: &str| match fork(&replaced(&json, "balance", &format!("{text:?}"))) {
        Err(AccountError::Amount { path, source }) => {
            assert_eq!(path, "balance");
            source
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(amount("1e9"), AmountError::Malformed { .. }));
    assert!(matches!(
        amount("18446744073.709551616"),
        AmountError::Overflow { .. }
    ));
}

#[test]
fn causes_are_not_repeated() {
    let json = replaced(&with(""), "pk", r#""B62""#);
    let error = fork(&json).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}: {cause}");
    let listed = error.at(3, &parse(&json));
    assert_eq!(listed.to_string(), "account 3 (B62) is not usable");
    assert_eq!(listed.class(), fork_types::Class::BadInput);
}

#[test]
fn v1_is_no_era_of_these_conversions() {
    let json = with("");
    let keys = VerificationKeyCache::new();
    assert!(matches!(
        from_daemon_config(&parse(&json), &DaemonRules::released(Era::V1), &keys),
        Err(AccountError::WrongEra { era: Era::V1 })
    ));
    assert!(matches!(
        from_fork_config(&parse(&json), &ForkRules::strict(Era::V1), &keys),
        Err(AccountError::WrongEra { era: Era::V1 })
    ));
}

#[test]
fn v1_defaults_and_limits() {
    let v1 = |members: &str| {
        let json = with(members);
        v1_from_json(&parse(&json)).map_err(|error| error.to_string())
    };
    let account = v1(r#""token_permissions": {}, "snapp": null"#).unwrap();
    assert_eq!(account.delegate, Some(key(PK)));
    assert_eq!(account.token_id, 1);
    assert_eq!(v1(r#""token": "2""#).unwrap().delegate, None);
    let both = v1(r#""permissions": {"stake": false, "send": "Both"}"#).unwrap();
    assert!(!both.permissions.stake);
    assert_eq!(both.permissions.send, crate::account::V1Auth::Both);
    for (members, path) in [
        (r#""snapp": {"state": []}"#, "snapp"),
        (
            r#""token_permissions": {"token_owned": true}"#,
            "token_permissions.token_owned",
        ),
        (r#""permissions": {"access": "none"}"#, "permissions.access"),
        (r#""token_symbol": "X""#, "token_symbol"),
    ] {
        assert_eq!(
            v1(members),
            Err(format!("`{path}` is set, which no known v1 ledger has"))
        );
    }
    let versioned =
        r#""permissions": {"set_verification_key": {"auth": "none", "txn_version": "2"}}"#;
    assert!(
        v1(versioned)
            .unwrap_err()
            .contains("expected the plain word of v1")
    );
    assert!(v1(&format!(r#""token": "{TOKEN}""#)).is_err());
}

#[test]
fn equal_keys_share_one_copy() {
    let key = arbitrary::synthetic_key(9);
    let mut account = fork(&zkapp_json(8)).unwrap();
    account.zkapp.as_mut().unwrap().verification_key = Some(key.clone());
    let mut json = Vec::new();
    write_account_json(&account, &mut json);
    let cache = VerificationKeyCache::new();
    let shared = |cache: &VerificationKeyCache| {
        let parsed: AccountJson<'_> = serde_json::from_slice(&json).unwrap();
        let account = from_fork_config(&parsed, &LENIENT, cache).unwrap();
        account.zkapp.unwrap().verification_key.unwrap()
    };
    let first = shared(&cache);
    assert_eq!(first, key);
    assert!(std::sync::Arc::ptr_eq(&first, &shared(&cache)));
    assert!(!std::sync::Arc::ptr_eq(
        &first,
        &shared(&VerificationKeyCache::new())
    ));
}

#[test]
fn exported_form_is_upstreams() {
    let mut account = fork(&with("")).unwrap();
    account.nonce = 3;
    account.token_symbol = TokenSymbol::new(b"a\"\x80").unwrap();
    let mut json = Vec::new();
    write_account_json(&account, &mut json);
    let expected = format!(
        r#"{{"pk":"{PK}","balance":"7.5","token":"wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf","nonce":"3","receipt_chain_hash":"2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe","voting_for":"3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x","permissions":{{"edit_state":"signature","send":"signature","receive":"none","access":"none","set_delegate":"signature","set_permissions":"signature","set_verification_key":{{"auth":"signature","txn_version":"3"}},"set_zkapp_uri":"signature","edit_action_state":"signature","set_token_symbol":"signature","increment_nonce":"signature","set_voting_for":"signature","set_timing":"signature"}},"token_symbol":"a\""#
    );
    let expected = [expected.as_bytes(), b"\x80\"}"].concat();
    assert_eq!(
        String::from_utf8_lossy(&json),
        String::from_utf8_lossy(&expected)
    );
    assert_eq!(json, expected, "raw bytes stay raw");
}

proptest! {
    /// Export and conversion R are inverse to each other, raw bytes included.
    #[test]
    fn exports_read_back(
        (era, account) in prop_oneof![Just(Era::Berkeley), Just(Era::Mesa)]
            .prop_flat_map(|era| (Just(era), arbitrary::account(era))),
    ) {
        let mut json = Vec::new();
        write_account_json(&account, &mut json);
        prop_assert!(json.iter().all(|byte| *byte >= 0x20), "control characters are escaped");
        let keys = VerificationKeyCache::new();
        let parsed: AccountJson<'_> = serde_json::from_slice(&json).unwrap();
        let again = from_fork_config(&parsed, &ForkRules::strict(era), &keys).unwrap();
        prop_assert_eq!(&again, &account);
        let mut rewritten = Vec::new();
        parsed.write(&mut rewritten);
        prop_assert_eq!(&rewritten, &json);
        let mut stream = serde_json::Deserializer::from_reader(&json[..]);
        let owned: AccountJson<'static> = AccountJson::deserialize(&mut stream).unwrap();
        prop_assert_eq!(owned, parsed);
    }
}
