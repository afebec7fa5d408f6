//! What LLVM's code for 32-bit Arm calls: arithmetic that the processor has no instruction for.
//!
//! `cargo xtask libcalls` compiles this for the board and writes the machine code into `skipgate-iree`, which hands it to
//! the linker. Each function has to come out as one piece of code that refers to nothing outside of itself, so nothing
//! here may be what LLVM would call one of these functions for; the command refuses what is.
//!
//! Out of range, casts to integers saturate and what is no number becomes 0, as in Rust and in the processor's own
//! 32-bit instructions; dividing by 0 gives 0, as its `sdiv` does. LLVM leaves all of it open.
//!
//! Processors before the Cortex-A7 and A15 do not divide at all. With the feature `software-division`, this is what they
//! need instead of the functions that do, and beside the others.

#![no_std]
#![expect(clippy::inline_always, reason = "a function that calls another is more than one piece of code")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers are taken apart into words"
)]

#[cfg(target_arch = "arm")]
mod exported;

/// 2^32.
const WORD: f64 = 4_294_967_296.0;

/// Quotient and remainder of unsigned numbers of any one type, bit by bit. The second is not zero.
macro_rules! long_division {
    ($numerator:expr, $denominator:expr) => {{
        let (numerator, denominator) = ($numerator, $denominator);
        let (mut quotient, mut rest) = (0, numerator);
        // Negative where the denominator is the larger one.
        let mut shift = denominator.leading_zeros() as i32 - numerator.leading_zeros() as i32;
        while shift >= 0 {
            let part = denominator << shift;
            if rest >= part {
                rest -= part;
                quotient |= 1 << shift;
            }
            shift -= 1;
        }
        (quotient, rest)
    }};
}

/// Quotient and remainder.
#[inline(always)]
pub fn divide(numerator: u64, denominator: u64) -> (u64, u64) {
    if (numerator | denominator) >> 32 == 0 {
        return divide_words(numerator as u32, denominator as u32);
    }
    if denominator == 0 {
        return (0, numerator);
    }
    long_division!(numerator, denominator)
}

/// The same of numbers of 32 bits, for which there is an instruction.
#[inline(always)]
fn divide_words(numerator: u32, denominator: u32) -> (u64, u64) {
    if cfg!(feature = "software-division") {
        let (quotient, rest) = divide_by_shifts(numerator, denominator);
        return (quotient.into(), rest.into());
    }
    let quotient = numerator.checked_div(denominator).unwrap_or(0);
    (quotient.into(), (numerator - quotient * denominator).into())
}

/// The same without that instruction.
#[inline(always)]
pub fn divide_by_shifts(numerator: u32, denominator: u32) -> (u32, u32) {
    if denominator == 0 {
        return (0, numerator);
    }
    long_division!(numerator, denominator)
}

/// The same of signed numbers, as [`divide_signed`].
#[inline(always)]
pub fn divide_signed_by_shifts(numerator: i32, denominator: i32) -> (i32, i32) {
    let signed =
        |magnitude: u32, negative| (if negative { magnitude.wrapping_neg() } else { magnitude }) as i32;
    let (quotient, rest) = divide_by_shifts(numerator.unsigned_abs(), denominator.unsigned_abs());
    (signed(quotient, (numerator < 0) != (denominator < 0)), signed(rest, numerator < 0))
}

/// The same of signed numbers, towards 0; the remainder has the sign of the numerator. The least number divided by -1
/// is itself.
#[inline(always)]
pub fn divide_signed(numerator: i64, denominator: i64) -> (i64, i64) {
    let (quotient, rest) = divide(numerator.unsigned_abs(), denominator.unsigned_abs());
    (signed(quotient, (numerator < 0) != (denominator < 0)), signed(rest, numerator < 0))
}

/// The number of this magnitude, modulo 2^64.
#[inline(always)]
fn signed(magnitude: u64, negative: bool) -> i64 {
    if negative { magnitude.wrapping_neg() as i64 } else { magnitude as i64 }
}

