//! The transforms of Winograd's minimal filtering F(m, 3).
//!
//! They follow from interpolation: m outputs of a 3-tap filter are the product of two polynomials, evaluated at m + 1
//! points and at infinity (Cook-Toom; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016). The
//! points are 0 and pairs of opposite numbers, so that each pair shares its even and its odd part.

use super::code::{Code, Value};

/// Taps of the filters.
pub(super) const TAPS: usize = 3;

/// F(m, 3) in one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Transform {
    /// m: outputs of a tile. Even.
    outputs: usize,
}

/// The pairs of points after 0, in the order in which larger tiles add them.
const PAIRS: [f64; 3] = [1.0, 2.0, 0.5];

impl Transform {
    /// The position in two dimensions whose point is 1 in both: each output has it once.
    pub(super) const ONE: (usize, usize) = (1, 1);

    /// F(2, 3), F(4, 3) or F(6, 3), by the number of outputs.
    pub(super) fn of_outputs(outputs: usize) -> Option<Self> {
        [2, 4, 6].contains(&outputs).then_some(Self { outputs })
    }

    pub(super) fn outputs(self) -> usize {
        self.outputs
    }

    /// Inputs of a tile.
    pub(super) fn inputs(self) -> usize {
        self.outputs + TAPS - 1
    }

    fn pairs(self) -> &'static [f64] {
        &PAIRS[..self.outputs / 2]
    }

    /// All finite points: 0, then p and -p of each pair.
    fn points(self) -> Vec<f64> {
        [0.0].into_iter().chain(self.pairs().iter().flat_map(|&p| [p, -p])).collect()
    }

    /// What the taps of a filter are multiplied by, for each number of its transform.
    fn filter_factors(self) -> Vec<[f64; TAPS]> {
        let points = self.points();
        let at = |(index, &point): (usize, &f64)| {
            let others = points.iter().enumerate().filter(|&(other, _)| other != index);
            let scale: f64 = others.map(|(_, other)| point - other).product();
            [1.0 / scale, point / scale, point * point / scale]
        };
        points.iter().enumerate().map(at).chain([[0.0, 0.0, 1.0]]).collect()
    }

    /// Transforms the taps of a filter.
    pub(super) fn filter(self, code: &mut Code, taps: &[Value; TAPS]) -> Vec<Value> {
        self.filter_factors().iter().map(|factors| combination(code, factors, taps)).collect()
    }

    /// Transforms the inputs of a tile.
    pub(super) fn input(self, code: &mut Code, inputs: &[Value]) -> Vec<Value> {
        let points = self.points();
        let without = |index: usize| {
            let others = points.iter().enumerate().filter(|&(other, _)| other != index);
            polynomial(others.map(|(_, &point)| point))
        };
        let mut results = vec![combination(code, &without(0), inputs)];
        for number in 0..self.pairs().len() {
            let row = without(1 + 2 * number);
            let (even, odd) = (parity(&row, 0), parity(&row, 1));
            let (even, odd) = (combination(code, &even, inputs), combination_up_to_scale(code, &odd, inputs));
            results.extend(plus_minus(code, &even, &odd));
        }
        let all = polynomial(points.iter().copied());
        results.push(combination(code, &all, inputs));
        results
    }

    /// The outputs of a tile from their transform.
    pub(super) fn output(self, code: &mut Code, transformed: &[Value]) -> Vec<Value> {
        let [zero, pairs @ .., infinity] = transformed else {
            unreachable!("a tile has at least four inputs")
        };
        let pairs: Vec<_> = pairs
            .chunks(2)
            .map(|pair| (code.add(&pair[0], &pair[1]), code.subtract(&pair[0], &pair[1])))
            .collect();
        let mut outputs = Vec::new();
        for power in 0..self.outputs {
            let mut terms = Vec::new();
            if power == 0 {
                terms.push((1.0, zero.clone()));
            }
            if power + 1 == self.outputs {
                terms.push((1.0, infinity.clone()));
            }
            for ((sum, difference), point) in pairs.iter().zip(self.pairs()) {
                let value = if power % 2 == 0 { sum } else { difference };
                terms.push((point.powi(i32::try_from(power).expect("a small power")), value.clone()));
            }
            outputs.push(weighted_sum(code, &terms));
        }
        outputs
    }
}

