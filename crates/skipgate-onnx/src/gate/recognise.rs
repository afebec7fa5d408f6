//! Finds the gates of a gated model: the inverse of putting them in.

use std::collections::HashMap;

use super::MASK_INPUT;
use crate::error::{Error, NodeProblem};
use crate::graph::{Graph, Node, NodeId, ScopeId, ValueId};
use crate::tensor;

/// Everything that the skip mask decides on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskedNodes {
    /// The gates, in the file's order.
    pub gates: Vec<MaskedGate>,
    /// The `If` nodes on the mask that are no gates.
    pub branches: Vec<MaskedBranch>,
}

/// A gate: `y = mask[number] ? block(x) : x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedGate {
    /// The `If` node.
    pub node: NodeId,
    /// Its element of the mask, from 0.
    pub number: usize,
    /// The value x.
    pub input: ValueId,
    /// The value y, outside of the gate.
    pub output: ValueId,
    /// The block: the graph that runs where the element is true.
    pub block: ScopeId,
    /// What becomes y, inside of the block.
    pub result: ValueId,
}

/// An `If` on the mask that is no gate, and stays a branch of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedBranch {
    /// The `If` node.
    pub node: NodeId,
    /// Its element of the mask, if that is known.
    pub number: Option<usize>,
    /// Why it is no gate.
    pub reason: String,
}

/// Finds the gates of a model, and the other nodes that its skip mask decides on.
///
/// A gate is an `If` of the main graph on one element of the mask that hands on its input when it is closed. Gates in a
/// branch or in the block of another gate are none, and neither are gates that hold one.
///
/// Errors: a gate's element is past the end of the mask.
pub fn recognise_gates(graph: &Graph) -> Result<MaskedNodes, Error> {
    let Some(mask) = graph.find(MASK_INPUT) else { return Ok(MaskedNodes::default()) };
    let mut found = MaskedNodes::default();
    for node in graph.nodes().filter(|&node| graph.node(node).is("If")) {
        match element(graph, mask, node)? {
            None => {}
            Some(Err(reason)) => {
                found.branches.push(MaskedBranch { node, number: None, reason: reason.to_owned() });
            }
            Some(Ok(number)) => match form(graph, node, number) {
                Ok(gate) => found.gates.push(gate),
                Err(reason) => {
                    let reason = reason.to_owned();
                    found.branches.push(MaskedBranch { node, number: Some(number), reason });
                }
            },
        }
    }
    found.keep_if_not_nested(graph);
    found.keep_first_of_each_number();
    Ok(found)
}

impl MaskedNodes {
    /// Turns the gate of `node` into a branch, for `reason`.
    pub fn demote(&mut self, node: NodeId, reason: &str) {
        if let Some(place) = self.gates.iter().position(|gate| gate.node == node) {
            let MaskedGate { number, .. } = self.gates.remove(place);
            self.branches.push(MaskedBranch { node, number: Some(number), reason: reason.to_owned() });
        }
    }

    fn keep_if_not_nested(&mut self, graph: &Graph) {
        let candidates: Vec<_> = self.gates.iter().map(|gate| gate.node).collect();
        for node in candidates {
            for owner in graph.owners(graph.node(node).scope) {
                self.demote(node, &format!("it is inside of `{}`", graph.node(owner).name()));
                self.demote(owner, &format!("the gate `{}` is inside of it", graph.node(node).name()));
            }
        }
        self.branches.sort_by_key(|branch| branch.node);
    }

    fn keep_first_of_each_number(&mut self) {
        let mut first = HashMap::new();
        for gate in self.gates.clone() {
            let owner = *first.entry(gate.number).or_insert(gate.node);
            if owner != gate.node {
                self.demote(gate.node, "another gate has its element of the mask");
            }
        }
    }
}

/// The element of the mask that decides on the `If` node `node`, or why it is not known; `None` if the mask does not.
fn element(graph: &Graph, mask: ValueId, node: NodeId) -> Result<Option<Result<usize, &'static str>>, Error> {
    let condition = graph.node(node).input(0).and_then(|condition| graph.producer(condition));
    let Some(read) = condition.map(|id| graph.node(id)).filter(|read| reads_mask(read, mask)) else {
        return Ok(None);
    };
    let [Some(gates)] = graph.ty(mask).map_or(&[][..], |ty| &ty.shape) else {
        return Ok(Some(Err("the length of the mask is not known")));
    };
    let index = match read.input(1).and_then(|index| graph.constant(index)) {
        Some(tensor) => tensor::integers(tensor)?,
        None => return Ok(Some(Err("its element of the mask is not constant"))),
    };
    let Some([index]) = index.as_deref() else {
        return Ok(Some(Err("it is not on a single element of the mask")));
    };
    let Some(place) = place(*index, *gates) else {
        let problem = NodeProblem::MaskElement { index: *index, gates: *gates };
        return Err(Error::Node {
            node: read.name().to_owned(),
            op_type: read.op_type().to_owned(),
            problem,
        });
    };
    Ok(Some(Ok(place)))
}

fn reads_mask(read: &Node, mask: ValueId) -> bool {
    read.is("Gather") && read.input(0) == Some(mask)
}

/// Element number `index` of `count`; negative ones count from the end.
fn place(index: i64, count: usize) -> Option<usize> {
    let from_start = if index < 0 { index.checked_add(i64::try_from(count).ok()?)? } else { index };
    usize::try_from(from_start).ok().filter(|&place| place < count)
}

/// The gate that `node` is, or why it is none.
fn form(graph: &Graph, node: NodeId, number: usize) -> Result<MaskedGate, &'static str> {
    let gate = graph.node(node);
    let branch = |name| gate.graph(name).ok_or("it has no such branch");
    let (block, skip) = (branch("then_branch")?, branch("else_branch")?);
    let output = gate.only_output().ok_or("it has more than one result")?;
    let ([result], [skipped]) = (&graph.scope(block).outputs[..], &graph.scope(skip).outputs[..]) else {
        return Err("its branches have more than one result");
    };
    let input = handed_on(graph, skip, *skipped).ok_or("it does not hand on a value when it is closed")?;
    if graph.value(*result).scope != block || graph.producer(*result).is_none() {
        return Err("its block computes nothing");
    }
    let (x, y) = (graph.ty(input), graph.ty(output));
    if x.is_none() || x != y {
        return Err("its input and its output are of different types");
    }
    Ok(MaskedGate { node, number, input, output, block, result: *result })
}

/// The value from outside that `skip` gives as `skipped`, if it does nothing else.
fn handed_on(graph: &Graph, skip: ScopeId, skipped: ValueId) -> Option<ValueId> {
    let [identity] = graph.scope(skip).nodes[..] else { return None };
    let identity = graph.node(identity);
    let input = identity.input(0).filter(|_| identity.is("Identity"))?;
    let outside = graph.value(input).scope != skip;
    (outside && identity.only_output() == Some(skipped)).then_some(input)
}
