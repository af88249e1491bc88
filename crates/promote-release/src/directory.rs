//! A release on the disk.
//!
//! ```text
//! policy.toml              the process, as it was when the release was opened
//! keys.toml                whose word counts
//! log.jsonl                what happened, each line chained to the one before
//! log.head.intoto.json     the signed end of the log
//! evidence/SHA256.intoto.json   signed facts as they came
//! raw/SHA256.EXT           documents and mails as they came
//! manifest.intoto.json     the manifest that holds now, a copy
//! effects/                 what the executors that need no program wrote
//! ```
//!
//! Evidence and raw files are named by what they are and written before the log names them. The log
//! is exchanged as a whole, and always ends where a signed head says: a new head is written beside the
//! old one, then the log is exchanged, then the head. Whatever a crash interrupts, the log that is
//! there fits one of the two heads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_fs::FileLock;
use fork_sign::{
    ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE, SecretKey, SignatureStatus, TrustedKeys,
};
use release_policy::log::Body;
use release_policy::policy::POLICY_BYTES_MAX;
use release_policy::state::State;
use release_policy::statement::STATEMENT_BYTES_MAX;
use release_policy::store::FILE_BYTES_MAX;
use release_policy::{Digest, Evidence, Head, KeyId, Log, Policy, Store, Time, Verified};

use crate::error::PromoteError;
use crate::head;
use crate::keys::{PinnedKeys, key_id};

const POLICY: &str = "policy.toml";
const KEYS: &str = "keys.toml";
const LOG: &str = "log.jsonl";
const HEAD: &str = "log.head.intoto.json";
const NEXT_HEAD: &str = "log.head.next.intoto.json";
const MANIFEST: &str = "manifest.intoto.json";
const LOCK: &str = ".lock";
const EVIDENCE: &str = "evidence";
const RAW: &str = "raw";
/// Ending of an envelope's file.
const ENVELOPE_ENDING: &str = ".intoto.json";
/// Largest log, in bytes. A thousand decisions of a process with forty rules have about 20 MiB.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// Most documents and mails of a release.
const RAW_FILES_MAX: u64 = 10_000;
/// Most bytes of all of them together.
const RAW_BYTES_MAX: u64 = 256 << 20;
/// Endings that documents keep, so that a person can open them.
const ENDINGS: [&str; 8] = ["asc", "eml", "html", "json", "md", "toml", "txt", "log"];

/// A release, read and checked: chain, head, and every signature.
#[derive(Debug)]
pub struct Release {
    root: PathBuf,
    /// The process.
    pub(crate) policy: Policy,
    pub(crate) keys: PinnedKeys,
    pub(crate) log: Log,
    pub(crate) store: Store,
    /// Set while this command may write.
    lock: Option<FileLock>,
}

/// What a release is opened with.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) id: &'a str,
    pub(crate) policy: (&'a Path, String),
    pub(crate) options: &'a [String],
    pub(crate) keys: (&'a Path, String),
    pub(crate) now: Time,
}

fn text_of(path: &Path, bytes_max: u64) -> Result<String, PromoteError> {
    let bytes = fork_fs::read_limited(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| PromoteError::Text {
        path: path.to_owned(),
    })
}

pub(crate) fn read_policy_file(path: &Path) -> Result<String, PromoteError> {
    text_of(path, POLICY_BYTES_MAX as u64)
}

fn policy_of(
    (path, text): (&Path, &str),
    options: &[String],
    keys: (&Path, &str),
) -> Result<Policy, PromoteError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| PromoteError::Policy { path, source }
    };
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Policy::parse(text).map_err(fault(path))?;
    let policy = Policy::parse_with(text, &options).map_err(fault(path))?;
    policy.with_keys(keys.1).map_err(fault(keys.0))
}

