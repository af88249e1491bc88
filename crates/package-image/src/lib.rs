//! Installs a package into a container image without a container engine.
//!
//! [`package`] copies a base image (OCI layout, docker archive or root file system), adds one layer
//! with the package's files and dpkg's database as `dpkg -i` would leave it, and writes the result
//! as an OCI layout and, if asked, as an archive for `docker load`. [`Args`] is its command line.
//!
//! It runs nothing: a package with maintainer scripts, or one that would start a trigger, is
//! refused, and so is everything that dpkg itself would refuse (unmet dependencies, conflicts,
//! files of other packages). [`Commands`] push, pull and tag images in registries.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod annotation;
mod args;
mod commands;
mod describe;
mod dpkg;
mod error;
mod image;
mod payload;
mod provenance;
mod remote;
mod sbom;
mod tags;
mod worker;

pub use args::{Args, BaseRef, Tag, ValueError};
pub use commands::{Command, Commands, is_command};
pub use error::{ImageError, ImageErrorKind};
pub use image::package;
pub use remote::{PromoteArgs, PullArgs, PushArgs, PushTarget, RegistryArgs};
