//! The run over whole ledgers: read, migrate, store, prove, pack.

use fork_fs::StagedDir;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::Rule;
use fork_store::LedgerStoreWriter;
use fork_types::document::{LedgerDocument, SourceRef};
use fork_types::{LedgerHash, SlotSinceGenesis};
use fork_worker::{Context, ReportingArgs, Stages, Unit, Worker, WorkerResult};

use crate::args::{Args, SourceArgs};
use crate::document::rule_ref;
use crate::error::{MigrateLedgerError, PassError};
use crate::finish::{
    DISK_BYTES, DISK_BYTES_PER_ACCOUNT, Demands, Facts, Migrated, STORE, checked, finish_all,
    report, role_directory,
};
use crate::pass::{self, Lane, Target};
use crate::source::{Source, stopped};

impl Worker for Args {
    const NAME: &'static str = "migrate-ledger";
    const FAILED_TO: &'static str = "failed to migrate";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let documents = self.migrate(context)?;
        context.annotate(|| crate::annotation::table(&documents));
        report(&documents, &self.output.output, context)?;
        Ok(())
    }
}

impl Args {
    fn demands(&self) -> Demands {
        Demands {
            source_root: self.source_root,
            expect_root: self.expect_root,
            unverified_source: self.unverified_source,
            proof: self.proof,
        }
    }

    fn migrate(&self, context: &Context) -> Result<Vec<LedgerDocument>, MigrateLedgerError> {
        let mut stages = Stages::new();
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let demands = self.demands();
        demands.check_roles(self.source.roles.len())?;
        let sources = self.source.sources(demands.claimed())?;
        let scheduled = sources.iter().find_map(|source| source.scheduled);
        let rule = self.source.rule(scheduled)?;
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
        let documents = finish_all(rule, self.proof, migrated, stages, context)?;
        staged.commit()?;
        Ok(documents)
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
        let arguments = &self.source;
        let target_depth = rule.target().depth();
        let is_alone = sources.len() == 1;
        let mut readers = Vec::with_capacity(sources.len());
        let mut lanes = Vec::with_capacity(sources.len());
        let mut directories = Vec::with_capacity(sources.len());
        for source in &sources {
            let directory = role_directory(staged.path(), source.role, sources.len());
            fork_fs::create_dir_all(&directory)?;
            let store = directory.join(STORE);
            let writer =
                LedgerStoreWriter::create_scratch(&store, target_depth).map_err(PassError::from)?;
            let target = Target::Store {
                writer: Box::new(writer),
                leaves: Vec::new(),
            };
            readers.push(source.reader(arguments.from, arguments.ignore_missing, context)?);
            lanes.push(Lane::new(
                rule,
                target,
                arguments.skip_source_root,
                is_alone,
            ));
            directories.push(directory);
        }
        let pinned = arguments.sha256.as_deref();
        let largest = sources.iter().filter_map(|source| source.accounts).max();
        let progress = context.progress(
            "migrating accounts",
            u64::from(largest.unwrap_or(0)),
            Unit::Items,
        );
        let read = pass::run(rule, 0, &mut readers, &mut lanes, |accounts| {
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
            let facts = Facts {
                rule,
                rule_ref: rule_ref(rule, arguments.variant.as_deref()),
                list: source.list(&read),
                source_root,
                target_root: ledger_hash(tree.root()),
                audit: &lane.audit,
                timed: lane.timed,
            };
            let document = checked(&self.demands(), &source, facts)?;
            self.check_target(&source, rule, scheduled, document.target.root, context)?;
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
        for (variant, other) in other_variants(rule, self.source.fork_slot.or(scheduled)) {
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
        let SourceArgs {
            from,
            ignore_missing,
            ..
        } = self.source;
        let mut readers = [source.reader(from, ignore_missing, context)?];
        let mut lanes = [Lane::root_only(rule)];
        if let Err(at) = pass::run(rule, 0, &mut readers, &mut lanes, |_| {}) {
            let sources = std::slice::from_ref(source);
            return Err(stopped(sources, readers.into(), None, *at));
        }
        let [lane] = lanes;
        Ok(match lane.target {
            Target::RootOnly(builder) => Some(ledger_hash(builder.finish())),
            Target::Store { .. } | Target::Piece { .. } => None,
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
