//! Which block is the fork block: one written rule, applied to what several daemons showed.
//!
//! The fork block is the last block with a slot below `slot_tx_end` on the strongest chain. It is
//! chosen only when
//!
//! - enough blocks stand above it on that chain (`confirmations`),
//! - all of them are empty and none has a slot from `slot_chain_end` on,
//! - enough daemons have it on their best chain (`quorum`),
//! - it is stored, complete and verified, and
//! - the chain is over: the clocks of a quorum have reached `slot_chain_end`, so that no later block
//!   can change any of this.
//!
//! The strongest chain is the highest of the best chains of all daemons that count. Two chains of
//! the greatest height that end in different fork blocks are a tie, and a tie is never broken here;
//! a human can break it by naming a block.
//!
//! [`select`] is pure and gives the same answer for any order of its inputs. It judges every block
//! in question, the rejected ones too, in words for whoever has to decide at night.

mod daemons;
mod judge;
pub mod rule;
mod ruling;
pub mod tree;

use std::collections::BTreeMap;

use fork_types::document::{
    Chosen, ChosenBy, DaemonView, SeenBlock, SelectionDocument, SelectionRule,
};
use fork_types::{SlotSinceHardFork, StateHash};

use daemons::{Voter, voters};
use judge::Judge;
use ruling::{Finding, Ruling};
use tree::BlockTree;

/// Blocks above the fork block that the rule asks for when nobody says otherwise.
///
/// The chain runs on for hours after `slot_tx_end` (100 slots and more on mainnet and devnet), so
/// fifteen are there well before `slot_chain_end`; and exchanges take a payment for final at about
/// this depth, though blocks are final for certain only at `k`, which is 290.
pub const CONFIRMATIONS_DEFAULT: u32 = 15;

/// A candidate of a store, as far as the rule is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the last hard fork, when the candidate says it.
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
    /// Why it cannot be used although it is listed, such as a ledger that is missing. `None` for a
    /// candidate that is complete and verified.
    pub unusable: Option<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a fork block.
    Chosen,
    /// Not yet: time, or more daemons, can still resolve every problem.
    Pending,
    /// Time resolves nothing: the evidence contradicts itself, or the chain is over and something
    /// is missing. A human has to act.
    Refused,
}

/// The rule's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Everything that was seen and concluded.
    pub document: SelectionDocument,
    /// Whether there is a fork block, and if not, whether waiting helps.
    pub outcome: Outcome,
    /// The block the rule points at so far, chosen or not. `None` in a tie, before the fork point,
    /// and when no daemon counts.
    pub leading: Option<StateHash>,
    /// Tip of the strongest chain; `None` in a tie and when no daemon counts.
    pub strongest_tip: Option<StateHash>,
}

/// Applies the rule to what the daemons showed (`views`) and what is stored.
///
/// A daemon counts when it is in sync, runs with no other stop slots than the rule's, and has shown
/// an unbroken chain from its tip to below `slot_tx_end`. A quorum of 0 is taken for 1.
///
/// `wanted` is a human's choice. It has to be a block that a daemon showed or that is stored, and it
/// must be stored to be chosen; everything else the rule has against it stays in the document's
/// problems and does not hold it up.
#[must_use]
pub fn select(
    network: &str,
    rule: &SelectionRule,
    views: &[DaemonView],
    stored: &[StoredBlock],
    wanted: Option<StateHash>,
) -> Selection {
    let voters = voters(views, rule);
    // Daemons that count describe a block before those that do not.
    let (counting, ignored): (Vec<&Voter<'_>>, Vec<&Voter<'_>>) =
        voters.iter().partition(|voter| voter.counts());
    let described = counting
        .iter()
        .chain(&ignored)
        .flat_map(|voter| &voter.view.blocks);
    let tree = BlockTree::of(described);
    let stored: BTreeMap<StateHash, &StoredBlock> = stored
        .iter()
        .map(|block| (block.state_hash, block))
        .collect();
    let mut ruling = ruling::rule_on(rule, &voters, &tree, &stored);
    let decision = decide(rule, &voters, &tree, &stored, &mut ruling, wanted);
    let judge = Judge {
        rule,
        voters: &voters,
        tree: &tree,
        stored: &stored,
        ruling: &ruling,
        chosen: decision.chosen.as_ref(),
    };
    let (candidates, unjudged) = judge.all();
    let mut warnings = std::mem::take(&mut ruling.warnings);
    warnings.extend(unjudged);
    let problems = ruling.findings.into_iter().map(|finding| finding.text);
    Selection {
        document: SelectionDocument {
            format: SelectionDocument::format(),
            version: SelectionDocument::version(),
            network: network.to_owned(),
            rule: *rule,
            chosen: decision.chosen,
            problems: problems.collect(),
            warnings,
            daemons: voters.iter().map(Voter::vote).collect(),
            candidates,
        },
        outcome: decision.outcome,
        leading: ruling.leading.map(|block| block.state_hash),
        strongest_tip: match ruling.contenders.as_slice() {
            [only] => Some(only.tip),
            _ => None,
        },
    }
}

