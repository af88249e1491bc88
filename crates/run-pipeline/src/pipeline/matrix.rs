//! One step, many jobs: `matrix` and `parallelism`.
//!
//! Buildkite replaces `{{matrix}}` and `{{matrix.NAME}}` in commands, labels, variables, plugins and
//! agents, and nowhere else; what else holds such a text is refused here, because it would be taken
//! literally there.

use std::collections::BTreeSet;

use yaml_serde::Value;

use super::outcome::{skip, soft_fail};
use super::reader::StepReader;
use super::values::{entries, items, unsupported};
use super::{JOBS_MAX, Step};
use crate::error::PipelineError;

/// Limits of Buildkite.
const DIMENSIONS_MAX: usize = 6;
const ELEMENTS_MAX: usize = 20;
const ADJUSTMENTS_MAX: usize = 12;

/// Longest part of a job's file name that comes from its values.
const SLUG_MAX: usize = 60;

/// A matrix: its combinations, in the order of the file.
#[derive(Debug)]
pub(super) struct Matrix {
    /// Names of the dimensions; a single empty one when the matrix is a plain list.
    dimensions: Vec<String>,
    combinations: Vec<Combination>,
}

#[derive(Debug)]
struct Combination {
    values: Vec<String>,
    skip: Option<String>,
    soft_fail: Option<Vec<Option<i64>>>,
}

impl Matrix {
    pub(super) fn read(
        value: &Value,
        reader: &StepReader<'_>,
        place: &str,
    ) -> Result<Self, PipelineError> {
        let wrong = |reason: &str| PipelineError::shape(place, format!("matrix: {reason}"));
        let mut setup = None;
        let mut adjustments: &[Value] = &[];
        if value.is_sequence() {
            setup = Some(value);
        } else {
            for (attribute, value) in entries(Some(value), place)? {
                match attribute.as_str() {
                    "setup" => setup = Some(value),
                    "adjustments" => adjustments = items(value),
                    _ => return Err(unsupported(place, format!("matrix.{attribute}"))),
                }
            }
        }
        let setup = setup.ok_or_else(|| wrong("has no setup"))?;
        let mut dimensions = Vec::new();
        if setup.is_sequence() {
            dimensions.push((String::new(), reader.elements(setup, place)?));
        } else {
            for (name, value) in entries(Some(setup), place)? {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.is_empty() || !name.chars().all(plain) {
                    return Err(wrong(
                        "names of dimensions have letters, digits and `_` only",
                    ));
                }
                dimensions.push((name, reader.elements(value, place)?));
            }
        }
        if dimensions.is_empty() || dimensions.len() > DIMENSIONS_MAX {
            return Err(wrong(&format!(
                "must have 1 to {DIMENSIONS_MAX} dimensions"
            )));
        }
        if dimensions.iter().any(|(_, list)| list.len() > ELEMENTS_MAX) {
            let reason = format!("a dimension has more than {ELEMENTS_MAX} elements");
            return Err(wrong(&reason));
        }
        if adjustments.len() > ADJUSTMENTS_MAX {
            return Err(wrong(&format!(
                "has more than {ADJUSTMENTS_MAX} adjustments"
            )));
        }
        let jobs = dimensions.iter().map(|(_, list)| list.len());
        if jobs.product::<usize>() > JOBS_MAX {
            return Err(wrong(&format!("makes more than {JOBS_MAX} jobs")));
        }
        let mut matrix = Self {
            combinations: product(&dimensions),
            dimensions: dimensions.into_iter().map(|(name, _)| name).collect(),
        };
        for adjustment in adjustments {
            matrix.adjust(adjustment, reader, place)?;
        }
        if matrix.combinations.is_empty() {
            return Err(wrong("makes no job"));
        }
        let mut seen = BTreeSet::new();
        for combination in &matrix.combinations {
            if !seen.insert(&combination.values) {
                let values = combination.values.join(", ");
                return Err(wrong(&format!("`{values}` appears twice")));
            }
        }
        Ok(matrix)
    }

