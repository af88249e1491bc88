//! What a run shows while it runs: lines anywhere, and on a terminal the steps below them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::forecast::Forecast;
use crate::pipeline::{Plan, Step};
use crate::process::LineSink;
use crate::report::seconds;

/// How often the view is drawn.
const TICK: Duration = Duration::from_millis(200);

/// What a run shows.
#[derive(Debug)]
pub struct Live {
    bars: Option<MultiProgress>,
    sink: LineSink,
}

impl Live {
    /// On a terminal when `is_terminal`, plain lines to `output` otherwise.
    #[must_use]
    pub fn new(output: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        if !is_terminal {
            return Self {
                bars: None,
                sink: LineSink::new(output),
            };
        }
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let above = Above {
            bars: bars.clone(),
            output,
        };
        Self {
            bars: Some(bars),
            sink: LineSink::new(Box::new(above)),
        }
    }

    /// Where lines go.
    #[must_use]
    pub const fn sink(&self) -> &LineSink {
        &self.sink
    }

    /// Begins to show a run.
    pub(crate) fn board(
        &self,
        plan: Arc<Plan>,
        forecast: Forecast,
        budget_ms: u64,
        earlier_ms: u64,
    ) -> Board {
        let total = self.bars.as_ref().map(|bars| bar(bars, "total", None));
        let line = |name: &'static str| {
            self.bars.as_ref().map(|bars| {
                let line = bars.add(ProgressBar::new(0));
                if let Ok(style) = ProgressStyle::with_template("{prefix:<24} {wide_msg}") {
                    line.set_style(style);
                }
                line.set_prefix(name);
                line
            })
        };
        let path = line("critical path");
        let waiting = line("waiting");
        Board {
            budget_ms,
            earlier_ms,
            started: Instant::now(),
            bars: self.bars.clone(),
            state: Mutex::new(BoardState {
                plan,
                forecast,
                running: BTreeMap::new(),
                ended: Vec::new(),
                total,
                path,
                waiting,
                is_warned: false,
            }),
        }
    }
}

