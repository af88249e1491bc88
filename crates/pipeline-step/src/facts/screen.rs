//! The fork on one screen: at most 80 columns and 50 lines.

use fork_types::Role;
use fork_types::document::Document;
use fork_worker::text::{clipped, size, wrapped};

use super::document::FactsDocument;

/// Columns of the screen.
const WIDTH: usize = 80;

/// Lines of the screen.
const LINES: usize = 50;

/// Columns of a name.
const NAME: usize = 14;

/// Most packages, images and reports that are shown; the rest is in the JSON form.
const SHOWN_MAX: usize = 3;

/// Lines that warnings may always take: two long ones and that there are more.
const WARNING_LINES_MIN: usize = 5;

/// Most lines of one warning.
const WARNING_LINES_EACH: usize = 2;

/// Most lines for the inputs of the chain id.
const INPUT_LINES_MAX: usize = 6;

struct Lines(Vec<String>);

impl Lines {
    fn row(&mut self, name: &str, value: &str) {
        let text = wrapped(value, &" ".repeat(NAME), WIDTH);
        for (index, line) in text.lines().enumerate() {
            let line = clipped(line, WIDTH);
            if index == 0 {
                let value: String = line.chars().skip(NAME).collect();
                self.0
                    .push(format!("{name:<NAME$}{value}").trim_end().to_owned());
            } else {
                self.0.push(line);
            }
        }
    }

    fn more(&mut self, left_out: usize) {
        if left_out > 0 {
            self.row(
                "",
                &format!("and {left_out} more in {}", FactsDocument::FILE_NAME),
            );
        }
    }
}

