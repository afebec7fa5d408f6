//! Merges batch normalisation into the convolution before it.

use std::collections::{HashMap, HashSet};

use crate::attributes::Attributes;
use crate::check::is_default_domain;
use crate::edit::{Names, constants, prune, read_counts, remove_nodes};
use crate::error::Error;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor;

/// Merges every `BatchNormalization` into the `Conv` before it where that changes nothing but rounding: the
/// normalisation is in inference mode, it alone reads the convolution, and all weights are 32-bit float constants.
///
/// `w' = w * s` and `b' = (b - mean) * s + beta` with `s = scale / sqrt(variance + epsilon)`, computed in double
/// precision. The convolution keeps its node and takes over the output of the normalisation. Only the main graph is
/// searched.
pub fn fold_batch_norm(model: &Model) -> Result<Model, Error> {
    let folds = find(model.graph())?;
    if folds.is_empty() {
        return Ok(model.clone());
    }
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            apply(graph, folds);
        }
        Ok(())
    })
}

/// First outputs of the normalisations of `graph` that [`fold_batch_norm`] merges.
pub(crate) fn folded(graph: &GraphProto) -> Result<HashSet<String>, Error> {
    Ok(find(graph)?.iter().map(|fold| graph.node[fold.norm].output[0].clone()).collect())
}

/// One normalisation to merge.
struct Fold {
    conv: usize,
    norm: usize,
    weight: TensorProto,
    bias: TensorProto,
}

fn find(graph: &GraphProto) -> Result<Vec<Fold>, Error> {
    let finder = Finder { graph, constants: constants(graph), reads: read_counts(graph) };
    let mut names = Names::of(graph);
    let mut producers: HashMap<&str, usize> = HashMap::new();
    let mut folds: Vec<Fold> = Vec::new();
    for (index, node) in graph.node.iter().enumerate() {
        let earlier = |conv| folds.iter().rev().find(|fold| fold.conv == conv);
        let producer =
            if finder.is_inference_norm(node) { producers.get(node.input[0].as_str()) } else { None };
        let folded = match producer {
            Some(&conv) => finder.fold(conv, index, earlier(conv), &mut names)?,
            None => None,
        };
        let owner = folded.as_ref().map_or(index, |fold| fold.conv);
        producers.extend(node.output.iter().map(|output| (output.as_str(), owner)));
        folds.extend(folded);
    }
    Ok(folds)
}

struct Finder<'m> {
    graph: &'m GraphProto,
    constants: HashMap<&'m str, &'m TensorProto>,
    reads: HashMap<&'m str, usize>,
}

