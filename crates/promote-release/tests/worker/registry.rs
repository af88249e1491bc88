//! The tag of an image in a real registry: set by digest after ALLOW, looked at afterwards, never moved
//! back.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::place::{BINARY, Place};

/// Debian's `docker-registry` on a free port.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(place: &Place) -> Self {
        let data = place.path("registry").display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {data}}}\nhttp: {{addr: \"127.0.0.1:0\", secret: x}}\n"
        );
        place.write("registry.yml", &config);
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(place.path("registry.yml"))
            .env_remove("REGISTRY_HTTP_ADDR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let from = said.len();
            let count = log.read_line(&mut said).unwrap();
            assert!(count > 0, "docker-registry ended:\n{said}");
            if let Some((_, rest)) = said[from..].split_once("listening on ") {
                break rest[..rest.find(['"', ' ', '\n']).unwrap()].to_owned();
            }
        };
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { child, address }
    }

    /// What a tag names, asked by another client.
    fn tag(&self, tag: &str) -> Option<String> {
        let output = Command::new("curl")
            .args(["--silent", "--fail", "--head", "--header"])
            .arg("Accept: application/vnd.oci.image.manifest.v1+json")
            .arg(format!("http://{}/v2/mina/manifests/{tag}", self.address))
            .output()
            .unwrap();
        let head = String::from_utf8(output.stdout)
            .unwrap()
            .to_ascii_lowercase();
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest: "))?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `package-image`, beside the worker or in `FORKPACK_BIN_DIR`. `scripts/test` builds it first.
fn package_image() -> Option<PathBuf> {
    let directory = std::env::var_os("FORKPACK_BIN_DIR").map_or_else(
        || Path::new(BINARY).parent().unwrap().to_owned(),
        PathBuf::from,
    );
    let path = directory.join("package-image");
    let has = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|one| one.join(program).is_file())
    };
    if path.is_file() && has("docker-registry") && has("curl") {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "package-image, docker-registry or curl is missing"
    );
    eprintln!(
        "NOT TESTED: tags in a registry, because package-image, docker-registry or curl is missing"
    );
    None
}

const PROMOTE: &str = "promote --release out/mina-hardfork/release --to publish --artifacts out/mina-hardfork/artifacts --log-key out/mina-hardfork/keys/log-0.pem --effects effects.toml";
const TAG: &str = "3.0.0-mesa";

