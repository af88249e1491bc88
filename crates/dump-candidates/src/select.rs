//! `dump-candidates select`.

use fork_daemon::{Store, StoreError, StoreUrl};
use fork_fs::FsError;
use fork_genesis::network::{Network, NetworkError};
use fork_genesis::selection::rule::{Wishes, rule};
use fork_genesis::selection::{CONFIRMATIONS_DEFAULT, Outcome, select};
use fork_types::document::{Candidate, SelectionDocument};
use fork_types::{Class, Fault, SlotSinceHardFork, StateHash};
use fork_worker::selection::human;
use fork_worker::{Context, OutputArgs, OutputError, ReportingArgs};

use crate::catalog::{Catalog, CatalogError};
use crate::list::stock::{Stock, joined};
use crate::list::{ReadBackError, StoreProblem};

mod write;

pub use fork_genesis::selection::rule::StopSlotError;

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// Choose the fork block from a candidate store and write its candidate directory
///
/// The fork block is the last block below slot_tx_end on the strongest chain, once enough blocks
/// stand above it, all of them empty, once enough daemons have it on their best chain, and once the
/// daemons' clocks have reached slot_chain_end. Every rejected block is listed with the reasons. A
/// tie is never broken. Ends with exit code 3 while time may help, with 4 when only a human can.
/// --output appears whole or not at all.
#[derive(Clone, Debug, clap::Args)]
pub struct SelectArgs {
    /// Network: a file, or the name of one that ships (devnet, mainnet, devnet-v1, mainnet-v1)
    #[arg(long, value_name = "N")]
    pub network: String,

    /// Store of the candidates: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; credentials
    /// come from the environment
    #[arg(long, value_name = "URL", default_value = "candidate-store")]
    pub store: StoreUrl,

    /// Blocks that must stand above the fork block; the default is there well before slot_chain_end
    /// and about as deep as exchanges take payments for final
    #[arg(long, value_name = "N", default_value_t = CONFIRMATIONS_DEFAULT)]
    pub confirmations: u32,

    /// Daemons that must have the fork block on their best chain [default: more than half of those in
    /// the store]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub quorum: Option<u32>,

    /// First slot without transactions, since the last hard fork [default: what the daemons run with
    /// and the network file say, which must agree]
    #[arg(long, value_name = "SLOT")]
    pub slot_tx_end: Option<SlotSinceHardFork>,

    /// First slot without blocks, since the last hard fork [default: as above]
    #[arg(long, value_name = "SLOT")]
    pub slot_chain_end: Option<SlotSinceHardFork>,

    /// Choose this block, whatever the rule says; it must be stored. What the rule has against it is
    /// recorded
    #[arg(long, value_name = "HASH")]
    pub state_hash: Option<StateHash>,

    /// Recompute the roots of the chosen ledgers once more; capture did it before it stored them
    #[arg(long)]
    pub recompute_roots: bool,

