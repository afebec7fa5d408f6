//! Serves the requests of other threads.

mod handover;
#[cfg(all(test, shuttle))]
mod simulation;
mod sync;

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use handover::{Engine, Handover};
use rustix::thread::{CpuSet, sched_setaffinity};
use skipgate_controller::Controller;
use skipgate_core::{ElementType, SkipMask};
use sync::mpsc::Receiver;

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
    start: Instant,
    handover: Arc<Handover>,
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

/// A session and the masks of its configurations.
struct Masked {
    session: Session,
    masks: Vec<SkipMask>,
}

impl Engine for Masked {
    fn run(&mut self, image: &[f32], configuration: usize) -> Result<Vec<f32>, Error> {
        let missing = Error::Configuration { found: configuration, count: self.masks.len() };
        let mask = self.masks.get(configuration).ok_or(missing)?;
        self.session.run(image, mask).map(<[f32]>::to_vec)
    }
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
        let engine = Masked { session: Session::new(artifact, options.device)?, masks };
        let start = Instant::now();
        let handover = Arc::new(Handover::new(controller, Box::new(move || start.elapsed())));
        let (ready, pinned) = std::sync::mpsc::sync_channel(1);
        let worker = {
            let handover = Arc::clone(&handover);
            thread::Builder::new().name("skipgate-server".to_owned()).spawn(move || {
                let pinned = options.cpu.map_or(Ok(()), pin);
                let go_on = pinned.is_ok();
                if ready.send(pinned).is_ok() && go_on {
                    handover.answer_all(engine);
                }
            })?
        };
        let server = Self { start, handover, worker: Some(worker), artifact: artifact.clone() };
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
        self.handover.submit(image, deadline)
    }

    /// Time since the server started.
    pub fn now(&self) -> Duration {
        self.handover.now()
    }

    /// When the server started.
    pub fn started(&self) -> Instant {
        self.start
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handover.close();
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
