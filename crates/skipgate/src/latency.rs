//! Wall time of calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time of single calls, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::struct_field_names, reason = "the unit belongs into the JSON keys")]
pub(crate) struct Latency {
    pub(crate) min_us: f64,
    pub(crate) median_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Latency {
    /// Statistics of at least one call.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort();
        let last = times.len() - 1;
        // The nearest-rank percentile: the smallest time that at least that share of the calls did not exceed.
        let rank = |percent: usize| times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1];
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Self {
            min_us: us(times[0]),
            median_us: us(rank(50)),
            p90_us: us(rank(90)),
            p99_us: us(rank(99)),
            max_us: us(times[last]),
        }
    }
}

impl Latency {
    /// Whether calls can have taken these times.
    pub(crate) fn is_possible(&self) -> bool {
        let times = [self.min_us, self.median_us, self.p90_us, self.p99_us, self.max_us];
        times.is_sorted() && self.min_us > 0.0 && self.max_us.is_finite()
    }

    /// The time that this share of calls does not exceed, between the known ones in proportion.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let known = [
            (0.0, self.min_us),
            (0.5, self.median_us),
            (0.9, self.p90_us),
            (0.99, self.p99_us),
            (1.0, self.max_us),
        ];
        let above = known.iter().position(|(other, _)| *other >= share).unwrap_or(known.len() - 1).max(1);
        let ((from, low), (to, high)) = (known[above - 1], known[above]);
        let us = low + (high - low) * ((share - from) / (to - from)).clamp(0.0, 1.0);
        Duration::try_from_secs_f64(us * 1e-6).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_quantiles_lie_between_the_known_ones() {
        let latency =
            Latency { min_us: 100.0, median_us: 200.0, p90_us: 240.0, p99_us: 249.0, max_us: 1000.0 };
        let found =
            [0.0, 0.25, 0.5, 0.7, 0.9, 0.99, 0.995, 1.0].map(|share| latency.quantile(share).as_micros());
        assert_eq!(found, [100, 150, 200, 220, 240, 249, 624, 1000]);
    }

    #[test]
    fn times_are_positive_and_rise() {
        let good = Latency { min_us: 1.0, median_us: 2.0, p90_us: 2.0, p99_us: 3.0, max_us: 4.0 };
        assert!(good.is_possible());
        for bad in [
            Latency { min_us: 0.0, ..good },
            Latency { median_us: f64::NAN, ..good },
            Latency { p99_us: 5.0, ..good },
            Latency { max_us: f64::INFINITY, ..good },
        ] {
            assert!(!bad.is_possible(), "{bad:?}");
        }
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
        let latency = Latency::of(&times);
        let found = [latency.min_us, latency.median_us, latency.p90_us, latency.p99_us, latency.max_us];
        assert_eq!(found.map(|us| format!("{us:.0}")), ["1", "100", "180", "198", "200"]);
    }
}
