//! A package as the workers make it passes in every form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "untouched/package_report.rs"]
mod package_report;
mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use fork_types::{Class, Fault};
use fork_worker::{Context, OutputFormat, Worker};
use support::{Made, Opened, Run, assert_passed, dpkg_agrees, has_dpkg};
use tempfile::TempDir;
use verify_package::{Outcome, ReportDocument};

fn made() -> &'static Made {
    Made::once("verify-untouched")
}

#[test]
fn a_deb_passes() {
    let report = Run::new(made(), "--deb", made().deb().to_str().unwrap()).report();
    assert_passed(&report, &["image.dpkg-status", "image.content"]);
    dpkg_agrees(&report);
    assert_eq!(report.roots.len(), 3);
    assert!(report.rule.is_some());
    assert!(report.chain_id.is_some());
    // What was migrated rightly is locked as long as before, and spread as before.
    assert_eq!(report.series.times_ms.len(), 121);
    for ledger in &report.series.ledgers {
        let (before, after) = (&ledger.before, &ledger.after);
        assert_eq!(before.locked_nanomina.len(), 121);
        assert_eq!(before.locked_nanomina, after.locked_nanomina);
        assert_ne!(before.locked_nanomina[0], before.locked_nanomina[120]);
        assert_eq!(before.accounts, after.accounts);
        assert_eq!(before.sums_nanomina, after.sums_nanomina);
        let sums = before.sums_nanomina.iter();
        let sum: u128 = sums.map(|text| text.parse::<u128>().unwrap()).sum();
        let mut ledgers = report.facts.ledgers.iter();
        let facts = ledgers.find(|one| one.role == ledger.role).unwrap();
        assert_eq!(sum.to_string(), facts.supply_before_nanomina);
        assert_eq!(
            Some(&facts.supply_before_nanomina),
            facts.supply_after_nanomina.as_ref()
        );
        assert_eq!(facts.root_migrated, facts.root_after);
        assert_ne!(facts.root_before, facts.root_after);
        assert!(facts.tarball.is_some());
    }
    assert_eq!(report.facts.fork_block.blockchain_length, 548_146);
    assert!(report.facts.package_version.is_some());
    assert_eq!(report.facts.files.len(), 7);
}

#[test]
fn the_compression_does_not_matter() {
    let directory = TempDir::new().unwrap();
    let opened = Opened::read(&made().deb());
    for compression in fork_types::Compression::ALL {
        let name = made().deb();
        let name = name.file_name().unwrap();
        let parent = directory.path().join(compression.name());
        fs::create_dir(&parent).unwrap();
        let deb = parent.join(name);
        opened.write_compressed(&deb, compression);
        let report = Run::new(made(), "--deb", deb.to_str().unwrap()).report();
        assert_passed(&report, &["image.dpkg-status", "image.content"]);
        dpkg_agrees(&report);
    }
}

/// Which ledgers' stores were read with RocksDB, of a report in which nothing failed.
fn with_rocksdb(report: &ReportDocument) -> [bool; 3] {
    assert_passed(report, &["image.dpkg-status", "image.content"]);
    ["genesis", "staking", "next"].map(|role| {
        let id = format!("store.{role}.accounts");
        let check = report.checks.iter().find(|check| check.id == id).unwrap();
        let is_log = check.detail.contains("read as a log");
        assert_ne!(is_log, check.detail.contains("read with RocksDB"));
        !is_log
    })
}