/// The integer part.
#[inline(always)]
pub fn to_u64(x: f64) -> u64 {
    // Both steps are exact: the upper half, and what is left of a number without it. Past the end both halves saturate.
    let high = (x * (1.0 / WORD)) as u32;
    let low = (x - f64::from(high) * WORD) as u32;
    u64::from(high) << 32 | u64::from(low)
}

/// The integer part.
#[inline(always)]
pub fn to_i64(x: f64) -> i64 {
    let negative = x < 0.0;
    let limit = i64::MAX.unsigned_abs() + u64::from(negative);
    let magnitude = to_u64(if negative { -x } else { x });
    signed(if magnitude > limit { limit } else { magnitude }, negative)
}

/// The nearest number, the even one of two.
#[inline(always)]
pub fn u64_to_f64(x: u64) -> f64 {
    // Both halves and the product are exact, so only the sum is rounded.
    f64::from((x >> 32) as u32) * WORD + f64::from(x as u32)
}

/// The nearest number, the even one of two.
#[inline(always)]
pub fn i64_to_f64(x: i64) -> f64 {
    f64::from((x >> 32) as i32) * WORD + f64::from(x as u32)
}

/// The nearest number, the even one of two.
#[inline(always)]
pub fn u64_to_f32(x: u64) -> f32 {
    /// What an f64 has no room for in a number that it may have no room for.
    const TAIL: u64 = (1 << 11) - 1;
    // An f64 takes all but the tail; the lowest bit that it does take says whether the tail had any. So only the step to
    // f32 rounds, and it sees all that matters.
    let exact = if x >> f64::MANTISSA_DIGITS == 0 { x } else { (x | ((x & TAIL) + TAIL)) & !TAIL };
    u64_to_f64(exact) as f32
}

/// The nearest number, the even one of two.
#[inline(always)]
pub fn i64_to_f32(x: i64) -> f32 {
    let magnitude = u64_to_f32(x.unsigned_abs());
    if x < 0 { -magnitude } else { magnitude }
}

/// The larger number; one wins over what is none.
#[inline(always)]
pub fn maximum(x: f32, y: f32) -> f32 {
    if x < y || x.is_nan() { y } else { x }
}

/// The smaller number; one wins over what is none.
#[inline(always)]
pub fn minimum(x: f32, y: f32) -> f32 {
    if x > y || x.is_nan() { y } else { x }
}

/// Towards 0.
#[inline(always)]
pub fn truncate(x: f32) -> f32 {
    const SIGN: u32 = 1 << 31;
    /// From here on all are integers.
    const INTEGERS: f32 = 8_388_608.0;
    let magnitude = f32::from_bits(x.to_bits() & !SIGN);
    if magnitude < INTEGERS {
        // What becomes 0 keeps its sign.
        f32::from_bits((magnitude as u32 as f32).to_bits() | x.to_bits() & SIGN)
    } else {
        x
    }
}

/// The bits of the nearest number of 16 bits, the even one of two.
#[inline(always)]
pub fn f64_to_f16(x: f64) -> u16 {
    // The bits of an f16 have room for eleven digits, the first of which is not written.
    const DIGITS: i32 = 10;
    const LEAST_EXPONENT: i32 = -14;
    const INFINITY: u32 = 0x7c00;
    const NAN: u32 = 0x7e00;
    let bits = x.to_bits();
    let sign = (bits >> 48) as u16 & 0x8000;
    let exponent = (bits >> 52) as i32 & 0x7ff;
    let mantissa = bits & ((1 << 52) - 1);
    if exponent == 0x7ff {
        return sign | if mantissa == 0 { INFINITY } else { NAN } as u16;
    }
    let exponent = exponent - 1023;
    // Less than half of the least number is 0, and so are all that an f64 writes without its first digit.
    if exponent < LEAST_EXPONENT - DIGITS - 1 {
        return sign;
    }
    if exponent > 15 {
        return sign | INFINITY as u16;
    }
    let scale = if exponent < LEAST_EXPONENT { LEAST_EXPONENT - exponent } else { 0 };
    let digits = mantissa | 1 << 52;
    let dropped = 52 - DIGITS + scale;
    let kept = (digits >> dropped) as u32;
    let rest = digits << (64 - dropped);
    let half = 1 << 63;
    let up = u32::from(rest > half || (rest == half && kept & 1 == 1));
    // Rounding up may carry into the exponent, up to infinity, which then is right. The first digit counts as one of it.
    let written = (exponent - LEAST_EXPONENT + scale) as u32;
    sign | ((written << DIGITS) + kept + up) as u16
}

