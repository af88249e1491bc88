//! One thread per daemon: polls it, and asks it for one block at a time.

use std::io::Write;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fork_daemon::client::{Export, FRONTIER_BLOCKS_MAX};
use fork_daemon::{DaemonClient, DaemonError};
use fork_fs::{AtomicFile, FsError};
use fork_types::document::{DaemonView, SeenBlock, SeenStopSlots};
use fork_types::{Class, Era, Fault, StateHash};
use serde_json::value::RawValue;

use super::plan::Plan;
use super::work_dir::{ANSWER_NAME, BLOCK_NAME, JobRecord, WorkDir};

/// Blocks asked for at each poll: more than a network makes between two polls, and cheap to answer.
const POLL_BLOCKS: u32 = 16;

/// Free space an answer needs beside itself: the lists made of it, and their compressed copies.
const SPACE_FACTOR: u64 = 3;

/// Space asked for before the first answer tells how much they need, in bytes.
const SPACE_FIRST_BYTES: u64 = 64 << 20;

/// Longest wait for another daemon's watcher before looking again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The directory with what arrived of an answer that was cut.
pub(crate) type Partial = Option<fork_fs::StagedDir>;

/// What a watcher tells the capture.
#[derive(Debug)]
pub(crate) enum Event {
    /// A daemon answered; its view as it is now.
    View(Box<DaemonView>),
    /// An answer arrived whole.
    Arrived(Box<JobRecord>),
    /// A daemon failed.
    Failed(Box<Failure>),
    /// The watcher ends: nothing is left to ask this daemon.
    Ended,
}

/// A daemon that did not answer as it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) daemon: usize,
    /// The block it was asked for, if any.
    pub(crate) block: Option<(StateHash, u32)>,
    pub(crate) error: WatchError,
    /// What arrived of an answer that was cut.
    pub(crate) partial: Partial,
}

/// What went wrong with a daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    File(#[from] FsError),
}

impl Fault for WatchError {
    fn class(&self) -> Class {
        match self {
            Self::Daemon(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Daemon(error) => error.hint(),
            Self::File(error) => error.hint(),
        }
    }
}

/// What all watchers share.
pub(crate) struct Shared {
    pub(crate) plan: Mutex<Plan>,
    pub(crate) changed: Condvar,
    pub(crate) work: WorkDir,
    pub(crate) era: Era,
    pub(crate) started: Instant,
    pub(crate) pace: Pace,
}

/// How often a daemon is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) once: bool,
    /// Between two polls.
    pub(crate) poll: Duration,
    /// Between two heavy queries.
    pub(crate) pause: Duration,
    /// Answers that may wait to be verified.
    pub(crate) waiting_max: usize,
}

impl Shared {
    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        // The plan is consistent between any two of its calls.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Watches one daemon.
pub(crate) struct Watcher {
    pub(crate) daemon: usize,
    pub(crate) name: String,
    pub(crate) client: DaemonClient,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: Sender<Event>,
    /// Wall clock in milliseconds since 1970, for the documents.
    pub(crate) now_ms: fn() -> u64,
    /// The end of the last heavy query.
    pub(crate) last_heavy: Option<Instant>,
    /// Bytes of the last answer.
    pub(crate) last_bytes: u64,
}

impl Watcher {
    /// Polls and asks until there is nothing left to do.
    pub(crate) fn run(mut self) {
        loop {
            match self.poll() {
                Ok(()) => self.fetch_all(),
                Err(error) => {
                    self.silent(&error);
                    self.report(None, error.into(), None);
                }
            }
            let plan = self.shared.plan();
            if self.shared.pace.once || plan.is_stopped() || plan.is_finished() {
                break;
            }
            drop(
                self.shared
                    .changed
                    .wait_timeout(plan, self.shared.pace.poll),
            );
        }
        // The capture ended before us if nobody listens.
        let _ = self.events.send(Event::Ended);
    }

