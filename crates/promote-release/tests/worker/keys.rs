//! Keys that have ended, and keys nobody listed.

use std::fs;
use std::process::{Command, Output};

use crate::place::Place;

/// A place whose keys end at noon: `ends` names their files.
fn ending(ends: &[&str]) -> Place {
    let place = Place::with_keys(&["later"]);
    let mut line = "keys --role ci=ci.pub --role partners=p1.pub --role partners=p2.pub --log log.pub --policy policy.toml --output keys.toml".to_owned();
    for end in ends {
        line.push_str(&format!(" --expires {end}=2026-01-01T12:00:00Z"));
    }
    place.run(&line, 0);
    place.run("open --release r --id r1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T00:00:00Z", 0);
    place.run("record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem --now 2026-01-01T00:01:00Z", 0);
    place
}

fn approve(who: &str, time: &str) -> String {
    format!(
        "record approve --release r --stage publish --item go --by {who} --key {who}.pem --log-key log.pem --now 2026-01-01T{time}Z"
    )
}

#[test]
fn a47_the_word_of_an_ed25519_key_ends_when_its_file_says() {
    let place = ending(&["p1.pub"]);
    let before = fs::read(place.path("r/log.jsonl")).unwrap();
    // The last second counts, the next does not; nothing is recorded.
    for time in ["12:00:00", "12:00:01", "23:00:00"] {
        let said = place.run(&approve("p1", time), 5);
        assert!(
            said.contains("whose word ended at 2026-01-01T12:00:00Z"),
            "{said}"
        );
    }
    assert_eq!(fs::read(place.path("r/log.jsonl")).unwrap(), before);
    // Nor by hand of somebody else: what was signed in time is recorded too late.
    place.run(
        &format!("{} --sign-only early.json", approve("p1", "11:00:00")),
        0,
    );
    let record =
        "record evidence --release r --envelope early.json --log-key log.pem --now 2026-01-01T";
    let said = place.run(&format!("{record}12:30:00Z"), 5);
    assert!(said.contains("early.json"), "{said}");
    place.run(&format!("{record}11:59:59Z"), 0);
    place.run(&approve("p2", "13:00:00"), 0);
    // What was recorded in time counts for ever, and is audited at its own time.
    for (point, minute) in [("enter", 1), ("exit", 2)] {
        place.run(&format!("promote --release r --to build --on {point} --artifacts files --log-key log.pem --now 2026-01-01T13:0{minute}:00Z"), 0);
    }
    place.run(
        "check --release r --to publish --artifacts files --now 2027-01-01T00:00:00Z",
        0,
    );
    place.run("audit --release r", 0);
    place.run("keys --role ci=ci.pub --log log.pub --expires p1.pub=2026-01-01T12:00:00Z --output other.toml", 2);
    place.run(
        "keys --role ci=ci.pub --log log.pub --expires ci.pub=tomorrow --output other.toml",
        2,
    );
}

#[test]
fn a47_a_key_that_has_ended_signs_no_record_and_no_effect_is_done() {
    let place = ending(&["log.pub"]);
    place.write("effects.toml", "[executor.suite]\nrun = [\"touch\", \"done\"]\ncheck = [\"test\", \"-e\", \"done\"]\n[executor.tag]\nrun = [\"touch\", \"done\"]\ncheck = [\"test\", \"-e\", \"done\"]\n");
    for (point, minute) in [("enter", 2), ("exit", 3)] {
        place.run(&format!("promote --release r --to build --on {point} --artifacts files --log-key log.pem --now 2026-01-01T00:0{minute}:00Z"), 0);
    }
    for who in ["p1", "p2"] {
        place.run(&approve(who, "00:05:00"), 0);
    }
    let line = "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml --now 2026-01-01T";
    let said = place.run(&format!("{line}12:00:00Z"), 5);
    assert!(said.contains("its word ended at"), "{said}");
    assert!(!place.path("done").exists());
    place.run(&format!("{line}11:59:59Z"), 0);
    place.run("audit --release r", 0);
    // A log that somebody went on with by that key does not hold.
    place.run("open --release s --id s1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T12:00:00Z", 5);
    place.run("open --release s --id s1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T11:00:00Z", 0);
}

fn gpg(place: &Place, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("gpg");
    command
        .args([
            "--homedir",
            "gpg",
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
        ])
        .args(["--passphrase", ""])
        .args(arguments)
        .current_dir(place.directory.path());
    command.output().ok()
}

/// An OpenPGP key has an end of its own.
#[test]
fn a47_t7_checksums_by_a_key_that_has_expired_are_refused() {
    let place = Place::with_keys(&["later"]);
    fs::create_dir(place.path("gpg")).unwrap();
    // Made on the first of January, good for ten days.
    let made = gpg(
        &place,
        &[
            "--faked-system-time",
            "20260101T000000!",
            "--quick-generate-key",
            "release@example.org",
            "ed25519",
            "sign",
            "10d",
        ],
    );
    if !made.is_some_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "GnuPG is missing: scripts/install-deps installs it"
        );
        eprintln!("NOT TESTED: expired keys, because there is no GnuPG");
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
    let sum = release_policy::Digest::of(b"the artifact").hex();
    place.write("list", &format!("{sum}  a.bin\n"));
    let signed = gpg(
        &place,
        &[
            "--faked-system-time",
            "20260102T000000!",
            "--clearsign",
            "--output",
            "CHECKSUM.asc",
            "list",
        ],
    )
    .unwrap();
    assert!(
        signed.status.success(),
        "{}",
        String::from_utf8_lossy(&signed.stderr)
    );
    let open = |name: &str, more: &str| {
        place.run(&format!("keys --role ci=ci.pub --role ci=release.asc --role partners=p1.pub --role partners=p2.pub --log log.pub --policy policy.toml --output {name}.toml{more}"), 0);
        place.run(&format!("open --release {name} --id {name} --policy policy.toml --keys {name}.toml --log-key log.pem --now 2026-01-01T01:00:00Z"), 0);
        place.run(&format!("record manifest --release {name} --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem --now 2026-01-01T01:01:00Z"), 0);
    };
    open("own", "");
    let record = |name: &str, day: u32, code: i32| {
        place.run(&format!("record checksums --release {name} --file CHECKSUM.asc --key ci.pem --log-key log.pem --now 2026-01-{day:02}T12:00:00Z"), code)
    };
    let said = record("own", 12, 5);
    assert!(said.contains("expired"), "{said}");
    record("own", 5, 0);
    // The file of keys may end it before that.
    open("ours", " --expires release.asc=2026-01-04T00:00:00Z");
    let said = record("ours", 5, 5);
    assert!(
        said.contains("whose word ended at 2026-01-04T00:00:00Z"),
        "{said}"
    );
    record("ours", 3, 0);
    for name in ["own", "ours"] {
        place.run(&format!("audit --release {name}"), 0);
    }
}
