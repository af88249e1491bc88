//! The run.

use std::path::Path;

use fork_fs::{StagedDir, write_atomic};
use fork_genesis::block::{Block, BlockProblem, ForkBlockFacts};
use fork_genesis::candidate::{ComputedLedger, Evidence, Expected, compare};
use fork_genesis::chain_id::ChainIdInputs;
use fork_genesis::config::{EpochSection, NewChain, PreforkConfig, RuntimeConfig, S3DataHash};
use fork_genesis::network::Network;
use fork_genesis::schedule::Schedule;
use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::document::{
    Candidate, CandidateRef, Check, ForkSummary, NetworkDocument, NetworkLedger, Outcome,
    SlotMeaning,
};
use fork_types::{Amount, EpochSeed, Role};
use fork_worker::{Context, Input, ReportingArgs, Worker, WorkerResult};
use sha2::{Digest, Sha256};

use crate::args::Args;
use crate::error::{ConfigProblem, GenerateError};
use crate::ledgers::Ledgers;

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// Largest prefork config read, in bytes; released ones have one or two KiB.
const PREFORK_BYTES_MAX: u64 = 16 << 20;

const CONFIG_NAME: &str = "config.json";
const HASHES_NAME: &str = "hashes.json";
const PREFORK_NAME: &str = "prefork_config.json";

impl Worker for Args {
    const NAME: &'static str = "generate-network-config";
    const FAILED_TO: &'static str = "failed to generate the network config";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let document = self.generate(context)?;
        context.annotate(|| crate::annotation::table(&document));
        context.emit(&summary(&document, &self.output.output), &document)?;
        Ok(())
    }
}

impl Args {
    fn generate(&self, context: &Context) -> Result<NetworkDocument, GenerateError> {
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let (candidate, candidate_bytes): (Candidate, _) = fork_fs::read_document(&self.candidate)?;
        let candidate_sha256 = hex::encode(Sha256::digest(&candidate_bytes));
        let name = self.network.as_deref().unwrap_or(&candidate.network);
        let file = fork_fs::read_named_file(name, NETWORK_BYTES_MAX)?;
        let network =
            Network::named(name, file.as_deref()).map_err(|source| GenerateError::Network {
                name: name.to_owned(),
                source,
            })?;
        let (prefork, prefork_bytes) = self.read_prefork(context)?;
        let schedule = self.schedule(&network, &prefork)?;
        let ledgers = Ledgers::read(&self.ledgers)?;
        let block = self.read_block(&candidate, &network)?;

        let mut problems = ledgers.problems(&candidate, &candidate_sha256, &network);
        let mut checks = Vec::new();
        let mut warnings = prefork.warnings.clone();
        check_network_name(&candidate, &network, &mut problems);
        check_fork_slots(&ledgers, &schedule, &mut problems);
        check_scheduled(
            &candidate,
            &schedule,
            &mut checks,
            &mut warnings,
            &mut problems,
        );
        check_after_block(&candidate, &schedule, &mut problems);
        if !problems.is_empty() {
            return Err(GenerateError::Contradictions(problems));
        }
        let comparison = self.compare(
            &candidate,
            &network,
            block.as_ref(),
            &ledgers,
            &prefork,
            &schedule,
        )?;
        checks.extend(comparison.checks);
        warnings.extend(comparison.warnings);
        if !ledgers.verified() {
            warnings.push(
                "the source root of a ledger was not compared with anything (--unverified-source)"
                    .to_owned(),
            );
        }

        let config = new_config(&candidate, &network, &ledgers, &schedule)?;
        let internal = |what: serde_json::Error| GenerateError::Internal {
            what: what.to_string(),
        };
        let directory = staged.path();
        let config_bytes = config.to_json().map_err(internal)?;
        check_written(&config_bytes, &config, &schedule)?;
        write_atomic(&directory.join(CONFIG_NAME), &config_bytes)?;
        let hashes = config.hashes_json().map_err(internal)?;
        write_atomic(&directory.join(HASHES_NAME), &hashes)?;
        write_atomic(&directory.join(PREFORK_NAME), &prefork_bytes)?;
        let document = NetworkDocument {
            format: NetworkDocument::format(),
            version: NetworkDocument::version(),
            network: network.package_name().to_owned(),
            config: fork_fs::file_ref(directory, CONFIG_NAME)?,
            hashes: fork_fs::file_ref(directory, HASHES_NAME)?,
            prefork_config: fork_fs::file_ref(directory, PREFORK_NAME)?,
            candidate: CandidateRef {
                network: candidate.network.clone(),
                state_hash: candidate.fork_block.state_hash,
                sha256: candidate_sha256,
            },
            fork: ForkSummary {
                state_hash: candidate.fork_block.state_hash,
                blockchain_length: candidate.fork_block.blockchain_length,
                global_slot_since_genesis: schedule.global_slot_since_genesis,
                slot_since_hard_fork: schedule.slot_since_hard_fork,
                genesis_state_timestamp: schedule.genesis_timestamp.to_string(),
                genesis_state_timestamp_ms: schedule.genesis_timestamp.ms(),
            },
            derivation: schedule.derivation.clone(),
            chain_id: self.chain_id(&network, &prefork, &schedule).summary(),
            ledgers: Role::ALL
                .iter()
                .map(|role| network_ledger(*role, &ledgers))
                .collect(),
            checks,
            warnings,
            sources_verified: ledgers.verified(),
        };
        staged.write_document(&document)?;
        staged.commit()?;
        Ok(document)
    }

