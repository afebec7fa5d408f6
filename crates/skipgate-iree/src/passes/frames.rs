//! Which values stand among how much room.

use std::collections::HashMap;

use skipgate_onnx::{Graph, MaskedGate, NodeId, Reader, ScopeId, ValueId};

use super::gates::Gates;
use super::layers::Layers;
use super::rows::Rows;
use crate::plan::{Frame, Layout};

/// The frames of a model's values.
pub(crate) struct Frames {
    values: HashMap<ValueId, Frame>,
    gates: HashMap<NodeId, Frame>,
}

impl Frames {
    /// The frame that `value` is written into where it is computed, if that is in one with room.
    pub(crate) fn of_value(&self, value: ValueId) -> Option<&Frame> {
        self.values.get(&value)
    }

    /// The frame of both ends of the gate `node`.
    pub(crate) fn of_gate(&self, node: NodeId) -> Option<&Frame> {
        self.gates.get(&node)
    }
}

/// Finds the frame of every value that a kernel reads with padding, where several do the first one's, and those of
/// gates: what kernels ask for, or else one without room.
pub(super) fn find(
    graph: &Graph,
    gates: &Gates,
    layers: &Layers,
    rows: &HashMap<NodeId, Rows<'_>>,
) -> Frames {
    let mut values = HashMap::new();
    for id in graph.nodes().filter(|id| layers.get(*id).is_some()) {
        let node = graph.node(id);
        let Some(input) = node.input(0) else { continue };
        if let Some(frame) = graph.ty(input).and_then(|ty| Frame::of_reader(node, ty)) {
            values.entry(input).or_insert(frame);
        }
    }
    let gates_frames: HashMap<_, _> = gates
        .iter()
        .filter_map(|gate| {
            let wanted = values.get(&gate.input).or_else(|| values.get(&gate.output)).cloned();
            let ty = graph.ty(gate.input);
            let without_room = || {
                if is_of_matrices(graph, gate, layers, rows) {
                    Frame::just(ty?, Layout::InOrder)
                } else {
                    Frame::without_room(ty?)
                }
            };
            Some((gate.node, wanted.or_else(without_room)?))
        })
        .collect();
    for gate in gates.iter() {
        values.extend(gates_frames.get(&gate.node).map(|frame| (gate.result, frame.clone())));
    }
    // A frame that begins in a branch would have to end in it.
    values.retain(|&value, _| !is_in_branch(graph, gates, graph.value(value).scope));
    Frames { values, gates: gates_frames }
}

/// Whether all kernels that read a gate's input or end its block take values as the model has them.
fn is_of_matrices(
    graph: &Graph,
    gate: &MaskedGate,
    layers: &Layers,
    rows: &HashMap<NodeId, Rows<'_>>,
) -> bool {
    let layout = |node: NodeId| {
        if rows.contains_key(&node) || layers.product(node).is_some() {
            return Some(Layout::InOrder);
        }
        Some(layers.get(*layers.group(node).first()?)?.layout)
    };
    let readers = graph.value(gate.input).readers.iter().filter_map(|reader| match reader {
        Reader::Operand { node, .. } => Some(*node),
        _ => None,
    });
    let mut layouts = readers.chain(graph.producer(gate.result)).filter_map(layout).peekable();
    layouts.peek().is_some() && layouts.all(|layout| layout == Layout::InOrder)
}

fn is_in_branch(graph: &Graph, gates: &Gates, scope: ScopeId) -> bool {
    graph.owners(scope).any(|owner| gates.is_branch(owner))
}

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::{GateSelection, gate};

    use crate::net::Net;
    use crate::plan;

    /// The lines of a plan that say where the ends of gates stand, for blocks that normalise and multiply, or convolve.
    fn ends_of_gates(is_of_matrices: bool) -> Vec<String> {
        let (mut net, mut x) = Net::new(&[1, 8, 8, 8], 1);
        let (scale, shift) = (net.floats(&[8], |r| r), net.floats(&[8], |r| r));
        for _ in 0..2 {
            let f = if is_of_matrices {
                let weights = net.floats(&[8, 8], |r| r);
                let f = net.op("LayerNormalization", &[&x, &scale, &shift], &[]);
                net.op("MatMul", &[&f, &weights], &[])
            } else {
                let weights = net.floats(&[8, 8, 1, 1], |r| r);
                net.op("Conv", &[&x, &weights], &[])
            };
            x = net.op("Add", &[&x, &f], &[]);
        }
        net.output(&x, &[1, 8, 8, 8]);
        let selection = GateSelection { gate_first: true, ..GateSelection::default() };
        let model = gate(&net.model(), &selection).unwrap();
        let target = Target::named("odroid-xu4").unwrap();
        let text = plan(&model, &target, &CompileOptions::default()).unwrap().to_string();
        text.lines().filter(|line| line.contains("= gate ")).map(str::to_owned).collect()
    }

    #[test]
    fn blocks_of_matrices_stand_as_the_model_has_them() {
        let (matrices, images) = (ends_of_gates(true), ends_of_gates(false));
        assert_eq!((matrices.len(), images.len()), (2, 2));
        assert!(matrices.iter().all(|line| !line.contains("channels last")), "{matrices:#?}");
        assert!(images.iter().all(|line| line.contains("channels last")), "{images:#?}");
    }
}
