//! What commands say and end with.

use std::fs;
use std::process::Command;

use fork_sign::{Envelope, SecretKey, pae};
use serde_json::json;

use crate::place::{BINARY, Place};

const PROMOTE: &str =
    "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml";

/// Programs that leave a mark and a line in a journal; the one that writes line `kill` kills the
/// worker right after it has done its work.
fn effects(place: &Place, kill: usize) {
    let run = format!(
        "touch mark-$1-$2; echo $1 $2 >> journal; if [ $(wc -l < journal) = {kill} ] && [ ! -e killed ]; then touch killed; kill -9 $PPID; fi"
    );
    let mut text = String::new();
    for executor in ["suite", "tag", "announce"] {
        text.push_str(&format!(
            "[executor.{executor}]\nrun = [\"sh\", \"-c\", {run:?}, \"sh\", \"{executor}\", \"{{target}}\"]\ncheck = [\"test\", \"-e\", \"mark-{executor}-{{target}}\"]\n"
        ));
    }
    place.write("effects.toml", &text);
}

#[test]
fn a67_each_exit_code_is_reached() {
    let place = Place::built();
    effects(&place, 0);
    place.run("promote --release r", 2);
    place.run("check --release r --to nowhere --artifacts files", 2);
    let said = place.run("check --release r --to publish --artifacts files", 3);
    assert!(
        said.contains("PEND by T-02") && said.contains("0 of 2 signatures"),
        "{said}"
    );
    let said = place.run("check --release r --to publish", 4);
    assert!(said.contains("`a.bin` was not read"), "{said}");
    fs::write(place.path("broken"), "x").unwrap();
    place.run(
        "record evidence --release r --envelope broken --log-key log.pem",
        5,
    );
    place.run("lint no-such-policy", 2);
    place.run("lint ./broken", 5);
    place.run("check --release missing --to publish", 5);
    let lock = fork_fs::FileLock::take(&place.path("r/.lock")).unwrap();
    place.run(PROMOTE, 6);
    drop(lock);
    place.approve("p1", 4);
    place.run("check --release r --to publish --artifacts files", 3);
    place.approve("p2", 5);
    place.run("check --release r --to publish --artifacts files", 0);
    // Nothing has happened yet: a check changes nothing.
    assert!(!place.path("journal").exists());
    let before = fs::read(place.path("r/log.jsonl")).unwrap();
    place.run(
        "promote --release r --to publish --artifacts files --log-key log.pem",
        2,
    );
    assert_eq!(
        fs::read(place.path("r/log.jsonl")).unwrap(),
        before,
        "nobody could have done it"
    );
    place.run(PROMOTE, 0);
    let said = place.run(PROMOTE, 0);
    assert!(said.contains("done already"), "{said}");
    let journal = fs::read_to_string(place.path("journal")).unwrap();
    assert_eq!(journal, "suite stable\ntag 1.0.0\nannounce list\n");
    place.run(
        "audit --release r --expect-keys keys.toml --expect-policy ./policy.toml",
        0,
    );
    place.run("audit --release r --expect-policy mina-hardfork", 4);
}

/// T8 is the library's; here a byte of the file itself.
#[test]
fn a05_a_flipped_byte_of_an_artifact_is_refused_by_name() {
    let place = Place::built();
    place.approve("p1", 4);
    place.approve("p2", 5);
    place.write("files/a.bin", "the artifacT");
    let said = place.run("check --release r --to publish --artifacts files", 4);
    assert!(
        said.contains("identity") && said.contains("`a.bin` is sha256:"),
        "{said}"
    );
}

#[test]
fn a65_a_kill_after_any_effect_is_repaired_and_nothing_is_done_twice() {
    for kill in 1..=3 {
        let place = Place::built();
        place.approve("p1", 4);
        place.approve("p2", 5);
        effects(&place, kill);
        let killed = place.output(PROMOTE);
        assert_eq!(killed.status.code(), None, "{kill}: it was killed");
        let todo = |place: &Place| {
            let status = place.json("status --release r");
            let actions = status["actions"].as_array().unwrap().clone();
            actions.iter().filter(|one| one["done"].is_null()).count()
        };
        // What was done is not recorded yet: that is the moment that is tested.
        assert_eq!(todo(&place), 4 - kill);
        place.run("obligations --release r", 3);
        // What is still to be done is done to what was decided on, and to nothing else.
        place.write("files/a.bin", "another one!");
        place.run(PROMOTE, 4);
        place.write("files/a.bin", "the artifact");
        place.run(PROMOTE, 0);
        assert_eq!(todo(&place), 0);
        let journal = fs::read_to_string(place.path("journal")).unwrap();
        assert_eq!(
            journal, "suite stable\ntag 1.0.0\nannounce list\n",
            "{kill}"
        );
        place.run("audit --release r", 0);
        place.run("obligations --release r", 0);
    }
}

