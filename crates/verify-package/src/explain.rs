//! Which known mistake gives a root that is wrong.
//!
//! Runs after the checks, for those that compare roots and failed. It reads the lists again, so that
//! the one pass over them stays as it is, and changes no outcome: what it finds goes into the check's
//! `detail` and into the report's `explanations`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::BufReader;
use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, ListReader};
use fork_ledger::diagnose::{
    AccountSource, BatchSink, Diagnosis, NamedRoot, Outcome, PERMUTATIONS_MAX_DEFAULT, Question,
    ReadFailure, Reading, ReadingLoader, diagnose, read_list,
};
use fork_ledger::migrate::Rule;
use fork_store::{StoreExaminer, StoreReader};
use fork_types::{LedgerHash, Role, SlotSinceGenesis};
use serde::{Deserialize, Serialize};

use crate::config::ConfigView;
use crate::facts::{Facts, SLOT_POINTER};
use crate::report::{Outcome as CheckOutcome, ReportCheck};
use crate::subject::error_text;

/// Permutations spent on all wrong roots of a package together; a root gets what those before it left.
/// That is ten minutes of one core, and one unexplained root of 500,000 accounts.
const PERMUTATIONS_MAX: u64 = PERMUTATIONS_MAX_DEFAULT;
/// Slots that migrations are tried with. More than these are never known.
const FORK_SLOTS_MAX: usize = 8;
/// Accounts of a store read at a time.
const ACCOUNTS_PER_BATCH: usize = 8192;
const BUFFER_BYTES: usize = 1 << 18;

/// Which known mistake gives a root that is wrong, or that none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Identifier of the check that failed.
    pub check: String,
    /// The accounts that the root was looked for in.
    pub list: String,
    /// The root that is to be explained.
    pub root: LedgerHash,
    /// Root of the accounts as they are; absent when they cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_root: Option<LedgerHash>,
    /// Identifier of the mistake that gives the root (`docs/explain.md`), or `other-accounts` when the
    /// package's accounts have it and differ from the candidate's; absent when nothing explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mistake: Option<String>,
    /// The same in words, or that nothing explains it.
    pub text: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Index of the account it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Owner of that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The first accounts of the package that are not the candidate's, member by member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// Known mistakes that were tried to their end.
    pub tried: usize,
    /// Known mistakes that would have exceeded the limit.
    pub skipped: usize,
    /// Permutations spent, about.
    pub permutations: u64,
}

/// Explains every failed comparison of roots, and says so in its detail.
pub(crate) fn explain(facts: &Facts, checks: &mut [ReportCheck]) -> Vec<Explanation> {
    let mut explanations: Vec<Explanation> = Vec::new();
    let mut left = PERMUTATIONS_MAX;
    for check in checks {
        let Some(wrong) = Wrong::of(facts, check) else {
            continue;
        };
        let mut explanation = wrong.explain(facts, left);
        explanation.check.clone_from(&check.id);
        left = left.saturating_sub(explanation.permutations);
        if !check.detail.is_empty() {
            check.detail.push('\n');
        }
        check.detail.push_str(&explanation.text);
        explanations.push(explanation);
    }
    explanations
}

/// A wrong root and the accounts it should be of.
struct Wrong<'a> {
    role: Role,
    root: LedgerHash,
    /// What the root is, in words.
    what: String,
    list: String,
    accounts: Accounts<'a>,
    reading: Reading,
}

/// Accounts that can be read again.
struct Accounts<'a> {
    facts: &'a Facts,
    role: Role,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// The candidate's, as they are.
    Listed,
    /// The candidate's after migration; in the source era, before it.
    Migrated(Rule),
    /// Those of the store in a directory.
    Stored(&'a Path),
}

/// A list that has everything, as candidates do.
const STRICT: ReadingLoader = ReadingLoader::Fork {
    ignore_missing: false,
    pad_app_state: false,
};

impl<'a> Wrong<'a> {
    /// What a failed check leaves to explain.
    fn of(facts: &'a Facts, check: &ReportCheck) -> Option<Self> {
        if check.outcome != CheckOutcome::Failed {
            return None;
        }
        let (source, target) = (
            facts.reference.network.source_era,
            facts.reference.network.target_era,
        );
        let root = |text: &Option<String>| text.as_deref()?.parse::<LedgerHash>().ok();
        let (first, rest) = check.id.split_once('.')?;
        let (role, root, what, list, kind, era) = match (first, rest) {
            ("root", name) => {
                let role = match name {
                    "staged" => Role::Genesis,
                    "staking" => Role::Staking,
                    "next" => Role::Next,
                    _ => return None,
                };
                (
                    role,
                    root(&check.expected)?,
                    "the root that the chain names",
                    format!("the candidate's {role} accounts"),
                    Kind::Listed,
                    source,
                )
            }
            ("migration", name) => {
                let role = role_of(name.strip_suffix(".root")?)?;
                (
                    role,
                    root(&check.found)?,
                    "the root in the config",
                    format!("the candidate's {role} accounts, migrated"),
                    Kind::Migrated(*facts.rule.as_ref().ok()?),
                    target,
                )
            }
            ("store", name) => {
                let role = role_of(name.strip_suffix(".root")?)?;
                let path = facts.ledger(role).tarball.as_ref().ok()?;
                (
                    role,
                    root(&check.found)?,
                    "the root node",
                    format!("the {role} accounts in the package"),
                    Kind::Stored(facts.tarballs.get(path)?.directory()),
                    target,
                )
            }
            _ => return None,
        };
        Some(Self {
            role,
            root,
            what: what.to_owned(),
            list,
            accounts: Accounts { facts, role, kind },
            reading: Reading {
                era,
                loader: STRICT,
            },
        })
    }

