//! A second package beside the one that is verified: which input differs first, and what that does
//! to a chain.
//!
//! Inputs are compared in the order in which a node uses them: the config that names everything,
//! the tarballs, the accounts in them, and last what is merely installed.

mod config;
mod files;
mod stores;

use std::collections::BTreeMap;
use std::path::Path;

use fork_types::{Era, Role};

use crate::args::SubjectArgs;
use crate::config::ConfigView;
use crate::facts;
use crate::ledgers;
use crate::report::{
    Effect, Part, ReportComparison, ReportDifference, ReportGap, ReportInput, ReportSubject,
};
use crate::subject::{FileDigests, Subject};
use crate::tarball::TarballFacts;

/// Longest value of a table.
const VALUE_CHARS_MAX: usize = 400;

/// One of the two packages.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) config: Result<&'a ConfigView, &'a String>,
    pub(crate) config_path: &'a str,
    /// Paths of the tarballs of the roles, or why there is none.
    pub(crate) chosen: &'a [Result<String, String>; 3],
    pub(crate) tarballs: &'a BTreeMap<String, TarballFacts>,
}

impl<'a> Side<'a> {
    /// Path and digests of the tarball of a role.
    fn tarball(&self, role: Role) -> Result<(&'a str, &'a FileDigests), String> {
        let path = self.chosen[position(role)].as_ref().map_err(Clone::clone)?;
        let digests = self.subject.digests.get(path);
        let digests = digests.ok_or_else(|| "its tarball was not read".to_owned())?;
        Ok((path, digests))
    }
}

const fn position(role: Role) -> usize {
    match role {
        Role::Genesis => 0,
        Role::Staking => 1,
        Role::Next => 2,
    }
}

/// What is found, in order.
#[derive(Default)]
struct Found {
    inputs: Vec<ReportInput>,
    differences: Vec<ReportDifference>,
    not_compared: Vec<ReportGap>,
}

impl Found {
    fn gap(&mut self, part: Part, what: impl Into<String>) {
        let what = what.into();
        self.not_compared.push(ReportGap { part, what });
    }

    fn differs(
        &mut self,
        input: impl Into<String>,
        part: Part,
        values: (&str, &str),
        effect: Effect,
        meaning: &str,
    ) -> &mut ReportDifference {
        self.differences.push(ReportDifference {
            input: input.into(),
            part,
            here: fork_worker::text::clipped(values.0, VALUE_CHARS_MAX),
            there: fork_worker::text::clipped(values.1, VALUE_CHARS_MAX),
            effect,
            meaning: meaning.to_owned(),
            detail: Vec::new(),
        });
        let last = self.differences.len() - 1;
        &mut self.differences[last]
    }
}

/// Reads the second package and compares.
pub(crate) fn compare(
    here: Result<Side<'_>, String>,
    args: &SubjectArgs,
    network: &str,
    target: Era,
    scratch: &Path,
) -> ReportComparison {
    let (kind, name) = Subject::describe(args);
    let mut comparison = ReportComparison {
        subject: ReportSubject {
            kind: kind.name().to_owned(),
            name,
            sha256: None,
        },
        problem: None,
        summary: String::new(),
        first: None,
        inputs: Vec::new(),
        differences: Vec::new(),
        not_compared: Vec::new(),
    };
    match read_and_compare(here, args, network, target, scratch) {
        Ok((found, sha256)) => {
            comparison.subject.sha256 = sha256;
            let relevant = |one: &&ReportDifference| one.effect != Effect::Harmless;
            let first = found.differences.iter().find(relevant);
            comparison.first = first.map(|one| one.input.clone());
            comparison.summary = summary(&found);
            comparison.inputs = found.inputs;
            comparison.differences = found.differences;
            comparison.not_compared = found.not_compared;
        }
        Err(problem) => {
            comparison.summary = "The two packages could not be compared.".to_owned();
            comparison.problem = Some(problem);
        }
    }
    comparison
}

fn read_and_compare(
    here: Result<Side<'_>, String>,
    args: &SubjectArgs,
    network: &str,
    target: Era,
    scratch: &Path,
) -> Result<(Found, Option<String>), String> {
    let (subject, unpacked) =
        Subject::read(args, network, scratch, true).map_err(|error| error.full_text())?;
    let here = here?;
    let (config_path, config) = facts::config(&subject, network);
    let chosen = ledgers::choose(&subject, config.as_ref().ok(), target);
    // Equal bytes need not be unpacked to be compared.
    let mut needed = chosen.clone();
    for role in Role::ALL {
        let there = chosen[position(role)].as_ref().ok();
        let there = there.and_then(|path| subject.digests.get(path));
        if let (Ok((_, here)), Some(there)) = (here.tarball(role), there)
            && here == there
        {
            needed[position(role)] = Err("equal".to_owned());
        }
    }
    let tarballs = facts::unpack(&subject, unpacked, &needed, scratch)?;
    let there = Side {
        subject: &subject,
        config: config.as_ref(),
        config_path: &config_path,
        chosen: &chosen,
        tarballs: &tarballs,
    };
    let mut found = Found::default();
    let content = Role::ALL.map(|role| stores::content(&here, &there, role, target));
    config::compare(&mut found, &here, &there, &content);
    for (role, content) in Role::ALL.into_iter().zip(content) {
        stores::compare(&mut found, &here, &there, role, content);
    }
    files::compare(&mut found, &here, &there, network);
    Ok((found, subject.sha256.clone()))
}

fn summary(found: &Found) -> String {
    let count = |effect| {
        let all = found.differences.iter();
        all.filter(|one| one.effect == effect).count()
    };
    let first = |effect| {
        let mut all = found.differences.iter();
        let first = all.find(|one| one.effect == effect);
        first.map_or("", |one| one.input.as_str())
    };
    let mut text = if count(Effect::CannotPeer) > 0 {
        format!(
            "Nodes with one package cannot peer with nodes of the other: {} differs.",
            first(Effect::CannotPeer)
        )
    } else if count(Effect::Disagree) > 0 {
        format!(
            "Nodes with one package disagree with nodes of the other: {} differs.",
            first(Effect::Disagree)
        )
    } else if !found.not_compared.is_empty() && found.inputs.iter().all(|one| !one.is_equal) {
        "Nothing that decides about the chain could be compared.".to_owned()
    } else {
        "Nothing was found that would part the nodes of the two packages.".to_owned()
    };
    let counted = [
        (Effect::Other, "beside the chain"),
        (Effect::Harmless, "harmless"),
    ];
    for (effect, words) in counted {
        match count(effect) {
            0 => {}
            1 => text.push_str(&format!(" 1 difference is {words}.")),
            more => text.push_str(&format!(" {more} differences are {words}.")),
        }
    }
    text
}
