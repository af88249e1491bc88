//! The artifacts of a run: what steps leave, and the only way for another step to see it.

// Links, renames and copies between two directories of the same run: `fork-fs` has no such thing,
// and nothing here is a result before the step's outcome is known.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::glob::Pattern;
use crate::layout::Layout;

/// Deepest directory below a step's working directory that is searched.
const DEPTH_MAX: usize = 32;

/// A file a step left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Path as the step knew it.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

impl Artifact {
    fn at(kept: &Path, path: String) -> Result<Self, PipelineError> {
        let digested = fork_fs::sha256_file(&kept.join(&path))?;
        Ok(Self {
            path,
            bytes: digested.bytes,
            sha256: digested.sha256,
        })
    }
}

/// The artifact store of a run: plain directories below its output.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
}

impl Store {
    /// The store of a run.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Keeps the files below `directory` that match `pattern`, in the directory `kept`. With `take`
    /// they are moved, which costs nothing however large they are. Returns how many there were.
    ///
    /// # Errors
    ///
    /// Fails on a malformed pattern and when a file cannot be read or kept.
    pub fn upload(
        kept: &Path,
        directory: &Path,
        pattern: &str,
        take: bool,
    ) -> Result<usize, PipelineError> {
        let pattern = Pattern::parse(pattern).map_err(PipelineError::agent)?;
        let mut count = 0;
        for path in files_below(directory)? {
            if !pattern.matches(&path) {
                continue;
            }
            let source = directory.join(&path);
            let target = kept.join(&path);
            make_parent(&target)?;
            let is_link = source.is_symlink();
            if take && !is_link {
                fs::rename(&source, &target)
                    .map_err(|error| FsError::io(Operation::Rename, &target, error))?;
            } else {
                copy(&source, &target)?;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Puts what one of several jobs of a step left, in `staged`, to the artifacts of the step.
    /// `owners` has the name of the job for every path that one of them left in this run.
    ///
    /// # Errors
    ///
    /// Fails when a file of one job would be a directory of another one's, and when the store cannot be
    /// written to.
    pub fn merge(
        &self,
        staged: &Path,
        step: &str,
        artifacts: &[Artifact],
        owners: &BTreeMap<String, String>,
    ) -> Result<(), PipelineError> {
        let kept = self.layout.artifacts(step);
        for Artifact { path, .. } in artifacts {
            clear_way(&kept, path, owners)?;
            let target = kept.join(path);
            make_parent(&target)?;
            fs::rename(staged.join(path), &target)
                .map_err(|error| FsError::io(Operation::Rename, &target, error))?;
        }
        Ok(fork_fs::remove_dir_all(staged)?)
    }

    /// Removes the artifacts of a step that none of its jobs left: those of a run that was killed, or
    /// of a matrix that was another one.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read or written to.
    pub fn sweep(&self, step: &str, left: &BTreeMap<String, String>) -> Result<(), PipelineError> {
        let kept = self.layout.artifacts(step);
        for path in files_below(&kept)? {
            if !left.contains_key(&path) {
                fork_fs::remove_all(&kept.join(&path))?;
            }
        }
        Ok(())
    }

    /// The artifacts of `steps` whose path matches `query`: that path, and where the file is.
    ///
    /// # Errors
    ///
    /// Fails when nothing matches, and when two of the steps left a file of the same path.
    pub fn find(
        &self,
        steps: &[String],
        query: &str,
    ) -> Result<Vec<(String, PathBuf)>, PipelineError> {
        let pattern = Pattern::parse(query).map_err(PipelineError::agent)?;
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for step in steps {
            let kept = self.layout.artifacts(step);
            for path in files_below(&kept)? {
                if !pattern.matches(&path) {
                    continue;
                }
                if found.iter().any(|(other, _)| *other == path) {
                    return Err(PipelineError::agent(format!(
                        "two steps left an artifact `{path}`; choose one with --step"
                    )));
                }
                let source = kept.join(&path);
                found.push((path, source));
            }
        }
        if found.is_empty() {
            let steps = steps.join("`, `");
            return Err(PipelineError::agent(format!(
                "no artifact of `{steps}` matches `{query}`"
            )));
        }
        Ok(found)
    }

    /// Copies the artifacts of `steps` whose path matches `query` below `destination`. Returns how
    /// many there were, and their size in bytes.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::find`], and when a file cannot be copied.
    pub fn download(
        &self,
        steps: &[String],
        query: &str,
        destination: &Path,
    ) -> Result<(usize, u64), PipelineError> {
        let found = self.find(steps, query)?;
        let mut bytes = 0;
        for (path, source) in &found {
            let target = destination.join(path);
            make_parent(&target)?;
            copy(source, &target)?;
            bytes += fork_fs::file_bytes(&target)?;
        }
        Ok((found.len(), bytes))
    }

    /// Everything in the directory `kept`, sorted by path.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    pub fn list(kept: &Path) -> Result<Vec<Artifact>, PipelineError> {
        files_below(kept)?
            .into_iter()
            .map(|path| Artifact::at(kept, path))
            .collect()
    }

    /// Whether these artifacts of a step are here, and no others when it `is_only` job of the step.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn holds(
        &self,
        step: &str,
        artifacts: &[Artifact],
        is_only: bool,
    ) -> Result<bool, PipelineError> {
        // Sizes first: they cost nothing.
        let kept = self.layout.artifacts(step);
        for artifact in artifacts {
            let path = fork_fs::child(&kept, &artifact.path)?;
            if fork_fs::bytes_if_file(&path)? != Some(artifact.bytes) {
                return Ok(false);
            }
        }
        if is_only {
            return Ok(Self::list(&kept)? == artifacts);
        }
        for artifact in artifacts {
            if Artifact::at(&kept, artifact.path.clone())? != *artifact {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Removes what an earlier run left where an artifact or a directory above it is to be: a file in place
/// of a directory, or the other way round.
fn clear_way(
    kept: &Path,
    path: &str,
    owners: &BTreeMap<String, String>,
) -> Result<(), PipelineError> {
    let mut prefixes = path.match_indices('/').map(|(end, _)| &path[..end]);
    let above = prefixes.find(|prefix| kept.join(prefix).is_file());
    let below = format!("{path}/");
    let mut after = owners.range(below.clone()..);
    let owned_below = after.next().filter(|(other, _)| other.starts_with(&below));
    let (in_way, owner) = match above {
        Some(prefix) => (prefix, owners.get(prefix)),
        None if kept.join(path).is_dir() => (path, owned_below.map(|(_, job)| job)),
        None => return Ok(()),
    };
    match owner {
        Some(job) => Err(PipelineError::agent(format!(
            "artifact `{path}` and one that {job} left cannot both be: one would be a directory of the other"
        ))),
        None => Ok(fork_fs::remove_all(&kept.join(in_way))?),
    }
}

fn make_parent(path: &Path) -> Result<(), PipelineError> {
    match path.parent() {
        Some(parent) => Ok(fork_fs::create_dir_all(parent)?),
        None => Ok(()),
    }
}

fn copy(source: &Path, target: &Path) -> Result<(), PipelineError> {
    fs::copy(source, target)
        .map(drop)
        .map_err(|error| PipelineError::io(Operation::Write, target, error))
}

/// Relative paths of the files below a directory, sorted; none when it does not exist.
fn files_below(directory: &Path) -> Result<Vec<String>, PipelineError> {
    let mut files = Vec::new();
    let mut pending = vec![(String::new(), 0)];
    while let Some((relative, depth)) = pending.pop() {
        let current = directory.join(&relative);
        if !fork_fs::exists(&current) {
            continue;
        }
        for name in fork_fs::sorted_names(&current)? {
            let Some(name) = name.to_str() else {
                let reason = format!("a name in `{}` is not UTF-8", current.display());
                return Err(PipelineError::agent(reason));
            };
            let path = current.join(name);
            let child = if relative.is_empty() {
                name.to_owned()
            } else {
                format!("{relative}/{name}")
            };
            if path.is_dir() && !path.is_symlink() {
                if depth >= DEPTH_MAX {
                    let reason = format!("`{}` lies too deep", path.display());
                    return Err(PipelineError::agent(reason));
                }
                pending.push((child, depth + 1));
            } else if path.is_file() {
                files.push(child);
            }
        }
    }
    files.sort();
    Ok(files)
}
