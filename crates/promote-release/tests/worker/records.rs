//! Records that somebody changed, and two that write at the same time.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::strategy::{Strategy, ValueTree};

use crate::place::Place;

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with(".lock") {
            found.push(path);
        }
    }
}

fn place() -> Place {
    let place = Place::built();
    place.write("message.txt", "We release.\n");
    place.run("record document --release r --type note --file message.txt --key ci.pem --log-key log.pem --now 2026-01-01T00:04:00Z", 0);
    place.approve("p1", 5);
    place
}

#[test]
fn a62_a_changed_byte_of_any_file_of_the_record_is_found() {
    let place = place();
    let mut all = Vec::new();
    files(&place.path("r"), &mut all);
    // Log, head, keys, policy, manifest's copy, three facts, a document.
    assert!(all.len() >= 9, "{all:?}");
    place.run("audit --release r", 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let positions = (0..all.len(), any::<proptest::sample::Index>(), 0..8_u32);
    for round in 0..300 {
        let (which, index, bit) = positions.new_tree(&mut runner).unwrap().current();
        // Every file at least once.
        let path = &all[if round < all.len() { round } else { which }];
        let good = fs::read(path).unwrap();
        let at = index.index(good.len());
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        fs::write(path, &bad).unwrap();
        let output = place.output("audit --release r");
        fs::write(path, &good).unwrap();
        assert_eq!(
            output.status.code(),
            Some(4),
            "{} byte {at} bit {bit}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    place.run("audit --release r", 0);
}

#[test]
fn a62_a_line_that_is_taken_out_moved_or_cut_is_found() {
    let place = place();
    let text = fs::read_to_string(place.path("r/log.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |index: usize| {
        let kept: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != index)
            .map(|(_, line)| *line)
            .collect();
        kept.join("\n") + "\n"
    };
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    for (name, changed) in [
        ("the last", without(lines.len() - 1)),
        ("one between", without(2)),
        ("swapped", swapped.join("\n") + "\n"),
        ("cut", text[..text.len() - 1].to_owned()),
        ("half a line", text[..text.len() - 40].to_owned()),
        ("nothing", String::new()),
    ] {
        fs::write(place.path("r/log.jsonl"), changed).unwrap();
        assert_eq!(
            place.output("audit --release r").status.code(),
            Some(4),
            "{name}"
        );
        assert_eq!(
            place
                .output("check --release r --to publish --artifacts files")
                .status
                .code(),
            Some(5),
            "{name}"
        );
        let adds =
            "record fail --release r --stage publish --cause x --key ci.pem --log-key log.pem";
        assert_eq!(place.output(adds).status.code(), Some(5), "{name}");
    }
    fs::write(place.path("r/log.jsonl"), text).unwrap();
    place.run("audit --release r", 0);
}

/// The head alone cannot tell that log and head were both put back; an end that somebody kept can.
#[test]
fn what_was_taken_back_is_found_by_an_end_that_was_kept() {
    let place = place();
    place.copy("r", "older");
    place.approve("p2", 6);
    fs::copy(
        place.path("r/log.head.intoto.json"),
        place.path("kept.json"),
    )
    .unwrap();
    place.run("audit --release older", 0);
    let said = place.run("audit --release older --seen kept.json", 4);
    assert!(said.contains("taken back"), "{said}");
    place.run("audit --release r --seen kept.json", 0);
    place.run("audit --release r --seen older/log.head.intoto.json", 0);
}

#[test]
fn a62_two_writers_do_not_write_at_once() {
    let place = place();
    let lock = fork_fs::FileLock::take(&place.path("r/.lock"))
        .unwrap()
        .unwrap();
    let line = "record fail --release r --stage publish --cause x --key ci.pem --log-key log.pem --now 2026-01-01T00:09:00Z";
    let said = place.run(line, 6);
    assert!(said.contains("another command"), "{said}");
    // Readers need not wait.
    place.run("status --release r", 0);
    drop(lock);
    place.run(line, 0);
    place.run("audit --release r", 0);
}

/// Whatever a killed writer leaves: the log fits one of the two heads, and the next command goes on.
#[test]
fn a65_a_kill_between_head_and_log_leaves_a_record_that_holds() {
    let place = place();
    place.copy("r", "after");
    let next = "record fail --release after --stage publish --cause x --key ci.pem --log-key log.pem --now 2026-01-01T00:09:00Z";
    place.run(next, 0);
    // The new head is there, the log is still the old one.
    place.copy("r", "first");
    fs::copy(
        place.path("after/log.head.intoto.json"),
        place.path("first/log.head.next.intoto.json"),
    )
    .unwrap();
    // The log is new, the head is still the old one.
    place.copy("after", "second");
    fs::copy(
        place.path("r/log.head.intoto.json"),
        place.path("second/log.head.intoto.json"),
    )
    .unwrap();
    place.run("audit --release second", 4);
    fs::copy(
        place.path("after/log.head.intoto.json"),
        place.path("second/log.head.next.intoto.json"),
    )
    .unwrap();
    for name in ["first", "second"] {
        place.run(&format!("audit --release {name}"), 0);
        place.run(&format!("record approve --release {name} --stage publish --item go --by p2 --key p2.pem --log-key log.pem --now 2026-01-01T00:10:00Z"), 0);
        place.run(&format!("audit --release {name}"), 0);
        assert!(!place.path(name).join("log.head.next.intoto.json").exists());
    }
}
