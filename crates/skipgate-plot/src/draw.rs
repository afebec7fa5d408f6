//! How figures are drawn, on any backend.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::{Figure, LegendPlace, Line, Marks, Panel};

/// Of Okabe and Ito; they stay apart in print, too, through their lightness.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Any error of the drawing library, whose own type names the backend.
pub(crate) type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Area<DB> = DrawingArea<DB, Shift>;
type Chart<'a, 'b, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

pub(crate) fn figure<DB: DrawingBackend>(figure: &Figure, area: &Area<DB>) -> Drawn
where
    DB::ErrorType: 'static,
{
    fonts();
    area.fill(&WHITE)?;
    let titled = area.titled(&figure.title, ("sans-serif", 20))?;
    let columns = figure.columns.max(1);
    let areas = titled.split_evenly((figure.panels.len().div_ceil(columns).max(1), columns));
    for (area, panel) in areas.iter().zip(&figure.panels) {
        self::panel(panel, area)?;
    }
    area.present()?;
    Ok(())
}

fn panel<DB: DrawingBackend>(panel: &Panel, area: &Area<DB>) -> Drawn
where
    DB::ErrorType: 'static,
{
    if panel.title.is_empty() {
        return marks(panel, area);
    }
    marks(panel, &area.titled(&panel.title, ("sans-serif", 14))?)
}

fn marks<DB: DrawingBackend>(panel: &Panel, area: &Area<DB>) -> Drawn
where
    DB::ErrorType: 'static,
{
    match &panel.marks {
        Marks::Lines(lines, corner) => self::lines(panel, area, lines, *corner),
        Marks::Bars(values) => bars(panel, area, values),
        Marks::Ratios(names, lines) => ratios(panel, area, names, lines),
    }
}

fn lines<DB: DrawingBackend>(panel: &Panel, area: &Area<DB>, lines: &[Line], legend: LegendPlace) -> Drawn
where
    DB::ErrorType: 'static,
{
    let zero = panel.from_zero.then_some((0.0, 0.0));
    let all = || lines.iter().flat_map(|line| line.points.iter().copied()).chain(zero);
    let mut chart = chart(panel, area, range(all().map(|point| point.0)), range(all().map(|point| point.1)))?;
    for Line { name, color, points } in lines {
        let color = COLORS[color % COLORS.len()];
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    if lines.len() > 1 {
        self::legend(
            &mut chart,
            match legend {
                LegendPlace::LowerLeft => SeriesLabelPosition::LowerLeft,
                LegendPlace::UpperLeft => SeriesLabelPosition::UpperLeft,
                LegendPlace::LowerRight => SeriesLabelPosition::LowerRight,
                LegendPlace::MiddleRight => SeriesLabelPosition::MiddleRight,
            },
        )?;
    }
    Ok(())
}

fn legend<'a, DB>(chart: &mut Chart<'a, '_, DB>, position: SeriesLabelPosition) -> Drawn
where
    DB: DrawingBackend + 'a,
    DB::ErrorType: 'static,
{
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// Pixels for the names of what has bars.
const NAMES: u32 = 150;

fn ratios<DB: DrawingBackend>(panel: &Panel, area: &Area<DB>, names: &[String], lines: &[Line]) -> Drawn
where
    DB::ErrorType: 'static,
{
    let largest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1.0, f64::max);
    let (rows, right) = (names.len() as f64, 1.05 * largest);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_left(12 + NAMES)
        .x_label_area_size(40)
        .build_cartesian_2d(0.0..right, -rows..0.0)?;
    chart
        .configure_mesh()
        .x_desc(&panel.x)
        .x_label_formatter(&label)
        .disable_y_mesh()
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(TRANSPARENT)
        .draw()?;
    // A tenth of a row is left free on each side.
    let height = 0.8 / lines.len().max(1) as f64;
    for (number, Line { name, color, points }) in lines.iter().enumerate() {
        let color = COLORS[color % COLORS.len()];
        let bar = |&(row, value): &(f64, f64)| {
            let top = -row - 0.1 - number as f64 * height;
            Rectangle::new([(0.0, top), (value, top - 0.9 * height)], color.filled())
        };
        chart
            .draw_series(points.iter().map(bar))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], color.filled()));
    }
    chart.draw_series([PathElement::new([(1.0, 0.0), (1.0, -rows)], BLACK.stroke_width(1))])?;
    let style = TextStyle::from(("sans-serif", 13)).pos(Pos::new(HPos::Right, VPos::Center));
    for (row, name) in names.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(0.0, -(row as f64) - 0.5));
        let (left, top) = area.get_base_pixel();
        area.draw_text(name, &style, (x - left - 8, y - top))?;
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

fn bars<DB: DrawingBackend>(panel: &Panel, area: &Area<DB>, values: &[(usize, f64)]) -> Drawn
where
    DB::ErrorType: 'static,
{
    let last = values.iter().map(|(position, _)| *position).max().unwrap_or_default();
    let across = [-0.5, last as f64 + 0.5];
    let mut chart = chart(panel, area, across, range(values.iter().map(|(_, value)| *value).chain([0.0])))?;
    let bar = |&(position, value): &(usize, f64)| {
        let position = position as f64;
        Rectangle::new([(position - 0.4, 0.0), (position + 0.4, value)], COLORS[0].filled())
    };
    chart.draw_series(values.iter().map(bar))?;
    Ok(())
}

/// An empty coordinate system.
fn chart<'a, 'b, DB>(
    panel: &Panel,
    area: &'b Area<DB>,
    [left, right]: [f64; 2],
    [low, high]: [f64; 2],
) -> Result<Chart<'a, 'b, DB>, Box<dyn std::error::Error + Send + Sync>>
where
    DB: DrawingBackend + 'a,
    DB::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(left..right, low..high)?;
    chart
        .configure_mesh()
        .x_desc(&panel.x)
        .y_desc(&panel.y)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

/// Smallest and largest, with some room; zero stays the edge of what begins there.
fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return [0.0, 1.0];
    }
    let room = match high - low {
        span if span > 0.0 => 0.05 * span,
        // Marks that differ need an axis of some length, also where all values are one.
        _ if high == 0.0 => 1.0,
        _ => 0.5 * high.abs(),
    };
    [if low == 0.0 { 0.0 } else { low - room }, high + room]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_all_one_have_an_axis_of_some_length() {
        let ends = |values: &[f64]| range(values.iter().copied()).map(|end| label(&end));
        assert_eq!(ends(&[55.0, 55.0]), ["27.5", "82.5"]);
        assert_eq!(ends(&[0.0]), ["0", "1"]);
        assert_eq!(ends(&[-2.0]), ["-3", "-1"]);
        assert_eq!(ends(&[0.0, 100.0]), ["0", "105"]);
    }
}
