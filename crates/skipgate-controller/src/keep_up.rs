//! The default: as accurate as the load allows.

use std::time::Duration;

use crate::pace::Pace;
use crate::{Controller, Levels};

/// Runs the most accurate level with which the device keeps up, and drops only what cannot be in time any more.
///
/// For every level, an account is kept of what would be if that level alone served every request: how much work would lie
/// before the device. A level *keeps up* if, by its account, each of the last 32 requests was in time. Then
///
/// 1. the most accurate level that keeps up runs, or the fastest if none does;
/// 2. but as much faster as it takes for this request and all that wait behind it to be in time;
/// 3. and a request is dropped if the device is busy and it would be late even if everything ran at the fastest level.
///
/// So one late request makes it faster at once, and 32 requests must have been in time before it is slower again. With
/// less load, requests being further apart, every account is smaller at every request: what keeps up under more load keeps
/// up under less, and rule 1 never runs a less accurate level for less load.
///
/// Every request has the same time from arrival to answer, or a deadline of its own ([`Controller::admit_by`]). Latencies
/// are those of [`Levels`]: in rules 1 and 2 the 99th percentile for a request and the medians for those before it, in rule
/// 3 the medians; times how much slower than that the device has been lately.
#[derive(Debug, Clone)]
pub struct KeepUp {
    pace: Pace,
    limit: Duration,
}

impl KeepUp {
    /// Every request is to be through `deadline` after it arrived, if it has no deadline of its own.
    pub fn new(levels: &Levels, deadline: Duration) -> Self {
        Self { pace: Pace::new(levels, Pace::most_in_time(levels, deadline)), limit: deadline }
    }

    /// How much slower than idle the device is taken to be; 1 or more.
    pub fn slowdown(&self) -> f64 {
        self.pace.slowdown()
    }
}

impl Controller for KeepUp {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        self.admit_by(now, now.saturating_add(self.limit), waiting)
    }

    fn admit_by(&mut self, now: Duration, deadline: Duration, waiting: usize) -> bool {
        self.pace.arrival(now, deadline);
        // An idle device has nothing better to do, and only from answers is known how slow it is.
        let kept = waiting == 0 || self.pace.can_be_in_time(now, deadline, waiting);
        kept && self.pace.keep(now, deadline, waiting)
    }

    fn choose(&mut self, now: Duration, arrived: Duration, _waiting: usize) -> usize {
        self.pace.choose(now, arrived.saturating_add(self.limit))
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        self.pace.finished(configuration, took);
    }
}
