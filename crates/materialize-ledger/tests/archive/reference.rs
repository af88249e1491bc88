//! The dumps of real networks, where they are at hand.

use std::path::Path;

use fork_archive::{Archive, ArchiveUri, BlockChoice, Limits, ListedBlock};
use fork_genesis::GenesisTimestamp;
use fork_testkit::archive::network_file;
use fork_types::Era;
use fork_types::document::Candidate;
use fork_worker::{Context, OutputFormat};
use materialize_ledger::{EpochBasis, FirstEpochs, Located, prove_epochs};

use crate::epochs::worker;
use crate::support::{
    connect, create, execute, fresh, have_server, load_dump, reference_dumps, server, staged,
};

/// The dumps, and how many blocks they have.
const DUMPS: [(&str, usize); 2] = [
    ("archive-berkeley-2024-11-06.sql", 34),
    ("archive-mesa-2025-11-23.sql", 39),
];

/// A dump in a database of its own.
fn loaded(dumps: &Path, file: &str) -> String {
    let database = fresh("real");
    create(&database, "template0");
    load_dump(&database, &dumps.join(file));
    execute(&database, "SELECT 1");
    database
}

/// The archive in a database, and all of its blocks.
fn opened(database: &str, blocks: usize) -> (Archive, Vec<ListedBlock>) {
    let uri = ArchiveUri::parse(&server().uri(database)).unwrap();
    let mut archive = Archive::open(&uri, &Limits::default()).unwrap();
    let listed = archive.list((0, u32::MAX), 1000).unwrap();
    assert_eq!(listed.len(), blocks);
    (archive, listed)
}

#[test]
fn every_block_of_real_networks() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    for (file, blocks) in DUMPS {
        let database = loaded(&dumps, file);
        let mut hashes = Vec::new();
        connect(&database)
            .query(
                "list",
                "SELECT state_hash FROM public.blocks",
                &[],
                &mut |row| {
                    hashes.push(row.text(0).unwrap().to_owned());
                    Ok(())
                },
            )
            .unwrap();
        assert_eq!(hashes.len(), blocks, "{file}");
        for hash in hashes {
            let run = staged(&server().uri(&database), &["--state-hash", &hash]);
            assert_eq!(run.code(), 0, "{file} {hash}: {}", run.said());
        }
    }
}

/// The transactions of every block of real networks give the accounts that the block left, in every
/// member: balances, nonces, delegates, schedules, and receipt chains where only payments are in them.
#[test]
fn the_transactions_of_real_networks() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    let mut sums = [0; 4];
    for (file, blocks) in DUMPS {
        let database = loaded(&dumps, file);
        let (mut archive, listed) = opened(&database, blocks);
        let context = Context::quiet(OutputFormat::Json);
        for one in &listed {
            let Some(parent) = listed
                .iter()
                .find(|parent| parent.block.state_hash == one.block.parent_hash)
                .filter(|_| one.block.height > 1)
            else {
                continue;
            };
            let recomputed =
                materialize_ledger::recompute(&mut archive, &one.block, &parent.block, &context);
            let recomputed = recomputed.unwrap();
            let place = format!("{file} {}: {recomputed:?}", one.block.state_hash);
            assert_eq!(
                recomputed.parent_root,
                Some(parent.block.ledger_hash),
                "{place}"
            );
            assert!(recomputed.differing.is_empty(), "{place}");
            for (sum, count) in sums.iter_mut().zip([
                1,
                recomputed.accounts,
                recomputed.equal,
                recomputed.without_receipt,
            ]) {
                *sum += count;
            }
        }
    }
    eprintln!("blocks, accounts, equal, equal but for the receipt chain: {sums:?}");
    assert!(sums[2] > 100, "{sums:?}");
}

/// The seeds of every block of real networks are the hashes of the VRF outputs of the blocks below it,
/// and whatever else an epoch has follows from the parent.
#[test]
fn the_epochs_of_real_networks() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    let mut proved = 0;
    for (file, blocks) in DUMPS {
        let database = loaded(&dumps, file);
        let (mut archive, listed) = opened(&database, blocks);
        let context = Context::quiet(OutputFormat::Json);
        for one in &listed {
            let choice = BlockChoice::StateHash(one.block.state_hash);
            let at = Located::find(&mut archive, &choice).unwrap();
            let basis = EpochBasis {
                slots_per_epoch: 7140,
                first: Some(FirstEpochs::of_first_genesis(Some(
                    at.branch.genesis.ledger_hash,
                ))),
            };
            let epochs = prove_epochs(&mut archive, &at, &basis, &context).unwrap();
            assert_eq!(epochs.blocks, at.branch.blocks, "{file}");
            proved += 1;
        }
    }
    assert_eq!(proved, 73);
}

/// Every block of a real network becomes a candidate from nothing but the database and a description of
/// the network.
#[test]
fn every_candidate_of_a_real_network() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    let (file, blocks) = DUMPS[0];
    let database = loaded(&dumps, file);
    let uri = server().uri(&database);
    let (archive, listed) = opened(&database, blocks);
    drop(archive);
    let genesis = listed.iter().find(|one| one.block.height == 1).unwrap();
    let time = GenesisTimestamp::from_ms(genesis.block.timestamp_ms).unwrap();
    let text = network_file(Era::Berkeley)
        .replace("2024-06-05T00:00:00Z", &time.to_string())
        .replace("slots_per_epoch = 15", "slots_per_epoch = 7140")
        .replace("slot_tx_end = 60\n", "")
        .replace("slot_chain_end = 70\n", "");
    let directory = tempfile::tempdir().unwrap();
    let network = directory.path().join("network.toml");
    std::fs::write(&network, text).unwrap();
    let config = directory.path().join("daemon.json");
    std::fs::write(&config, "{}").unwrap();
    for one in &listed {
        let hash = one.block.state_hash.to_string();
        let run = worker(
            "candidate",
            &uri,
            &[
                "--network",
                network.to_str().unwrap(),
                "--prefork-config",
                config.to_str().unwrap(),
                "--state-hash",
                &hash,
            ],
        );
        assert_eq!(run.code(), 0, "{hash}: {}", run.said());
        let (candidate, _) = fork_fs::read_document::<Candidate>(&run.out()).unwrap();
        assert_eq!(
            [candidate.seeds.staking, candidate.seeds.next],
            [one.block.staking_epoch.seed, one.block.next_epoch.seed]
        );
    }
}
