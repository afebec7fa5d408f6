//! A bound on the latency of all but a few requests.

use std::time::Duration;

use crate::pace::Pace;
use crate::{Controller, Levels};

/// Answers every request, and 99 of 100 within a bound: what `MLPerf` Inference asks of a server.
///
/// The level is chosen as by [`KeepUp`](crate::KeepUp), rules 1 and 2, but nothing is dropped, and all latencies are taken
/// for `caution` times what they are. Each answer that comes too late makes the controller more cautious, by a twentieth;
/// each one in time makes it less so, by a ninety-ninth of that. Caution so comes to rest where one of 100 answers is
/// late, whatever the load and the device are like; it stays between a half and eight.
///
/// Only if more than 1,024 requests wait, one is dropped: the load is then beyond what the fastest level can serve.
#[derive(Debug, Clone)]
pub struct Percentile {
    pace: Pace,
    bound: Duration,
    caution: f64,
    /// How long the request that is being processed has waited.
    waited: Duration,
}

/// What a late answer multiplies caution by.
const MORE_CAUTION: f64 = 1.05;
/// Answers in time that make up for a late one.
const IN_TIME_FOR_ONE_LATE: f64 = 99.0;
const CAUTION: std::ops::RangeInclusive<f64> = 0.5..=8.0;

impl Percentile {
    /// 99 of 100 requests are to be through `bound` after they arrived.
    pub fn new(levels: &Levels, bound: Duration) -> Self {
        let pace = Pace::new(levels, Pace::most_waiting());
        Self { pace, bound, caution: 1.0, waited: Duration::ZERO }
    }

    /// How much slower than idle the device is taken to be; 1 or more.
    pub fn slowdown(&self) -> f64 {
        self.pace.slowdown()
    }

    /// What latencies are multiplied by, besides the slowdown.
    pub fn caution(&self) -> f64 {
        self.caution
    }
}

impl Controller for Percentile {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        let deadline = now.saturating_add(self.bound);
        self.pace.arrival(now, deadline);
        self.pace.keep(now, deadline, waiting)
    }

    fn choose(&mut self, now: Duration, arrived: Duration, _waiting: usize) -> usize {
        self.waited = now.saturating_sub(arrived);
        self.pace.choose(now, arrived.saturating_add(self.bound))
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        self.pace.finished(configuration, took);
        let late = self.waited.saturating_add(took) > self.bound;
        let step = if late { MORE_CAUTION } else { MORE_CAUTION.powf(-1.0 / IN_TIME_FOR_ONE_LATE) };
        self.caution = (self.caution * step).clamp(*CAUTION.start(), *CAUTION.end());
        self.pace.set_caution(self.caution);
    }
}
