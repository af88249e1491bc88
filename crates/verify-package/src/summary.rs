//! From the facts to the document.

use std::sync::Arc;

use fork_genesis::schedule::ChainClock;
use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::{Role, SlotSinceGenesis};

use crate::checks;
use crate::config::ConfigView;
use crate::facts::{Facts, SLOT_POINTER, TIME_POINTER};
use crate::ledgers::LedgerFacts;
use crate::reference::Reference;
use crate::report::{
    ReportCurves, ReportFacts, ReportFile, ReportForkBlock, ReportGenesis, ReportLedger,
    ReportLedgerSeries, ReportSeries, ReportTarball,
};
use crate::series::{self, Series};

/// The clocks by which vesting is counted.
pub(crate) struct Clocks {
    /// The times; none when nobody says when the new chain starts.
    pub(crate) times_ms: Vec<u64>,
    before: Arc<[u32]>,
    after: Arc<[u32]>,
}

impl Clocks {
    /// Times from the new genesis on, as the stop slots give it, or else the package. The candidate
    /// is on the old chain's clock, the package on the one that it brings.
    pub(crate) fn new(reference: &Reference, config: Option<&ConfigView>) -> Self {
        let (old, _) = reference.clock();
        let packaged = config.and_then(|config| {
            let (genesis, _) = GenesisTimestamp::parse(config.text(TIME_POINTER)?).ok()?;
            Some(ChainClock {
                genesis,
                slot_ms: reference.network.target.slot_ms,
                fork_slot: SlotSinceGenesis::new(config.number(SLOT_POINTER)?),
            })
        });
        let scheduled = reference.schedule.as_ref().ok();
        let origin = scheduled
            .map(|schedule| schedule.genesis_timestamp)
            .or(packaged.map(|clock| clock.genesis));
        let times_ms = origin.map_or_else(Vec::new, |origin| series::times(origin.ms()));
        Self {
            before: series::slots(&times_ms, &old),
            after: packaged.map_or_else(|| Arc::from([]), |clock| series::slots(&times_ms, &clock)),
            times_ms,
        }
    }

    /// Charts of a list of the candidate, still empty.
    pub(crate) fn before(&self) -> Series {
        Series::new(Arc::clone(&self.before))
    }

    /// Charts of a store of the package.
    pub(crate) fn after(&self) -> Series {
        Series::new(Arc::clone(&self.after))
    }
}

/// The fork on one screen.
pub(crate) fn facts(facts: &Facts) -> ReportFacts {
    let candidate = &facts.reference.candidate;
    let block = &candidate.fork_block;
    let subject = facts.subject.as_ref().ok();
    let config = facts.config.as_ref().ok();
    let time = checks::slot_and_time(facts).ok().map(|(_, time)| time);
    let control = |name: &str| {
        let value = subject?.control.as_ref()?.get(name)?;
        Some(value.to_owned())
    };
    let files = subject.map_or_else(Vec::new, |subject| {
        let all = subject.entries.iter();
        all.filter_map(|(path, entry)| {
            Some(ReportFile {
                path: path.clone(),
                bytes: entry.file()?.bytes,
                sha256: subject.digests.get(path)?.sha256.clone(),
            })
        })
        .collect()
    });
    ReportFacts {
        network_id: facts.reference.network.network_id.clone(),
        fork_block: ReportForkBlock {
            state_hash: block.state_hash,
            blockchain_length: block.blockchain_length,
            global_slot_since_genesis: block.global_slot_since_genesis,
            slot_since_hard_fork: block.slot_since_hard_fork,
            time: block
                .timestamp_ms
                .and_then(|ms| GenesisTimestamp::from_ms(ms).ok())
                .map(|time| time.to_string()),
        },
        genesis: ReportGenesis {
            time: time.map(|time| time.to_string()),
            global_slot_since_genesis: config
                .and_then(|config| config.number(SLOT_POINTER))
                .map(SlotSinceGenesis::new),
            slot_ms: facts.reference.network.target.slot_ms,
        },
        staking_seed: candidate.seeds.staking,
        next_seed: candidate.seeds.next,
        ledgers: facts.ledgers.iter().map(|one| ledger(facts, one)).collect(),
        package_name: control("Package"),
        package_version: control("Version"),
        files,
    }
}

fn ledger(facts: &Facts, ledger: &LedgerFacts) -> ReportLedger {
    let store = ledger.store.as_ref().ok();
    let tarball = || {
        let path = ledger.tarball.as_ref().ok()?;
        let subject = facts.subject.as_ref().ok()?;
        Some(ReportTarball {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            bytes: subject.entries.get(path)?.file()?.bytes,
            sha3_256: subject.digests.get(path)?.sha3_256.clone(),
        })
    };
    ReportLedger {
        role: ledger.role,
        accounts_before: ledger.source.accounts,
        accounts_after: store.map(|store| store.accounts),
        root_before: ledger.source.root,
        root_migrated: ledger.source.migrated_root,
        root_after: store.and_then(|store| Some(store.proof.as_ref()?.root)),
        supply_before_nanomina: ledger.source.totals.default_token.to_string(),
        supply_after_nanomina: store.map(|store| store.totals.default_token.to_string()),
        tarball: tarball(),
    }
}

/// The charts.
pub(crate) fn series(facts: &Facts) -> ReportSeries {
    let nothing = Series::default();
    let ledgers = Role::ALL.into_iter().map(|role| {
        let ledger = facts.ledger(role);
        let after = ledger
            .store
            .as_ref()
            .map_or(&nothing, |store| &store.series);
        ReportLedgerSeries {
            role,
            before: curves(&ledger.source.series),
            after: curves(after),
        }
    });
    ReportSeries {
        balances_from_nanomina: series::bounds().to_vec(),
        ledgers: ledgers.collect(),
        times_ms: facts.times_ms.clone(),
    }
}

fn curves(series: &Series) -> ReportCurves {
    let text = |amount: &u128| amount.to_string();
    ReportCurves {
        accounts: series.counts.to_vec(),
        sums_nanomina: series.sums.iter().map(text).collect(),
        timed_accounts: series.timed,
        locked_nanomina: series.locked().iter().map(text).collect(),
    }
}
