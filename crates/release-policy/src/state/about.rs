//! What a fact is about, when it is of, and whose word it is.

use crate::manifest::Manifest;
use crate::name::{Digest, Time};
use crate::policy::{Identity, Policy};
use crate::statement::{Evidence, Predicate, Scope, Subject};

/// Why a manifest does not count; `None` when it does.
pub(super) fn refuse_manifest(
    policy: &Policy,
    release: &str,
    evidence: &Evidence,
    manifest: &Manifest,
) -> Option<String> {
    if manifest.release_id != release {
        return Some(format!("it is of release `{}`", manifest.release_id));
    }
    if !has_signed(policy, &policy.manifest_by, evidence) {
        return Some(format!("role `{}` has not signed it", policy.manifest_by));
    }
    let listed = |digest: &Digest| {
        manifest
            .artifact
            .iter()
            .any(|artifact| artifact.digest == *digest)
    };
    let about = evidence.subjects.iter().all(|subject| match subject {
        Subject::Sha256(digest) => listed(digest),
        Subject::Git(commit) => *commit == manifest.commit,
    });
    let all = manifest.artifact.iter().all(|artifact| {
        evidence
            .subjects
            .contains(&Subject::Sha256(artifact.digest))
    });
    let mut names: Vec<&str> = manifest
        .artifact
        .iter()
        .map(|artifact| artifact.name.as_str())
        .collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Some("two artifacts have one name".to_owned());
    }
    (!about || !all || evidence.subjects.is_empty())
        .then(|| "its subjects are not its artifacts".to_owned())
}

/// What a fact is about; votes and manifests say it in other ways.
pub(crate) fn scope_of(predicate: &Predicate) -> Option<&Scope> {
    match predicate {
        Predicate::Test(test) => Some(&test.scope),
        Predicate::Documents(documents) => documents.first().map(|document| &document.scope),
        Predicate::Approval(approval) => Some(&approval.scope),
        Predicate::Waiver(waiver) => Some(&waiver.scope),
        Predicate::Observation(observed) => Some(&observed.scope),
        Predicate::Deployment(deployment) => Some(&deployment.scope),
        Predicate::Manifest(_) | Predicate::Vote(_) => None,
    }
}

/// When a fact says it happened.
pub(crate) fn time_of(predicate: &Predicate) -> Option<Time> {
    match predicate {
        Predicate::Test(test) => Some(test.at),
        Predicate::Documents(documents) => documents.iter().map(|document| document.at).max(),
        Predicate::Approval(approval) => Some(approval.at),
        Predicate::Waiver(waiver) => Some(waiver.at),
        Predicate::Observation(observed) => Some(observed.at),
        Predicate::Deployment(deployment) => Some(deployment.at),
        Predicate::Vote(vote) => Some(vote.at),
        Predicate::Manifest(_) => None,
    }
}

/// Whether enough keys of a role have signed.
#[must_use]
pub fn has_signed(policy: &Policy, role: &str, evidence: &Evidence) -> bool {
    policy.roles.get(role).is_some_and(|role| {
        let signed = role.keys.intersection(&evidence.signers).count();
        signed > 0 && signed >= role.threshold as usize
    })
}

/// Why a fact is not about what this manifest releases; `None` when it is.
pub(crate) fn why_not_bound(
    policy: &Policy,
    manifest: &Manifest,
    evidence: &Evidence,
) -> Option<&'static str> {
    if evidence.subjects.is_empty() {
        return Some("it is about nothing");
    }
    let files_decide = matches!(policy.identity, Identity::Bit | Identity::Payload);
    let about_code = scope_of(&evidence.predicate).is_none_or(|scope| scope.stage == "*");
    let good = evidence.subjects.iter().all(|subject| match subject {
        Subject::Sha256(digest) => {
            let proposal =
                matches!(&evidence.predicate, Predicate::Vote(vote) if vote.proposal == *digest);
            proposal
                || manifest.artifact.iter().any(|artifact| {
                    match (policy.identity, artifact.payload) {
                        (Identity::Payload, Some(payload)) => payload == *digest,
                        _ => artifact.digest == *digest,
                    }
                })
        }
        // Where the bytes are what is released, a commit says nothing about what runs.
        Subject::Git(commit) => *commit == manifest.commit && (about_code || !files_decide),
    });
    (!good).then_some("it is about other artifacts")
}
