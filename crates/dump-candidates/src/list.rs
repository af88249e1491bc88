//! `dump-candidates list`.

use std::path::{Path, PathBuf};

use fork_daemon::{Store, StoreError, StoreUrl};
use fork_fs::FsError;
use fork_genesis::network::StopSlots;
use fork_genesis::selection::tree::BlockTree;
use fork_genesis::selection::{CONFIRMATIONS_DEFAULT, Selection, select};
use fork_types::document::StoredCandidate;
use fork_types::{Class, Fault};
use fork_worker::{Context, OutputError, ReportingArgs};

use crate::catalog::{Catalog, CatalogError};
use crate::picture::{self, Picture, PictureForm};
use fork_genesis::selection::rule::{StopSlotError, Wishes, rule};

pub(crate) mod check;
mod document;
pub(crate) mod read_back;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod stock;
mod text;

pub(crate) use document::label;
pub use document::{ListDocument, ListedCandidate, ListedDaemon, ListedLedger};
pub use read_back::ReadBackError;
pub use stock::StoreProblem;

use check::LedgerProblems;
use stock::Stock;

/// Most problems repeated in the error; all of them are in the result before it.
const SHOWN_MAX: usize = 3;

/// Show what a candidate store holds
///
/// Lists every candidate with its branch, the daemons that have it on their best chain and its size;
/// what was refused and why; and what each daemon last showed. A candidate counts as verified when
/// its roots were recomputed and all its ledgers are there; --check reads every stored object again.
/// Ends with exit code 4 when anything in the store is not as its documents say.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Store of the candidates: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; credentials
    /// come from the environment
    #[arg(long, value_name = "URL", default_value = "candidate-store")]
    pub store: StoreUrl,

    /// Draw the branches around the fork into this file (.svg or .html)
    #[arg(long, value_name = "FILE", value_parser = picture_file)]
    pub picture: Option<PathBuf>,

    /// Blocks that must stand above the fork block, for what the rule says so far
    #[arg(long, value_name = "N", default_value_t = CONFIRMATIONS_DEFAULT)]
    pub confirmations: u32,

    /// Read every stored object again: compare digests, recompute ledger roots and state hashes
    #[arg(long)]
    pub check: bool,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Why `dump-candidates list` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The store.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A stored ledger cannot be read, and not because of what it says.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    /// The picture cannot be written.
    #[error(transparent)]
    File(#[from] FsError),
    /// stdout cannot be written to.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A picture of a kind there is not.
    #[error("`{}` names no picture: its name ends neither in .svg nor in .html", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
    },
    /// Something in the store is not as its documents say.
    #[error("{} problem(s) in the store: {}", .problems.len(), shown(.problems))]
    Problems {
        /// All of them.
        problems: Vec<StoreProblem>,
    },
}

fn shown(problems: &[StoreProblem]) -> String {
    let mut texts: Vec<String> = problems
        .iter()
        .take(SHOWN_MAX)
        .map(ToString::to_string)
        .collect();
    if problems.len() > SHOWN_MAX {
        texts.push("and more, see above".to_owned());
    }
    texts.join("; ")
}

impl From<StoreError> for ListError {
    fn from(error: StoreError) -> Self {
        Self::Catalog(error.into())
    }
}

