//! The statement of a release: reads every document and every file of it, and holds them against each
//! other before a word is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_sign::{Statement, Subject};
use fork_types::Role;
use fork_types::document::{
    Candidate, ChosenBy, DebDocument, Document, FileRef, ImageDocument, LedgerDocument,
    NetworkDocument,
};

use crate::artifacts;
use crate::error::SignError;
use crate::manifest::{
    FORMAT, Manifest, ManifestChainId, ManifestForkBlock, ManifestGenesis, ManifestImage,
    ManifestInput, ManifestLedger, ManifestNetwork, ManifestPackage, PREDICATE_TYPE, VERSION,
    Verdict,
};
use crate::products;
use crate::report::Report;

/// The directories of a release.
#[derive(Clone, Debug)]
pub struct Release<'a> {
    /// What `dump-candidates` wrote.
    pub candidate: &'a Path,
    /// What `migrate-ledger` wrote, three of them in any order.
    pub ledgers: &'a [PathBuf],
    /// What `generate-network-config` wrote.
    pub network_config: &'a Path,
    /// What `package-deb` wrote, for each distribution.
    pub debs: &'a [PathBuf],
    /// What `package-image` wrote, for each distribution and architecture.
    pub images: &'a [PathBuf],
    /// What `verify-package` wrote.
    pub reports: &'a [PathBuf],
}

/// A document and where it stands.
pub(crate) struct Placed<D> {
    pub(crate) document: D,
    pub(crate) sha256: String,
    pub(crate) directory: PathBuf,
    pub(crate) path: PathBuf,
}

impl<D: Document> Placed<D> {
    fn read(directory: &Path) -> Result<Self, SignError> {
        let (document, bytes) = fork_fs::read_document::<D>(directory)?;
        Ok(Self {
            document,
            sha256: artifacts::sha256(&bytes),
            directory: directory.to_owned(),
            path: directory.join(D::FILE_NAME),
        })
    }

    /// The file the document names, which must be what the document says.
    pub(crate) fn subject(&self, file: &FileRef) -> Result<Subject, SignError> {
        fork_fs::verify_file_ref(&self.directory, file)?;
        Ok(subject(file))
    }
}

fn subject(file: &FileRef) -> Subject {
    let mut subject = Subject::new(&file.name, &file.sha256);
    annotate(&mut subject, "bytes", file.bytes);
    subject
}

pub(crate) fn annotate(subject: &mut Subject, name: &str, value: impl Into<serde_json::Value>) {
    subject.annotations.insert(name.to_owned(), value.into());
}

/// Compares what two documents say.
pub(crate) struct Sides<'a> {
    pub(crate) expected_in: &'a Path,
    pub(crate) found_in: &'a Path,
}

impl Sides<'_> {
    pub(crate) fn same<T: ToString + ?Sized>(
        &self,
        what: impl Into<String>,
        expected: &T,
        found: &T,
    ) -> Result<(), SignError> {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected == found {
            return Ok(());
        }
        Err(SignError::Mismatch {
            what: what.into(),
            expected,
            expected_in: self.expected_in.to_owned(),
            found,
            found_in: self.found_in.to_owned(),
        })
    }
}

