//! How far two results are apart.

use serde::Serialize;
use skipgate_core::{ElementType, Elements};

/// Largest difference, relative to the largest logit, between two ways to compute a network in f32. Sums of up to some
/// thousand products are taken in another order, with fused multiply-adds and transforms, layer after layer: some
/// hundred units in the last place. A value that is wrong differs by a share of itself.
pub const TOLERANCE: f64 = 1e-4;

/// The same for networks that round to 8 bits on the way: a value next to the middle of two steps may fall to either
/// side, and a logit then is off by a step or two, which are a sixtieth of the largest one.
pub const QUANTIZED_TOLERANCE: f64 = 0.05;

/// The same for networks that compute with halves, which have 11 bits: a rounding is off by up to a two-thousandth, and
/// some tens of them add up.
pub const HALF_TOLERANCE: f64 = 0.02;

/// Results below this are rounding of zero: where all of them are, the difference is taken relative to this.
const SMALLEST_SCALE: f64 = 1e-6;

/// Where two results differ most, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// Relative to the largest finite magnitude of the expected values; infinite where one value is a number and the
    /// other is not, or an infinity of the other sign.
    #[serde(serialize_with = "finite")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "finite_schema"))]
    pub relative: f64,
    /// Place of the element that differs most.
    pub element: usize,
    /// What was found there.
    #[serde(serialize_with = "finite")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "finite_schema"))]
    pub found: f64,
    /// What was expected there.
    #[serde(serialize_with = "finite")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "finite_schema"))]
    pub expected: f64,
}

/// JSON has no infinities and no NaN; the text form has.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn finite<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
}

#[cfg(feature = "schema")]
fn finite_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["number", "string"] })
}

impl Difference {
    /// The largest difference between `found` and `expected`. NaN equals NaN, and an infinity itself. Bytes are relative
    /// to all that a byte can be. Wider integers and booleans count or choose something, so they are equal or differ
    /// infinitely, as results of different types and lengths do.
    pub fn between(found: Elements<'_>, expected: Elements<'_>) -> Self {
        let element_type = expected.element_type();
        let same_type = found.element_type() == element_type;
        let (found, expected) = (found.to_f64(), expected.to_f64());
        if !same_type || found.len() != expected.len() {
            let element = found.len().min(expected.len());
            let at = |values: &[f64]| values.get(element).copied().unwrap_or(f64::NAN);
            return Self { relative: f64::INFINITY, element, found: at(&found), expected: at(&expected) };
        }
        let scale = scale(element_type, &expected);
        let apart = |(element, (&found, &expected)): (usize, (&f64, &f64))| Self {
            relative: distance(found, expected) / scale,
            element,
            found,
            expected,
        };
        let all = found.iter().zip(&expected).enumerate().map(apart);
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

/// What differences of such values are relative to.
fn scale(element_type: ElementType, expected: &[f64]) -> f64 {
    match element_type {
        ElementType::F32 | ElementType::F16 => {
            let finite = expected.iter().filter(|value| value.is_finite());
            finite.fold(SMALLEST_SCALE, |scale, value| scale.max(value.abs()))
        }
        ElementType::I8 | ElementType::U8 => f64::from(u8::MAX),
        ElementType::I32 | ElementType::I64 | ElementType::Bool => f64::MIN_POSITIVE,
    }
}

/// 0 for values that are the same, NaN included; infinite where only one of them is a number.
fn distance(found: f64, expected: f64) -> f64 {
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

    fn between(found: &[f32], expected: &[f32]) -> Difference {
        Difference::between(found.into(), expected.into())
    }

    #[test]
    fn differences_are_relative_to_the_largest_expected_value() {
        let worst = between(&[1.0, -3.0, 7.5], &[1.0, -2.0, 8.0]);
        assert_eq!(worst, Difference { relative: 0.125, element: 1, found: -3.0, expected: -2.0 });
        assert!(worst.is_within(0.125) && !worst.is_within(0.1));
    }

    #[test]
    fn numbers_that_are_none_equal_only_themselves() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        let same = [nan, infinity, -infinity, 1.0];
        assert!(between(&same, &same).is_within(0.0));
        for found in
            [[nan, infinity, infinity, 1.0], [nan, infinity, -infinity, nan], [0.0, infinity, -infinity, 1.0]]
        {
            assert!(between(&found, &same).relative.is_infinite(), "{found:?}");
        }
    }

    #[test]
    fn results_of_other_lengths_differ() {
        assert!(!between(&[1.0], &[1.0, 2.0]).is_within(1e9));
        assert!(between(&[], &[]).is_within(0.0));
    }

    #[test]
    fn bytes_may_be_a_step_off_and_counts_may_not() {
        let bytes = Difference::between(Elements::U8(&[100]), Elements::U8(&[101]));
        assert!(bytes.is_within(QUANTIZED_TOLERANCE) && !bytes.is_within(TOLERANCE));
        for (found, expected) in [
            (Elements::I64(&[999_999]), Elements::I64(&[1_000_000])),
            (Elements::Bool(&[true]), Elements::Bool(&[false])),
            (Elements::I32(&[1]), Elements::I64(&[1])),
        ] {
            assert!(!Difference::between(found, expected).is_within(1e9), "{found:?}");
            assert!(Difference::between(found, found).is_within(0.0));
        }
    }

    #[test]
    fn rounding_of_zero_is_no_difference() {
        assert!(between(&[1e-12], &[0.0]).is_within(TOLERANCE));
    }
}
