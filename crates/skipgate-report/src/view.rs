//! What the page shows, as values that are ready to be written down.

use std::path::Path;

use skipgate_core::{Front, LatencySource, LatencyUnit, SkipMask, si};
use skipgate_explore::Explored;

use crate::{Percentiles, Report};

/// A report with everything that is computed from it.
pub(crate) struct View<'a> {
    pub(crate) report: &'a Report,
    /// What the artifact is called.
    pub(crate) name: String,
    /// The folder as a shell takes it.
    pub(crate) folder: String,
    /// What latencies count.
    pub(crate) unit: Unit,
    /// The configurations of the front, by their number.
    pub(crate) front: Vec<Choice>,
    /// What was measured and is beaten by a configuration of the front.
    pub(crate) beaten: Vec<Choice>,
    /// What the paper's method found, as latency and accuracy.
    pub(crate) paper: Vec<(f64, f64)>,
}

/// A mask of which something is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) mask: SkipMask,
    /// From 0 to 1.
    pub(crate) accuracy: Option<f64>,
    pub(crate) interval: Option<[f64; 2]>,
    /// In the unit of the front.
    pub(crate) latency: Option<f64>,
    /// How many times as fast as with all blocks.
    pub(crate) speed_up: Option<f64>,
    pub(crate) percentiles: Option<Percentiles>,
    /// What follows the folder in a command.
    pub(crate) argument: String,
}

/// The unit that latencies are shown in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    /// What a latency is divided by.
    pub(crate) divisor: f64,
    pub(crate) decimals: usize,
}

impl<'a> View<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let explored = report.exploration.as_ref().map(|exploration| &exploration.explored);
        let all_run = all_run(report.front.as_ref(), explored, report.gates());
        let complete = |choice: Choice| choice.completed(report, all_run);
        let front: Vec<_> =
            report.front.as_ref().map(of_front).unwrap_or_default().into_iter().map(complete).collect();
        let known = |mask: &SkipMask| front.iter().any(|choice| choice.mask == *mask);
        let beaten: Vec<_> = explored
            .map(candidates)
            .unwrap_or_default()
            .into_iter()
            .filter(|choice| !known(&choice.mask))
            .map(complete)
            .collect();
        let paper = report.exploration.as_ref().and_then(|exploration| exploration.paper.as_ref());
        let unit = Unit::of(source(report), front.iter().chain(&beaten).filter_map(|choice| choice.latency));
        Self {
            name: name(&report.folder),
            folder: quoted(&report.folder),
            unit,
            paper: paper.map(points).unwrap_or_default(),
            front,
            beaten,
            report,
        }
    }

    /// The mask that the page begins with, and what is known of it.
    pub(crate) fn first(&self) -> Choice {
        self.front.first().cloned().unwrap_or_else(|| {
            let mask = SkipMask::all_run(self.report.gates());
            Choice::unknown(mask, String::new()).completed(self.report, None)
        })
    }

    /// `skipgate run` as far as it is the same for every mask.
    pub(crate) fn run(&self) -> String {
        let images = self.report.manifest.preprocessing.is_some();
        let input = if images { "--image IMAGE.png" } else { "--input INPUT.npz --output OUTPUT.npz" };
        format!("skipgate run {} {input}", self.folder)
    }

    /// What the latencies of the front are.
    pub(crate) fn source(&self) -> Option<&LatencySource> {
        source(self.report)
    }
}

impl Choice {
    fn unknown(mask: SkipMask, argument: String) -> Self {
        let (accuracy, interval, latency) = (None, None, None);
        Self { mask, accuracy, interval, latency, speed_up: None, percentiles: None, argument }
    }

    /// With what is known from elsewhere.
    fn completed(mut self, report: &Report, all_run: Option<f64>) -> Self {
        self.speed_up = all_run.zip(self.latency).map(|(all_run, latency)| all_run / latency);
        self.percentiles = report.percentiles.get(&self.mask).copied();
        self
    }
}

