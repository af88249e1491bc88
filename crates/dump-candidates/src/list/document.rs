//! What `list` says, as one versioned JSON object.

use std::collections::{BTreeMap, BTreeSet};

use fork_genesis::selection::Outcome;
use fork_genesis::selection::tree::BlockTree;
use fork_types::document::{DaemonView, Refusal, SelectionRule, StoredCandidate};
use fork_types::{LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash};
use serde::Serialize;

use super::stock::{Stock, StoreProblem};
use super::{Listing, problems};

/// `syncStatus` of a daemon whose tip can be the main one.
const SYNCED: &str = "SYNCED";

/// Everything `dump-candidates list` knows about a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListDocument {
    /// `forkpack.candidate-list`.
    pub format: &'static str,
    /// Format version.
    pub version: u32,
    /// The store, without credentials.
    pub store: String,
    /// Name of the network.
    pub network: String,
    /// Whether every stored object was read again.
    pub checked: bool,
    /// The rule that `select` would apply by default, when the daemons agree on the stop slots.
    pub rule: Option<SelectionRule>,
    /// `chosen`, `pending` or `refused`: what `select` would say by default; absent without a rule.
    pub outcome: Option<&'static str>,
    /// What keeps `select` from choosing by default, or why there is no rule.
    pub selection_problems: Vec<String>,
    /// By height and state hash.
    pub candidates: Vec<ListedCandidate>,
    /// Number of different ledgers of the candidates that are complete.
    pub ledgers: usize,
    /// Bytes of these ledgers as stored, each counted once.
    pub stored_bytes: u64,
    /// By name.
    pub daemons: Vec<ListedDaemon>,
    /// Answers that were refused, oldest first.
    pub refusals: Vec<Refusal>,
    /// Everything that is not as the store's documents say; empty in a good store.
    pub problems: Vec<StoreProblem>,
}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedCandidate {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
    /// Slot since genesis.
    pub global_slot_since_genesis: Option<SlotSinceGenesis>,
    /// `main` on the strongest chain, else `branch 2` and so on; absent when no daemon shows it.
    pub branch: Option<String>,
    /// Whether its roots were recomputed and all its ledgers are there, and nothing that was looked
    /// at speaks against it.
    pub verified: bool,
    /// Whether it is what `select` would choose by default, or points at so far.
    pub is_leading: bool,
    /// Daemons that have it on their best chain.
    pub daemons: Vec<String>,
    /// Genesis, staking and next ledger.
    pub ledgers: Vec<ListedLedger>,
    /// Bytes of its ledgers as stored, each counted once.
    pub stored_bytes: u64,
    /// How many of its different ledgers other candidates have as well.
    pub shared_ledgers: usize,
    /// Name of the daemon it came from.
    pub captured_from: String,
    /// When it was stored, milliseconds since 1970.
    pub captured_at_ms: u64,
    /// What speaks against it.
    pub problems: Vec<StoreProblem>,
}

/// One ledger of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedLedger {
    /// Role.
    pub role: Role,
    /// Root, as recomputed at capture.
    pub root: Option<LedgerHash>,
    /// Number of accounts.
    pub accounts: u32,
    /// Bytes as stored; absent when it is not complete.
    pub stored_bytes: Option<u64>,
}

/// One daemon, as it last answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedDaemon {
    /// Name.
    pub name: String,
    /// Sync status.
    pub sync_status: String,
    /// Best tip.
    pub tip: Option<StateHash>,
    /// Height of the best tip.
    pub tip_length: Option<u32>,
    /// Slot of the best tip.
    pub tip_slot: Option<SlotSinceHardFork>,
    /// Slot by its clock.
    pub clock_slot: Option<SlotSinceHardFork>,
    /// Times its best tip moved to a block that does not descend from the former one.
    pub reorganisations: u32,
    /// Blocks it showed.
    pub blocks: usize,
    /// When it last answered, milliseconds since 1970.
    pub observed_at_ms: u64,
    /// Why it does not count in the rule, if it does not.
    pub ignored: Option<String>,
}

impl Listing {
    /// The listing as a document.
    pub(crate) fn document(&self) -> ListDocument {
        let tree = BlockTree::new(&self.stock.views);
        let labels = labels(&tree, self.main_tip(&tree));
        let uses = self.uses();
        let candidates: Vec<ListedCandidate> = self
            .stock
            .candidates
            .iter()
            .enumerate()
            .map(|(index, stored)| self.candidate(index, stored, &labels, &uses))
            .collect();
        let complete = || uses.keys().filter_map(|root| self.stock.complete(*root));
        let problems: BTreeSet<&StoreProblem> = candidates
            .iter()
            .flat_map(|candidate| &candidate.problems)
            .collect();
        let selection = self.selection.as_ref();
        ListDocument {
            format: "forkpack.candidate-list",
            version: 1,
            store: self.store.clone(),
            network: self.network.clone(),
            checked: self.checked.is_some(),
            rule: selection.ok().map(|selection| selection.document.rule),
            outcome: selection.ok().map(|selection| match selection.outcome {
                Outcome::Chosen => "chosen",
                Outcome::Pending => "pending",
                Outcome::Refused => "refused",
            }),
            selection_problems: match selection {
                Ok(selection) => selection.document.problems.clone(),
                Err(error) => vec![error.to_string()],
            },
            ledgers: complete().count(),
            stored_bytes: complete().map(|ledger| ledger.stored.bytes).sum(),
            daemons: self
                .stock
                .views
                .iter()
                .map(|view| self.daemon(view))
                .collect(),
            refusals: self.stock.refusals.clone(),
            problems: problems.into_iter().cloned().collect(),
            candidates,
        }
    }

