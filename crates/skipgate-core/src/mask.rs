//! The skip mask: which residual blocks run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One boolean per gate, in gate order: `true` runs the block, `false` skips it (the paper's S, section II-A.2).
///
/// The text form has one digit per gate, `1` = run and `0` = skip: `"110111"` skips gate 2 of six.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct SkipMask(Vec<bool>);

/// Why a skip mask could not be made or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// The text form holds something else than `0` and `1`.
    #[error("a skip mask is written with 0 (skip) and 1 (run), found `{found}` at position {position}")]
    Character {
        /// The offending character.
        found: char,
        /// Its place, from 0.
        position: usize,
    },
    /// The mask has another length than the gate table.
    #[error("the mask has {found} entries, the model has {expected} gates")]
    Length {
        /// Number of gates.
        expected: usize,
        /// Number of entries in the mask.
        found: usize,
    },
    /// A gate number is past the end of the gate table.
    #[error("there is no gate {index}, the model has {gates} gates, numbered from 0")]
    Index {
        /// The gate number asked for.
        index: usize,
        /// Number of gates.
        gates: usize,
    },
}

impl SkipMask {
    /// The mask that runs all of `gates` blocks.
    pub fn all_run(gates: usize) -> Self {
        Self(vec![true; gates])
    }

    /// The mask that skips all of `gates` blocks.
    pub fn all_skip(gates: usize) -> Self {
        Self(vec![false; gates])
    }

    /// The mask that skips the gates listed in `skipped` (numbers from 0) and runs the others.
    pub fn skipping(gates: usize, skipped: &[usize]) -> Result<Self, MaskError> {
        let mut mask = Self::all_run(gates);
        for &index in skipped {
            *mask.0.get_mut(index).ok_or(MaskError::Index { index, gates })? = false;
        }
        Ok(mask)
    }

    /// The mask that skips the last `skipped` of `gates` blocks; all of them if there are no more.
    pub fn skipping_last(gates: usize, skipped: usize) -> Self {
        Self((0..gates).map(|gate| gate + skipped < gates).collect())
    }

    /// Number of gates.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the model has no gate at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of blocks that run.
    pub fn running(&self) -> usize {
        self.0.iter().filter(|run| **run).count()
    }

    /// Number of blocks that are skipped.
    pub fn skipped(&self) -> usize {
        self.len() - self.running()
    }

    /// One boolean per gate, `true` = run.
    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// Becomes this mask of the same length, in the memory that it has.
    ///
    /// # Errors
    ///
    /// [`MaskError::Length`] if `run` has another length; then nothing changes.
    pub fn set(&mut self, run: &[bool]) -> Result<(), MaskError> {
        if run.len() != self.len() {
            return Err(MaskError::Length { expected: self.len(), found: run.len() });
        }
        self.0.copy_from_slice(run);
        Ok(())
    }

    /// Checks the length against a model with `gates` gates.
    pub fn check_len(&self, gates: usize) -> Result<(), MaskError> {
        if self.len() == gates {
            Ok(())
        } else {
            Err(MaskError::Length { expected: gates, found: self.len() })
        }
    }
}

/// Every `step`-th number of blocks that can be skipped of `gates`, from none, and all: what a sweep over the depth of a
/// network measures.
///
/// # Panics
///
/// If `step` is 0.
pub fn depths(gates: usize, step: usize) -> Vec<usize> {
    let mut depths: Vec<_> = (0..=gates).step_by(step).collect();
    if depths.last() != Some(&gates) {
        depths.push(gates);
    }
    depths
}

impl TryFrom<String> for SkipMask {
    type Error = MaskError;

    fn try_from(text: String) -> Result<Self, MaskError> {
        text.parse()
    }
}

impl From<SkipMask> for String {
    fn from(mask: SkipMask) -> Self {
        mask.to_string()
    }
}

impl From<Vec<bool>> for SkipMask {
    fn from(run: Vec<bool>) -> Self {
        Self(run)
    }
}

impl FromStr for SkipMask {
    type Err = MaskError;

    fn from_str(text: &str) -> Result<Self, MaskError> {
        text.chars()
            .enumerate()
            .map(|(position, found)| match found {
                '1' => Ok(true),
                '0' => Ok(false),
                _ => Err(MaskError::Character { found, position }),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for SkipMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&run| f.write_str(if run { "1" } else { "0" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_all_are_always_among_the_depths() {
        assert_eq!(depths(6, 1), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(depths(6, 3), [0, 3, 6]);
        assert_eq!(depths(6, 4), [0, 4, 6]);
        assert_eq!(depths(6, 100), [0, 6]);
        assert_eq!(depths(0, 1), [0]);
    }

    #[test]
    fn a_mask_is_set_in_place_to_one_of_its_length() {
        let mut mask = SkipMask::all_run(3);
        mask.set(&[true, false, true]).unwrap();
        assert_eq!(mask.to_string(), "101");
        let error = mask.set(&[false]).unwrap_err();
        assert_eq!(error, MaskError::Length { expected: 3, found: 1 });
        assert_eq!(mask.to_string(), "101");
    }

    #[test]
    fn blocks_are_skipped_from_the_last() {
        let masks: Vec<_> = (0..=3).map(|skipped| SkipMask::skipping_last(3, skipped).to_string()).collect();
        assert_eq!(masks, ["111", "110", "100", "000"]);
    }

    #[test]
    fn text_form_round_trips() {
        let mask: SkipMask = "110101".parse().unwrap();
        assert_eq!(mask.to_string(), "110101");
        assert_eq!((mask.len(), mask.running(), mask.skipped()), (6, 4, 2));
        assert_eq!(mask, SkipMask::skipping(6, &[2, 4]).unwrap());
    }

    #[test]
    fn other_characters_are_refused_with_their_position() {
        let error = "11x".parse::<SkipMask>().unwrap_err();
        assert_eq!(error, MaskError::Character { found: 'x', position: 2 });
    }

    #[test]
    fn a_gate_number_past_the_end_is_refused() {
        let error = SkipMask::skipping(6, &[0, 6]).unwrap_err();
        assert_eq!(error.to_string(), "there is no gate 6, the model has 6 gates, numbered from 0");
    }

    #[test]
    fn a_wrong_length_names_both_lengths() {
        let error = SkipMask::all_run(5).check_len(6).unwrap_err();
        assert_eq!(error.to_string(), "the mask has 5 entries, the model has 6 gates");
        assert!(SkipMask::all_skip(6).check_len(6).is_ok());
    }
}
