//! Measures `materialize-ledger` on an archive database of mainnet's size, as a Markdown table: a real
//! PostgreSQL server with made-up accounts, zkApps and blocks.
//!
//! The genesis accounts go in by `materialize-ledger populate`, which is measured on the way. What later
//! blocks do to accounts is arithmetic that the server does for the rows and this program for the root.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use fork_archive::{Archive, ArchiveUri, BlockChoice, Limits};
use fork_bench::machine;
use fork_bench::report::{Table, grouped, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say, sibling};
use fork_genesis::protocol_state::{EpochData, VrfOutput};
use fork_ledger::account::Account;
use fork_ledger::batch::LeafHasher;
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_testkit::archive::{ChainSpec, Epochs, Parent, chain, network_file};
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix, Random};
use fork_testkit::postgres::Server;
use fork_types::{Amount, Era, FieldBytes, LedgerHash, Role, StateHash};
use rayon::prelude::*;
use serde_json::Value;

/// Measure ledgers from an archive database, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "archive-table", version)]
struct Args {
    /// Accounts of the ledger
    #[arg(long, value_name = "N", value_parser = run::accounts, default_value = "1M")]
    accounts: u32,

    /// Blocks above the genesis block
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1..))]
    blocks: u32,

    /// Accounts that each block touches
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..1000))]
    touched: u32,

    /// Repetitions; each is shown
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,
}

/// What the emergency procedure allows for the state of a chain.
const REQUIRED: Duration = Duration::from_secs(4 * 3600);

/// Accounts made, hashed and written at a time.
const BATCH_ACCOUNTS: u32 = 8192;

/// Slots of an epoch, mainnet's, and from one block to the next.
const SLOTS_PER_EPOCH: u32 = 7140;
const SLOTS_PER_BLOCK: u32 = 2;

/// Purpose of the random numbers.
const PURPOSE: u64 = 300;

const ERA: Era = Era::Berkeley;
const DATABASE: &str = "archive";
const LIST: &str = "genesis.json";

