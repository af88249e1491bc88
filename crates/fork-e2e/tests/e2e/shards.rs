//! `migrate-ledger shard` and `merge`: the same bytes as one run, and nothing else for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fork_testkit::fixture::{FixtureSpec, write_account_list};
use fork_types::{Era, Role};
use serde_json::{Value, json};

use crate::support::{FORK_SLOT, Fixture, Place, Ran, ended, names};

mod broken;

const ROLES: [&str; 3] = ["genesis", "staking", "next"];
const RULE: [&str; 6] = [
    "--from",
    "berkeley",
    "--to",
    "mesa",
    "--fork-slot",
    FORK_SLOT,
];

/// The source options of a candidate's ledgers.
fn of_candidate<'a>(roles: &[&'a str]) -> Vec<&'a str> {
    let mut options = vec!["--candidate", "candidate"];
    for role in roles {
        options.extend(["--role", role]);
    }
    options.extend(RULE);
    options
}

fn shard(place: &Place, options: &[&str], number: u32, of: u32, output: &str) -> Ran {
    let shard = format!("{number}/{of}");
    let own = ["shard", "--shard", &shard, "--output", output];
    place.run("migrate-ledger", &[&own, options].concat())
}

/// Makes all shards as `PREFIX-K`; their names, the last one first.
fn shards(place: &Place, options: &[&str], of: u32, prefix: &str) -> Vec<String> {
    let name = |number| format!("{prefix}-{number}");
    for number in 1..=of {
        shard(place, options, number, of, &name(number)).done();
    }
    (1..=of).rev().map(name).collect()
}

fn merge(place: &Place, shards: &[impl AsRef<str>], options: &[&str], output: &str) -> Ran {
    let mut arguments = vec!["merge", "--shards"];
    arguments.extend(shards.iter().map(AsRef::as_ref));
    arguments.extend(["--output", output]);
    arguments.extend_from_slice(options);
    place.run("migrate-ledger", &arguments)
}

