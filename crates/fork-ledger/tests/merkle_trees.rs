//! Merkle trees against published and derived vectors, and against their definition.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;

use fork_ledger::account::Account;
use fork_ledger::hash::{empty_account_hash, hash_account, hash_accounts, hash_v1_accounts};
use fork_ledger::json::{
    AccountError, AccountJson, ForkRules, VerificationKeyCache, from_fork_config,
    read_account_slice, v1_from_json,
};
use fork_ledger::merkle::{
    EmptyHashes, MerkleError, MerkleTree, RootBuilder, ledger_hash, node_hash, root_of_path,
    verify_path,
};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Era, FieldBytes, TokenId};
use pasta_poseidon::Fp;
use proptest::prelude::*;
use serde_json::Value;
use support::tables::{EMPTY_SUBTREES, ONE_ACCOUNT_NODES, TOKEN_LEAVES, TOKEN_PATHS};
use support::{account_of, decimal_of, from_base58, from_hex, vectors, winner};

/// The columns of the tables.
const ERAS: [Era; 2] = [Era::Berkeley, Era::Mesa];

fn streamed_root(era: Era, depth: u8, leaves: &[Fp]) -> Fp {
    let mut builder = RootBuilder::new(era, depth);
    for leaf in leaves {
        builder.push(*leaf).unwrap();
    }
    builder.finish()
}

#[test]
fn empty_subtrees() {
    for (column, era) in ERAS.into_iter().enumerate() {
        let hashes = EmptyHashes::new(era, 35);
        for (height, row) in (0..).zip(EMPTY_SUBTREES) {
            assert_eq!(
                hashes.get(height),
                Some(from_hex(row[column])),
                "{era} height {height}"
            );
        }
        assert_eq!(hashes.get(36), None);
        assert_eq!(hashes.root(), from_hex(EMPTY_SUBTREES[35][column]));
    }
    let root = |era| ledger_hash(EmptyHashes::new(era, 35).root()).to_string();
    assert_eq!(
        root(Era::Berkeley),
        "jxHzqPEKtkAB9yo1YXcyoSJMisy7x5g9fzuJa1c95VoEqKhyNhJ"
    );
    assert_eq!(
        root(Era::Mesa),
        "jwkaDMeSMeL94hwJg6EYtSRD6gxB1BHpXnGKnZ1VW6jthKzgcef"
    );
    // The root that was published by mistake: an empty Mesa ledger opened at depth 10.
    assert_eq!(
        EmptyHashes::new(Era::Mesa, 10).root(),
        from_base58("jxvN5DVDHPQow7qV8qMYu5JViwcLwYaM885xoov9DdSeC6oGMfc")
    );
}

/// Source: o1-labs/mina-rust `ledger/src/database/database.rs`; heights 1 and 20 are derived.
#[test]
fn empty_v1_subtrees() {
    let hashes = EmptyHashes::new(Era::V1, 2000);
    for (height, expected) in [
        (
            0,
            "70ccdba14f829608e59a37ed98ffcaeef06dad928d568a9adbde13e3dd104a20",
        ),
        (
            1,
            "bbb44a7b88b5f409c50c2722394c0266bb9cec4aff95f82f7da21d1877c7d312",
        ),
        (
            5,
            "4590712e4bd873ba93d01b665940e0edc48db1a7c90859948b7799f45a443b15",
        ),
        (
            10,
            "ba083b16b757794c81233d4ebf1ab000ba4a174a8174c1e8ee8bf0846ec2e10d",
        ),
        (
            11,
            "5d65e7d5f4c5441ac614769b913400aa3201f3bf9c0f33441dbf0a33a1239822",
        ),
        (
            20,
            "69d6b0e557d666d74e15a3f4c479122f40eff82619bad88ceb4e82c1bb2a5c30",
        ),
        (
            100,
            "0e4ecb6104658cf8c06fca64f7f1cb3b0f1a830ab50c8c7ed9de544b8e6b2530",
        ),
        (
            2000,
            "b05105f8281f75efaf3c6b324563685c8be3a01b1c7d3f314ae733d869d95209",
        ),
    ] {
        assert_eq!(
            hashes.get(height),
            Some(from_hex(expected)),
            "height {height}"
        );
    }
    assert_eq!(
        hashes.get(20),
        Some(from_base58(
            "jwuDVNsqhqzkGeiQ5SB12m6TmdEKXGFxAaaW3gNrsNc3x8ZWhcD"
        ))
    );
}

