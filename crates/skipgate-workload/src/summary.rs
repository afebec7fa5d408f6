//! What became of all requests.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{Buckets, Request};

/// Counts and times of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// All requests.
    pub requests: usize,
    /// Those that were processed; all others were dropped.
    pub processed: usize,
    /// Those that were dropped.
    pub dropped: usize,
    /// Share of the processed requests that were answered right, from 0 to 1: counted where the answers are known, else
    /// expected from the accuracies of the configurations. `None` if nothing was processed.
    pub accuracy: Option<f64>,
    /// From arrival to answer, of processed requests; `None` if there is none.
    pub latency: Option<Latencies>,
    /// Time from arrival to answer that was allowed, in microseconds, to requests without a deadline of their own.
    pub deadline_us: f64,
    /// Requests that were answered by their deadlines.
    pub in_time: usize,
    /// Share of all requests that were answered right by their deadlines, from 0 to 1: the product of how many are served
    /// and how well. A request that is dropped or late counts as answered wrong.
    pub right_in_time: f64,
    /// Time that the device worked, in seconds.
    pub busy_s: f64,
    /// From the start to the last arrival or answer, in seconds.
    pub total_s: f64,
    /// By the number of the configuration, without requests whose clients chose another mask.
    pub stays: Vec<Stay>,
}

/// Percentiles in microseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latencies {
    /// 50th.
    pub p50_us: f64,
    /// 90th.
    pub p90_us: f64,
    /// 99th.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// How much one configuration was used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stay {
    /// Its number.
    pub configuration: usize,
    /// Requests that it processed.
    pub requests: usize,
    /// Time until the next request was begun in another one, in seconds; the last one stays to the end.
    pub time_s: f64,
}

/// Sums up requests as they come, in the same memory however many they are.
#[derive(Debug, Clone)]
pub struct Tally {
    requests: usize,
    processed: usize,
    right: f64,
    limit: Duration,
    in_time: usize,
    right_in_time: f64,
    /// From arrival to answer, in nanoseconds.
    latency: Histogram<u64>,
    latency_buckets: Buckets,
    queueing_buckets: Buckets,
    busy: Duration,
    end: Duration,
    stays: BTreeMap<usize, (usize, Duration)>,
    /// The configuration that ran last, and since when its stay is not yet counted.
    current: Option<(usize, Duration)>,
}

/// Latencies of more than an hour count as an hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;
/// Significant digits of percentiles.
const DIGITS: u8 = 3;

impl Tally {
    /// Nothing yet. Requests without a deadline of their own are in time if they are answered within `limit`.
    #[expect(clippy::missing_panics_doc, reason = "the bounds are constants, and possible ones")]
    pub fn new(limit: Duration) -> Self {
        Self {
            requests: 0,
            processed: 0,
            right: 0.0,
            limit,
            in_time: 0,
            right_in_time: 0.0,
            latency: Histogram::new_with_max(LONGEST, DIGITS).expect("the bounds are possible"),
            latency_buckets: Buckets::default(),
            queueing_buckets: Buckets::default(),
            busy: Duration::ZERO,
            end: Duration::ZERO,
            stays: BTreeMap::new(),
            current: None,
        }
    }

    /// Adds a request; requests come in the order of their arrival. `accuracy` is that of its configuration, for requests
    /// whose right answer is not known.
    pub fn add(&mut self, request: &Request, accuracy: f64) {
        self.requests += 1;
        self.end = self.end.max(request.arrived);
        let Some(processed) = request.processed() else { return };
        self.processed += 1;
        let right = processed.correct.map_or(accuracy, f64::from);
        self.right += right;
        if request.in_time(self.limit) {
            self.in_time += 1;
            self.right_in_time += right;
        }
        let latency = processed.ended.saturating_sub(request.arrived);
        self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.latency_buckets.add(latency);
        self.queueing_buckets.add(processed.began.saturating_sub(request.arrived));
        self.busy += processed.took();
        self.stay_until(processed.began);
        self.current = processed.configuration.map(|configuration| (configuration, processed.began));
        if let Some(configuration) = processed.configuration {
            self.stays.entry(configuration).or_default().0 += 1;
        }
        self.end = self.end.max(processed.ended);
    }

    /// Requests that were dropped so far.
    pub fn dropped(&self) -> usize {
        self.requests - self.processed
    }

    /// From arrival to answer, of processed requests.
    pub fn latency_buckets(&self) -> &Buckets {
        &self.latency_buckets
    }

