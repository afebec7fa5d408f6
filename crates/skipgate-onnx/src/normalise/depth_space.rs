//! `DepthToSpace` and `SpaceToDepth` in mode CRD, which keeps what belongs to a channel together. The former is PyTorch's
//! `PixelShuffle`.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Writes `mode="CRD"` as a transposition between two reshapes. Of `SpaceToDepth` the compiler knows the other mode alone;
/// `DepthToSpace` it gets wrong unless there are as many channels as places of a block along one axis.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let (shapes, order): (Place, _) = match node.op_type.as_str() {
        "DepthToSpace" => (to_space, [0, 1, 4, 2, 5, 3]),
        "SpaceToDepth" => (to_depth, [0, 1, 3, 5, 2, 4]),
        _ => return Ok(Step::Keep),
    };
    let mode = Attributes::of(node).string("mode").map_err(|problem| problem.of(node))?.unwrap_or(b"DCR");
    match mode {
        b"DCR" => return Ok(Step::Keep),
        b"CRD" => (),
        _ => return Err(NodeProblem::Attribute { name: "mode", expected: "`DCR` or `CRD`" }.of(node)),
    }
    let unknown = || unsupported(node, "it has mode `CRD`, and the shape of its input is not known");
    let known = block_and_image(node, context).and_then(|(block, image)| shapes(block, image));
    let [split, joined] = known.ok_or_else(unknown)?;
    let output = &node.output[0];
    let split = context.add_ints(&format!("{output}.split"), &split);
    let joined = context.add_ints(&format!("{output}.joined"), &joined);
    let mut parts = Parts::of(node);
    let blocks = parts.add(context, "Reshape", &[&node.input[0], &split], vec![]);
    let moved = parts.add(context, "Transpose", &[&blocks], vec![ints_attribute("perm", order.to_vec())]);
    Ok(Step::nodes(parts.finish("Reshape", &[&moved, &joined], vec![])))
}

/// Shapes before and after the transposition. The batch may be unknown: it is what the others leave.
type Shapes = [Vec<i64>; 2];

/// Finds the shapes for the size of a block, and channels, height and width of the input.
type Place = fn(i64, [i64; 3]) -> Option<Shapes>;

/// The size of a block, and channels, height and width of the input.
fn block_and_image(node: &NodeProto, context: &Context) -> Option<(i64, [i64; 3])> {
    let input = context.tensor_type(node.input.first()?)?;
    let block = Attributes::of(node).int("blocksize").ok()??;
    let [_, channels, height, width] = input.shape[..] else { return None };
    let [channels, height, width] = [channels, height, width].map(|dim| i64::try_from(dim?).ok());
    let image = [channels?, height?, width?];
    (block > 0 && !image.contains(&0)).then_some((block, image))
}

fn to_space(block: i64, [channels, height, width]: [i64; 3]) -> Option<Shapes> {
    let squared = block.checked_mul(block)?;
    if channels % squared != 0 {
        return None;
    }
    let channels = channels / squared;
    let split = vec![-1, channels, block, block, height, width];
    Some([split, vec![-1, channels, height.checked_mul(block)?, width.checked_mul(block)?]])
}

fn to_depth(block: i64, [channels, height, width]: [i64; 3]) -> Option<Shapes> {
    let squared = block.checked_mul(block)?;
    if height % block != 0 || width % block != 0 {
        return None;
    }
    let split = vec![-1, channels, height / block, block, width / block, block];
    Some([split, vec![-1, channels.checked_mul(squared)?, height / block, width / block]])
}
