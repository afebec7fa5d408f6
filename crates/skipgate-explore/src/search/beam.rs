//! Skips one block after the other, ranking them anew each time.

use std::collections::BTreeSet;

use skipgate_core::SkipMask;

use super::Search;
use super::race::race;
use crate::{Engine, Error};

/// Beam search: of all masks that skip one block more than one of the `width` best so far, keeps the `width` best.
///
/// With a width of 1 it is greedy, and its masks are nested: each skips what the one before skips and one block more.
#[derive(Debug, Clone, Copy)]
pub struct Beam {
    /// Masks kept at every number of skipped blocks.
    pub width: usize,
}

impl Search for Beam {
    fn masks(&self, engine: &mut Engine, images: usize) -> Result<Vec<SkipMask>, Error> {
        let gates = engine.gates();
        let mut found = vec![SkipMask::all_run(gates)];
        let mut beam = found.clone();
        for skipped in 1..=gates {
            let children = children(&beam);
            // The rest of the budget, by the share of candidates that are still to come.
            let left = images.saturating_sub(engine.spent());
            let to_come: usize = (skipped..=gates).map(|depth| gates - depth + 1).sum();
            let share = left * (gates - skipped + 1) / to_come;
            beam = race(engine, children, self.width, share, skipped)?;
            found.extend(beam.first().cloned());
        }
        Ok(found)
    }
}

/// Every mask that skips one block more than one of `masks`, once.
fn children(masks: &[SkipMask]) -> Vec<SkipMask> {
    let child = |mask: &SkipMask, gate: usize| {
        let mut run = mask.as_slice().to_vec();
        std::mem::replace(&mut run[gate], false).then(|| SkipMask::from(run))
    };
    let all: BTreeSet<_> =
        masks.iter().flat_map(|mask| (0..mask.len()).filter_map(move |gate| child(mask, gate))).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_skip_one_block_more() {
        let masks = ["110", "011"].map(|text| text.parse().unwrap());
        let children: Vec<_> = children(&masks).iter().map(ToString::to_string).collect();
        assert_eq!(children, ["001", "010", "100"]);
    }
}
