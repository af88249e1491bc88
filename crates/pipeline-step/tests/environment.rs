//! The contract of the environment: every mistake has a message of its own, and only that message.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fork_sign::SecretKey;
use pipeline_step::environment::{
    EnvironmentDocument, FOREIGN, Origin, Problem, SETTINGS, VARIABLES, Variables, as_markdown,
    check, known_names,
};
use run_pipeline::Pipeline;

const HASH: &str = "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP";

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned()
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect()
}

/// An environment nothing is wrong with.
fn good() -> Variables {
    variables(&[
        ("NETWORK", "devnet"),
        ("FORK_CONFIG_URL", "https://example.org/fork_config.json.gz"),
        ("PREFORK_CONFIG", "https://example.org/daemon.json"),
        ("VERSION", "4.0.0-6850301"),
        ("GIT_HASH", "68503010"),
        ("SEED_LIST_URL", "https://example.org/seeds.txt"),
        (
            "BASE_IMAGE",
            "docker.io/minaprotocol/mina-daemon:4.0.0-{codename}-{architecture}",
        ),
    ])
}

fn with(changes: &[(&str, &str)]) -> EnvironmentDocument {
    let mut variables = good();
    for (name, value) in changes {
        variables.insert((*name).to_owned(), OsString::from(value));
    }
    check(&variables)
}

#[test]
fn nothing_is_wrong_with_a_good_environment() {
    let document = with(&[]);
    assert_eq!(document.problems, []);
    assert_eq!(document.source.as_deref(), Some("FORK_CONFIG_URL"));
    assert_eq!(
        document.rule.as_deref(),
        Some("berkeley-to-mesa/untimed-becomes-timed")
    );
    let codename = document
        .variables
        .iter()
        .find(|used| used.name == "CODENAME")
        .unwrap();
    assert_eq!(
        (codename.value.as_str(), codename.origin),
        ("bookworm", Origin::Default)
    );
}

