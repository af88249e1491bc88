//! `status` and `audit`: what only reads a record.

use fork_worker::{Context, WorkerResult};
use release_policy::{Digest, audit};
use serde::Serialize;

use crate::args::{AuditArgs, ReadArgs};
use crate::directory::Release;
use crate::error::PromoteError;
use crate::head;
use crate::info::{Info, info};

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
    let mut strays = Vec::new();
    for path in release.strays()? {
        let shown = path.display().to_string();
        match release.signers_of(&path)? {
            signers if signers.is_empty() => strays.push(shown),
            // Nobody else could have made it: it was recorded once, or was going to be.
            signers => problems.push(format!(
                "`{shown}` is signed by {} and no entry names it: something was taken back, or a command was interrupted; `record evidence` records it",
                signers.join(", ")
            )),
        }
    }
    problems.extend(crate::effects::differences(release)?);
    for path in seen {
        if let Some(digest) = path.to_str().and_then(|text| text.parse::<Digest>().ok()) {
            let mut on_the_way = log.entries().iter().skip(1).map(|entry| entry.previous);
            if log.head().last != digest && !on_the_way.any(|one| one == digest) {
                problems.push(format!(
                    "the log does not go through {digest}: something was taken back"
                ));
            }
            continue;
        }
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
    Ok(Audited {
        release: release.id().to_owned(),
        entries: log.head().entries,
        last: log.head().last,
        decisions,
        facts,
        problems,
        strays,
    })
}
