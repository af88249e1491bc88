//! How an archive is compressed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A compression of archives, named as the endings of file names and `dpkg-deb -Z` name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// gzip, RFC 1952. What every package of the network uses.
    #[default]
    #[serde(rename = "gz")]
    Gzip,
    /// The `.xz` format.
    Xz,
    /// Zstandard, RFC 8878. dpkg reads it from 1.21.18 on (Debian 12, Ubuntu 18.04).
    #[serde(rename = "zst")]
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Xz, Self::Zstd];

    /// The name on command lines and in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gz",
            Self::Xz => "xz",
            Self::Zstd => "zst",
        }
    }

    /// What is appended to the name of a file, with the dot.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of no compression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no compression; there are gz, xz, zst and none")]
pub struct CompressionError {
    name: String,
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, CompressionError> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == name)
            .ok_or_else(|| CompressionError {
                name: name.escape_debug().to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for one in Compression::ALL {
            assert_eq!(one.name().parse(), Ok(one));
            let json = serde_json::to_string(&one).unwrap();
            assert_eq!(json, format!("\"{one}\""));
            assert_eq!(serde_json::from_str::<Compression>(&json).unwrap(), one);
            assert!(one == Compression::None || one.suffix() == format!(".{one}"));
        }
        assert!("gzip".parse::<Compression>().is_err());
    }
}
