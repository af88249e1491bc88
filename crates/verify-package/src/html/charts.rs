//! Balances and vesting, before and after.
//!
//! Drawn for a width of 360 units, so that letters keep their size on a phone. Each chart has a
//! title for screen readers and a table with the same numbers.

use std::fmt::Write as _;

use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::Role;

use super::safe;
use super::sections::open;
use crate::figures::{grouped, mina, mina_short};
use crate::report::{ReportCurves, ReportDocument, ReportLedgerSeries, ReportSeries};

/// Width of a drawing.
const WIDTH: f64 = 360.0;
/// Height of a group of balances.
const ROW: f64 = 25.0;
/// Where the bars begin and end.
const BARS: (f64, f64) = (72.0, 300.0);
/// Area of the curves: left, right, top, bottom.
const AREA: (f64, f64, f64, f64) = (46.0, 350.0, 10.0, 190.0);
/// Rows of a table of curves.
const TABLE_ROWS_MAX: usize = 130;

const KEYS: &str = "<span class=\"keys\"><span class=\"key before\"></span> before \
                    <span class=\"key after\"></span> after</span>";

/// The charts of the genesis ledger, and of the others on demand.
pub(super) fn charts(page: &mut String, report: &ReportDocument) {
    let series = &report.series;
    if series.ledgers.is_empty() {
        return;
    }
    open(page, "", "Balances and vesting");
    for ledger in &series.ledgers {
        if ledger.role != Role::Genesis {
            let _ = writeln!(
                page,
                "<details><summary>The {} ledger</summary>",
                ledger.role
            );
        }
        vesting(page, series, ledger);
        balances(page, series, ledger);
        if ledger.role != Role::Genesis {
            page.push_str("</details>\n");
        }
    }
    page.push_str("</section>\n");
}

fn amounts(texts: &[String]) -> Vec<u128> {
    let amounts = texts.iter().map(|text| text.parse().unwrap_or_default());
    amounts.collect()
}

fn day(ms: u64) -> String {
    let time = GenesisTimestamp::from_ms(ms).map(|time| time.to_string());
    time.map_or_else(|_| "?".to_owned(), |text| text.chars().take(10).collect())
}

/// Locked balance over time.
fn vesting(page: &mut String, series: &ReportSeries, ledger: &ReportLedgerSeries) {
    let (before, after) = (
        amounts(&ledger.before.locked_nanomina),
        amounts(&ledger.after.locked_nanomina),
    );
    let times = &series.times_ms;
    let _ = write!(
        page,
        "<h3>Locked by vesting, {} ledger</h3>\n<figure>\n<figcaption>{} ",
        ledger.role,
        safe(&vesting_words(times, ledger, &before, &after))
    );
    if times.is_empty() || before.iter().chain(&after).all(|amount| *amount == 0) {
        page.push_str("</figcaption></figure>\n");
        return;
    }
    let _ = writeln!(page, "{KEYS}</figcaption>");
    let shown = shown(times, &before, &after);
    draw(page, &times[..shown], &before, &after, ledger.role);
    page.push_str(
        "<details><summary class=\"small\">As a table</summary><div class=\"wide\"><table>\n\
         <thead><tr><th>day</th><th class=\"number\">MINA before</th>\
         <th class=\"number\">MINA after</th></tr></thead>\n<tbody>\n",
    );
    for (position, time) in times.iter().take(shown.min(TABLE_ROWS_MAX)).enumerate() {
        let of = |texts: &[String]| {
            texts
                .get(position)
                .map_or_else(String::new, |text| mina(text))
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            day(*time),
            safe(&of(&ledger.before.locked_nanomina)),
            safe(&of(&ledger.after.locked_nanomina))
        );
    }
    page.push_str("</tbody>\n</table></div></details>\n</figure>\n");
}

fn vesting_words(
    times: &[u64],
    ledger: &ReportLedgerSeries,
    before: &[u128],
    after: &[u128],
) -> String {
    if times.is_empty() {
        return "Nobody says when the new chain starts, so nothing can be drawn.".to_owned();
    }
    let timed = format!(
        "{} accounts with a schedule before, {} after.",
        grouped(ledger.before.timed_accounts.into()),
        grouped(ledger.after.timed_accounts.into())
    );
    if before.len() != times.len() || after.len() != times.len() {
        return format!("{timed} The package has nothing to compare with.");
    }
    let pairs = times.iter().zip(before.iter().zip(after));
    let differing: Vec<(u64, u128, u128)> = pairs
        .filter(|(_, (before, after))| before != after)
        .map(|(time, (before, after))| (*time, *before, *after))
        .collect();
    let Some((time, before, after)) = differing
        .iter()
        .max_by_key(|(_, before, after)| before.abs_diff(*after))
    else {
        let locked = if before.iter().all(|amount| *amount == 0) {
            "Nothing is locked on either chain."
        } else {
            "The two curves are the same: nobody's MINA are free earlier or later than on the old chain."
        };
        return format!("{timed} {locked}");
    };
    format!(
        "{timed} The curves differ at {} of {} times, most on {}: {} MINA before, {} after.",
        differing.len(),
        times.len(),
        day(*time),
        mina(&before.to_string()),
        mina(&after.to_string())
    )
}

