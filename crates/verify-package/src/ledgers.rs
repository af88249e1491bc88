//! The three ledgers: which tarball is whose, what is in it, and what the candidate gives.

use std::collections::BTreeMap;
use std::io::BufReader;

use fork_ledger::batch::ListReader;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::{Audit, Rule, Totals};
use fork_store::{Examined, LogExaminer, StoreExaminer, StoreProblems, StoreReader, tarball_name};
use fork_types::{Era, LedgerHash, Role};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::args::StoreReading;
use crate::config::ConfigView;
use crate::differences::Differences;
use crate::pass::{self, Examiner, Inputs, Lane};
use crate::reference::Reference;
use crate::series::Series;
use crate::subject::{Subject, error_text};
use crate::summary::Clocks;
use crate::tarball::TarballFacts;

/// A ledger of the candidate.
#[derive(Debug, Default)]
pub struct Source {
    /// Why it could not be read to its end.
    pub problem: Option<String>,
    /// Number of accounts.
    pub accounts: u64,
    /// Root by the old rules.
    pub root: Option<LedgerHash>,
    /// Balances.
    pub totals: Totals,
    /// Why it could not be migrated.
    pub migrate_problem: Option<String>,
    /// Charts.
    pub series: Series,
    /// Root after migration.
    pub migrated_root: Option<LedgerHash>,
    /// What the migration changed.
    pub audit: Audit,
}

/// A store of the package.
#[derive(Debug, Default)]
pub struct StoreFacts {
    /// Why it could not be read to its end.
    pub problem: Option<String>,
    /// Accounts that are there and decode.
    pub accounts: u64,
    /// Balances.
    pub totals: Totals,
    /// Charts.
    pub series: Series,
    /// The root node, as stored.
    pub stored_root: Option<LedgerHash>,
    /// What was computed from the accounts; absent when some are missing.
    pub proof: Option<Examined>,
    /// What is wrong with it.
    pub problems: StoreProblems,
    /// Whether it was read as a log in our own spelling, without RocksDB.
    pub is_log: bool,
}

/// Everything about the ledger of a role.
#[derive(Debug)]
pub struct LedgerFacts {
    /// The role.
    pub role: Role,
    /// Name of the file that the config asks for.
    pub expected_name: Option<String>,
    /// Path of the tarball that was taken for it, or why there is none.
    pub tarball: Result<String, String>,
    /// The candidate's ledger.
    pub source: Source,
    /// The store; absent when there is none to read.
    pub store: Result<StoreFacts, String>,
    /// Where the migrated candidate and the store differ; absent when they could not be compared.
    pub differences: Option<Differences>,
}

/// Reads, migrates, hashes and compares the three ledgers.
///
/// Stores are read as logs first, which finds them right or says no more than that they are not. Then
/// everything is done again with RocksDB, for those that are not: it says what is wrong, and whether
/// a store that was written by somebody else is right all the same.
pub(crate) fn examine(
    facts: &Examination<'_>,
    chosen: &[Result<String, String>; 3],
    reading: StoreReading,
) -> Vec<LedgerFacts> {
    let mut as_log = [reading == StoreReading::Auto; 3];
    let found = examine_as(facts, chosen, as_log);
    for (as_log, ledger) in as_log.iter_mut().zip(&found) {
        // RocksDB has nothing to add to what it has read, or to what there is not to read.
        *as_log = !ledger.store.as_ref().is_ok_and(StoreFacts::is_odd_log);
    }
    if as_log == [true; 3] {
        return found;
    }
    drop(found);
    examine_as(facts, chosen, as_log)
}

/// What the ledgers are looked at with.
pub(crate) struct Examination<'a> {
    /// The config, if it can be read.
    pub(crate) config: Option<&'a ConfigView>,
    /// Unpacked tarballs by path.
    pub(crate) tarballs: &'a BTreeMap<String, TarballFacts>,
    /// The candidate.
    pub(crate) reference: &'a Reference,
    /// The migration rule, if one could be chosen.
    pub(crate) rule: Option<Rule>,
    /// Clocks of both chains, for the charts.
    pub(crate) clocks: &'a Clocks,
}

