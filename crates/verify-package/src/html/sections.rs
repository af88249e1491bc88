//! The fork on one screen, the findings, and what lies behind them.

use std::fmt::Write as _;

use fork_types::Role;
use fork_worker::text::size;

use super::safe;
use crate::figures::{grouped, mina, short_hash};
use crate::report::{Outcome, ReportCheck, ReportDocument, ReportLedger};

/// Groups of checks, and what they are about.
const GROUPS: [(&str, &str); 12] = [
    ("package", "Package"),
    ("config", "Config"),
    ("candidate", "Candidate"),
    ("block", "Fork block"),
    ("root", "Roots of the candidate"),
    ("tarball", "Tarballs"),
    ("store", "Ledger databases"),
    ("migration", "Migration"),
    ("supply", "Supply"),
    ("image", "Image"),
    ("against", "Second package"),
    ("daemon", "Running node"),
];

/// Begins a section.
pub(super) fn open(page: &mut String, class: &str, title: &str) {
    let _ = writeln!(
        page,
        "<section class=\"{class}\">\n<h2>{}</h2>",
        safe(title)
    );
}

/// A hash, shortened, with all of it as a tooltip; the last section has it in full.
fn hash(text: &str) -> String {
    let (full, short) = (safe(text), safe(&short_hash(text)));
    format!("<code title=\"{full}\">{short}</code>")
}

/// The known mistakes behind wrong roots.
pub(super) fn mistakes(page: &mut String, report: &ReportDocument) {
    let mistakes = report.mistakes();
    if mistakes.is_empty() {
        return;
    }
    open(page, "alarm", "What went wrong");
    for (mistake, advice, checks) in mistakes {
        let _ = writeln!(
            page,
            "<p><code>{}</code> gives what was found by {}.</p>\n<p><b>{}</b></p>",
            safe(mistake),
            safe(&checks.join(", ")),
            safe(advice)
        );
    }
    page.push_str("</section>\n");
}

/// The fork on one screen.
pub(super) fn facts(page: &mut String, report: &ReportDocument) {
    let facts = &report.facts;
    let block = &facts.fork_block;
    open(page, "", "The fork");
    page.push_str("<dl class=\"facts\">\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{value}</dd>");
    };
    row(
        "Network",
        if report.network == facts.network_id {
            safe(&report.network)
        } else {
            safe(&format!("{} ({})", report.network, facts.network_id))
        },
    );
    let slots = [
        block
            .slot_since_hard_fork
            .map(|slot| format!("slot {slot}")),
        block
            .global_slot_since_genesis
            .map(|slot| format!("{slot} since genesis")),
    ];
    let slots: Vec<String> = slots.into_iter().flatten().collect();
    let slots = match slots.as_slice() {
        [] => String::new(),
        some => format!(
            "<br><span class=\"small soft\">{}</span>",
            safe(&some.join(", "))
        ),
    };
    row(
        "Fork block",
        format!(
            "{} {}{slots}",
            grouped(block.blockchain_length.into()),
            hash(&block.state_hash.to_string())
        ),
    );
    let time = facts.genesis.time.as_deref();
    row("New genesis", safe(time.unwrap_or("no time in the config")));
    let slot = facts.genesis.global_slot_since_genesis;
    let slot = slot.map_or_else(|| "none in the config".to_owned(), |slot| slot.to_string());
    let by = report.fork_slot_by.as_deref();
    let by = by.map_or_else(String::new, |by| {
        format!(" <span class=\"soft\">by {}</span>", safe(by))
    });
    row("Genesis slot", format!("{}{by}", safe(&slot)));
    if let Some(rule) = &report.rule {
        row("Rule", safe(&rule.name));
    }
    row(
        "Seeds",
        format!(
            "{} {}",
            hash(&facts.staking_seed.to_string()),
            hash(&facts.next_seed.to_string())
        ),
    );
    if let Some(name) = &facts.package_name {
        let version = facts.package_version.as_deref().unwrap_or_default();
        row("Package", safe(&format!("{name} {version}")));
    }
    if let Some(sha256) = &report.subject.sha256 {
        row("SHA-256", hash(sha256));
    }
    if let Some(earlier) = &report.package_report {
        row("Examined", safe(&earlier.sentence()));
    }
    page.push_str(
        "</dl>\n<table class=\"ledgers\">\n<thead><tr><th>Ledger</th><th>old chain</th>\
         <th>this package</th></tr></thead>\n<tbody>\n",
    );
    for ledger in &facts.ledgers {
        ledger_rows(page, ledger);
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn ledger_rows(page: &mut String, ledger: &ReportLedger) {
    let root = |root: Option<fork_types::LedgerHash>| {
        root.map_or_else(|| "no root".to_owned(), |root| hash(&root.to_string()))
    };
    // All digits only where they matter.
    let is_same = ledger.supply_after_nanomina.as_ref() == Some(&ledger.supply_before_nanomina);
    let supply = |nanomina: &str| {
        let all = mina(nanomina);
        let whole = all.split('.').next().unwrap_or_default();
        let shown = if is_same { whole } else { &all };
        format!(
            "<span title=\"{} MINA\">{} MINA</span>",
            safe(&all),
            safe(shown)
        )
    };
    let cell = |accounts: u64, amount: &str, root: String| {
        format!(
            "{} accounts<br>{}<br>{root}",
            grouped(accounts.into()),
            supply(amount)
        )
    };
    let before = cell(
        ledger.accounts_before,
        &ledger.supply_before_nanomina,
        root(ledger.root_before),
    );
    let after = match (ledger.accounts_after, &ledger.supply_after_nanomina) {
        (Some(accounts), Some(supply)) => cell(accounts, supply, root(ledger.root_after)),
        _ => "nothing to read".to_owned(),
    };
    let _ = writeln!(
        page,
        "<tr><th scope=\"row\">{}</th><td>{before}</td><td>{after}</td></tr>",
        ledger.role
    );
}

/// What failed.
pub(super) fn failures(page: &mut String, report: &ReportDocument) {
    let mut failed = report
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Failed)
        .peekable();
    if failed.peek().is_none() {
        return;
    }
    open(page, "alarm", "What failed");
    for check in failed {
        failure(page, check);
    }
    page.push_str("</section>\n");
}

