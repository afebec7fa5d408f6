//! What skipping the block alone does.

use skipgate_core::SkipMask;

use super::Ranking;
use crate::{Engine, Error};

/// The paper's ranking (section II-A.3): skips each block by itself and takes the share of images that are then
/// classified wrong. One evaluation per gate, on all images of the search.
#[derive(Debug, Clone, Copy)]
pub struct Sensitivity;

impl Ranking for Sensitivity {
    fn name(&self) -> &'static str {
        "sensitivity"
    }

    fn importance(&self, engine: &mut Engine) -> Result<Vec<f64>, Error> {
        let gates = engine.gates();
        let masks =
            (0..gates).map(|gate| SkipMask::skipping(gates, &[gate])).collect::<Result<Vec<_>, _>>()?;
        let outcomes = engine.evaluate(&masks, engine.split().search())?;
        Ok(outcomes.iter().map(|outcomes| 1.0 - outcomes.accuracy().share()).collect())
    }
}
