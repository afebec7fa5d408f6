//! Whose artifacts are opened.

use std::path::Path;

use anyhow::{Context as _, Result};
use skipgate_runtime::{Artifact, PublicKey};

use crate::cli::Trust;

impl Trust {
    /// Opens the artifact in the folder `dir`, if it is signed as the arguments ask for.
    pub(crate) fn open(&self, dir: &Path) -> Result<Artifact> {
        Ok(match self.key()? {
            Some(key) => Artifact::open_signed(dir, &key)?,
            None => Artifact::open(dir)?,
        })
    }

    /// Fails unless the artifact in the folder `dir`, for any machine, is signed as the arguments ask for.
    #[cfg(any(feature = "compiler", feature = "explore"))]
    pub(crate) fn check(&self, dir: &Path) -> Result<()> {
        if let Some(key) = self.key()? {
            key.check(dir)?;
        }
        Ok(())
    }

    fn key(&self) -> Result<Option<PublicKey>> {
        let Some(path) = &self.require_key else { return Ok(None) };
        let key = PublicKey::read(path).with_context(|| format!("cannot use the key {}", path.display()))?;
        Ok(Some(key))
    }
}
