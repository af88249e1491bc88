//! Ledgers known by their root: between blocks and inside them, and the candidates made of them.

use std::path::Path;
use std::process::Command;

use fork_testkit::archive::{ChainModel, ChainSpec, chain};
use fork_types::Era;
use fork_types::document::{ArchiveCandidateDocument, ArchiveLedgerDocument, Candidate};

use crate::support::{Run, create, execute, fresh, have_server, server};

/// A run of any of the worker's commands.
pub fn worker(command: &str, uri: &str, arguments: &[&str]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_materialize-ledger"))
        .args([command, "--archive-uri", uri, "--format", "json"])
        .arg("--output")
        .arg(directory.path().join("out"))
        .args(arguments)
        .output()
        .unwrap();
    Run { directory, output }
}

/// A made-up archive of transactions in a database of its own.
pub fn made(spec: &ChainSpec) -> (String, ChainModel) {
    let model = chain(spec).unwrap();
    let name = fresh("chain");
    create(&name, "template0");
    execute(&name, &model.sql);
    (name, model)
}

/// The description of the network of a made-up archive, in a file.
pub fn network(directory: &Path, spec: &ChainSpec) -> String {
    let path = directory.join("made-up.toml");
    std::fs::write(&path, spec.network_toml()).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn list_of(accounts: &[fork_ledger::account::Account]) -> Vec<u8> {
    let mut text = b"[".to_vec();
    for (index, account) in accounts.iter().enumerate() {
        text.extend(if index == 0 { &b"\n"[..] } else { b",\n" });
        fork_ledger::json::write_account_json(account, &mut text);
    }
    text.extend(b"\n]\n");
    text
}

/// Every boundary below the tip is found, whether it lies between blocks or inside one, and the
/// accounts are those of the model.
fn every_boundary(spec: &ChainSpec) {
    let (database, model) = made(spec);
    let uri = server().uri(&database);
    let tip = model.blocks.last().unwrap();
    let mut kinds = [0; 3];
    for boundary in &model.boundaries {
        let arguments = [
            "--ledger-hash",
            &boundary.root.to_string(),
            "--state-hash",
            &tip.state_hash.to_string(),
        ];
        let run = worker("snarked", &uri, &arguments);
        let is_whole = boundary.transactions == boundary.of;
        let is_snarked = boundary.height + spec.lag <= tip.height;
        let place = format!("height {}: {}", boundary.height, run.said());
        if !is_whole && !is_snarked {
            assert_eq!(run.code(), 3, "{place}");
            continue;
        }
        if !boundary.is_known {
            run.fails(4, "does not give an account's receipt chain");
            assert!(run.said().contains("a tree ends in"), "{place}");
            continue;
        }
        assert_eq!(run.code(), 0, "{place}");
        let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(&run.out()).unwrap();
        assert_eq!(document.root, boundary.root);
        assert_eq!(document.block.blockchain_length, boundary.height, "{place}");
        let inside = document
            .inside
            .map(|one| (one.transactions, one.of, one.by_order));
        let expected = (boundary.transactions, boundary.of, boundary.by_order);
        assert_eq!(inside, (!is_whole).then_some(expected), "{place}");
        let written = std::fs::read(run.out().join("snarked_ledger.json")).unwrap();
        assert!(written == list_of(&boundary.accounts), "{place}");
        kinds[match (is_whole, boundary.by_order) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 2), "{kinds:?}");
}

#[test]
fn boundaries_of_berkeley() {
    if have_server() {
        every_boundary(&ChainSpec::default());
    }
}

#[test]
fn boundaries_of_mesa() {
    if have_server() {
        every_boundary(&ChainSpec {
            era: Era::Mesa,
            seed: 2,
            unknown_at: Some(13),
            ..ChainSpec::default()
        });
    }
}

#[test]
fn boundaries_of_berkeley_in_tables_of_mesa() {
    if have_server() {
        every_boundary(&ChainSpec {
            wide: true,
            seed: 3,
            lag: 5,
            ..ChainSpec::default()
        });
    }
}

/// Every block of the archive becomes a candidate with its own three ledgers, or is refused because
/// one of them is not in the archive.
#[test]
fn candidates_of_every_block() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        seed: 4,
        ..ChainSpec::default()
    };
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let mut inside = 0;
    let every_other = model.blocks.iter().step_by(2);
    for block in every_other.filter(|block| block.slot < 60) {
        let hash = block.state_hash.to_string();
        let arguments = ["--network", &network, "--state-hash", &hash];
        let run = worker("candidate", &uri, &arguments);
        assert_eq!(run.code(), 0, "height {}: {}", block.height, run.said());
        let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
        let (origins, _) = fork_fs::read_document::<ArchiveCandidateDocument>(&run.out()).unwrap();
        assert_eq!(candidate.fork_block.state_hash, block.state_hash);
        assert_eq!(candidate.fork_block.blockchain_length, block.height);
        assert!(!candidate.fork_block.state_hash_recomputed);
        assert_eq!(
            [candidate.seeds.staking, candidate.seeds.next],
            block.epochs.seeds()
        );
        let [staking, next] = block.epochs.ledgers();
        for (ledger, origin, root) in [
            (
                &candidate.staged_ledger,
                &origins.staged_ledger,
                block.ledger_hash,
            ),
            (&candidate.staking_ledger, &origins.staking_ledger, staking),
            (
                &candidate.next_staking_ledger,
                &origins.next_staking_ledger,
                next,
            ),
        ] {
            assert_eq!(ledger.computed_root, Some(root));
            assert_eq!(ledger.claimed_root.as_ref().unwrap().root, root);
            assert_eq!(origin.root, root);
            fork_fs::verify_file_ref(&run.out(), &ledger.file).unwrap();
            inside += u32::from(origin.inside.is_some());
        }
    }
    assert!(inside > 2, "{inside}");
}
