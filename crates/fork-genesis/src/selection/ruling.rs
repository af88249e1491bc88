//! The rule itself: the strongest chain, its fork block, and everything that keeps it from being
//! chosen.

use std::collections::{BTreeMap, BTreeSet};

use fork_types::document::{SeenBlock, SelectionRule};
use fork_types::{SlotSinceHardFork, StateHash};

use super::daemons::Voter;
use super::tree::BlockTree;
use super::{Outcome, StoredBlock, confirmations, having, named};

/// Findings of one kind that are spelled out. A daemon that is wrong once is often wrong hundreds of
/// times, which would bury everything else.
const ALIKE_MAX: usize = 8;

/// One thing that keeps the rule from choosing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) text: String,
    /// Whether time can resolve it.
    pub(super) may_pass: bool,
}

impl Finding {
    pub(super) fn refused(text: String) -> Self {
        Self {
            text,
            may_pass: false,
        }
    }

    fn pending(text: String) -> Self {
        Self {
            text,
            may_pass: true,
        }
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self.may_pass {
            true => Outcome::Pending,
            false => Outcome::Refused,
        }
    }
}

/// The chains of the greatest height that share a fork block.
#[derive(Clone, Debug)]
pub(super) struct Contender<'a> {
    pub(super) fork: &'a SeenBlock,
    /// Tip of one of them, the one with the smallest hash.
    pub(super) tip: StateHash,
    /// Every block of them, as far as it was seen.
    pub(super) chain: BTreeSet<StateHash>,
    /// The blocks above the fork block, by height and hash.
    above: BTreeMap<(u32, StateHash), &'a SeenBlock>,
    /// The daemons whose best chain is one of them.
    daemons: Vec<&'a str>,
}

/// What the rule says.
#[derive(Debug)]
pub(super) struct Ruling<'a> {
    /// One strongest chain; several in a tie; none when no daemon counts.
    pub(super) contenders: Vec<Contender<'a>>,
    /// Greatest height among the daemons that count.
    pub(super) top: u32,
    /// The fork block so far.
    pub(super) leading: Option<&'a SeenBlock>,
    /// What is in the way.
    pub(super) findings: Vec<Finding>,
    /// What is not, but should be known.
    pub(super) warnings: Vec<String>,
}

impl Ruling<'_> {
    pub(super) fn outcome(&self) -> Outcome {
        match self.findings.iter().all(|finding| finding.may_pass) {
            false => Outcome::Refused,
            true if self.findings.is_empty() && self.leading.is_some() => Outcome::Chosen,
            true => Outcome::Pending,
        }
    }
}

/// How far the chain is, by the daemons' clocks.
struct Clocks {
    /// Clocks of a quorum of the daemons that count have reached `slot_chain_end`.
    is_final: bool,
    /// The chain can be taken not to grow any more: as above, but every clock is asked, and where
    /// fewer than a quorum have one, all of them are enough. Decides only whether waiting helps.
    is_over: bool,
    /// Slots until the clocks of a quorum of all daemons have reached `slot_chain_end`.
    left: Option<u32>,
    /// The latest clock of a daemon that counts.
    latest: Option<SlotSinceHardFork>,
}

