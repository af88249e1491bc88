//! A release as a script of steps, so that a test can change one thing and ask again.
//!
//! `file:NAME` in a fact or a file stands for the digest of that file. What a fact is about, when it
//! was seen, and its subjects are filled in unless the step says otherwise.

mod wire;

use std::collections::{BTreeMap, BTreeSet};

use release_policy::log::Body;
use release_policy::manifest::{Manifest, Measured};
use release_policy::statement::STATEMENT_TYPE;
use release_policy::{
    Decision, Digest, Evidence, KeyId, Log, Point, Policy, Question, Store, Time, Verdict,
    Verified, decide,
};
use serde_json::{Value, json};

use wire::{default_subjects, wire};

pub const RELEASE_ID: &str = "r1";

pub fn policy_text(id: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    std::fs::read_to_string(format!("{path}/{id}.toml")).unwrap()
}

pub fn key(role: &str, number: usize) -> KeyId {
    format!(
        "ed25519:{}",
        Digest::of(format!("{role}/{number}").as_bytes()).hex()
    )
    .parse()
    .unwrap()
}

pub fn keys_text(policy: &Policy) -> String {
    let mut text = "[roles]\n".to_owned();
    for (name, role) in &policy.roles {
        let keys: Vec<String> = (0..role.threshold as usize)
            .map(|n| format!("\"{}\"", key(name, n)))
            .collect();
        text.push_str(&format!("{name} = [{}]\n", keys.join(", ")));
    }
    text
}

pub fn commit(number: u32) -> String {
    format!("{number:040x}")
}

pub fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

pub fn artifact(name: &str, media: &str, target: Option<&str>) -> Value {
    let mut value = json!({"name": name, "media_type": media, "digest": digest(name), "size": 1});
    if let Some(target) = target {
        value["target"] = json!(target);
    }
    value
}

#[derive(Clone, Debug)]
pub enum Step {
    /// The clock is set.
    Clock(String),
    /// A signed fact: scope such as `devnet#1` or `*`, and the predicate.
    Fact {
        key: String,
        signers: Vec<(String, usize)>,
        scope: String,
        type_: &'static str,
        value: Value,
        subjects: Option<Value>,
    },
    /// A question, which is answered and logged.
    Ask { stage: String, point: Point },
}

#[derive(Clone, Debug)]
pub struct World {
    pub policy: &'static str,
    pub options: Vec<&'static str>,
    pub steps: Vec<Step>,
    pub files: BTreeMap<String, String>,
    pub measured: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub struct Run {
    pub policy: Policy,
    pub keys: String,
    pub log: Log,
    pub store: Store,
    pub now: Time,
    pub manifest: Option<Manifest>,
    pub decisions: Vec<Decision>,
}

pub fn scope_of(scope: &str) -> Value {
    let (stage, attempt) = scope.split_once('#').unwrap_or((scope, "0"));
    json!({"release": RELEASE_ID, "stage": stage, "attempt": attempt.parse::<u32>().unwrap()})
}

impl World {
    pub fn new(policy: &'static str, start: &str) -> Self {
        Self {
            policy,
            options: Vec::new(),
            steps: vec![Step::Clock(start.to_owned())],
            files: BTreeMap::new(),
            measured: BTreeMap::new(),
        }
    }

    pub fn with_file(&mut self, name: &str, text: &str) -> &mut Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    pub fn clock(&mut self, time: &str) -> &mut Self {
        self.steps.push(Step::Clock(time.to_owned()));
        self
    }

    pub fn ask(&mut self, stage: &str, point: Point) -> &mut Self {
        self.steps.push(Step::Ask {
            stage: stage.to_owned(),
            point,
        });
        self
    }

    pub fn fact(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        type_: &'static str,
        value: Value,
    ) -> &mut Self {
        self.steps.push(fact(key, by, scope, type_, value));
        self
    }

    pub fn manifest(&mut self, key: &str, by: &str, mut value: Value) -> &mut Self {
        value["release_id"] = json!(RELEASE_ID);
        self.fact(key, by, "*", "manifest", value)
    }

