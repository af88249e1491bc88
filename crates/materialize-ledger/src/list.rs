//! `materialize-ledger list`.

use fork_archive::{LISTED_BLOCKS_MAX, ListedBlock};
use fork_types::document::{ArchiveBlocksDocument, ListedArchiveBlock};
use fork_worker::table::{Column, short, table};
use fork_worker::{Context, ReportingArgs};

use crate::archive::ArchiveArgs;
use crate::candidate::archive_source;
use crate::error::{MaterializeError, MaterializeErrorKind};

/// Blocks that are listed when nobody says how many.
const LIMIT_DEFAULT: u32 = 50;

/// What `list` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Lowest height [default: 0]
    #[arg(long, value_name = "N")]
    pub from_height: Option<u32>,

    /// Highest height [default: the highest there is]
    #[arg(long, value_name = "N")]
    pub to_height: Option<u32>,

    /// Blocks at most, counted from the highest
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTED_BLOCKS_MAX - 1)))]
    pub limit: u32,

    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl ListArgs {
    /// Reads the blocks.
    pub(crate) fn run(&self, context: &Context) -> Result<ArchiveBlocksDocument, MaterializeError> {
        let mut archive = self.archive.open()?;
        let bar = context.progress("reading blocks", 0, fork_worker::Unit::Items);
        let heights = (
            self.from_height.unwrap_or(0),
            // The server's heights are 64 bits wide, and no chain is that long.
            self.to_height.unwrap_or(u32::MAX),
        );
        let mut blocks = archive.list(heights, self.limit.saturating_add(1))?;
        bar.advance(blocks.len() as u64);
        if blocks.is_empty() && archive.is_empty()? {
            return Err(MaterializeErrorKind::Archive(archive.empty()).into());
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = blocks.len() > limit;
        blocks.truncate(limit);
        Ok(ArchiveBlocksDocument {
            format: ArchiveBlocksDocument::format(),
            version: ArchiveBlocksDocument::version(),
            archive: archive_source(&archive),
            blocks: blocks.iter().map(listed).collect(),
            has_more,
        })
    }

    /// The result for people.
    pub(crate) fn summary(document: &ArchiveBlocksDocument) -> String {
        let columns = [
            Column::Number("height"),
            Column::Text("state hash"),
            Column::Text("parent"),
            Column::Text("status"),
            Column::Number("slot"),
            Column::Number("commands"),
            Column::Number("rows"),
            Column::Text("staged ledger"),
            Column::Number("above"),
        ];
        let rows: Vec<Vec<String>> = document
            .blocks
            .iter()
            .map(|block| {
                vec![
                    block.blockchain_length.to_string(),
                    block.state_hash.to_string(),
                    short(block.previous_state_hash),
                    block.status.clone(),
                    block.slot_since_hard_fork.to_string(),
                    block.commands.to_string(),
                    block.account_rows.to_string(),
                    fork_worker::text::clipped(&block.staged_ledger_hash.to_string(), 13),
                    block.confirmations.to_string(),
                ]
            })
            .collect();
        let mut text = table(&columns, &rows);
        if document.has_more {
            text.push_str("and more: --from-height, --to-height and --limit say which\n");
        }
        text
    }
}

/// A block in documents.
fn listed(listed: &ListedBlock) -> ListedArchiveBlock {
    let block = &listed.block;
    ListedArchiveBlock {
        state_hash: block.state_hash,
        previous_state_hash: block.parent_hash,
        blockchain_length: block.height,
        global_slot_since_genesis: block.slot_since_genesis,
        slot_since_hard_fork: block.slot_since_hard_fork,
        timestamp_ms: block.timestamp_ms,
        status: block.status.name().to_owned(),
        transaction_version: block.transaction_version,
        commands: listed.user_commands.saturating_add(listed.zkapp_commands),
        fee_transfers: listed.fee_transfers,
        coinbase_nanomina: listed.coinbase.nanomina().to_string(),
        account_rows: listed.accounts,
        staged_ledger_hash: block.ledger_hash,
        snarked_ledger_hash: block.snarked_ledger_hash,
        staking_ledger_hash: block.staking_epoch.ledger_hash,
        next_ledger_hash: block.next_epoch.ledger_hash,
        confirmations: listed.confirmations,
    }
}
