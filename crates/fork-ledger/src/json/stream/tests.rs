use std::io::Cursor;

use fork_types::Class;

use super::*;
use crate::json::AccountError;

const EXPORT: &str = r#"[{"pk":"a","balance":"1"},{"pk":"b","balance":"2","nonce":"3"}]"#;

fn keys_of(document: &str) -> Result<Vec<(u32, String)>, StreamError<AccountError>> {
    let mut keys = Vec::new();
    let count = read_account_array(Cursor::new(document), |index, account| {
        keys.push((index, account.pk.unwrap().as_str().to_owned()));
        Ok::<(), AccountError>(())
    })?;
    assert_eq!(usize::try_from(count).unwrap(), keys.len());
    Ok(keys)
}

fn json_error(document: &str) -> (u32, String) {
    match keys_of(document) {
        Err(StreamError::Json { accounts, source }) => (accounts, source.to_string()),
        other => panic!("{document}: {other:?}"),
    }
}

#[test]
fn bare_arrays() {
    let expected = vec![(0, "a".to_owned()), (1, "b".to_owned())];
    assert_eq!(keys_of(EXPORT).unwrap(), expected);
    assert_eq!(keys_of(&format!(" \n\t{EXPORT}\n ")).unwrap(), expected);
    assert_eq!(
        keys_of(&format!("Generating snarked ledger {{}}…\n{EXPORT}")).unwrap(),
        expected
    );
    assert_eq!(keys_of("[]").unwrap(), []);
    let mut borrowed = Vec::new();
    let count = read_account_slice(EXPORT.as_bytes(), |_, account| {
        borrowed.push(account);
        Ok::<(), AccountError>(())
    });
    assert_eq!(count.unwrap(), 2);
    assert_eq!(borrowed[1].nonce.as_ref().unwrap().as_str(), "3");
}

