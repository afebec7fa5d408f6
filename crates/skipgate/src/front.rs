//! Reading Pareto fronts.

use std::path::Path;

use anyhow::{Context as _, Result};
use fs_err as fs;
use skipgate_core::Front;

/// The front in the file `path`.
pub(crate) fn read(path: &Path) -> Result<Front> {
    let text = fs::read_to_string(path)?;
    Front::from_json(&text).with_context(|| format!("cannot use {}", path.display()))
}
