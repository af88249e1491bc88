//! What is asked of a node of the new chain, to compare it with the package it was started from.
//!
//! Answers are texts as the node gave them: who compares them knows what they must be. Whether a leaf
//! hash is decimal or Base58Check, for one, is not settled by the schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fork_types::document::SeenBlock;
use fork_types::{PublicKey, TokenId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, BlockJson, Text};
use super::{BLOCK, DaemonClient, DaemonError};

/// Most accounts of one query: an account is answered with some 60 fields and its path, 8 kB.
pub const ACCOUNTS_PER_QUERY_MAX: usize = 20;

/// The fields asked of an account.
const ACCOUNT: &str = "publicKey tokenId tokenSymbol balance { total } nonce receiptChainHash \
     delegateAccount { publicKey } votingFor \
     timing { initialMinimumBalance cliffTime cliffAmount vestingPeriod vestingIncrement } \
     permissions { editState access send receive setDelegate setPermissions \
     setVerificationKey { auth txnVersion } setZkappUri editActionState setTokenSymbol \
     incrementNonce setVotingFor setTiming } \
     zkappState actionState verificationKey { hash } zkappUri provedState \
     index leafHash merklePath { left right }";

/// What a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// `SYNCED`, `BOOTSTRAP` and so on.
    pub sync_status: String,
    /// Chain id.
    pub chain_id: Option<String>,
    /// Commit it was built from.
    pub commit_id: Option<String>,
    /// Height of its best tip; absent without one.
    pub best_tip_height: Option<u32>,
    /// `genesisConstants.genesisTimestamp`.
    pub genesis_timestamp: Option<String>,
}

/// An account as a node shows it; a member is absent when the node answered null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAccount {
    /// Owner.
    pub public_key: Option<String>,
    /// Token, Base58Check.
    pub token_id: Option<String>,
    /// Symbol of the token it owns.
    pub token_symbol: Option<String>,
    /// Balance in nanomina.
    pub balance: Option<String>,
    /// Number of the next command.
    pub nonce: Option<String>,
    /// Hash over the commands sent.
    pub receipt_chain_hash: Option<String>,
    /// Key the stake is delegated to.
    pub delegate: Option<String>,
    /// State hash voted for.
    pub voting_for: Option<String>,
    /// Vesting schedule.
    pub timing: NodeTiming,
    /// Permissions by their names in the schema. `setVerificationKey` is its `auth`, and
    /// `txnVersion` beside it.
    pub permissions: BTreeMap<String, String>,
    /// On-chain state, field elements.
    pub zkapp_state: Option<Vec<String>>,
    /// Last action states, field elements.
    pub action_state: Option<Vec<String>>,
    /// Hash of the verification key.
    pub verification_key_hash: Option<String>,
    /// URI.
    pub zkapp_uri: Option<String>,
    /// Whether the whole state was set by proofs.
    pub proved_state: Option<bool>,
    /// Leaf index.
    pub index: Option<u64>,
    /// Hash of the account.
    pub leaf_hash: Option<String>,
    /// From the leaf up.
    pub merkle_path: Option<Vec<NodeSibling>>,
}

/// The five numbers of a vesting schedule; all absent of an account that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTiming {
    /// Nanomina.
    pub initial_minimum_balance: Option<String>,
    /// Slot since genesis.
    pub cliff_time: Option<String>,
    /// Nanomina.
    pub cliff_amount: Option<String>,
    /// Slots.
    pub vesting_period: Option<String>,
    /// Nanomina.
    pub vesting_increment: Option<String>,
}

/// One step of a Merkle path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSibling {
    /// Whether the way up comes from the left, so that the sibling is on the right: the element has
    /// `left` (MinaProtocol/mina `merkle_path.ml`, where ``implied_root`` folds `` `Left h`` so).
    pub from_left: bool,
    /// The sibling's hash, a field element.
    pub sibling: String,
}

/// Accounts, and the best tip they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAccounts {
    /// Best tip by the same answer.
    pub tip: SeenBlock,
    /// In the order they were asked for; absent when the ledger has no such account.
    pub accounts: Vec<Option<NodeAccount>>,
}

impl DaemonClient {
    /// What the node says about itself; it answers this while it waits for its genesis, too.
    ///
    /// # Errors
    ///
    /// Fails in every way a daemon can, see [`DaemonError`].
    pub fn node_status(&self) -> Result<NodeStatus, DaemonError> {
        const QUERY: &str = "query NodeStatus { syncStatus \
             daemonStatus { chainId commitId blockchainLength } \
             genesisConstants { genesisTimestamp } }";
        self.light::<NodeStatusJson>("daemonStatus", QUERY, json!({}))?
            .decode()
    }

