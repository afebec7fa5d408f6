//! Conditions that the network computes itself: such an `If` stays a branch of the program.
//!
//! The compiler moves no change of layout into a branch or out of it: each image would be transposed at both ends, and
//! weights at every call. So whatever passes an `If` does so in the layout that convolutions are compiled in: it is
//! transposed on one side and back on the other, and the compiler finds that one of the two cancels what it adds itself.

use std::collections::BTreeMap;

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::{GraphProto, NodeProto, TensorProto};
use skipgate_onnx::{TensorType, tensor_bytes};

use super::frame::{CHANNELS_FIRST, CHANNELS_LAST, is_convolution, permuted};
use super::{Importer, node_name, of_node, types, unsupported};
use crate::ImportError;

/// Weights from OIHW to HWIO, and back.
const WEIGHTS_LAST: [usize; 4] = [2, 3, 1, 0];
const WEIGHTS_FIRST: [usize; 4] = [3, 2, 0, 1];

/// A value as it enters a branch.
struct Capture {
    /// Its SSA name outside, transposed.
    value: String,
    /// The type of that.
    ty: TensorType,
    /// The way back.
    back: [usize; 4],
}

impl<'a> Importer<'a> {
    /// Writes an `If` with its branches, the else branch first, as torch-mlir expects.
    pub(super) fn conditional(&mut self, node: &'a NodeProto) -> Result<(), ImportError> {
        let branches = [branch(node, "else_branch")?, branch(node, "then_branch")?];
        for tensor in branches.iter().flat_map(|branch| &branch.initializer) {
            self.initializer(tensor)?;
        }
        let captures = self.captures(&branches)?;
        let [condition] = &node.input[..] else {
            return Err(unsupported(node, format!("an If with {} inputs", node.input.len())));
        };
        let (operand, operand_type) = (self.value(condition), self.type_of(condition)?);
        let outputs: Vec<_> = node.output.iter().collect();
        let types = self.crossing_types(outputs.iter().copied()).map_err(|error| of_node(error, node))?;
        let results: Vec<_> = outputs.iter().map(|_| self.fresh()).collect();
        self.line(&format!(
            "{} = torch.operator \"onnx.If\"({operand}) : ({operand_type}) -> ({types}) {{",
            results.join(", "),
        ));
        let [otherwise, then] = branches;
        self.region(otherwise, &captures)?;
        self.line("}, {");
        self.region(then, &captures)?;
        let location = types::quoted(&format!("If {}", node_name(node)));
        self.line(&format!("}} loc({location})"));
        for (output, result) in outputs.into_iter().zip(results) {
            let ty = permuted(self.tensor_type(output)?, CHANNELS_LAST);
            let value = self.transpose(&result, &ty, CHANNELS_FIRST)?;
            self.values.insert(output.clone(), value);
        }
        Ok(())
    }

    /// What one of the branches takes from outside. Values in a frame are read from it in the branch.
    fn captures(&mut self, branches: &[&GraphProto]) -> Result<BTreeMap<String, Capture>, ImportError> {
        let mut captures = BTreeMap::new();
        for (node, place) in branches.iter().flat_map(|branch| operands(branch)) {
            let name = &node.input[place];
            if captures.contains_key(name) || self.framed.contains_key(name) {
                continue;
            }
            let Some(value) = self.values.get(name).cloned() else { continue };
            let weights = self.initializers.get(name.as_str()).filter(|_| place == 1 && is_convolution(node));
            let capture = match weights.copied().filter(|tensor| tensor.data_type == FLOAT) {
                Some(weights) => self.weights(weights)?,
                None => self.image(&value, self.tensor_type(name)?)?,
            };
            captures.insert(name.clone(), capture);
        }
        Ok(captures)
    }

    /// Any value but weights.
    fn image(&mut self, value: &str, ty: &TensorType) -> Result<Capture, ImportError> {
        let value = self.transpose(value, ty, CHANNELS_LAST)?;
        Ok(Capture { value, ty: permuted(ty, CHANNELS_LAST), back: CHANNELS_FIRST })
    }

    /// A constant of its own: the compiler would cancel two transpositions of the one that is there.
    fn weights(&mut self, tensor: &TensorProto) -> Result<Capture, ImportError> {
        let tensor = weights_last(tensor)?;
        let (value, ty) = (self.fresh(), types::of_tensor(&tensor));
        self.constant(&value, &tensor)?;
        Ok(Capture { value, ty, back: WEIGHTS_FIRST })
    }

