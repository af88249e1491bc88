//! Account hashes against published and derived vectors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fork_ledger::account::{
    Account, Auth, Permissions, Timing, TokenSymbol, V1Account, V1Permissions, Vesting, Zkapp,
};
use fork_ledger::hash::{
    EMPTY_ACTION_STATE, HashError, default_zkapp_digest, derive_token_id, derive_token_ids,
    empty_account_hash, hash_account, hash_accounts, hash_v1_account, hash_v1_accounts, uri_hash,
    zkapp_digest,
};
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::packing::{KimchiPacker, element, field_bytes};
use fork_ledger::verification_key::{DUMMY_KEY_HASH, VerificationKey, VkHashCache};
use fork_types::{
    Amount, Era, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, StateHash, TokenId,
};
use pasta_poseidon::{Fp, Instance, hash, prefix_state, salt};
use proptest::prelude::*;
use support::{
    Q, WINNER, account_of, decimal_of, from_base58, from_decimal, from_hex, mina, plain_account,
    timed_q, vectors, winner, zkapp_z,
};

fn leaf(era: Era, account: &Account) -> Fp {
    hash_account(era, account, &VkHashCache::new()).unwrap()
}

/// The root at depth 35 of a ledger with this account only.
fn root(era: Era, account: &Account) -> Fp {
    MerkleTree::new(era, 35, vec![leaf(era, account)])
        .unwrap()
        .root()
}

#[track_caller]
fn assert_vector(era: Era, account: &Account, expected_leaf: &str, expected_root: &str) {
    assert_eq!(ledger_hash(leaf(era, account)).to_string(), expected_leaf);
    assert_eq!(ledger_hash(root(era, account)).to_string(), expected_root);
}

/// Source: o1-labs/mina-rust `ledger/src/account/account.rs`.
#[test]
fn published_berkeley_accounts() {
    assert_eq!(
        leaf(Era::Berkeley, &plain_account(Era::Berkeley, Q, 10101)),
        from_hex("7018596b7a10344908c7582482b1401a3cbdd40212beb428baf629b84ceb7f0b")
    );
    let account = Account {
        nonce: 62772,
        token_symbol: TokenSymbol::new(b"seb").unwrap(),
        delegate: None,
        ..plain_account(Era::Berkeley, Q, 10101)
    };
    assert_eq!(
        leaf(Era::Berkeley, &account),
        from_hex("8cb53d374b844227d4c63b2dcf198312f8fcb4b60392fee5b165243508d16e32")
    );
    let mut account = plain_account(Era::Berkeley, WINNER, 20_000_001_000);
    account.permissions.set_verification_key_txn_version = 2;
    assert_eq!(
        leaf(Era::Berkeley, &account),
        from_base58("jwnEz6CjzSYowUsvw5gKpuTkRjBY5dEtc6YmQj1U5d2k5KZzTmc")
    );
}

