//! A ledger by its root: the staged ledger of a block, or one inside a block.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use fork_archive::{Archive, ArchiveBlock, ArchiveErrorKind, BlockChanges, Branch, SnarkedRange};
use fork_ledger::account::Account;
use fork_ledger::batch::LeafHasher;
use fork_ledger::merkle::{SparseTree, ledger_hash};
use fork_types::document::{ArchivedPrefix, LedgerBlock};
use fork_types::{Era, LedgerHash, StateHash};
use fork_worker::{Context, InputArg, Unit};

use crate::base::{Base, GenesisAccounts};
use crate::causes::{self, Suspect};
use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::{Extras, Materialized, Picked, materialize_with};
use crate::prefix::{Known, Prefixes};
use crate::prove::{Located, no_genesis_accounts, wrong};
use crate::wanted::{NotFound, WantedError};

/// Blocks of a range that are taken apart. On test networks a range has 4 to 8; the blocks between
/// two full trees of mainnet are some ten.
const RANGE_BLOCKS_MAX: u32 = 300;

/// Leaves that the blocks of a range may touch: some 100 MB of accounts and nodes.
const RANGE_LEAVES_MAX: usize = 100_000;

/// Blocks of a range that are named in a message.
const NAMED_MAX: usize = 5;

/// Where a ledger is.
pub(crate) enum Found {
    /// It is the staged ledger of this block.
    After(Box<ArchiveBlock>),
    /// It lies inside a block.
    Inside(Box<Cut>),
}

/// A place inside a block.
pub(crate) struct Cut {
    /// The block.
    pub(crate) block: ArchiveBlock,
    /// Its parent, whose ledger the changes are made to.
    pub(crate) parent: ArchiveBlock,
    /// How much of the block is in the ledger.
    pub(crate) prefix: ArchivedPrefix,
    /// The accounts that are not as the block found them.
    changes: BTreeMap<u64, Account>,
}

impl Found {
    /// The block in documents.
    pub(crate) fn block(&self) -> LedgerBlock {
        let block = match self {
            Self::After(block) => block,
            Self::Inside(cut) => &cut.block,
        };
        LedgerBlock {
            state_hash: block.state_hash,
            blockchain_length: block.height,
            status: block.status.name().to_owned(),
        }
    }

    /// How much of the block is in the ledger, when not all.
    pub(crate) fn prefix(&self) -> Option<ArchivedPrefix> {
        match self {
            Self::After(_) => None,
            Self::Inside(cut) => Some(cut.prefix),
        }
    }
}

/// Looks for ledgers on the branch of one block.
pub(crate) struct Finder<'a> {
    pub(crate) archive: &'a mut Archive,
    /// The block whose branch is looked at.
    pub(crate) tip: &'a ArchiveBlock,
    /// That branch.
    pub(crate) branch: &'a Branch,
    /// Genesis accounts for an archive that lacks them.
    pub(crate) genesis_accounts: Option<&'a InputArg>,
    /// A path beside which there is room for a copy of them.
    pub(crate) beside: &'a Path,
    /// They, as soon as they are proved, and the genesis block whose accounts they are.
    pub(crate) proved: Option<(StateHash, GenesisAccounts)>,
    pub(crate) context: &'a Context,
}

