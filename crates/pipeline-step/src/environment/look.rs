//! One value: how it is shown, and whether what it names is there.

use std::path::Path;

use fork_worker::InputArg;
use fork_worker::text::{clipped, without_credentials};

/// Most characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// What is wrong with a value: problem, expected, advice.
pub(crate) type Wrong = (String, String, String);

pub(crate) fn wrong(
    problem: impl Into<String>,
    expected: impl Into<String>,
    advice: impl Into<String>,
) -> Wrong {
    (problem.into(), expected.into(), advice.into())
}

/// A value as it may be shown: no credentials, nothing that moves the cursor.
pub(crate) fn shown(value: &str) -> String {
    if looks_like_a_key(value) {
        return "(a key; not shown)".to_owned();
    }
    let safe: String = without_credentials(value)
        .chars()
        .flat_map(|c| {
            let escape = c
                .is_control()
                .then(|| c.escape_default().collect::<String>());
            escape
                .unwrap_or_else(|| c.to_string())
                .chars()
                .collect::<Vec<_>>()
        })
        .collect();
    clipped(&safe, SHOWN_CHARS_MAX)
}

/// Whether a value is the text of a key and not the name of its file.
pub(crate) fn looks_like_a_key(value: &str) -> bool {
    value.contains("-----BEGIN") || value.contains("PRIVATE KEY")
}

/// An input: a file that is there, or a URL that could be one. Nothing is fetched.
pub(crate) fn input(value: &str) -> Result<(), Wrong> {
    let forms = "a path, file://, http://, https://, s3://BUCKET/KEY or gs://BUCKET/KEY";
    match value.parse::<InputArg>() {
        Ok(InputArg::Path(path)) => file(&path),
        Ok(InputArg::Url(url)) => {
            let (scheme, rest) = url.split_once("://").unwrap_or_default();
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or_default();
            if url.contains(char::is_whitespace) {
                return Err(wrong("is a URL with a blank in it", forms, "write %20"));
            }
            if host.is_empty() {
                return Err(wrong(
                    "is a URL without a host or bucket",
                    forms,
                    "write it whole",
                ));
            }
            if matches!(scheme, "s3" | "gs") && path.is_empty() {
                let advice = "name the object in the bucket";
                return Err(wrong("names a bucket and no object", forms, advice));
            }
            Ok(())
        }
        Err(_) => Err(wrong(
            "has a scheme that nothing here reads",
            forms,
            "use one of these, or download the file and name its path",
        )),
    }
}

/// A file that can be read and is not empty.
pub(crate) fn file(path: &Path) -> Result<(), Wrong> {
    let expected = "a file that can be read and is not empty";
    if path.is_dir() {
        return Err(wrong("names a directory", expected, "name the file in it"));
    }
    if !path.exists() {
        return Err(missing(expected));
    }
    // A pipe would wait for its writer.
    if !path.is_file() {
        let advice = "name a file; a pipe could be read only once";
        return Err(wrong("names something that is no file", expected, advice));
    }
    if fork_fs::open(path).is_err() {
        let advice = "give the agent's user the right to read it";
        return Err(wrong("names a file that cannot be read", expected, advice));
    }
    if fork_fs::file_bytes(path).unwrap_or(0) == 0 {
        let advice = "fetch it again: an empty file is what a failed download leaves";
        return Err(wrong("names an empty file", expected, advice));
    }
    Ok(())
}

/// A directory that can be read and has something in it.
pub(crate) fn directory(path: &Path) -> Result<(), Wrong> {
    let expected = "a directory that can be read and is not empty";
    if !path.exists() {
        return Err(missing(expected));
    }
    if !path.is_dir() {
        return Err(wrong(
            "names no directory",
            expected,
            "name the directory it is in",
        ));
    }
    match fork_fs::sorted_names(path) {
        Err(_) => Err(wrong(
            "names a directory that cannot be read",
            expected,
            "give the agent's user the right to read it",
        )),
        Ok(names) if names.is_empty() => Err(wrong(
            "names an empty directory",
            expected,
            "fill it, or name another",
        )),
        Ok(_) => Ok(()),
    }
}

fn missing(expected: &str) -> Wrong {
    wrong(
        "names something that is not on this machine",
        expected,
        "correct the path, or give a URL that every agent can reach",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("https://u:pw@h/p?sig=1"), "https://***@h/p");
        assert_eq!(
            shown("-----BEGIN PRIVATE KEY-----\nMC4"),
            "(a key; not shown)"
        );
        assert_eq!(shown("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(shown(&"x".repeat(999)).chars().count(), SHOWN_CHARS_MAX);
    }
}
