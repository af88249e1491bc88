//! The edits.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use fork_fs::{BeneathKind, FsError, Operation};
use fork_package::{PackageVersion, Paragraph};

use super::document::Attributes;
use super::error::{SessionError, SessionErrorKind};
use super::pattern::{Pattern, package_path};
use super::store::{CONTROL, DATA, Session};
use crate::args::SUITES;

/// Fields that name other packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationField {
    /// Its files may take the place of the other's.
    Replaces,
    /// Both cannot be installed.
    Conflicts,
    /// It counts as the other, in the other's version.
    Provides,
}

impl RelationField {
    const fn name(self) -> &'static str {
        match self {
            Self::Replaces => "Replaces",
            Self::Conflicts => "Conflicts",
            Self::Provides => "Provides",
        }
    }
}

/// What an entry is, in words.
pub(crate) const fn what(kind: &BeneathKind) -> &'static str {
    match kind {
        BeneathKind::File { .. } => "a file",
        BeneathKind::Directory => "a directory",
        BeneathKind::Symlink { .. } => "a symbolic link",
        BeneathKind::Special => "a device, pipe or socket",
    }
}

fn in_data(path: &str) -> String {
    format!("{DATA}/{path}")
}

/// A file of the user's to be put into the package.
fn open_source(path: &Path) -> Result<(std::fs::File, bool), SessionError> {
    use std::os::unix::fs::PermissionsExt;
    let file = fork_fs::open(path)?;
    let metadata = file
        .metadata()
        .map_err(|source| FsError::io(Operation::Open, path, source))?;
    if !metadata.is_file() {
        return Err(SessionErrorKind::NotAFile {
            path: path.display().to_string(),
            what: "a device, pipe or socket",
        }
        .into());
    }
    Ok((file, metadata.permissions().mode() & 0o100 != 0))
}

