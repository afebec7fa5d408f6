//! Which images choose the masks, and which ones tell how good they are.

use std::ops::Range;

use crate::Error;
use crate::store::BATCH;

/// Seed of the order of the images, which is part of the format of the store.
const SEED: u64 = 1;

/// Fewest images of a data set: with less than ten in each half, an accuracy says next to nothing.
const FEWEST: usize = 20;

/// The images of a data set in a random order that is always the same, in batches: the first ones to search with, and
/// the second half, or what the search leaves of it, to report on. No image is for both.
#[derive(Debug, Clone)]
pub struct Split {
    order: Vec<usize>,
    /// Images of a batch; the last one may have fewer.
    batch: usize,
    search: usize,
    report: usize,
}

impl Split {
    /// Takes `search` of `images` images for the search, rounded up to whole batches; half of them by default. Batches are of
    /// [`BATCH`] images, or of half of a data set that has fewer than two such.
    ///
    /// # Errors
    ///
    /// When there are too few images, or none would be left to report on.
    pub fn new(images: usize, search: Option<usize>) -> Result<Self, Error> {
        if images < FEWEST {
            return Err(Error::SmallDataSet { expected: FEWEST, found: images });
        }
        let mut order: Vec<_> = (0..images).collect();
        fastrand::Rng::with_seed(SEED).shuffle(&mut order);
        let batch = BATCH.min(images.div_ceil(2));
        let wanted = search.unwrap_or(images / 2).max(1);
        let search = wanted.div_ceil(batch);
        let report = search.max((images / 2).div_ceil(batch));
        if search.saturating_mul(batch) >= images {
            return Err(Error::TooFewImages { expected: wanted, found: images });
        }
        Ok(Self { order, batch, search, report })
    }

    /// Images of a batch; the last one may have fewer.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The batches to search with.
    pub fn search(&self) -> Range<usize> {
        0..self.search
    }

    /// The batches to report on.
    pub fn report(&self) -> Range<usize> {
        self.report..self.order.len().div_ceil(self.batch)
    }

    /// Positions in the data set of the images of a batch.
    pub fn batch(&self, number: usize) -> &[usize] {
        &self.order[number * self.batch..self.order.len().min((number + 1) * self.batch)]
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
        assert!(Split::new(1000, Some(usize::MAX)).is_err());
    }

    #[test]
    fn a_small_data_set_is_halved_too() {
        for images in [20, 21, 99, 100, 101, 150, 199, 200, 201] {
            let split = Split::new(images, None).unwrap();
            let halves = [split.images(split.search()), split.images(split.report())];
            assert!(
                halves[0].abs_diff(halves[1]) <= 1 && halves[0] + halves[1] == images,
                "{images}: {halves:?}"
            );
        }
        for images in [0, 1, 19] {
            let error = Split::new(images, None).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "the data set has {images} images, at least 20 are needed: half to choose masks on, half to report on"
                )
            );
        }
    }
}
