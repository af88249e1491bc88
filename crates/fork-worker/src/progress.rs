//! Progress bars on stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Accounts, entries, files.
    Items,
}

/// A progress bar; silent when stderr is not a terminal. Finishes when dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(visible: bool, label: &str, total: u64, unit: Unit) -> Self {
        let target = if visible {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target);
        let template = match (unit, total > 0) {
            (Unit::Bytes, true) => {
                "{prefix:<28} {wide_bar} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4}"
            }
            (Unit::Items, true) => {
                "{prefix:<28} {wide_bar} {human_pos:>10}/{human_len} {per_sec:>12} {eta:>4}"
            }
            (Unit::Bytes, false) => {
                "{prefix:<28} {spinner} {bytes:>10} {bytes_per_sec:>12} {elapsed:>4}"
            }
            (Unit::Items, false) => {
                "{prefix:<28} {spinner} {human_pos:>10} {per_sec:>12} {elapsed:>4}"
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label.to_owned());
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// Counts `delta` more.
    pub fn advance(&self, delta: u64) {
        self.0.inc(delta);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
