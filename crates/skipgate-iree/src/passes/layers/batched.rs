//! Products of two stacks of matrices that are both computed.

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::{Graph, NodeId, TensorType, ValueId};

use super::operands_and_result;
use crate::kernels;

/// A product that a kernel computes.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) first: ValueId,
    pub(crate) second: ValueId,
    pub(crate) result: ValueId,
    pub(crate) sizes: kernels::Product,
}

/// The product `id`, or why there is no kernel for it.
pub(super) fn product(graph: &Graph, id: NodeId) -> Result<Product, String> {
    let node = graph.node(id);
    if !node.is("MatMul") {
        return Err("both of its factors are computed".to_owned());
    }
    let [first, second, result] = operands_and_result(node)?;
    let of_floats = |value| graph.ty(value).is_some_and(|ty| ty.element_type == FLOAT);
    if !of_floats(first) || !of_floats(second) {
        return Err("its factors are not of 32-bit floats".to_owned());
    }
    let shape = |value| graph.ty(value).and_then(TensorType::static_shape).ok_or("its shapes are not known");
    let (a, b, y) = (shape(first)?, shape(second)?, shape(result)?);
    let ([a_batches @ .., rows, common], [b_batches @ .., common_of_second, columns]) = (&a[..], &b[..])
    else {
        return Err("one of its factors is a vector".to_owned());
    };
    if a_batches != b_batches {
        return Err("one of its factors is used for several of the other".to_owned());
    }
    // Kernels check no bounds, so nothing that a file says of shapes is taken for granted.
    if common != common_of_second || y != [a_batches, &[*rows, *columns]].concat() {
        return Err("its result is not of the size that its factors give".to_owned());
    }
    if a.contains(&0) || b.contains(&0) {
        return Err("it is empty".to_owned());
    }
    let sizes = kernels::Product {
        batches: a_batches.iter().product(),
        rows: *rows,
        common: *common,
        columns: *columns,
    };
    Ok(Product { first, second, result, sizes })
}