    pub fn observe(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        kind: &str,
        data: Value,
    ) -> &mut Self {
        self.fact(
            key,
            by,
            scope,
            "observation",
            json!({"seen": {"kind": kind, "data": data}}),
        )
    }

    pub fn approve(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        item: &str,
        verdict: &str,
    ) -> &mut Self {
        self.fact(
            key,
            by,
            scope,
            "approval",
            json!({"item": item, "verdict": verdict, "by": "A. Person"}),
        )
    }

    pub fn deploy(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        event: &str,
        mut extra: Value,
    ) -> &mut Self {
        extra["event"] = json!(event);
        self.fact(key, by, scope, "deployment", extra)
    }

    pub fn test(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        suite: &str,
        result: &str,
        mut extra: Value,
    ) -> &mut Self {
        extra["suite"] = json!(suite);
        self.fact(
            key,
            by,
            scope,
            "test",
            json!({"result": result, "notes": extra}),
        )
    }

    pub fn doc(
        &mut self,
        key: &str,
        by: &str,
        scope: &str,
        type_: &str,
        name: &str,
        file: &str,
    ) -> &mut Self {
        self.fact(
            key,
            by,
            scope,
            "document",
            json!({"type": type_, "name": name, "file": format!("file:{file}")}),
        )
    }

    /// A vote with its mail.
    pub fn vote(&mut self, voter: &str, choice: &str) -> &mut Self {
        let name = format!("mail-{voter}-{}", self.steps.len());
        let mail = format!(
            "From: \"{voter}\" <{voter}@example.org>\nTo: supervalidator-ops@lists.example.org\nList-Id: <supervalidator-ops.lists.example.org>\nSubject: Re: proposal\n\nProposal: {{file:proposal}}\nVote: {}\n",
            choice.to_uppercase()
        );
        self.with_file(&name, &mail);
        let value = json!({"proposal": "file:proposal", "voter": voter, "choice": choice, "channel": "email:supervalidator-ops", "raw": format!("file:{name}")});
        self.fact(&format!("vote-{voter}"), "engine", "*", "vote", value)
    }

    fn position(&self, wanted: &str) -> usize {
        let found = self
            .steps
            .iter()
            .rposition(|step| matches!(step, Step::Fact { key, .. } if key == wanted));
        found.unwrap_or_else(|| panic!("no step `{wanted}`"))
    }

    pub fn edit(&mut self, key: &str, edit: impl FnOnce(&mut Value)) -> &mut Self {
        let at = self.position(key);
        if let Step::Fact { value, .. } = &mut self.steps[at] {
            edit(value);
        }
        self
    }

    /// Edits the data of an observation.
    pub fn data(&mut self, key: &str, edit: impl FnOnce(&mut Value)) -> &mut Self {
        self.edit(key, |value| edit(&mut value["seen"]["data"]))
    }

    /// Says a fact once more, at the end, under another name.
    pub fn repeat(&mut self, wanted: &str, name: &str) -> &mut Self {
        let mut step = self.steps[self.position(wanted)].clone();
        if let Step::Fact { key, .. } = &mut step {
            *key = name.to_owned();
        }
        self.steps.push(step);
        self
    }

    /// Says what a fact is about.
    pub fn subjects(&mut self, key: &str, new: Value) -> &mut Self {
        let at = self.position(key);
        if let Step::Fact { subjects, .. } = &mut self.steps[at] {
            *subjects = Some(new);
        }
        self
    }

    pub fn drop(&mut self, key: &str) -> &mut Self {
        let at = self.position(key);
        self.steps.remove(at);
        self
    }

    pub fn scope(&mut self, key: &str, new: &str) -> &mut Self {
        let at = self.position(key);
        if let Step::Fact { scope, .. } = &mut self.steps[at] {
            *scope = new.to_owned();
        }
        self
    }

