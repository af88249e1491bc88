//! The answer to each query.

use fork_types::{PublicKey, StateHash, TokenId};
use serde_json::{Value, json};

use super::GraphqlError;
use super::objects;
use super::query::Selected;
use crate::body::Body;
use crate::scenario::{BootstrapStyle, DaemonSpec};
use crate::world::{View, World};

/// What a daemon says while it has no frontier.
const BOOTSTRAPPING: &str = "Daemon is bootstrapping";

/// Who is asked and when, and how it lies.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'w> {
    pub(crate) world: &'w World,
    pub(crate) daemon: usize,
    /// Slot of the clock.
    pub(crate) slot: u32,
    pub(crate) uptime_seconds: u64,
    pub(crate) view: View,
    /// Answers for the parent of the block that is meant.
    pub(crate) wrong_block: bool,
    /// Changes one balance of a fork config.
    pub(crate) wrong_ledger: bool,
}

impl Asked<'_> {
    pub(super) fn spec(&self) -> &DaemonSpec {
        &self.world.scenario().daemons[self.daemon]
    }
}

/// The value of a top-level field.
#[derive(Clone, Debug)]
pub(crate) enum Resolved {
    /// Small.
    Value(Value),
    /// JSON that may be large.
    Body(Body),
}

pub(crate) fn resolve(asked: &Asked<'_>, field: &Selected) -> Result<Resolved, GraphqlError> {
    let world = asked.world;
    let value = match field.name.as_str() {
        "__typename" => json!("query"),
        "syncStatus" => json!(asked.view.state.name()),
        "daemonStatus" => objects::daemon_status(asked),
        "bestChain" => best_chain(asked, field)?,
        "block" => {
            let block = block(asked, field)?.ok_or_else(|| {
                GraphqlError("Must provide exactly one of state hash, height".to_owned())
            })?;
            objects::block(&world.blocks()[block])
        }
        "genesisBlock" => objects::block(world.genesis_block()),
        "fork_config" => return fork_config(asked, field),
        "runtimeConfig" => world.prefork_config(),
        "protocolState" => protocol_state(asked, field)?,
        "account" => account(asked, field)?,
        "genesisConstants" => objects::genesis_constants(asked),
        "networkID" => json!(format!("mina:{}", world.scenario().network.name)),
        "signatureKind" => json!("testnet"),
        "version" => json!(world.commit_id(asked.daemon)),
        "timeOffset" => json!(objects::time_offset_seconds(asked)),
        name => return Err(GraphqlError(format!("Field '{name}' is not answered here"))),
    };
    Ok(Resolved::Value(value))
}

/// Why a daemon without a frontier has no answer.
fn needs_frontier(asked: &Asked<'_>) -> Result<(), GraphqlError> {
    if asked.view.chain.is_empty() {
        return Err(GraphqlError(BOOTSTRAPPING.to_owned()));
    }
    Ok(())
}

fn best_chain(asked: &Asked<'_>, field: &Selected) -> Result<Value, GraphqlError> {
    if asked.view.chain.is_empty() {
        return Err(GraphqlError(
            "Could not obtain best chain from transition frontier".to_owned(),
        ));
    }
    let mut chain = asked.view.chain.as_slice();
    if asked.wrong_block && chain.len() > 1 {
        chain = &chain[..chain.len() - 1];
    }
    match field.arguments.get("maxLength") {
        None | Some(Value::Null) => {}
        Some(length) => {
            let length = length
                .as_u64()
                .ok_or_else(|| argument_error("maxLength", length, "a number from 0"))?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            chain = &chain[chain.len().saturating_sub(length)..];
        }
    }
    let blocks = asked.world.blocks();
    Ok(chain
        .iter()
        .map(|block| objects::block(&blocks[*block]))
        .collect())
}

fn argument_error(name: &str, found: &Value, expected: &str) -> GraphqlError {
    GraphqlError(format!("Argument '{name}' is {found}, expected {expected}"))
}

