//! The image: base layers, the package's layer, config, documents.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fork_daemon::registry::ImageReference;
use fork_fs::{FsError, HashingReader, Operation, StagedDir};
use fork_package::oci::{Digest, History, ImageConfig};
use fork_package::{
    Attributes, DataEntryKind, EntryKind, Image, LayerSource, LayerTar, LayoutWriter, Rootfs,
    Selection, Tree, WrittenLayer, write_docker_archive,
};
use fork_types::document::{FileRef, ImageBase, ImageDocument, PackagedFile};

use crate::args::{Args, BaseRef, Tag, ValueError};
use crate::describe::{Facts, attach};
use crate::dpkg::{self, Database};
use crate::error::{ImageError, ImageErrorKind};
use crate::payload::{Payload, PayloadEntry};
use crate::remote::{PushTarget, push};
use crate::tags::{check_length, unique_tag};

/// Architectures by dpkg's name and by the images'.
const ARCHITECTURES: [(&str, &str); 7] = [
    ("amd64", "amd64"),
    ("arm64", "arm64"),
    ("armhf", "arm"),
    ("i386", "386"),
    ("ppc64el", "ppc64le"),
    ("riscv64", "riscv64"),
    ("s390x", "s390x"),
];
/// Architecture that tags do not name.
const DEFAULT_ARCHITECTURE: &str = "amd64";
/// What a shell finds its programs by in an image made from a root file system.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A base whose layers already lie in the output.
struct Base {
    kind: &'static str,
    /// With the digest of what a name in a registry meant.
    reference: Option<ImageReference>,
    digest: Digest,
    config: ImageConfig,
    layers: Vec<WrittenLayer>,
    sources: Vec<LayerSource>,
}

/// Makes the image: reads package and base, checks that dpkg would install the one on the other,
/// writes the layout with its document to a new directory, reads the new layer back, and pushes the
/// image if that is asked for. `note` is told what is being done.
///
/// # Errors
///
/// Fails on unreadable, damaged or contradicting input, when dpkg would refuse the package or have
/// to run something, when an output exists, and when the disk refuses; then nothing is left at the
/// output path. Fails also when a registry does; an image that could not be pushed stays there.
pub fn package(args: &Args, note: &dyn Fn(&str)) -> Result<ImageDocument, ImageError> {
    let output = StagedDir::create(&args.output.output, args.output.force)?;
    let archive = archive_paths(args, &output)?;
    note("reading the package");
    let payload = Payload::read(&args.deb, output.path())?;
    let seconds = args.source_date_epoch.unwrap_or(payload.mtime);
    let created = rfc3339(seconds)?;
    let args = &Args {
        base: args
            .base
            .filled(
                payload.control.get("Codename"),
                args.architecture.as_deref(),
            )
            .map_err(ImageErrorKind::Value)?,
        ..args.clone()
    };

    let layout = LayoutWriter::create(output.path())?;
    note("copying the base");
    let mut base = Base::read(args, &layout, seconds, output.path(), note)?;
    note("reading the base");
    let tree = Tree::read(&base.sources, dpkg::is_needed)?;
    let database = Database::read(&tree)?;
    settle_architecture(args, &database, &mut base)?;
    let tag = match &args.tag {
        Some(tag) => tag.clone(),
        None => default_tag(&payload, &base.config.architecture)?,
    };
    check_length(tag.tag())?;
    database.check(&payload)?;

    note("writing the layer");
    let entries = Entries::plan(&payload, &database, &tree, seconds)?;
    let layer = layout.put_layer(|tar| entries.write(tar, &payload))?;
    read_back(&layout.source(&layer), &payload)?;

    let Base {
        kind,
        reference,
        digest,
        mut config,
        mut layers,
        ..
    } = base;
    label(&mut config, &payload, &digest, &created);
    config.push_layer(
        layer.diff_id.clone(),
        History {
            created: Some(created.clone()),
            created_by: Some(format!("package-image: dpkg -i {}", payload.file.name)),
            ..History::default()
        },
    );
    let package_layer_digest = layer.descriptor.digest.to_string();
    layers.push(layer);
    let (manifest, descriptor) = layout.put_manifest(&config, &layers, tag.tag())?;
    let base = ImageBase {
        kind: kind.to_owned(),
        reference: reference.map(|reference| reference.to_string()),
        digest: digest.to_string(),
        os: database.pretty_name()?,
    };
    note("describing the image");
    let facts = Facts {
        payload: &payload,
        database: &database,
        base: &base,
        base_digest: &digest,
        architecture: &config.architecture,
        manifest_digest: &descriptor.digest,
        seconds,
        created: &created,
    };
    let (entries, attachments) = attach(&layout, &descriptor, &facts)?;
    layout.put_index(std::iter::once(descriptor.clone()).chain(entries).collect())?;
    let docker_archive = match archive {
        None => None,
        Some((path, name)) => {
            note("writing the docker archive");
            let written =
                write_docker_archive(output.path(), &manifest, &tag.to_string(), seconds, &path)?;
            Some(FileRef { name, ..written })
        }
    };
    let document = ImageDocument {
        format: ImageDocument::format(),
        version: ImageDocument::version(),
        manifest_digest: descriptor.digest.to_string(),
        config_digest: manifest.config.digest.to_string(),
        tag: tag.tag().to_owned(),
        unique_tag: unique_tag(tag.tag(), &descriptor.digest)?,
        base,
        package_layer_digest,
        contents: payload.contents(),
        attachments,
        sources_verified: payload
            .document
            .as_ref()
            .is_some_and(|one| one.sources_verified),
        deb: payload.file,
        docker_archive,
    };
    output.write_document(&document)?;
    output.commit()?;
    if let Some(target) = &args.push {
        push_built(args, target, &document, note)?;
    }
    Ok(document)
}

