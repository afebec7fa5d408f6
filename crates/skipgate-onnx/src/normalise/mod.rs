//! Brings a model into a plain form that means the same.
//!
//! Exporters write one network in many ways: with functions of their own, with constants as nodes, with operators
//! that do nothing. And the compiler under skipgate does not honour every attribute of every operator version. What
//! comes after [`normalise`] sees neither: each construct is either gone, in words that the compiler honours, or refused
//! with the node's name.
//!
//! Each pass is a file: functions that look at one node and say what takes its place ([`Step`]). They run in rounds,
//! because what one of them does gives another one something to do.

mod affine_grid;
mod attention;
mod average_pool;
mod axis;
mod batch_norm;
mod bilinear;
mod bit_cast;
mod bit_shift;
mod body;
mod build;
mod cast;
mod causal_conv;
mod ceil_mode;
mod center_crop_pad;
mod col2im;
mod conditional;
mod constant;
mod context;
mod conv_integer;
mod conv_transpose;
mod conv_transpose_groups;
mod cumulative;
mod data_dependent;
mod dead;
mod defaults;
mod deform_conv;
mod depth_space;
mod determinant;
mod dropout;
mod duplicate;
mod einsum;
mod empty;
mod expand;
mod flex_attention;
mod fourier;
mod functions;
mod gelu;
mod gemm;
mod grid_sample;
mod group_norm;
mod identity;
mod known;
mod linear_attention;
mod losses;
mod lp_normalization;
mod lp_pool;
mod machine_learning;
mod matmul;
mod max_unpool;
mod modulo;
mod names;
mod opset;
mod opset_early;
mod opset_oldest;
mod pad;
pub(crate) mod places;
mod pool;
mod pool_places;
mod pow;
mod pow_integers;
mod quantized_blocks;
mod quantized_operator;
mod quantized_product;
mod random;
mod range;
mod recurrent;
mod recurrent_steps;
mod reduce;
mod reshape;
mod resize;
mod reverse_sequence;
mod rms_norm;
mod roi_align;
mod rotary_embedding;
mod scatter;
mod sequences;
mod sign;
mod single_position;
mod slice;
mod softmax;
mod softsign;
mod strided_points;
mod swish;
mod tensor_scatter;
mod training;
mod transpose;
mod unroll;
mod unsigned;
mod weights;
mod window_function;

use crate::check::{is_default_domain, subgraphs};
use crate::edit::rename_reads;
use crate::error::{Error, NodeProblem};
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto};
use crate::shapes::{Batch, infer_values};
use body::Body;
use context::Context;

/// Most rounds. Every round that changes something leaves fewer nodes, or nodes that no pass touches again, so the
/// limit is for files that were made to reach it.
const ROUNDS: usize = 64;

/// The model in a plain form, computing what it computed.
///
/// Afterwards:
///
/// * there are no model-local functions, every name is defined once, also over branches, and everything is read by
///   something; inputs and outputs keep their names, but inputs with a default value are constants;
/// * the operator set is 13 or later;
/// * constants are initialisers of the main graph: `Constant` nodes, integers computed from shapes wherever they do not
///   depend on a symbolic dimension, so the model still takes every batch it took, and weights computed from weights;
/// * what changes nothing is gone: `Identity`, `Dropout`, casts to the same type, reshapes to the same shape and the like,
///   pairs of transpositions, quantisation written twice, `If` with a known condition. An `Identity` stays where an
///   output of a graph is a value from elsewhere;
/// * operators that the compiler gets wrong are written in others: see the files of this module. A batch normalisation
///   that [`fold_batch_norm`](crate::fold_batch_norm) does not take becomes a product and a sum.
///
/// Gates stay as they are, but for the inside of their branches. A normalised model is left unchanged.
///
/// Errors: a node that breaks the rules of its operator, a function that cannot be written out, and nodes that only
/// training can use or that the compiler would get wrong, each named.
pub fn normalise(model: &Model) -> Result<Model, Error> {
    let mut model = opset::raise(defaults::fix(names::unique(&functions::inline(model)?)?)?)?;
    for _ in 0..ROUNDS {
        let simpler = round(&model, SIMPLIFY)?;
        let next = match simpler {
            Some(simpler) => Some(simpler),
            None => round(&model, REWRITE)?,
        };
        let Some(next) = next else { break };
        model = next;
    }
    check(&model)?;
    names::unique_nodes(model)
}

