//! Finds residual blocks in the dataflow of a model; names of nodes and values play no part in it.
//!
//! An addition closes a block if all data of its operands has passed one value, the block's input, and one way from
//! there to the addition has weights or pools. That way is the branch F, the other one the shortcut. A sum of more values
//! has several branches beside the input itself. And an operand that the other one is computed from is a shortcut, whatever
//! that reads besides, as in attention to something else.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Serialize;

use crate::activation::{is_activation, leaves_unchanged};
use crate::check::{is_default_domain, node_name};
use crate::cost::Costs;
use crate::dataflow::Dataflow;
use crate::edit::constants;
use crate::error::Error;
use crate::fold::fold_batch_norm;
use crate::kind::BlockKind;
use crate::model::Model;
use crate::normalise::normalise;
use crate::proto::TensorProto;
use crate::select::GateUnit;
use crate::shapes::{TensorType, infer_shapes};
use crate::{layers, naming, segments};

/// A residual block `y = act(F(x) + shortcut(x))`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResidualBlock {
    /// Unique in the model: the path of the torch module where that is known, such as `layer1.1`, and else
    /// `segment0.block1`.
    pub name: String,
    /// Number of its segment, from 0 in execution order.
    pub segment: usize,
    /// Multiply-accumulate operations of F, per image, after folding of batch normalisation.
    pub macs: u64,
    /// Weights of F, after folding of batch normalisation.
    pub parameters: u64,
    /// What F is.
    pub kind: BlockKind,
    /// How x reaches the addition.
    pub shortcut: Shortcut,
    /// Shape of y with a batch of one, if known.
    pub shape: Option<Vec<usize>>,
    /// Whether the block can be skipped, or why not.
    pub verdict: Verdict,
    /// Place of the block in the graph.
    #[serde(skip)]
    pub(crate) region: Region,
}

/// How the input of a block reaches its addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// As it is.
    Identity,
    /// Times a constant for each channel, which stays where the block is skipped, as in `CAFormer`.
    Scaled,
    /// Through weights, such as a 1x1 convolution ("option B").
    Projection,
    /// Through operators without weights, such as a strided slice and zero padding ("option A").
    ParameterFree,
}

impl Shortcut {
    /// Whether what is left without F is what Stochastic Depth leaves: x, in its own shape.
    fn keeps_input(self) -> bool {
        matches!(self, Self::Identity | Self::Scaled)
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Scaled => "scaled",
            Self::Projection => "projection",
            Self::ParameterFree => "parameter-free",
        })
    }
}

/// Whether a block can be skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// Yes, and it gets a gate.
    Gated,
    /// Yes, but it is the first of its segment, which keeps its features; it gets a gate only on demand.
    FirstOfSegment,
    /// No: without F, the shortcut still changes x.
    NotIdentity,
    /// No: it holds another residual block, which gets the gate.
    Nested {
        /// Name of a block inside.
        inner: String,
    },
    /// No: something outside of the block reads a value of F.
    UsedOutside {
        /// The value.
        value: String,
        /// Name of the node that reads it, or of the graph output it is.
        reader: String,
    },
    /// No: the type of y is not known, so no gate can declare it.
    UnknownType,
}

impl Verdict {
    /// Whether the block can be skipped at all.
    pub fn is_skippable(&self) -> bool {
        matches!(self, Self::Gated | Self::FirstOfSegment)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gated => f.write_str("skippable"),
            Self::FirstOfSegment => f.write_str("skippable, but first of its segment"),
            Self::NotIdentity => f.write_str("the shortcut is not the identity"),
            Self::Nested { inner } => write!(f, "it holds the block `{inner}`"),
            Self::UsedOutside { value, reader } => write!(f, "`{reader}` reads its inner value `{value}`"),
            Self::UnknownType => f.write_str("the type of its output is not known"),
        }
    }
}

/// Where a block is in the main graph of the folded model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    /// The value x, or what a scale makes of it.
    pub(crate) input: String,
    /// The value y: what the rest of the model reads, and what x replaces when the block is skipped.
    pub(crate) output: String,
    /// The nodes that are skipped, ascending: F, what computes shapes for it, the addition, and the activation after it
    /// if skipping that is exact.
    pub(crate) nodes: Vec<usize>,
    /// The node that computes y.
    pub(crate) exit: usize,
}

