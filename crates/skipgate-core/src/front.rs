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
pub struct Front {
    /// How the configurations were found; `None` if they were written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The configurations, numbered from 0.
    pub configurations: Vec<Configuration>,
}

/// A mask that was found worth having.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

impl Hint for FrontError {
    fn hint(&self) -> Option<String> {
        Some("a front is a JSON object such as {\"configurations\": [{\"mask\": \"1101\"}]}".to_owned())
    }
}

impl Front {
    /// Reads a front.
    pub fn from_json(text: &str) -> Result<Self, FrontError> {
        Ok(serde_json::from_str(text)?)
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
    }
}