impl StoreFacts {
    /// Whether it was read as a log, and not all of it is as the reader of logs wants it.
    fn is_odd_log(&self) -> bool {
        self.is_log && (self.problem.is_some() || self.proof.is_none())
    }
}

/// A store, ready to be read.
enum Opened {
    Log(LogExaminer),
    RocksDb(StoreReader),
}

fn examine_as(
    facts: &Examination<'_>,
    chosen: &[Result<String, String>; 3],
    as_log: [bool; 3],
) -> Vec<LedgerFacts> {
    let (reference, rule) = (facts.reference, facts.rule);
    let (source, target) = (reference.network.source_era, reference.network.target_era);
    let opened: Vec<Result<Opened, String>> = chosen
        .par_iter()
        .zip(as_log)
        .map(|(path, as_log)| open(path.as_ref(), facts.tarballs, target, as_log))
        .collect();
    let mut stores = Vec::with_capacity(opened.len());
    let mut logs = Vec::with_capacity(opened.len());
    for opened in opened {
        let (store, log) = match opened {
            Ok(Opened::Log(log)) => (None, Some(log)),
            Ok(Opened::RocksDb(store)) => (Some(Ok(store)), None),
            Err(problem) => (Some(Err(problem)), None),
        };
        stores.push(store);
        logs.push(log);
    }
    let lane = |_| Lane::new(facts.clocks.before(), facts.clocks.after());
    let mut lanes: Vec<Lane> = Role::ALL.iter().map(lane).collect();
    let mut store_problems: Vec<Option<String>> = Vec::new();
    let mut inputs: Vec<Inputs<'_>> = Vec::new();
    let mut is_log = Vec::new();
    for (((role, store), log), lane) in Role::ALL.iter().zip(&stores).zip(logs).zip(&mut lanes) {
        let list = list(reference, *role, source);
        lane.list_problem = list.as_ref().err().cloned();
        is_log.push(log.is_some());
        let examiner = match (store, log) {
            (_, Some(log)) => Ok(Examiner::Log(log)),
            (Some(Ok(store)), None) => StoreExaminer::new(store, target, target.depth())
                .map(Examiner::RocksDb)
                .map_err(|error| error_text(&error)),
            (Some(Err(problem)), None) => Err(problem.clone()),
            (None, None) => Err("there is no store".to_owned()),
        };
        store_problems.push(examiner.as_ref().err().cloned());
        inputs.push(Inputs {
            list: list.ok(),
            examiner: examiner.ok(),
        });
    }
    pass::run(source, target, rule, &mut inputs, &mut lanes);
    let examiners: Vec<_> = inputs.into_iter().map(|input| input.examiner).collect();
    let trees = store_trees(target, &mut lanes, &examiners);
    let sources = sources(source, target, &mut lanes, &trees);
    let found: Vec<Result<StoreFacts, String>> = examiners
        .into_par_iter()
        .with_max_len(1)
        .zip(trees)
        .zip(&mut lanes)
        .zip(store_problems)
        .zip(is_log)
        .map(
            |((((examiner, tree), lane), problem), is_log)| match problem {
                Some(problem) => Err(problem),
                None => Ok(StoreFacts {
                    is_log,
                    ..store_facts(examiner, tree, lane)
                }),
            },
        )
        .collect();
    let each = Role::ALL.into_iter().zip(chosen).zip(sources);
    each.zip(found)
        .zip(lanes)
        .map(|((((role, tarball), source), store), lane)| {
            let can_compare = rule.is_some()
                && source.problem.is_none()
                && source.migrate_problem.is_none()
                && store.as_ref().is_ok_and(|store| store.problem.is_none());
            LedgerFacts {
                role,
                expected_name: expected_name(facts.config, role, target),
                tarball: tarball.clone(),
                source,
                store,
                differences: can_compare.then_some(lane.differences),
            }
        })
        .collect()
}

