//! What a capture knows and what it does next: pure, with the time passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fork_daemon::client::FRONTIER_BLOCKS_MAX;
use fork_types::document::{DaemonView, SeenBlock};
use fork_types::{Class, SlotSinceHardFork, StateHash};

/// Longest pause before a daemon is asked again for a block it failed to deliver.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Most blocks remembered of one daemon. A window of 20 slots and the 100 slots after it hold 120 on
/// one branch.
const VIEW_BLOCKS_MAX: usize = 4096;

/// Which blocks are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// First slot of interest.
    pub(crate) start: SlotSinceHardFork,
    /// First slot without transactions: no block from there on can be the fork block.
    pub(crate) slot_tx_end: SlotSinceHardFork,
    /// First slot without blocks: nothing is to be seen from there on.
    pub(crate) slot_chain_end: SlotSinceHardFork,
}

impl Window {
    /// Whether a block may become the fork block.
    pub(crate) fn holds(&self, block: &SeenBlock) -> bool {
        (self.start..self.slot_tx_end).contains(&block.slot_since_hard_fork)
    }
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Wanted,
    Asked,
    Arrived,
    Stored,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failures: u32,
    not_before: Duration,
    /// Class of the last failure.
    class: Option<Class>,
}

#[derive(Debug)]
struct Entry {
    seen: SeenBlock,
    state: State,
    first_seen_slot: Option<SlotSinceHardFork>,
    tries: BTreeMap<usize, Tries>,
}

/// What is known of one daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) view: DaemonView,
    /// When it last answered.
    pub(crate) answered: Option<Duration>,
    /// Whether its running config is known.
    pub(crate) has_config: bool,
    /// What it last failed with, until it answers again.
    pub(crate) failure: Option<(Class, String)>,
}

/// What a daemon's answer changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Blocks nobody showed before that may become the fork block.
    pub(crate) new_candidates: u32,
    /// Whether the best tip left its former chain.
    pub(crate) is_reorganised: bool,
}

/// Everything a capture knows.
#[derive(Debug)]
pub(crate) struct Plan {
    window: Window,
    /// A block is asked for once per daemon, and then left to the next run.
    once: bool,
    first_backoff: Duration,
    blocks: BTreeMap<StateHash, Entry>,
    daemons: Vec<Daemon>,
    is_stalled: bool,
    is_stopped: bool,
}

