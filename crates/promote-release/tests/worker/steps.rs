//! The steps of the promotion's pipeline file, as an agent would get them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

fn pipeline() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipeline/promote.yml");
    yaml_serde::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn commands(step: &Value) -> Vec<String> {
    match &step["command"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a step names a thing anywhere but in its key.
fn mentions(step: &Value, text: &str) -> bool {
    step.to_string().contains(text)
}

#[test]
fn a72_pending_fails_no_build_and_a_click_is_only_input() {
    let pipeline = pipeline();
    let steps = pipeline["steps"].as_array().unwrap();
    let step = |key: &str| steps.iter().find(|step| step["key"] == key).unwrap();
    let keys: Vec<&str> = steps
        .iter()
        .map(|step| step["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["check", "approve", "record", "promote"]);

    // PEND, and nothing else, is soft: a refusal, a bad record and a usage error fail the build.
    for key in ["check", "promote"] {
        assert_eq!(step(key)["soft_fail"], json!([{"exit_status": 3}]), "{key}");
    }
    assert_eq!(step("record").get("soft_fail"), None);
    let check = commands(step("check"));
    let asks: Vec<&String> = check
        .iter()
        .filter(|line| line.contains("promote-release"))
        .collect();
    assert_eq!(asks.len(), 1);
    assert!(asks[0].starts_with("promote-release check "), "{asks:?}");
    // Only what has an end code of its own is tried again.
    for retry in step("check")["retry"]["automatic"].as_array().unwrap() {
        assert!(![0, 2, 3, 4, 5].contains(&retry["exit_status"].as_i64().unwrap()));
    }

    // The block runs nothing and says nothing but what two fields say.
    let block = step("approve");
    assert!(block.get("block").is_some() && block.get("command").is_none());
    let fields: Vec<&str> = block["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["key"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["approved-by", "verdict"]);
    // They are read by one step, which makes a signed fact of them; the gate is asked after it.
    for field in fields {
        let readers: Vec<&str> = steps
            .iter()
            .filter(|step| {
                commands(step)
                    .iter()
                    .any(|line| line.contains(&format!("meta-data get {field}")))
            })
            .map(|step| step["key"].as_str().unwrap())
            .collect();
        assert_eq!(readers, ["record"], "{field}");
    }
    let record = commands(step("record"));
    let signs = record
        .iter()
        .find(|line| line.contains("promote-release record approve"))
        .unwrap();
    for option in [
        "--by \"$$by\"",
        "--verdict \"$$verdict\"",
        "--key \"$$APPROVER_KEY_FILE\"",
    ] {
        assert!(signs.contains(option), "{signs}");
    }
    assert_eq!(step("record")["depends_on"], "approve");
    assert_eq!(step("promote")["depends_on"], "record");
    let promotes = steps.iter().filter(|step| {
        commands(step)
            .iter()
            .any(|line| line.starts_with("promote-release promote "))
    });
    assert_eq!(promotes.count(), 1);
    // No agent sleeps through a soak.
    assert!(
        steps
            .iter()
            .all(|step| commands(step).iter().all(|line| !line.contains("sleep")))
    );
}

/// Keys are files on the agents that sign; their text is in no variable, and nobody who builds gets one.
#[test]
fn a72_no_key_is_in_the_environment_of_a_build_job() {
    let pipeline = pipeline();
    let steps = pipeline["steps"].as_array().unwrap();
    for variable in ["FORKPACK_SIGNING_KEY", "FORKPACK_LOG_KEY"] {
        assert!(!pipeline.to_string().contains(variable), "{variable}");
    }
    let secrets = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["KEY", "SECRET", "TOKEN", "PASSWORD", "PEM"]
            .iter()
            .any(|word| name.contains(word))
    };
    let environments =
        std::iter::once(&pipeline["env"]).chain(steps.iter().map(|step| &step["env"]));
    for (name, value) in environments.filter_map(Value::as_object).flatten() {
        // The file of public keys is no secret.
        if secrets(name) && name != "EXPECT_KEYS" {
            // A path that somebody gives, never the key.
            assert!(name.ends_with("_FILE"), "{name}");
            assert!(
                value.as_str().unwrap().starts_with(&format!("${{{name}")),
                "{name}: {value}"
            );
        }
    }
    // Whoever only asks uses no key.
    let check = steps.iter().find(|step| step["key"] == "check").unwrap();
    assert!(!mentions(check, "KEY_FILE"), "{check}");
    for step in steps.iter().filter(|step| mentions(step, "--key ")) {
        assert_eq!(step["key"], "record");
    }
    // The pipeline that builds knows nothing of the keys of a promotion.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipeline/pipeline.yml");
    let build = fs::read_to_string(path).unwrap();
    for name in [
        "APPROVER_KEY",
        "LOG_KEY",
        "FORKPACK_LOG_KEY",
        "promote-release",
    ] {
        assert!(!build.contains(name), "{name}");
    }
}
