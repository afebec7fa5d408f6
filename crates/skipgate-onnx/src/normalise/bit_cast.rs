//! `BitCast` (operator set 26), of which 32-bit elements are cast where the network is compiled.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{BOOL, FLOAT, INT8, INT32, UINT8};

/// Writes the cast of an 8-bit integer to another one as a `Cast`, which keeps its bits.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let [input] = &node.input[..] else { return Step::Keep };
    let Some([from, to]) = types(node, context).filter(|_| node.op_type == "BitCast") else {
        return Step::Keep;
    };
    // A byte that is neither 0 nor 1 is no boolean.
    if !matches!((from, to), (BOOL | INT8 | UINT8, INT8 | UINT8)) && from != to {
        return Step::Keep;
    }
    let to = vec![int_attribute("to", to.into())];
    Step::nodes(Parts::of(node).finish("Cast", &[input], to))
}

/// Refuses a cast between other types.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    if node.op_type != "BitCast" || matches!(types(node, context), Some([FLOAT | INT32, FLOAT | INT32])) {
        return Ok(());
    }
    Err(unsupported(node, "it casts between other types than 8-bit integers, or 32-bit floats and integers"))
}

/// The element types of the input and of the result.
fn types(node: &NodeProto, context: &Context) -> Option<[i32; 2]> {
    let of = |name: &String| context.tensor_type(name).map(|ty| ty.element_type);
    Some([of(node.input.first()?)?, of(&node.output[0])?])
}