/// What a directory holds, by name, with measurements made equal.
fn content(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in names(directory) {
        let path = directory.join(&name);
        if path.is_dir() {
            let inner = content(&path).into_iter();
            files.extend(inner.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name == "ledger.json" {
            let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            document["stages_ms"] = Value::Null;
            document["peak_memory_bytes"] = Value::Null;
            files.push((name, serde_json::to_vec_pretty(&document).unwrap()));
        } else {
            files.push((name, fs::read(path).unwrap()));
        }
    }
    files
}

/// Both directories hold the same files with the same bytes.
fn same(place: &Place, one: &str, other: &str) {
    let (one, other) = (content(&place.path(one)), content(&place.path(other)));
    let listed = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(listed(&one), listed(&other));
    assert!(!one.is_empty());
    for ((name, one), (_, other)) in one.iter().zip(&other) {
        assert!(one == other, "{name} differs");
    }
}

/// Three ledgers that share accounts and have different lengths.
#[test]
fn shards_of_any_number_give_the_bytes_of_one_run() {
    for (fixture, numbers) in [
        (Fixture::small(), &[1, 2, 3, 4, 5, 6, 7, 8, 20][..]),
        (Fixture::sharing(), &[2, 5][..]),
    ] {
        let place = Place::new();
        fixture.import(&place);
        let options = of_candidate(&ROLES);
        let whole = [&options[..], &["--output", "whole"]].concat();
        place.run("migrate-ledger", &whole).done();
        for of in numbers {
            let made = shards(&place, &options, *of, &format!("of-{of}"));
            let merged = format!("merged-{of}");
            merge(&place, &made, &["--candidate", "candidate"], &merged).done();
            same(&place, "whole", &merged);
        }
    }
}

/// One ledger goes where one ledger of a whole run goes; both proofs; a root that is relied on.
#[test]
fn options_give_the_bytes_of_one_run_too() {
    let place = Place::new();
    Fixture::small().import(&place);
    for (number, (source, proof)) in [
        (&[][..], &["--proof", "rocksdb"][..]),
        (&["--skip-source-root"], &["--proof", "log"]),
    ]
    .into_iter()
    .enumerate()
    {
        let options = [&of_candidate(&["staking"]), source].concat();
        let whole = format!("whole-{number}");
        let run = [&options[..], proof, &["--output", &whole]].concat();
        place.run("migrate-ledger", &run).done();
        let root = place.document(&format!("{whole}/ledger.json"))["target"]["root"].clone();
        let made = shards(&place, &options, 3, &format!("shard-{number}"));
        let merged = format!("merged-{number}");
        let common = [&["--candidate", "candidate"], proof].concat();
        merge(&place, &made, &common, &merged).done();
        same(&place, &whole, &merged);
        let expected = ["--expect-root", root.as_str().unwrap(), "--force"];
        merge(&place, &made, &[&common[..], &expected].concat(), &merged).done();
        let document = place.document(&format!("{merged}/ledger.json"));
        assert_eq!(document["target"]["expected_by_caller"], true);
    }
}

/// The first accounts of a made-up ledger as a bare list, one of v1 with the same owners.
fn lists(place: &Place, era: Era, count: usize) -> (String, String) {
    let spec = FixtureSpec {
        accounts: 150,
        era,
        ..FixtureSpec::default()
    };
    let all = place.path("all.json");
    write_account_list(&spec, Role::Genesis, &all).unwrap();
    let accounts: Vec<Value> = serde_json::from_slice(&fs::read(all).unwrap()).unwrap();
    let list = |accounts: Vec<String>| format!("[\n{}\n]\n", accounts.join(",\n"));
    let later = accounts[..count].iter().map(Value::to_string).collect();
    let mut owners: Vec<&str> = accounts
        .iter()
        .map(|account| account["pk"].as_str().unwrap())
        .collect();
    owners.dedup();
    owners.sort_unstable();
    owners.dedup();
    let v1 = owners
        .iter()
        .take(count)
        .enumerate()
        .map(|(number, pk)| json!({"pk": pk, "balance": format!("{number}.5"), "token": "1"}))
        .map(|account| account.to_string())
        .collect();
    (list(later), list(v1))
}

/// Bare lists of all eras and both forms, of sizes that no power of two divides.
#[test]
fn bare_lists_of_every_era_give_the_bytes_of_one_run() {
    for (era, from, to, slot) in [
        (Era::Berkeley, "berkeley", "mesa", true),
        (Era::Berkeley, "v1", "berkeley", false),
        (Era::Berkeley, "berkeley", "berkeley", false),
        (Era::Mesa, "mesa", "mesa", false),
    ] {
        for (count, of) in [(1, 3), (17, 2), (97, 7)] {
            let place = Place::new();
            let (later, v1) = lists(&place, era, count);
            place.write("list.json", if from == "v1" { v1 } else { later });
            let mut forms = vec!["list.json"];
            if from != "v1" {
                let more = ["--to", "bin-prot", "--output", "list.bin"];
                let convert = ["convert", "list.json", "--era", from];
                place
                    .run("inspect-ledger", &[&convert[..], &more].concat())
                    .done();
                forms.push("list.bin");
            }
            for list in forms {
                let mut options = vec!["--accounts", list, "--role", "next"];
                options.extend(["--from", from, "--to", to]);
                if slot {
                    options.extend(["--fork-slot", FORK_SLOT]);
                }
                let whole = ["--unverified-source", "--force", "--output", "whole"];
                let ran = place.run("migrate-ledger", &[&options[..], &whole].concat());
                ran.done();
                let count = count.to_string();
                options.extend(["--account-count", &count]);
                let made = shards(&place, &options, of, &format!("{list}-shard"));
                let checked = ["--unverified-source", "--force"];
                merge(&place, &made, &checked, "merged").done();
                same(&place, "whole", "merged");
            }
        }
    }
}

/// A claim by the caller is compared with the root that the shards' subtrees give.
#[test]
fn a_claimed_source_root_is_compared() {
    let place = Place::new();
    Fixture::small().import(&place);
    let list = "candidate/staged_ledger.json";
    let mut options = vec!["--accounts", list, "--role", "genesis"];
    options.extend(RULE);
    options.extend(["--account-count", "12"]);
    let made = shards(&place, &options, 2, "shard");
    let ran = merge(&place, &made, &[], "out");
    place.nothing_left("out");
    ran.refused(2, &["nothing claims a root for the genesis ledger"]);
    let root = place.document("candidate/candidate.json")["staged_ledger"]["claimed_root"]["root"]
        .as_str()
        .unwrap()
        .to_owned();
    merge(&place, &made, &["--source-root", &root], "merged").done();
    let other = "jwNw4qb6tnNhpQNxiMLem9WumxZTwmbSx3fYXW4FP3hZRkoQJSE";
    let ran = merge(&place, &made, &["--source-root", other], "out");
    place.nothing_left("out");
    ran.refused(4, &["staged_ledger.json", &root, other]);
    let ran = merge(
        &place,
        &made,
        &["--source-root", &root, "--expect-root", other],
        "out",
    );
    place.nothing_left("out");
    ran.hints("in one run");
    ran.refused(4, &[other, "--expect-root"]);
}

/// Parallel jobs are numbered from 0; the option wins over the variables.
#[test]
fn parallel_jobs_are_shards() {
    let place = Place::new();
    Fixture::small().import(&place);
    let run = |job: Option<&str>, count: Option<&str>, more: &[&str], output: &str| {
        let mut arguments = vec!["shard", "--output", output];
        arguments.extend(of_candidate(&["genesis"]));
        arguments.extend_from_slice(more);
        let mut command = place.command("migrate-ledger", &arguments);
        if let Some(job) = job {
            command.env("BUILDKITE_PARALLEL_JOB", job);
        }
        if let Some(count) = count {
            command.env("BUILDKITE_PARALLEL_JOB_COUNT", count);
        }
        ended(&mut command)
    };
    let number = |directory: &str| {
        let document = place.document(&format!("{directory}/shard.json"));
        (document["number"].clone(), document["of"].clone())
    };
    run(Some("0"), Some("3"), &[], "first").done();
    assert_eq!(number("first"), (json!(1), json!(3)));
    run(Some("2"), Some("3"), &[], "last").done();
    assert_eq!(number("last"), (json!(3), json!(3)));
    run(Some("2"), Some("3"), &["--shard", "1/2"], "own").done();
    assert_eq!(number("own"), (json!(1), json!(2)));
    for (job, count, needle) in [
        (None, None, "neither --shard"),
        (Some("1"), None, "neither --shard"),
        (Some("3"), Some("3"), "parallel job 3 of 3"),
        (Some("0"), Some("0"), "parallel job 0 of 0"),
    ] {
        let ran = run(job, count, &[], "out");
        place.nothing_left("out");
        ran.refused(2, &[needle]);
    }
    for text in ["0/2", "3/2", "1", "1/5000"] {
        let ran = run(None, None, &["--shard", text], "out");
        assert_eq!(ran.code, Some(2), "{text}: {}", ran.stderr);
    }
}

/// A list that is longer or shorter than it should be, and one with a bad account.
#[test]
fn lists_that_are_not_what_they_should_be() {
    let place = Place::new();
    Fixture::small().import(&place);
    let list = "candidate/staged_ledger.json";
    let run = |list: &str, count: &str, number: u32| {
        let mut options = vec!["--accounts", list, "--role", "genesis"];
        options.extend(RULE);
        options.extend(["--account-count", count]);
        let ran = shard(&place, &options, number, 2, "out");
        if ran.code != Some(0) {
            place.nothing_left("out");
        }
        ran
    };
    run(list, "11", 2).refused(5, &["staged_ledger.json", "more than the 11 accounts"]);
    run(list, "13", 2).refused(5, &["staged_ledger.json", "fewer than the 13 accounts"]);
    let text = fs::read_to_string(place.path(list)).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = "{\"pk\":5},";
    place.write("bad.json", lines.join("\n"));
    // Account 2 belongs to the first of two shards, which alone parses it.
    run("bad.json", "12", 1).refused(5, &["account list `bad.json`"]);
    run("bad.json", "12", 2).done();
    fs::remove_dir_all(place.path("out")).unwrap();

    let mut options = vec!["--accounts", list, "--role", "genesis"];
    options.extend(RULE);
    shard(&place, &options, 1, 2, "out").refused(2, &["--account-count"]);
    let digest = "0".repeat(64);
    options.extend(["--account-count", "12", "--sha256", &digest]);
    shard(&place, &options, 1, 2, "out").refused(4, &["staged_ledger.json", &digest]);
    place.nothing_left("out");
    // The bytes of a candidate are pinned, also those behind and before a shard's accounts.
    fs::write(
        place.path(list),
        text.replacen("\"nonce\":\"", "\"nonce\":\"1", 1),
    )
    .unwrap();
    for number in [1, 2] {
        let ran = shard(&place, &of_candidate(&["genesis"]), number, 2, "out");
        place.nothing_left("out");
        ran.refused(4, &["staged_ledger.json", "SHA-256"]);
    }
}

/// Waits until `reached`, then stops the process; nothing may be left.
fn interrupted(place: &Place, mut command: Command, reached: impl Fn() -> bool) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !reached() {
        let running = child.try_wait().unwrap().is_none();
        assert!(running, "it ended before it got there");
        assert!(Instant::now() < deadline, "it never got there");
        std::thread::sleep(Duration::from_millis(1));
    }
    ended(Command::new("kill").args(["-TERM", &child.id().to_string()])).done();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    place.nothing_left("out");
}

/// Whether a file of the unfinished output has something in it.
fn begun(place: &Place, wanted: impl Fn(&str) -> bool) -> bool {
    let directory = place.path("");
    let Some(partial) = names(&directory)
        .into_iter()
        .find(|name| name.contains(".partial"))
    else {
        return false;
    };
    let mut found = names(&directory.join(&partial));
    found.extend(names(&directory.join(&partial).join("store")));
    found.iter().any(|name| wanted(name))
}

#[test]
fn an_interrupted_shard_or_merge_leaves_nothing() {
    let place = Place::new();
    let list = Fixture::large().file("staged_ledger.json");
    let mut options = vec!["--accounts", &list, "--role", "genesis"];
    options.extend(RULE);
    options.extend(["--account-count", "12000"]);
    let made = shards(&place, &options, 2, "shard");
    let own = ["shard", "--shard", "2/2", "--output", "out"];
    let command = place.command("migrate-ledger", &[&own[..], &options].concat());
    interrupted(&place, command, || {
        begun(&place, |name| name.contains("genesis.piece"))
    });
    let mut arguments = vec!["merge", "--shards"];
    arguments.extend(made.iter().map(String::as_str));
    arguments.extend(["--unverified-source", "--output", "out"]);
    let command = place.command("migrate-ledger", &arguments);
    interrupted(&place, command, || {
        begun(&place, |name| name == "000003.log")
    });
}
