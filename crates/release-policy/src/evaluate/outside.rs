//! The outside world after a decision: what must be so, and what must be gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::check::Check;
use crate::policy::{Effect, Gate};
use crate::statement::{Event, Observation, TestOutcome};
use crate::version::Version;
use crate::view::View;

use super::{Checked, met, none_of, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::Happened { event } => happened(view, role, event),
        Check::HostedRelease { hosted_release } => {
            let tag = view.manifest.tag.clone().unwrap_or_default();
            has_value(
                view,
                role,
                &format!("hosted-release:{hosted_release}"),
                &tag,
            )
        }
        Check::Publish {
            publish,
            dry_run_in,
        } => self::publish(view, role, publish, dry_run_in),
        Check::Branch { branch, before } => self::branch(view, role, branch, before.as_deref()),
        Check::Deployed { deployed, after } => {
            self::deployed(view, role, deployed, after.as_deref())
        }
        Check::Alive { alive } => {
            let network = network(view, role)?;
            let dead = alive.iter().filter(|name| {
                view.named_state(role, &format!("alive:{name}"))
                    .is_none_or(|(_, value)| value != network)
            });
            let dead = dead.map(|name| format!("{name} does not answer on {network}"));
            none_of(
                dead.collect(),
                &format!("{} to answer", alive.join(", ")),
                "deploy it, and ask it",
            )
        }
        Check::Dns { dns } => {
            let name = filled(view, dns)?;
            let network = network(view, role)?;
            has_value(view, role, &format!("dns:{name}"), &network)
        }
        Check::InfoPage { info_page } => self::info_page(view, role, info_page),
        Check::Announce { announce } => {
            let name = format!("announce:{announce}");
            let expected = format!("a message on {announce}, kept");
            match view.named_state(role, &name) {
                None => Err(unmet(
                    expected,
                    "none",
                    "announce it, and record the message",
                )),
                Some((_, digest)) => match digest
                    .parse()
                    .ok()
                    .and_then(|digest| view.store.file(digest))
                {
                    Some(_) => met(),
                    None => Err(unmet(
                        expected,
                        format!("message {digest} is not there"),
                        "add it to the raw files",
                    )),
                },
            }
        }
        Check::Retired { nodes_running } => retired(view, role, *nodes_running),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn happened(view: &View<'_>, role: &str, event: &str) -> Checked {
    let expected = format!("the release {event} on {}", view.stage.name);
    let wanted = match event {
        "deployed" => Event::Deployed,
        "activated" => Event::Activated,
        "bootstrap" => Event::Bootstrap,
        _ => Event::Ended,
    };
    match view.deployment(role, wanted) {
        Some(deployment) if deployment.commit == view.manifest.commit => met(),
        Some(deployment) => Err(unmet(
            expected,
            format!("{} is", deployment.commit),
            "deploy this one",
        )),
        None => Err(unmet(
            expected,
            "no record of it",
            "deploy it, and record it",
        )),
    }
}

/// Name of the network this attempt started.
fn network(view: &View<'_>, role: &str) -> Result<String, super::Unmet> {
    let event = [Event::Bootstrap, Event::Deployed];
    let found = event.iter().find_map(|event| view.deployment(role, *event));
    let found =
        found.ok_or_else(|| unmet("the network of this attempt", "no deployment", "record it"))?;
    Ok(found.network_id.clone())
}

fn has_value(view: &View<'_>, role: &str, name: &str, wanted: &str) -> Checked {
    let expected = format!("`{name}` to be {wanted}");
    match view.named_state(role, name) {
        Some((_, value)) if value == wanted && !wanted.is_empty() => met(),
        Some((_, value)) => Err(unmet(expected, value, "do it, and look again")),
        None => Err(unmet(
            expected,
            "nobody looked",
            "do it, and record `state`",
        )),
    }
}

/// A name with the version's parts filled in.
pub(crate) fn fill(
    names: &BTreeMap<String, String>,
    version: &Version,
    pattern: &str,
) -> Option<String> {
    let pattern = match pattern
        .strip_prefix("{names.")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        Some(name) => names.get(name)?,
        None => pattern,
    };
    let mut text = pattern.to_owned();
    for (index, part) in ["{major}", "{minor}", "{patch}"].iter().enumerate() {
        let number = version.numbers().get(index).map(ToString::to_string);
        text = text.replace(part, &number.unwrap_or_default());
    }
    if let crate::version::Suffix::Build(build) = version.suffix() {
        text = text.replace("{build}", &build.to_string());
    }
    let text = text
        .replace("{version}", &version.release().to_string())
        .replace("{oci_tag}", &version.oci_tag())
        .replace("{tag}", &version.tag());
    (!text.contains('{')).then_some(text)
}

fn filled(view: &View<'_>, pattern: &str) -> Result<String, super::Unmet> {
    let wrong = |why: String| {
        unmet(
            format!("a name by the pattern `{pattern}`"),
            why,
            "tag the build",
        )
    };
    let version = view.tag().map_err(wrong)?;
    fill(&view.policy.names, &version, pattern)
        .ok_or_else(|| wrong(format!("`{}` has no such parts", version.tag())))
}

