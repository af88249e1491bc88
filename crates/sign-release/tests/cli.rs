//! The binary on a made-up release: who signed, what is missing, what is wrong, and that no key is
//! ever told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fork_sign::{Statement, Subject};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sign_release::{Manifest, PREDICATE_TYPE};
use tempfile::TempDir;

/// A statement in the published form; its subjects are replaced.
const PUBLISHED: &str =
    include_str!("../src/snapshots/sign_release__manifest__tests__statement.snap");
const ARTIFACTS: [&str; 3] = ["a.deb", "config.json", "t.tar.gz"];

struct Ran {
    line: String,
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn ends(self, code: i32, words: &str) -> Self {
        let Self {
            line,
            stdout,
            stderr,
            ..
        } = &self;
        assert_eq!(self.code, code, "{line}\n{stdout}\n{stderr}");
        let all = format!("{stdout}{stderr}");
        assert!(all.contains(words), "{line}: no `{words}`\n{all}");
        self
    }
}

struct Place(TempDir);

impl Place {
    /// Three artefacts, the statement about them, and two keys.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("files")).unwrap();
        for name in ARTIFACTS {
            fs::write(place.path("files").join(name), format!("content of {name}")).unwrap();
        }
        place.write_statement("manifest.json", |_| {});
        for name in ["alice", "bob", "carol"] {
            place.run(&["keygen", "--output", name]).ends(0, "");
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write_statement(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let text = PUBLISHED.lines().last().unwrap();
        let mut value: Value = serde_json::from_str(text).unwrap();
        let mut predicate = value["predicate"].take();
        predicate.as_object_mut().unwrap().remove("image");
        change(&mut predicate);
        let manifest: Manifest = serde_json::from_value(predicate).unwrap();
        let subjects = ARTIFACTS.map(|file| {
            let bytes = fs::read(self.path("files").join(file)).unwrap();
            Subject::new(file, hex::encode(Sha256::digest(bytes)))
        });
        let statement = Statement::new(PREDICATE_TYPE, subjects.to_vec(), manifest).unwrap();
        fs::write(self.path(name), statement.to_payload().unwrap()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sign-release"));
        for variable in ["FORKPACK_FORMAT", "FORKPACK_SIGNING_KEY"] {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ended(&mut self.command(arguments))
    }

    fn sign(&self, by: &str, output: &str) {
        let key = format!("{by}/signing-key.pem");
        let sign = [
            "sign",
            "--manifest",
            "manifest.json",
            "--artifacts",
            "files",
        ];
        let line = [&sign[..], &["--key", &key, "--output", output]].concat();
        self.run(&line).ends(0, "signatures 1");
    }

    fn verify(&self, manifest: &str, threshold: &str, more: &[&str]) -> Ran {
        let line = [
            "verify",
            "--manifest",
            manifest,
            "--trusted",
            "alice",
            "bob",
        ];
        self.run(&[&line[..], &["--threshold", threshold], more].concat())
    }
}

fn ended(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        line: format!("{command:?}"),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const FILES: [&str; 2] = ["--artifacts", "files"];

#[test]
fn two_builders_sign_and_the_threshold_is_met() {
    let place = Place::new();
    place.sign("alice", "a.json");
    place.sign("bob", "b.json");
    place
        .verify("manifest.json", "1", &[])
        .ends(3, "0 of 1 signatures");
    place
        .verify("a.json", "1", &FILES)
        .ends(0, "checked      a.deb");
    place
        .verify("a.json", "2", &FILES)
        .ends(3, "1 of 2 signatures");
    place
        .verify("a.json", "3", &[])
        .ends(2, "threshold 3 with 2");
    place
        .run(&["merge", "a.json", "b.json", "--output", "ab.json"])
        .ends(0, "signatures 2");
    place
        .run(&["merge", "b.json", "a.json", "b.json", "--output", "ba.json"])
        .ends(0, "signatures 2");
    assert_eq!(place.read("ab.json"), place.read("ba.json"));
    place
        .verify("ab.json", "2", &FILES)
        .ends(0, "2 of 2 needed: enough");
    // A second signer may also sign what the first signed.
    let sign = ["sign", "--manifest", "a.json", "--unchecked"];
    let line = ["--key", "bob/signing-key.pem", "--output", "c.json"];
    place
        .run(&[&sign[..], &line].concat())
        .ends(0, "signatures 2");
    assert_eq!(place.read("ab.json"), place.read("c.json"));
    let again = ["sign", "--manifest", "c.json", "--unchecked", "--force"];
    place
        .run(&[&again[..], &line].concat())
        .ends(0, "had signed before");
    assert_eq!(place.read("ab.json"), place.read("c.json"));
    place
        .run(&[&sign[..], &line].concat())
        .ends(2, "`c.json` is already there");
    // Nobody becomes two people: the same key in two files is one.
    fs::copy(place.path("alice/signing-key.pub"), place.path("twin.pub")).unwrap();
    let verify = ["verify", "--manifest", "ab.json", "--threshold", "2"];
    let trusted = ["--trusted", "alice", "twin.pub"];
    place
        .run(&[&verify[..], &trusted].concat())
        .ends(2, "threshold 2 with 1 trusted keys");
    // Whom nobody trusts is shown and not counted.
    let strangers = ["verify", "--manifest", "ab.json", "--threshold", "1"];
    place
        .run(&[&strangers[..], &["--trusted", "carol"]].concat())
        .ends(3, "unknown");
}

#[test]
fn whatever_differs_is_told() {
    let place = Place::new();
    place.sign("alice", "a.json");
    let sign = ["sign", "--manifest", "manifest.json"];
    let key = ["--key", "alice/signing-key.pem", "--output", "x.json"];
    for name in ARTIFACTS {
        let path = place.path("files").join(name);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            let ran = place.verify("a.json", "1", &FILES);
            ran.ends(4, "1 of the artefacts differ").ends(4, name);
        }
        fs::write(&path, [&good[..], b"\n"].concat()).unwrap();
        let line = [&sign[..], &FILES, &key].concat();
        place.run(&line).ends(4, "expected");
        fs::remove_file(&path).unwrap();
        place.verify("a.json", "1", &FILES).ends(0, "not present");
        let all = place.verify("a.json", "1", &[&FILES[..], &["--all"]].concat());
        all.ends(
            3,
            &format!("1 of 3 artefacts are not in the directories given: {name}"),
        );
        place.run(&line).ends(3, "1 of 3 artefacts");
        assert!(!place.path("x.json").exists());
        fs::write(&path, good).unwrap();
    }
    place
        .verify("a.json", "1", &["--artifacts", "nowhere"])
        .ends(5, "nowhere");
    // A wrong signature in somebody's name is worse than none.
    let text = place.read("a.json");
    let value: Value = serde_json::from_str(&text).unwrap();
    let signature = value["signatures"][0]["sig"].as_str().unwrap();
    let mut bytes = STANDARD.decode(signature).unwrap();
    bytes[10] ^= 1;
    let forged = text.replace(signature, &STANDARD.encode(bytes));
    fs::write(place.path("forged.json"), forged).unwrap();
    place
        .verify("forged.json", "1", &FILES)
        .ends(4, "the signature in the name of key");
    place
        .run(&["merge", "forged.json", "a.json", "--output", "m.json"])
        .ends(0, "signatures 2");
    place.verify("m.json", "1", &[]).ends(4, "WRONG");
    // A changed statement under a signature of the true one.
    place.write_statement("other.json", |predicate| {
        predicate["ledgers"][2]["accounts_after"] = 4.into();
    });
    let payload = STANDARD.encode(fs::read(place.path("other.json")).unwrap());
    let moved = text.replace(value["payload"].as_str().unwrap(), &payload);
    fs::write(place.path("moved.json"), moved).unwrap();
    place.verify("moved.json", "1", &[]).ends(4, "is wrong");
    let difference = "fact `ledgers.next.accounts_after` is 3 and 4";
    place
        .run(&["merge", "a.json", "moved.json", "--output", "m2.json"])
        .ends(4, difference);
    let rebuilt = ["--rebuilt", "other.json"];
    place
        .run(&[&sign[..], &FILES, &rebuilt, &key].concat())
        .ends(4, difference);
    assert!(!place.path("x.json").exists() && !place.path("m2.json").exists());
}

#[test]
fn what_is_no_manifest_is_refused() {
    let place = Place::new();
    place.sign("alice", "a.json");
    let statement = place.read("manifest.json");
    let show = |place: &Place, name: &str| place.run(&["show", "--manifest", name]);
    show(&place, "manifest.json").ends(0, "signatures 0");
    show(&place, "a.json").ends(0, "signatures 1");
    for (from, to, words) in [
        (
            "\"version\":1",
            "\"version\":3",
            "has version 3; this build reads up to 2",
        ),
        (
            "forkpack.manifest",
            "forkpack.other",
            "`format` is `forkpack.other`",
        ),
        ("manifest/v1", "manifest/v2", "`predicateType` is"),
        ("Statement/v1", "Statement/v2", "`_type` is"),
        ("\"overrides\"", " \"overrides\"", "is not canonical JSON"),
        (
            "\"overrides\"",
            "\"overrode\"",
            "no in-toto statement of the expected shape",
        ),
    ] {
        let changed = statement.replacen(from, to, 1);
        assert_ne!(changed, statement);
        fs::write(place.path("changed.json"), changed).unwrap();
        show(&place, "changed.json").ends(5, words);
    }
    place.write_statement("changed.json", |predicate| {
        predicate["package"]["file"] = "\u{1b}[2J.deb".into();
    });
    let ran = show(&place, "changed.json").ends(5, "which is not among its subjects");
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let envelope = place.read("a.json");
    for (from, to, words) in [
        (
            "application/vnd.in-toto+json",
            "text/plain",
            "of type `text/plain`",
        ),
        ("\"signatures\"", "\"signature\"", "it is no DSSE envelope"),
        ("}\n", "}\n{}", "it is no DSSE envelope"),
    ] {
        let at = envelope.rfind(from).unwrap();
        let changed = format!("{}{to}{}", &envelope[..at], &envelope[at + from.len()..]);
        fs::write(place.path("changed.json"), changed).unwrap();
        place.verify("changed.json", "1", &[]).ends(5, words);
    }
    fs::write(place.path("changed.json"), vec![b' '; (16 << 20) + 1]).unwrap();
    show(&place, "changed.json").ends(5, "larger than 16777216 bytes");
    show(&place, "nowhere").ends(5, "nowhere");
}

#[test]
fn keys_are_made_once_and_for_their_owner() {
    let place = Place::new();
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("alice/signing-key.pem"), 0o600);
    assert_eq!(mode("alice/signing-key.pub"), 0o644);
    let before = place.read("alice/signing-key.pem");
    let again = ["keygen", "--output", "alice"];
    place.run(&again).ends(2, "already there");
    fs::remove_file(place.path("alice/signing-key.pub")).unwrap();
    place.run(&again).ends(2, "already there");
    assert_eq!(place.read("alice/signing-key.pem"), before);
    assert_ne!(place.read("bob/signing-key.pem"), before);
    let public = place
        .run(&["public-key", "--key", "bob/signing-key.pem"])
        .ends(0, "");
    assert_eq!(public.stdout, place.read("bob/signing-key.pub"));
    place.run(&["public-key"]).ends(2, "no key to sign with");
    place
        .run(&["public-key", "--key", "bob/signing-key.pub"])
        .ends(5, "it is a public key, expected a PEM block `PRIVATE KEY`");
}

/// Everything that could show a key: every command, with the key in a file and in the environment, in
/// the right place and in every wrong one, whole and damaged.
#[test]
fn no_key_is_ever_told() {
    let place = Place::new();
    // A seed that reads as a word, so that it would be seen in any encoding.
    let seed = *b"MARKER-MARKER-MARKER-MARKER-SEED";
    let header = hex::decode("302e020100300506032b657004220420").unwrap();
    let body = STANDARD.encode([&header[..], &seed].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let damaged = pem.replace("-----END", "\u{1b}-----END");
    let cut = pem.replace(&body, &body[..body.len() - 4]);
    fs::create_dir(place.path("keys")).unwrap();
    for (name, text) in [("good", &pem), ("damaged", &damaged), ("cut", &cut)] {
        fs::write(place.path("keys").join(name), text).unwrap();
    }
    // In a directory of trusted keys, where a public key should be.
    fs::create_dir(place.path("trusted")).unwrap();
    fs::write(place.path("trusted/mistake.pub"), &pem).unwrap();
    let sign = "sign --manifest manifest.json --artifacts files --force --output signed.json";
    let mut lines = Vec::new();
    for key in ["keys/good", "keys/damaged", "keys/cut", "keys", "keys/none"] {
        lines.push(format!("{sign} --key {key}"));
        lines.push(format!("{sign} --key {key} --format json"));
        lines.push(format!("public-key --key {key}"));
        for line in [
            "show --manifest",
            "sign --unchecked --output x --manifest",
            "merge --output x manifest.json",
            "verify --threshold 1 --manifest signed.json --trusted",
            "verify --threshold 1 --trusted alice --manifest",
            "verify --threshold 1 --trusted alice --manifest signed.json --artifacts",
            "sign --manifest manifest.json --unchecked --output x --rebuilt",
            "manifest --candidate keys --ledgers keys --network-config keys --deb keys --output x --report",
            "keygen --output",
            "sign --key keys/good --manifest manifest.json --unchecked --output",
        ] {
            lines.push(format!("{line} {key}"));
        }
    }
    lines.push(sign.to_owned());
    lines.push(format!("{sign} --format json"));
    lines.push("public-key".to_owned());
    lines.push("verify --manifest signed.json --threshold 1 --trusted trusted".to_owned());
    lines.push("--help".to_owned());
    lines.push("sign --help".to_owned());
    lines.push("sign --no-such-option".to_owned());

    // Secrets in every form they could take: text, hexadecimal, base64 at any offset.
    let mut secrets = vec!["MARKER".to_owned(), hex::encode(b"MARKER")];
    secrets.extend(
        (0..body.len() - 16)
            .step_by(4)
            .filter(|at| *at >= 24)
            .map(|at| {
                // The beginning is the same for every key.
                body[at..at + 12].to_owned()
            }),
    );
    let known = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        secrets
            .iter()
            .find(|secret| text.contains(secret.as_str()))
            .cloned()
    };
    assert!(known(pem.as_bytes()).is_some(), "the search finds nothing");
    let inputs = [
        "keys/good",
        "keys/damaged",
        "keys/cut",
        "trusted/mistake.pub",
    ];
    let mut signed = 0;
    for variable in [None, Some(&pem), Some(&damaged), Some(&cut)] {
        for line in &lines {
            let arguments: Vec<&str> = line.split(' ').collect();
            let mut command = place.command(&arguments);
            if let Some(text) = variable {
                command.env("FORKPACK_SIGNING_KEY", text);
            }
            let output = command.output().unwrap();
            signed += usize::from(line.starts_with(sign) && output.status.success());
            for text in [&output.stdout, &output.stderr] {
                let text_shown = String::from_utf8_lossy(text);
                assert_eq!(known(text), None, "{line}\n{text_shown}");
                assert!(!text_shown.contains("panicked"), "{line}\n{text_shown}");
            }
            for (path, bytes) in files(place.0.path()) {
                if !inputs.contains(&path.as_str()) {
                    assert_eq!(known(&bytes), None, "{line}: {path}");
                }
            }
        }
    }
    // With the file: file and JSON form, each time; with the variable: twice.
    assert_eq!(signed, 4 * 2 + 2, "the key was not used");
}

/// All files below a directory.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Whether OpenSSL is here. Without it, CI fails and anybody else is told.
fn have_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "missing on CI: openssl"
    );
    if !found {
        eprintln!("SKIPPED: missing openssl");
    }
    found
}

