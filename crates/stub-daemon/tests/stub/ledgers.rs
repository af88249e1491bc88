//! What is served is what was promised: accounts with the roots the blocks claim.

use fork_genesis::fork_config::{self, ForkConfigFacts};
use fork_genesis::{Block, ForkBlockFacts};
use fork_ledger::hash::hash_account;
use fork_ledger::json::{ForkRules, VerificationKeyCache, from_fork_config};
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Era, LedgerHash, Role};
use stub_daemon::World;

use crate::client::ask;
use crate::{WORLD, build, daemon, scenario_text};

/// Reads an answer as forkpack does, and hashes its accounts.
fn import(answer: &[u8]) -> (ForkConfigFacts, [LedgerHash; 3]) {
    let rules = ForkRules::strict(Era::Berkeley);
    let keys = VerificationKeyCache::new();
    let hashes = VkHashCache::new();
    let builder = || RootBuilder::new(Era::Berkeley, Era::Berkeley.depth());
    let mut roots = [builder(), builder(), builder()];
    let facts = fork_config::read(answer, |role, _, account| {
        let account = from_fork_config(&account, &rules, &keys).unwrap();
        let leaf = hash_account(Era::Berkeley, &account, &hashes).unwrap();
        roots[role as usize].push(leaf)
    })
    .unwrap();
    (facts, roots.map(|root| ledger_hash(root.finish())))
}

fn check(world: &World, facts: &ForkBlockFacts, answer: &[u8]) {
    let (config, roots) = import(answer);
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.fork.state_hash, facts.state_hash);
    assert_eq!(config.fork.blockchain_length, facts.blockchain_length);
    let schedule = world.schedule().unwrap();
    assert_eq!(
        config.fork.global_slot_since_genesis,
        schedule.global_slot_since_genesis
    );
    assert_eq!(config.genesis_timestamp, Some(schedule.genesis_timestamp));
    assert_eq!(roots[Role::Genesis as usize], facts.staged_ledger_hash);
    assert_eq!(
        roots[Role::Staking as usize],
        facts.staking_epoch.ledger_hash
    );
    assert_eq!(roots[Role::Next as usize], facts.next_epoch.ledger_hash);
    assert_eq!(
        config.ledger(Role::Genesis).claimed_root,
        Some(facts.staged_ledger_hash)
    );
}

#[test]
fn every_block_has_the_ledgers_it_claims() {
    let daemon = daemon("");
    let view = WORLD.view(0, 393_801);
    assert!(view.chain.len() > 20);
    for number in &view.chain {
        let facts = &WORLD.blocks()[*number].facts;
        let query = format!("{{ fork_config(stateHash: \"{}\") }}", facts.state_hash);
        check(&WORLD, facts, &ask(daemon.address(), &query).body);
    }
    // Without a name it is the last block before the end of transactions.
    let number = WORLD.block_in_slot("main", 393_798).unwrap();
    let facts = &WORLD.blocks()[number].facts;
    check(
        &WORLD,
        facts,
        &ask(daemon.address(), "{ fork_config }").body,
    );
}

#[test]
fn a_wrong_ledger_reads_well_and_has_another_root() {
    let daemon = daemon("[[fault]]\naction = \"wrong-ledger\"\n");
    let (config, roots) = import(&ask(daemon.address(), "{ fork_config }").body);
    let number = WORLD.block_in_slot("main", 393_798).unwrap();
    let facts = &WORLD.blocks()[number].facts;
    assert_eq!(
        config.ledger(Role::Genesis).claimed_root,
        Some(facts.staged_ledger_hash)
    );
    assert_ne!(roots[Role::Genesis as usize], facts.staged_ledger_hash);
    assert_eq!(roots[Role::Next as usize], facts.next_epoch.ledger_hash);
}

#[test]
fn a_wrong_block_is_a_good_one_at_the_wrong_place() {
    let daemon = daemon("[[fault]]\naction = \"wrong-block\"\n");
    let answer = ask(daemon.address(), "{ fork_config }").body;
    let number = WORLD.block_in_slot("main", 393_796).unwrap();
    check(&WORLD, &WORLD.blocks()[number].facts, &answer);
}

#[test]
fn protocol_states_hash_to_their_blocks() {
    let daemon = daemon("");
    for number in &WORLD.view(0, 393_801).chain {
        let height = WORLD.blocks()[*number].height();
        let query = format!("{{ protocolState(height: {height}) }}");
        let answer = ask(daemon.address(), &query).json();
        let state = answer["data"]["protocolState"].as_str().unwrap();
        let block = format!("{{\"protocol_state\":{state}}}");
        let block = Block::from_slice(block.as_bytes()).unwrap();
        assert_eq!(
            block.facts().state_hash,
            WORLD.blocks()[*number].state_hash()
        );
    }
}

#[test]
fn shared_epoch_ledgers_and_the_old_meaning_of_the_slot() {
    let text = scenario_text()
        .replace(
            "mix = \"mixed\"",
            "mix = \"plain\"\nshare_epoch_ledgers = true\nfew_changes = true",
        )
        .replace("seed = 7", "seed = 7\nfork_slot_style = \"fork-block\"");
    let world = build(&text);
    let clock = stub_daemon::Clock::manual(393_801);
    let daemon = stub_daemon::StubDaemon::start(world.clone(), 0, clock).unwrap();
    let (config, roots) = import(&ask(daemon.address(), "{ fork_config }").body);
    assert_eq!(roots[Role::Staking as usize], roots[Role::Next as usize]);
    assert_eq!(config.genesis_timestamp, None);
    let number = world.block_in_slot("main", 393_798).unwrap();
    let facts = &world.blocks()[number].facts;
    assert_eq!(
        config.fork.global_slot_since_genesis,
        facts.global_slot_since_genesis
    );
    assert_eq!(roots[Role::Genesis as usize], facts.staged_ledger_hash);
}