#[test]
fn one_account_ledgers_node_by_node() {
    for (column, era) in ERAS.into_iter().enumerate() {
        let leaf = hash_account(era, &winner(era), &VkHashCache::new()).unwrap();
        let tree = MerkleTree::new(era, 35, vec![leaf]).unwrap();
        for (height, row) in (0..).zip(ONE_ACCOUNT_NODES) {
            let expected = from_hex(row[column]);
            assert_eq!(
                tree.node(height, 0),
                Some(expected),
                "{era} height {height}"
            );
            assert_eq!(tree.level(height), Some([expected].as_slice()));
            if height < 35 {
                assert_eq!(
                    tree.node(height, 1),
                    Some(from_hex(EMPTY_SUBTREES[usize::from(height)][column])),
                    "{era} height {height}, to the right"
                );
            }
        }
        assert_eq!(tree.root(), from_hex(ONE_ACCOUNT_NODES[35][column]));
        assert_eq!(streamed_root(era, 35, &[leaf]), tree.root());
    }
}

#[test]
fn published_merkle_paths() {
    let accounts: Vec<Account> = (0..8)
        .map(|token| Account {
            token_id: TokenId::new(FieldBytes::from_u64(token)),
            ..Account::empty(Era::Berkeley)
        })
        .collect();
    let leaves = hash_accounts(Era::Berkeley, &accounts, &VkHashCache::new()).unwrap();
    assert_eq!(leaves, TOKEN_LEAVES.map(from_hex));
    let tree = MerkleTree::new(Era::Berkeley, 4, leaves.clone()).unwrap();
    assert_eq!(
        tree.root(),
        from_base58("jwxZP8yM5k8gB8Nrb5tD2DY9jPaXJyJNeZgNghPzTdEgqvD41hA")
    );
    assert_eq!(
        tree.root(),
        from_hex("716de453db31a0723ea05b2cf6285225c6f029ef39fc5d328a43e2e08856b705")
    );
    for index in 0..16 {
        let expected = TOKEN_PATHS[(index as usize).min(8)].map(from_hex);
        // The table gives absent leaves a path whose lowest sibling is an absent leaf too.
        assert_eq!(tree.path(index).unwrap(), expected, "leaf {index}");
        let leaf = tree.node(0, index).unwrap();
        assert!(verify_path(
            Era::Berkeley,
            leaf,
            index,
            &expected,
            tree.root()
        ));
    }
    assert_eq!(tree.path(16), None);
}

/// A published subtree of height 14 extended with empty ones. The published extension was made with
/// another empty account; this is what the final one gives.
#[test]
fn a_contents_hash_extends_to_the_full_depth() {
    let empty = EmptyHashes::new(Era::Berkeley, 35);
    let contents = from_base58("jwav4pBszibQqek634VUQEc5WZAbF3CnT7sMyhqXe3vucyXdjJs");
    let root = (14..35).fold(contents, |node, height| {
        node_hash(Era::Berkeley, height, node, empty.get(height).unwrap())
    });
    assert_eq!(
        root,
        from_base58("jxhPaMCuPGE2hyKxfnid2o5SqDiofw9ktW9t2PW3B1LXSXLEFkf")
    );
}

