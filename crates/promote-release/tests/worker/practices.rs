//! Every practice, as the demo command walks it.

use std::fs;

use crate::place::Place;

/// Each process from end to end and once into a failure, on built packages and images, with signatures,
/// decisions and effects as in earnest; what the script says must come out. A practice is the same
/// bytes every time.
#[test]
fn a74_every_practice_goes_as_it_is_written() {
    let place = Place::with_keys(&[]);
    let practiced = place.json("practice --output out");
    let practiced = practiced.as_array().unwrap();
    assert_eq!(practiced.len(), 16);
    for policy in [
        "mina-hardfork",
        "mithril-release",
        "optimism-train",
        "spacemesh-cycle",
        "splice-sv-bugfix",
    ] {
        let of = practiced
            .iter()
            .filter(|one| one["policy"] == policy)
            .count();
        assert!(of >= 2, "{policy}: a good end and a bad one");
        // And once by what is done today where that differs: with every option, and not without.
        let name = format!("{policy}-today");
        let today = place.json(&format!("status --release out/{name}/release"));
        let mut used: Vec<&str> = today["policy"]["options"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        let all = place.json(&format!("lint {policy}"));
        let mut known: Vec<&str> = all[0]["options"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        if policy == "optimism-train" {
            // Two ways of the same rule; the board's vote includes the other.
            known.retain(|one| *one != "veto-7d");
        }
        used.sort_unstable();
        known.sort_unstable();
        assert_eq!(used, known, "{policy}");
        assert!(!known.is_empty());
        assert_eq!(
            today["stages"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|stage| stage["attempts"].as_array().unwrap().is_empty())
                .count(),
            0,
            "{policy}"
        );
    }
    place.run(
        "practice mina-hardfork splice-sv-bugfix-failure --output again",
        0,
    );
    for one in practiced {
        let name = one["name"].as_str().unwrap();
        let release = format!("out/{name}/release");
        place.run(&format!("audit --release {release}"), 0);
        let again = place.path(&format!("again/{name}/release/log.jsonl"));
        if again.exists() {
            let log = fs::read(place.path(&format!("{release}/log.jsonl"))).unwrap();
            assert_eq!(log, fs::read(again).unwrap(), "{name}");
        }
        // A practice release goes nowhere without a key of the practice.
        let line = format!(
            "record fail --release {release} --stage publish --cause x --key ci.pem --log-key log.pem"
        );
        assert_ne!(place.output(&line).status.code(), Some(0), "{name}");
    }
    let lines = |name: &str| {
        let one = practiced.iter().find(|one| one["name"] == name).unwrap();
        one["lines"].to_string()
    };
    assert!(lines("splice-sv-bugfix-failure").contains("PEND  enter mainnet"));
    assert!(lines("optimism-train-failure").contains("vetoed"));
    assert!(lines("spacemesh-cycle-failure").contains("ALLOW exit devnet, attempt 2"));
    // Pages follow from the records alone.
    place.run(
        "info-page --release out/mina-hardfork/release out/splice-sv-bugfix/release --out a",
        0,
    );
    place.run(
        "info-page --release out/mina-hardfork/release out/splice-sv-bugfix/release --out b",
        0,
    );
    for name in [
        "index.html",
        "mina-hardfork.html",
        "mina-hardfork.json",
        "splice-sv-bugfix.html",
    ] {
        let page = fs::read(place.path(&format!("a/{name}"))).unwrap();
        assert_eq!(
            page,
            fs::read(place.path(&format!("b/{name}"))).unwrap(),
            "{name}"
        );
    }
    let page = fs::read_to_string(place.path("a/splice-sv-bugfix.html")).unwrap();
    for words in [
        "0.4.19-bugfix.preview",
        "S-19",
        "3 of 4 approve",
        "How to verify",
        "ed25519:",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

/// What the documentation shows is what is printed.
#[test]
fn a74_the_documented_walks_are_the_real_ones() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/release-policies.md"
    );
    let text = fs::read_to_string(path).unwrap();
    let place = Place::with_keys(&[]);
    let practiced = place.json("practice --output out");
    for one in practiced.as_array().unwrap() {
        let name = one["name"].as_str().unwrap();
        let start = format!("(`{name}`):\n\n```text\n");
        let (_, rest) = text
            .split_once(&start)
            .unwrap_or_else(|| panic!("{name} is not shown"));
        let (shown, _) = rest.split_once("```").unwrap();
        let lines = one["lines"].as_array().unwrap().iter();
        let printed: String = lines
            .map(|line| line.as_str().unwrap().to_owned() + "\n")
            .collect();
        assert_eq!(shown, printed, "{name}");
    }
}

/// A release that waits for its partners, led to its end by the commands that a pipeline runs.
#[test]
fn a_practice_that_was_stopped_is_promoted_by_commands() {
    let place = Place::with_keys(&[]);
    place.run("practice mina-hardfork --before partner-1 --output out", 0);
    place.run("practice mina-hardfork --before nothing --output other", 2);
    let release = "--release out/mina-hardfork/release";
    let keys = "out/mina-hardfork/keys";
    let log = format!("--log-key {keys}/log-0.pem");
    let question = format!("{release} --to publish --artifacts out/mina-hardfork/artifacts");
    place.run(&format!("check {question}"), 3);
    for number in 0..2 {
        place.run(&format!("record approve {release} --stage publish --item coordination --by partner-{number} --key {keys}/partners-{number}.pem {log}"), 0);
    }
    place.write("message.txt", "The package is ready.\n");
    let digest = release_policy::Digest::of(b"The package is ready.\n");
    place.write(
        "news.toml",
        &format!("channel = \"forum\"\nmessage = \"{digest}\"\n"),
    );
    let said = place.run(&format!("check {question}"), 3);
    assert!(said.contains("H-09") && !said.contains("H-08 "), "{said}");
    place.run(&format!("record document {release} --type announcement --file news.toml --raw message.txt --key {keys}/release_team-0.pem {log}"), 0);
    place.run(&format!("check {question}"), 0);
    // The suite and the tag need somebody who does it.
    let said = place.run(&format!("promote {question} {log}"), 2);
    assert!(said.contains("suite"), "{said}");
    place.write("effects.toml", "[executor.suite]\nrun = [\"cp\", \"{file:mina.deb}\", \"{target}.deb\"]\ncheck = [\"cmp\", \"{file:mina.deb}\", \"{target}.deb\"]\n[executor.tag]\nrun = [\"sh\", \"-c\", \"printf %s $0 > tag\", \"{digest:mina-image}\"]\ncheck = [\"cat\", \"tag\"]\nexpect = \"{digest:mina-image}\"\n");
    place.run(
        &format!("promote {question} {log} --effects effects.toml"),
        0,
    );
    place.run(&format!("promote {question} {log} --on exit"), 0);
    let status = place.json(&format!("status {release}"));
    assert_eq!(status["standing"], "released");
    assert_eq!(status["actions"].as_array().unwrap().len(), 4);
    assert!(
        status["actions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["done"].is_string())
    );
    assert!(place.path("stable.deb").exists());
    let news =
        fs::read_to_string(place.path("out/mina-hardfork/release/effects/announce/operators.md"));
    assert!(news.unwrap().contains("mina.deb"));
    place.run(&format!("audit {release}"), 0);
    // One wrong byte of the image's layer, and of the package.
    let blobs = place.path("out/mina-hardfork/artifacts/mina-image/blobs/sha256");
    let mut layers: Vec<_> = fs::read_dir(blobs)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    layers.sort_by_key(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]));
    let layer = layers.pop().unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let said = place.run(&format!("check {question} --on exit"), 5);
    assert!(
        said.contains(layer.file_name().unwrap().to_str().unwrap()),
        "{said}"
    );
}

/// From the proposal to the vote, by mails.
#[test]
fn a23_a26_a_proposal_is_whole_and_votes_come_in_mails() {
    let place = Place::with_keys(&[]);
    place.run(
        "practice splice-sv-bugfix --before proposal --output out",
        0,
    );
    let release = "--release out/splice-sv-bugfix/release";
    let keys = "out/splice-sv-bugfix/keys";
    let signed = |role: &str| format!("--key {keys}/{role}-0.pem --log-key {keys}/log-0.pem");
    place.write(
        "roster.toml",
        "[operators]\na = [\"a@example.org\"]\nb = [\"b@example.org\"]\n",
    );
    let roster = release_policy::Digest::of(&fs::read(place.path("roster.toml")).unwrap());
    let proposal = format!(
        "issue = \"i\"\nresolution = \"r\"\nreconcile_release = \"0.4.20\"\nreconcile_notes = \"n\"\nalternative = \"wait\"\nroster = \"{roster}\"\n[diff]\ncommits = [\"{}\"]\n[schedule]\ndevnet = \"2026-03-03T00:00:00Z\"\n[waves]\nmainnet = [[\"a\"]]\n[who.must]\na = \"2026-03-06T00:00:00Z\"\n",
        "0".repeat(39) + "2"
    );
    let before = fs::read(place.path("out/splice-sv-bugfix/release/log.jsonl")).unwrap();
    for section in [
        "issue",
        "resolution",
        "reconcile_release",
        "reconcile_notes",
        "alternative",
    ] {
        let text: String = proposal
            .lines()
            .filter(|line| !line.starts_with(&format!("{section} =")))
            .map(|line| format!("{line}\n"))
            .collect();
        place.write("proposal.toml", &text);
        let said = place.run(
            &format!(
                "open-proposal {release} --file proposal.toml {}",
                signed("maintainer")
            ),
            4,
        );
        assert!(said.contains(&format!("without {section}")), "{said}");
    }
    assert_eq!(
        fs::read(place.path("out/splice-sv-bugfix/release/log.jsonl")).unwrap(),
        before
    );
    place.write("proposal.toml", &proposal);
    place.run(
        &format!(
            "open-proposal {release} --file proposal.toml {}",
            signed("maintainer")
        ),
        0,
    );
    // The roster is kept beside it.
    place.run(
        &format!(
            "record document {release} --type roster --file roster.toml {}",
            signed("maintainer")
        ),
        0,
    );
    let digest = release_policy::Digest::of(proposal.as_bytes());
    for (from, code) in [("a", 0), ("b", 0), ("stranger", 5)] {
        place.write("vote.eml", &format!("From: {from} <{from}@example.org>\nList-Id: <supervalidator-ops.lists.example.org>\nSubject: Re\n\nProposal: {digest}\nVote: APPROVE\n"));
        place.run(
            &format!("record vote {release} --mail vote.eml {}", signed("engine")),
            code,
        );
    }
    let vote = place.json(&format!("status {release}"))["vote"].clone();
    assert_eq!(
        (vote["won"].as_bool(), vote["electorate"].as_u64()),
        (Some(true), Some(2)),
        "{vote}"
    );
    place.run(&format!("audit {release}"), 0);
}

#[test]
fn a28_a59_a60_what_people_owe_is_listed() {
    let place = Place::with_keys(&[]);
    place.run(
        "practice splice-sv-bugfix --before applied-b --output out",
        0,
    );
    let release = "--release out/splice-sv-bugfix/release";
    let said = place.run(
        &format!("obligations {release} --now 2026-03-05T00:00:00Z"),
        3,
    );
    assert!(
        said.contains("done ") && said.contains("open ") && !said.contains("OVERDUE"),
        "{said}"
    );
    let said = place.run(
        &format!("obligations {release} --now 2026-03-07T00:00:00Z"),
        3,
    );
    assert!(
        said.contains("OVERDUE") && said.contains("b: apply the release"),
        "{said}"
    );
    place.run(
        "practice spacemesh-cycle-failure --before manifest-2 --output failed",
        0,
    );
    let release = "--release failed/spacemesh-cycle-failure/release";
    let said = place.run(&format!("obligations {release}"), 3);
    assert!(said.contains("write a postmortem (P-26)"), "{said}");
    place.run(&format!("postmortem {release} --output postmortem.toml"), 0);
    let text = fs::read_to_string(place.path("postmortem.toml")).unwrap();
    assert!(
        text.contains("suite `smoke` failed") && text.contains("bootstrap on net-1"),
        "{text}"
    );
    // The frame says nothing yet, so it passes no gate.
    assert!(
        release_policy::document::sections(&text)
            .unwrap()
            .is_empty()
    );
    let said = place.run(&format!("announcement {release}"), 0);
    assert!(said.contains("1.2.3"), "{said}");
}