fn check(model: &Model) -> Result<(), Error> {
    let values = infer_values(model, Batch::Symbolic)?;
    check_nodes(model.graph(), &Context::new(model, &values))
}

fn check_nodes(graph: &GraphProto, context: &Context) -> Result<(), Error> {
    for node in &graph.node {
        if is_default_domain(&node.domain) {
            CHECKS.iter().try_for_each(|check| check(node, context))?;
        }
        subgraphs(node).try_for_each(|inner| check_nodes(inner, context))?;
    }
    Ok(())
}

/// What a pass does to one node.
enum Step {
    /// Nothing.
    Keep,
    /// Other nodes take its place, and some of its outputs are other values from now on.
    Replace {
        /// In topological order.
        nodes: Vec<NodeProto>,
        /// Pairs of an output of the node and the value that it is.
        aliases: Vec<(String, String)>,
    },
}

impl Step {
    /// The node does nothing: its first output is the value `source`.
    fn alias(node: &NodeProto, source: &str) -> Self {
        Self::Replace { nodes: Vec::new(), aliases: vec![(node.output[0].clone(), source.to_owned())] }
    }

    fn nodes(nodes: Vec<NodeProto>) -> Self {
        Self::Replace { nodes, aliases: Vec::new() }
    }
}

/// Looks at one node, which has an output; `Body` is what comes before it in its graph.
type Pass = fn(&NodeProto, &mut Body, &mut Context) -> Result<Step, Error>;

/// What leaves less behind.
const SIMPLIFY: &[Pass] = &[
    constant::initializer,
    |node, body, context| Ok(known::initializer(node, body, context)),
    empty::initializer,
    |node, body, context| Ok(empty::inputs(node, body, context)),
    |node, body, context| Ok(empty::concat(node, body, context)),
    empty::reduce,
    weights::fold,
    |node, body, context| Ok(identity::remove(node, body, context)),
    dropout::remove,
    |node, body, context| Ok(reshape::merge(node, body, context)),
    |node, body, context| Ok(transpose::merge(node, body, context)),
    duplicate::merge,
    gemm::forget_addend,
    reduce::remove_empty,
    sequences::read,
    conditional::inline,
    unroll::rewrite,
];

/// What writes an operator in others.
const REWRITE: &[Pass] = &[
    affine_grid::rewrite,
    attention::rewrite,
    causal_conv::rewrite,
    center_crop_pad::rewrite,
    conv_integer::rewrite,
    cumulative::rewrite,
    deform_conv::rewrite,
    determinant::rewrite,
    fourier::rewrite,
    linear_attention::rewrite,
    losses::rewrite,
    max_unpool::rewrite,
    pool_places::rewrite,
    quantized_blocks::rewrite,
    reverse_sequence::rewrite,
    rms_norm::rewrite,
    roi_align::rewrite,
    rotary_embedding::rewrite,
    scatter::rewrite,
    sequences::split,
    |node, body, context| Ok(slice::backwards(node, body, context)),
    swish::rewrite,
    tensor_scatter::rewrite,
    window_function::initializer,
    |node, body, context| Ok(ceil_mode::remove(node, body, context)),
    average_pool::rewrite,
    batch_norm::rewrite,
    |node, body, context| Ok(bit_cast::rewrite(node, body, context)),
    |node, body, context| Ok(cast::like(node, body, context)),
    |node, body, context| Ok(cast::through_signed(node, body, context)),
    |node, body, context| Ok(cast::to_bool(node, body, context)),
    col2im::rewrite,
    conv_transpose::rewrite,
    conv_transpose_groups::rewrite,
    depth_space::rewrite,
    einsum::rewrite,
    |node, body, context| Ok(expand::complete(node, body, context)),
    gelu::rewrite,
    grid_sample::rewrite,
    group_norm::rewrite,
    lp_normalization::rewrite,
    lp_pool::rewrite,
    |node, body, context| Ok(matmul::rewrite(node, body, context)),
    modulo::rewrite,
    bit_shift::rewrite,
    pad::rewrite,
    places::limit::rewrite,
    pow::rewrite,
    |node, body, context| Ok(pow_integers::rewrite(node, body, context)),
    |node, body, context| Ok(quantized_product::rewrite(node, body, context)),
    |node, body, context| Ok(range::widen(node, body, context)),
    recurrent_steps::rewrite,
    reduce::log_sum_exp,
    resize::rewrite,
    single_position::rewrite,
    strided_points::rewrite,
    |node, body, context| Ok(softsign::rewrite(node, body, context)),
    |node, body, context| Ok(sign::rewrite(node, body, context)),
    |node, body, context| Ok(unsigned::widen(node, body, context)),
];

