//! The new chain's seed node in a container, from nothing but the image that `package-image` made,
//! verified from outside.
//!
//! Needs what `docker` says, and the binary `stub-daemon`, which `scripts/test` builds before the tests.
//! It is put into the container beside the image's own files, because no image of ours has it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

#[path = "../../package-image/tests/docker/mod.rs"]
mod docker;
mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use clap::Parser;
use docker::{Engine, have, rootfs};
use support::{Made, Run, assert_passed};
use tempfile::TempDir;
use verify_package::{NodeState, Outcome, ReportDocument};

/// Where the binary is in the container.
const INSIDE: &str = "/usr/local/bin/stub-daemon";

fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("stub-daemon");
    assert!(
        path.is_file(),
        "there is no {}: run scripts/test, which builds every binary before the tests",
        path.display()
    );
    path
}

/// A container with a seed node in it.
struct Container<'e> {
    engine: &'e Engine,
    name: &'static str,
    child: Child,
    url: String,
}

impl<'e> Container<'e> {
    /// Starts a node and waits until it listens. There is no bridge, so it has the host's network.
    fn start(engine: &'e Engine, image: &str, name: &'static str, more: &[&str]) -> Self {
        let mount = format!("{}:{INSIDE}:ro", binary().display());
        let mut line = vec!["run", "--rm", "--name", name, "--network", "host"];
        line.extend(["--volume", &mount, image, INSIDE]);
        line.extend(["seed", "--era", "mesa", "--listen", "127.0.0.1:0"]);
        line.extend(more);
        let mut child = engine
            .command(&line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        let (state, url) = said.trim().split_once(' ').expect("the node said nothing");
        assert_eq!(state, "sleeping");
        Self {
            engine,
            name,
            child,
            url: url.to_owned(),
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.engine.command(&["kill", self.name]).output();
        let _ = self.child.wait();
    }
}

fn verified(made: &Made, layout: &Path, url: &str, exports: Option<&Path>) -> ReportDocument {
    let mut run = Run::new(made, "--image", format!("oci:{}", layout.display()));
    let options = ["--daemon", url, "--boot-timeout", "120", "--sample", "40"];
    run.more.extend(options.map(str::to_owned));
    if let Some(exports) = exports {
        run.more.push("--exports".to_owned());
        run.more.push(exports.to_str().unwrap().to_owned());
    }
    run.report()
}

#[test]
fn a_node_that_runs_in_the_image_shows_what_is_packaged() {
    if !have(&["dockerd", "docker"]) {
        return;
    }
    let made = Made::once("verify-container");
    let place = TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let base = format!("rootfs:{}", rootfs().display());
    let (layout, archive) = (path("image"), path("image.tar"));
    let deb = made.path("deb");
    let args = package_image::Args::try_parse_from([
        "package-image",
        "--deb",
        deb.to_str().unwrap(),
        "--base",
        &base,
        "--docker-archive",
        &archive,
        "--output",
        &layout,
    ])
    .unwrap();
    let document = package_image::package(&args, &|_| ()).unwrap();
    let engine = Engine::start();
    engine.docker(&["load", "--quiet", "--input", &archive]);
    let image = format!("mina-daemon:{}", document.tag);
    let layout = PathBuf::from(layout);

    // Its exports, made where its files are.
    let exports = place.path().join("exports");
    std::fs::create_dir(&exports).unwrap();
    let binary = format!("{}:{INSIDE}:ro", binary().display());
    let out = format!("{}:/exports", exports.display());
    let mut line = vec!["run", "--rm", "--network", "none", "--volume", &binary];
    line.extend(["--volume", &out, &image, INSIDE, "export", "--era", "mesa"]);
    line.extend(["--output", "/exports"]);
    engine.docker(&line);

    let sleep = ["--before-genesis", "1", "--from-first-request"];
    let node = Container::start(&engine, &image, "healthy", &sleep);
    let report = verified(made, &layout, &node.url, Some(&exports));
    drop(node);
    assert_passed(&report, &[]);
    let daemon = report.daemon.unwrap();
    let states: Vec<NodeState> = daemon.timeline.iter().map(|event| event.state).collect();
    assert_eq!(states, [NodeState::Sleeping, NodeState::Awake]);
    // It slept the second that it had to, from the first request on.
    assert!(daemon.timeline[1].at_ms >= 900, "{:?}", daemon.timeline);
    assert_eq!(daemon.sample.unwrap().asked, u64::from(support::ACCOUNTS));
    assert_eq!(daemon.exports.len(), 3);

    // The same node, lying about one account.
    let mut lying = sleep.to_vec();
    lying.extend(["--fault", "balance:3"]);
    let node = Container::start(&engine, &image, "lying", &lying);
    let report = verified(made, &layout, &node.url, None);
    assert_eq!(report.ids(Outcome::Failed), ["daemon.accounts.genesis"]);
}