    fn explain(mut self, facts: &Facts, permutations_max: u64) -> Explanation {
        let (known_roots, other_lists) = self.others(facts);
        let question = Question {
            winner: Some(false),
            fork_slots: fork_slots(facts),
            known_roots,
            other_lists,
            permutations_max,
            ..Question::new(self.root, self.reading)
        };
        let diagnosis = match diagnose(&question, &mut self.accounts, None, &mut |_| ()) {
            Ok(diagnosis) => diagnosis,
            Err(never) => match never {},
        };
        self.explanation(facts, &diagnosis)
    }

    fn explanation(&self, facts: &Facts, diagnosis: &Diagnosis) -> Explanation {
        let ledger = facts.ledger(self.role);
        let differences = ledger.differences.as_ref().filter(|found| found.count > 0);
        let store_root = ledger
            .store
            .as_ref()
            .ok()
            .and_then(|store| Some(store.proof.as_ref()?.root));
        let skipped = diagnosis
            .hypotheses
            .iter()
            .filter(|hypothesis| matches!(hypothesis.outcome, Outcome::Skipped { .. }))
            .count();
        let mut explanation = Explanation {
            check: String::new(),
            list: self.list.clone(),
            root: self.root,
            list_root: diagnosis.given,
            mistake: None,
            text: String::new(),
            advice: None,
            index: None,
            public_key: None,
            differences: differences
                .map(|found| found.kept.clone())
                .unwrap_or_default(),
            tried: diagnosis.tried(),
            skipped,
            permutations: diagnosis.permutations,
        };
        let Self { what, list, .. } = self;
        if diagnosis.is_expected() {
            explanation.text = format!("{what} is that of {list}, read once more");
        } else if let Some(found) = diagnosis.explanations().next() {
            explanation.mistake = Some(found.id.clone());
            explanation.advice = Some(found.advice.clone());
            explanation.text = format!("{what} is that of {list} but for this: {}", found.summary);
            if let Outcome::Found {
                index, public_key, ..
            } = &found.outcome
            {
                explanation.index = Some(*index);
                explanation.public_key = Some(public_key.to_string());
                explanation
                    .text
                    .push_str(&format!(": account {index} ({public_key})"));
            }
            explanation
                .text
                .push_str(&format!(" [{}]\ndo: {}", found.id, found.advice));
        } else if let Some(found) = differences.filter(|_| store_root == Some(self.root)) {
            explanation.mistake = Some("other-accounts".to_owned());
            explanation.text = format!(
                "{what} is that of the package's own accounts, of which {} are not the candidate's; first {}",
                found.count,
                found.kept.first().map_or("", String::as_str)
            );
        } else {
            explanation.text = format!(
                "none of {} known mistakes makes {what} of {list}",
                explanation.tried
            );
            if let Some(found) = differences {
                explanation.text.push_str(&format!(
                    "; {} accounts in the package are not those of the candidate, first {}",
                    found.count,
                    found.kept.first().map_or("", String::as_str)
                ));
            }
        }
        if skipped > 0 {
            explanation.text.push_str(&format!(
                "\n{skipped} more were not tried, since they would exceed the limit"
            ));
        }
        explanation
    }

    /// Roots of other ledgers, which may have been taken for this one: those that are named, and those
    /// of lists at hand.
    fn others(&self, facts: &Facts) -> (Vec<NamedRoot>, Vec<NamedRoot>) {
        let (mut named, mut lists) = (Vec::new(), Vec::new());
        let add = |to: &mut Vec<NamedRoot>, name: String, root: Option<LedgerHash>| {
            to.extend(root.map(|root| NamedRoot { name, root }));
        };
        for role in Role::ALL {
            let source = &facts.ledger(role).source;
            let is_other = role != self.role;
            match self.accounts.kind {
                Kind::Listed if is_other => {
                    let block = facts.reference.block.as_ref().ok();
                    let root = block.map(|block| match role {
                        Role::Genesis => block.facts.staged_ledger_hash,
                        Role::Staking => block.facts.staking_epoch.ledger_hash,
                        Role::Next => block.facts.next_epoch.ledger_hash,
                    });
                    add(&mut named, role.to_string(), root);
                    add(&mut lists, role.to_string(), source.root);
                }
                Kind::Listed => {}
                Kind::Migrated(_) | Kind::Stored(_) => {
                    if is_other {
                        let config = facts.config.as_ref().ok();
                        let root = config.and_then(|config| config.root(role));
                        add(&mut named, role.to_string(), root);
                        add(&mut lists, role.to_string(), source.migrated_root);
                    }
                    add(&mut lists, format!("{role}-before-migration"), source.root);
                }
            }
        }
        if let (Kind::Listed, Ok(block)) = (self.accounts.kind, &facts.reference.block) {
            let snarked = Some(block.facts.snarked_ledger_hash);
            add(&mut named, "snarked".to_owned(), snarked);
            let genesis = Some(block.facts.genesis_ledger_hash);
            add(&mut named, "old-genesis".to_owned(), genesis);
        }
        (named, lists)
    }
}

