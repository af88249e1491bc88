//! Packages in every compression: the same content, the same bytes for any number of threads, and
//! Debian's tools read them.
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

use fork_fs::sha256_file;
use fork_package::{DebBuilder, DebReader, FileSource, PackageError, Paragraph, WrittenDeb};
use fork_types::Compression;
use sha2::{Digest, Sha256};

/// Whether dpkg-deb is here. Without it, CI fails and anybody else is told.
fn have_dpkg_deb() -> bool {
    let found = Command::new("dpkg-deb").arg("--version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "missing on CI: dpkg-deb"
    );
    if !found {
        eprintln!("SKIPPED: missing dpkg-deb");
    }
    found
}

/// What compresses, what does not, and the borders between, over several chunks of any compressor.
fn content() -> Vec<u8> {
    let mut state = 1_u32;
    (0..5_000_000_usize)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            if at / 300_000 % 4 == 1 {
                byte & 3
            } else {
                byte
            }
        })
        .collect()
}

fn write(compression: Compression, threads: usize, target: &Path) -> WrittenDeb {
    let control = "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a\n";
    let mut deb = DebBuilder::new(Paragraph::parse(control).unwrap(), 1_700_000_000)
        .compressed_with(compression);
    deb.add("/usr/a", 0o644, FileSource::Bytes(content()))
        .unwrap();
    deb.add("/usr/b", 0o755, FileSource::Bytes(b"b".to_vec()))
        .unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| deb.write(target)).unwrap()
}

#[test]
fn threads_do_not_show_and_the_payload_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut payloads = Vec::new();
    for compression in Compression::ALL {
        let path = directory.path().join(format!("{compression}.deb"));
        let written = write(compression, 1, &path);
        for threads in [2, 5] {
            let again = directory.path().join("again.deb");
            assert_eq!(write(compression, threads, &again), written);
            assert!(
                fs::read(&again).unwrap() == fs::read(&path).unwrap(),
                "{compression}, {threads} threads"
            );
        }
        assert_eq!(sha256_file(&path).unwrap(), written.file);
        let reader = DebReader::open(&path).unwrap();
        assert_eq!(reader.compression(), compression);
        let names = reader.members().map(|member| member.name.clone());
        let suffix = compression.suffix();
        assert_eq!(
            names,
            [format!("control.tar{suffix}"), format!("data.tar{suffix}")]
        );
        let mut files = Vec::new();
        let payload = reader
            .read_data(|entry, content| {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).unwrap();
                files.push((entry.path.clone(), hex::encode(Sha256::digest(bytes))));
                Ok::<(), PackageError>(())
            })
            .unwrap();
        assert_eq!(payload, written.payload_sha256);
        assert_eq!(
            files[2],
            ("usr/a".to_owned(), written.contents[0].sha256.clone())
        );
        payloads.push(payload);
    }
    payloads.dedup();
    assert_eq!(payloads.len(), 1);
}

#[test]
fn dpkg_deb_reads_every_compression() {
    if !have_dpkg_deb() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let run = |command: &mut Command| {
        let output = command.env("LC_ALL", "C").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {error}");
        output.stdout
    };
    for compression in Compression::ALL {
        let path = directory.path().join(format!("{compression}.deb"));
        let written = write(compression, 2, &path);
        let dpkg_deb = |option: &str| {
            let mut command = Command::new("dpkg-deb");
            command.arg(option).arg(&path);
            command
        };
        let info = String::from_utf8(run(&mut dpkg_deb("--info"))).unwrap();
        assert!(info.contains(" new Debian package, version 2.0."), "{info}");
        assert!(info.contains(" Installed-Size: "), "{info}");
        let list = String::from_utf8(run(&mut dpkg_deb("--contents"))).unwrap();
        assert_eq!(list.lines().count(), 4, "{list}");
        let tar = run(&mut dpkg_deb("--fsys-tarfile"));
        assert_eq!(hex::encode(Sha256::digest(tar)), written.payload_sha256);
        let unpacked = directory.path().join(compression.name());
        run(dpkg_deb("--extract").arg(&unpacked));
        assert!(fs::read(unpacked.join("usr/a")).unwrap() == content());
    }
}
