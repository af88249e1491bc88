//! Reports for tests.

use std::collections::BTreeMap;

use fork_types::document::{ChainIdSummary, Document, RuleRef};
use fork_types::{EpochSeed, Era, FieldBytes, LedgerHash, Role, SlotSinceGenesis, StateHash};

use super::*;
use crate::checks::CHECKS;

fn field(byte: u8) -> FieldBytes {
    let mut bytes = [byte; 32];
    bytes[31] = 0x11;
    FieldBytes::from_le_bytes(bytes).unwrap()
}

fn curves(shift: usize) -> ReportCurves {
    let locked = |position: usize| 40_u64.saturating_sub(position as u64) * 1_000_000_000_000_000;
    ReportCurves {
        accounts: vec![
            1200, 40, 0, 3000, 50_000, 90_000, 70_321, 40_000, 9000, 700, 60, 7, 1,
        ],
        sums_nanomina: (0..13)
            .map(|group| (10_u64.pow(group) * 7).to_string())
            .collect(),
        timed_accounts: 512,
        locked_nanomina: (0..121)
            .map(|position: usize| locked(position.saturating_sub(shift)).to_string())
            .collect(),
    }
}

fn node() -> ReportNode {
    let event = |at_ms, state, detail: &str| ReportEvent {
        at_ms,
        state,
        detail: detail.to_owned(),
    };
    ReportNode {
        url: Some("http://127.0.0.1:3085/graphql".to_owned()),
        sync_status: Some("SYNCED".to_owned()),
        chain_id: Some("cd".repeat(32)),
        commit_id: Some("0123abcd".repeat(5)),
        timeline: vec![
            event(0, NodeState::Unreachable, "connection refused"),
            event(1_250, NodeState::Sleeping, "BOOTSTRAP, no best tip"),
            event(61_300, NodeState::Awake, "height 548147, the genesis block"),
        ],
        sample: Some(ReportSample {
            role: Role::Genesis,
            seed: u64::MAX.to_string(),
            seed_by: "the packaged config".to_owned(),
            accounts: 277_307,
            drawn: 500,
            edges: vec![ReportEdge {
                kind: "zkapp".to_owned(),
                accounts: 8319,
                asked: 2000,
            }],
            asked: 2499,
            coverage: ReportCoverage {
                missed: vec![ReportMissed {
                    bad: 100,
                    probability: "0.834900001".to_owned(),
                }],
                found_99: Some(2541),
                statement: "500 of 277307 accounts drawn: 2541 or more wrong ones are found with \
                            99 %."
                    .to_owned(),
            },
        }),
        exports: vec![ReportExport {
            role: Role::Next,
            name: "next-epoch-ledger.json".to_owned(),
            accounts: 277_306,
            root: LedgerHash::new(field(9)),
        }],
    }
}

