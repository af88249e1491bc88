//! Programs that judge packages, and packages made by them.
#![allow(dead_code, reason = "every test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use fork_package::{DataEntry, DebReader, PackageError};

/// Whether these programs are here. Without one, CI fails and anybody else is told.
pub fn have(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "missing on CI: {missing:?}"
    );
    eprintln!("SKIPPED: missing {missing:?}");
    false
}

pub fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The binary, without what the caller's environment says.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_package-deb"));
    command.env_remove("SOURCE_DATE_EPOCH").env("LC_ALL", "C");
    command
}

/// What a daemon's package holds besides the usual.
#[derive(Clone, Default)]
pub struct Daemon {
    /// The network's config.
    pub config: String,
    /// Names of configs for a commit.
    pub commits: Vec<&'static str>,
    /// Lines added to the control data.
    pub control: &'static str,
}

/// Makes a package of a daemon with dpkg-deb: programs, one of them setuid and one with two names,
/// links, a conffile, scripts, a file that belongs to somebody else, and old ledgers.
pub fn daemon(root: &Path, name: &str, daemon: &Daemon) -> PathBuf {
    let tree = root.join(format!("{name}-tree"));
    let write = |path: &str, text: &str, mode: u32| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let data = "var/lib/coda";
    write(&format!("{data}/devnet.json"), &daemon.config, 0o644);
    for commit in &daemon.commits {
        write(&format!("{data}/{commit}"), &daemon.config, 0o644);
    }
    write(&format!("{data}/mainnet.json"), "{\"other\":1}", 0o644);
    for kind in ["genesis", "epoch"] {
        let old = format!("{data}/{kind}_ledger_{:064x}.tar.gz", 99);
        write(&old, "old ledger", 0o644);
    }
    write("usr/local/bin/mina", &"daemon ".repeat(3000), 0o755);
    write("usr/local/bin/helper", "helper", 0o4755);
    fs::hard_link(
        tree.join("usr/local/bin/mina"),
        tree.join("usr/local/bin/coda"),
    )
    .unwrap();
    symlink("mina", tree.join("usr/local/bin/mina-link")).unwrap();
    symlink("/etc/mina.conf", tree.join("usr/local/absolute")).unwrap();
    write("etc/mina.conf", "conf", 0o640);
    write("var/lib/coda/keys", "keys", 0o600);
    fs::create_dir_all(tree.join("var/log/mina")).unwrap();
    let control = format!(
        "Package: mina-devnet\nVersion: 3.3.0-68503010\nLicense: Apache-2.0\nCodename: bookworm\nSuite: unstable\nArchitecture: amd64\nMaintainer: O(1)Labs <build@o1labs.org>\nInstalled-Size:\n{}Section: base\nPriority: optional\nDescription: Mina daemon\n Built from 68503010\n",
        daemon.control
    );
    write("DEBIAN/control", &control, 0o644);
    write("DEBIAN/conffiles", "/etc/mina.conf\n", 0o644);
    write("DEBIAN/postinst", "#!/bin/sh\nset -e\nexit 0\n", 0o755);
    let deb = root.join(format!("{name}.deb"));
    // The owner is put in by fakeroot; the time is one that nothing else has.
    let script = format!(
        "set -e; chown -R 0:0 {tree}; chown 5:60 {tree}/var/lib/coda/keys; find {tree} -exec touch -h -d @1600000000 {{}} +; dpkg-deb -Zgzip -b {tree} {deb}",
        tree = tree.display(),
        deb = deb.display()
    );
    run(Command::new("fakeroot")
        .args(["sh", "-c", &script])
        .env("SOURCE_DATE_EPOCH", "1600000000"));
    deb
}

/// All entries of a package with the content of its files.
pub fn entries(deb: &Path) -> BTreeMap<String, (DataEntry, Vec<u8>)> {
    let mut found = BTreeMap::new();
    DebReader::open(deb)
        .unwrap()
        .read_data(|entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            found.insert(entry.path.clone(), (entry.clone(), bytes));
            Ok::<_, PackageError>(())
        })
        .unwrap();
    found
}

/// An empty system for `dpkg --root`.
pub fn system(root: &Path) -> PathBuf {
    let system = root.join("system");
    for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
        fs::create_dir_all(system.join(directory)).unwrap();
    }
    fs::write(system.join("var/lib/dpkg/status"), "").unwrap();
    fs::write(system.join("var/lib/dpkg/arch"), "amd64\n").unwrap();
    system
}

/// dpkg in that system; the result, and all it says.
pub fn dpkg(system: &Path, arguments: &[&str]) -> (bool, String) {
    // Maintainer scripts would be run in the root, where there is no shell.
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("fakeroot")
        .arg("dpkg")
        .arg("--root")
        .arg(system)
        .args(["--force-not-root", "--force-script-chrootless"])
        .args(arguments)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}
