//! `materialize-ledger select`: the rule that chooses among what daemons show, over an archive.
//!
//! An archive is taken for a daemon that shows every block it has: one for each of its highest blocks,
//! so that two chains of the same height are a tie here too. Its clock is the database server's.

use std::collections::{BTreeSet, HashMap};

use fork_archive::{Archive, ArchiveBlock, ArchiveErrorKind, BlockChoice, ListedBlock, Window};
use fork_genesis::candidate::{ComputedLedger, Evidence, Import, compare};
use fork_genesis::network::{Network, StopSlots};
use fork_genesis::selection::rule::{StopSlotError, Wishes, rule};
use fork_genesis::selection::{CONFIRMATIONS_DEFAULT, Outcome, StoredBlock, select};
use fork_types::document::{
    DaemonView, SeenBlock, SeenStopSlots, SelectionDocument, SelectionRule,
};
use fork_types::{Class, Fault, SlotSinceHardFork, StateHash};
use fork_worker::selection::human;
use fork_worker::{Context, ReportingArgs};

use crate::archive::ArchiveArgs;
use crate::candidate::{facts, read_network};
use crate::error::{MaterializeError, MaterializeErrorKind};

/// What a view says of itself, in the word daemons have for it: whether an archive has all there is,
/// it cannot say, and a warning says so.
const IN_SYNC: &str = "SYNCED";

/// What `select` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct SelectArgs {
    /// Network: a file, or the name of one that ships (devnet, mainnet, devnet-v1, mainnet-v1)
    #[arg(long, value_name = "N")]
    pub network: String,

    /// Blocks that must stand above the fork block
    #[arg(long, value_name = "N", default_value_t = CONFIRMATIONS_DEFAULT)]
    pub confirmations: u32,

    /// First slot without transactions, since the last hard fork [default: the network file's]
    #[arg(long, value_name = "SLOT")]
    pub slot_tx_end: Option<SlotSinceHardFork>,

    /// First slot without blocks, since the last hard fork [default: the network file's]
    #[arg(long, value_name = "SLOT")]
    pub slot_chain_end: Option<SlotSinceHardFork>,

    /// The slot it is now, since the last hard fork [default: by the clock of the database server]
    #[arg(long, value_name = "SLOT")]
    pub clock_slot: Option<SlotSinceHardFork>,

    /// The fork block that people agreed on: chosen whatever the rule says, if the archive has it.
    /// What the rule has against it is recorded
    #[arg(long, value_name = "HASH")]
    pub state_hash: Option<StateHash>,

    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Why no fork block is chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// The stop slots are not known for certain.
    #[error(transparent)]
    StopSlots(#[from] StopSlotError),
    /// No fork block yet.
    #[error("there is no fork block yet: {}", first_of(.problems))]
    Pending {
        /// Everything that is missing.
        problems: Vec<String>,
    },
    /// No fork block, and waiting does not help.
    #[error("there is no fork block: {}", first_of(.problems))]
    Refused {
        /// Everything that is in the way.
        problems: Vec<String>,
    },
}

/// Problems of a choice that fit into one message.
const PROBLEMS_SHOWN: usize = 3;

/// The first of what the table above has in full.
fn first_of(problems: &[String]) -> String {
    match problems {
        [] => "the rule chooses none".to_owned(),
        few if few.len() <= PROBLEMS_SHOWN => few.join("; "),
        [first, more @ ..] => format!("{first}; {} more above", more.len()),
    }
}

