//! Deciding whether work has to be done again.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

/// Identifies everything a piece of work depends on.
#[derive(Clone)]
pub(crate) struct Key(Sha256);

impl Key {
    /// The key of work that depends on nothing; `task` keeps apart what is done with the same inputs.
    pub(crate) fn new(task: &str) -> Self {
        Self(Sha256::new()).text(task)
    }

    /// Adds a text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds the content of a file.
    pub(crate) fn file(self, path: &Path) -> Result<Self> {
        Ok(self.bytes(&fs_err::read(path)?))
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        // The length keeps "ab" + "c" apart from "a" + "bc".
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn hex(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }
}

/// A file that says for which [`Key`] a piece of work was last finished.
pub(crate) struct Stamp(PathBuf);

impl Stamp {
    /// The stamp in `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Runs `work` unless it was finished for this key before. The stamp is gone while `work` runs, so that work which
    /// was interrupted is done again.
    pub(crate) fn unless_done(&self, key: &Key, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.is(key) {
            return Ok(());
        }
        if self.0.exists() {
            fs_err::remove_file(&self.0)?;
        }
        work()?;
        fs_err::write(&self.0, key.hex())?;
        Ok(())
    }

    /// Whether the work was finished for this key.
    pub(crate) fn is(&self, key: &Key) -> bool {
        fs_err::read_to_string(&self.0).is_ok_and(|found| found == key.hex())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn stamp() -> (tempfile::TempDir, Stamp) {
        let dir = tempfile::tempdir().unwrap();
        let stamp = Stamp::new(dir.path().join("stamp"));
        (dir, stamp)
    }

    #[test]
    fn finished_work_is_not_done_again_until_its_key_changes() {
        let (_dir, stamp) = stamp();
        let mut runs = 0;
        for text in ["a", "a", "b", "b", "a"] {
            let count = || {
                runs += 1;
                Ok(())
            };
            stamp.unless_done(&Key::new("count").text(text), count).unwrap();
        }
        assert_eq!(runs, 3);
    }

    #[test]
    fn failed_work_leaves_no_stamp() {
        let (_dir, stamp) = stamp();
        let (old, new) = (Key::new("old"), Key::new("new"));
        stamp.unless_done(&old, || Ok(())).unwrap();
        stamp.unless_done(&new, || bail!("interrupted")).unwrap_err();
        assert!(!stamp.is(&old) && !stamp.is(&new));
    }

    #[test]
    fn keys_depend_on_task_boundaries_and_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, "b").unwrap();
        let keys = [
            Key::new("t").text("ab").text("c"),
            Key::new("t").text("a").text("bc"),
            Key::new("u").text("a").text("bc"),
            Key::new("t").text("a").file(&path).unwrap(),
        ]
        .map(|key| key.hex());
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{keys:?}");
        }
        assert_eq!(keys[3], Key::new("t").text("a").text("b").hex());
    }
}
