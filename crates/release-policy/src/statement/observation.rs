//! What can be seen: a closed list.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::{Commit, Digest, KeyId, Time};

/// What somebody saw. Written as `{"kind": "…", "data": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    content = "data",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
pub enum Observation {
    /// What changed between two commits.
    Diff(Diff),
    /// All versions that were released before.
    Releases {
        /// The versions.
        versions: Vec<String>,
    },
    /// All tags of the repository.
    Tags {
        /// Commit by tag.
        tags: BTreeMap<String, Commit>,
    },
    /// Earlier networks of the same stage, and earlier upgrades.
    History {
        /// The networks.
        networks: Vec<EarlierNetwork>,
        /// The numbers of earlier upgrades.
        #[serde(default)]
        upgrades: Vec<u32>,
    },
    /// Commits that a commit contains.
    Ancestry {
        /// The commit.
        commit: Commit,
        /// Some of its ancestors.
        contains: BTreeSet<Commit>,
    },
    /// What runs on another network of the process.
    Network {
        /// The network's stage.
        network: String,
        /// The release that runs there.
        release: String,
        /// The fixes it contains (`git patch-id --stable`).
        fixes: BTreeSet<String>,
    },
    /// The environment a deployment goes to.
    Environment {
        /// Its name.
        name: String,
        /// The environment the credentials belong to.
        credentials_for: String,
    },
    /// Versions of the crates at the commit, and of the hosted release.
    Versions {
        /// Version by crate.
        crates: BTreeMap<String, String>,
        /// Version of the hosted release.
        hosted: String,
    },
    /// What `--version` of each binary prints.
    SelfReports {
        /// Text by artifact.
        binaries: BTreeMap<String, String>,
    },
    /// How a node answers a peer of another version.
    PeerMismatch {
        /// Version of the node.
        served: String,
        /// Version of the peer.
        peer: String,
        /// Whether the peer got an error.
        refused: bool,
        /// Whether the node logged it.
        logged: bool,
    },
    /// A clear-signed list of checksums, whose signature the caller has verified. Only the signed
    /// text is in here.
    Checksums {
        /// File name.
        file: String,
        /// The algorithm.
        algorithm: String,
        /// The key that signed the file.
        key: KeyId,
        /// Hex digest by artifact.
        entries: BTreeMap<String, String>,
    },
    /// A backup.
    Backup {
        /// What was saved.
        what: String,
        /// When it was made.
        made: Time,
        /// Whether it was restored as a test.
        restore_tested: bool,
    },
    /// The last time something was deployed to the environment of this stage.
    LastDeployment {
        /// When. `None` when nothing was ever deployed there.
        time: Option<Time>,
    },
    /// Where the audit of a feature stands.
    Audit(Audit),
    /// Something went wrong, or a feature had to go.
    Incident {
        /// A name for it.
        id: String,
        /// What it is.
        what: IncidentKind,
        /// The feature it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feature: Option<String>,
        /// How a major issue that stays is dealt with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mitigation: Option<String>,
    },
    /// The layers a network had verified.
    Layers {
        /// Layer by time.
        samples: BTreeMap<Time, u64>,
    },
    /// The daily look at the network.
    Visit {
        /// What was seen.
        note: String,
    },
    /// A wave of operators started or was confirmed.
    Wave {
        /// Number of the wave, from 1.
        wave: u32,
        /// `false`: it started; `true`: it is confirmed.
        confirmed: bool,
    },
    /// An operator runs the release.
    Applied {
        /// Who.
        operator: String,
    },
    /// The later regular release that the operators went back to.
    Reconciled {
        /// Its version.
        version: String,
        /// The fixes it contains.
        fixes: BTreeSet<String>,
    },
    /// A named thing has a value: a branch its commit, a DNS name its network.
    State {
        /// The thing, such as `branch:devnet`.
        name: String,
        /// The value.
        value: String,
    },
    /// A crate was published, or could have been.
    Publish {
        /// The crate.
        name: String,
        /// Whether it was only tried.
        dry_run: bool,
        /// Manifest fields that are missing.
        missing_fields: Vec<String>,
        /// Whether it worked.
        ok: bool,
    },
    /// A moment the policy measures from or to.
    Moment {
        /// Its name.
        name: String,
        /// When it was, or is planned to be.
        time: Time,
    },
    /// An old network is gone.
    Retired {
        /// Nodes that still run.
        nodes_running: u32,
        /// Digest of the archived logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        logs: Option<Digest>,
    },
    /// How the previous network ended.
    PreviousNetwork {
        /// How.
        ended: NetworkEnd,
    },
    /// A figure that is recorded and blocks nothing.
    Figure {
        /// Its name.
        metric: String,
        /// Its value.
        value: String,
    },
    /// The attempt failed.
    Failure {
        /// Why.
        cause: String,
    },
}

