//! What is refused, what is kept and what repeats, on bases of a few files.
#![allow(clippy::disallowed_methods)] // fixtures need no atomic writes
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod docker;
mod small;

use std::path::Path;
use std::process::Command;

use clap::Parser;
use fork_package::{DebBuilder, Image, Paragraph, Selection, StoredImage, Tree};
use fork_types::document::{Document, ImageDocument};
use fork_types::{Class, Compression, Fault};
use package_image::{Args, ImageError};
use small::{base, deb, deb_in};

fn make(root: &Path, deb: &Path, base: &Path, more: &[&str]) -> Result<ImageDocument, ImageError> {
    let mut line = vec![
        "package-image".into(),
        "--deb".into(),
        deb.as_os_str().to_owned(),
    ];
    line.extend(["--base".into(), format!("oci:{}", base.display()).into()]);
    line.extend(["--output".into(), root.join("out").into_os_string()]);
    line.extend(more.iter().map(Into::into));
    package_image::package(&Args::try_parse_from(line).unwrap(), &|_| ())
}

#[test]
fn the_base_is_kept_and_the_package_is_on_top() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let later = "Package: mina-y\nStatus: install ok installed\nVersion: 1\n\n";
    let base = base(root, later, &[("var/lib/coda", None)]);
    let document = make(
        root,
        &deb(root, ""),
        &base,
        &["--docker-archive", "out-a.tar", "--force"],
    );
    std::fs::remove_file("out-a.tar").unwrap();
    let document = document.unwrap();
    assert_eq!(document.tag, "2-bookworm-x");
    assert_eq!(document.base.os.as_deref(), Some("Test 1"));
    assert_eq!(document.contents[0].mode, "0640");
    assert_eq!(document.docker_archive.unwrap().name, "out-a.tar");
    assert!(!document.sources_verified);

    let image = Image::open_layout(&root.join("out"), Selection::default()).unwrap();
    assert_eq!(image.digest.to_string(), document.manifest_digest);
    assert_eq!(
        image.config.created.as_deref(),
        Some("2023-11-14T22:13:20Z")
    );
    let config = serde_json::to_value(&image.config).unwrap();
    assert_eq!(config["config"]["Entrypoint"][0], "/entrypoint.sh");
    assert_eq!(config["config"]["Labels"]["theirs"], "kept");
    assert_eq!(
        config["config"]["Labels"]["forkpack.package"],
        "mina-x-config"
    );
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    let tree = Tree::read(&image.layers, |path| path.starts_with("var/lib/dpkg")).unwrap();
    let text = |path: &str| {
        let content = tree.get(path).unwrap().content.clone().unwrap();
        String::from_utf8(content).unwrap()
    };
    let status = text("var/lib/dpkg/status");
    let names: Vec<_> = status
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "))
        .collect();
    assert_eq!(names, ["dpkg", "mina-x-config", "mina-y"]);
    assert_eq!(
        text("var/lib/dpkg/info/mina-x-config.list"),
        "/.\n/var\n/var/lib\n/var/lib/coda\n/var/lib/coda/x.json\n"
    );
    assert!(text("var/lib/dpkg/info/mina-x-config.md5sums").ends_with("  var/lib/coda/x.json\n"));
    // Existing directories keep their time, the new one has the package's.
    assert_eq!(tree.get("var/lib").unwrap().entry.mtime, 3);
    assert_eq!(tree.get("var/lib/coda").unwrap().entry.mtime, 3);
    assert_eq!(
        tree.get("var/lib/dpkg/info").unwrap().entry.mtime,
        1_700_000_000
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = base(root, "", &[]);
    let deb = deb(root, "");
    let inside = root.join("out/docker.tar");
    let archive = ["--docker-archive", inside.to_str().unwrap()];
    let one = make(root, &deb, &base, &archive).unwrap();
    std::fs::rename(root.join("out"), root.join("one")).unwrap();
    let two = make(root, &deb, &base, &archive).unwrap();
    assert_eq!(one, two);
    assert_eq!(one.docker_archive.unwrap().name, "docker.tar");
    let index = |name: &str| std::fs::read(root.join(name).join("index.json")).unwrap();
    assert_eq!(index("one"), index("out"));
    // Another time is another image.
    let three = make(root, &deb, &base, &["--source-date-epoch", "9", "--force"]).unwrap();
    assert_ne!(three.package_layer_digest, two.package_layer_digest);
    // Its own result is no base for the same package.
    std::fs::rename(root.join("out"), root.join("two")).unwrap();
    let error = make(root, &deb, &root.join("two"), &[]).unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    assert!(
        error
            .to_string()
            .contains("it is already there, in version 2"),
        "{error}"
    );
}

