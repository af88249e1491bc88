//! Packages and images: one of each, or one for every distribution and architecture.

use std::collections::BTreeMap;

use fork_sign::Subject;
use fork_types::document::{DebDocument, ImageDocument, LedgerDocument, NetworkDocument};

use crate::artifacts::{self, Layout};
use crate::collect::{Placed, Sides, Verdicts, annotate};
use crate::error::SignError;
use crate::manifest::{ManifestImage, ManifestPackage};

/// A package, and the distribution its control data names.
struct Package<'a> {
    codename: String,
    deb: &'a Placed<DebDocument>,
    subject: Subject,
}

/// An image, and what it is for.
struct Product<'a> {
    codename: String,
    layout: Layout,
    image: &'a Placed<ImageDocument>,
}

/// Checks all packages and images and adds their subjects. What comes back is sorted by codename and
/// architecture, so that the order in which they were given says nothing.
pub(crate) fn collect(
    network: &Placed<NetworkDocument>,
    ledgers: &[Placed<LedgerDocument>],
    (debs, images): (&[Placed<DebDocument>], &[Placed<ImageDocument>]),
    verdicts: &mut Verdicts<'_>,
    subjects: &mut Vec<Subject>,
    note: &dyn Fn(&str),
) -> Result<(Vec<ManifestPackage>, Vec<ManifestImage>), SignError> {
    note("checking the package");
    let mut packages = Vec::with_capacity(debs.len());
    for deb in debs {
        check_deb(network, ledgers, deb)?;
        // The whole file first: one that was changed may be no package any more.
        let subject = deb.subject(&deb.document.file)?;
        packages.push(Package {
            codename: artifacts::check_deb(&deb.directory, &deb.document)?,
            deb,
            subject,
        });
    }
    packages.sort_by(|a, b| a.codename.cmp(&b.codename));
    check_packages(&packages)?;
    let is_one = packages.len() == 1;
    let mut listed = Vec::with_capacity(packages.len());
    for Package {
        codename,
        deb,
        subject,
    } in &packages
    {
        let document = &deb.document;
        let mut subject = subject.clone();
        if !is_one {
            subject.name = format!("{codename}/{}", subject.name);
        }
        let payload = document.payload_sha256.clone();
        annotate(&mut subject, "payload_sha256", payload);
        listed.push(ManifestPackage {
            file: subject.name.clone(),
            name: document.package.clone(),
            version: document.package_version.clone(),
            architecture: document.architecture.clone(),
            codename: (!is_one).then(|| codename.clone()),
            git_hash: document.git_hash.clone(),
            source_date_epoch: document.source_date_epoch,
            verification: verdicts.take("deb", &document.file.sha256),
        });
        subjects.push(subject);
    }
    let images = collect_images(&packages, images, verdicts, subjects, note)?;
    Ok((listed, images))
}

/// Packages for several distributions are one package: the same files, under other control data.
fn check_packages(packages: &[Package<'_>]) -> Result<(), SignError> {
    for pair in packages.windows(2) {
        let [first, second] = pair else { continue };
        if first.codename == second.codename {
            return Err(SignError::Twice {
                what: format!("package for `{}`", first.codename),
                first: first.deb.path.clone(),
                second: second.deb.path.clone(),
            });
        }
        let sides = Sides {
            expected_in: &first.deb.path,
            found_in: &second.deb.path,
        };
        let (expected, found) = (&first.deb.document, &second.deb.document);
        for (what, expected, found) in [
            ("name of the package", &expected.package, &found.package),
            ("version", &expected.package_version, &found.package_version),
            ("commit", &expected.git_hash, &found.git_hash),
            ("architecture", &expected.architecture, &found.architecture),
            (
                "SHA-256 of the uncompressed data",
                &expected.payload_sha256,
                &found.payload_sha256,
            ),
        ] {
            sides.same(what, expected, found)?;
        }
    }
    Ok(())
}

fn collect_images(
    packages: &[Package<'_>],
    images: &[Placed<ImageDocument>],
    verdicts: &mut Verdicts<'_>,
    subjects: &mut Vec<Subject>,
    note: &dyn Fn(&str),
) -> Result<Vec<ManifestImage>, SignError> {
    let mut products = Vec::with_capacity(images.len());
    for image in images {
        note("checking the image");
        products.push(check_image(packages, image)?);
    }
    products.sort_by(|a, b| a.key().cmp(&b.key()));
    for pair in products.windows(2) {
        let [first, second] = pair else { continue };
        if first.key() == second.key() {
            let (codename, architecture) = first.key();
            return Err(SignError::Twice {
                what: format!("image for `{codename}` on {architecture}"),
                first: first.image.path.clone(),
                second: second.image.path.clone(),
            });
        }
    }
    let is_one = products.len() <= 1;
    products
        .into_iter()
        .map(|product| add_image(product, is_one, verdicts, subjects))
        .collect()
}

impl Product<'_> {
    fn key(&self) -> (&str, &str) {
        (&self.codename, &self.layout.architecture)
    }
}

/// That an image was made from one of the packages, and is what its document says.
fn check_image<'a>(
    packages: &[Package<'_>],
    image: &'a Placed<ImageDocument>,
) -> Result<Product<'a>, SignError> {
    let document = &image.document;
    let inside = &document.deb.sha256;
    let from = packages
        .iter()
        .find(|package| package.deb.document.file.sha256 == *inside);
    let Some(from) = from.or_else(|| packages.first()) else {
        return Err(SignError::NoPackage);
    };
    let sides = Sides {
        expected_in: &from.deb.path,
        found_in: &image.path,
    };
    let expected = &from.deb.document;
    sides.same("SHA-256 of the package", &expected.file.sha256, inside)?;
    let (expected, found) = (expected.sources_verified, document.sources_verified);
    sides.same("whether every source was verified", &expected, &found)?;
    Ok(Product {
        codename: from.codename.clone(),
        layout: artifacts::check_image(&image.directory, document)?,
        image,
    })
}

