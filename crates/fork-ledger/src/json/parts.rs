//! Members of account JSON to parts of an account, shared by all conversions.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fork_types::{
    Amount, Era, FieldBytes, IdError, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan,
    StateHash, TokenId,
};

use super::error::{AccountError, MemberPath};
use super::field::{self, FieldDefect};
use super::key_cache::VerificationKeyCache;
use super::text::{Text, shown};
use super::wire::{PermissionsJson, SetVerificationKeyJson, TimingJson, ZkappJson};
use crate::account::{
    ACTION_STATE_LEN, Auth, Permissions, Timing, TokenSymbol, Vesting, ZKAPP_URI_BYTES_MAX, Zkapp,
};
use crate::verification_key::{VERIFICATION_KEY_BYTES, VerificationKey};

/// Texts nearly every account of a real ledger has. Comparing costs a hundredth of decoding.
pub(super) const EMPTY_RECEIPT_TEXT: &str = "2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe";
pub(super) const DUMMY_VOTE_TEXT: &str = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x";
pub(super) const DEFAULT_TOKEN_TEXT: &str = "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf";

/// Which vesting periods are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VestingPeriodRule {
    /// The daemon's conversion: at least one slot.
    AtLeastOne,
    /// The fork tool's conversion, which checks nothing.
    Any,
}

/// Which zkApp states are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppStateRule {
    era: Era,
    pad: bool,
}

impl AppStateRule {
    /// As many elements as the era has.
    pub(super) const fn exact(era: Era) -> Self {
        Self { era, pad: false }
    }

    /// At most as many elements as the era has; zeros are appended.
    pub(super) const fn padded(era: Era) -> Self {
        Self { era, pad: true }
    }
}

/// The member, or the error that it is missing.
pub(super) fn required<'j, T>(
    path: &'static str,
    member: &'j Option<T>,
) -> Result<&'j T, AccountError> {
    member.as_ref().ok_or(AccountError::Missing {
        path: MemberPath::Borrowed(path),
    })
}

fn id<T: FromStr<Err = IdError>>(path: &'static str, text: &Text<'_>) -> Result<T, AccountError> {
    text.as_str().parse().map_err(|source| AccountError::Id {
        path: MemberPath::Borrowed(path),
        source,
    })
}

pub(super) fn public_key(path: &'static str, text: &Text<'_>) -> Result<PublicKey, AccountError> {
    id(path, text)
}

pub(super) fn receipt_chain_hash(text: &Text<'_>) -> Result<ReceiptChainHash, AccountError> {
    if text.as_str() == EMPTY_RECEIPT_TEXT {
        return Ok(ReceiptChainHash::EMPTY);
    }
    id("receipt_chain_hash", text)
}

pub(super) fn voting_for(text: &Text<'_>) -> Result<StateHash, AccountError> {
    if text.as_str() == DUMMY_VOTE_TEXT {
        return Ok(StateHash::DUMMY);
    }
    id("voting_for", text)
}

/// A token as account JSON has it: base58check or an old decimal number.
pub(super) fn token(text: &Text<'_>) -> Result<TokenId, AccountError> {
    if text.as_str() == DEFAULT_TOKEN_TEXT {
        return Ok(TokenId::DEFAULT);
    }
    TokenId::parse_account_member(text.as_str()).map_err(|source| AccountError::Id {
        path: MemberPath::Borrowed("token"),
        source,
    })
}

/// A token as blocks have it: base58check only.
pub(super) fn token_id(text: &Text<'_>) -> Result<TokenId, AccountError> {
    if text.as_str() == DEFAULT_TOKEN_TEXT {
        return Ok(TokenId::DEFAULT);
    }
    id("token_id", text)
}

/// Decimal MINA.
pub(super) fn amount(path: &'static str, text: &Text<'_>) -> Result<Amount, AccountError> {
    text.as_str()
        .parse()
        .map_err(|source| AccountError::Amount {
            path: MemberPath::Borrowed(path),
            source,
        })
}