    /// Looks at the daemon: light queries only.
    fn poll(&mut self) -> Result<(), DaemonError> {
        let status = self.client.status()?;
        let stop = self.stop_slots()?;
        let synced = status.sync_status == "SYNCED";
        let mut view = {
            let mut plan = self.shared.plan();
            let Some(daemon) = plan.daemon_mut(self.daemon) else {
                return Ok(());
            };
            daemon.has_config |= stop.is_some();
            let view = &mut daemon.view;
            view.sync_status = status.sync_status;
            view.network_id = status.network_id.or(view.network_id.take());
            view.chain_id = status.chain_id.or(view.chain_id.take());
            view.daemon_version = status.daemon_version.or(view.daemon_version.take());
            view.clock_slot = status.clock_slot.or(view.clock_slot);
            if synced {
                view.synced_slot = view.clock_slot;
            }
            view.stop = stop.unwrap_or(view.stop);
            view.observed_at_ms = (self.now_ms)();
            view.clone()
        };
        // A daemon that bootstraps answers with an error here; one that catches up has a chain.
        let chain = match self.chain() {
            Ok(chain) => Some(chain),
            Err(error) if error.class() == Class::Pending && !synced => None,
            Err(error) => {
                let _ = self.events.send(Event::View(Box::new(view)));
                return Err(error);
            }
        };
        {
            let now = self.shared.now();
            let mut plan = self.shared.plan();
            if let Some(chain) = chain {
                plan.merge(self.daemon, &chain);
            }
            if let Some(daemon) = plan.daemon_mut(self.daemon) {
                daemon.answered = Some(now);
                daemon.failure = None;
                view = daemon.view.clone();
            }
        }
        self.shared.changed.notify_all();
        let _ = self.events.send(Event::View(Box::new(view)));
        Ok(())
    }

