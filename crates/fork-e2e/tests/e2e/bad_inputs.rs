//! Inputs that are broken, contradict each other or do not fit, and runs that are stopped: the exit
//! code says which, one message says where, and nothing is left.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{FORK_SLOT, Fixture, Place, Ran, ended, names, no_partial, skipped, text};

/// Seeds, roots and hashes that are well formed and belong to something else.
const OTHER_SEED: &str = "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531";
const OTHER_ROOT: &str = "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92";
const OTHER_STATE_HASH: &str = "3NKCwhGwD4kScQP8HbXUN7pn17LsEnRA5UWE5PMWZGx1v7Q9vc9S";
/// The modulus of the Pallas base field: the smallest number that is no element.
const MODULUS: &str =
    "28948022309329048855892746252171976963363056481941560715954676764349967630337";

/// Imports with more arguments into `out`.
fn import(place: &Place, arguments: &[&str]) -> Ran {
    let network = Fixture::small().file("network.toml");
    let common = ["import", "--network", &network, "--output", "out"];
    place.run("dump-candidates", &[&common, arguments].concat())
}

/// Imports a changed fork config, `bad.json`, which must be refused and leave nothing.
fn refuse_config(code: i32, needles: &[&str], change: impl FnOnce(&mut Value)) {
    let mut config = Fixture::small().json("fork_config.json");
    change(&mut config);
    refuse_bytes("bad.json", config.to_string().as_bytes(), code, needles);
}

fn refuse_bytes(name: &str, bytes: &[u8], code: i32, needles: &[&str]) {
    let place = Place::new();
    place.write(name, bytes);
    let ran = import(&place, &["--fork-config", name]);
    place.nothing_left("out");
    ran.refused(code, needles);
}

/// The same for one member of account 3 of the genesis ledger.
fn refuse_account(needles: &[&str], member: &str, value: Value) {
    let needles = [&["bad.json", "account 3"], needles].concat();
    refuse_config(5, &needles, |config| {
        config["ledger"]["accounts"][3][member] = value;
    });
}

/// The same for the state of the first zkApp.
fn refuse_state(needles: &[&str], change: impl FnOnce(&mut Vec<Value>)) {
    let needles = [&["bad.json", "account ", "app_state"], needles].concat();
    refuse_config(5, &needles, |config| {
        let accounts = config["ledger"]["accounts"].as_array_mut().unwrap();
        let zkapp = accounts
            .iter_mut()
            .find_map(|account| account.get_mut("zkapp").filter(|zkapp| !zkapp.is_null()))
            .unwrap();
        change(zkapp["app_state"].as_array_mut().unwrap());
    });
}

#[test]
fn a_truncated_gzip() {
    let bytes = fs::read(Fixture::small().file("fork_config.json")).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&bytes).unwrap();
    let whole = encoder.finish().unwrap();
    let half = &whole[..whole.len() / 2];
    let place = half.len().to_string();
    refuse_bytes(
        "bad.json.gz",
        half,
        5,
        &["bad.json.gz", "truncated", &place],
    );
}

#[test]
fn a_truncated_document() {
    let bytes = fs::read(Fixture::small().file("fork_config.json")).unwrap();
    let half = &bytes[..bytes.len() / 2];
    refuse_bytes("bad.json", half, 5, &["bad.json", "line ", "staking"]);
    refuse_bytes("bad.json", b"", 5, &["bad.json", "line 1"]);
}

#[test]
fn members_of_another_type() {
    for member in ["balance", "nonce"] {
        refuse_config(
            5,
            &[
                "bad.json",
                "3 accounts of the genesis ledger",
                member,
                "line 1",
            ],
            |config| config["ledger"]["accounts"][3][member] = json!(5),
        );
    }
    refuse_config(
        5,
        &["bad.json", "genesis ledger", "list of accounts"],
        |config| {
            config["ledger"]["accounts"] = json!({});
        },
    );
}

#[test]
fn a_balance_that_overflows() {
    refuse_account(
        &["balance", "18446744073.709551616"],
        "balance",
        json!("18446744073.709551616"),
    );
}

#[test]
fn a_token_symbol_of_seven_bytes() {
    refuse_account(
        &["token_symbol", "7 bytes"],
        "token_symbol",
        json!("1234567"),
    );
}

