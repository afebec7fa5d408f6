//! Times of calls, round by round.

use std::time::Duration;

use crate::latency::Latency;

/// Times of the calls of one configuration: one list per round, none of them empty.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Vec<Duration>>);

impl Times {
    /// Adds a round.
    pub(crate) fn push(&mut self, round: Vec<Duration>) {
        self.0.push(round);
    }

    /// Over all calls of all rounds, of which there is at least one.
    pub(crate) fn latency(&self) -> Latency {
        Latency::of(&self.0.concat())
    }

    /// Median of the last round, in microseconds.
    pub(crate) fn last_median_us(&self) -> Option<f64> {
        self.0.last().map(|round| Latency::of(round).median_us)
    }

    /// How much longer these calls took than the `others` of the same rounds: the median over the rounds of the ratio
    /// of the medians of a round. What slows a whole round down, such as the clock of the CPU, cancels out.
    pub(crate) fn ratio_to(&self, others: &Self) -> f64 {
        let median_us = |round: &Vec<Duration>| Latency::of(round).median_us;
        let ratios = self.0.iter().zip(&others.0).map(|(own, other)| median_us(own) / median_us(other));
        median(ratios.collect())
    }
}

/// The middle of `values`, or the mean of the two in the middle; NaN if there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(middle(values.len().saturating_sub(1) / 2), middle(values.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rounds: &[&[u64]]) -> Times {
        let round = |micros: &&[u64]| micros.iter().copied().map(Duration::from_micros).collect();
        Times(rounds.iter().map(round).collect())
    }

    #[test]
    fn the_latency_is_over_all_rounds() {
        let times = times(&[&[3, 1], &[100]]);
        let latency = times.latency();
        let found = [latency.min_us, latency.median_us, latency.max_us];
        assert_eq!(found.map(|us| format!("{us:.0}")), ["1", "3", "100"]);
        assert_eq!(times.last_median_us().map(f64::round), Some(100.0));
    }

    #[test]
    fn a_slow_round_does_not_move_the_ratio() {
        let (own, other) = (times(&[&[11], &[33], &[11]]), times(&[&[10], &[30], &[10]]));
        assert!((own.ratio_to(&other) - 1.1).abs() < 1e-9);
    }

    #[test]
    fn one_odd_round_does_not_move_the_ratio() {
        let (own, other) = (times(&[&[11], &[999], &[11]]), times(&[&[10], &[10], &[10]]));
        assert!((own.ratio_to(&other) - 1.1).abs() < 1e-9);
    }

    #[test]
    fn the_median_is_the_middle() {
        let found = [vec![3.0, 1.0, 2.0], vec![4.0, 1.0, 2.0, 3.0]].map(median);
        assert_eq!(found.map(|value| value.to_string()), ["2", "2.5"]);
        assert!(median(vec![]).is_nan());
    }
}
