//! Shards that are missing, foreign or changed.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ROLES, merge, of_candidate, shard, shards};
use crate::support::{FORK_SLOT, Fixture, Place};

/// Three shards of three ledgers, to break.
fn three(place: &Place) -> Vec<String> {
    Fixture::small().import(place);
    let mut made = shards(place, &of_candidate(&ROLES), 3, "shard");
    made.reverse();
    made
}

const CANDIDATE: [&str; 2] = ["--candidate", "candidate"];

/// Merging must fail with this message, and leave nothing.
fn refused(place: &Place, shards: &[&str], code: i32, needles: &[&str], hint: &str) {
    let ran = merge(place, shards, &CANDIDATE, "out");
    place.nothing_left("out");
    ran.hints(hint);
    ran.refused(code, needles);
}

#[test]
fn shards_that_do_not_belong_together() {
    let place = Place::new();
    let made = three(&place);
    let [one, two, three] = [&made[0][..], &made[1], &made[2]];
    refused(
        &place,
        &[one, three],
        5,
        &["of 3 shards, 2/3 are not given"],
        "--shard 2/3",
    );
    let twice = ["2/3 is given twice", "`shard-2` and `shard-2`"];
    refused(&place, &[one, two, two, three], 2, &twice, "once");

    let options = of_candidate(&ROLES);
    shard(&place, &options, 2, 4, "of-four").done();
    let needles = ["`of-four`", "number of shards is 4, expected 3"];
    refused(
        &place,
        &[one, "of-four", three],
        5,
        &needles,
        "same options",
    );

    let later = (FORK_SLOT.parse::<u32>().unwrap() + 1).to_string();
    for (name, roles, change, needle) in [
        (
            "other-slot",
            &ROLES[..],
            &["--fork-slot", &later][..],
            format!("rule is berkeley-to-mesa/untimed-becomes-timed at slot {later}"),
        ),
        (
            "other-variant",
            &ROLES,
            &["--fork-slot", FORK_SLOT, "--variant", "untimed-stays"],
            "rule is berkeley-to-mesa/untimed-stays".to_owned(),
        ),
        (
            "other-roles",
            &ROLES[..2],
            &["--fork-slot", FORK_SLOT],
            "list of roles is genesis, staking, expected genesis, staking, next".to_owned(),
        ),
        (
            "filling",
            &ROLES,
            &["--fork-slot", FORK_SLOT, "--ignore-missing"],
            "use of --ignore-missing is true, expected false".to_owned(),
        ),
        (
            "skipping",
            &ROLES,
            &["--fork-slot", FORK_SLOT, "--skip-source-root"],
            "use of --skip-source-root is true, expected false".to_owned(),
        ),
    ] {
        let mut options = of_candidate(roles);
        options.truncate(options.len() - 2);
        options.extend_from_slice(change);
        shard(&place, &options, 2, 3, name).done();
        let needles = [
            &format!("`{name}` does not belong to shard `shard-1`")[..],
            &needle,
        ];
        refused(&place, &[one, name, three], 5, &needles, "same options");
    }

    // Another fork of the same shape.
    let other = Place::new();
    Fixture::sharing().import(&other);
    shard(&other, &options, 2, 3, "foreign").done();
    let foreign = other.path("foreign");
    let foreign = foreign.to_str().unwrap();
    let needles = ["does not belong", "its candidate is"];
    refused(
        &place,
        &[one, foreign, three],
        5,
        &needles,
        "same candidate",
    );
    let all = [one, two, three];
    let candidate = other.path("candidate");
    let ran = merge(
        &place,
        &all,
        &["--candidate", candidate.to_str().unwrap()],
        "out",
    );
    ran.hints("made from");
    ran.refused(5, &["is not the one that shard `shard-1` was made from"]);
    let ran = merge(&place, &all, &[], "out");
    ran.refused(2, &["--candidate is not given", "fixture-1"]);
    let root = "jwNw4qb6tnNhpQNxiMLem9WumxZTwmbSx3fYXW4FP3hZRkoQJSE";
    let ran = merge(
        &place,
        &all,
        &[&CANDIDATE[..], &["--source-root", root]].concat(),
        "out",
    );
    ran.refused(
        2,
        &["--source-root names the root of one ledger", "3 roles"],
    );
    place.nothing_left("out");
}

