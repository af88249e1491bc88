//! The pipeline for promotions, run on one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::place::{BINARY, Place};

/// Programs that write a line each; a step has a directory of its own, so they name the journal whole.
fn effects(place: &Place) {
    let journal = place.path("journal");
    let journal = journal.to_str().unwrap();
    let mut text = String::new();
    for executor in ["suite", "tag", "announce"] {
        let line = format!("\"{executor}\", \"{{target}}\", {journal:?}");
        text.push_str(&format!(
            "[executor.{executor}]\nrun = [\"sh\", \"-c\", 'echo $1 $2 >>\"$3\"', \"sh\", {line}]\n\
             check = [\"sh\", \"-c\", 'grep -qx \"$1 $2\" \"$3\"', \"sh\", {line}]\n"
        ));
    }
    place.write("effects.toml", &text);
}

fn run(place: &Place, who: &str, minute: u32, more: &[&str]) -> Output {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipeline/promote.yml");
    let workers = PathBuf::from(BINARY);
    let mut command = Command::new(workers.parent().unwrap().join("run-pipeline"));
    command
        .current_dir(place.directory.path())
        .env("RUN_PIPELINE_STATE", place.path("groups"))
        .env_remove("FORKPACK_SIGNING_KEY")
        .env_remove("FORKPACK_LOG_KEY")
        .args(["--plain", "--file"])
        .arg(file)
        .args(["--output", &format!("out-{who}")]);
    for variable in [
        "RELEASE=./r".to_owned(),
        "STAGE=publish".to_owned(),
        "ARTIFACTS=./files".to_owned(),
        "ITEM=go".to_owned(),
        format!("APPROVER_KEY_FILE=./{who}.pem"),
        "LOG_KEY_FILE=./log.pem".to_owned(),
        "EFFECTS_FILE=./effects.toml".to_owned(),
        "EXPECT_POLICY=./policy.toml".to_owned(),
        format!("NOW=2026-01-01T00:{minute:02}:00Z"),
    ] {
        command.args(["--env", &variable]);
    }
    command.args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A whole promotion: nobody is promoted by a click; one of two partners is not enough; with the second one
/// the effects are carried out, once.
#[test]
fn a_promotion_runs_in_its_pipeline() {
    let place = Place::built();
    effects(&place);
    let answer = |who: &str, minute: u32, verdict: &str| {
        let name = format!("approve:approved-by=A. {who} <b>");
        let verdict = format!("approve:verdict={verdict}");
        let more = ["--resume", "--answer", &name, "--answer", &verdict];
        run(&place, who, minute, &more)
    };
    for (who, minute, code) in [("p1", 10, 3), ("p2", 20, 0)] {
        // Pending, and it waits for a person.
        let waits = run(&place, who, minute, &[]);
        assert_eq!(waits.status.code(), Some(3), "{}", said(&waits));
        assert!(said(&waits).contains("PEND"), "{}", said(&waits));
        assert!(!place.path("journal").exists());
        let done = answer(who, minute, "approved");
        assert_eq!(done.status.code(), Some(code), "{}", said(&done));
    }
    let journal = fs::read_to_string(place.path("journal")).unwrap();
    assert_eq!(journal.lines().count(), 3, "{journal}");
    let pages = place.path("out-p2/artifacts/promote/pages");
    let names = fs::read_dir(&pages).unwrap().map(|one| one.unwrap().path());
    let texts: Vec<String> = names
        .filter(|path| path.extension().is_some_and(|end| end == "html"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let named = |name: &str| texts.iter().any(|page| page.contains(name));
    assert!(named("A. p1 &lt;b&gt;") && named("A. p2 &lt;b&gt;") && !named("A. p1 <b>"));
    let note = fs::read_to_string(place.path("out-p1/annotations/check.md")).unwrap();
    assert!(note.contains("T&#45;02") || note.contains("T-02"), "{note}");
    // Asking again changes nothing.
    let log = fs::read(place.path("r/log.jsonl")).unwrap();
    let line = "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml --now 2026-01-01T00:30:00Z";
    place.run(line, 0);
    assert_eq!(fs::read(place.path("r/log.jsonl")).unwrap(), log);
    assert_eq!(fs::read_to_string(place.path("journal")).unwrap(), journal);

    // Whoever says no stops it, and is in the record.
    let place = Place::built();
    effects(&place);
    run(&place, "p1", 10, &[]);
    let more = [
        "--answer",
        "approve:approved-by=P",
        "--answer",
        "approve:verdict=rejected",
    ];
    let no = run(&place, "p1", 10, &[&["--resume"][..], &more].concat());
    assert_eq!(no.status.code(), Some(4), "{}", said(&no));
    assert!(
        fs::read_to_string(place.path("r/log.jsonl"))
            .unwrap()
            .lines()
            .count()
            > 4
    );
    assert!(!place.path("journal").exists());
}

/// A build that is started again goes on where a program failed: its first step says that it was allowed.
#[test]
fn a_build_goes_on_where_an_effect_failed() {
    let place = Place::built();
    place.approve("p1", 4);
    place.write(
        "effects.toml",
        "[executor.suite]\nrun = [\"false\"]\ncheck = [\"false\"]\n[executor.tag]\nrun = [\"false\"]\ncheck = [\"false\"]\n",
    );
    let build = |minute: u32| {
        let waits = run(&place, "p2", minute, &[]);
        let answers = ["approve:approved-by=B", "approve:verdict=approved"];
        let more = ["--resume", "--answer", answers[0], "--answer", answers[1]];
        (waits, run(&place, "p2", minute, &more))
    };
    let (_, failed) = build(10);
    assert_eq!(failed.status.code(), Some(6), "{}", said(&failed));
    effects(&place);
    fs::remove_dir_all(place.path("out-p2")).unwrap();
    let (waits, done) = build(20);
    assert_eq!(waits.status.code(), Some(3), "{}", said(&waits));
    assert!(said(&waits).contains("allowed already"), "{}", said(&waits));
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let journal = fs::read_to_string(place.path("journal")).unwrap();
    assert_eq!(journal.lines().count(), 3, "{journal}");
}