/// Decimal nanomina.
pub(super) fn nanomina(path: &'static str, text: &Text<'_>) -> Result<Amount, AccountError> {
    Amount::from_nanomina_text(text.as_str()).map_err(|source| AccountError::Amount {
        path: MemberPath::Borrowed(path),
        source,
    })
}

/// A decimal number below 2^32, digits only.
pub(super) fn number(path: &'static str, text: &Text<'_>) -> Result<u32, AccountError> {
    let text = text.as_str();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| AccountError::Number {
            path: MemberPath::Borrowed(path),
            found: shown(text),
        })
}

pub(super) fn number_or_zero(
    path: &'static str,
    text: Option<&Text<'_>>,
) -> Result<u32, AccountError> {
    text.map_or(Ok(0), |text| number(path, text))
}

pub(super) fn token_symbol(bytes: Option<&[u8]>) -> Result<TokenSymbol, AccountError> {
    let bytes = bytes.unwrap_or_default();
    TokenSymbol::new(bytes).ok_or(AccountError::TokenSymbolTooLong {
        found_bytes: bytes.len(),
    })
}

pub(super) fn timing(
    json: Option<&TimingJson<'_>>,
    period_rule: VestingPeriodRule,
) -> Result<Timing, AccountError> {
    let Some(TimingJson {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    }) = json
    else {
        return Ok(Timing::Untimed);
    };
    const IMB: &str = "timing.initial_minimum_balance";
    const CLIFF_TIME: &str = "timing.cliff_time";
    const CLIFF_AMOUNT: &str = "timing.cliff_amount";
    const PERIOD: &str = "timing.vesting_period";
    const INCREMENT: &str = "timing.vesting_increment";
    let cliff_time = number(CLIFF_TIME, &required(CLIFF_TIME, cliff_time)?.number)?;
    let period = number(PERIOD, &required(PERIOD, vesting_period)?.number)?;
    if period == 0 && period_rule == VestingPeriodRule::AtLeastOne {
        return Err(AccountError::VestingPeriodZero);
    }
    Ok(Timing::Timed(Vesting {
        initial_minimum_balance: amount(IMB, required(IMB, initial_minimum_balance)?)?,
        cliff_time: SlotSinceGenesis::new(cliff_time),
        cliff_amount: amount(CLIFF_AMOUNT, required(CLIFF_AMOUNT, cliff_amount)?)?,
        vesting_period: SlotSpan::new(period),
        vesting_increment: amount(INCREMENT, required(INCREMENT, vesting_increment)?)?,
    }))
}

/// An authorization word in any case of letters.
pub(super) fn auth_word(text: &str) -> Option<Auth> {
    let words = [
        ("none", Auth::None),
        ("either", Auth::Either),
        ("proof", Auth::Proof),
        ("signature", Auth::Signature),
        ("impossible", Auth::Impossible),
    ];
    words
        .into_iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, auth)| auth)
}

fn auth(path: &'static str, text: &Text<'_>) -> Result<Auth, AccountError> {
    auth_word(text.as_str()).ok_or_else(|| AccountError::Permission {
        path: MemberPath::Borrowed(path),
        found: shown(text.as_str()),
        v1: false,
    })
}