fn check_ledger_vectors(era: Era) {
    for accounts in [0, 1, 2, 3, 8] {
        let Some(file) = vectors(&format!("{era}_ledger_{accounts}")) else {
            return;
        };
        assert_eq!(file["network"], era.name());
        assert_eq!(file["num_accounts"], accounts);
        let depth = u8::try_from(file["depth"].as_u64().unwrap()).unwrap();
        let list: Vec<Account> = file["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|json| account_of(era, json))
            .collect();
        assert_eq!(list.len(), accounts);

        let leaves = hash_accounts(era, &list, &VkHashCache::new()).unwrap();
        let expected: Vec<Fp> = file["leaf_hashes"]
            .as_array()
            .unwrap()
            .iter()
            .map(decimal_of)
            .collect();
        assert_eq!(leaves, expected, "leaves of {era} {accounts}");

        let tree = MerkleTree::new(era, depth, leaves.clone()).unwrap();
        assert_eq!(tree.len(), accounts);
        assert_eq!(tree.root(), decimal_of(&file["root"]), "{era} {accounts}");
        assert_eq!(tree.root(), from_hex(file["root_le_hex"].as_str().unwrap()));
        assert_eq!(
            ledger_hash(tree.root()).to_string(),
            file["ledger_hash"].as_str().unwrap()
        );
        assert_eq!(streamed_root(era, depth, &leaves), tree.root());

        let no_paths = Vec::new();
        let paths = file["merkle_paths"].as_array().unwrap_or(&no_paths);
        assert_eq!(paths.len(), accounts);
        for (index, path) in (0..).zip(paths) {
            let siblings = tree.path(index).unwrap();
            assert_eq!(siblings.len(), path.as_array().unwrap().len());
            for (height, sibling) in siblings.iter().enumerate() {
                // The side named is the sibling's.
                let side = if index >> height & 1 == 0 {
                    "right"
                } else {
                    "left"
                };
                assert_eq!(*sibling, decimal_of(&path[height][side]), "leaf {index}");
            }
        }
    }
}

#[test]
fn shared_berkeley_ledgers() {
    check_ledger_vectors(Era::Berkeley);
}

#[test]
fn shared_mesa_ledgers() {
    check_ledger_vectors(Era::Mesa);
}

#[test]
fn shared_primitives() {
    let Some(vectors) = vectors("primitives") else {
        return;
    };
    for era in ERAS {
        let hashes = EmptyHashes::new(era, 35);
        let expected = vectors[format!("empty_subtree_{era}")].as_array().unwrap();
        assert_eq!(expected.len(), 36);
        for (height, expected) in (0..).zip(expected) {
            assert_eq!(hashes.get(height), Some(decimal_of(expected)));
        }
        let merges = vectors["merge_1_2_by_height"].as_array().unwrap();
        assert_eq!(merges.len(), 35);
        for (height, expected) in (0..).zip(merges) {
            assert_eq!(
                node_hash(era, height, Fp::ONE, Fp::from_u64(2)),
                decimal_of(expected)
            );
        }
    }
}

/// The v1 mainnet genesis ledger: 1,676 real accounts, most of them timed, and their published root.
#[test]
fn shared_v1_mainnet_ledger() {
    const ROOT: &str = "jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee";
    let file = format!("reference-data/mainnet-0-{ROOT}.json");
    let Some(text) = support::shared_files::read_shared(&file) else {
        return;
    };
    let mut accounts = Vec::new();
    read_account_slice(text.as_bytes(), |_, json| -> Result<(), AccountError> {
        accounts.push(v1_from_json(&json)?);
        Ok(())
    })
    .unwrap();
    assert_eq!(accounts.len(), 1676);
    let leaves = hash_v1_accounts(&accounts);
    assert_eq!(streamed_root(Era::V1, 20, &leaves), from_base58(ROOT));
    let tree = MerkleTree::new(Era::V1, 20, leaves).unwrap();
    assert_eq!(ledger_hash(tree.root()).to_string(), ROOT);
}

/// A local Berkeley network, block by block: a block's ledger is its parent's with the accounts that
/// the block touched replaced or added, and its root is in the block.
#[test]
fn shared_local_network() {
    let Some(text) = support::shared_files::read_shared("reference-data/sampledb-2024-11-06.json")
    else {
        return;
    };
    let network: Value = serde_json::from_str(&text).unwrap();
    let keys = VkHashCache::new();
    let leaf = |json: &Value| {
        let text = json.to_string();
        let json: AccountJson<'_> = serde_json::from_str(&text).unwrap();
        let rules = ForkRules::strict(Era::Berkeley);
        let account = from_fork_config(&json, &rules, &VerificationKeyCache::new()).unwrap();
        hash_account(Era::Berkeley, &account, &keys).unwrap()
    };
    let root = |leaves: &[Fp]| {
        MerkleTree::new(Era::Berkeley, 35, leaves.to_vec())
            .unwrap()
            .root()
    };
    let text_of = |json: &Value| json.as_str().unwrap().to_owned();

    let genesis: Vec<Fp> = network["genesis_accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(leaf)
        .collect();
    assert_eq!(genesis.len(), 242);
    assert_eq!(
        ledger_hash(root(&genesis)).to_string(),
        text_of(&network["genesis_ledger_hash"])
    );
    let mut ledgers = HashMap::from([(text_of(&network["genesis_state_hash"]), genesis)]);
    let blocks = network["blocks"].as_array().unwrap();
    let mut checked = 0;
    for block in blocks {
        let state_hash = text_of(&block["state_hash"]);
        // The list starts with the genesis block, which is no child of any.
        let Some(parent) = ledgers.get(&text_of(&block["parent_state_hash"])) else {
            assert!(
                ledgers.contains_key(&state_hash),
                "{state_hash} has no parent"
            );
            continue;
        };
        let mut leaves = parent.clone();
        for accessed in block["accounts_accessed"].as_array().unwrap() {
            let index = usize::try_from(accessed[0].as_u64().unwrap()).unwrap();
            if index >= leaves.len() {
                leaves.resize(index + 1, empty_account_hash(Era::Berkeley));
            }
            leaves[index] = leaf(&accessed[1]);
        }
        assert_eq!(
            ledger_hash(root(&leaves)).to_string(),
            text_of(&block["ledger_hash"]),
            "block {state_hash}"
        );
        ledgers.insert(state_hash, leaves);
        checked += 1;
    }
    assert!(checked >= 33, "only {checked} of {} blocks", blocks.len());
}

/// The root of a subtree from its definition.
fn naive_root(era: Era, height: u16, leaves: &[Fp]) -> Fp {
    match height.checked_sub(1) {
        None => leaves.first().copied().unwrap_or(empty_account_hash(era)),
        Some(children) => {
            let (left, right) = leaves.split_at(leaves.len().min(1 << children));
            node_hash(
                era,
                children,
                naive_root(era, children, left),
                naive_root(era, children, right),
            )
        }
    }
}

fn some_leaves(count: usize) -> Vec<Fp> {
    (1..=count as u64).map(Fp::from_u64).collect()
}

fn era() -> impl Strategy<Value = Era> {
    prop_oneof![Just(Era::V1), Just(Era::Berkeley), Just(Era::Mesa)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn trees_and_streams_follow_the_definition(
        era in era(),
        depth in 0_u8..8,
        fill in 0.0..=1.0_f64,
        piece in 1_usize..50,
    ) {
        let leaves = some_leaves((f64::from(1_u32 << depth) * fill) as usize);
        let expected = naive_root(era, u16::from(depth), &leaves);
        let tree = MerkleTree::new(era, depth, leaves.clone()).unwrap();
        prop_assert_eq!(tree.root(), expected);
        prop_assert_eq!(streamed_root(era, depth, &leaves), expected);
        let mut builder = RootBuilder::new(era, depth);
        for leaves in leaves.chunks(piece) {
            builder.extend_from_slice(leaves).unwrap();
        }
        prop_assert_eq!(builder.len(), leaves.len() as u64);
        prop_assert_eq!(builder.finish(), expected);
    }

    #[test]
    fn paths_prove_their_leaf_and_no_other(
        era in era(),
        depth in 1_u8..8,
        fill in 0.0..=1.0_f64,
        position in 0.0..1.0_f64,
        level in 0.0..1.0_f64,
    ) {
        let capacity = f64::from(1_u32 << depth);
        let leaves = some_leaves((capacity * fill) as usize);
        let tree = MerkleTree::new(era, depth, leaves).unwrap();
        let index = (capacity * position) as u64;
        let leaf = tree.node(0, index).unwrap();
        let mut path = tree.path(index).unwrap();
        prop_assert!(verify_path(era, leaf, index, &path, tree.root()));
        prop_assert_eq!(root_of_path(era, leaf, index, &path), tree.root());

        prop_assert!(!verify_path(era, leaf + Fp::ONE, index, &path, tree.root()));
        prop_assert!(!verify_path(era, leaf, index + (1 << depth), &path, tree.root()));
        let other = index ^ 1;
        if tree.node(0, other) != Some(leaf) {
            prop_assert!(!verify_path(era, leaf, other, &path, tree.root()));
        }
        let height = (f64::from(depth) * level) as usize;
        path[height] += Fp::ONE;
        prop_assert!(!verify_path(era, leaf, index, &path, tree.root()));
    }
}

/// Leaves of `count`, of which every `changed_every`-th differs from [`some_leaves`].
fn changed_leaves(count: usize, changed_every: usize) -> Vec<Fp> {
    let mut leaves = some_leaves(count);
    for leaf in leaves.iter_mut().step_by(changed_every) {
        *leaf += Fp::from_u64(1_000_000);
    }
    leaves
}

#[test]
fn trees_beside_another_are_the_same_trees() {
    for (count, other_count) in [
        (1, 1),
        (5, 3),
        (3, 5),
        (4097, 4096),
        (4100, 5000),
        (5000, 1),
        (9000, 8999),
    ] {
        let other = MerkleTree::new(Era::Berkeley, 20, some_leaves(other_count)).unwrap();
        for changed_every in [1, 2, 10, count] {
            let leaves = changed_leaves(count, changed_every);
            let beside = MerkleTree::new_beside(&other, leaves.clone()).unwrap();
            let alone = MerkleTree::new(Era::Berkeley, 20, leaves).unwrap();
            for height in 0..=20 {
                assert_eq!(
                    beside.level(height),
                    alone.level(height),
                    "{count} leaves beside {other_count}, every {changed_every} changed, \
                     height {height}"
                );
            }
        }
    }
}

/// Sizes around those at which jobs and the stream's subtrees are cut.
#[test]
fn large_trees_equal_streams() {
    let all = some_leaves(3 * 4096 + 1);
    for count in [2047, 2050, 4095, 4096, 4097, 8192, 3 * 4096 + 1] {
        let leaves = &all[..count];
        let tree = MerkleTree::new(Era::Mesa, 20, leaves.to_vec()).unwrap();
        let mut builder = RootBuilder::new(Era::Mesa, 20);
        let (first, second) = leaves.split_at(count / 3);
        builder.extend_from_slice(first).unwrap();
        builder.extend_from_slice(second).unwrap();
        assert_eq!(builder.finish(), tree.root(), "{count} leaves");
        for height in 0..=20 {
            let kept = tree.level(height).unwrap().len();
            assert_eq!(kept, count.div_ceil(1 << height), "height {height}");
        }
        let index = count as u64 - 1;
        let path = tree.path(index).unwrap();
        assert!(verify_path(
            Era::Mesa,
            leaves[count - 1],
            index,
            &path,
            tree.root()
        ));
    }
}

#[test]
fn full_trees_take_no_more() {
    let error = |leaves| MerkleError::TooManyLeaves { depth: 3, leaves };
    let leaves = some_leaves(9);
    assert_eq!(
        MerkleTree::new(Era::Mesa, 3, leaves.clone()).unwrap_err(),
        error(9)
    );
    assert_eq!(
        error(9).to_string(),
        "a tree of depth 3 has no room for 9 accounts"
    );
    let mut builder = RootBuilder::new(Era::Mesa, 3);
    builder.extend_from_slice(&leaves[..7]).unwrap();
    assert_eq!(builder.extend_from_slice(&leaves[7..]), Err(error(9)));
    assert_eq!(builder.len(), 7, "a refused slice leaves no part behind");
    builder.push(leaves[7]).unwrap();
    assert_eq!(builder.push(leaves[8]), Err(error(9)));
    let tree = MerkleTree::new(Era::Mesa, 3, leaves[..8].to_vec()).unwrap();
    assert_eq!(builder.finish(), tree.root());
}

#[test]
fn trees_without_leaves_and_without_levels() {
    for era in [Era::V1, Era::Berkeley, Era::Mesa] {
        let tree = MerkleTree::new(era, 35, Vec::new()).unwrap();
        assert!(tree.is_empty());
        assert_eq!((tree.era(), tree.depth(), tree.len()), (era, 35, 0));
        assert_eq!(tree.root(), EmptyHashes::new(era, 35).root());
        assert_eq!(tree.level(0), Some([].as_slice()));
        assert_eq!(tree.node(35, 0), Some(tree.root()));
        assert_eq!(tree.node(36, 0), None);
        assert_eq!(tree.node(35, 1), None);
        assert_eq!(tree.node(0, (1 << 35) - 1), Some(empty_account_hash(era)));
        assert_eq!(tree.node(0, 1 << 35), None);
        let builder = RootBuilder::new(era, 35);
        assert!(builder.is_empty());
        assert_eq!(builder.finish(), tree.root());

        let single = MerkleTree::new(era, 0, vec![Fp::ONE]).unwrap();
        assert_eq!(single.root(), Fp::ONE);
        assert_eq!(single.path(0), Some(Vec::new()));
        assert_eq!(streamed_root(era, 0, &[Fp::ONE]), Fp::ONE);
        assert_eq!(RootBuilder::new(era, 0).finish(), empty_account_hash(era));
    }
}
