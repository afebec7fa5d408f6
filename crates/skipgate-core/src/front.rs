//! `pareto.json`: the configurations worth having.

use serde::{Deserialize, Serialize};

use crate::{Hint, SkipMask};

/// File name of the front in an artifact folder.
pub const PARETO_FILE: &str = "pareto.json";

/// Configurations that no other one beats on both accuracy and latency (the paper's section II-A.4), by the number
/// of blocks they skip.
///
/// The file is a JSON object with the list `configurations`, each an object with at least `mask`. Fields that are not
/// listed here are passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Front {
    /// How the configurations were found; `None` if they were written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The configurations, numbered from 0.
    pub configurations: Vec<Configuration>,
}

/// A mask that was found worth having.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Configuration {
    /// The blocks that run.
    pub mask: SkipMask,
    /// Share of images classified right, from 0 to 1, on images that had no part in the choice of the mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The interval that holds the accuracy with a probability of 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_interval: Option<[f64; 2]>,
    /// Latency of one image, in the unit of [`LatencySource`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
}

/// How a front was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Provenance {
    /// Program that wrote it, such as `skipgate 0.1.0`.
    pub generator: String,
    /// SHA-256 of the ONNX file that the artifact was compiled from, in hexadecimal.
    pub model_sha256: String,
    /// SHA-256 of the data set's labels and pixels, in hexadecimal.
    pub data_sha256: String,
    /// Images that the masks were chosen on.
    pub search_images: usize,
    /// Other images, which the accuracies are of.
    pub report_images: usize,
    /// The search, as on the command line.
    pub search: String,
    /// Evaluations of one mask on one image that chose the masks.
    pub evaluations: usize,
    /// Masks that the front was chosen from.
    pub candidates: usize,
    /// What the latencies are.
    pub latency: LatencySource,
}

/// What latencies are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencySource {
    /// Microseconds or instructions.
    pub unit: LatencyUnit,
    /// Where they are from, in words.
    pub source: String,
    /// Whether each mask was measured, or calculated from the times of blocks.
    pub measured: bool,
}

/// What latencies count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LatencyUnit {
    /// Median wall time of a call.
    Microseconds,
    /// Instructions of a call, counted under emulation.
    Instructions,
}

/// The text is no front.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// Not JSON, or not the fields of a front.
    #[error("it is not a valid Pareto front: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A number that cannot be measured.
    #[error("configuration {number}: expected {expected}, found {found}")]
    Number {
        /// The configuration, from 0 on.
        number: usize,
        /// What is possible.
        expected: &'static str,
        /// The number.
        found: f64,
    },
}

impl Hint for FrontError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Syntax(_) => {
                "a front is a JSON object such as {\"configurations\": [{\"mask\": \"1101\"}]}"
            }
            Self::Number { .. } => "find the front again with `skipgate pareto`",
        };
        Some(hint.to_owned())
    }
}

impl Front {
    /// Reads a front, and checks that its numbers are possible: accuracies from 0 to 1, latencies above 0.
    pub fn from_json(text: &str) -> Result<Self, FrontError> {
        let front: Self = serde_json::from_str(text)?;
        front.configurations.iter().enumerate().try_for_each(|(number, found)| found.check(number))?;
        Ok(front)
    }

    /// The front as indented JSON with a final newline.
    ///
    /// # Panics
    ///
    /// Never: every field has a JSON form.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("every field has a JSON form");
        text.push('\n');
        text
    }
}

impl Configuration {
    fn check(&self, number: usize) -> Result<(), FrontError> {
        let accuracies = self.accuracy.iter().chain(self.accuracy_interval.iter().flatten());
        let accuracy = accuracies.copied().find(|accuracy| !(0.0..=1.0).contains(accuracy));
        let latency = self.latency.filter(|latency| !latency.is_normal() || *latency < 0.0);
        let wrong = [(accuracy, "an accuracy from 0 to 1"), (latency, "a latency above 0")];
        match wrong.into_iter().find_map(|(found, expected)| Some((found?, expected))) {
            Some((found, expected)) => Err(FrontError::Number { number, expected, found }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(mask: &str, accuracy: Option<f64>) -> Configuration {
        let mask = mask.parse().unwrap();
        Configuration {
            mask,
            accuracy,
            accuracy_interval: None,
            latency: accuracy.map(|value| 100.0 * value),
        }
    }

    fn front() -> Front {
        let configurations = vec![configuration("1111011110", Some(0.75)), configuration("1000000001", None)];
        Front { provenance: None, configurations }
    }

    #[test]
    fn a_mask_is_all_that_a_configuration_needs() {
        let text = r#"{"made_by": "x", "configurations": [{"mask": "101", "color": "red"}]}"#;
        let front = Front::from_json(text).unwrap();
        assert_eq!(front, Front { provenance: None, configurations: vec![configuration("101", None)] });
    }

    #[test]
    fn a_mask_of_other_characters_is_refused() {
        let error = Front::from_json(r#"{"configurations": [{"mask": "1x1"}]}"#).unwrap_err();
        assert!(error.to_string().contains("found `x` at position 1"), "{error}");
    }

    #[test]
    fn a_front_round_trips() {
        assert_eq!(Front::from_json(&front().to_json()).unwrap(), front());
        // Found by the fuzzer: not every way to read such a number gives the same one again.
        let text = r#"{"configurations": [{"mask": "0", "latency": 15424.4062921907245}]}"#;
        let front = Front::from_json(text).unwrap();
        assert_eq!(Front::from_json(&front.to_json()).unwrap(), front);
    }

    #[test]
    fn numbers_that_nobody_can_measure_are_refused() {
        for (field, expected) in [
            (r#""accuracy": 55"#, "configuration 0: expected an accuracy from 0 to 1, found 55"),
            (r#""accuracy_interval": [-0.1, 0.5]"#, "expected an accuracy from 0 to 1, found -0.1"),
            (r#""latency": 0"#, "expected a latency above 0, found 0"),
            (r#""latency": -3.5"#, "expected a latency above 0, found -3.5"),
        ] {
            let text = format!(r#"{{"configurations": [{{"mask": "101", {field}}}]}}"#);
            let error = Front::from_json(&text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
