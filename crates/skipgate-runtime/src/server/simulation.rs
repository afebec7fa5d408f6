//! The hand-over under whatever order threads may come in: callers that burst, wait, give up and panic, an engine that takes
//! any time, fails and panics, a clock that stands still and jumps ahead, and a shutdown at any moment.
//!
//! shuttle chooses the order, and everything random follows from its seed. A run that fails prints its schedule, which
//! `shuttle::replay` repeats. `cargo xtask sanitize handover` starts it; `SKIPGATE_SIMULATIONS` says how many runs.

use std::collections::BTreeSet;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use shuttle::rand::RngCore as _;
use shuttle::sync::mpsc::{self, Receiver, SyncSender};
use shuttle::thread;
use skipgate_controller::{
    Controller, Deadline, EnergyBudget, Fixed, KeepUp, Level, Levels, Percentile, Queueing, Stepwise,
};

use super::handover::{Done, Engine, Handover, Turn};
use crate::Error;

/// Runs, where nobody asks for another number.
const RUNS: usize = 20_000;
const SEED: u64 = 1;
/// What panics on purpose says, so that it need not be shown.
const ON_PURPOSE: &str = "on purpose";

/// What a request came to, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Dropped,
    /// The server took no more.
    Refused,
    /// Accepted, and nobody waited for the answer.
    GivenUp,
    Answered {
        configuration: usize,
        arrived: Duration,
        began: Duration,
    },
    /// Its run failed.
    Failed,
    /// The server ended before it was answered.
    Lost,
}

/// What is known of a run from outside.
struct Ledger {
    /// How often each request was run.
    ran: Vec<AtomicUsize>,
    fates: Mutex<Vec<(usize, Fate)>>,
    /// The engine panicked.
    panicked: AtomicBool,
    closed: AtomicBool,
}

/// A request, and the caller's end of it.
struct Job {
    request: usize,
    answer: SyncSender<Answer>,
}

/// What a caller is told, and what it waits for.
struct Answer {
    request: usize,
    turn: Turn,
    ended: Duration,
    failed: bool,
}

type Ticket = Receiver<Answer>;

/// An engine that answers with what it was given.
struct Echo {
    ledger: Arc<Ledger>,
    random: Rng,
    /// One of so many runs panics, and one fails.
    trouble: Option<usize>,
    /// Whether the controller is told of every request.
    is_told: bool,
}

impl Engine for Echo {
    type Job = Job;

    fn run(&mut self, Job { request, answer }: Job, turn: Turn) -> Done {
        self.ledger.ran[request].fetch_add(1, Ordering::SeqCst);
        for _ in 0..self.random.usize(..3) {
            thread::yield_now();
        }
        let one_in =
            |random: &mut Rng, count: Option<usize>| count.is_some_and(|count| random.usize(..count) == 0);
        if one_in(&mut self.random, self.trouble) {
            self.ledger.panicked.store(true, Ordering::SeqCst);
            panic!("{ON_PURPOSE}");
        }
        let failed = one_in(&mut self.random, self.trouble);
        let tell = move |ended| drop(answer.send(Answer { request, turn, ended, failed }));
        // What ran may have been the caller's choice, which tells the controller nothing.
        let ran = (self.is_told || self.random.bool()).then_some(turn.configuration);
        Done { ran, tell: Box::new(tell) }
    }
}

/// A clock that stands still at times, and jumps by an hour at others, as one does when a machine was asleep.
fn clock(seed: u64) -> super::handover::Clock {
    let state = Mutex::new((Rng::with_seed(seed), Duration::ZERO));
    Box::new(move || {
        let mut state = state.lock().unwrap();
        let step = match state.0.u8(..16) {
            0..6 => Duration::ZERO,
            15 => Duration::from_secs(3600),
            _ => Duration::from_micros(state.0.u64(..2000)),
        };
        state.1 += step;
        state.1
    })
}

/// A front of up to five levels, of which some are accurate enough.
fn levels(random: &mut Rng) -> Levels {
    let mut median = Duration::from_micros(random.u64(100..4000));
    let mut accuracy = 0.95;
    let front = (0..random.usize(1..=5)).map(|_| {
        let level = Level::new(accuracy, median, median * 2);
        median = median.mul_f64(0.3 + 0.6 * random.f64());
        accuracy -= 0.1 * random.f64();
        level
    });
    let front: Vec<_> = front.collect();
    let minimum = front.last().map_or(0.0, |last| last.accuracy - 0.05 + 0.3 * random.f64());
    Levels::new(front, minimum.min(0.94)).unwrap()
}