fn main() -> ExitCode {
    run::finish(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "archive", args.keep)?;
    let server = Server::start(work.path())?;
    say("accounts");
    let world = World::make(args, work.path())?;
    say("blocks");
    let socket = server.directory().to_owned();
    let psql = |database: &str| {
        let mut command = Command::new("psql");
        command
            .args([
                "--no-psqlrc",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                database,
                "-h",
            ])
            .arg(&socket);
        command
    };
    run_sql(&mut psql("postgres"), |out| {
        writeln!(out, "CREATE DATABASE {DATABASE};")
    })?;
    run_sql(&mut psql(DATABASE), |out| world.write_blocks(args, out))?;

    say("populate");
    let (hash, root) = (state_hash(0).to_string(), world.genesis.to_string());
    let begun = Instant::now();
    let populate = Command::new(sibling("materialize-ledger")?)
        .args([
            "populate",
            "--format",
            "json",
            "--output",
            "populate",
            "--genesis-accounts",
            LIST,
        ])
        .args([
            "--state-hash",
            &hash,
            "--ledger-hash",
            &root,
            "--era",
            &ERA.to_string(),
        ])
        .current_dir(work.path())
        .output()?;
    succeeded("populate", &populate)?;
    let written = begun.elapsed();
    let begun = Instant::now();
    let mut command = psql(DATABASE);
    command
        .arg("-f")
        .arg(work.path().join("populate/populate.sql"));
    succeeded("psql", &command.stdin(Stdio::null()).output()?)?;
    let populated = begun.elapsed();
    say("later blocks");
    run_sql(&mut psql(DATABASE), |out| {
        out.write_all(world.later(args).as_bytes())
    })?;

    let tip = state_hash(args.blocks).to_string();
    let uri = server.uri(DATABASE);
    let mut table = Table::new(&[
        "",
        "branch, block by block",
        "server's own time for the accounts",
        "whole run",
        "after the server's own time",
        "peak memory of the worker",
        "required",
    ]);
    for number in 1..=args.runs {
        say(&format!("run {number}"));
        let own = own_time(&uri, &tip, &mut psql(DATABASE))?;
        let output = work.path().join(format!("staged-{number}"));
        let begun = Instant::now();
        let staged = Command::new(sibling("materialize-ledger")?)
            .args([
                "staged",
                "--format",
                "json",
                "--archive-uri",
                &uri,
                "--state-hash",
                &tip,
            ])
            .arg("--output")
            .arg(&output)
            .output()?;
        let wall = begun.elapsed();
        succeeded("staged", &staged)?;
        let document: Value = serde_json::from_slice(&staged.stdout)?;
        if document["root"] != world.tip.to_string() {
            return Err(format!("the root is {}", document["root"]).into());
        }
        let branch = document["milliseconds"]["branch"].as_u64().unwrap_or(0);
        table.row(&[
            format!("run {number}"),
            seconds(Duration::from_millis(branch)),
            seconds(own),
            seconds(wall),
            seconds(wall.saturating_sub(own)),
            megabytes(document["peak_memory_bytes"].as_u64().unwrap_or(0)),
            format!("{} h", REQUIRED.as_secs() / 3600),
        ]);
        work.discard(&output)?;
    }
    say("candidate");
    let network = network_file(ERA).replace(
        "slots_per_epoch = 15",
        &format!("slots_per_epoch = {SLOTS_PER_EPOCH}"),
    );
    let (stops, target) = (network.find("[stop]"), network.find("[target]"));
    let (Some(stops), Some(target)) = (stops, target) else {
        return Err("the network file has another form".into());
    };
    let network = format!("{}{}", &network[..stops], &network[target..]);
    fork_fs::write_atomic(&work.path().join("network.toml"), network.as_bytes())?;
    let output = work.path().join("candidate");
    let begun = Instant::now();
    let candidate = Command::new(sibling("materialize-ledger")?)
        .args(["candidate", "--format", "json", "--archive-uri", &uri])
        .args(["--state-hash", &tip, "--network"])
        .arg(work.path().join("network.toml"))
        .arg("--output")
        .arg(&output)
        .output()?;
    let candidate_wall = begun.elapsed();
    succeeded("candidate", &candidate)?;
    let origins: Value = serde_json::from_slice(&fork_fs::read_limited(
        &output.join("archive-candidate.json"),
        1 << 20,
    )?)?;
    let epochs = Duration::from_millis(origins["milliseconds"]["epochs"].as_u64().unwrap_or(0));
    let candidate_memory = origins["peak_memory_bytes"].as_u64().unwrap_or(0);
    Ok(format!(
        "## A ledger from an archive\n\n{}\n\n\
         `materialize-ledger staged` of the newest of {} blocks, {} account rows in all, {} accounts \
         (`realistic`: 3 % zkApps, each with a key of its own), PostgreSQL on the same machine with \
         default settings and without fsync, and the indexes that ship with an archive. The server's \
         own time is the execution time of `EXPLAIN (ANALYZE, TIMING OFF)` of the same query with the \
         settings of the worker, run just before. Load averages at the end: {}.\n\n{}\n\
         `candidate` of the same block, with the staged ledger and both epoch ledgers (one list, the \
         genesis ledger), took {} and {} in all; {} of it to read the epochs of all blocks and \
         recompute their seeds.\n\n\
         `populate` wrote the SQL of the {} genesis accounts in {}, and psql ran it in {}.\n",
        machine::description(),
        grouped(args.blocks + 1),
        grouped(args.accounts + args.blocks * args.touched),
        grouped(args.accounts),
        machine::load(),
        table.into_text(),
        seconds(candidate_wall),
        megabytes(candidate_memory),
        seconds(epochs),
        grouped(args.accounts),
        seconds(written),
        seconds(populated),
    ))
}

/// What is in the archive.
struct World {
    genesis: LedgerHash,
    tip: LedgerHash,
    /// Statements that make the tables.
    tables: String,
}

