//! From an archive database to a signed package, in one call.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fork_archive::ArchiveUri;
use fork_archive::client::Client;
use fork_testkit::archive::{
    ChainModel, ChainSpec, GENESIS_SLOT_DELTA, SLOT_CHAIN_END, chain, network_file, prefork_config,
};
use fork_testkit::postgres::Server;

use crate::pipeline::base_rootfs;
use crate::support::{Place, root, skipped, text};

/// The database.
const DATABASE: &str = "archive";

/// A server with one archive in it.
struct Archive {
    server: Server,
    model: ChainModel,
}

impl Archive {
    /// A chain that goes on for a while after its transactions have ended; nothing without PostgreSQL.
    fn start(test: &str, spec: &ChainSpec) -> Option<Self> {
        if !Server::is_available() {
            skipped(test, "PostgreSQL is missing");
            return None;
        }
        let server = Server::start(&std::env::temp_dir()).unwrap();
        let model = chain(spec).unwrap();
        let create = format!("CREATE DATABASE {DATABASE} TEMPLATE template0");
        let archive = Self { server, model };
        archive.execute_in("postgres", &create);
        archive.execute(&archive.model.sql);
        Some(archive)
    }

    fn execute_in(&self, database: &str, sql: &str) {
        let uri = ArchiveUri::parse(&self.server.uri(database)).unwrap();
        let patience = Duration::from_secs(60);
        let mut client = Client::connect(&uri, patience, patience).unwrap();
        client.execute("arrange", sql).unwrap();
    }

    fn execute(&self, sql: &str) {
        self.execute_in(DATABASE, sql);
    }

    fn state_hash(&self, height: u32) -> String {
        let mut blocks = self.model.blocks.iter();
        let found = blocks.find(|block| block.height == height && block.status != "orphaned");
        found.unwrap().state_hash.to_string()
    }
}

/// A place with everything but the source of the fork point.
fn place(spec: &ChainSpec) -> Place {
    let place = Place::new();
    base_rootfs(&place);
    place.write("network.toml", network_file(spec.era));
    place.write("prefork_config.json", prefork_config());
    place
        .run("sign-release", &["keygen", "--output", "key"])
        .done();
    place
}

/// The arguments of a planned fork.
fn arguments(place: &Place, output: &str, more: &[(&str, &str)]) -> Vec<String> {
    let fork_slot = (SLOT_CHAIN_END + GENESIS_SLOT_DELTA).to_string();
    let more = [more, &[("FORK_SLOT", fork_slot.as_str())]].concat();
    arguments_for(place, output, &more)
}

fn arguments_for(place: &Place, output: &str, more: &[(&str, &str)]) -> Vec<String> {
    let file = root().join("pipeline/pipeline.yml");
    let mut arguments: Vec<String> = ["--plain", "--file", text(&file), "--output", output]
        .map(str::to_owned)
        .to_vec();
    let common = [
        ("NETWORK", text(&place.path("network.toml")).to_owned()),
        (
            "PREFORK_CONFIG",
            text(&place.path("prefork_config.json")).to_owned(),
        ),
        ("VERSION", "4.0.0".to_owned()),
        ("GIT_HASH", "abcdef01".to_owned()),
        ("SEED_LIST_URL", "https://example.org/seeds.txt".to_owned()),
        ("BASE_IMAGE", "rootfs:base".to_owned()),
        ("SIGNING_KEY_FILE", "./key/signing-key.pem".to_owned()),
    ];
    let more = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in common.into_iter().chain(more) {
        arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
    }
    arguments
}

fn run(place: &Place, output: &str, more: &[(&str, &str)]) -> crate::support::Ran {
    let arguments = arguments(place, output, more);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.run("run-pipeline", &arguments)
}

/// The only file of a step with this ending.
fn only(place: &Place, directory: &str, ending: &str) -> Vec<u8> {
    let mut found = fs::read_dir(place.path(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending));
    let file = found.next().unwrap();
    assert!(found.next().is_none());
    fs::read(file).unwrap()
}

