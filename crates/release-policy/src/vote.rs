//! Counting votes.
//!
//! The electorate is the roster the proposal names by digest, one vote per operator. A vote counts for
//! one proposal: change a letter of it and counting starts again. It counts when it came in on one of
//! the policy's channels, and for a mail that means: the raw mail is there, passed through the list,
//! is from an address of the voter, and says the same in words of the voter's own. Votes are taken in
//! the order of the log. Once the threshold is passed the result stands, and nothing later changes it.

use std::collections::BTreeMap;

use crate::document::Roster;
use crate::mail::Mail;
use crate::name::Digest;
use crate::policy::Threshold;
use crate::statement::{Choice, Vote};
use crate::store::Store;

/// A vote that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What the voter wants.
    pub choice: Choice,
    /// The voter's answers to the three questions.
    pub answers: Option<Vec<bool>>,
}

/// Why a vote does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The envelope.
    pub envelope: Digest,
    /// Why.
    pub why: String,
    /// Whether the reason is where it came from.
    pub channel: bool,
}

/// The result so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Size of the electorate.
    pub electorate: usize,
    /// The vote of each voter.
    pub votes: BTreeMap<String, Counted>,
    /// Votes that do not count.
    pub ignored: Vec<Ignored>,
    /// Whether the threshold was passed; nothing later changes that.
    pub won: bool,
}

impl Tally {
    /// Number of approvals.
    #[must_use]
    pub fn approvals(&self) -> usize {
        self.votes
            .values()
            .filter(|vote| vote.choice == Choice::Approve)
            .count()
    }
}

/// Whether `yes` of `electorate` pass the threshold; in whole numbers, so there is nothing to round.
#[must_use]
pub fn passes(threshold: Threshold, yes: usize, electorate: usize) -> bool {
    let left = yes as u128 * u128::from(threshold.den);
    let right = electorate as u128 * u128::from(threshold.num);
    electorate > 0
        && if threshold.strict {
            left > right
        } else {
            left >= right
        }
}

/// The least number of approvals that passes.
#[must_use]
pub fn needed(threshold: Threshold, electorate: usize) -> usize {
    let right = electorate * threshold.num as usize;
    let den = threshold.den as usize;
    if threshold.strict {
        right / den + 1
    } else {
        right.div_ceil(den)
    }
}

/// Counts the votes on a proposal, given in the order of the log.
#[must_use]
pub fn count<'a>(
    proposal: Digest,
    roster: &Roster,
    channels: &[String],
    threshold: Threshold,
    votes: impl IntoIterator<Item = (Digest, &'a Vote)>,
    store: &Store,
) -> Tally {
    let mut tally = Tally {
        electorate: roster.operators.len(),
        ..Tally::default()
    };
    for (envelope, vote) in votes {
        match judge(proposal, roster, channels, vote, store) {
            Err((why, channel)) => tally.ignored.push(Ignored {
                envelope,
                why,
                channel,
            }),
            Ok(_) if tally.won => {
                let why = "it came after the result stood".to_owned();
                tally.ignored.push(Ignored {
                    envelope,
                    why,
                    channel: false,
                });
            }
            Ok(counted) if counted.choice == Choice::Withdraw => {
                tally.votes.remove(&vote.voter);
            }
            Ok(counted) => {
                tally.votes.insert(vote.voter.clone(), counted);
            }
        }
        tally.won = tally.won || passes(threshold, tally.approvals(), tally.electorate);
    }
    tally
}

/// Whether a vote counts. The flag says that its channel is the reason it does not.
fn judge(
    proposal: Digest,
    roster: &Roster,
    channels: &[String],
    vote: &Vote,
    store: &Store,
) -> Result<Counted, (String, bool)> {
    let no = |why: String| Err((why, false));
    if vote.proposal != proposal {
        return no(format!("it is on proposal {}", vote.proposal));
    }
    if !channels.contains(&vote.channel) {
        return Err((format!("`{}` is no channel for votes", vote.channel), true));
    }
    let Some(addresses) = roster.operators.get(&vote.voter) else {
        return no(format!("`{}` is not in the roster", vote.voter));
    };
    let Some(list) = vote.channel.strip_prefix("email:") else {
        return Ok(Counted {
            choice: vote.choice,
            answers: None,
        });
    };
    let Some(bytes) = vote.raw.and_then(|raw| store.file(raw)) else {
        return no("the mail itself is not there".to_owned());
    };
    let mail = Mail::parse(bytes).map_err(|why| (why, false))?;
    if !mail.came_through(list) {
        return Err((
            format!("the mail did not pass through the list `{list}`"),
            true,
        ));
    }
    let said = mail.vote().map_err(|why| (why, false))?;
    if !addresses.contains(&said.from) {
        return no(format!("`{}` is no address of `{}`", said.from, vote.voter));
    }
    if said.proposal != proposal || said.choice != vote.choice {
        return no("the mail says something else than its record".to_owned());
    }
    Ok(Counted {
        choice: vote.choice,
        answers: said.answers,
    })
}
