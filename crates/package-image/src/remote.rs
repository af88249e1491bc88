//! Images in registries: `push`, `pull` and `promote`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fork_daemon::registry::{
    Access, ImageReference, Push, Pushed, Referrers, Registry, RegistryOptions, Tagged, is_tag,
};
use fork_fs::StagedDir;
use fork_package::oci::{self, Digest};
use fork_package::{Image, Selection, StoredImage};
use fork_worker::{Context, ReportingArgs, WorkerResult};
use serde::Serialize;

use crate::error::{ImageError, ImageErrorKind};
use crate::tags::unique_tag;

/// How to talk to registries; the same for all commands.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Registries")]
pub struct RegistryArgs {
    /// Credentials: a file that `docker login` wrote, for what the environment
    /// (FORKPACK_REGISTRY_USER and FORKPACK_REGISTRY_PASSWORD, or FORKPACK_REGISTRY_TOKEN) has none
    #[arg(long, value_name = "FILE", env = "FORKPACK_REGISTRY_CONFIG")]
    pub registry_config: Option<PathBuf>,

    /// Registry to talk to without TLS; localhost, 127.0.0.1 and [::1] always are
    #[arg(long, value_name = "HOST[:PORT]")]
    pub insecure_registry: Vec<String>,
}

/// Where to push: a name, with or without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget(pub ImageReference);

impl FromStr for PushTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference: ImageReference = named(text)?;
        if reference.digest().is_some() {
            return Err(format!(
                "`{text}` has a digest, which only the image itself can decide"
            ));
        }
        Ok(Self(reference))
    }
}

/// An image by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedRef {
    /// The whole reference.
    pub reference: ImageReference,
    /// Its digest.
    pub digest: Digest,
}

impl FromStr for PinnedRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference: ImageReference = named(text)?;
        let digest = reference.digest().cloned();
        let digest =
            digest.ok_or_else(|| format!("`{text}` needs a digest: HOST/NAME@sha256:…"))?;
        Ok(Self { reference, digest })
    }
}

fn named(text: &str) -> Result<ImageReference, String> {
    let name = text.strip_prefix("docker://").unwrap_or(text);
    name.parse()
        .map_err(|error: fork_daemon::registry::ReferenceError| error.to_string())
}

fn tag(text: &str) -> Result<String, String> {
    if is_tag(text) {
        return Ok(text.to_owned());
    }
    Err("a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of `.` and `-`".to_owned())
}

/// `push`.
#[derive(Clone, Debug, clap::Args)]
pub struct PushArgs {
    /// OCI layout, such as package-image writes
    #[arg(value_name = "DIR")]
    pub layout: PathBuf,

    /// Where to: HOST/NAME:TAG, or HOST/NAME for the tag that the image has in the layout. The image
    /// also gets that tag with the first 12 digits of its digest behind it
    #[arg(value_name = "REF")]
    pub target: PushTarget,

    /// Tag of the image, when the layout holds several
    #[arg(long, value_name = "TAG")]
    pub image_tag: Option<String>,

    /// How to talk to registries
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// `pull`.
#[derive(Clone, Debug, clap::Args)]
pub struct PullArgs {
    /// Image: HOST/NAME:TAG or HOST/NAME@DIGEST
    #[arg(value_name = "REF", value_parser = named)]
    pub reference: ImageReference,

    /// Directory to create; it must not exist or be empty
    #[arg(value_name = "DIR")]
    pub output: PathBuf,

    /// Replace the directory if it is not empty
    #[arg(long)]
    pub force: bool,

    /// Architecture (amd64, arm64, ...), when there are several
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,

    /// Also pull what is attached to the image, such as its SBOM
    #[arg(long)]
    pub attachments: bool,

    /// How to talk to registries
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// `promote`.
#[derive(Clone, Debug, clap::Args)]
pub struct PromoteArgs {
    /// Image: HOST/NAME@DIGEST
    #[arg(value_name = "REF@DIGEST")]
    pub image: PinnedRef,

    /// Tags to give it
    #[arg(value_name = "TAG", required = true, value_parser = tag)]
    pub tags: Vec<String>,

    /// Move tags that name this digest now
    #[arg(long, value_name = "DIGEST")]
    pub move_from: Option<Digest>,

    /// How to talk to registries
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl RegistryArgs {
    /// A client for a registry, with the credentials there are for it.
    ///
    /// # Errors
    ///
    /// Fails when credentials cannot be read, and when there is no TLS.
    pub fn open(&self, host: &str) -> Result<Registry, ImageError> {
        let access = match Access::from_environment(host)? {
            Access::Anonymous => self.configured(host)?,
            access => access,
        };
        Ok(Registry::open(host, access, self.options())?)
    }

    /// A client for the registry of a base. The environment's credentials are for one registry: when
    /// the image is pushed to another one, they are that one's.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_base(&self, host: &str, pushed_to: Option<&str>) -> Result<Registry, ImageError> {
        if pushed_to.is_none_or(|other| other == host) {
            return self.open(host);
        }
        Ok(Registry::open(
            host,
            self.configured(host)?,
            self.options(),
        )?)
    }

    fn configured(&self, host: &str) -> Result<Access, ImageError> {
        match &self.registry_config {
            Some(path) => Ok(Access::from_docker_config(path, host)?),
            None => Ok(Access::Anonymous),
        }
    }

