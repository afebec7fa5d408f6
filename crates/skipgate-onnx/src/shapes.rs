//! Shape inference: element type and shape of every value, as far as they can be known.
//!
//! A forward pass over the nodes, with the contents of small integer tensors tracked on the way, so that the
//! `Shape -> Gather -> Concat -> Reshape` chains of exporters resolve. What an operator does to shapes follows the
//! ONNX operator specification.

pub(crate) mod einsum;
mod elementwise;
mod excerpt;
pub(crate) mod layout;
mod reduce;
pub(crate) mod resize;
pub(crate) mod site;
pub(crate) mod window;

use std::collections::{HashMap, HashSet};

use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use crate::check::is_default_domain;
use crate::constants::{self, Ints};
use crate::error::{Error, NodeProblem};
use crate::model::Model;
use crate::tensor;
pub use excerpt::{Excerpt, find_excerpts};
use site::{Inferred, Site, Stop};

/// Element type and shape of a tensor value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// ONNX `TensorProto.DataType` number; [`element_type`](crate::element_type) names the usual ones.
    pub element_type: i32,
    /// Extent of every dimension, outermost first; `None` where it cannot be known.
    pub shape: Vec<Option<usize>>,
}

impl TensorType {
    /// The shape, if every dimension is known.
    pub fn static_shape(&self) -> Option<Vec<usize>> {
        self.shape.iter().copied().collect()
    }

    /// Number of elements, if every dimension is known and the product fits into the address space.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, dim| product.checked_mul((*dim)?))
    }
}

/// What inference knows about a value.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) tensor_type: TensorType,
    /// The elements of a small integer tensor, as far as they are known.
    pub(crate) ints: Option<Ints>,
    /// The elements of a small tensor of 32-bit floats, or of a constant of 16-bit ones, if all of them are known.
    pub(crate) floats: Option<Vec<f32>>,
}

impl From<TensorType> for Value {
    /// A value of which nothing else is known.
    fn from(tensor_type: TensorType) -> Self {
        Self { tensor_type, ints: None, floats: None }
    }
}

/// What a symbolic batch dimension is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// One image at a time.
    One,
    /// Unknown, as the model says.
    Symbolic,
}

/// Types every value that it can, by name, those inside of `If` branches included.
///
/// A symbolic or missing first dimension of a graph input is taken to be the batch and bound to 1, and so is its
/// symbol wherever else it occurs. Other symbols stay unknown. Where an operator is not known, the type that
/// the file itself declares is used.
///
/// Errors: a node whose inputs or attributes break the rules of its operator.
pub fn infer_shapes(model: &Model) -> Result<HashMap<String, TensorType>, Error> {
    infer(model, Batch::One)
}

/// [`infer_shapes`] with a choice of batch.
pub(crate) fn infer(model: &Model, batch: Batch) -> Result<HashMap<String, TensorType>, Error> {
    let mut environment = Environment::new(model, batch);
    environment.graph(model.graph())?;
    let Environment { values, ambiguous, .. } = environment;
    let unambiguous = values.into_iter().filter(|(name, _)| !ambiguous.contains(name));
    Ok(unambiguous.map(|(name, value)| (name.to_owned(), value.tensor_type)).collect())
}

/// Types, and the elements of small integer tensors, of every value that one of `model` is known by. Names must be
/// defined once in the whole model.
pub(crate) fn infer_values(model: &Model, batch: Batch) -> Result<HashMap<&str, Value>, Error> {
    let mut environment = Environment::new(model, batch);
    environment.graph(model.graph())?;
    Ok(environment.values)
}

struct Environment<'m> {
    /// Symbols that stand for the batch, where that is bound to 1.
    bound: HashSet<&'m str>,
    batch: Batch,
    declared: HashMap<&'m str, TensorType>,
    values: HashMap<&'m str, Value>,
    /// Names that two branches use for values of different types.
    ambiguous: HashSet<&'m str>,
}

