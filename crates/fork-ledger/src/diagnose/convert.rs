//! Account JSON, converted as a reading asks for.

use std::io::Read;

use fork_types::Era;
use rayon::prelude::*;

use super::source::{BatchSink, Reading, ReadingLoader};
use crate::account::{Account, V1Account};
use crate::batch::AccountBatch;
use crate::json::{
    AccountError, AccountJson, DaemonRules, ForkRules, ListedAccountError, StreamError,
    VerificationKeyCache, from_daemon_config, from_fork_config, read_account_array, v1_from_json,
};

/// Accounts converted at a time.
const BATCH_ACCOUNTS: usize = 4096;

/// Why an account was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It cannot be read by the rules asked for.
    #[error(transparent)]
    Account(#[from] ListedAccountError),
    /// It has no place in what is tried.
    #[error("{0}")]
    Unfit(String),
}

/// Collects accounts into batches, converts them on all threads and gives them to a sink.
pub struct Converter<'s, 'f> {
    reading: Reading,
    keys: VerificationKeyCache,
    batch: Vec<(u32, AccountJson<'static>)>,
    sink: &'s mut BatchSink<'f>,
}

impl<'s, 'f> Converter<'s, 'f> {
    /// A converter that reads as `reading` says.
    #[must_use]
    pub fn new(reading: Reading, sink: &'s mut BatchSink<'f>) -> Self {
        Self {
            reading,
            keys: VerificationKeyCache::new(),
            batch: Vec::with_capacity(BATCH_ACCOUNTS),
            sink,
        }
    }

    /// Takes the next account of the list.
    ///
    /// # Errors
    ///
    /// Fails when an account cannot be converted, or the sink refuses it.
    pub fn push(&mut self, index: u32, account: AccountJson<'static>) -> Result<(), ConvertError> {
        self.batch.push((index, account));
        if self.batch.len() == BATCH_ACCOUNTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Converts what is left; to be called at the end of the list.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn flush(&mut self) -> Result<(), ConvertError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (reading, keys) = (&self.reading, &self.keys);
        let batch = if reading.era == Era::V1 {
            AccountBatch::V1(converted::<V1Account>(&self.batch, v1_from_json)?)
        } else {
            let convert = |json: &AccountJson<'static>| later(json, reading, keys);
            AccountBatch::Later(converted(&self.batch, convert)?)
        };
        self.batch.clear();
        (self.sink)(batch).map_err(ConvertError::Unfit)
    }
}

/// Reads a bare array of accounts as `reading` says.
///
/// # Errors
///
/// Fails on what is no such array, and on accounts that cannot be converted.
pub fn read_list(
    source: impl Read,
    reading: Reading,
    sink: &mut BatchSink<'_>,
) -> Result<(), StreamError<ConvertError>> {
    let mut converter = Converter::new(reading, sink);
    read_account_array(source, |index, account| converter.push(index, account))?;
    converter.flush().map_err(StreamError::Visit)
}

fn later(
    json: &AccountJson<'static>,
    reading: &Reading,
    keys: &VerificationKeyCache,
) -> Result<Account, AccountError> {
    match reading.loader {
        ReadingLoader::Fork {
            ignore_missing,
            pad_app_state,
        } => {
            let rules = ForkRules {
                era: reading.era,
                ignore_missing,
                pad_app_state,
            };
            from_fork_config(json, &rules, keys)
        }
        ReadingLoader::Daemon { missing_delegate } => {
            let rules = DaemonRules {
                missing_delegate,
                ..DaemonRules::released(reading.era)
            };
            from_daemon_config(json, &rules, keys)
        }
    }
}

/// Converts on all threads; the error is that of the first account at fault.
fn converted<T: Send>(
    batch: &[(u32, AccountJson<'static>)],
    convert: impl Fn(&AccountJson<'static>) -> Result<T, AccountError> + Sync,
) -> Result<Vec<T>, ListedAccountError> {
    let converted: Vec<Result<T, ListedAccountError>> = batch
        .par_iter()
        .map(|(index, json)| convert(json).map_err(|error| error.at(*index, json)))
        .collect();
    converted.into_iter().collect()
}
