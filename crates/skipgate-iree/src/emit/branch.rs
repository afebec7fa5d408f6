//! `If` nodes, with the else branch first, as torch-mlir expects. What passes one does so with its channels last.

use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{TensorType, tensor_bytes};

use super::{Emitter, types};
use crate::ImportError;
use crate::plan::{Body, Branch, CHANNELS_FIRST, CHANNELS_LAST, TensorId, permuted};

/// Weights from OIHW to HWIO, and back.
const WEIGHTS_LAST: [usize; 4] = [2, 3, 1, 0];
const WEIGHTS_FIRST: [usize; 4] = [3, 2, 0, 1];

/// A value as it enters a branch.
struct Crossing {
    /// Its SSA name outside, transposed.
    value: String,
    /// The type of that.
    ty: TensorType,
    /// The way back.
    back: [usize; 4],
}

impl Emitter<'_, '_> {
    pub(super) fn branch(&mut self, branch: &Branch) -> Result<(), ImportError> {
        let mut crossings = Vec::new();
        for capture in &branch.captures {
            crossings.push(match capture.weights {
                Some(weights) => self.weights_crossing(weights)?,
                None => self.image_crossing(capture.source)?,
            });
        }
        let (condition, condition_type) = (self.value(branch.condition), self.type_of(branch.condition)?);
        let types = self.crossing_types(&branch.results)?;
        let results: Vec<_> = branch.results.iter().map(|_| self.fresh()).collect();
        self.line(&format!(
            "{} = torch.operator \"onnx.If\"({condition}) : ({condition_type}) -> ({types}) {{",
            results.join(", "),
        ));
        self.body(&branch.otherwise, &crossings)?;
        self.line("}, {");
        self.body(&branch.then, &crossings)?;
        let location = types::quoted(&self.plan.graph.node(branch.node).label());
        self.line(&format!("}} loc({location})"));
        for (&result, value) in branch.results.iter().zip(results) {
            let ty = permuted(&self.plan.tensor(result).ty, CHANNELS_LAST);
            self.names[result.0].value = self.transpose(&value, &ty, CHANNELS_FIRST)?;
        }
        Ok(())
    }

    /// Any value but weights.
    fn image_crossing(&mut self, tensor: TensorId) -> Result<Crossing, ImportError> {
        let (value, ty) = (self.value(tensor), &self.plan.tensor(tensor).ty);
        let value = self.transpose(&value, ty, CHANNELS_LAST)?;
        Ok(Crossing { value, ty: permuted(ty, CHANNELS_LAST), back: CHANNELS_FIRST })
    }

    /// A constant of its own: the compiler would cancel two transpositions of the one that is there.
    fn weights_crossing(&mut self, tensor: &TensorProto) -> Result<Crossing, ImportError> {
        let tensor = weights_last(tensor)?;
        let shape = tensor.dims.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let ty = TensorType { element_type: tensor.data_type, shape };
        let (value, literal) = (self.fresh(), self.blobs.literal(&tensor)?);
        self.constant_operation(&value, &literal, &types::vtensor(&tensor.name, &ty)?, &tensor.name);
        Ok(Crossing { value, ty, back: WEIGHTS_FIRST })
    }

    fn body(&mut self, body: &Body, crossings: &[Crossing]) -> Result<(), ImportError> {
        for (&inside, Crossing { value, ty, back }) in body.captured.iter().zip(crossings) {
            self.names[inside.0].value = self.transpose(value, ty, *back)?;
        }
        for &(outside, inside) in &body.frames {
            let (memory, _) = self.memory(outside)?;
            self.stand(inside, memory)?;
        }
        self.steps(&body.steps)?;
        let mut values = Vec::new();
        for &result in &body.results {
            let value = self.value(result);
            values.push(self.transpose(&value, &self.plan.tensor(result).ty, CHANNELS_LAST)?);
        }
        let types = self.crossing_types(&body.results)?;
        self.line(&format!("torch.operator_terminator {} : {types}", values.join(", ")));
        Ok(())
    }

    /// The types of values as they pass an `If`.
    fn crossing_types(&self, tensors: &[TensorId]) -> Result<String, ImportError> {
        let ty = |&id: &TensorId| {
            let tensor = self.plan.tensor(id);
            types::vtensor(tensor.name, &permuted(&tensor.ty, CHANNELS_LAST))
        };
        Ok(tensors.iter().map(ty).collect::<Result<Vec<_>, _>>()?.join(", "))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::Model;
    use skipgate_onnx::element_type::FLOAT;

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
