//! Which configurations are measured: one for each number of skipped blocks.

use skipgate_core::SkipMask;

/// Every `every`-th number of skipped blocks from none to all `gates`, and all.
pub(crate) fn depths(gates: usize, every: usize) -> Vec<usize> {
    let mut depths: Vec<_> = (0..=gates).step_by(every).collect();
    if depths.last() != Some(&gates) {
        depths.push(gates);
    }
    depths
}

/// The mask that skips the last `skipped` of `gates` blocks.
pub(crate) fn mask(gates: usize, skipped: usize) -> SkipMask {
    SkipMask::from((0..gates).map(|gate| gate + skipped < gates).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_all_are_always_among_the_depths() {
        assert_eq!(depths(6, 1), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(depths(6, 3), [0, 3, 6]);
        assert_eq!(depths(6, 4), [0, 4, 6]);
        assert_eq!(depths(6, 100), [0, 6]);
        assert_eq!(depths(0, 1), [0]);
    }

    #[test]
    fn blocks_are_skipped_from_the_last() {
        let masks: Vec<_> = (0..=3).map(|skipped| mask(3, skipped).to_string()).collect();
        assert_eq!(masks, ["111", "110", "100", "000"]);
    }
}
