//! Accounts, token sets and account ids in bin_prot.

use std::fmt;
use std::sync::Arc;

use fork_types::{
    Amount, Class, Era, Fault, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan,
    StateHash, TokenId,
};

use super::primitives::{Reader, write_bool, write_nat0, write_u32, write_u64};
use crate::account::{
    ACTION_STATE_LEN, Account, Auth, Permissions, TOKEN_SYMBOL_BYTES_MAX, Timing, TokenSymbol,
    Vesting, ZKAPP_URI_BYTES_MAX, Zkapp,
};
use crate::verification_key::{VERIFICATION_KEY_BYTES, VerificationKey, VerificationKeyError};

/// The one constructor of a slot or slot span.
const SLOT_TAG: u8 = 0x00;

/// What ends a vector: nested pairs end in unit.
const VECTOR_END: u8 = 0x00;

/// Bytes that are not what [`encode_account`] would have written.
#[derive(Debug)]
pub struct BinProtError {
    /// Offset of the value that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: BinProtErrorKind,
}

impl fmt::Display for BinProtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at byte {} of the binary form",
            self.kind, self.offset
        )
    }
}

impl std::error::Error for BinProtError {
    /// The kind is part of the message, so the next cause is the kind's own.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// The cases of [`BinProtError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinProtErrorKind {
    /// The bytes end inside a value.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// Bytes are left after the last value.
    #[error("{bytes} bytes left over")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// A first byte no integer has.
    #[error("undefined integer code 0x{code:02X}")]
    Code {
        /// The byte.
        code: u8,
    },
    /// A longer form of an integer than necessary.
    #[error("integer not in its shortest form")]
    NotShortest,
    /// An integer outside 32 bits.
    #[error("integer does not fit 32 bits")]
    NotUInt32,
    /// A constant, boolean, option or constructor byte that does not exist.
    #[error("0x{byte:02X} is no {what}")]
    Tag {
        /// What was expected.
        what: &'static str,
        /// The byte.
        byte: u8,
    },
    /// A string longer than its field may be.
    #[error("{what} of {found} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// Which string.
        what: &'static str,
        /// Its length.
        found: u64,
        /// The limit.
        bytes_max: usize,
    },
    /// A field element that is not below the modulus.
    #[error("field element not below the modulus")]
    FieldTooLarge,
    /// Bad content of a verification key.
    #[error("no verification key")]
    VerificationKey(#[source] VerificationKeyError),
    /// A set whose elements do not ascend.
    #[error("token ids not in ascending order")]
    NotAscending,
    /// An era without this form.
    #[error("accounts of era {era} have another binary form")]
    WrongEra {
        /// The era.
        era: Era,
    },
}

impl BinProtError {
    pub(super) const fn at(offset: usize, kind: BinProtErrorKind) -> Self {
        Self { offset, kind }
    }
}

impl Fault for BinProtError {
    fn class(&self) -> Class {
        Class::BadInput
    }
}

/// Appends the bytes of `account`.
///
/// The width of a zkApp state is the account's own: an account of the wrong era is encoded as what
/// it is and refused by [`decode_account`].
pub fn encode_account(account: &Account, out: &mut Vec<u8>) {
    let Account {
        public_key,
        token_id,
        token_symbol,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing,
        permissions,
        zkapp,
    } = account;
    write_public_key(public_key, out);
    write_field(&token_id.field(), out);
    write_string(token_symbol.as_bytes(), out);
    write_u64(balance.nanomina(), out);
    write_u32(*nonce, out);
    write_field(&receipt_chain_hash.field(), out);
    write_option(delegate.as_ref(), write_public_key, out);
    write_field(&voting_for.field(), out);
    write_timing(timing, out);
    write_permissions(permissions, out);
    write_option(zkapp.as_deref(), write_zkapp, out);
}

/// The bytes of the empty account of `era`, which belongs to no leaf but names the era's hashes.
#[must_use]
pub fn empty_account_bytes(era: Era) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_account(&Account::empty(era), &mut bytes);
    bytes
}

/// Appends a `$tids!` value: a set of token ids, which must ascend as integers.
pub fn encode_token_ids(ascending: &[TokenId], out: &mut Vec<u8>) {
    write_nat0(length(ascending), out);
    for token in ascending {
        write_field(&token.field(), out);
    }
}

/// The 65 bytes of an account id, which is the value of a `$tid!` record.
#[must_use]
pub fn account_id_bytes(public_key: &PublicKey, token_id: &TokenId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(65);
    write_public_key(public_key, &mut bytes);
    write_field(&token_id.field(), &mut bytes);
    bytes
}

fn length<T>(slice: &[T]) -> u64 {
    // A slice is never longer than 2^63 bytes.
    u64::try_from(slice.len()).unwrap_or(u64::MAX)
}

