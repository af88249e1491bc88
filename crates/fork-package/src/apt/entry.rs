//! One package of a repository.

use fork_fs::Digested;

use super::ALL;
use crate::control::Paragraph;
use crate::error::PackageError;
use crate::version::PackageVersion;

/// Fields that say where a package's file is; a package's own control data has none of them.
const FILE_FIELDS: [&str; 8] = [
    "Filename",
    "Size",
    "MD5sum",
    "SHA1",
    "SHA256",
    "SHA512",
    "Description-md5",
    "Status",
];

/// A package: its control data, and the file it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the package.
    pub package: String,
    /// Its version.
    pub version: PackageVersion,
    /// Its architecture; [`ALL`] for every one.
    pub architecture: String,
    /// Path of the file below the root of the repository.
    pub filename: String,
    /// Size of the file.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    stanza: Paragraph,
}

impl Entry {
    /// The entry of a package with this control data in this file, in a component.
    ///
    /// # Errors
    ///
    /// Fails on control data without name, version or architecture, on values that those cannot have,
    /// and when it holds a field that an index adds.
    pub fn new(
        control: &Paragraph,
        file: &Digested,
        component: &str,
    ) -> Result<Self, PackageError> {
        if let Some(field) = FILE_FIELDS
            .iter()
            .find(|field| control.get(field).is_some())
        {
            let problem = format!("field `{field}` has no place in a package's control data");
            return Err(PackageError::control(problem));
        }
        let mut stanza = control.clone();
        let filename = pool_path(
            component,
            control.require("Package")?,
            control.require("Version")?,
            control.require("Architecture")?,
        );
        stanza.set("Filename", &filename)?;
        stanza.set("Size", &file.bytes.to_string())?;
        stanza.set("SHA256", &file.sha256)?;
        Self::parse(stanza)
    }

    /// Reads an entry of an index.
    ///
    /// # Errors
    ///
    /// Fails when a field is missing, or has a value that it cannot have.
    pub fn parse(stanza: Paragraph) -> Result<Self, PackageError> {
        let package = stanza.require("Package")?.to_owned();
        let bad = |what: &str, found: &str| {
            let found: String = found.chars().take(80).collect();
            PackageError::control(format!("package `{package}` has {what} `{found}`"))
        };
        if !is_package_name(&package) {
            return Err(PackageError::control(format!(
                "`{}` is no name of a package",
                package.chars().take(80).collect::<String>()
            )));
        }
        let version = stanza.require("Version")?;
        let version = version
            .parse()
            .map_err(|_| bad("the impossible version", version))?;
        let architecture = stanza.require("Architecture")?.to_owned();
        if !is_architecture_name(&architecture) {
            return Err(bad("the impossible architecture", &architecture));
        }
        let filename = stanza.require("Filename")?.to_owned();
        if !filename.starts_with("pool/") {
            return Err(bad("a file outside the pool,", &filename));
        }
        let size = stanza.require("Size")?;
        let bytes = size.parse().map_err(|_| bad("the impossible size", size))?;
        let sha256 = stanza.require("SHA256")?.to_owned();
        if !is_sha256(&sha256) {
            return Err(bad("the impossible SHA-256", &sha256));
        }
        Ok(Self {
            package,
            version,
            architecture,
            filename,
            bytes,
            sha256,
            stanza,
        })
    }

    /// What stands in the index.
    #[must_use]
    pub fn stanza(&self) -> &Paragraph {
        &self.stanza
    }

    /// Whether both are the same package in the same version for the same architecture, whatever
    /// their bytes.
    #[must_use]
    pub fn is_same_package(&self, other: &Self) -> bool {
        self.package == other.package
            && self.version == other.version
            && self.architecture == other.architecture
    }

    /// Whether the index of this architecture lists it.
    #[must_use]
    pub fn is_for(&self, architecture: &str) -> bool {
        self.architecture == ALL || self.architecture == architecture
    }
}

