//! Latencies as a server has them: each request finds a device that has been idle for a while, with caches that have
//! turned cold and a thread that has to wake up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use skipgate_core::SkipMask;
use skipgate_runtime::controller::Controller;
use skipgate_runtime::{Artifact, Choice, Device, Request, Server, ServerOptions};

use super::measure::patterns;
use super::times::Times;
use crate::progress;

/// Times from arrival to answer with each of `masks`, in `rounds` of `calls` in a row. Between requests the device is idle
/// for as long as it takes for the first mask: a load that the slowest configuration can just take.
pub(crate) fn measure(
    artifact: &Artifact,
    masks: &[SkipMask],
    device: Device,
    rounds: usize,
    calls: usize,
) -> Result<Vec<Times>> {
    let inputs: Vec<_> = patterns(artifact.manifest()).into_iter().map(|(_, values)| values).collect();
    let chosen = Chosen::default();
    let options = ServerOptions { device, cpu: None };
    let server = Server::start(artifact, masks.to_vec(), Box::new(chosen.clone()), options)?;
    let request = |configuration: usize| -> Result<Duration> {
        chosen.0.store(configuration, Ordering::Relaxed);
        let request = Request { inputs: inputs.clone(), choice: Choice::Controller, deadline: None };
        let (sender, replies) = mpsc::sync_channel(1);
        if !server.request(request, move |reply| drop(sender.send(reply)))? {
            unreachable!("every request is admitted")
        }
        let Ok(answer) = replies.recv() else { bail!("the server's thread ended before it answered") };
        let answer = answer?;
        Ok(answer.ended.saturating_sub(answer.arrived))
    };
    request(0)?;
    let pause = request(0)?;
    let mut times: Vec<_> = masks.iter().map(|_| Times::default()).collect();
    let bar = progress::bar(rounds).with_message("measuring latencies");
    for _ in 0..rounds {
        for (configuration, times) in times.iter_mut().enumerate() {
            let paced = |_| {
                thread::sleep(pause);
                request(configuration)
            };
            // The first call finds what another configuration left behind.
            let round: Vec<_> = (0..=calls).map(paced).collect::<Result<_>>()?;
            times.push(round[1..].to_vec());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(times)
}

/// Always the configuration that was set last.
#[derive(Clone, Default)]
struct Chosen(Arc<AtomicUsize>);

impl Controller for Chosen {
    fn admit(&mut self, _now: Duration, _waiting: usize) -> bool {
        true
    }

    fn choose(&mut self, _now: Duration, _arrived: Duration, _waiting: usize) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn finished(&mut self, _configuration: usize, _took: Duration) {}
}
