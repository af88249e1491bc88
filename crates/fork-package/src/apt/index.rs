//! `Packages` files.

use std::io::Write;

use super::entry::Entry;
use crate::control::Paragraph;
use crate::error::PackageError;
use crate::gzip;

/// The packages of one component for one architecture, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads a `Packages` file.
    ///
    /// # Errors
    ///
    /// Fails on text that is no control data, on entries that lack something, and on a package that
    /// is listed twice.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let mut index = Self::default();
        for stanza in Paragraph::parse_all(text)? {
            index.entries.push(Entry::parse(stanza)?);
        }
        index.sort();
        let twice = |pair: &&[Entry]| matches!(pair, [a, b] if a.is_same_package(b));
        if let Some([first, _]) = index.entries.windows(2).find(twice) {
            return Err(PackageError::control(format!(
                "package `{}` is listed twice in version {}",
                first.package,
                first.version.as_str()
            )));
        }
        Ok(index)
    }

    /// The packages.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a package. One that is there already, in this version and for this architecture, stays.
    pub fn add(&mut self, entry: Entry) {
        if !self.entries.iter().any(|one| one.is_same_package(&entry)) {
            self.entries.push(entry);
            self.sort();
        }
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let stanzas: Vec<String> = self
            .entries
            .iter()
            .map(|entry| entry.stanza().to_string())
            .collect();
        stanzas.join("\n")
    }

    /// The text, compressed. The same text gives the same bytes.
    ///
    /// # Errors
    ///
    /// Fails only when there is no memory.
    pub fn to_gzip(&self) -> std::io::Result<Vec<u8>> {
        let mut encoder = gzip::encoder(Vec::new());
        encoder.write_all(self.to_text().as_bytes())?;
        encoder.finish()
    }

    fn sort(&mut self) {
        self.entries.sort_by(|a, b| {
            a.package
                .cmp(&b.package)
                .then_with(|| a.architecture.cmp(&b.architecture))
                .then_with(|| a.version.cmp(&b.version))
        });
    }
}

#[cfg(test)]
mod tests {
    use fork_fs::Digested;

    use super::*;

    fn entry(package: &str, version: &str) -> Entry {
        let control = format!("Package: {package}\nVersion: {version}\nArchitecture: all\n");
        let file = Digested {
            sha256: "01".repeat(32),
            bytes: 1,
        };
        Entry::new(&Paragraph::parse(&control).unwrap(), &file, "main").unwrap()
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let entries = [
            entry("mina-b", "1.10"),
            entry("mina-a", "2"),
            entry("mina-b", "1.9"),
        ];
        let mut one = Index::default();
        let mut two = Index::default();
        for entry in &entries {
            one.add(entry.clone());
        }
        for entry in entries.iter().rev().chain(&entries) {
            two.add(entry.clone());
        }
        assert_eq!(one, two);
        let listed: Vec<_> = one
            .entries()
            .iter()
            .map(|entry| format!("{} {}", entry.package, entry.version.as_str()))
            .collect();
        assert_eq!(listed, ["mina-a 2", "mina-b 1.9", "mina-b 1.10"]);
        assert_eq!(Index::parse(&one.to_text()).unwrap(), one);
        assert_eq!(Index::parse("").unwrap().to_text(), "");
        assert_eq!(one.to_gzip().unwrap(), two.to_gzip().unwrap());
    }

    #[test]
    fn a_package_stands_once() {
        let one = entry("mina-a", "1.0").stanza().to_string();
        let two = entry("mina-a", "1.0-0").stanza().to_string();
        let error = Index::parse(&format!("{one}\n{two}")).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
