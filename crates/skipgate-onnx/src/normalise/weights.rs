//! What is computed from weights alone becomes a weight: networks that standardise their weights compute them anew in
//! every call, with normalisations in training mode.

use super::body::Body;
use super::context::Context;
use super::{Step, constant};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::TensorType;
use crate::shapes::site::axis;
use crate::tensor;

/// The operator set from which on an attribute says that a normalisation is in training mode.
pub(super) const MODE_IS_AN_ATTRIBUTE: i64 = 14;

/// Computes `node` if all that it reads are constant floats, in double precision.
pub(super) fn fold(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let others = node.output.iter().skip(1);
    if others.filter(|output| !output.is_empty()).any(|output| context.reads(output) > 0) {
        return Ok(Step::Keep);
    }
    let Some(weights) = compute(node, context)? else { return Ok(Step::Keep) };
    let Ok(dims) = weights.dims.iter().map(|&dim| i64::try_from(dim)).collect::<Result<Vec<_>, _>>() else {
        return Ok(Step::Keep);
    };
    let tensor = tensor::from_floats(String::new(), dims, &weights.rounded());
    Ok(constant::replace(node, tensor, body, context))
}

/// A constant tensor.
struct Weights {
    dims: Vec<usize>,
    values: Vec<f64>,
}

