//! The way from a block to the genesis of its chain.

use std::fmt;

use fork_types::{Class, StateHash};

use crate::block::ArchiveBlock;
use crate::client::Client;
use crate::error::{ArchiveError, ArchiveErrorKind};

/// The blocks from `$1` down to the genesis of its chain, as a table `up`. A step goes to the height
/// below only, so a damaged database cannot send it in circles, and none goes below a genesis: at a
/// hard fork the ledger begins anew.
pub(crate) const UP: &str = "\
    WITH RECURSIVE up (id, parent_id, height, slot) AS ( \
      SELECT id, parent_id, height, global_slot_since_hard_fork FROM blocks WHERE id = $1 \
      UNION ALL \
      SELECT p.id, p.parent_id, p.height, p.global_slot_since_hard_fork \
      FROM up JOIN blocks p ON p.id = up.parent_id AND p.height = up.height - 1 \
      WHERE up.slot <> 0)";

/// A branch that reaches a genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Number of blocks, genesis and tip included.
    pub blocks: u32,
    /// The first block of the chain, or of the chain since its last hard fork.
    pub genesis: ArchiveBlock,
    /// How many of them the archive calls canonical.
    pub canonical: u32,
}

/// How a branch ends too early.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BranchBreak {
    /// A block's parent is not there.
    MissingParent {
        /// The block.
        block: StateHash,
        /// Its height.
        height: u32,
        /// The parent that is missing.
        parent: StateHash,
        /// The highest lower height at which the archive has any block.
        below: Option<u32>,
    },
    /// A block's parent is there, and the block does not point to it.
    Unlinked {
        /// The block.
        block: StateHash,
        /// Its height.
        height: u32,
        /// The parent.
        parent: StateHash,
    },
    /// A block points to a block that is not its parent.
    OtherParent {
        /// The block.
        block: StateHash,
        /// Its height.
        height: u32,
        /// The parent it should have.
        parent: StateHash,
    },
    /// A block comes twice, or a row that it names does.
    Doubled {
        /// The block.
        block: StateHash,
        /// Its height.
        height: u32,
    },
    /// A block's two slots contradict those of its parent: both rise, and by the same number.
    Slots {
        /// The block.
        block: StateHash,
        /// Its height.
        height: u32,
    },
    /// The protocol version changes in the middle of a chain.
    OtherVersion {
        /// The first block of the newer version.
        block: StateHash,
        /// Its height.
        height: u32,
    },
}

impl BranchBreak {
    /// Who has to act.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::MissingParent { .. } | Self::Unlinked { .. } => Class::Pending,
            Self::OtherParent { .. }
            | Self::Doubled { .. }
            | Self::Slots { .. }
            | Self::OtherVersion { .. } => Class::Wrong,
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::MissingParent { .. } => {
                "import the missing blocks, as the archive's missing-blocks auditor finds them"
            }
            Self::Unlinked { .. } => {
                "set blocks.parent_id of that block to the id of its parent, as the archive's \
                 missing-blocks guardian does"
            }
            Self::OtherParent { .. }
            | Self::Doubled { .. }
            | Self::Slots { .. }
            | Self::OtherVersion { .. } => "the database is damaged; restore it from a dump",
        }
    }
}

impl fmt::Display for BranchBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingParent {
                block,
                height,
                parent,
                below,
            } => {
                write!(
                    f,
                    "block {block} at height {height} has the parent {parent}, which the archive \
                     does not have"
                )?;
                match below {
                    None => f.write_str(", nor any other block below"),
                    Some(below) if below + 1 == *height => {
                        write!(f, ", but other blocks of height {below}")
                    }
                    Some(below) if below + 2 == *height => {
                        write!(f, ", nor any other block of height {}", below + 1)
                    }
                    Some(below) => write!(
                        f,
                        ", nor any other block of the heights {} to {}",
                        below + 1,
                        height - 1
                    ),
                }
            }
            Self::Unlinked {
                block,
                height,
                parent,
            } => write!(
                f,
                "block {block} at height {height} does not point to its parent {parent}, which the \
                 archive has"
            ),
            Self::OtherParent {
                block,
                height,
                parent,
            } => write!(
                f,
                "block {block} at height {height} points to another block than its parent {parent}"
            ),
            Self::Doubled { block, height } => write!(
                f,
                "block {block} at height {height}, or a row that it names, is there more than once"
            ),
            Self::Slots { block, height } => write!(
                f,
                "the slots of block {block} at height {height} do not follow those of its parent"
            ),
            Self::OtherVersion { block, height } => write!(
                f,
                "the protocol version changes at block {block} at height {height}, which is no \
                 genesis"
            ),
        }
    }
}

/// A step of the walk.
struct Step {
    id: i64,
    state_hash: StateHash,
    parent_hash: StateHash,
    parent_id: Option<i64>,
    height: u32,
    slot: u32,
    slot_since_genesis: u32,
    version: Option<u32>,
}

