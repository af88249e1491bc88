//! What the processes end in: policies that are read, exceptions on the page, networks that are retired,
//! postmortems; and facts that are of something else.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::Place;

const POLICIES: [&str; 5] = [
    "splice-sv-bugfix",
    "optimism-train",
    "mithril-release",
    "spacemesh-cycle",
    "mina-hardfork",
];

#[test]
fn a01_five_policies_are_good_and_what_is_unknown_is_told_with_its_line() {
    let place = Place::with_keys(&[]);
    place.run(&format!("lint {}", POLICIES.join(" ")), 0);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    for name in POLICIES {
        let text = fs::read_to_string(directory.join(format!("{name}.toml"))).unwrap();
        for (from, to, what) in [
            (
                "schema = 1\n",
                "schema = 1\nsoon = true\n",
                "unknown field `soon`",
            ),
            (
                "[[gate]]\n",
                "[[gate]]\nsoon = true\n",
                "unknown field `soon`",
            ),
            ("\nstage = \"", "\nstage = \"x-", "unknown stage `x-"),
            ("\nsigned_by = \"", "\nsigned_by = \"x-", "unknown role `x-"),
            ("\nkind = \"", "\nkind = \"x-", "unknown variant `x-"),
        ] {
            assert!(text.contains(from), "{name}: {from}");
            let broken = text.replacen(from, to, 1);
            place.write("broken.toml", &broken);
            let said = place.run("lint ./broken.toml", 5);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(what), "{name}: {said}");
            let (_, line) = said
                .split_once(": line ")
                .unwrap_or_else(|| panic!("{said}"));
            let line: usize = line.split(':').next().unwrap().parse().unwrap();
            assert!((1..=broken.lines().count()).contains(&line), "{said}");
        }
    }
}

/// A command some of whose arguments have blanks.
fn run(place: &Place, line: &str, rest: &[&str], code: i32) -> String {
    let output = place.command(line).args(rest).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line} {rest:?}\n{said}");
    said
}

