//! The report on the package that an image was made from, and what it is good for: ledgers whose files
//! are here to the byte need not be read, migrated and hashed again.
//!
//! Nothing is taken over on somebody's word about *this* image: config and tarballs are hashed here,
//! and compared with what the report says of the files it was made from. Where anything is not the
//! same, all of it is examined here, as without a report.

use std::path::Path;

use fork_ledger::migrate::{Rule, Totals};
use fork_store::Examined;
use fork_types::document::RuleRef;
use fork_types::{Era, Role};
use sha2::{Digest, Sha256};

use crate::config::ConfigView;
use crate::error::VerifyError;
use crate::ledgers::{LedgerFacts, Source, StoreFacts, expected_name};
use crate::reference::Reference;
use crate::report::{
    Outcome, ReportCheck, ReportDocument, ReportEarlier, ReportFile, ReportLedger,
};
use crate::subject::Subject;

/// A report that was named.
#[derive(Debug)]
pub struct Earlier {
    report: ReportDocument,
    sha256: String,
    /// Why it is not good for what is verified here; nothing when it is.
    why_not: Option<String>,
}

/// What has to be the same.
pub(crate) struct Here<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) subject: &'a Result<Subject, String>,
    pub(crate) config: &'a Result<ConfigView, String>,
    pub(crate) config_path: &'a str,
    pub(crate) chosen: &'a [Result<String, String>; 3],
    pub(crate) rule: Option<Rule>,
    pub(crate) times_ms: &'a [u64],
}

/// Whether a check looks at nothing but a ledger of the candidate, its tarball and the rule. Those
/// that look at more are run here, on the numbers of the report.
fn is_of_files(id: &str) -> bool {
    let mut parts = id.split('.');
    let (group, what) = (parts.next(), parts.nth(1));
    match group {
        Some("tarball") => matches!(what, Some("gzip" | "tar")),
        Some("migration") => matches!(what, Some("accounts" | "audit")),
        Some("store" | "supply") => true,
        _ => false,
    }
}

/// A rule as reports name it.
pub(crate) fn rule_ref(rule: &Rule) -> RuleRef {
    RuleRef {
        name: rule.name().to_owned(),
        from: rule.source(),
        to: rule.target(),
        fork_slot: rule.fork_slot(),
        variant: rule.name().split_once('/').map(|(_, name)| name.to_owned()),
    }
}

impl Earlier {
    /// Reads the report in a directory that `verify-package` wrote.
    pub(crate) fn read(directory: &Path) -> Result<Self, VerifyError> {
        let (report, bytes) = fork_fs::read_document(directory)?;
        Ok(Self {
            report,
            sha256: hex::encode(Sha256::digest(&bytes)),
            why_not: None,
        })
    }

    /// The three ledgers as the report has them, if it is good for what is here.
    pub(crate) fn ledgers(&mut self, here: &Here<'_>) -> Option<Vec<LedgerFacts>> {
        let taken = self.compare(here).and_then(|()| self.taken_over(here));
        taken.map_err(|why| self.why_not = Some(why)).ok()
    }

    fn compare(&self, here: &Here<'_>) -> Result<(), String> {
        let report = &self.report;
        let same = |what: &str, there: &str, here: &str| {
            if there == here {
                return Ok(());
            }
            Err(format!("{what} is {here}, in the report {there}"))
        };
        let reference = here.reference;
        same("the network", &report.network, &reference.network.name)?;
        let candidate = &reference.candidate_sha256;
        same(
            "the candidate's SHA-256",
            &report.candidate_sha256,
            candidate,
        )?;
        let rule = here.rule.as_ref().map(rule_ref);
        if report.rule.is_none() || report.rule != rule {
            return Err("the migration rule is another".to_owned());
        }
        if report.series.times_ms != here.times_ms {
            return Err("the new chain starts at another time".to_owned());
        }
        if report.failed > 0 {
            return Err(format!("{} of its checks failed", report.failed));
        }
        let (Ok(subject), Ok(_)) = (here.subject, here.config) else {
            return Err("config or package cannot be read".to_owned());
        };
        let tarballs = here.chosen.iter().map(|path| path.as_deref());
        for path in std::iter::once(Ok(here.config_path)).chain(tarballs) {
            let path = path.map_err(Clone::clone)?;
            let there = report.facts.files.iter().find(|file| file.path == path);
            let file = subject.entries.get(path).and_then(|entry| entry.file());
            let own = file.zip(subject.digests.get(path));
            let own = own.map(|(file, digests)| ReportFile {
                path: path.to_owned(),
                bytes: file.bytes,
                sha256: digests.sha256.clone(),
            });
            if own.is_none() || there != own.as_ref() {
                return Err(format!(
                    "`/{path}` is not the file that the report is about"
                ));
            }
        }
        Ok(())
    }

