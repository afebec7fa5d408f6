//! Convolutions and pools: operators that slide a window over the spatial dimensions.

use super::TensorType;
use super::site::{Dim, Inferred, Site, Stop, extent, int64, shape_problem, show, wide};
use crate::error::NodeProblem;
use crate::tensor::element_type::INT32;

/// The spatial attributes of a node, one entry per spatial dimension.
struct Window {
    kernel: Vec<Dim>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Padding before and after, summed.
    pads: Vec<i128>,
    /// Padding before.
    pads_begin: Vec<i128>,
    same: bool,
}

impl Window {
    fn new(site: &Site, kernel: Vec<Dim>) -> Inferred<Self> {
        let rank = kernel.len();
        let strides = positive(site, "strides", rank)?;
        let dilations = positive(site, "dilations", rank)?;
        let auto_pad = site.attributes.string("auto_pad")?.unwrap_or(b"NOTSET");
        let pads = match site.attributes.ints("pads")? {
            Some(pads) if auto_pad == b"NOTSET" => pads,
            _ => &vec![0; 2 * rank],
        };
        if pads.len() != 2 * rank {
            let expected = "a begin and an end for every spatial dimension";
            return Err(NodeProblem::Attribute { name: "pads", expected }.into());
        }
        let sum = |i: usize| i128::from(pads[i]) + i128::from(pads[i + rank]);
        Ok(Self {
            kernel,
            strides,
            dilations,
            pads: (0..rank).map(sum).collect(),
            pads_begin: pads[..rank].iter().map(|&pad| pad.into()).collect(),
            same: matches!(auto_pad, b"SAME_UPPER" | b"SAME_LOWER"),
        })
    }

    /// Number of positions of the window in a dimension of `input` elements.
    fn positions(&self, i: usize, input: Dim, ceil: bool) -> Inferred<Dim> {
        let (Some(input), Some(kernel)) = (input.map(wide), self.kernel[i].map(wide)) else {
            return Ok(None);
        };
        let stride = i128::from(self.strides[i]);
        if self.same {
            return extent((input + stride - 1) / stride).map(Some);
        }
        let room = input + self.pads[i] - (i128::from(self.dilations[i]) * (kernel - 1) + 1);
        if room < 0 {
            let found = format!("{} with padding", input + self.pads[i]);
            return Err(shape_problem("an input as large as the kernel", found));
        }
        let mut positions = room / stride + 1;
        if ceil && room % stride != 0 && positions * stride < input + self.pads_begin[i] {
            // A window that starts in the padding at the end does not count.
            positions += 1;
        }
        extent(positions).map(Some)
    }

    fn slide(&self, spatial: &[Dim], ceil: bool) -> Inferred<Vec<Dim>> {
        spatial.iter().enumerate().map(|(i, &input)| self.positions(i, input, ceil)).collect()
    }
}

/// A list attribute of `rank` numbers of 1 or more; all 1 if absent.
fn positive(site: &Site, name: &'static str, rank: usize) -> Inferred<Vec<i64>> {
    let Some(values) = site.attributes.ints(name)? else { return Ok(vec![1; rank]) };
    if values.len() != rank || values.iter().any(|&value| value < 1) {
        return Err(NodeProblem::Attribute { name, expected: "1 or more for every spatial dimension" }.into());
    }
    Ok(values.to_vec())
}

/// Input and weight of a convolution, of one rank of at least 3.
fn convolved<'v>(site: &Site<'v>) -> Inferred<(&'v TensorType, &'v TensorType)> {
    let (input, weight) = (site.input(0)?, site.input(1)?);
    if input.shape.len() < 3 || input.shape.len() != weight.shape.len() {
        let found = format!("{} and {}", show(&input.shape), show(&weight.shape));
        return Err(shape_problem("an image and a kernel of one rank", found));
    }
    Ok((input, weight))
}

/// A convolution of 8-bit integers, whose result is of 32-bit ones.
pub(super) fn conv_integer(site: &Site) -> Inferred<TensorType> {
    Ok(TensorType { element_type: INT32, ..conv(site)? })
}

pub(super) fn conv(site: &Site) -> Inferred<TensorType> {
    let (input, weight) = convolved(site)?;
    let groups = group(site)?;
    if let (Some(channels), Some(per_group)) = (input.shape[1], weight.shape[1]) {
        if per_group.checked_mul(groups) != Some(channels) {
            let found = format!("{} and {}", show(&input.shape), show(&weight.shape));
            return Err(shape_problem(format!("an image and a kernel for {groups} groups"), found));
        }
    }
    let window = Window::new(site, weight.shape[2..].to_vec())?;
    let mut shape = vec![input.shape[0], weight.shape[0]];
    shape.extend(window.slide(&input.shape[2..], false)?);
    Ok(TensorType { element_type: input.element_type, shape })
}

fn group(site: &Site) -> Inferred<usize> {
    let groups = usize::try_from(site.attributes.int_or("group", 1)?).ok().filter(|groups| *groups > 0);
    groups.ok_or_else(|| NodeProblem::Attribute { name: "group", expected: "1 or more" }.into())
}

/// What is left of a transposed convolution along one dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crop {
    /// Elements that are taken away in front; below 0, zeros that are added.
    pub(crate) before: i128,
    /// The same behind.
    pub(crate) after: i128,
    /// Elements that are left; `None` where unknown.
    pub(crate) output: Dim,
}

