//! A second package.

use super::{Check, Finding};
use crate::facts::Facts;
use crate::report::{Effect, Part, ReportComparison, ReportDifference};

pub(super) static CHECKS: [Check; 4] = [
    Check {
        id: "against.readable",
        proves: "the second package can be read to its end, within all limits",
        run: readable,
    },
    Check {
        id: "against.chain-id-inputs",
        proves: "the configs of both packages put nodes on one chain",
        run: |facts| part(facts, Part::Config),
    },
    Check {
        id: "against.ledgers",
        proves: "the stores of both packages hold the same entries",
        run: |facts| part(facts, Part::Ledgers),
    },
    Check {
        id: "against.files",
        proves: "both packages install the same beside config and ledgers",
        run: |facts| part(facts, Part::Files),
    },
];

fn comparison(facts: &Facts) -> Result<&ReportComparison, Finding> {
    let comparison = facts.comparison.as_ref();
    comparison.ok_or_else(|| Finding::not_run("no second package was given (--against)"))
}

fn readable(facts: &Facts) -> Finding {
    match comparison(facts) {
        Err(finding) => finding,
        Ok(comparison) => match &comparison.problem {
            None => Finding::passed(&comparison.subject.name),
            Some(_) if facts.subject.is_err() => Finding::not_run("the package cannot be read"),
            Some(problem) => {
                Finding::failed("a readable package", problem, &comparison.subject.name)
            }
        },
    }
}

fn part(facts: &Facts, part: Part) -> Finding {
    let comparison = match comparison(facts) {
        Ok(comparison) if comparison.problem.is_none() => comparison,
        Ok(_) => return Finding::not_run("the two could not be compared"),
        Err(finding) => return finding,
    };
    let (harmless, wrong): (Vec<_>, Vec<_>) = comparison
        .differences
        .iter()
        .filter(|one| one.part == part)
        .partition(|one| one.effect == Effect::Harmless);
    let said = |one: &ReportDifference| format!("{}: {}", one.input, one.meaning);
    if let Some(first) = wrong.first() {
        let rest = wrong.iter().skip(1).map(|one| said(one));
        let lines: Vec<String> = [first.meaning.clone()]
            .into_iter()
            .chain(first.detail.iter().cloned())
            .chain(rest)
            .collect();
        let place = format!("{}, {}", comparison.subject.name, first.input);
        return Finding::failed(&first.here, &first.there, place).with_detail(lines.join("\n"));
    }
    let mut gaps = comparison.not_compared.iter();
    if let Some(gap) = gaps.find(|gap| gap.part == part) {
        return Finding::not_run(&gap.what);
    }
    if harmless.is_empty() {
        return Finding::passed("no difference");
    }
    let texts: Vec<String> = harmless.into_iter().map(said).collect();
    Finding::passed(format!("harmless: {}", texts.join("; ")))
}
