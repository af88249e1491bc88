//! Names: versions and tags.

use std::collections::BTreeMap;

use crate::policy::Gate;
use crate::policy::check::Check;
use crate::statement::Observation;
use crate::version::next::ChangeKind;
use crate::version::{Suffix, Version, next};
use crate::view::View;

use super::{Checked, candidate, met, none_of, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::NextVersion {} => next_version(view, role),
        Check::UpgradeNumber {} => upgrade_number(view, role),
        Check::ForkName {} => fork_name(view),
        Check::ManifestVersion {} => manifest_version(view, role),
        Check::Bump { bump } => self::bump(view, bump),
        Check::AfterFailedDeploy {} => after_failed_deploy(view, role),
        Check::CandidateTag { commit_in } => candidate::candidate_tag(view, role, commit_in),
        Check::FinalTag {
            same_commit_as,
            approved_by,
        } => final_tag(view, role, same_commit_as, approved_by.as_deref()),
        Check::CommitSubject { commit_subject } => self::commit_subject(view, role, commit_subject),
        Check::FirstBuild { first_build } => self::first_build(view, role, *first_build),
        Check::BuildTag {} => build_tag(view),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn releases(view: &View<'_>, role: &str) -> Result<Vec<Version>, super::Unmet> {
    let versions = view.last_seen(role, |seen| match seen {
        Observation::Releases { versions } => Some(versions),
        _ => None,
    });
    let versions =
        versions.ok_or_else(|| unmet("the list of earlier releases", "none", "record it"))?;
    // What is not of this grammar was made before it, and takes no name.
    Ok(versions
        .iter()
        .filter_map(|text| view.policy.grammar.parse(text).ok())
        .collect())
}

fn next_version(view: &View<'_>, role: &str) -> Checked {
    let wrong = |why: String| unmet("the next version", why, "correct the manifest");
    let base = view.manifest.base.as_deref().unwrap_or("");
    let base = view
        .policy
        .grammar
        .parse(base)
        .map_err(|source| wrong(source.to_string()))?;
    let existing = releases(view, role)?;
    let expected = next::splice(&base, &existing).map_err(|source| wrong(source.to_string()))?;
    if view.manifest.version == expected.to_string() {
        return met();
    }
    let found = format!("`{}`", view.manifest.version);
    Err(unmet(
        format!("version `{expected}`"),
        found,
        format!("name it `{expected}`"),
    ))
}

fn upgrade_number(view: &View<'_>, role: &str) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("an upgrade number", source.to_string(), "give it one"))?;
    let [number] = version.numbers() else {
        return Err(unmet(
            "an upgrade number",
            format!("`{version}`"),
            "give it one, such as `upgrade-17`",
        ));
    };
    let earlier = view.last_seen(role, |seen| match seen {
        Observation::History { upgrades, .. } => Some(upgrades),
        _ => None,
    });
    let Some(earlier) = earlier else {
        return Err(unmet(
            "the numbers of earlier upgrades",
            "none recorded",
            "record the history",
        ));
    };
    match earlier.iter().max() {
        Some(last) if number <= last => Err(unmet(
            format!("a number above {last}"),
            number.to_string(),
            "take the next number",
        )),
        _ => met(),
    }
}

fn fork_name(view: &View<'_>) -> Checked {
    let (train, _) = view
        .train()
        .map_err(|why| unmet("a scope with layers", why, "record the train"))?;
    let scope = view.scope();
    let l2 = train
        .feature
        .iter()
        .any(|(name, feature)| feature.layer == "L2" && scope.contains(&name.as_str()));
    let name = view.manifest.fork_name.as_deref();
    let spelled = name
        .is_none_or(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()));
    match (l2, name) {
        _ if !spelled => Err(unmet(
            "a fork name of lower-case letters",
            format!("{name:?}"),
            "correct the name",
        )),
        (true, Some(_)) | (false, None) => met(),
        (true, None) => Err(unmet(
            "a fork name, because the scope has an L2 change",
            "none",
            "name the fork",
        )),
        (false, Some(name)) => {
            let expected = "no fork name, because the scope has no L2 change";
            Err(unmet(expected, format!("`{name}`"), "take the name out"))
        }
    }
}

fn manifest_version(view: &View<'_>, role: &str) -> Checked {
    let release = view
        .version()
        .map_err(|source| unmet("a version", source.to_string(), "correct the manifest"))?
        .release();
    let expected = format!("version `{release}` in every crate at the candidate's commit");
    let crates = view.last_seen(role, |seen| match seen {
        Observation::Versions { crates, .. } => Some(crates),
        _ => None,
    });
    let Some(crates) = crates.filter(|crates| !crates.is_empty()) else {
        return Err(unmet(
            expected,
            "no list of crates",
            "record their versions",
        ));
    };
    let odd = crates
        .iter()
        .filter(|(_, version)| **version != release.to_string());
    let odd = odd
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    none_of(
        odd,
        &expected,
        "the final tag is on the same commit, so the crates must say it already",
    )
}

