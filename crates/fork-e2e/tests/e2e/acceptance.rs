//! Real data against published values.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha3::{Digest, Sha3_256};

use crate::support::{FORK_SLOT, Fixture, Place, ended, names, root, shared, skipped, text};

/// Slot of the fork the derived Mesa roots are for.
const DEVNET_SLOT: &str = "859560";

/// Role, Berkeley root (published), Mesa roots with `untimed-becomes-timed` and `untimed-stays`
/// (derived: the migration specification, 12.6).
const DEVNET: [(&str, &str, &str, &str); 3] = [
    (
        "genesis",
        "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf",
        "jxdQwCk1stH3A2dDxNQRQZ9oVRexzM1BSapBhq9RJJFM8rnKWyZ",
        "jxdzaLoXpvXoC87cgzsW5i2tYQmaGFSXwRk7SM5Z1chotGNyy98",
    ),
    (
        "staking",
        "jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP",
        "jwURBRSJJcEthXveKgZnoL9T3N7XJLG1i2JzwgL6RjD9s74k8HJ",
        "jxv1yVPoRcfEXwABVp6M3bz6nVrHYyJQPgWjAG5CpDQPGYuNEkF",
    ),
    (
        "next",
        "jxjmYHK1tnGy5S6CDaLDTRrDbw17DmtEd6Jnw3L86QSsLm15w5g",
        "jxiiy7vVs4cBtat9rSaygK9q9xjd5BdQATL4pAt8WVro8mjA1EE",
        "jxDaACKkWtmhdAPWzY7wpyvAUHFC3jrLDQpwqCFuJ8viL7yTmem",
    ),
];

/// The devnet fork of April 2024, imported as `candidate`.
fn devnet(shared: &Path) -> Place {
    let place = Place::new();
    let network = root()
        .join("networks/devnet-v1.toml")
        .canonicalize()
        .unwrap();
    let config = shared
        .join("reference-data/devnet-hardfork-2024-04-full.json.gz")
        .canonicalize()
        .unwrap();
    place
        .run(
            "dump-candidates",
            &[
                "import",
                "--network",
                text(&network),
                "--fork-config",
                text(&config),
                "--output",
                "candidate",
            ],
        )
        .done();
    place
}

/// Migrates one ledger of `candidate` and gives its root.
fn migrate(place: &Place, role: &str, to: &str, output: &str, more: &[&str]) -> String {
    let common = [
        "--candidate",
        "candidate",
        "--role",
        role,
        "--from",
        "berkeley",
        "--to",
        to,
        "--output",
        output,
    ];
    let document = place.json("migrate-ledger", &[&common, more].concat());
    document["target"]["root"].as_str().unwrap().to_owned()
}

#[test]
fn the_devnet_release_of_2024_is_reproduced() {
    let Some(shared) = shared("the_devnet_release_of_2024_is_reproduced") else {
        return;
    };
    let place = devnet(&shared);
    for (role, berkeley, _, _) in DEVNET {
        let output = format!("ledger-{role}");
        assert_eq!(
            migrate(&place, role, "berkeley", &output, &[]),
            berkeley,
            "{role}"
        );
    }
    place.write(
        "prefork.json",
        r#"{"genesis":{"genesis_state_timestamp":"2021-09-23 17:00:00-07:00"}}"#,
    );
    let network = root()
        .join("networks/devnet-v1.toml")
        .canonicalize()
        .unwrap();
    place
        .run(
            "generate-network-config",
            &[
                "--network",
                text(&network),
                "--candidate",
                "candidate",
                "--ledgers",
                "ledger-genesis",
                "--ledgers",
                "ledger-staking",
                "ledger-next",
                "--prefork-config",
                "prefork.json",
                "--genesis-timestamp",
                "2024-04-09T21:00:00Z",
                "--output",
                "config",
            ],
        )
        .done();

    // Upstream's tarballs are other bytes (a tar of a directory with times), all else is the same.
    let ours = fs::read_to_string(place.path("config/config.json")).unwrap();
    let theirs = fs::read_to_string(shared.join("reference-data/config-devnet.json")).unwrap();
    let without = |text: &str| -> String {
        text.split_inclusive('\n')
            .filter(|line| !line.contains("\"s3_data_hash\": \""))
            .collect()
    };
    assert_eq!(without(&ours), without(&theirs));
    let written: Vec<String> = ours
        .lines()
        .filter(|line| line.contains("s3_data_hash"))
        .map(|line| line.split('"').nth(3).unwrap().to_owned())
        .collect();
    let tarballs = DEVNET.map(|(role, ..)| {
        let bytes = fs::read(place.tarball(&format!("ledger-{role}"))).unwrap();
        hex::encode(Sha3_256::digest(bytes))
    });
    assert_eq!(written, tarballs);
    assert_eq!(ours.lines().count(), theirs.lines().count());
}

