//! A package of one file, and bases of a few.
#![allow(dead_code, reason = "every test file uses its part")]

use std::path::{Path, PathBuf};

use fork_package::oci::{History, ImageConfig};
use fork_package::{Attributes, DebBuilder, EntryKind, FileSource, LayoutWriter, Paragraph};
use fork_types::Compression;

pub const FILE: Attributes = Attributes::root(0o644, 3);
pub const DIRECTORY: Attributes = Attributes::root(0o755, 3);
pub const DPKG: &str =
    "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n";

/// A base of a status file and some more files (sorted, with their parents).
pub fn base(root: &Path, status: &str, more: &[(&str, Option<&str>)]) -> PathBuf {
    base_for("amd64", &root.join("base"), status, more)
}

/// The same for another architecture, elsewhere.
pub fn base_for(
    architecture: &str,
    directory: &Path,
    status: &str,
    more: &[(&str, Option<&str>)],
) -> PathBuf {
    let layout = LayoutWriter::create(directory).unwrap();
    let status = format!("{}{status}", DPKG.replace("amd64", architecture));
    let mut files: Vec<(&str, Option<&str>)> = vec![
        ("etc", None),
        ("etc/os-release", Some("NAME=x\nPRETTY_NAME=\"Test 1\"\n")),
        ("var", None),
        ("var/lib", None),
        ("var/lib/dpkg", None),
        ("var/lib/dpkg/status", Some(&status)),
    ];
    files.extend(more);
    files.sort_unstable();
    let layer = layout
        .put_layer(|tar| -> Result<(), fork_package::PackageError> {
            for (path, content) in &files {
                match content {
                    None => tar.append(path, EntryKind::Directory, DIRECTORY)?,
                    Some(text) if text.starts_with("-> ") => {
                        tar.append(path, EntryKind::Symlink { target: &text[3..] }, FILE)?;
                    }
                    Some(text) => tar.append_bytes(path, FILE, text.as_bytes())?,
                }
            }
            Ok(())
        })
        .unwrap();
    let mut config = ImageConfig::empty(architecture);
    let runtime = config.config.get_or_insert_default();
    runtime.insert("Entrypoint".to_owned(), vec!["/entrypoint.sh"].into());
    config.set_label("theirs", "kept");
    config.push_layer(layer.diff_id.clone(), History::default());
    layout.finish(&config, &[layer], "base").unwrap();
    directory.to_owned()
}

pub fn deb(root: &Path, control: &str) -> PathBuf {
    deb_in(root, control, Compression::Gzip)
}

pub fn deb_in(root: &Path, control: &str, compression: Compression) -> PathBuf {
    let text = format!(
        "Package: mina-x-config\nVersion: 2\nArchitecture: all\nCodename: bookworm\n{control}"
    );
    let mut deb = DebBuilder::new(Paragraph::parse(&text).unwrap(), 1_700_000_000)
        .compressed_with(compression);
    deb.add(
        "/var/lib/coda/x.json",
        0o640,
        FileSource::Bytes(b"{}".to_vec()),
    )
    .unwrap();
    let path = root.join("x.deb");
    deb.write(&path).unwrap();
    path
}
