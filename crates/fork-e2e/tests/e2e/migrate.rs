//! `migrate-ledger`: several ledgers in one run, kernels, and proofs.

use std::fs;

use serde_json::Value;

use crate::support::{FORK_SLOT, Fixture, Place, Ran};

const ROLES: [&str; 3] = ["genesis", "staking", "next"];

fn arguments<'a>(roles: &[&'a str], output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--candidate", "candidate"];
    for role in roles {
        arguments.extend(["--role", role]);
    }
    arguments.extend(["--from", "berkeley", "--to", "mesa"]);
    arguments.extend(["--fork-slot", FORK_SLOT, "--output", output]);
    arguments.extend_from_slice(more);
    arguments
}

fn migrate(place: &Place, roles: &[&str], output: &str, more: &[&str]) -> Ran {
    place.run("migrate-ledger", &arguments(roles, output, more))
}

/// A document without its measurements.
fn measured_away(mut document: Value) -> Value {
    document["stages_ms"] = Value::Null;
    document["peak_memory_bytes"] = Value::Null;
    document
}

/// What ledgers share is hashed once; each must come out as if it were alone.
#[test]
fn several_roles_in_one_run_are_those_of_three_runs() {
    for fixture in [Fixture::small(), Fixture::sharing()] {
        let place = Place::new();
        fixture.import(&place);
        for role in ROLES {
            migrate(&place, &[role], &format!("alone-{role}"), &[]).done();
        }
        for (number, roles) in [
            vec!["genesis", "staking", "next"],
            vec!["next", "genesis", "staking"],
            vec!["staking", "next"],
        ]
        .iter()
        .enumerate()
        {
            let output = format!("together-{number}");
            migrate(&place, roles, &output, &[]).done();
            assert_eq!(
                fs::read_dir(place.path(&output)).unwrap().count(),
                roles.len()
            );
            for role in roles {
                let alone = place.tarball(&format!("alone-{role}"));
                let together = place.tarball(&format!("{output}/{role}"));
                assert_eq!(alone.file_name(), together.file_name());
                assert_eq!(fs::read(alone).unwrap(), fs::read(together).unwrap());
                let document =
                    |directory: &str| place.document(&format!("{directory}/ledger.json"));
                assert_eq!(
                    measured_away(document(&format!("alone-{role}"))),
                    measured_away(document(&format!("{output}/{role}")))
                );
            }
        }
    }
}

#[test]
fn several_roles_are_printed_as_a_list() {
    let place = Place::new();
    Fixture::small().import(&place);
    let printed = place.json("migrate-ledger", &arguments(&ROLES, "out", &[]));
    let roles: Vec<&str> = printed
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ROLES);
}

#[test]
fn options_that_make_no_sense_with_several_roles() {
    let place = Place::new();
    Fixture::small().import(&place);
    let root = "jwNw4qb6tnNhpQNxiMLem9WumxZTwmbSx3fYXW4FP3hZRkoQJSE";
    migrate(&place, &["next", "next"], "out", &[]).refused(2, &["--role next is given twice"]);
    for option in ["--expect-root", "--source-root"] {
        migrate(&place, &ROLES, "out", &[option, root]).refused(2, &[option, "3 roles"]);
    }
    place.nothing_left("out");
}

/// The list is read to its end before anything is said about its digest, so a list that was cut
/// short is called what it is: not the candidate's.
#[test]
fn one_bad_list_of_three_leaves_nothing() {
    let place = Place::new();
    Fixture::small().import(&place);
    let list = place.path("candidate/next_staking_ledger.json");
    let bytes = fs::read(&list).unwrap();
    fs::write(&list, &bytes[..bytes.len() / 2]).unwrap();
    let ran = migrate(&place, &ROLES, "out", &[]);
    place.nothing_left("out");
    ran.refused(4, &["next_staking_ledger.json", "SHA-256"]);
}

/// The candidate names the bytes and says that their root was computed.
#[test]
fn a_source_root_that_import_computed_can_be_relied_on() {
    let place = Place::new();
    Fixture::small().import(&place);
    migrate(&place, &ROLES, "computed", &[]).done();
    migrate(&place, &ROLES, "relied", &["--skip-source-root"]).done();
    for role in ROLES {
        let mut computed = place.document(&format!("computed/{role}/ledger.json"));
        let relied = place.document(&format!("relied/{role}/ledger.json"));
        assert_eq!(computed["source"]["root_computed"], true);
        assert_eq!(relied["source"]["root_computed"], false);
        computed["source"]["root_computed"] = Value::Bool(false);
        assert_eq!(measured_away(computed), measured_away(relied));
    }
    // A change of the bytes is noticed all the same.
    let list = place.path("candidate/staged_ledger.json");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replacen("\"nonce\":\"", "\"nonce\":\"1", 1)).unwrap();
    let ran = migrate(&place, &["genesis"], "out", &["--skip-source-root"]);
    place.nothing_left("out");
    ran.refused(4, &["staged_ledger.json", "SHA-256"]);
}

