//! Reading a list in batches: text ahead of accounts, accounts on all threads.

use std::collections::VecDeque;
use std::io::{Cursor, Read};
use std::ops::Range;

use fork_types::Era;
use rayon::prelude::*;

use super::{AccountBatch, BATCH_ACCOUNTS, rules};
use crate::json::blocks::{BLOCK_BYTES, Block, BlockReader, BlocksEnd};
use crate::json::fast::{FastParser, general};
use crate::json::replay::replay;
use crate::json::stream::ACCOUNTS_MAX;
use crate::json::{
    AccountError, AccountJson, ForkRules, ListedAccountError, StreamError, VerificationKeyCache,
    from_fork_config, v1_from_json,
};

/// Text read ahead of the text being parsed, in bytes: a whole batch of usual accounts (820 bytes
/// each). With the text being parsed, at most twice as much is in memory, one block or one huge
/// account aside.
const READ_AHEAD_BYTES: usize = 8 << 20;

/// Accounts one thread parses at a time: about 0.15 ms.
const ACCOUNTS_PER_JOB: usize = 256;

/// Reads a bare array of accounts, as `mina ledger export` prints it, in batches.
///
/// The accounts, and the errors with their places, are those of
/// [`read_account_array`](crate::json::read_account_array) and the fork tool's conversion (v1's
/// own for v1); only that parsing happens on all threads of the current rayon pool while one of
/// them reads on. Memory does not grow with the list.
#[derive(Debug)]
pub struct AccountReader<R> {
    rules: ForkRules,
    keys: VerificationKeyCache,
    text: TextQueue<R>,
}

impl<R: Read> AccountReader<R> {
    /// A reader of accounts of `era`; `ignore_missing` as in [`ForkRules`].
    #[must_use]
    pub fn new(source: R, era: Era, ignore_missing: bool) -> Self {
        Self::with_block_bytes(source, era, ignore_missing, BLOCK_BYTES)
    }

    fn with_block_bytes(source: R, era: Era, ignore_missing: bool, block_bytes: usize) -> Self {
        Self {
            rules: rules(era, ignore_missing),
            keys: VerificationKeyCache::new(),
            text: TextQueue {
                blocks: BlockReader::with_block_bytes(source, block_bytes),
                queue: VecDeque::new(),
                taken: 0,
                accounts: 0,
                left_to_skip: 0,
                failure: None,
                finished: false,
            },
        }
    }

    /// Accounts given so far.
    #[must_use]
    pub const fn accounts(&self) -> u32 {
        self.text.accounts
    }

    /// Reads up to `blocks` blocks of text (1 MiB each) ahead on this thread, without parsing, and
    /// stops early when enough is there. [`Self::next_batch`] does so by itself; this is for a
    /// thread that has nothing else to do. What is wrong shows when the accounts are asked for.
    pub fn prefetch(&mut self, blocks: usize) {
        for _ in 0..blocks {
            if !self.text.prefetch() {
                break;
            }
        }
    }

    /// Passes over the next accounts without parsing them. Call it before the first
    /// [`Self::next_batch`].
    ///
    /// Only the borders of accounts are looked for; that the text between them is one account each
    /// is for whoever reads them. A list with fewer accounts simply has none left.
    ///
    /// # Errors
    ///
    /// Fails when there is no list. Anything else that is wrong in the skipped text shows in
    /// [`Self::next_batch`].
    pub fn skip(&mut self, accounts: u32) -> Result<(), StreamError<ListedAccountError>> {
        self.text.skip(accounts)
    }

    /// The source, for what is to be done with it at the end.
    #[must_use]
    pub fn into_source(self) -> R {
        self.text.blocks.into_source()
    }
}

impl<R: Read + Send> AccountReader<R> {
    /// The next [`BATCH_ACCOUNTS`] accounts, fewer at the end, `None` after it.
    ///
    /// The last batch is given only when the document ends well after it.
    ///
    /// # Errors
    ///
    /// Fails on what is wrong first in the order of the document: an account that cannot be used,
    /// malformed JSON (with line and column), a source that failed. There is nothing to be had
    /// after an error.
    pub fn next_batch(&mut self) -> Result<Option<AccountBatch>, StreamError<ListedAccountError>> {
        let Self { rules, keys, text } = self;
        let batch = if rules.era == Era::V1 {
            let parse = |list: &mut Vec<u8>, account: &[u8]| general(account, list, v1_from_json);
            AccountBatch::V1(text.next_accounts(Vec::new, parse, v1_from_json)?)
        } else {
            let convert = |json: &AccountJson<'_>| from_fork_config(json, rules, keys);
            let parse = |parser: &mut FastParser<'_>, account: &[u8]| parser.account(account);
            let parser = || FastParser::new(*rules, keys);
            AccountBatch::Later(text.next_accounts(parser, parse, convert)?)
        };
        Ok((!batch.is_empty()).then_some(batch))
    }
}

