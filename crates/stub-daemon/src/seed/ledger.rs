//! A ledger of a seed node: an open store.

use std::io::Write;
use std::path::{Path, PathBuf};

use fork_ledger::account::Account;
use fork_ledger::binprot::decode_account;
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::EmptyHashes;
use fork_ledger::packing::field_bytes;
use fork_store::{Entry, Key, KeyLayout, StoreReader, compare, key, tarball_name};
use fork_types::{Amount, Era, FieldBytes, LedgerHash, PublicKey, Role, TokenId};

use super::error::SeedError;
use super::fault::SeedFault;
use crate::world::Leaf;

/// A ledger that was found on the disk.
#[derive(Debug)]
pub(crate) struct SeedLedger {
    role: Role,
    era: Era,
    root: LedgerHash,
    path: PathBuf,
    layout: KeyLayout,
    empty: EmptyHashes,
    store: StoreReader,
}

impl SeedLedger {
    /// Finds and opens the tarball whose name follows from `root`. A daemon looks at no more of it
    /// than the root node.
    pub(super) fn open(
        directory: &Path,
        scratch: &Path,
        era: Era,
        role: Role,
        root: LedgerHash,
    ) -> Result<Self, SeedError> {
        let name = tarball_name(role.tarball_prefix(), &root, era);
        let path = directory.join(&name);
        if !fork_fs::exists(&path) {
            return Err(SeedError::Missing {
                role,
                root,
                name,
                directory: directory.to_owned(),
            });
        }
        // The two epoch ledgers may be the same file.
        let store = StoreReader::open_tarball(&path, &scratch.join(role.name()))?;
        let depth = era.depth();
        let found = compare::stored_root(&store, depth)?;
        if found != Some(root) {
            return Err(SeedError::Root {
                role,
                path,
                expected: root,
                found: found.map_or_else(|| "none".to_owned(), |root| root.to_string()),
            });
        }
        let layout = KeyLayout::new(depth).map_err(|error| SeedError::Entry {
            role,
            found: error.to_string(),
        })?;
        Ok(Self {
            role,
            era,
            root,
            path,
            layout,
            empty: EmptyHashes::new(era, u16::from(depth)),
            store,
        })
    }

    pub(crate) const fn root(&self) -> LedgerHash {
        self.root
    }

    /// The tarball.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The account of `public_key` and `token_id` with its place, through the store's own records.
    pub(crate) fn find(
        &self,
        public_key: PublicKey,
        token_id: TokenId,
        faults: &[SeedFault],
    ) -> Result<Option<Leaf>, SeedError> {
        let key = Key::Location {
            public_key,
            token_id,
        };
        let Some(location) = self.store.get(&self.layout.bytes(&key))? else {
            return Ok(None);
        };
        let index = self
            .layout
            .parse_location(&location)
            .map_err(|error| self.entry(error.to_string()))?;
        if faults.contains(&SeedFault::Absent(index)) {
            return Ok(None);
        }
        let key = self.layout.bytes(&Key::Account { index });
        let Some(bytes) = self.store.get(&key)? else {
            return Ok(None);
        };
        let account = self.account(index, &bytes, faults)?;
        let mut path = Vec::with_capacity(usize::from(self.layout.depth()));
        for height in 0..self.layout.depth() {
            path.push(self.node(height, (index >> height) ^ 1)?);
        }
        if faults.contains(&SeedFault::Path(index))
            && let Some(lowest) = path.first_mut()
        {
            *lowest = FieldBytes::ONE;
        }
        Ok(Some(Leaf {
            account,
            index: u32::try_from(index).map_err(|error| self.entry(error.to_string()))?,
            hash: self.node(0, index)?,
            path,
        }))
    }

    /// Prints all accounts; gives their number.
    pub(super) fn export(
        &self,
        target: &mut impl Write,
        faults: &[SeedFault],
    ) -> Result<u64, SeedError> {
        let mut entries = self.store.entries_from(&[key::ACCOUNT_TAG]);
        let mut count = 0;
        let mut text = Vec::new();
        target.write_all(b"[").map_err(SeedError::Write)?;
        while let Some((key, value)) = entries.advance()? {
            let Ok(Key::Account { index }) = self.layout.parse(key) else {
                break;
            };
            if faults.contains(&SeedFault::Absent(index)) {
                continue;
            }
            let account = self.account(index, value, faults)?;
            text.clear();
            text.extend_from_slice(if count == 0 { b"\n" } else { b",\n" });
            write_account_json(&account, &mut text);
            target.write_all(&text).map_err(SeedError::Write)?;
            count += 1;
        }
        target.write_all(b"\n]\n").map_err(SeedError::Write)?;
        Ok(count)
    }

    fn account(
        &self,
        index: u64,
        bytes: &[u8],
        faults: &[SeedFault],
    ) -> Result<Account, SeedError> {
        let mut account = decode_account(self.era, bytes).map_err(|source| SeedError::Account {
            role: self.role,
            source,
        })?;
        if faults.contains(&SeedFault::Balance(index)) {
            let nanomina = account.balance.nanomina();
            account.balance = Amount::from_nanomina(nanomina.saturating_add(1));
        }
        Ok(account)
    }

    /// A hash node, the empty one of its height where none is stored.
    fn node(&self, height: u8, index: u64) -> Result<FieldBytes, SeedError> {
        let key = self.layout.bytes(&Key::Hash { height, index });
        let Some(value) = self.store.get(&key)? else {
            let empty = self.empty.get(u16::from(height));
            return Ok(empty.map_or(FieldBytes::ZERO, field_bytes));
        };
        match Entry::decode(self.layout, &key, &value) {
            Ok(Entry::Hash { hash, .. }) => Ok(hash),
            Ok(_) => Err(self.entry("a hash node that is none")),
            Err(error) => Err(self.entry(error.to_string())),
        }
    }

    fn entry(&self, found: impl Into<String>) -> SeedError {
        SeedError::Entry {
            role: self.role,
            found: found.into(),
        }
    }
}
