//! Account dumps in bin_prot: the fast form of an account list.
//!
//! The bytes of an account are those of the daemon's ledger store ([`crate::binprot`]), so a dump
//! says exactly what a store would, a third of the size of JSON and many times as fast to read. It
//! is of one era, and unlike a JSON list it says which.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `fpkaccts` |
//! | 1 | version, 1 |
//! | 1 | era: 1 for Berkeley, 2 for Mesa |
//! | 4 + length, per account | length (little-endian, above 0), account |
//! | 4 | 0 |
//! | 8 | number of accounts (little-endian), which a dump that was cut short cannot have |
//!
//! Compress it as a whole (zstd): readers take compressed files as they are.

use std::io::{self, Read, Write};

use fork_types::Era;

use crate::account::Account;
use crate::binprot::{BinProtError, encode_account};

/// What a dump begins with.
pub const MAGIC: [u8; 8] = *b"fpkaccts";

/// The only version so far.
pub const VERSION: u8 = 1;

/// Longest account taken; a Mesa zkApp with the longest URI has about 3.5 kB.
pub const ACCOUNT_BYTES_MAX: u32 = 64 << 10;

/// Why bytes are not a dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpDefect {
    /// It does not begin as one.
    #[error("no account dump: it does not begin with `fpkaccts`")]
    Magic,
    /// A later version.
    #[error("account dump of version {found}; this build reads version {VERSION}")]
    Version {
        /// Version found.
        found: u8,
    },
    /// A code for no era with dumps.
    #[error("account dump of unknown era {found}, expected 1 or 2")]
    UnknownEra {
        /// Code found.
        found: u8,
    },
    /// A dump of another era.
    #[error("account dump of era {found}, expected {expected}")]
    Era {
        /// Era asked for.
        expected: Era,
        /// Era of the dump.
        found: Era,
    },
    /// A length no account has.
    #[error("account {index} has {found} bytes, expected at most {ACCOUNT_BYTES_MAX}")]
    Length {
        /// Index in the dump.
        index: u32,
        /// Length found.
        found: u32,
    },
    /// Bytes that are no account.
    #[error("account {index} is malformed")]
    Account {
        /// Index in the dump.
        index: u32,
        /// What is wrong with it.
        source: BinProtError,
    },
    /// It ends before its end mark.
    #[error("the account dump ends in the middle")]
    Truncated,
    /// The end mark says another number of accounts.
    #[error("the account dump says it has {said} accounts, found {found}")]
    Count {
        /// What the end mark says.
        said: u64,
        /// Accounts found.
        found: u64,
    },
    /// Something behind the end mark.
    #[error("the account dump goes on behind its end")]
    Trailing,
    /// Eras without this form.
    #[error("there are no account dumps in bin_prot of era {era}")]
    NoForm {
        /// The era.
        era: Era,
    },
}

/// Writes a dump.
#[derive(Debug)]
pub struct DumpWriter<W> {
    sink: W,
    buffer: Vec<u8>,
    accounts: u64,
}

impl<W: Write> DumpWriter<W> {
    /// Starts a dump of accounts of `era`.
    ///
    /// # Errors
    ///
    /// Fails for v1, whose accounts have another form, and when the sink does.
    pub fn new(mut sink: W, era: Era) -> io::Result<Self> {
        let code = era_code(era).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, DumpDefect::NoForm { era })
        })?;
        sink.write_all(&MAGIC)?;
        sink.write_all(&[VERSION, code])?;
        Ok(Self {
            sink,
            buffer: Vec::new(),
            accounts: 0,
        })
    }

    /// Adds the next account.
    ///
    /// # Errors
    ///
    /// Fails when the sink does.
    pub fn push(&mut self, account: &Account) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        encode_account(account, &mut self.buffer);
        let length = u32::try_from(self.buffer.len() - 4).map_err(io::Error::other)?;
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.sink.write_all(&self.buffer)?;
        self.accounts += 1;
        Ok(())
    }

    /// Ends the dump; returns the sink.
    ///
    /// # Errors
    ///
    /// Fails when the sink does.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.write_all(&[0; 4])?;
        self.sink.write_all(&self.accounts.to_le_bytes())?;
        Ok(self.sink)
    }
}

/// What was found where the next account could be.
pub(crate) enum Frame {
    /// An account, whose bytes were appended.
    Account,
    /// The end mark, and nothing behind it.
    End,
}

/// Why a dump cannot be read on.
pub(crate) enum FrameError {
    Io(io::Error),
    Defect(DumpDefect),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Defect(DumpDefect::Truncated)
        } else {
            Self::Io(error)
        }
    }
}

/// Reads the beginning of a dump of accounts of `era`.
pub(crate) fn read_header(source: &mut impl Read, era: Era) -> Result<(), FrameError> {
    let mut header = [0; MAGIC.len() + 2];
    source.read_exact(&mut header)?;
    let [magic @ .., version, code] = header;
    let found = [Era::Berkeley, Era::Mesa]
        .into_iter()
        .find(|era| era_code(*era) == Some(code));
    let defect = match found {
        _ if magic != MAGIC => DumpDefect::Magic,
        _ if version != VERSION => DumpDefect::Version { found: version },
        None => DumpDefect::UnknownEra { found: code },
        Some(found) if found != era => DumpDefect::Era {
            expected: era,
            found,
        },
        Some(_) => return Ok(()),
    };
    Err(FrameError::Defect(defect))
}

/// Reads the account at `index` to the end of `bytes`, or the end of the dump.
pub(crate) fn read_frame(
    source: &mut impl Read,
    index: u32,
    bytes: &mut Vec<u8>,
) -> Result<Frame, FrameError> {
    let mut length = [0; 4];
    source.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length == 0 {
        let mut said = [0; 8];
        source.read_exact(&mut said)?;
        let (said, found) = (u64::from_le_bytes(said), u64::from(index));
        if said != found {
            return Err(FrameError::Defect(DumpDefect::Count { said, found }));
        }
        return match source.read_exact(&mut [0; 1]) {
            Ok(()) => Err(FrameError::Defect(DumpDefect::Trailing)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Frame::End),
            Err(error) => Err(FrameError::Io(error)),
        };
    }
    if length > ACCOUNT_BYTES_MAX {
        return Err(FrameError::Defect(DumpDefect::Length {
            index,
            found: length,
        }));
    }
    let start = bytes.len();
    bytes.resize(start + length as usize, 0);
    source.read_exact(&mut bytes[start..])?;
    Ok(Frame::Account)
}

const fn era_code(era: Era) -> Option<u8> {
    match era {
        Era::V1 => None,
        Era::Berkeley => Some(1),
        Era::Mesa => Some(2),
    }
}
