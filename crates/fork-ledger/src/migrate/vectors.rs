//! The vectors of `migration.md` 12.1 to 12.4: leaves and one-leaf roots before and after.
//!
//! All derived by one implementation of the rules; the Mesa side agrees with the account hash
//! compiled into o1-labs/o1js. "winner", "Q" and "Z" are the accounts of `hashing.md` 10.

use fork_types::{Amount, Era, FieldBytes, PublicKey, SlotSinceGenesis, SlotSpan};

use super::{MesaTiming, Rule};
use crate::account::{Account, Permissions, Timing, TokenSymbol, V1Account, Vesting, Zkapp};
use crate::hash::{EMPTY_ACTION_STATE, hash_account, hash_v1_account};
use crate::json::ledger_object::released_genesis_winner;
use crate::merkle::{MerkleTree, ledger_hash};
use crate::packing::field_bytes;
use crate::verification_key::VkHashCache;

const FORK_SLOT: SlotSinceGenesis = SlotSinceGenesis::new(859_560);

const STAYS: Rule = Rule::BerkeleyToMesa(MesaTiming::UntimedStays {
    fork_slot: FORK_SLOT,
});
const BECOMES_TIMED: Rule = Rule::BerkeleyToMesa(MesaTiming::UntimedBecomesTimed {
    fork_slot: FORK_SLOT,
});

fn winner(txn_version: u32) -> Account {
    Account {
        permissions: Permissions::user_default(txn_version),
        ..released_genesis_winner(Era::Berkeley).unwrap()
    }
}

fn key_q() -> PublicKey {
    "B62qnzbXmRNo9q32n4SNu2mpB8e7FYYLH8NmaX6oFCBYjjQ8SbD7uzV"
        .parse()
        .unwrap()
}

/// Amounts in MINA.
fn q(imb: &str, cliff: u32, cliff_amount: &str, period: u32, increment: &str) -> Account {
    Account {
        public_key: key_q(),
        balance: "2000000".parse().unwrap(),
        nonce: 5,
        delegate: Some(winner(3).public_key),
        timing: Timing::Timed(Vesting {
            initial_minimum_balance: imb.parse().unwrap(),
            cliff_time: SlotSinceGenesis::new(cliff),
            cliff_amount: cliff_amount.parse().unwrap(),
            vesting_period: SlotSpan::new(period),
            vesting_increment: increment.parse().unwrap(),
        }),
        ..Account::empty(Era::Berkeley)
    }
}

fn z() -> Account {
    Account {
        public_key: key_q(),
        balance: "1".parse().unwrap(),
        nonce: 1,
        delegate: Some(key_q()),
        token_symbol: TokenSymbol::new(b"TOK").unwrap(),
        zkapp: Some(Box::new(Zkapp {
            app_state: (1..=8).map(FieldBytes::from_u64).collect(),
            verification_key: None,
            zkapp_version: 3,
            action_state: [field_bytes(EMPTY_ACTION_STATE); 5],
            last_action_slot: SlotSinceGenesis::new(7),
            proved_state: true,
            zkapp_uri: b"https://example.com".to_vec(),
        })),
        ..Account::empty(Era::Berkeley)
    }
}

fn root(era: Era, accounts: &[Account]) -> String {
    let keys = VkHashCache::new();
    let leaves = accounts
        .iter()
        .map(|account| hash_account(era, account, &keys).unwrap())
        .collect();
    let tree = MerkleTree::new(era, era.depth(), leaves).unwrap();
    ledger_hash(tree.root()).to_string()
}

fn leaf(era: Era, account: &Account) -> String {
    let hash = hash_account(era, account, &VkHashCache::new()).unwrap();
    ledger_hash(hash).to_string()
}

fn leaf_and_root(era: Era, account: &Account) -> [String; 2] {
    [leaf(era, account), root(era, std::slice::from_ref(account))]
}

