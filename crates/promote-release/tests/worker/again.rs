//! Commands that are given again: after something failed, and after something was undone.

use std::fs;

use crate::place::Place;

const PROMOTE: &str =
    "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml";
const CHECK: &str = "check --release r --to publish --artifacts files";

/// Programs that leave a mark and a line in a journal.
fn effects(place: &Place, executors: &[&str]) {
    let mut text = String::new();
    for executor in executors {
        text.push_str(&format!(
            "[executor.{executor}]\nrun = [\"sh\", \"-c\", \"touch mark-$1; echo $1 >> journal\", \"sh\", \"{executor}\"]\ncheck = [\"test\", \"-e\", \"mark-{executor}\"]\n"
        ));
    }
    place.write("effects.toml", &text);
}

fn agreed() -> Place {
    let place = Place::built();
    place.approve("p1", 4);
    place.approve("p2", 5);
    place
}

/// A build that is started again begins with `check`; what was allowed is not refused there, and nothing
/// tells anybody to give the attempt up.
#[test]
fn what_was_allowed_is_answered_so_again() {
    let place = agreed();
    place.write("effects.toml", "[executor.suite]\nrun = [\"false\"]\ncheck = [\"false\"]\n[executor.tag]\nrun = [\"true\"]\ncheck = [\"true\"]\n");
    place.run(PROMOTE, 6);
    let said = place.run(CHECK, 0);
    assert!(said.contains("allowed already"), "{said}");
    assert!(said.contains("to do suite stable"), "{said}");
    let json = place.json(CHECK);
    assert_eq!(
        (&json["verdict"], &json["already"]),
        (&"ALLOW".into(), &true.into())
    );
    assert_eq!(json["to_do"].as_array().unwrap().len(), 3);
    // A further attempt is another question, and a failure is not the way on.
    let said = place.run(&format!("{CHECK} --again"), 4);
    assert!(said.contains("`promote` does what is left"), "{said}");
    assert!(!said.contains("record why it failed"), "{said}");
    effects(&place, &["suite", "tag"]);
    place.run(PROMOTE, 0);
    let json = place.json(CHECK);
    assert!(json["to_do"].is_null(), "{json}");
    place.run(&PROMOTE.replace("publish", "publish --on exit"), 0);
    place.run(&format!("{CHECK} --on exit"), 0);
    place.run(CHECK, 0);
}

/// Files that effects wrote are part of what an audit compares, and of what another `promote` looks at.
#[test]
fn what_was_done_is_looked_at_again() {
    let place = agreed();
    effects(&place, &["suite", "tag"]);
    place.run(PROMOTE, 0);
    place.run("audit --release r", 0);
    let log = fs::read(place.path("r/log.jsonl")).unwrap();
    place.run(PROMOTE, 0);
    assert_eq!(
        fs::read(place.path("r/log.jsonl")).unwrap(),
        log,
        "all is well"
    );
    let news = place.path("r/effects/announce/list.md");
    for undo in ["deleted", "edited"] {
        if undo == "deleted" {
            fs::remove_file(&news).unwrap();
        } else {
            fs::write(&news, "Nothing was released.\n").unwrap();
        }
        let said = place.run("audit --release r", 4);
        assert!(said.contains("list.md"), "{undo}: {said}");
        let said = place.run(PROMOTE, 0);
        assert!(
            said.contains("announce list: was not so any more"),
            "{undo}: {said}"
        );
        assert!(
            fs::read_to_string(&news).unwrap().contains("a.bin"),
            "{undo}"
        );
        place.run("audit --release r", 0);
    }
    // Programs are asked, and what they find undone is done again.
    fs::remove_file(place.path("mark-suite")).unwrap();
    let said = place.run(PROMOTE, 0);
    assert!(said.contains("suite stable: was not so any more"), "{said}");
    let journal = fs::read_to_string(place.path("journal")).unwrap();
    assert_eq!(journal, "suite\ntag\nsuite\n");
    // Without them nobody can look, and it says so.
    let said = place.run(
        "promote --release r --to publish --artifacts files --log-key log.pem",
        0,
    );
    assert!(
        said.contains("nobody is named who could look again"),
        "{said}"
    );
    place.run("audit --release r", 0);
}

/// A message that went out stays out: it is told that it is missing, and it is not sent twice.
#[test]
fn a_message_is_not_sent_twice() {
    let place = agreed();
    effects(&place, &["suite", "tag", "announce"]);
    place.run(PROMOTE, 0);
    fs::remove_file(place.path("mark-announce")).unwrap();
    let said = place.run(PROMOTE, 6);
    assert!(said.contains("not sent twice"), "{said}");
    let journal = fs::read_to_string(place.path("journal")).unwrap();
    assert_eq!(journal, "suite\ntag\nannounce\n");
}

/// An older log is as good as a newer one, but what was signed since then lies beside it.
#[test]
fn facts_that_no_entry_names_tell_of_a_record_that_was_put_back() {
    let place = Place::built();
    let older = ["log.jsonl", "log.head.intoto.json"]
        .map(|name| fs::read(place.path("r").join(name)).unwrap());
    let end = place.json("status --release r")["log"]
        .as_str()
        .unwrap()
        .to_owned();
    place.approve("p1", 4);
    let newer = place.json("status --release r")["log"]
        .as_str()
        .unwrap()
        .to_owned();
    for digest in [&end, &newer] {
        place.run(&format!("audit --release r --seen {digest}"), 0);
    }
    for (name, bytes) in ["log.jsonl", "log.head.intoto.json"].iter().zip(older) {
        fs::write(place.path("r").join(name), bytes).unwrap();
    }
    let said = place.run("audit --release r", 4);
    assert!(said.contains("no entry names it"), "{said}");
    // Even without them, whoever kept an end finds out.
    for one in fs::read_dir(place.path("r/evidence")).unwrap() {
        let path = one.unwrap().path();
        let text = fs::read_to_string(place.path("r/log.jsonl")).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !text.contains(name.trim_end_matches(".intoto.json")) {
            fs::remove_file(path).unwrap();
        }
    }
    place.run("audit --release r", 0);
    place.run(&format!("audit --release r --seen {end}"), 0);
    let said = place.run(&format!("audit --release r --seen {newer}"), 4);
    assert!(said.contains("taken back"), "{said}");
    // What nobody signed is nothing.
    place.write("r/evidence/notes.txt", "x");
    let said = place.run("audit --release r", 0);
    assert!(said.contains("note "), "{said}");
}
