//! The tarballs, and the stores in them.

use crate::case::{ACCOUNT, Row, STORE, bomb, flip, gunzip, gzip, key};
use crate::support;

/// Everything that follows from other accounts under an unchanged header.
pub const OTHER_ACCOUNTS: &[&str] = &[
    "config.ledger-hashes",
    "migration.genesis.accounts",
    "store.genesis.inner-hashes",
    "store.genesis.root",
];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "tarball: compressed again", mutate: |case| { let bytes = gzip(&gunzip(&case.tarball())); let path = case.opened.tarball(STORE); case.opened.files.get_mut(&path).unwrap().0 = bytes; },
        failed: &["tarball.genesis.s3-data-hash"] },
    Row { name: "tarball: cut short", mutate: |case| { let mut bytes = case.tarball(); bytes.truncate(bytes.len() / 2); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: checksum", mutate: |case| { let mut bytes = case.tarball(); let at = bytes.len() - 6; bytes[at] ^= 1; case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: something behind it", mutate: |case| { let mut bytes = case.tarball(); bytes.extend(b"more"); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: second gzip member", mutate: |case| { let mut bytes = case.tarball(); bytes.extend(gzip(&[])); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: bomb", mutate: |case| { let bytes = bomb(); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: something after the archive", mutate: |case| case.archive(|tar| tar.extend([1; 512])),
        failed: &["tarball.genesis.tar"] },
    Row { name: "tarball: extra member", mutate: |case| case.archive(|tar| {
            let mut header = tar::Header::new_ustar();
            header.set_path("evil.sh").unwrap();
            header.set_size(0);
            header.set_mode(0o755);
            header.set_cksum();
            tar.splice(..0, header.as_bytes().iter().copied());
        }),
        failed: &["tarball.genesis.tar"] },
    Row { name: "tarball: member that leaves the directory", mutate: |case| case.archive(|tar| {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..10].copy_from_slice(b"../CURRENT");
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            tar.splice(..0, header.as_bytes().iter().copied());
        }),
        failed: &["tarball.genesis.tar"] },
    Row { name: "store: root node", mutate: |case| case.entries(|entries| flip(entries, &[35])),
        failed: &["store.genesis.root"] },
    Row { name: "store: inner node", mutate: |case| case.entries(|entries| flip(entries, &[3])),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: leaf hash", mutate: |case| case.entries(|entries| flip(entries, &[0])),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: node missing", mutate: |case| case.entries(|entries| { let key = key(entries, &[2], 1); entries.remove(&key); }),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: location", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, b"\xff$B62", 0), key(entries, b"\xff$B62", 1)); let value = entries[&a].clone(); entries.insert(b, value); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: token owner", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, b"\xff$tid!", 0), key(entries, b"\xff$tid!", 1)); let value = entries[&a].clone(); entries.insert(b, value); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: token set missing", mutate: |case| case.entries(|entries| { let key = key(entries, b"\xff$tids!", 0); entries.remove(&key); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: last location", mutate: |case| case.entries(|entries| { let last = key(entries, b"\xfflast_account_location", 0); *entries.get_mut(&last).unwrap().last_mut().unwrap() ^= 0x20; }),
        failed: &["store.genesis.records"] },
    Row { name: "store: extra entry", mutate: |case| case.entries(|entries| { entries.insert(b"\xffzzz".to_vec(), b"1".to_vec()); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: account missing", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, 5); entries.remove(&key); }),
        failed: &["migration.genesis.accounts", "store.genesis.accounts"] },
    Row { name: "store: last account missing", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, support::ACCOUNTS as usize - 1); entries.remove(&key); }),
        failed: &["+", "store.genesis.records", "supply.genesis"] },
    Row { name: "store: account garbled", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, 5); entries.get_mut(&key).unwrap().push(0); }),
        failed: &["migration.genesis.accounts", "store.genesis.accounts"] },
    Row { name: "store: account twice", mutate: |case| case.entries(|entries| { let value = entries[&key(entries, ACCOUNT, 0)].clone(); let second = key(entries, ACCOUNT, 1); entries.insert(second, value); }),
        failed: &["+", "store.genesis.accounts", "store.genesis.records", "supply.genesis"] },
    Row { name: "store: order", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, ACCOUNT, 0), key(entries, ACCOUNT, 1)); let (first, second) = (entries[&a].clone(), entries[&b].clone()); entries.insert(a, second); entries.insert(b, first); }),
        failed: &["+", "store.genesis.records"] },
    Row { name: "store: index of an account beyond the tree", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, support::ACCOUNTS as usize - 1); let value = entries.remove(&key).unwrap(); let mut far = key; far[1] = 0x40; entries.insert(far, value); }),
        failed: &["migration.genesis.accounts", "store.genesis.accounts"] },
    Row { name: "store: root node missing", mutate: |case| case.entries(|entries| { let key = key(entries, &[35], 0); entries.remove(&key); }),
        failed: &["store.genesis.inner-hashes", "store.genesis.root"] },
    Row { name: "store: hash node for nothing", mutate: |case| case.entries(|entries| { let mut key = key(entries, &[0], 0); key[1] = 0x40; entries.insert(key, vec![0; 32]); }),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: no accounts", mutate: |case| case.entries(|entries| entries.retain(|key, _| !key.starts_with(ACCOUNT))),
        failed: &["migration.genesis.accounts", "store.genesis.accounts", "supply.genesis"] },
    Row { name: "store: of the next epoch", mutate: |case| { let path = case.opened.tarball("epoch_data/next"); let bytes = case.opened.files[&path].0.clone(); case.opened.replace_tarball(STORE, bytes); },
        failed: &["config.ledger-hashes", "migration.genesis.accounts", "supply.genesis"] },
    Row { name: "store: no store", mutate: |case| case.opened.replace_tarball(STORE, gzip(&[0; 10240])),
        failed: &["store.genesis.accounts", "tarball.genesis.tar"] },
];
