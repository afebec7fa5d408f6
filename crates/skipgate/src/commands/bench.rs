//! `skipgate bench`: latency of an artifact at every number of skipped blocks, beside statically pruned networks.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};

use anyhow::Result;
use skipgate_core::{PARETO_FILE, SkipMask, depths};
use skipgate_runtime::{Artifact, Device};

use crate::bench::measure::Bench;
use crate::bench::report::{Configuration, Measured, Switch};
use crate::bench::{dispatches, pruned, service};
use crate::cli::{Bench as Arguments, Format};
use crate::{front, progress, report};

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let artifact = arguments.trust.open(&arguments.artifact)?;
    if arguments.per_dispatch {
        let calls = arguments.rounds.get().saturating_mul(arguments.calls.get());
        let (threads, device) = (arguments.threads.get(), device(arguments)?);
        let profile = dispatches::profile(&artifact, &arguments.artifact, device, threads, calls)?;
        return report::print(&profile, format);
    }
    if arguments.front {
        return report::print(&served(arguments, &artifact)?, format);
    }
    let gates = artifact.gates().len();
    let depths = depths(gates, arguments.every.get());
    let pruned = pruned(arguments, &artifact, &depths, format)?;
    let masks = depths.iter().map(|&skipped| SkipMask::skipping_last(gates, skipped)).collect();
    let mut bench = Bench::new(&artifact, pruned, masks, device(arguments)?, arguments.calls.get())?;
    let rounds = if arguments.paced { paced(&mut bench)? } else { all(&mut bench, arguments.rounds.get())? };
    if rounds == 0 {
        return Ok(());
    }
    let configurations = bench.configurations.iter().map(Into::into).collect();
    let switches = bench.switches.iter().map(Into::into).collect();
    let measured = measured(arguments, &artifact, rounds, configurations, switches);
    #[cfg(feature = "compiler")]
    if let Some(path) = &arguments.plot {
        fs_err::write(path, plot(&measured).encode(path)?)?;
    }
    report::print(&measured, format)
}

/// The configurations of the front, as a server runs them.
fn served(arguments: &Arguments, artifact: &Artifact) -> Result<Measured> {
    let gates = artifact.gates().len();
    let masks = front::with_all_run(front::masks(&arguments.artifact.join(PARETO_FILE), gates)?, gates);
    let (rounds, calls) = (arguments.rounds.get(), arguments.calls.get());
    let times = service::measure(artifact, &masks, device(arguments)?, rounds, calls)?;
    let alone = |(mask, times)| Configuration::alone(mask, times);
    let configurations = masks.iter().zip(&times).map(alone).collect();
    Ok(measured(arguments, artifact, rounds, configurations, Vec::new()))
}

fn measured(
    arguments: &Arguments,
    artifact: &Artifact,
    rounds: usize,
    configurations: Vec<Configuration>,
    switches: Vec<Switch>,
) -> Measured {
    Measured {
        artifact: arguments.artifact.clone(),
        target: artifact.manifest().target.name.clone(),
        threads: arguments.threads.get(),
        rounds,
        calls: arguments.calls.get(),
        configurations,
        switches,
    }
}

fn device(arguments: &Arguments) -> Result<Device> {
    match arguments.threads.get() {
        1 => Ok(Device::local_sync()),
        threads => Ok(Device::local_task(threads)?),
    }
}

/// The pruned networks that the arguments ask for, compiled if need be.
#[cfg(feature = "compiler")]
fn pruned(
    arguments: &Arguments,
    artifact: &Artifact,
    depths: &[usize],
    format: Format,
) -> Result<BTreeMap<usize, Artifact>> {
    let Some(model) = &arguments.model else { return compiled(arguments, depths) };
    // Artifacts keep their files mapped, so the folder may go.
    skipgate_iree::check_temporary_folder()?;
    let temporary = tempfile::tempdir()?;
    let dir = arguments.pruned.as_deref().unwrap_or(temporary.path());
    crate::bench::compile::missing(model, artifact, depths, dir, format)?;
    pruned::open(dir, depths)
}

/// The pruned networks that the arguments ask for.
#[cfg(not(feature = "compiler"))]
fn pruned(
    arguments: &Arguments,
    _: &Artifact,
    depths: &[usize],
    _: Format,
) -> Result<BTreeMap<usize, Artifact>> {
    compiled(arguments, depths)
}

/// The pruned networks in the folder that the arguments name; none if they name none.
fn compiled(arguments: &Arguments, depths: &[usize]) -> Result<BTreeMap<usize, Artifact>> {
    arguments.pruned.as_deref().map_or_else(|| Ok(BTreeMap::new()), |dir| pruned::open(dir, depths))
}

fn all(bench: &mut Bench, rounds: usize) -> Result<usize> {
    let bar = progress::bar(rounds);
    for _ in 0..rounds {
        bench.round()?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(rounds)
}

/// One round for each line on standard input. Returns how many that were.
fn paced(bench: &mut Bench) -> Result<usize> {
    let mut rounds = 0;
    for line in io::stdin().lock().lines() {
        line?;
        bench.round()?;
        rounds += 1;
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, &bench.last_medians())?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(rounds)
}

/// The medians of the artifact and of the pruned networks.
#[cfg(feature = "compiler")]
fn plot(measured: &Measured) -> skipgate_plot::Figure {
    use skipgate_plot::{Figure, Line};

    use crate::latency::Latency;

    let line = |name: &str, color, latency: fn(&Configuration) -> Option<Latency>| Line {
        name: name.to_owned(),
        color,
        points: measured
            .configurations
            .iter()
            .filter_map(|point| Some((point.skipped as f64, latency(point)?.median_us)))
            .collect(),
    };
    let all = [
        line("gated", 0, |configuration| Some(configuration.gated)),
        line("statically pruned", 1, |configuration| configuration.pruned),
    ];
    let drawn: Vec<_> = all.into_iter().filter(|line| !line.points.is_empty()).collect();
    let title = format!(
        "{} ({}, {})",
        measured.artifact.display(),
        measured.target,
        report::counted(measured.threads, "thread")
    );
    Figure::latency_over_skipped(title, drawn)
}