/// Pushes the image under the tags of its document, or those that the target names.
fn push_built(
    args: &Args,
    target: &PushTarget,
    document: &ImageDocument,
    note: &dyn Fn(&str),
) -> Result<(), ImageError> {
    let selection = Selection {
        tag: Some(&document.tag),
        architecture: None,
    };
    push(&args.output.output, selection, target, &args.registry, note).map(drop)
}

/// Where to write the docker archive, and its name in the document: relative inside the output
/// directory, the last component elsewhere.
fn archive_paths(args: &Args, output: &StagedDir) -> Result<Option<(PathBuf, String)>, ImageError> {
    let Some(path) = &args.docker_archive else {
        return Ok(None);
    };
    let inside = path
        .strip_prefix(&args.output.output)
        .ok()
        .and_then(Path::to_str);
    if let Some(name) = inside {
        let staged = fork_fs::child(output.path(), name)?;
        return Ok(Some((staged, name.to_owned())));
    }
    if fork_fs::exists(path) && !args.output.force {
        return Err(ImageErrorKind::ArchiveExists { path: path.clone() }.into());
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Some((path.clone(), name)))
}

/// `<version>-<codename>-<network>`, as upstream tags its network images; with the architecture behind
/// it where that is another one than upstream's, because one tag names one image.
fn default_tag(payload: &Payload, architecture: &str) -> Result<Tag, ImageError> {
    let mut parts = vec![payload.version.as_str()];
    parts.extend(
        payload
            .control
            .get("Codename")
            .filter(|name| !name.is_empty()),
    );
    let network = payload
        .name
        .strip_prefix("mina-")
        .and_then(|rest| rest.strip_suffix("-config"));
    parts.extend(
        payload
            .document
            .as_ref()
            .map(|one| one.network.as_str())
            .or(network),
    );
    if architecture != DEFAULT_ARCHITECTURE {
        parts.push(architecture);
    }
    parts.join("-").parse().map_err(|_| {
        ImageErrorKind::NoTag {
            version: payload.version.to_string(),
        }
        .into()
    })
}

fn rfc3339(seconds: u64) -> Result<String, ImageError> {
    jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX))
        .map(|time| time.to_string())
        .map_err(|source| ImageErrorKind::Time { seconds, source }.into())
}

