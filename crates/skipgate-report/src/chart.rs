//! The front as a picture: accuracy over latency, with what is known of either.

use maud::{Markup, html};

use crate::view::{Choice, Unit, View};

/// Room for numbers and names at the left, the right, the top and the bottom.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// What a picture is drawn on. Text in it does not shrink with the screen, so there is one for phones.
#[derive(Debug, Clone, Copy)]
struct Canvas {
    class: &'static str,
    width: f64,
    height: f64,
    /// About how many numbers an axis has.
    ticks: f64,
}

const CANVASES: [Canvas; 2] = [
    Canvas { class: "wide", width: 760.0, height: 400.0, ticks: 7.0 },
    Canvas { class: "narrow", width: 360.0, height: 300.0, ticks: 4.0 },
];

/// A configuration with a place in the picture.
struct Point<'c> {
    choice: &'c Choice,
    latency: f64,
    accuracy: f64,
}

/// From values to places on the canvas.
struct Scale {
    canvas: Canvas,
    latency: [f64; 2],
    accuracy: [f64; 2],
}

/// The front in both sizes; nothing if no configuration has both accuracy and latency.
pub(crate) fn charts(view: &View) -> Option<Markup> {
    let (front, beaten) = (points(&view.front), points(&view.beaten));
    if front.is_empty() {
        return None;
    }
    Some(html! { @for canvas in CANVASES { (chart(view, &front, &beaten, canvas)) } })
}

fn chart(view: &View, front: &[Point], beaten: &[Point], canvas: Canvas) -> Markup {
    let scale = Scale::of(front, canvas);
    let shown = |point: &&Point| scale.holds(point.latency, point.accuracy);
    let label =
        format!("Accuracy over latency of {} configurations; the table below has the numbers", front.len());
    html! {
        svg.chart.(canvas.class) viewBox={ "0 0 " (canvas.width) " " (canvas.height) } role="img" aria-label=(label) {
            (axes(&scale, view.unit))
            polyline.border points=(border(front, &scale)) {}
            @for &(latency, accuracy) in view.paper.iter().filter(|(latency, accuracy)| scale.holds(*latency, *accuracy)) {
                path.paper d=(triangle(scale.x(latency), scale.y(accuracy))) {}
            }
            @for point in beaten.iter().filter(shown) { (beaten_mark(point, &scale)) }
            @for point in front { (whisker(point, &scale)) }
            g.crosshair aria-hidden="true" {
                line.across x1=(LEFT) {} line.down y2=(canvas.height - BOTTOM) {} circle.ring r="10" {}
            }
            @for point in front { (front_mark(point, &scale)) }
        }
    }
}

fn points(choices: &[Choice]) -> Vec<Point<'_>> {
    let known = choices.iter().filter_map(|choice| Some((choice, choice.latency?, choice.accuracy?)));
    known.map(|(choice, latency, accuracy)| Point { choice, latency, accuracy }).collect()
}

/// The two axes with their numbers and names.
fn axes(scale: &Scale, unit: Unit) -> Markup {
    let Canvas { width, height, ticks, .. } = scale.canvas;
    let bottom = height - BOTTOM;
    let decimals = |step: f64| {
        if step >= 1.0 {
            0
        } else if step >= 0.1 {
            1
        } else {
            2
        }
    };
    let latencies = Ticks::of(scale.latency.map(|latency| latency / unit.divisor), ticks);
    let accuracies = Ticks::of(scale.accuracy.map(|accuracy| 100.0 * accuracy), ticks);
    html! {
        @for value in accuracies.values() {
            @let y = one(scale.y(value / 100.0));
            line.grid x1=(LEFT) x2=(width - RIGHT) y1=(y) y2=(y) {}
            text.tick.left x=(LEFT - 8.0) y=(y) { (format!("{value:.*}", decimals(accuracies.step))) }
        }
        @for value in latencies.values() {
            @let x = one(scale.x(value * unit.divisor));
            line.grid x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
            text.tick.below x=(x) y=(bottom + 16.0) { (format!("{value:.*}", decimals(latencies.step))) }
        }
        line.axis x1=(LEFT) x2=(width - RIGHT) y1=(bottom) y2=(bottom) {}
        text.name.below x=(f64::midpoint(LEFT, width - RIGHT)) y=(height - 8.0) { "latency of one image (" (unit.name) ")" }
        text.name.upright transform={ "translate(14 " (f64::midpoint(TOP, bottom)) ") rotate(-90)" } { "accuracy (%)" }
    }
}