/// Changes a shard's document.
fn edit(place: &Place, shard: &str, change: impl FnOnce(&mut Value)) {
    let path = format!("{shard}/shard.json");
    let mut document = place.document(&path);
    change(&mut document);
    place.write(&path, serde_json::to_vec_pretty(&document).unwrap());
}

#[test]
fn documents_that_say_something_else() {
    let original = Place::new();
    three(&original);
    type Change = fn(&mut Value);
    let cases: [(Change, i32, &str); 12] = [
        (
            |shard| shard["more"] = json!(1),
            5,
            "not a valid forkpack.shard document",
        ),
        (
            |shard| shard["version"] = json!(2),
            5,
            "version 2; this build reads up to 1",
        ),
        (
            |shard| shard["format"] = json!("forkpack.ledger"),
            5,
            "expected `forkpack.shard`",
        ),
        (
            |shard| shard["number"] = json!(4),
            5,
            "there is no shard 4 of 3",
        ),
        (|shard| shard["number"] = json!(1), 2, "1/3 is given twice"),
        (
            |shard| shard["rule"]["name"] = json!("x"),
            5,
            "its rule is x at slot",
        ),
        (
            |shard| shard["subtree_height"] = json!(33),
            5,
            "subtrees of height 33",
        ),
        (
            |shard| shard["ledgers"][1]["role"] = json!("genesis"),
            5,
            "the genesis ledger twice",
        ),
        (
            |shard| {
                shard["ledgers"][0]["target_roots"]
                    .as_array_mut()
                    .unwrap()
                    .pop();
            },
            5,
            "3 target roots of the genesis ledger, expected 4",
        ),
        (
            |shard| {
                shard["ledgers"][0]["first"] = json!(5);
            },
            5,
            "accounts 4 to 4 of the genesis ledger are in no shard: `shard-2` begins at account 5",
        ),
        (
            |shard| {
                shard["ledgers"][0]["first"] = json!(2);
            },
            5,
            "accounts 2 to 3 of the genesis ledger are in two shards: `shard-2` begins at account 2",
        ),
        (
            |shard| shard["ledgers"][2]["audit"]["timed"] = json!(99),
            5,
            "a count of the next ledger is no number or above its 4 accounts",
        ),
    ];
    let names = ["shard-1", "shard-2", "shard-3"];
    let document = fs::read(original.path("shard-2/shard.json")).unwrap();
    for (change, code, needle) in cases {
        edit(&original, "shard-2", change);
        let ran = merge(&original, &names, &CANDIDATE, "out");
        original.nothing_left("out");
        ran.refused(code, &["shard-2", needle]);
        original.write("shard-2/shard.json", &document);
    }
    // The last one ends too early.
    edit(&original, "shard-3", |shard| {
        let ledger = &mut shard["ledgers"][0];
        ledger["count"] = json!(3);
        for roots in ["source_roots", "target_roots"] {
            ledger[roots].as_array_mut().unwrap().pop();
        }
    });
    let needles = [
        "genesis ledger has 12 accounts",
        "`shard-3`, ends with number 11",
    ];
    refused(&original, &names, 5, &needles, "again");
}

/// Writes a piece, with or without its digest in the document.
fn replace_piece(place: &Place, bytes: &[u8], with_digest: bool) {
    place.write("shard-2/genesis.piece", bytes);
    if with_digest {
        edit(place, "shard-2", |shard| {
            shard["ledgers"][0]["piece"]["sha256"] = json!(hex::encode(Sha256::digest(bytes)));
            shard["ledgers"][0]["piece"]["bytes"] = json!(bytes.len());
        });
    }
}

/// Where things are in a piece: the header takes 18 bytes, a record's length 4, its hash and its token
/// 32 each.
const FIRST: usize = 18;
const HASH: usize = FIRST + 4;
const ACCOUNT: usize = FIRST + 4 + 32 + 32;

