//! The gated network beside others, at several depths.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use skipgate_plot::Line;

use super::rounds::Rounds;

/// What the gated network is compared with, and its title in tables.
const OTHERS: [(Other, &str); 6] = [
    (Other::Pruned, "statically pruned"),
    (Other::OnnxRuntime, "ONNX Runtime"),
    (Other::OnnxRuntimeGated, "ONNX Runtime, gated"),
    (Other::Ncnn, "ncnn"),
    (Other::Tract, "tract"),
    (Other::LiteRt, "LiteRT"),
];

/// Another way to compute the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Other {
    /// Compiled the same way, with the skipped blocks removed for good.
    Pruned,
    /// ONNX Runtime on the network without the skipped blocks.
    OnnxRuntime,
    /// ONNX Runtime on the gated network.
    OnnxRuntimeGated,
    /// ncnn on the network without the skipped blocks.
    Ncnn,
    /// tract on the network with all blocks.
    Tract,
    /// `LiteRT`, which hands what it can to XNNPACK, on the network with all blocks.
    LiteRt,
}

impl Other {
    /// The name of its series at `skipped` blocks; the peers only know none and all of the `gates`.
    fn series(self, skipped: usize, gates: usize) -> Option<String> {
        let peer = |none: &str, all: &str| match skipped {
            0 => Some(none.to_owned()),
            _ if skipped == gates => Some(all.to_owned()),
            _ => None,
        };
        match self {
            Self::Pruned => Some(format!("pruned {skipped}")),
            Self::OnnxRuntime => peer("onnxruntime plain", "onnxruntime pruned"),
            Self::OnnxRuntimeGated => peer("onnxruntime gated all-run", "onnxruntime gated all-skip"),
            Self::Ncnn => peer("ncnn plain", "ncnn pruned"),
            Self::Tract => (skipped == 0).then(|| "tract plain".to_owned()),
            Self::LiteRt => (skipped == 0).then(|| "litert plain".to_owned()),
        }
    }
}

/// One unit of measurement at all depths.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) unit: Unit,
    pub(super) depths: Vec<Depth>,
}

/// What the figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Median latency.
    Microseconds,
    /// Instructions of one inference.
    Instructions,
}

impl Unit {
    /// `value` with its unit.
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::Microseconds if value < 1000.0 => format!("{value:.1} µs"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Instructions => format!("{:.3} M", value / 1e6),
        }
    }
}

/// One number of skipped blocks.
#[derive(Debug, Serialize)]
pub(super) struct Depth {
    pub(super) skipped: usize,
    pub(super) gated: f64,
    pub(super) others: BTreeMap<Other, Figure>,
}

/// A figure of another network.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Figure {
    pub(super) value: f64,
    /// Of the gated network to this one: below 1 where the gated one is better.
    pub(super) ratio: f64,
}

impl Comparison {
    /// Latencies from rounds of measurement.
    pub(super) fn of_rounds(rounds: &Rounds, depths: &[usize], gates: usize) -> Self {
        let depth = |&skipped: &usize| {
            let own = format!("gated {skipped}");
            let figure = |other: Other| {
                let name = other.series(skipped, gates)?;
                let figure = Figure { value: rounds.median(&name)?, ratio: rounds.ratio(&own, &name)? };
                Some((other, figure))
            };
            let others = OTHERS.iter().filter_map(|&(other, _)| figure(other)).collect();
            Some(Depth { skipped, gated: rounds.median(&own)?, others })
        };
        Self { unit: Unit::Microseconds, depths: depths.iter().filter_map(depth).collect() }
    }

    /// The largest ratio to the statically pruned networks.
    pub(super) fn worst_overhead(&self) -> Option<f64> {
        let ratios = self.depths.iter().filter_map(|depth| Some(depth.others.get(&Other::Pruned)?.ratio));
        ratios.max_by(f64::total_cmp)
    }

