//! What was found in an environment.

use std::fmt;

use fork_types::document::Document;
use fork_types::{Class, Fault};
use serde::{Deserialize, Serialize};

/// `environment.json`: what a run was started with. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentDocument {
    /// `forkpack.environment`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Where the fork point comes from: the variable that says so; absent when that is not clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The migration's rule; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The variables, in the order of the contract.
    pub variables: Vec<Used>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// What is wrong. A document on the disk has none.
    pub problems: Vec<Problem>,
}

impl Document for EnvironmentDocument {
    const FORMAT: &'static str = "forkpack.environment";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "environment.json";
}

/// A variable and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Its name.
    pub name: String,
    /// Its value without credentials; empty when the step decides by itself.
    pub value: String,
    /// Who says so.
    pub origin: Origin,
    /// The old name it was given under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Who says what a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Whoever started the pipeline.
    Given,
    /// The contract.
    Default,
    /// Nobody: the step decides.
    Unset,
}

/// Something that is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The variable.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was found, without credentials; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What should be.
    pub expected: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)?;
        if let Some(found) = &self.found {
            write!(f, "\n     found     {found}")?;
        }
        write!(f, "\n     expected  {}", self.expected)?;
        write!(f, "\n     do        {}", self.advice)
    }
}

/// An environment the pipeline cannot run with.
#[derive(Debug, thiserror::Error)]
#[error("{}", numbered(problems))]
pub struct EnvironmentError {
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

impl Fault for EnvironmentError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("`pipeline-step check-env --explain` has all variables with examples".to_owned())
    }
}

fn numbered(problems: &[Problem]) -> String {
    let count = problems.len();
    let mut text = format!("{count} problem{}", if count == 1 { "" } else { "s" });
    for (index, problem) in problems.iter().enumerate() {
        text.push_str(&format!("\n{:>3}. {problem}", index + 1));
    }
    text
}
