//! Accounts inside blocks, which have another encoding than exports (`accounts.md` 8.3).
//!
//! Balances are nanomina, permissions are constructors in lists, field elements are hexadecimal.
//! Source: MinaProtocol/mina `src/lib/mina_block/precomputed_block.ml`; block files of
//! o1-labs/mina-indexer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use fork_types::{Era, SlotSinceGenesis, SlotSpan};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::convert::default_permissions;
use super::error::{AccountError, MemberPath};
use super::field::to_block_hex;
use super::key_cache::VerificationKeyCache;
use super::members::{TextVisitor, bytes, flag, json_object, nested, text, texts};
use super::parts::{self, AppStateRule, Notation, number, required};
use super::text::{Text, shown};
use crate::account::{Account, Auth, Permissions, Timing, Vesting, Zkapp};
use crate::packing::field_bytes;
use crate::verification_key::VerificationKey;

mod write;

pub use write::write_block_account;

/// Base58check version byte of a verification key.
const VERIFICATION_KEY_VERSION: u8 = 0x1B;

json_object! {
    /// One account of a block's `accounts_accessed`.
    pub struct BlockAccountJson<'a> as "an account of a block", other members are ignored {
        /// Public key, base58check.
        public_key: Text<'a> = text("public_key"),
        /// Token id, base58check.
        token_id: Text<'a> = text("token_id"),
        /// Bytes, because daemons write them raw.
        token_symbol: Cow<'a, [u8]> = bytes("token_symbol"),
        /// Decimal nanomina.
        balance: Text<'a> = text("balance"),
        /// Decimal number.
        nonce: Text<'a> = text("nonce"),
        /// Base58check.
        receipt_chain_hash: Text<'a> = text("receipt_chain_hash"),
        /// Base58check, or null for none; never absent.
        delegate: Option<Text<'a>> = Nullable(text("delegate")),
        /// Base58check.
        voting_for: Text<'a> = text("voting_for"),
        /// `["Untimed"]` or `["Timed", {…}]`.
        timing: BlockTimingJson<'a> = nested("timing"),
        /// All thirteen.
        permissions: BlockPermissionsJson<'a> = nested("permissions"),
        /// The zkApp part, or null; never absent.
        zkapp: Option<Box<BlockZkappJson<'a>>> = Nullable(nested("zkapp")),
    }
}

json_object! {
    /// The vesting numbers of a timed account of a block.
    pub struct BlockVestingJson<'a> as "`timing[1]`", other members are ignored {
        /// Decimal nanomina.
        initial_minimum_balance: Text<'a> = text("timing[1].initial_minimum_balance"),
        /// Decimal slot since genesis.
        cliff_time: Text<'a> = text("timing[1].cliff_time"),
        /// Decimal nanomina.
        cliff_amount: Text<'a> = text("timing[1].cliff_amount"),
        /// Decimal number of slots.
        vesting_period: Text<'a> = text("timing[1].vesting_period"),
        /// Decimal nanomina.
        vesting_increment: Text<'a> = text("timing[1].vesting_increment"),
    }
}

json_object! {
    /// The permissions of an account of a block, each a constructor in a list.
    pub struct BlockPermissionsJson<'a> as "`permissions`", other members are ignored {
        /// Change the zkApp state.
        edit_state: BlockAuthJson<'a> = nested("permissions.edit_state"),
        /// Be touched at all.
        access: BlockAuthJson<'a> = nested("permissions.access"),
        /// Send.
        send: BlockAuthJson<'a> = nested("permissions.send"),
        /// Receive.
        receive: BlockAuthJson<'a> = nested("permissions.receive"),
        /// Change the delegate.
        set_delegate: BlockAuthJson<'a> = nested("permissions.set_delegate"),
        /// Change the permissions.
        set_permissions: BlockAuthJson<'a> = nested("permissions.set_permissions"),
        /// Change the verification key: constructor and transaction version.
        set_verification_key: BlockVersionedAuthJson<'a> =
            nested("permissions.set_verification_key"),
        /// Change the zkApp URI.
        set_zkapp_uri: BlockAuthJson<'a> = nested("permissions.set_zkapp_uri"),
        /// Change the action state.
        edit_action_state: BlockAuthJson<'a> = nested("permissions.edit_action_state"),
        /// Change the token symbol.
        set_token_symbol: BlockAuthJson<'a> = nested("permissions.set_token_symbol"),
        /// Increment the nonce.
        increment_nonce: BlockAuthJson<'a> = nested("permissions.increment_nonce"),
        /// Change the vote.
        set_voting_for: BlockAuthJson<'a> = nested("permissions.set_voting_for"),
        /// Change the timing.
        set_timing: BlockAuthJson<'a> = nested("permissions.set_timing"),
    }
}

