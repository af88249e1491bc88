//! The two forms.

use std::path::Path;

use fork_bench::run::Failure;
use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::MerkleTree;
use fork_ledger::verification_key::VkHashCache;
use fork_store::log::LogDirectory;
use fork_store::sst::write_sst_store;
use fork_store::{LedgerStoreWriter, StoreReader};
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::{Era, Role};
use rayon::prelude::*;

/// Era of the stores.
const ERA: Era = Era::Mesa;

/// Accounts handed to the writer at a time.
const BATCH_ACCOUNTS: usize = 8192;

/// What reads which form: tried once on copies, with these versions, not in every run.
pub(crate) const READERS: &str = "Readability, tried once with these versions of RocksDB and not in \
    this run: the log form is read by 5.17.2, 7.8.3, 9.8.4 and 11.8.1. A directory with SST files of \
    table format 2 that 11.8.1 wrote is read by 7.8.3 (without its `OPTIONS` file), 9.8.4 and 11.8.1; \
    5.17.2 refuses its `MANIFEST`, and no option avoids that. With the defaults of 11.8.1 (table \
    format 7) nothing older than 10.4 reads it. The bytes of a log depend on the accounts alone; SST \
    files hold times, random ids and the host's name.\n";

/// A form of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Log,
    Sst,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Log, Self::Sst];

    /// Name of its directory.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Sst => "sst",
        }
    }

    /// What the table calls it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Log => "log only",
            Self::Sst => "sorted SST files",
        }
    }

    /// Writes `ledger` into the directory `store`.
    pub(crate) fn write(self, ledger: &Ledger, store: &Path) -> Result<(), Failure> {
        match self {
            Self::Log => ledger.write_log(store),
            Self::Sst => ledger.write_sst(store),
        }
    }
}

/// The entries of a made-up ledger's store, in key order.
pub(crate) struct Ledger {
    accounts: u32,
    /// Keys and values, end to end.
    bytes: Vec<u8>,
    /// Lengths of key and value.
    lengths: Vec<(u32, u32)>,
}

impl Ledger {
    /// Makes the ledger, with a store of it in `scratch`, which is removed again.
    pub(crate) fn new(accounts: u32, scratch: &Path) -> Result<Self, Failure> {
        let made = Accounts::new(&FixtureSpec {
            accounts,
            era: ERA,
            mix: Mix::Plain,
            ..FixtureSpec::default()
        })?;
        let list: Vec<Account> = (0..accounts)
            .into_par_iter()
            .map(|index| made.account(Role::Genesis, index))
            .collect();
        let leaves = hash_accounts(ERA, &list, &VkHashCache::new())?;
        let tree = MerkleTree::new(ERA, ERA.depth(), leaves)?;
        let mut writer = LedgerStoreWriter::create_scratch(scratch, ERA.depth())?;
        for batch in list.chunks(BATCH_ACCOUNTS) {
            writer.push_accounts(ERA, batch, None)?;
        }
        writer.finish(&tree)?;
        let mut ledger = Self {
            accounts,
            bytes: Vec::new(),
            lengths: Vec::new(),
        };
        let reader = StoreReader::open(scratch)?;
        let mut entries = reader.entries();
        while let Some((key, value)) = entries.advance()? {
            ledger.bytes.extend_from_slice(key);
            ledger.bytes.extend_from_slice(value);
            let lengths = (u32::try_from(key.len())?, u32::try_from(value.len())?);
            ledger.lengths.push(lengths);
        }
        fork_fs::remove_dir_all(scratch)?;
        Ok(ledger)
    }

    pub(crate) const fn accounts(&self) -> u32 {
        self.accounts
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |(key, value)| {
            let (entry, after) = rest.split_at((key + value) as usize);
            rest = after;
            entry.split_at(*key as usize)
        })
    }

    fn write_log(&self, store: &Path) -> Result<(), Failure> {
        let mut log = LogDirectory::create_scratch(store)?;
        for (key, value) in self.entries() {
            log.put(key, value)?;
        }
        log.finish()?;
        Ok(())
    }

    fn write_sst(&self, store: &Path) -> Result<(), Failure> {
        write_sst_store(self.entries(), store)?;
        Ok(())
    }
}
