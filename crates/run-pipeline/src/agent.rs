//! The stand-in for `buildkite-agent` that steps find first on their `PATH`.
//!
//! It knows `artifact download|upload`, `meta-data set|get|exists` and `annotate`, enough for a
//! pipeline to mean the same on one machine. It is `run-pipeline` itself under another name and
//! learns about the run from three variables.
//!
//! One thing is stricter than on Buildkite: a step sees the artifacts of the steps it depends on
//! (directly or not) and no others. On Buildkite it would see whatever happens to be there already.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::artifacts::Store;
use crate::error::PipelineError;
use crate::layout::Layout;

/// The name the stand-in is called by.
pub const AGENT_NAME: &str = "buildkite-agent";
/// The run's output directory.
pub const OUTPUT_VARIABLE: &str = "RUN_PIPELINE_OUTPUT";
/// Keys of the steps whose artifacts are visible, separated by commas.
pub const VISIBLE_VARIABLE: &str = "RUN_PIPELINE_VISIBLE_STEPS";
/// Key of the running step; the agent sets it too.
pub const STEP_VARIABLE: &str = "BUILDKITE_STEP_KEY";

/// Largest value of one meta-data key, in bytes; the agent's own limit is of this order.
const META_DATA_BYTES_MAX: u64 = 100 << 10;

/// Largest annotation in bytes; the agent's own limit.
const ANNOTATION_BYTES_MAX: u64 = 1 << 20;

/// Local stand-in for the Buildkite agent's job commands.
#[derive(Debug, Parser)]
#[command(name = AGENT_NAME, version)]
pub struct Agent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hands files from step to step.
    #[command(subcommand)]
    Artifact(Artifact),
    /// Hands short texts from step to step.
    #[command(subcommand)]
    MetaData(MetaData),
    /// Shows a note; here it goes to the step's log.
    Annotate(Annotate),
}

#[derive(Debug, Subcommand)]
enum Artifact {
    /// Copies artifacts of earlier steps into the working directory.
    Download {
        /// Pattern over artifact paths.
        query: String,
        /// Directory to put them below.
        destination: PathBuf,
        /// Only artifacts of the step with this key.
        #[arg(long, value_name = "KEY")]
        step: Option<String>,
    },
    /// Keeps files as artifacts of this step.
    Upload {
        /// Patterns over paths in the working directory, separated by semicolons.
        pattern: String,
    },
}

#[derive(Debug, Subcommand)]
enum MetaData {
    /// Sets a value.
    Set {
        /// Its name.
        key: String,
        /// The value.
        value: String,
    },
    /// Prints a value.
    Get {
        /// Its name.
        key: String,
        /// What to print when it was never set.
        #[arg(long)]
        default: Option<String>,
    },
    /// Succeeds when a value was set (exit code 100 when not, as the agent does).
    Exists {
        /// Its name.
        key: String,
    },
}

#[derive(Debug, Args)]
struct Annotate {
    /// The text; read from standard input when there is none, as the agent does.
    body: Option<String>,
    /// Name of the note.
    #[arg(long)]
    context: Option<String>,
    /// Colour of the note.
    #[arg(long)]
    style: Option<String>,
    /// Add to the note instead of replacing it.
    #[arg(long)]
    append: bool,
}

/// Exit code of `meta-data exists` for a key that was never set.
const EXIT_META_DATA_MISSING: u8 = 100;

impl Agent {
    /// Does what was asked, with results on `output`; returns the exit code.
    ///
    /// # Errors
    ///
    /// Fails outside a run, and as the commands do.
    pub fn run(self, output: &mut dyn Write) -> Result<u8, PipelineError> {
        let layout = Layout {
            output: variable(OUTPUT_VARIABLE)?.into(),
        };
        match self.command {
            Command::Artifact(command) => command.run(&Store::new(layout), output)?,
            Command::MetaData(command) => return command.run(&layout, output),
            Command::Annotate(note) => {
                let context = note.context.unwrap_or_else(|| "default".to_owned());
                let style = note.style.unwrap_or_else(|| "default".to_owned());
                let body = match note.body {
                    Some(body) => body,
                    None => annotation_body(std::io::stdin().lock())?,
                };
                let again = if note.append { " (more)" } else { "" };
                print(output, &format!("note {context} [{style}]{again}: {body}"))?;
            }
        }
        Ok(0)
    }
}