impl Base {
    fn read(
        args: &Args,
        layout: &LayoutWriter,
        seconds: u64,
        scratch: &Path,
        note: &dyn Fn(&str),
    ) -> Result<Self, ImageError> {
        let selection = Selection {
            tag: args.base_tag.as_deref(),
            architecture: args.architecture.as_deref(),
        };
        match &args.base {
            BaseRef::Oci(path) => Self::copy("oci", Image::open_layout(path, selection)?, layout),
            BaseRef::DockerArchive(path) => {
                let scratch = tempfile::tempdir_in(scratch)
                    .map_err(|source| FsError::io(Operation::CreateDirectory, scratch, source))?;
                let image = Image::open_docker_archive(path, scratch.path(), selection)?;
                Self::copy("docker-archive", image, layout)
            }
            BaseRef::Rootfs(path) => Self::from_rootfs(path, args, layout, seconds, note),
            // Filled before.
            BaseRef::Pattern(pattern) => Err(ImageErrorKind::Value(ValueError::Base {
                found: pattern.clone(),
            })
            .into()),
            BaseRef::Registry(reference) => {
                let scratch = tempfile::tempdir_in(scratch)
                    .map_err(|source| FsError::io(Operation::CreateDirectory, scratch, source))?;
                let pushed_to = args.push.as_ref().map(|target| target.0.registry());
                let registry = args.registry.open_base(reference.registry(), pushed_to)?;
                let selection = Selection {
                    tag: None,
                    ..selection
                };
                let pulled = registry.pull(reference, selection, false, scratch.path(), note)?;
                let image = Image::open_layout(scratch.path(), Selection::default())?;
                let mut base = Self::copy("registry", image, layout)?;
                base.reference = Some(reference.pinned(pulled.top_digest));
                Ok(base)
            }
        }
    }

    fn copy(kind: &'static str, image: Image, layout: &LayoutWriter) -> Result<Self, ImageError> {
        let layers = image
            .layers
            .iter()
            .map(|layer| layout.copy_layer(layer))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            kind,
            reference: None,
            digest: image.digest,
            config: image.config,
            sources: layers.iter().map(|layer| layout.source(layer)).collect(),
            layers,
        })
    }

    fn from_rootfs(
        path: &Path,
        args: &Args,
        layout: &LayoutWriter,
        seconds: u64,
        note: &dyn Fn(&str),
    ) -> Result<Self, ImageError> {
        let rootfs = Rootfs::open(path)?;
        if !rootfs.skipped().is_empty() {
            note(&format!(
                "left out: {} devices and sockets",
                rootfs.skipped().len()
            ));
        }
        let layer = layout.put_layer(|tar| rootfs.write(tar, seconds))?;
        // The architecture is settled once the system's own word is known.
        let mut config = ImageConfig::empty(args.architecture.as_deref().unwrap_or_default());
        let defaults = config.config.get_or_insert_default();
        defaults.insert("Env".to_owned(), vec![PATH].into());
        defaults.insert("Cmd".to_owned(), vec!["/bin/sh"].into());
        let history = History {
            created: Some(rfc3339(seconds)?),
            created_by: Some("package-image: root file system".to_owned()),
            ..History::default()
        };
        config.push_layer(layer.diff_id.clone(), history);
        Ok(Self {
            kind: "rootfs",
            reference: None,
            digest: layer.descriptor.digest.clone(),
            config,
            sources: vec![layout.source(&layer)],
            layers: vec![layer],
        })
    }
}

/// Makes the architecture of the image, of the system in it and of `--architecture` one.
fn settle_architecture(
    args: &Args,
    database: &Database<'_>,
    base: &mut Base,
) -> Result<(), ImageError> {
    let own = database.architecture()?;
    let own = own.as_deref().map(|name| {
        let known = ARCHITECTURES.iter().find(|(dpkg, _)| *dpkg == name);
        known.map_or(name, |(_, image)| *image).to_owned()
    });
    if base.config.architecture.is_empty() {
        base.config.architecture = own.clone().ok_or(ImageErrorKind::UnknownArchitecture)?;
    }
    match own {
        Some(own) if own != base.config.architecture => Err(ImageErrorKind::Mismatch {
            what: "architecture (as dpkg's database says)",
            path: args.base.to_string().into(),
            expected: base.config.architecture.clone(),
            found: own,
        }
        .into()),
        _ => Ok(()),
    }
}

fn label(config: &mut ImageConfig, payload: &Payload, base: &Digest, created: &str) {
    config.created = Some(created.to_owned());
    for (name, value) in [
        ("org.opencontainers.image.base.digest", base.to_string()),
        (
            "org.opencontainers.image.version",
            payload.version.to_string(),
        ),
        ("forkpack.package", payload.name.clone()),
        ("forkpack.deb.sha256", payload.file.sha256.clone()),
    ] {
        config.set_label(name, &value);
    }
}

