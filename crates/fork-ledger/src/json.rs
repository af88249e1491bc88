//! Account JSON: reading, writing and the conversions to accounts.
//!
//! - [`wire`] is the JSON as written; [`stream`] reads lists of it in bounded memory.
//! - [`blocks`] cuts such a list into pieces that threads read at once, and [`fast`] reads the
//!   accounts in them; both leave what is unusual to the modules above.
//! - [`convert`] holds the two conversions to an [`Account`](crate::account::Account), which differ
//!   in what they put where something is missing; [`v1`] is the conversion for the original
//!   mainnet; [`block`] reads the other encoding that blocks have.
//! - [`write`](mod@write) prints accounts in the form of `mina ledger export`.
//! - [`ledger_object`] has the rules about everything beside the accounts: genesis winner, padding,
//!   the shape of a fork ledger.
//!
//! What upstream ignores is ignored (unknown members nearly everywhere), what it refuses is refused
//! with the member's path. Two things are stricter here: a repeated member is an error, and a field
//! element must be below the modulus.

pub mod block;
pub mod blocks;
pub mod convert;
pub mod document;
mod error;
pub mod fast;
mod field;
mod key_cache;
pub mod ledger_object;
mod members;
mod parts;
pub(crate) mod replay;
#[cfg(test)]
pub(crate) mod spelling;
pub mod stream;
mod text;
pub mod v1;
pub mod wire;
pub mod write;

pub use block::{BlockAccountJson, from_block_account};
pub use convert::{DaemonRules, ForkRules, MissingDelegate, from_daemon_config, from_fork_config};
pub use error::{AccountError, ListedAccountError, MemberPath};
pub use field::{field_from_decimal, field_to_decimal};
pub use key_cache::VerificationKeyCache;
pub use ledger_object::{LedgerObjectError, LedgerObjectMeta};
pub use members::SlotJson;
pub use stream::{StreamError, read_account_array, read_account_slice, read_ledger_object};
pub use text::Text;
pub use v1::v1_from_json;
pub use wire::AccountJson;
pub use write::write_account_json;
