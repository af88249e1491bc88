//! Random sequences of commands against a model of a few lines: nobody comes to a stage without its
//! gates, and time alone never helps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::place::{Place, copy, temporary};

/// What somebody does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Builds the other artifact in the place of the one that is there.
    Build,
    /// Records a manifest over what is there.
    Manifest,
    Enter(&'static str),
    Exit(&'static str),
    /// A partner agrees, or somebody who is none.
    Approve(&'static str),
    /// An attempt at the build is recorded as failed.
    Fail,
    /// Time passes, in hours.
    Wait(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = prop_oneof![
        1 => Just(Act::Build),
        2 => Just(Act::Manifest),
        4 => Just(Act::Enter("build")),
        4 => Just(Act::Exit("build")),
        4 => Just(Act::Enter("publish")),
        1 => Just(Act::Exit("publish")),
        3 => Just(Act::Approve("p1")),
        3 => Just(Act::Approve("p2")),
        1 => Just(Act::Approve("ci")),
        1 => Just(Act::Fail),
        1 => (1_u32..30_000).prop_map(Act::Wait),
    ];
    // Most of them begin well, so that the later stages are reached often enough.
    let well = [
        Act::Manifest,
        Act::Enter("build"),
        Act::Exit("build"),
        Act::Approve("p1"),
        Act::Approve("p2"),
    ];
    (0..=well.len(), prop::collection::vec(one, 6..14)).prop_map(move |(begin, mut rest)| {
        rest.splice(0..0, well[..begin].to_vec());
        rest
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Open,
    Passed,
    Failed,
}

/// What the rules of the tiny process say, written once more in another way.
#[derive(Default)]
struct Model {
    /// The artifact that is there, 0 or 1.
    disk: usize,
    /// Artifacts of the manifests that were recorded, oldest first.
    manifests: Vec<usize>,
    /// Each stage's only attempt: how it stands, and the manifest it is of.
    stages: BTreeMap<&'static str, (Stand, usize)>,
    /// Partners by the artifact they agreed to.
    agreed: BTreeSet<(usize, &'static str)>,
    published: bool,
}

impl Model {
    /// The exit code there must be, and what then is so.
    fn expect(&mut self, act: Act) -> i32 {
        let Some(&current) = self.manifests.last() else {
            return match act {
                Act::Manifest => {
                    self.manifests.push(self.disk);
                    0
                }
                Act::Build => {
                    self.disk = 1 - self.disk;
                    0
                }
                Act::Wait(_) => 0,
                // There is nothing to be about yet.
                Act::Approve(_) | Act::Fail => 2,
                Act::Enter(_) | Act::Exit(_) => 5,
            };
        };
        let number = self.manifests.len() - 1;
        match act {
            Act::Build => self.disk = 1 - self.disk,
            Act::Wait(_) => {}
            Act::Manifest => {
                // The same statement is the same fact.
                if !self.manifests.contains(&self.disk) {
                    self.manifests.push(self.disk);
                }
            }
            // No rule asks for the word of machines there.
            Act::Approve("ci") => return 2,
            Act::Approve(who) => {
                self.agreed.insert((current, who));
            }
            Act::Fail => {
                if let Some((stand, _)) = self.stages.get_mut("build") {
                    *stand = Stand::Failed;
                }
            }
            Act::Enter(stage) => {
                match self.stages.get(stage) {
                    Some((Stand::Open | Stand::Passed, of)) if *of == number => return 0,
                    Some(_) => return 4,
                    None => {}
                }
                let ready = stage == "build"
                    || self.stages.get("build").is_some_and(|(stand, of)| {
                        *stand == Stand::Passed && self.manifests[*of] == current
                    });
                if !ready || self.disk != current {
                    return 4;
                }
                let both = ["p1", "p2"]
                    .iter()
                    .all(|who| self.agreed.contains(&(current, who)));
                if stage == "publish" && !both {
                    return 3;
                }
                self.stages.insert(stage, (Stand::Open, number));
                self.published |= stage == "publish";
            }
            Act::Exit(stage) => match self.stages.get_mut(stage) {
                Some((Stand::Passed, of)) if *of == number => return 0,
                Some((stand @ Stand::Open, of))
                    if self.manifests[*of] == current && self.disk == current =>
                {
                    (*stand, *of) = (Stand::Passed, number);
                }
                _ => return 4,
            },
        }
        0
    }
}

const ARTIFACTS: [&str; 2] = ["the artifact", "another one!"];

fn line(act: Act) -> Option<String> {
    Some(match act {
        Act::Build | Act::Wait(_) => return None,
        Act::Manifest => "record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem".to_owned(),
        Act::Enter(stage) => format!("promote --release r --to {stage} --artifacts files --log-key log.pem --effects effects.toml"),
        Act::Exit(stage) => format!("promote --release r --to {stage} --on exit --artifacts files --log-key log.pem --effects effects.toml"),
        Act::Approve(who) => format!("record approve --release r --stage publish --item go --by {who} --key {who}.pem --log-key log.pem"),
        Act::Fail => "record fail --release r --stage build --cause x --key ci.pem --log-key log.pem".to_owned(),
    })
}

fn time(hours: u32, step: usize) -> String {
    let base: release_policy::Time = "2026-01-01T01:00:00Z".parse().unwrap();
    let span = format!("{}s", u64::from(hours) * 3600 + step as u64 * 60 + 1);
    base.plus(span.parse().unwrap()).to_string()
}

#[test]
fn no_sequence_of_commands_reaches_a_stage_without_its_gates() {
    let template = Place::opened();
    let program = "echo $1 $2 >> journal";
    let mut effects = String::new();
    for executor in ["suite", "tag", "announce"] {
        effects.push_str(&format!("[executor.{executor}]\nrun = [\"sh\", \"-c\", {program:?}, \"sh\", \"{executor}\", \"{{target}}\"]\ncheck = [\"grep\", \"-qsx\", \"{executor} {{target}}\", \"journal\"]\n"));
    }
    template.write("effects.toml", &effects);
    let mut runner = TestRunner::deterministic();
    let (mut reached, mut waited) = (0, 0);
    for round in 0..60 {
        let sequence = acts().new_tree(&mut runner).unwrap().current();
        let place = Place {
            directory: temporary(),
        };
        copy(template.directory.path(), place.directory.path());
        let mut model = Model::default();
        let mut hours = 0;
        for (step, act) in sequence.iter().enumerate() {
            match act {
                Act::Wait(more) => hours += more,
                Act::Build => place.write("files/a.bin", ARTIFACTS[1 - model.disk]),
                _ => {}
            }
            let done = &sequence[..=step];
            let expected = model.expect(*act);
            if let Some(line) = line(*act) {
                let output = place.output(&format!("{line} --now {}", time(hours, step)));
                assert_eq!(
                    output.status.code(),
                    Some(expected),
                    "round {round}: {done:?}\n{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            // Nothing is done before it is allowed, and what is done is done once.
            let journal = fs::read_to_string(place.path("journal")).unwrap_or_default();
            let wanted = if model.published {
                "suite stable\ntag 1.0.0\nannounce list\n"
            } else {
                ""
            };
            assert_eq!(journal, wanted, "round {round}: {done:?}");
        }
        reached += usize::from(model.published);
        place.run("audit --release r", 0);
        if model.manifests.is_empty() {
            continue;
        }
        // What is not allowed now is not allowed by waiting.
        for (stage, point) in [
            ("build", "enter"),
            ("build", "exit"),
            ("publish", "enter"),
            ("publish", "exit"),
        ] {
            let ask = |later: u32| {
                let line = format!(
                    "check --release r --to {stage} --on {point} --artifacts files --now {}",
                    time(hours + later, sequence.len())
                );
                place.output(&line).status.code()
            };
            let now = ask(0);
            if now != Some(0) {
                waited += 1;
                assert_eq!(
                    ask(90_000),
                    now,
                    "round {round}: {point} {stage}: {sequence:?}"
                );
            }
        }
    }
    assert!(
        reached >= 8 && waited > 60,
        "{reached} were published, {waited} waited"
    );
}

/// Every process, stopped before a fact that was still to come: if the next question is not answered with
/// ALLOW then, it is not a week later, nor in ten years.
#[test]
fn time_makes_no_allow_from_missing_facts() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/practice");
    let mut points = Vec::new();
    for entry in fs::read_dir(scripts).unwrap() {
        let path = entry.unwrap().path();
        let script: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let steps = script["steps"].as_array().unwrap();
        for (at, step) in steps.iter().enumerate().skip(2) {
            let Some(fact) = step["name"].as_str() else {
                continue;
            };
            let ask = steps[at..].iter().find(|one| one.get("ask").is_some());
            let Some(ask) = ask else { continue };
            let question = format!(
                "--to {} --on {}",
                ask["ask"].as_str().unwrap(),
                ask["point"].as_str().unwrap()
            );
            points.push((name.clone(), fact.to_owned(), question));
        }
    }
    points.sort();
    assert!(points.len() > 150, "{}", points.len());
    let place = Place::with_keys(&[]);
    let mut runner = TestRunner::deterministic();
    let mut refused = 0;
    for _ in 0..60 {
        let index = any::<prop::sample::Index>()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let (name, fact, question) = index.get(&points);
        place.run(
            &format!("practice {name} --before {fact} --output out --force"),
            0,
        );
        let release = format!("out/{name}/release");
        let text = fs::read_to_string(place.path(&format!("{release}/log.jsonl"))).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let last: release_policy::Time = last["at"].as_str().unwrap().parse().unwrap();
        let ask = |hours: u32| {
            let now = if hours == 0 {
                last
            } else {
                last.plus(format!("{hours}h").parse().unwrap())
            };
            place
                .output(&format!("check --release {release} {question} --artifacts out/{name}/artifacts --now {now}"))
                .status
                .code()
        };
        let now = ask(0);
        if now == Some(0) {
            continue;
        }
        refused += 1;
        for later in [168, 87_600] {
            assert_ne!(
                ask(later),
                Some(0),
                "{name} before {fact}, {question}, {later} h later"
            );
        }
    }
    assert!(refused > 40, "{refused}");
}
