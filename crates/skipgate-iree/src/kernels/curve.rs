//! Curves that rise from 0 to 1: what activations with soft edges are made of.
//!
//! The sigmoid's exponential is 2 to a whole power, which goes into the exponent of a float, times the exponential of what is
//! left, which a polynomial gives: its relative error is 1.1e-8. Rounding adds more, so a sigmoid is off by at most
//! 5e-7 of itself, as `tests/kernels.rs` checks; below -87 it stays at the least float that an exponent can hold.

use super::code::{Code, Value};
use super::output::ROUNDER;

/// A curve. Numbers are bits of floats, so that curves can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Curve {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `slope * x + middle`, between 0 and 1.
    HardSigmoid { slope: u32, middle: u32 },
}

/// Where exponentials of floats end.
const LIMIT: f64 = 87.0;
/// The polynomial `(exp(r) - 1 - r) / r^2` for `r` up to half of ln 2, fitted at Chebyshev's nodes, lowest power first.
const POLYNOMIAL: [u32; 5] = [0x3F00_0000, 0x3E2A_AA6E, 0x3D2A_AA75, 0x3C09_05B3, 0x3AB6_A18D];
/// ln 2 in two parts; products of the first one with whole numbers up to 2^14 are exact.
const LN_2: [f64; 2] = [0.693_359_375, -2.121_944_400_546_905_8e-4];
/// Bits of 1.0, which are the exponent of 2^0.
const ONE: i32 = 0x3F80_0000;
/// Bits of a float before those of its exponent.
const MANTISSA: i32 = 23;
/// Subtracting the bits of a float from this gives those of its reciprocal, an eighth off at most.
const RECIPROCAL: i32 = 0x7EF3_11C7;
/// Steps of Newton's that make a reciprocal of that: the error is squared by each.
const STEPS: usize = 3;

impl Curve {
    pub(super) fn at(self, code: &mut Code, x: &Value) -> Value {
        match self {
            Self::Sigmoid => sigmoid(code, x),
            Self::HardSigmoid { slope, middle } => {
                let [slope, middle] = [slope, middle].map(|bits| code.constant(f32::from_bits(bits).into()));
                let (zero, one) = (code.constant(0.0), code.constant(1.0));
                let line = code.multiply_add(x, &slope, &middle);
                let line = code.at_least(&line, &zero);
                code.at_most(&line, &one)
            }
        }
    }
}

fn sigmoid(code: &mut Code, x: &Value) -> Value {
    let (zero, one) = (code.constant(0.0), code.constant(1.0));
    let negative = code.subtract(&zero, x);
    let power = exponential(code, &negative);
    let divisor = code.add(&one, &power);
    if code.simd().divides { code.divide(&one, &divisor) } else { reciprocal(code, &divisor) }
}

fn exponential(code: &mut Code, x: &Value) -> Value {
    let [low, high, rounder, inverse, one] =
        [-LIMIT, LIMIT, ROUNDER.into(), std::f64::consts::LOG2_E, 1.0].map(|number| code.constant(number));
    let x = code.at_least(x, &low);
    let x = code.at_most(&x, &high);
    // The whole number is what is left in the lowest bits.
    let shifted = code.multiply_add(&x, &inverse, &rounder);
    let whole = code.subtract(&shifted, &rounder);
    let mut rest = x;
    for part in LN_2 {
        let part = code.constant(-part);
        rest = code.multiply_add(&whole, &part, &rest);
    }
    let polynomial = POLYNOMIAL.map(|bits| code.constant(f32::from_bits(bits).into()));
    let [first @ .., last] = &polynomial;
    let mut value = last.clone();
    for coefficient in first.iter().rev() {
        value = code.multiply_add(&value, &rest, coefficient);
    }
    let square = code.multiply(&rest, &rest);
    let value = code.multiply_add(&square, &value, &rest);
    let value = code.add(&value, &one);
    let bits = code.bits(&shifted);
    let exponent = code.shift_left(&bits, MANTISSA);
    let exponent = code.add_to_bits(&exponent, ONE);
    let power = code.of_bits(&exponent);
    code.multiply(&value, &power)
}

/// The reciprocal of numbers from 1 on, where there is no division of vectors.
fn reciprocal(code: &mut Code, x: &Value) -> Value {
    let (bits, two) = (code.bits(x), code.constant(2.0));
    let bits = code.subtract_bits_from(RECIPROCAL, &bits);
    let mut guess = code.of_bits(&bits);
    for _ in 0..STEPS {
        let product = code.multiply(x, &guess);
        let correction = code.subtract(&two, &product);
        guess = code.multiply(&guess, &correction);
    }
    guess
}