fn write_field(field: &FieldBytes, out: &mut Vec<u8>) {
    out.extend_from_slice(field.as_le_bytes());
}

fn write_public_key(key: &PublicKey, out: &mut Vec<u8>) {
    write_field(&key.x(), out);
    write_bool(key.is_odd(), out);
}

fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    write_nat0(length(bytes), out);
    out.extend_from_slice(bytes);
}

fn write_option<T>(value: Option<&T>, write: impl FnOnce(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    write_bool(value.is_some(), out);
    if let Some(value) = value {
        write(value, out);
    }
}

fn write_vector(fields: &[FieldBytes], out: &mut Vec<u8>) {
    for field in fields {
        write_field(field, out);
    }
    out.push(VECTOR_END);
}

fn write_slot(slot: u32, out: &mut Vec<u8>) {
    out.push(SLOT_TAG);
    write_u32(slot, out);
}

fn write_timing(timing: &Timing, out: &mut Vec<u8>) {
    let Timing::Timed(Vesting {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    }) = timing
    else {
        out.push(0);
        return;
    };
    out.push(1);
    write_u64(initial_minimum_balance.nanomina(), out);
    write_slot(cliff_time.get(), out);
    write_u64(cliff_amount.nanomina(), out);
    write_slot(vesting_period.get(), out);
    write_u64(vesting_increment.nanomina(), out);
}

const fn auth_code(auth: Auth) -> u8 {
    match auth {
        Auth::None => 0,
        Auth::Either => 1,
        Auth::Proof => 2,
        Auth::Signature => 3,
        Auth::Impossible => 4,
    }
}

fn write_permissions(permissions: &Permissions, out: &mut Vec<u8>) {
    let Permissions {
        edit_state,
        access,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
        set_verification_key_txn_version,
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    } = *permissions;
    let before = [
        edit_state,
        access,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
    ];
    let after = [
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    ];
    out.extend(before.map(auth_code));
    write_u32(set_verification_key_txn_version, out);
    out.extend(after.map(auth_code));
}

fn write_zkapp(zkapp: &Zkapp, out: &mut Vec<u8>) {
    let Zkapp {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = zkapp;
    write_vector(app_state, out);
    write_option(
        verification_key.as_ref(),
        |key, out| out.extend_from_slice(key.as_bytes()),
        out,
    );
    write_u32(*zkapp_version, out);
    write_vector(action_state, out);
    write_slot(last_action_slot.get(), out);
    write_bool(*proved_state, out);
    write_string(zkapp_uri, out);
}

/// Reads the bytes of one account of `era`, all of them.
///
/// Verification keys are not shared between calls; a key costs 1796 bytes per account that has one.
///
/// # Errors
///
/// Fails, with the offset, on everything [`encode_account`] does not write for an account of `era`:
/// another width, longer forms of numbers, field elements above the modulus, strings that are too
/// long, bytes left over. v1 has another byte form altogether.
pub fn decode_account(era: Era, bytes: &[u8]) -> Result<Account, BinProtError> {
    if era == Era::V1 {
        return Err(BinProtError::at(0, BinProtErrorKind::WrongEra { era }));
    }
    let mut reader = Reader::new(bytes);
    let account = Account {
        public_key: read_public_key(&mut reader)?,
        token_id: TokenId::new(reader.field()?),
        token_symbol: read_token_symbol(&mut reader)?,
        balance: Amount::from_nanomina(reader.u64()?),
        nonce: reader.u32()?,
        receipt_chain_hash: ReceiptChainHash::new(reader.field()?),
        delegate: read_option(&mut reader, read_public_key)?,
        voting_for: StateHash::new(reader.field()?),
        timing: read_timing(&mut reader)?,
        permissions: read_permissions(&mut reader)?,
        zkapp: read_option(&mut reader, |reader| read_zkapp(era, reader).map(Box::new))?,
    };
    reader.end()?;
    Ok(account)
}

/// Reads a `$tids!` value.
///
/// # Errors
///
/// Fails on bytes that are no ascending set, and on bytes left over.
pub fn decode_token_ids(bytes: &[u8]) -> Result<Vec<TokenId>, BinProtError> {
    let mut reader = Reader::new(bytes);
    let count = reader.nat0()?;
    // Grown by what is really there, not by what the length claims.
    let mut tokens: Vec<TokenId> = Vec::new();
    for _ in 0..count {
        let start = reader.offset();
        let token = TokenId::new(reader.field()?);
        if tokens.last().is_some_and(|last| *last >= token) {
            return Err(BinProtError::at(start, BinProtErrorKind::NotAscending));
        }
        tokens.push(token);
    }
    reader.end()?;
    Ok(tokens)
}

/// Reads an account id.
///
/// # Errors
///
/// Fails on anything but 65 good bytes.
pub fn decode_account_id(bytes: &[u8]) -> Result<(PublicKey, TokenId), BinProtError> {
    let mut reader = Reader::new(bytes);
    let public_key = read_public_key(&mut reader)?;
    let token_id = TokenId::new(reader.field()?);
    reader.end()?;
    Ok((public_key, token_id))
}

fn read_public_key(reader: &mut Reader<'_>) -> Result<PublicKey, BinProtError> {
    Ok(PublicKey::new(reader.field()?, reader.bool()?))
}

fn read_token_symbol(reader: &mut Reader<'_>) -> Result<TokenSymbol, BinProtError> {
    const WHAT: &str = "token symbol";
    let start = reader.offset();
    let bytes = reader.string(WHAT, TOKEN_SYMBOL_BYTES_MAX)?;
    TokenSymbol::new(bytes).ok_or(BinProtError::at(
        start,
        BinProtErrorKind::TooLong {
            what: WHAT,
            found: length(bytes),
            bytes_max: TOKEN_SYMBOL_BYTES_MAX,
        },
    ))
}

fn read_option<'b, T>(
    reader: &mut Reader<'b>,
    read: impl FnOnce(&mut Reader<'b>) -> Result<T, BinProtError>,
) -> Result<Option<T>, BinProtError> {
    if reader.bool()? {
        read(reader).map(Some)
    } else {
        Ok(None)
    }
}

fn read_slot(reader: &mut Reader<'_>) -> Result<u32, BinProtError> {
    reader.constant(SLOT_TAG, "slot constructor")?;
    reader.u32()
}

fn read_timing(reader: &mut Reader<'_>) -> Result<Timing, BinProtError> {
    if !reader.bool()? {
        return Ok(Timing::Untimed);
    }
    Ok(Timing::Timed(Vesting {
        initial_minimum_balance: Amount::from_nanomina(reader.u64()?),
        cliff_time: SlotSinceGenesis::new(read_slot(reader)?),
        cliff_amount: Amount::from_nanomina(reader.u64()?),
        vesting_period: SlotSpan::new(read_slot(reader)?),
        vesting_increment: Amount::from_nanomina(reader.u64()?),
    }))
}

fn read_auth(reader: &mut Reader<'_>) -> Result<Auth, BinProtError> {
    let start = reader.offset();
    let byte = reader.byte()?;
    Auth::ALL
        .into_iter()
        .find(|auth| auth_code(*auth) == byte)
        .ok_or(BinProtError::at(
            start,
            BinProtErrorKind::Tag {
                what: "authorization",
                byte,
            },
        ))
}

fn read_permissions(reader: &mut Reader<'_>) -> Result<Permissions, BinProtError> {
    Ok(Permissions {
        edit_state: read_auth(reader)?,
        access: read_auth(reader)?,
        send: read_auth(reader)?,
        receive: read_auth(reader)?,
        set_delegate: read_auth(reader)?,
        set_permissions: read_auth(reader)?,
        set_verification_key: read_auth(reader)?,
        set_verification_key_txn_version: reader.u32()?,
        set_zkapp_uri: read_auth(reader)?,
        edit_action_state: read_auth(reader)?,
        set_token_symbol: read_auth(reader)?,
        increment_nonce: read_auth(reader)?,
        set_voting_for: read_auth(reader)?,
        set_timing: read_auth(reader)?,
    })
}

fn read_vector_end(reader: &mut Reader<'_>) -> Result<(), BinProtError> {
    reader.constant(VECTOR_END, "end of a vector")
}

fn read_zkapp(era: Era, reader: &mut Reader<'_>) -> Result<Zkapp, BinProtError> {
    let mut app_state = Vec::with_capacity(era.app_state_len());
    for _ in 0..era.app_state_len() {
        app_state.push(reader.field()?);
    }
    read_vector_end(reader)?;
    let verification_key = read_option(reader, read_verification_key)?;
    let zkapp_version = reader.u32()?;
    let mut action_state = [FieldBytes::ZERO; ACTION_STATE_LEN];
    for element in &mut action_state {
        *element = reader.field()?;
    }
    read_vector_end(reader)?;
    Ok(Zkapp {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot: SlotSinceGenesis::new(read_slot(reader)?),
        proved_state: reader.bool()?,
        zkapp_uri: reader.string("zkApp URI", ZKAPP_URI_BYTES_MAX)?.to_vec(),
    })
}

fn read_verification_key(reader: &mut Reader<'_>) -> Result<Arc<VerificationKey>, BinProtError> {
    let start = reader.offset();
    let bytes = reader.bytes(VERIFICATION_KEY_BYTES)?;
    VerificationKey::from_bytes(bytes)
        .map(Arc::new)
        .map_err(|source| BinProtError::at(start, BinProtErrorKind::VerificationKey(source)))
}
