use fork_genesis::Block;

use super::*;
use crate::scenario::Scenario;
use crate::world::World;

fn world() -> World {
    let text = include_str!("../../scenarios/planned-fork.toml")
        .replace("accounts = 1000", "accounts = 40");
    let scenario = Scenario::from_toml(&text).unwrap();
    World::build(&scenario, tempfile::tempdir().unwrap().path()).unwrap()
}

fn asked(world: &World, daemon: usize, slot: u32) -> Asked<'_> {
    Asked {
        world,
        daemon,
        slot,
        uptime_seconds: 5,
        view: world.view(daemon, slot),
        wrong_block: false,
        wrong_ledger: false,
    }
}

fn ask_with(asked: &Asked<'_>, query: &str, variables: Value) -> Value {
    let request = json!({ "query": query, "variables": variables }).to_string();
    let body = match Request::parse(request.as_bytes()) {
        Ok(request) => request.answer(asked),
        Err(error) => errors(&error.0, None),
    };
    serde_json::from_slice(&body.to_vec()).unwrap()
}

fn ask(asked: &Asked<'_>, query: &str) -> Value {
    ask_with(asked, query, Value::Null)
}

fn message(answer: &Value) -> &str {
    assert!(answer["data"].is_null(), "{answer}");
    answer["errors"][0]["message"].as_str().unwrap()
}

#[test]
fn fields_come_under_their_aliases_and_nothing_else_does() {
    let world = world();
    let asked = asked(&world, 0, 393_798);
    let answer = ask(
        &asked,
        "query Q { state: syncStatus daemonStatus { n: numAccounts peers { host } __typename } }",
    );
    assert_eq!(answer["data"]["state"], "SYNCED");
    let status = &answer["data"]["daemonStatus"];
    assert_eq!(status.as_object().unwrap().len(), 3);
    assert_eq!(status["n"], 40);
    assert_eq!(status["peers"][4], json!({ "host": "192.0.2.5" }));
    assert_eq!(status["__typename"], "DaemonStatus");
}

#[test]
fn operations_variables_and_fragments() {
    let world = world();
    let asked = asked(&world, 0, 393_798);
    let query = "query A($n: Int = 2) { bestChain(maxLength: $n) { ...b } }
        fragment b on Block { stateHash ... on Block { protocolState { consensusState { slot } } } }";
    let slots = |answer: &Value| -> Vec<String> {
        let chain = answer["data"]["bestChain"].as_array().unwrap();
        let slot = |block: &Value| {
            let slot = &block["protocolState"]["consensusState"]["slot"];
            slot.as_str().unwrap().to_owned()
        };
        chain.iter().map(slot).collect()
    };
    // Oldest first, the newest of them.
    assert_eq!(slots(&ask(&asked, query)), ["393796", "393798"]);
    assert_eq!(
        slots(&ask_with(&asked, query, json!({ "n": 1 }))),
        ["393798"]
    );
    assert_eq!(
        slots(&ask_with(&asked, query, json!({ "n": null }))).len(),
        20
    );
    let two = json!({
        "query": "query A { syncStatus } query B { networkID }",
        "operationName": "B",
    });
    let request = Request::parse(two.to_string().as_bytes()).unwrap();
    assert_eq!(request.field_names(), ["networkID"]);
}

#[test]
fn what_there_is_not_is_an_error() {
    let world = world();
    let asked = asked(&world, 0, 393_798);
    for (query, said) in [
        (
            "{ nothing }",
            "Field 'nothing' is not defined on type 'query'",
        ),
        (
            "{ bestChain { hash } }",
            "Field 'hash' is not defined on type 'Block'",
        ),
        ("{ bestChain }", "must have a selection"),
        ("{ syncStatus { x } }", "no subfields"),
        (
            "{ bestChain(length: 1) { stateHash } }",
            "Unknown argument 'length'",
        ),
        ("{ bestChain(maxLength: \"1\") { stateHash } }", "maxLength"),
        (
            "query ($n: Int!) { bestChain(maxLength: $n) { stateHash } }",
            "`$n` is missing",
        ),
        (
            "{ bestChain(maxLength: $n) { stateHash } }",
            "'$n' is not defined",
        ),
        ("mutation { syncStatus }", "only queries"),
        ("{ ...f } fragment f on query { ...f }", "contains itself"),
        ("{ ...g }", "no fragment `g`"),
        ("{ block { stateHash } }", "exactly one of"),
        ("{ block(height: 1) { stateHash } }", "with height 1"),
        (
            "{ block(height: 1, stateHash: \"x\") { stateHash } }",
            "exactly one of",
        ),
        ("{ block(stateHash: \"x\") { stateHash } }", "a state hash"),
        ("{ protocolState(encoding: BASE64) }", "BASE64"),
        ("{ account { nonce } }", "required"),
        ("{ syncStatus", ""),
    ] {
        let answer = ask(&asked, query);
        let message = message(&answer);
        assert!(message.contains(said), "{query}: {message}");
    }
    assert!(Request::parse(b"no json").is_err());
    assert!(Request::parse(b"{}").is_err());
    let deep = format!("{}syncStatus{}", "{ a ".repeat(100), "}".repeat(100));
    assert!(message(&ask(&asked, &deep)).contains("recursion"));
}

