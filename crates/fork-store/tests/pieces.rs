//! Pieces from elsewhere: whatever their bytes are, they are taken as they are or refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;

use fork_ledger::account::Account;
use fork_store::{LedgerStoreWriter, PieceAccounts, PieceWriter, StoreErrorKind};
use fork_types::document::FileRef;
use fork_types::{Class, Era, Fault, FieldBytes, PublicKey, TokenId};
use pasta_poseidon::Fp;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const COUNT: u32 = 3;

/// A good piece of some accounts.
fn piece() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.piece");
    let accounts: Vec<Account> = (0..COUNT)
        .map(|number| {
            let x = FieldBytes::from_u64(u64::from(number) + 2);
            Account {
                public_key: PublicKey::new(x, false),
                ..Account::empty(Era::Mesa)
            }
        })
        .collect();
    let mut writer = PieceWriter::create(&path, Era::Mesa, 0..COUNT).unwrap();
    let part = PieceAccounts {
        accounts: &accounts,
        hashes: &[Fp::from_u64(5); COUNT as usize],
        derived: &[TokenId::DEFAULT; COUNT as usize],
    };
    writer.push(part).unwrap();
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// Takes bytes as the piece that a document names; gives the number of accounts, or the error.
fn taken(bytes: &[u8]) -> Result<usize, fork_store::StoreError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.piece");
    fs::write(&path, bytes).unwrap();
    let file = FileRef {
        name: "a.piece".to_owned(),
        sha256: hex::encode(Sha256::digest(bytes)),
        bytes: bytes.len() as u64,
    };
    let mut writer = LedgerStoreWriter::create(&directory.path().join("store"), 35).unwrap();
    let mut hashes = Vec::new();
    writer.push_piece(&path, &file, Era::Mesa, COUNT, &mut hashes)?;
    assert_eq!(writer.accounts(), hashes.len() as u64);
    Ok(hashes.len())
}

#[test]
fn a_good_piece_is_taken() {
    assert_eq!(taken(&piece()).unwrap(), COUNT as usize);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_changed_piece_is_taken_as_it_is_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
        more in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let good = piece();
        let mut bytes = good.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes.extend_from_slice(&more);
        match taken(&bytes) {
            Ok(count) => {
                prop_assert_eq!(count, COUNT as usize);
                prop_assert_eq!(bytes.len(), good.len(), "nothing may be left over");
            }
            Err(error) => {
                prop_assert_eq!(error.class(), Class::BadInput);
                let is_piece = matches!(error.kind(), StoreErrorKind::Piece { .. });
                prop_assert!(is_piece, "{}", error);
            }
        }
    }
}
