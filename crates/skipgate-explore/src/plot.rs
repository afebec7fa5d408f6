//! What a search found, as a picture.

use std::path::Path;

use skipgate_core::{LatencyUnit, Reference, file};
use skipgate_plot::{Figure, LegendPlace, Line, Marks, Panel};

use crate::{Candidate, Error, Exploration, Explored};

/// Numbers of colours.
const OURS: usize = 0;
const PAPER: usize = 1;
const FIRST_REFERENCE: usize = 2;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// The search, as on the command line.
    pub title: &'a str,
    /// What the search found.
    pub explored: &'a Explored,
    /// What the paper's method found.
    pub paper: Option<&'a Explored>,
    /// Networks to compare with.
    pub references: &'a [Reference],
}

impl<'a> Picture<'a> {
    /// The picture of what `skipgate pareto` found.
    pub fn of(exploration: &'a Exploration, references: &'a [Reference]) -> Self {
        let Exploration { search, explored, paper } = exploration;
        Self { title: search, explored, paper: paper.as_ref(), references }
    }

    /// Draws accuracy, latency and speed-up over the number of skipped blocks (the paper's figure 6), the front, and how
    /// much each block matters, into the file `path`: PNG if it is called `.png`, else SVG.
    ///
    /// # Errors
    ///
    /// When the picture cannot be drawn or the file not be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        Ok(file::write_whole(path, &self.figure().encode(path)?)?)
    }

    fn figure(&self) -> Figure {
        let panels = vec![self.accuracy(), self.latency(), self.speed_up(), self.front(), self.sensitivity()];
        let title = format!("{} search", self.title);
        Figure { title, size: (1600, 880), columns: 3, panels }
    }

    fn accuracy(&self) -> Panel {
        let over_skipped = |candidate: &Candidate| (skipped(candidate), 100.0 * candidate.report.share());
        let mut lines = vec![line(self.title, OURS, best(self.explored).map(over_skipped))];
        if let Some(paper) = self.paper {
            lines.push(line("the paper's method", PAPER, best(paper).map(over_skipped)));
        }
        lines.extend(self.levels(|reference| 100.0 * reference.accuracy));
        Panel::new("skipped blocks", "accuracy (%)", Marks::Lines(lines, LegendPlace::LowerLeft))
    }

    fn latency(&self) -> Panel {
        let scale = self.scale();
        let over_skipped = |candidate: &Candidate| (skipped(candidate), candidate.latency / scale);
        let mut lines = vec![line("latency", OURS, best(self.explored).map(over_skipped))];
        lines.extend(self.levels(|reference| reference.latency / scale));
        Panel::new("skipped blocks", self.latency_name(), Marks::Lines(lines, LegendPlace::LowerLeft))
    }

    /// How many times as fast as with all blocks.
    fn speed_up(&self) -> Panel {
        let all_run = self.explored.candidates.first().map_or(f64::NAN, |all_run| all_run.latency);
        let over_skipped = |candidate: &Candidate| (skipped(candidate), all_run / candidate.latency);
        let mut lines = vec![line("speed-up", OURS, best(self.explored).map(over_skipped))];
        lines.extend(self.levels(|reference| all_run / reference.latency));
        let most = self.explored.candidates.last().map_or(f64::NAN, |last| all_run / last.latency);
        Panel {
            title: format!("{most:.2} with everything skipped"),
            ..Panel::new("skipped blocks", "speed-up", Marks::Lines(lines, LegendPlace::UpperLeft))
        }
    }

    fn front(&self) -> Panel {
        let scale = self.scale();
        let point = |candidate: &Candidate| (candidate.latency / scale, 100.0 * candidate.report.share());
        let mut lines = vec![line("front", OURS, self.explored.front().map(point))];
        if let Some(paper) = self.paper {
            lines.push(line("the paper's front", PAPER, paper.front().map(point)));
        }
        lines.extend(self.references.iter().zip(FIRST_REFERENCE..).map(|(reference, color)| {
            line(&reference.name, color, [(reference.latency / scale, 100.0 * reference.accuracy)])
        }));
        Panel::new(self.latency_name(), "accuracy (%)", Marks::Lines(lines, LegendPlace::LowerRight))
    }

    /// What skipping a block alone costs.
    fn sensitivity(&self) -> Panel {
        let bars = self.explored.single_skips.iter().map(|lost| 100.0 * lost).enumerate().collect();
        Panel::new("gate", "points lost by skipping its block alone", Marks::Bars(bars))
    }

    /// A level line for each network to compare with.
    fn levels(&self, value: impl Fn(&Reference) -> f64) -> impl Iterator<Item = Line> {
        let deepest = self.explored.candidates.last().map_or(0.0, skipped);
        self.references.iter().zip(FIRST_REFERENCE..).map(move |(reference, color)| {
            let value = value(reference);
            line(&reference.name, color, [(0.0, value), (deepest, value)])
        })
    }

    fn scale(&self) -> f64 {
        match self.explored.latency.unit {
            LatencyUnit::Microseconds => 1e3,
            LatencyUnit::Instructions => 1e6,
        }
    }

    fn latency_name(&self) -> &'static str {
        match self.explored.latency.unit {
            LatencyUnit::Microseconds => "latency (ms)",
            LatencyUnit::Instructions => "million instructions",
        }
    }
}

