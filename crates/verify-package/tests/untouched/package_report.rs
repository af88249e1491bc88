//! An image with the report on the package that it was made from.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use fork_worker::{Context, OutputFormat};
use serde_json::Value;
use tempfile::TempDir;
use verify_package::{Outcome, ReportCheck, ReportDocument};

use super::made;
use super::support::{Opened, Run};

fn image() -> Run<'static> {
    let image = format!("oci:{}", made().path("image").display());
    Run::new(made(), "--image", image)
}

fn with<'a>(mut run: Run<'a>, report: &Path) -> Run<'a> {
    run.more.push("--package-report".to_owned());
    run.more.push(report.to_str().unwrap().to_owned());
    run
}

/// The report on the package, in a directory.
fn of_package(root: &Path) -> PathBuf {
    let directory = root.join("of-package");
    let run = Run::new(made(), "--deb", made().deb().to_str().unwrap());
    let context = Context::quiet(OutputFormat::Json);
    verify_package::verify(&run.args(&directory), &context).unwrap();
    directory
}

/// All that a report says, but times and memory.
fn said(report: &ReportDocument) -> ReportDocument {
    let mut report = report.clone();
    report.checks.iter_mut().for_each(|check| check.ms = 0);
    report.stages_ms.clear();
    report.peak_memory_bytes = None;
    report.package_report = None;
    report
}

#[test]
fn a_report_on_the_package_saves_the_ledgers_and_changes_nothing() {
    let root = TempDir::new().unwrap();
    let package = of_package(root.path());
    let alone = image().report();
    let run = with(image(), &package);
    let report = run.report();
    assert_eq!(said(&report), said(&alone));
    let taken = report.package_report.as_ref().unwrap();
    assert_eq!(taken.why_not, None);
    assert_eq!(taken.subject.kind, "deb");
    let page = verify_package::page(&report);
    assert!(page.contains("examined there, and not again"), "{page}");
    // It is enough that the package's report has a smaller number: the tarballs are not opened.
    let read = |change: &dyn Fn(&mut Value)| changed(&package, change).report();
    let altered = read(&|report| report["facts"]["ledgers"][0]["accounts_after"] = 7.into());
    let counts = |report: &ReportDocument| report.facts.ledgers[0].accounts_after;
    assert_eq!(counts(&altered), Some(7));
}

/// The image with a report that was changed.
fn changed(package: &Path, change: &dyn Fn(&mut Value)) -> Run<'static> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = package.parent().unwrap().join(format!("changed-{number}"));
    fs::create_dir(&directory).unwrap();
    let bytes = fs::read(package.join("report.json")).unwrap();
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    let text = serde_json::to_vec_pretty(&value).unwrap();
    fs::write(directory.join("report.json"), text).unwrap();
    with(image(), &directory)
}

#[test]
fn a_report_on_something_else_is_of_no_use() {
    let root = TempDir::new().unwrap();
    let package = of_package(root.path());
    let config = format!("{}.json", made().network);
    let file = |report: &mut Value, end: &str, member: &str, value: Value| {
        let files = report["facts"]["files"].as_array_mut().unwrap();
        let found = files.iter_mut().find(|file| {
            let path = file["path"].as_str().unwrap();
            path.ends_with(end)
        });
        found.unwrap()[member] = value;
    };
    let digest = || Value::from("0".repeat(64));
    let check = |report: &mut Value, id: &str, outcome: &str| {
        let checks = report["checks"].as_array_mut().unwrap();
        let found = checks.iter_mut().find(|check| check["id"] == id);
        found.unwrap()["outcome"] = outcome.into();
    };
    type Change<'a> = Box<dyn Fn(&mut Value) + 'a>;
    let changes: Vec<(&str, Change<'_>)> = vec![
        (
            "the network is",
            Box::new(|r| r["network"] = "other".into()),
        ),
        (
            "the candidate's SHA-256 is",
            Box::new(|r| r["candidate_sha256"] = digest()),
        ),
        (
            "the migration rule is another",
            Box::new(|r| r["rule"]["fork_slot"] = 1.into()),
        ),
        (
            "the migration rule is another",
            Box::new(|r| {
                r.as_object_mut().unwrap().remove("rule");
            }),
        ),
        (
            "starts at another time",
            Box::new(|r| r["series"]["times_ms"][0] = 1.into()),
        ),
        (
            "1 of its checks failed",
            Box::new(|r| r["failed"] = 1.into()),
        ),
        (
            "is not the file that the report is about",
            Box::new(|r| file(r, ".tar.gz", "sha256", digest())),
        ),
        (
            "is not the file that the report is about",
            Box::new(|r| file(r, &config, "bytes", 1.into())),
        ),
        (
            "is not the file that the report is about",
            Box::new(|r| file(r, &config, "path", "elsewhere".into())),
        ),
        (
            "it has no whole staking ledger",
            Box::new(|r| {
                let ledger = r["facts"]["ledgers"][1].as_object_mut().unwrap();
                ledger.remove("root_after");
            }),
        ),
        (
            "its check store.next.records did not pass",
            Box::new(|r| check(r, "store.next.records", "not-run")),
        ),
        (
            "its check migration.genesis.accounts did not pass",
            Box::new(|r| check(r, "migration.genesis.accounts", "failed")),
        ),
    ];
    let alone = said(&image().report());
    for (expected, change) in changes {
        let report = changed(&package, &*change).report();
        let why_not = report.package_report.as_ref().unwrap().why_not.clone();
        assert!(why_not.unwrap().contains(expected), "{expected}");
        // Everything is examined again, and found to be right.
        assert_eq!(said(&report), alone, "{expected}");
    }
}

