//! The best that can be done.

use std::time::Duration;

use crate::Arrival;

/// What a choice with knowledge of all requests reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// All requests.
    pub requests: usize,
    /// Those that are answered by their deadlines.
    pub in_time: usize,
    /// How many of these are answered right, as expected from the accuracies of their configurations.
    pub right: f64,
    /// Whether this is the best exactly. If not, the best is at most this: times were rounded down to keep the search
    /// small.
    pub exact: bool,
}

impl Best {
    /// Share of all requests that are answered right by their deadlines, from 0 to 1.
    pub fn right_in_time(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.right / self.requests as f64 }
    }

    /// Share of the requests in time that are answered right; `None` if there are none.
    pub fn accuracy(&self) -> Option<f64> {
        (self.in_time > 0).then(|| self.right / self.in_time as f64)
    }

    /// By which share of the best a controller stays below it that answers `right_in_time` of all requests right by their
    /// deadlines.
    pub fn regret(&self, right_in_time: f64) -> f64 {
        let best = self.right_in_time();
        if best > 0.0 { 1.0 - right_in_time / best } else { 0.0 }
    }
}

/// The most right answers by their deadlines that one device can give: for each request, the best choice between dropping
/// it and each configuration of `levels` (a number and an accuracy from 0 to 1), knowing all arrivals and the `latency` of
/// every request in every configuration. Requests without a deadline of their own have `limit`.
///
/// Requests are served in the order of their arrival, one at a time, as by all controllers. If no request has an earlier
/// deadline than one that came before it, no other order is better.
///
/// By dynamic programming: after each request, of all ways to come there only those are kept that no other one beats, being
/// free earlier with as many right answers. Beyond 4,096 of them, times are rounded down, so that the result is a bound.
pub fn oracle(
    arrivals: &[Arrival],
    limit: Duration,
    levels: &[(usize, f64)],
    latency: impl Fn(usize, usize) -> Duration,
) -> Best {
    let mut exact = true;
    let mut ways = vec![Way { free: 0, right: 0.0, in_time: 0 }];
    for (number, arrival) in arrivals.iter().enumerate() {
        let deadline = arrival.at.saturating_add(arrival.deadline.unwrap_or(limit));
        let choices = choices(levels, |configuration| latency(number, configuration));
        ways = step(&ways, nanoseconds(arrival.at), nanoseconds(deadline), &choices);
        if ways.len() > MOST_WAYS {
            exact = false;
            ways = rounded(&ways);
        }
    }
    // Of ways that none beats, the last one answers most right.
    let (in_time, right) = ways.last().map_or((0, 0.0), |best| (best.in_time, best.right));
    Best { requests: arrivals.len(), in_time, right, exact }
}

/// Ways that are kept after a request.
const MOST_WAYS: usize = 4096;

/// One way to come to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Way {
    /// When the device is free, in nanoseconds.
    free: u64,
    right: f64,
    in_time: usize,
}

/// A configuration's latency in nanoseconds and its accuracy.
type Choice = (u64, f64);

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Those that no other one beats, from the fastest on.
fn choices(levels: &[(usize, f64)], latency: impl Fn(usize) -> Duration) -> Vec<Choice> {
    let choice = |&(configuration, accuracy): &(usize, f64)| (nanoseconds(latency(configuration)), accuracy);
    let mut choices: Vec<Choice> = levels.iter().map(choice).collect();
    choices.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::NEG_INFINITY;
    choices.retain(|(_, accuracy)| {
        let better = *accuracy > best;
        best = best.max(*accuracy);
        better
    });
    choices
}

/// The ways beyond a request. `ways` are sorted by when the device is free, and each answers more right than those before.
fn step(ways: &[Way], arrived: u64, deadline: u64, choices: &[Choice]) -> Vec<Way> {
    // A device that is free before the request comes is as good as one that is free then.
    let waits = ways.partition_point(|way| way.free <= arrived);
    let idle = waits.checked_sub(1).map(|last| Way { free: arrived, ..ways[last] });
    let ways: Vec<Way> = idle.into_iter().chain(ways[waits..].iter().copied()).collect();
    let mut next = ways.clone();
    for (took, accuracy) in choices {
        let served = |way: &Way| Way {
            free: way.free.saturating_add(*took),
            right: way.right + accuracy,
            in_time: way.in_time + 1,
        };
        next.extend(ways.iter().map(served).take_while(|way| way.free <= deadline));
    }
    unbeaten(next)
}

