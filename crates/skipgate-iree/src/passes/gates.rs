//! Which `If` nodes are gates of residual blocks, and which stay branches of the program.

use std::collections::HashMap;

use skipgate_onnx::{Graph, MaskedGate, MaskedNodes, NodeId, recognise_gates};

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
        if graph.ty(gate.input).and_then(Frame::with_room).is_none() {
            masked.demote(gate.node, "its input is no tensor of floats of known shape with two dimensions");
        }
    }
    let MaskedNodes { gates, branches } = masked;
    Ok(Gates {
        gates: gates.into_iter().map(|gate| (gate.node, gate)).collect(),
        reasons: branches.into_iter().map(|branch| (branch.node, branch.reason)).collect(),
    })
}
