//! What commands read besides a release: keys, policies, manifests, reports, lists of checksums.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_sign::{ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE, SecretKey, Statement};
use fork_types::document::DOCUMENT_BYTES_MAX;
use release_policy::document::{Proposal, Roster};
use release_policy::manifest::Manifest;
use release_policy::policy::{POLICY_BYTES_MAX, check::Check};
use release_policy::statement::Predicate;
use release_policy::{Digest, Policy, Time};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{ReleaseArgs, SigningArgs};
use crate::clock;
use crate::directory::{Release, read_policy_file, require_log_key};
use crate::error::PromoteError;
use crate::keys::{KEY_VARIABLE, LOG_KEY_VARIABLE, key_id, secrets};
use crate::measure::{self, IMAGE};

/// The policies that ship, by name.
pub(crate) const SHIPPED: [(&str, &str); 5] = [
    (
        "mina-hardfork",
        include_str!("../../../policies/mina-hardfork.toml"),
    ),
    (
        "mithril-release",
        include_str!("../../../policies/mithril-release.toml"),
    ),
    (
        "optimism-train",
        include_str!("../../../policies/optimism-train.toml"),
    ),
    (
        "spacemesh-cycle",
        include_str!("../../../policies/spacemesh-cycle.toml"),
    ),
    (
        "splice-sv-bugfix",
        include_str!("../../../policies/splice-sv-bugfix.toml"),
    ),
];
/// Predicate of the manifest that `sign-release` makes.
const SIGNED_MANIFEST: &str = "https://github.com/forkpack/forkpack/manifest/v1";
/// Longest list of checksums, in bytes.
const CHECKSUMS_BYTES_MAX: usize = 1 << 20;

/// The text of a policy, by path or by the name of one that ships.
pub(crate) fn policy_text(name: &str) -> Result<(PathBuf, String), PromoteError> {
    let path = PathBuf::from(name);
    if let Some(bytes) = fork_fs::read_named_file(name, POLICY_BYTES_MAX as u64)? {
        let text =
            String::from_utf8(bytes).map_err(|_| PromoteError::Text { path: path.clone() })?;
        return Ok((path, text));
    }
    let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
    let (_, text) = shipped.ok_or_else(|| {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        PromoteError::usage(
            format!("there is no policy `{name}`"),
            format!(
                "name a file, or one of those that ship: {}",
                names.join(", ")
            ),
        )
    })?;
    Ok((path, (*text).to_owned()))
}

/// A policy without keys.
pub(crate) fn policy(
    name: &str,
    options: &[String],
) -> Result<(PathBuf, String, Policy), PromoteError> {
    let (path, text) = policy_text(name)?;
    let fault = |source| PromoteError::Policy {
        path: path.clone(),
        source,
    };
    Policy::parse(&text).map_err(fault)?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let policy = Policy::parse_with(&text, &options).map_err(fault)?;
    Ok((path, text, policy))
}

impl ReleaseArgs {
    pub(crate) fn read(&self) -> Result<Release, PromoteError> {
        let release = Release::read(&self.release)?;
        self.expect(&release)?;
        Ok(release)
    }

    /// Fails when the release is not of the policy or the keys that the caller expects.
    pub(crate) fn expect(&self, release: &Release) -> Result<(), PromoteError> {
        let compare = |what: &str, expected: Digest, found: Digest| {
            if expected == found {
                return Ok(());
            }
            Err(PromoteError::Wrong {
                what: format!("the {what} of `{}`", self.release.display()),
                expected: expected.to_string(),
                found: found.to_string(),
            })
        };
        if let Some(name) = &self.expect_policy {
            let (_, text) = policy_text(name)?;
            compare("policy", Digest::of(text.as_bytes()), release.policy.digest)?;
        }
        if let Some(path) = &self.expect_keys {
            let text = read_policy_file(path)?;
            let found = Digest::of(release.keys.text.as_bytes());
            compare("keys", Digest::of(text.as_bytes()), found)?;
        }
        Ok(())
    }
}

impl SigningArgs {
    /// The keys that sign facts.
    pub(crate) fn signers(&self) -> Result<Vec<SecretKey>, PromoteError> {
        secrets(&self.key, KEY_VARIABLE)
    }

    /// The key that signs the end of the log.
    pub(crate) fn log_key(
        &self,
        release: &Release,
        signers: &[SecretKey],
    ) -> Result<SecretKey, PromoteError> {
        self.log_key_of(&release.keys, signers)
    }

