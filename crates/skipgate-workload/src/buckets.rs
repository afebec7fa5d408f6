//! How often a time was within each of some bounds.

use std::time::Duration;

/// Upper bounds in microseconds, as Prometheus' clients have them by default, and three more for small networks.
const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Times, counted by upper bounds that are always the same, so that those of several runs can be added.
#[derive(Debug, Clone, Default)]
pub struct Buckets {
    /// By the first bound that a time is within.
    counts: [u64; BOUNDS_US.len()],
    /// All, those past the last bound too.
    count: u64,
    sum: Duration,
}

impl Buckets {
    pub(crate) fn add(&mut self, time: Duration) {
        let bucket = BOUNDS_US.iter().position(|bound| time <= Duration::from_micros(*bound));
        if let Some(bucket) = bucket {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// Each upper bound, with how many times were within it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let bounds = BOUNDS_US.iter().map(|bound| Duration::from_micros(*bound));
        bounds.zip(self.counts.iter().scan(0, |within, count| {
            *within += count;
            Some(*within)
        }))
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_within_every_bound_that_it_does_not_exceed() {
        let mut buckets = Buckets::default();
        for us in [0, 100, 101, 1_000, 20_000_000] {
            buckets.add(Duration::from_micros(us));
        }
        let counts: Vec<_> = buckets.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts[..4], [2, 3, 3, 4]);
        assert!(counts[4..].iter().all(|count| *count == 4), "one is longer than the last bound");
        assert_eq!((buckets.count(), buckets.sum()), (5, Duration::from_micros(20_001_201)));
    }
}
