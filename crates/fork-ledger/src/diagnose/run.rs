//! The order of events: cheap hypotheses first, and each group only when none before explains.

use fork_types::{Era, PublicKey};
use pasta_poseidon::Fp;

use super::change::is_winner;
use super::edits::{Edit, EditSearch};
use super::lanes::{Lane, Lanes, Traits, changes, permutations, plain_leaves};
use super::source::{AccountSource, ReadFailure, Reading, ReadingLoader};
use super::texts::{edit_texts, loader_texts, other_loaders};
use super::{Diagnosis, Hypothesis, Outcome, Question, Step};
use crate::batch::{AccountBatch, LeafHasher};
use crate::hash::hash_account;
use crate::json::ledger_object::released_genesis_winner;
use crate::merkle::{MerkleTree, RootBuilder, ledger_hash};
use crate::packing::element;
use crate::verification_key::VkHashCache;

/// Transaction versions accounts of v1 may have been migrated with: the right one, that of test
/// scripts, and Berkeley's own.
const V1_TXN_VERSIONS: [u32; 3] = [2, 1, 3];

/// Says why the list of `source` has not the expected root. `reference` is another list of the same
/// ledger; it is read only when the root is wrong.
///
/// Runs on all threads of the current rayon pool.
///
/// # Errors
///
/// Fails when a source does. Accounts that cannot be read one way or the other are no failure.
pub fn diagnose<S: AccountSource>(
    question: &Question,
    source: &mut S,
    reference: Option<&mut S>,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Diagnosis, S::Error> {
    let mut run = Run {
        question,
        expected: element(question.expected.field()),
        hypotheses: Vec::new(),
        permutations: 0,
        watch,
    };
    let mut diagnosis = Diagnosis {
        expected: question.expected,
        given: None,
        accounts: 0,
        hypotheses: Vec::new(),
        reference: None,
        permutations: 0,
    };
    match run.read_list("the list", source)? {
        Ok(list) => {
            let given = list.tree.root();
            diagnosis.given = Some(ledger_hash(given));
            diagnosis.accounts = list.tree.len() as u64;
            if given != run.expected {
                run.cheap(&list);
                if !run.is_explained() {
                    run.readings(source, Some(&list))?;
                }
                if !run.is_explained() {
                    run.changes(source, &list)?;
                }
                if !run.is_explained() {
                    run.other_eras(source, Some(&list))?;
                }
                if let Some(reference) = reference {
                    diagnosis.reference = Some(run.compare(&list, source, reference)?);
                }
                if !run.is_explained() && !diagnosis.is_explained() {
                    run.searches(&list);
                }
            }
        }
        Err(reason) => {
            run.hypotheses.push(Hypothesis {
                id: "as-asked".to_owned(),
                summary: "the list read as asked".to_owned(),
                advice: "read it another way".to_owned(),
                outcome: Outcome::Refused { reason },
            });
            run.readings(source, None)?;
            run.other_eras(source, None)?;
        }
    }
    diagnosis.permutations = run.permutations;
    diagnosis.hypotheses = run.hypotheses;
    Ok(diagnosis)
}

/// What is kept of a list.
pub(super) struct List {
    pub(super) tree: MerkleTree,
    pub(super) keys: Vec<PublicKey>,
    traits: Traits,
    pub(super) winner_added: bool,
    /// What it took to hash it.
    permutations: u64,
}

impl List {
    pub(super) fn leaves(&self) -> &[Fp] {
        self.tree.level(0).unwrap_or_default()
    }

    /// Without the winner that was added.
    fn listed_leaves(&self) -> &[Fp] {
        let leaves = self.leaves();
        leaves
            .get(usize::from(self.winner_added)..)
            .unwrap_or(leaves)
    }
}

/// A diagnosis under way.
pub(super) struct Run<'q, 'w> {
    pub(super) question: &'q Question,
    expected: Fp,
    hypotheses: Vec<Hypothesis>,
    pub(super) permutations: u64,
    pub(super) watch: &'w mut dyn FnMut(Step<'_>),
}

impl Run<'_, '_> {
    fn is_explained(&self) -> bool {
        self.hypotheses
            .iter()
            .any(|hypothesis| hypothesis.outcome.explains())
    }

    fn remaining(&self) -> u64 {
        self.question
            .permutations_max
            .saturating_sub(self.permutations)
    }

    pub(super) fn add(&mut self, id: &str, summary: &str, advice: &str, outcome: Outcome) {
        self.hypotheses.push(Hypothesis {
            id: id.to_owned(),
            summary: summary.to_owned(),
            advice: advice.to_owned(),
            outcome,
        });
    }

    /// Adds a hypothesis whose root is known.
    pub(super) fn add_root(&mut self, id: &str, summary: &str, advice: &str, root: Fp) {
        let outcome = Outcome::Root {
            root: ledger_hash(root),
            explains: root == self.expected,
        };
        self.add(id, summary, advice, outcome);
    }