    /// A row for each depth; behind each figure of another network stands how many times that the gated one takes.
    pub(super) fn table(&self, preset: &str) -> Table {
        let measured = |other| self.depths.iter().any(|depth| depth.others.contains_key(&other));
        let others: Vec<_> = OTHERS.iter().filter(|(other, _)| measured(*other)).collect();
        let mut table = Table::new();
        let titles = others.iter().map(|(_, title)| *title);
        table.load_preset(preset).set_header(["skipped", "gated"].into_iter().chain(titles));
        for Depth { skipped, gated, others: figures } in &self.depths {
            let cell = |(other, _): &&(Other, &str)| match figures.get(other) {
                Some(Figure { value, ratio }) => format!("{} (×{ratio:.3})", self.shown(*value)),
                None => "-".to_owned(),
            };
            let row = [skipped.to_string(), self.shown(*gated)];
            table.add_row(row.into_iter().chain(others.iter().map(cell)));
        }
        align(&mut table);
        table
    }

    fn shown(&self, value: f64) -> String {
        self.unit.shown(value)
    }

    /// Lines for a plot: where another network only knows all blocks, what those cost.
    pub(super) fn lines(&self) -> Vec<Line> {
        let last = self.depths.last().map_or(0, |depth| depth.skipped);
        let line = |name: &str, color, value: &dyn Fn(&Depth) -> Option<f64>| Line {
            name: name.to_owned(),
            color,
            points: self.depths.iter().filter_map(|d| Some((d.skipped as f64, value(d)?))).collect(),
        };
        let level = |other, color, name: &str| {
            let value = self.depths.first()?.others.get(&other)?.value;
            let points = vec![(0.0, value), (last as f64, value)];
            Some(Line { name: format!("{name} (every block)"), color, points })
        };
        let pruned = |depth: &Depth| Some(depth.others.get(&Other::Pruned)?.value);
        let own = [line("skipgate", 0, &|depth| Some(depth.gated)), line("statically pruned", 1, &pruned)];
        let peers = [level(Other::OnnxRuntime, 2, "ONNX Runtime"), level(Other::Ncnn, 3, "ncnn")];
        own.into_iter().chain(peers.into_iter().flatten()).collect()
    }
}

/// Numbers to the right.
pub(super) fn align(table: &mut Table) {
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use comfy_table::presets;

    use super::super::rounds::Medians;
    use super::*;

    fn comparison() -> Comparison {
        let mut rounds = Rounds::default();
        let series = [
            ("gated 0", 110.0),
            ("gated 1", 51.0),
            ("pruned 0", 100.0),
            ("pruned 1", 50.0),
            ("ncnn plain", 220.0),
        ];
        let medians: Medians = series.iter().map(|&(name, us)| (name.to_owned(), us)).collect();
        rounds.push(medians);
        Comparison::of_rounds(&rounds, &[0, 1], 1)
    }

    #[test]
    fn figures_stand_beside_their_ratios() {
        let table = comparison().table(presets::NOTHING).to_string();
        let lines: Vec<_> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "skipped gated statically pruned ncnn",
            "0 110.0 µs 100.0 µs (×1.100) 220.0 µs (×0.500)",
            "1 51.0 µs 50.0 µs (×1.020) -",
        ];
        assert_eq!(lines, expected);
        assert!((comparison().worst_overhead().unwrap() - 1.1).abs() < 1e-9);
    }

    #[test]
    fn peers_are_level_lines() {
        let lines = comparison().lines();
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["skipgate", "statically pruned", "ncnn (every block)"]);
        assert_eq!(format!("{:?}", lines[2].points), "[(0.0, 220.0), (1.0, 220.0)]");
    }

    #[test]
    fn peers_only_know_none_and_all() {
        let names = [0, 1, 2].map(|skipped| Other::Ncnn.series(skipped, 2));
        assert_eq!(names, [Some("ncnn plain".to_owned()), None, Some("ncnn pruned".to_owned())]);
    }
}
