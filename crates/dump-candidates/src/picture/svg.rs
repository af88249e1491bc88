//! The drawing.

use std::fmt::Write;

use fork_genesis::selection::Outcome;
use fork_genesis::selection::tree::BlockTree;
use fork_types::StateHash;
use fork_types::document::SeenBlock;
use fork_worker::html::escaped;
use fork_worker::text::clipped;

use super::Picture;
use super::layout::{LINE, Layout};

/// Radius of a block with transactions, of an empty one, and of the ring around the fork block.
const FILLED_RADIUS: f64 = 6.0;
const EMPTY_RADIUS: f64 = 3.8;
const RING_RADIUS: f64 = 10.5;

/// Characters of a hash on the drawing; the tooltip has all of it.
const HASH_CHARS: usize = 9;

/// Distances in slots between two numbers of the axis.
const STEPS: [u32; 10] = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Colours for light and dark surroundings. Each pair has a contrast of at least 4.5 to 1 for text
/// and 3 to 1 for shapes.
const STYLE: &str = "
  svg.fork { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #8c959f; --grid: #d0d7de;
    --block: #0550ae; --leading: #1a7f37; --alarm: #cf222e;
    background: var(--paper); color: var(--ink);
    font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
  @media (prefers-color-scheme: dark) {
    svg.fork { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #6e7681; --grid: #30363d;
      --block: #79c0ff; --leading: #56d364; --alarm: #ff7b72; } }
  .fork text { fill: var(--ink); font-size: 11px; paint-order: stroke; stroke: var(--paper);
    stroke-width: 3px; stroke-linejoin: round; }
  .fork .soft { fill: var(--soft); }
  .fork .small { font-size: 10px; }
  .fork .title { font-size: 14px; font-weight: 600; }
  .fork .name { font-weight: 600; }
  .fork .link { fill: none; stroke: var(--line); stroke-width: 1.6; }
  .fork .main { stroke: var(--ink); stroke-width: 2.4; }
  .fork .unseen { stroke-dasharray: 2 4; }
  .fork .grid { stroke: var(--grid); stroke-width: 1; }
  .fork .stop { stroke: var(--soft); stroke-width: 1.4; stroke-dasharray: 6 4; }
  .fork .now { stroke: var(--line); stroke-width: 1; stroke-dasharray: 1 4; }
  .fork .block circle.disc { stroke: var(--block); stroke-width: 1.8; fill: var(--paper); }
  .fork .block.stored circle.disc { fill: var(--block); }
  .fork .block circle.dot { fill: var(--block); }
  .fork .block.stored circle.dot { fill: var(--paper); }
  .fork .ring { fill: none; stroke: var(--leading); stroke-width: 2.6; }
  .fork .leading text, .fork text.leading { fill: var(--leading); font-weight: 700; }
  .fork .alarm { fill: var(--alarm); font-weight: 700; }
  .fork .alarmed { fill: none; stroke: var(--alarm); stroke-width: 2; }
  .fork .leader { stroke: var(--grid); stroke-width: 1; }
";

/// Draws everything.
pub(super) fn draw(picture: &Picture<'_>, tree: &BlockTree<'_>, layout: &Layout) -> String {
    let mut svg = String::new();
    let (width, height) = (layout.width, layout.height);
    let title = format!(
        "Fork of {}: {} candidates stored",
        picture.document.network,
        picture.document.candidates.len()
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fork\" role=\"img\" width=\"{width:.0}\" \
         height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>",
        escaped(&title)
    );
    text(&mut svg, "title", (12.0, 20.0), &headline(picture));
    axis(&mut svg, layout);
    stops(&mut svg, picture, layout);
    for lane in &layout.lanes {
        let class = if lane.is_main { "link main" } else { "link" };
        links(&mut svg, tree, layout, &lane.blocks, class);
    }
    for label in &layout.tips {
        let (x, tip, y) = (label.x, label.tip_y, label.y);
        let _ = writeln!(
            svg,
            "<line class=\"leader\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            tip + 8.0,
            y - 8.0
        );
        text(&mut svg, "", (x - 4.0, y), &format!("▲ {}", label.text));
    }
    for lane in &layout.lanes {
        for hash in &lane.blocks {
            if let (Some(block), Some(place)) = (tree.get(*hash), layout.places.get(hash)) {
                draw_block(&mut svg, picture, block, *place);
            }
        }
        let last = lane.blocks.last().and_then(|hash| layout.places.get(hash));
        if let Some((x, y)) = last {
            text(&mut svg, "name", (x + 16.0, y + 4.0), &lane.name);
        }
    }
    legend(&mut svg, layout);
    svg.push_str("</svg>\n");
    svg
}

/// What the picture says in one line.
fn headline(picture: &Picture<'_>) -> String {
    let network = &picture.document.network;
    let Some(selection) = picture.selection else {
        return format!(
            "{network}: no fork block can be told, because the stop slots are not known"
        );
    };
    let leading = picture
        .document
        .candidates
        .iter()
        .map(|one| (one.state_hash, one.blockchain_length))
        .chain(
            selection
                .document
                .candidates
                .iter()
                .map(|one| (one.state_hash, one.blockchain_length)),
        )
        .find(|(hash, _)| Some(*hash) == selection.leading);
    match (selection.outcome, leading) {
        (Outcome::Chosen, Some((hash, height))) => {
            format!("{network}: the fork block is {height} {hash}")
        }
        (Outcome::Refused, Some((hash, height))) => {
            format!("{network}: no fork block; the rule refuses {height} {hash}")
        }
        (_, Some((hash, height))) => format!("{network}: so far it would be {height} {hash}"),
        (outcome, None) => {
            let word = match outcome {
                Outcome::Refused => "no fork block",
                Outcome::Chosen | Outcome::Pending => "no fork block yet",
            };
            let first = selection.document.problems.first();
            let reason = first.map_or("", String::as_str);
            clipped(&format!("{network}: {word}; {reason}"), 150)
        }
    }
}

fn text(svg: &mut String, class: &str, (x, y): (f64, f64), what: &str) {
    let class = match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let _ = writeln!(
        svg,
        "<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(what)
    );
}

fn vertical(svg: &mut String, class: &str, x: f64, from: f64, to: f64) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>"
    );
}

fn axis(svg: &mut String, layout: &Layout) {
    let y = layout.axis_y;
    let (first, last) = (layout.first_slot, layout.last_slot);
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
        layout.x(first),
        layout.x(last)
    );
    // Room for a number of seven digits and a gap.
    let step = STEPS
        .into_iter()
        .find(|step| f64::from(*step) * layout.slot_width >= 70.0)
        .unwrap_or(10_000);
    let mut slot = first.next_multiple_of(step);
    while slot <= last {
        let x = layout.x(slot);
        vertical(svg, "grid", x, y, y + 5.0);
        let _ = writeln!(
            svg,
            "<text class=\"soft small\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{slot}</text>",
            y + 17.0
        );
        slot = slot.saturating_add(step);
    }
    text(svg, "soft small", (12.0, y + 4.0), "slot");
}

