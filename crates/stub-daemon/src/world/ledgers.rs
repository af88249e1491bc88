//! The ledgers of a scenario: printed once into files, and never whole in memory.
//!
//! The staged ledgers of all blocks are the same but for some balances, so one file serves all of
//! them: the accounts that differ are printed on the spot and put between parts of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fork_fs::{AtomicFile, StagedDir};
use fork_ledger::account::Account;
use fork_ledger::hash::{hash_account, hash_accounts};
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::packing::field_bytes;
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{Accounts, FixtureSpec, Random};
use fork_types::{Amount, Era, FieldBytes, LedgerHash, PublicKey, Role, TokenId};
use rayon::prelude::*;

use crate::body::Body;
use crate::error::StubError;

/// Accounts made, hashed and printed at a time, about 5 MB of text.
const CHUNK_ACCOUNTS: usize = 4096;

/// Purpose of the random numbers that choose changed accounts.
const PURPOSE: u64 = 901;

/// The account whose balance a wrong ledger changes.
pub(super) const WRONG_ACCOUNT: u32 = 1;

/// By account: how many nanomina it has more than at the start.
pub(super) type Gains = BTreeMap<u32, u64>;

/// A ledger in a file.
#[derive(Clone, Debug)]
pub(super) struct Printed {
    file: Arc<File>,
    bytes: u64,
    /// Where the accounts are that other ledgers have with another balance.
    places: BTreeMap<u32, Range<u64>>,
    pub(super) root: LedgerHash,
    pub(super) total_currency: Amount,
}

/// The ledgers of a scenario.
#[derive(Debug)]
pub(super) struct Ledgers {
    era: Era,
    accounts: Accounts,
    keys: VkHashCache,
    /// Of the staged ledger before the first block.
    tree: MerkleTree,
    pub(super) staged: Printed,
    pub(super) staking: Printed,
    pub(super) next: Printed,
    /// The tree last asked for, by block.
    recent: Mutex<Option<(usize, Arc<MerkleTree>)>>,
    /// Removed when dropped.
    _directory: StagedDir,
}

/// An account with its place in a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) account: Account,
    pub(crate) index: u32,
    pub(crate) hash: FieldBytes,
    /// Siblings, the lowest first.
    pub(crate) path: Vec<FieldBytes>,
}

/// The accounts that change in block number `block`.
pub(super) fn changed_accounts(
    seed: u64,
    block: usize,
    changes: u32,
    accounts: u32,
) -> BTreeSet<u32> {
    let mut random = Random::new(seed, PURPOSE, block as u64);
    let mut chosen = BTreeSet::new();
    while (chosen.len() as u64) < u64::from(changes.min(accounts)) {
        chosen.insert(random.below32(accounts));
    }
    chosen
}

impl Ledgers {
    /// Makes and prints the ledgers; `changing` are the accounts that any block changes.
    pub(super) fn build(
        spec: &FixtureSpec,
        changing: &BTreeSet<u32>,
        cache: &Path,
    ) -> Result<Self, StubError> {
        let accounts = Accounts::new(spec)?;
        let keys = VkHashCache::new();
        // Never committed: the directory beside the name is the cache, and goes with this value or
        // with the signal that ends the process.
        let directory = StagedDir::create(&cache.join("stub-daemon-ledgers"), false)?;
        let printer = Printer {
            accounts: &accounts,
            keys: &keys,
            directory: directory.path(),
        };
        let mut places = changing.clone();
        places.insert(WRONG_ACCOUNT);
        let (staged, tree) = printer.print(Role::Genesis, &places, None)?;
        let none = BTreeSet::new();
        let (next, _) = printer.print(Role::Next, &none, Some(&tree))?;
        let staking = if spec.share_epoch_ledgers {
            next.clone()
        } else {
            printer.print(Role::Staking, &none, Some(&tree))?.0
        };
        Ok(Self {
            era: spec.era,
            accounts,
            keys,
            tree,
            staged,
            staking,
            next,
            recent: Mutex::new(None),
            _directory: directory,
        })
    }

    /// Number of accounts of the staged ledgers.
    pub(super) fn len(&self) -> u32 {
        self.accounts.len(Role::Genesis)
    }

    fn account(&self, index: u32, gain: u64) -> Account {
        let account = self.accounts.account(Role::Genesis, index);
        let balance = account.balance.nanomina().saturating_add(gain);
        Account {
            balance: Amount::from_nanomina(balance),
            ..account
        }
    }

    /// The tree of the staged ledger with these gains. `beside` is a tree most of which is the same.
    pub(super) fn tree_with(
        &self,
        beside: &MerkleTree,
        changed: &BTreeSet<u32>,
        gains: &Gains,
    ) -> Result<MerkleTree, StubError> {
        let mut leaves = beside.level(0).map(<[_]>::to_vec).unwrap_or_default();
        for index in changed {
            let gain = gains.get(index).copied().unwrap_or_default();
            let hash = hash_account(self.era, &self.account(*index, gain), &self.keys)?;
            if let Some(leaf) = leaves.get_mut(*index as usize) {
                *leaf = hash;
            }
        }
        Ok(MerkleTree::new_beside(beside, leaves)?)
    }