    fn adjust(
        &mut self,
        value: &Value,
        reader: &StepReader<'_>,
        place: &str,
    ) -> Result<(), PipelineError> {
        let wrong =
            |reason: &str| PipelineError::shape(place, format!("matrix: an adjustment {reason}"));
        let mut with = None;
        let mut adjusted = Combination {
            values: Vec::new(),
            skip: None,
            soft_fail: None,
        };
        for (attribute, value) in entries(Some(value), place)? {
            match attribute.as_str() {
                "with" => with = Some(value),
                "skip" => adjusted.skip = skip(value, place)?,
                "soft_fail" => adjusted.soft_fail = Some(soft_fail(value, place)?),
                _ => {
                    let attribute = format!("matrix.adjustments.{attribute}");
                    return Err(unsupported(place, attribute));
                }
            }
        }
        let with = with.ok_or_else(|| wrong("has no `with`"))?;
        if let Some(mapping) = with.as_mapping() {
            let known = |name: &String| mapping.contains_key(name.as_str());
            if mapping.len() != self.dimensions.len() || !self.dimensions.iter().all(known) {
                return Err(wrong("must name every dimension, and no other"));
            }
            for name in &self.dimensions {
                let value = mapping.get(name.as_str()).unwrap_or(&Value::Null);
                adjusted.values.push(reader.text(value, place, "matrix")?);
            }
        } else {
            adjusted.values = reader.elements(with, place)?;
            if self.dimensions != [""] || adjusted.values.len() != 1 {
                return Err(wrong("must name every dimension, and no other"));
            }
        }
        let same = |one: &&mut Combination| one.values == adjusted.values;
        match self.combinations.iter_mut().find(same) {
            Some(known) => {
                known.skip = known.skip.take().or(adjusted.skip);
                known.soft_fail = adjusted.soft_fail.or(known.soft_fail.take());
            }
            None => self.combinations.push(adjusted),
        }
        Ok(())
    }

    /// The jobs of a step.
    pub(super) fn jobs(&self, step: &Step, place: &str) -> Result<Vec<Step>, PipelineError> {
        let mut jobs = Vec::new();
        let mut names = BTreeSet::new();
        for (index, combination) in self.combinations.iter().enumerate() {
            let values = &combination.values;
            let mut job = step.clone();
            job.name = format!("{} ({})", step.step, values.join(", "));
            let mut slug = slug(&values.join("-"));
            if slug.is_empty() || slug.len() > SLUG_MAX || !names.insert(slug.clone()) {
                slug = (index + 1).to_string();
                names.insert(slug.clone());
            }
            // No key of a step has a full stop in it.
            job.key = format!("{}.{slug}", step.step);
            let fill = |text: &str| self.fill(text, values, place);
            job.script = fill(&step.script)?;
            job.label = fill(&step.label)?;
            for value in job.environment.values_mut() {
                *value = fill(value)?;
            }
            if let Some(reason) = &combination.skip {
                job.skip = Some(reason.clone());
            }
            if let Some(soft_fail) = &combination.soft_fail {
                job.soft_fail.clone_from(soft_fail);
            }
            jobs.push(job);
        }
        Ok(jobs)
    }

    fn fill(&self, text: &str, values: &[String], place: &str) -> Result<String, PipelineError> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, name, after)) = next_token(rest) {
            let index = self.dimensions.iter().position(|known| known == name);
            let value = index.and_then(|index| values.get(index)).ok_or_else(|| {
                let reason = format!("`{{{{matrix.{name}}}}}` names no dimension of the matrix");
                PipelineError::shape(place, reason.replace("matrix.}}", "matrix}}"))
            })?;
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The next `{{matrix.NAME}}`: what is before it, the name (empty for `{{matrix}}`), what is after.
fn next_token(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(start) = text.get(from..)?.find("{{").map(|found| from + found) {
        let inside = text.get(start + 2..)?;
        let token = inside.split_once("}}").and_then(|(token, after)| {
            let name = token.trim().strip_prefix("matrix")?;
            let name = name.strip_prefix('.').or(name.is_empty().then_some(""))?;
            Some((name, after))
        });
        if let Some((name, after)) = token {
            return Some((text.get(..start)?, name, after));
        }
        from = start + 1;
    }
    None
}

/// Whether Buildkite would take something in this text for a value of a matrix.
pub(super) fn has_token(text: &str) -> bool {
    next_token(text).is_some()
}

fn product(dimensions: &[(String, Vec<String>)]) -> Vec<Combination> {
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    for (_, elements) in dimensions {
        rows = rows
            .iter()
            .flat_map(|row| {
                elements.iter().map(move |element| {
                    let mut row = row.clone();
                    row.push(element.clone());
                    row
                })
            })
            .collect();
    }
    rows.into_iter()
        .map(|values| Combination {
            values,
            skip: None,
            soft_fail: None,
        })
        .collect()
}

/// A text as part of a file's name.
fn slug(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    text.chars().map(plain).collect()
}

/// `count` equal jobs that know their number, counted from zero.
pub(super) fn parallel_jobs(step: &Step, count: usize) -> Vec<Step> {
    (0..count)
        .map(|index| {
            let mut job = step.clone();
            if count > 1 {
                job.name = format!("{} ({} of {count})", step.step, index + 1);
                job.key = format!("{}.{}", step.step, index + 1);
            }
            let mut set = |name: &str, value: usize| {
                job.environment.insert(name.to_owned(), value.to_string());
            };
            set("BUILDKITE_PARALLEL_JOB", index);
            set("BUILDKITE_PARALLEL_JOB_COUNT", count);
            job
        })
        .collect()
}
