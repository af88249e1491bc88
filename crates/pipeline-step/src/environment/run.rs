//! The command `check-env`.

use fork_fs::StagedDir;
use fork_worker::markdown::Table;
use fork_worker::text::{chars, clipped, wrapped};
use fork_worker::{Context, OutputFormat, WorkerResult};

use super::explain::{as_json, as_markdown, as_text};
use super::report::{EnvironmentDocument, EnvironmentError, Origin};
use super::{Variables, check};
use crate::args::CheckEnvArgs;

/// Widest value in the table for people; the rest is in the JSON form.
const VALUE_CHARS_MAX: usize = 70;

impl CheckEnvArgs {
    pub(crate) fn run(&self, variables: &Variables, context: &Context) -> WorkerResult {
        if self.explain {
            let text = if self.markdown {
                as_markdown()
            } else {
                as_text()
            };
            context.emit(&text, &as_json())?;
            return Ok(());
        }
        let document = check(variables);
        context.annotate(|| table(&document));
        if !document.problems.is_empty() {
            if context.format() == OutputFormat::Json {
                context.emit("", &document)?;
            }
            let problems = document.problems;
            return Err(EnvironmentError { problems }.into());
        }
        if let Some(output) = &self.output {
            let staged = StagedDir::create(output, self.force)?;
            staged.write_document(&document)?;
            staged.commit()?;
        }
        context.emit(&human(&document), &document)?;
        Ok(())
    }
}

fn origin(origin: Origin, from: Option<&str>) -> String {
    match (origin, from) {
        (Origin::Given, Some(old_name)) => format!("given as {old_name}"),
        (Origin::Given, None) => "given".to_owned(),
        (Origin::Default, _) => "default".to_owned(),
        (Origin::Unset, _) => "the step decides".to_owned(),
    }
}

/// What will be used, for people. Variables that nobody set are left out: the contract lists them.
#[must_use]
pub(crate) fn human(document: &EnvironmentDocument) -> String {
    let set = || {
        document
            .variables
            .iter()
            .filter(|used| used.origin != Origin::Unset)
    };
    let name_width = set().map(|used| chars(&used.name)).max().unwrap_or(0);
    let mut text = String::new();
    for used in set() {
        let value = clipped(&used.value, VALUE_CHARS_MAX);
        let origin = origin(used.origin, used.from.as_deref());
        text.push_str(&format!(
            "{:<name_width$}  {value}  ({origin})\n",
            used.name
        ));
    }
    text.push_str(&format!(
        "\nfork point  {}\nrule        {}\n",
        document.source.as_deref().unwrap_or("not clear"),
        document.rule.as_deref().unwrap_or("none")
    ));
    for note in &document.notes {
        let note = wrapped(note, "            ", 100);
        text.push_str(&format!("note        {}", note.trim_start()));
    }
    text.push_str("the environment can be used\n");
    text
}

fn table(document: &EnvironmentDocument) -> Table {
    if document.problems.is_empty() {
        let mut table = Table::new(["variable", "value", "from"]);
        for used in document
            .variables
            .iter()
            .filter(|used| used.origin != Origin::Unset)
        {
            let origin = origin(used.origin, used.from.as_deref());
            table.push(&[used.name.clone(), used.value.clone(), origin]);
        }
        for note in &document.notes {
            table.push(&["note".to_owned(), note.clone(), String::new()]);
        }
        return table;
    }
    let mut table = Table::new(["variable", "problem", "found", "expected", "do"]);
    for problem in &document.problems {
        table.push(&[
            problem.variable.clone(),
            problem.problem.clone(),
            problem.found.clone().unwrap_or_default(),
            problem.expected.clone(),
            problem.advice.clone(),
        ]);
    }
    table
}
