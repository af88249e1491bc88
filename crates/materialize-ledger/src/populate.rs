//! `materialize-ledger populate`.

use std::io::{BufWriter, Write};

use clap::ValueEnum;
use fork_archive::{Populate, Schema};
use fork_fs::{AtomicFile, FsError, HashingWriter, Operation, StagedDir};
use fork_types::document::{FileRef, SourceRef};
use fork_types::{Era, LedgerHash, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs, Unit};
use serde::Serialize;

use crate::base::GenesisAccounts;
use crate::error::{MaterializeError, MaterializeErrorKind};

/// Name of the file.
const FILE_NAME: &str = "populate.sql";

/// Accounts between two writes.
const BATCH_ACCOUNTS: u64 = 1024;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// What `populate` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct PopulateArgs {
    /// Genesis accounts of the chain
    ///
    /// An account list or a dump; a daemon's configuration that has the accounts in it, or whose
    /// ledger tarball lies beside it; a ledger tarball or a directory that migrate-ledger wrote; a
    /// candidate, whose staged ledger is migrated when --era is the next one.
    #[arg(long, value_name = "PATH")]
    pub genesis_accounts: InputArg,

    /// State hash of the genesis block, after a fork that of the fork's genesis
    #[arg(long, value_name = "HASH")]
    pub state_hash: StateHash,

    /// Root of its ledger, which the accounts must have
    #[arg(long, value_name = "ROOT")]
    pub ledger_hash: LedgerHash,

    /// Era of the block
    #[arg(long, value_name = "ERA")]
    pub era: Era,

    /// Layout of the archive's tables; that of the era unless the tables were widened before the fork
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<SchemaArg>,

    /// Where the SQL goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// A layout on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaArg {
    /// zkApp states of 8 elements
    Berkeley,
    /// zkApp states of 32 elements
    Mesa,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PopulateReport {
    /// Version of this object.
    pub version: u32,
    /// The block.
    pub state_hash: StateHash,
    /// Root of the accounts.
    pub root: LedgerHash,
    /// Era.
    pub era: Era,
    /// Layout of the tables: `berkeley` or `mesa`.
    pub schema: &'static str,
    /// How many accounts.
    pub accounts: u64,
    /// What they were read from.
    pub source: SourceRef,
    /// The SQL.
    pub file: FileRef,
}

impl PopulateArgs {
    /// Writes the SQL.
    pub(crate) fn run(&self, context: &Context) -> Result<PopulateReport, MaterializeError> {
        let schema = match (self.schema, self.era) {
            (Some(SchemaArg::Berkeley), _) | (None, Era::Berkeley) => Schema::Berkeley,
            (Some(SchemaArg::Mesa), _) | (None, Era::Mesa) => Schema::Mesa,
            (None, Era::V1) => return Err(MaterializeErrorKind::NoSchema { era: self.era }.into()),
        };
        let populate = Populate {
            schema,
            era: self.era,
            state_hash: self.state_hash,
            ledger_hash: self.ledger_hash,
        };
        if self.era == Era::V1 || !populate.fits() {
            return Err(MaterializeErrorKind::NoSchema { era: self.era }.into());
        }
        let directory = StagedDir::create_output(&self.output.output, self.output.force)?;
        let accounts = GenesisAccounts::prove(
            &self.genesis_accounts,
            (self.state_hash, self.ledger_hash),
            self.era,
            &self.output.output,
            context,
        )?;
        let path = directory.path().join(FILE_NAME);
        let failed = |source| FsError::io(Operation::Write, &path, source);
        let file = HashingWriter::new(AtomicFile::create(&path)?);
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let bar = context.progress("writing accounts", accounts.accounts(), Unit::Items);
        let mut text = populate.head();
        let mut base = accounts.open()?;
        let mut count = 0;
        while let Some(account) = base.next()? {
            populate.row(count, &account, &mut text)?;
            count += 1;
            if count.is_multiple_of(BATCH_ACCOUNTS) {
                file.write_all(text.as_bytes()).map_err(failed)?;
                text.clear();
                bar.advance(BATCH_ACCOUNTS);
            }
        }
        text.push_str(&populate.tail(count));
        file.write_all(text.as_bytes()).map_err(failed)?;
        let writer = file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        let (file, digested) = writer.finish();
        file.commit()?;
        directory.commit()?;
        Ok(PopulateReport {
            version: 1,
            state_hash: self.state_hash,
            root: self.ledger_hash,
            era: self.era,
            schema: schema.name(),
            accounts: count,
            source: accounts.source().clone(),
            file: FileRef {
                name: FILE_NAME.to_owned(),
                sha256: digested.sha256,
                bytes: digested.bytes,
            },
        })
    }

    /// The result for people.
    pub(crate) fn summary(&self, report: &PopulateReport) -> String {
        let path = self.output.output.join(&report.file.name);
        let path = path.display();
        format!(
            "{path}\n  block     {}\n  accounts  {} of {}\n  root      {} (computed)\n  \
             schema    {}\nrun it with: psql --no-psqlrc -f {path} DATABASE\n",
            report.state_hash, report.accounts, report.source.name, report.root, report.schema,
        )
    }
}
