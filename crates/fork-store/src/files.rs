//! The files of a RocksDB directory, looked at before RocksDB opens them.
//!
//! RocksDB finds its files by numbers, so none of them can name a file elsewhere; but it follows
//! links, waits at pipes, and reads the small files whole into memory however large they are.

use std::path::Path;

use fork_fs::{FsError, Operation};

use crate::error::{StoreError, StoreErrorKind};
use crate::framing::framing_problem;

/// Most entries of a directory; a ledger of a million accounts in tables has about a hundred.
const ENTRIES_MAX: usize = 10_000;

/// Whether `name` is one that RocksDB gives to a file of a database.
#[must_use]
pub fn is_store_file(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = |prefix: &str| name.strip_prefix(prefix).is_some_and(digits);
    let stem = |suffix: &str| name.strip_suffix(suffix).is_some_and(digits);
    matches!(name, "CURRENT" | "IDENTITY" | "LOCK" | "LOG")
        || numbered("MANIFEST-")
        || numbered("OPTIONS-")
        || numbered("LOG.old.")
        || stem(".log")
        || stem(".sst")
}

/// Most bytes that a file of a store may have by its name; logs and tables have no limit of their
/// own.
#[must_use]
pub fn store_file_bytes_max(name: &str) -> u64 {
    match name {
        "CURRENT" | "IDENTITY" | "LOCK" => 4 << 10,
        _ if name.starts_with("OPTIONS-") => 1 << 20,
        _ if name.starts_with("MANIFEST-") => 64 << 20,
        _ => u64::MAX,
    }
}

/// Checks the files of a directory by their names and sizes.
///
/// # Errors
///
/// Fails when a file of a store is no plain file or larger than one can be, and when there are more
/// files than any store has.
pub(crate) fn check_files(directory: &Path) -> Result<(), StoreError> {
    let names = fork_fs::sorted_names(directory)?;
    let refuse = |problem: String| {
        Err(StoreErrorKind::Directory {
            path: directory.to_owned(),
            problem,
        }
        .into())
    };
    if names.len() > ENTRIES_MAX {
        return refuse(format!(
            "it has {} files; the limit is {ENTRIES_MAX}",
            names.len()
        ));
    }
    for name in names.iter().filter_map(|name| name.to_str()) {
        if !is_store_file(name) {
            continue;
        }
        let path = directory.join(name);
        let metadata = path
            .symlink_metadata()
            .map_err(|source| FsError::io(Operation::Open, &path, source))?;
        if !metadata.is_file() {
            return refuse(format!("`{name}` is no plain file"));
        }
        let (bytes, bytes_max) = (metadata.len(), store_file_bytes_max(name));
        if bytes > bytes_max {
            return refuse(format!(
                "`{name}` has {bytes} bytes; the limit for such a file is {bytes_max}"
            ));
        }
        let is_log = name.ends_with(".log") || name.starts_with("MANIFEST-");
        if is_log && let Some(problem) = framing_problem(&path)? {
            return refuse(format!("`{name}`: {problem}"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn refused(prepare: impl FnOnce(&Path)) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("CURRENT"), "MANIFEST-000001\n").unwrap();
        prepare(directory.path());
        check_files(directory.path())
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn names_are_those_of_rocksdb() {
        for name in [
            "CURRENT",
            "MANIFEST-000001",
            "000003.log",
            "1.sst",
            "LOG.old.1",
        ] {
            assert!(is_store_file(name), "{name}");
        }
        for name in [
            "",
            ".log",
            "MANIFEST-",
            "MANIFEST-1/2",
            "../1.sst",
            "current",
            "1.sst ",
        ] {
            assert!(!is_store_file(name), "{name}");
        }
    }

    #[test]
    fn links_and_absurd_sizes_are_refused() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(
            refused(|path| std::fs::create_dir(path.join("1.dir")).unwrap()),
            None
        );
        let text = refused(|path| {
            std::os::unix::fs::symlink("/dev/zero", path.join("IDENTITY")).unwrap();
        });
        assert!(text.unwrap().contains("`IDENTITY` is no plain file"));
        for (name, bytes) in [
            ("IDENTITY", 4097),
            ("OPTIONS-000005", (1 << 20) + 1),
            ("MANIFEST-000001", 1 << 40),
        ] {
            let text = refused(|path| {
                let file = std::fs::File::create(path.join(name)).unwrap();
                file.set_len(bytes).unwrap();
            });
            let expected = format!("`{name}` has {bytes} bytes; the limit for such a file");
            assert!(text.unwrap().contains(&expected), "{expected}");
        }
        let many = refused(|path| {
            for number in 0..ENTRIES_MAX {
                std::fs::File::create(path.join(format!("{number}.sst"))).unwrap();
            }
        });
        assert!(many.unwrap().contains("it has 10001 files"));
    }
}
