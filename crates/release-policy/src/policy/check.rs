//! What a gate looks at: the closed list of kinds, and the checks of each kind.
//!
//! A policy names the kind; which check of that kind is meant follows from the parameters. A
//! parameter that the check has no use for is an error, because it would promise something.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::Span;

/// The 22 kinds of gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What may be released to whom, and from where.
    Scope,
    /// Names of versions.
    Version,
    /// Git tags and the commits they point at.
    Tag,
    /// Digests, files within files, checksums.
    Artifact,
    /// What the change does.
    ChangeClass,
    /// Whether everything of a list is there.
    Coverage,
    /// Versions that work together.
    Compat,
    /// Stages before this one.
    Order,
    /// Sets within sets: fixes, features.
    Containment,
    /// Configurations compared.
    ConfigMatch,
    /// Documents and what they must say.
    Document,
    /// A role agrees.
    Approval,
    /// A vote.
    Vote,
    /// Security audits.
    Audit,
    /// Test runs.
    Test,
    /// Time on a network.
    Soak,
    /// What happens on a network meanwhile.
    Observe,
    /// Time between two moments.
    LeadTime,
    /// How often.
    Cadence,
    /// Figures that are recorded.
    Report,
    /// The state of the outside world after the decision.
    Effect,
    /// What must be gone.
    Retire,
}

/// One value or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Where the hits that a section has to cover come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionCovers {
    /// The section.
    pub section: String,
    /// The gates whose hits it names.
    pub hits_of: Vec<String>,
}

/// A board that votes before the veto period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Seats.
    pub seats: u32,
    /// Seats that must vote.
    pub votes_min: u32,
    /// The vote is over after this time.
    pub max: Span,
}

/// How a peer of another version is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mismatch {
    /// It gets an error.
    Error,
    /// It is served, and a line is logged.
    Warn,
}

/// When a feature has to be active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// From the first block on.
    Genesis,
    /// Later, by an upgrade of a running network.
    AfterGenesis,
}

/// What a failed test does to the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// The attempt failed; another one may follow.
    Iterate,
    /// The network is retired; the attempt failed.
    Retire,
}

/// What is done beyond a limit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnOver {
    /// Refused.
    Deny,
    /// Logged.
    Warn,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident { $($field:ident: $type:ty),* } = $kind:ident by $key:ident $(= $value:literal)? ;)*) => {
        /// A check with its parameters.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields are the parameters of the policy file")]
        pub enum Check { $($(#[$doc])* $variant { $($field: $type),* },)* }

        impl Check {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$variant { .. } => Kind::$kind,)* }
            }
        }

        /// Picks the check of this kind that the parameters describe, and takes what it needs.
        pub(super) fn pick(kind: Kind, mut given: Params) -> Result<Check, String> {
            $(if kind == Kind::$kind && given.$key.chosen(&[$($value)?]) {
                let check = Check::$variant { $($field: <$type as Taken>::taken(given.take(stringify!($field), |params| params.$field.take()))
                    .ok_or_else(|| format!("`{}` needs the parameter `{}`", stringify!($key), stringify!($field)))?,)* };
                given.$key = None;
                return given.left_over().map_or(Ok(check), |left| Err(format!("the parameter `{left}` means nothing here")));
            })*
            Err(format!("no check of kind `{}` has these parameters", name_of(kind)))
        }
    };
}

/// Name of a kind in a policy.
#[must_use]
pub fn name_of(kind: Kind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{kind:?}"),
    }
}

/// A parameter that a check needs, or may have.
trait Taken: Sized {
    type Inner;
    fn taken(given: Option<Self::Inner>) -> Option<Self>;
}

macro_rules! needed {
    ($($type:ty),*) => { $(impl Taken for $type {
        type Inner = Self;
        fn taken(given: Option<Self>) -> Option<Self> { given }
    })* };
}
needed!(
    String, Vec<String>, OneOrMany, Span, u32, SectionCovers, Board, Mismatch, Activation,
    OnFail, OnOver, bool, BTreeMap<String, String>, BTreeMap<String, Vec<String>>
);

impl<T: Taken<Inner = T>> Taken for Option<T> {
    type Inner = T;
    fn taken(given: Option<T>) -> Option<Self> {
        Some(given)
    }
}

/// Whether a parameter is there and says that its check is meant.
trait Chosen {
    fn chosen(&self, values: &[&str]) -> bool;
}

impl Chosen for Option<String> {
    fn chosen(&self, values: &[&str]) -> bool {
        self.as_ref()
            .is_some_and(|text| values.is_empty() || values.contains(&text.as_str()))
    }
}

impl Chosen for Option<bool> {
    fn chosen(&self, _: &[&str]) -> bool {
        *self == Some(true)
    }
}

