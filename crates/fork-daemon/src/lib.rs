//! Talks GraphQL to a daemon and bytes to an object store.
//!
//! [`DaemonClient`] asks a daemon what a capture or a verification needs to know, with a deadline on
//! everything, and turns every way a daemon can fail into its own [`DaemonError`]. [`Store`] keeps
//! objects in a local directory, in an S3-compatible bucket or in a GCS bucket; no partial object is
//! ever seen under a final name, and what was uploaded is read back. [`Registry`](registry::Registry)
//! pushes and pulls images. [`serve_metrics`] answers a Prometheus scraper.
//!
//! The only crate with an async runtime; everything it offers blocks.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod client;
pub mod metrics;
pub mod registry;
mod runtime;
pub mod store;

pub use client::{
    ACCOUNTS_PER_QUERY_MAX, DaemonClient, DaemonError, DaemonUrl, Deadlines, NodeAccount,
    NodeAccounts, NodeSibling, NodeStatus, NodeTiming,
};
pub use metrics::serve_metrics;
pub use store::{Store, StoreError, StoreUrl};
