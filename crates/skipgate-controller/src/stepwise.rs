//! The paper's controller.

use std::time::Duration;

use crate::{Controller, Levels};

/// Algorithm 1 of the paper (section II-B), line by line: requests that find the device busy are dropped and each makes
/// the next ones one step faster; a request that comes more than `idle` after the last one that was processed makes it
/// and the next ones one step more accurate. Both stop at the end of the front.
///
/// The paper sets `idle` (its delta-req) to the latency without skipping, and the minimum accuracy of [`Levels`] to ten
/// percentage points less than the original network has.
#[derive(Debug, Clone)]
pub struct Stepwise {
    ladder: Ladder,
}

impl Stepwise {
    /// Starts without skipping, or with as little as `levels` allow.
    pub fn new(levels: Levels, idle: Duration) -> Self {
        Self { ladder: Ladder::new(levels, idle) }
    }
}

impl Controller for Stepwise {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        if waiting > 0 {
            self.ladder.faster();
            return false;
        }
        self.ladder.slower_after_pause(now);
        self.ladder.keep(now);
        true
    }

    fn choose(&mut self, _now: Duration, _arrived: Duration, _waiting: usize) -> usize {
        self.ladder.number()
    }

    fn finished(&mut self, _configuration: usize, _took: Duration) {}
}

/// A place among the levels that moves by one step at a time.
#[derive(Debug, Clone)]
pub(crate) struct Ladder {
    levels: Levels,
    position: usize,
    idle: Duration,
    last: Option<Duration>,
}

impl Ladder {
    pub(crate) fn new(levels: Levels, idle: Duration) -> Self {
        Self { levels, position: 0, idle, last: None }
    }

    /// One step towards more skipping.
    pub(crate) fn faster(&mut self) {
        self.position = self.levels.last().min(self.position + 1);
    }

    /// One step towards less skipping if the last request that was kept came long before `now`.
    pub(crate) fn slower_after_pause(&mut self, now: Duration) {
        if self.last.is_some_and(|last| now.saturating_sub(last) > self.idle) {
            self.position = self.position.saturating_sub(1);
        }
    }

    /// A request is kept at `now`.
    pub(crate) fn keep(&mut self, now: Duration) {
        self.last = Some(now);
    }

    /// The configuration at this place.
    pub(crate) fn number(&self) -> usize {
        self.levels.number(self.position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Level;

    pub(crate) fn levels(accuracies: &[f64], minimum: f64) -> Levels {
        let level = |&accuracy| Level::new(accuracy, Duration::from_millis(20), Duration::from_millis(25));
        Levels::new(accuracies.iter().map(level).collect(), minimum).unwrap()
    }

    /// Every branch of the algorithm and both ends, worked out by hand. Of the front's four levels, number 2 is not
    /// accurate enough; delta-req is 50 ms.
    #[test]
    fn algorithm_1_as_worked_out_by_hand() {
        let mut controller = Stepwise::new(levels(&[0.9, 0.85, 0.6, 0.82], 0.8), Duration::from_millis(50));
        // When, others waiting, and what becomes of it: `None` is dropped.
        let trace = [
            (0, 0, Some(0)),   // line 2: starts without skipping
            (50, 0, Some(0)),  // 50 is not more than delta-req, and there is nothing slower
            (70, 1, None),     // line 6, and line 7: to number 1
            (80, 0, Some(1)),  // 30 since the last one that was processed: stays
            (90, 1, None),     // to number 3, past the one that is filtered out
            (95, 1, None),     // line 7: stays at the last
            (131, 0, Some(1)), // 51 since 80: line 10, back over the gap
            (181, 0, Some(1)), // exactly delta-req: stays
            (300, 0, Some(0)),
            (400, 0, Some(0)), // line 10: stays at the first
        ];
        for (ms, waiting, expected) in trace {
            let now = Duration::from_millis(ms);
            let found = controller.admit(now, waiting).then(|| controller.choose(now, now, waiting));
            assert_eq!(found, expected, "at {ms} ms");
        }
    }

    proptest! {
        #[test]
        fn the_minimum_is_kept_and_steps_are_single(
            accuracies in prop::collection::vec(0.5f64..1.0, 1..12),
            requests in prop::collection::vec((0u64..200, 0usize..3), 1..200),
        ) {
            let minimum = 0.7;
            prop_assume!(accuracies.iter().any(|accuracy| *accuracy > minimum));
            let allowed = levels(&accuracies, minimum);
            let positions: Vec<_> = allowed.iter().map(|(number, _)| number).collect();
            let mut controller = Stepwise::new(allowed, Duration::from_millis(50));
            let (mut now, mut before) = (Duration::ZERO, 0);
            for (gap, waiting) in requests {
                now += Duration::from_millis(gap);
                let kept = controller.admit(now, waiting);
                prop_assert_eq!(kept, waiting == 0);
                let number = controller.choose(now, now, waiting);
                prop_assert!(accuracies[number] > minimum);
                let position = positions.iter().position(|other| *other == number).unwrap();
                prop_assert!(position.abs_diff(before) <= 1);
                before = position;
            }
        }
    }
}
