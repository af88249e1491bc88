//! Whole ledgers of real networks against published and derived roots (`migration.md` 12.6).
//!
//! The data is beside the project and never part of it: the directory named by `FORKPACK_SHARED`,
//! by default `../shared` beside the workspace. Without it a test prints a SKIPPED line and passes;
//! with `FORKPACK_REQUIRE_SHARED=1` it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// This crate does no I/O and so does not know `fork-fs`; a test may read files as they are.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fork_ledger::account::{Account, Timing, V1Account};
use fork_ledger::binprot::{decode_account, encode_account};
use fork_ledger::hash::{hash_accounts, hash_v1_accounts};
use fork_ledger::json::block::write_block_account;
use fork_ledger::json::ledger_object::{check_fork_shape, check_padding};
use fork_ledger::json::stream::{AccountSink, AccountsSeed, LedgerObjectSeed};
use fork_ledger::json::{
    AccountError, AccountJson, BlockAccountJson, DaemonRules, ForkRules, LedgerObjectError,
    LedgerObjectMeta, VerificationKeyCache, from_block_account, from_daemon_config,
    from_fork_config, read_account_array, v1_from_json, write_account_json,
};
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::{Audit, Rule};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Era, SlotSinceGenesis};
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The path of a shared file or folder, or `None` (and a loud line) when it is not there.
fn shared(relative: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = directory.join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none_or(|value| value != "1"),
        "{relative} is not present beside the project, but FORKPACK_REQUIRE_SHARED=1"
    );
    // Not a print macro: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {relative} not present");
    None
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn root(era: Era, accounts: &[Account]) -> String {
    let leaves = hash_accounts(era, accounts, &VkHashCache::new()).unwrap();
    let tree = MerkleTree::new(era, era.depth(), leaves).unwrap();
    ledger_hash(tree.root()).to_string()
}

fn mesa_rule(variant: &str, fork_slot: u32) -> Rule {
    let slot = SlotSinceGenesis::new(fork_slot);
    Rule::from_pair(Era::Berkeley, Era::Mesa, Some(variant), Some(slot)).unwrap()
}

fn migrated(rule: Rule, accounts: &[Account]) -> (Vec<Account>, Audit) {
    let mut audit = Audit::default();
    let migrated = accounts
        .iter()
        .map(|account| {
            let (after, changes) = rule.migrate(account).unwrap();
            audit.record(account, &after, &changes);
            after
        })
        .collect();
    audit.check_supply().unwrap();
    (migrated, audit)
}

/// Every codec gives the account back.
fn assert_codecs_round_trip(era: Era, account: &Account) {
    let keys = VerificationKeyCache::new();
    let mut bytes = Vec::new();
    encode_account(account, &mut bytes);
    assert_eq!(&decode_account(era, &bytes).unwrap(), account);
    let mut json = Vec::new();
    write_account_json(account, &mut json);
    let export: AccountJson<'_> = serde_json::from_slice(&json).unwrap();
    let again = from_fork_config(&export, &ForkRules::strict(era), &keys).unwrap();
    assert_eq!(&again, account);
    let mut block = Vec::new();
    write_block_account(account, &mut block);
    let block: BlockAccountJson<'_> = serde_json::from_slice(&block).unwrap();
    assert_eq!(&from_block_account(&block, era, &keys).unwrap(), account);
}

const V1_LIST: &str =
    "reference-data/mainnet-0-jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee.json";

#[test]
fn v1_mainnet_genesis_list() {
    let Some(path) = shared(V1_LIST) else { return };
    let bytes = read(&path);
    let mut v1: Vec<V1Account> = Vec::new();
    let count = read_account_array(&bytes[..], |index, json| {
        assert_eq!(usize::try_from(index).unwrap(), v1.len());
        v1.push(v1_from_json(&json)?);
        Ok::<(), AccountError>(())
    });
    assert_eq!(count.unwrap(), 1676);
    let timed = v1
        .iter()
        .filter(|account| account.timing != Timing::Untimed);
    assert_eq!(timed.count(), 1392);
    let tree = MerkleTree::new(Era::V1, 20, hash_v1_accounts(&v1)).unwrap();
    assert_eq!(
        ledger_hash(tree.root()).to_string(),
        "jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee"
    );

    let rule = Rule::from_pair(Era::V1, Era::Berkeley, None, None).unwrap();
    let mut audit = Audit::default();
    let mut berkeley = Vec::new();
    for account in &v1 {
        let (after, changes) = rule.migrate_v1(account).unwrap();
        audit.record_v1(account, &after, &changes);
        berkeley.push(after);
    }
    audit.check_supply().unwrap();
    assert_eq!(
        root(Era::Berkeley, &berkeley),
        "jxEEqz2SqzXGNwA6JaWASxQKydVcC97Fo3VKKRctwQdT5qzzJR7"
    );
    assert_eq!(berkeley, rewritten_for_berkeley(&bytes));
    mainnet_list_on_mesa(&berkeley);
}

