//! The run: read, migrate, store, prove, pack.

use std::path::{Path, PathBuf};

use fork_fs::StagedDir;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::{Rule, RuleError};
use fork_store::{
    FinishedStore, LedgerStoreWriter, StoreProof, TarballSummary, prove_log, prove_store,
    tarball_name, write_tarball,
};
use fork_types::document::{
    ClaimedRoot, FileRef, LedgerDocument, SourceLedger, SourceRef, Tarball, TargetLedger,
};
use fork_types::{LedgerHash, SlotSinceGenesis};
use fork_worker::{Context, ReportingArgs, Stages, Unit, Worker, WorkerResult, peak_memory_bytes};
use pasta_poseidon::Kernel;

use crate::args::{Args, Proof};
use crate::document::{audit_counts, rule_ref, summary};
use crate::error::{MigrateLedgerError, PassError};
use crate::pass::{self, Lane, Target};
use crate::source::{Source, stopped, work_error};

/// Room a run needs per account: store, tarball and a margin (a plain account takes about 640 bytes
/// in the store and half of that in the tarball).
const DISK_BYTES_PER_ACCOUNT: u64 = 2_000;

/// Room a run needs whatever the size.
const DISK_BYTES: u64 = 1 << 20;

/// A migrated ledger whose store is still to be finished.
struct Migrated {
    source: Source,
    /// Where the result goes, inside the staging directory.
    directory: PathBuf,
    writer: Box<LedgerStoreWriter>,
    tree: MerkleTree,
    /// The document, but for what is known only when the tarball is there.
    document: LedgerDocument,
}

impl Worker for Args {
    const NAME: &'static str = "migrate-ledger";
    const FAILED_TO: &'static str = "failed to migrate";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let documents = self.migrate(context)?;
        context.annotate(|| crate::annotation::table(&documents));
        let output = &self.output.output;
        match documents.as_slice() {
            [document] => context.emit(&summary(document, output), document)?,
            several => {
                let texts: Vec<String> = several
                    .iter()
                    .map(|document| summary(document, &self.directory(output, document.role)))
                    .collect();
                context.emit(&texts.join("\n"), several)?;
            }
        }
        Ok(())
    }
}

impl Args {
    fn migrate(&self, context: &Context) -> Result<Vec<LedgerDocument>, MigrateLedgerError> {
        let mut stages = Stages::new();
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let sources = self.sources()?;
        let scheduled = sources.iter().find_map(|source| source.scheduled);
        let rule = self.rule(scheduled)?;
        let expected_accounts: u64 = sources
            .iter()
            .map(|source| u64::from(source.accounts.unwrap_or(0)))
            .sum();
        fork_fs::require_free_space(
            staged.path(),
            DISK_BYTES + DISK_BYTES_PER_ACCOUNT * expected_accounts,
        )?;
        stages.end("open");

        let migrated = self.read(rule, scheduled, sources, &staged, &mut stages, context)?;
        let mut documents = Vec::with_capacity(migrated.len());
        let mut directories = Vec::with_capacity(migrated.len());
        for ledger in migrated {
            directories.push(ledger.directory.clone());
            documents.push(self.store(rule, ledger, &mut stages, context)?);
        }
        let stages_ms = stages.into_milliseconds();
        let peak_memory_bytes = peak_memory_bytes();
        for (document, directory) in documents.iter_mut().zip(&directories) {
            document.stages_ms.clone_from(&stages_ms);
            document.peak_memory_bytes = peak_memory_bytes;
            fork_fs::write_document(directory, document)?;
        }
        staged.commit()?;
        Ok(documents)
    }

    /// The directory of a role inside `output`: itself, when there is only one.
    fn directory(&self, output: &Path, role: fork_types::Role) -> PathBuf {
        if self.roles.len() == 1 {
            output.to_owned()
        } else {
            output.join(role.to_string())
        }
    }

    /// The rule, with the candidate's scheduled slot where the rule needs one and the command line
    /// names none. `generate-network-config` compares the slot used with the schedule.
    fn rule(&self, scheduled: Option<SlotSinceGenesis>) -> Result<Rule, RuleError> {
        let rule = |slot| Rule::from_pair(self.from, self.to, self.variant.as_deref(), slot);
        match (rule(self.fork_slot), scheduled) {
            (Err(RuleError::ForkSlotMissing { .. }), Some(slot)) => rule(Some(slot)),
            (outcome, _) => outcome,
        }
    }

