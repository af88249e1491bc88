//! The numbers of the rule: where each comes from, and that the sources agree.

use crate::network::StopSlots;
use fork_types::SlotSinceHardFork;
use fork_types::document::{DaemonView, SelectionRule};

/// Why the rule has no numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopSlotError {
    /// Two sources contradict each other, and the command line does not decide.
    #[error("the sources disagree on {what}: {}", .claims.join(", "))]
    Disagree {
        /// `slot_tx_end` or `slot_chain_end`.
        what: &'static str,
        /// Every source with its value.
        claims: Vec<String>,
    },
    /// Nobody says it.
    #[error("neither a daemon's running config nor the network file says {what}")]
    Unknown {
        /// `slot_tx_end` or `slot_chain_end`.
        what: &'static str,
    },
}

/// What the command line says about the rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// First slot without transactions.
    pub slot_tx_end: Option<SlotSinceHardFork>,
    /// First slot without blocks.
    pub slot_chain_end: Option<SlotSinceHardFork>,
    /// Blocks that must stand above the fork block.
    pub confirmations: u32,
    /// Daemons that must have it; a majority when absent.
    pub quorum: Option<u32>,
}

/// The rule: stop slots from the command line, else from the daemons' running configs and the
/// network file, which must not contradict each other; a majority of the daemons as quorum.
///
/// # Errors
///
/// Fails when sources contradict each other, or there is none.
pub fn rule(
    wishes: &Wishes,
    views: &[DaemonView],
    file: &StopSlots,
) -> Result<SelectionRule, StopSlotError> {
    let claims = |of_view: fn(&DaemonView) -> Option<SlotSinceHardFork>, of_file| {
        let views = views
            .iter()
            .map(move |view| (format!("daemon `{}`", view.name), of_view(view)));
        let file = std::iter::once(("the network file".to_owned(), of_file));
        let all = views.chain(file);
        all.filter_map(|(by, slot)| Some((by, slot?)))
            .collect::<Vec<_>>()
    };
    let tx_end = claims(|view| view.stop.slot_tx_end, file.slot_tx_end);
    let chain_end = claims(|view| view.stop.slot_chain_end, file.slot_chain_end);
    Ok(SelectionRule {
        slot_tx_end: agreed("slot_tx_end", wishes.slot_tx_end, &tx_end)?,
        slot_chain_end: agreed("slot_chain_end", wishes.slot_chain_end, &chain_end)?,
        confirmations: wishes.confirmations,
        quorum: wishes.quorum.unwrap_or_else(|| majority(views.len())),
    })
}

/// More than half.
#[must_use]
pub fn majority(daemons: usize) -> u32 {
    u32::try_from(daemons / 2)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

fn agreed(
    what: &'static str,
    wish: Option<SlotSinceHardFork>,
    claims: &[(String, SlotSinceHardFork)],
) -> Result<SlotSinceHardFork, StopSlotError> {
    if let Some(wish) = wish {
        return Ok(wish);
    }
    let (_, first) = claims.first().ok_or(StopSlotError::Unknown { what })?;
    if claims.iter().any(|(_, slot)| slot != first) {
        let claims = claims.iter().map(|(by, slot)| format!("{slot} by {by}"));
        return Err(StopSlotError::Disagree {
            what,
            claims: claims.collect(),
        });
    }
    Ok(*first)
}
