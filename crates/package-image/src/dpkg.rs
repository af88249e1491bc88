//! dpkg's database inside an image: what it says, whether dpkg would install a package, and what
//! it would write down afterwards.
//!
//! Layout and field order follow dpkg 1.21 (`lib/dpkg/parse.c`, `dump.c`); a test compares with the
//! files that a real dpkg writes.

use std::fmt::Write as _;

use fork_package::relation::{Relation, parse_field};
use fork_package::{DataEntryKind, PackageVersion, Paragraph, Tree};

use crate::error::{ImageError, ImageErrorKind};
use crate::payload::Payload;

/// The database's directory.
pub const DIRECTORY: &str = "var/lib/dpkg";
/// Directory of the per-package files.
pub const INFO: &str = "var/lib/dpkg/info";
/// The list of packages and their state.
pub const STATUS: &str = "var/lib/dpkg/status";

const FORMAT: &str = "var/lib/dpkg/info/format";
const ARCHITECTURES: &str = "var/lib/dpkg/arch";
const DIVERSIONS: &str = "var/lib/dpkg/diversions";
const OVERRIDES: &str = "var/lib/dpkg/statoverride";
const TRIGGERS: &str = "var/lib/dpkg/triggers/File";
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// Fields dpkg knows, in the order it writes them; all others follow in the package's order.
const FIELDS: [&str; 26] = [
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
    "Conffiles",
    "Filename",
    "Description",
];

/// Control files that are only data; anything else is a script or makes dpkg do more than copy.
const INERT_CONTROL_FILES: [&str; 2] = ["control", "md5sums"];

/// Whether a file of the base is needed here.
#[must_use]
pub fn is_needed(path: &str) -> bool {
    [
        STATUS,
        FORMAT,
        ARCHITECTURES,
        DIVERSIONS,
        OVERRIDES,
        TRIGGERS,
    ]
    .contains(&path)
        || OS_RELEASE.contains(&path)
        || (path.starts_with(INFO) && path.ends_with(".list"))
}

/// The database of a base.
#[derive(Debug)]
pub struct Database<'a> {
    tree: &'a Tree,
    status: String,
    packages: Vec<Installed>,
}

#[derive(Debug)]
struct Installed {
    name: String,
    paragraph: Paragraph,
    /// `None` for packages that are not installed, of which configuration may be left.
    version: Option<PackageVersion>,
}

