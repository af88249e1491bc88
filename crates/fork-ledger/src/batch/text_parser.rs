//! Accounts and their normal form from their text.

use fork_types::Era;

use super::{AccountBatch, BatchReader};
use crate::account::{Account, V1Account};
use crate::json::fast::{FastParser, general, is_normal};
use crate::json::{from_fork_config, v1_from_json};

/// Reads the texts of some accounts; made by [`BatchReader::text_parser`].
#[derive(Debug)]
pub struct TextParser<'r> {
    reader: &'r BatchReader,
    fast: FastParser<'r>,
    list: Vec<u8>,
    v1: Vec<V1Account>,
    later: Vec<Account>,
}

/// What the normal form of an account is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalForm {
    /// It has only members of a known shape, so wherever the same text stands, it is an account.
    Closed,
    /// It holds a value of any shape and depth.
    Open,
}

impl<'r> TextParser<'r> {
    pub(super) fn new(reader: &'r BatchReader) -> Self {
        Self {
            reader,
            fast: FastParser::new(reader.rules, &reader.keys),
            list: Vec::new(),
            v1: Vec::new(),
            later: Vec::new(),
        }
    }

    /// Reads one account and appends what [`AccountJson::write`] prints of it to `normal`; `None`
    /// when it cannot be used or the text is not exactly one account. `normal` may have been
    /// written to then.
    ///
    /// [`AccountJson::write`]: crate::json::AccountJson::write
    pub fn push(&mut self, text: &[u8], normal: &mut Vec<u8>) -> Option<NormalForm> {
        let Self {
            reader,
            fast,
            list,
            v1,
            later,
        } = self;
        if reader.rules.era == Era::V1 {
            return general(text, list, |json| {
                v1.push(v1_from_json(json)?);
                json.write(normal);
                Ok(form(json.snapp.is_some()))
            });
        }
        if is_normal(text)
            && let Some(account) = fast.fast(text)
        {
            later.push(account);
            normal.extend_from_slice(text);
            return Some(NormalForm::Closed);
        }
        general(text, list, |json| {
            later.push(from_fork_config(json, &reader.rules, &reader.keys)?);
            json.write(normal);
            Ok(form(json.snapp.is_some()))
        })
    }

    /// The accounts read.
    #[must_use]
    pub fn into_batch(self) -> AccountBatch {
        if self.reader.rules.era == Era::V1 {
            AccountBatch::V1(self.v1)
        } else {
            AccountBatch::Later(self.later)
        }
    }
}

const fn form(has_any_value: bool) -> NormalForm {
    if has_any_value {
        NormalForm::Open
    } else {
        NormalForm::Closed
    }
}
