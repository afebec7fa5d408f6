//! `Det`, which the compiler gets wrong where an element on the diagonal is zero.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::error::Error;
use crate::proto::NodeProto;

/// Most rows that are written out.
const MAX_ROWS: usize = 4;

/// Writes the determinant of a small matrix as a sum of products.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "Det") else { return Ok(Step::Keep) };
    let Some(shape) = context.tensor_type(input).map(|ty| ty.shape.clone()) else { return Ok(Step::Keep) };
    let Some(rows) = shape.last().copied().flatten().filter(|rows| (1..=MAX_ROWS).contains(rows)) else {
        return Err(unsupported(node, "its matrices are not known to be small"));
    };
    let mut build = Build::of(node, context);
    let places: Vec<_> = (0..).take(rows).collect();
    let result = determinant(&mut build, input, &places, &places);
    let axes = build.ints(&[-2, -1]);
    let result = build.op("Squeeze", &[&result, &axes]);
    Ok(build.finish(&[&result]))
}

/// The determinant of what `rows` and `columns` choose of the matrices of `value`, as matrices of one element.
fn determinant(build: &mut Build, value: &str, rows: &[i64], columns: &[i64]) -> String {
    let row = build.slice(value, -2, rows[0], rows[0] + 1);
    let mut sum: Option<String> = None;
    for (number, &column) in columns.iter().enumerate() {
        let element = build.slice(&row, -1, column, column + 1);
        let others: Vec<_> = columns.iter().copied().filter(|&other| other != column).collect();
        let product = if others.is_empty() {
            element
        } else {
            let minor = determinant(build, value, &rows[1..], &others);
            build.op("Mul", &[&element, &minor])
        };
        sum = Some(match sum {
            None => product,
            Some(sum) => build.op(if number % 2 == 0 { "Add" } else { "Sub" }, &[&sum, &product]),
        });
    }
    sum.unwrap_or_default()
}