#[test]
fn pieces_that_were_changed() {
    let place = Place::new();
    let made = three(&place);
    let names: Vec<&str> = made.iter().map(String::as_str).collect();
    let good = fs::read(place.path("shard-2/genesis.piece")).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    // Whatever was changed, the digest tells.
    for at in [0, 9, FIRST, HASH, HASH + 32, ACCOUNT + 70, good.len() - 1] {
        replace_piece(&place, &changed(at, 1), false);
        refused(&place, &names, 4, &["shard-2/genesis.piece", "SHA-256"], "");
    }
    for bytes in [&good[..good.len() - 1], &[&good[..], &[0]].concat()] {
        replace_piece(&place, bytes, false);
        refused(&place, &names, 4, &["shard-2/genesis.piece"], "");
    }
    let document = fs::read(place.path("shard-2/shard.json")).unwrap();
    // What is not a piece is said to be none, also when the document names these bytes.
    for (bytes, needle) in [
        (changed(0, 1), "does not begin with `fpkpiece`"),
        (changed(8, 2), "version 3; this build reads version 1"),
        (changed(9, 1), "era has the code 3, expected 2"),
        (
            changed(10, 1),
            "begins at account 5 and has 4, expected 4..8",
        ),
        (changed(FIRST + 3, 1), "expected 1 to 65536"),
        (
            changed(HASH + 31, 0xc0),
            "hash of account 4 is not below the modulus",
        ),
        (changed(ACCOUNT + 32, 0xf0), "account 4 is malformed"),
        (good[..good.len() - 1].to_vec(), "ends in the middle"),
        (
            [&good[..], &[0]].concat(),
            "goes on behind its last account",
        ),
    ] {
        replace_piece(&place, &bytes, true);
        let needles = ["shard-2/genesis.piece", needle];
        refused(&place, &names, 5, &needles, "make the shard again");
        place.write("shard-2/shard.json", &document);
    }
    // A hash that its document names: the subtree is another one.
    replace_piece(&place, &changed(HASH, 1), true);
    let needles = ["genesis ledger from 4 on", "shard-2"];
    refused(&place, &names, 4, &needles, "do not belong together");
    place.write("shard-2/shard.json", &document);
    // A balance that its document names: nothing but hashing it again tells.
    let mut balance = good.clone();
    // Owner (32 and a parity), token (32), symbol (length 0 or more), balance.
    let at = ACCOUNT + 33 + 32 + 1 + usize::from(good[ACCOUNT + 65]);
    balance[at + 1] ^= 1;
    replace_piece(&place, &balance, true);
    let ran = merge(
        &place,
        &names,
        &[&CANDIDATE[..], &["--proof", "rocksdb"]].concat(),
        "out",
    );
    place.nothing_left("out");
    ran.refused(4, &["genesis"]);
}

/// Subtree roots that are others than those of the accounts.
#[test]
fn roots_that_were_changed() {
    let place = Place::new();
    let made = three(&place);
    let names: Vec<&str> = made.iter().map(String::as_str).collect();
    let document = fs::read(place.path("shard-2/shard.json")).unwrap();
    let root = place.document("shard-1/shard.json")["ledgers"][1]["target_roots"][0].clone();
    edit(&place, "shard-2", |shard| {
        shard["ledgers"][1]["target_roots"][1] = root.clone();
    });
    let needles = [
        "staking ledger from 5 on",
        "shard-2",
        root.as_str().unwrap(),
    ];
    refused(&place, &names, 4, &needles, "do not belong together");
    place.write("shard-2/shard.json", &document);
    edit(&place, "shard-2", |shard| {
        shard["ledgers"][1]["source_roots"][1] = root.clone();
    });
    let needles = [
        "staking ledger in `staking_ledger.json` hash to",
        "claimed by block",
    ];
    refused(&place, &names, 4, &needles, "dump them again");
    place.write("shard-2/shard.json", &document);
    edit(&place, "shard-2", |shard| {
        let balances = &mut shard["ledgers"][1]["audit"];
        balances["default_token_after"] = json!("5");
    });
    let needles = ["shard-2", "of the staking ledger, balances sum up to 5"];
    refused(&place, &names, 5, &needles, "make this shard again");
}
