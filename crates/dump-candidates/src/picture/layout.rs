//! Where everything is drawn.

use std::collections::{BTreeMap, BTreeSet};

use fork_genesis::selection::tree::{BlockTree, Branch};
use fork_types::StateHash;
use fork_types::document::SeenBlock;
use fork_worker::text::clipped;

use super::{BLOCKS_MAX, Picture};
use crate::list::label;

/// Left of the first slot, for the link to blocks that are not drawn.
const LEFT: f64 = 60.0;
/// Right of the last slot, for the name of a branch.
const RIGHT: f64 = 150.0;
/// Above the first lane, for the names of the stop slots.
const TOP: f64 = 62.0;
/// Room for a block's label, which leans to the right above it.
const LABEL_HEIGHT: f64 = 104.0;
/// Below the blocks of a lane, before anything is written there.
const LANE_GAP: f64 = 18.0;
/// A line of daemon names below a lane.
pub(super) const LINE: f64 = 14.0;
/// Width of a character of the daemons' names; a little too much rather than too little.
const CHAR: f64 = 6.6;
/// Below the last lane: the axis and the legend.
const BOTTOM: f64 = 104.0;
/// Least and most width of a slot: below, labels would touch.
const SLOT_MIN: f64 = 15.0;
const SLOT_MAX: f64 = 40.0;
/// Width that is aimed at.
const WIDTH: f64 = 1300.0;
/// Least width, so that the legend fits.
const WIDTH_MIN: f64 = 900.0;
/// Names of daemons at one tip that are spelled out, and how much of each.
const NAMES_MAX: usize = 4;
const NAME_CHARS_MAX: usize = 24;

/// One drawn branch.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) is_main: bool,
    /// Oldest first; never empty.
    pub(super) blocks: Vec<StateHash>,
}

/// The names of the daemons at a tip.
#[derive(Debug)]
pub(super) struct TipLabel {
    pub(super) x: f64,
    pub(super) tip_y: f64,
    pub(super) y: f64,
    pub(super) text: String,
}

/// Where everything is drawn.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) lanes: Vec<Lane>,
    pub(super) tips: Vec<TipLabel>,
    pub(super) places: BTreeMap<StateHash, (f64, f64)>,
    pub(super) first_slot: u32,
    pub(super) last_slot: u32,
    pub(super) slot_width: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) axis_y: f64,
    /// Blocks that were seen and are not drawn.
    pub(super) left_out: usize,
}

impl Layout {
    pub(super) fn new(picture: &Picture<'_>, tree: &BlockTree<'_>) -> Self {
        let drawn = nearest(picture, tree);
        let left_out = tree.blocks().len() - drawn.len();
        let rule = picture.selection.map(|selection| selection.document.rule);
        let stops = rule.map(|rule| [rule.slot_tx_end.get(), rule.slot_chain_end.get()]);
        let slots = || {
            let blocks = drawn.iter().filter_map(|hash| tree.get(*hash));
            blocks.map(|block| block.slot_since_hard_fork.get())
        };
        let (low, high) = (slots().min().unwrap_or(0), slots().max().unwrap_or(0));
        let first_slot = stops.map_or(low, |stops| {
            // Far from the blocks a stop slot would only make the picture long.
            let near = stops.into_iter().filter(|slot| slot.abs_diff(low) <= 400);
            near.min().unwrap_or(low).min(low)
        });
        let last_slot = stops.map_or(high, |stops| {
            let near = stops.into_iter().filter(|slot| slot.abs_diff(high) <= 400);
            near.max().unwrap_or(high).max(high)
        });
        let span = f64::from(last_slot.saturating_sub(first_slot).max(1));
        let slot_width = (WIDTH / span).clamp(SLOT_MIN, SLOT_MAX);
        let mut layout = Self {
            lanes: Vec::new(),
            tips: Vec::new(),
            places: BTreeMap::new(),
            first_slot,
            last_slot,
            slot_width,
            width: (LEFT + span * slot_width + RIGHT).max(WIDTH_MIN),
            height: 0.0,
            axis_y: 0.0,
            left_out,
        };
        layout.add_lanes(picture, tree, &drawn);
        layout
    }

    /// The middle of a slot.
    pub(super) fn x(&self, slot: u32) -> f64 {
        let offset = f64::from(slot) - f64::from(self.first_slot);
        LEFT + offset * self.slot_width
    }

