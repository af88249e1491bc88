//! Packages and images as pure functions of their inputs; knows nothing of ledgers.
//!
//! - [`TarWriter`]: sorted entries, fixed times, explicit modes and owners.
//! - [`DebBuilder`] and [`DebReader`]: the binary package format, streamed; a package never has to
//!   fit in memory. [`DebTree`] writes everything that dpkg can install: links, owners, scripts.
//! - [`control`], [`version`], [`relation`]: control data and what it means.
//! - [`apt`]: what stands in a package repository.
//! - [`LayoutWriter`], [`Image`]: OCI image layouts and docker archives, written and read.
//! - [`Rootfs`]: a directory as a base layer; [`Tree`]: what a stack of layers looks like from
//!   inside a container.
//!
//! The same input gives the same bytes: no clock, no host name, no directory order. Times come in
//! as arguments. Compressed bytes also depend on the compressor, which `Cargo.lock` pins; digests of
//! the uncompressed tar (`payload_sha256`, diff ids) do not.
//!
//! Every archive that is read is treated as hostile ([`TarReader`]): names that would leave the root
//! are refused, everything that is kept in memory has a limit, so has what may be unpacked, and
//! digests are checked where the format has any.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

pub mod apt;
pub mod ar;
pub mod control;
pub mod gzip;
pub mod oci;
pub mod relation;
pub mod version;

mod deb_reader;
mod deb_tree;
#[cfg(test)]
mod deb_tree_tests;
mod deb_writer;
mod docker_archive;
mod error;
mod image;
#[cfg(test)]
mod image_tests;
mod layout;
mod limit;
mod paths;
mod rootfs;
mod stored;
mod tar_reader;
mod tar_writer;
mod tree;

pub use control::Paragraph;
pub use deb_reader::DebReader;
pub use deb_tree::{
    DebTree, OpenContent, Owner, TreeEntry, TreeKind, WrittenTree, conffiles, member_compression,
};
pub use deb_writer::{DebBuilder, FileSource, WrittenDeb, installed_size_kib};
pub use docker_archive::write_docker_archive;
pub use error::{PackageError, PackageErrorKind};
pub use image::{
    Compression, INDEX_DEPTH_MAX, Image, JSON_BYTES_MAX, LAYERS_MAX, LayerSource, Selection,
    blob_path,
};
pub use layout::{LayerTar, LayoutWriter, WrittenLayer};
pub use paths::safe_path;
pub use rootfs::Rootfs;
pub use stored::{StoredImage, StoredManifest};
pub use tar_reader::{DataEntry, DataEntryKind, TarReader};
pub use tar_writer::{Attributes, EntryKind, NameStyle, TarWriter};
pub use tree::{Node, Tree};
pub use version::PackageVersion;
