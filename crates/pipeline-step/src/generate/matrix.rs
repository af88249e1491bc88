//! Lists of matrices: distributions and architectures.

use yaml_serde::Value;

use super::error::GenerateError;
use super::yaml::{each_step, steps_mut};

/// Replaces the list `name` in the matrix of every step that has one. The variable of that name is the
/// first of the list for all other steps, and the old list is not there for them: it has done its work.
pub(super) fn apply(root: &mut Value, name: &str, values: &[String]) -> Result<(), GenerateError> {
    if values.is_empty() {
        return Ok(());
    }
    let mut replaced = 0;
    each_step(steps_mut(root, "the pipeline file")?, &mut |step| {
        let list = step
            .get_mut("matrix")
            .and_then(|matrix| matrix.get_mut("setup"))
            .and_then(|setup| setup.get_mut(name));
        if let Some(list) = list {
            *list = Value::Sequence(values.iter().cloned().map(Value::String).collect());
            replaced += 1;
        }
    });
    if replaced == 0 {
        return Err(GenerateError::NoPlace {
            problem: format!("no step of the pipeline has `matrix.setup.{name}`"),
        });
    }
    if let (Some(Value::Mapping(block)), Some(first)) = (root.get_mut("env"), values.first()) {
        let variable = name.to_uppercase();
        block.insert(format!("{variable}S").into(), String::new().into());
        block.insert(variable.into(), first.clone().into());
    }
    Ok(())
}
