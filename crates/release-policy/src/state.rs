//! Where a release stands: read from its log, never stored.

mod about;

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::Verdict;
use crate::log::{Body, Log};
use crate::manifest::Manifest;
use crate::name::{Digest, Time};
use crate::policy::check::Check;
use crate::policy::{Point, Policy};
use crate::samples::Series;
use crate::statement::observation::{IncidentKind, Observation};
use crate::statement::{Choice, Evidence, Predicate, Scope, TestOutcome};
use crate::store::Store;

pub use about::has_signed;
use about::refuse_manifest;
pub(crate) use about::{scope_of, time_of, why_not_bound};

/// Why nothing can be decided at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The log is empty, or begins with something else.
    #[error("the log does not begin with the opening of a release")]
    NotOpened,
    /// A second opening.
    #[error("log entry {seq} opens the release again")]
    OpenedAgain {
        /// The entry.
        seq: u64,
    },
    /// The log belongs to another policy.
    #[error("the log is of policy {expected} with options [{options}], not of {found}")]
    OtherPolicy {
        /// The policy of the log.
        expected: Digest,
        /// Its options.
        options: String,
        /// The policy that was given.
        found: Digest,
    },
    /// A fact is in the log but its envelope is not there.
    #[error("log entry {seq} records {evidence}, which is not there")]
    Missing {
        /// The entry.
        seq: u64,
        /// The envelope.
        evidence: Digest,
    },
    /// Nobody with the right to has said what is released.
    #[error("the log has no manifest that counts")]
    NoManifest,
    /// The question names a stage the policy does not have.
    #[error("the policy has no stage `{0}`")]
    NoStage(String),
    /// The time of the question is before the last entry.
    #[error("a decision of {now} cannot follow an entry of {last}")]
    Clock {
        /// The question's time.
        now: Time,
        /// The last entry's time.
        last: Time,
    },
}

impl fork_types::Fault for StateError {
    fn class(&self) -> fork_types::Class {
        match self {
            Self::NoStage(_) => fork_types::Class::Usage,
            Self::NotOpened
            | Self::OpenedAgain { .. }
            | Self::OtherPolicy { .. }
            | Self::Missing { .. }
            | Self::NoManifest
            | Self::Clock { .. } => fork_types::Class::BadInput,
        }
    }
}

/// How far an attempt at a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The release is there.
    Deployed,
    /// Tests have begun.
    Testing,
    /// The network has started from its genesis.
    Soaking,
    /// The stage counts as passed.
    Passed,
    /// The attempt failed.
    Failed,
    /// The candidate was rejected.
    Rejected,
    /// The network was retired.
    Retired,
}

/// One attempt at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub entered_at: Time,
    /// The manifest it began with, as an index of [`State::manifests`].
    pub manifest: usize,
    /// How far it has come.
    pub progress: Progress,
    /// When it was passed.
    pub passed_at: Option<Time>,
    /// Whether its matters are closed.
    pub closed: bool,
    /// Why it failed: the rule, and in words.
    pub failure: Option<(String, String)>,
    /// The reason that keeps the next attempt from counting against a cadence.
    pub exempts: Option<String>,
}

impl Attempt {
    /// Whether the attempt is still going on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.progress,
            Progress::Deployed | Progress::Testing | Progress::Soaking
        )
    }

    /// Whether the stage counts as passed by it.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.progress == Progress::Passed
    }
}

/// A recorded fact.
#[derive(Clone, Debug)]
pub struct Fact<'a> {
    /// The log entry's number.
    pub seq: u64,
    /// The log entry's time.
    pub recorded_at: Time,
    /// The fact.
    pub evidence: &'a Evidence,
}

/// Where a release stands.
#[derive(Clone, Debug)]
pub struct State<'a> {
    /// Name of the release.
    pub release: String,
    /// All manifests that counted, oldest first, with their envelopes.
    pub manifests: Vec<(Digest, &'a Manifest)>,
    /// All recorded facts, oldest first.
    pub facts: Vec<Fact<'a>>,
    /// The attempts at each stage, the first at index 0.
    pub attempts: BTreeMap<String, Vec<Attempt>>,
    /// The rule that ended the release for good, and why.
    pub stopped: Option<(String, String)>,
    /// Manifests that did not count, and why.
    pub refused: Vec<(Digest, String)>,
    /// Manifests of rejected candidates, as indices of [`State::manifests`]. Whatever else ended the
    /// attempt, and whatever is attempted later, they stay rejected.
    pub rejected: BTreeSet<usize>,
    /// Actions that are done, by idempotency key.
    pub acted: BTreeMap<Digest, String>,
}

