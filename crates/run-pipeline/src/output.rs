//! The output directory: one to begin in or to go on in, and nobody else's.

use std::path::{Path, PathBuf};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::history::History;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::state;

/// Everything that a run leaves at the top of its output directory.
const NAMES: [&str; 10] = [
    "annotations",
    "artifacts",
    "bin",
    "logs",
    "meta-data",
    "rehearsal",
    "state",
    "timing.html",
    "timing.json",
    "work",
];

/// What to do with an output directory that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing: it is refused.
    Refuse,
    /// Go on in it.
    GoOn,
    /// Remove what is in it.
    Replace,
}

/// Makes the output directory one to begin in, or to go on in. `needed` is what must not be removed with
/// it: each with what it is.
///
/// # Errors
///
/// Fails when the directory is not empty and nobody said what to do with it, when it is not the output
/// of a run, and when something that is needed is in it; then nothing has been removed.
pub(crate) fn prepare(
    output: &Path,
    existing: Existing,
    needed: &[(String, PathBuf)],
) -> Result<(), PipelineError> {
    let layout = Layout {
        output: output.to_owned(),
    };
    if fork_fs::exists(output) && !fork_fs::sorted_names(output)?.is_empty() {
        match existing {
            Existing::Refuse => {
                return Err(usage(format!(
                    "output directory `{}` is not empty; name another --output, or pass --resume to go on in it or --force to replace it",
                    output.display()
                )));
            }
            Existing::GoOn => {
                if !fork_fs::exists(&layout.state()) {
                    return Err(usage(format!(
                        "`{}` is not the output of a run, so there is nothing to go on from",
                        output.display()
                    )));
                }
                return Ok(());
            }
            Existing::Replace => replace(&layout, needed)?,
        }
    }
    // With it, whoever is killed from here on can go on.
    Ok(fork_fs::create_dir_all(&layout.state())?)
}

/// Empties the output of a run; what is remembered of earlier ones stays.
fn replace(layout: &Layout, needed: &[(String, PathBuf)]) -> Result<(), PipelineError> {
    let output = &layout.output;
    if let Some(reason) = foreign(layout)? {
        return Err(usage(format!(
            "`{}` is not the output of a run ({reason}), so --force does not remove it; name another --output, or remove it yourself",
            output.display()
        )));
    }
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let place = whole(output);
    if let Some((what, path)) = needed
        .iter()
        .find(|(_, path)| whole(path).starts_with(&place))
    {
        return Err(usage(format!(
            "{what} `{}` is in the output directory `{}`, and --force would remove it; name another --output, or move it away",
            path.display(),
            output.display()
        )));
    }
    // Not under the feet of a run that is still there.
    let history = History::read(layout);
    let _lock = state::lock(layout)?;
    state::stop_orphans(layout)?;
    fork_fs::remove_dir_all(output)?;
    if !history.0.is_empty() {
        history.write(layout)?;
    }
    Ok(())
}

/// Why a directory that is not empty is not the output of a run, or not of that alone.
fn foreign(layout: &Layout) -> Result<Option<String>, PipelineError> {
    if !layout.state().is_dir() {
        return Ok(Some("it has no directory `state`".to_owned()));
    }
    // A run that is killed may leave a file that it was just writing.
    let is_ours = |name: &str| {
        let name = name.split_once(".partial-").map_or(name, |(name, _)| name);
        NAMES.contains(&name.trim_start_matches('.')) || NAMES.contains(&name)
    };
    let names = fork_fs::sorted_names(&layout.output)?;
    let mut names = names.iter().map(|name| name.to_string_lossy());
    let other = names.find(|name| !is_ours(name));
    Ok(other.map(|name| format!("no run leaves `{name}`")))
}

/// What a run needs and what `--force` must not remove: where it was called, its pipeline, and what the
/// variables with these names name.
pub(crate) fn needed<'a>(
    here: &Path,
    file: &Path,
    environment: &Environment,
    names: impl Iterator<Item = &'a String>,
) -> Vec<(String, PathBuf)> {
    let mut needed = vec![
        ("the current directory".to_owned(), here.to_owned()),
        ("the pipeline".to_owned(), here.join(file)),
    ];
    for name in names {
        let value = environment.get(name).filter(|value| !value.is_empty());
        if let Some(path) = value.map(|value| here.join(path_of(value)))
            && fork_fs::exists(&path)
        {
            needed.push((format!("the value of {name},"), path));
        }
    }
    needed
}

/// The path in a value, whatever is said before it of what is there.
fn path_of(value: &str) -> &str {
    ["rootfs:", "oci:", "docker-archive:", "file://"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix))
        .unwrap_or(value)
}

fn usage(reason: String) -> PipelineError {
    PipelineErrorKind::Usage { reason }.into()
}
