//! Comparisons between two documents.

use std::path::Path;

use fork_types::document::LedgerDocument;

use super::collect::{Placed, Run};
use super::error::{Contradiction, FactsError};

/// What package files of ledgers and configs are named below.
const INSTALLED: &str = "/var/lib/coda";

/// Holds the documents of a run against each other, and says how many comparisons there were.
///
/// # Errors
///
/// Fails with all contradictions, when there are any.
pub(super) fn compare(run: &Run) -> Result<usize, FactsError> {
    let mut comparisons = Comparisons::default();
    run.compare_ledgers(&mut comparisons);
    run.compare_network(&mut comparisons);
    run.compare_packages(&mut comparisons);
    run.compare_reports(&mut comparisons);
    run.compare_manifest(&mut comparisons);
    comparisons.end()
}

/// Everything that was compared.
#[derive(Debug, Default)]
struct Comparisons {
    made: usize,
    contradictions: Vec<Contradiction>,
}

impl Comparisons {
    /// Compares what two documents say.
    fn same<T: ToString + ?Sized>(
        &mut self,
        what: impl Into<String>,
        (first_in, first): (&Path, &T),
        (second_in, second): (&Path, &T),
    ) {
        let (first, second) = (first.to_string(), second.to_string());
        self.made += 1;
        if first != second {
            self.contradictions.push(Contradiction {
                what: what.into(),
                first,
                first_in: first_in.to_owned(),
                second,
                second_in: second_in.to_owned(),
            });
        }
    }

    /// How many comparisons there were, if all agree.
    fn end(self) -> Result<usize, FactsError> {
        if self.contradictions.is_empty() {
            return Ok(self.made);
        }
        Err(FactsError::Contradictions {
            contradictions: self.contradictions,
        })
    }
}

impl Run {
    /// Each ledger with the candidate it came from, and with the other ledgers.
    fn compare_ledgers(&self, comparisons: &mut Comparisons) {
        let candidate = &self.candidate;
        let at_candidate = candidate.path.as_path();
        let mut first: Option<&Placed<LedgerDocument>> = None;
        for ledger in &self.ledgers {
            let at = ledger.path.as_path();
            let document = &ledger.document;
            let role = document.role;
            let source = candidate.document.ledger(role);
            if let Some(reference) = &document.candidate {
                comparisons.same(
                    "SHA-256 of the candidate's document",
                    (at_candidate, &candidate.sha256),
                    (at, &reference.sha256),
                );
            }
            comparisons.same(
                format!("SHA-256 of the {role} account list"),
                (at_candidate, &source.file.sha256),
                (at, &document.source.file.sha256),
            );
            comparisons.same(
                format!("number of accounts of the {role} ledger"),
                (at_candidate, &source.accounts),
                (at, &document.source.accounts),
            );
            let claimed = source.claimed_root.as_ref().map(|claim| claim.root);
            for root in [source.computed_root, claimed].into_iter().flatten() {
                comparisons.same(
                    format!("root of the {role} ledger before the migration"),
                    (at_candidate, &root),
                    (at, &document.source.root),
                );
            }
            if let Some(first) = first {
                let at_first = first.path.as_path();
                let rule = |ledger: &LedgerDocument| {
                    let slot = ledger
                        .rule
                        .fork_slot
                        .map_or_else(|| "none".to_owned(), |slot| slot.to_string());
                    format!("{} with fork slot {slot}", ledger.rule.name)
                };
                comparisons.same(
                    "the migration's rule",
                    (at_first, &rule(&first.document)),
                    (at, &rule(document)),
                );
            }
            first = first.or(Some(ledger));
        }
    }