impl Finder<'_> {
    fn is_inference_norm(&self, node: &NodeProto) -> bool {
        let training = Attributes::of(node).flag("training_mode").unwrap_or(true);
        let statistics_unread =
            node.output.iter().skip(1).all(|name| !self.reads.contains_key(name.as_str()));
        is(node, "BatchNormalization")
            && node.input.len() == 5
            && !node.output.is_empty()
            && !training
            && statistics_unread
    }

    /// The merge of node `norm` into node `conv`, which may have taken in another one (`earlier`); `None` where that
    /// would not be exact.
    fn fold(
        &self,
        conv: usize,
        norm: usize,
        earlier: Option<&Fold>,
        names: &mut Names,
    ) -> Result<Option<Fold>, Error> {
        let (conv_node, norm_node) = (&self.graph.node[conv], &self.graph.node[norm]);
        if !is(conv_node, "Conv") || self.reads.get(norm_node.input[0].as_str()) != Some(&1) {
            return Ok(None);
        }
        let Some(affine) = self.affine(norm_node)? else { return Ok(None) };
        let constant =
            |index: usize| conv_node.input.get(index).and_then(|name| self.constants.get(name.as_str()));
        let Some(weight) = earlier.map(|fold| &fold.weight).or(constant(1).copied()) else { return Ok(None) };
        let has_bias = conv_node.input.get(2).is_some_and(|name| !name.is_empty());
        let bias = match earlier.map(|fold| &fold.bias).or(constant(2).copied()) {
            Some(bias) => tensor::floats(bias)?,
            None if has_bias => None,
            None => Some(vec![0.0; affine.len()]),
        };
        let (Some(weights), Some(bias)) = (tensor::floats(weight)?, bias) else { return Ok(None) };
        let channels = affine.len();
        if weight.dims.first().map(|&dim| usize::try_from(dim)) != Some(Ok(channels))
            || bias.len() != channels
        {
            return Ok(None);
        }
        let name = |part: &str| format!("{}.{part}", norm_node.output[0]);
        let bias: Vec<_> = bias.iter().zip(&affine).map(|(&b, a)| a.apply(b)).collect();
        let bias = tensor::from_floats(names.fresh(&name("bias")), vec![weight.dims[0]], &bias);
        let weights = scaled(weights, &affine);
        let weight = tensor::from_floats(names.fresh(&name("weight")), weight.dims.clone(), &weights);
        Ok(Some(Fold { conv, norm, weight, bias }))
    }

    /// What the normalisation does to each channel; `None` if its parameters are not constant or not finite.
    fn affine(&self, norm: &NodeProto) -> Result<Option<Vec<Affine>>, Error> {
        let epsilon = Attributes::of(norm).float("epsilon").ok().flatten().unwrap_or(1e-5);
        let parameter = |index: usize| match self.constants.get(norm.input[index].as_str()) {
            Some(tensor) => tensor::floats(tensor),
            None => Ok(None),
        };
        let (Some(scale), Some(shift), Some(mean), Some(variance)) =
            (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?)
        else {
            return Ok(None);
        };
        let channels = scale.len();
        if [shift.len(), mean.len(), variance.len()] != [channels; 3] {
            return Ok(None);
        }
        let affine = (0..channels).map(|i| Affine {
            factor: f64::from(scale[i]) / (f64::from(variance[i]) + f64::from(epsilon)).sqrt(),
            mean: mean[i].into(),
            shift: shift[i].into(),
        });
        Ok(Some(affine.collect::<Vec<_>>()).filter(|affine| affine.iter().all(|a| a.factor.is_finite())))
    }
}

/// `y = (x - mean) * factor + shift`.
struct Affine {
    factor: f64,
    mean: f64,
    shift: f64,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the result is stored in single precision, as the input was"
)]
impl Affine {
    fn apply(&self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) * self.factor + self.shift) as f32
    }

    fn scale(&self, value: f32) -> f32 {
        (f64::from(value) * self.factor) as f32
    }
}

/// `weights`, whose outermost dimension is the channel of `affine`, each scaled by its channel's factor.
fn scaled(mut weights: Vec<f32>, affine: &[Affine]) -> Vec<f32> {
    let per_channel = (weights.len() / affine.len().max(1)).max(1);
    for (channel, affine) in weights.chunks_mut(per_channel).zip(affine) {
        for weight in channel {
            *weight = affine.scale(*weight);
        }
    }
    weights
}

fn is(node: &NodeProto, op_type: &str) -> bool {
    node.op_type == op_type && is_default_domain(&node.domain)
}

fn apply(graph: &mut GraphProto, folds: Vec<Fold>) {
    let norms: HashSet<_> = folds.iter().map(|fold| fold.norm).collect();
    let mut unused = Vec::new();
    for fold in folds {
        unused.append(&mut graph.node[fold.norm].input);
        let output = std::mem::take(&mut graph.node[fold.norm].output[0]);
        let conv = &mut graph.node[fold.conv];
        unused.extend(conv.input.drain(1..));
        conv.input.extend([fold.weight.name.clone(), fold.bias.name.clone()]);
        conv.output[0] = output;
        graph.initializer.extend([fold.weight, fold.bias]);
    }
    remove_nodes(graph, &norms);
    prune(graph, unused);
}
