//! Paths of a package, and patterns for them.

use super::error::{SessionError, SessionErrorKind};

/// Longest path or pattern.
const PATTERN_BYTES_MAX: usize = 4096;

/// Turns an absolute path as it is once installed into one relative to the root.
///
/// # Errors
///
/// Fails on relative paths, on `..`, and on paths that are not written plainly.
pub(crate) fn package_path(path: &str) -> Result<String, SessionError> {
    let refuse = |problem| {
        Err(SessionErrorKind::Path {
            path: path.escape_debug().to_string(),
            problem,
        }
        .into())
    };
    let Some(relative) = path.strip_prefix('/') else {
        return refuse("it does not begin with `/`");
    };
    if path.len() > PATTERN_BYTES_MAX {
        return refuse("it has more than 4096 bytes");
    }
    if relative.contains(['\0', '\n', '\u{fffd}']) {
        return refuse("it holds a character that no path here may have");
    }
    for name in relative.split('/') {
        match name {
            "" => return refuse("a name in it is empty"),
            "." | ".." => return refuse("it holds `.` or `..`"),
            _ => {}
        }
    }
    Ok(relative.to_owned())
}

/// A pattern of shells: `*` and `?` stand for characters within a name, `**` for any number of
/// directories. Nothing else is special.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    names: Vec<String>,
}

impl Pattern {
    /// Reads a pattern, which is absolute as a path is.
    pub(crate) fn new(pattern: &str) -> Result<Self, SessionError> {
        let names = package_path(pattern)?
            .split('/')
            .map(str::to_owned)
            .collect();
        Ok(Self { names })
    }

    /// Whether a path relative to the root fits.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        fits(
            &names,
            &path,
            |name| *name == "**",
            |name, of| {
                let (name, of): (Vec<char>, Vec<char>) =
                    (name.chars().collect(), of.chars().collect());
                fits(
                    &name,
                    &of,
                    |one| *one == '*',
                    |one, of| *one == '?' || one == of,
                )
            },
        )
    }
}

/// Whether `pattern` fits `text`, where items of the pattern for which `is_any` holds stand for any
/// number of items. Takes a time that grows with the product of both lengths, never more.
fn fits<P, T>(
    pattern: &[P],
    text: &[T],
    is_any: impl Fn(&P) -> bool,
    matches: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut of) = (0, 0);
    // Where to go on when what follows the last "any" does not fit: one item later.
    let mut retry = None;
    while of < text.len() {
        if pattern.get(at).is_some_and(&is_any) {
            retry = Some((at + 1, of));
            at += 1;
        } else if pattern.get(at).is_some_and(|one| matches(one, &text[of])) {
            at += 1;
            of += 1;
        } else if let Some((after, start)) = retry {
            retry = Some((after, start + 1));
            (at, of) = (after, start + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(package_path("/var/lib/a b").unwrap(), "var/lib/a b");
        for path in [
            "", "/", "a", "/a/", "//a", "/a/../b", "/./a", "/..", "/a\nb", "/a\0",
        ] {
            let error = package_path(path).unwrap_err();
            assert!(
                matches!(error.kind(), SessionErrorKind::Path { .. }),
                "{path:?}"
            );
        }
    }

    #[test]
    fn patterns_are_those_of_shells() {
        for (pattern, fitting, others) in [
            (
                "/var/lib/coda/config_*.json",
                vec!["var/lib/coda/config_.json", "var/lib/coda/config_a_b.json"],
                vec![
                    "var/lib/coda/config_a",
                    "var/lib/coda/x/config_a.json",
                    "config_a.json",
                ],
            ),
            (
                "/var/**/*.log",
                vec!["var/a.log", "var/x/y/a.log"],
                vec!["var/a.txt", "a.log"],
            ),
            ("/a?c", vec!["abc", "a*c", "aäc"], vec!["ac", "abbc", "a/c"]),
            ("/usr/bin/[", vec!["usr/bin/["], vec!["usr/bin/a"]),
            ("/**", vec!["a", "a/b/c"], vec![]),
            ("/a/*", vec!["a/b"], vec!["a", "a/b/c"]),
        ] {
            let one = Pattern::new(pattern).unwrap();
            for path in fitting {
                assert!(one.matches(path), "{pattern} {path}");
            }
            for path in others {
                assert!(!one.matches(path), "{pattern} {path}");
            }
        }
        // What would take a backtracking matcher for ever.
        let hard = Pattern::new(&format!("/{}b", "*a".repeat(500))).unwrap();
        assert!(!hard.matches(&"a".repeat(3000)));
    }
}
