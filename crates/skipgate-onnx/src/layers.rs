//! Puts the two blocks of a transformer's layer together: what mixes places, and the perceptron behind it.
//!
//! Both are blocks of one segment, and the second one's input is the output of the first, perhaps behind what is no layer
//! of its own. The whole becomes one block x -> y. Some networks go back to the shape of x only behind the second sum; then
//! y is the value behind that. Without the layer y is x, so each element of y must stand where it stood in x: a layer that
//! ends in another order of axes is none.

use std::collections::{BTreeSet, HashMap};

use crate::attributes::Attributes;
use crate::blocks::{Finder, Region, ResidualBlock, Verdict};
use crate::check::is_default_domain;
use crate::edit::{Names, rename_reads};
use crate::error::Error;
use crate::kind::BlockKind;
use crate::model::Model;
use crate::naming;
use crate::proto::{GraphProto, NodeProto};
use crate::shapes::{Batch, TensorType, infer};
use crate::tensor;

/// Most nodes behind the second sum that bring the shape of x back.
const MOST_MOVES: usize = 4;
/// Most elements of x, each of which is followed through the layer. No transformer comes near.
const MOST_ELEMENTS: usize = 1 << 24;

/// `blocks` with layers in the place of the blocks that form one.
pub(crate) fn merged(finder: &Finder, blocks: Vec<ResidualBlock>) -> Vec<ResidualBlock> {
    let mut layers: HashMap<usize, ResidualBlock> = HashMap::new();
    let mut parts: HashMap<usize, usize> = HashMap::new();
    for (first, second) in pairs(&blocks) {
        if let Some(layer) = layer(finder, &blocks[first], &blocks[second]) {
            parts.extend([(first, second), (second, second)]);
            layers.insert(second, layer);
        }
    }
    let names = names(finder, &blocks, &layers);
    let renamed: HashMap<String, String> = parts
        .iter()
        .filter_map(|(part, layer)| Some((blocks[*part].name.clone(), names.get(layer)?.clone())))
        .collect();
    let mut merged = Vec::with_capacity(blocks.len());
    for (index, mut block) in blocks.into_iter().enumerate() {
        match (layers.remove(&index), names.get(&index)) {
            (Some(layer), Some(name)) => merged.push(ResidualBlock { name: name.clone(), ..layer }),
            _ if parts.contains_key(&index) => {}
            _ => {
                if let Verdict::Nested { inner } = &mut block.verdict {
                    *inner = renamed.get(inner).unwrap_or(inner).clone();
                }
                merged.push(block);
            }
        }
    }
    merged
}

/// The model with the shape of x behind layers that would be one if they came back to it: a reshape to it, and one back
/// to what the readers of y know. Exporters and [`normalise`](crate::normalise) leave it out in front of other reshapes.
pub(crate) fn with_ends(model: &Model, finder: &Finder, blocks: &[ResidualBlock]) -> Result<Model, Error> {
    let open = pairs(blocks).into_iter().filter_map(|(first, second)| {
        let (first, second) = (&blocks[first].region, &blocks[second].region);
        let stretch = Stretch::of(finder, first, second).filter(|stretch| stretch.order.is_unmoved())?;
        let open = stretch.closed(finder, &first.input).is_none() && !finder.flow.is_output(&second.output);
        open.then(|| (second.exit, first.input.clone(), second.output.clone()))
    });
    let open: Vec<_> = open.collect();
    let types = infer(model, Batch::Symbolic)?;
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            let mut names = Names::of(graph);
            // From the last on, so that places stay what they are.
            for (exit, x, y) in open.into_iter().rev() {
                if let (Some(to), Some(back)) = (written(&types, &x), written(&types, &y)) {
                    reshape_and_back(graph, &mut names, exit, &y, &[to, back]);
                }
            }
        }
        Ok(())
    })
}

/// The shape of a value as `Reshape` takes it, with one dimension at most that is not known.
fn written(types: &HashMap<String, TensorType>, value: &str) -> Option<Vec<i64>> {
    let shape = &types.get(value)?.shape;
    let unknown = shape.iter().filter(|dim| dim.is_none()).count();
    let dim =
        |dim: &Option<usize>| dim.map_or(Some(-1), |dim| i64::try_from(dim).ok().filter(|dim| *dim > 0));
    if unknown > 1 { None } else { shape.iter().map(dim).collect() }
}