#[test]
fn effects_come_after_allow_only_and_are_seen_to_be_done() {
    let place = Place::built();
    effects(&place, 0);
    place.run(&format!("{PROMOTE} --now 2026-01-01T00:04:00Z"), 3);
    assert!(!place.path("journal").exists());
    place.approve("p1", 4);
    place.approve("p2", 5);
    // A program that ends well and has done nothing.
    place.write("lazy.toml", "[executor.suite]\nrun = [\"true\"]\ncheck = [\"false\"]\n[executor.tag]\nrun = [\"true\"]\ncheck = [\"true\"]\n");
    let said = place.run(&PROMOTE.replace("effects.toml", "lazy.toml"), 6);
    assert!(said.contains("suite `stable`"), "{said}");
    place.run(PROMOTE, 0);
    for bad in [
        "[executor.sute]\nrun = [\"a\"]\ncheck = [\"b\"]\n",
        "[executor.suite]\nrun = [\"a\"]\ncheck = []\n",
        "x = 1\n",
    ] {
        place.write("bad.toml", bad);
        place.run(&PROMOTE.replace("effects.toml", "bad.toml"), 5);
    }
}

fn statement(place: &Place) -> Vec<u8> {
    place.run("record approve --release r --stage publish --item go --by p1 --key p1.pem --log-key log.pem --sign-only out.json --now 2026-01-01T00:04:00Z", 0);
    let bytes = fs::read(place.path("out.json")).unwrap();
    Envelope::from_json(&bytes)
        .unwrap()
        .unverified_payload()
        .to_vec()
}

#[test]
fn a03_an_envelope_counts_only_with_the_right_signature() {
    let place = Place::built();
    let payload = statement(&place);
    let before = fs::read(place.path("r/log.jsonl")).unwrap();
    let sign = |payload: Vec<u8>, seed: u8| {
        let mut envelope = Envelope::new(payload);
        envelope
            .sign(&SecretKey::from_seed(&[seed; 32]).unwrap())
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&envelope.to_json().unwrap()).unwrap()
    };
    let good = sign(payload.clone(), 2);
    let mut wrong_type = good.clone();
    wrong_type["payloadType"] = json!("application/json");
    let mut edited = good.clone();
    let text = String::from_utf8(payload.clone()).unwrap();
    edited["payload"] = sign(text.replace("\"p1\"", "\"p9\"").into_bytes(), 2)["payload"].clone();
    let mut unsigned = good.clone();
    unsigned["signatures"] = json!([]);
    let mut false_name = sign(payload.clone(), 5);
    false_name["signatures"][0]["keyid"] = good["signatures"][0]["keyid"].clone();
    for (name, envelope) in [
        ("another key", sign(payload.clone(), 5)),
        ("another type", wrong_type),
        ("edited", edited),
        ("unsigned", unsigned),
        ("a false name", false_name),
    ] {
        place.write("e.json", &envelope.to_string());
        let said = place.run(
            "record evidence --release r --envelope e.json --log-key log.pem",
            5,
        );
        assert!(said.contains("e.json"), "{name}: {said}");
        assert_eq!(
            fs::read(place.path("r/log.jsonl")).unwrap(),
            before,
            "{name}"
        );
    }
    place.write("e.json", &good.to_string());
    let line = "record evidence --release r --envelope e.json --log-key log.pem --now 2026-01-01T00:05:00Z";
    place.run(line, 0);
    assert!(place.run(line, 0).contains("there already"));
    // One of two: it is recorded, and is not enough.
    place.run(
        "check --release r --to publish --artifacts files --now 2026-01-01T00:06:00Z",
        3,
    );
}

