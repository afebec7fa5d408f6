//! Which masks are tried.

use skipgate_core::SkipMask;

/// Most gates of which every mask is tried.
const ALL: usize = 3;

/// All-run, all-skip, every single skip and `random` random masks, each once; every mask there is for a few gates.
pub fn masks(gates: usize, random: usize, seed: u64) -> Vec<SkipMask> {
    let mut masks = vec![SkipMask::all_run(gates), SkipMask::all_skip(gates)];
    masks.extend((0..gates).filter_map(|gate| SkipMask::skipping(gates, &[gate]).ok()));
    if gates <= ALL {
        let bits = |number: usize| (0..gates).map(|gate| number >> gate & 1 == 1).collect::<Vec<_>>().into();
        masks.extend((0..1 << gates).map(bits));
    } else {
        let mut dice = fastrand::Rng::with_seed(seed);
        masks.extend((0..random).map(|_| (0..gates).map(|_| dice.bool()).collect::<Vec<_>>().into()));
    }
    let mut unique: Vec<SkipMask> = Vec::new();
    for mask in masks {
        if !unique.contains(&mask) {
            unique.push(mask);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_run_comes_first_and_every_single_skip_is_there() {
        let six = masks(6, 8, 1);
        assert_eq!(six[..2], [SkipMask::all_run(6), SkipMask::all_skip(6)]);
        assert_eq!(six[4], "110111".parse().unwrap());
        assert!(six.len() > 8 && six == masks(6, 8, 1) && six != masks(6, 8, 2));
    }

    #[test]
    fn every_mask_of_a_few_gates_is_tried_once() {
        let sizes: Vec<_> = (0..4).map(|gates| masks(gates, 8, 1).len()).collect();
        assert_eq!(sizes, [1, 2, 4, 8]);
    }
}
