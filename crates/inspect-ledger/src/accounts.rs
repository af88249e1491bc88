//! `accounts`: one line per account.

use std::io::{self, Write};

use fork_ledger::json::StreamError;
use fork_ledger::json::document::{self, Listing};
use fork_ledger::merkle::ledger_hash;
use fork_ledger::packing::field_bytes;
use fork_types::document::SourceRef;
use fork_types::{LedgerHash, PublicKey, Role};
use fork_worker::{Context, Input};
use serde::Serialize;

use crate::args::ListArgs;
use crate::error::{InspectError, InspectErrorKind, LeafError};
use crate::leaves::{Batches, Leaf, Rules, Token};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// Index in the list.
    pub index: u32,
    /// Owner.
    pub public_key: PublicKey,
    /// Token id, or a number in v1.
    pub token: String,
    /// Hash of the account, in the form of a ledger hash.
    pub hash: LedgerHash,
    /// The same, hexadecimal, little-endian.
    pub hash_hex: String,
}

impl From<&Leaf> for AccountLine {
    fn from(leaf: &Leaf) -> Self {
        Self {
            index: leaf.index,
            public_key: leaf.public_key,
            token: match leaf.token {
                Token::Number(number) => number.to_string(),
                Token::Id(id) => id.to_string(),
            },
            hash: ledger_hash(leaf.hash),
            hash_hex: field_bytes(leaf.hash).to_le_hex(),
        }
    }
}

/// Writes one JSON object per account to `out`, in the order of the list.
///
/// # Errors
///
/// Fails on an unusable file or account; the lines of earlier batches are written by then.
pub fn list_accounts(
    list: &ListArgs,
    context: &Context,
    mut out: impl Write,
) -> Result<(), InspectError> {
    read_leaves(list, context, |leaves| {
        for leaf in leaves {
            let mut line = serde_json::to_vec(&AccountLine::from(leaf))
                .map_err(|error| LeafError::Stdout(error.into()))?;
            line.push(b'\n');
            out.write_all(&line).map_err(LeafError::Stdout)?;
        }
        Ok(())
    })?;
    out.flush()
        .map_err(|source| InspectErrorKind::Stdout(source).into())
}

/// Reads the list and gives its leaves to `sink` in order.
pub(crate) fn read_leaves(
    list: &ListArgs,
    context: &Context,
    sink: impl FnMut(&[Leaf]) -> Result<(), LeafError>,
) -> Result<(Listing, SourceRef), InspectError> {
    let mut input = Input::open(&list.file, "account list", context)?;
    let mut batches = Batches::new(Rules::new(list), sink);
    let read = document::read(&mut input, list.ledger, |index, account| {
        batches.push(index, account)
    })
    .and_then(|listing| {
        batches.flush().map_err(StreamError::Visit)?;
        Ok(listing)
    });
    let listing = match read {
        Ok(listing) => listing,
        Err(StreamError::Read { source, .. }) => return Err(input.damaged(source).into()),
        Err(source) => {
            return Err(InspectErrorKind::Accounts {
                file: input.name().to_owned(),
                source,
            }
            .into());
        }
    };
    let file = input.name().to_owned();
    let source = input.finish(list.sha256.as_deref())?;
    if listing.meta.accounts.is_none() {
        return Err(no_ledger(file, list.ledger, &listing));
    }
    Ok((listing, source))
}

fn no_ledger(file: String, role: Role, listing: &Listing) -> InspectError {
    InspectErrorKind::NoLedger {
        file,
        role,
        named_only: listing.place.is_some(),
    }
    .into()
}

/// Whether nobody reads the output any more, as `| head` does it: no error.
pub(crate) fn is_broken_pipe(error: &InspectError) -> bool {
    let source: &io::Error = match error.kind() {
        InspectErrorKind::Stdout(source)
        | InspectErrorKind::Accounts {
            source: StreamError::Visit(LeafError::Stdout(source)),
            ..
        } => source,
        InspectErrorKind::Store(error) => match error.kind() {
            fork_store::StoreErrorKind::ScanIo {
                operation: "write",
                source,
            } => source,
            _ => return false,
        },
        _ => return false,
    };
    source.kind() == io::ErrorKind::BrokenPipe
}
