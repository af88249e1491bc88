//! What the blocks of a branch say of their epochs.

use std::fmt;
use std::str::FromStr;

use fork_types::{Amount, EpochSeed, LedgerHash, SlotSinceHardFork, StateHash};

use crate::archive::Archive;
use crate::block::{ArchiveBlock, Value};
use crate::branch::UP;
use crate::client::Row;
use crate::error::{ArchiveError, ArchiveErrorKind};

/// A whole row of `epoch_data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedEpoch {
    /// Seed.
    pub seed: EpochSeed,
    /// Root of the ledger.
    pub ledger_hash: LedgerHash,
    /// Currency in that ledger, nanomina.
    pub total_currency: Amount,
    /// Last block of the epoch before.
    pub start_checkpoint: StateHash,
    /// Last block whose VRF output is in the seed.
    pub lock_checkpoint: StateHash,
    /// Blocks in the epoch so far.
    pub epoch_length: u32,
}

/// A block as far as epochs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochBlock {
    /// The block.
    pub state_hash: StateHash,
    /// Its height.
    pub height: u32,
    /// Its slot.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Its snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// Its VRF output, as text: URL-safe base64 of 32 bytes.
    pub last_vrf_output: String,
    /// The staking epoch.
    pub staking: ArchivedEpoch,
    /// The next epoch.
    pub next: ArchivedEpoch,
}

/// A value that is usually that of the row before: it is read again only when its text is another.
struct Last<T> {
    text: String,
    value: Option<T>,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self {
            text: String::new(),
            value: None,
        }
    }
}

impl<T: FromStr<Err: fmt::Display> + Copy> Last<T> {
    fn read(&mut self, value: &Value<'_>) -> Result<T, ArchiveError> {
        let text = value.text()?;
        match self.value {
            Some(known) if self.text == text => Ok(known),
            _ => {
                let read = value.parse()?;
                text.clone_into(&mut self.text);
                self.value = Some(read);
                Ok(read)
            }
        }
    }
}

/// What was read of the rows before.
#[derive(Default)]
struct Memory {
    snarked: Last<LedgerHash>,
    epochs: [EpochMemory; 2],
}

#[derive(Default)]
struct EpochMemory {
    seed: Last<EpochSeed>,
    ledger: Last<LedgerHash>,
    start: Last<StateHash>,
    lock: Last<StateHash>,
}

impl EpochMemory {
    /// Reads the six values that begin at a column.
    fn read(
        &mut self,
        row: &Row<'_>,
        first: usize,
        column: &'static str,
        name: &str,
    ) -> Result<ArchivedEpoch, ArchiveError> {
        let value = |number| Value::new(row, (first + number, column), "blocks", name);
        Ok(ArchivedEpoch {
            seed: self.seed.read(&value(0))?,
            ledger_hash: self.ledger.read(&value(1))?,
            total_currency: value(2).nanomina()?,
            start_checkpoint: self.start.read(&value(3))?,
            lock_checkpoint: self.lock.read(&value(4))?,
            epoch_length: value(5).parse()?,
        })
    }
}

impl Memory {
    fn block(&mut self, row: &Row<'_>) -> Result<EpochBlock, ArchiveError> {
        let name = format!("block {}", row.text(0).unwrap_or("without a state hash"));
        let value = |column| Value::new(row, column, "blocks", &name);
        let [staking, next] = &mut self.epochs;
        Ok(EpochBlock {
            state_hash: value((0, "state_hash")).parse()?,
            height: value((1, "height")).parse()?,
            slot_since_hard_fork: value((2, "global_slot_since_hard_fork")).parse()?,
            snarked_ledger_hash: self.snarked.read(&value((3, "snarked_ledger_hash_id")))?,
            last_vrf_output: value((4, "last_vrf_output")).text()?.to_owned(),
            staking: staking.read(row, 5, "staking_epoch_data_id", &name)?,
            next: next.read(row, 11, "next_epoch_data_id", &name)?,
        })
    }
}

impl Archive {
    /// Every block of the branch of `tip`, from the genesis of its chain up, as far as epochs go.
    /// Whether the branch reaches a genesis is for [`Self::branch`] to say first.
    ///
    /// # Errors
    ///
    /// Fails on values of no sense, when the server does, and with what `each` says.
    pub fn epochs(
        &mut self,
        tip: &ArchiveBlock,
        each: &mut dyn FnMut(EpochBlock) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let sql = format!(
            "{UP} SELECT b.state_hash, b.height, up.slot, s.value, b.last_vrf_output, \
               e.seed, el.value, e.total_currency, e.start_checkpoint, e.lock_checkpoint, \
               e.epoch_length, \
               n.seed, nl.value, n.total_currency, n.start_checkpoint, n.lock_checkpoint, \
               n.epoch_length \
             FROM up JOIN blocks b ON b.id = up.id \
             LEFT JOIN snarked_ledger_hashes s ON s.id = b.snarked_ledger_hash_id \
             LEFT JOIN epoch_data e ON e.id = b.staking_epoch_data_id \
             LEFT JOIN snarked_ledger_hashes el ON el.id = e.ledger_hash_id \
             LEFT JOIN epoch_data n ON n.id = b.next_epoch_data_id \
             LEFT JOIN snarked_ledger_hashes nl ON nl.id = n.ledger_hash_id \
             ORDER BY b.height"
        );
        // A root that is there under two ids was another one once: whatever names it still agrees.
        let twice = "SELECT value FROM snarked_ledger_hashes GROUP BY value HAVING count(*) > 1";
        let twice = self.listed("look for roots that are there twice", twice, &[])?;
        if let Some(root) = twice.shown.first() {
            return Err(ArchiveErrorKind::Doubled {
                table: "snarked_ledger_hashes",
                row: format!("the root {root}"),
            }
            .into());
        }
        let mut memory = Memory::default();
        self.client.query(
            "read the epochs of the branch",
            &sql,
            &[&tip.id.to_string()],
            &mut |row| each(memory.block(row)?),
        )
    }
}