    pub(crate) fn log_key_of(
        &self,
        keys: &crate::keys::PinnedKeys,
        signers: &[SecretKey],
    ) -> Result<SecretKey, PromoteError> {
        let named: Vec<PathBuf> = self.log_key.iter().cloned().collect();
        if let Some(key) = secrets(&named, LOG_KEY_VARIABLE)?.pop() {
            require_log_key(keys, &key)?;
            return Ok(key);
        }
        let own = signers
            .iter()
            .zip(&self.key)
            .find(|(key, _)| require_log_key(keys, key).is_ok());
        let again = match own {
            Some((_, path)) => secrets(std::slice::from_ref(path), KEY_VARIABLE)?.pop(),
            None if self.key.is_empty() => secrets(&[], KEY_VARIABLE)?
                .pop()
                .filter(|key| require_log_key(keys, key).is_ok()),
            None => None,
        };
        again.ok_or(PromoteError::NoKey {
            what: "the end of the log",
            variable: LOG_KEY_VARIABLE,
        })
    }
}

/// The proposal that was recorded last, and its roster.
pub(crate) fn proposal(
    release: &Release,
) -> Result<(Option<Digest>, Option<Roster>), PromoteError> {
    let Some((digest, proposal)) = read_proposal(release)? else {
        return Ok((None, None));
    };
    let roster = proposal
        .roster
        .and_then(|roster| release.store.text(roster))
        .map(release_policy::document::read)
        .transpose()
        .map_err(|why| PromoteError::input("the roster of the proposal", why))?;
    Ok((Some(digest), roster))
}

/// The proposal that was recorded last.
pub(crate) fn read_proposal(release: &Release) -> Result<Option<(Digest, Proposal)>, PromoteError> {
    let state = release.state()?;
    let last = state
        .facts
        .iter()
        .rev()
        .find_map(|fact| match &fact.evidence.predicate {
            Predicate::Documents(documents) => documents
                .iter()
                .rev()
                .find(|document| document.type_ == "proposal"),
            _ => None,
        });
    let Some(document) = last else {
        return Ok(None);
    };
    let Some(text) = release.store.text(document.digest) else {
        return Ok(None);
    };
    let proposal = release_policy::document::read(text)
        .map_err(|why| PromoteError::input("the proposal", why))?;
    Ok(Some((document.digest, proposal)))
}

/// Reads a manifest and every artifact it names, and puts their digests in.
pub(crate) fn manifest(
    release: &Release,
    path: &Path,
    named: &BTreeMap<String, PathBuf>,
    directories: &[PathBuf],
) -> Result<Manifest, PromoteError> {
    let text = read_policy_file(path)?;
    let wrong = |problem: String| PromoteError::file(path, problem);
    let table: toml::Table =
        toml::from_str(&text).map_err(|source| wrong(source.message().to_owned()))?;
    let mut value = serde_json::to_value(table).map_err(PromoteError::Json)?;
    let members = value
        .as_object_mut()
        .ok_or_else(|| wrong("no table".to_owned()))?;
    members
        .entry("release_id")
        .or_insert_with(|| json!(release.id()));
    complete(members.get_mut("artifact"), named, directories).map_err(|error| match error {
        PromoteError::Input { what, problem } => wrong(format!("{what}: {problem}")),
        other => other,
    })?;
    serde_json::from_value(value).map_err(|source| wrong(source.to_string()))
}

