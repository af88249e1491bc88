//! The run: read, migrate, store, prove, pack.

use std::path::Path;

use fork_fs::StagedDir;
use fork_ledger::json::{StreamError, read_account_array};
use fork_ledger::merkle::{MerkleTree, RootBuilder, ledger_hash};
use fork_ledger::migrate::{Audit, Rule, RuleError};
use fork_store::{LedgerStoreWriter, prove_store, tarball_name, write_tarball};
use fork_types::document::{
    AuditCounts, Candidate, CandidateRef, ClaimedRoot, FileRef, LedgerDocument, RuleRef,
    SlotMeaning, SourceLedger, SourceRef, Tarball, TargetLedger,
};
use fork_types::{LedgerHash, SlotSinceGenesis};
use fork_worker::{
    Context, Input, InputArg, ReportingArgs, Stages, Unit, Worker, WorkerResult, peak_memory_bytes,
};
use sha2::{Digest, Sha256};

use crate::args::Args;
use crate::error::{MigrateLedgerError, PassError};
use crate::pass::{Pass, PassResult, Target};

/// Room a run needs per account: store, tarball and a margin (a plain account takes about 640 bytes
/// in the store and half of that in the tarball).
const DISK_BYTES_PER_ACCOUNT: u64 = 2_000;

/// Room a run needs whatever the size.
const DISK_BYTES: u64 = 1 << 20;

/// The account list and what is known about it.
struct Source {
    input: InputArg,
    pinned: Option<String>,
    file_name: Option<String>,
    claimed: Option<ClaimedRoot>,
    candidate: Option<CandidateRef>,
    accounts: Option<u32>,
    /// Slot of the new genesis, where the candidate has established it.
    scheduled: Option<SlotSinceGenesis>,
}

impl Worker for Args {
    const NAME: &'static str = "migrate-ledger";
    const FAILED_TO: &'static str = "failed to migrate";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let document = self.migrate(context)?;
        context.emit(&summary(&document, &self.output.output), &document)?;
        Ok(())
    }
}

impl Args {
    fn migrate(&self, context: &Context) -> Result<LedgerDocument, MigrateLedgerError> {
        let mut stages = Stages::new();
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let source = self.source()?;
        let fork_slot = self.fork_slot.or(source.scheduled);
        let rule = self.rule(&source)?;
        let expected_accounts = source.accounts.unwrap_or(0);
        fork_fs::require_free_space(
            staged.path(),
            DISK_BYTES + DISK_BYTES_PER_ACCOUNT * u64::from(expected_accounts),
        )?;
        stages.end("open");

        let target_depth = rule.target().depth();
        let store = staged.path().join("store");
        let mut writer =
            LedgerStoreWriter::create(&store, target_depth).map_err(PassError::from)?;
        let (result, read) = self.pass(&source, rule, Target::Store(&mut writer), context)?;
        let PassResult {
            source_root,
            audit,
            timed,
            leaves,
            target: _,
        } = result;
        stages.end("read-hash-migrate");

        let verified = self.check_source(&source, &read.name, source_root)?;
        audit.check_supply()?;
        let accounts =
            u32::try_from(audit.accounts).map_err(|_| MigrateLedgerError::TooManyAccounts {
                found: audit.accounts,
            })?;
        let progress = context.progress("hashing the tree", 0, Unit::Items);
        let tree = MerkleTree::new(rule.target(), target_depth, leaves).map_err(PassError::from)?;
        let target_root = ledger_hash(tree.root());
        drop(progress);
        stages.end("tree");
        self.check_target(&source, rule, fork_slot, target_root, context)?;

        let progress = context.progress("writing the store", 0, Unit::Items);
        writer
            .finish(&tree)
            .map_err(|error| MigrateLedgerError::Accounts {
                name: source.input.to_string(),
                source: Box::new(StreamError::Visit(PassError::from(error))),
            })?;
        drop(tree);
        drop(progress);
        stages.end("store");

        let progress = context.progress("proving the store", 0, Unit::Items);
        let proof = prove_store(
            &store,
            rule.target(),
            target_depth,
            &target_root,
            u64::from(accounts),
        )
        .map_err(PassError::from)?;
        drop(progress);
        stages.end("prove");

        let progress = context.progress("compressing the tarball", 0, Unit::Bytes);
        let name = tarball_name(self.role.tarball_prefix(), &target_root, rule.target());
        let tarball = write_tarball(&store, &staged.path().join(&name)).map_err(PassError::from)?;
        fork_fs::remove_dir_all(&store)?;
        drop(progress);
        stages.end("tarball");

        let document = LedgerDocument {
            format: LedgerDocument::format(),
            version: LedgerDocument::version(),
            role: self.role,
            rule: rule_ref(rule, self.variant.as_deref()),
            candidate: source.candidate.clone(),
            source: SourceLedger {
                file: FileRef {
                    name: source.file_name.unwrap_or_else(|| read.name.clone()),
                    sha256: read.sha256,
                    bytes: read.bytes,
                },
                accounts,
                depth: rule.source().depth(),
                root: source_root,
                claimed_root: verified.clone(),
                verified: verified.is_some(),
            },
            target: TargetLedger {
                accounts,
                depth: target_depth,
                root: proof.root,
                expected_by_caller: self.expect_root.is_some(),
            },
            audit: audit_counts(&audit, timed, accounts),
            tarball: Tarball {
                file: FileRef {
                    name,
                    sha256: tarball.sha256,
                    bytes: tarball.bytes,
                },
                s3_data_hash: tarball.s3_data_hash,
                content_sha256: proof.content_sha256,
                entries: proof.entries,
            },
            stages_ms: stages.into_milliseconds(),
            peak_memory_bytes: peak_memory_bytes(),
        };
        staged.write_document(&document)?;
        staged.commit()?;
        Ok(document)
    }