/// The file of a network that forks from Mesa to Mesa.
fn restart_network(directory: &Path) -> String {
    let text = fs::read_to_string(root().join("networks/devnet.toml")).unwrap();
    let text = text
        .replace("source_era = \"berkeley\"", "source_era = \"mesa\"")
        .replace("\nera = \"berkeley\"", "\nera = \"mesa\"");
    let path = directory.join("restart.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Other good ones.
#[test]
fn these_are_right() {
    let store = [
        ("FORK_CONFIG_URL", ""),
        ("CANDIDATE_STORE", "s3://forks/devnet"),
    ];
    let files = [
        ("FORK_CONFIG_URL", ""),
        ("BLOCK_URL", "gs://b/devnet-1-3N.json"),
        ("STAGED_LEDGER_URL", "https://h/1"),
        ("STAKING_LEDGER_URL", "https://h/2"),
        ("NEXT_STAKING_LEDGER_URL", "https://h/3"),
    ];
    let archive = [
        ("FORK_CONFIG_URL", ""),
        ("ARCHIVE_URI", "postgresql://a@/d?host=/run"),
        ("STATE_HASH", HASH),
    ];
    let place = tempfile::tempdir().unwrap();
    let password = place.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let password = password.to_str().unwrap().to_owned();
    let key = place.path().join("key.pem");
    let secret = SecretKey::from_seed(&[7; 32]).unwrap();
    fs::write(&key, secret.to_pem().unwrap().as_bytes()).unwrap();
    let key = key.to_str().unwrap().to_owned();
    let shipped = |name: &str| {
        let path = root().join("fixtures/small").join(name);
        path.to_str().unwrap().to_owned()
    };
    let (prefork, network) = (shipped("prefork_config.json"), shipped("network.toml"));
    let digest = format!("docker.io/a/b@sha256:{}", "0a".repeat(32));
    let restart = restart_network(place.path());
    for changes in [
        &[("VARIANT", "no-vesting")][..],
        &[("NETWORK", "Devnet")],
        &[
            ("FROM_ERA", "mesa"),
            ("TO_ERA", "mesa"),
            ("NETWORK", &restart),
        ],
        &[
            ("GENESIS_TIMESTAMP", "2026-08-19T20:00:00+02:00"),
            ("UNSCHEDULED", "1"),
        ],
        &[
            ("SLOT_CHAIN_END", "413640"),
            ("GENESIS_SLOT_DELTA", "60"),
            ("FORK_SLOT", "859560"),
        ],
        &[("FORKPACK_IMAGE", &digest)],
        &[("CODENAMES", "Bookworm")],
        // As the pipeline fills it.
        &[("CODENAME", "Noble"), ("CODENAMES", "Noble")],
        &[("CODENAME", "Bookworm")],
        &[("PRECOMPUTED_FORK_BLOCK_PREFIX", "gs://b/devnet")],
        &[
            ("BLOCK_PREFIX", "./devnet"),
            ("PRECOMPUTED_BLOCK_GS_PREFIX", "./devnet"),
        ],
        &[("SIGNING_KEY_FILE", &key)],
        &[
            ("PREFORK_CONFIG", &prefork),
            ("NETWORK", &network),
            ("FORK_SLOT", "958440"),
            ("GENESIS_TIMESTAMP", "2026-09-03T18:00:00Z"),
        ],
        &[
            ("PREFORK_CONFIG", &prefork),
            ("NETWORK", &network),
            ("UNSCHEDULED", "1"),
            ("GENESIS_TIMESTAMP", "2026-09-05T18:00:00Z"),
        ],
        &[("CODENAMES", "Noble"), ("CODENAME", "noble")],
        &store,
        &[
            store[0],
            store[1],
            ("STATE_HASH", HASH),
            ("CONFIRMATIONS", "20"),
        ],
        &files,
        &[archive[0], archive[1], archive[2]],
        &[
            archive[0],
            archive[1],
            archive[2],
            ("BLOCK_URL", "https://h/b"),
            ("STAKING_LEDGER_URL", "https://h/2"),
            ("NEXT_STAKING_LEDGER_URL", "https://h/3"),
            ("ARCHIVE_GENESIS_ACCOUNTS", "https://h/g"),
            ("ARCHIVE_PASSWORD_FILE", &password),
        ],
    ] {
        assert_eq!(with(changes).problems, [], "{changes:?}");
    }
}

/// Set one thing wrong: that message, and no other.
#[test]
fn every_mistake_has_its_message() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("empty"), b"").unwrap();
    fs::write(path("file"), b"x").unwrap();
    fs::set_permissions(path("file"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path("private"), b"x").unwrap();
    fs::set_permissions(path("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let private = path("private");
    fs::write(path("bad.toml"), b"name = 1").unwrap();
    fs::create_dir_all(path("void")).unwrap();
    fs::create_dir_all(path("full/x")).unwrap();
    let (empty, file, missing, void, full) = (
        path("empty"),
        path("file"),
        path("missing"),
        path("void"),
        path("full"),
    );
    let bad_network = path("bad.toml");
    let oci_void = format!("oci:{void}");
    let oci_full = format!("oci:{full}");
    let archive = format!("docker-archive:{missing}");
    let rootfs = format!("rootfs:{void}");
    let long = "1".repeat(5000);
    let secret = SecretKey::from_seed(&[7; 32]).unwrap();
    fs::write(path("key.pub"), secret.public().to_pem().unwrap()).unwrap();
    let restart = restart_network(place.path());
    let public_key = path("key.pub");
    let shipped = |name: &str| {
        let path = root().join("fixtures/small").join(name);
        path.to_str().unwrap().to_owned()
    };
    let (prefork, block) = (shipped("prefork_config.json"), shipped("block.json"));
    let fixture_network = shipped("network.toml");
    fs::create_dir_all(path("arm/var/lib/dpkg")).unwrap();
    fs::write(path("arm/var/lib/dpkg/arch"), "arm64\n").unwrap();
    let rootfs_arm = format!("rootfs:{}", path("arm"));
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        // What is required.
        (
            &[("NETWORK", "")],
            "NETWORK",
            "is not set (also known as NETWORK_NAME, TESTNET_NAME)",
        ),
        (
            &[("PREFORK_CONFIG", "")],
            "PREFORK_CONFIG",
            "FORKING_FROM_CONFIG_JSON",
        ),
        (&[("VERSION", "")], "VERSION", "is not set"),
        (&[("GIT_HASH", "")], "GIT_HASH", "is not set"),
        (&[("SEED_LIST_URL", "")], "SEED_LIST_URL", "is not set"),
        (&[("BASE_IMAGE", "")], "BASE_IMAGE", "is not set"),
        // The source.
        (
            &[("FORK_CONFIG_URL", "")],
            "FORK_CONFIG_URL",
            "no other source",
        ),
        (
            &[("REPLAYER_OUTPUT_URL", "https://h/r")],
            "REPLAYER_OUTPUT_URL",
            "second source",
        ),
        (
            &[("CANDIDATE_STORE", "s3://b/p")],
            "FORK_CONFIG_URL",
            "second source of the fork point, beside CANDIDATE_STORE",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("CANDIDATE_STORE", "s3://b/p"),
                ("BLOCK_URL", "https://h/b"),
            ],
            "BLOCK_URL",
            "together with CANDIDATE_STORE",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("BLOCK_URL", "https://h/b"),
                ("STAGED_LEDGER_URL", "https://h/1"),
                ("STAKING_LEDGER_URL", "https://h/2"),
            ],
            "NEXT_STAKING_LEDGER_URL",
            "is missing beside STAGED_LEDGER_URL and STAKING_LEDGER_URL",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("STAGED_LEDGER_URL", "https://h/1"),
                ("STAKING_LEDGER_URL", "https://h/2"),
                ("NEXT_STAKING_LEDGER_URL", "https://h/3"),
            ],
            "BLOCK_URL",
            "is missing beside",
        ),
        (
            &[("STATE_HASH", HASH)],
            "STATE_HASH",
            "without CANDIDATE_STORE or ARCHIVE_URI",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a@h/d"),
            ],
            "STATE_HASH",
            "is missing beside ARCHIVE_URI",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a:hunter2@h/d"),
                ("STATE_HASH", HASH),
            ],
            "ARCHIVE_URI",
            "holds a password",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "mysql://a@h/d"),
                ("STATE_HASH", HASH),
            ],
            "ARCHIVE_URI",
            "cannot be used: it does not begin with postgresql://",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a@h/d"),
                ("STATE_HASH", HASH),
                ("CONFIRMATIONS", "3"),
            ],
            "CONFIRMATIONS",
            "without CANDIDATE_STORE",
        ),
        (
            &[("ARCHIVE_URI", "postgresql://a@h/d"), ("STATE_HASH", HASH)],
            "ARCHIVE_URI",
            "second source",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a@h/d"),
                ("STATE_HASH", HASH),
                ("STAGED_LEDGER_URL", "https://h/1"),
            ],
            "STAGED_LEDGER_URL",
            "second source",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a@h/d"),
                ("STATE_HASH", HASH),
                ("ARCHIVE_PASSWORD_FILE", &missing),
            ],
            "ARCHIVE_PASSWORD_FILE",
            "is not on this machine",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("ARCHIVE_URI", "postgresql://a@h/d"),
                ("STATE_HASH", HASH),
                ("ARCHIVE_PASSWORD_FILE", &file),
            ],
            "ARCHIVE_PASSWORD_FILE",
            "others may read",
        ),
        (
            &[("ARCHIVE_PASSWORD_FILE", &private)],
            "ARCHIVE_PASSWORD_FILE",
            "is set without ARCHIVE_URI",
        ),
        (
            &[("ARCHIVE_GENESIS_ACCOUNTS", "https://h/g")],
            "ARCHIVE_GENESIS_ACCOUNTS",
            "is set without ARCHIVE_URI",
        ),
        (
            &[("CONFIRMATIONS", "3")],
            "CONFIRMATIONS",
            "without CANDIDATE_STORE",
        ),
        (
            &[
                ("FORK_CONFIG_URL", ""),
                ("CANDIDATE_STORE", "s3://b/p"),
                ("STATE_HASH", "3Nx"),
            ],
            "STATE_HASH",
            "is no state hash",
        ),
        (
            &[("FORK_CONFIG_URL", ""), ("CANDIDATE_STORE", "https://h/p")],
            "CANDIDATE_STORE",
            "is no store",
        ),
        (
            &[("FORK_CONFIG_URL", ""), ("CANDIDATE_STORE", &void)],
            "CANDIDATE_STORE",
            "names an empty directory",
        ),
        // Inputs.
        (
            &[("BLOCK_URL", "ftp://h/b")],
            "BLOCK_URL",
            "has a scheme that nothing here reads",
        ),
        (
            &[("BLOCK_URL", "https:///b")],
            "BLOCK_URL",
            "without a host",
        ),
        (
            &[("BLOCK_URL", "s3://bucket")],
            "BLOCK_URL",
            "names a bucket and no object",
        ),
        (
            &[("BLOCK_URL", "https://h/a b")],
            "BLOCK_URL",
            "with a blank in it",
        ),
        (&[("BLOCK_URL", &empty)], "BLOCK_URL", "names an empty file"),
        (
            &[("BLOCK_URL", &missing)],
            "BLOCK_URL",
            "is not on this machine",
        ),
        (&[("BLOCK_URL", &full)], "BLOCK_URL", "names a directory"),
        (&[("BLOCK_URL", "/dev/null")], "BLOCK_URL", "is no file"),
        (
            &[("PREFORK_CONFIG", &missing)],
            "PREFORK_CONFIG",
            "is not on this machine",
        ),
        // The rule.
        (&[("FROM_ERA", "Berkeley")], "FROM_ERA", "is no era"),
        (
            &[("FROM_ERA", "v1")],
            "TO_ERA",
            "cannot be reached from FROM_ERA, which is v1",
        ),
        (
            &[("FROM_ERA", "mesa")],
            "FROM_ERA",
            "is not the era of the network file",
        ),
        (
            &[("TO_ERA", "berkeley")],
            "TO_ERA",
            "is not the era of the network file",
        ),
        (
            &[("VARIANT", "fast")],
            "VARIANT",
            "is no variant of the rule from berkeley to mesa",
        ),
        (
            &[
                ("FROM_ERA", "mesa"),
                ("FORK_SLOT", "7"),
                ("NETWORK", &restart),
            ],
            "FORK_SLOT",
            "has no use in mesa-to-mesa",
        ),
        (&[("FORK_SLOT", "8e5")], "FORK_SLOT", "is no number"),
        (
            &[("SLOT_CHAIN_END", "-1")],
            "SLOT_CHAIN_END",
            "is no number",
        ),
        (
            &[("GENESIS_SLOT_DELTA", "4294967296")],
            "GENESIS_SLOT_DELTA",
            "is no number",
        ),
        (
            &[("UNVERIFIED_SOURCE", "false")],
            "UNVERIFIED_SOURCE",
            "is neither 1 nor empty",
        ),
        // The schedule.
        (
            &[("GENESIS_TIMESTAMP", "2026-08-19T18:00:00")],
            "GENESIS_TIMESTAMP",
            "has no time zone",
        ),
        (
            &[("GENESIS_TIMESTAMP", "tomorrow")],
            "GENESIS_TIMESTAMP",
            "is no time",
        ),
        (
            &[("GENESIS_TIMESTAMP", "2026-02-30T18:00:00Z")],
            "GENESIS_TIMESTAMP",
            "has the form of a time and is none",
        ),
        (
            &[("UNSCHEDULED", "1")],
            "UNSCHEDULED",
            "without GENESIS_TIMESTAMP",
        ),
        (
            &[
                ("UNSCHEDULED", "1"),
                ("GENESIS_TIMESTAMP", "2026-08-19T18:00:00Z"),
                ("SLOT_CHAIN_END", "5"),
            ],
            "SLOT_CHAIN_END",
            "UNSCHEDULED says that there is none",
        ),
        // Packages.
        (&[("GIT_HASH", "6850301")], "GIT_HASH", "has 7 digits"),
        (&[("GIT_HASH", "685030101")], "GIT_HASH", "has 9 digits"),
        (&[("GIT_HASH", "6850301A")], "GIT_HASH", "upper-case"),
        (&[("GIT_HASH", "v4.0.0-1")], "GIT_HASH", "is no commit"),
        (&[("VERSION", "1:4.0.0")], "VERSION", "has an epoch"),
        (
            &[("VERSION", "v4")],
            "VERSION",
            "is no Debian version: it does not start with a digit",
        ),
        (
            &[("SEED_LIST_URL", "example.org/seeds")],
            "SEED_LIST_URL",
            "is no address",
        ),
        (
            &[("SEED_LIST_URL", "https://h/$x")],
            "SEED_LIST_URL",
            "is no address",
        ),
        (
            &[("NETWORK", "testnet")],
            "NETWORK",
            "names no network that ships",
        ),
        (
            &[("NETWORK", &bad_network)],
            "NETWORK",
            "names a network file that is wrong",
        ),
        (&[("NETWORK", "./no.toml")], "NETWORK", "cannot be read"),
        (&[("CODENAME", "deb12")], "CODENAME", "is not in lower case"),
        (&[("ARCHITECTURE", "AMD64")], "ARCHITECTURE", "write amd64"),
        (
            &[("BASE_IMAGE", "mina-daemon:4.0.0")],
            "BASE_IMAGE",
            "is no image",
        ),
        (
            &[("BASE_IMAGE", "docker.io/a/b")],
            "BASE_IMAGE",
            "without tag and digest",
        ),
        (
            &[("BASE_IMAGE", "docker.io/a/b:{suite}")],
            "BASE_IMAGE",
            "placeholder",
        ),
        (
            &[("BASE_IMAGE", "oci:")],
            "BASE_IMAGE",
            "no path after `oci:`",
        ),
        (
            &[("BASE_IMAGE", &oci_void)],
            "BASE_IMAGE",
            "names an empty directory",
        ),
        (
            &[("BASE_IMAGE", &oci_full)],
            "BASE_IMAGE",
            "is no OCI layout",
        ),
        (
            &[("BASE_IMAGE", &archive)],
            "BASE_IMAGE",
            "is not on this machine",
        ),
        (
            &[("BASE_IMAGE", &rootfs)],
            "BASE_IMAGE",
            "names an empty directory",
        ),
        (
            &[("FORKPACK_IMAGE", "docker.io/a/b:1")],
            "FORKPACK_IMAGE",
            "is not pinned",
        ),
        (&[("FORKPACK_IMAGE", "b")], "FORKPACK_IMAGE", "is no image"),
        (
            &[("SIGNING_KEY_FILE", &missing)],
            "SIGNING_KEY_FILE",
            "is not on this machine",
        ),
        (
            &[("SIGNING_KEY_FILE", &empty)],
            "SIGNING_KEY_FILE",
            "names an empty file",
        ),
        (
            &[("SIGNING_KEY_FILE", "-----BEGIN PRIVATE KEY-----\nsecret\n")],
            "SIGNING_KEY_FILE",
            "holds a key",
        ),
        // Old names.
        (
            &[("TESTNET_NAME", "mainnet")],
            "TESTNET_NAME",
            "is an old name of NETWORK and differs",
        ),
        (
            &[("CONFIG_JSON_GZ_URL", "https://other/f")],
            "CONFIG_JSON_GZ_URL",
            "is an old name of FORK_CONFIG_URL and differs",
        ),
        (
            &[
                ("HARDFORK_GENESIS_SLOT_DELTA", "6"),
                ("GENESIS_SLOT_DELTA", "60"),
            ],
            "HARDFORK_GENESIS_SLOT_DELTA",
            "the same as GENESIS_SLOT_DELTA, which is 60",
        ),
        (&[("CODENAMES", "Noble")], "CODENAMES", "set CODENAME=noble"),
        (
            &[("CODENAME", "Noble,Focal"), ("CODENAMES", "Noble,Focal")],
            "CODENAMES",
            "`pipeline-step generate --codenames noble,focal`",
        ),
        (
            &[("CODENAMES", "Bookworm,Noble")],
            "CODENAMES",
            "`pipeline-step generate --codenames bookworm,noble`",
        ),
        (
            &[("PRECOMPUTED_FORK_BLOCK_PREFIX", "ftp://b/devnet")],
            "BLOCK_PREFIX",
            "has a scheme that nothing here reads",
        ),
        (
            &[("BLOCK_PREFIX", "/no/such/place/devnet")],
            "BLOCK_PREFIX",
            "in a directory that is not on this machine",
        ),
        // What is on this machine is looked into.
        (
            &[("SIGNING_KEY_FILE", &public_key)],
            "SIGNING_KEY_FILE",
            "nothing can be signed with: ",
        ),
        (
            &[("SIGNING_KEY_FILE", &file)],
            "SIGNING_KEY_FILE",
            "nothing can be signed with: ",
        ),
        (
            &[("PREFORK_CONFIG", &block)],
            "PREFORK_CONFIG",
            "is no runtime config",
        ),
        (
            &[("PREFORK_CONFIG", &file)],
            "PREFORK_CONFIG",
            "is no runtime config",
        ),
        (
            &[
                ("PREFORK_CONFIG", &prefork),
                ("NETWORK", &fixture_network),
                ("FORK_SLOT", "958441"),
            ],
            "FORK_SLOT",
            "contradicts the schedule, whose new genesis is slot 958440",
        ),
        (
            &[
                ("PREFORK_CONFIG", &prefork),
                ("NETWORK", &fixture_network),
                ("GENESIS_TIMESTAMP", "2026-09-03T18:03:00Z"),
            ],
            "GENESIS_TIMESTAMP",
            "contradicts the schedule: ",
        ),
        (
            &[
                ("PREFORK_CONFIG", &prefork),
                ("NETWORK", &fixture_network),
                ("SLOT_CHAIN_END", "1"),
            ],
            "SLOT_CHAIN_END",
            "contradicts the schedule: ",
        ),
        (
            &[("BASE_IMAGE", &rootfs_arm)],
            "BASE_IMAGE",
            "names a root file system of arm64, and ARCHITECTURE is amd64",
        ),
        // Any value.
        (
            &[("VERSION", "4.0.0\n")],
            "VERSION",
            "holds a control character",
        ),
        (
            &[("VERSION", "4.0.0 ")],
            "VERSION",
            "begins or ends with a blank",
        ),
        (&[("VERSION", &long)], "VERSION", "has 5000 bytes"),
        (
            &[("NETWORK", &file), ("TESTNET_NAME", "")],
            "NETWORK",
            "is wrong",
        ),
    ];
    for (changes, variable, needle) in cases {
        let problems = with(changes).problems;
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{changes:?}\n{}", text.join("\n"));
        let Problem {
            variable: found,
            expected,
            advice,
            ..
        } = &problems[0];
        assert_eq!(found, variable, "{changes:?}\n{}", text[0]);
        assert!(
            text[0].contains(needle),
            "{changes:?}: no `{needle}`\n{}",
            text[0]
        );
        assert!(!expected.is_empty() && !advice.is_empty());
        assert!(!text[0].contains("secret"), "{}", text[0]);
    }
}

