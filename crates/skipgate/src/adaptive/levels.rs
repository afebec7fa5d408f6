//! The configurations of an artifact's front with what they cost on a device.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use serde::Deserialize;
use skipgate_core::{Front, PARETO_FILE, SkipMask};
use skipgate_runtime::controller::Level;
use skipgate_runtime::{Artifact, Device};

use crate::bench::measure::Bench;
use crate::latency::Latency;
use crate::progress;

/// Calls that a configuration is measured with when nobody measured it before.
const ROUNDS: usize = 10;
const CALLS: usize = 10;

/// A front, by the number of the configuration.
pub(crate) struct LeveledFront {
    pub(crate) masks: Vec<SkipMask>,
    pub(crate) levels: Vec<Level>,
    /// Where the latencies are from.
    pub(crate) source: String,
}

/// What `skipgate bench --front --format json` prints, as far as it is used.
#[derive(Deserialize)]
struct File {
    target: String,
    configurations: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    mask: SkipMask,
    gated: Times,
}

#[derive(Deserialize)]
struct Times {
    median_us: f64,
    p99_us: f64,
}

impl LeveledFront {
    /// The front of the artifact in the folder `dir`, with latencies from the file `from`, or measured here.
    pub(crate) fn open(dir: &Path, artifact: &Artifact, from: Option<&Path>) -> Result<Self> {
        let path = dir.join(PARETO_FILE);
        ensure!(
            path.exists(),
            "there is no {}; `skipgate pareto {}` makes it",
            path.display(),
            dir.display()
        );
        let unusable = || format!("cannot use {}", path.display());
        let front = Front::from_json(&fs::read_to_string(&path)?).with_context(unusable)?;
        let (mut masks, mut accuracies) = (Vec::new(), Vec::new());
        for configuration in front.configurations {
            let mask = configuration.mask;
            mask.check_len(artifact.gates().len()).with_context(unusable)?;
            accuracies.push(configuration.accuracy.with_context(|| {
                format!("{} has no accuracy for mask {mask}; `skipgate pareto` writes it", path.display())
            })?);
            masks.push(mask);
        }
        let (latencies, source) = match from {
            Some(file) => read(file, &masks)?,
            None => (measure(artifact, &masks)?, "measured on this machine, one thread".to_owned()),
        };
        let level = |(accuracy, [median, p99]): (f64, [Duration; 2])| Level::new(accuracy, median, p99);
        Ok(Self { levels: accuracies.into_iter().zip(latencies).map(level).collect(), masks, source })
    }
}

/// Median and 99th percentile of each mask in the file.
fn read(path: &Path, masks: &[SkipMask]) -> Result<(Vec<[Duration; 2]>, String)> {
    let unusable = || format!("{} is not what `skipgate bench --front --format json` prints", path.display());
    let file: File = serde_json::from_str(&fs::read_to_string(path)?).with_context(unusable)?;
    let known: HashMap<_, _> = file.configurations.into_iter().map(|line| (line.mask, line.gated)).collect();
    let of = |mask: &SkipMask| {
        let times = known.get(mask).with_context(|| {
            format!("{} has no latency of mask {mask}; measure with `skipgate bench --front`", path.display())
        })?;
        duration(times.median_us, times.p99_us).with_context(unusable)
    };
    let latencies = masks.iter().map(of).collect::<Result<_>>()?;
    Ok((latencies, format!("{}, from {}", file.target, path.display())))
}

fn measure(artifact: &Artifact, masks: &[SkipMask]) -> Result<Vec<[Duration; 2]>> {
    let mut bench =
        Bench::new(artifact, std::collections::BTreeMap::new(), masks.to_vec(), Device::local_sync(), CALLS)?;
    let bar = progress::bar(ROUNDS).with_message("measuring latencies");
    for _ in 0..ROUNDS {
        bench.round()?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let times = |configuration: &crate::bench::measure::Configuration| {
        let Latency { median_us, p99_us, .. } = configuration.gated.latency();
        duration(median_us, p99_us)
    };
    bench.configurations.iter().map(times).collect()
}

fn duration(median_us: f64, p99_us: f64) -> Result<[Duration; 2]> {
    let duration = |us: f64| Duration::try_from_secs_f64(us * 1e-6).context("a latency is no time");
    Ok([duration(median_us)?, duration(p99_us)?])
}