/// Coefficients of the product of `x - root` over all roots, constant term first.
fn polynomial(roots: impl Iterator<Item = f64>) -> Vec<f64> {
    roots.fold(vec![1.0], |polynomial, root| {
        let mut product = vec![0.0; polynomial.len() + 1];
        for (power, coefficient) in polynomial.iter().enumerate() {
            product[power + 1] += coefficient;
            product[power] -= root * coefficient;
        }
        product
    })
}

/// The coefficients of the powers of one parity, zeros for the others.
fn parity(polynomial: &[f64], parity: usize) -> Vec<f64> {
    polynomial.iter().enumerate().map(|(power, &c)| if power % 2 == parity { c } else { 0.0 }).collect()
}

/// A value times a number.
struct Scaled {
    factor: f64,
    value: Value,
}

fn combination(code: &mut Code, coefficients: &[f64], values: &[Value]) -> Value {
    let terms: Vec<_> =
        coefficients.iter().copied().zip(values.iter().cloned()).filter(|(c, _)| *c != 0.0).collect();
    weighted_sum(code, &terms)
}

/// The combination divided by its last coefficient, and that coefficient.
fn combination_up_to_scale(code: &mut Code, coefficients: &[f64], values: &[Value]) -> Scaled {
    let factor = coefficients.iter().copied().rfind(|c| *c != 0.0).unwrap_or(1.0);
    let coefficients: Vec<_> = coefficients.iter().map(|c| c / factor).collect();
    Scaled { factor, value: combination(code, &coefficients, values) }
}

/// `even + odd` and `even - odd`.
fn plus_minus(code: &mut Code, even: &Value, odd: &Scaled) -> [Value; 2] {
    if (odd.factor - 1.0).abs() < f64::EPSILON {
        return [code.add(even, &odd.value), code.subtract(even, &odd.value)];
    }
    [odd.factor, -odd.factor].map(|factor| {
        let factor = code.constant(factor);
        code.multiply_add(&odd.value, &factor, even)
    })
}

/// The sum of the values times their factors; starts with a factor of 1 where there is one.
fn weighted_sum(code: &mut Code, terms: &[(f64, Value)]) -> Value {
    let mut terms = terms.to_vec();
    terms.sort_by_key(|(factor, _)| u8::from(factor.to_bits() != 1f64.to_bits()));
    let mut sum: Option<Value> = None;
    for (factor, value) in &terms {
        sum = Some(match sum {
            None if factor.to_bits() == 1f64.to_bits() => value.clone(),
            None => {
                let factor = code.constant(*factor);
                code.multiply(value, &factor)
            }
            Some(sum) if factor.to_bits() == 1f64.to_bits() => code.add(&sum, value),
            Some(sum) if factor.to_bits() == (-1f64).to_bits() => code.subtract(&sum, value),
            Some(sum) => {
                let factor = code.constant(*factor);
                code.multiply_add(value, &factor, &sum)
            }
        });
    }
    sum.unwrap_or_else(|| code.constant(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_four_outputs_are_transformed_as_published() {
        let [x, y, z] = [1.0, 10.0, 100.0];
        let expected = [
            x / 4.0,
            -(x + y + z) / 6.0,
            -(x - y + z) / 6.0,
            (x + 2.0 * y + 4.0 * z) / 24.0,
            (x - 2.0 * y + 4.0 * z) / 24.0,
            z,
        ];
        let found: Vec<_> =
            Transform { outputs: 4 }.filter_factors().iter().map(|[a, b, c]| a * x + b * y + c * z).collect();
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12),
            "{found:?}"
        );
    }

    #[test]
    fn polynomials_are_products_of_their_roots() {
        assert_eq!(polynomial([1.0, -1.0, 2.0, -2.0].into_iter()), [4.0, 0.0, -5.0, 0.0, 1.0]);
        assert_eq!(parity(&[1.0, 2.0, 3.0], 1), [0.0, 2.0, 0.0]);
    }
}