/// A daemon's package of the network, and what it is converted to.
fn converted(root: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let network = &made().network;
    let tree = root.join("tree");
    let write = |path: &str, bytes: &[u8], mode: u32| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let prefork = fs::read(made().path("fixture/prefork_config.json")).unwrap();
    write(&format!("var/lib/coda/{network}.json"), &prefork, 0o644);
    write("var/lib/coda/config_68503010.json", &prefork, 0o644);
    write("var/lib/coda/other.json", b"{}", 0o644);
    let old = format!("var/lib/coda/genesis_ledger_{}.tar.gz", "9".repeat(64));
    write(&old, b"old", 0o644);
    write("usr/bin/mina", b"daemon", 0o4755);
    fs::hard_link(tree.join("usr/bin/mina"), tree.join("usr/bin/coda")).unwrap();
    std::os::unix::fs::symlink("mina", tree.join("usr/bin/link")).unwrap();
    write("etc/mina.conf", b"conf", 0o644);
    let control = format!(
        "Package: mina-{network}\nVersion: 3.3.0\nArchitecture: amd64\nMaintainer: a <a@b.c>\nDepends: libc6\nDescription: x\n"
    );
    write("DEBIAN/control", control.as_bytes(), 0o644);
    write("DEBIAN/conffiles", b"/etc/mina.conf\n", 0o644);
    write("DEBIAN/postinst", b"#!/bin/sh\n", 0o755);
    let daemon = root.join("daemon.deb");
    let built = Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "-b"])
        .arg(&tree)
        .arg(&daemon)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let args = package_deb::Args::try_parse_from([
        "package-deb",
        "--network-config",
        &text(made().path("network")),
        "--ledgers",
        &text(made().path("ledgers/genesis")),
        &text(made().path("ledgers/staking")),
        &text(made().path("ledgers/next")),
        "--convert",
        &text(daemon.clone()),
        "--output",
        &text(root.join("out")),
    ])
    .unwrap();
    let document = package_deb::package(&args, &|_| ()).unwrap();
    (daemon, root.join("out").join(document.file.name))
}

#[test]
fn a_converted_package_passes_beside_the_daemons() {
    if !has_dpkg() {
        return;
    }
    let root = TempDir::new().unwrap();
    let (daemon, deb) = converted(root.path());
    let report = |deb: &Path, daemon: Option<&Path>| {
        let mut run = Run::new(made(), "--deb", deb.to_str().unwrap());
        if let Some(daemon) = daemon {
            run.more
                .extend(["--converted-from".into(), daemon.to_str().unwrap().into()]);
        }
        run.report()
    };
    let good = report(&deb, Some(&daemon));
    assert_passed(&good, &["image.dpkg-status", "image.content"]);
    dpkg_agrees(&good);

    assert!(!good.proved.iter().any(|one| one.contains("runs nothing")));
    assert!(
        good.not_proved
            .iter()
            .any(|one| one.contains("its scripts"))
    );

    // Without the daemon's package, nothing says what its files should be.
    let failed = |report: &ReportDocument| {
        let failed = report
            .checks
            .iter()
            .filter(|one| one.outcome == Outcome::Failed);
        failed.map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    let alone = failed(&report(&deb, None));
    for id in ["package.files", "package.modes", "package.control"] {
        assert!(alone.iter().any(|one| one == id), "{alone:?}");
    }

    // One thing of the daemon's changed after the conversion: told by the check that is about it.
    let directory = root.path().join("s");
    for (number, (change, expected)) in [
        ("printf other > data/usr/bin/mina", vec!["package.files"]),
        ("rm data/usr/bin/link", vec!["package.files"]),
        ("ln -s x data/usr/bin/more", vec!["package.files"]),
        ("chmod a-x data/usr/bin/mina", vec!["package.files"]),
        (
            "printf more > data/var/lib/coda/more.json",
            vec!["package.files"],
        ),
        (
            "printf '#!/bin/sh\\nevil\\n' > control/postinst",
            vec!["package.control"],
        ),
        (
            "printf '#!/bin/sh\\nevil\\n' > control/prerm",
            vec!["package.control"],
        ),
        (
            "sed -i 's/libc6/evil/' control/control",
            vec!["package.control"],
        ),
        (
            "sed -i 's/-hardfork/-softfork/' control/control",
            vec!["package.control"],
        ),
        (
            "sed -i '/^Conflicts/d' control/control",
            vec!["package.control"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        package_deb::session::unpack(&deb, &directory, true).unwrap();
        let done = Command::new("sh")
            .args(["-c", change])
            .current_dir(&directory)
            .status();
        assert!(done.unwrap().success(), "{change}");
        let changed = root.path().join(format!("{number}.deb"));
        let session = package_deb::session::Session::open(&directory).unwrap();
        session.save(&changed, false, None).unwrap();
        drop(session);
        let found = failed(&report(&changed, Some(&daemon)));
        assert!(
            expected.iter().all(|id| found.iter().any(|one| one == id)),
            "{change}: {found:?}"
        );
        assert!(
            found.iter().all(|one| one.starts_with("package.")),
            "{change}: {found:?}"
        );
    }
}

#[test]
fn stores_in_another_spelling_are_read_with_rocksdb() {
    let deb = made().deb();
    let mut run = Run::new(made(), "--deb", deb.to_str().unwrap());
    assert_eq!(with_rocksdb(&run.report()), [false; 3]);
    run.more
        .extend(["--store-reading", "rocksdb"].map(Into::into));
    assert_eq!(with_rocksdb(&run.report()), [true; 3]);
    // The same entries in key order, in which a log of ours is not.
    let mut opened = Opened::read(&deb);
    opened.store("epoch_data/next", |_| ());
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.deb");
    opened.write(&path);
    let run = Run::new(made(), "--deb", path.to_str().unwrap());
    assert_eq!(with_rocksdb(&run.report()), [false, false, true]);
}

#[test]
fn an_unpacked_root_passes() {
    let root = TempDir::new().unwrap();
    Opened::read(&made().deb()).unpack(root.path());
    let report = Run::new(made(), "--root", root.path().to_str().unwrap()).report();
    assert_passed(
        &report,
        &[
            "package.md5sums",
            "package.control",
            "image.dpkg-status",
            "image.content",
        ],
    );
}

#[test]
fn an_installed_root_passes() {
    let root = TempDir::new().unwrap();
    let opened = Opened::read(&made().deb());
    opened.unpack(root.path());
    opened.install(root.path());
    let report = Run::new(made(), "--root", root.path().to_str().unwrap()).report();
    assert_passed(&report, &[]);
    dpkg_agrees(&report);
}

/// What dpkg itself installs, without any of our code in between.
#[test]
fn a_root_that_dpkg_made_passes() {
    if !has_dpkg() || !Path::new("/usr/bin/fakeroot").is_file() {
        // Not a print macro: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no dpkg or no fakeroot");
        return;
    }
    let root = TempDir::new().unwrap();
    let database = root.path().join("var/lib/dpkg");
    for name in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(name)).unwrap();
    }
    fs::write(database.join("status"), "").unwrap();
    let output = Command::new("fakeroot")
        .arg("dpkg")
        .arg(format!("--root={}", root.path().display()))
        .args([
            "--force-not-root",
            "--force-script-chrootless",
            "--force-bad-path",
        ])
        .arg("--log=/dev/null")
        .arg("--install")
        .arg(made().deb())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    for path in ["", "var", "var/lib"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.path().join(path), mode).unwrap();
    }
    let report = Run::new(made(), "--root", root.path().to_str().unwrap()).report();
    assert_passed(&report, &[]);
    dpkg_agrees(&report);
    // And what dpkg complains of then is what the check says.
    let config = root.path().join("var/lib/coda/config_68503010.json");
    fs::write(&config, "{}").unwrap();
    let report = Run::new(made(), "--root", root.path().to_str().unwrap()).report();
    let check = report.checks.iter().find(|one| one.id == "package.dpkg");
    let found = check.unwrap().found.as_deref().unwrap();
    assert!(
        found.starts_with("??5") && found.ends_with("config_68503010.json"),
        "{found}"
    );
}