/// Any controller, and how many requests it lets wait.
fn controller(random: &mut Rng, levels: &Levels) -> (Box<dyn Controller + Send>, usize) {
    let limit = Duration::from_micros(random.u64(200..9000));
    let fastest = levels.iter().map(|(_, level)| level.median).min().unwrap();
    let in_time = (limit.as_nanos() / fastest.as_nanos()) as usize + 1;
    let room = random.usize(..4);
    match random.u8(..7) {
        0 => (Box::new(KeepUp::new(levels, limit)), in_time),
        1 => (Box::new(Percentile::new(levels, limit)), 1024),
        2 => (Box::new(Stepwise::new(levels.clone(), limit)), 1),
        3 => (Box::new(Queueing::new(levels.clone(), limit, room)), room + 1),
        4 => (Box::new(Deadline::new(levels.clone(), limit)), 1),
        5 => (Box::new(EnergyBudget::new(levels, limit, random.f64())), in_time),
        _ => (Box::new(Fixed(levels.iter().next().unwrap().0)), 1),
    }
}

/// A controller that checks what it is told: times that never run backwards, and how many requests wait.
struct Audited {
    inner: Box<dyn Controller + Send>,
    last: Duration,
    waiting: usize,
    running: bool,
    /// Whether the engine tells it of every request.
    is_told: bool,
}

impl Audited {
    fn at(&mut self, now: Duration) {
        assert!(now >= self.last, "{now:?} comes after {:?}", self.last);
        self.last = now;
    }

    /// Where it is not told when requests are through, one more may be running or not.
    fn check(&self, waiting: usize) {
        let running = waiting.wrapping_sub(self.waiting);
        let possible = if self.is_told { running == usize::from(self.running) } else { running <= 1 };
        assert!(possible, "{waiting} are said to wait; {} do, and one runs: {}", self.waiting, self.running);
    }

    fn kept(&mut self, kept: bool) -> bool {
        self.waiting += usize::from(kept);
        kept
    }
}

impl Controller for Audited {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        self.at(now);
        self.check(waiting);
        let kept = self.inner.admit(now, waiting);
        self.kept(kept)
    }

    fn admit_by(&mut self, now: Duration, deadline: Duration, waiting: usize) -> bool {
        self.at(now);
        self.check(waiting);
        let kept = self.inner.admit_by(now, deadline, waiting);
        self.kept(kept)
    }

    fn choose(&mut self, now: Duration, arrived: Duration, waiting: usize) -> usize {
        self.at(now);
        assert!(
            arrived <= now && !(self.is_told && self.running),
            "it begins with one request after the other"
        );
        (self.waiting, self.running) = (self.waiting - 1, true);
        assert_eq!(waiting, self.waiting);
        self.inner.choose(now, arrived, waiting)
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        assert!(self.running);
        self.running = false;
        self.inner.finished(configuration, took);
    }
}

/// Who asks.
struct Caller {
    handover: Arc<Handover<Job>>,
    ledger: Arc<Ledger>,
    random: Rng,
    /// Numbers of its requests.
    requests: std::ops::Range<usize>,
    /// How many requests may wait.
    room: usize,
}

impl Caller {
    /// Asks for everything at once or one after the other, and may panic in between, with tickets in its hands.
    fn ask(mut self) {
        let mut tickets = Vec::new();
        for request in self.requests.clone() {
            let (answer, ticket) = mpsc::sync_channel(1);
            let deadline = self.random.bool().then(|| Duration::from_micros(self.random.u64(..9000)));
            let submitted = self.handover.submit(deadline, |_| Job { request, answer });
            assert!(self.handover.waiting() <= self.room + 1, "{} wait", self.handover.waiting());
            match submitted {
                Ok(true) => tickets.push((request, ticket)),
                Ok(false) => self.note(request, Fate::Dropped),
                Err(Error::ServerStopped) => {
                    let ledger = &self.ledger;
                    let ended =
                        ledger.closed.load(Ordering::SeqCst) || ledger.panicked.load(Ordering::SeqCst);
                    assert!(ended, "request {request} was refused by a server that runs");
                    self.note(request, Fate::Refused);
                }
                Err(error) => panic!("request {request}: {error}"),
            }
            if self.random.u8(..4) == 0 {
                self.settle(&mut tickets);
            }
            if self.random.u8(..24) == 0 {
                tickets.iter().for_each(|(request, _)| self.note(*request, Fate::GivenUp));
                let rest = request + 1..self.requests.end;
                rest.for_each(|request| self.note(request, Fate::Refused));
                panic!("{ON_PURPOSE}");
            }
        }
        self.settle(&mut tickets);
    }

    /// Waits for the answers, after a while, or throws tickets away.
    fn settle(&mut self, tickets: &mut Vec<(usize, Ticket)>) {
        for (request, ticket) in tickets.drain(..) {
            for _ in 0..self.random.usize(..3) {
                thread::yield_now();
            }
            if self.random.u8(..6) == 0 {
                self.note(request, Fate::GivenUp);
                continue;
            }
            let fate = match ticket.recv() {
                Ok(Answer {
                    request: found,
                    turn: Turn { configuration, arrived, began },
                    ended,
                    failed,
                }) => {
                    assert_eq!(found, request, "another one's answer");
                    assert!(arrived <= began && began <= ended);
                    if failed { Fate::Failed } else { Fate::Answered { configuration, arrived, began } }
                }
                Err(_) => Fate::Lost,
            };
            self.note(request, fate);
        }
    }

