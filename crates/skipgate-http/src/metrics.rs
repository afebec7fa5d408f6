//! Numbers for Prometheus (its text format, version 0.0.4).

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use skipgate_workload::Buckets;

use crate::endpoint::{Answer, Endpoint, Site};
use crate::error::Error;
use crate::numbers::{Numbers, Shared};

/// Where Prometheus looks.
pub(crate) const PATH: &str = "/metrics";
/// What it reads.
pub(crate) const CONTENT: &str = "text/plain; version=0.0.4";

/// The numbers as a site of their own.
#[derive(Debug)]
pub struct Metrics;

impl Metrics {
    /// Answers every request for `/metrics` at `address` with `numbers`, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Endpoint::start`].
    pub fn serve(address: &str, numbers: &Shared) -> Result<Endpoint, Error> {
        let numbers = numbers.clone();
        let content = Box::new(move || numbers.with(|numbers| text(numbers)));
        Endpoint::start(address, &Arc::new(Page { path: PATH, content_type: CONTENT, content }))
    }
}

/// A page: its path, the type of its content, and what makes it.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: Box<dyn Fn() -> String + Send + Sync>,
}

impl Site for Page {
    const KEEP_ALIVE: bool = false;

    fn most_body_bytes(&self, _head: &Parts) -> usize {
        0
    }

    /// The body of an answer to HEAD is left out by hyper.
    async fn answer(&self, head: Parts, _body: Bytes) -> Answer {
        if head.uri.path() != self.path {
            return self.refuse(StatusCode::NOT_FOUND, format!("see {}\n", self.path));
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut answer = self.refuse(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD\n".to_owned());
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let mut answer = Response::new(Full::from((self.content)()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        answer
    }

    fn refuse(&self, status: StatusCode, text: String) -> Answer {
        let mut answer = Response::new(Full::from(text));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer
    }
}

pub(crate) fn text(numbers: &Numbers) -> String {
    let summary = numbers.tally.summary();
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP skipgate_{name} {help}\n# TYPE skipgate_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "skipgate_{name}{labels} {value}");
        }
    };
    let outcome = |name: &str, count: usize| (format!("{{outcome=\"{name}\"}}"), count as f64);
    let outcomes = [
        ("processed", summary.processed),
        ("dropped", summary.dropped),
        ("failed", numbers.failed),
        ("refused", numbers.refused),
    ];
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
    for (name, help, buckets) in [
        ("latency_seconds", "From arrival to answer.", numbers.tally.latency_buckets()),
        (
            "queueing_seconds",
            "From arrival to the moment when the device begins.",
            numbers.tally.queueing_buckets(),
        ),
    ] {
        histogram(&mut text, name, help, buckets);
    }
    text
}

/// Cumulative counts by upper bound, the last of which is infinite; their sum, and their number.
fn histogram(text: &mut String, name: &str, help: &str, buckets: &Buckets) {
    let _ = writeln!(text, "# HELP skipgate_{name} {help}\n# TYPE skipgate_{name} histogram");
    for (bound, count) in buckets.cumulative() {
        let _ = writeln!(text, "skipgate_{name}_bucket{{le=\"{}\"}} {count}", bound.as_secs_f64());
    }
    let (sum, count) = (buckets.sum().as_secs_f64(), buckets.count());
    let _ = writeln!(text, "skipgate_{name}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(text, "skipgate_{name}_sum {sum}\nskipgate_{name}_count {count}");
}
