//! Convolutions of one image.

use skipgate_onnx::{Graph, Node, NodeId, ValueId};

use super::{Layer, bias_of, constant_floats, operands_and_result, shapes};
use crate::kernels::{Kernels, Window, covered};
use crate::plan::{Layout, Weights};

/// The convolution `id` on its own, or why there is no kernel for it.
pub(super) fn layer<'m>(graph: &Graph<'m>, id: NodeId, kernels: &Kernels) -> Result<Layer<'m>, String> {
    let node = graph.node(id);
    let [input, weights, result] = operands_and_result(node)?;
    let window = window(graph, node, [input, weights, result])?;
    kernels.are_on()?;
    let tensor = constant_floats(graph, weights).ok_or("its weights are not constant floats")?;
    let bias = node.input(2).map(|bias| bias_of(graph, bias, window.filters)).transpose()?;
    let weights = Weights { tensor, filters_last: false };
    Ok(Layer { bias, ..Layer::alone(id, Layout::ChannelsLast, (window, weights), [input, result]) })
}

/// The window of the convolution `node` of `input` with `weights`.
fn window(graph: &Graph, node: &Node, values: [ValueId; 3]) -> Result<Window, String> {
    let [x, w, y] = shapes(graph, values)?;
    let (
        &[images, channels, x_rows, x_columns],
        &[filters, of_filter, rows, columns],
        &[_, _, height, width],
    ) = (&x[..], &w[..], &y[..])
    else {
        return Err("it is not over rows and columns of images".to_owned());
    };
    if images != 1 {
        return Err(format!("it is of {images} images at a time"));
    }
    let groups = channels.checked_div(of_filter).unwrap_or(0);
    if groups == 0 || groups * of_filter != channels || filters % groups != 0 {
        return Err(format!("its {filters} filters are of {of_filter} of {channels} channels"));
    }
    let numbers = |name: &str, default: i64, count: usize| -> Option<Vec<usize>> {
        let numbers = node.ints(name).map_or(vec![default; count], <[i64]>::to_vec);
        numbers.into_iter().map(|number| usize::try_from(number).ok()).collect()
    };
    if node.string("auto_pad").is_some_and(|pad| pad != b"NOTSET") {
        return Err("its padding is left to whoever runs it".to_owned());
    }
    let (Some(&[down, right]), Some(&[row_step, column_step]), Some(&[top, left, bottom, right_most])) = (
        numbers("strides", 1, 2).as_deref(),
        numbers("dilations", 1, 2).as_deref(),
        numbers("pads", 0, 4).as_deref(),
    ) else {
        return Err("its padding cuts the image".to_owned());
    };
    // From the one tap that there is, no step is made.
    let dilations = [if rows > 1 { row_step } else { 1 }, if columns > 1 { column_step } else { 1 }];
    let (Some(covered_rows), Some(covered_columns)) =
        (covered(rows, dilations[0]), covered(columns, dilations[1]))
    else {
        return Err("its filters are larger than any image".to_owned());
    };
    // Kernels check no bounds, so nothing that a file says of shapes is taken for granted.
    let sizes = [
        result_extent(x_rows, [top, bottom], covered_rows, down),
        result_extent(x_columns, [left, right_most], covered_columns, right),
    ];
    if sizes != [Some(height), Some(width)] {
        return Err("its result is not of the size that its filters give".to_owned());
    }
    Ok(Window {
        channels,
        filters,
        groups,
        taps: [rows, columns],
        strides: [down, right],
        dilations,
        low: [top, left],
        size: [height, width],
    })
}

/// Rows or columns of a result.
fn result_extent(from: usize, pads: [usize; 2], taps: usize, stride: usize) -> Option<usize> {
    let padded = from.checked_add(pads[0])?.checked_add(pads[1])?;
    Some(padded.checked_sub(taps)?.checked_div(stride)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_an_extent_only_if_the_filter_fits_and_moves() {
        assert_eq!(result_extent(32, [1, 1], 3, 1), Some(32));
        assert_eq!(result_extent(9, [1, 1], 3, 2), Some(5));
        assert_eq!(result_extent(2, [0, 0], 3, 1), None);
        assert_eq!(result_extent(9, [0, 0], 3, 0), None);
        assert_eq!(result_extent(9, [usize::MAX, 1], 3, 1), None);
    }
}
