//! A compiled network in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use skipgate_core::{
    Arch, Gate, IREE_REVISION, IREE_VERSION, IreeVersion, MANIFEST_FILE, Manifest, VMFB_FILE, file,
};

use crate::error::{Error, Found};
use crate::raw;

/// A compiled network, checked and in memory.
///
/// **Threads:** `Send` and `Sync`; it never changes.
///
/// **Owns:** the mapping of `model.vmfb`, together with its clones and the sessions on it. See the
/// [crate documentation](crate#trust) for what must not happen to the file meanwhile.
#[derive(Debug, Clone)]
pub struct Artifact {
    manifest: Arc<Manifest>,
    vmfb: Arc<Mmap>,
}

impl Artifact {
    /// Opens the artifact in the folder `path`.
    ///
    /// The manifest's format is checked first, then the version of IREE, the target, and at last the hash of the code.
    /// **The code is trusted like a program**, see the [crate documentation](crate#trust).
    ///
    /// # Errors
    ///
    /// When the folder is no artifact, is meant for another version or machine, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let manifest = read_manifest(path)?;
        check_iree(path, &manifest.iree)?;
        check_target(path, &manifest)?;
        let vmfb = raw::map(file::open(path.join(VMFB_FILE))?.file())
            .map_err(|error| with_path(&error, &path.join(VMFB_FILE)))?;
        check_hash(&path.join(VMFB_FILE), &vmfb, &manifest)?;
        Ok(Self { manifest: Arc::new(manifest), vmfb: Arc::new(vmfb) })
    }

    /// What the compiler tells about the network: target, inputs, outputs, gates, preprocessing, class names.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The gates, in mask order. Empty when the network has none.
    pub fn gates(&self) -> &[Gate] {
        &self.manifest.gates
    }

    /// The code, for a session to load.
    pub(crate) fn vmfb(&self) -> Arc<Mmap> {
        Arc::clone(&self.vmfb)
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST_FILE);
    if let Some(found) = something_else(folder, &path)? {
        return Err(Error::NotAnArtifact { path: folder.to_owned(), found });
    }
    let text = file::read_text(&path)?;
    Manifest::from_json(&text).map_err(|source| Error::Manifest { path, source })
}

/// What `path` is, if it is no folder with a manifest.
fn something_else(path: &Path, manifest: &Path) -> Result<Option<Found>, Error> {
    if fs::metadata(path)?.is_dir() {
        return Ok((!manifest.exists()).then_some(Found::Folder));
    }
    let has_extension =
        |wanted: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted));
    Ok(Some(if has_extension("onnx") {
        Found::Onnx
    } else if has_extension("vmfb") {
        Found::Vmfb
    } else {
        Found::File
    }))
}

fn check_iree(path: &Path, found: &IreeVersion) -> Result<(), Error> {
    let IreeVersion { version, revision } = found;
    if version == IREE_VERSION && revision == IREE_REVISION {
        return Ok(());
    }
    Err(Error::IreeVersion { path: path.to_owned(), found: found.clone() })
}

fn check_target(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    let target = &manifest.target;
    let path = PathBuf::from(path);
    if Arch::current() != Some(target.arch) {
        return Err(Error::Arch { path, target: target.name.clone(), found: target.arch });
    }
    let missing = target.missing_features();
    if missing.is_empty() {
        return Ok(());
    }
    let features = missing.into_iter().map(str::to_owned).collect();
    Err(Error::MissingFeatures { path, target: target.name.clone(), features })
}

fn check_hash(path: &Path, vmfb: &[u8], manifest: &Manifest) -> Result<(), Error> {
    let found = hex::encode(Sha256::digest(vmfb));
    let expected = manifest.files.get(VMFB_FILE).cloned().unwrap_or_default();
    if found.eq_ignore_ascii_case(&expected) {
        return Ok(());
    }
    Err(Error::Damaged { path: path.to_owned(), expected, found })
}

fn with_path(error: &std::io::Error, path: &Path) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("failed to map file `{}`: {error}", path.display()))
}
