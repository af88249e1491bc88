//! The list beside another list of the same ledger.

use fork_types::PublicKey;

use super::run::{List, Run};
use super::source::{AccountSource, ReadFailure};
use super::{
    AccountDifference, Comparison, Reference, Shape, Step, compare_leaves, member_differences,
    v1_member_differences,
};
use crate::account::{Account, V1Account};
use crate::batch::AccountBatch;
use crate::merkle::ledger_hash;

impl Run<'_, '_> {
    /// The list beside its reference.
    pub(super) fn compare<S: AccountSource>(
        &mut self,
        list: &List,
        source: &mut S,
        reference: &mut S,
    ) -> Result<Reference, S::Error> {
        let other = match self.read_list("the reference", reference)? {
            Ok(other) => other,
            Err(reason) => return Ok(Reference::Refused { reason }),
        };
        let max = self.question.differences_max;
        let leaves = compare_leaves(list.leaves(), other.leaves(), max);
        let ours = self.accounts_at(source, &leaves.first, list.winner_added)?;
        let theirs = self.accounts_at(reference, &leaves.first, other.winner_added)?;
        let differences = leaves
            .first
            .iter()
            .zip(ours.into_iter().zip(theirs))
            .map(|(index, (ours, theirs))| difference(leaves.shape, *index, ours, theirs))
            .collect();
        Ok(Reference::Compared(Comparison {
            root: ledger_hash(other.tree.root()),
            accounts: other.tree.len() as u64,
            leaves,
            differences,
        }))
    }

    /// The accounts at the given leaf indices, which ascend; `None` where there is none.
    fn accounts_at<S: AccountSource>(
        &mut self,
        source: &mut S,
        indices: &[u64],
        winner_added: bool,
    ) -> Result<Vec<Option<OneAccount>>, S::Error> {
        let mut accounts: Vec<Option<OneAccount>> = indices.iter().map(|_| None).collect();
        if indices.is_empty() {
            return Ok(accounts);
        }
        let mut start = u64::from(winner_added);
        (self.watch)(Step::Reading("accounts that differ"));
        let read = source.read(&self.question.reading, &mut |batch| {
            for (index, account) in indices.iter().zip(&mut accounts) {
                let place = index
                    .checked_sub(start)
                    .and_then(|place| usize::try_from(place).ok());
                if let Some(place) = place {
                    *account = account.take().or_else(|| OneAccount::of(&batch, place));
                }
            }
            start += batch.len() as u64;
            Ok(())
        });
        match read {
            // It was read to its end before.
            Ok(_) | Err(ReadFailure::Refused(_)) => Ok(accounts),
            Err(ReadFailure::Failed(error)) => Err(error),
        }
    }
}

/// One account of either record.
enum OneAccount {
    V1(V1Account),
    Later(Account),
}

impl OneAccount {
    fn of(batch: &AccountBatch, place: usize) -> Option<Self> {
        match batch {
            AccountBatch::V1(accounts) => accounts.get(place).cloned().map(Self::V1),
            AccountBatch::Later(accounts) => accounts.get(place).cloned().map(Self::Later),
        }
    }

    const fn public_key(&self) -> PublicKey {
        match self {
            Self::V1(account) => account.public_key,
            Self::Later(account) => account.public_key,
        }
    }
}

fn difference(
    shape: Shape,
    index: u64,
    ours: Option<OneAccount>,
    theirs: Option<OneAccount>,
) -> AccountDifference {
    let (ours, theirs) = match shape {
        Shape::Extra { .. } => (ours, None),
        Shape::Missing { .. } => (None, theirs),
        Shape::Same | Shape::Reordered { .. } | Shape::Changed => (ours, theirs),
    };
    let members = match (&ours, &theirs) {
        (Some(OneAccount::V1(ours)), Some(OneAccount::V1(theirs))) => {
            v1_member_differences(ours, theirs)
        }
        (Some(OneAccount::Later(ours)), Some(OneAccount::Later(theirs))) => {
            member_differences(ours, theirs)
        }
        _ => Vec::new(),
    };
    AccountDifference {
        index,
        ours: ours.as_ref().map(OneAccount::public_key),
        theirs: theirs.as_ref().map(OneAccount::public_key),
        members,
    }
}
