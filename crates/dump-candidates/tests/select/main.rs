//! A store on disk, filled as capture fills it, listed, damaged and selected from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod world;

use std::fs;
use std::path::Path;

use dump_candidates::SelectError;
use fork_types::document::{Candidate, ChosenBy, Document, SelectionDocument, StoreDocument};
use fork_types::{Class, Fault, Role, SlotSinceHardFork};

use world::{CONFIRMATIONS, World, document, names, sha256, stored};

#[test]
fn what_is_selected_is_what_import_would_have_written() {
    for share in [false, true] {
        let world = World::new(share);
        world.select(|args| args.recompute_roots = true).unwrap();
        let imported = world.path("imported-a");
        let mut expected = names(&imported);
        expected.push("selection.json".to_owned());
        expected.sort();
        assert_eq!(world.output(), expected);
        for name in names(&imported) {
            if name != "candidate.json" {
                let read = |directory: &Path| fs::read(directory.join(&name)).unwrap();
                assert_eq!(read(&world.path("out")), read(&imported), "{name}");
            }
        }
        let selection: SelectionDocument = document(&world.path("out"));
        let chosen = selection.chosen.clone().unwrap();
        assert_eq!(chosen.by, ChosenBy::Rule);
        assert_eq!(chosen.daemons, ["seed-1", "seed-2"]);
        assert_eq!(chosen.confirmations, CONFIRMATIONS);
        assert_eq!(selection.rule.quorum, 2);
        assert_eq!(selection.warnings.len(), 1, "{:?}", selection.warnings);
        let candidate: Candidate = document(&world.path("out"));
        let expected = Candidate {
            selection: Some(chosen),
            ..world.imported[0].clone()
        };
        assert_eq!(candidate, expected);
    }
}

#[test]
fn a_good_store_passes_the_check() {
    let world = World::new(false);
    world.list(false).unwrap();
    world.list(true).unwrap();
    let svg = fs::read_to_string(world.path("fork.svg")).unwrap();
    assert!(svg.contains(&world.imported[0].fork_block.state_hash.to_string()));
}

#[test]
fn nothing_is_written_before_the_chain_ends_or_without_evidence() {
    let world = World::new(false);
    world.watch(3);
    let error = world.select(|_| {}).unwrap_err();
    assert_eq!(error.class(), Class::Pending);
    assert!(
        error.to_string().contains("3 slots until slot_chain_end"),
        "{error}"
    );
    world.assert_nothing_left();

    world.watch(0);
    let error = world.select(|args| args.confirmations += 1).unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    assert!(
        error.to_string().contains("has 15 of 16 confirmations"),
        "{error}"
    );
    let error = world.select(|args| args.quorum = Some(3)).unwrap_err();
    assert!(error.to_string().contains("2 of 3 daemons"), "{error}");
    let error = world
        .select(|args| args.slot_tx_end = Some(SlotSinceHardFork::new(5)))
        .unwrap_err();
    assert!(error.to_string().contains("no daemon counts"), "{error}");
    world.assert_nothing_left();
}

#[test]
fn a_human_can_choose_the_other_block() {
    let world = World::new(false);
    let other = world.imported[1].fork_block.state_hash;
    world.select(|args| args.state_hash = Some(other)).unwrap();
    let candidate: Candidate = document(&world.path("out"));
    assert_eq!(candidate.fork_block.state_hash, other);
    assert_eq!(candidate.selection.unwrap().by, ChosenBy::HumanOverride);
    let selection: SelectionDocument = document(&world.path("out"));
    assert!(selection.problems[0].starts_with("the rule points at block"));
}

#[test]
fn an_existing_output_is_kept() {
    let world = World::new(false);
    fs::create_dir(world.path("out")).unwrap();
    fs::write(world.path("out/mine"), b"x").unwrap();
    assert!(world.select(|_| {}).is_err());
    assert_eq!(world.output(), ["mine"]);
    world.select(|args| args.output.force = true).unwrap();
    assert!(!world.output().contains(&"mine".to_owned()));
}

#[test]
fn a_store_of_another_network_is_refused() {
    let world = World::new(false);
    let error = world
        .select(|args| args.network = "mainnet".to_owned())
        .unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    fs::remove_file(world.store().join(StoreDocument::FILE_NAME)).unwrap();
    let error = world.select(|_| {}).unwrap_err();
    assert_eq!(error.class(), Class::BadInput);
    world.assert_nothing_left();
}

#[test]
fn contradicting_stop_slots_are_an_error() {
    let mut world = World::new(false);
    world.stop.slot_tx_end = world
        .stop
        .slot_tx_end
        .map(|slot| SlotSinceHardFork::new(slot.get() + 1));
    world.watch(0);
    let error = world.select(|_| {}).unwrap_err();
    assert!(matches!(error, SelectError::StopSlots(_)), "{error:?}");
    for part in ["daemon `seed-1`", "daemon `seed-3`", "the network file"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    world.assert_nothing_left();
}

#[test]
fn every_byte_of_a_stored_ledger_counts() {
    for role in Role::ALL {
        let world = World::new(false);
        let (_, _, accounts) = world.ledger(role);
        let good = fs::read(&accounts).unwrap();
        for place in [0, 5, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            fs::write(&accounts, &bad).unwrap();
            // Same size: only reading finds it.
            world.list(false).unwrap();
            assert!(!world.problems(true).is_empty(), "{role} {place}");
            let error = world.select(|_| {}).unwrap_err();
            assert_eq!(error.class(), Class::Wrong, "{role} {place}: {error}");
            world.assert_nothing_left();
        }
    }
}

#[test]
fn a_ledger_of_another_size_or_none_is_listed() {
    let world = World::new(false);
    let (ledger, _, accounts) = world.ledger(Role::Staking);
    let good = fs::read(&accounts).unwrap();
    fs::write(&accounts, &good[1..]).unwrap();
    let problems = world.problems(false);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].what.starts_with("the size of `ledgers/"));
    assert_eq!(problems[0].expected, ledger.stored.bytes.to_string());
    let error = world.select(|_| {}).unwrap_err();
    assert_eq!(error.class(), Class::Pending);
    assert!(
        error
            .to_string()
            .contains("stored but not usable: the size"),
        "{error}"
    );
    fs::remove_file(&accounts).unwrap();
    let problems = world.problems(false);
    assert_eq!(problems[0].found, "missing");
    world.assert_nothing_left();
}

