//! The command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use fork_daemon::registry::{ImageReference, is_tag};
use fork_worker::{OutputArgs, ReportingArgs};

use crate::remote::{PushTarget, RegistryArgs};

/// Repository name when `--tag` gives only a tag; upstream's network images are called so.
const REPOSITORY: &str = "mina-daemon";

/// Install a Debian package into a container image, without a container engine
///
/// Writes an OCI image layout with `image.json` to a new directory: the base's layers and one more,
/// which holds the package's files and dpkg's database as `dpkg -i` would have left it. Entrypoint,
/// command, environment and labels of the base are kept. The same input gives the same bytes. A list of
/// what is in the image (SPDX) and a statement of how it came to be (in-toto, SLSA) are attached to
/// it. A run that is interrupted leaves nothing at the output path. No network is needed unless a
/// registry is named.
#[derive(Clone, Debug, Parser)]
#[command(name = "package-image", version, after_help = COMMANDS)]
pub struct Args {
    /// Package, or directory that `package-deb` wrote
    #[arg(long, value_name = "FILE|DIR")]
    pub deb: PathBuf,

    /// Image to build on: oci:DIR (an OCI layout), docker-archive:FILE (from `docker save`),
    /// rootfs:DIR (a root file system, such as debootstrap makes), or an image in a registry,
    /// [docker://]HOST/NAME:TAG or [docker://]HOST/NAME@DIGEST; of a tag, image.json has the digest.
    /// `{codename}` in it is the package's, `{architecture}` what --architecture says
    #[arg(long, value_name = "REF")]
    pub base: BaseRef,

    /// Tag of the base, when its layout or archive holds several images
    #[arg(long, value_name = "TAG")]
    pub base_tag: Option<String>,

    /// Architecture of the base (amd64, arm64, ...), when it holds several or does not tell
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,

    /// Where to write
    #[command(flatten)]
    pub output: OutputArgs,

    /// Also write an archive for `docker load`
    #[arg(long, value_name = "FILE")]
    pub docker_archive: Option<PathBuf>,

    /// Tag of the image, or NAME:TAG [default: mina-daemon:VERSION-CODENAME-NETWORK, and the
    /// architecture behind it when that is not amd64]
    #[arg(long, value_name = "TAG")]
    pub tag: Option<Tag>,

    /// Push the image when it is made: HOST/NAME[:TAG], as `package-image push` does
    #[arg(long, value_name = "REF")]
    pub push: Option<PushTarget>,

    /// Time of the image and of dpkg's files, seconds since 1970 [default: the package's]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true, value_parser = clap::value_parser!(u64).range(..=SECONDS_MAX))]
    pub source_date_epoch: Option<u64>,

    /// How to talk to registries
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// What comes after the options in the help.
const COMMANDS: &str = "\
Commands, instead of the options above:
  package-image push DIR REF              copy an image from a layout into a registry
  package-image pull REF DIR              copy an image from a registry into a layout
  package-image promote REF@DIGEST TAG... give tags to an image that is in a registry
  package-image help COMMAND";

/// What a tar header's eleven octal digits can hold.
const SECONDS_MAX: u64 = 0o77_777_777_777;

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A base of another kind.
    #[error(
        "`{found}` is not oci:DIR, docker-archive:FILE, rootfs:DIR or [docker://]HOST/NAME:TAG (with the host written out, as in docker.io/library/debian:bookworm)"
    )]
    Base {
        /// The text.
        found: String,
    },
    /// A base in a registry without tag and digest.
    #[error("`{found}` has neither tag nor digest: write HOST/NAME:TAG or HOST/NAME@sha256:DIGEST")]
    Unspecific {
        /// The text.
        found: String,
    },
    /// A base that depends on something that is not known.
    #[error("`{found}` depends on the {what}, which is not known")]
    Unfilled {
        /// The text.
        found: String,
        /// Codename or architecture.
        what: &'static str,
    },
    /// A base without its path.
    #[error("there is no path after `{kind}:`")]
    Empty {
        /// The kind.
        kind: String,
    },
    /// A tag the registries do not take.
    #[error(
        "`{found}` is not a tag: up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`, after an optional NAME:"
    )]
    Tag {
        /// The text.
        found: String,
    },
}

/// What to build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseRef {
    /// An OCI layout.
    Oci(PathBuf),
    /// An archive of `docker save`.
    DockerArchive(PathBuf),
    /// A root file system.
    Rootfs(PathBuf),
    /// An image in a registry.
    Registry(ImageReference),
    /// One of these, with placeholders.
    Pattern(String),
}

/// Placeholders in a base, and what they stand for.
const PLACEHOLDERS: [(&str, &str); 2] = [
    ("{codename}", "codename of the package"),
    ("{architecture}", "architecture (--architecture)"),
];

impl BaseRef {
    /// The base for a distribution and an architecture.
    ///
    /// # Errors
    ///
    /// Fails when a placeholder stands for what is not known.
    pub fn filled(
        &self,
        codename: Option<&str>,
        architecture: Option<&str>,
    ) -> Result<Self, ValueError> {
        let Self::Pattern(pattern) = self else {
            return Ok(self.clone());
        };
        let mut text = pattern.clone();
        for ((placeholder, what), value) in PLACEHOLDERS.into_iter().zip([codename, architecture]) {
            if text.contains(placeholder) {
                let value = value.filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| ValueError::Unfilled {
                    found: pattern.clone(),
                    what,
                })?;
                text = text.replace(placeholder, value);
            }
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let other = || ValueError::Base {
            found: text.to_owned(),
        };
        let (kind, path) = text.split_once(':').unwrap_or((text, ""));
        let make = match kind {
            "oci" => Self::Oci,
            "docker-archive" => Self::DockerArchive,
            "rootfs" => Self::Rootfs,
            _ => {
                let name = text.strip_prefix("docker://").unwrap_or(text);
                let reference: ImageReference = name.parse().map_err(|_| other())?;
                if reference.tag().is_none() && reference.digest().is_none() {
                    return Err(ValueError::Unspecific {
                        found: text.to_owned(),
                    });
                }
                return Ok(Self::Registry(reference));
            }
        };
        if path.is_empty() {
            return Err(ValueError::Empty {
                kind: kind.to_owned(),
            });
        }
        Ok(make(PathBuf::from(path)))
    }
}