fn bump(view: &View<'_>, bump: &BTreeMap<String, String>) -> Checked {
    let wrong = |why: String| {
        unmet(
            "the version that follows from the changes",
            why,
            "correct the manifest",
        )
    };
    let base = view.manifest.base.as_deref().unwrap_or("");
    let base = view
        .policy
        .grammar
        .parse(base)
        .map_err(|source| wrong(source.to_string()))?;
    // The policy says which part each kind of change raises.
    let raised = |change: &ChangeKind| {
        let name = match change {
            ChangeKind::Breaking => "breaking",
            ChangeKind::Feature => "feature",
            ChangeKind::Fix => "fix",
        };
        match bump.get(name).map(String::as_str) {
            Some("major") => Some(ChangeKind::Breaking),
            Some("minor") => Some(ChangeKind::Feature),
            Some("patch") => Some(ChangeKind::Fix),
            _ => None,
        }
    };
    let changes: Vec<ChangeKind> = view
        .manifest
        .change_kinds
        .iter()
        .filter_map(raised)
        .collect();
    let expected = next::bumped(&base, &changes).map_err(|source| wrong(source.to_string()))?;
    let version = view.version().map_err(|source| wrong(source.to_string()))?;
    if version.release() == expected {
        return met();
    }
    Err(unmet(
        format!("version `{expected}`"),
        format!("`{}`", version.release()),
        format!("name it `{expected}`"),
    ))
}

/// The tags that exist, without the one of this manifest.
fn other_tags(view: &View<'_>, role: &str) -> Result<Vec<Version>, super::Unmet> {
    let tags = view.last_seen(role, |seen| match seen {
        Observation::Tags { tags } => Some(tags),
        _ => None,
    });
    let tags = tags.ok_or_else(|| unmet("the list of tags", "none", "record it"))?;
    let own = view.manifest.tag.as_deref();
    let others = tags.keys().filter(|tag| Some(tag.as_str()) != own);
    Ok(others
        .filter_map(|tag| view.policy.grammar.parse_tag(tag).ok())
        .collect())
}

fn after_failed_deploy(view: &View<'_>, role: &str) -> Checked {
    let tag = view
        .tag()
        .map_err(|why| unmet("a build's tag", why, "tag the build"))?;
    let failures = view
        .state
        .attempts
        .get(&view.stage.name)
        .map_or(0, Vec::len);
    // Without a failed deployment there is only one thing to say: which build this is. Whether a tag
    // is a build's at all is another rule's question.
    if failures == 0 && tag.is_final() {
        return met();
    }
    let causes = view
        .state
        .attempts
        .get(&view.stage.name)
        .into_iter()
        .flatten();
    let unexplained = causes.filter(|attempt| attempt.failure.is_none()).count();
    let first = view
        .state
        .manifests
        .first()
        .and_then(|(_, manifest)| view.policy.grammar.parse_tag(manifest.tag.as_deref()?).ok());
    let first = first.unwrap_or_else(|| tag.clone());
    let expected = next::build_after(&first, u32::try_from(failures).unwrap_or(u32::MAX))
        .map_err(|source| unmet("a build's tag", source.to_string(), "make a new release"))?;
    let earlier = other_tags(view, role)?;
    if tag != expected {
        let found = format!("`{}` after {failures} failed deployments", tag.tag());
        return Err(unmet(
            format!("tag `{}`", expected.tag()),
            found,
            format!("tag it `{}`", expected.tag()),
        ));
    }
    if unexplained > 0 {
        return Err(unmet(
            "a recorded cause of each failed deployment",
            "none",
            "record the failure",
        ));
    }
    // Where a version has one build, a failed one raises the patch.
    let of_this = |version: &Version| {
        version.release() == tag.release()
            || (tag.grammar() == crate::version::Grammar::SemverPre
                && version.numbers().first_chunk::<2>() == first.numbers().first_chunk()
                && version.release() >= first.release())
    };
    let known = earlier
        .iter()
        .filter(|version| of_this(version) && version.is_build())
        .count();
    if known != failures {
        let found = format!("{known} earlier builds and {failures} failed deployments");
        return Err(unmet(
            "one failed deployment for each earlier build",
            found,
            "record the failures",
        ));
    }
    met()
}

