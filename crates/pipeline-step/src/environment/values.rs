//! What a single value must look like, by variable.

use std::path::Path;

use fork_archive::ArchiveUri;
use fork_daemon::StoreUrl;
use fork_daemon::registry::ImageReference;
use fork_genesis::block::Block;
use fork_genesis::config::PreforkConfig;
use fork_genesis::network::{Network, NetworkError};
use fork_genesis::timestamp::{GenesisTimestamp, TimestampError};
use fork_package::PackageVersion;
use fork_sign::SecretKey;
use fork_types::{Era, Fault, SlotSinceGenesis, SlotSinceHardFork, SlotSpan, StateHash};

use fork_worker::InputArg;

use super::look::{Wrong, directory, file, input, looks_like_a_key, wrong};

/// Largest prefork config read, in bytes; the steps' own limit.
const PREFORK_BYTES_MAX: u64 = 16 << 20;

/// Largest key file read, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// What a value is held against besides itself.
pub(crate) struct Around<'a> {
    /// The codename the pipeline will use.
    pub(crate) codename: &'a str,
    /// The architecture the pipeline will use.
    pub(crate) architecture: &'a str,
    /// Whether other machines may run the steps.
    pub(crate) has_agents: bool,
}

/// Holds one value, which is not empty, against its form. `Ok` has a note, if there is one.
pub(crate) fn value(name: &str, value: &str, around: &Around) -> Result<Option<String>, Wrong> {
    match name {
        "NETWORK" => network(value).map(|_| None),
        "FROM_ERA" | "TO_ERA" => era(value).map(|_| None),
        "CANDIDATE_STORE" => store(value).map(|()| None),
        "ARCHIVE_URI" => archive(value),
        "STATE_HASH" => parsed::<StateHash>(
            value,
            "is no state hash",
            "a state hash, which begins with 3N",
            "copy it from `dump-candidates list`, `materialize-ledger list` or the announcement",
        ),
        "CONFIRMATIONS" => number::<u32>(value),
        "FORK_SLOT" => number::<SlotSinceGenesis>(value),
        "SLOT_CHAIN_END" => number::<SlotSinceHardFork>(value),
        "GENESIS_SLOT_DELTA" => number::<SlotSpan>(value),
        "FORK_CONFIG_URL"
        | "REPLAYER_OUTPUT_URL"
        | "BLOCK_URL"
        | "STAGED_LEDGER_URL"
        | "STAKING_LEDGER_URL"
        | "NEXT_STAKING_LEDGER_URL"
        | "ARCHIVE_GENESIS_ACCOUNTS" => input(value).map(|()| None),
        "PREFORK_CONFIG" => prefork(value),
        "BLOCK_PREFIX" => prefix(value, around),
        "UNVERIFIED_SOURCE" | "UNSCHEDULED" => switch(value),
        "GENESIS_TIMESTAMP" => timestamp(value),
        "VERSION" => version(value),
        "GIT_HASH" => git_hash(value),
        "SEED_LIST_URL" => seed_list(value),
        "CODENAME" => lower_case(&value.to_ascii_lowercase(), false, "bookworm"),
        "ARCHITECTURE" => lower_case(value, true, "amd64"),
        "BASE_IMAGE" => base_image(value, around),
        "SIGNING_KEY_FILE" => key_file(value, around),
        "ARCHIVE_PASSWORD_FILE" => password_file(value, around),
        "FORKPACK_IMAGE" => step_image(value),
        _ => Ok(None),
    }
}

/// The network a value names.
pub(crate) fn network(value: &str) -> Result<Network, Wrong> {
    let names: Vec<&str> = Network::builtin_names().collect();
    let expected = format!("one of {}, or the path of a network file", names.join(", "));
    let bytes = fork_fs::read_named_file(value, NETWORK_BYTES_MAX).map_err(|error| {
        let problem = format!("names a network file that cannot be read ({error})");
        wrong(
            problem,
            &expected,
            "correct the path; every agent must see it",
        )
    })?;
    Network::named(value, bytes.as_deref()).map_err(|error| match error {
        NetworkError::Unknown { .. } => wrong(
            "names no network that ships, and no file",
            &expected,
            "correct the name, or write a network file (docs/networks.md)",
        ),
        error => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            let problem = format!("names a network file that is wrong ({error}{cause})");
            wrong(problem, &expected, "correct the file (docs/networks.md)")
        }
    })
}

