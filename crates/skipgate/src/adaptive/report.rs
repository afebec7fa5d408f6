//! What became of a workload: the paper's table I.

use comfy_table::CellAlignment;
use serde::Serialize;
use skipgate_runtime::controller::Levels;
use skipgate_workload::{Score, Summary};

use crate::report::{self, Report};

/// A workload under a controller, and under networks that have none.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Adapted {
    pub(crate) workload: String,
    pub(crate) seed: u64,
    pub(crate) controller: String,
    /// From 0 to 1.
    pub(crate) minimum_accuracy: f64,
    /// Time from arrival to answer that is allowed, in microseconds.
    pub(crate) deadline_us: f64,
    /// Where the latencies that the controller knows are from.
    pub(crate) latencies: String,
    /// Where power figures are from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) power: Option<String>,
    /// The gated network first, then those it is compared with.
    pub(crate) networks: Vec<Network>,
    /// Blocks that each configuration skips.
    pub(crate) skipped: Vec<usize>,
    /// The controller, the others and the networks beside an oracle, where all latencies are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) scores: Vec<Score>,
    /// Whether the oracle is the best possible, not only a bound on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oracle_is_exact: Option<bool>,
    /// What the choice of the controller or its settings should be thought over for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

/// A warning if requests were dropped while faster configurations that are accurate enough were never used.
pub(crate) fn drops_beside_faster(summary: &Summary, allowed: &Levels) -> Option<String> {
    let used = |number| summary.stays.iter().any(|stay| stay.configuration == number);
    let fastest_used =
        allowed.iter().filter(|(number, _)| used(*number)).map(|(_, level)| level.median).min();
    let faster =
        allowed.iter().filter(|(_, level)| fastest_used.is_none_or(|used| level.median < used)).count();
    (summary.dropped > 0 && faster > 0).then(|| {
        format!(
            "{} of {} requests were dropped, but {} faster than those used stayed unused",
            summary.dropped,
            summary.requests,
            report::counted(faster, "configuration")
        )
    })
}

/// A table of scores, with a first column of its own for each.
pub(crate) fn score_table<'a>(
    first: &'a str,
    scores: impl IntoIterator<Item = (String, &'a Score)>,
) -> comfy_table::Table {
    let mut table =
        report::table([first, "controller", "deadlines met", "accuracy", "right in time", "regret"]);
    for (label, score) in scores {
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        table.add_row([
            label,
            score.name.clone(),
            percent(score.deadlines_met),
            optional(score.accuracy.map(|accuracy| 100.0 * accuracy), 2),
            percent(score.right_in_time),
            percent(score.regret),
        ]);
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// What became of all requests of one network.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Network {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Average power in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) watts: Option<f64>,
    /// Mean energy while a request is processed, where power was measured over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) joules_per_inference: Option<f64>,
}

impl Network {
    fn per_watt(&self) -> Option<f64> {
        self.watts.filter(|watts| *watts > 0.0).map(|watts| self.summary.processed as f64 / watts)
    }
}

impl Report for Adapted {
    fn text(&self) -> String {
        let power = self.power.as_ref().map_or_else(String::new, |power| format!("\npower: {power}"));
        let warning =
            self.warning.as_ref().map_or_else(String::new, |warning| format!("\nwarning: {warning}"));
        format!(
            "{}\n\n{}\n\n{}{} of {} requests, seed {}; controller {}, more than {:.2} %, deadline {:.2} ms; latencies: \
             {}{power}{warning}",
            self.table(),
            self.stays(),
            self.scores(),
            self.workload,
            self.networks[0].summary.requests,
            self.seed,
            self.controller,
            100.0 * self.minimum_accuracy,
            self.deadline_us / 1e3,
            self.latencies,
        )
    }
}

impl Adapted {
    /// One line for each network; the last columns compare it with the first one of those without a controller.
    fn table(&self) -> comfy_table::Table {
        let mut table = report::table([
            "network",
            "accuracy",
            "processed",
            "dropped",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "busy",
            "watts",
            "mJ",
            "points",
            "x processed",
            "x per watt",
        ]);
        let base = self.networks.get(1);
        for network in &self.networks {
            let Summary { accuracy, processed, dropped, latency, busy_s, total_s, .. } = &network.summary;
            let ms = |value: fn(&skipgate_workload::Latencies) -> f64| {
                optional(latency.as_ref().map(|latency| value(latency) / 1e3), 2)
            };
            let percent = |network: &Network| network.summary.accuracy.map(|accuracy| 100.0 * accuracy);
            let points = base.and_then(|base| Some(percent(network)? - percent(base)?));
            let times = base.map(|base| *processed as f64 / base.summary.processed as f64);
            let per_watt = base.and_then(|base| Some(network.per_watt()? / base.per_watt()?));
            table.add_row([
                network.name.clone(),
                optional(accuracy.map(|accuracy| 100.0 * accuracy), 2),
                processed.to_string(),
                dropped.to_string(),
                ms(|latency| latency.p50_us),
                ms(|latency| latency.p90_us),
                ms(|latency| latency.p99_us),
                format!("{:.0} %", 100.0 * busy_s / total_s),
                optional(network.watts, 2),
                optional(network.joules_per_inference.map(|joules| 1e3 * joules), 2),
                points.map_or_else(String::new, |points| format!("{points:+.2}")),
                optional(times, 2),
                optional(per_watt, 2),
            ]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        report::upright_if_narrow(table)
    }

    fn scores(&self) -> String {
        let Some(exact) = self.oracle_is_exact else { return String::new() };
        let scores = self.scores.iter().map(|score| (String::new(), score));
        format!("{}\n\n{}\n", score_table("", scores), oracle_note(exact))
    }

    /// Time in each configuration of the gated network.
    fn stays(&self) -> comfy_table::Table {
        let mut table = report::table(["configuration", "skipped", "requests", "time"]);
        let Summary { stays, total_s, .. } = &self.networks[0].summary;
        for stay in stays {
            table.add_row([
                stay.configuration.to_string(),
                self.skipped[stay.configuration].to_string(),
                stay.requests.to_string(),
                format!("{:.1} %", 100.0 * stay.time_s / total_s),
            ]);
        }
        table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }
}

/// What the oracle is.
pub(crate) fn oracle_note(exact: bool) -> &'static str {
    if exact {
        "oracle: the most right answers in time that knowing all requests beforehand allows"
    } else {
        "oracle: no choice gives more right answers in time, even one that knows all requests beforehand; a bound"
    }
}

fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}
