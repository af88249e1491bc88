//! The statement over a release: two builders write the same bytes, and nothing that was changed gets
//! one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::pipeline::base_rootfs;
use crate::support::{FORK_SLOT, Fixture, Place, names, no_partial, text};

/// What one builder does in his own way. What he gets must not tell.
pub struct Builder {
    /// How the fork config is called, and whether it is compressed.
    fork_config: &'static str,
    threads: &'static str,
    kernel: &'static str,
    proof: &'static str,
    /// Whether the workers add what they did to `annotation.md`.
    notes: bool,
}

pub const ALICE: Builder = Builder {
    fork_config: "fork_config.json",
    threads: "1",
    kernel: "portable",
    proof: "log",
    notes: false,
};
const BOB: Builder = Builder {
    fork_config: "from-my-daemon.json.gz",
    threads: "2",
    kernel: "",
    proof: "rocksdb",
    notes: false,
};

const RELEASE: [&str; 13] = [
    "--candidate",
    "candidate",
    "--ledgers",
    "ledgers/genesis",
    "ledgers/staking",
    "ledgers/next",
    "--network-config",
    "config",
    "--deb",
    "deb",
    "--image",
    "image",
    "--report",
];
const REPORTS: [&str; 2] = ["report", "image-report"];

impl Builder {
    /// The same builder, whose workers say what they did.
    pub fn noting(self) -> Self {
        Self {
            notes: true,
            ..self
        }
    }

    /// The whole release, reports included; `edit` may change the candidate's document.
    pub fn build(&self, edit: impl FnOnce(&mut Value)) -> Place {
        let fixture = Fixture::small();
        let place = Place::new();
        let file = |name: &str| fixture.file(name);
        let plain = fs::read(file("fork_config.json")).unwrap();
        let given = place.path(self.fork_config);
        if given.extension().is_some_and(|ending| ending == "gz") {
            use std::io::Write;
            let out = fs::File::create(&given).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap();
        } else {
            fs::write(&given, plain).unwrap();
        }
        let (network, block) = (file("network.toml"), file("block.json"));
        let prefork = file("prefork_config.json");
        let import = ["import", "--network", &network, "--block", &block];
        let more = ["--fork-config", self.fork_config, "--output", "candidate"];
        self.run(&place, "dump-candidates", &[&import[..], &more].concat());
        let path = place.path("candidate/candidate.json");
        let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let before = document.clone();
        edit(&mut document);
        if document != before {
            fs::write(&path, document.to_string()).unwrap();
        }
        let roles = ["--role", "genesis", "--role", "staking", "--role", "next"];
        let eras = [
            "--from",
            "berkeley",
            "--to",
            "mesa",
            "--fork-slot",
            FORK_SLOT,
        ];
        let more = [
            "--candidate",
            "candidate",
            "--proof",
            self.proof,
            "--output",
            "ledgers",
        ];
        self.run(
            &place,
            "migrate-ledger",
            &[&roles[..], &eras, &more].concat(),
        );
        let from = ["--network", &network, "--candidate", "candidate"];
        let old = ["--prefork-config", &prefork];
        let ledgers = [
            "--ledgers",
            "ledgers/genesis",
            "ledgers/staking",
            "ledgers/next",
        ];
        let line = [&from[..], &old, &ledgers, &["--output", "config"]].concat();
        self.run(&place, "generate-network-config", &line);
        let mut line = vec!["--network-config", "config", "--version", "4.0.0"];
        line.extend(["--git-hash", "abcdef01", "--output", "deb"]);
        line.extend(["--seed-list-url", "https://example.org/seeds.txt"]);
        for role in ["ledgers/genesis", "ledgers/staking", "ledgers/next"] {
            line.extend(["--ledgers", role]);
        }
        self.run(&place, "package-deb", &line);
        base_rootfs(&place);
        let line = ["--deb", "deb", "--base", "rootfs:base", "--output", "image"];
        self.run(&place, "package-image", &line);
        for (subject, output) in [
            (["--deb", "deb"], "report"),
            (["--image", "oci:image"], "image-report"),
        ] {
            let line = [&subject[..], &from, &old, &["--output", output]].concat();
            self.run(&place, "verify-package", &line);
        }
        place
    }

    fn run(&self, place: &Place, name: &str, arguments: &[&str]) {
        let mut command = place.command(name, arguments);
        command.env("RAYON_NUM_THREADS", self.threads);
        if self.notes {
            command.env("FORKPACK_ANNOTATION", "annotation.md");
        }
        if !self.kernel.is_empty() {
            command.env("FORKPACK_KERNEL", self.kernel);
        }
        crate::support::ended(&mut command).done();
    }
}

