//! The byte form of accounts in the daemon's ledger store: OCaml's bin_prot.
//!
//! Layout of `Account.Stable.V2` (Berkeley) and `V3` (Mesa): the same eleven fields, no version
//! tags, a zkApp state of 8 or 32 elements. Sources: MinaProtocol/mina
//! `src/lib/mina_base/account.ml`, `account_timing.ml`, `permissions.ml`, `zkapp_account.ml`,
//! `zkapp_state.ml`.
//!
//! # Why not the crate `binprot`
//!
//! Its primitives agree with the table of [`write_int`] and [`write_nat0`], and half of an account
//! is not those. Unsigned numbers are bit-cast to signed ones first (so 2^64 - 1 is `ff ff`), slots
//! carry a constructor tag, vectors end in a unit, field elements are raw: each needs its own
//! implementation of its traits. Its reader takes what no writer produces (long forms of small
//! numbers, the undefined codes 0x80 to 0xFB as numbers), whereas a ledger store must have one
//! encoding per account or its tarball's digest means nothing, and it allocates a string of any
//! length an input claims. The last release is 0.1.7 of January 2022.
//!
//! # Strictness
//!
//! [`decode_account`] accepts exactly what [`encode_account`] produces: shortest forms, canonical
//! field elements, the era's width, no bytes left over.

mod account;
mod primitives;

pub use account::{
    BinProtError, BinProtErrorKind, account_id_bytes, decode_account, decode_account_id,
    decode_token_ids, empty_account_bytes, encode_account, encode_token_ids,
};
pub use primitives::{Reader, write_bool, write_int, write_nat0, write_u32, write_u64};

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;