#[test]
fn a_source_root_that_nobody_computed_cannot_be_relied_on() {
    let fixture = Fixture::small();
    let place = Place::new();
    place
        .run(
            "dump-candidates",
            &[
                "import",
                "--network",
                &fixture.file("network.toml"),
                "--fork-config",
                &fixture.file("fork_config.json"),
                "--block",
                &fixture.file("block.json"),
                "--skip-roots",
                "--output",
                "candidate",
            ],
        )
        .done();
    let ran = migrate(&place, &ROLES, "out", &["--skip-source-root"]);
    place.nothing_left("out");
    ran.refused(2, &["genesis ledger", "was computed"]);
}

/// Both proofs accept the same store and say the same about it.
#[test]
fn both_proofs_agree() {
    let place = Place::new();
    Fixture::small().import(&place);
    migrate(&place, &ROLES, "log", &["--proof", "log"]).done();
    migrate(&place, &ROLES, "rocksdb", &["--proof", "rocksdb"]).done();
    for role in ROLES {
        let mut log = place.document(&format!("log/{role}/ledger.json"));
        let rocksdb = place.document(&format!("rocksdb/{role}/ledger.json"));
        assert_eq!(log["target"]["proof"], "log");
        log["target"]["proof"] = Value::String("rocksdb".to_owned());
        assert_eq!(measured_away(log), measured_away(rocksdb));
    }
}

/// The processor decides how fast, never what.
#[test]
fn every_kernel_gives_the_same_bytes() {
    let place = Place::new();
    Fixture::small().import(&place);
    let mut tarballs = Vec::new();
    for kernel in pasta_poseidon::Kernel::available() {
        let name = kernel.name();
        let mut command = place.command("migrate-ledger", &arguments(&ROLES, name, &[]));
        let output = command.env("FORKPACK_KERNEL", name).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        for role in ROLES {
            let document = place.document(&format!("{name}/{role}/ledger.json"));
            assert_eq!(document["kernel"], name);
        }
        let read = |role| fs::read(place.tarball(&format!("{name}/{role}"))).unwrap();
        tarballs.push(ROLES.map(read));
    }
    assert!(tarballs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_kernel_that_does_not_exist() {
    let place = Place::new();
    Fixture::small().import(&place);
    let mut command = place.command("migrate-ledger", &arguments(&ROLES, "out", &[]));
    let output = command.env("FORKPACK_KERNEL", "abacus").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("portable"), "{text}");
    assert!(text.contains("`abacus`"), "{text}");
    place.nothing_left("out");
}

/// Both forms of a list are the same ledger, back and forth.
#[test]
fn dumps_in_bin_prot_are_the_lists_they_were_made_of() {
    let place = Place::new();
    Fixture::small().import(&place);
    let convert = |from: &str, to: &str, output: &str| {
        let arguments = [
            "convert", from, "--era", "berkeley", "--to", to, "--output", output,
        ];
        place.json("inspect-ledger", &arguments)
    };
    let list = "candidate/staged_ledger.json";
    let report = convert(list, "bin-prot", "list.bin");
    assert_eq!(report["accounts"], 12);
    convert("list.bin", "json", "list.json");
    convert("list.json", "bin-prot", "again.bin");
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("list.bin"), bytes("again.bin"));
    assert!(bytes("list.bin").len() < bytes(list).len());

    let from_list = |list: &str, output: &str| {
        let common = [
            "--accounts",
            list,
            "--role",
            "genesis",
            "--from",
            "berkeley",
        ];
        let more = ["--to", "mesa", "--fork-slot", FORK_SLOT];
        let last = ["--unverified-source", "--output", output];
        place.run("migrate-ledger", &[&common[..], &more, &last].concat())
    };
    from_list(list, "of-json").done();
    from_list("list.bin", "of-dump").done();
    let tarball = |output: &str| fs::read(place.tarball(output)).unwrap();
    assert_eq!(tarball("of-json"), tarball("of-dump"));

    let whole = bytes("list.bin");
    fs::write(place.path("list.bin"), &whole[..whole.len() - 3]).unwrap();
    let ran = from_list("list.bin", "cut");
    place.nothing_left("cut");
    ran.refused(5, &["list.bin", "ends in the middle"]);
    let ran = place.run(
        "inspect-ledger",
        &[
            "convert", "list.bin", "--era", "mesa", "--to", "json", "--output", "out",
        ],
    );
    place.nothing_left("out");
    ran.refused(5, &["list.bin", "era berkeley, expected mesa"]);
}
