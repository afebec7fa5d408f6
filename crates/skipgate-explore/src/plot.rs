//! What a search found, as a picture.

use std::path::Path;
use std::str::FromStr;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use skipgate_core::LatencyUnit;

use crate::{Accuracy, Candidate, Error, Exploration, Explored, write_whole};

/// Pixels; SVG scales.
const SIZE: (u32, u32) = (1200, 880);
/// Colours that stay apart for colour-blind readers (Okabe and Ito).
const OURS: RGBColor = RGBColor(0, 114, 178);
const PAPER: RGBColor = RGBColor(213, 94, 0);
const REFERENCES: [RGBColor; 3] = [RGBColor(0, 158, 115), RGBColor(204, 121, 167), RGBColor(230, 159, 0)];

/// A network to compare with, such as the original or `SkipNet`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Its name in the picture.
    pub name: String,
    /// From 0 to 1.
    pub accuracy: f64,
    /// In the unit of what it is compared with.
    pub latency: f64,
}

impl FromStr for Reference {
    type Err = String;

    /// Reads `NAME=PERCENT,LATENCY`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (name, numbers) = text.split_once('=')?;
            let (accuracy, latency) = numbers.split_once(',')?;
            let accuracy = accuracy.parse::<f64>().ok()? / 100.0;
            Some(Self { name: name.to_owned(), accuracy, latency: latency.parse().ok()? })
        };
        parts().ok_or_else(|| format!("expected NAME=PERCENT,LATENCY, found `{text}`"))
    }
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// In the caption.
    pub title: &'a str,
    /// What the search found.
    pub explored: &'a Explored,
    /// What the paper's method found.
    pub paper: Option<&'a Explored>,
    /// Networks to compare with.
    pub references: &'a [Reference],
}

/// Any error of the drawing library, whose own type names the backend.
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Area<'a, DB> = DrawingArea<DB, Shift>;
type Points = Vec<(f64, f64)>;

/// A line of one panel.
struct Series<'a> {
    name: &'a str,
    color: RGBColor,
    points: Points,
}

impl<'a> Picture<'a> {
    /// The picture of what `skipgate pareto` found.
    pub fn of(exploration: &'a Exploration, references: &'a [Reference]) -> Self {
        let Exploration { search, explored, paper } = exploration;
        Self { title: search, explored, paper: paper.as_ref(), references }
    }

