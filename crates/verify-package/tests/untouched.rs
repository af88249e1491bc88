//! A package as the workers make it passes in every form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use fork_types::{Class, Fault};
use fork_worker::{Context, OutputFormat, Worker};
use support::{Made, Opened, Run, assert_passed, dpkg_agrees, has_dpkg};
use tempfile::TempDir;
use verify_package::Outcome;

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
