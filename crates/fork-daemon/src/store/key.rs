//! Names of objects: what a directory, S3 and GCS all take as it is.

use super::StoreError;

/// Longest component in bytes: file systems take 255, and an unfinished file has a longer name.
const COMPONENT_BYTES_MAX: usize = 200;

/// Longest name in bytes: S3 takes 1024, a prefix included.
const KEY_BYTES_MAX: usize = 800;

/// The rule that a name breaks, if any.
pub(super) fn broken_rule(key: &str) -> Option<&'static str> {
    if key.len() > KEY_BYTES_MAX {
        return Some("at most 800 bytes are allowed");
    }
    key.split('/').find_map(|component| {
        let plain = component
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if component.is_empty() {
            Some("nothing between slashes")
        } else if !plain {
            Some("only letters, digits, `.`, `_`, `-` and `/` are allowed")
        } else if component.starts_with('.') {
            Some("no component may begin with a dot")
        } else if component.len() > COMPONENT_BYTES_MAX {
            Some("at most 200 bytes are allowed between slashes")
        } else {
            None
        }
    })
}

/// Checks a name.
pub(super) fn check(key: &str) -> Result<(), StoreError> {
    match broken_rule(key) {
        None => Ok(()),
        Some(rule) => Err(StoreError::Key {
            key: key.to_owned(),
            rule,
        }),
    }
}

/// Checks a prefix: nothing, or a name and a slash.
pub(super) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.is_empty() {
        return Ok(());
    }
    match prefix.strip_suffix('/') {
        Some(name) => check(name),
        None => Err(StoreError::Key {
            key: prefix.to_owned(),
            rule: "a prefix ends with a slash",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_only() {
        for key in ["a", "a/b-c_d.json", "A/1/2", "a..b"] {
            assert!(check(key).is_ok(), "{key}");
        }
        let long = "a".repeat(201);
        let longer = "a/".repeat(401);
        for key in [
            "", "/a", "a/", "a//b", "..", "a/../b", "a/.b", ".", "a b", "a%2Fb", "ä", "a\\b",
            "a\0b", &long, &longer,
        ] {
            assert!(check(key).is_err(), "{key}");
        }
        assert!(check_prefix("").is_ok() && check_prefix("a/b/").is_ok());
        for prefix in ["a", "/", "../", "a//"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
