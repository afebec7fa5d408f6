//! What is known of the requests so far.

use std::sync::{Arc, Mutex, PoisonError};

use skipgate_workload::Tally;

/// What is told of requests.
#[derive(Debug)]
pub struct Numbers {
    /// Those that were processed or dropped.
    pub tally: Tally,
    /// Requests without an answer, which the tally does not have.
    pub failed: usize,
    /// Requests that no network could answer, which the tally does not have either.
    pub refused: usize,
    /// Whether the right answers are known.
    pub labelled: bool,
}

/// Numbers that several threads add to.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Numbers>>);

impl Shared {
    /// Nothing yet, of requests whose right answers are known or not.
    pub fn new(tally: Tally, labelled: bool) -> Self {
        Self(Arc::new(Mutex::new(Numbers { tally, failed: 0, refused: 0, labelled })))
    }

    /// Reads or changes them, while nobody else does.
    pub fn with<T>(&self, act: impl FnOnce(&mut Numbers) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
