//! Pipelines that one file cannot say: for several networks, distributions and machines.
//!
//! A pipeline file is read, changed and printed; what is printed is a pipeline file again, for
//! `buildkite-agent pipeline upload`, which replaces variables as in any other. The order is: shards
//! ([`shards`]), lists of matrices ([`matrix`]), networks ([`networks`]).

mod error;
mod matrix;
mod networks;
mod shards;
mod shell;
mod yaml;

use fork_worker::{Context, WorkerResult};
use yaml_serde::Value;

pub use error::GenerateError;
pub use networks::Networks;

use crate::args::GenerateArgs;
use crate::environment::Variables;

/// What to change.
#[derive(Clone, Debug, Default)]
pub struct Wishes<'a> {
    /// Distributions; none: as the file has it.
    pub codenames: &'a [String],
    /// Architectures; none: as the file has it.
    pub architectures: &'a [String],
    /// How many machines migrate the ledgers, and the steps they do it with.
    pub shards: Option<(u16, &'a [u8])>,
    /// Networks and their variables.
    pub networks: Option<&'a Networks>,
}

/// Changes a pipeline. `variables` are those of the process: what is not in the pipeline's `env` block
/// comes from there, as it would at upload.
///
/// # Errors
///
/// Fails when the pipeline is none, has not what a wish is about, or could not be written so that it
/// means the same for every network.
pub fn generate(
    pipeline: &[u8],
    wishes: &Wishes<'_>,
    variables: &Variables,
) -> Result<Value, GenerateError> {
    let mut root = yaml::parse("the pipeline file", pipeline)?;
    if let Some((count, steps)) = wishes.shards {
        shards::apply(&mut root, count, steps)?;
    }
    matrix::apply(&mut root, "codename", wishes.codenames)?;
    matrix::apply(&mut root, "architecture", wishes.architectures)?;
    if let Some(networks) = wishes.networks {
        networks.apply(&mut root, variables)?;
    }
    Ok(root)
}

impl GenerateArgs {
    pub(crate) fn run(&self, variables: &Variables, context: &Context) -> WorkerResult {
        let read = |path| fork_fs::read_limited(path, yaml::FILE_BYTES_MAX);
        let pipeline = read(&self.file)?;
        let sharded = self.sharded.as_deref().map(read).transpose()?;
        let networks = self.networks.as_deref().map(Networks::load).transpose()?;
        let wishes = Wishes {
            codenames: &self.codenames,
            architectures: &self.architectures,
            shards: self
                .shards
                .map(std::num::NonZeroU16::get)
                .zip(sharded.as_deref()),
            networks: networks.as_ref(),
        };
        let root = generate(&pipeline, &wishes, variables)?;
        context.emit(&yaml::text(&root)?, &root)?;
        Ok(())
    }
}
