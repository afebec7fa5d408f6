//! Wall time of calls.

use std::time::Duration;

use serde::Serialize;

/// Wall time of single calls, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs into the JSON keys")]
pub(crate) struct Latency {
    pub(crate) min_us: f64,
    pub(crate) median_us: f64,
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
        Self { min_us: us(times[0]), median_us: us(rank(50)), p99_us: us(rank(99)), max_us: us(times[last]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
        let latency = Latency::of(&times);
        let found = [latency.min_us, latency.median_us, latency.p99_us, latency.max_us];
        assert_eq!(found.map(|us| format!("{us:.0}")), ["1", "100", "198", "200"]);
    }
}