    /// Where the candidate goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Why `dump-candidates select` chose nothing, or could not write it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The store.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A stored ledger cannot be read.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// stdout cannot be written to.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A network file that cannot be used.
    #[error("network `{name}`")]
    Network {
        /// File or name.
        name: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// The stop slots are not known for certain.
    #[error(transparent)]
    StopSlots(#[from] StopSlotError),
    /// No fork block yet.
    #[error("there is no fork block yet: {}", .problems.join("; "))]
    Pending {
        /// Everything that is missing.
        problems: Vec<String>,
    },
    /// No fork block, and waiting does not help.
    #[error("there is no fork block: {}", .problems.join("; "))]
    Refused {
        /// Everything that is in the way.
        problems: Vec<String>,
    },
    /// The chosen candidate is not what the store's documents say.
    #[error("the chosen candidate is damaged in the store: {}", joined(.problems))]
    Damaged {
        /// Everything that differs.
        problems: Vec<StoreProblem>,
    },
    /// The chosen candidate vanished from the store: a bug, or somebody is changing the store.
    #[error("the chosen block {state_hash} is not in the store any more")]
    Vanished {
        /// The block.
        state_hash: StateHash,
    },
}

impl From<StoreError> for SelectError {
    fn from(error: StoreError) -> Self {
        Self::Catalog(error.into())
    }
}

impl Fault for SelectError {
    fn class(&self) -> Class {
        match self {
            Self::Catalog(error) => error.class(),
            Self::ReadBack(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Output(error) => error.class(),
            Self::Network { source, .. } => source.class(),
            Self::StopSlots(StopSlotError::Unknown { .. }) => Class::Usage,
            Self::Pending { .. } => Class::Pending,
            Self::StopSlots(StopSlotError::Disagree { .. })
            | Self::Refused { .. }
            | Self::Damaged { .. }
            | Self::Vanished { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Catalog(error) => return error.hint(),
            Self::ReadBack(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Output(error) => return error.hint(),
            Self::Network { source, .. } => return source.hint(),
            Self::StopSlots(_) => {
                "find out what the network agreed on, and give it as --slot-tx-end and \
                 --slot-chain-end; daemons that run with other numbers then do not count"
            }
            Self::Pending { .. } => {
                "let `dump-candidates capture` run on, and run the same command again later"
            }
            Self::Refused { .. } => {
                "time resolves none of this: look at `dump-candidates list --picture fork.html`, ask \
                 the operators of the daemons, and once people agree name the block with \
                 --state-hash"
            }
            Self::Damaged { .. } | Self::Vanished { .. } => {
                "nothing was written; `dump-candidates list --check` says what else is damaged, and \
                 capture stores it again once its documents are removed"
            }
        };
        Some(hint.to_owned())
    }
}

impl SelectArgs {
    /// Applies the rule, prints what it says about every block, and writes the chosen candidate.
    ///
    /// # Errors
    ///
    /// Fails, after printing, with [`SelectError::Pending`] and [`SelectError::Refused`] when
    /// nothing is chosen; and when the store cannot be read, contradicts itself, or the output
    /// cannot be written. Then nothing is left at `--output`.
    pub fn run(&self, context: &Context) -> Result<(), SelectError> {
        let network = self.read_network()?;
        let catalog = Catalog::open(Store::open(&self.store)?, Some(&network.name), false)?;
        let stock = Stock::read(&catalog)?;
        let wishes = Wishes {
            slot_tx_end: self.slot_tx_end,
            slot_chain_end: self.slot_chain_end,
            confirmations: self.confirmations,
            quorum: self.quorum,
        };
        let rule = rule(&wishes, &stock.views, &network.stop)?;
        let stored = stock.stored_blocks(|_, stored| stock.problems(stored));
        let selection = select(&network.name, &rule, &stock.views, &stored, self.state_hash);
        let document = selection.document;
        let Some(chosen) = document.chosen.as_ref().map(|chosen| chosen.state_hash) else {
            context.emit(&human(&document, None), &document)?;
            let problems = document.problems;
            return Err(match selection.outcome {
                Outcome::Refused => SelectError::Refused { problems },
                Outcome::Pending | Outcome::Chosen => SelectError::Pending { problems },
            });
        };
        let candidate = self.write(&catalog, &stock, chosen, &document, context)?;
        context.annotate(|| crate::annotation::table(&candidate));
        let output = Some(self.output.output.as_path());
        context.emit(&human(&document, output), &document)?;
        Ok(())
    }

    fn read_network(&self) -> Result<Network, SelectError> {
        let file = fork_fs::read_named_file(&self.network, NETWORK_BYTES_MAX)?;
        Network::named(&self.network, file.as_deref()).map_err(|source| SelectError::Network {
            name: self.network.clone(),
            source,
        })
    }

    fn write(
        &self,
        catalog: &Catalog,
        stock: &Stock,
        chosen: StateHash,
        document: &SelectionDocument,
        context: &Context,
    ) -> Result<Candidate, SelectError> {
        write::Writer {
            catalog,
            stock,
            selection: document,
            recompute_roots: self.recompute_roots,
            context,
        }
        .write(chosen, &self.output)
    }
}

#[cfg(test)]
mod tests;
