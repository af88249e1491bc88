//! The policy files: strict reading, and that every rule has a test in which it alone decides.

use std::collections::{BTreeMap, BTreeSet};

use release_policy::Policy;
use release_policy::policy::check::{Kind, name_of};

use crate::world::policy_text;
use crate::{mina, mithril, optimism, spacemesh, splice};

pub const POLICIES: [&str; 5] = [
    "splice-sv-bugfix",
    "optimism-train",
    "mithril-release",
    "spacemesh-cycle",
    "mina-hardfork",
];

/// Rules of the specification, by letter.
pub const RULES: [(&str, &str, u32); 5] = [
    ("splice-sv-bugfix", "S", 24),
    ("optimism-train", "O", 30),
    ("mithril-release", "M", 22),
    ("spacemesh-cycle", "P", 26),
    ("mina-hardfork", "H", 10),
];

pub fn all_rows() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let ids = |rows: Vec<(crate::world::World, Vec<crate::rows::Row>)>| {
        rows.into_iter()
            .flat_map(|(_, rows)| rows)
            .map(|row| row.id)
            .collect()
    };
    BTreeMap::from([
        ("splice-sv-bugfix", ids(splice::rows())),
        ("optimism-train", ids(optimism::rows())),
        ("mithril-release", ids(mithril::rows())),
        ("spacemesh-cycle", ids(spacemesh::rows())),
        ("mina-hardfork", ids(mina::rows())),
    ])
}

#[test]
fn a02_every_rule_has_one_gate_and_a_test_in_which_it_decides_alone() {
    let rows = all_rows();
    for (policy, letter, count) in RULES {
        let read = Policy::parse(&policy_text(policy)).unwrap();
        let expected: BTreeSet<String> = (1..=count)
            .map(|number| format!("{letter}-{number:02}"))
            .collect();
        let gates: Vec<String> = read.gates.iter().map(|gate| gate.id.clone()).collect();
        assert_eq!(gates.len(), expected.len(), "{policy}: a rule has one gate");
        assert_eq!(
            gates.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{policy}"
        );
        let tested: BTreeSet<String> = rows[policy].iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(tested, expected, "{policy}: rules without a deciding test");
    }
}

#[test]
fn all_22_kinds_are_used() {
    let mut used: BTreeSet<Kind> = BTreeSet::new();
    for policy in POLICIES {
        used.extend(
            Policy::parse(&policy_text(policy))
                .unwrap()
                .gates
                .iter()
                .map(|gate| gate.check.kind()),
        );
    }
    assert_eq!(used.len(), 22);
    assert_eq!(name_of(Kind::LeadTime), "lead-time");
}

#[test]
fn every_rule_is_explained_with_its_source() {
    for policy in POLICIES {
        let policy = Policy::parse(&policy_text(policy)).unwrap();
        for gate in &policy.gates {
            let text = policy.explain(&gate.id).unwrap();
            assert!(
                text.contains(&gate.source) && gate.explain.ends_with('.'),
                "{}: {text}",
                gate.id
            );
        }
        assert!(policy.explain("X-01").is_none());
    }
}