/// The thirteen permissions; what is missing comes from `defaults`, as in both of upstream's
/// conversions. `stake` is v1's and dropped.
pub(super) fn permissions(
    json: &PermissionsJson<'_>,
    defaults: &Permissions,
) -> Result<Permissions, AccountError> {
    let PermissionsJson {
        stake: _,
        edit_state,
        send,
        receive,
        access,
        set_delegate,
        set_permissions,
        set_verification_key,
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    } = json;
    macro_rules! auth_or_default {
        ($member:ident) => {
            match $member {
                Some(text) => auth(concat!("permissions.", stringify!($member)), text)?,
                None => defaults.$member,
            }
        };
    }
    let (key_auth, key_txn_version) = match set_verification_key {
        Some(json) => versioned_auth(json)?,
        None => (
            defaults.set_verification_key,
            defaults.set_verification_key_txn_version,
        ),
    };
    Ok(Permissions {
        edit_state: auth_or_default!(edit_state),
        access: auth_or_default!(access),
        send: auth_or_default!(send),
        receive: auth_or_default!(receive),
        set_delegate: auth_or_default!(set_delegate),
        set_permissions: auth_or_default!(set_permissions),
        set_verification_key: key_auth,
        set_verification_key_txn_version: key_txn_version,
        set_zkapp_uri: auth_or_default!(set_zkapp_uri),
        edit_action_state: auth_or_default!(edit_action_state),
        set_token_symbol: auth_or_default!(set_token_symbol),
        increment_nonce: auth_or_default!(increment_nonce),
        set_voting_for: auth_or_default!(set_voting_for),
        set_timing: auth_or_default!(set_timing),
    })
}

fn versioned_auth(json: &SetVerificationKeyJson<'_>) -> Result<(Auth, u32), AccountError> {
    const AUTH: &str = "permissions.set_verification_key.auth";
    const TXN_VERSION: &str = "permissions.set_verification_key.txn_version";
    match json {
        SetVerificationKeyJson::Plain(word) => Err(AccountError::PlainSetVerificationKey {
            found: shown(word.as_str()),
        }),
        SetVerificationKeyJson::Versioned(json) => Ok((
            auth(AUTH, required(AUTH, &json.auth)?)?,
            number(TXN_VERSION, required(TXN_VERSION, &json.txn_version)?)?,
        )),
    }
}

/// A field element of a list.
fn field_of_list(
    list: &'static str,
    index: usize,
    text: &Text<'_>,
    notation: Notation,
) -> Result<FieldBytes, AccountError> {
    field_in(text, notation, || {
        MemberPath::Owned(format!("{list}[{index}]"))
    })
}

/// A field element of a block.
pub(super) fn block_field(path: &'static str, text: &Text<'_>) -> Result<FieldBytes, AccountError> {
    field_in(text, Notation::BlockHex, || MemberPath::Borrowed(path))
}

fn field_in(
    text: &Text<'_>,
    notation: Notation,
    path: impl FnOnce() -> MemberPath,
) -> Result<FieldBytes, AccountError> {
    let (parsed, expected) = match notation {
        Notation::Decimal => (
            field::parse_decimal(text.as_str()),
            "a decimal field element",
        ),
        Notation::BlockHex => (
            field::parse_block_hex(text.as_str()),
            "0x and 64 hexadecimal digits",
        ),
    };
    parsed.map_err(|defect| {
        let path = path();
        let found = shown(text.as_str());
        match defect {
            FieldDefect::Malformed => AccountError::FieldMalformed {
                path,
                found,
                expected,
            },
            FieldDefect::TooLarge => AccountError::FieldTooLarge { path, found },
        }
    })
}

/// How a document writes field elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// Exports and configurations.
    Decimal,
    /// Blocks.
    BlockHex,
}