    /// The best tip.
    ///
    /// # Errors
    ///
    /// As [`Self::node_status`]; a node without a frontier has none, which is
    /// [`DaemonError::NotReady`] or [`DaemonError::Null`].
    pub fn best_tip(&self) -> Result<SeenBlock, DaemonError> {
        let tip = self.best_chain(1)?.pop();
        tip.ok_or_else(|| DaemonError::Null {
            daemon: self.url().to_string(),
            field: "bestChain",
        })
    }

    /// The genesis block of the node's chain.
    ///
    /// # Errors
    ///
    /// As [`Self::node_status`].
    pub fn genesis_block(&self) -> Result<SeenBlock, DaemonError> {
        let query = format!("query GenesisBlock {{ genesisBlock {{ {BLOCK} }} }}");
        self.light::<GenesisBlockJson>("genesisBlock", &query, json!({}))?
            .decode()
    }

    /// At most [`ACCOUNTS_PER_QUERY_MAX`] accounts of the best tip's ledger in one query; what is
    /// beyond is not asked for.
    ///
    /// # Errors
    ///
    /// As [`Self::best_tip`]: the same query asks for the tip, so that "no such account" and "no
    /// ledger yet", both of which are null, are told apart.
    pub fn accounts(&self, ids: &[(PublicKey, TokenId)]) -> Result<NodeAccounts, DaemonError> {
        let ids = ids.get(..ACCOUNTS_PER_QUERY_MAX).unwrap_or(ids);
        let mut query = format!("query Accounts {{ bestChain(maxLength: 1) {{ {BLOCK} }}");
        for (number, (key, token)) in ids.iter().enumerate() {
            // Both texts are Base58Check, so they need no escapes. Writing to a string cannot fail.
            let _ = write!(
                query,
                " a{number}: account(publicKey: \"{key}\", token: \"{token}\") {{ {ACCOUNT} }}"
            );
        }
        query.push_str(" }");
        self.light::<AccountsJson>("account", &query, json!({}))?
            .decode(ids.len())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeStatusJson {
    sync_status: Option<String>,
    daemon_status: Option<TipStatusJson>,
    genesis_constants: Option<GenesisConstantsJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TipStatusJson {
    chain_id: Option<String>,
    commit_id: Option<String>,
    blockchain_length: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenesisConstantsJson {
    genesis_timestamp: Option<String>,
}

impl Answer<'_, NodeStatusJson> {
    fn decode(self) -> Result<NodeStatus, DaemonError> {
        let status = self.data.daemon_status.as_ref();
        let height = status.and_then(|status| status.blockchain_length.as_ref());
        let best_tip_height = height
            .map(|height| self.parse("blockchainLength", height, "a height"))
            .transpose()?;
        let sync_status = self.data.sync_status.clone();
        Ok(NodeStatus {
            sync_status: sync_status.ok_or_else(|| self.null())?,
            chain_id: status.and_then(|status| status.chain_id.clone()),
            commit_id: status.and_then(|status| status.commit_id.clone()),
            best_tip_height,
            genesis_timestamp: self
                .data
                .genesis_constants
                .as_ref()
                .and_then(|constants| constants.genesis_timestamp.clone()),
        })
    }
}

#[derive(Deserialize)]
struct GenesisBlockJson {
    #[serde(rename = "genesisBlock")]
    block: Option<BlockJson>,
}

impl Answer<'_, GenesisBlockJson> {
    fn decode(&self) -> Result<SeenBlock, DaemonError> {
        let block = self.data.block.as_ref().ok_or_else(|| self.null())?;
        self.block(block)
    }
}

#[derive(Deserialize)]
struct AccountsJson {
    #[serde(rename = "bestChain")]
    blocks: Option<Vec<BlockJson>>,
    /// By alias.
    #[serde(flatten)]
    accounts: BTreeMap<String, Option<AccountJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountJson {
    public_key: Option<String>,
    token_id: Option<Text>,
    token_symbol: Option<String>,
    balance: Option<BalanceJson>,
    nonce: Option<Text>,
    receipt_chain_hash: Option<String>,
    delegate_account: Option<DelegateJson>,
    voting_for: Option<String>,
    timing: Option<TimingJson>,
    permissions: Option<BTreeMap<String, Option<PermissionJson>>>,
    zkapp_state: Option<Vec<Text>>,
    action_state: Option<Vec<Text>>,
    verification_key: Option<VerificationKeyJson>,
    zkapp_uri: Option<String>,
    proved_state: Option<bool>,
    index: Option<Text>,
    leaf_hash: Option<Text>,
    merkle_path: Option<Vec<SiblingJson>>,
}

#[derive(Deserialize)]
struct BalanceJson {
    total: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DelegateJson {
    public_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimingJson {
    initial_minimum_balance: Option<Text>,
    cliff_time: Option<Text>,
    cliff_amount: Option<Text>,
    vesting_period: Option<Text>,
    vesting_increment: Option<Text>,
}

/// One word, or the word with the version it was set under.
#[derive(Deserialize)]
#[serde(untagged)]
enum PermissionJson {
    Word(String),
    Versioned {
        auth: Option<String>,
        #[serde(rename = "txnVersion")]
        txn_version: Option<Text>,
    },
}

#[derive(Deserialize)]
struct VerificationKeyJson {
    hash: Option<Text>,
}

#[derive(Deserialize)]
struct SiblingJson {
    left: Option<Value>,
    right: Option<Value>,
}

impl Answer<'_, AccountsJson> {
    fn decode(mut self, count: usize) -> Result<NodeAccounts, DaemonError> {
        let blocks = self.data.blocks.take().ok_or_else(|| self.null())?;
        let tip = blocks.last().ok_or_else(|| self.null())?;
        let tip = self.block(tip)?;
        let mut accounts = std::mem::take(&mut self.data.accounts);
        let accounts = (0..count)
            .map(|number| {
                let account = accounts.remove(&format!("a{number}"));
                // An alias that is not there at all is no answer; null is "no such account".
                let account = account.ok_or_else(|| self.null())?;
                account.map(|account| self.account(account)).transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(NodeAccounts { tip, accounts })
    }

    fn account(&self, json: AccountJson) -> Result<NodeAccount, DaemonError> {
        let text = |found: Option<Text>| found.map(Text::into_string);
        let texts = |found: Option<Vec<Text>>| {
            found.map(|all| all.into_iter().map(Text::into_string).collect())
        };
        let index = json
            .index
            .map(|index| self.parse("index", &index, "a leaf index"))
            .transpose()?;
        let merkle_path = json
            .merkle_path
            .map(|path| path.into_iter().map(|one| self.sibling(one)).collect())
            .transpose()?;
        let timing = json
            .timing
            .map_or_else(NodeTiming::default, |timing| NodeTiming {
                initial_minimum_balance: text(timing.initial_minimum_balance),
                cliff_time: text(timing.cliff_time),
                cliff_amount: text(timing.cliff_amount),
                vesting_period: text(timing.vesting_period),
                vesting_increment: text(timing.vesting_increment),
            });
        let mut permissions = BTreeMap::new();
        for (name, permission) in json.permissions.unwrap_or_default() {
            match permission {
                None => {}
                Some(PermissionJson::Word(word)) => {
                    permissions.insert(name, word);
                }
                Some(PermissionJson::Versioned { auth, txn_version }) => {
                    if let Some(version) = txn_version {
                        permissions.insert("txnVersion".to_owned(), version.into_string());
                    }
                    if let Some(word) = auth {
                        permissions.insert(name, word);
                    }
                }
            }
        }
        Ok(NodeAccount {
            public_key: json.public_key,
            token_id: text(json.token_id),
            token_symbol: json.token_symbol,
            balance: json.balance.and_then(|balance| text(balance.total)),
            nonce: text(json.nonce),
            receipt_chain_hash: json.receipt_chain_hash,
            delegate: json.delegate_account.and_then(|account| account.public_key),
            voting_for: json.voting_for,
            timing,
            permissions,
            zkapp_state: texts(json.zkapp_state),
            action_state: texts(json.action_state),
            verification_key_hash: json.verification_key.and_then(|key| text(key.hash)),
            zkapp_uri: json.zkapp_uri,
            proved_state: json.proved_state,
            index,
            leaf_hash: text(json.leaf_hash),
            merkle_path,
        })
    }

    fn sibling(&self, json: SiblingJson) -> Result<NodeSibling, DaemonError> {
        let (from_left, sibling) = match (json.left, json.right) {
            (Some(sibling), None) => (true, sibling),
            (None, Some(sibling)) => (false, sibling),
            (left, _) => {
                let found = if left.is_some() { "both" } else { "neither" };
                return Err(self.value("merklePath", found, "one of left and right"));
            }
        };
        let sibling = match sibling {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(NodeSibling { from_left, sibling })
    }
}
