use proptest::prelude::*;

use super::*;
use crate::binprot::arbitrary;
use crate::json::spelling::{Choices, document, spelled};
use crate::json::{AccountError, AccountJson};

proptest! {
    #[test]
    fn blocks_hold_the_accounts_and_all_of_the_text(
        accounts in proptest::collection::vec(arbitrary::account(fork_types::Era::Berkeley), 0..7),
        seed: u64,
        block_bytes in prop_oneof![1_usize..100, 100_usize..10_000],
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = accounts
            .iter()
            .map(|account| spelled(account, choices, true))
            .collect();
        let document = document(&texts, choices);
        let mut reader = BlockReader::with_block_bytes(&document[..], block_bytes);
        let start = document.iter().position(|byte| *byte == b'[').unwrap() + 1;
        let mut seen = document[..start].to_vec();
        let mut found = Vec::new();
        while let Some(block) = reader.next_block::<AccountError>().unwrap() {
            prop_assert_eq!(block.start(), TextPosition::START.behind(&seen));
            seen.extend_from_slice(block.text());
            for account in block.accounts() {
                found.push(block.text()[account.clone()].to_vec());
            }
            prop_assert_eq!(
                block.accounts().last().map(|account| account.end),
                Some(block.text().len())
            );
            reader.recycle(block);
        }
        prop_assert_eq!(found, texts);
        prop_assert_eq!(reader.end(), Some(BlocksEnd::Complete));
        prop_assert_eq!(reader.position(), TextPosition::START.behind(&seen));
        reader.rest().read_to_end(&mut seen).unwrap();
        prop_assert_eq!(seen, document);
    }

    #[test]
    fn positions_are_those_of_the_parser(text in "[\n x]{0,40}") {
        let error = serde_json::from_str::<AccountJson<'_>>(&text).unwrap_err();
        let place = text.find('x').map_or(&text[..], |x| &text[..=x]);
        let position = TextPosition::START.behind(place.as_bytes());
        prop_assert_eq!(
            (error.line() as u64, error.column() as u64),
            (position.line, position.column)
        );
    }
}

#[test]
fn what_is_no_list_ends_the_blocks() {
    for (document, end) in [
        ("[]", BlocksEnd::Complete),
        (" [ ] \n", BlocksEnd::Complete),
        ("[{}]", BlocksEnd::Complete),
        ("[", BlocksEnd::Odd),
        ("[,{}]", BlocksEnd::Odd),
        ("[{},]", BlocksEnd::Odd),
        ("[{}{}]", BlocksEnd::Odd),
        ("[{}] x", BlocksEnd::Odd),
        ("[{}", BlocksEnd::Odd),
        ("[{},5]", BlocksEnd::Odd),
        ("[{\"}\\\"}]", BlocksEnd::Odd),
    ] {
        for block_bytes in [1, 2, 3, 100] {
            let mut reader = BlockReader::with_block_bytes(document.as_bytes(), block_bytes);
            while let Some(block) = reader.next_block::<AccountError>().unwrap() {
                for account in block.accounts() {
                    assert_eq!(&block.text()[account.clone()], b"{}", "{document}");
                }
            }
            assert_eq!(reader.end(), Some(end), "{document}");
        }
    }
}

#[test]
fn buffers_are_used_again_unless_they_are_huge() {
    let long = format!("{{\"note\":\"{}\"}}", "x".repeat(1000));
    let document = format!("[{long},{},{long}]", vec!["{}"; 1000].join(","));
    let mut reader = BlockReader::with_block_bytes(document.as_bytes(), 100);
    while let Some(block) = reader.next_block::<AccountError>().unwrap() {
        reader.recycle(block);
        assert!(
            reader
                .spare_buffers
                .iter()
                .all(|buffer| buffer.len() == 100)
        );
        assert!(reader.spare_buffers.len() <= 2);
    }
}
