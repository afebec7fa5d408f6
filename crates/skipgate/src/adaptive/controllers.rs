//! Controllers by their names.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use skipgate_runtime::controller::{
    Controller, Deadline, EnergyBudget, Fixed, KeepUp, Levels, Percentile, Queueing, Stepwise,
};

use skipgate_energy::{PowerModel, Source};

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
            ControllerName::EnergyBudget => {
                let budget = arguments.budget.context("--controller energy-budget needs --budget")?;
                let share = budget.share(arguments.power.as_ref())?;
                Box::new(EnergyBudget::new(&self.allowed, self.deadline, share))
            }
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

/// What a device may spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Budget {
    /// The share of the time that it works, from 0 to 1.
    Share(f64),
    /// Its average power.
    Watts(f64),
}

impl FromStr for Budget {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| *number > 0.0);
        let share = text.strip_suffix('%').and_then(number).filter(|percent| *percent <= 100.0);
        let watts = text.strip_suffix('W').and_then(number).filter(|watts| watts.is_finite());
        let budget = share.map(|percent| Self::Share(percent / 100.0)).or(watts.map(Self::Watts));
        budget.context("expected a share of the time such as 40%, or watts such as 3.5W")
    }
}

impl Budget {
    /// The share of the time that the device may work. Watts are only known to be one by what it needs idle and at work.
    fn share(self, power: Option<&Source>) -> Result<f64> {
        let watts = match self {
            Self::Share(share) => return Ok(share),
            Self::Watts(watts) => watts,
        };
        let Some(&Source::Model(PowerModel { idle, busy })) = power else {
            bail!(
                "--budget {watts}W needs --power model:IDLE,BUSY, which says what the device needs idle and at work"
            );
        };
        ensure!(
            watts > idle && busy > idle,
            "--budget {watts}W cannot be kept by a device of {idle} W idle and {busy} W at work; give more than {idle}W"
        );
        Ok(((watts - idle) / (busy - idle)).min(1.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_shares_or_watts() {
        let model = Source::Model(PowerModel { idle: 2.0, busy: 6.0 });
        for (text, expected) in [("40%", 0.4), ("100%", 1.0), ("3W", 0.25), ("3.5 W", 0.375), ("9W", 1.0)] {
            let share = text.parse::<Budget>().unwrap().share(Some(&model)).unwrap();
            assert!((share - expected).abs() < 1e-9, "{text}: {share}");
        }
        for text in ["", "40", "0%", "101%", "-1W", "infW", "W", "%", "nanW"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn watts_need_to_be_told_what_they_are_worth() {
        let budget = Budget::Watts(2.0);
        for (power, expected) in [
            (
                None,
                "--budget 2W needs --power model:IDLE,BUSY, which says what the device needs idle and at work",
            ),
            (
                Some(Source::Model(PowerModel { idle: 2.0, busy: 6.0 })),
                "--budget 2W cannot be kept by a device of 2 W idle and 6 W at work; give more than 2W",
            ),
        ] {
            assert_eq!(budget.share(power.as_ref()).unwrap_err().to_string(), expected);
        }
    }
}
