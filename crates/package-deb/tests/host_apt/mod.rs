//! This machine's apt, looking at a repository with directories of its own.
#![allow(dead_code, reason = "every test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether apt is here. Without it, CI fails and anybody else is told.
pub fn have_apt() -> bool {
    let found = ["apt-get", "apt-cache", "gpgv"].iter().all(|program| {
        let works = Command::new(program).arg("--version").output();
        works.is_ok_and(|output| output.status.success())
    });
    assert!(
        found || std::env::var_os("CI").is_none(),
        "missing on CI: apt"
    );
    if !found {
        eprintln!("SKIPPED: missing apt");
    }
    found
}

/// What apt finds in a repository.
pub struct Apt {
    directory: tempfile::TempDir,
}

impl Apt {
    /// apt with this repository, which must be signed by this public key.
    pub fn new(repository: &str, suite: &str, key: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let apt = Self { directory };
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.path(name)).unwrap();
        }
        fs::write(apt.path("status"), "").unwrap();
        let line = format!("deb [signed-by={key}] {repository} {suite} main\n");
        fs::write(apt.path("sources.list"), line).unwrap();
        apt
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let set = |name: &str, path: &Path| format!("{name}={}", path.display());
        for option in [
            set("Dir::Etc::SourceList", &self.path("sources.list")),
            set("Dir::State::Lists", &self.path("lists")),
            set("Dir::State::Status", &self.path("status")),
            set("Dir::Cache", &self.path("cache")),
            "Dir::Etc::SourceParts=-".to_owned(),
            "Dir::Etc::Preferences=-".to_owned(),
            "Dir::Etc::PreferencesParts=-".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.env("LC_ALL", "C");
        command
    }

    /// Reads the repository anew and lists the versions of a package; what apt says, when it refuses.
    pub fn versions(&self, package: &str) -> Result<Vec<String>, String> {
        let update = self.command("apt-get").arg("update").output().unwrap();
        if !update.status.success() {
            return Err(format!(
                "{}{}",
                String::from_utf8_lossy(&update.stdout),
                String::from_utf8_lossy(&update.stderr)
            ));
        }
        let listed = self
            .command("apt-cache")
            .args(["madison", package])
            .output()
            .unwrap();
        let mut versions: Vec<String> = String::from_utf8_lossy(&listed.stdout)
            .lines()
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect();
        versions.sort();
        Ok(versions)
    }
}
