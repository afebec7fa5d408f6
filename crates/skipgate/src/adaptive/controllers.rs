//! Controllers by their names.

use anyhow::{Context as _, Result};
use skipgate_runtime::controller::{Controller, Deadline, Fixed, Levels, Queueing, Stepwise};

use super::levels::LeveledFront;
use crate::cli::{Control, ControllerName};

/// Percentage points below the most accurate configuration that are accepted, as in the paper (section II-B).
const POINTS_BELOW: f64 = 10.0;

/// The controller that the arguments name, over a front; and the minimum accuracy, from 0 to 1.
pub(crate) fn controller(
    arguments: &Control,
    front: &LeveledFront,
) -> Result<(Box<dyn Controller + Send>, f64)> {
    let best = front.levels.iter().map(|level| level.accuracy).fold(0.0, f64::max);
    let minimum = arguments.minimum_accuracy.unwrap_or(100.0 * best - POINTS_BELOW) / 100.0;
    let allowed = Levels::new(front.levels.clone(), minimum)?;
    let idle = arguments.idle.unwrap_or(front.all_run);
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
