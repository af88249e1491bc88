//! The account lists of a run, and what is known about them beforehand.

use std::path::Path;

use fork_fs::Digested;
use fork_ledger::batch::ListReader;
use fork_ledger::migrate::{Rule, RuleError};
use fork_types::document::{Candidate, CandidateRef, ClaimedRoot, FileRef, SlotMeaning, SourceRef};
use fork_types::{Class, Era, Fault, LedgerHash, Role, SlotSinceGenesis};
use fork_worker::{Context, Input, InputArg, InputError};
use sha2::{Digest, Sha256};

use crate::args::SourceArgs;
use crate::error::{MigrateLedgerError, PassError};
use crate::pass::{ListPart, StopReason, Stopped};

/// An account list and what is known about it.
pub(crate) struct Source {
    pub(crate) role: Role,
    pub(crate) input: InputArg,
    /// What the candidate says about the file.
    pub(crate) file: Option<FileRef>,
    pub(crate) claimed: Option<ClaimedRoot>,
    pub(crate) candidate: Option<CandidateRef>,
    pub(crate) accounts: Option<u32>,
    /// Slot of the new genesis, where the candidate has established it.
    pub(crate) scheduled: Option<SlotSinceGenesis>,
    /// Root that the candidate says was computed from these bytes and equals the claim.
    pub(crate) computed_before: Option<LedgerHash>,
}

impl SourceArgs {
    /// The lists that the command line names, in its order of roles. `claimed` is a root that the
    /// caller claims for the only one.
    pub(crate) fn sources(
        &self,
        claimed: Option<ClaimedRoot>,
    ) -> Result<Vec<Source>, MigrateLedgerError> {
        for (number, role) in self.roles.iter().enumerate() {
            if self.roles[..number].contains(role) {
                return Err(MigrateLedgerError::RoleTwice { role: *role });
            }
        }
        if self.accounts.is_some() && self.roles.len() > 1 {
            return Err(MigrateLedgerError::RootOfSeveral {
                option: "--accounts",
                roles: self.roles.len(),
            });
        }
        let Some(directory) = &self.candidate else {
            let input = self.accounts.clone().ok_or(MigrateLedgerError::NoSource)?;
            let list = |role: &Role| Source::bare(*role, input.clone(), claimed.clone());
            return Ok(self.roles.iter().map(list).collect());
        };
        of_candidate(
            directory,
            self.from,
            &self.roles,
            self.skip_source_root,
            claimed,
        )
    }

    /// The rule, with the candidate's scheduled slot where the rule needs one and the command line
    /// names none. `generate-network-config` compares the slot used with the schedule.
    pub(crate) fn rule(&self, scheduled: Option<SlotSinceGenesis>) -> Result<Rule, RuleError> {
        let rule = |slot| Rule::from_pair(self.from, self.to, self.variant.as_deref(), slot);
        match (rule(self.fork_slot), scheduled) {
            (Err(RuleError::ForkSlotMissing { .. }), Some(slot)) => rule(Some(slot)),
            (outcome, _) => outcome,
        }
    }
}

/// The lists of a candidate. `skip_source_root` says that their roots are not computed again.
pub(crate) fn of_candidate(
    directory: &Path,
    from: Era,
    roles: &[Role],
    skip_source_root: bool,
    claimed: Option<ClaimedRoot>,
) -> Result<Vec<Source>, MigrateLedgerError> {
    let (candidate, bytes): (Candidate, _) = fork_fs::read_document(directory)?;
    if candidate.source_era != from {
        return Err(MigrateLedgerError::Era {
            expected: from,
            found: candidate.source_era,
        });
    }
    let digest = hex::encode(Sha256::digest(&bytes));
    let scheduled = candidate
        .scheduled
        .as_ref()
        .filter(|scheduled| scheduled.meaning == SlotMeaning::ScheduledGenesis)
        .map(|scheduled| scheduled.global_slot_since_genesis);
    roles
        .iter()
        .map(|role| {
            let ledger = candidate.ledger(*role);
            let path = fork_fs::child(directory, &ledger.file.name)?;
            let claim = ledger.claimed_root.as_ref().map(|claim| claim.root);
            let computed_before = ledger.computed_root.filter(|root| Some(*root) == claim);
            if skip_source_root && computed_before.is_none() {
                return Err(MigrateLedgerError::SourceRootNotComputed { role: *role });
            }
            Ok(Source {
                role: *role,
                input: InputArg::Path(path),
                file: Some(ledger.file.clone()),
                claimed: claimed.clone().or_else(|| ledger.claimed_root.clone()),
                candidate: Some(CandidateRef {
                    network: candidate.network.clone(),
                    state_hash: candidate.fork_block.state_hash,
                    sha256: digest.clone(),
                }),
                accounts: Some(ledger.accounts),
                scheduled,
                computed_before,
            })
        })
        .collect()
}