fn migrated(rule: Rule, accounts: &[Account]) -> Vec<Account> {
    accounts
        .iter()
        .map(|account| rule.migrate(account).unwrap().0)
        .collect()
}

/// Leaf and root before, with `untimed-stays`, with `untimed-becomes-timed`.
type Row = (&'static str, Account, [[&'static str; 2]; 3]);

fn rows() -> Vec<Row> {
    let same = |id, account, before, after| (id, account, [before, after, after]);
    vec![
        (
            "M1",
            winner(3),
            [
                [
                    "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92",
                    "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
                ],
                [
                    "jxt6hcTUV5KqBb8GxGwL1QRJhEcfDscHGndVCuRL9Z4axQnBCVF",
                    "jx7w2WMjTrPfBwGwuWa7kPScbjhaqbhr7FKJ2SDupmAjGzem744",
                ],
                [
                    "jxap5GcYQA9U7JRhebc8YXG27Qw6RXYbSfXymbjiFM45SEPPRKG",
                    "jxgYYDYxKzJEMYtQsk1VGdqa1njJGyBk4SMr95dMw2f9CFtrVqg",
                ],
            ],
        ),
        (
            "M2",
            winner(2),
            [
                [
                    "jwGA35LrwAEAbhbdkWhKqXmTAYmA8SHB3GqDpEknWEye19LWFSA",
                    "jxBoEdwJUMBZaRyY6v7Cn1FktK5rtEsrTxKwe1c6xcoqtASY5Sd",
                ],
                [
                    "jwy1ZYfREF1HCECWnvJ5PCz1WpLmH7JBJmwHLR21JDTHLrqyo1v",
                    "jxYny8fpSKMinuSaabnpUh8YRtdKaJZv4u4KdTofJisJDDpQBT3",
                ],
                [
                    "jxjBEBVtcEcBvSYAnczKD3sVfBnhFyoMooZ1weM6ZmiMNPJBwV4",
                    "jxM2Urf5qGxWpJcxEJVE9r7cKVp5DYq2LkoyAehCpX1iYh3QR7u",
                ],
            ],
        ),
        (
            "M3",
            z(),
            [
                [
                    "jxLztFhsxupMg4ZA7vwk6KRzb8J6ArQoBXkELU5r3gqRXdUkvyg",
                    "jxhM4VrfvHQhUkSuMQ1bQpSunW3uMX49jWHxky4q6btJ1beuZFg",
                ],
                [
                    "jxnSbNb1t8AnFxzubP8haaEUnmtTSEzHFtLEz1rhsmXPGhsKvEr",
                    "jxrH2R42zZskhqFQJhUTQNrVwnKy7oZd7YEsXdH2w6T1G2BjLuK",
                ],
                [
                    "jxT7KZ13cdGkbVrtGcj7UdSJB9vz2tK4V87BmRywnCrqvk7PgE9",
                    "jxXAs9S2uatxYdos2VnwnLLCN6Q71cWn9n3xT3jXA24KTYP4jJi",
                ],
            ],
        ),
        same(
            "M4",
            q("1000000", 12_000, "500000", 6, "150"),
            [
                "jw9xEbL6E5HMqByAwL5wvjUUnp9jXe9A4GZKf1M8tPbibucn7HT",
                "jxM1oEng8zHAn5YcJJDAejh6hStad88ZTuHhksc92WDGYL1SWFk",
            ],
            [
                "jxpPdL3BjPLpx6k5J2r5KksZA6X5KVyN5NdToQWPXJ137gravCm",
                "jxVvjAc8PrfmKWeWgbXtYvWPMQ659GXsPxgs278gmqL9jSWCQpQ",
            ],
        ),
        same(
            "M5",
            q("1000", 900_000, "500", 6, "150"),
            [
                "jx5pdwvVjzedUW7Rp4FomF4gD9sapKbpcdPBCMJMP37NRciN5dw",
                "jwFyHsJdRMhHPu7TL2eWhko1RDS5bprTiGE5dkUxPNpv4v2Ytgv",
            ],
            [
                "jwZQsCj6EVQrmgJrxyQWANkk8SZ7j2NH1p24pkhdMCzG16F9b49",
                "jwfhHkiJgULNzJr7rRwwL1uKXuihhcGYySA16dtoN23YCswR78o",
            ],
        ),
        same(
            "M6",
            q("1000", 859_550, "500", 6, "150"),
            [
                "jxadDQyukh4yb65xWPNGAQQHhY2XZtXEDyLfFL2dvDRFDc2oPC8",
                "jxbPYrJ3frpJXcExNVfFmamVWuz5wURbD4cEz2nfHq54sg1r2qw",
            ],
            [
                "jwipnLAVjRtq8LQphoyiKHzi76ix2YP1zxXXM3QBdVucrAGTNQj",
                "jxr9y8AG9FRvSvUa8jtFwTcWP7HNDLXA9e153xA7KotAHBoSh2S",
            ],
        ),
        same(
            "M7",
            q("1000", 859_560, "500", 6, "150"),
            [
                "jwfnLFvkuCpWHZYs8pHMbUwgN1tKaSuE7pL7FK7dqj3M9mcwFn3",
                "jwZpFtpNtPWRgzd1ymyX6ar9FD6v52Fv37dYtvKJs1DYanD4npj",
            ],
            [
                "jwY21VHYzQEEiMuVx9zS4XJ2wDtGLaUWtSafB48VYraANSy7JL8",
                "jxFto4yBF2NxD82bNp5ryyebnsEY14AHhyC1ynTkXkZQiXWhz5E",
            ],
        ),
        same(
            "M8",
            q("1000", 4_000_000_000, "500", 3_000_000_000, "1"),
            [
                "jwGhdf3bbr2C1WMNapA9JQtCvQm3LAKP1ke974YQr9vbiH3kvRt",
                "jxJCLgf6So5k2VkiAhWswmDK8QURbo4bg31ynH2Te2m2EgpobSx",
            ],
            [
                "jwLr9ZAqVWzyfMCuotoRqGVVmEiBzzzToFz8DrZduqo82cLPGZa",
                "jxC1XR3PNcAyJmJk3kpe4MYqDz9zdum5n1jCbMH7Gd7AHjnrit8",
            ],
        ),
    ]
}

