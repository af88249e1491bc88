//! The facts that count for one question.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::counts::{may_be_everywhere, never_counts};
use crate::decision::{NotCounted, Question};
use crate::document::{Proposal, Train};
use crate::manifest::Manifest;
use crate::name::{Digest, KeyId, Time};
use crate::policy::{Policy, Stage};
use crate::state::{Fact, State, has_signed, scope_of, time_of, why_not_bound};
use crate::statement::observation::Diff;
use crate::statement::{
    Approval, Deployment, Document, Event, Observation, Observed, Predicate, Test, Vote, Waiver,
};
use crate::store::Store;
use crate::version::{Version, VersionError};

/// Most facts that are listed as not counted.
const NOT_COUNTED_MAX: usize = 1000;

/// Everything a gate may look at.
pub(crate) struct View<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) store: &'a Store,
    pub(crate) state: &'a State<'a>,
    pub(crate) manifest: &'a Manifest,
    pub(crate) stage: &'a Stage,
    pub(crate) attempt: u32,
    pub(crate) question: &'a Question,
    /// The envelopes the current gate has looked at.
    used: RefCell<BTreeSet<Digest>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        store: &'a Store,
        state: &'a State<'a>,
        manifest: &'a Manifest,
        stage: &'a Stage,
        attempt: u32,
        question: &'a Question,
    ) -> Self {
        let used = RefCell::default();
        Self {
            policy,
            store,
            state,
            manifest,
            stage,
            attempt,
            question,
            used,
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.question.now
    }

    /// The envelopes looked at since the last call.
    pub(crate) fn take_used(&self) -> Vec<Digest> {
        std::mem::take(&mut *self.used.borrow_mut())
            .into_iter()
            .collect()
    }

    fn mark(&self, fact: &Fact<'_>) {
        self.used.borrow_mut().insert(fact.evidence.envelope);
    }

    /// Why a fact does not count at this stage and attempt, for a release of this manifest.
    fn why_not(
        &self,
        fact: &Fact<'_>,
        manifest: &Manifest,
        stage: &str,
        attempt: u32,
    ) -> Option<String> {
        let predicate = &fact.evidence.predicate;
        if let Some(why) = why_not_bound(self.policy, manifest, fact.evidence) {
            return Some(why.to_owned());
        }
        if time_of(predicate).is_some_and(|at| at > fact.recorded_at) {
            return Some("it is dated after it was recorded".to_owned());
        }
        let scopes: Vec<_> = match predicate {
            Predicate::Documents(documents) => documents.iter().map(|one| &one.scope).collect(),
            other => scope_of(other).into_iter().collect(),
        };
        for scope in scopes {
            if scope.release != self.state.release {
                return Some(format!("it is of release `{}`", scope.release));
            }
            // Only what is said of the code itself holds on every network.
            let everywhere = scope.stage == "*" && may_be_everywhere(predicate);
            if !everywhere && (scope.stage != stage || scope.attempt != attempt) {
                return Some(format!(
                    "it is of {} attempt {}",
                    scope.stage, scope.attempt
                ));
            }
        }
        None
    }

    /// The facts that count here and now, oldest first.
    fn facts(&self) -> impl Iterator<Item = &'a Fact<'a>> {
        self.facts_at(self.manifest, self.stage.name.clone(), self.attempt)
    }

    /// The facts that counted at another stage or attempt.
    fn facts_at(
        &self,
        manifest: &'a Manifest,
        stage: String,
        attempt: u32,
    ) -> impl Iterator<Item = &'a Fact<'a>> {
        let facts = self.state.facts.iter();
        facts.filter(move |fact| self.why_not(fact, manifest, &stage, attempt).is_none())
    }

    /// The facts that do not count for this question, those of other stages too, with the reason.
    pub(crate) fn not_counted(&self) -> Vec<NotCounted> {
        let mut listed: Vec<NotCounted> = self
            .state
            .refused
            .iter()
            .map(|(evidence, why)| NotCounted {
                evidence: *evidence,
                why: why.clone(),
            })
            .collect();
        for fact in &self.state.facts {
            let never = never_counts(self.policy, fact.evidence).map(|never| never.why);
            let why =
                never.or_else(|| self.why_not(fact, self.manifest, &self.stage.name, self.attempt));
            if let Some(why) = why {
                listed.push(NotCounted {
                    evidence: fact.evidence.envelope,
                    why,
                });
            }
        }
        listed.truncate(NOT_COUNTED_MAX);
        listed
    }

    /// What was observed and signed by the role, oldest first.
    pub(crate) fn observed(&self, role: &str) -> Vec<&'a Observed> {
        self.filter_map(self.facts(), role, |predicate| match predicate {
            Predicate::Observation(observed) => Some(observed),
            _ => None,
        })
    }

    /// The same for another attempt that passed.
    pub(crate) fn observed_at(&self, role: &str, stage: &str) -> Vec<&'a Observed> {
        let Some((attempt, passed)) = self.state.last(stage) else {
            return Vec::new();
        };
        let Some((_, manifest)) = self.state.manifests.get(passed.manifest) else {
            return Vec::new();
        };
        let facts = self.facts_at(manifest, stage.to_owned(), attempt);
        self.filter_map(facts, role, |predicate| match predicate {
            Predicate::Observation(observed) => Some(observed),
            _ => None,
        })
    }

    /// Test runs at another stage's last attempt.
    pub(crate) fn tests_at(&self, role: &str, stage: &str) -> Vec<&'a Test> {
        let Some((attempt, passed)) = self.state.last(stage) else {
            return Vec::new();
        };
        let Some((_, manifest)) = self.state.manifests.get(passed.manifest) else {
            return Vec::new();
        };
        let facts = self.facts_at(manifest, stage.to_owned(), attempt);
        self.filter_map(facts, role, |predicate| match predicate {
            Predicate::Test(test) => Some(test),
            _ => None,
        })
    }

    /// Deployments at another stage's last attempt.
    pub(crate) fn deployment_at(
        &self,
        role: &str,
        stage: &str,
        event: Event,
    ) -> Option<&'a Deployment> {
        let (attempt, passed) = self.state.last(stage)?;
        let (_, manifest) = self.state.manifests.get(passed.manifest)?;
        let facts = self.facts_at(manifest, stage.to_owned(), attempt);
        self.filter_map(facts, role, deployment)
            .into_iter()
            .rfind(|one| one.event == event)
    }

    /// The kind of observation `pick` wants, oldest first.
    pub(crate) fn seen<T>(
        &self,
        role: &str,
        pick: impl Fn(&'a Observation) -> Option<T>,
    ) -> Vec<(Time, T)> {
        self.observed(role)
            .into_iter()
            .filter_map(|observed| Some((observed.at, pick(&observed.seen)?)))
            .collect()
    }

    /// The same, recorded within this time of being seen.
    pub(crate) fn seen_promptly<T>(
        &self,
        role: &str,
        within: crate::name::Span,
        pick: impl Fn(&'a Observation) -> Option<T>,
    ) -> Vec<(Time, T)> {
        let mut found = Vec::new();
        for fact in self
            .facts()
            .filter(|fact| has_signed(self.policy, role, fact.evidence))
        {
            if let Predicate::Observation(observed) = &fact.evidence.predicate
                && fact.recorded_at <= observed.at.plus(within)
                && let Some(picked) = pick(&observed.seen)
            {
                self.mark(fact);
                found.push((observed.at, picked));
            }
        }
        found
    }

    /// The last one of these.
    pub(crate) fn last_seen<T>(
        &self,
        role: &str,
        pick: impl Fn(&'a Observation) -> Option<T>,
    ) -> Option<T> {
        self.seen(role, pick).pop().map(|(_, seen)| seen)
    }

    /// A named moment at this stage.
    pub(crate) fn moment(&self, role: &str, wanted: &str) -> Option<Time> {
        self.last_seen(role, |seen| match seen {
            Observation::Moment { name, time } if name == wanted => Some(*time),
            _ => None,
        })
    }

    /// The diff from the base. Rules look at its paths, so none that a commit changes may be missing
    /// there.
    pub(crate) fn diff(&self, role: &str) -> Result<&'a Diff, String> {
        let diff = self.last_seen(role, |seen| match seen {
            Observation::Diff(diff) => Some(diff),
            _ => None,
        });
        let diff = diff.ok_or("no diff")?;
        if diff.candidate != self.manifest.commit {
            return Err(format!("a diff to {}", diff.candidate));
        }
        for (commit, facts) in &diff.commits {
            if let Some(path) = facts.files.difference(&diff.files).next() {
                return Err(format!("a diff without `{path}` of commit {commit}"));
            }
        }
        Ok(diff)
    }

    /// When the network of this attempt started, by the latest that was said of it.
    pub(crate) fn bootstrap(&self, role: &str) -> Option<Time> {
        let all = self.filter_map(self.facts(), role, deployment);
        let starts = all.iter().filter(|one| one.event == Event::Bootstrap);
        starts.map(|one| one.at).max()
    }

    /// What was recorded of the layers at this attempt, and when.
    pub(crate) fn layers(&self, role: &str) -> Vec<(Time, &'a BTreeMap<Time, u64>)> {
        let facts = self.facts();
        let signed = facts.filter(|fact| has_signed(self.policy, role, fact.evidence));
        signed
            .filter_map(|fact| match &fact.evidence.predicate {
                Predicate::Observation(observed) => match &observed.seen {
                    Observation::Layers { samples } => Some((fact.recorded_at, samples)),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    /// What became of networks at the other attempts of this stage, of whatever was released then.
    pub(crate) fn deployments_of_other_attempts(&self, role: &str) -> Vec<&'a Deployment> {
        let facts = self.state.facts.iter();
        let others = facts.filter(|fact| match &fact.evidence.predicate {
            Predicate::Deployment(deployment) => {
                let scope = &deployment.scope;
                scope.release == self.state.release
                    && scope.stage == self.stage.name
                    && scope.attempt != self.attempt
                    && deployment.at <= fact.recorded_at
            }
            _ => false,
        });
        self.filter_map(others, role, deployment)
    }

    /// The last value of a named thing.
    pub(crate) fn named_state(&self, role: &str, wanted: &str) -> Option<(Time, &'a str)> {
        self.seen(role, |seen| match seen {
            Observation::State { name, value } if name == wanted => Some(value.as_str()),
            _ => None,
        })
        .pop()
    }

    pub(crate) fn tests(&self, role: &str) -> Vec<&'a Test> {
        self.filter_map(self.facts(), role, |predicate| match predicate {
            Predicate::Test(test) => Some(test),
            _ => None,
        })
    }

    pub(crate) fn deployment(&self, role: &str, event: Event) -> Option<&'a Deployment> {
        let all = self.filter_map(self.facts(), role, deployment);
        all.into_iter().rfind(|one| one.event == event)
    }

    /// Approvals of this item and verdict, once it is the last word of enough keys of the role, be it in
    /// one statement or in several.
    pub(crate) fn approval(
        &self,
        role: &str,
        item: &str,
        verdict: &str,
    ) -> Result<&'a Approval, (usize, u32)> {
        self.said(role, item, verdict, false)
    }

    /// The same of what was said once and cannot be taken back.
    pub(crate) fn ever_said(
        &self,
        role: &str,
        item: &str,
        verdict: &str,
    ) -> Result<&'a Approval, (usize, u32)> {
        self.said(role, item, verdict, true)
    }

    fn said(
        &self,
        role: &str,
        item: &str,
        verdict: &str,
        for_ever: bool,
    ) -> Result<&'a Approval, (usize, u32)> {
        let Some(rules) = self.policy.roles.get(role) else {
            return Err((0, 1));
        };
        let mut words: BTreeMap<&KeyId, (&'a Fact<'a>, &'a Approval)> = BTreeMap::new();
        for fact in self.facts() {
            let Predicate::Approval(approval) = &fact.evidence.predicate else {
                continue;
            };
            if approval.item != item || (for_ever && approval.verdict != verdict) {
                continue;
            }
            for key in rules.keys.intersection(&fact.evidence.signers) {
                words.insert(key, (fact, approval));
            }
        }
        words.retain(|_, (_, approval)| approval.verdict == verdict);
        for (fact, _) in words.values() {
            self.mark(fact);
        }
        let last = words.values().max_by_key(|(fact, _)| fact.seq);
        match last {
            Some((_, approval)) if words.len() >= rules.threshold as usize => Ok(approval),
            _ => Err((words.len(), rules.threshold)),
        }
    }

    /// The last thing a role said about an item.
    pub(crate) fn last_approval(&self, role: &str, item: &str) -> Option<&'a Approval> {
        let all = self.filter_map(self.facts(), role, |predicate| match predicate {
            Predicate::Approval(approval) if approval.item == item => Some(approval),
            _ => None,
        });
        all.last().copied()
    }

    /// Waivers, whoever signed them: what they need is asked later.
    pub(crate) fn waivers(&self) -> Vec<(&'a Waiver, &'a Fact<'a>)> {
        self.facts()
            .filter_map(|fact| match &fact.evidence.predicate {
                Predicate::Waiver(waiver) => {
                    self.mark(fact);
                    Some((waiver, fact))
                }
                _ => None,
            })
            .collect()
    }

    /// Votes in the order of the log, recorded by the role, with their envelopes.
    pub(crate) fn votes(&self, role: &str) -> Vec<(Digest, &'a Vote)> {
        self.facts()
            .filter(|fact| has_signed(self.policy, role, fact.evidence))
            .filter_map(|fact| match &fact.evidence.predicate {
                Predicate::Vote(vote) => {
                    self.mark(fact);
                    Some((fact.evidence.envelope, vote))
                }
                _ => None,
            })
            .collect()
    }

    /// Documents of a type, oldest first.
    pub(crate) fn documents(&self, role: &str, type_: &str) -> Vec<&'a Document> {
        self.filter_map(self.facts(), role, |predicate| match predicate {
            Predicate::Documents(documents) => Some(documents),
            _ => None,
        })
        .into_iter()
        .flatten()
        .filter(|document| document.type_ == type_)
        .collect()
    }

    /// The last document of a type with its text.
    pub(crate) fn document(
        &self,
        role: &str,
        type_: &str,
    ) -> Result<(&'a Document, &'a str), String> {
        let document = self.documents(role, type_).pop();
        let document = document.ok_or_else(|| format!("no document of type `{type_}`"))?;
        Ok((document, self.text_of(document)?))
    }

    /// The last document of a name, of the type `config`.
    pub(crate) fn configuration(
        &self,
        role: &str,
        name: &str,
    ) -> Result<(&'a Document, serde_json::Value), String> {
        let all = self.documents(role, "config");
        let document = all.into_iter().rfind(|document| document.name == name);
        let document = document.ok_or_else(|| format!("no `{name}`"))?;
        let text = self.text_of(document)?;
        let value =
            crate::text::configuration(name, text).map_err(|why| format!("`{name}`: {why}"))?;
        Ok((document, value))
    }

    pub(crate) fn text_of(&self, document: &Document) -> Result<&'a str, String> {
        let text = self.store.text(document.digest);
        text.ok_or_else(|| {
            format!(
                "`{}` ({}) is not there as text",
                document.type_, document.digest
            )
        })
    }

    /// The proposal that holds now, and its digest.
    pub(crate) fn proposal(&self) -> Result<(Digest, Proposal), String> {
        let role = self.proposal_role();
        let (document, text) = self.document(role, "proposal")?;
        let proposal = crate::document::read(text).map_err(|why| format!("the proposal: {why}"))?;
        Ok((document.digest, proposal))
    }

    /// Proposals are signed by whoever signs the gate that asks for their sections, else by the role
    /// of facts.
    fn proposal_role(&self) -> &'a str {
        let gate = self.policy.gates.iter().find(|gate| {
            matches!(&gate.check, crate::policy::check::Check::Sections { r#type, .. } if r#type == "proposal")
        });
        gate.map_or(&self.policy.facts_by, |gate| &gate.signed_by)
    }

    /// The train, and the features of the manifest that are still on it.
    pub(crate) fn train(
        &self,
    ) -> Result<(Train, BTreeMap<String, crate::document::TrainFeature>), String> {
        let (_, text) = self.document(&self.policy.facts_by, "train")?;
        let train: Train =
            crate::document::read(text).map_err(|why| format!("the train: {why}"))?;
        let on_it = train
            .feature
            .iter()
            .filter(|(name, feature)| {
                self.manifest.feature.contains(name)
                    && feature.ready_at.is_some_and(|ready| ready <= train.cut_off)
            })
            .map(|(name, feature)| (name.clone(), feature.clone()))
            .collect();
        Ok((train, on_it))
    }

    /// The features that are in scope: those of the manifest without those that moved. Without a train
    /// nothing has moved.
    pub(crate) fn scope(&self) -> Vec<&'a str> {
        let on_it = self.train().ok().map(|(_, on_it)| on_it);
        let features = self.manifest.feature.iter().map(String::as_str);
        features
            .filter(|name| on_it.as_ref().is_none_or(|on_it| on_it.contains_key(*name)))
            .collect()
    }

    pub(crate) fn version(&self) -> Result<Version, VersionError> {
        self.policy.grammar.parse(&self.manifest.version)
    }

    /// The version in the manifest's tag.
    pub(crate) fn tag(&self) -> Result<Version, String> {
        let tag = self
            .manifest
            .tag
            .as_deref()
            .ok_or("the manifest has no tag")?;
        self.policy
            .grammar
            .parse_tag(tag)
            .map_err(|source| source.to_string())
    }

    fn filter_map<T>(
        &self,
        facts: impl Iterator<Item = &'a Fact<'a>>,
        role: &str,
        pick: impl Fn(&'a Predicate) -> Option<T>,
    ) -> Vec<T> {
        facts
            .filter(|fact| has_signed(self.policy, role, fact.evidence))
            .filter_map(|fact| {
                let picked = pick(&fact.evidence.predicate)?;
                self.mark(fact);
                Some(picked)
            })
            .collect()
    }
}

fn deployment(predicate: &Predicate) -> Option<&Deployment> {
    match predicate {
        Predicate::Deployment(deployment) => Some(deployment),
        _ => None,
    }
}