json_object! {
    /// The zkApp part of an account of a block.
    pub struct BlockZkappJson<'a> as "`zkapp`", other members are ignored {
        /// `0x` and 64 hexadecimal digits each.
        app_state: Vec<Text<'a>> = texts("zkapp.app_state"),
        /// The key with its hash, or null; never absent.
        verification_key: Option<BlockKeyJson<'a>> = Nullable(nested("zkapp.verification_key")),
        /// Decimal number.
        zkapp_version: Text<'a> = text("zkapp.zkapp_version"),
        /// `0x` and 64 hexadecimal digits each.
        action_state: Vec<Text<'a>> = texts("zkapp.action_state"),
        /// Decimal number in a string, unlike in exports.
        last_action_slot: Text<'a> = text("zkapp.last_action_slot"),
        /// Whether the whole state was set by proofs.
        proved_state: bool = flag("zkapp.proved_state"),
        /// URI, bytes.
        zkapp_uri: Cow<'a, [u8]> = bytes("zkapp.zkapp_uri"),
    }
}

json_object! {
    /// A verification key of a block.
    pub struct BlockKeyJson<'a> as "`zkapp.verification_key`", other members are ignored {
        /// Base58check of the 1796 bytes.
        data: Text<'a> = text("zkapp.verification_key.data"),
        /// `0x` and 64 hexadecimal digits.
        hash: Text<'a> = text("zkapp.verification_key.hash"),
    }
}

/// Makes "null" a value of its own, so that it differs from "absent".
struct Nullable<S>(S);

impl<'de, T, S: DeserializeSeed<'de, Value = Option<T>>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<Option<T>>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(value).map(Some)
    }
}

/// The timing of an account of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockTimingJson<'a> {
    /// `Untimed` or `Timed`.
    pub constructor: Text<'a>,
    /// What follows `Timed`.
    pub vesting: Option<BlockVestingJson<'a>>,
}

/// An authorization of a block, such as `["Signature"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAuthJson<'a> {
    /// The constructor's name.
    pub constructor: Text<'a>,
}

/// An authorization with a transaction version, such as `[["Signature"], "3"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockVersionedAuthJson<'a> {
    /// The authorization.
    pub auth: BlockAuthJson<'a>,
    /// Decimal number.
    pub txn_version: Text<'a>,
}

/// A string inside one of the lists below.
struct Word<'a>(Text<'a>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(TextVisitor("a string"))
            .map(Word)
    }
}

/// Declares `Deserialize` for a short list.
macro_rules! list_form {
    ($name:ident, $visitor:ident, $expected:literal, |$list:ident| $read:expr) => {
        struct $visitor;

        impl<'de> Visitor<'de> for $visitor {
            type Value = $name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expected)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut $list: A) -> Result<Self::Value, A::Error> {
                let value = $read;
                match $list.next_element::<IgnoredAny>()? {
                    None => Ok(value),
                    Some(IgnoredAny) => {
                        Err(de::Error::invalid_value(de::Unexpected::Seq, &$expected))
                    }
                }
            }
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_seq($visitor)
            }
        }
    };
}

fn element<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    list: &mut A,
    index: usize,
    expected: &'static str,
) -> Result<T, A::Error> {
    list.next_element()?
        .ok_or_else(|| de::Error::invalid_length(index, &expected))
}

list_form!(
    BlockAuthJson,
    AuthVisitor,
    "an authorization such as [\"Signature\"]",
    |list| BlockAuthJson {
        constructor: element::<Word<'de>, A>(&mut list, 0, "a list with one constructor")?.0,
    }
);

list_form!(
    BlockVersionedAuthJson,
    VersionedAuthVisitor,
    "an authorization with a version such as [[\"Signature\"], \"3\"]",
    |list| BlockVersionedAuthJson {
        auth: element(&mut list, 0, "an authorization and a version")?,
        txn_version: element::<Word<'de>, A>(&mut list, 1, "an authorization and a version")?.0,
    }
);

