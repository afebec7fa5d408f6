//! `skipgate serve`: a workload in real time, on the real artifact.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
#[cfg(feature = "compiler")]
use skipgate_board::{Input, Pin};
use skipgate_core::{Manifest, SkipMask};
use skipgate_data::Dataset;
use skipgate_energy::{PowerTrace, Recorder, Source};
use skipgate_http::{Metrics, Shared};
use skipgate_runtime::controller::{Controller, Fixed};
use skipgate_runtime::{Artifact, Device, Server, ServerOptions};
use skipgate_workload::{Request, Tally, Workload};

use crate::adaptive::levels::LeveledFront;
use crate::adaptive::live::{self, Image};
use crate::adaptive::report::{Adapted, Network, drops_beside_faster};
use crate::adaptive::view::{Beside, View};
use crate::adaptive::{Demands, http, refuse_ignored_options, standard_input};
use crate::cli::{Format, Serve as Arguments};
#[cfg(feature = "compiler")]
use crate::on_board::Remote;
use crate::report;

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let control = &arguments.control;
    refuse_ignored_options(control);
    #[cfg(feature = "compiler")]
    if let Some(remote) = on_board(arguments)? {
        let input = if arguments.stdin { Input::Inherited } else { Input::None };
        let pin = if arguments.cpu.is_some() { Pin::AsItIs } else { Pin::Itself };
        return remote.pass_through(pin, input, format);
    }
    let artifact = control.trust.open(&control.artifact)?;
    let open = if arguments.http.is_some() { LeveledFront::open_or_all_run } else { LeveledFront::open };
    let front = open(&control.artifact, &artifact, control.latency_from.as_deref())?;
    let demands = Demands::new(control, &front)?;
    let adaptive = demands.controller(control)?;
    let stop = stop_on_signals()?;
    let tally = shared(&demands, arguments.workload.is_some());
    let _metrics = arguments.metrics.as_deref().map(|at| Metrics::serve(at, &tally)).transpose()?;
    if let Some(address) = &arguments.http {
        let server =
            |number| start(arguments, &artifact, front.masks.clone(), demands.controller(control)?, number);
        let servers = (0..arguments.sessions.get()).map(server).collect::<Result<_>>()?;
        let model = http::model(arguments, &artifact, &front)?;
        let view = View::start(&tally, None, front.masks.len(), Beside::Nothing);
        let totals = http::serve(arguments, address, model, servers, &tally, &stop)?;
        drop(view);
        return totals.conclude(format);
    }
    let (Some(workload), Some(data)) = (&arguments.workload, &arguments.data) else {
        artifact.manifest().image()?;
        artifact.manifest().logits()?;
        let view = View::start(&tally, None, front.masks.len(), Beside::Answers);
        let server = start(arguments, &artifact, front.masks, adaptive, 0)?;
        let totals = standard_input::serve(&server, artifact.manifest(), &tally, arguments.drop, &stop)?;
        drop(view);
        return totals.conclude(format);
    };
    let scene = Scene { arguments, workload, stop: &stop, configurations: front.masks.len() };
    let images = images(arguments, data, artifact.manifest())?;
    let skipped: Vec<_> = front.masks.iter().map(SkipMask::skipped).collect();
    let server = start(arguments, &artifact, front.masks, adaptive, 0)?;
    let mut runs = vec![scene.run("gated", server, &images, &tally)?];
    for (name, path) in &arguments.against {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let artifact = control.trust.open(path)?;
        let masks = vec![SkipMask::all_run(artifact.gates().len())];
        let images = self::images(arguments, data, artifact.manifest())?;
        let server = start(arguments, &artifact, masks, Box::new(Fixed(0)), 0)?;
        runs.push(scene.run(name, server, &images, &shared(&demands, true))?);
    }
    #[cfg(feature = "compiler")]
    if let Some(path) = &control.plot {
        let drawn = runs.iter().map(|(network, requests)| (network.name.as_str(), requests.as_slice()));
        crate::adaptive::plot::write(path, &skipped, &drawn.collect::<Vec<_>>())?;
    }
    let adapted = Adapted {
        workload: workload.to_string(),
        seed: control.seed,
        controller: control.controller.to_string(),
        minimum_accuracy: demands.minimum_accuracy,
        deadline_us: demands.deadline.as_secs_f64() * 1e6,
        latencies: front.source,
        power: control.power.as_ref().map(ToString::to_string),
        warning: runs
            .first()
            .and_then(|(network, _)| drops_beside_faster(&network.summary, &demands.allowed)),
        scores: Vec::new(),
        oracle_is_exact: None,
        networks: runs.into_iter().map(|(network, _)| network).collect(),
        skipped,
    };
    report::print(&adapted, format)
}

