use fork_types::{Class, EpochSeed, Fault, FieldBytes, PublicKey};
use proptest::prelude::*;

use super::*;
use crate::protocol_state::{FeeExcess, LocalState, Sign, Signed, VrfOutput};

fn hash(number: u64) -> FieldBytes {
    FieldBytes::from_u64(number)
}

fn epoch(number: u64) -> EpochData {
    EpochData {
        ledger_hash: LedgerHash::new(hash(number)),
        total_currency: Amount::from_nanomina(number * 1000),
        seed: EpochSeed::new(hash(number + 1)),
        start_checkpoint: StateHash::new(hash(number + 2)),
        lock_checkpoint: StateHash::new(hash(number + 3)),
        epoch_length: 17,
    }
}

pub(crate) fn synthetic() -> SyntheticBlock {
    SyntheticBlock {
        previous_state_hash: StateHash::new(hash(1)),
        genesis_state_hash: StateHash::new(hash(2)),
        genesis_ledger_hash: LedgerHash::new(hash(3)),
        staged_ledger_hash: LedgerHash::new(hash(4)),
        snarked_ledger_hash: LedgerHash::new(hash(5)),
        blockchain_length: 1000,
        slot_since_hard_fork: SlotSinceHardFork::new(7_200),
        chain_fork_slot: SlotSinceGenesis::new(445_860),
        slot_ms: 180_000,
        constants: Constants {
            k: 290,
            slots_per_epoch: 7140,
            slots_per_sub_window: 7,
            grace_period_slots: 2160,
            delta: 0,
            genesis_state_timestamp_ms: 1_712_696_400_000,
        },
        staking_epoch: epoch(10),
        next_epoch: epoch(20),
        total_currency: Amount::from_nanomina(99),
        block_creator: PublicKey::new(hash(6), true),
        transaction_version: 3,
    }
}

fn text_of(block: &Block) -> String {
    serde_json::to_string(&block.to_block_json()).unwrap()
}

