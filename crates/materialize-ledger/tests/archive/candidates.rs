//! Candidates: what is missing, what completes them, and what contradicts them.

use std::path::Path;

use fork_ledger::account::Account;
use fork_testkit::archive::{ChainBlock, ChainModel, ChainSpec};
use fork_types::document::{ArchiveCandidateDocument, Candidate};

use crate::epochs::{list_of, made, network, worker};
use crate::support::{create, drop_database, execute, fresh, have_server, server};

fn written(path: &Path, accounts: &[Account]) -> String {
    std::fs::write(path, list_of(accounts)).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn canonical(model: &ChainModel, height: u32) -> &ChainBlock {
    let mut blocks = model.blocks.iter();
    blocks
        .find(|block| block.height == height && block.status != "orphaned")
        .unwrap()
}

/// The next ledger of the blocks at heights 6 to 10 lies inside block 2, whose archive does not give
/// a receipt chain. The candidate waits for it, and a file completes it.
#[test]
fn what_is_missing_is_named_and_can_be_given() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 41,
        height: 12,
        unknown_at: Some(2),
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let boundary = &model.boundaries[0];
    assert_eq!((boundary.height, boundary.is_known), (2, false));
    let block = canonical(&model, 8);
    assert_eq!(block.epochs.ledgers()[1], boundary.root);
    let hash = block.state_hash.to_string();
    let arguments = ["--network", &*network, "--state-hash", &hash];
    let run = worker("candidate", &uri, &arguments);
    run.fails(
        3,
        &format!(
            "the archive lacks the next ledger: no block of the archive has the staged ledger {}",
            boundary.root
        ),
    );
    let inside = canonical(&model, 2);
    for part in [
        "inside those from height 2 to 3".to_owned(),
        format!("a tree ends in {} at height 2", inside.state_hash),
        "does not give an account's receipt chain".to_owned(),
        format!(
            "give the accounts of {} with --next-staking-ledger FILE",
            boundary.root
        ),
    ] {
        assert!(run.said().contains(&part), "{part}: {}", run.said());
    }

    let given = written(&files.path().join("next.json"), &boundary.accounts);
    let complete = [&arguments[..], &["--next-staking-ledger", &given]].concat();
    let run = worker("candidate", &uri, &complete);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
    let (origins, _) = fork_fs::read_document::<ArchiveCandidateDocument>(&run.out()).unwrap();
    assert_eq!(
        candidate.next_staking_ledger.computed_root,
        Some(boundary.root)
    );
    let source = origins.next_staking_ledger.file.unwrap();
    assert_eq!(source.name, "next.json");
    assert_eq!(candidate.sources, [source]);
    let list = std::fs::read(run.out().join("next_staking_ledger.json")).unwrap();
    assert_eq!(list, list_of(&boundary.accounts));

    // Another ledger is refused, and nothing stands in for what is missing.
    let other = written(&files.path().join("other.json"), &model.genesis);
    let wrong = [&arguments[..], &["--next-staking-ledger", &other]].concat();
    worker("candidate", &uri, &wrong).fails(4, "the next ledger of the fork block is");
    let wrong = [&arguments[..], &["--staking-ledger", &given]].concat();
    worker("candidate", &uri, &wrong).fails(4, "the staking ledger of the fork block is");

    // At height 11 it is the staking ledger, and the next one is another.
    let hash = canonical(&model, 11).state_hash.to_string();
    let arguments = ["--network", &*network, "--state-hash", &hash];
    worker("candidate", &uri, &arguments).fails(3, "with --staking-ledger FILE");
    let complete = [&arguments[..], &["--staking-ledger", &given]].concat();
    let run = worker("candidate", &uri, &complete);
    assert_eq!(run.code(), 0, "{}", run.said());
    drop_database(&database);
}

