//! Version grammars, against tables and against dpkg itself.

use std::cmp::Ordering;
use std::process::Command;

use proptest::prelude::*;
use release_policy::version::{Suffix, next};
use release_policy::{Grammar, Version};

fn parse(grammar: Grammar, text: &str) -> Version {
    grammar.parse(text).unwrap()
}

#[test]
fn a08_splice_names() {
    let g = Grammar::SpliceBugfix;
    let good = [
        "0.4.19-bugfix.preview",
        "0.4.19-bugfix.preview.1",
        "0.4.19-bugfix.preview.2",
        "0.4.19-bugfix.preview.10",
        "0.4.19",
        "0.0.1-bugfix.preview",
        "0.10.1-bugfix.preview.3",
        "1.1.0",
        "1.1.1",
        "0.5.0",
        "2.0.0",
        "10.20.30",
    ];
    for text in good {
        assert_eq!(parse(g, text).to_string(), text);
    }
    let bad = [
        "0.4.19-bugfix.preview.0",
        "0.4.19-bugfix.preview.01",
        "v0.4.19-bugfix.preview",
        "0.4.0-bugfix.preview",
        "1.1.1-bugfix.preview",
        "0.4.19-bugfix",
        "0.4.19-preview",
        "0.4.19-bugfix.preview.",
        "0.4.19-bugfix.preview.x",
        "0.04.19",
        "0.4",
        "0.4.19.1",
        "",
        "0.4.19-bugfix.preview.-1",
        "0.4.19+1",
    ];
    for text in bad {
        assert!(g.parse(text).is_err(), "{text}");
    }
    let table = [
        ("0.4.18", vec!["0.4.18"], "0.4.19-bugfix.preview"),
        (
            "0.4.18",
            vec!["0.4.19-bugfix.preview"],
            "0.4.19-bugfix.preview.1",
        ),
        (
            "0.4.18",
            vec!["0.4.19-bugfix.preview", "0.4.19-bugfix.preview.1"],
            "0.4.19-bugfix.preview.2",
        ),
        // A gap that somebody left is filled, not widened.
        (
            "0.4.18",
            vec!["0.4.19-bugfix.preview", "0.4.19-bugfix.preview.2"],
            "0.4.19-bugfix.preview.1",
        ),
        ("1.1.0", vec![], "1.1.1"),
        ("1.1.0", vec!["1.1.1"], "1.1.2"),
    ];
    for (base, existing, expected) in table {
        let existing: Vec<Version> = existing.into_iter().map(|text| parse(g, text)).collect();
        assert_eq!(
            next::splice(&parse(g, base), &existing)
                .unwrap()
                .to_string(),
            expected
        );
    }
    assert!(next::splice(&parse(g, "0.4.18"), &[parse(g, "0.4.19")]).is_err());
    assert!(next::splice(&parse(g, "0.4.19-bugfix.preview"), &[]).is_err());
}

#[test]
fn a10_t1_candidates_are_counted_as_numbers() {
    let g = Grammar::MithrilPrerelease;
    let existing = [
        "0.1.2-prerelease2",
        "0.1.2-prerelease10",
        "0.1.1-prerelease40",
    ]
    .map(|text| parse(g, text));
    assert_eq!(
        next::mithril_candidate(&parse(g, "0.1.2"), &existing)
            .unwrap()
            .to_string(),
        "0.1.2-prerelease11"
    );
    let after_nine = next::mithril_candidate(&parse(g, "0.1.2"), &[parse(g, "0.1.2-prerelease9")]);
    assert_eq!(after_nine.unwrap().to_string(), "0.1.2-prerelease10");
    assert!(existing[1] > existing[0]);
    assert!(parse(g, "0.1.2") > existing[1]);
    assert!(g.parse("0.1.2-prerelease0").is_err() && g.parse("0.1.2-prerelease01").is_err());
}

#[test]
fn a13_the_greatest_change_decides() {
    use next::ChangeKind::{Breaking, Feature, Fix};
    let base = parse(Grammar::SemverBuildNumber, "1.2.3");
    for (changes, expected) in [
        (vec![Fix], "1.2.4"),
        (vec![Fix, Feature], "1.3.0"),
        (vec![Breaking, Fix], "2.0.0"),
    ] {
        assert_eq!(next::bumped(&base, &changes).unwrap().to_string(), expected);
    }
    assert!(next::bumped(&base, &[]).is_err());
}

