//! The record: entries that can only be added.
//!
//! Each line of `log.jsonl` is one entry and names the SHA-256 of the line before it, so nothing can
//! be changed, moved or taken out without changing the last digest; the last digest and the number of
//! entries are the [`Head`], which is signed. What must not get lost is what makes a release *not* go
//! on (a veto, a failed soak, a rejected candidate), and a set of signed statements alone can lose any
//! of its members unnoticed.

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::name::{Digest, Time};

/// Longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 4 << 20;
/// Most entries of a log. The longest process known, a year of weekly trains, has some thousands.
pub const ENTRIES_MAX: usize = 100_000;

/// Why a log was refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Too many entries, or too long a line.
    #[error("log line {line} is beyond the limit of {ENTRIES_MAX} lines of {LINE_BYTES_MAX} bytes")]
    Size {
        /// Which line, from 1.
        line: usize,
    },
    /// Not an entry.
    #[error("log line {line} is malformed")]
    Form {
        /// Which line, from 1.
        line: usize,
        /// What the reader says.
        source: serde_json::Error,
    },
    /// An entry, but not written as this program writes it.
    #[error("log line {line} is not in the canonical form")]
    NotCanonical {
        /// Which line, from 1.
        line: usize,
    },
    /// Numbers do not rise by one.
    #[error("log line {line} has number {found}, expected {expected}")]
    Number {
        /// Which line, from 1.
        line: usize,
        /// The number it should have.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// The chain is broken.
    #[error("log line {line} follows {found}, but the line before it is {expected}")]
    Chain {
        /// Which line, from 1.
        line: usize,
        /// Digest of the line before.
        expected: Digest,
        /// The digest it names.
        found: Digest,
    },
    /// Time goes backwards.
    #[error("an entry of {at} cannot follow one of {last}")]
    Clock {
        /// The new time.
        at: Time,
        /// The last entry's time.
        last: Time,
    },
    /// The log is not the one that was signed.
    #[error(
        "the log has {entries} entries up to {last}; its signed head says {head_entries} up to {head_last}"
    )]
    Head {
        /// Entries there are.
        entries: u64,
        /// Digest of the last.
        last: Digest,
        /// Entries there should be.
        head_entries: u64,
        /// Digest of the last one that was signed.
        head_last: Digest,
    },
    /// The last line has no end, so its writing was interrupted.
    #[error("the last line of the log has no end")]
    CutShort,
    /// An entry cannot be written.
    #[error("the entry cannot be written as JSON")]
    Write(#[source] serde_json::Error),
}

impl fork_types::Fault for LogError {
    fn class(&self) -> fork_types::Class {
        match self {
            Self::Write(_) => fork_types::Class::Internal,
            Self::Size { .. }
            | Self::Form { .. }
            | Self::NotCanonical { .. }
            | Self::Number { .. }
            | Self::Chain { .. }
            | Self::Clock { .. }
            | Self::Head { .. }
            | Self::CutShort => fork_types::Class::BadInput,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Body {
    /// The release was opened. Always the first entry, and only that.
    Opened {
        /// Name of the release.
        release: String,
        /// SHA-256 of the policy file.
        policy: Digest,
        /// Options of the policy.
        options: Vec<String>,
        /// SHA-256 of the file of keys.
        keys: Digest,
    },
    /// A signed fact was recorded.
    Recorded {
        /// SHA-256 of its envelope.
        evidence: Digest,
    },
    /// A question was decided.
    Decided {
        /// The answer.
        decision: Box<Decision>,
    },
    /// Something was done after an `ALLOW`.
    Acted {
        /// The action of the policy.
        action: String,
        /// Its idempotency key.
        key: Digest,
        /// What came of it.
        result: String,
    },
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, from 0.
    pub seq: u64,
    /// When it was written.
    pub at: Time,
    /// SHA-256 of the line before, without its end; of nothing for the first.
    pub previous: Digest,
    /// What happened.
    pub body: Body,
}

/// What is signed of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of entries.
    pub entries: u64,
    /// SHA-256 of the last line.
    pub last: Digest,
}

/// A record whose chain holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    entries: Vec<Entry>,
    lines: Vec<String>,
}

impl Log {
    /// Reads a log and checks its chain.
    ///
    /// # Errors
    ///
    /// Names the first line that is not what this program wrote there. A log whose end is missing has
    /// a good chain: compare it with its signed head, [`Log::expect_head`].
    pub fn parse(text: &str) -> Result<Self, LogError> {
        let mut log = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let number = log.lines.len() + 1;
            let (line, after) = rest.split_once('\n').ok_or(LogError::CutShort)?;
            if line.len() > LINE_BYTES_MAX || number > ENTRIES_MAX {
                return Err(LogError::Size { line: number });
            }
            let entry: Entry = serde_json::from_str(line).map_err(|source| LogError::Form {
                line: number,
                source,
            })?;
            let expected = log.head();
            if entry.seq != expected.entries {
                let (expected, found) = (expected.entries, entry.seq);
                return Err(LogError::Number {
                    line: number,
                    expected,
                    found,
                });
            }
            if entry.previous != expected.last {
                let (expected, found) = (expected.last, entry.previous);
                return Err(LogError::Chain {
                    line: number,
                    expected,
                    found,
                });
            }
            log.check_clock(entry.at)?;
            if serde_json::to_string(&entry).map_err(LogError::Write)? != line {
                return Err(LogError::NotCanonical { line: number });
            }
            log.entries.push(entry);
            log.lines.push(line.to_owned());
            rest = after;
        }
        Ok(log)
    }

    /// Adds an entry and returns its line, without its end.
    ///
    /// # Errors
    ///
    /// Refuses a time before the last entry's.
    pub fn push(&mut self, at: Time, body: Body) -> Result<&str, LogError> {
        self.check_clock(at)?;
        if self.entries.len() >= ENTRIES_MAX {
            return Err(LogError::Size {
                line: self.entries.len() + 1,
            });
        }
        let head = self.head();
        let entry = Entry {
            seq: head.entries,
            at,
            previous: head.last,
            body,
        };
        let line = serde_json::to_string(&entry).map_err(LogError::Write)?;
        if line.len() > LINE_BYTES_MAX {
            return Err(LogError::Size {
                line: self.entries.len() + 1,
            });
        }
        self.entries.push(entry);
        self.lines.push(line);
        Ok(self.lines.last().map_or("", String::as_str))
    }

    fn check_clock(&self, at: Time) -> Result<(), LogError> {
        match self.entries.last() {
            Some(last) if at < last.at => Err(LogError::Clock { at, last: last.at }),
            _ => Ok(()),
        }
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The log as it was before its entry `count`.
    #[must_use]
    pub fn before(&self, count: usize) -> Self {
        let count = count.min(self.entries.len());
        Self {
            entries: self.entries[..count].to_vec(),
            lines: self.lines[..count].to_vec(),
        }
    }

    /// What is to be signed.
    #[must_use]
    pub fn head(&self) -> Head {
        let last = self.lines.last().map_or("", String::as_str);
        Head {
            entries: self.entries.len() as u64,
            last: Digest::of(last.as_bytes()),
        }
    }

    /// Compares the log with what was signed: a log cut short is found here.
    ///
    /// # Errors
    ///
    /// When they differ.
    pub fn expect_head(&self, signed: &Head) -> Result<(), LogError> {
        let head = self.head();
        if head == *signed {
            return Ok(());
        }
        Err(LogError::Head {
            entries: head.entries,
            last: head.last,
            head_entries: signed.entries,
            head_last: signed.last,
        })
    }

    /// The whole text, as it stands in the file.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }
}