/// Epoch ledgers that a chain began with are in no block; one file is enough when both are the same.
#[test]
fn ledgers_a_chain_began_with() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 42,
        height: 4,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    // A chain whose epoch ledgers are not its genesis ledger, as after a fork.
    let first = &model.genesis[..20];
    let era = spec.era;
    let mut root = fork_ledger::merkle::RootBuilder::new(era, era.depth());
    let keys = fork_ledger::verification_key::VkHashCache::new();
    let leaves = fork_ledger::hash::hash_accounts(era, first, &keys).unwrap();
    root.extend_from_slice(&leaves).unwrap();
    let root = fork_ledger::merkle::ledger_hash(root.finish());
    execute(
        &database,
        &format!(
            "INSERT INTO snarked_ledger_hashes VALUES (1000, '{root}'); \
             UPDATE epoch_data SET ledger_hash_id = 1000"
        ),
    );
    let hash = canonical(&model, 4).state_hash.to_string();
    let arguments = ["--network", &*network, "--state-hash", &hash];
    let run = worker("candidate", &uri, &arguments);
    run.fails(
        3,
        "the archive lacks the staking ledger and the next ledger",
    );
    assert!(
        run.said().contains("the chain began with it"),
        "{}",
        run.said()
    );
    assert!(
        run.said().contains("the config this chain began with"),
        "{}",
        run.said()
    );
    let given = written(&files.path().join("epoch.json"), first);
    let complete = [&arguments[..], &["--staking-ledger", &given]].concat();
    let run = worker("candidate", &uri, &complete);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
    assert_eq!(
        candidate.staking_ledger.file,
        candidate.next_staking_ledger.file
    );
    let asked = ["--ledger-hash", &root.to_string(), "--height", "3"];
    worker("snarked", &uri, &asked).fails(3, "the chain began with it");
    drop_database(&database);
}

/// Everything the archive says of the block is held against the block file and the network file.
#[test]
fn the_block_file_and_the_network() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 43,
        height: 9,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let block = canonical(&model, 8);
    let hash = block.state_hash.to_string();
    let file = files.path().join(format!("made-up-8-{hash}.json"));
    std::fs::write(&file, &block.json).unwrap();
    let arguments = [
        "--network",
        &*network,
        "--state-hash",
        &hash,
        "--block",
        file.to_str().unwrap(),
    ];
    let run = worker("candidate", &server().uri(&database), &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
    assert!(candidate.fork_block.state_hash_recomputed);
    assert_eq!(candidate.staged_ledger.claimed_root.unwrap().by, "block");
    let written = std::fs::read(run.out().join("block.json")).unwrap();
    assert_eq!(written, block.json);

    let at = format!("WHERE id = {}", block.id);
    let wrong_seed = "INSERT INTO epoch_data SELECT 1000, \
                      (SELECT seed FROM epoch_data ORDER BY id LIMIT 1), ledger_hash_id, \
                      total_currency, start_checkpoint, lock_checkpoint, epoch_length \
                      FROM epoch_data WHERE id = (SELECT {column} FROM blocks {at}); \
                      UPDATE blocks SET {column} = 1000 {at}";
    for (damage, part) in [
        (
            "UPDATE blocks SET timestamp = timestamp::numeric + 1000 {at}",
            "time of the fork block",
        ),
        (
            "UPDATE blocks SET global_slot_since_genesis = global_slot_since_genesis + 1",
            "slot since genesis of the fork block",
        ),
        (
            "UPDATE blocks SET snarked_ledger_hash_id = 1 + snarked_ledger_hash_id {at}",
            "root of the snarked ledger",
        ),
        (
            &wrong_seed.replace("{column}", "next_epoch_data_id"),
            "seed of the next epoch",
        ),
        (
            "UPDATE blocks SET ledger_hash = (SELECT ledger_hash FROM blocks WHERE id = 3) {at}",
            "root of the genesis ledger",
        ),
        (
            "UPDATE blocks SET state_hash = '3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x' \
             WHERE id = 1; UPDATE blocks SET parent_hash = \
             '3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x' WHERE parent_id = 1",
            "genesis state hash of the chain",
        ),
        (
            "UPDATE blocks SET timestamp = timestamp::numeric + 180000 WHERE id = 1",
            "genesis time of the chain",
        ),
    ] {
        let copy = fresh("block");
        create(&copy, &database);
        execute(&copy, &damage.replace("{at}", &at));
        let run = worker("candidate", &server().uri(&copy), &arguments);
        run.fails(4, part);
        drop_database(&copy);
    }

    // The block of another height, and a chain of another clock.
    let other = canonical(&model, 7);
    let name = files.path().join("other.json");
    std::fs::write(&name, &other.json).unwrap();
    let uri = server().uri(&database);
    let wrong = [&arguments[..5], &[name.to_str().unwrap()]].concat();
    worker("candidate", &uri, &wrong).fails(4, "state hash of the fork block");
    let text = std::fs::read_to_string(&network).unwrap();
    for (from, to, part) in [
        (
            "slot_ms = 180000",
            "slot_ms = 90000",
            "time of the fork block's slot",
        ),
        (
            "fork_global_slot = 0",
            "fork_global_slot = 5",
            "fork slot of the chain",
        ),
        (
            "slot_tx_end = 60",
            "slot_tx_end = 20",
            "below slot_tx_end 20",
        ),
        (
            "era = \"berkeley\"\nslot_ms",
            "era = \"mesa\"\nslot_ms",
            "transaction version",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&network, text.replacen(from, to, 1)).unwrap();
        worker("candidate", &uri, &arguments[..4]).fails(4, part);
    }
    drop_database(&database);
}

