//! Signed facts: in-toto statements and the predicates that are understood.
//!
//! Signatures are checked by the caller. What arrives here says whose they were, and is read
//! strictly: an unknown predicate type, observation or member is an error.

pub mod observation;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;
use crate::name::{Commit, Digest, KeyId, Time};

pub use observation::{Finding, Observation};

/// Type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Predicate of a release manifest.
pub const RELEASE: &str = "https://in-toto.io/attestation/release/v0.1";
/// Predicate of a test run.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// Predicate of documents.
pub const REFERENCE: &str = "https://in-toto.io/attestation/reference/v0.1";
/// What forkpack's own predicates begin with.
pub const OWN: &str = "https://github.com/forkpack/forkpack/attestation/";

/// Largest statement that is read, in bytes. A list of commits is the longest thing in one.
pub const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// Why a statement was refused.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Too large.
    #[error(
        "the statement in envelope {envelope} has {bytes} bytes, more than {STATEMENT_BYTES_MAX}"
    )]
    Size {
        /// The envelope.
        envelope: Digest,
        /// Its statement's size.
        bytes: usize,
    },
    /// Not JSON, or not of this form.
    #[error("the statement in envelope {envelope} is malformed")]
    Form {
        /// The envelope.
        envelope: Digest,
        /// What the reader says.
        source: serde_json::Error,
    },
    /// Not a statement.
    #[error("envelope {envelope} holds a `{found}`, expected `{STATEMENT_TYPE}`")]
    Type {
        /// The envelope.
        envelope: Digest,
        /// Its `_type`.
        found: String,
    },
    /// A predicate nobody here understands.
    #[error("envelope {envelope} holds the unknown predicate `{found}`")]
    Predicate {
        /// The envelope.
        envelope: Digest,
        /// Its `predicateType`.
        found: String,
    },
    /// A subject without a digest that can be compared.
    #[error(
        "subject `{subject}` in envelope {envelope} has neither a sha256 nor a gitCommit digest"
    )]
    Subject {
        /// The envelope.
        envelope: Digest,
        /// Name of the subject.
        subject: String,
    },
}

impl fork_types::Fault for StatementError {
    fn class(&self) -> fork_types::Class {
        fork_types::Class::BadInput
    }
}

/// A statement whose signatures the caller has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// SHA-256 of the envelope's bytes.
    pub envelope: Digest,
    /// The keys whose signatures are good.
    pub signers: BTreeSet<KeyId>,
    /// The payload: the statement's bytes.
    pub statement: Vec<u8>,
}

/// What a fact is about. Facts of another release, stage or attempt never count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The release.
    pub release: String,
    /// The stage; `*` for facts about the code, which hold on every network.
    pub stage: String,
    /// The attempt at the stage, from 1; 0 with `*`.
    pub attempt: u32,
}

/// One thing a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file, image or payload.
    Sha256(Digest),
    /// A commit.
    Git(Commit),
}

/// A fact with whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// SHA-256 of the envelope.
    pub envelope: Digest,
    /// The keys whose signatures are good.
    pub signers: BTreeSet<KeyId>,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// The fact.
    pub predicate: Predicate,
}

/// The facts that are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// What is released.
    Manifest(Box<Manifest>),
    /// A test run.
    Test(Test),
    /// Documents, by digest.
    Documents(Vec<Document>),
    /// A vote, by the digest of the mail it came in.
    Vote(Vote),
    /// What a role agreed to.
    Approval(Approval),
    /// An exception.
    Waiver(Waiver),
    /// What somebody saw.
    Observation(Observed),
    /// What became of a network.
    Deployment(Box<Deployment>),
}

/// The outcome of a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// Everything passed.
    Passed,
    /// Passed, with remarks.
    Warned,
    /// Something failed.
    Failed,
}

/// A test run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What it is about.
    pub scope: Scope,
    /// Name of the suite.
    pub suite: String,
    /// The one feature that was tested, if it was only one.
    pub feature: Option<String>,
    /// What was covered, such as the ledgers a sample was taken from.
    pub covers: BTreeSet<String>,
    /// Seed of a random sample.
    pub seed: Option<String>,
    /// When it ended.
    pub at: Time,
    /// Its outcome.
    pub outcome: TestOutcome,
    /// Names of the tests that failed.
    pub failed: Vec<String>,
}