/// Makes the statement of a release. `note` is told what is being done.
///
/// # Errors
///
/// Fails when a file is not what its document says, when the documents do not belong together, when a
/// report says that something failed or is about other files, and when something cannot be read.
pub fn collect(
    release: &Release<'_>,
    note: &dyn Fn(&str),
) -> Result<Statement<Manifest>, SignError> {
    let candidate = Placed::<Candidate>::read(release.candidate)?;
    let network = Placed::<NetworkDocument>::read(release.network_config)?;
    let ledgers = read_ledgers(release.ledgers)?;
    let debs = read_all::<DebDocument>(release.debs)?;
    let images = read_all::<ImageDocument>(release.images)?;
    let reports = release
        .reports
        .iter()
        .map(|directory| Report::read(directory))
        .collect::<Result<Vec<_>, _>>()?;

    check_candidate(&candidate, &network, note)?;
    let mut subjects = Vec::new();
    note("checking the network config");
    let files = &network.document;
    for file in [&files.config, &files.hashes, &files.prefork_config] {
        subjects.push(network.subject(file)?);
    }
    for ledger in &ledgers {
        check_ledger(&candidate, &network, ledger)?;
        let tarball = &ledger.document.tarball;
        // Two epoch ledgers with the same root are one file.
        if subjects.iter().any(|known| known.name == tarball.file.name) {
            artifacts::check_tarball(&ledger.directory, tarball)?;
            continue;
        }
        note(&format!("checking the {} ledger", ledger.document.role));
        artifacts::check_tarball(&ledger.directory, tarball)?;
        let mut one = subject(&tarball.file);
        one.digest
            .insert("sha3_256".to_owned(), tarball.s3_data_hash.clone());
        annotate(&mut one, "content_sha256", tarball.content_sha256.clone());
        subjects.push(one);
    }
    check_sources(&network, &ledgers)?;
    let mut verdicts = Verdicts::new(&reports, &candidate)?;
    let (packages, images) = products::collect(
        &network,
        &ledgers,
        (&debs, &images),
        &mut verdicts,
        &mut subjects,
        note,
    )?;
    verdicts.none_left()?;
    let manifest = manifest(&candidate, &network, &ledgers, packages, images)?;
    Statement::new(PREDICATE_TYPE, subjects, manifest).map_err(SignError::Write)
}

fn read_all<D: Document>(directories: &[PathBuf]) -> Result<Vec<Placed<D>>, SignError> {
    directories
        .iter()
        .map(|directory| Placed::read(directory))
        .collect()
}

fn read_ledgers(directories: &[PathBuf]) -> Result<Vec<Placed<LedgerDocument>>, SignError> {
    let mut given: BTreeMap<Role, Placed<LedgerDocument>> = BTreeMap::new();
    for directory in directories {
        let ledger = Placed::<LedgerDocument>::read(directory)?;
        let role = ledger.document.role;
        if given.insert(role, ledger).is_some() {
            let problem = "there are two of the";
            return Err(SignError::Roles { problem, role });
        }
    }
    let mut take = |role| {
        let problem = "there is no";
        given
            .remove(&role)
            .ok_or(SignError::Roles { problem, role })
    };
    Role::ALL.into_iter().map(&mut take).collect()
}

/// The candidate's own files, and that the config was made from it.
fn check_candidate(
    candidate: &Placed<Candidate>,
    network: &Placed<NetworkDocument>,
    note: &dyn Fn(&str),
) -> Result<(), SignError> {
    note("checking the candidate");
    let lists = Role::ALL.map(|role| &candidate.document.ledger(role).file);
    for file in lists.into_iter().chain(&candidate.document.block) {
        fork_fs::verify_file_ref(&candidate.directory, file)?;
    }
    let (block, fork) = (&candidate.document.fork_block, &network.document.fork);
    let sides = Sides {
        expected_in: &candidate.path,
        found_in: &network.path,
    };
    let named = &network.document.candidate;
    sides.same("network", &candidate.document.network, &named.network)?;
    sides.same("state hash", &block.state_hash, &named.state_hash)?;
    sides.same("state hash", &block.state_hash, &fork.state_hash)?;
    let (expected, found) = (block.blockchain_length, fork.blockchain_length);
    sides.same("height", &expected, &found)?;
    let sides = Sides {
        expected_in: &network.path,
        found_in: &candidate.path,
    };
    sides.same(
        "SHA-256 of the candidate's document",
        &named.sha256,
        &candidate.sha256,
    )
}