/// A line through the configurations, from the fastest on.
fn border(front: &[Point], scale: &Scale) -> String {
    let mut sorted: Vec<_> = front.iter().map(|point| (point.latency, point.accuracy)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let place = |(latency, accuracy)| format!("{},{}", one(scale.x(latency)), one(scale.y(accuracy)));
    sorted.into_iter().map(place).collect::<Vec<_>>().join(" ")
}

/// Where the accuracy of a configuration may lie.
fn whisker(point: &Point, scale: &Scale) -> Markup {
    let x = one(scale.x(point.latency));
    html! {
        @if let Some([low, high]) = point.choice.interval {
            line.whisker x1=(x) x2=(x) y1=(one(scale.y(low))) y2=(one(scale.y(high))) {}
        }
    }
}

/// A configuration of the front, and a larger place around it to point at.
fn front_mark(point: &Point, scale: &Scale) -> Markup {
    let (x, y) = (one(scale.x(point.latency)), one(scale.y(point.accuracy)));
    html! {
        g.mark data-mask=(point.choice.mask) data-x=(x) data-y=(y) {
            circle.target cx=(x) cy=(y) r="14" {} circle.dot cx=(x) cy=(y) r="5" {}
        }
    }
}

/// A configuration that another one beats.
fn beaten_mark(point: &Point, scale: &Scale) -> Markup {
    let (x, y) = (one(scale.x(point.latency)), one(scale.y(point.accuracy)));
    html! {
        g.mark.beaten data-mask=(point.choice.mask) data-x=(x) data-y=(y) {
            circle.target cx=(x) cy=(y) r="9" {} rect.dot x=(one(x - 3.5)) y=(one(y - 3.5)) width="7" height="7" {}
        }
    }
}

pub(crate) fn triangle(x: f64, y: f64) -> String {
    format!("M{:.1} {:.1}l4.5 8h-9z", x, y - 5.0)
}

impl Scale {
    /// Holds the front with its intervals, and some room.
    fn of(front: &[Point], canvas: Canvas) -> Self {
        let accuracies = front.iter().flat_map(|point| point.choice.interval.unwrap_or([point.accuracy; 2]));
        let latencies = front.iter().map(|point| point.latency);
        Self { canvas, latency: widened(bounds(latencies)), accuracy: widened(bounds(accuracies)) }
    }

    fn x(&self, latency: f64) -> f64 {
        let [low, high] = self.latency;
        LEFT + (latency - low) / (high - low) * (self.canvas.width - LEFT - RIGHT)
    }

    fn y(&self, accuracy: f64) -> f64 {
        let [low, high] = self.accuracy;
        TOP + (high - accuracy) / (high - low) * (self.canvas.height - TOP - BOTTOM)
    }

    fn holds(&self, latency: f64, accuracy: f64) -> bool {
        let inside = |value: f64, [low, high]: [f64; 2]| low <= value && value <= high;
        inside(latency, self.latency) && inside(accuracy, self.accuracy)
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
}

fn widened([low, high]: [f64; 2]) -> [f64; 2] {
    let room = (0.06 * (high - low)).max(1e-3 * high.abs()).max(1e-9);
    [low - room, high + room]
}

/// Round numbers along an axis.
struct Ticks {
    first: f64,
    last: f64,
    step: f64,
}

impl Ticks {
    /// About `count` between `low` and `high`.
    fn of([low, high]: [f64; 2], count: f64) -> Self {
        let rough = (high - low) / count;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        Self { first: (low / step).ceil(), last: (high / step).floor(), step }
    }

    fn values(&self) -> impl Iterator<Item = f64> + use<> {
        let Self { first, last, step } = *self;
        std::iter::successors(Some(first), |number| Some(number + 1.0))
            .take_while(move |number| *number <= last)
            .map(move |number| number * step)
    }
}

/// With one digit after the point, which is less than can be seen.
fn one(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_inside_the_axis() {
        let ticks = |low, high, count| Ticks::of([low, high], count).values().collect::<Vec<_>>();
        assert_eq!(ticks(133.0, 302.0, 4.0), [150.0, 200.0, 250.0, 300.0]);
        assert_eq!(ticks(-1.0, 1.0, 4.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn a_front_of_one_configuration_has_a_scale() {
        let [low, high] = widened([0.9, 0.9]);
        assert!(low < 0.9 && 0.9 < high);
    }
}