/// A replayer that was right, one that was wrong in one account, and lists.
#[test]
fn comparisons_with_others() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 44,
        height: 10,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let block = canonical(&model, 9);
    let next = model
        .boundaries
        .iter()
        .find(|one| one.root == block.epochs.ledgers()[1]);
    let next = next.unwrap().accounts.clone();
    // The ledger after block 9, by the archive itself.
    let hash = block.state_hash.to_string();
    let run = worker("staged", &uri, &["--state-hash", &hash]);
    assert_eq!(run.code(), 0, "{}", run.said());
    let staged = std::fs::read_to_string(run.out().join("staged_ledger.json")).unwrap();
    let list = files.path().join("staged.json");
    std::fs::write(&list, &staged).unwrap();
    let same = ["--state-hash", &hash, "--compare", list.to_str().unwrap()];
    let run = worker("staged", &uri, &same);
    assert_eq!(run.code(), 0, "{}", run.said());

    let text = |accounts: &[Account]| String::from_utf8(list_of(accounts)).unwrap();
    let output = |state_hash: &str, staged: &str, next: Option<&[Account]>| {
        let next = next.map_or(String::new(), |next| {
            format!(
                ",\"next\":{{\"accounts\":{},\"seed\":\"{}\"}}",
                text(next),
                block.epochs.seeds()[1]
            )
        });
        let json = format!(
            "{{\"target_fork_state_hash\":\"{state_hash}\",\"target_genesis_ledger\":\
             {{\"accounts\":{staged}}},\"target_epoch_data\":{{\"staking\":{{\"accounts\":{},\
             \"seed\":\"{}\"}}{next}}}}}",
            text(&model.genesis),
            block.epochs.seeds()[0]
        );
        let path = files.path().join("replayer.json");
        std::fs::write(&path, json).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let compare = |file: &str| {
        let arguments = [
            "--network",
            &*network,
            "--state-hash",
            &hash,
            "--replayer-output",
            file,
        ];
        worker("candidate", &uri, &arguments)
    };
    let run = compare(&output(&hash, &staged, Some(&next)));
    assert_eq!(run.code(), 0, "{}", run.said());
    let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
    assert_eq!(candidate.sources[0].kind, "replayer-output");

    let mut wrong = next.clone();
    wrong[7].nonce += 1;
    let run = compare(&output(&hash, &staged, Some(&wrong)));
    run.fails(
        4,
        &format!(
            "account 7 ({}) of the next ledger differs",
            next[7].public_key
        ),
    );
    let shown = format!("nonce is {} in the archive's ledger", next[7].nonce);
    assert!(run.said().contains(&shown), "{}", run.said());
    let run = compare(&output(&hash, &staged, Some(&next[..next.len() - 1])));
    run.fails(
        4,
        &format!(
            "has {} accounts, and that of the archive {}",
            next.len() - 1,
            next.len()
        ),
    );
    wrong = next.clone();
    wrong.push(next[0].clone());
    compare(&output(&hash, &staged, Some(&wrong))).fails(4, "has more than");
    compare(&output(&hash, &staged, None)).fails(4, "has no next epoch");
    let other = canonical(&model, 8).state_hash.to_string();
    compare(&output(&other, &staged, Some(&next))).fails(4, "is about the fork block");
    compare(&output(&hash, "[", Some(&next))).fails(5, "could not compare with");

    let root = block.epochs.ledgers()[1].to_string();
    let list = written(&files.path().join("next.json"), &next[1..]);
    let arguments = [
        "--ledger-hash",
        &root,
        "--state-hash",
        &hash,
        "--compare",
        &list,
    ];
    worker("snarked", &uri, &arguments).fails(4, "account 0");
    drop_database(&database);
}

