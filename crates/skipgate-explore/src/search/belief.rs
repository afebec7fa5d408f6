//! What masks that were evaluated tell of the blocks: a linear regression that knows how sure it is.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use skipgate_core::SkipMask;

use crate::ranking::{nested_masks, skipping_order};

/// Masks on batches of images, with the mean probability of the true class.
pub(super) struct Observations {
    gates: usize,
    seen: Vec<(SkipMask, usize, f64)>,
}

impl Observations {
    pub(super) fn new(gates: usize) -> Self {
        Self { gates, seen: vec![] }
    }

    /// Adds what `mask` gave on the images of `batch`.
    pub(super) fn push(&mut self, mask: SkipMask, batch: usize, confidence: f64) {
        self.seen.push((mask, batch, confidence));
    }

    /// The observations as the regression takes them.
    pub(super) fn table(&self) -> Table {
        let batches = self.seen.iter().map(|(_, batch, _)| batch + 1).max().unwrap_or(0);
        let mut features = DMatrix::zeros(self.seen.len(), self.gates + batches + 2);
        for ((mask, batch, _), mut row) in self.seen.iter().zip(features.row_iter_mut()) {
            for (gate, run) in mask.as_slice().iter().enumerate() {
                row[gate] = f64::from(*run);
            }
            // Some batches are harder, and skipping more costs more and more, whichever blocks they are.
            row[self.gates + batch] = 1.0;
            let share = mask.skipped() as f64 / self.gates as f64;
            row[self.gates + batches] = share;
            row[self.gates + batches + 1] = share * share;
        }
        let confidence = self.seen.iter().map(|(.., confidence)| *confidence);
        Table {
            gates: self.gates,
            features,
            confidence: DVector::from_iterator(self.seen.len(), confidence),
            skipped: self.seen.iter().map(|(mask, ..)| mask.skipped() as f64).collect(),
        }
    }
}

/// One row for each observation: the blocks that run, then the batch, then the number of skipped blocks.
pub(super) struct Table {
    gates: usize,
    features: DMatrix<f64>,
    confidence: DVector<f64>,
    skipped: Vec<f64>,
}

/// Masks count for a number of skipped blocks by their distance from it, as in a normal distribution whose standard
/// deviation is this share of all blocks.
const REACH: f64 = 1.0 / 6.0;
/// What the farthest masks count.
const LEAST: f64 = 0.01;
/// Before anything is seen, the value of a block is believed to be about as large as the noise of an observation, ...
const RIDGE: f64 = 1.0;
/// ... next to nothing is believed of everything else, ...
const VAGUE: f64 = 1e-3;
/// ... and the noise is believed to be 0.03, as if one observation had shown that: about what 100 images give.
const NOISE: f64 = 0.03;

impl Table {
    /// What is believed of the blocks when about `skipped` of them are skipped (Bishop 2006, section 3.3, with weights).
    pub(super) fn belief(&self, skipped: usize) -> Belief {
        let weight = |other: &f64| {
            let distance = (other - skipped as f64) / (REACH * self.gates as f64);
            (-distance * distance / 2.0).exp().max(LEAST)
        };
        let weights = DVector::from_iterator(self.skipped.len(), self.skipped.iter().map(weight));
        let mut weighted = self.features.clone();
        for mut column in weighted.column_iter_mut() {
            column.component_mul_assign(&weights);
        }
        let mut precision = weighted.tr_mul(&self.features);
        for feature in 0..precision.nrows() {
            precision[(feature, feature)] += if feature < self.gates { RIDGE } else { VAGUE };
        }
        let precision =
            Cholesky::new(precision).expect("a sum of squares and a positive diagonal is positive definite");
        let mean = precision.solve(&weighted.tr_mul(&self.confidence));
        let errors = &self.confidence - &self.features * &mean;
        let variance = (NOISE * NOISE + errors.component_mul(&errors).dot(&weights)) / (1.0 + weights.sum());
        Belief { gates: self.gates, mean, precision, noise: variance.sqrt() }
    }
}

/// A normal distribution over the values of the blocks: what each adds to the probability of the true class.
pub(super) struct Belief {
    gates: usize,
    mean: DVector<f64>,
    /// Inverse of the covariance, in units of the noise.
    precision: Cholesky<f64, Dyn>,
    noise: f64,
}

impl Belief {
    /// The values that are the most likely.
    pub(super) fn mean(&self) -> Vec<f64> {
        self.mean.iter().take(self.gates).copied().collect()
    }

    /// Values as likely as they are believed to be.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Vec<f64> {
        let mut deviation = DVector::from_fn(self.mean.len(), |_, _| normal(random));
        self.precision.l_dirty().tr_solve_lower_triangular_mut(&mut deviation);
        (&self.mean + self.noise * deviation).iter().take(self.gates).copied().collect()
    }
}

/// A number from the standard normal distribution (Box and Muller 1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// The mask that skips the `skipped` blocks of the least value: no other of as many is worth more in sum.
pub(super) fn most_valuable(values: &[f64], skipped: usize) -> SkipMask {
    nested_masks(&skipping_order(values)).swap_remove(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen masks of six blocks, the first of which is worth 0.2 and the others 0.01, on two batches.
    fn observations() -> Observations {
        let mut observations = Observations::new(6);
        let mut random = fastrand::Rng::with_seed(3);
        for turn in 0..16 {
            let mask = SkipMask::from((0..6).map(|_| random.bool()).collect::<Vec<_>>());
            let batch = turn % 2;
            let confidence = mask.as_slice().iter().zip([0.2, 0.01, 0.01, 0.01, 0.01, 0.01]);
            let confidence: f64 = confidence.map(|(run, value)| if *run { value } else { 0.0 }).sum();
            observations.push(mask, batch, 0.3 + confidence - 0.1 * batch as f64);
        }
        observations
    }

    #[test]
    fn the_block_that_matters_is_found_whatever_batch_it_was_seen_on() {
        let mean = observations().table().belief(3).mean();
        let rest = mean[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(mean[0] > rest + 0.05, "{mean:?}");
        assert_eq!(most_valuable(&mean, 5).to_string(), "100000");
    }

    #[test]
    fn draws_are_as_far_apart_as_little_is_known() {
        let spread = |table: &Table| {
            let mut random = fastrand::Rng::with_seed(1);
            let belief = table.belief(3);
            let mean = belief.mean();
            let square = |_| (belief.draw(&mut random)[0] - mean[0]).powi(2);
            (0..400).map(square).sum::<f64>().sqrt() / 20.0
        };
        let nothing = spread(&Observations::new(6).table());
        assert!((nothing - NOISE).abs() < 0.1 * NOISE, "{nothing}");
        assert!(spread(&observations().table()) < 0.7 * nothing);
    }

    #[test]
    fn masks_keep_the_most_valuable_blocks() {
        assert_eq!(most_valuable(&[0.3, -0.1, 0.2, 0.0], 2).to_string(), "1010");
        assert_eq!(most_valuable(&[0.3, -0.1], 0).to_string(), "11");
    }
}