impl Release {
    /// Opens a new release in a directory that is not there yet.
    pub(crate) fn create(
        root: &Path,
        opening: &Opening<'_>,
        key: &SecretKey,
    ) -> Result<(), PromoteError> {
        if opening.id.is_empty()
            || opening.id.len() > 64
            || !opening
                .id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            || opening.id.starts_with('.')
        {
            return Err(PromoteError::usage(
                format!("`{}` cannot be the name of a release", opening.id),
                "use up to 64 letters, digits, `-`, `_` and `.`",
            ));
        }
        let (policy_path, policy_text) = &opening.policy;
        let (keys_path, keys_text) = &opening.keys;
        let policy = policy_of(
            (policy_path, policy_text),
            opening.options,
            (keys_path, keys_text),
        )?;
        let pinned = PinnedKeys::parse(keys_path, keys_text.clone())?;
        require_log_key(&pinned, key)?;
        require_not_expired(&pinned, key, opening.now)?;
        if fork_fs::exists(root) {
            return Err(PromoteError::Exists {
                path: root.to_owned(),
            });
        }
        let staged = fork_fs::StagedDir::create(root, false)?;
        let inside = staged.path();
        for name in [EVIDENCE, RAW] {
            fork_fs::create_dir_all(&inside.join(name))?;
        }
        fork_fs::write_atomic(&inside.join(POLICY), policy_text.as_bytes())?;
        fork_fs::write_atomic(&inside.join(KEYS), keys_text.as_bytes())?;
        let mut log = Log::default();
        let body = Body::Opened {
            release: opening.id.to_owned(),
            policy: policy.digest,
            options: policy.options_used.clone(),
            keys: Digest::of(keys_text.as_bytes()),
        };
        let path = root.join(LOG);
        let fault = |source| PromoteError::Log {
            path: path.clone(),
            source,
        };
        log.push(opening.now, body).map_err(fault)?;
        fork_fs::write_atomic(&inside.join(LOG), log.text().as_bytes())?;
        fork_fs::write_atomic(&inside.join(HEAD), &head::sign(&log, key)?)?;
        staged.commit()?;
        Ok(())
    }

    /// Reads a release and checks everything in it.
    pub(crate) fn read(root: &Path) -> Result<Self, PromoteError> {
        let log_path = root.join(LOG);
        let log = Log::parse(&text_of(&log_path, LOG_BYTES_MAX)?).map_err(|source| {
            PromoteError::Log {
                path: log_path.clone(),
                source,
            }
        })?;
        let Some(Body::Opened {
            policy: policy_digest,
            options,
            keys: keys_digest,
            ..
        }) = log.entries().first().map(|entry| &entry.body)
        else {
            return Err(PromoteError::Record {
                path: log_path,
                problem: "it does not begin with the opening of a release".to_owned(),
            });
        };
        let (policy_path, keys_path) = (root.join(POLICY), root.join(KEYS));
        let policy_text = read_policy_file(&policy_path)?;
        let keys_text = read_policy_file(&keys_path)?;
        for (path, text, expected) in [
            (&policy_path, &policy_text, policy_digest),
            (&keys_path, &keys_text, keys_digest),
        ] {
            expect_digest(path, text.as_bytes(), *expected)?;
        }
        let policy = policy_of(
            (&policy_path, &policy_text),
            options,
            (&keys_path, &keys_text),
        )?;
        let keys = PinnedKeys::parse(&keys_path, keys_text)?;
        // Of its own time: a key that has ended since signed well then.
        let at = log.entries().last().map(|entry| entry.at);
        let heads = at
            .map(|at| keys.log_at(at))
            .transpose()?
            .unwrap_or_default();
        let signed = signed_head(root, &heads, &log)?;
        log.expect_head(&signed)
            .map_err(|source| PromoteError::Log {
                path: log_path,
                source,
            })?;
        let store = read_store(root, &log, &keys)?;
        Ok(Self {
            root: root.to_owned(),
            policy,
            keys,
            log,
            store,
            lock: None,
        })
    }

