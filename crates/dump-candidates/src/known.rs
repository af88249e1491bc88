//! What is known of the accounts of one ledger, for the ledgers that share most of them.

use fork_ledger::batch::{AccountBatch, BatchReader, NormalForm, TextBatch};
use pasta_poseidon::Fp;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Accounts one thread reads and hashes at a time: enough for the lanes of the hash's kernels where
/// nine of ten are known, few enough to balance the threads.
const ACCOUNTS_PER_JOB: usize = 512;

/// Most accounts of which anything is kept: many times a ledger of today; 300 MB.
const KNOWN_ACCOUNTS_MAX: usize = 1 << 22;

/// What no text hashes to, as far as anybody can find out.
const NO_DIGEST: [u8; 32] = [0; 32];

/// What is kept of an account: 72 bytes.
#[derive(Clone, Debug)]
pub(crate) struct KnownAccount {
    /// SHA-256 of the text in its normal form, so that an equal digest means an equal account
    /// whoever made up the text. [`NO_DIGEST`] where the text decides too little.
    digest: [u8; 32],
    leaf: Fp,
    /// In nanomina, 0 unless of the default token.
    balance: u64,
}

/// Accounts of the ledger that was read first, by leaf index.
#[derive(Debug, Default)]
pub(crate) struct KnownAccounts(Vec<KnownAccount>);

impl KnownAccounts {
    pub(crate) fn extend(&mut self, accounts: &mut Vec<KnownAccount>) {
        let room = KNOWN_ACCOUNTS_MAX - self.0.len().min(KNOWN_ACCOUNTS_MAX);
        accounts.truncate(room);
        self.0.append(accounts);
    }

