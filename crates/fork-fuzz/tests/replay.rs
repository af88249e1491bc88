//! Every input that once broke something, every seed, and some thousands of changed seeds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fork_fuzz::{Random, TARGETS, mutate};

/// Largest regression input.
const REGRESSION_BYTES_MAX: u64 = 64 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn every_target_has_its_file_and_its_entry() {
    let files: BTreeSet<String> = names(&fuzz().join("fuzz_targets"));
    let targets: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| format!("{}.rs", target.name))
        .collect();
    assert_eq!(files, targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{}\"\n", target.name)),
            "{}",
            target.name
        );
    }
}

#[test]
fn regressions_stay_fixed() {
    for name in names(&fuzz().join("regressions")) {
        let target = fork_fuzz::target_named(&name);
        let directory = fuzz().join("regressions").join(&name);
        for input in names(&directory) {
            let bytes = fs::read(directory.join(&input)).unwrap();
            assert!(
                bytes.len() as u64 <= REGRESSION_BYTES_MAX,
                "{name}/{input} is too large to keep"
            );
            // The name shows when it fails.
            println!("{name}/{input}");
            (target.run)(&bytes);
        }
    }
}

/// `FORKPACK_FUZZ_ROUNDS` multiplies the iterations, `FORKPACK_FUZZ_SEED` gives other changes,
/// `FORKPACK_FUZZ_TARGET` takes one target only, and `FORKPACK_FUZZ_CURRENT` names a file that each
/// input is written to first, for what kills or stops the process.
#[test]
fn changed_seeds_break_nothing() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        )
    };
    let rounds = number("FORKPACK_FUZZ_ROUNDS").unwrap_or(1);
    let start = number("FORKPACK_FUZZ_SEED").unwrap_or(0);
    let only = std::env::var("FORKPACK_FUZZ_TARGET").ok();
    let current = std::env::var_os("FORKPACK_FUZZ_CURRENT");
    for target in TARGETS {
        if only.as_ref().is_some_and(|only| only != target.name) {
            continue;
        }
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        let started = std::time::Instant::now();
        seeds.iter().for_each(|seed| (target.run)(seed));
        for iteration in 0..u64::from(target.iterations) * rounds {
            let mut random = Random::new(start + iteration);
            let seed = &seeds[random.below(seeds.len())];
            let other = &seeds[random.below(seeds.len())];
            let bytes = mutate(&mut random, seed, other);
            if let Some(current) = &current {
                fs::write(current, &bytes).unwrap();
            }
            let run = std::panic::AssertUnwindSafe(|| (target.run)(&bytes));
            if std::panic::catch_unwind(run).is_err() {
                let file =
                    std::env::temp_dir().join(format!("{}-{}", target.name, start + iteration));
                fs::write(&file, &bytes).unwrap();
                panic!("{}: input kept as {}", target.name, file.display());
            }
        }
        println!("{:<16} {:?}", target.name, started.elapsed());
    }
}
