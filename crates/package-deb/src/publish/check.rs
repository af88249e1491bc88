//! Reads a suite back and checks everything in it.

use std::collections::BTreeSet;
use std::io::{self, Read};

use fork_fs::HashingReader;
use fork_package::apt::{Entry, IndexRef, Release, format_date};
use fork_package::gzip;
use fork_sign::OpenPgpKeyring;

use super::PublishError;
use super::report::CheckReport;
use super::site::{Site, mismatch};

/// Most problems that are told; one missing directory makes many.
const PROBLEMS_MAX: usize = 1000;

const COPY_BYTES_MAX: u64 = 256 << 20;

/// Checks the suite as of `date`. Problems of what is published are in the report.
///
/// # Errors
///
/// Fails when the store cannot be read, or there is no such suite.
pub(super) fn check(
    site: &Site<'_>,
    keyring: &OpenPgpKeyring,
    date: u64,
    note: &dyn Fn(&str),
) -> Result<CheckReport, PublishError> {
    let Some(state) = site.read(keyring)? else {
        return Err(PublishError::NoSuite {
            store: site.store.to_string(),
            suite: site.suite.to_owned(),
        });
    };
    let release = &state.release;
    let mut problems = Vec::new();
    let in_release = site.read_text("InRelease")?.unwrap_or_default();
    if let Err(error) = keyring.verify_cleartext(&in_release, Some(date)) {
        problems.push(format!("InRelease: {error}"));
    }
    match (site.read_text("Release")?, site.read_text("Release.gpg")?) {
        (Some(text), _) if text != state.signed.text => {
            problems.push("Release is not what is signed in InRelease".to_owned());
        }
        (Some(text), Some(signature)) => {
            if let Err(error) = keyring.verify_detached(&text, &signature, Some(date)) {
                problems.push(format!("Release.gpg: {error}"));
            }
        }
        (None, _) => problems.push("Release is missing".to_owned()),
        (_, None) => problems.push("Release.gpg is missing".to_owned()),
    }
    if let Some(until) = release.valid_until.filter(|until| *until <= date) {
        let until = format_date(until).map_err(PublishError::Internal)?;
        problems.push(format!("the suite was valid until {until}"));
    }
    note("reading the indices");
    check_indices(site, release, &mut problems)?;
    let packages = match site.read_components(release) {
        Ok(components) => components
            .into_values()
            .flat_map(|index| index.entries().to_vec())
            .collect(),
        // Said above, where it is damage.
        Err(PublishError::Index { .. }) => Vec::new(),
        Err(error @ (PublishError::Foreign { .. } | PublishError::Contradiction { .. })) => {
            problems.push(error.to_string());
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let mut files = BTreeSet::new();
    for entry in &packages {
        if files.insert(entry.filename.clone()) {
            note(&format!("reading {}", entry.filename));
            problems.extend(check_file(site, entry)?);
        }
    }
    problems.truncate(PROBLEMS_MAX);
    CheckReport::new(site, &state, &packages, problems)
}

/// Every index under its digest and under its plain name.
fn check_indices(
    site: &Site<'_>,
    release: &Release,
    problems: &mut Vec<String>,
) -> Result<(), PublishError> {
    for (path, index) in &release.indices {
        for name in [site.by_hash(path, &index.sha256), site.key(path)] {
            match site.store.read(&name, COPY_BYTES_MAX)? {
                None => problems.push(format!("{name} is missing")),
                Some(bytes) => problems
                    .extend(mismatch(&bytes, index).map(|problem| format!("{name} {problem}"))),
            }
        }
        if let Some(plain) = path.strip_suffix(".gz") {
            problems.extend(check_gzip(site, path, index, release.indices.get(plain))?);
        }
    }
    Ok(())
}

/// Whether a compressed index is the plain one.
fn check_gzip(
    site: &Site<'_>,
    path: &str,
    index: &IndexRef,
    plain: Option<&IndexRef>,
) -> Result<Option<String>, PublishError> {
    let Some(plain) = plain else {
        return Ok(Some(format!("{path} has no plain index beside it")));
    };
    let Ok(bytes) = site.read_index(path, index) else {
        return Ok(None);
    };
    let mut unpacked = Vec::new();
    let limit = plain.bytes.saturating_add(1);
    let read = gzip::decoder(bytes.as_slice())
        .take(limit)
        .read_to_end(&mut unpacked);
    let is_same = read.is_ok() && mismatch(&unpacked, plain).is_none();
    Ok((!is_same).then(|| format!("{path} does not unpack to the plain index")))
}

/// Whether a package's file is what the index says.
fn check_file(site: &Site<'_>, entry: &Entry) -> Result<Option<String>, PublishError> {
    let name = &entry.filename;
    let Some(reader) = site.store.reader(name)? else {
        return Ok(Some(format!("{name} is missing")));
    };
    // One byte more than it should have shows that it has more; the rest need not be read.
    let mut reader = HashingReader::new(reader.take(entry.bytes.saturating_add(1)));
    io::copy(&mut reader, &mut io::sink())
        .map_err(|source| fork_fs::FsError::io(fork_fs::Operation::Read, name.as_ref(), source))?;
    let found = reader.finish();
    if found.sha256 == entry.sha256 && found.bytes == entry.bytes {
        return Ok(None);
    }
    Ok(Some(format!(
        "{name} has SHA-256 {}, expected {}",
        found.sha256, entry.sha256
    )))
}