/// The file name that the daemon derives from the config's root.
pub(crate) fn expected_name(
    config: Option<&ConfigView>,
    role: Role,
    target: Era,
) -> Option<String> {
    let root = config?.root(role)?;
    Some(tarball_name(role.tarball_prefix(), &root, target))
}

/// Which tarball is whose: the one with the name that the config asks for, else the one with the
/// digest that it names, else the only one that is left. So a wrong name does not hide the rest.
pub(crate) fn choose(
    subject: &Subject,
    config: Option<&ConfigView>,
    target: Era,
) -> [Result<String, String>; 3] {
    let mut chosen: [Option<String>; 3] = [None, None, None];
    for (role, chosen) in Role::ALL.into_iter().zip(&mut chosen) {
        let name = expected_name(config, role, target);
        *chosen = subject
            .tarballs(role)
            .find(|(_, found, _)| Some(*found) == name.as_deref())
            .map(|(path, _, _)| path.to_owned());
    }
    for position in 0..chosen.len() {
        let role = Role::ALL[position];
        if chosen[position].is_some() {
            continue;
        }
        let wanted = config.and_then(|config| config.s3_data_hash(role));
        let by_digest = subject.tarballs(role).find(|(path, _, _)| {
            let digests = subject.digests.get(*path);
            digests.is_some_and(|digests| Some(digests.sha3_256.as_str()) == wanted)
        });
        let is_free = |path: &str| chosen.iter().all(|taken| taken.as_deref() != Some(path));
        let mut left = subject.tarballs(role).filter(|(path, _, _)| is_free(path));
        let only = match (left.next(), left.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        };
        let found = by_digest.or(only).map(|(path, _, _)| path.to_owned());
        chosen[position] = found;
    }
    chosen.map(|path| path.ok_or_else(|| "no tarball can be taken for this ledger".to_owned()))
}

fn open(
    path: Result<&String, &String>,
    tarballs: &BTreeMap<String, TarballFacts>,
    target: Era,
    as_log: bool,
) -> Result<Opened, String> {
    let path = path.map_err(Clone::clone)?;
    let tarball = tarballs
        .get(path)
        .ok_or_else(|| format!("`{path}` was not unpacked"))?;
    if tarball.gzip_problem.is_some() {
        return Err("the tarball's gzip stream is damaged".to_owned());
    }
    // Only what RocksDB refuses as well is a problem.
    if as_log && let Ok(log) = LogExaminer::open(tarball.directory(), target, target.depth()) {
        return Ok(Opened::Log(log));
    }
    StoreReader::open(tarball.directory())
        .map(Opened::RocksDb)
        .map_err(|error| error_text(&error))
}

fn list(
    reference: &Reference,
    role: Role,
    era: Era,
) -> Result<ListReader<BufReader<std::fs::File>>, String> {
    let file = &reference.ledger(role).file;
    let path =
        fork_fs::child(&reference.directory, &file.name).map_err(|error| error_text(&error))?;
    let file = fork_fs::open(&path).map_err(|error| error_text(&error))?;
    let input = BufReader::with_capacity(1 << 18, file);
    ListReader::new(input, era, false).map_err(|error| error.to_string())
}

