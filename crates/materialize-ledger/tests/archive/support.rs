//! One server for all tests, a database for each.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fork_archive::ArchiveUri;
use fork_archive::client::Client;
use fork_testkit::archive::{ArchiveModel, ArchiveSpec, archive};
use fork_testkit::postgres::Server;
use tempfile::TempDir;

/// Whether there is a server to test with; says so when not, and fails where there must be one.
pub fn have_server() -> bool {
    if Server::is_available() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "missing on CI: postgresql"
    );
    eprintln!("SKIPPED: missing postgresql");
    false
}

pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&std::env::temp_dir()).unwrap())
}

pub fn connect(database: &str) -> Client {
    let uri = ArchiveUri::parse(&server().uri(database)).unwrap();
    let patience = Duration::from_secs(60);
    Client::connect(&uri, patience, patience).unwrap()
}

pub fn execute(database: &str, sql: &str) {
    connect(database).execute("arrange", sql).unwrap();
}

pub fn rows(database: &str, sql: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    connect(database)
        .query("sample", sql, &[], &mut |row| {
            rows.push(
                (0..row.len())
                    .map(|n| row.text(n).unwrap_or_default().to_owned())
                    .collect(),
            );
            Ok(())
        })
        .unwrap();
    rows
}

/// A database with this name, made anew from `template`.
pub fn create(name: &str, template: &str) {
    execute(
        "postgres",
        &format!("CREATE DATABASE {name} TEMPLATE {template}"),
    );
}

pub fn drop_database(name: &str) {
    execute("postgres", &format!("DROP DATABASE {name}"));
}

/// A name nobody has.
pub fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A made-up archive in a database of its own.
pub fn generated(spec: &ArchiveSpec) -> (String, ArchiveModel) {
    let model = archive(spec).unwrap();
    let name = fresh("generated");
    create(&name, "template0");
    execute(&name, &model.sql);
    (name, model)
}

/// A run of the worker.
pub struct Run {
    pub directory: TempDir,
    pub output: Output,
}

impl Run {
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Asserts the exit code, a part of the message, and that nothing was left.
    #[track_caller]
    pub fn fails(&self, code: i32, part: &str) {
        let said = self.said();
        assert_eq!(self.code(), code, "{said}");
        assert!(said.contains(part), "{part}: {said}");
        let left: Vec<_> = std::fs::read_dir(self.directory.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub fn staged(uri: &str, arguments: &[&str]) -> Run {
    staged_with(uri, arguments, &[])
}

pub fn staged_with(uri: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_materialize-ledger"))
        .args([
            "staged",
            "--archive-uri",
            uri,
            "--format",
            "json",
            "--output",
        ])
        .arg(directory.path().join("out"))
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Run { directory, output }
}

/// Writes an account list.
pub fn write_list(path: &std::path::Path, accounts: &[fork_ledger::account::Account]) {
    let mut text = b"[".to_vec();
    for (index, account) in accounts.iter().enumerate() {
        text.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        fork_ledger::json::write_account_json(account, &mut text);
    }
    text.extend_from_slice(b"\n]\n");
    std::fs::write(path, text).unwrap();
}

/// The directory of the dumps; see `scripts/test` for the two variables.
pub fn reference_dumps() -> Option<PathBuf> {
    let shared = std::env::var_os("FORKPACK_SHARED").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let dumps = shared.join("reference-data/archive");
    if dumps.is_dir() {
        return Some(dumps);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none(),
        "no reference data"
    );
    eprintln!("SKIPPED: no reference data");
    None
}

/// Loads a dump with psql.
pub fn load_dump(database: &str, file: &std::path::Path) {
    let loaded = Command::new("psql")
        .args(["-q", "-U", "postgres", "-d", database, "-h"])
        .arg(server().directory())
        .arg("-f")
        .arg(file)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(loaded.success());
}