    fn taken_over(&self, here: &Here<'_>) -> Result<Vec<LedgerFacts>, String> {
        let target = here.reference.network.target_era;
        let config = here.config.as_ref().ok();
        let found = Role::ALL.into_iter().zip(here.chosen).map(|(role, path)| {
            let mut ledgers = self.report.facts.ledgers.iter();
            ledgers
                .find(|ledger| ledger.role == role)
                .and_then(|ledger| facts(ledger, path, config, target))
                .ok_or_else(|| format!("it has no whole {role} ledger"))
        });
        let found = found.collect::<Result<_, _>>()?;
        let checks = crate::checks::CHECKS.iter().flat_map(|table| table.iter());
        for check in checks.filter(|check| is_of_files(check.id)) {
            if self.outcome(check.id).is_none() {
                return Err(format!("its check {} did not pass", check.id));
            }
        }
        Ok(found)
    }

    /// A check of the report that passed.
    fn outcome(&self, id: &str) -> Option<&ReportCheck> {
        let mut checks = self.report.checks.iter();
        checks.find(|check| check.id == id && check.outcome == Outcome::Passed)
    }

    /// The report's check of this identifier, where it is taken over.
    pub(crate) fn check(&self, id: &str) -> Option<ReportCheck> {
        if self.why_not.is_some() || !is_of_files(id) {
            return None;
        }
        self.outcome(id).cloned()
    }

    /// The report itself, where it is taken over.
    pub(crate) fn report(&self) -> Option<&ReportDocument> {
        self.why_not.is_none().then_some(&self.report)
    }

    /// As a report tells it.
    pub(crate) fn described(&self) -> ReportEarlier {
        ReportEarlier {
            subject: self.report.subject.clone(),
            report_sha256: self.sha256.clone(),
            why_not: self.why_not.clone(),
        }
    }
}

/// A ledger as a report has it; nothing when the report lacks a part.
fn facts(
    ledger: &ReportLedger,
    tarball: &Result<String, String>,
    config: Option<&ConfigView>,
    target: Era,
) -> Option<LedgerFacts> {
    let totals = |text: &str| {
        Some(Totals {
            default_token: text.parse().ok()?,
            // Only the check of the supply asks for it, which is taken over.
            other_tokens: 0,
        })
    };
    let root = ledger.root_after?;
    let accounts = ledger.accounts_after?;
    Some(LedgerFacts {
        role: ledger.role,
        expected_name: expected_name(config, ledger.role, target),
        tarball: tarball.clone(),
        source: Source {
            accounts: ledger.accounts_before,
            root: Some(ledger.root_before?),
            totals: totals(&ledger.supply_before_nanomina)?,
            migrated_root: Some(ledger.root_migrated?),
            ..Source::default()
        },
        store: Ok(StoreFacts {
            accounts,
            totals: totals(ledger.supply_after_nanomina.as_deref()?)?,
            stored_root: Some(root),
            proof: Some(Examined {
                root,
                accounts,
                owners: 0,
                hash_nodes: 0,
                entries: 0,
                content_sha256: None,
            }),
            ..StoreFacts::default()
        }),
        differences: None,
    })
}
