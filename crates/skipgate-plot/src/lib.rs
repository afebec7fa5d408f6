//! skipgate's pictures: lines and bars in panels, as SVG or PNG, with colours that stay apart for colour-blind readers.
//!
//! ```
//! use skipgate_plot::{Figure, LegendPlace, Line, Marks, Panel};
//!
//! let line = Line { name: "gated".into(), color: 0, points: vec![(0.0, 4.0), (6.0, 1.0)] };
//! let panel = Panel::new("skipped blocks", "latency (ms)", Marks::Lines(vec![line], LegendPlace::LowerLeft));
//! let figure = Figure { title: "ResNet-20".into(), size: (760, 460), columns: 1, panels: vec![panel] };
//! assert!(figure.svg()?.contains("skipped blocks"));
//! # Ok::<(), skipgate_plot::Error>(())
//! ```

mod draw;

use std::io::Cursor;
use std::path::Path;

use plotters::prelude::*;

/// A picture that cannot be drawn, in the words of the drawing library.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw `{title}`: {message}")]
pub struct Error {
    title: String,
    message: String,
}

/// A picture of panels, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// On top.
    pub title: String,
    /// Width and height in pixels; SVG scales.
    pub size: (u32, u32),
    /// How many panels stand side by side, at least one.
    pub columns: usize,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// One coordinate system.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Above it; may be empty.
    pub title: String,
    /// What the axis from left to right is.
    pub x: String,
    /// What the axis from bottom to top is.
    pub y: String,
    /// Whether the axes begin at zero, rather than where the values do.
    pub from_zero: bool,
    /// What it shows.
    pub marks: Marks,
}

/// What a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// Lines, with a legend there if there is more than one.
    Lines(Vec<Line>, LegendPlace),
    /// Bars from zero, at whole numbers.
    Bars(Vec<(usize, f64)>),
    /// Names from top to bottom, and bars to the right for each, with a mark at 1. A line's points are the number of a name
    /// and a value. The panel's `y` and `from_zero` mean nothing.
    Ratios(Vec<String>, Vec<Line>),
}

/// Points that a line joins.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// Number of its colour; there are seven, which repeat.
    pub color: usize,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// Where a legend stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegendPlace {
    /// At the bottom left.
    LowerLeft,
    /// At the top left.
    UpperLeft,
    /// At the bottom right.
    LowerRight,
    /// At the right, halfway up.
    MiddleRight,
}

impl Panel {
    /// A panel without a title, whose axes begin where the values do.
    pub fn new(x: impl Into<String>, y: impl Into<String>, marks: Marks) -> Self {
        Self { title: String::new(), x: x.into(), y: y.into(), from_zero: false, marks }
    }
}

impl Figure {
    /// The bytes of the file `path`: PNG if it is called `.png`, else SVG.
    ///
    /// # Errors
    ///
    /// When the drawing library fails.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>, Error> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            return self.png();
        }
        self.svg().map(String::into_bytes)
    }

    /// Latency in microseconds over the number of skipped blocks.
    pub fn latency_over_skipped(title: impl Into<String>, lines: Vec<Line>) -> Self {
        // Curves fall towards the lower right, and other engines are far above.
        let marks = Marks::Lines(lines, LegendPlace::MiddleRight);
        let panel = Panel { from_zero: true, ..Panel::new("skipped blocks", "latency, median (µs)", marks) };
        Self { title: title.into(), size: (760, 460), columns: 1, panels: vec![panel] }
    }

    /// The text of an SVG file.
    ///
    /// # Errors
    ///
    /// When the drawing library fails.
    pub fn svg(&self) -> Result<String, Error> {
        let mut svg = String::new();
        draw::figure(self, &SVGBackend::with_string(&mut svg, self.size).into_drawing_area())
            .map_err(|error| self.failed(&error))?;
        Ok(svg)
    }

    fn png(&self) -> Result<Vec<u8>, Error> {
        let (width, height) = self.size;
        let mut image = image::RgbImage::new(width, height);
        draw::figure(self, &BitMapBackend::with_buffer(&mut image, self.size).into_drawing_area())
            .map_err(|error| self.failed(&error))?;
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).map_err(|error| self.failed(&error))?;
        Ok(bytes.into_inner())
    }

    fn failed(&self, error: &impl ToString) -> Error {
        Error { title: self.title.clone(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let line = |name: &str, offset: f64| Line {
            name: name.to_owned(),
            color: 0,
            points: (0..=6).map(|k| (f64::from(k), offset - 0.25 * f64::from(k))).collect(),
        };
        let lines = vec![line("gated", 4.0), line("pruned & compiled", 3.0)];
        let panels = vec![
            Panel::new("skipped blocks", "latency", Marks::Lines(lines, LegendPlace::LowerLeft)),
            Panel::new("gate", "lost", Marks::Bars(vec![(0, 1.0), (2, -0.5)])),
        ];
        Figure { title: "ResNet-20 <host>".to_owned(), size: (760, 460), columns: 2, panels }
    }

    #[test]
    fn everything_is_drawn_and_named() {
        let svg = figure().svg().unwrap();
        let texts =
            ["gated", "pruned &amp; compiled", "ResNet-20 &lt;host&gt;", "skipped blocks", "latency", "gate"];
        for text in texts {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(svg.matches("<polyline").count() >= 2);
    }

    #[test]
    fn a_figure_without_values_is_drawn() {
        let marks = [Marks::Lines(Vec::new(), LegendPlace::LowerRight), Marks::Bars(Vec::new())];
        let panels = marks.map(|marks| Panel::new("x", "y", marks)).into();
        Figure { panels, ..figure() }.svg().unwrap();
    }

    #[test]
    fn tags_are_closed_in_order() {
        let svg = figure().svg().unwrap();
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1).map(|rest| &rest[..rest.find('>').unwrap()]) {
            let name = tag.split_whitespace().next().unwrap();
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty() && svg.starts_with("<svg"), "{open:?}");
    }

    #[test]
    fn the_extension_says_which_kind_of_file() {
        for (name, start) in
            [("a.png", &b"\x89PNG"[..]), ("a.PNG", b"\x89PNG"), ("a.svg", b"<svg"), ("a", b"<svg")]
        {
            assert!(figure().encode(Path::new(name)).unwrap().starts_with(start), "{name}");
        }
    }
}