impl Source {
    /// A list of which nothing is known.
    pub(crate) fn bare(role: Role, input: InputArg, claimed: Option<ClaimedRoot>) -> Self {
        Self {
            role,
            input,
            file: None,
            claimed,
            candidate: None,
            accounts: None,
            scheduled: None,
            computed_before: None,
        }
    }

    /// The list as documents name it, after it was read.
    pub(crate) fn list(&self, read: &SourceRef) -> FileRef {
        self.file.clone().unwrap_or_else(|| FileRef {
            name: read.name.clone(),
            sha256: read.sha256.clone(),
            bytes: read.bytes,
        })
    }

    /// Opens the list.
    pub(crate) fn reader(
        &self,
        era: Era,
        ignore_missing: bool,
        context: &Context,
    ) -> Result<ListPart<Input>, MigrateLedgerError> {
        let input = Input::open(&self.input, "accounts", context)?;
        let name = input.name().to_owned();
        let reader =
            ListReader::new(input, era, ignore_missing).map_err(|source| InputError::Damaged {
                name,
                bytes: 0,
                source,
            })?;
        Ok(ListPart::whole(reader))
    }

    /// Reads what may be left of the list and compares its digest, which was taken on the way, with
    /// the candidate's or with `pinned`.
    pub(crate) fn finish(
        &self,
        reader: ListPart<Input>,
        pinned: Option<&str>,
    ) -> Result<SourceRef, MigrateLedgerError> {
        let read = reader.into_source().finish(pinned)?;
        if let (Some(file), InputArg::Path(path)) = (&self.file, &self.input) {
            let found = Digested {
                sha256: read.sha256.clone(),
                bytes: read.bytes,
            };
            fork_fs::compare_file_ref(path, file, &found)?;
        }
        Ok(read)
    }
}

/// The error of a pass that stopped: of the list where it did.
pub(crate) fn stopped(
    sources: &[Source],
    readers: Vec<ListPart<Input>>,
    pinned: Option<&str>,
    stopped: Stopped,
) -> MigrateLedgerError {
    let Stopped { lane, reason } = stopped;
    let Some((source, reader)) = sources.iter().zip(readers).nth(lane) else {
        // There is a list for every lane.
        return MigrateLedgerError::NoSource;
    };
    let name = source.input.to_string();
    match reason {
        StopReason::Read(fork_ledger::json::StreamError::Read { source: error, .. }) => {
            // The input's own error says more: a truncated gzip.
            reader.into_source().damaged(error).into()
        }
        // That a list is another one than it should be explains everything else that is wrong.
        reason => match (source.finish(reader, pinned), reason) {
            (Err(error), _) if error.class() == Class::Wrong => error,
            (_, StopReason::Read(error)) => MigrateLedgerError::Accounts {
                name,
                source: Box::new(error),
            },
            (_, StopReason::Work(error)) => work_error(name, error),
        },
    }
}

/// An error about the accounts of a list.
pub(crate) fn work_error(name: String, error: PassError) -> MigrateLedgerError {
    MigrateLedgerError::Work {
        name,
        source: Box::new(error),
    }
}