/// A document, by digest. Its bytes are among the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is about.
    pub scope: Scope,
    /// What kind of document.
    pub type_: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// When it was published.
    pub at: Time,
}

/// What a voter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// For the proposal.
    Approve,
    /// Against it.
    Reject,
    /// Takes the voter's earlier vote back.
    Withdraw,
    /// Stops the release for good.
    Veto,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Digest of the proposal.
    pub proposal: Digest,
    /// Who votes, as in the roster.
    pub voter: String,
    /// The vote.
    pub choice: Choice,
    /// Where it came in: `email:supervalidator-ops`, `signed`, ….
    pub channel: String,
    /// SHA-256 of the mail as it arrived. Votes by signature have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Digest>,
    /// When it was received.
    pub at: Time,
}

/// What a role agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What it is about.
    #[serde(rename = "for")]
    pub scope: Scope,
    /// What was decided on.
    pub item: String,
    /// The decision: `approved`, `selected`, `rejected`, ….
    pub verdict: String,
    /// Who decided, by name.
    pub by: String,
    /// When.
    pub at: Time,
    /// What the decision lists, such as the features of a train.
    #[serde(default)]
    pub lists: Vec<String>,
    /// The date that was decided, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Time>,
}

/// An exception from one gate for one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// What it is about.
    #[serde(rename = "for")]
    pub scope: Scope,
    /// The rule it is an exception from.
    pub gate: String,
    /// What exactly is excepted; empty where the rule has only one thing.
    #[serde(default)]
    pub hits: Vec<String>,
    /// Why.
    pub reason: String,
    /// What may go wrong.
    pub risk: String,
    /// When it was given.
    pub at: Time,
    /// Until when it may be used.
    pub expires: Time,
}

/// What somebody saw, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// What it is about.
    #[serde(rename = "for")]
    pub scope: Scope,
    /// When it was seen.
    pub at: Time,
    /// What was seen.
    pub seen: Observation,
}

/// What became of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The release runs there.
    Deployed,
    /// The network started from its genesis.
    Bootstrap,
    /// The upgrade is active.
    Activated,
    /// The network was ended in good order.
    Ended,
}

/// A record of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// What it is about.
    #[serde(rename = "for")]
    pub scope: Scope,
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Time,
    /// Name of the network.
    pub network_id: String,
    /// Commit that runs.
    pub commit: Commit,
    /// Artifacts that run, by name.
    #[serde(default)]
    pub digests: BTreeMap<String, Digest>,
    /// Version the network ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// Slot, height or second of activation per feature, counted from genesis; 0 is genesis.
    #[serde(default)]
    pub activation: BTreeMap<String, u64>,
    /// Transaction of the upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_tx: Option<String>,
    /// Facts the network is known by: `genesis_hash`, `chain_id`.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
    /// Parts and chains that run.
    #[serde(default)]
    pub components: Vec<String>,
}

#[derive(Deserialize)]
struct RawStatement {
    #[serde(rename = "_type")]
    type_: String,
    subject: Vec<RawSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: serde_json::Value,
}