    /// Reads the lists, migrates their accounts into stores and checks every root.
    fn read(
        &self,
        rule: Rule,
        scheduled: Option<SlotSinceGenesis>,
        sources: Vec<Source>,
        staged: &StagedDir,
        stages: &mut Stages,
        context: &Context,
    ) -> Result<Vec<Migrated>, MigrateLedgerError> {
        let target_depth = rule.target().depth();
        let is_alone = sources.len() == 1;
        let mut readers = Vec::with_capacity(sources.len());
        let mut lanes = Vec::with_capacity(sources.len());
        let mut directories = Vec::with_capacity(sources.len());
        for source in &sources {
            let directory = self.directory(staged.path(), source.role);
            fork_fs::create_dir_all(&directory)?;
            let store = directory.join(STORE);
            let writer =
                LedgerStoreWriter::create_scratch(&store, target_depth).map_err(PassError::from)?;
            let target = Target::Store {
                writer: Box::new(writer),
                leaves: Vec::new(),
            };
            readers.push(source.reader(self.from, self.ignore_missing, context)?);
            lanes.push(Lane::new(rule, target, self.skip_source_root, is_alone));
            directories.push(directory);
        }
        let pinned = self.sha256.as_deref();
        let largest = sources.iter().filter_map(|source| source.accounts).max();
        let progress = context.progress(
            "migrating accounts",
            u64::from(largest.unwrap_or(0)),
            Unit::Items,
        );
        let read = pass::run(rule, &mut readers, &mut lanes, |accounts| {
            progress.advance(accounts);
        });
        drop(progress);
        if let Err(at) = read {
            return Err(stopped(&sources, readers, pinned, *at));
        }
        let read = sources
            .iter()
            .zip(readers)
            .map(|(source, reader)| source.finish(reader, pinned))
            .collect::<Result<Vec<SourceRef>, _>>()?;
        stages.end("read-hash-migrate");

        let progress = context.progress("hashing the trees", 0, Unit::Items);
        let source_roots = pass::source_roots(rule, &mut lanes)?;
        let mut migrated: Vec<Migrated> = Vec::with_capacity(sources.len());
        let each = sources.into_iter().zip(directories).zip(lanes).zip(read);
        for ((((source, directory), lane), read), source_root) in each.zip(source_roots) {
            let Target::Store { writer, leaves } = lane.target else {
                continue;
            };
            let tree = match migrated.first() {
                Some(first) => MerkleTree::new_beside(&first.tree, leaves),
                None => MerkleTree::new(rule.target(), target_depth, leaves),
            }
            .map_err(PassError::from)?;
            let (root, root_computed) = match (source_root, source.computed_before) {
                (Some(root), _) => (root, true),
                (None, Some(root)) => (root, false),
                (None, None) => {
                    return Err(MigrateLedgerError::SourceRootNotComputed { role: source.role });
                }
            };
            let claimed_root = self.check_source(&source, &read.name, root)?;
            lane.audit.check_supply()?;
            let found = lane.audit.accounts;
            let accounts =
                u32::try_from(found).map_err(|_| MigrateLedgerError::TooManyAccounts { found })?;
            let target_root = ledger_hash(tree.root());
            self.check_target(&source, rule, scheduled, target_root, context)?;
            let document = LedgerDocument {
                format: LedgerDocument::format(),
                version: LedgerDocument::version(),
                role: source.role,
                rule: rule_ref(rule, self.variant.as_deref()),
                candidate: source.candidate.clone(),
                source: SourceLedger {
                    file: source.file.clone().unwrap_or(FileRef {
                        name: read.name,
                        sha256: read.sha256,
                        bytes: read.bytes,
                    }),
                    accounts,
                    depth: rule.source().depth(),
                    root,
                    root_computed,
                    verified: claimed_root.is_some(),
                    claimed_root,
                },
                target: TargetLedger {
                    accounts,
                    depth: target_depth,
                    root: target_root,
                    proof: self.proof.into(),
                    expected_by_caller: self.expect_root.is_some(),
                },
                audit: audit_counts(&lane.audit, lane.timed, accounts),
                tarball: Tarball {
                    file: FileRef {
                        name: String::new(),
                        sha256: String::new(),
                        bytes: 0,
                    },
                    s3_data_hash: String::new(),
                    content_sha256: String::new(),
                    entries: 0,
                },
                stages_ms: std::collections::BTreeMap::new(),
                peak_memory_bytes: None,
                kernel: Some(Kernel::active().name().to_owned()),
            };
            migrated.push(Migrated {
                source,
                directory,
                writer,
                tree,
                document,
            });
        }
        drop(progress);
        stages.end("tree");
        Ok(migrated)
    }

