//! A bound on the share of time that the device works, and so on its power.

use std::time::Duration;

use crate::pace::Pace;
use crate::{Controller, Levels};

/// Runs the most accurate level that a budget of work allows, and drops what it does not allow at all.
///
/// A device that needs `idle` watts while it waits and `busy` watts while it works needs `idle + share * (busy - idle)` on
/// average, if it works that `share` of the time. So a budget of energy is a budget of work. It is kept as an account of
/// seconds: `share` of each second that passes is paid in, up to what [`window`](Self::window) pays, and the time that each
/// request took is taken out. Within any period the device then works no longer than `share` of it and of the window, and one
/// request.
///
/// Levels are chosen as by [`KeepUp`](crate::KeepUp), but as if the device only worked that share of the time; and none runs
/// that would leave too little for the requests that wait. With a share of 1 both are the same.
#[derive(Debug, Clone)]
pub struct EnergyBudget {
    pace: Pace,
    limit: Duration,
    share: f64,
    /// Seconds of work that may be done now; less than none after a request that took longer than it should.
    account: f64,
    /// When that was last paid into.
    paid: Duration,
}

/// What the account holds at most is what this many times the deadline pays in.
const WINDOW: u32 = 32;

impl EnergyBudget {
    /// Every request is to be through `deadline` after it arrived, if it has no deadline of its own, and the device may work
    /// `share` of the time, from 0 to 1; what is outside of that counts as the nearer end.
    pub fn new(levels: &Levels, deadline: Duration, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let mut pace = Pace::new(levels, Pace::most_in_time(levels, deadline));
        pace.set_share(share);
        let mut new = Self { pace, limit: deadline, share, account: 0.0, paid: Duration::ZERO };
        new.account = new.most();
        new
    }

    /// The longest period that the budget can be saved up for.
    pub fn window(&self) -> Duration {
        self.limit.saturating_mul(WINDOW)
    }

    /// Seconds that the account holds at most.
    fn most(&self) -> f64 {
        self.share * self.window().as_secs_f64()
    }

    fn pay(&mut self, now: Duration) {
        let since = now.saturating_sub(self.paid).as_secs_f64();
        self.account = (self.account + self.share * since).min(self.most());
        self.paid = self.paid.max(now);
    }

    /// Whether the budget is one: a device that works all the time has none to keep to.
    fn is_bound(&self) -> bool {
        self.share < 1.0
    }
}

impl Controller for EnergyBudget {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        self.admit_by(now, now.saturating_add(self.limit), waiting)
    }

    fn admit_by(&mut self, now: Duration, deadline: Duration, waiting: usize) -> bool {
        self.pay(now);
        self.pace.arrival(now, deadline);
        let in_time = waiting == 0 || self.pace.can_be_in_time(now, deadline, waiting);
        let affordable = !self.is_bound() || self.pace.least_work(waiting + 1) <= self.account;
        in_time && affordable && self.pace.keep(now, deadline, waiting)
    }

    fn choose(&mut self, now: Duration, arrived: Duration, waiting: usize) -> usize {
        self.pay(now);
        let deadline = arrived.saturating_add(self.limit);
        let most = if self.is_bound() { self.account - self.pace.least_work(waiting) } else { f64::INFINITY };
        self.pace.choose_within(now, deadline, most)
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        self.account -= took.as_secs_f64();
        self.pace.finished(configuration, took);
    }
}
