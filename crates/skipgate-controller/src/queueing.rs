//! Serves a short backlog.

use std::time::Duration;

use crate::stepwise::Ladder;
use crate::{Controller, Levels};

/// Like [`Stepwise`](crate::Stepwise), but requests that find the device busy wait, as long as there is room: what makes
/// the next ones faster is then a request that had to wait, or one that found no room and was dropped.
#[derive(Debug, Clone)]
pub struct Queueing {
    ladder: Ladder,
    room: usize,
}

impl Queueing {
    /// Keeps up to `room` requests behind the one that is being processed.
    pub fn new(levels: Levels, idle: Duration, room: usize) -> Self {
        Self { ladder: Ladder::new(levels, idle), room }
    }
}

impl Controller for Queueing {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        if waiting > 0 {
            self.ladder.faster();
        } else {
            self.ladder.slower_after_pause(now);
        }
        let kept = waiting <= self.room;
        if kept {
            self.ladder.keep(now);
        }
        kept
    }

    fn choose(&mut self, _now: Duration, _arrived: Duration, _waiting: usize) -> usize {
        self.ladder.number()
    }

    fn finished(&mut self, _configuration: usize, _took: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn requests_wait_while_there_is_room() {
        let level = Level::new(0.9, Duration::from_millis(20), Duration::from_millis(25));
        let levels = Levels::new(vec![level; 3], 0.8).unwrap();
        let mut controller = Queueing::new(levels, Duration::from_millis(50), 2);
        let at = Duration::from_millis;
        let admitted: Vec<_> = (0..4).map(|waiting| controller.admit(at(0), waiting)).collect();
        assert_eq!(admitted, [true, true, true, false]);
        assert_eq!(
            controller.choose(at(20), at(1), 1),
            2,
            "each that waited, and the one dropped, made it faster"
        );
        assert!(controller.admit(at(90), 0));
        assert_eq!(controller.choose(at(90), at(90), 0), 1);
    }
}
