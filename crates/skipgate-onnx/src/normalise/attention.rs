//! `Attention` of operator set 23, which the compiler does not know.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{BOOL, FLOAT};

/// Inputs: queries, keys, values, and a mask that may be missing.
const INPUTS: usize = 4;

/// Writes attention as the two products, the scale, the mask and the `Softmax` that it is.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Attention" {
        return Ok(Step::Keep);
    }
    check(node)?;
    let heads = Heads::of(node, context)?;
    let [queries, keys, values] = &node.input[..3] else { return Ok(Step::Keep) };
    let scale = Attributes::of(node).float("scale").map_err(|problem| problem.of(node))?;
    let scale = scale.unwrap_or(1.0 / (heads.size as f32).sqrt());
    let scale = context.add_floats(&format!("{}.scale", node.output[0]), vec![], &[scale]);

    let mut parts = Parts::of(node);
    let queries = heads.apart(&mut parts, context, queries);
    let keys = heads.apart(&mut parts, context, keys);
    let values = heads.apart(&mut parts, context, values);
    let queries = parts.add(context, "Mul", &[&queries, &scale], vec![]);
    let keys = parts.add(context, "Transpose", &[&keys], vec![ints_attribute("perm", vec![0, 1, 3, 2])]);
    let mut scores = parts.add(context, "MatMul", &[&queries, &keys], vec![]);
    if let Some(mask) = node.input.get(3).filter(|mask| !mask.is_empty()) {
        let mask = addend(node, mask, &mut parts, context)?;
        scores = parts.add(context, "Add", &[&scores, &mask], vec![]);
    }
    let shares = parts.add(context, "Softmax", &[&scores], vec![]);
    if !heads.together {
        return Ok(Step::nodes(parts.finish("MatMul", &[&shares, &values], vec![])));
    }
    let mixed = parts.add(context, "MatMul", &[&shares, &values], vec![]);
    let mixed = parts.add(context, "Transpose", &[&mixed], vec![ints_attribute("perm", vec![0, 2, 1, 3])]);
    let shape = context.add_ints(&format!("{}.shape", node.output[0]), &[0, 0, -1]);
    Ok(Step::nodes(parts.finish("Reshape", &[&mixed, &shape], vec![])))
}

/// Refuses what is more than attention over what the node reads.
fn check(node: &NodeProto) -> Result<(), Error> {
    let attributes = Attributes::of(node);
    let flag = |name| attributes.flag(name).map_err(|problem| problem.of(node));
    let cap = attributes.float("softcap").map_err(|problem| problem.of(node))?;
    let precision = attributes.int("softmax_precision").map_err(|problem| problem.of(node))?;
    if node.input.iter().skip(INPUTS).any(|input| !input.is_empty()) {
        return Err(unsupported(node, "it reads the keys and values of calls before it"));
    }
    if node.output.iter().skip(1).any(|output| !output.is_empty()) {
        return Err(unsupported(node, "it has more than one result"));
    }
    if flag("is_causal")? {
        return Err(unsupported(node, "it is causal"));
    }
    if cap.is_some_and(|cap| cap != 0.0) {
        return Err(unsupported(node, "it caps its scores"));
    }
    if precision.is_some_and(|precision| precision != i64::from(FLOAT)) {
        return Err(unsupported(node, "its `Softmax` is not of 32-bit floats"));
    }
    Ok(())
}

/// How the heads of attention are kept.
struct Heads {
    /// In one dimension with the elements of each.
    together: bool,
    count: i64,
    /// Elements of a query.
    size: usize,
}

impl Heads {
    fn of(node: &NodeProto, context: &Context) -> Result<Self, Error> {
        let count = |name| Attributes::of(node).int(name).map_err(|problem| problem.of(node));
        let shape = |index: usize| {
            let input = node.input.get(index).and_then(|input| context.tensor_type(input));
            input.filter(|input| input.element_type == FLOAT).map(|input| &input.shape[..])
        };
        let (Some(queries), Some(keys), Some(values)) = (shape(0), shape(1), shape(2)) else {
            return Err(unsupported(node, "its inputs are not known to be of 32-bit floats"));
        };
        if [keys.len(), values.len()] != [queries.len(); 2] {
            return Err(unsupported(node, "its inputs are of different ranks"));
        }
        let heads = match *queries {
            [_, Some(count), _, Some(size)] if [keys[1], values[1]] == [Some(count); 2] => {
                Some(Self { together: false, count: i64::try_from(count).unwrap_or(i64::MAX), size })
            }
            [_, _, Some(elements)] => {
                let (of_queries, of_keys) = (count("q_num_heads")?, count("kv_num_heads")?);
                let count = of_queries.filter(|count| of_keys == Some(*count));
                let divisor = count.and_then(|count| usize::try_from(count).ok());
                let size = divisor.filter(|&n| n > 0 && elements % n == 0).map(|n| elements / n);
                count.zip(size).map(|(count, size)| Self { together: true, count, size })
            }
            _ => None,
        };
        heads.ok_or_else(|| {
            unsupported(node, "the numbers of heads of queries, keys and values are not known to be equal")
        })
    }

    /// `value` with a dimension for the heads in front of the positions.
    fn apart(&self, parts: &mut Parts, context: &mut Context, value: &str) -> String {
        if !self.together {
            return value.to_owned();
        }
        let shape = context.add_ints(&format!("{value}.heads"), &[0, 0, self.count, -1]);
        let apart = parts.add(context, "Reshape", &[value, &shape], vec![]);
        parts.add(context, "Transpose", &[&apart], vec![ints_attribute("perm", vec![0, 2, 1, 3])])
    }
}

/// What a mask adds to the scores.
fn addend(node: &NodeProto, mask: &str, parts: &mut Parts, context: &mut Context) -> Result<String, Error> {
    match context.tensor_type(mask).map(|mask| mask.element_type) {
        Some(FLOAT) => Ok(mask.to_owned()),
        Some(BOOL) => {
            let zero = context.add_floats(&format!("{}.kept", node.output[0]), vec![], &[0.0]);
            let least =
                context.add_floats(&format!("{}.left_out", node.output[0]), vec![], &[f32::NEG_INFINITY]);
            Ok(parts.add(context, "Where", &[mask, &zero, &least], vec![]))
        }
        _ => Err(unsupported(node, "its mask is of neither 32-bit floats nor booleans")),
    }
}
