//! Which variables there are.

/// Whether a variable must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Required,
    /// Exactly one of those that say where the fork point is.
    Source,
    /// Not.
    Optional,
}

impl Need {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Source => "one source",
            Self::Optional => "optional",
        }
    }
}

/// A variable of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Names it was known by; the pipeline takes its value from the first that is set.
    pub old_names: &'static [&'static str],
    /// Whether it must be set.
    pub need: Need,
    /// What it is when it is not set; `None` when the step then decides by itself.
    pub default: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    /// A value.
    pub example: &'static str,
}

/// A variable that pipelines before this one knew, and that means nothing here.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Its name.
    pub name: &'static str,
    /// What takes its place.
    pub instead: &'static str,
}

const INPUT: &str = "a path, file://, http://, https://, s3:// or gs://; plain, gzip or zstd";

/// The contract.
pub const VARIABLES: [Variable; 29] = [
    Variable {
        name: "NETWORK",
        old_names: &["NETWORK_NAME", "TESTNET_NAME"],
        need: Need::Required,
        default: None,
        meaning: "the network",
        form: "the name of one that ships, in any case, or a network file",
        example: "devnet",
    },
    Variable {
        name: "FROM_ERA",
        old_names: &[],
        need: Need::Optional,
        default: Some("berkeley"),
        meaning: "era of the chain before the fork",
        form: "v1, berkeley or mesa",
        example: "berkeley",
    },
    Variable {
        name: "TO_ERA",
        old_names: &[],
        need: Need::Optional,
        default: Some("mesa"),
        meaning: "era of the chain after the fork",
        form: "berkeley or mesa; a migration must lead there",
        example: "mesa",
    },
    Variable {
        name: "CANDIDATE_STORE",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "a store that `dump-candidates capture` filled; the written rule chooses from it",
        form: "a directory, file://, s3:// or gs://",
        example: "s3://forks/devnet",
    },
    Variable {
        name: "STATE_HASH",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "a human's choice of the fork block, with CANDIDATE_STORE or ARCHIVE_URI; the candidate records it",
        form: "a state hash",
        example: "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
    },
    Variable {
        name: "CONFIRMATIONS",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "blocks that must lie above the fork block, with CANDIDATE_STORE",
        form: "a number",
        example: "20",
    },
    Variable {
        name: "FORK_CONFIG_URL",
        old_names: &["CONFIG_JSON_GZ_URL"],
        need: Need::Source,
        default: None,
        meaning: "answer of a daemon's fork_config query",
        form: INPUT,
        example: "https://example.org/fork_config.json.gz",
    },
    Variable {
        name: "REPLAYER_OUTPUT_URL",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "output of the replayer",
        form: INPUT,
        example: "https://example.org/replayer-output.json.gz",
    },
    Variable {
        name: "ARCHIVE_URI",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "archive database; the fork block is STATE_HASH, and BLOCK_URL and the two epoch ledgers may be given beside it",
        form: "postgresql://USER@HOST:PORT/DATABASE, without a password",
        example: "postgresql://archive@db.example:5432/archive",
    },
    Variable {
        name: "ARCHIVE_GENESIS_ACCOUNTS",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "genesis accounts of the old chain, for an archive that lacks them; with ARCHIVE_URI",
        form: INPUT,
        example: "https://example.org/genesis_ledger.json.gz",
    },
    Variable {
        name: "BLOCK_URL",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "the precomputed fork block; needed with the three ledgers, worth having with an export",
        form: INPUT,
        example: "gs://mina_network_block_data/devnet-478000-3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP.json",
    },
    Variable {
        name: "BLOCK_PREFIX",
        old_names: &[
            "PRECOMPUTED_FORK_BLOCK_PREFIX",
            "PRECOMPUTED_BLOCK_GS_PREFIX",
        ],
        need: Need::Optional,
        default: None,
        meaning: "where the precomputed fork block is, with FORK_CONFIG_URL and in place of BLOCK_URL: at PREFIX-HEIGHT-STATE_HASH.json, with the height and the state hash that the fork config claims",
        form: "as BLOCK_URL, up to the height",
        example: "gs://mina_network_block_data/devnet",
    },
    Variable {
        name: "STAGED_LEDGER_URL",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "staged ledger of the fork block; with BLOCK_URL and the two epoch ledgers",
        form: INPUT,
        example: "https://example.org/staged_ledger.json.gz",
    },
    Variable {
        name: "STAKING_LEDGER_URL",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "staking epoch ledger, with STAGED_LEDGER_URL; or with ARCHIVE_URI, where the archive cannot give it",
        form: INPUT,
        example: "https://example.org/staking_ledger.json.gz",
    },
    Variable {
        name: "NEXT_STAKING_LEDGER_URL",
        old_names: &[],
        need: Need::Source,
        default: None,
        meaning: "next epoch ledger, likewise",
        form: INPUT,
        example: "https://example.org/next_staking_ledger.json.gz",
    },
    Variable {
        name: "FORK_SLOT",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "slot of the new genesis since the first genesis",
        form: "a number",
        example: "859560",
    },
    Variable {
        name: "VARIANT",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "variant of the migration's rule",
        form: "a variant of the two eras' rule",
        example: "untimed-becomes-timed",
    },
    Variable {
        name: "UNVERIFIED_SOURCE",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "go on without a claimed root to compare with; every later document repeats it",
        form: "1, or empty",
        example: "1",
    },
    Variable {
        name: "PREFORK_CONFIG",
        old_names: &["FORKING_FROM_CONFIG_JSON"],
        need: Need::Required,
        default: None,
        meaning: "runtime config of the chain before the fork",
        form: INPUT,
        example: "https://example.org/daemon.json",
    },
    Variable {
        name: "GENESIS_TIMESTAMP",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "time of the new genesis; without one, it follows from the slots",
        form: "a time with its zone",
        example: "2026-08-19T18:00:00Z",
    },
    Variable {
        name: "SLOT_CHAIN_END",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "slot since the last hard fork at which the old chain ends; else the prefork config's",
        form: "a number",
        example: "413640",
    },
    Variable {
        name: "GENESIS_SLOT_DELTA",
        old_names: &["HARDFORK_GENESIS_SLOT_DELTA"],
        need: Need::Optional,
        default: None,
        meaning: "slots from the chain's end to the new genesis; else the prefork config's",
        form: "a number",
        example: "60",
    },
    Variable {
        name: "UNSCHEDULED",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "an emergency fork that the prefork config's stop slots did not plan; needs GENESIS_TIMESTAMP",
        form: "1, or empty",
        example: "1",
    },
    Variable {
        name: "VERSION",
        old_names: &[],
        need: Need::Required,
        default: None,
        meaning: "version of the package",
        form: "a Debian version without an epoch",
        example: "4.0.0-6850301",
    },
    Variable {
        name: "GIT_HASH",
        old_names: &[],
        need: Need::Required,
        default: None,
        meaning: "commit of the daemon that loads the config by itself",
        form: "the first 8 hexadecimal digits, lower case",
        example: "68503010",
    },
    Variable {
        name: "SEED_LIST_URL",
        old_names: &[],
        need: Need::Required,
        default: None,
        meaning: "where nodes find the list of seeds",
        form: "http:// or https://",
        example: "https://example.org/devnet_seeds.txt",
    },
    Variable {
        name: "CODENAME",
        old_names: &["CODENAMES"],
        need: Need::Optional,
        default: Some("bookworm"),
        meaning: "codename of the distribution the package and image are for",
        form: "letters, in any case; several: `pipeline-step generate --codenames`",
        example: "bookworm",
    },
    Variable {
        name: "ARCHITECTURE",
        old_names: &[],
        need: Need::Optional,
        default: Some("amd64"),
        meaning: "architecture of the image",
        form: "lower-case letters and digits; several: `pipeline-step generate --architectures`",
        example: "amd64",
    },
    Variable {
        name: "BASE_IMAGE",
        old_names: &[],
        need: Need::Required,
        default: None,
        meaning: "the image to build on",
        form: "oci:DIR, docker-archive:FILE, rootfs:DIR or [docker://]HOST/NAME:TAG or @DIGEST; `{codename}` and `{architecture}` are filled in",
        example: "docker.io/minaprotocol/mina-daemon:4.0.0-{codename}-generic",
    },
];