fn failure(page: &mut String, check: &ReportCheck) {
    let _ = writeln!(
        page,
        "<div class=\"failure\">\n<h3><span class=\"sign bad\" aria-hidden=\"true\">✗</span>\
         <code>{}</code></h3>\n<p class=\"soft\">Should prove: {}.</p>",
        safe(&check.id),
        safe(&check.proves)
    );
    let expected = check.expected.as_deref().unwrap_or_default();
    let found = check.found.as_deref().unwrap_or_default();
    pair(page, ("expected", expected), ("found", found));
    if let Some(place) = &check.place {
        let _ = writeln!(page, "<p class=\"small soft\">in {}</p>", safe(place));
    }
    if !check.detail.is_empty() {
        let _ = writeln!(page, "<div class=\"detail\">{}</div>", safe(&check.detail));
    }
    page.push_str("</div>\n");
}

/// Two values below each other, with the first place marked where they differ.
pub(super) fn pair(page: &mut String, first: (&str, &str), second: (&str, &str)) {
    page.push_str("<div class=\"pair\">");
    for ((name, text), other) in [(first, second.1), (second, first.1)] {
        let _ = write!(
            page,
            "<span>{}</span><code>{}</code>",
            safe(name),
            marked(text, other)
        );
    }
    page.push_str("</div>\n");
}

/// Text whose first character that is not the other's is marked. Where the two have nothing in
/// common there is nothing to point at.
fn marked(text: &str, other: &str) -> String {
    let common: usize = text
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other)
        .map(|(one, _)| one.len_utf8())
        .sum();
    let rest = &text[common..];
    match rest.chars().next() {
        Some(next) if common > 0 || text.len() == other.len() => {
            let (here, behind) = rest.split_at(next.len_utf8());
            format!(
                "{}<mark>{}</mark>{}",
                safe(&text[..common]),
                safe(here),
                safe(behind)
            )
        }
        _ => safe(text),
    }
}

/// What is proved and what is not.
pub(super) fn proofs(page: &mut String, report: &ReportDocument) {
    for (title, class, sign, sentences) in [
        ("Proved", "good", "✓", &report.proved),
        ("Not proved", "none", "–", &report.not_proved),
    ] {
        open(page, "", title);
        if sentences.is_empty() {
            page.push_str("<p class=\"soft\">Nothing.</p>\n");
        }
        page.push_str("<ul class=\"plain\">\n");
        for sentence in sentences {
            let _ = writeln!(
                page,
                "<li><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span>{}</li>",
                safe(sentence)
            );
        }
        page.push_str("</ul>\n</section>\n");
    }
}

/// All checks, by group; groups with a failure are open.
pub(super) fn checks(page: &mut String, report: &ReportDocument) {
    open(page, "", "All checks");
    let mut groups: Vec<&str> = Vec::new();
    for check in &report.checks {
        if !groups.contains(&check.group()) {
            groups.push(check.group());
        }
    }
    for group in groups {
        let mine: Vec<&ReportCheck> = report
            .checks
            .iter()
            .filter(|check| check.group() == group)
            .collect();
        let count = |outcome| mine.iter().filter(|one| one.outcome == outcome).count();
        let counts = [
            (Outcome::Failed, "failed"),
            (Outcome::NotRun, "not run"),
            (Outcome::Passed, "passed"),
        ]
        .map(|(outcome, word)| (count(outcome), word));
        let counted: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let title = GROUPS.iter().find(|(name, _)| *name == group);
        let title = title.map_or(group, |(_, title)| title);
        let _ = writeln!(
            page,
            "<details{}><summary>{} <span class=\"soft\">{}</span></summary>",
            if counts[0].0 > 0 { " open" } else { "" },
            safe(title),
            counted.join(", ")
        );
        for check in mine {
            check_line(page, check);
        }
        page.push_str("</details>\n");
    }
    page.push_str("</section>\n");
}

