//! Indices that the caller gives.

use std::collections::HashMap;

use skipgate_core::IndexInput;

use super::limit::is_safe;
use super::{Places, Producers};
use crate::check::subgraphs;
use crate::error::{Error, NodeProblem};
use crate::metadata::{self, LIMITED_KEY};
use crate::model::Model;
use crate::normalise::context::Context;
use crate::proto::{GraphProto, NodeProto};
use crate::shapes::{Batch, infer_values};
use crate::tensor::element_type::{INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32};

/// How the places that a model reads and writes at are kept inside of its tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexChecks {
    /// What its inputs may hold: whoever runs the network has to refuse others.
    pub inputs: Vec<IndexInput>,
    /// Nodes, as `Operator name`, whose computed indices are limited to what they choose from. ONNX Runtime stops at one that
    /// is outside.
    pub limited: Vec<String>,
}

/// Finds them in a [normalised](crate::normalise) model.
///
/// Errors: a node with computed indices of which it is not known what they choose from.
pub fn index_checks(model: &Model) -> Result<IndexChecks, Error> {
    let values = infer_values(model, Batch::Symbolic)?;
    let context = Context::new(model, &values);
    let mut nodes = HashMap::new();
    collect(model.graph(), &mut nodes);
    let producers = |name: &str| nodes.get(name).copied();
    let mut checks = IndexChecks::default();
    visit(model.graph(), &mut |node| checks.add(node, &producers, &context))?;
    Ok(checks)
}

impl IndexChecks {
    fn add(&mut self, node: &NodeProto, producers: &Producers, context: &Context) -> Result<(), Error> {
        let Some(places) = Places::of(node, context)? else { return Ok(()) };
        let is_safe = is_safe(&places, producers, context)?;
        let Some(fewest) = places.fewest().filter(|_| is_safe) else {
            let (expected, found) = ("indices into an axis of known extent", places.indices);
            return Err(
                NodeProblem::Shape { expected: expected.to_owned(), found: found.to_owned() }.of(node)
            );
        };
        let label = || format!("{} {}", node.op_type, node.name);
        if metadata::has_note(node, LIMITED_KEY) {
            self.limited.push(label());
        }
        let input = read_input(places.indices, producers, context);
        let checked =
            input.map(|input| IndexInput { input, least: -fewest, most: fewest - 1, node: label() });
        self.inputs.extend(checked);
        Ok(())
    }
}

/// The input of the network whose elements `name` holds, in any order, all or some of them.
pub(super) fn read_input(name: &str, producers: &Producers, context: &Context) -> Option<String> {
    let found = context.tensor_type(name)?.element_type;
    if !matches!(found, INT8 | INT16 | INT32 | INT64 | UINT8 | UINT16 | UINT32) {
        return None;
    }
    let Some(node) = producers(name) else { return context.is_input(name).then(|| name.to_owned()) };
    let keeps_elements = match node.op_type.as_str() {
        "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" | "Transpose" | "Expand" => true,
        // A negative number would become a large one without a sign.
        "Cast" => matches!(found, INT8 | INT16 | INT32 | INT64),
        _ => false,
    };
    read_input(node.input.first().filter(|_| keeps_elements)?, producers, context)
}

fn collect<'m>(graph: &'m GraphProto, nodes: &mut HashMap<&'m str, &'m NodeProto>) {
    for node in &graph.node {
        nodes.extend(node.output.iter().map(|output| (output.as_str(), node)));
        subgraphs(node).for_each(|inner| collect(inner, nodes));
    }
}

fn visit(graph: &GraphProto, each: &mut impl FnMut(&NodeProto) -> Result<(), Error>) -> Result<(), Error> {
    for node in &graph.node {
        each(node)?;
        subgraphs(node).try_for_each(|inner| visit(inner, each))?;
    }
    Ok(())
}
