//! Where a store is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::key;

/// What a store URL may look like, for error messages.
const ALLOWED: &str = "a path, file:///PATH, s3://BUCKET[/PREFIX] or gs://BUCKET[/PREFIX]";

/// Where a store is.
///
/// # Examples
///
/// ```
/// use fork_daemon::StoreUrl;
///
/// let url: StoreUrl = "s3://forks/mainnet/".parse()?;
/// assert_eq!(url.to_string(), "s3://forks/mainnet");
/// assert!("https://forks.example".parse::<StoreUrl>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A directory: a plain path or a `file://` URL.
    Local(PathBuf),
    /// `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`.
    Remote(url::Url),
}

impl FromStr for StoreUrl {
    type Err = String;

    /// The message never repeats the text: a mistyped URL may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(format!("a store is empty; use {ALLOWED}"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self::Local(PathBuf::from(rest))),
            "file" => Err(format!(
                "a file:// store names no absolute path; use {ALLOWED}"
            )),
            "s3" | "gs" => remote(scheme, rest).map(Self::Remote),
            _ => Err(format!(
                "a store URL has an unsupported scheme; use {ALLOWED}"
            )),
        }
    }
}

fn remote(scheme: &str, rest: &str) -> Result<url::Url, String> {
    if rest.contains('@') {
        return Err("a store URL holds no credentials; they come from the environment".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err(format!("a store URL has no query; use {ALLOWED}"));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if let Some(rule) = key::broken_rule(bucket).filter(|_| !bucket.is_empty()) {
        return Err(format!("the bucket of a store URL is malformed: {rule}"));
    }
    if bucket.is_empty() {
        return Err(format!("a store URL names no bucket; use {ALLOWED}"));
    }
    if let Some(rule) = key::broken_rule(prefix).filter(|_| !prefix.is_empty()) {
        return Err(format!("the prefix of a store URL is malformed: {rule}"));
    }
    url::Url::parse(&format!("{scheme}://{bucket}/{prefix}"))
        .map_err(|error| format!("a store URL is malformed ({error}); use {ALLOWED}"))
}

impl fmt::Display for StoreUrl {
    /// Without user name, password and query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(url) => write!(
                f,
                "{}://{}{}",
                url.scheme(),
                url.host_str().unwrap_or_default(),
                url.path().trim_end_matches('/')
            ),
        }
    }
}

impl fmt::Debug for StoreUrl {
    /// As [`Display`](fmt::Display): a `Remote` built by hand may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_paths_and_buckets() {
        for (text, shown) in [
            ("out/store", "out/store"),
            ("file:///srv/store", "/srv/store"),
            ("s3://bucket", "s3://bucket"),
            ("s3://My_bucket.x/", "s3://My_bucket.x"),
            ("gs://bucket/a/b/", "gs://bucket/a/b"),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(url.to_string().parse::<StoreUrl>(), Ok(url), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_without_repeating_it() {
        for text in [
            "",
            "https://hunter2.example/x",
            "file://hunter2/x",
            "s3://",
            "s3:///hunter2",
            "s3://bucket:9000/hunter2",
            "s3://hunter2:hunter2@bucket/x",
            "s3://bucket/x?X-Amz-Signature=hunter2",
            "gs://bucket/../hunter2",
            "gs://bucket//hunter2",
            "gs://bucket/.hunter2",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        let error = "ftp://x".parse::<StoreUrl>().unwrap_err();
        assert!(error.contains("s3://BUCKET") && error.contains("gs://BUCKET"));
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = StoreUrl::Remote("s3://me:hunter2@bucket/p?token=hunter2".parse().unwrap());
        assert_eq!(
            format!("{url} {url:?}"),
            "s3://bucket/p StoreUrl(s3://bucket/p)"
        );
    }
}