fn check_line(page: &mut String, check: &ReportCheck) {
    let (class, sign, word) = match check.outcome {
        Outcome::Passed => ("good", "✓", "passed"),
        Outcome::Failed => ("bad", "✗", "failed"),
        Outcome::NotRun => ("none", "–", "not run"),
    };
    let detail = match check.outcome {
        // It is above, with everything about it.
        Outcome::Failed => check.found.as_deref().unwrap_or_default(),
        Outcome::Passed | Outcome::NotRun => &check.detail,
    };
    let _ = writeln!(
        page,
        "<div class=\"check\"><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span>\
         <code>{}</code> <span class=\"tag {class}\">{word}</span>\n<p>{}.</p>\n\
         <p class=\"small soft\">{}</p></div>",
        safe(&check.id),
        safe(&check.proves),
        safe(detail)
    );
}

/// Everything that is shortened elsewhere.
pub(super) fn hashes(page: &mut String, report: &ReportDocument) {
    let facts = &report.facts;
    open(page, "", "In full");
    page.push_str("<details><summary>Hashes and seeds</summary>\n<dl class=\"facts small\">\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(
            page,
            "<dt>{}</dt><dd><code>{}</code></dd>",
            safe(name),
            safe(&value)
        );
    };
    row("Fork block", facts.fork_block.state_hash.to_string());
    row("Staking seed", facts.staking_seed.to_string());
    row("Next seed", facts.next_seed.to_string());
    for ledger in &facts.ledgers {
        row(
            &format!("{}, nanomina before", role(ledger.role)),
            ledger.supply_before_nanomina.clone(),
        );
        if let Some(supply) = &ledger.supply_after_nanomina {
            row(
                &format!("{}, nanomina after", role(ledger.role)),
                supply.clone(),
            );
        }
        let roots = [
            ("old root", ledger.root_before),
            ("migrated", ledger.root_migrated),
            ("in the package", ledger.root_after),
        ];
        for (name, root) in roots {
            let root = root.map_or_else(|| "not computed".to_owned(), |root| root.to_string());
            row(&format!("{}, {name}", role(ledger.role)), root);
        }
        if let Some(tarball) = &ledger.tarball {
            let name = format!("{}, tarball", role(ledger.role));
            row(&name, format!("{} ({})", tarball.name, size(tarball.bytes)));
            row(
                &format!("{}, SHA3-256", role(ledger.role)),
                tarball.sha3_256.clone(),
            );
        }
    }
    row("Candidate, SHA-256", report.candidate_sha256.clone());
    if let Some(sha256) = &report.subject.sha256 {
        row("Package, SHA-256", sha256.clone());
    }
    for (name, value) in report.chain_id.iter().flat_map(|one| &one.inputs) {
        row(&format!("Chain id, {name}"), value.clone());
    }
    page.push_str("</dl>\n</details>\n<details><summary>Files of the package</summary>\n");
    for file in &facts.files {
        let _ = writeln!(
            page,
            "<div class=\"check\"><code>/{}</code> <span class=\"soft small\">{}</span>\n\
             <p class=\"small soft\"><code>SHA-256 {}</code></p></div>",
            safe(&file.path),
            size(file.bytes),
            safe(&file.sha256)
        );
    }
    page.push_str("</details>\n</section>\n");
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Genesis => "Genesis",
        Role::Staking => "Staking",
        Role::Next => "Next",
    }
}

/// How long it took.
pub(super) fn times(page: &mut String, report: &ReportDocument) {
    open(page, "", "This run");
    page.push_str("<dl class=\"facts small\">\n");
    let mut total = 0_u64;
    for (stage, ms) in &report.stages_ms {
        total = total.saturating_add(*ms);
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", safe(stage), seconds(*ms));
    }
    let _ = writeln!(page, "<dt>all</dt><dd>{}</dd>", seconds(total));
    if let Some(bytes) = report.peak_memory_bytes {
        let _ = writeln!(page, "<dt>memory</dt><dd>{}</dd>", size(bytes));
    }
    let _ = writeln!(
        page,
        "</dl>\n<p class=\"small soft\">Everything here is also in <code>report.json</code> \
         ({} version {}).</p>\n</section>",
        safe(&report.format),
        report.version
    );
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_marked() {
        assert_eq!(marked("abc", "abd"), "ab<mark>c</mark>");
        assert_eq!(marked("äb<", "äx<"), "ä<mark>b</mark>&lt;");
        assert_eq!(marked("12", "34"), "<mark>1</mark>2");
        assert_eq!(marked("one file", "something else"), "one file");
        assert_eq!(marked("ab", "abc"), "ab");
        assert_eq!(marked("abc", "ab"), "ab<mark>c</mark>");
        assert_eq!(marked("", ""), "");
    }
}