#[test]
fn an_oci_layout_passes() {
    let image = format!("oci:{}", made().path("image").display());
    let report = Run::new(made(), "--image", image).report();
    assert_passed(&report, &[]);
}

#[test]
fn a_docker_archive_passes() {
    let image = format!("docker-archive:{}", made().path("image.tar").display());
    let report = Run::new(made(), "--image", image).report();
    assert_passed(&report, &[]);
}

#[test]
fn what_a_daemon_wrote_passes() {
    let root = TempDir::new().unwrap();
    Opened::read(&made().deb()).automode(root.path());
    let report = Run::new(made(), "--automode", root.path().to_str().unwrap()).report();
    assert_passed(
        &report,
        &[
            "package.modes",
            "package.md5sums",
            "package.control",
            "config.copies",
            "config.old-config",
            "image.dpkg-status",
            "image.content",
        ],
    );
}

#[test]
fn without_block_and_prefork_config_less_is_run_and_nothing_fails() {
    let candidate = TempDir::new().unwrap();
    made().copy_candidate(candidate.path());
    let path = candidate.path().join("candidate.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("block");
    fs::write(&path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
    let mut run = Run::new(made(), "--deb", made().deb().to_str().unwrap());
    run.candidate = candidate.path().to_owned();
    run.more.clear();
    assert_passed(
        &run.report(),
        &[
            "config.old-config",
            "block.readable",
            "block.state-hash",
            "block.length",
            "block.slots",
            "block.seeds",
            "block.consistent",
            "block.network",
            "image.dpkg-status",
            "image.content",
        ],
    );
}

#[test]
fn a_directory_must_have_one_package() {
    let directory = made().path("deb");
    let report = Run::new(made(), "--deb", directory.to_str().unwrap()).report();
    assert_passed(&report, &["image.dpkg-status", "image.content"]);
    let two = TempDir::new().unwrap();
    let output = TempDir::new().unwrap();
    let context = Context::quiet(OutputFormat::Json);
    for (name, found) in [("a.txt", "none"), ("a.deb", ""), ("b.deb", "several")] {
        fs::copy(made().deb(), two.path().join(name)).unwrap();
        let run = Run::new(made(), "--deb", two.path().to_str().unwrap());
        let outcome = verify_package::verify(&run.args(&output.path().join(name)), &context);
        match outcome {
            Ok(_) => assert_eq!(name, "a.deb"),
            Err(error) => {
                assert_eq!(error.class(), Class::BadInput);
                let text = format!("must have one file `*.deb`, found {found}");
                assert!(error.to_string().ends_with(&text), "{error}");
            }
        }
    }
}

/// Whoever decided the time of an emergency fork says it again, and is not overruled by stop slots.
#[test]
fn an_unscheduled_time_counts() {
    let deb = made().deb();
    let mut opened = Opened::read(&deb);
    let mut time = String::new();
    opened.config(|config| {
        let text = config["genesis"]["genesis_state_timestamp"].as_str();
        time = text.unwrap().to_owned();
    });
    let run = |more: &[&str]| {
        let mut run = Run::new(made(), "--deb", deb.to_str().unwrap());
        run.more.extend(more.iter().map(ToString::to_string));
        run
    };
    let report = run(&["--unscheduled", "--genesis-timestamp", &time]).report();
    assert_passed(&report, &["image.dpkg-status", "image.content"]);
    let by = report.fork_slot_by.as_deref();
    assert_eq!(by, Some("--genesis-timestamp"));
    let another = "2026-09-04T00:00:00Z";
    let report = run(&["--unscheduled", "--genesis-timestamp", another]).report();
    assert!(report.ids(Outcome::Failed).contains(&"config.fork-slot"));
    let output = TempDir::new().unwrap();
    let args = run(&["--genesis-timestamp", another]).args(&output.path().join("a"));
    let context = Context::quiet(OutputFormat::Json);
    let error = verify_package::verify(&args, &context).unwrap_err();
    assert_eq!(error.class(), Class::Usage, "{error}");
}

#[test]
fn the_exit_code_says_what_happened() {
    let output = TempDir::new().unwrap();
    let context = Context::quiet(OutputFormat::Json);
    let class = |kind: &str, subject: &str, name: &str| {
        let args = Run::new(made(), kind, subject).args(&output.path().join(name));
        args.run(&context).err().map(|error| error.0.class())
    };
    assert_eq!(class("--deb", made().deb().to_str().unwrap(), "a"), None);
    let root = TempDir::new().unwrap();
    let mut opened = Opened::read(&made().deb());
    opened.config(|config| config["ledger"]["add_genesis_winner"] = true.into());
    opened.write(&root.path().join("a.deb"));
    let path = root.path().join("a.deb");
    assert_eq!(
        class("--deb", path.to_str().unwrap(), "b"),
        Some(Class::Wrong)
    );
    fs::write(&path, "no package").unwrap();
    assert_eq!(
        class("--deb", path.to_str().unwrap(), "c"),
        Some(Class::BadInput)
    );
    for name in ["a", "b", "c"] {
        assert!(
            output.path().join(name).join("report.json").is_file(),
            "{name}"
        );
    }
    let run = Run::new(made(), "--deb", path.to_str().unwrap());
    let report = run.report();
    assert_eq!(report.ids(Outcome::Failed), ["package.readable"]);
    let context = Context::quiet(OutputFormat::Json);
    let mut nowhere = run;
    nowhere.candidate = root.path().join("none");
    let error = verify_package::verify(&nowhere.args(&output.path().join("d")), &context);
    assert!(matches!(
        error.unwrap_err().class(),
        Class::Environment | Class::BadInput
    ));
}