#[test]
fn a_tarball_that_changed_on_the_way_into_the_image_is_found() {
    let root = TempDir::new().unwrap();
    let package = of_package(root.path());
    let mut opened = Opened::read(&made().deb());
    opened.store("ledger", |entries| {
        let (_, value) = entries.iter_mut().nth(3).unwrap();
        value[0] ^= 1;
    });
    let tree = root.path().join("root");
    opened.unpack(&tree);
    opened.install(&tree);
    let installed = Run::new(made(), "--root", tree.to_str().unwrap());
    let alone = installed.report();
    let report = with(installed, &package).report();
    assert!(alone.failed > 0);
    assert_eq!(said(&report), said(&alone));
}

#[test]
fn numbers_of_a_report_are_held_against_block_and_config() {
    let root = TempDir::new().unwrap();
    let package = of_package(root.path());
    let other = "jw6kK4jXQFsWnmaP7qeHdEqXj4Bg275X91Ho5tXRtrf83iAgMJK";
    let failed = |member: &'static str| -> Vec<String> {
        let run = changed(&package, &move |report: &mut Value| {
            report["facts"]["ledgers"][0][member] = other.into();
        });
        let report = run.report();
        assert_eq!(report.package_report.as_ref().unwrap().why_not, None);
        let failed = report.ids(Outcome::Failed).into_iter();
        failed.map(str::to_owned).collect()
    };
    assert_eq!(failed("root_before"), ["root.staged"]);
    assert_eq!(failed("root_migrated"), ["migration.genesis.root"]);
    assert_eq!(failed("root_after"), ["config.ledger-hashes"]);
}

#[test]
fn what_is_no_report_is_refused() {
    let root = TempDir::new().unwrap();
    let run = with(image(), root.path());
    let context = Context::quiet(OutputFormat::Json);
    let output = root.path().join("output");
    let error = verify_package::verify(&run.args(&output), &context).unwrap_err();
    assert!(error.to_string().contains("report.json"), "{error}");
    assert!(!output.exists());
    // Ledgers that are not opened cannot be compared with a node's or another package's.
    for more in [["--against", "deb:x"], ["--exports", "x"]] {
        let mut arguments = vec!["verify-package", "--image", "oci:x", "--candidate", "c"];
        arguments.extend(["--network", "n", "--output", "o", "--package-report", "r"]);
        arguments.extend(more);
        assert!(verify_package::Args::try_parse_from(arguments).is_err());
    }
}

/// Every check that is taken over is one about files that were compared.
#[test]
fn what_is_taken_over_is_a_closed_list() {
    let root = TempDir::new().unwrap();
    let package = of_package(root.path());
    let marked = changed(&package, &|report: &mut Value| {
        for check in report["checks"].as_array_mut().unwrap() {
            check["detail"] = "marked".into();
        }
    });
    let report = marked.report();
    let taken: Vec<&str> = report
        .checks
        .iter()
        .filter(|check: &&ReportCheck| check.detail == "marked")
        .map(|check| check.id.as_str())
        .collect();
    let mut expected = Vec::new();
    for (before, after) in [
        ("tarball", ".gzip"),
        ("tarball", ".tar"),
        ("store", ".accounts"),
        ("store", ".root"),
        ("store", ".inner-hashes"),
        ("store", ".records"),
        ("migration", ".accounts"),
        ("migration", ".audit"),
        ("supply", ""),
    ] {
        let roles = ["genesis", "staking", "next"];
        expected.extend(roles.map(|role| format!("{before}.{role}{after}")));
    }
    assert_eq!(taken, expected);
}
