//! Steps that wait for a person: `block` and `input`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use yaml_serde::{Mapping, Value};

use super::reader::StepReader;
use super::values::{entries, flag, items, members, unsupported};
use crate::error::PipelineError;

/// Most fields of one step.
const FIELDS_MAX: usize = 100;
/// Longest value of a field, in bytes; meta-data takes no more.
const VALUE_BYTES_MAX: usize = 100 << 10;

/// What a person is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The question.
    pub prompt: Option<String>,
    /// What is to be filled in.
    pub fields: Vec<Field>,
    /// Who may answer on Buildkite; nobody can check that here.
    pub allowed_teams: Vec<String>,
    /// An `input` step: others do not wait for it unless they name it.
    pub is_input: bool,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name of the meta-data that the value becomes.
    pub key: String,
    /// What to call it to people.
    pub label: String,
    /// Whether it must be filled in.
    pub required: bool,
    /// What it holds when nobody says anything.
    pub default: Vec<String>,
    /// What it may hold.
    pub kind: FieldKind,
}

/// What a field may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// A text; with a format, one that this regular expression matches as a whole.
    Text {
        /// The regular expression.
        format: Option<String>,
    },
    /// One of these values, or several.
    Select {
        /// The values.
        options: Vec<String>,
        /// Whether several may be chosen; meta-data has one on each line.
        multiple: bool,
    },
}

impl Gate {
    /// The values of the fields, after what was `given` (by field; several values where several may
    /// be chosen), then the defaults. A field without any has none.
    ///
    /// # Errors
    ///
    /// Says what is wrong with an answer, or which one is missing.
    pub fn fill(
        &self,
        given: &BTreeMap<String, Vec<String>>,
    ) -> Result<BTreeMap<String, String>, String> {
        let known: Vec<&str> = self.fields.iter().map(|field| field.key.as_str()).collect();
        if let Some(key) = given.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(match known.as_slice() {
                [] => format!("there is no field `{key}`: nothing is asked there"),
                _ => format!(
                    "there is no field `{key}`; the fields are {}",
                    known.join(", ")
                ),
            });
        }
        let mut filled = BTreeMap::new();
        for field in &self.fields {
            let values = given.get(&field.key).unwrap_or(&field.default);
            let values: Vec<&String> = values.iter().filter(|value| !value.is_empty()).collect();
            field.check(&values)?;
            if !values.is_empty() {
                let lines: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
                filled.insert(field.key.clone(), lines.join("\n"));
            }
        }
        Ok(filled)
    }
}

impl Field {
    fn check(&self, values: &[&String]) -> Result<(), String> {
        let Self { key, label, .. } = self;
        if values.is_empty() && self.required {
            return Err(format!("field `{key}` ({label}) needs an answer"));
        }
        if values.iter().any(|value| value.len() > VALUE_BYTES_MAX) {
            return Err(format!(
                "field `{key}`: longer than {VALUE_BYTES_MAX} bytes"
            ));
        }
        let several = matches!(self.kind, FieldKind::Select { multiple: true, .. });
        if values.len() > 1 && !several {
            return Err(format!("field `{key}` takes one answer"));
        }
        for value in values {
            match &self.kind {
                FieldKind::Text { format: None } => {}
                FieldKind::Text {
                    format: Some(format),
                } => {
                    if !whole(format)?.is_match(value) {
                        return Err(format!(
                            "field `{key}`: `{value}` is not of the form `{format}`"
                        ));
                    }
                }
                FieldKind::Select { options, .. } if options.contains(value) => {}
                FieldKind::Select { options, .. } => {
                    let options = options.join(", ");
                    return Err(format!("field `{key}`: `{value}` is none of {options}"));
                }
            }
        }
        Ok(())
    }
}

/// The regular expression for the whole text, as a browser takes a form's pattern.
fn whole(format: &str) -> Result<regex_lite::Regex, String> {
    regex_lite::Regex::new(&format!("^(?:{format})$"))
        .map_err(|error| format!("format `{format}`: {error}"))
}