/// Puts size and digests into the artifacts of a manifest.
pub(crate) fn complete(
    artifacts: Option<&mut Value>,
    named: &BTreeMap<String, PathBuf>,
    directories: &[PathBuf],
) -> Result<(), PromoteError> {
    let Some(artifacts) = artifacts.and_then(Value::as_array_mut) else {
        return Ok(());
    };
    let mut within = Vec::new();
    for artifact in artifacts.iter_mut() {
        let text = |member: &str| {
            artifact
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let (name, media_type) = (text("name"), text("media_type"));
        let path = named.get(&name).cloned().or_else(|| {
            directories
                .iter()
                .map(|one| one.join(&name))
                .find(|path| fork_fs::exists(path))
        });
        let path = path.ok_or_else(|| {
            PromoteError::input(
                format!("artifact `{name}`"),
                "it is in none of the directories of --artifacts; name it with --artifact NAME=PATH",
            )
        })?;
        let (measured, inside) = measure::read(&path, &media_type)?;
        let size = measure::size(&path, &media_type, measured.digest)?;
        let mut put = |member: &str, found: Value| {
            let there = artifact.get(member).filter(|there| **there != found);
            if let Some(there) = there {
                return Err(PromoteError::Wrong {
                    what: format!("`{member}` of `{}`", path.display()),
                    expected: there.to_string(),
                    found: found.to_string(),
                });
            }
            artifact[member] = found;
            Ok(())
        };
        put("digest", json!(measured.digest))?;
        put("size", json!(size))?;
        if let Some(payload) = measured.payload {
            put("payload", json!(payload))?;
        }
        within.push((media_type == IMAGE || media_type == measure::DEB).then_some(inside));
    }
    // What is listed for itself and lies in a package is listed there too.
    let listed: Vec<(String, String)> = artifacts
        .iter()
        .map(|one| (one["name"].clone(), one["digest"].clone()))
        .filter_map(|(name, digest)| Some((name.as_str()?.to_owned(), digest.as_str()?.to_owned())))
        .collect();
    for (artifact, inside) in artifacts.iter_mut().zip(within) {
        let Some(inside) = inside.filter(|_| artifact.get("inside").is_none()) else {
            continue;
        };
        let parts: serde_json::Map<String, Value> = listed
            .iter()
            .filter(|(_, digest)| inside.contains(digest.trim_start_matches("sha256:")))
            .map(|(name, digest)| (name.clone(), json!(digest)))
            .collect();
        if !parts.is_empty() {
            artifact["inside"] = Value::Object(parts);
        }
    }
    Ok(())
}

/// Fails unless every artifact is one of the manifest that `sign-release` made and the role that signs
/// manifests has signed.
pub(crate) fn compare_with_signed(
    release: &Release,
    manifest: &Manifest,
    path: &Path,
) -> Result<(), PromoteError> {
    let bytes = fork_fs::read_limited(path, ENVELOPE_BYTES_MAX)?;
    let fault = |source| PromoteError::Envelope {
        path: path.to_owned(),
        source,
    };
    let envelope = Envelope::from_json(&bytes).map_err(fault)?;
    let verified = envelope
        .verify(&release.keys.all, 1, &[PAYLOAD_TYPE])
        .map_err(fault)?;
    let role = release.policy.roles.get(&release.policy.manifest_by);
    let mut signed = 0;
    for id in verified.signers() {
        let id = key_id(id)?;
        signed += u32::from(role.is_some_and(|role| role.keys.contains(&id)));
    }
    let enough = role.is_some_and(|role| signed > 0 && signed >= role.threshold);
    let payload = verified
        .payload()
        .filter(|_| enough && verified.wrong().is_empty());
    let payload = payload.ok_or_else(|| PromoteError::Signature {
        path: path.to_owned(),
        problem: format!(
            "role `{}` has not signed it as often as it must",
            release.policy.manifest_by
        ),
    })?;
    let statement: Statement<Value> = Statement::from_payload(payload, SIGNED_MANIFEST)
        .map_err(|source| PromoteError::file(path, source.to_string()))?;
    for artifact in &manifest.artifact {
        let hex = artifact.digest.hex();
        let mut subjects = statement.subjects().iter();
        if !subjects.any(|subject| subject.digest.get("sha256") == Some(&hex)) {
            return Err(PromoteError::Wrong {
                what: format!("artifact `{}`", artifact.name),
                expected: format!("one of `{}`", path.display()),
                found: artifact.digest.to_string(),
            });
        }
    }
    Ok(())
}

/// A report of `verify-package`, as far as a test result needs it.
#[derive(Deserialize)]
struct Report {
    format: String,
    version: u32,
    subject: ReportSubject,
    failed: usize,
    checks: Vec<ReportCheck>,
}

#[derive(Deserialize)]
struct ReportSubject {
    #[serde(default)]
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct ReportCheck {
    id: String,
    outcome: String,
}

/// The outcome of a report about one of the release's artifacts, and the checks that failed.
pub(crate) fn report(
    release: &Release,
    path: &Path,
    bytes: &[u8],
    wanted: &[String],
) -> Result<(String, Vec<String>), PromoteError> {
    let wrong = |problem: String| PromoteError::file(path, problem);
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(wrong(format!(
            "it has more than {DOCUMENT_BYTES_MAX} bytes"
        )));
    }
    let report: Report =
        serde_json::from_slice(bytes).map_err(|source| wrong(source.to_string()))?;
    if report.format != "forkpack.report" || report.version != 1 {
        return Err(wrong(format!(
            "it is a `{}` of version {}, expected a `forkpack.report` of version 1",
            report.format, report.version
        )));
    }
    let state = release.state()?;
    let (_, manifest) = state
        .manifest()
        .map_err(|source| release.state_error(source))?;
    let about = report.subject.sha256.unwrap_or_default();
    let is_ours = manifest
        .artifact
        .iter()
        .any(|artifact| artifact.digest.hex() == about);
    if !is_ours {
        return Err(PromoteError::Wrong {
            what: format!("what `{}` is about", path.display()),
            expected: "an artifact of the release".to_owned(),
            found: format!("sha256:{about}"),
        });
    }
    let passed = |check: &&ReportCheck| check.outcome == "passed";
    for pattern in wanted {
        let mut matching = report
            .checks
            .iter()
            .filter(|check| match pattern.strip_suffix('*') {
                Some(group) => check.id.starts_with(group),
                None => check.id == *pattern,
            });
        if !matching.any(|check| check.outcome != "not-run") {
            return Err(wrong(format!("check `{pattern}` was not run")));
        }
    }
    let failed: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.outcome == "failed")
        .map(|check| check.id.clone())
        .collect();
    if report.failed > 0 || !failed.is_empty() {
        return Ok(("FAILED".to_owned(), failed));
    }
    if !report.checks.iter().any(|check| passed(&check)) {
        return Err(wrong("nothing in it was checked".to_owned()));
    }
    Ok(("PASSED".to_owned(), Vec::new()))
}

