//! The list of what is in the image: SPDX 2.3, as JSON.
//!
//! It names the package with each of its files, the base, and the packages that dpkg's database in the
//! base lists. What lies in the base beside its packages is not in it. Times and identifiers come from
//! the input alone. Package URLs follow the purl specification, type `deb`.

use std::fmt::Write as _;

use fork_package::{DataEntryKind, Paragraph};
use serde::Serialize;
use sha1::{Digest as _, Sha1};

use crate::describe::Facts;
use crate::dpkg::Database;
use crate::error::ImageError;

/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/spdx+json";

const NOT_SAID: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const BASE: &str = "SPDXRef-Base";
const PACKAGE: &str = "SPDXRef-Package";

/// An SPDX document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spdx {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    files: Vec<File>,
    relationships: Vec<Relationship>,
}

#[derive(Debug, Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<String>,
    supplier: String,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_verification_code: Option<VerificationCode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: &'static str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationCode {
    package_verification_code_value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "SPDXID")]
    id: String,
    file_name: String,
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    copyright_text: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document about an image.
///
/// # Errors
///
/// Fails when the base's files are not text.
pub fn document(facts: &Facts<'_>) -> Result<Spdx, ImageError> {
    let payload = facts.payload;
    let distribution = Distribution::read(facts.database)?;
    let sha256 = |value: &str| Checksum {
        algorithm: "SHA256",
        checksum_value: value.to_owned(),
    };

    let files = files(facts);
    let mut image = Package::new(IMAGE, format!("{}-image", payload.name));
    image.version_info = Some(payload.version.to_string());
    image.checksums.push(sha256(facts.manifest_digest.hex()));
    image.primary_package_purpose = Some("CONTAINER");

    let mut base = Package::new(BASE, "base");
    base.version_info = facts.base.os.as_deref().map(line);
    base.checksums.push(sha256(facts.base_digest.hex()));
    base.primary_package_purpose = Some("CONTAINER");

    let mut package = Package::of_control(PACKAGE, &payload.control, &distribution);
    package.package_file_name = Some(payload.file.name.clone());
    package.checksums.push(sha256(&payload.file.sha256));
    package.files_analyzed = true;
    package.package_verification_code = Some(VerificationCode {
        package_verification_code_value: verification_code(&files),
    });

    let mut relationships = vec![
        relation(DOCUMENT, "DESCRIBES", IMAGE),
        relation(IMAGE, "CONTAINS", PACKAGE),
        relation(IMAGE, "DESCENDANT_OF", BASE),
    ];
    relationships.extend(
        files
            .iter()
            .map(|file| relation(PACKAGE, "CONTAINS", &file.id)),
    );
    let mut packages = vec![image, base, package];
    for (number, control) in facts.database.packages().into_iter().enumerate() {
        let id = format!("SPDXRef-Base-{}", number + 1);
        relationships.push(relation(BASE, "CONTAINS", &id));
        packages.push(Package::of_control(&id, control, &distribution));
    }
    Ok(Spdx {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: format!("{} {}", payload.name, payload.version),
        document_namespace: format!(
            "{}/spdx/{}",
            env!("CARGO_PKG_REPOSITORY"),
            facts.manifest_digest.hex()
        ),
        creation_info: CreationInfo {
            created: facts.created.to_owned(),
            creators: vec![concat!("Tool: package-image-", env!("CARGO_PKG_VERSION"))],
        },
        packages,
        files,
        relationships,
    })
}

fn relation(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    }
}

/// The package's files by path.
fn files(facts: &Facts<'_>) -> Vec<File> {
    let entries = facts.payload.entries.iter();
    let files = entries.filter(|(_, entry)| matches!(entry.entry.kind, DataEntryKind::File { .. }));
    files
        .enumerate()
        .map(|(number, (path, entry))| File {
            id: format!("SPDXRef-File-{}", number + 1),
            file_name: format!("./{path}"),
            checksums: vec![
                Checksum {
                    algorithm: "SHA1",
                    checksum_value: entry.sha1.clone(),
                },
                Checksum {
                    algorithm: "SHA256",
                    checksum_value: entry.sha256.clone(),
                },
            ],
            license_concluded: NOT_SAID,
            copyright_text: NOT_SAID,
        })
        .collect()
}

