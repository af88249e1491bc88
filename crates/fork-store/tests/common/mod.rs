//! Accounts and stores for the tests of this crate.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_ledger::account::{
    ACTION_STATE_LEN, Account, Auth, Permissions, Timing, TokenSymbol, Vesting, Zkapp,
};
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::MerkleTree;
use fork_ledger::verification_key::VkHashCache;
use fork_store::log::{LOG_NAME, LogDirectory};
use fork_store::{LedgerStoreWriter, StoreReader, StoreSummary};
use fork_types::{
    Amount, Era, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan, StateHash,
    TokenId,
};

/// Where the shared specifications and reference data are, or `None` after saying loudly that a
/// test is skipped.
pub fn shared(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if root.is_dir() {
        return Some(root);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none_or(|value| value != "1"),
        "{test}: FORKPACK_REQUIRE_SHARED is set and the shared data is not there"
    );
    eprintln!("SKIPPED {test}: no shared data; set FORKPACK_SHARED");
    None
}

/// The genesis winner with 1,000 nanomina, delegating to itself.
pub fn winner(era: Era) -> Account {
    let public_key: PublicKey = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg"
        .parse()
        .unwrap();
    Account {
        public_key,
        balance: Amount::from_nanomina(1000),
        delegate: Some(public_key),
        ..Account::empty(era)
    }
}

/// SplitMix64: enough randomness for test data, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.next().is_multiple_of(one_in)
    }

    pub fn field(&mut self) -> FieldBytes {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes[31] &= 0x3f;
        FieldBytes::from_le_bytes(bytes).unwrap()
    }

    fn public_key(&mut self) -> PublicKey {
        PublicKey::new(self.field(), self.chance(2))
    }

    fn vesting(&mut self) -> Vesting {
        Vesting {
            initial_minimum_balance: Amount::from_nanomina(self.next()),
            cliff_time: SlotSinceGenesis::new(self.next() as u32),
            cliff_amount: Amount::from_nanomina(self.next() >> 20),
            vesting_period: SlotSpan::new(self.next() as u32 % 1000),
            vesting_increment: Amount::from_nanomina(self.next() >> 40),
        }
    }

    fn zkapp(&mut self, era: Era) -> Zkapp {
        Zkapp {
            app_state: (0..era.app_state_len()).map(|_| self.field()).collect(),
            verification_key: None,
            zkapp_version: self.next() as u32,
            action_state: [(); ACTION_STATE_LEN].map(|()| self.field()),
            last_action_slot: SlotSinceGenesis::new(self.next() as u32),
            proved_state: self.chance(2),
            zkapp_uri: b"https://example.org/zkapp"[..(self.next() % 26) as usize].to_vec(),
        }
    }

    /// An account; one in eight belongs to `owner` and so has another token.
    pub fn account(&mut self, era: Era, owner: PublicKey) -> Account {
        let (public_key, token_id) = if self.chance(8) {
            (owner, TokenId::new(self.field()))
        } else {
            (self.public_key(), TokenId::DEFAULT)
        };
        let mut permissions = Permissions::user_default(2 + self.next() as u32 % 2);
        permissions.send = Auth::ALL[(self.next() % 5) as usize];
        let timed = self.chance(6);
        let zkapp = self.chance(10);
        Account {
            public_key,
            token_id,
            token_symbol: TokenSymbol::new(&b"SYMBOL"[..(self.next() % 7) as usize]).unwrap(),
            balance: Amount::from_nanomina(self.next() >> (self.next() % 64)),
            nonce: (self.next() >> (self.next() % 64)) as u32,
            receipt_chain_hash: ReceiptChainHash::EMPTY,
            delegate: self.chance(2).then(|| self.public_key()),
            voting_for: StateHash::DUMMY,
            timing: if timed {
                Timing::Timed(self.vesting())
            } else {
                Timing::Untimed
            },
            permissions,
            zkapp: zkapp.then(|| Box::new(self.zkapp(era))),
        }
    }
}

/// `count` accounts, different for every seed.
pub fn accounts(era: Era, count: usize, seed: u64) -> Vec<Account> {
    let mut random = Random(seed);
    let owner = random.public_key();
    (0..count).map(|_| random.account(era, owner)).collect()
}

pub fn tree(era: Era, depth: u8, accounts: &[Account]) -> MerkleTree {
    let leaves = hash_accounts(era, accounts, &VkHashCache::new()).unwrap();
    MerkleTree::new(era, depth, leaves).unwrap()
}

/// Writes a store the way the migration does.
pub fn write(directory: &Path, era: Era, depth: u8, accounts: &[Account]) -> StoreSummary {
    let mut writer = LedgerStoreWriter::create(directory, depth).unwrap();
    for account in accounts {
        writer.push_account(account).unwrap();
    }
    writer.finish(&tree(era, depth, accounts)).unwrap()
}

pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn entries(store: &StoreReader) -> Entries {
    let mut found = Entries::new();
    let mut cursor = store.entries();
    while let Some((key, value)) = cursor.advance().unwrap() {
        assert!(found.insert(key.to_vec(), value.to_vec()).is_none());
    }
    found
}

/// Writes any entries as a store.
pub fn write_entries(directory: &Path, entries: &Entries) {
    let mut log = LogDirectory::create(directory).unwrap();
    for (key, value) in entries {
        log.put(key, value).unwrap();
    }
    log.finish().unwrap();
}

pub fn log_bytes(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join(LOG_NAME)).unwrap()
}

/// Copies the files of a flat directory.
pub fn copy(source: &Path, target: &Path) {
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
}

/// Names and contents of a flat directory.
pub fn snapshot(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}
