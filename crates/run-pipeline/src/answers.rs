//! What persons answered to `block` and `input` steps, given on the command line and kept for the
//! next run into the same directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::layout::Layout;
use crate::pipeline::{Plan, Step};
use crate::state::write_json;

/// Largest file of answers read, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// What was answered, by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(BTreeMap<String, Given>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// Values of fields; none when the step has no fields.
    fields: BTreeMap<String, String>,
    /// Digest of what was there when the run came to the step: the answer is about that and nothing
    /// else. `None` until then.
    about: Option<String>,
}

/// An answer of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Key of the step.
    pub step: String,
    /// Key of the field; `None` when the step was only unblocked.
    pub field: Option<String>,
    /// The value.
    pub value: String,
}

impl Answers {
    fn path(layout: &Layout) -> PathBuf {
        // Not beside the records: a step may have the key `answers`.
        layout.state().join("answers/given.json")
    }

    /// What was answered in an output directory; what cannot be read is forgotten.
    #[must_use]
    pub fn read(layout: &Layout) -> Self {
        let bytes = fork_fs::read_limited(&Self::path(layout), BYTES_MAX);
        let answers = bytes.ok().map(|bytes| serde_json::from_slice(&bytes));
        answers.and_then(Result::ok).unwrap_or_default()
    }

    /// Keeps the answers for the next run.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn write(&self, layout: &Layout) -> Result<(), PipelineError> {
        let path = Self::path(layout);
        fork_fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        write_json(self, &path)
    }

    /// Takes answers of the command line, which win over what was answered before.
    ///
    /// # Errors
    ///
    /// Fails on a step that is none or asks nothing, and on an answer that does not fit its field.
    pub fn give(&mut self, given: &[Answer], plan: &Plan) -> Result<(), PipelineError> {
        let usage = |reason: String| PipelineError::from(PipelineErrorKind::Usage { reason });
        let mut by_step: BTreeMap<&str, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for answer in given {
            let fields = by_step.entry(&answer.step).or_default();
            if let Some(field) = &answer.field {
                let values = fields.entry(field.clone()).or_default();
                values.push(answer.value.clone());
            }
        }
        for (key, fields) in by_step {
            let gates = plan.steps.iter().filter(|step| step.gate.is_some());
            let gates: Vec<&str> = gates.map(|step| step.key.as_str()).collect();
            let step = plan.steps.iter().find(|step| step.key == key);
            let gate = step.and_then(|step| step.gate.as_ref()).ok_or_else(|| {
                usage(if gates.is_empty() {
                    format!("step `{key}` asks nothing, and no other step does")
                } else {
                    let gates = gates.join(", ");
                    format!("step `{key}` asks nothing; steps that do are {gates}")
                })
            })?;
            let filled = gate.fill(&fields);
            let filled = filled.map_err(|reason| usage(format!("step `{key}`: {reason}")))?;
            let given = Given {
                fields: filled,
                about: None,
            };
            self.0.insert(key.to_owned(), given);
        }
        Ok(())
    }

    /// Forgets what was answered to these steps.
    pub fn forget(&mut self, steps: &BTreeSet<String>) {
        self.0.retain(|key, _| !steps.contains(key));
    }

    /// What was answered to a step.
    #[must_use]
    pub fn of(&self, step: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(step).map(|given| &given.fields)
    }

    /// Takes the answers to a step that the run has come to; `about` is the digest of everything it
    /// depends on. Who said yes to one package has not said yes to another one.
    ///
    /// # Errors
    ///
    /// Says what is missing, and how to say it.
    pub fn take(&mut self, step: &Step, about: &str) -> Result<BTreeMap<String, String>, String> {
        let Some(gate) = &step.gate else {
            return Err("asks nothing".to_owned());
        };
        let Some(given) = self.0.get_mut(&step.key) else {
            return Err(how(step));
        };
        if given.about.as_ref().is_some_and(|before| before != about) {
            let reason = "what was answered was about other artifacts";
            return Err(format!("{reason}; {}", how(step)));
        }
        let lines = |text: &String| text.split('\n').map(str::to_owned).collect();
        let values = given.fields.iter();
        let values = values.map(|(field, text)| (field.clone(), lines(text)));
        if let Err(reason) = gate.fill(&values.collect()) {
            return Err(format!("{reason}; {}", how(step)));
        }
        given.about = Some(about.to_owned());
        Ok(given.fields.clone())
    }
}

/// How to answer, as options of the command line.
fn how(step: &Step) -> String {
    let gate = step.gate.iter().flat_map(|gate| &gate.fields);
    let needed = gate.filter(|field| field.required && field.default.is_empty());
    let options: Vec<String> = needed
        .map(|field| format!("--answer {}:{}=VALUE", step.key, field.key))
        .collect();
    let options = match options.as_slice() {
        [] => format!("--unblock {}", step.key),
        _ => options.join(" "),
    };
    let prompt = step.gate.as_ref().and_then(|gate| gate.prompt.as_ref());
    let prompt = prompt.unwrap_or(&step.label);
    format!("waits for an answer ({prompt}): go on with --resume {options}")
}