/// The last word: the rule's, or a human's.
struct Decision {
    outcome: Outcome,
    chosen: Option<Chosen>,
}

fn decide(
    rule: &SelectionRule,
    voters: &[Voter<'_>],
    tree: &BlockTree<'_>,
    stored: &BTreeMap<StateHash, &StoredBlock>,
    ruling: &mut Ruling<'_>,
    wanted: Option<StateHash>,
) -> Decision {
    let by_rule = ruling
        .leading
        .filter(|_| ruling.outcome() == Outcome::Chosen);
    let Some(wanted) = wanted else {
        return Decision {
            outcome: ruling.outcome(),
            chosen: by_rule.map(|block| {
                let (hash, length) = (block.state_hash, block.blockchain_length);
                chosen(hash, length, ChosenBy::Rule, voters)
            }),
        };
    };
    let length = match (tree.get(wanted), stored.get(&wanted)) {
        (Some(block), _) => block.blockchain_length,
        (None, Some(block)) => block.blockchain_length,
        (None, None) => {
            ruling.findings.insert(
                0,
                Finding::refused(format!(
                    "block {wanted}, which was asked for, is unknown: no daemon showed it and it is \
                     not stored"
                )),
            );
            return Decision {
                outcome: Outcome::Refused,
                chosen: None,
            };
        }
    };
    if let Some(finding) = ruling::missing_in_store(wanted, voters, stored) {
        let outcome = finding.outcome();
        if !ruling.findings.contains(&finding) {
            ruling.findings.insert(0, finding);
        }
        return Decision {
            outcome,
            chosen: None,
        };
    }
    let by = if by_rule.is_some_and(|block| block.state_hash == wanted) {
        ChosenBy::HumanAndRule
    } else {
        let against = objections(wanted, ruling, rule, tree, stored);
        ruling.findings.extend(against);
        ChosenBy::HumanOverride
    };
    Decision {
        outcome: Outcome::Chosen,
        chosen: Some(chosen(wanted, length, by, voters)),
    }
}

/// What the rule has against a human's choice in particular, beside what kept it from choosing.
fn objections(
    wanted: StateHash,
    ruling: &Ruling<'_>,
    rule: &SelectionRule,
    tree: &BlockTree<'_>,
    stored: &BTreeMap<StateHash, &StoredBlock>,
) -> Vec<Finding> {
    let seen = tree.get(wanted).map(|block| block.slot_since_hard_fork);
    let slot = seen.or_else(|| stored.get(&wanted)?.slot_since_hard_fork);
    let other = ruling
        .leading
        .filter(|block| block.state_hash != wanted)
        .map(|block| format!("the rule points at {}", named(block)));
    let late = slot
        .filter(|slot| *slot >= rule.slot_tx_end)
        .map(|slot| late(slot, rule));
    let unseen = seen
        .is_none()
        .then(|| "no daemon shows the block that was asked for".to_owned());
    [other, late, unseen]
        .into_iter()
        .flatten()
        .map(Finding::refused)
        .collect()
}

/// A chosen block, with the daemons that count and have it.
fn chosen(hash: StateHash, length: u32, by: ChosenBy, voters: &[Voter<'_>]) -> Chosen {
    let having = having(hash, voters);
    Chosen {
        state_hash: hash,
        blockchain_length: length,
        by,
        confirmations: confirmations(length, &having),
        daemons: having.iter().map(|voter| voter.name().to_owned()).collect(),
    }
}

/// The daemons that count and have a block on their best chain.
fn having<'v, 'a>(hash: StateHash, voters: &'v [Voter<'a>]) -> Vec<&'v Voter<'a>> {
    voters
        .iter()
        .filter(|voter| voter.counts() && voter.has(hash))
        .collect()
}

/// Blocks above one of this height on the longest of the chains that have it.
fn confirmations(length: u32, having: &[&Voter<'_>]) -> u32 {
    having
        .iter()
        .filter_map(|voter| Some(voter.tip()?.blockchain_length.saturating_sub(length)))
        .max()
        .unwrap_or(0)
}

/// A block as every text names it.
fn named(block: &SeenBlock) -> String {
    format!(
        "block {} at slot {} ({})",
        block.blockchain_length, block.slot_since_hard_fork, block.state_hash
    )
}

/// Why a block from `slot_tx_end` on is no fork block.
fn late(slot: SlotSinceHardFork, rule: &SelectionRule) -> String {
    format!(
        "its slot {slot} is not below slot_tx_end {}",
        rule.slot_tx_end
    )
}

#[cfg(test)]
mod tests;