/// Accounts whose hashes agree with the account hash compiled from OCaml in o1-labs/o1js.
#[test]
fn derived_accounts_d1_to_d8() {
    use Era::{Berkeley, Mesa};

    assert_vector(
        Berkeley,
        &winner(Berkeley),
        "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92",
        "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
    );
    assert_vector(
        Mesa,
        &winner(Mesa),
        "jwRz8VPTuACLpTJKRt846BHxzERApvzN1BtzYvgpNa2mUCKi6Zm",
        "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC",
    );
    assert_vector(
        Berkeley,
        &timed_q(Berkeley),
        "jw9xEbL6E5HMqByAwL5wvjUUnp9jXe9A4GZKf1M8tPbibucn7HT",
        "jxM1oEng8zHAn5YcJJDAejh6hStad88ZTuHhksc92WDGYL1SWFk",
    );
    assert_vector(
        Berkeley,
        &zkapp_z(Berkeley),
        "jxLztFhsxupMg4ZA7vwk6KRzb8J6ArQoBXkELU5r3gqRXdUkvyg",
        "jxhM4VrfvHQhUkSuMQ1bQpSunW3uMX49jWHxky4q6btJ1beuZFg",
    );
    assert_vector(
        Mesa,
        &zkapp_z(Mesa),
        "jxnSbNb1t8AnFxzubP8haaEUnmtTSEzHFtLEz1rhsmXPGhsKvEr",
        "jxrH2R42zZskhqFQJhUTQNrVwnKy7oZd7YEsXdH2w6T1G2BjLuK",
    );
    let mut account = winner(Berkeley);
    account.permissions.send = Auth::Either;
    account.permissions.access = Auth::Proof;
    account.permissions.set_verification_key = Auth::Impossible;
    assert_vector(
        Berkeley,
        &account,
        "jws9MbTtce2q9ZhhaKFqV7DAGxrpTscWDxcY6uBLQXZAcsVPhKT",
        "jxpAyUigR1ap9rNTP31fjSRp1xKgVGkEGopKFKYMCN7qXMxBc2E",
    );
    let of_derived_token = |era| Account {
        balance: mina("7"),
        delegate: None,
        token_id: derive_token_id(&WINNER.parse().unwrap(), TokenId::DEFAULT),
        ..plain_account(era, Q, 0)
    };
    assert_vector(
        Berkeley,
        &of_derived_token(Berkeley),
        "jxXZKvNrohWz6RG3RS2S9RVRxdZkkjcg31KBQjRRaSovb5sZ6Yh",
        "jxdJXce3MnjEHHpPhu55oBvesvJcnrNm6nMbDWEmSkSrFYfmjRG",
    );
    assert_vector(
        Mesa,
        &of_derived_token(Mesa),
        "jxk5oB2GazS9sjFjLLEyJLfqueTRzKNRVK9d5cQaU6BfZcnFeAo",
        "jwxUyq3ZbsfofEUFWfjDeBDskmSgwRgQtT1qmJccw5wiLJknogU",
    );
}

/// Vectors of the same standing as D1 to D8, for what those leave at its default: the permissions
/// (neighbours all different), the receipt chain hash and the vote.
#[test]
fn permissions_receipt_and_vote() {
    for (era, permissions_leaf, vote_leaf) in [
        (
            Era::Berkeley,
            "jweRwyBrrsWkmK5N7KDMGD6kPyc2K5SyAb96YXTD4ScLmwQbrS4",
            "jxm4gg8sa9X8yXqoX2UCt8Kiks8CFjCBrFWg5DLWJAZtVirFnNe",
        ),
        (
            Era::Mesa,
            "jxiV6wHo3LmyJPP6iwMG681HQGsqLTpFUCA1MyVzfTc8ZiWZ5kw",
            "jxUbaL46ruUmTRp2gUBeM81WisT8JDXEy7ANRaxRminfnimBWTP",
        ),
    ] {
        let key = "B62qpCz9LAMoiiWS2U7YMsj1oSXwpHpoPDBbEx3qSHCPFbqH6w6HbWy";
        let account = Account {
            permissions: Permissions {
                edit_state: Auth::Either,
                access: Auth::Proof,
                send: Auth::Signature,
                receive: Auth::Impossible,
                set_delegate: Auth::None,
                set_permissions: Auth::Either,
                set_verification_key: Auth::Proof,
                set_verification_key_txn_version: era.txn_version(),
                set_zkapp_uri: Auth::Signature,
                edit_action_state: Auth::Impossible,
                set_token_symbol: Auth::None,
                increment_nonce: Auth::Either,
                set_voting_for: Auth::Proof,
                set_timing: Auth::Signature,
            },
            ..plain_account(era, key, 0)
        };
        assert_eq!(leaf(era, &account), from_base58(permissions_leaf));

        // Both hashes are p - 1, the largest element.
        let largest = field_bytes(-Fp::ONE);
        let key = "B62qii2dSS7CEJgjgzS8PMRJxnm25dcBUPz3xtCxpGs3jcQSAaXocXg";
        let account = Account {
            receipt_chain_hash: ReceiptChainHash::new(largest),
            voting_for: StateHash::new(largest),
            ..plain_account(era, key, 0)
        };
        assert_eq!(
            account.voting_for.to_string(),
            "3NK2tkzr7Gy7MNcqbcL3Lam1Hmd6uc2HTeMg8C6qy5Xjuf7myZ9T"
        );
        assert_eq!(leaf(era, &account), from_base58(vote_leaf));
    }
}

