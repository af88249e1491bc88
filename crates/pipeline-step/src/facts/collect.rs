//! Reads the documents of a run, holds them against each other, and makes the facts.

use std::path::{Path, PathBuf};

use fork_types::document::{
    Candidate, ChosenBy, DebDocument, Document, ImageDocument, LedgerDocument, NetworkDocument,
};
use fork_types::{Role, SlotSinceHardFork};
use sha2::{Digest, Sha256};

use super::compare::compare;
use super::document::{
    FactsBlock, FactsChainId, FactsDocument, FactsGenesis, FactsImage, FactsLedger, FactsManifest,
    FactsPackage, FactsVerification,
};
use super::error::FactsError;
use super::foreign::{Manifest, Report, ReportOutcome};

/// The variant that upstream's text gives when read literally, and the default.
const USUAL_VARIANT: &str = "untimed-becomes-timed";

/// The directories of a run.
#[derive(Clone, Debug)]
pub struct Places<'a> {
    /// What `dump-candidates` wrote.
    pub candidate: &'a Path,
    /// What `migrate-ledger` wrote, three of them in any order.
    pub ledgers: &'a [PathBuf],
    /// What `generate-network-config` wrote.
    pub network_config: &'a Path,
    /// What `package-deb` wrote, for each distribution.
    pub debs: &'a [PathBuf],
    /// What `package-image` wrote.
    pub images: &'a [PathBuf],
    /// What `verify-package` wrote.
    pub reports: &'a [PathBuf],
    /// What `sign-release manifest` wrote.
    pub manifest: Option<&'a Path>,
}

/// A document and where it stands.
pub(super) struct Placed<D> {
    pub(super) document: D,
    pub(super) sha256: String,
    pub(super) path: PathBuf,
}

impl<D: Document> Placed<D> {
    fn read(directory: &Path) -> Result<Self, FactsError> {
        let (document, bytes) = fork_fs::read_document::<D>(directory)?;
        Ok(Self {
            document,
            sha256: hex::encode(Sha256::digest(&bytes)),
            path: directory.join(D::FILE_NAME),
        })
    }

    fn all(directories: &[PathBuf]) -> Result<Vec<Self>, FactsError> {
        directories
            .iter()
            .map(|directory| Self::read(directory))
            .collect()
    }
}

/// The documents of a run.
pub(super) struct Run {
    pub(super) candidate: Placed<Candidate>,
    /// In the order of [`Role::ALL`].
    pub(super) ledgers: Vec<Placed<LedgerDocument>>,
    pub(super) network: Placed<NetworkDocument>,
    pub(super) debs: Vec<Placed<DebDocument>>,
    pub(super) images: Vec<Placed<ImageDocument>>,
    pub(super) reports: Vec<Report>,
    pub(super) manifest: Option<Manifest>,
}

/// Reads the documents of a run, holds them against each other, and makes the facts.
///
/// # Errors
///
/// Fails when a document cannot be read or is another, when the ledgers are not one of each role, and
/// when two documents contradict each other; then all contradictions are named. A report that says
/// that something failed is no error here.
pub fn collect(places: &Places<'_>) -> Result<FactsDocument, FactsError> {
    let mut ledgers = Placed::<LedgerDocument>::all(places.ledgers)?;
    ledgers.sort_by_key(|ledger| ledger.document.role);
    let roles: Vec<Role> = ledgers.iter().map(|ledger| ledger.document.role).collect();
    if roles != Role::ALL {
        let found: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        return Err(FactsError::Roles {
            found: found.join(", "),
        });
    }
    let reports = places
        .reports
        .iter()
        .map(|directory| Report::read(directory));
    let run = Run {
        candidate: Placed::read(places.candidate)?,
        ledgers,
        network: Placed::read(places.network_config)?,
        debs: Placed::all(places.debs)?,
        images: Placed::all(places.images)?,
        reports: reports.collect::<Result<_, _>>()?,
        manifest: places.manifest.map(Manifest::read).transpose()?,
    };
    let comparisons = compare(&run)?;
    Ok(run.facts(comparisons))
}

impl Run {
    fn facts(self, comparisons: usize) -> FactsDocument {
        let warnings = self.warnings();
        let network = self.network.document;
        let candidate = self.candidate.document;
        let ledgers = self
            .ledgers
            .iter()
            .map(|ledger| facts_ledger(&ledger.document))
            .collect();
        // Compared above: all have the same.
        let rule = self
            .ledgers
            .into_iter()
            .next()
            .map(|ledger| ledger.document.rule);
        let block = candidate.fork_block;
        FactsDocument {
            format: FactsDocument::FORMAT.to_owned(),
            version: FactsDocument::VERSION,
            warnings,
            network: candidate.network,
            package_network: network.network,
            rule: rule.unwrap_or(fork_types::document::RuleRef {
                name: String::new(),
                from: candidate.source_era,
                to: candidate.source_era,
                fork_slot: None,
                variant: None,
            }),
            fork_block: FactsBlock {
                state_hash: block.state_hash,
                blockchain_length: block.blockchain_length,
                slot_since_hard_fork: block.slot_since_hard_fork,
                global_slot_since_genesis: block.global_slot_since_genesis,
            },
            genesis: FactsGenesis {
                timestamp: network.fork.genesis_state_timestamp,
                slot_since_hard_fork: network.fork.slot_since_hard_fork,
                global_slot_since_genesis: network.fork.global_slot_since_genesis,
                slot_chain_end: slot_chain_end(&network.derivation),
                derivation: network.derivation,
            },
            seeds: candidate.seeds,
            ledgers,
            config_sha256: network.config.sha256,
            chain_id: FactsChainId {
                inputs: network.chain_id.inputs,
                chain_id: network.chain_id.chain_id,
            },
            packages: self
                .debs
                .into_iter()
                .map(|deb| facts_package(deb.document))
                .collect(),
            images: self
                .images
                .into_iter()
                .map(|image| FactsImage {
                    tag: image.document.tag,
                    digest: image.document.manifest_digest,
                    package: image.document.deb.name,
                })
                .collect(),
            verifications: self.reports.iter().map(facts_verification).collect(),
            manifest: self.manifest.map(|manifest| FactsManifest {
                sha256: manifest.sha256,
                signatures: manifest
                    .envelope
                    .map_or_else(Vec::new, |(_, _, signers)| signers),
                overrides: manifest.statement.predicate().overrides.clone(),
            }),
            comparisons,
        }
    }

