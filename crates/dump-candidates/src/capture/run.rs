//! The capture itself: watchers ask, one thread verifies and stores.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fork_daemon::client::Deadlines;
use fork_daemon::store::StoreOptions;
use fork_daemon::{DaemonClient, Store, serve_metrics};
use fork_genesis::network::Network;
use fork_types::document::{DaemonView, SeenStopSlots, StoredCandidate};
use fork_types::{Class, Fault, SlotSinceHardFork};
use fork_worker::Context;

use super::error::{CaptureError, Problem};
use super::metrics::Metrics;
use super::plan::{Alarm, AlarmKind, AlarmLimits, Plan, Window};
use super::process::{Figures, Outcome, Processor, Refused, reason};
use super::summary::{CaptureSummary, SummaryProblem};
use super::watch::{Event, Failure, Pace, Shared, Watcher, milliseconds};
use super::work_dir::{ANSWER_NAME, JobRecord, WorkDir, WorkDirError};
use super::{CaptureArgs, DAEMONS_MAX, DaemonArg};
use crate::catalog::{Catalog, CatalogError};

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// Answers that may wait to be verified: disk, not memory.
const WAITING_MAX: usize = 4;

/// Blocks above a block that make a disagreement about it more than a passing fork.
const SETTLED_BLOCKS: u32 = 5;

/// How often alarms are looked at when nothing happens.
const TICK: Duration = Duration::from_secs(1);

/// Longest pause before a store that failed is tried again.
const STORE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Milliseconds since 1970: what documents say about when, and nothing else.
#[allow(
    clippy::disallowed_methods,
    reason = "when something was captured is a fact about this run, not a result of its inputs"
)]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, milliseconds)
}

impl CaptureArgs {
    /// Captures until the chain's end, or once.
    ///
    /// # Errors
    ///
    /// Fails when it cannot begin. What goes wrong later is in the second half of the result: the
    /// summary is complete either way.
    pub fn capture(
        &self,
        context: &Context,
    ) -> Result<(CaptureSummary, Option<CaptureError>), CaptureError> {
        self.check()?;
        let file = fork_fs::read_named_file(&self.network, NETWORK_BYTES_MAX)?;
        let network = Network::named(&self.network, file.as_deref()).map_err(|source| {
            CaptureError::Network {
                name: self.network.clone(),
                source,
            }
        })?;
        let options = StoreOptions {
            retry_timeout: self.store_timeout,
            ..StoreOptions::default()
        };
        let store = Store::open_with(&self.store, options).map_err(CatalogError::from)?;
        let catalog = Catalog::open(store, Some(&network.name), true)?;
        let path = self.work_dir();
        let work = WorkDir::open(&path).map_err(|error| match error {
            WorkDirError::File(error) => CaptureError::File(error),
            WorkDirError::Taken => CaptureError::Running {
                path: path.display().to_string(),
            },
        })?;
        let deadlines = Deadlines {
            export_begin: self.export_timeout,
            idle: self.idle_timeout,
            light: self.idle_timeout,
            ..Deadlines::default()
        };
        let clients = self
            .daemons
            .iter()
            .map(|daemon| DaemonClient::new(&daemon.url, deadlines))
            .collect::<Result<Vec<_>, _>>()?;
        let window = self.window(&network, &clients, context)?;
        let metrics = Arc::new(Metrics::new());
        if let Some(address) = self.metrics {
            let text = Arc::clone(&metrics);
            let served = serve_metrics(address, Arc::new(move || text.text()))
                .map_err(|source| CaptureError::Metrics { address, source })?;
            context.note(&format!("metrics at http://{served}/metrics"));
        }
        self.run(network, catalog, work, clients, window, &metrics, context)
    }

    fn check(&self) -> Result<(), CaptureError> {
        let usage = |message, hint| Err(CaptureError::Usage { message, hint });
        if self.daemons.len() > DAEMONS_MAX {
            let message = format!(
                "{} daemons are given; one capture watches at most {DAEMONS_MAX}",
                self.daemons.len()
            );
            return usage(message, "run several captures with one --store");
        }
        let mut names = BTreeSet::new();
        for DaemonArg {
            name,
            is_named,
            url,
        } in &self.daemons
        {
            if !names.insert(name) {
                return usage(
                    format!("two daemons are called `{name}`"),
                    "name them apart: --daemon NAME=URL",
                );
            }
            let shared = matches!(self.store, fork_daemon::StoreUrl::Remote(_));
            if shared && !is_named && url.is_loopback() {
                return usage(
                    format!("`{url}` has no name of its own in a shared store"),
                    "name the daemon: --daemon NAME=URL",
                );
            }
        }
        Ok(())
    }