impl Session {
    /// Puts files into the package. `destination` is a path, or a directory when it ends with a slash
    /// or `is_directory` says so. They belong to root; the mode is `mode`, or 0755 for what its owner
    /// may run and 0644 for the rest. Returns the paths, absolute.
    ///
    /// # Errors
    ///
    /// Fails when a path is taken, and when a file cannot be read; then nothing is changed.
    pub fn insert(
        &mut self,
        destination: &str,
        is_directory: bool,
        files: &[PathBuf],
        mode: Option<u32>,
    ) -> Result<Vec<String>, SessionError> {
        let is_directory = is_directory || destination.ends_with('/');
        let mut paths = Vec::new();
        for file in files {
            let path = if is_directory {
                let name = file.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| SessionErrorKind::Path {
                    path: file.display().to_string(),
                    problem: "it has no name to keep",
                })?;
                format!("{}/{name}", destination.trim_end_matches('/'))
            } else {
                destination.to_owned()
            };
            let relative = package_path(&path)?;
            if paths.contains(&relative) {
                return Err(SessionErrorKind::AlreadyThere {
                    path,
                    what: "from another of these files",
                }
                .into());
            }
            if let Some(kind) = self.directory.kind(&in_data(&relative))? {
                return Err(SessionErrorKind::AlreadyThere {
                    path,
                    what: what(&kind),
                }
                .into());
            }
            paths.push(relative);
        }
        let mut edit = self.edit()?;
        for (file, path) in files.iter().zip(&paths) {
            let (mut content, is_executable) = open_source(file)?;
            let mode = mode.unwrap_or(if is_executable { 0o755 } else { 0o644 });
            edit.put(in_data(path), mode & 0o100 != 0, &mut content, file)?;
            edit.attributes.insert(path.clone(), Attributes::root(mode));
        }
        edit.commit()?;
        Ok(paths.iter().map(|path| format!("/{path}")).collect())
    }

    /// Puts a file with this content into the package.
    pub(crate) fn insert_bytes(
        &mut self,
        path: &str,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), SessionError> {
        let relative = package_path(path)?;
        if let Some(kind) = self.directory.kind(&in_data(&relative))? {
            return Err(SessionErrorKind::AlreadyThere {
                path: path.to_owned(),
                what: what(&kind),
            }
            .into());
        }
        let mut edit = self.edit()?;
        edit.put(
            in_data(&relative),
            mode & 0o100 != 0,
            &mut &*bytes,
            Path::new(path),
        )?;
        edit.attributes.insert(relative, Attributes::root(mode));
        edit.commit()
    }

    /// Gives a file new content; owner and mode stay.
    pub(crate) fn replace_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), SessionError> {
        let relative = package_path(path)?;
        let executable = match self.directory.kind(&in_data(&relative))? {
            Some(BeneathKind::File { executable, .. }) => executable,
            found => {
                return Err(SessionErrorKind::NotAFile {
                    path: path.to_owned(),
                    what: found.as_ref().map_or("nothing", what),
                }
                .into());
            }
        };
        let mut edit = self.edit()?;
        edit.put(
            in_data(&relative),
            executable,
            &mut &*bytes,
            Path::new(path),
        )?;
        edit.commit()
    }

    /// Content of a file in the package.
    pub(crate) fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, SessionError> {
        let path = in_data(&package_path(path)?);
        Ok(self.directory.read(&path, bytes_max)?)
    }

    /// Gives every file that fits the pattern the content of `file`; owner and mode stay. Returns the
    /// paths, absolute.
    ///
    /// # Errors
    ///
    /// Fails when nothing fits, or something that is no file.
    pub fn replace(&mut self, pattern: &str, file: &Path) -> Result<Vec<String>, SessionError> {
        let found = self.matching(pattern)?;
        for (path, kind) in &found {
            if !matches!(kind, BeneathKind::File { .. }) {
                return Err(SessionErrorKind::NotAFile {
                    path: format!("/{path}"),
                    what: what(kind),
                }
                .into());
            }
        }
        let mut edit = self.edit()?;
        for (path, kind) in &found {
            let executable = matches!(
                kind,
                BeneathKind::File {
                    executable: true,
                    ..
                }
            );
            let (mut content, _) = open_source(file)?;
            edit.put(in_data(path), executable, &mut content, file)?;
        }
        edit.commit()?;
        Ok(absolute(&found))
    }

    /// Removes all files and links that fit one of the patterns; directories stay. Returns the paths,
    /// absolute.
    ///
    /// # Errors
    ///
    /// Fails when nothing fits one of them.
    pub fn remove(&mut self, patterns: &[String]) -> Result<Vec<String>, SessionError> {
        let mut found = Vec::new();
        for pattern in patterns {
            found.extend(self.matching(pattern)?);
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup();
        let mut edit = self.edit()?;
        for (path, _) in &found {
            edit.remove(in_data(path));
            edit.attributes.remove(path);
        }
        edit.commit()?;
        Ok(absolute(&found))
    }

    /// Moves a file or link with its owner, mode and time. Returns both paths, absolute.
    ///
    /// # Errors
    ///
    /// Fails when `from` is no file or link, and when `to` is taken.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(String, String), SessionError> {
        let (from, name) = (package_path(from)?, to);
        let to = match to.strip_suffix('/') {
            Some(directory) => {
                let file = from.rsplit('/').next().unwrap_or_default();
                package_path(&format!("{directory}/{file}"))?
            }
            None => package_path(name)?,
        };
        let kind = match self.directory.kind(&in_data(&from))? {
            None => {
                return Err(SessionErrorKind::NoMatch {
                    pattern: format!("/{from}"),
                }
                .into());
            }
            Some(kind @ (BeneathKind::Directory | BeneathKind::Special)) => {
                return Err(SessionErrorKind::NotAFile {
                    path: format!("/{from}"),
                    what: what(&kind),
                }
                .into());
            }
            Some(kind) => kind,
        };
        if let Some(taken) = self.directory.kind(&in_data(&to))? {
            return Err(SessionErrorKind::AlreadyThere {
                path: format!("/{to}"),
                what: what(&taken),
            }
            .into());
        }
        let kept = self.document.attributes_of(&from).cloned();
        let kept = kept.unwrap_or_else(|| {
            let run = matches!(
                kind,
                BeneathKind::File {
                    executable: true,
                    ..
                }
            );
            Attributes::root(if run { 0o755 } else { 0o644 })
        });
        let mut kept = kept;
        kept.from = Some(kept.from.unwrap_or_else(|| from.clone())).filter(|from| *from != to);
        let mut edit = self.edit()?;
        edit.rename(in_data(&from), in_data(&to));
        edit.attributes.remove(&from);
        edit.attributes.insert(to.clone(), kept);
        edit.commit()?;
        Ok((format!("/{from}"), format!("/{to}")))
    }

    /// Renames the package, and names the old one in these fields. Returns the old name.
    ///
    /// # Errors
    ///
    /// Fails on names that break Debian's rules.
    pub fn rename_package(
        &mut self,
        name: &str,
        relations: &[RelationField],
    ) -> Result<String, SessionError> {
        let mut control = self.control()?;
        let old = control.require("Package")?.to_owned();
        check_field("Package", name)?;
        control.set("Package", name)?;
        for field in relations {
            let relation = match field {
                RelationField::Provides => format!("{old} (= {})", control.require("Version")?),
                RelationField::Replaces | RelationField::Conflicts => old.clone(),
            };
            add_relation(&mut control, field.name(), &relation)?;
        }
        self.write_control(&control)?;
        Ok(old)
    }

    /// Changes the version. Returns the old one, and how the new one sorts against it.
    ///
    /// # Errors
    ///
    /// Fails on texts that are no Debian versions.
    pub fn reversion(&mut self, version: &str) -> Result<(String, Option<Ordering>), SessionError> {
        let mut control = self.control()?;
        let old = control.require("Version")?.to_owned();
        check_field("Version", version)?;
        let parsed = |text: &str| text.parse::<PackageVersion>().ok();
        let order = parsed(&old).and_then(|old| Some(parsed(version)?.cmp(&old)));
        control.set("Version", version)?;
        self.write_control(&control)?;
        Ok((old, order))
    }

    /// Sets a control field; returns what it was.
    ///
    /// # Errors
    ///
    /// Fails on values that break the rules of the field, and on `Installed-Size`, which is computed.
    pub fn update_control(
        &mut self,
        field: &str,
        value: &str,
    ) -> Result<Option<String>, SessionError> {
        check_field(field, value)?;
        let mut control = self.control()?;
        let old = control.get(field).map(str::to_owned);
        if field.eq_ignore_ascii_case("Suite") {
            // Upstream's place for it.
            control.set_after("Codename", field, value)?;
        } else {
            control.set(field, value)?;
        }
        self.write_control(&control)?;
        Ok(old)
    }

    /// A control field.
    ///
    /// # Errors
    ///
    /// Fails when it is not there.
    pub fn field(&self, field: &str) -> Result<String, SessionError> {
        let control = self.control()?;
        let value = control.get(field).map(str::to_owned);
        value.ok_or_else(|| {
            SessionErrorKind::MissingField {
                field: field.escape_debug().to_string(),
            }
            .into()
        })
    }

    pub(crate) fn write_control(&mut self, control: &Paragraph) -> Result<(), SessionError> {
        let mut edit = self.edit()?;
        edit.put_text(&format!("{CONTROL}/control"), &control.to_string())?;
        edit.commit()
    }

    /// Files and links that fit a pattern.
    pub(crate) fn matching(
        &self,
        pattern: &str,
    ) -> Result<Vec<(String, BeneathKind)>, SessionError> {
        let fitting = Pattern::new(pattern)?;
        let mut found = self.data()?;
        found.retain(|(path, kind)| *kind != BeneathKind::Directory && fitting.matches(path));
        if found.is_empty() {
            return Err(SessionErrorKind::NoMatch {
                pattern: pattern.escape_debug().to_string(),
            }
            .into());
        }
        Ok(found)
    }
}