impl<'a> Database<'a> {
    /// Reads the database.
    ///
    /// # Errors
    ///
    /// Fails when the base has none, or one that is not understood.
    pub fn read(tree: &'a Tree) -> Result<Self, ImageError> {
        let strange = |problem: String| ImageError::from(ImageErrorKind::NotDebian { problem });
        let Some(status) = text(tree, STATUS)? else {
            return Err(strange(format!("there is no file `/{STATUS}`")));
        };
        if let Some(format) = text(tree, FORMAT)?.filter(|format| format.trim() != "1") {
            return Err(strange(format!(
                "its database has format {}",
                format.trim()
            )));
        }
        let packages = Paragraph::parse_all(&status)?
            .into_iter()
            .map(Installed::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            tree,
            status,
            packages,
        })
    }

    /// Architecture in dpkg's words: that of the package `dpkg` itself, or the first one listed.
    ///
    /// # Errors
    ///
    /// Fails when the list is not text.
    pub fn architecture(&self) -> Result<Option<String>, ImageError> {
        let dpkg = self.installed().find(|(one, _)| one.name == "dpkg");
        if let Some(architecture) = dpkg.and_then(|(one, _)| one.paragraph.get("Architecture")) {
            return Ok(Some(architecture.to_owned()));
        }
        let listed = text(self.tree, ARCHITECTURES)?;
        Ok(listed.and_then(|text| text.lines().next().map(str::to_owned)))
    }

    /// Name of the operating system as it calls itself.
    ///
    /// # Errors
    ///
    /// Fails when the file is not text.
    pub fn pretty_name(&self) -> Result<Option<String>, ImageError> {
        self.os_release("PRETTY_NAME")
    }

    /// A value of `os-release`, such as `ID` or `VERSION_ID`.
    ///
    /// # Errors
    ///
    /// Fails when the file is not text.
    pub fn os_release(&self, name: &str) -> Result<Option<String>, ImageError> {
        for path in OS_RELEASE {
            if let Some(text) = text(self.tree, path)? {
                let value = text
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
                return Ok(value.map(|value| value.trim_matches(['"', '\'']).to_owned()));
            }
        }
        Ok(None)
    }

    /// The packages that are installed: their control data, by name and architecture.
    #[must_use]
    pub fn packages(&self) -> Vec<&Paragraph> {
        let mut packages: Vec<&Paragraph> =
            self.installed().map(|(one, _)| &one.paragraph).collect();
        packages.sort_by_key(|one| (one.get("Package"), one.get("Architecture")));
        packages
    }

    /// Whether `dpkg -i` of this package would succeed here without running anything.
    ///
    /// # Errors
    ///
    /// Fails with the first reason why it would not.
    pub fn check(&self, payload: &Payload) -> Result<(), ImageError> {
        self.check_inert(payload)?;
        self.check_architecture(payload)?;
        self.check_relations(payload)?;
        self.check_paths(payload)
    }

    fn installed(&self) -> impl Iterator<Item = (&Installed, &PackageVersion)> {
        self.packages
            .iter()
            .filter_map(|one| one.version.as_ref().map(|version| (one, version)))
    }

    fn check_inert(&self, payload: &Payload) -> Result<(), ImageError> {
        let needs = |problem: String| {
            Err(ImageErrorKind::NeedsRunning {
                package: payload.name.clone(),
                problem,
            }
            .into())
        };
        for file in &payload.control_files {
            if !INERT_CONTROL_FILES.contains(&file.as_str()) {
                return needs(format!("it has a control file `{file}`"));
            }
        }
        if payload
            .control
            .get("Multi-Arch")
            .is_some_and(|value| value == "same")
        {
            return needs("it is `Multi-Arch: same`".to_owned());
        }
        for line in text(self.tree, TRIGGERS)?.unwrap_or_default().lines() {
            let Some((interest, package)) = line.split_once(' ') else {
                continue;
            };
            let interest = interest.trim_start_matches('/');
            let hit = payload.entries.keys().find(|path| {
                path.strip_prefix(interest)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if let Some(path) = hit {
                return needs(format!("`/{path}` would start a trigger of {package}"));
            }
        }
        Ok(())
    }

    fn check_architecture(&self, payload: &Payload) -> Result<(), ImageError> {
        let wanted = payload.control.require("Architecture")?;
        let here = self.architecture()?;
        if wanted == "all" || here.as_deref() == Some(wanted) {
            return Ok(());
        }
        Err(refused(
            payload,
            format!(
                "it is for {wanted}, the base is {}",
                here.as_deref().unwrap_or("of an unknown architecture")
            ),
        ))
    }

    fn check_relations(&self, payload: &Payload) -> Result<(), ImageError> {
        for (one, version) in self.installed() {
            if one.name == payload.name {
                return Err(refused(
                    payload,
                    format!("it is already there, in version {version}"),
                ));
            }
            for field in ["Conflicts", "Breaks"] {
                let theirs = parse_field(&one.paragraph, field)?;
                if theirs.iter().flatten().any(|relation| {
                    hits(relation, &payload.control, &payload.name, &payload.version)
                }) {
                    return Err(refused(
                        payload,
                        format!("{} {version} declares {field} on it", one.name),
                    ));
                }
                let ours = parse_field(&payload.control, field)?;
                let hit = ours
                    .iter()
                    .flatten()
                    .find(|relation| hits(relation, &one.paragraph, &one.name, version));
                if let Some(relation) = hit {
                    return Err(refused(
                        payload,
                        format!(
                            "it has {field}: {relation}, and {} {version} is there",
                            one.name
                        ),
                    ));
                }
            }
        }
        for field in ["Pre-Depends", "Depends"] {
            for group in parse_field(&payload.control, field)? {
                let met = group.iter().any(|relation| {
                    self.installed()
                        .any(|(one, version)| hits(relation, &one.paragraph, &one.name, version))
                });
                if !met {
                    let wanted: Vec<String> = group.iter().map(ToString::to_string).collect();
                    return Err(refused(
                        payload,
                        format!("it has {field}: {}, which is not there", wanted.join(" | ")),
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_paths(&self, payload: &Payload) -> Result<(), ImageError> {
        let special = [DIVERSIONS, OVERRIDES]
            .into_iter()
            .map(|path| text(self.tree, path))
            .collect::<Result<Vec<_>, _>>()?;
        let special: Vec<&str> = special
            .iter()
            .flatten()
            .flat_map(|text| text.split_whitespace())
            .collect();
        for (path, ours) in &payload.entries {
            let absolute = format!("/{path}");
            // A layer is sorted, and unpacked in that order.
            if matches!(&ours.entry.kind, DataEntryKind::HardLink { target } if target >= path) {
                return Err(refused(
                    payload,
                    format!("hard link `{absolute}` sorts before its file"),
                ));
            }
            if special.contains(&absolute.as_str()) {
                return Err(refused(
                    payload,
                    format!("`{absolute}` is diverted or has an override"),
                ));
            }
            let Some(theirs) = self.tree.get(path) else {
                continue;
            };
            let is_directory = ours.entry.kind == DataEntryKind::Directory;
            match (&theirs.entry.kind, is_directory) {
                (DataEntryKind::Directory, true) => {}
                (DataEntryKind::Directory, false) => {
                    return Err(refused(
                        payload,
                        format!("`{absolute}` is a directory there"),
                    ));
                }
                // dpkg would follow the link; a layer would replace it, and break the base.
                (_, true) => {
                    return Err(refused(
                        payload,
                        format!("`{absolute}` is not a directory there"),
                    ));
                }
                (_, false) => {
                    if let Some(owner) = self.owner(&absolute)? {
                        return Err(refused(payload, format!("`{absolute}` belongs to {owner}")));
                    }
                }
            }
        }
        Ok(())
    }

    /// The package that lists a path.
    fn owner(&self, absolute: &str) -> Result<Option<String>, ImageError> {
        for (path, node) in self.tree.iter() {
            let list = path
                .strip_prefix(INFO)
                .and_then(|name| name.strip_suffix(".list"));
            let Some((name, content)) = list.zip(node.content.as_deref()) else {
                continue;
            };
            if as_text(path, content)?.lines().any(|line| line == absolute) {
                return Ok(Some(name.trim_start_matches('/').to_owned()));
            }
        }
        Ok(None)
    }

    /// The status file with the package added, at the place where dpkg sorts it.
    ///
    /// # Errors
    ///
    /// Fails when the package's control data cannot be written down.
    pub fn status_with(&self, payload: &Payload) -> Result<String, ImageError> {
        let own = stanza(&payload.control)?.to_string();
        let mut text = String::new();
        let mut pending = Some(own);
        for block in self
            .status
            .split("\n\n")
            .map(str::trim_end)
            .filter(|block| !block.is_empty())
        {
            let name = block
                .lines()
                .find_map(|line| line.strip_prefix("Package: "));
            let name = name.unwrap_or_default().trim();
            if name == payload.name {
                // Left over from a removal; dpkg replaces it.
                continue;
            }
            if name > payload.name.as_str() {
                push(&mut text, pending.take());
            }
            push(&mut text, Some(block.to_owned()));
        }
        push(&mut text, pending);
        Ok(text)
    }
}

impl Installed {
    fn new(paragraph: Paragraph) -> Result<Self, ImageError> {
        let state = paragraph.get("Status").unwrap_or_default();
        let strange = |problem: String| ImageError::from(ImageErrorKind::NotDebian { problem });
        let name = paragraph.require("Package")?.to_owned();
        let version = match state.rsplit(' ').next() {
            Some("installed") => Some(paragraph.require("Version")?.parse().map_err(
                |error: fork_package::version::VersionError| strange(error.to_string()),
            )?),
            Some("config-files" | "not-installed") => None,
            _ => return Err(strange(format!("package {name} is in state `{state}`"))),
        };
        Ok(Self {
            name,
            paragraph,
            version,
        })
    }
}

fn refused(payload: &Payload, problem: String) -> ImageError {
    ImageErrorKind::Refused {
        package: format!("{} {}", payload.name, payload.version),
        problem,
    }
    .into()
}

/// Whether a relation means a package, by its name or by what it provides. A provided name without
/// a version satisfies only relations without one.
fn hits(relation: &Relation, paragraph: &Paragraph, name: &str, version: &PackageVersion) -> bool {
    if relation.matches(name, version) {
        return true;
    }
    let provided = parse_field(paragraph, "Provides").unwrap_or_default();
    provided.iter().flatten().any(|one| match &one.version {
        Some((_, version)) => relation.matches(&one.name, version),
        None => relation.version.is_none() && relation.name == one.name,
    })
}

/// The paragraph dpkg keeps of an installed package.
fn stanza(control: &Paragraph) -> Result<Paragraph, ImageError> {
    let mut stanza = Paragraph::new();
    for field in FIELDS {
        if field == "Status" {
            stanza.set(field, "install ok installed")?;
        } else if let Some(value) = control.get(field).filter(|value| !value.is_empty()) {
            stanza.set(field, value)?;
        }
    }
    for (name, value) in control.fields() {
        let is_known = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
        if !is_known && !value.is_empty() {
            stanza.set(name, value)?;
        }
    }
    Ok(stanza)
}

/// The list of a package's paths, in the package's order.
#[must_use]
pub fn list(payload: &Payload) -> String {
    let mut text = String::new();
    for path in &payload.order {
        let path = if path.is_empty() { "." } else { path };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "/{path}");
    }
    text
}

fn push(text: &mut String, block: Option<String>) {
    if let Some(block) = block {
        text.push_str(block.trim_end());
        text.push_str("\n\n");
    }
}

fn text(tree: &Tree, path: &str) -> Result<Option<String>, ImageError> {
    let content = tree.get(path).and_then(|node| node.content.as_deref());
    content
        .map(|content| as_text(path, content).map(str::to_owned))
        .transpose()
}

fn as_text<'a>(path: &str, content: &'a [u8]) -> Result<&'a str, ImageError> {
    std::str::from_utf8(content).map_err(|_| {
        ImageErrorKind::NotDebian {
            problem: format!("`/{path}` is not UTF-8"),
        }
        .into()
    })
}
