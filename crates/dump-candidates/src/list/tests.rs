use clap::Parser;
use fork_types::Role;
use fork_types::document::Refusal;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    list: ListArgs,
}

fn document(stock: Stock) -> ListDocument {
    sample::listing(stock).document()
}

fn usual() -> Stock {
    sample::stock(sample::views(sample::CHAIN_END - 5))
}

#[test]
fn the_picture_must_be_one() {
    let parse = |text: &str| Line::try_parse_from(text.split_whitespace());
    let args = parse("list --store s --picture fork.svg --check")
        .unwrap()
        .list;
    assert_eq!(args.picture.as_deref(), Some(Path::new("fork.svg")));
    assert!(args.check);
    let error = parse("list --picture fork.png").unwrap_err();
    assert!(
        error.to_string().contains("ends in .svg or .html"),
        "{error}"
    );
    assert!(matches!(
        form_of(Path::new("fork.png")),
        Err(ListError::Picture { .. })
    ));
}

#[test]
fn candidates_are_listed_with_branch_daemons_and_size() {
    let document = document(usual());
    assert_eq!(document.candidates.len(), 16);
    // Two epoch ledgers, and a staged ledger for each candidate; each counted once.
    assert_eq!(
        (document.ledgers, document.stored_bytes),
        (18, 18 * 250_000)
    );
    let leading: Vec<_> = document
        .candidates
        .iter()
        .filter(|one| one.is_leading)
        .collect();
    assert_eq!(leading.len(), 1);
    let leading = leading[0];
    assert_eq!(leading.state_hash, sample::hash(1015));
    assert_eq!(leading.branch.as_deref(), Some("main"));
    assert_eq!(leading.daemons, ["seed-1", "seed-2", "seed-3"]);
    assert_eq!(leading.stored_bytes, 750_000);
    assert_eq!(leading.shared_ledgers, 2);
    assert!(leading.verified);
    let by_branch = |name: &str| {
        let all = document.candidates.iter();
        all.filter(|one| one.branch.as_deref() == Some(name))
            .count()
    };
    assert_eq!(
        [
            by_branch("main"),
            by_branch("branch 2"),
            by_branch("branch 3")
        ],
        [12, 1, 3]
    );
    let dead = document
        .candidates
        .iter()
        .find(|one| one.state_hash == sample::hash(3000));
    assert_eq!(dead.unwrap().daemons, [""; 0]);
    assert_eq!(document.outcome, Some("pending"));
    assert_eq!(document.problems, []);
    let daemon = &document.daemons[3];
    assert_eq!(
        (daemon.tip_length, daemon.reorganisations),
        (Some(300_022), 2)
    );
}

#[test]
fn text_for_people_fits_and_says_it_all() {
    let mut stock = usual();
    stock.refusals.push(Refusal {
        format: Refusal::format(),
        version: Refusal::version(),
        daemon: "seed-4".to_owned(),
        state_hash: sample::hash(2000),
        blockchain_length: 300_014,
        reason: "the genesis ledger hashes to another root".to_owned(),
        class: "wrong".to_owned(),
        refused_at_ms: 1,
        answer: None,
    });
    stock.views[3].sync_status = "CATCHUP".to_owned();
    let text = text::human(&document(stock));
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "16 candidates, 18 ledgers, 4.5 MB in candidate-store (network devnet)"
    );
    assert_eq!(
        lines[2],
        "height    slot  global slot  state hash       branch    verified      size  shared  from    \
         on the best chain of"
    );
    let hash = sample::hash(1015).to_string();
    let row = format!(
        "300015  413499       859359  {}… *  main      yes       750.0 kB       2  seed-1  seed-1, \
         seed-2, seed-3",
        &hash[..12]
    );
    assert!(lines.contains(&row.as_str()), "{text}");
    for part in [
        "15 confirmations and a quorum of 3: pending",
        "chosen so far: block 300015 at slot 413499",
        "seed-4 does not count: it is not in sync: its status is CATCHUP",
        "refused answers: 1",
        "from seed-4: the genesis ledger hashes to another root (wrong)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("problems in the store"));
}

#[test]
fn what_is_not_complete_is_not_verified() {
    let mut stock = usual();
    sample::break_ledger(&mut stock, 0, Role::Genesis);
    let broken = document(stock);
    assert_eq!(broken.problems.len(), 1);
    let verified = broken.candidates.iter().filter(|one| one.verified).count();
    assert_eq!(verified, 15);
    let text = text::human(&broken);
    assert!(text.contains("  NO  "), "{text}");
    assert!(text.contains("problems in the store: 1"), "{text}");
    // A ledger that all share breaks all, and is still one problem.
    let mut stock = usual();
    sample::break_ledger(&mut stock, 0, Role::Next);
    let broken = document(stock);
    assert!(broken.candidates.iter().all(|one| !one.verified));
    assert_eq!(broken.problems.len(), 1);
    assert_eq!(broken.outcome, Some("pending"));
    let reasons = broken.selection_problems.join(" ");
    assert!(
        reasons.contains("stored but not usable: the document of ledger"),
        "{reasons}"
    );
}

