//! The paper's method.

use skipgate_core::SkipMask;

use super::Search;
use crate::ranking::{Ranking, nested_masks, skipping_order};
use crate::{Engine, Error};

/// Skips the blocks in the order of a ranking that is made once (the paper's section II-A.4).
pub struct Nested {
    /// The ranking.
    pub ranking: Box<dyn Ranking>,
}

impl Search for Nested {
    fn masks(&self, engine: &mut Engine, _images: usize) -> Result<Vec<SkipMask>, Error> {
        Ok(nested_masks(&skipping_order(&self.ranking.importance(engine)?)))
    }
}