/// The stop slots and the time, as vertical lines before the slot they name.
fn stops(svg: &mut String, picture: &Picture<'_>, layout: &Layout) {
    let Some(selection) = picture.selection else {
        return;
    };
    let rule = selection.document.rule;
    let clocks = picture.views.iter().filter_map(|view| view.clock_slot);
    let lines = [
        ("stop", "slot_tx_end", Some(rule.slot_tx_end), 40.0),
        ("stop", "slot_chain_end", Some(rule.slot_chain_end), 40.0),
        ("now", "clock", clocks.max(), 54.0),
    ];
    for (class, name, slot, y) in lines {
        let Some(slot) = slot.map(|slot| slot.get()) else {
            continue;
        };
        if slot < layout.first_slot || slot > layout.last_slot.saturating_add(3) {
            continue;
        }
        let x = layout.x(slot) - layout.slot_width / 2.0;
        vertical(svg, class, x, y + 4.0, layout.axis_y);
        text(svg, "soft", (x + 4.0, y + 6.0), &format!("{name} {slot}"));
    }
}

/// The lines between a lane's blocks, and to the block it leaves another lane at.
fn links(
    svg: &mut String,
    tree: &BlockTree<'_>,
    layout: &Layout,
    blocks: &[StateHash],
    class: &str,
) {
    for block in blocks.iter().filter_map(|hash| tree.get(*hash)) {
        let Some((x, y)) = layout.places.get(&block.state_hash).copied() else {
            continue;
        };
        let _ = match layout.places.get(&block.previous_state_hash).copied() {
            Some((from_x, from_y)) if (from_y - y).abs() < 0.5 => writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{from_x:.1} {from_y:.1}H{x:.1}\"/>"
            ),
            Some((from_x, from_y)) => writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{from_x:.1} {from_y:.1}C{from_x:.1} {y:.1} {:.1} \
                 {y:.1} {x:.1} {y:.1}\"/>",
                (from_x + x) / 2.0
            ),
            None => writeln!(
                svg,
                "<path class=\"{class} unseen\" d=\"M{:.1} {y:.1}H{x:.1}\"/>",
                x - 34.0
            ),
        };
    }
}

