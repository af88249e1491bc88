//! What holds from block to block on the way down, and archives that lack the bottom.

use fork_testkit::archive::ChainSpec;
use fork_types::document::{ArchiveCandidateDocument, Candidate};

use crate::candidates::canonical;
use crate::epochs::{made, network, worker};
use crate::support::{
    create, drop_database, execute, fresh, have_server, server, staged, write_list,
};

/// The network and the patch version of the protocol may change in the middle of a chain: ledgers of
/// the blocks before are found all the same.
#[test]
fn another_patch_version() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 47,
        height: 12,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    execute(
        &database,
        "INSERT INTO protocol_versions (id, transaction, network, patch) VALUES (9, 3, 0, 1); \
         UPDATE blocks SET protocol_version_id = 9 WHERE height >= 10",
    );
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let uri = server().uri(&database);
    let hash = canonical(&model, 11).state_hash.to_string();
    let run = worker(
        "candidate",
        &uri,
        &["--network", &network, "--state-hash", &hash],
    );
    assert_eq!(run.code(), 0, "{}", run.said());
    drop_database(&database);
}

/// Whatever the archive says of an epoch follows from the blocks below, so one value that is another is
/// found without the block file; with it, the file proves its own, and a warning stays.
#[test]
fn epochs_follow_from_block_to_block() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 48,
        height: 12,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let block = canonical(&model, 12);
    let hash = block.state_hash.to_string();
    let file = files.path().join(format!("made-up-12-{hash}.json"));
    std::fs::write(&file, &block.json).unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["--network", &*network, "--state-hash", &hash];
    let with_block = [&arguments[..], &["--block", file]].concat();
    let run = worker("candidate", &server().uri(&database), &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (origins, _) = fork_fs::read_document::<ArchiveCandidateDocument>(&run.out()).unwrap();
    let epochs = origins.epochs.unwrap();
    assert_eq!(
        (epochs.blocks, epochs.from_config, epochs.from_archive),
        (12, false, false)
    );
    let of = |height: u32, column: &str| {
        let id = canonical(&model, height).id;
        format!("(SELECT {column} FROM blocks WHERE id = {id})")
    };
    let (own, lower) = (of(12, "next_epoch_data_id"), of(3, "next_epoch_data_id"));
    let seed = format!(
        "UPDATE epoch_data SET seed = (SELECT seed FROM epoch_data WHERE id = {lower}) WHERE id = "
    );
    for (what, damage, at) in [
        ("the next seed of the block", format!("{seed}{own}"), 12),
        (
            "the next seed of a block below",
            format!("{seed}{}", of(7, "next_epoch_data_id")),
            7,
        ),
        (
            "the staking epoch of another block",
            format!(
                "UPDATE blocks SET staking_epoch_data_id = {} WHERE height = 12",
                of(2, "staking_epoch_data_id")
            ),
            12,
        ),
        (
            "a VRF output",
            format!(
                "UPDATE blocks SET last_vrf_output = {} WHERE height = 8 AND chain_status = \
                 'canonical'",
                of(7, "last_vrf_output")
            ),
            8,
        ),
        (
            "the snarked ledger that a new epoch takes over",
            format!(
                "UPDATE blocks SET snarked_ledger_hash_id = {} WHERE height = 10 AND \
                 chain_status <> 'orphaned'",
                of(9, "snarked_ledger_hash_id")
            ),
            11,
        ),
    ] {
        let copy = fresh("epochs");
        create(&copy, &database);
        execute(&copy, &damage);
        let run = worker("candidate", &server().uri(&copy), &arguments);
        let place = canonical(&model, at).state_hash;
        run.fails(
            4,
            &format!("the epochs of block {place} at height {at} do not follow"),
        );
        assert!(run.said().contains("--block"), "{what}: {}", run.said());
        // Where only a value of no ledger is wrong.
        if [7, 8].contains(&at) {
            let run = worker("candidate", &server().uri(&copy), &with_block);
            assert_eq!(run.code(), 0, "{what}: {}", run.said());
            let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
            let warned = candidate.warnings.iter();
            assert!(
                warned
                    .clone()
                    .any(|warning| warning.contains("do not follow")),
                "{what}: {:?}",
                candidate.warnings
            );
        }
        drop_database(&copy);
    }
    // The first block: what a config says of it counts, and without one the archive's word is marked.
    let config = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let uri = server().uri(&database);
    let right = config("right.json", "{}");
    let run = worker(
        "candidate",
        &uri,
        &[&arguments[..], &["--prefork-config", &right]].concat(),
    );
    assert_eq!(run.code(), 0, "{}", run.said());
    let [_, next] = block.epochs.seeds();
    let other = config(
        "other.json",
        &format!("{{\"epoch_data\": {{\"staking\": {{\"seed\": \"{next}\"}}}}}}"),
    );
    let wrong = [&arguments[..], &["--prefork-config", &other]].concat();
    worker("candidate", &uri, &wrong).fails(4, "the chain's first block");
    // A chain that began with a seed of its own.
    let genesis = model.blocks[0].id;
    execute(
        &database,
        &format!(
            "UPDATE epoch_data SET seed = '{next}' WHERE id = (SELECT staking_epoch_data_id FROM \
             blocks WHERE id = {genesis})"
        ),
    );
    let hash = canonical(&model, 4).state_hash.to_string();
    let run = worker(
        "candidate",
        &uri,
        &["--network", &network, "--state-hash", &hash],
    );
    assert_eq!(run.code(), 0, "{}", run.said());
    let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
    let warned = candidate.warnings.iter();
    assert!(
        warned
            .clone()
            .any(|warning| warning.contains("what the archive says")),
        "{:?}",
        candidate.warnings
    );
    drop_database(&database);
}

