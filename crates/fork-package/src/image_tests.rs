//! Tests of layouts, docker archives, root file systems and trees together.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::error::{PackageError, PackageErrorKind};
use crate::image::{Image, Selection};
use crate::layout::LayoutWriter;
use crate::oci::{History, ImageConfig};
use crate::rootfs::Rootfs;
use crate::tar_writer::{Attributes, EntryKind};
use crate::tree::Tree;
use crate::{DataEntryKind, LayerTar, write_docker_archive};

const FILE: Attributes = Attributes::root(0o644, 9);
const DIRECTORY: Attributes = Attributes::root(0o755, 9);

type Fill = fn(&mut LayerTar) -> Result<(), PackageError>;

/// Writes a layout with the given layers and returns its manifest.
fn layout(root: &Path, layers: &[Fill]) -> crate::oci::Manifest {
    let writer = LayoutWriter::create(root).unwrap();
    let mut config = ImageConfig::empty("amd64");
    let mut written = Vec::new();
    for fill in layers {
        let layer = writer.put_layer(fill).unwrap();
        config.push_layer(layer.diff_id.clone(), History::default());
        written.push(layer);
    }
    writer.finish(&config, &written, "name:tag").unwrap().0
}

fn lower(tar: &mut LayerTar) -> Result<(), PackageError> {
    tar.append("d", EntryKind::Directory, DIRECTORY)?;
    tar.append_bytes("d/keep", FILE, b"old")?;
    tar.append_bytes("d/x", FILE, b"1")?;
    tar.append("e", EntryKind::Directory, DIRECTORY)?;
    tar.append_bytes("e/y", FILE, b"2")?;
    tar.append_bytes("gone", FILE, b"3")
}

fn upper(tar: &mut LayerTar) -> Result<(), PackageError> {
    tar.append_bytes(".wh.gone", FILE, b"")?;
    tar.append("d", EntryKind::Directory, DIRECTORY)?;
    tar.append_bytes("d/.wh..wh..opq", FILE, b"")?;
    tar.append_bytes("d/keep", FILE, b"new")?;
    tar.append("e", EntryKind::Symlink { target: "d" }, FILE)
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path).collect()
}

#[test]
fn layouts_and_archives_read_back_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("oci");
    let manifest = layout(&root, &[lower, upper]);
    let image = Image::open_layout(&root, Selection::default()).unwrap();
    let tree = Tree::read(&image.layers, |path| path == "d/keep").unwrap();
    assert_eq!(paths(&tree), ["d", "d/keep", "e"]);
    assert_eq!(
        tree.get("d/keep").unwrap().content.as_deref(),
        Some(b"new".as_slice())
    );

    let archive = directory.path().join("a.tar");
    let file = write_docker_archive(&root, &manifest, "name:tag", 9, &archive).unwrap();
    assert_eq!(file.name, "a.tar");
    let again =
        Image::open_docker_archive(&archive, directory.path(), Selection::default()).unwrap();
    assert_eq!(again.config, image.config);
    assert_eq!(again.digest, manifest.config.digest);
    let tree = Tree::read(&again.layers, |_| false).unwrap();
    assert_eq!(paths(&tree), ["d", "d/keep", "e"]);
    // Layers copied from the archive are the layout's blobs again.
    let copy = LayoutWriter::create(&directory.path().join("copy")).unwrap();
    let layer = copy.copy_layer(&again.layers[0]).unwrap();
    assert_eq!(layer.descriptor, manifest.layers[0]);
}

#[test]
fn selections_and_damage_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let manifest = layout(root, &[lower]);
    let open = |tag, architecture| Image::open_layout(root, Selection { tag, architecture });
    open(Some("name:tag"), Some("amd64")).unwrap();
    for (tag, architecture) in [(Some("other"), None), (None, Some("arm64"))] {
        let error = open(tag, architecture).unwrap_err();
        assert!(matches!(error.kind(), PackageErrorKind::Malformed { .. }));
    }
    let blob = crate::image::blob_path(root, &manifest.layers[0].digest);
    let mut bytes = fork_fs::read_limited(&blob, 1 << 20).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fork_fs::write_atomic(&blob, &bytes).unwrap();
    let image = open(None, None).unwrap();
    let copy = LayoutWriter::create(&root.join("copy")).unwrap();
    let error = copy.copy_layer(&image.layers[0]).unwrap_err();
    assert!(matches!(error.kind(), PackageErrorKind::Digest { .. }));
    assert!(Tree::read(&image.layers, |_| false).is_err());
    bytes.pop();
    fork_fs::write_atomic(&blob, &bytes).unwrap();
    let error = open(None, None).unwrap_err();
    assert!(matches!(error.kind(), PackageErrorKind::SizeChanged { .. }));
    let config = crate::image::blob_path(root, &manifest.config.digest);
    fork_fs::write_atomic(&config, b"{}").unwrap();
    let error = open(None, None).unwrap_err();
    assert!(matches!(error.kind(), PackageErrorKind::Digest { .. }));
}