    fn read_prefork(&self, context: &Context) -> Result<(PreforkConfig, Vec<u8>), GenerateError> {
        let (bytes, _) = Input::read_all(
            &self.prefork_config,
            "prefork-config",
            PREFORK_BYTES_MAX,
            self.sha256.as_deref(),
            context,
        )?;
        let config = PreforkConfig::from_json(&bytes).map_err(|source| GenerateError::Prefork {
            name: self.prefork_config.to_string(),
            source,
        })?;
        Ok((config, bytes))
    }

    fn schedule(
        &self,
        network: &Network,
        prefork: &PreforkConfig,
    ) -> Result<Schedule, GenerateError> {
        let clock =
            prefork
                .clock(network.chain.slot_ms)
                .ok_or_else(|| GenerateError::NoGenesisTime {
                    name: self.prefork_config.to_string(),
                })?;
        let given = &self.schedule;
        let input = prefork
            .schedule_input()
            .overridden(
                given.unscheduled,
                given.slot_chain_end,
                given.genesis_slot_delta,
                given.genesis_timestamp.as_deref(),
            )
            .map_err(GenerateError::Timestamp)?;
        Ok(Schedule::derive(&clock, &input)?)
    }

    fn read_block(
        &self,
        candidate: &Candidate,
        network: &Network,
    ) -> Result<Option<(ForkBlockFacts, Vec<BlockProblem>)>, GenerateError> {
        let Some(file) = &candidate.block else {
            return Ok(None);
        };
        let path = fork_fs::verify_file_ref(&self.candidate, file)?;
        let block = Block::from_reader(fork_fs::open(&path)?)
            .map_err(|source| GenerateError::Block(Box::new(source)))?;
        Ok(Some((
            block.facts(),
            block.problems(Some(network.chain.slot_ms)),
        )))
    }

    fn compare(
        &self,
        candidate: &Candidate,
        network: &Network,
        block: Option<&(ForkBlockFacts, Vec<BlockProblem>)>,
        ledgers: &Ledgers,
        prefork: &PreforkConfig,
        schedule: &Schedule,
    ) -> Result<fork_genesis::candidate::Comparison, GenerateError> {
        let by = || "candidate.json".to_owned();
        let evidence = Evidence {
            network,
            block: block.map(|(facts, _)| facts),
            block_problems: block.map_or(&[], |(_, problems)| problems),
            expected_state_hashes: &[Expected {
                value: candidate.fork_block.state_hash,
                by: by(),
            }],
            expected_lengths: &[Expected {
                value: candidate.fork_block.blockchain_length,
                by: by(),
            }],
            import: None,
            computed: Role::ALL.map(|role| ComputedLedger {
                root: Some(ledgers.of(role).source.root),
                total_balance: candidate
                    .ledger(role)
                    .total_balance_nanomina
                    .parse()
                    .ok()
                    .map(Amount::from_nanomina),
            }),
            expected_roots: Role::ALL.map(|role| {
                let claimed = candidate.ledger(role).claimed_root.as_ref()?;
                Some(Expected {
                    value: claimed.root,
                    by: claimed.by.clone(),
                })
            }),
            prefork: Some(prefork),
            schedule: Some(schedule),
        };
        Ok(compare(&evidence).into_result()?)
    }

