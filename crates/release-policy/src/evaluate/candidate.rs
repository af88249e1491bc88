//! Candidates: which number is the next one, and what was rejected.

use std::collections::BTreeSet;

use crate::manifest::Manifest;
use crate::name::Digest;
use crate::policy::Identity;
use crate::statement::{Event, Observation};
use crate::version::{Grammar, Suffix, Version, next};
use crate::view::View;

use super::{Checked, met, unmet};

/// What of the manifest belongs to a candidate that was rejected. The tag alone would not do: the same
/// commit or the same files under another name are the same candidate.
pub(super) fn rejected(view: &View<'_>) -> Option<String> {
    let now = view.manifest;
    view.state.rejected.iter().find_map(|index| {
        let (_, before) = view.state.manifests.get(*index)?;
        let name = before.tag.as_deref().unwrap_or(&before.version);
        if before.tag.is_some() && before.tag == now.tag {
            return Some(format!("`{name}` was rejected"));
        }
        if before.commit == now.commit {
            return Some(format!(
                "commit {}, which was rejected as `{name}`",
                before.commit
            ));
        }
        let (before, now) = (files(view, before), files(view, now));
        // One file that came out the same is no candidate; all of them are.
        let same = !before.is_empty()
            && !now.is_empty()
            && (before.is_subset(&now) || now.is_subset(&before));
        same.then(|| format!("the artifacts of `{name}` were rejected"))
    })
}

fn files(view: &View<'_>, manifest: &Manifest) -> BTreeSet<Digest> {
    let digests = manifest.artifact.iter().map(|artifact| {
        let payload = artifact.payload;
        let payload = payload.filter(|_| view.policy.identity == Identity::Payload);
        payload.unwrap_or(artifact.digest)
    });
    digests.collect()
}

pub(super) fn candidate_tag(view: &View<'_>, role: &str, commit_in: &str) -> Checked {
    let expected = format!("a candidate's tag on a commit that was on {commit_in}");
    let tag = view
        .tag()
        .map_err(|why| unmet(expected.as_str(), why, "tag the candidate"))?;
    let is_candidate = match view.policy.grammar {
        // The same tag is the candidate and, later, the release.
        Grammar::MithrilYyww => true,
        _ => matches!(tag.suffix(), Suffix::Candidate(_)),
    };
    if !is_candidate || Ok(tag.release()) != view.version().map(|version| version.release()) {
        let found = format!("tag `{tag}` of version `{}`", view.manifest.version);
        return Err(unmet(expected, found, "tag it `VERSION-prereleaseN`"));
    }
    if let Some(what) = rejected(view) {
        let expected = "a candidate of which nothing was rejected";
        return Err(unmet(expected, what, "make the next candidate"));
    }
    next_number(view, role, &tag)?;
    on_its_commit(view, role, &tag)?;
    match view.deployment_at(role, commit_in, Event::Deployed) {
        Some(deployed) if deployed.commit == view.manifest.commit => met(),
        Some(deployed) => {
            let found = format!(
                "{} was there, not {}",
                deployed.commit, view.manifest.commit
            );
            Err(unmet(
                expected,
                found,
                format!("deploy it to {commit_in} first"),
            ))
        }
        None => Err(unmet(
            expected,
            "nothing was deployed there",
            format!("deploy it to {commit_in} first"),
        )),
    }
}

/// Whether a tag is where the manifest says, as far as the tags of the repository were recorded. Without
/// such a record it is the manifest's word.
pub(super) fn on_its_commit(
    view: &View<'_>,
    role: &str,
    tag: &Version,
) -> Result<(), super::Unmet> {
    let tags = view.last_seen(role, |seen| match seen {
        Observation::Tags { tags } => Some(tags),
        _ => None,
    });
    match tags.and_then(|tags| tags.get(&tag.tag())) {
        Some(commit) if *commit != view.manifest.commit => Err(unmet(
            format!("`{}` on {}", tag.tag(), view.manifest.commit),
            format!("it is on {commit}"),
            "tag the commit of the manifest, or record the tags again",
        )),
        _ => Ok(()),
    }
}

/// Candidates are counted without a gap: from those that were attempted, and the tags that are known.
fn next_number(view: &View<'_>, role: &str, tag: &Version) -> Result<(), super::Unmet> {
    if tag.grammar() != Grammar::MithrilPrerelease {
        return Ok(());
    }
    let own = view.manifest.tag.as_deref();
    let attempts = view.state.attempts.get(&view.stage.name);
    let attempted: Vec<&Manifest> = attempts
        .into_iter()
        .flatten()
        .filter_map(|attempt| view.state.manifests.get(attempt.manifest))
        .map(|(_, manifest)| *manifest)
        .collect();
    // A deployment that failed is no verdict: the same candidate may be deployed again.
    let again =
        |before: &&Manifest| before.tag.as_deref() == own && before.commit == view.manifest.commit;
    if attempted.iter().any(again) {
        return Ok(());
    }
    let known = view.last_seen(role, |seen| match seen {
        Observation::Tags { tags } => Some(tags),
        _ => None,
    });
    let known = known.into_iter().flat_map(|tags| tags.keys());
    let known = known.map(String::as_str).filter(|one| Some(*one) != own);
    let earlier: Vec<Version> = attempted
        .iter()
        .filter_map(|manifest| manifest.tag.as_deref())
        .chain(known)
        .filter_map(|one| view.policy.grammar.parse_tag(one).ok())
        .collect();
    let expected = next::mithril_candidate(&tag.release(), &earlier)
        .map_err(|source| unmet("a candidate's tag", source.to_string(), "correct the tag"))?;
    if *tag == expected {
        return Ok(());
    }
    Err(unmet(
        format!("tag `{}`", expected.tag()),
        format!("`{}`", tag.tag()),
        format!("tag it `{}`", expected.tag()),
    ))
}
