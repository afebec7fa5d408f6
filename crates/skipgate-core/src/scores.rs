//! What a network says of classes.

use serde::{Deserialize, Serialize};

/// What the numbers of an output are, which has one for each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// Any numbers, of which the largest one is the answer.
    #[default]
    Logits,
    /// Probabilities that add up to one: the network ends with a softmax of its own.
    Probabilities,
    /// Logarithms of such probabilities.
    LogProbabilities,
    /// A probability for each class on its own: the network ends with a sigmoid.
    IndependentProbabilities,
}

impl Scores {
    /// The probability of every class.
    pub fn probabilities(self, scores: &[f32]) -> Vec<f32> {
        match self {
            Self::Logits => softmax(scores),
            Self::Probabilities | Self::IndependentProbabilities => scores.to_vec(),
            Self::LogProbabilities => scores.iter().map(|score| score.exp()).collect(),
        }
    }
}

/// How many classes an output of `shape` has a number for: the only extent that is more than one, batch left aside, or
/// else that of the axis after the batch.
pub fn class_count(shape: &[usize]) -> usize {
    let per_image = match shape {
        [_, rest @ ..] if !rest.is_empty() => rest,
        _ => shape,
    };
    let mut several = per_image.iter().filter(|&&extent| extent != 1);
    match (several.next(), several.next()) {
        (Some(&classes), None) => classes,
        _ => per_image.first().copied().unwrap_or(1),
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials = logits.iter().map(|logit| (logit - largest).exp());
    let sum: f32 = exponentials.clone().sum();
    exponentials.map(|exponential| exponential / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_computed_only_where_the_network_did_not() {
        let logits = [0.0_f32, 2.0, 1.0];
        let probabilities = Scores::Logits.probabilities(&logits);
        assert!((probabilities[1] - 0.665_241).abs() < 1e-6);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        for kind in [Scores::Probabilities, Scores::IndependentProbabilities] {
            assert_eq!(kind.probabilities(&probabilities), probabilities);
        }
        let logarithms: Vec<_> = probabilities.iter().map(|probability| probability.ln()).collect();
        let back = Scores::LogProbabilities.probabilities(&logarithms);
        assert!(back.iter().zip(&probabilities).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn classes_are_along_the_one_axis_that_is_longer_than_one() {
        for (shape, expected) in [
            (&[1, 10][..], 10),
            (&[8, 10], 10),
            (&[10], 10),
            (&[1, 1, 10], 10),
            (&[1, 10, 1, 1], 10),
            (&[1, 21, 32, 32], 21),
            (&[1, 1], 1),
            (&[], 1),
        ] {
            assert_eq!(class_count(shape), expected, "{shape:?}");
        }
    }
}