/// One candidate, one change, one problem.
#[test]
fn documents_that_disagree_are_found() {
    type Change = fn(&mut fork_types::document::Candidate);
    let changes: [(Change, &str); 7] = [
        (
            |one| one.fork_block.state_hash_recomputed = false,
            "the state hash",
        ),
        (|one| one.block = None, "the state hash"),
        (
            |one| one.staged_ledger.computed_root = None,
            "the root of the genesis ledger",
        ),
        (
            |one| one.staking_ledger.accounts += 1,
            "the number of accounts of the staking ledger",
        ),
        (
            |one| one.next_staking_ledger.total_balance_nanomina = "6".to_owned(),
            "the total balance of the next ledger",
        ),
        (
            |one| {
                let claimed = one.staged_ledger.claimed_root.as_mut().unwrap();
                claimed.root = one.staking_ledger.computed_root.unwrap();
            },
            "the claimed root of the genesis ledger",
        ),
        (
            |one| one.source_era = fork_types::Era::Mesa,
            "the era of the",
        ),
    ];
    for (change, what) in changes {
        let mut stock = usual();
        change(&mut stock.candidates[3].candidate);
        let document = document(stock);
        let problems = &document.candidates[3].problems;
        assert!(!problems.is_empty(), "{what}");
        assert!(
            problems.iter().all(|one| one.what.starts_with(what)),
            "{problems:?}"
        );
        assert!(!document.candidates[3].verified);
        assert!(document.candidates[4].verified);
    }
}

#[test]
fn checked_problems_count() {
    let stock = usual();
    let problem = StoreProblem {
        what: "the SHA-256".to_owned(),
        expected: "a".to_owned(),
        found: "b".to_owned(),
    };
    let leading = stock.candidate(sample::hash(1015)).unwrap();
    let root = leading.root(Role::Genesis).unwrap();
    let mut blocks = vec![Vec::new(); stock.candidates.len()];
    blocks[0] = vec![problem.clone()];
    let checked = Checked {
        ledgers: [(root, vec![problem])].into(),
        blocks,
    };
    let listing = Listing::new(
        "s".to_owned(),
        "devnet".to_owned(),
        stock,
        Some(checked),
        15,
    );
    let document = listing.document();
    assert!(document.checked);
    assert_eq!(document.problems.len(), 1);
    let bad = document
        .candidates
        .iter()
        .filter(|one| !one.verified)
        .count();
    assert_eq!(bad, 2);
    let reasons = document.selection_problems.join(" ");
    assert!(
        reasons.contains("the SHA-256 is b, expected a"),
        "{reasons}"
    );
}

#[test]
fn without_stop_slots_the_highest_tip_in_sync_is_main() {
    let mut views = sample::views(sample::CHAIN_END);
    for view in &mut views {
        view.stop = fork_types::document::SeenStopSlots::default();
    }
    let unknown = document(sample::stock(views.clone()));
    assert_eq!((unknown.rule, unknown.outcome), (None, None));
    assert!(unknown.selection_problems[0].contains("says slot_tx_end"));
    let branch = |document: &ListDocument| document.candidates.last().unwrap().branch.clone();
    assert_eq!(branch(&unknown).as_deref(), Some("main"));
    for view in &mut views[..3] {
        view.sync_status = "CATCHUP".to_owned();
    }
    let other = document(sample::stock(views));
    assert_eq!(branch(&other).as_deref(), Some("branch 2"));
}

#[test]
fn an_empty_store_is_a_listing() {
    let document = document(sample::stock(Vec::new()));
    let text = text::human(&document);
    assert!(text.starts_with("0 candidates, 0 ledgers, 0 B in candidate-store"));
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["format"], "forkpack.candidate-list");
    assert_eq!(json["version"], 1);
}

#[test]
fn errors_say_what_and_whose_fault() {
    let problem = StoreProblem {
        what: "w".to_owned(),
        expected: "e".to_owned(),
        found: "f".to_owned(),
    };
    let error = ListError::Problems {
        problems: vec![problem; 5],
    };
    assert_eq!(
        error.to_string(),
        "5 problem(s) in the store: w is f, expected e; w is f, expected e; w is f, expected e; and \
         more, see above"
    );
    assert_eq!(error.class(), Class::Wrong);
    assert!(error.hint().is_some());
}