fn check_ledger(
    candidate: &Placed<Candidate>,
    network: &Placed<NetworkDocument>,
    ledger: &Placed<LedgerDocument>,
) -> Result<(), SignError> {
    let document = &ledger.document;
    let role = document.role;
    let sides = Sides {
        expected_in: &candidate.path,
        found_in: &ledger.path,
    };
    let list = candidate.document.ledger(role);
    let what = |what: &str| format!("{what} of the {role} ledger");
    sides.same(
        what("SHA-256 of the account list"),
        &list.file.sha256,
        &document.source.file.sha256,
    )?;
    if let Some(root) = list.computed_root {
        sides.same(what("root before"), &root, &document.source.root)?;
    }
    let sides = Sides {
        expected_in: &network.path,
        found_in: &ledger.path,
    };
    let expected = network
        .document
        .ledgers
        .iter()
        .find(|one| one.role == role)
        .ok_or_else(|| SignError::Mismatch {
            what: what("name"),
            expected: "one of each".to_owned(),
            expected_in: ledger.path.clone(),
            found: "missing".to_owned(),
            found_in: network.path.clone(),
        })?;
    let tarball = &document.tarball;
    sides.same(what("root after"), &expected.hash, &document.target.root)?;
    for (member, expected, found) in [
        (
            "s3_data_hash",
            &expected.s3_data_hash,
            &tarball.s3_data_hash,
        ),
        ("SHA-256", &expected.sha256, &tarball.file.sha256),
        ("tarball", &expected.tarball, &tarball.file.name),
    ] {
        sides.same(what(member), expected, found)?;
    }
    // A ledger migrated from a bare list names no candidate; its list was compared above.
    if let Some(from) = &document.candidate {
        let named = &network.document.candidate.sha256;
        sides.same(what("candidate"), named, &from.sha256)?;
    }
    if let Some(slot) = document.rule.fork_slot {
        let expected = network.document.fork.global_slot_since_genesis;
        sides.same(what("fork slot"), &expected, &slot)?;
    }
    Ok(())
}

/// One rule for all ledgers, and what the config says of their sources.
fn check_sources(
    network: &Placed<NetworkDocument>,
    ledgers: &[Placed<LedgerDocument>],
) -> Result<(), SignError> {
    let mut verified = true;
    let mut first: Option<&Placed<LedgerDocument>> = None;
    for ledger in ledgers {
        verified &= ledger.document.source.verified;
        let first = *first.get_or_insert(ledger);
        let sides = Sides {
            expected_in: &first.path,
            found_in: &ledger.path,
        };
        let rule = |ledger: &Placed<LedgerDocument>| {
            let rule = &ledger.document.rule;
            format!("{} ({} to {})", rule.name, rule.from, rule.to)
        };
        sides.same("migration rule", &rule(first), &rule(ledger))?;
    }
    let sides = Sides {
        expected_in: first.map_or(network.path.as_path(), |ledger| &ledger.path),
        found_in: &network.path,
    };
    let found = network.document.sources_verified;
    sides.same("whether every source was verified", &verified, &found)
}

