//! Serves the requests of other threads.

mod handover;
#[cfg(all(test, shuttle))]
mod simulation;
mod sync;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use handover::{Done, Engine, Handover, Turn};
use rustix::thread::{CpuSet, sched_setaffinity};
use skipgate_controller::Controller;
use skipgate_core::{ElementType, Elements, SkipMask, TensorSpec, Values};

use crate::session::listed;
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
    handover: Arc<Handover<Job>>,
    worker: Option<JoinHandle<()>>,
    artifact: Artifact,
    /// How many masks the controller chooses from.
    configurations: usize,
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

/// A request for any network, with what its caller wants of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The inputs in the order of [`Manifest::inputs`](skipgate_core::Manifest::inputs), elements in row-major order.
    pub inputs: Vec<Values>,
    /// What chooses the blocks that run.
    pub choice: Choice,
    /// Time from now to the answer that is allowed. A request that has not begun by then is not run.
    pub deadline: Option<Duration>,
}

/// What chooses the blocks that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The server's controller.
    Controller,
    /// The caller: the mask of this number among those of the server.
    Configuration(usize),
    /// The caller: any mask.
    Mask(SkipMask),
}

/// The result of a [`Request`], with times since the server started.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The outputs in the order of [`Manifest::outputs`](skipgate_core::Manifest::outputs).
    pub outputs: Vec<Values>,
    /// The mask that ran.
    pub mask: SkipMask,
    /// Its number among those of the server, if it is one of them.
    pub configuration: Option<usize>,
    /// When the request was submitted.
    pub arrived: Duration,
    /// When the server began with it.
    pub began: Duration,
    /// When it was through.
    pub ended: Duration,
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

/// A request on its way.
struct Job {
    inputs: Inputs,
    choice: Choice,
    /// When it is too late to begin.
    latest: Option<Duration>,
    reply: Box<dyn FnOnce(Result<Reply, Error>) + Send>,
}

/// The elements of all inputs.
enum Inputs {
    /// Of a network with one.
    Image(Arc<[f32]>),
    /// In the order of the manifest.
    Tensors(Vec<Values>),
}

/// A session and the masks of its configurations.
struct Masked {
    session: Session,
    masks: Vec<SkipMask>,
}

impl Server {
    /// Starts a server for `artifact`. Configuration `i` of the controller is `masks[i]`; a network without gates has one
    /// configuration, whose mask is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Mask`] when a mask does not fit, those of [`Session::new`], and [`Error::Cpu`] when the thread cannot be
    /// pinned.
    pub fn start(
        artifact: &Artifact,
        masks: Vec<SkipMask>,
        controller: Box<dyn Controller + Send>,
        options: ServerOptions,
    ) -> Result<Self, Error> {
        masks.iter().try_for_each(|mask| mask.check_len(artifact.gates().len()))?;
        let configurations = masks.len();
        let engine = Masked { session: Session::new(artifact, options.device)?, masks };
        let start = Instant::now();
        let handover = Arc::new(Handover::new(controller, Box::new(move || start.elapsed())));
        let (ready, pinned) = mpsc::sync_channel(1);
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
        let server =
            Self { start, handover, worker: Some(worker), artifact: artifact.clone(), configurations };
        pinned.recv().map_err(|_| Error::ServerStopped)??;
        Ok(server)
    }

    /// Asks for the logits of `image`, whose values are as in [`Session::run`]. Returns at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotOneF32`] for a network that [`Session::run`] does not run, [`Error::Input`], and
    /// [`Error::ServerStopped`] when the server's thread panicked.
    pub fn submit(&self, image: Arc<[f32]>) -> Result<Submission, Error> {
        self.submit_image(image, None)
    }

    /// The same for a request that is to be answered within `deadline`, instead of what the controller was made for.
    ///
    /// # Errors
    ///
    /// As for [`Self::submit`].
    pub fn submit_by(&self, image: Arc<[f32]>, deadline: Duration) -> Result<Submission, Error> {
        self.submit_image(image, Some(deadline))
    }

    fn submit_image(&self, image: Arc<[f32]>, deadline: Option<Duration>) -> Result<Submission, Error> {
        let expected = self.artifact.manifest().image()?;
        self.artifact.manifest().logits()?;
        if Some(image.len()) != expected.elements() {
            let (found, found_type) = (image.len(), ElementType::F32);
            return Err(Error::Input { expected: expected.clone(), found, found_type });
        }
        let (answer, ticket) = mpsc::sync_channel(1);
        // Whoever asked may not want to know any more.
        let reply = Box::new(move |reply: Result<Reply, Error>| drop(answer.send(reply.map(Answer::from))));
        let (inputs, choice) = (Inputs::Image(image), Choice::Controller);
        let kept = self.handover.submit(deadline, |_| Job { inputs, choice, latest: None, reply })?;
        Ok(if kept { Submission::Accepted(Ticket(ticket)) } else { Submission::Dropped })
    }

