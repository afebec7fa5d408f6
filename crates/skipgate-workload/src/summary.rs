//! What became of all requests.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::Request;

/// Counts and times of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Time that the device worked, in seconds.
    pub busy_s: f64,
    /// From the start to the last arrival or answer, in seconds.
    pub total_s: f64,
    /// By the number of the configuration.
    pub stays: Vec<Stay>,
}

/// Percentiles (nearest rank), in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
pub struct Stay {
    /// Its number.
    pub configuration: usize,
    /// Requests that it processed.
    pub requests: usize,
    /// Time until the next request was begun in another one, in seconds; the last one stays to the end.
    pub time_s: f64,
}

impl Summary {
    /// Sums up `requests`, which are in the order of their arrival. `accuracy` is that of a configuration.
    pub fn new(requests: &[Request], accuracy: impl Fn(usize) -> f64) -> Self {
        let processed: Vec<_> = requests.iter().filter_map(Request::processed).collect();
        let right = processed.iter().map(|processed| match processed.correct {
            Some(correct) => f64::from(correct),
            None => accuracy(processed.configuration),
        });
        let right: f64 = right.sum();
        let latencies = requests
            .iter()
            .filter_map(|request| Some(request.processed()?.ended.saturating_sub(request.arrived)));
        let end =
            processed.iter().map(|processed| processed.ended).chain(requests.iter().map(|r| r.arrived)).max();
        let end = end.unwrap_or_default();
        let mut stays = BTreeMap::new();
        for (index, current) in processed.iter().enumerate() {
            let next = processed.get(index + 1).map_or(end, |next| next.began);
            let (requests, time): &mut (usize, Duration) = stays.entry(current.configuration).or_default();
            *requests += 1;
            *time += next.saturating_sub(current.began);
        }
        let stay = |(configuration, (requests, time)): (_, (_, Duration))| Stay {
            configuration,
            requests,
            time_s: time.as_secs_f64(),
        };
        Self {
            requests: requests.len(),
            processed: processed.len(),
            dropped: requests.len() - processed.len(),
            accuracy: (!processed.is_empty()).then(|| right / processed.len() as f64),
            latency: Latencies::of(latencies.collect()),
            busy_s: processed.iter().map(|processed| processed.took()).sum::<Duration>().as_secs_f64(),
            total_s: end.as_secs_f64(),
            stays: stays.into_iter().map(stay).collect(),
        }
    }
}

impl Latencies {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort();
        let last = times.last()?;
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let rank = |percent: usize| us(times[(times.len() * percent).div_ceil(100).max(1) - 1]);
        Some(Self { p50_us: rank(50), p90_us: rank(90), p99_us: rank(99), max_us: us(*last) })
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
        let processed = Processed { configuration, began: at(began), ended: at(ended), correct };
        Request { arrived: at(arrived), outcome: Outcome::Processed(processed) }
    }

    #[test]
    fn requests_are_counted_and_times_summed_up() {
        let requests = [
            processed(0, 0, 0, 30, None),
            Request { arrived: at(10), outcome: Outcome::Dropped },
            processed(20, 2, 30, 40, Some(false)),
            processed(50, 0, 50, 80, Some(true)),
            Request { arrived: at(100), outcome: Outcome::Dropped },
        ];
        let summary = Summary::new(&requests, |configuration| [0.8, 0.7, 0.6][configuration]);
        assert_eq!((summary.requests, summary.processed, summary.dropped), (5, 3, 2));
        assert!((summary.accuracy.unwrap() - 0.6).abs() < 1e-9);
        assert!((summary.busy_s - 0.07).abs() < 1e-9 && (summary.total_s - 0.1).abs() < 1e-9);
        let latency = summary.latency.unwrap();
        assert!([latency.p50_us, latency.p99_us].iter().all(|us| (us - 30_000.0).abs() < 1e-3));
        let stays: Vec<_> = summary.stays.iter().map(|stay| (stay.configuration, stay.requests)).collect();
        assert_eq!(stays, [(0, 2), (2, 1)]);
        assert!(
            (summary.stays[0].time_s - 0.08).abs() < 1e-9 && (summary.stays[1].time_s - 0.02).abs() < 1e-9
        );
    }

    #[test]
    fn nothing_has_neither_accuracy_nor_latency() {
        let summary = Summary::new(&[], |_| 1.0);
        assert_eq!((summary.accuracy, summary.latency), (None, None));
    }
}
