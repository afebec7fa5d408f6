//! What becomes of a request.

use std::time::Duration;

/// A request, with times from the start on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// When it came.
    pub arrived: Duration,
    /// Time from arrival to answer, if it had a deadline of its own.
    pub deadline: Option<Duration>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Every request is either processed or dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Not processed, since the device was busy.
    Dropped,
    /// Processed.
    Processed(Processed),
}

/// How a request was processed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Processed {
    /// Number of the configuration; `None` if the client chose a mask that is none of them.
    pub configuration: Option<usize>,
    /// When the device began with it.
    pub began: Duration,
    /// When it was through.
    pub ended: Duration,
    /// Whether the answer was right, where that is known.
    pub correct: Option<bool>,
}

impl Processed {
    /// How long the device took for it.
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began)
    }
}

impl Request {
    /// How it was processed, if it was.
    pub fn processed(&self) -> Option<&Processed> {
        match &self.outcome {
            Outcome::Dropped => None,
            Outcome::Processed(processed) => Some(processed),
        }
    }

    /// From arrival to answer, if there was one.
    pub fn latency(&self) -> Option<Duration> {
        self.processed().map(|processed| processed.ended.saturating_sub(self.arrived))
    }

    /// Whether it was answered within its deadline, or within `limit` if it had none of its own.
    pub fn in_time(&self, limit: Duration) -> bool {
        self.latency().is_some_and(|latency| latency <= self.deadline.unwrap_or(limit))
    }
}