    fn source(&self) -> Result<Source, MigrateLedgerError> {
        let by_caller = self.source_root.map(|root| ClaimedRoot {
            root,
            by: "--source-root".to_owned(),
        });
        let Some(directory) = &self.candidate else {
            return Ok(Source {
                input: self.accounts.clone().ok_or(MigrateLedgerError::NoSource)?,
                pinned: self.sha256.clone(),
                file_name: None,
                claimed: by_caller,
                candidate: None,
                accounts: None,
                scheduled: None,
            });
        };
        let (candidate, bytes): (Candidate, _) = fork_fs::read_document(directory)?;
        if candidate.source_era != self.from {
            return Err(MigrateLedgerError::Era {
                expected: self.from,
                found: candidate.source_era,
            });
        }
        let ledger = candidate.ledger(self.role);
        let path = fork_fs::verify_file_ref(directory, &ledger.file)?;
        Ok(Source {
            input: InputArg::Path(path),
            pinned: Some(ledger.file.sha256.clone()),
            file_name: Some(ledger.file.name.clone()),
            claimed: by_caller.or_else(|| ledger.claimed_root.clone()),
            candidate: Some(CandidateRef {
                network: candidate.network.clone(),
                state_hash: candidate.fork_block.state_hash,
                sha256: hex::encode(Sha256::digest(&bytes)),
            }),
            accounts: Some(ledger.accounts),
            scheduled: candidate
                .scheduled
                .as_ref()
                .filter(|scheduled| scheduled.meaning == SlotMeaning::ScheduledGenesis)
                .map(|scheduled| scheduled.global_slot_since_genesis),
        })
    }

    /// The rule, with the candidate's scheduled slot where the rule needs one and the command line
    /// names none. `generate-network-config` compares the slot used with the schedule.
    fn rule(&self, source: &Source) -> Result<Rule, RuleError> {
        let rule = |slot| Rule::from_pair(self.from, self.to, self.variant.as_deref(), slot);
        match (rule(self.fork_slot), source.scheduled) {
            (Err(RuleError::ForkSlotMissing { .. }), Some(slot)) => rule(Some(slot)),
            (outcome, _) => outcome,
        }
    }

    fn pass<'a>(
        &self,
        source: &Source,
        rule: Rule,
        target: Target<'a>,
        context: &Context,
    ) -> Result<(PassResult<'a>, SourceRef), MigrateLedgerError> {
        let mut input = Input::open(&source.input, "accounts", context)?;
        let name = input.name().to_owned();
        let mut pass = Pass::new(rule, self.ignore_missing, target);
        let read = read_account_array(&mut input, |_, account| pass.push(account));
        read.map_err(|error| stream_error(&input, error))?;
        let result = pass
            .finish()
            .map_err(|error| MigrateLedgerError::Accounts {
                name,
                source: Box::new(StreamError::Visit(error)),
            })?;
        let read = input.finish(source.pinned.as_deref())?;
        Ok((result, read))
    }

    /// Compares the source root with every claim; gives the one that counts.
    fn check_source(
        &self,
        source: &Source,
        name: &str,
        computed: LedgerHash,
    ) -> Result<Option<ClaimedRoot>, MigrateLedgerError> {
        match &source.claimed {
            Some(claimed) if claimed.root == computed => Ok(Some(claimed.clone())),
            Some(claimed) => Err(MigrateLedgerError::SourceRoot {
                role: self.role,
                name: name.to_owned(),
                expected: claimed.root,
                by: claimed.by.clone(),
                computed,
            }),
            None if self.unverified_source => Ok(None),
            None => Err(MigrateLedgerError::Unverified {
                role: self.role,
                computed,
            }),
        }
    }

    /// Compares the migrated root with the caller's; on a mismatch looks for the variant that gives
    /// the expected one.
    fn check_target(
        &self,
        source: &Source,
        rule: Rule,
        fork_slot: Option<SlotSinceGenesis>,
        computed: LedgerHash,
        context: &Context,
    ) -> Result<(), MigrateLedgerError> {
        let Some(expected) = self.expect_root.filter(|expected| *expected != computed) else {
            return Ok(());
        };
        let mut matching_variant = None;
        for (variant, other) in other_variants(rule, fork_slot) {
            let target = Target::RootOnly(RootBuilder::new(other.target(), other.target().depth()));
            let (result, _) = self.pass(source, other, target, context)?;
            if let Target::RootOnly(root) = result.target
                && ledger_hash(root.finish()) == expected
            {
                matching_variant = Some(variant.to_owned());
                break;
            }
        }
        Err(MigrateLedgerError::TargetRoot {
            role: self.role,
            expected,
            computed,
            matching_variant,
        })
    }
}