#[test]
fn what_is_not_text_is_told() {
    let mut variables = good();
    variables.insert("VERSION".to_owned(), OsString::from_vec(vec![b'4', 0xff]));
    let problems = check(&variables).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].problem, "is not UTF-8");
}

/// The pipeline fills new names from old ones and passes both on.
#[test]
fn old_names_are_taken_and_told() {
    let cases = [
        ("NETWORK", "TESTNET_NAME", "Devnet", "devnet"),
        (
            "FORK_CONFIG_URL",
            "CONFIG_JSON_GZ_URL",
            "https://h/f",
            "https://h/f",
        ),
        (
            "PREFORK_CONFIG",
            "FORKING_FROM_CONFIG_JSON",
            "https://h/d",
            "https://h/d",
        ),
        (
            "GENESIS_SLOT_DELTA",
            "HARDFORK_GENESIS_SLOT_DELTA",
            "60",
            "60",
        ),
        (
            "BLOCK_PREFIX",
            "PRECOMPUTED_FORK_BLOCK_PREFIX",
            "gs://b/devnet",
            "gs://b/devnet",
        ),
    ];
    for (name, old_name, value, used) in cases {
        for filled in ["", value] {
            let document = with(&[(name, filled), (old_name, value)]);
            assert_eq!(document.problems, [], "{name}");
            let found = document
                .variables
                .iter()
                .find(|used| used.name == name)
                .unwrap();
            assert_eq!(found.value, used);
            assert_eq!(found.from.as_deref(), Some(old_name));
        }
    }
}