#[test]
fn a14_t2_build_numbers() {
    let g = Grammar::SemverBuildNumber;
    for bad in ["1.2.3+01", "1.2.3+0", "1.2.3+", "v1.2.3+1", "1.2.3-rc1"] {
        assert!(g.parse(bad).is_err(), "{bad}");
    }
    let release = parse(g, "1.2.3");
    assert_eq!(next::build(&release, &[]).unwrap().tag(), "v1.2.3+1");
    assert_eq!(
        next::build(&release, &[parse(g, "1.2.3+1")]).unwrap().tag(),
        "v1.2.3+2"
    );
    assert!(release > parse(g, "1.2.3+9") && parse(g, "1.2.3+10") > parse(g, "1.2.3+9"));
    assert!(g.parse_tag("1.2.3+1").is_err());
}

#[test]
fn a14_todays_builds_have_no_number() {
    let g = Grammar::SemverPre;
    for bad in [
        "1.2.3-pre1",
        "1.2.3-pre.1",
        "1.2.3-rc1",
        "1.2.3+1",
        "v1.2.3-pre",
        "1.2-pre",
    ] {
        assert!(g.parse(bad).is_err(), "{bad}");
    }
    let release = parse(g, "1.2.3");
    let build = next::build(&release, &[]).unwrap();
    assert_eq!(
        (build.tag().as_str(), build.is_build()),
        ("v1.2.3-pre", true)
    );
    assert!(
        next::build(&release, std::slice::from_ref(&build)).is_err(),
        "there is one of each"
    );
    assert_eq!(next::build_after(&build, 0).unwrap(), build);
    assert_eq!(next::build_after(&build, 2).unwrap().tag(), "v1.2.5-pre");
    let numbered = parse(Grammar::SemverBuildNumber, "1.2.3+1");
    assert_eq!(next::build_after(&numbered, 2).unwrap().tag(), "v1.2.3+3");
    assert_eq!(
        next::bumped(&release, &[next::ChangeKind::Feature])
            .unwrap()
            .tag(),
        "v1.3.0"
    );
    assert!(!parse(Grammar::MithrilYyww, "2337.0-pre").is_build());
}

#[test]
fn t6_other_grammars_are_read_too() {
    let g = Grammar::MithrilYyww;
    for text in [
        "2617.0",
        "2337.0-pre",
        "2246.0-prerelease",
        "2543.1-hotfix",
        "0001.3",
    ] {
        assert_eq!(parse(g, text).to_string(), text);
    }
    for text in [
        "2654.0",
        "2600.0",
        "261.0",
        "2617",
        "2617.01",
        "2617.0-rc1",
        "2617.0.1",
    ] {
        assert!(g.parse(text).is_err(), "{text}");
    }
    let existing = [parse(g, "2403.0-pre"), parse(g, "2403.1")];
    assert_eq!(
        next::year_week("2403", &existing).unwrap().to_string(),
        "2403.2"
    );
    let g = Grammar::OpUpgrade;
    assert_eq!(
        next::upgrade(&[
            parse(g, "upgrade-9"),
            parse(g, "upgrade-16"),
            parse(g, "1.9.0-rc.3")
        ])
        .unwrap()
        .to_string(),
        "upgrade-17"
    );
    assert!(g.parse("upgrade-0").is_err() && g.parse("upgrade-017").is_err());
    assert!(
        parse(g, "upgrade-1")
            .partial_cmp(&parse(g, "1.0.0"))
            .is_none()
    );
    assert!(
        parse(Grammar::MithrilPrerelease, "0.1.2")
            .same_line(&parse(Grammar::MithrilPrerelease, "0.1.9"))
    );
    assert!(
        !parse(Grammar::MithrilPrerelease, "0.1.2")
            .same_line(&parse(Grammar::MithrilPrerelease, "0.2.2"))
    );
    assert!(
        parse(Grammar::MithrilPrerelease, "1.1.2")
            .same_line(&parse(Grammar::MithrilPrerelease, "1.9.9"))
    );
}

/// dpkg's own answer. It is on every system these packages are for.
fn dpkg(left: &str, right: &str) -> Ordering {
    let is = |relation: &str| {
        let run = Command::new("dpkg")
            .args(["--compare-versions", left, relation, right])
            .status();
        run.unwrap_or_else(|why| panic!("this test needs `dpkg`: {why}"))
            .success()
    };
    match (is("lt"), is("gt")) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
        (true, true) => panic!("dpkg says both"),
    }
}

