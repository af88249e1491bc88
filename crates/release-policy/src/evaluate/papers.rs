//! Documents: what must be written, and what it must say.

use std::collections::BTreeSet;

use crate::document::{Announcement, CaptureRecord, GovernanceProposal, Roster, read, sections};
use crate::mail::Mail;
use crate::name::{Span, in_words};
use crate::policy::Gate;
use crate::policy::check::{Check, SectionCovers};
use crate::statement::Predicate;
use crate::text::{changelog, headings, says_something};
use crate::view::View;

use super::{Checked, met, none_of, people, unmet, waive};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::Sections {
            r#type,
            sections: wanted,
        } => {
            let expected = format!("a document `{type}` with {}", wanted.join(", "));
            let next = "write the missing sections";
            let (_, text) = view
                .document(role, r#type)
                .map_err(|why| unmet(expected.as_str(), why, next))?;
            let there = sections(text).map_err(|why| unmet(expected.as_str(), why, next))?;
            let missing = wanted.iter().filter(|name| !there.contains(*name));
            none_of(
                missing.map(|name| format!("no `{name}`")).collect(),
                &expected,
                next,
            )
        }
        Check::Waived {} => waived(view),
        Check::Covers { section_covers } => covers(view, section_covers),
        Check::Announcement { channel } => announcement(view, role, channel.as_deref()),
        Check::RawBytes {} => raw_bytes(view),
        Check::GovernanceProposal {} => governance_proposal(view, role),
        Check::Template { template } => self::template(view, role, template),
        Check::References { names } => references(view, role, names),
        Check::Unreleased {} => {
            let expected = "a reviewed changelog with something under `Unreleased`";
            let (_, text) = view
                .document(role, "changelog-before")
                .map_err(|why| unmet(expected, why, "record the changelog before the release"))?;
            let section = changelog(text)
                .into_iter()
                .find(|(heading, _)| heading.eq_ignore_ascii_case("unreleased"));
            match section {
                Some((_, body)) if says_something(&body) => met(),
                Some(_) => Err(unmet(
                    expected,
                    "an empty section",
                    "write down what changed",
                )),
                None => Err(unmet(
                    expected,
                    "no such section",
                    "write down what changed",
                )),
            }
        }
        Check::TopIsVersion {} => top_is_version(view, role),
        Check::CaptureRecord { replayer_max } => capture_record(view, role, *replayer_max),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

/// Every waiver that was recorded must be a good one, used or not.
fn waived(view: &View<'_>) -> Checked {
    let mut wrong = Vec::new();
    for (waiver, fact) in view.waivers() {
        if !view.policy.waiver.gates.contains(&waiver.gate) {
            wrong.push(format!("{} cannot be waived", waiver.gate));
            continue;
        }
        let missing = waive::missing(view, waiver, fact, &[]);
        if !missing.is_empty() {
            wrong.push(format!(
                "the waiver of {} lacks {}",
                waiver.gate,
                missing.join(", ")
            ));
        }
    }
    none_of(
        wrong,
        "every deviation justified, and voted on by name",
        "propose the deviation, and vote",
    )
}

/// Whether a section of the proposal names every hit of some gates.
fn covers(view: &View<'_>, wanted: &SectionCovers) -> Checked {
    let mut hits: Vec<(String, String)> = Vec::new();
    for id in &wanted.hits_of {
        let Some(gate) = view.policy.gate(id) else {
            continue;
        };
        let asked = view
            .policy
            .gates_at(&view.stage.name, view.question.point, &view.manifest.kind)
            .any(|other| other.id == *id);
        if asked && let Err(unmet) = super::check(view, gate) {
            hits.extend(unmet.hits.into_iter().map(|hit| (id.clone(), hit)));
        }
    }
    if hits.is_empty() {
        return met();
    }
    let expected = format!("a section `{}` that names each risk", wanted.section);
    let (_, proposal) = view
        .proposal()
        .map_err(|why| unmet(expected.as_str(), why, "record the proposal"))?;
    let named = |gate: &str, hit: &str| {
        proposal
            .risk_acceptance
            .iter()
            .any(|risk| risk.gate == gate && risk.hit == hit && !risk.text.trim().is_empty())
    };
    let missing = hits.iter().filter(|(gate, hit)| !named(gate, hit));
    none_of(
        missing
            .map(|(gate, hit)| format!("{gate} {hit} is not named"))
            .collect(),
        &expected,
        "highlight them in the proposal",
    )
}

fn announcement(view: &View<'_>, role: &str, channel: Option<&str>) -> Checked {
    let expected = channel.map_or_else(
        || "an announcement".to_owned(),
        |channel| format!("an announcement on {channel}"),
    );
    let next = "announce it, and keep the message";
    let wrong = |why: String| unmet(expected.as_str(), why, next);
    let (_, text) = view.document(role, "announcement").map_err(wrong)?;
    let announced: Announcement = read(text).map_err(wrong)?;
    let Some(bytes) = view.store.file(announced.message) else {
        return Err(wrong(format!(
            "the message {} is not there",
            announced.message
        )));
    };
    let Some(channel) = channel else { return met() };
    if announced.channel != channel {
        return Err(wrong(format!("it went to {}", announced.channel)));
    }
    if let Some(list) = channel.strip_prefix("email:") {
        let mail = Mail::parse(bytes).map_err(wrong)?;
        if !mail.came_through(list) {
            return Err(wrong(format!(
                "the mail did not pass through the list `{list}`"
            )));
        }
    }
    let (_, proposal) = view.proposal().map_err(wrong)?;
    let missing = proposal
        .schedule
        .keys()
        .filter(|network| !announced.networks.contains(*network));
    none_of(
        missing
            .map(|network| format!("the operators of {network} did not get it"))
            .collect(),
        &expected,
        next,
    )
}

/// Everything that came in as text is kept as it came in, and gives the same again.
fn raw_bytes(view: &View<'_>) -> Checked {
    let mut wrong = BTreeSet::new();
    for fact in &view.state.facts {
        match &fact.evidence.predicate {
            Predicate::Documents(documents) => {
                for document in documents {
                    if view.store.file(document.digest).is_none() {
                        wrong.insert(format!(
                            "`{}` {} is not there",
                            document.type_, document.digest
                        ));
                    }
                }
            }
            Predicate::Vote(vote) if vote.channel.starts_with("email:") => match vote.raw {
                None => {
                    wrong.insert(format!("the vote of `{}` names no mail", vote.voter));
                }
                Some(raw) => match view.store.file(raw).map(Mail::parse) {
                    None => {
                        wrong.insert(format!("mail {raw} is not there"));
                    }
                    Some(Err(why)) => {
                        wrong.insert(format!("mail {raw}: {why}"));
                    }
                    Some(Ok(mail)) => {
                        let same = mail.vote().is_ok_and(|said| {
                            said.choice == vote.choice && said.proposal == vote.proposal
                        });
                        if !same {
                            wrong.insert(format!("mail {raw} says something else than its record"));
                        }
                    }
                },
            },
            _ => {}
        }
    }
    none_of(
        wrong.into_iter().collect(),
        "every document and mail as it arrived",
        "add the raw files",
    )
}

fn governance_proposal(view: &View<'_>, role: &str) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("an upgrade number", source.to_string(), "give it one"))?;
    let expected = format!("a posted governance proposal for {version}");
    let wrong = |why: String| unmet(expected.as_str(), why, "post the proposal");
    let (_, text) = view.document(role, "governance-proposal").map_err(wrong)?;
    let proposal: GovernanceProposal = read(text).map_err(wrong)?;
    if proposal.posted_at > view.now() {
        return Err(
            wrong(format!("it will be posted at {}", proposal.posted_at)).until(proposal.posted_at),
        );
    }
    if version.numbers() == [proposal.number] {
        return met();
    }
    let next = "the proposal carries the upgrade's number";
    Err(unmet(expected, format!("number {}", proposal.number), next)
        .effect(crate::policy::Effect::Deny))
}

fn template(view: &View<'_>, role: &str, template: &str) -> Checked {
    let expected = format!("release notes with all headings of `{template}`");
    let wrong = |why: String| unmet(expected.as_str(), why, "write the notes from the template");
    let templates = view.documents(role, "template");
    let document = templates
        .into_iter()
        .rfind(|document| document.name == template);
    let document = document.ok_or_else(|| wrong("no such template".to_owned()))?;
    let wanted = headings(view.text_of(document).map_err(wrong)?);
    let (_, notes) = view.document(role, "release-notes").map_err(wrong)?;
    let there = headings(notes);
    if wanted.is_empty() {
        return Err(wrong("a template without headings".to_owned()));
    }
    let missing = wanted.iter().filter(|heading| !there.contains(heading));
    none_of(
        missing
            .map(|(_, heading)| format!("no `{heading}`"))
            .collect(),
        &expected,
        "add the headings",
    )
}

fn references(view: &View<'_>, role: &str, names: &[String]) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("a version", source.to_string(), "correct the manifest"))?
        .release();
    let expected = format!("{} updated for {version}", names.join(" and "));
    let documents = view.documents(role, "page");
    let mut wrong = Vec::new();
    for name in names {
        let document = documents.iter().rfind(|document| document.name == *name);
        match document.map(|document| view.text_of(document)) {
            None => wrong.push(format!("no `{name}`")),
            Some(Err(why)) => wrong.push(why),
            Some(Ok(text)) if text.contains(&version.to_string()) => {}
            Some(Ok(_)) => wrong.push(format!("`{name}` does not name {version}")),
        }
    }
    none_of(wrong, &expected, "update the pages")
}

fn top_is_version(view: &View<'_>, role: &str) -> Checked {
    let version = view
        .version()
        .map_err(|source| unmet("a version", source.to_string(), "correct the manifest"))?
        .release();
    let expected = format!("`{version}` with a date on top of the changelog");
    let wrong = |why: String| unmet(expected.as_str(), why, "turn `Unreleased` into the release");
    let (_, text) = view.document(role, "changelog").map_err(wrong)?;
    let sections = changelog(text);
    if let Some((heading, _)) = sections
        .iter()
        .find(|(heading, body)| heading.eq_ignore_ascii_case("unreleased") && says_something(body))
    {
        return Err(wrong(format!("`{heading}` still has something")));
    }
    let top = sections
        .iter()
        .find(|(heading, _)| !heading.eq_ignore_ascii_case("unreleased"));
    let Some((heading, _)) = top else {
        return Err(wrong("no release in it".to_owned()));
    };
    let mut words = heading.split_whitespace();
    let named = words
        .next()
        .is_some_and(|word| word.trim_start_matches('v') == version.to_string());
    let dated = words.any(|word| {
        word.trim_matches(['(', ')'])
            .parse::<jiff::civil::Date>()
            .is_ok()
    });
    if named && dated {
        met()
    } else {
        Err(wrong(format!("`{heading}`")))
    }
}

fn capture_record(view: &View<'_>, role: &str, replayer_max: Span) -> Checked {
    let kind = view.manifest.kind.as_str();
    let expected = format!("a record of how the {kind} fork came about");
    let wrong = |why: String| unmet(expected.as_str(), why, "record it");
    let (_, text) = view.document(role, "capture-record").map_err(wrong)?;
    let record: CaptureRecord = read(text).map_err(wrong)?;
    if record.kind != kind {
        return Err(wrong(format!("it says `{}`", record.kind)));
    }
    match record.replayer {
        None if kind == "unplanned" => {
            Err(wrong("no replay, which an unplanned fork needs".to_owned()))
        }
        Some(replay) => {
            let took = replay.ended.since(replay.started);
            if took.is_negative() || took > replayer_max.duration() {
                return Err(wrong(format!(
                    "the replay took {}, more than {replayer_max}",
                    in_words(took)
                )));
            }
            if view.store.file(replay.output).is_none()
                && !view
                    .manifest
                    .artifact
                    .iter()
                    .any(|artifact| artifact.digest == replay.output)
            {
                return Err(wrong(format!(
                    "the replay's output {} is not there",
                    replay.output
                )));
            }
            met()
        }
        None => met(),
    }
}

/// The roster that the proposal names, so that the electorate cannot change under a vote.
pub(super) fn roster(view: &View<'_>) -> Result<Roster, String> {
    let (_, proposal) = view.proposal()?;
    let digest = proposal.roster.ok_or("the proposal names no roster")?;
    let text = view
        .store
        .text(digest)
        .ok_or_else(|| format!("the roster {digest} is not there"))?;
    read(text).map_err(|why| format!("the roster: {why}"))
}

/// Used by the gates of votes; here because it reads papers.
pub(super) fn answers_differ(view: &View<'_>) -> Vec<String> {
    let Ok(tally) = people::tally(view) else {
        return Vec::new();
    };
    tally
        .votes
        .iter()
        .filter(|(_, vote)| vote.choice == crate::statement::Choice::Approve)
        .filter(|(_, vote)| {
            vote.answers
                .as_ref()
                .is_some_and(|answers| answers != &[true, false, false])
        })
        .map(|(voter, _)| format!("`{voter}` approves with other answers than yes/no/no"))
        .collect()
}
