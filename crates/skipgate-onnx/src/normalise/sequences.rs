//! Sequences whose elements are known by name: `SequenceAt`, `SequenceLength` and `ConcatFromSequence` (operator set 11) of
//! what the other operators of sequences put together.
//!
//! A compiled network has tensors only. What makes a sequence stays until nothing reads it, and is refused then if
//! something does.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, constant, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor;

/// Most parts of a tensor that is cut up.
const MAX_PARTS: i64 = 1 << 10;

/// Reads the elements of a sequence, its length, or all of them, where they are known.
pub(super) fn read(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if !matches!(node.op_type.as_str(), "ConcatFromSequence" | "SequenceAt" | "SequenceLength") {
        return Ok(Step::Keep);
    }
    let Some(elements) = node.input.first().and_then(|name| elements(name, body, context)) else {
        return Ok(Step::Keep);
    };
    match node.op_type.as_str() {
        "SequenceLength" => {
            let length =
                tensor::from_integer(String::new(), i64::try_from(elements.len()).unwrap_or(i64::MAX));
            Ok(constant::replace(node, length, body, context))
        }
        "SequenceAt" => match position(node, 1, elements.len(), context) {
            Some(place) if place < elements.len() => Ok(Step::alias(node, &elements[place])),
            _ => Err(unsupported(node, "the place that it reads is not constant, or not in the sequence")),
        },
        _ => joined(node, &elements, context),
    }
}

/// Writes a `SplitToSequence` as a `Split` whose parts are the elements of a sequence.
pub(super) fn split(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "SplitToSequence") else {
        return Ok(Step::Keep);
    };
    let parts = Parts::of(node, context).map_err(|problem| problem.of(node))?;
    let Some(Parts { axis, sizes, keeps }) = parts else {
        return Err(unsupported(node, "how many parts its result has is not constant, or too many"));
    };
    let mut build = Build::of(node, context);
    let list = build.ints(&sizes);
    let along = vec![int_attribute("axis", axis)];
    let mut parts = build.with_outputs("Split", &[input, &list], along, sizes.len());
    if !keeps {
        let axes = build.ints(&[axis]);
        parts = parts.iter().map(|part| build.op("Squeeze", &[part, &axes])).collect();
    }
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let sequence = build.op("SequenceConstruct", &parts);
    Ok(build.finish(&[&sequence]))
}

/// Refuses what makes a sequence, or reads one that is not known.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    let is_of_sequences = node.op_type.starts_with("Sequence")
        || matches!(node.op_type.as_str(), "ConcatFromSequence" | "SplitToSequence");
    if is_of_sequences {
        return Err(unsupported(node, "the elements of a sequence are not known before the network runs"));
    }
    Ok(())
}

/// The elements of the sequence `name`; `None` if they are not known.
fn elements(name: &str, body: &Body, context: &Context) -> Option<Vec<String>> {
    let producer = body.producer(name)?;
    let of_first = || elements(producer.input.first()?, body, context);
    match producer.op_type.as_str() {
        "Identity" => of_first(),
        "SequenceConstruct" => Some(producer.input.clone()),
        "SequenceEmpty" => Some(Vec::new()),
        "SequenceErase" => {
            let mut elements = of_first()?;
            let place = position(producer, 1, elements.len(), context)?;
            (place < elements.len()).then(|| elements.remove(place))?;
            Some(elements)
        }
        "SequenceInsert" => {
            let mut elements = of_first()?;
            let place = position(producer, 2, elements.len(), context)?;
            elements.insert(place, producer.input.get(1)?.clone());
            Some(elements)
        }
        _ => None,
    }
}

/// The place that input `index` of `node` names in a sequence of `length` elements, at most behind its end; a place that is
/// left out is the last one in `SequenceErase`, and the one behind it in `SequenceInsert`.
fn position(node: &NodeProto, index: usize, length: usize, context: &Context) -> Option<usize> {
    let Some(name) = node.input.get(index).filter(|name| !name.is_empty()) else {
        return if node.op_type == "SequenceInsert" { Some(length) } else { length.checked_sub(1) };
    };
    let &[Some(place)] = context.value(name)?.ints.as_deref()? else { return None };
    let place = if place < 0 { place.checked_add(i64::try_from(length).ok()?)? } else { place };
    usize::try_from(place).ok().filter(|place| *place <= length)
}

fn joined(node: &NodeProto, elements: &[String], context: &mut Context) -> Result<Step, Error> {
    let attributes = Attributes::of(node);
    let int = |name| attributes.int(name).map_err(|problem| problem.of(node));
    let along = int("axis")?.ok_or_else(|| NodeProblem::MissingAttribute { name: "axis" }.of(node))?;
    let is_new = int("new_axis")?.unwrap_or(0) != 0;
    let Some(rank) = elements.first().and_then(|name| context.tensor_type(name)).map(|ty| ty.shape.len())
    else {
        return Err(unsupported(node, "its sequence is empty, or a shape in it is not known"));
    };
    let along = axis(along, rank + usize::from(is_new)).ok().and_then(|along| i64::try_from(along).ok());
    let Some(along) = along else {
        return Err(unsupported(node, "it joins along an axis that there is not"));
    };
    let mut build = Build::of(node, context);
    let parts: Vec<_> = elements
        .iter()
        .map(|name| if is_new { build.unsqueeze(name, &[along]) } else { name.clone() })
        .collect();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let result = build.with("Concat", &parts, vec![int_attribute("axis", along)]);
    Ok(build.finish(&[&result]))
}

struct Parts {
    axis: i64,
    sizes: Vec<i64>,
    /// Whether the parts keep the dimension.
    keeps: bool,
}

impl Parts {
    /// `None` where they are not known.
    fn of(node: &NodeProto, context: &Context) -> Result<Option<Self>, NodeProblem> {
        let site = context.site(node);
        let Ok(input) = site.input(0) else { return Ok(None) };
        let Ok(along) = axis(site.attributes.int_or("axis", 0)?, input.shape.len()) else { return Ok(None) };
        let Some(extent) = input.shape[along].and_then(|extent| i64::try_from(extent).ok()) else {
            return Ok(None);
        };
        let keeps = site.attributes.int_or("keepdims", 1)? != 0;
        let axis = i64::try_from(along).unwrap_or(i64::MAX);
        let sized = site.has_input(1);
        let sizes = if sized {
            let (Ok(given), Ok(ty)) = (site.known_ints(1), site.input(1)) else { return Ok(None) };
            match &given[..] {
                &[size] if ty.shape.is_empty() => chunks(extent, size),
                given => Some(given.to_vec()),
            }
        } else {
            chunks(extent, 1)
        };
        // What is cut into parts of given sizes keeps the dimension.
        let known = sizes.filter(|sizes| !sizes.is_empty() && sizes.iter().all(|size| *size >= 0));
        Ok(known.map(|sizes| Self { axis, sizes, keeps: keeps || sized }))
    }
}

/// Parts of `size` elements, the last of which may be smaller.
fn chunks(extent: i64, size: i64) -> Option<Vec<i64>> {
    if size < 1 || extent / size >= MAX_PARTS {
        return None;
    }
    let full = (0..extent / size).map(|_| size);
    Some(full.chain((extent % size != 0).then_some(extent % size)).collect())
}
