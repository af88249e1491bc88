//! `package-deb upload-ledgers`.

mod error;
mod local;
mod report;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fork_daemon::{Store, StoreUrl};
use fork_fs::{AtomicFile, FsError, Operation, StagedDir};
use fork_worker::{Context, ReportingArgs, WorkerResult};

pub use self::error::{OtherBytes, UploadError};
pub use self::report::{UploadReport, UploadedLedger};

pub use self::local::Digests;

use self::local::{LocalLedger, digests};

/// Largest object that is examined when it differs, in bytes: no ledger tarball is near it.
const OBJECT_BYTES_MAX: u64 = 8 << 30;

/// Upload ledger tarballs to the bucket daemons download them from
///
/// Each tarball of the ledgers goes into the bucket under its own name, which is the name a daemon
/// asks for. Before that it is compared with its ledger.json, after that it is read back. An object
/// that is there already with the same bytes is left alone; one with other bytes is never rewritten:
/// then nothing is uploaded, and both digests are told, and whether the object holds the same ledger
/// packed otherwise (exit code 4). A run that was killed is finished by the same command.
#[derive(Clone, Debug, clap::Args)]
pub struct UploadLedgersArgs {
    /// Directories that migrate-ledger wrote
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub ledgers: Vec<PathBuf>,

    /// Where to upload: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a directory; credentials come from
    /// the environment
    #[arg(long, value_name = "URL")]
    pub bucket: StoreUrl,

    /// Where daemons download from, such as https://bucket.s3.us-west-2.amazonaws.com: every tarball
    /// is downloaded from there without credentials, and its s3_data_hash compared, as a daemon does
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// Say what would be uploaded, and upload nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Where it is remembered how far uploads are, and where an object that differs is looked at
    #[arg(long, value_name = "DIR", default_value = "forkpack-upload")]
    pub work_dir: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl UploadLedgersArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let store = Store::open(&self.bucket)?;
        let note = |text: &str| context.note(text);
        let ledgers = local::read(&self.ledgers, &note)?;
        let mut report = UploadReport::new(&store);
        let mut differs = None;
        for ledger in &ledgers {
            let name = &ledger.name;
            note(&format!("looking for {name}"));
            let state = match self.compare(&store, ledger)? {
                None => "missing",
                Some(None) => "present",
                Some(Some(error)) => {
                    differs.get_or_insert(error);
                    "different"
                }
            };
            report.add(ledger, state);
        }
        if let Some(error) = differs {
            context.emit(&report.human(), &report)?;
            return Err(error.into());
        }
        for (ledger, entry) in ledgers.iter().zip(&mut report.ledgers) {
            if entry.state == "missing" && self.dry_run {
                entry.state = "planned".to_owned();
            } else if entry.state == "missing" {
                note(&format!("uploading {}", ledger.name));
                self.upload(&store, ledger)?;
                entry.state = "uploaded".to_owned();
            }
        }
        if let Some(url) = &self.public_url {
            for (ledger, entry) in ledgers.iter().zip(&mut report.ledgers) {
                if entry.state != "planned" {
                    let url = format!("{}/{}", url.trim_end_matches('/'), ledger.name);
                    note(&format!("downloading {url}"));
                    download(&url, ledger)?;
                    entry.public_url = Some(url);
                }
            }
        }
        context.emit(&report.human(), &report)?;
        Ok(())
    }

    /// What the bucket has under this name: nothing, the same bytes, or others.
    fn compare(
        &self,
        store: &Store,
        ledger: &LocalLedger,
    ) -> Result<Option<Option<UploadError>>, UploadError> {
        let Some(reader) = store.reader(&ledger.name)? else {
            return Ok(None);
        };
        let found = read_object(store, &ledger.name, reader, &mut io::sink())?;
        if found == ledger.digests {
            return Ok(Some(None));
        }
        let difference = OtherBytes {
            store: store.to_string(),
            key: ledger.name.clone(),
            path: ledger.path.clone(),
            content: self.examine(store, ledger, &found)?,
            expected: ledger.digests.clone(),
            found,
        };
        Ok(Some(Some(UploadError::Differs(Box::new(difference)))))
    }

    /// Says whether an object with other bytes is the same ledger.
    fn examine(
        &self,
        store: &Store,
        ledger: &LocalLedger,
        found: &Digests,
    ) -> Result<String, UploadError> {
        fork_fs::create_dir_all(&self.work_dir)?;
        // Goes away with everything in it.
        let scratch = StagedDir::create(&self.work_dir.join("object"), true)?;
        fork_fs::require_free_space(scratch.path(), found.bytes.saturating_mul(2))?;
        let path = scratch.path().join("object.tar.gz");
        let mut file = AtomicFile::create(&path)?;
        let Some(reader) = store.reader(&ledger.name)? else {
            return Ok("it is gone since".to_owned());
        };
        let again = read_object(store, &ledger.name, reader, &mut file)?;
        file.commit()?;
        if again != *found {
            return Ok("it changed while it was read".to_owned());
        }
        Ok(match content(&path, scratch.path()) {
            Ok(content) if content == ledger.content_sha256 => {
                format!("it is the same ledger, packed otherwise (content SHA-256 {content})")
            }
            Ok(content) => format!(
                "it is another ledger: content SHA-256 {content}, expected {}",
                ledger.content_sha256
            ),
            Err(error) => format!("it cannot be read as a ledger ({})", first_cause(&error)),
        })
    }

    fn upload(&self, store: &Store, ledger: &LocalLedger) -> Result<(), UploadError> {
        if matches!(self.bucket, StoreUrl::Remote(_)) {
            fork_fs::create_dir_all(&self.work_dir)?;
        }
        let journal = self.work_dir.join(format!("{}.journal.json", ledger.name));
        store.upload(
            &ledger.name,
            &ledger.path,
            &ledger.digests.digested(),
            &journal,
        )?;
        Ok(())
    }
}

