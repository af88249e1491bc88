//! Looks into ledgers, blocks and ledger stores, and changes none of them.
//!
//! [`InspectLedger`] is the command line: `hash` and `accounts` compute roots and leaves from
//! account lists, `block` recomputes a state hash, `scan`, `diff` and `digest` read ledger
//! stores and `tarball-name` gives the name a daemon looks for; `convert` writes an account list in its other
//! form and `explain` names the mistake behind a wrong root. The binary adds nothing but reporting.
//!
//! Every result that depends on a choice (era, loader, genesis winner, depth) names it, because
//! another choice gives another root without any other sign.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accounts;
mod args;
mod block;
mod convert;
mod digest;
mod error;
mod explain;
mod hash;
mod leaves;
mod store;
mod worker;

pub use accounts::{AccountLine, list_accounts};
pub use args::{
    AccountsArgs, BlockArgs, Command, ConvertArgs, DiffArgs, ExplainArgs, HashArgs, InspectLedger,
    ListArgs, ListForm, Loader, ScanArgs, TarballNameArgs, TarballPrefix, Winner,
};
pub use block::{BlockReport, Check, Claim, EpochReport, ProblemReport, inspect_block};
pub use convert::{ConvertReport, convert};
pub use digest::{DigestArgs, DigestReport, StoreDigests, TarballDigests, digest};
pub use error::{InspectError, InspectErrorKind, LeafError};
pub use explain::{
    ChangedMemberReport, ChangedReport, ExplainReport, HypothesisReport, ReferenceReport, Verdict,
    explain,
};
pub use hash::{HashReport, hash_list};
pub use store::{DiffReport, DifferenceReport, FieldReport, diff, scan};
