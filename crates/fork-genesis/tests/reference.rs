//! Real blocks and the real devnet fork config, where the shared data is at hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use fork_genesis::block::{HashRule, NameCheck, parse_file_name};
use fork_genesis::candidate::{ComputedLedger, Evidence, Import, compare};
use fork_genesis::epoch::{EpochPoint, EpochRule};
use fork_genesis::import::ImportError;
use fork_genesis::{Block, Network, Schedule, ScheduleInput, fork_config};
use fork_types::Role;
use fork_types::document::SlotMeaning;

/// A path below the shared data, if it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("FORKPACK_REQUIRE_SHARED").as_deref() != Ok("1"),
        "{name} is required and absent"
    );
    eprintln!("SKIPPED: {name} is not there; set FORKPACK_SHARED");
    None
}

#[test]
fn every_block_hashes_to_its_name() {
    let Some(root) = shared("reference-data/blocks") else {
        return;
    };
    let mainnet = Network::builtin("mainnet").unwrap().unwrap();
    let mut blocks = 0;
    let mut not_utf8 = 0;
    for directory in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let (height, state_hash) = parse_file_name(name).unwrap();
            let bytes = fs::read(&path).unwrap();
            not_utf8 += u32::from(std::str::from_utf8(&bytes).is_err());
            let block = Block::from_reader(&bytes[..]).unwrap();
            let facts = block.facts();
            assert_eq!(facts.check_name(state_hash), NameCheck::Matches, "{name}");
            assert_eq!(facts.state_hash, state_hash, "{name}");
            assert_eq!(facts.blockchain_length, height, "{name}");
            assert_eq!(facts.hash_rule, HashRule::Proved);
            assert!(!facts.is_genesis);
            let hard: Vec<_> = block
                .problems(Some(mainnet.chain.slot_ms))
                .into_iter()
                .filter(|problem| !problem.warning_only)
                .collect();
            assert_eq!(hard, [], "{name}");
            let written = serde_json::to_vec(&block.to_block_json()).unwrap();
            assert_eq!(Block::from_slice(&written).unwrap(), block, "{name}");
            if height > 300_000 {
                assert_eq!(
                    facts.chain_fork_slot(),
                    Some(mainnet.chain.fork_global_slot)
                );
                assert_is_mainnet(&mainnet, &block);
            }
            blocks += 1;
        }
    }
    assert_eq!((blocks, not_utf8), (39, 18));
}

/// A mainnet block is one of the mainnet described, and not one of devnet.
fn assert_is_mainnet(mainnet: &Network, block: &Block) {
    let facts = block.facts();
    let devnet = Network::builtin("devnet").unwrap().unwrap();
    let evidence = |network| Evidence {
        network,
        block: Some(&facts),
        block_problems: &[],
        expected_state_hashes: &[],
        expected_lengths: &[],
        import: None,
        computed: [ComputedLedger::default(); 3],
        expected_roots: [const { None }; 3],
        prefork: None,
        schedule: None,
    };
    assert_eq!(compare(&evidence(mainnet)).mismatches, []);
    assert_eq!(compare(&evidence(&devnet)).mismatches.len(), 4);
}

/// The epochs of every known block whose parent is known follow from the parent's, seeds included; and
/// the lock checkpoint of blocks that change the seed is their parent.
#[test]
fn epochs_follow_from_the_parent() {
    let Some(root) = shared("reference-data/blocks") else {
        return;
    };
    let mut points = HashMap::new();
    let mut locks = 0;
    for directory in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            let block = Block::from_slice(&bytes).unwrap();
            let body = &block.protocol_state.body;
            let consensus = &body.consensus_state;
            let facts = block.facts();
            let rule = EpochRule {
                slots_per_epoch: body.constants.slots_per_epoch,
                genesis_ledger_hash: body.blockchain_state.genesis_ledger_hash,
            };
            let point = EpochPoint {
                state_hash: facts.state_hash,
                slot: facts.slot_since_hard_fork,
                snarked_ledger_hash: facts.snarked_ledger_hash,
                last_vrf_output: consensus.last_vrf_output,
                staking: consensus.staking_epoch_data.clone(),
                next: consensus.next_epoch_data.clone(),
            };
            if point.slot.get() % rule.slots_per_epoch < rule.slots_per_epoch / 3 * 2 {
                assert_eq!(point.next.lock_checkpoint, facts.previous_state_hash);
                locks += 1;
            }
            points.insert(point.state_hash, (facts.previous_state_hash, rule, point));
        }
    }
    let mut pairs = 0;
    for (parent, rule, child) in points.values() {
        if let Some((_, _, parent)) = points.get(parent) {
            assert_eq!(rule.contradiction(parent, child), None);
            pairs += 1;
        }
    }
    assert_eq!((pairs, locks), (32, 39));
}

#[test]
fn the_devnet_fork_config_streams() {
    let Some(path) = shared("reference-data/devnet-hardfork-2024-04-full.json.gz") else {
        return;
    };
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap())
        .read_to_end(&mut text)
        .unwrap();
    let mut counts = [0_u32; 3];
    let facts = fork_config::read(&text[..], |role, index, account| {
        let count = match role {
            Role::Genesis => &mut counts[0],
            Role::Staking => &mut counts[1],
            Role::Next => &mut counts[2],
        };
        assert_eq!(*count, index);
        assert!(account.pk.is_some() && account.balance.is_some());
        *count += 1;
        Ok::<(), Infallible>(())
    })
    .unwrap();
    assert_eq!(counts, [10_703, 10_665, 10_681]);
    assert_eq!(Role::ALL.map(|role| facts.ledger(role).accounts), counts);
    assert_eq!(
        facts.warnings,
        [
            "the ledger object carries name `devnet` and num_accounts 6203, inherited from another \
          config; ignored, the list has 10703 accounts"
        ]
    );
    let network = Network::builtin("devnet-v1").unwrap().unwrap();
    let input = ScheduleInput {
        genesis_timestamp: facts.genesis_timestamp,
        ..ScheduleInput::default()
    };
    let schedule = Schedule::derive(&network.clock(), &input).unwrap();
    let comparison = compare(&Evidence {
        network: &network,
        block: None,
        block_problems: &[],
        expected_state_hashes: &[],
        expected_lengths: &[],
        import: Some(Import::ForkConfig(&facts)),
        computed: [ComputedLedger::default(); 3],
        expected_roots: [const { None }; 3],
        prefork: None,
        schedule: Some(&schedule),
    });
    assert_eq!(comparison.mismatches, []);
    assert_eq!(comparison.slot_meaning, SlotMeaning::ScheduledGenesis);
    let cut = fork_config::read(&text[..text.len() / 2], |_, _, _| Ok::<(), Infallible>(()));
    assert!(matches!(cut, Err(ImportError::Json { source, .. }) if source.is_eof()));
}
