//! What `skipgate bench` prints.

use std::path::PathBuf;

use comfy_table::CellAlignment;
use serde::{Deserialize, Serialize};
use skipgate_core::SkipMask;

use super::measure;
use super::times::Times;
use crate::latency::Latency;
use crate::report::{self, Report};

/// Everything that was measured.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Measured {
    pub(crate) artifact: PathBuf,
    pub(crate) target: String,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    /// Calls of each configuration in each round.
    pub(crate) calls: usize,
    pub(crate) configurations: Vec<Configuration>,
    /// What it takes to change the mask; empty for a network without gates.
    pub(crate) switches: Vec<Switch>,
}

/// The network at one mask.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Configuration {
    pub(crate) skipped: usize,
    mask: String,
    pub(crate) gated: Latency,
    /// The network with the same blocks removed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pruned: Option<Latency>,
    /// Gated to pruned: the median over the rounds of the ratio of the round's medians.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

/// Calls with one mask, after a call with another mask and after a call with the same one.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Switch {
    mask: String,
    changed: Latency,
    repeated: Latency,
}

impl From<&measure::Configuration> for Configuration {
    fn from(measured: &measure::Configuration) -> Self {
        let pruned = measured.pruned.as_ref().map(|pruned| &pruned.times);
        Self {
            skipped: measured.skipped,
            mask: measured.mask.to_string(),
            gated: measured.gated.latency(),
            pruned: pruned.map(Times::latency),
            ratio: pruned.map(|times| measured.gated.ratio_to(times)),
        }
    }
}

impl Configuration {
    /// With nothing measured beside it.
    pub(crate) fn alone(mask: &SkipMask, times: &Times) -> Self {
        Self {
            skipped: mask.skipped(),
            mask: mask.to_string(),
            gated: times.latency(),
            pruned: None,
            ratio: None,
        }
    }
}

impl From<&measure::Switch> for Switch {
    fn from(measured: &measure::Switch) -> Self {
        Self {
            mask: measured.mask.to_string(),
            changed: measured.changed.latency(),
            repeated: measured.repeated.latency(),
        }
    }
}

impl Report for Measured {
    fn text(&self) -> String {
        let ratios = self.configurations.iter().filter_map(|configuration| configuration.ratio);
        let worst = ratios.max_by(f64::total_cmp).map(|ratio| format!("; worst ratio {ratio:.3}"));
        format!(
            "{}\n\n{}{}, {}, {} rounds of {} calls, microseconds{}",
            self.latencies(),
            self.switch_text(),
            self.target,
            report::counted(self.threads, "thread"),
            self.rounds,
            self.calls,
            worst.unwrap_or_default()
        )
    }
}

impl Measured {
    fn latencies(&self) -> comfy_table::Table {
        let mut table = report::table(["skipped", "min", "median", "p99", "max", "pruned", "ratio"]);
        for Configuration { skipped, gated, pruned, ratio, .. } in &self.configurations {
            let mut row = vec![skipped.to_string()];
            row.extend([gated.min_us, gated.median_us, gated.p99_us, gated.max_us].map(us));
            row.push(pruned.map_or_else(|| "-".to_owned(), |pruned| us(pruned.median_us)));
            row.push(ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")));
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn switch_text(&self) -> String {
        let line = |Switch { mask, changed, repeated }: &Switch| {
            let name = if mask.contains('1') { "all-run" } else { "all-skip" };
            format!(
                "{name} after another mask: median {}, p99 {}; after the same mask: median {}, p99 {}\n",
                us(changed.median_us),
                us(changed.p99_us),
                us(repeated.median_us),
                us(repeated.p99_us)
            )
        };
        self.switches.iter().map(line).collect()
    }
}

fn us(microseconds: f64) -> String {
    format!("{microseconds:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(us: f64) -> Latency {
        Latency { min_us: us, median_us: us + 1.0, p90_us: us + 1.5, p99_us: us + 2.0, max_us: us + 3.0 }
    }

    fn measured() -> Measured {
        let configuration = |skipped, mask: &str, pruned: Option<f64>| Configuration {
            skipped,
            mask: mask.to_owned(),
            gated: latency(400.0),
            pruned: pruned.map(latency),
            ratio: pruned.map(|pruned| 400.0 / pruned),
        };
        Measured {
            artifact: PathBuf::from("a"),
            target: "host".to_owned(),
            threads: 1,
            rounds: 3,
            calls: 2,
            configurations: vec![configuration(0, "1", Some(390.0)), configuration(1, "0", None)],
            switches: vec![Switch { mask: "1".to_owned(), changed: latency(7.0), repeated: latency(8.0) }],
        }
    }

    #[test]
    fn the_table_has_a_line_per_configuration() {
        let text = measured().text();
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "skipped min median p99 max pruned ratio",
            "0 400.0 401.0 402.0 403.0 391.0 1.026",
            "1 400.0 401.0 402.0 403.0 - -",
            "",
            "all-run after another mask: median 8.0, p99 9.0; after the same mask: median 9.0, p99 10.0",
            "host, 1 thread, 3 rounds of 2 calls, microseconds; worst ratio 1.026",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn json_leaves_out_what_was_not_measured() {
        let json = serde_json::to_value(measured()).unwrap();
        assert_eq!(json["configurations"][0]["pruned"]["median_us"], 391.0);
        assert!(json["configurations"][1].get("ratio").is_none());
    }
}