/// The same on the board that the arguments name, if they name one. Images and power are those of the board.
#[cfg(feature = "compiler")]
fn on_board(arguments: &Arguments) -> Result<Option<Remote<'_>>> {
    let control = &arguments.control;
    let own = ["latency_from", "against", "plot"];
    let Some(mut remote) = Remote::new(&arguments.board, &control.trust, &control.artifact, &own)? else {
        return Ok(None);
    };
    anyhow::ensure!(control.plot.is_none(), "nothing is drawn on a board: leave out --plot with --on");
    if let Some(latencies) = &control.latency_from {
        let latencies = remote.add_file(latencies)?;
        remote.add_option("--latency-from", &latencies);
    }
    for (name, dir) in &arguments.against {
        let dir = remote.add_artifact(dir)?;
        remote.add_option("--against", &format!("{name}={dir}"));
    }
    Ok(Some(remote))
}

/// Nothing yet, of images with labels or without.
fn shared(demands: &Demands, labelled: bool) -> Shared {
    Shared::new(Tally::new(demands.deadline), labelled)
}

/// Session `number`, from 0, on its core.
fn start(
    arguments: &Arguments,
    artifact: &Artifact,
    masks: Vec<SkipMask>,
    controller: Box<dyn Controller + Send>,
    number: usize,
) -> Result<Server> {
    let cpu = arguments.cpu.map(|first| first.saturating_add(number));
    let options = ServerOptions { device: Device::local_sync(), cpu };
    Ok(Server::start(artifact, masks, controller, options)?)
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the process.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// As many of the images of the data set as there are requests.
fn images(arguments: &Arguments, data: &skipgate_data::Source, manifest: &Manifest) -> Result<Vec<Image>> {
    let dataset = Dataset::open(data, arguments.part, manifest, &|_, _| ())
        .with_context(|| format!("cannot use the data set {data}"))?;
    let mut values = vec![0.0; manifest.image()?.elements().unwrap_or_default()];
    let mut image = |number: usize| {
        dataset.input(number, &mut values);
        (Arc::from(values.as_slice()), dataset.label(number))
    };
    let count = arguments.control.requests.get().min(dataset.len());
    Ok((0..count).map(&mut image).collect())
}

/// What all networks have in common.
struct Scene<'a> {
    arguments: &'a Arguments,
    workload: &'a Workload,
    stop: &'a AtomicBool,
    /// How many there are on the front.
    configurations: usize,
}

impl Scene<'_> {
    /// Serves the workload with one network.
    fn run(
        &self,
        name: &str,
        server: Server,
        images: &[Image],
        tally: &Shared,
    ) -> Result<(Network, Vec<Request>)> {
        let control = &self.arguments.control;
        let measured = matches!(&control.power, Some(source) if !matches!(source, Source::Model(_)));
        #[cfg(feature = "compiler")]
        let drawn = control.plot.is_some();
        #[cfg(not(feature = "compiler"))]
        let drawn = false;
        let requests = control.requests.get();
        let arrivals = self.workload.arrivals(control.seed)?.take(requests);
        let view = View::start(tally, Some(requests), self.configurations, Beside::Nothing);
        let (start, began) = (server.started() + server.now(), SystemTime::now());
        let meter = control.power.as_ref().map(Source::meter).transpose()?.flatten();
        let recorder = meter.map(|meter| Recorder::start(meter, start));
        let requests = live::serve(&server, arrivals, images, tally, drawn || measured, self.stop)?;
        let total = start.elapsed();
        let recorded = recorder.map(Recorder::stop).transpose()?;
        drop(view);
        drop(server);
        let summary = tally.with(|numbers| numbers.tally.summary());
        let network = Network { name: name.to_owned(), summary, watts: None, joules_per_inference: None };
        let Some(source) = &control.power else { return Ok((network, requests)) };
        let trace = match source {
            Source::Model(model) => {
                let watts = Some(model.watts(network.summary.busy_s, network.summary.total_s));
                return Ok((Network { watts, ..network }, requests));
            }
            Source::Trace(path) => PowerTrace::read(path, began, began + total)?,
            Source::Powercap | Source::Hwmon(_) => recorded.context("a sensor is recorded")?,
        };
        let (watts, joules_per_inference) = (average(&trace, total), per_inference(&trace, &requests));
        Ok((Network { watts, joules_per_inference, ..network }, requests))
    }
}

/// Average power in watts up to `end`.
fn average(trace: &PowerTrace, end: Duration) -> Option<f64> {
    let start = trace.start()?;
    Some(trace.joules(start, end)? / end.saturating_sub(start).as_secs_f64())
}

/// Mean energy in joules while a request is processed, of those that the trace reaches over.
fn per_inference(trace: &PowerTrace, requests: &[Request]) -> Option<f64> {
    let processed = requests.iter().filter_map(Request::processed);
    let joules: Vec<_> = processed.filter_map(|p| trace.joules(p.began, p.ended)).collect();
    (!joules.is_empty()).then(|| joules.iter().sum::<f64>() / joules.len() as f64)
}
