//! What the numbers of the output are, by the operator that computes them.

use skipgate_core::{Scores, class_count};

use crate::error::Error;
use crate::graph::{Graph, Node, ValueId};
use crate::model::Model;
use crate::tensor::element_type;

/// What the first output of a normalised `model` is, if it has a number for each class: what the last operator that
/// changes numbers makes of them.
///
/// A softmax counts if it is over the classes. What nothing is known of is taken for logits.
///
/// Errors: as [`infer_shapes`](crate::infer_shapes).
pub fn find_scores(model: &Model) -> Result<Scores, Error> {
    let graph = Graph::new(model)?;
    let output = graph.scope(graph.main()).outputs.first().copied();
    Ok(output.and_then(|output| scores(&graph, output)).unwrap_or_default())
}

fn scores(graph: &Graph, output: ValueId) -> Option<Scores> {
    let classes = class_count(&graph.ty(output)?.static_shape()?);
    let mut value = output;
    loop {
        let node = graph.node(graph.producer(value)?);
        if node.is("Sigmoid") {
            return Some(Scores::IndependentProbabilities);
        }
        if node.is("Softmax") || node.is("LogSoftmax") {
            let over_classes = extent(graph, node)? == classes && classes > 1;
            let scores = if node.is("Softmax") { Scores::Probabilities } else { Scores::LogProbabilities };
            return over_classes.then_some(scores);
        }
        value = kept(graph, node)?;
    }
}

/// Number of elements that a softmax is over.
fn extent(graph: &Graph, softmax: &Node) -> Option<usize> {
    let shape = graph.ty(softmax.input(0)?)?.static_shape()?;
    let axis = softmax.int("axis").unwrap_or(-1);
    let from_start = if axis < 0 { axis.checked_add(i64::try_from(shape.len()).ok()?)? } else { axis };
    shape.get(usize::try_from(from_start).ok()?).copied()
}

/// The value whose numbers `node` hands on, perhaps in another shape or rounded.
fn kept(graph: &Graph, node: &Node) -> Option<ValueId> {
    let input = node.input(0)?;
    let hands_on = match node.op_type() {
        "DequantizeLinear" | "Dropout" | "Flatten" | "Identity" | "QuantizeLinear" | "Reshape"
        | "Squeeze" | "Transpose" | "Unsqueeze" => true,
        "Cast" => graph
            .ty(node.only_output()?)
            .zip(graph.ty(input))
            .is_some_and(|(to, from)| [to, from].iter().all(|ty| is_float(ty.element_type))),
        _ => false,
    };
    (hands_on && node.is_standard()).then_some(input)
}

fn is_float(element_type: i32) -> bool {
    use element_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
    matches!(element_type, BFLOAT16 | DOUBLE | FLOAT | FLOAT16)
}