    /// The slots: from the command line, the network file or the daemons, in this order.
    fn window(
        &self,
        network: &Network,
        clients: &[DaemonClient],
        context: &Context,
    ) -> Result<Window, CaptureError> {
        let tx_end = self.slot_tx_end.or(network.stop.slot_tx_end);
        let chain_end = self.slot_chain_end.or(network.stop.slot_chain_end);
        let (slot_tx_end, slot_chain_end) = match (tx_end, chain_end) {
            (Some(tx_end), Some(chain_end)) => (tx_end, chain_end),
            _ => self.daemons_window(clients, (tx_end, chain_end), context)?,
        };
        if slot_chain_end < slot_tx_end {
            return Err(CaptureError::Usage {
                message: format!(
                    "slot_chain_end {slot_chain_end} is before slot_tx_end {slot_tx_end}"
                ),
                hint: "both count since the last hard fork; check the network file",
            });
        }
        let start = slot_tx_end.get().saturating_sub(self.window);
        Ok(Window {
            start: SlotSinceHardFork::new(start),
            slot_tx_end,
            slot_chain_end,
        })
    }

    /// Stop slots of the first daemon that answers and has them.
    fn daemons_window(
        &self,
        clients: &[DaemonClient],
        known: (Option<SlotSinceHardFork>, Option<SlotSinceHardFork>),
        context: &Context,
    ) -> Result<(SlotSinceHardFork, SlotSinceHardFork), CaptureError> {
        loop {
            let mut failure = None;
            for client in clients {
                match client.runtime_config() {
                    Ok(config) => {
                        let tx_end = known.0.or(config.stop.slot_tx_end);
                        let chain_end = known.1.or(config.stop.slot_chain_end);
                        if let (Some(tx_end), Some(chain_end)) = (tx_end, chain_end) {
                            return Ok((tx_end, chain_end));
                        }
                    }
                    Err(error) => failure = Some(error),
                }
            }
            match failure {
                None => {
                    return Err(CaptureError::Usage {
                        message: "neither the network file nor a daemon's config says slot_tx_end \
                                  and slot_chain_end"
                            .to_owned(),
                        hint: "give them with --slot-tx-end and --slot-chain-end",
                    });
                }
                Some(error) if self.once => return Err(error.into()),
                Some(error) => {
                    context.note(&format!("no stop slots yet: {}", reason(&error)));
                    std::thread::sleep(self.poll.max(Duration::from_millis(100)));
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "everything a capture is made of")]
    fn run(
        &self,
        network: Network,
        catalog: Catalog,
        work: WorkDir,
        clients: Vec<DaemonClient>,
        window: Window,
        metrics: &Metrics,
        context: &Context,
    ) -> Result<(CaptureSummary, Option<CaptureError>), CaptureError> {
        let stored = catalog.candidates()?;
        let mut views = Vec::new();
        for daemon in &self.daemons {
            views.push(match catalog.view(&daemon.name)? {
                Some(view) => view,
                None => new_view(&daemon.name),
            });
        }
        let jobs = work.waiting()?;
        let hashes = stored
            .iter()
            .map(|stored| stored.candidate.fork_block.state_hash);
        let mut plan = Plan::new(window, self.once, self.poll, views, hashes);
        for job in &jobs {
            plan.arrived(&job.seen);
        }
        let (sender, events) = channel();
        let shared = Arc::new(Shared {
            plan: Mutex::new(plan),
            changed: Condvar::new(),
            work,
            era: network.source_era,
            started: Instant::now(),
            pace: Pace {
                once: self.once,
                poll: self.poll,
                pause: self.pause,
                waiting_max: WAITING_MAX,
            },
        });
        let watchers = clients.len();
        for (daemon, client) in clients.into_iter().enumerate() {
            let watcher = Watcher {
                daemon,
                name: self
                    .daemons
                    .get(daemon)
                    .map(|daemon| daemon.name.clone())
                    .unwrap_or_default(),
                client,
                shared: Arc::clone(&shared),
                events: sender.clone(),
                now_ms,
                last_heavy: None,
                last_bytes: 0,
            };
            std::thread::spawn(move || watcher.run());
        }
        drop(sender);
        let processor = Processor {
            work: &shared.work,
            catalog: &catalog,
            network: self.network.clone(),
            era: network.source_era,
            keep_refused: self.keep_refused,
            context,
        };
        let quorum = self.quorum.unwrap_or_else(|| majority(watchers));
        let mut capture = Capture {
            args: self,
            shared: &shared,
            processor,
            catalog: &catalog,
            metrics,
            context,
            limits: AlarmLimits {
                slots: self.alarm_slots,
                quorum,
                settled_blocks: SETTLED_BLOCKS,
            },
            jobs: jobs.into(),
            views: Vec::new(),
            stored_before: stored.len(),
            last: stored.last().and_then(last_of),
            stored: Vec::new(),
            refused: 0,
            problems: Vec::new(),
            raised: BTreeSet::new(),
            silent: BTreeMap::new(),
            store_failures: 0,
            store_trouble: None,
        };
        capture.run(&events, watchers);
        Ok(capture.end(&network.name))
    }
}

/// More than half.
fn majority(count: usize) -> u32 {
    u32::try_from(count / 2 + 1).unwrap_or(u32::MAX)
}

fn new_view(name: &str) -> DaemonView {
    DaemonView {
        format: DaemonView::format(),
        version: DaemonView::version(),
        name: name.to_owned(),
        network_id: None,
        chain_id: None,
        daemon_version: None,
        sync_status: "UNKNOWN".to_owned(),
        stop: SeenStopSlots::default(),
        clock_slot: None,
        synced_slot: None,
        observed_at_ms: 0,
        tip: None,
        reorganisations: 0,
        blocks: Vec::new(),
    }
}

/// Height and slot of a candidate.
fn last_of(stored: &StoredCandidate) -> Option<(u32, u32)> {
    let block = &stored.candidate.fork_block;
    let slot = block.slot_since_hard_fork?.get();
    Some((block.blockchain_length, slot))
}

/// The thread that verifies and stores.
struct Capture<'a> {
    args: &'a CaptureArgs,
    shared: &'a Shared,
    processor: Processor<'a>,
    catalog: &'a Catalog,
    metrics: &'a Metrics,
    context: &'a Context,
    limits: AlarmLimits,
    /// Answers that wait to be verified.
    jobs: VecDeque<JobRecord>,
    /// Views that are not stored yet; the latest of each daemon.
    views: Vec<DaemonView>,
    stored_before: usize,
    /// Height and slot of the highest candidate.
    last: Option<(u32, u32)>,
    stored: Vec<StoredCandidate>,
    refused: u32,
    /// What is wrong for good; what may still mend itself is found at the end.
    problems: Vec<Problem>,
    /// Alarms that are on, by their text.
    raised: BTreeSet<String>,
    /// What daemons that do not answer last failed with, by name.
    silent: BTreeMap<String, String>,
    store_failures: u32,
    /// Why the last attempt to store anything failed, until one succeeds.
    store_trouble: Option<StoreTrouble>,
}

/// A store that failed.
struct StoreTrouble {
    problem: Problem,
    /// When it may be tried again.
    pause_until: Instant,
}

impl Capture<'_> {
    fn run(&mut self, events: &Receiver<Event>, mut watchers: usize) {
        loop {
            let trouble = self.store_trouble.as_ref();
            let is_free = trouble.is_none_or(|trouble| Instant::now() >= trouble.pause_until);
            let limit = if self.jobs.is_empty() || !is_free {
                TICK
            } else {
                Duration::ZERO
            };
            match events.recv_timeout(limit) {
                Ok(event) => {
                    self.take(event, &mut watchers);
                    while let Ok(event) = events.try_recv() {
                        self.take(event, &mut watchers);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => watchers = 0,
            }
            if is_free {
                self.put_views();
                if let Some(job) = self.jobs.pop_front() {
                    self.process(job);
                }
            }
            let alarms = self.look();
            if self.args.exit_on_alarm && !alarms.is_empty() {
                self.shared.plan().stop();
                self.shared.changed.notify_all();
                return;
            }
            let is_stuck = self.args.once && self.store_trouble.is_some();
            if watchers == 0 && (self.jobs.is_empty() || is_stuck) {
                return;
            }
        }
    }

    fn take(&mut self, event: Event, watchers: &mut usize) {
        match event {
            Event::View(view) => {
                self.metrics.daemon(&view, true);
                self.silent.remove(&view.name);
                self.views.retain(|other| other.name != view.name);
                self.views.push(*view);
            }
            Event::Arrived(job) => {
                self.metrics.arrived(
                    &job.daemon,
                    job.answer_bytes,
                    job.answer_wait_ms,
                    job.answer_transfer_ms,
                );
                self.jobs.push_back(*job);
            }
            Event::Failed(failure) => self.failed(*failure),
            Event::Ended => *watchers = watchers.saturating_sub(1),
        }
    }

    /// A daemon did not deliver.
    fn failed(&mut self, failure: Failure) {
        let daemon = self.args.daemons.get(failure.daemon);
        let name = daemon.map_or_else(String::new, |daemon| daemon.name.clone());
        let text = format!("daemon {name}: {}", reason(&failure.error));
        // One that is down is polled for hours.
        let is_same = failure.block.is_none() && self.silent.get(&name) == Some(&text);
        if !is_same {
            self.context.note(&text);
        }
        let Some(block) = failure.block else {
            self.silent.insert(name, text);
            let plan = self.shared.plan();
            if let Some(daemon) = plan.daemons().get(failure.daemon) {
                self.metrics.daemon(&daemon.view, false);
            }
            return;
        };
        self.metrics.answer(&name, "failed");
        let is_data = matches!(failure.error.class(), Class::Wrong | Class::BadInput);
        if failure.partial.is_none() && !is_data {
            return;
        }
        // A cut answer, or one with something else in place of a config.
        self.refused += 1;
        let directory = failure.partial.as_ref().map(fork_fs::StagedDir::path);
        let refused = Refused {
            daemon: &name,
            block,
            error: &failure.error,
            answer: directory.and_then(|path| fork_fs::file_ref(path, ANSWER_NAME).ok()),
        };
        if let Err(error) = self.processor.keep_aside(directory, refused, now_ms()) {
            self.context.note(&format!(
                "the refusal could not be kept: {}",
                reason(&error)
            ));
        }
    }

    fn put_views(&mut self) {
        while let Some(view) = self.views.pop() {
            if let Err(error) = self.catalog.put_view(&view) {
                self.store_failed(&error);
                self.views.push(view);
                return;
            }
            // With an answer waiting, it is for that to say whether storing works again.
            if self.jobs.is_empty() {
                self.store_works();
            }
        }
    }

    fn process(&mut self, job: JobRecord) {
        let daemon = self
            .args
            .daemons
            .iter()
            .position(|daemon| daemon.name == job.daemon);
        match self.processor.process(&job, now_ms()) {
            Ok(Outcome::Stored(stored, figures)) => {
                self.store_works();
                self.shared.plan().stored(job.seen.state_hash);
                self.log(&job, &stored, &figures);
                self.last = self.last.max(last_of(&stored));
                self.stored.push(*stored);
            }
            Ok(Outcome::Refused(refusal, class)) => {
                self.refused += 1;
                self.metrics.answer(&job.daemon, "refused");
                let text = format!(
                    "refused the answer of daemon {} for block {} at height {}: {}",
                    refusal.daemon, refusal.state_hash, refusal.blockchain_length, refusal.reason
                );
                if class == Class::Wrong {
                    // The alarm says it.
                    self.problems.push(Problem { class, text });
                } else {
                    self.context.note(&text);
                }
                let now = self.shared.now();
                // A job of a daemon that is not watched any more is anybody's to ask for again.
                let daemon = daemon.unwrap_or(usize::MAX);
                self.shared
                    .plan()
                    .failed(daemon, job.seen.state_hash, class, now);
            }
            Err(error) => {
                self.jobs.push_front(job);
                self.store_failed(&error);
            }
        }
        self.shared.changed.notify_all();
    }

    fn store_works(&mut self) {
        self.store_failures = 0;
        self.store_trouble = None;
        self.shared.plan().set_stalled(false);
    }

    fn store_failed(&mut self, error: &dyn Fault) {
        self.shared.plan().set_stalled(true);
        self.shared.changed.notify_all();
        let pause = self
            .args
            .poll
            .saturating_mul(1 << self.store_failures.min(8));
        let pause = pause.clamp(Duration::from_millis(50), STORE_PAUSE_MAX);
        self.store_failures += 1;
        let text = format!("could not store: {}", reason(error));
        self.context.note(&text);
        let class = error.class();
        self.store_trouble = Some(StoreTrouble {
            problem: Problem { class, text },
            pause_until: Instant::now() + pause,
        });
    }

    fn log(&self, job: &JobRecord, stored: &StoredCandidate, figures: &Figures) {
        self.metrics.answer(&job.daemon, "stored");
        let (verify, store) = (milliseconds(figures.verify), milliseconds(figures.store));
        self.metrics.processed(verify, store, figures.new_bytes);
        let block = &stored.candidate.fork_block;
        let slot = block
            .slot_since_hard_fork
            .map_or_else(|| "?".to_owned(), |slot| slot.to_string());
        self.context.note(&format!(
            "candidate height={} slot={slot} state_hash={} daemon={} accounts={} answer_bytes={} \
             wait_ms={} transfer_ms={} verify_ms={verify} store_ms={store} new_ledgers={} \
             new_bytes={}",
            block.blockchain_length,
            block.state_hash,
            job.daemon,
            stored.candidate.staged_ledger.accounts,
            job.answer_bytes,
            job.answer_wait_ms,
            job.answer_transfer_ms,
            figures.new_ledgers,
            figures.new_bytes,
        ));
    }

    /// Alarms as they are now; those that are new are logged.
    fn look(&mut self) -> Vec<Alarm> {
        let plan = self.shared.plan();
        let mut alarms = plan.alarms(&self.limits);
        self.metrics.candidates(
            self.stored_before + self.stored.len(),
            plan.missing().len(),
            plan.waiting(),
            self.last,
        );
        drop(plan);
        let trouble = self.store_trouble.iter().map(|trouble| &trouble.problem);
        let wrong = self.problems.iter().chain(trouble);
        let wrong = wrong.filter(|problem| problem.class == Class::Wrong);
        alarms.extend(wrong.map(|problem| Alarm {
            kind: AlarmKind::Refused,
            class: problem.class,
            daemon: None,
            text: problem.text.clone(),
        }));
        self.metrics.alarms(&alarms);
        let texts: BTreeSet<String> = alarms
            .iter()
            .map(|alarm| format!("{}: {}", alarm.kind.name(), alarm.text))
            .collect();
        for text in texts.difference(&self.raised) {
            self.context.note(&format!("ALARM {text}"));
        }
        for text in self.raised.difference(&texts) {
            self.context.note(&format!("alarm over: {text}"));
        }
        self.raised = texts;
        alarms
    }

    /// The summary, and the error a process should end with.
    fn end(mut self, network: &str) -> (CaptureSummary, Option<CaptureError>) {
        let trouble = self.store_trouble.take();
        self.problems.extend(trouble.map(|trouble| trouble.problem));
        let plan = self.shared.plan();
        let missing = plan.missing();
        for alarm in plan.alarms(&self.limits) {
            self.problems.push(Problem {
                class: alarm.class,
                text: alarm.text,
            });
        }
        for block in &missing {
            self.problems.push(Problem {
                class: plan.missing_class(block.state_hash),
                text: format!(
                    "block {} at height {}, slot {}, was seen and is not stored",
                    block.state_hash, block.blockchain_length, block.slot_since_hard_fork
                ),
            });
        }
        let synced = |daemon: &super::plan::Daemon| {
            daemon.answered.is_some() && daemon.view.sync_status == "SYNCED"
        };
        // After the chain's end nobody hears anything any more, and says so.
        let is_over = plan.clock() >= Some(plan.window().slot_chain_end);
        let answers = plan.daemons().iter().any(|d| d.failure.is_none());
        if !is_over && answers && !plan.daemons().iter().any(synced) {
            self.problems.push(Problem {
                class: Class::Pending,
                text: "no daemon is in sync".to_owned(),
            });
        }
        self.problems.sort_by_key(Problem::rank);
        let window = plan.window();
        let summary = CaptureSummary {
            format: "forkpack.capture-summary",
            version: 1,
            store: self.catalog.location(),
            network: network.to_owned(),
            window_start: window.start,
            slot_tx_end: window.slot_tx_end,
            slot_chain_end: window.slot_chain_end,
            clock_slot: plan.clock(),
            stored: self.stored.iter().map(Into::into).collect(),
            stored_before: self.stored_before,
            missing: missing.into_iter().map(Into::into).collect(),
            refused: self.refused,
            peak_memory_bytes: fork_worker::peak_memory_bytes(),
            problems: self.problems.iter().map(SummaryProblem::from).collect(),
        };
        let error = (!self.problems.is_empty()).then_some(CaptureError::Problems {
            problems: self.problems,
        });
        (summary, error)
    }
}
