//! Requests on their way from those who ask to the thread that answers.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use skipgate_controller::Controller;

use super::sync::{Condvar, Mutex, MutexGuard};
use crate::Error;

/// Does what was asked for.
pub(super) trait Engine {
    /// A request, and whoever waits for its answer, who is told when it is dropped.
    type Job;

    /// Runs a request.
    fn run(&mut self, job: Self::Job, turn: Turn) -> Done;
}

/// What is known of a request when its turn comes; times are since the server started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// The configuration that the controller chose.
    pub(super) configuration: usize,
    pub(super) arrived: Duration,
    pub(super) began: Duration,
}

/// What became of a request.
pub(super) struct Done {
    /// The configuration that ran, if it was one of the controller's: it learns how long that took.
    pub(super) ran: Option<usize>,
    /// Tells whoever waits, with the time when the engine was through.
    pub(super) tell: Box<dyn FnOnce(Duration)>,
}

/// The time since the server started, which never runs backwards.
pub(super) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What those who ask and the thread that answers share.
pub(super) struct Handover<J> {
    clock: Clock,
    state: Mutex<State<J>>,
    /// There is work, or there will be no more.
    changed: Condvar,
}

struct State<J> {
    controller: Box<dyn Controller + Send>,
    queue: VecDeque<Waiting<J>>,
    running: bool,
    closed: bool,
}

struct Waiting<J> {
    job: J,
    arrived: Duration,
}

impl<J> State<J> {
    /// Requests that are being processed or wait.
    fn waiting(&self) -> usize {
        self.queue.len() + usize::from(self.running)
    }
}

impl<J> Handover<J> {
    pub(super) fn new(controller: Box<dyn Controller + Send>, clock: Clock) -> Self {
        let state = State { controller, queue: VecDeque::new(), running: false, closed: false };
        Self { clock, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Hands over the request that `job` makes from the time of its arrival, if the controller keeps it; `deadline` is the time
    /// that it has of its own. Whether it was kept.
    pub(super) fn submit(
        &self,
        deadline: Option<Duration>,
        job: impl FnOnce(Duration) -> J,
    ) -> Result<bool, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::ServerStopped);
        }
        // Under the lock, so that requests arrive in the order of their times.
        let arrived = self.now();
        let waiting = state.waiting();
        let kept = match deadline {
            None => state.controller.admit(arrived, waiting),
            Some(own) => state.controller.admit_by(arrived, arrived.saturating_add(own), waiting),
        };
        if kept {
            state.queue.push_back(Waiting { job: job(arrived), arrived });
            drop(state);
            self.changed.notify_one();
        }
        Ok(kept)
    }

    /// Requests that are being processed or wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// Takes no more requests. Those that were accepted are still answered.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Answers requests until there are no more. However this ends, nobody is left waiting.
    pub(super) fn answer_all(&self, engine: impl Engine<Job = J>) {
        let worker = Worker(self);
        worker.0.work(engine);
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut engine: impl Engine<Job = J>) {
        while let Some((job, turn)) = self.next() {
            let Done { ran, tell } = engine.run(job, turn);
            let ended = self.now();
            let mut state = self.lock();
            state.running = false;
            if let Some(configuration) = ran {
                state.controller.finished(configuration, ended.saturating_sub(turn.began));
            }
            drop(state);
            tell(ended);
        }
    }

    /// Waits for the next request.
    fn next(&self) -> Option<(J, Turn)> {
        let idle = |state: &mut State<J>| state.queue.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let Waiting { job, arrived } = state.queue.pop_front()?;
        let (began, waiting) = (self.now(), state.queue.len());
        let configuration = state.controller.choose(began, arrived, waiting);
        state.running = true;
        Some((job, Turn { configuration, arrived, began }))
    }
}

/// The thread that answers. When it ends, by a panic or not, whoever waits is told.
struct Worker<'h, J>(&'h Handover<J>);

impl<J> Drop for Worker<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
    }
}
