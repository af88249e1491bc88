//! Tests of packages of every kind.

use sha2::{Digest, Sha256};

use std::collections::BTreeMap;
use std::path::Path;

use crate::deb_reader::DebReader;
use crate::deb_tree::{
    DebTree, Owner, TreeEntry, TreeKind, WrittenTree, conffiles, member_compression,
};
use crate::error::PackageError;
use crate::tar_reader::{DataEntry, DataEntryKind};

fn entry(kind: TreeKind, mode: u32) -> TreeEntry {
    TreeEntry {
        kind,
        mode,
        owner: Owner::root(),
        mtime: 7,
    }
}

fn file(content: &[u8], mode: u32) -> TreeEntry {
    let kind = TreeKind::File {
        bytes: content.len() as u64,
        sha256: hex::encode(Sha256::digest(content)),
    };
    entry(kind, mode)
}

fn tree(compression: fork_types::Compression) -> DebTree {
    let control = "Package: a\nVersion: 1\nArchitecture: amd64\nDescription: a\n";
    let mut entries = BTreeMap::from(
        ["", "etc", "usr"].map(|path| (path.to_owned(), entry(TreeKind::Directory, 0o755))),
    );
    let link = |target: &str| TreeKind::Symlink {
        target: target.to_owned(),
    };
    let hard = TreeKind::HardLink {
        target: "usr/a".to_owned(),
    };
    entries.insert("etc/c".to_owned(), file(b"c", 0o600));
    entries.insert("usr/a".to_owned(), file(b"aa", 0o4755));
    entries.insert("usr/b".to_owned(), entry(hard, 0o4755));
    entries.insert("usr/l".to_owned(), entry(link("../etc/c"), 0o777));
    let mut owned = file(b"d", 0o640);
    owned.owner = Owner {
        uid: 5,
        gid: 60,
        user: "games".to_owned(),
        group: String::new(),
    };
    entries.insert("usr/d".to_owned(), owned);
    DebTree {
        mtime: 9,
        control_compression: compression,
        data_compression: compression,
        control_files: BTreeMap::from([
            ("control".to_owned(), control.into()),
            ("conffiles".to_owned(), b"/etc/c\n".to_vec()),
            ("postinst".to_owned(), b"#!/bin/sh\n".to_vec()),
        ]),
        entries,
    }
}

fn write(tree: &DebTree, path: &Path) -> Result<WrittenTree, PackageError> {
    tree.write(path, &mut |path| {
        let content: &[u8] = match path {
            "etc/c" => b"c",
            "usr/a" => b"aa",
            _ => b"d",
        };
        Ok(Box::new(content))
    })
}

#[test]
fn everything_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.deb");
    for compression in [fork_types::Compression::None, fork_types::Compression::Gzip] {
        let tree = tree(compression);
        let written = write(&tree, &path).unwrap();
        let reader = DebReader::open(&path).unwrap();
        let member = member_compression(reader.data_member());
        assert_eq!(member, Some(compression));
        assert_eq!(reader.mtime(), 9);
        assert_eq!(reader.control_files(), &written.control_files);
        // Four files and a link of a KiB at most, one name more, three directories.
        assert_eq!(reader.control().get("Installed-Size"), Some("7"));
        let md5sums = String::from_utf8(reader.md5sums().unwrap().to_vec()).unwrap();
        let names: Vec<&str> = md5sums.lines().map(|line| &line[34..]).collect();
        assert_eq!(names, ["usr/a", "usr/b", "usr/d"]);
        assert_eq!(
            md5sums.lines().next().unwrap()[..32],
            md5sums[39 + 1..][..32]
        );
        let mut found: Vec<DataEntry> = Vec::new();
        let payload = reader
            .read_data(|entry, _| {
                found.push(entry.clone());
                Ok::<_, PackageError>(())
            })
            .unwrap();
        assert_eq!(payload, written.payload_sha256);
        let paths: Vec<&str> = found.iter().map(|entry| entry.path.as_str()).collect();
        let expected: Vec<&str> = tree.entries.keys().map(String::as_str).collect();
        assert_eq!(paths, expected);
        assert_eq!((found[4].mode, found[4].mtime), (0o4755, 7));
        let target = "usr/a".to_owned();
        assert_eq!(found[5].kind, DataEntryKind::HardLink { target });
        let owner = (found[6].uid, found[6].gid, found[6].user.as_str());
        assert_eq!(owner, (5, 60, "games"));
        assert_eq!(
            (found[6].group.as_str(), found[4].group.as_str()),
            ("", "root")
        );
    }
}

#[test]
fn impossible_packages_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.deb");
    let refused = |change: &dyn Fn(&mut DebTree)| {
        let mut tree = tree(fork_types::Compression::Gzip);
        change(&mut tree);
        let error = write(&tree, &path).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    let gone = refused(&|tree| drop(tree.entries.remove("etc/c")));
    assert!(gone.contains("`/etc/c` is a conffile"), "{gone}");
    let orphan = refused(&|tree| drop(tree.entries.remove("usr")));
    assert!(orphan.contains("`/usr` is no directory"), "{orphan}");
    let link = refused(&|tree| {
        let target = "usr/d".to_owned();
        let link = entry(TreeKind::HardLink { target }, 0o644);
        tree.entries.insert("usr/b".to_owned(), link);
    });
    assert!(link.contains("is no file before it"), "{link}");
    let other = refused(&|tree| drop(tree.entries.insert("usr/a".to_owned(), file(b"bb", 0))));
    assert!(other.contains("changed while it was packed"), "{other}");
    let up = refused(&|tree| drop(tree.entries.insert("../a".to_owned(), file(b"d", 0))));
    assert!(up.contains("would leave"), "{up}");
    let owner = refused(&|tree| {
        if let Some(entry) = tree.entries.get_mut("usr/a") {
            entry.owner.user = "x".repeat(33);
        }
    });
    assert!(owner.contains("no name of an owner"), "{owner}");
    assert_eq!(fork_fs::sorted_names(directory.path()).unwrap().len(), 0);
}

#[test]
fn conffiles_that_are_to_go_are_not_in_the_package() {
    let text = "/etc/a\nremove-on-upgrade /etc/b\n\n/etc/c  \n";
    assert_eq!(conffiles(text).collect::<Vec<_>>(), ["etc/a", "etc/c"]);
}
