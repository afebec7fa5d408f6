//! Which values stand among how much room.

use std::collections::HashMap;

use skipgate_onnx::{Graph, NodeId, ScopeId, ValueId};

use super::gates::Gates;
use super::layers::Layers;
use crate::plan::Frame;

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
pub(super) fn find(graph: &Graph, gates: &Gates, layers: &Layers) -> Frames {
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
            Some((gate.node, wanted.or_else(|| Frame::without_room(graph.ty(gate.input)?))?))
        })
        .collect();
    for gate in gates.iter() {
        values.extend(gates_frames.get(&gate.node).map(|frame| (gate.result, frame.clone())));
    }
    // A frame that begins in a branch would have to end in it.
    values.retain(|&value, _| !is_in_branch(graph, gates, graph.value(value).scope));
    Frames { values, gates: gates_frames }
}

fn is_in_branch(graph: &Graph, gates: &Gates, scope: ScopeId) -> bool {
    graph.owners(scope).any(|owner| gates.is_branch(owner))
}
