//! Names of variables in a pipeline file.

use std::collections::BTreeSet;

use yaml_serde::{Mapping, Value};

use super::values::text_of;

/// Names that are replaced when the file is read: `$NAME` and `${NAME…}`, but not `$$NAME`, which
/// belongs to the shell.
pub(super) fn replaced(root: &Mapping) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_text(root, &mut |text| {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('$') {
            rest = match after.strip_prefix('$') {
                Some(escaped) => escaped,
                None => {
                    let after = after.strip_prefix('{').unwrap_or(after);
                    let name = after.split(|c| !is_part(c)).next().unwrap_or_default();
                    if !name.is_empty() {
                        names.insert(name.to_owned());
                    }
                    after
                }
            };
        }
    });
    names
}

/// Every word in the file that could be the name of a variable.
pub(super) fn words(root: &Mapping) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_text(root, &mut |text| {
        let words = text.split(|c| !is_part(c)).filter(|word| !word.is_empty());
        names.extend(words.map(str::to_owned));
    });
    names
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn each_text(root: &Mapping, see: &mut impl FnMut(&str)) {
    for (key, value) in root {
        see(&text_of(key));
        each_text_of(value, see);
    }
}

fn each_text_of(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Mapping(mapping) => each_text(mapping, see),
        Value::Sequence(items) => items.iter().for_each(|item| each_text_of(item, see)),
        other => see(&text_of(other)),
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::Pipeline;

    #[test]
    fn names_are_found_wherever_they_are() {
        let file = r#"
env: { A: "${B:-${C:-}}" }
steps:
  - { key: a, command: 'x "$$D" $E', plugins: [ { "docker#v1.2.3": { environment: [ F ], volumes: [ "${G}:/g" ] } } ] }
"#;
        let pipeline = Pipeline::parse(file.as_bytes()).unwrap();
        let replaced = pipeline.replaced_names();
        assert_eq!(replaced.into_iter().collect::<String>(), "BCEG");
        let words = pipeline.words();
        for name in ["A", "B", "C", "D", "E", "F", "G"] {
            assert!(words.contains(name), "{name}");
        }
        assert!(!words.contains("H"));
    }
}
