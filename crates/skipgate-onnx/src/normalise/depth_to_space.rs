//! `DepthToSpace` that keeps the blocks of a channel together, which is PyTorch's `PixelShuffle`.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Writes `mode="CRD"` as a transposition between two reshapes: the compiler gets it wrong unless there are as many
/// channels as places of a block along one axis.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "DepthToSpace" {
        return Ok(Step::Keep);
    }
    let mode = Attributes::of(node).string("mode").map_err(|problem| problem.of(node))?.unwrap_or(b"DCR");
    match mode {
        b"DCR" => return Ok(Step::Keep),
        b"CRD" => (),
        _ => return Err(NodeProblem::Attribute { name: "mode", expected: "`DCR` or `CRD`" }.of(node)),
    }
    let unknown = || unsupported(node, "it has mode `CRD`, and the shape of its input is not known");
    let [split, joined] = shapes(node, context).ok_or_else(unknown)?;
    let output = &node.output[0];
    let split = context.add_ints(&format!("{output}.split"), &split);
    let joined = context.add_ints(&format!("{output}.joined"), &joined);
    let mut parts = Parts::of(node);
    let blocks = parts.add(context, "Reshape", &[&node.input[0], &split], vec![]);
    let order = vec![ints_attribute("perm", vec![0, 1, 4, 2, 5, 3])];
    let moved = parts.add(context, "Transpose", &[&blocks], order);
    Ok(Step::nodes(parts.finish("Reshape", &[&moved, &joined], vec![])))
}

/// Shapes before and after the transposition. The batch may be unknown: it is what the others leave.
fn shapes(node: &NodeProto, context: &Context) -> Option<[Vec<i64>; 2]> {
    let input = context.tensor_type(node.input.first()?)?;
    let block = Attributes::of(node).int("blocksize").ok()??;
    let [_, channels, height, width] = input.shape[..] else { return None };
    let [channels, height, width] = [channels, height, width].map(|dim| i64::try_from(dim?).ok());
    let (channels, height, width) = (channels?, height?, width?);
    let squared = block.checked_mul(block).filter(|_| block > 0)?;
    if channels % squared != 0 || [channels, height, width].contains(&0) {
        return None;
    }
    let channels = channels / squared;
    let split = vec![-1, channels, block, block, height, width];
    Some([split, vec![-1, channels, height.checked_mul(block)?, width.checked_mul(block)?]])
}
