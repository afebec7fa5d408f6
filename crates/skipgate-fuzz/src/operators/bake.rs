//! Inputs that decide about a shape, or about how something is computed.
//!
//! In ONNX's cases everything that a node reads is an input of the model, the shape of a `Reshape` included. A compiler for
//! static shapes needs to know such a value, as it does in exported networks, where it is a constant. So it does whether a
//! `Dropout` trains, and whether the exponents of integers are whole.

use std::collections::HashSet;

use skipgate_onnx::element_type::{BOOL, FLOAT, FLOAT16, INT32, INT64};
use skipgate_onnx::proto::{GraphProto, NodeProto, TensorProto};

use super::case;

/// Most elements of such an input that is not read as one, but that one is computed from.
const SMALL: usize = 64;

/// Compiles those of `inputs` in that decide about a shape, and gives their names.
pub(super) fn bake(graph: &mut GraphProto, inputs: &[TensorProto]) -> Vec<String> {
    let deciding = Deciding::of(graph);
    let mut baked = Vec::new();
    let named: Vec<_> = case::inputs(graph).map(|input| input.name.clone()).zip(inputs).collect();
    for (name, tensor) in named {
        if deciding.includes(&name, tensor) {
            graph.initializer.push(TensorProto { name: name.clone(), ..tensor.clone() });
            graph.input.retain(|input| input.name != name);
            baked.push(name);
        }
    }
    baked
}

/// The values of a graph that decide about a shape.
struct Deciding {
    /// Those that a node reads as one.
    read: HashSet<String>,
    /// Those that such values are computed from.
    behind: HashSet<String>,
}

impl Deciding {
    fn of(graph: &GraphProto) -> Self {
        let mut deciding = Self { read: HashSet::new(), behind: HashSet::new() };
        deciding.graph(graph);
        deciding
    }

    fn graph(&mut self, graph: &GraphProto) {
        for node in graph.node.iter().rev() {
            self.node(node);
            inner(node).for_each(|graph| self.graph(graph));
        }
    }

    fn node(&mut self, node: &NodeProto) {
        for &place in places(&node.op_type) {
            self.read.extend(node.input.get(place).filter(|name| !name.is_empty()).cloned());
        }
        let decides = |name: &String| self.read.contains(name) || self.behind.contains(name);
        // What a shape is does not depend on the elements.
        if node.output.iter().any(decides) && !matches!(node.op_type.as_str(), "Shape" | "Size") {
            self.behind.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
            let outputs = inner(node).flat_map(|graph| &graph.output);
            self.behind.extend(outputs.map(|output| output.name.clone()));
        }
    }

    fn includes(&self, name: &str, tensor: &TensorProto) -> bool {
        let elements: i64 = tensor.dims.iter().product();
        let small = tensor.dims.len() <= 1 && usize::try_from(elements).is_ok_and(|n| n <= SMALL);
        // The bounds of a range may be floats.
        let number = tensor.dims.is_empty() && matches!(tensor.data_type, FLOAT | FLOAT16);
        let known = number || matches!(tensor.data_type, INT32 | INT64 | BOOL);
        small && (self.read.contains(name) || known && self.behind.contains(name))
    }
}

/// The branches or the body of a node.
fn inner(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().filter_map(|attribute| attribute.g.as_ref())
}

/// The inputs of an operator that decide about the shape of its result, along which axis it works, or how
/// its result is computed: whether a layer is trained, and exponents.
fn places(op_type: &str) -> &'static [usize] {
    match op_type {
        "BlackmanWindow" | "ConstantOfShape" | "HammingWindow" | "HannWindow" => &[0],
        "CenterCropPad" | "CumProd" | "CumSum" | "Expand" | "AffineGrid" | "OneHot" | "Reshape" | "Split"
        | "Pow" | "SplitToSequence" | "Squeeze" | "Upsample" | "Tile" | "TopK" | "Trilu" | "Unsqueeze" => {
            &[1]
        }
        "Col2Im" | "DFT" | "Dropout" => &[1, 2],
        "Loop" => &[0, 1],
        "MaxUnpool" => &[2],
        "MelWeightMatrix" => &[0, 1, 2, 3, 4],
        "Pad" | "STFT" => &[1, 3],
        "Range" => &[0, 1, 2],
        "Resize" => &[1, 2, 3],
        "Slice" => &[1, 2, 3, 4],
        op_type if op_type.starts_with("Reduce") => &[1],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use skipgate_onnx::proto::ValueInfoProto;

    use super::*;

    fn node(op_type: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.to_owned(),
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    fn baked(nodes: Vec<NodeProto>, inputs: &[(&str, i32, &[i64])]) -> Vec<String> {
        let info = |name: &str| ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() };
        let mut graph = GraphProto {
            node: nodes,
            input: inputs.iter().map(|(name, ..)| info(name)).collect(),
            ..GraphProto::default()
        };
        let tensor = |&(_, data_type, dims): &(&str, i32, &[i64])| TensorProto {
            data_type,
            dims: dims.to_vec(),
            ..TensorProto::default()
        };
        let baked = bake(&mut graph, &inputs.iter().map(tensor).collect::<Vec<_>>());
        assert_eq!(graph.input.len() + graph.initializer.len(), inputs.len());
        baked
    }

    #[test]
    fn what_decides_about_a_shape_becomes_a_constant_and_data_does_not() {
        let reshape = node("Reshape", &["x", "shape"], "y");
        let inputs: [(&str, i32, &[i64]); 2] = [("x", FLOAT, &[4]), ("shape", INT64, &[2])];
        assert_eq!(baked(vec![reshape], &inputs), ["shape"]);
        let gather = node("Gather", &["x", "shape"], "y");
        assert!(baked(vec![gather], &inputs).is_empty());
    }

    #[test]
    fn numbers_that_a_count_is_computed_from_decide_even_if_they_are_floats() {
        let nodes =
            vec![node("Sub", &["end", "start"], "a"), node("Cast", &["a"], "b"), node("Loop", &["b"], "y")];
        let inputs: [(&str, i32, &[i64]); 2] = [("start", FLOAT, &[]), ("end", FLOAT, &[])];
        assert_eq!(baked(nodes, &inputs), ["start", "end"]);
    }

    #[test]
    fn what_a_shape_is_computed_from_decides_and_what_has_a_shape_does_not() {
        let nodes =
            vec![node("Shape", &["x"], "a"), node("Mul", &["a", "k"], "b"), node("Expand", &["x", "b"], "y")];
        let inputs: [(&str, i32, &[i64]); 2] = [("x", INT64, &[4]), ("k", INT64, &[1])];
        assert_eq!(baked(nodes, &inputs), ["k"]);
    }
}
