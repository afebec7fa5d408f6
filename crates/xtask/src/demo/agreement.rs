//! Comparing logits with labels and with other logits.

use std::cmp::Ordering;

use anyhow::{Result, ensure};

use super::tensor::Tensor;

/// Share of images whose largest logit is that of their label.
pub(super) fn accuracy(logits: &Tensor, labels: &[usize]) -> Result<f64> {
    let classes = classes(logits);
    ensure!(classes.len() == labels.len(), "{} images have {} labels", classes.len(), labels.len());
    Ok(share(classes.iter().zip(labels).map(|(class, label)| class == label)))
}

/// Share of images for which both have their largest logit at the same class.
pub(super) fn top1_agreement(a: &Tensor, b: &Tensor) -> Result<f64> {
    check_shapes(a, b)?;
    Ok(share(classes(a).iter().zip(classes(b)).map(|(a, b)| *a == b)))
}

/// Over all images, the largest absolute difference between two logits divided by the largest absolute logit that the
/// reference has for that image.
pub(super) fn largest_relative_difference(found: &Tensor, reference: &Tensor) -> Result<f64> {
    check_shapes(found, reference)?;
    let per_image = found.images().zip(reference.images()).map(|(found, reference)| {
        let scale = largest(reference.iter().map(|value| value.abs()));
        largest(found.iter().zip(reference).map(|(a, b)| (a - b).abs())) / scale
    });
    Ok(largest(per_image).into())
}

fn check_shapes(a: &Tensor, b: &Tensor) -> Result<()> {
    ensure!(a.shape() == b.shape(), "logits of shape {:?} and {:?} are not comparable", a.shape(), b.shape());
    Ok(())
}

/// The largest of `values`; a NaN counts as largest of all, so that it shows.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.max_by(f32::total_cmp).unwrap_or_default()
}

/// The class of the largest logit, for every image.
fn classes(logits: &Tensor) -> Vec<usize> {
    let largest = |image: &[f32]| {
        let by_logit = |a: &(usize, &f32), b: &(usize, &f32)| -> Ordering { a.1.total_cmp(b.1) };
        image.iter().enumerate().max_by(by_logit).map_or(0, |(class, _)| class)
    };
    logits.images().map(largest).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of images are small")]
fn share(of: impl ExactSizeIterator<Item = bool>) -> f64 {
    let all = of.len();
    of.filter(|hit| *hit).count() as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(values: &[f32]) -> Tensor {
        Tensor::new(vec![values.len() / 2, 2], values.to_vec()).unwrap()
    }

    #[test]
    fn accuracy_is_the_share_of_right_classes() {
        let logits = logits(&[0.0, 1.0, 3.0, -1.0, -2.0, -1.0, 5.0, 9.0]);
        assert_eq!(accuracy(&logits, &[1, 0, 0, 1]).unwrap().to_string(), "0.75");
        accuracy(&logits, &[1]).unwrap_err();
    }

    #[test]
    fn agreement_is_the_share_of_equal_classes() {
        let agreement = top1_agreement(&logits(&[0.0, 1.0, 3.0, 1.0]), &logits(&[0.0, 2.0, 1.0, 3.0]));
        assert_eq!(agreement.unwrap().to_string(), "0.5");
        top1_agreement(&logits(&[0.0, 1.0]), &logits(&[0.0, 1.0, 2.0, 3.0])).unwrap_err();
    }

    #[test]
    fn differences_are_relative_to_the_largest_logit_of_the_image() {
        let difference =
            largest_relative_difference(&logits(&[1.0, -4.0, 100.0, 1.0]), &logits(&[2.0, -4.0, 100.0, 2.0]));
        assert_eq!(difference.unwrap().to_string(), "0.25");
    }

    #[test]
    fn a_nan_is_the_largest_difference() {
        let difference = largest_relative_difference(&logits(&[f32::NAN, 1.0]), &logits(&[1.0, 1.0]));
        assert!(difference.unwrap().is_nan());
    }
}
