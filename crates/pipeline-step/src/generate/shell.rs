//! Commands of the agent within shell scripts, and what of them has to change when a step is repeated
//! for several networks.

use super::error::GenerateError;

/// What a command line of the agent begins with.
const AGENT: &str = "buildkite-agent ";

/// Options of the agent that take no value.
const SWITCHES: [&str; 2] = ["--include-retried-jobs", "--debug"];

/// A word of a command line: where it is, and without its quotes.
struct Word<'a> {
    start: usize,
    end: usize,
    text: &'a str,
    quote: Option<char>,
}

/// Changes the agent's commands in a script so that it sees the network's artifacts, steps and
/// meta-data only. The script runs in a directory of the network's name.
pub(super) fn rewrite(
    script: &str,
    network: &str,
    keys: &[String],
    place: &str,
) -> Result<String, GenerateError> {
    let mut result = String::new();
    let mut rest = script;
    while let Some(at) = rest.find(AGENT) {
        result.push_str(&rest[..at]);
        let command = &rest[at..];
        let end = command_end(command);
        result.push_str(&one(&command[..end], network, keys, place)?);
        rest = &command[end..];
    }
    result.push_str(rest);
    Ok(result)
}

/// Where a simple command ends.
fn command_end(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ';' | '&' | '|' | ')' | '\n' | '>' | '<') => return at,
            (None, _) => {}
        }
    }
    text.len()
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let mut quote = None;
        let mut end = text.len();
        for (offset, c) in rest.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, c) if c.is_whitespace() => {
                    end = at + offset;
                    break;
                }
                (None, _) => {}
            }
        }
        let whole = &text[at..end];
        let opened = whole.chars().next().filter(|c| matches!(c, '"' | '\''));
        let inner = opened.and_then(|quote| whole.strip_prefix(quote)?.strip_suffix(quote));
        words.push(Word {
            start: at,
            end,
            text: inner.unwrap_or(whole),
            quote: inner.and(opened),
        });
        at = end;
    }
    words
}

/// One command of the agent.
fn one(
    command: &str,
    network: &str,
    keys: &[String],
    place: &str,
) -> Result<String, GenerateError> {
    let words = words(command);
    let text = |index: usize| words.get(index).map_or("", |word| word.text);
    let mut changes: Vec<(usize, String)> = Vec::new();
    let mut positional = Vec::new();
    let mut index = 3;
    while let Some(word) = words.get(index) {
        if let Some(step) = word.text.strip_prefix("--step=") {
            changes.push((
                index,
                format!("--step={}", own_key(step, network, keys, place)?),
            ));
        } else if word.text == "--step" {
            index += 1;
            changes.push((index, own_key(text(index), network, keys, place)?));
        } else if word.text.starts_with("--") {
            index += usize::from(!word.text.contains('=') && !SWITCHES.contains(&word.text));
        } else {
            positional.push(index);
        }
        index += 1;
    }
    let mut wrap = false;
    match (text(1), text(2), positional.as_slice()) {
        ("artifact", "download", [pattern, destination]) => {
            if !matches!(text(*destination), "." | "./") {
                let problem = format!("it fetches into `{}`", text(*destination));
                return Err(GenerateError::mixed(place, problem));
            }
            changes.push((*pattern, format!("{network}/{}", text(*pattern))));
            changes.push((*destination, "..".to_owned()));
        }
        ("artifact", "upload", [pattern]) => {
            let paths: Vec<String> = text(*pattern)
                .split(';')
                .map(|path| format!("{network}/{}", path.trim()))
                .collect();
            changes.push((*pattern, paths.join(";")));
            wrap = true;
        }
        ("meta-data", "set" | "get" | "exists", [key, ..]) => {
            changes.push((*key, format!("{network}-{}", text(*key))));
        }
        ("annotate", ..) => {}
        _ => {
            let problem = format!("nobody knows how to repeat `{}`", command.trim());
            return Err(GenerateError::mixed(place, problem));
        }
    }
    changes.sort_by_key(|(index, _)| *index);
    let mut result = String::new();
    let mut from = 0;
    for (index, new) in changes {
        let Some(word) = words.get(index) else {
            continue;
        };
        result.push_str(&command[from..word.start]);
        let quote = word.quote.map_or_else(String::new, String::from);
        result.push_str(&format!("{quote}{new}{quote}"));
        from = word.end;
    }
    result.push_str(&command[from..]);
    if wrap {
        let body = result.trim_end();
        let blank = &result[body.len()..];
        return Ok(format!("(cd .. && {body}){blank}"));
    }
    Ok(result)
}

fn own_key(
    key: &str,
    network: &str,
    keys: &[String],
    place: &str,
) -> Result<String, GenerateError> {
    if keys.iter().any(|known| known == key) {
        return Ok(format!("{network}-{key}"));
    }
    let problem = format!("it names the step `{key}`, which the pipeline does not have");
    Err(GenerateError::mixed(place, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(script: &str) -> Result<String, String> {
        let keys = ["import".to_owned(), "deb".to_owned()];
        rewrite(script, "devnet", &keys, "step `x`").map_err(|error| error.to_string())
    }

    #[test]
    fn commands_see_their_network_only() {
        for (script, expected) in [
            ("echo hello; ls", "echo hello; ls"),
            (
                "buildkite-agent artifact download \"candidate/**/*\" . --step import",
                "buildkite-agent artifact download \"devnet/candidate/**/*\" .. --step devnet-import",
            ),
            (
                "if x; then buildkite-agent artifact download 'a/$$b/*' ./ ; fi && buildkite-agent \
                 artifact download --step=deb d .\nls",
                "if x; then buildkite-agent artifact download 'devnet/a/$$b/*' .. ; fi && \
                 buildkite-agent artifact download --step=devnet-deb devnet/d ..\nls",
            ),
            (
                "buildkite-agent artifact upload \"a/*;b c\"; ls",
                "(cd .. && buildkite-agent artifact upload \"devnet/a/*;devnet/b c\"); ls",
            ),
            (
                "x=$(buildkite-agent meta-data get done --default \"a b\")",
                "x=$(buildkite-agent meta-data get devnet-done --default \"a b\")",
            ),
            (
                "buildkite-agent annotate --style info <x",
                "buildkite-agent annotate --style info <x",
            ),
        ] {
            assert_eq!(changed(script).as_deref(), Ok(expected), "{script}");
        }
    }

    #[test]
    fn what_would_mix_is_refused() {
        for (script, needle) in [
            ("buildkite-agent artifact download \"a\" sub", "into `sub`"),
            (
                "buildkite-agent artifact download a . --step other",
                "step `other`",
            ),
            (
                "buildkite-agent artifact download a . --step \"$$KEY\"",
                "step `$$KEY`",
            ),
            ("buildkite-agent pipeline upload x", "pipeline upload"),
            ("buildkite-agent artifact shasum x", "shasum"),
        ] {
            let error = changed(script).unwrap_err();
            assert!(error.contains(needle), "{script}: {error}");
        }
    }
}