    /// Finishes a store, proves it and packs it.
    fn store(
        &self,
        rule: Rule,
        migrated: Migrated,
        stages: &mut Stages,
        context: &Context,
    ) -> Result<LedgerDocument, MigrateLedgerError> {
        let Migrated {
            source,
            directory,
            writer,
            tree,
            mut document,
        } = migrated;
        let store = directory.join(STORE);
        let progress = context.progress("writing the store", 0, Unit::Items);
        let finished = writer
            .finish_for_proof(&tree)
            .map_err(|error| work_error(source.input.to_string(), error.into()))?;
        drop(progress);
        stages.end("store");

        let progress = context.progress("proving and packing", 0, Unit::Bytes);
        let prefix = source.role.tarball_prefix();
        let name = tarball_name(prefix, &document.target.root, rule.target());
        let packed = directory.join(&name);
        let (proof, tarball) = self.prove_and_pack(rule, &store, &packed, finished, tree)?;
        fork_fs::remove_dir_all(&store)?;
        drop(progress);
        stages.end("prove-and-pack");

        document.tarball = Tarball {
            file: FileRef {
                name,
                sha256: tarball.sha256,
                bytes: tarball.bytes,
            },
            s3_data_hash: tarball.s3_data_hash,
            content_sha256: proof.content_sha256,
            entries: proof.entries,
        };
        Ok(document)
    }

    /// Both only read the store, so they run side by side; a tarball of a store that is not proved
    /// goes away with the staging directory.
    fn prove_and_pack(
        &self,
        rule: Rule,
        store: &Path,
        packed: &Path,
        finished: FinishedStore,
        tree: MerkleTree,
    ) -> Result<(StoreProof, TarballSummary), PassError> {
        let root = ledger_hash(tree.root());
        let accounts = tree.len() as u64;
        let prove = || match self.proof {
            Proof::Log => prove_log(store, &finished, &tree),
            Proof::Rocksdb => prove_store(store, rule.target(), tree.depth(), &root, accounts),
        };
        let (proof, tarball) = rayon::join(prove, || write_tarball(store, packed));
        Ok((proof?, tarball?))
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
                role: source.role,
                name: name.to_owned(),
                expected: claimed.root,
                by: claimed.by.clone(),
                computed,
            }),
            None if self.unverified_source => Ok(None),
            None => Err(MigrateLedgerError::Unverified {
                role: source.role,
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
        scheduled: Option<SlotSinceGenesis>,
        computed: LedgerHash,
        context: &Context,
    ) -> Result<(), MigrateLedgerError> {
        let Some(expected) = self.expect_root.filter(|expected| *expected != computed) else {
            return Ok(());
        };
        let mut matching_variant = None;
        for (variant, other) in other_variants(rule, self.fork_slot.or(scheduled)) {
            if self.target_root(source, other, context)? == Some(expected) {
                matching_variant = Some(variant.to_owned());
                break;
            }
        }
        Err(MigrateLedgerError::TargetRoot {
            role: source.role,
            expected,
            computed,
            matching_variant,
        })
    }

    /// The root that another rule migrates the list to.
    fn target_root(
        &self,
        source: &Source,
        rule: Rule,
        context: &Context,
    ) -> Result<Option<LedgerHash>, MigrateLedgerError> {
        let mut readers = [source.reader(self.from, self.ignore_missing, context)?];
        let mut lanes = [Lane::root_only(rule)];
        if let Err(at) = pass::run(rule, &mut readers, &mut lanes, |_| {}) {
            let sources = std::slice::from_ref(source);
            return Err(stopped(sources, readers.into(), None, *at));
        }
        let [lane] = lanes;
        Ok(match lane.target {
            Target::RootOnly(builder) => Some(ledger_hash(builder.finish())),
            Target::Store { .. } => None,
        })
    }
}

/// Name of the store's directory while it is made.
const STORE: &str = "store";

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