#[test]
fn a_public_key_with_a_wrong_checksum() {
    let config = Fixture::small().json("fork_config.json");
    let key = config["ledger"]["accounts"][3]["pk"].as_str().unwrap();
    let last = if key.ends_with('a') { 'b' } else { 'a' };
    let wrong = format!("{}{last}", &key[..key.len() - 1]);
    refuse_account(&["pk", &wrong, "checksum"], "pk", json!(wrong));
}

#[test]
fn a_state_hash_in_place_of_a_public_key() {
    refuse_account(
        &["pk", OTHER_STATE_HASH, "version byte"],
        "pk",
        json!(OTHER_STATE_HASH),
    );
}

#[test]
fn a_state_of_seven_elements() {
    refuse_state(&["7 elements"], |state| state.truncate(7));
}

#[test]
fn a_mesa_state_in_a_berkeley_ledger() {
    refuse_state(&["32 elements", "berkeley"], |state| {
        state.resize(32, json!("0"))
    });
}

#[test]
fn a_number_that_is_no_field_element() {
    refuse_state(&["app_state[0]", MODULUS], |state| {
        state[0] = json!(MODULUS)
    });
}

/// The index alone does not say which of the three lists it counts in.
#[test]
fn a_bad_account_of_an_epoch_ledger() {
    refuse_config(
        5,
        &["bad.json", "staking", "account 3", "token_symbol"],
        |config| {
            config["epoch_data"]["staking"]["accounts"][3]["token_symbol"] = json!("1234567");
        },
    );
}

#[test]
fn an_empty_ledger() {
    refuse_config(5, &["bad.json", "no accounts"], |config| {
        config["ledger"]["accounts"] = json!([]);
    });
}

#[test]
fn a_root_that_is_not_that_of_the_accounts() {
    refuse_config(
        4,
        &["genesis ledger", OTHER_ROOT, "fork-config"],
        |config| {
            config["ledger"]["hash"] = json!(OTHER_ROOT);
        },
    );
}

#[test]
fn an_answer_that_is_an_error() {
    for (answer, code, needle) in [
        (json!({"error": "bootstrapping"}), 3, "bootstrapping"),
        (json!({"error": "the disk broke"}), 5, "the disk broke"),
        (Value::Null, 3, "null"),
    ] {
        let bytes = json!({"data": {"fork_config": answer}}).to_string();
        refuse_bytes("bad.json", bytes.as_bytes(), code, &["bad.json", needle]);
    }
}

#[test]
fn a_file_that_is_not_there() {
    let place = Place::new();
    let ran = import(&place, &["--fork-config", "nowhere.json"]);
    place.nothing_left("out");
    ran.refused(5, &["nowhere.json"]);
    let ran = migrate_list(&place, "nowhere.json", &[]);
    place.nothing_left("out");
    ran.refused(5, &["nowhere.json"]);
}

#[test]
fn a_list_that_is_not_the_pinned_one() {
    let place = Place::new();
    let pin = "00".repeat(32);
    let config = Fixture::small().file("fork_config.json");
    let ran = import(&place, &["--fork-config", &config, "--sha256", &pin]);
    place.nothing_left("out");
    ran.refused(4, &["fork_config.json", &pin]);
    let list = Fixture::small().file("staged_ledger.json");
    let ran = migrate_list(&place, &list, &["--sha256", &pin]);
    place.nothing_left("out");
    ran.refused(4, &["staged_ledger.json", &pin]);
}

/// A block, the fork config beside it, and a block file name that may claim something.
fn refuse_block(name: &str, needles: &[&str], change: impl FnOnce(&mut Value)) {
    let fixture = Fixture::small();
    let mut block = fixture.json("block.json");
    let inner = match block.get_mut("data") {
        Some(_) => &mut block["data"],
        None => &mut block,
    };
    change(&mut inner["protocol_state"]["body"]);
    let place = Place::new();
    place.write(name, block.to_string());
    let config = fixture.file("fork_config.json");
    let ran = import(&place, &["--fork-config", &config, "--block", name]);
    place.nothing_left("out");
    ran.refused(4, needles);
}

#[test]
fn a_block_with_another_seed() {
    refuse_block(
        "block.json",
        &["staking epoch", OTHER_SEED, "block"],
        |body| {
            body["consensus_state"]["staking_epoch_data"]["seed"] = json!(OTHER_SEED);
        },
    );
}

