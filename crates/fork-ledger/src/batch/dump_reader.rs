//! Batches from account dumps, and from lists of either form.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use fork_types::Era;
use rayon::prelude::*;

use super::{AccountBatch, AccountReader, BATCH_ACCOUNTS};
use crate::binprot::{BinProtError, decode_account};
use crate::dump::{DumpDefect, Frame, FrameError, MAGIC, read_frame, read_header};
use crate::json::stream::ACCOUNTS_MAX;
use crate::json::{ListedAccountError, StreamError};

/// Reads an account dump ([`crate::dump`]) in batches, decoded on all threads.
#[derive(Debug)]
pub struct DumpReader<R> {
    source: R,
    era: Era,
    accounts: u32,
    progress: Progress,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Header,
    Accounts,
    End,
}

impl<R: Read> DumpReader<R> {
    /// A reader of accounts of `era`.
    #[must_use]
    pub const fn new(source: R, era: Era) -> Self {
        Self {
            source,
            era,
            accounts: 0,
            progress: Progress::Header,
            bytes: Vec::new(),
        }
    }

    /// The source.
    #[must_use]
    pub fn into_source(self) -> R {
        self.source
    }

    /// As [`AccountReader::skip`]; the accounts are not decoded.
    ///
    /// # Errors
    ///
    /// Fails on what is no dump of the era, and when the source does.
    pub fn skip(&mut self, accounts: u32) -> Result<(), StreamError<ListedAccountError>> {
        self.read_header()?;
        let mut left = accounts;
        while left > 0 && self.progress == Progress::Accounts {
            self.bytes.clear();
            match read_frame(&mut self.source, self.accounts, &mut self.bytes) {
                Ok(Frame::Account) => self.accounts += 1,
                Ok(Frame::End) => self.progress = Progress::End,
                Err(error) => return Err(failed(self.accounts, error)),
            }
            left -= 1;
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<(), StreamError<ListedAccountError>> {
        if self.progress == Progress::Header {
            read_header(&mut self.source, self.era).map_err(|error| failed(0, error))?;
            self.progress = Progress::Accounts;
        }
        Ok(())
    }

    /// As [`AccountReader::next_batch`].
    ///
    /// # Errors
    ///
    /// Fails on what is no dump of the era, and when the source does.
    pub fn next_batch(&mut self) -> Result<Option<AccountBatch>, StreamError<ListedAccountError>> {
        let first = self.accounts;
        let failed = |error| failed(first, error);
        self.read_header()?;
        self.bytes.clear();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut broken = None;
        while self.progress == Progress::Accounts && ranges.len() < BATCH_ACCOUNTS {
            let start = self.bytes.len();
            match read_frame(&mut self.source, self.accounts, &mut self.bytes) {
                Ok(Frame::Account) => {
                    ranges.push(start..self.bytes.len());
                    if self.accounts == ACCOUNTS_MAX {
                        return Err(StreamError::TooManyAccounts {
                            accounts_max: ACCOUNTS_MAX,
                        });
                    }
                    self.accounts += 1;
                }
                Ok(Frame::End) => self.progress = Progress::End,
                Err(error) => {
                    self.progress = Progress::End;
                    broken = Some(error);
                }
            }
        }
        let (bytes, era) = (&self.bytes, self.era);
        let decoded: Vec<Result<_, BinProtError>> = ranges
            .par_iter()
            .with_min_len(256)
            .map(|range| decode_account(era, bytes.get(range.clone()).unwrap_or_default()))
            .collect();
        let mut accounts = Vec::with_capacity(decoded.len());
        for (index, account) in (first..).zip(decoded) {
            accounts.push(account.map_err(|source| {
                failed(FrameError::Defect(DumpDefect::Account { index, source }))
            })?);
        }
        // What is wrong behind these accounts comes after what is wrong with them.
        if let Some(error) = broken {
            return Err(failed(error));
        }
        Ok((!accounts.is_empty()).then_some(AccountBatch::Later(accounts)))
    }
}

/// What is wrong behind `accounts` accounts.
fn failed(accounts: u32, error: FrameError) -> StreamError<ListedAccountError> {
    match error {
        FrameError::Io(source) => StreamError::Read { accounts, source },
        FrameError::Defect(source) => StreamError::Dump { accounts, source },
    }
}

/// Reads a list of either form.
#[derive(Debug)]
pub enum ListReader<R> {
    /// A bare array of accounts.
    Json(Box<AccountReader<R>>),
    /// An account dump.
    BinProt(Box<DumpReader<R>>),
}

impl<R: BufRead> ListReader<R> {
    /// A reader for whichever form `source` begins as; `ignore_missing` as in
    /// [`ForkRules`](crate::json::ForkRules), which dumps have no use for.
    ///
    /// # Errors
    ///
    /// Fails when the source does.
    pub fn new(mut source: R, era: Era, ignore_missing: bool) -> io::Result<Self> {
        let start = source.fill_buf()?;
        let compared = start.len().min(MAGIC.len());
        let is_dump = compared > 0 && start[..compared] == MAGIC[..compared];
        Ok(if is_dump {
            Self::BinProt(Box::new(DumpReader::new(source, era)))
        } else {
            Self::Json(Box::new(AccountReader::new(source, era, ignore_missing)))
        })
    }
}

impl<R: Read> ListReader<R> {
    /// As [`AccountReader::skip`].
    ///
    /// # Errors
    ///
    /// As [`AccountReader::skip`] and [`DumpReader::skip`].
    pub fn skip(&mut self, accounts: u32) -> Result<(), StreamError<ListedAccountError>> {
        match self {
            Self::Json(reader) => reader.skip(accounts),
            Self::BinProt(reader) => reader.skip(accounts),
        }
    }

    /// The source, for what is to be done with it at the end.
    #[must_use]
    pub fn into_source(self) -> R {
        match self {
            Self::Json(reader) => reader.into_source(),
            Self::BinProt(reader) => reader.into_source(),
        }
    }
}

impl<R: Read + Send> ListReader<R> {
    /// As [`AccountReader::next_batch`].
    ///
    /// # Errors
    ///
    /// As [`AccountReader::next_batch`] and [`DumpReader::next_batch`].
    pub fn next_batch(&mut self) -> Result<Option<AccountBatch>, StreamError<ListedAccountError>> {
        match self {
            Self::Json(reader) => reader.next_batch(),
            Self::BinProt(reader) => reader.next_batch(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::Account;
    use crate::binprot::arbitrary::account;
    use crate::dump::DumpWriter;
    use crate::json::write_account_json;

    fn dump(era: Era, accounts: &[Account]) -> Vec<u8> {
        let mut writer = DumpWriter::new(Vec::new(), era).unwrap();
        for account in accounts {
            writer.push(account).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8], era: Era) -> Result<Vec<Account>, StreamError<ListedAccountError>> {
        rest(&mut ListReader::new(bytes, era, false).unwrap())
    }

    fn rest(
        reader: &mut ListReader<&[u8]>,
    ) -> Result<Vec<Account>, StreamError<ListedAccountError>> {
        let mut accounts = Vec::new();
        while let Some(batch) = reader.next_batch()? {
            let AccountBatch::Later(batch) = batch else {
                panic!("a batch of v1");
            };
            accounts.extend(batch);
        }
        assert!(reader.next_batch()?.is_none());
        Ok(accounts)
    }

    fn text(error: &StreamError<ListedAccountError>) -> String {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn dumps_and_lists_hold_the_same_accounts(
            accounts in prop::collection::vec(account(Era::Mesa), 0..20),
        ) {
            let bytes = dump(Era::Mesa, &accounts);
            prop_assert_eq!(&read(&bytes, Era::Mesa).unwrap(), &accounts);
            let mut json = b"[".to_vec();
            for (number, account) in accounts.iter().enumerate() {
                if number > 0 {
                    json.push(b',');
                }
                write_account_json(account, &mut json);
            }
            json.push(b']');
            prop_assert_eq!(&read(&json, Era::Mesa).unwrap(), &accounts);
        }

        /// What is skipped makes no difference to what comes behind it.
        #[test]
        fn skipping_gives_the_rest(
            accounts in prop::collection::vec(account(Era::Mesa), 0..12),
            skipped in 0_u32..14,
        ) {
            let expected = accounts.get(skipped as usize..).unwrap_or_default();
            let mut json = b"[".to_vec();
            for (number, account) in accounts.iter().enumerate() {
                if number > 0 {
                    json.push(b',');
                }
                write_account_json(account, &mut json);
            }
            json.push(b']');
            for bytes in [dump(Era::Mesa, &accounts), json] {
                let mut reader = ListReader::new(bytes.as_slice(), Era::Mesa, false).unwrap();
                reader.skip(skipped).unwrap();
                prop_assert_eq!(&rest(&mut reader).unwrap(), expected);
            }
        }

        /// However a dump is cut or altered, it is refused or says something else; never is a part
        /// of it taken for the whole.
        #[test]
        fn damaged_dumps_are_noticed(
            accounts in prop::collection::vec(account(Era::Berkeley), 1..5),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let bytes = dump(Era::Berkeley, &accounts);
            let place = place.index(bytes.len());
            prop_assume!(place >= MAGIC.len());
            prop_assert!(read(&bytes[..place], Era::Berkeley).is_err());
            let mut altered = bytes.clone();
            altered[place] ^= 1 << bit;
            if let Ok(found) = read(&altered, Era::Berkeley) {
                prop_assert_ne!(found, accounts);
            }
        }
    }

    #[test]
    fn large_dumps_come_in_full_batches() {
        let account = Account::empty(Era::Mesa);
        let count = BATCH_ACCOUNTS + 3;
        let bytes = dump(Era::Mesa, &vec![account; count]);
        let mut reader = DumpReader::new(bytes.as_slice(), Era::Mesa);
        let mut sizes = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [BATCH_ACCOUNTS, 3]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = dump(Era::Mesa, &[Account::empty(Era::Mesa)]);
        let altered = |place: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[place] = byte;
            bytes
        };
        let behind = [good.as_slice(), &[0]].concat();
        let count = good.len() - 8;
        for (bytes, expected) in [
            (altered(8, 2), "version 2"),
            (altered(9, 7), "unknown era 7"),
            (altered(9, 1), "of era berkeley, expected mesa"),
            (altered(12, 9), "expected at most 65536"),
            (altered(45, 0xff), "account 0 is malformed"),
            (altered(count, 2), "says it has 2 accounts, found 1"),
            (good[..good.len() - 1].to_vec(), "ends in the middle"),
            (good[..5].to_vec(), "ends in the middle"),
            (behind, "goes on behind its end"),
        ] {
            let error = read(&bytes, Era::Mesa).unwrap_err();
            let text = text(&error);
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(DumpWriter::new(Vec::new(), Era::V1).is_err());
    }
}
