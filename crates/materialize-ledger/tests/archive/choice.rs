//! Lists of blocks, and the fork block chosen among them.

use std::process::{Command, Output};

use fork_testkit::archive::{ChainBlock, ChainModel, ChainSpec};
use fork_types::document::{ArchiveBlocksDocument, ChosenBy, SelectionDocument};

use crate::epochs::{made, network, worker};
use crate::support::{drop_database, execute, have_server, server};

/// A run of a command that writes nothing but its answer.
fn asked(command: &str, uri: &str, arguments: &[&str]) -> (i32, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_materialize-ledger"))
        .args([command, "--archive-uri", uri])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Blocks above one, by the model.
fn above(model: &ChainModel, block: &ChainBlock) -> u32 {
    let children = model
        .blocks
        .iter()
        .filter(|child| child.parent_hash == block.state_hash && child.height > block.height);
    children
        .map(|child| 1 + above(model, child))
        .max()
        .unwrap_or(0)
}

#[test]
fn lists() {
    if !have_server() {
        return;
    }
    let (database, model) = made(&ChainSpec {
        seed: 31,
        height: 12,
        ..ChainSpec::default()
    });
    let uri = server().uri(&database);
    let (code, output) = asked("list", &uri, &["--format", "json"]);
    assert_eq!(code, 0, "{}", said(&output));
    let document: ArchiveBlocksDocument = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document.blocks.len(), model.blocks.len());
    assert!(!document.has_more);
    let heights: Vec<u32> = document
        .blocks
        .iter()
        .map(|one| one.blockchain_length)
        .collect();
    assert!(heights.is_sorted_by(|a, b| a >= b), "{heights:?}");
    for block in &model.blocks {
        let listed = document
            .blocks
            .iter()
            .find(|one| one.state_hash == block.state_hash);
        let listed = listed.unwrap();
        assert_eq!(listed.blockchain_length, block.height);
        assert_eq!(listed.status, block.status);
        assert_eq!(listed.slot_since_hard_fork.get(), block.slot);
        assert_eq!(listed.commands, block.commands, "height {}", block.height);
        assert_eq!(listed.staged_ledger_hash, block.ledger_hash);
        assert_eq!(listed.snarked_ledger_hash, block.snarked);
        assert_eq!(
            [listed.staking_ledger_hash, listed.next_ledger_hash],
            block.epochs.ledgers()
        );
        assert_eq!(
            listed.confirmations,
            above(&model, block),
            "height {}",
            block.height
        );
        assert_eq!(
            listed.account_rows > 0,
            block.commands > 0 || block.height == 1
        );
    }
    let range = [
        "--from-height",
        "3",
        "--to-height",
        "6",
        "--limit",
        "2",
        "--format",
        "json",
    ];
    let (_, output) = asked("list", &uri, &range);
    let document: ArchiveBlocksDocument = serde_json::from_slice(&output.stdout).unwrap();
    let heights: Vec<u32> = document
        .blocks
        .iter()
        .map(|one| one.blockchain_length)
        .collect();
    assert_eq!((heights, document.has_more), (vec![6, 5], true));
    let (_, output) = asked("list", &uri, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().next().unwrap().contains("state hash"),
        "{text}"
    );
    assert!(
        text.contains(&model.blocks[3].state_hash.to_string()),
        "{text}"
    );
    // A parent that is gone interrupts the count, and nothing else.
    let middle = model.blocks.iter().find(|block| block.height == 8).unwrap();
    execute(
        &database,
        &format!("DELETE FROM blocks WHERE id = {}", middle.id),
    );
    let (_, output) = asked("list", &uri, &["--format", "json"]);
    let document: ArchiveBlocksDocument = serde_json::from_slice(&output.stdout).unwrap();
    let seventh = document
        .blocks
        .iter()
        .find(|one| one.blockchain_length == 7);
    assert_eq!(seventh.unwrap().confirmations, 0);
    drop_database(&database);
}

/// Slot 30 ends the transactions: the fork block is that at height 10. The chain runs on to slot 87.
fn ending(seed: u64) -> ChainSpec {
    ChainSpec {
        seed,
        height: 30,
        empty_from: 11,
        ..ChainSpec::default()
    }
}

const STOP: [&str; 4] = ["--slot-tx-end", "30", "--slot-chain-end", "90"];

