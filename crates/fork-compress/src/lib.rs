//! Compression that gives the same bytes on every machine, for any number of threads.
//!
//! - [`gzip`]: our own compressor, on all threads, with every chunk decompressed again by another
//!   program before it is handed over.
//! - [`Encoder`]: gzip, xz, zstd or nothing behind one [`Write`](std::io::Write), in a thread of its
//!   own, so that whoever writes can hash meanwhile.
//! - [`decoder`]: the way back, with a limit on the memory that an archive can ask for.
//! - [`ReadAhead`]: any reader in a thread of its own.
//!
//! Parameters are fixed here and nowhere else: a digest that is published must not depend on an
//! option. gzip's bytes depend on this crate alone; those of xz and zstd on the C libraries as well,
//! which `Cargo.lock` pins and which are built from the crates.
//!
//! It opens no files, and knows nothing of what it compresses.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bits;
mod decoder;
mod deflate;
mod encoder;
pub mod gzip;
mod huffman;
mod read_ahead;
mod search;
mod waves;
mod xz;

pub use decoder::{Decoder, XZ_MEMORY_BYTES_MAX, ZSTD_WINDOW_LOG_MAX, decoder};
pub use encoder::Encoder;
pub use fork_types::Compression;
pub use read_ahead::ReadAhead;
