//! Why account JSON is not an account.

use std::borrow::Cow;
use std::fmt;

use fork_types::{AmountError, Class, Era, Fault, IdError};

use super::text::shown;
use super::wire::AccountJson;
use crate::account::{ACTION_STATE_LEN, TOKEN_SYMBOL_BYTES_MAX, ZKAPP_URI_BYTES_MAX};
use crate::verification_key::{VERIFICATION_KEY_BYTES, VerificationKeyError};

/// Where in an account a member sits, such as `permissions.send` or `zkapp.app_state[3]`.
pub type MemberPath = Cow<'static, str>;

/// Why an account in JSON could not become an account of the ledger.
///
/// Every case names the member and, where there is one, the offending text. Which account of which
/// list it was is for the caller to say, see [`AccountError::at`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// A member that must be there is absent or null.
    #[error("`{path}` is missing")]
    Missing {
        /// The member.
        path: MemberPath,
    },
    /// A member this conversion demands; upstream's tool fills it in only when asked.
    #[error("`{path}` is missing, and missing members are not to be filled in")]
    MissingStrict {
        /// The member.
        path: MemberPath,
    },
    /// A key, hash or token that is not good base58check of its kind.
    #[error("`{path}` cannot be read")]
    Id {
        /// The member.
        path: MemberPath,
        /// What is wrong with the text: alphabet, checksum, version byte, length, range.
        source: IdError,
    },
    /// An amount that is malformed or does not fit.
    #[error("`{path}` cannot be read")]
    Amount {
        /// The member.
        path: MemberPath,
        /// What is wrong with the text.
        source: AmountError,
    },
    /// A nonce, slot or version that is not a decimal number below 2^32.
    #[error("`{path}` is `{found}`, expected a decimal number below 2^32")]
    Number {
        /// The member.
        path: MemberPath,
        /// The text, cut.
        found: String,
    },
    /// A field element in the wrong notation.
    #[error("`{path}` is `{found}`, expected {expected}")]
    FieldMalformed {
        /// The member.
        path: MemberPath,
        /// The text, cut.
        found: String,
        /// The notation this place has.
        expected: &'static str,
    },
    /// A field element that is not below the modulus.
    #[error("`{path}` is `{found}`, which is not below the field modulus")]
    FieldTooLarge {
        /// The member.
        path: MemberPath,
        /// The text, cut.
        found: String,
    },
    /// A word that is no authorization.
    #[error(
        "`{path}` is `{found}`, expected one of none, either, proof, signature, impossible{}",
        if *.v1 { ", both" } else { "" }
    )]
    Permission {
        /// The member.
        path: MemberPath,
        /// The word, cut.
        found: String,
        /// Whether v1's `both` would have been good.
        v1: bool,
    },
    /// The verification key permission in the shape of v1.
    #[error(
        "`permissions.set_verification_key` is the plain word `{found}`, expected an object with \
         `auth` and `txn_version`"
    )]
    PlainSetVerificationKey {
        /// The word, cut.
        found: String,
    },
    /// The verification key permission in the shape of Berkeley, in a v1 account.
    #[error("`permissions.set_verification_key` is an object, expected the plain word of v1")]
    VersionedSetVerificationKey,
    /// More than six bytes.
    #[error("`token_symbol` has {found_bytes} bytes, at most {TOKEN_SYMBOL_BYTES_MAX} are allowed")]
    TokenSymbolTooLong {
        /// Its length.
        found_bytes: usize,
    },
    /// More than 255 bytes.
    #[error("`zkapp.zkapp_uri` has {found_bytes} bytes, at most {ZKAPP_URI_BYTES_MAX} are allowed")]
    ZkappUriTooLong {
        /// Its length.
        found_bytes: usize,
    },
    /// A zkApp state of the wrong era, or of none.
    #[error("`zkapp.app_state` has {found} elements, {era} has {expected}")]
    AppStateWidth {
        /// The era it was read for.
        era: Era,
        /// Elements of that era.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// Not five.
    #[error("`zkapp.action_state` has {found} elements, expected {ACTION_STATE_LEN}")]
    ActionStateWidth {
        /// Elements found.
        found: usize,
    },
    /// A schedule the daemon refuses.
    #[error("`timing.vesting_period` is 0, which a daemon refuses")]
    VestingPeriodZero,
    /// A verification key that is not padded standard base64.
    #[error("`zkapp.verification_key` is not base64 of the standard alphabet with padding")]
    VerificationKeyBase64 {
        /// What the decoder says.
        source: base64::DecodeError,
    },
    /// A verification key of the wrong size.
    #[error("`{path}` holds {found} bytes, a verification key has {VERIFICATION_KEY_BYTES}")]
    VerificationKeyLength {
        /// The member.
        path: MemberPath,
        /// Bytes found.
        found: usize,
    },
    /// A verification key of the right size with wrong content.
    #[error("`{path}` is no verification key")]
    VerificationKey {
        /// The member.
        path: MemberPath,
        /// What is wrong with the bytes.
        source: VerificationKeyError,
    },
    /// A verification key that has not the hash printed beside it.
    #[error("`{path}` is {stated}, the key beside it hashes to {computed}")]
    VerificationKeyHash {
        /// The member.
        path: MemberPath,
        /// The hash printed.
        stated: String,
        /// The hash of the key.
        computed: String,
    },
    /// A tag other than the constructors a block has in this place.
    #[error("`{path}` has the constructor `{found}`, expected {expected}")]
    Constructor {
        /// The member.
        path: MemberPath,
        /// The name found, cut.
        found: String,
        /// The names that are good.
        expected: &'static str,
    },
    /// Something v1 could express and no known v1 ledger has.
    #[error("`{path}` is set, which no known v1 ledger has")]
    V1Unsupported {
        /// The member.
        path: MemberPath,
    },
    /// A v1 token that is not a decimal number.
    #[error("`token` is `{found}`, expected a decimal number of 64 bits")]
    V1Token {
        /// The text, cut.
        found: String,
    },
    /// A conversion asked for an era it does not serve.
    #[error("this conversion has no accounts of era {era}")]
    WrongEra {
        /// The era asked for.
        era: Era,
    },
}