fn add_image(
    product: Product<'_>,
    is_one: bool,
    verdicts: &mut Verdicts<'_>,
    subjects: &mut Vec<Subject>,
) -> Result<ManifestImage, SignError> {
    let Product {
        codename,
        layout,
        image,
    } = product;
    let document = &image.document;
    let place = format!("{codename}-{}", layout.architecture);
    let name = if is_one {
        format!("image:{}", document.tag)
    } else {
        format!("{place}/image:{}", document.tag)
    };
    let mut subject = Subject::new(&name, layout.manifest_sha256.clone());
    annotate(
        &mut subject,
        "config_digest",
        document.config_digest.clone(),
    );
    annotate(&mut subject, "diff_id", layout.diff_id.clone());
    if !layout.attachments.is_empty() {
        annotate(&mut subject, "attachments", layout.attachments.clone());
    }
    subjects.push(subject);
    if let Some(archive) = &document.docker_archive
        && fork_fs::exists(&image.directory.join(&archive.name))
    {
        let mut subject = image.subject(archive)?;
        if !is_one {
            subject.name = format!("{place}/{}", subject.name);
        }
        subjects.push(subject);
    }
    Ok(ManifestImage {
        verification: verdicts.take("oci", &layout.manifest_sha256),
        name,
        tag: document.tag.clone(),
        codename: (!is_one).then_some(codename),
        architecture: (!is_one).then_some(layout.architecture),
        base_digest: document.base.digest.clone(),
        diff_id: layout.diff_id,
    })
}

/// That the package was made from this config, and holds it and these tarballs.
fn check_deb(
    network: &Placed<NetworkDocument>,
    ledgers: &[Placed<LedgerDocument>],
    deb: &Placed<DebDocument>,
) -> Result<(), SignError> {
    let sides = Sides {
        expected_in: &deb.path,
        found_in: &network.path,
    };
    let document = &deb.document;
    sides.same(
        "SHA-256 of the network document",
        &document.network_document_sha256,
        &network.sha256,
    )?;
    let sides = Sides {
        expected_in: &network.path,
        found_in: &deb.path,
    };
    let config = &network.document;
    sides.same("network", &config.network, &document.network)?;
    let (expected, found) = (config.sources_verified, document.sources_verified);
    sides.same("whether every source was verified", &expected, &found)?;
    let mut expected: BTreeMap<String, &str> = ledgers
        .iter()
        .map(|ledger| &ledger.document.tarball.file)
        .map(|file| (file.name.clone(), file.sha256.as_str()))
        .collect();
    let name = &config.network;
    expected.insert(format!("{name}.json"), &config.config.sha256);
    let own = format!("config_{}.json", document.git_hash);
    expected.insert(own, &config.config.sha256);
    expected.insert(format!("{name}.old.json"), &config.prefork_config.sha256);
    for (name, sha256) in expected {
        let path = format!("{}/{name}", artifacts::DATA_DIRECTORY);
        let found = document.contents.iter().find(|file| file.path == path);
        let found = found.map_or("missing", |file| file.sha256.as_str());
        sides.same(format!("SHA-256 of `{path}`"), sha256, found)?;
    }
    Ok(())
}