/// The era a value names.
pub(crate) fn era(value: &str) -> Result<Era, Wrong> {
    value.parse().map_err(|_| {
        let advice = "write the era in lower case";
        wrong("is no era", "v1, berkeley or mesa", advice)
    })
}

fn store(value: &str) -> Result<(), Wrong> {
    match value.parse::<StoreUrl>() {
        Ok(StoreUrl::Local(path)) => directory(&path),
        Ok(StoreUrl::Remote(_)) => Ok(()),
        // The message repeats nothing of the value.
        Err(message) => Err(wrong(
            format!("is no store: {message}"),
            "a directory, file:///DIR, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX",
            "name the store that `dump-candidates capture` filled",
        )),
    }
}

/// The database; whatever is wrong with it, none of it is repeated.
fn archive(value: &str) -> Result<Option<String>, Wrong> {
    let expected =
        "postgresql://USER@HOST:PORT/DATABASE, or postgresql://USER@/DATABASE?host=/DIRECTORY";
    match ArchiveUri::parse(value) {
        Ok(uri) if uri.has_password() => Err(wrong(
            "holds a password",
            expected,
            "variables of a pipeline are shown to everybody: change this password, put the new one \
             into a file on the agent, and name that in ARCHIVE_PASSWORD_FILE",
        )),
        Ok(_) => Ok(None),
        Err(error) => Err(wrong(
            format!("cannot be used: {error}"),
            expected,
            error.hint().unwrap_or_default(),
        )),
    }
}

fn password_file(value: &str, around: &Around) -> Result<Option<String>, Wrong> {
    let path = Path::new(value);
    if !path.exists() && around.has_agents {
        return Ok(Some(
            "ARCHIVE_PASSWORD_FILE is not on this machine; it must be on the agent that runs the step \
             `import`"
                .to_owned(),
        ));
    }
    file(path)?;
    if fork_fs::is_private(path).unwrap_or(true) {
        return Ok(None);
    }
    Err(wrong(
        "names a file that others may read",
        "a file that its owner alone may read and write",
        "take the rights of the others away: chmod 600",
    ))
}

fn parsed<T: std::str::FromStr>(
    value: &str,
    problem: &str,
    expected: &str,
    advice: &str,
) -> Result<Option<String>, Wrong> {
    match value.parse::<T>() {
        Ok(_) => Ok(None),
        Err(_) => Err(wrong(problem, expected, advice)),
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "a whole number, digits only, at most 4294967295";
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || value.parse::<T>().is_err() {
        return Err(wrong(
            "is no number",
            expected,
            "write the number, or leave it empty",
        ));
    }
    Ok(None)
}

/// The pipeline asks whether it is empty, so every other word means yes.
fn switch(value: &str) -> Result<Option<String>, Wrong> {
    match value {
        "1" => Ok(None),
        _ => Err(wrong(
            "is neither 1 nor empty",
            "1, or nothing",
            "write 1 for yes and leave it empty for no; any word, `false` too, would mean yes",
        )),
    }
}

fn timestamp(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "a time like 2026-08-19T18:00:00Z";
    match GenesisTimestamp::parse(value) {
        Ok((_, None)) => Ok(None),
        Ok((_, Some(_))) => Err(wrong(
            "has no time zone",
            expected,
            "add Z for UTC; without a zone, daemons take it for UTC-8",
        )),
        Err(error) => Err(wrong(
            match error {
                TimestampError::Malformed { .. } => "is no time",
                TimestampError::Impossible { .. } => "has the form of a time and is none",
                TimestampError::TooFine { .. } => "is finer than a millisecond",
                TimestampError::OutOfRange { .. } => "is before 1970 or after the year 9999",
            },
            expected,
            "write it like that, or leave it empty: it then follows from the slots",
        )),
    }
}

fn version(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "a Debian version such as 4.0.0-6850301";
    let problem = match value.parse::<PackageVersion>() {
        Ok(version) if version.has_epoch() => {
            let advice = "leave out the part before the colon";
            return Err(wrong(
                "has an epoch, which file names cannot hold",
                expected,
                advice,
            ));
        }
        Ok(_) => return Ok(None),
        Err(error) => error.to_string(),
    };
    let problem = problem.rsplit_once(": ").map_or("", |(_, reason)| reason);
    Err(wrong(
        format!("is no Debian version: {problem}"),
        expected,
        "begin with a digit; letters, digits and . + - ~ may follow",
    ))
}

fn git_hash(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "exactly 8 hexadecimal digits, lower case";
    let digits = value.len();
    if !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("is no commit", expected, "copy the daemon's commit"));
    }
    if digits < 8 {
        return Err(wrong(
            format!(
                "has {digits} digits; a daemon looks for config_<8 digits>.json and loads no other"
            ),
            expected,
            "`git rev-parse --short=8 COMMIT` has all eight",
        ));
    }
    if digits > 8 {
        let short = value.get(..8).unwrap_or_default().to_ascii_lowercase();
        return Err(wrong(
            format!(
                "has {digits} digits; a daemon looks for config_<8 digits>.json and loads no other"
            ),
            expected,
            format!("write {short}"),
        ));
    }
    if value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let advice = format!("write {}", value.to_ascii_lowercase());
        return Err(wrong("has upper-case digits", expected, advice));
    }
    Ok(None)
}

