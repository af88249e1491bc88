//! Genesis accounts inside a daemon's configuration, read as a daemon reads them.

use fork_ledger::account::Account;
use fork_ledger::batch::AccountBatch;
use fork_ledger::diagnose::{ConvertError, Converter, Reading, ReadingLoader};
use fork_ledger::json::convert::DaemonRules;
use fork_ledger::json::document::{self, Listing};
use fork_ledger::json::ledger_object::{adds_genesis_winner, check_padding, genesis_winner};
use fork_ledger::json::{MissingDelegate, StreamError};
use fork_types::Role;
use fork_types::document::SourceRef;
use fork_worker::{Context, Input, InputArg};

use super::form::unusable;
use super::{KIND, Prover};
use crate::error::{MaterializeError, MaterializeErrorKind};

/// What the configuration says of its ledger, the accounts skipped.
pub(super) fn listing(file: &InputArg, context: &Context) -> Result<Listing, MaterializeError> {
    let mut input = Input::open(file, KIND, context)?;
    let read = document::read(&mut input, Role::Genesis, |_, _| Ok::<(), ConvertError>(()));
    Ok(read.map_err(|source| failed(file, source))?)
}

/// Gives the accounts to `prover`, behind the genesis winner when a daemon puts one in front.
pub(super) fn read(
    file: &InputArg,
    missing_delegate: MissingDelegate,
    prover: &mut Prover,
    context: &Context,
) -> Result<SourceRef, MaterializeError> {
    let era = prover.era;
    let listing = listing(file, context)?;
    let has_winner = adds_genesis_winner(&listing.meta, listing.proof_is_full);
    let present = listing.meta.accounts.unwrap_or(0) + u32::from(has_winner);
    check_padding(&listing.meta, present).map_err(|error| unusable(file, &error.to_string()))?;
    if has_winner {
        let rules = DaemonRules::released(era);
        let winner: Account =
            genesis_winner(&rules).map_err(|error| unusable(file, &error.to_string()))?;
        prover.take(&[winner])?;
    }
    let mut input = Input::open(file, KIND, context)?;
    let mut refused = None;
    let mut sink = |batch| {
        let AccountBatch::Later(accounts) = batch else {
            return Err("accounts of the first mainnet".to_owned());
        };
        prover.take(&accounts).map_err(|error| {
            let text = error.to_string();
            refused = Some(error);
            text
        })
    };
    let reading = Reading {
        era,
        loader: ReadingLoader::Daemon { missing_delegate },
    };
    let mut converter = Converter::new(reading, &mut sink);
    let read = document::read(&mut input, Role::Genesis, |index, account| {
        converter.push(index, account)
    })
    .and_then(|_| converter.flush().map_err(StreamError::Visit));
    if let Some(error) = refused {
        return Err(error);
    }
    read.map_err(|source| failed(file, source))?;
    Ok(input.finish(None)?)
}

fn failed(file: &InputArg, source: StreamError<ConvertError>) -> MaterializeErrorKind {
    MaterializeErrorKind::BaseConfig {
        file: file.to_string(),
        source,
    }
}
