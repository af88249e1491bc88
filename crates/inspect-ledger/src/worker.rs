//! Running a command and printing what it found.

use std::io::{self, BufWriter, StdoutLock};

use fork_store::tarball_name;
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};
use serde::Serialize;

use crate::accounts::{is_broken_pipe, list_accounts};
use crate::args::{Command, InspectLedger};
use crate::block::inspect_block;
use crate::convert::convert;
use crate::digest::digest;
use crate::error::InspectError;
use crate::explain::explain;
use crate::hash::hash_list;
use crate::store::{diff, scan};

/// Lines are collected into writes of this size.
const BUFFER_BYTES: usize = 1 << 18;

#[derive(Serialize)]
struct TarballNameReport {
    version: u32,
    name: String,
}

impl Worker for InspectLedger {
    const NAME: &'static str = "inspect-ledger";
    const FAILED_TO: &'static str = "failed to inspect";

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Hash(args) => &args.reporting,
            Command::Accounts(args) => &args.reporting,
            Command::Block(args) => &args.reporting,
            Command::Scan(args) => &args.reporting,
            Command::Diff(args) => &args.reporting,
            Command::Digest(args) => &args.reporting,
            Command::TarballName(args) => &args.reporting,
            Command::Convert(args) => &args.reporting,
            Command::Explain(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Hash(args) => {
                args.check()?;
                let report = hash_list(&args, context)?;
                for warning in &report.warnings {
                    context.note(&format!("warning: {warning}"));
                }
                context.emit(&report.human(), &report)?;
            }
            Command::Accounts(args) => {
                args.list.check()?;
                quietly(list_accounts(&args.list, context, stdout()))?;
            }
            Command::Block(args) => {
                let report = inspect_block(&args, context)?;
                context.emit(&report.human(), &report)?;
                report.verdict(&args.file.to_string())?;
            }
            Command::Scan(args) => quietly(scan(&args, stdout()).map(|_| ()))?,
            Command::Diff(args) => {
                let report = diff(&args)?;
                context.emit(&report.human(), &report)?;
                report.verdict(&args)?;
            }
            Command::Digest(args) => {
                let report = digest(&args)?;
                context.emit(&report.human(), &report)?;
                report.verdict()?;
            }
            Command::Convert(args) => {
                let report = convert(&args, context)?;
                context.emit(&report.human(), &report)?;
            }
            Command::Explain(args) => {
                args.check()?;
                let report = explain(&args, context)?;
                context.emit(&report.human(), &report)?;
                report.verdict()?;
            }
            Command::TarballName(args) => {
                let name = tarball_name(args.prefix.name(), &args.root, args.era);
                context.emit(
                    &name,
                    &TarballNameReport {
                        version: 1,
                        name: name.clone(),
                    },
                )?;
            }
        }
        Ok(())
    }
}

fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())
}

/// That nobody reads on is the reader's decision, and no error.
fn quietly(result: Result<(), InspectError>) -> Result<(), InspectError> {
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}
