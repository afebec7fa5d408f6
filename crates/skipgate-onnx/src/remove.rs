//! Removes residual blocks for good.

use std::collections::HashMap;

use crate::blocks::{ResidualBlock, find, ungated_and_folded};
use crate::edit::{Names, prune, rename_reads};
use crate::error::Error;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto};
use crate::select::{GateUnit, not_skippable};

/// The model with batch normalisation folded and the blocks or layers called `names` replaced by their shortcut: the statically
/// pruned model that a gate with `false` stands for.
///
/// Errors: the model is gated, a name is unknown, or its block cannot be skipped.
pub fn remove_blocks(model: &Model, names: &[&str]) -> Result<Model, Error> {
    let folded = ungated_and_folded(model)?;
    let (mut folded, mut blocks) = find(&folded, GateUnit::Block)?;
    if names.iter().any(|name| blocks.iter().all(|block| block.name != *name)) {
        // No layer is called like a block. Blocks have the same names where layers have ends, but other inputs.
        let layers;
        (folded, layers) = find(&folded, GateUnit::Layer)?;
        blocks = find(&folded, GateUnit::Block)?.1;
        blocks.extend(layers);
    }
    let mut shortcuts = HashMap::new();
    for name in names {
        let block = named(&blocks, name)?;
        shortcuts.insert(block.region.output.clone(), block.region.input.clone());
    }
    folded.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            let unread = replace(graph, &shortcuts);
            prune(graph, unread);
        }
        Ok(())
    })
}

fn named<'b>(blocks: &'b [ResidualBlock], name: &str) -> Result<&'b ResidualBlock, Error> {
    let block = blocks.iter().find(|block| block.name == name);
    let block = block.ok_or_else(|| Error::UnknownBlock { pattern: name.to_owned() })?;
    if block.verdict.is_skippable() { Ok(block) } else { Err(not_skippable(block)) }
}

/// Lets everything that reads a key of `shortcuts` read its value instead. Returns the values that nothing reads then.
fn replace(graph: &mut GraphProto, shortcuts: &HashMap<String, String>) -> Vec<String> {
    // The input of a removed block may be the output of another one.
    let resolve = |name: &str| {
        let mut source = shortcuts.get(name)?;
        while let Some(next) = shortcuts.get(source) {
            source = next;
        }
        Some(source.clone())
    };
    for node in &mut graph.node {
        rename_reads(node, &resolve);
    }
    // An output of the graph keeps its name, so the sum has to give it up.
    let mut names = Names::of(graph);
    let mut unread: Vec<_> = shortcuts.keys().cloned().collect();
    let outputs = graph.output.iter().map(|output| output.name.clone());
    for (output, source) in
        outputs.filter_map(|output| Some((output.clone(), resolve(&output)?))).collect::<Vec<_>>()
    {
        let given_up = names.fresh(&output);
        for name in graph.node.iter_mut().flat_map(|node| &mut node.output).filter(|name| **name == output) {
            name.clone_from(&given_up);
        }
        unread.push(given_up);
        graph.node.push(NodeProto {
            op_type: "Identity".to_owned(),
            name: format!("{output}.shortcut"),
            input: vec![source],
            output: vec![output],
            ..NodeProto::default()
        });
    }
    unread
}
