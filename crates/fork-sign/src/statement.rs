//! in-toto Statement v1.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::canonical_json;
use crate::error::StatementError;

/// `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Most subjects of a statement. A release has about a dozen.
pub const SUBJECTS_MAX: usize = 4096;
/// Longest text from a statement that an error repeats, in characters.
const CLIPPED_CHARS: usize = 120;

/// An artefact, named by digests of its bytes (in-toto's ResourceDescriptor).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name; different for every subject of a statement.
    #[serde(default)]
    pub name: String,
    /// Algorithm (`sha256`, `sha3_256`, in-toto's names) and lower-case hexadecimal digest. Who looks
    /// for an artefact may go by any of them, so only digests of its very bytes belong here.
    pub digest: BTreeMap<String, String>,
    /// What else is known of it: its size, digests of what is inside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

impl Subject {
    /// An artefact by name and SHA-256.
    #[must_use]
    pub fn new(name: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            digest: BTreeMap::from([("sha256".to_owned(), sha256.into())]),
            annotations: BTreeMap::new(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.digest.is_empty() {
            return Err("it has no digest".to_owned());
        }
        for (algorithm, digest) in &self.digest {
            let is_hexadecimal = !digest.is_empty()
                && digest
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let fits = !matches!(algorithm.as_str(), "sha256" | "sha3_256") || digest.len() == 64;
            if !is_hexadecimal || !fits {
                return Err(format!(
                    "digest `{}` is not lower-case hexadecimal of its length",
                    clipped(algorithm)
                ));
            }
        }
        Ok(())
    }
}

/// An in-toto Statement v1: what the predicate says is said about the subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

impl<P> Statement<P> {
    /// A statement. Subjects are sorted by name: their order says nothing.
    ///
    /// # Errors
    ///
    /// Fails without subjects and with too many, with a name twice, and on digests that are not
    /// lower-case hexadecimal.
    pub fn new(
        predicate_type: impl Into<String>,
        mut subjects: Vec<Subject>,
        predicate: P,
    ) -> Result<Self, StatementError> {
        subjects.sort_by(|a, b| a.name.cmp(&b.name));
        let statement = Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: subjects,
            predicate_type: predicate_type.into(),
            predicate,
        };
        statement.check()?;
        Ok(statement)
    }

    /// The artefacts.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subject
    }

    /// The artefact of a name.
    #[must_use]
    pub fn subject(&self, name: &str) -> Option<&Subject> {
        self.subject.iter().find(|subject| subject.name == name)
    }

    /// What kind of thing is said: a URI.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What is said.
    #[must_use]
    pub const fn predicate(&self) -> &P {
        &self.predicate
    }

    /// What is said, alone.
    #[must_use]
    pub fn into_predicate(self) -> P {
        self.predicate
    }

    fn check(&self) -> Result<(), StatementError> {
        let count = self.subject.len();
        if count == 0 || count > SUBJECTS_MAX {
            return Err(StatementError::Subjects {
                found: count,
                limit: SUBJECTS_MAX,
            });
        }
        let mut names = BTreeSet::new();
        for (index, subject) in self.subject.iter().enumerate() {
            let fault = |problem| StatementError::Subject { index, problem };
            subject.check().map_err(fault)?;
            // in-toto allows subjects without names.
            if !subject.name.is_empty() && !names.insert(&subject.name) {
                let name = clipped(&subject.name);
                return Err(fault(format!("`{name}` is named twice")));
            }
        }
        Ok(())
    }
}

impl<P: Serialize> Statement<P> {
    /// The statement as canonical JSON: what is signed.
    ///
    /// # Errors
    ///
    /// Fails when the predicate has numbers without a canonical form, or is no JSON.
    pub fn to_payload(&self) -> Result<Vec<u8>, StatementError> {
        canonical_json(self)
    }
}

impl<P: DeserializeOwned> Statement<P> {
    /// Reads a statement with a predicate of this type, whoever wrote it: in any spelling, and, as
    /// in-toto demands, without complaint about members it does not know.
    ///
    /// # Errors
    ///
    /// Fails on what is no such statement, and as [`Statement::new`].
    pub fn from_payload(payload: &[u8], predicate_type: &str) -> Result<Self, StatementError> {
        // Types first: another predicate would fail with words about its members.
        #[derive(Deserialize)]
        struct Header {
            #[serde(rename = "_type")]
            kind: String,
            #[serde(rename = "predicateType")]
            predicate_type: String,
        }
        let header: Header = serde_json::from_slice(payload).map_err(StatementError::NotJson)?;
        for (member, found, expected) in [
            ("_type", header.kind, STATEMENT_TYPE),
            ("predicateType", header.predicate_type, predicate_type),
        ] {
            if found != expected {
                return Err(StatementError::Type {
                    member,
                    expected: expected.to_owned(),
                    found: clipped(&found),
                });
            }
        }
        let statement: Self = serde_json::from_slice(payload).map_err(StatementError::NotJson)?;
        statement.check()?;
        Ok(statement)
    }
}

