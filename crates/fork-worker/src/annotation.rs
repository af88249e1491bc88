//! What a run leaves for the person who looks at the pipeline: a section of Markdown, added to a file
//! that `pipeline-step annotate` hands to the agent.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fork_types::Fault;

use crate::markdown::{Table, escaped, fenced, shortened};
use crate::{peak_memory_bytes, print, text};

/// Name of the variable that names the file.
pub const VARIABLE: &str = "FORKPACK_ANNOTATION";

/// Largest file of annotations in bytes. Buildkite takes 1 MiB.
pub const ANNOTATION_BYTES_MAX: u64 = 1_000_000;

/// Most characters of a text that is repeated whole.
const TEXT_CHARS_MAX: usize = 16_000;

/// Most tables of a run.
const TABLES_MAX: usize = 16;

/// What is to be said of a run, while it runs.
#[derive(Debug)]
pub(crate) struct Annotation {
    file: OsString,
    name: &'static str,
    started: Instant,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    tables: Vec<Table>,
    /// The result for people, for want of a table.
    human: String,
}

impl Annotation {
    /// An annotation of a run that starts now; none when no file is named.
    pub(crate) fn new(file: Option<&OsString>, name: &'static str) -> Option<Self> {
        let file = file.filter(|file| !file.is_empty())?;
        Some(Self {
            file: file.clone(),
            name,
            started: Instant::now(),
            content: Mutex::default(),
        })
    }

    pub(crate) fn add(&self, table: Table) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if content.tables.len() < TABLES_MAX {
            content.tables.push(table);
        }
    }

    pub(crate) fn said(&self, human: &str) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.human = shortened(human, TEXT_CHARS_MAX);
    }

    /// Adds the section to the file. What cannot be written is no reason to fail.
    pub(crate) fn end(&self, failed_to: &str, fault: Option<&dyn Fault>) {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let mut section = match fault {
            None => format!("### {}: done\n\n", escaped(self.name)),
            Some(fault) => format!(
                "### {}: failed ({}, exit code {})\n\n{}\n",
                escaped(self.name),
                escaped(fault.class().name()),
                fault.class().exit_code(),
                fenced(&shortened(&words(failed_to, fault), TEXT_CHARS_MAX))
            ),
        };
        for table in &content.tables {
            section.push_str(&table.to_markdown());
            section.push('\n');
        }
        if content.tables.is_empty() && !content.human.trim().is_empty() {
            section.push_str(&fenced(&content.human));
            section.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write!(section, "{:.1} s", self.started.elapsed().as_secs_f64());
        if let Some(bytes) = peak_memory_bytes() {
            let _ = write!(section, ", at most {} of memory", text::size(bytes));
        }
        section.push_str("\n\n");
        append(Path::new(&self.file), &section);
    }
}

/// Adds what a command line is refused for, of which no worker exists yet.
pub(crate) fn refused(file: Option<OsString>, name: &str, message: &str) {
    let Some(file) = file.filter(|file| !file.is_empty()) else {
        return;
    };
    let section = format!(
        "### {}: failed (usage, exit code 2)\n\n{}\n",
        escaped(name),
        fenced(&shortened(
            &print::without_passwords(message),
            TEXT_CHARS_MAX
        ))
    );
    append(Path::new(&file), &section);
}

/// The error, its causes and the hint, a line each.
fn words(failed_to: &str, fault: &dyn Fault) -> String {
    let chain = print::chain(fault);
    let mut text = format!("{failed_to}: {}", chain[0]);
    for cause in &chain[1..] {
        let _ = write!(text, "\nbecause: {cause}");
    }
    if let Some(hint) = fault.hint() {
        let _ = write!(text, "\n\nhint: {hint}");
    }
    print::without_passwords(&text).into_owned()
}

fn append(path: &Path, section: &str) {
    match fork_fs::append_limited(path, section.as_bytes(), ANNOTATION_BYTES_MAX) {
        Ok(true) => {}
        Ok(false) => print::stderr(&format!(
            "the annotation `{}` is full; this run is not in it",
            path.display()
        )),
        Err(error) => print::stderr(&format!(
            "no annotation: {}",
            print::chain(&error).join(": ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UsageError;

    fn text(content: impl FnOnce(&Annotation), fault: Option<&dyn Fault>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("note.md");
        let annotation = Annotation::new(Some(&file.clone().into()), "worker").unwrap();
        content(&annotation);
        annotation.end("failed to work", fault);
        String::from_utf8(fork_fs::read_limited(&file, 1 << 21).unwrap()).unwrap()
    }

    #[test]
    fn tables_come_before_the_text_that_stands_in_for_them() {
        let with = text(
            |note| {
                note.said("many words");
                note.add(Table::of_facts().fact("root", "a|b"));
            },
            None,
        );
        assert!(
            with.starts_with("### worker: done\n\n|  |  |\n|---|---|\n| root | a&#124;b |\n\n")
        );
        assert!(with.contains(" of memory\n"), "{with}");
        assert!(!with.contains("many words"));
        let without = text(|note| note.said("many words"), None);
        assert!(without.contains("```text\nmany words\n```"), "{without}");
    }

    #[test]
    fn an_error_is_told_with_causes_hint_and_class() {
        let error = UsageError::new("`x` is *wrong*", "write `y`");
        let failed = text(|_| {}, Some(&error));
        assert!(
            failed.starts_with(
                "### worker: failed (usage, exit code 2)\n\n```text\n\
                 failed to work: `x` is *wrong*\n\nhint: write `y`\n```\n"
            ),
            "{failed}"
        );
    }

    #[test]
    fn a_long_text_is_cut_and_the_file_has_a_limit() {
        let long = text(|note| note.said(&"a".repeat(TEXT_CHARS_MAX * 2)), None);
        assert!(long.contains("(cut: see the log)"));
        assert!(long.len() < TEXT_CHARS_MAX + 200);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("note.md");
        for _ in 0..65 {
            refused(
                Some(file.clone().into()),
                "worker",
                &"a".repeat(TEXT_CHARS_MAX),
            );
        }
        let bytes = fork_fs::file_bytes(&file).unwrap();
        assert!((900_000..=ANNOTATION_BYTES_MAX).contains(&bytes), "{bytes}");
    }

    #[test]
    fn no_file_no_annotation() {
        assert!(Annotation::new(None, "worker").is_none());
        assert!(Annotation::new(Some(&OsString::new()), "worker").is_none());
    }
}
