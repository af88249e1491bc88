//! The empty artifacts of a practice: real packages and images with next to nothing inside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fork_package::oci::{History, ImageConfig};
use fork_package::{Attributes, DebBuilder, FileSource, LayoutWriter, PackageError, Paragraph};
use release_policy::Digest;
use serde_json::Value;

use crate::error::PromoteError;
use crate::measure::{self, DEB, IMAGE};

use super::script::{Script, Step};

/// Builds every artifact that a manifest of the script names, and returns their digests, by name; those
/// of another build than the first by `BUILD/NAME`.
pub(super) fn build(
    script: &Script,
    directory: &Path,
) -> Result<BTreeMap<String, Digest>, PromoteError> {
    fork_fs::create_dir_all(directory)?;
    // By build and name.
    let mut media: BTreeMap<(u64, String), String> = BTreeMap::new();
    let mut inside: BTreeMap<(u64, String), BTreeSet<String>> = BTreeMap::new();
    for step in &script.steps {
        let Step::Fact { fact, value, .. } = step else {
            continue;
        };
        let artifacts = value.get("artifact").and_then(Value::as_array);
        for artifact in artifacts
            .into_iter()
            .flatten()
            .filter(|_| fact == "manifest")
        {
            let text = |member: &str| artifact[member].as_str().unwrap_or_default().to_owned();
            let of = (number(value), text("name"));
            media.insert(of.clone(), text("media_type"));
            let parts = artifact.get("inside").and_then(Value::as_object);
            let parts = parts.into_iter().flatten().map(|(name, _)| name.clone());
            inside.entry(of).or_default().extend(parts);
        }
    }
    let mut digests = BTreeMap::new();
    for (of, type_) in &media {
        let (build, name) = of;
        let directory = of_build(directory, *build);
        fork_fs::create_dir_all(&directory)?;
        let path = directory.join(name);
        let mut parts: Vec<(&str, String)> = inside
            .get(of)
            .into_iter()
            .flatten()
            .map(|part| (part.as_str(), content(part, 1)))
            .collect();
        // Something that tells packages and images with nothing in them, and builds, apart.
        if parts.is_empty() || *build > 1 {
            parts.insert(0, ("NAME", content(name, *build)));
        }
        match type_.as_str() {
            DEB => deb(&path, &parts)?,
            IMAGE => image(&path, &parts)?,
            _ => fork_fs::write_atomic(&path, content(name, *build).as_bytes())?,
        }
        let (measured, _) = measure::read(&path, type_)?;
        let key = match build {
            1 => name.clone(),
            _ => format!("{build}/{name}"),
        };
        digests.insert(key, measured.digest);
    }
    Ok(digests)
}

/// Which build a manifest is of.
pub(super) fn number(manifest: &Value) -> u64 {
    manifest["build"].as_u64().unwrap_or(1)
}

/// Where the artifacts of a build are: those of later ones in directories of their own.
pub(super) fn of_build(directory: &Path, build: u64) -> PathBuf {
    match build {
        1 => directory.to_owned(),
        _ => directory.join(format!("build-{build}")),
    }
}

/// What an artifact that is only a file says.
fn content(name: &str, build: u64) -> String {
    match build {
        1 => format!("practice: {name}\n"),
        _ => format!("practice: {name}, build {build}\n"),
    }
}

fn deb(path: &Path, parts: &[(&str, String)]) -> Result<(), PromoteError> {
    let mut control = Paragraph::new();
    for (field, value) in [
        ("Package", "forkpack-practice"),
        ("Version", "1"),
        ("Architecture", "all"),
        ("Maintainer", "practice <practice@example.org>"),
        ("Description", "a package for practice, with nothing in it"),
    ] {
        control.set(field, value)?;
    }
    let mut builder = DebBuilder::new(control, 0);
    for (name, text) in parts {
        let source = FileSource::Bytes(text.clone().into_bytes());
        builder.add(
            &format!("/usr/share/forkpack-practice/{name}"),
            0o644,
            source,
        )?;
    }
    builder.write(path)?;
    Ok(())
}

fn image(path: &Path, parts: &[(&str, String)]) -> Result<(), PromoteError> {
    let writer = LayoutWriter::create(path)?;
    let layer = writer.put_layer::<PackageError>(|tar| {
        for (name, text) in parts {
            let at = format!("usr/share/forkpack-practice/{name}");
            tar.append_bytes(&at, Attributes::root(0o644, 0), text.as_bytes())?;
        }
        Ok(())
    })?;
    let mut config = ImageConfig::empty("amd64");
    config.push_layer(layer.diff_id.clone(), History::default());
    writer.finish(&config, &[layer], "practice")?;
    Ok(())
}

/// Takes out of a manifest what is found when the artifacts are read.
pub(super) fn strip(manifest: &mut Value) {
    if let Some(members) = manifest.as_object_mut() {
        members.remove("build");
    }
    let artifacts = manifest.get_mut("artifact").and_then(Value::as_array_mut);
    for artifact in artifacts.into_iter().flatten() {
        if let Some(members) = artifact.as_object_mut() {
            for member in ["digest", "size", "payload", "inside"] {
                members.remove(member);
            }
        }
    }
}
