//! Images judged by a real dpkg and a real container engine, on a real Debian system.
//!
//! Needs what `docker` says, and dpkg.
#![allow(clippy::disallowed_methods)] // fixtures need no atomic writes
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod docker;
#[path = "../../package-deb/tests/fake/mod.rs"]
mod fake;
mod serve;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use docker::{Engine, have, rootfs, run};
use fork_package::oci::{History, ImageConfig};
use fork_package::{Image, LayoutWriter, Rootfs, Selection, Tree};
use fork_types::document::{DebDocument, ImageDocument};

const PACKAGE: &str = "mina-devnet-config";

fn deb(root: &Path) -> (DebDocument, PathBuf) {
    let fake = fake::fake(&root.join("in"), fake::Options::default());
    let output = root.join("deb");
    let mut line: Vec<&OsStr> = vec![OsStr::new("package-deb"), OsStr::new("--network-config")];
    line.extend([fake.network.as_os_str(), OsStr::new("--ledgers")]);
    line.extend(fake.ledgers.iter().map(|path| path.as_os_str()));
    let fixed = [
        "--version=4.0.0-6850301",
        "--git-hash=68503010",
        "--seed-list-url=https://example.org/seeds.txt",
        "--output",
    ];
    line.extend(fixed.map(OsStr::new));
    line.push(output.as_os_str());
    let args = package_deb::Args::try_parse_from(line).unwrap();
    (package_deb::package(&args, &|_| ()).unwrap(), output)
}

fn image(deb: &Path, base: &str, output: &Path, more: &[&str]) -> ImageDocument {
    let mut line = vec![
        OsStr::new("package-image"),
        OsStr::new("--deb"),
        deb.as_os_str(),
    ];
    line.extend([
        OsStr::new("--base"),
        OsStr::new(base),
        OsStr::new("--output"),
    ]);
    line.push(output.as_os_str());
    line.extend(more.iter().map(OsStr::new));
    let args = package_image::Args::try_parse_from(line).unwrap();
    package_image::package(&args, &|_| ()).unwrap()
}