#[test]
fn the_rule_chooses() {
    if !have_server() {
        return;
    }
    let spec = ending(32);
    let (database, model) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let select = |more: &[&str]| {
        let mut arguments = vec!["--network", &*network, "--format", "json"];
        arguments.extend(STOP);
        arguments.extend(more);
        let (code, output) = asked("select", &uri, &arguments);
        let document = serde_json::from_slice::<SelectionDocument>(&output.stdout).ok();
        (code, document, said(&output))
    };
    let fork = model
        .blocks
        .iter()
        .find(|block| block.height == 10 && block.status == "canonical")
        .unwrap();
    // Two highest blocks, one of them orphaned, on the same fork block: no tie.
    let (code, document, text) = select(&[]);
    assert_eq!(code, 0, "{text}");
    let document = document.unwrap();
    let chosen = document.chosen.unwrap();
    assert_eq!(chosen.state_hash, fork.state_hash);
    assert_eq!((chosen.by, chosen.confirmations), (ChosenBy::Rule, 20));
    assert!(
        document
            .warnings
            .iter()
            .any(|one| one.contains("every block of the network"))
    );
    // What it says is what `candidate` takes.
    let hash = chosen.state_hash.to_string();
    let run = worker(
        "candidate",
        &uri,
        &["--network", &network, "--state-hash", &hash],
    );
    assert_eq!(run.code(), 0, "{}", run.said());
    let (code, output) = asked(
        "select",
        &uri,
        &[&["--network", &network][..], &STOP].concat(),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(code, 0);
    assert!(text.contains(&format!("--state-hash {hash}")), "{text}");

    // Before the end of the chain nothing is certain.
    let (code, document, text) = select(&["--clock-slot", "60"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("30 slots until slot_chain_end 90"), "{text}");
    assert!(document.unwrap().chosen.is_none());
    let (code, _, text) = select(&["--confirmations", "21"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("has 20 of 21 confirmations"), "{text}");
    // People decide otherwise.
    let other = model.blocks.iter().find(|block| block.height == 9).unwrap();
    let (code, document, text) = select(&["--state-hash", &other.state_hash.to_string()]);
    assert_eq!(code, 0, "{text}");
    let document = document.unwrap();
    let chosen = document.chosen.unwrap();
    assert_eq!(
        (chosen.state_hash, chosen.by),
        (other.state_hash, ChosenBy::HumanOverride)
    );
    assert!(
        document
            .problems
            .iter()
            .any(|one| one.contains("the rule points at"))
    );
    // One far below the end of transactions has its confirmations all the same.
    let low = model.blocks.iter().find(|block| block.height == 4).unwrap();
    let (code, document, text) = select(&["--state-hash", &low.state_hash.to_string()]);
    assert_eq!(code, 0, "{text}");
    let chosen = document.unwrap().chosen.unwrap();
    assert_eq!(
        (chosen.state_hash, chosen.confirmations),
        (low.state_hash, 26)
    );
    // A chain of another network is not judged by this one's rule.
    let (code, output) = asked(
        "select",
        &uri,
        &[&["--network", "mainnet"][..], &STOP].concat(),
    );
    assert_eq!(code, 4, "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("genesis state hash of the chain"), "{text}");
    let (code, _, text) = select(&[
        "--state-hash",
        "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x",
    ]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("is unknown"), "{text}");
    // A transaction after the end.
    let late = model
        .blocks
        .iter()
        .find(|block| block.height == 20 && block.status == "canonical");
    let copied = format!(
        "INSERT INTO blocks_user_commands SELECT {}, user_command_id, 0, status \
         FROM blocks_user_commands LIMIT 1",
        late.unwrap().id
    );
    execute(&database, &copied);
    let (code, _, text) = select(&[]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("is not empty: 1 commands"), "{text}");
    // A block of the branch that is gone.
    execute(
        &database,
        &format!("DELETE FROM blocks WHERE id = {}", other.id),
    );
    let (code, _, text) = select(&[]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("does not reach a genesis"), "{text}");
    drop_database(&database);
}

#[test]
fn ties_and_missing_numbers() {
    if !have_server() {
        return;
    }
    let spec = ChainSpec {
        height: 10,
        ..ending(33)
    };
    let (database, _) = made(&spec);
    let uri = server().uri(&database);
    let files = tempfile::tempdir().unwrap();
    let network = network(files.path(), &spec);
    let mut arguments = vec!["--network", &*network, "--confirmations", "0"];
    arguments.extend(STOP);
    let (code, output) = asked("select", &uri, &arguments);
    assert_eq!(code, 4, "{}", said(&output));
    assert!(said(&output).contains("a tie"), "{}", said(&output));
    let text = std::fs::read_to_string(&network).unwrap();
    let without = text.replace("slot_tx_end = 60\n", "");
    std::fs::write(&network, without).unwrap();
    let (code, output) = asked("select", &uri, &["--network", &network]);
    assert_eq!(code, 2, "{}", said(&output));
    assert!(
        said(&output).contains("candidate --state-hash"),
        "{}",
        said(&output)
    );
    execute(&database, "TRUNCATE blocks");
    let (code, output) = asked("list", &uri, &[]);
    assert_eq!(code, 3, "{}", said(&output));
    assert!(said(&output).contains("has no blocks"), "{}", said(&output));
    let (code, output) = asked("select", &uri, &arguments);
    assert_eq!(code, 3, "{}", said(&output));
    assert!(said(&output).contains("has no blocks"), "{}", said(&output));
    drop_database(&database);
}
