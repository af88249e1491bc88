//! The stand-in for `buildkite-agent` that steps find first on their `PATH`.
//!
//! It knows `artifact download|upload|shasum`, `meta-data set|get|exists`, `annotate` and `pipeline
//! upload`, enough for a pipeline to mean the same on one machine. It is `run-pipeline` itself under
//! another name and learns about the run from four variables.
//!
//! One thing is stricter than on Buildkite: a step sees the artifacts of the steps it depends on
//! (directly or not) and no others. On Buildkite it would see whatever happens to be there already.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use fork_fs::Operation;

use crate::annotations::{BODY_BYTES_MAX, Note};
use crate::artifacts::Store;
use crate::error::PipelineError;
use crate::fingerprint::is_secret;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::pipeline::{Addition, PIPELINE_BYTES_MAX, Pipeline};
use crate::uploads;

/// The name the stand-in is called by.
pub const AGENT_NAME: &str = "buildkite-agent";
/// The run's output directory.
pub const OUTPUT_VARIABLE: &str = "RUN_PIPELINE_OUTPUT";
/// Keys of the steps whose artifacts are visible, separated by commas.
pub const VISIBLE_VARIABLE: &str = "RUN_PIPELINE_VISIBLE_STEPS";
/// Key of the running step; the agent sets it too.
pub const STEP_VARIABLE: &str = "BUILDKITE_STEP_KEY";
/// What it is called to people.
pub const LABEL_VARIABLE: &str = "BUILDKITE_LABEL";
/// Name of the running job in files.
pub const JOB_VARIABLE: &str = "RUN_PIPELINE_JOB";

/// Largest value of one meta-data key, in bytes; the agent's own limit is of this order.
const META_DATA_BYTES_MAX: u64 = 100 << 10;

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
    /// Shows a note: `annotations/<context>.md` in the output, and on the page of the run.
    Annotate(Annotate),
    /// Changes the run.
    #[command(subcommand)]
    Pipeline(PipelineCommand),
}

#[derive(Debug, Subcommand)]
enum PipelineCommand {
    /// Adds the steps of a pipeline to the run, after this step.
    Upload(Upload),
}

#[derive(Debug, Args)]
struct Upload {
    /// The pipeline [default: standard input].
    file: Option<PathBuf>,
    /// Take variables as they are written.
    #[arg(long)]
    no_interpolation: bool,
    /// Refuse pipelines with the value of a secret in them; that is always so here.
    #[arg(long)]
    reject_secrets: bool,
    /// Not supported here.
    #[arg(long)]
    replace: bool,
    /// Not supported here.
    #[arg(long)]
    dry_run: bool,
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
    /// Prints the digest of an artifact.
    Shasum {
        /// Pattern over artifact paths; one artifact must match.
        query: String,
        /// Only artifacts of the step with this key.
        #[arg(long, value_name = "KEY")]
        step: Option<String>,
        /// SHA-256; the agent's SHA-1 is not supported here.
        #[arg(long)]
        sha256: bool,
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
    /// The text, in Markdown [default: standard input].
    body: Option<String>,
    /// Name of the note.
    #[arg(long, default_value = "default")]
    context: String,
    /// Colour of the note.
    #[arg(long, value_parser = ["default", "info", "success", "warning", "error"])]
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
            Command::Artifact(command) => command.run(&layout, output)?,
            Command::MetaData(command) => return command.run(&layout, output),
            Command::Annotate(note) => note.run(&layout, output)?,
            Command::Pipeline(PipelineCommand::Upload(upload)) => upload.run(&layout, output)?,
        }
        Ok(0)
    }
}

impl Annotate {
    fn run(self, layout: &Layout, output: &mut dyn Write) -> Result<(), PipelineError> {
        let body = match self.body {
            Some(body) => body,
            None => text_of_input(BODY_BYTES_MAX)?,
        };
        let again = if self.append { " (more)" } else { "" };
        let style = self.style.as_deref().unwrap_or("default");
        let line = format!("note {} [{style}]{again}: {body}", self.context);
        let note = Note {
            context: self.context,
            style: self.style,
            is_more: self.append,
            body,
        };
        note.leave(layout, &variable(JOB_VARIABLE)?)?;
        print(output, &line)
    }
}

impl Upload {
    fn run(self, layout: &Layout, output: &mut dyn Write) -> Result<(), PipelineError> {
        for (option, is_set) in [("--replace", self.replace), ("--dry-run", self.dry_run)] {
            if is_set {
                return Err(PipelineError::agent(format!(
                    "pipeline upload {option} is not supported by the local runner"
                )));
            }
        }
        let limit = usize::try_from(PIPELINE_BYTES_MAX).unwrap_or(usize::MAX);
        let pipeline = match &self.file {
            Some(file) => Pipeline::load(file)?,
            None => {
                let text = text_of_input(limit)?;
                if text.trim().is_empty() {
                    return Err(PipelineError::agent(
                        "pipeline upload: standard input is empty; name a file, or write the pipeline there",
                    ));
                }
                Pipeline::parse(text.as_bytes())?
            }
        };
        let job = variable(JOB_VARIABLE)?;
        let before = uploads::read(layout, &job)?;
        let count = before.iter().map(|one| one.steps.len()).sum();
        let environment: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let replaced = (!self.no_interpolation).then_some(&environment);
        // No key that a file gives has a full stop in it.
        let addition = pipeline.addition(replaced, &format!("{job}."), count)?;
        refuse_secrets(&addition, &environment)?;
        uploads::leave(layout, &job, &addition)?;
        let count = addition.steps.len();
        print(
            output,
            &format!("uploaded {count} jobs, which start after this step"),
        )
    }
}

