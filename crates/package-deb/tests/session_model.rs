//! Sessions against a model, and packages that want to do harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fork_package::{
    Attributes, DataEntryKind, DebReader, DebTree, EntryKind, NameStyle, Owner, PackageError,
    TarWriter, TreeEntry, TreeKind, ar,
};
use fork_types::{Class, Fault};
use package_deb::session::{Session, SessionError, unpack};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Mode, owner, time and content.
type Model = BTreeMap<String, (u32, u64, u64, Vec<u8>)>;

const TIME: u64 = 1_600_000_000;
const CONTROL: &str = "Package: aa\nVersion: 1\nArchitecture: all\n";

fn tree(files: &Model) -> DebTree {
    let mut entries = BTreeMap::new();
    for (path, (mode, uid, mtime, content)) in files {
        for (index, _) in path.match_indices('/') {
            entries.insert(path[..index].to_owned(), directory());
        }
        let kind = TreeKind::File {
            bytes: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
        };
        let owner = Owner {
            uid: *uid,
            gid: *uid,
            user: String::new(),
            group: String::new(),
        };
        let (mode, mtime) = (*mode, *mtime);
        entries.insert(
            path.clone(),
            TreeEntry {
                kind,
                mode,
                owner,
                mtime,
            },
        );
    }
    entries.insert(String::new(), directory());
    DebTree {
        mtime: TIME,
        control_compression: fork_types::Compression::Gzip,
        data_compression: fork_types::Compression::None,
        control_files: BTreeMap::from([("control".to_owned(), CONTROL.into())]),
        entries,
    }
}

fn directory() -> TreeEntry {
    TreeEntry {
        kind: TreeKind::Directory,
        mode: 0o755,
        owner: Owner::root(),
        mtime: TIME,
    }
}

fn write(files: &Model, path: &Path) {
    tree(files)
        .write(path, &mut |name| {
            Ok(Box::new(std::io::Cursor::new(files[name].3.clone())))
        })
        .unwrap();
}

fn read(path: &Path) -> Model {
    let mut found = Model::new();
    DebReader::open(path)
        .unwrap()
        .read_data(|entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            if matches!(entry.kind, DataEntryKind::File { .. }) {
                let value = (entry.mode, entry.uid, entry.mtime, bytes);
                found.insert(entry.path.clone(), value);
            }
            Ok::<_, PackageError>(())
        })
        .unwrap();
    found
}

#[derive(Clone, Debug)]
enum Action {
    Insert(usize, u8, bool),
    Replace(usize, u8),
    ReplaceAll(u8),
    Remove(usize),
    RemoveAll,
    Move(usize, usize),
    WriteByHand(usize, u8),
    Reopen,
}

const PATHS: [&str; 6] = ["a/x", "a/y", "a/b/x", "c", "d/e/f", "g.h"];

fn action() -> impl Strategy<Value = Action> {
    let path = 0..PATHS.len();
    prop_oneof![
        3 => (path.clone(), 0..4_u8, any::<bool>()).prop_map(|(path, content, run)| Action::Insert(path, content, run)),
        2 => (path.clone(), 0..4_u8).prop_map(|(path, content)| Action::Replace(path, content)),
        1 => (0..4_u8).prop_map(Action::ReplaceAll),
        2 => path.clone().prop_map(Action::Remove),
        1 => Just(Action::RemoveAll),
        3 => (path.clone(), path.clone()).prop_map(|(from, to)| Action::Move(from, to)),
        2 => (path, 0..4_u8).prop_map(|(path, content)| Action::WriteByHand(path, content)),
        1 => Just(Action::Reopen),
    ]
}

/// A model that knows what every file was when its time was set.
struct Expected {
    now: Model,
    /// What paths that were never moved or inserted have.
    original: Model,
    /// Content that a path's time belongs to.
    timed: BTreeMap<String, (u64, Vec<u8>)>,
}

impl Expected {
    fn new(files: Model) -> Self {
        let timed = files
            .iter()
            .map(|(path, file)| (path.clone(), (file.2, file.3.clone())))
            .collect();
        Self {
            now: files.clone(),
            original: files,
            timed,
        }
    }

    fn time(&self, path: &str, content: &[u8]) -> u64 {
        match self.timed.get(path) {
            Some((time, of)) if of == content => *time,
            _ => TIME,
        }
    }

    fn set(&mut self, path: &str, content: &[u8]) {
        let time = self.time(path, content);
        let file = self.now.get_mut(path).unwrap();
        (file.2, file.3) = (time, content.to_vec());
    }