/// One bit tells an untimed account from one that is timed with the same numbers.
#[test]
fn untimed_is_not_timed_with_zeros() {
    let mut account = winner(Era::Mesa);
    account.timing = Timing::Timed(Vesting::UNTIMED);
    assert_vector(
        Era::Mesa,
        &account,
        "jwEatyUziVNcT7viam1Mt64rs2qEhBYVs3kcaJQRPspFBcdV84q",
        "jxRy1dfFvZMsypXVshaZVA9ainbhE55SM8Uaw5pBtxFUuFeUFKw",
    );
}

/// Every transaction version hashes as it stands.
#[test]
fn transaction_versions_of_migrated_accounts() {
    for (txn_version, expected) in [
        (1, "jwnVN8sfKVEjhKDfvR8pHf27EXbdb2fPMTnVMFcfBks7vq4xVhp"),
        (2, "jwGA35LrwAEAbhbdkWhKqXmTAYmA8SHB3GqDpEknWEye19LWFSA"),
        (3, "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92"),
    ] {
        let mut account = winner(Era::Berkeley);
        account.permissions.set_verification_key_txn_version = txn_version;
        assert_eq!(leaf(Era::Berkeley, &account), from_base58(expected));
    }
}

#[test]
fn constants() {
    assert_eq!(
        salt(Instance::Kimchi, "MinaZkappActionStateEmptyElt"),
        EMPTY_ACTION_STATE
    );
    assert_eq!(
        salt(Instance::Legacy, "CodaReceiptEmpty"),
        element(ReceiptChainHash::EMPTY.field())
    );
    for (uri, expected) in [
        (
            "",
            "20639848968581348850513072699760590695338607317404146322838943866773129280073",
        ),
        (
            "a",
            "14311027275431499953670128262567923653853555591336512148850126989137473630261",
        ),
        (
            "https://example.com",
            "20036930029847265865055768879584584997811244962328724398220350901837187240889",
        ),
        (
            "https://minaprotocol.com",
            "26557339830769573416454875159185038849508897715919176742436021351047353207254",
        ),
    ] {
        assert_eq!(uri_hash(uri.as_bytes()), from_decimal(expected), "{uri:?}");
    }
    for (era, digest, empty) in [
        (
            Era::Berkeley,
            "17496579307054293919236546471315760436947051349021271414215926440979771046144",
            "f3ee39f42a7b2cac196c8eb1c9fe00f853678c920c0c9ce3724c0b7fe911c731",
        ),
        (
            Era::Mesa,
            "14236052639648199902645613896213351175778418919021873691617321938265513486187",
            "229746e953635a15f855f3dd579ab2918fae260fbe0d1213a67c3d68e019a13e",
        ),
    ] {
        assert_eq!(default_zkapp_digest(era), Ok(from_decimal(digest)));
        assert_eq!(empty_account_hash(era), from_hex(empty));
        assert_eq!(leaf(era, &Account::empty(era)), from_hex(empty));
    }
    assert_eq!(
        empty_account_hash(Era::V1),
        from_hex("70ccdba14f829608e59a37ed98ffcaeef06dad928d568a9adbde13e3dd104a20")
    );
}

#[test]
fn zkapp_digests_of_the_reference_account() {
    for (era, expected) in [
        (
            Era::Berkeley,
            "6222837842292957260570371713420233795255099672301906377108001643900978478021",
        ),
        (
            Era::Mesa,
            "6735912155103742751043118713340037658597358654674591840608432600376554238469",
        ),
    ] {
        let keys = VkHashCache::new();
        assert_eq!(
            zkapp_digest(era, &zkapp_z(era), &keys),
            Ok(from_decimal(expected))
        );
        assert_eq!(
            zkapp_digest(era, &winner(era), &keys),
            default_zkapp_digest(era)
        );
    }
}

#[test]
fn derived_token_ids() {
    let derived = |owner: &str| derive_token_id(&owner.parse().unwrap(), TokenId::DEFAULT);
    assert_eq!(
        derived(WINNER).to_string(),
        "wuuBRg3V8YCtL2nU8cLcC9LcUWpwyKVsyRgfEv4yjBa5wzrp3u"
    );
    assert_eq!(
        derived(WINNER).field().to_be_hex_upper(),
        "1C547FC4DF3CC87F844189A19D2389D853FE5725E8FFD8F648684A02694BB43F"
    );
    assert_eq!(
        derived(Q).to_string(),
        "y5QfuxQu48nsWV26K66MP2Xy3NeKzUTgf6tuq5Z4zim7xon6Eg"
    );
}