/// What today's users set, as the pipeline hands it on.
#[test]
fn the_usual_variables_of_today_pass() {
    let environment = [
        ("NETWORK", "Devnet"),
        ("CODENAMES", "Bookworm"),
        ("CONFIG_JSON_GZ_URL", "https://h/f.json.gz"),
        ("FORKING_FROM_CONFIG_JSON", "https://h/d.json"),
        ("GENESIS_TIMESTAMP", "2026-08-19T18:00:00Z"),
        ("PRECOMPUTED_FORK_BLOCK_PREFIX", "gs://b/devnet"),
        ("HARDFORK_GENESIS_SLOT_DELTA", "60"),
        ("USE_ARTIFACTS_FROM_BUILDKITE_BUILD", "0199"),
        ("MINA_LEDGER_S3_BUCKET", "s3://b"),
        ("VERSION", "4.0.0-6850301"),
        ("GIT_HASH", "68503010"),
        ("SEED_LIST_URL", "https://h/seeds"),
        ("BASE_IMAGE", "docker.io/a/b:{codename}"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let pipeline = Pipeline::load(&root().join("pipeline/pipeline.yml")).unwrap();
    let plan = pipeline.resolve(&environment.clone().into()).unwrap();
    let given = environment.into_iter().chain(plan.environment);
    let seen: Variables = given.map(|(name, value)| (name, value.into())).collect();
    let document = check(&seen);
    assert_eq!(document.problems, []);
    let value = |name: &str| {
        let mut used = document.variables.iter();
        used.find(|used| used.name == name).unwrap().value.clone()
    };
    assert_eq!(value("CODENAME"), "bookworm");
    assert_eq!(value("BLOCK_PREFIX"), "gs://b/devnet");
    let notes = document.notes.join("\n");
    assert!(
        notes.contains("the fork block is fetched from BLOCK_PREFIX"),
        "{notes}"
    );
}

#[test]
fn a_prefix_that_finds_nothing_is_told() {
    let prefix = ("BLOCK_PREFIX", "gs://b/devnet");
    for (changes, needle) in [
        (
            &[prefix, ("BLOCK_URL", "https://h/b")][..],
            "BLOCK_URL names the block",
        ),
        (
            &[
                prefix,
                ("FORK_CONFIG_URL", ""),
                ("CANDIDATE_STORE", "s3://b/p"),
            ],
            "CANDIDATE_STORE has the block",
        ),
        (
            &[
                prefix,
                ("FORK_CONFIG_URL", ""),
                ("REPLAYER_OUTPUT_URL", "https://h/r"),
            ],
            "nothing is compared with a precomputed block",
        ),
    ] {
        let document = with(changes);
        assert_eq!(document.problems, []);
        let notes = document.notes.join("\n");
        assert!(notes.contains(needle), "{notes}");
    }
}

#[test]
fn what_means_nothing_here_is_a_note() {
    for foreign in &FOREIGN {
        let document = with(&[(foreign.name, "x"), ("BLOCK_URL", "https://h/b")]);
        assert_eq!(document.problems, [], "{}", foreign.name);
        let notes = document.notes.join("\n");
        assert!(
            notes.contains(foreign.name) && notes.contains(foreign.instead),
            "{notes}"
        );
    }
    // On Buildkite another agent may have the key.
    let key = [("SIGNING_KEY_FILE", "/no/such/key"), ("BUILDKITE", "true")];
    let document = with(&key);
    assert_eq!(document.problems, []);
    assert!(
        document
            .notes
            .iter()
            .any(|note| note.contains("on the agent")),
        "{:?}",
        document.notes
    );
}

#[test]
fn no_secret_gets_into_the_document() {
    let document = with(&[
        (
            "FORK_CONFIG_URL",
            "https://user:hunter2@example.org/f.gz?sig=hunter2",
        ),
        (
            "BLOCK_URL",
            "ftp://user:hunter2@example.org/f.gz?sig=hunter2",
        ),
        ("CANDIDATE_STORE", "s3://user:hunter2@bucket/x"),
        (
            "PREFORK_CONFIG",
            "https://user:hunter2@example.org/f.gz?sig=hunter2",
        ),
        (
            "FORKING_FROM_CONFIG_JSON",
            "https://user:hunter2@other.org/f.gz?sig=hunter2",
        ),
        ("SIGNING_KEY_FILE", "-----BEGIN PRIVATE KEY-----\nhunter2"),
    ]);
    assert!(document.problems.len() >= 4, "{:#?}", document.problems);
    let text = format!("{document:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn all_problems_are_told_at_once() {
    let all = check(&variables(&[
        ("NETWORK", "testnet"),
        ("CONFIG_JSON_GZ_URL", "https://h/f"),
        ("FORK_CONFIG_URL", "https://g/f"),
        ("GIT_HASH", "68503010ab"),
        ("GENESIS_TIMESTAMP", "2026-08-19 18:00"),
        ("CODENAMES", "Bookworm,Focal"),
        ("DUNE_PROFILE", "devnet"),
    ]));
    let text: Vec<String> = all.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("problems", text.join("\n"));
}

#[test]
fn the_published_table_is_the_contract() {
    let path = root().join("docs/environment.md");
    let contract = as_markdown();
    // To write it: pipeline-step check-env --explain --markdown >docs/environment.md
    let published = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        published.trim_end(),
        contract.trim_end(),
        "docs/environment.md is not the contract"
    );
}

#[test]
fn no_name_means_two_things_and_every_example_is_right() {
    let names: Vec<&str> = known_names().collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len(), "{names:?}");
    for variable in VARIABLES.iter().chain(&SETTINGS) {
        let mut changes = vec![(variable.name, variable.example)];
        match variable.name {
            "SIGNING_KEY_FILE" => changes.push(("BUILDKITE", "true")),
            name if name.starts_with("ARCHIVE_") => {
                changes.extend([
                    ("BUILDKITE", "true"),
                    ("FORK_CONFIG_URL", ""),
                    ("STATE_HASH", HASH),
                ]);
                if name != "ARCHIVE_URI" {
                    changes.push(("ARCHIVE_URI", "postgresql://a@h/d"));
                }
            }
            "UNSCHEDULED" => changes.push(("GENESIS_TIMESTAMP", "2026-08-19T18:00:00Z")),
            "STATE_HASH" | "CONFIRMATIONS" | "CANDIDATE_STORE" => {
                changes.extend([("FORK_CONFIG_URL", ""), ("CANDIDATE_STORE", "s3://b/p")]);
            }
            "REPLAYER_OUTPUT_URL" => changes.push(("FORK_CONFIG_URL", "")),
            name if name.contains("LEDGER_URL") => {
                changes.extend([
                    ("FORK_CONFIG_URL", ""),
                    ("BLOCK_URL", "https://h/b"),
                    ("STAGED_LEDGER_URL", "https://h/1"),
                    ("STAKING_LEDGER_URL", "https://h/2"),
                    ("NEXT_STAKING_LEDGER_URL", "https://h/3"),
                ]);
            }
            _ => {}
        }
        assert_eq!(with(&changes).problems, [], "{}", variable.name);
    }
}

/// Variables of the workers themselves, which the pipeline may set for its steps.
const OF_WORKERS: [&str; 4] = [
    "FORKPACK_ANNOTATION",
    "FORKPACK_FORMAT",
    "FORKPACK_NO_PROGRESS",
    "SOURCE_DATE_EPOCH",
];

/// Names of the contract that are not in the pipeline's `env` block: it takes their values there, or
/// has no use for them. Steps have them anyway, as all variables of a build.
const NOT_IN_BLOCK: [&str; 14] = [
    "CODENAMES",
    "FORKPACK_IMAGE",
    "NETWORK_NAME",
    "TESTNET_NAME",
    "CONFIG_JSON_GZ_URL",
    "FORKING_FROM_CONFIG_JSON",
    "HARDFORK_GENESIS_SLOT_DELTA",
    "PRECOMPUTED_FORK_BLOCK_PREFIX",
    "PRECOMPUTED_BLOCK_GS_PREFIX",
    "USE_ARTIFACTS_FROM_BUILDKITE_BUILD",
    "MINA_LEDGER_S3_BUCKET",
    "DUNE_PROFILE",
    "REPO",
    "FORCE_DOCKER_OVERWRITE",
];

#[test]
fn the_pipeline_and_the_contract_name_the_same_variables() {
    let pipeline = Pipeline::load(&root().join("pipeline/pipeline.yml")).unwrap();
    let passed: BTreeSet<String> = pipeline.variables().into_iter().collect();
    let known: BTreeSet<String> = known_names().map(str::to_owned).collect();
    let unknown: Vec<&String> = passed
        .difference(&known)
        .filter(|name| !OF_WORKERS.contains(&name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "in pipeline.yml and not in the contract: {unknown:?}"
    );
    let missing: Vec<&String> = known.difference(&passed).collect();
    let missing: Vec<&&String> = missing
        .iter()
        .filter(|name| !NOT_IN_BLOCK.contains(&name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "in the contract and not in pipeline.yml: {missing:?}"
    );
    let passed_now: Vec<&&str> = NOT_IN_BLOCK
        .iter()
        .filter(|name| passed.contains(**name))
        .collect();
    assert!(
        passed_now.is_empty(),
        "in the block now, take them out of NOT_IN_BLOCK: {passed_now:?}"
    );
}