#[test]
fn single_accounts() {
    for (id, account, [before, stays, becomes_timed]) in rows() {
        assert_eq!(leaf_and_root(Era::Berkeley, &account), before, "{id}");
        for (rule, after) in [(STAYS, stays), (BECOMES_TIMED, becomes_timed)] {
            let (mesa, _) = rule.migrate(&account).unwrap();
            assert_eq!(
                leaf_and_root(Era::Mesa, &mesa),
                after,
                "{id} {}",
                rule.name()
            );
            // 12.5: applying the identity after it keeps every byte.
            assert_eq!(Rule::MesaToMesa.migrate(&mesa).unwrap().0, mesa, "{id}");
        }
    }
}

#[test]
fn three_accounts_in_order() {
    let mut accounts = [winner(2), q("1000", 859_550, "500", 6, "150"), z()];
    assert_eq!(
        root(Era::Berkeley, &accounts),
        "jy1eyMNQjg7zDQ2E72iw4Q49gWQro4u9oz1ebp2oxC7NVfE4JnW"
    );
    assert_eq!(
        root(Era::Mesa, &migrated(STAYS, &accounts)),
        "jxSkffgKpHP3sSY2L6xyWPg5AHNiSS9U126HiqhF2SgcYos4B1b"
    );
    assert_eq!(
        root(Era::Mesa, &migrated(BECOMES_TIMED, &accounts)),
        "jwuvTvGgJSi5roRWyGcz7T4iQQfusgM4vEyiSGoo5nuR4s27xHi"
    );
    accounts.reverse();
    assert_eq!(
        root(Era::Berkeley, &accounts),
        "jxptbE5VAhy9s63CDA776NVQZDDmX3wKjBqPQeahJBAnA2AwEui",
        "a reversed list is another ledger"
    );
}