impl Unit {
    fn of(source: Option<&LatencySource>, latencies: impl Iterator<Item = f64>) -> Self {
        let largest = latencies.fold(0.0, f64::max);
        match source.map_or(LatencyUnit::Microseconds, |source| source.unit) {
            LatencyUnit::Instructions => Self { name: "M instructions", divisor: 1e6, decimals: 2 },
            LatencyUnit::Microseconds if largest < 1e4 => Self::MICROSECONDS,
            LatencyUnit::Microseconds => Self { name: "ms", divisor: 1e3, decimals: 2 },
        }
    }

    /// As times of calls are given.
    pub(crate) const MICROSECONDS: Self = Self { name: "µs", divisor: 1.0, decimals: 0 };

    /// The number alone.
    pub(crate) fn number(self, value: f64) -> String {
        format!("{:.*}", self.decimals, value / self.divisor)
    }

    /// The number with its unit.
    pub(crate) fn text(self, value: f64) -> String {
        format!("{} {}", self.number(value), self.name)
    }
}

fn source(report: &Report) -> Option<&LatencySource> {
    report.front.as_ref()?.provenance.as_ref().map(|provenance| &provenance.latency)
}

fn of_front(front: &Front) -> Vec<Choice> {
    let choice = |(number, configuration): (usize, &skipgate_core::Configuration)| Choice {
        accuracy: configuration.accuracy,
        interval: configuration.accuracy_interval,
        latency: configuration.latency,
        ..Choice::unknown(configuration.mask.clone(), format!("--config {number}"))
    };
    front.configurations.iter().enumerate().map(choice).collect()
}

fn candidates(explored: &Explored) -> Vec<Choice> {
    let choice = |candidate: &skipgate_explore::Candidate| Choice {
        accuracy: Some(candidate.report.share()),
        interval: Some(candidate.report.interval()),
        latency: Some(candidate.latency),
        ..Choice::unknown(candidate.mask.clone(), format!("--mask {}", candidate.mask))
    };
    explored.candidates.iter().map(choice).collect()
}

fn points(explored: &Explored) -> Vec<(f64, f64)> {
    explored.front().map(|candidate| (candidate.latency, candidate.report.share())).collect()
}

/// Latency with all blocks, if it is known.
fn all_run(front: Option<&Front>, explored: Option<&Explored>, gates: usize) -> Option<f64> {
    let of_front = || {
        let mut configurations = front?.configurations.iter();
        configurations.find(|configuration| configuration.mask.running() == gates)?.latency
    };
    let of_candidates = || {
        let mut candidates = explored?.candidates.iter();
        candidates.find(|candidate| candidate.mask.running() == gates).map(|candidate| candidate.latency)
    };
    of_front().or_else(of_candidates)
}

/// The last part of the path, also where that is `.` or `..`.
fn name(folder: &Path) -> String {
    let whole = fs_err::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
}

/// The path as one word of a shell.
fn quoted(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    // Only a NUL cannot be quoted, and no path has one.
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), Into::into)
}

/// `4.08 MB`.
pub(crate) fn bytes(size: u64) -> String {
    let text = si(size);
    if text.contains(' ') { format!("{text}B") } else { format!("{text} B") }
}

/// `98.3 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// `97.5 to 99.0 %`.
pub(crate) fn interval([low, high]: [f64; 2]) -> String {
    format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_word_of_a_shell() {
        assert_eq!(quoted("build/resnet20-host".as_ref()), "build/resnet20-host");
        assert_eq!(quoted("my models/$(id)".as_ref()), "'my models/$(id)'");
        assert!(quoted("it's".as_ref()).starts_with('"') || quoted("it's".as_ref()).contains("\\'"));
    }

    #[test]
    fn latencies_are_shown_in_a_unit_that_fits_them() {
        let source = |unit| LatencySource { unit, source: String::new(), measured: true };
        let time = source(LatencyUnit::Microseconds);
        assert_eq!(Unit::of(Some(&time), [291.4, 133.0].into_iter()).text(291.4), "291 µs");
        assert_eq!(Unit::of(None, [36_000.0].into_iter()).text(9_500.0), "9.50 ms");
        let count = source(LatencyUnit::Instructions);
        assert_eq!(Unit::of(Some(&count), [6.65e6].into_iter()).text(6.65e6), "6.65 M instructions");
    }
}
