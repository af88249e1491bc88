//! Images in a container registry (OCI distribution specification 1.1).
//!
//! [`Registry`] pulls an image into an OCI layout, pushes one from a layout and gives tags to images
//! that are there. A digest is checked wherever there is one; a tag is never moved from one image to
//! another by accident. Blobs are streamed between disk and line, so memory does not grow with them.
//!
//! The client is made of plain HTTP requests. The crate there is for this (`oci-client`) reads every
//! manifest, token and error without a limit, waits for uploads without one, and would send a password
//! to a token service without TLS.

mod access;
mod challenge;
mod error;
mod http;
mod manifest;
mod options;
mod pull;
mod push;
mod reference;

use std::fmt;
use std::path::Path;

use fork_package::Selection;
use fork_package::oci::Digest;

pub use access::{Access, PASSWORD, TOKEN, USER};
pub use error::{RegistryError, RegistryTrouble};
pub use options::RegistryOptions;
pub use pull::Pulled;
pub use push::{Push, Pushed, Referrers, Tagged};
pub use reference::{ImageReference, ReferenceError, is_tag};

use crate::runtime::runtime;
use http::Connection;

/// A container registry. Every call blocks; not to be used from within an async runtime.
pub struct Registry {
    connection: Connection,
}

impl fmt::Debug for Registry {
    /// Where it is and nothing else: the client inside knows credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.connection.name)
    }
}

impl Registry {
    /// A client for the registry at `host` (`HOST[:PORT]`). Sends nothing yet.
    ///
    /// # Errors
    ///
    /// Fails when the system gives no threads or, for TLS, has no certificates.
    pub fn open(
        host: &str,
        access: Access,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            connection: Connection::open(host, access, options)?,
        })
    }

    /// Copies an image into `directory`, an empty one, as an OCI layout: manifest, config and layers
    /// as they are, and an index that names the one manifest. Of an index of several images the
    /// architecture chooses. With `attachments`, what the registry lists as attached to the image
    /// comes along. `note` is told what is being done.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be reached, refuses, or has no such image; when something is
    /// not what its digest says or beyond a limit; and when the disk refuses. What is in the directory
    /// then is of no use.
    pub fn pull(
        &self,
        reference: &ImageReference,
        selection: Selection<'_>,
        attachments: bool,
        directory: &Path,
        note: &dyn Fn(&str),
    ) -> Result<Pulled, RegistryError> {
        let pulling = pull::pull(
            &self.connection,
            reference,
            selection,
            attachments,
            directory,
            note,
        );
        self.runtime()?.block_on(pulling)
    }

    /// Copies an image and what is attached to it from an OCI layout. What is there already is not
    /// sent again. The image's manifest is sent after everything it names, the attachments after it,
    /// and the tags last; each is read back.
    ///
    /// # Errors
    ///
    /// Fails when one of the tags names another image, before anything is sent; when the registry
    /// cannot be reached or refuses; and when it gives something else back than it was given. Tags
    /// are set one after the other in their order: those after the first that fails are not.
    pub fn push(&self, push: &Push<'_>, note: &dyn Fn(&str)) -> Result<Pushed, RegistryError> {
        self.runtime()?
            .block_on(push::push(&self.connection, push, note))
    }

    /// Gives tags to a manifest that is there. A tag that names it already is left alone; one that
    /// names another is moved only when `move_from` is what it names.
    ///
    /// The protocol has no conditional requests: two callers at the same moment can both win, and
    /// the second one's tag stays.
    ///
    /// # Errors
    ///
    /// Fails when there is no such manifest, and when a tag names another one, before any is set.
    pub fn promote(
        &self,
        repository: &str,
        digest: &Digest,
        tags: &[String],
        move_from: Option<&Digest>,
    ) -> Result<Vec<Tagged>, RegistryError> {
        let promoting = push::promote(&self.connection, repository, digest, tags, move_from);
        self.runtime()?.block_on(promoting)
    }

    /// Digest of what a tag names; `None` when there is no such tag.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be reached or refuses.
    pub fn digest_of(&self, repository: &str, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let found = manifest::get(&self.connection, repository, tag);
        Ok(self.runtime()?.block_on(found)?.map(|found| found.digest))
    }

    fn runtime(&self) -> Result<&'static tokio::runtime::Runtime, RegistryError> {
        runtime().map_err(|error| RegistryError::Setup(error.to_string()))
    }
}
