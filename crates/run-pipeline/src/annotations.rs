//! What steps annotate: short texts for the people who look at a run.
//!
//! A job leaves its notes one by one in `state/notes/<job>/`. Put together they become
//! `annotations/<context>.md`, in the order of the jobs in the pipeline, so that the result does not
//! depend on which of two steps that run side by side was quicker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::layout::Layout;
use crate::state::write_json;

/// Largest annotation, in bytes; Buildkite's limit.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most notes of one job.
const NOTES_MAX: usize = 1_000;
/// Largest note as JSON, in bytes: every byte of the body may be escaped.
const NOTE_BYTES_MAX: u64 = 8 << 20;
/// Longest name of a context, in bytes.
const CONTEXT_BYTES_MAX: usize = 100;

/// One call of `buildkite-agent annotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Which annotation it is about.
    pub context: String,
    /// Its colour; `None` leaves what it was.
    pub style: Option<String>,
    /// Whether it is added to what is there.
    pub is_more: bool,
    /// The text, in Markdown.
    pub body: String,
}

/// An annotation as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// Its name.
    pub context: String,
    /// Its colour: `default`, `info`, `success`, `warning` or `error`.
    pub style: String,
    /// The text, in Markdown; not in the report, but in a file beside it.
    #[serde(skip)]
    pub body: String,
    /// The file, relative to the output directory.
    pub path: String,
    /// Keys of the steps that wrote it.
    pub steps: Vec<String>,
}

fn notes_of(layout: &Layout, job: &str) -> PathBuf {
    layout.state().join("notes").join(job)
}

impl Note {
    /// Leaves a note of a running job.
    ///
    /// # Errors
    ///
    /// Fails when the job has left too many or too much, and when the disk refuses.
    pub fn leave(&self, layout: &Layout, job: &str) -> Result<(), PipelineError> {
        if self.context.is_empty() || self.context.len() > CONTEXT_BYTES_MAX {
            return Err(PipelineError::agent(format!(
                "the context of an annotation has 1 to {CONTEXT_BYTES_MAX} bytes"
            )));
        }
        let before = read(layout, job)?;
        if before.len() >= NOTES_MAX {
            let reason = format!("a job may annotate {NOTES_MAX} times");
            return Err(PipelineError::agent(reason));
        }
        let mut bytes = self.body.len();
        if self.is_more {
            let same = before.iter().filter(|note| note.context == self.context);
            bytes += same.map(|note| note.body.len()).sum::<usize>();
        }
        if bytes > BODY_BYTES_MAX {
            return Err(PipelineError::agent(format!(
                "annotation `{}` would be larger than {BODY_BYTES_MAX} bytes",
                self.context
            )));
        }
        let directory = notes_of(layout, job);
        fork_fs::create_dir_all(&directory)?;
        write_json(self, &directory.join(format!("{:04}.json", before.len())))
    }
}

/// The notes of a job, in the order in which it left them.
///
/// # Errors
///
/// Fails when they cannot be read.
pub fn read(layout: &Layout, job: &str) -> Result<Vec<Note>, PipelineError> {
    let directory = notes_of(layout, job);
    if !fork_fs::exists(&directory) {
        return Ok(Vec::new());
    }
    let mut notes = Vec::new();
    for name in fork_fs::sorted_names(&directory)? {
        let bytes = fork_fs::read_limited(&directory.join(name), NOTE_BYTES_MAX)?;
        // Another file than a note is nobody's note.
        notes.extend(serde_json::from_slice::<Note>(&bytes));
    }
    Ok(notes)
}

/// Forgets the notes of a job, which runs again.
///
/// # Errors
///
/// Fails when the disk refuses.
pub fn clear(layout: &Layout, job: &str) -> Result<(), PipelineError> {
    Ok(fork_fs::remove_dir_all(&notes_of(layout, job))?)
}

