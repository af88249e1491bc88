//! `materialize-ledger staged`.

use fork_archive::{Archive, ArchiveBlock, BlockChoice, Branch};
use fork_fs::StagedDir;
use fork_types::document::{ArchiveLedgerDocument, ArchiveSource, ArchivedBlock};
use fork_worker::{Context, Stages, Unit};

use crate::args::StagedArgs;
use crate::base::Base;
use crate::causes;
use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::{Materialized, materialize};

/// Name of the account list, the RFC's.
pub(crate) const LIST_NAME: &str = "staged_ledger.json";

impl StagedArgs {
    /// Writes the ledger.
    pub(crate) fn run(&self, context: &Context) -> Result<ArchiveLedgerDocument, MaterializeError> {
        let choice = match (self.state_hash, self.height, self.ledger_hash) {
            (Some(hash), _, _) => BlockChoice::StateHash(hash),
            (None, Some(height), _) => BlockChoice::Height(height),
            (None, None, Some(root)) => BlockChoice::LedgerHash(root),
            (None, None, None) => return Err(MaterializeErrorKind::NoBlock.into()),
        };
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let mut stages = Stages::new();
        let mut archive = self.archive.open()?;
        let block = archive.block(&choice)?;
        let era = archive.era(&block)?;
        let branch = archive.branch(&block)?;
        stages.end("branch");
        let (base, source) = match &self.genesis_accounts {
            Some(file) => {
                let (base, source) = Base::open(file, &branch.genesis, era, context)?;
                (Some(base), Some(source))
            }
            None if archive.rows_of(&branch.genesis)? == 0 => {
                return Err(MaterializeErrorKind::NoGenesisAccounts {
                    genesis: branch.genesis.state_hash,
                    height: branch.genesis.height,
                    state_hash: block.state_hash,
                }
                .into());
            }
            None => (None, None),
        };
        let progress = context.progress("reading accounts", 0, Unit::Items);
        let output = Some((staged.path(), LIST_NAME));
        let ledger = materialize(&mut archive, &block, base, output, &progress)?;
        drop(progress);
        stages.end("ledger");
        let file = match (&ledger.file, ledger.root) {
            (Some(file), Some(root)) if root == block.ledger_hash => file.clone(),
            _ => return Err(self.refuse(&mut archive, &block, &branch, &ledger, context)?),
        };
        let compared = crate::compare::written(
            &staged.path().join(&file.name),
            self.compare.as_ref(),
            era,
            context,
        )?;
        let document = ArchiveLedgerDocument {
            format: ArchiveLedgerDocument::format(),
            version: ArchiveLedgerDocument::version(),
            era,
            archive: ArchiveSource {
                database: archive.database().to_owned(),
                server_version: archive.server_version().to_owned(),
                schema: archive.schema().name().to_owned(),
            },
            block: ArchivedBlock {
                state_hash: block.state_hash,
                blockchain_length: block.height,
                global_slot_since_genesis: block.slot_since_genesis,
                slot_since_hard_fork: block.slot_since_hard_fork,
                timestamp_ms: block.timestamp_ms,
                status: block.status.name().to_owned(),
                branch_blocks: branch.blocks,
                branch_canonical: branch.canonical,
                genesis_state_hash: branch.genesis.state_hash,
            },
            root: block.ledger_hash,
            inside: None,
            accounts: ledger.leaves,
            accounts_from_list: ledger.from_list,
            genesis_accounts: source,
            compared,
            total_balance_nanomina: ledger.total.to_string(),
            file,
            milliseconds: stages.into_milliseconds(),
            peak_memory_bytes: fork_worker::peak_memory_bytes(),
        };
        staged.write_document(&document)?;
        staged.commit()?;
        Ok(document)
    }

    /// The error, with what it may come from.
    fn refuse(
        &self,
        archive: &mut Archive,
        block: &ArchiveBlock,
        branch: &Branch,
        ledger: &Materialized,
        context: &Context,
    ) -> Result<MaterializeError, MaterializeError> {
        let is_based = self.genesis_accounts.is_some();
        let causes = causes::find(archive, block, branch, is_based, context)?;
        let state_hash = block.state_hash;
        Ok(match ledger.root {
            Some(computed) => MaterializeErrorKind::Root {
                state_hash,
                accounts: ledger.leaves,
                computed,
                expected: block.ledger_hash,
                causes,
            },
            None if ledger.repeats.count > 0 => MaterializeErrorKind::Repeats {
                state_hash,
                shown: ledger.repeats.shown(),
                causes,
            },
            None => MaterializeErrorKind::Holes {
                state_hash,
                count: ledger.holes.count,
                leaves: ledger.leaves,
                shown: ledger.holes.shown(),
                causes,
            },
        }
        .into())
    }

    /// The result for people.
    pub(crate) fn summary(&self, document: &ArchiveLedgerDocument) -> String {
        let block = &document.block;
        let mut text = format!(
            "{}\n  block     {} at height {} ({})\n  branch    {} blocks from {}, {} of them \
             canonical\n  accounts  {}\n  root      {} (computed, equal to the block's)\n",
            self.output.output.join(&document.file.name).display(),
            block.state_hash,
            block.blockchain_length,
            block.status,
            block.branch_blocks,
            block.genesis_state_hash,
            block.branch_canonical,
            document.accounts,
            document.root,
        );
        if let Some(source) = &document.genesis_accounts {
            text.push_str(&format!(
                "  of these  {} as in {}\n",
                document.accounts_from_list, source.name
            ));
        }
        text
    }
}
