//! Reading Pareto fronts.

use std::path::Path;

use anyhow::{Context as _, Result};
use skipgate_core::file::read_text;
use skipgate_core::{Front, SkipMask};

/// The front in the file `path`, for a network with `gates` gates.
pub(crate) fn read(path: &Path, gates: usize) -> Result<Front> {
    let unusable = || format!("cannot use {}", path.display());
    let front = Front::from_json(&read_text(path)?).with_context(unusable)?;
    let mut masks = front.configurations.iter().map(|configuration| &configuration.mask);
    masks.try_for_each(|mask| mask.check_len(gates)).with_context(unusable)?;
    Ok(front)
}

/// Its masks alone.
pub(crate) fn masks(path: &Path, gates: usize) -> Result<Vec<SkipMask>> {
    let front = read(path, gates)?;
    Ok(front.configurations.into_iter().map(|configuration| configuration.mask).collect())
}

/// The same masks, and the one that runs every block if it is not among them: what skipping is measured by.
pub(crate) fn with_all_run(mut masks: Vec<SkipMask>, gates: usize) -> Vec<SkipMask> {
    let all_run = SkipMask::all_run(gates);
    if !masks.contains(&all_run) {
        masks.insert(0, all_run);
    }
    masks
}
