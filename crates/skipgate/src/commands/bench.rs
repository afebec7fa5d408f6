//! `skipgate bench`: latency of an artifact at every number of skipped blocks, beside statically pruned networks.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};

use anyhow::Result;
use serde::Serialize;
use skipgate_core::{PARETO_FILE, SkipMask, depths};
use skipgate_runtime::{Artifact, Device};

use crate::bench::dispatches::{self, Profile};
use crate::bench::measure::Bench;
use crate::bench::report::{Configuration, Measured, Switch};
use crate::bench::{pruned, service};
use crate::cli::{Bench as Arguments, Format};
#[cfg(feature = "compiler")]
use crate::on_board::Remote;
use crate::report::Report;
use crate::{front, progress, report};

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    #[cfg(feature = "compiler")]
    if let Some(found) = on_board(arguments, format)? {
        return conclude(&found, arguments, format);
    }
    let artifact = arguments.trust.open(&arguments.artifact)?;
    let found = if arguments.per_dispatch {
        let calls = arguments.rounds.get().saturating_mul(arguments.calls.get());
        let (threads, device) = (arguments.threads.get(), device(arguments)?);
        Some(Found::Profile(dispatches::profile(&artifact, &arguments.artifact, device, threads, calls)?))
    } else if arguments.front {
        Some(Found::Measured(served(arguments, &artifact)?))
    } else {
        depths_measured(arguments, &artifact, format)?.map(Found::Measured)
    };
    found.map_or(Ok(()), |found| conclude(&found, arguments, format))
}

/// What was measured.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Found {
    Measured(Measured),
    Profile(Profile),
}

impl Report for Found {
    fn text(&self) -> String {
        match self {
            Self::Measured(measured) => measured.text(),
            Self::Profile(profile) => profile.text(),
        }
    }
}

/// Draws, writes and prints what was measured, as the arguments ask for.
fn conclude(found: &Found, arguments: &Arguments, format: Format) -> Result<()> {
    #[cfg(feature = "compiler")]
    if let (Some(path), Found::Measured(measured)) = (&arguments.plot, found) {
        fs_err::write(path, plot(measured).encode(path)?)?;
    }
    arguments.output.as_deref().map_or(Ok(()), |path| report::write(found, path))?;
    report::print(found, format)
}

/// What is measured on the board that the arguments name, if they name one.
#[cfg(feature = "compiler")]
fn on_board(arguments: &Arguments, format: Format) -> Result<Option<Found>> {
    let dir = &arguments.artifact;
    let Some(remote) = Remote::new(&arguments.board, &arguments.trust, dir, &["output", "plot"])? else {
        return Ok(None);
    };
    let threads = arguments.threads.get();
    // It is called as it is here.
    let found = if arguments.per_dispatch {
        let (mut profile, _): (Profile, _) = remote.report(threads, None, format)?;
        profile.artifact.clone_from(dir);
        Found::Profile(profile)
    } else {
        let (mut measured, _): (Measured, _) = remote.report(threads, None, format)?;
        measured.artifact.clone_from(dir);
        Found::Measured(measured)
    };
    Ok(Some(found))
}

/// Every number of skipped blocks; `None` if nobody let a round begin.
fn depths_measured(arguments: &Arguments, artifact: &Artifact, format: Format) -> Result<Option<Measured>> {
    let gates = artifact.gates().len();
    let depths = depths(gates, arguments.every.get());
    let pruned = pruned(arguments, artifact, &depths, format)?;
    let masks = depths.iter().map(|&skipped| SkipMask::skipping_last(gates, skipped)).collect();
    let mut bench = Bench::new(artifact, pruned, masks, device(arguments)?, arguments.calls.get())?;
    let rounds = if arguments.paced { paced(&mut bench)? } else { all(&mut bench, arguments.rounds.get())? };
    if rounds == 0 {
        return Ok(None);
    }
    let configurations = bench.configurations.iter().map(Into::into).collect();
    let switches = bench.switches.iter().map(Into::into).collect();
    Ok(Some(measured(arguments, artifact, rounds, configurations, switches)))
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
