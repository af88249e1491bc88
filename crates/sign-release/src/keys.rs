//! Keys: made, read, and their public halves.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, Operation};
use fork_sign::{KEY_BYTES_MAX, PublicKey, SecretKey, TrustedKeys};
use fork_worker::{Context, WorkerResult};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{KeygenArgs, PublicKeyArgs};
use crate::error::SignError;

/// Variable with the text of a private key.
const VARIABLE: &str = "FORKPACK_SIGNING_KEY";
/// Where the operating system has random bytes. It never blocks and never runs out.
const RANDOM: &str = "/dev/urandom";
const PRIVATE_NAME: &str = "signing-key.pem";
const PUBLIC_NAME: &str = "signing-key.pub";
/// Ending of public keys in a directory of trusted keys.
const PUBLIC_ENDING: &str = ".pub";

/// The private key in a file, or in the variable when no file is named. What was read is overwritten.
pub(crate) fn read_secret(file: Option<&Path>) -> Result<SecretKey, SignError> {
    let (name, pem) = match file {
        Some(path) => (format!("`{}`", path.display()), read_pem(path)?),
        // No option of clap: it would be one of the command line too, which every process list shows.
        None => match std::env::var_os(VARIABLE) {
            Some(text) => (
                format!("the variable {VARIABLE}"),
                Zeroizing::new(text.into_vec()),
            ),
            None => return Err(SignError::NoKey),
        },
    };
    SecretKey::from_pem(&pem).map_err(|source| SignError::Key { name, source })
}

/// A key file. The buffer never grows, because growing leaves a copy behind.
fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, SignError> {
    let most = KEY_BYTES_MAX + 1;
    let capacity = usize::try_from(most + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    fork_fs::open(path)?
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| FsError::io(Operation::Read, path, source))?;
    Ok(bytes)
}

/// The public keys of files and directories.
pub(crate) fn read_trusted(paths: &[PathBuf]) -> Result<TrustedKeys, SignError> {
    let mut trusted = TrustedKeys::new();
    for path in paths {
        if !path.is_dir() {
            add_trusted(&mut trusted, path)?;
            continue;
        }
        for name in fork_fs::sorted_names(path)? {
            if name.to_string_lossy().ends_with(PUBLIC_ENDING) {
                add_trusted(&mut trusted, &path.join(name))?;
            }
        }
    }
    Ok(trusted)
}

fn add_trusted(trusted: &mut TrustedKeys, path: &Path) -> Result<(), SignError> {
    let key = PublicKey::from_pem(&read_pem(path)?).map_err(|source| SignError::Key {
        name: format!("`{}`", path.display()),
        source,
    })?;
    trusted
        .insert(key)
        .map(drop)
        .map_err(|source| SignError::Envelope {
            path: path.to_owned(),
            source,
        })
}

/// A public key, as it is printed.
#[derive(Serialize)]
struct Public {
    key: String,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_file: Option<PathBuf>,
}

impl KeygenArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let made = self.keygen()?;
        let human = format!(
            "key      {}\nprivate  {}\npublic   {}",
            made.key,
            self.output.join(PRIVATE_NAME).display(),
            self.output.join(PUBLIC_NAME).display(),
        );
        context.emit(&human, &made)?;
        Ok(())
    }

    fn keygen(&self) -> Result<Public, SignError> {
        fork_fs::create_dir_all(&self.output)?;
        let private_file = self.output.join(PRIVATE_NAME);
        let public_file = self.output.join(PUBLIC_NAME);
        for path in [&private_file, &public_file] {
            if fork_fs::exists(path) {
                return Err(exists(path));
            }
        }
        let mut seed = Zeroizing::new([0; 32]);
        let path = Path::new(RANDOM);
        fork_fs::open(path)?
            .read_exact(seed.as_mut())
            .map_err(|source| SignError::Random {
                path: path.to_owned(),
                source,
            })?;
        let fault = |source| SignError::Key {
            name: "random bytes".to_owned(),
            source,
        };
        let secret = SecretKey::from_seed(&seed).map_err(fault)?;
        let public_key = secret.public().to_pem().map_err(fault)?;
        let pem = secret.to_pem().map_err(fault)?;
        write_new(AtomicFile::create_private(&private_file)?, pem.as_bytes())?;
        write_new(AtomicFile::create(&public_file)?, public_key.as_bytes())?;
        Ok(Public {
            key: secret.public().id().to_string(),
            public_key,
            private_file: Some(private_file),
            public_file: Some(public_file),
        })
    }
}

fn write_new(mut file: AtomicFile, bytes: &[u8]) -> Result<(), SignError> {
    let path = file.target().to_owned();
    file.write_all(bytes)
        .map_err(|source| file.write_error(source))?;
    if file.commit_new()? {
        return Ok(());
    }
    Err(exists(&path))
}

fn exists(path: &Path) -> SignError {
    SignError::Exists {
        path: path.to_owned(),
        is_key: true,
    }
}

impl PublicKeyArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let secret = read_secret(self.key.as_deref())?;
        let public_key = secret.public().to_pem().map_err(|source| SignError::Key {
            name: "the public half".to_owned(),
            source,
        })?;
        context.note(&format!("key {}", secret.public().id()));
        context.emit(
            &public_key,
            &Public {
                key: secret.public().id().to_string(),
                public_key: public_key.clone(),
                private_file: None,
                public_file: None,
            },
        )?;
        Ok(())
    }
}