/// Puts reshapes of `y` to both `shapes` behind node `exit`; what read `y` reads the last one.
fn reshape_and_back(graph: &mut GraphProto, names: &mut Names, exit: usize, y: &str, shapes: &[Vec<i64>; 2]) {
    let mut input = y.to_owned();
    let mut nodes = Vec::new();
    for (shape, end) in shapes.iter().zip(["whole", "back"]) {
        let [output, shape_name] =
            [format!("{y}.{end}"), format!("{y}.{end}.shape")].map(|name| names.fresh(&name));
        graph.initializer.push(tensor::from_integers(shape_name.clone(), shape));
        nodes.push(NodeProto {
            op_type: "Reshape".to_owned(),
            name: output.clone(),
            input: vec![input, shape_name],
            output: vec![output.clone()],
            ..NodeProto::default()
        });
        input = output;
    }
    for node in &mut graph.node {
        rename_reads(node, &|name| (name == y).then(|| input.clone()));
    }
    graph.node.splice(exit + 1..=exit, nodes);
}

/// Places of blocks that may be the two of a layer: the second is the next one of the first one's segment.
fn pairs(blocks: &[ResidualBlock]) -> Vec<(usize, usize)> {
    let next = |first: usize| {
        let mut later = first + 1..blocks.len();
        later.find(|&other| blocks[other].segment == blocks[first].segment).map(|second| (first, second))
    };
    let may_be = |&(first, second): &(usize, usize)| {
        let (first, second) = (&blocks[first], &blocks[second]);
        let skippable = first.verdict.is_skippable() && second.verdict.is_skippable();
        skippable && first.kind.mixes() && second.kind == BlockKind::Perceptron
    };
    (0..blocks.len()).filter_map(next).filter(may_be).collect()
}

/// The layer of these two blocks, under the name of the first, if they form one.
fn layer(finder: &Finder, first: &ResidualBlock, second: &ResidualBlock) -> Option<ResidualBlock> {
    let region = Stretch::of(finder, &first.region, &second.region)?.closed(finder, &first.region.input)?;
    if finder.used_outside(&region).is_some() {
        return None;
    }
    Some(ResidualBlock {
        macs: finder.macs(&region.nodes),
        parameters: finder.costs.parameters(&finder.flow, &region.nodes),
        kind: BlockKind::Layer,
        shape: finder.types.get(&region.output).and_then(TensorType::static_shape),
        region,
        ..first.clone()
    })
}

/// Both blocks of a layer and what stands between them.
struct Stretch {
    nodes: BTreeSet<usize>,
    output: String,
    exit: usize,
    /// That of the output.
    order: Order,
}

impl Stretch {
    fn of(finder: &Finder, first: &Region, second: &Region) -> Option<Self> {
        let mut order = Order::of(finder, &first.input)?;
        order.follow(finder, &first.output, &second.input)?;
        let mut nodes: BTreeSet<_> = first.nodes.iter().chain(&second.nodes).copied().collect();
        nodes.extend(finder.flow.between(&first.output, &second.input, usize::MAX)?);
        Some(Self { nodes, output: second.output.clone(), exit: second.exit, order })
    }

    /// The place of the layer whose input is `x`: up to where the elements of x are in their places again.
    fn closed(mut self, finder: &Finder, x: &str) -> Option<Region> {
        let flow = &finder.flow;
        for _ in 0..MOST_MOVES {
            if self.order.is_unmoved() && finder.types.get(&self.output) == finder.types.get(x) {
                let nodes: Vec<_> = self.nodes.into_iter().collect();
                let nodes = flow.with_helpers(&nodes, self.exit);
                return Some(Region { input: x.to_owned(), output: self.output, nodes, exit: self.exit });
            }
            let &[reader] = flow.readers(&self.output) else { return None };
            let node = flow.node(reader);
            if flow.is_output(&self.output) || !is_move(node) || node.input.first() != Some(&self.output) {
                return None;
            }
            self.order.apply(finder, node)?;
            self.nodes.insert(reader);
            (self.output, self.exit) = (node.output.first()?.clone(), reader);
        }
        None
    }
}

/// Where the elements of a value were at the start.
struct Order {
    shape: Vec<usize>,
    /// For each element its number at the start.
    elements: Vec<usize>,
}

