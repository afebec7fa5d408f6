//! Sums of two tensors, element by element.

use super::code::Code;
use super::direct::WORKGROUPS;
use super::{Body, Simd, divisor};

/// Vectors that a round of the loop adds, at most.
const ROUND: usize = 4;

/// What profiles show.
pub(super) fn name(elements: usize) -> String {
    format!("sum_{elements}")
}

/// Adds binding 1 to binding 0 into binding 2. Each element of both is read before the one in its place is written.
pub(super) fn body(elements: usize, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let [first, second, result] = [0, 1, 2].map(|number| code.binding(number, &[elements]));
    let vectors = elements / simd.lanes;
    let workgroups = divisor(vectors.max(1), WORKGROUPS);
    let own = vectors / workgroups;
    let round = divisor(own.max(1), ROUND);
    let workgroup = code.workgroup();
    let start = code.multiple(&workgroup, own * simd.lanes);
    if own > 0 {
        code.repeat(own * simd.lanes, round * simd.lanes, |code, place| {
            let place = code.sum(&start, place);
            let places: Vec<_> =
                (0..round).map(|number| [code.offset(&place, number * simd.lanes)]).collect();
            let values = |code: &mut Code, place| [&first, &second].map(|memory| code.load(memory, place));
            let pairs: Vec<_> = places.iter().map(|place| values(code, place)).collect();
            for (place, [a, b]) in places.iter().zip(pairs) {
                let sum = code.add(&a, &b);
                code.store(&sum, &result, place);
            }
        });
    }
    // What fills no vector.
    code.only_at(&workgroup, 0, |code| {
        for element in vectors * simd.lanes..elements {
            let place = [code.index(element)];
            let [a, b] = [&first, &second].map(|memory| code.load_one(memory, &place));
            let sum = code.add_one(&a, &b);
            code.store_one(&sum, &result, &place);
        }
    });
    Body { text: code.finish(), workgroups }
}
