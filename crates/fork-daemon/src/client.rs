//! A daemon's GraphQL interface, as far as a capture or a verification needs it.
//!
//! The shapes follow the schema of MinaProtocol/mina-sdk-go: numbers come as decimal strings, answers
//! that the schema calls never null are null while a daemon bootstraps, and older daemons put
//! failures inside `data`. Each of these is its own [`DaemonError`]; none is read as an empty ledger.

mod answer;
mod error;
mod node;
mod url;

use std::convert::Infallible;
use std::io::Write;
use std::time::{Duration, Instant};

use fork_fs::HashingWriter;
use fork_types::StateHash;
use fork_types::document::{SeenBlock, SeenStopSlots};
use reqwest::header::{CONTENT_LENGTH, RETRY_AFTER};
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use error::DaemonError;
pub use node::{
    ACCOUNTS_PER_QUERY_MAX, NodeAccount, NodeAccounts, NodeSibling, NodeStatus, NodeTiming,
};
pub use url::{DaemonUrl, DaemonUrlError};

use crate::runtime::runtime;

/// Most blocks a daemon keeps: k of the field's networks. Older blocks cannot be asked for.
pub const FRONTIER_BLOCKS_MAX: u32 = 290;

/// Largest answer to a light query, in bytes: 290 blocks with their fee transfers have a few hundred
/// kilobytes, a runtime config with account lists in it has more than any other.
const LIGHT_BYTES_MAX: usize = 64 << 20;

/// Largest export taken, in bytes: twenty times what 280 thousand accounts have.
const EXPORT_BYTES_MAX: u64 = 16 << 30;

/// Exports below this are looked at for an error in place of a config before anybody reads them as
/// one.
const SUSPECT_BYTES_MAX: usize = 64 << 10;

/// The fields asked of a block.
const BLOCK: &str = "stateHash commandTransactionCount transactions { coinbase feeTransfer { fee } } \
     protocolState { previousStateHash blockchainState { stagedLedgerHash } \
     consensusState { blockHeight slot slotSinceGenesis \
     stakingEpochData { seed ledger { hash } } nextEpochData { seed ledger { hash } } } }";

/// How long a daemon may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Time to connect.
    pub connect: Duration,
    /// Time for a whole light query.
    pub light: Duration,
    /// Time until the header of an export comes: the daemon builds the whole answer first.
    pub export_begin: Duration,
    /// Longest silence within an export.
    pub idle: Duration,
    /// Time for a whole export, so that a trickle ends too.
    pub export_total: Duration,
}

impl Default for Deadlines {
    /// 600 s for an export is what the field's own scripts allow.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            light: Duration::from_secs(60),
            export_begin: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            export_total: Duration::from_secs(3600),
        }
    }
}

/// What a daemon says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonStatus {
    /// `SYNCED`, `BOOTSTRAP`, `CATCHUP`, `LISTENING`, `CONNECTING` or `OFFLINE`.
    pub sync_status: String,
    /// `networkID`, such as `mina:devnet`.
    pub network_id: Option<String>,
    /// Chain id.
    pub chain_id: Option<String>,
    /// `version`, a commit.
    pub daemon_version: Option<String>,
    /// Slot since hard fork by its clock.
    pub clock_slot: Option<fork_types::SlotSinceHardFork>,
    /// `timeOffset` in seconds.
    pub time_offset_s: Option<i64>,
}

/// What a daemon's running config says.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Stop slots.
    pub stop: SeenStopSlots,
    /// The whole config, as JSON text.
    pub text: Vec<u8>,
}

/// An export that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Lower-case hexadecimal SHA-256 of the body.
    pub sha256: String,
    /// Size of the body in bytes.
    pub bytes: u64,
    /// From the request to the answer's header.
    pub wait: Duration,
    /// From there to the last byte.
    pub transfer: Duration,
}

/// Asks one daemon. Every call opens a connection of its own and waits for the answer; nothing is
/// retried here.
#[derive(Clone, Debug)]
pub struct DaemonClient {
    url: DaemonUrl,
    client: Client,
    deadlines: Deadlines,
}