#[test]
fn a15_t3_t4_t5_four_spellings() {
    let table = [
        (
            Grammar::SemverBuildNumber,
            "1.2.3+1",
            "1.2.3~build1",
            "v1.2.3_1",
            Some("1_2_3_1"),
        ),
        (
            Grammar::SemverBuildNumber,
            "1.2.3",
            "1.2.3",
            "v1.2.3",
            Some("1_2_3"),
        ),
        (
            Grammar::SemverPre,
            "1.2.3-pre",
            "1.2.3~pre",
            "v1.2.3-pre",
            Some("1_2_3_pre"),
        ),
        (
            Grammar::SemverPre,
            "1.2.3",
            "1.2.3",
            "v1.2.3",
            Some("1_2_3"),
        ),
        (
            Grammar::SpliceBugfix,
            "0.4.19-bugfix.preview.2",
            "0.4.19~bugfix.preview.2",
            "0.4.19-bugfix.preview.2",
            None,
        ),
        (Grammar::SpliceBugfix, "0.4.19", "0.4.19", "0.4.19", None),
        (
            Grammar::MithrilPrerelease,
            "0.1.2-prerelease10",
            "0.1.2~prerelease10",
            "0.1.2-prerelease10",
            None,
        ),
        (
            Grammar::MithrilYyww,
            "2337.0-pre",
            "2337.0~pre",
            "2337.0-pre",
            None,
        ),
        (Grammar::OpUpgrade, "upgrade-17", "17", "upgrade-17", None),
        (
            Grammar::OpUpgrade,
            "1.9.0-rc.3",
            "1.9.0~rc.3",
            "1.9.0-rc.3",
            None,
        ),
        (
            Grammar::DebianSemver,
            "1:3.0.0~beta+2-1",
            "1:3.0.0~beta+2-1",
            "1_e3.0.0_tbeta_p2-1",
            None,
        ),
    ];
    for (g, own, debian, oci, dns) in table {
        let version = parse(g, own);
        assert_eq!(
            (
                version.debian().as_str(),
                version.oci_tag().as_str(),
                version.dns().as_deref()
            ),
            (debian, oci, dns)
        );
        assert_eq!(g.parse_debian(debian).unwrap(), version);
        assert_eq!(g.parse_oci_tag(oci).unwrap(), version);
        if let Some(dns) = dns {
            assert_eq!(g.parse_dns(dns).unwrap(), version);
        }
    }
    // Two spellings of one version, or none.
    assert!(Grammar::SemverBuildNumber.parse_debian("1.2.3+1").is_err());
    assert!(
        Grammar::SemverBuildNumber
            .parse_debian("1.2.3~build01")
            .is_err()
    );
    assert!(
        Grammar::SpliceBugfix
            .parse_debian("0.4.19-bugfix.preview")
            .is_err()
    );
    assert!(Grammar::MithrilYyww.parse_dns("2617_0").is_err());
    let sorted = [
        "0.4.18",
        "0.4.19-bugfix.preview",
        "0.4.19-bugfix.preview.1",
        "0.4.19-bugfix.preview.2",
        "0.4.19-bugfix.preview.10",
        "0.4.19",
        "0.4.20",
    ];
    let by_week = [
        "2336.9",
        "2337.0-hotfix",
        "2337.0-pre",
        "2337.0-prerelease",
        "2337.0",
    ];
    let pre = ["1.2.2", "1.2.3-pre", "1.2.3", "1.2.4-pre"];
    let builds = ["1.2.2", "1.2.3+2", "1.2.3+10", "1.2.3", "1.2.4+1"];
    let all = [
        (Grammar::SpliceBugfix, &sorted[..]),
        (Grammar::MithrilYyww, &by_week),
        (Grammar::SemverBuildNumber, &builds),
        (Grammar::SemverPre, &pre),
    ];
    for (g, sorted) in all {
        for pair in sorted.windows(2) {
            let [left, right] = [0, 1].map(|index| parse(g, pair[index]));
            assert!(left < right, "{pair:?}");
            assert_eq!(
                dpkg(&left.debian(), &right.debian()),
                Ordering::Less,
                "{pair:?}"
            );
        }
    }
}

