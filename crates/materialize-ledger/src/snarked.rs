//! `materialize-ledger snarked`.

use fork_archive::BlockChoice;
use fork_fs::StagedDir;
use fork_types::document::ArchiveLedgerDocument;
use fork_types::{LedgerHash, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs, Stages};

use crate::archive::ArchiveArgs;
use crate::candidate::{archived_block, proved};
use crate::error::MaterializeError;
use crate::find::{Finder, Found};
use crate::ledger::Extras;

/// Name of the account list.
const LIST_NAME: &str = "snarked_ledger.json";

/// What `snarked` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("tip").required(true).args(["state_hash", "height"])))]
pub struct SnarkedArgs {
    /// Root of the ledger
    #[arg(long, value_name = "ROOT")]
    pub ledger_hash: LedgerHash,

    /// State hash of a block above it, such as the fork block: its branch is looked at
    #[arg(long, value_name = "HASH")]
    pub state_hash: Option<StateHash>,

    /// Height of that block: the only one there, or the only canonical one
    #[arg(long, value_name = "N")]
    pub height: Option<u32>,

    /// Genesis accounts of the chain, for an archive that lacks them: an account list or dump, a
    /// daemon's configuration, a ledger tarball, a migrated ledger or a candidate
    #[arg(long, value_name = "PATH")]
    pub genesis_accounts: Option<InputArg>,

    /// Compare the ledger with this one, account by account: an account list or a dump
    ///
    /// A difference ends with exit code 4, and the first differing account is shown.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<InputArg>,

    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// Where the list goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl SnarkedArgs {
    /// Writes the ledger.
    pub(crate) fn run(&self, context: &Context) -> Result<ArchiveLedgerDocument, MaterializeError> {
        let choice = match (self.state_hash, self.height) {
            (Some(hash), _) => BlockChoice::StateHash(hash),
            (None, Some(height)) => BlockChoice::Height(height),
            (None, None) => return Err(crate::error::MaterializeErrorKind::NoBlock.into()),
        };
        let staged = StagedDir::create_output(&self.output.output, self.output.force)?;
        let mut stages = Stages::new();
        let mut archive = self.archive.open()?;
        let tip = archive.block(&choice)?;
        let era = archive.era(&tip)?;
        let branch = archive.branch(&tip)?;
        stages.end("branch");
        let mut finder = Finder {
            archive: &mut archive,
            tip: &tip,
            branch: &branch,
            genesis_accounts: self.genesis_accounts.as_ref(),
            beside: &self.output.output,
            proved: None,
            context,
        };
        let found = finder.find(self.ledger_hash)?;
        stages.end("search");
        let (inside, block) = (
            found.prefix(),
            match &found {
                Found::After(block) => (**block).clone(),
                Found::Inside(cut) => cut.block.clone(),
            },
        );
        let extras = Extras {
            output: Some((staged.path(), LIST_NAME)),
            ..Extras::default()
        };
        let ledger = finder.write(found, extras)?;
        let file = proved(&ledger, self.ledger_hash)?;
        let list = finder.proved.take().map(|(_, list)| list);
        stages.end("ledger");
        let compared = crate::compare::written(
            &staged.path().join(LIST_NAME),
            self.compare.as_ref(),
            era,
            context,
        )?;
        let block_branch = archive.branch(&block)?;
        let document = ArchiveLedgerDocument {
            format: ArchiveLedgerDocument::format(),
            version: ArchiveLedgerDocument::version(),
            era,
            archive: crate::candidate::archive_source(&archive),
            block: archived_block(&block, &block_branch),
            root: self.ledger_hash,
            inside,
            accounts: ledger.leaves,
            accounts_from_list: ledger.from_list,
            genesis_accounts: list.map(|list| list.source().clone()),
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
        let place = match document.inside {
            Some(prefix) => format!(
                "inside block {}: {} of its {} transactions",
                block.state_hash, prefix.transactions, prefix.of
            ),
            None => format!("the staged ledger of block {}", block.state_hash),
        };
        format!(
            "{}\n  found     {place}, at height {} ({})\n  accounts  {}\n  root      {} (computed, \
             equal to the one asked for)\n",
            self.output.output.join(&document.file.name).display(),
            block.blockchain_length,
            block.status,
            document.accounts,
            document.root,
        )
    }
}
