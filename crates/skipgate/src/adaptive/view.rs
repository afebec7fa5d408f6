//! What a server does, on a terminal while it does it.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, stderr, stdout};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use skipgate_http::{Numbers, Shared};
use skipgate_workload::Summary;
use terminal_size::{Width, terminal_size_of};

/// Between two looks at the numbers.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks that rate and configurations are shown of, if the terminal is as wide.
const MOST_LOOKS: usize = 200;
/// Looks that the rate is the mean of.
const LOOKS_OF_RATE: usize = 4;
/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;
/// From no blocks skipped to most.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What else is written to the terminal meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    /// A line on standard output for each request.
    Answers,
}

/// A view on standard error, if that is a terminal, until it is dropped.
pub(crate) struct View {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl View {
    /// Shows `numbers`, of as many requests as are `expected`, over a front of so many configurations.
    pub(crate) fn start(
        numbers: &Shared,
        expected: Option<usize>,
        configurations: usize,
        beside: Beside,
    ) -> Self {
        let would_mix = beside == Beside::Answers && stdout().is_terminal();
        if !stderr().is_terminal() || would_mix {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel();
        let numbers = numbers.clone();
        let thread = thread::spawn(move || {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            let mut history = History::default();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let columns =
                    terminal_size_of(stderr()).map_or(COLUMNS, |(Width(columns), _)| columns.into());
                let now = numbers.with(|numbers| history.look(numbers));
                bar.set_message(text(&now, &history, expected, configurations, columns));
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A view that panicked shows nothing any more, which is no reason to stop serving.
            let _ = thread.join();
        }
    }
}

/// The numbers at one look.
struct Now {
    summary: Summary,
    failed: usize,
    refused: usize,
    labelled: bool,
}

/// The looks before, the newest last.
#[derive(Default)]
struct History {
    /// Requests so far.
    requests: VecDeque<usize>,
    /// Configurations that had run last.
    configurations: VecDeque<usize>,
}

impl History {
    fn look(&mut self, numbers: &Numbers) -> Now {
        let summary = numbers.tally.summary();
        self.requests.push_back(summary.requests);
        self.configurations.extend(numbers.tally.current());
        for kept in [&mut self.requests, &mut self.configurations] {
            if kept.len() > MOST_LOOKS {
                kept.pop_front();
            }
        }
        let Numbers { failed, refused, labelled, .. } = *numbers;
        Now { summary, failed, refused, labelled }
    }

    /// Requests a second, lately.
    fn rate(&self) -> Option<f64> {
        let last = self.requests.len().checked_sub(1)?;
        let first = last.saturating_sub(LOOKS_OF_RATE);
        let looks = (last - first) as f64;
        let more = self.requests[last].saturating_sub(self.requests[first]) as f64;
        (looks > 0.0).then(|| more / (looks * PAUSE.as_secs_f64()))
    }
}

/// The view for a terminal of so many columns.
fn text(
    now: &Now,
    history: &History,
    expected: Option<usize>,
    configurations: usize,
    columns: usize,
) -> String {
    let summary = &now.summary;
    let of = expected.map_or(String::new(), |expected| format!(" of {expected}"));
    let mut parts = vec![format!("{}{of} requests", summary.requests)];
    parts.extend(history.rate().map(|rate| format!("{rate:.0} a second")));
    let share = 100.0 * summary.dropped as f64 / summary.requests.max(1) as f64;
    parts.push(format!("{} dropped ({share:.1} %)", summary.dropped));
    parts.push(format!("{} late", summary.processed.saturating_sub(summary.in_time)));
    let others = [("failed", now.failed), ("refused", now.refused)];
    parts
        .extend(others.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")));
    if let Some(latency) = &summary.latency {
        let [p50, p90, p99] = [latency.p50_us, latency.p90_us, latency.p99_us].map(time);
        parts.push(format!("latency p50 {p50}, p90 {p90}, p99 {p99}"));
    }
    if let Some(accuracy) = summary.accuracy.filter(|_| now.labelled) {
        parts.push(format!("accuracy {:.1} %", 100.0 * accuracy));
    }
    let mut lines = filled(&parts, columns);
    lines.extend(over_time(history, configurations, columns));
    lines.join("\n")
}

/// The parts on as few lines as they fit on.
fn filled(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.len() + 3 + part.len() <= columns => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

/// The configuration that runs, and which ran before: the more it skips, the higher.
fn over_time(history: &History, configurations: usize, columns: usize) -> Option<String> {
    let last = configurations.saturating_sub(1);
    let title = format!("configuration {} of 0 to {last} ", history.configurations.back()?);
    let room = columns.saturating_sub(title.len());
    let shown = history.configurations.len().saturating_sub(room);
    let level =
        |configuration: &usize| LEVELS[(configuration * (LEVELS.len() - 1)).checked_div(last).unwrap_or(0)];
    Some(title + &history.configurations.iter().skip(shown).map(level).collect::<String>())
}

/// `310 µs` or `2.1 ms`.
fn time(us: f64) -> String {
    if us < 1000.0 { format!("{us:.0} µs") } else { format!("{:.1} ms", us / 1000.0) }
}

#[cfg(test)]
mod tests {
    use skipgate_workload::{Outcome, Processed, Request, Tally};

    use super::*;

    /// Looks at requests that come each 100 ms, every fourth of which is dropped, as the configuration rises.
    fn looked() -> (Now, History) {
        let ms = Duration::from_millis;
        let mut numbers = Numbers { tally: Tally::new(ms(5)), failed: 0, refused: 0, labelled: true };
        let mut history = History::default();
        let mut now = None;
        for number in 0..400u32 {
            let arrived = ms(100 * u64::from(number));
            let began = arrived + ms(1);
            let processed = Processed {
                configuration: Some(number as usize / 40),
                began,
                ended: began + ms(if number % 10 == 1 { 7 } else { 2 }),
                correct: Some(number % 5 != 0),
            };
            let outcome = if number % 4 == 3 { Outcome::Dropped } else { Outcome::Processed(processed) };
            numbers.tally.add(&Request { arrived, deadline: None, outcome }, 0.0);
            if number % 5 == 4 {
                now = Some(history.look(&numbers));
            }
        }
        (now.unwrap(), history)
    }

    #[test]
    fn a_narrow_and_a_wide_terminal_are_filled() {
        let (now, history) = looked();
        let shown = |columns| text(&now, &history, Some(500), 10, columns);
        assert_eq!(
            shown(60),
            "400 of 500 requests · 10 a second · 100 dropped (25.0 %)\n\
             20 late · latency p50 3.0 ms, p90 3.0 ms, p99 8.0 ms\n\
             accuracy 80.0 %\n\
             configuration 9 of 0 to 9 ▄▄▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇████████"
        );
        assert_eq!(shown(200).lines().count(), 2);
        for columns in [40, 60, 80, 200] {
            for line in shown(columns).lines() {
                assert!(line.chars().count() <= columns.max(50), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let numbers = Numbers { tally: Tally::new(Duration::ZERO), failed: 2, refused: 1, labelled: false };
        let mut history = History::default();
        let now = history.look(&numbers);
        let shown = text(&now, &history, None, 0, 80);
        assert_eq!(shown, "0 requests · 0 dropped (0.0 %) · 0 late · 2 failed · 1 refused");
    }
}