impl Finder<'_> {
    /// Finds the ledger with this root.
    ///
    /// # Errors
    ///
    /// Fails with [`WantedError::NotFound`] when the archive does not give it.
    pub(crate) fn find(&mut self, root: LedgerHash) -> Result<Found, MaterializeError> {
        for block in self.archive.blocks_with_ledger(root, self.tip)? {
            match self.archive.branch(&block) {
                Ok(_) => return Ok(Found::After(Box::new(block))),
                // Another block with the same ledger may be on a branch that is whole.
                Err(error) if matches!(error.kind(), ArchiveErrorKind::Branch { .. }) => {}
                Err(error) => return Err(MaterializeErrorKind::Archive(error).into()),
            }
        }
        let genesis = &self.branch.genesis;
        let mut not_found = NotFound {
            root,
            tip: self.tip.state_hash,
            range: None,
            is_first: [genesis.staking_epoch, genesis.next_epoch]
                .iter()
                .any(|epoch| epoch.ledger_hash == root),
            blocks: 0,
            prefixes: 0,
            unknown: 0,
            by_order: Vec::new(),
            too_long: false,
        };
        let genesis = genesis.height;
        let range = self.archive.snarked_range(self.tip, genesis, root)?;
        if let Some(range) = range {
            not_found.range = Some(range);
            if let Some(cut) = self.inside(root, range, &mut not_found)? {
                return Ok(Found::Inside(Box::new(cut)));
            }
        }
        Err(WantedError::NotFound(Box::new(not_found)).into())
    }

    /// Writes the ledger that was found; its root is computed from all accounts again.
    pub(crate) fn write(
        &mut self,
        found: Found,
        extras: Extras<'_>,
    ) -> Result<Materialized, MaterializeError> {
        let is_inside = found.prefix().is_some();
        let (block, changes) = match found {
            Found::After(block) => (*block, BTreeMap::new()),
            Found::Inside(cut) => (cut.parent, cut.changes),
        };
        let extras = Extras {
            base: self.base(&block)?,
            changes,
            ..extras
        };
        let progress = self.context.progress("reading accounts", 0, Unit::Items);
        let ledger = materialize_with(self.archive, &block, extras, &progress)?;
        if is_inside || ledger.root == Some(block.ledger_hash) {
            return Ok(ledger);
        }
        Err(self.explained(&block, &ledger)?)
    }

    /// The error that the staged ledger of a block is not what it says, with the reasons for it.
    fn explained(
        &mut self,
        block: &ArchiveBlock,
        ledger: &Materialized,
    ) -> Result<MaterializeError, MaterializeError> {
        let at = Located {
            block: block.clone(),
            era: self.archive.era(block)?,
            branch: self.archive.branch(block)?,
        };
        if self.genesis_accounts.is_none() && self.archive.rows_of(&at.branch.genesis)? == 0 {
            return Ok(no_genesis_accounts(&at));
        }
        let suspect = Suspect {
            at: &at,
            ledger,
            base: self.proved.as_ref().map(|(_, base)| base),
            context: self.context,
        };
        let causes = causes::find(self.archive, suspect)?;
        Ok(wrong(block, ledger, causes))
    }

    /// The genesis accounts under a block, when they are from a list.
    fn base(&mut self, block: &ArchiveBlock) -> Result<Option<Base>, MaterializeError> {
        let Some(file) = self.genesis_accounts else {
            return Ok(None);
        };
        let era = self.archive.era(block)?;
        let genesis = self.archive.branch(block)?.genesis;
        let proved = match self.proved.take() {
            Some((of, proved)) if of == genesis.state_hash => proved,
            _ => {
                let of = (genesis.state_hash, genesis.ledger_hash);
                GenesisAccounts::prove(file, of, era, self.beside, self.context)?
            }
        };
        let (_, proved) = self.proved.insert((genesis.state_hash, proved));
        proved.open().map(Some)
    }

    /// Looks inside the blocks of a range: first where the order of their transactions begins again,
    /// then at every place.
    fn inside(
        &mut self,
        root: LedgerHash,
        range: SnarkedRange,
        not_found: &mut NotFound,
    ) -> Result<Option<Cut>, MaterializeError> {
        let SnarkedRange { above, up_to, .. } = range;
        if up_to.saturating_sub(above) > RANGE_BLOCKS_MAX {
            not_found.too_long = true;
            return Ok(None);
        }
        let blocks = self
            .archive
            .blocks_between(self.tip, (above, up_to), RANGE_BLOCKS_MAX)?;
        let Some(start) = self.archive.ancestor(self.tip, above)? else {
            return Ok(None);
        };
        let era = self.archive.era(self.tip)?;
        let touched = self.archive.touched_leaves(&blocks, RANGE_LEAVES_MAX)?;
        let picked = Picked::new(era, touched);
        let extras = Extras {
            base: self.base(&start)?,
            picked: Some(picked),
            ..Extras::default()
        };
        let progress = self
            .context
            .progress("reading the ledger below", 0, Unit::Items);
        let ledger = materialize_with(self.archive, &start, extras, &progress)?;
        drop(progress);
        if ledger.root != Some(start.ledger_hash) {
            return Err(self.explained(&start, &ledger)?);
        }
        let Some(picked) = ledger.picked else {
            return Ok(None);
        };
        let mut changes = Vec::with_capacity(blocks.len());
        for block in &blocks {
            changes.push(self.archive.changes(block)?);
        }
        not_found.blocks = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        let bar = self.context.progress(
            "looking inside blocks",
            2 * blocks.len() as u64,
            Unit::Items,
        );
        let tree = picked.tree.finish();
        for by_order in [true, false] {
            let mut sweep = Sweep {
                root,
                era,
                hasher: LeafHasher::new(era),
                tree: tree.clone(),
                accounts: picked.accounts.clone(),
                by_order,
            };
            let mut parent = &start;
            for changes in &changes {
                if let Some(cut) = sweep.block(changes, parent, not_found)? {
                    return Ok(Some(cut));
                }
                parent = &changes.block;
                bar.advance(1);
            }
        }
        Ok(None)
    }
}

