//! How fast the device must be to keep up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::slowdown::Slowdown;
use crate::{Level, Levels};

/// Accounts of what would be with each level, the deadlines of what waits, and the choice that follows from both: what
/// [`KeepUp`](crate::KeepUp), [`Percentile`](crate::Percentile) and [`EnergyBudget`](crate::EnergyBudget) have in common.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// From the most accurate to the fastest.
    rungs: Vec<Rung>,
    slowdown: Slowdown,
    /// All latencies are multiplied by this, besides the slowdown.
    caution: f64,
    /// The share of time that the device may work.
    share: f64,
    last_arrival: Duration,
    /// When the device is expected to be through with what it does.
    free: Duration,
    /// Deadlines of the requests that wait, in their order.
    waiting: VecDeque<Duration>,
    room: usize,
}

/// A level, and what would be if it alone served every request.
#[derive(Debug, Clone)]
struct Rung {
    number: usize,
    level: Level,
    /// Seconds that the device would be busy for after the last arrival.
    work: f64,
    /// How many requests would have been in time since one was late.
    in_time: u32,
}

/// A level keeps up if that many requests would have been in time with it.
const TRUST: u32 = 32;
/// Waiting requests that are known of, however short they take.
const MOST_WAITING: usize = 1024;

impl Pace {
    pub(crate) fn new(levels: &Levels, room: usize) -> Self {
        let rung = |(number, level)| Rung { number, level, work: 0.0, in_time: TRUST };
        Self {
            rungs: levels.most_accurate_first().into_iter().map(rung).collect(),
            slowdown: Slowdown::none(),
            caution: 1.0,
            share: 1.0,
            last_arrival: Duration::ZERO,
            free: Duration::ZERO,
            waiting: VecDeque::with_capacity(room),
            room,
        }
    }

    /// Requests that can wait and still be in time, if each may take `limit` from arrival to answer.
    pub(crate) fn most_in_time(levels: &Levels, limit: Duration) -> usize {
        let fastest = levels.iter().map(|(_, level)| level.median).min().unwrap_or_default();
        let count = limit.as_nanos() / fastest.as_nanos().max(1) + 1;
        usize::try_from(count).unwrap_or(usize::MAX).min(MOST_WAITING)
    }

    /// As many as are known of at all.
    pub(crate) fn most_waiting() -> usize {
        MOST_WAITING
    }

    pub(crate) fn slowdown(&self) -> f64 {
        self.slowdown.factor()
    }

    /// Latencies are to be taken for so many times what they are.
    pub(crate) fn set_caution(&mut self, caution: f64) {
        self.caution = caution;
    }

    /// Levels keep up if they do on a device that works that share of the time.
    pub(crate) fn set_share(&mut self, share: f64) {
        self.share = share;
    }

    /// Seconds that so many requests take at least.
    pub(crate) fn least_work(&self, requests: usize) -> f64 {
        let fastest = self.rungs.last().map_or(Duration::ZERO, |fastest| fastest.level.median);
        self.factor() * fastest.as_secs_f64() * requests as f64
    }

    fn factor(&self) -> f64 {
        self.slowdown.factor() * self.caution
    }

    /// Brings all accounts up to a request that arrives at `now`, whether or not it is kept.
    pub(crate) fn arrival(&mut self, now: Duration, deadline: Duration) {
        let (factor, left) = (self.factor(), deadline.saturating_sub(now).as_secs_f64());
        let gap = self.share * now.saturating_sub(self.last_arrival).as_secs_f64();
        for rung in &mut self.rungs {
            let time = factor * rung.level.median.as_secs_f64();
            // No more than what makes the next request late too, so that an account recovers as soon as the load lessens.
            rung.work = ((rung.work - gap).max(0.0) + time).min(left + time);
            let late = rung.work + factor * rung.tail() > left;
            rung.in_time = if late { 0 } else { rung.in_time.saturating_add(1) };
        }
        self.last_arrival = now;
    }

    /// Whether a request would be in time behind `ahead` others, the one being processed among them, if all ran at the
    /// fastest level and took no longer than the median.
    pub(crate) fn can_be_in_time(&self, now: Duration, deadline: Duration, ahead: usize) -> bool {
        self.least_work(ahead.max(1)) <= deadline.saturating_sub(now.max(self.free)).as_secs_f64()
    }

    /// Remembers a request that is kept, behind `ahead` others. Whether there is room for it.
    pub(crate) fn keep(&mut self, now: Duration, deadline: Duration, ahead: usize) -> bool {
        if ahead == 0 {
            self.free = now;
        }
        // Of those ahead one is being processed; others that were given up are forgotten.
        while self.waiting.len() > ahead {
            self.waiting.pop_front();
        }
        let room = self.waiting.len() < self.room;
        if room {
            self.waiting.push_back(deadline);
        }
        room
    }

    /// The device begins with the next request at `now`: the number of the configuration to run. `deadline` is that of a
    /// request that was not remembered.
    pub(crate) fn choose(&mut self, now: Duration, deadline: Duration) -> usize {
        self.choose_within(now, deadline, f64::INFINITY)
    }

    /// The same among levels that are through within `most` seconds, or the fastest if none is.
    pub(crate) fn choose_within(&mut self, now: Duration, deadline: Duration, most: f64) -> usize {
        let deadline = self.waiting.pop_front().unwrap_or(deadline);
        let last = self.rungs.len() - 1;
        let keeps_up = self.rungs.iter().position(|rung| rung.in_time >= TRUST).unwrap_or(last);
        let fits = |position: &usize| {
            let rung = &self.rungs[*position];
            self.factor() * rung.level.median.as_secs_f64() <= most && self.all_in_time(rung, now, deadline)
        };
        let chosen = &self.rungs[(keeps_up..last).find(fits).unwrap_or(last)];
        self.free = now + chosen.level.median.mul_f64(self.factor());
        chosen.number
    }

    /// Whether a request that begins at `now`, and all that wait behind it, are in time if all run at that level.
    fn all_in_time(&self, rung: &Rung, now: Duration, deadline: Duration) -> bool {
        let factor = self.factor();
        let mut deadlines = std::iter::once(&deadline).chain(&self.waiting).enumerate();
        deadlines.all(|(before, deadline)| {
            rung.through(before, factor) <= deadline.saturating_sub(now).as_secs_f64()
        })
    }

    pub(crate) fn finished(&mut self, configuration: usize, took: Duration) {
        if let Some(rung) = self.rungs.iter().find(|rung| rung.number == configuration) {
            self.slowdown.observe(rung.level.median, took);
        }
    }
}

impl Rung {
    /// By how much a request may take longer than the median, in seconds.
    fn tail(&self) -> f64 {
        self.level.p99.saturating_sub(self.level.median).as_secs_f64()
    }

    /// Seconds until a request is through that has so many before it.
    fn through(&self, before: usize, factor: f64) -> f64 {
        let median = self.level.median.as_secs_f64();
        factor * (median * (before + 1) as f64 + self.tail())
    }
}