/// Nothing but a database and a state hash; a second run gives the same bytes.
#[test]
fn the_whole_pipeline_from_an_archive() {
    let spec = ChainSpec {
        height: 20,
        seed: 77,
        ..ChainSpec::default()
    };
    let Some(archive) = Archive::start("the_whole_pipeline_from_an_archive", &spec) else {
        return;
    };
    let place = place(&spec);
    let hash = archive.state_hash(16);
    let uri = archive.server.uri(DATABASE);
    // The server trusts whoever comes; that the password is read and shown nowhere is all.
    place.write("password", "hunter2\n");
    fs::set_permissions(place.path("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let source = [
        ("ARCHIVE_URI", uri.as_str()),
        ("ARCHIVE_PASSWORD_FILE", "./password"),
        ("STATE_HASH", &hash),
    ];
    let ran = run(&place, "from-archive", &source);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    ran.done();
    let facts = place.document("from-archive/artifacts/facts/facts/facts.json");
    assert!(facts.to_string().contains(&hash), "{facts}");
    let origins = place.document("from-archive/artifacts/import/candidate/archive-candidate.json");
    assert_eq!(origins["block"]["state_hash"], hash.as_str());

    // Again: nothing is done twice, and the bytes stay.
    let deb = only(
        &place,
        "from-archive/artifacts/package-deb/deb/bookworm",
        ".deb",
    );
    run(&place, "once-more", &source).done();
    let again = only(
        &place,
        "once-more/artifacts/package-deb/deb/bookworm",
        ".deb",
    );
    assert!(deb == again);
}

/// Every way an archive can refuse ends the pipeline there, with the worker's own code and words.
#[test]
fn a_pipeline_without_what_the_archive_lacks() {
    let spec = ChainSpec {
        height: 12,
        seed: 41,
        unknown_at: Some(2),
        ..ChainSpec::default()
    };
    let Some(archive) = Archive::start("a_pipeline_without_what_the_archive_lacks", &spec) else {
        return;
    };
    let place = place(&spec);
    let uri = archive.server.uri(DATABASE);
    let hash = archive.state_hash(8);
    let source = [("ARCHIVE_URI", uri.as_str()), ("STATE_HASH", &hash)];
    let ran = run(&place, "out", &source);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("lacks the next ledger"),
        "{}",
        ran.stderr
    );
    // The ledger from elsewhere completes it, in the same output directory.
    let boundary = &archive.model.boundaries[0];
    let mut list = b"[".to_vec();
    for (index, account) in boundary.accounts.iter().enumerate() {
        list.extend(if index == 0 { &b"\n"[..] } else { b",\n" });
        fork_ledger::json::write_account_json(account, &mut list);
    }
    list.extend(b"\n]\n");
    fs::write(place.path("next.json"), list).unwrap();
    let next = text(&place.path("next.json")).to_owned();
    let complete = [source[0], source[1], ("NEXT_STAKING_LEDGER_URL", &next)];
    let mut arguments = arguments(&place, "out", &complete);
    arguments.push("--resume".to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.run("run-pipeline", &arguments).done();

    // No such block.
    let other = "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP";
    let ran = run(&place, "no", &[source[0], ("STATE_HASH", other)]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(other), "{}", ran.stderr);
    assert!(!place.path("no/artifacts/import/candidate").exists());
}

/// The form of the emergency runbook: the same era, a time that people agreed on, the precomputed block,
/// and an archive that was started without the genesis accounts.
#[test]
fn an_emergency_from_an_archive() {
    let spec = ChainSpec {
        height: 20,
        seed: 78,
        ..ChainSpec::default()
    };
    let Some(archive) = Archive::start("an_emergency_from_an_archive", &spec) else {
        return;
    };
    let place = place(&spec);
    // The network file of a restart in the same era.
    let network = network_file(spec.era)
        .replace("target_era = \"mesa\"", "target_era = \"berkeley\"")
        .replace("transaction_version = 4", "transaction_version = 3")
        .replace("slot_ms = 90000", "slot_ms = 180000");
    place.write("network.toml", network);
    let mut list = b"[".to_vec();
    for (index, account) in archive.model.genesis.iter().enumerate() {
        list.extend(if index == 0 { &b"\n"[..] } else { b",\n" });
        fork_ledger::json::write_account_json(account, &mut list);
    }
    list.extend(b"\n]\n");
    fs::write(place.path("genesis.json"), list).unwrap();
    archive.execute("DELETE FROM accounts_accessed WHERE block_id = 1");
    let mut blocks = archive.model.blocks.iter();
    let block = blocks.find(|block| block.height == 16 && block.status != "orphaned");
    let block = block.unwrap();
    fs::write(place.path("block.json"), &block.json).unwrap();
    let hash = block.state_hash.to_string();
    let uri = archive.server.uri(DATABASE);
    // Slot 100 of the chain.
    let emergency = [
        ("ARCHIVE_URI", uri.as_str()),
        ("STATE_HASH", &hash),
        ("BLOCK_URL", "./block.json"),
        ("FROM_ERA", "berkeley"),
        ("TO_ERA", "berkeley"),
        ("GENESIS_TIMESTAMP", "2024-06-05T05:00:00Z"),
        ("UNSCHEDULED", "1"),
    ];
    let run = |output: &str, more: &[(&str, &str)]| {
        let arguments = arguments_for(&place, output, &[&emergency[..], more].concat());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.run("run-pipeline", &arguments)
    };
    let ran = run("without", &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no accounts of the genesis block"),
        "{}",
        ran.stderr
    );
    run("out", &[("ARCHIVE_GENESIS_ACCOUNTS", "./genesis.json")]).done();
    let facts = place.document("out/artifacts/facts/facts/facts.json");
    assert!(facts.to_string().contains(&hash), "{facts}");
    let candidate = place.document("out/artifacts/import/candidate/candidate.json");
    assert_eq!(candidate["fork_block"]["state_hash_recomputed"], true);
    let origins = place.document("out/artifacts/import/candidate/archive-candidate.json");
    assert_eq!(origins["genesis_accounts"]["name"], "genesis.json");
}