impl Clocks {
    fn new(rule: &SelectionRule, voters: &[Voter<'_>]) -> Self {
        let needed = usize::try_from(rule.quorum.max(1)).unwrap_or(usize::MAX);
        let mut all: Vec<_> = voters
            .iter()
            .filter_map(|voter| voter.view.clock_slot)
            .collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let deciding = all.get(needed.min(all.len()).wrapping_sub(1)).copied();
        let counting = || {
            let counting = voters.iter().filter(|voter| voter.counts());
            counting.filter_map(|voter| voter.view.clock_slot)
        };
        let end = rule.slot_chain_end;
        Self {
            is_final: counting().filter(|clock| *clock >= end).count() >= needed,
            is_over: deciding.is_some_and(|clock| clock >= end),
            left: deciding.map(|clock| end.get().saturating_sub(clock.get())),
            latest: counting().max(),
        }
    }

    /// A problem that a longer chain, or another daemon, can resolve.
    fn while_it_runs(&self, text: String) -> Finding {
        match self.is_over {
            false => Finding::pending(text),
            true => Finding::refused(text),
        }
    }
}

/// Applies the rule.
pub(super) fn rule_on<'a>(
    rule: &SelectionRule,
    voters: &'a [Voter<'a>],
    tree: &BlockTree<'a>,
    stored: &BTreeMap<StateHash, &StoredBlock>,
) -> Ruling<'a> {
    let clocks = Clocks::new(rule, voters);
    let counting: Vec<&Voter<'_>> = voters.iter().filter(|voter| voter.counts()).collect();
    let mut ruling = Ruling {
        contenders: Vec::new(),
        top: 0,
        leading: None,
        findings: Vec::new(),
        warnings: voters.iter().filter_map(|v| v.warning.clone()).collect(),
    };
    if rule.slot_chain_end < rule.slot_tx_end {
        ruling.findings.push(Finding::refused(format!(
            "slot_chain_end {} comes before slot_tx_end {}",
            rule.slot_chain_end, rule.slot_tx_end
        )));
    }
    contradictions(voters, &mut ruling);
    disproved(tree, stored, &mut ruling);
    if counting.is_empty() {
        let text = nobody_counts(voters);
        ruling.findings.push(clocks.while_it_runs(text));
        return ruling;
    }
    ruling.top = counting.iter().filter_map(|v| height(v)).max().unwrap_or(0);
    ruling.contenders = contenders(&counting, ruling.top, tree);
    if let Some(text) = not_reached(&ruling.contenders, rule, &clocks) {
        ruling.findings.push(Finding::pending(text));
        return ruling;
    }
    match ruling.contenders.as_slice() {
        [only] => {
            let only = only.clone();
            rule_on_one(&only, rule, voters, tree, stored, &clocks, &mut ruling);
        }
        several => {
            let text = tie(several, ruling.top);
            ruling.findings.push(clocks.while_it_runs(text));
        }
    }
    ruling
}