    /// The account at `index` if its text is `text`.
    fn find(&self, index: usize, text: &[u8]) -> Option<&KnownAccount> {
        let known = self.0.get(index)?;
        (known.digest == digest(text)).then_some(known)
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Some accounts that were read and hashed.
pub(crate) struct ListedAccounts {
    /// Their normal form, with the separators before them.
    pub(crate) text: Vec<u8>,
    pub(crate) accounts: u32,
    pub(crate) leaves: Vec<Fp>,
    pub(crate) total: u128,
    /// Empty unless they are to be known.
    pub(crate) known: Vec<KnownAccount>,
}

/// What is wanted beside the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) leaves: bool,
    pub(crate) known: bool,
}

/// Reads and hashes a batch on all threads; `None` when any of its accounts is unusable.
pub(crate) fn list_accounts(
    reader: &BatchReader,
    known: Option<&KnownAccounts>,
    wanted: Wanted,
    batch: &TextBatch,
) -> Option<Vec<ListedAccounts>> {
    let jobs: Vec<usize> = (0..batch.len()).step_by(ACCOUNTS_PER_JOB).collect();
    jobs.into_par_iter()
        .map(|start| {
            let end = batch.len().min(start + ACCOUNTS_PER_JOB);
            list_job(reader, known, wanted, batch, start..end)
        })
        .collect()
}

fn list_job(
    reader: &BatchReader,
    known: Option<&KnownAccounts>,
    wanted: Wanted,
    batch: &TextBatch,
    indices: std::ops::Range<usize>,
) -> Option<ListedAccounts> {
    let count = indices.len();
    let first = usize::try_from(batch.first()).ok()? + indices.start;
    let mut listed = ListedAccounts {
        text: Vec::with_capacity(
            batch
                .texts(indices.clone())
                .map(|text| text.len() + 2)
                .sum(),
        ),
        accounts: u32::try_from(count).ok()?,
        leaves: vec![Fp::ZERO; if wanted.leaves { count } else { 0 }],
        total: 0,
        known: Vec::new(),
    };
    let mut parser = reader.text_parser();
    // Offsets in the job and digests of the accounts that are parsed.
    let mut parsed = Vec::new();
    for (offset, text) in batch.texts(indices).enumerate() {
        let index = first + offset;
        let separator = if index == 0 { b"[\n" } else { b",\n" };
        listed.text.extend_from_slice(separator);
        if let Some(account) = known.and_then(|known| known.find(index, text)) {
            // The text is that of a normal form, so it is its own.
            listed.text.extend_from_slice(text);
            listed.total += u128::from(account.balance);
            if let Some(leaf) = listed.leaves.get_mut(offset) {
                *leaf = account.leaf;
            }
            continue;
        }
        let start = listed.text.len();
        let form = parser.push(text, &mut listed.text)?;
        let normal = listed.text.get(start..).unwrap_or_default();
        parsed.push(match form {
            NormalForm::Closed if wanted.known => (offset, digest(normal)),
            NormalForm::Closed | NormalForm::Open => (offset, NO_DIGEST),
        });
    }
    add_parsed(reader, wanted, &parser.into_batch(), &parsed, &mut listed)?;
    Some(listed)
}

/// Adds what is computed of the accounts that were parsed.
fn add_parsed(
    reader: &BatchReader,
    wanted: Wanted,
    batch: &AccountBatch,
    parsed: &[(usize, [u8; 32])],
    listed: &mut ListedAccounts,
) -> Option<()> {
    listed.total += batch.default_token_total();
    let leaves = match wanted.leaves {
        true => reader.hash(batch).ok()?,
        false => vec![Fp::ZERO; batch.len()],
    };
    for ((offset, _), leaf) in parsed.iter().zip(&leaves) {
        if let Some(place) = listed.leaves.get_mut(*offset) {
            *place = *leaf;
        }
    }
    if wanted.known {
        let balances = batch.default_token_balances();
        listed.known = parsed
            .iter()
            .zip(leaves)
            .zip(balances)
            .map(|(((_, digest), leaf), balance)| KnownAccount {
                digest: *digest,
                leaf,
                balance,
            })
            .collect();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use fork_ledger::batch::ListText;
    use fork_types::Era;

    use super::*;

    const KEY: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

    fn account(balance: usize, blank: &str) -> String {
        format!("{{{blank}\"pk\":\"{KEY}\",\"balance\":\"{balance}\"}}")
    }

    fn list(accounts: &[String], known: Option<&KnownAccounts>, wanted: Wanted) -> ListedAccounts {
        let reader = BatchReader::new(Era::Mesa, true);
        let text = format!("[{}]", accounts.join(","));
        let mut list: ListText<_, Infallible> = ListText::new(text.as_bytes());
        let mut all = Vec::new();
        let taken = list.take(
            |batch| list_accounts(&reader, known, wanted, batch),
            |mut jobs| {
                all.append(&mut jobs);
                Ok::<(), Infallible>(())
            },
        );
        assert!(taken.unwrap().is_complete);
        all.into_iter()
            .reduce(|mut all, mut job| {
                all.text.append(&mut job.text);
                all.leaves.append(&mut job.leaves);
                all.known.append(&mut job.known);
                all.total += job.total;
                all.accounts += job.accounts;
                all
            })
            .unwrap()
    }

    #[test]
    fn what_is_known_changes_nothing() {
        for leaves in [true, false] {
            let first: Vec<String> = (0..1300).map(|number| account(number, "")).collect();
            let wanted = Wanted {
                leaves,
                known: true,
            };
            let mut known = KnownAccounts::default();
            known.extend(&mut list(&first, None, wanted).known);
            assert_eq!(known.0.len(), first.len());
            // Most accounts stay, some change, some move by one place, some are spelled otherwise.
            let mut second = first;
            second[3] = account(77_777, "");
            second[700] = account(700, " ");
            second.remove(1100);
            second.extend((0..500).map(|number| account(number, "")));
            let wanted = Wanted {
                leaves,
                known: false,
            };
            let with = list(&second, Some(&known), wanted);
            let without = list(&second, None, wanted);
            assert_eq!(with.accounts, 1799);
            assert_eq!(with.accounts, without.accounts);
            assert_eq!(with.text, without.text);
            assert_eq!(with.leaves, without.leaves);
            assert_eq!(with.leaves.len(), if leaves { 1799 } else { 0 });
            assert_eq!(with.total, without.total);
            assert!(with.known.is_empty());
        }
    }
}