impl StepReader<'_> {
    /// Reads the attributes of a `block` or `input` step that only such steps have.
    pub(super) fn gate(
        &self,
        mapping: &Mapping,
        is_input: bool,
        place: &str,
    ) -> Result<Gate, PipelineError> {
        let mut gate = Gate {
            is_input,
            ..Gate::default()
        };
        let kind = if is_input { "input" } else { "block" };
        for (attribute, value) in members(mapping) {
            match attribute.as_str() {
                "key" | "id" | "identifier" | "label" | "name" | "depends_on" => {}
                name if name == kind => {}
                "prompt" => gate.prompt = Some(self.text(value, place, "prompt")?),
                "fields" => {
                    for item in items(value) {
                        gate.fields.push(self.field(item, place)?);
                    }
                }
                "allowed_teams" => {
                    gate.allowed_teams = self.texts(value, place, "allowed_teams")?
                }
                // How the build is shown while it waits.
                "blocked_state"
                    if matches!(value.as_str(), Some("passed" | "failed" | "running")) => {}
                "type" if value.as_str() == Some(kind) => {}
                _ => return Err(unsupported(place, attribute)),
            }
        }
        let mut keys = BTreeSet::new();
        if let Some(twice) = gate.fields.iter().find(|field| !keys.insert(&field.key)) {
            let reason = format!("two fields have the key `{}`", twice.key);
            return Err(PipelineError::shape(place, reason));
        }
        if gate.fields.len() > FIELDS_MAX {
            let reason = format!("has more than {FIELDS_MAX} fields");
            return Err(PipelineError::shape(place, reason));
        }
        Ok(gate)
    }

    fn field(&self, value: &Value, place: &str) -> Result<Field, PipelineError> {
        let place = &format!("{place}, fields");
        let mut field = Field {
            key: String::new(),
            label: String::new(),
            required: true,
            default: Vec::new(),
            kind: FieldKind::Text { format: None },
        };
        let mut format = None;
        let (mut options, mut multiple, mut is_select) = (Vec::new(), false, false);
        for (attribute, value) in entries(Some(value), place)? {
            match attribute.as_str() {
                "text" => field.label = self.text(value, place, "text")?,
                "select" => {
                    field.label = self.text(value, place, "select")?;
                    is_select = true;
                }
                "key" => field.key = self.text(value, place, "key")?,
                "hint" => {}
                "required" => field.required = flag(value, place, "required")?,
                "default" => field.default = self.texts(value, place, "default")?,
                "format" => format = Some(self.text(value, place, "format")?),
                "multiple" => multiple = flag(value, place, "multiple")?,
                "options" => options = self.options(value, place)?,
                _ => return Err(unsupported(place, attribute)),
            }
        }
        let wrong = |reason: String| Err(PipelineError::shape(place, reason));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if field.key.is_empty() || !field.key.chars().all(plain) {
            return wrong(format!(
                "the key `{}` may hold letters, digits, `-`, `_` and `/` only, and must not be missing",
                field.key
            ));
        }
        field.kind = match (is_select, &format) {
            (true, None) if !options.is_empty() => FieldKind::Select { options, multiple },
            (true, _) => return wrong(format!("select `{}` needs options", field.key)),
            (false, _) if multiple || !options.is_empty() => {
                return wrong(format!("text `{}` has no options", field.key));
            }
            (false, _) => FieldKind::Text { format },
        };
        if let FieldKind::Text {
            format: Some(format),
        } = &field.kind
            && let Err(reason) = whole(format)
        {
            return wrong(reason);
        }
        let defaults: Vec<&String> = field.default.iter().collect();
        if !defaults.is_empty()
            && let Err(reason) = field.check(&defaults)
        {
            return wrong(format!("default: {reason}"));
        }
        Ok(field)
    }

    fn options(&self, value: &Value, place: &str) -> Result<Vec<String>, PipelineError> {
        let mut options = Vec::new();
        for item in items(value) {
            let mut found = None;
            for (attribute, value) in entries(Some(item), place)? {
                match attribute.as_str() {
                    "label" | "hint" => {}
                    "value" => found = Some(self.text(value, place, "value")?),
                    _ => return Err(unsupported(place, format!("options.{attribute}"))),
                }
            }
            let missing = || PipelineError::shape(place, "an option has no value");
            options.push(
                found
                    .filter(|value| !value.is_empty())
                    .ok_or_else(missing)?,
            );
        }
        Ok(options)
    }
}