/// The fork on one screen, warnings first.
#[must_use]
pub fn screen(facts: &FactsDocument) -> String {
    let title = clipped(&title(facts), WIDTH);
    let room = |body: &[String]| LINES.saturating_sub(body.len() + 2);
    // Of what there are several, fewer are shown when the warnings need the room.
    let mut shown = SHOWN_MAX;
    let mut body = body(facts, shown);
    let wanted = warnings(facts, usize::MAX).len().min(WARNING_LINES_MIN);
    while room(&body) < wanted && shown > 1 {
        shown -= 1;
        body = self::body(facts, shown);
    }
    let mut lines = vec![title];
    lines.extend(warnings(facts, room(&body)));
    lines.push(String::new());
    lines.extend(body);
    lines.truncate(LINES);
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn title(facts: &FactsDocument) -> String {
    let slot = facts.genesis.global_slot_since_genesis;
    format!("FORK OF {}: new genesis at slot {slot}", facts.network)
}

fn warnings(facts: &FactsDocument, room: usize) -> Vec<String> {
    if facts.warnings.is_empty() {
        return vec!["no warnings".to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for (index, warning) in facts.warnings.iter().enumerate() {
        let cut = clipped(warning, (WIDTH - 12) * WARNING_LINES_EACH);
        let text = wrapped(&cut, "!!  ", WIDTH);
        let new: Vec<String> = text
            .lines()
            .take(WARNING_LINES_EACH)
            .map(|line| clipped(line, WIDTH))
            .collect();
        let is_last = index + 1 == facts.warnings.len();
        // The line that says that there are more needs room too.
        if lines.len() + new.len() + usize::from(!is_last) > room {
            let left_out = facts.warnings.len() - index;
            lines.push(format!(
                "!!  and {left_out} more in {}",
                FactsDocument::FILE_NAME
            ));
            break;
        }
        lines.extend(new);
    }
    lines
}

/// The inputs of the chain id, which people compare: each of them whole, or left out and counted.
fn inputs(facts: &FactsDocument) -> Vec<String> {
    let indent = " ".repeat(NAME);
    let room = WIDTH - NAME;
    // What shares lines with others, and then what needs some of its own.
    let mut short: Vec<String> = Vec::new();
    let mut long: Vec<Vec<String>> = Vec::new();
    for (name, value) in &facts.chain_id.inputs {
        let text = format!("{name}={value}");
        if text.chars().count() < room {
            short.push(text);
            continue;
        }
        let value: Vec<char> = value.chars().collect();
        let parts = value
            .chunks(room)
            .map(|part| part.iter().collect::<String>());
        let parts = std::iter::once(format!("{name}=")).chain(parts);
        long.push(parts.map(|part| format!("{indent}{part}")).collect());
    }
    let mut lines = Vec::new();
    if !short.is_empty() {
        let text = wrapped(&short.join(", "), &indent, WIDTH);
        lines.extend(text.lines().take(INPUT_LINES_MAX).map(str::to_owned));
    }
    let mut left_out = 0;
    for own in long {
        // One line stays for what is left out.
        if left_out == 0 && lines.len() + own.len() < INPUT_LINES_MAX {
            lines.extend(own);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let file = FactsDocument::FILE_NAME;
        lines.push(format!("{indent}and {left_out} more in {file}"));
    }
    lines
}

/// All but the warnings; of what there are several, `shown` each.
fn body(facts: &FactsDocument, shown: usize) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    let block = &facts.fork_block;
    lines.row("fork block", &block.state_hash.to_string());
    let mut place = format!("height {}", block.blockchain_length);
    if let Some(slot) = block.slot_since_hard_fork {
        place.push_str(&format!(", slot {slot} since last fork"));
    }
    if let Some(slot) = block.global_slot_since_genesis {
        place.push_str(&format!(", {slot} since genesis"));
    }
    lines.row("", &place);
    let genesis = &facts.genesis;
    match genesis.slot_chain_end {
        Some(slot) => lines.row("chain end", &format!("slot {slot} since last fork")),
        None => lines.row("chain end", "not planned by slots"),
    }
    lines.row(
        "new genesis",
        &format!(
            "slot {} since last fork, {} since genesis",
            genesis.slot_since_hard_fork, genesis.global_slot_since_genesis
        ),
    );
    lines.row("", &genesis.timestamp);
    let slot = facts
        .rule
        .fork_slot
        .map_or_else(String::new, |slot| format!(", fork slot {slot}"));
    lines.row("rule", &format!("{}{slot}", facts.rule.name));
    lines.row("seeds", &format!("{} staking", facts.seeds.staking));
    lines.row("", &format!("{} next", facts.seeds.next));
    for ledger in &facts.ledgers {
        let name = match ledger.role {
            Role::Genesis => "genesis root",
            Role::Staking => "staking root",
            Role::Next => "next root",
        };
        lines.row(
            name,
            &format!("{} {}", ledger.root_before, ledger.accounts_before),
        );
        lines.row(
            "  migrated",
            &format!("{} {}", ledger.root_after, ledger.accounts_after),
        );
        lines.row("  tarball", &ledger.tarball_sha256);
    }
    lines.row("config", &facts.config_sha256);
    for package in facts.packages.iter().take(shown) {
        let (name, version) = (&package.name, &package.version);
        let text = format!(
            "{name} {version} {} ({})",
            package.architecture,
            size(package.bytes)
        );
        lines.row("package", &text);
        lines.row("", &package.sha256);
    }
    lines.more(facts.packages.len().saturating_sub(shown));
    for image in facts.images.iter().take(shown) {
        lines.row("image", &image.tag);
        lines.row("", image.digest.trim_start_matches("sha256:"));
    }
    lines.more(facts.images.len().saturating_sub(shown));
    let unknown = "needs inputs that are not known; these are:";
    lines.row(
        "chain id",
        facts.chain_id.chain_id.as_deref().unwrap_or(unknown),
    );
    for line in inputs(facts) {
        lines.0.push(clipped(&line, WIDTH));
    }
    for (index, report) in facts.verifications.iter().take(shown).enumerate() {
        let verdict = if report.failed.is_empty() {
            "passed"
        } else {
            "FAILED"
        };
        let text = format!(
            "{verdict}: {} passed, {} failed, {} not run ({})",
            report.passed,
            report.failed.len(),
            report.not_run,
            report.subject.split(' ').next().unwrap_or_default()
        );
        lines.row(if index == 0 { "verification" } else { "" }, &text);
    }
    lines.more(facts.verifications.len().saturating_sub(shown));
    if facts.verifications.is_empty() {
        lines.row("verification", "none");
    }
    match &facts.manifest {
        None => lines.row("manifest", "none"),
        Some(manifest) => {
            lines.row("manifest", &manifest.sha256);
            for signer in manifest.signatures.iter().take(shown) {
                lines.row("  signed as", signer);
            }
            if manifest.signatures.is_empty() {
                lines.row("", "not signed");
            }
        }
    }
    lines.row(
        "documents",
        &format!("agree in {} comparisons", facts.comparisons),
    );
    lines.0
}
