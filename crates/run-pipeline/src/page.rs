//! `timing.html`: the run as a picture. One file, no script, nothing fetched.

mod notes;

use std::fmt::Write as _;

use fork_worker::html::escaped;

use crate::history::History;
use crate::report::{RunReport, Source, State, StepReport, budget, mebibytes, seconds};

/// Name of the page inside the run's output.
pub const PAGE_FILE: &str = "timing.html";

const STYLE: &str = "
  :root { color-scheme: light dark; --bar: #6e7781; --critical: #0969da; --kept: #8c959f66;
    --failed: #cf222e; --line: #8c959f66; }
  @media (prefers-color-scheme: dark) { :root { --bar: #8b949e; --critical: #58a6ff;
    --failed: #ff7b72; } body { background: #0d1117; color: #e6edf3; } }
  body { margin: 1rem; font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 13px; }
  th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
    white-space: nowrap; }
  .number { text-align: right; font-variant-numeric: tabular-nums; }
  svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
  .bar { fill: var(--bar); } .critical { fill: var(--critical); } .failed { fill: var(--failed); }
  .kept { fill: none; stroke: var(--bar); stroke-dasharray: 3 2; }
  .grid { stroke: var(--line); } .key { display: inline-block; width: .8em; height: .8em;
    vertical-align: -1px; }
  .note { border-left: 4px solid var(--bar); padding: .2rem .8rem; margin: .8rem 0; }
  .note pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
  .note h3 { font-size: 1rem; margin: .5rem 0; } .note p { margin: .3rem 0; }
  summary { cursor: pointer; }
  .info { border-color: var(--critical); } .success { border-color: #1a7f37; }
  .warning { border-color: #bf8700; } .error { border-color: var(--failed); }
";

/// Width of the part of the chart that is time, in the picture's units.
const TIME_WIDTH: u64 = 560;
const ROW_HEIGHT: u64 = 26;
/// Room for the name of a job of a matrix.
const LEFT: u64 = 240;

/// The page of a run; `history` holds the runs before it.
#[must_use]
pub fn page(report: &RunReport, history: &History) -> String {
    let verdict = report.verdict();
    let worked = report.earlier_words();
    let worked = worked.map_or_else(String::new, |words| format!(": {}", escaped(&words)));
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Pipeline run: {verdict}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Pipeline run: {verdict} in {}</h1>\n\
         <p>{:.2}% of the {} budget{worked}. The critical path, {}, takes {}: only what is on it can make \
         the run shorter.</p>",
        seconds(report.wall_ms),
        report.budget_used_percent,
        budget(report.budget_ms),
        escaped(&report.path_words(" → ")),
        seconds(report.critical_path_ms),
    );
    chart(&mut page, report);
    table(&mut page, report, history);
    notes::notes(&mut page, report);
    earlier(&mut page, history);
    page.push_str("</body>\n</html>\n");
    page
}

fn class(report: &RunReport, step: &StepReport) -> &'static str {
    match step.state {
        State::Failed | State::TimedOut | State::Interrupted | State::SoftFailed => "failed",
        _ if step.reused.is_some() => "kept",
        _ if report.critical_path.contains(&step.key) => "critical",
        _ => "bar",
    }
}

fn chart(page: &mut String, report: &RunReport) {
    let shown: Vec<(&StepReport, u64)> = report
        .steps
        .iter()
        .filter_map(|step| Some((step, step.started_ms?)))
        .collect();
    let end = shown.iter().map(|(step, start)| start + step.ran_ms());
    // A run of nothing has a width all the same.
    let end = end.max().unwrap_or_default().max(1);
    let x = |ms: u64| LEFT + ms * TIME_WIDTH / end;
    let height = shown.len() as u64 * ROW_HEIGHT + 30;
    let _ = writeln!(
        page,
        "<div class=\"wide\"><svg viewBox=\"0 0 {0} {height}\" width=\"{0}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Gantt chart of the steps\">",
        LEFT + TIME_WIDTH + 60
    );
    for mark in 0..=4 {
        let ms = end * mark / 4;
        let _ = writeln!(
            page,
            "<line class=\"grid\" x1=\"{0}\" x2=\"{0}\" y1=\"18\" y2=\"{height}\"/>\
             <text x=\"{0}\" y=\"12\" text-anchor=\"middle\">{1}</text>",
            x(ms),
            seconds(ms)
        );
    }
    for (row, (step, start)) in (0..).zip(&shown) {
        let y = 24 + row * ROW_HEIGHT;
        let (from, to) = (x(*start), x(start + step.ran_ms()));
        let took = match step.reused {
            None => seconds(step.wall_ms),
            Some(Source::Output) => "kept".to_owned(),
            Some(Source::Cache) => "from cache".to_owned(),
        };
        let _ = writeln!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{}\" x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"2\"/>\
             <text x=\"{}\" y=\"{}\">{took}</text>",
            LEFT - 8,
            y + 14,
            escaped(&step.name),
            class(report, step),
            (to - from).max(2),
            ROW_HEIGHT - 8,
            (to + 6).max(from + 8),
            y + 14,
        );
    }
    page.push_str("</svg></div>\n<p>");
    for (name, words) in [
        ("critical", "on the critical path"),
        ("bar", "beside it"),
        ("failed", "did not pass"),
    ] {
        let _ = write!(
            page,
            "<svg class=\"key\" viewBox=\"0 0 8 8\"><rect class=\"{name}\" width=\"8\" \
             height=\"8\"/></svg> {words} &nbsp; "
        );
    }
    page.push_str("dashed: an earlier result, used again</p>\n");
}

fn table(page: &mut String, report: &RunReport, history: &History) {
    let all: u64 = report.steps.iter().map(StepReport::ran_ms).sum();
    page.push_str(
        "<h2>Steps</h2>\n<div class=\"wide\"><table>\n<tr><th>step</th><th>state</th>\
         <th class=\"number\">time</th><th class=\"number\">share</th>\
         <th class=\"number\">peak memory</th><th class=\"number\">attempts</th>\
         <th class=\"number\">quickest before</th><th class=\"number\">artifacts</th>\
         <th>why</th></tr>\n",
    );
    for step in &report.steps {
        let share = (step.ran_ms() * 100).checked_div(all).unwrap_or_default();
        let before = history.quickest(&step.key);
        let before = before.map_or_else(String::new, |(ms, runs)| {
            format!("{} of {runs}", seconds(ms))
        });
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{share}%</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{before}</td>\
             <td class=\"number\">{}</td><td>{}</td></tr>",
            escaped(&step.name),
            step.state_words(),
            seconds(step.wall_ms),
            step.peak_memory_bytes.map_or_else(String::new, mebibytes),
            step.attempts,
            mebibytes(step.artifacts.iter().map(|artifact| artifact.bytes).sum()),
            escaped(step.reason.as_deref().unwrap_or_default()),
        );
    }
    page.push_str("</table></div>\n");
}

