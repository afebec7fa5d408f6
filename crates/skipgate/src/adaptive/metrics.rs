//! Numbers for Prometheus (its text format, version 0.0.4).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use skipgate_workload::Summary;
use tiny_http::{Header, Response, Server};

use super::live::Shared;

/// Answers every request for `/metrics` with the numbers of a tally, until it is dropped.
pub(crate) struct Metrics {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    pub(crate) fn start(address: SocketAddr, tally: Shared) -> Result<Self> {
        let server = Server::http(address).map_err(|error| anyhow!(error));
        let server = Arc::new(server.with_context(|| format!("cannot listen at {address} for Prometheus"))?);
        let thread = {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    let summary = tally.lock().unwrap_or_else(PoisonError::into_inner).summary();
                    let response = match request.url() {
                        "/metrics" => Response::from_string(text(&summary)).with_header(content_type()),
                        _ => Response::from_string("see /metrics\n").with_status_code(404),
                    };
                    // Whoever asked may be gone.
                    let _ = request.respond(response);
                }
            })
        };
        Ok(Self { server, thread: Some(thread) })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn content_type() -> Header {
    Header::from_bytes("Content-Type", "text/plain; version=0.0.4").expect("it is a valid header")
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP skipgate_{name} {help}\n# TYPE skipgate_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "skipgate_{name}{labels} {value}");
        }
    };
    let outcome = |name: &str, count: usize| (format!("{{outcome=\"{name}\"}}"), count as f64);
    let outcomes = vec![outcome("processed", summary.processed), outcome("dropped", summary.dropped)];
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
    let accuracy = summary.accuracy.iter().map(|accuracy| (String::new(), *accuracy)).collect();
    metric("accuracy_ratio", "gauge", "Share of processed requests that were answered right.", accuracy);
    let latency = summary.latency.iter().flat_map(|latency| {
        let quantiles = [("0.5", latency.p50_us), ("0.9", latency.p90_us), ("0.99", latency.p99_us)];
        quantiles.map(|(quantile, us)| (format!("{{quantile=\"{quantile}\"}}"), us * 1e-6))
    });
    metric("latency_seconds", "summary", "From arrival to answer.", latency.collect());
    text
}