    fn chain_id(
        &self,
        network: &Network,
        prefork: &PreforkConfig,
        schedule: &Schedule,
    ) -> ChainIdInputs {
        let chain = &network.chain;
        ChainIdInputs {
            genesis_state_hash: self.genesis_state_hash,
            constraint_digests: self
                .constraint_digests
                .clone()
                .and_then(|digests| digests.try_into().ok()),
            k: prefork.k.unwrap_or(chain.k),
            slots_per_epoch: prefork.slots_per_epoch.unwrap_or(chain.slots_per_epoch),
            slots_per_sub_window: prefork
                .slots_per_sub_window
                .unwrap_or(chain.slots_per_sub_window),
            delta: prefork.delta.unwrap_or(chain.delta),
            txpool_max_size: prefork.txpool_max_size.unwrap_or(chain.txpool_max_size),
            genesis_timestamp: schedule.genesis_timestamp,
            transaction_version: network.target.transaction_version,
        }
    }
}

fn check_network_name(candidate: &Candidate, network: &Network, problems: &mut Vec<ConfigProblem>) {
    if candidate.network != network.name {
        problems.push(ConfigProblem {
            what: "name of the network".to_owned(),
            expected: network.name.clone(),
            expected_by: "--network".to_owned(),
            found: candidate.network.clone(),
            found_in: "candidate.json".to_owned(),
        });
    }
}

/// The slot the vesting update used must be the slot the config names.
fn check_fork_slots(ledgers: &Ledgers, schedule: &Schedule, problems: &mut Vec<ConfigProblem>) {
    for role in Role::ALL {
        let used = ledgers.of(role).rule.fork_slot;
        if let Some(used) = used.filter(|slot| *slot != schedule.global_slot_since_genesis) {
            problems.push(ConfigProblem {
                what: "fork slot (global slot since genesis of the new genesis)".to_owned(),
                expected: schedule.global_slot_since_genesis.to_string(),
                expected_by: "the schedule".to_owned(),
                found: used.to_string(),
                found_in: format!("ledger.json of the {role} ledger"),
            });
        }
    }
}

/// What the export said about the new genesis must be what was derived.
fn check_scheduled(
    candidate: &Candidate,
    schedule: &Schedule,
    checks: &mut Vec<Check>,
    warnings: &mut Vec<String>,
    problems: &mut Vec<ConfigProblem>,
) {
    let Some(scheduled) = &candidate.scheduled else {
        return;
    };
    let derived = schedule.global_slot_since_genesis;
    let found = scheduled.global_slot_since_genesis;
    let mut passed = |detail: String| {
        checks.push(Check {
            id: "schedule.fork-config".to_owned(),
            outcome: Outcome::Passed,
            detail,
        });
    };
    match scheduled.meaning {
        SlotMeaning::ForkBlock => {}
        _ if found == derived => passed(format!("slot {derived}")),
        SlotMeaning::ScheduledGenesis => problems.push(ConfigProblem {
            what: "scheduled global slot since genesis".to_owned(),
            expected: derived.to_string(),
            expected_by: "the schedule".to_owned(),
            found: found.to_string(),
            found_in: "the fork config".to_owned(),
        }),
        SlotMeaning::Unknown if found < derived => warnings.push(format!(
            "the fork config's slot {found} is taken for the fork block's own slot: the new \
             genesis is at {derived}, and no block was given to tell"
        )),
        SlotMeaning::Unknown => problems.push(ConfigProblem {
            what: "slot of the fork config".to_owned(),
            expected: format!("at most {derived}"),
            expected_by: "the schedule".to_owned(),
            found: found.to_string(),
            found_in: "the fork config".to_owned(),
        }),
    }
    if scheduled.meaning == SlotMeaning::ScheduledGenesis
        && let Some(text) = &scheduled.genesis_state_timestamp
        && let Ok((time, _)) = GenesisTimestamp::parse(text)
    {
        if time == schedule.genesis_timestamp {
            passed(format!("time {time}"));
        } else {
            problems.push(ConfigProblem {
                what: "scheduled genesis time".to_owned(),
                expected: schedule.genesis_timestamp.to_string(),
                expected_by: "the schedule".to_owned(),
                found: time.to_string(),
                found_in: "the fork config".to_owned(),
            });
        }
    }
}