#[test]
fn many_derived_token_ids() {
    let accounts: Vec<(PublicKey, TokenId)> = (0..2500_u64)
        .map(|number| {
            let owner = PublicKey::new(FieldBytes::from_u64(number * number), number % 3 == 0);
            (owner, TokenId::new(FieldBytes::from_u64(number % 7)))
        })
        .collect();
    let derived = derive_token_ids(&accounts);
    for ((owner, parent), derived) in accounts.iter().zip(derived) {
        assert_eq!(derived, derive_token_id(owner, *parent));
    }
    assert!(derive_token_ids(&[]).is_empty());
}

/// A batch with equal and different keys and URIs, hashed together and one by one, with a cache that
/// knows some of them.
#[test]
fn keys_and_uris_are_hashed_once_each_and_right() {
    let cache = VkHashCache::new();
    let accounts: Vec<Account> = (0..600_usize)
        .map(|number| {
            let mut bytes = [0; 1796];
            bytes[2] = (number % 5) as u8;
            let key = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
            Account {
                zkapp: (number % 3 != 0).then(|| {
                    Box::new(Zkapp {
                        app_state: vec![FieldBytes::from_u64(number as u64); 8],
                        verification_key: (number % 2 == 0).then_some(key),
                        zkapp_version: 0,
                        action_state: [FieldBytes::ZERO; 5],
                        last_action_slot: SlotSinceGenesis::new(0),
                        proved_state: false,
                        zkapp_uri: vec![b'u'; number % 70],
                    })
                }),
                ..Account::empty(Era::Berkeley)
            }
        })
        .collect();
    let together = hash_accounts(Era::Berkeley, &accounts, &cache).unwrap();
    for (account, together) in accounts.iter().zip(&together) {
        let alone = hash_account(Era::Berkeley, account, &VkHashCache::new()).unwrap();
        assert_eq!(*together, alone);
        let known = hash_account(Era::Berkeley, account, &cache).unwrap();
        assert_eq!(*together, known);
        if let Some(zkapp) = &account.zkapp {
            let state = prefix_state(Instance::Kimchi, "MinaZkappUri");
            let mut elements = Vec::new();
            let mut packer = KimchiPacker::new(&mut elements);
            for byte in &zkapp.zkapp_uri {
                (0..8).for_each(|bit| packer.push_bit(byte >> bit & 1 == 1));
            }
            packer.push_bit(true);
            packer.finish();
            assert_eq!(uri_hash(&zkapp.zkapp_uri), hash(&state, &elements));
        }
    }
}

#[test]
fn accounts_of_another_era_are_refused() {
    let keys = VkHashCache::new();
    let error = HashError::AppStateLength {
        public_key: Q.parse().unwrap(),
        era: Era::Mesa,
        expected: 32,
        found: 8,
    };
    let account = zkapp_z(Era::Berkeley);
    assert_eq!(hash_account(Era::Mesa, &account, &keys), Err(error.clone()));
    assert_eq!(zkapp_digest(Era::Mesa, &account, &keys), Err(error.clone()));
    let accounts = [winner(Era::Mesa), account];
    assert_eq!(
        hash_accounts(Era::Mesa, &accounts, &keys),
        Err(error.clone())
    );
    // The first of several is named, however many jobs there are.
    let mut many = vec![winner(Era::Mesa); 1000];
    for (index, key) in [(600, Q), (601, WINNER), (900, WINNER)] {
        many[index] = Account {
            public_key: key.parse().unwrap(),
            ..zkapp_z(Era::Berkeley)
        };
    }
    assert_eq!(hash_accounts(Era::Mesa, &many, &keys), Err(error.clone()));
    assert_eq!(
        error.to_string(),
        format!("the zkApp of account {Q} has 8 state elements, in era mesa it has 32")
    );
    assert_eq!(
        hash_account(Era::V1, &accounts[0], &keys),
        Err(HashError::V1)
    );
    assert_eq!(default_zkapp_digest(Era::V1), Err(HashError::V1));
}