impl Chosen for Option<OneOrMany> {
    fn chosen(&self, values: &[&str]) -> bool {
        match (self, values) {
            (Some(OneOrMany::One(text)), [value]) => text == value,
            (Some(OneOrMany::One(text)), []) => text.ends_with(".toml"),
            (Some(OneOrMany::Many(_)), [value]) => *value == "[]",
            _ => false,
        }
    }
}

macro_rules! chosen {
    ($($type:ty),*) => { $(impl Chosen for Option<$type> {
        fn chosen(&self, _: &[&str]) -> bool { self.is_some() }
    })* };
}
chosen!(Vec<String>, u32, Span, SectionCovers, Mismatch, Activation, BTreeMap<String, String>);

macro_rules! params {
    ($($field:ident: $type:ty,)*) => {
        /// Every parameter that a gate can have. Which ones it may have depends on its check.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Params { $(pub(super) $field: Option<$type>,)* }

        impl Params {
            fn take<T>(&mut self, _: &str, taken: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
                taken(self)
            }

            fn left_over(&self) -> Option<&'static str> {
                $(if self.$field.is_some() { return Some(stringify!($field)); })*
                None
            }
        }

        /// A gate as it stands in the file.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct RawGate {
            pub(super) id: String,
            pub(super) title: String,
            pub(super) explain: String,
            pub(super) source: String,
            pub(super) stage: String,
            pub(super) on: super::Point,
            pub(super) kind: Kind,
            pub(super) effect: super::Effect,
            #[serde(default)]
            pub(super) effect_for: BTreeMap<String, super::Effect>,
            #[serde(default)]
            pub(super) kinds: Vec<String>,
            #[serde(default)]
            pub(super) when: Option<super::When>,
            #[serde(default)]
            pub(super) signed_by: Option<String>,
            $(#[serde(default)] pub(super) $field: Option<$type>,)*
        }

        impl RawGate {
            pub(super) fn params(&mut self) -> Params {
                Params { $($field: self.$field.take(),)* }
            }
        }
    };
}

params! {
    activated: String, activation: Activation, after: String, after_failed_deploy: String,
    algorithms: Vec<String>, alive: Vec<String>, all_closed: bool, all_crates: String, allow:
    Vec<String>, announce: String, approved_by: String, audience: Vec<String>, backup:
    Vec<String>, before: String, board: Board, branch: String, bump: BTreeMap<String, String>,
    channel: String, checksums: String, code_complete: bool, commit_in: String, commit_subject:
    String, commits_equal: String, config: String, decision_per_feature: bool, deny:
    Vec<String>, dependencies_classified: bool, deployed: Vec<String>, deployed_equals: String,
    dns: String, dry_run_in: String, empty_except: Vec<String>, environment_known: bool, event:
    String, every: Span, exempt: Vec<String>, explicit: Vec<String>, features_passed_in: String,
    field: String, file: String, first_build: u32, fix_high: String, fresh: Vec<String>, from:
    String, gap_max: Span, hosted_release: String, ignore_other_channels: bool, info_page: String, inside:
    Vec<String>, item: String, late_feature: String, layers: Vec<String>, ledgers: Vec<String>,
    manifest_version: String, max: Span, max_per_month: u32, media: Vec<String>, metric: String,
    min: Span, min_features: u32, min_per_month: u32, min_since: Span, mitigation: bool,
    must_advance: String, must_equal: Vec<String>, names: Vec<String>, next: bool, no_skip:
    bool, nodes_running: u32, number_equals: String, of: OneOrMany, of_stage: String, on_fail:
    OnFail, on_over: OnOver, open_critical: u32, paths: BTreeMap<String, Vec<String>>, pattern:
    String, peer_mismatch: Mismatch, per: String, pointers: BTreeMap<String, String>, publish:
    String, quorum: bool, raw_bytes: bool, release_cut: bool, replayer_max: Span,
    same_commit_as: String, same_digest_as: String, section_covers: SectionCovers, sections:
    Vec<String>, self_report: String, spacing_min: Span, state_not_enough: String,
    submitted_before: String, subset_of: Vec<String>, suite: String, superset_in: String,
    targets: Vec<String>, template: String, to: String, top_is_version: bool, r#type: String,
    unreleased_not_empty: bool, verdict: Vec<String>, veto_is: String, veto_period: Span,
    waived: bool, with: String,
}

