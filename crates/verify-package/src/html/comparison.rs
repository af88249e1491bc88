//! The second package.

use std::fmt::Write as _;

use super::safe;
use super::sections::{open, pair};
use crate::report::{Effect, ReportDifference, ReportDocument};

/// What differs, and what that does.
pub(super) fn comparison(page: &mut String, report: &ReportDocument) {
    let Some(comparison) = &report.comparison else {
        return;
    };
    let is_alarm = comparison.first.is_some() || comparison.problem.is_some();
    open(
        page,
        if is_alarm { "alarm" } else { "" },
        "Against a second package",
    );
    let _ = writeln!(
        page,
        "<p><b>{}</b></p>\n<p class=\"small soft\">{} <code>{}</code></p>",
        safe(&comparison.summary),
        safe(&comparison.subject.kind),
        safe(&comparison.subject.name)
    );
    if let Some(problem) = &comparison.problem {
        let _ = writeln!(page, "<div class=\"detail\">{}</div>", safe(problem));
    }
    if let Some(first) = &comparison.first {
        let _ = writeln!(
            page,
            "<p>The first input that differs is <code>{}</code>.</p>",
            safe(first)
        );
    }
    for one in &comparison.differences {
        difference(page, one);
    }
    for gap in &comparison.not_compared {
        let _ = writeln!(
            page,
            "<p class=\"small soft\">Not compared: {}.</p>",
            safe(&gap.what)
        );
    }
    if !comparison.inputs.is_empty() {
        page.push_str("<details><summary>Inputs of the chain on both sides</summary>\n");
        for input in &comparison.inputs {
            let (class, sign, word) = if input.is_equal {
                ("good", "=", "equal")
            } else {
                ("bad", "≠", "different")
            };
            let _ = write!(
                page,
                "<div class=\"check\"><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span>\
                 <code>{}</code> <span class=\"tag {class}\">{word}</span>",
                safe(&input.name)
            );
            if input.is_equal {
                let _ = write!(
                    page,
                    "<p class=\"small soft\"><code>{}</code></p>",
                    safe(&input.here)
                );
            } else {
                pair(page, ("this", &input.here), ("second", &input.there));
            }
            page.push_str("</div>\n");
        }
        page.push_str("</details>\n");
    }
    page.push_str("</section>\n");
}

fn difference(page: &mut String, one: &ReportDifference) {
    let class = match one.effect {
        Effect::CannotPeer | Effect::Disagree => "bad",
        Effect::Other => "none",
        Effect::Harmless => "good",
    };
    let _ = writeln!(
        page,
        "<div class=\"failure\">\n<h3><code>{}</code> <span class=\"tag {class}\">{}</span></h3>\n\
         <p class=\"soft\">{}.</p>",
        safe(&one.input),
        one.effect.words(),
        safe(&one.meaning)
    );
    pair(page, ("this", &one.here), ("second", &one.there));
    if !one.detail.is_empty() {
        let _ = writeln!(
            page,
            "<div class=\"detail\">{}</div>",
            safe(&one.detail.join("\n"))
        );
    }
    page.push_str("</div>\n");
}
