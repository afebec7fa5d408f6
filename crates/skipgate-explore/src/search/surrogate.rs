//! Learns from masks of all depths what each block is worth.

use skipgate_core::SkipMask;

use super::Search;
use super::belief::{Observations, most_valuable};
use crate::{Engine, Error};

/// A block-additive surrogate, learned by Thompson sampling (Thompson 1933; for linear functions, Agrawal and Goyal
/// 2013).
///
/// A mask is taken to be worth the sum of its blocks. In each round, one mask for every number of skipped blocks is
/// evaluated on one batch: the best one for values of the blocks that are drawn as likely as what was seen makes them.
/// So the first masks are random, and the more is known the closer they are to the best. What is believed at one number
/// of skipped blocks comes from masks of all numbers, near ones above all: what a block is worth depends on what else
/// is skipped. In the end, the best mask by what is the most likely is taken, which may be one that was never evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Surrogate {
    /// The same seed gives the same masks.
    pub seed: u64,
}

impl Search for Surrogate {
    fn masks(&self, engine: &mut Engine, images: usize) -> Result<Vec<SkipMask>, Error> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let table = learn(engine, images, &mut random)?.table();
        let best = |skipped| most_valuable(&table.belief(skipped).mean(), skipped);
        Ok((1..engine.gates()).map(best).collect())
    }
}

/// Rounds of one batch and one mask for every number of skipped blocks, until `images` evaluations are spent.
fn learn(engine: &mut Engine, images: usize, random: &mut fastrand::Rng) -> Result<Observations, Error> {
    let gates = engine.gates();
    let mut observations = Observations::new(gates);
    for batch in engine.split().search() {
        let cost = (gates - 1) * engine.split().images(batch..batch + 1);
        if engine.spent() + cost > images {
            break;
        }
        let table = observations.table();
        let draw = |skipped| most_valuable(&table.belief(skipped).draw(random), skipped);
        let masks: Vec<_> = (1..gates).map(draw).collect();
        let outcomes = engine.evaluate(&masks, batch..batch + 1)?;
        for (mask, outcomes) in masks.into_iter().zip(outcomes) {
            observations.push(mask, batch, outcomes.confidence());
        }
    }
    Ok(observations)
}
