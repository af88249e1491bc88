//! OpenPGP signatures with keys that GnuPG made, judged by gpgv.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fork_sign::openpgp::{OpenPgpError, OpenPgpErrorKind, OpenPgpKey, OpenPgpKeyring};
use fork_types::{Class, Fault};

/// A year after the keys were made.
const TIME: u64 = 1_735_689_600;

/// Has what needs care: a line that begins with a dash, blanks at a line's begin, an empty line.
const TEXT: &str = "Suite: stable\n- dashed\n-----BEGIN\n\n indented\nlast: ä\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keys")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

fn key(name: &str) -> OpenPgpKey {
    OpenPgpKey::read(&bytes(name), None, name).unwrap()
}

fn error(name: &str, passphrase: Option<&str>, time: u64) -> OpenPgpError {
    let key = OpenPgpKey::read(&bytes(name), passphrase, name);
    match key {
        Err(error) => error,
        Ok(key) => {
            let error = key.sign_cleartext(TEXT, time).unwrap_err();
            let detached = key.sign_detached(TEXT, time).unwrap_err();
            assert_eq!(error.to_string(), detached.to_string());
            error
        }
    }
}

/// Whether gpgv is here; it is wherever apt is. Without it, CI fails and anybody else is told.
fn have_gpgv() -> bool {
    let found = Command::new("gpgv").arg("--version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "missing on CI: gpgv"
    );
    if !found {
        eprintln!("SKIPPED: missing gpgv");
    }
    found
}

/// What gpgv says of a signature.
fn gpgv(directory: &Path, key: &OpenPgpKey, files: &[&Path]) -> (bool, String) {
    // It takes binary keyrings only.
    let armored = key.public_key().unwrap();
    let ring = directory.join("ring.gpg");
    let body: String = armored
        .lines()
        .skip_while(|line| !line.is_empty())
        .take_while(|line| !line.starts_with(['=', '-']))
        .collect();
    let binary = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    fs::write(&ring, binary).unwrap();
    let output = Command::new("gpgv")
        .env("LC_ALL", "C")
        .arg("--keyring")
        .arg(&ring)
        .args(files)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text)
}