fn absolute(found: &[(String, BeneathKind)]) -> Vec<String> {
    found.iter().map(|(path, _)| format!("/{path}")).collect()
}

/// Adds a relation to a field, unless it is there already.
fn add_relation(control: &mut Paragraph, field: &str, relation: &str) -> Result<(), SessionError> {
    let old = control.get(field).unwrap_or_default().to_owned();
    if old.split(',').any(|one| one.trim() == relation) {
        return Ok(());
    }
    let value = if old.is_empty() {
        relation.to_owned()
    } else {
        format!("{old}, {relation}")
    };
    control.set_after("Architecture", field, &value)?;
    Ok(())
}

/// Checks a value of a field that has rules.
pub(crate) fn check_field(field: &str, value: &str) -> Result<(), SessionError> {
    let refuse = |problem: String| -> Result<(), SessionError> {
        Err(SessionErrorKind::Value {
            field: field.escape_debug().to_string(),
            value: value.escape_debug().to_string(),
            problem,
        }
        .into())
    };
    match field.to_ascii_lowercase().as_str() {
        // Debian policy 5.6.1.
        "package" => {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            };
            let begins =
                value.starts_with(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit());
            if value.len() < 2 || !begins || !value.bytes().all(plain) {
                return refuse(
                    "two characters or more of lower-case letters, digits, `+`, `-` and `.`, the first a letter or digit"
                        .to_owned(),
                );
            }
        }
        "version" => {
            if let Err(error) = value.parse::<PackageVersion>() {
                return refuse(error.to_string());
            }
        }
        "suite" if !SUITES.contains(&value) => {
            return refuse(format!("there are {}", SUITES.join(", ")));
        }
        "architecture" => {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if value.is_empty() || !value.bytes().all(plain) {
                return refuse("lower-case letters, digits and `-`".to_owned());
            }
        }
        "installed-size" => return refuse("it is computed when the package is saved".to_owned()),
        _ => {}
    }
    Ok(())
}