#[test]
fn a_bootstrapping_daemon_says_so_in_its_style() {
    let world = world();
    let young = asked(&world, 2, 393_785);
    assert_eq!(
        ask(&young, "{ syncStatus }")["data"]["syncStatus"],
        "BOOTSTRAP"
    );
    let status = ask(
        &young,
        "{ daemonStatus { stateHash blockchainLength consensusTimeBestTip { slot }
           consensusTimeNow { globalSlot } highestBlockLengthReceived } }",
    );
    assert_eq!(
        status["data"]["daemonStatus"],
        json!({
            "stateHash": null,
            "blockchainLength": null,
            "consensusTimeBestTip": null,
            "consensusTimeNow": { "globalSlot": "393785" },
            "highestBlockLengthReceived": 0,
        })
    );
    assert!(message(&ask(&young, "{ bestChain { stateHash } }")).contains("best chain"));
    // Inside data, as older daemons did.
    assert_eq!(
        ask(&young, "{ fork_config }"),
        json!({ "data": { "fork_config": { "error": "Daemon is bootstrapping" } } })
    );
    // Daemon a has no block yet either.
    let early = asked(&world, 0, 1);
    assert_eq!(
        message(&ask(&early, "{ fork_config }")),
        "Daemon is bootstrapping"
    );
    assert_eq!(
        message(&ask(&early, "{ protocolState }")),
        "Daemon is bootstrapping"
    );
}

#[test]
fn numbers_are_strings_where_they_are_on_the_wire() {
    let world = world();
    let asked = asked(&world, 0, 393_815);
    let answer = ask(
        &asked,
        "{ block(height: 548119) { stateHash commandTransactionCount
             transactions { coinbase userCommands { nonce } feeTransfer { fee } }
             protocolState { previousStateHash
               blockchainState { date stagedLedgerHash }
               consensusState { blockHeight slot slotSinceGenesis
                 nextEpochData { ledger { hash totalCurrency } seed epochLength } } } } }",
    );
    let number = world.block_in_slot("main", 393_798).unwrap();
    let facts = &world.blocks()[number].facts;
    let block = &answer["data"]["block"];
    assert_eq!(block["stateHash"], facts.state_hash.to_string());
    assert_eq!(block["commandTransactionCount"], 3);
    assert_eq!(block["transactions"]["coinbase"], "720000000000");
    assert_eq!(
        block["transactions"]["userCommands"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let state = &block["protocolState"];
    assert_eq!(
        state["blockchainState"]["date"],
        facts.timestamp_ms.to_string()
    );
    assert_eq!(
        state["blockchainState"]["stagedLedgerHash"],
        facts.staged_ledger_hash.to_string()
    );
    let consensus = &state["consensusState"];
    assert_eq!(consensus["blockHeight"], "548119");
    assert_eq!(consensus["slot"], "393798");
    assert_eq!(
        consensus["slotSinceGenesis"],
        (393_798 + 564_480).to_string()
    );
    assert_eq!(
        consensus["nextEpochData"]["seed"],
        facts.next_epoch.seed.to_string()
    );
    assert_eq!(consensus["nextEpochData"]["epochLength"], "1000");
}

#[test]
fn a_protocol_state_hashes_to_its_block() {
    let world = world();
    let asked = asked(&world, 0, 393_798);
    let number = world.block_in_slot("main", 393_796).unwrap();
    let expected = world.blocks()[number].state_hash();
    let answer = ask_with(
        &asked,
        "query ($h: String) { protocolState(encoding: JSON, stateHash: $h) }",
        json!({ "h": expected }),
    );
    let state = answer["data"]["protocolState"].as_str().unwrap();
    let block = Block::from_slice(format!("{{\"protocol_state\":{state}}}").as_bytes()).unwrap();
    assert_eq!(block.facts().state_hash, expected);
}

#[test]
fn accounts_are_those_of_the_best_tip() {
    let world = world();
    let asked = asked(&world, 0, 393_798);
    let spec = fork_testkit::fixture::FixtureSpec {
        accounts: 40,
        seed: 7,
        ..Default::default()
    };
    let accounts = fork_testkit::fixture::Accounts::new(&spec).unwrap();
    let query = "query ($k: PublicKey!, $t: TokenId) { account(publicKey: $k, token: $t) {
        index nonce tokenId balance { total stateHash } leafHash merklePath { left right } } }";
    let third = accounts.account(fork_types::Role::Genesis, 2);
    let answer = ask_with(
        &asked,
        query,
        json!({ "k": third.public_key, "t": third.token_id.to_string() }),
    );
    let found = &answer["data"]["account"];
    assert_eq!(found["index"], 2);
    assert_eq!(found["tokenId"], third.token_id.to_string());
    let path = found["merklePath"].as_array().unwrap();
    assert_eq!(path.len(), 35);
    // Index 2: from the left, then from the right.
    assert!(path[0]["right"].is_null() && path[1]["left"].is_null());
    let nobody = ask_with(
        &asked,
        query,
        json!({ "k": fork_types::PublicKey::new(fork_types::FieldBytes::ONE, true) }),
    );
    assert!(nobody["data"]["account"].is_null());
}

#[test]
fn lies_are_about_the_parent_or_about_a_balance() {
    let world = world();
    let honest = asked(&world, 0, 393_815);
    let fork_config =
        |asked: &Asked<'_>| ask(asked, "{ fork_config }")["data"]["fork_config"].take();
    let truth = fork_config(&honest);
    let wrong_block = fork_config(&Asked {
        wrong_block: true,
        ..honest.clone()
    });
    assert_eq!(truth["proof"]["fork"]["blockchain_length"], 548_119);
    assert_eq!(wrong_block["proof"]["fork"]["blockchain_length"], 548_118);
    let wrong_ledger = fork_config(&Asked {
        wrong_ledger: true,
        ..honest.clone()
    });
    assert_eq!(truth["ledger"]["hash"], wrong_ledger["ledger"]["hash"]);
    let accounts = |config: &Value| config["ledger"]["accounts"].as_array().unwrap().clone();
    let (right, wrong) = (accounts(&truth), accounts(&wrong_ledger));
    let different: Vec<usize> = (0..40)
        .filter(|index| right[*index] != wrong[*index])
        .collect();
    assert_eq!(different, [1]);
}