fn check_after_block(
    candidate: &Candidate,
    schedule: &Schedule,
    problems: &mut Vec<ConfigProblem>,
) {
    let block = candidate.fork_block.timestamp_ms;
    if let Some(block) = block.filter(|block| *block >= schedule.genesis_timestamp.ms()) {
        problems.push(ConfigProblem {
            what: "genesis time in milliseconds".to_owned(),
            expected: format!("after {block}"),
            expected_by: "the fork block".to_owned(),
            found: schedule.genesis_timestamp.ms().to_string(),
            found_in: "the schedule".to_owned(),
        });
    }
}

fn new_config(
    candidate: &Candidate,
    network: &Network,
    ledgers: &Ledgers,
    schedule: &Schedule,
) -> Result<RuntimeConfig, GenerateError> {
    let data_hash = |role: Role| {
        let text = &ledgers.of(role).tarball.s3_data_hash;
        text.parse::<S3DataHash>()
            .map_err(|error| GenerateError::Internal {
                what: error.to_string(),
            })
    };
    let epoch = |role: Role, seed: EpochSeed| {
        Ok::<_, GenerateError>(EpochSection {
            seed,
            hash: ledgers.of(role).target.root,
            s3_data_hash: data_hash(role)?,
        })
    };
    Ok(NewChain {
        genesis_timestamp: schedule.genesis_timestamp,
        fork_state_hash: candidate.fork_block.state_hash,
        blockchain_length: candidate.fork_block.blockchain_length,
        global_slot_since_genesis: schedule.global_slot_since_genesis,
        ledger: (ledgers.genesis.target.root, data_hash(Role::Genesis)?),
        staking: epoch(Role::Staking, candidate.seeds.staking)?,
        next: epoch(Role::Next, candidate.seeds.next)?,
        network_id: network.network_id.clone(),
    }
    .into())
}

/// Reads the config back, once as our own shape and once as any config of a running chain, and
/// makes sure that no stop slot is in it.
fn check_written(
    bytes: &[u8],
    config: &RuntimeConfig,
    schedule: &Schedule,
) -> Result<(), GenerateError> {
    let internal = |what: String| GenerateError::Internal { what };
    let read = RuntimeConfig::from_json(bytes).map_err(|error| internal(error.to_string()))?;
    let general = PreforkConfig::from_json(bytes).map_err(|error| internal(error.to_string()))?;
    if read != *config
        || general.genesis_timestamp != Some(schedule.genesis_timestamp)
        || general.fork_slot() != schedule.global_slot_since_genesis
        || general.stop != Default::default()
    {
        return Err(internal(
            "the written config reads back differently".to_owned(),
        ));
    }
    Ok(())
}

fn network_ledger(role: Role, ledgers: &Ledgers) -> NetworkLedger {
    let document = ledgers.of(role);
    NetworkLedger {
        role,
        hash: document.target.root,
        s3_data_hash: document.tarball.s3_data_hash.clone(),
        sha256: document.tarball.file.sha256.clone(),
        content_sha256: Some(document.tarball.content_sha256.clone()),
        tarball: document.tarball.file.name.clone(),
    }
}

fn summary(document: &NetworkDocument, output: &Path) -> String {
    use std::fmt::Write;
    let fork = &document.fork;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "fork block    {} at height {}",
        fork.state_hash, fork.blockchain_length
    );
    let _ = writeln!(
        text,
        "new genesis   {}, height {}",
        fork.genesis_state_timestamp,
        u64::from(fork.blockchain_length) + 1
    );
    let _ = writeln!(
        text,
        "slot          {} since genesis, {} since the last hard fork",
        fork.global_slot_since_genesis, fork.slot_since_hard_fork
    );
    for line in &document.derivation {
        let _ = writeln!(text, "              {line}");
    }
    for ledger in &document.ledgers {
        let _ = writeln!(
            text,
            "{:<13} {} in {}",
            ledger.role.name(),
            ledger.hash,
            ledger.tarball
        );
    }
    for (name, value) in &document.chain_id.inputs {
        let _ = writeln!(text, "chain id of   {name} {value}");
    }
    let chain_id = document.chain_id.chain_id.as_deref();
    let _ = writeln!(
        text,
        "chain id      {}",
        chain_id.unwrap_or("not computed: genesis state hash and constraint digests are needed")
    );
    for warning in &document.warnings {
        let _ = writeln!(text, "warning       {warning}");
    }
    let _ = writeln!(text, "written to    {}", output.display());
    text
}
