//! A directory with a small process, keys, an artifact and a release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fork_sign::SecretKey;
use serde_json::Value;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_promote-release");

/// Two stages; two partners agree; three things are done.
const POLICY: &str = r#"
schema = 1
id = "tiny"
process = "A tiny process"
grammar = "debian-semver"
kinds = ["regular"]
identity = "bit"
facts_by = "ci"
manifest_by = "ci"
[roles.ci]
about = "machines"
threshold = 1
[roles.partners]
about = "partners"
threshold = 2
[[stage]]
name = "build"
[[stage]]
name = "publish"
requires = ["build"]
[[action]]
id = "suite"
stage = "publish"
on = "enter"
executor = "suite"
target = "stable"
[[action]]
id = "tag"
stage = "publish"
on = "enter"
executor = "tag"
target = "{oci_tag}"
[[action]]
id = "news"
stage = "publish"
on = "enter"
executor = "announce"
target = "list"
[[gate]]
id = "T-01"
title = "signed checksums"
stage = "build"
on = "exit"
kind = "artifact"
effect = "record"
checksums = "CHECKSUM.asc"
algorithms = ["sha256"]
explain = "A list."
source = "the test"
[[gate]]
id = "T-02"
title = "partners agree"
stage = "publish"
on = "enter"
kind = "approval"
effect = "pend"
signed_by = "partners"
item = "go"
explain = "Two of them."
source = "the test"
"#;

pub struct Place {
    pub directory: TempDir,
}

/// A directory in memory where there is one: what commands write is synced to the disk each time, and
/// thousands of commands would wait for it.
pub fn temporary() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

impl Place {
    /// Keys, and an opened release.
    pub fn opened() -> Self {
        let place = Self::with_keys(&[]);
        place.run("open --release r --id r1 --policy policy.toml --keys keys.toml --log-key log.pem --now 2026-01-01T00:00:00Z", 0);
        place
    }

    /// Keys and an artifact, and no release yet.
    pub fn with_keys(more: &[&str]) -> Self {
        let directory = temporary();
        let place = Self { directory };
        place.write("policy.toml", POLICY);
        for (number, name) in ["ci", "p1", "p2", "log", "stranger"].iter().enumerate() {
            let seed = [u8::try_from(number).unwrap() + 1; 32];
            let key = SecretKey::from_seed(&seed).unwrap();
            place.write(&format!("{name}.pem"), &key.to_pem().unwrap());
            place.write(&format!("{name}.pub"), &key.public().to_pem().unwrap());
        }
        let mut line = "keys --role ci=ci.pub --role partners=p1.pub --role partners=p2.pub --log log.pub --policy policy.toml --output keys.toml".to_owned();
        for one in more {
            line.push_str(&format!(" --role {one}"));
        }
        fs::create_dir(place.path("files")).unwrap();
        place.write("files/a.bin", "the artifact");
        place.write("manifest.toml", "kind = \"regular\"\nversion = \"1.0.0\"\ncommit = \"0000000000000000000000000000000000000001\"\nbuilt_at = \"2026-01-01T00:00:00Z\"\n[[artifact]]\nname = \"a.bin\"\nmedia_type = \"application/octet-stream\"\n");
        if more.is_empty() {
            place.run(&line, 0);
        }
        place
    }

    /// With the manifest recorded.
    pub fn recorded() -> Self {
        let place = Self::opened();
        place.run("record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem --now 2026-01-01T00:01:00Z", 0);
        place
    }

    /// With the stage `build` passed.
    pub fn built() -> Self {
        let place = Self::recorded();
        for (point, minute) in [("enter", 2), ("exit", 3)] {
            place.run(&format!("promote --release r --to build --on {point} --artifacts files --log-key log.pem --now 2026-01-01T00:0{minute}:00Z"), 0);
        }
        place
    }

    pub fn approve(&self, who: &str, minute: u32) {
        self.run(&format!("record approve --release r --stage publish --item go --by {who} --key {who}.pem --log-key log.pem --now 2026-01-01T00:{minute:02}:00Z"), 0);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(line.split(' '))
            .current_dir(self.directory.path())
            .env_remove("FORKPACK_SIGNING_KEY")
            .env_remove("FORKPACK_LOG_KEY")
            .env_remove("FORKPACK_FORMAT")
            .stdin(Stdio::null());
        command
    }

    pub fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command and expects this exit code; returns everything it said.
    pub fn run(&self, line: &str, code: i32) -> String {
        let output = self.output(line);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
        said
    }

    pub fn json(&self, line: &str) -> Value {
        let output = self.output(&format!("{line} --format json"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|why| {
            panic!("{line}: {why}: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// A fresh copy of the release under another name.
    pub fn copy(&self, from: &str, to: &str) {
        let _ = fs::remove_dir_all(self.path(to));
        copy(&self.path(from), &self.path(to));
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
