//! Latency over the number of skipped blocks, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// Pixels; SVG scales.
const SIZE: (u32, u32) = (760, 460);
/// Colours that stay apart for colour-blind readers (Okabe and Ito), and in print through their lightness.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// One line of the plot.
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Number of skipped blocks and latency in microseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws `series` in one coordinate system.
pub(crate) fn latency_over_skipped(title: &str, series: &[Series]) -> Result<String> {
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, SIZE), title, series)
        .map_err(|error| anyhow!("cannot draw `{title}`: {error}"))?;
    Ok(svg)
}

/// Any error of the drawing library, whose own type names the backend.
type Drawn = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn draw(backend: SVGBackend, title: &str, series: &[Series]) -> Drawn {
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    let largest = |value: fn(&(f64, f64)) -> f64| {
        series.iter().flat_map(|series| &series.points).map(value).fold(1.0, f64::max)
    };
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..largest(|point| point.0), 0.0..1.08 * largest(|point| point.1))?;
    chart
        .configure_mesh()
        .x_desc("skipped blocks")
        .y_desc("latency, median (µs)")
        .x_label_formatter(&|blocks| format!("{blocks:.0}"))
        .y_label_formatter(&|us| format!("{us:.0}"))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (Series { name, points }, color) in series.iter().zip(COLORS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_drawn_and_named() {
        let series = |name: &str, offset: f64| Series {
            name: name.to_owned(),
            points: (0..=6).map(|k| (f64::from(k), offset - 40.0 * f64::from(k))).collect(),
        };
        let series = [series("gated", 410.0), series("pruned & compiled", 400.0)];
        let svg = latency_over_skipped("ResNet-20 <host>", &series).unwrap();
        for text in ["gated", "pruned &amp; compiled", "ResNet-20 &lt;host&gt;", "skipped blocks", "latency"]
        {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(svg.matches("<polyline").count() >= series.len());
    }

    #[test]
    fn tags_are_closed_in_order() {
        let svg =
            latency_over_skipped("t", &[Series { name: "n".to_owned(), points: vec![(0.0, 1.0)] }]).unwrap();
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
}
