//! Publishing into a bucket: packages in a signed repository, ledgers for daemons. The bucket is a real
//! S3-compatible server on this machine, which is told to fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

#[path = "../../../package-deb/tests/host_apt/mod.rs"]
mod host_apt;
mod ledgers;
mod packages;
mod support;