impl<'a> State<'a> {
    /// Reads where a release stands.
    ///
    /// # Errors
    ///
    /// When the log is not of this policy, or an envelope is missing.
    pub fn read(policy: &Policy, log: &Log, store: &'a Store) -> Result<Self, StateError> {
        let mut entries = log.entries().iter();
        let Some(Body::Opened {
            release,
            policy: opened,
            options,
            ..
        }) = entries.next().map(|entry| &entry.body)
        else {
            return Err(StateError::NotOpened);
        };
        if *opened != policy.digest || *options != policy.options_used {
            return Err(StateError::OtherPolicy {
                expected: *opened,
                options: options.join(", "),
                found: policy.digest,
            });
        }
        let mut state = Self {
            release: release.clone(),
            manifests: Vec::new(),
            facts: Vec::new(),
            attempts: BTreeMap::new(),
            stopped: None,
            refused: Vec::new(),
            rejected: BTreeSet::new(),
            acted: BTreeMap::new(),
        };
        for entry in entries {
            match &entry.body {
                Body::Opened { .. } => return Err(StateError::OpenedAgain { seq: entry.seq }),
                Body::Recorded { evidence } => {
                    let missing = StateError::Missing {
                        seq: entry.seq,
                        evidence: *evidence,
                    };
                    let evidence = store.evidence(*evidence).ok_or(missing)?;
                    state.record(policy, entry.seq, entry.at, evidence);
                }
                Body::Decided { decision } if decision.verdict == Verdict::Allow => {
                    state.allow(&decision.stage, decision.point, entry.at);
                }
                Body::Decided { .. } => {}
                Body::Acted { key, result, .. } => {
                    state.acted.insert(*key, result.clone());
                }
            }
        }
        Ok(state)
    }

