use fork_ledger::json::LedgerObjectMeta;
use fork_types::document::Outcome;
use fork_types::{FieldBytes, SlotSinceHardFork, SlotSpan};

use super::*;
use crate::block::{Block, tests::synthetic};
use crate::fork_point::ForkPoint;
use crate::import::ImportedEpochs;
use crate::schedule::ScheduleInput;
use crate::timestamp::GenesisTimestamp;

struct World {
    network: Network,
    block: Block,
    config: ForkConfigFacts,
    computed: [ComputedLedger; 3],
    schedule: Schedule,
    prefork: Option<PreforkConfig>,
    replayer: Option<ReplayerFacts>,
}

fn ledger(root: Option<LedgerHash>) -> ImportedLedger {
    ImportedLedger {
        accounts: 1,
        claimed_root: root,
        meta: LedgerObjectMeta::default(),
    }
}

fn world() -> World {
    let block = synthetic().build().unwrap();
    let facts = block.facts();
    let mut network = Network::builtin("devnet").unwrap().unwrap();
    network.chain.genesis_state_hash = Some(facts.genesis_state_hash);
    network.chain.genesis_ledger_hash = Some(facts.genesis_ledger_hash);
    network.stop.slot_tx_end = Some(SlotSinceHardFork::new(7_201));
    let input = ScheduleInput {
        slot_tx_end: network.stop.slot_tx_end,
        slot_chain_end: Some(SlotSinceHardFork::new(7_300)),
        genesis_slot_delta: Some(SlotSpan::new(60)),
        genesis_timestamp: None,
    };
    let schedule = Schedule::derive(&network.clock(), &input).unwrap();
    let computed = |root, total: Option<Amount>| ComputedLedger {
        root: Some(root),
        total_balance: total,
    };
    World {
        config: ForkConfigFacts {
            fork: ForkPoint {
                state_hash: facts.state_hash,
                blockchain_length: facts.blockchain_length,
                global_slot_since_genesis: schedule.global_slot_since_genesis,
                older_names: Vec::new(),
            },
            genesis_timestamp: Some(schedule.genesis_timestamp),
            genesis_timestamp_text: None,
            ledger: ledger(Some(facts.staged_ledger_hash)),
            epochs: ImportedEpochs {
                staking_seed: facts.staking_epoch.seed,
                next_seed: facts.next_epoch.seed,
                staking: ledger(None),
                next: Some(ledger(None)),
            },
            warnings: vec!["w".to_owned()],
        },
        computed: [
            computed(facts.staged_ledger_hash, None),
            computed(
                facts.staking_epoch.ledger_hash,
                Some(facts.staking_epoch.total_currency),
            ),
            computed(
                facts.next_epoch.ledger_hash,
                Some(facts.next_epoch.total_currency),
            ),
        ],
        network,
        block,
        schedule,
        prefork: None,
        replayer: None,
    }
}

impl World {
    fn compare(&self) -> Comparison {
        self.compare_with(|_| {})
    }

    fn compare_with(&self, edit: impl FnOnce(&mut Evidence<'_>)) -> Comparison {
        let facts = self.block.facts();
        let problems = self.block.problems(Some(self.network.chain.slot_ms));
        let mut evidence = Evidence {
            network: &self.network,
            block: Some(&facts),
            block_problems: &problems,
            expected_state_hashes: &[],
            expected_lengths: &[],
            import: Some(
                self.replayer
                    .as_ref()
                    .map_or(Import::ForkConfig(&self.config), Import::Replayer),
            ),
            computed: self.computed,
            expected_roots: [const { None }; 3],
            prefork: self.prefork.as_ref(),
            schedule: Some(&self.schedule),
        };
        edit(&mut evidence);
        compare(&evidence)
    }
}

fn ids(comparison: &Comparison) -> Vec<&str> {
    comparison
        .mismatches
        .iter()
        .map(|mismatch| mismatch.id.as_str())
        .collect()
}

fn outcome(comparison: &Comparison, id: &str) -> Outcome {
    comparison
        .checks
        .iter()
        .find(|check| check.id == id)
        .unwrap()
        .outcome
}

#[test]
fn a_consistent_candidate_passes() {
    let comparison = world().compare();
    assert_eq!(comparison.mismatches, []);
    assert_eq!(comparison.warnings, ["w"]);
    assert_eq!(comparison.slot_meaning, SlotMeaning::ScheduledGenesis);
    assert_eq!(comparison.block_slot.unwrap().get(), 453_060);
    let not_run: Vec<&str> = comparison
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::NotRun)
        .map(|check| check.id.as_str())
        .collect();
    assert_eq!(
        not_run,
        [
            "root.staking.claimed",
            "root.next.claimed",
            "prefork.config"
        ]
    );
    let ids: std::collections::BTreeSet<_> =
        comparison.checks.iter().map(|check| &check.id).collect();
    assert_eq!(ids.len(), comparison.checks.len(), "identifiers are unique");
    assert!(comparison.into_result().is_ok());
}

