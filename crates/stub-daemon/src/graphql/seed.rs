//! What a seed node of the new chain answers.

use fork_types::{PublicKey, Role, TokenId};
use serde_json::{Value, json};

use super::GraphqlError;
use super::objects;
use super::query::Selected;
use super::resolve::Resolved;
use crate::seed::{Seed, SeedFault};
use crate::world::WorldBlock;

/// What a daemon says while it has no frontier.
const NO_CHAIN: &str = "Could not obtain best chain from transition frontier";

/// Who is asked, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeedAsked<'s> {
    pub(crate) seed: &'s Seed,
    /// Whether its genesis time has come.
    pub(crate) awake: bool,
    pub(crate) uptime_seconds: u64,
}

impl SeedAsked<'_> {
    pub(crate) fn resolve(&self, field: &Selected) -> Result<Resolved, GraphqlError> {
        let seed = self.seed;
        let chain = if self.awake { seed.chain() } else { &[] };
        // unconfirmed: `BOOTSTRAP` is what a daemon without a frontier says; whether it says so
        // before its genesis, too, is not known.
        let sync_status = if self.awake { "SYNCED" } else { "BOOTSTRAP" };
        let value = match field.name.as_str() {
            "__typename" => json!("query"),
            "syncStatus" => json!(sync_status),
            "daemonStatus" => self.status(sync_status, chain.last()),
            "bestChain" if chain.is_empty() => return Err(GraphqlError(NO_CHAIN.to_owned())),
            "bestChain" => {
                let wanted = field.arguments.get("maxLength").and_then(Value::as_u64);
                let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
                let first = chain.len().saturating_sub(wanted.unwrap_or(usize::MAX));
                chain.iter().skip(first).map(objects::block).collect()
            }
            "genesisBlock" => seed.genesis().map_or(Value::Null, objects::block),
            "protocolState" => match chain.last() {
                Some(tip) => objects::protocol_state_text(tip)?,
                None => return Err(GraphqlError(NO_CHAIN.to_owned())),
            },
            "runtimeConfig" => self.runtime_config(),
            "genesisConstants" => objects::constants(seed.genesis_time()),
            "networkID" => json!(format!("mina:{}", seed.network_id())),
            "signatureKind" => json!("testnet"),
            "version" => json!(COMMIT),
            "timeOffset" => json!(0),
            "account" => match chain.last() {
                Some(tip) => self.account(field, tip)?,
                None => Value::Null,
            },
            name => return Err(GraphqlError(format!("Field '{name}' is not answered here"))),
        };
        Ok(Resolved::Value(value))
    }

    fn status(&self, sync_status: &str, tip: Option<&WorldBlock>) -> Value {
        let text = |value: &dyn std::fmt::Display| value.to_string();
        json!({
            "syncStatus": sync_status,
            "chainId": CHAIN_ID,
            "commitId": COMMIT,
            "confDir": "/root/.mina-config",
            "uptimeSecs": self.uptime_seconds,
            "peers": [],
            "blockchainLength": tip.map(WorldBlock::height),
            "highestBlockLengthReceived": tip.map_or(0, WorldBlock::height),
            "highestUnvalidatedBlockLengthReceived": tip.map_or(0, WorldBlock::height),
            "ledgerMerkleRoot": tip.map(|tip| text(&tip.facts.staged_ledger_hash)),
            "stateHash": tip.map(|tip| text(&tip.state_hash())),
            "globalSlotSinceGenesisBestTip":
                tip.map(|tip| tip.facts.global_slot_since_genesis.get()),
            "consensusMechanism": "proof_of_stake",
        })
    }

    fn runtime_config(&self) -> Value {
        let mut config = self.seed.config().clone();
        if self.seed.faults().contains(&SeedFault::AccountsInConfig)
            && let Some(ledger) = config.get_mut("ledger").and_then(Value::as_object_mut)
        {
            ledger.insert("accounts".to_owned(), json!([]));
        }
        config
    }

    fn account(&self, field: &Selected, tip: &WorldBlock) -> Result<Value, GraphqlError> {
        let text = |name: &str| field.arguments.get(name).and_then(Value::as_str);
        let key: PublicKey = text("publicKey")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| GraphqlError("Argument 'publicKey' is no public key".to_owned()))?;
        let token = match text("token") {
            None => TokenId::DEFAULT,
            Some(token) => TokenId::parse_account_member(token)
                .map_err(|_| GraphqlError("Argument 'token' is no token id".to_owned()))?,
        };
        let ledger = self.seed.ledger(Role::Genesis);
        let leaf = ledger
            .find(key, token, self.seed.faults())
            .map_err(|error| GraphqlError(error.to_string()))?;
        Ok(leaf.map_or(Value::Null, |leaf| objects::account(&leaf, tip)))
    }
}

/// Made up: what a real chain id is made of is only in a daemon.
const CHAIN_ID: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// Made up.
const COMMIT: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";