/// Uploads are written to the run's state and shown, so no secret may be in one. Short values are no
/// secrets worth the name, and would be found everywhere.
fn refuse_secrets(addition: &Addition, environment: &Environment) -> Result<(), PipelineError> {
    const SECRET_BYTES_MIN: usize = 6;
    let text = format!("{addition:?}");
    for (name, value) in environment {
        let escaped = format!("{value:?}");
        let inside = escaped.trim_matches('"');
        if is_secret(name) && value.len() >= SECRET_BYTES_MIN && text.contains(inside) {
            return Err(PipelineError::agent(format!(
                "pipeline upload: the value of the secret `{name}` is in the pipeline; write $${name}, which the step replaces"
            )));
        }
    }
    Ok(())
}

/// Standard input as a text.
fn text_of_input(bytes_max: usize) -> Result<String, PipelineError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    std::io::stdin()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| {
            PipelineError::io(Operation::Read, Path::new("standard input"), source)
        })?;
    if bytes.len() > bytes_max {
        let reason = format!("standard input has more than {bytes_max} bytes");
        return Err(PipelineError::agent(reason));
    }
    String::from_utf8(bytes).map_err(|_| PipelineError::agent("standard input is not UTF-8"))
}

/// Keys of the steps whose artifacts the running one may use; of the named one if it is among them.
fn visible(step: Option<String>) -> Result<Vec<String>, PipelineError> {
    let visible = variable(VISIBLE_VARIABLE)?;
    let visible: Vec<String> = visible
        .split(',')
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect();
    match step {
        None => Ok(visible),
        Some(step) if visible.contains(&step) => Ok(vec![step]),
        Some(step) => Err(PipelineError::agent(format!(
            "this step does not depend on `{step}`, so its artifacts are not visible"
        ))),
    }
}

impl Artifact {
    fn run(self, layout: &Layout, output: &mut dyn Write) -> Result<(), PipelineError> {
        let store = Store::new(layout.clone());
        match self {
            Self::Upload { pattern } => {
                let kept = layout.kept(&variable(JOB_VARIABLE)?, &variable(STEP_VARIABLE)?);
                for pattern in pattern.split(';').map(str::trim).filter(|p| !p.is_empty()) {
                    let count = Store::upload(&kept, Path::new("."), pattern, false)?;
                    if count == 0 {
                        return Err(PipelineError::agent(format!("no file matches `{pattern}`")));
                    }
                    print(output, &format!("kept {count} artifacts ({pattern})"))?;
                }
            }
            Self::Download {
                query,
                destination,
                step,
            } => {
                let steps = visible(step)?;
                check_destination(&query, &destination)?;
                let (count, bytes) = store.download(&steps, &query, &destination)?;
                print(
                    output,
                    &format!("downloaded {count} artifacts, {bytes} bytes ({query})"),
                )?;
            }
            Self::Shasum { sha256: false, .. } => {
                let reason =
                    "artifact shasum without --sha256 is not supported by the local runner";
                return Err(PipelineError::agent(reason));
            }
            Self::Shasum { query, step, .. } => {
                let found = store.find(&visible(step)?, &query)?;
                let [(_, path)] = found.as_slice() else {
                    let count = found.len();
                    let reason = format!("{count} artifacts match `{query}`; one must");
                    return Err(PipelineError::agent(reason));
                };
                print(output, &fork_fs::sha256_file(path)?.sha256)?;
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
            Self::Set { key, value } => set_meta_data(layout, &key, &value)?,
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

/// Sets a value for later steps.
pub(crate) fn set_meta_data(layout: &Layout, key: &str, value: &str) -> Result<(), PipelineError> {
    let path = fork_fs::child(&layout.meta_data(), key)?;
    if let Some(parent) = path.parent() {
        fork_fs::create_dir_all(parent)?;
    }
    Ok(fork_fs::write_atomic(&path, value.as_bytes())?)
}

fn variable(name: &str) -> Result<String, PipelineError> {
    std::env::var(name).map_err(|_| {
        PipelineError::agent(format!("{name} is not set: this works only inside a step"))
    })
}

fn print(output: &mut dyn Write, line: &str) -> Result<(), PipelineError> {
    writeln!(output, "{line}")
        .map_err(|source| PipelineError::io(Operation::Write, Path::new("standard output"), source))
}