/// More of the contract: what the steps themselves run with.
pub const SETTINGS: [Variable; 3] = [
    Variable {
        name: "SIGNING_KEY_FILE",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "private key for the manifest, a file on the agent that signs; without one it is not signed",
        form: "a path; never the key itself",
        example: "/etc/forkpack/release.pem",
    },
    Variable {
        name: "ARCHIVE_PASSWORD_FILE",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "password of the archive in its first line, a file on the agent that imports",
        form: "a path of a file that only its owner may read; never the password itself",
        example: "/etc/forkpack/archive.password",
    },
    Variable {
        name: "FORKPACK_IMAGE",
        old_names: &[],
        need: Need::Optional,
        default: None,
        meaning: "image that the steps run in, with the workers in it",
        form: "HOST/NAME[:TAG]@sha256:DIGEST",
        example: "docker.io/forkpack/forkpack@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    },
];

/// What pipelines before this one knew.
pub const FOREIGN: [Foreign; 5] = [
    Foreign {
        name: "USE_ARTIFACTS_FROM_BUILDKITE_BUILD",
        instead: "nothing. No daemon is built here; BASE_IMAGE names the image that has one",
    },
    Foreign {
        name: "MINA_LEDGER_S3_BUCKET",
        instead: "`package-deb upload-ledgers`, after the run. Ledgers are in the package",
    },
    Foreign {
        name: "DUNE_PROFILE",
        instead: "nothing. Nothing is compiled here; NETWORK says what the network is",
    },
    Foreign {
        name: "REPO",
        instead: "BASE_IMAGE for the image to build on, and `package-image push` for where to",
    },
    Foreign {
        name: "FORCE_DOCKER_OVERWRITE",
        instead: "`package-image promote`. No tag that exists is pushed over",
    },
];

/// All variables of the contract, in its order.
pub(crate) fn all() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().chain(&SETTINGS)
}

/// Every name the pipeline passes on: those of the contract, the old ones, and those that mean
/// nothing here.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    let old = all().flat_map(|variable| variable.old_names.iter().copied());
    all()
        .map(|variable| variable.name)
        .chain(old)
        .chain(FOREIGN.iter().map(|foreign| foreign.name))
}
