//! Plugins: only the one that puts a step into a container, which changes nothing on one machine.

use yaml_serde::Value;

use super::reader::StepReader;
use super::values::{entries, items, unsupported};
use super::{Step, matrix};
use crate::error::PipelineError;

/// Names under which pipelines know the docker plugin.
const DOCKER: [&str; 2] = ["docker", "buildkite-plugins/docker"];

/// Options that say where and how the container runs, and nothing about the commands in it.
const HARMLESS: [&str; 21] = [
    "image",
    "always-pull",
    "pull-retries",
    "debug",
    "environment",
    "env-file",
    "propagate-environment",
    "propagate-uid-gid",
    "mount-buildkite-agent",
    "mount-checkout",
    "volumes",
    "workdir",
    "network",
    "user",
    "userns",
    "memory",
    "cpus",
    "shm-size",
    "init",
    "leave-container",
    "platform",
];

/// Reads the plugins of a step: it is noted that its image is not used, its variables are set.
pub(super) fn read(
    value: &Value,
    step: &mut Step,
    reader: &StepReader<'_>,
    place: &str,
) -> Result<(), PipelineError> {
    let mut found: Vec<(String, &Value)> = Vec::new();
    if value.is_mapping() {
        found = entries(Some(value), place)?;
    } else {
        for item in items(value) {
            match item {
                Value::Mapping(_) => found.extend(entries(Some(item), place)?),
                _ => found.push((reader.text(item, place, "plugins")?, &Value::Null)),
            }
        }
    }
    for (reference, options) in found {
        let reference = reader.replaced(&reference, place)?;
        let (name, version) = reference.split_once('#').unwrap_or((&reference, ""));
        if !DOCKER.contains(&name) {
            return Err(unsupported(place, format!("plugins: {reference}")));
        }
        if !is_pinned(version) {
            return Err(PipelineError::shape(
                place,
                format!(
                    "plugin `{reference}` must be pinned to a version or a commit, as in `{name}#v5.13.0`"
                ),
            ));
        }
        step.in_container = true;
        for (option, value) in entries(Some(options), place)? {
            if option == "shell" && is_our_shell(value) {
                continue;
            }
            if !HARMLESS.contains(&option.as_str()) {
                return Err(unsupported(place, format!("plugins: {name}: {option}")));
            }
            for item in items(value) {
                if item.is_mapping() {
                    continue;
                }
                let text = reader.text(item, place, &option)?;
                // `NAME` alone passes on what the step has anyway.
                if option == "environment"
                    && let Some((name, value)) = text.split_once('=')
                {
                    let name = name.to_owned();
                    if matrix::has_token(&name) {
                        return Err(unsupported(place, "plugins: docker: environment"));
                    }
                    step.environment.insert(name, value.to_owned());
                }
            }
        }
    }
    Ok(())
}

/// Whether a container's shell is the one that steps run in here.
fn is_our_shell(value: &Value) -> bool {
    let words: Vec<Option<&str>> = items(value).iter().map(Value::as_str).collect();
    words == [Some("/bin/bash"), Some("-e"), Some("-c")]
}

/// A version of three numbers, or a commit. A branch would be something else tomorrow.
fn is_pinned(version: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = version
        .strip_prefix('v')
        .unwrap_or(version)
        .split('.')
        .collect();
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (parts.len() == 3 && parts.into_iter().all(number))
        || (version.len() == 40 && version.bytes().all(hexadecimal))
}