#[test]
fn every_contradiction_is_reported() {
    let mut world = world();
    let other = |number| FieldBytes::from_u64(number);
    world.config.fork.state_hash = StateHash::new(other(91));
    world.config.fork.blockchain_length += 1;
    world.config.fork.global_slot_since_genesis = SlotSinceGenesis::new(1);
    world.config.ledger.claimed_root = Some(LedgerHash::new(other(92)));
    world.config.epochs.staking_seed = EpochSeed::new(other(93));
    world.config.epochs.next_seed = EpochSeed::new(other(94));
    for computed in &mut world.computed {
        computed.root = Some(LedgerHash::new(other(95)));
        computed.total_balance = Some(Amount::from_nanomina(1));
    }
    let chain = &mut world.network.chain;
    chain.genesis_state_hash = Some(StateHash::new(other(96)));
    chain.genesis_ledger_hash = Some(LedgerHash::new(other(97)));
    chain.genesis_state_timestamp = GenesisTimestamp::from_ms(0).unwrap();
    chain.k = 1;
    chain.delta = 1;
    chain.slots_per_epoch = 1;
    chain.slots_per_sub_window = 1;
    chain.grace_period_slots = Some(1);
    chain.fork_global_slot = SlotSinceGenesis::new(2);
    chain.era = fork_types::Era::Mesa;
    world.network.stop.slot_tx_end = Some(SlotSinceHardFork::new(7_200));
    world.block.protocol_state.body.consensus_state.epoch_count += 1;
    world.schedule.slot_since_hard_fork = SlotSinceHardFork::new(7_200);
    let comparison = world.compare();
    assert_eq!(
        ids(&comparison),
        [
            "block.state-hash",
            "block.length",
            "block.epoch-count",
            "fork.slot",
            "fork.timestamp",
            "seed.staking",
            "seed.next",
            "root.genesis.claimed",
            "root.genesis.computed",
            "root.staking.computed",
            "root.next.computed",
            "network.genesis-state-hash",
            "network.genesis-ledger-hash",
            "network.genesis-timestamp",
            "network.k",
            "network.delta",
            "network.slots-per-epoch",
            "network.slots-per-sub-window",
            "network.grace-period-slots",
            "network.fork-slot",
            "network.transaction-version",
            "block.slot-tx-end",
            "schedule.after-block",
        ]
    );
    assert_eq!(comparison.warnings.len(), 3, "{:?}", comparison.warnings);
    let error = comparison.into_result().unwrap_err();
    assert_eq!((error.class(), error.mismatches.len()), (Class::Wrong, 23));
    assert!(error.hint().is_some());
    assert!(error.to_string().contains("root of the staking ledger"));
}

#[test]
fn both_meanings_of_the_slot() {
    let mut world = world();
    let facts = world.block.facts();
    world.config.fork.global_slot_since_genesis = facts.global_slot_since_genesis;
    world.config.genesis_timestamp = None;
    let comparison = world.compare();
    assert_eq!(
        (ids(&comparison).len(), comparison.slot_meaning),
        (0, SlotMeaning::ForkBlock)
    );
    world.config.genesis_timestamp = GenesisTimestamp::from_ms(facts.timestamp_ms).ok();
    assert_eq!(ids(&world.compare()).len(), 0);
    world.config.genesis_timestamp = Some(world.schedule.genesis_timestamp);
    assert_eq!(ids(&world.compare()), ["fork.timestamp"]);
    let no_block = world.compare_with(|evidence| evidence.block = None);
    assert_eq!(no_block.slot_meaning, SlotMeaning::Unknown);
    assert_eq!(no_block.block_slot, None);
    world.config.fork.global_slot_since_genesis = world.schedule.global_slot_since_genesis;
    let no_block = world.compare_with(|evidence| evidence.block = None);
    assert_eq!(no_block.slot_meaning, SlotMeaning::ScheduledGenesis);
    assert_eq!(ids(&no_block).len(), 0);
    let no_schedule = world.compare_with(|evidence| evidence.schedule = None);
    assert_eq!(no_schedule.slot_meaning, SlotMeaning::ScheduledGenesis);
    assert_eq!(outcome(&no_schedule, "fork.slot"), Outcome::NotRun);
    world.config.fork.global_slot_since_genesis = SlotSinceGenesis::new(453_061);
    world.config.genesis_timestamp = None;
    assert_eq!(ids(&world.compare()), ["fork.slot"]);
}

#[test]
fn an_absent_next_epoch_needs_equal_epochs_in_the_block() {
    let mut world = world();
    world.config.epochs.next = None;
    world.config.epochs.next_seed = world.config.epochs.staking_seed;
    world.computed[2] = world.computed[1];
    assert_eq!(
        ids(&world.compare()),
        ["seed.next", "root.next.computed", "root.next.absent"]
    );
}

