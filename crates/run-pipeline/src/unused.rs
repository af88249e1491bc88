//! Variables that were given and that nothing in the pipeline uses: most often a name that is misspelt.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use strsim::levenshtein as distance;

use crate::pipeline::Pipeline;

/// Variables that programs read without being told in a pipeline.
const ELSEWHERE: [&str; 15] = [
    "HOME",
    "LANG",
    "PATH",
    "PIPELINE_DIRECTORY",
    "SOURCE_DATE_EPOCH",
    "TERM",
    "TMPDIR",
    "TZ",
    // What pipelines before this one knew; `check-env` says what takes their place.
    "DUNE_PROFILE",
    "FORCE_DOCKER_OVERWRITE",
    "MINA_LEDGER_S3_BUCKET",
    "PRECOMPUTED_BLOCK_GS_PREFIX",
    "PRECOMPUTED_FORK_BLOCK_PREFIX",
    "REPO",
    "USE_ARTIFACTS_FROM_BUILDKITE_BUILD",
];
const ELSEWHERE_PREFIXES: [&str; 9] = [
    "AWS_",
    "BASH",
    "BUILDKITE_",
    "FORKPACK_",
    "GOOGLE_",
    "LC_",
    "PG",
    "RUN_PIPELINE_",
    "RUST_",
];

/// A warning for each of these names that nothing in the pipeline uses. A pipeline that uploads others
/// uses what the files beside it use.
pub(crate) fn warnings<'a>(
    pipeline: &Pipeline,
    file: &Path,
    given: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut words = pipeline.words();
    let mut names: BTreeSet<String> = pipeline.variables().into_iter().collect();
    names.extend(pipeline.replaced_names());
    if words.contains("upload") {
        for other in siblings(file) {
            words.extend(other.words());
            names.extend(other.variables());
        }
    }
    let is_elsewhere = |name: &str| {
        ELSEWHERE.contains(&name)
            || ELSEWHERE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            // As `http_proxy` is.
            || !name.contains(|c: char| c.is_ascii_uppercase())
    };
    let unused = given.filter(|name| !words.contains(*name) && !is_elsewhere(name));
    let warning = |name: &str| {
        let near = names.iter().map(|known| (distance(name, known), known));
        // A third of the letters may be others.
        let near = near
            .filter(|(distance, known)| *distance * 3 <= known.len())
            .min();
        let meant = near.map_or_else(String::new, |(_, known)| format!("; {known} is used"));
        format!("warning: nothing in the pipeline uses {name}{meant}")
    };
    unused.map(warning).collect()
}

fn siblings(file: &Path) -> Vec<Pipeline> {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let names = fork_fs::sorted_names(directory).unwrap_or_default();
    let files = names.iter().map(|name| directory.join(name));
    let files = files.filter(|path| path.extension() == Some(OsStr::new("yml")));
    files
        .filter_map(|path| Pipeline::load(&path).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_told() {
        assert_eq!(distance("FORKSLOT", "FORK_SLOT"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let file = r#"
env: { FORK_SLOT: "${FORK_SLOT:-}", NETWORK: "${NETWORK:-${NETWORK_NAME:-}}" }
steps: [ { key: a, command: 'x "$$OTHER"' } ]
"#;
        let pipeline = Pipeline::parse(file.as_bytes()).unwrap();
        let given = [
            "FORK_SLOT",
            "NETWORK_NAME",
            "OTHER",
            "FORKSLOT",
            "NETWORKS",
            "NOTHING_LIKE_IT",
            "AWS_REGION",
            "DUNE_PROFILE",
            "http_proxy",
        ];
        assert_eq!(
            warnings(&pipeline, Path::new("p.yml"), given.into_iter()),
            [
                "warning: nothing in the pipeline uses FORKSLOT; FORK_SLOT is used",
                "warning: nothing in the pipeline uses NETWORKS; NETWORK is used",
                "warning: nothing in the pipeline uses NOTHING_LIKE_IT",
            ]
        );
    }
}