impl Fault for ChoiceError {
    fn class(&self) -> Class {
        match self {
            Self::StopSlots(StopSlotError::Unknown { .. }) => Class::Usage,
            Self::Pending { .. } => Class::Pending,
            Self::StopSlots(StopSlotError::Disagree { .. }) | Self::Refused { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::StopSlots(_) => {
                "find out what the network agreed on, and give it as --slot-tx-end and \
                 --slot-chain-end. Without stop slots there is no rule: `materialize-ledger list` \
                 shows the blocks, and `candidate --state-hash` takes the one that people agreed on"
            }
            Self::Pending { .. } => "let the archive run on, and run the same command again later",
            Self::Refused { .. } => {
                "time resolves none of this: compare with another archive and with daemons, and \
                 once people agree name the block with --state-hash"
            }
        };
        Some(hint.to_owned())
    }
}

impl SelectArgs {
    /// Applies the rule and prints what it says about every block.
    ///
    /// # Errors
    ///
    /// Fails, after printing, when no block is chosen.
    pub(crate) fn run(&self, context: &Context) -> Result<(), MaterializeError> {
        let network = read_network(&self.network)?;
        let wishes = Wishes {
            slot_tx_end: self.slot_tx_end,
            slot_chain_end: self.slot_chain_end,
            confirmations: self.confirmations,
            quorum: Some(1),
        };
        // An archive runs with no stop slots of its own.
        let rule = rule(&wishes, &[], &network.stop).map_err(ChoiceError::from)?;
        let mut archive = self.archive.open()?;
        let mut end = rule.slot_tx_end.get();
        // The block that people agreed on may be below the end of transactions, and its confirmations
        // count as well.
        if let Some(wanted) = self.state_hash {
            match archive.block(&BlockChoice::StateHash(wanted)) {
                Ok(block) => end = end.min(block.slot_since_hard_fork.get()),
                // The rule says that nobody knows it.
                Err(error) if matches!(error.kind(), ArchiveErrorKind::NoBlock { .. }) => {}
                Err(error) => return Err(MaterializeErrorKind::Archive(error).into()),
            }
        }
        let window = archive.window(end)?;
        belongs(&mut archive, &window, &network)?;
        let views = self.views(&archive, &window, &network, &rule);
        let stored = self.stored(&mut archive, &window)?;
        let selection = select(&network.name, &rule, &views, &stored, self.state_hash);
        let mut document = selection.document;
        document.warnings.extend(warnings(&archive, &window));
        context.emit(&text(&document, &self.network), &document)?;
        let problems = document.problems;
        match (document.chosen, selection.outcome) {
            (Some(_), _) => Ok(()),
            (None, Outcome::Refused) => Err(ChoiceError::Refused { problems }.into()),
            (None, Outcome::Pending | Outcome::Chosen) => {
                Err(ChoiceError::Pending { problems }.into())
            }
        }
    }

    /// One view for each of the highest blocks.
    fn views(
        &self,
        archive: &Archive,
        window: &Window,
        network: &Network,
        rule: &SelectionRule,
    ) -> Vec<DaemonView> {
        let blocks: Vec<SeenBlock> = window.blocks.iter().map(seen).collect();
        let several = window.tips.len() > 1;
        let name = |tip: &ArchiveBlock| match several {
            true => format!("archive {}, {}", archive.database(), tip.state_hash),
            false => format!("archive {}", archive.database()),
        };
        let view = |tip: &ArchiveBlock| DaemonView {
            format: DaemonView::format(),
            version: DaemonView::version(),
            name: name(tip),
            network_id: None,
            chain_id: None,
            daemon_version: None,
            sync_status: IN_SYNC.to_owned(),
            stop: SeenStopSlots {
                slot_tx_end: Some(rule.slot_tx_end),
                slot_chain_end: Some(rule.slot_chain_end),
                hard_fork_genesis_slot_delta: None,
            },
            clock_slot: self
                .clock_slot
                .or_else(|| clock_slot(tip, window.server_time_ms, network.chain.slot_ms)),
            synced_slot: None,
            observed_at_ms: window.server_time_ms,
            tip: Some(tip.state_hash),
            reorganisations: 0,
            blocks: blocks.clone(),
        };
        window.tips.iter().map(view).collect()
    }