#[test]
fn gpgv_takes_every_kind_of_signature() {
    if !have_gpgv() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let passphrase = Some("correct horse");
    let protected = OpenPgpKey::read(&bytes("protected.asc"), passphrase, "p").unwrap();
    for (name, key) in [
        ("one.asc", key("one.asc")),
        ("one.gpg", key("one.gpg")),
        ("rsa.asc", key("rsa.asc")),
        ("subkey.asc", key("subkey.asc")),
        ("subkey-only.asc", key("subkey-only.asc")),
        ("protected.asc", protected),
    ] {
        let signed = root.join("InRelease");
        let text = root.join("Release");
        let detached = root.join("Release.gpg");
        fs::write(&signed, key.sign_cleartext(TEXT, TIME).unwrap()).unwrap();
        fs::write(&text, TEXT).unwrap();
        fs::write(&detached, key.sign_detached(TEXT, TIME).unwrap()).unwrap();
        for files in [&[signed.as_path()][..], &[&detached, &text]] {
            let (good, said) = gpgv(root, &key, files);
            assert!(good && said.contains("Good signature"), "{name}: {said}");
            assert!(said.contains("Jan  1 00:00:00 2025"), "{name}: {said}");
        }
        // gpgv is able to say no.
        fs::write(&text, TEXT.replace("stable", "Stable")).unwrap();
        let (good, said) = gpgv(root, &key, &[&detached, &text]);
        assert!(!good && said.contains("BAD signature"), "{name}: {said}");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for name in ["one.asc", "rsa.asc", "subkey.asc"] {
        let sign = |time| key(name).sign_cleartext(TEXT, time).unwrap();
        assert_eq!(sign(TIME), sign(TIME), "{name}");
        assert_ne!(sign(TIME), sign(TIME + 1), "{name}");
        let detached = |time| key(name).sign_detached(TEXT, time).unwrap();
        assert_eq!(detached(TIME), detached(TIME), "{name}");
    }
}

#[test]
fn what_was_signed_is_read_back() {
    for (secret, public) in [
        ("one.asc", "one.pub.asc"),
        ("rsa.asc", "rsa.pub.asc"),
        ("subkey.asc", "subkey.pub.asc"),
    ] {
        let key = key(secret);
        let ring = OpenPgpKeyring::read(&bytes(public), public).unwrap();
        assert_eq!(ring.fingerprints(), [key.fingerprint()]);
        let signed = key.sign_cleartext(TEXT, TIME).unwrap();
        let verified = ring.verify_cleartext(&signed, Some(TIME + 5)).unwrap();
        assert_eq!(verified.text, TEXT);
        assert_eq!(verified.fingerprint, key.fingerprint());
        assert_eq!(verified.time, TIME);
        let detached = key.sign_detached(TEXT, TIME).unwrap();
        ring.verify_detached(TEXT, &detached, None).unwrap();
    }
}

#[test]
fn changed_texts_and_strangers_are_refused() {
    let ring = key("one.asc").keyring();
    let signed = key("one.asc").sign_cleartext(TEXT, TIME).unwrap();
    ring.verify_cleartext(&signed, None).unwrap();
    let not_signed = |message: String| {
        let error = ring.verify_cleartext(&message, None).unwrap_err();
        assert_eq!(error.class(), Class::Wrong, "{error}");
        error
    };
    for message in [
        signed.replace("stable", "Stable"),
        signed.replace(" indented", "indented"),
        signed.replacen("\n\n", "\n\nMore: text\n", 1),
        format!("More: text\n{signed}"),
        format!("{signed}More: text\n"),
        format!("{signed}{signed}"),
        signed.replace("Hash: SHA512", "Comment: x"),
        signed
            .split_once("-----BEGIN PGP SIGNATURE")
            .unwrap()
            .0
            .to_owned(),
        TEXT.to_owned(),
        String::new(),
    ] {
        assert_ne!(message, signed);
        not_signed(message);
    }
    let other = key("rsa.asc").sign_cleartext(TEXT, TIME).unwrap();
    let error = not_signed(other);
    assert!(error.to_string().contains("not believed"), "{error}");
    let detached = key("one.asc").sign_detached(TEXT, TIME).unwrap();
    let error = ring.verify_detached("Suite: other\n", &detached, None);
    assert_eq!(error.unwrap_err().class(), Class::Wrong);
    // Both are believed after a change of keys.
    let mut both = key("rsa.asc").keyring();
    both.extend(ring);
    both.verify_cleartext(&signed, None).unwrap();
}

#[test]
fn keys_that_must_not_sign_are_refused() {
    let day = 86_400;
    for (name, passphrase, time, message) in [
        ("expired.asc", None, TIME, "it expired at"),
        ("revoked.asc", None, TIME, "it is revoked"),
        ("certify.asc", None, TIME, "it is not for signing"),
        ("one.asc", None, 1_700_000_000, "it was made at"),
        // The subkey is a day younger than its key.
        (
            "subkey.asc",
            None,
            1_704_067_200 + day - 1,
            "it is not for signing",
        ),
        ("protected.asc", None, TIME, "no passphrase was given"),
        (
            "protected.asc",
            Some("marker-wrong"),
            TIME,
            "does not open it",
        ),
        ("one.pub.asc", None, TIME, "holds no secret key"),
        ("README.md", None, TIME, "holds no OpenPGP key"),
        ("one.asc", None, 1 << 32, "is no time"),
    ] {
        let error = error(name, passphrase, time);
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert!(!format!("{error}{error:?}").contains("marker"), "{name}");
        assert_eq!(error.class(), Class::BadInput, "{name}");
    }
    // As long as it was valid, it was; and what it signed then stays readable.
    let expired = key("expired.asc");
    let then = 1_704_067_200 + day;
    let signed = expired.sign_cleartext(TEXT, then).unwrap();
    let ring = expired.keyring();
    ring.verify_cleartext(&signed, None).unwrap();
    let error = ring.verify_cleartext(&signed, Some(TIME)).unwrap_err();
    assert!(error.to_string().contains("it expired at"), "{error}");
}

#[test]
fn texts_that_the_framework_would_change_are_refused() {
    for text in ["no line end", "blank \n", "tab\t\n", "return\r\n"] {
        let error = key("one.asc").sign_cleartext(text, TIME).unwrap_err();
        assert!(matches!(error.kind(), OpenPgpErrorKind::Text), "{text:?}");
    }
}

#[test]
fn nothing_secret_is_said_of_keys_that_are_damaged() {
    let good = String::from_utf8(bytes("one.asc")).unwrap();
    let line = good.lines().nth(2).unwrap();
    let mut refused = 0;
    for (index, _) in good.char_indices().step_by(7) {
        let mut damaged = good.clone().into_bytes();
        damaged[index] ^= 2;
        for bytes in [damaged, good.as_bytes()[..index].to_vec()] {
            let said = match OpenPgpKey::read(&bytes, Some("marker"), "key") {
                Ok(key) => match key.sign_detached(TEXT, TIME) {
                    Ok(_) => continue,
                    Err(error) => format!("{key:?} {error} {error:?} {:?}", error.hint()),
                },
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            refused += 1;
            assert!(
                !said.contains("marker") && !said.contains(&line[..20]),
                "{said}"
            );
            assert!(said.len() < 600, "{said}");
        }
    }
    assert!(refused > 50);
    let large = vec![b'x'; (1 << 20) + 1];
    assert!(OpenPgpKey::read(&large, None, "key").is_err());
    assert!(OpenPgpKeyring::read(b"", "key").is_err());
}
