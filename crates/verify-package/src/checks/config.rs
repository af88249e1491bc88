//! The runtime config.

use fork_genesis::chain_id::ChainIdInputs;
use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::SlotSinceGenesis;

use super::{Check, Finding};
use crate::config::ConfigView;
use crate::facts::{Facts, SLOT_POINTER, TIME_POINTER};
use crate::subject::{SubjectKind, error_text};

pub(super) static CHECKS: [Check; 13] = [
    Check {
        id: "config.schema",
        proves: "the config has all members of a fork config, each once and of its type, and none that daemons do not know",
        run: schema,
    },
    Check {
        id: "config.constants",
        proves: "constants that the config sets beside them are the network's",
        run: constants,
    },
    Check {
        id: "config.ledger-hashes",
        proves: "the three roots in the config are those of the accounts in the tarballs",
        run: ledger_hashes,
    },
    Check {
        id: "config.epoch-seeds",
        proves: "the two epoch seeds in the config are the fork block's",
        run: epoch_seeds,
    },
    Check {
        id: "config.fork-state-hash",
        proves: "the config continues the fork block",
        run: fork_state_hash,
    },
    Check {
        id: "config.fork-length",
        proves: "the height in the config is the fork block's",
        run: fork_length,
    },
    Check {
        id: "config.fork-slot",
        proves: "the slot in the config is the one that the stop slots (or the candidate) give",
        run: fork_slot,
    },
    Check {
        id: "config.timestamp-from-slot",
        proves: "the time in the config is the start of its slot on the old chain's clock",
        run: timestamp_from_slot,
    },
    Check {
        id: "config.slot-from-timestamp",
        proves: "the slot in the config is the one that starts at its time on the old chain's clock",
        run: slot_from_timestamp,
    },
    Check {
        id: "config.no-stale-stop-slots",
        proves: "the old chain's stop slots are not in the config",
        run: no_stop_slots,
    },
    Check {
        id: "config.no-genesis-winner",
        proves: "no account is added to the genesis ledger",
        run: no_genesis_winner,
    },
    Check {
        id: "config.network-id",
        proves: "the config is for this network",
        run: network_id,
    },
    Check {
        id: "config.chain-id",
        proves: "the inputs of the chain id that are known offline can be computed; they are shown",
        run: chain_id_inputs,
    },
];

fn config(facts: &Facts) -> Result<&ConfigView, Finding> {
    facts
        .config
        .as_ref()
        .map_err(|problem| Finding::not_run(format!("no config: {problem}")))
}

/// Compares a member with what it must be.
fn member(facts: &Facts, pointer: &str, expected: impl std::fmt::Display) -> Finding {
    match config(facts) {
        Ok(config) => Finding::same(
            expected,
            config.shown(pointer),
            format!("{}, {pointer}", facts.config_path),
        ),
        Err(finding) => finding,
    }
}

fn schema(facts: &Facts) -> Finding {
    match config(facts) {
        Ok(config) => match &config.strict {
            Ok(()) => Finding::passed(&facts.config_path),
            Err(problem) => Finding::failed("a fork config", problem, &facts.config_path),
        },
        Err(finding) => finding,
    }
}

/// Constants and settings that a config may set, and what they must be.
fn constants(facts: &Facts) -> Finding {
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let network = &facts.reference.network;
    let prefork = facts.reference.prefork.as_ref().map(|one| &one.config);
    let of = |value: Option<u32>, else_this: u32| u64::from(value.unwrap_or(else_this));
    let chain = &network.chain;
    let grace = prefork
        .and_then(|one| one.grace_period_slots)
        .or(chain.grace_period_slots);
    let accounts = match &facts.ledgers.first().map(|ledger| &ledger.store) {
        Some(Ok(store)) => Some(store.accounts),
        Some(Err(_)) | None => None,
    };
    let known = [
        (
            "/genesis/k",
            Some(of(prefork.and_then(|one| one.k), chain.k)),
        ),
        (
            "/genesis/delta",
            Some(of(prefork.and_then(|one| one.delta), chain.delta)),
        ),
        (
            "/genesis/slots_per_epoch",
            Some(of(
                prefork.and_then(|one| one.slots_per_epoch),
                chain.slots_per_epoch,
            )),
        ),
        (
            "/genesis/slots_per_sub_window",
            Some(of(
                prefork.and_then(|one| one.slots_per_sub_window),
                chain.slots_per_sub_window,
            )),
        ),
        ("/genesis/grace_period_slots", grace.map(u64::from)),
        (
            "/proof/block_window_duration_ms",
            Some(network.target.slot_ms),
        ),
        (
            "/proof/ledger_depth",
            Some(u64::from(network.target_era.depth())),
        ),
        (
            "/daemon/txpool_max_size",
            Some(of(
                prefork.and_then(|one| one.txpool_max_size),
                chain.txpool_max_size,
            )),
        ),
        ("/ledger/num_accounts", accounts),
    ];
    let mut problems = Vec::new();
    let mut agree = 0;
    let is_set = |pointer| config.at(pointer).is_some_and(|value| !value.is_null());
    for (pointer, expected) in known {
        match expected.filter(|_| is_set(pointer)) {
            None => {}
            Some(expected) if config.shown(pointer) == expected.to_string() => agree += 1,
            Some(expected) => problems.push(format!(
                "{pointer} is {}, expected {expected}",
                config.shown(pointer)
            )),
        }
    }
    // A network whose proofs are not checked is another network.
    let level = "/proof/level";
    if is_set(level) && config.text(level) != Some("full") {
        problems.push(format!("{level} is {}, expected full", config.shown(level)));
    }
    Finding::none(
        &problems,
        "the constants of the network",
        &facts.config_path,
        format!("{agree} constants are set and agree"),
    )
}

