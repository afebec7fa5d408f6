//! `pareto.json` and `pareto.bin`: the configurations worth having.

use serde::{Deserialize, Serialize};

use crate::{Hint, MaskError, SkipMask};

/// File name of the front in an artifact folder.
pub const PARETO_FILE: &str = "pareto.json";
/// File name of its compact form, for programs without a JSON reader.
pub const PARETO_BINARY_FILE: &str = "pareto.bin";

/// Configurations that no other one beats on both accuracy and latency (the paper's section II-A.4), by the number
/// of blocks they skip.
///
/// The file is a JSON object with the list `configurations`, each an object with at least `mask`. Fields that are not
/// listed here are passed over.
///
/// # Compact form
///
/// What the paper deploys (section III): rows sorted by the number of skipped blocks. All numbers are little-endian.
///
/// | bytes | hold |
/// |---|---|
/// | 4 | `SKPF` |
/// | 2 | version of the format: 1 |
/// | 2 | number of gates, G |
/// | 2 | number of rows |
/// | then, per row, 4 | accuracy from 0 to 1, f32; NaN if it was not measured |
/// | 4 | latency, f32, in the unit of `pareto.json`; NaN if it was not measured |
/// | G / 8, rounded up | the mask, gate 0 in the lowest bit of the first byte; 1 runs the block |
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

/// The text or the bytes are no front.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// Not JSON, or not the fields of a front.
    #[error("it is not a valid Pareto front: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Not the compact form.
    #[error("it is not a valid Pareto front: {0}")]
    Binary(&'static str),
    /// A mask has another length than the first.
    #[error("it is not a valid Pareto front: {0}")]
    Mask(#[from] MaskError),
}

impl Hint for FrontError {
    fn hint(&self) -> Option<String> {
        Some("a front is a JSON object such as {\"configurations\": [{\"mask\": \"1101\"}]}".to_owned())
    }
}

const MAGIC: [u8; 4] = *b"SKPF";
const BINARY_VERSION: u16 = 1;

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

    /// The compact form.
    ///
    /// # Errors
    ///
    /// When the masks differ in length, or there are more than 65,535 gates or configurations.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrontError> {
        let gates = self.configurations.first().map_or(0, |first| first.mask.len());
        let short = |number: usize| {
            u16::try_from(number).map_err(|_| FrontError::Binary("a number is larger than 65,535"))
        };
        let mut bytes = MAGIC.to_vec();
        for number in [BINARY_VERSION, short(gates)?, short(self.configurations.len())?] {
            bytes.extend(number.to_le_bytes());
        }
        for Configuration { mask, accuracy, latency, .. } in &self.configurations {
            mask.check_len(gates)?;
            for value in [accuracy, latency] {
                #[expect(clippy::cast_possible_truncation, reason = "the format has single precision")]
                bytes.extend(value.map_or(f32::NAN, |value| value as f32).to_le_bytes());
            }
            let bits = |eight: &[bool]| eight.iter().rev().fold(0u8, |bits, &run| bits << 1 | u8::from(run));
            bytes.extend(mask.as_slice().chunks(8).map(bits));
        }
        Ok(bytes)
    }

    /// Reads the compact form, which has no intervals and does not tell how the front was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontError> {
        let bad = FrontError::Binary;
        let rest = bytes.strip_prefix(&MAGIC).ok_or(bad("it does not start with SKPF"))?;
        let (numbers, rows) = rest.split_first_chunk::<6>().ok_or(bad("its header is cut off"))?;
        let number = |at: usize| u16::from_le_bytes([numbers[at], numbers[at + 1]]);
        if number(0) != BINARY_VERSION {
            return Err(bad("it is of another version"));
        }
        let (gates, count) = (usize::from(number(2)), usize::from(number(4)));
        let row = 8 + gates.div_ceil(8);
        if rows.len() != count * row {
            return Err(bad("it has another size than its header says"));
        }
        let configurations = rows.chunks_exact(row).map(|row| configuration(row, gates)).collect();
        Ok(Self { provenance: None, configurations })
    }
}

/// A row of the compact form, of the right size.
fn configuration(row: &[u8], gates: usize) -> Configuration {
    let value = |at: usize| {
        let value = f32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]);
        (!value.is_nan()).then_some(f64::from(value))
    };
    let run: Vec<_> = (0..gates).map(|gate| row[8 + gate / 8] >> (gate % 8) & 1 == 1).collect();
    Configuration { mask: run.into(), accuracy: value(0), accuracy_interval: None, latency: value(4) }
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
    fn both_forms_round_trip() {
        assert_eq!(Front::from_json(&front().to_json()).unwrap(), front());
        assert_eq!(Front::from_bytes(&front().to_bytes().unwrap()).unwrap(), front());
    }

    #[test]
    fn the_compact_form_is_as_documented() {
        let bytes = front().to_bytes().unwrap();
        assert_eq!(bytes[..10], [b'S', b'K', b'P', b'F', 1, 0, 10, 0, 2, 0]);
        assert_eq!(bytes[10..14], 0.75f32.to_le_bytes());
        assert_eq!(bytes[18..20], [0b1110_1111, 0b01]);
        assert_eq!(bytes.len(), 10 + 2 * 10);
    }

    #[test]
    fn a_damaged_compact_form_is_refused() {
        let bytes = front().to_bytes().unwrap();
        for length in 0..bytes.len() {
            Front::from_bytes(&bytes[..length]).unwrap_err();
        }
        Front::from_bytes(&[&bytes[..], &[0]].concat()).unwrap_err();
        Front::from_bytes(&[&bytes[..4], &[2], &bytes[5..]].concat()).unwrap_err();
    }

    #[test]
    fn masks_of_different_lengths_have_no_compact_form() {
        let configurations = vec![configuration("11", None), configuration("111", None)];
        let error = Front { provenance: None, configurations }.to_bytes().unwrap_err();
        assert!(error.to_string().ends_with("the mask has 3 entries, the model has 2 gates"), "{error}");
    }
}
