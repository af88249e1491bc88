//! Ledgers from the archive beside what somebody else made of the chain, such as a replayer.
//!
//! The archive's list is proved by its root, so a difference is the other's mistake; still nothing is
//! left when there is one, because somebody believed the other.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fork_genesis::import::ImportError;
use fork_genesis::replayer;
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, BatchReader, ListReader};
use fork_ledger::diagnose::member_differences;
use fork_ledger::json::AccountJson;
use fork_types::document::SourceRef;
use fork_types::{Class, Era, Fault, Role, StateHash};
use fork_worker::{Context, Input, InputArg};

use crate::error::MaterializeError;

/// Members of the first differing account that are shown.
const MEMBERS_MAX: usize = 8;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 80;

/// Two ledgers that should be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// An account is another one.
    #[error(
        "account {index} ({public_key}) of the {ledger} differs in {file}: {}",
        .members.join("; ")
    )]
    Account {
        /// The other file.
        file: String,
        /// Which ledger.
        ledger: String,
        /// Leaf index.
        index: u64,
        /// Key of the archive's account.
        public_key: String,
        /// The differing members with both values.
        members: Vec<String>,
    },
    /// One of the two goes on.
    #[error("the {ledger} of {file} has {theirs} accounts, and that of the archive {ours}")]
    Length {
        /// The other file.
        file: String,
        /// Which ledger.
        ledger: String,
        /// Accounts in the file, or how many were read before it was known that there are more.
        theirs: String,
        /// Accounts of the archive's ledger.
        ours: u64,
    },
    /// The replayer output leaves out a ledger that is not the one before.
    #[error("{file} has no next epoch, and so says that its ledger is the staking one; it is not")]
    NoNext {
        /// The file.
        file: String,
    },
    /// The replayer was asked for another block.
    #[error("{file} is about the fork block {found}, not {expected}")]
    OtherBlock {
        /// The file.
        file: String,
        /// Its block.
        found: StateHash,
        /// The fork block.
        expected: StateHash,
    },
    /// What was written cannot be read again, or the other list cannot be read.
    #[error("could not compare with {file}: {problem}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why not.
        problem: String,
    },
}