#[test]
fn older_docker_archives_share_layers_by_links() {
    let directory = tempfile::tempdir().unwrap();
    let layer = |name: &str| {
        let mut tar = crate::TarWriter::new(Vec::new(), crate::NameStyle::Layer, Path::new("l"));
        tar.append_bytes(name, FILE, b"x").unwrap();
        tar.finish().unwrap()
    };
    let bytes = layer("a");
    let mut hasher = fork_fs::HashingWriter::new(std::io::sink());
    std::io::Write::write_all(&mut hasher, &bytes).unwrap();
    let diff_id = format!("sha256:{}", hasher.finish().1.sha256);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}","{diff_id}"]}}}}"#
    );
    let manifest =
        r#"[{"Config":"c.json","RepoTags":null,"Layers":["1/layer.tar","2/layer.tar"]}]"#;
    let write = |link: &str| {
        let mut tar = crate::TarWriter::new(Vec::new(), crate::NameStyle::Layer, Path::new("t"));
        tar.append_bytes("1/layer.tar", FILE, &bytes).unwrap();
        tar.append("2/layer.tar", EntryKind::Symlink { target: link }, FILE)
            .unwrap();
        tar.append_bytes("c.json", FILE, config.as_bytes()).unwrap();
        tar.append_bytes("manifest.json", FILE, manifest.as_bytes())
            .unwrap();
        tar.finish().unwrap()
    };
    let path = directory.path().join("a.tar");
    let open = || Image::open_docker_archive(&path, directory.path(), Selection::default());
    fork_fs::write_atomic(&path, &write("../1/layer.tar")).unwrap();
    let image = open().unwrap();
    assert_eq!(paths(&Tree::read(&image.layers, |_| false).unwrap()), ["a"]);
    let mut zipped = crate::gzip::encoder(Vec::new());
    std::io::Write::write_all(&mut zipped, &write("../1/layer.tar")).unwrap();
    fork_fs::write_atomic(&path, &zipped.finish().unwrap()).unwrap();
    assert_eq!(open().unwrap().layers.len(), 2);
    fork_fs::write_atomic(&path, &write("../../1/layer.tar")).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error.kind(), PackageErrorKind::UnsafePath { .. }));
    fork_fs::write_atomic(&path, &write("../3/layer.tar")).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error.kind(), PackageErrorKind::Malformed { .. }));
}

#[test]
fn a_root_file_system_becomes_the_same_layer_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::write(root.join("usr/bin/a"), b"#!").unwrap();
    std::fs::set_permissions(root.join("usr/bin/a"), PermissionsExt::from_mode(0o4755)).unwrap();
    std::fs::hard_link(root.join("usr/bin/a"), root.join("usr/bin/b")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
    let rootfs = Rootfs::open(&root).unwrap();
    drop(socket);
    assert_eq!(rootfs.skipped(), ["s"]);
    let write = |name: &str| {
        let writer = LayoutWriter::create(&directory.path().join(name)).unwrap();
        let layer = writer.put_layer(|tar| rootfs.write(tar, 1000)).unwrap();
        (writer.source(&layer), layer)
    };
    let (source, one) = write("one");
    assert_eq!(one.descriptor, write("two").1.descriptor);
    let tree = Tree::read(&[source], |_| false).unwrap();
    assert_eq!(
        paths(&tree),
        ["", "bin", "usr", "usr/bin", "usr/bin/a", "usr/bin/b"]
    );
    let a = &tree.get("usr/bin/a").unwrap().entry;
    assert_eq!((a.mode, a.mtime), (0o4755, 1000));
    let link = &tree.get("usr/bin/b").unwrap().entry.kind;
    assert!(matches!(link, DataEntryKind::HardLink { target } if target == "usr/bin/a"));
}
