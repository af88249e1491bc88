//! Every fault of a daemon in every phase of a capture.
//!
//! A case is one fault of one request. The first run meets it: it ends with the exit code of the
//! fault, and nothing unverified is stored. The second run meets no fault: everything is stored, once
//! and verified. With a second daemon that is well, the first run alone stores everything.

use crate::support::{Rig, seeds};

/// The requests of a capture, in their order.
const PHASES: [&str; 5] = [
    "daemonStatus",
    "runtimeConfig",
    "bestChain",
    "protocolState",
    "fork_config",
];

/// Exit code of the run that meets the fault: the light requests of the small world have a few
/// hundred bytes, an export has about 70 thousand.
struct Case {
    name: &'static str,
    action: &'static str,
    /// For the light requests, and for the export.
    codes: [&'static [i32]; 2],
}

const CASES: [Case; 19] = [
    Case {
        name: "reset before the header",
        action: "\"reset-before-header\"",
        codes: [&[6], &[6]],
    },
    Case {
        name: "reset at byte 0",
        action: "{ reset = { after = 0 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "reset at byte 17",
        action: "{ reset = { after = 17 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "reset in the middle of the accounts",
        action: "{ reset = { after = 30000 } }",
        // A light answer is over by then.
        codes: [&[0], &[6]],
    },
    Case {
        name: "killed",
        action: "{ kill = { after = 20 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "stall at byte 0",
        action: "{ stall = { after = 0 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "stall in the middle",
        action: "{ stall = { after = 40 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "truncated at once",
        action: "{ truncate = { after = 0 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "truncated in the middle",
        action: "{ truncate = { after = 33 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "corrupted at the start",
        // `{` becomes `z`.
        action: "{ corrupt = { at = 0, mask = 1 } }",
        codes: [&[5], &[5]],
    },
    Case {
        name: "HTTP 500",
        action: "{ status = { code = 500 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "HTTP 429",
        action: "{ status = { code = 429, retry_after = 1 } }",
        codes: [&[6], &[6]],
    },
    Case {
        name: "HTTP 413",
        action: "{ status = { code = 413 } }",
        codes: [&[5], &[5]],
    },
    Case {
        name: "null",
        action: "\"null-data\"",
        codes: [&[3], &[3]],
    },
    Case {
        name: "bootstrapping, as current daemons say it",
        action: "{ graphql-errors = {} }",
        codes: [&[3], &[3]],
    },
    Case {
        name: "another GraphQL error",
        action: "{ graphql-errors = { message = \"out of memory\" } }",
        codes: [&[5], &[5]],
    },
    Case {
        name: "error inside data",
        action: "{ error-in-data = {} }",
        // In the place of a status or a chain it is malformed; what says nothing about a daemon that
        // bootstraps is bad input.
        codes: [&[3, 5], &[3]],
    },
    Case {
        name: "no JSON",
        action: "\"not-json\"",
        codes: [&[5], &[5]],
    },
    Case {
        name: "a slow line",
        action: "{ slow = { bytes_per_second = 400000 } }",
        codes: [&[0], &[0]],
    },
];

fn script(operation: &str, action: &str, nth: u32) -> String {
    format!("[[fault]]\noperation = \"{operation}\"\nfrom = {nth}\naction = {action}\n")
}

#[test]
fn every_fault_in_every_phase_with_one_daemon() {
    for phase in PHASES {
        for case in &CASES {
            let what = format!("{} while asked for {phase}", case.name);
            let rig = Rig::new(1, 1011);
            rig.faults(0, &script(phase, case.action, 1));
            // A runtime config that is not there yet is no failure: the slots are known already.
            let is_pending_config = phase == "runtimeConfig" && case.codes[0].contains(&3);
            let codes: &[i32] = match (phase, is_pending_config) {
                ("fork_config", _) => case.codes[1],
                (_, true) => &[0],
                _ => case.codes[0],
            };
            rig.once().ends(codes, &what);
            let stored = rig.stored();
            assert!(stored.is_subset(&rig.offered()), "{what}");
            assert!(
                rig.daemons[0]
                    .requests()
                    .iter()
                    .any(|log| log.fault.is_some()),
                "{what}"
            );
            rig.heal();
            rig.finish(2, &what);
            rig.assert_complete(&what);
            assert!(rig.daemons[0].concurrent_heavy_max() <= 1, "{what}");
        }
    }
}

#[test]
fn a_daemon_that_is_well_makes_up_for_one_that_is_not() {
    for case in &CASES {
        // Every request of the first daemon fails; the second offers the same blocks.
        let what = format!("{} at every export of one daemon", case.name);
        let rig = Rig::new(2, 1007);
        let script = format!(
            "[[fault]]\noperation = \"fork_config\"\ncount = 1000\naction = {}\n",
            case.action
        );
        rig.faults(0, &script);
        rig.once().ends(&[0], &what);
        rig.assert_complete(&what);
    }
}

/// Well-formed answers that say something wrong.
#[test]
fn a_lying_answer_is_refused_kept_aside_and_reported() {
    // One digit of a balance: the JSON stays well-formed.
    let export = Rig::new(1, 1007).export(0);
    let name = b"\"balance\":\"";
    let balance = export.windows(name.len()).position(|window| window == name);
    let digit = balance.unwrap() + name.len();
    let corrupt = format!("{{ corrupt = {{ at = {digit}, mask = 1 }} }}");
    for (name, operation, action, needle) in [
        (
            "one balance changed",
            "fork_config",
            "\"wrong-ledger\"",
            "root of the genesis ledger",
        ),
        (
            "another block's ledgers",
            "fork_config",
            "\"wrong-block\"",
            "state",
        ),
        (
            "another block's state",
            "protocolState",
            "\"wrong-block\"",
            "state",
        ),
        (
            "a bit turned over",
            "fork_config",
            &corrupt,
            "root of the genesis ledger",
        ),
    ] {
        let rig = Rig::new(1, 1007);
        rig.faults(0, &script(operation, action, 2));
        let ran = rig.once().ends(&[4, 5], name);
        assert_eq!(rig.stored().len(), rig.offered().len() - 1, "{name}");
        assert!(
            ran.stderr.contains("refused the answer of daemon a"),
            "{name}\n{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(needle), "{name}\n{}", ran.stderr);
        let kept: Vec<_> = std::fs::read_dir(rig.path("work/refused"))
            .unwrap()
            .collect();
        assert_eq!(kept.len(), 1, "{name}");
        let kept = kept[0].as_ref().unwrap().path();
        assert!(kept.join("refusal.json").is_file(), "{name}");
        assert!(kept.join("fork_config.json").is_file(), "{name}");
        let listed = rig.list(&["--format", "json"]).ends(&[0], name);
        assert!(
            listed.stdout.contains("\"refus"),
            "{name}\n{}",
            listed.stdout
        );
        // The truth is stored as soon as somebody tells it.
        rig.finish(1, name);
        rig.assert_complete(name);
    }
}

#[test]
fn refused_bodies_do_not_fill_the_disk() {
    let rig = Rig::new(1, 1007);
    rig.faults(
        0,
        "[[fault]]\noperation = \"fork_config\"\ncount = 1000\naction = \"wrong-ledger\"\n",
    );
    for _ in 0..3 {
        rig.once().ends(&[4], "lies");
    }
    let with_body = std::fs::read_dir(rig.path("work/refused"))
        .unwrap()
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.join("fork_config.json").is_file()
        })
        .count();
    // Four blocks, one lie of each: the same lie again is the same refusal.
    assert_eq!(with_body, 4);
    assert!(rig.stored().is_empty());
    rig.faults(0, "");
    rig.finish(1, "the truth");
    rig.assert_complete("the truth");
}