impl Plan {
    pub(crate) fn new(
        window: Window,
        once: bool,
        first_backoff: Duration,
        views: Vec<DaemonView>,
        stored: impl IntoIterator<Item = StateHash>,
    ) -> Self {
        let mut plan = Self {
            window,
            once,
            first_backoff,
            blocks: BTreeMap::new(),
            daemons: Vec::new(),
            is_stalled: false,
            is_stopped: false,
        };
        let stored: BTreeSet<StateHash> = stored.into_iter().collect();
        for view in views {
            for block in &view.blocks {
                plan.add(block, None);
            }
            plan.daemons.push(Daemon {
                view,
                answered: None,
                has_config: false,
                failure: None,
            });
        }
        for hash in stored {
            if let Some(entry) = plan.blocks.get_mut(&hash) {
                entry.state = State::Stored;
            }
        }
        plan
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn daemons(&self) -> &[Daemon] {
        &self.daemons
    }

    pub(crate) fn daemon_mut(&mut self, daemon: usize) -> Option<&mut Daemon> {
        self.daemons.get_mut(daemon)
    }

    /// Adds a block; says whether it is a new candidate.
    fn add(&mut self, block: &SeenBlock, slot: Option<SlotSinceHardFork>) -> bool {
        if let Some(known) = self.blocks.get_mut(&block.state_hash) {
            if known.state == State::Wanted {
                known.seen.clone_from(block);
            }
            return false;
        }
        if !self.window.holds(block) {
            return false;
        }
        self.blocks.insert(
            block.state_hash,
            Entry {
                seen: block.clone(),
                state: State::Wanted,
                first_seen_slot: slot,
                tries: BTreeMap::new(),
            },
        );
        true
    }

    /// Whether the blocks of `chain` (oldest first) join what is known of the daemon, or go back to
    /// before the window.
    pub(crate) fn is_connected(&self, daemon: usize, chain: &[SeenBlock]) -> bool {
        let Some(oldest) = chain.first() else {
            return true;
        };
        let known = self.daemons.get(daemon).is_some_and(|daemon| {
            daemon.view.blocks.iter().any(|block| {
                block.state_hash == oldest.state_hash
                    || block.state_hash == oldest.previous_state_hash
            })
        });
        known || oldest.slot_since_hard_fork < self.window.start
    }

    /// Takes a daemon's best chain, oldest first.
    pub(crate) fn merge(&mut self, daemon: usize, chain: &[SeenBlock]) -> Merged {
        let mut merged = Merged::default();
        let slot = self.clock();
        for block in chain {
            merged.new_candidates += u32::from(self.add(block, slot));
        }
        let start = self.window.start;
        let Some(daemon) = self.daemons.get_mut(daemon) else {
            return merged;
        };
        let view = &mut daemon.view;
        let former = view.tip;
        // The last block before the window shows where its branches come from.
        let first = chain.partition_point(|block| block.slot_since_hard_fork < start);
        for block in chain.get(first.saturating_sub(1)..).unwrap_or_default() {
            // What it says last counts: an answer may have been damaged on its way.
            view.blocks
                .retain(|known| known.state_hash != block.state_hash);
            let key = |block: &SeenBlock| (block.blockchain_length, block.state_hash.to_string());
            let place = view.blocks.partition_point(|known| key(known) < key(block));
            view.blocks.insert(place, block.clone());
        }
        if let Some(excess) = view.blocks.len().checked_sub(VIEW_BLOCKS_MAX) {
            view.blocks.drain(..excess);
        }
        view.tip = chain.last().map(|block| block.state_hash).or(former);
        merged.is_reorganised = former.is_some_and(|former| {
            let is_former = |block: &SeenBlock| block.state_hash == former;
            view.blocks.iter().any(is_former) && !view.best_chain().any(is_former)
        });
        view.reorganisations += u32::from(merged.is_reorganised);
        merged
    }

    /// The block to ask this daemon for now: the highest that it offers and nobody has, and marks it
    /// as asked for.
    pub(crate) fn next(&mut self, daemon: usize, now: Duration) -> Option<SeenBlock> {
        let offered = self.offered(daemon);
        let entry = self
            .blocks
            .values_mut()
            .filter(|entry| entry.state == State::Wanted)
            .filter(|entry| offered.contains(&entry.seen.state_hash))
            .filter(|entry| {
                let tries = entry.tries.get(&daemon).copied().unwrap_or_default();
                tries.not_before <= now
            })
            .max_by_key(|entry| {
                (
                    entry.seen.blockchain_length,
                    entry.seen.state_hash.to_string(),
                )
            })?;
        entry.state = State::Asked;
        Some(entry.seen.clone())
    }

    /// Blocks in the window that the daemon still has in its frontier, as far as it showed them.
    fn offered(&self, daemon: usize) -> BTreeSet<StateHash> {
        let Some(view) = self.daemons.get(daemon).map(|daemon| &daemon.view) else {
            return BTreeSet::new();
        };
        let tip = view.best_chain().next();
        let oldest = tip.map_or(0, |tip| {
            tip.blockchain_length.saturating_sub(FRONTIER_BLOCKS_MAX)
        });
        let candidates = view.blocks.iter();
        candidates
            .filter(|block| self.window.holds(block) && block.blockchain_length > oldest)
            .map(|block| block.state_hash)
            .collect()
    }

    /// Whether this daemon may yet be asked for something that another is being asked for.
    pub(crate) fn may_be_needed(&self, daemon: usize) -> bool {
        let offered = self.offered(daemon);
        self.blocks.values().any(|entry| {
            matches!(entry.state, State::Asked | State::Arrived)
                && offered.contains(&entry.seen.state_hash)
                && !entry.tries.contains_key(&daemon)
        })
    }

    /// Whether this daemon can be asked for something, now or after a pause.
    pub(crate) fn wants(&self, daemon: usize) -> bool {
        let offered = self.offered(daemon);
        self.blocks.values().any(|entry| {
            let tries = entry.tries.get(&daemon).copied().unwrap_or_default();
            entry.state == State::Wanted
                && offered.contains(&entry.seen.state_hash)
                && tries.not_before < Duration::MAX
        })
    }

    /// Whether answers cannot be stored at the moment.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Says whether answers can be stored.
    pub(crate) const fn set_stalled(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
    }

    /// Whether the capture is to end.
    pub(crate) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Ends the capture: no daemon is asked anything more.
    pub(crate) const fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// The block came and waits to be verified. It may have come in an earlier run, whose view of the
    /// daemon was never stored.
    pub(crate) fn arrived(&mut self, block: &SeenBlock) {
        self.add(block, None);
        if let Some(entry) = self.blocks.get_mut(&block.state_hash) {
            entry.state = State::Arrived;
        }
    }

    /// The block is stored.
    pub(crate) fn stored(&mut self, block: StateHash) {
        if let Some(entry) = self.blocks.get_mut(&block) {
            entry.state = State::Stored;
        }
    }

    /// The daemon did not deliver the block, or what it delivered was refused.
    pub(crate) fn failed(&mut self, daemon: usize, block: StateHash, class: Class, now: Duration) {
        let (once, first) = (self.once, self.first_backoff);
        let Some(entry) = self.blocks.get_mut(&block) else {
            return;
        };
        if entry.state != State::Stored {
            entry.state = State::Wanted;
        }
        let tries = entry.tries.entry(daemon).or_default();
        let factor = 1_u32.checked_shl(tries.failures).unwrap_or(u32::MAX);
        tries.failures = tries.failures.saturating_add(1);
        tries.class = Some(class);
        tries.not_before = if once {
            Duration::MAX
        } else {
            now.saturating_add(first.saturating_mul(factor).min(BACKOFF_MAX))
        };
    }

    /// Candidates that are not stored, highest first.
    pub(crate) fn missing(&self) -> Vec<&SeenBlock> {
        let mut missing: Vec<&SeenBlock> = self
            .blocks
            .values()
            .filter(|entry| entry.state != State::Stored)
            .map(|entry| &entry.seen)
            .collect();
        missing.sort_by_key(|block| std::cmp::Reverse(block.blockchain_length));
        missing
    }

    /// Who has to act for a missing block: what its failures say, the most hopeful first. A block
    /// that nobody was asked for is the environment's: there was no time or no store.
    pub(crate) fn missing_class(&self, block: StateHash) -> Class {
        let entry = self.blocks.get(&block);
        let tries = entry
            .map(|entry| entry.tries.values())
            .into_iter()
            .flatten();
        let classes: Vec<Class> = tries.filter_map(|tries| tries.class).collect();
        [
            Class::Environment,
            Class::Pending,
            Class::BadInput,
            Class::Wrong,
        ]
        .into_iter()
        .find(|class| classes.contains(class))
        .unwrap_or(Class::Environment)
    }

    /// Answers that wait to be verified.
    pub(crate) fn waiting(&self) -> usize {
        let states = self.blocks.values();
        states.filter(|entry| entry.state == State::Arrived).count()
    }

    /// The slot most daemons' clocks have reached: the lower median, so that one fast clock does not
    /// close the window.
    pub(crate) fn clock(&self) -> Option<SlotSinceHardFork> {
        let mut slots: Vec<SlotSinceHardFork> = self
            .daemons
            .iter()
            .filter_map(|daemon| daemon.view.clock_slot)
            .collect();
        slots.sort_unstable();
        slots.get(slots.len().saturating_sub(1) / 2).copied()
    }

    /// Whether nothing new can come and everything seen is stored.
    pub(crate) fn is_finished(&self) -> bool {
        self.clock()
            .is_some_and(|slot| slot >= self.window.slot_chain_end)
            && self
                .daemons
                .iter()
                .all(|daemon| daemon.answered.is_some() || daemon.failure.is_some())
            && self.missing().is_empty()
    }

    /// What should wake somebody.
    pub(crate) fn alarms(&self, limits: &AlarmLimits) -> Vec<Alarm> {
        let mut alarms = self.stuck(limits);
        alarms.extend(self.disagreements(limits));
        alarms
    }

    /// Candidates that do not come, or come and are not stored.
    fn stuck(&self, limits: &AlarmLimits) -> Vec<Alarm> {
        let Some(clock) = self.clock() else {
            return Vec::new();
        };
        let late = |since: SlotSinceHardFork| clock.get().saturating_sub(since.get());
        let mut alarms = Vec::new();
        let newest = self.blocks.values().map(|entry| &entry.seen);
        let newest = newest.max_by_key(|block| block.slot_since_hard_fork);
        let since = newest.map_or(self.window.start, |block| block.slot_since_hard_fork);
        if clock < self.window.slot_tx_end && late(since) > limits.slots {
            alarms.push(Alarm {
                kind: AlarmKind::NoNewCandidate,
                class: Class::Pending,
                daemon: None,
                text: format!(
                    "no daemon showed a new block for {} slots (slot {since} to {clock}, limit {})",
                    late(since),
                    limits.slots
                ),
            });
        }
        for entry in self.blocks.values() {
            let since = entry
                .first_seen_slot
                .unwrap_or(entry.seen.slot_since_hard_fork);
            if entry.state != State::Stored && late(since) > limits.slots {
                let failures: u32 = entry.tries.values().map(|tries| tries.failures).sum();
                alarms.push(Alarm {
                    kind: AlarmKind::NotStored,
                    class: Class::Pending,
                    daemon: None,
                    text: format!(
                        "block {} at height {}, slot {}, is not stored {} slots after it was seen \
                         ({failures} failed attempts)",
                        entry.seen.state_hash,
                        entry.seen.blockchain_length,
                        entry.seen.slot_since_hard_fork,
                        late(since),
                    ),
                });
            }
        }
        alarms
    }

    /// Daemons that contradict the others.
    fn disagreements(&self, limits: &AlarmLimits) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let mut alarm = |kind, class, view: &DaemonView, text: String| {
            alarms.push(Alarm {
                kind,
                class,
                daemon: Some(view.name.clone()),
                text: format!("daemon {}: {text}", view.name),
            });
        };
        let majority = self.settled_majority(limits);
        for daemon in &self.daemons {
            let view = &daemon.view;
            if let Some((class, failure)) = &daemon.failure {
                alarm(AlarmKind::DaemonSilent, *class, view, failure.clone());
            }
            for (block, other) in self.contradictions(view) {
                let text = format!(
                    "describes block {} at height {} otherwise than daemon {other} does",
                    block.state_hash, block.blockchain_length
                );
                alarm(AlarmKind::Disagreement, Class::Wrong, view, text);
            }
            for (what, expected, found) in [
                (
                    "slot_tx_end",
                    self.window.slot_tx_end,
                    view.stop.slot_tx_end,
                ),
                (
                    "slot_chain_end",
                    self.window.slot_chain_end,
                    view.stop.slot_chain_end,
                ),
            ] {
                // Whoever bootstraps does not always answer for its config.
                if daemon.has_config && found != Some(expected) {
                    let found = found.map_or_else(|| "none".to_owned(), |slot| slot.to_string());
                    let text = format!("runs with {what} {found}, expected {expected}");
                    alarm(AlarmKind::Disagreement, Class::Wrong, view, text);
                }
            }
            if let Some((height, hash)) = majority {
                let own = view
                    .best_chain()
                    .find(|block| block.blockchain_length == height);
                if let Some(own) = own.filter(|own| own.state_hash != hash) {
                    let text = format!(
                        "has block {} at height {height}, where most daemons have {hash}",
                        own.state_hash
                    );
                    alarm(AlarmKind::Disagreement, Class::Wrong, view, text);
                }
            }
        }
        alarms
    }

