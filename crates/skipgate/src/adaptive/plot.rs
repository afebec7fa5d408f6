//! The configuration over time.

use std::path::Path;

use anyhow::Result;
use skipgate_plot::{Figure, LegendPlace, Line, Marks, Panel};
use skipgate_workload::{Request, Score};

/// Loads that are drawn: requests that come while the network with all blocks could serve one.
pub(crate) const LOADS: [f64; 15] =
    [0.33, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0];

/// Controllers that are drawn: as many as there are colours that stay apart. The default comes last, on top of those that do
/// as well.
const DRAWN: [&str; 6] = ["oracle", "percentile", "stepwise", "two-models", "fixed", "keep-up"];

/// Draws the share of requests that are lost, and the accuracy of the others, over the load.
pub(crate) fn write_over_load(path: &Path, scores: &[(f64, Vec<Score>)]) -> Result<()> {
    let lines = |value: fn(&Score) -> Option<f64>| {
        let line = |(color, name): (usize, &&str)| {
            let point = |(load, all): &(f64, Vec<Score>)| {
                let score = all.iter().find(|score| score.name == *name)?;
                Some((*load, 100.0 * value(score)?))
            };
            Line { name: (*name).to_owned(), color, points: scores.iter().filter_map(point).collect() }
        };
        DRAWN.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let lost = lines(|score| Some(1.0 - score.deadlines_met));
    let x = "requests in the time of one with all blocks";
    let panels = vec![
        Panel::new(x, "dropped or late (%)", Marks::Lines(lost, LegendPlace::UpperLeft)),
        Panel::new(
            x,
            "accuracy of the others (%)",
            Marks::Lines(lines(|score| score.accuracy), LegendPlace::MiddleRight),
        ),
    ];
    let figure = Figure { title: String::new(), size: (1400, 600), columns: 2, panels };
    fs_err::write(path, figure.encode(path)?)?;
    Ok(())
}

/// Draws how many blocks each processed request skipped, and how many requests each network had dropped, over time.
/// `skipped` is by the number of the configuration; the gated network comes first.
pub(crate) fn write(path: &Path, skipped: &[usize], networks: &[(&str, &[Request])]) -> Result<()> {
    let mut steps = Vec::new();
    for processed in networks[0].1.iter().filter_map(Request::processed) {
        let Some(configuration) = processed.configuration else { continue };
        let (time, now) = (processed.began.as_secs_f64(), skipped[configuration] as f64);
        // Steps, not slopes: a configuration holds until the next one.
        steps.extend(steps.last().map(|(_, before)| (time, *before)));
        steps.push((time, now));
    }
    let configuration = Line { name: networks[0].0.to_owned(), color: 0, points: steps };
    let dropped = networks.iter().enumerate().map(|(color, (name, requests))| {
        let late = requests.iter().filter(|request| request.processed().is_none());
        let points =
            late.zip(1_u32..).map(|(request, count)| (request.arrived.as_secs_f64(), f64::from(count)));
        let last = requests.last().map_or(0.0, |request| request.arrived.as_secs_f64());
        let points: Vec<_> = [(0.0, 0.0)].into_iter().chain(points).collect();
        let count = points.last().map_or(0.0, |(_, count)| *count);
        Line { name: (*name).to_owned(), color, points: [points, vec![(last, count)]].concat() }
    });
    let panels = vec![
        Panel::new("time (s)", "skipped blocks", Marks::Lines(vec![configuration], LegendPlace::LowerRight)),
        Panel::new("time (s)", "requests dropped", Marks::Lines(dropped.collect(), LegendPlace::UpperLeft)),
    ];
    let figure = Figure { title: String::new(), size: (1000, 800), columns: 1, panels };
    fs_err::write(path, figure.encode(path)?)?;
    Ok(())
}