    /// One branch.
    fn region(
        &mut self,
        branch: &'a GraphProto,
        captures: &BTreeMap<String, Capture>,
    ) -> Result<(), ImportError> {
        let outside = (self.values.clone(), self.framed.clone(), self.written.clone());
        // Frames that begin in a branch would have to end in it.
        let frames = std::mem::take(&mut self.frames);
        for (name, Capture { value, ty, back }) in captures {
            let value = self.transpose(value, ty, *back)?;
            self.values.insert(name.clone(), value);
        }
        for (name, framed) in &outside.1 {
            if operands(branch).any(|(node, place)| node.input[place] == *name) {
                self.read_from_frame(name, framed.clone())?;
            }
        }
        self.nodes(branch)?;
        let mut values = Vec::new();
        for output in &branch.output {
            let value = self.value(&output.name);
            values.push(self.transpose(&value, self.tensor_type(&output.name)?, CHANNELS_LAST)?);
        }
        let types = self.crossing_types(branch.output.iter().map(|output| &output.name))?;
        self.line(&format!("torch.operator_terminator {} : {types}", values.join(", ")));
        self.frames = frames;
        (self.values, self.framed, self.written) = outside;
        Ok(())
    }

    /// The types of values as they pass an `If`.
    fn crossing_types<'n>(&self, names: impl Iterator<Item = &'n String>) -> Result<String, ImportError> {
        let ty = |name: &'n String| types::vtensor(name, &permuted(self.tensor_type(name)?, CHANNELS_LAST));
        Ok(names.map(ty).collect::<Result<Vec<_>, _>>()?.join(", "))
    }
}

/// Weights of a convolution of images from OIHW to HWIO; of any other one, as they are.
fn weights_last(tensor: &TensorProto) -> Result<TensorProto, ImportError> {
    let extents: Vec<_> = tensor.dims.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect();
    let [outputs, inputs, height, width] = extents[..] else { return Ok(tensor.clone()) };
    let bytes = tensor_bytes(tensor)?;
    let (elements, area): (Vec<_>, _) = (bytes.chunks_exact(4).collect(), height * width);
    let mut raw_data = Vec::with_capacity(bytes.len());
    for (position, input) in (0..area).flat_map(|position| (0..inputs).map(move |input| (position, input))) {
        let element = |output| elements[(output * inputs + input) * area + position];
        raw_data.extend((0..outputs).flat_map(element));
    }
    let dims = WEIGHTS_LAST.map(|axis| tensor.dims[axis]).to_vec();
    Ok(TensorProto {
        name: tensor.name.clone(),
        data_type: tensor.data_type,
        dims,
        raw_data,
        ..Default::default()
    })
}

fn branch<'n>(node: &'n NodeProto, name: &str) -> Result<&'n GraphProto, ImportError> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
    attribute
        .and_then(|attribute| attribute.g.as_ref())
        .ok_or_else(|| unsupported(node, format!("an If without `{name}`")))
}

/// Every operand of a node of `graph`, and of the subgraphs of its nodes, as a node and the operand's place in it.
fn operands(graph: &GraphProto) -> impl Iterator<Item = (&NodeProto, usize)> {
    graph.node.iter().flat_map(|node| {
        let own = (0..node.input.len()).map(move |place| (node, place));
        let subgraphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        own.chain(subgraphs.flat_map(|graph| operands(graph).collect::<Vec<_>>()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::Model;

    use super::*;
    use crate::import_onnx;

    #[test]
    fn images_and_weights_pass_an_if_with_their_channels_last() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cifar10/skipnet20.onnx");
        let mlir =
            import_onnx(&Model::load(&path).unwrap(), &Target::host().unwrap(), &CompileOptions::default())
                .unwrap();
        let results: Vec<_> = mlir.lines().filter(|line| line.contains("\"onnx.If\"")).collect();
        assert_eq!(results.len(), 6);
        assert!(results[0].contains("-> (!torch.vtensor<[1,32,32,16],f32>)"), "{}", results[0]);
        let weights = "onnx.Constant\"() {torch.onnx.value = dense_resource<";
        let last =
            |line: &&str| line.contains(weights) && line.contains("-> !torch.vtensor<[3,3,16,16],f32>");
        assert_eq!(mlir.lines().filter(last).count(), 4);
    }

    #[test]
    fn weights_are_reordered_element_by_element() {
        let element = |place: [usize; 4]| place.iter().fold(0, |number, digit| 10 * number + digit) as f32;
        let all = |[a, b, c, d]: [usize; 4]| {
            (0..a * b * c * d).map(move |i| [i / (b * c * d), i / (c * d) % b, i / d % c, i % d])
        };
        let tensor = TensorProto {
            data_type: FLOAT,
            dims: vec![2, 3, 4, 5],
            float_data: all([2, 3, 4, 5]).map(element).collect(),
            ..Default::default()
        };
        let found = weights_last(&tensor).unwrap();
        assert_eq!(found.dims, [4, 5, 3, 2]);
        let expected = all([4, 5, 3, 2]).map(|[h, w, i, o]| element([o, i, h, w]));
        let expected: Vec<_> = expected.flat_map(f32::to_le_bytes).collect();
        assert_eq!(found.raw_data, expected);
    }
}