fn ledger_hashes(facts: &Facts) -> Finding {
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let mut problems = Vec::new();
    let mut detail = Vec::new();
    for ledger in &facts.ledgers {
        let role = ledger.role;
        let proof = ledger
            .store
            .as_ref()
            .ok()
            .and_then(|store| store.proof.as_ref());
        let Some(proof) = proof else {
            detail.push(format!("{role}: its root could not be computed"));
            continue;
        };
        if config.root(role) != Some(proof.root) {
            let pointer = format!("{}/hash", ConfigView::ledger_pointer(role));
            problems.push(format!(
                "{pointer} is {}, expected {}",
                config.shown(&pointer),
                proof.root
            ));
        } else {
            detail.push(format!("{role} {}", proof.root));
        }
    }
    let has_any = facts.ledgers.iter().any(|ledger| {
        ledger
            .store
            .as_ref()
            .is_ok_and(|store| store.proof.is_some())
    });
    if !has_any {
        return Finding::not_run("no root could be computed from a tarball");
    }
    Finding::none(
        &problems,
        "the roots of the accounts in the tarballs",
        &facts.config_path,
        detail.join(", "),
    )
}

fn epoch_seeds(facts: &Facts) -> Finding {
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let candidate = &facts.reference.candidate.seeds;
    let (staking, next) = match &facts.reference.block {
        Ok(block) => (block.facts.staking_epoch.seed, block.facts.next_epoch.seed),
        Err(_) => (candidate.staking, candidate.next),
    };
    Finding::same(
        format!("staking {staking}, next {next}"),
        format!(
            "staking {}, next {}",
            config.shown("/epoch_data/staking/seed"),
            config.shown("/epoch_data/next/seed")
        ),
        &facts.config_path,
    )
}

fn fork_state_hash(facts: &Facts) -> Finding {
    let expected = match &facts.reference.block {
        Ok(block) if !block.facts.is_genesis => block.facts.state_hash,
        _ => facts.reference.candidate.fork_block.state_hash,
    };
    // A Mesa block's hash may be computed by another rule; the candidate's name for it counts then.
    let claimed = facts.reference.candidate.fork_block.state_hash;
    let is_trusted = facts
        .reference
        .block
        .as_ref()
        .is_ok_and(|block| block.facts.hash_rule == fork_genesis::block::HashRule::Proved);
    member(
        facts,
        "/proof/fork/state_hash",
        if is_trusted { expected } else { claimed },
    )
}

fn fork_length(facts: &Facts) -> Finding {
    let expected = match &facts.reference.block {
        Ok(block) => block.facts.blockchain_length,
        Err(_) => facts.reference.candidate.fork_block.blockchain_length,
    };
    member(facts, "/proof/fork/blockchain_length", expected)
}

fn fork_slot(facts: &Facts) -> Finding {
    match &facts.reference.fork_slot {
        Some((expected, by)) => match member(facts, SLOT_POINTER, expected) {
            Finding::Passed { detail } => Finding::passed(format!("{detail} by {by}")),
            finding => finding.with_detail(format!("expected by {by}")),
        },
        None => Finding::not_run(format!(
            "nobody but the package names the slot: {}",
            facts
                .reference
                .schedule
                .as_ref()
                .err()
                .map_or("", String::as_str)
        )),
    }
}

