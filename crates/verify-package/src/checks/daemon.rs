//! A running node, and exports of one. In a report only when one of the two was given.

use fork_types::{LedgerHash, Role};
use serde_json::Value;

use super::{Check, Finding};
use crate::config::ConfigView;
use crate::daemon::{
    AccountFacts, AskedNode, Boot, ExportProblem, FORK_LENGTH, export_name, genesis_height,
    packaged_root,
};
use crate::facts::{Facts, SLOT_POINTER};

/// First part of the identifiers.
pub(super) const PREFIX: &str = "daemon.";

pub(super) static CHECKS: [Check; 9] = [
    Check {
        id: "daemon.boot",
        proves: "the node woke, and its genesis block was its best tip",
        run: boot,
    },
    Check {
        id: "daemon.genesis-block",
        proves: "its genesis block is the one of the package: height, parent, slots, ledgers, seeds",
        run: genesis_block,
    },
    Check {
        id: "daemon.ledger-hashes",
        proves: "it runs with the packaged hashes, and with no accounts in its config",
        run: ledger_hashes,
    },
    Check {
        id: "daemon.chain-id",
        proves: "it says a chain id, which is in the report",
        run: chain_id,
    },
    Check {
        id: "daemon.accounts.genesis",
        proves: "sampled accounts and all special ones are at their leaves, member by member",
        run: accounts,
    },
    Check {
        id: "daemon.merkle-paths.genesis",
        proves: "the node's own paths lead from these accounts to the packaged root",
        run: merkle_paths,
    },
    Check {
        id: "daemon.export.genesis",
        proves: "the exported staged ledger is the packaged genesis ledger",
        run: |facts| export(facts, Role::Genesis),
    },
    Check {
        id: "daemon.export.staking",
        proves: "the exported staking epoch ledger is the packaged one",
        run: |facts| export(facts, Role::Staking),
    },
    Check {
        id: "daemon.export.next",
        proves: "the exported next epoch ledger is the packaged one",
        run: |facts| export(facts, Role::Next),
    },
];

/// The member of a node's configuration.
const RUNTIME_CONFIG: &str = "runtimeConfig of the node";

fn asked(facts: &Facts) -> Result<&AskedNode, Finding> {
    let asked = facts.node.asked.as_ref();
    asked.ok_or_else(|| Finding::not_run("no node was given with --daemon"))
}

fn boot(facts: &Facts) -> Finding {
    let asked = match asked(facts) {
        Ok(asked) => asked,
        Err(finding) => return finding,
    };
    let place = format!("timeline of `{}`", asked.url);
    let expected = "the genesis block as best tip";
    let tip = match &asked.boot {
        Boot::Asleep(why) => return Finding::failed(expected, why, place),
        Boot::Awake(tip) => tip,
    };
    let genesis = match &asked.genesis {
        Ok(genesis) => genesis,
        Err(why) => return Finding::not_run(why),
    };
    if tip.state_hash == genesis.state_hash {
        let awake = asked.timeline.last().map_or(0, |event| event.at_ms);
        let slept = asked.timeline.len() > 1;
        return Finding::passed(format!(
            "{} at height {}, {}",
            tip.state_hash,
            tip.blockchain_length,
            if slept {
                format!("awake after {awake} ms")
            } else {
                "awake when it was first asked".to_owned()
            }
        ));
    }
    if tip.blockchain_length > genesis.blockchain_length {
        return Finding::not_run(format!(
            "it was past its genesis when it was first asked: best tip at height {}",
            tip.blockchain_length
        ));
    }
    let found = format!("{} at height {}", tip.state_hash, tip.blockchain_length);
    Finding::failed(genesis.state_hash, found, place)
}

fn genesis_block(facts: &Facts) -> Finding {
    let asked = match asked(facts) {
        Ok(asked) => asked,
        Err(finding) => return finding,
    };
    let genesis = match &asked.genesis {
        Ok(genesis) => genesis,
        Err(why) => return Finding::not_run(why),
    };
    let config = match &facts.config {
        Ok(config) => config,
        Err(why) => return Finding::not_run(why),
    };
    let mut wrong = Vec::new();
    let mut compare = |name: &str, expected: Option<String>, found: String| match expected {
        None => wrong.push(format!("the packaged config does not name its {name}")),
        Some(expected) if expected != found => {
            wrong.push(format!("{name} {found}, expected {expected}"));
        }
        Some(_) => {}
    };
    let text = |pointer: &str| config.text(pointer).map(str::to_owned);
    let root = |role| packaged_root(facts, role).map(|root: LedgerHash| root.to_string());
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    compare(
        "height",
        number(genesis_height(facts)),
        genesis.blockchain_length.to_string(),
    );
    compare(
        "previous state hash",
        text("/proof/fork/state_hash"),
        genesis.previous_state_hash.to_string(),
    );
    compare(
        "slot since genesis",
        number(config.number(SLOT_POINTER)),
        genesis.global_slot_since_genesis.to_string(),
    );
    compare(
        "slot since hard fork",
        Some("0".to_owned()),
        genesis.slot_since_hard_fork.to_string(),
    );
    compare(
        "staged ledger",
        root(Role::Genesis),
        genesis.staged_ledger_hash.to_string(),
    );
    compare(
        "staking epoch ledger",
        root(Role::Staking),
        genesis.staking_ledger_hash.to_string(),
    );
    compare(
        "next epoch ledger",
        root(Role::Next),
        genesis.next_ledger_hash.to_string(),
    );
    compare(
        "staking epoch seed",
        text("/epoch_data/staking/seed"),
        genesis.staking_seed.to_string(),
    );
    compare(
        "next epoch seed",
        text("/epoch_data/next/seed"),
        genesis.next_seed.to_string(),
    );
    Finding::none(
        &wrong,
        format!("the genesis block that follows from {}", facts.config_path),
        "genesisBlock of the node",
        format!(
            "{} at height {}",
            genesis.state_hash, genesis.blockchain_length
        ),
    )
}