checks! {
    /// Targets and steps of the plan are for these audiences only.
    Audience { audience: Vec<String> } = Scope by audience;
    /// What is not ready at the cut-off moves to the next train; the cut-off stays.
    LateFeature {} = Scope by late_feature = "next-train";
    /// The scope is not empty, and every feature belongs to one of these layers.
    Layers { layers: Vec<String>, min_features: u32 } = Scope by layers;
    /// The deployed commit contains what was marked complete.
    CodeComplete {} = Scope by code_complete;
    /// The target is this stage's environment, and so are the credentials.
    EnvironmentKnown {} = Scope by environment_known;

    /// The version is the next one in the policy's grammar.
    NextVersion {} = Version by next;
    /// The upgrade has a number above all earlier ones.
    UpgradeNumber {} = Version by field = "upgrade_number";
    /// There is a fork name exactly when the scope has an L2 change.
    ForkName {} = Version by field = "fork_name";
    /// The crates say the final version at the candidate's commit.
    ManifestVersion {} = Version by manifest_version = "final";
    /// The version follows from the kinds of changes.
    Bump { bump: BTreeMap<String, String> } = Version by bump;
    /// After a failed deployment the build number rises by one and nothing else changes.
    AfterFailedDeploy {} = Version by after_failed_deploy = "build+1";

    /// The tag is a candidate's, on a commit that was on that stage.
    CandidateTag { commit_in: String } = Tag by pattern = "candidate";
    /// The tag is a release's, on the same commit as what was chosen.
    FinalTag { same_commit_as: String, approved_by: Option<String> } = Tag by pattern = "final";
    /// The tagged commit has this subject and holds the changelog.
    CommitSubject { commit_subject: String } = Tag by commit_subject;
    /// The first build of a release.
    FirstBuild { first_build: u32 } = Tag by first_build;
    /// The tag is a build's; others start no network.
    BuildTag {} = Tag by pattern = "build";

    /// What is only prepared may not go on.
    Prepared { state_not_enough: String } = Artifact by state_not_enough;
    /// Every binary prints the version.
    SelfReport { media: Vec<String> } = Artifact by self_report = "--version";
    /// What runs is what was chosen.
    DeployedEquals {} = Artifact by deployed_equals = "selected";
    /// Built once: the same digests as at that stage.
    SameDigest { same_digest_as: String } = Artifact by same_digest_as;
    /// A signed list of checksums covers every artifact.
    Checksums { checksums: String, algorithms: Vec<String> } = Artifact by checksums;
    /// The files within packages and images are the listed ones.
    Inside { inside: Vec<String>, must_equal: Vec<String> } = Artifact by inside;

    /// None of these classes, declared or shown by the paths.
    DenyClasses { deny: Vec<String>, paths: BTreeMap<String, Vec<String>> } = ChangeClass by deny;
    /// The commits are those of the proposal.
    CommitsEqual {} = ChangeClass by commits_equal = "proposal.diff.commits";
    /// Every bumped dependency is classified, and clean.
    Dependencies {} = ChangeClass by dependencies_classified;
    /// Nothing but these paths differs.
    EmptyExcept { empty_except: Vec<String> } = ChangeClass by empty_except;

    /// Everybody who must apply the release has.
    Obligations {} = Coverage by of = "obligations";
    /// Every chain of the list is covered.
    Chains { of: OneOrMany } = Coverage by of;
    /// All these parts are deployed.
    Components { of: OneOrMany } = Coverage by of = "[]";
    /// There is an artifact of each of these media types.
    Media { media: Vec<String> } = Coverage by media;
    /// There is an artifact for each of these targets.
    Targets { targets: Vec<String> } = Coverage by targets;

    /// All crates and the hosted release have one version.
    AllCrates {} = Compat by all_crates = "version";
    /// A peer of another version is treated so.
    PeerMismatch { peer_mismatch: Mismatch } = Compat by peer_mismatch;

    /// No required stage was skipped.
    NoSkip {} = Order by no_skip;
    /// The release was activated at that stage.
    Activated { activated: String, min_since: Option<Span> } = Order by activated;

    /// The fixes are among those on these networks.
    SubsetOf { subset_of: Vec<String> } = Containment by subset_of;
    /// The later regular release contains the fixes.
    Superset {} = Containment by superset_in = "reconcile_release";
    /// Every feature passed that stage.
    FeaturesPassed { features_passed_in: String } = Containment by features_passed_in;

    /// Two files differ only at the allowed places.
    SameFile { file: String, allow: Vec<String> } = ConfigMatch by file;
    /// Two configurations differ only at the allowed places.
    SameConfig { config: String, with: String, allow: Vec<String>, explicit: Option<Vec<String>> } = ConfigMatch by allow;
    /// The values at these pointers agree with the block and the ledgers.
    Pointers { config: String, with: String, pointers: BTreeMap<String, String> } = ConfigMatch by pointers;
    /// The network has no identity that an earlier one had.
    Fresh { fresh: Vec<String> } = ConfigMatch by fresh;
    /// The features are active when they should be.
    ActivationAt { activation: Activation } = ConfigMatch by activation;

    /// The document has these sections.
    Sections { r#type: String, sections: Vec<String> } = Document by sections;
    /// Every exception that is used is justified and voted on.
    Waived {} = Document by waived;
    /// A section names every hit of these gates.
    Covers { section_covers: SectionCovers } = Document by section_covers;
    /// It was announced, on this channel.
    Announcement { channel: Option<String> } = Document by r#type = "announcement";
    /// Everything is kept as it arrived, and gives the same again.
    RawBytes {} = Document by raw_bytes;
    /// The governance proposal carries the upgrade's number.
    GovernanceProposal {} = Document by number_equals = "upgrade_number";
    /// The notes have all headings of the template.
    Template { template: String } = Document by template;
    /// These pages were updated for the release.
    References { names: Vec<String> } = Document by names;
    /// The changelog had something to release.
    Unreleased {} = Document by unreleased_not_empty;
    /// The changelog begins with this release.
    TopIsVersion {} = Document by top_is_version;
    /// How the fork came about is recorded.
    CaptureRecord { replayer_max: Span } = Document by replayer_max;

    /// Each wave follows the confirmation of the one before.
    Waves {} = Approval by per = "wave";
    /// Features were submitted before the meeting that lists them.
    SubmittedBefore {} = Approval by submitted_before = "meeting";
    /// The verdict is the first of these; the second ends the attempt.
    Verdict { verdict: Vec<String> } = Approval by verdict;
    /// The role agreed to this.
    Item { item: String, release_cut: Option<bool> } = Approval by item;

    /// Votes from elsewhere are not counted.
    OtherChannels {} = Vote by ignore_other_channels;
    /// More than the threshold of the electorate agrees.
    Quorum {} = Vote by quorum;
    /// Nobody vetoed, and the result is there.
    Veto { veto_period: Option<Span>, board: Option<Board> } = Vote by veto_is = "stopped";

    /// Per feature: is an audit needed, or why not.
    AuditDecision {} = Audit by decision_per_feature;
    /// Findings that need work restart the stage or remove the feature.
    AuditFindings {} = Audit by fix_high = "remove-feature";
    /// All audits are over.
    AuditsClosed {} = Audit by all_closed;

    /// Every feature passed alone.
    PerFeature {} = Test by per = "feature";
    /// The suite passed.
    Suite { suite: String, on_fail: Option<OnFail>, ledgers: Option<Vec<String>> } = Test by suite;
    /// That stage ended well and without incidents.
    StageEnded { of_stage: String, mitigation: Option<bool> } = Test by of_stage;

    /// So long on this network.
    Soak { min: Span } = Soak by min;

    /// No critical issue is open.
    OpenCritical { open_critical: u32 } = Observe by open_critical;
    /// There are backups of these.
    Backups { backup: Vec<String> } = Observe by backup;
    /// Somebody looked, so often.
    Every { every: Span } = Observe by every;
    /// This value rises from sample to sample, and no longer than this is without a sample.
    MustAdvance { must_advance: String, gap_max: Span, on_fail: OnFail } = Observe by must_advance;

    /// So long between two moments.
    LeadTime { from: String, to: String, min: Option<Span>, max: Option<Span>, on_over: Option<OnOver> } = LeadTime by from;

    /// At least so many in each calendar month.
    MinPerMonth { min_per_month: u32 } = Cadence by min_per_month;
    /// At most so many in a calendar month.
    MaxPerMonth { max_per_month: u32, exempt: Vec<String>, spacing_min: Option<Span> } = Cadence by max_per_month;

    /// A figure is recorded.
    Metric { metric: String } = Report by metric;

    /// The release was deployed.
    Happened { event: String } = Effect by event;
    /// The hosted release has this flag.
    HostedRelease { hosted_release: String } = Effect by hosted_release;
    /// The crates are published.
    Publish { publish: String, dry_run_in: String } = Effect by publish;
    /// The branch is at the commit.
    Branch { branch: String, before: Option<String> } = Effect by branch;
    /// These parts run.
    Deployed { deployed: Vec<String>, after: Option<String> } = Effect by deployed;
    /// These services answer.
    Alive { alive: Vec<String> } = Effect by alive;
    /// The name points at the network.
    Dns { dns: String } = Effect by dns;
    /// The page is published and says what runs.
    InfoPage { info_page: String } = Effect by info_page;
    /// The announcement is sent.
    Announce { announce: String } = Effect by announce;

    /// The old network is gone and its logs are kept.
    Retired { nodes_running: u32 } = Retire by nodes_running;
}