fn edited(from: &str, to: &str) -> Result<Block, BlockError> {
    let text = text_of(&synthetic().build().unwrap());
    assert!(text.contains(from), "{from}");
    Block::from_slice(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_synthetic_block_is_consistent_and_round_trips() {
    for (file_version, transaction_version) in [(Some(3), 3), (Some(4), 4), (None, 3)] {
        let mut block = SyntheticBlock {
            transaction_version,
            ..synthetic()
        }
        .build()
        .unwrap();
        block.file_version = file_version;
        assert_eq!(block.problems(Some(180_000)), []);
        assert_eq!(
            Block::from_slice(text_of(&block).as_bytes()).unwrap(),
            block
        );
        assert_eq!(
            Block::from_reader(text_of(&block).as_bytes()).unwrap(),
            block
        );
        let facts = block.facts();
        assert_eq!(facts.check_name(facts.state_hash), NameCheck::Matches);
        assert_eq!(
            facts.chain_fork_slot(),
            Some(SlotSinceGenesis::new(445_860))
        );
        let other = StateHash::new(hash(77));
        let expected = if transaction_version == 3 {
            NameCheck::Differs
        } else {
            NameCheck::UnverifiedForMesa
        };
        assert_eq!(facts.check_name(other), expected);
    }
}

proptest! {
    #[test]
    fn any_block_round_trips(
        numbers in prop::array::uniform16(any::<u64>()),
        flags in prop::array::uniform8(any::<bool>()),
        mut vrf: [u8; 32],
        bytes: [u8; 32],
        densities in prop::array::uniform11(any::<u32>()),
    ) {
        let mut block = synthetic().build().unwrap();
        vrf[31] &= 0x1f;
        let body = &mut block.protocol_state.body;
        let sign = |negative| if negative { Sign::Negative } else { Sign::Positive };
        let signed = |number, negative| Signed {
            magnitude: Amount::from_nanomina(number),
            sign: sign(negative),
        };
        let consensus = &mut body.consensus_state;
        consensus.last_vrf_output = VrfOutput::new(vrf).unwrap();
        consensus.sub_window_densities = densities;
        consensus.blockchain_length = numbers[0] as u32;
        consensus.total_currency = Amount::from_nanomina(numbers[1]);
        consensus.has_ancestor_in_same_checkpoint_window = flags[0];
        consensus.supercharge_coinbase = flags[1];
        let blockchain = &mut body.blockchain_state;
        blockchain.body_reference = bytes;
        blockchain.timestamp_ms = numbers[2];
        let statement = &mut blockchain.ledger_proof_statement;
        statement.supply_increase = signed(numbers[3], flags[2]);
        statement.fee_excess[1] = FeeExcess {
            token: fork_types::TokenId::new(hash(numbers[4])),
            amount: signed(numbers[5], flags[3]),
        };
        statement.source.local_state = LocalState {
            stack_frame: hash(numbers[6]),
            call_stack: hash(numbers[7]),
            transaction_commitment: hash(numbers[8]),
            full_transaction_commitment: hash(numbers[9]),
            excess: signed(numbers[10], flags[4]),
            supply_increase: signed(numbers[11], flags[5]),
            ledger: LedgerHash::new(hash(numbers[12])),
            success: flags[6],
            account_update_index: numbers[13] as u32,
            will_succeed: flags[7],
        };
        let before = block.facts().state_hash;
        prop_assert_eq!(&Block::from_slice(text_of(&block).as_bytes()).unwrap(), &block);
        // Every value enters the hash.
        block.protocol_state.body.blockchain_state.ledger_proof_statement.source.local_state
            .account_update_index ^= 1;
        prop_assert_ne!(block.facts().state_hash, before);
    }
}

#[test]
fn defects_name_their_path() {
    let path_of = |error: &BlockError| match error {
        BlockError::Missing { path }
        | BlockError::Id { path, .. }
        | BlockError::Malformed { path, .. }
        | BlockError::ListLength { path, .. } => path.clone(),
        other => panic!("{other:?}"),
    };
    let consensus = "data.protocol_state.body.consensus_state.";
    for (from, to, path) in [
        (
            "\"blockchain_length\":\"1000\"",
            "\"x\":1",
            "blockchain_length",
        ),
        (
            "\"blockchain_length\":\"1000\"",
            "\"blockchain_length\":\"+1\"",
            "blockchain_length",
        ),
        (
            "\"blockchain_length\":\"1000\"",
            "\"blockchain_length\":\"4294967296\"",
            "blockchain_length",
        ),
        (
            "\"blockchain_length\":\"1000\"",
            "\"blockchain_length\":null",
            "blockchain_length",
        ),
        ("[\"7\",", "[", "sub_window_densities"),
        ("[\"7\",", "[\"-7\",", "sub_window_densities"),
        ("AAAAAA=", "AAAACA=", "last_vrf_output"),
        ("AAAAAA=\"", "AAAAAA\"", "last_vrf_output"),
    ] {
        let error = edited(from, to).unwrap_err();
        assert_eq!(path_of(&error), format!("{consensus}{path}"), "{error}");
        assert_eq!(error.class(), Class::BadInput);
    }
    let below = "data.protocol_state.body.blockchain_state.";
    for (from, to, path) in [
        (
            "\"aux_hash\":\"",
            "\"aux_hash\":\"STAGED_LEDGER_NON_SNARK_AUX_HASH",
            "staged_ledger_hash.non_snark.aux_hash",
        ),
        (
            "[\"Pos\"]",
            "[\"pos\"]",
            "ledger_proof_statement.source.local_state.excess.sgn",
        ),
        (
            "[\"Pos\"]",
            "[\"Pos\",\"Pos\"]",
            "ledger_proof_statement.source.local_state.excess.sgn",
        ),
        (
            "\"0x0641662E",
            "\"0641662E",
            "ledger_proof_statement.source.local_state.stack_frame",
        ),
        (
            "\"0x0641662E",
            "\"0xF641662E",
            "ledger_proof_statement.source.local_state.stack_frame",
        ),
        (
            "\"fee_excess\":[",
            "\"fee_excess\":[{},",
            "ledger_proof_statement.fee_excess",
        ),
        (
            "\"body_reference\":\"0",
            "\"body_reference\":\"",
            "body_reference",
        ),
        (
            "\"token\":\"",
            "\"token\":\"1",
            "ledger_proof_statement.fee_excess[0].token",
        ),
    ] {
        let error = edited(from, to).unwrap_err();
        assert_eq!(path_of(&error), format!("{below}{path}"), "{error}");
    }
    let error = Block::from_slice(b"{}").unwrap_err();
    assert_eq!(path_of(&error), "protocol_state");
}

#[test]
fn bare_integers_and_unknown_members_are_read() {
    let block = edited(
        "\"blockchain_length\":\"1000\"",
        "\"blockchain_length\":1000",
    )
    .unwrap();
    assert_eq!(block, synthetic().build().unwrap());
    let block = edited(
        "\"epoch_length\":",
        "\"epochLength\":\"x\",\"epoch_length\":",
    )
    .unwrap();
    assert_eq!(block, synthetic().build().unwrap());
    let mut bytes = text_of(&synthetic().build().unwrap()).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b':').unwrap() + 1;
    bytes.splice(
        at..at,
        b"3,\"raw\":\"\xff\xfe\\u0012\",\"version\":"
            .iter()
            .copied(),
    );
    assert!(
        Block::from_slice(&bytes).is_err(),
        "a repeated member is an error"
    );
    let text = text_of(&synthetic().build().unwrap());
    let mut bytes = b"{\"raw\":[\"\xff\xfe\x80\\b\"],".to_vec();
    bytes.extend_from_slice(&text.as_bytes()[1..]);
    assert!(
        Block::from_slice(&bytes).is_ok(),
        "skipped strings need not be UTF-8"
    );
}

#[test]
fn other_protocols_are_unsupported_not_corrupt() {
    let error = edited("\"transaction\":3", "\"transaction\":2").unwrap_err();
    assert!(matches!(
        error,
        BlockError::UnsupportedTransactionVersion { found: 2 }
    ));
    assert!(error.hint().is_some());
    assert!(matches!(
        edited("\"version\":3", "\"version\":2"),
        Err(BlockError::UnsupportedFileVersion { found: 2 })
    ));
    let mut block = synthetic().build().unwrap();
    block.file_version = None;
    let text = text_of(&block).replace("curr_global_slot_since_hard_fork", "curr_global_slot");
    assert!(matches!(
        Block::from_slice(text.as_bytes()),
        Err(BlockError::UnsupportedV1)
    ));
}

#[test]
fn genesis_blocks_cannot_be_checked() {
    let block = SyntheticBlock {
        slot_since_hard_fork: SlotSinceHardFork::new(0),
        ..synthetic()
    }
    .build()
    .unwrap();
    let facts = block.facts();
    assert!(facts.is_genesis);
    assert_eq!(
        facts.check_name(facts.state_hash),
        NameCheck::GenesisCannotBeChecked
    );
    let later = synthetic().build().unwrap().facts();
    assert_eq!(
        later.check_name(later.genesis_state_hash),
        NameCheck::Differs
    );
}

#[test]
fn contradictions_are_all_reported() {
    let mut block = synthetic().build().unwrap();
    block.file_version = Some(4);
    block.scheduled_time_ms = Some(1);
    let body = &mut block.protocol_state.body;
    body.blockchain_state.timestamp_ms += 1;
    body.consensus_state.epoch_count = 2;
    body.consensus_state.slot_slots_per_epoch = 0;
    body.consensus_state.global_slot_since_genesis = SlotSinceGenesis::new(1);
    let ids: Vec<_> = block
        .problems(Some(180_000))
        .iter()
        .map(|problem| (problem.id, problem.warning_only))
        .collect();
    assert_eq!(
        ids,
        [
            ("block.epoch-count", false),
            ("block.slots-per-epoch", false),
            ("block.timestamp", true),
            ("block.slots", false),
            ("block.scheduled-time", false),
            ("block.file-version", true),
        ]
    );
}

#[test]
fn file_names() {
    let name = "mainnet-427394-3NLB7Qj1h9rBXrGhYsy1hXR6RtTVmV2fpaP1xE2vSGfZLzLuChru.json";
    assert_eq!(parse_file_name(name).unwrap().0, 427_394);
    assert_eq!(
        parse_file_name(&format!("mesa-mut-{}", &name[8..]))
            .unwrap()
            .0,
        427_394
    );
    assert_eq!(parse_file_name("mainnet-1-x.json"), None);
    assert_eq!(parse_file_name(&name[8..]), None);
}

#[test]
fn truncation_is_recognised() {
    let text = text_of(&synthetic().build().unwrap());
    let error = Block::from_slice(&text.as_bytes()[..text.len() / 2]).unwrap_err();
    assert!(error.hint().unwrap().contains("too early"));
}
