//! Matrix products with weights: `Gemm` and `MatMul`.
//!
//! The rows of the first factor are what pixels are to a convolution of 1x1, and the columns of the second one are filters.

use skipgate_onnx::{Graph, Node, NodeId, ValueId};

use super::{Layer, bias_of, constant_floats, operands_and_result, shapes};
use crate::kernels::{Kernels, Window};
use crate::plan::{Layout, Weights};

/// The matrix product `id` on its own, or why there is no kernel for it.
pub(super) fn layer<'m>(graph: &Graph<'m>, id: NodeId, kernels: &Kernels) -> Result<Layer<'m>, String> {
    let node = graph.node(id);
    let [input, weights, result] = operands_and_result(node)?;
    plain(node)?;
    let filters_last = !flag(node, "transB");
    let tensor = constant_floats(graph, weights).ok_or("its second factor is not constant floats")?;
    let window = window(graph, [input, weights, result], filters_last)?;
    kernels.are_on()?;
    let bias = node.input(2).map(|bias| bias_of(graph, bias, window.filters)).transpose()?;
    let weights = Weights { tensor, filters_last };
    Ok(Layer { bias, ..Layer::alone(id, Layout::InOrder, (window, weights), [input, result]) })
}

/// Fails, with the reason, if a `Gemm` does more than to multiply and add.
fn plain(node: &Node) -> Result<(), String> {
    if flag(node, "transA") {
        return Err("its first factor is transposed".to_owned());
    }
    let scales = |name| node.float(name).is_some_and(|factor| factor.to_bits() != 1.0f32.to_bits());
    if scales("alpha") || scales("beta") {
        return Err("its terms are scaled".to_owned());
    }
    Ok(())
}

fn flag(node: &Node, name: &str) -> bool {
    node.int(name).is_some_and(|value| value != 0)
}

/// The product of `input` and `weights` as a convolution.
fn window(graph: &Graph, values: [ValueId; 3], filters_last: bool) -> Result<Window, String> {
    let [x, w, y] = shapes(graph, values)?;
    let &[first, second] = &w[..] else {
        return Err(format!("its second factor has {} dimensions", w.len()));
    };
    let (channels, filters) = if filters_last { (first, second) } else { (second, first) };
    // Kernels check no bounds, so nothing that a file says of shapes is taken for granted.
    let (Some((&common, rows)), Some((&columns, rows_of_result))) = (x.split_last(), y.split_last()) else {
        return Err("its first factor has no dimensions".to_owned());
    };
    if common != channels || columns != filters || rows != rows_of_result {
        return Err("its result is not of the size that its factors give".to_owned());
    }
    let pixels = rows.iter().try_fold(1, |product: usize, &extent| product.checked_mul(extent));
    let pixels = pixels.filter(|_| channels > 0 && filters > 0).filter(|&pixels| pixels > 0);
    Ok(Window {
        channels,
        filters,
        groups: 1,
        taps: [1, 1],
        dilations: [1, 1],
        strides: [1, 1],
        low: [0, 0],
        size: [1, pixels.ok_or("it is empty")?],
    })
}
