//! How much slower than idle the device is.

use std::time::Duration;

/// A filtered ratio of measured to expected latency: the average over the last requests, in which every request counts an
/// eighth less than the next one (the idea of ALERT, USENIX ATC 2020). One number tells the slowdown of all levels, since
/// whatever else runs on the device slows them alike.
///
/// Below 1 it counts as 1. A single request counts as at most twice as slow as the ones before, so that one that was
/// interrupted does not stand for the device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slowdown(f64);

/// Weight of the newest request in the average.
const NEWEST: f64 = 0.125;
/// What a ratio can be at most, as a multiple of the average.
const LARGEST_STEP: f64 = 2.0;

impl Slowdown {
    /// An idle device.
    pub(crate) fn none() -> Self {
        Self(1.0)
    }

    /// What latencies on an idle device are to be multiplied by; 1 or more.
    pub(crate) fn factor(self) -> f64 {
        self.0.max(1.0)
    }

    /// A request took this long instead of `expected`.
    pub(crate) fn observe(&mut self, expected: Duration, took: Duration) {
        if expected.is_zero() {
            return;
        }
        let ratio = (took.as_secs_f64() / expected.as_secs_f64()).min(LARGEST_STEP * self.factor());
        self.0 += NEWEST * (ratio - self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(took: &[u64]) -> f64 {
        let mut slowdown = Slowdown::none();
        for ms in took {
            slowdown.observe(Duration::from_millis(10), Duration::from_millis(*ms));
        }
        slowdown.factor()
    }

    #[test]
    fn it_follows_a_device_that_becomes_slower_and_faster() {
        assert!((after(&[50; 60]) - 5.0).abs() < 0.1, "{}", after(&[50; 60]));
        let calm_again = [[50; 60], [9; 60]].concat();
        assert!((after(&calm_again) - 1.0).abs() < 1e-9, "idle is as fast as it is taken to be");
    }

    #[test]
    fn one_interrupted_request_is_no_slow_device() {
        assert!(after(&[10, 10, 5000]) < 1.13);
    }

    #[test]
    fn a_level_that_takes_no_time_tells_nothing() {
        let mut slowdown = Slowdown::none();
        slowdown.observe(Duration::ZERO, Duration::from_secs(1));
        assert!((slowdown.factor() - 1.0).abs() < 1e-9);
    }
}