list_form!(
    BlockTimingJson,
    TimingVisitor,
    "a timing such as [\"Untimed\"]",
    |list| BlockTimingJson {
        constructor: element::<Word<'de>, A>(&mut list, 0, "a list with a constructor")?.0,
        vesting: list.next_element()?,
    }
);

/// Reads an account of a block. A null delegate means none, never self.
///
/// The printed hash of a verification key is recomputed and compared, which costs as much as
/// hashing seven accounts; blocks have few of them.
///
/// # Errors
///
/// Fails when a member is absent, on values that are malformed, on placeholder words that third
/// parties put where hashes were, and on a key that has not the printed hash.
pub fn from_block_account(
    json: &BlockAccountJson<'_>,
    era: Era,
    keys: &VerificationKeyCache,
) -> Result<Account, AccountError> {
    default_permissions(era)?;
    let BlockAccountJson {
        public_key,
        token_id,
        token_symbol,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing: timing_json,
        permissions: permissions_json,
        zkapp: zkapp_json,
    } = json;
    Ok(Account {
        public_key: parts::public_key("public_key", required("public_key", public_key)?)?,
        token_id: parts::token_id(required("token_id", token_id)?)?,
        token_symbol: parts::token_symbol(Some(required("token_symbol", token_symbol)?))?,
        balance: parts::nanomina("balance", required("balance", balance)?)?,
        nonce: number("nonce", required("nonce", nonce)?)?,
        receipt_chain_hash: parts::receipt_chain_hash(required(
            "receipt_chain_hash",
            receipt_chain_hash,
        )?)?,
        delegate: match required("delegate", delegate)? {
            Some(text) => Some(parts::public_key("delegate", text)?),
            None => None,
        },
        voting_for: parts::voting_for(required("voting_for", voting_for)?)?,
        timing: timing(required("timing", timing_json)?)?,
        permissions: permissions(required("permissions", permissions_json)?)?,
        zkapp: match required("zkapp", zkapp_json)? {
            Some(json) => Some(Box::new(zkapp(json, era, keys)?)),
            None => None,
        },
    })
}

fn timing(json: &BlockTimingJson<'_>) -> Result<Timing, AccountError> {
    match (json.constructor.as_str(), &json.vesting) {
        ("Untimed", None) => Ok(Timing::Untimed),
        ("Timed", Some(json)) => vesting(json).map(Timing::Timed),
        ("Timed", None) => Err(AccountError::Missing {
            path: MemberPath::Borrowed("timing[1]"),
        }),
        (found, _) => Err(AccountError::Constructor {
            path: MemberPath::Borrowed("timing"),
            found: shown(found),
            expected: "Untimed alone, or Timed with a schedule",
        }),
    }
}

