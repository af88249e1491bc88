//! Statements and envelopes in files.

use std::io::Write;
use std::path::Path;

use fork_fs::AtomicFile;
use fork_sign::{
    ENVELOPE_BYTES_MAX, Envelope, EnvelopeError, PAYLOAD_TYPE, Statement, StatementError,
};
use serde::Deserialize;

use crate::args::FileOutputArgs;
use crate::compare::first_difference;
use crate::error::SignError;
use crate::manifest::{Manifest, PREDICATE_TYPE, VERSION};
use crate::show::plain;

/// Name of the statement's file.
pub(crate) const FILE_NAME: &str = "manifest.json";

/// An envelope with its statement, read and checked. Nobody needs to have signed it.
pub(crate) struct Signed {
    pub(crate) envelope: Envelope,
    pub(crate) statement: Statement<Manifest>,
}

impl Signed {
    /// Reads an envelope, or a statement as an envelope that nobody has signed yet.
    pub(crate) fn read(path: &Path) -> Result<Self, SignError> {
        let bytes = fork_fs::read_limited(path, ENVELOPE_BYTES_MAX)?;
        let envelope = if is_statement(&bytes) {
            Envelope::new(bytes)
        } else {
            Envelope::from_json(&bytes).map_err(|source| SignError::Envelope {
                path: path.to_owned(),
                source,
            })?
        };
        if envelope.payload_type() != PAYLOAD_TYPE {
            return Err(SignError::Envelope {
                path: path.to_owned(),
                source: EnvelopeError::PayloadType {
                    expected: format!("`{PAYLOAD_TYPE}`"),
                    found: envelope.payload_type().escape_debug().take(120).collect(),
                },
            });
        }
        let statement = statement(path, envelope.unverified_payload())?;
        Ok(Self {
            envelope,
            statement,
        })
    }
}

/// Whether a file says of itself that it is a statement and no envelope.
fn is_statement(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "_type")]
        _kind: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Header>(bytes).is_ok()
}

/// The manifest in a payload: in its only spelling, so that those who say the same signed the same.
fn statement(path: &Path, payload: &[u8]) -> Result<Statement<Manifest>, SignError> {
    #[derive(Deserialize)]
    struct Header {
        version: u32,
    }
    let fault = |source| SignError::Statement {
        path: path.to_owned(),
        source,
    };
    // The version first: members of a later one are not known here.
    let header = Statement::<Header>::from_payload(payload, PREDICATE_TYPE).map_err(fault)?;
    let found = header.predicate().version;
    if found > VERSION {
        return Err(SignError::TooNew {
            path: path.to_owned(),
            found,
            supported: VERSION,
        });
    }
    let statement: Statement<Manifest> =
        Statement::from_canonical_payload(payload, PREDICATE_TYPE).map_err(fault)?;
    if statement.predicate().format == crate::manifest::FORMAT {
        return match unnamed(&statement) {
            None => Ok(statement),
            Some(name) => Err(SignError::NoSubject {
                path: path.to_owned(),
                name: plain(name),
            }),
        };
    }
    Err(fault(StatementError::Type {
        member: "format",
        expected: crate::manifest::FORMAT.to_owned(),
        found: statement.predicate().format.chars().take(120).collect(),
    }))
}

/// The first artefact that the facts speak of and no subject names: whoever signed would not have had
/// to have it.
fn unnamed(statement: &Statement<Manifest>) -> Option<&str> {
    let manifest = statement.predicate();
    let tarballs = manifest.ledgers.iter().map(|ledger| &ledger.tarball);
    tarballs
        .chain(manifest.packages().map(|package| &package.file))
        .chain(manifest.images().map(|image| &image.name))
        .map(String::as_str)
        .find(|name| statement.subject(name).is_none())
}

/// Fails with the first difference unless two files say the same.
pub(crate) fn same(first: (&Path, &Signed), second: (&Path, &Signed)) -> Result<(), SignError> {
    if first.1.envelope.unverified_payload() == second.1.envelope.unverified_payload() {
        return Ok(());
    }
    let difference = first_difference(&first.1.statement, &second.1.statement);
    let (difference, hint) = difference.map_or_else(
        || ("their bytes differ".to_owned(), None),
        |found| (found.words, found.hint),
    );
    Err(SignError::Different {
        first: first.0.to_owned(),
        second: second.0.to_owned(),
        difference,
        hint,
    })
}

impl FileOutputArgs {
    /// Fails early when the file is there and may not be replaced.
    pub(crate) fn check(&self) -> Result<(), SignError> {
        if !self.force && fork_fs::exists(&self.output) {
            return Err(self.exists());
        }
        Ok(())
    }

    fn exists(&self) -> SignError {
        SignError::Exists {
            path: self.output.clone(),
            is_key: false,
        }
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, envelope: &Envelope) -> Result<(), SignError> {
        let bytes = envelope.to_json().map_err(|source| SignError::Envelope {
            path: self.output.clone(),
            source,
        })?;
        let mut file = AtomicFile::create(&self.output)?;
        file.write_all(&bytes)
            .map_err(|source| file.write_error(source))?;
        if self.force {
            file.commit()?;
        } else if !file.commit_new()? {
            return Err(self.exists());
        }
        Ok(())
    }
}
