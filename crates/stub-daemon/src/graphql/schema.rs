//! The types of the subset: which object has which fields, and which query takes which arguments.

/// Fields of the types; beside each field the type of its value, empty for a scalar.
const TYPES: &[(&str, &[(&str, &str)])] = &[
    (
        "query",
        &[
            ("syncStatus", ""),
            ("daemonStatus", "DaemonStatus"),
            ("bestChain", "Block"),
            ("block", "Block"),
            ("genesisBlock", "Block"),
            ("fork_config", ""),
            ("runtimeConfig", ""),
            ("protocolState", ""),
            ("account", "Account"),
            ("genesisConstants", "GenesisConstants"),
            ("networkID", ""),
            ("signatureKind", ""),
            ("version", ""),
            ("timeOffset", ""),
        ],
    ),
    (
        "DaemonStatus",
        &[
            ("numAccounts", ""),
            ("blockchainLength", ""),
            ("highestBlockLengthReceived", ""),
            ("highestUnvalidatedBlockLengthReceived", ""),
            ("uptimeSecs", ""),
            ("ledgerMerkleRoot", ""),
            ("stateHash", ""),
            ("chainId", ""),
            ("commitId", ""),
            ("confDir", ""),
            ("peers", "Peer"),
            ("syncStatus", ""),
            ("consensusTimeNow", "ConsensusTime"),
            ("consensusTimeBestTip", "ConsensusTime"),
            ("globalSlotSinceGenesisBestTip", ""),
            ("consensusMechanism", ""),
            ("consensusConfiguration", "ConsensusConfiguration"),
            ("addrsAndPorts", "AddrsAndPorts"),
            ("metrics", "Metrics"),
        ],
    ),
    ("Peer", &[("peerId", ""), ("host", ""), ("libp2pPort", "")]),
    (
        "ConsensusTime",
        &[
            ("epoch", ""),
            ("slot", ""),
            ("globalSlot", ""),
            ("startTime", ""),
            ("endTime", ""),
        ],
    ),
    (
        "ConsensusConfiguration",
        &[
            ("delta", ""),
            ("k", ""),
            ("slotsPerEpoch", ""),
            ("slotDuration", ""),
            ("epochDuration", ""),
            ("acceptableNetworkDelay", ""),
            ("genesisStateTimestamp", ""),
        ],
    ),
    (
        "AddrsAndPorts",
        &[
            ("externalIp", ""),
            ("bindIp", ""),
            ("libp2pPort", ""),
            ("clientPort", ""),
            ("peer", "Peer"),
        ],
    ),
    (
        "Metrics",
        &[
            ("blockProductionDelay", ""),
            ("transactionPoolDiffReceived", ""),
            ("transactionPoolDiffBroadcasted", ""),
            ("transactionsAddedToPool", ""),
            ("transactionPoolSize", ""),
            ("snarkPoolDiffReceived", ""),
            ("snarkPoolDiffBroadcasted", ""),
            ("pendingSnarkWork", ""),
            ("snarkPoolSize", ""),
        ],
    ),
    (
        "Block",
        &[
            ("creator", ""),
            ("creatorAccount", "Account"),
            ("winnerAccount", "Account"),
            ("stateHash", ""),
            ("commandTransactionCount", ""),
            ("protocolState", "ProtocolState"),
            ("transactions", "Transactions"),
            ("snarkJobs", "SnarkJob"),
        ],
    ),
    ("SnarkJob", &[("fee", ""), ("prover", ""), ("workIds", "")]),
    (
        "ProtocolState",
        &[
            ("previousStateHash", ""),
            ("blockchainState", "BlockchainState"),
            ("consensusState", "ConsensusState"),
        ],
    ),
    (
        "BlockchainState",
        &[
            ("date", ""),
            ("utcDate", ""),
            ("snarkedLedgerHash", ""),
            ("stagedLedgerHash", ""),
            ("stagedLedgerAuxHash", ""),
            ("stagedLedgerPendingCoinbaseAux", ""),
            ("stagedLedgerPendingCoinbaseHash", ""),
            ("stagedLedgerProofEmitted", ""),
            ("bodyReference", ""),
        ],
    ),
    (
        "ConsensusState",
        &[
            ("blockchainLength", ""),
            ("blockHeight", ""),
            ("epochCount", ""),
            ("minWindowDensity", ""),
            ("lastVrfOutput", ""),
            ("totalCurrency", ""),
            ("stakingEpochData", "EpochData"),
            ("nextEpochData", "EpochData"),
            ("hasAncestorInSameCheckpointWindow", ""),
            ("slot", ""),
            ("slotSinceGenesis", ""),
            ("epoch", ""),
            ("superchargedCoinbase", ""),
            ("blockStakeWinner", ""),
            ("blockCreator", ""),
            // As upstream spells it.
            ("coinbaseReceiever", ""),
        ],
    ),
    (
        "EpochData",
        &[
            ("ledger", "EpochLedger"),
            ("seed", ""),
            ("startCheckpoint", ""),
            ("lockCheckpoint", ""),
            ("epochLength", ""),
        ],
    ),
    ("EpochLedger", &[("hash", ""), ("totalCurrency", "")]),
    (
        "Transactions",
        &[
            ("userCommands", "UserCommand"),
            ("zkappCommands", "ZkappCommand"),
            ("feeTransfer", "FeeTransfer"),
            ("coinbase", ""),
            ("coinbaseReceiverAccount", "Account"),
        ],
    ),
    (
        "UserCommand",
        &[
            ("id", ""),
            ("hash", ""),
            ("kind", ""),
            ("nonce", ""),
            ("fee", ""),
            ("amount", ""),
            ("memo", ""),
            ("failureReason", ""),
        ],
    ),
    ("ZkappCommand", &[("id", ""), ("hash", "")]),
    (
        "FeeTransfer",
        &[("recipient", ""), ("fee", ""), ("type", "")],
    ),
    (
        "GenesisConstants",
        &[
            ("accountCreationFee", ""),
            ("coinbase", ""),
            ("genesisTimestamp", ""),
        ],
    ),
    (
        "Account",
        &[
            ("publicKey", ""),
            ("token", ""),
            ("tokenId", ""),
            ("tokenSymbol", ""),
            ("balance", "Balance"),
            ("nonce", ""),
            ("inferredNonce", ""),
            ("delegate", ""),
            ("delegateAccount", "Account"),
            ("receiptChainHash", ""),
            ("votingFor", ""),
            ("timing", "Timing"),
            ("permissions", "Permissions"),
            ("zkappState", ""),
            ("actionState", ""),
            ("verificationKey", "VerificationKey"),
            ("zkappUri", ""),
            ("provedState", ""),
            ("index", ""),
            ("leafHash", ""),
            ("merklePath", "MerklePathElement"),
        ],
    ),
    (
        "Balance",
        &[
            ("total", ""),
            ("unknown", ""),
            ("liquid", ""),
            ("locked", ""),
            ("blockHeight", ""),
            ("stateHash", ""),
        ],
    ),
    (
        "Timing",
        &[
            ("initialMinimumBalance", ""),
            ("cliffTime", ""),
            ("cliffAmount", ""),
            ("vestingPeriod", ""),
            ("vestingIncrement", ""),
        ],
    ),
    (
        "Permissions",
        &[
            ("editState", ""),
            ("access", ""),
            ("send", ""),
            ("receive", ""),
            ("setDelegate", ""),
            ("setPermissions", ""),
            ("setVerificationKey", "VersionedPermission"),
            ("setZkappUri", ""),
            ("editActionState", ""),
            ("setTokenSymbol", ""),
            ("incrementNonce", ""),
            ("setVotingFor", ""),
            ("setTiming", ""),
        ],
    ),
    ("VersionedPermission", &[("auth", ""), ("txnVersion", "")]),
    ("VerificationKey", &[("hash", "")]),
    ("MerklePathElement", &[("left", ""), ("right", "")]),
];

/// Arguments of the queries; the others take none.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("bestChain", &["maxLength"]),
    ("block", &["height", "stateHash"]),
    ("fork_config", &["height", "stateHash"]),
    ("protocolState", &["encoding", "height", "stateHash"]),
    ("account", &["publicKey", "token"]),
];

/// Name of the type all queries start from.
pub(super) const QUERY: &str = "query";

/// Type of a field's value, empty for a scalar; `None` if the type has no such field.
pub(super) fn field_type(of: &str, field: &str) -> Option<&'static str> {
    if field == "__typename" {
        return Some("");
    }
    let (_, fields) = TYPES.iter().find(|(name, _)| *name == of)?;
    let (_, value) = fields.iter().find(|(name, _)| *name == field)?;
    Some(value)
}

/// Whether a field takes an argument of this name.
pub(super) fn has_argument(of: &str, field: &str, argument: &str) -> bool {
    of == QUERY
        && ARGUMENTS
            .iter()
            .any(|(name, arguments)| *name == field && arguments.contains(&argument))
}
