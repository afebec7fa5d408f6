//! Constants that a quantised network keeps as integers, as the floats that they stand for.

use std::collections::BTreeMap;

use crate::attributes::Attributes;
use crate::check::is_default_domain;
use crate::edit::{Names, constants, prune, rename_reads};
use crate::error::Error;
use crate::model::Model;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;

/// Replaces every `DequantizeLinear` of a constant by a constant of floats: `(integer - zero point) * scale`, as the
/// operator is defined, with one scale or one for each index along an axis.
///
/// Only the main graph is searched.
pub fn dequantize_constants(model: &Model) -> Result<Model, Error> {
    let graph = model.graph();
    let known = constants(graph);
    let mut names = Names::of(graph);
    let mut floats = BTreeMap::new();
    for node in graph.node.iter().filter(|node| is_dequantization(node)) {
        let constant = |index: usize| known.get(node.input.get(index)?.as_str()).copied();
        let Some(values) = dequantized(node, constant)? else { continue };
        let name = names.fresh(&format!("{}.constant", node.output[0]));
        floats.insert(node.output[0].clone(), TensorProto { name, ..values });
    }
    if floats.is_empty() {
        return Ok(model.clone());
    }
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            for node in &mut graph.node {
                rename_reads(node, &|name| floats.get(name).map(|tensor| tensor.name.clone()));
            }
            let (replaced, tensors): (Vec<_>, Vec<_>) = floats.into_iter().unzip();
            graph.initializer.extend(tensors);
            prune(graph, replaced);
        }
        Ok(())
    })
}

fn is_dequantization(node: &NodeProto) -> bool {
    node.op_type == "DequantizeLinear" && is_default_domain(&node.domain) && node.output.len() == 1
}

/// The floats that `node` computes; `None` if they are not known, or quantised in blocks.
fn dequantized<'m>(
    node: &NodeProto,
    constant: impl Fn(usize) -> Option<&'m TensorProto>,
) -> Result<Option<TensorProto>, Error> {
    let attributes = Attributes::of(node);
    let (Ok(axis), false) = (attributes.int_or("axis", 1), attributes.has("block_size")) else {
        return Ok(None);
    };
    let (Some(tensor), Some(scale)) = (constant(0), constant(1)) else { return Ok(None) };
    let (Some(values), Some(scales)) = (tensor::integers(tensor)?, tensor::floats(scale)?) else {
        return Ok(None);
    };
    let zero_points = if node.input.get(2).is_some_and(|name| !name.is_empty()) {
        constant(2).map(tensor::integers).transpose()?.flatten()
    } else {
        Some(vec![0; scales.len()])
    };
    let dims: Vec<_> = tensor.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
    let Some(zero_points) = zero_points.filter(|points| points.len() == scales.len()) else {
        return Ok(None);
    };
    let Some((channels, inner)) = channels(&dims, axis, scales.len()) else { return Ok(None) };
    let floats: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let channel = index / inner % channels;
            #[expect(clippy::cast_precision_loss, reason = "so the operator is defined")]
            let value = (value - zero_points[channel]) as f32;
            value * scales[channel]
        })
        .collect();
    Ok(Some(tensor::from_floats(String::new(), tensor.dims.clone(), &floats)))
}

/// Number of indices with a scale of their own, and of elements for each one of them in a row.
fn channels(dims: &[usize], axis: i64, scales: usize) -> Option<(usize, usize)> {
    if scales == 1 {
        return Some((1, 1));
    }
    let axis = if axis < 0 { axis.checked_add(i64::try_from(dims.len()).ok()?)? } else { axis };
    let axis = usize::try_from(axis).ok().filter(|axis| dims.get(*axis) == Some(&scales))?;
    let inner = dims[axis + 1..].iter().product::<usize>();
    (inner > 0).then_some((scales, inner))
}
