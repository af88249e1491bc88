//! The least that an image can be built on, the same bytes everywhere: made here, because a real base
//! changes with its distribution.

use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use sha2::{Digest, Sha256};

const STATUS: &str =
    "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n";

/// Names and contents; a directory has none.
const FILES: [(&str, Option<&str>); 10] = [
    ("etc/", None),
    (
        "etc/os-release",
        Some("PRETTY_NAME=\"Tiny\"\nVERSION_CODENAME=bookworm\n"),
    ),
    ("usr/", None),
    ("usr/bin/", None),
    ("var/", None),
    ("var/lib/", None),
    ("var/lib/dpkg/", None),
    ("var/lib/dpkg/arch", Some("amd64\n")),
    ("var/lib/dpkg/info/", None),
    ("var/lib/dpkg/status", Some(STATUS)),
];

fn archive<'a>(members: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(match content {
            Some(_) => tar::EntryType::Regular,
            None => tar::EntryType::Directory,
        });
        header.set_mode(if content.is_some() { 0o644 } else { 0o755 });
        header.set_size(content.map_or(0, |content| content.len() as u64));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let content = content.unwrap_or_default();
        archive.append_data(&mut header, name, content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Writes the base as an archive of `docker save`.
pub fn write_archive(path: &Path) {
    let files = FILES.map(|(name, content)| (name, content.map(str::as_bytes)));
    let layer = archive(files);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))],
        },
    });
    let manifest = json!([
        {"Config": "config.json", "RepoTags": ["base:1"], "Layers": ["layer.tar"]}
    ]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let members = [
        ("layer.tar", Some(layer.as_slice())),
        ("config.json", Some(config.as_bytes())),
        ("manifest.json", Some(manifest.as_bytes())),
    ];
    fs::write(path, archive(members)).unwrap();
}

/// Writes it as a root file system. Its owner is whoever runs this, so the layer that is made of it is
/// the same for one user only.
pub fn write_rootfs(path: &Path) {
    fs::create_dir(path).unwrap();
    for (name, content) in FILES {
        match content {
            None => fs::create_dir(path.join(name)).unwrap(),
            Some(content) => fs::write(path.join(name), content).unwrap(),
        }
    }
    let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000));
    for (name, content) in FILES.iter().rev().chain([&("", None)]) {
        let path = path.join(name);
        let mode = if content.is_some() { 0o644 } else { 0o755 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        fs::File::open(&path).unwrap().set_times(times).unwrap();
    }
}