    /// Draws accuracy and latency over the number of skipped blocks (the paper's figure 6), the front, and how much each
    /// block matters, into the file `path`: PNG if it is called `.png`, else SVG.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Plot(error.to_string());
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            let (width, height) = SIZE;
            let mut pixels = vec![0; 3 * width as usize * height as usize];
            self.draw(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area()).map_err(failed)?;
            return write_whole(path, &png(pixels)?);
        }
        write_whole(path, self.svg().map_err(failed)?.as_bytes())
    }

    fn svg(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let mut svg = String::new();
        self.draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())?;
        Ok(svg)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        fonts();
        area.fill(&WHITE)?;
        let area = area.titled(self.title, ("sans-serif", 20))?;
        let panels = area.split_evenly((2, 2));
        self.accuracy(&panels[0])?;
        self.latency(&panels[1])?;
        self.front(&panels[2])?;
        self.sensitivity(&panels[3])?;
        area.present()?;
        Ok(())
    }

    fn accuracy<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let over_skipped = |candidate: &Candidate| (skipped(candidate), 100.0 * candidate.report.share());
        let mut lines = self.lines(over_skipped);
        lines.extend(self.levels(|reference| 100.0 * reference.accuracy));
        lines_over(area, ["skipped blocks", "accuracy (%)"], &lines, SeriesLabelPosition::LowerLeft)
    }

    fn latency<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let scale = self.scale();
        let over_skipped = |candidate: &Candidate| (skipped(candidate), candidate.latency / scale);
        let mut lines =
            vec![Series { name: "latency", color: OURS, points: points(self.explored, over_skipped) }];
        lines.extend(self.levels(|reference| reference.latency / scale));
        let all_run = self.explored.candidates.first().map_or(1.0, |all_run| all_run.latency);
        let speedups: Points =
            points(self.explored, |candidate| (skipped(candidate), all_run / candidate.latency));
        let title = format!("speed-up with everything skipped: {:.2}", last(&speedups));
        let area = area.titled(&title, ("sans-serif", 14))?;
        lines_over(&area, ["skipped blocks", self.latency_name()], &lines, SeriesLabelPosition::LowerLeft)
    }

    fn front<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let scale = self.scale();
        let point = |candidate: &Candidate| (candidate.latency / scale, 100.0 * candidate.report.share());
        let of = |explored: &Explored| explored.front().map(point).collect();
        let mut lines = vec![Series { name: "front", color: OURS, points: of(self.explored) }];
        lines.extend(self.paper.map(|paper| Series {
            name: "the paper's front",
            color: PAPER,
            points: of(paper),
        }));
        for (reference, color) in self.references.iter().zip(REFERENCES) {
            let points = vec![(reference.latency / scale, 100.0 * reference.accuracy)];
            lines.push(Series { name: &reference.name, color, points });
        }
        lines_over(area, [self.latency_name(), "accuracy (%)"], &lines, SeriesLabelPosition::LowerRight)
    }

    /// Bars from the accuracy of the whole network: what skipping a block alone costs.
    fn sensitivity<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let whole = self.explored.candidates.first().map_or(0.0, |all_run| all_run.search.share());
        let cost = |single: &Accuracy| 100.0 * (whole - single.share());
        let costs: Vec<_> =
            self.explored.single_skips.iter().filter(|single| single.images > 0).map(cost).collect();
        let [low, high] = range(costs.iter().copied().chain([0.0]));
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(58)
            .build_cartesian_2d(-0.5..costs.len().max(1) as f64 - 0.5, low..high)?;
        mesh(&mut chart, ["gate", "points lost by skipping its block alone"])?;
        let bar = |(gate, cost): (usize, &f64)| {
            let gate = gate as f64;
            Rectangle::new([(gate - 0.4, 0.0), (gate + 0.4, *cost)], OURS.filled())
        };
        chart.draw_series(costs.iter().enumerate().map(bar))?;
        Ok(())
    }

    /// What both methods found.
    fn lines(&self, point: impl Fn(&Candidate) -> (f64, f64) + Copy) -> Vec<Series<'_>> {
        let own = Series { name: "search", color: OURS, points: points(self.explored, point) };
        let paper = self.paper.map(|paper| Series {
            name: "the paper's method",
            color: PAPER,
            points: points(paper, point),
        });
        [own].into_iter().chain(paper).collect()
    }

    /// A level line for each network to compare with.
    fn levels(&self, value: impl Fn(&Reference) -> f64) -> impl Iterator<Item = Series<'_>> {
        let deepest = self.explored.candidates.last().map_or(0.0, skipped);
        let level = move |(reference, color): (_, _)| {
            let value = value(reference);
            Series { name: &reference.name, color, points: vec![(0.0, value), (deepest, value)] }
        };
        self.references.iter().zip(REFERENCES).map(level)
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

/// The best candidate of every number of skipped blocks.
fn points(explored: &Explored, point: impl Fn(&Candidate) -> (f64, f64)) -> Points {
    let depths = explored.candidates.last().map_or(0, |last| last.mask.skipped());
    (0..=depths).filter_map(|skipped| explored.at(skipped)).map(point).collect()
}

fn skipped(candidate: &Candidate) -> f64 {
    candidate.mask.skipped() as f64
}

fn last(points: &Points) -> f64 {
    points.last().map_or(1.0, |point| point.1)
}

/// Smallest and largest, with some room.
fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = 0.05 * (high - low).max(1e-6);
    [low - room, high + room]
}

fn lines_over<DB: DrawingBackend>(
    area: &Area<DB>,
    names: [&str; 2],
    lines: &[Series],
    legend: SeriesLabelPosition,
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let all = || lines.iter().flat_map(|line| &line.points);
    let [left, right] = range(all().map(|point| point.0));
    let [low, high] = range(all().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(left..right, low..high)?;
    mesh(&mut chart, names)?;
    for Series { name, color, points } in lines {
        let (color, points) = (*color, points.iter().copied());
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(legend)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()?;
    }
    Ok(())
}

type Chart<'a, 'b, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn mesh<DB: DrawingBackend>(chart: &mut Chart<'_, '_, DB>, [x, y]: [&str; 2]) -> Drawn
where
    DB::ErrorType: 'static,
{
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

/// As many digits as a number needs, at most two after the point.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the drawing library wants it so")]
fn label(value: &f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// The drawing library looks for no fonts of the system, so that a picture is the same everywhere.
fn fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The only failure is a font file that cannot be read, and this one is built in.
        let _ = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

fn png(pixels: Vec<u8>) -> Result<Vec<u8>, Error> {
    let failed = |error: image::ImageError| Error::Plot(error.to_string());
    let mut bytes = std::io::Cursor::new(Vec::new());
    let (width, height) = SIZE;
    let image = image::RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| Error::Plot("no picture".to_owned()))?;
    image.write_to(&mut bytes, image::ImageFormat::Png).map_err(failed)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use skipgate_core::{LatencySource, SkipMask};

    use super::*;

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
            single_skips: vec![share(89), share(85), share(91)],
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
        let svg = picture.svg().unwrap();
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
