//! The digests of everything made of `fixtures/small` are recorded in the repository, so that whoever
//! changes a byte of what is published sees it in the review.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base;
use crate::bytes::{Tree, pure, tree};
use crate::support::{Place, binary, ended, in_ci, root, text};

/// Set to 1, the test records what it finds instead of comparing.
const RECORD: &str = "FORKPACK_RECORD_DIGESTS";

const RECORDED: &str = "fixtures/small/digests.json";

fn document(files: &Tree, path: &str) -> Value {
    serde_json::from_slice(&files[path]).unwrap()
}

fn sha256(bytes: &[u8]) -> Value {
    hex::encode(Sha256::digest(bytes)).into()
}

/// Digests that people publish and compare, and of every file. Measurements are left out.
fn digests(files: &Tree) -> Map<String, Value> {
    let mut found = Map::new();
    let mut put = |name: &str, value: &Value| {
        assert!(value.is_string(), "{name}: {value}");
        found.insert(name.to_owned(), value.clone());
    };
    for role in ["genesis", "staking", "next"] {
        let ledger = document(files, &format!("ledgers/{role}/ledger.json"));
        put(&format!("{role}: root"), &ledger["target"]["root"]);
        for member in ["s3_data_hash", "content_sha256"] {
            put(&format!("{role}: {member}"), &ledger["tarball"][member]);
        }
        put(
            &format!("{role}: tarball SHA-256"),
            &ledger["tarball"]["file"]["sha256"],
        );
    }
    let deb = document(files, "deb/deb.json");
    put("deb: SHA-256", &deb["file"]["sha256"]);
    put("deb: payload SHA-256", &deb["payload_sha256"]);
    let image = document(files, "image/image.json");
    for member in ["manifest_digest", "config_digest", "package_layer_digest"] {
        put(&format!("image: {member}"), &image[member]);
    }
    put(
        "image: docker archive SHA-256",
        &image["docker_archive"]["sha256"],
    );
    for (path, bytes) in files {
        // Blobs are named by their digest; a report says what the dpkg of this machine found.
        if !path.contains("/blobs/") && !path.starts_with("report/") {
            put(&format!("file: {path}"), &sha256(&pure(path, bytes)));
        }
    }
    found
}

fn build(place: &Place) -> Tree {
    let directory = place.path("work");
    let base = place.path("base");
    for path in [&directory, &base] {
        fs::create_dir(path).unwrap();
    }
    base::write_archive(&base.join("base.tar"));
    let binaries = binary("package-image");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repro/build.sh");
    let inputs = root().join("fixtures/small").canonicalize().unwrap();
    let mut command = Command::new("bash");
    command.arg(script).current_dir(&directory).env_clear();
    for (name, value) in [
        ("PATH", std::env::var("PATH").unwrap().as_str()),
        ("HOME", text(&base)),
        ("TMPDIR", text(&base)),
        ("BIN", text(binaries.parent().unwrap())),
        ("INPUTS", text(&inputs)),
        ("BASE", text(&base)),
        ("ROLES", "genesis staking next"),
        ("ORDER", ""),
    ] {
        command.env(name, value);
    }
    ended(&mut command).done();
    tree(&directory.join("out"))
}

#[test]
fn digests_are_those_that_were_recorded() {
    let place = Place::new();
    let found = digests(&build(&place));
    let path = root().join(RECORDED);
    if std::env::var_os(RECORD).is_some_and(|value| value == "1") {
        assert!(
            !in_ci(),
            "{RECORD} has no place in CI: nothing would be compared"
        );
        let mut text = serde_json::to_string_pretty(&found).unwrap();
        text.push('\n');
        fs::write(&path, text).unwrap();
        eprintln!("RECORDED {RECORDED}");
        return;
    }
    let recorded: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut changed = Vec::new();
    for (name, expected) in &recorded {
        match found.get(name) {
            Some(value) if value == expected => {}
            Some(value) => changed.push(format!("{name}: recorded {expected}, made {value}")),
            None => changed.push(format!("{name}: recorded, not made any more")),
        }
    }
    for name in found.keys().filter(|name| !recorded.contains_key(*name)) {
        changed.push(format!("{name}: made, not recorded"));
    }
    assert!(
        changed.is_empty(),
        "what is made of fixtures/small is not what {RECORDED} says:\n  {}\n\
         If the change is meant, record it with {RECORD}=1 and say in CHANGELOG.md which digests \
         change for users.",
        changed.join("\n  ")
    );
}
