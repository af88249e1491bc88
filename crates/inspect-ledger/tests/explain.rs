//! `inspect-ledger explain` as scripts use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fork_types::{FieldBytes, PublicKey};
use serde_json::{Value, json};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspect-ledger"));
    for name in ["FORKPACK_FORMAT", "FORKPACK_NO_PROGRESS"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn ended(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn report(code: i32, arguments: &[&str]) -> Value {
    let arguments = [&["explain"], arguments, &["--format", "json"]].concat();
    serde_json::from_str(&ended(code, &arguments)).unwrap()
}

/// A directory with lists in it.
struct Lists(tempfile::TempDir);

impl Lists {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &Value) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, content.to_string()).unwrap();
        text(&path)
    }

    fn root(&self, name: &str, content: &Value, options: &[&str]) -> String {
        let file = self.write(name, content);
        let arguments = [&["hash"], options, &[file.as_str()]].concat();
        ended(0, &arguments).lines().next().unwrap().to_owned()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn key(number: u64) -> String {
    PublicKey::new(FieldBytes::from_u64(number), number % 2 == 1).to_string()
}

/// An account as exports have it, some without a delegate.
fn account(number: u64) -> Value {
    let mut account = json!({
        "pk": key(number),
        "balance": format!("{number}.5"),
        "nonce": "3",
        "receipt_chain_hash": "2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe",
        "voting_for": "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x",
        "permissions": {"set_verification_key": {"auth": "signature", "txn_version": "2"}},
    });
    if !number.is_multiple_of(3) {
        account["delegate"] = json!(key(number + 1));
    }
    account
}

fn accounts(count: u64) -> Vec<Value> {
    (1..=count).map(account).collect()
}

const MESA: [&str; 2] = ["--era", "mesa"];

#[test]
fn the_expected_root_and_one_nothing_explains() {
    let lists = Lists::new();
    let list = Value::from(accounts(9));
    let root = lists.root("list.json", &list, &MESA);
    let file = lists.write("list.json", &list);
    let good = ["--era", "mesa", "--expect-root", &root, &file];
    let found = report(0, &good);
    assert_eq!(
        (&found["version"], &found["verdict"]),
        (&json!(1), &json!("expected"))
    );
    let human = ended(0, &[&["explain"], &good[..]].concat());
    assert!(
        human.starts_with("the root is the expected one\n"),
        "{human}"
    );
    let mut other = accounts(9);
    other[4]["balance"] = json!("77");
    let wrong = lists.root("other.json", &Value::from(other), &MESA);
    let other = lists.write("unrelated.json", &Value::from(accounts(20)));
    let bad = ["--era", "mesa", "--expect-root", &wrong, &file];
    let found = report(4, &bad);
    assert_eq!(found["verdict"], "unexplained");
    assert_eq!(found["root"], json!(root));
    assert_eq!(found["explanations"], json!([]));
    let tried = found["tried"].as_u64().unwrap();
    assert!(tried > 60);
    let output = run(&[&["explain"], &bad[..]].concat());
    let human = String::from_utf8(output.stdout).unwrap();
    assert!(
        human.starts_with(&format!("none of {tried} hypotheses gives it\n")),
        "{human}"
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("no known mistake explains it"), "{errors}");
    assert!(errors.contains("--reference"), "{errors}");
    // A reference with the expected root explains it, another one does not.
    let reference = text(&lists.0.path().join("other.json"));
    let found = report(0, &[&bad[..], &["--reference", &reference]].concat());
    assert_eq!(found["verdict"], "explained");
    assert_eq!(found["reference"]["root_is_expected"], true);
    assert_eq!(found["reference"]["shape"], "changed");
    assert_eq!(
        found["reference"]["differences"],
        json!([{
            "index": 4,
            "public_key": key(5),
            "reference_public_key": key(5),
            "members": [{"member": "balance", "list": "5.5", "reference": "77"}],
        }])
    );
    let human = ended(
        0,
        &[&["explain"], &bad[..], &["--reference", &reference]].concat(),
    );
    assert!(human.starts_with("explained: the reference has the expected root\n"));
    assert!(human.contains("balance: 5.5, reference 77"), "{human}");
    let found = report(
        4,
        &[&bad[..], &["--reference", &other, "--max", "1"]].concat(),
    );
    assert_eq!(found["reference"]["shape"], "missing");
    assert_eq!(found["reference"]["differing"], 11);
    assert_eq!(
        found["reference"]["differences"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn mistakes_are_named() {
    let lists = Lists::new();
    let list = Value::from(accounts(13));
    let file = lists.write("ours.json", &list);
    let explained = |id: &str, root: &str, more: &[&str]| {
        let arguments = [&["--era", "mesa", "--expect-root", root, &file], more].concat();
        let found = report(0, &arguments);
        assert_eq!(found["verdict"], "explained");
        assert_eq!(found["explanations"][0], id);
        let human = ended(0, &[&["explain"], &arguments[..]].concat());
        assert!(human.starts_with(&format!("explained: {id}\n")), "{human}");
        found
    };
    let daemon = ["--era", "mesa", "--loader", "daemon"];
    let root = lists.root("x.json", &list, &daemon);
    explained("loader-daemon", &root, &[]);
    let root = lists.root(
        "x.json",
        &list,
        &[&daemon[..], &["--winner", "yes"]].concat(),
    );
    explained("loader-daemon-with-winner", &root, &[]);
    let root = lists.root("x.json", &list, &[&MESA[..], &["--depth", "20"]].concat());
    explained("depth-20", &root, &[]);
    let root = lists.root("x.json", &list, &["--era", "berkeley"]);
    explained("era-berkeley", &root, &[]);
    let mut other = accounts(13);
    other.reverse();
    let root = lists.root("x.json", &Value::from(other), &MESA);
    explained("reversed", &root, &[]);
    let mut other = accounts(13);
    other.remove(7);
    let root = lists.root("x.json", &Value::from(other), &MESA);
    let found = explained("dropped-account", &root, &[]);
    let last = found["hypotheses"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["index"], &last["public_key"]),
        (&json!(7), &json!(key(8)))
    );
    let mut other = accounts(13);
    for account in &mut other {
        account["permissions"]["set_verification_key"]["txn_version"] = json!("4");
    }
    let root = lists.root("x.json", &Value::from(other), &MESA);
    explained("txn-version-4", &root, &[]);
    let mut other = accounts(13);
    for account in &mut other {
        account["timing"] = json!({
            "initial_minimum_balance": "0", "cliff_time": "0", "cliff_amount": "0",
            "vesting_period": "1", "vesting_increment": "0",
        });
    }
    let root = lists.root("x.json", &Value::from(other), &MESA);
    explained("untimed-becomes-timed", &root, &[]);
    explained(
        "migrated-untimed-becomes-timed-700",
        &root,
        &["--fork-slot", "700"],
    );
    let own = lists.root("x.json", &list, &MESA);
    let known = format!("next={own}");
    let unrelated = "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC";
    explained("list-is-next", unrelated, &["--known-root", &known]);
}

#[test]
fn the_other_ledgers_of_a_document_are_tried() {
    let lists = Lists::new();
    let (genesis, staking) = (accounts(8), accounts(6));
    let root = lists.root("x.json", &Value::from(staking.clone()), &MESA);
    let document = json!({
        "ledger": {"accounts": genesis, "add_genesis_winner": false},
        "epoch_data": {"staking": {"accounts": staking, "seed": "s"}},
    });
    let file = lists.write("config.json", &document);
    let arguments = ["--era", "mesa", "--expect-root", &root, &file];
    let found = report(0, &arguments);
    assert_eq!(found["explanations"][0], "expected-is-staking");
    let found = report(0, &[&arguments[..], &["--ledger", "staking"]].concat());
    assert_eq!(found["verdict"], "expected");
    // One ledger object has no other ledgers.
    let object = json!({"accounts": accounts(8), "add_genesis_winner": true});
    let file = lists.write("object.json", &object);
    let arguments = ["--era", "mesa", "--expect-root", &root, &file];
    let found = report(0, &arguments);
    assert_eq!(found["explanations"][0], "truncated-list");
}

#[test]
fn the_winner_beside_the_list_counts_as_with_hash() {
    let lists = Lists::new();
    let object = json!({"accounts": accounts(5), "add_genesis_winner": true});
    let daemon = ["--era", "mesa", "--loader", "daemon"];
    let root = lists.root("x.json", &object, &daemon);
    let file = lists.write("object.json", &object);
    let arguments = [&daemon[..], &["--expect-root", &root, &file]].concat();
    assert_eq!(report(0, &arguments)["verdict"], "expected");
    let arguments = [&arguments[..], &["--winner", "no"]].concat();
    let found = report(0, &arguments);
    assert_eq!(found["explanations"][0], "missing-winner");
}

#[test]
fn dumps_are_read_too() {
    let lists = Lists::new();
    let list = Value::from(accounts(7));
    let root = lists.root("list.json", &list, &["--era", "berkeley"]);
    let file = lists.write("list.json", &list);
    let dump = text(&lists.0.path().join("list.bin"));
    ended(
        0,
        &[
            "convert", "--era", "berkeley", "--to", "bin-prot", "-o", &dump, &file,
        ],
    );
    let arguments = ["--era", "berkeley", "--expect-root", &root, &dump];
    assert_eq!(report(0, &arguments)["verdict"], "expected");
    let shallow = [&["--era", "berkeley"][..], &["--depth", "12"]].concat();
    let root = lists.root("list.json", &list, &shallow);
    let arguments = ["--era", "berkeley", "--expect-root", &root, &dump];
    assert_eq!(report(0, &arguments)["explanations"][0], "depth-12");
}

#[test]
fn unusable_lists_and_options_are_refused() {
    let lists = Lists::new();
    let root = "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC";
    let broken = lists.0.path().join("broken.json");
    fs::write(&broken, "[{\"pk\": ").unwrap();
    let broken = text(&broken);
    let line = ["explain", "--era", "mesa", "--expect-root", root];
    ended(5, &[&line[..], &[&broken]].concat());
    // Readable JSON whose accounts no reading takes.
    let file = lists.write("bad.json", &json!([{"pk": "x", "balance": "1"}]));
    let output = run(&[&line[..], &[&file]].concat());
    assert_eq!(output.status.code(), Some(4));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("cannot be read as asked"), "{errors}");
    let missing = text(&lists.0.path().join("missing.json"));
    assert_ne!(
        run(&[&line[..], &[&missing]].concat()).status.code(),
        Some(0)
    );
    let file = lists.write("list.json", &Value::from(accounts(3)));
    ended(2, &[&line[..], &["--winner", "yes", &file]].concat());
    ended(2, &[&line[..], &["--known-root", "next", &file]].concat());
    ended(
        2,
        &[&line[..], &["--known-root", "Next Ledger=jx", &file]].concat(),
    );
    ended(2, &["explain", "--era", "mesa", &file]);
    // What is skipped is said.
    let found = report(4, &[&line[1..], &["--limit-hashes", "0", &file]].concat());
    let skipped = found["hypotheses"].as_array().unwrap().iter();
    assert!(skipped.clone().any(|h| h["outcome"] == "skipped"));
    let help = ended(0, &["explain", "--help"]);
    for part in [
        "--expect-root",
        "--reference",
        "--fork-slot",
        "--limit-hashes",
        "Examples:",
    ] {
        assert!(help.contains(part), "{part}");
    }
}
