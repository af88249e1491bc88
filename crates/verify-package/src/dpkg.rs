//! What a real dpkg says of the package, where there is one on the machine.
//!
//! Everything else here reads packages with our own code. dpkg is asked only to read: its commands
//! for that run no maintainer script and change nothing. Each runs with a fixed environment, so that
//! no setting of the caller's changes what it says, and within limits of time and output.

use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::subject::{EntryKind, Subject};

/// Longest run of one command. dpkg-deb lists 300 MB in some seconds.
const RUN_MAX: Duration = Duration::from_secs(300);
/// Most bytes of output and of messages. A package of a thousand entries with the longest paths has
/// half a megabyte.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;
/// How often a running command is looked after.
const POLL: Duration = Duration::from_millis(2);
/// Where commands are looked for.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What dpkg said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DpkgFacts {
    /// It was not asked.
    NotAsked {
        /// Why.
        why: String,
    },
    /// Of a package file.
    Deb {
        /// `dpkg-deb --info`.
        info: DpkgAnswer,
        /// `dpkg-deb --show` with name, version and architecture.
        show: DpkgAnswer,
        /// `dpkg-deb --contents`.
        contents: DpkgAnswer,
    },
    /// Of an installed package.
    Root {
        /// `dpkg --verify`.
        verify: DpkgAnswer,
    },
}

/// Answer of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpkgAnswer {
    /// What it printed; the error says why there is no good answer.
    pub output: Result<String, String>,
    /// What it said beside that.
    pub messages: String,
}

/// Why a command gave no answer.
enum Failure {
    /// There is no such program.
    Missing(String),
    /// It was given up.
    Failed(String),
}

impl DpkgFacts {
    /// Asks dpkg about a package file.
    #[must_use]
    pub fn of_deb(path: &Path, scratch: &Path) -> Self {
        let path = match std::path::absolute(path) {
            Ok(path) => path,
            Err(error) => return Self::not_asked(error),
        };
        let ask = |arguments: &[&str]| {
            let mut command = Command::new("dpkg-deb");
            command.args(arguments).arg(&path);
            ask(command, scratch)
        };
        let all = || {
            Ok::<_, String>(Self::Deb {
                info: ask(&["--info"])?,
                show: ask(&[
                    "--show",
                    "--showformat=${Package} ${Version} ${Architecture}\n",
                ])?,
                contents: ask(&["--contents"])?,
            })
        };
        all().unwrap_or_else(Self::not_asked)
    }

    /// Asks dpkg about a package that is installed in a root directory. It follows no link there, but
    /// would wait for a pipe, so it is asked only about files.
    #[must_use]
    pub fn of_root(root: &Path, subject: &Subject, package: &str, scratch: &Path) -> Self {
        if subject.control.is_none() {
            return Self::not_asked("dpkg's database there does not name the package");
        }
        let other = subject
            .entries
            .iter()
            .find(|(_, entry)| matches!(entry.kind, EntryKind::Other(_)));
        if let Some((path, _)) = other {
            return Self::not_asked(format!("`/{path}` is neither file nor directory"));
        }
        let root = match std::path::absolute(root) {
            Ok(path) => path,
            Err(error) => return Self::not_asked(error),
        };
        let mut option = std::ffi::OsString::from("--root=");
        option.push(root);
        let mut command = Command::new("dpkg");
        command.arg(option).args(["--verify", package]);
        ask(command, scratch).map_or_else(Self::not_asked, |verify| Self::Root { verify })
    }

    /// That it was not asked.
    pub(crate) fn not_asked(why: impl std::fmt::Display) -> Self {
        Self::NotAsked {
            why: why.to_string(),
        }
    }
}

/// Runs a command to its end; the error says why it could not be.
fn ask(mut command: Command, scratch: &Path) -> Result<DpkgAnswer, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    match run(command, scratch) {
        Ok((status, output, messages)) => Ok(DpkgAnswer {
            output: if status.success() {
                Ok(output)
            } else {
                let messages = messages.trim();
                Err(format!("{name} ended with {status}: {messages}"))
            },
            messages,
        }),
        Err(Failure::Missing(why)) => Err(format!("there is no {name} here: {why}")),
        Err(Failure::Failed(why)) => Ok(DpkgAnswer {
            output: Err(format!("{name} {why}")),
            messages: String::new(),
        }),
    }
}

fn run(mut command: Command, scratch: &Path) -> Result<(ExitStatus, String, String), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("could not be run: {error}"));
    // Files instead of pipes: nothing has to be read while it runs, and it cannot block on us.
    let mut output = tempfile::tempfile_in(scratch).map_err(failed)?;
    let mut messages = tempfile::tempfile_in(scratch).map_err(failed)?;
    command
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(messages.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Failure::Missing(error.to_string())
        }
        _ => failed(error),
    })?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        let bytes = size(&output)
            .and_then(|bytes| Ok(bytes + size(&messages)?))
            .map_err(failed)?;
        if bytes > OUTPUT_BYTES_MAX {
            return Err(given_up(&mut child, "printed too much"));
        }
        if started.elapsed() > RUN_MAX {
            return Err(given_up(&mut child, "took too long"));
        }
        thread::sleep(POLL);
    };
    let output = text(&mut output).map_err(failed)?;
    let messages = text(&mut messages).map_err(failed)?;
    Ok((status, output, messages))
}

fn given_up(child: &mut Child, why: &str) -> Failure {
    // It may just have ended by itself; then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    Failure::Failed(format!("{why} and was ended"))
}

fn size(file: &std::fs::File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

fn text(file: &mut std::fs::File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(io::Error::other("it printed too much"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn answers_have_what_was_printed_and_how_it_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let answer = ask(shell("echo good; echo beside >&2"), scratch.path()).unwrap();
        assert_eq!(answer.output.unwrap(), "good\n");
        assert_eq!(answer.messages, "beside\n");
        let answer = ask(shell("echo half; echo broken >&2; exit 3"), scratch.path()).unwrap();
        let error = answer.output.unwrap_err();
        assert!(error.contains("3") && error.contains("broken"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_no_failure() {
        let scratch = tempfile::tempdir().unwrap();
        let error = ask(Command::new("no-such-program"), scratch.path()).unwrap_err();
        assert!(error.starts_with("there is no no-such-program"), "{error}");
    }

    #[test]
    fn what_prints_without_end_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let answer = ask(
            shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"),
            scratch.path(),
        );
        let error = answer.unwrap().output.unwrap_err();
        assert!(error.contains("printed too much"), "{error}");
    }

    #[test]
    fn settings_of_the_caller_are_not_passed_on() {
        let scratch = tempfile::tempdir().unwrap();
        let answer = ask(shell("env | cut -d= -f1 | sort"), scratch.path()).unwrap();
        let names: Vec<String> = answer.output.unwrap().lines().map(str::to_owned).collect();
        assert!(names.iter().any(|name| name == "PATH"));
        for name in names {
            // The shell sets the last three itself.
            let known = ["HOME", "LC_ALL", "PATH", "PWD", "SHLVL", "_"];
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }
}
