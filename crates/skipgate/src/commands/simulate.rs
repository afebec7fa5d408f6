//! `skipgate simulate`: a workload in virtual time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use skipgate_core::SkipMask;
use skipgate_energy::Source;
use skipgate_runtime::controller::Fixed;
use skipgate_workload::{Arrival, Request, Score, Setting, Summary, Tally, Workload, simulate};

use crate::adaptive::comparison::{Comparison, Row};
use crate::adaptive::levels::LeveledFront;
use crate::adaptive::report::{Adapted, Network, drops_beside_faster};
use crate::adaptive::{Demands, refuse_ignored_options};
use crate::cli::{Format, Simulate as Arguments};
use crate::report;

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let control = &arguments.control;
    if !arguments.compare {
        refuse_ignored_options(control);
    }
    if let Some(source) = control.power.as_ref().filter(|source| !matches!(source, Source::Model(_))) {
        bail!("a simulation takes no power, so {source} cannot tell it; use model:IDLE,BUSY");
    }
    let artifact = control.trust.open(&control.artifact)?;
    let front = LeveledFront::open(&control.artifact, &artifact, control.latency_from.as_deref())?;
    let demands = Demands::new(control, &front)?;
    // Latencies vary as they were measured to. A request has the same luck with every controller.
    let mut random = fastrand::Rng::with_seed(control.seed);
    let luck: Vec<_> = (0..control.requests.get()).map(|_| random.f64()).collect();
    let setting = Setting {
        levels: demands.allowed.clone(),
        limit: demands.deadline,
        idle: demands.idle,
        room: demands.room,
        latency: |request: usize, configuration: usize| {
            front.latencies[configuration].quantile(luck[request])
        },
    };
    if arguments.compare {
        return compare(arguments, &front, &demands, &setting, format);
    }
    let workload = arguments.workload.as_ref().context("--workload is required without --compare")?;
    let arrivals = arrivals(arguments, workload)?;
    let gated = setting.serve(demands.controller(control)?.as_mut(), &arrivals);
    let mut runs = vec![("gated".to_owned(), setting.summary(&gated), gated)];
    for reference in &arguments.against {
        let latency = Duration::try_from_secs_f64(reference.latency * 1e-6)?;
        let requests = simulate(&mut Fixed(0), &arrivals, |_, _| latency);
        runs.push((
            reference.name.clone(),
            summary(&requests, reference.accuracy, demands.deadline),
            requests,
        ));
    }
    let best = setting.best(&arrivals);
    let mut scores = vec![Score::of_oracle(&best)];
    let against = runs.iter().skip(1).map(|(name, summary, _)| Score::new(name, summary, &best));
    let chosen = control.controller.to_string();
    scores.push(Score::new(&chosen, &runs[0].1, &best));
    scores.extend(setting.scores(&arrivals, &best).into_iter().filter(|score| score.name != chosen));
    scores.extend(against);
    let network = |(name, summary, _): &(String, Summary, Vec<Request>)| {
        let watts = match &control.power {
            Some(Source::Model(model)) => Some(model.watts(summary.busy_s, summary.total_s)),
            _ => None,
        };
        Network { name: name.clone(), summary: summary.clone(), watts, joules_per_inference: None }
    };
    let adapted = Adapted {
        workload: workload.to_string(),
        seed: control.seed,
        controller: chosen,
        minimum_accuracy: demands.minimum_accuracy,
        deadline_us: demands.deadline.as_secs_f64() * 1e6,
        latencies: front.source.clone(),
        power: control.power.as_ref().map(ToString::to_string),
        networks: runs.iter().map(network).collect(),
        skipped: front.masks.iter().map(SkipMask::skipped).collect(),
        scores,
        oracle_is_exact: Some(best.exact),
        warning: drops_beside_faster(&runs[0].1, &demands.allowed),
    };
    #[cfg(feature = "compiler")]
    if let Some(path) = &control.plot {
        let drawn = runs.iter().map(|(name, _, requests)| (name.as_str(), requests.as_slice()));
        crate::adaptive::plot::write(path, &adapted.skipped, &drawn.collect::<Vec<_>>())?;
    }
    report::print(&adapted, format)
}

fn arrivals(arguments: &Arguments, workload: &Workload) -> Result<Vec<Arrival>> {
    let control = &arguments.control;
    Ok(workload.arrivals(control.seed)?.take(control.requests.get()).collect())
}

/// Sums up the requests of a network that is right as often as `accuracy` says.
fn summary(requests: &[Request], accuracy: f64, deadline: Duration) -> Summary {
    let mut tally = Tally::new(deadline);
    for request in requests {
        tally.add(request, accuracy);
    }
    tally.summary()
}

/// Every controller under a workload of every kind.
fn compare<L: Fn(usize, usize) -> Duration>(
    arguments: &Arguments,
    front: &LeveledFront,
    demands: &Demands,
    setting: &Setting<L>,
    format: Format,
) -> Result<()> {
    let mut rows = Vec::new();
    for workload in Workload::of_every_kind(front.all_run.div_f64(arguments.load)) {
        let arrivals = arrivals(arguments, &workload)?;
        let best = setting.best(&arrivals);
        let mut scores = vec![Score::of_oracle(&best)];
        scores.extend(setting.scores(&arrivals, &best));
        rows.push(Row { workload: workload.to_string(), oracle_is_exact: best.exact, scores });
    }
    #[cfg(feature = "compiler")]
    if let Some(path) = &arguments.control.plot {
        let over_load = crate::adaptive::plot::LOADS.map(|load| {
            let arrivals = arrivals(arguments, &Workload::Periodic(front.all_run.div_f64(load)))?;
            let best = setting.best(&arrivals);
            Ok((load, [vec![Score::of_oracle(&best)], setting.scores(&arrivals, &best)].concat()))
        });
        let over_load = over_load.into_iter().collect::<Result<Vec<_>>>()?;
        crate::adaptive::plot::write_over_load(path, &over_load)?;
    }
    let comparison = Comparison {
        load: arguments.load,
        requests: arguments.control.requests.get(),
        seed: arguments.control.seed,
        minimum_accuracy: demands.minimum_accuracy,
        deadline_us: demands.deadline.as_secs_f64() * 1e6,
        latencies: front.source.clone(),
        workloads: rows,
    };
    report::print(&comparison, format)
}
