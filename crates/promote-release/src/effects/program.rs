//! Programs that do something, and programs that look whether it is done.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::error::PromoteError;

/// Most of a program's output that is kept, in bytes. The rest is read and forgotten.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Longest result that goes into the record, in characters.
const RESULT_CHARS_MAX: usize = 200;
/// How long a program may take, in seconds, when nothing else is said. Pushing a large image over a
/// slow line takes minutes.
const TIMEOUT_SECONDS: u64 = 1800;
/// How often a running program is looked at. It is polled because waiting has no limit.
const POLL: Duration = Duration::from_millis(20);

/// What does something, and what sees that it is done. No shell: each text is one argument, with
/// `{target}`, `{version}`, `{file:NAME}`, … filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// Does it.
    pub(super) run: Vec<String>,
    /// Ends with 0 when it is done; asked before and after.
    pub(super) check: Vec<String>,
    /// What `check` then prints, without blanks around it.
    #[serde(default)]
    expect: Option<String>,
    /// Seconds that either may take.
    #[serde(default)]
    timeout_seconds: Option<u64>,
}

/// What a program did.
struct Ended {
    /// `None`: it was killed.
    code: Option<i32>,
    output: String,
}

impl Program {
    /// Does it unless it is done, and sees that it is.
    pub(super) fn perform(
        &self,
        what: &str,
        target: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<String, PromoteError> {
        let fault = |problem: String| PromoteError::Effect {
            what: what.to_owned(),
            target: target.to_owned(),
            problem,
        };
        if self.is_done(values).map_err(fault)?.is_ok() {
            return Ok("was done already".to_owned());
        }
        let run = filled(&self.run, values).map_err(fault)?;
        let ended = self.execute(&run).map_err(fault)?;
        if ended.code != Some(0) {
            return Err(fault(format!(
                "`{}` ended with {}",
                run[0],
                code(ended.code)
            )));
        }
        match self.is_done(values).map_err(fault)? {
            Ok(()) => Ok(match first_line(&ended.output) {
                line if line.is_empty() => "done".to_owned(),
                line => format!("done: {line}"),
            }),
            Err(why) => Err(fault(format!("`{}` ended well, but {why}", run[0]))),
        }
    }

    /// Whether what was done once still is so.
    pub(super) fn is_so(
        &self,
        what: &str,
        target: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<bool, PromoteError> {
        let looked = self
            .is_done(values)
            .map_err(|problem| PromoteError::Effect {
                what: what.to_owned(),
                target: target.to_owned(),
                problem,
            })?;
        Ok(looked.is_ok())
    }

    /// Whether it is done; if not, why.
    fn is_done(&self, values: &BTreeMap<String, String>) -> Result<Result<(), String>, String> {
        let check = filled(&self.check, values)?;
        let ended = self.execute(&check)?;
        if ended.code != Some(0) {
            return Ok(Err(format!(
                "`{}` ended with {}",
                check[0],
                code(ended.code)
            )));
        }
        let Some(expect) = &self.expect else {
            return Ok(Ok(()));
        };
        let expected = fill(expect, values)?;
        let found = ended.output.trim();
        if found == expected {
            return Ok(Ok(()));
        }
        Ok(Err(format!(
            "`{}` prints `{}`, expected `{expected}`",
            check[0],
            first_line(found)
        )))
    }

    fn execute(&self, command: &[String]) -> Result<Ended, String> {
        let (program, arguments) = command.split_first().ok_or("there is no program")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|source| format!("`{program}` cannot be started: {source}"))?;
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || stdout.map_or_else(Vec::new, kept));
        let timeout = Duration::from_secs(self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS));
        let begin = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begin.elapsed() < timeout => std::thread::sleep(POLL),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!(
                        "`{program}` took more than {} s",
                        timeout.as_secs()
                    ));
                }
                Err(source) => return Err(format!("`{program}` cannot be waited for: {source}")),
            }
        };
        let output = reader.join().unwrap_or_default();
        Ok(Ended {
            code: status.code(),
            output: String::from_utf8_lossy(&output).into_owned(),
        })
    }
}

/// The beginning of what can be read.
fn kept(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(count) => {
                let room = OUTPUT_BYTES_MAX.saturating_sub(bytes.len()).min(count);
                bytes.extend_from_slice(&buffer[..room]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return bytes,
        }
    }
}

fn code(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"))
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars()
        .filter(|c| !c.is_control())
        .take(RESULT_CHARS_MAX)
        .collect()
}

fn filled(texts: &[String], values: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    texts.iter().map(|text| fill(text, values)).collect()
}

/// A text with every `{name}` replaced, once: what a value has in braces stays as it is.
fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
        let value = values
            .get(name)
            .ok_or_else(|| format!("`{{{name}}}` is not known here"))?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(run: &[&str], check: &[&str]) -> Program {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Program {
            run: owned(run),
            check: owned(check),
            expect: None,
            timeout_seconds: Some(1),
        }
    }

    #[test]
    fn values_are_filled_in_once() {
        let values = BTreeMap::from([("a".to_owned(), "{b}".to_owned())]);
        assert_eq!(fill("x{a}y", &values).unwrap(), "x{b}y");
        assert!(fill("{b}", &values).is_err());
        assert!(fill("{a", &values).is_err());
    }

    #[test]
    fn what_is_not_seen_to_be_done_is_an_error() {
        let none = BTreeMap::new();
        let told = program(&["true"], &["false"])
            .perform("tag", "t", &none)
            .unwrap_err();
        assert!(
            told.to_string().contains("ended well, but `false`"),
            "{told}"
        );
        let told = program(&["false"], &["false"])
            .perform("tag", "t", &none)
            .unwrap_err();
        assert!(told.to_string().contains("exit code 1"), "{told}");
        let done = program(&["false"], &["true"])
            .perform("tag", "t", &none)
            .unwrap();
        assert_eq!(done, "was done already");
        let told = program(&["sleep", "60"], &["false"])
            .perform("tag", "t", &none)
            .unwrap_err();
        assert!(told.to_string().contains("more than 1 s"), "{told}");
        let told = program(&["/nowhere"], &["false"])
            .perform("tag", "t", &none)
            .unwrap_err();
        assert!(told.to_string().contains("cannot be started"), "{told}");
    }
}