impl AccountError {
    /// Says which account of a list this is about.
    #[must_use]
    pub fn at(self, index: u32, account: &AccountJson<'_>) -> ListedAccountError {
        ListedAccountError {
            index,
            public_key: account.pk.as_ref().map(|pk| shown(pk.as_str())),
            source: self,
        }
    }

    /// The next thing to try, when there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PlainSetVerificationKey { .. } => Some(
                "this is a v1 list: rewrite `set_verification_key` to {\"auth\": \"signature\", \
                 \"txn_version\": \"2\"}, as the Berkeley fork did, or migrate from era v1",
            ),
            Self::VersionedSetVerificationKey => {
                Some("this list was already rewritten for Berkeley; read it as era berkeley")
            }
            Self::MissingStrict { .. } => Some(
                "only an incomplete list lacks this; say explicitly that missing members are to \
                 be filled with defaults, or export the ledger again",
            ),
            Self::AppStateWidth { .. } => Some(
                "8 elements mean a Berkeley account, 32 a Mesa account; check the era of the list",
            ),
            Self::WrongEra { .. } => {
                Some("v1 accounts have their own conversion; the others serve berkeley and mesa")
            }
            Self::Missing { .. }
            | Self::Id { .. }
            | Self::Amount { .. }
            | Self::Number { .. }
            | Self::FieldMalformed { .. }
            | Self::FieldTooLarge { .. }
            | Self::Permission { .. }
            | Self::TokenSymbolTooLong { .. }
            | Self::ZkappUriTooLong { .. }
            | Self::ActionStateWidth { .. }
            | Self::VestingPeriodZero
            | Self::VerificationKeyBase64 { .. }
            | Self::VerificationKeyLength { .. }
            | Self::VerificationKey { .. }
            | Self::VerificationKeyHash { .. }
            | Self::Constructor { .. }
            | Self::V1Unsupported { .. }
            | Self::V1Token { .. } => None,
        }
    }
}

impl Fault for AccountError {
    fn class(&self) -> Class {
        match self {
            Self::VerificationKeyHash { .. } => Class::Wrong,
            Self::Missing { .. }
            | Self::MissingStrict { .. }
            | Self::Id { .. }
            | Self::Amount { .. }
            | Self::Number { .. }
            | Self::FieldMalformed { .. }
            | Self::FieldTooLarge { .. }
            | Self::Permission { .. }
            | Self::PlainSetVerificationKey { .. }
            | Self::VersionedSetVerificationKey
            | Self::TokenSymbolTooLong { .. }
            | Self::ZkappUriTooLong { .. }
            | Self::AppStateWidth { .. }
            | Self::ActionStateWidth { .. }
            | Self::VestingPeriodZero
            | Self::VerificationKeyBase64 { .. }
            | Self::VerificationKeyLength { .. }
            | Self::VerificationKey { .. }
            | Self::Constructor { .. }
            | Self::V1Unsupported { .. }
            | Self::V1Token { .. }
            | Self::WrongEra { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self).map(str::to_owned)
    }
}

/// An [`AccountError`] with the account it is about.
#[derive(Debug, thiserror::Error)]
#[error("account {index}{} is not usable", PublicKeyInBrackets(.public_key.as_deref()))]
pub struct ListedAccountError {
    /// Position in the list, which is the leaf index.
    pub index: u32,
    /// Its public key as written, cut, when there was one.
    pub public_key: Option<String>,
    /// What is wrong with it.
    pub source: AccountError,
}

struct PublicKeyInBrackets<'a>(Option<&'a str>);

impl fmt::Display for PublicKeyInBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, " ({key})"))
    }
}

impl Fault for ListedAccountError {
    fn class(&self) -> Class {
        self.source.class()
    }

    fn hint(&self) -> Option<String> {
        Fault::hint(&self.source)
    }
}
