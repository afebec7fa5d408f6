//! Curves that rise from 0 to 1: what activations with soft edges are made of.
//!
//! The sigmoid's exponential is 2 to a whole power, which goes into the exponent of a float, times the exponential of what is
//! left, which a polynomial gives: its relative error is 1.1e-8. Rounding adds more, so a sigmoid is off by at most 1.8e-7
//! of itself; below -87 it stays at the least float that an exponent can hold. The normal distribution's share is off by at
//! most 2e-7. `tests/kernels.rs` prints both.

use super::arm::Set;
use super::code::{Code, Value, each, each_pair};
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
/// From 5.2 on, all but 1e-7 of the normal distribution is below.
const FARTHEST_SQUARE: f64 = 27.04;
/// The share of the normal distribution between 0 and `x`, divided by `x`, is this polynomial of `2 x^2 / FARTHEST_SQUARE - 1`,
/// off by 6.4e-8, fitted at Chebyshev's nodes, lowest power first.
const SLOPE: [u32; 14] = [
    0x3E0B_367A,
    0xBD8A_BD31,
    0x3D4C_E683,
    0xBD23_8D73,
    0x3D03_07E7,
    0xBCCA_8933,
    0x3C93_15EE,
    0xBC4C_E25D,
    0x3C0C_3F0F,
    0xBB9C_ED12,
    0x3AEB_F276,
    0xBAA0_1B8D,
    0x3AA6_4409,
    0xB9FC_5295,
];
/// Bits of 1.0, which are the exponent of 2^0.
const ONE: i32 = 0x3F80_0000;
/// Bits of a float before those of its exponent.
const MANTISSA: i32 = 23;
/// Steps of Newton's that make a reciprocal of a guess with 8 right bits: each doubles them.
const STEPS: usize = 2;

impl Curve {
    /// The curve at each of some places. They are computed side by side, one step of all after the other, so that they share
    /// the registers of constants and need not wait for their own steps.
    pub(super) fn at(self, code: &mut Code, places: &[Value]) -> Vec<Value> {
        match self {
            Self::Sigmoid => sigmoid(code, places),
            Self::Normal => normal(code, places),
            Self::HardSigmoid { slope, middle } => {
                let [slope, middle] = [slope, middle].map(|bits| code.constant(f32::from_bits(bits).into()));
                let (zero, one) = (code.constant(0.0), code.constant(1.0));
                let line = each(places, |x| code.multiply_add(x, &slope, &middle));
                let line = each(&line, |line| code.at_least(line, &zero));
                each(&line, |line| code.at_most(line, &one))
            }
        }
    }
}

fn sigmoid(code: &mut Code, places: &[Value]) -> Vec<Value> {
    let (zero, one) = (code.constant(0.0), code.constant(1.0));
    let negative = each(places, |x| code.subtract(&zero, x));
    let power = exponentials(code, &negative);
    let divisor = each(&power, |power| code.add(&one, power));
    reciprocals(code, &divisor)
}

/// A half and the product of `x` with a polynomial of its square, between 0 and 1. Where the square is held, the product goes
/// on growing, so all is exact there.
fn normal(code: &mut Code, places: &[Value]) -> Vec<Value> {
    let [scale, minus_one, least, half] =
        [2.0 / FARTHEST_SQUARE, -1.0, -0.5, 0.5].map(|number| code.constant(number));
    let farthest = code.constant(FARTHEST_SQUARE);
    let square = each(places, |x| code.multiply(x, x));
    let square = each(&square, |square| code.at_most(square, &farthest));
    let place = each(&square, |square| code.multiply_add(square, &scale, &minus_one));
    let slope = polynomials(code, &place, &SLOPE);
    let distance = each_pair(places, &slope, |x, slope| code.multiply(x, slope));
    let distance = each(&distance, |distance| code.at_least(distance, &least));
    let distance = each(&distance, |distance| code.at_most(distance, &half));
    each(&distance, |distance| code.add(distance, &half))
}

/// The polynomial with these coefficients, bits of floats, the lowest power first, at each of some places.
fn polynomials(code: &mut Code, places: &[Value], coefficients: &[u32]) -> Vec<Value> {
    let (last, others) = coefficients.split_last().expect("there are some");
    let constant = |code: &mut Code, bits: u32| code.constant(f32::from_bits(bits).into());
    let last = constant(code, *last);
    let mut values = vec![last; places.len()];
    for &bits in others.iter().rev() {
        let next = constant(code, bits);
        values = each_pair(&values, places, |value, x| code.multiply_add(value, x, &next));
    }
    values
}

/// `exp(x)`, for `x` between -87 and 87; beyond, it stays as it is there.
pub(super) fn exponential(code: &mut Code, x: &Value) -> Value {
    exponentials(code, std::slice::from_ref(x)).remove(0)
}

fn exponentials(code: &mut Code, places: &[Value]) -> Vec<Value> {
    let [low, high, rounder, inverse, one] =
        [-LIMIT, LIMIT, ROUNDER.into(), std::f64::consts::LOG2_E, 1.0].map(|number| code.constant(number));
    let places = each(places, |x| code.at_least(x, &low));
    let places = each(&places, |x| code.at_most(x, &high));
    // The whole number is what is left in the lowest bits.
    let shifted = each(&places, |x| code.multiply_add(x, &inverse, &rounder));
    let whole = each(&shifted, |shifted| code.subtract(shifted, &rounder));
    let mut rest = places;
    for part in LN_2 {
        let part = code.constant(-part);
        rest = each_pair(&whole, &rest, |whole, rest| code.multiply_add(whole, &part, rest));
    }
    let value = polynomials(code, &rest, &POLYNOMIAL);
    let square = each(&rest, |rest| code.multiply(rest, rest));
    let factors = square.iter().zip(&value);
    let value: Vec<_> =
        factors.zip(&rest).map(|((square, value), rest)| code.multiply_add(square, value, rest)).collect();
    let value = each(&value, |value| code.add(value, &one));
    each_pair(&value, &shifted, |value, shifted| times_power(code, value, shifted))
}

/// `value` times 2 to the whole number in the lowest bits of `shifted`.
fn times_power(code: &mut Code, value: &Value, shifted: &Value) -> Value {
    let bits = code.bits(shifted);
    let exponent = code.shift_left(&bits, MANTISSA);
    if code.simd().arm == Some(Set::A32) {
        // Within the limits, the exponent of the product stays one of a float. What is no number has no bits down there on
        // this unit, and stays none.
        let bits = code.bits(value);
        let bits = code.add_bits(&bits, &exponent);
        return code.of_bits(&bits);
    }
    let exponent = code.add_to_bits(&exponent, ONE);
    let power = code.of_bits(&exponent);
    code.multiply(value, &power)
}

/// The reciprocals of numbers from 1 on.
fn reciprocals(code: &mut Code, numbers: &[Value]) -> Vec<Value> {
    if code.simd().divides || code.simd().lanes == 1 {
        let one = code.constant(1.0);
        return each(numbers, |number| code.divide(&one, number));
    }
    let mut guesses = each(numbers, |number| code.reciprocal_guess(number));
    for _ in 0..STEPS {
        let corrections = each_pair(numbers, &guesses, |number, guess| code.reciprocal_step(number, guess));
        guesses = each_pair(&guesses, &corrections, |guess, correction| code.multiply(guess, correction));
    }
    guesses
}
