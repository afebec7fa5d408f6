//! Compiling statically pruned networks.

use std::path::Path;

use anyhow::{Context as _, Result};
use skipgate_core::Manifest;
use skipgate_iree::{Gating, Source};
use skipgate_runtime::Artifact;

use crate::cli::{CompileJob, Format, ImageOptions};
use crate::compiler_process::{self, Gates, Job};
use crate::progress;

/// Compiles into `dir`, for the artifact's own target and with its options, those networks that are not there: `model`
/// without the blocks of the last gates.
pub(crate) fn missing(
    model: &Path,
    artifact: &Artifact,
    depths: &[usize],
    dir: &Path,
    format: Format,
) -> Result<()> {
    let gates = artifact.gates();
    let Manifest { target, options, .. } = artifact.manifest();
    let source = Source::load(model)?.with_dimensions(&options.dimensions)?;
    for &depth in depths {
        let path = dir.join(depth.to_string());
        if path.exists() {
            continue;
        }
        let remove: Vec<_> = gates[gates.len() - depth..].iter().map(|gate| gate.block.clone()).collect();
        let gating = Gating::Ungated { remove: remove.clone() };
        gating
            .apply(&source.model)
            .with_context(|| format!("{} is not the model that the artifact was made of", model.display()))?;
        let spinner = progress::spinner(format!("compiling {} without {depth} blocks", model.display()));
        let job = Job {
            gates: Gates::None { remove },
            target: target.clone(),
            options: options.clone(),
            images: ImageOptions::default(),
        };
        let files = CompileJob { model: model.to_owned(), output: path, pareto: None, verify: false };
        compiler_process::run(&job, &files, format)
            .with_context(|| format!("cannot compile {} without {depth} blocks", model.display()))?;
        spinner.finish_and_clear();
    }
    Ok(())
}
