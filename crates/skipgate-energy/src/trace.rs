//! Power over time.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use skipgate_core::file;

use crate::Error;

/// Samples of power, in the order of time. Each holds from the sample before it on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PowerTrace(Vec<(Duration, f64)>);

impl PowerTrace {
    /// Adds a sample: the power in watts up to `time`.
    pub fn push(&mut self, time: Duration, watts: f64) {
        self.0.push((time, watts));
    }

    /// Time of the first sample.
    pub fn start(&self) -> Option<Duration> {
        self.0.first().map(|(time, _)| *time)
    }

    /// Energy in joules from `from` to `to`; `None` unless samples reach over all of it.
    pub fn joules(&self, from: Duration, to: Duration) -> Option<f64> {
        let (first, last) = (self.0.first()?.0, self.0.last()?.0);
        if first > from || last < to {
            return None;
        }
        let part = |pair: &[(Duration, f64)]| {
            let (start, (end, watts)) = (pair[0].0.max(from), pair[1]);
            watts * end.min(to).saturating_sub(start).as_secs_f64()
        };
        Some(self.0.windows(2).map(part).sum())
    }

    /// What an external analyser recorded, counted from `start`: lines of two numbers, seconds since 1970 and watts, apart
    /// by a comma, a semicolon or a tab. Lines in front of the first number are a header. The clocks of both machines
    /// must agree.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds something else, or does not reach from `start` to `end`.
    pub fn read(path: &Path, start: SystemTime, end: SystemTime) -> Result<Self, Error> {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (start, end) = (since(start), since(end));
        let mut trace = Self::default();
        // The last sample before the start is where the first one inside begins.
        let mut before = None;
        for line in file::read_text(path)?.lines().filter(|line| !line.trim().is_empty()) {
            let Some((time, watts)) = sample(line) else {
                if trace.0.is_empty() && before.is_none() {
                    continue;
                }
                return Err(Error::Content {
                    path: path.to_owned(),
                    expected: "seconds since 1970 and watts",
                    found: line.to_owned(),
                });
            };
            match time.checked_sub(start) {
                Some(time) => {
                    if let (true, Some(watts)) = (trace.0.is_empty(), before) {
                        trace.push(Duration::ZERO, watts);
                    }
                    trace.push(time, watts);
                }
                None => before = Some(watts),
            }
        }
        match trace.joules(Duration::ZERO, end.saturating_sub(start)) {
            Some(_) => Ok(trace),
            None => {
                Err(Error::Gap { path: path.to_owned(), from: start.as_secs_f64(), to: end.as_secs_f64() })
            }
        }
    }
}

/// A line of a trace.
fn sample(line: &str) -> Option<(Duration, f64)> {
    let mut fields = line.split([',', ';', '\t']).map(str::trim);
    let (seconds, watts) = (fields.next()?.parse().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((Duration::try_from_secs_f64(seconds).ok()?, Some(watts).filter(|watts| watts.is_finite())?))
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn energy_is_power_times_time_with_parts_of_samples() {
        let mut trace = PowerTrace::default();
        for (time, watts) in [(0, 9.0), (50, 2.0), (100, 4.0), (150, 6.0)] {
            trace.push(at(time), watts);
        }
        assert!((trace.joules(at(0), at(150)).unwrap() - 0.6).abs() < 1e-9);
        assert!((trace.joules(at(25), at(75)).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(trace.joules(at(100), at(151)), None);
        assert_eq!(PowerTrace::default().joules(at(0), at(0)), None);
    }

    #[test]
    fn an_analysers_file_is_aligned_by_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("power.csv");
        fs::write(&path, "time,power\n999.9,1\n1000.05,3\n1000.10;5\n1000.15\t7\n").unwrap();
        let (start, end) = (UNIX_EPOCH + at(1_000_000), UNIX_EPOCH + at(1_000_100));
        let trace = PowerTrace::read(&path, start, end).unwrap();
        assert!((trace.joules(at(0), at(100)).unwrap() - 0.4).abs() < 1e-6);
        let error = PowerTrace::read(&path, start, UNIX_EPOCH + at(1_000_200)).unwrap_err();
        assert!(error.to_string().ends_with("from 1000.000 to 1000.200 seconds since 1970"), "{error}");
        fs::write(&path, "1000.0,1\n1000.05,x\n").unwrap();
        let error = PowerTrace::read(&path, start, end).unwrap_err();
        assert!(error.to_string().ends_with("found `1000.05,x`"), "{error}");
    }
}