/// The bits of the nearest number with the exponents of an f32, but 16 bits; the even one of two.
#[inline(always)]
pub fn f32_to_bf16(x: f32) -> u16 {
    const QUIET: u32 = 1 << 22;
    let bits = x.to_bits();
    let rounded = if x.is_nan() { bits | QUIET } else { bits + 0x7fff + (bits >> 16 & 1) };
    (rounded >> 16) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Around all powers of two, of both signs, and some more.
    fn integers() -> impl Iterator<Item = u64> {
        let around = |bit: u32| (-2..=2).map(move |offset| (1u64 << bit).wrapping_add_signed(offset));
        (0..64).flat_map(around).chain([0, 3, 7, 10, u64::MAX / 3, u64::MAX / 10])
    }

    /// Integers, halves between neighbours, and what is at both ends.
    fn floats() -> impl Iterator<Item = f64> {
        let numbers = integers().map(|x| x as f64);
        let special = [0.0, 0.5, 0.999, 1.5, 1e30, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN];
        numbers.flat_map(|x| [x, up(x), down(x)]).chain(special).flat_map(|x| [x, -x])
    }

    /// The next number away from 0.
    fn up(x: f64) -> f64 {
        f64::from_bits(x.to_bits() + 1)
    }

    /// The next number towards 0; of 0, what is no number.
    fn down(x: f64) -> f64 {
        f64::from_bits(x.to_bits().wrapping_sub(1))
    }

    fn assert_casts(x: u64) {
        let signed = x as i64;
        assert_eq!(u64_to_f32(x).to_bits(), (x as f32).to_bits(), "{x}");
        assert_eq!(u64_to_f64(x).to_bits(), (x as f64).to_bits(), "{x}");
        assert_eq!(i64_to_f32(signed).to_bits(), (signed as f32).to_bits(), "{signed}");
        assert_eq!(i64_to_f64(signed).to_bits(), (signed as f64).to_bits(), "{signed}");
    }

    fn assert_quotients(x: u64, y: u64) {
        let (a, b) = (x as i64, y as i64);
        let expected = (x.checked_div(y).unwrap_or(0), x.checked_rem(y).unwrap_or(x));
        assert_eq!(divide(x, y), expected, "{x} / {y}");
        let expected = if b == 0 { (0, a) } else { (a.wrapping_div(b), a.wrapping_rem(b)) };
        assert_eq!(divide_signed(a, b), expected, "{a} / {b}");
    }

    fn assert_quotients_of_words(x: u32, y: u32) {
        let (a, b) = (x as i32, y as i32);
        let expected = (x.checked_div(y).unwrap_or(0), x.checked_rem(y).unwrap_or(x));
        assert_eq!(divide_by_shifts(x, y), expected, "{x} / {y}");
        let expected = if b == 0 { (0, a) } else { (a.wrapping_div(b), a.wrapping_rem(b)) };
        assert_eq!(divide_signed_by_shifts(a, b), expected, "{a} / {b}");
    }

    fn assert_integer_part(x: f64) {
        assert_eq!(to_u64(x), x as u64, "{x}");
        assert_eq!(to_i64(x), x as i64, "{x}");
    }

    #[test]
    fn division_is_exact_at_every_end() {
        for (x, y) in integers().flat_map(|x| integers().map(move |y| (x, y))) {
            assert_quotients(x, y);
            assert_quotients_of_words(x as u32, y as u32);
        }
        assert_eq!(divide_signed(i64::MIN, -1), (i64::MIN, 0));
    }

    #[test]
    fn casts_are_exact_at_every_end() {
        integers().for_each(assert_casts);
        floats().for_each(assert_integer_part);
    }

    #[test]
    fn a_number_wins_over_what_is_none() {
        for (x, y) in [(1.0, 2.0), (2.0, 1.0), (f32::NAN, 1.0), (-1.0, f32::NAN), (f32::NEG_INFINITY, 0.5)] {
            assert_eq!((maximum(x, y), minimum(x, y)), (x.max(y), x.min(y)), "{x} {y}");
        }
        assert!(maximum(f32::NAN, f32::NAN).is_nan() && minimum(f32::NAN, f32::NAN).is_nan());
    }

    #[test]
    fn truncation_keeps_signs_and_all_that_is_no_number() {
        for x in floats().map(|x| x as f32) {
            assert_eq!(truncate(x).to_bits(), x.trunc().to_bits(), "{x}");
        }
    }

    /// The value of a finite f16.
    fn f16_value(bits: u16) -> f64 {
        let (exponent, digits) = (bits >> 10 & 31, f64::from(bits & 1023));
        let (digits, exponent) = if exponent == 0 { (digits, 1) } else { (digits + 1024.0, exponent) };
        digits * 2f64.powi(i32::from(exponent) - 25)
    }

    #[test]
    fn halves_of_an_f16_go_to_the_even_one() {
        for bits in 0..0x7c00u16 {
            let x = f16_value(bits);
            let next = if bits == 0x7bff { 65536.0 } else { f16_value(bits + 1) };
            let half = x.midpoint(next);
            assert_eq!(f64_to_f16(x), bits);
            assert_eq!(f64_to_f16(-x), bits | 0x8000);
            assert_eq!(f64_to_f16(half), bits + (bits & 1), "{half}");
            assert_eq!(f64_to_f16(down(half)), bits);
            assert_eq!(f64_to_f16(up(half)), bits + 1);
        }
        let ends = [0.0, -0.0, f64::MIN_POSITIVE, 1e300, f64::INFINITY, f64::NEG_INFINITY].map(f64_to_f16);
        assert_eq!(ends, [0, 0x8000, 0, 0x7c00, 0x7c00, 0xfc00]);
        assert_eq!(f64_to_f16(f64::NAN) & 0x7e00, 0x7e00);
    }

    #[test]
    fn halves_of_a_bf16_go_to_the_even_one() {
        for bits in (0..0x7f80u16).step_by(7).chain([0x7f7f]) {
            let at = |low: u32| f32_to_bf16(f32::from_bits(u32::from(bits) << 16 | low));
            assert_eq!(
                [at(0), at(0x7fff), at(0x8000), at(0x8001)],
                [bits, bits, bits + (bits & 1), bits + 1]
            );
        }
        assert_eq!(f32_to_bf16(f32::NEG_INFINITY), 0xff80);
        assert_eq!(f32_to_bf16(f32::from_bits(0x7f80_0001)), 0x7fc0);
    }

    proptest! {
        #[test]
        fn division_is_exact(x: u64, y: u64, shift in 0u32..64) {
            assert_quotients(x, y >> shift);
            assert_quotients(x >> shift, y >> (shift / 2));
            assert_quotients_of_words((x >> (shift / 2)) as u32, (y >> shift) as u32);
        }

        #[test]
        fn casts_are_exact(x: u64, shift in 0u32..64, y: f64) {
            assert_casts(x >> shift);
            assert_integer_part(y);
            assert_integer_part((x >> shift) as f64 / 1000.0);
        }
    }
}