    /// What a person should know, the worst first.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for report in &self.reports {
            let failed = report.ids(ReportOutcome::Failed);
            if !failed.is_empty() {
                let name = &report.subject.name;
                warnings.push(format!(
                    "VERIFICATION OF {name} FAILED: {}",
                    failed.join(", ")
                ));
            }
        }
        let verified = |kind: &str, sha256: &str| {
            self.reports.iter().any(|report| {
                report.subject.kind == kind && report.subject.sha256.as_deref() == Some(sha256)
            })
        };
        for deb in &self.debs {
            if !verified("deb", &deb.document.file.sha256) {
                warnings.push(format!(
                    "the package {} was not verified",
                    deb.document.file.name
                ));
            }
        }
        for image in &self.images {
            let digest = image.document.manifest_digest.trim_start_matches("sha256:");
            if !verified("oci", digest) {
                warnings.push(format!("the image {} was not verified", image.document.tag));
            }
        }
        for ledger in &self.ledgers {
            let document = &ledger.document;
            if !document.source.verified {
                warnings.push(format!(
                    "the {} ledger's source root was compared with nothing (--unverified-source)",
                    document.role
                ));
            }
        }
        let candidate = &self.candidate.document;
        match candidate.selection.as_ref().map(|chosen| chosen.by) {
            Some(ChosenBy::HumanOverride) => {
                warnings.push("the fork block was chosen by a human, against the rule".to_owned());
            }
            Some(ChosenBy::HumanAndRule) => {
                warnings.push("the fork block was chosen by a human; the rule agrees".to_owned());
            }
            Some(ChosenBy::Rule) | None => {}
        }
        if !candidate.fork_block.state_hash_recomputed {
            warnings.push("the fork block's state hash was not recomputed from a block".to_owned());
        }
        let rule = self.ledgers.first().map(|ledger| &ledger.document.rule);
        if let Some(variant) = rule.and_then(|rule| rule.variant.as_deref())
            && variant != USUAL_VARIANT
        {
            warnings.push(format!(
                "the migration's variant is {variant}, not {USUAL_VARIANT}"
            ));
        }
        if let Some(manifest) = &self.manifest {
            warnings.extend(
                manifest
                    .statement
                    .predicate()
                    .overrides
                    .iter()
                    .map(|done| format!("override: {done}")),
            );
            if manifest
                .envelope
                .as_ref()
                .is_none_or(|(_, _, signers)| signers.is_empty())
            {
                warnings.push("the manifest is not signed".to_owned());
            }
        }
        warnings.extend(candidate.warnings.iter().cloned());
        warnings.extend(self.network.document.warnings.iter().cloned());
        let mut told: Vec<String> = Vec::new();
        warnings.retain(|warning| {
            let is_new = !told.contains(warning);
            told.push(warning.clone());
            is_new
        });
        warnings
    }
}

fn facts_ledger(document: &LedgerDocument) -> FactsLedger {
    FactsLedger {
        role: document.role,
        root_before: document.source.root,
        root_after: document.target.root,
        accounts_before: document.source.accounts,
        accounts_after: document.target.accounts,
        source_verified: document.source.verified,
        tarball: document.tarball.file.name.clone(),
        tarball_sha256: document.tarball.file.sha256.clone(),
        s3_data_hash: document.tarball.s3_data_hash.clone(),
    }
}

fn facts_package(document: DebDocument) -> FactsPackage {
    FactsPackage {
        file: document.file.name,
        name: document.package,
        version: document.package_version,
        architecture: document.architecture,
        git_hash: document.git_hash,
        bytes: document.file.bytes,
        sha256: document.file.sha256,
    }
}

fn facts_verification(report: &Report) -> FactsVerification {
    FactsVerification {
        subject: format!("{} {}", report.subject.kind, report.subject.name),
        passed: report.ids(ReportOutcome::Passed).len(),
        failed: report.ids(ReportOutcome::Failed),
        not_run: report.ids(ReportOutcome::NotRun).len(),
    }
}

/// The chain's end, which the config's document has in its derivation only.
fn slot_chain_end(derivation: &[String]) -> Option<SlotSinceHardFork> {
    derivation.iter().find_map(|line| {
        let (_, rest) = line.split_once("slot_chain_end ")?;
        rest.split_whitespace().next()?.parse().ok()
    })
}
