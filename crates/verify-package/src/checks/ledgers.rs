//! The tarballs, the stores in them, and the migration.

use fork_store::Problems;
use fork_types::Role;

use super::{Check, Finding};
use crate::config::ConfigView;
use crate::facts::Facts;
use crate::ledgers::{LedgerFacts, StoreFacts};
use crate::tarball::TarballFacts;

/// The same check for every role.
macro_rules! per_role {
    ($($before:literal, $after:literal, $proves:literal, $run:path;)*) => {
        [$(
            per_role!(@ $before, "genesis", $after, $proves, $run, Role::Genesis),
            per_role!(@ $before, "staking", $after, $proves, $run, Role::Staking),
            per_role!(@ $before, "next", $after, $proves, $run, Role::Next),
        )*]
    };
    (@ $before:literal, $role:literal, $after:literal, $proves:literal, $run:path, $value:expr) => {
        Check {
            id: concat!($before, ".", $role, $after),
            proves: concat!($role, " ledger: ", $proves),
            run: |facts| $run(facts, facts.ledger($value)),
        }
    };
}

pub(super) static CHECKS: [Check; 36] = per_role! {
    "tarball", ".name", "the tarball has the name that the daemon derives from the config's root", name;
    "tarball", ".s3-data-hash", "the SHA3-256 of the tarball is the config's s3_data_hash", s3_data_hash;
    "tarball", ".gzip", "the tarball is one whole gzip member with a right checksum, and nothing behind it", gzip;
    "tarball", ".tar", "the archive in it holds the files of one RocksDB store and nothing else", tar;
    "store", ".accounts", "every account of the store decodes, no leaf is left out, no account is there twice", accounts;
    "store", ".root", "the root that the store shows a daemon is the root of its accounts", root;
    "store", ".inner-hashes", "every hash node below the root is that of the accounts below it", inner_hashes;
    "store", ".records", "every location, token owner and token set follows from the accounts; nothing is missing or extra", records;
    "migration", ".accounts", "every account of the store is the candidate's at that leaf, migrated by the rule", migration_accounts;
    "migration", ".root", "the root of the migrated candidate is the config's", migration_root;
    "migration", ".audit", "the rule changed only what its name says", audit;
    "supply", "", "the store holds as much of the currency, and of all other tokens, as the candidate", supply;
};

fn tarball<'a>(facts: &'a Facts, ledger: &LedgerFacts) -> Result<&'a TarballFacts, Finding> {
    let path = ledger.tarball.as_ref().map_err(Finding::not_run)?;
    facts
        .tarballs
        .get(path)
        .ok_or_else(|| Finding::not_run("it was not unpacked"))
}

fn config(facts: &Facts) -> Result<&ConfigView, Finding> {
    facts
        .config
        .as_ref()
        .map_err(|problem| Finding::not_run(format!("no config: {problem}")))
}

fn store(ledger: &LedgerFacts) -> Result<&StoreFacts, Finding> {
    let store = ledger.store.as_ref().map_err(Finding::not_run)?;
    match &store.problem {
        Some(problem) => Err(Finding::not_run(format!(
            "the store cannot be read: {problem}"
        ))),
        None => Ok(store),
    }
}

fn place(ledger: &LedgerFacts) -> String {
    match &ledger.tarball {
        Ok(path) => format!("/{path}"),
        Err(_) => "the package".to_owned(),
    }
}

fn name(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    let subject = match super::package::subject(facts) {
        Ok(subject) => subject,
        Err(finding) => return finding,
    };
    let Some(expected) = &ledger.expected_name else {
        return Finding::not_run("the config names no root");
    };
    let names: Vec<&str> = subject
        .tarballs(ledger.role)
        .map(|(_, name, _)| name)
        .collect();
    if names.contains(&expected.as_str()) {
        Finding::passed(expected)
    } else {
        Finding::failed(expected, names.join(", "), &subject.name)
    }
}

fn s3_data_hash(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let path = match &ledger.tarball {
        Ok(path) => path,
        Err(why) => return Finding::not_run(why),
    };
    let found = facts
        .subject
        .as_ref()
        .ok()
        .and_then(|subject| subject.digests.get(path));
    match (config.s3_data_hash(ledger.role), found) {
        (Some(expected), Some(found)) => {
            Finding::same(expected, &found.sha3_256, format!("/{path}"))
        }
        (None, _) => Finding::not_run("the config names no s3_data_hash"),
        (_, None) => Finding::not_run("the tarball was not read"),
    }
}

