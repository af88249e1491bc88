//! Ledgers, questions and what an answer must be.

use std::collections::HashSet;

use fork_ledger::account::{Account, Timing, TokenSymbol, Vesting};
use fork_ledger::batch::AccountBatch;
use fork_ledger::diagnose::{
    AccountsInMemory, Diagnosis, Question, Reading, ReadingLoader, diagnose,
};
use fork_ledger::hash::hash_accounts;
use fork_ledger::json::MissingDelegate;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{
    Era, FieldBytes, LedgerHash, PublicKey, ReceiptChainHash, SlotSinceGenesis, StateHash, TokenId,
};
use pasta_poseidon::Fp;

use crate::support::{self, plain_account, timed_q, zkapp_z};

pub const SLOT: SlotSinceGenesis = SlotSinceGenesis::new(12_001);
pub const BLOCK_SLOT: SlotSinceGenesis = SlotSinceGenesis::new(11_990);

pub const FORK: ReadingLoader = ReadingLoader::Fork {
    ignore_missing: false,
    pad_app_state: false,
};
pub const DAEMON: ReadingLoader = ReadingLoader::Daemon {
    missing_delegate: MissingDelegate::Itself,
};

pub fn key(number: u64) -> PublicKey {
    PublicKey::new(FieldBytes::from_u64(number * 7919 % 1009), number % 2 == 1)
}

/// Accounts that differ in everything a mistake can touch.
pub fn accounts(era: Era, count: u64) -> Vec<Account> {
    (1..=count)
        .map(|number| {
            let mut account = match number % 8 {
                3 => timed_q(era),
                5 => zkapp_z(era),
                _ => plain_account(era, support::Q, number * 1_000_000_007),
            };
            account.public_key = key(number);
            account.delegate = match number % 5 {
                0 => None,
                1 => Some(key(number + 1)),
                _ => Some(account.public_key),
            };
            account.permissions.set_verification_key_txn_version = 2 + (number % 2) as u32;
            account.nonce = number as u32;
            match number % 8 {
                1 => account.timing = Timing::Timed(Vesting::UNTIMED),
                2 => account.token_symbol = TokenSymbol::new(b"T").unwrap(),
                4 => account.voting_for = StateHash::new(FieldBytes::from_u64(number)),
                6 => account.receipt_chain_hash = ReceiptChainHash::new(FieldBytes::from_u64(9)),
                7 => {
                    account.token_id = TokenId::new(FieldBytes::from_u64(number + 1));
                    account.delegate = None;
                    account.permissions.send = fork_ledger::account::Auth::Proof;
                }
                _ => {}
            }
            account
        })
        .collect()
}

pub fn leaves(era: Era, accounts: &[Account]) -> Vec<Fp> {
    hash_accounts(era, accounts, &VkHashCache::new()).unwrap()
}

pub fn root_of_leaves(era: Era, depth: u8, leaves: Vec<Fp>) -> LedgerHash {
    ledger_hash(MerkleTree::new(era, depth, leaves).unwrap().root())
}

pub fn root(era: Era, accounts: &[Account]) -> LedgerHash {
    root_of_leaves(era, era.depth(), leaves(era, accounts))
}

pub fn question(era: Era, expected: LedgerHash) -> Question {
    let reading = Reading { era, loader: FORK };
    Question {
        fork_slots: vec![SLOT, BLOCK_SLOT],
        ..Question::new(expected, reading)
    }
}

pub fn ask(question: &Question, accounts: &[Account]) -> Diagnosis {
    let mut source = in_memory(question.reading.era, accounts);
    diagnose(question, &mut source, None, &mut |_| ()).unwrap()
}

pub fn in_memory(era: Era, accounts: &[Account]) -> AccountsInMemory {
    AccountsInMemory {
        era,
        accounts: AccountBatch::Later(accounts.to_vec()),
    }
}

pub fn first(diagnosis: &Diagnosis) -> Option<&str> {
    diagnosis
        .explanations()
        .next()
        .map(|found| found.id.as_str())
}

#[track_caller]
pub fn found(id: &str, diagnosis: &Diagnosis) {
    let ids: Vec<&str> = diagnosis.explanations().map(|h| h.id.as_str()).collect();
    assert_eq!(first(diagnosis), Some(id), "{ids:?}");
    assert!(diagnosis.is_explained() && !diagnosis.is_expected());
    let ids: HashSet<&str> = diagnosis.hypotheses.iter().map(|h| h.id.as_str()).collect();
    assert_eq!(ids.len(), diagnosis.hypotheses.len(), "an id came twice");
}

/// `change` made of every account of a list of `era`, the ledger being one of `target`.
#[track_caller]
pub fn planted(id: &str, era: Era, target: Era, list: &[Account], change: impl Fn(&mut Account)) {
    let mut changed = list.to_vec();
    changed.iter_mut().for_each(change);
    let question = question(era, root(target, &changed));
    found(id, &ask(&question, list));
}

pub fn narrow(account: &mut Account) {
    if let Some(zkapp) = &mut account.zkapp {
        zkapp.app_state.truncate(8);
    }
}

pub fn widen(account: &mut Account) {
    if let Some(zkapp) = &mut account.zkapp {
        zkapp.app_state.resize(32, FieldBytes::ZERO);
    }
}