impl<'m> Environment<'m> {
    fn new(model: &'m Model, batch: Batch) -> Self {
        let batch_symbol = |input: &'m ValueInfoProto| match &tensor_type(input)?.shape.dim.first()?.value {
            Some(dimension::Value::DimParam(symbol)) => Some(symbol.as_str()),
            _ => None,
        };
        let bound = match batch {
            Batch::One => model.graph().input.iter().filter_map(batch_symbol).collect(),
            Batch::Symbolic => HashSet::new(),
        };
        Self { bound, batch, declared: HashMap::new(), values: HashMap::new(), ambiguous: HashSet::new() }
    }

    fn graph(&mut self, graph: &'m GraphProto) -> Result<(), Error> {
        for info in graph.value_info.iter().chain(&graph.output) {
            if let Some(declared) = self.declared_type(info) {
                self.declared.insert(&info.name, declared);
            }
        }
        for input in &graph.input {
            if let Some(mut declared) = self.declared_type(input) {
                if let (Batch::One, Some(first)) = (self.batch, declared.shape.first_mut()) {
                    first.get_or_insert(1);
                }
                self.define(&input.name, declared.into());
            }
        }
        for initializer in &graph.initializer {
            self.define(&initializer.name, tensor_value(initializer)?);
        }
        graph.node.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'m NodeProto) -> Result<(), Error> {
        let inferred = if !is_default_domain(&node.domain) {
            Vec::new()
        } else if node.op_type == "If" {
            self.branches(node)?
        } else {
            self.operator(node)?
        };
        let mut inferred = inferred.into_iter();
        for name in &node.output {
            let value = inferred.next();
            if name.is_empty() {
                continue;
            }
            if let Some(value) = self.with_declared(name, value) {
                self.define(name, value);
            }
        }
        Ok(())
    }

    fn operator(&self, node: &'m NodeProto) -> Result<Vec<Value>, Error> {
        let site = Site::new(node, |name| self.values.get(name));
        let types = match output_types(&site) {
            Ok(types) => types,
            Err(Stop::Unknown) => return Ok(Vec::new()),
            Err(Stop::Problem(problem)) => return Err(problem.of(node)),
            Err(Stop::Error(error)) => return Err(error),
        };
        if types.iter().any(|output| output.shape.len() > tensor::MAX_RANK) {
            return Err(NodeProblem::TooLarge.of(node));
        }
        let mut values: Vec<_> = types.into_iter().map(Value::from).collect();
        if site.op_type() == "Split" {
            let parts = values.iter().map(|part| part.tensor_type.clone()).collect::<Vec<_>>();
            for (value, ints) in values.iter_mut().zip(constants::parts(&site, &parts)) {
                value.ints = Some(ints);
            }
        } else if let Some(first) = values.first_mut() {
            first.ints = constants::evaluate(&site, &first.tensor_type);
            first.floats = constants::evaluate_floats(&site, &first.tensor_type);
        }
        Ok(values)
    }

    /// The outputs of an `If`: what both branches agree on.
    fn branches(&mut self, node: &'m NodeProto) -> Result<Vec<Value>, Error> {
        let attributes = crate::attributes::Attributes::of(node);
        let branch = |name| {
            let graph = attributes.graph(name).map_err(|problem| problem.of(node))?;
            graph.ok_or_else(|| NodeProblem::MissingAttribute { name }.of(node))
        };
        let (then_branch, else_branch) = (branch("then_branch")?, branch("else_branch")?);
        self.graph(then_branch)?;
        let then_types = self.output_types_of(then_branch);
        self.graph(else_branch)?;
        let else_types = self.output_types_of(else_branch);
        let merged = then_types.into_iter().zip(else_types).map_while(|pair| match pair {
            (Some(a), Some(b)) if a.element_type == b.element_type && a.shape.len() == b.shape.len() => {
                Some(join(a, &b))
            }
            _ => None,
        });
        Ok(merged.map(Value::from).collect())
    }

    fn output_types_of(&self, graph: &GraphProto) -> Vec<Option<TensorType>> {
        let known =
            |output: &ValueInfoProto| Some(self.values.get(output.name.as_str())?.tensor_type.clone());
        graph.output.iter().map(known).collect()
    }

    /// Fills what inference left open from what the file declares.
    fn with_declared(&self, name: &str, inferred: Option<Value>) -> Option<Value> {
        let declared = self.declared.get(name);
        let Some(mut value) = inferred else {
            return declared.cloned().map(Value::from);
        };
        if let Some(declared) =
            declared.filter(|declared| declared.shape.len() == value.tensor_type.shape.len())
        {
            for (dim, declared) in value.tensor_type.shape.iter_mut().zip(&declared.shape) {
                *dim = dim.or(*declared);
            }
        }
        Some(value)
    }

    fn define(&mut self, name: &'m str, value: Value) {
        let tensor_type = value.tensor_type.clone();
        if self.values.insert(name, value).is_some_and(|earlier| earlier.tensor_type != tensor_type) {
            self.ambiguous.insert(name);
        }
    }

    fn declared_type(&self, info: &ValueInfoProto) -> Option<TensorType> {
        let declared = tensor_type(info)?;
        let dim = |value: &Option<dimension::Value>| match value {
            Some(dimension::Value::DimValue(extent)) => usize::try_from(*extent).ok(),
            Some(dimension::Value::DimParam(symbol)) => self.bound.contains(symbol.as_str()).then_some(1),
            _ => None,
        };
        let dims = &declared.shape.as_ref()?.dim;
        if dims.len() > tensor::MAX_RANK {
            return None;
        }
        let shape = dims.iter().map(|d| dim(&d.value)).collect();
        Some(TensorType { element_type: declared.elem_type, shape })
    }
}

