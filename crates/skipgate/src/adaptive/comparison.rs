//! Controllers and workloads: a table.

use serde::Serialize;
use skipgate_workload::Score;

use super::report::{oracle_note, score_table};
use crate::report::Report;

/// What all controllers make of workloads.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Comparison {
    /// Requests that come while the network with all blocks could serve one, on average.
    pub(crate) load: f64,
    pub(crate) requests: usize,
    pub(crate) seed: u64,
    /// From 0 to 1.
    pub(crate) minimum_accuracy: f64,
    /// Time from arrival to answer that is allowed, in microseconds.
    pub(crate) deadline_us: f64,
    /// Where the latencies are from.
    pub(crate) latencies: String,
    pub(crate) workloads: Vec<Row>,
}

/// One workload.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Row {
    pub(crate) workload: String,
    /// Whether the oracle is the best possible, not only a bound on it.
    pub(crate) oracle_is_exact: bool,
    /// The oracle first, then the controllers.
    pub(crate) scores: Vec<Score>,
}

impl Report for Comparison {
    fn text(&self) -> String {
        let lines = self.workloads.iter().flat_map(|row| {
            let first = |number| if number == 0 { row.workload.clone() } else { String::new() };
            row.scores.iter().enumerate().map(move |(number, score)| (first(number), score))
        });
        let exact = self.workloads.iter().all(|row| row.oracle_is_exact);
        format!(
            "{}\n\n{}\n{} requests each, seed {}, {} times what all blocks can serve; more than {:.2} %, deadline {:.2} ms; \
             latencies: {}",
            score_table("workload", lines),
            oracle_note(exact),
            self.requests,
            self.seed,
            self.load,
            100.0 * self.minimum_accuracy,
            self.deadline_us / 1e3,
            self.latencies,
        )
    }
}
