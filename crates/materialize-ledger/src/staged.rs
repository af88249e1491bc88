//! `materialize-ledger staged`.

use fork_archive::BlockChoice;
use fork_fs::StagedDir;
use fork_types::document::{ArchiveLedgerDocument, ArchiveSource, ArchivedBlock};
use fork_worker::{Context, Stages, Unit};

use crate::args::StagedArgs;
use crate::base::GenesisAccounts;
use crate::causes::{self, Suspect};
use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::materialize;
use crate::prove::{Located, no_genesis_accounts, wrong};

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
        let staged = StagedDir::create_output(&self.output.output, self.output.force)?;
        let mut stages = Stages::new();
        let mut archive = self.archive.open()?;
        let at = Located::find(&mut archive, &choice)?;
        let Located { block, era, branch } = &at;
        stages.end("branch");
        let base = match &self.genesis_accounts {
            Some(file) => {
                let beside = &self.output.output;
                let genesis = (branch.genesis.state_hash, branch.genesis.ledger_hash);
                Some(GenesisAccounts::prove(
                    file, genesis, *era, beside, context,
                )?)
            }
            None if archive.rows_of(&branch.genesis)? == 0 => return Err(no_genesis_accounts(&at)),
            None => None,
        };
        let progress = context.progress("reading accounts", 0, Unit::Items);
        let output = Some((staged.path(), LIST_NAME));
        let list = base.as_ref().map(GenesisAccounts::open).transpose()?;
        let ledger = materialize(&mut archive, block, list, output, &progress)?;
        drop(progress);
        stages.end("ledger");
        let file = match (&ledger.file, ledger.root) {
            (Some(file), Some(root)) if root == block.ledger_hash => file.clone(),
            _ => {
                let suspect = Suspect {
                    at: &at,
                    ledger: &ledger,
                    base: base.as_ref(),
                    context,
                };
                let causes = causes::find(&mut archive, suspect)?;
                return Err(wrong(block, &ledger, causes));
            }
        };
        let compared = crate::compare::written(
            &staged.path().join(&file.name),
            self.compare.as_ref(),
            *era,
            context,
        )?;
        let document = ArchiveLedgerDocument {
            format: ArchiveLedgerDocument::format(),
            version: ArchiveLedgerDocument::version(),
            era: *era,
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
            genesis_accounts: base.as_ref().map(|base| base.source().clone()),
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