    pub fn signer(&mut self, key: &str, role: &str) -> &mut Self {
        let at = self.position(key);
        if let Step::Fact { signers, .. } = &mut self.steps[at] {
            *signers = signers_of(role);
        }
        self
    }

    pub fn replace(&mut self, file: &str, from: &str, to: &str) -> &mut Self {
        let text = self
            .files
            .get_mut(file)
            .unwrap_or_else(|| panic!("no file `{file}`"));
        assert!(text.contains(from), "`{file}` has no `{from}`:\n{text}");
        *text = text.replace(from, to);
        self
    }

    /// Puts what `add` adds before this fact instead of at the end.
    pub fn before(&mut self, key: &str, add: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.position(key);
        self.splice(at, add)
    }

    /// Puts what `add` adds before the question.
    pub fn before_ask(
        &mut self,
        stage: &str,
        point: Point,
        add: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let at = self.ask_position(stage, point);
        self.splice(at, add)
    }

    pub fn ask_position(&self, wanted: &str, at: Point) -> usize {
        let found = self.steps.iter().rposition(
            |step| matches!(step, Step::Ask { stage, point } if stage == wanted && *point == at),
        );
        found.unwrap_or_else(|| panic!("no question {wanted} {at:?}"))
    }

    fn splice(&mut self, at: usize, add: impl FnOnce(&mut Self)) -> &mut Self {
        let later = self.steps.split_off(at);
        add(self);
        self.steps.extend(later);
        self
    }

    /// Forgets everything after this question.
    pub fn until(&mut self, stage: &str, point: Point) -> &mut Self {
        let at = self.ask_position(stage, point);
        self.steps.truncate(at + 1);
        self
    }

    pub fn file_text(&self, name: &str) -> String {
        let mut text = self
            .files
            .get(name)
            .unwrap_or_else(|| panic!("no file `{name}`"))
            .clone();
        while let Some((before, rest)) = text.split_once("{file:") {
            let (other, after) = rest.split_once('}').unwrap();
            text = format!("{before}{}{after}", digest(&self.file_text(other)));
        }
        text
    }

    fn resolve(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(name) = text.strip_prefix("file:") {
                    *text = digest(&self.file_text(name));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.resolve(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.resolve(item)),
            _ => {}
        }
    }

    pub fn start(&self) -> Run {
        let text = policy_text(self.policy);
        let policy = Policy::parse_with(&text, &self.options).unwrap();
        let keys = keys_text(&policy);
        let policy = policy.with_keys(&keys).unwrap();
        let mut store = Store::default();
        for name in self.files.keys() {
            store.add_file(self.file_text(name).into_bytes()).unwrap();
        }
        let mut log = Log::default();
        let Some(Step::Clock(start)) = self.steps.first() else {
            panic!("no start")
        };
        let now: Time = start.parse().unwrap();
        let opened = Body::Opened {
            release: RELEASE_ID.to_owned(),
            policy: policy.digest,
            options: policy.options_used.clone(),
            keys: Digest::of(keys.as_bytes()),
        };
        log.push(now, opened).unwrap();
        Run {
            policy,
            keys,
            log,
            store,
            now,
            manifest: None,
            decisions: Vec::new(),
        }
    }

    /// Runs all steps. Every question but the last one has to be allowed.
    pub fn run(&self) -> Run {
        let mut run = self.start();
        let last = self
            .steps
            .iter()
            .rposition(|step| matches!(step, Step::Ask { .. }));
        for (index, step) in self.steps.iter().enumerate() {
            self.step(&mut run, step);
            if matches!(step, Step::Ask { .. }) && Some(index) != last {
                let decision = run.decisions.last().unwrap();
                assert_eq!(
                    decision.verdict,
                    Verdict::Allow,
                    "on the way, {} {}:\n{}",
                    decision.point.name(),
                    decision.stage,
                    decision.reasons().join("\n")
                );
            }
        }
        run
    }

    /// The last decision.
    pub fn decision(&self) -> Decision {
        self.run().decisions.pop().unwrap()
    }

