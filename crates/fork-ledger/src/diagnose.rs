//! Why a ledger has not the root it should have.
//!
//! A wrong root says nothing about its cause, but the causes seen in practice are few: a missing
//! genesis winner, the other loader, a wrong depth or era, a list that was migrated twice or not at
//! all, one account lost or doubled. [`diagnose`] computes the root each of them would give and says
//! which gives the expected one. One mistake at a time: two at once are found only where that is
//! said (a daemon's loader with its genesis winner).
//!
//! Hypotheses come in groups, the cheap ones first, and no further group is tried once one of them
//! explains the root: from the leaves alone, other readings, changed accounts, other eras, and at
//! last edits of one place of the list.
//!
//! A change of one account cannot be found from a root. Given another list of the ledger as
//! reference, [`diagnose`] says which accounts differ and in which members.
//!
//! Memory: 161 bytes for each account (leaf, key, tree, and the tree of the shifted list), never the
//! accounts themselves, which an [`AccountSource`] gives again and again. Time is bounded by
//! [`Question::permutations_max`]; what would exceed it is skipped and listed as such.

mod change;
mod cheap;
mod compare;
mod convert;
mod edits;
mod lanes;
mod reference;
mod run;
mod source;
mod texts;

use fork_types::{Era, LedgerHash, PublicKey, SlotSinceGenesis};

pub use compare::{
    AccountDifference, LeafComparison, MemberDifference, Shape, compare_leaves, member_differences,
    v1_member_differences,
};
pub use convert::{ConvertError, Converter, read_list};
pub use edits::{Edit, EditSearch, PATHS_PER_BATCH};
pub use run::diagnose;
pub use source::{AccountSource, AccountsInMemory, BatchSink, ReadFailure, Reading, ReadingLoader};

/// Permutations spent at most unless said otherwise: some minutes on one core with the vector
/// kernel, and enough for every hypothesis over 500,000 accounts.
pub const PERMUTATIONS_MAX_DEFAULT: u64 = 200_000_000;

/// Depths tried: ledgers have 20 or 35, test builds 10.
pub const DEPTHS: std::ops::RangeInclusive<u8> = 1..=40;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Root the ledger should have.
    pub expected: LedgerHash,
    /// How the list is read.
    pub reading: Reading,
    /// Depth of the tree.
    pub depth: u8,
    /// Whether the genesis winner goes in front; `None` leaves it to what stands beside the list.
    pub winner: Option<bool>,
    /// Slots of the new genesis to try migrations with; give the fork block's too, since taking it
    /// is one of the mistakes.
    pub fork_slots: Vec<SlotSinceGenesis>,
    /// Roots of other ledgers, by name: the list may be one of those.
    pub known_roots: Vec<NamedRoot>,
    /// Roots of other lists at hand, by name: the expected root may be of one of those.
    pub other_lists: Vec<NamedRoot>,
    /// Permutations spent at most, but for the first reading, which is always done.
    pub permutations_max: u64,
    /// Differences from the reference that are decoded.
    pub differences_max: usize,
}

impl Question {
    /// The question with nothing but the necessary.
    #[must_use]
    pub const fn new(expected: LedgerHash, reading: Reading) -> Self {
        Self {
            expected,
            reading,
            depth: reading.era.depth(),
            winner: None,
            fork_slots: Vec::new(),
            known_roots: Vec::new(),
            other_lists: Vec::new(),
            permutations_max: PERMUTATIONS_MAX_DEFAULT,
            differences_max: 10,
        }
    }

    /// Depth of the trees of `era`: the stated one, unless both eras keep to theirs.
    pub(crate) const fn depth_of(&self, era: Era) -> u8 {
        if self.depth == self.reading.era.depth() {
            era.depth()
        } else {
            self.depth
        }
    }
}