    /// Asks for the outputs of any network. Returns at once whether the controller keeps the request; if so, `reply` is
    /// called with what becomes of it, by the server's thread, which does nothing else meanwhile. It is dropped uncalled
    /// if that thread panics.
    ///
    /// Inputs are checked as in [`Session::run_with`], when the request is begun with. The reply is
    /// [`Error::TooLate`] if its deadline passed before.
    ///
    /// # Errors
    ///
    /// [`Error::Inputs`] unless there is one of each, [`Error::Mask`] and [`Error::NoConfiguration`] for a choice that is
    /// not possible, and [`Error::ServerStopped`] when the server's thread panicked.
    pub fn request(
        &self,
        request: Request,
        reply: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> Result<bool, Error> {
        let Request { inputs, choice, deadline } = request;
        self.check(&inputs, &choice)?;
        let (inputs, reply) = (Inputs::Tensors(inputs), Box::new(reply));
        self.handover.submit(deadline, |arrived| {
            let latest = deadline.map(|deadline| arrived.saturating_add(deadline));
            Job { inputs, choice, latest, reply }
        })
    }

    fn check(&self, inputs: &[Values], choice: &Choice) -> Result<(), Error> {
        let specs = self.artifact.manifest().inputs();
        if inputs.len() != specs.len() {
            let expected = listed(specs.iter().map(|spec| spec.name.as_str()));
            return Err(Error::Inputs { expected, found: format!("{} of them", inputs.len()) });
        }
        match choice {
            Choice::Configuration(found) if *found >= self.configurations => {
                Err(Error::NoConfiguration { found: *found, count: self.configurations })
            }
            Choice::Mask(mask) => Ok(mask.check_len(self.artifact.gates().len())?),
            Choice::Controller | Choice::Configuration(_) => Ok(()),
        }
    }

    /// Requests that are being processed or wait.
    pub fn waiting(&self) -> usize {
        self.handover.waiting()
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

impl Engine for Masked {
    type Job = Job;

    fn run(&mut self, job: Job, turn: Turn) -> Done {
        let result = self.outputs(&job, turn);
        // Of a mask that is none of its configurations, the controller could learn nothing.
        let ran = result.as_ref().ok().and_then(|ran| ran.configuration);
        Done { ran, tell: Box::new(move |ended| (job.reply)(result.map(|ran| ran.reply(turn, ended)))) }
    }
}

/// What came of a job.
struct Ran {
    outputs: Vec<Values>,
    mask: SkipMask,
    /// The number of the mask, if it has one.
    configuration: Option<usize>,
}

impl Ran {
    fn reply(self, turn: Turn, ended: Duration) -> Reply {
        let Self { outputs, mask, configuration } = self;
        Reply { outputs, mask, configuration, arrived: turn.arrived, began: turn.began, ended }
    }
}

impl Masked {
    fn outputs(&mut self, job: &Job, turn: Turn) -> Result<Ran, Error> {
        if let Some(late) = job.latest.and_then(|latest| turn.began.checked_sub(latest)) {
            return Err(Error::TooLate { late });
        }
        let masks = &self.masks;
        let (mask, configuration) = match &job.choice {
            Choice::Mask(mask) => (mask, masks.iter().position(|other| other == mask)),
            Choice::Configuration(number) => (&masks[*number], Some(*number)),
            Choice::Controller => {
                let found = turn.configuration;
                let mask = masks.get(found);
                (mask.ok_or(Error::Configuration { found, count: masks.len() })?, Some(found))
            }
        };
        let specs = self.session.artifact().clone();
        let given = |spec: &TensorSpec| job.inputs.of(specs.manifest().inputs(), spec);
        let outputs = self.session.run_with(given, mask)?;
        let outputs = outputs.iter().map(|(_, elements)| elements.to_values()).collect();
        Ok(Ran { outputs, mask: mask.clone(), configuration })
    }
}

impl Inputs {
    /// What is given for the input `spec`, one of `specs`.
    fn of(&self, specs: &[TensorSpec], spec: &TensorSpec) -> Option<Elements<'_>> {
        match self {
            Self::Image(image) => Some(Elements::F32(image)),
            Self::Tensors(tensors) => {
                let place = specs.iter().position(|other| other.name == spec.name)?;
                tensors.get(place).map(Values::elements)
            }
        }
    }
}

impl From<Reply> for Answer {
    /// Of a request that the controller chose the configuration of, to a network with one f32 output.
    fn from(reply: Reply) -> Self {
        let Reply { outputs, configuration, arrived, began, ended, .. } = reply;
        let Some(Values::F32(logits)) = outputs.into_iter().next() else {
            unreachable!("the network has one f32 output")
        };
        Self { logits, configuration: configuration.unwrap_or_default(), arrived, began, ended }
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
