//! One version in four spellings: the process's own, Debian's, an OCI tag, a DNS label.
//!
//! | kind | own | Debian | OCI tag | DNS |
//! |---|---|---|---|---|
//! | Spacemesh build | `1.2.3+1` | `1.2.3~build1` | `v1.2.3_1` | `1_2_3_1` |
//! | Spacemesh build today | `1.2.3-pre` | `1.2.3~pre` | `v1.2.3-pre` | `1_2_3_pre` |
//! | Spacemesh release | `1.2.3` | `1.2.3` | `v1.2.3` | `1_2_3` |
//! | Splice preview | `0.4.19-bugfix.preview.2` | `0.4.19~bugfix.preview.2` | as its own | – |
//! | Mithril candidate | `0.1.2-prerelease10` | `0.1.2~prerelease10` | as its own | – |
//! | Mithril by week | `2337.0-pre` | `2337.0~pre` | as its own | – |
//! | Optimism | `upgrade-17`, `1.9.0-rc.3` | `17`, `1.9.0~rc.3` | as its own | – |
//! | Debian | `1:3.0.0~beta+2-1` | itself | `1_e3.0.0_tbeta_p2-1` | – |
//!
//! What comes before a release gets `~`, because dpkg sorts `~` before the end of the text and
//! everything else after it: with `-` kept, the release would be a downgrade. OCI tags have no `+`,
//! `~` and `:`; a Debian version has no `_`, so `_` introduces what is replaced.

use std::cmp::Ordering;

use super::{Grammar, Suffix, VERSION_BYTES_MAX, Version, VersionError};

impl Version {
    /// Its Debian version, which dpkg sorts as [`Version`] does.
    #[must_use]
    pub fn debian(&self) -> String {
        let own = self.to_string();
        match (self.grammar(), self.suffix()) {
            (Grammar::DebianSemver, _) => own,
            (Grammar::OpUpgrade, Suffix::Final) => own.trim_start_matches("upgrade-").to_owned(),
            (_, Suffix::Build(_)) => own.replacen('+', "~build", 1),
            _ => own.replacen('-', "~", 1),
        }
    }

    /// Its OCI tag.
    #[must_use]
    pub fn oci_tag(&self) -> String {
        match self.grammar() {
            Grammar::SemverBuildNumber => self.tag().replacen('+', "_", 1),
            Grammar::SemverPre => self.tag(),
            Grammar::DebianSemver => {
                let own = self.to_string();
                own.replace('~', "_t").replace('+', "_p").replace(':', "_e")
            }
            _ => self.to_string(),
        }
    }

    /// Its DNS label. Only Spacemesh names networks by version.
    #[must_use]
    pub fn dns(&self) -> Option<String> {
        matches!(
            self.grammar(),
            Grammar::SemverBuildNumber | Grammar::SemverPre
        )
        .then(|| self.to_string().replace(['.', '+', '-'], "_"))
    }
}

impl Grammar {
    /// Reads a version back from its Debian form.
    ///
    /// # Errors
    ///
    /// Fails when no version of this grammar has that form.
    pub fn parse_debian(self, debian: &str) -> Result<Version, VersionError> {
        let own = match self {
            Self::DebianSemver => debian.to_owned(),
            Self::SemverBuildNumber => debian.replacen("~build", "+", 1),
            Self::OpUpgrade if !debian.contains('.') => format!("upgrade-{debian}"),
            _ => debian.replacen('~', "-", 1),
        };
        self.read_back(&own, debian, Version::debian)
    }

    /// Reads a version back from its OCI tag.
    ///
    /// # Errors
    ///
    /// As [`Grammar::parse_debian`].
    pub fn parse_oci_tag(self, tag: &str) -> Result<Version, VersionError> {
        let own = match self {
            Self::SemverBuildNumber => tag.strip_prefix('v').unwrap_or("").replacen('_', "+", 1),
            Self::SemverPre => tag.strip_prefix('v').unwrap_or("").to_owned(),
            Self::DebianSemver => tag.replace("_t", "~").replace("_p", "+").replace("_e", ":"),
            _ => tag.to_owned(),
        };
        self.read_back(&own, tag, Version::oci_tag)
    }

    /// Reads a version back from its DNS label.
    ///
    /// # Errors
    ///
    /// As [`Grammar::parse_debian`]; always, for a grammar that has no DNS labels.
    pub fn parse_dns(self, label: &str) -> Result<Version, VersionError> {
        let mut parts = label.splitn(4, '_');
        let core: Vec<&str> = parts.by_ref().take(3).collect();
        let own = match parts.next() {
            Some(build) if self == Self::SemverPre => format!("{}-{build}", core.join(".")),
            Some(build) => format!("{}+{build}", core.join(".")),
            None => core.join("."),
        };
        self.read_back(&own, label, |version| version.dns().unwrap_or_default())
    }

    /// Parses `own` and insists that it is spelled `given` again, so that no two texts mean one
    /// version.
    fn read_back(
        self,
        own: &str,
        given: &str,
        spell: impl Fn(&Version) -> String,
    ) -> Result<Version, VersionError> {
        let version = self
            .parse(own)
            .ok()
            .filter(|version| spell(version) == given);
        version.ok_or_else(|| VersionError::Form {
            grammar: self,
            text: given.chars().take(VERSION_BYTES_MAX).collect(),
        })
    }
}

/// Whether this is a Debian version: `[epoch:]upstream[-revision]` (Debian policy, section 5.6.12).
#[must_use]
pub fn is_debian(text: &str) -> bool {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (Some(epoch), rest),
        None => (None, text),
    };
    let epoch_good = epoch.is_none_or(|epoch| {
        !epoch.is_empty()
            && epoch.bytes().all(|byte| byte.is_ascii_digit())
            // dpkg keeps it in an int.
            && epoch.parse::<i32>().is_ok()
    });
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    let upstream_good = upstream.starts_with(|c: char| c.is_ascii_digit())
        && upstream
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+-~".contains(&byte));
    let revision_good = revision.is_none_or(|revision| {
        !revision.is_empty()
            && revision
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+~".contains(&byte))
    });
    text.len() <= VERSION_BYTES_MAX && epoch_good && upstream_good && revision_good
}

/// dpkg's order of two Debian versions (deb-version(7)).
#[must_use]
pub fn compare_debian(left: &str, right: &str) -> Ordering {
    fn parts(text: &str) -> (u64, &str, &str) {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (left_epoch, left_upstream, left_revision) = parts(left);
    let (right_epoch, right_upstream, right_revision) = parts(right);
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

/// Letters come before other characters, `~` before everything, even the end.
fn rank(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        while (!left.is_empty() && !digit(left)) || (!right.is_empty() && !digit(right)) {
            let order = rank(left.first()).cmp(&rank(right.first()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (left_number, left_rest) = digits(left);
        let (right_number, right_rest) = digits(right);
        let order = left_number
            .len()
            .cmp(&right_number.len())
            .then_with(|| left_number.cmp(right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// The digits in front without leading zeros, and what follows.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let zeros = number
        .iter()
        .position(|byte| *byte != b'0')
        .unwrap_or(number.len());
    (&number[zeros..], rest)
}