fn ledger_hashes(facts: &Facts) -> Finding {
    let asked = match asked(facts) {
        Ok(asked) => asked,
        Err(finding) => return finding,
    };
    let running = match &asked.config {
        Ok(running) => running,
        Err(why) => return Finding::not_run(why),
    };
    let packaged = match &facts.config {
        Ok(config) => config,
        Err(why) => return Finding::not_run(why),
    };
    let mut wrong = Vec::new();
    for role in Role::ALL {
        let ledger = ConfigView::ledger_pointer(role);
        if running.pointer(&format!("{ledger}/accounts")).is_some() {
            wrong.push(format!("{ledger}/accounts is there, expected hashes only"));
        }
        for member in ["hash", "s3_data_hash"] {
            let pointer = format!("{ledger}/{member}");
            if running.pointer(&pointer) != packaged.at(&pointer) {
                let found = running.pointer(&pointer).map_or("absent".to_owned(), short);
                wrong.push(format!(
                    "{pointer} is {found}, expected {}",
                    packaged.shown(&pointer)
                ));
            }
        }
    }
    let pointers = [
        "/proof/fork/state_hash",
        FORK_LENGTH,
        SLOT_POINTER,
        "/genesis/genesis_state_timestamp",
    ];
    for pointer in pointers {
        if running.pointer(pointer) != packaged.at(pointer) {
            let found = running.pointer(pointer).map_or("absent".to_owned(), short);
            wrong.push(format!(
                "{pointer} is {found}, expected {}",
                packaged.shown(pointer)
            ));
        }
    }
    Finding::none(
        &wrong,
        format!("the hashes and the fork of {}", facts.config_path),
        RUNTIME_CONFIG,
        "three roots, three tarball digests, the fork and its time",
    )
}

fn short(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(200).collect()
}

fn chain_id(facts: &Facts) -> Finding {
    let asked = match asked(facts) {
        Ok(asked) => asked,
        Err(finding) => return finding,
    };
    let said = asked
        .status
        .as_ref()
        .and_then(|status| status.chain_id.clone());
    match said {
        Some(id) => Finding::passed(format!("{id}, recorded and not compared")),
        None => Finding::not_run("the node did not say its chain id"),
    }
}

/// What was found of the sampled accounts, or why there is nothing.
fn sampled(facts: &Facts) -> Result<&AccountFacts, Finding> {
    let asked = asked(facts)?;
    let accounts = asked.accounts.as_ref();
    accounts.map_err(|why| Finding::not_run(why.why()))
}

fn accounts(facts: &Facts) -> Finding {
    let accounts = match sampled(facts) {
        Ok(accounts) => accounts,
        Err(finding) => return finding,
    };
    if let (0, Some(problem)) = (accounts.values.count, &accounts.problem) {
        return Finding::not_run(format!(
            "only {} accounts were answered, as packaged: {problem}",
            accounts.asked
        ));
    }
    Finding::none(
        &accounts.values.kept,
        "every account as it is packaged",
        format!("{} of {} accounts", accounts.values.count, accounts.asked),
        format!("{} accounts{}", accounts.asked, statement(facts)),
    )
}

fn statement(facts: &Facts) -> String {
    let sample = facts.node.asked.as_ref();
    let sample = sample.and_then(|asked| asked.sample.as_ref());
    sample.map_or_else(String::new, |sample| {
        format!("; {}", sample.coverage.statement)
    })
}

fn merkle_paths(facts: &Facts) -> Finding {
    let accounts = match sampled(facts) {
        Ok(accounts) => accounts,
        Err(finding) => return finding,
    };
    if accounts.asked == 0 {
        return Finding::not_run("no account was answered");
    }
    let mut detail = format!("{} paths", accounts.asked);
    if accounts.unread_leaves > 0 {
        detail.push_str(&format!(
            "; {} leaf hashes came in no known form, ours stood in for them",
            accounts.unread_leaves
        ));
    }
    Finding::none(
        &accounts.paths.kept,
        "every path leads to the packaged root",
        format!("{} of {} accounts", accounts.paths.count, accounts.asked),
        detail,
    )
}

fn export(facts: &Facts, role: Role) -> Finding {
    let Some(exports) = &facts.node.exports else {
        return Finding::not_run("no exports were given with --exports");
    };
    let found = exports.iter().find(|(found, _)| *found == role);
    let export = match found {
        Some((_, Ok(export))) => export,
        Some((_, Err(ExportProblem::Missing(why)))) => return Finding::not_run(why),
        Some((_, Err(ExportProblem::Broken(why)))) => {
            return Finding::failed("a list of accounts", why, "--exports");
        }
        None => return Finding::not_run("it was not read"),
    };
    let mut wrong = export.differences.kept.clone();
    let root = packaged_root(facts, role);
    if root.is_some_and(|root| root != export.root) {
        wrong.push(format!(
            "the root is {}, expected {}",
            export.root,
            root.map(|root| root.to_string()).unwrap_or_default()
        ));
    }
    if let (Role::Genesis, Some(why), false) = (role, facts.node.moved_on(), wrong.is_empty()) {
        return Finding::not_run(format!("the export differs, and {why}"));
    }
    Finding::none(
        &wrong,
        "the packaged accounts, each at its leaf",
        format!(
            "{}, {} of {} accounts differ",
            export_name(role),
            export.differences.count,
            export.accounts
        ),
        format!("all {} accounts, root {}", export.accounts, export.root),
    )
}
