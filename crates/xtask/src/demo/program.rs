//! Running `skipgate run`, natively and under emulation.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use skipgate_core::SkipMask;

use super::tensor::Tensor;
use crate::board::Board;
use crate::process::CommandExt;
use crate::setup::qemu::Block;

/// What `skipgate run` reports and writes.
pub(super) struct Run {
    pub(super) latency: Latency,
    /// `[images, classes]`.
    pub(super) logits: Tensor,
}

/// Wall time of single inferences.
#[derive(Deserialize)]
pub(super) struct Latency {
    pub(super) median_us: f64,
}

/// The part of the JSON output that the demo uses.
#[derive(Deserialize)]
struct Output {
    latency: Latency,
}

/// Arguments of `skipgate run`.
pub(crate) struct Arguments {
    list: Vec<OsString>,
    logits: PathBuf,
}

impl Arguments {
    /// Runs the images of one `.npy` file and writes their logits to another.
    pub(crate) fn new(artifact: &Path, mask: &SkipMask, images: &Path, logits: &Path) -> Self {
        let list = vec![
            "run".into(),
            artifact.into(),
            "--mask".into(),
            mask.to_string().into(),
            "--input".into(),
            images.into(),
            "--output".into(),
            logits.into(),
            "--format".into(),
            "json".into(),
        ];
        Self { list, logits: logits.to_owned() }
    }

    /// Runs them on this machine.
    pub(super) fn run(&self, program: &Path) -> Result<Run> {
        let json = Command::new(program).args(&self.list).read()?;
        let Output { latency } = serde_json::from_str(&json)
            .with_context(|| format!("cannot use what `skipgate run` printed: {json}"))?;
        Ok(Run { latency, logits: Tensor::read(&self.logits)? })
    }

    /// Runs them under emulation: what was executed where.
    pub(crate) fn profile(&self, board: &Board) -> Result<Vec<Block>> {
        let list: Vec<_> = self.list.iter().map(OsString::as_os_str).collect();
        let note = |extension| self.logits.with_extension(extension);
        board.profile(&list, &note("instructions"), &note("blocks"))
    }

    /// Runs them under emulation: the number of instructions of the whole program, if counted, and the logits.
    pub(crate) fn emulate(&self, board: &Board) -> Result<(Option<u64>, Tensor)> {
        let list: Vec<_> = self.list.iter().map(OsString::as_os_str).collect();
        let instructions = board.run(&list, &self.logits.with_extension("instructions"))?;
        Ok((instructions, Tensor::read(&self.logits)?))
    }
}

/// Instructions of one inference, from those of the whole program with some images and with more: what happens once
/// per program cancels out. Each pair is the number of images and the number of instructions.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn instructions_per_image(few: (usize, u64), many: (usize, u64)) -> Result<f64> {
    let instructions = many.1.checked_sub(few.1).filter(|difference| *difference > 0);
    let instructions = instructions.with_context(|| {
        format!("{} images took {} instructions, {} images {}: no usable count", few.0, few.1, many.0, many.1)
    })?;
    Ok(instructions as f64 / (many.0 - few.0) as f64)
}

#[cfg(test)]
mod tests {
    use super::instructions_per_image;

    #[test]
    fn what_happens_once_per_program_cancels_out() {
        let program = |images: usize| (images, 1_000_003 + 250 * images as u64);
        assert_eq!(instructions_per_image(program(1), program(4)).unwrap().to_string(), "250");
    }

    #[test]
    fn a_count_that_does_not_grow_is_refused() {
        instructions_per_image((1, 100), (4, 100)).unwrap_err();
        instructions_per_image((1, 100), (4, 99)).unwrap_err();
    }
}