#[test]
fn a_block_with_another_staged_ledger() {
    refuse_block(
        "block.json",
        &["genesis ledger", OTHER_ROOT, "block"],
        |body| {
            body["blockchain_state"]["staged_ledger_hash"]["non_snark"]["ledger_hash"] =
                json!(OTHER_ROOT);
        },
    );
}

#[test]
fn a_block_under_the_name_of_another() {
    let height = Fixture::small().model.blockchain_length;
    let name = format!("mainnet-{height}-{OTHER_STATE_HASH}.json");
    refuse_block(
        &name,
        &["state hash", OTHER_STATE_HASH, "file name"],
        |_| {},
    );
    let hash = Fixture::small().model.state_hash;
    let name = format!("mainnet-{}-{hash}.json", height + 1);
    refuse_block(&name, &["height", "file name"], |_| {});
}

/// The chain's genesis block is the only one whose hash cannot be recomputed; a name does not make
/// another block into it.
#[test]
fn a_block_under_the_name_of_the_genesis_block() {
    let block = Fixture::small().json("block.json");
    let inner = block.get("data").unwrap_or(&block);
    let genesis = inner["protocol_state"]["body"]["genesis_state_hash"]
        .as_str()
        .unwrap();
    let height = Fixture::small().model.blockchain_length;
    let name = format!("mainnet-{height}-{genesis}.json");
    refuse_block(&name, &["state hash", genesis, "file name"], |_| {});
}

/// Migrates a bare list into `out`.
fn migrate_list(place: &Place, list: &str, more: &[&str]) -> Ran {
    let common = [
        "--accounts",
        list,
        "--role",
        "genesis",
        "--from",
        "berkeley",
        "--to",
        "mesa",
        "--fork-slot",
        FORK_SLOT,
        "--unverified-source",
        "--output",
        "out",
    ];
    place.run("migrate-ledger", &[&common, more].concat())
}

fn refuse_list(list: &Value, needles: &[&str]) {
    let place = Place::new();
    place.write("list.json", list.to_string());
    let ran = migrate_list(&place, "list.json", &[]);
    place.nothing_left("out");
    ran.refused(5, &[&["list.json"], needles].concat());
}

#[test]
fn an_account_that_is_there_twice() {
    let mut list = Fixture::small().json("staged_ledger.json");
    let accounts = list.as_array_mut().unwrap();
    let again = accounts[3].clone();
    let key = again["pk"].as_str().unwrap().to_owned();
    let index = accounts.len();
    accounts.push(again);
    refuse_list(&list, &[&format!("accounts 3 and {index}"), &key]);
}

#[test]
fn lists_that_are_none() {
    refuse_list(&json!({}), &["object", "array"]);
    refuse_list(&json!([5]), &["0 complete accounts"]);
}

#[test]
fn an_empty_list() {
    refuse_list(&json!([]), &["without accounts"]);
}

#[test]
fn a_list_with_another_root() {
    let place = Place::new();
    let list = Fixture::small().file("staged_ledger.json");
    let ran = migrate_list(&place, &list, &["--source-root", OTHER_ROOT]);
    place.nothing_left("out");
    ran.refused(4, &["staged_ledger.json", OTHER_ROOT, "--source-root"]);
    let ran = migrate_list(&place, &list, &["--expect-root", OTHER_ROOT]);
    place.nothing_left("out");
    ran.refused(4, &["genesis ledger", OTHER_ROOT, "--expect-root"]);
}

/// The one who published the root used another variant of the rule: the hint says which.
#[test]
fn a_root_of_another_variant() {
    let list = Fixture::small().file("staged_ledger.json");
    for (used, other) in [
        ("untimed-becomes-timed", "untimed-stays"),
        ("untimed-stays", "no-vesting"),
        ("untimed-becomes-timed", "no-vesting"),
    ] {
        let place = Place::new();
        let mut arguments = vec![
            "--accounts",
            &list,
            "--role",
            "genesis",
            "--from",
            "berkeley",
            "--to",
            "mesa",
            "--unverified-source",
            "--output",
            "other",
            "--variant",
            other,
        ];
        if other != "no-vesting" {
            arguments.extend(["--fork-slot", FORK_SLOT]);
        }
        let document = place.json("migrate-ledger", &arguments);
        let root = document["target"]["root"].as_str().unwrap();
        let ran = migrate_list(&place, &list, &["--variant", used, "--expect-root", root]);
        place.nothing_left("out");
        ran.refused(4, &[root]);
        ran.hints(&format!("--variant {other}"));
    }
}

