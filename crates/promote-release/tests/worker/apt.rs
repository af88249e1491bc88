//! A promotion into a real apt repository: `package-deb publish` does it, apt installs from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::place::{BINARY, Place};

/// `package-deb`, beside the worker or in `FORKPACK_BIN_DIR`. `scripts/test` builds it first.
fn package_deb() -> Option<PathBuf> {
    let directory = std::env::var_os("FORKPACK_BIN_DIR").map_or_else(
        || Path::new(BINARY).parent().unwrap().to_owned(),
        PathBuf::from,
    );
    let path = directory.join("package-deb");
    let tools = ["gpg", "apt-get"].iter().all(|tool| {
        Command::new(tool)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if path.is_file() && tools {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "package-deb, gpg or apt-get is missing"
    );
    eprintln!(
        "NOT TESTED: promotion into an apt repository, because package-deb, gpg or apt-get is missing"
    );
    None
}

fn gpg(place: &Place, arguments: &[&str]) {
    let output = Command::new("gpg")
        .args([
            "--homedir",
            "gpg",
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ])
        .args(arguments)
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// apt with a world of its own; a signature by `key` is demanded, and nothing is trusted otherwise.
fn apt(place: &Place, world: &str, key: &str, arguments: &[&str]) -> Output {
    let root = place.path(world);
    for directory in [
        "etc/apt/preferences.d",
        "state/lists/partial",
        "cache/archives/partial",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("status"), "").unwrap();
    let repository = place.path("apt");
    fs::write(
        root.join("etc/apt/sources.list"),
        format!(
            "deb [signed-by={}] file:{} stable main\n",
            place.path(key).display(),
            repository.display()
        ),
    )
    .unwrap();
    let set = |name: &str, value: &str| format!("{name}={value}");
    let mut command = Command::new("apt-get");
    for option in [
        set("Dir::Etc", root.join("etc/apt").to_str().unwrap()),
        set("Dir::State", root.join("state").to_str().unwrap()),
        set("Dir::State::status", root.join("status").to_str().unwrap()),
        set("Dir::Cache", root.join("cache").to_str().unwrap()),
        set("APT::Sandbox::User", "root"),
        set("APT::Update::Error-Mode", "any"),
    ] {
        command.arg("-o").arg(option);
    }
    command
        .args(arguments)
        .current_dir(place.path(world))
        .output()
        .unwrap()
}

#[test]
fn a71_t14_a_promoted_package_is_what_apt_installs() {
    let Some(package_deb) = package_deb() else {
        return;
    };
    let place = Place::with_keys(&[]);
    fs::create_dir(place.path("gpg")).unwrap();
    gpg(
        &place,
        &[
            "--quick-generate-key",
            "apt@example.org",
            "ed25519",
            "sign",
            "never",
        ],
    );
    gpg(
        &place,
        &[
            "--quick-generate-key",
            "other@example.org",
            "ed25519",
            "sign",
            "never",
        ],
    );
    gpg(
        &place,
        &[
            "--armor",
            "--output",
            "secret.asc",
            "--export-secret-keys",
            "apt@example.org",
        ],
    );
    gpg(
        &place,
        &[
            "--armor",
            "--output",
            "public.asc",
            "--export",
            "apt@example.org",
        ],
    );
    gpg(
        &place,
        &[
            "--armor",
            "--output",
            "other.asc",
            "--export",
            "other@example.org",
        ],
    );
    place.run(
        "practice mina-hardfork --before enter:publish --output out",
        0,
    );
    let publish = |suite: &str, rest: &str| {
        format!(
            "[{:?}, \"publish\", \"--repository\", \"apt\", \"--suite\", {suite:?}, {rest}, \"--work-dir\", \"work\"]",
            package_deb.display().to_string()
        )
    };
    place.write(
        "effects.toml",
        &format!(
            "[executor.suite]\nrun = {}\ncheck = [\"sh\", \"-c\", \"test -e apt/dists/$0/InRelease && find apt/pool -type f -exec sha256sum '{{open}}{{close}}' + | grep -q $1\", \"{{target}}\", \"{{hex:mina.deb}}\"]\n[executor.tag]\nrun = [\"touch\", \"tagged\"]\ncheck = [\"test\", \"-e\", \"tagged\"]\n",
            publish("{target}", "\"--deb\", \"{file:mina.deb}\", \"--key\", \"secret.asc\"")
        ),
    );
    let release = "out/mina-hardfork/release";
    let line = format!(
        "promote --release {release} --to publish --artifacts out/mina-hardfork/artifacts --log-key out/mina-hardfork/keys/log-0.pem --effects effects.toml"
    );
    // It was in another suite before, as a candidate.
    let candidate = Command::new(&package_deb)
        .args([
            "publish",
            "--repository",
            "apt",
            "--suite",
            "testing",
            "--key",
            "secret.asc",
        ])
        .args([
            "--deb",
            "out/mina-hardfork/artifacts/mina.deb",
            "--work-dir",
            "work-2",
        ])
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    assert!(
        candidate.status.success(),
        "{}",
        String::from_utf8_lossy(&candidate.stderr)
    );
    place.run(&line, 0);
    place.run(&format!("audit --release {release}"), 0);
    // Promotion rewrites nothing: both suites name the file by one digest.
    let listed = |suite: &str| {
        let index = place.path(&format!("apt/dists/{suite}/main"));
        let mut directories: Vec<PathBuf> = fs::read_dir(index)
            .unwrap()
            .map(|one| one.unwrap().path().join("Packages"))
            .filter(|path| path.is_file())
            .collect();
        directories.sort();
        let text = fs::read_to_string(&directories[0]).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("SHA256: "));
        line.unwrap().to_owned()
    };
    let deb = fs::read(place.path("out/mina-hardfork/artifacts/mina.deb")).unwrap();
    let own = release_policy::Digest::of(&deb).hex();
    assert_eq!((listed("testing"), listed("stable")), (own.clone(), own));

    let update = apt(&place, "world", "public.asc", &["update"]);
    assert!(
        update.status.success(),
        "{}",
        String::from_utf8_lossy(&update.stderr)
    );
    let download = apt(
        &place,
        "world",
        "public.asc",
        &["download", "forkpack-practice"],
    );
    assert!(
        download.status.success(),
        "{}",
        String::from_utf8_lossy(&download.stderr)
    );
    let names: Vec<PathBuf> = fs::read_dir(place.path("world"))
        .unwrap()
        .map(|one| one.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .collect();
    let [got] = names.as_slice() else {
        panic!("{names:?}");
    };
    let signed = fs::read(place.path("out/mina-hardfork/artifacts/mina.deb")).unwrap();
    assert_eq!(
        fs::read(got).unwrap(),
        signed,
        "apt has the very package that was decided on"
    );
    // Another key: refused.
    let update = apt(&place, "strange", "other.asc", &["update"]);
    assert!(
        !update.status.success(),
        "{}",
        String::from_utf8_lossy(&update.stdout)
    );
}
