//! What has to be equal, contained, complete or compatible.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::document::{Chains, read};
use crate::name::Time;
use crate::policy::Gate;
use crate::policy::check::{Activation, Check, Mismatch, OneOrMany};
use crate::statement::{Event, Observation};
use crate::text::{differences, is_allowed, matches};
use crate::view::View;

use super::{Checked, before, met, none_of, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::DenyClasses { deny, paths } => {
            let diff = view
                .diff(role)
                .map_err(|why| unmet("a classified diff", why, "record it"))?;
            let mut hits: BTreeSet<&String> = diff
                .classes
                .intersection(&deny.iter().cloned().collect())
                .filter_map(|class| deny.iter().find(|denied| *denied == class))
                .collect();
            for (class, patterns) in paths {
                let touched =
                    |pattern: &String| diff.files.iter().any(|path| matches(pattern, path));
                if let Some(denied) = deny.iter().find(|denied| *denied == class)
                    && patterns.iter().any(touched)
                {
                    hits.insert(denied);
                }
            }
            let hits: Vec<String> = hits.into_iter().cloned().collect();
            if hits.is_empty() {
                return met();
            }
            let expected = format!("none of {}", deny.join(", "));
            let next = "take the change out, or propose a waiver that names each";
            Err(unmet(expected, hits.join(", "), next).hits(hits))
        }
        Check::CommitsEqual {} => commits_equal(view, role),
        Check::Dependencies {} => dependencies(view, gate, role),
        Check::EmptyExcept { empty_except } => {
            let diff = view
                .diff(role)
                .map_err(|why| unmet("the diff", why, "record it"))?;
            let other = diff
                .files
                .iter()
                .filter(|path| !empty_except.iter().any(|pattern| matches(pattern, path)));
            let expected = format!("nothing changed but {}", empty_except.join(", "));
            none_of(
                other.cloned().collect(),
                &expected,
                "practise with the code of the base",
            )
        }
        Check::Obligations {} => obligations(view, role),
        Check::Chains { of } => chains(view, role, of),
        Check::Components { of } => {
            let OneOrMany::Many(parts) = of else {
                return met();
            };
            let deployed = view.deployment(role, Event::Deployed);
            let has =
                |part: &String| deployed.is_some_and(|deployed| deployed.components.contains(part));
            let missing = parts.iter().filter(|part| !has(part)).cloned().collect();
            none_of(missing, "all parts deployed", "deploy the missing ones")
        }
        Check::Media { media } => {
            let has = |media: &String| {
                view.manifest
                    .artifact
                    .iter()
                    .any(|artifact| artifact.media_type == *media)
            };
            let missing = media.iter().filter(|media| !has(media)).cloned().collect();
            none_of(
                missing,
                "an artifact of each media type",
                "build the missing ones",
            )
        }
        Check::Targets { targets } => {
            let has = |target: &String| {
                view.manifest
                    .artifact
                    .iter()
                    .any(|artifact| artifact.target.as_ref() == Some(target))
            };
            let missing = targets
                .iter()
                .filter(|target| !has(target))
                .cloned()
                .collect();
            none_of(
                missing,
                "an artifact for each target",
                "build the missing ones",
            )
        }
        Check::AllCrates {} => all_crates(view, role),
        Check::PeerMismatch { peer_mismatch } => peer_mismatch_is(view, role, *peer_mismatch),
        Check::NoSkip {} => super::no_skip(view),
        Check::Activated {
            activated,
            min_since,
        } => {
            let expected = format!("the upgrade active at {activated}");
            let passed = view.deployment_at(role, activated, Event::Activated);
            let Some(active) = passed else {
                return Err(unmet(
                    expected,
                    "no record of it",
                    format!("activate it at {activated}"),
                ));
            };
            match min_since {
                Some(min) if view.now() < active.at.plus(*min) => {
                    let expected = format!("{expected} for {min}");
                    let found = format!("since {}", active.at);
                    Err(unmet(expected, found, "wait")
                        .until(active.at.plus(*min))
                        .effect(crate::policy::Effect::Pend))
                }
                _ => met(),
            }
        }
        Check::SubsetOf { subset_of } => subset_of_networks(view, role, subset_of),
        Check::Superset {} => superset(view, role),
        Check::FeaturesPassed { features_passed_in } => features_passed(view, features_passed_in),
        Check::SameFile { file, allow } => same(
            view,
            role,
            (&format!("{file}@base"), &format!("{file}@candidate")),
            allow,
            &[],
        ),
        Check::SameConfig {
            config,
            with,
            allow,
            explicit,
        } => same(
            view,
            role,
            (config, with),
            allow,
            explicit.as_deref().unwrap_or_default(),
        ),
        Check::Pointers {
            config,
            with,
            pointers,
        } => {
            let wrong =
                |why: String| unmet("the packaged config and the block", why, "record both");
            let (_, packaged) = view.configuration(role, config).map_err(wrong)?;
            let (_, block) = view.configuration(role, with).map_err(wrong)?;
            let shown = |value: Option<&Value>| {
                value.map_or_else(|| "nothing".to_owned(), Value::to_string)
            };
            let mut differ = Vec::new();
            for (ours, theirs) in pointers {
                let (one, other) = (packaged.pointer(ours), block.pointer(theirs));
                if one.is_none() || one != other {
                    differ.push(format!(
                        "{ours} is {}, {theirs} is {}",
                        shown(one),
                        shown(other)
                    ));
                }
            }
            none_of(
                differ,
                "the config to agree with the block and the recomputed ledgers",
                "generate the config again",
            )
        }
        Check::Fresh { fresh } => before::fresh(view, role, fresh),
        Check::ActivationAt { activation } => activation_at(view, role, *activation),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn commits_equal(view: &View<'_>, role: &str) -> Checked {
    let expected = "exactly the commits of the proposal";
    let (_, proposal) = view
        .proposal()
        .map_err(|why| unmet(expected, why, "record the proposal"))?;
    let diff = view
        .diff(role)
        .map_err(|why| unmet(expected, why, "record it"))?;
    let there: BTreeSet<_> = diff.commits.keys().cloned().collect();
    let mut wrong: Vec<String> = there
        .difference(&proposal.diff.commits)
        .map(|commit| format!("{commit} is not listed"))
        .collect();
    wrong.extend(
        proposal
            .diff
            .commits
            .difference(&there)
            .map(|commit| format!("{commit} is missing")),
    );
    none_of(
        wrong,
        expected,
        "make the change minimal, or propose it anew",
    )
}

fn dependencies(view: &View<'_>, gate: &Gate, role: &str) -> Checked {
    let diff = view
        .diff(role)
        .map_err(|why| unmet("the diff", why, "record it"))?;
    // What a dependency may not do is what the release may not do.
    let denied: BTreeSet<&String> = view
        .policy
        .gates
        .iter()
        .filter(|other| other.id != gate.id)
        .filter_map(|other| match &other.check {
            Check::DenyClasses { deny, .. } => Some(deny),
            _ => None,
        })
        .flatten()
        .collect();
    let mut wrong = Vec::new();
    for (name, dependency) in &diff.dependencies {
        match &dependency.classes {
            None => wrong.push(format!(
                "`{name}` {} to {} is not classified",
                dependency.from, dependency.to
            )),
            Some(classes) => {
                let bad = classes.iter().filter(|class| denied.contains(class));
                wrong.extend(bad.map(|class| format!("`{name}`: {class}")));
            }
        }
    }
    none_of(
        wrong,
        "every bumped dependency classified, and clean",
        "classify its own changes",
    )
}

fn obligations(view: &View<'_>, role: &str) -> Checked {
    let expected = "everybody who must apply it to have done so";
    let (_, proposal) = view
        .proposal()
        .map_err(|why| unmet(expected, why, "record the proposal"))?;
    let done: BTreeSet<&String> = view
        .seen(role, |seen| match seen {
            Observation::Applied { operator } => Some(operator),
            _ => None,
        })
        .into_iter()
        .map(|(_, operator)| operator)
        .collect();
    let open = proposal
        .who
        .must
        .iter()
        .filter(|(who, _)| !done.contains(who));
    let open = open.map(|(who, due)| {
        let late = if *due < view.now() {
            "overdue since"
        } else {
            "due"
        };
        format!("{who} {late} {due}")
    });
    none_of(open.collect(), expected, "ask them, and record `applied`")
}

fn chains(view: &View<'_>, role: &str, of: &OneOrMany) -> Checked {
    let OneOrMany::One(name) = of else {
        return met();
    };
    let expected = format!("every chain of `{name}`");
    let documents = view.documents(role, "list");
    let document = documents
        .into_iter()
        .rfind(|document| document.name == *name);
    let document =
        document.ok_or_else(|| unmet(expected.as_str(), "no such list", "record the list"))?;
    let text = view
        .text_of(document)
        .map_err(|why| unmet(expected.as_str(), why, "record the list"))?;
    let list: Chains =
        read(text).map_err(|why| unmet(expected.as_str(), why, "correct the list"))?;
    let deployed = view.deployment(role, Event::Deployed);
    let has = |chain: &String| deployed.is_some_and(|deployed| deployed.components.contains(chain));
    if list.chains.is_empty() {
        return Err(unmet(expected, "an empty list", "correct the list"));
    }
    let missing = list
        .chains
        .iter()
        .filter(|chain| !has(chain))
        .cloned()
        .collect();
    none_of(missing, &expected, "deploy to the missing ones")
}

fn all_crates(view: &View<'_>, role: &str) -> Checked {
    let expected = "one version in all crates and the hosted release";
    let seen = view.last_seen(role, |seen| match seen {
        Observation::Versions { crates, hosted } => Some((crates, hosted)),
        _ => None,
    });
    let Some((crates, hosted)) = seen.filter(|(crates, _)| !crates.is_empty()) else {
        return Err(unmet(
            expected,
            "no list of crates",
            "record their versions",
        ));
    };
    let odd: Vec<String> = crates
        .iter()
        .filter(|(_, version)| *version != hosted)
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    if view.policy.grammar.parse(hosted).is_err() {
        return Err(unmet(
            expected,
            format!("`{hosted}`, which is no version"),
            "name the hosted release by its version",
        ));
    }
    none_of(odd, &format!("{expected}: {hosted}"), "set one version")
}

fn peer_mismatch_is(view: &View<'_>, role: &str, wanted: Mismatch) -> Checked {
    let expected = match wanted {
        Mismatch::Error => "a peer of another version line to get an error",
        Mismatch::Warn => "a peer of another version line to be served, with a line in the log",
    };
    let tests = view.seen(role, |seen| match seen {
        Observation::PeerMismatch {
            served,
            peer,
            refused,
            logged,
        } => Some((served, peer, *refused, *logged)),
        _ => None,
    });
    let mut tried = false;
    let mut wrong = Vec::new();
    for (_, (served, peer, refused, logged)) in tests {
        let parse = |text: &str| view.policy.grammar.parse(text);
        let (Ok(node), Ok(other)) = (parse(served), parse(peer)) else {
            wrong.push(format!("`{served}` and `{peer}` are no versions"));
            continue;
        };
        if node.same_line(&other) {
            continue;
        }
        tried = true;
        let good = match wanted {
            Mismatch::Error => refused,
            Mismatch::Warn => !refused && logged,
        };
        if !good {
            let how = if refused { "refused" } else { "accepted" };
            wrong.push(format!("{served} {how} {peer}"));
        }
    }
    if !tried && wrong.is_empty() {
        wrong.push("no test with another version line".to_owned());
    }
    none_of(wrong, expected, "test two nodes of different version lines")
}

fn subset_of_networks(view: &View<'_>, role: &str, networks: &[String]) -> Checked {
    let expected = format!("every fix to be on {}", networks.join(" and "));
    let mut missing = Vec::new();
    for network in networks {
        let fixes = view.last_seen(role, |seen| match seen {
            Observation::Network {
                network: name,
                fixes,
                ..
            } if name == network => Some(fixes),
            _ => None,
        });
        match fixes {
            None => missing.push(format!("{network} unknown")),
            Some(fixes) => missing.extend(
                view.manifest
                    .fix_set
                    .iter()
                    .filter(|fix| !fixes.contains(*fix))
                    .map(|fix| format!("{fix} on {network}")),
            ),
        }
    }
    if view.manifest.fix_set.is_empty() {
        missing.push("the manifest lists no fix".to_owned());
    }
    let hits = missing.clone();
    none_of(missing, &expected, "bring the fix to those networks first")
        .map_err(|unmet| unmet.hits(hits))
}

fn superset(view: &View<'_>, role: &str) -> Checked {
    let expected = "a later regular release with every fix";
    let seen = view.last_seen(role, |seen| match seen {
        Observation::Reconciled { version, fixes } => Some((version, fixes)),
        _ => None,
    });
    let Some((version, fixes)) = seen else {
        return Err(unmet(
            expected,
            "none recorded",
            "record the release the operators went back to",
        ));
    };
    let wrong =
        |source: crate::version::VersionError| unmet(expected, source.to_string(), "correct it");
    let later = view.policy.grammar.parse(version).map_err(wrong)?;
    let own = view.version().map_err(wrong)?;
    let mut missing: Vec<String> = view
        .manifest
        .fix_set
        .iter()
        .filter(|fix| !fixes.contains(*fix))
        .map(|fix| format!("{later} lacks {fix}"))
        .collect();
    if later <= own || !later.is_final() {
        missing.push(format!("{later} is no later release than {own}"));
    }
    // The order of versions says nothing: a release cut before the fix may sort above it.
    none_of(
        missing,
        expected,
        "never upgrade to a release without the fix; wait for the next one",
    )
}

fn features_passed(view: &View<'_>, stage: &str) -> Checked {
    let expected = format!("every feature to have passed {stage}");
    let attempts = view.state.attempts.get(stage).into_iter().flatten();
    let passed: BTreeSet<&String> = attempts
        .filter(|attempt| attempt.is_passed())
        .filter_map(|attempt| view.state.manifests.get(attempt.manifest))
        .flat_map(|(_, manifest)| &manifest.feature)
        .collect();
    let missing = view
        .manifest
        .feature
        .iter()
        .filter(|name| !passed.contains(name))
        .cloned()
        .collect();
    if view.manifest.feature.is_empty() {
        return Err(unmet(expected, "no feature at all", "name the features"));
    }
    none_of(
        missing,
        &expected,
        format!("pass {stage} with them first").as_str(),
    )
}

fn same(
    view: &View<'_>,
    role: &str,
    names: (&str, &str),
    allow: &[String],
    explicit: &[String],
) -> Checked {
    let expected = if allow.is_empty() {
        format!("`{}` and `{}` to be equal", names.0, names.1)
    } else {
        format!(
            "`{}` and `{}` to differ only at {}",
            names.0,
            names.1,
            allow.join(", ")
        )
    };
    let wrong = |why: String| unmet(expected.as_str(), why, "record both");
    let (one, left) = view.configuration(role, names.0).map_err(wrong)?;
    let (other, right) = view.configuration(role, names.1).map_err(wrong)?;
    if allow.is_empty() && one.digest != other.digest {
        let found = format!("{} and {}", one.digest, other.digest);
        return Err(unmet(expected, found, "take the change out"));
    }
    let mut found: Vec<String> = differences(&left, &right)
        .into_iter()
        .filter(|(pointer, ..)| !is_allowed(pointer, allow))
        .map(|(pointer, left, right)| format!("{pointer}: {left} and {right}"))
        .collect();
    for pointer in explicit {
        // Left out, a daemon would make one up, and a slot from it.
        let time = right.pointer(pointer).and_then(Value::as_str);
        if time.is_none_or(|text| text.parse::<Time>().is_err()) {
            found.push(format!("`{}` has no explicit time at {pointer}", names.1));
        }
    }
    none_of(found, &expected, "correct the configuration")
}

fn activation_at(view: &View<'_>, role: &str, wanted: Activation) -> Checked {
    let expected = match wanted {
        Activation::Genesis => "every feature of the scope active at genesis",
        Activation::AfterGenesis => {
            "a network of the old version, upgraded after genesis by a transaction"
        }
    };
    let deployed = view.deployment(role, Event::Deployed);
    let deployed = deployed.ok_or_else(|| unmet(expected, "no deployment", "record it"))?;
    let scope = view.scope();
    let mut wrong = Vec::new();
    for feature in &scope {
        match (wanted, deployed.activation.get(*feature)) {
            (_, None) => wrong.push(format!("`{feature}` has no activation")),
            (Activation::Genesis, Some(at)) if *at > 0 => {
                wrong.push(format!("`{feature}` activates at {at}"))
            }
            (Activation::AfterGenesis, Some(0)) => {
                wrong.push(format!("`{feature}` is active at genesis"))
            }
            _ => {}
        }
    }
    // What moved to the next train is not to be switched on with this one.
    let extra = deployed
        .activation
        .keys()
        .filter(|feature| !scope.contains(&feature.as_str()));
    wrong.extend(extra.map(|feature| format!("`{feature}` is not in scope")));
    if wanted == Activation::AfterGenesis {
        if deployed.started_on.is_none() || deployed.started_on != view.manifest.base {
            let started = deployed.started_on.as_deref().unwrap_or("nothing");
            wrong.push(format!("it started on {started}, not on the old version"));
        }
        if deployed.upgrade_tx.is_none() {
            wrong.push("no upgrade transaction".to_owned());
        }
    }
    none_of(wrong, expected, "deploy it as the process wants")
}