impl Observation {
    /// Its kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Diff(_) => "diff",
            Self::Releases { .. } => "releases",
            Self::Tags { .. } => "tags",
            Self::History { .. } => "history",
            Self::Ancestry { .. } => "ancestry",
            Self::Network { .. } => "network",
            Self::Environment { .. } => "environment",
            Self::Versions { .. } => "versions",
            Self::SelfReports { .. } => "self-reports",
            Self::PeerMismatch { .. } => "peer-mismatch",
            Self::Checksums { .. } => "checksums",
            Self::Backup { .. } => "backup",
            Self::LastDeployment { .. } => "last-deployment",
            Self::Audit(_) => "audit",
            Self::Incident { .. } => "incident",
            Self::Layers { .. } => "layers",
            Self::Visit { .. } => "visit",
            Self::Wave { .. } => "wave",
            Self::Applied { .. } => "applied",
            Self::Reconciled { .. } => "reconciled",
            Self::State { .. } => "state",
            Self::Publish { .. } => "publish",
            Self::Moment { .. } => "moment",
            Self::Retired { .. } => "retired",
            Self::PreviousNetwork { .. } => "previous-network",
            Self::Figure { .. } => "figure",
            Self::Failure { .. } => "failure",
        }
    }
}

/// What changed between two commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// From.
    pub base: Commit,
    /// To.
    pub candidate: Commit,
    /// The commits between them.
    pub commits: BTreeMap<Commit, CommitFacts>,
    /// Paths that differ.
    pub files: BTreeSet<String>,
    /// Classes that the maintainers say it has.
    #[serde(default)]
    pub classes: BTreeSet<String>,
    /// Dependencies whose version differs.
    #[serde(default)]
    pub dependencies: BTreeMap<String, Dependency>,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitFacts {
    /// First line of its message.
    pub subject: String,
    /// Paths it changes.
    #[serde(default)]
    pub files: BTreeSet<String>,
}

/// A dependency whose version differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// Classes of its own changes. `None`: nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<BTreeSet<String>>,
}

/// A network that was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierNetwork {
    /// When it was deployed.
    pub at: Time,
    /// Why it does not count against a cadence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<String>,
    /// What it was known by.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
}

/// Where the audit of a feature stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The feature.
    pub feature: String,
    /// Whether an audit is needed.
    pub required: bool,
    /// Digest of the report of a required audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
    /// Why none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is over.
    pub closed: bool,
    /// What was found.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// A name for it.
    pub id: String,
    /// Whether something must be repaired.
    pub fix: bool,
    /// Whether the risk is high.
    pub high: bool,
    /// The commit with the repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<Commit>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A critical issue: the network is deployed anew.
    CriticalIssue,
    /// A feature was removed: the network is deployed anew.
    FeatureRemoved,
    /// A major issue, which may stay with a mitigation.
    MajorIssue,
    /// The network cannot be kept.
    Serious,
}

/// How a network ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkEnd {
    /// There was none, or it still runs.
    None,
    /// It ended when it was meant to.
    Naturally,
    /// It failed.
    Failed,
}