/// A block: filled when stored, large with a dot when it has transactions.
fn draw_block(svg: &mut String, picture: &Picture<'_>, block: &SeenBlock, (x, y): (f64, f64)) {
    let hash = block.state_hash;
    let stored = picture
        .document
        .candidates
        .iter()
        .find(|one| one.state_hash == hash);
    let is_leading = picture
        .selection
        .is_some_and(|selection| selection.leading == Some(hash));
    let rule = picture.selection.map(|selection| selection.document.rule);
    let is_late = rule.is_some_and(|rule| block.slot_since_hard_fork >= rule.slot_tx_end);
    let is_alarm = is_late
        && (!block.is_empty()
            || rule.is_some_and(|rule| block.slot_since_hard_fork >= rule.slot_chain_end));
    let is_tip = picture.views.iter().any(|view| view.tip == Some(hash));
    let mut class = "block".to_owned();
    if stored.is_some_and(|one| one.verified) {
        class.push_str(" stored");
    }
    if is_leading {
        class.push_str(" leading");
    }
    let _ = writeln!(
        svg,
        "<g class=\"{class}\"><title>{}</title>",
        escaped(&facts(picture, block))
    );
    let circle = |svg: &mut String, class: &str, radius: f64| {
        let _ = write!(
            svg,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
        );
    };
    if is_leading {
        circle(svg, "ring", RING_RADIUS);
    }
    if is_alarm {
        circle(svg, "alarmed", RING_RADIUS);
    }
    if block.is_empty() {
        circle(svg, "disc", EMPTY_RADIUS);
    } else {
        circle(svg, "disc", FILLED_RADIUS);
        circle(svg, "dot", 2.0);
    }
    // Blocks that nobody will choose are told apart by their heights.
    let full = !is_late || is_tip || stored.is_some();
    let label = match full {
        true => {
            let hash = hash.to_string();
            format!(
                "{} {}",
                block.blockchain_length,
                clipped(&hash, HASH_CHARS + 1)
            )
        }
        false => block.blockchain_length.to_string(),
    };
    let class = if full { "small" } else { "small soft" };
    let _ = write!(
        svg,
        "<text class=\"{class}\" transform=\"translate({:.1} {:.1}) rotate(-58)\">{}</text>",
        x + 2.0,
        y - 12.0,
        escaped(&label)
    );
    if is_alarm {
        text(svg, "alarm", (x - 16.0, y + 14.0), "!");
    }
    svg.push_str("</g>\n");
}

/// Everything about a block, for its tooltip.
fn facts(picture: &Picture<'_>, block: &SeenBlock) -> String {
    let hash = block.state_hash;
    let mut text = format!(
        "block {}\nstate hash {hash}\nparent {}\nslot {} since the hard fork, {} since genesis\n\
         {} commands, {} fee transfers, coinbase {} nanomina\nstaged ledger {}",
        block.blockchain_length,
        block.previous_state_hash,
        block.slot_since_hard_fork,
        block.global_slot_since_genesis,
        block.commands,
        block.fee_transfers,
        block.coinbase_nanomina,
        block.staged_ledger_hash
    );
    let stored = picture
        .document
        .candidates
        .iter()
        .find(|one| one.state_hash == hash);
    text.push_str(match stored.map(|one| one.verified) {
        Some(true) => "\nstored and verified",
        Some(false) => "\nstored, but not verified",
        None => "\nnot stored",
    });
    let mut names: Vec<&str> = picture
        .views
        .iter()
        .filter(|view| view.best_chain().any(|one| one.state_hash == hash))
        .map(|view| view.name.as_str())
        .collect();
    names.sort_unstable();
    match names.is_empty() {
        true => text.push_str("\non no daemon's best chain"),
        false => {
            let _ = write!(text, "\non the best chain of {}", names.join(", "));
        }
    }
    let judged = picture.selection.and_then(|selection| {
        let mut all = selection.document.candidates.iter();
        all.find(|one| one.state_hash == hash)
    });
    for reason in judged.into_iter().flat_map(|one| &one.rejected_because) {
        let _ = write!(text, "\nnot chosen: {reason}");
    }
    text
}

fn legend(svg: &mut String, layout: &Layout) {
    let y = layout.axis_y + 42.0;
    let entries: [(&str, f64, &str); 4] = [
        ("block stored", FILLED_RADIUS, "stored, with transactions"),
        ("block", FILLED_RADIUS, "seen only, with transactions"),
        ("block", EMPTY_RADIUS, "empty"),
        ("block stored leading", FILLED_RADIUS, "the rule's block"),
    ];
    let mut x = 20.0;
    for (class, radius, what) in entries {
        let _ = write!(
            svg,
            "<g class=\"{class}\"><circle class=\"disc\" cx=\"{x}\" cy=\"{:.1}\" r=\"{radius}\"/>",
            y - 4.0
        );
        if radius > EMPTY_RADIUS {
            let _ = write!(
                svg,
                "<circle class=\"dot\" cx=\"{x}\" cy=\"{:.1}\" r=\"2\"/>",
                y - 4.0
            );
        }
        if class.ends_with("leading") {
            let _ = write!(
                svg,
                "<circle class=\"ring\" cx=\"{x}\" cy=\"{:.1}\" r=\"{RING_RADIUS}\"/>",
                y - 4.0
            );
        }
        svg.push_str("</g>\n");
        text(svg, "soft", (x + 15.0, y), what);
        let chars = f64::from(u32::try_from(what.len()).unwrap_or(0));
        x += chars * 6.8 + 48.0;
    }
    text(svg, "alarm", (x, y), "!");
    text(svg, "soft", (x + 12.0, y), "must not be after the stop");
    let mut note = "▲ best tip of a daemon; tooltips have every fact".to_owned();
    if layout.left_out > 0 {
        let _ = write!(
            note,
            "; {} blocks farther from the fork are not drawn",
            layout.left_out
        );
    }
    text(svg, "soft", (14.0, y + LINE + 6.0), &note);
}