impl World {
    /// Writes the genesis accounts as a list, and hashes them and what becomes of them.
    fn make(args: &Args, directory: &Path) -> Result<Self, Failure> {
        let accounts = Accounts::new(&FixtureSpec {
            accounts: args.accounts,
            era: ERA,
            mix: Mix::Realistic,
            ..FixtureSpec::default()
        })?;
        let last = last_touched(args);
        let hasher = LeafHasher::new(ERA);
        let mut roots = [
            RootBuilder::new(ERA, ERA.depth()),
            RootBuilder::new(ERA, ERA.depth()),
        ];
        let mut list = BufWriter::new(fork_fs::AtomicFile::create(&directory.join(LIST))?);
        for first in (0..args.accounts).step_by(BATCH_ACCOUNTS as usize) {
            let end = args.accounts.min(first + BATCH_ACCOUNTS);
            let genesis: Vec<Account> = (first..end)
                .into_par_iter()
                .map(|leaf| {
                    let mut account = accounts.account(Role::Genesis, leaf);
                    if let Some(zkapp) = &mut account.zkapp {
                        // No database holds a zero byte in a text.
                        zkapp.zkapp_uri.retain(|byte| *byte != 0);
                    }
                    account
                })
                .collect();
            let texts: Vec<Vec<u8>> = genesis
                .par_iter()
                .enumerate()
                .map(|(number, account)| {
                    let is_first = first == 0 && number == 0;
                    let mut text = if is_first {
                        b"[\n".to_vec()
                    } else {
                        b",\n".to_vec()
                    };
                    write_account_json(account, &mut text);
                    text
                })
                .collect();
            for text in texts {
                list.write_all(&text)?;
            }
            roots[0].extend_from_slice(&hasher.hash_as(ERA, &genesis)?)?;
            let tip: Vec<Account> = (first..end)
                .zip(genesis)
                .map(|(leaf, account)| touched(account, last[leaf as usize]))
                .collect();
            roots[1].extend_from_slice(&hasher.hash_as(ERA, &tip)?)?;
        }
        list.write_all(b"\n]\n")?;
        list.into_inner()?.commit()?;
        let [genesis, tip] = roots.map(|root| ledger_hash(root.finish()));
        let spec = ChainSpec {
            height: 2,
            era: ERA,
            ..ChainSpec::default()
        };
        Ok(Self {
            genesis,
            tip,
            tables: chain(&spec)?.sql,
        })
    }

    /// The tables and the blocks, without accounts.
    fn write_blocks(&self, args: &Args, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.tables)?;
        writeln!(
            out,
            "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tablename FROM pg_tables \
             WHERE schemaname = 'public' LOOP \
             EXECUTE format('TRUNCATE %I RESTART IDENTITY CASCADE', t.tablename); END LOOP; END $$;\n\
             INSERT INTO protocol_versions (transaction, network, patch) VALUES ({}, 0, 0);\n\
             INSERT INTO snarked_ledger_hashes (value) VALUES ('{}');\n\
             COPY epoch_data (id, seed, ledger_hash_id, total_currency, start_checkpoint, \
               lock_checkpoint, epoch_length) FROM stdin;",
            ERA.txn_version(),
            self.genesis,
        )?;
        let epochs = self.write_epochs(args, out)?;
        writeln!(
            out,
            "\\.\nCOPY blocks (id, state_hash, parent_id, parent_hash, last_vrf_output, \
               snarked_ledger_hash_id, staking_epoch_data_id, next_epoch_data_id, \
               total_currency, ledger_hash, height, \
               global_slot_since_hard_fork, global_slot_since_genesis, protocol_version_id, \
               \"timestamp\", chain_status) FROM stdin;",
        )?;
        let mut parent = state_hash(0);
        for (block, (output, [staking, next])) in (0..=args.blocks).zip(epochs) {
            let state_hash = state_hash(block);
            let parent_id = if block == 0 {
                "\\N".to_owned()
            } else {
                block.to_string()
            };
            let root = if block == 0 { self.genesis } else { self.tip };
            writeln!(
                out,
                "{}\t{state_hash}\t{parent_id}\t{parent}\t{output}\t1\t{staking}\t{next}\t1000\t{root}\t{}\t{}\t{}\t1\t{}\t\
                 canonical",
                block + 1,
                block + 1,
                SLOTS_PER_BLOCK * block,
                SLOTS_PER_BLOCK * block,
                1_717_545_600_000 + 360_000 * u64::from(block),
            )?;
            parent = state_hash;
        }
        writeln!(out, "\\.\nANALYZE;")
    }

    /// The epochs of all blocks, a row for each. Returns the VRF output and the two rows of each block.
    fn write_epochs(
        &self,
        args: &Args,
        out: &mut dyn Write,
    ) -> std::io::Result<Vec<(VrfOutput, [u32; 2])>> {
        let mut random = Random::new(1, PURPOSE, 0);
        let row = |out: &mut dyn Write, id: u32, epoch: &EpochData| {
            writeln!(
                out,
                "{id}\t{}\t1\t{}\t{}\t{}\t{}",
                epoch.seed,
                epoch.total_currency.nanomina(),
                epoch.start_checkpoint,
                epoch.lock_checkpoint,
                epoch.epoch_length
            )
        };
        let mut epochs = Epochs::of_genesis(self.genesis, &mut random);
        row(out, 1, &epochs.staking)?;
        row(out, 2, &epochs.next)?;
        let mut staking = 1;
        let mut rows = vec![(epochs.last_vrf_output, [1, 2])];
        for block in 1..=args.blocks {
            let (before, slot) = (SLOTS_PER_BLOCK * (block - 1), SLOTS_PER_BLOCK * block);
            let parent = Parent {
                state_hash: state_hash(block - 1),
                slot: before,
                // Nothing is snarked in this chain.
                snarked: None,
            };
            epochs = epochs.of_child(parent, slot, SLOTS_PER_EPOCH, &mut random);
            if slot / SLOTS_PER_EPOCH > before / SLOTS_PER_EPOCH {
                staking = block + 1;
            }
            row(out, block + 2, &epochs.next)?;
            rows.push((epochs.last_vrf_output, [staking, block + 2]));
        }
        Ok(rows)
    }

    /// What the later blocks do, as [`touched`] and [`last_touched`] have it.
    fn later(&self, args: &Args) -> String {
        let Args {
            accounts,
            blocks,
            touched,
            ..
        } = args;
        let few = few(*accounts);
        format!(
            "INSERT INTO accounts_accessed SELECT a.ledger_index, t.block + 1, a.account_identifier_id, \
               a.token_symbol_id, (a.balance::bigint / 2 + t.block)::text, t.block, \
               a.receipt_chain_hash, a.delegate_id, a.voting_for_id, a.timing_id, a.permissions_id, \
               a.zkapp_id \
             FROM (SELECT DISTINCT block, \
                 (CASE WHEN n % 2 = 0 THEN spread % {accounts} ELSE spread % {few} END)::int AS leaf \
               FROM generate_series(1, {blocks}) block, generate_series(0, {touched} - 1) n, \
                 LATERAL (SELECT (block::bigint * {touched} + n) * {MULTIPLIER} % {MODULUS} AS spread) s \
             ) t JOIN accounts_accessed a ON a.block_id = 1 AND a.ledger_index = t.leaf \
             ORDER BY t.block;\nANALYZE;\n"
        )
    }
}

