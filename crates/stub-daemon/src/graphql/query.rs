//! From the text of a request to the fields it asks for, and from values to what was asked of them.

use std::collections::HashSet;

use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::GraphqlError;
use super::schema::{QUERY, field_type, has_argument};

/// Most fields of a request, those of fragments included, so that fragments of fragments cannot
/// make it grow without end.
const FIELDS_MAX: usize = 2000;

/// A field that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selected {
    /// Its name in the answer.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Value>,
    /// Type of its value, empty for a scalar.
    pub(crate) of_type: String,
    pub(crate) fields: Vec<Self>,
}

#[derive(Deserialize)]
struct RequestJson {
    query: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
}

fn error(message: impl Into<String>) -> GraphqlError {
    GraphqlError(message.into())
}

pub(super) fn parse(body: &[u8]) -> Result<Vec<Selected>, GraphqlError> {
    let request: RequestJson = serde_json::from_slice(body)
        .map_err(|source| error(format!("the request is no GraphQL request: {source}")))?;
    let document = async_graphql_parser::parse_query(&request.query)
        .map_err(|source| error(source.to_string()))?;
    let operation = operation(&document, request.operation_name.as_deref())?;
    if operation.ty != OperationType::Query {
        return Err(error("only queries are answered here"));
    }
    let mut reader = Reader {
        document: &document,
        variables: variables(operation, request.variables.unwrap_or_default())?,
        budget: FIELDS_MAX,
        open: HashSet::new(),
    };
    let mut fields = Vec::new();
    reader.select(&operation.selection_set.node, QUERY, &mut fields)?;
    Ok(fields)
}

fn operation<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d OperationDefinition, GraphqlError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Ok(&operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get(name)
            .map(|operation| &operation.node)
            .ok_or_else(|| error(format!("no operation is called `{name}`"))),
        (DocumentOperations::Multiple(operations), None) => {
            let mut operations = operations.values();
            match (operations.next(), operations.next()) {
                (Some(operation), None) => Ok(&operation.node),
                _ => Err(error("the request names none of its operations")),
            }
        }
    }
}

/// The variables of an operation with their defaults.
fn variables(
    operation: &OperationDefinition,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, GraphqlError> {
    let mut variables = Map::new();
    for definition in &operation.variable_definitions {
        let name = definition.node.name.node.as_str();
        let default = || -> Option<Value> {
            let value = definition.node.default_value()?.clone();
            value.into_json().ok()
        };
        match given.remove(name).or_else(default) {
            Some(value) => variables.insert(name.to_owned(), value),
            None => return Err(error(format!("variable `${name}` is missing"))),
        };
    }
    Ok(variables)
}

struct Reader<'d> {
    document: &'d ExecutableDocument,
    variables: Map<String, Value>,
    budget: usize,
    /// Fragments that are being read, which must not contain themselves.
    open: HashSet<String>,
}

impl Reader<'_> {
    fn select(
        &mut self,
        set: &SelectionSet,
        of: &str,
        fields: &mut Vec<Selected>,
    ) -> Result<(), GraphqlError> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.budget = self
                        .budget
                        .checked_sub(1)
                        .ok_or_else(|| error("the request asks for too many fields"))?;
                    let field = self.field(&field.node, of)?;
                    fields.push(field);
                }
                Selection::InlineFragment(fragment) => {
                    self.select(&fragment.node.selection_set.node, of, fields)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let document = self.document;
                    let fragment = document
                        .fragments
                        .get(name)
                        .ok_or_else(|| error(format!("there is no fragment `{name}`")))?;
                    if !self.open.insert(name.to_string()) {
                        return Err(error(format!("fragment `{name}` contains itself")));
                    }
                    self.select(&fragment.node.selection_set.node, of, fields)?;
                    self.open.remove(name.as_str());
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, of: &str) -> Result<Selected, GraphqlError> {
        let name = field.name.node.as_str();
        let Some(of_type) = field_type(of, name) else {
            return Err(error(format!(
                "Field '{name}' is not defined on type '{of}'"
            )));
        };
        let has_fields = !field.selection_set.node.items.is_empty();
        if has_fields && of_type.is_empty() {
            return Err(error(format!(
                "Field '{name}' of type '{of}' has no subfields"
            )));
        }
        if !has_fields && !of_type.is_empty() {
            return Err(error(format!(
                "Field '{name}' of type '{of}' must have a selection of subfields"
            )));
        }
        let mut arguments = Map::new();
        for (argument, value) in &field.arguments {
            let argument = argument.node.as_str();
            if !has_argument(of, name, argument) {
                return Err(error(format!(
                    "Unknown argument '{argument}' on field '{name}' of type '{of}'"
                )));
            }
            let value = value.node.clone().into_const_with(|variable| {
                let value = self.variables.get(variable.as_str()).cloned();
                value
                    .ok_or_else(|| error(format!("Variable '${variable}' is not defined")))?
                    .try_into()
                    .map_err(|source: serde_json::Error| error(source.to_string()))
            })?;
            let value = value
                .into_json()
                .map_err(|source| error(source.to_string()))?;
            arguments.insert(argument.to_owned(), value);
        }
        let mut fields = Vec::new();
        self.select(&field.selection_set.node, of_type, &mut fields)?;
        Ok(Selected {
            key: field.response_key().node.to_string(),
            name: name.to_owned(),
            arguments,
            of_type: of_type.to_owned(),
            fields,
        })
    }
}

/// What was asked of a value: of an object its selected fields under their keys, of a list the same
/// for each element.
pub(super) fn project(value: &Value, fields: &[Selected], of_type: &str) -> Value {
    match value {
        // A scalar that is an object in JSON has no selection.
        _ if fields.is_empty() => value.clone(),
        Value::Array(elements) => elements
            .iter()
            .map(|element| project(element, fields, of_type))
            .collect(),
        Value::Object(members) => {
            let chosen = fields.iter().map(|field| {
                let projected = if field.name == "__typename" {
                    Value::from(of_type)
                } else {
                    let member = members.get(&field.name).unwrap_or(&Value::Null);
                    project(member, &field.fields, &field.of_type)
                };
                (field.key.clone(), projected)
            });
            Value::Object(chosen.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
