//! Where power figures are from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, Hwmon, Meter, PowerModel, Powercap};

/// A source of power figures, written as on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// `powercap`
    Powercap,
    /// `hwmon:NAME`
    Hwmon(String),
    /// `trace:FILE`
    Trace(PathBuf),
    /// `model:IDLE,BUSY`
    Model(PowerModel),
}

impl Source {
    /// The sensor, if it is one.
    ///
    /// # Errors
    ///
    /// When the machine does not have it.
    pub fn meter(&self) -> Result<Option<Box<dyn Meter>>, Error> {
        Ok(match self {
            Self::Powercap => Some(Box::new(Powercap::open()?)),
            Self::Hwmon(name) => Some(Box::new(Hwmon::open(name)?)),
            Self::Trace(_) | Self::Model(_) => None,
        })
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let watts =
            |text: &str| text.trim().parse().ok().filter(|watts: &f64| watts.is_finite() && *watts >= 0.0);
        let parsed = match text.split_once(':') {
            None if text == "powercap" => Some(Self::Powercap),
            Some(("hwmon", name)) if !name.is_empty() => Some(Self::Hwmon(name.to_owned())),
            Some(("trace", path)) if !path.is_empty() => Some(Self::Trace(path.into())),
            Some(("model", levels)) => levels.split_once(',').and_then(|(idle, busy)| {
                Some(Self::Model(PowerModel { idle: watts(idle)?, busy: watts(busy)? }))
            }),
            _ => None,
        };
        parsed.ok_or_else(|| Error::Syntax { found: text.to_owned() })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Powercap => write!(f, "energy counters of the processor (powercap)"),
            Self::Hwmon(name) => write!(f, "the sensor {name} (hwmon)"),
            Self::Trace(path) => write!(f, "the trace {}", path.display()),
            Self::Model(PowerModel { idle, busy }) => {
                write!(f, "no measurement, a model of {idle} W idle and {busy} W at work")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let model = Source::Model(PowerModel { idle: 2.0, busy: 5.5 });
        assert_eq!("model:2,5.5".parse::<Source>().unwrap(), model);
        assert_eq!("hwmon:ina231".parse::<Source>().unwrap(), Source::Hwmon("ina231".to_owned()));
        for text in ["", "rapl", "hwmon", "hwmon:", "trace:", "model:2", "model:-1,2", "model:1,inf"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