    /// The stop slots of the running config, where they are not known yet. A config is that of a
    /// daemon's start and may hold whole account lists, so it is read once, and again after the daemon
    /// was silent.
    fn stop_slots(&self) -> Result<Option<SeenStopSlots>, DaemonError> {
        let daemons = self.shared.plan();
        let daemon = daemons.daemons().get(self.daemon);
        if daemon.is_some_and(|daemon| daemon.has_config) {
            return Ok(None);
        }
        drop(daemons);
        match self.client.runtime_config() {
            Ok(config) => Ok(Some(config.stop)),
            // Not everybody answers this while bootstrapping; the rest decides.
            Err(error) if error.class() == Class::Pending => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The best chain, from its tip to what is known already.
    fn chain(&self) -> Result<Vec<SeenBlock>, DaemonError> {
        let chain = self.client.best_chain(POLL_BLOCKS)?;
        if self.shared.plan().is_connected(self.daemon, &chain) {
            return Ok(chain);
        }
        self.client.best_chain(FRONTIER_BLOCKS_MAX)
    }

    fn silent(&self, error: &DaemonError) {
        let mut plan = self.shared.plan();
        if let Some(daemon) = plan.daemon_mut(self.daemon) {
            daemon.failure = Some((error.class(), super::process::reason(error)));
            // It may come back with another config.
            daemon.has_config = false;
        }
        drop(plan);
        self.shared.changed.notify_all();
    }

    /// Asks for the blocks that are missing, one after the other, until there are none or it is time
    /// to poll again.
    fn fetch_all(&mut self) {
        let polled = Instant::now();
        let pace = self.shared.pace;
        loop {
            let left = pace.poll.saturating_sub(polled.elapsed());
            if !pace.once && left.is_zero() {
                return;
            }
            let rest = self.last_heavy.map_or(Duration::ZERO, |last| {
                pace.pause.saturating_sub(last.elapsed())
            });
            let mut plan = self.shared.plan();
            if plan.is_stopped() {
                return;
            }
            let is_full = plan.waiting() >= pace.waiting_max;
            let next = if rest.is_zero() && !is_full {
                plan.next(self.daemon, self.shared.now())
            } else {
                None
            };
            if let Some(block) = next {
                drop(plan);
                self.fetch(&block);
                continue;
            }
            // With --once, whatever may still be wanted of this daemon keeps it waiting; but nobody
            // waits for answers that cannot be stored.
            let is_stalled = plan.is_stalled();
            let is_needed = if is_stalled {
                plan.wants(self.daemon) && !is_full
            } else {
                plan.wants(self.daemon) || plan.may_be_needed(self.daemon)
            };
            if pace.once && !is_needed {
                return;
            }
            let limit = match (pace.once, rest.is_zero()) {
                (true, true) => WAIT_MAX,
                (true, false) => rest,
                (false, true) => left,
                (false, false) => left.min(rest),
            };
            drop(self.shared.changed.wait_timeout(plan, limit));
        }
    }

    /// Asks for one block, and reports what became of it.
    fn fetch(&mut self, block: &SeenBlock) {
        let id = (block.state_hash, block.blockchain_length);
        let staged = match self.shared.work.start_job(block.state_hash) {
            Ok(staged) => staged,
            Err(error) => return self.report(Some(id), error.into(), None),
        };
        match self.download(block, staged.path()) {
            Ok(job) => {
                let written = staged.write_document(&job).and_then(|()| staged.commit());
                match written {
                    Ok(()) => {
                        self.shared.plan().arrived(block);
                        let _ = self.events.send(Event::Arrived(Box::new(job)));
                    }
                    Err(error) => self.report(Some(id), error.into(), None),
                }
            }
            Err(error) => {
                let cut = matches!(&error, WatchError::Daemon(DaemonError::Cut { .. }));
                self.report(Some(id), error, cut.then_some(staged));
            }
        }
        self.shared.changed.notify_all();
    }

    fn download(
        &mut self,
        block: &SeenBlock,
        directory: &std::path::Path,
    ) -> Result<JobRecord, WatchError> {
        let needed = self
            .last_bytes
            .saturating_mul(SPACE_FACTOR)
            .max(SPACE_FIRST_BYTES);
        fork_fs::require_free_space(directory, needed)?;
        // First what is light: a block that left the frontier costs nothing then.
        let state = self.client.protocol_state(block.state_hash)?;
        let text = self.block_file(&state)?;
        fork_fs::write_atomic(&directory.join(BLOCK_NAME), &text)?;
        let path = directory.join(ANSWER_NAME);
        let mut file = AtomicFile::create(&path)?;
        let answered = self.client.fork_config(block.state_hash, &mut file);
        self.last_heavy = Some(Instant::now());
        // What arrived is kept under its name even when it is only a part: it is evidence, and the
        // directory it is in never becomes a job.
        let flushed = file.flush().map_err(|error| file.write_error(error));
        let committed = flushed.and_then(|()| file.commit());
        let Export {
            sha256,
            bytes,
            wait,
            transfer,
        } = answered?;
        committed?;
        self.last_bytes = bytes;
        let plan = self.shared.plan();
        let view = plan.daemons().get(self.daemon).map(|daemon| &daemon.view);
        Ok(JobRecord {
            format: "forkpack.capture-job".to_owned(),
            version: 1,
            seen: block.clone(),
            daemon: self.name.clone(),
            daemon_version: view.and_then(|view| view.daemon_version.clone()),
            chain_id: view.and_then(|view| view.chain_id.clone()),
            answer_bytes: bytes,
            answer_sha256: sha256,
            answer_wait_ms: milliseconds(wait),
            answer_transfer_ms: milliseconds(transfer),
        })
    }

    /// A protocol state in the form of a precomputed block, which is what everybody else reads. The
    /// versions are those of the network's era: the state does not hold them.
    fn block_file(&self, state: &str) -> Result<Vec<u8>, DaemonError> {
        let state: &RawValue = serde_json::from_str(state).map_err(|source| DaemonError::Json {
            daemon: self.client.url().to_string(),
            field: "protocolState",
            found: format!("{} bytes", state.len()),
            source,
        })?;
        let transaction = self.shared.era.txn_version();
        let version = transaction.min(4);
        Ok(format!(
            "{{\"version\":{version},\"data\":{{\"protocol_state\":{state},\"protocol_version\":\
             {{\"transaction\":{transaction},\"network\":0,\"patch\":0}}}}}}\n"
        )
        .into_bytes())
    }

    fn report(&self, block: Option<(StateHash, u32)>, error: WatchError, partial: Partial) {
        if let Some((hash, _)) = block {
            let now = self.shared.now();
            self.shared
                .plan()
                .failed(self.daemon, hash, error.class(), now);
            self.shared.changed.notify_all();
        }
        let _ = self.events.send(Event::Failed(Box::new(Failure {
            daemon: self.daemon,
            block,
            error,
            partial,
        })));
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