/// 12.3: these would mean that the transaction version was rewritten.
#[test]
fn the_transaction_version_is_not_rewritten() {
    for (rule, wrong) in [
        (STAYS, "jwRz8VPTuACLpTJKRt846BHxzERApvzN1BtzYvgpNa2mUCKi6Zm"),
        (
            BECOMES_TIMED,
            "jwEatyUziVNcT7viam1Mt64rs2qEhBYVs3kcaJQRPspFBcdV84q",
        ),
    ] {
        let (mesa, _) = rule.migrate(&winner(3)).unwrap();
        assert_ne!(leaf(Era::Mesa, &mesa), wrong);
        let rewritten = Account {
            permissions: Permissions::user_default(4),
            ..mesa
        };
        assert_eq!(leaf(Era::Mesa, &rewritten), wrong);
    }
}

fn v1_of(account: &Account) -> V1Account {
    V1Account {
        public_key: account.public_key,
        balance: account.balance,
        nonce: account.nonce,
        delegate: account.delegate,
        timing: account.timing,
        ..V1Account::empty()
    }
}

#[test]
fn v1_to_berkeley() {
    let rule = Rule::from_pair(Era::V1, Era::Berkeley, None, None).unwrap();
    let rich_q = q("1000000", 12_000, "500000", 6, "150");
    assert_eq!(rich_q.balance, Amount::from_nanomina(2_000_000_000_000_000));
    let v1 = [v1_of(&winner(3)), v1_of(&rich_q)];
    let v1_leaves = v1.each_ref().map(hash_v1_account);
    assert_eq!(
        v1_leaves.map(|leaf| ledger_hash(leaf).to_string()),
        [
            "jxMP4JYAjhZ92fANDoZVVe1hHLG83QbQ3WvBGLg4LLD5aHsZzmK",
            "jxsUEo73rTTJbCVmJz2JEH9h896G228pfVAew4MLj142HN8rbFs",
        ]
    );
    let tree = MerkleTree::new(Era::V1, 20, v1_leaves.to_vec()).unwrap();
    assert_eq!(
        ledger_hash(tree.root()).to_string(),
        "jwCUfyqwHnSTgXQ7p1FShbCVnPXsH3iWXb4dMbi9XL5jYUmKg5C"
    );
    let berkeley = v1
        .each_ref()
        .map(|account| rule.migrate_v1(account).unwrap().0);
    assert_eq!(
        berkeley
            .each_ref()
            .map(|account| leaf(Era::Berkeley, account)),
        [
            "jwGA35LrwAEAbhbdkWhKqXmTAYmA8SHB3GqDpEknWEye19LWFSA",
            "jw8jw2qHun46ipbfVpVav9beak9ELwwxfE95SmwobRPhGwGz8ab",
        ]
    );
    assert_eq!(
        root(Era::Berkeley, &berkeley),
        "jwpjHSFum2Zxdiod3xRAfYWrZnLHRDB7kEgsonJzj2ndpvwDKsK"
    );
    for (txn_version, diagnosis) in [
        (1, "jwnVN8sfKVEjhKDfvR8pHf27EXbdb2fPMTnVMFcfBks7vq4xVhp"),
        (3, "jwuqYLyLtPJgemXicvWWiV5wR3Pyw37oGWXmz6pv9jfXDkJUR92"),
    ] {
        let rule = Rule::V1ToBerkeley { txn_version };
        let (berkeley, _) = rule.migrate_v1(&v1[0]).unwrap();
        assert_eq!(leaf(Era::Berkeley, &berkeley), diagnosis);
    }
}
