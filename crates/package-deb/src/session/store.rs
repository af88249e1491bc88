//! A session directory: opening it, and changing it in a way that is never half done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use fork_fs::{Beneath, BeneathKind, FsError, Operation};
use fork_package::Paragraph;
use fork_types::document::Document;
use serde::Serialize;

use super::document::{Attributes, DOCUMENT_BYTES_MAX, Journal, SessionDocument, Step};
use super::error::{SessionError, SessionErrorKind};

/// Where the files of the package lie.
pub(crate) const DATA: &str = "data";
/// Where its control files lie.
pub(crate) const CONTROL: &str = "control";
/// Where what an edit brings is put first. Never packed.
const STAGING: &str = ".staging";
/// Most entries of a package here; a daemon's has about a hundred.
pub(crate) const ENTRIES_MAX: usize = 20_000;
/// Largest control file.
pub(crate) const CONTROL_BYTES_MAX: u64 = 32 << 20;
/// Largest file that is inserted.
const FILE_BYTES_MAX: u64 = 16 << 30;
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// An open session; no other command works on it meanwhile.
#[derive(Debug)]
pub struct Session {
    pub(crate) directory: Beneath,
    pub(crate) document: SessionDocument,
    /// Whether an edit was found that had been interrupted, and was carried out to its end.
    pub(crate) was_unfinished: bool,
    _lock: File,
}

impl Session {
    /// Opens a session that was made with [`crate::session::unpack`]. An edit that was interrupted is
    /// carried out to its end first.
    ///
    /// # Errors
    ///
    /// Fails on directories that are no sessions and on links, and while another command works on it.
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        let not = |problem: String| SessionErrorKind::NotASession {
            directory: path.to_owned(),
            problem,
        };
        let directory = Beneath::open(path)?;
        if directory.kind(SessionDocument::FILE_NAME)?.is_none() {
            let problem = format!("there is no `{}` in it", SessionDocument::FILE_NAME);
            return Err(not(problem).into());
        }
        for name in [DATA, CONTROL] {
            if directory.kind(name)? != Some(BeneathKind::Directory) {
                return Err(not(format!("there is no directory `{name}` in it")).into());
            }
        }
        let lock = directory.lock()?.ok_or_else(|| SessionErrorKind::Busy {
            directory: path.to_owned(),
        })?;
        let was_unfinished = recover(&directory)?;
        let bytes = directory.read(SessionDocument::FILE_NAME, DOCUMENT_BYTES_MAX)?;
        let document = SessionDocument::from_json(&bytes).map_err(|error| {
            let mut problem = format!("`{}`: {error}", SessionDocument::FILE_NAME);
            if let Some(source) = std::error::Error::source(&error) {
                problem.push_str(&format!(": {source}"));
            }
            not(problem)
        })?;
        let is_sorted = document
            .entries
            .is_sorted_by(|one, next| one.path < next.path);
        if !is_sorted || document.entries.len() > ENTRIES_MAX {
            let problem = "its entries are not sorted, or too many";
            return Err(not(problem.to_owned()).into());
        }
        Ok(Self {
            directory,
            document,
            was_unfinished,
            _lock: lock,
        })
    }

    /// What the session knows besides its files.
    #[must_use]
    pub fn document(&self) -> &SessionDocument {
        &self.document
    }

    /// Control data as it is now.
    ///
    /// # Errors
    ///
    /// Fails when there is none, and when it breaks the rules.
    pub fn control(&self) -> Result<Paragraph, SessionError> {
        let bytes = self
            .directory
            .read(&format!("{CONTROL}/control"), CONTROL_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| SessionErrorKind::Unpackable {
            path: self.directory.path().join(CONTROL).join("control"),
            problem: "it is not UTF-8".to_owned(),
        })?;
        Ok(Paragraph::parse(&text)?)
    }

    /// Everything in the package's data, sorted by path.
    pub(crate) fn data(&self) -> Result<Vec<(String, BeneathKind)>, SessionError> {
        Ok(self.directory.list(DATA, ENTRIES_MAX)?)
    }

    /// Begins an edit.
    pub(crate) fn edit(&mut self) -> Result<Edit<'_>, SessionError> {
        self.directory.create_directories(STAGING)?;
        let attributes = self.document.attributes.clone();
        Ok(Edit {
            session: self,
            steps: Vec::new(),
            staged: 0,
            attributes,
        })
    }
}

/// An edit being prepared. Nothing of the session changes before [`Edit::commit`].
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    session: &'a mut Session,
    steps: Vec<Step>,
    staged: usize,
    /// The attributes as they will be.
    pub(crate) attributes: BTreeMap<String, Attributes>,
}