fn tensor_type(info: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    let type_proto::Value::TensorType(tensor) = info.type_.value.as_ref()?;
    Some(tensor)
}

/// The dimensions that two types of one rank agree on.
fn join(mut a: TensorType, b: &TensorType) -> TensorType {
    for (dim, other) in a.shape.iter_mut().zip(&b.shape) {
        *dim = dim.filter(|_| dim == other);
    }
    a
}

fn tensor_value(tensor: &TensorProto) -> Result<Value, Error> {
    tensor::element_count(tensor)?;
    let shape = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let tensor_type = TensorType { element_type: tensor.data_type, shape };
    let small = tensor_type.elements().is_some_and(|n| n <= constants::MAX_ELEMENTS);
    let ints = if small { tensor::integers(tensor)? } else { None };
    let floats = if small { tensor::small_floats(tensor)? } else { None };
    Ok(Value { tensor_type, ints: ints.map(|ints| ints.into_iter().map(Some).collect()), floats })
}

/// Types of the outputs of a node of the default domain. Trailing outputs may be left out.
#[rustfmt::skip]
fn output_types(site: &Site) -> Inferred<Vec<TensorType>> {
    let one = |tensor_type: Inferred<TensorType>| Ok(vec![tensor_type?]);
    match site.op_type() {
        "Constant" => one(constant(site)),
        "Abs" | "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "BatchNormalization" | "BitwiseNot" | "Ceil"
        | "Celu" | "Clip" | "Cos" | "Cosh" | "CumSum" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu"
        | "GroupNormalization" | "HardSigmoid" | "HardSwish" | "Hardmax" | "Identity" | "InstanceNormalization"
        | "LRN" | "LayerNormalization" | "LeakyRelu" | "Log" | "LogSoftmax" | "LpNormalization"
        | "MeanVarianceNormalization" | "Mish" | "Neg" | "Not" | "PRelu" | "RMSNormalization" | "Reciprocal" | "Relu"
        | "Round" | "ScatterElements" | "ScatterND" | "Selu" | "Shrink" | "Sigmoid" | "Sign" | "Sin" | "Sinh"
        | "Softmax" | "Softplus" | "Softsign" | "Sqrt" | "Swish" | "Tan" | "Tanh" | "ThresholdedRelu"
        | "Trilu" => one(site.input(0).cloned()),
        "Dropout" => elementwise::dropout(site),
        "BitCast" | "Cast" | "CastLike" | "IsInf" | "IsNaN" | "QuantizeLinear" | "DequantizeLinear" => one(elementwise::retyped(site)),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "BitShift" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor"
        | "Max" | "Min" | "Mean" | "Sum" => one(elementwise::broadcast_inputs(site, 0, None)),
        "And" | "Or" | "Xor" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" =>
            one(elementwise::broadcast_inputs(site, 0, Some(tensor::element_type::BOOL))),
        "Where" => one(elementwise::select(site)),
        "Conv" => one(window::conv(site)),
        "ConvInteger" => one(window::conv_integer(site)),
        "ConvTranspose" => one(window::conv_transpose(site)),
        "MaxPool" => window::max_pool(site),
        "AveragePool" | "LpPool" => one(window::pool(site)),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => one(window::global_pool(site)),
        "Gemm" => one(reduce::gemm(site)),
        "MatMul" => one(reduce::matmul(site)),
        "Attention" => one(reduce::attention(site)),
        "Einsum" => one(einsum::output(site)),
        "TopK" => reduce::top(site),
        "GRU" | "LSTM" | "RNN" => reduce::recurrent(site),
        "ArgMax" | "ArgMin" => one(reduce::arg(site)),
        op if op.starts_with("Reduce") => one(reduce::reduce(site)),
        "Flatten" => one(layout::flatten(site)),
        "Reshape" => one(layout::reshape(site)),
        "Transpose" => one(layout::transpose(site)),
        "Squeeze" => one(layout::squeeze(site)),
        "Unsqueeze" => one(layout::unsqueeze(site)),
        "Concat" => one(layout::concat(site)),
        "Split" => layout::split(site),
        "Slice" => one(layout::slice(site)),
        "Pad" => one(layout::pad(site)),
        "Gather" => one(layout::gather(site)),
        "GatherElements" => one(layout::gather_elements(site)),
        "Shape" => one(layout::shape_of(site)),
        "Size" => one(site.input(0).map(|_| site::int64(vec![]))),
        "ConstantOfShape" => one(layout::constant_of_shape(site)),
        "Expand" => one(layout::expand(site)),
        "Tile" => one(layout::tile(site)),
        "Range" => one(layout::range(site)),
        "DepthToSpace" | "SpaceToDepth" => one(layout::depth_space(site)),
        "Resize" | "Upsample" => one(resize::output(site)),
        _ => Err(Stop::Unknown),
    }
}

/// The type of a `Constant` node, which has exactly one of several attributes.
fn constant(site: &Site) -> Inferred<TensorType> {
    use tensor::element_type::{FLOAT, INT64};
    let attributes = site.attributes;
    if let Some(tensor) = attributes.tensor("value")? {
        return tensor_value(tensor).map(|value| value.tensor_type).map_err(Stop::Error);
    }
    let list = |element_type, len| TensorType { element_type, shape: vec![Some(len)] };
    if let Some(ints) = attributes.ints("value_ints")? {
        return Ok(list(INT64, ints.len()));
    }
    if attributes.int("value_int")?.is_some() {
        return Ok(site::int64(vec![]));
    }
    if attributes.float("value_float")?.is_some() {
        return Ok(TensorType { element_type: FLOAT, shape: vec![] });
    }
    if let Some(floats) = attributes.floats("value_floats")? {
        return Ok(list(FLOAT, floats.len()));
    }
    let others = ["sparse_value", "value_string", "value_strings"];
    if others.iter().any(|name| attributes.has(name)) {
        return Err(Stop::Unknown);
    }
    Err(Stop::Problem(NodeProblem::MissingAttribute { name: "value" }))
}