    fn add_lanes(
        &mut self,
        picture: &Picture<'_>,
        tree: &BlockTree<'_>,
        drawn: &BTreeSet<StateHash>,
    ) {
        let tips = tip_names(picture);
        let branches: Vec<(Branch, String)> = tree
            .branches(picture.main_tip)
            .into_iter()
            .zip(1..)
            .map(|(mut branch, number)| {
                branch.blocks.retain(|hash| drawn.contains(hash));
                branch.blocks.reverse();
                let name = label(branch.is_main, number);
                (branch, name)
            })
            .filter(|(branch, _)| !branch.blocks.is_empty())
            .collect();
        let mut rows: Vec<Vec<(Branch, String)>> = Vec::new();
        for (branch, name) in branches {
            // Branches that are far apart share a lane; never with the main one, which stands out.
            let (start, end) = self.extent(&branch, tree);
            let free = rows.iter_mut().skip(1).find(|row| {
                row.iter().all(|(other, _)| {
                    let (from, to) = self.extent(other, tree);
                    end < from || to < start
                })
            });
            match free {
                Some(row) => row.push((branch, name)),
                None => rows.push(vec![(branch, name)]),
            }
        }
        let mut y = TOP;
        for row in rows {
            y += LABEL_HEIGHT;
            let mut lines: Vec<f64> = Vec::new();
            let mut labels = Vec::new();
            for (branch, name) in row {
                for block in branch.blocks.iter().filter_map(|hash| tree.get(*hash)) {
                    let x = self.x(block.slot_since_hard_fork.get());
                    self.places.insert(block.state_hash, (x, y));
                    if let Some(text) = tips.get(&block.state_hash) {
                        labels.push((x, text.clone()));
                    }
                }
                self.lanes.push(Lane {
                    name,
                    is_main: branch.is_main,
                    blocks: branch.blocks,
                });
            }
            labels.sort_by(|a, b| a.0.total_cmp(&b.0));
            let tip_y = y;
            y += LANE_GAP;
            for (x, text) in labels {
                let chars = f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
                let end = x + (chars + 2.0) * CHAR;
                let line = lines.iter().position(|taken| *taken < x);
                let line = line.unwrap_or_else(|| {
                    lines.push(0.0);
                    lines.len() - 1
                });
                if let Some(taken) = lines.get_mut(line) {
                    *taken = end;
                }
                let down = f64::from(u32::try_from(line).unwrap_or(u32::MAX));
                self.width = self.width.max(end);
                self.tips.push(TipLabel {
                    x,
                    tip_y,
                    y: y + 6.0 + down * LINE,
                    text,
                });
            }
            y += f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX)) * LINE;
        }
        self.axis_y = y + 16.0;
        self.height = y + BOTTOM;
    }

    /// What a branch takes of its lane: from the block it leaves another one at to the end of its
    /// name.
    fn extent(&self, branch: &Branch, tree: &BlockTree<'_>) -> (f64, f64) {
        let slot = |hash: Option<&StateHash>| {
            let block = hash.and_then(|hash| tree.get(*hash));
            block.map_or(self.first_slot, |block| block.slot_since_hard_fork.get())
        };
        let start = self.x(slot(branch.blocks.first())) - 2.0 * self.slot_width;
        (start, self.x(slot(branch.blocks.last())) + RIGHT)
    }
}

/// The blocks nearest to the fork.
fn nearest(picture: &Picture<'_>, tree: &BlockTree<'_>) -> BTreeSet<StateHash> {
    let rule = picture.selection.map(|selection| selection.document.rule);
    let mut blocks = tree.blocks();
    let newest = blocks.iter().map(|block| block.slot_since_hard_fork).max();
    let fork = rule.map(|rule| rule.slot_tx_end).or(newest);
    let fork = fork.map_or(0, |slot| slot.get());
    let distance = |block: &&SeenBlock| block.slot_since_hard_fork.get().abs_diff(fork);
    // Stable: of two at the same distance the lower one.
    blocks.sort_by_key(distance);
    blocks.truncate(BLOCKS_MAX);
    blocks.iter().map(|block| block.state_hash).collect()
}

/// The names of the daemons at each tip, as they are written.
fn tip_names(picture: &Picture<'_>) -> BTreeMap<StateHash, String> {
    let mut names: BTreeMap<StateHash, Vec<String>> = BTreeMap::new();
    for view in picture.views {
        if let Some(tip) = view.tip {
            let name = clipped(&view.name, NAME_CHARS_MAX);
            names.entry(tip).or_default().push(name);
        }
    }
    let texts = names.into_iter().map(|(tip, mut names)| {
        names.sort();
        let more = names.len().saturating_sub(NAMES_MAX);
        names.truncate(NAMES_MAX);
        let mut text = names.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        (tip, text)
    });
    texts.collect()
}
