//! JSON with one spelling per value (RFC 8785).

use serde::Serialize;
use serde_json::Value;

use crate::error::StatementError;

/// Largest integer every JSON reader takes without loss: 2^53 − 1 (RFC 7493). RFC 8785 writes
/// numbers as those readers see them, so greater ones would have two spellings.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A value as canonical JSON: no white space, members sorted by their UTF-16 code units, the shortest
/// escapes. This is RFC 8785 for all values it takes; it takes no fractions and no integer beyond
/// ±(2^53 − 1). Amounts beyond that are text.
///
/// # Errors
///
/// Fails on such numbers, and on what is no JSON at all.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StatementError> {
    let value = serde_json::to_value(value).map_err(StatementError::NotJson)?;
    let mut out = Vec::new();
    write(&value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), StatementError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let magnitude = number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs));
            if magnitude.is_none_or(|magnitude| magnitude > INTEGER_MAX) {
                return Err(StatementError::Number {
                    found: number.to_string(),
                });
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out)?;
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// serde_json's escapes are those of RFC 8785: the short ones, and `\u00xx` in lower case for other
/// control characters, nothing else.
fn string(text: &str, out: &mut Vec<u8>) -> Result<(), StatementError> {
    serde_json::to_writer(out, text).map_err(StatementError::NotJson)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        String::from_utf8(canonical_json(value).unwrap()).unwrap()
    }

    /// RFC 8785, 3.2.3: sorted by UTF-16 code units, where a surrogate pair stands before U+FB33.
    #[test]
    fn members_are_sorted_as_the_rfc_sorts_them() {
        let value = json!({
            "\u{20ac}": "Euro Sign",
            "\r": "Carriage Return",
            "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\u{1f600}": "Emoji: Grinning Face",
            "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        assert_eq!(
            canonical(&value),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
             \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
             \"\u{1f600}\":\"Emoji: Grinning Face\",\
             \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        );
    }

    /// RFC 8785, 3.2.2: the strings and literals of its example.
    #[test]
    fn strings_are_escaped_as_the_rfc_escapes_them() {
        let value = json!({
            "string": "\u{20ac}$\u{f}\nA'\u{42}\u{22}\u{5c}\\\"/",
            "literals": [null, true, false],
        });
        assert_eq!(
            canonical(&value),
            "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
    }

    #[test]
    fn only_integers_that_every_reader_knows_are_taken() {
        let most = 9_007_199_254_740_991_i64;
        assert_eq!(
            canonical(&json!([0, -1, most, -most])),
            "[0,-1,9007199254740991,-9007199254740991]"
        );
        for value in [
            json!(1.5),
            json!(1.0),
            json!(most + 1),
            json!(-most - 1),
            json!(u64::MAX),
        ] {
            let error = canonical_json(&json!({ "a": [value] })).unwrap_err();
            assert!(matches!(error, StatementError::Number { .. }), "{error}");
        }
    }
}
