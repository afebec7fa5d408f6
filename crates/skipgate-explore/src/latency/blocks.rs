//! Latency of any mask, from what single blocks cost where it was measured.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use skipgate_core::file::read_text;
use skipgate_core::{Gate, LatencySource, LatencyUnit, SkipMask};

use crate::Error;

/// What the network costs with everything executed, and what every block saves. Since skipped blocks leave nothing
/// behind, a mask costs the difference. Masks that were measured themselves cost what was measured.
#[derive(Debug, Clone)]
pub struct BlockCosts {
    all_run: f64,
    blocks: Vec<f64>,
    measured: HashMap<SkipMask, f64>,
    source: LatencySource,
}

/// What `skipgate bench --format json` prints, as far as it is used, or a file of the same form with `unit` and
/// `latency`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct File {
    /// The machine.
    target: String,
    /// What the latencies count.
    #[serde(default = "microseconds")]
    unit: LatencyUnit,
    configurations: Vec<Configuration>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = by_either_name))]
struct Configuration {
    mask: SkipMask,
    #[serde(alias = "gated")]
    latency: Figure,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Figure {
    /// In the unit of the file.
    Number(f64),
    /// What `skipgate bench` measured.
    Times { median_us: f64 },
}

/// `schemars` knows no other names of a field: a latency may be called `gated`, too.
#[cfg(feature = "schema")]
fn by_either_name(schema: &mut schemars::Schema) {
    let latency = schema.get("properties").and_then(|properties| properties.get("latency")).cloned();
    if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        properties.extend(latency.map(|latency| ("gated".to_owned(), latency)));
    }
    schema.insert("required".to_owned(), serde_json::json!(["mask"]));
    let either = serde_json::json!([{ "required": ["latency"] }, { "required": ["gated"] }]);
    schema.insert("oneOf".to_owned(), either);
}

fn microseconds() -> LatencyUnit {
    LatencyUnit::Microseconds
}

impl BlockCosts {
    /// Reads what `skipgate bench DIR --format json` printed on the target, or `cargo xtask instructions` counted, for a
    /// network with these gates.
    ///
    /// Every mask of the file must skip what the one with fewer skips does and more, from all-run to all-skip. What a
    /// step of several blocks saves is shared among them by their multiply-accumulate operations.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path, gates: &[Gate]) -> Result<Self, Error> {
        let bad = |found: String| Error::Latencies { path: path.to_owned(), found };
        let file: File = serde_json::from_str(&read_text(path)?).map_err(|error| bad(error.to_string()))?;
        let measured = file.configurations.into_iter().map(|Configuration { mask, latency }| match latency {
            Figure::Number(value) | Figure::Times { median_us: value } => (mask, value),
        });
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = LatencySource {
            unit: file.unit,
            source: format!("{}, calculated from the blocks in {name}", file.target),
            measured: false,
        };
        Self::new(measured.collect(), gates, source).map_err(bad)
    }

    fn new(
        mut measured: Vec<(SkipMask, f64)>,
        gates: &[Gate],
        source: LatencySource,
    ) -> Result<Self, String> {
        measured.sort_by_key(|(mask, _)| mask.skipped());
        if let Some((mask, value)) = measured.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err(format!("the latency of {mask} is {value}"));
        }
        if let Some((mask, _)) = measured.iter().find(|(mask, _)| mask.len() != gates.len()) {
            return Err(format!(
                "the mask {mask} has {} entries, the model has {} gates",
                mask.len(),
                gates.len()
            ));
        }
        let (Some((first, all_run)), Some((last, _))) = (measured.first(), measured.last()) else {
            return Err("it has no configuration".to_owned());
        };
        if first.skipped() > 0 || last.running() > 0 {
            return Err(format!("it goes from {first} to {last}, not from all-run to all-skip"));
        }
        let mut blocks = vec![0.0; gates.len()];
        for pair in measured.windows(2) {
            step(&pair[0], &pair[1], gates, &mut blocks)?;
        }
        Ok(Self { all_run: *all_run, blocks, source, measured: measured.into_iter().collect() })
    }

    /// Latency of `mask`.
    pub fn of(&self, mask: &SkipMask) -> f64 {
        let saved = || {
            self.blocks
                .iter()
                .zip(mask.as_slice())
                .filter(|(_, run)| !**run)
                .map(|(block, _)| block)
                .sum::<f64>()
        };
        self.measured.get(mask).copied().unwrap_or_else(|| self.all_run - saved())
    }

    /// Where it was measured.
    pub fn source(&self) -> &LatencySource {
        &self.source
    }
}

