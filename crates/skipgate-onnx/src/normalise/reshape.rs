//! Reshapes one after the other become one.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::proto::NodeProto;

/// Lets a `Reshape` of a reshaped value read the value that was reshaped first.
pub(super) fn merge(node: &NodeProto, body: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Reshape" {
        return Step::Keep;
    }
    let [input, _] = &node.input[..] else { return Step::Keep };
    // A reshape costs nothing, and a value that is read in two shapes should stay one value: it may be a block's input.
    if context.reads(input) > 1 {
        return Step::Keep;
    }
    let Some(first) = body.producer(input).filter(|first| only_reshapes(first)) else {
        return Step::Keep;
    };
    let Some(shape) = own_shape(node, context) else { return Step::Keep };
    let shape = match shape {
        Shape::AsItIs => node.input[1].clone(),
        Shape::Written(shape) => context.add_ints(&format!("{}.shape", node.output[0]), &shape),
    };
    let merged = NodeProto { input: vec![first.input[0].clone(), shape], ..node.clone() };
    Step::nodes(vec![merged])
}

fn only_reshapes(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze")
        && crate::check::is_default_domain(&node.domain)
        && node.input.first().is_some_and(|input| !input.is_empty())
}

/// The shape that a merged reshape asks for.
enum Shape {
    AsItIs,
    Written(Vec<i64>),
}

/// The shape that `node` asks for, in a form that does not refer to the shape of its input; `None` if there is none.
fn own_shape(node: &NodeProto, context: &Context) -> Option<Shape> {
    let site = context.site(node);
    let wanted = site.known_ints(1).ok()?;
    if !wanted.contains(&0) || site.attributes.flag("allowzero").ok()? {
        return Some(Shape::AsItIs);
    }
    // A zero copies a dimension of the input, which is another one after the merge.
    let output = context.tensor_type(&node.output[0])?.static_shape()?;
    if output.contains(&0) {
        return None;
    }
    output.into_iter().map(|dim| i64::try_from(dim).ok()).collect::<Option<_>>().map(Shape::Written)
}