/// A root and what it is the root of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRoot {
    /// Such as `next`.
    pub name: String,
    /// The root.
    pub root: LedgerHash,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Root the ledger should have.
    pub expected: LedgerHash,
    /// Root of the list as it was to be read; `None` when it cannot be read so.
    pub given: Option<LedgerHash>,
    /// Leaves of that ledger, the genesis winner included.
    pub accounts: u64,
    /// What was tried, in order.
    pub hypotheses: Vec<Hypothesis>,
    /// The comparison with the reference, when there is one and it was needed.
    pub reference: Option<Reference>,
    /// Permutations spent, about: zkApp URIs and verification keys are not counted.
    pub permutations: u64,
}

impl Diagnosis {
    /// Whether the root is the expected one, so that there is nothing to explain.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.given == Some(self.expected)
    }

    /// The hypotheses that explain the expected root, the likeliest first.
    pub fn explanations(&self) -> impl Iterator<Item = &Hypothesis> {
        self.hypotheses
            .iter()
            .filter(|hypothesis| hypothesis.outcome.explains())
    }

    /// Whether the expected root is understood: it is the root, a hypothesis explains it, or the
    /// reference has it.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.is_expected()
            || self.explanations().next().is_some()
            || matches!(
                &self.reference,
                Some(Reference::Compared(comparison)) if comparison.root == self.expected
            )
    }

    /// How many hypotheses were tried to their end.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.hypotheses
            .iter()
            .filter(|hypothesis| match hypothesis.outcome {
                Outcome::Root { .. }
                | Outcome::Found { .. }
                | Outcome::NotFound { .. }
                | Outcome::NoEffect => true,
                Outcome::Refused { .. } | Outcome::Skipped { .. } => false,
            })
            .count()
    }

    /// Whether no reading of the list came to its end.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.given.is_none()
            && !self
                .hypotheses
                .iter()
                .any(|hypothesis| matches!(hypothesis.outcome, Outcome::Root { .. }))
    }
}

/// One possible mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hypothesis {
    /// Stable name, such as `missing-winner`, `depth-20` or `dropped-account`.
    pub id: String,
    /// What the expected root would be the root of.
    pub summary: String,
    /// What to do when it is so.
    pub advice: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a hypothesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gives one root.
    Root {
        /// The root.
        root: LedgerHash,
        /// Whether that explains the expected one.
        explains: bool,
    },
    /// At one place of the list it gives the expected root.
    Found {
        /// Index of the account.
        index: u64,
        /// Owner of the account.
        public_key: PublicKey,
        /// Places tried.
        roots: u64,
    },
    /// At no place of the list it gives the expected root.
    NotFound {
        /// Places tried.
        roots: u64,
    },
    /// It changes no account of the list.
    NoEffect,
    /// The list does not allow it.
    Refused {
        /// Why not.
        reason: String,
    },
    /// It would exceed the limit.
    Skipped {
        /// Permutations it would take, or had taken when the limit was reached.
        permutations: u64,
    },
}

impl Outcome {
    /// Whether it explains the expected root.
    #[must_use]
    pub const fn explains(&self) -> bool {
        match self {
            Self::Root { explains, .. } => *explains,
            Self::Found { .. } => true,
            Self::NotFound { .. }
            | Self::NoEffect
            | Self::Refused { .. }
            | Self::Skipped { .. } => false,
        }
    }
}

/// What the reference said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// It was compared.
    Compared(Comparison),
    /// It cannot be read as the list is.
    Refused {
        /// Why not.
        reason: String,
    },
}

/// The list and its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Root of the reference, read as the list is.
    pub root: LedgerHash,
    /// Leaves of the reference.
    pub accounts: u64,
    /// How the leaves differ.
    pub leaves: LeafComparison,
    /// The first differences, decoded.
    pub differences: Vec<AccountDifference>,
}

/// What a diagnosis is doing, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The list is read once more.
    Reading(&'a str),
    /// Places are tried.
    Searching {
        /// The hypothesis.
        id: &'a str,
        /// How many places there are.
        places: u64,
    },
    /// That many places more were tried.
    Tried(u64),
}