/// An archive without genesis accounts: every command says so with one exit code, and takes them from
/// a list, whose name stays in the documents.
#[test]
fn genesis_accounts_from_a_list() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 49,
        height: 12,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    execute(
        &database,
        "DELETE FROM accounts_accessed WHERE block_id = 1",
    );
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let list = files.path().join("genesis.json");
    write_list(&list, &model.genesis);
    let list = list.to_str().unwrap();
    let hash = canonical(&model, 11).state_hash.to_string();
    let inside = model
        .boundaries
        .iter()
        .find(|one| one.height > 3 && one.height < 8 && one.transactions < one.of && one.is_known)
        .unwrap();
    let root = inside.root.to_string();
    for (command, arguments) in [
        (
            "candidate",
            vec!["--network", &network, "--state-hash", &hash],
        ),
        (
            "snarked",
            vec!["--ledger-hash", &root, "--state-hash", &hash],
        ),
        ("staged", vec!["--state-hash", &hash]),
    ] {
        let run = worker(command, &uri, &arguments);
        run.fails(3, "no accounts of the genesis block");
        let run = worker(
            command,
            &uri,
            &[&arguments[..], &["--genesis-accounts", list]].concat(),
        );
        assert_eq!(run.code(), 0, "{command}: {}", run.said());
        if command == "candidate" {
            let (origins, _) =
                fork_fs::read_document::<ArchiveCandidateDocument>(&run.out()).unwrap();
            assert_eq!(origins.genesis_accounts.unwrap().name, "genesis.json");
            assert!(origins.accounts_from_list > 0);
            let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
            assert_eq!(candidate.sources.len(), 1);
        }
    }
    // What `staged` wrote of the genesis block is such a list.
    let (whole, _) = made(&spec);
    let genesis = model.blocks[0].state_hash.to_string();
    let run = staged(&server().uri(&whole), &["--state-hash", &genesis]);
    assert_eq!(run.code(), 0, "{}", run.said());
    let out = run.out();
    let arguments = [
        "--state-hash",
        &hash,
        "--genesis-accounts",
        out.to_str().unwrap(),
    ];
    let run = staged(&uri, &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    // And a directory of anything else is named.
    let nothing = files.path().to_str().unwrap();
    let arguments = ["--state-hash", &hash, "--genesis-accounts", nothing];
    staged(&uri, &arguments).fails(5, "none of candidate.json, ledger.json and");
    drop_database(&whole);
    drop_database(&database);
}

/// Arguments in each other's places: whatever is said of them, a password is not.
#[test]
fn no_message_has_a_password() {
    if !have_server() {
        return;
    }
    let secret = "postgresql://arch:hunter2@127.0.0.1:1/berk";
    let uri = server().uri("postgres");
    for arguments in [
        vec!["list", secret],
        vec!["list", "--archive-uri", &uri, "--password-file", secret],
        vec![
            "list",
            "--archive-uri",
            "postgresql://arch:hunter2/5@127.0.0.1/berk",
        ],
        vec![
            "list",
            "--archive-uri",
            "postgresql://arch:1hunter2?5@127.0.0.1/berk",
        ],
        vec!["list", "--archive-uri", secret],
        vec!["staged", "--height", secret, "--archive-uri", &uri],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_materialize-ledger"))
            .args(&arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
        assert!(!said.is_empty());
    }
}
