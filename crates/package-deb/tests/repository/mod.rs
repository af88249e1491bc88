//! Packages, a repository made of them, and a server that hands it out.
#![allow(dead_code, reason = "every test file uses its part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use clap::Parser;
use fork_package::{DebBuilder, FileSource, Paragraph};

use crate::fake;

/// Keys made for these tests; see the file README beside them.
pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fork-sign/tests/keys");

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_package-deb");

/// Path of a key.
pub fn key(name: &str) -> String {
    format!("{KEYS}/{name}.asc")
}

/// A package with these files. Returns its path, and the digests of its files by their paths.
pub fn package(
    directory: &Path,
    name: &str,
    version: &str,
    more: &str,
    files: &[(&str, &str)],
) -> (PathBuf, BTreeMap<String, String>) {
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n\
         Installed-Size: 0\n{more}Description: for tests\n"
    );
    let control = Paragraph::parse(&control).unwrap();
    let mut deb = DebBuilder::new(control, 1_735_689_600);
    for (path, text) in files {
        let text = format!("{text} of {version}\n");
        deb.add(path, 0o644, FileSource::Bytes(text.into_bytes()))
            .unwrap();
    }
    let path = directory.join(format!("{name}_{version}_all.deb"));
    let written = deb.write(&path).unwrap();
    (path, digests(&written.contents))
}

/// A real config package.
pub fn config_package(
    directory: &Path,
    version: &str,
    git_hash: &str,
) -> (PathBuf, BTreeMap<String, String>) {
    let root = directory.join(version);
    let fake = fake::fake(&root.join("in"), fake::Options::default());
    let output = root.join("out");
    let mut line: Vec<&OsStr> = vec![OsStr::new("package-deb"), OsStr::new("--network-config")];
    line.extend([fake.network.as_os_str(), OsStr::new("--ledgers")]);
    line.extend(fake.ledgers.iter().map(|path| path.as_os_str()));
    let version = format!("--version={version}");
    let git_hash = format!("--git-hash={git_hash}");
    line.extend(
        [
            version.as_str(),
            git_hash.as_str(),
            "--seed-list-url=https://example.org/seeds.txt",
            "--output",
        ]
        .map(OsStr::new),
    );
    line.push(output.as_os_str());
    let args = package_deb::Args::try_parse_from(line).unwrap();
    let document = package_deb::package(&args, &|_| ()).unwrap();
    (
        output.join(&document.file.name),
        digests(&document.contents),
    )
}

fn digests(contents: &[fork_types::document::PackagedFile]) -> BTreeMap<String, String> {
    contents
        .iter()
        .map(|file| (file.path.clone(), file.sha256.clone()))
        .collect()
}

/// The command that publishes packages, with a key and a fixed environment.
pub fn command(repository: &str, suite: &str, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["publish", "--repository", repository, "--suite", suite])
        .args(more)
        .env_remove("SOURCE_DATE_EPOCH")
        .env_remove("FORKPACK_APT_KEY")
        .env_remove("FORKPACK_APT_PASSPHRASE")
        .env_remove("FORKPACK_FORMAT");
    command
}

/// Publishes packages; they must be.
pub fn publish(repository: &Path, suite: &str, debs: &[&Path], more: &[&str]) -> Output {
    let key = key("one");
    let mut arguments = vec!["--key", &key, "--deb"];
    arguments.extend(debs.iter().map(|path| path.to_str().unwrap()));
    arguments.extend(more);
    let output = command(repository.to_str().unwrap(), suite, &arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Every file below a directory, sorted.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Every file below a directory with its content.
pub fn tree(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(directory)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(directory).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

/// Hands out the files below a directory over HTTP until the test ends.
pub struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (root, log) = (root.to_owned(), seen.clone());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (root, log) = (root.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &root, &log));
            }
        });
        Self { port, seen }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The paths that were asked for.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers the requests of one connection until the client closes it.
fn serve(stream: TcpStream, root: &Path, log: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
        log.lock().unwrap().push(path.clone());
        let file = root.join(path.trim_start_matches('/'));
        let (status, body) = match fs::read(file) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all(head.as_bytes()).is_err() || writer.write_all(&body).is_err() {
            return;
        }
    }
}