/// SHA-1 of the files' sorted SHA-1 (SPDX 2.3, section 7.9).
fn verification_code(files: &[File]) -> String {
    let mut sums: Vec<&str> = files
        .iter()
        .flat_map(|file| &file.checksums)
        .filter(|sum| sum.algorithm == "SHA1")
        .map(|sum| sum.checksum_value.as_str())
        .collect();
    sums.sort_unstable();
    format!("{:x}", Sha1::digest(sums.concat()))
}

impl Package {
    fn new(id: &str, name: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            name: name.into(),
            version_info: None,
            package_file_name: None,
            supplier: NOT_SAID.to_owned(),
            download_location: NOT_SAID,
            files_analyzed: false,
            package_verification_code: None,
            checksums: Vec::new(),
            license_concluded: NOT_SAID,
            license_declared: NOT_SAID,
            copyright_text: NOT_SAID,
            external_refs: Vec::new(),
            primary_package_purpose: None,
        }
    }

    fn of_control(id: &str, control: &Paragraph, distribution: &Distribution) -> Self {
        let name = control.get("Package").unwrap_or_default();
        let mut package = Self::new(id, line(name));
        package.version_info = control.get("Version").map(line);
        package.supplier = supplier(control.get("Maintainer").unwrap_or_default());
        package.external_refs.push(ExternalRef {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: distribution.purl(control),
        });
        package
    }
}

/// `Name <address>` as SPDX spells it. A maintainer may be a team; nothing says so.
fn supplier(maintainer: &str) -> String {
    let maintainer = line(maintainer);
    let pair = maintainer
        .strip_suffix('>')
        .and_then(|rest| rest.split_once('<'))
        .map(|(name, address)| (name.trim(), address.trim()));
    match pair {
        Some((name, address))
            if !name.is_empty()
                && address.contains('@')
                && !maintainer.contains(['(', ')', '\\']) =>
        {
            format!("Person: {name} ({address})")
        }
        _ => NOT_SAID.to_owned(),
    }
}

/// Text on one line, without control characters.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What the base is, for package URLs.
struct Distribution {
    /// `debian`, `ubuntu`, ….
    vendor: String,
    /// `debian-12`.
    name: Option<String>,
}

impl Distribution {
    fn read(database: &Database<'_>) -> Result<Self, ImageError> {
        let vendor = database.os_release("ID")?.filter(|id| !id.is_empty());
        let version = database.os_release("VERSION_ID")?;
        Ok(Self {
            name: vendor
                .as_ref()
                .and_then(|id| Some(format!("{id}-{}", version?))),
            vendor: vendor.unwrap_or_else(|| "debian".to_owned()),
        })
    }

    /// `pkg:deb/VENDOR/NAME@VERSION?arch=…&distro=…&upstream=…`.
    fn purl(&self, control: &Paragraph) -> String {
        let field = |name| control.get(name).unwrap_or_default();
        let mut purl = format!(
            "pkg:deb/{}/{}@{}",
            percent(&self.vendor.to_lowercase()),
            percent(&field("Package").to_lowercase()),
            percent(field("Version"))
        );
        let source = field("Source").split(' ').next().unwrap_or_default();
        let qualifiers = [
            ("arch", field("Architecture")),
            ("distro", self.name.as_deref().unwrap_or_default()),
            ("upstream", source),
        ];
        let mut separator = '?';
        for (name, value) in qualifiers {
            if !value.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(purl, "{separator}{name}={}", percent(value));
                separator = '&';
            }
        }
        purl
    }
}

/// Percent-encoding of everything but what the purl specification leaves as it is.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_encoded() {
        let distribution = Distribution {
            vendor: "debian".to_owned(),
            name: Some("debian-12".to_owned()),
        };
        let control = "Package: libstdc++6\nVersion: 1:12.2.0-14+deb12u1~x\nArchitecture: amd64\n\
                       Source: gcc-12 (12.2.0-14)\n";
        assert_eq!(
            distribution.purl(&Paragraph::parse(control).unwrap()),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1~x?arch=amd64&distro=debian-12&upstream=gcc-12"
        );
    }

    #[test]
    fn suppliers_are_spelled_as_the_standard_has_them() {
        assert_eq!(supplier("A B <a@b.c>"), "Person: A B (a@b.c)");
        for other in ["", "A", "<a@b.c>", "A <b>", "A (B) <a@b.c>"] {
            assert_eq!(supplier(other), NOT_SAID, "{other}");
        }
    }
}