/// The other variants of the same pair.
fn other_variants(
    rule: Rule,
    fork_slot: Option<SlotSinceGenesis>,
) -> impl Iterator<Item = (&'static str, Rule)> {
    ["untimed-becomes-timed", "untimed-stays", "no-vesting"]
        .into_iter()
        .filter_map(move |variant| {
            let slot = fork_slot.filter(|_| variant != "no-vesting");
            Rule::from_pair(rule.source(), rule.target(), Some(variant), slot)
                .ok()
                .filter(|other| *other != rule)
                .map(|other| (variant, other))
        })
}

fn stream_error(input: &Input, error: StreamError<PassError>) -> MigrateLedgerError {
    match error {
        // The reader's own error says more when it knows the input: a truncated gzip.
        StreamError::Read { source, .. } => input.damaged(source).into(),
        source => MigrateLedgerError::Accounts {
            name: input.name().to_owned(),
            source: Box::new(source),
        },
    }
}

fn rule_ref(rule: Rule, variant: Option<&str>) -> RuleRef {
    RuleRef {
        name: rule.name().to_owned(),
        from: rule.source(),
        to: rule.target(),
        fork_slot: rule.fork_slot(),
        variant: rule
            .name()
            .split_once('/')
            .map(|(_, name)| name)
            .or(variant)
            .map(str::to_owned),
    }
}

fn audit_counts(audit: &Audit, timed: u64, accounts: u32) -> AuditCounts {
    // No count exceeds the number of accounts, which fits.
    let count = |value: u64| u32::try_from(value).unwrap_or(accounts);
    AuditCounts {
        accounts,
        timed: count(timed),
        zkapps: count(audit.zkapps),
        timed_changed: count(audit.timed_changed),
        untimed_changed: count(audit.untimed_changed),
        padded_zkapps: count(audit.padded_zkapps),
        total_balance_before_nanomina: audit.before.default_token.to_string(),
        total_balance_after_nanomina: audit.after.default_token.to_string(),
    }
}

fn summary(document: &LedgerDocument, output: &Path) -> String {
    let LedgerDocument {
        role,
        rule,
        source,
        target,
        audit,
        tarball,
        ..
    } = document;
    let slot = rule
        .fork_slot
        .map_or(String::new(), |slot| format!(", fork slot {slot}"));
    let verified = source.claimed_root.as_ref().map_or_else(
        || "NOT VERIFIED: nothing claims a root for it".to_owned(),
        |claimed| format!("verified against the claim by {}", claimed.by),
    );
    let nanomina = |text: &str| {
        text.parse::<u64>().map_or_else(
            |_| text.to_owned(),
            |nanomina| fork_types::Amount::from_nanomina(nanomina).to_string(),
        )
    };
    format!(
        "{role} ledger, {accounts} accounts\n\
         rule          {rule}{slot}\n\
         source root   {source_root} ({verified})\n\
         migrated root {target_root} (recomputed from the reopened store)\n\
         audit         {timed} timed ({timed_changed} rescheduled), {untimed_changed} untimed became timed, {zkapps} zkApps ({padded} padded)\n\
         supply        {before} MINA before, {after} MINA after\n\
         tarball       {tarball}\n\
         s3_data_hash  {sha3}\n\
         written to    {output}\n",
        accounts = audit.accounts,
        rule = rule.name,
        source_root = source.root,
        target_root = target.root,
        timed = audit.timed,
        timed_changed = audit.timed_changed,
        untimed_changed = audit.untimed_changed,
        zkapps = audit.zkapps,
        padded = audit.padded_zkapps,
        before = nanomina(&audit.total_balance_before_nanomina),
        after = nanomina(&audit.total_balance_after_nanomina),
        tarball = tarball.file.name,
        sha3 = tarball.s3_data_hash,
        output = output.display(),
    )
}