    fn candidate(
        &self,
        index: usize,
        stored: &StoredCandidate,
        labels: &BTreeMap<StateHash, String>,
        uses: &BTreeMap<LedgerHash, usize>,
    ) -> ListedCandidate {
        let block = &stored.candidate.fork_block;
        let hash = block.state_hash;
        let roots = Stock::roots(stored);
        let ledgers = Role::ALL.map(|role| {
            let root = stored.root(role);
            let complete = root.and_then(|root| self.stock.complete(root));
            ListedLedger {
                role,
                root,
                accounts: stored.candidate.ledger(role).accounts,
                stored_bytes: complete.map(|ledger| ledger.stored.bytes),
            }
        });
        let complete = roots.iter().filter_map(|root| self.stock.complete(*root));
        let problems = problems(&self.stock, self.checked.as_ref(), index, stored);
        let leading = self.selection.as_ref().ok().and_then(|one| one.leading);
        ListedCandidate {
            state_hash: hash,
            blockchain_length: block.blockchain_length,
            slot_since_hard_fork: block.slot_since_hard_fork,
            global_slot_since_genesis: block.global_slot_since_genesis,
            branch: labels.get(&hash).cloned(),
            verified: problems.is_empty(),
            is_leading: leading == Some(hash),
            daemons: self.daemons_with(hash),
            ledgers: ledgers.to_vec(),
            stored_bytes: complete.map(|ledger| ledger.stored.bytes).sum(),
            shared_ledgers: roots
                .iter()
                .filter(|root| uses.get(root).is_some_and(|uses| *uses > 1))
                .count(),
            captured_from: stored.captured.daemon.clone(),
            captured_at_ms: stored.captured.captured_at_ms,
            problems,
        }
    }

    fn daemon(&self, view: &DaemonView) -> ListedDaemon {
        let tip = view.best_chain().next();
        let votes = self.selection.as_ref().ok();
        let vote = votes.and_then(|selection| {
            let mut votes = selection.document.daemons.iter();
            votes.find(|vote| vote.daemon == view.name)
        });
        ListedDaemon {
            name: view.name.clone(),
            sync_status: view.sync_status.clone(),
            tip: view.tip,
            tip_length: tip.map(|tip| tip.blockchain_length),
            tip_slot: tip.map(|tip| tip.slot_since_hard_fork),
            clock_slot: view.clock_slot,
            reorganisations: view.reorganisations,
            blocks: view.blocks.len(),
            observed_at_ms: view.observed_at_ms,
            ignored: vote.and_then(|vote| vote.ignored.clone()),
        }
    }

    fn daemons_with(&self, hash: StateHash) -> Vec<String> {
        let views = self.stock.views.iter();
        views
            .filter(|view| view.best_chain().any(|block| block.state_hash == hash))
            .map(|view| view.name.clone())
            .collect()
    }

    /// How many candidates have each ledger.
    fn uses(&self) -> BTreeMap<LedgerHash, usize> {
        let mut uses = BTreeMap::new();
        for stored in &self.stock.candidates {
            for root in Stock::roots(stored) {
                *uses.entry(root).or_insert(0) += 1;
            }
        }
        uses
    }

    /// Tip of the chain that is labelled `main`: the rule's strongest; without a rule the only
    /// highest tip of the daemons in sync.
    pub(crate) fn main_tip(&self, tree: &BlockTree<'_>) -> Option<StateHash> {
        if let Ok(selection) = &self.selection {
            return selection.strongest_tip;
        }
        let tips: BTreeSet<(u32, StateHash)> = self
            .stock
            .views
            .iter()
            .filter(|view| view.sync_status == SYNCED)
            .filter_map(|view| tree.get(view.tip?))
            .map(|tip| (tip.blockchain_length, tip.state_hash))
            .collect();
        let top = tips.last()?.0;
        let mut highest = tips.iter().filter(|(height, _)| *height == top);
        match (highest.next(), highest.next()) {
            (Some((_, only)), None) => Some(*only),
            _ => None,
        }
    }
}

/// The name of every block's branch.
pub(crate) fn labels(
    tree: &BlockTree<'_>,
    main_tip: Option<StateHash>,
) -> BTreeMap<StateHash, String> {
    let branches = tree.branches(main_tip).into_iter().zip(1..);
    branches
        .flat_map(|(branch, number)| {
            let name = label(branch.is_main, number);
            let blocks = branch.blocks.into_iter();
            blocks.map(move |hash| (hash, name.clone()))
        })
        .collect()
}

/// `main`, or a number: the main branch is the first.
pub(crate) fn label(is_main: bool, number: u32) -> String {
    match is_main {
        true => "main".to_owned(),
        false => format!("branch {number}"),
    }
}
