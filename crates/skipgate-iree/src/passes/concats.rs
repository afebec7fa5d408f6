//! Which concatenations a kernel does.
//!
//! The compiler copies operands one by one into a memory that they share. Where they do not follow one another there, each
//! copy counts as a reader of that memory, so parts of a block would stay when it is skipped. A kernel writes all at once.

use std::collections::HashMap;

use skipgate_core::CompileOptions;
use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::{Graph, Node, NodeId, ValueId};

use crate::kernels;

/// Most operands of a kernel: each has a binding.
const MOST: usize = 16;

/// A node that a kernel does.
pub(crate) struct Concat {
    pub(crate) operands: Vec<ValueId>,
    pub(crate) result: ValueId,
    pub(crate) sizes: kernels::Concat,
}

/// Finds the nodes that kernels do: operands of floats, which do not follow one another in the result.
pub(super) fn find(graph: &Graph, options: &CompileOptions) -> HashMap<NodeId, Concat> {
    if !options.kernels {
        return HashMap::new();
    }
    graph.nodes().filter_map(|id| Some((id, concat(graph, graph.node(id))?))).collect()
}

fn concat(graph: &Graph, node: &Node) -> Option<Concat> {
    let result = node.only_output().filter(|_| node.is_standard() && node.is("Concat"))?;
    let operands: Vec<_> = node.inputs.iter().map(|input| input.as_ref().copied()).collect::<Option<_>>()?;
    if !(2..=MOST).contains(&operands.len()) {
        return None;
    }
    let shape = |value| graph.ty(value).filter(|ty| ty.element_type == FLOAT)?.static_shape();
    let shape_of_result = shape(result)?;
    let axis = axis(node.int("axis")?, shape_of_result.len())?;
    let (before, _) = shape_of_result.split_at(axis);
    let places: usize = before.iter().product();
    let part = |&operand: &ValueId| {
        let shape = shape(operand).filter(|shape| shape.len() > axis && shape[..axis] == *before)?;
        Some(shape[axis..].iter().product())
    };
    let parts: Vec<usize> = operands.iter().map(part).collect::<Option<_>>()?;
    let is_filled = places > 1 && parts.iter().all(|&floats| floats > 0);
    is_filled.then_some(Concat { operands, result, sizes: kernels::Concat { places, parts } })
}

/// An axis that may be counted from the end.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

#[cfg(test)]
mod tests {
    use skipgate_core::Target;

    use super::*;
    use crate::net::{Net, int};
    use crate::plan;

    #[test]
    fn what_follows_one_another_is_left_to_the_compiler() {
        let (mut net, x) = Net::new(&[2, 3, 4], 1);
        let inner = net.op("Concat", &[&x, &x], &[int("axis", -1)]);
        let outer = net.op("Concat", &[&inner, &inner], &[int("axis", 0)]);
        net.output(&outer, &[4, 3, 8]);
        let model = net.model();
        let lines = |kernels| {
            let options = CompileOptions { kernels, ..CompileOptions::default() };
            let text = plan(&model, &Target::named("odroid-xu4").unwrap(), &options).unwrap().to_string();
            text.lines().filter(|line| line.contains("= concat ")).map(str::to_owned).collect::<Vec<_>>()
        };
        let found = lines(true);
        assert!(matches!(&found[..], [one] if one.ends_with(": 6 of 4, 4")), "{found:#?}");
        assert_eq!(lines(false).len(), 0);
    }
}
