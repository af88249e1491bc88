//! Values without structure of their own.

use std::fmt::Display;
use std::str::FromStr;

use fork_ledger::binprot::{
    account_id_bytes, decode_account, decode_account_id, decode_token_ids, encode_account,
    encode_token_ids,
};
use fork_types::id::{base58check_decode_any, base58check_encode};
use fork_types::{
    Amount, EpochSeed, Era, LedgerHash, PublicKey, SlotSinceGenesis, StateHash, TokenId,
};

use crate::shown;

/// A text has one spelling.
pub(crate) fn base58(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match base58check_decode_any("a value", text) {
        Ok((version, payload)) => assert_eq!(base58check_encode(version, &payload), text),
        Err(error) => drop(shown(&error)),
    }
    spelled_once::<PublicKey>(text);
    spelled_once::<LedgerHash>(text);
    spelled_once::<StateHash>(text);
    spelled_once::<EpochSeed>(text);
    same_value::<TokenId>(text);
    same_value::<Amount>(text);
    same_value::<SlotSinceGenesis>(text);
    same_value::<Era>(text);
}

fn spelled_once<T: FromStr<Err: std::error::Error + 'static> + Display>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string(), text),
        Err(error) => drop(shown(&error)),
    }
}

fn same_value<T>(text: &str)
where
    T: FromStr<Err: std::error::Error + 'static> + Display + PartialEq + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().ok(), Some(value)),
        Err(error) => drop(shown(&error)),
    }
}

/// What is decoded has one encoding.
pub(crate) fn bin_prot(data: &[u8]) {
    for era in [Era::V1, Era::Berkeley, Era::Mesa] {
        match decode_account(era, data) {
            Ok(account) => {
                let mut bytes = Vec::new();
                encode_account(&account, &mut bytes);
                assert_eq!(bytes, data);
            }
            Err(error) => drop(shown(&error)),
        }
    }
    if let Ok(tokens) = decode_token_ids(data) {
        let mut bytes = Vec::new();
        encode_token_ids(&tokens, &mut bytes);
        assert_eq!(bytes, data);
    }
    if let Ok((public_key, token)) = decode_account_id(data) {
        assert_eq!(account_id_bytes(&public_key, &token), data);
    }
}