/// Slot and time of the config.
pub(crate) fn slot_and_time(
    facts: &Facts,
) -> Result<(SlotSinceGenesis, GenesisTimestamp), Finding> {
    let config = config(facts)?;
    let slot = config
        .number(SLOT_POINTER)
        .map(SlotSinceGenesis::new)
        .ok_or_else(|| Finding::not_run("the config has no slot"))?;
    let text = config
        .text(TIME_POINTER)
        .ok_or_else(|| Finding::not_run("the config has no time"))?;
    match GenesisTimestamp::parse(text) {
        Ok((time, _)) => Ok((slot, time)),
        Err(error) => Err(Finding::failed(
            "a time with its zone",
            error_text(&error),
            format!("{}, {TIME_POINTER}", facts.config_path),
        )),
    }
}

fn timestamp_from_slot(facts: &Facts) -> Finding {
    let (slot, found) = match slot_and_time(facts) {
        Ok(both) => both,
        Err(finding) => return finding,
    };
    let (clock, by) = facts.reference.clock();
    let place = format!("{}, {TIME_POINTER}", facts.config_path);
    let Some(since_fork) = slot.checked_since(clock.fork_slot) else {
        let expected = format!("a slot after {}", clock.fork_slot);
        return Finding::failed(expected, slot, place);
    };
    match clock.time_of(since_fork) {
        Ok(expected) if expected == found => Finding::passed(format!(
            "{} + ({slot} - {}) * {} ms = {found}, by {by}",
            clock.genesis, clock.fork_slot, clock.slot_ms
        )),
        Ok(expected) => Finding::failed(expected, found, place),
        Err(error) => Finding::failed("a slot with a time", error_text(&error), place),
    }
}

fn slot_from_timestamp(facts: &Facts) -> Finding {
    let (found, time) = match slot_and_time(facts) {
        Ok(both) => both,
        Err(finding) => return finding,
    };
    let (clock, by) = facts.reference.clock();
    let place = format!("{}, {SLOT_POINTER}", facts.config_path);
    let slot = clock.slot_at(time).and_then(|slot| clock.global(slot));
    match slot {
        Ok(expected) if expected == found => Finding::passed(format!(
            "{} + ({time} - {}) / {} ms = {found}, by {by}",
            clock.fork_slot, clock.genesis, clock.slot_ms
        )),
        Ok(expected) => Finding::failed(expected, found, place),
        Err(error) => Finding::failed("the start of a slot", error_text(&error), place),
    }
}

fn no_stop_slots(facts: &Facts) -> Finding {
    let config = match config(facts) {
        Ok(config) => config,
        Err(finding) => return finding,
    };
    let found: Vec<String> = [
        "slot_tx_end",
        "slot_chain_end",
        "hard_fork_genesis_slot_delta",
    ]
    .iter()
    .filter(|name| config.at(&format!("/daemon/{name}")).is_some())
    .map(|name| {
        format!(
            "daemon.{name} is {}",
            config.shown(&format!("/daemon/{name}"))
        )
    })
    .collect();
    Finding::none(&found, "no stop slots", &facts.config_path, "none")
}

fn no_genesis_winner(facts: &Facts) -> Finding {
    member(facts, "/ledger/add_genesis_winner", false)
}

fn network_id(facts: &Facts) -> Finding {
    let pointer = "/daemon/network_id";
    let is_absent = config(facts).is_ok_and(|config| config.at(pointer).is_none());
    if facts.kind == SubjectKind::Automode && is_absent {
        return Finding::not_run("the daemon's own config does not name the network");
    }
    member(facts, pointer, &facts.reference.network.network_id)
}

/// What of the chain id is known offline.
pub(crate) fn chain_id(facts: &Facts) -> Option<ChainIdInputs> {
    let (_, time) = slot_and_time(facts).ok()?;
    let chain = &facts.reference.network.chain;
    let prefork = facts.reference.prefork.as_ref().map(|one| &one.config);
    let of = |value: Option<u32>, else_this: u32| value.unwrap_or(else_this);
    Some(ChainIdInputs {
        genesis_state_hash: None,
        constraint_digests: None,
        k: of(prefork.and_then(|one| one.k), chain.k),
        slots_per_epoch: of(
            prefork.and_then(|one| one.slots_per_epoch),
            chain.slots_per_epoch,
        ),
        slots_per_sub_window: of(
            prefork.and_then(|one| one.slots_per_sub_window),
            chain.slots_per_sub_window,
        ),
        delta: of(prefork.and_then(|one| one.delta), chain.delta),
        txpool_max_size: of(
            prefork.and_then(|one| one.txpool_max_size),
            chain.txpool_max_size,
        ),
        genesis_timestamp: time,
        transaction_version: facts.reference.network.target.transaction_version,
    })
}

fn chain_id_inputs(facts: &Facts) -> Finding {
    match chain_id(facts) {
        Some(inputs) => Finding::passed(format!(
            "hash of the constants {}; the genesis state hash and the circuits' digests are not known here",
            inputs.constants_hash()
        )),
        None => Finding::not_run("the config has no time"),
    }
}