impl Step {
    /// What is wrong between this block and the one that was read after it, which should be its
    /// parent.
    fn contradiction(&self, parent: &Self) -> Option<BranchBreak> {
        let (block, height) = (self.state_hash, self.height);
        let since_fork = self.slot.checked_sub(parent.slot);
        let since_genesis = self
            .slot_since_genesis
            .checked_sub(parent.slot_since_genesis);
        Some(if block == parent.state_hash {
            BranchBreak::Doubled { block, height }
        } else if self.parent_hash != parent.state_hash {
            BranchBreak::OtherParent {
                block,
                height,
                parent: self.parent_hash,
            }
        } else if self.version != parent.version {
            BranchBreak::OtherVersion { block, height }
        } else if since_fork != since_genesis || matches!(since_fork, None | Some(0)) {
            BranchBreak::Slots { block, height }
        } else {
            return None;
        })
    }
}

impl Branch {
    pub(crate) fn walk(client: &mut Client, tip: &ArchiveBlock) -> Result<Self, ArchiveError> {
        use crate::block::Value;

        let sql = format!(
            "{UP} SELECT b.id, b.state_hash, b.parent_hash, b.parent_id, b.height, up.slot, \
               b.global_slot_since_genesis, v.transaction, b.chain_status \
             FROM up JOIN blocks b ON b.id = up.id \
             LEFT JOIN protocol_versions v ON v.id = b.protocol_version_id \
             ORDER BY b.height DESC"
        );
        let mut blocks = 0_u32;
        let mut canonical = 0_u32;
        let mut last: Option<Step> = None;
        let mut broken = None;
        client.query(
            "walk the branch",
            &sql,
            &[&tip.id.to_string()],
            &mut |row| {
                let value = |column| Value::new(row, column, "blocks", "a block of the branch");
                let step = Step {
                    id: value((0, "id")).parse()?,
                    state_hash: value((1, "state_hash")).parse()?,
                    parent_hash: value((2, "parent_hash")).parse()?,
                    parent_id: value((3, "parent_id")).parse_nullable()?,
                    height: value((4, "height")).parse()?,
                    slot: value((5, "global_slot_since_hard_fork")).parse()?,
                    slot_since_genesis: value((6, "global_slot_since_genesis")).parse()?,
                    version: value((7, "protocol_version_id")).parse_nullable()?,
                };
                if broken.is_none() {
                    broken = last.as_ref().and_then(|child| child.contradiction(&step));
                }
                blocks += 1;
                canonical += u32::from(row.text(8) == Some("canonical"));
                last = Some(step);
                Ok(())
            },
        )?;
        let Some(lowest) = last else {
            // The tip was read in the same transaction, so it is there.
            return Err(ArchiveErrorKind::NoBlock {
                wanted: tip.state_hash.to_string(),
            }
            .into());
        };
        if broken.is_none() && lowest.slot != 0 {
            broken = Some(Self::end(client, &lowest)?);
        }
        if let Some(stopped) = broken {
            return Err(ArchiveErrorKind::Branch {
                state_hash: tip.state_hash,
                stopped,
            }
            .into());
        }
        let genesis = ArchiveBlock::of_id(client, lowest.id)?;
        let genesis = genesis.ok_or_else(|| ArchiveErrorKind::NoBlock {
            wanted: lowest.state_hash.to_string(),
        })?;
        Ok(Self {
            blocks,
            genesis,
            canonical,
        })
    }

    /// Why the walk ended at a block that is no genesis.
    fn end(client: &mut Client, lowest: &Step) -> Result<BranchBreak, ArchiveError> {
        let mut parent_exists = false;
        let sql = "SELECT 1 FROM blocks WHERE state_hash = $1";
        let parent = lowest.parent_hash.to_string();
        client.query("look for a parent", sql, &[&parent], &mut |_| {
            parent_exists = true;
            Ok(())
        })?;
        let (block, height, parent) = (lowest.state_hash, lowest.height, lowest.parent_hash);
        Ok(match (parent_exists, lowest.parent_id) {
            (false, _) => {
                let mut below = None;
                let sql = "SELECT max(height) FROM blocks WHERE height < $1";
                let lower = lowest.height.to_string();
                client.query("look for lower blocks", sql, &[&lower], &mut |row| {
                    below = row.text(0).and_then(|height| height.parse().ok());
                    Ok(())
                })?;
                BranchBreak::MissingParent {
                    block,
                    height,
                    parent,
                    below,
                }
            }
            (true, None) => BranchBreak::Unlinked {
                block,
                height,
                parent,
            },
            // It points somewhere, and not one height down.
            (true, Some(_)) => BranchBreak::OtherParent {
                block,
                height,
                parent,
            },
        })
    }
}