/// Puts notes together: `notes` holds the key of each step and what it left, in the plan's order.
#[must_use]
pub fn assembled(notes: &[(&str, &[Note])]) -> Vec<Annotation> {
    let mut order: Vec<&str> = Vec::new();
    let mut found: BTreeMap<&str, Annotation> = BTreeMap::new();
    for (step, notes) in notes {
        for note in *notes {
            if !order.contains(&note.context.as_str()) {
                order.push(&note.context);
            }
            let one = found.entry(&note.context).or_default();
            if !note.is_more {
                one.body.clear();
                one.steps.clear();
            }
            if one.body.len() + note.body.len() <= BODY_BYTES_MAX {
                one.body.push_str(&note.body);
            }
            if let Some(style) = &note.style {
                one.style.clone_from(style);
            }
            if !one.steps.iter().any(|known| known == step) {
                one.steps.push((*step).to_owned());
            }
        }
    }
    let named = |context: &str| {
        let mut one = found.remove(context)?;
        one.context = context.to_owned();
        one.path = format!("annotations/{}.md", file_name(context));
        if one.style.is_empty() {
            "default".clone_into(&mut one.style);
        }
        Some(one)
    };
    order.into_iter().filter_map(named).collect()
}

/// Writes the annotations, and removes those that nobody makes any more.
///
/// # Errors
///
/// Fails when the disk refuses.
pub fn write(output: &Path, annotations: &[Annotation]) -> Result<(), PipelineError> {
    let directory = output.join("annotations");
    if fork_fs::exists(&directory) {
        for name in fork_fs::sorted_names(&directory)? {
            let path = Path::new("annotations").join(&name);
            if !annotations.iter().any(|one| Path::new(&one.path) == path) {
                fork_fs::remove_all(&output.join(path))?;
            }
        }
    }
    for one in annotations {
        fork_fs::create_dir_all(&directory)?;
        fork_fs::write_atomic(&output.join(&one.path), one.body.as_bytes())?;
    }
    Ok(())
}

/// A context as a file's name: what is not plain becomes `%` and two digits.
fn file_name(context: &str) -> String {
    let mut name = String::new();
    for byte in context.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_put_together_in_the_order_of_the_plan() {
        let note = |context: &str, body: &str, is_more| Note {
            context: context.to_owned(),
            style: (body == "2").then(|| "error".to_owned()),
            is_more,
            body: body.to_owned(),
        };
        let first = [note("a/b", "1", false), note("a/b", "2", true)];
        let second = [note("c", "3", true), note("a/b", "4", true)];
        let all = assembled(&[("x", &first), ("y", &second)]);
        let show = |one: &Annotation| {
            let steps = one.steps.join("+");
            format!("{} {} {} {steps}", one.path, one.style, one.body)
        };
        let shown: Vec<String> = all.iter().map(show).collect();
        assert_eq!(
            shown,
            [
                "annotations/a%2fb.md error 124 x+y",
                "annotations/c.md default 3 y"
            ]
        );
        let third = [note("a/b", "5", false)];
        let all = assembled(&[("x", &first), ("y", &second), ("z", &third)]);
        assert_eq!(all[0].body, "5");
        assert_eq!(all[0].steps, ["z"]);
    }

    #[test]
    fn notes_have_limits() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout {
            output: directory.path().to_owned(),
        };
        let half = Note {
            context: "c".to_owned(),
            style: None,
            is_more: true,
            body: "x".repeat(BODY_BYTES_MAX / 2),
        };
        half.leave(&layout, "j").unwrap();
        half.leave(&layout, "j").unwrap();
        assert!(half.leave(&layout, "j").is_err());
        assert_eq!(read(&layout, "j").unwrap().len(), 2);
        clear(&layout, "j").unwrap();
        assert!(half.leave(&layout, "j").is_ok());
        let mut nameless = half;
        nameless.context.clear();
        assert!(nameless.leave(&layout, "j").is_err());
    }
}
