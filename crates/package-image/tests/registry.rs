//! Images to and from a real registry.
//!
//! Needs docker-registry and curl (see `scripts/install-deps`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

mod docker;
mod serve;
mod small;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use docker::have_programs;
use fork_package::oci::Digest;
use fork_package::{Image, Selection, StoredImage};
use fork_types::document::{Document, ImageDocument};
use serde_json::{Value, json};
use serve::{PASSWORD, Server, USER};

/// Runs the program without anybody's credentials, and checks that none shows up.
fn run_as(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_package-image"));
    for name in ["USER", "PASSWORD", "TOKEN", "CONFIG"] {
        command.env_remove(format!("FORKPACK_REGISTRY_{name}"));
    }
    command
        .env_remove("SOURCE_DATE_EPOCH")
        .envs(environment.iter().copied())
        .args(arguments);
    let output = command.output().unwrap();
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        assert!(!text.contains(PASSWORD), "{text}");
    }
    output
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn run(arguments: &[&str]) -> Value {
    let line: Vec<&str> = arguments.iter().copied().chain(["--format=json"]).collect();
    json_of(&run_as(&[], &line))
}

#[track_caller]
fn fails(output: &Output, code: i32, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(message), "{message}: {stderr}");
    assert!(output.stdout.is_empty());
}

/// Builds an image of the small package; its document and directory.
fn build(root: &Path, name: &str, base: &str, more: &[&str]) -> (ImageDocument, PathBuf) {
    let deb = root.join("x.deb");
    if !deb.exists() {
        small::deb(root, "");
    }
    let output = root.join(name);
    let mut line = vec!["--deb", deb.to_str().unwrap(), "--base", base];
    line.extend(["--output", output.to_str().unwrap()]);
    line.extend(more);
    run(&line);
    let bytes = std::fs::read(output.join("image.json")).unwrap();
    (ImageDocument::from_json(&bytes).unwrap(), output)
}

/// The files of a layout and the digests of their contents.
fn files(directory: &Path) -> Vec<(PathBuf, Digest)> {
    let listed = fork_fs::list_files(directory).unwrap().into_iter();
    let digest = |path: &Path| Digest::of(&std::fs::read(directory.join(path)).unwrap());
    listed
        .map(|(path, _)| path)
        .filter(|path| path != Path::new("image.json"))
        .map(|path| (path.clone(), digest(&path)))
        .collect()
}

fn tags(server: &Server, repository: &str) -> Vec<String> {
    let url = format!("http://{}/v2/{repository}/tags/list", server.address);
    let listed = docker::run(Command::new("curl").args(["--silent", &url]));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut tags: Vec<String> = serde_json::from_value(listed["tags"].clone()).unwrap_or_default();
    tags.sort();
    tags
}

