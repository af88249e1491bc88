//! The reference itself: candidate, block and network.

use fork_genesis::block::NameCheck;
use fork_genesis::candidate::{Evidence, Mismatch, compare};
use fork_types::Role;

use super::{Check, Finding};
use crate::facts::Facts;
use crate::reference::ForkBlockEvidence;

pub(super) static CHECKS: [Check; 13] = [
    Check {
        id: "candidate.digests",
        proves: "the candidate's files are those that its document names",
        run: digests,
    },
    Check {
        id: "candidate.counts",
        proves: "every list of the candidate has the accounts and the sum that its document says",
        run: counts,
    },
    Check {
        id: "candidate.network",
        proves: "the candidate was made for this network and era",
        run: network,
    },
    Check {
        id: "block.readable",
        proves: "the fork block is a block",
        run: readable,
    },
    Check {
        id: "block.state-hash",
        proves: "the state hash, recomputed from the block's protocol state, is the candidate's",
        run: state_hash,
    },
    Check {
        id: "block.length",
        proves: "the height of the fork block is the candidate's",
        run: length,
    },
    Check {
        id: "block.slots",
        proves: "both slots and the time of the fork block are the candidate's",
        run: slots,
    },
    Check {
        id: "block.seeds",
        proves: "the epoch seeds of the candidate are the block's",
        run: seeds,
    },
    Check {
        id: "block.consistent",
        proves: "the block does not contradict itself",
        run: consistent,
    },
    Check {
        id: "block.network",
        proves: "the block belongs to the network: genesis hashes, times, slots, constants",
        run: block_network,
    },
    Check {
        id: "root.staged",
        proves: "the candidate's staged accounts hash to the root in the block",
        run: |facts| root(facts, Role::Genesis),
    },
    Check {
        id: "root.staking",
        proves: "the candidate's staking accounts hash to the root in the block",
        run: |facts| root(facts, Role::Staking),
    },
    Check {
        id: "root.next",
        proves: "the candidate's next accounts hash to the root in the block",
        run: |facts| root(facts, Role::Next),
    },
];

/// The block, or why the check cannot run.
fn block(facts: &Facts) -> Result<&ForkBlockEvidence, Finding> {
    facts.reference.block.as_ref().map_err(Finding::not_run)
}

fn digests(facts: &Facts) -> Finding {
    let mut problems = Vec::new();
    for (what, expected, found) in &facts.candidate_files {
        match found {
            Err(problem) => problems.push(format!("{what}: {problem}")),
            Ok(found) if found.sha256 != expected.sha256 => problems.push(format!(
                "{what} `{}`: SHA-256 {}, expected {}",
                expected.name, found.sha256, expected.sha256
            )),
            Ok(found) if found.bytes != expected.bytes => problems.push(format!(
                "{what} `{}`: {} bytes, expected {}",
                expected.name, found.bytes, expected.bytes
            )),
            Ok(_) => {}
        }
    }
    Finding::none(
        &problems,
        "the digests in candidate.json",
        "candidate",
        format!("{} files", facts.candidate_files.len()),
    )
}

fn counts(facts: &Facts) -> Finding {
    let mut problems = Vec::new();
    let mut detail = Vec::new();
    for role in Role::ALL {
        let expected = facts.reference.ledger(role);
        let found = &facts.ledger(role).source;
        if let Some(problem) = &found.problem {
            problems.push(format!("{role} ledger: {problem}"));
            continue;
        }
        if found.accounts != u64::from(expected.accounts) {
            problems.push(format!(
                "{role} ledger: {} accounts, expected {}",
                found.accounts, expected.accounts
            ));
        }
        let sum = found.totals.default_token.to_string();
        if sum != expected.total_balance_nanomina {
            problems.push(format!(
                "{role} ledger: {sum} nanomina, expected {}",
                expected.total_balance_nanomina
            ));
        }
        detail.push(format!("{role} {} accounts", found.accounts));
    }
    Finding::none(
        &problems,
        "the counts and sums in candidate.json",
        "candidate",
        detail.join(", "),
    )
}

fn network(facts: &Facts) -> Finding {
    let reference = &facts.reference;
    let said = |name: &str, era: fork_types::Era| format!("{name}, {era}");
    Finding::same(
        said(&reference.network.name, reference.network.source_era),
        said(&reference.candidate.network, reference.candidate.source_era),
        "candidate.json",
    )
}

fn readable(facts: &Facts) -> Finding {
    match &facts.reference.block {
        Ok(block) => Finding::passed(&block.by),
        Err(problem) if facts.reference.block_is_broken => {
            Finding::failed("a precomputed block", problem, "the candidate's block")
        }
        Err(why) => Finding::not_run(why),
    }
}

