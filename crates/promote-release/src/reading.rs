//! `status`, `obligations` and `audit`: what only reads a record.

use std::collections::BTreeMap;

use fork_worker::{Context, WorkerResult};
use release_policy::policy::check::Check;
use release_policy::statement::Predicate;
use release_policy::{Point, Time, audit};
use serde::Serialize;

use crate::args::{AuditArgs, ObligationsArgs, ReadArgs};
use crate::directory::Release;
use crate::effects::name_of;
use crate::error::PromoteError;
use crate::info::{Info, info};
use crate::{clock, head, inputs};

impl ReadArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let info = info(&self.release.read()?)?;
        context.emit(&status(&info), &info)?;
        Ok(())
    }
}

/// Where a release stands, for people.
pub(crate) fn status(info: &Info) -> String {
    let mut text = format!("{}: {}\n", info.release, info.stands);
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<10} {value}\n"));
    line("process", &format!("{} ({})", info.process, info.policy.id));
    if let Some(manifest) = &info.manifest {
        line("version", &manifest.version);
        if let Some(tag) = &manifest.tag {
            line("tag", tag);
        }
        line("commit", &manifest.commit.to_string());
        line("artifacts", &manifest.artifact.len().to_string());
    }
    for stage in &info.stages {
        let attempts: Vec<String> = stage
            .attempts
            .iter()
            .map(|attempt| {
                let closed = if attempt.closed { ", closed" } else { "" };
                let why = attempt.failure.as_ref().map(|why| format!(" ({why})"));
                format!("{}{closed}{}", attempt.progress, why.unwrap_or_default())
            })
            .collect();
        let what = if attempts.is_empty() {
            "-".to_owned()
        } else {
            attempts.join("; then ")
        };
        line(&stage.name, &what);
    }
    for waiver in info.waivers.iter().filter(|waiver| waiver.used) {
        line("waived", &format!("{}: {}", waiver.gate, waiver.reason));
    }
    for action in info.actions.iter().filter(|action| action.done.is_none()) {
        line("to do", &format!("{} {}", action.executor, action.target));
    }
    line(
        "record",
        &format!(
            "{} entries, {} facts, the last {}",
            info.entries,
            info.facts.len(),
            info.log
        ),
    );
    text
}

/// Something somebody has to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Obligation {
    pub(crate) who: String,
    pub(crate) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Time>,
    pub(crate) overdue: bool,
}

impl ObligationsArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let release = self.release.read()?;
        let now = clock::now(self.time.now);
        let all = obligations(&release, now)?;
        let mut human = String::new();
        for one in &all {
            let state = match (one.done, one.overdue) {
                (Some(done), _) => format!("done {done}"),
                (None, true) => "OVERDUE".to_owned(),
                (None, false) => "open".to_owned(),
            };
            let due = one
                .due
                .map(|due| format!(", due {due}"))
                .unwrap_or_default();
            human.push_str(&format!("{:<28} {}: {}{due}\n", state, one.who, one.what));
        }
        if all.is_empty() {
            human.push_str("nobody has to do anything\n");
        }
        context.emit(&human, &all)?;
        let open = all.iter().filter(|one| one.done.is_none()).count();
        if open == 0 {
            return Ok(());
        }
        let overdue = all.iter().filter(|one| one.overdue).count();
        Err(PromoteError::Open { open, overdue }.into())
    }
}

