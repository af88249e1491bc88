//! A package against a node that was started from it, and exports of one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use fork_types::{Era, Role};
use stub_daemon::{Clock, Seed, SeedDaemon, SeedError, SeedFault, SeedSpec, SeedTime};
use support::{ACCOUNTS, Made, Opened, Run, assert_passed};
use tempfile::TempDir;
use verify_package::{NodeState, Outcome, ReportDocument};

fn made() -> &'static Made {
    Made::once("verify-node")
}

/// The package, unpacked.
fn root() -> TempDir {
    let root = TempDir::new().unwrap();
    Opened::read(&made().deb()).unpack(root.path());
    root
}

fn load(root: &Path, scratch: &Path, faults: &[SeedFault]) -> Result<Seed, SeedError> {
    Seed::load(&SeedSpec {
        root: root.to_owned(),
        era: Era::Mesa,
        scratch: scratch.to_owned(),
        faults: faults.to_vec(),
    })
}

/// A node that was started from the package.
struct Node {
    daemon: SeedDaemon,
    clock: Clock,
    _root: TempDir,
    _scratch: TempDir,
}

impl Node {
    /// A node whose genesis is when its clock says 1.
    fn asleep(faults: &[SeedFault]) -> Self {
        let (root, scratch) = (root(), TempDir::new().unwrap());
        let seed = load(root.path(), scratch.path(), faults).unwrap();
        let clock = Clock::manual(0);
        let time = SeedTime {
            clock: clock.clone(),
            genesis_ms: 1,
            from_first_request: false,
        };
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        Self {
            daemon: SeedDaemon::start(seed, address, time).unwrap(),
            clock,
            _root: root,
            _scratch: scratch,
        }
    }

    fn awake(faults: &[SeedFault]) -> Self {
        let node = Self::asleep(faults);
        node.clock.set(1);
        node
    }

    fn verified(&self, more: &[&str]) -> ReportDocument {
        let url = self.daemon.url();
        let mut line = vec!["--daemon", url.as_str(), "--boot-timeout", "0"];
        line.extend(more);
        verified(&line)
    }
}

fn verified(more: &[&str]) -> ReportDocument {
    let mut run = Run::new(made(), "--deb", made().deb().to_str().unwrap());
    run.more.extend(more.iter().map(|&text| text.to_owned()));
    run.report()
}

/// Writes exports; a role in `wrong` gets its fault.
fn exports(directory: &Path, wrong: &[(Role, SeedFault)]) {
    let root = root();
    for (role, name) in [
        (Role::Genesis, "staged-ledger.json"),
        (Role::Staking, "staking-epoch-ledger.json"),
        (Role::Next, "next-epoch-ledger.json"),
    ] {
        let faults: Vec<SeedFault> = wrong
            .iter()
            .filter(|(one, _)| *one == role)
            .map(|(_, fault)| fault.clone())
            .collect();
        let scratch = TempDir::new().unwrap();
        let seed = load(root.path(), scratch.path(), &faults).unwrap();
        let mut file = fs::File::create(directory.join(name)).unwrap();
        seed.export(role, &mut file).unwrap();
    }
}

const NO_IMAGE: [&str; 2] = ["image.dpkg-status", "image.content"];
const EXPORTS: [&str; 3] = [
    "daemon.export.genesis",
    "daemon.export.staking",
    "daemon.export.next",
];

/// The outcomes of the checks about the node.
fn outcome(report: &ReportDocument, outcome: Outcome) -> Vec<&str> {
    let mut ids = report.ids(outcome);
    ids.retain(|id| id.starts_with("daemon."));
    ids
}

fn detail<'r>(report: &'r ReportDocument, id: &str) -> &'r str {
    let check = report.checks.iter().find(|check| check.id == id).unwrap();
    &check.detail
}

#[test]
fn without_a_node_nothing_is_said_about_one() {
    let report = verified(&[]);
    assert!(report.daemon.is_none());
    assert!(
        report
            .checks
            .iter()
            .all(|check| !check.id.starts_with("daemon."))
    );
}

#[test]
fn a_healthy_node_and_its_exports_pass() {
    let place = TempDir::new().unwrap();
    exports(place.path(), &[]);
    let node = Node::awake(&[]);
    let directory = place.path().to_str().unwrap();
    let report = node.verified(&["--exports", directory, "--sample", "10"]);
    assert_passed(&report, &NO_IMAGE);
    assert_eq!(outcome(&report, Outcome::Passed).len(), 9);
    let daemon = report.daemon.unwrap();
    assert_eq!(daemon.url.unwrap(), node.daemon.url());
    assert_eq!(daemon.chain_id.unwrap().len(), 64);
    assert_eq!(daemon.timeline.len(), 1);
    let roots: Vec<_> = daemon
        .exports
        .iter()
        .map(|one| (one.role, one.root))
        .collect();
    assert_eq!(roots, report.roots.into_iter().collect::<Vec<_>>());
    let sample = daemon.sample.unwrap();
    assert_eq!((sample.accounts, sample.drawn), (u64::from(ACCOUNTS), 10));
    // One in four is drawn, so three in four are missed.
    assert_eq!(sample.coverage.missed[0].probability, "0.750000000");
    for edge in &sample.edges {
        assert!(edge.accounts > 0 && edge.asked == edge.accounts, "{edge:?}");
    }
    assert!(sample.asked > 10 && sample.asked < u64::from(ACCOUNTS));
}

