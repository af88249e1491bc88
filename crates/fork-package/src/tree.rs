//! What a stack of layers looks like from inside a container.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{PackageError, PackageErrorKind};
use crate::image::LayerSource;
use crate::tar_reader::{DataEntry, DataEntryKind};

/// Largest file whose content is kept. The status file of a system with 3000 packages has 4 MiB.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// Contents kept, together. The file lists of a desktop's packages have 30 MB.
const KEPT_BYTES_TOTAL_MAX: usize = 256 << 20;
/// Most paths; images of whole desktops have about 10^6.
const NODES_MAX: usize = 2_000_000;
/// All paths together.
const PATHS_BYTES_MAX: usize = 256 << 20;
/// Prefix of a file name that removes the rest of the name from the layers below.
const WHITEOUT: &str = ".wh.";
/// File name that removes everything a directory holds from the layers below.
const OPAQUE: &str = ".wh..wh..opq";

/// One path of a [`Tree`].
#[derive(Clone, Debug)]
pub struct Node {
    /// The entry that is seen there.
    pub entry: DataEntry,
    /// Content, for files that were asked for.
    pub content: Option<Vec<u8>>,
}

/// Paths relative to the root and what lies there, after all layers and their whiteouts.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Bytes of contents and of paths that were kept, whatever was hidden since.
    kept_bytes: usize,
    paths_bytes: usize,
}

impl Tree {
    /// Reads all layers, lowest first; `keep` says of which files to keep the content. Every
    /// layer's digest is checked on the way.
    ///
    /// # Errors
    ///
    /// Fails on damaged layers, on digests that do not match, on kept files above 64 MiB, and when
    /// the image has more paths or kept contents than any has.
    pub fn read(layers: &[LayerSource], keep: impl Fn(&str) -> bool) -> Result<Self, PackageError> {
        let mut tree = Self::default();
        for layer in layers {
            tree.add(layer, &keep)?;
        }
        Ok(tree)
    }

    /// What lies at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Everything, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    fn add(
        &mut self,
        layer: &LayerSource,
        keep: &impl Fn(&str) -> bool,
    ) -> Result<(), PackageError> {
        // Whiteouts hide what is below, wherever they stand in the layer; so this layer's own
        // entries are collected first.
        let mut own: BTreeMap<String, Node> = BTreeMap::new();
        let mut hidden = Vec::new();
        let Self {
            kept_bytes,
            paths_bytes,
            nodes,
        } = self;
        let others = nodes.len();
        layer.read_entries(|entry, content| {
            let path_bytes = entry.path.len();
            let (directory, name) = match entry.path.rsplit_once('/') {
                Some((directory, name)) => (directory, name),
                None => ("", entry.path.as_str()),
            };
            if name == OPAQUE {
                hidden.push((directory.to_owned(), true));
            } else if let Some(name) = name.strip_prefix(WHITEOUT) {
                let path = if directory.is_empty() {
                    name.to_owned()
                } else {
                    format!("{directory}/{name}")
                };
                hidden.push((path, false));
            } else {
                let content = if keep(&entry.path) {
                    kept(layer, &entry, content)?
                } else {
                    None
                };
                *kept_bytes += content.as_ref().map_or(0, Vec::len);
                own.insert(entry.path.clone(), Node { entry, content });
            }
            *paths_bytes += path_bytes;
            let nodes = others + own.len() + hidden.len();
            check_size(layer, nodes, *paths_bytes, *kept_bytes)
        })?;
        for (path, only_below) in hidden {
            self.remove_below(&path);
            if !only_below {
                self.nodes.remove(&path);
            }
        }
        for (path, mut node) in own {
            if let DataEntryKind::HardLink { target } = &node.entry.kind
                && keep(&path)
            {
                // The other name is in this layer and sorted before or after; what matters here is
                // the content, which the file below the link's target has if it was asked for.
                let content = self.get(target).and_then(|node| node.content.as_ref());
                let bytes = content.map_or(0, Vec::len);
                check_size(layer, 0, 0, self.kept_bytes + bytes)?;
                node.content = content.cloned();
                self.kept_bytes += bytes;
            }
            let is_directory = node.entry.kind == DataEntryKind::Directory;
            let was_directory = self
                .get(&path)
                .is_some_and(|old| old.entry.kind == DataEntryKind::Directory);
            if was_directory && !is_directory {
                self.remove_below(&path);
            }
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &str) {
        if path.is_empty() {
            self.nodes.clear();
            return;
        }
        // `0` follows `/` in ASCII, so the range is exactly the paths below.
        let below: Vec<String> = self
            .nodes
            .range(format!("{path}/")..format!("{path}0"))
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }
}

/// Keeps what is in memory within bounds.
fn check_size(
    layer: &LayerSource,
    nodes: usize,
    paths_bytes: usize,
    kept_bytes: usize,
) -> Result<(), PackageError> {
    for (what, found, max) in [
        ("paths", nodes, NODES_MAX),
        ("bytes of paths", paths_bytes, PATHS_BYTES_MAX),
        ("bytes of needed files", kept_bytes, KEPT_BYTES_TOTAL_MAX),
    ] {
        if found > max {
            let problem = format!("the image has more than {max} {what}");
            return Err(PackageError::malformed(layer.path(), problem));
        }
    }
    Ok(())
}

fn kept(
    layer: &LayerSource,
    entry: &DataEntry,
    content: &mut dyn Read,
) -> Result<Option<Vec<u8>>, PackageError> {
    let DataEntryKind::File { bytes } = entry.kind else {
        return Ok(None);
    };
    if bytes > KEPT_BYTES_MAX {
        return Err(PackageErrorKind::TooLarge {
            archive: layer.path().to_owned(),
            what: entry.path.clone(),
            bytes,
            bytes_max: KEPT_BYTES_MAX,
        }
        .into());
    }
    let mut kept = Vec::new();
    content
        .read_to_end(&mut kept)
        .map_err(|source| PackageError::archive(layer.path(), entry.path.as_str(), source))?;
    Ok(Some(kept))
}