#[test]
fn other_documents_are_refused() {
    assert!(matches!(
        keys_of(r#"{"accounts": [{"pk": "a"}]}"#),
        Err(StreamError::ObjectInsteadOfArray)
    ));
    for nothing in ["", "no array here", "null", "\"text\"", &"x".repeat(70_000)] {
        assert!(
            matches!(keys_of(nothing), Err(StreamError::NoArray { .. })),
            "{nothing:.10}"
        );
    }
    assert!(read_account_slice(b"null", |_, _| Ok::<(), AccountError>(())).is_err());
    assert_eq!(json_error(&format!("{EXPORT}]")).0, 2);
    assert_eq!(json_error(&format!("{EXPORT},")).0, 2);
}

#[test]
fn places_count_the_text_before_the_array() {
    let (accounts, message) = json_error("Generating\nsnarked [{\"pk\": 5}]");
    assert_eq!(accounts, 0);
    assert_eq!(
        message,
        "invalid type: integer `5`, expected `pk` to be a string at line 2 column 18"
    );
}

#[test]
fn truncated_documents_say_so() {
    for cut in 1..EXPORT.len() {
        let error = keys_of(&EXPORT[..cut]).unwrap_err();
        assert_eq!(error.class(), Class::BadInput);
        assert!(error.hint().unwrap().contains("ends too early"), "{cut}");
    }
}

#[test]
fn type_errors_name_the_member() {
    for (account, expected) in [
        (
            r#"{"balance": 5}"#,
            "invalid type: integer `5`, expected `balance` to be a string",
        ),
        (
            r#"{"nonce": 5}"#,
            "invalid type: integer `5`, expected `nonce` to be a string",
        ),
        (
            r#"{"nonce": null}"#,
            "invalid type: null, expected `nonce` to be a string",
        ),
        (
            r#"{"permissions": {"send": ["Signature"]}}"#,
            "invalid type: sequence, expected `permissions.send` to be a string",
        ),
        (
            r#"{"permissions": {"set_verification_key": {"auth": "none", "txn_version": 3}}}"#,
            "invalid type: integer `3`, expected `permissions.set_verification_key.txn_version` \
             to be a string",
        ),
        (
            r#"{"permissions": {"set_verification_key": {"auth": "none", "extra": "3"}}}"#,
            "`permissions.set_verification_key` has an unknown member `extra`",
        ),
        (
            r#"{"timing": {"cliff_time": 5}}"#,
            "invalid type: integer `5`, expected `timing.cliff_time` to be a string or \
             [\"Since_genesis\", string]",
        ),
        (
            r#"{"timing": {"cliff_time": ["Global_slot_span", "5"]}}"#,
            "invalid value: sequence, expected `timing.cliff_time` to be a string or \
             [\"Since_genesis\", string]",
        ),
        (
            r#"{"zkapp": {"last_action_slot": "7"}}"#,
            "invalid type: string \"7\", expected `zkapp.last_action_slot` to be an integer below \
             2^32",
        ),
        (
            r#"{"zkapp": {"last_action_slot": 4294967296}}"#,
            "invalid value: integer `4294967296`, expected `zkapp.last_action_slot` to be an \
             integer below 2^32",
        ),
        (r#"{"pk": "a", "pk": "b"}"#, "duplicate field `pk`"),
        (
            r#"["a", "1"]"#,
            "invalid type: sequence, expected an account to be an object",
        ),
    ] {
        let (_, message) = json_error(&format!("[{account}]"));
        assert!(message.starts_with(expected), "{message}");
        assert!(message.contains(" at line 1 column "), "{message}");
    }
}

#[test]
fn unknown_members_and_raw_bytes_are_taken() {
    let document =
        b"[{\"pk\":\"a\",\"sk\":\"EK\",\"note\":\"\xff\",\"token_symbol\":\"\xc3\x28\\u00e9\",\
        \"zkapp\":{\"zkapp_uri\":\"\x80\",\"more\":[{}]},\"permissions\":{\"x\":1}}]";
    let check = |account: AccountJson<'_>| {
        assert_eq!(
            account.token_symbol.as_deref(),
            Some(&b"\xc3\x28\xc3\xa9"[..])
        );
        let mut written = Vec::new();
        account.write(&mut written);
        assert_eq!(
            written,
            b"{\"pk\":\"a\",\"zkapp\":{\"zkapp_uri\":\"\x80\"},\"permissions\":{},\
              \"token_symbol\":\"\xc3\x28\xc3\xa9\"}"
        );
        Ok::<(), AccountError>(())
    };
    assert_eq!(
        read_account_array(&document[..], |_, account| check(account)).unwrap(),
        1
    );
    assert_eq!(
        read_account_slice(&document[..], |_, account| check(account)).unwrap(),
        1
    );
    let bad_key = b"[{\"pk\":\"\xff\"}]";
    assert!(read_account_slice(&bad_key[..], |_, _| Ok::<(), AccountError>(())).is_err());
}

#[test]
fn slots_in_both_forms_are_written_back() {
    let timing = r#"{"timing":{"cliff_time":["Since_genesis","12000"],"vesting_period":"6"}}"#;
    let account: AccountJson<'_> = serde_json::from_str(timing).unwrap();
    let parsed = account.timing.as_ref().unwrap();
    assert_eq!(parsed.cliff_time.as_ref().unwrap().number.as_str(), "12000");
    let mut written = Vec::new();
    account.write(&mut written);
    assert_eq!(String::from_utf8(written).unwrap(), timing);
}

#[test]
fn v1_members_are_written_back() {
    let v1 = r#"{"pk":"a","balance":"1","token":"1","token_permissions":{},"permissions":{"stake":true,"edit_state":"signature","set_verification_key":"signature"}}"#;
    let account: AccountJson<'_> = serde_json::from_str(v1).unwrap();
    let mut written = Vec::new();
    account.write(&mut written);
    assert_eq!(String::from_utf8(written).unwrap(), v1);
}

#[test]
fn the_callbacks_error_comes_out_as_it_is() {
    let result = read_account_array(EXPORT.as_bytes(), |index, _| {
        if index == 1 {
            Err(AccountError::VestingPeriodZero)
        } else {
            Ok(())
        }
    });
    let error = result.unwrap_err();
    assert!(matches!(
        error,
        StreamError::Visit(AccountError::VestingPeriodZero)
    ));
    assert_eq!(
        error.to_string(),
        AccountError::VestingPeriodZero.to_string()
    );
}

#[test]
fn ledger_objects() {
    let object = format!(
        r#"{{"name": "devnet", "unknown": [1, {{}}], "accounts": {EXPORT}, "num_accounts": 6203,
            "hash": "jx", "add_genesis_winner": false, "s3_data_hash": null,
            "balances": [{{"number": 3, "balance": "5"}}]}}"#
    );
    let mut count = 0;
    let meta = read_ledger_object(object.as_bytes(), |_, _| {
        count += 1;
        Ok::<(), AccountError>(())
    })
    .unwrap();
    assert_eq!(count, 2);
    assert_eq!(
        meta,
        LedgerObjectMeta {
            accounts: Some(2),
            first_public_key: Some("a".to_owned()),
            hash: Some("jx".to_owned()),
            name: Some("devnet".to_owned()),
            num_accounts: Some(6203),
            balances: vec![PaddingBalanceJson {
                number: Some(3),
                balance: Some(Text::copied("5")),
            }],
            add_genesis_winner: Some(false),
            s3_data_hash: None,
        }
    );
    let none =
        |object: &str| read_ledger_object(object.as_bytes(), |_, _| Ok::<(), AccountError>(()));
    assert_eq!(none("{}").unwrap(), LedgerObjectMeta::default());
    assert_eq!(none(r#"{"accounts": null}"#).unwrap().accounts, None);
    for bad in [
        r#"{"accounts": [], "accounts": []}"#,
        r#"{"num_accounts": -1}"#,
        r#"{"num_accounts": "5"}"#,
        r#"{"add_genesis_winner": "false"}"#,
        r#"{"balances": [{"number": 1, "balance": "1", "more": 1}]}"#,
        r#"{"balances": null}"#,
        r#"{"accounts": {}}"#,
        "[]",
        "{} {}",
    ] {
        assert!(matches!(none(bad), Err(StreamError::Json { .. })), "{bad}");
    }
}

#[test]
fn lists_can_be_limited() {
    let mut sink =
        AccountSink::new(|_, _: AccountJson<'_>| Ok::<(), AccountError>(())).with_accounts_max(1);
    let mut json = serde_json::Deserializer::from_str(EXPORT);
    let result = AccountsSeed::new(&mut sink).deserialize(&mut json);
    assert_eq!(sink.count(), 1);
    assert!(matches!(
        sink.finish(result),
        Err(StreamError::TooManyAccounts { accounts_max: 1 })
    ));
}

/// Endless data: a JSON string that never stops.
struct Endless {
    start: Cursor<&'static [u8]>,
    read: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.start.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        buffer.fill(b'x');
        self.read += u64::try_from(buffer.len()).unwrap();
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_string_does_not_fill_the_memory() {
    for start in [
        &br#"[{"pk": ""#[..],
        &br#"[{"note": ""#[..],
        &br#"[{"token_symbol": ""#[..],
    ] {
        let mut source = Endless {
            start: Cursor::new(start),
            read: 0,
        };
        let result = read_account_array(&mut source, |_, _| Ok::<(), AccountError>(()));
        assert!(matches!(
            result,
            Err(StreamError::ItemTooLarge { accounts: 0, .. })
        ));
        assert!(source.read < 2 * ITEM_BYTES_MAX);
    }
}

#[test]
fn many_accounts_do_not_use_up_the_budget() {
    let account = format!(r#"{{"note":"{}"}}"#, "x".repeat(10_000));
    let document = format!("[{}]", vec![account; 200].join(","));
    let budget = ReadBudget::with_item_bytes_max(600_000);
    let mut sink =
        AccountSink::new(|_, _: AccountJson<'_>| Ok::<(), AccountError>(())).with_budget(&budget);
    let mut json = serde_json::Deserializer::from_reader(budget.reader(document.as_bytes()));
    let result = AccountsSeed::new(&mut sink).deserialize(&mut json);
    assert_eq!(sink.finish(result).unwrap(), Some(200));
}

#[test]
fn a_broken_disk_is_no_bad_input() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
    let source = Cursor::new(EXPORT.as_bytes()[..40].to_vec()).chain(Broken);
    let result = read_account_array(source, |_, _| Ok::<(), AccountError>(()));
    let error = result.unwrap_err();
    assert!(
        matches!(error, StreamError::Read { accounts: 1, .. }),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::Environment);
}
