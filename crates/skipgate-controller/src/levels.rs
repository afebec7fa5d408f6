//! What there is to choose from.

use std::time::Duration;

use skipgate_core::Hint;

/// A configuration of the Pareto front, as controllers see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Share of images classified right, from 0 to 1.
    pub accuracy: f64,
    /// Median latency on an idle device.
    pub median: Duration,
    /// The latency that 99 of 100 calls do not exceed there.
    pub p99: Duration,
}

impl Level {
    /// A level of these properties.
    pub fn new(accuracy: f64, median: Duration, p99: Duration) -> Self {
        Self { accuracy, median, p99 }
    }
}

/// The levels that a controller may use, by the number of skipped blocks, each with its number in the front. There is
/// at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels(Vec<(usize, Level)>);

/// No level is left.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was none.
    #[error("the Pareto front is empty; expected at least one configuration")]
    Empty,
    /// All are below the minimum.
    #[error(
        "no configuration is more accurate than {:.2} %; the best of {count} has {:.2} %",
        100.0 * minimum, 100.0 * best
    )]
    Accuracy {
        /// What was asked for.
        minimum: f64,
        /// The most accurate one.
        best: f64,
        /// Number of configurations.
        count: usize,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Empty => "explore the artifact with `skipgate pareto`".to_owned(),
            Self::Accuracy { .. } => "ask for less, or explore the artifact with more images".to_owned(),
        })
    }
}

impl Levels {
    /// The levels of a front, by the number of skipped blocks, that are more accurate than `minimum` (line 1 of the
    /// paper's algorithm 1).
    ///
    /// # Errors
    ///
    /// When none is.
    pub fn new(front: Vec<Level>, minimum: f64) -> Result<Self, Error> {
        let count = front.len();
        let best = front.iter().map(|level| level.accuracy).reduce(f64::max).ok_or(Error::Empty)?;
        let enough = front.into_iter().enumerate().filter(|(_, level)| level.accuracy > minimum);
        let levels = Self(enough.collect());
        if levels.0.is_empty() {
            return Err(Error::Accuracy { minimum, best, count });
        }
        Ok(levels)
    }

    /// The number in the front of the level at `position`; positions count from the one that skips least.
    pub(crate) fn number(&self, position: usize) -> usize {
        self.0[position].0
    }

    /// The most accurate and the fastest of these alone: what switching between two models can choose from.
    pub fn most_accurate_and_fastest(&self) -> Self {
        let levels = self.most_accurate_first();
        let last = levels.last().filter(|_| levels.len() > 1);
        Self(levels.first().into_iter().chain(last).copied().collect())
    }

    /// The level of that number in the front.
    pub fn of_number(&self, number: usize) -> Option<&Level> {
        self.0.iter().find(|(other, _)| *other == number).map(|(_, level)| level)
    }

    /// Position of the level that skips most.
    pub(crate) fn last(&self) -> usize {
        self.0.len() - 1
    }

    /// Those that no other level beats on both accuracy and median latency, from the most accurate to the fastest, each
    /// with its number in the front. There is at least one.
    pub(crate) fn most_accurate_first(&self) -> Vec<(usize, Level)> {
        let mut levels = self.0.clone();
        levels.sort_by(|(_, a), (_, b)| b.accuracy.total_cmp(&a.accuracy).then(a.median.cmp(&b.median)));
        let mut fastest = Duration::MAX;
        levels.retain(|(_, level)| {
            let faster = level.median < fastest;
            fastest = fastest.min(level.median);
            faster
        });
        levels
    }

    /// All levels with their numbers in the front.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Level)> {
        self.0.iter().map(|(number, level)| (*number, level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(accuracies: &[f64]) -> Vec<Level> {
        let level = |&accuracy| Level::new(accuracy, Duration::from_millis(2), Duration::from_millis(3));
        accuracies.iter().map(level).collect()
    }

    #[test]
    fn only_more_than_the_minimum_is_enough() {
        let levels = Levels::new(front(&[0.9, 0.7, 0.8, 0.6]), 0.7).unwrap();
        assert_eq!(levels.iter().map(|(number, _)| number).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn levels_that_others_beat_are_left_out() {
        let level = |accuracy, ms| Level::new(accuracy, Duration::from_millis(ms), Duration::from_millis(ms));
        let front = vec![level(0.9, 9), level(0.95, 8), level(0.8, 8), level(0.8, 3), level(0.7, 3)];
        let levels = Levels::new(front, 0.0).unwrap().most_accurate_first();
        assert_eq!(levels.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
        let front = [(0.9, 9), (0.8, 8), (0.7, 7)].map(|(accuracy, ms)| level(accuracy, ms)).to_vec();
        let two = Levels::new(front.clone(), 0.0).unwrap().most_accurate_and_fastest();
        assert_eq!(two.iter().map(|(number, _)| number).collect::<Vec<_>>(), [0, 2]);
        let one = Levels::new(front, 0.8).unwrap().most_accurate_and_fastest();
        assert_eq!(one.iter().count(), 1);
    }

    #[test]
    fn a_minimum_that_nothing_reaches_is_refused() {
        let error = Levels::new(front(&[0.9, 0.8]), 0.9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no configuration is more accurate than 90.00 %; the best of 2 has 90.00 %"
        );
        assert_eq!(Levels::new(vec![], 0.0), Err(Error::Empty));
    }
}