impl<P: DeserializeOwned + Serialize> Statement<P> {
    /// Reads a statement that must be in the one spelling that [`Statement::to_payload`] writes, so
    /// that two people who say the same signed the same bytes.
    ///
    /// # Errors
    ///
    /// As [`Statement::from_payload`], and on anything that is not written again as it was read:
    /// white space, unknown members, a member twice, subjects that are not sorted.
    pub fn from_canonical_payload(
        payload: &[u8],
        predicate_type: &str,
    ) -> Result<Self, StatementError> {
        let mut statement = Self::from_payload(payload, predicate_type)?;
        statement.subject.sort_by(|a, b| a.name.cmp(&b.name));
        let canonical = statement.to_payload()?;
        if canonical == payload {
            return Ok(statement);
        }
        let same = canonical.iter().zip(payload).take_while(|(a, b)| a == b);
        Err(StatementError::NotCanonical { at: same.count() })
    }
}

/// The beginning of a text from outside, without control characters.
pub(crate) fn clipped(text: &str) -> String {
    text.chars()
        .take(CLIPPED_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PREDICATE: &str = "https://example.org/fact/v1";

    fn subject(name: &str) -> Subject {
        Subject::new(name, "0f".repeat(32))
    }

    fn payload(value: &Value) -> Vec<u8> {
        canonical_json(value).unwrap()
    }

    fn good() -> Value {
        json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": "a", "digest": { "sha256": "0f".repeat(32) } }],
            "predicateType": PREDICATE,
            "predicate": { "b": 1 },
        })
    }

    #[test]
    fn order_of_subjects_says_nothing() {
        let make = |names: [&str; 3]| {
            let subjects = names.map(subject).to_vec();
            let statement = Statement::new(PREDICATE, subjects, json!({ "b": 1, "a": 2 })).unwrap();
            statement.to_payload().unwrap()
        };
        let bytes = make(["x", "a", "m"]);
        assert_eq!(bytes, make(["m", "x", "a"]));
        let digest = "0f".repeat(32);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            format!(
                "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{{\"a\":2,\"b\":1}},\
                 \"predicateType\":\"{PREDICATE}\",\"subject\":[\
                 {{\"digest\":{{\"sha256\":\"{digest}\"}},\"name\":\"a\"}},\
                 {{\"digest\":{{\"sha256\":\"{digest}\"}},\"name\":\"m\"}},\
                 {{\"digest\":{{\"sha256\":\"{digest}\"}},\"name\":\"x\"}}]}}"
            )
        );
        let read = Statement::<Value>::from_canonical_payload(&bytes, PREDICATE).unwrap();
        assert_eq!(read.subjects().len(), 3);
        assert_eq!(read.to_payload().unwrap(), bytes);
    }

    #[test]
    fn another_kind_is_refused_before_its_members_are_looked_at() {
        for (member, value) in [
            ("_type", "https://in-toto.io/Statement/v0.1"),
            ("predicateType", "x"),
        ] {
            let mut changed = good();
            changed[member] = value.into();
            let error =
                Statement::<BTreeMap<String, u64>>::from_payload(&payload(&changed), PREDICATE)
                    .unwrap_err();
            assert!(
                matches!(&error, StatementError::Type { member: found, .. } if *found == member),
                "{error}"
            );
        }
    }

    #[test]
    fn subjects_that_name_nothing_are_refused() {
        let digest = "0f".repeat(32);
        for (subjects, words) in [
            (json!([]), "0 subjects"),
            (json!([{ "name": "a", "digest": {} }]), "no digest"),
            (
                json!([{ "name": "a", "digest": { "sha256": "0F" } }]),
                "lower-case",
            ),
            (
                json!([{ "name": "a", "digest": { "sha256": "0f" } }]),
                "of its length",
            ),
            (
                json!([{ "name": "a", "digest": { "md4": "" } }]),
                "lower-case",
            ),
            (
                json!([{ "name": "a", "digest": { "sha256": digest } },
                       { "name": "a", "digest": { "sha256": digest } }]),
                "named twice",
            ),
        ] {
            let mut changed = good();
            changed["subject"] = subjects;
            let error =
                Statement::<Value>::from_payload(&payload(&changed), PREDICATE).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let many = (0..=SUBJECTS_MAX).map(|number| subject(&number.to_string()));
        let error = Statement::new(PREDICATE, many.collect(), ()).unwrap_err();
        assert!(error.to_string().contains("4097 subjects"), "{error}");
    }

    #[test]
    fn other_spellings_are_read_and_not_taken_for_canonical() {
        let mut unknown = good();
        unknown["subject"][0]["downloadLocation"] = "https://example.org".into();
        let text = String::from_utf8(payload(&good())).unwrap();
        for spelling in [
            serde_json::to_vec_pretty(&good()).unwrap(),
            payload(&unknown),
            text.replace("\"b\":1", "\"b\":2,\"b\":1").into_bytes(),
            text.replace("\"a\"", "\"\\u0061\"").into_bytes(),
            format!("{text}\n").into_bytes(),
        ] {
            let read = Statement::<Value>::from_payload(&spelling, PREDICATE).unwrap();
            assert_eq!(read.predicate(), &json!({ "b": 1 }));
            let error =
                Statement::<Value>::from_canonical_payload(&spelling, PREDICATE).unwrap_err();
            assert!(
                matches!(error, StatementError::NotCanonical { .. }),
                "{error}"
            );
        }
        assert!(Statement::<Value>::from_canonical_payload(text.as_bytes(), PREDICATE).is_ok());
    }
}