pub fn manifest_line(output: &'static str) -> Vec<&'static str> {
    [&["manifest"][..], &RELEASE, &REPORTS, &["--output", output]].concat()
}

/// Every document a step left.
fn documents(place: &Place) -> Vec<PathBuf> {
    [
        "candidate/candidate.json",
        "ledgers/genesis/ledger.json",
        "ledgers/staking/ledger.json",
        "ledgers/next/ledger.json",
        "config/network.json",
        "deb/deb.json",
        "image/image.json",
        "report/report.json",
        "image-report/report.json",
    ]
    .map(|name| place.path(name))
    .to_vec()
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

#[test]
fn two_builders_write_and_sign_the_same_statement() {
    let places = [ALICE.build(|_| {}), BOB.build(|_| {})];
    let mut statements = Vec::new();
    for place in &places {
        place.run("sign-release", &manifest_line("manifest")).done();
        statements.push(fs::read_to_string(place.path("manifest/manifest.json")).unwrap());
    }
    assert_eq!(statements[0], statements[1]);
    // They did not simply do the same: their documents differ, and none is in the statement.
    let differing = documents(&places[0])
        .iter()
        .zip(documents(&places[1]))
        .filter(|(a, b)| sha256(a) != sha256(b))
        .count();
    assert!(differing >= 8, "{differing} documents differ");
    for place in &places {
        for path in documents(place) {
            assert!(
                !statements[0].contains(&sha256(&path)),
                "{}",
                path.display()
            );
        }
        for measured in ["_ms\"", "memory", "kernel", text(&place.path(""))] {
            let found = statements[0].replace("timestamp_ms\"", "");
            assert!(!found.contains(measured), "{measured}");
        }
    }
    let statement: Value = serde_json::from_str(&statements[0]).unwrap();
    let predicate = &statement["predicate"];
    assert_eq!(predicate["overrides"], serde_json::json!([]));
    assert_eq!(predicate["package"]["verification"]["verdict"], "passed");
    assert_eq!(predicate["image"]["verification"]["verdict"], "passed");
    let model = &Fixture::small().model.ledgers;
    for (index, root) in [model.genesis.root, model.staking.root, model.next.root]
        .into_iter()
        .enumerate()
    {
        assert_eq!(predicate["ledgers"][index]["root_before"], root.to_string());
    }
    // Every file that a node gets is a subject.
    let subjects = statement["subject"].as_array().unwrap();
    let subject = |name: &str| {
        let found = subjects.iter().find(|one| one["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {subjects:?}"))
            .clone()
    };
    for directory in [
        "ledgers/genesis",
        "ledgers/staking",
        "ledgers/next",
        "config",
        "deb",
    ] {
        for name in names(&places[0].path(directory)) {
            if ["ledger.json", "network.json", "deb.json"].contains(&name.as_str()) {
                continue;
            }
            let digest = sha256(&places[0].path(directory).join(&name));
            assert_eq!(subject(&name)["digest"]["sha256"], digest, "{name}");
        }
    }
    let image = places[0].document("image/image.json");
    let name = predicate["image"]["name"].as_str().unwrap();
    assert_eq!(
        format!(
            "sha256:{}",
            subject(name)["digest"]["sha256"].as_str().unwrap()
        ),
        image["manifest_digest"]
    );

    // Each signs what he built; together they are two.
    let artifacts = [
        "--artifacts",
        "ledgers/genesis",
        "ledgers/staking",
        "ledgers/next",
        "config",
        "deb",
        "image",
    ];
    let manifest = ["--manifest", "manifest/manifest.json"];
    for place in &places {
        place
            .run("sign-release", &["keygen", "--output", "key"])
            .done();
        let key = ["--key", "key/signing-key.pem", "--output", "signed.json"];
        let line = [&["sign"][..], &manifest, &artifacts, &key].concat();
        place.run("sign-release", &line).done();
    }
    let [alice, bob] = &places;
    let theirs = bob.path("signed.json");
    alice
        .run(
            "sign-release",
            &[
                "merge",
                "signed.json",
                text(&theirs),
                "--output",
                "both.json",
            ],
        )
        .done();
    let (key, other) = (alice.path("key"), bob.path("key"));
    let mut line = vec![
        "verify",
        "--manifest",
        "both.json",
        "--threshold",
        "2",
        "--all",
    ];
    line.extend(["--trusted", text(&key), text(&other)]);
    let line = [&line[..], &artifacts].concat();
    let verified = alice.json("sign-release", &line);
    assert_eq!(verified["threshold_met"], true);
    assert_eq!(verified["signers"].as_array().unwrap().len(), 2);
    let states = verified["artifacts"].as_array().unwrap();
    assert_eq!(states.len(), subjects.len());
    assert!(
        states.iter().all(|one| one["state"] == "checked"),
        "{states:?}"
    );
}

#[test]
fn what_a_person_overrode_is_in_the_statement() {
    let place = BOB.build(|candidate| {
        candidate["selection"] = serde_json::json!({
            "state_hash": candidate["fork_block"]["state_hash"],
            "blockchain_length": candidate["fork_block"]["blockchain_length"],
            "by": "human-override", "confirmations": 1, "daemons": ["a"],
        });
    });
    place.run("sign-release", &manifest_line("manifest")).done();
    let statement = place.document("manifest/manifest.json");
    let words = "the fork block was chosen by a human, against the rule";
    assert_eq!(
        statement["predicate"]["overrides"],
        serde_json::json!([words])
    );
    // Without reports it says that nobody verified.
    let line = [
        &["manifest"][..],
        &RELEASE[..12],
        &["--output", "unverified"],
    ]
    .concat();
    place.run("sign-release", &line).done();
    let unverified = place.document("unverified/manifest.json");
    let verdict = &unverified["predicate"]["package"]["verification"];
    assert_eq!(verdict["verdict"], "not-verified");
    let mut sign = vec![
        "sign",
        "--manifest",
        "manifest/manifest.json",
        "--unchecked",
    ];
    sign.extend(["--rebuilt", "unverified/manifest.json", "--output", "x"]);
    place.run("sign-release", &sign).refused(
        4,
        &["fact `package.verification.verdict` is passed and not-verified"],
    );
}

/// Everything that somebody could change, one at a time.
#[test]
fn nothing_that_was_changed_gets_a_statement() {
    let place = ALICE.build(|_| {});
    let line = manifest_line("out");
    let refused = |code, needles: &[&str]| {
        place.run("sign-release", &line).refused(code, needles);
        place.nothing_left("out");
    };
    let only = |directory: &str, ending: &str| {
        let mut found = names(&place.path(directory));
        found.retain(|name| name.ends_with(ending));
        format!("{directory}/{}", found[0])
    };
    // A byte in each file.
    let image = place.document("image/image.json");
    let blob = |member: &str| {
        let digest = image[member].as_str().unwrap().to_owned();
        format!("image/blobs/{}", digest.replace(':', "/"))
    };
    let layers: Vec<String> = names(&place.path("image/blobs/sha256"))
        .into_iter()
        .map(|name| format!("image/blobs/sha256/{name}"))
        .collect();
    assert!(layers.contains(&blob("package_layer_digest")));
    let mut bytes_of = vec![
        only("ledgers/genesis", ".tar.gz"),
        only("ledgers/next", ".tar.gz"),
        only("deb", ".deb"),
        "candidate/staged_ledger.json".to_owned(),
        "candidate/block.json".to_owned(),
        "config/config.json".to_owned(),
        "config/hashes.json".to_owned(),
        "config/prefork_config.json".to_owned(),
    ];
    bytes_of.extend(layers);
    for name in &bytes_of {
        let good = fs::read(place.path(name)).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            fs::write(place.path(name), changed).unwrap();
            refused(4, &["expected"]);
        }
        fs::write(place.path(name), good).unwrap();
    }
    // A word in each document.
    let other = "00".repeat(32);
    for (name, pointer, value, code, needle) in [
        (
            "candidate/candidate.json",
            "/warnings",
            serde_json::json!(["x"]),
            4,
            "candidate's document",
        ),
        (
            "ledgers/staking/ledger.json",
            "/target/root",
            another_root(&place),
            4,
            "root after of the staking",
        ),
        (
            "ledgers/staking/ledger.json",
            "/tarball/s3_data_hash",
            other.clone().into(),
            4,
            "s3_data_hash",
        ),
        (
            "ledgers/staking/ledger.json",
            "/source/file/sha256",
            other.clone().into(),
            4,
            "account list",
        ),
        (
            "ledgers/staking/ledger.json",
            "/source/verified",
            false.into(),
            4,
            "every source was verified",
        ),
        (
            "ledgers/staking/ledger.json",
            "/rule/name",
            "another".into(),
            4,
            "migration rule",
        ),
        (
            "ledgers/staking/ledger.json",
            "/role",
            "genesis".into(),
            2,
            "two of the genesis",
        ),
        (
            "config/network.json",
            "/warnings",
            serde_json::json!(["x"]),
            4,
            "network document",
        ),
        (
            "config/network.json",
            "/fork/blockchain_length",
            1.into(),
            4,
            "height",
        ),
        (
            "config/network.json",
            "/version",
            99.into(),
            5,
            "network.json",
        ),
        (
            "deb/deb.json",
            "/payload_sha256",
            other.clone().into(),
            4,
            "uncompressed data",
        ),
        (
            "deb/deb.json",
            "/contents/0/sha256",
            other.clone().into(),
            4,
            "SHA-256 of `/",
        ),
        (
            "deb/deb.json",
            "/contents/0/path",
            "/x".into(),
            4,
            "expected nothing",
        ),
        (
            "image/image.json",
            "/manifest_digest",
            "sha256:00".into(),
            4,
            "digest of the manifest",
        ),
        (
            "image/image.json",
            "/package_layer_digest",
            "sha256:00".into(),
            4,
            "last layer",
        ),
        (
            "image/image.json",
            "/contents/0/sha256",
            other.clone().into(),
            4,
            "SHA-256 of `/",
        ),
        (
            "image/image.json",
            "/deb/sha256",
            other.clone().into(),
            4,
            "SHA-256 of the package",
        ),
        (
            "report/report.json",
            "/checks/3/outcome",
            "failed".into(),
            4,
            "does not say that the release is right",
        ),
        (
            "report/report.json",
            "/failed",
            1.into(),
            4,
            "does not say that the release is right",
        ),
        (
            "report/report.json",
            "/checks",
            serde_json::json!([]),
            4,
            "does not say that the release is right",
        ),
        (
            "report/report.json",
            "/subject/sha256",
            other.clone().into(),
            4,
            "is about deb 0000",
        ),
        (
            "image-report/report.json",
            "/subject/sha256",
            Value::Null,
            4,
            "without a digest",
        ),
        (
            "image-report/report.json",
            "/candidate_sha256",
            other.clone().into(),
            4,
            "candidate's document",
        ),
        (
            "report/report.json",
            "/version",
            99.into(),
            5,
            "report.json",
        ),
    ] {
        let good = fs::read(place.path(name)).unwrap();
        let mut document: Value = serde_json::from_slice(&good).unwrap();
        let member = document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{name}{pointer}"));
        assert_ne!(*member, value, "{name}{pointer}");
        *member = value;
        fs::write(place.path(name), document.to_string()).unwrap();
        refused(code, &[needle]);
        fs::write(place.path(name), good).unwrap();
    }
    // Reports and ledgers that are not one of each.
    let twice = [&line[..], &["--report", "report"]].concat();
    place
        .run("sign-release", &twice)
        .refused(2, &["are about the same deb"]);
    let fewer: Vec<&str> = line
        .iter()
        .copied()
        .filter(|one| *one != "ledgers/next")
        .collect();
    place
        .run("sign-release", &fewer)
        .refused(2, &["there is no next ledger"]);
    // Put back as it was, it is signed.
    place.run("sign-release", &line).done();
    no_partial(&place.path(""));
}

/// A root that is not the staking ledger's.
fn another_root(place: &Place) -> Value {
    place.document("ledgers/genesis/ledger.json")["target"]["root"].clone()
}

/// Packages for several distributions, and images for them on two architectures, in one statement.
#[test]
fn several_distributions_are_one_release() {
    let place = ALICE.build(|_| {});
    let run = |name: &str, line: &[&str]| place.run(name, line);
    let package = |codename: &str| {
        let output = format!("debs/{codename}");
        let mut line = vec!["--network-config", "config", "--version", "4.0.0"];
        line.extend(["--git-hash", "abcdef01", "--codename", codename]);
        line.extend(["--seed-list-url", "https://example.org/seeds.txt"]);
        line.extend(["--ledgers", "ledgers/genesis", "ledgers/staking"]);
        line.extend(["ledgers/next", "--output", &output]);
        run("package-deb", &line).done();
    };
    for codename in ["noble", "bookworm"] {
        package(codename);
    }
    for (codename, architecture) in [
        ("bookworm", "amd64"),
        ("noble", "amd64"),
        ("noble", "arm64"),
    ] {
        let system = format!("bases/{codename}-{architecture}/var/lib/dpkg");
        fs::create_dir_all(place.path(&system).join("info")).unwrap();
        place.write(&format!("{system}/arch"), format!("{architecture}\n"));
        let dpkg = "Package: dpkg\nStatus: install ok installed\nVersion: 1.21.22\n";
        let status = format!("{dpkg}Architecture: {architecture}\n\n");
        place.write(&format!("{system}/status"), status);
        let deb = format!("debs/{codename}");
        let output = format!("images/{codename}-{architecture}");
        let mut line = vec!["--deb", deb.as_str(), "--architecture", architecture];
        line.extend(["--base", "rootfs:bases/{codename}-{architecture}"]);
        line.extend(["--output", &output]);
        run("package-image", &line).done();
    }
    let manifest = |debs: &[&str], images: &[&str], output: &str| {
        let mut line = RELEASE[..8].to_vec();
        line.insert(0, "manifest");
        line.extend(["--deb"].iter().chain(debs));
        if !images.is_empty() {
            line.extend(["--image"].iter().chain(images));
        }
        line.extend(["--output", output]);
        run("sign-release", &line)
    };
    let debs = ["debs/noble", "debs/bookworm"];
    let images = [
        "images/noble-arm64",
        "images/bookworm-amd64",
        "images/noble-amd64",
    ];
    manifest(&debs, &images, "one").done();
    let written = place.document("one/manifest.json");
    let facts = &written["predicate"];
    assert_eq!(facts["version"], 2);
    assert_eq!(facts["package"]["codename"], "bookworm");
    let file = place.document("debs/noble/deb.json")["file"]["name"].clone();
    let file = file.as_str().unwrap();
    let noble = format!("noble/{file}");
    assert_eq!(facts["further_packages"][0]["file"], noble.as_str());
    let network = facts["network"]["package_name"].as_str().unwrap();
    let tags: Vec<&str> = [
        &facts["image"],
        &facts["further_images"][0],
        &facts["further_images"][1],
    ]
    .map(|image| image["tag"].as_str().unwrap())
    .to_vec();
    assert_eq!(
        tags,
        [
            format!("4.0.0-bookworm-{network}"),
            format!("4.0.0-noble-{network}"),
            format!("4.0.0-noble-{network}-arm64"),
        ]
    );
    // The order in which they are named says nothing.
    let (mut debs_again, mut images_again) = (debs, images);
    debs_again.reverse();
    images_again.reverse();
    manifest(&debs_again, &images_again, "again").done();
    let read = |path: &str| fs::read(place.path(path)).unwrap();
    assert_eq!(read("one/manifest.json"), read("again/manifest.json"));

    // Everything is found again, and told apart.
    run("sign-release", &["keygen", "--output", "key"]).done();
    let mut directories = vec![
        "ledgers/genesis",
        "ledgers/staking",
        "ledgers/next",
        "config",
    ];
    directories.extend(debs);
    directories.extend(images);
    let sign = |directories: &[&str]| {
        let mut line = vec!["sign", "--manifest", "one/manifest.json"];
        line.extend(["--key", "key/signing-key.pem", "--output", "signed.json"]);
        line.push("--force");
        line.extend(["--artifacts"].iter().chain(directories));
        run("sign-release", &line)
    };
    sign(&directories).done();
    let without: Vec<&str> = directories
        .iter()
        .copied()
        .filter(|one| *one != debs[0])
        .collect();
    sign(&without).refused(3, &[&noble]);
    let deb = place.path("debs").join(&noble);
    let good = fs::read(&deb).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&deb, bad).unwrap();
    sign(&directories).refused(4, &[&noble]);
    fs::write(&deb, good).unwrap();

    // One of each.
    for (debs, images, words) in [
        (
            &["debs/noble", "debs/noble"][..],
            &[][..],
            "two of the package for `noble`",
        ),
        (
            &debs,
            &["images/noble-arm64", "images/noble-arm64"],
            "two of the image for `noble` on arm64",
        ),
    ] {
        manifest(debs, images, "none").refused(2, &[words]);
    }
    let ended = manifest(&["debs/bookworm"], &["images/noble-amd64"], "none");
    ended.refused(4, &["SHA-256 of the package is"]);
    // The same files under other control data, or it is another package.
    let mut line = vec!["--network-config", "config", "--version", "4.0.0"];
    line.extend(["--git-hash", "abcdef01", "--codename", "jammy"]);
    line.extend(["--seed-list-url", "https://example.org/other.txt"]);
    line.extend(["--ledgers", "ledgers/genesis", "ledgers/staking"]);
    line.extend(["ledgers/next", "--output", "debs/jammy"]);
    run("package-deb", &line).done();
    let ended = manifest(&["debs/bookworm", "debs/jammy"], &[], "none");
    ended.refused(4, &["SHA-256 of the uncompressed data is"]);
    assert!(!place.path("none").exists());
}