impl Weights {
    /// The initialiser called `name`; `None` if there is none of 32-bit floats.
    fn of(name: &str, context: &Context) -> Result<Option<Self>, Error> {
        let Some(tensor) = context.weight(name) else { return Ok(None) };
        let Some(values) = tensor::floats(tensor)? else { return Ok(None) };
        let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>();
        Ok(dims.map(|dims| Self { dims, values: values.into_iter().map(f64::from).collect() }))
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are kept in single precision")]
    fn rounded(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// `operation` on elements of two tensors of one shape, or of one that is stretched to the other.
    fn with(&self, other: &Self, operation: fn(f64, f64) -> f64) -> Option<Self> {
        let larger = if self.values.len() >= other.values.len() { self } else { other };
        let (left, right) = (self.stretched(&larger.dims)?, other.stretched(&larger.dims)?);
        let values = left.zip(right).map(|(a, b)| operation(a, b)).collect();
        Some(Self { dims: larger.dims.clone(), values })
    }

    /// The elements in the order of a tensor of `dims` that this one is stretched to.
    fn stretched<'w>(&'w self, dims: &'w [usize]) -> Option<impl Iterator<Item = f64> + 'w> {
        let missing = dims.len().checked_sub(self.dims.len())?;
        let fits = self.dims.iter().zip(&dims[missing..]).all(|(own, dim)| own == dim || *own == 1);
        let count: usize = dims.iter().product();
        let place = move |index| self.values[place_in(index, dims, &self.dims)];
        fits.then(|| (0..count).map(place))
    }

    /// Means over `axes`, which keep one element.
    fn mean(&self, axes: &[usize]) -> Self {
        let is_reduced = |(place, &dim): (usize, &usize)| if axes.contains(&place) { 1 } else { dim };
        let dims: Vec<_> = self.dims.iter().enumerate().map(is_reduced).collect();
        let mut values = vec![0.0; dims.iter().product()];
        let share = self.values.len().max(1) / values.len().max(1);
        for (index, value) in self.values.iter().enumerate() {
            values[place_in(index, &self.dims, &dims)] += value / share as f64;
        }
        Self { dims, values }
    }

    /// One element for each channel of a tensor of `rank` dimensions.
    fn per_channel(self, rank: usize) -> Option<Self> {
        let mut dims = vec![1; rank];
        *dims.get_mut(1)? = self.values.len();
        Some(Self { dims, ..self })
    }
}

/// Where the element of a tensor of `own` lies that is stretched to `index` of one of `dims`. `own` may lack the first
/// dimensions.
fn place_in(mut index: usize, dims: &[usize], own: &[usize]) -> usize {
    let (mut place, mut step) = (0, 1);
    for (dim, own) in dims.iter().rev().zip(own.iter().rev()) {
        if *own > 1 {
            place += index % dim * step;
        }
        step *= own;
        index /= dim;
    }
    place
}

fn compute(node: &NodeProto, context: &Context) -> Result<Option<Weights>, Error> {
    let operand = |index: usize| match node.input.get(index) {
        Some(name) => Weights::of(name, context),
        None => Ok(None),
    };
    let operation: fn(f64, f64) -> f64 = match node.op_type.as_str() {
        "Add" => |a, b| a + b,
        "Div" => |a, b| a / b,
        "Mul" => |a, b| a * b,
        "Sub" => |a, b| a - b,
        "BatchNormalization" => return normalised(node, context),
        "ReduceMean" => return mean(node, context),
        "Reshape" => {
            let shape = context.tensor_type(&node.output[0]).and_then(TensorType::static_shape);
            return Ok(operand(0)?.zip(shape).map(|(weights, dims)| Weights { dims, ..weights }));
        }
        "Sqrt" => {
            let root = |weights: Weights| Weights {
                values: weights.values.into_iter().map(f64::sqrt).collect(),
                ..weights
            };
            return Ok(operand(0)?.map(root));
        }
        _ => return Ok(None),
    };
    let Some((a, b)) = operand(0)?.zip(operand(1)?) else { return Ok(None) };
    Ok(a.with(&b, operation))
}

fn mean(node: &NodeProto, context: &Context) -> Result<Option<Weights>, Error> {
    let Some(weights) = Weights::of(&node.input[0], context)? else { return Ok(None) };
    let site = context.site(node);
    let rank = weights.dims.len();
    let Ok(axes) = site.input_or_attribute(1, "axes") else { return Ok(None) };
    let axes: Option<Vec<_>> =
        axes.unwrap_or_default().into_iter().map(|along| axis(along, rank).ok()).collect();
    // None at all means all of them, or none where an attribute says so.
    let Some(axes) = axes.filter(|axes| !axes.is_empty()) else { return Ok(None) };
    let keep = Attributes::of(node).int_or("keepdims", 1).map_err(|problem| problem.of(node))? != 0;
    let mut mean = weights.mean(&axes);
    if !keep {
        let mut place = 0..;
        mean.dims.retain(|_| place.next().is_some_and(|place| !axes.contains(&place)));
    }
    Ok(Some(mean))
}

/// A normalisation by given statistics, or in training mode by those of what it normalises.
fn normalised(node: &NodeProto, context: &Context) -> Result<Option<Weights>, Error> {
    let [data, scale, shift, mean, variance] = &node.input[..] else { return Ok(None) };
    let attributes = Attributes::of(node);
    let training = if context.opset < MODE_IS_AN_ATTRIBUTE {
        node.output.iter().skip(1).any(|output| !output.is_empty())
    } else {
        attributes.flag("training_mode").map_err(|problem| problem.of(node))?
    };
    let epsilon = attributes.float("epsilon").map_err(|problem| problem.of(node))?.unwrap_or(1e-5);
    let Some(data) = Weights::of(data, context)? else { return Ok(None) };
    let rank = data.dims.len();
    let channel = |name: &str| -> Result<_, Error> {
        Ok(Weights::of(name, context)?.and_then(|weights| weights.per_channel(rank)))
    };
    let Some((scale, shift)) = channel(scale)?.zip(channel(shift)?) else { return Ok(None) };
    let statistics = if training {
        let axes: Vec<_> = (0..rank).filter(|axis| *axis != 1).collect();
        let mean = data.mean(&axes);
        let centred = data.with(&mean, |a, b| a - b);
        let squares = centred.and_then(|centred| centred.with(&centred, |a, b| a * b));
        squares.map(|squares| (mean, squares.mean(&axes)))
    } else {
        channel(mean)?.zip(channel(variance)?)
    };
    let Some((mean, mut variance)) = statistics else { return Ok(None) };
    variance.values.iter_mut().for_each(|value| *value = (*value + f64::from(epsilon)).sqrt());
    let normal = data.with(&mean, |a, b| a - b).and_then(|centred| centred.with(&variance, |a, b| a / b));
    let scaled = normal.and_then(|normal| normal.with(&scale, |a, b| a * b));
    Ok(scaled.and_then(|scaled| scaled.with(&shift, |a, b| a + b)))
}
