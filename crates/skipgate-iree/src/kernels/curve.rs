//! Curves that rise from 0 to 1: what activations with soft edges are made of.
//!
//! The sigmoid's exponential is 2 to a whole power, which goes into the exponent of a float, times the exponential of what is
//! left, which a polynomial gives: its relative error is 1.1e-8. Rounding adds more, so a sigmoid is off by at most 1.4e-7
//! of itself, and the normal distribution's share by 2.1e-6, as `tests/kernels.rs` prints; below -87 and -12 they stay about as
//! small as a float can be.

use super::code::{Code, Value};
use super::output::ROUNDER;

/// A curve. Numbers are bits of floats, so that curves can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Curve {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The share of the normal distribution that is below `x`: `(1 + erf(x / sqrt(2))) / 2`.
    Normal,
    /// `slope * x + middle`, between 0 and 1.
    HardSigmoid { slope: u32, middle: u32 },
}

/// Where exponentials of floats end.
const LIMIT: f64 = 87.0;
/// The polynomial `(exp(r) - 1 - r) / r^2` for `r` up to half of ln 2, fitted at Chebyshev's nodes, lowest power first.
const POLYNOMIAL: [u32; 5] = [0x3F00_0000, 0x3E2A_AA6E, 0x3D2A_AA75, 0x3C09_05B3, 0x3AB6_A18D];
/// ln 2 in two parts; products of the first one with whole numbers up to 2^14 are exact.
const LN_2: [f64; 2] = [0.693_359_375, -2.121_944_400_546_905_8e-4];
/// Shares of the normal distribution farther from zero are no floats.
const FARTHEST: f64 = 14.0;
/// How near `x` is to zero is `1 / (1 + NEARNESS * |x|)`.
const NEARNESS: u32 = 0x3E9C_28F6;
/// The share of the normal distribution below `-|x|`, times `exp(x^2 / 2)`, is this polynomial of the nearness, without the
/// constant 0: off by 1e-7 of itself up to `|x| = 13`, fitted at Chebyshev's nodes, lowest power first.
const TAIL: [u32; 8] =
    [0x3DF9_1E41, 0x3DFA_CFE2, 0x3DD3_CE51, 0x3DF7_DA3B, 0xBD1B_8DAC, 0x3E3E_2C98, 0xBE1C_A8FC, 0x3D16_51E9];
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
            Self::Normal => normal(code, x),
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
    reciprocal(code, &divisor)
}

/// The share below `-|x|` is `exp(-x^2 / 2)` times a polynomial of `1 / (1 + NEARNESS * |x|)`; above zero it is what is left.
fn normal(code: &mut Code, x: &Value) -> Value {
    let [zero, one, minus_half, nearness] =
        [0.0, 1.0, -0.5, f32::from_bits(NEARNESS).into()].map(|number| code.constant(number));
    let opposite = code.subtract(&zero, x);
    let distance = code.at_least(x, &opposite);
    let farthest = code.constant(FARTHEST);
    let distance = code.at_most(&distance, &farthest);
    let divisor = code.multiply_add(&distance, &nearness, &one);
    let near = reciprocal(code, &divisor);
    let tail = polynomial(code, &near, &TAIL);
    let tail = code.multiply(&tail, &near);
    let exponent = code.multiply(&distance, &minus_half);
    let exponent = code.multiply(&exponent, &distance);
    let power = exponential(code, &exponent);
    let tail = code.multiply(&tail, &power);
    let rest = code.subtract(&one, &tail);
    code.by_sign(x, &rest, &tail)
}

/// The polynomial with these coefficients, bits of floats, the lowest power first.
fn polynomial(code: &mut Code, x: &Value, coefficients: &[u32]) -> Value {
    let coefficients: Vec<_> =
        coefficients.iter().map(|&bits| code.constant(f32::from_bits(bits).into())).collect();
    let add_next = |value: Value, next: &Value| code.multiply_add(&value, x, next);
    let (last, others) = coefficients.split_last().expect("there are some");
    others.iter().rev().fold(last.clone(), add_next)
}

/// `exp(x)`, for `x` between -87 and 87; beyond, it stays as it is there.
pub(super) fn exponential(code: &mut Code, x: &Value) -> Value {
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
    let value = polynomial(code, &rest, &POLYNOMIAL);
    let square = code.multiply(&rest, &rest);
    let value = code.multiply_add(&square, &value, &rest);
    let value = code.add(&value, &one);
    let bits = code.bits(&shifted);
    let exponent = code.shift_left(&bits, MANTISSA);
    let exponent = code.add_to_bits(&exponent, ONE);
    let power = code.of_bits(&exponent);
    code.multiply(&value, &power)
}

/// The reciprocal of numbers from 1 on.
fn reciprocal(code: &mut Code, x: &Value) -> Value {
    if code.simd().divides {
        let one = code.constant(1.0);
        return code.divide(&one, x);
    }
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
