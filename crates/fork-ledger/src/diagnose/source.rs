//! Where the accounts come from, as often as they are needed.

use fork_types::Era;

use crate::batch::AccountBatch;
use crate::json::MissingDelegate;

/// How a list is read: one of upstream's conversions, under the rules of an era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The era; v1 lists have one conversion only, whatever `loader` says.
    pub era: Era,
    /// The conversion.
    pub loader: ReadingLoader,
}

/// One of upstream's conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingLoader {
    /// The fork tool's; see [`ForkRules`](crate::json::ForkRules).
    Fork {
        /// Whether missing members are filled in.
        ignore_missing: bool,
        /// Whether short zkApp states are extended.
        pad_app_state: bool,
    },
    /// The daemon's; see [`DaemonRules`](crate::json::DaemonRules).
    Daemon {
        /// What a missing delegate means.
        missing_delegate: MissingDelegate,
    },
}

impl ReadingLoader {
    /// The fork tool's conversion with everything filled in that it can fill in.
    pub(crate) const RELAXED: Self = Self::Fork {
        ignore_missing: true,
        pad_app_state: true,
    };
}

/// Why a reading came to no end.
#[derive(Debug)]
pub enum ReadFailure<E> {
    /// An account cannot be read so; other readings may do.
    Refused(String),
    /// The source failed, as it would for every reading.
    Failed(E),
}

/// What takes the accounts; its error ends the reading as [`ReadFailure::Refused`].
pub type BatchSink<'a> = dyn FnMut(AccountBatch) -> Result<(), String> + 'a;

/// A list of accounts that can be read again.
///
/// A diagnosis keeps 97 bytes of each account and no account: it asks for the list once more for
/// each interpretation of the JSON, and once for all changes of the accounts together.
pub trait AccountSource {
    /// Why the list cannot be read at all.
    type Error;

    /// Gives the accounts in order, in batches of any size. Says whether a genesis winner goes in
    /// front of them by what stands beside the list; the winner itself is not given.
    ///
    /// # Errors
    ///
    /// As [`ReadFailure`].
    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<Self::Error>>;
}

/// Accounts in memory, which look the same to every loader of their era.
#[derive(Clone, Debug)]
pub struct AccountsInMemory {
    /// Era they are of.
    pub era: Era,
    /// The accounts.
    pub accounts: AccountBatch,
}

impl AccountSource for AccountsInMemory {
    type Error = std::convert::Infallible;

    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<Self::Error>> {
        if reading.era != self.era {
            let refusal = format!("the accounts are of era {}", self.era);
            return Err(ReadFailure::Refused(refusal));
        }
        sink(self.accounts.clone()).map_err(ReadFailure::Refused)?;
        Ok(false)
    }
}