/// An annotation from a file or pipe, as far as Buildkite would take it.
fn annotation_body(input: impl Read) -> Result<String, PipelineError> {
    let mut body = Vec::new();
    input
        .take(ANNOTATION_BYTES_MAX + 1)
        .read_to_end(&mut body)
        .map_err(|error| PipelineError::agent(format!("could not read the note: {error}")))?;
    if body.len() as u64 > ANNOTATION_BYTES_MAX {
        return Err(PipelineError::agent(format!(
            "the note has more than {ANNOTATION_BYTES_MAX} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

impl Artifact {
    fn run(self, store: &Store, output: &mut dyn Write) -> Result<(), PipelineError> {
        match self {
            Self::Upload { pattern } => {
                let step = variable(STEP_VARIABLE)?;
                for pattern in pattern.split(';').map(str::trim).filter(|p| !p.is_empty()) {
                    let kept = store.upload(&step, Path::new("."), pattern, false)?;
                    if kept == 0 {
                        return Err(PipelineError::agent(format!("no file matches `{pattern}`")));
                    }
                    print(output, &format!("kept {kept} artifacts ({pattern})"))?;
                }
            }
            Self::Download {
                query,
                destination,
                step,
            } => {
                let visible = variable(VISIBLE_VARIABLE)?;
                let visible: Vec<String> = visible
                    .split(',')
                    .filter(|key| !key.is_empty())
                    .map(str::to_owned)
                    .collect();
                let steps = match step {
                    None => visible,
                    Some(step) if visible.contains(&step) => vec![step],
                    Some(step) => {
                        return Err(PipelineError::agent(format!(
                            "this step does not depend on `{step}`, so its artifacts are not visible"
                        )));
                    }
                };
                check_destination(&query, &destination)?;
                let (count, bytes) = store.download(&steps, &query, &destination)?;
                print(
                    output,
                    &format!("downloaded {count} artifacts, {bytes} bytes ({query})"),
                )?;
            }
        }
        Ok(())
    }
}

/// The agent drops the last component of the destination when it equals the first one of the
/// query; nobody expects that, so such a pair is refused.
fn check_destination(query: &str, destination: &Path) -> Result<(), PipelineError> {
    let last = destination.file_name().and_then(|name| name.to_str());
    if last.is_some() && last == query.split('/').next() {
        return Err(PipelineError::agent(format!(
            "the destination `{}` ends as the query begins; use `.`",
            destination.display()
        )));
    }
    Ok(())
}

impl MetaData {
    fn run(self, layout: &Layout, output: &mut dyn Write) -> Result<u8, PipelineError> {
        let directory = layout.meta_data();
        let (Self::Set { key, .. } | Self::Get { key, .. } | Self::Exists { key }) = &self;
        let path = fork_fs::child(&directory, key)?;
        match self {
            Self::Set { value, .. } => {
                if let Some(parent) = path.parent() {
                    fork_fs::create_dir_all(parent)?;
                }
                fork_fs::write_atomic(&path, value.as_bytes())?;
            }
            Self::Get { key, default } => {
                let value = if fork_fs::exists(&path) {
                    let bytes = fork_fs::read_limited(&path, META_DATA_BYTES_MAX)?;
                    String::from_utf8_lossy(&bytes).into_owned()
                } else {
                    default.ok_or_else(|| {
                        PipelineError::agent(format!("meta-data `{key}` was never set"))
                    })?
                };
                print(output, &value)?;
            }
            Self::Exists { .. } if !fork_fs::exists(&path) => return Ok(EXIT_META_DATA_MISSING),
            Self::Exists { .. } => {}
        }
        Ok(0)
    }
}

fn variable(name: &str) -> Result<String, PipelineError> {
    std::env::var(name).map_err(|_| {
        PipelineError::agent(format!("{name} is not set: this works only inside a step"))
    })
}

fn print(output: &mut dyn Write, line: &str) -> Result<(), PipelineError> {
    writeln!(output, "{line}").map_err(|source| {
        PipelineError::io(
            fork_fs::Operation::Write,
            Path::new("standard output"),
            source,
        )
    })
}
