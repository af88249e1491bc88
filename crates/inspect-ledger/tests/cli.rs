//! The binary as scripts use it: output, exit codes, and real data where it is at hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::MerkleTree;
use fork_ledger::verification_key::VkHashCache;
use fork_store::{LedgerStoreWriter, write_tarball};
use fork_types::{Amount, Era, FieldBytes, LedgerHash, PublicKey};
use serde_json::Value;

const WINNER: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";
/// Roots of the ledger with only the winner: D1 and D2 of the hashing specification, 10.5.
const D1: &str = "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982";
const D2: &str = "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC";
/// Their leaves.
const D1_LEAF: &str = "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92";
const D2_LEAF: &str = "jwRz8VPTuACLpTJKRt846BHxzERApvzN1BtzYvgpNa2mUCKi6Zm";
/// The same in v1, depth 20.
const V1_ROOT: &str = "jxSvQcjHyZPg7Gr9MwX2VWRYBFGP3dNHFCs8L2ABupkyC4zwtzk";

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspect-ledger"));
    for name in [
        "FORKPACK_FORMAT",
        "FORKPACK_NO_PROGRESS",
        "FORKPACK_SCRATCH",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a run that must end with `code`.
fn ended(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        stderr(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn json(code: i32, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&ended(code, &arguments)).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn winner_account() -> String {
    format!(r#"{{"pk": "{WINNER}", "balance": "0.000001", "delegate": "{WINNER}"}}"#)
}

/// A path below the shared data, if it is there.
fn shared(test: &str, name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("FORKPACK_REQUIRE_SHARED").as_deref() != Ok("1"),
        "{test}: {name} is required and absent"
    );
    eprintln!("SKIPPED {test}: {name} is not there; set FORKPACK_SHARED");
    None
}

#[test]
fn one_account_ledgers_have_the_known_roots() {
    let temporary = tempfile::tempdir().unwrap();
    let list = format!("[{}]", winner_account());
    let plain = write(temporary.path(), "list.json", &list);
    let packed = write(temporary.path(), "list.json.gz", gzip(list.as_bytes()));
    let export = write(
        temporary.path(),
        "export.txt",
        format!("Exporting the ledger\n{list}\n"),
    );
    let object = write(
        temporary.path(),
        "object.json",
        format!(r#"{{"accounts": {list}, "add_genesis_winner": false}}"#),
    );
    let config = write(
        temporary.path(),
        "daemon.json",
        format!(
            r#"{{"ledger": {{"accounts": []}}, "epoch_data": {{"staking": {{"accounts": {list}}}}}}}"#
        ),
    );
    for (era, expected) in [("berkeley", D1), ("mesa", D2), ("v1", V1_ROOT)] {
        for file in [&plain, &packed, &export, &object] {
            let loaders: [&[&str]; 2] = [&["--loader", "daemon"], &["--ignore-missing"]];
            for loader in loaders {
                if era == "v1" && loader[0] == "--ignore-missing" {
                    continue;
                }
                let base = ["hash", "--era", era, text(file)];
                let out = ended(0, &[&base, loader].concat());
                assert_eq!(out.lines().next(), Some(expected), "{era} {file:?}");
            }
        }
    }
    let staking = ["--ledger", "staking", "--loader", "daemon"];
    let report = json(
        0,
        &[&["hash", "--era", "mesa", text(&config)], &staking[..]].concat(),
    );
    assert_eq!(report["root"], D2);
    assert_eq!(report["list"], "epoch_data.staking");
    assert_eq!(report["accounts"], 1);
    assert_eq!(report["depth"], 35);
    assert_eq!(report["winner_added"], false);
    assert_eq!(report["source"]["name"], "daemon.json");
}

#[test]
fn the_genesis_winner_follows_the_ledger_object() {
    let temporary = tempfile::tempdir().unwrap();
    let case = |content: &str, arguments: &[&str]| {
        let file = write(temporary.path(), "f.json", content);
        json(
            0,
            &[&["hash", "--era", "berkeley", text(&file)], arguments].concat(),
        )
    };
    let daemon = ["--loader", "daemon"];
    // The member may come behind the accounts.
    let asked = r#"{"accounts": [], "add_genesis_winner": true}"#;
    let report = case(asked, &daemon);
    assert_eq!(
        (&report["root"], &report["accounts"]),
        (&D1.into(), &1.into())
    );
    assert_eq!(report["winner_added"], true);
    assert_ne!(
        case(asked, &["--loader", "daemon", "--winner", "no"])["root"],
        D1
    );
    let fork = case(asked, &[]);
    assert_ne!(fork["root"], D1);
    assert_eq!(fork["warnings"].as_array().unwrap().len(), 1);
    // Not said means yes, unless the proofs are not full.
    assert_eq!(case(r#"{"ledger": {"accounts": []}}"#, &daemon)["root"], D1);
    let none = r#"{"proof": {"level": "none"}, "ledger": {"accounts": []}}"#;
    assert_ne!(case(none, &daemon)["root"], D1);
    assert_eq!(
        case(none, &["--loader", "daemon", "--winner", "yes"])["root"],
        D1
    );
    // Never twice, and never in front of a bare list unless asked for.
    let there = format!(
        r#"{{"accounts": [{}], "add_genesis_winner": true}}"#,
        winner_account()
    );
    assert_eq!(case(&there, &daemon)["winner_added"], false);
    assert_eq!(case(&there, &daemon)["root"], D1);
    assert_ne!(case("[]", &daemon)["root"], D1);
    assert_eq!(
        case("[]", &["--loader", "daemon", "--winner", "yes"])["root"],
        D1
    );
}

#[test]
fn unusable_lists_name_file_and_place() {
    let temporary = tempfile::tempdir().unwrap();
    let cases = [
        ("cut.json", "[{\"pk\": ".to_owned(), 5, "line 1"),
        (
            "bad.json",
            r#"[{"pk": "B62qx", "balance": "1"}]"#.to_owned(),
            5,
            "account 0 (B62qx)",
        ),
        (
            "strict.json",
            format!("[{}]", winner_account()),
            5,
            "account 0",
        ),
        (
            "none.json",
            r#"{"ledger": {"hash": "jw"}}"#.to_owned(),
            5,
            "genesis ledger",
        ),
        ("other.json", "{}".to_owned(), 5, "genesis ledger"),
    ];
    for (name, content, code, place) in cases {
        let file = write(temporary.path(), name, content);
        let output = run(&["hash", "--era", "mesa", text(&file)]);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(output.stdout.is_empty());
        assert!(error.contains(name) && error.contains(place), "{error}");
        assert!(error.starts_with("error: failed to inspect: "), "{error}");
    }
    let padded = r#"{"accounts": [], "num_accounts": 9, "add_genesis_winner": false}"#;
    let file = write(temporary.path(), "padded.json", padded);
    ended(
        5,
        &["hash", "--era", "mesa", "--loader", "daemon", text(&file)],
    );
    let list = write(
        temporary.path(),
        "list.json",
        format!("[{0},{0},{0}]", winner_account()),
    );
    let shallow = [
        "hash",
        "--era",
        "mesa",
        "--ignore-missing",
        "--depth",
        "1",
        text(&list),
    ];
    ended(5, &shallow);
    let pin = "0".repeat(64);
    ended(
        4,
        &[
            "hash",
            "--era",
            "mesa",
            "--ignore-missing",
            "--sha256",
            &pin,
            text(&list),
        ],
    );
    ended(
        5,
        &[
            "hash",
            "--era",
            "mesa",
            text(&temporary.path().join("absent.json")),
        ],
    );
    ended(
        2,
        &["hash", "--era", "mesa", "--winner", "yes", text(&list)],
    );
    ended(2, &["hash", text(&list)]);
    ended(2, &[]);
    assert!(ended(0, &["--help"]).contains("scan"));
    assert!(ended(0, &["--version"]).starts_with("inspect-ledger "));
    let broken = write(
        temporary.path(),
        "broken.json.gz",
        &gzip(padded.as_bytes())[..30],
    );
    let output = run(&["hash", "--era", "mesa", "--format", "json", text(&broken)]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 5);
    assert_eq!(error["error"]["class"], "bad-input");
}

#[test]
fn accounts_are_listed_one_per_line() {
    let temporary = tempfile::tempdir().unwrap();
    let count = 9000;
    let list = vec![winner_account(); count].join(",\n");
    let file = write(temporary.path(), "list.json", format!("[{list}]"));
    for (era, leaf) in [("berkeley", D1_LEAF), ("mesa", D2_LEAF)] {
        let out = ended(
            0,
            &["accounts", "--era", era, "--loader", "daemon", text(&file)],
        );
        assert_eq!(out.lines().count(), count);
        for (index, line) in out.lines().enumerate().step_by(1777) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["index"], index);
            assert_eq!(line["public_key"], WINNER);
            assert_eq!(line["hash"], leaf);
            assert_eq!(
                line["token"],
                "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf"
            );
            let hash: LedgerHash = leaf.parse().unwrap();
            assert_eq!(line["hash_hex"], hash.field().to_le_hex());
        }
    }
    let out = ended(0, &["accounts", "--era", "v1", text(&file)]);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["token"], "1");
    assert_eq!(
        first["hash"],
        "jxMP4JYAjhZ92fANDoZVVe1hHLG83QbQ3WvBGLg4LLD5aHsZzmK"
    );
    ends_quietly_on_a_broken_pipe(&[
        "accounts",
        "--era",
        "mesa",
        "--loader",
        "daemon",
        text(&file),
    ]);
}

/// Reads one byte and hangs up.
fn ends_quietly_on_a_broken_pipe(arguments: &[&str]) {
    let mut child = command()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

fn account(number: u64, balance: u64) -> Account {
    let public_key = PublicKey::new(FieldBytes::from_u64(number), number % 2 == 1);
    Account {
        public_key,
        balance: Amount::from_nanomina(balance),
        delegate: Some(public_key),
        ..Account::empty(Era::Mesa)
    }
}

/// Writes a store and its tarball, which has the same name in every directory.
fn store(directory: &Path, accounts: &[Account]) -> (PathBuf, PathBuf) {
    let path = directory.join("store");
    let mut writer = LedgerStoreWriter::create(&path, 35).unwrap();
    for account in accounts {
        writer.push_account(account).unwrap();
    }
    let leaves = hash_accounts(Era::Mesa, accounts, &VkHashCache::new()).unwrap();
    writer
        .finish(&MerkleTree::new(Era::Mesa, 35, leaves).unwrap())
        .unwrap();
    let tarball = directory.join("ledger.tar.gz");
    write_tarball(&path, &tarball).unwrap();
    (path, tarball)
}

#[test]
fn scan_prints_what_ldb_prints() {
    let temporary = tempfile::tempdir().unwrap();
    let accounts: Vec<Account> = (1..=3000).map(|number| account(number, number)).collect();
    let (directory, tarball) = store(temporary.path(), &accounts);
    let scratch = temporary.path().join("scratch");
    let arguments = ["scan", text(&tarball), "--scratch", text(&scratch)];
    let ours = ended(0, &arguments);
    assert_eq!(ours, ended(0, &["scan", text(&directory)]));
    assert_eq!(
        fs::read_dir(&scratch).unwrap().count(),
        0,
        "the scratch directory is empty"
    );
    ends_quietly_on_a_broken_pipe(&arguments);
    ended(5, &["scan", text(&temporary.path().join("absent.tar.gz"))]);
    ended(5, &["scan", text(&scratch)]);
    let cut = fs::read(&tarball).unwrap();
    let cut = write(temporary.path(), "cut.tar.gz", &cut[..cut.len() / 2]);
    ended(5, &["scan", text(&cut)]);
    let Ok(ldb) = Command::new("ldb")
        .args(["--hex", &format!("--db={}", text(&directory)), "scan"])
        .output()
    else {
        assert!(
            std::env::var_os("CI").is_none(),
            "`ldb` is not there; install rocksdb-tools"
        );
        eprintln!("SKIPPED scan_prints_what_ldb_prints: `ldb` is not there; install rocksdb-tools");
        return;
    };
    assert!(ldb.status.success(), "{}", stderr(&ldb));
    let theirs = String::from_utf8(ldb.stdout).unwrap();
    let theirs = theirs.replace("0x", "").to_lowercase();
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        // Upstream's scanner puts blanks around the colon, as ldb does.
        assert_eq!(ours, theirs, "line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn diff_decodes_what_differs() {
    let temporary = tempfile::tempdir().unwrap();
    let (a, b) = (temporary.path().join("a"), temporary.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    let mut accounts: Vec<Account> = (1..=20).map(|number| account(number, number)).collect();
    let (left_directory, left) = store(&a, &accounts);
    accounts[7].balance = Amount::from_nanomina(5_000_000_000);
    let (_, right) = store(&b, &accounts);
    assert!(ended(0, &["diff", text(&left), text(&left_directory)]).starts_with("equal: "));
    let report = json(0, &["diff", text(&left), text(&left_directory)]);
    assert_eq!(report["equal"], true);
    let out = ended(4, &["diff", text(&left), text(&right), "--max", "2"]);
    let key = account(8, 8).public_key;
    assert!(
        out.contains(&format!("\naccount 7 ({key})\n  balance: ")),
        "{out}"
    );
    let first = format!("first difference: account 7 ({key}): balance: 0.000000008 -> 5\n");
    assert!(out.contains(&first), "{out}");
    assert!(out.contains("and 34 more"), "{out}");
    let report = json(4, &["diff", text(&left), text(&right)]);
    // The account, and the nodes from its leaf to the root.
    assert_eq!(
        (&report["changed"], &report["only_left"]),
        (&37.into(), &0.into())
    );
    assert_eq!(report["differences"].as_array().unwrap().len(), 11);
    ended(
        5,
        &["diff", text(&left), text(&temporary.path().join("absent"))],
    );
}

#[test]
fn diff_tells_packing_from_content() {
    let temporary = tempfile::tempdir().unwrap();
    let accounts: Vec<Account> = (1..=20).map(|number| account(number, number)).collect();
    let (directory, left) = store(temporary.path(), &accounts);
    assert_eq!(
        ended(0, &["diff", text(&left), text(&left)]),
        "equal: 152 entries\n"
    );
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(&left).unwrap())
        .read_to_end(&mut tar)
        .unwrap();
    // The time of the first member, and with it the sum of its header.
    tar[136..147].copy_from_slice(b"00000000007");
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let right = temporary.path().join("other.tar.gz");
    let file = fs::File::create(&right).unwrap();
    let mut encoder = flate2::GzBuilder::new()
        .operating_system(3)
        .write(file, flate2::Compression::new(3));
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap();
    let report = json(0, &["diff", text(&left), text(&right)]);
    assert_eq!(report["equal"], true);
    assert_eq!(
        report["first"],
        "packing only: gzip header, operating system: 255 -> 3"
    );
    assert_eq!(report["packing"][1], "time of `./`: 0 -> 7");
    // A directory has no packing.
    let report = json(0, &["diff", text(&left), text(&directory)]);
    assert_eq!(report["first"], Value::Null);
}

#[test]
fn tarball_names_are_those_the_daemon_looks_for() {
    let name = [
        "tarball-name",
        "--era",
        "mesa",
        "--prefix",
        "genesis_ledger",
        D2,
    ];
    let expected =
        "genesis_ledger_28daf095d0bf019f87ac878ba5b6a31e00f6e877f1bca635189e00205e22b788.tar.gz";
    assert_eq!(ended(0, &name), format!("{expected}\n"));
    assert_eq!(json(0, &name)["name"], expected);
}

#[test]
fn real_blocks_hash_to_their_names() {
    let Some(root) = shared("real_blocks_hash_to_their_names", "reference-data/blocks") else {
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let mut blocks = 0;
    for directory in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let (height, hash) = fork_genesis::block::parse_file_name(name).unwrap();
            let report = json(0, &["block", text(&path), "--expect", &hash.to_string()]);
            assert_eq!(report["state_hash"], hash.to_string(), "{name}");
            assert_eq!(report["blockchain_length"], height, "{name}");
            assert_eq!(report["name"]["check"], "matches", "{name}");
            assert_eq!(report["expect"]["check"], "matches", "{name}");
            blocks += 1;
            if blocks > 1 {
                continue;
            }
            // One of them under other names.
            let bytes = fs::read(&path).unwrap();
            let out = ended(
                0,
                &["block", text(&write(temporary.path(), "b.json", &bytes))],
            );
            assert_eq!(out.lines().next(), Some(hash.to_string().as_str()));
            assert!(!out.contains("file name"), "{out}");
            let packed = write(temporary.path(), &format!("{name}.gz"), gzip(&bytes));
            assert_eq!(
                json(0, &["block", text(&packed)])["name"]["check"],
                "matches"
            );
            let parent = report["previous_state_hash"].as_str().unwrap();
            for (wrong, message) in [
                (
                    format!("mainnet-{height}-{parent}.json"),
                    "its name says 3N",
                ),
                (format!("mainnet-{}-{hash}.json", height + 1), "has height"),
            ] {
                let file = write(temporary.path(), &wrong, &bytes);
                let output = run(&["block", text(&file)]);
                assert_eq!(output.status.code(), Some(4));
                assert!(stderr(&output).contains(message), "{}", stderr(&output));
                assert!(
                    !output.stdout.is_empty(),
                    "the facts are printed all the same"
                );
            }
            ended(4, &["block", text(&path), "--expect", parent]);
            let genesis = report["genesis_state_hash"].as_str().unwrap();
            ended(4, &["block", text(&path), "--expect", genesis]);
            let cut = write(temporary.path(), "cut.json", &bytes[..bytes.len() / 2]);
            ended(5, &["block", text(&cut)]);
        }
    }
    assert!(blocks > 30);
}

#[test]
fn real_ledgers_have_their_published_roots() {
    let test = "real_ledgers_have_their_published_roots";
    let v1 = "jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee";
    if let Some(file) = shared(test, &format!("reference-data/mainnet-0-{v1}.json")) {
        let out = ended(0, &["hash", "--era", "v1", text(&file)]);
        assert_eq!(out.lines().next(), Some(v1));
    }
    let (Some(fork), Some(config)) = (
        shared(test, "reference-data/devnet-hardfork-2024-04-full.json.gz"),
        shared(test, "reference-data/config-devnet.json"),
    ) else {
        return;
    };
    let config: Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
    let cases = [
        ("genesis", &config["ledger"]["hash"], 10_703),
        ("staking", &config["epoch_data"]["staking"]["hash"], 10_665),
        ("next", &config["epoch_data"]["next"]["hash"], 10_681),
    ];
    for (ledger, root, accounts) in cases {
        let report = json(
            0,
            &["hash", "--era", "berkeley", "--ledger", ledger, text(&fork)],
        );
        assert_eq!(&report["root"], root, "{ledger}");
        assert_eq!(report["accounts"], accounts, "{ledger}");
    }
}
