//! An open archive: one connection, one transaction, one moment.

use std::time::Duration;

use fork_types::Era;

use crate::account::AccountStream;
use crate::block::{ArchiveBlock, BlockChoice};
use crate::branch::{Branch, UP};
use crate::client::Client;
use crate::error::{ArchiveError, ArchiveErrorKind};
use crate::schema::Schema;
use crate::uri::ArchiveUri;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the connection, and for each answer while logging in.
    pub connect: Duration,
    /// For one statement; the server ends it then.
    pub statement: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // The slowest query takes seconds on a database of mainnet's size, and minutes on a
            // server with a cold and slow disk.
            statement: Duration::from_secs(1800),
        }
    }
}

/// How much longer than a statement may take the server may be silent: then the connection is dead.
const SILENCE_MARGIN: Duration = Duration::from_secs(60);

/// Memory the server may use for one sort or hash: 7.7 million rows are grouped without files.
const WORK_MEMORY: &str = "256MB";

/// An archive at one moment: everything is read in one transaction, which changes nothing.
#[derive(Debug)]
pub struct Archive {
    pub(crate) client: Client,
    pub(crate) schema: Schema,
    database: String,
}

impl Archive {
    /// Connects and looks which layout the tables have.
    ///
    /// # Errors
    ///
    /// Fails when the server does not let the user in, and on a layout that is not known.
    pub fn open(uri: &ArchiveUri, limits: &Limits) -> Result<Self, ArchiveError> {
        let silence = limits.statement.saturating_add(SILENCE_MARGIN);
        let mut client = Client::connect(uri, limits.connect, silence)?;
        let milliseconds = limits.statement.as_millis().min(i32::MAX as u128);
        // A live archive reorganises while it is read. REPEATABLE READ shows one state of it.
        // Compiling queries takes longer than it saves here.
        client.execute(
            "begin a transaction",
            &format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                 SET LOCAL statement_timeout = {milliseconds}; \
                 SET LOCAL work_mem = '{WORK_MEMORY}'; \
                 SET LOCAL jit = off"
            ),
        )?;
        Self::on(client, uri.database())
    }

    /// An archive as a connection sees it whose transaction somebody else has begun: with what that
    /// transaction has changed, and under its limits.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn on(mut client: Client, database: &str) -> Result<Self, ArchiveError> {
        let schema = Schema::detect(&mut client, database)?;
        Ok(Self {
            client,
            schema,
            database: database.to_owned(),
        })
    }

    /// The connection, for what is to happen in the same transaction.
    pub const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The layout of the tables.
    #[must_use]
    pub const fn schema(&self) -> Schema {
        self.schema
    }

    /// Name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Version of the server, as it states it.
    #[must_use]
    pub fn server_version(&self) -> &str {
        self.client.server_version()
    }

    /// Finds a block, on whatever branch.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, and when a height alone does not say which one is meant.
    pub fn block(&mut self, choice: &BlockChoice) -> Result<ArchiveBlock, ArchiveError> {
        let blocks = ArchiveBlock::chosen(&mut self.client, choice)?;
        let canonical = |block: &&ArchiveBlock| block.is_canonical();
        match (blocks.as_slice(), blocks.iter().filter(canonical).count()) {
            ([], _) => Err(self.no_block(choice)?),
            ([only], _) => Ok(only.clone()),
            (several, 1) => several
                .iter()
                .find(canonical)
                .cloned()
                .map_or_else(|| Err(self.no_block(choice)?), Ok),
            (several, _) => Err(ArchiveErrorKind::SeveralBlocks {
                height: several[0].height,
                count: several.len(),
                hashes: several
                    .iter()
                    .map(|block| block.state_hash.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }
            .into()),
        }
    }

    fn no_block(&mut self, choice: &BlockChoice) -> Result<ArchiveError, ArchiveError> {
        if self.is_empty()? {
            return Ok(self.empty());
        }
        let wanted = choice.to_string();
        Ok(ArchiveErrorKind::NoBlock { wanted }.into())
    }

    /// Whether there is no block at all.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn is_empty(&mut self) -> Result<bool, ArchiveError> {
        let mut is_empty = true;
        let sql = "SELECT 1 FROM blocks LIMIT 1";
        self.client.query("look for blocks", sql, &[], &mut |_| {
            is_empty = false;
            Ok(())
        })?;
        Ok(is_empty)
    }

    /// The error that there is none.
    #[must_use]
    pub fn empty(&self) -> ArchiveError {
        let database = self.database.clone();
        ArchiveErrorKind::Empty { database }.into()
    }

    /// Walks from a block to the genesis of its chain.
    ///
    /// # Errors
    ///
    /// Fails when the way is interrupted.
    pub fn branch(&mut self, block: &ArchiveBlock) -> Result<Branch, ArchiveError> {
        Branch::walk(&mut self.client, block)
    }

    /// The era of a block.
    ///
    /// # Errors
    ///
    /// Fails on a version that is none of Berkeley's and Mesa's, and on a block whose zkApps cannot
    /// be in these tables.
    pub fn era(&self, block: &ArchiveBlock) -> Result<Era, ArchiveError> {
        let era = block.era()?;
        if era.app_state_len() > self.schema.width() {
            return Err(ArchiveErrorKind::Narrow {
                state_hash: block.state_hash,
                era,
                needed: era.app_state_len(),
                width: self.schema.width(),
            }
            .into());
        }
        Ok(era)
    }

    /// Streams the accounts of the staged ledger after `block`, in leaf order. Whether its branch
    /// reaches a genesis is for [`Self::branch`] to say first.
    ///
    /// # Errors
    ///
    /// Fails on an unknown era and when the server refuses.
    pub fn accounts(&mut self, block: &ArchiveBlock) -> Result<AccountStream<'_>, ArchiveError> {
        let era = self.era(block)?;
        AccountStream::open(self, block, era)
    }

    /// The same as accounts of any era whose zkApps are in these tables: what a ledger would be if
    /// the archive had the wrong version of its block.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses.
    pub fn accounts_as(
        &mut self,
        block: &ArchiveBlock,
        era: Era,
    ) -> Result<AccountStream<'_>, ArchiveError> {
        AccountStream::open(self, block, era)
    }

    /// The query that [`Self::accounts`] asks, with the internal id of `block` in it: for `EXPLAIN` by
    /// hand, and for measuring what the server itself takes.
    #[must_use]
    pub fn accounts_query(&self, block: &ArchiveBlock) -> String {
        AccountStream::query().replace("$1", &block.id.to_string())
    }

    /// How many account rows a block has of its own.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn rows_of(&mut self, block: &ArchiveBlock) -> Result<u64, ArchiveError> {
        let mut count = 0;
        let sql = "SELECT count(*) FROM accounts_accessed WHERE block_id = $1";
        let id = block.id.to_string();
        self.client.query("count rows", sql, &[&id], &mut |row| {
            count = row.text(0).and_then(|text| text.parse().ok()).unwrap_or(0);
            Ok(())
        })?;
        Ok(count)
    }

    /// State hashes of blocks other than `genesis` that begin a chain of the same version.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn other_geneses(&mut self, genesis: &ArchiveBlock) -> Result<Vec<String>, ArchiveError> {
        let sql = "SELECT b.state_hash FROM blocks b \
                   JOIN blocks g ON g.id = $1 \
                   JOIN protocol_versions v ON v.id = b.protocol_version_id \
                   JOIN protocol_versions w \
                     ON w.id = g.protocol_version_id AND w.transaction = v.transaction \
                   WHERE b.global_slot_since_hard_fork = 0 AND b.id <> g.id \
                   ORDER BY b.state_hash LIMIT 5";
        Ok(self
            .listed("look for genesis blocks", sql, &[&genesis.id.to_string()])?
            .shown)
    }

    /// Blocks of the branch of `block` that have transactions and no account rows.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn blocks_without_rows(&mut self, block: &ArchiveBlock) -> Result<Listed, ArchiveError> {
        let sql = format!(
            "{UP} SELECT b.state_hash || ' at height ' || b.height FROM up \
             JOIN blocks b ON b.id = up.id \
             WHERE NOT EXISTS (SELECT FROM accounts_accessed a WHERE a.block_id = b.id) \
               AND (EXISTS (SELECT FROM blocks_user_commands c WHERE c.block_id = b.id) \
                 OR EXISTS (SELECT FROM blocks_zkapp_commands c WHERE c.block_id = b.id) \
                 OR EXISTS (SELECT FROM blocks_internal_commands c WHERE c.block_id = b.id)) \
             ORDER BY b.height"
        );
        self.listed(
            "look for blocks without rows",
            &sql,
            &[&block.id.to_string()],
        )
    }

    /// The leaves that a block touched.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn leaves_of(&mut self, block: &ArchiveBlock) -> Result<Listed, ArchiveError> {
        let sql = "SELECT ledger_index FROM accounts_accessed WHERE block_id = $1 \
                   ORDER BY ledger_index";
        self.listed("read the rows of a block", sql, &[&block.id.to_string()])
    }

    /// The block of that height on the branch of `block`.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn ancestor(
        &mut self,
        block: &ArchiveBlock,
        height: u32,
    ) -> Result<Option<ArchiveBlock>, ArchiveError> {
        let sql = format!("{UP} SELECT id FROM up WHERE height = $2");
        let parameters = [&*block.id.to_string(), &*height.to_string()];
        let found = self.listed("look for an ancestor", &sql, &parameters)?;
        match found.shown.first().and_then(|id| id.parse().ok()) {
            Some(id) => ArchiveBlock::of_id(&mut self.client, id),
            None => Ok(None),
        }
    }

    pub(crate) fn listed(
        &mut self,
        what: &'static str,
        sql: &str,
        parameters: &[&str],
    ) -> Result<Listed, ArchiveError> {
        let mut listed = Listed::default();
        self.client.query(what, sql, parameters, &mut |row| {
            listed.count += 1;
            if listed.shown.len() < LISTED_MAX {
                listed.shown.extend(row.text(0).map(str::to_owned));
            }
            Ok(())
        })?;
        Ok(listed)
    }
}

/// Things kept of a list that goes into a message.
const LISTED_MAX: usize = 10;

/// How many there are, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// How many.
    pub count: u64,
    /// The first ten, as text.
    pub shown: Vec<String>,
}