#[test]
fn the_compression_of_the_package_does_not_show() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = base(root, "", &[]);
    let mut made = Vec::new();
    for compression in Compression::ALL {
        let deb = deb_in(root, "", compression);
        let image = make(root, &deb, &base, &["--force"]).unwrap();
        made.push((image.package_layer_digest, image.contents));
    }
    made.dedup();
    assert_eq!(made.len(), 1);
}

#[test]
fn what_dpkg_would_refuse_is_refused() {
    // Control data of the package, status of the base, further files of the base, the reason.
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, Option<&'static str>)],
        &'static str,
    );
    const Y: &str = "Package: y\nStatus: install ok installed\nVersion: 1\nProvides: z (= 5)\n";
    let cases: [Case; 11] = [
        (
            "Breaks: y (<< 2)\n",
            Y,
            &[],
            "it has Breaks: y (<< 2), and y 1 is there",
        ),
        (
            "Conflicts: z (>= 5)\n",
            Y,
            &[],
            "it has Conflicts: z (>= 5), and y 1 is there",
        ),
        (
            "Depends: dpkg, q | z (>= 6)\n",
            Y,
            &[],
            "it has Depends: q | z (>= 6), which is not there",
        ),
        (
            "",
            "Package: y\nStatus: install ok installed\nVersion: 1\nBreaks: mina-x-config\n",
            &[],
            "y 1 declares Breaks on it",
        ),
        (
            "",
            "Package: y\nStatus: install ok unpacked\nVersion: 1\n",
            &[],
            "package y is in state `install ok unpacked`",
        ),
        (
            "",
            Y,
            &[("var/lib/coda", Some("-> /srv"))],
            "`/var/lib/coda` is not a directory there",
        ),
        (
            "",
            Y,
            &[("var/lib/coda", None), ("var/lib/coda/x.json", None)],
            "`/var/lib/coda/x.json` is a directory there",
        ),
        (
            "",
            Y,
            &[
                ("var/lib/coda", None),
                ("var/lib/coda/x.json", Some("old")),
                ("var/lib/dpkg/info", None),
                (
                    "var/lib/dpkg/info/y.list",
                    Some("/var\n/var/lib/coda/x.json\n"),
                ),
            ],
            "`/var/lib/coda/x.json` belongs to y",
        ),
        (
            "",
            Y,
            &[(
                "var/lib/dpkg/diversions",
                Some("/var/lib/coda/x.json\n/else\ny\n"),
            )],
            "`/var/lib/coda/x.json` is diverted",
        ),
        (
            "",
            Y,
            &[
                ("var/lib/dpkg/triggers", None),
                (
                    "var/lib/dpkg/triggers/File",
                    Some("/var/lib/coda y/noawait\n"),
                ),
            ],
            "`/var/lib/coda` would start a trigger of y",
        ),
        (
            "",
            Y,
            &[
                ("var/lib/dpkg/info", None),
                ("var/lib/dpkg/info/format", Some("2\n")),
            ],
            "database has format 2",
        ),
    ];
    for (control, status, more, reason) in cases {
        let root = tempfile::tempdir().unwrap();
        let base = base(root.path(), status, more);
        let error = make(root.path(), &deb(root.path(), control), &base, &[]).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert!(
            matches!(error.class(), Class::Wrong | Class::BadInput),
            "{error}"
        );
        assert!(!root.path().join("out").exists());
    }
    let root = tempfile::tempdir().unwrap();
    let base = base(root.path(), "", &[]);
    let foreign = deb(root.path(), "");
    make(root.path(), &foreign, &base, &[]).unwrap();
    let mut other = Paragraph::parse("Package: a\nVersion: 1\nArchitecture: arm64\n").unwrap();
    other.set("Codename", "bookworm").unwrap();
    DebBuilder::new(other, 0).write(&foreign).unwrap();
    let error = make(root.path(), &foreign, &base, &["--force"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is for arm64, the base is amd64"),
        "{error}"
    );
}

