//! Smaller graphs: one node less, or an earlier end.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use skipgate_onnx::proto::{GraphProto, NodeProto};
use skipgate_onnx::{Model, TensorType, element_type, infer_shapes};

use crate::net::{INPUT, Value, value_info};

/// The networks that end at an earlier value of `model`, the smallest first.
pub(crate) fn ends(model: &Model) -> Vec<Model> {
    let types = infer_shapes(model).unwrap_or_default();
    let values = model.proto().graph.node.iter().flat_map(|node| &node.output);
    sorted(values.filter_map(|value| end_at(model, value, &types)).collect(), model)
}

/// The networks that begin at a later value of `model`, the smallest first.
pub(crate) fn beginnings(model: &Model) -> Vec<Model> {
    let types = infer_shapes(model).unwrap_or_default();
    let values = model.proto().graph.node.iter().flat_map(|node| &node.output);
    sorted(values.filter_map(|value| begin_at(model, value, &types)).collect(), model)
}

/// Those with fewer nodes than `model`, the smallest first.
fn sorted(mut models: Vec<Model>, model: &Model) -> Vec<Model> {
    models.retain(|smaller| nodes(smaller) < nodes(model));
    models.sort_by_key(nodes);
    models
}

/// Number of nodes of the main graph.
pub(crate) fn nodes(model: &Model) -> usize {
    model.proto().graph.node.len()
}

/// The network up to `value`.
fn end_at(model: &Model, value: &str, types: &HashMap<String, TensorType>) -> Option<Model> {
    let shape = float_shape(types.get(value)?)?;
    edited(model, |graph| {
        graph.output.truncate(1);
        *graph.output.first_mut()? =
            value_info(&Value { name: value.to_owned(), shape }, element_type::FLOAT);
        Some(())
    })
}

/// The network from `value` on.
fn begin_at(model: &Model, value: &str, types: &HashMap<String, TensorType>) -> Option<Model> {
    let shape = float_shape(types.get(value)?)?;
    edited(model, |graph| {
        let node = graph.node.iter().position(|node| node.output.iter().any(|output| output == value))?;
        if graph.output.iter().any(|output| output.name == value) {
            return None;
        }
        graph.node.remove(node);
        graph.node.iter_mut().for_each(|node| rename(node, value, INPUT));
        *graph.input.first_mut()? = value_info(&Value { name: INPUT.to_owned(), shape }, element_type::FLOAT);
        Some(())
    })
}

/// The shape of a float value with one element in its batch.
fn float_shape(ty: &TensorType) -> Option<Vec<usize>> {
    let shape: Vec<_> = ty.shape.iter().copied().collect::<Option<_>>()?;
    (ty.element_type == element_type::FLOAT && shape.len() >= 2 && shape[0] == 1).then_some(shape)
}

/// The network without the nodes at `places`, as far as it can be: what reads the result of one reads an input of the
/// same type instead.
pub(crate) fn without(model: &Model, places: Range<usize>) -> Option<Model> {
    let types = infer_shapes(model).ok()?;
    let graph = &model.proto().graph;
    let constants: HashSet<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let outputs: HashSet<_> = graph.output.iter().map(|output| &output.name).collect();
    let bypass = |node: &NodeProto| {
        let [output] = &node.output[..] else { return None };
        let same = |input: &&String| !constants.contains(input) && types.get(*input) == types.get(output);
        let input = node.input.iter().find(same)?;
        (!outputs.contains(output)).then(|| (output.clone(), input.clone()))
    };
    let renamed: HashMap<_, _> = graph.node[places].iter().filter_map(bypass).collect();
    if renamed.is_empty() {
        return None;
    }
    let resolve = |name: &String| {
        let mut source = renamed.get(name)?;
        while let Some(next) = renamed.get(source) {
            source = next;
        }
        Some(source.clone())
    };
    edited(model, |graph| {
        graph.node.retain(|node| !node.output.iter().any(|output| renamed.contains_key(output)));
        for from in renamed.keys() {
            let to = resolve(from)?;
            graph.node.iter_mut().for_each(|node| rename(node, from, &to));
        }
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
    fn smaller_networks_are_valid() {
        let (mut net, x) = Net::new(17, &[1, 4, 4, 4]);
        let y = net.conv(&x, 4, &Window::same(3), 1, true);
        let y = net.map("Relu", &[&y], vec![]);
        let y = net.binary("Add", &y, &x);
        let y = net.op("Flatten", &[&y], vec![], &[1, 64]);
        net.output(&y);
        let model = net.model().unwrap();
        let sizes = |models: &[Model]| models.iter().map(nodes).collect::<Vec<_>>();
        assert_eq!(sizes(&ends(&model)), [1, 2, 3]);
        assert_eq!(ends(&model)[0].proto().graph.initializer.len(), 2);
        // What reads the old input reads the new one, which has the same shape here.
        assert_eq!(sizes(&beginnings(&model)), [1, 2, 3]);
        assert_eq!(nodes(&without(&model, 1..2).unwrap()), 3);
        assert_eq!(nodes(&without(&model, 0..3).unwrap()), 1);
        assert!(without(&model, 3..4).is_none());
    }
}