impl DaemonClient {
    /// A client for the daemon at `url`.
    ///
    /// # Errors
    ///
    /// Fails when the system gives no threads or, for `https`, has no certificates.
    pub fn new(url: &DaemonUrl, deadlines: Deadlines) -> Result<Self, DaemonError> {
        runtime().map_err(DaemonError::Runtime)?;
        let mut builder = Client::builder()
            .connect_timeout(deadlines.connect)
            // A connection kept over a restart of the daemon fails at its next use.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("forkpack/", env!("CARGO_PKG_VERSION")));
        if !url.is_https() {
            // Machines that only talk to themselves need no certificates.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(DaemonError::Client)?;
        Ok(Self {
            url: url.clone(),
            client,
            deadlines,
        })
    }

    /// The daemon's address, without credentials.
    #[must_use]
    pub const fn url(&self) -> &DaemonUrl {
        &self.url
    }

    /// What the daemon says about itself; it answers this while it bootstraps, too.
    ///
    /// # Errors
    ///
    /// Fails in every way a daemon can, see [`DaemonError`].
    pub fn status(&self) -> Result<DaemonStatus, DaemonError> {
        const QUERY: &str = "query Status { syncStatus version networkID timeOffset \
             daemonStatus { chainId consensusTimeNow { globalSlot } } }";
        let data = self.light::<answer::StatusJson>("daemonStatus", QUERY, json!({}))?;
        data.decode()
    }

    /// The config the daemon runs with.
    ///
    /// # Errors
    ///
    /// As [`Self::status`].
    pub fn runtime_config(&self) -> Result<RuntimeConfig, DaemonError> {
        const QUERY: &str = "query RuntimeConfig { runtimeConfig }";
        let data = self.light::<answer::RuntimeConfigJson>("runtimeConfig", QUERY, json!({}))?;
        data.decode()
    }

    /// The last `blocks_max` blocks of the best chain, oldest first; each is the child of the one
    /// before.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], and when the blocks are no chain.
    pub fn best_chain(&self, blocks_max: u32) -> Result<Vec<SeenBlock>, DaemonError> {
        let query =
            format!("query BestChain($max: Int) {{ bestChain(maxLength: $max) {{ {BLOCK} }} }}");
        let data =
            self.light::<answer::BestChainJson>("bestChain", &query, json!({ "max": blocks_max }))?;
        data.decode()
    }

    /// The protocol state of a block, as the JSON text of precomputed blocks. It proves itself: its
    /// hash is the state hash.
    ///
    /// # Errors
    ///
    /// As [`Self::status`].
    pub fn protocol_state(&self, block: StateHash) -> Result<String, DaemonError> {
        const QUERY: &str = "query ProtocolState($hash: String) { \
             protocolState(encoding: JSON, stateHash: $hash) }";
        let data = self.light::<answer::ProtocolStateJson>(
            "protocolState",
            QUERY,
            json!({ "hash": block }),
        )?;
        data.decode()
    }

    /// Streams the export of a block into `target`, as it comes. This is the one heavy query: the
    /// daemon holds three ledgers as text while it answers.
    ///
    /// What arrived whole is not yet a config: only short answers are looked at here, for errors in
    /// its place.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], and when `target` cannot be written.
    pub fn fork_config<W: Write>(
        &self,
        block: StateHash,
        target: &mut W,
    ) -> Result<Export, DaemonError> {
        const QUERY: &str = "query ForkConfig($hash: String) { fork_config(stateHash: $hash) }";
        let runtime = runtime().map_err(DaemonError::Runtime)?;
        let started = Instant::now();
        let request = request_body(QUERY, json!({ "hash": block }));
        let mut response =
            runtime.block_on(self.begin("fork_config", request, self.deadlines.export_begin))?;
        let wait = started.elapsed();
        let mut target = HashingWriter::new(target);
        let mut start = Vec::new();
        let mut bytes = 0_u64;
        loop {
            let left = self
                .deadlines
                .export_total
                .saturating_sub(started.elapsed());
            let limit = self.deadlines.idle.min(left);
            // In a block, because the timer looks for the runtime when it is made.
            let next =
                runtime.block_on(async { tokio::time::timeout(limit, response.chunk()).await });
            let Some(chunk) = self.chunk("fork_config", limit, bytes, &response, next)? else {
                break;
            };
            bytes += chunk.len() as u64;
            if bytes > EXPORT_BYTES_MAX {
                return Err(self.too_large("fork_config", EXPORT_BYTES_MAX));
            }
            if start.len() <= SUSPECT_BYTES_MAX {
                let room = SUSPECT_BYTES_MAX + 1 - start.len();
                start.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            }
            target.write_all(&chunk).map_err(DaemonError::Write)?;
        }
        if start.len() <= SUSPECT_BYTES_MAX {
            answer::check_short_export(self, &start)?;
        }
        let (_, digested) = target.finish();
        Ok(Export {
            sha256: digested.sha256,
            bytes: digested.bytes,
            wait,
            transfer: started.elapsed().saturating_sub(wait),
        })
    }

    /// Asks a query whose answer fits memory.
    fn light<T: DeserializeOwned>(
        &self,
        field: &'static str,
        query: &str,
        variables: Value,
    ) -> Result<answer::Answer<'_, T>, DaemonError> {
        let runtime = runtime().map_err(DaemonError::Runtime)?;
        let request = request_body(query, variables);
        let limit = self.deadlines.light;
        let body = runtime.block_on(async {
            let whole = async {
                let mut response = self.begin(field, request, limit).await?;
                let mut body = Vec::new();
                loop {
                    let next = Ok::<_, Infallible>(response.chunk().await);
                    let received = body.len() as u64;
                    match self.chunk(field, limit, received, &response, next)? {
                        None => return Ok(body),
                        Some(chunk) if body.len() + chunk.len() > LIGHT_BYTES_MAX => {
                            return Err(self.too_large(field, LIGHT_BYTES_MAX as u64));
                        }
                        Some(chunk) => body.extend_from_slice(&chunk),
                    }
                }
            };
            tokio::time::timeout(limit, whole)
                .await
                .unwrap_or_else(|_| Err(self.timeout(field, limit)))
        })?;
        answer::Answer::read(self, field, &body)
    }

