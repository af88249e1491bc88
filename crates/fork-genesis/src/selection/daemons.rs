//! What each daemon says, and whether it counts.

use std::collections::{BTreeMap, BTreeSet};

use fork_types::StateHash;
use fork_types::document::{DaemonView, DaemonVote, SeenBlock, SelectionRule};

use super::named;

/// The only `syncStatus` of a daemon that follows the network.
const SYNCED: &str = "SYNCED";

/// What a daemon says of itself when it hears nothing; it keeps its chain.
const IDLE: [&str; 3] = ["OFFLINE", "LISTENING", "CONNECTING"];

/// One daemon.
#[derive(Clone, Debug)]
pub(super) struct Voter<'a> {
    pub(super) view: &'a DaemonView,
    /// Its best chain, tip first, as far as it was seen.
    pub(super) chain: Vec<&'a SeenBlock>,
    /// The last block below `slot_tx_end` on it.
    pub(super) fork: Option<&'a SeenBlock>,
    /// Why it does not count.
    pub(super) ignored: Option<String>,
    /// What is to be said about it all the same.
    pub(super) warning: Option<String>,
}

impl<'a> Voter<'a> {
    fn new(view: &'a DaemonView, rule: &SelectionRule) -> Self {
        let chain: Vec<&SeenBlock> = view.best_chain().collect();
        let fork = chain
            .iter()
            .copied()
            .find(|block| block.slot_since_hard_fork < rule.slot_tx_end);
        let ignored = not_synced(view, rule)
            .or_else(|| other_stop_slots(view, rule))
            .or_else(|| no_chain(view, &chain))
            .or_else(|| contradiction(view, &chain))
            .or_else(|| not_deep_enough(&chain, fork, rule));
        let warning = match (&ignored, other_stop_slots(view, rule)) {
            (Some(reason), Some(_)) => Some(format!("daemon `{}` {reason}", view.name)),
            (None, _) if view.sync_status != SYNCED => Some(format!(
                "daemon `{}` counts although its status is {}: it was in sync in slot {}",
                view.name,
                view.sync_status,
                view.synced_slot.unwrap_or_default()
            )),
            (None, _) => unsaid_stop_slots(view),
            (Some(_), None) => None,
        };
        Self {
            view,
            chain,
            fork,
            ignored,
            warning,
        }
    }

    pub(super) fn name(&self) -> &'a str {
        &self.view.name
    }

    pub(super) fn tip(&self) -> Option<&'a SeenBlock> {
        self.chain.first().copied()
    }

    pub(super) const fn counts(&self) -> bool {
        self.ignored.is_none()
    }

    pub(super) fn has(&self, hash: StateHash) -> bool {
        self.chain.iter().any(|block| block.state_hash == hash)
    }

    pub(super) fn vote(&self) -> DaemonVote {
        DaemonVote {
            daemon: self.view.name.clone(),
            tip: self.view.tip,
            tip_length: self.tip().map(|tip| tip.blockchain_length),
            clock_slot: self.view.clock_slot,
            fork_block: self.fork.map(|block| block.state_hash),
            ignored: self.ignored.clone(),
        }
    }
}

/// Every daemon by name. A second view of the same name does not count: it would be a second vote.
pub(super) fn voters<'a>(views: &'a [DaemonView], rule: &SelectionRule) -> Vec<Voter<'a>> {
    let mut voters: Vec<Voter<'_>> = views.iter().map(|view| Voter::new(view, rule)).collect();
    voters.sort_by(|a, b| {
        (a.name(), a.view.observed_at_ms, a.view.tip).cmp(&(
            b.name(),
            b.view.observed_at_ms,
            b.view.tip,
        ))
    });
    let mut names = BTreeSet::new();
    for voter in &mut voters {
        if !names.insert(voter.name()) {
            let reason = "is there twice, and only its first view counts";
            voter.warning = Some(format!("daemon `{}` {reason}", voter.name()));
            voter.ignored = Some(reason.to_owned());
        }
    }
    voters
}

/// A daemon that hears nothing any more says that it is offline, and after the chain's end there is
/// nothing to hear. One that was in sync after the end of transactions has what there is to have.
fn not_synced(view: &DaemonView, rule: &SelectionRule) -> Option<String> {
    let is_over = view.clock_slot >= Some(rule.slot_chain_end);
    let was_synced = view.synced_slot >= Some(rule.slot_tx_end);
    let is_idle = IDLE.contains(&view.sync_status.as_str());
    (view.sync_status != SYNCED && !(is_over && was_synced && is_idle))
        .then(|| format!("is not in sync: its status is {}", view.sync_status))
}

fn other_stop_slots(view: &DaemonView, rule: &SelectionRule) -> Option<String> {
    let stop = &view.stop;
    [
        ("slot_tx_end", stop.slot_tx_end, rule.slot_tx_end),
        ("slot_chain_end", stop.slot_chain_end, rule.slot_chain_end),
    ]
    .into_iter()
    .find_map(|(what, found, expected)| {
        let found = found.filter(|found| *found != expected)?;
        Some(format!(
            "runs with {what} {found}, but the rule has {expected}"
        ))
    })
}

fn unsaid_stop_slots(view: &DaemonView) -> Option<String> {
    let stop = &view.stop;
    (stop.slot_tx_end.is_none() || stop.slot_chain_end.is_none()).then(|| {
        format!(
            "daemon `{}` counts although its running config does not name both stop slots",
            view.name
        )
    })
}

fn no_chain(view: &DaemonView, chain: &[&SeenBlock]) -> Option<String> {
    match (view.tip, chain.is_empty()) {
        (None, _) => Some("has not named a best tip".to_owned()),
        (Some(tip), true) => Some(format!("names the best tip {tip} and has not shown it")),
        (Some(_), false) => None,
    }
}

/// Heights go up by one and slots go up from a block to the next, and a hash means one block.
fn contradiction(view: &DaemonView, chain: &[&SeenBlock]) -> Option<String> {
    let mut seen: BTreeMap<StateHash, &SeenBlock> = BTreeMap::new();
    for block in &view.blocks {
        if *seen.entry(block.state_hash).or_insert(block) != block {
            return Some(format!(
                "contradicts itself: it described block {} in two ways",
                block.state_hash
            ));
        }
    }
    chain.windows(2).find_map(|pair| {
        let [child, parent] = pair else {
            return None;
        };
        let is_next = parent.blockchain_length.checked_add(1) == Some(child.blockchain_length);
        let is_later = parent.slot_since_hard_fork < child.slot_since_hard_fork;
        (!is_next || !is_later).then(|| {
            format!(
                "contradicts itself: {} cannot be the parent of {}",
                named(parent),
                named(child)
            )
        })
    })
}

fn not_deep_enough(
    chain: &[&SeenBlock],
    fork: Option<&SeenBlock>,
    rule: &SelectionRule,
) -> Option<String> {
    let lowest = chain.last().filter(|_| fork.is_none())?;
    Some(format!(
        "has shown its chain only down to {}, not to below slot_tx_end {}",
        named(lowest),
        rule.slot_tx_end
    ))
}
