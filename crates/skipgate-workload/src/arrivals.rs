//! When requests come.

use std::f64::consts::TAU;
use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use skipgate_core::file;

/// A pattern of requests.
///
/// Written as on the command line: `steady:30ms`, `periodic:30ms`, `poisson:30ms`, `bursts:300ms,10`, `diurnal:30ms,10s`
/// or `trace:FILE`.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    /// One request after the other at this distance.
    Steady(Duration),
    /// One request after the other at this distance, which changes at every tenth request to a random one within a
    /// quarter of it (the paper's section III-B).
    Periodic(Duration),
    /// Independent requests, at this distance on average.
    Poisson(Duration),
    /// So many requests at once, at this distance.
    Bursts(Duration, usize),
    /// Independent requests at the first distance on average, more by day than by night: from 1.8 times as many to a fifth,
    /// along a sine over the second time.
    Diurnal(Duration, Duration),
    /// The times in this file: seconds from the start, one per line, never running backwards; behind it, if the request has
    /// a deadline of its own, the seconds from arrival to answer. Empty lines and what follows a `#` are passed over.
    Trace(PathBuf),
}

/// A request that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, from the start on.
    pub at: Duration,
    /// Time from arrival to answer, if this request has a deadline of its own.
    pub deadline: Option<Duration>,
}

impl From<Duration> for Arrival {
    fn from(at: Duration) -> Self {
        Self { at, deadline: None }
    }
}

/// The text names no workload, or the trace is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// Not the form of any workload.
    #[error(
        "expected steady:30ms, periodic:30ms, poisson:30ms, bursts:300ms,10, diurnal:30ms,10s or trace:FILE, found \
         `{found}`"
    )]
    Syntax {
        /// The text.
        found: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is no time, or earlier than the one before.
    #[error(
        "{path}, line {line}: expected seconds, not less than in the line before, and perhaps a deadline in seconds, \
         found `{found}`"
    )]
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
/// By which share the rate of a diurnal workload goes up and down.
const SWING: f64 = 0.8;

impl Workload {
    /// A workload of every kind but traces, with requests at this distance on average: bursts of eight, and a day of 200
    /// requests.
    pub fn of_every_kind(distance: Duration) -> [Self; 5] {
        [
            Self::Steady(distance),
            Self::Periodic(distance),
            Self::Poisson(distance),
            Self::Bursts(8 * distance, 8),
            Self::Diurnal(distance, 200 * distance),
        ]
    }

    /// When requests come, from the start on; without end but for traces. The same seed gives the same times.
    ///
    /// # Errors
    ///
    /// When a trace cannot be read.
    pub fn arrivals(&self, seed: u64) -> Result<Arrivals, WorkloadError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut number = 0;
        Ok(match *self {
            Self::Steady(period) => times(move || period),
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
            Self::Poisson(mean) => times(move || exponential(&mut random, mean)),
            Self::Bursts(period, size) => times(move || {
                number += 1;
                if number % size == 0 { period } else { Duration::ZERO }
            }),
            Self::Diurnal(mean, day) => diurnal(random, mean, day),
            Self::Trace(ref path) => Box::new(trace(path)?.into_iter()),
        })
    }
}

/// Requests in the order of their times.
pub type Arrivals = Box<dyn Iterator<Item = Arrival> + Send>;

/// The first request comes at once, each other one `gap` after the one before.
fn times(mut gap: impl FnMut() -> Duration + Send + 'static) -> Arrivals {
    let times = iter::successors(Some(Duration::ZERO), move |time| time.checked_add(gap()));
    Box::new(times.map(Arrival::from))
}

/// The distance between two independent requests.
fn exponential(random: &mut fastrand::Rng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - random.f64()).ln())
}

/// Of independent requests at the highest rate of the day, each is kept as often as the rate of its time of day says.
fn diurnal(mut random: fastrand::Rng, mean: Duration, day: Duration) -> Arrivals {
    let mut time = Duration::ZERO;
    times(move || {
        let before = time;
        loop {
            time = time.saturating_add(exponential(&mut random, mean.div_f64(1.0 + SWING)));
            let rate = 1.0 + SWING * (TAU * time.as_secs_f64() / day.as_secs_f64()).sin();
            if time == Duration::MAX || random.f64() * (1.0 + SWING) < rate {
                return time.saturating_sub(before);
            }
        }
    })
}

fn trace(path: &Path) -> Result<Vec<Arrival>, WorkloadError> {
    let text = file::read_text(path)?;
    let mut arrivals: Vec<Arrival> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        let earlier = arrivals.last().map_or(Duration::ZERO, |arrival| arrival.at);
        let arrival = arrival(&fields).filter(|arrival| arrival.at >= earlier);
        arrivals.push(arrival.ok_or_else(|| WorkloadError::Line {
            path: path.to_owned(),
            line: index + 1,
            found: line.to_owned(),
        })?);
    }
    Ok(arrivals)
}

