//! Which `If` nodes are gates of residual blocks, and which stay branches of the program.

use std::collections::HashMap;

use skipgate_core::{CostlyGate, GateForm};
use skipgate_onnx::{Graph, MaskedBranch, MaskedGate, MaskedNodes, NodeId, recognise_gates};

use crate::ImportError;
use crate::plan::Frame;

/// The gates of a model.
pub(crate) struct Gates {
    gates: HashMap<NodeId, MaskedGate>,
    /// The other `If` nodes on the mask, and why they are no gates.
    branches: Vec<MaskedBranch>,
}

impl Gates {
    pub(crate) fn get(&self, node: NodeId) -> Option<&MaskedGate> {
        self.gates.get(&node)
    }

    /// Why the `If` node `node` on the mask is no gate.
    pub(crate) fn reason(&self, node: NodeId) -> Option<&str> {
        let branch = self.branches.iter().find(|branch| branch.node == node);
        branch.map(|branch| branch.reason.as_str())
    }

    /// The gates that the mask has elements for and that stay branches, by number.
    pub(crate) fn costly(&self) -> Vec<CostlyGate> {
        let gate = |MaskedBranch { number, reason, .. }: &MaskedBranch| {
            Some(CostlyGate { gate: (*number)?, form: GateForm::Branch, reason: reason.clone() })
        };
        let mut gates: Vec<_> = self.branches.iter().filter_map(gate).collect();
        gates.sort_by_key(|gate| gate.gate);
        gates
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MaskedGate> {
        self.gates.values()
    }

    /// Whether `node` is an `If` that stays a branch, and what is in it is in a branch.
    pub(super) fn is_branch(&self, node: NodeId) -> bool {
        !self.gates.contains_key(&node)
    }
}

/// Finds the gates whose input and output can be taken as they lie in memory; none if there is a reason to make branches
/// of all.
pub(super) fn find(graph: &Graph, why_branches: Option<&str>) -> Result<Gates, ImportError> {
    let mut masked = recognise_gates(graph)?;
    for gate in masked.gates.clone() {
        let frame = graph.ty(gate.input).and_then(Frame::without_room);
        if let Some(reason) = why_branches {
            masked.demote(gate.node, reason);
        } else if frame.is_none_or(|frame| frame.inner().is_empty()) {
            masked.demote(gate.node, "its input is no tensor of floats of known shape");
        }
    }
    let MaskedNodes { gates, branches } = masked;
    Ok(Gates { gates: gates.into_iter().map(|gate| (gate.node, gate)).collect(), branches })
}

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::{GateSelection, Model, gate};

    use super::*;
    use crate::net::small_resnet;
    use crate::plan;

    #[test]
    fn a_gate_that_stays_a_branch_is_costly_and_says_why() {
        let gated = gate(&small_resnet().model(), &GateSelection::default()).unwrap();
        let mut proto = gated.proto().clone();
        let nodes = &mut proto.graph.as_mut().unwrap().node;
        let last = nodes.iter_mut().rfind(|node| node.op_type == "If").unwrap();
        let skip = last.attribute.iter_mut().find(|attribute| attribute.name == "else_branch").unwrap();
        skip.g.as_mut().unwrap().node[0].op_type = "Neg".to_owned();
        let model = Model::from_proto(proto).unwrap();
        let target = Target::named("x86-64-v3").unwrap();
        let plan = plan(&model, &target, &CompileOptions::default()).unwrap();
        let reason = "it does not hand on a value when it is closed".to_owned();
        let expected = CostlyGate { gate: 1, form: GateForm::Branch, reason: reason.clone() };
        assert_eq!(plan.coverage().costly_gates, [expected]);
        let text = plan.to_string();
        assert!(text.contains("gate 0 If ") && text.contains(&format!("(no gate: {reason})")), "{text}");
    }
}