/// Somebody without these tools checks a signature, and somebody without them makes one.
#[test]
fn openssl_is_enough_to_check_and_to_sign() {
    if !have_openssl() {
        return;
    }
    let place = Place::new();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(place.0.path());
        command.output().unwrap().status.success()
    };
    place.sign("alice", "a.json");
    let mut envelope: Value = serde_json::from_str(&place.read("a.json")).unwrap();
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    // DSSE, put together here again.
    let payload = bytes(&envelope["payload"]);
    assert_eq!(payload, place.read("manifest.json").as_bytes());
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    fs::write(place.path("pae"), [head.as_bytes(), &payload].concat()).unwrap();
    fs::write(place.path("sig"), bytes(&envelope["signatures"][0]["sig"])).unwrap();
    let check = "pkeyutl -verify -rawin -pubin -in pae -sigfile sig -inkey";
    assert!(openssl(&format!("{check} alice/signing-key.pub")));
    assert!(!openssl(&format!("{check} bob/signing-key.pub")));

    assert!(openssl("genpkey -algorithm ed25519 -out dave.pem"));
    assert!(openssl("pkey -in dave.pem -pubout -out dave.pub"));
    assert!(openssl(
        "pkeyutl -sign -rawin -inkey dave.pem -in pae -out dave.sig"
    ));
    let signature = STANDARD.encode(fs::read(place.path("dave.sig")).unwrap());
    let entry = serde_json::json!({ "sig": signature });
    envelope["signatures"].as_array_mut().unwrap().push(entry);
    fs::write(place.path("both.json"), envelope.to_string()).unwrap();
    let verify = ["verify", "--manifest", "both.json", "--threshold", "2"];
    let trusted = ["--trusted", "alice", "dave.pub"];
    place
        .run(&[&verify[..], &trusted].concat())
        .ends(0, "2 of 2 needed: enough");
    // The key itself works here, too, and gives the very same signature.
    let sign = ["sign", "--manifest", "a.json", "--artifacts", "files"];
    let key = ["--key", "dave.pem", "--output", "ours.json"];
    place
        .run(&[&sign[..], &key].concat())
        .ends(0, "signatures 2");
    assert!(place.read("ours.json").contains(&signature));
}
