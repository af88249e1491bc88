//! `package-deb upload-ledgers` into a bucket, with ledgers of the shipped fixture.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use fork_e2e::s3::{Fault, S3Server};
use serde_json::Value;

use crate::support::{Ran, binary, command, run};

struct Rig {
    server: S3Server,
    directory: tempfile::TempDir,
}

impl Rig {
    /// Three migrated ledgers.
    fn new() -> Self {
        let rig = Self {
            server: S3Server::start().unwrap(),
            directory: tempfile::tempdir().unwrap(),
        };
        let fixture = |name: &str| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/small");
            root.join(name).to_str().unwrap().to_owned()
        };
        let (network, prefork) = (fixture("network.toml"), fixture("prefork_config.json"));
        let (config, block) = (fixture("fork_config.json"), fixture("block.json"));
        rig.make(
            "dump-candidates",
            &[
                "import",
                "--network",
                &network,
                "--prefork-config",
                &prefork,
                "--fork-config",
                &config,
                "--block",
                &block,
                "--output",
                "candidate",
            ],
        );
        rig.make(
            "migrate-ledger",
            &[
                "--candidate",
                "candidate",
                "--role",
                "genesis",
                "--role",
                "staking",
                "--role",
                "next",
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--output",
                "ledgers",
            ],
        );
        rig
    }

    fn make(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(binary(program))
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        Ran::of(output).ends(0, &[]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn line<'a>(&self, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let line = ["upload-ledgers", "--bucket", url, "--ledgers"];
        let ledgers = ["ledgers/genesis", "ledgers/staking", "ledgers/next"];
        [&line[..], &ledgers, more].concat()
    }

    fn upload(&self, more: &[&str]) -> Ran {
        let url = self.server.url("ledgers");
        run(&self.server, self.directory.path(), &self.line(&url, more))
    }

    fn json(&self, more: &[&str]) -> Value {
        let ran = self.upload(&[more, &["--format", "json"]].concat());
        ran.ends(0, &[]);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// The tarball of a ledger and where its object is.
    fn tarball(&self, role: &str) -> (PathBuf, PathBuf) {
        let document = std::fs::read(self.path(&format!("ledgers/{role}/ledger.json"))).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let name = document["tarball"]["file"]["name"].as_str().unwrap();
        let object = self.server.object_path("ledgers").join(name);
        (self.path(&format!("ledgers/{role}/{name}")), object)
    }
}

fn states(report: &Value) -> Vec<&str> {
    let ledgers = report["ledgers"].as_array().unwrap();
    ledgers
        .iter()
        .map(|ledger| ledger["state"].as_str().unwrap())
        .collect()
}

/// The same tarball from another compressor.
fn repacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap()
}

/// Hands out the objects of the bucket over HTTP; `change` may alter them.
fn serve(root: PathBuf, change: fn(Vec<u8>) -> Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ledgers", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let count = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split(' ').nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match std::fs::read(root.join(path)) {
                Ok(body) => ("200 OK", change(body)),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    url
}

#[test]
fn ledgers_are_uploaded_once_and_never_rewritten() {
    let rig = Rig::new();
    let planned = rig.json(&["--dry-run"]);
    assert_eq!(states(&planned), ["planned"; 3]);
    assert_eq!(rig.server.count("put"), 0);
    let uploaded = rig.json(&[]);
    assert_eq!(states(&uploaded), ["uploaded"; 3]);
    for role in ["genesis", "staking", "next"] {
        let (local, object) = rig.tarball(role);
        assert!(std::fs::read(local).unwrap() == std::fs::read(object).unwrap());
    }
    rig.server.forget();
    assert_eq!(states(&rig.json(&[])), ["present"; 3]);
    assert_eq!(rig.server.count("put"), 0);

    // Other bytes: the same ledger packed otherwise, another ledger, no ledger at all.
    let (local, object) = rig.tarball("staking");
    let good = std::fs::read(&local).unwrap();
    let document = std::fs::read(rig.path("ledgers/staking/ledger.json")).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let text = |member: &str| document["tarball"][member].as_str().unwrap().to_owned();
    let another = std::fs::read(rig.tarball("genesis").0).unwrap();
    for (bytes, says) in [
        (repacked(&good), "it is the same ledger, packed otherwise"),
        (another, "it is another ledger: content SHA-256"),
        (b"nothing".to_vec(), "it cannot be read as a ledger"),
    ] {
        std::fs::write(&object, &bytes).unwrap();
        rig.server.forget();
        let ran = rig.upload(&[]);
        ran.ends(4, &[says, &text("s3_data_hash"), "nothing was uploaded"]);
        ran.ends(
            4,
            &[
                "different",
                document["tarball"]["file"]["sha256"].as_str().unwrap(),
            ],
        );
        assert_eq!(rig.server.count("put"), 0);
        assert!(std::fs::read(&object).unwrap() == bytes);
        assert_eq!(rig.path("forkpack-upload").read_dir().unwrap().count(), 0);
    }
}