#[test]
fn the_same_bytes_for_everybody_and_without_a_network() {
    if !docker::have(&["unshare", "setpriv", "taskset", "touch", "chmod"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let program = root.join("package-image");
    std::fs::copy(env!("CARGO_BIN_EXE_package-image"), &program).unwrap();
    let base = base(root, "", &[]);
    let deb = deb(root, "");
    let outputs = root.join("outputs");
    std::fs::create_dir(&outputs).unwrap();
    // Anybody may read what is here, and write there.
    docker::run(Command::new("chmod").args(["-R", "a+rX"]).arg(root));
    docker::run(Command::new("chmod").arg("a+rwx").arg(&outputs));
    let make = |name: &str, wrapper: &str, variables: &[(&str, &str)]| {
        let script = format!(
            "{wrapper} {} --deb {} --base oci:{} --output {} --docker-archive {}.tar",
            program.display(),
            deb.display(),
            base.display(),
            outputs.join(name).display(),
            outputs.join(name).display(),
        );
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script])
            .env_remove("SOURCE_DATE_EPOCH");
        docker::run(command.envs(variables.iter().copied()));
    };
    make("one", "umask 022; unshare --net", &[]);
    let inputs = fork_fs::list_files(&base).unwrap();
    for (path, _) in inputs {
        docker::run(
            Command::new("touch")
                .args(["--date", "@5"])
                .arg(base.join(path)),
        );
    }
    docker::run(Command::new("touch").args(["--date", "@5"]).arg(&deb));
    let user = "umask 077; taskset --cpu-list 0 unshare --net setpriv --reuid=65534 --regid=65534 --clear-groups";
    let variables = [
        ("TZ", "Asia/Tokyo"),
        ("RAYON_NUM_THREADS", "1"),
        ("LANG", "tr_TR.UTF-8"),
    ];
    make("two", user, &variables);
    for (path, bytes) in fork_fs::list_files(&outputs.join("one")).unwrap() {
        let [one, two] =
            ["one", "two"].map(|name| std::fs::read(outputs.join(name).join(&path)).unwrap());
        if path == Path::new("image.json") {
            let [one, two] = [one, two].map(|text| String::from_utf8(text).unwrap());
            assert_eq!(one.replace("one.tar", "two.tar"), two);
        } else {
            assert_eq!(
                (one.len() as u64, &one),
                (bytes, &two),
                "{}",
                path.display()
            );
        }
    }
    let [one, two] = ["one.tar", "two.tar"].map(|name| std::fs::read(outputs.join(name)).unwrap());
    assert_eq!(one, two);
    let count = |name: &str| fork_fs::list_files(&outputs.join(name)).unwrap().len();
    assert_eq!(count("one"), count("two"));
}