/// Shares what the second mask saves over the first among the blocks that it skips in addition.
fn step(
    (before, slower): &(SkipMask, f64),
    (after, faster): &(SkipMask, f64),
    gates: &[Gate],
    blocks: &mut [f64],
) -> Result<(), String> {
    let (was, is) = (before.as_slice(), after.as_slice());
    if (0..gates.len()).any(|gate| is[gate] && !was[gate]) {
        return Err(format!("{after} runs a block that {before} skips"));
    }
    let skipped: Vec<_> = (0..gates.len()).filter(|&gate| was[gate] && !is[gate]).collect();
    let macs: u64 = skipped.iter().map(|&gate| gates[gate].macs).sum();
    for gate in skipped {
        blocks[gate] = (slower - faster) * gates[gate].macs as f64 / macs.max(1) as f64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn read(text: &str) -> Result<BlockCosts, String> {
        let gate = |macs| Gate { block: String::new(), segment: 0, macs, parameters: 1 };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        BlockCosts::read(file.path(), &[10, 30, 20].map(gate))
            .map_err(|error| error.to_string().split("`: ").nth(1).unwrap().to_owned())
    }

    fn cost(costs: &BlockCosts, mask: &str) -> f64 {
        costs.of(&mask.parse().unwrap())
    }

    #[test]
    fn a_mask_costs_what_its_blocks_do() {
        let costs = read(
            r#"{"target": "odroid-xu4", "configurations": [
                {"mask": "111", "gated": {"median_us": 100.0}}, {"mask": "110", "gated": {"median_us": 90.0}},
                {"mask": "000", "gated": {"median_us": 50.0}}]}"#,
        )
        .unwrap();
        let masks = ["111", "110", "000", "011", "101", "010"];
        let found = masks.map(|mask| format!("{:.1}", cost(&costs, mask)));
        assert_eq!(found, ["100.0", "90.0", "50.0", "90.0", "70.0", "80.0"]);
        assert_eq!(costs.source().unit, LatencyUnit::Microseconds);
        assert!(costs.source().source.starts_with("odroid-xu4, calculated from"));
    }

    #[test]
    fn instructions_are_taken_as_such() {
        let text = r#"{"target": "t", "unit": "instructions", "configurations": [
            {"mask": "111", "latency": 7.0}, {"mask": "000", "latency": 1.0}]}"#;
        let costs = read(text).unwrap();
        assert_eq!(costs.source().unit, LatencyUnit::Instructions);
        assert_eq!(format!("{:.1}", cost(&costs, "101")), "4.0");
    }

    #[test]
    fn unusable_files_are_refused() {
        let file = |masks: &[(&str, &str)]| {
            let line =
                |(mask, latency): &(&str, &str)| format!(r#"{{"mask": "{mask}", "latency": {latency}}}"#);
            let lines: Vec<_> = masks.iter().map(line).collect();
            format!(r#"{{"target": "t", "configurations": [{}]}}"#, lines.join(","))
        };
        for (masks, error) in [
            (&[][..], "it has no configuration"),
            (&[("111", "1"), ("100", "0.5")], "it goes from 111 to 100, not from all-run to all-skip"),
            (&[("111", "3"), ("110", "2"), ("001", "1"), ("000", "1")], "001 runs a block that 110 skips"),
            (&[("111", "3"), ("000", "-1")], "the latency of 000 is -1"),
            (&[("11", "3"), ("00", "1")], "the mask 11 has 2 entries, the model has 3 gates"),
        ] {
            assert_eq!(read(&file(masks)).unwrap_err(), error);
        }
        assert!(read("[]").is_err());
    }
}
