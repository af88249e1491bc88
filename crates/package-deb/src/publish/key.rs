//! Keys from files and from the environment.

use std::path::{Path, PathBuf};

use fork_sign::openpgp::{KEY_BYTES_MAX, OpenPgpKey, OpenPgpKeyring};
use fork_worker::UsageError;

use super::PublishError;

/// Holds the key itself, armored. There is no option for it: a command line can be read by everybody.
const KEY: &str = "FORKPACK_APT_KEY";
const PASSPHRASE: &str = "FORKPACK_APT_PASSPHRASE";

/// The key to sign with.
pub(super) fn secret(file: Option<&Path>) -> Result<OpenPgpKey, PublishError> {
    let (bytes, name) = read(file)?;
    let passphrase = std::env::var(PASSPHRASE).ok();
    Ok(OpenPgpKey::read(&bytes, passphrase.as_deref(), &name)?)
}

/// The key to believe.
pub(super) fn public(file: Option<&Path>) -> Result<OpenPgpKeyring, PublishError> {
    let (bytes, name) = read(file)?;
    Ok(OpenPgpKeyring::read(&bytes, &name)?)
}

/// Adds the keys in these files.
pub(super) fn extend(keyring: &mut OpenPgpKeyring, files: &[PathBuf]) -> Result<(), PublishError> {
    for file in files {
        keyring.extend(public(Some(file))?);
    }
    Ok(())
}

fn read(file: Option<&Path>) -> Result<(Vec<u8>, String), PublishError> {
    if let Some(path) = file {
        let bytes = fork_fs::read_limited(path, KEY_BYTES_MAX)?;
        return Ok((bytes, format!("`{}`", path.display())));
    }
    match std::env::var_os(KEY).filter(|key| !key.is_empty()) {
        Some(key) => Ok((
            key.into_encoded_bytes(),
            format!("the environment variable {KEY}"),
        )),
        None => Err(PublishError::Usage(UsageError::new(
            "no key was given",
            format!("name the file of an OpenPGP key with --key, or put the key into {KEY}"),
        ))),
    }
}
