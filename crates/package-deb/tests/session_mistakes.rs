//! What sessions say of mistakes, and their help.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tools::{Daemon, binary, daemon, have, run};

const NEEDED: [&str; 3] = ["dpkg-deb", "dpkg", "fakeroot"];

fn given(root: &Path) -> PathBuf {
    let what = Daemon {
        config: "{}".to_owned(),
        ..Daemon::default()
    };
    daemon(root, "given", &what)
}

fn session(arguments: &[&str]) -> (Option<i32>, String) {
    let output = binary().arg("session").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (deb, s, new) = (deb.to_str().unwrap(), path("s"), path("new"));
    fs::write(&new, "new").unwrap();
    assert_eq!(session(&["open", deb, &s]), (Some(0), String::new()));
    let before = run(Command::new("find").arg(&s).args(["-printf", "%p %s\n"]));
    for (arguments, code, message) in [
        (vec!["open", deb, &s], 2, "already exists and is not empty"),
        (
            vec!["open", &new, &path("t")],
            5,
            "could not read the ar header",
        ),
        (vec!["open", &path("none"), &path("t")], 5, "none"),
        (
            vec!["insert", &s, "etc/x", &new],
            2,
            "does not begin with `/`",
        ),
        (
            vec!["insert", &s, "/etc/../x", &new],
            2,
            "holds `.` or `..`",
        ),
        (
            vec!["insert", &s, "/etc/mina.conf", &new],
            2,
            "is in the package already, a file",
        ),
        (
            vec!["insert", &s, "/etc", &new],
            2,
            "is in the package already, a directory",
        ),
        (vec!["insert", &s, "/etc/mina.conf/x", &new], 5, "mina.conf"),
        (
            vec!["insert", &s, "/x/", &new, &new],
            2,
            "from another of these files",
        ),
        (vec!["insert", &s, "/x", &path("none")], 5, "none"),
        (vec!["insert", &s, "/x", "/dev/null"], 5, "a device"),
        (vec!["insert", &s, "/x", &new, "--mode", "0999"], 2, "octal"),
        (
            vec!["replace", &s, "/etc/none", &new],
            2,
            "nothing in the package fits",
        ),
        (
            vec!["replace", &s, "/usr/local/bin/mina-link", &new],
            5,
            "is a symbolic link",
        ),
        (vec!["remove", &s, "/etc"], 2, "nothing in the package fits"),
        (
            vec!["remove", &s, "/etc/mina.conf", "/none"],
            2,
            "fits `/none`",
        ),
        (vec!["move", &s, "/none", "/x"], 2, "fits `/none`"),
        (vec!["move", &s, "/etc", "/x"], 5, "is a directory"),
        (
            vec!["move", &s, "/etc/mina.conf", "/var/lib/coda/keys"],
            2,
            "already",
        ),
        (vec!["rename-package", &s, "Mina"], 2, "lower-case letters"),
        (vec!["rename-package", &s, "m"], 2, "two characters"),
        (
            vec!["reversion", &s, "v4"],
            2,
            "does not start with a digit",
        ),
        (vec!["reversion", &s, "4_0"], 2, "only letters, digits"),
        (
            vec!["suite", &s, "nightly"],
            2,
            "possible values: unstable, develop",
        ),
        (
            vec!["update-control", &s, "Suite", "nightly"],
            2,
            "there are unstable, develop",
        ),
        (
            vec!["update-control", &s, "Package", "A B"],
            2,
            "lower-case letters",
        ),
        (
            vec!["update-control", &s, "Installed-Size", "1"],
            2,
            "computed",
        ),
        (
            vec!["update-control", &s, "Depends", "a\nEvil: 1"],
            5,
            "would not belong to it",
        ),
        (
            vec!["update-control", &s, "De pends", "a"],
            5,
            "is not a field name",
        ),
        (vec!["read-field", &s, "Nonsense"], 5, "no field `Nonsense`"),
        (vec!["save", &s, deb], 2, "exists already"),
        (vec!["save", &path("none"), &path("x.deb")], 5, "none"),
        (vec!["diff", &path("")], 5, "there is no `session.json`"),
    ] {
        let (found, text) = session(&arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
    let after = run(Command::new("find").arg(&s).args(["-printf", "%p %s\n"]));
    let without = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.contains("/.staging"))
            .map(str::to_owned)
            .collect();
        // A directory's own size may grow with a name that came and went.
        lines.retain(|line| !line.starts_with(&format!("{s} ")));
        lines.sort();
        lines
    };
    assert_eq!(without(&before), without(&after));

    // Found when it is saved.
    assert_eq!(session(&["remove", &s, "/etc/mina.conf"]).0, Some(0));
    let (code, text) = session(&["save", &s, &path("x.deb")]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("`/etc/mina.conf` is a conffile"), "{text}");
    assert!(text.contains("hint: take its line out of"), "{text}");
    fs::write(format!("{s}/control/conffiles"), "").unwrap();
    fs::write(
        format!("{s}/control/control"),
        "Package: A\nVersion: 1\nArchitecture: all\n",
    )
    .unwrap();
    let (code, text) = session(&["save", &s, &path("x.deb")]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("`A` cannot be the Package"), "{text}");
    assert!(!Path::new(&path("x.deb")).exists());
    let left: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains("partial")),
        "{left:?}"
    );
}

#[test]
fn help_is_as_published() {
    let mut text = run(binary().args(["session", "--help"]));
    for command in [
        "open",
        "insert",
        "replace",
        "remove",
        "move",
        "rename-package",
        "reversion",
        "update-control",
        "suite",
        "read-field",
        "diff",
        "save",
    ] {
        text.push_str(&format!("\n==== {command}\n"));
        text.push_str(&run(binary()
            .args(["session", command, "--help"])
            .env("COLUMNS", "100")));
    }
    insta::assert_snapshot!("session_help", text);
}