#[test]
fn what_is_attached_describes_the_image() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = base(
        root,
        "Package: liby++6\nStatus: install ok installed\nVersion: 1:2+b\nArchitecture: amd64\n\
         Source: y (1)\nMaintainer: A B <a@example.org>\n\n\
         Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n",
        &[],
    );
    let deb = deb(root, "");
    let document = make(root, &deb, &base, &[]).unwrap();
    let stored = StoredImage::open(&root.join("out"), Selection::default()).unwrap();
    assert_eq!(
        stored.image.descriptor.digest.to_string(),
        document.manifest_digest
    );
    assert_eq!(stored.attachments.len(), 2);
    let mut contents = Vec::new();
    for (attached, said) in stored.attachments.iter().zip(&document.attachments) {
        let manifest = &attached.manifest;
        let subject = manifest.subject.as_ref().unwrap();
        assert_eq!(subject.digest.to_string(), document.manifest_digest);
        assert_eq!(attached.descriptor.digest.to_string(), said.manifest_digest);
        assert_eq!(
            manifest.artifact_type.as_deref(),
            Some(said.artifact_type.as_str())
        );
        assert_eq!(
            manifest.config.media_type,
            "application/vnd.oci.empty.v1+json"
        );
        assert_eq!(manifest.layers[0].digest.to_string(), said.digest);
        let path = fork_package::blob_path(&root.join("out"), &manifest.layers[0].digest);
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes.len() as u64, said.bytes);
        contents.push(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap());
    }
    let [sbom, statement] = contents.as_slice() else {
        panic!("{contents:?}");
    };
    let names: Vec<&str> = sbom["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "mina-x-config-image",
            "base",
            "mina-x-config",
            "dpkg",
            "liby++6"
        ]
    );
    let purl =
        |number: usize| sbom["packages"][number]["externalRefs"][0]["referenceLocator"].clone();
    assert_eq!(purl(2), "pkg:deb/debian/mina-x-config@2?arch=all");
    assert_eq!(
        purl(4),
        "pkg:deb/debian/liby%2B%2B6@1:2%2Bb?arch=amd64&upstream=y"
    );
    assert_eq!(
        sbom["packages"][4]["supplier"],
        "Person: A B (a@example.org)"
    );
    assert_eq!(sbom["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let file = &sbom["files"][0];
    assert_eq!(file["fileName"], "./var/lib/coda/x.json");
    // SHA-1 and SHA-256 of `{}`, and SHA-1 of the former: by sha1sum and sha256sum.
    assert_eq!(
        file["checksums"][0]["checksumValue"],
        "bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f"
    );
    assert_eq!(
        file["checksums"][1]["checksumValue"],
        document.contents[0].sha256
    );
    assert_eq!(
        sbom["packages"][2]["packageVerificationCode"]["packageVerificationCodeValue"],
        "f80dee827635db39077a458243379b3ad63311fd"
    );
    let namespace = sbom["documentNamespace"].as_str().unwrap();
    assert!(
        namespace.ends_with(&document.manifest_digest["sha256:".len()..]),
        "{namespace}"
    );

    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(
        statement["subject"][0]["digest"]["sha256"],
        document.manifest_digest["sha256:".len()..]
    );
    let build = &statement["predicate"]["buildDefinition"];
    let dependencies = &build["resolvedDependencies"];
    assert_eq!(dependencies[0]["digest"]["sha256"], document.deb.sha256);
    assert_eq!(
        dependencies[1]["digest"]["sha256"],
        document.base.digest["sha256:".len()..]
    );
    let parameters = serde_json::json!({"deb": "x.deb", "base": "oci", "architecture": "amd64",
        "sourceDateEpoch": 1_700_000_000});
    assert_eq!(build["externalParameters"], parameters);
    // They are beside the image, not in it.
    let text = String::from_utf8(stored.image.bytes).unwrap();
    assert!(
        !text.contains("spdx") && !text.contains("in-toto"),
        "{text}"
    );
}

/// The standard's own tools read the list, and see when it is wrong.
#[test]
fn the_sbom_is_what_the_standard_says() {
    if !docker::have_programs(&["python3"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let document = make(root, &deb(root, ""), &base(root, "", &[]), &[]).unwrap();
    let digest = document.attachments[0].digest.parse().unwrap();
    let path = fork_package::blob_path(&root.join("out"), &digest);
    let check = |path: &Path| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check-sbom");
        let output = Command::new(script).arg(path).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = check(&path);
    assert_eq!(code, Some(0), "{said}");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"algorithm\":\"SHA1\"", "\"algorithm\":\"SHA256\""),
        ("\"DESCENDANT_OF\"", "\"DESCENDED_FROM\""),
        ("SPDX-2.3", "SPDX-9.9"),
    ] {
        assert!(text.contains(from), "{text}");
        let wrong = root.join("wrong.spdx.json");
        std::fs::write(&wrong, text.replace(from, to)).unwrap();
        let (code, said) = check(&wrong);
        assert_eq!(code, Some(4), "{to}: {said}");
    }
}

#[test]
fn exit_codes_of_the_binary() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = base(root, "", &[]);
    let package = deb(root, "");
    let run = |deb: &Path, base: &str, output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_package-image"));
        command
            .env_remove("SOURCE_DATE_EPOCH")
            .args(["--format", "json", "--base", base]);
        command
            .arg("--deb")
            .arg(deb)
            .arg("--output")
            .arg(root.join(output));
        command.output().unwrap()
    };
    let good = format!("oci:{}", base.display());
    let done = run(&package, &good, "out");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let document = ImageDocument::from_json(&done.stdout).unwrap();
    assert_eq!(
        std::fs::read(root.join("out/image.json")).unwrap(),
        document.to_json().unwrap()
    );
    for (deb, base, output, code, message) in [
        (
            &package,
            good.as_str(),
            "out",
            2,
            "already exists and is not empty",
        ),
        (
            &package,
            "debian:bookworm",
            "b",
            2,
            "with the host written out",
        ),
        (
            &root.join("nowhere.deb"),
            good.as_str(),
            "c",
            5,
            "nowhere.deb",
        ),
        (
            &package,
            "oci:/nonexistent",
            "d",
            5,
            "/nonexistent/oci-layout",
        ),
        (&package, "rootfs:/nonexistent", "e", 5, "/nonexistent"),
        (
            &package,
            "docker-archive:/nonexistent",
            "f",
            5,
            "/nonexistent",
        ),
    ] {
        let failed = run(deb, base, output);
        let text = String::from_utf8(failed.stderr).unwrap();
        assert_eq!(failed.status.code(), Some(code), "{base}: {text}");
        assert!(text.contains(message), "{base}: {text}");
        assert!(failed.stdout.is_empty());
    }
}