/// A clear-signed list of checksums, verified: what is then observed.
pub(crate) fn checksums(
    release: &Release,
    path: &Path,
    bytes: &[u8],
    now: Time,
) -> Result<Value, PromoteError> {
    let wrong = |problem: String| PromoteError::file(path, problem);
    if bytes.len() > CHECKSUMS_BYTES_MAX {
        return Err(wrong(format!(
            "it has more than {CHECKSUMS_BYTES_MAX} bytes"
        )));
    }
    let gate = release
        .policy
        .gates
        .iter()
        .find(|gate| matches!(gate.check, Check::Checksums { .. }));
    let gate = gate.ok_or_else(|| {
        PromoteError::usage(
            format!(
                "the policy `{}` asks for no list of checksums",
                release.policy.id
            ),
            "record it as a document",
        )
    })?;
    let ring = release
        .keys
        .keyring(&gate.signed_by)
        .ok_or_else(|| PromoteError::Keys {
            path: release.root().join("keys.toml"),
            problem: format!("role `{}` has no OpenPGP key", gate.signed_by),
        })?;
    let text = std::str::from_utf8(bytes).map_err(|_| PromoteError::Text {
        path: path.to_owned(),
    })?;
    // Only what was signed: a line before or after it is not in the text that comes back, and the
    // message is refused for it anyway.
    let signed = ring
        .verify_cleartext(text, Some(clock::seconds(now)))
        .map_err(|source| PromoteError::OpenPgp {
            name: path.display().to_string(),
            source,
        })?;
    let key = format!("openpgp:{}", signed.fingerprint.to_ascii_lowercase());
    let ended = key
        .parse()
        .ok()
        .and_then(|id| release.keys.keys.expired(&id, now));
    if let Some(end) = ended {
        let problem = format!("{key} has signed it, whose word ended at {end}");
        let path = path.to_owned();
        return Err(PromoteError::Signature { path, problem });
    }
    let mut entries = BTreeMap::new();
    for line in signed.text.lines().filter(|line| !line.trim().is_empty()) {
        let (hex, name) = line
            .split_once("  ")
            .or_else(|| line.split_once(" *"))
            .ok_or_else(|| wrong(format!("`{line}` is no line of sha256sum")))?;
        let is_sha256 =
            hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_sha256 {
            return Err(wrong(format!("`{hex}` is no SHA-256 in lower case")));
        }
        let name = name.trim_start_matches("./").to_owned();
        if entries.insert(name.clone(), hex.to_owned()).is_some() {
            return Err(wrong(format!("`{name}` is there twice")));
        }
    }
    let state = release.state()?;
    let (_, manifest) = state
        .manifest()
        .map_err(|source| release.state_error(source))?;
    for artifact in &manifest.artifact {
        match entries.get(&artifact.name) {
            None => return Err(wrong(format!("`{}` is not in it", artifact.name))),
            Some(hex) if *hex != artifact.digest.hex() => {
                return Err(wrong(format!("it has another sum for `{}`", artifact.name)));
            }
            Some(_) => {}
        }
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(json!({
        "file": name,
        "algorithm": "sha256",
        "key": key,
        "entries": entries,
    }))
}
