//! Controllers by their names.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use skipgate_runtime::controller::{
    Controller, Deadline, Fixed, KeepUp, Levels, Percentile, Queueing, Stepwise,
};

use super::levels::LeveledFront;
use crate::cli::{Cli, Control, ControllerName};

/// Percentage points below the most accurate configuration that are accepted, as in the paper (section II-B).
const POINTS_BELOW: f64 = 10.0;
/// Requests that a queue lets wait.
const ROOM: usize = 4;

/// What the arguments ask of a device, over a front.
pub(crate) struct Demands {
    pub(crate) allowed: Levels,
    /// From 0 to 1.
    pub(crate) minimum_accuracy: f64,
    /// From arrival to answer.
    pub(crate) deadline: Duration,
    pub(crate) idle: Duration,
    pub(crate) room: usize,
}

impl Demands {
    pub(crate) fn new(arguments: &Control, front: &LeveledFront) -> Result<Self> {
        let best = front.levels.iter().map(|level| level.accuracy).fold(0.0, f64::max);
        let minimum = arguments.minimum_accuracy.unwrap_or(100.0 * best - POINTS_BELOW) / 100.0;
        Ok(Self {
            allowed: Levels::new(front.levels.clone(), minimum)?,
            minimum_accuracy: minimum,
            deadline: arguments.deadline.unwrap_or(2 * front.all_run),
            idle: arguments.idle.unwrap_or(front.all_run),
            room: arguments.room.unwrap_or(ROOM),
        })
    }

    /// The controller that the arguments name.
    pub(crate) fn controller(&self, arguments: &Control) -> Result<Box<dyn Controller + Send>> {
        let allowed = || self.allowed.clone();
        Ok(match arguments.controller {
            ControllerName::KeepUp => Box::new(KeepUp::new(&self.allowed, self.deadline)),
            ControllerName::Percentile => Box::new(Percentile::new(&self.allowed, self.deadline)),
            ControllerName::Stepwise => Box::new(Stepwise::new(allowed(), self.idle)),
            ControllerName::Queueing => Box::new(Queueing::new(allowed(), self.idle, self.room)),
            ControllerName::Deadline => {
                let deadline = arguments.deadline.context("--controller deadline needs --deadline")?;
                Box::new(Deadline::new(allowed(), deadline))
            }
            ControllerName::Fixed => {
                Box::new(Fixed(self.allowed.iter().next().map_or(0, |(number, _)| number)))
            }
        })
    }
}

/// Ends the program with a usage error if an option was given that the controller has no use for.
pub(crate) fn refuse_ignored_options(arguments: &Control) {
    if let Some(option) = arguments.ignored_option() {
        let message = format!(
            "the argument '{option}' has no effect on the {} controller; leave it out, or choose another --controller",
            arguments.controller
        );
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
}