/// A time, and perhaps a deadline.
fn arrival(fields: &[&str]) -> Option<Arrival> {
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    match *fields {
        [at] => seconds(at).map(Arrival::from),
        [at, deadline] => Some(Arrival { at: seconds(at)?, deadline: Some(seconds(deadline)?) }),
        _ => None,
    }
}

impl FromStr for Workload {
    type Err = WorkloadError;

    fn from_str(text: &str) -> Result<Self, WorkloadError> {
        let parsed = text.split_once(':').and_then(|(kind, rest)| match kind {
            "steady" => Some(Self::Steady(period(rest)?)),
            "periodic" => Some(Self::Periodic(period(rest)?)),
            "poisson" => Some(Self::Poisson(period(rest)?)),
            "bursts" => {
                let (distance, size) = rest.split_once(',')?;
                let size = size.trim().parse().ok().filter(|size| *size > 0)?;
                Some(Self::Bursts(period(distance)?, size))
            }
            "diurnal" => {
                let (mean, day) = rest.split_once(',')?;
                Some(Self::Diurnal(period(mean)?, period(day)?))
            }
            "trace" if !rest.is_empty() => Some(Self::Trace(rest.into())),
            _ => None,
        });
        parsed.ok_or_else(|| WorkloadError::Syntax { found: text.to_owned() })
    }
}

/// More than nothing.
fn period(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok().filter(|period| !period.is_zero())
}

/// In one word, as it is written on a command line.
fn shown(period: Duration) -> String {
    humantime::format_duration(period).to_string().replace(' ', "")
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady(period) => write!(f, "steady:{}", shown(*period)),
            Self::Periodic(period) => write!(f, "periodic:{}", shown(*period)),
            Self::Poisson(mean) => write!(f, "poisson:{}", shown(*mean)),
            Self::Bursts(period, size) => write!(f, "bursts:{},{size}", shown(*period)),
            Self::Diurnal(mean, day) => {
                write!(f, "diurnal:{},{}", shown(*mean), shown(*day))
            }
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
        let times: Vec<_> = times.take(count).map(|arrival| arrival.at).collect();
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
    fn steady_requests_are_a_period_apart() {
        assert_eq!(gaps("steady:20ms", 4, 1), [0.02; 3]);
    }

    #[test]
    fn more_requests_come_by_day_than_by_night() {
        let mut hours = [0_u32; 4];
        for arrival in "diurnal:1s,400s".parse::<Workload>().unwrap().arrivals(1).unwrap() {
            if arrival.at >= Duration::from_secs(40_000) {
                break;
            }
            hours[usize::try_from(arrival.at.as_secs() % 400 / 100).unwrap()] += 1;
        }
        // The integral of the rate over a quarter of a day, of which the middle ones are alike.
        let day = 10_000.0 * (1.0 + SWING * 2.0 / std::f64::consts::PI);
        let night = 20_000.0 - day;
        for (found, expected) in hours.into_iter().zip([day, day, night, night]) {
            assert!((f64::from(found) / expected - 1.0).abs() < 0.05, "{hours:?}");
        }
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
        let arrivals = read("# seconds\n0\n0.5 # camera\n\n0.5 0.02\n2\n").unwrap();
        assert_eq!(
            arrivals.iter().map(|arrival| arrival.at).collect::<Vec<_>>(),
            [0, 500, 500, 2000].map(Duration::from_millis)
        );
        let deadlines: Vec<_> = arrivals.iter().map(|arrival| arrival.deadline).collect();
        assert_eq!(deadlines, [None, None, Some(Duration::from_millis(20)), None]);
        for (text, line) in
            [("0\nx\n", 2), ("1\n0.5", 2), ("-1", 1), ("inf", 1), ("NaN", 1), ("1 x", 1), ("1 2 3", 1)]
        {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(&format!("line {line}: expected seconds")), "{error}");
        }
    }

    #[test]
    fn other_texts_are_no_workloads() {
        for text in [
            "",
            "periodic",
            "periodic:0s",
            "periodic:5",
            "bursts:1s",
            "bursts:1s,0",
            "diurnal:1s",
            "trace:",
            "poisson:-1s",
        ] {
            assert!(text.parse::<Workload>().is_err(), "{text}");
        }
        for text in [
            "steady:2s",
            "periodic:30ms",
            "poisson:1s500ms",
            "steady:271us182ns",
            "bursts:250us,4",
            "diurnal:3ms,1m",
            "trace:a:b",
        ] {
            assert_eq!(text.parse::<Workload>().unwrap().to_string(), text);
        }
    }
}
