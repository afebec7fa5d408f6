//! What operators of the sets 7 to 10 are in later ones: attributes that became inputs, and images that are enlarged.

use super::opset::Raiser;
use super::unsupported;
use crate::attributes::Attributes;
use crate::edit::text_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

impl Raiser<'_> {
    /// `node` as operator set 11 has it.
    pub(super) fn early_node(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        match node.op_type.as_str() {
            "BatchNormalization" => per_channel(node),
            "Clip" => self.bounds(node),
            "Pad" => self.padding(node),
            "Resize" => self.resize(node, None),
            "Scatter" => {
                "ScatterElements".clone_into(&mut node.op_type);
                Ok(())
            }
            "Slice" => self.cuts(node),
            "TopK" => self.count(node),
            "Upsample" => self.upsample(node),
            _ => Ok(()),
        }
    }

    /// Before 11 the bounds are attributes, and a missing one is the largest number there is.
    fn bounds(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        for name in ["min", "max"] {
            let bound = Attributes::of(node).float(name).map_err(|problem| problem.of(node))?;
            let Some(bound) = bound else {
                node.input.push(String::new());
                continue;
            };
            self.check_float(node)?;
            let bound = self.add_floats(&wanted(node, name), vec![], &[bound]);
            node.input.push(bound);
        }
        node.attribute.clear();
        Ok(())
    }

    /// Before 11 the padding and what it is filled with are attributes.
    fn padding(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        let attributes = Attributes::of(node);
        let pads = attributes.ints("pads").map_err(|problem| problem.of(node))?;
        let Some(pads) = pads.map(<[i64]>::to_vec) else { return Ok(()) };
        let value = attributes.float("value").map_err(|problem| problem.of(node))?.unwrap_or(0.0);
        let pads = self.add_ints(&wanted(node, "pads"), &pads);
        node.input.push(pads);
        if value != 0.0 {
            self.check_float(node)?;
            let value = self.add_floats(&wanted(node, "value"), vec![], &[value]);
            node.input.push(value);
        }
        node.attribute.retain(|attribute| attribute.name == "mode");
        Ok(())
    }

    /// Before 10 the places are attributes.
    fn cuts(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        let attributes = Attributes::of(node);
        let list = |name| attributes.ints(name).map_err(|problem: NodeProblem| problem.of(node));
        let (Some(starts), Some(ends)) = (list("starts")?, list("ends")?) else { return Ok(()) };
        let axes = match list("axes")? {
            Some(axes) => axes.to_vec(),
            None => (0..).take(starts.len()).collect(),
        };
        let inputs = [("starts", starts), ("ends", ends), ("axes", axes.as_slice())];
        let inputs = inputs.map(|(name, values)| self.add_ints(&wanted(node, name), values));
        node.input.extend(inputs);
        node.attribute.clear();
        Ok(())
    }

    /// Before 10 the number of elements is an attribute.
    fn count(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        let Some(count) = Attributes::of(node).int("k").map_err(|problem| problem.of(node))? else {
            return Ok(());
        };
        let count = self.add_ints(&wanted(node, "k"), &[count]);
        node.input.push(count);
        node.attribute.retain(|attribute| attribute.name != "k");
        Ok(())
    }

    /// Before 9 the scales are an attribute. What it does is what a `Resize` of 10 does.
    fn upsample(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        "Resize".clone_into(&mut node.op_type);
        if node.input.len() > 1 {
            return self.resize(node, None);
        }
        let scales = Attributes::of(node).floats("scales").map_err(|problem| problem.of(node))?;
        let scales =
            scales.ok_or_else(|| NodeProblem::MissingAttribute { name: "scales" }.of(node))?.to_vec();
        let dims = vec![i64::try_from(scales.len()).unwrap_or(i64::MAX)];
        let input = self.add_floats(&wanted(node, "scales"), dims, &scales);
        node.input.push(input);
        self.resize(node, Some(scales))
    }

    /// Before 11 there is one way from places to places, without an attribute for it. Engines do not agree on which
    /// element is the nearest one of an image that becomes smaller.
    fn resize(&mut self, node: &mut NodeProto, scales: Option<Vec<f32>>) -> Result<(), Error> {
        let nearest = match Attributes::of(node).string("mode").map_err(|problem| problem.of(node))? {
            None | Some(b"nearest") => true,
            Some(b"linear" | b"bilinear") => false,
            Some(_) => return Err(unsupported(node, "its `mode` is neither `nearest` nor `linear`")),
        };
        let given = || node.input.get(1).and_then(|scales| self.value(scales)?.floats.clone());
        let scales = scales.or_else(given);
        let enlarges = scales.is_some_and(|scales| scales.iter().all(|scale| *scale >= 1.0));
        if nearest && !enlarges {
            return Err(unsupported(
                node,
                "it takes the nearest element, and is not known to enlarge the image",
            ));
        }
        node.input.insert(1, String::new());
        node.attribute = vec![
            text_attribute("mode", if nearest { "nearest" } else { "linear" }),
            text_attribute("coordinate_transformation_mode", "asymmetric"),
            text_attribute("nearest_mode", "floor"),
        ];
        Ok(())
    }

    fn check_float(&self, node: &NodeProto) -> Result<(), Error> {
        let input = node.input.first().and_then(|input| self.value(input));
        if input.is_some_and(|input| input.tensor_type.element_type == FLOAT) {
            return Ok(());
        }
        Err(unsupported(node, "its input is not known to be of 32-bit floats"))
    }
}

/// Before 9 there are statistics for each element, too.
fn per_channel(node: &mut NodeProto) -> Result<(), Error> {
    let spatial = Attributes::of(node).int_or("spatial", 1).map_err(|problem| problem.of(node))?;
    if spatial == 0 {
        return Err(unsupported(node, "it has statistics for each element (`spatial` is 0)"));
    }
    node.attribute.retain(|attribute| attribute.name != "spatial");
    Ok(())
}

fn wanted(node: &NodeProto, name: &str) -> String {
    format!("{}.{name}", node.output.first().map_or("", String::as_str))
}
