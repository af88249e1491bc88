//! The dumps of real networks, where they are at hand.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{connect, create, execute, fresh, have_server, server, staged};

/// The directory of the dumps; see `scripts/test` for the two variables.
fn dumps() -> Option<PathBuf> {
    let shared = std::env::var_os("FORKPACK_SHARED").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let dumps = shared.join("reference-data/archive");
    if dumps.is_dir() {
        return Some(dumps);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none(),
        "no reference data"
    );
    eprintln!("SKIPPED: no reference data");
    None
}

#[test]
fn every_block_of_real_networks() {
    let Some(dumps) = dumps().filter(|_| have_server()) else {
        return;
    };
    for (file, blocks) in [
        ("archive-berkeley-2024-11-06.sql", 34),
        ("archive-mesa-2025-11-23.sql", 39),
    ] {
        let database = fresh("real");
        create(&database, "template0");
        let loaded = Command::new("psql")
            .args(["-q", "-U", "postgres", "-d", &database, "-h"])
            .arg(server().directory())
            .arg("-f")
            .arg(dumps.join(file))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(loaded.success());
        execute(&database, "SELECT 1");
        let mut hashes = Vec::new();
        connect(&database)
            .query(
                "list",
                "SELECT state_hash FROM public.blocks",
                &[],
                &mut |row| {
                    hashes.push(row.text(0).unwrap().to_owned());
                    Ok(())
                },
            )
            .unwrap();
        assert_eq!(hashes.len(), blocks, "{file}");
        for hash in hashes {
            let run = staged(&server().uri(&database), &["--state-hash", &hash]);
            assert_eq!(run.code(), 0, "{file} {hash}: {}", run.said());
        }
    }
}
