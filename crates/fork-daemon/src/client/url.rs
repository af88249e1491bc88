//! Addresses of daemons.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// A text that is no daemon's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no daemon address: {what}; expected http://HOST:PORT/graphql")]
pub struct DaemonUrlError {
    shown: String,
    what: String,
}

/// Address of a daemon's GraphQL interface. Shown without user name, password and query.
#[derive(Clone, PartialEq, Eq)]
pub struct DaemonUrl(Url);

impl DaemonUrl {
    /// Host and port, fit for a file name: what a daemon is called when nobody named it.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        let host = self.0.host_str().unwrap_or("daemon");
        let port = self.0.port_or_known_default().unwrap_or(0);
        let host: String = host
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
                _ => '_',
            })
            .collect();
        format!("{}-{port}", host.trim_start_matches('.'))
    }

    /// Whether the host is this machine, so that the address says nothing to another one.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn with_credentials(&self) -> Url {
        self.0.clone()
    }
}

impl FromStr for DaemonUrl {
    type Err = DaemonUrlError;

    fn from_str(text: &str) -> Result<Self, DaemonUrlError> {
        let error = |what: String| DaemonUrlError {
            // Everything up to an `@` may be a password.
            shown: text.rsplit('@').next().unwrap_or_default().to_owned(),
            what,
        };
        let mut url = Url::parse(text).map_err(|source| error(source.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error(format!("`{}://` is not supported", url.scheme())));
        }
        if matches!(url.path(), "" | "/") {
            url.set_path("/graphql");
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for DaemonUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Both fail only for URLs without a host, which http has.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.fmt(f)
    }
}

impl fmt::Debug for DaemonUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url: DaemonUrl = "http://127.0.0.1:3085".parse().unwrap();
        assert_eq!(url.to_string(), "http://127.0.0.1:3085/graphql");
        assert_eq!(url.host_and_port(), "127.0.0.1-3085");
        assert!(url.is_loopback());
        let url: DaemonUrl = "https://user:secret@seed.example/x?token=hidden#f"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "https://seed.example/x");
        assert_eq!(format!("{url:?}"), "https://seed.example/x");
        assert_eq!(url.host_and_port(), "seed.example-443");
        assert!(!url.is_loopback());
        assert!(url.with_credentials().as_str().contains("secret"));
        let v6: DaemonUrl = "http://[::1]:80/graphql".parse().unwrap();
        assert!(v6.is_loopback());
        assert_eq!(v6.host_and_port(), "___1_-80");
        for bad in ["", "localhost:3085", "ftp://a/b", "http://", "x"] {
            assert!(bad.parse::<DaemonUrl>().is_err(), "{bad}");
        }
        let error = "ftp://user:secret@host/".parse::<DaemonUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