    /// The config with the candidate and the ledgers it names.
    fn compare_network(&self, comparisons: &mut Comparisons) {
        let (candidate, network) = (&self.candidate, &self.network);
        let at = network.path.as_path();
        let at_candidate = candidate.path.as_path();
        let fork = &network.document.fork;
        let block = &candidate.document.fork_block;
        comparisons.same(
            "SHA-256 of the candidate's document",
            (at_candidate, &candidate.sha256),
            (at, &network.document.candidate.sha256),
        );
        comparisons.same(
            "the network",
            (at_candidate, &candidate.document.network),
            (at, &network.document.candidate.network),
        );
        comparisons.same(
            "state hash of the fork block",
            (at_candidate, &block.state_hash),
            (at, &fork.state_hash),
        );
        comparisons.same(
            "height of the fork block",
            (at_candidate, &block.blockchain_length),
            (at, &fork.blockchain_length),
        );
        for ledger in &self.ledgers {
            let at_ledger = ledger.path.as_path();
            let role = ledger.document.role;
            let tarball = &ledger.document.tarball;
            let named = network
                .document
                .ledgers
                .iter()
                .find(|named| named.role == role);
            let Some(named) = named else {
                comparisons.same(
                    format!("the {role} ledger"),
                    (at_ledger, "there"),
                    (at, "not named"),
                );
                continue;
            };
            comparisons.same(
                format!("root of the {role} ledger after the migration"),
                (at_ledger, &ledger.document.target.root),
                (at, &named.hash),
            );
            for (what, first, second) in [
                ("name", &tarball.file.name, &named.tarball),
                ("SHA-256", &tarball.file.sha256, &named.sha256),
                ("SHA3-256", &tarball.s3_data_hash, &named.s3_data_hash),
            ] {
                comparisons.same(
                    format!("{what} of the {role} ledger's tarball"),
                    (at_ledger, first),
                    (at, second),
                );
            }
            if let Some(slot) = ledger.document.rule.fork_slot {
                comparisons.same(
                    "slot of the new genesis",
                    (at_ledger, &slot),
                    (at, &fork.global_slot_since_genesis),
                );
            }
        }
    }

    /// Packages with the config, images with the packages.
    fn compare_packages(&self, comparisons: &mut Comparisons) {
        let network = &self.network;
        let at_network = network.path.as_path();
        for deb in &self.debs {
            let at = deb.path.as_path();
            comparisons.same(
                "SHA-256 of the config's document",
                (at_network, &network.sha256),
                (at, &deb.document.network_document_sha256),
            );
            comparisons.same(
                "the network in packages",
                (at_network, &network.document.network),
                (at, &deb.document.network),
            );
            let packaged = |path: &str| {
                let file = deb.document.contents.iter().find(|file| file.path == path);
                file.map_or("not there", |file| file.sha256.as_str())
            };
            let config = format!("{INSTALLED}/{}.json", network.document.network);
            comparisons.same(
                format!("SHA-256 of {config}"),
                (at_network, network.document.config.sha256.as_str()),
                (at, packaged(&config)),
            );
            for ledger in &network.document.ledgers {
                let tarball = format!("{INSTALLED}/{}", ledger.tarball);
                comparisons.same(
                    format!("SHA-256 of {tarball}"),
                    (at_network, ledger.sha256.as_str()),
                    (at, packaged(&tarball)),
                );
            }
        }
        for image in &self.images {
            let at = image.path.as_path();
            let inside = &image.document.deb;
            // With one package there is something to compare with even if the names differ.
            let deb = self
                .debs
                .iter()
                .find(|deb| deb.document.file.sha256 == inside.sha256)
                .or(self
                    .debs
                    .iter()
                    .find(|deb| deb.document.file.name == inside.name))
                .or(self.debs.first());
            if let Some(deb) = deb {
                comparisons.same(
                    format!("SHA-256 of the package {}", inside.name),
                    (deb.path.as_path(), &deb.document.file.sha256),
                    (at, &inside.sha256),
                );
            }
        }
    }