#[test]
fn an_output_that_is_not_empty() {
    let fixture = Fixture::small();
    let place = Place::new();
    let config = fixture.file("fork_config.json");
    let list = fixture.file("staged_ledger.json");
    fs::create_dir(place.path("out")).unwrap();
    place.write("out/precious", "x");
    import(&place, &["--fork-config", &config]).refused(2, &["`out`"]);
    migrate_list(&place, &list, &[]).refused(2, &["`out`"]);
    assert_eq!(names(&place.path("out")), ["precious"]);
    // A run that fails leaves what it was to replace.
    import(&place, &["--fork-config", "nowhere.json", "--force"]).refused(5, &["nowhere.json"]);
    assert_eq!(names(&place.path("out")), ["precious"]);
    import(&place, &["--fork-config", &config, "--force"]).done();
    assert_eq!(
        names(&place.path("out")),
        [
            "candidate.json",
            "next_staking_ledger.json",
            "staged_ledger.json",
            "staking_ledger.json"
        ]
    );
    migrate_list(&place, &list, &["--force"]).done();
    assert_eq!(names(&place.path("out")).len(), 2, "tarball and document");
    no_partial(&place.path(""));
}

#[test]
fn rules_that_there_are_not() {
    let place = Place::new();
    Fixture::small().import(&place);
    let list = Fixture::small().file("staged_ledger.json");
    let candidate = ["--candidate", "candidate"];
    let bare = ["--accounts", &list, "--unverified-source"];
    for (source, rest, needles) in [
        // The candidate follows another era.
        (
            &candidate[..],
            &["--from", "mesa", "--to", "mesa"][..],
            &["berkeley", "mesa"][..],
        ),
        (
            &bare[..],
            &["--from", "mesa", "--to", "berkeley"],
            &["mesa", "berkeley"],
        ),
        (&bare, &["--from", "v1", "--to", "mesa"], &["v1", "mesa"]),
        (
            &bare,
            &["--from", "berkeley", "--to", "mesa"],
            &["fork slot"],
        ),
        (
            &candidate,
            &[
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--fork-slot",
                FORK_SLOT,
                "--variant",
                "mine",
            ],
            &["mine", "untimed-stays"],
        ),
    ] {
        let common = ["--role", "genesis", "--output", "out"];
        let ran = place.run("migrate-ledger", &[&common, source, rest].concat());
        place.nothing_left("out");
        ran.refused(2, needles);
    }
    // A fork config alone does not tell which of its two meanings its slot has, so it is not used.
    let config = Fixture::small().file("fork_config.json");
    let network = Fixture::small().file("network.toml");
    let arguments = [
        "import",
        "--network",
        &network,
        "--fork-config",
        &config,
        "--output",
        "alone",
    ];
    place.run("dump-candidates", &arguments).done();
    let arguments = [
        "--role", "genesis", "--from", "berkeley", "--to", "mesa", "--output", "out",
    ];
    let ran = place.run(
        "migrate-ledger",
        &[&["--candidate", "alone"], &arguments[..]].concat(),
    );
    place.nothing_left("out");
    ran.refused(2, &["fork slot"]);
    // With the block it does.
    let document = place.json("migrate-ledger", &[&candidate, &arguments[..]].concat());
    assert_eq!(document["rule"]["fork_slot"].to_string(), FORK_SLOT);
}

#[test]
fn a_ledger_that_nobody_vouches_for() {
    let fixture = Fixture::small();
    let place = Place::new();
    let config = fixture.file("fork_config.json");
    import(&place, &["--fork-config", &config]).done();
    let ran = place.run(
        "migrate-ledger",
        &[
            "--candidate",
            "out",
            "--role",
            "staking",
            "--from",
            "berkeley",
            "--to",
            "mesa",
            "--fork-slot",
            FORK_SLOT,
            "--output",
            "migrated",
        ],
    );
    place.nothing_left("migrated");
    ran.refused(2, &["staking ledger"]);
}

