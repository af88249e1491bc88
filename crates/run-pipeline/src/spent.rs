//! How long the earlier parts of a run worked: a run that is stopped and gone on with is one run, and its
//! budget one budget.
//!
//! What counts is the time in which a part worked, not the time between two parts: a run on a laptop that
//! was closed over night would otherwise always fail. Both are told.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::layout::Layout;
use crate::state::write_json;

/// Largest document read, in bytes.
const BYTES_MAX: u64 = 1 << 10;
/// How often the time is written down: so much is lost when the runner is killed.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is on the disk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// When the first part started, in milliseconds since 1970.
    first_unix_ms: u64,
    /// How long the parts worked that have ended.
    earlier_ms: u64,
    /// How long the last part did.
    last_ms: u64,
    /// Its exit code, if it got that far.
    exit_code: Option<u8>,
}

/// What the parts of a run took that were before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// How long they worked, in milliseconds.
    pub worked_ms: u64,
    /// How long ago the first one started, in milliseconds, when this one did.
    pub begun_ms: u64,
}

/// The time of this part, written down every now and then.
#[derive(Debug)]
pub(crate) struct Spent {
    path: PathBuf,
    document: Document,
    started: Instant,
    written: Instant,
    pub(crate) earlier: Earlier,
}

impl Spent {
    /// Begins a part. A run that passed is over, and what goes on from there is another one, unless it
    /// `is_one`: a rehearsal is about all that it takes, however often it is looked at.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub(crate) fn begin(
        layout: &Layout,
        now_unix_ms: u64,
        is_one: bool,
    ) -> Result<Self, PipelineError> {
        let path = layout.state().join("history/spent.json");
        let before = fork_fs::read_limited(&path, BYTES_MAX).ok();
        let before = before.and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok());
        let before = before.filter(|before| is_one || before.exit_code != Some(0));
        let document = before.map_or(
            Document {
                first_unix_ms: now_unix_ms,
                earlier_ms: 0,
                last_ms: 0,
                exit_code: None,
            },
            |before| Document {
                earlier_ms: before.earlier_ms.saturating_add(before.last_ms),
                last_ms: 0,
                exit_code: None,
                ..before
            },
        );
        let earlier = Earlier {
            worked_ms: document.earlier_ms,
            begun_ms: now_unix_ms.saturating_sub(document.first_unix_ms),
        };
        fork_fs::create_dir_all(&layout.state().join("history"))?;
        let now = Instant::now();
        let spent = Self {
            path,
            document,
            started: now,
            written: now,
            earlier,
        };
        write_json(&spent.document, &spent.path)?;
        Ok(spent)
    }

    /// Writes the time down when that was long ago.
    pub(crate) fn note(&mut self) {
        if self.written.elapsed() >= INTERVAL {
            self.written = Instant::now();
            self.document.last_ms = super::run::milliseconds(self.started.elapsed());
            // The next time may be better; the end of the part is not left to luck.
            let _ = write_json(&self.document, &self.path);
        }
    }

    /// Ends the part.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub(crate) fn end(&mut self, wall_ms: u64, exit_code: u8) -> Result<(), PipelineError> {
        self.document.last_ms = wall_ms;
        self.document.exit_code = Some(exit_code);
        write_json(&self.document, &self.path)
    }
}
