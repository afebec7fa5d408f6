//! Tensors put side by side.

use super::code::{Code, Memory, Value};
use super::direct::WORKGROUPS;
use super::{Body, Simd, divisor, extents};

/// A concatenation along any axis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Concat {
    /// Places along all axes in front of that one.
    pub(crate) places: usize,
    /// Floats of each operand at one of them.
    pub(crate) parts: Vec<usize>,
}

impl Concat {
    /// What profiles show.
    pub(super) fn name(&self) -> String {
        format!("concat_{}_of_{}", self.places, extents(&self.parts))
    }
}

/// Copies the bindings of operands into the one behind them.
pub(super) fn body(concat: &Concat, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let Concat { places, parts } = concat;
    let operands: Vec<_> =
        (0..).zip(parts).map(|(number, &floats)| code.binding(number, &[*places, floats])).collect();
    let result = code.binding(parts.len(), &[*places, parts.iter().sum()]);
    let workgroups = divisor(*places, WORKGROUPS);
    let workgroup = code.workgroup();
    let first = code.multiple(&workgroup, places / workgroups);
    code.repeat(places / workgroups, 1, |code, place| {
        let place = code.sum(&first, place);
        let mut start = 0;
        for (operand, &floats) in operands.iter().zip(parts) {
            copy(code, (operand, floats), (&result, start), &place);
            start += floats;
        }
    });
    Body { text: code.finish(), workgroups }
}

/// Copies the floats of `operand` at `place` to where they start in the result.
fn copy(
    code: &mut Code,
    (operand, floats): (&Memory, usize),
    (result, start): (&Memory, usize),
    place: &Value,
) {
    code.channels(floats, |code, number, is_vector| {
        let (from, to) = ([place.clone(), number.clone()], [place.clone(), code.offset(number, start)]);
        if is_vector {
            let value = code.load(operand, &from);
            code.store(&value, result, &to);
        } else {
            let value = code.load_one(operand, &from);
            code.store_one(&value, result, &to);
        }
    });
}
