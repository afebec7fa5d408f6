//! Requests on their way from those who ask to the thread that answers.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skipgate_controller::Controller;

use super::sync::mpsc::{self, SyncSender};
use super::sync::{Condvar, Mutex, MutexGuard};
use super::{Answer, Submission, Ticket};
use crate::Error;

/// Computes the logits of images.
pub(super) trait Engine {
    /// The logits of `image` in the configuration of that number.
    fn run(&mut self, image: &[f32], configuration: usize) -> Result<Vec<f32>, Error>;
}

/// The time since the server started, which never runs backwards.
pub(super) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What those who ask and the thread that answers share.
pub(super) struct Handover {
    clock: Clock,
    state: Mutex<State>,
    /// There is work, or there will be no more.
    changed: Condvar,
}

struct State {
    controller: Box<dyn Controller + Send>,
    queue: VecDeque<Job>,
    running: bool,
    closed: bool,
}

struct Job {
    image: Arc<[f32]>,
    arrived: Duration,
    answer: SyncSender<Result<Answer, Error>>,
}

impl Handover {
    pub(super) fn new(controller: Box<dyn Controller + Send>, clock: Clock) -> Self {
        let state = State { controller, queue: VecDeque::new(), running: false, closed: false };
        Self { clock, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Hands over a request, which may have a time of its own until it is to be answered.
    pub(super) fn submit(&self, image: Arc<[f32]>, deadline: Option<Duration>) -> Result<Submission, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::ServerStopped);
        }
        // Under the lock, so that requests arrive in the order of their times.
        let arrived = self.now();
        let waiting = state.queue.len() + usize::from(state.running);
        let kept = match deadline {
            None => state.controller.admit(arrived, waiting),
            Some(own) => state.controller.admit_by(arrived, arrived.saturating_add(own), waiting),
        };
        if !kept {
            return Ok(Submission::Dropped);
        }
        let (answer, ticket) = mpsc::sync_channel(1);
        state.queue.push_back(Job { image, arrived, answer });
        drop(state);
        self.changed.notify_one();
        Ok(Submission::Accepted(Ticket(ticket)))
    }

    /// Takes no more requests. Those that were accepted are still answered.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Answers requests until there are no more. However this ends, nobody is left waiting.
    pub(super) fn answer_all(&self, engine: impl Engine) {
        let worker = Worker(self);
        worker.0.work(engine);
    }

    /// Requests that nobody began with.
    #[cfg(all(test, shuttle))]
    pub(super) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut engine: impl Engine) {
        while let Some((job, configuration, began)) = self.next() {
            let logits = engine.run(&job.image, configuration);
            let ended = self.now();
            let mut state = self.lock();
            state.running = false;
            state.controller.finished(configuration, ended.saturating_sub(began));
            drop(state);
            let answer =
                logits.map(|logits| Answer { logits, configuration, arrived: job.arrived, began, ended });
            // Whoever asked may not want to know any more.
            let _ = job.answer.send(answer);
        }
    }

    /// Waits for the next request: what to do, in which configuration, and the time.
    fn next(&self) -> Option<(Job, usize, Duration)> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let job = state.queue.pop_front()?;
        let (began, waiting) = (self.now(), state.queue.len());
        let configuration = state.controller.choose(began, job.arrived, waiting);
        state.running = true;
        Some((job, configuration, began))
    }
}

/// The thread that answers. When it ends, by a panic or not, whoever waits is told.
struct Worker<'h>(&'h Handover);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
    }
}