    /// The blocks from which a ledger can be read: those whose branch reaches a genesis. Whether the
    /// ledgers are there and have their roots, `candidate` finds out.
    fn stored(
        &self,
        archive: &mut Archive,
        window: &Window,
    ) -> Result<Vec<StoredBlock>, MaterializeError> {
        let mut walked: HashMap<StateHash, Option<String>> = HashMap::new();
        let lowest = window.blocks.iter().map(|listed| listed.block.height).min();
        let mut stored = Vec::with_capacity(window.blocks.len());
        for listed in &window.blocks {
            let block = &listed.block;
            // A branch is walked once; what stands on it is as whole as it is.
            let below = match Some(block.height) == lowest {
                true => None,
                false => walked.get(&block.parent_hash).cloned(),
            };
            let unusable = match below {
                Some(below) => below,
                None => unusable(archive, block)?,
            };
            walked.insert(block.state_hash, unusable.clone());
            stored.push(storable(block, unusable));
        }
        let known: BTreeSet<StateHash> = stored.iter().map(|block| block.state_hash).collect();
        // One that no tip stands on is in no window.
        if let Some(wanted) = self.state_hash.filter(|wanted| !known.contains(wanted)) {
            match archive.block(&BlockChoice::StateHash(wanted)) {
                Ok(block) => {
                    let unusable = unusable(archive, &block)?;
                    stored.push(storable(&block, unusable));
                }
                Err(error) if matches!(error.kind(), ArchiveErrorKind::NoBlock { .. }) => {}
                Err(error) => return Err(MaterializeErrorKind::Archive(error).into()),
            }
        }
        Ok(stored)
    }
}

fn storable(block: &ArchiveBlock, unusable: Option<String>) -> StoredBlock {
    StoredBlock {
        state_hash: block.state_hash,
        blockchain_length: block.height,
        slot_since_hard_fork: Some(block.slot_since_hard_fork),
        unusable,
    }
}

/// Refuses an archive of another network: a rule applied to another chain chooses a block all the same.
/// A tip that reaches no genesis says nothing about its chain, and is not chosen.
fn belongs(
    archive: &mut Archive,
    window: &Window,
    network: &Network,
) -> Result<(), MaterializeError> {
    // The tip may be beyond the stop slots; the rule has them.
    let mut network = network.clone();
    network.stop = StopSlots::default();
    for tip in &window.tips {
        let branch = match archive.branch(tip) {
            Ok(branch) => branch,
            Err(error) if matches!(error.kind(), ArchiveErrorKind::Branch { .. }) => continue,
            Err(error) => return Err(MaterializeErrorKind::Archive(error).into()),
        };
        let seen = facts(tip, &branch);
        let evidence = Evidence {
            network: &network,
            block: None,
            block_problems: &[],
            expected_state_hashes: &[],
            expected_lengths: &[],
            import: Some(Import::Archive(&seen)),
            computed: [ComputedLedger::default(); 3],
            expected_roots: [None, None, None],
            prefork: None,
            schedule: None,
        };
        compare(&evidence).into_result()?;
    }
    Ok(())
}

/// Why no ledger can be read at this block.
fn unusable(
    archive: &mut Archive,
    block: &ArchiveBlock,
) -> Result<Option<String>, MaterializeError> {
    match archive.branch(block) {
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            ArchiveErrorKind::Branch { stopped, .. } => {
                Ok(Some(format!("does not reach a genesis: {stopped}")))
            }
            _ => Err(MaterializeErrorKind::Archive(error).into()),
        },
    }
}

/// A block as a daemon would show it.
fn seen(listed: &ListedBlock) -> SeenBlock {
    let block = &listed.block;
    SeenBlock {
        state_hash: block.state_hash,
        previous_state_hash: block.parent_hash,
        blockchain_length: block.height,
        global_slot_since_genesis: block.slot_since_genesis,
        slot_since_hard_fork: block.slot_since_hard_fork,
        staged_ledger_hash: block.ledger_hash,
        staking_ledger_hash: block.staking_epoch.ledger_hash,
        next_ledger_hash: block.next_epoch.ledger_hash,
        staking_seed: block.staking_epoch.seed,
        next_seed: block.next_epoch.seed,
        commands: listed.user_commands.saturating_add(listed.zkapp_commands),
        fee_transfers: listed.fee_transfers,
        coinbase_nanomina: listed.coinbase.nanomina().to_string(),
    }
}

/// The slot at a time, counted on from a block.
fn clock_slot(tip: &ArchiveBlock, time_ms: u64, slot_ms: u64) -> Option<SlotSinceHardFork> {
    let since = time_ms
        .checked_sub(tip.timestamp_ms)?
        .checked_div(slot_ms)?;
    let since = u32::try_from(since).unwrap_or(u32::MAX);
    let slot = tip.slot_since_hard_fork.get().saturating_add(since);
    Some(SlotSinceHardFork::new(slot))
}

fn warnings(archive: &Archive, window: &Window) -> Vec<String> {
    let mut warnings = vec![format!(
        "archive {} cannot say whether it has every block of the network: compare the fork block \
         with another archive or a daemon",
        archive.database()
    )];
    let pending = window
        .tips
        .iter()
        .filter(|tip| !tip.is_canonical())
        .map(|tip| format!("{} ({})", tip.state_hash, tip.status.name()));
    let pending: Vec<String> = pending.collect();
    if !pending.is_empty() {
        warnings.push(format!(
            "the archive does not call its highest block canonical: {}",
            pending.join(", ")
        ));
    }
    warnings
}

/// The decision for people, and what comes next.
fn text(document: &SelectionDocument, network: &str) -> String {
    let mut text = human(document, None);
    if let Some(chosen) = &document.chosen {
        text.push_str(&format!(
            "\nnext: materialize-ledger candidate --network {network} --state-hash {}\n",
            chosen.state_hash
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_error_says_what_to_do() {
        let problems = || vec!["a problem".to_owned()];
        for (error, class) in [
            (
                ChoiceError::Pending {
                    problems: problems(),
                },
                Class::Pending,
            ),
            (
                ChoiceError::Refused {
                    problems: problems(),
                },
                Class::Wrong,
            ),
            (
                StopSlotError::Unknown {
                    what: "slot_tx_end",
                }
                .into(),
                Class::Usage,
            ),
        ] {
            assert_eq!(error.class(), class);
            assert!(error.hint().is_some());
        }
    }
}
