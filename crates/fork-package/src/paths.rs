//! Names of archive members.

use std::path::Path;

use crate::error::{PackageError, PackageErrorKind};

/// Turns the name of an archive member into a path relative to the root, without `.` components
/// and slashes at either end; the root itself is the empty string.
///
/// # Errors
///
/// Fails on `..`, on NUL and line breaks, and on names that are not UTF-8: file lists and
/// documents here are text, and a name that cannot be written down in them cannot be checked.
pub fn safe_path(archive: &Path, name: &[u8]) -> Result<String, PackageError> {
    let refuse = || {
        PackageError::from(PackageErrorKind::UnsafePath {
            archive: archive.to_owned(),
            member: shown(name),
        })
    };
    let text = std::str::from_utf8(name).map_err(|_| refuse())?;
    if text.contains(['\0', '\n']) {
        return Err(refuse());
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse()),
            plain => parts.push(plain),
        }
    }
    Ok(parts.join("/"))
}

/// A name for a message: one line of limited length.
fn shown(name: &[u8]) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(name);
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

/// The directories above a relative path, outermost first, without the root.
pub(crate) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(index, _)| &path[..index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_or_refused() {
        let archive = Path::new("a.tar");
        for (name, path) in [
            ("./", ""),
            ("./usr/", "usr"),
            ("/usr//lib/./x", "usr/lib/x"),
            ("a..b/...", "a..b/..."),
        ] {
            assert_eq!(safe_path(archive, name.as_bytes()).unwrap(), path);
        }
        for name in ["..", "a/../b", "../x", "/..", "a\0b", "a\nb"] {
            assert!(safe_path(archive, name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(safe_path(archive, b"\xff").is_err());
    }

    #[test]
    fn parents_are_outermost_first() {
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(parents("a").count(), 0);
    }
}
