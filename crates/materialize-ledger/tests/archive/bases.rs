//! Genesis accounts in each form they come in.

use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::Rule;
use fork_ledger::verification_key::VkHashCache;
use fork_store::{LedgerStoreWriter, tarball_name, write_tarball};
use fork_testkit::archive::{ArchiveModel, ArchiveSpec};
use fork_types::document::{
    ArchiveLedgerDocument, Candidate, CandidateLedger, Document, EpochSeeds, FileRef, ForkBlock,
};
use fork_types::{EpochSeed, Era, FieldBytes};

use crate::support::{execute, generated, have_server, server, staged, write_list};

fn tree(era: Era, accounts: &[Account]) -> MerkleTree {
    let leaves = hash_accounts(era, accounts, &VkHashCache::new()).unwrap();
    MerkleTree::new(era, era.depth(), leaves).unwrap()
}

/// An archive without genesis rows.
fn bare(seed: u64) -> (String, ArchiveModel) {
    let (database, model) = generated(&ArchiveSpec {
        seed,
        height: 6,
        ..ArchiveSpec::default()
    });
    execute(
        &database,
        "DELETE FROM accounts_accessed WHERE block_id = 1",
    );
    (database, model)
}

/// The tip is what it was, with these genesis accounts.
#[track_caller]
fn gives_the_tip(database: &str, model: &ArchiveModel, file: &Path) {
    let tip = model.blocks.last().unwrap();
    let hash = tip.state_hash.to_string();
    let arguments = [
        "--state-hash",
        &hash,
        "--genesis-accounts",
        file.to_str().unwrap(),
    ];
    let run = staged(&server().uri(database), &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(&run.out()).unwrap();
    assert_eq!(document.root, tip.ledger_hash);
    assert!(document.accounts_from_list > 0);
    let left: Vec<_> = std::fs::read_dir(run.directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[track_caller]
fn is_refused(database: &str, model: &ArchiveModel, file: &Path, code: i32, part: &str) {
    let hash = model.blocks[0].state_hash.to_string();
    let arguments = [
        "--state-hash",
        &hash,
        "--genesis-accounts",
        file.to_str().unwrap(),
    ];
    staged(&server().uri(database), &arguments).fails(code, part);
}

fn config(accounts: &[Account], members: &str) -> String {
    let mut list = Vec::new();
    for (index, account) in accounts.iter().enumerate() {
        list.extend_from_slice(if index == 0 { b"" } else { b",\n" });
        write_account_json(account, &mut list);
    }
    format!(
        "{{\"genesis\": {{}}, \"ledger\": {{{members} \"accounts\": [{}]}}, \
         \"epoch_data\": {{\"staking\": {{\"accounts\": []}}}}}}",
        String::from_utf8(list).unwrap()
    )
}

#[test]
fn of_a_configuration() {
    if !have_server() {
        return;
    }
    let (database, model) = bare(81);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("daemon.json");
    let text = config(&model.genesis, "\"add_genesis_winner\": false,");
    std::fs::write(&file, text).unwrap();
    gives_the_tip(&database, &model, &file);
    // A daemon would put the winner of the first block in front.
    std::fs::write(&file, config(&model.genesis[1..], "")).unwrap();
    is_refused(&database, &model, &file, 4, "the 40 accounts of");
    std::fs::write(&file, "{\"ledger\": {\"name\": \"mainnet\"}}").unwrap();
    is_refused(&database, &model, &file, 5, "neither accounts nor the hash");
    std::fs::write(&file, "{\"ledger\": ").unwrap();
    is_refused(&database, &model, &file, 5, "cannot be read");
}

#[test]
fn of_a_tarball() {
    if !have_server() {
        return;
    }
    let (database, model) = bare(82);
    let directory = tempfile::tempdir().unwrap();
    let root = model.blocks[0].ledger_hash;
    let era = Era::Berkeley;
    let pack = |accounts: &[Account], target: &Path| {
        let store = directory.path().join("store");
        let mut writer = LedgerStoreWriter::create_scratch(&store, era.depth()).unwrap();
        writer.push_accounts(era, accounts, None).unwrap();
        writer.finish(&tree(era, accounts)).unwrap();
        write_tarball(&store, target).unwrap();
        std::fs::remove_dir_all(&store).unwrap();
    };
    // The configuration of a fork names root and tarball.
    let file = directory.path().join("config.json");
    let text = format!("{{\"ledger\": {{\"hash\": \"{root}\", \"s3_data_hash\": \"00\"}}}}");
    std::fs::write(&file, text).unwrap();
    is_refused(&database, &model, &file, 5, "beside it");
    let tarball = directory
        .path()
        .join(tarball_name("genesis_ledger", &root, era));
    pack(&model.genesis, &tarball);
    gives_the_tip(&database, &model, &tarball);
    gives_the_tip(&database, &model, &file);
    pack(&model.genesis[..39], &tarball);
    is_refused(&database, &model, &tarball, 4, "the 39 accounts of");
    std::fs::write(&tarball, "no tarball").unwrap();
    is_refused(&database, &model, &tarball, 5, "genesis_ledger_");
}

/// A candidate directory, as far as its staged ledger goes.
fn candidate(directory: &Path, era: Era, accounts: &[Account]) {
    write_list(&directory.join("staged_ledger.json"), accounts);
    let file = || FileRef {
        name: "staged_ledger.json".to_owned(),
        sha256: "0".repeat(64),
        bytes: 0,
    };
    let ledger = || CandidateLedger {
        file: file(),
        accounts: accounts.len() as u32,
        claimed_root: None,
        computed_root: None,
        total_balance_nanomina: "0".to_owned(),
    };
    let seed = EpochSeed::new(FieldBytes::ZERO);
    let document = Candidate {
        format: Candidate::format(),
        version: Candidate::version(),
        network: "test".to_owned(),
        source_era: era,
        fork_block: ForkBlock {
            state_hash: fork_types::StateHash::new(FieldBytes::ZERO),
            state_hash_recomputed: false,
            blockchain_length: 1,
            global_slot_since_genesis: None,
            slot_since_hard_fork: None,
            timestamp_ms: None,
            chain_genesis_timestamp_ms: None,
        },
        scheduled: Some(fork_types::document::ScheduledGenesis {
            global_slot_since_genesis: fork_types::SlotSinceGenesis::new(SLOT),
            meaning: fork_types::document::SlotMeaning::ScheduledGenesis,
            genesis_state_timestamp: None,
        }),
        seeds: EpochSeeds {
            staking: seed,
            next: seed,
        },
        staged_ledger: ledger(),
        staking_ledger: ledger(),
        next_staking_ledger: ledger(),
        block: None,
        sources: Vec::new(),
        checks: Vec::new(),
        warnings: Vec::new(),
        selection: None,
    };
    let text = serde_json::to_vec(&document).unwrap();
    std::fs::write(directory.join(Candidate::FILE_NAME), text).unwrap();
}

/// Slot of the fork that candidates of these tests are for.
const SLOT: u32 = 300_000;

#[test]
fn of_a_candidate() {
    if !have_server() {
        return;
    }
    let (database, model) = bare(83);
    let directory = tempfile::tempdir().unwrap();
    candidate(directory.path(), Era::Berkeley, &model.genesis);
    gives_the_tip(&database, &model, directory.path());
    candidate(directory.path(), Era::Berkeley, &model.genesis[1..]);
    is_refused(&database, &model, directory.path(), 4, "the 39 accounts of");
}

/// The chain began with the candidate's accounts as the fork made them.
#[test]
fn of_a_candidate_of_the_era_before() {
    if !have_server() {
        return;
    }
    let (database, mut model) = generated(&ArchiveSpec {
        seed: 84,
        height: 1,
        wide: true,
        ..ArchiveSpec::default()
    });
    let slot = Some(fork_types::SlotSinceGenesis::new(SLOT));
    let rule = Rule::from_pair(Era::Berkeley, Era::Mesa, None, slot).unwrap();
    let migrated = model
        .genesis
        .iter()
        .map(|account| rule.migrate(account).unwrap().0);
    let migrated: Vec<Account> = migrated.collect();
    let root = ledger_hash(tree(Era::Mesa, &migrated).root());
    execute(
        &database,
        &format!(
            "DELETE FROM accounts_accessed; UPDATE protocol_versions SET transaction = 4; \
             UPDATE blocks SET ledger_hash = '{root}'"
        ),
    );
    model.blocks[0].ledger_hash = root;
    let directory = tempfile::tempdir().unwrap();
    candidate(directory.path(), Era::Berkeley, &model.genesis);
    gives_the_tip(&database, &model, directory.path());
    candidate(directory.path(), Era::Mesa, &migrated);
    gives_the_tip(&database, &model, directory.path());
}