fn manifest(
    candidate: &Placed<Candidate>,
    network: &Placed<NetworkDocument>,
    ledgers: &[Placed<LedgerDocument>],
    packages: Vec<ManifestPackage>,
    images: Vec<ManifestImage>,
) -> Result<Manifest, SignError> {
    let version = if packages.len().max(images.len()) > 1 {
        VERSION
    } else {
        1
    };
    let (mut packages, mut images) = (packages.into_iter(), images.into_iter());
    let package = packages.next().ok_or(SignError::NoPackage)?;
    let (block, fork) = (&candidate.document.fork_block, &network.document.fork);
    let rule = match ledgers.first() {
        Some(ledger) => ledger.document.rule.clone(),
        None => {
            return Err(SignError::Roles {
                problem: "there is no",
                role: Role::Genesis,
            });
        }
    };
    Ok(Manifest {
        format: FORMAT.to_owned(),
        version,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        network: ManifestNetwork {
            name: candidate.document.network.clone(),
            package_name: network.document.network.clone(),
        },
        rule,
        fork_block: ManifestForkBlock {
            state_hash: block.state_hash,
            state_hash_recomputed: block.state_hash_recomputed,
            blockchain_length: block.blockchain_length,
        },
        genesis: ManifestGenesis {
            global_slot_since_genesis: fork.global_slot_since_genesis,
            slot_since_hard_fork: fork.slot_since_hard_fork,
            timestamp: fork.genesis_state_timestamp.clone(),
            timestamp_ms: fork.genesis_state_timestamp_ms,
        },
        seeds: candidate.document.seeds.clone(),
        ledgers: ledgers
            .iter()
            .map(|ledger| manifest_ledger(&ledger.document))
            .collect(),
        chain_id: ManifestChainId {
            inputs: network
                .document
                .chain_id
                .inputs
                .iter()
                .map(|(name, value)| ManifestInput {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            chain_id: network.document.chain_id.chain_id.clone(),
        },
        sources_verified: network.document.sources_verified,
        overrides: overrides(&candidate.document, ledgers),
        package,
        image: images.next(),
        further_packages: packages.collect(),
        further_images: images.collect(),
    })
}

fn manifest_ledger(document: &LedgerDocument) -> ManifestLedger {
    ManifestLedger {
        role: document.role,
        accounts_sha256: document.source.file.sha256.clone(),
        accounts_before: document.source.accounts,
        accounts_after: document.target.accounts,
        root_before: document.source.root,
        root_after: document.target.root,
        source_verified: document.source.verified,
        balance_before_nanomina: document.audit.total_balance_before_nanomina.clone(),
        balance_after_nanomina: document.audit.total_balance_after_nanomina.clone(),
        tarball: document.tarball.file.name.clone(),
    }
}

/// What a person allowed that a rule or a check did not.
fn overrides(candidate: &Candidate, ledgers: &[Placed<LedgerDocument>]) -> Vec<String> {
    let mut overrides = Vec::new();
    let by = candidate.selection.as_ref().map(|chosen| chosen.by);
    if by == Some(ChosenBy::HumanOverride) {
        overrides.push("the fork block was chosen by a human, against the rule".to_owned());
    }
    for ledger in ledgers {
        if !ledger.document.source.verified {
            overrides.push(format!(
                "the root of the {} ledger before migration was compared with nothing",
                ledger.document.role
            ));
        }
    }
    overrides
}

/// The reports that are not used up yet, by kind and digest of their subject.
pub(crate) struct Verdicts<'a>(BTreeMap<(String, String), &'a Report>);

impl<'a> Verdicts<'a> {
    fn new(reports: &'a [Report], candidate: &Placed<Candidate>) -> Result<Self, SignError> {
        let mut known = BTreeMap::new();
        for report in reports {
            let sides = Sides {
                expected_in: &report.path,
                found_in: &candidate.path,
            };
            sides.same(
                "SHA-256 of the candidate's document",
                &report.candidate_sha256,
                &candidate.sha256,
            )?;
            let sha256 = report.sha256.as_deref().unwrap_or("without a digest");
            let subject = (report.kind.clone(), sha256.to_owned());
            if let Some(first) = known.insert(subject, report) {
                return Err(SignError::TwoReports {
                    first: first.path.clone(),
                    second: report.path.clone(),
                    kind: report.kind.clone(),
                });
            }
        }
        Ok(Self(known))
    }

    pub(crate) fn take(&mut self, kind: &str, sha256: &str) -> Verdict {
        let report = self.0.remove(&(kind.to_owned(), sha256.to_owned()));
        report.map_or_else(Verdict::none, Report::verdict)
    }

    fn none_left(self) -> Result<(), SignError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some(((kind, sha256), report)) => Err(SignError::Foreign {
                path: report.path.clone(),
                kind,
                sha256,
            }),
        }
    }
}