#[test]
fn a04_what_is_signed_is_the_encoding_of_the_specification() {
    let bytes = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(
        bytes,
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn a64_a_time_before_the_last_entry_is_refused() {
    let place = Place::built();
    place.run(
        "check --release r --to publish --artifacts files --now 2025-01-01T00:00:00Z",
        5,
    );
    place.run("promote --release r --to publish --artifacts files --log-key log.pem --now 2025-01-01T00:00:00Z", 5);
}

/// A block step's input is only input; the signature counts. Without a key there is no approval.
#[test]
fn a72_a_block_click_is_no_approval() {
    let place = Place::built();
    let line = "record approve --release r --stage publish --item go --by somebody";
    let said = place.run(line, 2);
    assert!(said.contains("FORKPACK_SIGNING_KEY"), "{said}");
    // A key of the wrong role would not count, and is told so.
    place.run(
        &format!("{line} --key ci.pem --log-key log.pem --now 2026-01-01T00:04:00Z"),
        2,
    );
    place.run(
        "check --release r --to publish --artifacts files --now 2026-01-01T00:05:00Z",
        3,
    );
    // Keys from the environment, as a step of a pipeline has them.
    let mut command = place.command(&format!("{line} --now 2026-01-01T00:06:00Z"));
    command.env(
        "FORKPACK_SIGNING_KEY",
        fs::read(place.path("p1.pem"))
            .map(|b| String::from_utf8(b).unwrap())
            .unwrap(),
    );
    command.env(
        "FORKPACK_LOG_KEY",
        fs::read_to_string(place.path("log.pem")).unwrap(),
    );
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = place.run(
        "check --release r --to publish --artifacts files --now 2026-01-01T00:07:00Z",
        3,
    );
    assert!(said.contains("1 of 2"), "{said}");
}

#[test]
fn a73_nothing_needs_a_network() {
    let place = Place::built();
    // Every practice, then what reads and repeats it: decisions again, pages, obligations.
    let script = format!(
        "{BINARY} practice --output out >/dev/null || exit 1; for one in out/*/release; do \
           {BINARY} audit --release $one >/dev/null || exit 1; \
           {BINARY} announcement --release $one >/dev/null || exit 1; \
           {BINARY} obligations --release $one >/dev/null; [ $? = 0 -o $? = 3 ] || exit 1; done; \
         {BINARY} info-page --release out/*/release --out pages >/dev/null || exit 1"
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", &script])
        .current_dir(place.directory.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare") => {
            assert!(
                std::env::var_os("CI").is_none(),
                "no namespaces: {output:?}"
            );
            eprintln!("NOT TESTED: without a network, because namespaces are forbidden here");
        }
        other => panic!("{other:?}"),
    }
}

fn gpg(place: &Place, arguments: &[&str]) -> Option<std::process::Output> {
    Command::new("gpg")
        .args([
            "--homedir",
            "gpg",
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ])
        .args(arguments)
        .current_dir(place.directory.path())
        .output()
        .ok()
}

#[test]
fn a47_t7_only_what_was_signed_is_a_list_of_checksums() {
    let place = Place::with_keys(&["later"]);
    fs::create_dir(place.path("gpg")).unwrap();
    let generated = gpg(
        &place,
        &[
            "--quick-generate-key",
            "release@example.org",
            "ed25519",
            "sign",
            "never",
        ],
    );
    if !generated.is_some_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "GnuPG is missing: scripts/install-deps installs it"
        );
        eprintln!("NOT TESTED: lists of checksums, because there is no GnuPG");
        return;
    }
    gpg(
        &place,
        &[
            "--armor",
            "--output",
            "release.asc",
            "--export",
            "release@example.org",
        ],
    )
    .unwrap();
    place.run("keys --role ci=ci.pub --role ci=release.asc --role partners=p1.pub --role partners=p2.pub --log log.pub --policy policy.toml --output keys.toml", 0);
    place.run("open --release r --id r1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T00:00:00Z", 0);
    place.run("record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem", 0);
    let sum = Command::new("sha256sum")
        .arg("a.bin")
        .current_dir(place.path("files"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let signed = |text: &str| {
        place.write("list", text);
        gpg(&place, &["--clearsign", "--output", "CHECKSUM.asc", "list"]).unwrap();
        fs::read_to_string(place.path("CHECKSUM.asc")).unwrap()
    };
    let record = |text: &str, code: i32| {
        place.write("CHECKSUM.asc", text);
        place.run(
            "record checksums --release r --file CHECKSUM.asc --key ci.pem --log-key log.pem",
            code,
        )
    };
    let good = signed(&sum);
    let other = sum.replace("a.bin", "b.bin");
    record(&good.replace("a.bin", "a.bim"), 5);
    record(&format!("{other}{good}"), 5);
    record(&format!("{good}{other}"), 5);
    let said = record(&signed(&other), 5);
    assert!(said.contains("`a.bin` is not in it"), "{said}");
    let said = record(&signed("d41d8cd98f00b204e9800998ecf8427e  a.bin\n"), 5);
    assert!(said.contains("no SHA-256"), "{said}");
    let said = record(&signed(&format!("{}  a.bin\n", "0".repeat(64))), 5);
    assert!(said.contains("another sum"), "{said}");
    record(&good, 0);
    // A key that nobody listed.
    gpg(
        &place,
        &[
            "--quick-generate-key",
            "other@example.org",
            "ed25519",
            "sign",
            "never",
        ],
    )
    .unwrap();
    place.write("list", &sum);
    gpg(
        &place,
        &[
            "--clearsign",
            "--local-user",
            "other@example.org",
            "--output",
            "CHECKSUM.asc",
            "list",
        ],
    )
    .unwrap();
    let stranger = fs::read_to_string(place.path("CHECKSUM.asc")).unwrap();
    record(&stranger, 5);
}

#[test]
fn a_release_is_opened_once_and_only_with_its_keys() {
    let place = Place::opened();
    let open = "open --release r --id r1 --policy policy.toml --keys keys.toml --log-key log.pem";
    place.run(open, 2);
    place.run(
        &open
            .replace("--release r ", "--release s ")
            .replace("log.pem", "ci.pem"),
        2,
    );
    place.run(
        &open
            .replace("--release r ", "--release s ")
            .replace("--id r1", "--id ../x"),
        2,
    );
    // Other bytes under a key's name.
    let keys = fs::read_to_string(place.path("keys.toml")).unwrap();
    let stranger = fs::read_to_string(place.path("stranger.pub")).unwrap();
    let own = fs::read_to_string(place.path("ci.pub")).unwrap();
    place.write("forged.toml", &keys.replace(own.trim(), stranger.trim()));
    let said = place.run(
        &open
            .replace("--release r ", "--release s ")
            .replace("keys.toml", "forged.toml"),
        5,
    );
    assert!(said.contains("the key under"), "{said}");
    place.run("keys --role ci=ci.pub --log log.pub --output keys.toml", 2);
}

#[test]
fn a_report_counts_for_its_artifact_and_as_far_as_it_was_run() {
    let place = Place::built();
    let digest = release_policy::Digest::of(b"the artifact").hex();
    let report = |sha256: &str, outcome: &str| {
        let failed = usize::from(outcome == "failed");
        json!({"format": "forkpack.report", "version": 1, "subject": {"kind": "deb", "sha256": sha256}, "candidate_sha256": "0", "failed": failed,
            "checks": [{"id": "daemon.accounts", "outcome": outcome}, {"id": "package.dpkg", "outcome": "not-run"}]})
        .to_string()
    };
    let record = |text: &str, more: &str, code: i32| {
        place.write("report.json", text);
        place.run(&format!("record test --release r --suite account-sample --report report.json --stage publish --key ci.pem --log-key log.pem{more}"), code)
    };
    record(&report(&"0".repeat(64), "passed"), "", 4);
    record(&report(&digest, "not-run"), "", 5);
    let said = record(&report(&digest, "passed"), " --check package.*", 5);
    assert!(said.contains("`package.*` was not run"), "{said}");
    record("{}", "", 5);
    record(&report(&digest, "passed"), " --check daemon.accounts", 0);
    record(&report(&digest, "failed"), "", 0);
    let status = place.json("status --release r");
    let facts: Vec<&str> = status["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        facts,
        [
            "test `account-sample` passed",
            "test `account-sample` failed"
        ]
    );
}

#[test]
fn a_manifest_is_of_artifacts_that_sign_release_has_seen() {
    let place = Place::opened();
    let envelope = |bytes: &[u8], seed: u8| {
        let subject = fork_sign::Subject::new("a.bin", release_policy::Digest::of(bytes).hex());
        let type_ = "https://github.com/forkpack/forkpack/manifest/v1";
        let statement = fork_sign::Statement::new(type_, vec![subject], json!({})).unwrap();
        let mut envelope = Envelope::new(statement.to_payload().unwrap());
        envelope
            .sign(&SecretKey::from_seed(&[seed; 32]).unwrap())
            .unwrap();
        fs::write(place.path("signed.json"), envelope.to_json().unwrap()).unwrap();
    };
    let line = "record manifest --release r --manifest manifest.toml --artifacts files --signed signed.json --key ci.pem --log-key log.pem";
    envelope(b"the artifact", 2);
    // A key of another role than the one that signs manifests.
    place.run(line, 5);
    envelope(b"another", 1);
    let said = place.run(line, 4);
    assert!(said.contains("artifact `a.bin`"), "{said}");
    envelope(b"the artifact", 1);
    place.run(line, 0);
    // A digest that is given has to be right.
    let text = fs::read_to_string(place.path("manifest.toml")).unwrap();
    place.write(
        "manifest.toml",
        &format!("{text}digest = \"sha256:{}\"\n", "0".repeat(64)),
    );
    place.run(line, 4);
}