    /// From arrival to the moment when the device began, of processed requests.
    pub fn queueing_buckets(&self) -> &Buckets {
        &self.queueing_buckets
    }

    /// The configuration that ran last.
    pub fn current(&self) -> Option<usize> {
        self.current.map(|(configuration, _)| configuration)
    }

    fn stay_until(&mut self, now: Duration) {
        if let Some((configuration, since)) = self.current {
            self.stays.entry(configuration).or_default().1 += now.saturating_sub(since);
        }
    }

    /// What was added so far.
    pub fn summary(&self) -> Summary {
        let mut whole = self.clone();
        whole.stay_until(self.end);
        let stay = |(configuration, (requests, time)): (_, (_, Duration))| Stay {
            configuration,
            requests,
            time_s: time.as_secs_f64(),
        };
        Summary {
            requests: self.requests,
            processed: self.processed,
            dropped: self.dropped(),
            accuracy: (self.processed > 0).then(|| self.right / self.processed as f64),
            latency: (self.processed > 0).then(|| Latencies::of(&self.latency)),
            deadline_us: self.limit.as_secs_f64() * 1e6,
            in_time: self.in_time,
            right_in_time: if self.requests == 0 { 0.0 } else { self.right_in_time / self.requests as f64 },
            busy_s: self.busy.as_secs_f64(),
            total_s: self.end.as_secs_f64(),
            stays: whole.stays.into_iter().map(stay).collect(),
        }
    }
}

impl Latencies {
    fn of(latency: &Histogram<u64>) -> Self {
        let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let rank = |share: f64| us(latency.value_at_quantile(share));
        Self { p50_us: rank(0.5), p90_us: rank(0.9), p99_us: rank(0.99), max_us: us(latency.max()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Processed};

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn processed(
        arrived: u64,
        configuration: usize,
        began: u64,
        ended: u64,
        correct: Option<bool>,
    ) -> Request {
        let configuration = Some(configuration);
        let processed = Processed { configuration, began: at(began), ended: at(ended), correct };
        Request { arrived: at(arrived), deadline: None, outcome: Outcome::Processed(processed) }
    }

    fn tally(requests: &[Request]) -> Summary {
        let mut tally = Tally::new(at(25));
        for request in requests {
            tally.add(request, 0.8);
        }
        tally.summary()
    }

    #[test]
    fn requests_are_counted_and_times_summed_up() {
        let requests = [
            processed(0, 0, 0, 30, None),
            Request { arrived: at(10), deadline: None, outcome: Outcome::Dropped },
            processed(20, 2, 30, 40, Some(false)),
            processed(50, 0, 50, 80, Some(true)),
            Request { arrived: at(100), deadline: None, outcome: Outcome::Dropped },
        ];
        let summary = tally(&requests);
        assert_eq!((summary.requests, summary.processed, summary.dropped), (5, 3, 2));
        assert!((summary.accuracy.unwrap() - 0.6).abs() < 1e-9);
        assert!((summary.busy_s - 0.07).abs() < 1e-9 && (summary.total_s - 0.1).abs() < 1e-9);
        let latency = summary.latency.unwrap();
        assert!([latency.p50_us, latency.p99_us].iter().all(|us| (us - 30_000.0).abs() < 30.0));
        let stays: Vec<_> = summary.stays.iter().map(|stay| (stay.configuration, stay.requests)).collect();
        assert_eq!(stays, [(0, 2), (2, 1)]);
        assert!(
            (summary.stays[0].time_s - 0.08).abs() < 1e-9 && (summary.stays[1].time_s - 0.02).abs() < 1e-9
        );
    }

    #[test]
    fn only_what_is_in_time_counts_as_served() {
        let own = Some(at(35));
        let requests = [
            processed(0, 0, 0, 25, None),
            processed(20, 0, 25, 46, None),
            Request { deadline: own, ..processed(50, 0, 55, 85, Some(true)) },
            Request { arrived: at(60), deadline: own, outcome: Outcome::Dropped },
        ];
        let summary = tally(&requests);
        assert_eq!((summary.processed, summary.in_time), (3, 2), "the second one is a millisecond late");
        assert!((summary.right_in_time - 1.8 / 4.0).abs() < 1e-9, "{}", summary.right_in_time);
    }

    #[test]
    fn nothing_has_neither_accuracy_nor_latency() {
        let summary = tally(&[]);
        assert_eq!((summary.accuracy, summary.latency), (None, None));
        assert_eq!(summary.in_time, 0);
    }
}
