//! Controllers by their names.

use std::time::Duration;

use anyhow::{Context as _, Result};
use skipgate_runtime::controller::{Controller, Deadline, Fixed, Level, Levels, Queueing, Stepwise};

use crate::cli::{Control, ControllerName};

/// Percentage points below the most accurate configuration that are accepted, as in the paper (section II-B).
const POINTS_BELOW: f64 = 10.0;

/// The controller that the arguments name, over a front of `levels`; and the minimum accuracy, from 0 to 1.
pub(crate) fn controller(arguments: &Control, levels: &[Level]) -> Result<(Box<dyn Controller + Send>, f64)> {
    let best = levels.iter().map(|level| level.accuracy).fold(0.0, f64::max);
    let minimum = arguments.minimum_accuracy.unwrap_or(100.0 * best - POINTS_BELOW) / 100.0;
    let allowed = Levels::new(levels.to_vec(), minimum)?;
    let first = allowed.iter().next().map_or(Duration::ZERO, |(_, level)| level.median);
    let idle = arguments.idle.unwrap_or(first);
    Ok((
        match arguments.controller {
            ControllerName::Stepwise => Box::new(Stepwise::new(allowed, idle)),
            ControllerName::Queueing => Box::new(Queueing::new(allowed, idle, arguments.room)),
            ControllerName::Deadline => {
                let deadline = arguments.deadline.context("--controller deadline needs --deadline")?;
                Box::new(Deadline::new(allowed, deadline))
            }
            ControllerName::Fixed => Box::new(Fixed(allowed.iter().next().map_or(0, |(number, _)| number))),
        },
        minimum,
    ))
}
