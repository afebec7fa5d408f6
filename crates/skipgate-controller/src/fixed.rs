//! No choice at all.

use std::time::Duration;

use crate::Controller;

/// Always the same configuration, and requests that find the device busy are dropped: the original network, or one that
/// decides itself what to skip.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(
    /// Number of the configuration.
    pub usize,
);

impl Controller for Fixed {
    fn admit(&mut self, _now: Duration, waiting: usize) -> bool {
        waiting == 0
    }

    fn choose(&mut self, _now: Duration, _arrived: Duration, _waiting: usize) -> usize {
        self.0
    }

    fn finished(&mut self, _configuration: usize, _took: Duration) {}
}