/// Blocks of text on their way from the source to the parsers.
#[derive(Debug)]
struct TextQueue<R> {
    blocks: BlockReader<R>,
    queue: VecDeque<Block>,
    /// Accounts of the first block that were given already.
    taken: usize,
    /// Accounts given or skipped.
    accounts: u32,
    /// Accounts to skip that no block has: they are behind something odd, or nowhere.
    left_to_skip: usize,
    /// Why there is no first block.
    failure: Option<StreamError<ListedAccountError>>,
    finished: bool,
}

/// Some accounts of one queued block.
#[derive(Clone, Debug)]
struct Job {
    block: usize,
    accounts: Range<usize>,
}

impl<R: Read> TextQueue<R> {
    /// Reads one block unless enough is there; says whether there was one.
    fn prefetch(&mut self) -> bool {
        let bytes = READ_AHEAD_BYTES.saturating_sub(text_bytes(&self.queue));
        let read = read_blocks(&mut self.blocks, bytes.min(1));
        let any = matches!(&read, Ok(blocks) if !blocks.is_empty());
        self.append(read);
        any
    }

    fn skip(&mut self, accounts: u32) -> Result<(), StreamError<ListedAccountError>> {
        let mut left = accounts as usize;
        while left > 0 {
            if self.queue.is_empty() {
                let Some(block) = self.blocks.next_block()? else {
                    break;
                };
                self.queue.push_back(block);
            }
            let there = self.queue.front().map_or(0, |block| block.accounts().len());
            let end = there.min(self.taken + left);
            left -= end - self.taken;
            self.consume(&Job {
                block: 0,
                accounts: self.taken..end,
            });
        }
        self.left_to_skip = left;
        self.accounts = total(self.accounts, accounts as usize - left)?;
        Ok(())
    }