/// A row of the range that is wrong is not taken for a ledger that is not there.
#[test]
fn a_damaged_range() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 45,
        height: 12,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let boundary = model.boundaries.iter().find(|one| one.height == 7).unwrap();
    assert!(boundary.transactions < boundary.of);
    let tip = model.blocks.last().unwrap().state_hash.to_string();
    let root = boundary.root.to_string();
    let arguments = ["--ledger-hash", &*root, "--state-hash", &tip];
    // The block's own rows: those that the beginning of the block takes over are wrong.
    let block = canonical(&model, 7);
    let damage =
        |id: u32| format!("UPDATE accounts_accessed SET nonce = nonce + 1 WHERE block_id = {id}");
    execute(&database, &damage(block.id));
    worker("snarked", &uri, &arguments).fails(4, "cannot be had");
    execute(&database, &damage(block.id).replace("+ 1", "- 1"));
    // A candidate says which of its ledgers is wrong, and at which block.
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let copy = fresh("damaged");
    create(&copy, &database);
    let uri_of_copy = server().uri(&copy);
    let candidate = ["--network", &*network, "--state-hash", &tip];
    let tip_id = model.blocks.last().unwrap().id;
    execute(&copy, &damage(tip_id));
    let run = worker("candidate", &uri_of_copy, &candidate);
    run.fails(4, &format!("accounts after block {tip} hash to"));
    let first = format!("the first wrong block of the branch is {tip} at height 12");
    assert!(run.said().contains(&first), "{}", run.said());
    // Rows of a block far below: that block is named, not the fork block.
    execute(&copy, &damage(tip_id).replace("+ 1", "- 1"));
    let low = canonical(&model, 11);
    execute(&copy, &damage(low.id));
    let run = worker("candidate", &uri_of_copy, &candidate);
    run.fails(4, "hash to");
    let first = format!(
        "the first wrong block of the branch is {} at height 11",
        low.state_hash
    );
    assert!(run.said().contains(&first), "{}", run.said());
    execute(&copy, "DELETE FROM accounts_accessed WHERE block_id = 1");
    let run = worker("candidate", &uri_of_copy, &candidate);
    run.fails(3, "no accounts of the genesis block");
    drop_database(&copy);
    // A block of the range below it.
    let below = canonical(&model, 6);
    execute(&database, &damage(below.id));
    let run = worker("snarked", &uri, &arguments);
    run.fails(
        4,
        &format!("accounts after block {} hash to", below.state_hash),
    );
    drop_database(&database);
}

/// Each value that only the inside of a block takes is in the root: changed in the archive, the
/// ledger there is not found any more, and everything after the block is as before.
#[test]
fn every_effect_counts() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 51,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let tip = model.blocks.last().unwrap().state_hash.to_string();
    let mut harmed = 0;
    let boundary = |height: u32| {
        model
            .boundaries
            .iter()
            .find(|one| one.height == height)
            .unwrap()
    };
    for (what, damage) in [
        (
            "fee of a command",
            "UPDATE user_commands SET fee = fee::numeric + 1",
        ),
        (
            "amount of a payment",
            "UPDATE user_commands SET amount = amount::numeric + 1 WHERE command_type = 'payment'",
        ),
        (
            "nonce in a receipt",
            "UPDATE user_commands SET nonce = nonce + 1",
        ),
        (
            "last slot in a receipt",
            "UPDATE user_commands SET valid_until = coalesce(valid_until, 5) + 1",
        ),
        (
            "status of a command",
            "UPDATE blocks_user_commands SET status = (CASE status WHEN 'applied' THEN 'failed' \
             ELSE 'applied' END)::transaction_status",
        ),
        (
            "kind of a command",
            "UPDATE user_commands SET command_type = 'delegation'",
        ),
        (
            "receiver of an internal command",
            "UPDATE internal_commands SET receiver_id = (SELECT c.fee_payer_id FROM user_commands c \
             ORDER BY c.id LIMIT 1)",
        ),
        (
            "fee of an internal command",
            "UPDATE internal_commands SET fee = fee::numeric + 1",
        ),
        (
            "fee of a zkApp command",
            "UPDATE zkapp_fee_payer_body SET fee = fee::numeric + 1",
        ),
        (
            "fee of an account",
            "UPDATE accounts_created SET creation_fee = '7'",
        ),
        ("payer of a creation", "DELETE FROM accounts_created"),
        (
            "order of transactions",
            "UPDATE blocks_user_commands SET sequence_no = 1000 - sequence_no",
        ),
    ] {
        let copy = fresh("effect");
        create(&copy, &database);
        execute(&copy, damage);
        let uri = server().uri(&copy);
        let mut refused = 0;
        for height in 2..=10 {
            let boundary = boundary(height);
            if boundary.transactions == boundary.of {
                continue;
            }
            let root = boundary.root.to_string();
            let run = worker(
                "snarked",
                &uri,
                &["--ledger-hash", &root, "--state-hash", &tip],
            );
            if run.code() == 0 {
                // The value played no part at this place: the ledger is the same.
                let list = std::fs::read(run.out().join("snarked_ledger.json")).unwrap();
                assert!(
                    list == list_of(&boundary.accounts),
                    "{what} at height {height}"
                );
            } else {
                run.fails(4, "");
                refused += 1;
            }
        }
        assert!(refused > 0, "{what}");
        harmed += refused;
        drop_database(&copy);
    }
    assert!(harmed > 12, "{harmed}");
    drop_database(&database);
}
