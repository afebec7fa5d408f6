//! Chooses for each request which residual blocks run, from what the device can take right now.
//!
//! ```
//! use std::time::Duration;
//! use skipgate_controller::{Controller, KeepUp, Level, Levels};
//!
//! # fn main() -> Result<(), skipgate_controller::Error> {
//! let level = |accuracy, ms| Level::new(accuracy, Duration::from_millis(ms), Duration::from_millis(ms + 1));
//! // No configuration of less than 82 %.
//! let levels = Levels::new(vec![level(0.91, 50), level(0.88, 30), level(0.80, 10)], 0.82)?;
//! let mut controller = KeepUp::new(&levels, Duration::from_millis(80)); // from arrival to answer
//!
//! let at = Duration::from_millis;
//! assert!(controller.admit(at(0), 0)); // the device is free
//! assert_eq!(controller.choose(at(0), at(0), 0), 0); // all blocks run
//! assert!(controller.admit(at(20), 1)); // it is busy: this request waits, since there is time
//! assert!(!controller.admit(at(21), 2)); // this one could not be in time, so it is dropped
//! assert_eq!(controller.choose(at(50), at(20), 0), 1); // faster from now on
//! # Ok(())
//! # }
//! ```
//!
//! A [`Controller`] is a plain value: it owns no thread, takes no lock, allocates nothing after it is made, and has no
//! clock. Every call is told the time, as the distance from any moment that stays the same.
//!
//! | controller | on a busy device | configuration |
//! |---|---|---|
//! | [`KeepUp`] | keeps what can still be in time | the most accurate one with which the device keeps up; the default |
//! | [`Percentile`] | keeps the request | the same, so that 99 of 100 requests are within a bound |
//! | [`EnergyBudget`] | keeps what can still be in time and is within the budget | the most accurate one within a budget of work |
//! | [`Stepwise`] | drops the request | one step faster with every drop, one step slower after a pause (the paper's algorithm 1) |
//! | [`Queueing`] | keeps a few requests | one step faster with every request that waits, one step slower after a pause |
//! | [`Deadline`] | drops the request | the most accurate one that is through in time |
//! | [`Fixed`] | drops the request | always the same: a network that cannot skip, or decides itself |
#![forbid(unsafe_code)]

mod deadline;
mod energy_budget;
mod fixed;
mod keep_up;
mod levels;
mod pace;
mod percentile;
mod queueing;
mod slowdown;
mod stepwise;

use std::time::Duration;

pub use deadline::Deadline;
pub use energy_budget::EnergyBudget;
pub use fixed::Fixed;
pub use keep_up::KeepUp;
pub use levels::{Error, Level, Levels};
pub use percentile::Percentile;
pub use queueing::Queueing;
pub use stepwise::Stepwise;

/// Decides on requests as they come.
///
/// For every request, [`admit`](Self::admit) is called when it arrives. If it is admitted, [`choose`](Self::choose)
/// follows when the device begins with it, at once if nothing else is waiting, and [`finished`](Self::finished) when the
/// device is through. Times never run backwards. A request that fails, is given up, or runs a mask that its caller chose and
/// that is none of the configurations, is never told as finished.
pub trait Controller {
    /// A request arrives at `now`, while `waiting` others are being processed or wait for it: whether it is kept. If not,
    /// it is dropped.
    fn admit(&mut self, now: Duration, waiting: usize) -> bool;

    /// The same for a request that must be answered by a deadline of its own, at the time `deadline`. Controllers without
    /// deadlines pass it over.
    fn admit_by(&mut self, now: Duration, deadline: Duration, waiting: usize) -> bool {
        let _ = deadline;
        self.admit(now, waiting)
    }

    /// The device begins at `now` with a request that arrived at `arrived`, while `waiting` others wait behind it: the
    /// number of the configuration to run.
    fn choose(&mut self, now: Duration, arrived: Duration, waiting: usize) -> usize;

    /// The device took this long for a request in that configuration.
    fn finished(&mut self, configuration: usize, took: Duration);
}