fn seed_list(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "an http:// or https:// URL without blanks, quotes, `\\` and `$`";
    let rest = value.strip_prefix("https://");
    let rest = rest
        .or_else(|| value.strip_prefix("http://"))
        .unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\$`".contains(&byte);
    if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(plain) {
        let advice = "nodes fetch it themselves: give the address they can reach";
        return Err(wrong("is no address nodes could fetch", expected, advice));
    }
    Ok(None)
}

fn lower_case(value: &str, digits: bool, example: &str) -> Result<Option<String>, Wrong> {
    let good = |byte: u8| byte.is_ascii_lowercase() || (digits && byte.is_ascii_digit());
    if value.bytes().all(good) {
        return Ok(None);
    }
    let lower = value.to_ascii_lowercase();
    let advice = if lower.bytes().all(good) {
        format!("write {lower}")
    } else {
        "give one; `pipeline-step generate` makes a pipeline for several".to_owned()
    };
    let expected = format!(
        "lower-case letters{}, as {example}",
        if digits { " and digits" } else { "" }
    );
    Err(wrong("is not in lower case", expected, advice))
}

fn base_image(value: &str, around: &Around) -> Result<Option<String>, Wrong> {
    let forms = "oci:DIR, docker-archive:FILE, rootfs:DIR, or HOST/NAME:TAG or HOST/NAME@DIGEST";
    let filled = value
        .replace("{codename}", around.codename)
        .replace("{architecture}", around.architecture);
    if filled.contains(['{', '}']) {
        return Err(wrong(
            "has a placeholder nobody fills in",
            "{codename} and {architecture}, no others",
            "correct the name in braces",
        ));
    }
    let (kind, path) = filled.split_once(':').unwrap_or((&filled, ""));
    match kind {
        "oci" | "docker-archive" | "rootfs" if path.is_empty() => {
            let problem = format!("has no path after `{kind}:`");
            return Err(wrong(problem, forms, "name what to build on"));
        }
        "docker-archive" => return file(Path::new(path)).map(|()| None),
        "rootfs" => {
            directory(Path::new(path))?;
            return of_architecture(Path::new(path), around.architecture).map(|()| None);
        }
        "oci" => {
            directory(Path::new(path))?;
            if !Path::new(path).join("index.json").is_file() {
                let expected = "a directory with index.json in it";
                let advice = "name the layout's own directory";
                return Err(wrong(
                    "names a directory that is no OCI layout",
                    expected,
                    advice,
                ));
            }
            return Ok(None);
        }
        _ => {}
    }
    let name = filled.strip_prefix("docker://").unwrap_or(&filled);
    let Ok(reference) = name.parse::<ImageReference>() else {
        return Err(wrong(
            "is no image",
            forms,
            "write the host as well, as in docker.io/library/debian:bookworm",
        ));
    };
    if reference.tag().is_none() && reference.digest().is_none() {
        let advice = "add a tag, or better a digest: what a tag names can change";
        return Err(wrong(
            "names an image without tag and digest",
            forms,
            advice,
        ));
    }
    Ok(reference.digest().is_none().then(|| {
        "BASE_IMAGE names a tag, and what that names can change; a digest is better".to_owned()
    }))
}

/// Whether a root file system is of the architecture that the image is to have, where it says.
fn of_architecture(root: &Path, architecture: &str) -> Result<(), Wrong> {
    let known = fork_fs::read_limited(&root.join("var/lib/dpkg/arch"), 4096).unwrap_or_default();
    let known = String::from_utf8_lossy(&known);
    let names: Vec<&str> = known.split_whitespace().collect();
    if names.is_empty() || names.contains(&architecture) {
        return Ok(());
    }
    Err(wrong(
        format!(
            "names a root file system of {}, and ARCHITECTURE is {architecture}",
            names.join(", ")
        ),
        "a base of the image's architecture",
        "correct one of the two",
    ))
}

fn key_file(value: &str, around: &Around) -> Result<Option<String>, Wrong> {
    let expected = "the path of a file with a private key";
    if looks_like_a_key(value) {
        return Err(wrong(
            "holds a key",
            expected,
            "variables of a pipeline are shown to everybody: take this key out of use, make another \
             one, put it into a file on the agent and name that",
        ));
    }
    let path = Path::new(value);
    if !path.exists() && around.has_agents {
        return Ok(Some(
            "SIGNING_KEY_FILE is not on this machine; it must be on the agent that runs the step \
             `manifest`"
                .to_owned(),
        ));
    }
    file(path)?;
    let problem = match secret_key(path) {
        None => return Ok(None),
        Some(problem) => problem,
    };
    Err(wrong(
        format!("names a file that nothing can be signed with: {problem}"),
        "an ed25519 private key in PEM (PKCS#8)",
        "name the private key; `sign-release keygen` makes one",
    ))
}

/// Why a file is no key to sign with; `None` when it is one. Nothing of its content is in the answer, and
/// what was read is overwritten.
fn secret_key(path: &Path) -> Option<String> {
    let mut bytes = match fork_fs::read_limited(path, KEY_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(_) => return Some("it is too large".to_owned()),
    };
    let read = SecretKey::from_pem(&bytes);
    bytes.fill(0);
    std::hint::black_box(&bytes);
    read.err().map(|error| error.to_string())
}

/// A config of a chain, where it can be read here.
fn prefork(value: &str) -> Result<Option<String>, Wrong> {
    input(value)?;
    let Some(Err(error)) = local_prefork(value) else {
        return Ok(None);
    };
    let expected = "the runtime config (daemon.json) of the chain before the fork";
    let problem = format!("is no runtime config: {error}");
    let advice = "name the config that the old chain's nodes run with";
    Err(wrong(problem, expected, advice))
}

/// The prefork config when it is a file here; `None` when it is elsewhere, or packed.
pub(crate) fn local_prefork(value: &str) -> Option<Result<PreforkConfig, String>> {
    let Ok(InputArg::Path(path)) = value.parse() else {
        return None;
    };
    let bytes = fork_fs::read_limited(&path, PREFORK_BYTES_MAX).ok()?;
    // gzip, and zstd.
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return None;
    }
    let read = PreforkConfig::from_json(&bytes).map_err(|error| chain(&error));
    // It is read leniently, and takes whatever has none of its members.
    let is_block = |config: &PreforkConfig| {
        config.genesis_timestamp.is_none() && Block::from_slice(&bytes).is_ok()
    };
    Some(match read {
        Ok(config) if is_block(&config) => Err("it is a precomputed block".to_owned()),
        read => read,
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The beginning of a block's name: a block of that name could be an input.
fn prefix(value: &str, around: &Around) -> Result<Option<String>, Wrong> {
    let expected = "a path or URL up to the height, as gs://mina_network_block_data/devnet";
    match value.parse::<InputArg>() {
        Ok(InputArg::Path(path)) => {
            let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
            if around.has_agents || parent.is_none_or(Path::is_dir) {
                return Ok(None);
            }
            let problem = "is a path in a directory that is not on this machine";
            Err(wrong(problem, expected, "correct the path, or give a URL"))
        }
        _ => input(&format!("{value}-1-STATE_HASH.json")).map(|()| None),
    }
}

fn step_image(value: &str) -> Result<Option<String>, Wrong> {
    let expected = "HOST/NAME[:TAG]@sha256:DIGEST";
    let Ok(reference) = value.parse::<ImageReference>() else {
        let advice = "write the host as well, and no docker://";
        return Err(wrong("is no image", expected, advice));
    };
    if reference.digest().is_none() {
        return Err(wrong(
            "is not pinned: what a tag names can change during a run",
            expected,
            "add the digest that the image was published with",
        ));
    }
    Ok(None)
}