fn publish(view: &View<'_>, role: &str, what: &str, dry_run_in: &str) -> Checked {
    let expected = format!("every crate published to {what}, after a good dry run at {dry_run_in}");
    let mut tried = BTreeSet::new();
    let mut bad = Vec::new();
    for observed in view.observed_at(role, dry_run_in) {
        if let Observation::Publish {
            name,
            dry_run: true,
            missing_fields,
            ok,
        } = &observed.seen
        {
            tried.insert(name.clone());
            if !missing_fields.is_empty() || !ok {
                bad.push(format!("`{name}` lacks {}", missing_fields.join(", ")));
            }
        }
    }
    if tried.is_empty() || !bad.is_empty() {
        bad.push("no good dry run".to_owned());
        return Err(unmet(expected, bad.join(", "), "complete the manifests").effect(Effect::Deny));
    }
    let done: BTreeSet<String> = view
        .seen(role, |seen| match seen {
            Observation::Publish {
                name,
                dry_run: false,
                ok: true,
                ..
            } => Some(name.clone()),
            _ => None,
        })
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    none_of(
        tried
            .difference(&done)
            .map(|name| format!("`{name}` is not published"))
            .collect(),
        &expected,
        "publish them",
    )
}

fn branch(view: &View<'_>, role: &str, branch: &str, before: Option<&str>) -> Checked {
    let commit = view.manifest.commit.to_string();
    has_value(view, role, &format!("branch:{branch}"), &commit)?;
    if before == Some("bootstrap")
        && let Some(start) = view.deployment(role, Event::Bootstrap)
        && let Some((moved, _)) = view.named_state(role, &format!("branch:{branch}"))
        && moved > start.at
    {
        let expected = format!("branch `{branch}` moved before the bootstrap");
        return Err(unmet(
            expected,
            format!("it moved at {moved}, the bootstrap began at {}", start.at),
            "begin again",
        ));
    }
    met()
}

fn deployed(view: &View<'_>, role: &str, parts: &[String], after: Option<&str>) -> Checked {
    let network = network(view, role)?;
    let mut wrong = Vec::new();
    let gate = after.and_then(|id| view.policy.gate(id));
    let passed = gate.and_then(|gate| match &gate.check {
        Check::Suite { suite, .. } => view
            .tests(&gate.signed_by)
            .iter()
            .filter(|test| test.suite == *suite && test.outcome != TestOutcome::Failed)
            .map(|test| test.at)
            .min(),
        _ => None,
    });
    for part in parts {
        match view.named_state(role, &format!("deployed:{part}")) {
            None => wrong.push(format!("{part} is missing")),
            Some((_, value)) if value != network => wrong.push(format!("{part} serves {value}")),
            Some((at, _)) if after.is_some() && passed.is_none_or(|passed| at < passed) => {
                wrong.push(format!("{part} came before {}", after.unwrap_or_default()));
            }
            Some(_) => {}
        }
    }
    none_of(
        wrong,
        &format!("{} deployed for {network}", parts.join(", ")),
        "deploy the missing ones",
    )
}

fn info_page(view: &View<'_>, role: &str, page: &str) -> Checked {
    let expected = format!("page `{page}` with version, tag and commit");
    let wrong = |why: String| unmet(expected.as_str(), why, "generate and publish it");
    let Some((_, value)) = view.named_state(role, &format!("info-page:{page}")) else {
        return Err(wrong("it is not published".to_owned()));
    };
    let text = value
        .parse()
        .ok()
        .and_then(|digest| view.store.text(digest));
    let text = text.ok_or_else(|| wrong(format!("its text {value} is not there")))?;
    let tag = view.manifest.tag.clone().unwrap_or_default();
    let commit = view.manifest.commit.to_string();
    let needed = [view.manifest.version.as_str(), &tag, &commit];
    let missing = needed
        .iter()
        .filter(|part| !text.contains(*part))
        .map(|part| format!("no `{part}`"))
        .collect();
    none_of(missing, &expected, "generate it again")
}

fn retired(view: &View<'_>, role: &str, nodes: u32) -> Checked {
    let expected = format!("{nodes} nodes of the previous network, and its logs archived");
    let seen = view.last_seen(role, |seen| match seen {
        Observation::Retired {
            nodes_running,
            logs,
        } => Some((*nodes_running, *logs)),
        _ => None,
    });
    match seen {
        None => Err(unmet(
            expected,
            "nobody looked",
            "retire it, and record `retired`",
        )),
        Some((running, logs)) => {
            let mut wrong = Vec::new();
            if running > nodes {
                wrong.push(format!("{running} nodes run"));
            }
            if logs.is_none() {
                wrong.push("no archive of the logs".to_owned());
            }
            none_of(wrong, &expected, "stop them and archive the logs")
        }
    }
}