#[test]
fn a_candidate_that_was_changed() {
    let place = Place::new();
    Fixture::small().import(&place);
    let list = place.path("candidate/staged_ledger.json");
    let mut bytes = fs::read(&list).unwrap();
    bytes.push(b'\n');
    fs::write(&list, bytes).unwrap();
    let ran = place.run(
        "migrate-ledger",
        &[
            "--candidate",
            "candidate",
            "--role",
            "genesis",
            "--from",
            "berkeley",
            "--to",
            "mesa",
            "--fork-slot",
            FORK_SLOT,
            "--output",
            "out",
        ],
    );
    place.nothing_left("out");
    ran.refused(4, &["candidate/staged_ledger.json", "SHA-256"]);
}

/// Generates into `out` from the ledgers with a prefix.
fn generate(place: &Place, prefix: &str, prefork: &str, more: &[&str]) -> Ran {
    let network = Fixture::small().file("network.toml");
    let ledgers = ["genesis", "staking", "next"].map(|role| format!("{prefix}-{role}"));
    let common = [
        "--network",
        &network,
        "--candidate",
        "candidate",
        "--ledgers",
        &ledgers[0],
        &ledgers[1],
        &ledgers[2],
        "--prefork-config",
        prefork,
        "--output",
        "out",
    ];
    place.run("generate-network-config", &[&common, more].concat())
}

fn migrated(slot: &str) -> Place {
    let place = Place::new();
    Fixture::small().import(&place);
    Fixture::migrate(&place, "ledger", slot);
    place
}

#[test]
fn ledgers_migrated_at_another_slot() {
    let place = migrated("958441");
    let prefork = Fixture::small().file("prefork_config.json");
    let ran = generate(&place, "ledger", &prefork, &[]);
    place.nothing_left("out");
    ran.refused(4, &["fork slot", "958441", FORK_SLOT, "genesis ledger"]);
}

#[test]
fn a_tarball_that_was_changed() {
    let place = migrated(FORK_SLOT);
    let tarball = place.tarball("ledger-staking");
    let mut bytes = fs::read(&tarball).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tarball, bytes).unwrap();
    let prefork = Fixture::small().file("prefork_config.json");
    let ran = generate(&place, "ledger", &prefork, &[]);
    place.nothing_left("out");
    let name = tarball.file_name().unwrap().to_str().unwrap();
    ran.refused(4, &["ledger-staking", name, "SHA-256"]);
}

#[test]
fn a_role_that_is_missing() {
    let place = migrated(FORK_SLOT);
    fs::remove_dir_all(place.path("ledger-next")).unwrap();
    Command::new("cp")
        .args([
            "-r",
            text(&place.path("ledger-staking")),
            text(&place.path("ledger-next")),
        ])
        .status()
        .unwrap();
    let prefork = Fixture::small().file("prefork_config.json");
    let ran = generate(&place, "ledger", &prefork, &[]);
    place.nothing_left("out");
    ran.refused(2, &["staking ledger"]);
}

/// No time is given, so there is none; the clock is never asked.
#[test]
fn a_time_that_nobody_gives() {
    let place = migrated(FORK_SLOT);
    let time =
        Fixture::small().json("prefork_config.json")["genesis"]["genesis_state_timestamp"].clone();
    let config = json!({"genesis": {"genesis_state_timestamp": time}});
    place.write("prefork.json", config.to_string());
    let ran = generate(&place, "ledger", "prefork.json", &[]);
    place.nothing_left("out");
    ran.refused(2, &["genesis timestamp", "slot_chain_end"]);
    // One that contradicts the stop slots is none either.
    let prefork = Fixture::small().file("prefork_config.json");
    let ran = generate(
        &place,
        "ledger",
        &prefork,
        &["--genesis-timestamp", "2026-09-03T18:03:00Z"],
    );
    place.nothing_left("out");
    ran.refused(4, &["2026-09-03T18:03:00Z"]);
    generate(&place, "ledger", &prefork, &[]).done();
}

/// A file system of a few megabytes, unmounted at the end.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "tmpfs",
                text(&path),
            ])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn on_a_tiny_disk(test: &str, size: &str, check: impl FnOnce(&Place, &TinyDisk)) {
    let place = Place::new();
    match TinyDisk::mount(place.path("disk"), size) {
        Some(disk) => check(&place, &disk),
        None => skipped(test, "a tmpfs cannot be mounted (not root?)"),
    }
}