fn vesting(json: &BlockVestingJson<'_>) -> Result<Vesting, AccountError> {
    let BlockVestingJson {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = json;
    const IMB: &str = "timing[1].initial_minimum_balance";
    const CLIFF_TIME: &str = "timing[1].cliff_time";
    const CLIFF_AMOUNT: &str = "timing[1].cliff_amount";
    const PERIOD: &str = "timing[1].vesting_period";
    const INCREMENT: &str = "timing[1].vesting_increment";
    Ok(Vesting {
        initial_minimum_balance: parts::nanomina(IMB, required(IMB, initial_minimum_balance)?)?,
        cliff_time: SlotSinceGenesis::new(number(CLIFF_TIME, required(CLIFF_TIME, cliff_time)?)?),
        cliff_amount: parts::nanomina(CLIFF_AMOUNT, required(CLIFF_AMOUNT, cliff_amount)?)?,
        vesting_period: SlotSpan::new(number(PERIOD, required(PERIOD, vesting_period)?)?),
        vesting_increment: parts::nanomina(INCREMENT, required(INCREMENT, vesting_increment)?)?,
    })
}

fn auth(path: &'static str, json: &BlockAuthJson<'_>) -> Result<Auth, AccountError> {
    // Constructors are names, not words: another case of letters is another name.
    match json.constructor.as_str() {
        "None" => Ok(Auth::None),
        "Either" => Ok(Auth::Either),
        "Proof" => Ok(Auth::Proof),
        "Signature" => Ok(Auth::Signature),
        "Impossible" => Ok(Auth::Impossible),
        found => Err(AccountError::Constructor {
            path: MemberPath::Borrowed(path),
            found: shown(found),
            expected: "one of None, Either, Proof, Signature, Impossible",
        }),
    }
}

fn permissions(json: &BlockPermissionsJson<'_>) -> Result<Permissions, AccountError> {
    let BlockPermissionsJson {
        edit_state,
        access,
        send,
        receive,
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
    macro_rules! auth_of {
        ($member:ident) => {{
            const PATH: &str = concat!("permissions.", stringify!($member));
            auth(PATH, required(PATH, $member)?)?
        }};
    }
    const KEY: &str = "permissions.set_verification_key";
    let BlockVersionedAuthJson {
        auth: key_auth,
        txn_version,
    } = required(KEY, set_verification_key)?;
    Ok(Permissions {
        edit_state: auth_of!(edit_state),
        access: auth_of!(access),
        send: auth_of!(send),
        receive: auth_of!(receive),
        set_delegate: auth_of!(set_delegate),
        set_permissions: auth_of!(set_permissions),
        set_verification_key: auth("permissions.set_verification_key[0]", key_auth)?,
        set_verification_key_txn_version: number(
            "permissions.set_verification_key[1]",
            txn_version,
        )?,
        set_zkapp_uri: auth_of!(set_zkapp_uri),
        edit_action_state: auth_of!(edit_action_state),
        set_token_symbol: auth_of!(set_token_symbol),
        increment_nonce: auth_of!(increment_nonce),
        set_voting_for: auth_of!(set_voting_for),
        set_timing: auth_of!(set_timing),
    })
}

fn zkapp(
    json: &BlockZkappJson<'_>,
    era: Era,
    keys: &VerificationKeyCache,
) -> Result<Zkapp, AccountError> {
    let BlockZkappJson {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = json;
    const KEY: &str = "zkapp.verification_key";
    const VERSION: &str = "zkapp.zkapp_version";
    const SLOT: &str = "zkapp.last_action_slot";
    Ok(Zkapp {
        app_state: parts::app_state(
            required("zkapp.app_state", app_state)?,
            AppStateRule::exact(era),
            Notation::BlockHex,
        )?,
        verification_key: match required(KEY, verification_key)? {
            Some(json) => Some(key_with_hash(json, keys)?),
            None => None,
        },
        zkapp_version: number(VERSION, required(VERSION, zkapp_version)?)?,
        action_state: parts::action_state(
            required("zkapp.action_state", action_state)?,
            Notation::BlockHex,
        )?,
        last_action_slot: SlotSinceGenesis::new(number(SLOT, required(SLOT, last_action_slot)?)?),
        proved_state: *required("zkapp.proved_state", proved_state)?,
        zkapp_uri: parts::zkapp_uri(required("zkapp.zkapp_uri", zkapp_uri)?)?,
    })
}

fn key_with_hash(
    json: &BlockKeyJson<'_>,
    keys: &VerificationKeyCache,
) -> Result<Arc<VerificationKey>, AccountError> {
    const HASH: &str = "zkapp.verification_key.hash";
    let BlockKeyJson { data, hash } = json;
    let data = required("zkapp.verification_key.data", data)?;
    let key = keys.get_or_decode(data.as_str(), || key_of_base58(data))?;
    let stated = parts::block_field(HASH, required(HASH, hash)?)?;
    let computed = field_bytes(key.hash());
    if stated == computed {
        Ok(key)
    } else {
        Err(AccountError::VerificationKeyHash {
            path: MemberPath::Borrowed(HASH),
            stated: to_block_hex(stated),
            computed: to_block_hex(computed),
        })
    }
}

fn key_of_base58(text: &Text<'_>) -> Result<VerificationKey, AccountError> {
    const PATH: &str = "zkapp.verification_key.data";
    let bytes = fork_types::id::base58check_decode(
        "verification key",
        VERIFICATION_KEY_VERSION,
        text.as_str(),
    )
    .map_err(|source| AccountError::Id {
        path: MemberPath::Borrowed(PATH),
        source,
    })?;
    parts::verification_key(PATH, &bytes)
}