    /// The manifest that holds now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn manifest(&self) -> Result<(Digest, &'a Manifest), StateError> {
        self.manifests.last().copied().ok_or(StateError::NoManifest)
    }

    /// The last attempt at a stage and its number.
    #[must_use]
    pub fn last(&self, stage: &str) -> Option<(u32, &Attempt)> {
        let attempts = self.attempts.get(stage)?;
        Some((u32::try_from(attempts.len()).ok()?, attempts.last()?))
    }

    /// Whether a stage counts as passed, by its last attempt.
    #[must_use]
    pub fn passed(&self, stage: &str) -> Option<(u32, &Attempt)> {
        self.last(stage).filter(|(_, attempt)| attempt.is_passed())
    }

    fn allow(&mut self, stage: &str, point: Point, at: Time) {
        let attempts = self.attempts.entry(stage.to_owned()).or_default();
        match (point, attempts.last_mut()) {
            (Point::Enter, _) => attempts.push(Attempt {
                entered_at: at,
                manifest: self.manifests.len().saturating_sub(1),
                progress: Progress::Deployed,
                passed_at: None,
                closed: false,
                failure: None,
                exempts: None,
            }),
            (Point::Exit, Some(last)) => {
                last.progress = Progress::Passed;
                last.passed_at = Some(at);
                // A release may get its final tag while it is on the stage.
                last.manifest = self.manifests.len().saturating_sub(1);
            }
            (Point::Close, Some(last)) => last.closed = true,
            (Point::Exit | Point::Close, None) => {}
        }
    }

    fn record(&mut self, policy: &Policy, seq: u64, at: Time, evidence: &'a Evidence) {
        if let Predicate::Manifest(manifest) = &evidence.predicate {
            match refuse_manifest(policy, &self.release, evidence, manifest) {
                Some(why) => self.refused.push((evidence.envelope, why)),
                None => self.manifests.push((evidence.envelope, manifest)),
            }
            return;
        }
        self.facts.push(Fact {
            seq,
            recorded_at: at,
            evidence,
        });
        let newest = self.manifests.len().saturating_sub(1);
        if let Predicate::Vote(vote) = &evidence.predicate
            && vote.choice == Choice::Veto
        {
            if !self.is_about(policy, newest, evidence) {
                return;
            }
            let gate = policy
                .gates
                .iter()
                .find(|gate| matches!(gate.check, Check::Veto { .. }))
                .filter(|gate| has_signed(policy, &gate.signed_by, evidence));
            if let Some(gate) = gate {
                self.stopped
                    .get_or_insert((gate.id.clone(), format!("`{}` vetoed it", vote.voter)));
            }
            return;
        }
        let Some(scope) = scope_of(&evidence.predicate) else {
            return;
        };
        if scope.release != self.release {
            return;
        }
        let attempts = self.attempts.get(&scope.stage).map_or(0, Vec::len);
        let number = scope.attempt as usize;
        let Some(before) = self.attempt(scope).map(|attempt| attempt.manifest) else {
            return;
        };
        // What an attempt began with may fail also when the next manifest is there already.
        let about_newest = self.is_about(policy, newest, evidence);
        if !about_newest && !self.is_about(policy, before, evidence) {
            return;
        }
        let was_open = self.attempt(scope).is_some_and(|attempt| attempt.is_open());
        let failure = failure(policy, scope, evidence).or_else(|| match &evidence.predicate {
            Predicate::Observation(observed) => {
                let layers = matches!(observed.seen, Observation::Layers { .. });
                layers.then(|| self.stalled(policy, scope)).flatten()
            }
            Predicate::Deployment(_) => self.stalled(policy, scope),
            _ => None,
        });
        if let Some((_, _, _, Progress::Rejected)) = &failure {
            self.rejected.insert(before);
            if about_newest && was_open && number == attempts {
                self.rejected.insert(newest);
            }
        }
        if let Some(attempt) = self.attempt(scope) {
            progress(failure, evidence, attempt);
        }
    }

    fn attempt(&mut self, scope: &Scope) -> Option<&mut Attempt> {
        let index = (scope.attempt as usize).checked_sub(1)?;
        self.attempts.get_mut(&scope.stage)?.get_mut(index)
    }

    /// Whether a fact is about what this manifest releases.
    fn is_about(&self, policy: &Policy, manifest: usize, evidence: &Evidence) -> bool {
        let manifest = self.manifests.get(manifest);
        manifest.is_some_and(|(_, manifest)| why_not_bound(policy, manifest, evidence).is_none())
    }

    /// Whether the network of an attempt stood still, by all that was recorded of it so far. One fact
    /// with one sample shows nothing; two of them may.
    fn stalled(&mut self, policy: &Policy, scope: &Scope) -> Option<Failure> {
        let before = self.attempt(scope)?.manifest;
        let newest = self.manifests.len().saturating_sub(1);
        let facts: Vec<&Fact<'a>> = self
            .facts
            .iter()
            .filter(|fact| scope_of(&fact.evidence.predicate) == Some(scope))
            .filter(|fact| {
                self.is_about(policy, newest, fact.evidence)
                    || self.is_about(policy, before, fact.evidence)
            })
            .collect();
        let start = facts
            .iter()
            .filter_map(|fact| match &fact.evidence.predicate {
                Predicate::Deployment(deployment)
                    if deployment.event == crate::statement::Event::Bootstrap
                        && has_signed(policy, &policy.facts_by, fact.evidence) =>
                {
                    Some(deployment.at)
                }
                _ => None,
            });
        let start = start.max()?;
        for gate in policy.gates.iter().filter(|gate| gate.is_at(&scope.stage)) {
            let Check::MustAdvance { .. } = &gate.check else {
                continue;
            };
            let samples = facts
                .iter()
                .filter_map(|fact| match &fact.evidence.predicate {
                    Predicate::Observation(observed)
                        if has_signed(policy, &gate.signed_by, fact.evidence) =>
                    {
                        match &observed.seen {
                            Observation::Layers { samples } => Some((fact.recorded_at, samples)),
                            _ => None,
                        }
                    }
                    _ => None,
                });
            if Series::of(start, samples).stalled().is_some() {
                let why = "the network stood still".to_owned();
                return Some((gate.id.clone(), why, None, Progress::Retired));
            }
        }
        None
    }
}

