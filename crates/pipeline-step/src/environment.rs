//! The contract between the pipeline and whoever starts it.
//!
//! [`VARIABLES`] is the contract. [`check()`] holds an environment against it and says everything that
//! is wrong, not the first thing. It looks at the disk and at nothing else.

mod check;
mod contract;
mod explain;
mod look;
mod report;
mod run;
mod schedule;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;

pub use check::check;
pub use contract::{FOREIGN, Foreign, Need, SETTINGS, VARIABLES, Variable, known_names};
pub use explain::{Contract, as_json, as_markdown, as_text};
pub use report::{EnvironmentDocument, EnvironmentError, Origin, Problem, Used};

/// Variables of a process.
pub type Variables = BTreeMap<String, OsString>;