fn gzip(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    match tarball(facts, ledger) {
        Ok(tarball) => match &tarball.gzip_problem {
            None => Finding::passed(format!("{} bytes unpacked", tarball.unpacked_bytes)),
            Some(problem) => Finding::failed("one whole gzip member", problem, place(ledger)),
        },
        Err(finding) => finding,
    }
}

fn tar(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    match tarball(facts, ledger) {
        Ok(tarball) if tarball.gzip_problem.is_some() => {
            Finding::not_run("the gzip stream is damaged")
        }
        Ok(tarball) => Finding::none(
            &tarball.tar_problems,
            "the files of one store",
            place(ledger),
            tarball.members.join(", "),
        ),
        Err(finding) => finding,
    }
}

/// No problem may be there.
fn no_problems(problems: &Problems, ledger: &LedgerFacts, detail: String) -> Finding {
    let texts: Vec<String> = problems.kept().iter().map(ToString::to_string).collect();
    let expected = format!("no problem, of {} found", problems.total());
    Finding::none(&texts, expected, place(ledger), detail)
}

fn accounts(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    if tarball(facts, ledger).is_ok_and(|tarball| tarball.gzip_problem.is_some()) {
        return Finding::not_run("the gzip stream is damaged");
    }
    let store = match &ledger.store {
        Err(why) if ledger.tarball.is_ok() => {
            return Finding::failed("a store that RocksDB reads", why, place(ledger));
        }
        Err(why) => return Finding::not_run(why),
        Ok(store) => store,
    };
    if let Some(problem) = &store.problem {
        return Finding::failed(
            "a store that RocksDB reads to its end",
            problem,
            place(ledger),
        );
    }
    if store.accounts == 0 {
        return Finding::failed("accounts", "none", place(ledger));
    }
    let by = if store.is_log {
        "read as a log in forkpack's own spelling"
    } else {
        "read with RocksDB"
    };
    let detail = format!("{} accounts, {by}", store.accounts);
    no_problems(&store.problems.accounts, ledger, detail)
}

fn incomplete() -> Finding {
    Finding::not_run("the accounts are not complete, so nothing follows from them")
}

fn root(_: &Facts, ledger: &LedgerFacts) -> Finding {
    let store = match store(ledger) {
        Ok(store) => store,
        Err(finding) => return finding,
    };
    match (&store.proof, store.stored_root) {
        (None, _) => incomplete(),
        (Some(proof), Some(stored)) if store.problems.root.is_empty() => {
            Finding::same(proof.root, stored, place(ledger))
        }
        (Some(proof), Some(stored)) => Finding::failed(proof.root, stored, place(ledger)),
        (Some(proof), None) => Finding::failed(proof.root, "no root node", place(ledger)),
    }
}

fn inner_hashes(_: &Facts, ledger: &LedgerFacts) -> Finding {
    let store = match store(ledger) {
        Ok(store) => store,
        Err(finding) => return finding,
    };
    match &store.proof {
        None => incomplete(),
        Some(proof) => {
            let detail = format!("{} hash nodes", proof.hash_nodes);
            no_problems(&store.problems.nodes, ledger, detail)
        }
    }
}

fn records(_: &Facts, ledger: &LedgerFacts) -> Finding {
    let store = match store(ledger) {
        Ok(store) => store,
        Err(finding) => return finding,
    };
    match &store.proof {
        None => incomplete(),
        Some(proof) => {
            let mut detail = format!("{} entries", proof.entries);
            if let Some(digest) = &proof.content_sha256 {
                detail += &format!(", content SHA-256 {digest}");
            }
            no_problems(&store.problems.records, ledger, detail)
        }
    }
}