    fn append(&mut self, read: Result<Vec<Block>, StreamError<ListedAccountError>>) {
        match read {
            Ok(blocks) => self.queue.extend(blocks),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The next accounts from the queue, as jobs: at most `accounts_max`, and of about
    /// [`READ_AHEAD_BYTES`] of text.
    fn plan(&self, accounts_max: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        let (mut accounts_left, mut bytes, mut start) = (accounts_max, 0, self.taken);
        for (block, text) in self.queue.iter().enumerate() {
            let end = text.accounts().len().min(start + accounts_left);
            accounts_left -= end - start;
            while start < end {
                let next = end.min(start + ACCOUNTS_PER_JOB);
                jobs.push(Job {
                    block,
                    accounts: start..next,
                });
                start = next;
            }
            bytes += text.text().len();
            if accounts_left == 0 || bytes >= READ_AHEAD_BYTES {
                break;
            }
            start = 0;
        }
        jobs
    }

    /// Forgets the accounts up to the end of `job`.
    fn consume(&mut self, job: &Job) {
        for block in self.queue.drain(..job.block) {
            self.blocks.recycle(block);
        }
        self.taken = job.accounts.end;
        if let Some(first) = self.queue.front()
            && self.taken == first.accounts().len()
        {
            self.taken = 0;
            if let Some(block) = self.queue.pop_front() {
                self.blocks.recycle(block);
            }
        }
    }

    /// Reads on the slow way from the first account that was not given, to the end of the list.
    fn replay<T>(
        &mut self,
        accounts: u32,
        convert: impl Fn(&AccountJson<'_>) -> Result<T, AccountError>,
    ) -> Result<Vec<T>, StreamError<ListedAccountError>> {
        let mut position = self.blocks.position();
        let mut text = Vec::new();
        for (index, block) in self.queue.drain(..).enumerate() {
            if index == 0 {
                let (start, rest) = block.text_from(self.taken);
                position = start;
                text.extend_from_slice(rest);
            } else {
                text.extend_from_slice(block.text());
            }
        }
        let rest = Cursor::new(text).chain(self.blocks.rest());
        replay(position, accounts, rest, convert)
    }
}

impl<R: Read + Send> TextQueue<R> {
    /// The accounts of the next batch. `parse` is the fast way and gives `None` where it fails;
    /// `convert` is how the slow way makes an account, or says why not.
    fn next_accounts<P, T: Send>(
        &mut self,
        new_parser: impl Fn() -> P + Sync,
        parse: impl Fn(&mut P, &[u8]) -> Option<T> + Sync,
        convert: impl Fn(&AccountJson<'_>) -> Result<T, AccountError>,
    ) -> Result<Vec<T>, StreamError<ListedAccountError>> {
        let mut found = Vec::new();
        while found.len() < BATCH_ACCOUNTS && !self.finished {
            let jobs = self.plan(BATCH_ACCOUNTS - found.len());
            let planned = jobs.last().map_or(0, |job| job.block + 1);
            let ahead = text_bytes(self.queue.iter().skip(planned));
            let (blocks, queue) = (&mut self.blocks, &self.queue);
            let (read, parsed) = rayon::join(
                || read_blocks(blocks, READ_AHEAD_BYTES.saturating_sub(ahead)),
                || -> Vec<Option<Vec<T>>> {
                    let parse_job = |job: &Job| parse_job(queue, job, &new_parser, &parse);
                    jobs.par_iter().map(parse_job).collect()
                },
            );
            self.append(read);
            found.reserve(jobs.iter().map(|job| job.accounts.len()).sum());
            let mut is_odd = false;
            let mut done: Option<Job> = None;
            for (job, accounts) in jobs.into_iter().zip(parsed) {
                let Some(mut accounts) = accounts else {
                    is_odd = true;
                    break;
                };
                found.append(&mut accounts);
                done = Some(job);
            }
            let progress = done.is_some();
            if let Some(job) = done {
                self.consume(&job);
            }
            if is_odd || self.queue.is_empty() && !progress {
                // Nothing is to be had after this, be it the end or an error.
                self.finished = true;
                if let Some(failure) = self.failure.take() {
                    return Err(failure);
                }
                if is_odd || self.blocks.end() == Some(BlocksEnd::Odd) {
                    let before = total(self.accounts, found.len())?;
                    let mut rest = self.replay(before, &convert)?;
                    let skipped = self.left_to_skip.min(rest.len());
                    self.left_to_skip = 0;
                    self.accounts = total(self.accounts, skipped)?;
                    found.extend(rest.drain(skipped..));
                }
            }
        }
        self.accounts = total(self.accounts, found.len())?;
        Ok(found)
    }
}

/// Reads blocks until they have `bytes` of text, or there are no more.
fn read_blocks<R: Read>(
    blocks: &mut BlockReader<R>,
    bytes: usize,
) -> Result<Vec<Block>, StreamError<ListedAccountError>> {
    let mut read = Vec::new();
    let mut read_bytes = 0;
    while read_bytes < bytes
        && let Some(block) = blocks.next_block()?
    {
        read_bytes += block.text().len();
        read.push(block);
    }
    Ok(read)
}

/// Parses the accounts of a job; `None` when one of them is odd.
fn parse_job<P, T>(
    queue: &VecDeque<Block>,
    job: &Job,
    new_parser: impl Fn() -> P,
    parse: impl Fn(&mut P, &[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let block = queue.get(job.block)?;
    let mut parser = new_parser();
    let mut parsed = Vec::with_capacity(job.accounts.len());
    for account in block.accounts().get(job.accounts.clone())? {
        parsed.push(parse(&mut parser, block.text().get(account.clone())?)?);
    }
    Some(parsed)
}

fn text_bytes<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> usize {
    blocks.into_iter().map(|block| block.text().len()).sum()
}

/// `before + more`, which a ledger's index must have room for.
fn total(before: u32, more: usize) -> Result<u32, StreamError<ListedAccountError>> {
    u32::try_from(more)
        .ok()
        .and_then(|more| before.checked_add(more))
        .filter(|total| *total <= ACCOUNTS_MAX)
        .ok_or(StreamError::TooManyAccounts {
            accounts_max: ACCOUNTS_MAX,
        })
}

#[cfg(test)]
mod tests;
