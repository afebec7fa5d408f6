//! Which nodes compute something from each row of a matrix alone, as kernels do.

use std::collections::HashMap;

use skipgate_core::CompileOptions;
use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, Node, NodeId, ValueId};

use crate::kernels::{self, RowOperation};

/// A node whose operation a kernel does row by row.
pub(crate) struct Rows<'m> {
    pub(crate) source: ValueId,
    pub(crate) result: ValueId,
    pub(crate) sizes: kernels::Rows,
    /// Of a normalisation.
    pub(crate) scale: Option<&'m TensorProto>,
    pub(crate) bias: Option<&'m TensorProto>,
}

/// Finds the nodes along the last axis that kernels do.
pub(super) fn find<'m>(graph: &Graph<'m>, options: &CompileOptions) -> HashMap<NodeId, Rows<'m>> {
    if !options.kernels {
        return HashMap::new();
    }
    graph.nodes().filter_map(|id| Some((id, rows(graph, graph.node(id))?))).collect()
}

fn rows<'m>(graph: &Graph<'m>, node: &Node<'m>) -> Option<Rows<'m>> {
    let is_known = node.is_standard() && (node.is("Softmax") || node.is("LayerNormalization"));
    let (source, result) = (node.input(0).filter(|_| is_known)?, node.only_output()?);
    let ty = graph.ty(source).filter(|ty| ty.element_type == FLOAT && graph.ty(result) == Some(ty))?;
    let shape = ty.static_shape()?;
    let (&columns, rows) = shape.split_last()?;
    let last = i64::try_from(rows.len()).ok()?;
    let is_along_last = node.int("axis").is_none_or(|axis| axis == -1 || axis == last);
    if !is_along_last || shape.contains(&0) {
        return None;
    }
    let row = |place: usize| graph.constant(node.input(place)?).filter(|tensor| is_row(tensor, columns));
    let (operation, scale, bias) = if node.is("Softmax") {
        (RowOperation::Softmax, None, None)
    } else {
        let bias = row(2);
        if bias.is_none() && node.input(2).is_some() {
            return None;
        }
        // The default is ONNX's.
        let epsilon = node.float("epsilon").unwrap_or(1e-5).to_bits();
        (RowOperation::Normalise { epsilon }, Some(row(1)?), bias)
    };
    let sizes = kernels::Rows { count: rows.iter().product(), columns, operation };
    Some(Rows { source, result, sizes, scale, bias })
}

/// Whether `tensor` has a float for each column.
fn is_row(tensor: &TensorProto, columns: usize) -> bool {
    tensor.data_type == FLOAT && matches!(tensor.dims[..], [extent] if usize::try_from(extent) == Ok(columns))
}

#[cfg(test)]
mod tests {
    use skipgate_core::Target;

    use super::*;
    use crate::net::{Net, int};
    use crate::plan;

    #[test]
    fn rows_are_along_the_last_axis_only() {
        let (mut net, x) = Net::new(&[2, 3, 4], 1);
        let last = net.op("Softmax", &[&x], &[int("axis", 2)]);
        let other = net.op("Softmax", &[&last], &[int("axis", 1)]);
        let (scale, shift) = (net.floats(&[4], |r| r), net.floats(&[4], |r| r));
        let normal = net.op("LayerNormalization", &[&other, &scale, &shift], &[]);
        let square = net.floats(&[3, 4], |r| r);
        let of_two = net.op("LayerNormalization", &[&normal, &square], &[int("axis", 1)]);
        net.output(&of_two, &[2, 3, 4]);
        let model = net.model();
        let rows = |kernels| {
            let options = CompileOptions { kernels, ..CompileOptions::default() };
            let text = plan(&model, &Target::named("odroid-xu4").unwrap(), &options).unwrap().to_string();
            text.lines()
                .filter_map(|line| line.split_once("= rows "))
                .map(|(_, rest)| rest.to_owned())
                .collect()
        };
        let found: Vec<String> = rows(true);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].starts_with("Softmax") && found[1].starts_with("LayerNormalization"), "{found:#?}");
        let found: Vec<String> = rows(false);
        assert_eq!(found.len(), 0, "{found:#?}");
    }
}