/// Every check of the registry passed.
pub(crate) fn passed() -> ReportDocument {
    let checks: Vec<ReportCheck> = CHECKS
        .iter()
        .flat_map(|table| table.iter())
        .map(|check| ReportCheck {
            id: check.id.to_owned(),
            proves: check.proves.to_owned(),
            outcome: Outcome::Passed,
            detail: "as it should be".to_owned(),
            expected: None,
            found: None,
            place: None,
            ms: 1,
        })
        .collect();
    let ledger = |role: Role, byte| ReportLedger {
        role,
        accounts_before: 277_307,
        accounts_after: Some(277_307),
        root_before: Some(LedgerHash::new(field(byte))),
        root_migrated: Some(LedgerHash::new(field(byte + 1))),
        root_after: Some(LedgerHash::new(field(byte + 1))),
        supply_before_nanomina: "1246839122123456789".to_owned(),
        supply_after_nanomina: Some("1246839122123456789".to_owned()),
        tarball: Some(ReportTarball {
            name: format!("{}_{}.tar.gz", role.tarball_prefix(), "ab".repeat(32)),
            bytes: 103_456_789,
            sha3_256: "cd".repeat(32),
        }),
    };
    let (proved, not_proved) = crate::claims::judge(&checks);
    ReportDocument {
        format: ReportDocument::FORMAT.to_owned(),
        version: ReportDocument::VERSION,
        subject: ReportSubject {
            kind: "deb".to_owned(),
            name: "mina-mainnet-config_4.0.0-6850301_all.deb".to_owned(),
            sha256: Some("ef".repeat(32)),
        },
        network: "mainnet".to_owned(),
        candidate_sha256: "12".repeat(32),
        rule: Some(RuleRef {
            name: "berkeley-to-mesa".to_owned(),
            from: Era::Berkeley,
            to: Era::Mesa,
            fork_slot: Some(SlotSinceGenesis::new(958_440)),
            variant: None,
        }),
        fork_slot_by: Some("the stop slots".to_owned()),
        roots: BTreeMap::new(),
        chain_id: Some(ChainIdSummary {
            inputs: vec![("k".to_owned(), "290".to_owned())],
            chain_id: None,
        }),
        passed: checks.len(),
        failed: 0,
        not_run: 0,
        facts: ReportFacts {
            network_id: "mainnet".to_owned(),
            fork_block: ReportForkBlock {
                state_hash: StateHash::new(field(1)),
                blockchain_length: 548_146,
                global_slot_since_genesis: Some(SlotSinceGenesis::new(958_279)),
                slot_since_hard_fork: None,
                time: Some("2026-09-03T09:57:00Z".to_owned()),
            },
            genesis: ReportGenesis {
                time: Some("2026-09-03T18:00:00Z".to_owned()),
                global_slot_since_genesis: Some(SlotSinceGenesis::new(958_440)),
                slot_ms: 90_000,
            },
            staking_seed: EpochSeed::new(field(2)),
            next_seed: EpochSeed::new(field(3)),
            ledgers: vec![
                ledger(Role::Genesis, 4),
                ledger(Role::Staking, 6),
                ledger(Role::Next, 8),
            ],
            package_name: Some("mina-mainnet-config".to_owned()),
            package_version: Some("4.0.0-6850301".to_owned()),
            files: vec![ReportFile {
                path: "var/lib/coda/mainnet.json".to_owned(),
                bytes: 1540,
                sha256: "34".repeat(32),
            }],
        },
        proved,
        not_proved,
        checks,
        explanations: Vec::new(),
        daemon: Some(node()),
        package_report: None,
        comparison: None,
        series: ReportSeries {
            balances_from_nanomina: crate::series::bounds().to_vec(),
            times_ms: crate::series::times(1_788_458_400_000),
            ledgers: Role::ALL
                .into_iter()
                .map(|role| ReportLedgerSeries {
                    role,
                    before: curves(0),
                    after: curves(0),
                })
                .collect(),
        },
        stages_ms: BTreeMap::from([("ledgers".to_owned(), 9000), ("read".to_owned(), 300)]),
        peak_memory_bytes: Some(1 << 30),
    }
}

fn fail(report: &mut ReportDocument, id: &str, expected: &str, found: &str, detail: &str) {
    let check = report.checks.iter_mut().find(|one| one.id == id).unwrap();
    check.outcome = Outcome::Failed;
    check.expected = Some(expected.to_owned());
    check.found = Some(found.to_owned());
    check.place = Some("/var/lib/coda/mainnet.json, /proof/fork".to_owned());
    check.detail = detail.to_owned();
    report.passed -= 1;
    report.failed += 1;
}

