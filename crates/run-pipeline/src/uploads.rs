//! Steps that a running step adds to the run.
//!
//! The stand-in for the agent reads the pipeline in the step's environment and leaves the steps in
//! `state/uploads/<job>/`. When the job has passed, the runner takes them over: until then they could
//! not start anyway, because they wait for the step that uploads them.

use std::path::PathBuf;

use crate::error::{PipelineError, PipelineErrorKind};
use crate::graph;
use crate::layout::Layout;
use crate::pipeline::{Addition, JOBS_MAX, Plan, Step};
use crate::state::{Record, write_json};

/// Most uploads of one job.
const UPLOADS_MAX: usize = 50;
/// Deepest chain of steps that upload steps that upload steps.
const DEPTH_MAX: usize = 8;
/// Largest upload as JSON, in bytes: a matrix repeats its script.
const UPLOAD_BYTES_MAX: u64 = 64 << 20;

fn uploads_of(layout: &Layout, job: &str) -> PathBuf {
    layout.state().join("uploads").join(job)
}

/// Leaves an upload of a running job.
///
/// # Errors
///
/// Fails when the job has left too many, and when the disk refuses.
pub fn leave(layout: &Layout, job: &str, addition: &Addition) -> Result<(), PipelineError> {
    let before = read(layout, job)?.len();
    if before >= UPLOADS_MAX {
        let reason = format!("a job may upload {UPLOADS_MAX} times");
        return Err(PipelineError::agent(reason));
    }
    let directory = uploads_of(layout, job);
    fork_fs::create_dir_all(&directory)?;
    write_json(addition, &directory.join(format!("{before:02}.json")))
}

/// What a job uploaded, in its order.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn read(layout: &Layout, job: &str) -> Result<Vec<Addition>, PipelineError> {
    let directory = uploads_of(layout, job);
    if !fork_fs::exists(&directory) {
        return Ok(Vec::new());
    }
    let mut additions = Vec::new();
    for name in fork_fs::sorted_names(&directory)? {
        let path = directory.join(name);
        let bytes = fork_fs::read_limited(&path, UPLOAD_BYTES_MAX)?;
        additions.push(
            serde_json::from_slice(&bytes).map_err(|error| {
                PipelineError::io(fork_fs::Operation::Read, &path, error.into())
            })?,
        );
    }
    Ok(additions)
}

/// Forgets what a job uploaded.
///
/// # Errors
///
/// Fails when the disk refuses.
pub fn clear(layout: &Layout, job: &str) -> Result<(), PipelineError> {
    Ok(fork_fs::remove_dir_all(&uploads_of(layout, job))?)
}

/// The plan with what a job of `uploader` uploaded. What depends on the uploader depends on that too,
/// as on Buildkite.
///
/// # Errors
///
/// Fails when a key is taken, a dependency is no key, steps would wait for each other, and on too many
/// or too deep uploads.
pub fn adopted(
    plan: &Plan,
    uploader: &Step,
    additions: &[Addition],
) -> Result<Plan, PipelineError> {
    let mut plan = plan.clone();
    let mut depth = 1;
    let mut above = uploader.uploaded_by.as_deref();
    while let Some(key) = above {
        depth += 1;
        let step = plan.steps.iter().find(|step| step.step == key);
        above = step.and_then(|step| step.uploaded_by.as_deref());
    }
    let place = format!("step `{}`, pipeline upload", uploader.name);
    if depth > DEPTH_MAX {
        let reason = format!("uploads lie more than {DEPTH_MAX} deep");
        return Err(PipelineError::shape(&place, reason));
    }
    let mut number = plan.steps.iter().map(|step| step.number + 1).max();
    for addition in additions {
        for (key, members) in &addition.groups {
            if plan.groups.insert(key.clone(), members.clone()).is_some() {
                return Err(PipelineErrorKind::DuplicateKey { key: key.clone() }.into());
            }
        }
        let mut keys: Vec<String> = Vec::new();
        for step in &addition.steps {
            if plan.steps.iter().any(|known| known.step == step.step) {
                let key = step.step.clone();
                return Err(PipelineErrorKind::DuplicateKey { key }.into());
            }
            if !keys.contains(&step.step) {
                keys.push(step.step.clone());
            }
        }
        for step in &mut plan.steps {
            if step.depends_on.contains(&uploader.step)
                && step.uploaded_by.as_ref() != Some(&uploader.step)
            {
                step.depends_on.extend(keys.iter().cloned());
            }
        }
        for step in &addition.steps {
            let mut step = step.clone();
            crate::pipeline::expand_groups(&mut step.depends_on, &plan.groups);
            if !step.depends_on.contains(&uploader.step) {
                step.depends_on.push(uploader.step.clone());
            }
            step.uploaded_by = Some(uploader.step.clone());
            step.number = number.unwrap_or_default();
            number = Some(step.number + 1);
            plan.steps.push(step);
        }
    }
    if plan.steps.len() > JOBS_MAX {
        let reason = format!("the run would have more than {JOBS_MAX} jobs");
        return Err(PipelineError::shape(&place, reason));
    }
    plan.steps = graph::sorted(plan.steps)?;
    Ok(plan)
}

/// The plan with what its steps uploaded when they passed last in this output directory.
#[must_use]
pub fn known(plan: &Plan, layout: &Layout) -> Plan {
    let mut plan = plan.clone();
    let mut seen: Vec<String> = Vec::new();
    while let Some(step) = plan.steps.iter().find(|step| !seen.contains(&step.key)) {
        let step = step.clone();
        seen.push(step.key.clone());
        if let Some(record) = Record::read(&layout.record(&step.key))
            && !record.additions.is_empty()
            && let Ok(more) = adopted(&plan, &step, &record.additions)
        {
            plan = more;
        }
    }
    plan
}