fn v1_account(public_key: &str, nanomina: u64) -> V1Account {
    let public_key: PublicKey = public_key.parse().unwrap();
    V1Account {
        public_key,
        token_id: 1,
        balance: Amount::from_nanomina(nanomina),
        nonce: 0,
        receipt_chain_hash: ReceiptChainHash::EMPTY,
        delegate: Some(public_key),
        voting_for: StateHash::DUMMY,
        timing: Timing::Untimed,
        permissions: V1Permissions::DEFAULT,
    }
}

#[test]
fn v1_accounts() {
    let accounts = [
        v1_account(WINNER, 1000),
        V1Account {
            balance: mina("2000000"),
            nonce: 5,
            delegate: Some(WINNER.parse().unwrap()),
            timing: Timing::Timed(support::reference_vesting()),
            ..v1_account(Q, 0)
        },
    ];
    let expected = [
        "jxMP4JYAjhZ92fANDoZVVe1hHLG83QbQ3WvBGLg4LLD5aHsZzmK",
        "jxsUEo73rTTJbCVmJz2JEH9h896G228pfVAew4MLj142HN8rbFs",
    ]
    .map(from_base58);
    assert_eq!(hash_v1_accounts(&accounts), expected);
    for (account, expected) in accounts.iter().zip(expected) {
        assert_eq!(hash_v1_account(account), expected);
    }
    let root = |leaves: &[Fp]| {
        MerkleTree::new(Era::V1, 20, leaves.to_vec())
            .unwrap()
            .root()
    };
    assert_eq!(
        root(&expected[..1]),
        from_base58("jxSvQcjHyZPg7Gr9MwX2VWRYBFGP3dNHFCs8L2ABupkyC4zwtzk")
    );
    assert_eq!(
        root(&expected),
        from_base58("jwCUfyqwHnSTgXQ7p1FShbCVnPXsH3iWXb4dMbi9XL5jYUmKg5C")
    );
}

fn check_account_vectors(era: Era) {
    let Some(file) = vectors(&format!("{era}_accounts")) else {
        return;
    };
    assert_eq!(file["network"], era.name());
    assert_eq!(file["default_txn_version"], era.txn_version());
    let vectors = file["accounts"].as_array().unwrap();
    assert!(vectors.len() >= 90);
    let keys = VkHashCache::new();
    let accounts: Vec<Account> = vectors
        .iter()
        .map(|vector| account_of(era, &vector["account"]))
        .collect();
    for (vector, account) in vectors.iter().zip(&accounts) {
        let name = vector["name"].as_str().unwrap();
        assert_eq!(
            zkapp_digest(era, account, &keys).unwrap(),
            decimal_of(&vector["zkapp_hash"]),
            "zkApp digest of {name}"
        );
        let hash = hash_account(era, account, &keys).unwrap();
        assert_eq!(hash, decimal_of(&vector["hash"]), "hash of {name}");
        assert_eq!(hash, from_hex(vector["hash_le_hex"].as_str().unwrap()));
        assert_eq!(
            ledger_hash(hash).to_string(),
            vector["hash_base58"].as_str().unwrap()
        );
    }
    // The batch takes accounts of all kinds at once, more than one job of them.
    let many: Vec<Account> = accounts.iter().cycle().take(700).cloned().collect();
    let hashes = hash_accounts(era, &many, &keys).unwrap();
    assert_eq!(hashes.len(), many.len());
    for (index, hash) in hashes.iter().enumerate() {
        let vector = &vectors[index % vectors.len()];
        assert_eq!(*hash, decimal_of(&vector["hash"]), "{}", vector["name"]);
    }
}

#[test]
fn shared_berkeley_accounts() {
    check_account_vectors(Era::Berkeley);
}

#[test]
fn shared_mesa_accounts() {
    check_account_vectors(Era::Mesa);
}