/// Numbers that spread the touches over the accounts.
const MULTIPLIER: u64 = 2_654_435_761;
const MODULUS: u64 = 1 << 32;

/// Every other touch is of one of these: few accounts have most transactions.
fn few(accounts: u32) -> u32 {
    (accounts / 100).max(1)
}

/// The last block that touched each account; 0 is the genesis.
fn last_touched(args: &Args) -> Vec<u32> {
    let mut last = vec![0; args.accounts as usize];
    for block in 1..=args.blocks {
        for number in 0..args.touched {
            let spread = u64::from(block) * u64::from(args.touched) + u64::from(number);
            let spread = spread * MULTIPLIER % MODULUS;
            let of = if number % 2 == 0 {
                args.accounts
            } else {
                few(args.accounts)
            };
            last[(spread % u64::from(of)) as usize] = block;
        }
    }
    last
}

/// An account after the last block that touched it.
fn touched(mut account: Account, block: u32) -> Account {
    if block > 0 {
        let balance = account.balance.nanomina() / 2 + u64::from(block);
        account.balance = Amount::from_nanomina(balance);
        account.nonce = block;
    }
    account
}

/// A made-up hash of a block.
fn state_hash(block: u32) -> StateHash {
    StateHash::new(FieldBytes::from_u64(u64::from(block) + 1))
}

/// Runs psql over what `write` writes.
fn run_sql(
    command: &mut Command,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    let input = child.stdin.take().ok_or("psql has no input")?;
    let mut input = BufWriter::new(input);
    write(&mut input)?;
    input.flush()?;
    drop(input);
    match child.wait()?.success() {
        true => Ok(()),
        false => Err("psql failed".into()),
    }
}

fn succeeded(what: &str, output: &std::process::Output) -> Result<(), Failure> {
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// What the server takes for the accounts, without sending them.
fn own_time(uri: &str, tip: &str, psql: &mut Command) -> Result<Duration, Failure> {
    let mut archive = Archive::open(&ArchiveUri::parse(uri)?, &Limits::default())?;
    let block = archive.block(&BlockChoice::StateHash(tip.parse()?))?;
    let query = archive.accounts_query(&block);
    let output = psql
        .args([
            "-c",
            "SET work_mem = '256MB'",
            "-c",
            "SET jit = off",
            "-t",
            "-A",
            "-c",
        ])
        .arg(format!(
            "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}"
        ))
        .stdin(Stdio::null())
        .output()?;
    succeeded("psql", &output)?;
    let plan: Value = serde_json::from_slice(&output.stdout)?;
    let milliseconds = plan[0]["Execution Time"]
        .as_f64()
        .ok_or("no execution time")?;
    Ok(Duration::from_secs_f64(milliseconds / 1000.0))
}
