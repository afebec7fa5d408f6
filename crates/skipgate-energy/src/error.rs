//! What can go wrong.

use std::path::PathBuf;

use skipgate_core::Hint;

/// Why power is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text names no source.
    #[error("expected powercap, hwmon:NAME, trace:FILE or model:IDLE,BUSY (in watts), found `{found}`")]
    Syntax {
        /// The text.
        found: String,
    },
    /// The machine has no such sensor.
    #[error("{path} has no {wanted}")]
    NoSensor {
        /// Where it was looked for.
        path: PathBuf,
        /// What was looked for, and what is there.
        wanted: String,
    },
    /// A sensor file or a trace cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file holds something else than expected.
    #[error("{path}: expected {expected}, found `{found}`")]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The trace does not reach over the run.
    #[error("{path} has no power figures from {from:.3} to {to:.3} seconds since 1970")]
    Gap {
        /// The trace.
        path: PathBuf,
        /// Start of the run.
        from: f64,
        /// End of the run.
        to: f64,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSensor { .. } => {
                "without a sensor, use trace:FILE of an external analyser, or model:IDLE,BUSY".to_owned()
            }
            Self::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                "energy counters are for root only; run as root, or let your group read them".to_owned()
            }
            Self::Gap { .. } => {
                "set the clocks of the device and of the analyser by the same source".to_owned()
            }
            _ => return None,
        })
    }
}
