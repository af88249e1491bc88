//! What the binaries have in common as programs.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fork_testkit::fixture::ACCOUNTS_MIN;

/// An error that may come from another thread.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Prints the text on stdout, or the error with its causes on stderr.
#[must_use]
pub fn finish(result: Result<String, Failure>) -> ExitCode {
    let printed = result.and_then(|text| Ok(std::io::stdout().write_all(text.as_bytes())?));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {}", with_causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

/// A line on stderr; a closed one does not matter.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// A worker beside the running program.
///
/// # Errors
///
/// Fails when there is none.
pub fn sibling(name: &str) -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let path = program.with_file_name(name);
    if fork_fs::exists(&path) {
        Ok(path)
    } else {
        Err(format!(
            "{} does not exist: `scripts/bench` builds it",
            path.display()
        )
        .into())
    }
}

/// Parses a number of accounts such as `10k` or `1M`.
///
/// # Errors
///
/// Fails on what is none and on fewer than a made-up ledger has.
pub fn accounts(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((end, 'k')) => (&text[..end], 1_000),
        Some((end, 'M')) => (&text[..end], 1_000_000),
        _ => (text, 1),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|number| *number >= ACCOUNTS_MIN)
        .ok_or_else(|| format!("not a number of accounts from {ACCOUNTS_MIN} such as 10k or 1M"))
}

/// A directory for data, removed in the end unless it is to be kept.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    keep: bool,
}

impl WorkDir {
    /// The directory `name` in `parent`, by default in the system's directory for temporary files.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn create(parent: Option<&Path>, name: &str, keep: bool) -> Result<Self, Failure> {
        let path = match parent {
            Some(parent) => parent.join(name),
            None => std::env::temp_dir().join(format!("forkpack-{name}.{}", std::process::id())),
        };
        fork_fs::create_dir_all(&path)?;
        Ok(Self { path, keep })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes a directory in it that is no longer needed, unless everything is to be kept.
    ///
    /// # Errors
    ///
    /// Fails when the file system refuses.
    pub fn discard(&self, directory: &Path) -> Result<(), Failure> {
        if !self.keep {
            fork_fs::remove_dir_all(directory)?;
        }
        Ok(())
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fork_fs::remove_dir_all(&self.path)
        {
            say(&format!("warning: {}", with_causes(&error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_accounts_have_units() {
        assert_eq!(accounts("10k"), Ok(10_000));
        assert_eq!(accounts("2M"), Ok(2_000_000));
        assert_eq!(accounts("277307"), Ok(277_307));
        for bad in ["", "k", "9", "5G", "5000M"] {
            assert!(accounts(bad).is_err(), "{bad}");
        }
    }
}
