//! Reads a meter again and again.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Error, Meter, PowerTrace};

/// Twenty samples a second.
const PERIOD: Duration = Duration::from_millis(50);

/// A thread that reads a meter until it is stopped.
#[derive(Debug)]
pub struct Recorder {
    stop: Sender<()>,
    thread: JoinHandle<Result<PowerTrace, Error>>,
}

impl Recorder {
    /// Starts to read `meter`; times count from `start`.
    pub fn start(mut meter: Box<dyn Meter>, start: Instant) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut trace = PowerTrace::default();
            loop {
                let now = start.elapsed();
                trace.push(now, meter.watts(now)?);
                if !matches!(stopped.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout)) {
                    let now = start.elapsed();
                    trace.push(now, meter.watts(now)?);
                    return Ok(trace);
                }
            }
        });
        Self { stop, thread }
    }

    /// Stops, and returns what was read.
    ///
    /// # Errors
    ///
    /// When the meter could not be read.
    ///
    /// # Panics
    ///
    /// When the meter did.
    pub fn stop(self) -> Result<PowerTrace, Error> {
        // It may have stopped by itself, with an error.
        let _ = self.stop.send(());
        self.thread.join().expect("meters return errors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(f64);

    impl Meter for Constant {
        fn watts(&mut self, _now: Duration) -> Result<f64, Error> {
            Ok(self.0)
        }
    }

    #[test]
    fn what_is_read_reaches_from_start_to_stop() {
        let start = Instant::now();
        let recorder = Recorder::start(Box::new(Constant(3.0)), start);
        let from = start.elapsed() + PERIOD;
        thread::sleep(4 * PERIOD);
        let to = start.elapsed();
        let joules = recorder.stop().unwrap().joules(from, to).unwrap();
        assert!((joules - 3.0 * (to.saturating_sub(from)).as_secs_f64()).abs() < 1e-9);
    }
}
