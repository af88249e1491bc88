//! Documents of other workers, as far as the facts need them: reports and manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_sign::{ENVELOPE_BYTES_MAX, Envelope, Statement, StatementError};
use fork_types::document::{DOCUMENT_BYTES_MAX, DocumentError};
use fork_types::{LedgerHash, Role, StateHash};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::FactsError;

const REPORT_FORMAT: &str = "forkpack.report";
const REPORT_VERSION: u32 = 1;
const REPORT_NAME: &str = "report.json";

const MANIFEST_TYPE: &str = "https://github.com/forkpack/forkpack/manifest/v1";
const MANIFEST_NAME: &str = "manifest.json";
const ENVELOPE_NAME: &str = "manifest.intoto.json";

/// What `verify-package` wrote.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    #[serde(skip)]
    pub(crate) path: PathBuf,
    pub(crate) subject: ReportSubject,
    pub(crate) candidate_sha256: String,
    #[serde(default)]
    pub(crate) roots: BTreeMap<Role, LedgerHash>,
    pub(crate) checks: Vec<ReportCheck>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportSubject {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) sha256: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportCheck {
    pub(crate) id: String,
    pub(crate) outcome: ReportOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReportOutcome {
    Passed,
    Failed,
    NotRun,
}

impl Report {
    pub(crate) fn read(directory: &Path) -> Result<Self, FactsError> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
            version: u32,
        }
        let path = directory.join(REPORT_NAME);
        let bytes = fork_fs::read_limited(&path, DOCUMENT_BYTES_MAX)?;
        let fault = FactsError::report(&path);
        let json = |source| {
            fault(DocumentError::Json {
                format: REPORT_FORMAT,
                source,
            })
        };
        let header: Header = serde_json::from_slice(&bytes).map_err(json)?;
        if header.format != REPORT_FORMAT {
            return Err(fault(DocumentError::Format {
                expected: REPORT_FORMAT,
                found: header.format,
            }));
        }
        if header.version > REPORT_VERSION {
            return Err(fault(DocumentError::TooNew {
                format: REPORT_FORMAT,
                found: header.version,
                supported: REPORT_VERSION,
            }));
        }
        let mut report: Self = serde_json::from_slice(&bytes).map_err(json)?;
        report.path = path;
        Ok(report)
    }

    pub(crate) fn ids(&self, outcome: ReportOutcome) -> Vec<String> {
        self.checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .map(|check| check.id.clone())
            .collect()
    }
}

/// What `sign-release` wrote.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) statement: Statement<ManifestFacts>,
    /// The envelope, when there is one: its path, the digest of what is signed, and whose the
    /// signatures say they are.
    pub(crate) envelope: Option<(PathBuf, String, Vec<String>)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ManifestFacts {
    pub(crate) fork_block: ManifestBlock,
    pub(crate) genesis: ManifestGenesis,
    pub(crate) ledgers: Vec<ManifestLedger>,
    pub(crate) overrides: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ManifestBlock {
    pub(crate) state_hash: StateHash,
    pub(crate) blockchain_length: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ManifestGenesis {
    pub(crate) timestamp: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ManifestLedger {
    pub(crate) role: Role,
    pub(crate) root_before: LedgerHash,
    pub(crate) root_after: LedgerHash,
}

impl Manifest {
    pub(crate) fn read(directory: &Path) -> Result<Self, FactsError> {
        let path = directory.join(MANIFEST_NAME);
        let bytes = fork_fs::read_limited(&path, ENVELOPE_BYTES_MAX)?;
        let fault = |source: StatementError| FactsError::Manifest {
            path: path.clone(),
            source,
        };
        let statement = Statement::from_payload(&bytes, MANIFEST_TYPE).map_err(fault)?;
        let signed = directory.join(ENVELOPE_NAME);
        let envelope = if fork_fs::exists(&signed) {
            Some(Self::envelope(&signed)?)
        } else {
            None
        };
        Ok(Self {
            sha256: hex::encode(Sha256::digest(&bytes)),
            path,
            statement,
            envelope,
        })
    }

    fn envelope(path: &Path) -> Result<(PathBuf, String, Vec<String>), FactsError> {
        /// The labels of the signatures; [`Envelope`] keeps them to itself, because nobody should
        /// believe them.
        #[derive(Deserialize)]
        struct Labels {
            signatures: Vec<Label>,
        }
        #[derive(Deserialize)]
        struct Label {
            #[serde(default)]
            keyid: String,
        }
        let bytes = fork_fs::read_limited(path, ENVELOPE_BYTES_MAX)?;
        let fault = |source| FactsError::Envelope {
            path: path.to_owned(),
            source,
        };
        let envelope = Envelope::from_json(&bytes).map_err(fault)?;
        let labels: Labels = serde_json::from_slice(&bytes)
            .map_err(|error| fault(fork_sign::EnvelopeError::Json(error)))?;
        let signers = labels
            .signatures
            .into_iter()
            .map(|label| match label.keyid {
                keyid if keyid.is_empty() => "a key it does not name".to_owned(),
                keyid => keyid.chars().filter(|c| !c.is_control()).take(80).collect(),
            });
        let signed = hex::encode(Sha256::digest(envelope.unverified_payload()));
        Ok((path.to_owned(), signed, signers.collect()))
    }
}