    /// Blocks that a daemon describes otherwise than one named after it does.
    fn contradictions<'a>(&'a self, view: &'a DaemonView) -> Vec<(&'a SeenBlock, &'a str)> {
        let others = self.daemons.iter().map(|daemon| &daemon.view);
        let mut found = Vec::new();
        for other in others.filter(|other| other.name > view.name) {
            for block in &view.blocks {
                let same = |known: &&SeenBlock| known.state_hash == block.state_hash;
                let known = other.blocks.iter().find(same);
                if known.is_some_and(|known| known != block) {
                    found.push((block, other.name.as_str()));
                }
            }
        }
        found
    }

    /// Height and state hash of a block that is deep enough not to be a passing fork and that at
    /// least a quorum has on its best chain.
    fn settled_majority(&self, limits: &AlarmLimits) -> Option<(u32, StateHash)> {
        let tips = self.daemons.iter();
        let tips = tips.filter_map(|daemon| daemon.view.best_chain().next());
        let height = tips
            .map(|tip| tip.blockchain_length)
            .max()?
            .checked_sub(limits.settled_blocks)?;
        let mut counts: BTreeMap<StateHash, u32> = BTreeMap::new();
        for daemon in &self.daemons {
            let block = daemon
                .view
                .best_chain()
                .find(|block| block.blockchain_length == height);
            if let Some(block) = block {
                *counts.entry(block.state_hash).or_default() += 1;
            }
        }
        let (hash, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (count >= limits.quorum).then_some((height, hash))
    }
}

/// When to raise an alarm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmLimits {
    /// Slots without progress.
    pub(crate) slots: u32,
    /// Daemons that make a majority.
    pub(crate) quorum: u32,
    /// Blocks above a block that make a disagreement about it more than a passing fork.
    pub(crate) settled_blocks: u32,
}

/// Something that should wake somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) kind: AlarmKind,
    /// Who has to act.
    pub(crate) class: Class,
    pub(crate) daemon: Option<String>,
    pub(crate) text: String,
}

/// Kinds of alarms; the metrics have one series of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AlarmKind {
    NoNewCandidate,
    NotStored,
    Disagreement,
    DaemonSilent,
    Refused,
}

impl AlarmKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::NoNewCandidate,
        Self::NotStored,
        Self::Disagreement,
        Self::DaemonSilent,
        Self::Refused,
    ];

    /// The name in metrics and documents.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoNewCandidate => "no-new-candidate",
            Self::NotStored => "not-stored",
            Self::Disagreement => "disagreement",
            Self::DaemonSilent => "daemon-silent",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests;