impl FromStr for BaseRef {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let pattern = Self::Pattern(text.to_owned());
        // With any values, it must be a base.
        match pattern.filled(Some("x"), Some("x"))? {
            _ if PLACEHOLDERS.iter().any(|(one, _)| text.contains(one)) => Ok(pattern),
            plain => Ok(plain),
        }
    }
}

impl fmt::Display for BaseRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(path) | Self::DockerArchive(path) | Self::Rootfs(path) => {
                path.display().fmt(f)
            }
            Self::Registry(reference) => reference.fmt(f),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// The name an image gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    name: String,
    tag: String,
}

impl Tag {
    /// The tag alone.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

impl FromStr for Tag {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (name, tag) = text.rsplit_once(':').unwrap_or((REPOSITORY, text));
        let name_is_plain = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-/:".contains(&byte)
            });
        if !is_tag(tag) || !name_is_plain {
            return Err(ValueError::Tag {
                found: text.chars().take(160).collect(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(option: &str, value: &str) -> Result<Args, clap::Error> {
        let mut line = vec!["package-image".to_owned(), format!("{option}={value}")];
        for (name, default) in [
            ("--deb", "a.deb"),
            ("--base", "oci:base"),
            ("--output", "out"),
        ] {
            if name != option {
                line.push(format!("{name}={default}"));
            }
        }
        Args::try_parse_from(line)
    }

    #[test]
    fn command_is_consistent() {
        Args::command().debug_assert();
        let args = parse("--base", "rootfs:/a:b").unwrap();
        assert_eq!(args.base, BaseRef::Rootfs(PathBuf::from("/a:b")));
        for base in ["docker://localhost:5000/a:1", "localhost:5000/a:1"] {
            let BaseRef::Registry(reference) = parse("--base", base).unwrap().base else {
                panic!("{base}");
            };
            assert_eq!(reference.to_string(), "localhost:5000/a:1");
        }
        let tag = parse("--tag", "registry:5000/a/b:1.0-x")
            .unwrap()
            .tag
            .unwrap();
        assert_eq!(tag.to_string(), "registry:5000/a/b:1.0-x");
        assert_eq!(tag.tag(), "1.0-x");
        assert_eq!(
            "4.0.0".parse::<Tag>().unwrap().to_string(),
            "mina-daemon:4.0.0"
        );
    }

    #[test]
    fn a_base_may_depend_on_distribution_and_architecture() {
        let base = parse("--base", "oci:/bases/{codename}-{architecture}")
            .unwrap()
            .base;
        let filled = base.filled(Some("jammy"), Some("arm64")).unwrap();
        assert_eq!(filled, BaseRef::Oci(PathBuf::from("/bases/jammy-arm64")));
        let registry = "localhost:5000/base/{codename}:1"
            .parse::<BaseRef>()
            .unwrap();
        let filled = registry.filled(Some("focal"), None).unwrap();
        assert_eq!(filled.to_string(), "localhost:5000/base/focal:1");
        for (codename, architecture, what) in [
            (None, Some("amd64"), "codename of the package"),
            (Some(""), Some("amd64"), "codename of the package"),
            (Some("focal"), None, "architecture (--architecture)"),
        ] {
            let error = base.filled(codename, architecture).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        // What is wrong without its placeholders is told at once.
        assert!(parse("--base", "{codename}").is_err());
        let plain = BaseRef::Rootfs(PathBuf::from("a"));
        assert_eq!(plain.filled(None, None).unwrap(), plain);
    }

    #[test]
    fn help_is_as_published() {
        let help = Args::command().term_width(100).render_long_help();
        insta::assert_snapshot!("help", help);
    }

    #[test]
    fn bad_values_are_usage_errors() {
        for (option, value, message) in [
            ("--base", "debian:bookworm", "with the host written out"),
            (
                "--base",
                "base.tar",
                "is not oci:DIR, docker-archive:FILE, rootfs:DIR or [docker://]HOST/NAME:TAG",
            ),
            (
                "--base",
                "docker://localhost:5000/a",
                "neither tag nor digest",
            ),
            ("--base", "docker://debian:12", "with the host written out"),
            ("--push", "a/b:1", "names no image in a registry"),
            (
                "--push",
                "localhost/a@sha256:00",
                "names no image in a registry",
            ),
            ("--base", "oci:", "no path after `oci:`"),
            ("--tag", "a b", "is not a tag"),
            ("--tag", "-a", "is not a tag"),
            ("--tag", "Name:a", "is not a tag"),
            ("--tag", "", "is not a tag"),
            ("--source-date-epoch", "-1", "--source-date-epoch"),
        ] {
            let error = parse(option, value).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{option} {value}");
            assert!(
                error.to_string().contains(message),
                "{option} {value}: {error}"
            );
        }
    }
}
