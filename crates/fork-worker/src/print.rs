//! The one place that prints.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Write};

use fork_types::Fault;

use crate::{OutputError, OutputFormat};

pub(crate) fn stdout(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

pub(crate) fn stderr(text: &str) {
    let text = without_passwords(text);
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A text in which no URI has a password. A message may quote an argument, and an argument that was
/// meant for another place may have one.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    const MARK: &str = "://";
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        let is_end = |character: char| character.is_whitespace() || "'\"`<>".contains(character);
        let end = after.find(is_end).unwrap_or(after.len());
        let authority = after[..end].find('/').unwrap_or(end);
        // A password in the URI of a database may have a slash that should have been encoded.
        let is_database = before.ends_with("postgres") || before.ends_with("postgresql");
        let reach = if is_database { end } else { authority };
        let hidden = after[..reach].rfind('@').and_then(|at| {
            let colon = after[..at].find(':')?;
            Some((colon + 1, at))
        });
        kept.push_str(before);
        kept.push_str(MARK);
        let from = match hidden {
            Some((from, to)) => {
                kept.push_str(&after[..from]);
                kept.push_str("[hidden]");
                to
            }
            None => 0,
        };
        kept.push_str(&after[from..end]);
        rest = &after[end..];
    }
    if kept.is_empty() {
        return Cow::Borrowed(text);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// The message and every cause, each once.
pub(crate) fn chain(fault: &dyn Fault) -> Vec<String> {
    let mut lines = vec![fault.to_string()];
    let mut cause: Option<&dyn Error> = fault.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    lines
}

/// Prints an error: for people `error: failed to …: cause: cause`, a blank line and the hint; with
/// `--format json` one JSON object on stderr.
pub(crate) fn fault(failed_to: &str, fault: &dyn Fault, format: OutputFormat) {
    let chain = chain(fault);
    match format {
        OutputFormat::Human => {
            stderr(&format!("error: {failed_to}: {}", chain.join(": ")));
            if let Some(hint) = fault.hint() {
                stderr(&format!("\nhint: {hint}"));
            }
        }
        OutputFormat::Json => {
            let object = serde_json::json!({
                "error": {
                    "message": format!("{failed_to}: {}", chain[0]),
                    "causes": chain[1..],
                    "hint": fault.hint(),
                    "class": fault.class().name(),
                    "exit_code": fault.class().exit_code(),
                }
            });
            stderr(&object.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_uris_are_hidden() {
        for (text, shown) in [
            ("nothing here", "nothing here"),
            ("see https://host:80/a@b:c", "see https://host:80/a@b:c"),
            (
                "argument 'postgresql://arch:hunter2@h:5599/berk' found",
                "argument 'postgresql://arch:[hidden]@h:5599/berk' found",
            ),
            (
                "`postgres://arch:1234/56@78@h/berk` and postgres://h/b",
                "`postgres://arch:[hidden]@h/berk` and postgres://h/b",
            ),
            (
                "https://me:secret@host/x https://me@host/y:z@",
                "https://me:[hidden]@host/x https://me@host/y:z@",
            ),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