/// Where the file of a package lies in the repository.
///
/// `pool/COMPONENT/PREFIX/PACKAGE/PACKAGE_VERSION_ARCHITECTURE.deb`. Characters of versions and names
/// that stores and URLs treat in their own ways (`+`, `~`, `:`) become `_` and two hexadecimal digits;
/// neither can hold a `_` itself, so no two packages get the same path. What apt calls a downloaded
/// file does not depend on it.
#[must_use]
pub fn pool_path(component: &str, package: &str, version: &str, architecture: &str) -> String {
    let package = plain(package);
    // Debian's own rule: libraries are so many that they get a longer prefix.
    let length = if package.starts_with("lib") { 4 } else { 1 };
    let prefix: String = package.chars().take(length).collect();
    let version = plain(version);
    format!("pool/{component}/{prefix}/{package}/{package}_{version}_{architecture}.deb")
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            plain.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                plain.push_str(&format!("_{byte:02x}"));
            }
        }
    }
    plain
}

/// Whether this is the name of a package (Debian policy, 5.6.7).
fn is_package_name(name: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
    };
    (2..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}

/// Whether this can be the name of an architecture.
#[must_use]
pub fn is_architecture_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(version: &str) -> Paragraph {
        Paragraph::parse(&format!(
            "Package: mina-x-config\nVersion: {version}\nArchitecture: all\nDescription: short\n long\n"
        ))
        .unwrap()
    }

    fn file() -> Digested {
        Digested {
            sha256: "ab".repeat(32),
            bytes: 7,
        }
    }

    #[test]
    fn an_entry_is_the_control_data_and_the_file() {
        let entry = Entry::new(&control("4.0.0-a1"), &file(), "main").unwrap();
        assert_eq!(
            entry.stanza().to_string(),
            format!(
                "Package: mina-x-config\nVersion: 4.0.0-a1\nArchitecture: all\n\
                 Description: short\n long\n\
                 Filename: pool/main/m/mina-x-config/mina-x-config_4.0.0-a1_all.deb\n\
                 Size: 7\nSHA256: {}\n",
                "ab".repeat(32)
            )
        );
        assert_eq!(Entry::parse(entry.stanza().clone()).unwrap(), entry);
        assert!(entry.is_for("amd64") && entry.is_for("arm64"));
        // Equal for dpkg, so they cannot both be published.
        let other = Entry::new(&control("4.0.0-a1~"), &file(), "main").unwrap();
        assert!(!entry.is_same_package(&other));
        let zero = Entry::new(&control("1.0"), &file(), "main").unwrap();
        let same = Entry::new(&control("1.0-0"), &file(), "main").unwrap();
        assert!(zero.is_same_package(&same));
    }

    #[test]
    fn paths_are_plain_and_never_the_same() {
        let path = |version| pool_path("main", "libx+y", version, "amd64");
        assert_eq!(
            path("1:2.0~rc1+b1"),
            "pool/main/libx/libx_2by/libx_2by_1_3a2.0_7erc1_2bb1_amd64.deb"
        );
        assert_ne!(path("1.0+1"), path("1.0.1"));
        assert_ne!(path("1.0+1"), path("1.02b1"));
    }

    #[test]
    fn impossible_entries_are_refused() {
        let good = Entry::new(&control("1"), &file(), "main").unwrap();
        for (field, value) in [
            ("Package", "../x"),
            ("Package", "x"),
            ("Version", "x"),
            ("Architecture", "a/b"),
            ("Filename", "/etc/passwd"),
            ("Size", "-1"),
            ("SHA256", "AB"),
        ] {
            let mut stanza = good.stanza().clone();
            stanza.set(field, value).unwrap();
            assert!(Entry::parse(stanza).is_err(), "{field}: {value}");
        }
        let mut control = control("1");
        control.set("Filename", "pool/x").unwrap();
        let error = Entry::new(&control, &file(), "main").unwrap_err();
        assert!(error.to_string().contains("`Filename`"), "{error}");
    }
}