#[test]
fn a01_what_is_not_understood_is_refused_with_its_line() {
    let text = policy_text("spacemesh-cycle");
    let broken = [
        (
            "min = \"168h\"",
            "min = \"168h\"\nmaximum = \"9d\"",
            "unknown field `maximum`",
        ),
        ("kind = \"soak\"", "kind = \"sok\"", "unknown variant `sok`"),
        (
            "stage = \"testnet\"\non = \"close\"",
            "stage = \"tesnet\"\non = \"close\"",
            "unknown stage `tesnet`",
        ),
        (
            "signed_by = \"operations\"",
            "signed_by = \"operation\"",
            "unknown role `operation`",
        ),
        (
            "on = \"close\"",
            "on = \"leave\"",
            "unknown variant `leave`",
        ),
        ("effect = \"warn\"", "effect = \"warn\"", ""),
        (
            "min = \"168h\"",
            "min = \"168h\"\nmax = \"9d\"",
            "the parameter `max` means nothing here",
        ),
        (
            "min = \"168h\"",
            "",
            "no check of kind `soak` has these parameters",
        ),
        ("min = \"168h\"", "min = \"168\"", "is no span of time"),
        ("id = \"P-16\"", "id = \"P-17\"", "gate P-17 is there twice"),
        (
            "requires = [\"build\"]",
            "requires = [\"testnet\"]",
            "requires `testnet`, which is no stage above it",
        ),
        (
            "facts_by = \"ci\"",
            "facts_by = \"si\"",
            "unknown role `si`",
        ),
        ("schema = 1", "schema = 2", "schema 2 is not known"),
        (
            "checked_by = \"P-07\"",
            "checked_by = \"P-99\"",
            "checked by the unknown gate `P-99`",
        ),
        (
            "dns = \"{names.dns}\"",
            "dns = \"{names.dsn}\"",
            "`[names]` has no `dsn`",
        ),
        (
            "threshold = 1\n\n[roles.operations]",
            "threshold = 0\n\n[roles.operations]",
            "threshold 0",
        ),
    ];
    for (from, to, why) in broken {
        if why.is_empty() {
            continue;
        }
        assert!(text.contains(from), "{from}");
        let error = Policy::parse(&text.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{why}: {error}");
        let line: usize = error
            .strip_prefix("line ")
            .and_then(|rest| rest.split(':').next())
            .unwrap()
            .parse()
            .unwrap();
        assert!(line >= 1 && line <= text.lines().count(), "{error}");
    }
    // The line is the right one.
    let error = Policy::parse(&text.replacen("min = \"168h\"", "maximum = \"9d\"", 1))
        .unwrap_err()
        .to_string();
    let expected = text
        .lines()
        .position(|line| line == "min = \"168h\"")
        .unwrap()
        + 1;
    assert!(error.starts_with(&format!("line {expected}:")), "{error}");
}

#[test]
fn options_are_checked_and_named() {
    let text = policy_text("optimism-train");
    let error = Policy::parse_with(&text, &["lead-time-8d"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no option `lead-time-8d`; it has betanet-every-3-weeks"),
        "{error}"
    );
    for (from, to, why) in [
        (
            "set.O-21 = { min = \"7d\" }",
            "set.O-99 = { min = \"7d\" }",
            "there is no gate `O-99`",
        ),
        (
            "set.O-21 = { min = \"7d\" }",
            "set.O-21 = { minimum = \"7d\" }",
            "unknown field `minimum`",
        ),
        (
            "set.O-21 = { min = \"7d\" }",
            "set.policy = { kinds = [] }",
            "`policy.kinds` cannot be an option",
        ),
    ] {
        assert!(text.contains(from));
        let error = Policy::parse(&text.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let written = Policy::parse(&text).unwrap();
    let today = Policy::parse_with(&text, &["lead-time-7d"]).unwrap();
    assert_eq!(written.digest, today.digest);
    assert_eq!(today.options_used, ["lead-time-7d"]);
    assert_ne!(written.gate("O-21"), today.gate("O-21"));
    assert_eq!(written.gate("O-22"), today.gate("O-22"));
}

#[test]
fn policies_have_no_power_without_keys() {
    let policy = Policy::parse(&policy_text("mina-hardfork")).unwrap();
    let one = format!(
        "[roles]\npartners = [\"{}\"]\n",
        crate::world::key("partners", 0)
    );
    let error = policy.clone().with_keys(&one).unwrap_err().to_string();
    assert!(
        error.contains("role `ci` needs 1 keys and has 0"),
        "{error}"
    );
    let error = policy
        .clone()
        .with_keys("[roles]\npartner = []\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no role `partner`"), "{error}");
    let error = policy
        .with_keys("[roles]\nci = [\"ed25519:xyz\"]\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("is no key"), "{error}");
}