/// The spatial dimensions of a `ConvTranspose`, whose padding follows from its result where it says so.
pub(crate) fn crops(site: &Site) -> Inferred<Vec<Crop>> {
    let (input, weight) = convolved(site)?;
    let window = Window::new(site, weight.shape[2..].to_vec())?;
    let rank = window.kernel.len();
    let extra = site.attributes.ints("output_padding")?.unwrap_or(&[]);
    let wanted = site.attributes.ints("output_shape")?;
    // Some files list the batch and the channels, too.
    let wanted = wanted.filter(|shape| shape.len() >= rank).map(|shape| &shape[shape.len() - rank..]);
    let upper = site.attributes.string("auto_pad")? == Some(b"SAME_UPPER");
    let crop = |i: usize| {
        let unknown =
            Crop { before: window.pads_begin[i], after: window.pads[i] - window.pads_begin[i], output: None };
        let (Some(input), Some(kernel)) = (input.shape[i + 2], window.kernel[i]) else { return Ok(unknown) };
        let covered = i128::from(window.dilations[i]) * (wide(kernel) - 1) + 1;
        let stride = i128::from(window.strides[i]);
        let full = stride * (wide(input) - 1) + covered + i128::from(extra.get(i).copied().unwrap_or(0));
        let output = match wanted {
            Some(wanted) => i128::from(wanted[i]),
            None if window.same => wide(input) * stride,
            None => {
                return extent(full - window.pads[i]).map(|output| Crop { output: Some(output), ..unknown });
            }
        };
        let total = (full - output).max(0);
        let before = if upper { total / 2 } else { total - total / 2 };
        // Where the result is larger than what there is, zeros follow.
        let after = full - output - before;
        Ok(Crop { before, after, output: Some(extent(output)?) })
    };
    (0..rank).map(crop).collect()
}

pub(super) fn conv_transpose(site: &Site) -> Inferred<TensorType> {
    let (input, weight) = convolved(site)?;
    let channels = weight.shape[1]
        .map(|per_group| per_group.checked_mul(group(site)?).ok_or(Stop::Problem(NodeProblem::TooLarge)));
    let mut shape = vec![input.shape[0], channels.transpose()?];
    shape.extend(crops(site)?.into_iter().map(|crop| crop.output));
    Ok(TensorType { element_type: input.element_type, shape })
}

pub(super) fn pool(site: &Site) -> Inferred<TensorType> {
    let input = site.input(0)?;
    let name = "kernel_shape";
    let kernel = site.attributes.ints(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    if input.shape.len() != kernel.len() + 2 {
        let expected = format!("an image of {} dimensions", kernel.len() + 2);
        return Err(shape_problem(expected, show(&input.shape)));
    }
    positive(site, name, kernel.len())?;
    let window = Window::new(site, kernel.iter().map(|&k| usize::try_from(k).ok()).collect())?;
    let mut shape = input.shape[..2].to_vec();
    shape.extend(window.slide(&input.shape[2..], site.attributes.flag("ceil_mode")?)?);
    Ok(TensorType { element_type: input.element_type, shape })
}

/// How the window of a pool moves along one dimension.
pub(crate) struct Slide {
    pub(crate) input: Dim,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Padding before and after.
    pub(crate) pads: [i128; 2],
    /// Number of positions where a window that does not fit counts too, and where not.
    pub(crate) ceil: Dim,
    pub(crate) floor: Dim,
}

/// The moves of the window of a pool along each spatial dimension; `None` where padding follows from the size.
pub(crate) fn slides(site: &Site) -> Inferred<Option<Vec<Slide>>> {
    let input = site.input(0)?;
    let name = "kernel_shape";
    let kernel = site.attributes.ints(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    let size = |value: i64| usize::try_from(value).map_err(|_| Stop::Problem(NodeProblem::TooLarge));
    let window = Window::new(site, kernel.iter().map(|&k| usize::try_from(k).ok()).collect())?;
    if window.same || input.shape.len() != kernel.len() + 2 {
        return Ok(None);
    }
    let slide = |i: usize| {
        Ok(Slide {
            input: input.shape[i + 2],
            kernel: size(kernel[i])?,
            stride: size(window.strides[i])?,
            dilation: size(window.dilations[i])?,
            pads: [window.pads_begin[i], window.pads[i] - window.pads_begin[i]],
            ceil: window.positions(i, input.shape[i + 2], true)?,
            floor: window.positions(i, input.shape[i + 2], false)?,
        })
    };
    (0..kernel.len()).map(slide).collect::<Inferred<_>>().map(Some)
}

/// Maxima and, as a second output, where they are.
pub(super) fn max_pool(site: &Site) -> Inferred<Vec<TensorType>> {
    let maxima = pool(site)?;
    let indices = int64(maxima.shape.clone());
    Ok(vec![maxima, indices])
}

pub(super) fn global_pool(site: &Site) -> Inferred<TensorType> {
    let input = site.input(0)?;
    let shape = input.shape.iter().enumerate().map(|(i, &dim)| if i < 2 { dim } else { Some(1) }).collect();
    Ok(TensorType { element_type: input.element_type, shape })
}
