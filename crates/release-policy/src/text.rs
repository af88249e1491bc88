//! Small readers: Markdown headings and changelogs, path patterns, configurations.

use serde_json::Value;

/// The headings of a Markdown text, outside of code fences: level and text.
pub(crate) fn headings(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if !fenced && (1..=6).contains(&level) && line[level..].starts_with(' ') {
            found.push((level, line[level..].trim()));
        }
    }
    found
}

/// The sections of the second level of a changelog: heading without brackets, and body.
pub(crate) fn changelog(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push((
                heading.replace(['[', ']'], "").trim().to_owned(),
                String::new(),
            ));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    sections
}

/// Whether anything but headings and blank lines is in a section of a changelog.
pub(crate) fn says_something(body: &str) -> bool {
    body.lines()
        .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// Whether a path matches a pattern: `*` is any part of a name, `**` any number of names.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    fn names(pattern: &[&str], path: &[&str]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", rest)) => (0..=path.len()).any(|skip| names(rest, &path[skip..])),
            Some((first, rest)) => path.split_first().is_some_and(|(name, later)| {
                word(first.as_bytes(), name.as_bytes()) && names(rest, later)
            }),
        }
    }
    fn word(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skip| word(rest, &name[skip..])),
            Some((first, rest)) => name
                .split_first()
                .is_some_and(|(byte, later)| byte == first && word(rest, later)),
        }
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    names(&pattern, &path)
}

/// Reads a configuration: JSON, or TOML when the name says so.
pub(crate) fn configuration(name: &str, text: &str) -> Result<Value, String> {
    let file = name.split('@').next().unwrap_or(name);
    if file.ends_with(".toml") {
        let table: toml::Table =
            toml::from_str(text).map_err(|source| source.message().to_owned())?;
        serde_json::to_value(table).map_err(|source| source.to_string())
    } else {
        serde_json::from_str(text).map_err(|source| source.to_string())
    }
}

/// The pointers (RFC 6901) at which two configurations differ, with both values.
pub(crate) fn differences(left: &Value, right: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    walk("", Some(left), Some(right), &mut found);
    found
}

fn walk(
    at: &str,
    left: Option<&Value>,
    right: Option<&Value>,
    found: &mut Vec<(String, String, String)>,
) {
    let shown =
        |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match (left, right) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let step = key.replace('~', "~0").replace('/', "~1");
                walk(&format!("{at}/{step}"), one.get(key), other.get(key), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => {
            for (index, (left, right)) in one.iter().zip(other).enumerate() {
                walk(&format!("{at}/{index}"), Some(left), Some(right), found);
            }
        }
        (left, right) if left != right => found.push((at.to_owned(), shown(left), shown(right))),
        _ => {}
    }
}

/// Whether a pointer is one of the allowed ones, or below one.
pub(crate) fn is_allowed(pointer: &str, allow: &[String]) -> bool {
    allow.iter().any(|allowed| {
        pointer == allowed
            || pointer
                .strip_prefix(allowed.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    })
}
