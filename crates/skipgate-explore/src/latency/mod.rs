//! What a mask costs.

mod blocks;
mod host;

use std::path::Path;

use skipgate_core::{LatencySource, LatencyUnit, SkipMask};
use skipgate_runtime::Artifact;

pub use blocks::BlockCosts;
#[cfg(feature = "schema")]
pub(crate) use blocks::File;

use crate::Error;

/// Where latencies are taken from. They are all of one source.
#[derive(Debug, Clone)]
pub enum Latency {
    /// Each mask is measured on this machine, with one thread.
    Host,
    /// Calculated from what was measured elsewhere.
    Blocks(BlockCosts),
}

impl Latency {
    /// Takes latencies from the file `path`; see [`BlockCosts::read`].
    ///
    /// # Errors
    ///
    /// When the file is not usable.
    pub fn from_file(path: &Path, artifact: &Artifact) -> Result<Self, Error> {
        Ok(Self::Blocks(BlockCosts::read(path, artifact.gates())?))
    }

    /// Latency of each of `masks`.
    ///
    /// # Errors
    ///
    /// When the network fails.
    pub fn of(&self, artifact: &Artifact, masks: &[SkipMask]) -> Result<Vec<f64>, Error> {
        match self {
            Self::Host => host::measure(artifact, masks),
            Self::Blocks(costs) => Ok(masks.iter().map(|mask| costs.of(mask)).collect()),
        }
    }

    /// What the numbers are.
    pub fn source(&self, artifact: &Artifact) -> LatencySource {
        match self {
            Self::Host => LatencySource {
                unit: LatencyUnit::Microseconds,
                source: format!("this machine, {}, one thread", artifact.manifest().target.name),
                measured: true,
            },
            Self::Blocks(costs) => costs.source().clone(),
        }
    }
}
