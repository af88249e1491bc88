//! Real packages and images: what is inside, what re-versioning keeps, and every changed byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fork_package::{DebBuilder, FileSource, Paragraph};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::place::Place;

const RELEASE: &str = "--release out/mina-hardfork/release";
const ARTIFACTS: &str = "out/mina-hardfork/artifacts";
const PARTS: [&str; 3] = ["ledger-genesis", "ledger-staking", "config"];

/// The practice of the Mina package, stopped at a step.
fn stopped(before: &str) -> Place {
    let place = Place::with_keys(&[]);
    let line = format!("practice mina-hardfork --before {before} --output out");
    place.run(&line, 0);
    place
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A package of the practice: of a version, and with these parts.
fn package(path: &Path, version: &str, parts: &[(&str, String)]) {
    let text = format!(
        "Package: forkpack-practice\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: a package for practice, with nothing in it\n"
    );
    let mut builder = DebBuilder::new(Paragraph::parse(&text).unwrap(), 0);
    for (name, text) in parts {
        let source = FileSource::Bytes(text.clone().into_bytes());
        builder
            .add(
                &format!("/usr/share/forkpack-practice/{name}"),
                0o644,
                source,
            )
            .unwrap();
    }
    let _ = fs::remove_file(path);
    builder.write(path).unwrap();
}

fn parts() -> Vec<(&'static str, String)> {
    PARTS
        .map(|name| (name, format!("practice: {name}\n")))
        .to_vec()
}

/// A manifest over what lies there now, recorded.
fn record_manifest(place: &Place, release: &str, keys: &str, artifacts: &str) {
    let mut text = "kind = \"planned\"\nversion = \"3.0.0-mesa\"\ncommit = \"0000000000000000000000000000000000000001\"\nbuilt_at = \"2026-05-01T00:00:00Z\"\n".to_owned();
    for (name, media, target) in [
        ("mina.deb", "application/vnd.debian.binary-package", "deb"),
        (
            "mina-image",
            "application/vnd.oci.image.manifest.v1+json",
            "image",
        ),
        ("ledger-genesis", "application/octet-stream", ""),
        ("ledger-staking", "application/octet-stream", ""),
        ("config", "application/octet-stream", ""),
    ] {
        text.push_str(&format!(
            "[[artifact]]\nname = \"{name}\"\nmedia_type = \"{media}\"\n"
        ));
        if !target.is_empty() {
            text.push_str(&format!("target = \"{target}\"\n"));
        }
    }
    place.write("manifest.toml", &text);
    place.run(&format!("record manifest {release} --manifest manifest.toml --artifacts {artifacts} --key {keys}/release_team-0.pem --log-key {keys}/log-0.pem --now 2026-05-01T00:01:30Z"), 0);
}

#[test]
fn a06_a_package_with_another_ledger_than_the_manifest_lists() {
    // Everything is signed and has its digest; only what lies in the package is another ledger.
    let place = stopped("capture");
    let keys = "out/mina-hardfork/keys";
    let mut other = parts();
    other[1].1 = "practice: another ledger\n".to_owned();
    package(&place.path(&format!("{ARTIFACTS}/mina.deb")), "1", &other);
    record_manifest(&place, RELEASE, keys, ARTIFACTS);
    let log = format!("--log-key {keys}/log-0.pem");
    place.write("capture.toml", "kind = \"planned\"\n");
    place.run(&format!("record document {RELEASE} --type capture-record --file capture.toml --key {keys}/ci-0.pem {log} --now 2026-05-01T00:02:00Z"), 0);
    place.run(&format!("promote {RELEASE} --to package --artifacts {ARTIFACTS} {log} --now 2026-05-01T00:03:00Z"), 0);
    let said = place.run(&format!("check {RELEASE} --to package --on exit --artifacts {ARTIFACTS} --now 2026-05-01T00:04:00Z"), 4);
    assert!(said.contains("`mina.deb` has no ledger-staking"), "{said}");
    // The image has the listed one.
    assert!(!said.contains("`mina-image`"), "{said}");
}

#[test]
fn a05_a_flipped_byte_of_package_image_ledger_or_config_is_told_by_name() {
    let place = stopped("exit:package");
    let check = format!("check {RELEASE} --to package --on exit --artifacts {ARTIFACTS}");
    place.run(&check, 0);
    for name in ["mina.deb", "ledger-genesis", "config"] {
        let path = place.path(&format!("{ARTIFACTS}/{name}"));
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, bad).unwrap();
        let output = place.output(&check);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(4 | 5)),
            "{name}: {said}"
        );
        assert!(said.contains(name), "{name}: {said}");
        fs::write(&path, good).unwrap();
    }
    place.run(&check, 0);
}