    fn note(&self, request: usize, fate: Fate) {
        self.ledger.fates.lock().unwrap().push((request, fate));
    }
}

/// Runs `work` as a thread whose panic on purpose is no failure.
fn spawn(work: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(work))
            && panic.downcast_ref::<String>().is_none_or(|text| text != ON_PURPOSE)
        {
            panic::resume_unwind(panic);
        }
    })
}

/// One run.
fn serve_and_shut_down() {
    let mut random = Rng::with_seed(shuttle::rand::thread_rng().next_u64());
    let levels = levels(&mut random);
    let allowed: BTreeSet<_> = levels.iter().map(|(number, _)| number).collect();
    let is_told = random.bool();
    let (inner, room) = controller(&mut random, &levels);
    let controller = Box::new(Audited { inner, last: Duration::ZERO, waiting: 0, running: false, is_told });
    let handover = Arc::new(Handover::new(controller, clock(random.u64(..))));
    let (callers, each) = (random.usize(1..=3), random.usize(1..=4));
    let ledger = Arc::new(Ledger {
        ran: (0..callers * each).map(|_| AtomicUsize::new(0)).collect(),
        fates: Mutex::default(),
        panicked: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    });
    let trouble = (random.u8(..3) == 0).then(|| random.usize(2..8));
    let engine = Echo { ledger: Arc::clone(&ledger), random: random.fork(), trouble, is_told };
    let worker = {
        let handover = Arc::clone(&handover);
        spawn(move || handover.answer_all(engine))
    };
    let asking: Vec<_> = (0..callers)
        .map(|caller| {
            let (handover, ledger) = (Arc::clone(&handover), Arc::clone(&ledger));
            let requests = caller * each..(caller + 1) * each;
            let caller = Caller { handover, ledger, random: random.fork(), requests, room };
            spawn(move || caller.ask())
        })
        .collect();
    if random.bool() {
        // In the middle of it.
        for _ in 0..random.usize(..12) {
            thread::yield_now();
        }
    } else {
        asking.into_iter().for_each(|caller| caller.join().unwrap());
        return end(&handover, worker, Vec::new(), &ledger, &allowed);
    }
    end(&handover, worker, asking, &ledger, &allowed);
}

fn end(
    handover: &Handover<Job>,
    worker: thread::JoinHandle<()>,
    asking: Vec<thread::JoinHandle<()>>,
    ledger: &Ledger,
    allowed: &BTreeSet<usize>,
) {
    ledger.closed.store(true, Ordering::SeqCst);
    handover.close();
    worker.join().unwrap();
    asking.into_iter().for_each(|caller| caller.join().unwrap());
    check(ledger, allowed);
}

/// Every request has one fate, which is what happened to it.
fn check(ledger: &Ledger, allowed: &BTreeSet<usize>) {
    let fates = ledger.fates.lock().unwrap();
    let told: BTreeSet<_> = fates.iter().map(|(request, _)| *request).collect();
    assert_eq!((fates.len(), told.len()), (ledger.ran.len(), ledger.ran.len()), "told once each: {fates:?}");
    let panicked = ledger.panicked.load(Ordering::SeqCst);
    for (request, fate) in fates.iter() {
        let ran = ledger.ran[*request].load(Ordering::SeqCst);
        let fits = match fate {
            Fate::Dropped | Fate::Refused => ran == 0,
            Fate::Answered { configuration, .. } => ran == 1 && allowed.contains(configuration),
            Fate::Failed => ran == 1,
            Fate::GivenUp => ran == 1 || (ran == 0 && panicked),
            Fate::Lost => ran <= 1 && panicked,
        };
        assert!(fits, "request {request} ran {ran} times: {fate:?}");
    }
    let mut answered: Vec<_> = fates
        .iter()
        .filter_map(|(_, fate)| match fate {
            Fate::Answered { arrived, began, .. } => Some((*began, *arrived)),
            _ => None,
        })
        .collect();
    answered.sort();
    assert!(answered.windows(2).all(|pair| pair[0].1 <= pair[1].1), "out of order: {answered:?}");
}

/// Keeps panics on purpose from being printed.
fn hide_panics_on_purpose() {
    let shown = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<String>().is_none_or(|text| text != ON_PURPOSE) {
            shown(info);
        }
    }));
}

#[test]
fn every_request_is_answered_or_reported_once_whatever_happens() {
    hide_panics_on_purpose();
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("it is a number"));
    let runs = number("SKIPGATE_SIMULATIONS").map_or(RUNS, |runs| runs as usize);
    shuttle::check_random_with_seed(serve_and_shut_down, number("SKIPGATE_SEED").unwrap_or(SEED), runs);
}