#[test]
fn every_fault_fails_its_own_checks_and_no_others() {
    const ACCOUNTS: &str = "daemon.accounts.genesis";
    const PATHS: &str = "daemon.merkle-paths.genesis";
    const BLOCK: &str = "daemon.genesis-block";
    let rows: [(SeedFault, &[&str], &[&str]); 10] = [
        (SeedFault::Balance(5), &[ACCOUNTS], &[]),
        (SeedFault::Path(5), &[PATHS], &[]),
        (SeedFault::Absent(5), &[ACCOUNTS], &[]),
        (SeedFault::Absent(0), &[ACCOUNTS], &[]),
        (SeedFault::Height(1), &[BLOCK], &[]),
        (SeedFault::Height(u32::MAX), &[BLOCK], &[]),
        (SeedFault::NeverWakes, &["daemon.boot"], &[ACCOUNTS, PATHS]),
        (
            SeedFault::Ledger(Role::Staking),
            &[BLOCK, ACCOUNTS, PATHS],
            &[],
        ),
        (SeedFault::AccountsInConfig, &["daemon.ledger-hashes"], &[]),
        // Not wrong, but too late: what it shows is another ledger.
        (SeedFault::Blocks(2), &[], &["daemon.boot", ACCOUNTS, PATHS]),
    ];
    let mut wrong = Vec::new();
    for (fault, failed, not_run) in rows {
        let node = Node::awake(std::slice::from_ref(&fault));
        let report = node.verified(&["--sample", "40"]);
        let found = report.ids(Outcome::Failed);
        let mut missing = outcome(&report, Outcome::NotRun);
        missing.retain(|id| !EXPORTS.contains(id));
        if (found.as_slice(), missing.as_slice()) != (failed, not_run) {
            wrong.push(format!(
                "{fault:?}: failed {found:?}, expected {failed:?}; not run {missing:?}, expected \
                 {not_run:?}"
            ));
        }
        // A sample that was not looked at covers nothing.
        let sample = report.daemon.unwrap().sample;
        if sample.is_some() == not_run.contains(&ACCOUNTS) {
            wrong.push(format!("{fault:?}: the sample is {sample:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_is_said() {
    let report = Node::awake(&[SeedFault::Balance(5)]).verified(&["--sample", "40"]);
    let check = report
        .checks
        .iter()
        .find(|check| check.outcome == Outcome::Failed);
    let check = check.unwrap();
    let found = check.found.as_deref().unwrap();
    assert!(found.starts_with("account 5 (B62"), "{found}");
    assert!(found.contains("balance.total is `"), "{found}");
    assert_eq!(check.place.as_deref(), Some("1 of 40 accounts"));
}

#[test]
fn the_timeline_has_the_sleep_and_the_end_of_it() {
    let node = Node::asleep(&[]);
    let clock = node.clock.clone();
    // Each look is two requests; the genesis comes after two looks.
    node.daemon.on_request(move |number| {
        if number == 5 {
            clock.set(1);
        }
    });
    let url = node.daemon.url();
    let report = verified(&["--daemon", &url, "--boot-timeout", "300"]);
    assert_passed(&report, &[&NO_IMAGE[..], &EXPORTS[..]].concat());
    let timeline = report.daemon.as_ref().unwrap().timeline.clone();
    let states: Vec<NodeState> = timeline.iter().map(|event| event.state).collect();
    assert_eq!(states, [NodeState::Sleeping, NodeState::Awake]);
    assert!(timeline[0].at_ms <= timeline[1].at_ms);
    assert!(detail(&report, "daemon.boot").contains("awake after"));
}

#[test]
fn nobody_at_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let report = verified(&["--daemon", &url, "--boot-timeout", "0"]);
    assert_eq!(report.ids(Outcome::Failed), ["daemon.boot"]);
    assert_eq!(outcome(&report, Outcome::NotRun).len(), 8);
    let timeline = report.daemon.unwrap().timeline;
    assert_eq!(timeline[0].state, NodeState::Unreachable);
}

#[test]
fn what_answers_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // One look, the genesis block, the config.
    let server = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>";
            stream.write_all(page.as_bytes()).unwrap();
        }
    });
    let report = verified(&["--daemon", &url, "--boot-timeout", "0"]);
    server.join().unwrap();
    assert_eq!(report.ids(Outcome::Failed), ["daemon.boot"]);
    assert_eq!(outcome(&report, Outcome::NotRun).len(), 8);
    assert!(detail(&report, "daemon.genesis-block").contains("cannot be read"));
    let timeline = report.daemon.unwrap().timeline;
    assert_eq!(timeline[0].state, NodeState::Failing);
}

