//! The blocks of a scenario, before any of them is made.

use super::{BranchSpec, ParentSpec, Scenario};
use crate::error::StubError;

/// Most blocks of a scenario: each takes a few kilobytes and a millisecond.
const BLOCKS_MAX: usize = 20_000;

/// Every block of a scenario with its parent, parents first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The blocks.
    pub blocks: Vec<PlannedBlock>,
    /// By branch: its name and the blocks from the first of all to its last one.
    branches: Vec<(String, Vec<usize>)>,
}

/// A block that will be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBlock {
    /// Position of its branch.
    pub branch: usize,
    /// Slot since the hard fork.
    pub slot: u32,
    /// Height.
    pub height: u32,
    /// Position of its parent; `None` for the first block.
    pub parent: Option<usize>,
    /// Number of commands.
    pub commands: u32,
    /// Whether there is a coinbase.
    pub coinbase: bool,
}

impl PlannedBlock {
    /// Whether it has neither commands nor coinbase, and so leaves the ledger as it was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.commands == 0 && !self.coinbase
    }
}

impl Plan {
    pub(super) fn new(scenario: &Scenario) -> Result<Self, StubError> {
        let mut plan = Self {
            blocks: Vec::new(),
            branches: Vec::new(),
        };
        if scenario.branches.is_empty() {
            return Err(StubError::scenario("branch", "no branch", "at least one"));
        }
        for branch in &scenario.branches {
            plan.grow(scenario, branch)?;
        }
        Ok(plan)
    }

    /// Position of the branch called `name`.
    #[must_use]
    pub fn branch_index(&self, name: &str) -> Option<usize> {
        self.branches.iter().position(|(known, _)| known == name)
    }

    /// Name of a branch.
    #[must_use]
    pub fn branch_name(&self, branch: usize) -> &str {
        self.branches
            .get(branch)
            .map_or("", |(name, _)| name.as_str())
    }

    /// The blocks of a branch from the first of all to its last one, those of its ancestors
    /// included.
    #[must_use]
    pub fn path(&self, branch: usize) -> &[usize] {
        self.branches
            .get(branch)
            .map_or(&[], |(_, path)| path.as_slice())
    }

    /// The part of [`Plan::path`] whose slots are not after `slot`.
    #[must_use]
    pub fn path_until(&self, branch: usize, slot: u32) -> &[usize] {
        let path = self.path(branch);
        let seen = path.partition_point(|block| self.blocks[*block].slot <= slot);
        &path[..seen]
    }

    fn grow(&mut self, scenario: &Scenario, branch: &BranchSpec) -> Result<(), StubError> {
        let place = |member: &str| format!("branch `{}` {member}", branch.name);
        if branch.name.is_empty() || self.branch_index(&branch.name).is_some() {
            return Err(StubError::scenario(
                place("name"),
                "empty or given twice",
                "a name of its own",
            ));
        }
        let index = self.branches.len();
        let mut path = match (&branch.parent, index) {
            (None, 0) => Vec::new(),
            (Some(parent), 1..) => self.path_to(parent, &place("parent"))?,
            (None, _) => {
                let expected = "a parent, because it is not the first branch";
                return Err(StubError::scenario(place("parent"), "none", expected));
            }
            (Some(_), 0) => {
                let expected = "none, because it is the first branch";
                return Err(StubError::scenario(place("parent"), "a branch", expected));
            }
        };
        for blocks in &branch.blocks {
            let to = blocks.to.unwrap_or(blocks.from);
            if blocks.step == 0 || to < blocks.from {
                return Err(StubError::scenario(
                    place("blocks"),
                    format!("from {} to {to} step {}", blocks.from, blocks.step),
                    "a last slot not before the first, and a step above 0",
                ));
            }
            for slot in (blocks.from..=to).step_by(blocks.step as usize) {
                let parent = path.last().copied();
                let height = match parent.map(|parent| self.blocks[parent]) {
                    None => Some(scenario.network.start_height),
                    Some(parent) if parent.slot < slot => parent.height.checked_add(1),
                    Some(parent) => {
                        return Err(StubError::scenario(
                            place("blocks"),
                            format!("a block in slot {slot} after one in slot {}", parent.slot),
                            "rising slots",
                        ));
                    }
                };
                let before_end = scenario.network.slot_tx_end.is_none_or(|end| slot < end);
                let default_commands = if before_end {
                    scenario.network.commands_per_block
                } else {
                    0
                };
                if self.blocks.len() == BLOCKS_MAX {
                    return Err(StubError::scenario(
                        place("blocks"),
                        format!("more than {BLOCKS_MAX}"),
                        "fewer blocks",
                    ));
                }
                path.push(self.blocks.len());
                self.blocks.push(PlannedBlock {
                    branch: index,
                    slot,
                    height: height.ok_or_else(|| {
                        StubError::scenario(place("blocks"), "too high", "heights below 2^32")
                    })?,
                    parent,
                    commands: blocks.commands.unwrap_or(default_commands),
                    coinbase: blocks.coinbase.unwrap_or(before_end),
                });
            }
        }
        if path.is_empty() {
            return Err(StubError::scenario(
                place("blocks"),
                "none",
                "at least one block",
            ));
        }
        self.branches.push((branch.name.clone(), path));
        Ok(())
    }

    /// The path that ends in a branch's parent.
    fn path_to(&self, parent: &ParentSpec, place: &str) -> Result<Vec<usize>, StubError> {
        let Some(branch) = self.branch_index(&parent.branch) else {
            return Err(StubError::scenario(
                place,
                format!("branch `{}`", parent.branch),
                "a branch defined earlier",
            ));
        };
        let is_it = |block: &PlannedBlock| match (parent.slot, parent.height) {
            (Some(slot), None) => block.slot == slot,
            (None, Some(height)) => block.height == height,
            (Some(_), Some(_)) | (None, None) => false,
        };
        let path = self.path(branch);
        match path.iter().position(|block| is_it(&self.blocks[*block])) {
            Some(position) => Ok(path[..=position].to_vec()),
            None => Err(StubError::scenario(
                place,
                "no such block",
                "either the slot or the height of a block of that branch",
            )),
        }
    }
}
