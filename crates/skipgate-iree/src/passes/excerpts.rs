//! Excerpts of images with zeros around them, such as shortcuts without weights.
//!
//! Written as `Slice` and `Pad`, they would be computed in ONNX's layout and transposed on both sides.

use std::collections::HashMap;

use skipgate_onnx::{Excerpt, Graph, Model, NodeId, ValueId, find_excerpts};

use crate::ImportError;
use crate::plan::{CHANNELS_LAST, Frame};

/// The excerpts of a model, by the node that adds the zeros.
pub(crate) type Excerpts = HashMap<NodeId, Cut>;

/// An excerpt of an image, channels last.
pub(crate) struct Cut {
    pub(crate) source: ValueId,
    /// The first element taken, by dimension.
    pub(crate) starts: [usize; 4],
    /// Distances between elements.
    pub(crate) steps: [usize; 4],
    /// Number of elements taken.
    pub(crate) sizes: [usize; 4],
    /// Zeros in front of them.
    pub(crate) low: [usize; 4],
}

/// Finds the `Pad` nodes that put zeros around a part of an image.
pub(super) fn find(model: &Model, graph: &Graph) -> Result<Excerpts, ImportError> {
    let excerpts = find_excerpts(model)?;
    let mut uses: HashMap<&str, usize> = HashMap::new();
    graph.values().for_each(|value| *uses.entry(graph.value(value).name).or_insert(0) += 1);
    let cut = |id: NodeId| {
        let node = graph.node(id);
        let output = node.only_output().filter(|_| node.is("Pad"))?;
        let name = graph.value(output).name;
        // Two branches may use one name for two values, and an excerpt knows names only.
        let excerpt = excerpts.get(name).filter(|_| uses[name] == 1)?;
        Some((id, cut(graph, id, output, excerpt)?))
    };
    Ok(graph.nodes().filter_map(cut).collect())
}

/// `excerpt`, which the `Pad` node `node` ends with `output`; `None` unless it is of an image and not empty.
fn cut(graph: &Graph, node: NodeId, output: ValueId, excerpt: &Excerpt) -> Option<Cut> {
    let source = source(graph, node, &excerpt.source)?;
    // Kernels copy one image.
    for value in [source, output] {
        Frame::without_room(graph.ty(value)?).filter(|frame| frame.inner().first() == Some(&1))?;
    }
    let Excerpt { starts, steps, sizes, low, .. } = excerpt;
    if sizes.len() != CHANNELS_LAST.len() || sizes.contains(&0) {
        return None;
    }
    let [starts, steps, sizes, low] =
        [starts, steps, sizes, low].map(|numbers| CHANNELS_LAST.map(|axis| numbers[axis]));
    Some(Cut { source, starts, steps, sizes, low })
}

/// The value called `name` that the chain of nodes up to `node` begins with.
fn source(graph: &Graph, mut node: NodeId, name: &str) -> Option<ValueId> {
    loop {
        let value = graph.node(node).input(0)?;
        if graph.value(value).name == name {
            return Some(value);
        }
        node = graph.producer(value)?;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::{Model, fold_batch_norm};

    use crate::import_onnx;

    #[test]
    fn a_shortcut_without_weights_is_one_copy_and_its_sum_part_of_a_kernel() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cifar10/resnet20.onnx");
        let model = fold_batch_norm(&Model::load(&path).unwrap()).unwrap();
        let mlir = import_onnx(&model, &Target::host().unwrap(), &CompileOptions::default()).unwrap();
        let copies = mlir.lines().filter(|line| line.contains("flow.dispatch @excerpt_"));
        // The network's input gets its padding in the same way.
        assert_eq!(copies.count(), 1 + 2);
        for operator in ["Add", "Pad", "Relu", "Slice"] {
            assert!(!mlir.contains(&format!("onnx.{operator}\"")), "{operator}");
        }
    }
}
