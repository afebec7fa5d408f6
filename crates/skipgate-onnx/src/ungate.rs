//! Takes gates out again.

use std::collections::HashMap;

use skipgate_core::SkipMask;

use crate::attributes::Attributes;
use crate::edit::{prune, rename_reads};
use crate::error::Error;
use crate::gate::MASK_INPUT;
use crate::metadata::GATES_KEY;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto};
use crate::tensor;

/// What a gated model is under `mask`: in place of each gate the branch that the mask selects, and no mask any more. A
/// model without gates stays as it is.
///
/// Errors: the mask has another length than the gate table.
pub fn ungate(model: &Model, mask: &SkipMask) -> Result<Model, Error> {
    mask.check_len(model.gates()?.len())?;
    model.edited(|proto| {
        proto.metadata_props.retain(|entry| entry.key != GATES_KEY);
        let Some(graph) = proto.graph.as_mut() else { return Ok(()) };
        let reads = mask_reads(graph)?;
        graph.node =
            std::mem::take(&mut graph.node).into_iter().flat_map(|node| open(node, &reads, mask)).collect();
        prune(graph, reads.into_keys());
        graph.input.retain(|input| input.name != MASK_INPUT);
        Ok(())
    })
}

/// The values that are elements of the mask, and which.
fn mask_reads(graph: &GraphProto) -> Result<HashMap<String, usize>, Error> {
    let mut reads = HashMap::new();
    for node in graph.node.iter().filter(|node| node.op_type == "Gather") {
        let [input, index] = &node.input[..] else { continue };
        let index = graph.initializer.iter().find(|tensor| tensor.name == *index);
        let Some(index) = index.filter(|_| input == MASK_INPUT) else { continue };
        let number = tensor::integers(index)?.and_then(|numbers| usize::try_from(*numbers.first()?).ok());
        if let (Some(number), Some(output)) = (number, node.output.first()) {
            reads.insert(output.clone(), number);
        }
    }
    Ok(reads)
}

/// The nodes of the branch that `mask` selects if `node` is a gate, and else the node itself.
fn open(node: NodeProto, reads: &HashMap<String, usize>, mask: &SkipMask) -> Vec<NodeProto> {
    let run = node
        .input
        .first()
        .and_then(|condition| reads.get(condition))
        .and_then(|&gate| mask.as_slice().get(gate));
    let name = if run == Some(&true) { "then_branch" } else { "else_branch" };
    let branch = run.and_then(|_| Attributes::of(&node).graph(name).ok().flatten());
    let Some((branch, output)) = branch.zip(node.output.first()) else { return vec![node] };
    let Some(result) = branch.output.first().map(|result| result.name.as_str()) else { return vec![node] };
    let mut nodes = branch.node.clone();
    for inner in &mut nodes {
        rename_reads(inner, &|name| (name == result).then(|| output.clone()));
        for name in inner.output.iter_mut().filter(|name| *name == result) {
            name.clone_from(output);
        }
    }
    nodes
}
