//! Everything the pipeline makes, made in worlds that differ in all that must not matter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pasta_poseidon::Kernel;
use serde_json::Value;
use tempfile::TempDir;

use crate::base;
use crate::bytes::{Tree, find_word, first_difference, tree};
use crate::support::{binary, ended, root, skipped, text};

/// In the name of everything that has a name here and must be in no artefact.
const WORD: &str = "fptoken";

/// How much faster the clock of a faked time runs. Then the workers' own measurements show that it is
/// faked for them.
const TIME_FACTOR: u32 = 1000;

/// What differs in a world, and the lines of the witness that prove it.
struct World {
    name: String,
    variables: Vec<String>,
    shows: Vec<&'static str>,
}

fn world(name: &str, variables: &[&str], shows: &[&'static str]) -> World {
    World {
        name: name.to_owned(),
        variables: variables.iter().map(|&text| text.to_owned()).collect(),
        shows: shows.to_vec(),
    }
}

/// One world for each thing that must not matter, and one in which all of them differ.
fn worlds() -> Vec<World> {
    let time = format!("W_TIME=@2031-03-04 05:06:07 x{TIME_FACTOR}");
    let long = ["directory-with-a-long-name-0123456789"; 6].join("/");
    let long = format!("W_CWD=/mnt/{WORD}-work/{long}");
    let home = format!("HOME=/mnt/{WORD}-home");
    let scratch = format!("TMPDIR=/mnt/{WORD}-tmp");
    let host = format!("W_HOST={WORD}-host");
    let user = [format!("USER={WORD}"), format!("LOGNAME={WORD}")];
    let mut worlds = vec![
        world("again", &[], &[]),
        world("time", &[&time], &["time"]),
        world("time zone", &["TZ=FAR-14"], &["zone"]),
        world(
            "locale",
            &["LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8"],
            &["locale"],
        ),
        world("user", &["W_USER=54321", &user[0], &user[1]], &["user"]),
        world("umask", &["W_UMASK=0077"], &["umask"]),
        world("no umask", &["W_UMASK=0000"], &["umask"]),
        world("directory", &[&long], &["directory"]),
        world("host", &[&host], &["host"]),
        world("one core", &["W_CPUS=0", "RAYON_NUM_THREADS=1"], &["cores"]),
        world("many threads", &["RAYON_NUM_THREADS=7"], &["cores"]),
        world("home", &[&home, &scratch], &["home"]),
        world("arguments", &["ROLES=next genesis staking"], &[]),
        world("memory", &["W_TMPFS=1"], &["file-system"]),
        // tmpfs lists a directory by the order in which it was filled.
        world("order", &["W_TMPFS=1", "ORDER=-r"], &["directory-order"]),
    ];
    for kernel in Kernel::available() {
        let variable = format!("FORKPACK_KERNEL={}", kernel.name());
        worlds.push(world(
            &format!("kernel {}", kernel.name()),
            &[&variable],
            &["kernel"],
        ));
    }
    let all = [
        &time,
        "TZ=FAR-14",
        "LC_ALL=tr_TR.UTF-8",
        "W_USER=54321",
        &user[0],
        &user[1],
        "W_UMASK=0077",
        &long,
        &host,
        "W_CPUS=0",
        "RAYON_NUM_THREADS=1",
        "FORKPACK_KERNEL=portable",
        "ROLES=next genesis staking",
        "ORDER=-r",
        &home,
        &scratch,
        "W_TMPFS=1",
    ];
    let shows = [
        "time",
        "zone",
        "locale",
        "user",
        "umask",
        "directory",
        "host",
        "cores",
        "kernel",
        "home",
        "file-system",
        "directory-order",
    ];
    worlds.push(world("all", &all, &shows));
    worlds
}

/// Where worlds are made.
struct Site {
    place: TempDir,
}

/// What came out of a world.
struct Outcome {
    files: Tree,
    witness: BTreeMap<String, String>,
    took: Duration,
}

impl Site {
    fn new() -> Self {
        // Not the temporary directory, which may be in memory.
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let base = place.path().join("base");
        fs::create_dir(&base).unwrap();
        base::write_archive(&base.join("base.tar"));
        base::write_rootfs(&base.join("base"));
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn build(&self, name: &str, variables: &[String]) -> Outcome {
        let (disk, result) = (self.path("disk"), self.path("result"));
        fs::create_dir(&disk).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repro");
        let binaries = binary("package-image");
        let started = Instant::now();
        let ran = ended(
            Command::new("unshare")
                .args(["--mount", "--uts", "bash"])
                .arg(sources.join("world.sh"))
                .arg(&sources)
                .arg(binaries.parent().unwrap())
                .arg(root().join("fixtures/small"))
                .arg(self.path("base"))
                .args([&disk, &result])
                .args(variables),
        );
        let took = started.elapsed();
        assert_eq!(ran.code, Some(0), "world `{name}`:\n{}", ran.stderr);
        let witness = fs::read_to_string(result.join("witness")).unwrap();
        let witness = witness.lines().map(|line| line.split_once(' ').unwrap());
        let outcome = Outcome {
            files: tree(&result.join("out")),
            witness: witness
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            took,
        };
        fs::remove_dir_all(disk).unwrap();
        fs::remove_dir_all(result).unwrap();
        outcome
    }
}

/// Whether worlds can be made. In CI they have to be.
fn can_make_worlds(test: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<&str> = ["unshare", "setpriv", "taskset", "faketime", "bash"]
        .into_iter()
        .filter(|name| !std::env::split_paths(&path).any(|place| place.join(name).exists()))
        .collect();
    if !missing.is_empty() {
        skipped(
            test,
            &format!(
                "{} is not there; run scripts/install-deps",
                missing.join(", ")
            ),
        );
        return false;
    }
    let mut private = Command::new("unshare");
    private.args(["--mount", "--uts", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if private.output().unwrap().status.success() {
        return true;
    }
    skipped(test, "needs root, to make mounts and host names of its own");
    false
}

#[test]
fn everything_comes_out_the_same_in_every_world() {
    let test = "everything_comes_out_the_same_in_every_world";
    if !can_make_worlds(test) {
        return;
    }
    let site = Site::new();
    let reference = site.build("reference", &[]);
    let count = reference.files.len();
    assert!(count > 25, "{count} files");
    let in_memory = site.build("memory", &["W_TMPFS=1".to_owned()]);
    let mut failures = Vec::new();
    let build_path = text(&root().canonicalize().unwrap()).to_owned();
    let of_reference = ["fp-reference".to_owned(), "/mnt/".to_owned(), build_path];
    failures.extend(first_word("reference", &reference.files, &of_reference));
    for world in worlds() {
        let made = site.build(&world.name, &world.variables);
        eprintln!("world `{}`: {count} files, {:.1?}", world.name, made.took);
        for name in &world.shows {
            // The disk's order follows from nothing that can be set.
            let other = match *name {
                "directory-order" => &in_memory.witness,
                _ => &reference.witness,
            };
            assert_ne!(made.witness[*name], other[*name], "world `{}`", world.name);
        }
        if world.shows.contains(&"time") {
            the_workers_saw_the_faked_time(&made);
        }
        if let Some(difference) = first_difference(&reference.files, &made.files) {
            failures.push(format!("world `{}`: {difference}", world.name));
        }
        failures.extend(first_word(&world.name, &made.files, &[WORD.to_owned()]));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Says where one of the words, which name things of a world, got into what was made there.
fn first_word(world: &str, files: &Tree, words: &[String]) -> Option<String> {
    let mut found = files
        .iter()
        .filter_map(|(path, bytes)| find_word(path, bytes, words));
    found
        .next()
        .map(|found| format!("world `{world}`: {found}"))
}

/// Stages that took longer than the whole run, by a clock that runs a thousand times as fast.
fn the_workers_saw_the_faked_time(made: &Outcome) {
    let document = &made.files["ledgers/genesis/ledger.json"];
    let document: Value = serde_json::from_slice(document).unwrap();
    let stages = document["stages_ms"].as_object().unwrap().values();
    let told: u64 = stages.map(|value| value.as_u64().unwrap()).sum();
    assert!(
        u128::from(told) > 2 * made.took.as_millis(),
        "the migration says {told} ms in a run of {:?}",
        made.took
    );
}
