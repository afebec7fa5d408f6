//! Any order: what a ranking must beat.

use super::Ranking;
use crate::{Engine, Error};

/// Random numbers.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// The same seed gives the same order.
    pub seed: u64,
}

impl Ranking for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn importance(&self, engine: &mut Engine) -> Result<Vec<f64>, Error> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        Ok((0..engine.gates()).map(|_| random.f64()).collect())
    }
}
