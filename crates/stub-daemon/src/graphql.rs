//! The daemon's GraphQL subset: a request text in, the bytes of an answer out.

mod objects;
mod query;
mod resolve;
mod schema;
mod seed;

use serde_json::{Value, json};

use crate::body::Body;
use query::Selected;
pub(crate) use resolve::{Asked, Resolved, resolve};
pub(crate) use seed::SeedAsked;

/// A GraphQL request that is well formed and asks for fields there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    fields: Vec<Selected>,
}

/// Why a request has no answer: the text in `errors`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GraphqlError(pub(crate) String);

impl Request {
    /// Reads the body of a request: an object with `query`, and perhaps `variables` and
    /// `operationName`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, GraphqlError> {
        query::parse(body).map(|fields| Self { fields })
    }

    /// Names of the top-level fields, in order.
    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }

    /// Answers every field; the first error is the whole answer.
    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Body {
        self.answer_by(|field| resolve(asked, field))
    }

    /// As [`Self::answer`], for whoever can resolve fields.
    pub(crate) fn answer_by(
        &self,
        resolve: impl Fn(&Selected) -> Result<Resolved, GraphqlError>,
    ) -> Body {
        let mut body = Body::from_bytes("{\"data\":{");
        for (index, field) in self.fields.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let resolved = match resolve(field) {
                Ok(resolved) => resolved,
                Err(error) => return errors(&error.0, Some(&field.key)),
            };
            body.push(format!("{separator}{}:", Value::from(field.key.as_str())));
            match resolved {
                Resolved::Value(value) => {
                    body.push(query::project(&value, &field.fields, &field.of_type).to_string());
                }
                Resolved::Body(value) => body.append(value),
            }
        }
        body.push("}}");
        body
    }

    /// An answer with the same value for every field.
    pub(crate) fn answer_with(&self, value: &Value) -> Body {
        let data: serde_json::Map<String, Value> = self
            .fields
            .iter()
            .map(|field| (field.key.clone(), value.clone()))
            .collect();
        Body::from_bytes(json!({ "data": data }).to_string())
    }
}

/// An answer without data.
pub(crate) fn errors(message: &str, path: Option<&str>) -> Body {
    let mut error = json!({ "message": message });
    if let (Some(path), Some(members)) = (path, error.as_object_mut()) {
        members.insert("path".to_owned(), json!([path]));
    }
    Body::from_bytes(json!({ "errors": [error], "data": null }).to_string())
}

#[cfg(test)]
mod tests;
