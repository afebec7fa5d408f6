//! Nodes that read or write elements at computed places: `Gather`, `GatherElements`, `GatherND`, `ScatterElements` and
//! `ScatterND`.
//!
//! ONNX Runtime stops at an index that its axis does not have; the compiled network would read or write whatever lies there.
//! So each index is one of these: constant and [checked](check), provably inside ([`bounds`]), an input of the network, which
//! the runtime checks at every call ([`inputs`]), or limited to the axis ([`limit`]).

mod bounds;
pub(crate) mod inputs;
pub(super) mod limit;

use super::context::Context;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::{Dim, axis};
use crate::tensor;

/// Finds the node that computes a value.
type Producers<'a> = dyn Fn(&str) -> Option<&'a NodeProto> + 'a;

/// Where a node reads or writes.
struct Places<'n> {
    /// The second input of each of these nodes.
    indices: &'n str,
    /// How many elements each index chooses from: one number for all of them, or one for each in the last dimension. `None`
    /// where it is not known.
    extents: Vec<Dim>,
}

impl<'n> Places<'n> {
    /// `None` for any other node.
    fn of(node: &'n NodeProto, context: &Context) -> Result<Option<Self>, Error> {
        let attribute = |name| Attributes::of(node).int_or(name, 0).map_err(|problem| problem.of(node));
        let [data, indices, ..] = &node.input[..] else { return Ok(None) };
        let shape = |name: &str| context.tensor_type(name).map(|found| &found.shape[..]);
        let extents = match node.op_type.as_str() {
            "Gather" | "GatherElements" | "ScatterElements" => {
                let along = attribute("axis")?;
                shape(data).and_then(|shape| Some(vec![shape[axis(along, shape.len()).ok()?]]))
            }
            "GatherND" => {
                let batch = usize::try_from(attribute("batch_dims")?).ok();
                batch.and_then(|batch| indexed(shape(data)?.get(batch..)?, shape(indices)?))
            }
            "ScatterND" => shape(data).and_then(|data| indexed(data, shape(indices)?)),
            _ => return Ok(None),
        };
        Ok(Some(Self { indices, extents: extents.unwrap_or_else(|| vec![None]) }))
    }

    /// The fewest elements that any index chooses from, if all numbers are known.
    fn fewest(&self) -> Option<i64> {
        let known: Option<Vec<_>> = self.extents.iter().copied().collect();
        known?.into_iter().min().map(signed)
    }

    /// Whether index number `place` of `indices` may be `index`; `None` where the extent is not known.
    fn has(&self, place: usize, index: i64) -> Option<bool> {
        let extent = signed(self.extents[place % self.extents.len()]?);
        Some((-extent..extent).contains(&index))
    }
}

/// What the numbers in the last dimension of `indices` choose from: the first dimensions of `data`.
fn indexed(data: &[Dim], indices: &[Dim]) -> Option<Vec<Dim>> {
    let numbers = (*indices.last()?)?;
    (numbers > 0).then_some(data.get(..numbers)?.to_vec())
}

fn signed(extent: usize) -> i64 {
    i64::try_from(extent).unwrap_or(i64::MAX)
}

/// Refuses a constant index that its axis does not have.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let Some(places) = Places::of(node, context)? else { return Ok(()) };
    let constant = context.constant(places.indices).map(tensor::integers).transpose()?.flatten();
    let outside = |&(place, &index): &(usize, &i64)| places.has(place, index) == Some(false);
    let Some((place, index)) = constant.iter().flatten().enumerate().find(outside) else { return Ok(()) };
    let extent = places.extents[place % places.extents.len()].unwrap_or_default();
    let expected = format!("indices into an axis of {extent} elements");
    Err(NodeProblem::Shape { expected, found: index.to_string() }.of(node))
}
