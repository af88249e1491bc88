//! What a run says of itself.

use std::fmt::Write as _;

use fork_daemon::Store;
use fork_package::apt::{Entry, format_date};
use fork_sign::openpgp::OpenPgpKey;
use serde::Serialize;

use super::plan::Plan;
use super::site::{Site, State};
use super::{PublishArgs, PublishError};

/// A package in a report.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedPackage {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its file, below the repository's root.
    pub file: String,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Whether the suite did not have it before.
    pub is_new: bool,
}

/// What `package-deb publish` did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct PublishReport {
    /// `forkpack.publish`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The repository.
    pub repository: String,
    /// The suite.
    pub suite: String,
    /// The component.
    pub component: String,
    /// Fingerprint of the key that signs.
    pub key: String,
    /// `published`, `unchanged`, or `planned` of a run that only says what would be done.
    pub state: String,
    /// Date of the new state; absent when there is none.
    pub date: Option<String>,
    /// The packages that were given.
    pub packages: Vec<PublishedPackage>,
    /// Names of what was written, in its order.
    pub written: Vec<String>,
}

impl PublishedPackage {
    fn of(entry: &Entry, is_new: bool) -> Self {
        Self {
            package: entry.package.clone(),
            version: entry.version.as_str().to_owned(),
            architecture: entry.architecture.clone(),
            file: entry.filename.clone(),
            sha256: entry.sha256.clone(),
            bytes: entry.bytes,
            is_new,
        }
    }

    fn human(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {} {} {}\n    {}\n    SHA-256 {} ({} bytes)",
            self.package, self.version, self.architecture, self.file, self.sha256, self.bytes
        );
    }
}

impl PublishReport {
    pub(super) fn new(store: &Store, args: &PublishArgs, plan: &Plan, key: &OpenPgpKey) -> Self {
        let state = match (&plan.next, args.dry_run) {
            (None, _) => "unchanged",
            (Some(_), true) => "planned",
            (Some(_), false) => "published",
        };
        let date = plan.next.as_ref().map(|next| format_date(next.date));
        Self {
            format: "forkpack.publish".to_owned(),
            version: 1,
            repository: store.to_string(),
            suite: args.suite.clone(),
            component: args.component.clone(),
            key: key.fingerprint(),
            state: state.to_owned(),
            date: date.and_then(Result::ok),
            packages: plan
                .packages
                .iter()
                .map(|(given, is_new)| PublishedPackage::of(&given.entry, *is_new))
                .collect(),
            written: Vec::new(),
        }
    }

    pub(super) fn human(&self) -> String {
        let mut text = String::new();
        let what = match self.state.as_str() {
            "planned" => "would publish",
            "unchanged" => "unchanged:",
            _ => "published",
        };
        let _ = writeln!(
            text,
            "{what} suite {} of {}, signed by {}",
            self.suite, self.repository, self.key
        );
        if let Some(date) = &self.date {
            let _ = writeln!(text, "date {date}");
        }
        for (is_new, title) in [(true, "new"), (false, "there already")] {
            let mut some = self.packages.iter().filter(|one| one.is_new == is_new);
            let Some(first) = some.next() else {
                continue;
            };
            let _ = writeln!(text, "{title}:");
            for package in std::iter::once(first).chain(some) {
                package.human(&mut text);
            }
        }
        if !self.written.is_empty() {
            let _ = writeln!(text, "written:");
            for name in &self.written {
                let _ = writeln!(text, "  {name}");
            }
        }
        text
    }
}

/// What `package-deb publish --check` found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// `forkpack.repository-check`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The repository.
    pub repository: String,
    /// The suite.
    pub suite: String,
    /// Fingerprint of the key that signed it.
    pub key: String,
    /// Date of the suite.
    pub date: String,
    /// Until when apt takes it; absent when for ever.
    pub valid_until: Option<String>,
    /// The packages in it.
    pub packages: Vec<PublishedPackage>,
    /// What is wrong; nothing, when the list is empty.
    pub problems: Vec<String>,
}

impl CheckReport {
    pub(super) fn new(
        site: &Site<'_>,
        state: &State,
        packages: &[Entry],
        problems: Vec<String>,
    ) -> Result<Self, PublishError> {
        let date = |seconds| format_date(seconds).map_err(PublishError::Internal);
        Ok(Self {
            format: "forkpack.repository-check".to_owned(),
            version: 1,
            repository: site.store.to_string(),
            suite: site.suite.to_owned(),
            key: state.signed.fingerprint.clone(),
            date: date(state.release.date)?,
            valid_until: state.release.valid_until.map(date).transpose()?,
            packages: packages
                .iter()
                .map(|entry| PublishedPackage::of(entry, false))
                .collect(),
            problems,
        })
    }

    pub(super) fn human(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "suite {} of {}, signed by {}\ndate {}",
            self.suite, self.repository, self.key, self.date
        );
        if let Some(until) = &self.valid_until {
            let _ = writeln!(text, "valid until {until}");
        }
        for package in &self.packages {
            package.human(&mut text);
        }
        if self.problems.is_empty() {
            let _ = writeln!(
                text,
                "every signature, index and package is right ({} packages)",
                self.packages.len()
            );
        }
        for problem in &self.problems {
            let _ = writeln!(text, "problem: {problem}");
        }
        text
    }
}