/// A range of blocks gone through from below.
struct Sweep {
    root: LedgerHash,
    era: Era,
    hasher: LeafHasher,
    tree: SparseTree,
    /// The accounts that the blocks of the range touch, as they are now.
    accounts: BTreeMap<u64, Account>,
    /// Whether to try only where the order begins again.
    by_order: bool,
}

impl Sweep {
    /// Tries a block, and leaves the tree and the accounts as the block leaves them.
    fn block(
        &mut self,
        changes: &BlockChanges,
        parent: &ArchiveBlock,
        not_found: &mut NotFound,
    ) -> Result<Option<Cut>, MaterializeError> {
        let prefixes = Prefixes::new(changes, &self.accounts, self.era);
        let in_order = prefixes.by_order();
        let block = &changes.block;
        if self.by_order && !in_order.is_empty() && not_found.by_order.len() < NAMED_MAX {
            not_found.by_order.push((block.height, block.state_hash));
        }
        let cuts = if self.by_order {
            in_order.clone()
        } else {
            prefixes.all()
        };
        let mut from = 0;
        let mut unknown: HashSet<u64> = HashSet::new();
        for cut in cuts {
            for leaf in prefixes.changed(from, cut) {
                let known = prefixes.account(leaf, cut);
                match &known {
                    Known::Unknown => unknown.insert(leaf),
                    Known::Absent | Known::Account(_) => unknown.remove(&leaf),
                };
                self.set(leaf, &known)?;
            }
            from = cut;
            not_found.prefixes += 1;
            if !unknown.is_empty() {
                not_found.unknown += 1;
                continue;
            }
            if ledger_hash(self.tree.root()) != self.root {
                continue;
            }
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            if let Some(accounts) = prefixes.accounts(cut) {
                return Ok(Some(Cut {
                    block: block.clone(),
                    parent: parent.clone(),
                    prefix: ArchivedPrefix {
                        transactions: count(cut),
                        of: count(prefixes.transactions()),
                        by_order: in_order.contains(&cut),
                    },
                    changes: accounts,
                }));
            }
        }
        for row in &changes.accounts {
            let leaf = u64::from(row.index);
            self.set(leaf, &Known::Account(Box::new(row.account.clone())))?;
            self.accounts.insert(leaf, row.account.clone());
        }
        let computed = ledger_hash(self.tree.root());
        if computed != block.ledger_hash {
            return Err(broken(block, Some(computed), self.root));
        }
        Ok(None)
    }

    fn set(&mut self, leaf: u64, known: &Known) -> Result<(), MaterializeError> {
        let hash = match known {
            Known::Account(account) => {
                let accounts = std::slice::from_ref(&**account);
                let hashed = self.hasher.hash_here(self.era, accounts);
                let hashed = hashed.map_err(|source| MaterializeErrorKind::Hash {
                    first: leaf,
                    source,
                })?;
                hashed.first().copied()
            }
            Known::Absent | Known::Unknown => None,
        };
        let empty = self.tree.empty_leaf();
        Ok(self.tree.set(leaf, hash.unwrap_or(empty))?)
    }
}

/// A block of the range has not the root it says: no beginning of it can be trusted.
fn broken(
    block: &ArchiveBlock,
    computed: Option<LedgerHash>,
    wanted: LedgerHash,
) -> MaterializeError {
    let shown = |hash: LedgerHash| hash.to_string();
    WantedError::Broken {
        wanted,
        state_hash: block.state_hash,
        height: block.height,
        computed: computed.map_or_else(|| "nothing, because of holes".to_owned(), shown),
        expected: block.ledger_hash,
    }
    .into()
}

/// A block by height and hash, as messages have it.
pub(crate) fn named(height: u32, hash: StateHash) -> String {
    format!("{hash} at height {height}")
}
