//! How well a mask does on images.

use serde::{Deserialize, Serialize};
use skipgate_core::Scores;

/// What a mask gives on some images: which were classified right, and how sure the network was of their classes.
///
/// The probability of the true class says more than right or wrong does: with it a few hundred images order masks that
/// a few thousand are needed for otherwise. It is kept in steps of 1/255.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub(crate) correct: Vec<bool>,
    pub(crate) confidence: Vec<u8>,
}

impl Outcomes {
    /// Adds an image of the class `label`, for which the network gives `scores`.
    pub(crate) fn push(&mut self, scores: &[f32], kind: Scores, label: usize) {
        let probability = kind.probabilities(scores)[label];
        // The first of equal scores is the answer, as in ONNX's ArgMax.
        let (before, after) = scores.split_at(label);
        let first = before.iter().all(|score| *score < scores[label]);
        self.correct.push(first && after.iter().all(|score| *score <= scores[label]));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 255; NaN becomes 0"
        )]
        self.confidence.push((255.0 * probability).round() as u8);
    }

    /// Adds the images of `other`.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.correct.extend(&other.correct);
        self.confidence.extend(&other.confidence);
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.correct.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.correct.is_empty()
    }

    /// Share of images that were classified right.
    pub fn accuracy(&self) -> Accuracy {
        Accuracy { correct: self.correct.iter().filter(|right| **right).count(), images: self.len() }
    }

    /// Mean probability of the true class, from 0 to 1; 0 without images.
    pub fn confidence(&self) -> f64 {
        let sum: u64 = self.confidence.iter().map(|&value| u64::from(value)).sum();
        sum as f64 / 255.0 / self.len().max(1) as f64
    }

    /// Whether this mask is worse than `other` beyond doubt, by the probabilities of the true class on the images that
    /// both were evaluated on.
    ///
    /// The difference is taken image by image, which removes that some images are hard for every mask. Its mean must be
    /// more than `deviations` standard errors below zero.
    pub(crate) fn is_worse_than(&self, other: &Self, deviations: f64) -> bool {
        let differences: Vec<_> = self
            .confidence
            .iter()
            .zip(&other.confidence)
            .map(|(own, other)| f64::from(*own) - f64::from(*other))
            .collect();
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let variance =
            differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
        mean < -deviations * (variance / count).sqrt()
    }
}

/// A share of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accuracy {
    /// Images that were classified right.
    pub correct: usize,
    /// All images.
    pub images: usize,
}

impl Accuracy {
    /// From 0 to 1; 0 without images.
    pub fn share(self) -> f64 {
        self.correct as f64 / self.images.max(1) as f64
    }

    /// The interval that holds the accuracy on all images of this kind with a probability of 95 % (Wilson 1927).
    pub fn interval(self) -> [f64; 2] {
        const Z: f64 = 1.959_964;
        let n = self.images.max(1) as f64;
        let p = self.share();
        let scale = 1.0 / (1.0 + Z * Z / n);
        let center = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        [scale * (center - half), scale * (center + half)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(confidence: &[u8]) -> Outcomes {
        Outcomes { correct: vec![true; confidence.len()], confidence: confidence.to_vec() }
    }

    #[test]
    fn the_largest_logit_is_the_answer_and_the_first_of_equal_ones() {
        let mut outcomes = Outcomes::default();
        outcomes.push(&[1.0, 3.0, 2.0], Scores::Logits, 1);
        outcomes.push(&[1.0, 3.0, 3.0], Scores::Logits, 2);
        outcomes.push(&[f32::NAN; 3], Scores::Logits, 0);
        assert_eq!(outcomes.correct, [true, false, false]);
        assert_eq!(outcomes.accuracy(), Accuracy { correct: 1, images: 3 });
        assert_eq!(outcomes.confidence[2], 0);
    }

    #[test]
    fn the_confidence_is_the_probability_of_the_true_class() {
        let mut outcomes = Outcomes::default();
        outcomes.push(&[1000.0, 1000.0], Scores::Logits, 0);
        outcomes.push(&[0.2, 0.8], Scores::Probabilities, 0);
        assert_eq!(outcomes.confidence, [128, 51]);
        assert!((outcomes.confidence() - 0.351).abs() < 1e-3);
        assert_eq!(Outcomes::default().confidence().to_bits(), 0);
    }

    #[test]
    fn a_mask_is_worse_only_if_the_difference_is_beyond_doubt() {
        let worse = outcomes(&[100, 90, 110, 95, 105, 100]);
        let better = outcomes(&[120, 113, 128, 115, 124, 121]);
        assert!(worse.is_worse_than(&better, 3.0));
        assert!(!better.is_worse_than(&worse, 3.0));
        assert!(!outcomes(&[100, 200, 0]).is_worse_than(&outcomes(&[110, 150, 60]), 3.0));
        assert!(!better.is_worse_than(&better, 3.0));
        assert!(!outcomes(&[1]).is_worse_than(&outcomes(&[2]), 3.0), "one image proves nothing");
    }

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe 1998, table I: 81 of 263.
        let [low, high] = Accuracy { correct: 81, images: 263 }.interval();
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        let [low, high] = Accuracy { correct: 10, images: 10 }.interval();
        assert!(low < 0.75 && high <= 1.0 + 1e-12);
    }
}