fn final_tag(
    view: &View<'_>,
    role: &str,
    same_commit_as: &str,
    approved_by: Option<&str>,
) -> Checked {
    let expected = format!("a release's tag on the {same_commit_as} commit");
    let tag = view
        .tag()
        .map_err(|why| unmet(expected.as_str(), why, "tag the release"))?;
    if !tag.is_final() || Ok(&tag) != view.version().as_ref() {
        let found = format!("tag `{}` of version `{}`", tag.tag(), view.manifest.version);
        return Err(unmet(expected, found, "tag the release itself"));
    }
    // What was chosen is what passed the last stage before this one.
    let before = view.stage.requires_of(&view.manifest.kind).last();
    let passed = before.and_then(|stage| view.state.passed(stage));
    let Some((_, chosen)) =
        passed.and_then(|(_, attempt)| view.state.manifests.get(attempt.manifest))
    else {
        return Err(unmet(
            expected,
            format!("nothing was {same_commit_as}"),
            "pass the stage before",
        ));
    };
    if chosen.commit != view.manifest.commit {
        let found = format!(
            "{} where {} was {same_commit_as}",
            view.manifest.commit, chosen.commit
        );
        return Err(unmet(expected, found, format!("tag {}", chosen.commit)));
    }
    candidate::on_its_commit(view, role, &tag)?;
    let chosen_tag = chosen
        .tag
        .as_deref()
        .map(|tag| view.policy.grammar.parse_tag(tag));
    if let Some(Ok(chosen_tag)) = chosen_tag
        && chosen_tag.release() != tag
    {
        let found = format!(
            "`{}` where `{}` was {same_commit_as}",
            tag.tag(),
            chosen_tag.tag()
        );
        return Err(unmet(
            expected,
            found,
            format!("tag it `{}`", chosen_tag.release().tag()),
        ));
    }
    if let Some(role) = approved_by
        && let Err((have, need)) = view.approval(role, "release", "approved")
    {
        let found = format!("{have} of {need} approvals by role `{role}`");
        return Err(unmet(
            "the release to be approved",
            found,
            "record the approval `release`",
        ));
    }
    met()
}

fn commit_subject(view: &View<'_>, role: &str, subject: &str) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("a version", source.to_string(), "correct the manifest"))?;
    let wanted = subject.replace("{version}", &version.release().to_string());
    let expected = format!("a tagged commit `{wanted}` that holds the changelog");
    let diff = view
        .diff(role)
        .map_err(|why| unmet(expected.as_str(), why, "record it"))?;
    let Some(commit) = diff.commits.get(&view.manifest.commit) else {
        return Err(unmet(
            expected,
            "the tagged commit is not in the diff",
            "record it",
        ));
    };
    let changelog = commit.files.iter().any(|path| path == "CHANGELOG.md");
    if commit.subject == wanted && changelog {
        return met();
    }
    let holds = if changelog { "with" } else { "without" };
    Err(unmet(
        expected,
        format!("`{}` {holds} the changelog", commit.subject),
        "make that commit",
    ))
}

fn first_build(view: &View<'_>, role: &str, first: u32) -> Checked {
    let tag = view
        .tag()
        .map_err(|why| unmet("a build's tag", why, "tag the build"))?;
    let expected = match tag.grammar() {
        // A version has one build.
        crate::version::Grammar::SemverPre => tag.release().with(Suffix::Pre),
        _ => tag.release().with(Suffix::Build(first)),
    };
    let next = format!("tag it `{}`", expected.tag());
    let tags = view.last_seen(role, |seen| match seen {
        Observation::Tags { tags } => Some(tags),
        _ => None,
    });
    let Some(tags) = tags else {
        return Err(unmet("the list of tags", "none", "record it"));
    };
    if tag != expected {
        return Err(unmet(
            format!("tag `{}`", expected.tag()),
            format!("`{}`", tag.tag()),
            next,
        ));
    }
    match tags.get(&tag.tag()) {
        Some(commit) if *commit == view.manifest.commit => met(),
        Some(commit) => {
            let expected = format!("`{}` on {}", tag.tag(), view.manifest.commit);
            Err(unmet(
                expected,
                format!("it is on {commit}"),
                "tag the commit of the manifest",
            ))
        }
        None => Err(unmet(
            format!("tag `{}`", tag.tag()),
            "it does not exist",
            next,
        )),
    }
}

fn build_tag(view: &View<'_>) -> Checked {
    let expected = "a build's tag: no other starts a network";
    match view.tag() {
        Ok(tag) if tag.is_build() => met(),
        Ok(tag) => Err(unmet(expected, format!("`{}`", tag.tag()), "tag a build")),
        Err(why) => Err(unmet(expected, why, "tag a build")),
    }
}