/// What a fact does to the attempt it is about.
fn progress(failure: Option<Failure>, evidence: &Evidence, attempt: &mut Attempt) {
    if let Some((gate, why, exempts, end)) = failure {
        if attempt.failure.is_none() {
            attempt.failure = Some((gate, why));
            attempt.progress = end;
        }
        if attempt.exempts.is_none() {
            attempt.exempts = exempts;
        }
        return;
    }
    if !attempt.is_open() {
        return;
    }
    match &evidence.predicate {
        Predicate::Test(_) if attempt.progress == Progress::Deployed => {
            attempt.progress = Progress::Testing;
        }
        Predicate::Deployment(deployment)
            if deployment.event == crate::statement::Event::Bootstrap =>
        {
            attempt.progress = Progress::Soaking;
        }
        _ => {}
    }
}

type Failure = (String, String, Option<String>, Progress);

/// Whether this fact ends the attempt it is about. It does so whether or not anybody asks: nothing
/// that is recorded later makes the attempt good again.
fn failure(policy: &Policy, scope: &Scope, evidence: &Evidence) -> Option<Failure> {
    if let Predicate::Observation(observed) = &evidence.predicate
        && let Observation::Failure { cause } = &observed.seen
        && policy
            .roles
            .keys()
            .any(|role| has_signed(policy, role, evidence))
    {
        return Some(("attempt".to_owned(), cause.clone(), None, Progress::Failed));
    }
    for gate in policy.gates.iter().filter(|gate| gate.is_at(&scope.stage)) {
        if !has_signed(policy, &gate.signed_by, evidence) {
            continue;
        }
        let ends = |why: String| Some((gate.id.clone(), why, None, Progress::Failed));
        match (&gate.check, &evidence.predicate) {
            (
                Check::Suite {
                    suite,
                    on_fail: Some(_),
                    ..
                },
                Predicate::Test(test),
            ) if test.suite == *suite && test.outcome == TestOutcome::Failed => {
                return ends(format!("suite `{suite}` failed"));
            }
            (Check::OpenCritical { .. }, Predicate::Observation(observed)) => {
                if let Observation::Incident { id, what, .. } = &observed.seen {
                    let exempt = match what {
                        IncidentKind::CriticalIssue => "critical_issue",
                        IncidentKind::FeatureRemoved => "feature_removed",
                        IncidentKind::MajorIssue | IncidentKind::Serious => continue,
                    };
                    let why = format!("incident `{id}`");
                    return Some((
                        gate.id.clone(),
                        why,
                        Some(exempt.to_owned()),
                        Progress::Failed,
                    ));
                }
            }
            (Check::MustAdvance { .. }, Predicate::Observation(observed)) => {
                if let Observation::Incident {
                    id,
                    what: IncidentKind::Serious,
                    ..
                } = &observed.seen
                {
                    let why = format!("incident `{id}`");
                    return Some((gate.id.clone(), why, None, Progress::Retired));
                }
            }
            (Check::AuditFindings {}, Predicate::Observation(observed)) => {
                if let Observation::Audit(audit) = &observed.seen
                    && let Some(finding) = audit
                        .findings
                        .iter()
                        .find(|finding| finding.fix && finding.fixed_in.is_none())
                {
                    let exempt = if finding.high {
                        "feature_removed"
                    } else {
                        "critical_issue"
                    };
                    let why = format!("finding `{}`", finding.id);
                    return Some((
                        gate.id.clone(),
                        why,
                        Some(exempt.to_owned()),
                        Progress::Failed,
                    ));
                }
            }
            (Check::Verdict { verdict }, Predicate::Approval(approval))
                if approval.item == "qualification"
                    && verdict.get(1) == Some(&approval.verdict) =>
            {
                let why = format!("`{}` said {}", approval.by, approval.verdict);
                return Some((gate.id.clone(), why, None, Progress::Rejected));
            }
            _ => {}
        }
    }
    None
}