#[test]
fn the_database_is_what_dpkg_writes() {
    if !have(&["dpkg", "cp"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (document, directory) = deb(root.path());
    let system = root.path().join("system");
    run(Command::new("cp").arg("-a").arg(rootfs()).arg(&system));
    run(Command::new("dpkg")
        .arg("--root")
        .arg(&system)
        .args(["--log=/dev/null", "--install"])
        .arg(directory.join(&document.file.name)));

    let base = format!("rootfs:{}", rootfs().display());
    let output = root.path().join("image");
    let image_document = image(&directory, &base, &output, &[]);
    assert!(image_document.sources_verified);
    assert_eq!(image_document.contents, document.contents);
    let image = Image::open_layout(&output, Selection::default()).unwrap();
    let tree = Tree::read(&image.layers, |path| path.starts_with("var/lib/dpkg/")).unwrap();
    for path in [
        "var/lib/dpkg/status".to_owned(),
        format!("var/lib/dpkg/info/{PACKAGE}.list"),
        format!("var/lib/dpkg/info/{PACKAGE}.md5sums"),
    ] {
        let ours = tree.get(&path).unwrap().content.clone().unwrap();
        let theirs = fs::read(system.join(&path)).unwrap();
        assert_eq!(
            String::from_utf8(ours).unwrap(),
            String::from_utf8(theirs).unwrap(),
            "{path}"
        );
    }
    // Everything else of the system is as it was, and the package's files are there.
    for (path, _) in tree.iter() {
        assert!(system.join(path).symlink_metadata().is_ok(), "{path}");
    }
}

/// What must hold inside every image. One container for all of it: with the vfs driver, each one
/// copies the whole file system.
fn check_inside(engine: &Engine, image: &str, document: &DebDocument) {
    let paths: Vec<&str> = document
        .contents
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let script = [
        format!("dpkg -s {PACKAGE}"),
        format!("dpkg -L {PACKAGE}"),
        format!("sha256sum {}", paths.join(" ")),
        "dpkg --verify".to_owned(),
        "dpkg --audit".to_owned(),
        // The base is whole: programs run, and links of the merged /usr lead somewhere.
        "test -L /bin".to_owned(),
        "perl -e 1".to_owned(),
    ]
    .join(" && echo === && ");
    let output = engine.inside(image, &["/bin/sh", "-c", &script]);
    let parts: Vec<&str> = output.split("===\n").collect();
    let [status, listed, sums, verified, audited, ..] = parts.as_slice() else {
        panic!("{output}");
    };
    assert!(status.contains("Status: install ok installed"), "{status}");
    assert!(status.contains("Version: 4.0.0-6850301"), "{status}");
    assert_eq!((*verified, *audited), ("", ""));
    for file in &document.contents {
        assert!(listed.lines().any(|line| line == file.path), "{listed}");
        assert!(
            sums.contains(&format!("{}  {}\n", file.sha256, file.path)),
            "{sums}"
        );
    }
}

#[test]
fn the_engine_runs_what_was_made() {
    if !have(&["dockerd", "docker", "docker-registry", "dpkg", "tar"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (document, directory) = deb(root);
    let engine = Engine::start();

    // On a root file system.
    let archive = root.join("a.tar");
    let archive_option = ["--docker-archive", archive.to_str().unwrap()];
    let base = format!("rootfs:{}", rootfs().display());
    let first = image(&directory, &base, &root.join("first"), &archive_option);
    assert_eq!(first.tag, "4.0.0-6850301-bookworm-devnet");
    let again = image(&directory, &base, &root.join("again"), &[]);
    assert_eq!(first.manifest_digest, again.manifest_digest);
    engine.docker(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let name = format!("mina-daemon:{}", first.tag);
    check_inside(&engine, &name, &document);
    let id = engine.docker(&["inspect", "--format", "{{.Id}}", &name]);
    assert_eq!(id.trim(), first.config_digest);
    let created = engine.docker(&["inspect", "--format", "{{.Created}}", &name]);
    assert_eq!(created.trim(), "2026-08-19T18:00:00Z");

    // On what `docker save` writes, with settings that must survive.
    let rootfs_tar = root.join("rootfs.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&rootfs_tar)
        .arg("-C")
        .arg(rootfs())
        .arg("."));
    let change = [
        "--change",
        "ENTRYPOINT [\"/usr/bin/env\"]",
        "--change",
        "LABEL theirs=kept",
    ];
    let mut import = vec!["import"];
    import.extend(change);
    import.extend([rootfs_tar.to_str().unwrap(), "base:1"]);
    engine.docker(&import);
    let saved = root.join("saved.tar");
    engine.docker(&["save", "--output", saved.to_str().unwrap(), "base:1"]);
    let base = format!("docker-archive:{}", saved.display());
    let more = [
        archive_option[0],
        archive_option[1],
        "--force",
        "--tag",
        "second:1",
    ];
    let second = image(&directory, &base, &root.join("second"), &more);
    assert_eq!(second.base.kind, "docker-archive");
    engine.docker(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    check_inside(&engine, "second:1", &document);
    let inspect = |format: &str| engine.docker(&["inspect", "--format", format, "second:1"]);
    assert_eq!(
        inspect("{{json .Config.Entrypoint}}").trim(),
        "[\"/usr/bin/env\"]"
    );
    assert_eq!(inspect("{{.Config.Labels.theirs}}").trim(), "kept");

    // On an OCI layout; a rebuilt layer is the same blob wherever the base came from.
    let layout_root = root.join("layout");
    let layout = LayoutWriter::create(&layout_root).unwrap();
    let rootfs = Rootfs::open(&rootfs()).unwrap();
    let layer = layout
        .put_layer(|tar| rootfs.write(tar, fake::GENESIS_SECONDS))
        .unwrap();
    let mut config = ImageConfig::empty(
        std::env::consts::ARCH
            .replace("x86_64", "amd64")
            .replace("aarch64", "arm64")
            .as_str(),
    );
    config.push_layer(layer.diff_id.clone(), History::default());
    layout.finish(&config, &[layer], "base").unwrap();
    let base = format!("oci:{}", layout_root.display());
    let more = [
        archive_option[0],
        archive_option[1],
        "--force",
        "--tag",
        "third:1",
        "--base-tag",
        "base",
    ];
    let third = image(&directory, &base, &root.join("third"), &more);
    assert_eq!(third.package_layer_digest, first.package_layer_digest);

    // The engine takes from a registry what was pushed there, attachments beside it or not.
    let server = serve::Server::start(false);
    let repository = format!("{}/mina/daemon", server.address);
    run(Command::new(env!("CARGO_BIN_EXE_package-image"))
        .arg("push")
        .arg(root.join("first"))
        .arg(&repository));
    let name = format!("{repository}:{}", first.unique_tag);
    engine.docker(&["pull", "--quiet", &name]);
    let inspect = |format: &str| engine.docker(&["inspect", "--format", format, &name]);
    assert_eq!(inspect("{{.Id}}").trim(), first.config_digest);
    let pinned = format!("{repository}@{}", first.manifest_digest);
    assert_eq!(inspect("{{index .RepoDigests 0}}").trim(), pinned);

    engine.docker(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    check_inside(&engine, "third:1", &document);
}

/// The image in which the steps of the pipeline run is made with our own tools; everything a step calls
/// starts in it.
#[test]
fn the_workers_run_in_their_image() {
    if !have(&["dockerd", "docker", "jq", "strip", "dpkg-deb"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let archive = root.join("workers.tar");
    let digest = run(Command::new(project.join("scripts/make-worker-image"))
        .arg(root.join("image"))
        .arg(format!("rootfs:{}", rootfs().display()))
        .arg("--docker-archive")
        .arg(&archive)
        .env("WORKERS_BUILT", "1")
        .env("SOURCE_DATE_EPOCH", "1788458400"));
    assert!(digest.starts_with("sha256:"), "{digest}");

    let engine = Engine::start();
    engine.docker(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let document = fs::read_to_string(root.join("image/image.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let name = format!("forkpack:{}", document["tag"].as_str().unwrap());
    // Every worker that the pipelines call, by the words they call it with.
    let mut called = Vec::new();
    for entry in fs::read_dir(project.join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yml") {
            called.push(fs::read_to_string(path).unwrap());
        }
    }
    let called = called.join("\n");
    let mut script = String::new();
    for crate_name in fs::read_dir(project.join("crates")).unwrap() {
        let crate_name = crate_name.unwrap();
        let worker = crate_name.file_name().into_string().unwrap();
        let is_binary = crate_name.path().join("src/main.rs").exists();
        if is_binary && called.contains(&format!("{worker} ")) {
            script.push_str(&format!("{worker} --help >/dev/null; echo {worker};"));
        }
    }
    let answered = engine.inside(&name, &["/bin/bash", "-e", "-c", &script]);
    assert!(answered.lines().count() >= 7, "{answered}");
    assert!(answered.contains("migrate-ledger"), "{answered}");
}
