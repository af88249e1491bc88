//! What fuzzers call of what is not public.

use std::path::Path;

use crate::error::StoreError;
use crate::log_reader::{Batch, LogReader};

/// Reads the log of a log-only store with the strict reader; returns the number of entries.
///
/// # Errors
///
/// Fails on everything that the writer would not have written.
pub fn read_log(directory: &Path) -> Result<u64, StoreError> {
    let log = LogReader::open(directory)?;
    let (mut raw, mut batch) = (Vec::new(), Batch::default());
    for record in log.records(0, log.entries()) {
        log.read_batch(record, &mut raw, &mut batch)?;
    }
    Ok(log.entries())
}