    pub fn step(&self, run: &mut Run, step: &Step) {
        match step {
            Step::Clock(time) => run.now = time.parse().unwrap(),
            Step::Fact {
                key: name,
                signers,
                scope,
                type_,
                value,
                subjects,
            } => {
                run.now = run.now.plus("60s".parse().unwrap());
                let mut value = value.clone();
                self.resolve(&mut value);
                let at = value.get("at").cloned().unwrap_or_else(|| json!(run.now));
                let scope = scope_of(scope);
                if *type_ == "manifest" {
                    run.manifest = Some(
                        serde_json::from_value(value.clone())
                            .unwrap_or_else(|why| panic!("{name}: {why}")),
                    );
                }
                let manifest = run.manifest.as_ref();
                let (predicate_type, predicate) = wire(type_, value, &scope, &at, manifest);
                let mut subject = subjects
                    .clone()
                    .unwrap_or_else(|| default_subjects(&run.policy, type_, &predicate, manifest));
                self.resolve(&mut subject);
                let statement = json!({"_type": STATEMENT_TYPE, "subject": subject, "predicateType": predicate_type, "predicate": predicate});
                let statement = serde_json::to_vec(&statement).unwrap();
                let signers: BTreeSet<KeyId> = signers
                    .iter()
                    .map(|(role, number)| key(role, *number))
                    .collect();
                let seed = format!("{name}{}{signers:?}", run.log.entries().len());
                let envelope = Digest::of(&[seed.as_bytes(), &statement].concat());
                let evidence = Evidence::parse(&Verified {
                    envelope,
                    signers,
                    statement,
                })
                .unwrap_or_else(|why| {
                    panic!(
                        "{name}: {why}: {:?}",
                        std::error::Error::source(&why).map(ToString::to_string)
                    )
                });
                run.store.add_evidence(evidence);
                run.log
                    .push(run.now, Body::Recorded { evidence: envelope })
                    .unwrap();
            }
            Step::Ask { stage, point } => {
                let decision = self.answer(run, stage, *point);
                run.log
                    .push(
                        run.now,
                        Body::Decided {
                            decision: Box::new(decision.clone()),
                        },
                    )
                    .unwrap();
                run.decisions.push(decision);
            }
        }
    }

    pub fn answer(&self, run: &Run, stage: &str, point: Point) -> Decision {
        let measured = run
            .manifest
            .as_ref()
            .map_or_else(BTreeMap::new, |manifest| self.measured(manifest));
        let question = Question {
            stage: stage.to_owned(),
            point,
            now: run.now,
            measured,
        };
        decide(&run.policy, &run.log, &run.store, &question).unwrap()
    }

    pub fn measured(&self, manifest: &Manifest) -> BTreeMap<String, Measured> {
        manifest
            .artifact
            .iter()
            .map(|artifact| {
                let mut value = json!({"digest": artifact.digest});
                if let Some(payload) = artifact.payload {
                    value["payload"] = json!(payload);
                }
                value["inside"] = json!(artifact.inside);
                if let Some(changes) = self.measured.get(&artifact.name) {
                    for (member, change) in changes.as_object().unwrap() {
                        value[member] = change.clone();
                    }
                }
                (
                    artifact.name.clone(),
                    serde_json::from_value(value).unwrap(),
                )
            })
            .collect()
    }
}

pub fn signers_of(by: &str) -> Vec<(String, usize)> {
    by.split('+')
        .filter(|role| !role.is_empty())
        .map(|role| match role.split_once('/') {
            Some((role, number)) => (role.to_owned(), number.parse().unwrap()),
            None => (role.to_owned(), 0),
        })
        .collect()
}

pub fn fact(key: &str, by: &str, scope: &str, type_: &'static str, value: Value) -> Step {
    Step::Fact {
        key: key.to_owned(),
        signers: signers_of(by),
        scope: scope.to_owned(),
        type_,
        value,
        subjects: None,
    }
}