pub(super) fn app_state(
    texts: &[Text<'_>],
    rule: AppStateRule,
    notation: Notation,
) -> Result<Vec<FieldBytes>, AccountError> {
    let expected = rule.era.app_state_len();
    if texts.len() > expected || (texts.len() < expected && !rule.pad) {
        return Err(AccountError::AppStateWidth {
            era: rule.era,
            expected,
            found: texts.len(),
        });
    }
    let mut state = Vec::with_capacity(expected);
    for (index, text) in texts.iter().enumerate() {
        state.push(field_of_list("zkapp.app_state", index, text, notation)?);
    }
    state.resize(expected, FieldBytes::ZERO);
    Ok(state)
}

pub(super) fn action_state(
    texts: &[Text<'_>],
    notation: Notation,
) -> Result<[FieldBytes; ACTION_STATE_LEN], AccountError> {
    if texts.len() != ACTION_STATE_LEN {
        return Err(AccountError::ActionStateWidth { found: texts.len() });
    }
    let mut state = [FieldBytes::ZERO; ACTION_STATE_LEN];
    for (index, (target, text)) in state.iter_mut().zip(texts).enumerate() {
        *target = field_of_list("zkapp.action_state", index, text, notation)?;
    }
    Ok(state)
}

pub(super) fn zkapp_uri(bytes: &[u8]) -> Result<Vec<u8>, AccountError> {
    if bytes.len() > ZKAPP_URI_BYTES_MAX {
        return Err(AccountError::ZkappUriTooLong {
            found_bytes: bytes.len(),
        });
    }
    Ok(bytes.to_vec())
}

pub(super) fn zkapp(
    json: Option<&ZkappJson<'_>>,
    rule: AppStateRule,
    keys: &VerificationKeyCache,
) -> Result<Option<Box<Zkapp>>, AccountError> {
    let Some(ZkappJson {
        app_state: state,
        verification_key,
        zkapp_version,
        action_state: actions,
        last_action_slot,
        proved_state,
        zkapp_uri: uri,
    }) = json
    else {
        return Ok(None);
    };
    const VERSION: &str = "zkapp.zkapp_version";
    Ok(Some(Box::new(Zkapp {
        app_state: app_state(required("zkapp.app_state", state)?, rule, Notation::Decimal)?,
        verification_key: match verification_key {
            Some(text) => Some(keys.get_or_decode(text.as_str(), || key_of_base64(text))?),
            None => None,
        },
        zkapp_version: number(VERSION, required(VERSION, zkapp_version)?)?,
        action_state: action_state(required("zkapp.action_state", actions)?, Notation::Decimal)?,
        last_action_slot: SlotSinceGenesis::new(*required(
            "zkapp.last_action_slot",
            last_action_slot,
        )?),
        proved_state: *required("zkapp.proved_state", proved_state)?,
        zkapp_uri: zkapp_uri(required("zkapp.zkapp_uri", uri)?)?,
    })))
}

fn key_of_base64(text: &Text<'_>) -> Result<VerificationKey, AccountError> {
    let bytes = STANDARD
        .decode(text.as_str())
        .map_err(|source| AccountError::VerificationKeyBase64 { source })?;
    verification_key("zkapp.verification_key", &bytes)
}

pub(super) fn verification_key(
    path: &'static str,
    bytes: &[u8],
) -> Result<VerificationKey, AccountError> {
    if bytes.len() != VERIFICATION_KEY_BYTES {
        return Err(AccountError::VerificationKeyLength {
            path: MemberPath::Borrowed(path),
            found: bytes.len(),
        });
    }
    VerificationKey::from_bytes(bytes).map_err(|source| AccountError::VerificationKey {
        path: MemberPath::Borrowed(path),
        source,
    })
}

/// The base64 text of a key.
pub(super) fn key_to_base64(key: &Arc<VerificationKey>) -> String {
    STANDARD.encode(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcut_texts_are_what_they_say() {
        assert_eq!(EMPTY_RECEIPT_TEXT.parse(), Ok(ReceiptChainHash::EMPTY));
        assert_eq!(DUMMY_VOTE_TEXT.parse(), Ok(StateHash::DUMMY));
        assert_eq!(DEFAULT_TOKEN_TEXT.parse(), Ok(TokenId::DEFAULT));
    }

    #[test]
    fn words_in_any_case() {
        for word in ["signature", "Signature", "SIGNATURE"] {
            assert_eq!(auth_word(word), Some(Auth::Signature));
        }
        for bad in ["both", "", "sig", "signature "] {
            assert_eq!(auth_word(bad), None, "{bad:?}");
        }
    }
}