    /// Whether the session did as it should.
    fn apply(
        &mut self,
        action: &Action,
        session: &mut Session,
        root: &Path,
    ) -> Result<(), SessionError> {
        let absolute = |path: usize| format!("/{}", PATHS[path]);
        let bytes = |content: u8| vec![b'0' + content; usize::from(content)];
        let file = |content: u8, run: bool| -> PathBuf {
            use std::os::unix::fs::PermissionsExt;
            let path = root.join("source");
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes(content)).unwrap();
            let mode = if run { 0o711 } else { 0o640 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        match *action {
            Action::Insert(path, content, run) => {
                let result = session.insert(&absolute(path), false, &[file(content, run)], None);
                assert_eq!(result.is_err(), self.now.contains_key(PATHS[path]));
                if result.is_ok() {
                    let path = PATHS[path].to_owned();
                    self.timed.remove(&path);
                    let mode = if run { 0o755 } else { 0o644 };
                    self.now.insert(path, (mode, 0, TIME, bytes(content)));
                }
            }
            Action::Replace(path, content) => {
                let result = session.replace(&absolute(path), &file(content, false));
                assert_eq!(result.is_ok(), self.now.contains_key(PATHS[path]));
                if result.is_ok() {
                    self.set(PATHS[path], &bytes(content));
                }
            }
            Action::ReplaceAll(content) => {
                let result = session.replace("/a/**", &file(content, false));
                let paths: Vec<String> = self.under_a();
                assert_eq!(result.is_ok(), !paths.is_empty());
                for path in paths {
                    self.set(&path, &bytes(content));
                }
            }
            Action::Remove(path) => {
                let result = session.remove(&[absolute(path)]);
                assert_eq!(result.is_ok(), self.now.remove(PATHS[path]).is_some());
                if result.is_ok() {
                    self.forget(PATHS[path]);
                }
            }
            Action::RemoveAll => {
                let paths = self.under_a();
                let result = session.remove(&["/a/**".to_owned()]);
                assert_eq!(result.is_ok(), !paths.is_empty());
                for path in paths {
                    self.now.remove(&path);
                    self.forget(&path);
                }
            }
            Action::Move(from, to) => {
                let result = session.rename(&absolute(from), &absolute(to));
                let (from, to) = (PATHS[from], PATHS[to]);
                let is_possible = self.now.contains_key(from) && !self.now.contains_key(to);
                assert_eq!(result.is_ok(), is_possible);
                if is_possible {
                    let file = self.now.remove(from).unwrap();
                    let timed = self.timed.get(from).cloned();
                    self.forget(from);
                    self.timed.remove(to);
                    if let Some(timed) = timed {
                        self.timed.insert(to.to_owned(), timed);
                    }
                    self.now.insert(to.to_owned(), file);
                }
            }
            Action::WriteByHand(path, content) => {
                let path = PATHS[path];
                let full = root.join("s/data").join(path);
                fs::create_dir_all(full.parent().unwrap()).unwrap();
                let is_new = !full.exists();
                fs::write(&full, bytes(content)).unwrap();
                if is_new {
                    // A path that the package had has its owner and mode still, but for running it.
                    let (mode, uid) = self
                        .original
                        .get(path)
                        .map_or((0o644, 0), |one| (one.0 & !0o6111, one.1));
                    self.now
                        .insert(path.to_owned(), (mode, uid, TIME, Vec::new()));
                }
                self.set(path, &bytes(content));
            }
            Action::Reopen => {}
        }
        Ok(())
    }

    /// A path that is gone has again what the original package had there.
    fn forget(&mut self, path: &str) {
        match self.original.get(path) {
            Some(file) => self.timed.insert(path.to_owned(), (file.2, file.3.clone())),
            None => self.timed.remove(path),
        };
    }

    fn under_a(&self) -> Vec<String> {
        self.now
            .keys()
            .filter(|path| path.starts_with("a/"))
            .cloned()
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_edits_does_what_the_model_says(actions in prop::collection::vec(action(), 1..12)) {
        let root = tempfile::tempdir().unwrap();
        let deb = root.path().join("a.deb");
        let mut files = Model::new();
        files.insert("a/x".to_owned(), (0o4755, 0, 5, b"11".to_vec()));
        files.insert("a/b/x".to_owned(), (0o600, 7, 6, b"1".to_vec()));
        files.insert("c".to_owned(), (0o644, 0, 7, b"333".to_vec()));
        write(&files, &deb);
        let directory = root.path().join("s");
        unpack(&deb, &directory, false).unwrap();
        let mut session = Session::open(&directory).unwrap();
        let mut expected = Expected::new(files);
        for action in &actions {
            if matches!(action, Action::Reopen) {
                drop(session);
                session = Session::open(&directory).unwrap();
            }
            expected.apply(action, &mut session, root.path()).unwrap();
        }
        let saved = root.path().join("saved.deb");
        let report = session.save(&saved, false, None).unwrap();
        prop_assert_eq!(read(&saved), expected.now);
        // Saved from what was saved, nothing changes.
        let again = root.path().join("t");
        unpack(&saved, &again, false).unwrap();
        let same = Session::open(&again).unwrap().save(&root.path().join("again.deb"), false, None).unwrap();
        prop_assert_eq!(same.changes(), 0, "{}", report.human());
        prop_assert!(same.saved.unwrap().is_original);
    }
}

/// A package of these members; `data` is a tar.
fn package(path: &Path, data: &[u8], more: &[&str]) {
    let mut control = TarWriter::new(Vec::new(), NameStyle::Deb, path);
    control
        .append_bytes("control", Attributes::root(0o644, 0), CONTROL.as_bytes())
        .unwrap();
    let control = control.finish().unwrap();
    let mut bytes = ar::MAGIC.to_vec();
    let mut member = |name: &str, content: &[u8]| {
        ar::write_member(&mut bytes, name, 0, content.len() as u64, &mut &*content).unwrap();
    };
    member("debian-binary", b"2.0\n");
    member("control.tar", &control);
    member("data.tar", data);
    for name in more {
        member(name, b"x");
    }
    fs::write(path, bytes).unwrap();
}

/// A tar of entries in any order, as no writer here would make it: name, kind, text of a link.
fn raw(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, kind, link) in entries {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (at, text) in [
            (100, "0000644"),
            (108, "0000000"),
            (116, "0000000"),
            (124, "00000000000"),
            (136, "00000000000"),
        ] {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        header[156] = *kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar  \0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
    }
    tar.extend([0; 1024]);
    tar
}

#[test]
fn hostile_packages_leave_nothing() {
    let root = tempfile::tempdir().unwrap();
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "x").unwrap();
    let to = outside.to_str().unwrap();
    let deb = root.path().join("a.deb");
    let directory = root.path().join("s");
    let good = raw(&[("./", b'5', ""), ("./a", b'0', "")]);
    package(&deb, &good, &[]);
    drop(unpack(&deb, &directory, false).unwrap());
    fs::remove_dir_all(&directory).unwrap();
    let long = "d/".repeat(49);
    for (entries, message) in [
        (vec![("./../up", b'0', "")], "would leave the directory"),
        (
            vec![("./a", b'0', ""), ("./a", b'0', "")],
            "holds `/a` twice",
        ),
        (vec![("./a", b'0', ""), ("a", b'5', "")], "holds `/a` twice"),
        (vec![("./null", b'3', "")], "a device or pipe"),
        (vec![("./pipe", b'6', "")], "a device or pipe"),
        (
            vec![("./l", b'2', to), ("./l/f", b'0', "")],
            "is a symbolic link",
        ),
        (
            vec![("./l", b'2', to), ("./l/new/", b'5', "")],
            "is a symbolic link",
        ),
        (
            vec![("./l", b'2', to), ("./l/", b'5', "")],
            "holds `/l` twice",
        ),
        (
            vec![("./l", b'2', to), ("./h", b'1', "l/f")],
            "no file before it",
        ),
        (vec![("./h", b'1', "none")], "no file before it"),
        (
            vec![("./d/", b'5', ""), ("./h", b'1', "d")],
            "no file before it",
        ),
        (
            vec![("./h", b'1', "../outside/f")],
            "would leave the directory",
        ),
        (
            vec![("./a", b'0', ""), ("./a/b", b'0', "")],
            "could not open",
        ),
        (
            vec![(long.as_str(), b'5', ""), ("x\ny", b'0', "")],
            "would leave the directory",
        ),
    ] {
        package(&deb, &raw(&entries), &[]);
        let error = unpack(&deb, &directory, false).unwrap_err();
        assert!(error.to_string().contains(message), "{entries:?}: {error}");
        assert_eq!(error.class(), Class::BadInput, "{error}");
        assert!(!directory.exists());
    }
    // Names are shown, not obeyed.
    package(&deb, &raw(&[("./\u{1b}[2J", b'0', "")]), &[]);
    drop(unpack(&deb, &directory, false).unwrap());
    let session = Session::open(&directory).unwrap();
    fs::remove_file(directory.join("data/\u{1b}[2J")).unwrap();
    let human = session.report(None).unwrap().human();
    assert!(
        human.contains("/\\u{1b}[2J") && !human.contains('\u{1b}'),
        "{human}"
    );
    drop(session);
    fs::remove_dir_all(&directory).unwrap();
    package(&deb, &good, &["_gpgorigin"]);
    let error = unpack(&deb, &directory, false).unwrap_err();
    assert!(
        error.to_string().contains("lose its member `_gpgorigin`"),
        "{error}"
    );
    let names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // A link in the control member is refused before anything is written, as everywhere.
    let mut control = TarWriter::new(Vec::new(), NameStyle::Deb, &deb);
    let link = EntryKind::Symlink { target: to };
    control
        .append("control", link, Attributes::root(0o777, 0))
        .unwrap();
    let control = control.finish().unwrap();
    let mut bytes = ar::MAGIC.to_vec();
    for (name, content) in [
        ("debian-binary", b"2.0\n".as_slice()),
        ("control.tar", &control),
        ("data.tar", &good),
    ] {
        ar::write_member(&mut bytes, name, 0, content.len() as u64, &mut &*content).unwrap();
    }
    fs::write(&deb, bytes).unwrap();
    let error = unpack(&deb, &directory, false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`control` in the control member is no file"),
        "{error}"
    );
}
