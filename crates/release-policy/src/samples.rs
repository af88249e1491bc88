//! A value that has to rise: what all facts of an attempt say of it, taken together.

use std::collections::BTreeMap;

use crate::name::{Span, Time};

/// The lowest and the highest value that was recorded for each moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series(BTreeMap<Time, (u64, u64)>);

impl Series {
    /// Samples from the network's start on. None is of a time after the one it was recorded at: what
    /// lies before the network or in the future says nothing about it.
    pub(crate) fn of<'a>(
        start: Time,
        facts: impl Iterator<Item = (Time, &'a BTreeMap<Time, u64>)>,
    ) -> Self {
        let mut all = BTreeMap::new();
        for (recorded_at, samples) in facts {
            for (at, value) in samples.range(start..) {
                if *at > recorded_at {
                    break;
                }
                let (least, most) = all.entry(*at).or_insert((*value, *value));
                *least = (*value).min(*least);
                *most = (*value).max(*most);
            }
        }
        Self(all)
    }

    /// Moments.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The first pair of samples between which nothing rose.
    pub(crate) fn stalled(&self) -> Option<(Time, Time)> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let mut stuck = pairs.filter(|((_, (_, before)), (_, (after, _)))| after <= before);
        stuck.next().map(|((from, _), (to, _))| (*from, *to))
    }

    /// Moments for which two values were recorded. Which of them is true nobody can tell afterwards.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .filter(|(_, (least, most))| least != most)
            .map(|(at, (least, most))| format!("{least} and {most} at {at}"))
    }

    /// Spans without a sample that are longer than `most`, from the network's start until now.
    pub(crate) fn gaps(&self, start: Time, now: Time, most: Span) -> impl Iterator<Item = String> {
        let from = std::iter::once(start).chain(self.0.keys().copied());
        let to = self.0.keys().copied().chain(std::iter::once(now));
        from.zip(to)
            .filter(move |(from, to)| *to > from.plus(most))
            .map(|(from, to)| format!("no sample from {from} to {to}"))
    }
}