fn earlier(page: &mut String, history: &History) {
    if history.0.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Earlier runs here</h2>\n<div class=\"wide\"><table>\n<tr><th>run</th>\
         <th class=\"number\">time</th><th class=\"number\">steps run</th><th>exit code</th></tr>\n",
    );
    for (index, run) in history.0.iter().enumerate().rev() {
        let number = index + 1;
        let _ = writeln!(
            page,
            "<tr><td>{number}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td>{}</td></tr>",
            seconds(run.wall_ms),
            run.steps_ms.len(),
            run.exit_code
        );
    }
    page.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::EarlierRun;

    fn step(key: &str, after: &[&str], started: u64, wall: u64) -> StepReport {
        let text = "steps: [ { key: step, command: x } ]";
        let plan = crate::Pipeline::parse(text.as_bytes()).unwrap();
        let plan = plan.resolve(&crate::Environment::new()).unwrap();
        let mut report = StepReport::blank(&plan.steps[0]);
        for name in [&mut report.key, &mut report.step, &mut report.name] {
            key.clone_into(name);
        }
        report.depends_on = after.iter().map(|&key| key.to_owned()).collect();
        report.state = State::Passed;
        report.exit_code = Some(0);
        report.attempts = 1;
        report.started_ms = Some(started);
        report.wall_ms = wall;
        report.peak_memory_bytes = Some(3 << 20);
        report
    }

    #[test]
    fn the_critical_path_decides_and_is_shown() {
        let mut kept = step("kept", &[], 0, 9_000);
        kept.reused = Some(Source::Output);
        let mut hostile = step("<b>", &["slow"], 5_000, 1_000);
        hostile.state = State::Failed;
        hostile.reason = Some("<script>".to_owned());
        hostile.notes.push(crate::annotations::Note {
            context: "<i>".to_owned(),
            style: Some("\"><script>".to_owned()),
            is_more: false,
            body: "**bold** <script>alert(1)</script>".to_owned(),
        });
        let steps = vec![
            kept,
            step("slow", &["kept"], 0, 5_000),
            step("quick", &["kept"], 0, 1_000),
            step("beside", &["quick"], 1_000, 2_000),
            hostile,
        ];
        let report = RunReport::new(
            4,
            crate::report::Time {
                wall_ms: 6_000,
                earlier: crate::spent::Earlier::default(),
                budget_ms: 21_600_000,
            },
            steps,
            Vec::new(),
        );
        assert_eq!(report.critical_path, ["kept", "slow", "<b>"]);
        assert_eq!(report.critical_path_ms, 6_000);
        let mut history = History::default();
        for (exit_code, slow) in [(0, 4_000), (4, 7_000)] {
            history.0.push(EarlierRun {
                exit_code,
                wall_ms: slow + 1,
                input_bytes: None,
                steps_ms: [("slow".to_owned(), slow)].into(),
                steps_memory_bytes: [].into(),
            });
        }
        let page = page(&report, &history);
        assert!(page.contains("Pipeline run: failed in 6.0 s"));
        assert!(page.contains("kept → slow → &lt;b&gt;, takes 6.0 s"));
        assert!(page.contains("4.0 s of 2"), "the quickest of two runs");
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(page.contains("<p>**bold** &lt;script&gt;alert(1)&lt;/script&gt;</p>"));
        assert!(page.contains("<details class=\"note \"><summary><b>&lt;i&gt;</b>"));
        // Half of the time axis is 280 units: the slow step takes five sixths of it.
        assert!(
            page.contains("class=\"critical\" x=\"240\" y=\"50\" width=\"466\""),
            "{page}"
        );
        assert!(page.contains("class=\"bar\" x=\"333\""));
        assert!(page.contains("class=\"failed\" x=\"706\""));
        history.add(&report, None);
        assert_eq!(history.0[2].steps_ms.len(), 3, "what ran here and passed");
    }
}