#[test]
fn expectations_and_claims_are_ranked() {
    let world = world();
    let wrong = LedgerHash::new(FieldBytes::from_u64(50));
    let expect = |evidence: &mut Evidence<'_>| {
        evidence.expected_roots[0] = Some(Expected {
            value: wrong,
            by: "--expect-root".to_owned(),
        });
    };
    let comparison = world.compare_with(expect);
    assert_eq!(ids(&comparison), ["root.genesis.expected"]);
    let comparison = world.compare_with(|evidence| {
        expect(evidence);
        evidence.block = None;
        assert_eq!(
            evidence.claimed_root(Role::Genesis).unwrap().by,
            "--expect-root"
        );
        assert_eq!(evidence.claimed_root(Role::Next), None);
    });
    assert_eq!(
        ids(&comparison),
        ["root.genesis.claimed", "root.genesis.computed"]
    );
    world.compare_with(|evidence| {
        evidence.block = None;
        assert_eq!(
            evidence.claimed_root(Role::Genesis).unwrap().by,
            BY_FORK_CONFIG
        );
    });
    let hashes = [Expected {
        value: StateHash::new(FieldBytes::from_u64(60)),
        by: "file name".to_owned(),
    }];
    let lengths = [Expected {
        value: 7,
        by: "file name".to_owned(),
    }];
    let (facts, config) = (world.block.facts(), &world.config);
    let evidence = Evidence {
        network: &world.network,
        block: Some(&facts),
        block_problems: &[],
        expected_state_hashes: &hashes,
        expected_lengths: &lengths,
        import: Some(Import::ForkConfig(config)),
        computed: world.computed,
        expected_roots: [const { None }; 3],
        prefork: None,
        schedule: None,
    };
    assert_eq!(
        ids(&compare(&evidence)),
        ["block.expected-state-hash", "block.expected-length"]
    );
    let evidence = Evidence {
        block: None,
        ..evidence
    };
    assert_eq!(
        ids(&compare(&evidence)),
        ["block.expected-state-hash", "block.expected-length"]
    );
}

#[test]
fn mesa_blocks_are_not_called_wrong() {
    let mut world = world();
    world.config.fork.state_hash = StateHash::new(FieldBytes::from_u64(70));
    world.block.protocol_version.as_mut().unwrap().transaction = 4;
    world.block.file_version = Some(4);
    world.network.chain.era = fork_types::Era::Mesa;
    let comparison = world.compare();
    assert_eq!(comparison.mismatches, []);
    assert_eq!(outcome(&comparison, "block.state-hash"), Outcome::NotRun);
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("not verified for Mesa"))
    );
}

#[test]
fn only_a_genesis_block_can_have_the_hash_of_its_chain() {
    let mut world = world();
    world.config.fork.state_hash = world.block.protocol_state.body.genesis_state_hash;
    assert_eq!(ids(&world.compare()), ["block.state-hash"]);
    let state = &mut world.block.protocol_state.body.consensus_state;
    state.slot_since_hard_fork = SlotSinceHardFork::new(0);
    let comparison = world.compare();
    assert_eq!(outcome(&comparison, "block.state-hash"), Outcome::NotRun);
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("genesis block"))
    );
}

#[test]
fn prefork_configs_are_compared_with_the_network_file() {
    let mut world = world();
    let good = PreforkConfig {
        network_id: Some("devnet".to_owned()),
        genesis_timestamp: Some(world.network.chain.genesis_state_timestamp),
        fork: Some(ForkPoint {
            global_slot_since_genesis: SlotSinceGenesis::new(445_860),
            ..world.config.fork.clone()
        }),
        block_window_duration_ms: Some(180_000),
        ..PreforkConfig::default()
    };
    world.prefork = Some(good);
    let comparison = world.compare();
    assert_eq!(comparison.mismatches, []);
    let mut bad = PreforkConfig {
        network_id: Some("mainnet".to_owned()),
        genesis_timestamp: GenesisTimestamp::from_ms(0).ok(),
        block_window_duration_ms: Some(90_000),
        k: Some(1),
        fork: None,
        ..PreforkConfig::default()
    };
    bad.stop.slot_tx_end = Some(SlotSinceHardFork::new(7_000));
    world.prefork = Some(bad);
    let comparison = world.compare();
    assert_eq!(
        ids(&comparison),
        [
            "block.slot-tx-end",
            "prefork.network-id",
            "prefork.genesis-timestamp",
            "prefork.fork-slot",
            "prefork.slot-time",
            "prefork.k",
        ]
    );
    assert_eq!(comparison.warnings.len(), 2);
}

#[test]
fn replayer_outputs_are_compared_where_they_can_be() {
    let mut world = world();
    let replayer = ReplayerFacts {
        fork_state_hash: world.config.fork.state_hash,
        epoch_ledgers_state_hash: None,
        ledger: ledger(None),
        epochs: world.config.epochs.clone(),
        warnings: Vec::new(),
    };
    world.replayer = Some(replayer);
    let comparison = world.compare();
    assert_eq!(comparison.mismatches, []);
    assert_eq!(comparison.slot_meaning, SlotMeaning::Unknown);
    assert_eq!(outcome(&comparison, "block.state-hash"), Outcome::Passed);
    assert_eq!(outcome(&comparison, "block.length"), Outcome::NotRun);
    assert_eq!(
        outcome(&comparison, "root.genesis.computed"),
        Outcome::Passed
    );
}