/// What writes an operator of another domain in those of ONNX itself.
const OTHER_DOMAINS: &[Pass] = &[flex_attention::rewrite, machine_learning::rewrite, training::rewrite];

/// Refuses a node that the compiler would get wrong.
type Check = fn(&NodeProto, &Context) -> Result<(), Error>;

/// What is refused. Nothing takes the place of such a node.
const CHECKS: &[Check] = &[
    axis::check,
    bit_cast::check,
    data_dependent::check,
    empty::check,
    places::check,
    pool::check,
    pow::check,
    quantized_operator::check,
    random::check,
    recurrent::check,
    sequences::check,
    unsigned::check,
];

/// Every pass over every node once; `None` if that changed nothing.
fn round(model: &Model, passes: &[Pass]) -> Result<Option<Model>, Error> {
    let values = infer_values(model, Batch::Symbolic)?;
    let context = Context::new(model, &values);
    let mut rewriter = Rewriter { context, passes, changed: false };
    let mut changed = false;
    let next = model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            *graph = rewriter.graph(std::mem::take(graph), Place::Main)?;
            rewriter.context.finish(graph);
            changed = dead::remove(graph, rewriter.context.opset) || rewriter.changed;
        }
        Ok(())
    })?;
    Ok(changed.then_some(next))
}

/// Where a graph is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Main,
    Branch,
}

struct Rewriter<'c, 'm> {
    context: Context<'m>,
    passes: &'c [Pass],
    changed: bool,
}

impl Rewriter<'_, '_> {
    fn graph(&mut self, mut graph: GraphProto, place: Place) -> Result<GraphProto, Error> {
        if place == Place::Branch {
            self.changed |= self.context.take_initializers(&mut graph);
        }
        let nodes = std::mem::take(&mut graph.node);
        let mut body = Body::new(&graph);
        for mut node in nodes {
            rename_reads(&mut node, &|name| body.source(name));
            for attribute in &mut node.attribute {
                for inner in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
                    *inner = self.graph(std::mem::take(inner), Place::Branch)?;
                }
            }
            self.node(node, &mut body)?;
        }
        body.finish(&mut graph);
        Ok(graph)
    }

    fn node(&mut self, node: NodeProto, body: &mut Body) -> Result<(), Error> {
        let step = self.step(&node, body)?;
        let Step::Replace { nodes, aliases } = step else {
            body.push(node);
            return Ok(());
        };
        for new in nodes {
            body.push(new);
        }
        for (output, source) in aliases {
            self.changed |= body.alias(&node, &output, &source);
        }
        Ok(())
    }

    fn step(&mut self, node: &NodeProto, body: &mut Body) -> Result<Step, Error> {
        if node.output.is_empty() {
            return Ok(Step::Keep);
        }
        let passes = if is_default_domain(&node.domain) { self.passes } else { OTHER_DOMAINS };
        let mut named = None;
        if node.output[0].is_empty() {
            // New nodes take their names from the first output.
            let mut node = node.clone();
            node.output[0] = self.context.fresh(&format!("{}.first", crate::check::node_name(&node)));
            named = Some(node);
        }
        let node = named.as_ref().unwrap_or(node);
        for pass in passes {
            let step = pass(node, body, &mut self.context)?;
            if let Step::Replace { nodes, aliases } = &step {
                // An alias alone may come to nothing, which `Body::alias` says.
                self.changed |= !nodes.is_empty() || aliases.is_empty();
                return Ok(step);
            }
        }
        Ok(Step::Keep)
    }
}

/// The error for a node that is sound but that nothing behind this module computes.
fn unsupported(node: &NodeProto, reason: &'static str) -> Error {
    NodeProblem::Unsupported { reason }.of(node)
}