    /// Adds a hypothesis that is a list of leaves.
    pub(super) fn add_leaves<'l>(
        &mut self,
        id: &str,
        summary: &str,
        advice: &str,
        era: Era,
        parts: impl IntoIterator<Item = &'l [Fp]>,
    ) {
        let mut builder = RootBuilder::new(era, self.question.depth);
        for part in parts {
            if self.permutations >= self.question.permutations_max {
                let permutations = self.permutations;
                self.add(id, summary, advice, Outcome::Skipped { permutations });
                return;
            }
            if let Err(error) = builder.extend_from_slice(part) {
                let reason = error.to_string();
                self.add(id, summary, advice, Outcome::Refused { reason });
                return;
            }
            self.permutations += part.len() as u64;
        }
        self.add_root(id, summary, advice, builder.finish());
    }

    /// Reads a list as asked. The inner error says why it cannot be read so.
    pub(super) fn read_list<S: AccountSource>(
        &mut self,
        label: &str,
        source: &mut S,
    ) -> Result<Result<List, String>, S::Error> {
        let Question { reading, depth, .. } = self.question;
        let hasher = LeafHasher::new(reading.era);
        let (mut leaves, mut keys, mut traits) = (Vec::new(), Vec::new(), Traits::default());
        let mut spent = 0;
        (self.watch)(Step::Reading(label));
        let read = source.read(reading, &mut |batch| {
            leaves.extend(plain_leaves(&hasher, &batch)?);
            match &batch {
                AccountBatch::V1(accounts) => keys.extend(accounts.iter().map(|a| a.public_key)),
                AccountBatch::Later(accounts) => {
                    keys.extend(accounts.iter().map(|account| account.public_key));
                }
            }
            traits.note(&batch);
            spent += permutations(reading.era, &batch);
            Ok(())
        });
        let asks_for_winner = match read {
            Ok(asks) => self.question.winner.unwrap_or(asks),
            Err(ReadFailure::Refused(reason)) => return Ok(Err(reason)),
            Err(ReadFailure::Failed(error)) => return Err(error),
        };
        let winner = match keys.first() {
            Some(key) if is_winner(key) => None,
            _ if asks_for_winner => winner(reading.era),
            _ => None,
        };
        if let Some((key, leaf)) = winner {
            leaves.insert(0, leaf);
            keys.insert(0, key);
        }
        spent += leaves.len() as u64 + u64::from(*depth);
        self.permutations += spent;
        Ok(MerkleTree::new(reading.era, *depth, leaves)
            .map(|tree| List {
                tree,
                keys,
                traits,
                winner_added: winner.is_some(),
                permutations: spent,
            })
            .map_err(|error| error.to_string()))
    }

    /// The list read by other rules.
    fn readings<S: AccountSource>(
        &mut self,
        source: &mut S,
        list: Option<&List>,
    ) -> Result<(), S::Error> {
        let asked = self.question.reading;
        let eras: &[Era] = match asked.era {
            Era::V1 => &[],
            Era::Berkeley | Era::Mesa => &[asked.era],
        };
        for era in eras.iter().copied() {
            for (id, loader) in other_loaders(asked.loader, list.is_some()) {
                let lane = |id: &str, first| {
                    let (summary, advice) = loader_texts(id);
                    Lane::as_read(id, summary, advice, (era, self.question.depth), first)
                };
                let mut lanes = vec![lane(id, None)];
                if let (ReadingLoader::Daemon { .. }, Some((_, leaf))) = (loader, winner(era)) {
                    lanes.push(lane(&format!("{id}-with-winner"), Some(leaf)));
                }
                if list.is_none() {
                    lanes.extend(self.change_lanes(era, true, &Traits::default(), id));
                }
                self.pass(source, Reading { era, loader }, lanes, None)?;
            }
        }
        Ok(())
    }

    /// The list read by the rules of other eras, and migrated from there.
    fn other_eras<S: AccountSource>(
        &mut self,
        source: &mut S,
        list: Option<&List>,
    ) -> Result<(), S::Error> {
        let asked = self.question.reading.era;
        for era in [Era::Berkeley, Era::Mesa, Era::V1] {
            let id = format!("read-as-{era}");
            let depth = self.question.depth_of(era);
            let mut lanes = Vec::new();
            if era == Era::V1 {
                // The accounts of both records are worth migrating even when asked for as v1.
                let depth = self.question.depth_of(Era::Berkeley);
                lanes.extend(V1_TXN_VERSIONS.map(|version| Lane::migrated_v1(version, depth)));
            }
            if era == asked && (lanes.is_empty() || list.is_none()) {
                continue;
            }
            if era != asked {
                lanes.push(Lane::as_read(
                    &id,
                    &format!("the list read and hashed by the rules of {era}"),
                    &format!("name the era {era}, or migrate the list first"),
                    (era, depth),
                    None,
                ));
                if era == Era::Berkeley {
                    lanes.extend(self.change_lanes(era, true, &Traits::default(), &id));
                }
            }
            let loader = ReadingLoader::RELAXED;
            self.pass(source, Reading { era, loader }, lanes, None)?;
        }
        Ok(())
    }

    /// Migrations of a list that is read by other rules than asked.
    fn change_lanes(
        &self,
        era: Era,
        may_be_unmigrated: bool,
        traits: &Traits,
        prefix: &str,
    ) -> Vec<Lane> {
        changes(era, traits, may_be_unmigrated, &self.question.fork_slots)
            .into_iter()
            .filter(super::change::Change::is_migration)
            .map(|change| {
                let depth = |era| self.question.depth_of(era);
                let mut lane = Lane::changed(change, era, depth, |_| None);
                lane.id = format!("{prefix}-{}", lane.id);
                lane
            })
            .collect()
    }

    /// The accounts as other mistakes would have made them.
    fn changes<S: AccountSource>(&mut self, source: &mut S, list: &List) -> Result<(), S::Error> {
        let reading = self.question.reading;
        let padded = matches!(
            reading.loader,
            ReadingLoader::Fork {
                pad_app_state: true,
                ..
            }
        );
        let may_be_unmigrated = padded || !list.traits.has_zkapps;
        let mut affordable = self.remaining() / list.permutations.max(1);
        let mut lanes: Vec<Lane> = changes(
            reading.era,
            &list.traits,
            may_be_unmigrated,
            &self.question.fork_slots,
        )
        .into_iter()
        .map(|change| {
            let first = |era| match list.winner_added {
                true => winner(era).map(|(_, leaf)| leaf),
                false => None,
            };
            Lane::changed(
                change,
                reading.era,
                |era| self.question.depth_of(era),
                first,
            )
        })
        .collect();
        for lane in &mut lanes {
            if affordable == 0 {
                lane.skip(list.permutations);
            } else {
                affordable -= 1;
            }
        }
        self.pass(source, reading, lanes, Some(list))
    }

    /// Reads the list once more, for all `lanes` together.
    fn pass<S: AccountSource>(
        &mut self,
        source: &mut S,
        reading: Reading,
        lanes: Vec<Lane>,
        list: Option<&List>,
    ) -> Result<(), S::Error> {
        let known = list.map(List::listed_leaves);
        let mut lanes = Lanes::new(reading.era, lanes, known, self.remaining());
        if self.permutations >= self.question.permutations_max {
            for lane in &mut lanes.lanes {
                lane.skip(list.map_or(0, |list| list.permutations));
            }
        }
        let mut refused = None;
        if lanes.any_open() {
            let label = match (list, lanes.lanes.first()) {
                (None, Some(lane)) => lane.id.clone(),
                (Some(_), _) | (None, None) => "changed accounts".to_owned(),
            };
            (self.watch)(Step::Reading(&label));
            match source.read(&reading, &mut |batch| lanes.push(&batch)) {
                Ok(_) => {}
                Err(ReadFailure::Refused(reason)) => refused = Some(reason),
                Err(ReadFailure::Failed(error)) => return Err(error),
            }
        }
        self.permutations += lanes.permutations;
        let finished = lanes
            .lanes
            .into_iter()
            .map(|lane| lane.finish(self.expected, refused.as_deref()));
        self.hypotheses.extend(finished);
        Ok(())
    }

    /// Edits of one place, each at every place.
    fn searches(&mut self, list: &List) {
        for edit in Edit::ALL {
            let (id, summary, advice) = edit_texts(edit);
            let cost = EditSearch::cost(edit, list.tree.len() as u64, list.tree.depth());
            if cost > self.remaining() {
                let permutations = cost;
                self.add(id, summary, advice, Outcome::Skipped { permutations });
                continue;
            }
            let Some(search) = EditSearch::new(edit, &list.tree) else {
                let reason = "the tree is full".to_owned();
                self.add(id, summary, advice, Outcome::Refused { reason });
                continue;
            };
            let places = search.places();
            (self.watch)(Step::Searching { id, places });
            let found = search.find(self.expected, |tried| (self.watch)(Step::Tried(tried)));
            self.permutations += cost;
            let key = |index: u64| list.keys.get(usize::try_from(index).ok()?).copied();
            let outcome = match found.and_then(|index| Some((index, key(index)?))) {
                Some((index, public_key)) => Outcome::Found {
                    index,
                    public_key,
                    roots: places,
                },
                None => Outcome::NotFound { roots: places },
            };
            self.add(id, summary, advice, outcome);
            if found.is_some() {
                return;
            }
        }
    }
}

/// Key and leaf of the genesis winner; v1 has none.
pub(super) fn winner(era: Era) -> Option<(PublicKey, Fp)> {
    let account = released_genesis_winner(era).ok()?;
    let leaf = hash_account(era, &account, &VkHashCache::new()).ok()?;
    Some((account.public_key, leaf))
}
