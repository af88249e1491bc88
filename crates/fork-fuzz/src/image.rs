//! Container images.

use std::io::Write;
use std::path::Path;

use fork_package::{Image, PackageError, Selection, Tree, gzip};
use sha2::{Digest, Sha256};

use crate::archives::check;
use crate::repair::with_checksums;
use crate::shown;

/// What stands between the parts of an image: index, manifest, config, layer.
pub(crate) const SEPARATOR: &str = "\n%%\n";

/// Most bytes of the tree of an image made from a few kilobytes.
const PATHS_MAX: usize = 1_000_000;

/// Parts of a layout, with `%manifest%`, `%config%`, `%layer%` and `%tar%` for the digests and
/// `%…-size%` for the sizes, which are put in here: a changed digest is refused before anything else
/// is looked at.
pub(crate) fn oci(data: &[u8]) {
    let mut parts = split(data);
    let layer = parts.pop().unwrap_or_default();
    for layer in [layer.clone(), with_checksums(&layer)] {
        let mut texts: Vec<String> = parts
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        texts.resize(3, String::new());
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let root = directory.path();
        std::fs::create_dir_all(root.join("blobs/sha256")).expect("there is room");
        let mut replace: Vec<(&str, String, usize)> = Vec::new();
        replace.push(("tar", digest(&unpacked(&layer)), layer.len()));
        replace.push(("layer", blob(root, &layer), layer.len()));
        for (name, index) in [("config", 2), ("manifest", 1)] {
            let text = filled(&texts[index], &replace);
            replace.push((name, blob(root, text.as_bytes()), text.len()));
        }
        let index = filled(&texts[0], &replace);
        write(&root.join("index.json"), index.as_bytes());
        write(
            &root.join("oci-layout"),
            b"{\"imageLayoutVersion\":\"1.0.0\"}",
        );
        read(Image::open_layout(root, Selection::default()));
    }
}

/// The output of `docker save`.
pub(crate) fn docker_archive(data: &[u8]) {
    for bytes in [data, &with_checksums(data)] {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("archive");
        write(&path, bytes);
        read(Image::open_docker_archive(
            &path,
            directory.path(),
            Selection::default(),
        ));
    }
}

fn read(image: Result<Image, PackageError>) {
    let image = match image {
        Ok(image) => image,
        Err(error) => {
            shown(&error);
            return;
        }
    };
    match Tree::read(&image.layers, |path| path.len() < 4) {
        Ok(tree) => {
            for (path, node) in tree.iter() {
                assert_eq!(path, node.entry.path);
                check(&node.entry);
            }
            assert!(tree.iter().count() < PATHS_MAX);
        }
        Err(error) => drop(shown(&error)),
    }
}

fn split(data: &[u8]) -> Vec<Vec<u8>> {
    let separator = SEPARATOR.as_bytes();
    let mut parts = Vec::new();
    let mut rest = data;
    while parts.len() < 3
        && let Some(at) = rest
            .windows(separator.len())
            .position(|window| window == separator)
    {
        parts.push(rest[..at].to_vec());
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest.to_vec());
    parts
}

fn unpacked(layer: &[u8]) -> Vec<u8> {
    /// More than any seed has.
    const BYTES_MAX: u64 = 1 << 20;
    let mut bytes = Vec::new();
    let limited = std::io::Read::take(gzip::decoder(layer), BYTES_MAX);
    match std::io::Read::read_to_end(&mut { limited }, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => layer.to_vec(),
    }
}

fn filled(text: &str, replace: &[(&str, String, usize)]) -> String {
    let mut text = text.to_owned();
    for (name, digest, bytes) in replace {
        text = text.replacen(&format!("%{name}%"), digest, 4).replacen(
            &format!("%{name}-size%"),
            &bytes.to_string(),
            4,
        );
    }
    text
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn blob(root: &Path, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    write(&root.join("blobs/sha256").join(hex), bytes);
    digest
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::File::create(path).expect("there is room for a file");
    file.write_all(bytes).expect("there is room for a file");
}
