//! As accurate as time allows.

use std::time::Duration;

use crate::slowdown::Slowdown;
use crate::{Controller, Levels};

/// Runs the most accurate level that is expected to be through in time: its 99th percentile on an idle device, times
/// how much slower than that the device has been lately, must fit between now and the deadline of the request. If none
/// does, the fastest one runs. Requests that find the device busy are dropped; so at most one is known at a time, and a
/// deadline of its own counts instead of the common one.
///
/// How much slower the device is: an average of the last requests' latencies over the medians of their levels, in which
/// every request counts an eighth less than the next one, and none as more than twice the average. Below 1 it counts as 1.
#[derive(Debug, Clone)]
pub struct Deadline {
    levels: Levels,
    limit: Duration,
    /// Deadline of the request that was kept last, if it has one of its own.
    own: Option<Duration>,
    slowdown: Slowdown,
}

impl Deadline {
    /// Every request is to be through `deadline` after it arrived.
    pub fn new(levels: Levels, deadline: Duration) -> Self {
        Self { levels, limit: deadline, own: None, slowdown: Slowdown::none() }
    }

    /// How much slower than idle the device is taken to be; 1 or more.
    pub fn slowdown(&self) -> f64 {
        self.slowdown.factor()
    }
}

impl Controller for Deadline {
    fn admit(&mut self, _now: Duration, waiting: usize) -> bool {
        if waiting == 0 {
            self.own = None;
        }
        waiting == 0
    }

    fn admit_by(&mut self, now: Duration, deadline: Duration, waiting: usize) -> bool {
        let kept = self.admit(now, waiting);
        if kept {
            self.own = Some(deadline);
        }
        kept
    }

    fn choose(&mut self, now: Duration, arrived: Duration, _waiting: usize) -> usize {
        let deadline = self.own.unwrap_or_else(|| arrived.saturating_add(self.limit));
        let left = deadline.saturating_sub(now).as_secs_f64();
        let slowdown = self.slowdown();
        let in_time = self.levels.iter().filter(|(_, level)| level.p99.as_secs_f64() * slowdown <= left);
        let best = in_time.max_by(|(_, a), (_, b)| a.accuracy.total_cmp(&b.accuracy));
        let fastest = || self.levels.iter().min_by_key(|(_, level)| level.p99);
        best.or_else(fastest).map_or(0, |(number, _)| number)
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        if let Some(level) = self.levels.of_number(configuration) {
            self.slowdown.observe(level.median, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn controller(deadline: u64) -> Deadline {
        let level = |accuracy, ms| {
            Level::new(accuracy, Duration::from_millis(ms), Duration::from_millis(ms + ms / 10))
        };
        let front = vec![level(0.9, 100), level(0.85, 50), level(0.8, 10)];
        Deadline::new(Levels::new(front, 0.5).unwrap(), Duration::from_millis(deadline))
    }

    #[test]
    fn the_most_accurate_level_in_time_runs() {
        let at = Duration::from_millis;
        for (deadline, expected) in [(110, 0), (109, 1), (55, 1), (54, 2), (3, 2)] {
            assert_eq!(controller(deadline).choose(at(0), at(0), 0), expected, "{deadline} ms");
        }
        assert_eq!(controller(110).choose(at(40), at(0), 0), 1, "40 ms were lost waiting");
    }

    #[test]
    fn a_request_may_have_a_deadline_of_its_own() {
        let at = Duration::from_millis;
        let mut controller = controller(110);
        assert!(controller.admit_by(at(0), at(60), 0) && !controller.admit_by(at(1), at(500), 1));
        assert_eq!(controller.choose(at(0), at(0), 0), 1);
        assert!(controller.admit(at(200), 0));
        assert_eq!(controller.choose(at(200), at(200), 0), 0, "the common one again");
    }

    #[test]
    fn a_slower_device_makes_it_skip_more_until_it_is_as_fast_again() {
        let at = Duration::from_millis;
        let mut controller = controller(120);
        for _ in 0..20 {
            controller.finished(1, at(100));
        }
        assert!((controller.slowdown() - 2.0).abs() < 0.1, "{}", controller.slowdown());
        assert_eq!(controller.choose(at(0), at(0), 0), 1);
        for _ in 0..40 {
            controller.finished(1, at(45));
        }
        assert!((controller.slowdown() - 1.0).abs() < 1e-9, "idle is as fast as it is taken to be");
        assert_eq!(controller.choose(at(0), at(0), 0), 0);
    }
}
