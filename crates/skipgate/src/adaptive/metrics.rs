//! Numbers for Prometheus (its text format, version 0.0.4).

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use hyper::header::HeaderValue;
use skipgate_workload::Tally;

use super::endpoint::{Endpoint, Page};

/// What is told of requests.
pub(crate) struct Numbers {
    pub(crate) tally: Tally,
    /// Requests without an answer, which the tally does not have.
    pub(crate) failed: usize,
    /// Whether the right answers are known.
    pub(crate) labelled: bool,
}

/// Answers every request for `/metrics` with `numbers`, until what is returned is dropped.
pub(crate) fn serve(address: &str, numbers: Arc<Mutex<Numbers>>) -> Result<Endpoint> {
    let content = move || text(&numbers.lock().unwrap_or_else(PoisonError::into_inner));
    let page = Page {
        path: "/metrics",
        content_type: HeaderValue::from_static("text/plain; version=0.0.4"),
        content: Box::new(content),
    };
    Endpoint::start(address, page)
}

fn text(numbers: &Numbers) -> String {
    let summary = numbers.tally.summary();
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP skipgate_{name} {help}\n# TYPE skipgate_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "skipgate_{name}{labels} {value}");
        }
    };
    let outcome = |name: &str, count: usize| (format!("{{outcome=\"{name}\"}}"), count as f64);
    let outcomes =
        [("processed", summary.processed), ("dropped", summary.dropped), ("failed", numbers.failed)];
    let outcomes = outcomes.map(|(name, count)| outcome(name, count)).into();
    metric("requests_total", "counter", "Requests by what became of them.", outcomes);
    let stays = summary.stays.iter();
    let configurations =
        stays.map(|stay| (format!("{{configuration=\"{}\"}}", stay.configuration), stay.requests as f64));
    let help = "Processed requests by the number of the configuration on the front.";
    metric("configuration_requests_total", "counter", help, configurations.collect());
    metric(
        "busy_seconds_total",
        "counter",
        "Time that the device worked.",
        vec![(String::new(), summary.busy_s)],
    );
    let accuracy = summary
        .accuracy
        .iter()
        .filter(|_| numbers.labelled)
        .map(|accuracy| (String::new(), *accuracy))
        .collect();
    metric("accuracy_ratio", "gauge", "Share of processed requests that were answered right.", accuracy);
    let latency = summary.latency.iter().flat_map(|latency| {
        let quantiles = [("0.5", latency.p50_us), ("0.9", latency.p90_us), ("0.99", latency.p99_us)];
        quantiles.map(|(quantile, us)| (format!("{{quantile=\"{quantile}\"}}"), us * 1e-6))
    });
    metric("latency_seconds", "summary", "From arrival to answer.", latency.collect());
    text
}
