//! `skipgate simulate`: a workload in virtual time.

use std::time::Duration;

use anyhow::{Result, bail};
use skipgate_core::SkipMask;
use skipgate_energy::Source;
use skipgate_runtime::Artifact;
use skipgate_runtime::controller::Fixed;
use skipgate_workload::{Request, Tally, simulate};

use crate::adaptive::controller;
use crate::adaptive::levels::LeveledFront;
use crate::adaptive::report::{Adapted, Network};
use crate::cli::{Format, Simulate as Arguments};
use crate::report;

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let control = &arguments.control;
    let model = match &control.power {
        None => None,
        Some(Source::Model(model)) => Some(*model),
        Some(other) => bail!("a simulation takes no power, so {other} cannot tell it; use model:IDLE,BUSY"),
    };
    let artifact = Artifact::open(&control.artifact)?;
    let front = LeveledFront::open(&control.artifact, &artifact, control.latency_from.as_deref())?;
    let (mut adaptive, minimum_accuracy) = controller(control, &front)?;
    let arrivals: Vec<_> = arguments.workload.arrivals(control.seed)?.take(control.requests.get()).collect();
    let mut runs = Vec::new();
    // Latencies vary as they were measured to, but for the networks that there is one number of.
    let mut random = fastrand::Rng::with_seed(control.seed);
    let latency = |_, number: usize| front.latencies[number].quantile(random.f64());
    let gated = simulate(adaptive.as_mut(), &arrivals, latency);
    let accuracies: Vec<_> = front.levels.iter().map(|level| level.accuracy).collect();
    runs.push(("gated".to_owned(), gated, accuracies));
    for reference in &arguments.against {
        let latency = Duration::try_from_secs_f64(reference.latency * 1e-6)?;
        let requests = simulate(&mut Fixed(0), &arrivals, |_, _| latency);
        runs.push((reference.name.clone(), requests, vec![reference.accuracy]));
    }
    let network = |(name, requests, accuracies): &(String, Vec<Request>, Vec<f64>)| {
        let mut tally = Tally::default();
        for request in requests {
            tally.add(
                request,
                request.processed().map_or(0.0, |processed| accuracies[processed.configuration]),
            );
        }
        let summary = tally.summary();
        let watts = model.map(|model| model.watts(summary.busy_s, summary.total_s));
        Network { name: name.clone(), summary, watts, joules_per_inference: None }
    };
    let adapted = Adapted {
        workload: arguments.workload.to_string(),
        seed: control.seed,
        controller: control.controller.to_string(),
        minimum_accuracy,
        latencies: front.source,
        power: control.power.as_ref().map(ToString::to_string),
        networks: runs.iter().map(network).collect(),
        skipped: front.masks.iter().map(SkipMask::skipped).collect(),
    };
    #[cfg(feature = "compiler")]
    if let Some(path) = &control.plot {
        let drawn = runs.iter().map(|(name, requests, _)| (name.as_str(), requests.as_slice()));
        crate::adaptive::plot::write(path, &adapted.skipped, &drawn.collect::<Vec<_>>())?;
    }
    report::print(&adapted, format)
}