#[test]
fn a_tarball_that_is_not_what_its_document_says_is_not_uploaded() {
    let rig = Rig::new();
    let (local, _) = rig.tarball("next");
    let good = std::fs::read(&local).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&local, bad).unwrap();
    rig.upload(&[]).ends(4, &["SHA-256"]);
    std::fs::write(&local, good).unwrap();
    let path = rig.path("ledgers/next/ledger.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let right = document["tarball"]["s3_data_hash"].as_str().unwrap();
    std::fs::write(&path, text.replace(right, &"0".repeat(64))).unwrap();
    rig.upload(&[])
        .ends(4, &[right, "its ledger document says 000"]);
    assert_eq!(rig.server.seen().len(), 0);
}

#[test]
fn what_daemons_download_is_compared() {
    let rig = Rig::new();
    let root = rig.server.object_path("");
    let right = serve(root.clone(), |bytes| bytes);
    let report = rig.json(&["--public-url", &right]);
    for ledger in report["ledgers"].as_array().unwrap() {
        let url = ledger["public_url"].as_str().unwrap();
        assert!(url.starts_with(&right) && url.ends_with(".tar.gz"));
    }
    let wrong = serve(root.clone(), |mut bytes| {
        bytes[100] ^= 1;
        bytes
    });
    rig.upload(&["--public-url", &wrong]).ends(
        4,
        &["has SHA3-256", "a daemon that downloads it refuses it"],
    );
    let longer = serve(root, |mut bytes| {
        bytes.push(0);
        bytes
    });
    rig.upload(&["--public-url", &longer])
        .ends(4, &["has SHA3-256"]);
    let nothing = right.replace("/ledgers", "/private");
    rig.upload(&["--public-url", &nothing])
        .ends(5, &["could not fetch", "lets everybody read"]);
}

#[test]
fn a_bucket_that_fails_is_waited_for_or_told() {
    let rig = Rig::new();
    rig.server.break_requests("*", 1, 4, Fault::Status(503));
    assert_eq!(states(&rig.json(&[])), ["uploaded"; 3]);
    for role in ["genesis", "staking", "next"] {
        std::fs::remove_file(rig.tarball(role).1).unwrap();
    }
    // Answers are lost, and bodies are cut.
    rig.server.break_requests("put", 0, 2, Fault::ResetAfter);
    assert_eq!(states(&rig.json(&[])), ["uploaded"; 3]);
    rig.server.break_requests("get", 0, 2, Fault::Cut(1000));
    assert_eq!(states(&rig.json(&[])), ["present"; 3]);
    rig.server
        .break_requests("*", 0, usize::MAX, Fault::Status(403));
    rig.upload(&[]).ends(6, &["AWS_ACCESS_KEY_ID"]);
    // Killed at a request, the same command finishes.
    rig.server.unhook();
    for role in ["genesis", "staking", "next"] {
        std::fs::remove_file(rig.tarball(role).1).unwrap();
    }
    let url = rig.server.url("ledgers");
    let mut first = command(&rig.server, rig.directory.path(), &rig.line(&url, &[]));
    let (sent, met) = std::sync::mpsc::channel();
    let mut puts = 0;
    rig.server.hook(move |seen| {
        puts += usize::from(seen.kind() == "put");
        if puts == 2 {
            puts += 1;
            sent.send(()).unwrap();
            // Never answered while the process lives.
            return Some(Fault::Stall(0));
        }
        None
    });
    let mut child = first.spawn().unwrap();
    met.recv_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    rig.server.unhook();
    let report = rig.json(&[]);
    assert!(states(&report).iter().all(|state| *state != "missing"));
    assert_eq!(states(&rig.json(&[])), ["present"; 3]);
}
