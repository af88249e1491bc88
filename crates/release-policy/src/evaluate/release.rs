//! What is released: scope and artifacts.

use std::collections::BTreeMap;

use crate::document::{Plan, read};
use crate::name::Digest;
use crate::policy::Gate;
use crate::policy::check::Check;
use crate::statement::{Event, Observation};
use crate::view::View;

use super::{Checked, met, none_of, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::Audience { audience } => self::audience(view, role, audience),
        Check::LateFeature {} => late_feature(view, role),
        Check::Layers {
            layers,
            min_features,
        } => self::layers(view, layers, *min_features),
        Check::CodeComplete {} => code_complete(view, role),
        Check::EnvironmentKnown {} => environment(view, role),
        Check::Prepared { state_not_enough } => prepared(view, role, state_not_enough),
        Check::SelfReport { media } => self_report(view, role, media),
        Check::DeployedEquals {} => deployed_equals(view, role),
        Check::SameDigest { same_digest_as } => same_digest(view, same_digest_as),
        Check::Checksums {
            checksums,
            algorithms,
        } => self::checksums(view, role, checksums, algorithms),
        Check::Inside { inside, must_equal } => self::inside(view, inside, must_equal),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn audience(view: &View<'_>, role: &str, audience: &[String]) -> Checked {
    let next = "take it out of the plan: outside scope";
    let expected = format!("targets and steps for {} only", audience.join(", "));
    let (_, text) = view
        .document(role, "plan")
        .map_err(|why| unmet(expected.as_str(), why, "record the plan"))?;
    let plan: Plan = read(text).map_err(|why| unmet(expected.as_str(), why, "correct the plan"))?;
    let all = plan.targets.iter().chain(&plan.steps);
    let outside = all.filter(|(_, who)| !audience.contains(who));
    let outside = outside
        .map(|(name, who)| format!("`{name}` for {who}"))
        .collect();
    if plan.targets.is_empty() {
        return Err(unmet(expected, "no target at all", "record the plan"));
    }
    none_of(outside, &expected, next)
}

fn late_feature(view: &View<'_>, role: &str) -> Checked {
    let expected = "every feature ready at the cut-off";
    let (train, on_it) = view
        .train()
        .map_err(|why| unmet(expected, why, "record the train"))?;
    for document in view.documents(role, "train") {
        let earlier = view
            .text_of(document)
            .and_then(read::<crate::document::Train>);
        if let Ok(earlier) = earlier
            && earlier.cut_off != train.cut_off
        {
            let found = format!("it moved from {} to {}", earlier.cut_off, train.cut_off);
            return Err(
                unmet("a cut-off that never moves", found, "put the date back")
                    .effect(crate::policy::Effect::Deny),
            );
        }
    }
    let late: Vec<String> = view
        .manifest
        .feature
        .iter()
        .filter(|name| !on_it.contains_key(*name))
        .cloned()
        .collect();
    if late.is_empty() {
        return met();
    }
    let found = format!("{} not ready", late.join(", "));
    Err(unmet(
        expected,
        found,
        "they move to the next train; the date stays",
    )
    .hits(late))
}

fn layers(view: &View<'_>, layers: &[String], min_features: u32) -> Checked {
    let expected = format!("at least {min_features} feature of {}", layers.join(" or "));
    let (_, on_it) = view
        .train()
        .map_err(|why| unmet(expected.as_str(), why, "record the train"))?;
    let odd: Vec<String> = on_it
        .iter()
        .filter(|(_, feature)| !layers.contains(&feature.layer))
        .map(|(name, feature)| format!("`{name}` of layer {}", feature.layer))
        .collect();
    if on_it.len() < min_features as usize {
        return Err(unmet(
            expected,
            format!("{} features in scope", on_it.len()),
            "plan another train",
        ));
    }
    none_of(odd, &expected, "name the layer")
}

fn code_complete(view: &View<'_>, role: &str) -> Checked {
    let expected = "the commit each feature was marked complete at, in the deployed commit";
    let (_, on_it) = view
        .train()
        .map_err(|why| unmet(expected, why, "record the train"))?;
    let contains = view.last_seen(role, |seen| match seen {
        Observation::Ancestry { commit, contains } if *commit == view.manifest.commit => {
            Some(contains)
        }
        _ => None,
    });
    let mut wrong = Vec::new();
    for (name, feature) in &on_it {
        match &feature.code_complete {
            None => wrong.push(format!("`{name}` was never marked complete")),
            Some(commit) if contains.is_some_and(|contains| contains.contains(commit)) => {}
            Some(commit) => wrong.push(format!("`{name}` lacks {commit}")),
        }
    }
    none_of(
        wrong,
        expected,
        "deploy a commit with the whole feature, or take it out",
    )
}

fn environment(view: &View<'_>, role: &str) -> Checked {
    let known: Vec<&str> = view
        .policy
        .stages
        .iter()
        .filter_map(|stage| stage.environment.as_deref())
        .collect();
    let wanted = view.stage.environment.as_deref().unwrap_or("");
    let expected = format!("environment `{wanted}` with its own credentials");
    let seen = view.last_seen(role, |seen| match seen {
        Observation::Environment {
            name,
            credentials_for,
        } => Some((name, credentials_for)),
        _ => None,
    });
    let Some((name, credentials)) = seen else {
        return Err(unmet(
            expected,
            "no environment named",
            "record where it is deployed to",
        ));
    };
    if !known.contains(&name.as_str()) {
        let found = format!("`{name}`, which is none of {}", known.join(", "));
        return Err(unmet(expected, found, "correct the name"));
    }
    if name == wanted && credentials == wanted {
        return met();
    }
    Err(unmet(
        expected,
        format!("`{name}` with credentials for `{credentials}`"),
        "use the stage's own",
    ))
}

fn prepared(view: &View<'_>, role: &str, not_enough: &str) -> Checked {
    let expected = format!("artifacts that are more than {not_enough}");
    match view.last_approval(role, "artifacts") {
        Some(approval) if approval.verdict != not_enough => met(),
        Some(approval) => {
            let found = format!("`{}`: a build is no approval", approval.verdict);
            Err(unmet(
                expected,
                found,
                "record `artifacts` as approved once the vote is won",
            ))
        }
        None => Err(unmet(
            expected,
            "nothing said of them",
            "record the approval `artifacts`",
        )),
    }
}

fn self_report(view: &View<'_>, role: &str, media: &[String]) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("a version", source.to_string(), "correct the manifest"))?
        .release();
    let expected = format!("`--version` of every binary to print {version}");
    let reports = view.last_seen(role, |seen| match seen {
        Observation::SelfReports { binaries } => Some(binaries),
        _ => None,
    });
    let mut wrong = Vec::new();
    let binaries: Vec<_> = view
        .manifest
        .artifact
        .iter()
        .filter(|artifact| media.contains(&artifact.media_type))
        .collect();
    if binaries.is_empty() {
        wrong.push("no binary among the artifacts".to_owned());
    }
    for artifact in binaries {
        match reports.and_then(|reports| reports.get(&artifact.name)) {
            None => wrong.push(format!("`{}` was not asked", artifact.name)),
            // A whole word: 0.1.2 is not in 0.1.20.
            Some(text)
                if text
                    .split_whitespace()
                    .any(|word| word == version.to_string()) => {}
            Some(text) => wrong.push(format!("`{}` prints `{text}`", artifact.name)),
        }
    }
    none_of(wrong, &expected, "build it again")
}

fn deployed_equals(view: &View<'_>, role: &str) -> Checked {
    let expected = "what runs to be what was selected";
    let deployed = view.deployment(role, Event::Deployed);
    let deployed = deployed.ok_or_else(|| unmet(expected, "no deployment", "record it"))?;
    let mut wrong = Vec::new();
    if deployed.commit != view.manifest.commit {
        wrong.push(format!(
            "commit {} runs, {} was selected",
            deployed.commit, view.manifest.commit
        ));
    }
    let mut unknown: Vec<String> = view
        .manifest
        .artifact
        .iter()
        .filter(|artifact| !deployed.digests.contains_key(&artifact.name))
        .map(|artifact| format!("`{}`", artifact.name))
        .collect();
    unknown.sort();
    if deployed.digests.is_empty() {
        wrong.push("no artifact is recorded".to_owned());
    } else if !unknown.is_empty() {
        wrong.push(format!("{} not recorded", unknown.join(", ")));
    }
    for (name, digest) in &deployed.digests {
        let listed = view
            .manifest
            .artifact
            .iter()
            .find(|artifact| artifact.name == *name);
        if listed.is_none_or(|artifact| artifact.digest != *digest) {
            wrong.push(format!("`{name}` runs as {digest}"));
        }
    }
    none_of(wrong, expected, "deploy the selected artifacts by digest")
}

fn same_digest(view: &View<'_>, stage: &str) -> Checked {
    let expected = format!("the very artifacts of {stage}");
    let passed = view
        .state
        .passed(stage)
        .and_then(|(_, attempt)| view.state.manifests.get(attempt.manifest));
    let Some((_, before)) = passed else {
        return Err(unmet(
            expected,
            "it was not passed",
            format!("pass {stage} first"),
        ));
    };
    let list = |manifest: &crate::manifest::Manifest| -> BTreeMap<String, Digest> {
        manifest
            .artifact
            .iter()
            .map(|artifact| (artifact.name.clone(), artifact.digest))
            .collect()
    };
    let (before, after) = (list(before), list(view.manifest));
    let mut wrong: Vec<String> = Vec::new();
    for name in before.keys().chain(after.keys()) {
        if before.get(name) != after.get(name) && !wrong.contains(name) {
            wrong.push(name.clone());
        }
    }
    none_of(
        wrong,
        &expected,
        "build once and promote by digest, never by tag",
    )
}

fn checksums(view: &View<'_>, role: &str, wanted: &str, algorithms: &[String]) -> Checked {
    let expected = format!(
        "`{wanted}` signed by role `{role}`, with {} of every artifact",
        algorithms.join(" or ")
    );
    let seen = view.last_seen(&view.policy.facts_by, |seen| match seen {
        Observation::Checksums {
            file,
            algorithm,
            key,
            entries,
        } if file == wanted => Some((algorithm, key, entries)),
        _ => None,
    });
    let Some((algorithm, key, entries)) = seen else {
        return Err(unmet(expected, "no such file", "make and sign it"));
    };
    let keys = view.policy.roles.get(role).map(|role| &role.keys);
    if !keys.is_some_and(|keys| keys.contains(key)) {
        return Err(unmet(
            expected,
            format!("it is signed by {key}"),
            "sign it with the release key",
        ));
    }
    if !algorithms.contains(algorithm) {
        return Err(unmet(
            expected,
            format!("sums by {algorithm}"),
            "use SHA-256",
        ));
    }
    let mut wrong = Vec::new();
    for artifact in &view.manifest.artifact {
        match entries.get(&artifact.name) {
            None => wrong.push(format!("`{}` is not in it", artifact.name)),
            Some(hex) if *hex == artifact.digest.hex() => {}
            Some(_) => wrong.push(format!("another sum for `{}`", artifact.name)),
        }
    }
    none_of(wrong, &expected, "make it again from the artifacts")
}

fn inside(view: &View<'_>, inside: &[String], must_equal: &[String]) -> Checked {
    let expected = format!(
        "one {} in {}",
        must_equal.join(" and "),
        inside.join(" and in ")
    );
    let mut wrong = Vec::new();
    // The files of one sort, by name, that the manifest lists for themselves or in any artifact.
    let sort = |name: &str| {
        must_equal
            .iter()
            .any(|sort| name == sort || name.starts_with(&format!("{sort}-")))
    };
    let mut listed: BTreeMap<&str, Digest> = BTreeMap::new();
    for artifact in &view.manifest.artifact {
        if sort(&artifact.name) {
            listed.insert(&artifact.name, artifact.digest);
        }
    }
    for wanted in must_equal {
        if !listed
            .keys()
            .any(|name| *name == wanted || name.starts_with(&format!("{wanted}-")))
        {
            wrong.push(format!("no {wanted} in the manifest"));
        }
    }
    for target in inside {
        let mut holders = view
            .manifest
            .artifact
            .iter()
            .filter(|artifact| artifact.target.as_deref() == Some(target))
            .peekable();
        if holders.peek().is_none() {
            wrong.push(format!("no {target}"));
        }
        for holder in holders {
            let Some(measured) = view.question.measured.get(&holder.name) else {
                wrong.push(format!("`{}` was not opened", holder.name));
                continue;
            };
            for (name, digest) in &listed {
                match measured.inside.get(*name) {
                    None => wrong.push(format!("`{}` has no {name}", holder.name)),
                    Some(found) if found == digest => {}
                    Some(found) => wrong.push(format!("{name} in `{}` is {found}", holder.name)),
                }
            }
        }
    }
    none_of(wrong, &expected, "package what was listed")
}
