//! What a verification report says, as far as a manifest needs it. The report is another worker's
//! document; only its frame is read here, and its checks.

use std::path::{Path, PathBuf};

use fork_types::document::{DOCUMENT_BYTES_MAX, DocumentError};
use serde::Deserialize;

use crate::error::SignError;
use crate::manifest::{Verdict, VerdictWord};

const FORMAT: &str = "forkpack.report";
const VERSION: u32 = 1;
const FILE_NAME: &str = "report.json";

/// Checks that the builder's machine decides about, or something that is no part of the release: its
/// dpkg, a running node, a second package.
fn is_of_the_machine(id: &str) -> bool {
    id == "package.dpkg" || id.starts_with("daemon.") || id.starts_with("against.")
}

/// A report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) path: PathBuf,
    /// `deb`, `oci`, ….
    pub(crate) kind: String,
    /// SHA-256 of a package, or of an image's manifest.
    pub(crate) sha256: Option<String>,
    pub(crate) candidate_sha256: String,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Wire {
    subject: Subject,
    candidate_sha256: String,
    failed: usize,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    #[serde(default)]
    sha256: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Passed,
    Failed,
    NotRun,
}

impl Report {
    /// Reads the report in a directory. One that says that something failed is refused.
    pub(crate) fn read(directory: &Path) -> Result<Self, SignError> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
            version: u32,
        }
        let path = directory.join(FILE_NAME);
        let bytes = fork_fs::read_limited(&path, DOCUMENT_BYTES_MAX)?;
        let fault = |source| SignError::Report {
            path: path.clone(),
            source,
        };
        let json = |source| {
            fault(DocumentError::Json {
                format: FORMAT,
                source,
            })
        };
        let header: Header = serde_json::from_slice(&bytes).map_err(json)?;
        if header.format != FORMAT {
            return Err(fault(DocumentError::Format {
                expected: FORMAT,
                found: header.format,
            }));
        }
        if header.version > VERSION {
            return Err(fault(DocumentError::TooNew {
                format: FORMAT,
                found: header.version,
                supported: VERSION,
            }));
        }
        let wire: Wire = serde_json::from_slice(&bytes).map_err(json)?;
        let report = Self {
            kind: wire.subject.kind,
            sha256: wire.subject.sha256,
            candidate_sha256: wire.candidate_sha256,
            checks: wire.checks,
            path,
        };
        let failed = report.ids(Outcome::Failed);
        if wire.failed > 0 || !failed.is_empty() || report.ids(Outcome::Passed).is_empty() {
            return Err(SignError::Failed {
                path: report.path.clone(),
                failed: wire.failed.max(failed.len()),
                ids: failed.join(", "),
            });
        }
        Ok(report)
    }

    fn ids(&self, outcome: Outcome) -> Vec<String> {
        let mut ids: Vec<String> = self
            .checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .map(|check| check.id.clone())
            .collect();
        ids.sort();
        ids
    }

    /// What the manifest says of it.
    pub(crate) fn verdict(&self) -> Verdict {
        let of_the_release = |outcome| {
            let mut ids = self.ids(outcome);
            ids.retain(|id| !is_of_the_machine(id));
            ids
        };
        Verdict {
            verdict: VerdictWord::Passed,
            passed: of_the_release(Outcome::Passed),
            not_run: of_the_release(Outcome::NotRun),
        }
    }
}