impl Edit<'_> {
    /// Puts the content of a reader at a path of the session.
    pub(crate) fn put(
        &mut self,
        to: String,
        executable: bool,
        content: &mut dyn Read,
        from: &Path,
    ) -> Result<(), SessionError> {
        self.staged += 1;
        let staged = format!("{STAGING}/{}", self.staged);
        let directory = &self.session.directory;
        let mut file = directory.create_file(&staged, executable)?;
        copy(content, from, &mut file, &directory.path().join(&staged))?;
        self.steps.push(Step::Rename { from: staged, to });
        Ok(())
    }

    /// Puts a text at a path of the session.
    pub(crate) fn put_text(&mut self, to: &str, text: &str) -> Result<(), SessionError> {
        let path = self.session.directory.path().join(to);
        self.put(to.to_owned(), false, &mut text.as_bytes(), &path)
    }

    /// Renames within the session.
    pub(crate) fn rename(&mut self, from: String, to: String) {
        self.steps.push(Step::Rename { from, to });
    }

    /// Removes a file or link of the session.
    pub(crate) fn remove(&mut self, path: String) {
        self.steps.push(Step::Remove { path });
    }

    /// Carries the edit out.
    pub(crate) fn commit(mut self) -> Result<(), SessionError> {
        if self.attributes != self.session.document.attributes {
            let mut document = self.session.document.clone();
            document.attributes.clone_from(&self.attributes);
            self.put_text(SessionDocument::FILE_NAME, &text_of(&document)?)?;
            self.session.document = document;
        }
        let journal = Journal {
            format: Journal::FORMAT.to_owned(),
            version: Journal::VERSION,
            done: 0,
            steps: self.steps,
        };
        write_journal(&self.session.directory, &journal)?;
        carry_out(&self.session.directory, journal)
    }
}

/// A document as text.
pub(crate) fn text_of(document: &impl Serialize) -> Result<String, FsError> {
    serde_json::to_string_pretty(document)
        .map(|text| text + "\n")
        .map_err(|source| FsError::io(Operation::Write, Path::new("session.json"), source.into()))
}

/// Copies, and flushes to the disk.
pub(crate) fn copy(
    content: &mut dyn Read,
    from: &Path,
    file: &mut File,
    to: &Path,
) -> Result<(), SessionError> {
    let mut buffer = vec![0; 1 << 18];
    let mut left = FILE_BYTES_MAX;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FsError::io(Operation::Read, from, error).into()),
        };
        left = left.checked_sub(count as u64).ok_or_else(|| {
            SessionError::from(SessionErrorKind::Unpackable {
                path: from.to_owned(),
                problem: format!("it has more than {FILE_BYTES_MAX} bytes"),
            })
        })?;
        file.write_all(&buffer[..count])
            .map_err(|error| FsError::io(Operation::Write, to, error))?;
    }
    file.sync_all()
        .map_err(|error| FsError::io(Operation::Sync, to, error))?;
    Ok(())
}

fn write_journal(directory: &Beneath, journal: &Journal) -> Result<(), SessionError> {
    let staged = format!("{STAGING}/journal");
    directory.remove_file(&staged)?;
    let mut file = directory.create_file(&staged, false)?;
    let path = directory.path().join(&staged);
    copy(&mut text_of(journal)?.as_bytes(), &path, &mut file, &path)?;
    Ok(directory.rename(&staged, Journal::FILE_NAME)?)
}

/// Does the steps that are left. Each is noted before the next begins, since one step may undo what
/// an earlier one relies on.
fn carry_out(directory: &Beneath, mut journal: Journal) -> Result<(), SessionError> {
    while let Some(step) = journal.steps.get(journal.done) {
        match step {
            Step::Rename { from, to } => {
                if directory.kind(from)?.is_some() {
                    if let Some((parent, _)) = to.rsplit_once('/') {
                        directory.create_directories(parent)?;
                    }
                    directory.rename(from, to)?;
                }
            }
            Step::Remove { path } => {
                directory.remove_file(path)?;
            }
        }
        journal.done += 1;
        if journal.done < journal.steps.len() {
            write_journal(directory, &journal)?;
        }
    }
    directory.remove_file(Journal::FILE_NAME)?;
    Ok(())
}

