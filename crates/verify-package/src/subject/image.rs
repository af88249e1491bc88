//! A container image.

use std::collections::BTreeMap;
use std::path::Path;

use fork_fs::{FsError, Operation};
use fork_package::{Image, LayerSource, PackageError, Selection};

use super::directory::{INFO, STATUS, apply_database, info, is_about, parents};
use super::{
    DATA_DIRECTORY, ENTRIES_MAX, Entry, EntryKind, FILE_BYTES_MAX, Subject, SubjectError,
    SubjectKind, UNIT, deb, limit,
};
use crate::args::ImageRef;

/// Prefix of a file name that removes the rest of the name from the layers below.
const WHITEOUT: &str = ".wh.";
/// File name that removes everything a directory holds from the layers below.
const OPAQUE: &str = ".wh..wh..opq";
/// Largest file of dpkg's database.
const DATABASE_BYTES_MAX: u64 = 64 << 20;

/// Reads what an image would show at the paths that a config package is about. Every layer's digest
/// is checked on the way.
pub(super) fn read(
    reference: &ImageRef,
    package: &str,
    scratch: &Path,
) -> Result<Subject, SubjectError> {
    let (kind, path, image) = match reference {
        ImageRef::Oci(path) => (
            SubjectKind::Oci,
            path,
            Image::open_layout(path, Selection::default())?,
        ),
        ImageRef::DockerArchive(path) => (
            SubjectKind::DockerArchive,
            path,
            Image::open_docker_archive(path, scratch, Selection::default())?,
        ),
    };
    let wanted = Wanted {
        files: [
            UNIT.to_owned(),
            STATUS.to_owned(),
            info(package, "list"),
            info(package, "md5sums"),
        ],
        package,
    };
    let mut seen: BTreeMap<String, Entry> = BTreeMap::new();
    for layer in &image.layers {
        add_layer(layer, &wanted, &mut seen, scratch)?;
    }
    let mut subject = Subject::new(kind, path);
    if kind == SubjectKind::Oci {
        // What names an image; a docker archive's manifest is only its own.
        subject.sha256 = Some(image.digest.hex().to_owned());
    }
    let info_files = seen
        .keys()
        .filter_map(|path| path.strip_prefix(INFO)?.strip_prefix('/'))
        .map(str::to_owned)
        .collect();
    let mut database = |path: &str| -> Result<Option<Vec<u8>>, SubjectError> {
        match seen.remove(path).as_ref().and_then(Entry::file) {
            Some(content) => Ok(Some(fork_fs::read_limited(
                content.path(),
                DATABASE_BYTES_MAX,
            )?)),
            None => Ok(None),
        }
    };
    let status = database(STATUS)?;
    let list = database(&info(package, "list"))?;
    let md5sums = database(&info(package, "md5sums"))?;
    apply_database(&mut subject, package, status, list, md5sums)?;
    subject.dpkg.info_files = info_files;
    for (path, entry) in seen {
        let is_database = path.starts_with("var/lib/dpkg");
        if !is_database {
            subject.add(path, entry)?;
        }
    }
    Ok(subject)
}

/// Paths that are looked at.
struct Wanted<'a> {
    files: [String; 4],
    package: &'a str,
}

impl Wanted<'_> {
    fn is_file(&self, path: &str) -> bool {
        let is_info = || {
            let (directory, name) = path.rsplit_once('/').unwrap_or_default();
            directory == INFO && is_about(name, self.package)
        };
        self.files.iter().any(|file| file == path) || below(path, DATA_DIRECTORY) || is_info()
    }

    /// Whether something wanted may lie at or below the path.
    fn concerns(&self, path: &str) -> bool {
        let above = |file: &str| parents(file).any(|parent| parent == path);
        self.is_file(path)
            || path.is_empty()
            || path == DATA_DIRECTORY
            || above(DATA_DIRECTORY)
            || self.files.iter().any(|file| above(file))
    }
}

fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Keeps what is copied within bounds, whatever the number of layers.
fn check_size<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<(), SubjectError> {
    let (mut count, mut bytes) = (0, 0);
    for entry in entries {
        count += 1;
        bytes += entry.file().map_or(0, |content| content.bytes);
    }
    limit("number of files", count, ENTRIES_MAX as u64)?;
    limit("size of all files in bytes", bytes, FILE_BYTES_MAX)
}

fn add_layer(
    layer: &LayerSource,
    wanted: &Wanted<'_>,
    seen: &mut BTreeMap<String, Entry>,
    scratch: &Path,
) -> Result<(), SubjectError> {
    // Whiteouts hide what is below, wherever they stand in the layer.
    let mut own: BTreeMap<String, Entry> = BTreeMap::new();
    let mut hidden: Vec<(String, bool)> = Vec::new();
    // The callback can only fail as the archive does; what else goes wrong is kept here.
    let mut failure: Option<SubjectError> = None;
    layer
        .read_entries(|entry, content| {
            let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            let removed = match name.strip_prefix(WHITEOUT) {
                _ if name == OPAQUE => Some((directory.to_owned(), true)),
                Some(rest) if directory.is_empty() => Some((rest.to_owned(), false)),
                Some(rest) => Some((format!("{directory}/{rest}"), false)),
                None => None,
            };
            if failure.is_some() {
                return Ok(());
            }
            let outcome = match removed {
                Some(removed) if wanted.concerns(&removed.0) => {
                    hidden.push(removed);
                    limit(
                        "number of whiteouts",
                        hidden.len() as u64,
                        ENTRIES_MAX as u64,
                    )
                }
                Some(_) => Ok(()),
                None if wanted.concerns(&entry.path) => {
                    let spooled = deb::kind(layer.path(), &entry, content, scratch);
                    spooled.and_then(|kind| {
                        own.insert(entry.path.clone(), deb::described(&entry, kind));
                        check_size(own.values().chain(seen.values()))
                    })
                }
                None => Ok(()),
            };
            match outcome {
                Ok(()) => Ok(()),
                Err(SubjectError::Package(error)) => Err(error),
                Err(SubjectError::Fs(error)) => Err(PackageError::from(error)),
                Err(other) => {
                    failure = Some(other);
                    // Ends reading at once.
                    let ended = std::io::Error::other("reading was given up");
                    Err(FsError::io(Operation::Read, layer.path(), ended).into())
                }
            }
        })
        .map_err(|error| failure.take().unwrap_or_else(|| SubjectError::from(error)))?;
    for (path, only_below) in hidden {
        seen.retain(|other, _| {
            let is_below = path.is_empty() || below(other, &path);
            !is_below && (only_below || *other != path)
        });
    }
    for (path, entry) in own {
        if !matches!(entry.kind, EntryKind::Directory) {
            seen.retain(|other, _| !below(other, &path));
        }
        seen.insert(path, entry);
    }
    Ok(())
}