/// The block that `height` or `stateHash` means; `None` when neither is given.
fn block(asked: &Asked<'_>, field: &Selected) -> Result<Option<usize>, GraphqlError> {
    needs_frontier(asked)?;
    let given = |name: &str| field.arguments.get(name).filter(|value| !value.is_null());
    let (world, view) = (asked.world, &asked.view);
    let found = match (given("height"), given("stateHash")) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(GraphqlError(
                "Must provide exactly one of state hash, height".to_owned(),
            ));
        }
        (Some(height), None) => height
            .as_u64()
            .and_then(|height| u32::try_from(height).ok())
            .ok_or_else(|| argument_error("height", height, "a height"))
            .map(|height| world.at_height(view, height))?
            .ok_or_else(|| {
                GraphqlError(format!(
                    "Could not find block in transition frontier with height {height}"
                ))
            })?,
        (None, Some(hash)) => hash
            .as_str()
            .and_then(|text| text.parse::<StateHash>().ok())
            .ok_or_else(|| argument_error("stateHash", hash, "a state hash"))
            .map(|hash| world.with_state_hash(view, hash))?
            .ok_or_else(|| {
                GraphqlError(format!(
                    "Block with state hash {} not found in transition frontier",
                    hash.as_str().unwrap_or_default()
                ))
            })?,
    };
    Ok(Some(lied(asked, found)))
}

/// The parent of a block for a daemon that lies.
fn lied(asked: &Asked<'_>, block: usize) -> usize {
    if asked.wrong_block {
        asked.world.blocks()[block].parent.unwrap_or(block)
    } else {
        block
    }
}

fn fork_config(asked: &Asked<'_>, field: &Selected) -> Result<Resolved, GraphqlError> {
    let style = asked.spec().bootstrap_style;
    if asked.view.chain.is_empty() && style == BootstrapStyle::ErrorInData {
        return Ok(Resolved::Value(json!({ "error": BOOTSTRAPPING })));
    }
    let chosen = match block(asked, field)? {
        Some(block) => Some(block),
        None => {
            let block = asked.world.default_fork_block(&asked.view);
            block.map(|block| lied(asked, block))
        }
    };
    Ok(match chosen {
        Some(block) => Resolved::Body(asked.world.fork_config(block, asked.wrong_ledger)),
        None => Resolved::Value(Value::Null),
    })
}

fn protocol_state(asked: &Asked<'_>, field: &Selected) -> Result<Value, GraphqlError> {
    match field.arguments.get("encoding") {
        None | Some(Value::Null) => {}
        Some(Value::String(encoding)) if encoding == "JSON" => {}
        Some(Value::String(encoding)) if encoding == "BASE64" => {
            return Err(GraphqlError(
                "Encoding BASE64 is not available here; ask for JSON".to_owned(),
            ));
        }
        Some(other) => return Err(argument_error("encoding", other, "JSON or BASE64")),
    }
    let block = match block(asked, field)? {
        Some(block) => block,
        None => {
            let tip = asked.view.tip();
            let tip = tip.ok_or_else(|| GraphqlError(BOOTSTRAPPING.to_owned()))?;
            lied(asked, tip)
        }
    };
    objects::protocol_state_text(&asked.world.blocks()[block])
}

fn account(asked: &Asked<'_>, field: &Selected) -> Result<Value, GraphqlError> {
    let given = |name: &str| field.arguments.get(name).filter(|value| !value.is_null());
    let Some(key) = given("publicKey") else {
        return Err(GraphqlError(
            "Argument 'publicKey' of field 'account' is required".to_owned(),
        ));
    };
    let key: PublicKey = key
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| argument_error("publicKey", key, "a public key"))?;
    let token = match given("token") {
        None => TokenId::DEFAULT,
        Some(token) => token
            .as_str()
            .and_then(|text| TokenId::parse_account_member(text).ok())
            .ok_or_else(|| argument_error("token", token, "a token id"))?,
    };
    let Some(tip) = asked.view.tip() else {
        return Ok(Value::Null);
    };
    let tip = lied(asked, tip);
    let leaf = asked
        .world
        .find_account(tip, &key, token)
        .map_err(|source| GraphqlError(source.to_string()))?;
    Ok(leaf.map_or(Value::Null, |leaf| {
        objects::account(&leaf, &asked.world.blocks()[tip])
    }))
}
