//! Which images choose the masks, and which ones tell how good they are.

use std::ops::Range;

use crate::Error;
use crate::store::BATCH;

/// Seed of the order of the images, which is part of the format of the store.
const SEED: u64 = 1;

/// The images of a data set in a random order that is always the same, in batches: the first ones to search with, and
/// the second half, or what the search leaves of it, to report on. No image is for both.
#[derive(Debug, Clone)]
pub struct Split {
    order: Vec<usize>,
    search: usize,
    report: usize,
}

impl Split {
    /// Takes `search` of `images` images for the search, rounded up to whole batches; half of them by default.
    ///
    /// # Errors
    ///
    /// When none would be left to report on.
    pub fn new(images: usize, search: Option<usize>) -> Result<Self, Error> {
        let mut order: Vec<_> = (0..images).collect();
        fastrand::Rng::with_seed(SEED).shuffle(&mut order);
        let wanted = search.unwrap_or(images / 2).max(1);
        let search = wanted.div_ceil(BATCH);
        let report = search.max((images / 2).div_ceil(BATCH));
        if search * BATCH >= images {
            return Err(Error::TooFewImages { expected: wanted, found: images });
        }
        Ok(Self { order, search, report })
    }

    /// The batches to search with.
    pub fn search(&self) -> Range<usize> {
        0..self.search
    }

    /// The batches to report on.
    pub fn report(&self) -> Range<usize> {
        self.report..self.order.len().div_ceil(BATCH)
    }

    /// Positions in the data set of the images of a batch.
    pub fn batch(&self, number: usize) -> &[usize] {
        &self.order[number * BATCH..self.order.len().min((number + 1) * BATCH)]
    }

    /// Number of images in `batches`.
    pub fn images(&self, batches: Range<usize>) -> usize {
        batches.map(|number| self.batch(number).len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_in_one_batch() {
        let split = Split::new(360, None).unwrap();
        assert_eq!((split.search(), split.report()), (0..2, 2..4));
        let mut all: Vec<_> = (0..4).flat_map(|number| split.batch(number).to_vec()).collect();
        assert_ne!(all, (0..360).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..360).collect::<Vec<_>>());
        assert_eq!((split.images(0..2), split.images(2..4)), (200, 160));
    }

    #[test]
    fn the_order_is_part_of_the_format() {
        // Another order would silently give stored results to other images.
        assert_eq!(Split::new(360, None).unwrap().batch(0)[..5], [173, 229, 318, 295, 252]);
    }

    #[test]
    fn images_must_be_left_to_report_on() {
        assert_eq!(Split::new(201, Some(150)).unwrap().images(0..2), 200);
        assert!(matches!(Split::new(200, Some(150)), Err(Error::TooFewImages { expected: 150, found: 200 })));
        assert_eq!(Split::new(1000, Some(100)).unwrap().report(), 5..10);
        assert!(Split::new(0, None).is_err());
        assert!(Split::new(100, None).is_err());
    }
}
