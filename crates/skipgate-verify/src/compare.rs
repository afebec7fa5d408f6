//! How far two results are apart.

use serde::Serialize;

/// Largest difference, relative to the largest logit, between two ways to compute a network in f32. Sums of up to some
/// thousand products are taken in another order, with fused multiply-adds and transforms, layer after layer: some
/// hundred units in the last place. A value that is wrong differs by a share of itself.
pub const TOLERANCE: f64 = 1e-4;

/// The same for networks that round to 8 bits on the way: a value next to the middle of two steps may fall to either
/// side, and a logit then is off by a step or two, which are a sixtieth of the largest one.
pub const QUANTIZED_TOLERANCE: f64 = 0.05;

/// Results below this are rounding of zero: where all of them are, the difference is taken relative to this.
const SMALLEST_SCALE: f64 = 1e-6;

/// Where two results differ most, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Relative to the largest finite magnitude of the expected values; infinite where one value is a number and the
    /// other is not, or an infinity of the other sign.
    #[serde(serialize_with = "finite")]
    pub relative: f64,
    /// Place of the element that differs most.
    pub element: usize,
    /// What was found there.
    #[serde(serialize_with = "finite_f32")]
    pub found: f32,
    /// What was expected there.
    #[serde(serialize_with = "finite_f32")]
    pub expected: f32,
}

/// JSON has no infinities and no NaN; the text form has.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn finite<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn finite_f32<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f32(*value) } else { serializer.collect_str(value) }
}

impl Difference {
    /// The largest difference between `found` and `expected`. NaN equals NaN, and an infinity itself. Results of
    /// different lengths differ infinitely.
    pub fn between(found: &[f32], expected: &[f32]) -> Self {
        let finite = expected.iter().filter(|value| value.is_finite());
        let scale = finite.fold(0.0, |scale: f64, value| scale.max(f64::from(value.abs())));
        let apart = |(element, (&found, &expected)): (usize, (&f32, &f32))| Self {
            relative: distance(found, expected) / scale.max(SMALLEST_SCALE),
            element,
            found,
            expected,
        };
        if found.len() != expected.len() {
            let element = found.len().min(expected.len());
            let at = |values: &[f32]| values.get(element).copied().unwrap_or(f32::NAN);
            return Self { relative: f64::INFINITY, element, found: at(found), expected: at(expected) };
        }
        let all = found.iter().zip(expected).enumerate().map(apart);
        all.max_by(|a, b| a.relative.total_cmp(&b.relative)).unwrap_or(Self {
            relative: 0.0,
            element: 0,
            found: 0.0,
            expected: 0.0,
        })
    }

    /// The larger one of two differences.
    pub fn max(self, other: Self) -> Self {
        if other.relative > self.relative { other } else { self }
    }

    /// Whether it is no more than rounding, by `tolerance`.
    pub fn is_within(&self, tolerance: f64) -> bool {
        self.relative <= tolerance
    }
}

/// 0 for values that are the same, NaN included; infinite where only one of them is a number.
fn distance(found: f32, expected: f32) -> f64 {
    let (found, expected) = (f64::from(found), f64::from(expected));
    let same_infinity = found.is_infinite() && found.total_cmp(&expected).is_eq();
    if found.is_nan() && expected.is_nan() || same_infinity {
        return 0.0;
    }
    let distance = (found - expected).abs();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_relative_to_the_largest_expected_value() {
        let worst = Difference::between(&[1.0, -3.0, 7.5], &[1.0, -2.0, 8.0]);
        assert_eq!(worst, Difference { relative: 0.125, element: 1, found: -3.0, expected: -2.0 });
        assert!(worst.is_within(0.125) && !worst.is_within(0.1));
    }

    #[test]
    fn numbers_that_are_none_equal_only_themselves() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        let same = [nan, infinity, -infinity, 1.0];
        assert!(Difference::between(&same, &same).is_within(0.0));
        for found in
            [[nan, infinity, infinity, 1.0], [nan, infinity, -infinity, nan], [0.0, infinity, -infinity, 1.0]]
        {
            assert!(Difference::between(&found, &same).relative.is_infinite(), "{found:?}");
        }
    }

    #[test]
    fn results_of_other_lengths_differ() {
        assert!(!Difference::between(&[1.0], &[1.0, 2.0]).is_within(1e9));
        assert!(Difference::between(&[], &[]).is_within(0.0));
    }

    #[test]
    fn rounding_of_zero_is_no_difference() {
        assert!(Difference::between(&[1e-12], &[0.0]).is_within(TOLERANCE));
    }
}
