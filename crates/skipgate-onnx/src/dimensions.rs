//! Sizes for the dimensions that a model leaves open.

use std::collections::{BTreeMap, HashSet};

use crate::MASK_INPUT;
use crate::error::Error;
use crate::model::Model;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::type_proto::Value as TypeValue;
use crate::proto::{GraphProto, ValueInfoProto};

/// The open dimensions of the inputs, each once: by their symbol, or as `INPUT.AXIS` where they have none.
///
/// The first dimension of an input is left out, since it is taken for the batch, which is 1 unless it is given a size.
pub fn open_dimensions(model: &Model) -> Vec<String> {
    let mut names = Vec::new();
    for (_, axis, name) in open(model.graph()) {
        if axis > 0 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The model with the dimensions in `sizes` of that size, wherever their symbols occur. They are called by their symbol,
/// or `INPUT.AXIS` where they have none; a batch can be given a size too.
///
/// # Errors
///
/// [`Error::UnknownDimension`] for one that no input has.
pub fn fix_dimensions(model: &Model, sizes: &BTreeMap<String, usize>) -> Result<Model, Error> {
    let known: Vec<_> = open(model.graph()).map(|(_, _, name)| name).collect();
    if let Some(name) = sizes.keys().find(|name| !known.contains(name)) {
        return Err(Error::UnknownDimension { name: name.clone(), known });
    }
    if sizes.is_empty() {
        return Ok(model.clone());
    }
    let size = |name: &str| sizes.get(name).and_then(|&size| i64::try_from(size).ok());
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            for input in &mut graph.input {
                let name = input.name.clone();
                for (axis, dimension) in dimensions_mut(input).iter_mut().enumerate() {
                    if is_nameless(dimension) {
                        fix(dimension, size(&format!("{name}.{axis}")));
                    }
                }
            }
            fix_symbols(graph, &size);
        }
        Ok(())
    })
}

/// The model for a batch of one, if it leaves the batch open: the first dimension of every input.
pub fn fix_batch(model: &Model) -> Result<Model, Error> {
    let batch = open(model.graph()).filter(|(_, axis, _)| *axis == 0).map(|(_, _, name)| (name, 1));
    fix_dimensions(model, &batch.collect())
}

/// Inputs, axes and names of open dimensions. Inputs that have a default value are constants.
fn open(graph: &GraphProto) -> impl Iterator<Item = (&str, usize, String)> {
    let defaults: HashSet<_> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph.input.iter();
    let inputs =
        inputs.filter(move |input| input.name != MASK_INPUT && !defaults.contains(input.name.as_str()));
    inputs.flat_map(|input| {
        let named = move |(axis, dimension): (usize, &Dimension)| match &dimension.value {
            Some(dimension::Value::DimParam(symbol)) if !symbol.is_empty() => {
                Some((input.name.as_str(), axis, symbol.clone()))
            }
            _ if is_nameless(dimension) => {
                Some((input.name.as_str(), axis, format!("{}.{axis}", input.name)))
            }
            _ => None,
        };
        dimensions(input).iter().enumerate().filter_map(named)
    })
}

/// Whether a dimension is open and has no symbol. Exporters write an empty symbol, no value, or a negative one.
fn is_nameless(dimension: &Dimension) -> bool {
    match &dimension.value {
        None => true,
        Some(dimension::Value::DimParam(symbol)) => symbol.is_empty(),
        Some(dimension::Value::DimValue(extent)) => *extent < 0,
    }
}

fn dimensions(info: &ValueInfoProto) -> &[Dimension] {
    match &info.type_.value {
        Some(TypeValue::TensorType(tensor)) => &tensor.shape.dim,
        _ => &[],
    }
}

fn dimensions_mut(info: &mut ValueInfoProto) -> &mut [Dimension] {
    match info.type_.as_mut().and_then(|ty| ty.value.as_mut()) {
        Some(TypeValue::TensorType(tensor)) => match tensor.shape.as_mut() {
            Some(shape) => &mut shape.dim,
            None => &mut [],
        },
        _ => &mut [],
    }
}

fn fix(dimension: &mut Dimension, size: Option<i64>) {
    if let Some(size) = size {
        dimension.value = Some(dimension::Value::DimValue(size));
    }
}

/// Puts sizes in the place of symbols, in what the graph and its branches declare.
fn fix_symbols(graph: &mut GraphProto, size: &impl Fn(&str) -> Option<i64>) {
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    for dimension in infos.flat_map(dimensions_mut) {
        if let Some(dimension::Value::DimParam(symbol)) = &dimension.value {
            let size = size(symbol);
            fix(dimension, size);
        }
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute
            .g
            .as_mut()
            .into_iter()
            .chain(&mut attribute.graphs)
            .for_each(|inner| fix_symbols(inner, size));
    }
}
