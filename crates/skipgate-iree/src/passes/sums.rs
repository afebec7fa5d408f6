//! Which blocks end in a sum that a kernel of its own computes, in the place of the block's input.
//!
//! Where the last layer of a block has a kernel, the sum is part of it. The compiler's own code may write a result before it
//! has read all that was in its place, so a block that ends in such code could not have its output where its input is, and
//! its gate would have to copy. With the sum apart, the block writes and reads one value more when it runs, which is little
//! beside what it computes, and nothing is copied when it does not.

use std::collections::HashMap;

use skipgate_core::CompileOptions;
use skipgate_onnx::{Graph, MaskedGate, NodeId, ValueId};

use super::frames::Frames;
use super::gates::Gates;
use crate::plan::Frame;

/// The sum of a gate's input and what its block computes.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    /// The gate's input.
    pub(crate) x: ValueId,
    /// What is added to it.
    pub(crate) addend: ValueId,
    /// Where all three values stand.
    pub(crate) frame: Frame,
}

/// Finds the sums, by their nodes; those that kernels of layers compute are among them.
pub(super) fn find(
    graph: &Graph,
    gates: &Gates,
    frames: &Frames,
    options: &CompileOptions,
) -> HashMap<NodeId, Sum> {
    if !options.kernels {
        return HashMap::new();
    }
    gates.iter().filter_map(|gate| sum(graph, gate, frames)).collect()
}

fn sum(graph: &Graph, gate: &MaskedGate, frames: &Frames) -> Option<(NodeId, Sum)> {
    let frame = frames.of_gate(gate.node).filter(|frame| !frame.has_room())?;
    let node = graph.producer(gate.result)?;
    let (a, b) = (graph.node(node).input(0)?, graph.node(node).input(1)?);
    let addend = if a == gate.input { b } else { a };
    let is_sum = graph.node(node).is("Add") && (a == gate.input) != (b == gate.input);
    // Nothing is stretched to fit.
    let alike = graph.ty(addend).is_some() && graph.ty(addend) == graph.ty(gate.input);
    let computed_here = graph.producer(addend).is_some_and(|other| graph.node(other).scope == gate.block);
    (is_sum && alike && computed_here).then(|| (node, Sum { x: gate.input, addend, frame: frame.clone() }))
}

#[cfg(test)]
mod tests {
    use skipgate_core::Target;
    use skipgate_onnx::{GateSelection, Model, gate};

    use super::*;
    use crate::net::Net;
    use crate::plan;

    /// A network of two blocks that each multiply by a matrix, with an activation that kernels do not know.
    fn network() -> Model {
        let (mut net, image) = Net::new(&[1, 3, 4, 4], 1);
        let shape = net.ints(&[1, 3, 16]);
        let mut x = net.op("Reshape", &[&image, &shape], &[]);
        for _ in 0..2 {
            let weights = net.floats(&[16, 16], |random| random);
            let f = net.op("MatMul", &[&x, &weights], &[]);
            let f = net.op("Tanh", &[&f], &[]);
            x = net.op("Add", &[&x, &f], &[]);
        }
        net.output(&x, &[1, 3, 16]);
        gate(&net.model(), &GateSelection { gate_first: true, ..GateSelection::default() }).unwrap()
    }

    fn text(model: &Model, options: &CompileOptions) -> String {
        plan(model, &Target::named("odroid-xu4").unwrap(), options).unwrap().to_string()
    }

    #[test]
    fn a_block_of_the_compilers_own_code_ends_in_a_sum() {
        let model = network();
        let found = text(&model, &CompileOptions::default());
        assert_eq!(found.matches("= sum Add ").count(), 2, "{found}");
        let found = text(&model, &CompileOptions { kernels: false, ..CompileOptions::default() });
        assert_eq!(found.matches("= sum Add ").count(), 0, "{found}");
    }
}