fn role_of(name: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.to_string() == name)
}

/// Every slot that somebody may have taken for that of the new genesis.
fn fork_slots(facts: &Facts) -> Vec<SlotSinceGenesis> {
    let reference = &facts.reference;
    let block = reference.block.as_ref().ok().map(|block| &block.facts);
    let candidate = &reference.candidate;
    let number = |config: &ConfigView| config.number(SLOT_POINTER).map(SlotSinceGenesis::new);
    let known = [
        facts.fork_slot.as_ref().map(|(slot, _)| *slot),
        reference.fork_slot.as_ref().map(|(slot, _)| *slot),
        facts.config.as_ref().ok().and_then(number),
        candidate
            .scheduled
            .as_ref()
            .map(|scheduled| scheduled.global_slot_since_genesis),
        candidate.fork_block.global_slot_since_genesis,
        block.map(|block| block.global_slot_since_genesis),
        // Slots since the last hard fork, taken for slots since genesis.
        block.map(|block| SlotSinceGenesis::new(block.slot_since_hard_fork.get())),
        facts.rule.as_ref().ok().and_then(Rule::fork_slot),
    ];
    let mut seen = BTreeSet::new();
    known
        .into_iter()
        .flatten()
        .filter(|slot| seen.insert(slot.get()))
        .take(FORK_SLOTS_MAX)
        .collect()
}

impl Accounts<'_> {
    /// Reads the candidate's list as it is.
    fn listed(&self, reading: Reading, sink: &mut BatchSink<'_>) -> Result<(), String> {
        let reference = &self.facts.reference;
        let file = &reference.ledger(self.role).file;
        let path =
            fork_fs::child(&reference.directory, &file.name).map_err(|error| error_text(&error))?;
        let input = fork_fs::open(&path).map_err(|error| error_text(&error))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        if reading.loader != STRICT {
            return read_list(input, reading, sink).map_err(|error| error_text(&error));
        }
        let mut list =
            ListReader::new(input, reading.era, false).map_err(|error| error.to_string())?;
        while let Some(batch) = list.next_batch().map_err(|error| error_text(&error))? {
            sink(batch)?;
        }
        Ok(())
    }

    /// Reads it and migrates every account.
    fn migrated(
        &self,
        rule: Rule,
        loader: ReadingLoader,
        sink: &mut BatchSink<'_>,
    ) -> Result<(), String> {
        let era = rule.source();
        self.listed(Reading { era, loader }, &mut |batch| {
            let migrated: Result<Vec<Account>, _> = match &batch {
                AccountBatch::V1(accounts) => accounts
                    .iter()
                    .map(|account| rule.migrate_v1(account).map(|(after, _)| after))
                    .collect(),
                AccountBatch::Later(accounts) => accounts
                    .iter()
                    .map(|account| rule.migrate(account).map(|(after, _)| after))
                    .collect(),
            };
            let migrated = migrated.map_err(|error| error_text(&error))?;
            sink(AccountBatch::Later(migrated))
        })
    }

    fn stored(
        &self,
        directory: &Path,
        reading: Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<(), String> {
        let era = self.facts.reference.network.target_era;
        if reading.era != era || reading.loader != STRICT {
            return Err(format!("a store holds accounts of {era} as they are"));
        }
        let store = StoreReader::open(directory).map_err(|error| error_text(&error))?;
        let mut accounts =
            StoreExaminer::new(&store, era, era.depth()).map_err(|error| error_text(&error))?;
        loop {
            let batch = accounts
                .take(ACCOUNTS_PER_BATCH)
                .map_err(|error| error_text(&error))?;
            if batch.is_empty() {
                return Ok(());
            }
            let complete: Option<Vec<Account>> = batch.into_iter().collect();
            sink(AccountBatch::Later(
                complete.ok_or("an account is missing")?,
            ))?;
        }
    }
}

impl AccountSource for Accounts<'_> {
    type Error = Infallible;

    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<Infallible>> {
        let read = match self.kind {
            Kind::Migrated(rule) if reading.era == rule.target() => {
                self.migrated(rule, reading.loader, sink)
            }
            Kind::Listed | Kind::Migrated(_) => self.listed(*reading, sink),
            Kind::Stored(directory) => self.stored(directory, *reading, sink),
        };
        // What cannot be read again explains nothing, and must not end the run.
        read.map(|()| false).map_err(ReadFailure::Refused)
    }
}