/// The way upstream's scripts went: rewrite one member as text and read the list as Berkeley.
fn rewritten_for_berkeley(bytes: &[u8]) -> Vec<Account> {
    let text = std::str::from_utf8(bytes).unwrap().replace(
        r#""set_verification_key":"signature""#,
        r#""set_verification_key":{"auth":"signature","txn_version":"2"}"#,
    );
    let keys = VerificationKeyCache::new();
    let mut accounts = Vec::new();
    read_account_array(text.as_bytes(), |_, json| {
        accounts.push(from_fork_config(
            &json,
            &ForkRules::strict(Era::Berkeley),
            &keys,
        )?);
        Ok::<(), AccountError>(())
    })
    .unwrap();
    accounts
}

fn mainnet_list_on_mesa(berkeley: &[Account]) {
    for (fork_slot, still_vesting, past_cliff, becomes_timed, stays) in [
        (
            200_000,
            1240,
            755,
            "jxqVdp2KiurVZYrqSe22tdckvV1BWsjqhoQNHqJvruTskiNZS4W",
            "jx2RoKTt7iYpdcA5jumQeo1a9pchy473P22TVGKJ1PCDfoivB2T",
        ),
        (
            564_480,
            1025,
            664,
            "jxCtJuj1BJLtyXMkEeSKuAgvSq1P6ML9TiWsxUKBsTrjDZx7KvB",
            "jwb6ieDnsH9nHBFQC5xjYZMLmFXJisbtWgjsqhoWZtAP8o72kWy",
        ),
        (
            958_440,
            0,
            0,
            "jy2CwBEPAF3FbLF5UtuTJ8v8Qk5qtQFhDwPgPWLUwmJmEJeLiXR",
            "jxFgs7UxrfNf4rFuRs6m2v9ps846XFgV8hPAGMA7q8LPyDVnGs8",
        ),
    ] {
        for (variant, expected) in [
            ("untimed-becomes-timed", becomes_timed),
            ("untimed-stays", stays),
        ] {
            let (mesa, audit) = migrated(mesa_rule(variant, fork_slot), berkeley);
            assert_eq!(root(Era::Mesa, &mesa), expected, "{variant} at {fork_slot}");
            assert_eq!(audit.still_vesting, still_vesting);
            assert_eq!(audit.still_vesting_past_cliff, past_cliff);
            assert_eq!(audit.timed_changed, still_vesting);
        }
    }
}

/// Reads a gzip file with the system's tool, so that this crate needs no decompressor.
fn gunzip(path: &Path) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-dc")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert!(child.wait().unwrap().success());
    bytes
}

/// The three lists of a fork configuration, read with the seeds other crates use.
#[derive(Default)]
struct Lists {
    genesis: Vec<Account>,
    staking: Vec<Account>,
    next: Vec<Account>,
    ledger: LedgerObjectMeta,
}

