//! Serves the requests of other threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use skipgate_controller::Controller;
use skipgate_core::{ElementType, SkipMask};

use crate::{Artifact, Device, Error, Session};

/// A session with a thread of its own, and a controller that says which requests it takes and how it runs them.
///
/// **Threads:** any thread may submit requests. One thread, pinned to a core if asked for, processes them in the order of
/// their arrival, one at a time. A device is busy while a request is being processed or waits. What becomes of requests
/// then is the controller's to say: in the multi-stream scenario of `MLPerf` Inference they are dropped; in its server
/// scenario, where requests come at random times, none is, and the 99th percentile of latency has a bound.
///
/// **Owns:** the thread and its session. Dropping the server answers every request that was accepted, then ends both.
pub struct Server {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
    artifact: Artifact,
}

/// How a server runs.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Threads that share the work of one inference.
    pub device: Device,
    /// Number of the core that the server's thread is pinned to, as the operating system counts them; `None` leaves that
    /// to the operating system.
    pub cpu: Option<usize>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Submission {
    /// It will be answered.
    Accepted(Ticket),
    /// The controller dropped it.
    Dropped,
}

/// A claim to an answer.
#[derive(Debug)]
pub struct Ticket(Receiver<Result<Answer, Error>>);

/// The result of a request, with times since the server started.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// As [`Session::run`] returns them.
    pub logits: Vec<f32>,
    /// Number of the configuration that ran.
    pub configuration: usize,
    /// When the request was submitted.
    pub arrived: Duration,
    /// When the server began with it.
    pub began: Duration,
    /// When it was through.
    pub ended: Duration,
}

struct Shared {
    start: Instant,
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

impl Server {
    /// Starts a server for `artifact`. Configuration `i` of the controller is `masks[i]`; a network without gates has one
    /// configuration, whose mask is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Mask`] when a mask does not fit, [`Error::NotOneF32`] for a network that [`Session::run`] does not run,
    /// those of [`Session::new`], and [`Error::Cpu`] when the thread cannot be
    /// pinned.
    pub fn start(
        artifact: &Artifact,
        masks: Vec<SkipMask>,
        controller: Box<dyn Controller + Send>,
        options: ServerOptions,
    ) -> Result<Self, Error> {
        masks.iter().try_for_each(|mask| mask.check_len(artifact.gates().len()))?;
        artifact.manifest().image()?;
        artifact.manifest().logits()?;
        let session = Session::new(artifact, options.device)?;
        let state = State { controller, queue: VecDeque::new(), running: false, closed: false };
        let (start, changed) = (Instant::now(), Condvar::new());
        let shared = Arc::new(Shared { start, state: Mutex::new(state), changed });
        let (ready, pinned) = mpsc::sync_channel(1);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("skipgate-server".to_owned()).spawn(move || {
                let pinned = options.cpu.map_or(Ok(()), pin);
                let go_on = pinned.is_ok();
                let worker = Worker(shared);
                if ready.send(pinned).is_ok() && go_on {
                    worker.0.work(session, &masks);
                }
            })?
        };
        let server = Self { shared, worker: Some(worker), artifact: artifact.clone() };
        pinned.recv().map_err(|_| Error::ServerStopped)??;
        Ok(server)
    }

    /// Asks for the logits of `image`, whose values are as in [`Session::run`]. Returns at once.
    ///
    /// # Errors
    ///
    /// [`Error::Input`], and [`Error::ServerStopped`] when the server's thread panicked.
    pub fn submit(&self, image: Arc<[f32]>) -> Result<Submission, Error> {
        self.request(image, None)
    }

    /// The same for a request that is to be answered within `deadline`, instead of what the controller was made for.
    ///
    /// # Errors
    ///
    /// As for [`Self::submit`].
    pub fn submit_by(&self, image: Arc<[f32]>, deadline: Duration) -> Result<Submission, Error> {
        self.request(image, Some(deadline))
    }

    fn request(&self, image: Arc<[f32]>, deadline: Option<Duration>) -> Result<Submission, Error> {
        let expected = self.artifact.manifest().image()?;
        if Some(image.len()) != expected.elements() {
            let (found, found_type) = (image.len(), ElementType::F32);
            return Err(Error::Input { expected: expected.clone(), found, found_type });
        }
        let mut state = self.shared.lock();
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
        self.shared.changed.notify_one();
        Ok(Submission::Accepted(Ticket(ticket)))
    }

    /// Time since the server started.
    pub fn now(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// When the server started.
    pub fn started(&self) -> Instant {
        self.shared.start
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(worker) = self.worker.take() {
            // A thread that panicked has said so; its callers get `ServerStopped`.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("artifact", &self.artifact).finish_non_exhaustive()
    }
}

impl Ticket {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// What [`Session::run`] returns, [`Error::Configuration`] when the controller chose a configuration that does not
    /// exist, and [`Error::ServerStopped`] when the server's thread panicked.
    pub fn wait(self) -> Result<Answer, Error> {
        self.0.recv().unwrap_or(Err(Error::ServerStopped))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Processes requests until the server is closed and none is left.
    fn work(&self, mut session: Session, masks: &[SkipMask]) {
        while let Some((job, configuration, began)) = self.next() {
            let run = |mask| session.run(&job.image, mask).map(<[f32]>::to_vec);
            let missing = Error::Configuration { found: configuration, count: masks.len() };
            let logits = masks.get(configuration).map_or(Err(missing), run);
            let ended = self.start.elapsed();
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
        let (began, waiting) = (self.start.elapsed(), state.queue.len());
        let configuration = state.controller.choose(began, job.arrived, waiting);
        state.running = true;
        Some((job, configuration, began))
    }
}

/// The server's thread. However it ends, nobody is left waiting.
struct Worker(Arc<Shared>);

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
    }
}

/// Binds this thread to a core.
fn pin(cpu: usize) -> Result<(), Error> {
    let refused = |source: std::io::Error| Error::Cpu { cpu, source };
    if cpu >= CpuSet::MAX_CPU {
        return Err(refused(std::io::ErrorKind::InvalidInput.into()));
    }
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).map_err(|error| refused(error.into()))
}