fn line(name: &str, color: usize, points: impl IntoIterator<Item = (f64, f64)>) -> Line {
    Line { name: name.to_owned(), color, points: points.into_iter().collect() }
}

/// The best candidate of every number of skipped blocks.
fn best(explored: &Explored) -> impl Iterator<Item = &Candidate> {
    let depths = explored.candidates.last().map_or(0, |last| last.mask.skipped());
    (0..=depths).filter_map(|skipped| explored.at(skipped))
}

fn skipped(candidate: &Candidate) -> f64 {
    candidate.mask.skipped() as f64
}

#[cfg(test)]
mod tests {
    use skipgate_core::{LatencySource, SkipMask};

    use super::*;
    use crate::Accuracy;

    fn explored() -> Explored {
        let share = |correct| Accuracy { correct, images: 100 };
        let candidate = |skipped: usize| Candidate {
            mask: SkipMask::skipping_last(3, skipped),
            search: share(90 - 10 * skipped),
            report: share(88 - 10 * skipped),
            latency: 4000.0 - 1000.0 * skipped as f64,
            on_front: true,
        };
        Explored {
            candidates: (0..=3).map(candidate).collect(),
            evaluations: 700,
            latency: LatencySource {
                unit: LatencyUnit::Microseconds,
                source: "here".to_owned(),
                measured: true,
            },
            single_skips: vec![0.01, 0.05, -0.01],
        }
    }

    #[test]
    fn everything_is_drawn_and_named() {
        let explored = explored();
        let reference = Reference { name: "SkipNet".to_owned(), accuracy: 0.85, latency: 3500.0 };
        let picture = Picture {
            title: "ResNet <20>",
            explored: &explored,
            paper: Some(&explored),
            references: &[reference],
        };
        let svg = picture.figure().svg().unwrap();
        for text in [
            "ResNet &lt;20&gt;",
            "SkipNet",
            "skipped blocks",
            "accuracy (%)",
            "latency (ms)",
            "front",
            "gate",
            "4.00",
        ] {
            assert!(svg.contains(text), "no {text}");
        }
    }

    #[test]
    fn the_extension_says_which_kind_of_file() {
        let dir = tempfile::tempdir().unwrap();
        let explored = explored();
        let picture = Picture { title: "t", explored: &explored, paper: None, references: &[] };
        for (name, start) in [("a.png", &b"\x89PNG"[..]), ("a.svg", b"<svg")] {
            let path = dir.path().join(name);
            picture.write(&path).unwrap();
            assert!(fs_err::read(&path).unwrap().starts_with(start));
        }
        assert!(picture.write(&dir.path().join("no/a.svg")).is_err());
    }
}