    /// Reads a release that this command is going to add to. Nobody else may at the same time.
    pub(crate) fn read_to_write(root: &Path) -> Result<Self, PromoteError> {
        // The lock's file would be made in a directory that is no release, too.
        fork_fs::open(&root.join(LOG))?;
        let lock = FileLock::take(&root.join(LOCK))?.ok_or_else(|| PromoteError::Locked {
            path: root.to_owned(),
        })?;
        let mut release = Self::read(root)?;
        release.lock = Some(lock);
        Ok(release)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its name.
    pub(crate) fn id(&self) -> &str {
        match self.log.entries().first().map(|entry| &entry.body) {
            Some(Body::Opened { release, .. }) => release,
            _ => "",
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> Result<State<'_>, PromoteError> {
        State::read(&self.policy, &self.log, &self.store).map_err(|source| self.state_error(source))
    }

    pub(crate) fn state_error(&self, source: release_policy::state::StateError) -> PromoteError {
        PromoteError::State {
            path: self.root.clone(),
            source,
        }
    }

    /// The time of the last entry: what a page of the record is as of.
    pub(crate) fn last_time(&self) -> Option<Time> {
        self.log.entries().last().map(|entry| entry.at)
    }

    /// Adds a document or mail. It counts for nothing until a recorded fact names it.
    pub(crate) fn add_raw(&mut self, name: &str, bytes: Vec<u8>) -> Result<Digest, PromoteError> {
        let digest = Digest::of(&bytes);
        if self.store.file(digest).is_some() {
            return Ok(digest);
        }
        let ending = Path::new(name)
            .extension()
            .and_then(|ending| ending.to_str());
        let ending = ending
            .filter(|ending| ENDINGS.contains(ending))
            .unwrap_or("bin");
        let path = self
            .root
            .join(RAW)
            .join(format!("{}.{ending}", digest.hex()));
        let too_large = |source| PromoteError::Store {
            path: PathBuf::from(name),
            source,
        };
        self.store.add_file(bytes.clone()).map_err(too_large)?;
        fork_fs::write_atomic(&path, &bytes)?;
        Ok(digest)
    }

    /// Adds a signed fact to the record. Says `false` when it is there already, and changes nothing.
    pub(crate) fn record(
        &mut self,
        name: &Path,
        envelope: &[u8],
        at: Time,
        key: &SecretKey,
    ) -> Result<(Digest, bool), PromoteError> {
        let evidence = read_evidence(name, envelope, &self.keys, at)?;
        let digest = evidence.envelope;
        let is_manifest = matches!(
            evidence.predicate,
            release_policy::statement::Predicate::Manifest(_)
        );
        let there =
            self.log.entries().iter().any(
                |entry| matches!(&entry.body, Body::Recorded { evidence } if *evidence == digest),
            );
        if there {
            return Ok((digest, false));
        }
        fork_fs::write_atomic(&self.evidence_path(digest), envelope)?;
        self.store.add_evidence(evidence);
        self.append(at, Body::Recorded { evidence: digest }, key)?;
        if is_manifest {
            fork_fs::write_atomic(&self.root.join(MANIFEST), envelope)?;
        }
        Ok((digest, true))
    }

    fn evidence_path(&self, digest: Digest) -> PathBuf {
        let name = format!("{}{ENVELOPE_ENDING}", digest.hex());
        self.root.join(EVIDENCE).join(name)
    }

    /// Adds an entry to the log, and signs its new end.
    pub(crate) fn append(
        &mut self,
        at: Time,
        body: Body,
        key: &SecretKey,
    ) -> Result<(), PromoteError> {
        if self.lock.is_none() {
            return Err(PromoteError::Locked {
                path: self.root.clone(),
            });
        }
        require_log_key(&self.keys, key)?;
        require_not_expired(&self.keys, key, at)?;
        let path = self.root.join(LOG);
        let mut log = self.log.clone();
        log.push(at, body).map_err(|source| PromoteError::Log {
            path: path.clone(),
            source,
        })?;
        let text = log.text();
        if text.len() as u64 > LOG_BYTES_MAX {
            return Err(PromoteError::Limit {
                what: format!("bytes of `{}`", path.display()),
                found: text.len() as u64,
                limit: LOG_BYTES_MAX,
            });
        }
        let next = self.root.join(NEXT_HEAD);
        fork_fs::write_atomic(&next, &head::sign(&log, key)?)?;
        fork_fs::write_atomic(&path, text.as_bytes())?;
        fork_fs::rename(&next, &self.root.join(HEAD))?;
        self.log = log;
        Ok(())
    }

    /// What is wrong with the copy of the manifest that lies beside the record.
    pub(crate) fn wrong_copy(&self) -> Result<Option<String>, PromoteError> {
        let path = self.root.join(MANIFEST);
        if !fork_fs::exists(&path) {
            return Ok(None);
        }
        let found = Digest::of(&fork_fs::read_limited(&path, ENVELOPE_BYTES_MAX)?);
        // A command that was interrupted leaves the copy of an earlier one, or of one that was refused.
        let is_recorded = self.store.evidence(found).is_some();
        Ok((!is_recorded).then(|| format!("`{}` is no recorded manifest", path.display())))
    }

    /// The keys whose good signatures an envelope has. What is no envelope has none.
    pub(crate) fn signers_of(&self, path: &Path) -> Result<Vec<String>, PromoteError> {
        let Ok(envelope) = Envelope::from_json(&fork_fs::read_limited(path, ENVELOPE_BYTES_MAX)?)
        else {
            return Ok(Vec::new());
        };
        let Ok(verified) = envelope.verify(&self.keys.all, 1, &[PAYLOAD_TYPE]) else {
            return Ok(Vec::new());
        };
        let mut signers = Vec::new();
        for status in verified.statuses() {
            if let SignatureStatus::Good(id) = status {
                signers.push(key_id(id)?.to_string());
            }
        }
        Ok(signers)
    }

    /// Files beside the record that no entry names, by path: left by a command that was interrupted.
    pub(crate) fn strays(&self) -> Result<Vec<PathBuf>, PromoteError> {
        let mut strays = Vec::new();
        let directory = self.root.join(EVIDENCE);
        for name in fork_fs::sorted_names(&directory)? {
            let text = name.to_string_lossy();
            let digest = text
                .strip_suffix(ENVELOPE_ENDING)
                .and_then(|hex| format!("sha256:{hex}").parse().ok());
            if digest.is_none_or(|digest: Digest| self.store.evidence(digest).is_none()) {
                strays.push(directory.join(&name));
            }
        }
        Ok(strays)
    }
}

/// Fails unless the key may sign the head of the log.
pub(crate) fn require_log_key(keys: &PinnedKeys, key: &SecretKey) -> Result<(), PromoteError> {
    let id = key_id(key.public().id())?;
    if keys.keys.log.contains(&id) {
        return Ok(());
    }
    Err(PromoteError::KeyNotListed {
        key: id.to_string(),
        what: "the record",
    })
}

/// Fails when the word of the key has ended.
pub(crate) fn require_not_expired(
    keys: &PinnedKeys,
    key: &SecretKey,
    at: Time,
) -> Result<(), PromoteError> {
    let id = key_id(key.public().id())?;
    match keys.keys.expired(&id, at) {
        None => Ok(()),
        Some(end) => Err(PromoteError::Keys {
            path: PathBuf::from(KEYS),
            problem: format!("{id} cannot sign the record at {at}: its word ended at {end}"),
        }),
    }
}

fn expect_digest(path: &Path, bytes: &[u8], expected: Digest) -> Result<(), PromoteError> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(PromoteError::Digest {
        path: path.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// The head the log ends at: the signed one, or the one that a command had signed when it was
/// interrupted.
fn signed_head(root: &Path, keys: &TrustedKeys, log: &Log) -> Result<Head, PromoteError> {
    let next = root.join(NEXT_HEAD);
    if fork_fs::exists(&next) {
        let head = head::read(&next, keys)?;
        if log.expect_head(&head).is_ok() {
            return Ok(head);
        }
    }
    head::read(&root.join(HEAD), keys)
}

/// Every recorded fact with its signatures, and every document.
fn read_store(root: &Path, log: &Log, keys: &PinnedKeys) -> Result<Store, PromoteError> {
    let mut store = Store::default();
    for entry in log.entries() {
        let Body::Recorded { evidence } = &entry.body else {
            continue;
        };
        let path = root
            .join(EVIDENCE)
            .join(format!("{}{ENVELOPE_ENDING}", evidence.hex()));
        let bytes = fork_fs::read_limited(&path, ENVELOPE_BYTES_MAX)?;
        expect_digest(&path, &bytes, *evidence)?;
        store.add_evidence(read_evidence(&path, &bytes, keys, entry.at)?);
    }
    let directory = root.join(RAW);
    let names = fork_fs::sorted_names(&directory)?;
    let limit = |what: &str, found, limit| {
        Err(PromoteError::Limit {
            what: format!("{what} in `{}`", directory.display()),
            found,
            limit,
        })
    };
    if names.len() as u64 > RAW_FILES_MAX {
        return limit("files", names.len() as u64, RAW_FILES_MAX);
    }
    let mut total = 0;
    for name in names {
        let path = directory.join(&name);
        let name = name.to_string_lossy();
        // What a killed writer left has a name with a dot before it.
        if name.starts_with('.') {
            continue;
        }
        let bytes = fork_fs::read_limited(&path, FILE_BYTES_MAX as u64)?;
        total += bytes.len() as u64;
        if total > RAW_BYTES_MAX {
            return limit("bytes", total, RAW_BYTES_MAX);
        }
        let hex = name.split('.').next().unwrap_or_default();
        let expected = format!("sha256:{hex}")
            .parse()
            .map_err(|_| PromoteError::Record {
                path: path.clone(),
                problem: "its name is no SHA-256".to_owned(),
            })?;
        expect_digest(&path, &bytes, expected)?;
        store
            .add_file(bytes)
            .map_err(|source| PromoteError::Store { path, source })?;
    }
    Ok(store)
}

/// Verifies an envelope and reads the fact in it. Whose word counts where is asked later; here it has
/// to be the word of somebody, no signature in a listed key's name may be another's, and no key may have
/// ended when the fact was recorded.
pub(crate) fn read_evidence(
    path: &Path,
    bytes: &[u8],
    keys: &PinnedKeys,
    at: Time,
) -> Result<Evidence, PromoteError> {
    let fault = |source| PromoteError::Envelope {
        path: path.to_owned(),
        source,
    };
    let envelope = Envelope::from_json(bytes).map_err(fault)?;
    if envelope.unverified_payload().len() > STATEMENT_BYTES_MAX {
        return Err(PromoteError::Limit {
            what: format!("bytes of the statement in `{}`", path.display()),
            found: envelope.unverified_payload().len() as u64,
            limit: STATEMENT_BYTES_MAX as u64,
        });
    }
    let verified = envelope
        .verify(&keys.all, 1, &[PAYLOAD_TYPE])
        .map_err(fault)?;
    let signature = |problem: String| PromoteError::Signature {
        path: path.to_owned(),
        problem,
    };
    let mut signers = std::collections::BTreeSet::<KeyId>::new();
    for status in verified.statuses() {
        match status {
            SignatureStatus::Good(id) => {
                let id = key_id(id)?;
                if let Some(end) = keys.keys.expired(&id, at) {
                    return Err(signature(format!(
                        "{id} has signed it, whose word ended at {end}; it is recorded at {at}"
                    )));
                }
                signers.insert(id);
            }
            SignatureStatus::Wrong(id) => {
                return Err(signature(format!(
                    "the signature in the name of {id} is not its"
                )));
            }
            SignatureStatus::Unknown { .. } => {}
        }
    }
    let Some(statement) = verified.payload() else {
        return Err(signature("no key of `keys.toml` has signed it".to_owned()));
    };
    Evidence::parse(&Verified {
        envelope: Digest::of(bytes),
        signers,
        statement: statement.to_vec(),
    })
    .map_err(|source| PromoteError::Statement {
        path: path.to_owned(),
        source,
    })
}

/// Names of the roles of each key, for people.
pub(crate) fn roles_by_key(policy: &Policy) -> BTreeMap<KeyId, Vec<String>> {
    let mut roles: BTreeMap<KeyId, Vec<String>> = BTreeMap::new();
    for (name, role) in &policy.roles {
        for key in &role.keys {
            roles.entry(key.clone()).or_default().push(name.clone());
        }
    }
    roles
}
