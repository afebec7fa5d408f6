//! Statically pruned networks: what the gated one would be if its skipped blocks were not there at all.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use skipgate_runtime::Artifact;

/// Opens the artifacts in `dir` that are called by one of the numbers in `depths`.
pub(crate) fn open(dir: &Path, depths: &[usize]) -> Result<BTreeMap<usize, Artifact>> {
    let mut found = BTreeMap::new();
    for &depth in depths {
        let path = dir.join(depth.to_string());
        if path.exists() {
            let artifact = Artifact::open(&path)?;
            ensure!(
                artifact.gates().is_empty(),
                "{}: expected a network without gates, found {}",
                path.display(),
                artifact.gates().len()
            );
            found.insert(depth, artifact);
        }
    }
    ensure!(
        !found.is_empty(),
        "{} holds no artifact that is called by a number of skipped blocks",
        dir.display()
    );
    Ok(found)
}