    /// Sends a request and waits for the header of a good answer.
    async fn begin(
        &self,
        field: &'static str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Response, DaemonError> {
        let sent = self
            .client
            .post(self.url.with_credentials())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(body)
            .send();
        let response = tokio::time::timeout(limit, sent)
            .await
            .map_err(|_| self.timeout(field, limit))?
            .map_err(|source| self.failed(field, source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER);
        Err(DaemonError::Status {
            daemon: self.url.to_string(),
            field,
            status: status.as_u16(),
            retry_after_s: retry_after.and_then(|value| value.to_str().ok()?.parse().ok()),
        })
    }

    /// The next piece of a body, `None` at its end.
    fn chunk<E>(
        &self,
        field: &'static str,
        limit: Duration,
        received: u64,
        response: &Response,
        next: Result<Result<Option<bytes::Bytes>, reqwest::Error>, E>,
    ) -> Result<Option<bytes::Bytes>, DaemonError> {
        next.map_err(|_| self.timeout(field, limit))?
            .map_err(|source| DaemonError::Cut {
                daemon: self.url.to_string(),
                field,
                received,
                promised: promised(response),
                source: source.without_url(),
            })
    }

    fn failed(&self, field: &'static str, source: reqwest::Error) -> DaemonError {
        let daemon = self.url.to_string();
        let timed_out = source.is_timeout();
        // The URL of the request holds credentials.
        let source = source.without_url();
        if timed_out {
            self.timeout(field, self.deadlines.connect)
        } else {
            DaemonError::Connection {
                daemon,
                field,
                source,
            }
        }
    }

    fn timeout(&self, field: &'static str, limit: Duration) -> DaemonError {
        DaemonError::Timeout {
            daemon: self.url.to_string(),
            field,
            limit,
        }
    }

    fn too_large(&self, field: &'static str, bytes_max: u64) -> DaemonError {
        DaemonError::TooLarge {
            daemon: self.url.to_string(),
            field,
            bytes_max,
        }
    }
}

/// Size of the body by the header; the response itself only knows what is left of it.
fn promised(response: &Response) -> Option<u64> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn request_body(query: &str, variables: Value) -> Vec<u8> {
    json!({ "query": query, "variables": variables })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests;
