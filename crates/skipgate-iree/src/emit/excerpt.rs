//! Parts of images with zeros around them, as calls of kernels that copy.

use super::{Emitter, types};
use crate::plan::{self, CHANNELS_FIRST, Frame};
use crate::{ImportError, kernels};

/// A builtin tensor with one image, channels last unless it is planar.
pub(super) struct Source {
    pub(super) memory: String,
    /// Its shape, channels last in any case.
    pub(super) shape: Vec<usize>,
    pub(super) is_planar: bool,
}

/// What of it is taken, and where it is put, by dimension, channels last.
pub(super) struct Part {
    pub(super) starts: Vec<usize>,
    pub(super) steps: Vec<usize>,
    pub(super) sizes: Vec<usize>,
    pub(super) low: Vec<usize>,
}

impl Emitter<'_, '_> {
    pub(super) fn excerpt(&mut self, excerpt: &plan::Excerpt) -> Result<(), ImportError> {
        let plan::Excerpt { node, source, result, starts, steps, sizes, low } = excerpt;
        let (from, whole) = (self.frame(*source)?.clone(), self.frame(*result)?.clone());
        let source = Source { memory: self.memory(*source)?.0, shape: from.outer(), is_planar: false };
        let part = Part {
            starts: starts.iter().zip(from.low()).map(|(start, low)| start + low).collect(),
            steps: steps.to_vec(),
            sizes: sizes.to_vec(),
            low: low.to_vec(),
        };
        let label = self.plan.graph.node(*node).label();
        let memory = self.call_excerpt(&source, &part, &whole, &label)?;
        self.stand(*result, memory)
    }

    /// Calls the kernel that puts `part` of `source` into the middle of zeros of the shape of `frame`.
    pub(super) fn call_excerpt(
        &mut self,
        source: &Source,
        part: &Part,
        frame: &Frame,
        label: &str,
    ) -> Result<String, ImportError> {
        let image = |numbers: &[usize]| match *numbers {
            [_, rows, columns, channels] => Ok([rows, columns, channels]),
            _ => Err(ImportError::UnknownShape { value: label.to_owned() }),
        };
        let symbol = self.kernels.excerpt(&kernels::Excerpt {
            from: image(&source.shape)?,
            is_planar: source.is_planar,
            starts: image(&part.starts)?,
            steps: image(&part.steps)?,
            sizes: image(&part.sizes)?,
            to: image(&frame.outer())?,
            low: image(&part.low)?,
        });
        let order = if source.is_planar { CHANNELS_FIRST } else { [0, 1, 2, 3] };
        let from = types::builtin(order.iter().map(|&axis| source.shape[axis]));
        let (result, to, location) = (self.fresh(), types::outer(frame), types::quoted(label));
        let memory = &source.memory;
        self.line(&format!(
            "{result} = flow.dispatch @{symbol}::@{symbol}({memory}) : ({from}) -> {to} loc({location})"
        ));
        Ok(result)
    }
}
