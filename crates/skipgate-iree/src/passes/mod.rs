//! From a model to a plan: each pass finds out one thing about the model, and [`crate::plan::build`] puts together what
//! they found.
//!
//! | pass | decides |
//! |---|---|
//! | [`gates`] | which `If` nodes are gates |
//! | [`quantisation`] | which pairs of nodes are a rounding |
//! | [`excerpts`] | which nodes cut images out of others and pad them |
//! | [`layers`] | which nodes become calls of kernels, with what behind them |
//! | [`concats`] | which concatenations a kernel does |
//! | [`rows`] | which nodes compute something from each row of a matrix alone |
//! | [`frames`] | which values stand among how much room |
//! | [`sums`] | which blocks end in a sum of its own, in the place of their input |
//! | [`order`] | what is computed when |
//!
//! None changes the model.

mod concats;
mod excerpts;
mod frames;
mod gates;
mod layers;
mod order;
mod quantisation;
mod rows;
mod sums;

use std::collections::HashMap;

use skipgate_core::{CompileOptions, Target};
use skipgate_onnx::{Graph, Model, ScopeId};

use crate::ImportError;
use crate::kernels::{Kernels, Simd};
use crate::plan::{Plan, build};

pub(crate) use concats::Concat;
pub(crate) use excerpts::Cut;
pub(crate) use layers::{Layer, Product, Then};
pub(crate) use quantisation::Rounding;
pub(crate) use rows::Rows;
pub(crate) use sums::Sum;

/// What the passes found out about a model.
pub(crate) struct Findings<'m> {
    pub(crate) gates: gates::Gates,
    pub(crate) roundings: quantisation::Roundings,
    pub(crate) excerpts: excerpts::Excerpts,
    pub(crate) layers: layers::Layers<'m>,
    pub(crate) concats: HashMap<skipgate_onnx::NodeId, Concat>,
    pub(crate) rows: HashMap<skipgate_onnx::NodeId, Rows<'m>>,
    pub(crate) frames: frames::Frames,
    pub(crate) sums: HashMap<skipgate_onnx::NodeId, Sum>,
}

impl Findings<'_> {
    /// The nodes of `scope` in the order in which they are computed, but for those that kernels of others do too.
    pub(crate) fn order(&self, graph: &Graph, scope: ScopeId) -> Vec<skipgate_onnx::NodeId> {
        order::of_scope(graph, &self.layers, scope)
    }
}

/// Plans how `model` is computed on `target`.
///
/// Convolutions become calls of kernels for `target`, where there are kernels for such ones.
///
/// Fails on operators of other domains than ONNX's own, on model-local functions, on subgraphs other than the branches
/// of `If`, and on values whose type the shape inference does not know.
pub fn plan<'m>(
    model: &'m Model,
    target: &Target,
    options: &CompileOptions,
) -> Result<Plan<'m>, ImportError> {
    plan_gates(model, target, options, None)
}

/// [`plan`], where all gates stay branches if there is a reason for it.
pub(crate) fn plan_gates<'m>(
    model: &'m Model,
    target: &Target,
    options: &CompileOptions,
    why_branches: Option<&str>,
) -> Result<Plan<'m>, ImportError> {
    let graph = Graph::new(model)?;
    let simd = Simd::of(target);
    let gates = gates::find(&graph, why_branches)?;
    let roundings = quantisation::find(&graph)?;
    let layers = layers::find(&graph, &roundings, &Kernels::new(simd, options))?;
    let concats = concats::find(&graph, options);
    let rows = rows::find(&graph, options);
    let excerpts = excerpts::find(model, &graph)?;
    let frames = frames::find(&graph, &gates, &layers, &rows);
    let sums = sums::find(&graph, &gates, &frames, options);
    let findings = Findings { gates, roundings, excerpts, layers, concats, rows, frames, sums };
    let plan = build(model, graph, &findings, simd, options)?;
    plan.check()?;
    Ok(plan)
}
