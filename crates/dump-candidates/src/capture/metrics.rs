//! What a Prometheus scraper sees.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use fork_types::document::DaemonView;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::plan::{Alarm, AlarmKind};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DaemonLabel {
    daemon: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnswerLabels {
    daemon: String,
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

type Seconds = Counter<f64, AtomicU64>;

/// The series, all named `forkpack_capture_…`.
pub(crate) struct Metrics {
    registry: Registry,
    stored: Gauge,
    missing: Gauge,
    waiting: Gauge,
    last_height: Gauge,
    last_slot: Gauge,
    store_bytes: Counter,
    wait: Seconds,
    transfer: Seconds,
    verify: Seconds,
    store: Seconds,
    answers: Family<AnswerLabels, Counter>,
    answer_bytes: Family<DaemonLabel, Counter>,
    up: Family<DaemonLabel, Gauge>,
    tip_height: Family<DaemonLabel, Gauge>,
    clock_slot: Family<DaemonLabel, Gauge>,
    reorganisations: Family<DaemonLabel, Gauge>,
    alarms: Family<KindLabel, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("forkpack_capture");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let stored = gauge("candidates", "Candidates stored, complete and verified");
        let missing = gauge("candidates_missing", "Candidates seen and not stored yet");
        let waiting = gauge("answers_waiting", "Answers that wait to be verified");
        let last_height = gauge("last_candidate_height", "Height of the highest candidate");
        let last_slot = gauge(
            "last_candidate_slot",
            "Slot since hard fork of the highest candidate",
        );
        let mut seconds = |name: &str, help: &str| {
            let counter = Seconds::default();
            registry.register_with_unit(name, help, Unit::Seconds, counter.clone());
            counter
        };
        let wait = seconds("answer_wait", "Time until answers began");
        let transfer = seconds("answer_transfer", "Time in which answers arrived");
        let verify = seconds("verify", "Time to recompute roots and compare");
        let store = seconds("store", "Time to pack, upload and read back");
        let store_bytes = Counter::default();
        registry.register_with_unit(
            "stored",
            "Compressed accounts stored",
            Unit::Bytes,
            store_bytes.clone(),
        );
        let answers = Family::default();
        registry.register(
            "answers",
            "Exports asked for, by what became of them",
            answers.clone(),
        );
        let answer_bytes = Family::default();
        registry.register_with_unit(
            "answer",
            "Bytes of exports",
            Unit::Bytes,
            answer_bytes.clone(),
        );
        let mut by_daemon = |name: &str, help: &str| {
            let family = Family::<DaemonLabel, Gauge>::default();
            registry.register(name, help, family.clone());
            family
        };
        let up = by_daemon("daemon_up", "Whether the daemon answered last time");
        let tip_height = by_daemon("daemon_tip_height", "Height of its best tip");
        let clock_slot = by_daemon("daemon_clock_slot", "Slot since hard fork by its clock");
        let reorganisations = by_daemon(
            "daemon_reorganisations",
            "Times its best tip left its chain",
        );
        let alarms = Family::<KindLabel, Gauge>::default();
        registry.register("alarms", "Alarms at the moment, by kind", alarms.clone());
        for kind in AlarmKind::ALL {
            alarms.get_or_create(&label(kind)).set(0);
        }
        Self {
            registry,
            stored,
            missing,
            waiting,
            last_height,
            last_slot,
            store_bytes,
            wait,
            transfer,
            verify,
            store,
            answers,
            answer_bytes,
            up,
            tip_height,
            clock_slot,
            reorganisations,
            alarms,
        }
    }

    /// The exposition text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// An export ended as `outcome`.
    pub(crate) fn answer(&self, daemon: &str, outcome: &str) {
        let labels = AnswerLabels {
            daemon: daemon.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.answers.get_or_create(&labels).inc();
    }

    /// Time and size of an export.
    pub(crate) fn arrived(&self, daemon: &str, bytes: u64, wait_ms: u64, transfer_ms: u64) {
        let daemon = daemon.to_owned();
        self.answer_bytes
            .get_or_create(&DaemonLabel { daemon })
            .inc_by(bytes);
        self.wait.inc_by(seconds(wait_ms));
        self.transfer.inc_by(seconds(transfer_ms));
    }

    /// Time and size of a stored candidate.
    pub(crate) fn processed(&self, verify_ms: u64, store_ms: u64, bytes: u64) {
        self.verify.inc_by(seconds(verify_ms));
        self.store.inc_by(seconds(store_ms));
        self.store_bytes.inc_by(bytes);
    }

    /// How many candidates there are, and the highest.
    pub(crate) fn candidates(
        &self,
        stored: usize,
        missing: usize,
        waiting: usize,
        last: Option<(u32, u32)>,
    ) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.stored.set(count(stored));
        self.missing.set(count(missing));
        self.waiting.set(count(waiting));
        if let Some((height, slot)) = last {
            self.last_height.set(height.into());
            self.last_slot.set(slot.into());
        }
    }

    /// What a daemon last said.
    pub(crate) fn daemon(&self, view: &DaemonView, is_up: bool) {
        let label = DaemonLabel {
            daemon: view.name.clone(),
        };
        self.up.get_or_create(&label).set(is_up.into());
        self.reorganisations
            .get_or_create(&label)
            .set(view.reorganisations.into());
        if let Some(tip) = view.best_chain().next() {
            self.tip_height
                .get_or_create(&label)
                .set(tip.blockchain_length.into());
        }
        if let Some(slot) = view.clock_slot {
            self.clock_slot.get_or_create(&label).set(slot.get().into());
        }
    }

    /// The alarms there are.
    pub(crate) fn alarms(&self, alarms: &[Alarm]) {
        let mut counts: BTreeMap<AlarmKind, i64> = BTreeMap::new();
        for alarm in alarms {
            *counts.entry(alarm.kind).or_default() += 1;
        }
        for kind in AlarmKind::ALL {
            let count = counts.get(&kind).copied().unwrap_or(0);
            self.alarms.get_or_create(&label(kind)).set(count);
        }
    }
}

fn label(kind: AlarmKind) -> KindLabel {
    KindLabel {
        kind: kind.name().to_owned(),
    }
}

fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_series() {
        let metrics = Metrics::new();
        metrics.answer("a", "stored");
        metrics.arrived("a", 10, 1500, 500);
        metrics.processed(250, 750, 77);
        metrics.candidates(3, 1, 0, Some((10, 20)));
        metrics.alarms(&[Alarm {
            kind: AlarmKind::Refused,
            class: fork_types::Class::Wrong,
            daemon: None,
            text: String::new(),
        }]);
        let text = metrics.text();
        for line in [
            "forkpack_capture_candidates 3",
            "forkpack_capture_candidates_missing 1",
            "forkpack_capture_last_candidate_height 10",
            "forkpack_capture_answers_total{daemon=\"a\",outcome=\"stored\"} 1",
            "forkpack_capture_answer_bytes_total{daemon=\"a\"} 10",
            "forkpack_capture_answer_wait_seconds_total 1.5",
            "forkpack_capture_stored_bytes_total 77",
            "forkpack_capture_alarms{kind=\"refused\"} 1",
            "forkpack_capture_alarms{kind=\"not-stored\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
