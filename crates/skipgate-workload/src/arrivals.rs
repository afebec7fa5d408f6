//! When requests come.

use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use humantime::format_duration;
use skipgate_core::file;

/// A pattern of requests.
///
/// Written as on the command line: `periodic:30ms`, `poisson:30ms`, `bursts:300ms,10` or `trace:FILE`.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    /// One request after the other at this distance, which changes at every tenth request to a random one within a
    /// quarter of it (the paper's section III-B).
    Periodic(Duration),
    /// Independent requests, at this distance on average.
    Poisson(Duration),
    /// So many requests at once, at this distance.
    Bursts(Duration, usize),
    /// The times in this file: seconds from the start, one per line, never running backwards. Empty lines and what
    /// follows a `#` are passed over.
    Trace(PathBuf),
}

/// The text names no workload, or the trace is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// Not the form of any workload.
    #[error("expected periodic:30ms, poisson:30ms, bursts:300ms,10 or trace:FILE, found `{found}`")]
    Syntax {
        /// The text.
        found: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is no time, or earlier than the one before.
    #[error("{path}, line {line}: expected seconds, and not less than in the line before, found `{found}`")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The text of the line.
        found: String,
    },
}

/// Requests after which a periodic workload changes its distance, and the largest change.
const DEVIATION_EVERY: usize = 10;
const DEVIATION: f64 = 0.25;

impl Workload {
    /// When requests come, from the start on; without end but for traces. The same seed gives the same times.
    ///
    /// # Errors
    ///
    /// When a trace cannot be read.
    pub fn arrivals(&self, seed: u64) -> Result<Arrivals, WorkloadError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut number = 0;
        Ok(match *self {
            Self::Periodic(period) => {
                let mut gap = period;
                times(move || {
                    number += 1;
                    if number % DEVIATION_EVERY == 0 {
                        gap = period.mul_f64(1.0 + DEVIATION * (2.0 * random.f64() - 1.0));
                    }
                    gap
                })
            }
            Self::Poisson(mean) => times(move || mean.mul_f64(-(1.0 - random.f64()).ln())),
            Self::Bursts(period, size) => times(move || {
                number += 1;
                if number % size == 0 { period } else { Duration::ZERO }
            }),
            Self::Trace(ref path) => Box::new(trace(path)?.into_iter()),
        })
    }
}

/// Times of requests, never running backwards.
pub type Arrivals = Box<dyn Iterator<Item = Duration> + Send>;

/// The first request comes at once, each other one `gap` after the one before.
fn times(mut gap: impl FnMut() -> Duration + Send + 'static) -> Arrivals {
    Box::new(iter::successors(Some(Duration::ZERO), move |time| time.checked_add(gap())))
}

fn trace(path: &Path) -> Result<Vec<Duration>, WorkloadError> {
    let text = file::read_text(path)?;
    let mut times = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = line.split('#').next().unwrap_or_default().trim();
        if number.is_empty() {
            continue;
        }
        let time = number.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let earlier = times.last().copied().unwrap_or_default();
        let time = time.filter(|time| *time >= earlier).ok_or_else(|| WorkloadError::Line {
            path: path.to_owned(),
            line: index + 1,
            found: line.to_owned(),
        })?;
        times.push(time);
    }
    Ok(times)
}

impl FromStr for Workload {
    type Err = WorkloadError;

    fn from_str(text: &str) -> Result<Self, WorkloadError> {
        let parsed = text.split_once(':').and_then(|(kind, rest)| match kind {
            "periodic" => Some(Self::Periodic(period(rest)?)),
            "poisson" => Some(Self::Poisson(period(rest)?)),
            "bursts" => {
                let (distance, size) = rest.split_once(',')?;
                let size = size.trim().parse().ok().filter(|size| *size > 0)?;
                Some(Self::Bursts(period(distance)?, size))
            }
            "trace" if !rest.is_empty() => Some(Self::Trace(rest.into())),
            _ => None,
        });
        parsed.ok_or_else(|| WorkloadError::Syntax { found: text.to_owned() })
    }
}

/// More than nothing.
fn period(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|period| !period.is_zero())
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Periodic(period) => write!(f, "periodic:{}", format_duration(*period)),
            Self::Poisson(mean) => write!(f, "poisson:{}", format_duration(*mean)),
            Self::Bursts(period, size) => write!(f, "bursts:{},{size}", format_duration(*period)),
            Self::Trace(path) => write!(f, "trace:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn gaps(workload: &str, count: usize, seed: u64) -> Vec<f64> {
        let times = workload.parse::<Workload>().unwrap().arrivals(seed).unwrap();
        let times: Vec<_> = times.take(count).collect();
        times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_secs_f64()).collect()
    }

    #[test]
    fn the_period_changes_by_a_quarter_at_most_at_every_tenth_request() {
        let gaps = gaps("periodic:100ms", 1001, 1);
        assert!(gaps[..9].iter().all(|gap| (gap - 0.1).abs() < 1e-9), "{:?}", &gaps[..9]);
        for tenth in gaps[9..].chunks(10) {
            assert!(tenth.iter().all(|gap| (gap - tenth[0]).abs() < 1e-9));
            assert!((0.075..=0.125).contains(&tenth[0]), "{}", tenth[0]);
        }
        let different = gaps.windows(2).filter(|pair| (pair[0] - pair[1]).abs() > 1e-9).count();
        assert_eq!(different, 100);
    }

    #[test]
    fn poisson_gaps_have_their_mean_for_deviation() {
        let gaps = gaps("poisson:2s", 20_001, 3);
        let mean = gaps.iter().sum::<f64>() / 20_000.0;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!((mean - 2.0).abs() < 0.05 && (deviation - 2.0).abs() < 0.1, "{mean} {deviation}");
    }

    #[test]
    fn bursts_come_at_once() {
        assert_eq!(gaps("bursts:1s,3", 7, 1), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(gaps("poisson:1ms", 100, 5), gaps("poisson:1ms", 100, 5));
        assert_ne!(gaps("poisson:1ms", 100, 5), gaps("poisson:1ms", 100, 6));
    }

    #[test]
    fn a_trace_says_where_it_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.txt");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Workload::Trace(path.clone()).arrivals(1).map(Iterator::collect::<Vec<_>>)
        };
        let times = read("# seconds\n0\n0.5 # camera\n\n0.5\n2\n").unwrap();
        assert_eq!(times, [0, 500, 500, 2000].map(Duration::from_millis));
        for (text, line) in [("0\nx\n", 2), ("1\n0.5", 2), ("-1", 1), ("inf", 1), ("NaN", 1)] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(&format!("line {line}: expected seconds")), "{error}");
        }
    }

    #[test]
    fn other_texts_are_no_workloads() {
        for text in
            ["", "periodic", "periodic:0s", "periodic:5", "bursts:1s", "bursts:1s,0", "trace:", "poisson:-1s"]
        {
            assert!(text.parse::<Workload>().is_err(), "{text}");
        }
        for text in ["periodic:30ms", "poisson:1s 500ms", "bursts:250us,4", "trace:a:b"] {
            assert_eq!(text.parse::<Workload>().unwrap().to_string(), text);
        }
    }
}