#[test]
fn a_skewed_clock_neither_closes_the_window_nor_opens_it() {
    let scenario = include_str!("skewed.toml");
    let scenario = stub_daemon::Scenario::from_toml(scenario).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = stub_daemon::World::build(&scenario, cache.path()).unwrap();
    let world = std::sync::Arc::new(world);
    for slot in [1005, 1007, 1012] {
        let rig = Rig::of(std::sync::Arc::clone(&world), 3, slot);
        rig.once().ends(&[0], "skewed");
        rig.assert_complete("skewed");
    }
}

/// Random fault scripts for both daemons at once.
#[test]
fn random_faults() {
    for seed in seeds(120) {
        let rig = Rig::new(2, 1009);
        let limits = stub_daemon::FaultLimits::default();
        for (index, daemon) in rig.daemons.iter().enumerate() {
            let faults = stub_daemon::Faults::random(seed * 2 + index as u64, 6, &limits);
            daemon.set_faults(faults);
        }
        let what = format!("FORKPACK_SEED={seed}");
        for run in 0..40 {
            let ran = rig.once().ends(&[0, 3, 4, 5, 6], &what);
            assert!(rig.stored().is_subset(&rig.offered()), "{what}");
            rig.heal();
            if ran.code == Some(0) && rig.stored() == rig.offered() {
                break;
            }
            assert!(run < 39, "{what}: {}\n{}", ran.stdout, ran.stderr);
        }
        rig.assert_complete(&what);
        for daemon in &rig.daemons {
            assert!(daemon.concurrent_heavy_max() <= 1, "{what}");
        }
    }
}
