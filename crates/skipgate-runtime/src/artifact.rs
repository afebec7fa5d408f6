//! A compiled network in memory.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fs_err as fs;
use memmap2::Mmap;
use skipgate_core::{
    Arch, FileDigest, Gate, IREE_REVISION, IREE_VERSION, IreeVersion, MANIFEST_FILE, Manifest, VMFB_FILE,
    file,
};

use crate::error::{Error, Found};
use crate::raw;
use crate::signature::{self, PublicKey};

/// How often an artifact may be replaced while it is opened, until that is an error.
const TRIES: usize = 100;
/// What a writer that moves one file after the other gets in between.
const PAUSE: Duration = Duration::from_millis(5);

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
    /// The manifest's format is checked first, then the version of IREE, the target, and at last the hash of the code. An artifact
    /// that is replaced meanwhile, by `skipgate compile`, is opened as it was or as it is then, never as half of each.
    ///
    /// **The code is trusted like a program**, see the [crate documentation](crate#trust).
    ///
    /// # Errors
    ///
    /// When the folder is no artifact, is meant for another version or machine, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        whole(path, || {
            check_is_artifact(path)?;
            let text = file::read_text(path.join(MANIFEST_FILE))?;
            Self::load(path, parse(path, &text)?)
        })
    }

    /// Opens the artifact in the folder `path` if the owner of `key` signed it (`skipgate sign`).
    ///
    /// The signature is checked first, before anything of the manifest is parsed. Then every file of the folder must be the one
    /// that the manifest lists, and none that it does not list may be there.
    ///
    /// # Errors
    ///
    /// Those of [`open()`](Self::open), and when there is no signature, or one by another key or of another manifest, or a file
    /// was changed, added or removed.
    pub fn open_signed(path: impl AsRef<Path>, key: &PublicKey) -> Result<Self, Error> {
        let path = path.as_ref();
        whole(path, || {
            check_is_artifact(path)?;
            Self::load(path, signature::listed_manifest(path, key)?)
        })
    }

    fn load(path: &Path, manifest: Manifest) -> Result<Self, Error> {
        check_iree(path, &manifest.iree)?;
        check_target(path, &manifest)?;
        let vmfb = code(&path.join(VMFB_FILE), &manifest)?;
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

/// Calls `open` again while it fails and somebody replaced the artifact at `path` in between: it read files of two.
fn whole<T>(path: &Path, open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 0..TRIES;
    loop {
        let before = state(path);
        let result = open();
        if result.is_ok() || tries.next().is_none() || state(path) == before {
            return result;
        }
        thread::sleep(PAUSE);
    }
}

/// What changes when the folder `path`, or one of its files, is replaced. Numbers of files are used again, so the time belongs
/// to them.
fn state(path: &Path) -> [Option<(u64, u64, i64, i64)>; 3] {
    let state = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
    };
    [state(path), state(&path.join(MANIFEST_FILE)), state(&path.join(VMFB_FILE))]
}

fn check_is_artifact(folder: &Path) -> Result<(), Error> {
    let found = something_else(folder, &folder.join(MANIFEST_FILE))?;
    found.map_or(Ok(()), |found| Err(Error::NotAnArtifact { path: folder.to_owned(), found }))
}

pub(crate) fn parse(folder: &Path, text: &str) -> Result<Manifest, Error> {
    Manifest::from_json(text).map_err(|source| Error::Manifest { path: folder.join(MANIFEST_FILE), source })
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

/// The code in the file `path`, mapped. One of another size than the manifest says is not read: it may be a hole of any size.
fn code(path: &Path, manifest: &Manifest) -> Result<Mmap, Error> {
    let Some(expected) = manifest.files.get(VMFB_FILE) else {
        return Err(Error::Unlisted { path: path.to_owned() });
    };
    let file = file::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes != expected.bytes {
        signature::check(path, expected, FileDigest { bytes, sha256: String::new() })?;
    }
    let vmfb = raw::map(file.file()).map_err(|error| with_path(&error, path))?;
    signature::check(path, expected, FileDigest::of(&vmfb))?;
    Ok(vmfb)
}

fn with_path(error: &std::io::Error, path: &Path) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("failed to map file `{}`: {error}", path.display()))
}
