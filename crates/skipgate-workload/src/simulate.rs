//! Virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use skipgate_controller::Controller;

use crate::{Arrival, Outcome, Processed, Request};

/// Serves requests that come at `arrivals` on one device, which takes `latency` for the request of that number in a
/// configuration.
///
/// A request that comes the moment the device gets through finds it free.
pub fn simulate(
    controller: &mut dyn Controller,
    arrivals: &[Arrival],
    latency: impl FnMut(usize, usize) -> Duration,
) -> Vec<Request> {
    let request = |&Arrival { at, deadline }| Request { arrived: at, deadline, outcome: Outcome::Dropped };
    let requests = arrivals.iter().map(request).collect();
    let mut device = Device { controller, latency, requests, waiting: VecDeque::new(), running: None };
    for (number, &Arrival { at: now, deadline }) in arrivals.iter().enumerate() {
        device.work_until(now);
        let waiting = device.waiting.len() + usize::from(device.running.is_some());
        let kept = match deadline {
            None => device.controller.admit(now, waiting),
            Some(own) => device.controller.admit_by(now, now.saturating_add(own), waiting),
        };
        if kept {
            device.waiting.push_back(number);
            device.begin(now);
        }
    }
    device.work_until(Duration::MAX);
    device.requests
}

struct Device<'c, L> {
    controller: &'c mut dyn Controller,
    latency: L,
    requests: Vec<Request>,
    waiting: VecDeque<usize>,
    running: Option<Processed>,
}

impl<L: FnMut(usize, usize) -> Duration> Device<'_, L> {
    /// Finishes what ends up to `now`, and what then begins and ends up to then.
    fn work_until(&mut self, now: Duration) {
        while let Some(processed) = self.running.filter(|p| p.ended <= now) {
            self.running = None;
            if let Some(configuration) = processed.configuration {
                self.controller.finished(configuration, processed.took());
            }
            self.begin(processed.ended);
        }
    }

    /// Begins with the next request if the device is free.
    fn begin(&mut self, now: Duration) {
        if self.running.is_some() {
            return;
        }
        let Some(number) = self.waiting.pop_front() else { return };
        let arrived = self.requests[number].arrived;
        let configuration = self.controller.choose(now, arrived, self.waiting.len());
        let ended = now + (self.latency)(number, configuration);
        let processed = Processed { configuration: Some(configuration), began: now, ended, correct: None };
        self.requests[number].outcome = Outcome::Processed(processed);
        self.running = Some(processed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skipgate_controller::{Fixed, Level, Levels, Queueing, Stepwise};

    use super::*;

    fn ms(times: &[u64]) -> Vec<Arrival> {
        times.iter().copied().map(Duration::from_millis).map(Arrival::from).collect()
    }

    fn text(requests: &[Request]) -> Vec<String> {
        let one = |request: &Request| match request.processed() {
            Some(p) => {
                format!("{} {}-{}", p.configuration.unwrap(), p.began.as_millis(), p.ended.as_millis())
            }
            None => "dropped".to_owned(),
        };
        requests.iter().map(one).collect()
    }

    fn levels() -> Levels {
        let level = |accuracy, ms| Level::new(accuracy, Duration::from_millis(ms), Duration::from_millis(ms));
        Levels::new(vec![level(0.9, 30), level(0.8, 20), level(0.7, 10)], 0.0).unwrap()
    }

    fn latency(_: usize, configuration: usize) -> Duration {
        Duration::from_millis([30, 20, 10][configuration])
    }

    #[test]
    fn a_network_that_cannot_skip_drops_what_comes_while_it_is_busy() {
        let requests = simulate(&mut Fixed(0), &ms(&[0, 10, 29, 30, 61]), latency);
        assert_eq!(text(&requests), ["0 0-30", "dropped", "dropped", "0 30-60", "0 61-91"]);
    }

    #[test]
    fn the_papers_controller_becomes_faster_with_each_drop() {
        let mut controller = Stepwise::new(levels(), Duration::from_millis(30));
        let requests = simulate(&mut controller, &ms(&[0, 15, 30, 45, 60, 75, 106]), latency);
        assert_eq!(
            text(&requests),
            ["0 0-30", "dropped", "1 30-50", "dropped", "2 60-70", "2 75-85", "1 106-126"]
        );
    }

    #[test]
    fn a_backlog_is_served_in_order() {
        let mut controller = Queueing::new(levels(), Duration::from_millis(30), 2);
        let requests = simulate(&mut controller, &ms(&[0, 5, 6, 7, 50]), latency);
        assert_eq!(text(&requests), ["0 0-30", "2 30-40", "2 40-50", "dropped", "1 50-70"]);
    }

    proptest! {
        #[test]
        fn every_request_is_processed_or_dropped_and_the_device_does_one_at_a_time(
            gaps in prop::collection::vec(0u64..60, 1..100), room in 0usize..4,
        ) {
            let arrivals: Vec<_> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(Duration::from_millis(*now).into()) }).collect();
            let mut controller = Queueing::new(levels(), Duration::from_millis(30), room);
            let requests = simulate(&mut controller, &arrivals, latency);
            prop_assert_eq!(requests.len(), arrivals.len());
            let processed: Vec<_> = requests.iter().filter_map(Request::processed).collect();
            prop_assert!(processed.windows(2).all(|pair| pair[0].ended <= pair[1].began));
            prop_assert!(requests.iter().all(|request| request.processed().is_none_or(|p| p.began >= request.arrived)));
        }
    }
}