/// Copies an object and hashes it.
fn read_object(
    store: &Store,
    key: &str,
    reader: Box<dyn Read + Send>,
    sink: &mut dyn Write,
) -> Result<Digests, UploadError> {
    let found = digests(&mut reader.take(OBJECT_BYTES_MAX.saturating_add(1)), sink)
        .map_err(|source| FsError::io(Operation::Read, Path::new(key), source))?;
    if found.bytes > OBJECT_BYTES_MAX {
        return Err(UploadError::TooLarge {
            store: store.to_string(),
            key: key.to_owned(),
            bytes_max: OBJECT_BYTES_MAX,
        });
    }
    Ok(found)
}

/// Digest of the ledger in a tarball, whoever packed it.
fn content(tarball: &Path, scratch: &Path) -> Result<String, fork_store::StoreError> {
    let store = fork_store::StoreReader::open_tarball(tarball, scratch)?;
    Ok(fork_store::write_scan(&store, io::sink())?.content_sha256)
}

fn first_cause(error: &fork_store::StoreError) -> String {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    text
}

/// Downloads a tarball as a daemon does.
fn download(url: &str, ledger: &LocalLedger) -> Result<(), UploadError> {
    let (reader, _) = fork_worker::input::fetch(url)?;
    // One byte more shows that there are more.
    let mut reader = reader.take(ledger.digests.bytes.saturating_add(1));
    let found = digests(&mut reader, &mut io::sink()).map_err(|source| UploadError::Download {
        url: url.to_owned(),
        source,
    })?;
    if found.s3_data_hash == ledger.digests.s3_data_hash {
        return Ok(());
    }
    Err(UploadError::Public {
        url: url.to_owned(),
        expected: ledger.digests.s3_data_hash.clone(),
        found: found.s3_data_hash,
    })
}

fn public_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"'<>\\".contains(&byte);
    if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(plain) {
        return Err("must be an http or https URL without user name and query".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls() {
        assert!(public_url("https://bucket.s3.us-west-2.amazonaws.com/x").is_ok());
        for text in [
            "s3://x",
            "https://",
            "https:///x",
            "https://u:hunter2@x",
            "https://x?y",
        ] {
            let error = public_url(text).unwrap_err();
            assert!(!error.contains("hunter2"));
        }
    }
}
