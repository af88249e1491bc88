//! Replaying a record: every decision again, from the files alone.

use std::collections::BTreeMap;

use crate::decision::Question;
use crate::evaluate::{ENGINE, decide};
use crate::log::{Body, Head, Log, LogError};
use crate::name::Digest;
use crate::policy::Policy;
use crate::store::Store;

/// Something wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The log does not hold together.
    #[error("{0}")]
    Log(String),
    /// The log does not begin with the release of this policy and these keys.
    #[error("the log is of {what} {expected}, not of {found}")]
    Opened {
        /// Policy or keys.
        what: &'static str,
        /// What the log says.
        expected: Digest,
        /// What was given.
        found: Digest,
    },
    /// A recorded fact is not there.
    #[error("entry {seq} records {evidence}, which is not there")]
    Missing {
        /// The entry.
        seq: u64,
        /// The envelope.
        evidence: Digest,
    },
    /// A decision comes out in another way.
    #[error("entry {seq} is not what its facts give: {why}")]
    Decision {
        /// The entry.
        seq: u64,
        /// How.
        why: String,
    },
    /// A decision of another engine cannot be replayed by this one.
    #[error("entry {seq} was decided by {engine}, this is {ENGINE}")]
    Engine {
        /// The entry.
        seq: u64,
        /// Its engine.
        engine: String,
    },
    /// Something was done that no decision allowed.
    #[error("entry {seq} did `{action}`, which nothing before it allowed")]
    Action {
        /// The entry.
        seq: u64,
        /// The action.
        action: String,
    },
}

/// Checks a record: its chain against the signed head, its facts, and every decision again.
///
/// `keys` is the text of the file of keys that `policy` was given. Nothing is trusted but the head:
/// a decision in the log is a claim, and is made again from what stood before it.
#[must_use]
pub fn audit(policy: &Policy, keys: &str, text: &str, head: &Head, store: &Store) -> Vec<Problem> {
    let wrong = |source: LogError| {
        vec![Problem::Log(match std::error::Error::source(&source) {
            Some(cause) => format!("{source}: {cause}"),
            None => source.to_string(),
        })]
    };
    let log = match Log::parse(text) {
        Ok(log) => log,
        Err(source) => return wrong(source),
    };
    if let Err(source) = log.expect_head(head) {
        return wrong(source);
    }
    let mut problems = Vec::new();
    for (index, entry) in log.entries().iter().enumerate() {
        match &entry.body {
            Body::Opened {
                policy: opened,
                keys: pinned,
                ..
            } => {
                let given = Digest::of(keys.as_bytes());
                for (what, expected, found) in
                    [("policy", *opened, policy.digest), ("keys", *pinned, given)]
                {
                    if expected != found {
                        problems.push(Problem::Opened {
                            what,
                            expected,
                            found,
                        });
                    }
                }
            }
            Body::Recorded { evidence } => {
                if store.evidence(*evidence).is_none() {
                    problems.push(Problem::Missing {
                        seq: entry.seq,
                        evidence: *evidence,
                    });
                }
            }
            Body::Decided { decision } => {
                if decision.engine != ENGINE {
                    problems.push(Problem::Engine {
                        seq: entry.seq,
                        engine: decision.engine.clone(),
                    });
                    continue;
                }
                let question = Question {
                    stage: decision.stage.clone(),
                    point: decision.point,
                    now: decision.now,
                    measured: decision.measured.clone(),
                };
                let why = if decision.now != entry.at {
                    Some(format!(
                        "it is of {}, its entry of {}",
                        decision.now, entry.at
                    ))
                } else {
                    match decide(policy, &log.before(index), store, &question) {
                        Err(source) => Some(source.to_string()),
                        Ok(again) if again == **decision => None,
                        Ok(again) => Some(format!(
                            "{:?} where the facts give {:?}",
                            decision.verdict, again.verdict
                        )),
                    }
                };
                if let Some(why) = why {
                    problems.push(Problem::Decision {
                        seq: entry.seq,
                        why,
                    });
                }
            }
            Body::Acted { action, key, .. } => {
                let planned =
                    crate::action::plan(policy, &log.before(index), store).unwrap_or_default();
                if !planned
                    .iter()
                    .any(|one| one.id == *action && one.key == *key)
                {
                    problems.push(Problem::Action {
                        seq: entry.seq,
                        action: action.clone(),
                    });
                }
            }
        }
    }
    problems
}

/// Votes, waivers and figures of a record by release, for pages: the decisions, in order.
#[must_use]
pub fn verdicts(log: &Log) -> BTreeMap<u64, String> {
    let decided = log.entries().iter().filter_map(|entry| match &entry.body {
        Body::Decided { decision } => Some((
            entry.seq,
            format!(
                "{} {} attempt {}: {:?}",
                decision.point.name(),
                decision.stage,
                decision.attempt,
                decision.verdict
            ),
        )),
        _ => None,
    });
    decided.collect()
}