#[test]
fn a_sample_is_its_seed() {
    // Leaf by leaf: is it looked at? Both seeds come from the command line.
    let looked_at = |seed: &str| -> Vec<u64> {
        (20..32)
            .filter(|leaf| {
                let node = Node::awake(&[SeedFault::Absent(*leaf)]);
                let report = node.verified(&["--sample", "8", "--seed", seed]);
                !report.ids(Outcome::Failed).is_empty()
            })
            .collect()
    };
    let first = looked_at("1");
    assert_eq!(first, looked_at("1"));
    assert_ne!(first, looked_at("2"));
    // Without one it is the package's, in whatever form that comes.
    let node = Node::awake(&[]);
    let seed = |report: ReportDocument| report.daemon.unwrap().sample.unwrap().seed;
    let of_deb = seed(node.verified(&[]));
    let image = format!("oci:{}", made().path("image").display());
    let mut run = Run::new(made(), "--image", image);
    run.more.extend(["--daemon".to_owned(), node.daemon.url()]);
    assert_eq!(seed(run.report()), of_deb);
    assert_ne!(of_deb, "1");
}

#[test]
fn exports_are_compared_leaf_by_leaf() {
    let place = TempDir::new().unwrap();
    let directory = place.path().to_str().unwrap();
    for (role, fault, id) in [
        (Role::Genesis, SeedFault::Balance(7), EXPORTS[0]),
        (Role::Staking, SeedFault::Balance(0), EXPORTS[1]),
        (Role::Next, SeedFault::Absent(3), EXPORTS[2]),
    ] {
        exports(place.path(), &[(role, fault)]);
        let report = verified(&["--exports", directory]);
        assert_eq!(report.ids(Outcome::Failed), [id]);
        let node = ["daemon.boot", "daemon.genesis-block"];
        assert!(outcome(&report, Outcome::NotRun).starts_with(&node));
        let check = report.checks.iter().find(|check| check.id == id).unwrap();
        assert!(check.detail.contains("the root is jw") || check.detail.contains("the root is jx"));
    }
    exports(place.path(), &[]);
    let staking = place.path().join("staking-epoch-ledger.json");
    let text = fs::read(&staking).unwrap();
    fs::write(&staking, &text[..text.len() / 2]).unwrap();
    fs::remove_file(place.path().join("next-epoch-ledger.json")).unwrap();
    let report = verified(&["--exports", directory]);
    assert_eq!(report.ids(Outcome::Failed), [EXPORTS[1]]);
    assert!(outcome(&report, Outcome::NotRun).contains(&EXPORTS[2]));
    assert!(outcome(&report, Outcome::Passed).contains(&EXPORTS[0]));
    assert_eq!(report.daemon.unwrap().exports.len(), 1);
}

#[test]
fn an_export_of_a_node_that_went_on_says_nothing() {
    let place = TempDir::new().unwrap();
    exports(place.path(), &[(Role::Genesis, SeedFault::Balance(7))]);
    let node = Node::awake(&[SeedFault::Blocks(1)]);
    let report = node.verified(&["--exports", place.path().to_str().unwrap()]);
    assert!(report.ids(Outcome::Failed).is_empty());
    assert!(outcome(&report, Outcome::NotRun).contains(&EXPORTS[0]));
    assert!(detail(&report, EXPORTS[0]).starts_with("the export differs, and the best tip"));
}

#[test]
fn a_node_does_not_start_from_another_package() {
    let (root, scratch) = (root(), TempDir::new().unwrap());
    let data = root.path().join("var/lib/coda");
    let mut opened = Opened::read(&made().deb());
    let path = root
        .path()
        .join(opened.tarball("ledger").trim_start_matches('/'));
    let away = root.path().join("away");
    fs::rename(&path, &away).unwrap();
    let error = load(root.path(), scratch.path(), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            SeedError::Missing {
                role: Role::Genesis,
                ..
            }
        ),
        "{error}"
    );

    // Another ledger under its name.
    let other = root
        .path()
        .join(opened.tarball("epoch_data/next").trim_start_matches('/'));
    fs::copy(other, &path).unwrap();
    let error = load(root.path(), scratch.path(), &[]).unwrap_err();
    assert!(matches!(error, SeedError::Root { .. }), "{error}");
    fs::rename(&away, &path).unwrap();
    load(root.path(), scratch.path(), &[]).unwrap();

    // A config with accounts, two configs, and none.
    opened.config(|config| config["ledger"]["accounts"] = serde_json::json!([]));
    let name = opened.config_paths();
    let name = name.iter().find(|path| path.contains("config_")).unwrap();
    let config = root.path().join(name.trim_start_matches('/'));
    let before = fs::read(&config).unwrap();
    fs::write(&config, &opened.files[name].0).unwrap();
    let error = load(root.path(), scratch.path(), &[]).unwrap_err();
    assert!(matches!(error, SeedError::Config { .. }), "{error}");
    fs::write(data.join("config_00000000.json"), before).unwrap();
    let error = load(root.path(), scratch.path(), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            SeedError::Configs {
                found: "several",
                ..
            }
        ),
        "{error}"
    );
    let error = load(Path::new("/nowhere"), scratch.path(), &[]).unwrap_err();
    assert!(matches!(error, SeedError::File(_)), "{error}");
}