impl Order {
    /// That of `value` itself.
    fn of(finder: &Finder, value: &str) -> Option<Self> {
        let shape = shape(finder, value)?;
        let count = finder.types.get(value)?.elements().filter(|count| *count <= MOST_ELEMENTS)?;
        Some(Self { shape, elements: (0..count).collect() })
    }

    /// Whether every element is where it was, shapes aside.
    fn is_unmoved(&self) -> bool {
        self.elements.iter().enumerate().all(|(place, &element)| place == element)
    }

    /// From `from`, which has this order, to `to`, which all of its data passes on the way.
    fn follow(&mut self, finder: &Finder, from: &str, to: &str) -> Option<()> {
        if from == to {
            return Some(());
        }
        let mut values = vec![to];
        values.extend(finder.flow.dominators(to).take_while(|value| *value != from));
        if !finder.flow.dominators(to).any(|value| value == from) {
            return None;
        }
        let mut before = from;
        for value in values.into_iter().rev() {
            let (_, node) = finder.flow.producer(value)?;
            if is_move(node) && node.input.first().is_some_and(|input| input == before) {
                self.apply(finder, node)?;
            } else {
                let way = finder.flow.between(before, value, usize::MAX)?;
                let moves = way.iter().any(|&index| finder.flow.node(index).op_type == "Transpose");
                if moves || shape(finder, value)? != self.shape {
                    return None;
                }
            }
            before = value;
        }
        Some(())
    }

    /// What `node`, a move, makes of a value of this order.
    fn apply(&mut self, finder: &Finder, node: &NodeProto) -> Option<()> {
        let result = shape(finder, node.output.first()?)?;
        if finder.types.get(node.output.first()?)?.elements()? != self.elements.len() {
            return None;
        }
        if node.op_type == "Transpose" {
            self.elements = transposed(&self.elements, &self.shape, &axes(node, self.shape.len())?)?;
        }
        self.shape = result;
        Some(())
    }
}

fn shape(finder: &Finder, value: &str) -> Option<Vec<usize>> {
    finder.types.get(value)?.static_shape()
}

/// Whether `node` only moves elements, or gives them another shape.
fn is_move(node: &NodeProto) -> bool {
    let moves = matches!(
        node.op_type.as_str(),
        "Flatten" | "Identity" | "Reshape" | "Squeeze" | "Transpose" | "Unsqueeze"
    );
    moves && is_default_domain(&node.domain)
}

/// For each axis of a transposed value the axis that it was.
fn axes(node: &NodeProto, rank: usize) -> Option<Vec<usize>> {
    match Attributes::of(node).ints("perm").ok()? {
        Some(axes) => {
            axes.iter().map(|&axis| usize::try_from(axis).ok().filter(|axis| *axis < rank)).collect()
        }
        None => Some((0..rank).rev().collect()),
    }
}

/// `elements` of `shape` in another order of axes.
fn transposed(elements: &[usize], shape: &[usize], axes: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let extents: Vec<_> = axes.iter().map(|&axis| (shape[axis], strides[axis])).collect();
    let old_place = |place: usize| {
        let step = |(rest, sum): (usize, usize), &(extent, stride): &(usize, usize)| {
            (rest / extent, sum + rest % extent * stride)
        };
        extents.iter().rev().fold((place, 0), step).1
    };
    (0..elements.len()).map(|place| elements.get(old_place(place)).copied()).collect()
}

/// The names of layers, by the place of their second block: that of the module around both, or else their number in the
/// segment. They differ from each other and from those of all blocks, since either can be removed by name.
fn names(
    finder: &Finder,
    blocks: &[ResidualBlock],
    layers: &HashMap<usize, ResidualBlock>,
) -> HashMap<usize, String> {
    let mut places: Vec<_> = layers.keys().copied().collect();
    places.sort_unstable();
    let mut count: HashMap<usize, usize> = HashMap::new();
    let name = |place: &usize| {
        let ResidualBlock { region, segment, .. } = &layers[place];
        let number = count.entry(*segment).or_default();
        *number += 1;
        naming::module_around(region.nodes.iter().map(|&index| finder.flow.node(index)))
            .unwrap_or_else(|| format!("segment{segment}.layer{}", *number - 1))
    };
    let mut names: Vec<_> = places.iter().map(name).collect();
    naming::make_unique(&mut names);
    for name in &mut names {
        while blocks.iter().any(|block| block.name == *name) {
            name.push_str(".layer");
        }
    }
    places.into_iter().zip(names).collect()
}