/// The trees of the stores that are complete, sharing what they have in common.
fn store_trees(
    target: Era,
    lanes: &mut [Lane],
    examiners: &[Option<Examiner<'_>>],
) -> Vec<Option<MerkleTree>> {
    let mut trees: Vec<Option<MerkleTree>> = Vec::with_capacity(lanes.len());
    for (lane, examiner) in lanes.iter_mut().zip(examiners) {
        let is_complete = lane.store_problem.is_none()
            && !lane.store_leaves.is_empty()
            && match examiner {
                Some(Examiner::RocksDb(examiner)) => examiner.is_complete(),
                Some(Examiner::Log(_)) => true,
                None => false,
            };
        let tree = is_complete.then(|| {
            let leaves = lane.store_leaves.clone();
            tree(target, leaves, trees.iter().flatten().next())
        });
        trees.push(tree.flatten());
    }
    trees
}

fn tree(era: Era, leaves: Vec<Fp>, beside: Option<&MerkleTree>) -> Option<MerkleTree> {
    match beside {
        Some(first) => MerkleTree::new_beside(first, leaves).ok(),
        None => MerkleTree::new(era, era.depth(), leaves).ok(),
    }
}

/// Roots of the candidate's ledgers, before and after.
fn sources(
    source: Era,
    target: Era,
    lanes: &mut [Lane],
    trees: &[Option<MerkleTree>],
) -> Vec<Source> {
    let mut first: Option<MerkleTree> = None;
    let mut sources = Vec::with_capacity(lanes.len());
    for (lane, stored) in lanes.iter_mut().zip(trees) {
        let leaves = std::mem::take(&mut lane.source_leaves);
        let accounts = leaves.len() as u64;
        let mut root = None;
        if lane.list_problem.is_none()
            && let Some(tree) = tree(source, leaves, first.as_ref())
        {
            root = Some(ledger_hash(tree.root()));
            first.get_or_insert(tree);
        }
        let is_migrated = root.is_some()
            && lane.migrate_problem.is_none()
            && lane.migrated.len() as u64 == accounts;
        let migrated = match (stored, lane.migrated.unlike(&lane.store_leaves)) {
            _ if !is_migrated => None,
            (Some(stored), None) => Some(stored.root()),
            (_, leaves) => {
                let leaves = leaves.unwrap_or(&lane.store_leaves).to_vec();
                tree(target, leaves, trees.iter().flatten().next()).map(|tree| tree.root())
            }
        };
        sources.push(Source {
            problem: lane.list_problem.clone(),
            accounts,
            root,
            totals: lane.list_totals,
            series: std::mem::take(&mut lane.list_series),
            migrate_problem: lane.migrate_problem.clone(),
            migrated_root: migrated.map(ledger_hash),
            audit: lane.audit,
        });
    }
    sources
}

/// Compares everything else in a store with what its accounts ask for.
fn store_facts(
    examiner: Option<Examiner<'_>>,
    tree: Option<MerkleTree>,
    lane: &mut Lane,
) -> StoreFacts {
    let index = std::mem::take(&mut lane.index);
    let mut facts = StoreFacts {
        problem: lane.store_problem.clone(),
        accounts: lane.store_leaves.len() as u64,
        totals: lane.store_totals,
        series: lane.store_series.clone(),
        ..StoreFacts::default()
    };
    match (examiner, tree) {
        (None, _) | (Some(Examiner::Log(_)), None) => {}
        (Some(Examiner::Log(examiner)), Some(tree)) => match examiner.finish(index, &tree) {
            Ok(examined) => {
                // Every hash node was compared, this one too.
                facts.stored_root = Some(examined.root);
                facts.proof = Some(examined);
            }
            Err(error) => facts.problem = Some(error_text(&error)),
        },
        (Some(Examiner::RocksDb(examiner)), tree) => {
            match examiner.stored_root() {
                Ok(root) => facts.stored_root = root,
                Err(error) => facts.problem = Some(error_text(&error)),
            }
            let Some(tree) = tree else {
                facts.problems = examiner.into_problems();
                return facts;
            };
            match examiner.finish(index, &tree) {
                Ok((proof, problems)) => {
                    facts.proof = Some(proof);
                    facts.problems = problems;
                }
                Err(error) => facts.problem = Some(error_text(&error)),
            }
        }
    }
    facts
}
