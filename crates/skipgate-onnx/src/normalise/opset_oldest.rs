//! What operators of set 6 are in 7: operands are broadcast by NumPy's rules, and nothing is said about training.

use super::opset::Raiser;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;

impl Raiser<'_> {
    /// `node` as operator set 7 has it; what has to come before it.
    pub(super) fn oldest_node(&mut self, node: &mut NodeProto) -> Result<Option<NodeProto>, Error> {
        match node.op_type.as_str() {
            "Add" | "And" | "Div" | "Equal" | "Greater" | "Less" | "Mul" | "Or" | "Pow" | "Sub" | "Xor" => {
                self.broadcast(node)
            }
            "BatchNormalization" | "Dropout" => {
                let tests = Attributes::of(node).flag("is_test").map_err(|problem| problem.of(node))?;
                if !tests {
                    return Err(unsupported(
                        node,
                        "it is in training mode, which depends on the whole batch",
                    ));
                }
                node.attribute.retain(|attribute| attribute.name != "is_test");
                Ok(None)
            }
            "Gemm" => {
                node.attribute.retain(|attribute| attribute.name != "broadcast");
                Ok(None)
            }
            "GRU" | "LSTM" | "RNN" => {
                node.attribute.retain(|attribute| attribute.name != "output_sequence");
                Ok(None)
            }
            "PRelu" => self.slopes(node),
            "Upsample" => Err(unsupported(node, "operator set 6 has it as an experiment")),
            _ => Ok(None),
        }
    }

    /// The dimensions of the second operand stand at `axis` of the first, or at its end.
    fn broadcast(&mut self, node: &mut NodeProto) -> Result<Option<NodeProto>, Error> {
        let attributes = Attributes::of(node);
        let broadcasts = attributes.flag("broadcast").map_err(|problem| problem.of(node))?;
        let first = attributes.int("axis").map_err(|problem| problem.of(node))?.filter(|_| broadcasts);
        node.attribute.clear();
        let Some(first) = first else { return Ok(None) };
        let rank = |name: &String| Some(self.value(name)?.tensor_type.shape.len());
        let ranks = node.input.first().and_then(rank).zip(node.input.get(1).and_then(rank));
        let Some((rank, second)) = ranks else {
            return Err(unsupported(node, "the dimensions of its operands are not known"));
        };
        let behind = axis(first, rank.max(1)).ok().and_then(|first| rank.checked_sub(first + second));
        let behind = behind
            .ok_or_else(|| NodeProblem::Attribute { name: "axis", expected: "a dimension" }.of(node))?;
        Ok(self.with_dimensions_behind(node, second, behind))
    }

    /// A slope for each channel, whose dimension is the second one.
    fn slopes(&mut self, node: &mut NodeProto) -> Result<Option<NodeProto>, Error> {
        let shape = |name: &String| Some(self.value(name)?.tensor_type.clone());
        let types = node.input.first().and_then(shape).zip(node.input.get(1).and_then(shape));
        let Some((input, slopes)) = types else {
            return Err(unsupported(node, "the dimensions of its operands are not known"));
        };
        if slopes.elements() == Some(1) || slopes.shape.len() != 1 {
            return Ok(None);
        }
        Ok(self.with_dimensions_behind(node, 1, input.shape.len().saturating_sub(2)))
    }

    /// Gives the second operand of `node`, of `rank` dimensions, `behind` more at its end.
    fn with_dimensions_behind(
        &mut self,
        node: &mut NodeProto,
        rank: usize,
        behind: usize,
    ) -> Option<NodeProto> {
        if behind == 0 {
            return None;
        }
        let axes: Vec<_> =
            (rank..rank + behind).map(|axis| i64::try_from(axis).unwrap_or(i64::MAX)).collect();
        let wanted = node.output.first().cloned().unwrap_or_default();
        let (axes, output) =
            (self.add_ints(&format!("{wanted}.axes"), &axes), self.fresh(&format!("{wanted}.operand")));
        let input = std::mem::replace(&mut node.input[1], output.clone());
        Some(NodeProto {
            op_type: "Unsqueeze".to_owned(),
            name: node.name.clone(),
            input: vec![input, axes],
            output: vec![output],
            metadata_props: node.metadata_props.clone(),
            ..NodeProto::default()
        })
    }
}
