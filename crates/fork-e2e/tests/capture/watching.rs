//! A capture that runs until the chain ends: reorganisations, restarts, alarms, metrics.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::{Rig, WINDOW};

/// A capture in the background and its lines on stderr.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watching {
    fn start(rig: &Rig, more: &[&str]) -> Self {
        let mut child = rig.capture(more).stdout(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line with `needle` in it.
    #[track_caller]
    fn line(&mut self, needle: &str) -> String {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(needle) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with `{needle}`:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits for the end.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.lines.try_iter());
        (code, stdout, self.seen.join("\n"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_whole_fork_from_the_window_to_the_end_of_the_chain() {
    let rig = Rig::new(2, 1000);
    let mut watching = Watching::start(&rig, &["--alarm-slots", "30"]);
    // Nothing is in the window yet; from 1004 on every slot brings a block.
    for slot in 1004..=1007 {
        rig.clock.set(slot);
        watching.line(&format!("slot={slot} "));
    }
    // b leaves for the side branch, and is killed there and comes back.
    rig.clock.set(1008);
    watching.line("slot=1008 ");
    rig.daemons[1].kill();
    rig.clock.set(1009);
    watching.line("ALARM daemon-silent: daemon b");
    rig.daemons[1].restart();
    watching.line("slot=1009 ");
    // The chain goes on, empty, and b comes back to the main branch.
    rig.clock.set(1016);
    rig.clock.set(1021);
    let (code, stdout, stderr) = watching.end();
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("6 now, 0 before"), "{stdout}");
    rig.assert_complete("whole fork");
    for daemon in &rig.daemons {
        assert!(daemon.concurrent_heavy_max() <= 1);
    }
    // What it saw is enough to choose.
    let mut select = rig.command(
        &crate::support::binary("dump-candidates"),
        &[
            "select",
            "--network",
            "network.toml",
            "--store",
            "store",
            "--output",
            "chosen",
            "--confirmations",
            "7",
        ],
    );
    let output = crate::support::Ran::of(select.output().unwrap()).ends(&[0], "select");
    let index = rig.world.block_in_slot("main", 1007).unwrap();
    let fork_block = rig.world.blocks()[index].facts.state_hash.to_string();
    assert!(output.stdout.contains(&fork_block), "{}", output.stdout);
    let candidate = std::fs::read_to_string(rig.path("chosen/candidate.json")).unwrap();
    assert!(candidate.contains(&fork_block));
    assert!(candidate.contains("\"by\": \"rule\""), "{candidate}");
}

#[test]
fn alarms_come_and_go_and_are_metrics() {
    let rig = Rig::new(1, 1004);
    let mut watching = Watching::start(&rig, &["--alarm-slots", "2", "--metrics", "127.0.0.1:0"]);
    let line = watching.line("metrics at ");
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    watching.line("slot=1004 ");
    // Side blocks are b's; for a, nothing comes after 1007.
    rig.clock.set(1007);
    watching.line("slot=1007 ");
    rig.clock.set(1009);
    crate::support::until("four are stored", || {
        scrape(address).contains("forkpack_capture_candidates 4")
    });
    let text = scrape(address);
    assert!(
        text.contains("forkpack_capture_daemon_up{daemon=\"a\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("forkpack_capture_alarms{kind=\"daemon-silent\"} 0"),
        "{text}"
    );
    rig.daemons[0].kill();
    watching.line("ALARM daemon-silent: daemon a");
    crate::support::until("the metrics say it", || {
        let text = scrape(address);
        text.contains("alarms{kind=\"daemon-silent\"} 1")
            && text.contains("daemon_up{daemon=\"a\"} 0")
    });
    rig.daemons[0].restart();
    watching.line("alarm over: daemon-silent: daemon a");
    rig.clock.set(1021);
    let (code, stdout, stderr) = watching.end();
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
}

fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn no_new_candidate_for_some_slots_is_an_alarm_with_an_exit_code() {
    let scenario = stub_daemon::Scenario::from_toml(include_str!("quiet.toml")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = stub_daemon::World::build(&scenario, cache.path()).unwrap();
    let rig = Rig::of(std::sync::Arc::new(world), 1, 1005);
    let mut watching = Watching::start(&rig, &["--alarm-slots", "2", "--exit-on-alarm"]);
    watching.line("slot=1005 ");
    rig.clock.set(1008);
    watching.line("ALARM no-new-candidate");
    let (code, _, stderr) = watching.end();
    assert_eq!(code, Some(3), "{stderr}");
    assert_eq!(rig.stored().len(), usize::try_from(WINDOW).unwrap() - 4);
}

#[test]
fn a_daemon_on_a_chain_of_its_own_is_an_alarm_with_an_exit_code() {
    let scenario = stub_daemon::Scenario::from_toml(include_str!("split.toml")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = stub_daemon::World::build(&scenario, cache.path()).unwrap();
    let rig = Rig::of(std::sync::Arc::new(world), 3, 1009);
    let ran = rig.once().ends(&[4], "split");
    assert!(
        ran.stderr.contains("ALARM disagreement: daemon c"),
        "{}",
        ran.stderr
    );
    // Its blocks are stored all the same: nobody knows yet who is right.
    rig.stored();
    assert_eq!(rig.stored(), rig.offered());
}

#[test]
fn interrupted_it_leaves_nothing_half_written() {
    let rig = Rig::new(1, 1007);
    rig.faults(
        0,
        "[[fault]]\noperation = \"fork_config\"\nfrom = 2\naction = { stall = { after = 5000 } }\n",
    );
    let watching = Watching::start(&rig, &["--idle-timeout", "60"]);
    crate::support::until("the second export stalls", || {
        rig.daemons[0].request_count("fork_config") == 2
    });
    let id = watching.child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let (code, _, stderr) = watching.end();
    assert_eq!(code, Some(130), "{stderr}");
    rig.heal();
    rig.faults(0, "");
    rig.finish(1, "after an interrupt");
    rig.assert_complete("after an interrupt");
}