/// A wrong slot, a curve that is late, and a second package on another chain.
pub(crate) fn failed() -> ReportDocument {
    let mut report = passed();
    report.explanations = ["migration.genesis.root", "migration.next.root"]
        .map(|check| Explanation {
            check: check.to_owned(),
            list: "the candidate's accounts, migrated".to_owned(),
            root: LedgerHash::new(field(3)),
            list_root: None,
            mistake: Some("untimed-becomes-timed".to_owned()),
            text: "these accounts with every untimed one timed".to_owned(),
            advice: Some("agree on one variant and migrate again".to_owned()),
            index: None,
            public_key: None,
            differences: Vec::new(),
            tried: 20,
            skipped: 0,
            permutations: 1000,
        })
        .to_vec();
    fail(
        &mut report,
        "config.fork-slot",
        "958440",
        "958441",
        "expected by the stop slots",
    );
    report.series.ledgers[0].after = curves(2);
    report.comparison = Some(ReportComparison {
        subject: ReportSubject {
            kind: "automode".to_owned(),
            name: "auto-fork-mesa-mainnet".to_owned(),
            sha256: None,
        },
        problem: None,
        summary: "Nodes with one package cannot peer with nodes of the other.".to_owned(),
        first: Some("fork.global_slot_since_genesis".to_owned()),
        inputs: vec![
            ReportInput {
                name: "network_id".to_owned(),
                here: "mainnet".to_owned(),
                there: "mainnet".to_owned(),
                is_equal: true,
            },
            ReportInput {
                name: "fork.global_slot_since_genesis".to_owned(),
                here: "958441".to_owned(),
                there: "958440".to_owned(),
                is_equal: false,
            },
        ],
        differences: vec![ReportDifference {
            input: "fork.global_slot_since_genesis".to_owned(),
            part: Part::Config,
            here: "958441".to_owned(),
            there: "958440".to_owned(),
            effect: Effect::CannotPeer,
            meaning: "an input of the chain id".to_owned(),
            detail: vec!["more".to_owned()],
        }],
        not_compared: vec![ReportGap {
            part: Part::Files,
            what: "control data".to_owned(),
        }],
    });
    (report.proved, report.not_proved) = crate::claims::judge(&report.checks);
    report
}

/// Something that is no package.
pub(crate) fn unreadable() -> ReportDocument {
    let mut report = passed();
    fail(
        &mut report,
        "package.readable",
        "a readable package",
        "no `ar` archive",
        "",
    );
    report
}

/// Every text that can come from outside wants to be more than text.
pub(crate) fn hostile() -> ReportDocument {
    let evil =
        "\"><script>parent.broken = 1</script><img src=x onerror='parent.broken = 1'>\u{202e}";
    let long = "x".repeat(10_000);
    let mut report = failed();
    fail(
        &mut report,
        "package.files",
        evil,
        &long,
        &format!("{evil}\n{long}"),
    );
    report.subject.name = format!("{evil}{long}");
    report.subject.sha256 = Some(evil.to_owned());
    report.network = evil.to_owned();
    report.fork_slot_by = Some(evil.to_owned());
    let facts = &mut report.facts;
    facts.network_id = long.clone();
    facts.package_name = Some(evil.to_owned());
    facts.package_version = Some(long.clone());
    facts.genesis.time = Some(evil.to_owned());
    facts.files[0].path = format!("{evil}{long}");
    for ledger in &mut facts.ledgers {
        ledger.supply_after_nanomina = Some(evil.to_owned());
        ledger.tarball.as_mut().unwrap().name = evil.to_owned();
    }
    for check in &mut report.checks {
        check.detail = format!("{evil}{}", check.detail);
    }
    report.series.ledgers[0].before.sums_nanomina[0] = evil.to_owned();
    report.series.ledgers[0].before.locked_nanomina[0] = evil.to_owned();
    report.not_proved = vec![evil.to_owned(), long.clone()];
    let explanation = &mut report.explanations[0];
    explanation.mistake = Some(format!("{evil}{long}"));
    explanation.advice = Some(format!("{long}{evil}"));
    let node = report.daemon.as_mut().unwrap();
    for text in [
        &mut node.url,
        &mut node.sync_status,
        &mut node.chain_id,
        &mut node.commit_id,
    ] {
        *text = Some(format!("{evil}{long}"));
    }
    node.timeline[0].detail = format!("{long}{evil}");
    node.exports[0].name = format!("{long}{evil}");
    let sample = node.sample.as_mut().unwrap();
    for text in [
        &mut sample.seed,
        &mut sample.seed_by,
        &mut sample.edges[0].kind,
        &mut sample.coverage.statement,
        &mut sample.coverage.missed[0].probability,
    ] {
        *text = format!("{evil}{long}");
    }
    let comparison = report.comparison.as_mut().unwrap();
    comparison.summary = evil.to_owned();
    comparison.subject.name = long.clone();
    comparison.inputs[0].here = evil.to_owned();
    comparison.inputs[1].here = long.clone();
    comparison.differences[0].input = long;
    comparison.differences[0].here = evil.to_owned();
    report.stages_ms = BTreeMap::from([(evil.to_owned(), u64::MAX)]);
    report
}