    /// Reports with the candidate, the ledgers, and the packages and images they are about.
    fn compare_reports(&self, comparisons: &mut Comparisons) {
        for report in &self.reports {
            let at = report.path.as_path();
            comparisons.same(
                "SHA-256 of the candidate's document",
                (self.candidate.path.as_path(), &self.candidate.sha256),
                (at, &report.candidate_sha256),
            );
            for ledger in &self.ledgers {
                if let Some(root) = report.roots.get(&ledger.document.role) {
                    comparisons.same(
                        format!(
                            "root of the {} ledger after the migration",
                            ledger.document.role
                        ),
                        (ledger.path.as_path(), &ledger.document.target.root),
                        (at, root),
                    );
                }
            }
            let Some(sha256) = &report.subject.sha256 else {
                continue;
            };
            let known: Vec<(&Path, &str)> = match report.subject.kind.as_str() {
                "deb" => {
                    let debs = self.debs.iter();
                    debs.map(|deb| (deb.path.as_path(), deb.document.file.sha256.as_str()))
                        .collect()
                }
                "oci" => {
                    let images = self.images.iter();
                    images
                        .map(|image| {
                            let digest = image.document.manifest_digest.as_str();
                            (image.path.as_path(), digest.trim_start_matches("sha256:"))
                        })
                        .collect()
                }
                _ => continue,
            };
            let about = known
                .iter()
                .find(|(_, known)| known == sha256)
                .or(known.first());
            if let Some((path, known)) = about {
                comparisons.same(
                    format!("SHA-256 of what was verified ({})", report.subject.name),
                    (*path, *known),
                    (at, sha256.as_str()),
                );
            }
        }
    }

    /// The manifest with everything.
    fn compare_manifest(&self, comparisons: &mut Comparisons) {
        let Some(manifest) = &self.manifest else {
            return;
        };
        let at = manifest.path.as_path();
        let facts = manifest.statement.predicate();
        let at_network = self.network.path.as_path();
        let fork = &self.network.document.fork;
        comparisons.same(
            "state hash of the fork block",
            (at_network, &fork.state_hash),
            (at, &facts.fork_block.state_hash),
        );
        comparisons.same(
            "height of the fork block",
            (at_network, &fork.blockchain_length),
            (at, &facts.fork_block.blockchain_length),
        );
        comparisons.same(
            "time of the new genesis",
            (at_network, &fork.genesis_state_timestamp),
            (at, &facts.genesis.timestamp),
        );
        for ledger in &self.ledgers {
            let role = ledger.document.role;
            let Some(named) = facts.ledgers.iter().find(|named| named.role == role) else {
                comparisons.same(
                    format!("the {role} ledger"),
                    (ledger.path.as_path(), "there"),
                    (at, "not named"),
                );
                continue;
            };
            comparisons.same(
                format!("root of the {role} ledger before the migration"),
                (ledger.path.as_path(), &ledger.document.source.root),
                (at, &named.root_before),
            );
            comparisons.same(
                format!("root of the {role} ledger after the migration"),
                (ledger.path.as_path(), &ledger.document.target.root),
                (at, &named.root_after),
            );
        }
        // A statement is about one package and one image; which of several is its own matter.
        let subject = |name: &str| {
            let subject = manifest.statement.subject(name)?;
            subject.digest.get("sha256").map(String::as_str)
        };
        for deb in &self.debs {
            if let Some(named) = subject(&deb.document.file.name) {
                comparisons.same(
                    format!("SHA-256 of the package {}", deb.document.file.name),
                    (deb.path.as_path(), deb.document.file.sha256.as_str()),
                    (at, named),
                );
            }
        }
        for image in &self.images {
            if let Some(named) = subject(&format!("image:{}", image.document.tag)) {
                let digest = image.document.manifest_digest.as_str();
                comparisons.same(
                    format!("digest of the image {}", image.document.tag),
                    (image.path.as_path(), digest.trim_start_matches("sha256:")),
                    (at, named),
                );
            }
        }
        if let Some((path, signed, _)) = &manifest.envelope {
            comparisons.same(
                "SHA-256 of the statement",
                (at, &manifest.sha256),
                (path, signed),
            );
        }
    }
}