    /// The tree of the staged ledger before the first block.
    pub(super) const fn first_tree(&self) -> &MerkleTree {
        &self.tree
    }

    /// The account of `key` and `token` in the staged ledger of block number `block`.
    pub(super) fn find(
        &self,
        block: usize,
        gains: &Gains,
        key: &PublicKey,
        token: TokenId,
    ) -> Result<Option<Leaf>, StubError> {
        let found = (0..self.len()).into_par_iter().find_first(|index| {
            let account = self.accounts.account(Role::Genesis, *index);
            account.public_key == *key && account.token_id == token
        });
        let Some(index) = found else {
            return Ok(None);
        };
        let tree = self.recent_tree(block, gains)?;
        let hash = tree.node(0, u64::from(index)).map(field_bytes);
        let path = tree.path(u64::from(index)).unwrap_or_default();
        let gain = gains.get(&index).copied().unwrap_or_default();
        Ok(Some(Leaf {
            account: self.account(index, gain),
            index,
            hash: hash.unwrap_or_default(),
            path: path.into_iter().map(field_bytes).collect(),
        }))
    }

    fn recent_tree(&self, block: usize, gains: &Gains) -> Result<Arc<MerkleTree>, StubError> {
        // A tree is valid whoever panicked while holding the lock.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, tree)) = recent.as_ref()
            && *known == block
        {
            return Ok(Arc::clone(tree));
        }
        let changed = gains.keys().copied().collect();
        let tree = Arc::new(self.tree_with(&self.tree, &changed, gains)?);
        *recent = Some((block, Arc::clone(&tree)));
        Ok(tree)
    }

    /// The account list of the staged ledger with these gains.
    pub(super) fn staged_list(&self, gains: &Gains) -> Body {
        let printed = &self.staged;
        let mut body = Body::default();
        let mut position = 0;
        for (index, gain) in gains {
            // Every account that changes has a place.
            let Some(place) = printed.places.get(index) else {
                continue;
            };
            body.push_file(&printed.file, position, place.start - position);
            let mut text = Vec::new();
            write_account_json(&self.account(*index, *gain), &mut text);
            body.push(text);
            position = place.end;
        }
        body.push_file(&printed.file, position, printed.bytes - position);
        body
    }
}

impl Printed {
    /// The account list as it is in the file.
    pub(super) fn list(&self) -> Body {
        let mut body = Body::default();
        body.push_file(&self.file, 0, self.bytes);
        body
    }
}

struct Printer<'p> {
    accounts: &'p Accounts,
    keys: &'p VkHashCache,
    directory: &'p Path,
}

impl Printer<'_> {
    fn print(
        &self,
        role: Role,
        places_wanted: &BTreeSet<u32>,
        beside: Option<&MerkleTree>,
    ) -> Result<(Printed, MerkleTree), StubError> {
        let era = self.accounts.spec().era;
        let path = self.directory.join(format!("{role}.json"));
        let mut file = AtomicFile::create(&path)?;
        let mut out = BufWriter::new(&mut file);
        let mut leaves = Vec::new();
        let mut places = BTreeMap::new();
        let mut total: u64 = 0;
        let mut bytes: u64 = 1;
        let mut written = out.write_all(b"[");
        let count = self.accounts.len(role);
        for start in (0..count).step_by(CHUNK_ACCOUNTS) {
            let end = count.min(start.saturating_add(CHUNK_ACCOUNTS as u32));
            let chunk: Vec<Account> = (start..end)
                .into_par_iter()
                .map(|index| self.accounts.account(role, index))
                .collect();
            leaves.extend(hash_accounts(era, &chunk, self.keys)?);
            let texts: Vec<Vec<u8>> = chunk
                .par_iter()
                .map(|account| {
                    let mut text = Vec::new();
                    write_account_json(account, &mut text);
                    text
                })
                .collect();
            for ((index, account), text) in (start..end).zip(&chunk).zip(texts) {
                if account.token_id == TokenId::DEFAULT {
                    total = total.saturating_add(account.balance.nanomina());
                }
                let separator: &[u8] = if index == 0 { b"\n" } else { b",\n" };
                let begin = bytes + separator.len() as u64;
                bytes = begin + text.len() as u64;
                if places_wanted.contains(&index) {
                    places.insert(index, begin..bytes);
                }
                written = written
                    .and_then(|()| out.write_all(separator))
                    .and_then(|()| out.write_all(&text));
            }
        }
        written = written
            .and_then(|()| out.write_all(b"\n]"))
            .and_then(|()| out.flush());
        bytes += 2;
        drop(out);
        written.map_err(|source| file.write_error(source))?;
        file.commit()?;
        // The first depth decides; all three ledgers have the era's.
        let tree = match beside {
            Some(other) => MerkleTree::new_beside(other, leaves)?,
            None => MerkleTree::new(era, era.depth(), leaves)?,
        };
        let printed = Printed {
            file: Arc::new(fork_fs::open(&path)?),
            bytes,
            places,
            root: ledger_hash(tree.root()),
            total_currency: Amount::from_nanomina(total),
        };
        Ok((printed, tree))
    }
}
