//! Running `package-deb` against a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fork_e2e::s3::S3Server;
use fork_package::{DebBuilder, FileSource, Paragraph};

/// The package that is published.
pub const NAME: &str = "mina-x-config";

/// Keys made for tests; see the README beside them.
pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fork-sign/tests/keys");

/// Path of a binary.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(
        path.is_file(),
        "there is no {}: run scripts/test, which builds every binary before the tests",
        path.display()
    );
    path
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn ends(&self, code: i32, needles: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for needle in needles {
            assert!(
                self.stdout.contains(needle) || self.stderr.contains(needle),
                "{needle}: {}{}",
                self.stdout,
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        let secret = fork_e2e::s3::SECRET_KEY;
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret));
    }
}

/// `package-deb` with the server's environment and no other, in a directory.
pub fn command(server: &S3Server, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("package-deb"));
    command
        .args(arguments)
        .env_clear()
        .envs(server.environment())
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(server: &S3Server, directory: &Path, arguments: &[&str]) -> Ran {
    Ran::of(command(server, directory, arguments).output().unwrap())
}

/// A package in this version.
pub fn deb(directory: &Path, version: &str) -> PathBuf {
    let control = format!(
        "Package: {NAME}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n\
         Installed-Size: 0\nDescription: for tests\n"
    );
    let mut deb = DebBuilder::new(Paragraph::parse(&control).unwrap(), 1_735_689_600);
    let bytes = FileSource::Bytes(version.as_bytes().to_vec());
    deb.add("/usr/share/x/file", 0o644, bytes).unwrap();
    let path = directory.join(format!("{NAME}_{version}_all.deb"));
    deb.write(&path).unwrap();
    path
}
