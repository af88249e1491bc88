//! What an upload says of itself.

use std::fmt::Write as _;

use fork_daemon::Store;
use serde::Serialize;

use super::local::LocalLedger;

/// A tarball in a report.
#[derive(Clone, Debug, Serialize)]
pub struct UploadedLedger {
    /// The roles of the ledger: two when the epoch ledgers are the same.
    pub roles: Vec<String>,
    /// Name of the object.
    pub name: String,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Lower-case hexadecimal SHA3-256, which the runtime config names.
    pub s3_data_hash: String,
    /// Size.
    pub bytes: u64,
    /// `uploaded`; `present` with the same bytes; `planned` of a run that only says what would be
    /// done; `missing` and `different` of a run that found an object with other bytes.
    pub state: String,
    /// Where it was downloaded from, with the right digest; absent when it was not.
    pub public_url: Option<String>,
}

/// What `package-deb upload-ledgers` did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct UploadReport {
    /// `forkpack.upload-ledgers`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The bucket.
    pub bucket: String,
    /// The tarballs.
    pub ledgers: Vec<UploadedLedger>,
}

impl UploadReport {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            format: "forkpack.upload-ledgers".to_owned(),
            version: 1,
            bucket: store.to_string(),
            ledgers: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, ledger: &LocalLedger, state: &str) {
        self.ledgers.push(UploadedLedger {
            roles: ledger
                .roles
                .iter()
                .map(|role| role.name().to_owned())
                .collect(),
            name: ledger.name.clone(),
            sha256: ledger.digests.sha256.clone(),
            s3_data_hash: ledger.digests.s3_data_hash.clone(),
            bytes: ledger.digests.bytes,
            state: state.to_owned(),
            public_url: None,
        });
    }

    pub(super) fn human(&self) -> String {
        let mut text = format!("ledgers in {}\n", self.bucket);
        for ledger in &self.ledgers {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<12} {}: {} ({} bytes)\n  SHA-256       {}\n  s3_data_hash  {}",
                ledger.state,
                ledger.roles.join(" and "),
                ledger.name,
                ledger.bytes,
                ledger.sha256,
                ledger.s3_data_hash
            );
            if let Some(url) = &ledger.public_url {
                let _ = writeln!(text, "  downloaded    {url}");
            }
        }
        text
    }
}
