//! The configurations of an artifact's front with what they cost on a device.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use skipgate_core::file::read_text;
use skipgate_core::{PARETO_FILE, SkipMask};
use skipgate_runtime::controller::Level;
use skipgate_runtime::{Artifact, Device};

use crate::bench::service;
use crate::front;
use crate::latency::Latency;

/// Calls that a configuration is measured with when nobody measured it before.
const ROUNDS: usize = 10;
const CALLS: usize = 10;

/// A front, by the number of the configuration.
pub(crate) struct LeveledFront {
    pub(crate) masks: Vec<SkipMask>,
    pub(crate) levels: Vec<Level>,
    pub(crate) latencies: Vec<Latency>,
    /// Median latency with all blocks.
    pub(crate) all_run: Duration,
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
    gated: Latency,
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
        let (masks, accuracies) = configurations(&path, artifact.gates().len())?;
        Self::with_latencies(dir, artifact, from, masks, &accuracies)
    }

    /// The same, or all blocks alone if the artifact has no front. How accurate they are is not known then, and there is nothing to
    /// compare it with.
    pub(crate) fn open_or_all_run(dir: &Path, artifact: &Artifact, from: Option<&Path>) -> Result<Self> {
        if dir.join(PARETO_FILE).exists() {
            return Self::open(dir, artifact, from);
        }
        let all_run = SkipMask::all_run(artifact.gates().len());
        Self::with_latencies(dir, artifact, from, vec![all_run], &[1.0])
    }

    fn with_latencies(
        dir: &Path,
        artifact: &Artifact,
        from: Option<&Path>,
        masks: Vec<SkipMask>,
        accuracies: &[f64],
    ) -> Result<Self> {
        let gates = artifact.gates().len();
        let measured = front::with_all_run(masks.clone(), gates);
        let (known, source) = match from {
            Some(file) => known(file, &measured, gates, dir)?,
            None => (measure(artifact, measured)?, "measured on this machine, one thread".to_owned()),
        };
        let latency =
            |mask: &SkipMask| known.get(mask).copied().context("all masks were measured or checked");
        let all_run = latency(&SkipMask::all_run(gates))?.quantile(0.5);
        let latencies = masks.iter().map(latency).collect::<Result<Vec<_>>>()?;
        let level = |(accuracy, latency): (&f64, &Latency)| {
            Level::new(*accuracy, latency.quantile(0.5), latency.quantile(0.99))
        };
        let levels = accuracies.iter().zip(&latencies).map(level).collect();
        Ok(Self { masks, levels, latencies, all_run, source })
    }
}

/// The masks of the front in the file `path`, and their accuracies.
fn configurations(path: &Path, gates: usize) -> Result<(Vec<SkipMask>, Vec<f64>)> {
    let (mut masks, mut accuracies) = (Vec::new(), Vec::new());
    for configuration in front::read(path, gates)?.configurations {
        let mask = configuration.mask;
        accuracies.push(configuration.accuracy.with_context(|| {
            format!("{} has no accuracy for mask {mask}; `skipgate pareto` writes it", path.display())
        })?);
        masks.push(mask);
    }
    Ok((masks, accuracies))
}

/// The latencies in `file`, all those that the front of the artifact in `dir` needs among them, and where they are from.
pub(crate) fn known(
    file: &Path,
    needed: &[SkipMask],
    gates: usize,
    dir: &Path,
) -> Result<(HashMap<SkipMask, Latency>, String)> {
    let (known, source) = read(file)?;
    check(&known, needed, gates, file, dir)?;
    Ok((known, source))
}

/// The latencies in the file, and where they are from.
fn read(path: &Path) -> Result<(HashMap<SkipMask, Latency>, String)> {
    let file: File = serde_json::from_str(&read_text(path)?).with_context(|| {
        format!("{} is not what `skipgate bench --front --format json` prints", path.display())
    })?;
    let known = file.configurations.into_iter().map(|line| (line.mask, line.gated)).collect();
    Ok((known, format!("{}, from {}", file.target, path.display())))
}

/// Refuses latencies that are not of this front, and says which do not fit.
fn check(
    known: &HashMap<SkipMask, Latency>,
    needed: &[SkipMask],
    gates: usize,
    file: &Path,
    dir: &Path,
) -> Result<()> {
    let again = format!(
        "measure again: `skipgate bench {} --front --format json > {}`",
        dir.display(),
        file.display()
    );
    if let Some(mask) = known.keys().filter(|mask| mask.len() != gates).min() {
        bail!(
            "{} is of another network: its masks have {} blocks, the artifact {} has {gates}; {again}",
            file.display(),
            mask.len(),
            dir.display()
        );
    }
    let impossible = known.iter().filter(|(_, latency)| !latency.is_possible());
    if let Some((mask, latency)) = impossible.min_by_key(|(mask, _)| *mask) {
        bail!(
            "{}, mask {mask}: expected latencies above 0 from min_us to max_us in rising order, found {latency:?}; {again}",
            file.display()
        );
    }
    let missing: Vec<_> = needed.iter().filter(|mask| !known.contains_key(mask)).collect();
    if let Some(first) = missing.first() {
        let unused = known.keys().filter(|mask| !needed.contains(mask)).count();
        bail!(
            "{} does not fit the front of {}: {} of its {} configurations have no latency there, {first} for one, and \
             {unused} of those measured are not on the front; it changed since, so {again}",
            file.display(),
            dir.display(),
            missing.len(),
            needed.len(),
        );
    }
    Ok(())
}

fn measure(artifact: &Artifact, masks: Vec<SkipMask>) -> Result<HashMap<SkipMask, Latency>> {
    let times = service::measure(artifact, &masks, Device::local_sync(), ROUNDS, CALLS)?;
    Ok(masks.into_iter().zip(times).map(|(mask, times)| (mask, times.latency())).collect())
}