#[test]
fn a17_a61_what_is_waived_stands_on_the_page() {
    let place = Place::with_keys(&[]);
    place.run("practice mina-hardfork --before packaged --output out", 0);
    let release = "--release out/mina-hardfork/release";
    let key = |role: &str| format!("--key out/mina-hardfork/keys/{role}.pem");
    let log = "--log-key out/mina-hardfork/keys/log-0.pem --now 2026-05-01T07:00:00Z";
    let late = "{\"name\": \"package_ready\", \"time\": \"2026-05-01T06:00:01Z\"}";
    run(
        &place,
        &format!(
            "record observe {release} --stage package --kind moment {} {log} --data",
            key("ci-0")
        ),
        &[late],
        0,
    );
    let raw = place.path("out/mina-hardfork/raw-of-the-practice");
    fs::create_dir(&raw).unwrap();
    let script: Value =
        serde_json::from_str(include_str!("../../practice/mina-hardfork.json")).unwrap();
    for (file, name) in [("config", "config.json"), ("facts", "fork-facts.json")] {
        let path = raw.join(name);
        fs::write(&path, script["files"][file].as_str().unwrap()).unwrap();
        run(
            &place,
            &format!(
                "record document {release} --type config --name {name} {} {log} --file",
                key("ci-0")
            ),
            &[path.to_str().unwrap()],
            0,
        );
    }
    let promote = format!(
        "promote {release} --to package --on exit --artifacts out/mina-hardfork/artifacts {log}"
    );
    let said = place.run(&promote, 4);
    assert!(said.contains("H-01") && said.contains("6 h 1 s"), "{said}");
    let waive =
        format!("record waive {release} --gate H-01 --expires 2026-06-01T00:00:00Z {log} --reason");
    // One partner is not enough, nor is somebody else.
    for keys in [
        vec![key("partners-0")],
        vec![key("release_team-0"), key("ci-0")],
    ] {
        let keys = keys.join(" ");
        run(
            &place,
            &format!("{} {keys} --reason", waive.trim_end_matches(" --reason")),
            &["a slow <disk>", "--risk", "none & nothing"],
            0,
        );
        place.run(&promote, 4);
    }
    let before = place.json(&format!("status {release}"));
    assert!(
        before["waivers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["used"] == false)
    );
    let both = format!("{} {}", key("partners-0"), key("partners-1"));
    run(
        &place,
        &format!("{} {both} --reason", waive.trim_end_matches(" --reason")),
        &["a slow <disk>", "--risk", "none & nothing"],
        0,
    );
    let said = place.run(&promote, 0);
    assert!(said.contains("H-01 waived"), "{said}");
    place.run(&format!("info-page {release} --out pages"), 0);
    let page = fs::read_to_string(place.path("pages/mina-hardfork.html")).unwrap();
    for text in [
        "H-01",
        "a slow &lt;disk&gt;",
        "none &amp; nothing",
        "2026-06-01T00:00:00Z",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let text: Value =
        serde_json::from_slice(&fs::read(place.path("pages/mina-hardfork.json")).unwrap()).unwrap();
    let used = text["waivers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["used"] == true);
    assert!(used.count() >= 1);
    place.run(&format!("announcement {release}"), 0);
    place.run(&format!("audit {release}"), 0);
}

#[test]
fn a59_the_old_network_is_retired_by_whoever_runs_it() {
    let place = Place::with_keys(&[]);
    place.run("practice spacemesh-cycle --before retired --output out", 0);
    let release = "--release out/spacemesh-cycle/release";
    let log = "--log-key out/spacemesh-cycle/keys/log-0.pem --now 2026-02-01T00:00:00Z";
    // It was ordered when the testnet was passed, once, and the order is no proof.
    let order =
        fs::read_to_string(place.path("out/spacemesh-cycle/release/effects/retire/testnet"))
            .unwrap();
    assert!(
        order.contains("before net-1") && order.contains("keep     net-1"),
        "{order}"
    );
    let close = format!(
        "check {release} --to testnet --on close --artifacts out/spacemesh-cycle/artifacts --now 2026-02-01T00:00:00Z"
    );
    place.run(&close, 3);
    let open = || {
        let all = place.json(&format!("obligations {release} --now 2026-02-01T00:00:00Z"));
        let retire = all.as_array().unwrap().iter().find(|one| {
            one["what"]
                .as_str()
                .unwrap()
                .starts_with("retire the old network")
        });
        retire.unwrap().get("done").is_none()
    };
    assert!(open());
    let logs = release_policy::Digest::of(b"logs");
    let retired = |who: &str, nodes: u32, logs: &str, stage: &str| {
        let data = format!("{{\"nodes_running\": {nodes}{logs}}}");
        run(
            &place,
            &format!(
                "record observe {release} --stage {stage} --kind retired --key out/spacemesh-cycle/keys/{who}-0.pem {log} --data"
            ),
            &[&data],
            0,
        );
    };
    let archived = format!(", \"logs\": \"{logs}\"");
    for (who, nodes, logs, stage) in [
        ("ci", 0, archived.as_str(), "testnet"),
        ("operations", 1, archived.as_str(), "testnet"),
        ("operations", 0, "", "testnet"),
        ("operations", 0, archived.as_str(), "devnet"),
    ] {
        retired(who, nodes, logs, stage);
        place.run(&close, 3);
        assert!(open(), "{who} {nodes} {logs} {stage}");
    }
    retired("operations", 0, &archived, "testnet");
    assert!(!open());
    place.run(&close, 0);
    // And seen running again, it is not gone.
    retired("operations", 2, &archived, "testnet");
    place.run(&close, 3);
    assert!(open());
    // A statement is a fact once; this one is of another second.
    let log = log.replace("00:00Z", "00:01Z");
    let data = format!("{{\"nodes_running\": 0{archived}}}");
    run(
        &place,
        &format!(
            "record observe {release} --stage testnet --kind retired --key out/spacemesh-cycle/keys/operations-0.pem {log} --data"
        ),
        &[&data],
        0,
    );
    place.run(
        &format!("promote {release} --to testnet --on close --artifacts out/spacemesh-cycle/artifacts {log}"),
        0,
    );
    place.run(&format!("obligations {release}"), 0);
    assert_eq!(
        place.json(&format!("status {release}"))["standing"],
        "released"
    );
    place.run(&format!("audit {release}"), 0);
}

#[test]
fn a57_a_network_that_stood_still_is_to_be_ended() {
    let place = Place::with_keys(&[]);
    place.run("practice spacemesh-cycle --before layers-1 --output out", 0);
    let release = "--release out/spacemesh-cycle/release";
    let log = "--log-key out/spacemesh-cycle/keys/log-0.pem --now 2026-01-09T00:00:00Z";
    let key = |role: &str| format!("--key out/spacemesh-cycle/keys/{role}-0.pem");
    let still = "{\"samples\": {\"2026-01-02T01:00:00Z\": 10, \"2026-01-05T01:00:00Z\": 500, \"2026-01-08T01:00:00Z\": 500}}";
    run(
        &place,
        &format!(
            "record observe {release} --stage devnet --kind layers {} {log} --data",
            key("ci")
        ),
        &[still],
        0,
    );
    let said = place.run(&format!("promote {release} --to devnet --on exit {log}"), 4);
    assert!(said.contains("P-18"), "{said}");
    let what = "end the network of devnet attempt 1 (P-18)";
    let said = place.run(&format!("obligations {release}"), 3);
    assert!(
        said.contains(&format!("open                         operations: {what}")),
        "{said}"
    );
    assert!(said.contains("write a postmortem (P-26)"), "{said}");
    let data = format!(
        "{{\"nodes_running\": 0, \"logs\": \"{}\"}}",
        release_policy::Digest::of(b"logs")
    );
    run(
        &place,
        &format!(
            "record observe {release} --stage devnet --attempt 1 --kind retired {} {log} --data",
            key("operations")
        ),
        &[&data],
        0,
    );
    let said = place.run(&format!("obligations {release}"), 3);
    assert!(
        !said.contains(&format!("open                         operations: {what}"))
            && said.contains(what),
        "{said}"
    );
    // Taking the line with the failure out of the log is found.
    let path = place.path("out/spacemesh-cycle/release/log.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .rposition(|line| line.contains("\"recorded\""))
        .unwrap();
    let without = [&lines[..at], &lines[at + 1..]].concat().join("\n") + "\n";
    fs::write(&path, without).unwrap();
    place.run(&format!("audit {release}"), 4);
}

#[test]
fn a60_a_postmortem_is_framed_filled_in_and_asked_for() {
    let place = Place::with_keys(&[]);
    place.run(
        "practice spacemesh-cycle-failure --before manifest-2 --output out",
        0,
    );
    let release = "--release out/spacemesh-cycle-failure/release";
    let log = "--log-key out/spacemesh-cycle-failure/keys/log-0.pem --now 2026-01-03T00:00:00Z";
    let owed = || {
        place
            .run(&format!("obligations {release}"), 3)
            .contains("open                         release_manager: write a postmortem (P-26)")
    };
    assert!(owed());
    place.run(&format!("postmortem {release} --output frame.toml"), 0);
    let frame = fs::read_to_string(place.path("frame.toml")).unwrap();
    // What failed, when, and on which network, from the record.
    for text in [
        "devnet attempt 1",
        "P-09: suite `smoke` failed",
        "bootstrap on net-1",
        "test `smoke` failed",
    ] {
        assert!(frame.contains(text), "{text}:\n{frame}");
    }
    let record = |who: &str, text: &str| {
        place.write("postmortem.toml", text);
        place.run(&format!("record document {release} --type postmortem --file postmortem.toml --key out/spacemesh-cycle-failure/keys/{who}-0.pem {log}"), 0);
    };
    // The frame alone is none, nor is half of it, nor the word of somebody else.
    record("release_manager", &frame);
    assert!(owed());
    let filled = frame.replace("\"\"\"\n\"\"\"", "\"\"\"\nwhat there is to say\n\"\"\"");
    assert_eq!(filled.matches("what there is to say").count(), 3);
    record(
        "release_manager",
        &filled.replacen("what there is to say", "", 1),
    );
    assert!(owed());
    record("ci", &filled);
    assert!(owed());
    record("release_manager", &filled);
    let said = place.output(&format!("obligations {release}"));
    assert!(String::from_utf8_lossy(&said.stdout).contains("done 2026-01-03T00:00:00Z"));
    assert!(
        !String::from_utf8_lossy(&said.stdout)
            .contains("open                         release_manager: write")
    );

    // The next release asks for it: without, half, and whole.
    place.run(
        "practice spacemesh-cycle --before previous --output next",
        0,
    );
    let next = "--release next/spacemesh-cycle/release";
    let next_log = "--log-key next/spacemesh-cycle/keys/log-0.pem --now 2026-02-01T00:00:00Z";
    let ended = "{\"ended\": \"failed\"}";
    run(
        &place,
        &format!(
            "record observe {next} --kind previous-network --key next/spacemesh-cycle/keys/ci-0.pem {next_log} --data"
        ),
        &[ended],
        0,
    );
    let check = format!(
        "check {next} --to build --artifacts next/spacemesh-cycle/artifacts --now 2026-02-01T00:00:00Z"
    );
    let said = place.run(&check, 4);
    assert!(said.contains("P-26"), "{said}");
    for (text, code) in [(&frame, 4), (&filled, 0)] {
        place.write("postmortem.toml", text);
        place.run(&format!("record document {next} --type postmortem --file postmortem.toml --key next/spacemesh-cycle/keys/release_manager-0.pem {next_log}"), 0);
        place.run(&check, code);
    }
}

#[test]
fn a66_facts_of_another_release_stage_or_attempt_do_not_count() {
    let place = Place::built();
    place.run("open --release s --id s1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T00:00:00Z", 0);
    place.run("record manifest --release s --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem --now 2026-01-01T00:01:00Z", 0);
    let approve = |release: &str, more: &str| {
        for who in ["p1", "p2"] {
            place.run(&format!("record approve --release {release} --item go --by {who} --key {who}.pem --log-key log.pem --now 2026-01-01T00:05:00Z {more}"), 0);
        }
    };
    let none = |why: &str| {
        let question =
            "check --release r --to publish --artifacts files --now 2026-01-01T00:06:00Z";
        let said = place.run(question, 3);
        assert!(said.contains("0 of 2 signatures"), "{said}");
        let decision = place.json(question);
        let told = decision["not_counted"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["why"] == why);
        assert!(told, "{why}: {decision:#}");
    };
    // Signed for the other release, and handed in here.
    approve("s", "--stage publish --sign-only s.json");
    place.run("record evidence --release r --envelope s.json --log-key log.pem --now 2026-01-01T00:05:00Z", 0);
    none("it is of release `s1`");
    approve("r", "--stage build");
    none("it is of build attempt 1");
    approve("r", "--stage publish --attempt 2");
    none("it is of publish attempt 2");
    // What was agreed to is not what is there now.
    approve("r", "--stage publish");
    place.run(
        "check --release r --to publish --artifacts files --now 2026-01-01T00:06:00Z",
        0,
    );
    place.write("files/a.bin", "built again!");
    place.run("record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem --now 2026-01-01T00:07:00Z", 0);
    let decision =
        place.json("check --release r --to publish --artifacts files --now 2026-01-01T00:08:00Z");
    assert_eq!(decision["verdict"], "DENY");
    let gates = decision["gates"].as_array().unwrap();
    let partners = gates.iter().find(|gate| gate["id"] == "T-02").unwrap();
    assert!(
        partners["found"].as_str().unwrap().contains("0 of 2"),
        "{partners}"
    );
}
