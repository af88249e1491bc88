//! The client of a storage service, set up from the environment.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use super::StoreOptions;
use super::secrets::Secrets;

/// Longest time the client library lets a request take. Its clock runs until the last byte of the
/// body, so it must not end a large download; every deadline is kept outside of it.
const LIBRARY_TIMEOUT: &str = "30days";

/// A service, by what it can do.
pub(super) struct Service {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
}

/// The secrets of the environment that [`service`] uses.
pub(super) fn secrets(options: &StoreOptions) -> Secrets {
    match &options.environment {
        Some(pairs) => Secrets::of(pairs.iter().cloned()),
        None => Secrets::of(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        })),
    }
}

/// Sets up the client of a bucket. Credentials, region and endpoint come from the environment alone.
pub(super) fn service(
    scheme: &str,
    bucket: &str,
    options: &StoreOptions,
) -> object_store::Result<Service> {
    if scheme == "gs" {
        google(bucket, options)
    } else {
        amazon(bucket, options)
    }
}

/// The client library repeats nothing: see [`super::remote`].
fn no_retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: std::time::Duration::ZERO,
    }
}

fn timeouts(options: &StoreOptions) -> [(ClientConfigKey, String); 2] {
    [
        (ClientConfigKey::Timeout, LIBRARY_TIMEOUT.to_owned()),
        (
            ClientConfigKey::ConnectTimeout,
            format!("{}ms", options.connect_timeout.as_millis()),
        ),
    ]
}

fn amazon(bucket: &str, options: &StoreOptions) -> object_store::Result<Service> {
    let mut builder = match &options.environment {
        None => AmazonS3Builder::from_env(),
        Some(pairs) => {
            let known = pairs.iter().filter(|(name, _)| name.starts_with("AWS_"));
            known.fold(AmazonS3Builder::new(), |builder, (name, value)| match name
                .to_ascii_lowercase()
                .parse()
            {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            })
        }
    };
    for (key, value) in timeouts(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    let store = builder
        .with_bucket_name(bucket)
        .with_retry(no_retries())
        // One object at a time is removed here, and not every service knows the other request.
        .with_disable_bulk_delete(true)
        .build()?;
    let store = Arc::new(store);
    Ok(Service {
        objects: store.clone(),
        parts: store,
    })
}

fn google(bucket: &str, options: &StoreOptions) -> object_store::Result<Service> {
    let mut builder = match &options.environment {
        None => GoogleCloudStorageBuilder::from_env(),
        Some(pairs) => {
            let known = pairs
                .iter()
                .filter(|(name, _)| name.starts_with("GOOGLE_") || name == "SERVICE_ACCOUNT");
            known.fold(
                GoogleCloudStorageBuilder::new(),
                |builder, (name, value)| match name.to_ascii_lowercase().parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                },
            )
        }
    };
    for (key, value) in timeouts(options) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    let store = builder
        .with_bucket_name(bucket)
        .with_retry(no_retries())
        .build()?;
    let store = Arc::new(store);
    Ok(Service {
        objects: store.clone(),
        parts: store,
    })
}