/// Says so while neither a best tip nor a clock has passed `slot_tx_end`. Until then a tie means
/// nothing: the next block breaks it.
fn not_reached(
    contenders: &[Contender<'_>],
    rule: &SelectionRule,
    clocks: &Clocks,
) -> Option<String> {
    let end = rule.slot_tx_end;
    let is_past = clocks.latest.is_some_and(|clock| clock >= end)
        || contenders.iter().any(|one| !one.above.is_empty());
    let tip = contenders.first().filter(|_| !is_past)?.fork;
    let clock = clocks
        .latest
        .map_or_else(|| "not known".to_owned(), |slot| format!("slot {slot}"));
    Some(format!(
        "the fork point is not reached: the best tip is {}, the daemons' time is {clock}, and \
         slot_tx_end is {end}",
        named(tip)
    ))
}

/// Everything against the fork block of the one strongest chain.
fn rule_on_one<'a>(
    only: &Contender<'a>,
    rule: &SelectionRule,
    voters: &[Voter<'a>],
    tree: &BlockTree<'a>,
    stored: &BTreeMap<StateHash, &StoredBlock>,
    clocks: &Clocks,
    ruling: &mut Ruling<'a>,
) {
    let fork = only.fork;
    ruling.leading = Some(fork);
    later_blocks(only, rule, ruling);
    dissenters(only, voters, tree, clocks, ruling);
    let having = having(fork.state_hash, voters);
    let found = confirmations(fork.blockchain_length, &having);
    if found < rule.confirmations {
        ruling.findings.push(clocks.while_it_runs(format!(
            "{} has {found} of {} confirmations",
            named(fork),
            rule.confirmations
        )));
    }
    let needed = rule.quorum.max(1);
    if u32::try_from(having.len()).unwrap_or(u32::MAX) < needed {
        let names: Vec<&str> = having.iter().map(|voter| voter.name()).collect();
        ruling.findings.push(clocks.while_it_runs(format!(
            "{} is on the best chain of {} of {needed} daemons: {}",
            named(fork),
            having.len(),
            names.join(", ")
        )));
    }
    ruling
        .findings
        .extend(missing_in_store(fork.state_hash, voters, stored));
    // Once the chain is over this is worth saying only if it alone is in the way.
    if !clocks.is_final && (!clocks.is_over || ruling.findings.is_empty()) {
        let left = match clocks.left {
            Some(0) => "the clocks of fewer daemons than the quorum have reached".to_owned(),
            Some(left) => format!("{left} slots until"),
            None => "no daemon says its time, which must reach".to_owned(),
        };
        ruling.findings.push(Finding::pending(format!(
            "chosen so far: {}; {left} slot_chain_end {}",
            named(fork),
            rule.slot_chain_end
        )));
    }
}

/// Why a block cannot be taken from the store, if it cannot.
pub(super) fn missing_in_store(
    hash: StateHash,
    voters: &[Voter<'_>],
    stored: &BTreeMap<StateHash, &StoredBlock>,
) -> Option<Finding> {
    let what = match stored.get(&hash) {
        Some(block) => format!("block {hash} is stored but {}", block.unusable.as_ref()?),
        None => format!("block {hash} is not stored"),
    };
    let having: Vec<&str> = voters
        .iter()
        .filter(|voter| voter.has(hash))
        .map(|voter| voter.name())
        .collect();
    Some(match having.is_empty() {
        true => Finding::refused(format!("{what}, and no daemon has it on its best chain")),
        false => Finding::pending(format!(
            "{what}; capture can still get it from {}",
            having.join(", ")
        )),
    })
}

/// Two daemons that cannot both be right, whatever the chain does.
fn contradictions(voters: &[Voter<'_>], ruling: &mut Ruling<'_>) {
    let mut chains: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for voter in voters.iter().filter(|voter| voter.counts()) {
        if let Some(id) = &voter.view.chain_id {
            chains.entry(id).or_default().push(voter.name());
        }
    }
    if chains.len() > 1 {
        let each = chains
            .iter()
            .map(|(id, names)| format!("{id} by {}", names.join(", ")));
        ruling.findings.push(Finding::refused(format!(
            "the daemons are of different networks, going by their chain ids: {}",
            each.collect::<Vec<_>>().join("; ")
        )));
    }
    // Daemons that count come first, so that they are compared with each other.
    let mut first: BTreeMap<StateHash, (&SeenBlock, &Voter<'_>)> = BTreeMap::new();
    let (counting, ignored): (Vec<&Voter<'_>>, Vec<&Voter<'_>>) =
        voters.iter().partition(|voter| voter.counts());
    let (mut serious, mut harmless) = (Vec::new(), Vec::new());
    for voter in counting.into_iter().chain(ignored) {
        for block in &voter.view.blocks {
            let (known, by) = *first.entry(block.state_hash).or_insert((block, voter));
            if known == block || std::ptr::eq(by, voter) {
                continue;
            }
            let text = format!(
                "daemons `{}` and `{}` describe block {} differently ({}), so one of them is wrong",
                by.name(),
                voter.name(),
                block.state_hash,
                differing(known, block).join(", ")
            );
            match by.counts() && voter.counts() {
                true => serious.push(text),
                false => harmless.push(text),
            }
        }
    }
    let serious = shortened(serious).into_iter().map(Finding::refused);
    ruling.findings.extend(serious);
    ruling.warnings.extend(shortened(harmless));
}

/// Blocks that the daemons describe otherwise than the captured block itself, whose state hash was
/// recomputed.
fn disproved(
    tree: &BlockTree<'_>,
    stored: &BTreeMap<StateHash, &StoredBlock>,
    ruling: &mut Ruling<'_>,
) {
    let usable = stored.values().filter(|block| block.unusable.is_none());
    let wrong = usable.filter_map(|block| {
        let seen = tree.get(block.state_hash)?;
        let slot = block
            .slot_since_hard_fork
            .unwrap_or(seen.slot_since_hard_fork);
        let is_same =
            seen.blockchain_length == block.blockchain_length && seen.slot_since_hard_fork == slot;
        (!is_same).then(|| {
            format!(
                "a daemon shows {}, but the stored block itself says height {} and slot {slot}",
                named(seen),
                block.blockchain_length
            )
        })
    });
    let found = shortened(wrong.collect()).into_iter().map(Finding::refused);
    ruling.findings.extend(found);
}

/// The first of many texts, and how many more there are.
fn shortened(mut alike: Vec<String>) -> Vec<String> {
    let more = alike.len().saturating_sub(ALIKE_MAX);
    if more > 0 {
        alike.truncate(ALIKE_MAX);
        alike.push(format!("the same of {more} more blocks"));
    }
    alike
}

/// The members in which two descriptions of a block differ.
fn differing(a: &SeenBlock, b: &SeenBlock) -> Vec<&'static str> {
    let SeenBlock {
        state_hash: _,
        previous_state_hash,
        blockchain_length,
        global_slot_since_genesis,
        slot_since_hard_fork,
        staged_ledger_hash,
        staking_ledger_hash,
        next_ledger_hash,
        staking_seed,
        next_seed,
        commands,
        fee_transfers,
        coinbase_nanomina,
    } = a;
    [
        ("parent", *previous_state_hash == b.previous_state_hash),
        ("height", *blockchain_length == b.blockchain_length),
        (
            "slot since genesis",
            *global_slot_since_genesis == b.global_slot_since_genesis,
        ),
        (
            "slot since hard fork",
            *slot_since_hard_fork == b.slot_since_hard_fork,
        ),
        ("staged ledger", *staged_ledger_hash == b.staged_ledger_hash),
        (
            "staking ledger",
            *staking_ledger_hash == b.staking_ledger_hash,
        ),
        ("next ledger", *next_ledger_hash == b.next_ledger_hash),
        ("staking seed", *staking_seed == b.staking_seed),
        ("next seed", *next_seed == b.next_seed),
        ("commands", *commands == b.commands),
        ("fee transfers", *fee_transfers == b.fee_transfers),
        ("coinbase", *coinbase_nanomina == b.coinbase_nanomina),
    ]
    .into_iter()
    .filter_map(|(what, is_same)| (!is_same).then_some(what))
    .collect()
}

fn nobody_counts(voters: &[Voter<'_>]) -> String {
    if voters.is_empty() {
        return "no daemon has shown anything yet".to_owned();
    }
    let reasons = voters.iter().map(|voter| {
        let reason = voter.ignored.as_deref().unwrap_or_default();
        format!("`{}` {reason}", voter.name())
    });
    format!(
        "no daemon counts: {}",
        reasons.collect::<Vec<_>>().join("; ")
    )
}

fn height(voter: &Voter<'_>) -> Option<u32> {
    Some(voter.tip()?.blockchain_length)
}

/// The chains of the greatest height by fork block, in the order of their fork blocks' heights.
fn contenders<'a>(
    counting: &[&'a Voter<'a>],
    top: u32,
    tree: &BlockTree<'a>,
) -> Vec<Contender<'a>> {
    let mut by_fork: BTreeMap<(u32, StateHash), Contender<'a>> = BTreeMap::new();
    for voter in counting {
        let (Some(tip), Some(fork)) = (voter.tip(), voter.fork) else {
            continue;
        };
        if tip.blockchain_length != top {
            continue;
        }
        let contender = by_fork
            .entry((fork.blockchain_length, fork.state_hash))
            .or_insert_with(|| Contender {
                fork,
                tip: tip.state_hash,
                chain: BTreeSet::new(),
                above: BTreeMap::new(),
                daemons: Vec::new(),
            });
        contender.tip = contender.tip.min(tip.state_hash);
        contender.daemons.push(voter.name());
        contender
            .chain
            .extend(voter.chain.iter().map(|block| block.state_hash));
        // Another daemon may have been watched for longer.
        let older = voter.chain.last().map(|block| block.state_hash);
        let older = older.into_iter().flat_map(|hash| tree.ancestors(hash));
        contender.chain.extend(older.map(|block| block.state_hash));
        let above = voter
            .chain
            .iter()
            .take_while(|block| block.state_hash != fork.state_hash);
        contender
            .above
            .extend(above.map(|block| ((block.blockchain_length, block.state_hash), *block)));
    }
    by_fork.into_values().collect()
}

fn tie(several: &[Contender<'_>], top: u32) -> String {
    let each = several.iter().map(|contender| {
        format!(
            "{} by {}",
            named(contender.fork),
            contender.daemons.join(", ")
        )
    });
    format!(
        "a tie: {} chains of the same greatest height {top} have different fork blocks: {}",
        several.len(),
        each.collect::<Vec<_>>().join("; ")
    )
}

/// Blocks above the fork block that must not be as they are.
fn later_blocks(only: &Contender<'_>, rule: &SelectionRule, ruling: &mut Ruling<'_>) {
    let filled = only.above.values().filter(|block| !block.is_empty());
    let filled = filled.map(|block| {
        format!(
            "{}, which is not below slot_tx_end {}, is not empty: {} commands, {} fee transfers, \
             coinbase {}",
            named(block),
            rule.slot_tx_end,
            block.commands,
            block.fee_transfers,
            block.coinbase_nanomina
        )
    });
    let end = rule.slot_chain_end;
    let late = only.above.values();
    let late = late.filter(|block| block.slot_since_hard_fork >= end);
    let late = late.map(|block| format!("{} must not be: slot_chain_end is {end}", named(block)));
    for alike in [filled.collect(), late.collect()] {
        let found = shortened(alike).into_iter().map(Finding::refused);
        ruling.findings.extend(found);
    }
}

/// Daemons that count and do not have the fork block on their best chain.
fn dissenters(
    only: &Contender<'_>,
    voters: &[Voter<'_>],
    tree: &BlockTree<'_>,
    clocks: &Clocks,
    ruling: &mut Ruling<'_>,
) {
    let fork = only.fork.state_hash;
    let lowest = only
        .chain
        .iter()
        .filter_map(|hash| tree.get(*hash))
        .map(|block| block.blockchain_length)
        .min()
        .unwrap_or(0);
    let others = voters
        .iter()
        .filter(|voter| voter.counts() && !voter.has(fork));
    for voter in others {
        let (Some(tip), Some(theirs)) = (voter.tip(), voter.fork) else {
            continue;
        };
        let (name, shown) = (voter.name(), named(tip));
        if only.chain.contains(&tip.state_hash) || tip.blockchain_length < lowest {
            ruling.warnings.push(format!(
                "daemon `{name}` is behind: its best tip is {shown}"
            ));
            continue;
        }
        let common = tree
            .ancestors(tip.state_hash)
            .find(|block| only.chain.contains(&block.state_hash));
        match common {
            Some(common) => ruling.warnings.push(format!(
                "daemon `{name}` disagrees: its fork block is {}, its best tip is {shown}, and its \
                 chain leaves the strongest one after {}",
                named(theirs),
                named(common)
            )),
            None => ruling.findings.push(clocks.while_it_runs(format!(
                "the best chain of daemon `{name}`, which ends at {shown}, has no block in common \
                 with the strongest chain, as far as both were seen: the fork is longer than the \
                 window, or the daemon is of another network"
            ))),
        }
    }
}
