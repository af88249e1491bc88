//! Scripts of practices, as JSON files beside the sources.

use std::collections::BTreeMap;

use release_policy::{Point, Time};
use serde::Deserialize;
use serde_json::Value;

use crate::error::PromoteError;

/// The scripts that there are.
pub(super) const SCRIPTS: [(&str, &str); 16] = [
    (
        "mina-hardfork",
        include_str!("../../practice/mina-hardfork.json"),
    ),
    (
        "mina-hardfork-failure",
        include_str!("../../practice/mina-hardfork-failure.json"),
    ),
    (
        "mina-hardfork-today",
        include_str!("../../practice/mina-hardfork-today.json"),
    ),
    (
        "mithril-release",
        include_str!("../../practice/mithril-release.json"),
    ),
    (
        "mithril-release-failure",
        include_str!("../../practice/mithril-release-failure.json"),
    ),
    (
        "mithril-release-today",
        include_str!("../../practice/mithril-release-today.json"),
    ),
    (
        "optimism-train",
        include_str!("../../practice/optimism-train.json"),
    ),
    (
        "optimism-train-failure",
        include_str!("../../practice/optimism-train-failure.json"),
    ),
    (
        "optimism-train-today",
        include_str!("../../practice/optimism-train-today.json"),
    ),
    (
        "spacemesh-cycle",
        include_str!("../../practice/spacemesh-cycle.json"),
    ),
    (
        "spacemesh-cycle-failure",
        include_str!("../../practice/spacemesh-cycle-failure.json"),
    ),
    (
        "spacemesh-cycle-today",
        include_str!("../../practice/spacemesh-cycle-today.json"),
    ),
    (
        "splice-practice",
        include_str!("../../practice/splice-practice.json"),
    ),
    (
        "splice-sv-bugfix",
        include_str!("../../practice/splice-sv-bugfix.json"),
    ),
    (
        "splice-sv-bugfix-failure",
        include_str!("../../practice/splice-sv-bugfix-failure.json"),
    ),
    (
        "splice-sv-bugfix-today",
        include_str!("../../practice/splice-sv-bugfix-today.json"),
    ),
];

/// How deep files may name each other.
const DEPTH_MAX: usize = 4;

/// A script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// The policy, by name.
    pub(super) policy: String,
    /// Its options.
    #[serde(default)]
    pub(super) options: Vec<String>,
    /// Documents and mails by name; `{file:NAME}` in one is the digest of another.
    pub(super) files: BTreeMap<String, String>,
    /// What happens.
    pub(super) steps: Vec<Step>,
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Step {
    /// It becomes later.
    Clock {
        /// The time.
        clock: Time,
    },
    /// Somebody signs something.
    Fact {
        /// What kind of fact.
        fact: String,
        /// A name for it.
        name: String,
        /// Keys that sign, as `ROLE/N`.
        by: Vec<String>,
        /// What it is about, as `STAGE#ATTEMPT` or `*`.
        scope: String,
        /// The fact.
        value: Value,
    },
    /// The release is promoted.
    Ask {
        /// The stage.
        ask: String,
        /// When.
        point: Point,
        /// The answer there must be.
        #[serde(default = "allow")]
        expect: String,
    },
}

fn allow() -> String {
    "ALLOW".to_owned()
}

impl Script {
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, PromoteError> {
        serde_json::from_str(text).map_err(|source| PromoteError::Practice {
            policy: name.to_owned(),
            problem: source.to_string(),
        })
    }

    /// Forgets a step and everything after it.
    pub(super) fn stop_before(&mut self, wanted: &str) -> Result<(), ()> {
        let at = self.steps.iter().position(|step| match step {
            Step::Clock { .. } => false,
            Step::Fact { name, .. } => name == wanted,
            Step::Ask { ask, point, .. } => format!("{}:{ask}", point.name()) == wanted,
        });
        self.steps.truncate(at.ok_or(())?);
        Ok(())
    }

    /// The text of a file, with digests in their places.
    pub(super) fn file_text(&self, name: &str) -> Result<String, String> {
        self.text_at(name, 0)
    }

    fn text_at(&self, name: &str, depth: usize) -> Result<String, String> {
        let text = self
            .files
            .get(name)
            .ok_or_else(|| format!("there is no file `{name}`"))?;
        if depth > DEPTH_MAX {
            return Err(format!("`{name}` names itself"));
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{file:") {
            let (other, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{name}` has a `{{file:` without its `}}`"))?;
            let digest = release_policy::Digest::of(self.text_at(other, depth + 1)?.as_bytes());
            out.push_str(before);
            out.push_str(&digest.to_string());
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}
