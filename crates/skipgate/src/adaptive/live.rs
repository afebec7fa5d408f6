//! Requests in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use skipgate_http::Shared;
use skipgate_runtime::{Server, Submission, Ticket};
use skipgate_workload::{Arrival, Outcome, Processed, Request};

/// An image that is asked for, and its class.
pub(crate) type Image = (Arc<[f32]>, usize);

/// Longest time between two looks at whether to stop.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Sends a request at each of `arrivals`, with the images in turn, until `stop` is set, and waits for all answers. All
/// requests are added to `numbers`, and returned if `keep` is set: a long run that nobody draws takes no memory.
pub(crate) fn serve(
    server: &Server,
    arrivals: impl Iterator<Item = Arrival>,
    images: &[Image],
    numbers: &Shared,
    keep: bool,
    stop: &AtomicBool,
) -> Result<Vec<Request>> {
    let (sender, submitted) = mpsc::channel();
    let start = server.now();
    thread::scope(|scope| {
        let answers = scope.spawn(|| collect(submitted, start, numbers, keep));
        for (number, arrival) in arrivals.enumerate() {
            if !wait_until(server.started() + start + arrival.at, stop) {
                break;
            }
            let (image, label) = &images[number % images.len()];
            let now = server.now();
            let image = Arc::clone(image);
            let submission = match arrival.deadline {
                None => server.submit(image)?,
                Some(own) => server.submit_by(image, own)?,
            };
            if sender.send((Sent { at: now, deadline: arrival.deadline, label: *label }, submission)).is_err()
            {
                break;
            }
        }
        drop(sender);
        answers.join().expect("collecting returns errors")
    })
}

/// Whether that time came before `stop` was set.
fn wait_until(time: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = time.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// A request on its way.
struct Sent {
    at: Duration,
    deadline: Option<Duration>,
    label: usize,
}

/// Waits for the answers in the order of the requests.
fn collect(
    submitted: Receiver<(Sent, Submission)>,
    start: Duration,
    numbers: &Shared,
    keep: bool,
) -> Result<Vec<Request>> {
    let mut kept = Vec::new();
    for (sent, submission) in submitted {
        let since = |time: Duration| time.saturating_sub(start);
        let request = match submission {
            Submission::Dropped => {
                Request { arrived: since(sent.at), deadline: sent.deadline, outcome: Outcome::Dropped }
            }
            Submission::Accepted(ticket) => answered(ticket, &sent, since)?,
        };
        // The answer is known, so no accuracy stands in for it.
        numbers.with(|numbers| numbers.tally.add(&request, 0.0));
        if keep {
            kept.push(request);
        }
    }
    Ok(kept)
}

fn answered(ticket: Ticket, sent: &Sent, since: impl Fn(Duration) -> Duration) -> Result<Request> {
    let answer = ticket.wait()?;
    let correct = Some(class(&answer.logits) == sent.label);
    let (began, ended) = (since(answer.began), since(answer.ended));
    let processed = Processed { configuration: Some(answer.configuration), began, ended, correct };
    Ok(Request {
        arrived: since(answer.arrived),
        deadline: sent.deadline,
        outcome: Outcome::Processed(processed),
    })
}

/// The first of the largest logits, as in ONNX's `ArgMax`.
pub(super) fn class(logits: &[f32]) -> usize {
    let larger =
        |best: usize, (index, logit): (usize, &f32)| if *logit > logits[best] { index } else { best };
    logits.iter().enumerate().fold(0, larger)
}
