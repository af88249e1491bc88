//! Carries a plan out.
//!
//! The order makes it safe. Nothing that is read is touched before everything new is there under names
//! of its own: packages, and indices under their digests. Then InRelease is exchanged, in one step and
//! only if it is still the one that was read; from there on the new state is published, and the loser
//! of a race has changed nothing that anybody reads. The copies under plain names, for readers that
//! know neither InRelease nor digests, follow; they are made from whatever InRelease is there then, so
//! that two publishers one after the other leave the later state, whoever is slower.

use std::path::Path;

use fork_daemon::StoreUrl;
use fork_package::apt::Previous;
use fork_sign::openpgp::{OpenPgpKey, OpenPgpKeyring};

use super::PublishError;
use super::plan::{Next, Plan};
use super::site::{Site, State, mismatch};

/// How often the plain copies are made again because somebody published meanwhile.
const ROUNDS_MAX: u32 = 10;

/// Largest plain copy that is read for comparing; a larger one is another for certain.
const COPY_BYTES_MAX: u64 = 256 << 20;

/// Carries the plan out; returns the names of what was written, in its order. Uploads of packages
/// that are there already are not among them.
pub(super) fn carry_out(
    site: &Site<'_>,
    plan: &Plan,
    key: &OpenPgpKey,
    keyring: &OpenPgpKeyring,
    work_dir: &Path,
    note: &dyn Fn(&str),
) -> Result<Vec<String>, PublishError> {
    let mut written = Vec::new();
    packages(site, plan, work_dir, note, &mut written)?;
    let mut dropped: &[Previous] = &[];
    if let Some(next) = &plan.next {
        indices(site, next, &mut written)?;
        note("exchanging InRelease");
        exchange(site, plan.state.as_ref(), next, key)?;
        written.push(site.key("InRelease"));
        dropped = &next.dropped;
    }
    copies(site, key, keyring, &mut written)?;
    for one in dropped {
        site.store.remove(&site.by_hash(&one.path, &one.sha256))?;
    }
    Ok(written)
}

fn packages(
    site: &Site<'_>,
    plan: &Plan,
    work_dir: &Path,
    note: &dyn Fn(&str),
    written: &mut Vec<String>,
) -> Result<(), PublishError> {
    let journal = work_dir.join("upload.journal.json");
    for (given, _) in &plan.packages {
        let key = &given.entry.filename;
        let is_there = site.store.size(key)?.is_some();
        note(&if is_there {
            format!("comparing {key}")
        } else {
            format!("storing {key}")
        });
        if !is_there && matches!(site.store.url(), StoreUrl::Remote(_)) {
            fork_fs::create_dir_all(work_dir)?;
        }
        // What is there is compared byte by byte, what is new is read back.
        site.store
            .upload(key, &given.path, &given.digest, &journal)?;
        if !is_there {
            written.push(key.clone());
        }
    }
    Ok(())
}

/// Stores the indices under their digests.
fn indices(site: &Site<'_>, next: &Next, written: &mut Vec<String>) -> Result<(), PublishError> {
    for (path, bytes) in &next.files {
        let index = super::plan::reference(bytes);
        let key = site.by_hash(path, &index.sha256);
        if site.store.create(&key, bytes)? {
            written.push(key);
        } else {
            site.read_index(path, &index)?;
        }
    }
    Ok(())
}

fn exchange(
    site: &Site<'_>,
    state: Option<&State>,
    next: &Next,
    key: &OpenPgpKey,
) -> Result<(), PublishError> {
    let signed = key.sign_cleartext(&next.text, next.date)?;
    let name = site.key("InRelease");
    let version = state.map(|state| &state.version);
    if site.store.replace_if(&name, version, signed.as_bytes())? {
        return Ok(());
    }
    Err(lost(site))
}

fn lost(site: &Site<'_>) -> PublishError {
    PublishError::Lost {
        store: site.store.to_string(),
        key: site.key("InRelease"),
    }
}

/// Makes the files under plain names what InRelease says; leaves those alone that are.
fn copies(
    site: &Site<'_>,
    key: &OpenPgpKey,
    keyring: &OpenPgpKeyring,
    written: &mut Vec<String>,
) -> Result<(), PublishError> {
    let mut state = site.read(keyring)?.ok_or_else(|| lost(site))?;
    for _ in 0..ROUNDS_MAX {
        for (path, index) in &state.release.indices {
            let name = site.key(path);
            let copy = site.store.read(&name, COPY_BYTES_MAX)?;
            if copy.is_none_or(|copy| mismatch(&copy, index).is_some()) {
                site.store.replace(&name, &site.read_index(path, index)?)?;
                written.push(name);
            }
        }
        let text = &state.signed.text;
        let signature = site.read_text("Release.gpg")?.unwrap_or_default();
        if keyring.verify_detached(text, &signature, None).is_err() {
            // The time of the signature in InRelease: whoever makes this file makes the same.
            let signature = key.sign_detached(text, state.signed.time)?;
            let name = site.key("Release.gpg");
            site.store.replace(&name, signature.as_bytes())?;
            written.push(name);
        }
        if site.read_text("Release")?.as_ref() != Some(text) {
            let name = site.key("Release");
            site.store.replace(&name, text.as_bytes())?;
            written.push(name);
        }
        let now = site.read(keyring)?.ok_or_else(|| lost(site))?;
        if now.version == state.version {
            return Ok(());
        }
        state = now;
    }
    Err(lost(site))
}
