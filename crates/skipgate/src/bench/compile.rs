//! Compiling statically pruned networks.

use std::path::Path;

use anyhow::{Context as _, Result};
use skipgate_core::Manifest;
use skipgate_iree::{Build, Compiler, Gating, Source};
use skipgate_runtime::Artifact;

use crate::progress;

/// Compiles into `dir`, for the artifact's own target and with its options, those networks that are not there: `model`
/// without the blocks of the last gates.
pub(crate) fn missing(model: &Path, artifact: &Artifact, depths: &[usize], dir: &Path) -> Result<()> {
    let gates = artifact.gates();
    let Manifest { target, options, .. } = artifact.manifest();
    let source = Source::load(model)?;
    for &depth in depths {
        let path = dir.join(depth.to_string());
        if path.exists() {
            continue;
        }
        let remove = gates[gates.len() - depth..].iter().map(|gate| gate.block.clone()).collect();
        let build = Build::new(&source, &Gating::Ungated { remove }, target.clone())
            .with_context(|| format!("{} is not the model that the artifact was made of", model.display()))?;
        let build = Build { options: options.clone(), ..build };
        let spinner = progress::spinner(format!("compiling {} without {depth} blocks", model.display()));
        let compiled = build
            .compile(Compiler::get()?)
            .with_context(|| format!("cannot compile {} without {depth} blocks", model.display()))?;
        skipgate_iree::write_artifact(&path, &compiled)?;
        spinner.finish_and_clear();
    }
    Ok(())
}
