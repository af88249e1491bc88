//! The screen has 80 columns and 50 lines, whatever there is to tell, and the worst comes first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use fork_types::document::{Document, EpochSeeds, RuleRef};
use fork_types::{
    EpochSeed, Era, FieldBytes, LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};
use pipeline_step::facts::{
    FactsBlock, FactsChainId, FactsDocument, FactsGenesis, FactsImage, FactsLedger, FactsManifest,
    FactsPackage, FactsVerification, markdown, screen,
};

fn facts() -> FactsDocument {
    let hash = |number| LedgerHash::new(FieldBytes::from_u64(number));
    FactsDocument {
        format: FactsDocument::FORMAT.to_owned(),
        version: FactsDocument::VERSION,
        warnings: Vec::new(),
        network: "devnet".to_owned(),
        package_network: "devnet".to_owned(),
        rule: RuleRef {
            name: "berkeley-to-mesa/untimed-becomes-timed".to_owned(),
            from: Era::Berkeley,
            to: Era::Mesa,
            fork_slot: Some(SlotSinceGenesis::new(859_560)),
            variant: Some("untimed-becomes-timed".to_owned()),
        },
        fork_block: FactsBlock {
            state_hash: StateHash::new(FieldBytes::from_u64(1)),
            blockchain_length: 478_000,
            slot_since_hard_fork: Some(SlotSinceHardFork::new(413_539)),
            global_slot_since_genesis: Some(SlotSinceGenesis::new(859_399)),
        },
        genesis: FactsGenesis {
            timestamp: "2026-08-19T18:00:00Z".to_owned(),
            slot_since_hard_fork: SlotSinceHardFork::new(413_700),
            global_slot_since_genesis: SlotSinceGenesis::new(859_560),
            slot_chain_end: Some(SlotSinceHardFork::new(413_640)),
            derivation: Vec::new(),
        },
        seeds: EpochSeeds {
            staking: EpochSeed::new(FieldBytes::from_u64(2)),
            next: EpochSeed::new(FieldBytes::from_u64(3)),
        },
        ledgers: Role::ALL
            .into_iter()
            .map(|role| FactsLedger {
                role,
                root_before: hash(4),
                root_after: hash(5),
                accounts_before: 2_243_123,
                accounts_after: 2_243_123,
                source_verified: true,
                tarball: "genesis_ledger_0.tar.gz".to_owned(),
                tarball_sha256: "0a".repeat(32),
                s3_data_hash: "0b".repeat(32),
            })
            .collect(),
        config_sha256: "0c".repeat(32),
        chain_id: FactsChainId {
            inputs: [
                ("k", "290"),
                ("slots_per_epoch", "7140"),
                ("slots_per_sub_window", "7"),
                ("delta", "0"),
                ("txpool_max_size", "3000"),
                ("genesis_state_timestamp", "2026-08-19 18:00:00.000000Z"),
                ("protocol_transaction_version", "4"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            chain_id: None,
        },
        packages: vec![FactsPackage {
            file: "mina-devnet-config_4.0.0-6850301_all.deb".to_owned(),
            name: "mina-devnet-config".to_owned(),
            version: "4.0.0-6850301".to_owned(),
            architecture: "all".to_owned(),
            git_hash: "68503010".to_owned(),
            bytes: 123_456_789,
            sha256: "0d".repeat(32),
        }],
        images: vec![FactsImage {
            tag: "4.0.0-6850301-bookworm-devnet".to_owned(),
            digest: format!("sha256:{}", "0e".repeat(32)),
            package: "mina-devnet-config_4.0.0-6850301_all.deb".to_owned(),
        }],
        verifications: vec![
            FactsVerification {
                subject: "deb mina-devnet-config_4.0.0-6850301_all.deb".to_owned(),
                passed: 61,
                failed: Vec::new(),
                not_run: 2,
            },
            FactsVerification {
                subject: "oci image".to_owned(),
                passed: 63,
                failed: Vec::new(),
                not_run: 0,
            },
        ],
        manifest: Some(FactsManifest {
            sha256: "0f".repeat(32),
            signatures: vec!["sha256:1234567890abcdef".to_owned()],
            overrides: Vec::new(),
        }),
        comparisons: 67,
    }
}

/// Everything there can be too much of.
fn worst() -> FactsDocument {
    let mut facts = facts();
    for number in 0..40 {
        facts.warnings.push(format!(
            "warning {number}: {}",
            "something is not as usual ".repeat(9)
        ));
    }
    facts.packages = vec![facts.packages[0].clone(); 9];
    facts.images = vec![facts.images[0].clone(); 9];
    facts.images[0].tag = "a".repeat(300);
    facts.verifications = vec![facts.verifications[0].clone(); 9];
    facts.verifications[1].failed = vec!["ledger.root".to_owned(); 50];
    facts.network = "n".repeat(200);
    facts.chain_id.inputs = vec![("x".repeat(30), "y".repeat(100)); 20];
    facts.chain_id.chain_id = Some("0a".repeat(32));
    let manifest = facts.manifest.as_mut().unwrap();
    manifest.signatures = vec!["sha256:1234567890abcdef".to_owned(); 20];
    facts
}

fn check_size(text: &str) {
    assert!(
        text.lines().count() <= 50,
        "{}\n{text}",
        text.lines().count()
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_screen_is_as_published() {
    let text = screen(&facts());
    check_size(&text);
    insta::assert_snapshot!("screen", text);
}

/// Two people who compare inputs of the chain id see all of each.
#[test]
fn inputs_of_the_chain_id_are_whole() {
    let mut facts = facts();
    let hash = "0123456789abcdef".repeat(4);
    let input = ("genesis_constants_hash".to_owned(), hash.clone());
    facts.chain_id.inputs.push(input);
    let text = screen(&facts);
    check_size(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let place = lines
        .iter()
        .position(|line| *line == "genesis_constants_hash=");
    assert_eq!(lines[place.unwrap() + 1], hash, "{text}");
    assert!(text.contains("protocol_transaction_version=4"), "{text}");
    assert!(!text.contains('…'), "{text}");
}

#[test]
fn warnings_come_first() {
    let mut facts = facts();
    facts.warnings = vec!["VERIFICATION OF x FAILED: ledger.root".to_owned()];
    facts.chain_id.chain_id = Some("0a".repeat(32));
    let text = screen(&facts);
    assert!(
        text.lines()
            .nth(1)
            .unwrap()
            .starts_with("!!  VERIFICATION OF x FAILED"),
        "{text}"
    );
    facts.manifest = None;
    facts.verifications.clear();
    facts.genesis.slot_chain_end = None;
    facts.fork_block.slot_since_hard_fork = None;
    facts.fork_block.global_slot_since_genesis = None;
    let text = screen(&facts);
    for needle in [
        "manifest      none",
        "verification  none",
        "not planned by slots",
        "height 478000\n",
    ] {
        assert!(text.contains(needle), "no `{needle}` in\n{text}");
    }
}

#[test]
fn it_stays_one_screen() {
    let text = screen(&worst());
    check_size(&text);
    assert!(text.contains("more in facts.json"), "{text}");
    assert!(text.contains("FAILED: "), "{text}");
    assert!(text.contains("\nmanifest "), "{text}");
    assert!(
        text.contains("\ndocuments "),
        "nothing at the end is cut off\n{text}"
    );
}

#[test]
fn values_are_no_markup() {
    let mut facts = facts();
    facts.network = "<b>*x*|y".to_owned();
    facts.warnings = vec!["[a](b) | `c`".to_owned()];
    let text = markdown(&facts);
    assert!(
        !text.contains("<b>") && !text.contains("[a]") && !text.contains("`c`"),
        "{text}"
    );
    insta::assert_snapshot!("markdown", text);
}

#[test]
fn the_document_is_read_back() {
    let document = worst();
    let bytes = document.to_json().unwrap();
    assert_eq!(FactsDocument::from_json(&bytes).unwrap(), document);
}