/// How many times are worth showing: up to the last change, and a little more.
fn shown(times: &[u64], before: &[u128], after: &[u128]) -> usize {
    let last = |amounts: &[u128]| {
        let pairs = amounts.windows(2).enumerate();
        pairs
            .filter(|(_, pair)| pair[0] != pair[1])
            .map(|(position, _)| position + 1)
            .next_back()
            .unwrap_or_default()
    };
    let last = last(before).max(last(after));
    if last == 0 {
        return times.len();
    }
    (last + 3).min(times.len())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a drawing has a thousand places, and no number comes back from it"
)]
fn draw(page: &mut String, times: &[u64], before: &[u128], after: &[u128], role: Role) {
    let (left, right, top, bottom) = AREA;
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return;
    };
    let span = last.saturating_sub(*first).max(1) as f64;
    let most = before
        .iter()
        .chain(after)
        .copied()
        .max()
        .unwrap_or(1)
        .max(1);
    let x = |time: u64| left + (right - left) * (time.saturating_sub(*first) as f64 / span);
    let y = |amount: u128| bottom - (bottom - top) * (amount as f64 / most as f64);
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} 215\" role=\"img\"><title>MINA locked by vesting in the {role} \
         ledger from {} to {}, before and after the fork</title>",
        day(*first),
        day(*last)
    );
    for part in 0..=2 {
        let amount = most / 2 * part;
        let at = y(amount);
        let _ = writeln!(
            page,
            "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/><text class=\"soft\" x=\"{:.1}\" \
             y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 5.0,
            at + 4.0,
            mina_short(amount)
        );
    }
    for (part, anchor) in [(0, "start"), (1, "middle"), (2, "end")] {
        let time = first + (last - first) / 2 * part;
        let _ = writeln!(
            page,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(time),
            bottom + 18.0,
            day(time)
        );
    }
    for (class, amounts) in [("before", before), ("after", after)] {
        let mut path = String::new();
        for (position, (time, amount)) in times.iter().zip(amounts).enumerate() {
            let letter = if position == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x(*time), y(*amount));
        }
        let _ = writeln!(page, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    page.push_str("</svg>\n");
}

/// Accounts by balance.
fn balances(page: &mut String, series: &ReportSeries, ledger: &ReportLedgerSeries) {
    let names: Vec<String> = group_names(&series.balances_from_nanomina);
    let is_same = ledger.before.accounts == ledger.after.accounts
        && ledger.before.sums_nanomina == ledger.after.sums_nanomina;
    let words = if is_same {
        "Every group has as many accounts and as much MINA as before."
    } else {
        "The groups are not what they were before."
    };
    let _ = writeln!(
        page,
        "<h3>Accounts by balance, {} ledger</h3>\n<figure>\n<figcaption>{words} Bars are \
         logarithmic. {KEYS}</figcaption>",
        ledger.role
    );
    bars(page, &names, ledger);
    page.push_str(
        "<details><summary class=\"small\">As a table</summary><div class=\"wide\"><table>\n\
         <thead><tr><th>MINA</th><th class=\"number\">accounts before</th>\
         <th class=\"number\">after</th><th class=\"number\">MINA before</th>\
         <th class=\"number\">after</th></tr></thead>\n<tbody>\n",
    );
    let count = |curves: &ReportCurves, position: usize| {
        let count = curves.accounts.get(position).copied().unwrap_or_default();
        grouped(count.into())
    };
    let sum = |curves: &ReportCurves, position: usize| {
        let sum = curves.sums_nanomina.get(position);
        sum.map_or_else(String::new, |text| safe(&mina(text)))
    };
    for (position, name) in names.iter().enumerate() {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            safe(name),
            count(&ledger.before, position),
            count(&ledger.after, position),
            sum(&ledger.before, position),
            sum(&ledger.after, position)
        );
    }
    page.push_str("</tbody>\n</table></div></details>\n</figure>\n");
}

fn group_names(bounds: &[u64]) -> Vec<String> {
    let name = |(position, bound): (usize, &u64)| match position {
        0 => {
            let next = bounds.get(1).copied().unwrap_or_default();
            format!("< {}", mina(&next.to_string()))
        }
        _ if *bound >= 1_000_000_000 => format!("≥ {}", mina_short(u128::from(*bound))),
        _ => format!("≥ {}", mina(&bound.to_string())),
    };
    bounds.iter().enumerate().map(name).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a drawing has a thousand places, and no number comes back from it"
)]
fn bars(page: &mut String, names: &[String], ledger: &ReportLedgerSeries) {
    let counts = |curves: &ReportCurves, position: usize| {
        curves.accounts.get(position).copied().unwrap_or_default()
    };
    let all = ledger.before.accounts.iter().chain(&ledger.after.accounts);
    let most = all.copied().max().unwrap_or_default();
    let scale = ((most as f64) + 1.0).ln().max(1.0);
    let width = |count: u64| (BARS.1 - BARS.0) * ((count as f64) + 1.0).ln() / scale;
    let height = ROW * names.len() as f64 + 4.0;
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>Number of accounts of the {} \
         ledger by balance, before and after the fork</title>",
        ledger.role
    );
    for (position, name) in names.iter().enumerate() {
        let top = ROW * position as f64 + 4.0;
        let (before, after) = (
            counts(&ledger.before, position),
            counts(&ledger.after, position),
        );
        let _ = writeln!(
            page,
            "<text class=\"soft\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            BARS.0 - 6.0,
            top + 14.0,
            safe(name)
        );
        for (class, count, offset) in [("before", before, 1.0), ("after", after, 10.0)] {
            if count > 0 {
                let _ = writeln!(
                    page,
                    "<rect class=\"{class}\" x=\"{}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"2\"/>",
                    BARS.0,
                    top + offset,
                    width(count).max(2.0)
                );
            }
        }
        let text = if before == after {
            grouped(after.into())
        } else {
            format!("{} → {}", grouped(before.into()), grouped(after.into()))
        };
        let _ = writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            BARS.0 + width(before.max(after)).max(2.0) + 5.0,
            top + 14.0
        );
    }
    page.push_str("</svg>\n");
}
