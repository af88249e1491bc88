use fork_types::Era;
use proptest::prelude::*;

use super::*;
use crate::binprot::arbitrary;
use crate::json::spelling::{Choices, damage, spelled};
use crate::json::write_account_json;

/// What the fast way gives, after checking that the general way agrees.
fn both(rules: ForkRules, text: &[u8]) -> (Option<Account>, Option<Account>) {
    let keys = VerificationKeyCache::new();
    let fast = FastParser::new(rules, &keys).fast(text);
    let general = general(text, &mut Vec::new(), |json| {
        from_fork_config(json, &rules, &keys)
    });
    (fast, general)
}

fn rules(era: Era, choices: &mut Choices) -> ForkRules {
    ForkRules {
        era,
        ignore_missing: choices.once_in(2),
        pad_app_state: choices.once_in(2),
    }
}

fn account_and_era() -> impl Strategy<Value = (Account, Era)> {
    prop_oneof![Just(Era::Berkeley), Just(Era::Mesa)]
        .prop_flat_map(|era| (arbitrary::account(era), Just(era)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn never_another_account_than_the_general_way(
        (account, era) in account_and_era(),
        seed: u64,
        wild: bool,
        broken in 0_usize..3,
    ) {
        let choices = &mut Choices(seed);
        let mut text = spelled(&account, choices, wild);
        for _ in 0..broken {
            damage(&mut text, choices);
        }
        let (fast, general) = both(rules(era, choices), &text);
        if fast.is_some() {
            prop_assert_eq!(&fast, &general, "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn exports_are_fast((mut account, era) in account_and_era()) {
        account.token_symbol = TokenSymbol::new(b"MINA").unwrap();
        if let Some(zkapp) = &mut account.zkapp {
            zkapp.zkapp_uri = b"https://minaprotocol.com".to_vec();
        }
        let mut text = Vec::new();
        write_account_json(&account, &mut text);
        let (fast, general) = both(ForkRules::strict(era), &text);
        prop_assert_eq!(fast.as_ref(), Some(&account));
        prop_assert_eq!(general, fast);
    }

    #[test]
    fn normal_text_is_what_would_be_written(
        (account, era) in account_and_era(),
        seed: u64,
        wild: bool,
        broken in 0_usize..3,
    ) {
        let choices = &mut Choices(seed);
        let mut text = spelled(&account, choices, wild);
        for _ in 0..broken {
            damage(&mut text, choices);
        }
        let mut written = Vec::new();
        let is_account = general(&text, &mut Vec::new(), |json| {
            json.write(&mut written);
            from_fork_config(json, &rules(era, choices), &VerificationKeyCache::new())
        });
        if is_normal(&text) && is_account.is_some() {
            prop_assert_eq!(&written, &text, "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn exports_are_normal((mut account, _) in account_and_era()) {
        account.token_symbol = TokenSymbol::new(b"MINA").unwrap();
        account.zkapp = None;
        let mut text = Vec::new();
        write_account_json(&account, &mut text);
        prop_assert!(is_normal(&text));
        for at in [1, text.len() - 1] {
            let mut blank = text.clone();
            blank.insert(at, b' ');
            prop_assert!(!is_normal(&blank));
        }
    }

    #[test]
    fn remembered_permissions_are_those_of_the_text(
        accounts in proptest::collection::vec(arbitrary::account(Era::Mesa), 1..10),
        seed: u64,
    ) {
        let choices = &mut Choices(seed);
        let keys = VerificationKeyCache::new();
        let mut parser = FastParser::new(ForkRules::strict(Era::Mesa), &keys);
        let texts: Vec<_> = accounts.iter().map(|account| spelled(account, choices, false)).collect();
        for _ in 0..24 {
            let text = &texts[choices.below(texts.len())];
            if let Some(account) = parser.fast(text) {
                prop_assert_eq!(both(ForkRules::strict(Era::Mesa), text).1, Some(account));
            }
        }
    }
}

const PLAIN: &str = r#"{"pk":"B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg","balance":"0.5","delegate":"B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg","timing":null,"token":"wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf","nonce":"7","receipt_chain_hash":"2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe","voting_for":"3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x","zkapp":null,"permissions":{"send":"Either"},"token_symbol":""}"#;

#[test]
fn spellings_that_are_fast_and_that_are_not() {
    let strict = ForkRules::strict(Era::Mesa);
    let (fast, general) = both(strict, PLAIN.as_bytes());
    assert!(fast.is_some());
    assert_eq!(fast, general);
    // What changes, what to, and whether that is fast, and whether it is an account at all.
    for (from, to, is_fast, is_account) in [
        (
            "\"token\":\"wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf\"",
            "\"token\":\"1\"",
            true,
            true,
        ),
        (",\"token\":", " ,\n\t\"token\" : ", true, true),
        ("\"nonce\":\"7\"", "\"nonce\":\"0007\"", true, true),
        ("\"nonce\":\"7\"", "\"nonce\":\"\\u0037\"", false, true),
        ("\"nonce\":\"7\"", "\"more\":[{\"pk\":\"x\"}]", false, true),
        ("\"nonce\":\"7\"", "\"sk\":null", false, true),
        (
            "\"token_symbol\":\"\"",
            "\"token_symbol\":\"\u{e9}\"",
            false,
            true,
        ),
        ("\"zkapp\":null", "\"timing\":null", false, true),
        ("\"nonce\":\"7\"", "\"nonce\":7", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":null", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":\"+7\"", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":\"\"", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":\"1:\"", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":\"4294967295\"", true, true),
        ("\"nonce\":\"7\"", "\"nonce\":\"4294967296\"", false, false),
        ("\"nonce\":\"7\"", "\"nonce\":\"6000000000\"", false, false),
        (
            "\"nonce\":\"7\"",
            "\"nonce\":\"1234567\\u0038\"",
            false,
            true,
        ),
        ("\"nonce\":\"7\"", "\"nonce\":\"7\t\"", false, false),
        (
            "\"token_symbol\":\"\"",
            "\"token_symbol\":\"\t\"",
            false,
            true,
        ),
        ("\"nonce\":\"7\"", "\"pk\":\"7\"", false, false),
        ("\"nonce\":\"7\",", "\"nonce\":\"7\",,", false, false),
        (
            "\"token_symbol\":\"\"",
            "\"token_symbol\":\"1234567\"",
            false,
            false,
        ),
        (
            "\"token_symbol\":\"\"}",
            "\"token_symbol\":\"\",}",
            false,
            false,
        ),
        (
            "\"token_symbol\":\"\"}",
            "\"token_symbol\":\"\"}}",
            false,
            false,
        ),
        ("\"Either\"", "\"both\"", false, false),
        (
            "{\"send\":\"Either\"}",
            "{\"set_verification_key\":{}}",
            false,
            false,
        ),
        ("{\"send\":\"Either\"}", "null", false, false),
    ] {
        let text = PLAIN.replacen(from, to, 1);
        assert_ne!(text, PLAIN);
        let (fast, general) = both(strict, text.as_bytes());
        assert_eq!(
            (fast.is_some(), general.is_some()),
            (is_fast, is_account),
            "{to}"
        );
        assert!(fast.is_none() || fast == general);
    }
    let lenient = ForkRules {
        ignore_missing: true,
        ..strict
    };
    let text = PLAIN.replace("{\"send\":\"Either\"}", "null");
    let (fast, general) = both(lenient, text.as_bytes());
    assert_eq!(
        fast.as_ref().map(|account| account.permissions),
        Some(Permissions::user_default(4))
    );
    assert_eq!(fast, general);
}

#[test]
fn accounts_of_v1_are_left_to_others() {
    assert_eq!(
        both(ForkRules::strict(Era::V1), PLAIN.as_bytes()),
        (None, None)
    );
}