#[test]
fn bytes_behind_the_accounts_are_found() {
    let world = World::new(false);
    let (mut ledger, path, accounts) = world.ledger(Role::Next);
    // An empty frame adds nothing to the text.
    let mut longer = fs::read(&accounts).unwrap();
    longer.extend(zstd::encode_all(&b""[..], 3).unwrap());
    fs::write(&accounts, &longer).unwrap();
    ledger.stored.bytes = longer.len() as u64;
    fs::write(&path, ledger.to_json().unwrap()).unwrap();
    let problems = world.problems(true);
    assert!(
        problems[0]
            .what
            .starts_with("the SHA-256 of the stored accounts")
    );
    let error = world.select(|_| {}).unwrap_err();
    assert!(matches!(error, SelectError::Damaged { .. }), "{error:?}");
}

#[test]
fn another_text_of_the_same_accounts_is_as_good() {
    let world = World::new(false);
    let forged = world.forge(Role::Genesis, |text| text.replacen("[\n", "[ \n", 1));
    world.list(true).unwrap();
    world.select(|_| {}).unwrap();
    // The candidate describes the text that is beside it.
    let candidate: Candidate = document(&world.path("out"));
    let file = &candidate.staged_ledger.file;
    assert_eq!(file.sha256, forged.list.sha256);
    assert_eq!(file.bytes, forged.list.bytes);
    let text = fs::read(world.path("out").join(&file.name)).unwrap();
    assert_eq!(sha256(&text), file.sha256);
}

#[test]
fn another_account_is_not() {
    let world = World::new(false);
    let forged = world.forge(Role::Genesis, |text| {
        // One more digit for the first nonce that stays in range.
        let mut nonces = text
            .match_indices("\"nonce\":\"")
            .map(|(at, key)| at + key.len());
        let at = nonces.find(|at| text[*at..].find('"').is_some_and(|digits| digits < 8));
        let (before, after) = text.split_at(at.unwrap());
        format!("{before}1{after}")
    });
    let problems = world.problems(true);
    assert!(
        problems[0]
            .what
            .starts_with("the root of the stored accounts"),
        "{problems:?}"
    );
    // The candidate does not know this text, so its root is recomputed.
    let error = world.select(|_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the root of the stored accounts"),
        "{error}"
    );
    world.assert_nothing_left();
    // Where the candidate was changed to match, the digests are right and only the root tells.
    let mut candidate = world.imported[0].clone();
    candidate.staged_ledger.file.sha256 = forged.list.sha256;
    candidate.staged_ledger.file.bytes = forged.list.bytes;
    let key = format!("candidates/{}.json", candidate.fork_block.state_hash);
    let path = world.store().join(key);
    fs::write(&path, stored(&candidate).to_json().unwrap()).unwrap();
    let error = world
        .select(|args| args.recompute_roots = true)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the root of the stored accounts"),
        "{error}"
    );
    world.assert_nothing_left();
    world.select(|_| {}).unwrap();
}

#[test]
fn another_block_is_found() {
    let world = World::new(false);
    let block = |which: usize| {
        let hash = world.imported[which].fork_block.state_hash;
        world.store().join(format!("blocks/{hash}.json"))
    };
    let other = fs::read(block(1)).unwrap();
    fs::write(block(0), other).unwrap();
    world.list(false).unwrap();
    let problems = world.problems(true);
    let found = |what: &str| problems.iter().any(|one| one.what.starts_with(what));
    assert!(found("the SHA-256 of block"), "{problems:?}");
    assert!(found("the state hash of the stored block"), "{problems:?}");
    assert!(found("the staged ledger of block"), "{problems:?}");
    let error = world.select(|_| {}).unwrap_err();
    assert!(matches!(error, SelectError::Damaged { .. }), "{error:?}");
    world.assert_nothing_left();
    fs::remove_file(block(0)).unwrap();
    assert_eq!(world.problems(true)[0].found, "missing");
    let error = world.select(|_| {}).unwrap_err();
    assert!(matches!(error, SelectError::Damaged { .. }), "{error:?}");
}

#[test]
fn file_names_of_a_candidate_cannot_collide() {
    for (name, word) in [
        ("candidate.json", "one that no other file"),
        ("block.json", "one that no other file"),
        ("../escaped.json", "leaves its directory"),
        ("staking_ledger.json", "one that no other file"),
    ] {
        let world = World::new(false);
        let mut candidate = world.imported[0].clone();
        candidate.staged_ledger.file.name = name.to_owned();
        let key = format!("candidates/{}.json", candidate.fork_block.state_hash);
        fs::write(
            world.store().join(key),
            stored(&candidate).to_json().unwrap(),
        )
        .unwrap();
        let error = world.select(|_| {}).unwrap_err();
        assert!(error.to_string().contains(word), "{name}: {error}");
        world.assert_nothing_left();
        assert!(!world.path("escaped.json").exists());
    }
}
