//! Smaller graphs: one node less, or an earlier end.

use std::collections::{HashMap, HashSet};

use skipgate_onnx::proto::{GraphProto, NodeProto};
use skipgate_onnx::{Model, TensorType, element_type, infer_shapes};

/// Networks with less in them than `model`, the smallest first. They compute something else, but something.
pub(crate) fn smaller(model: &Model) -> Vec<Model> {
    let Ok(types) = infer_shapes(model) else { return Vec::new() };
    let graph = &model.proto().graph;
    let ends = graph.node.iter().flat_map(|node| &node.output).filter_map(|value| end_at(model, value, &types));
    let bypasses = (0..graph.node.len()).filter_map(|index| bypass(model, index, &types));
    let size = model.proto().graph.node.len();
    let mut smaller: Vec<_> = ends.chain(bypasses).filter(|model| model.proto().graph.node.len() < size).collect();
    smaller.sort_by_key(|model| model.proto().graph.node.len());
    smaller
}

/// The network up to `value`.
fn end_at(model: &Model, value: &str, types: &HashMap<String, TensorType>) -> Option<Model> {
    let ty = types.get(value).filter(|ty| ty.element_type == element_type::FLOAT)?;
    let rank = ty.shape.len();
    if rank < 2 || ty.shape.iter().any(Option::is_none) {
        return None;
    }
    edited(model, |graph| {
        let output = graph.output.first_mut()?;
        value.clone_into(&mut output.name);
        // The declared shape is that of the old end.
        output.type_ = output.type_.take().map(|mut ty| {
            if ty.has_tensor_type() {
                ty.mut_tensor_type().shape = None.into();
            }
            ty
        }).into();
        Some(())
    })
}

/// The network without node `index`: what reads its result reads an input of the same type instead.
fn bypass(model: &Model, index: usize, types: &HashMap<String, TensorType>) -> Option<Model> {
    let node = &model.proto().graph.node[index];
    let [output] = &node.output[..] else { return None };
    let constants: HashSet<_> = model.proto().graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let same = |input: &&String| !constants.contains(input) && types.get(*input) == types.get(output);
    let input = node.input.iter().find(same)?.clone();
    let output = output.clone();
    edited(model, |graph| {
        graph.node.remove(index);
        if graph.output.iter().any(|value| value.name == output) {
            return None;
        }
        graph.node.iter_mut().for_each(|node| rename(node, &output, &input));
        Some(())
    })
}

fn rename(node: &mut NodeProto, from: &str, to: &str) {
    for input in node.input.iter_mut().filter(|input| *input == from) {
        to.clone_into(input);
    }
    for graph in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
        graph.node.iter_mut().for_each(|node| rename(node, from, to));
        for output in graph.output.iter_mut().filter(|output| output.name == from) {
            to.clone_into(&mut output.name);
        }
    }
}

/// A changed copy without what nothing reads any more; `None` if it is no valid network.
fn edited(model: &Model, edit: impl FnOnce(&mut GraphProto) -> Option<()>) -> Option<Model> {
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut()?;
    edit(graph)?;
    graph.value_info.clear();
    prune(graph);
    Model::from_proto(proto).ok()
}

/// Removes nodes and constants that no output depends on.
fn prune(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|output| read.contains(output)) {
            reads(&node, &mut read);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|tensor| read.contains(&tensor.name));
}

/// Adds everything that `node` reads, branches included.
fn reads(node: &NodeProto, read: &mut HashSet<String>) {
    read.extend(node.input.iter().cloned());
    for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
        read.extend(graph.output.iter().map(|output| output.name.clone()));
        graph.node.iter().for_each(|node| reads(node, read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Net, Window};

    #[test]
    fn every_smaller_network_is_valid_and_smaller() {
        let (mut net, x) = Net::new(17, &[1, 4, 4, 4]);
        let y = net.conv(&x, 4, &Window::same(3), 1, true);
        let y = net.map("Relu", &[&y], vec![]);
        let y = net.binary("Add", &y, &x);
        let y = net.op("Flatten", &[&y], vec![], &[1, 64]);
        net.output(&y);
        let model = net.model().unwrap();
        let sizes: Vec<_> = smaller(&model).iter().map(|model| model.proto().graph.node.len()).collect();
        // Ends after each of the first three nodes; without Conv, Relu or Add.
        assert_eq!(sizes, [1, 2, 2, 3, 3, 3]);
        assert!(smaller(&model)[0].proto().graph.initializer.len() == 2);
    }
}
