//! `digest`: the digests of ledger stores, and whether they hold the same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use fork_store::{StoreReader, TarballSummary, content_digest, digest_tarball};
use fork_worker::ReportingArgs;
use serde::Serialize;

use crate::error::{InspectError, InspectErrorKind};

/// Most stores of one command.
const STORES_MAX: usize = 256;

/// Print the digests of ledger stores and say whether they hold the same
///
/// The content digest is SHA-256 over the sorted scanner text, as `content_sha256` in ledger.json:
/// it is equal for any two stores of one ledger, whoever wrote them and however they are packed. Of a
/// tarball also SHA3-256 (`s3_data_hash` of the network config) and SHA-256 of the file, which differ
/// when the same ledger is packed by another program.
///
/// Memory does not grow with the store: it is read from a copy in the scratch directory, which takes
/// up to twice the size of the unpacked store. Ends with exit code 4 when two stores do not hold the
/// same, or one does not hold what --expect names.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  inspect-ledger digest ledgers/genesis/genesis_ledger_*.tar.gz
  inspect-ledger digest ours.tar.gz theirs.tar.gz unpacked/")]
pub struct DigestArgs {
    /// Ledger tarballs or database directories
    #[arg(value_name = "PATH", required = true, num_args = 1..=STORES_MAX)]
    pub paths: Vec<PathBuf>,

    /// Content digest that every store must have
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub expect: Option<String>,

    /// Where stores are unpacked or copied to [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "FORKPACK_SCRATCH")]
    pub scratch: Option<PathBuf>,

    /// How to talk.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Digests of all stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DigestReport {
    /// Version of this object.
    pub version: u32,
    /// Whether all stores hold the same; also true of one alone.
    pub equal: bool,
    /// The content digest that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_content_sha256: Option<String>,
    /// The stores, in the order of the command line.
    pub stores: Vec<StoreDigests>,
}

/// Digests of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreDigests {
    /// As it was named.
    pub path: String,
    /// SHA-256 over the sorted scanner text of the entries, lower-case hexadecimal.
    pub content_sha256: String,
    /// Entries.
    pub entries: u64,
    /// Digests of the file, when it is a tarball.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tarball: Option<TarballDigests>,
}

/// Digests of a tarball's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TarballDigests {
    /// SHA3-256, lower-case hexadecimal.
    pub s3_data_hash: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

impl From<TarballSummary> for TarballDigests {
    fn from(summary: TarballSummary) -> Self {
        Self {
            s3_data_hash: summary.s3_data_hash,
            sha256: summary.sha256,
            bytes: summary.bytes,
        }
    }
}

/// Takes the digests of every store.
///
/// # Errors
///
/// Fails when a store cannot be read; that two differ is no error here, see
/// [`DigestReport::verdict`].
pub fn digest(args: &DigestArgs) -> Result<DigestReport, InspectError> {
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let mut stores = Vec::new();
    for path in &args.paths {
        stores.push(digest_store(path, &scratch)?);
    }
    let equal = stores
        .windows(2)
        .all(|pair| pair[0].content_sha256 == pair[1].content_sha256);
    Ok(DigestReport {
        version: 1,
        equal,
        expected_content_sha256: args.expect.clone(),
        stores,
    })
}

fn digest_store(path: &Path, scratch: &Path) -> Result<StoreDigests, InspectError> {
    let tarball = if path.is_dir() {
        None
    } else {
        Some(digest_tarball(path)?.into())
    };
    let summary = content_digest(&StoreReader::open_copy(path, scratch)?)?;
    Ok(StoreDigests {
        path: path.display().to_string(),
        content_sha256: summary.content_sha256,
        entries: summary.entries,
        tarball,
    })
}

impl DigestReport {
    /// An error when two stores differ, or one from what was expected.
    ///
    /// # Errors
    ///
    /// Fails with the first store that has another content.
    pub fn verdict(&self) -> Result<(), InspectError> {
        let Some(first) = self.stores.first() else {
            return Ok(());
        };
        let (wanted, wanted_by) = match &self.expected_content_sha256 {
            Some(expected) => (expected, "--expect".to_owned()),
            None => (&first.content_sha256, format!("`{}`", first.path)),
        };
        match self
            .stores
            .iter()
            .find(|store| store.content_sha256 != *wanted)
        {
            None => Ok(()),
            Some(other) => Err(InspectErrorKind::ContentDiffers {
                path: PathBuf::from(&other.path),
                found: other.content_sha256.clone(),
                wanted: wanted.clone(),
                wanted_by,
            }
            .into()),
        }
    }

    /// The report for people.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for store in &self.stores {
            let _ = writeln!(text, "{}", store.path);
            let _ = writeln!(text, "  content_sha256  {}", store.content_sha256);
            let _ = writeln!(text, "  entries         {}", store.entries);
            if let Some(tarball) = &store.tarball {
                let _ = writeln!(text, "  s3_data_hash    {}", tarball.s3_data_hash);
                let _ = writeln!(text, "  SHA-256         {}", tarball.sha256);
                let _ = writeln!(text, "  bytes           {}", tarball.bytes);
            }
        }
        let stores = self.stores.len();
        let files: Vec<&TarballDigests> = self
            .stores
            .iter()
            .filter_map(|store| store.tarball.as_ref())
            .collect();
        let verdict = match (stores, self.equal) {
            (0 | 1, _) => return text,
            (_, false) => "different: they do not all hold the same entries",
            (_, true)
                if files
                    .windows(2)
                    .any(|pair| pair[0].sha256 != pair[1].sha256) =>
            {
                "equal: they hold the same entries; the files differ, so s3_data_hash does too"
            }
            (_, true) => "equal: they hold the same entries",
        };
        let _ = writeln!(text, "{verdict}");
        text
    }
}