/// Carries out an edit that was interrupted, and removes what one left that never began. Says whether
/// there was one to carry out.
fn recover(directory: &Beneath) -> Result<bool, SessionError> {
    let is_there = directory.kind(Journal::FILE_NAME)?.is_some();
    if is_there {
        let bytes = directory.read(Journal::FILE_NAME, JOURNAL_BYTES_MAX)?;
        let journal =
            Journal::from_json(&bytes).map_err(|error| SessionErrorKind::NotASession {
                directory: directory.path().to_owned(),
                problem: format!("`{}`: {error}", Journal::FILE_NAME),
            })?;
        directory.create_directories(STAGING)?;
        carry_out(directory, journal)?;
    }
    if directory.kind(STAGING)?.is_some() {
        for (name, _) in directory.list(STAGING, ENTRIES_MAX)? {
            directory.remove_file(&format!("{STAGING}/{name}"))?;
        }
    }
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::super::document::Step;
    use super::*;

    /// A session with a few files, without a package behind it.
    fn session(root: &Path) -> Session {
        let control = "Package: aa\nVersion: 1\nArchitecture: all\n";
        for name in ["data/d", "control"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for (name, text) in [
            ("data/d/a", "a"),
            ("data/d/b", "b"),
            ("control/control", control),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        let document = serde_json::json!({
            "format": "forkpack.deb-session",
            "version": 1,
            "original": {
                "file": { "name": "a.deb", "sha256": "00", "bytes": 1 },
                "package": "aa", "package_version": "1", "architecture": "all", "mtime": 5,
                "control_member": "control.tar.gz", "data_member": "data.tar.gz",
                "payload_sha256": "00",
            },
            "control_files": [], "control": control, "entries": [], "attributes": {},
        });
        fs::write(root.join("session.json"), document.to_string()).unwrap();
        Session::open(root).unwrap()
    }

    fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
        let directory = Beneath::open(root).unwrap();
        let listed = directory.list("", 100).unwrap();
        listed
            .into_iter()
            .filter(|(_, kind)| matches!(kind, BeneathKind::File { .. }))
            .map(|(path, _)| {
                let bytes = directory.read(&path, 1 << 20).unwrap();
                (path, bytes)
            })
            .collect()
    }

    /// An edit in which later steps need what earlier ones did: `b` goes, `a` becomes `b`, and there
    /// is a new `a`.
    fn prepared(session: &mut Session) -> Journal {
        let mut edit = session.edit().unwrap();
        edit.remove("data/d/b".to_owned());
        edit.rename("data/d/a".to_owned(), "data/d/b".to_owned());
        let text = &mut "new".as_bytes();
        edit.put("data/d/a".to_owned(), false, text, Path::new("new"))
            .unwrap();
        edit.put_text("data/e/f/c", "c").unwrap();
        Journal {
            format: Journal::FORMAT.to_owned(),
            version: Journal::VERSION,
            done: 0,
            steps: std::mem::take(&mut edit.steps),
        }
    }

    #[test]
    fn an_edit_that_is_interrupted_anywhere_is_whole_or_was_never_there() {
        let expected = {
            let root = tempfile::tempdir().unwrap();
            let mut session = session(root.path());
            let journal = prepared(&mut session);
            write_journal(&session.directory, &journal).unwrap();
            carry_out(&session.directory, journal).unwrap();
            files(root.path())
        };
        assert_eq!(expected["data/d/a"], b"new");
        assert_eq!(expected["data/d/b"], b"a");
        assert_eq!(expected["data/e/f/c"], b"c");

        // Before the journal is there, nothing was changed.
        let root = tempfile::tempdir().unwrap();
        let mut one = session(root.path());
        let before = files(root.path());
        let steps = prepared(&mut one).steps.len();
        drop(one);
        assert!(!Session::open(root.path()).unwrap().was_unfinished);
        assert_eq!(files(root.path()), before);

        // After it, an end comes after a step, and before or after that step was noted.
        for done in 0..=steps {
            for noted in [done.saturating_sub(1), done] {
                let root = tempfile::tempdir().unwrap();
                let mut session = session(root.path());
                let mut journal = prepared(&mut session);
                let all = journal.steps.clone();
                journal.steps.truncate(done);
                write_journal(&session.directory, &journal).unwrap();
                carry_out(&session.directory, journal.clone()).unwrap();
                (journal.steps, journal.done) = (all, noted);
                write_journal(&session.directory, &journal).unwrap();
                drop(session);
                assert!(Session::open(root.path()).unwrap().was_unfinished);
                assert_eq!(files(root.path()), expected, "{done} {noted}");
            }
        }
    }

    #[test]
    fn a_journal_cannot_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("session");
        fs::create_dir(&inside).unwrap();
        drop(session(&inside));
        fs::write(root.path().join("victim"), "x").unwrap();
        let up = "../victim".to_owned();
        for step in [
            Step::Remove { path: up.clone() },
            Step::Rename {
                from: "data/d/a".to_owned(),
                to: up.clone(),
            },
            Step::Rename {
                from: up,
                to: "data/d/c".to_owned(),
            },
        ] {
            let journal = Journal {
                format: Journal::FORMAT.to_owned(),
                version: Journal::VERSION,
                done: 0,
                steps: vec![step],
            };
            fs::write(inside.join("journal.json"), journal.to_json().unwrap()).unwrap();
            let error = Session::open(&inside).unwrap_err();
            assert!(
                error.to_string().contains("leaves its directory"),
                "{error}"
            );
            assert_eq!(fs::read(root.path().join("victim")).unwrap(), b"x");
        }
    }

    #[test]
    fn one_command_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let held = session(root.path());
        let error = Session::open(root.path()).unwrap_err();
        assert!(matches!(error.kind(), SessionErrorKind::Busy { .. }));
        drop(held);
        Session::open(root.path()).unwrap();
    }
}