fn assert_empty(disk: &TinyDisk) {
    assert_eq!(names(&disk.0), Vec::<String>::new(), "left on the disk");
}

#[test]
fn a_disk_that_an_import_fills() {
    on_a_tiny_disk("a_disk_that_an_import_fills", "3m", |place, disk| {
        let fixture = Fixture::large();
        let ran = place.run(
            "dump-candidates",
            &[
                "import",
                "--network",
                &fixture.file("network.toml"),
                "--fork-config",
                &fixture.file("fork_config.json"),
                "--output",
                "disk/out",
            ],
        );
        assert_empty(disk);
        ran.refused(6, &["staged_ledger.json", "disk/"]);
    });
}

/// Nobody knows how long a bare list is, so the disk fills up while the store is written.
#[test]
fn a_disk_that_a_migration_fills() {
    on_a_tiny_disk("a_disk_that_a_migration_fills", "3m", |place, disk| {
        let list = Fixture::large().file("staged_ledger.json");
        let ran = migrate_to(
            place,
            &["--accounts", &list, "--unverified-source"],
            "disk/out",
        );
        assert_empty(disk);
        ran.refused(6, &["disk/"]);
    });
}

/// A candidate says how long its lists are: refused before anything is written.
#[test]
fn a_disk_without_room_for_a_migration() {
    on_a_tiny_disk(
        "a_disk_without_room_for_a_migration",
        "1m",
        |place, disk| {
            Fixture::large().import(place);
            let ran = migrate_to(place, &["--candidate", "candidate"], "disk/out");
            assert_empty(disk);
            ran.refused(6, &["disk/", "needed"]);
        },
    );
}

fn migrate_to(place: &Place, source: &[&str], output: &str) -> Ran {
    let common = [
        "--role",
        "genesis",
        "--from",
        "berkeley",
        "--to",
        "mesa",
        "--fork-slot",
        FORK_SLOT,
        "--output",
        output,
    ];
    place.run("migrate-ledger", &[&common, source].concat())
}

/// How far a migration is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The unfinished directory is there.
    Started,
    /// Something is in the store.
    Storing,
    /// The tarball is being written.
    Packing,
}

impl Stage {
    fn reached(self, directory: &Path) -> bool {
        let Some(partial) = names(directory)
            .into_iter()
            .find(|name| name.contains(".partial"))
        else {
            return false;
        };
        let partial = directory.join(partial);
        match self {
            Self::Started => true,
            Self::Storing => names(&partial.join("store")).iter().any(|name| {
                fs::metadata(partial.join("store").join(name)).is_ok_and(|file| file.len() > 1000)
            }),
            Self::Packing => names(&partial).iter().any(|name| name.contains(".tar.gz")),
        }
    }
}

/// Stops a migration with a signal as soon as it has reached a stage.
fn interrupt(signal: &str, stage: Stage) {
    let list = Fixture::large().file("staged_ledger.json");
    let place = Place::new();
    let directory = place.path("");
    let mut child = place
        .command(
            "migrate-ledger",
            &[
                "--accounts",
                &list,
                "--unverified-source",
                "--role",
                "genesis",
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--fork-slot",
                FORK_SLOT,
                "--output",
                "out",
            ],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !stage.reached(&directory) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{signal} at {stage:?}: the migration ended before it got there"
        );
        assert!(
            Instant::now() < deadline,
            "{signal} at {stage:?}: never got there"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    ended(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()])).done();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(130),
        "{signal} at {stage:?}: {stderr}"
    );
    assert!(
        stderr.contains("interrupted"),
        "{signal} at {stage:?}: {stderr}"
    );
    assert!(
        !stderr.contains("error:"),
        "{signal} at {stage:?}: {stderr}"
    );
    assert_eq!(
        names(&directory),
        Vec::<String>::new(),
        "{signal} at {stage:?}"
    );
}

#[test]
fn an_interrupt() {
    for stage in [Stage::Started, Stage::Storing, Stage::Packing] {
        interrupt("INT", stage);
    }
}

#[test]
fn a_termination() {
    for stage in [Stage::Started, Stage::Storing, Stage::Packing] {
        interrupt("TERM", stage);
    }
}
