//! Names of images.

use std::fmt;
use std::str::FromStr;

use fork_package::oci::Digest;

/// Longest `HOST/NAME` (distribution's reference grammar).
const NAME_BYTES_MAX: usize = 255;
/// Longest tag (OCI distribution specification).
const TAG_BYTES_MAX: usize = 128;

/// What a reference may look like, for error messages.
const ALLOWED: &str = "HOST/NAME:TAG, HOST/NAME@sha256:DIGEST or both, with the host written out (docker.io/library/debian, not debian)";

/// Docker Hub has one name for people and another for programs.
const HUB: [&str; 2] = ["docker.io", "index.docker.io"];
const HUB_API: &str = "registry-1.docker.io";

/// A text that names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` names no image in a registry ({problem}); use {ALLOWED}")]
pub struct ReferenceError {
    found: String,
    problem: &'static str,
}

/// Name of an image, or of a repository: `HOST/NAME[:TAG][@DIGEST]`.
///
/// The host is always there: a name without one means another image on every machine. With both, the
/// digest decides and the tag is only a remark.
///
/// # Examples
///
/// ```
/// use fork_daemon::registry::ImageReference;
///
/// let image: ImageReference = "localhost:5000/mina/daemon:4.0.0".parse()?;
/// assert_eq!((image.registry(), image.repository()), ("localhost:5000", "mina/daemon"));
/// assert!("debian:bookworm".parse::<ImageReference>().is_err());
/// # Ok::<(), fork_daemon::registry::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Host, with a port if there is one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Name in the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Digest.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `HOST/NAME`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image, by digest for everybody and for ever.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// What the registry is asked for: the digest, else the tag.
    pub(super) fn wanted(&self) -> Option<String> {
        let digest = self.digest.as_ref().map(ToString::to_string);
        digest.or_else(|| self.tag.clone())
    }
}

/// Host that answers for a registry.
pub(super) fn api_host(registry: &str) -> &str {
    if HUB.contains(&registry) {
        HUB_API
    } else {
        registry
    }
}

/// Whether a text can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

/// Whether the part before the first slash of a name is a host: Docker's rule.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let plain = |part: &str| {
        let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        alphanumeric(part.bytes().next())
            && alphanumeric(part.bytes().next_back())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let six = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    (six || name.split('.').all(plain))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (six || port.is_some() || name.contains('.') || name == "localhost")
}

/// Whether a part of a name between slashes is plain: words of lower-case letters and digits with
/// `.`, `_`, `__` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .into_iter()
        .all(|part| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |problem| ReferenceError {
            found: text.chars().take(160).collect(),
            problem,
        };
        if text.contains("://") {
            return Err(error("it is a URL"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse::<Digest>();
                (rest, Some(digest.map_err(|_| error("its digest is none"))?))
            }
            None => (text, None),
        };
        let (registry, rest) = rest
            .split_once('/')
            .filter(|(host, _)| is_host(host))
            .ok_or_else(|| error("it begins with no host"))?;
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(error("its tag is none"));
        }
        if registry.len() + 1 + name.len() > NAME_BYTES_MAX || !name.split('/').all(is_component) {
            return Err(error("its name is none"));
        }
        let repository = if HUB.contains(&registry) && !name.contains('/') {
            format!("library/{name}")
        } else {
            name.to_owned()
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_they_are_written() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "localhost/a".to_owned(),
            "localhost:5000/a/b_c/d-e.f__g---h:V_1.0-x".to_owned(),
            format!("gcr.io/o1labs-192920/mina-daemon@{digest}"),
            format!("[::1]:5000/a:1@{digest}"),
            "h:1/a".to_owned(),
        ] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
        }
        let hub: ImageReference = "docker.io/debian:12".parse().unwrap();
        assert_eq!(hub.to_string(), "docker.io/library/debian:12");
        assert_eq!(api_host(hub.registry()), "registry-1.docker.io");
        assert_eq!(hub.wanted().unwrap(), "12");
        let pinned = hub.pinned(digest.parse().unwrap());
        assert_eq!(pinned.wanted().unwrap(), digest);
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("localhost/{}", "a".repeat(250));
        let long_tag = format!("localhost/a:{}", "a".repeat(129));
        for text in [
            "",
            "debian",
            "debian:bookworm",
            "library/debian:bookworm",
            "https://gcr.io/a:1",
            "gcr.io/",
            "gcr.io/A:1",
            "gcr.io/a//b:1",
            "gcr.io/../b:1",
            "gcr.io/a-:1",
            "gcr.io/a..b",
            "gcr.io/a___b",
            "gcr.io/a:",
            "gcr.io/a:b:c",
            "gcr.io/a:x y",
            "gcr.io/a@sha256:00",
            "gcr.io/a@sha512:00",
            "gcr.io/a?b=c:1",
            "gcr.io:0/a",
            "gcr.io:99999/a",
            "user:secret@gcr.io/a",
            "[::1/a:1",
            "-x.io/a:1",
            &long,
            &long_tag,
        ] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert!(error.to_string().contains("names no image"), "{text}");
        }
    }
}
