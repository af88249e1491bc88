//! `materialize-ledger`: any ledger at any block, from nothing but an archive's database.
//!
//! The archive stores the state of every account a block touched; the newest row of each account on
//! a block's branch, in leaf order, is the ledger after that block. `staged` streams it from the
//! server, writes it as an account list and computes its root on the way. Only a list whose root is
//! the block's appears at the output; otherwise the reason is looked for in the database and the
//! list, and nothing is left.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod archive;
mod args;
mod base;
mod candidate;
mod causes;
mod compare;
mod epochs;
mod error;
mod find;
mod ledger;
mod list;
mod populate;
mod prefix;
mod prove;
mod recompute;
mod select;
mod snarked;
mod staged;
mod wanted;

pub use archive::ArchiveArgs;
pub use args::{Args, Command, StagedArgs};
pub use candidate::CandidateArgs;
pub use compare::CompareError;
pub use epochs::{EpochBasis, EpochError, FirstEpochs, prove_epochs};
pub use error::{MaterializeError, MaterializeErrorKind};
pub use ledger::AccountSink;
pub use list::ListArgs;
pub use populate::{PopulateArgs, PopulateReport, SchemaArg};
pub use prove::{Located, Proved, prove_staged};
pub use recompute::{Recomputed, recompute};
pub use select::{ChoiceError, SelectArgs};
pub use snarked::SnarkedArgs;
pub use wanted::{NotFound, WantedError};
