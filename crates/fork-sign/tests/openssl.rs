//! OpenSSL as the judge: its keys and signatures are taken here, and ours there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use fork_sign::{Envelope, KeyError, PublicKey, SecretKey, TrustedKeys};
use sha2::{Digest, Sha256};

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

/// Runs OpenSSL in a directory; returns its output, and whether it was content.
fn openssl(directory: &Path, line: &str) -> (Vec<u8>, bool) {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(directory)
        .output()
        .unwrap();
    (output.stdout, output.status.success())
}

fn done(directory: &Path, line: &str) -> Vec<u8> {
    let (output, success) = openssl(directory, line);
    assert!(success, "openssl {line}");
    output
}

#[test]
fn keys_and_signatures_go_both_ways() {
    if !have_openssl() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    done(at, "genpkey -algorithm ed25519 -out theirs.pem");
    done(at, "pkey -in theirs.pem -pubout -out theirs.pub");
    let theirs = SecretKey::from_pem(&fs::read(at.join("theirs.pem")).unwrap()).unwrap();
    let their_public = PublicKey::from_pem(&fs::read(at.join("theirs.pub")).unwrap()).unwrap();
    assert_eq!(*theirs.public(), their_public);
    assert_eq!(
        their_public.id().as_str(),
        hex::encode(Sha256::digest(done(
            at,
            "pkey -pubin -in theirs.pub -outform DER"
        )))
    );
    // Our files are theirs, byte for byte.
    assert_eq!(
        theirs.to_pem().unwrap().as_bytes(),
        fs::read(at.join("theirs.pem")).unwrap()
    );
    assert_eq!(
        their_public.to_pem().unwrap().as_bytes(),
        fs::read(at.join("theirs.pub")).unwrap()
    );

    let ours = SecretKey::from_seed(&[9; 32]).unwrap();
    let mut envelope = Envelope::new(br#"{"_type":"https://in-toto.io/Statement/v1"}"#.to_vec());
    envelope.sign(&ours).unwrap();
    fs::write(at.join("ours.pub"), ours.public().to_pem().unwrap()).unwrap();
    fs::write(at.join("message"), envelope.signed_bytes()).unwrap();
    fs::write(at.join("ours.sig"), ours.sign(&envelope.signed_bytes())).unwrap();
    let check = "pkeyutl -verify -rawin -pubin -inkey ours.pub -in message -sigfile ours.sig";
    done(at, check);
    fs::write(at.join("message"), b"DSSEv1 0  0 ").unwrap();
    assert!(!openssl(at, check).1, "another message passed");

    fs::write(at.join("message"), envelope.signed_bytes()).unwrap();
    done(
        at,
        "pkeyutl -sign -rawin -inkey theirs.pem -in message -out theirs.sig",
    );
    let their_signature = fs::read(at.join("theirs.sig")).unwrap();
    assert!(their_public.verifies(&envelope.signed_bytes(), &their_signature));
    envelope.sign(&theirs).unwrap();
    let mut trusted = TrustedKeys::new();
    trusted.insert(their_public).unwrap();
    trusted.insert(ours.public().clone()).unwrap();
    let types = [fork_sign::PAYLOAD_TYPE];
    assert!(envelope.verify(&trusted, 2, &types).unwrap().is_met());
}

#[test]
fn other_keys_are_named_and_refused() {
    if !have_openssl() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    done(at, "genpkey -algorithm ed25519 -out key.pem");
    done(at, "genpkey -algorithm x25519 -out x.pem");
    done(at, "pkey -in x.pem -pubout -out x.pub");
    done(at, "ecparam -name prime256v1 -genkey -noout -out ec.pem");
    done(
        at,
        "pkey -in key.pem -aes256 -passout pass:x -out locked.pem",
    );
    let private = |name: &str| SecretKey::from_pem(&fs::read(at.join(name)).unwrap()).unwrap_err();
    let public = |name: &str| PublicKey::from_pem(&fs::read(at.join(name)).unwrap()).unwrap_err();
    assert_eq!(private("x.pem"), KeyError::Malformed);
    assert_eq!(public("x.pub"), KeyError::Malformed);
    assert!(
        private("ec.pem")
            .to_string()
            .contains("an ECDSA private key")
    );
    assert!(
        private("locked.pem")
            .to_string()
            .contains("an encrypted private key")
    );
    assert!(
        public("key.pem")
            .to_string()
            .contains("it is a private key")
    );
    assert!(private("x.pub").to_string().contains("it is a public key"));
}