/// Writes whole lines above the bars.
struct Above {
    bars: MultiProgress,
    output: Box<dyn Write + Send>,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| self.output.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn bar(bars: &MultiProgress, name: &str, expected_ms: Option<u64>) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(expected_ms.unwrap_or_default()));
    let template = match expected_ms {
        Some(_) => "{prefix:<24} {wide_bar} {elapsed:>5} of about {msg}",
        None => "{prefix:<24} {spinner} {elapsed:>5} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name.to_owned());
    if let Some(expected) = expected_ms {
        bar.set_message(seconds(expected));
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// The steps of a run and what is left of it.
#[derive(Debug)]
pub(crate) struct Board {
    budget_ms: u64,
    /// How long earlier parts of the run worked.
    earlier_ms: u64,
    started: Instant,
    bars: Option<MultiProgress>,
    state: Mutex<BoardState>,
}

#[derive(Debug)]
struct BoardState {
    plan: Arc<Plan>,
    forecast: Forecast,
    running: BTreeMap<String, (Instant, Option<ProgressBar>)>,
    ended: Vec<String>,
    total: Option<ProgressBar>,
    /// The critical path of what is left.
    path: Option<ProgressBar>,
    /// The jobs that have not started.
    waiting: Option<ProgressBar>,
    is_warned: bool,
}

impl Board {
    fn with<T>(&self, act: impl FnOnce(&mut BoardState) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A job starts.
    pub(crate) fn start(&self, step: &Step) {
        self.with(|state| {
            let expected = state.forecast.of(&step.key).filter(|ms| *ms > 0);
            let bars = self.bars.as_ref();
            let bar = bars.map(|bars| bar(bars, &step.name, expected));
            state
                .running
                .insert(step.key.clone(), (Instant::now(), bar));
        });
    }

    /// The plan is another one now.
    pub(crate) fn change(&self, plan: Arc<Plan>, forecast: Forecast) {
        self.with(|state| {
            state.plan = plan;
            state.forecast = forecast;
        });
    }

    /// A step ended, or will not start.
    pub(crate) fn end(&self, step: &str) {
        self.with(|state| {
            if let Some((_, Some(bar))) = state.running.remove(step) {
                bar.finish_and_clear();
            }
            state.ended.push(step.to_owned());
        });
    }

    /// Draws what is left. Returns a warning, once, when the budget will not do.
    pub(crate) fn look(&self) -> Option<String> {
        let elapsed_ms = milliseconds(self.started.elapsed()).saturating_add(self.earlier_ms);
        self.with(|state| {
            let mut running = BTreeMap::new();
            for (key, (since, bar)) in &state.running {
                let ms = milliseconds(since.elapsed());
                if let Some(bar) = bar {
                    let end = bar.length().unwrap_or_default();
                    // Full means ended; what takes longer than expected stays short of it.
                    bar.set_position(ms.min(end.saturating_sub(end / 50)));
                }
                running.insert(key.clone(), ms);
            }
            let ended = |key: &str| state.ended.iter().any(|ended| ended == key);
            let remaining = state.forecast.remaining(&state.plan, &running, ended);
            let left = remaining.ms;
            if let Some(path) = &state.path {
                path.set_message(remaining.path.join(" → "));
            }
            if let Some(waiting) = &state.waiting {
                waiting.set_message(waiting_words(&state.plan, &running, ended));
            }
            if let Some(total) = &state.total {
                let budget = self.budget_ms.saturating_sub(elapsed_ms) / 1000;
                total.set_message(format!(
                    "{}; {} of {} steps done; {}:{:02}:{:02} of the budget left",
                    remaining.left_words(),
                    state.ended.len(),
                    state.plan.steps.len(),
                    budget / 3600,
                    budget / 60 % 60,
                    budget % 60,
                ));
            }
            let expected = elapsed_ms.saturating_add(left);
            if expected <= self.budget_ms || state.is_warned {
                return None;
            }
            state.is_warned = true;
            Some(format!(
                "warning: this run will take about {}, and its budget is {}",
                seconds(expected),
                seconds(self.budget_ms)
            ))
        })
    }
}

/// Names of the jobs that have not started, in the order of the plan; each step once.
fn waiting_words(
    plan: &Plan,
    running: &BTreeMap<String, u64>,
    ended: impl Fn(&str) -> bool,
) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for step in &plan.steps {
        if running.contains_key(&step.key) || ended(&step.key) {
            continue;
        }
        match names.last_mut() {
            Some((name, count)) if *name == step.step => *count += 1,
            _ => names.push((&step.step, 1)),
        }
    }
    let names: Vec<String> = names
        .into_iter()
        .map(|(name, count)| match count {
            1 => name.to_owned(),
            _ => format!("{name} ×{count}"),
        })
        .collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.with(|state| {
            for bar in state.total.iter().chain(&state.path).chain(&state.waiting) {
                bar.finish_and_clear();
            }
        });
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Limits;
    use crate::layout::Layout;
    use crate::pipeline::Pipeline;

    #[test]
    fn what_waits_is_named_and_what_is_unknown_is_called_so() {
        let file = "
steps:
  - { key: a, command: x }
  - { key: b, command: x, parallelism: 3 }
  - { key: c, command: x }
";
        let plan = Pipeline::parse(file.as_bytes()).unwrap();
        let plan = plan.resolve(&BTreeMap::new()).unwrap();
        let running = BTreeMap::from([("a".to_owned(), 1_000)]);
        assert_eq!(waiting_words(&plan, &running, |_| false), "b ×3, c");
        assert_eq!(waiting_words(&plan, &running, |key| key != "c"), "c");
        assert_eq!(waiting_words(&plan, &running, |_| true), "nothing");

        let directory = tempfile::tempdir().unwrap();
        let layout = Layout {
            output: directory.path().to_owned(),
        };
        let limits = Limits { jobs: 2, cores: 2 };
        let forecast = Forecast::new(&plan, &layout, limits);
        let left =
            |ended: &dyn Fn(&str) -> bool| forecast.remaining(&plan, &running, ended).left_words();
        assert_eq!(left(&|_| false), "time left unknown");
        assert_eq!(left(&|_| true), "about 0.0 s left");
    }
}
