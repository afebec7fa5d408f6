//! Wall time on this machine.

use std::time::{Duration, Instant};

use skipgate_core::SkipMask;
use skipgate_runtime::{Artifact, Device, Session};

use crate::Error;

/// How often every mask gets its turn. Whatever slows the machine down for a while then slows down all of them.
const ROUNDS: usize = 15;
/// Calls measured at each turn, after one that is not.
const CALLS: usize = 3;

/// Median time of a call with each of `masks`, in microseconds.
pub(super) fn measure(artifact: &Artifact, masks: &[SkipMask]) -> Result<Vec<f64>, Error> {
    let mut session = Session::new(artifact, Device::local_sync())?;
    // The time does not depend on the values, as long as they are no denormal numbers.
    let image = artifact.manifest().image().map_err(skipgate_runtime::Error::from)?;
    let image = vec![0.5; image.elements().unwrap_or_default()];
    let mut times = vec![Vec::with_capacity(ROUNDS * CALLS); masks.len()];
    for _ in 0..ROUNDS {
        for (mask, times) in masks.iter().zip(&mut times) {
            session.run(&image, mask)?;
            for _ in 0..CALLS {
                let start = Instant::now();
                session.run(&image, mask)?;
                times.push(start.elapsed());
            }
        }
    }
    Ok(times.into_iter().map(median_us).collect())
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