#[test]
fn shared_primitives() {
    let Some(vectors) = vectors("primitives") else {
        return;
    };
    assert_eq!(DUMMY_KEY_HASH, decimal_of(&vectors["dummy_vk_hash"]));
    assert_eq!(
        EMPTY_ACTION_STATE,
        decimal_of(&vectors["empty_action_state"])
    );
    for era in [Era::Berkeley, Era::Mesa] {
        assert_eq!(
            default_zkapp_digest(era),
            Ok(decimal_of(&vectors[format!("default_zkapp_hash_{era}")]))
        );
    }
    let uris = vectors["zkapp_uri_hash"].as_object().unwrap();
    assert_eq!(uris.len(), 5);
    for (uri, expected) in uris {
        assert_eq!(uri_hash(uri.as_bytes()), decimal_of(expected), "{uri:?}");
    }
    let keys = vectors["vk_hashes"].as_array().unwrap();
    assert_eq!(keys.len(), 5);
    let cache = VkHashCache::new();
    for vector in keys {
        let bytes = STANDARD
            .decode(vector["vk_base64"].as_str().unwrap())
            .unwrap();
        let key = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
        assert_eq!(key.hash(), decimal_of(&vector["hash"]));
        assert_eq!(cache.hash(&key), decimal_of(&vector["hash"]));
    }
    let tokens = vectors["derive_token_id"].as_array().unwrap();
    assert_eq!(tokens.len(), 4);
    for vector in tokens {
        let owner: PublicKey = vector["pk"].as_str().unwrap().parse().unwrap();
        let parent = TokenId::new(field_bytes(decimal_of(&vector["parent"])));
        let token = derive_token_id(&owner, parent);
        assert_eq!(element(token.field()), decimal_of(&vector["token"]));
        assert_eq!(token.to_string(), vector["token_base58"].as_str().unwrap());
    }
}

fn field() -> impl Strategy<Value = FieldBytes> {
    any::<[u8; 32]>().prop_map(|bytes| field_bytes(Fp::from_le_bytes_reduced(&bytes)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever changes in an account changes its hash: no field is left out or overlaps another.
    #[test]
    fn every_field_counts(
        state in 0_usize..32,
        symbol in prop::collection::vec(1_u8.., 1..=6),
        number in 1_u32..,
        amount in 1_u64..,
        element in field(),
    ) {
        type Change<'a> = Box<dyn Fn(&mut Account) + 'a>;
        let original = Account {
            token_symbol: TokenSymbol::default(),
            ..zkapp_z(Era::Mesa)
        };
        let changes: Vec<Change<'_>> = vec![
            Box::new(|account| account.public_key = PublicKey::new(element, false)),
            Box::new(|account| {
                let key = account.public_key;
                account.public_key = PublicKey::new(key.x(), !key.is_odd());
            }),
            Box::new(|account| account.token_id = TokenId::new(element)),
            Box::new(|account| account.token_symbol = TokenSymbol::new(&symbol).unwrap()),
            Box::new(|account| {
                account.balance = Amount::from_nanomina(account.balance.nanomina() ^ amount);
            }),
            Box::new(|account| account.nonce ^= number),
            Box::new(|account| account.receipt_chain_hash = ReceiptChainHash::new(element)),
            Box::new(|account| account.delegate = None),
            Box::new(|account| account.voting_for = StateHash::new(element)),
            Box::new(|account| account.timing = Timing::Timed(support::reference_vesting())),
            Box::new(|account| account.permissions.set_timing = Auth::Either),
            Box::new(|account| account.permissions.set_verification_key_txn_version ^= number),
            Box::new(|account| account.zkapp = None),
            Box::new(|account| account.zkapp.as_mut().unwrap().app_state[state] = element),
            Box::new(|account| account.zkapp.as_mut().unwrap().zkapp_version ^= number),
            Box::new(|account| account.zkapp.as_mut().unwrap().action_state[state % 5] = element),
            Box::new(|account| account.zkapp.as_mut().unwrap().proved_state = false),
            Box::new(|account| account.zkapp.as_mut().unwrap().zkapp_uri.push(state as u8)),
        ];
        let mut accounts = vec![original];
        for change in changes {
            let mut changed = accounts[0].clone();
            change(&mut changed);
            accounts.push(changed);
        }
        let hashes = hash_accounts(Era::Mesa, &accounts, &VkHashCache::new()).unwrap();
        for (index, hash) in hashes.iter().enumerate() {
            for (earlier, other) in hashes[..index].iter().enumerate() {
                prop_assert_ne!(hash, other, "changes {} and {}", earlier, index);
            }
        }
    }
}
