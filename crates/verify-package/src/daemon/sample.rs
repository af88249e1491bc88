//! Which accounts are looked at.

use std::collections::{BTreeMap, BTreeSet};

use fork_ledger::account::{Account, Timing};
use fork_store::{StoreExaminer, StoreReader};
use fork_types::{Role, TokenId};

use super::accounts::NotSampled;
use super::args::NodeArgs;
use super::coverage;
use crate::facts::Facts;
use crate::report::{ReportCoverage, ReportEdge, ReportMissed, ReportSample};
use crate::subject::error_text;

/// Most accounts of one kind that are always looked at: mainnet has fewer zkApps and token accounts,
/// and a daemon answers twenty accounts in some milliseconds.
const EDGES_MAX: u64 = 2000;

/// Numbers of bad accounts that the report has a probability for.
const BAD: [u64; 3] = [1, 10, 100];

/// Accounts read at a time.
const ACCOUNTS_PER_BATCH: usize = 8192;

/// Accounts to look at.
#[derive(Debug)]
pub(super) struct Chosen {
    /// By leaf.
    pub(super) accounts: BTreeMap<u64, Account>,
    /// How they were chosen.
    pub(super) report: ReportSample,
}

/// A kind of accounts: its name, and whether an account is one.
type Kind = (&'static str, fn(&Account) -> bool);

/// Kinds of accounts that are always looked at, beside the first and the last.
const KINDS: [Kind; 3] = [
    ("zkapp", |account| account.zkapp.is_some()),
    // A migration may give every account a schedule that holds nothing back.
    ("timed", |account| match &account.timing {
        Timing::Untimed => false,
        Timing::Timed(vesting) => vesting.initial_minimum_balance.nanomina() > 0,
    }),
    ("token", |account| account.token_id != TokenId::DEFAULT),
];

/// Reads the packaged genesis ledger and takes out the accounts to look at.
pub(super) fn choose(facts: &Facts, args: &NodeArgs) -> Result<Chosen, NotSampled> {
    let other = |why: String| NotSampled::Other(format!("the packaged ledger: {why}"));
    let (seed, seed_by) = seed(facts, args).map_err(other)?;
    let store = super::exports::open(facts, Role::Genesis).map_err(other)?;
    choose_from(&store, facts, args.sample, seed, seed_by).map_err(other)
}

fn choose_from(
    store: &StoreReader,
    facts: &Facts,
    drawn: u64,
    seed: u64,
    seed_by: String,
) -> Result<Chosen, String> {
    let era = facts.reference.network.target_era;
    let ledger = facts.ledger(Role::Genesis);
    let total = ledger.store.as_ref().map_err(Clone::clone)?.accounts;
    let mut random = Random::new(seed);
    let leaves = draw(total, drawn, &mut random);
    let mut accounts = BTreeMap::new();
    let mut edges: Vec<Reservoir> = KINDS.iter().map(|_| Reservoir::default()).collect();
    let mut examiner =
        StoreExaminer::new(store, era, era.depth()).map_err(|error| error_text(&error))?;
    let mut leaf = 0;
    loop {
        let batch = examiner
            .take(ACCOUNTS_PER_BATCH)
            .map_err(|error| error_text(&error))?;
        if batch.is_empty() {
            break;
        }
        for account in batch {
            let Some(account) = account else {
                return Err(format!("account {leaf} is missing or does not decode"));
            };
            for ((_, is_one), edges) in KINDS.iter().zip(&mut edges) {
                if is_one(&account) {
                    edges.offer(leaf, &account, &mut random);
                }
            }
            if leaf == 0 || leaf + 1 == total || leaves.contains(&leaf) {
                accounts.insert(leaf, account);
            }
            leaf += 1;
        }
    }
    let ends = u64::from(total > 0);
    let mut reported = vec![edge("first", ends, ends), edge("last", ends, ends)];
    for ((kind, _), reservoir) in KINDS.iter().zip(edges) {
        let asked = reservoir.kept.len() as u64;
        reported.push(edge(kind, reservoir.seen, asked));
        accounts.extend(reservoir.kept);
    }
    let drawn = leaves.len() as u64;
    let report = ReportSample {
        role: Role::Genesis,
        seed: seed.to_string(),
        seed_by,
        accounts: total,
        drawn,
        asked: accounts.len() as u64,
        coverage: covered(total, drawn, &reported),
        edges: reported,
    };
    Ok(Chosen { accounts, report })
}

fn edge(kind: &str, accounts: u64, asked: u64) -> ReportEdge {
    ReportEdge {
        kind: kind.to_owned(),
        accounts,
        asked,
    }
}

fn covered(total: u64, drawn: u64, edges: &[ReportEdge]) -> ReportCoverage {
    let missed: Vec<ReportMissed> = BAD
        .into_iter()
        .filter_map(|bad| {
            Some(ReportMissed {
                bad,
                probability: coverage::missed(total, drawn, bad)?.to_string(),
            })
        })
        .collect();
    let found_99 = coverage::found(total, drawn);
    let mut statement = format!("{drawn} of {total} accounts were drawn");
    for one in &missed {
        statement.push_str(&format!(
            ", {} bad {} missed with probability {}",
            one.bad,
            if one.bad == 1 { "is" } else { "are" },
            one.probability
        ));
    }
    if let Some(bad) = found_99 {
        statement.push_str(&format!(", {bad} or more are found with 99 %"));
    }
    let also: Vec<String> = edges
        .iter()
        .filter(|edge| edge.asked > 0)
        .map(
            |edge| match (edge.kind.as_str(), edge.asked, edge.accounts) {
                (end @ ("first" | "last"), ..) => format!("the {end}"),
                (kind, asked, all) if asked == all => format!("all {all} {kind}"),
                (kind, asked, all) => format!("{asked} of {all} {kind} (drawn)"),
            },
        )
        .collect();
    statement.push_str(&format!("; also {}", also.join(", ")));
    ReportCoverage {
        missed,
        found_99,
        statement,
    }
}

/// The seed: given, or from the packaged config, which names all three roots and is the same file in
/// the package, in a root and in an image.
fn seed(facts: &Facts, args: &NodeArgs) -> Result<(u64, String), String> {
    if let Some(seed) = args.seed {
        return Ok((seed, "--seed".to_owned()));
    }
    let subject = facts.subject.as_ref().map_err(Clone::clone)?;
    let digests = subject.digests.get(&facts.config_path);
    let seed = digests
        .and_then(|digests| digests.sha256.get(..16))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or("there is no config to take a seed from")?;
    Ok((seed, "SHA-256 of the packaged config".to_owned()))
}

/// `count` different leaves below `total`, each set with the same probability (Floyd's algorithm).
fn draw(total: u64, count: u64, random: &mut Random) -> BTreeSet<u64> {
    let mut drawn = BTreeSet::new();
    for last in total.saturating_sub(count)..total {
        let leaf = random.below(last + 1);
        if !drawn.insert(leaf) {
            drawn.insert(last);
        }
    }
    drawn
}

/// Accounts of a kind, a drawn part of them when there are too many.
#[derive(Debug, Default)]
struct Reservoir {
    seen: u64,
    kept: Vec<(u64, Account)>,
}

impl Reservoir {
    fn offer(&mut self, leaf: u64, account: &Account, random: &mut Random) {
        self.seen += 1;
        if self.seen <= EDGES_MAX {
            self.kept.push((leaf, account.clone()));
            return;
        }
        let place = usize::try_from(random.below(self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = (leaf, account.clone());
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014). Written out because a sample is its seed: a crate that
/// changes its algorithm would change what old reports say was looked at.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0. The bias is below 2^-32 for the bounds used.
    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = Random::new(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn a_sample_is_its_seed() {
        let sample = |seed| draw(1000, 50, &mut Random::new(seed));
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
        assert_eq!(sample(1).len(), 50);
        assert_eq!(draw(10, 10, &mut Random::new(1)).len(), 10);
        assert_eq!(draw(10, 99, &mut Random::new(1)).len(), 10);
        assert!(draw(0, 5, &mut Random::new(1)).is_empty());
    }

    #[test]
    fn every_leaf_is_drawn_equally_often() {
        let mut counts = [0_u32; 10];
        for seed in 0..10_000 {
            for leaf in draw(10, 3, &mut Random::new(seed)) {
                counts[usize::try_from(leaf).unwrap()] += 1;
            }
        }
        // 3000 expected; the standard deviation is 46.
        assert!(
            counts.iter().all(|count| (2750..3250).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn too_many_of_a_kind_are_drawn_from() {
        let account = Account::empty(fork_types::Era::Mesa);
        let mut random = Random::new(1);
        let mut reservoir = Reservoir::default();
        for leaf in 0..EDGES_MAX * 2 {
            reservoir.offer(leaf, &account, &mut random);
        }
        assert_eq!(reservoir.kept.len() as u64, EDGES_MAX);
        assert_eq!(reservoir.seen, EDGES_MAX * 2);
        let leaves: BTreeSet<u64> = reservoir.kept.iter().map(|(leaf, _)| *leaf).collect();
        assert_eq!(leaves.len() as u64, EDGES_MAX);
        let late = leaves.iter().filter(|leaf| **leaf >= EDGES_MAX).count();
        assert!((800..1200).contains(&late), "{late}");
    }
}