impl Fault for CompareError {
    fn class(&self) -> Class {
        match self {
            Self::Account { .. }
            | Self::Length { .. }
            | Self::NoNext { .. }
            | Self::OtherBlock { .. } => Class::Wrong,
            Self::Unreadable { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Account { .. } | Self::Length { .. } => Some(
                "the archive's ledger has the root that the block names; run the same command \
                 without the comparison to have it, and look into the other file with \
                 `inspect-ledger explain`"
                    .to_owned(),
            ),
            Self::NoNext { .. } | Self::OtherBlock { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Accounts of a list, one after the other.
struct Accounts<R: BufRead> {
    reader: ListReader<R>,
    ready: VecDeque<Account>,
    file: String,
    taken: u64,
}

impl<R: BufRead + Send> Accounts<R> {
    fn new(source: R, file: String, era: Era) -> Result<Self, CompareError> {
        let reader =
            ListReader::new(source, era, false).map_err(|error| CompareError::Unreadable {
                file: file.clone(),
                problem: error.to_string(),
            })?;
        Ok(Self {
            reader,
            ready: VecDeque::new(),
            file,
            taken: 0,
        })
    }

    fn next(&mut self) -> Result<Option<Account>, CompareError> {
        while self.ready.is_empty() {
            let batch = self.reader.next_batch();
            match batch.map_err(|error| CompareError::Unreadable {
                file: self.file.clone(),
                problem: chain(&error),
            })? {
                Some(AccountBatch::Later(accounts)) => self.ready.extend(accounts),
                Some(AccountBatch::V1(_)) | None => return Ok(None),
            }
        }
        self.taken += 1;
        Ok(self.ready.pop_front())
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Compares a written list with another, when there is one.
pub(crate) fn written(
    ours: &Path,
    theirs: Option<&InputArg>,
    era: Era,
    context: &Context,
) -> Result<Option<SourceRef>, MaterializeError> {
    theirs
        .map(|theirs| with_list(ours, theirs, (era, "ledger"), context))
        .transpose()
}

/// Compares a written list with an account list or a dump.
pub(crate) fn with_list(
    ours: &Path,
    theirs: &InputArg,
    (era, ledger): (Era, &str),
    context: &Context,
) -> Result<SourceRef, MaterializeError> {
    let name = theirs.to_string();
    let input = Input::open(theirs, "compared-ledger", context)?;
    let mut theirs = Accounts::new(input, name.clone(), era)?;
    let mut ours = Accounts::new(
        BufReader::new(fork_fs::open(ours)?),
        ours.display().to_string(),
        era,
    )?;
    loop {
        match (ours.next()?, theirs.next()?) {
            (Some(our), Some(their)) => same(&our, &their, (&name, ledger, ours.taken - 1))?,
            (None, None) => break,
            (Some(_), None) => {
                let found = theirs.taken.to_string();
                return Err(length(&mut ours, name, ledger, found)?.into());
            }
            (None, Some(_)) => {
                let found = format!("more than {}", ours.taken);
                return Err(length(&mut ours, name, ledger, found)?.into());
            }
        }
    }
    Ok(theirs.reader.into_source().finish(None)?)
}

/// The error for lists of different lengths, ours being read to its end.
fn length<R: BufRead + Send>(
    ours: &mut Accounts<R>,
    file: String,
    ledger: &str,
    theirs: String,
) -> Result<CompareError, CompareError> {
    while ours.next()?.is_some() {}
    Ok(CompareError::Length {
        file,
        ledger: ledger.to_owned(),
        theirs,
        ours: ours.taken,
    })
}

fn same(
    ours: &Account,
    theirs: &Account,
    (file, ledger, index): (&str, &str, u64),
) -> Result<(), CompareError> {
    if ours == theirs {
        return Ok(());
    }
    let shown = |value: &Option<String>| match value {
        Some(value) => value.chars().take(VALUE_CHARS_MAX).collect(),
        None => "absent".to_owned(),
    };
    let differences = member_differences(ours, theirs);
    let members = differences.iter().take(MEMBERS_MAX).map(|member| {
        format!(
            "{} is {} in the archive's ledger and {} in the file",
            member.member,
            shown(&member.ours),
            shown(&member.theirs)
        )
    });
    Err(CompareError::Account {
        file: file.to_owned(),
        ledger: ledger.to_owned(),
        index,
        public_key: ours.public_key.to_string(),
        members: members.collect(),
    })
}

fn named(role: Role) -> String {
    format!("{role} ledger")
}

/// Compares the three written lists with the output of `mina-replayer`.
pub(crate) fn with_replayer(
    lists: [PathBuf; 3],
    theirs: &InputArg,
    (era, fork_block): (Era, StateHash),
    context: &Context,
) -> Result<SourceRef, MaterializeError> {
    let name = theirs.to_string();
    let mut input = Input::open(theirs, "replayer-output", context)?;
    let reader = BatchReader::new(era, false);
    let place = |role: Role| match role {
        Role::Genesis => 0,
        Role::Staking => 1,
        Role::Next => 2,
    };
    let mut ours = Vec::with_capacity(lists.len());
    for list in &lists {
        let file = BufReader::new(fork_fs::open(list)?);
        ours.push(Accounts::new(file, list.display().to_string(), era)?);
    }
    let read = replayer::read(
        &mut input,
        |role: Role, index: u32, json: AccountJson<'static>| {
            let converted = reader.convert(index, std::slice::from_ref(&json));
            let batch = converted.map_err(|error| CompareError::Unreadable {
                file: name.clone(),
                problem: chain(&error),
            })?;
            let AccountBatch::Later(accounts) = batch else {
                return Ok(());
            };
            let Some(ours) = ours.get_mut(place(role)) else {
                return Ok(());
            };
            for their in &accounts {
                match ours.next()? {
                    Some(our) => same(&our, their, (&name, &named(role), index.into()))?,
                    None => {
                        return Err(CompareError::Length {
                            file: name.clone(),
                            ledger: named(role),
                            theirs: format!("more than {}", ours.taken),
                            ours: ours.taken,
                        });
                    }
                }
            }
            Ok(())
        },
    );
    let facts = read.map_err(|error| match error {
        ImportError::Visit(difference) => MaterializeError::from(difference),
        ImportError::Read { source, .. } => MaterializeError::from(input.damaged(source)),
        other => CompareError::Unreadable {
            file: name.clone(),
            problem: chain(&other),
        }
        .into(),
    })?;
    if facts.fork_state_hash != fork_block {
        return Err(CompareError::OtherBlock {
            file: name,
            found: facts.fork_state_hash,
            expected: fork_block,
        }
        .into());
    }
    if facts.epochs.next.is_none() && lists.get(1) != lists.get(2) {
        return Err(CompareError::NoNext { file: name }.into());
    }
    // Without a next epoch the document says that it is the staking one.
    let is_listed = |role: Role| role != Role::Next || facts.epochs.next.is_some();
    for role in Role::ALL.into_iter().filter(|role| is_listed(*role)) {
        let Some(ours) = ours.get_mut(place(role)) else {
            continue;
        };
        if ours.next()?.is_some() {
            let found = (ours.taken - 1).to_string();
            return Err(length(ours, name, &named(role), found)?.into());
        }
    }
    Ok(input.finish(None)?)
}