fn suffixes(g: Grammar) -> BoxedStrategy<Suffix> {
    let number = 1_u32..30;
    match g {
        Grammar::SpliceBugfix => prop_oneof![
            Just(Suffix::Final),
            Just(Suffix::Preview(None)),
            number.prop_map(|n| Suffix::Preview(Some(n)))
        ]
        .boxed(),
        Grammar::OpUpgrade => prop_oneof![
            Just(Suffix::Final),
            number.prop_map(Suffix::ReleaseCandidate)
        ]
        .boxed(),
        Grammar::MithrilPrerelease => {
            prop_oneof![Just(Suffix::Final), number.prop_map(Suffix::Candidate)].boxed()
        }
        Grammar::MithrilYyww => prop_oneof![
            Just(Suffix::Final),
            Just(Suffix::Pre),
            Just(Suffix::Prerelease),
            Just(Suffix::Hotfix)
        ]
        .boxed(),
        Grammar::SemverBuildNumber => {
            prop_oneof![Just(Suffix::Final), number.prop_map(Suffix::Build)].boxed()
        }
        Grammar::SemverPre => prop_oneof![Just(Suffix::Final), Just(Suffix::Pre)].boxed(),
        Grammar::DebianSemver => Just(Suffix::Final).boxed(),
    }
}

fn versions() -> impl Strategy<Value = (Version, Version)> {
    let grammars = [
        Grammar::SpliceBugfix,
        Grammar::OpUpgrade,
        Grammar::MithrilPrerelease,
        Grammar::MithrilYyww,
        Grammar::SemverBuildNumber,
        Grammar::SemverPre,
    ];
    prop::sample::select(grammars.to_vec()).prop_flat_map(|g| {
        let one = move || {
            (suffixes(g), [0_u32..2, 0..12, 1..12]).prop_map(move |(suffix, [a, b, c])| {
                // Previews exist before 1.0 only.
                let text = match g {
                    Grammar::MithrilYyww => format!("{:02}{:02}.{c}", 20 + a, b + 1),
                    Grammar::SpliceBugfix => format!("0.{b}.{c}"),
                    _ => format!("{a}.{b}.{c}"),
                };
                g.parse(&text).unwrap().with(suffix)
            })
        };
        (one(), one())
    })
}

proptest! {
    // Two runs of dpkg for each pair.
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn dpkg_sorts_as_the_grammars_do((left, right) in versions()) {
        prop_assert_eq!(left.partial_cmp(&right), Some(dpkg(&left.debian(), &right.debian())), "{} {}", left, right);
    }

    #[test]
    fn our_debian_order_is_dpkgs(left in "[0-9]\\.[0-9]\\.[0-9][a-z0-9.+~]{0,6}(-[0-9a-z~]{1,3})?", right in "[0-9]\\.[0-9]\\.[0-9][a-z0-9.+~]{0,6}(-[0-9a-z~]{1,3})?") {
        prop_assert_eq!(release_policy::version::mapping::compare_debian(&left, &right), dpkg(&left, &right));
    }
}

proptest! {
    #[test]
    fn spellings_can_be_read_back((version, _) in versions()) {
        let g = version.grammar();
        prop_assert_eq!(&g.parse(&version.to_string()).unwrap(), &version);
        prop_assert_eq!(&g.parse_tag(&version.tag()).unwrap(), &version);
        prop_assert_eq!(&g.parse_debian(&version.debian()).unwrap(), &version);
        prop_assert_eq!(&g.parse_oci_tag(&version.oci_tag()).unwrap(), &version);
    }

    #[test]
    fn the_next_preview_is_between_base_and_release(minor in 0_u32..50, patch in 0_u32..50, count in 0_u32..5) {
        let g = Grammar::SpliceBugfix;
        let base = parse(g, &format!("0.{minor}.{patch}"));
        let mut existing = Vec::new();
        for _ in 0..=count {
            let next = next::splice(&base, &existing).unwrap();
            prop_assert_eq!(&g.parse(&next.to_string()).unwrap(), &next);
            prop_assert!(base < next && next < next.release());
            prop_assert!(existing.iter().all(|earlier| *earlier < next));
            existing.push(next);
        }
    }

    #[test]
    fn no_text_breaks_a_grammar(text in "\\PC{0,40}") {
        for g in Grammar::ALL {
            if let Ok(version) = g.parse(&text) {
                prop_assert_eq!(version.to_string(), text.clone());
            }
            let _ = (g.parse_tag(&text), g.parse_debian(&text), g.parse_oci_tag(&text), g.parse_dns(&text));
        }
    }
}