/// The entries of the package's layer by path.
struct Entries<'a>(BTreeMap<String, Planned<'a>>);

enum Planned<'a> {
    Directory(Attributes),
    Bytes(Attributes, Vec<u8>),
    Payload(&'a PayloadEntry),
}

impl<'a> Entries<'a> {
    fn plan(
        payload: &'a Payload,
        database: &Database<'_>,
        tree: &Tree,
        seconds: u64,
    ) -> Result<Self, ImageError> {
        let mut entries = BTreeMap::new();
        for (path, entry) in &payload.entries {
            let planned = if entry.entry.kind == DataEntryKind::Directory {
                Planned::Directory(directory(tree, path, attributes(entry)))
            } else {
                Planned::Payload(entry)
            };
            // The root is there already.
            if !path.is_empty() {
                entries.insert(path.clone(), planned);
            }
        }
        let own = |mode| Attributes::root(mode, seconds);
        for path in ["var", "var/lib", dpkg::DIRECTORY, dpkg::INFO] {
            let attributes = directory(tree, path, own(0o755));
            entries
                .entry(path.to_owned())
                .or_insert(Planned::Directory(attributes));
        }
        let info = |kind: &str| format!("{}/{}.{kind}", dpkg::INFO, payload.name);
        let file = |bytes: Vec<u8>| Planned::Bytes(own(0o644), bytes);
        entries.insert(info("list"), file(dpkg::list(payload).into_bytes()));
        if let Some(md5sums) = &payload.md5sums {
            entries.insert(info("md5sums"), file(md5sums.clone()));
        }
        let status = database.status_with(payload)?.into_bytes();
        entries.insert(dpkg::STATUS.to_owned(), file(status));
        Ok(Self(entries))
    }

    fn write(&self, tar: &mut LayerTar, payload: &Payload) -> Result<(), ImageError> {
        for (path, planned) in &self.0 {
            match planned {
                Planned::Directory(attributes) => {
                    tar.append(path, EntryKind::Directory, *attributes)?;
                }
                Planned::Bytes(attributes, bytes) => tar.append_bytes(path, *attributes, bytes)?,
                Planned::Payload(entry) => {
                    let kind = match &entry.entry.kind {
                        DataEntryKind::File { bytes } => EntryKind::File { bytes: *bytes },
                        DataEntryKind::Symlink { target } => EntryKind::Symlink { target },
                        DataEntryKind::HardLink { target } => EntryKind::HardLink { target },
                        DataEntryKind::Directory | DataEntryKind::Special => continue,
                    };
                    let mut content = payload.content(entry)?;
                    let attributes = attributes(entry);
                    tar.append_data(path, kind, attributes, &mut content, Path::new(path))?;
                }
            }
        }
        Ok(())
    }
}

fn attributes(entry: &PayloadEntry) -> Attributes {
    Attributes {
        mode: entry.entry.mode,
        uid: entry.entry.uid,
        gid: entry.entry.gid,
        mtime: entry.entry.mtime,
    }
}

/// Attributes of a directory: those it has in the base, because dpkg never changes existing ones.
fn directory(tree: &Tree, path: &str, new: Attributes) -> Attributes {
    tree.get(path).map_or(new, |node| Attributes {
        mode: node.entry.mode,
        uid: node.entry.uid,
        gid: node.entry.gid,
        mtime: node.entry.mtime,
    })
}

/// Reads the layer that was just written and compares the package's files with the package.
fn read_back(layer: &LayerSource, payload: &Payload) -> Result<(), ImageError> {
    let mut found = BTreeMap::new();
    layer.read_entries(|entry, content| {
        if let DataEntryKind::File { bytes } = entry.kind {
            let mut content = HashingReader::new(content);
            io::copy(&mut content, &mut io::sink())
                .map_err(|source| FsError::io(Operation::Read, layer.path(), source))?;
            let path = format!("/{}", entry.path);
            let file = PackagedFile {
                path: path.clone(),
                mode: format!("{:04o}", entry.mode),
                bytes,
                sha256: content.finish().sha256,
            };
            found.insert(path, file);
        }
        Ok(())
    })?;
    for file in payload.contents() {
        if found.get(&file.path) != Some(&file) {
            return Err(ImageErrorKind::ReadBack { path: file.path }.into());
        }
    }
    Ok(())
}