fn state_hash(facts: &Facts) -> Finding {
    let block = match block(facts) {
        Ok(block) => block,
        Err(finding) => return finding,
    };
    let claimed = facts.reference.candidate.fork_block.state_hash;
    match block.facts.check_name(claimed) {
        NameCheck::Matches => Finding::passed(claimed),
        NameCheck::Differs => Finding::failed(claimed, block.facts.state_hash, &block.by),
        NameCheck::GenesisCannotBeChecked => {
            Finding::not_run("the state hash of a genesis block cannot be recomputed")
        }
        NameCheck::UnverifiedForMesa => Finding::not_run(format!(
            "it differs ({}), but the rule is not verified for blocks of Mesa",
            block.facts.state_hash
        )),
    }
}

fn length(facts: &Facts) -> Finding {
    match block(facts) {
        Ok(block) => Finding::same(
            block.facts.blockchain_length,
            facts.reference.candidate.fork_block.blockchain_length,
            "candidate.json",
        ),
        Err(finding) => finding,
    }
}

fn slots(facts: &Facts) -> Finding {
    let block = match block(facts) {
        Ok(block) => &block.facts,
        Err(finding) => return finding,
    };
    let fork = &facts.reference.candidate.fork_block;
    let mut problems = Vec::new();
    let mut same = |what: &str, expected: u64, found: Option<u64>| {
        if let Some(found) = found.filter(|found| *found != expected) {
            problems.push(format!("{what} {found}, expected {expected}"));
        }
    };
    same(
        "slot since genesis",
        u64::from(block.global_slot_since_genesis.get()),
        fork.global_slot_since_genesis.map(|slot| slot.get().into()),
    );
    same(
        "slot since hard fork",
        u64::from(block.slot_since_hard_fork.get()),
        fork.slot_since_hard_fork.map(|slot| slot.get().into()),
    );
    same("time in ms", block.timestamp_ms, fork.timestamp_ms);
    same(
        "genesis time in ms",
        block.constants.genesis_state_timestamp_ms,
        fork.chain_genesis_timestamp_ms,
    );
    Finding::none(
        &problems,
        "the block's",
        "candidate.json",
        format!(
            "slot {} since genesis, {} since hard fork",
            block.global_slot_since_genesis, block.slot_since_hard_fork
        ),
    )
}

fn seeds(facts: &Facts) -> Finding {
    let block = match block(facts) {
        Ok(block) => &block.facts,
        Err(finding) => return finding,
    };
    let seeds = &facts.reference.candidate.seeds;
    Finding::same(
        format!(
            "staking {}, next {}",
            block.staking_epoch.seed, block.next_epoch.seed
        ),
        format!("staking {}, next {}", seeds.staking, seeds.next),
        "candidate.json",
    )
}

fn consistent(facts: &Facts) -> Finding {
    let block = match block(facts) {
        Ok(block) => block,
        Err(finding) => return finding,
    };
    let problems: Vec<String> = block
        .problems
        .iter()
        .filter(|problem| !problem.warning_only)
        .map(|problem| {
            format!(
                "{} is {}, expected {}",
                problem.path, problem.found, problem.expected
            )
        })
        .collect();
    Finding::none(&problems, "no contradiction", &block.by, "no contradiction")
}

fn block_network(facts: &Facts) -> Finding {
    let reference = &facts.reference;
    let block = match block(facts) {
        Ok(block) => block,
        Err(finding) => return finding,
    };
    let evidence = Evidence {
        network: &reference.network,
        block: Some(&block.facts),
        block_problems: &[],
        expected_state_hashes: &[],
        expected_lengths: &[],
        import: None,
        computed: Default::default(),
        expected_roots: [None, None, None],
        prefork: reference.prefork.as_ref().map(|prefork| &prefork.config),
        schedule: reference.schedule.as_ref().ok(),
    };
    let comparison = compare(&evidence);
    let problems: Vec<String> = comparison
        .mismatches
        .iter()
        .map(Mismatch::to_string)
        .collect();
    Finding::none(
        &problems,
        "one network in block, network file, prefork config and stop slots",
        &block.by,
        format!("{} values agree", comparison.checks.len()),
    )
}

fn root(facts: &Facts, role: Role) -> Finding {
    let ledger = facts.reference.ledger(role);
    let expected = match &facts.reference.block {
        Ok(block) => {
            let root = match role {
                Role::Genesis => block.facts.staged_ledger_hash,
                Role::Staking => block.facts.staking_epoch.ledger_hash,
                Role::Next => block.facts.next_epoch.ledger_hash,
            };
            (root, block.by.clone())
        }
        Err(why) => match &ledger.claimed_root {
            Some(claimed) => (claimed.root, format!("the claim by {}", claimed.by)),
            None => return Finding::not_run(why),
        },
    };
    let source = &facts.ledger(role).source;
    match (source.root, &source.problem) {
        (Some(found), _) if found == expected.0 => {
            Finding::passed(format!("{found}, as in {}", expected.1))
        }
        (Some(found), _) => Finding::failed(expected.0, found, &ledger.file.name),
        (None, Some(problem)) => Finding::not_run(format!("the list cannot be read: {problem}")),
        (None, None) => Finding::not_run("the list has no accounts"),
    }
}
