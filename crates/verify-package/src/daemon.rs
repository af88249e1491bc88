//! A package against a node that was started from it.
//!
//! [`NodeFacts::gather`] watches the node until it is awake, asks it for its config, its genesis block
//! and a sample of accounts with their Merkle paths, and compares exports that were made of it with the
//! packaged stores. As everywhere, the checks only look at the facts.

mod accounts;
mod args;
mod boot;
mod coverage;
mod exports;
mod fields;
mod sample;
mod summary;

use fork_daemon::{DaemonClient, Deadlines, NodeStatus};
use fork_types::document::SeenBlock;
use fork_types::{LedgerHash, Role};
use fork_worker::{Context, Stages};
use serde_json::Value;

use crate::facts::Facts;
use crate::report::{ReportEvent, ReportSample};
use crate::subject::error_text;
pub use accounts::{AccountFacts, NotSampled};
pub use args::NodeArgs;
pub use boot::Boot;
pub use exports::{ExportFacts, ExportProblem, export_name};
pub(crate) use summary::report;

/// Largest config of a node that is looked at.
const RUNNING_CONFIG_BYTES_MAX: usize = 1 << 20;

/// Everything about the node; empty when neither it nor its exports were given.
#[derive(Debug, Default)]
pub struct NodeFacts {
    /// The node that was asked.
    pub asked: Option<AskedNode>,
    /// Its exports by role, or why one cannot be compared.
    pub exports: Option<Vec<(Role, Result<ExportFacts, ExportProblem>)>>,
}

/// What a node answered.
#[derive(Debug)]
pub struct AskedNode {
    /// Its address, without credentials.
    pub url: String,
    /// What it said first about itself.
    pub status: Option<NodeStatus>,
    /// What it went through.
    pub timeline: Vec<ReportEvent>,
    /// How that ended.
    pub boot: Boot,
    /// The genesis block of its chain.
    pub genesis: Result<SeenBlock, String>,
    /// The config it runs with.
    pub config: Result<Value, String>,
    /// The sampled accounts.
    pub accounts: Result<AccountFacts, NotSampled>,
    /// How they were chosen; absent when none could be.
    pub sample: Option<ReportSample>,
}

impl NodeFacts {
    /// Whether there is anything to compare with.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.asked.is_some() || self.exports.is_some()
    }

    /// Asks the node and reads the exports, as far as the command line names them.
    pub(crate) fn gather(
        args: &NodeArgs,
        facts: &Facts,
        context: &Context,
        stages: &mut Stages,
    ) -> Self {
        let mut node = Self::default();
        if let Some(url) = &args.daemon {
            let client = DaemonClient::new(url, Deadlines::default());
            node.asked = Some(match client {
                Ok(client) => AskedNode::ask(&client, args, facts, context),
                Err(error) => AskedNode::unreachable(url.to_string(), &error_text(&error)),
            });
            stages.end("daemon");
        }
        if let Some(directory) = &args.exports {
            let all = Role::ALL.map(|role| (role, exports::compare(facts, role, directory)));
            node.exports = Some(all.into_iter().collect());
            stages.end("exports");
        }
        node
    }

    /// Why differences of a ledger that changes with every block say nothing: blocks were produced.
    #[must_use]
    pub fn moved_on(&self) -> Option<&str> {
        match &self.asked.as_ref()?.accounts {
            Err(NotSampled::MovedOn(why)) => Some(why),
            _ => None,
        }
    }
}

impl AskedNode {
    fn ask(client: &DaemonClient, args: &NodeArgs, facts: &Facts, context: &Context) -> Self {
        let url = client.url().to_string();
        context.note(&format!("waiting for `{url}` to have a best tip"));
        let watched = boot::watch(client, args.boot_timeout());
        let genesis = client.genesis_block().map_err(|error| error_text(&error));
        let config = client
            .runtime_config()
            .map_err(|error| error_text(&error))
            .and_then(|config| running_config(&config.text));
        let chosen = match &watched.boot {
            Boot::Awake(_) => sample::choose(facts, args),
            Boot::Asleep(why) => Err(NotSampled::Other(why.clone())),
        };
        let (accounts, sample) = match chosen {
            Err(why) => (Err(why), None),
            Ok(chosen) => {
                context.note(&format!("asking for {} accounts", chosen.accounts.len()));
                let accounts = accounts::check(client, facts, &chosen);
                // What was not answered covers nothing.
                let is_whole = accounts.as_ref().is_ok_and(|found| found.problem.is_none());
                let sample = is_whole.then_some(chosen.report);
                (accounts, sample)
            }
        };
        Self {
            url,
            status: watched.status,
            timeline: watched.timeline,
            boot: watched.boot,
            genesis,
            config,
            accounts,
            sample,
        }
    }

    fn unreachable(url: String, why: &str) -> Self {
        Self {
            url,
            status: None,
            timeline: Vec::new(),
            boot: Boot::Asleep(why.to_owned()),
            genesis: Err(why.to_owned()),
            config: Err(why.to_owned()),
            accounts: Err(NotSampled::Other(why.to_owned())),
            sample: None,
        }
    }
}

/// The config of a node; one with hashes only has two kilobytes.
fn running_config(text: &[u8]) -> Result<Value, String> {
    if text.len() > RUNNING_CONFIG_BYTES_MAX {
        return Err(format!(
            "the node's config has {} bytes, more than one with hashes only",
            text.len()
        ));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// The root of a packaged ledger: of its accounts where they could be hashed, else what its config
/// says.
pub(crate) fn packaged_root(facts: &Facts, role: Role) -> Option<LedgerHash> {
    let store = facts.ledger(role).store.as_ref().ok();
    let computed = store.and_then(|store| Some(store.proof.as_ref()?.root));
    computed.or_else(|| facts.config.as_ref().ok()?.root(role))
}

/// Height of the new genesis block by the packaged config.
pub(crate) fn genesis_height(facts: &Facts) -> Option<u32> {
    let config = facts.config.as_ref().ok()?;
    config.number(FORK_LENGTH)?.checked_add(1)
}

/// Where a config has the height of the fork block.
pub(crate) const FORK_LENGTH: &str = "/proof/fork/blockchain_length";