    fn options(&self) -> RegistryOptions {
        RegistryOptions {
            insecure_registries: self.insecure_registry.clone(),
            ..RegistryOptions::default()
        }
    }
}

/// Pushes an image under the target's tag or its own, and under the unique one.
///
/// # Errors
///
/// As [`Registry::push`], and when there is no tag.
pub fn push(
    layout: &Path,
    selection: Selection<'_>,
    target: &PushTarget,
    registry: &RegistryArgs,
    note: &dyn Fn(&str),
) -> Result<Pushed, ImageError> {
    let image = StoredImage::open(layout, selection)?.image.descriptor;
    let own = image
        .annotations
        .get(oci::REF_NAME)
        .filter(|tag| is_tag(tag));
    let tag = match target.0.tag() {
        Some(tag) => tag.to_owned(),
        None => own.cloned().ok_or_else(|| ImageErrorKind::Untagged {
            path: layout.to_owned(),
        })?,
    };
    // The one that everybody looks for comes last.
    let mut tags = vec![unique_tag(&tag, &image.digest)?, tag];
    tags.dedup();
    let client = registry.open(target.0.registry())?;
    let push = Push {
        layout,
        selection,
        repository: target.0.repository(),
        tags: &tags,
    };
    Ok(client.push(&push, note)?)
}

/// What a command did, as JSON.
#[derive(Debug, Serialize)]
struct PushReport {
    reference: String,
    digest: String,
    tags: Vec<TagReport>,
    attachments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrers: Option<&'static str>,
    blobs_sent: usize,
    blobs_present: usize,
    bytes_sent: u64,
}

#[derive(Debug, Serialize)]
struct PullReport {
    reference: String,
    digest: String,
    architecture: String,
    bytes: u64,
    attachments: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PromoteReport {
    reference: String,
    tags: Vec<TagReport>,
}

/// A tag: `set`, `moved` or `unchanged`.
#[derive(Debug, Serialize)]
struct TagReport {
    tag: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

impl TagReport {
    fn new(tagged: &Tagged, digest: &Digest) -> Self {
        Self {
            tag: tagged.tag.clone(),
            outcome: match &tagged.before {
                None => "set",
                Some(before) if before == digest => "unchanged",
                Some(_) => "moved",
            },
            before: tagged.before.as_ref().map(ToString::to_string),
        }
    }
}

fn tags_for_people(tags: &[TagReport]) -> String {
    let mut text = String::new();
    for tag in tags {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  tag {} ({})", tag.tag, tag.outcome);
    }
    text
}

impl PushArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let selection = Selection {
            tag: self.image_tag.as_deref(),
            architecture: None,
        };
        let note = |text: &str| context.note(text);
        let pushed = push(&self.layout, selection, &self.target, &self.registry, &note)?;
        let report = PushReport {
            reference: pushed.reference(&self.target.0).to_string(),
            digest: pushed.digest.to_string(),
            tags: pushed
                .tags
                .iter()
                .map(|tag| TagReport::new(tag, &pushed.digest))
                .collect(),
            attachments: pushed.attachments.iter().map(ToString::to_string).collect(),
            referrers: pushed.referrers.map(|how| match how {
                Referrers::Api => "api",
                Referrers::Tag => "tag",
            }),
            blobs_sent: pushed.blobs_sent,
            blobs_present: pushed.blobs_present,
            bytes_sent: pushed.bytes_sent,
        };
        let mut text = format!("pushed {}\n", report.reference);
        text.push_str(&tags_for_people(&report.tags));
        for attachment in &report.attachments {
            let _ = writeln!(text, "  attached {attachment}");
        }
        let _ = writeln!(
            text,
            "  blobs: {} sent ({} bytes), {} there already",
            report.blobs_sent, report.bytes_sent, report.blobs_present
        );
        context.emit(&text, &report)?;
        Ok(())
    }
}

impl PullArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let reference = &self.reference;
        let output = StagedDir::create(&self.output, self.force)?;
        let selection = Selection {
            tag: None,
            architecture: self.architecture.as_deref(),
        };
        let registry = self.registry.open(reference.registry())?;
        let note = |text: &str| context.note(text);
        let pulled = registry.pull(reference, selection, self.attachments, output.path(), &note)?;
        let image = Image::open_layout(output.path(), Selection::default())?;
        output.commit()?;
        let report = PullReport {
            reference: reference.pinned(pulled.top_digest).to_string(),
            digest: pulled.digest.to_string(),
            architecture: image.config.architecture,
            bytes: pulled.bytes,
            attachments: pulled.attachments.iter().map(ToString::to_string).collect(),
        };
        let mut text = format!(
            "pulled {}\n  manifest {} ({}, {} bytes)\n",
            report.reference, report.digest, report.architecture, report.bytes
        );
        for attachment in &report.attachments {
            let _ = writeln!(text, "  attached {attachment}");
        }
        context.emit(&text, &report)?;
        Ok(())
    }
}

impl PromoteArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let reference = &self.image.reference;
        let registry = self.registry.open(reference.registry())?;
        let tags = registry.promote(
            reference.repository(),
            &self.image.digest,
            &self.tags,
            self.move_from.as_ref(),
        )?;
        let report = PromoteReport {
            reference: reference.to_string(),
            tags: tags
                .iter()
                .map(|tag| TagReport::new(tag, &self.image.digest))
                .collect(),
        };
        let text = format!("{}\n{}", report.reference, tags_for_people(&report.tags));
        context.emit(&text, &report)?;
        Ok(())
    }
}