/// Any byte of any file of any artifact, at random: nobody gets an ALLOW for it.
#[test]
fn a05_any_changed_byte_of_an_artifact_is_found() {
    let place = stopped("exit:package");
    let check = format!("check {RELEASE} --to package --on exit --artifacts {ARTIFACTS}");
    place.run(&check, 0);
    // An index and the version of a layout are the frame around an image; what an image is, its
    // manifest says, whose digest is in the manifest of the release.
    let is_frame = |path: &PathBuf| path.ends_with("index.json") || path.ends_with("oci-layout");
    let mut all = files(&place.path(ARTIFACTS));
    all.retain(|path| !is_frame(path));
    assert!(all.len() >= 7, "{all:?}");
    let mut runner = TestRunner::deterministic();
    let positions = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..8_u32,
    );
    for round in 0..150 {
        let (which, index, bit) = positions.new_tree(&mut runner).unwrap().current();
        // Every file at least once.
        let path = all.get(round).unwrap_or_else(|| which.get(&all));
        let good = fs::read(path).unwrap();
        let at = index.index(good.len());
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        fs::write(path, &bad).unwrap();
        let output = place.output(&check);
        fs::write(path, &good).unwrap();
        assert!(
            matches!(output.status.code(), Some(4 | 5)),
            "{} byte {at} bit {bit}: {:?} {}",
            path.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    place.run(&check, 0);
}

/// What Debian's own tool says of the content.
fn payload(path: &Path) -> Option<String> {
    let output = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(path)
        .output()
        .unwrap();
    let good = output.status.success();
    good.then(|| release_policy::Digest::of(&output.stdout).to_string())
}

/// A release whose packages may be re-versioned, at the package's exit.
fn reversioned() -> (Place, String) {
    let place = stopped("exit:package");
    let keys = "out/mina-hardfork/keys";
    let log = format!("--log-key {keys}/log-0.pem");
    let from = "out/mina-hardfork/release";
    place.run(&format!("open --release r --id r --policy mina-hardfork --option reversioned-package --keys {from}/keys.toml {log} --now 2026-05-01T00:00:00Z"), 0);
    record_manifest(&place, "--release r", keys, ARTIFACTS);
    let at = |minute: u32| format!("{log} --now 2026-05-01T00:{minute:02}:00Z");
    place.write("capture.toml", "kind = \"planned\"\n");
    place.run(&format!("record document --release r --type capture-record --file capture.toml --key {keys}/ci-0.pem {}", at(2)), 0);
    place.run(
        &format!(
            "promote --release r --to package --artifacts {ARTIFACTS} {}",
            at(3)
        ),
        0,
    );
    for (name, time) in [("inputs_ready", "00:00:00"), ("package_ready", "05:00:00")] {
        let mut command = place.command(&format!("record observe --release r --stage package --kind moment --key {keys}/ci-0.pem {} --data", at(4)));
        command.arg(format!(
            "{{\"name\": \"{name}\", \"time\": \"2026-05-01T{time}Z\"}}"
        ));
        assert!(command.output().unwrap().status.success());
    }
    for (file, name) in [("config", "config.json"), ("facts", "fork-facts.json")] {
        let wanted = if file == "config" {
            "genesis_state_timestamp"
        } else {
            "staking_hash"
        };
        let raw = files(&place.path(&format!("{from}/raw")))
            .into_iter()
            .find(|path| fs::read_to_string(path).unwrap().contains(wanted))
            .unwrap();
        place.run(&format!("record document --release r --type config --name {name} --file {} --key {keys}/ci-0.pem {}", raw.display(), at(5)), 0);
    }
    let check = format!(
        "check --release r --to package --on exit --artifacts {ARTIFACTS} --now 2026-05-01T06:00:00Z"
    );
    place.run(&check, 0);
    (place, check)
}

#[test]
fn a07_t8_a_re_versioned_package_keeps_its_payload_and_nothing_else() {
    let (place, check) = reversioned();
    let strict = format!("check {RELEASE} --to package --on exit --artifacts {ARTIFACTS}");
    let deb = place.path(&format!("{ARTIFACTS}/mina.deb"));
    let before = (fs::read(&deb).unwrap(), payload(&deb).unwrap());
    // Another version of the same content: another file, the same payload.
    package(&deb, "1.2.3-renamed", &parts());
    assert_ne!(fs::read(&deb).unwrap(), before.0);
    assert_eq!(payload(&deb).unwrap(), before.1);
    place.run(&check, 0);
    let said = place.run(&strict, 4);
    assert!(
        said.contains("identity") && said.contains("`mina.deb` is sha256:"),
        "{said}"
    );
    // One byte inside, one file more, one less: other content, refused either way.
    let mut byte = parts();
    byte[0].1 = byte[0].1.replace("genesis", "genesiS");
    let mut more = parts();
    more.push(("extra", "x".to_owned()));
    let mut less = parts();
    less.pop();
    for changed in [byte, more, less] {
        package(&deb, "1", &changed);
        assert_ne!(payload(&deb).unwrap(), before.1);
        place.run(&check, 4);
        place.run(&strict, 4);
    }
}

/// Any byte of a package whose payload alone is compared: allowed exactly when Debian's tool still finds
/// the same content.
#[test]
fn a07_any_changed_byte_of_a_payload_is_found() {
    let (place, check) = reversioned();
    let deb = place.path(&format!("{ARTIFACTS}/mina.deb"));
    let good = fs::read(&deb).unwrap();
    let expected = payload(&deb);
    let mut runner = TestRunner::deterministic();
    let positions = (any::<prop::sample::Index>(), 0..8_u32);
    let mut refused = 0;
    for _ in 0..120 {
        let (index, bit) = positions.new_tree(&mut runner).unwrap().current();
        let at = index.index(good.len());
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        fs::write(&deb, &bad).unwrap();
        let same = payload(&deb) == expected;
        let code = place.output(&check).status.code();
        // We may be stricter than dpkg about the frame; never laxer about the content.
        if !same {
            assert!(matches!(code, Some(4 | 5)), "byte {at} bit {bit}: {code:?}");
            refused += 1;
        }
    }
    assert!(refused > 25, "{refused} of 120 changed the content");
    fs::write(&deb, good).unwrap();
    place.run(&check, 0);
}