#[test]
fn a_real_registry_gives_back_what_it_was_given() {
    if !have_programs(&["docker-registry", "curl"]) {
        return;
    }
    let server = Server::start(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = format!("oci:{}", small::base(root, "", &[]).display());
    let repository = format!("{}/mina/daemon", server.address);
    let (document, directory) = build(root, "image", &base, &["--push", &repository]);
    let digest = &document.manifest_digest;
    let list = digest.replace(':', "-");
    assert_eq!(
        document.unique_tag,
        format!("2-bookworm-x-{}", &digest[7..19])
    );
    let mut expected = vec!["2-bookworm-x".to_owned(), document.unique_tag.clone(), list];
    expected.sort();
    assert_eq!(tags(&server, "mina/daemon"), expected);

    let layout = directory.to_str().unwrap();
    let again = run(&["push", layout, &repository]);
    assert_eq!(
        (&again["blobs_sent"], &again["bytes_sent"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(again["referrers"], "tag");
    assert_eq!(again["tags"][1]["outcome"], "unchanged");

    let pulled = root.join("pulled");
    let name = format!("docker://{repository}:2-bookworm-x");
    let report = run(&["pull", &name, pulled.to_str().unwrap(), "--attachments"]);
    assert_eq!(
        report["reference"],
        format!("{repository}:2-bookworm-x@{digest}")
    );
    assert_eq!(files(&pulled), files(&directory));

    // By digest, without the attachments, into another registry name.
    let plain = root.join("plain");
    run(&[
        "pull",
        &format!("{repository}@{digest}"),
        plain.to_str().unwrap(),
    ]);
    assert_eq!(
        StoredImage::open(&plain, Selection::default())
            .unwrap()
            .attachments
            .len(),
        0
    );
    let untagged = run_as(&[], &["push", plain.to_str().unwrap(), &repository]);
    fails(&untagged, 2, "no tag is named");
    let other = format!("{}/other:stable", server.address);
    let pushed = run(&["push", plain.to_str().unwrap(), &other]);
    assert_eq!(pushed["digest"], digest.as_str());
    assert_eq!(pushed["referrers"], Value::Null);
    assert_eq!(
        tags(&server, "other"),
        ["stable".to_owned(), format!("stable-{}", &digest[7..19])]
    );
}

#[test]
fn a_tag_is_moved_by_promotion_alone() {
    if !have_programs(&["docker-registry", "curl"]) {
        return;
    }
    let server = Server::start(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = format!("oci:{}", small::base(root, "", &[]).display());
    let repository = format!("{}/mina", server.address);
    let (one, _) = build(root, "one", &base, &["--push", &repository]);
    // Same version, codename and network; other bytes.
    let (two, directory) = build(root, "two", &base, &["--source-date-epoch", "9"]);
    assert_eq!(one.tag, two.tag);
    assert_ne!(one.unique_tag, two.unique_tag);
    let layout = directory.to_str().unwrap();
    let taken = run_as(&[], &["push", layout, &repository]);
    let message = format!(
        "names {} already, not {}",
        one.manifest_digest, two.manifest_digest
    );
    fails(&taken, 4, &message);
    assert_eq!(
        tags(&server, "mina").len(),
        3,
        "nothing of the second is there"
    );
    // Building is not undone when pushing fails.
    let output = root.join("three");
    let refused = run_as(
        &[],
        &[
            "--deb",
            root.join("x.deb").to_str().unwrap(),
            "--base",
            &base,
            "--output",
            output.to_str().unwrap(),
            "--source-date-epoch",
            "9",
            "--push",
            &repository,
        ],
    );
    fails(&refused, 4, &message);
    assert!(output.join("image.json").exists());

    run(&["push", layout, &format!("{repository}:next")]);
    let pinned = format!("{repository}@{}", two.manifest_digest);
    fails(
        &run_as(&[], &["promote", &pinned, &one.tag, "new"]),
        4,
        &message,
    );
    assert!(!tags(&server, "mina").contains(&"new".to_owned()));
    let promote = |from: &str| run(&["promote", &pinned, &one.tag, "new", "--move-from", from]);
    let moved = promote(&one.manifest_digest);
    let outcomes = [&moved["tags"][0]["outcome"], &moved["tags"][1]["outcome"]];
    assert_eq!(outcomes, ["moved", "set"]);
    assert_eq!(
        promote(&one.manifest_digest)["tags"][0]["outcome"],
        "unchanged"
    );
    let pulled = root.join("pulled");
    let name = format!("{repository}:{}", one.tag);
    assert_eq!(
        run(&["pull", &name, pulled.to_str().unwrap()])["digest"],
        two.manifest_digest
    );
    let nothing = format!("{repository}@sha256:{}", "0".repeat(64));
    fails(
        &run_as(&[], &["promote", &nothing, "x"]),
        5,
        "it is not there",
    );
}

#[test]
fn a_base_may_lie_in_a_registry() {
    if !have_programs(&["docker-registry", "curl"]) {
        return;
    }
    let server = Server::start(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let repository = format!("{}/debian", server.address);
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let directory = root.join(architecture);
        small::base_for(architecture, &directory, "", &[]);
        let target = format!("{repository}:{architecture}");
        run(&["push", directory.to_str().unwrap(), &target]);
        let stored = StoredImage::open(&directory, Selection::default()).unwrap();
        entries.push(serde_json::to_value(stored.image.descriptor).unwrap());
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).to_string();
    docker::run(Command::new("curl").args([
        "--silent",
        "--fail",
        "--request",
        "PUT",
        "--header",
        &format!("Content-Type: {kind}"),
        "--data-binary",
        &index,
        &format!("http://{}/v2/debian/manifests/12", server.address),
    ]));

    let by_tag = format!("docker://{repository}:12");
    let (document, directory) = build(root, "arm", &by_tag, &["--architecture", "arm64"]);
    let top = Digest::of(index.as_bytes());
    assert_eq!(document.base.kind, "registry");
    assert_eq!(
        document.base.reference.as_deref(),
        Some(format!("{repository}:12@{top}").as_str())
    );
    assert_eq!(document.base.digest, entries[1]["digest"].as_str().unwrap());
    let image = Image::open_layout(&directory, Selection::default()).unwrap();
    assert_eq!(image.config.architecture, "arm64");
    // What the document says is enough to do it again, and the same as from a layout.
    let pinned = document.base.reference.clone().unwrap();
    let (again, _) = build(root, "again", &pinned, &["--architecture", "arm64"]);
    let local = format!("oci:{}", root.join("arm64").display());
    let (local, _) = build(root, "local", &local, &[]);
    assert_eq!(again.manifest_digest, document.manifest_digest);
    assert_eq!(local.manifest_digest, document.manifest_digest);

    let output = root.join("none");
    let deb = root.join("x.deb");
    let with = |base: &str| {
        let line = ["--deb", deb.to_str().unwrap(), "--base", base];
        run_as(
            &[],
            &[&line[..], &["--output", output.to_str().unwrap()]].concat(),
        )
    };
    for (base, code, message) in [
        (
            by_tag.as_str(),
            5,
            "it holds 2 images with tag any for architecture any; name one",
        ),
        (&format!("{repository}:nothing"), 5, "it is not there"),
        (
            &format!("{}/nowhere:1", server.address),
            5,
            "it is not there",
        ),
        (&repository, 2, "neither tag nor digest"),
        ("debian:12", 2, "with the host written out"),
    ] {
        fails(&with(base), code, message);
        assert!(!output.exists());
    }
    // Nothing beside it either.
    let left = fork_fs::sorted_names(root).unwrap();
    assert!(
        left.iter()
            .all(|name| !name.to_str().unwrap().starts_with('.')),
        "{left:?}"
    );
}

#[test]
fn a_closed_registry_wants_a_password() {
    if !have_programs(&["docker-registry"]) {
        return;
    }
    let server = Server::start(true);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = small::base(root, "", &[]);
    let layout = base.to_str().unwrap();
    let target = format!("{}/mina:base", server.address);
    let line = ["push", layout, &target];
    let user = ("FORKPACK_REGISTRY_USER", USER);
    let password = |text: &'static str| ("FORKPACK_REGISTRY_PASSWORD", text);
    fails(&run_as(&[], &line), 6, "FORKPACK_REGISTRY_USER");
    fails(
        &run_as(&[user, password("hunter2-wrong")], &line),
        6,
        "access is denied",
    );
    fails(
        &run_as(&[("FORKPACK_REGISTRY_TOKEN", "t")], &line),
        6,
        "access is denied",
    );
    fails(&run_as(&[user], &line), 2, "a user without a password");
    json_of(&run_as(
        &[user, password(PASSWORD)],
        &[&line[..], &["--format=json"]].concat(),
    ));

    // A file of `docker login`; the environment comes first.
    let config = root.join("config.json");
    let auth = "bWU6aHVudGVyMi1tYXJrZXI=";
    let text = json!({"auths": {&server.address: {"auth": auth}}}).to_string();
    std::fs::write(&config, text).unwrap();
    let pulled = root.join("pulled");
    let option = [
        "--registry-config",
        config.to_str().unwrap(),
        "--format=json",
    ];
    let line = [&["pull", &target, pulled.to_str().unwrap()], &option[..]].concat();
    fails(
        &run_as(&[user, password("hunter2-wrong")], &line),
        6,
        "access is denied",
    );
    assert!(!pulled.exists());
    json_of(&run_as(&[], &line));
    assert_eq!(files(&pulled), files(&base));
}
