//! Which blocks matter: one number per block.

mod random;
mod scores;
mod sensitivity;

use skipgate_core::SkipMask;

pub use random::Random;
#[cfg(feature = "schema")]
pub(crate) use scores::File as ScoresFile;
pub use scores::Scores;
pub use sensitivity::Sensitivity;

use crate::{Engine, Error};

/// Tells how much each block matters, taken by itself.
pub trait Ranking {
    /// Its name on the command line.
    fn name(&self) -> &str;

    /// One number per gate, the larger the more the block matters. Numbers of different rankings do not compare.
    ///
    /// # Errors
    ///
    /// When the engine fails, or the ranking is for another network.
    fn importance(&self, engine: &mut Engine) -> Result<Vec<f64>, Error>;
}

/// The gates from the least important, the first of equals first: the order to skip them in (the paper's section
/// II-A.3, read from its other end).
pub fn skipping_order(importance: &[f64]) -> Vec<usize> {
    let mut order: Vec<_> = (0..importance.len()).collect();
    order.sort_by(|a, b| importance[*a].total_cmp(&importance[*b]));
    order
}

/// The masks that skip none, the first, the first two, ... and all of the gates in `order` (the paper's section II-A.4).
pub fn nested_masks(order: &[usize]) -> Vec<SkipMask> {
    let mut run = vec![true; order.len()];
    let mut masks = vec![SkipMask::from(run.clone())];
    for &gate in order {
        run[gate] = false;
        masks.push(SkipMask::from(run.clone()));
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_are_skipped_first() {
        let order = skipping_order(&[0.3, 0.1, 0.2, 0.1]);
        assert_eq!(order, [1, 3, 2, 0]);
        let masks: Vec<_> = nested_masks(&order).iter().map(ToString::to_string).collect();
        assert_eq!(masks, ["1111", "1011", "1010", "1000", "0000"]);
    }
}