/// The residual blocks of `model` in execution order, as they are once batch normalisation is folded.
///
/// An activation after the addition belongs to what is skipped only if `act(x) = x` for certain: it is a `Relu` or
/// `Clip` and x comes from one with at most its range, unchanged or through operators that only pick elements. In
/// every other case it stays outside, so that skipping always means leaving out F alone, as in Stochastic Depth.
///
/// Errors: the model is gated already, or its shapes contradict each other.
pub fn find_blocks(model: &Model) -> Result<Vec<ResidualBlock>, Error> {
    GateUnit::Block.find(model)
}

impl GateUnit {
    /// What may get a gate of its own: the residual blocks of `model` as [`find_blocks`] finds them, or layers in the
    /// place of those that form one.
    ///
    /// Errors: as [`find_blocks`].
    pub fn find(self, model: &Model) -> Result<Vec<ResidualBlock>, Error> {
        Ok(find(&ungated_and_folded(model)?, self)?.1)
    }
}

/// `model` as blocks are found in it.
pub(crate) fn ungated_and_folded(model: &Model) -> Result<Model, Error> {
    if model.is_gated() {
        return Err(Error::AlreadyGated);
    }
    fold_batch_norm(&normalise(model)?)
}

/// The residual blocks of a folded model, or its layers, and the model that they are places in.
pub(crate) fn find(folded: &Model, unit: GateUnit) -> Result<(Model, Vec<ResidualBlock>), Error> {
    let types = infer_shapes(folded)?;
    let finder = Finder::new(folded, &types);
    let blocks = finder.blocks();
    if unit == GateUnit::Block {
        return Ok((folded.clone(), blocks));
    }
    let model = layers::with_ends(folded, &finder, &blocks)?;
    let types = infer_shapes(&model)?;
    let finder = Finder::new(&model, &types);
    let layers = layers::merged(&finder, finder.blocks());
    Ok((model, layers))
}

/// A block before it is numbered and named.
pub(crate) struct Found<'m> {
    /// The value x, or what a scale makes of it.
    pub(crate) input: &'m str,
    pub(crate) add: usize,
    /// The sum.
    pub(crate) sum: &'m str,
    /// The nodes of F that data passes, ascending.
    pub(crate) branch: Vec<usize>,
    pub(crate) shortcut: Shortcut,
    pub(crate) sum_type: Option<&'m TensorType>,
}

/// A graph with all that is known of it.
pub(crate) struct Finder<'m> {
    pub(crate) flow: Dataflow<'m>,
    pub(crate) costs: Costs<'m>,
    constants: HashMap<&'m str, &'m TensorProto>,
    pub(crate) types: &'m HashMap<String, TensorType>,
    /// Number of nodes.
    nodes: usize,
}

impl<'m> Finder<'m> {
    fn new(model: &'m Model, types: &'m HashMap<String, TensorType>) -> Self {
        let graph = model.graph();
        let (flow, costs) = (Dataflow::new(graph), Costs::new(graph, types));
        Self { flow, costs, constants: constants(graph), types, nodes: graph.node.len() }
    }

    /// The blocks of the graph.
    fn blocks(&self) -> Vec<ResidualBlock> {
        let found: Vec<_> = (0..self.nodes).filter_map(|index| self.block_at(index)).collect();
        let segments = segments::number(&self.flow, self.types, &found);
        let names = self.names(&found, &segments);
        (0..found.len()).map(|index| self.describe(&found, &segments, &names, index)).collect()
    }