fn push_to<'l>(
    list: &'l mut Vec<Account>,
    keys: &'l VerificationKeyCache,
) -> impl FnMut(u32, AccountJson<'_>) -> Result<(), AccountError> {
    |_, json| {
        list.push(from_fork_config(
            &json,
            &ForkRules::strict(Era::Berkeley),
            keys,
        )?);
        Ok(())
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Lists;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fork configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut config: A) -> Result<Lists, A::Error> {
        let keys = VerificationKeyCache::new();
        let mut lists = Lists::default();
        while let Some(name) = config.next_key::<String>()? {
            match name.as_str() {
                "ledger" => {
                    let mut sink = AccountSink::new(push_to(&mut lists.genesis, &keys));
                    lists.ledger = config.next_value_seed(LedgerObjectSeed::new(&mut sink))?;
                }
                "epoch_data" => config.next_value_seed(EpochData(&mut lists, &keys))?,
                _ => {
                    config.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(lists)
    }
}

struct EpochData<'l>(&'l mut Lists, &'l VerificationKeyCache);

impl<'de> DeserializeSeed<'de> for EpochData<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EpochData<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("epoch data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut data: A) -> Result<(), A::Error> {
        let Self(lists, keys) = self;
        while let Some(name) = data.next_key::<String>()? {
            let list = match name.as_str() {
                "accounts" => None,
                "staking" => Some(&mut lists.staking),
                _ => Some(&mut lists.next),
            };
            data.next_value_seed(EpochObject(list.unwrap(), keys))?;
        }
        Ok(())
    }
}

struct EpochObject<'l>(&'l mut Vec<Account>, &'l VerificationKeyCache);

impl<'de> DeserializeSeed<'de> for EpochObject<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EpochObject<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an epoch data object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            if name == "accounts" {
                let mut sink = AccountSink::new(push_to(self.0, self.1));
                object.next_value_seed(AccountsSeed::new(&mut sink))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[test]
fn devnet_fork_lists() {
    let Some(path) = shared("reference-data/devnet-hardfork-2024-04-full.json.gz") else {
        return;
    };
    let config = gunzip(&path);
    let mut json = serde_json::Deserializer::from_slice(&config);
    let lists = serde::Deserializer::deserialize_map(&mut json, ConfigVisitor).unwrap();

    assert_eq!(lists.ledger.accounts, Some(10_703));
    assert_eq!(
        check_fork_shape(&lists.ledger),
        Err(LedgerObjectError::Name {
            found: "devnet".to_owned()
        })
    );
    assert_eq!(check_padding(&lists.ledger, 10_703), Ok(()));

    for (list, accounts, berkeley, becomes_timed, stays) in [
        (
            &lists.genesis,
            10_703,
            "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf",
            "jxdQwCk1stH3A2dDxNQRQZ9oVRexzM1BSapBhq9RJJFM8rnKWyZ",
            "jxdzaLoXpvXoC87cgzsW5i2tYQmaGFSXwRk7SM5Z1chotGNyy98",
        ),
        (
            &lists.staking,
            10_665,
            "jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP",
            "jwURBRSJJcEthXveKgZnoL9T3N7XJLG1i2JzwgL6RjD9s74k8HJ",
            "jxv1yVPoRcfEXwABVp6M3bz6nVrHYyJQPgWjAG5CpDQPGYuNEkF",
        ),
        (
            &lists.next,
            10_681,
            "jxjmYHK1tnGy5S6CDaLDTRrDbw17DmtEd6Jnw3L86QSsLm15w5g",
            "jxiiy7vVs4cBtat9rSaygK9q9xjd5BdQATL4pAt8WVro8mjA1EE",
            "jxDaACKkWtmhdAPWzY7wpyvAUHFC3jrLDQpwqCFuJ8viL7yTmem",
        ),
    ] {
        assert_eq!(list.len(), accounts);
        assert_eq!(root(Era::Berkeley, list), berkeley);
        let identity = Rule::from_pair(Era::Berkeley, Era::Berkeley, None, None).unwrap();
        assert_eq!(&migrated(identity, list).0, list);
        for (variant, expected) in [
            ("untimed-becomes-timed", becomes_timed),
            ("untimed-stays", stays),
        ] {
            let (mesa, audit) = migrated(mesa_rule(variant, 859_560), list);
            assert_eq!(root(Era::Mesa, &mesa), expected, "{variant}");
            assert_eq!(audit.still_vesting, 0, "the caveat of migration.md 12.6");
        }
        for account in list.iter().step_by(50) {
            assert_codecs_round_trip(Era::Berkeley, account);
        }
    }
}

#[derive(Deserialize)]
struct SampleDatabase {
    genesis_ledger_hash: String,
    genesis_state_hash: String,
    genesis_accounts: Vec<Value>,
    blocks: Vec<SampleBlock>,
}

#[derive(Deserialize)]
struct SampleBlock {
    height: u32,
    state_hash: String,
    parent_state_hash: String,
    ledger_hash: String,
    /// Absent in the genesis block.
    accounts_accessed: Option<Vec<(usize, Value)>>,
}

fn account_of_export(json: &Value) -> Account {
    let text = json.to_string();
    let json: AccountJson<'_> = serde_json::from_str(&text).unwrap();
    let keys = VerificationKeyCache::new();
    from_fork_config(&json, &ForkRules::strict(Era::Berkeley), &keys).unwrap()
}

/// The ledger after a block is its parent's with the accessed accounts replaced.
#[test]
fn sample_database() {
    let Some(path) = shared("reference-data/sampledb-2024-11-06.json") else {
        return;
    };
    let sample: SampleDatabase = serde_json::from_slice(&read(&path)).unwrap();
    let genesis: Vec<_> = sample
        .genesis_accounts
        .iter()
        .map(account_of_export)
        .collect();
    assert_eq!(genesis.len(), 242);
    assert_eq!(root(Era::Berkeley, &genesis), sample.genesis_ledger_hash);

    let mut ledgers = HashMap::from([(sample.genesis_state_hash, genesis)]);
    let mut blocks = sample.blocks;
    blocks.sort_by_key(|block| block.height);
    assert_eq!(blocks.len(), 34);
    for block in blocks {
        let Some(accessed) = block.accounts_accessed else {
            assert_eq!(block.ledger_hash, sample.genesis_ledger_hash);
            continue;
        };
        let mut ledger = ledgers[&block.parent_state_hash].clone();
        for (index, json) in &accessed {
            let account = account_of_export(json);
            assert_codecs_round_trip(Era::Berkeley, &account);
            if *index == ledger.len() {
                ledger.push(account);
            } else {
                ledger[*index] = account;
            }
        }
        assert_eq!(
            root(Era::Berkeley, &ledger),
            block.ledger_hash,
            "block {}",
            block.height
        );
        ledgers.insert(block.state_hash, ledger);
    }
}

#[derive(Deserialize)]
struct BlockFile<'a> {
    #[serde(borrow)]
    data: BlockData<'a>,
}

#[derive(Deserialize)]
struct BlockData<'a> {
    #[serde(borrow)]
    accounts_accessed: Vec<(u64, BlockAccountJson<'a>)>,
}

/// Blocks hold raw bytes, so a block is compared as bytes and not as JSON values.
#[test]
fn accounts_of_blocks() {
    let mut accounts = 0;
    let mut with_zkapp = 0;
    let mut timed = 0;
    let mut files = 0;
    for folder in ["berkeley-mainnet", "berkeley-local-2024-11-06"] {
        let Some(folder) = shared(&format!("reference-data/blocks/{folder}")) else {
            return;
        };
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = read(&entry.unwrap().path());
            let block: BlockFile<'_> = serde_json::from_slice(&bytes).unwrap();
            let keys = VerificationKeyCache::new();
            files += 1;
            for (_, json) in &block.data.accounts_accessed {
                let account = from_block_account(json, Era::Berkeley, &keys).unwrap();
                accounts += 1;
                with_zkapp += u32::from(account.zkapp.is_some());
                timed += u32::from(account.timing != Timing::Untimed);
                assert_codecs_round_trip(Era::Berkeley, &account);
                let mut written = Vec::new();
                write_block_account(&account, &mut written);
                assert!(
                    contains(&bytes, &written),
                    "{}",
                    String::from_utf8_lossy(&written)
                );
            }
        }
    }
    assert_eq!((files, accounts, with_zkapp, timed), (39, 184 + 109, 6, 20));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    // The key makes every account distinct, so look only where one starts.
    const KEY_BYTES: usize = 72;
    let start = &part[..KEY_BYTES];
    bytes
        .windows(KEY_BYTES)
        .enumerate()
        .any(|(at, window)| window == start && bytes[at..].starts_with(part))
}

#[test]
fn vectors_through_the_daemons_conversion() {
    for era in [Era::Berkeley, Era::Mesa] {
        let Some(path) = shared(&format!("vectors/{era}_accounts.json")) else {
            return;
        };
        let vectors: Value = serde_json::from_slice(&read(&path)).unwrap();
        let cases = vectors["accounts"].as_array().unwrap();
        assert!(cases.len() > 50);
        let accounts: Vec<_> = cases
            .iter()
            .map(|case| account_of_vector(era, &case["account"]))
            .collect();
        let leaves = hash_accounts(era, &accounts, &VkHashCache::new()).unwrap();
        for ((case, account), leaf) in cases.iter().zip(&accounts).zip(leaves) {
            assert_eq!(
                ledger_hash(leaf).to_string(),
                case["hash_base58"],
                "{}",
                case["name"]
            );
            assert_codecs_round_trip(era, account);
        }
        for size in [0, 1, 2, 3, 8] {
            let path = shared(&format!("vectors/{era}_ledger_{size}.json")).unwrap();
            let ledger: Value = serde_json::from_slice(&read(&path)).unwrap();
            let json = ledger["accounts"].as_array().unwrap();
            let accounts: Vec<_> = json
                .iter()
                .map(|json| account_of_vector(era, json))
                .collect();
            assert_eq!(accounts.len(), size);
            assert_eq!(root(era, &accounts), ledger["ledger_hash"]);
        }
    }
}

fn account_of_vector(era: Era, json: &Value) -> Account {
    let text = json.to_string();
    let json: AccountJson<'_> = serde_json::from_str(&text).unwrap();
    let keys = VerificationKeyCache::new();
    from_daemon_config(&json, &DaemonRules::released(era), &keys).unwrap()
}
