//! Skips one block after the other, ranking them anew each time.

use std::collections::{BTreeMap, BTreeSet};

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
        // What was best to skip last time is likely to be among the best again.
        let mut promising: Vec<_> = (0..gates).collect();
        for skipped in 1..=gates {
            // The rest of the budget, by the share of candidates that are still to come.
            let left = images.saturating_sub(engine.spent());
            let to_come: usize = (skipped..=gates).map(|depth| gates - depth + 1).sum();
            let share = left * (gates - skipped + 1) / to_come;
            let children = children(&beam);
            let affordable =
                affordable(&children, &promising, (share / engine.split().batch_size()).max(self.width));
            let ranked = race(engine, affordable, self.width, share, skipped)?;
            let mut order: Vec<_> = ranked.iter().map(|mask| children[mask]).collect();
            order.extend(promising);
            promising = once_each(order);
            beam = ranked.into_iter().take(self.width).collect();
            found.extend(beam.first().cloned());
        }
        Ok(found)
    }
}

/// Every mask that skips one block more than one of `masks`, with the gate of that block.
fn children(masks: &[SkipMask]) -> BTreeMap<SkipMask, usize> {
    let child = |mask: &SkipMask, gate: usize| {
        let mut run = mask.as_slice().to_vec();
        std::mem::replace(&mut run[gate], false).then(|| (SkipMask::from(run), gate))
    };
    masks.iter().flat_map(|mask| (0..mask.len()).filter_map(move |gate| child(mask, gate))).collect()
}

/// At most `count` of `children`, the most promising ones.
fn affordable(children: &BTreeMap<SkipMask, usize>, promising: &[usize], count: usize) -> Vec<SkipMask> {
    let mut masks: Vec<_> = children.iter().collect();
    masks.sort_by_key(|(_, gate)| promising.iter().position(|other| other == *gate));
    masks.into_iter().take(count).map(|(mask, _)| mask.clone()).collect()
}

fn once_each(mut gates: Vec<usize>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    gates.retain(|gate| seen.insert(*gate));
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_skip_one_block_more() {
        let masks = ["110", "011"].map(|text| text.parse().unwrap());
        let children = children(&masks);
        let found: Vec<_> = children.iter().map(|(mask, gate)| format!("{mask} {gate}")).collect();
        assert_eq!(found, ["001 1", "010 2", "100 1"]);
        let affordable: Vec<_> =
            affordable(&children, &[2, 0, 1], 2).iter().map(ToString::to_string).collect();
        assert_eq!(affordable, ["010", "001"]);
    }
}
