//! Credentials: missing, wrong, and never shown.

use std::time::Duration;

use fork_daemon::store::{StoreOptions, Trouble};
use fork_daemon::{Store, StoreError};
use fork_e2e::s3::{ACCESS_KEY, S3Server};

use crate::support::{everything, options, trouble};

const SECRET: &str = "hunter2hunter2/hunter2+hunter2";
const TOKEN: &str = "token-of-hunter3==";

fn store(server: &S3Server, url: &str, changes: &[(&str, &str)]) -> Result<Store, StoreError> {
    let mut options = options(server);
    let environment = options.environment.get_or_insert_default();
    for (name, value) in changes {
        environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    assert_silent(&format!("{options:?}"));
    Store::open_with(&url.parse().unwrap(), options)
}

fn assert_silent(text: &str) {
    for secret in ["hunter2", "hunter3", ACCESS_KEY, "secret-that-no-message"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Every error that a store makes.
fn errors(store: &Store) -> Vec<StoreError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let digest = crate::support::digest(b"");
    let journal = file.path().with_extension("journal");
    let results = [
        store.read("a", 1).map(drop),
        store.list("").map(drop),
        store.size("a").map(drop),
        store.reader("a").map(drop),
        store.create("a", b"x").map(drop),
        store.replace("a", b"x"),
        store.upload("a", file.path(), &digest, &journal),
        store.remove("a"),
    ];
    assert_silent(&format!("{store} {store:?}"));
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    for error in &errors {
        assert_silent(&everything(error));
    }
    errors
}

#[test]
fn a_wrong_secret_is_refused_at_once_and_not_shown() {
    let server = S3Server::start().unwrap();
    let changes = [
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    ];
    for changes in [&changes[..1], &changes[..]] {
        let store = store(&server, "s3://forks/x", changes).unwrap();
        server.forget();
        let errors = errors(&store);
        assert_eq!(errors.len(), 8);
        for error in &errors {
            assert_eq!(
                trouble(error),
                Some(Trouble::Denied),
                "{}",
                everything(error)
            );
        }
        // None was repeated.
        assert_eq!(server.seen().len(), 8);
    }
}

#[test]
fn an_unknown_access_key_is_refused() {
    let server = S3Server::start().unwrap();
    let changes = [("AWS_ACCESS_KEY_ID", "hunter2-access-key")];
    let store = store(&server, "s3://forks/x", &changes).unwrap();
    for error in errors(&store) {
        assert_eq!(
            trouble(&error),
            Some(Trouble::Denied),
            "{}",
            everything(&error)
        );
    }
}

#[test]
fn nowhere_to_get_credentials_from() {
    let server = S3Server::start().unwrap();
    let changes = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        // Where nobody listens.
        ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9"),
    ];
    let store = store(&server, "s3://forks/x", &changes).unwrap();
    for error in errors(&store) {
        assert_eq!(
            trouble(&error),
            Some(Trouble::Credentials),
            "{}",
            everything(&error)
        );
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn half_of_the_credentials_is_an_error_before_anything_is_sent() {
    let server = S3Server::start().unwrap();
    let changes = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let error = store(&server, "s3://forks/x", &changes).unwrap_err();
    assert!(matches!(&error, StoreError::Settings { .. }), "{error}");
    assert_silent(&everything(&error));
}

#[test]
fn plain_http_needs_to_be_allowed() {
    let server = S3Server::start().unwrap();
    let store = store(&server, "s3://forks/x", &[("AWS_ALLOW_HTTP", "")]).unwrap();
    for error in errors(&store) {
        assert_eq!(
            trouble(&error),
            Some(Trouble::Refused),
            "{}",
            everything(&error)
        );
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn credentials_in_an_endpoint_are_not_shown() {
    let server = S3Server::start().unwrap();
    let endpoint = "http://hunter2:hunter3@127.0.0.1:9";
    let store = store(&server, "s3://forks/x", &[("AWS_ENDPOINT_URL", endpoint)]).unwrap();
    assert_eq!(errors(&store).len(), 8);
}

/// Google's side is only built here: there is no such server to talk to.
#[test]
fn google_is_set_up_from_the_environment() {
    let url = "gs://forks/x".parse().unwrap();
    let open = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = StoreOptions {
            environment: Some(pairs.collect()),
            request_timeout: Duration::from_secs(2),
            backoff: Duration::from_millis(1),
            retries_max: 1,
            ..StoreOptions::default()
        };
        Store::open_with(&url, options)
    };
    let store = open(&[
        ("GOOGLE_BEARER_TOKEN", TOKEN),
        ("GOOGLE_BASE_URL", "http://127.0.0.1:9"),
    ])
    .unwrap();
    assert_eq!(store.to_string(), "gs://forks/x");
    for error in errors(&store) {
        assert_eq!(
            trouble(&error),
            Some(Trouble::Unreachable),
            "{}",
            everything(&error)
        );
    }
    for key in [
        "{\"private_key\": \"hunter2hunter2",
        "{\"private_key\": 1, \"private_key_id\": \"hunter2\", \"client_email\": \"hunter3\"}",
        "\"hunter2\"",
    ] {
        let error = open(&[("GOOGLE_SERVICE_ACCOUNT_KEY", key)]).unwrap_err();
        assert!(matches!(&error, StoreError::Settings { .. }), "{error}");
        assert_silent(&everything(&error));
    }
}
