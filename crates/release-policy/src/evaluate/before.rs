//! What was there before: earlier networks and deployments, of other releases and of this one.

use crate::name::Time;
use crate::statement::{Event, Observation};
use crate::view::View;

use super::{Checked, none_of, unmet};

/// Whether the network shares nothing with an earlier one, be it of another release or of an earlier
/// attempt of this one.
pub(super) fn fresh(view: &View<'_>, role: &str, fields: &[String]) -> Checked {
    let expected = format!(
        "a network that no earlier one shares {} with",
        fields.join(" or ")
    );
    let earlier = view.last_seen(role, |seen| match seen {
        Observation::History { networks, .. } => Some(networks),
        _ => None,
    });
    let earlier = earlier.ok_or_else(|| {
        unmet(
            expected.as_str(),
            "no history",
            "record the earlier networks",
        )
    })?;
    let own = view.deployments_of_other_attempts(role);
    let deployed = view.deployment(role, Event::Deployed);
    let deployed =
        deployed.ok_or_else(|| unmet(expected.as_str(), "no plan of the network", "record it"))?;
    let mut wrong = Vec::new();
    for field in fields {
        let Some(value) = deployed.identity.get(field) else {
            wrong.push(format!("no {field}"));
            continue;
        };
        let others = earlier.iter().map(|network| &network.identity);
        let mut others = others.chain(own.iter().map(|network| &network.identity));
        if others.any(|identity| identity.get(field) == Some(value)) {
            wrong.push(format!("{field} {value} was used before"));
        }
    }
    none_of(wrong, &expected, "reset the network fully")
}

/// Whether everything was saved after the last deployment to the environment: the one that was told, or
/// a later one that the record itself knows of.
pub(super) fn backups(view: &View<'_>, role: &str, wanted: &[String]) -> Checked {
    let expected = format!(
        "restore-tested backups of {} after the last deployment",
        wanted.join(" and ")
    );
    let told = view.last_seen(role, |seen| match seen {
        Observation::LastDeployment { time } => Some(*time),
        _ => None,
    });
    let Some(told) = told else {
        return Err(unmet(
            expected,
            "the last deployment is not known",
            "record it",
        ));
    };
    let before = usize::try_from(view.attempt).map_or(0, |attempt| attempt.saturating_sub(1));
    let entered = view.state.attempts.get(&view.stage.name);
    let entered = entered.into_iter().flatten().take(before);
    let deployed = view.deployments_of_other_attempts(&view.policy.facts_by);
    let last: Option<Time> = told
        .into_iter()
        .chain(entered.map(|attempt| attempt.entered_at))
        .chain(deployed.iter().map(|deployed| deployed.at))
        .max();
    let mut wrong = Vec::new();
    for name in wanted {
        let backup = view.last_seen(role, |seen| match seen {
            Observation::Backup {
                what,
                made,
                restore_tested,
            } if what == name => Some((*made, *restore_tested)),
            _ => None,
        });
        match backup {
            None => wrong.push(format!("no backup of {name}")),
            Some((made, _)) if last.is_some_and(|last| made <= last) => {
                wrong.push(format!("{name} is of {made}"))
            }
            Some((_, false)) => wrong.push(format!("{name} was never restored")),
            Some(_) => {}
        }
    }
    none_of(wrong, &expected, "make them, and restore them once")
}
