//! Packages to measure on, made by the real workers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{self, Failure, say};

/// A package and what it was made from.
#[derive(Clone, Debug)]
pub struct Package {
    /// Directory with `fixture`, `candidate`, `ledgers`, `network-config` and `deb`.
    pub directory: PathBuf,
    /// The package file.
    pub deb: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Makes a package with the real workers, and keeps all that it was made from.
///
/// # Errors
///
/// Fails when one of them does.
pub fn make(directory: &Path, accounts: u32, mix: &str) -> Result<Package, Failure> {
    fork_fs::create_dir_all(directory)?;
    let accounts = accounts.to_string();
    let fixture = [
        "--accounts",
        &accounts,
        "--mix",
        mix,
        "--few-changes",
        "--files",
        "fork-config",
        "--output",
        "fixture",
    ];
    worker(directory, "generate-fixture", &fixture)?;
    let import = [
        "import",
        "--network",
        "fixture/network.toml",
        "--prefork-config",
        "fixture/prefork_config.json",
        "--fork-config",
        "fixture/fork_config.json",
        "--block",
        "fixture/block.json",
        "--output",
        "candidate",
    ];
    worker(directory, "dump-candidates", &import)?;
    // Three times the size of what is verified.
    fork_fs::remove_file(&directory.join("fixture/fork_config.json"))?;
    let migrate = [
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
    ];
    worker(directory, "migrate-ledger", &migrate)?;
    let ledgers = [
        "--ledgers",
        "ledgers/genesis",
        "--ledgers",
        "ledgers/staking",
        "--ledgers",
        "ledgers/next",
    ];
    let mut config = vec![
        "--network",
        "fixture/network.toml",
        "--candidate",
        "candidate",
    ];
    config.extend(ledgers);
    config.extend(["--prefork-config", "fixture/prefork_config.json"]);
    config.extend(["--output", "network-config"]);
    worker(directory, "generate-network-config", &config)?;
    let mut deb = vec!["--network-config", "network-config"];
    deb.extend(ledgers);
    deb.extend(["--version", "0.1.0", "--git-hash", "0123abcd"]);
    deb.extend(["--seed-list-url", "https://example.org/seeds.txt"]);
    deb.extend(["--output", "deb"]);
    worker(directory, "package-deb", &deb)?;
    let made = directory.join("deb");
    let name = fork_fs::sorted_names(&made)?
        .into_iter()
        .find(|name| name.to_string_lossy().ends_with(".deb"))
        .ok_or("package-deb made no package")?;
    let deb = made.join(name);
    Ok(Package {
        directory: directory.to_owned(),
        bytes: fork_fs::file_bytes(&deb)?,
        deb,
    })
}

/// Runs a worker.
///
/// # Errors
///
/// Fails with what it says when it fails.
pub fn worker(directory: &Path, name: &str, arguments: &[&str]) -> Result<(), Failure> {
    say(name);
    let output = Command::new(run::sibling(name)?)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