#[test]
fn a48_t9_a_tag_in_a_registry_is_set_by_digest_and_never_moved_back() {
    let Some(package_image) = package_image() else {
        return;
    };
    let worker = package_image.display().to_string();
    let place = Place::with_keys(&[]);
    let registry = Registry::start(&place);
    let repository = format!("{}/mina", registry.address);
    place.run(
        "practice mina-hardfork --before enter:publish --output out",
        0,
    );
    let image = |arguments: &[&str]| {
        Command::new(&worker)
            .args(arguments)
            .current_dir(place.directory.path())
            .output()
            .unwrap()
    };
    let pushed = image(&[
        "push",
        "out/mina-hardfork/artifacts/mina-image",
        &format!("{repository}:built"),
    ]);
    assert!(
        pushed.status.success(),
        "{}",
        String::from_utf8_lossy(&pushed.stderr)
    );
    let ours = registry.tag("built").unwrap();

    // The program tags what the decision was about, by digest; looking is another client's.
    let look = "curl --silent --fail --head --header 'Accept: application/vnd.oci.image.manifest.v1+json' http://$0/v2/mina/manifests/$1 | tr -d '\\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'";
    let effects = |promote: &str| {
        place.write("effects.toml", &format!(
            "[executor.suite]\nrun = [\"touch\", \"suite\"]\ncheck = [\"test\", \"-e\", \"suite\"]\n\
             [executor.tag]\nrun = {promote}\ncheck = [\"sh\", \"-c\", {look:?}, {:?}, \"{{target}}\"]\nexpect = \"{{digest:mina-image}}\"\n",
            registry.address
        ));
    };
    let by_digest = format!(
        "[{worker:?}, \"promote\", \"{repository}@{{digest:mina-image}}\", \"{{target}}\"]"
    );

    // A program that ends well and tags nothing is found out.
    effects("[\"true\"]");
    let said = place.run(PROMOTE, 6);
    assert!(said.contains(TAG), "{said}");
    assert_eq!(registry.tag(TAG), None);
    effects(&by_digest);
    place.run(PROMOTE, 0);
    assert_eq!(registry.tag(TAG).as_deref(), Some(ours.as_str()));
    let manifest = fs::read(place.path("out/mina-hardfork/release/log.jsonl")).unwrap();
    // Again: nothing is done, nothing is written.
    let said = place.run(PROMOTE, 0);
    assert!(said.contains("done already"), "{said}");
    assert_eq!(
        fs::read(place.path("out/mina-hardfork/release/log.jsonl")).unwrap(),
        manifest
    );
    place.run("audit --release out/mina-hardfork/release", 0);
    assert_eq!(registry.tag(TAG).as_deref(), Some(ours.as_str()));

    // Somebody else's image has the tag already: it stays, and the run says so.
    let place_2 = Place::with_keys(&[]);
    place_2.run(
        "practice mina-hardfork --before enter:publish --output out",
        0,
    );
    let newer = newer_image(&place_2);
    let pushed = image(&[
        "push",
        newer.to_str().unwrap(),
        &format!("{repository}:newer"),
    ]);
    assert!(
        pushed.status.success(),
        "{}",
        String::from_utf8_lossy(&pushed.stderr)
    );
    let theirs = registry.tag("newer").unwrap();
    assert_ne!(theirs, ours);
    let moved = image(&[
        "promote",
        &format!("{repository}@{theirs}"),
        TAG,
        "--move-from",
        &ours,
    ]);
    assert!(
        moved.status.success(),
        "{}",
        String::from_utf8_lossy(&moved.stderr)
    );
    fs::copy(place.path("effects.toml"), place_2.path("effects.toml")).unwrap();
    let said = place_2.run(PROMOTE, 6);
    assert!(said.contains(TAG), "{said}");
    assert_eq!(
        registry.tag(TAG).as_deref(),
        Some(theirs.as_str()),
        "never moved back silently"
    );
    let status = place_2.json("status --release out/mina-hardfork/release");
    let tag = status["actions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["executor"] == "tag")
        .unwrap();
    assert!(tag["done"].is_null(), "it is not recorded as done: {tag}");
    place_2.run("audit --release out/mina-hardfork/release", 0);
    // Who really wants it back says from where, and the same command goes on.
    let back = format!(
        "[{worker:?}, \"promote\", \"{repository}@{{digest:mina-image}}\", \"{{target}}\", \"--move-from\", \"{theirs}\"]"
    );
    let text = fs::read_to_string(place_2.path("effects.toml")).unwrap();
    place_2.write("effects.toml", &text.replace(&by_digest, &back));
    place_2.run(PROMOTE, 0);
    assert_eq!(registry.tag(TAG).as_deref(), Some(ours.as_str()));
}

/// Another image, as a later build would give it.
fn newer_image(place: &Place) -> PathBuf {
    use fork_package::oci::{History, ImageConfig};
    use fork_package::{Attributes, LayoutWriter, PackageError};
    let path = place.path("newer");
    let writer = LayoutWriter::create(&path).unwrap();
    let layer = writer
        .put_layer::<PackageError>(|tar| {
            tar.append_bytes("usr/newer", Attributes::root(0o644, 0), b"newer")?;
            Ok(())
        })
        .unwrap();
    let mut config = ImageConfig::empty("amd64");
    config.push_layer(layer.diff_id.clone(), History::default());
    writer.finish(&config, &[layer], "newer").unwrap();
    path
}
