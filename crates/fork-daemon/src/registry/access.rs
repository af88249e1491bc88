//! Credentials for a registry.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::error::RegistryError;
use crate::store::Cause;
use crate::store::secrets::Secrets;

/// Environment variable with the user's name.
pub const USER: &str = "FORKPACK_REGISTRY_USER";
/// Environment variable with the user's password.
pub const PASSWORD: &str = "FORKPACK_REGISTRY_PASSWORD";
/// Environment variable with a token that is sent as it is.
pub const TOKEN: &str = "FORKPACK_REGISTRY_TOKEN";

/// Largest config file read, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What to show a registry that asks who one is.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    #[default]
    Anonymous,
    /// User and password; exchanged for a token where the registry has a service for that.
    Password {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// A token that is sent as it is.
    Token(String),
}

impl fmt::Debug for Access {
    /// Which kind it is and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// What `docker login` writes, as far as it is used here.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: String,
}

impl Access {
    /// The credentials that the environment's [`USER`] and [`PASSWORD`], or [`TOKEN`], give for
    /// `registry`; empty variables count as none.
    ///
    /// # Errors
    ///
    /// Fails when they contradict each other.
    pub fn from_environment(registry: &str) -> Result<Self, RegistryError> {
        let names = [USER, PASSWORD, TOKEN];
        let [user, password, token] = names.map(|name| {
            let value = std::env::var(name).unwrap_or_default();
            (!value.is_empty()).then_some(value)
        });
        match (user, password, token) {
            (None, None, None) => Ok(Self::Anonymous),
            (Some(user), Some(password), None) => Ok(Self::Password { user, password }),
            (None, None, Some(token)) => Ok(Self::Token(token)),
            (_, _, Some(_)) => Err(unusable(registry, "both a token and a user or password")),
            _ => Err(unusable(
                registry,
                "a user without a password, or a password without a user",
            )),
        }
    }

    /// The credentials that a file of `docker login` (`config.json`) has for `registry`. Credential
    /// helpers are not run: there may be none in the file though somebody logged in.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is no such file.
    pub fn from_docker_config(path: &Path, registry: &str) -> Result<Self, RegistryError> {
        let bytes = fork_fs::read_limited(path, CONFIG_BYTES_MAX)?;
        // A JSON error quotes what it found, which may be a part of a password.
        let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|_| {
            unusable(
                registry,
                format!("`{}` is no config of docker", path.display()),
            )
        })?;
        let keys = [
            registry.to_owned(),
            format!("https://{registry}"),
            format!("https://{registry}/v1/"),
            format!("https://{registry}/v2/"),
        ];
        let hub = ["https://index.docker.io/v1/".to_owned()];
        let is_hub = registry == "docker.io" || registry == "index.docker.io";
        let mut keys = keys.iter().chain(hub.iter().filter(|_| is_hub));
        let Some(auth) = keys.find_map(|key| config.auths.get(key)) else {
            return Ok(Self::Anonymous);
        };
        if auth.auth.is_empty() {
            return Ok(Self::Anonymous);
        }
        let decoded = STANDARD.decode(&auth.auth).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = pair.ok_or_else(|| {
            let problem = format!("the entry `auth` in `{}` is none", path.display());
            unusable(registry, problem)
        })?;
        Ok(Self::Password {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }

    /// What must not show up in messages.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::of_values(match self {
            Self::Anonymous => Vec::new(),
            Self::Password { user, password } => vec![
                password.clone(),
                STANDARD.encode(format!("{user}:{password}")),
            ],
            Self::Token(token) => vec![token.clone()],
        })
    }
}

fn unusable(registry: &str, problem: impl Into<String>) -> RegistryError {
    RegistryError::Settings {
        registry: registry.to_owned(),
        source: Cause(problem.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, registry: &str) -> Result<Access, RegistryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fork_fs::write_atomic(file.path(), text.as_bytes()).unwrap();
        Access::from_docker_config(file.path(), registry)
    }

    #[test]
    fn a_config_of_docker_is_read() {
        let auth = STANDARD.encode("me:hunter:2");
        let text = format!(
            r#"{{"auths":{{"h.example:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"auth":"{auth}"}},"helped.example":{{}}}},"credsStore":"desktop"}}"#
        );
        let password = Access::Password {
            user: "me".to_owned(),
            password: "hunter:2".to_owned(),
        };
        assert_eq!(read(&text, "h.example:5000").unwrap(), password);
        assert_eq!(read(&text, "docker.io").unwrap(), password);
        assert_eq!(read(&text, "helped.example").unwrap(), Access::Anonymous);
        assert_eq!(read(&text, "h.example").unwrap(), Access::Anonymous);
        assert_eq!(format!("{password:?}"), "Password");
        let said = password.secrets().clean(&format!("hunter:2 {auth} me"));
        assert_eq!(said, "[hidden] [hidden] me");
    }

    #[test]
    fn what_is_wrong_with_it_is_said_without_repeating_it() {
        for text in [
            "hunter2",
            r#"{"auths":{"h":{"auth":"hunter2"}}}"#,
            r#"{"auths":"hunter2"}"#,
        ] {
            let error = read(text, "h").unwrap_err();
            let said = format!("{error} {:?}", error);
            assert!(!said.contains("hunter2"), "{said}");
            assert!(matches!(error, RegistryError::Settings { .. }));
        }
    }
}