/// Who has to do what: operators named by the proposal, what was allowed and is not done, networks to
/// retire, postmortems to write, stages to close.
pub(crate) fn obligations(release: &Release, now: Time) -> Result<Vec<Obligation>, PromoteError> {
    let state = release.state()?;
    let mut all = Vec::new();
    let mut applied: BTreeMap<&str, Time> = BTreeMap::new();
    let mut retired = None;
    let mut postmortem = None;
    for fact in &state.facts {
        match &fact.evidence.predicate {
            Predicate::Observation(observed) => match &observed.seen {
                release_policy::statement::Observation::Applied { operator } => {
                    applied.entry(operator).or_insert(observed.at);
                }
                release_policy::statement::Observation::Retired {
                    nodes_running: 0,
                    logs: Some(_),
                } => retired = Some(observed.at),
                _ => {}
            },
            Predicate::Documents(documents) => {
                if let Some(document) = documents.iter().find(|one| one.type_ == "postmortem") {
                    postmortem = Some((fact.seq, document.at));
                }
            }
            _ => {}
        }
    }
    let mut push = |who: &str, what: String, due: Option<Time>, done: Option<Time>| {
        all.push(Obligation {
            who: who.to_owned(),
            what,
            due,
            done,
            overdue: done.is_none() && due.is_some_and(|due| now > due),
        });
    };
    // Only a plan that is voted on binds anybody.
    let bound = crate::info::info(release)?.vote.is_none_or(|vote| vote.won);
    if let Some((_, proposal)) = inputs::read_proposal(release)?.filter(|_| bound) {
        for (operator, due) in &proposal.who.must {
            let done = applied.get(operator.as_str()).copied();
            push(operator, "apply the release".to_owned(), Some(*due), done);
        }
    }
    let planned = release_policy::action::plan(&release.policy, &release.log, &release.store)
        .map_err(|source| release.state_error(source))?;
    for one in planned.iter().filter(|one| one.done.is_none()) {
        push(
            name_of(one.executor),
            format!("do `{}` for {}", one.id, one.target),
            None,
            None,
        );
    }
    let failed = state
        .attempts
        .iter()
        .any(|(_, attempts)| attempts.iter().any(|attempt| attempt.failure.is_some()));
    let gates =
        |wanted: fn(&Check) -> bool| release.policy.gates.iter().find(|gate| wanted(&gate.check));
    let asks_for_postmortem =
        gates(|check| matches!(check, Check::Sections { r#type, .. } if r#type == "postmortem"));
    if let Some(gate) = asks_for_postmortem.filter(|_| failed) {
        let done = postmortem.map(|(_, at)| at);
        push(
            &gate.signed_by,
            format!("write a postmortem ({})", gate.id),
            None,
            done,
        );
    }
    let last_passed = release
        .policy
        .stages
        .iter()
        .rev()
        .find(|stage| state.passed(&stage.name).is_some());
    if let Some(stage) = last_passed {
        let retire = gates(|check| matches!(check, Check::Retired { .. }))
            .filter(|gate| gate.stage == stage.name);
        if let Some(gate) = retire {
            let what = format!("retire the old network and archive its logs ({})", gate.id);
            push(&gate.signed_by, what, None, retired);
        }
        let kind = state
            .manifests
            .last()
            .map_or("", |(_, manifest)| manifest.kind.as_str());
        let closing: Vec<&str> = release
            .policy
            .gates_at(&stage.name, Point::Close, kind)
            .map(|gate| gate.id.as_str())
            .collect();
        if !closing.is_empty() {
            let closed = state
                .passed(&stage.name)
                .is_some_and(|(_, attempt)| attempt.closed);
            let done = closed.then(|| release.last_time()).flatten();
            let what = format!("close {} ({})", stage.name, closing.join(", "));
            push("release", what, None, done);
        }
    }
    Ok(all)
}

/// What an audit found.
#[derive(Serialize)]
struct Audited {
    release: String,
    entries: u64,
    last: release_policy::Digest,
    decisions: usize,
    facts: usize,
    problems: Vec<String>,
    /// Files that no entry names; they count for nothing.
    strays: Vec<String>,
}

impl AuditArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let path = &self.release.release;
        let release = match self.release.read() {
            Ok(release) => release,
            // What another command calls malformed is here what was looked for.
            Err(error) => return Err(as_problem(path, error).into()),
        };
        let audited = audited(&release, &self.seen)?;
        let mut human = format!(
            "release    {}\nentries    {}, the last {}\nfacts      {} with good signatures\ndecisions  {} made again\n",
            audited.release, audited.entries, audited.last, audited.facts, audited.decisions
        );
        for stray in &audited.strays {
            human.push_str(&format!(
                "note       `{stray}` is in no entry, and counts for nothing\n"
            ));
        }
        for problem in &audited.problems {
            human.push_str(&format!("problem    {problem}\n"));
        }
        if audited.problems.is_empty() {
            human.push_str("the record holds\n");
        }
        context.emit(&human, &audited)?;
        match audited.problems.first() {
            None => Ok(()),
            Some(first) => Err(PromoteError::Audit {
                path: path.clone(),
                count: audited.problems.len(),
                first: first.clone(),
            }
            .into()),
        }
    }
}

/// An error of reading a record as what an audit says of it. What the machine is to blame for stays.
fn as_problem(path: &std::path::Path, error: PromoteError) -> PromoteError {
    use fork_types::{Class, Fault};
    if error.class() != Class::BadInput {
        return error;
    }
    let mut first = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        first.push_str(&format!(": {source}"));
        cause = source.source();
    }
    PromoteError::Audit {
        path: path.to_owned(),
        count: 1,
        first,
    }
}

fn audited(release: &Release, seen: &[std::path::PathBuf]) -> Result<Audited, PromoteError> {
    let log = &release.log;
    let found = audit(
        &release.policy,
        &release.keys.text,
        &log.text(),
        &log.head(),
        &release.store,
    );
    let mut problems: Vec<String> = found.iter().map(ToString::to_string).collect();
    problems.extend(release.wrong_copy()?);
    for path in seen {
        let head = head::read(path, &release.keys.log)?;
        let count = usize::try_from(head.entries).unwrap_or(usize::MAX);
        if log.before(count).head() != head {
            problems.push(format!(
                "the log does not go through entry {} of `{}`: something was taken back",
                head.entries,
                path.display()
            ));
        }
    }
    let decisions = log
        .entries()
        .iter()
        .filter(|entry| matches!(entry.body, release_policy::Body::Decided { .. }))
        .count();
    let facts = log
        .entries()
        .iter()
        .filter(|entry| matches!(entry.body, release_policy::Body::Recorded { .. }))
        .count();
    let strays = release.strays()?;
    Ok(Audited {
        release: release.id().to_owned(),
        entries: log.head().entries,
        last: log.head().last,
        decisions,
        facts,
        problems,
        strays: strays
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    })
}
