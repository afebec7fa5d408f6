//! Files as they are handed to a board.

use std::path::{Path, PathBuf};

use fs_err as fs;
use skipgate_core::{FileDigest, MANIFEST_FILE, Manifest, file};

use crate::Error;

/// A file here, and what it is called in the folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is here.
    pub(crate) path: PathBuf,
    /// Relative to the folder of the run.
    pub(crate) name: String,
    /// Its size and the hash that it is kept under.
    pub(crate) digest: FileDigest,
}

impl File {
    /// The file `path`, which a run finds as `name`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn new(path: &Path, name: impl Into<String>) -> Result<Self, Error> {
        let digest = FileDigest::of_file(path, u64::MAX)?;
        Ok(Self { path: path.to_owned(), name: name.into(), digest })
    }

    /// Where a run finds it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.digest.bytes
    }
}

/// The manifest of the artifact in `folder`, for any machine.
///
/// # Errors
///
/// When the folder is no artifact, or one of another version.
pub fn read_manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST_FILE);
    if !path.is_file() {
        return Err(Error::NotAnArtifact(folder.to_owned()));
    }
    Manifest::from_json(&file::read_text(&path)?).map_err(|source| Error::Manifest { path, source })
}

/// All files of the artifact in `folder`, which a run finds in the folder `name`. Those that the manifest lists must be what
/// it says. Those whose names begin with a dot are left out: nobody reads them.
///
/// # Errors
///
/// When one is damaged or cannot be read.
pub fn artifact_files(folder: &Path, name: &str) -> Result<Vec<File>, Error> {
    let manifest = read_manifest(folder)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(own) = path.file_name().and_then(|own| own.to_str()).filter(|own| !own.starts_with('.'))
        else {
            continue;
        };
        if !path.is_file() {
            continue;
        }
        let file = File::new(&path, format!("{name}/{own}"))?;
        if let Some(expected) = manifest.files.get(own).filter(|expected| !file.digest.fits(expected)) {
            return Err(Error::Damaged { path, expected: expected.clone(), found: file.digest });
        }
        files.push(file);
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