/// Why the candidate's ledger was not migrated.
fn not_migrated(facts: &Facts, ledger: &LedgerFacts) -> Option<Finding> {
    let source = &ledger.source;
    if let Err(problem) = &facts.rule {
        return Some(Finding::not_run(format!(
            "no rule can be chosen: {problem}"
        )));
    }
    if let Some(problem) = &source.problem {
        return Some(Finding::not_run(format!(
            "the candidate's list cannot be read: {problem}"
        )));
    }
    source
        .migrate_problem
        .as_ref()
        .map(|problem| Finding::not_run(format!("the candidate cannot be migrated: {problem}")))
}

fn migration_accounts(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    if let Some(finding) = not_migrated(facts, ledger) {
        return finding;
    }
    if let Err(finding) = store(ledger) {
        return finding;
    }
    let Some(differences) = &ledger.differences else {
        return Finding::not_run("the two could not be compared");
    };
    let accounts = ledger.source.accounts;
    match differences.kept.split_first() {
        None if differences.count == 0 => {
            Finding::passed(format!("{accounts} accounts, member by member"))
        }
        first => Finding::failed(
            format!("the {accounts} accounts of the candidate, migrated"),
            format!(
                "{} accounts differ; {}",
                differences.count,
                first.map_or("", |(first, _)| first)
            ),
            place(ledger),
        )
        .with_detail(differences.kept.get(1..).unwrap_or_default().join("\n")),
    }
}

fn migration_root(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    if let Some(finding) = not_migrated(facts, ledger) {
        return finding;
    }
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let pointer = ConfigView::ledger_pointer(ledger.role);
    match (ledger.source.migrated_root, config.root(ledger.role)) {
        (Some(expected), Some(found)) => Finding::same(
            expected,
            found,
            format!("{}, {pointer}/hash", facts.config_path),
        ),
        (Some(expected), None) => Finding::failed(
            expected,
            config.shown(&format!("{pointer}/hash")),
            format!("{}, {pointer}/hash", facts.config_path),
        ),
        (None, _) => Finding::not_run("the candidate's list has no accounts"),
    }
}

fn audit(facts: &Facts, ledger: &LedgerFacts) -> Finding {
    if let Some(finding) = not_migrated(facts, ledger) {
        return finding;
    }
    let rule = match &facts.rule {
        Ok(rule) => rule,
        Err(problem) => return Finding::not_run(problem),
    };
    let audit = &ledger.source.audit;
    let detail = format!(
        "{}: {} accounts, {} timed rescheduled, {} untimed became timed, {} still vesting ({} past their cliff), {} zkApps ({} widened)",
        rule.name(),
        audit.accounts,
        audit.timed_changed,
        audit.untimed_changed,
        audit.still_vesting,
        audit.still_vesting_past_cliff,
        audit.zkapps,
        audit.padded_zkapps
    );
    let mut problems = Vec::new();
    if let Err(error) = audit.check_supply() {
        problems.push(error.to_string());
    }
    if audit.accounts != ledger.source.accounts {
        problems.push(format!(
            "{} accounts after, {} before",
            audit.accounts, ledger.source.accounts
        ));
    }
    let widens = rule.source().app_state_len() < rule.target().app_state_len();
    let expected = if widens { audit.zkapps } else { 0 };
    if audit.padded_zkapps != expected {
        problems.push(format!(
            "{} zkApps widened, expected {expected}",
            audit.padded_zkapps
        ));
    }
    let may_time = rule.name().ends_with("untimed-becomes-timed");
    if audit.untimed_changed > 0 && !may_time {
        problems.push(format!(
            "{} untimed accounts became timed",
            audit.untimed_changed
        ));
    }
    Finding::none(&problems, rule.name(), "the migrated candidate", detail)
}

fn supply(_: &Facts, ledger: &LedgerFacts) -> Finding {
    if let Some(problem) = &ledger.source.problem {
        return Finding::not_run(format!("the candidate's list cannot be read: {problem}"));
    }
    let store = match store(ledger) {
        Ok(store) => store,
        Err(finding) => return finding,
    };
    if !store.problems.accounts.is_empty() && store.proof.is_none() {
        return incomplete();
    }
    let said = |totals: &fork_ledger::migrate::Totals| {
        format!(
            "{} nanomina, {} of other tokens",
            totals.default_token, totals.other_tokens
        )
    };
    Finding::same(
        said(&ledger.source.totals),
        said(&store.totals),
        place(ledger),
    )
}