#[test]
fn the_devnet_lists_have_the_derived_mesa_roots() {
    let Some(shared) = shared("the_devnet_lists_have_the_derived_mesa_roots") else {
        return;
    };
    let place = devnet(&shared);
    for (role, _, becomes, stays) in DEVNET {
        for (variant, expected) in [("untimed-becomes-timed", becomes), ("untimed-stays", stays)] {
            let output = format!("{role}-{variant}");
            let more = ["--fork-slot", DEVNET_SLOT, "--variant", variant];
            let found = migrate(&place, role, "mesa", &output, &more);
            assert_eq!(found, expected, "{role} {variant}");
        }
    }
    // The first variant is the default, and a root of the second one is recognised.
    let (_, _, becomes, stays) = DEVNET[0];
    let found = migrate(
        &place,
        "genesis",
        "mesa",
        "default",
        &["--fork-slot", DEVNET_SLOT],
    );
    assert_eq!(found, becomes);
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
            DEVNET_SLOT,
            "--expect-root",
            stays,
            "--output",
            "out",
        ],
    );
    place.nothing_left("out");
    ran.refused(4, &["genesis ledger", stays, becomes]);
    ran.hints("--variant untimed-stays");
}

#[test]
fn the_v1_list_has_the_derived_berkeley_root() {
    let Some(shared) = shared("the_v1_list_has_the_derived_berkeley_root") else {
        return;
    };
    let directory = shared.join("reference-data").canonicalize().unwrap();
    let name = names(&directory)
        .into_iter()
        .find(|name| name.starts_with("mainnet-0-jx"))
        .expect("the v1 list is there");
    let source_root = name
        .strip_suffix(".json")
        .unwrap()
        .rsplit('-')
        .next()
        .unwrap();
    let list = directory.join(&name);
    let place = Place::new();
    let document = place.json(
        "migrate-ledger",
        &[
            "--accounts",
            text(&list),
            "--role",
            "genesis",
            "--from",
            "v1",
            "--to",
            "berkeley",
            "--source-root",
            source_root,
            "--output",
            "out",
        ],
    );
    assert_eq!(document["source"]["root"], source_root);
    assert_eq!(document["source"]["verified"], true);
    assert_eq!(
        document["target"]["root"],
        "jxEEqz2SqzXGNwA6JaWASxQKydVcC97Fo3VKKRctwQdT5qzzJR7"
    );
}

#[test]
fn every_block_has_the_state_hash_of_its_name() {
    let Some(shared) = shared("every_block_has_the_state_hash_of_its_name") else {
        return;
    };
    let directory = shared.join("reference-data/blocks").canonicalize().unwrap();
    let blocks: Vec<PathBuf> = names(&directory)
        .iter()
        .map(|chain| directory.join(chain))
        .flat_map(|chain| names(&chain).into_iter().map(move |name| chain.join(name)))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    assert!(blocks.len() >= 39, "{} blocks", blocks.len());
    let place = Place::new();
    for block in blocks {
        let name = block.file_stem().unwrap().to_str().unwrap();
        let mut parts = name.rsplit('-');
        let (hash, height) = (parts.next().unwrap(), parts.next().unwrap());
        let found = place.json("inspect-ledger", &["block", text(&block)]);
        assert_eq!(found["state_hash"], hash, "{name}");
        assert_eq!(found["blockchain_length"].to_string(), height, "{name}");
        assert_eq!(found["name"]["check"], "matches", "{name}");
    }
}

/// RocksDB's own tool must read from the unpacked tarball what our scanner prints.
#[test]
fn a_tarball_scans_as_rocksdb_reads_it() {
    if Command::new("ldb").arg("--version").output().is_err() {
        return skipped(
            "a_tarball_scans_as_rocksdb_reads_it",
            "`ldb` is not there; install rocksdb-tools",
        );
    }
    let place = Place::new();
    Fixture::sharing().import(&place);
    let more = ["--fork-slot", FORK_SLOT];
    migrate(&place, "genesis", "mesa", "migrated", &more);
    let tarball = place.tarball("migrated");
    let database = place.path("database");
    fs::create_dir(&database).unwrap();
    ended(Command::new("tar").args(["-xzf", text(&tarball), "-C", text(&database)])).done();
    let ours = place
        .run("inspect-ledger", &["scan", text(&tarball)])
        .done();
    let unpacked = place
        .run("inspect-ledger", &["scan", text(&database)])
        .done();
    assert_eq!(ours, unpacked);
    let option = format!("--db={}", text(&database));
    let theirs = ended(Command::new("ldb").args(["--hex", &option, "scan"]))
        .done()
        .replace("0x", "")
        .to_lowercase();
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}", number + 1);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
    assert!(ours.lines().count() > 600, "{} lines", ours.lines().count());
}
