//! Which `If` nodes are gates of residual blocks, and which stay branches of the program.

use std::collections::{HashMap, HashSet};

use skipgate_onnx::{Graph, MaskedGate, MaskedNodes, Node, NodeId, ValueId, is_activation, recognise_gates};

use crate::ImportError;
use crate::plan::Frame;

/// The gates of a model.
pub(crate) struct Gates {
    gates: HashMap<NodeId, MaskedGate>,
    /// Why the other `If` nodes on the mask are no gates.
    reasons: HashMap<NodeId, String>,
}

impl Gates {
    pub(crate) fn get(&self, node: NodeId) -> Option<&MaskedGate> {
        self.gates.get(&node)
    }

    pub(crate) fn reason(&self, node: NodeId) -> Option<&str> {
        self.reasons.get(&node).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MaskedGate> {
        self.gates.values()
    }

    /// Whether `node` is an `If` that stays a branch, and what is in it is in a branch.
    pub(super) fn is_branch(&self, node: NodeId) -> bool {
        !self.gates.contains_key(&node)
    }
}

/// Finds the gates whose input and output can stand in frames.
pub(super) fn find(graph: &Graph) -> Result<Gates, ImportError> {
    let mut masked = recognise_gates(graph)?;
    for gate in masked.gates.clone() {
        let framed = graph.ty(gate.input).and_then(Frame::with_room).is_some();
        if !framed {
            masked.demote(gate.node, "its input is no tensor of floats of known shape with two dimensions");
        } else if !can_overwrite_input(graph, &gate) {
            masked.demote(gate.node, "the layer that computes its output reads its input");
        }
    }
    let MaskedNodes { gates, branches } = masked;
    Ok(Gates {
        gates: gates.into_iter().map(|gate| (gate.node, gate)).collect(),
        reasons: branches.into_iter().map(|branch| (branch.node, branch.reason)).collect(),
    })
}

/// Whether y can be written over x: the kernel that computes y reads x at the element that it writes and nowhere
/// else. That kernel may take in anything up to the last layer, so every other way from y back to x must pass two.
fn can_overwrite_input(graph: &Graph, gate: &MaskedGate) -> bool {
    let mut work: Vec<(ValueId, Way)> = vec![(gate.result, Way::Elementwise)];
    let mut seen = HashSet::new();
    while let Some((value, way)) = work.pop() {
        if value == gate.input {
            if way == Way::Elementwise {
                continue;
            }
            return false;
        }
        let producer = graph.producer(value).map(|id| graph.node(id));
        let Some(node) = producer.filter(|node| node.scope == gate.block && seen.insert((value, way))) else {
            continue;
        };
        if let Some(way) = way.through(node) {
            work.extend(node.inputs.iter().copied().flatten().map(|input| (input, way)));
        }
    }
    true
}

/// What lies between a value and the result of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// Operators whose results at one place depend on their operands at that place alone.
    Elementwise,
    /// Others too, but no layer.
    Mixed,
    /// One layer.
    Layer,
}

impl Way {
    /// The way on through `node`; `None` behind a second layer, which is another kernel's.
    fn through(self, node: &Node) -> Option<Self> {
        let is = |operators: &[&str]| operators.iter().any(|operator| node.is(operator));
        match self {
            Self::Layer if is(&LAYERS) => None,
            Self::Layer => Some(Self::Layer),
            _ if is(&LAYERS) => Some(Self::Layer),
            Self::Elementwise if is(&["Add", "Div", "Mul", "Sub"]) || is_activation(node.proto()) => {
                Some(self)
            }
            _ => Some(Self::Mixed),
        }
    }
}

/// Operators that the compiler never puts into one kernel with another of them.
const LAYERS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
