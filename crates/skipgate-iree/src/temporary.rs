//! The folder for temporary files, checked before anything relies on it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use skipgate_core::Hint;

/// Temporary files cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("temporary files cannot be written to {}: {source}", folder.display())]
#[non_exhaustive]
pub struct TemporaryFolderError {
    /// The folder: `TMPDIR`, or `/tmp` where that is not set.
    pub folder: PathBuf,
    /// What the file system said.
    pub source: io::Error,
}

impl Hint for TemporaryFolderError {
    fn hint(&self) -> Option<String> {
        let folder = self.folder.display();
        Some(format!("create it with `mkdir -p {folder}`, or set TMPDIR to a folder that you may write to"))
    }
}

/// Checks that temporary files can be written. The compiler itself does not survive it when they cannot.
pub fn check_temporary_folder() -> Result<(), TemporaryFolderError> {
    let folder = env::temp_dir();
    writable(&folder).map_err(|source| TemporaryFolderError { folder, source })
}

fn writable(folder: &Path) -> io::Result<()> {
    // What the file system says of the folder itself, without the random name of a file.
    std::fs::metadata(folder)?;
    tempfile::tempfile_in(folder).map(drop).map_err(|error| error.kind().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_can_take_temporary_files() {
        let folder = tempfile::tempdir().unwrap();
        writable(folder.path()).unwrap();
        let error = writable(&folder.path().join("missing")).unwrap_err();
        assert_eq!(error.to_string(), "No such file or directory (os error 2)");
        fs_err::write(folder.path().join("file"), "").unwrap();
        let error = writable(&folder.path().join("file")).unwrap_err();
        assert_eq!(error.to_string(), "not a directory");
    }
}
