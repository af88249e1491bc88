//! What a capture does when nothing goes wrong.

use std::sync::Arc;

use crate::support::{Ran, Rig, binary};

#[test]
fn every_block_of_the_window_on_every_branch_is_stored_once() {
    let rig = Rig::new(2, 1009);
    let ran = rig.once().ends(&[0], "once");
    assert_eq!(rig.offered().len(), 6, "{}", ran.stdout);
    rig.assert_complete("once");
    for daemon in &rig.daemons {
        assert!(daemon.concurrent_heavy_max() <= 1);
    }
    // Nobody is asked twice for anything.
    let asked: usize = rig
        .daemons
        .iter()
        .map(|daemon| daemon.request_count("fork_config"))
        .sum();
    assert_eq!(asked, 6);
    // The second run has nothing to do, whatever happened on the chain since.
    rig.clock.set(1018);
    let ran = rig.once().ends(&[0], "again");
    assert!(ran.stdout.contains("0 now, 6 before"), "{}", ran.stdout);
    let asked: usize = rig
        .daemons
        .iter()
        .map(|daemon| daemon.request_count("fork_config"))
        .sum();
    assert_eq!(asked, 6);
}

/// Not in sync yet: nothing is stored, nobody is asked for an export, and the exit code says to wait.
#[test]
fn a_daemon_that_bootstraps_is_waited_for() {
    let scenario = stub_daemon::Scenario::from_toml(include_str!("bootstrap.toml")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = Arc::new(stub_daemon::World::build(&scenario, cache.path()).unwrap());
    for daemon in 0..2 {
        let rig = Rig::of_one(Arc::clone(&world), daemon, 1005);
        let ran = rig.once().ends(&[3], "bootstrapping");
        assert!(
            ran.stdout.contains("no daemon is in sync"),
            "{}",
            ran.stdout
        );
        assert_eq!(rig.daemons[0].request_count("fork_config"), 0);
        assert!(rig.stored().is_empty());
        // Catching up it has a chain, if an old one; then it is in sync.
        for slot in [1006, 1008] {
            rig.clock.set(slot);
            rig.once().ends(&[0, 3], "catching up");
        }
        assert_eq!(rig.stored().len(), 4);
        rig.list(&["--check"]).ends(&[0], "list");
    }
}

/// The exit codes of `select`, and that nothing is written without a choice.
#[test]
fn select_waits_refuses_and_is_overruled() {
    let rig = Rig::new(2, 1009);
    rig.once().ends(&[0], "capture");
    let select = |more: &[&str]| {
        let mut arguments = vec!["select", "--network", "network.toml", "--store", "store"];
        arguments.extend(["--output", "chosen"]);
        arguments.extend(more);
        let mut command = rig.command(&binary("dump-candidates"), &arguments);
        Ran::of(command.output().unwrap())
    };
    let ran = select(&[]).ends(&[3], "before the end of transactions");
    assert!(ran.stderr.contains("not reached"), "{}", ran.stderr);
    rig.clock.set(1012);
    rig.once().ends(&[0], "capture");
    select(&["--confirmations", "1"]).ends(&[3], "before the end of the chain");
    rig.clock.set(1020);
    rig.once().ends(&[0], "capture");
    let ran = select(&["--confirmations", "99"]).ends(&[4], "for good");
    assert!(ran.stderr.contains("of 99 confirmations"), "{}", ran.stderr);
    select(&["--confirmations", "7", "--quorum", "3"]).ends(&[4], "no quorum");
    assert!(!rig.path("chosen").exists());
    // A human takes a block of the side branch.
    let side = rig.world.block_in_slot("side", 1009).unwrap();
    let side = rig.world.blocks()[side].facts.state_hash.to_string();
    select(&["--state-hash", &side]).ends(&[0], "override");
    let candidate = std::fs::read_to_string(rig.path("chosen/candidate.json")).unwrap();
    assert!(
        candidate.contains("\"by\": \"human-override\""),
        "{candidate}"
    );
    let selection = std::fs::read_to_string(rig.path("chosen/selection.json")).unwrap();
    assert!(!selection.contains("\"problems\": []"), "{selection}");
}

/// The pipeline for a human's choice, on one machine: it shows what was captured and waits; with the
/// answer it goes on to the end, and every document says that a human chose against the rule.
#[test]
fn a_human_chooses_the_fork_block_in_a_pipeline() {
    let rig = Rig::new(2, 1009);
    for slot in [1009, 1012, 1020] {
        rig.clock.set(slot);
        rig.once().ends(&[0], "capture");
    }
    let write = |name: &str, text: &str| {
        let path = rig.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("prefork.json", &rig.world.prefork_config().to_string());
    write(
        "base/var/lib/dpkg/status",
        "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n",
    );
    write("base/var/lib/dpkg/arch", "amd64\n");
    std::fs::create_dir_all(rig.path("base/var/lib/dpkg/info")).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline/choose.yml");
    let run = |more: &[&str]| {
        let mut line = vec!["--plain", "--file", file];
        for variable in [
            "NETWORK=./network.toml",
            "CANDIDATE_STORE=./store",
            "CONFIRMATIONS=7",
            "PREFORK_CONFIG=./prefork.json",
            "VERSION=4.0.0",
            "GIT_HASH=abcdef01",
            "SEED_LIST_URL=https://example.org/seeds.txt",
            "BASE_IMAGE=rootfs:base",
        ] {
            line.extend(["--env", variable]);
        }
        line.extend(more);
        let mut command = rig.command(&binary("run-pipeline"), &line);
        command.env("RUN_PIPELINE_STATE", rig.path("groups"));
        Ran::of(command.output().unwrap())
    };
    let waits = run(&[]).ends(&[3], "without an answer");
    assert!(
        waits.stderr.contains("--answer choose:fork-reason=VALUE"),
        "{}",
        waits.stderr
    );
    assert!(rig.path("out/artifacts/candidates/branches.html").exists());
    let ran = run(&["--resume", "--unblock", "choose"]).ends(&[2], "without a reason");
    assert!(ran.stderr.contains("fork-reason"), "{}", ran.stderr);
    let read = |path: &str| std::fs::read_to_string(rig.path("out").join(path)).unwrap();
    let shown = read("annotations/candidates.md");
    let chosen = rig.world.block_in_slot("main", 1007).unwrap();
    let chosen = rig.world.blocks()[chosen].facts.state_hash;
    assert!(
        shown.contains(&format!("| chosen | 707 | 1007 | {chosen} |")),
        "{shown}"
    );

    let side = rig.world.block_in_slot("side", 1009).unwrap();
    let side = rig.world.blocks()[side].facts.state_hash.to_string();
    let answer = format!("choose:fork-state-hash={side}");
    let reason = "choose:fork-reason=decided on the call; `x` <b>";
    let ran = run(&["--resume", "--answer", &answer, "--answer", reason]).ends(&[0], "answered");
    assert!(ran.stderr.contains("[candidates] kept"), "{}", ran.stderr);
    let candidate = read("artifacts/import/candidate/candidate.json");
    assert!(
        candidate.contains(&side) && candidate.contains("\"human-override\""),
        "{candidate}"
    );
    let manifest = read("artifacts/manifest/manifest/manifest.json");
    assert!(
        manifest.contains("chosen by a human, against the rule"),
        "{manifest}"
    );
    let screen = read("artifacts/facts/facts/facts.txt");
    assert!(screen.contains("human"), "{screen}");
    // The decision stands on the build's page, as a block of text.
    let note = read("annotations/start.md");
    assert!(
        note.contains(&format!(
            "    fork block  {side}\n    reason      decided on the call; `x` <b>\n"
        )),
        "{note}"
    );
}
