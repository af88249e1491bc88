//! Reads and writes ledger stores with RocksDB 5.18.3, as daemons before Mesa do.
//!
//!     store-reader-5-18 read-only DIR    prints every entry as scanner text
//!     store-reader-5-18 read-write DIR   the same, but opens the store as a daemon does, which
//!                                        changes it: the log becomes tables
//!     store-reader-5-18 restore DIR      makes a new store, flushed into tables, of scanner text on
//!                                        standard input, in the order it comes
//!
//! For tests only. Exit code 1 and a line on standard error when RocksDB refuses.

use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_uchar};
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::process::ExitCode;
use std::ptr;

use librocksdb_sys as ffi;

/// Longest line that is restored: the largest account takes a few kilobytes.
const LINE_BYTES_MAX: u64 = 1 << 24;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [mode, directory] if mode == "read-only" => print(directory, true),
        [mode, directory] if mode == "read-write" => print(directory, false),
        [mode, directory] if mode == "restore" => restore(directory),
        _ => Err("usage: store-reader-5-18 read-only|read-write|restore DIR".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "store-reader-5-18: error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints every entry in key order.
fn print(directory: &str, read_only: bool) -> Result<(), Failure> {
    let database = Database::open(directory, read_only, false)?;
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut line = String::new();
    database.each_entry(|key, value| {
        line.clear();
        push_hex(key, &mut line);
        line.push_str(" : ");
        push_hex(value, &mut line);
        line.push('\n');
        out.write_all(line.as_bytes())
    })?;
    out.flush()?;
    Ok(())
}

/// Makes a store of the text on standard input.
fn restore(directory: &str) -> Result<(), Failure> {
    let database = Database::open(directory, false, true)?;
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return database.flush();
        }
        let (key, value) = parse_line(&line).ok_or("a line is not `<key hex> : <value hex>`")?;
        database.put(&key, &value)?;
    }
}

fn push_hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
}

fn parse_line(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (key, value) = text.split_once(" : ")?;
    Some((parse_hex(key)?, parse_hex(value)?))
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs
        .iter()
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect();
    if rest.is_empty() { bytes } else { None }
}

/// An open database; closed when dropped.
struct Database {
    database: *mut ffi::rocksdb_t,
    options: *mut ffi::rocksdb_options_t,
}

impl Database {
    /// Opens with the two options that the daemon sets, and otherwise RocksDB's defaults; see
    /// MinaProtocol/mina `src/lib/rocksdb/database.ml`. The log is not forgiven any damage, unlike by
    /// default, so that nothing can be missing without an error.
    fn open(directory: &str, read_only: bool, create: bool) -> Result<Self, Failure> {
        /// `WALRecoveryMode::kAbsoluteConsistency`.
        const ABSOLUTE_CONSISTENCY: i32 = 1;
        let path = CString::new(directory)?;
        let mut error = ptr::null_mut();
        // SAFETY: plain constructors and setters; the options take over the slice transform. `path`
        // ends in a zero byte and outlives the call; `error` is where a message may be put.
        let (options, database) = unsafe {
            let options = ffi::rocksdb_options_create();
            ffi::rocksdb_options_set_create_if_missing(options, c_uchar::from(create));
            let prefix = ffi::rocksdb_slicetransform_create_noop();
            ffi::rocksdb_options_set_prefix_extractor(options, prefix);
            ffi::rocksdb_options_set_wal_recovery_mode(options, ABSOLUTE_CONSISTENCY);
            let database = if read_only {
                ffi::rocksdb_open_for_read_only(options, path.as_ptr(), 0, &mut error)
            } else {
                ffi::rocksdb_open(options, path.as_ptr(), &mut error)
            };
            (options, database)
        };
        let opened = Self { database, options };
        check(error)?;
        if opened.database.is_null() {
            return Err("RocksDB gives no database and no error".into());
        }
        Ok(opened)
    }

    /// Hands over every entry in key order.
    fn each_entry(
        &self,
        mut take: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut error = ptr::null_mut();
        let mut taken = Ok(());
        // SAFETY: the database is open. Keys and values are valid until the iterator moves, which
        // it does only after they were taken; iterator and options are destroyed once, here.
        unsafe {
            let options = ffi::rocksdb_readoptions_create();
            ffi::rocksdb_readoptions_set_verify_checksums(options, 1);
            let iterator = ffi::rocksdb_create_iterator(self.database, options);
            ffi::rocksdb_iter_seek_to_first(iterator);
            while taken.is_ok() && ffi::rocksdb_iter_valid(iterator) != 0 {
                let (mut key_length, mut value_length) = (0, 0);
                let key = ffi::rocksdb_iter_key(iterator, &mut key_length);
                let value = ffi::rocksdb_iter_value(iterator, &mut value_length);
                let key = std::slice::from_raw_parts(key.cast(), key_length);
                let value = std::slice::from_raw_parts(value.cast(), value_length);
                taken = take(key, value);
                ffi::rocksdb_iter_next(iterator);
            }
            ffi::rocksdb_iter_get_error(iterator, &mut error);
            ffi::rocksdb_iter_destroy(iterator);
            ffi::rocksdb_readoptions_destroy(options);
        }
        check(error)?;
        Ok(taken?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let mut error = ptr::null_mut();
        // SAFETY: the database is open; both slices outlive the call, which copies them.
        unsafe {
            let options = ffi::rocksdb_writeoptions_create();
            let (key_start, value_start) = (key.as_ptr().cast(), value.as_ptr().cast());
            ffi::rocksdb_put(
                self.database,
                options,
                key_start,
                key.len() as _,
                value_start,
                value.len() as _,
                &mut error,
            );
            ffi::rocksdb_writeoptions_destroy(options);
        }
        check(error)
    }

    /// Writes everything into tables.
    fn flush(&self) -> Result<(), Failure> {
        let mut error = ptr::null_mut();
        // SAFETY: the database is open.
        unsafe {
            let options = ffi::rocksdb_flushoptions_create();
            ffi::rocksdb_flushoptions_set_wait(options, 1);
            ffi::rocksdb_flush(self.database, options, &mut error);
            ffi::rocksdb_flushoptions_destroy(options);
        }
        check(error)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: both were made in `open` and are destroyed once, here, the database first.
        unsafe {
            if !self.database.is_null() {
                ffi::rocksdb_close(self.database);
            }
            ffi::rocksdb_options_destroy(self.options);
        }
    }
}

/// Turns a message of RocksDB, if there is one, into an error and frees it.
fn check(message: *mut c_char) -> Result<(), Failure> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: RocksDB hands over a string that ends in a zero byte, to be freed by the caller.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::rocksdb_free(message.cast());
        text
    };
    Err(text.into())
}