#[derive(Deserialize)]
struct RawSubject {
    #[serde(default)]
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawRelease {
    forkpack: Manifest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTest {
    result: TestOutcome,
    configuration: Vec<RawResource<RawTestNotes>>,
    #[serde(default)]
    failed_tests: Vec<String>,
}

#[derive(Deserialize)]
struct RawResource<Notes> {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    annotations: Notes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTestNotes {
    #[serde(rename = "for")]
    scope: Scope,
    suite: String,
    #[serde(default)]
    feature: Option<String>,
    #[serde(default)]
    covers: BTreeSet<String>,
    #[serde(default)]
    seed: Option<String>,
    at: Time,
}

#[derive(Deserialize)]
struct RawReference {
    references: Vec<RawResource<RawDocumentNotes>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocumentNotes {
    #[serde(rename = "for")]
    scope: Scope,
    #[serde(rename = "type")]
    type_: String,
    at: Time,
}

impl Evidence {
    /// Reads a verified statement.
    ///
    /// Standard in-toto predicates carry what is ours in the places made for that: a manifest in the
    /// member `forkpack` of a release, the scope in the annotations of the first `configuration` of a
    /// test result and of each reference.
    ///
    /// # Errors
    ///
    /// Refuses everything that is not exactly understood.
    pub fn parse(verified: &Verified) -> Result<Self, StatementError> {
        let envelope = verified.envelope;
        if verified.statement.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::Size {
                envelope,
                bytes: verified.statement.len(),
            });
        }
        let form = |source| StatementError::Form { envelope, source };
        let raw: RawStatement = serde_json::from_slice(&verified.statement).map_err(form)?;
        if raw.type_ != STATEMENT_TYPE {
            return Err(StatementError::Type {
                envelope,
                found: raw.type_,
            });
        }
        let mut subjects = Vec::new();
        for subject in raw.subject {
            let sha256 = subject.digest.get("sha256").and_then(|hex| digest(hex));
            let commit = subject
                .digest
                .get("gitCommit")
                .and_then(|hex| hex.parse().ok());
            match (sha256, commit) {
                (Some(digest), _) => subjects.push(Subject::Sha256(digest)),
                (None, Some(commit)) => subjects.push(Subject::Git(commit)),
                (None, None) => {
                    return Err(StatementError::Subject {
                        envelope,
                        subject: subject.name,
                    });
                }
            }
        }
        let value = raw.predicate;
        let predicate = match raw.predicate_type.as_str() {
            RELEASE => {
                let release: RawRelease = serde_json::from_value(value).map_err(form)?;
                Predicate::Manifest(Box::new(release.forkpack))
            }
            TEST_RESULT => test(serde_json::from_value(value).map_err(form)?).map_err(form)?,
            REFERENCE => documents(serde_json::from_value(value).map_err(form)?).map_err(form)?,
            other => match other.strip_prefix(OWN) {
                Some("vote/v1") => Predicate::Vote(serde_json::from_value(value).map_err(form)?),
                Some("approval/v1") => {
                    Predicate::Approval(serde_json::from_value(value).map_err(form)?)
                }
                Some("waiver/v1") => {
                    Predicate::Waiver(serde_json::from_value(value).map_err(form)?)
                }
                Some("observation/v1") => {
                    Predicate::Observation(serde_json::from_value(value).map_err(form)?)
                }
                Some("deployment/v1") => {
                    Predicate::Deployment(serde_json::from_value(value).map_err(form)?)
                }
                _ => {
                    return Err(StatementError::Predicate {
                        envelope,
                        found: other.to_owned(),
                    });
                }
            },
        };
        Ok(Self {
            envelope,
            signers: verified.signers.clone(),
            subjects,
            predicate,
        })
    }
}

fn digest(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

fn test(raw: RawTest) -> Result<Predicate, serde_json::Error> {
    use serde::de::Error as _;
    let first = raw.configuration.into_iter().next();
    let notes = first
        .ok_or_else(|| serde_json::Error::custom("no configuration"))?
        .annotations;
    Ok(Predicate::Test(Test {
        scope: notes.scope,
        suite: notes.suite,
        feature: notes.feature,
        covers: notes.covers,
        seed: notes.seed,
        at: notes.at,
        outcome: raw.result,
        failed: raw.failed_tests,
    }))
}

fn documents(raw: RawReference) -> Result<Predicate, serde_json::Error> {
    use serde::de::Error as _;
    let mut documents = Vec::new();
    for reference in raw.references {
        let digest = reference.digest.get("sha256").and_then(|hex| digest(hex));
        let digest =
            digest.ok_or_else(|| serde_json::Error::custom("a reference without sha256"))?;
        documents.push(Document {
            scope: reference.annotations.scope,
            type_: reference.annotations.type_,
            name: reference.name,
            digest,
            at: reference.annotations.at,
        });
    }
    Ok(Predicate::Documents(documents))
}
