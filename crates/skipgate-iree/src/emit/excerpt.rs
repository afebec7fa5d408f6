//! Excerpts of images with zeros around them, such as shortcuts without weights.
//!
//! Written as `Slice` and `Pad`, they would be computed in ONNX's layout and transposed on both sides.

use skipgate_onnx::Excerpt;
use skipgate_onnx::proto::NodeProto;

use super::frame::{CHANNELS_LAST, Frame, Framed};
use super::{Importer, node_name, types};
use crate::ImportError;

impl Importer<'_> {
    /// Writes `node` as one copy into a tensor of zeros, channels last; false unless it pads an excerpt of an image.
    pub(super) fn excerpt(&mut self, node: &NodeProto) -> Result<bool, ImportError> {
        let [output] = &node.output[..] else { return Ok(false) };
        let Some(excerpt) = self.excerpts.get(output).filter(|_| node.op_type == "Pad").cloned() else {
            return Ok(false);
        };
        let Excerpt { source, starts, steps, sizes, low, high: _ } = excerpt;
        let usable = sizes.len() == CHANNELS_LAST.len() && sizes.iter().all(|&size| size > 0);
        let frame = Frame::without_room(self.tensor_type(output)?);
        let (Some(whole), true) = (frame, usable && self.values.contains_key(&source)) else {
            return Ok(false);
        };
        let Framed { frame, memory } = self.image_as_it_is(&source)?;
        let [starts, steps, sizes, low] =
            [starts, steps, sizes, low].map(|numbers| CHANNELS_LAST.map(|axis| numbers[axis]));
        let starts = frame.inside(starts);
        let zeros = self.zeros(&whole);
        let [taken, result] = [self.fresh(), self.fresh()];
        let (from, to) = (frame.outer_type(), whole.outer_type());
        let inner = Frame::builtin(sizes.into_iter());
        let location = types::quoted(&format!("Pad {}", node_name(node)));
        self.line(&format!(
            "{taken} = tensor.extract_slice {memory}{starts:?}{sizes:?}{steps:?} : {from} to {inner} loc({location})"
        ));
        self.line(&format!(
            "{result} = tensor.insert_slice {taken} into {zeros}{low:?}{sizes:?}[1, 1, 1, 1] : {inner} into {to} \
             loc({location})"
        ));
        self.read_from_frame(output, Framed { frame: whole, memory: result })?;
        Ok(true)
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
        let strided = |line: &&str| line.contains("tensor.extract_slice") && line.contains("[1, 2, 2, 1]");
        assert_eq!(mlir.lines().filter(strided).count(), 2);
        for operator in ["Add", "Pad", "Relu"] {
            assert!(!mlir.contains(&format!("onnx.{operator}\"")), "{operator}");
        }
    }
}