    /// The block that node `add` closes, if it closes one.
    fn block_at(&self, add: usize) -> Option<Found<'m>> {
        let node = self.flow.node(add);
        let operands = &node.input[..];
        let adds = matches!(node.op_type.as_str(), "Add" | "Sum") && is_default_domain(&node.domain);
        if !adds || operands.len() < 2 || !operands.iter().all(|operand| self.flow.flows(operand)) {
            return None;
        }
        let input = self.flow.dominator_of_node(add)?;
        let sum = node.output.first().filter(|name| !name.is_empty())?;
        let sum_type = self.types.get(sum);
        // An operand that is broadcast is no residual.
        let is_broadcast =
            |operand: &String| matches!((self.types.get(operand), sum_type), (Some(x), Some(y)) if x != y);
        if operands.iter().any(is_broadcast) {
            return None;
        }
        let (branch, shortcut) = match operands {
            [a, b] if a == b => return None,
            [a, b] if a != input && b != input => match self.beside(a, b).or_else(|| self.beside(b, a)) {
                Some((shortcut, branch)) => {
                    return Some(Found {
                        input: shortcut,
                        add,
                        sum,
                        branch,
                        shortcut: Shortcut::Identity,
                        sum_type,
                    });
                }
                None => self.split(input, a, b)?,
            },
            [a, b] => self.split(input, a, b)?,
            _ => (self.several(input, operands)?, Shortcut::Identity),
        };
        let scaled = || operands.iter().find(|operand| self.is_scaled(input, operand));
        let input = if shortcut == Shortcut::Scaled { scaled()? } else { input };
        Some(Found { input, add, sum, branch, shortcut, sum_type })
    }

    /// The branch that leads from `shortcut` to `value` and has weights, and reads other values, too.
    fn beside(&self, shortcut: &'m str, value: &str) -> Option<(&'m str, Vec<usize>)> {
        let branch = self.flow.through(shortcut, value);
        self.has_weights(&branch).then_some((shortcut, branch))
    }

    /// Whether `value` is `input` times constants.
    fn is_scaled(&self, input: &str, value: &str) -> bool {
        let way = self.flow.between(input, value, usize::MAX).unwrap_or_default();
        !way.is_empty() && self.scales(&way)
    }

    /// Whether all that a way does is to multiply with constants.
    fn scales(&self, way: &[usize]) -> bool {
        way.iter().map(|&index| self.flow.node(index)).all(|node| {
            let flowing = node.input.iter().filter(|operand| self.flow.flows(operand)).count();
            matches!(node.op_type.as_str(), "Div" | "Mul") && flowing == 1 && is_default_domain(&node.domain)
        })
    }

    /// Which of the two ways from `input` is the branch, and what kind of shortcut the other one is.
    fn split(&self, input: &str, a: &str, b: &str) -> Option<(Vec<usize>, Shortcut)> {
        let way = |operand| self.flow.between(input, operand, usize::MAX).unwrap_or_default();
        let (a, b) = (way(a), way(b));
        let (branch, shortcut) = match (self.has_weights(&a), self.has_weights(&b)) {
            (true, true) => return Some((self.larger(a, b), Shortcut::Projection)),
            (true, false) => (a, b),
            (false, true) => (b, a),
            (false, false) if self.pools(&a) && self.scales(&b) => (a, b),
            (false, false) if self.pools(&b) && self.scales(&a) => (b, a),
            (false, false) => return None,
        };
        let kind = match shortcut[..] {
            [] => Shortcut::Identity,
            _ if self.scales(&shortcut) => Shortcut::Scaled,
            _ => Shortcut::ParameterFree,
        };
        Some((branch, kind))
    }

    /// The branches of a sum of more than two values, one of which is `input`.
    fn several(&self, input: &str, operands: &[String]) -> Option<Vec<usize>> {
        if operands.iter().filter(|operand| *operand == input).count() != 1 {
            return None;
        }
        let ways = operands.iter().filter_map(|operand| self.flow.between(input, operand, usize::MAX));
        let branches: BTreeSet<usize> = ways.flatten().collect();
        let branches: Vec<_> = branches.into_iter().collect();
        (self.has_weights(&branches) || self.pools(&branches)).then_some(branches)
    }

    fn has_weights(&self, way: &[usize]) -> bool {
        way.iter().any(|&index| Costs::is_weighted(&self.flow, self.flow.node(index)))
    }

    /// Whether a node looks at several places of an image, as the mixers of `PoolFormer` do.
    fn pools(&self, way: &[usize]) -> bool {
        way.iter().map(|&index| self.flow.node(index)).any(|node| {
            let pools = matches!(node.op_type.as_str(), "AveragePool" | "LpPool" | "MaxPool");
            pools && is_default_domain(&node.domain)
        })
    }

    fn larger(&self, a: Vec<usize>, b: Vec<usize>) -> Vec<usize> {
        let size = |way: &[usize]| (self.macs(way), way.len());
        if size(&a) >= size(&b) { a } else { b }
    }

    pub(crate) fn macs(&self, nodes: &[usize]) -> u64 {
        self.costs.macs(nodes.iter().map(|&index| self.flow.node(index)))
    }

    fn names(&self, found: &[Found<'m>], segments: &[segments::Place]) -> Vec<String> {
        let name = |(block, place): (&Found<'m>, &segments::Place)| {
            let branch = block.branch.iter().map(|&index| self.flow.node(index));
            let module = naming::module_name(self.flow.node(block.add), branch);
            module.unwrap_or_else(|| format!("segment{}.block{}", place.segment, place.position))
        };
        let mut names: Vec<_> = found.iter().zip(segments).map(name).collect();
        naming::make_unique(&mut names);
        names
    }

    fn describe(
        &self,
        found: &[Found<'m>],
        segments: &[segments::Place],
        names: &[String],
        index: usize,
    ) -> ResidualBlock {
        let (block, place) = (&found[index], &segments[index]);
        let branch = self.flow.with_helpers(&block.branch, block.add);
        let region = self.region(block, &branch);
        // A sum of two branches inside of F is no block that could be skipped.
        let inner = |other: &Found| other.shortcut.keeps_input() && branch.binary_search(&other.add).is_ok();
        let verdict = if !block.shortcut.keeps_input() {
            Verdict::NotIdentity
        } else if let Some(inner) = found.iter().position(inner) {
            Verdict::Nested { inner: names[inner].clone() }
        } else if let Some((value, reader)) = self.used_outside(&region) {
            Verdict::UsedOutside { value, reader }
        } else if block.sum_type.is_none() {
            Verdict::UnknownType
        } else if place.keeps_features {
            Verdict::FirstOfSegment
        } else {
            Verdict::Gated
        };
        ResidualBlock {
            name: names[index].clone(),
            segment: place.segment,
            macs: self.macs(&branch),
            parameters: self.costs.parameters(&self.flow, &branch),
            kind: BlockKind::of(&self.flow, &branch),
            shortcut: block.shortcut,
            shape: block.sum_type.and_then(TensorType::static_shape),
            verdict,
            region,
        }
    }

    /// The place of `block`, whose branch with all that computes shapes for it is `branch`.
    fn region(&self, block: &Found<'m>, branch: &[usize]) -> Region {
        let activation = self.activation_after(block.sum).filter(|&index| {
            leaves_unchanged(self.flow.node(index), block.input, &self.flow, &self.constants)
        });
        Region {
            input: block.input.to_owned(),
            output: activation.map_or(block.sum, |index| &self.flow.node(index).output[0]).to_owned(),
            nodes: branch.iter().copied().chain([block.add]).chain(activation).collect(),
            exit: activation.unwrap_or(block.add),
        }
    }

    /// The activation that alone reads `sum`.
    fn activation_after(&self, sum: &str) -> Option<usize> {
        let &[reader] = self.flow.readers(sum) else { return None };
        let node = self.flow.node(reader);
        let applies = is_activation(node)
            && node.input.first().is_some_and(|input| input == sum)
            && node.output.len() == 1;
        (applies && !self.flow.is_output(sum)).then_some(reader)
    }

    /// A value other than y that something outside reads, and who.
    pub(crate) fn used_outside(&self, region: &Region) -> Option<(String, String)> {
        let inside = |reader: &usize| region.nodes.binary_search(reader).is_ok();
        let values = region.nodes.iter().flat_map(|&index| &self.flow.node(index).output);
        values.filter(|value| !value.is_empty() && **value != region.output).find_map(|value| {
            if self.flow.is_output(value) {
                return Some((value.clone(), value.clone()));
            }
            let reader = self.flow.readers(value).iter().find(|reader| !inside(reader))?;
            Some((value.clone(), node_name(self.flow.node(*reader)).to_owned()))
        })
    }
}