/// The ways that no other one beats, sorted.
fn unbeaten(mut ways: Vec<Way>) -> Vec<Way> {
    ways.sort_unstable_by(|a, b| a.free.cmp(&b.free).then(b.right.total_cmp(&a.right)));
    let mut best = f64::NEG_INFINITY;
    ways.retain(|way| {
        // Sums in another order differ by rounding alone.
        let better = way.right > best + 1e-9;
        best = best.max(way.right);
        better
    });
    ways
}

/// Half as many ways at most, each free at the earliest time of those that it stands for.
fn rounded(ways: &[Way]) -> Vec<Way> {
    let (first, last) = (ways[0].free, ways[ways.len() - 1].free);
    let width = (last - first).div_ceil(MOST_WAYS as u64 / 2).max(1);
    let mut rounded: Vec<Way> = Vec::new();
    for way in ways {
        let free = first + (way.free - first) / width * width;
        match rounded.last_mut().filter(|other| other.free == free) {
            Some(other) => *other = Way { free, ..*way },
            None => rounded.push(Way { free, ..*way }),
        }
    }
    rounded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEVELS: [(usize, f64); 3] = [(0, 0.9), (1, 0.8), (2, 0.5)];

    fn latency(_: usize, configuration: usize) -> Duration {
        Duration::from_millis([30, 20, 10][configuration])
    }

    fn arrivals(times: &[u64]) -> Vec<Arrival> {
        times.iter().map(|ms| Duration::from_millis(*ms).into()).collect()
    }

    fn best(times: &[u64], limit: u64) -> (usize, f64) {
        let best = oracle(&arrivals(times), Duration::from_millis(limit), &LEVELS, latency);
        assert!(best.exact);
        (best.in_time, (best.right * 1e6).round() / 1e6)
    }

    #[test]
    fn a_device_without_haste_runs_everything() {
        assert_eq!(best(&[0, 30, 60, 200], 30), (4, 3.6));
    }

    #[test]
    fn a_burst_shares_the_time() {
        assert_eq!(best(&[0, 0], 40), (2, 1.6), "20 and 20 ms beat 30 and 10 ms");
        assert_eq!(best(&[0, 0], 20), (2, 1.0), "two at 50 % beat one at 80 %");
        assert_eq!(best(&[0, 0, 0], 20), (2, 1.0));
        assert_eq!(best(&[0], 5), (0, 0.0));
        assert_eq!(best(&[], 5), (0, 0.0));
    }

    #[test]
    fn it_makes_room_for_what_is_to_come() {
        assert_eq!(best(&[0, 20], 30), (2, 1.7), "the first ends when the second comes");
    }

    #[test]
    fn a_deadline_of_its_own_counts() {
        let own = Arrival { at: Duration::ZERO, deadline: Some(Duration::from_millis(10)) };
        let best = oracle(&[own], Duration::from_millis(100), &LEVELS, latency);
        assert!((best.right - 0.5).abs() < 1e-9, "{best:?}");
    }

    /// Tries every choice for every request.
    fn exhaustive(arrivals: &[Arrival], limit: u64, free: u64) -> f64 {
        let Some((first, rest)) = arrivals.split_first() else { return 0.0 };
        let at = u64::try_from(first.at.as_millis()).unwrap();
        let dropped = exhaustive(rest, limit, free);
        LEVELS.iter().fold(dropped, |best, (configuration, accuracy)| {
            let ended = free.max(at) + [30, 20, 10][*configuration];
            if ended > at + limit { best } else { best.max(accuracy + exhaustive(rest, limit, ended)) }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_choice_is_better(gaps in prop::collection::vec(0u64..40, 1..7), limit in 5u64..80) {
            let times: Vec<_> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) }).collect();
            let expected = exhaustive(&arrivals(&times), limit, 0);
            prop_assert!((best(&times, limit).1 - expected).abs() < 1e-5);
        }

        #[test]
        fn rounding_never_loses(gaps in prop::collection::vec(1u64..1000, 5000..6000)) {
            let free = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) });
            let ways: Vec<_> =
                free.zip(0..).map(|(free, count)| Way { free, right: f64::from(count), in_time: 0 }).collect();
            let rounded = rounded(&ways);
            prop_assert!(rounded.len() <= MOST_WAYS / 2 + 1);
            for way in &ways {
                // Both are sorted, so that the last one which is free in time is the best of those.
                let in_time = rounded.partition_point(|other| other.free <= way.free);
                prop_assert!(rounded[in_time - 1].right >= way.right);
            }
        }
    }
}
