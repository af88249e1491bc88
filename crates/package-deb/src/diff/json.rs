//! Two JSON values, member by member.

use serde_json::Value;

use crate::diff::{Found, Part};

/// Longest text of a value; strings and lists may be of any length.
const VALUE_BYTES_MAX: usize = 1000;

/// Compares two values at a path such as `epoch_data.staking.hash`. Members are compared by name,
/// whatever their order.
pub(super) fn compare(found: &mut Found, file: &str, path: &str, left: &Value, right: &Value) {
    match (left, right) {
        (Value::Object(here), Value::Object(there)) => {
            let only_right = there.keys().filter(|name| !here.contains_key(*name));
            for name in here.keys().chain(only_right) {
                let inner = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                member(found, file, &inner, here.get(name), there.get(name));
            }
        }
        (Value::Array(here), Value::Array(there)) => {
            for index in 0..here.len().max(there.len()) {
                let inner = format!("{path}[{index}]");
                member(found, file, &inner, here.get(index), there.get(index));
            }
        }
        _ => member(found, file, path, Some(left), Some(right)),
    }
}

fn member(found: &mut Found, file: &str, path: &str, left: Option<&Value>, right: Option<&Value>) {
    if left == right {
        return;
    }
    let is_tree = |value: &Value| value.is_object() || value.is_array();
    if let (Some(left), Some(right)) = (left, right)
        && is_tree(left)
        && left.is_object() == right.is_object()
        && left.is_array() == right.is_array()
    {
        compare(found, file, path, left, right);
        return;
    }
    let shown = |value: &Value| {
        let mut text = value.to_string();
        let end = (0..=VALUE_BYTES_MAX.min(text.len()))
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text
    };
    let (left, right) = (left.map(shown), right.map(shown));
    let what = format!(
        "`{file}`, {}",
        if path.is_empty() { "all of it" } else { path }
    );
    found.add(
        Part::Config,
        what,
        left.as_deref(),
        right.as_deref(),
        Vec::new(),
    );
}