impl Fault for ListError {
    fn class(&self) -> Class {
        match self {
            Self::Catalog(error) => error.class(),
            Self::ReadBack(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Output(error) => error.class(),
            Self::Picture { .. } => Class::Usage,
            Self::Problems { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalog(error) => error.hint(),
            Self::ReadBack(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Output(error) => error.hint(),
            Self::Picture { .. } => None,
            Self::Problems { .. } => Some(
                "what is listed as not verified must not become a release; remove its documents \
                 from the store and capture it again while the daemons still have the block"
                    .to_owned(),
            ),
        }
    }
}

impl ListArgs {
    /// Prints what the store holds, and draws it if asked to.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, and, after everything is printed and drawn, when
    /// anything in it is not as its documents say.
    pub fn run(&self, context: &Context) -> Result<(), ListError> {
        let form = self.picture.as_deref().map(form_of).transpose()?;
        let catalog = Catalog::open(Store::open(&self.store)?, None, false)?;
        let listing = Listing::read(&catalog, self.check, self.confirmations, context)?;
        let document = listing.document();
        if let (Some(path), Some(form)) = (&self.picture, form) {
            let text = listing.picture(&document).draw(form);
            fork_fs::write_atomic(path, text.as_bytes())?;
        }
        context.annotate(|| crate::annotation::stored(&document));
        context.emit(&text::human(&document), &document)?;
        if document.problems.is_empty() {
            Ok(())
        } else {
            Err(ListError::Problems {
                problems: document.problems,
            })
        }
    }
}

/// A store as it was read, and what the rule makes of it.
pub(crate) struct Listing {
    store: String,
    network: String,
    stock: Stock,
    checked: Option<Checked>,
    selection: Result<Selection, StopSlotError>,
}

/// What `--check` found.
pub(crate) struct Checked {
    ledgers: LedgerProblems,
    /// By candidate.
    blocks: Vec<Vec<StoreProblem>>,
}

impl Listing {
    fn read(
        catalog: &Catalog,
        check: bool,
        confirmations: u32,
        context: &Context,
    ) -> Result<Self, ListError> {
        let stock = Stock::read(catalog)?;
        let checked = match check {
            false => None,
            true => Some(Checked {
                ledgers: check::check_ledgers(catalog, &stock, context)?,
                blocks: stock
                    .candidates
                    .iter()
                    .map(|stored| check::check_block(catalog, stored))
                    .collect::<Result<_, _>>()?,
            }),
        };
        Ok(Self::new(
            catalog.location(),
            catalog.network().to_owned(),
            stock,
            checked,
            confirmations,
        ))
    }

    pub(crate) fn new(
        store: String,
        network: String,
        stock: Stock,
        checked: Option<Checked>,
        confirmations: u32,
    ) -> Self {
        // A listing has no network file; what the daemons run with is what matters to them.
        let wishes = Wishes {
            confirmations,
            ..Wishes::default()
        };
        let problems =
            |index, stored: &StoredCandidate| problems(&stock, checked.as_ref(), index, stored);
        let selection = rule(&wishes, &stock.views, &StopSlots::default()).map(|rule| {
            let blocks = stock.stored_blocks(problems);
            select(&network, &rule, &stock.views, &blocks, None)
        });
        Self {
            store,
            network,
            stock,
            checked,
            selection,
        }
    }

    pub(crate) fn picture<'a>(&'a self, document: &'a ListDocument) -> Picture<'a> {
        Picture {
            document,
            views: &self.stock.views,
            selection: self.selection.as_ref().ok(),
            main_tip: self.main_tip(&BlockTree::new(&self.stock.views)),
        }
    }
}

/// What speaks against a candidate, as far as it was looked at.
fn problems(
    stock: &Stock,
    checked: Option<&Checked>,
    index: usize,
    stored: &StoredCandidate,
) -> Vec<StoreProblem> {
    let mut problems = stock.problems(stored);
    if let Some(checked) = checked {
        let roots = Stock::roots(stored);
        let ledgers = roots.iter().filter_map(|root| checked.ledgers.get(root));
        let blocks = checked.blocks.get(index).into_iter();
        problems.extend(blocks.chain(ledgers).flatten().cloned());
    }
    problems
}

/// A file name that says which kind of picture it is.
fn picture_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match PictureForm::of(&path) {
        Some(_) => Ok(path),
        None => Err("the name of a picture ends in .svg or .html".to_owned()),
    }
}

fn form_of(path: &Path) -> Result<PictureForm, ListError> {
    picture::PictureForm::of(path).ok_or_else(|| ListError::Picture {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests;
