//! Putting a package together again.

use std::io;
use std::path::{Path, PathBuf};

use fork_fs::{FsError, HashingReader, Operation, StagedDir};
use fork_package::{
    DataEntry, DataEntryKind, DebReader, DebTree, TreeEntry, TreeKind, WrittenTree,
};
use fork_types::document::FileRef;

use super::error::{SessionError, SessionErrorKind};
use super::report::{Saved, SessionReport};
use super::store::{DATA, Session};

impl Session {
    /// What changed since the package was opened.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be packed.
    pub fn report(&self, mtime: Option<u64>) -> Result<SessionReport, SessionError> {
        Ok(SessionReport::new(&self.document, &self.plan(mtime)?)?)
    }

    /// Writes the package to `output`, reads it back, and says what changed. An `output` that is a
    /// directory gets a file with the usual name. Equal contents give equal bytes.
    ///
    /// # Errors
    ///
    /// Fails when `output` exists and `force` is not set, and on what cannot be packed; then nothing
    /// is written.
    pub fn save(
        &self,
        output: &Path,
        force: bool,
        mtime: Option<u64>,
    ) -> Result<SessionReport, SessionError> {
        let tree = self.plan(mtime)?;
        let mut report = SessionReport::new(&self.document, &tree)?;
        let output = file_of(output, &report);
        if fork_fs::exists(&output) && !force {
            return Err(SessionErrorKind::OutputExists { path: output }.into());
        }
        let name = output.file_name().unwrap_or_default().to_owned();
        // Beside the output, so that it can be renamed once it is proved.
        let mut scratch = std::ffi::OsString::from(".");
        scratch.push(&name);
        scratch.push(".unproved");
        let scratch = StagedDir::create(&output.with_file_name(scratch), true)?;
        let unproved = scratch.path().join(&name);
        let written = self.write(&tree, &unproved)?;
        fork_fs::rename(&unproved, &output)?;
        report.set_saved(self, &tree, &name.to_string_lossy(), &written);
        Ok(report)
    }

    /// Writes a plan and compares what can be read with it.
    pub(crate) fn write(&self, tree: &DebTree, path: &Path) -> Result<WrittenTree, SessionError> {
        let written = tree.write(path, &mut |file| {
            let file = self.directory.open_file(&format!("{DATA}/{file}"))?;
            Ok(Box::new(file))
        })?;
        read_back(path, tree, &written)?;
        Ok(written)
    }
}

impl SessionReport {
    /// Notes what was written.
    pub(crate) fn set_saved(
        &mut self,
        session: &Session,
        tree: &DebTree,
        name: &str,
        written: &WrittenTree,
    ) {
        let original = &session.document.original;
        self.saved = Some(Saved {
            is_original: written.file.sha256 == original.file.sha256,
            is_original_payload: written.payload_sha256 == original.payload_sha256,
            file: FileRef {
                name: name.to_owned(),
                sha256: written.file.sha256.clone(),
                bytes: written.file.bytes,
            },
            payload_sha256: written.payload_sha256.clone(),
            source_date_epoch: tree.mtime,
        });
    }
}

/// The file that an output names.
fn file_of(output: &Path, report: &SessionReport) -> PathBuf {
    if output.is_dir() {
        output.join(deb_name(
            &report.package,
            &report.package_version,
            &report.architecture,
        ))
    } else {
        output.to_owned()
    }
}

/// The usual name of a package file, which has no epoch.
pub(crate) fn deb_name(package: &str, version: &str, architecture: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    format!("{package}_{version}_{architecture}.deb")
}

/// Compares a package with the plan it was written from.
fn read_back(path: &Path, tree: &DebTree, written: &WrittenTree) -> Result<(), SessionError> {
    let differs = |problem: String| SessionError::from(SessionErrorKind::ReadBack { problem });
    if fork_fs::sha256_file(path)? != written.file {
        return Err(differs("bytes of the file".to_owned()));
    }
    let reader = DebReader::open(path)?;
    if reader.control_files() != &written.control_files || reader.mtime() != tree.mtime {
        return Err(differs("control files".to_owned()));
    }
    let mut expected = tree.entries.iter();
    let payload = reader.read_data(|entry, content| {
        let found = described(entry, content)?;
        match expected.next() {
            Some((path, planned)) if *path == entry.path && *planned == found => Ok(()),
            _ => Err(differs(format!("`/{}`", entry.path))),
        }
    })?;
    if let Some((path, _)) = expected.next() {
        return Err(differs(format!("`/{path}` is missing")));
    }
    if payload != written.payload_sha256 {
        return Err(differs("digest of the data tar".to_owned()));
    }
    Ok(())
}

/// An entry that was read, in the form of a plan.
pub(crate) fn described(
    entry: &DataEntry,
    content: &mut dyn io::Read,
) -> Result<TreeEntry, SessionError> {
    let kind = match entry.kind.clone() {
        DataEntryKind::Directory => TreeKind::Directory,
        DataEntryKind::Symlink { target } => TreeKind::Symlink { target },
        DataEntryKind::HardLink { target } => TreeKind::HardLink { target },
        DataEntryKind::File { .. } => {
            let mut content = HashingReader::new(content);
            io::copy(&mut content, &mut io::sink())
                .map_err(|source| FsError::io(Operation::Read, Path::new(&entry.path), source))?;
            let digested = content.finish();
            TreeKind::File {
                bytes: digested.bytes,
                sha256: digested.sha256,
            }
        }
        DataEntryKind::Special => {
            return Err(SessionErrorKind::ReadBack {
                problem: format!("`/{}` is a device", entry.path),
            }
            .into());
        }
    };
    Ok(TreeEntry {
        kind,
        mode: entry.mode,
        owner: fork_package::Owner {
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.clone(),
            group: entry.group.clone(),
        },
        mtime: entry.mtime,
    })
}
