//! What a run takes in power: from the machine's sensors, an external analyser, or a stated model.
//!
//! | written as | is |
//! |---|---|
//! | `powercap` | the energy counters of the processor's packages (Linux powercap: RAPL) |
//! | `hwmon:NAME` | the sensors of the hwmon device of that name: power, or current times voltage (INA231 and the like) |
//! | `trace:FILE` | what an external analyser recorded, lines of `seconds since 1970, watts` |
//! | `model:IDLE,BUSY` | no measurement: watts while the device is idle and while it works, as stated |
//!
//! The sensors are [`Meter`]s, which a [`Recorder`] reads 20 times a second, as often as the paper's analyser was read
//! (section III-B); all sources end in a [`PowerTrace`], or in a [`PowerModel`].
#![forbid(unsafe_code)]

mod error;
mod hwmon;
mod model;
mod powercap;
mod recorder;
mod source;
mod trace;

pub use error::Error;
pub use hwmon::Hwmon;
pub use model::PowerModel;
pub use powercap::Powercap;
pub use recorder::Recorder;
pub use source::Source;
pub use trace::PowerTrace;

use std::time::Duration;

/// A sensor of power.
pub trait Meter: Send {
    /// Average power in watts since the last call; for sensors that only know the present, the power right now. `now` is
    /// the time since any moment that stays the same.
    ///
    /// # Errors
    ///
    /// When the sensor cannot be read.
    fn watts(&mut self, now: Duration) -> Result<f64, Error>;
}
