//! What became of all requests, whose right answers nobody knows.

use anyhow::{Result, ensure};
use serde::Serialize;
use skipgate_http::Shared;
use skipgate_workload::Latencies;

use crate::cli::Format;
use crate::report::counted;

/// Counts of what became of requests.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Totals {
    outcome: &'static str,
    requests: usize,
    processed: usize,
    dropped: usize,
    failed: usize,
    #[serde(skip_serializing_if = "is_zero")]
    refused: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latencies>,
    /// What a request is called.
    #[serde(skip)]
    thing: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Totals {
    /// Those so far, of what is called `thing`.
    pub(crate) fn of(numbers: &Shared, thing: &'static str) -> Self {
        numbers.with(|numbers| {
            let summary = numbers.tally.summary();
            Self {
                outcome: "summary",
                requests: summary.requests + numbers.failed + numbers.refused,
                processed: summary.processed,
                dropped: summary.dropped,
                failed: numbers.failed,
                refused: numbers.refused,
                latency: summary.latency,
                thing,
            }
        })
    }

    /// Says them, apart from the answers unless that is for programs, and fails if a request that could be answered was not.
    pub(crate) fn conclude(&self, format: Format) -> Result<()> {
        match format {
            Format::Text => eprintln!("{}", self.text()),
            Format::Json => println!("{}", serde_json::to_string(self)?),
        }
        let requests = counted(self.requests, self.thing);
        ensure!(self.failed == 0, "{} of {requests} have no answer", self.failed);
        Ok(())
    }

    fn text(&self) -> String {
        let Self { requests, processed, dropped, failed, refused, latency, thing, .. } = self;
        let latency = latency.as_ref().map_or_else(String::new, |latency| {
            format!("; latency p50 {:.0} us, p99 {:.0} us", latency.p50_us, latency.p99_us)
        });
        let refused = if *refused == 0 { String::new() } else { format!(", {refused} refused") };
        let requests = counted(*requests, thing);
        format!("{requests}: {processed} processed, {dropped} dropped, {failed} failed{refused}{latency}")
    }
}
