//! Artifacts that the owner of a key made: a signature over the manifest, and the manifest's hashes of all other files.

use std::fmt;
use std::io;
use std::path::Path;

use fs_err as fs;
use minisign_verify::Signature;
use skipgate_core::{FileDigest, MANIFEST_FILE, Manifest, SIGNATURE_FILE, VMFB_FILE, file};

use crate::artifact;
use crate::error::Error;

/// Most bytes of a public key or a signature, which are some hundred in fact.
pub const MOST_SIGNATURE: u64 = 4096;

/// The key that an artifact must be signed with, one of minisign's.
#[derive(Clone)]
pub struct PublicKey(minisign_verify::PublicKey);

impl PublicKey {
    /// Reads a key from text: the contents of a file of minisign's, or its second line alone.
    ///
    /// # Errors
    ///
    /// [`Error::PublicKey`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let key = match lines[..] {
            [key] | [_, key] => minisign_verify::PublicKey::from_base64(key).ok(),
            _ => None,
        };
        key.map(Self).ok_or(Error::PublicKey)
    }

    /// Reads a key from a file of minisign's.
    ///
    /// # Errors
    ///
    /// [`Error::PublicKey`] if it holds something else, and what the file system says.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::parse(&file::read_long_text(path, MOST_SIGNATURE)?)
    }

    /// Checks that the owner of the key signed the artifact in `folder`, every file of it, for any machine. Returns its manifest.
    ///
    /// # Errors
    ///
    /// Those of [`Artifact::open_signed`](crate::Artifact::open_signed), but for what is about this machine.
    pub fn check(&self, folder: impl AsRef<Path>) -> Result<Manifest, Error> {
        let folder = folder.as_ref();
        let manifest = listed_manifest(folder, self)?;
        if let Some(expected) = manifest.files.get(VMFB_FILE) {
            check_file(&folder.join(VMFB_FILE), expected)?;
        }
        Ok(manifest)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// The manifest in `folder`, which `key` signed, and which lists every file there. Those but `model.vmfb`, which is checked as it
/// is loaded, are as it says.
pub(crate) fn listed_manifest(folder: &Path, key: &PublicKey) -> Result<Manifest, Error> {
    let manifest = artifact::parse(folder, &manifest(folder, key)?)?;
    check_files(folder, &manifest)?;
    Ok(manifest)
}

/// The text of the manifest in `folder`, which `key` signed. Nothing of it is looked at before that is known.
fn manifest(folder: &Path, key: &PublicKey) -> Result<String, Error> {
    let signature = match file::read_long_text(folder.join(SIGNATURE_FILE), MOST_SIGNATURE) {
        Ok(signature) => signature,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Unsigned { path: folder.to_owned() });
        }
        Err(error) => return Err(error.into()),
    };
    let text = file::read_text(folder.join(MANIFEST_FILE))?;
    let wrong = |source| Error::Signature { path: folder.join(SIGNATURE_FILE), source };
    let signature = Signature::decode(&signature).map_err(wrong)?;
    // The old form of signatures, over the text itself, is not taken.
    key.0.verify(text.as_bytes(), &signature, false).map_err(wrong)?;
    Ok(text)
}

/// Checks every file in `folder` but `model.vmfb` against `manifest`.
///
/// A file that the manifest does not list is refused, since somebody may read it for one of the artifact's. Only those whose
/// names begin with a dot may be there: nobody reads them, and what is being written into the folder is called so.
fn check_files(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_known = matches!(&*name, MANIFEST_FILE | SIGNATURE_FILE) || name.starts_with('.');
        if !is_known && !manifest.files.contains_key(&*name) {
            return Err(Error::Unlisted { path: folder.join(&*name) });
        }
    }
    let mut others = manifest.files.iter().filter(|(name, _)| *name != VMFB_FILE);
    others.try_for_each(|(name, expected)| check_file(&folder.join(name), expected))
}

fn check_file(path: &Path, expected: &FileDigest) -> Result<(), Error> {
    check(path, expected, FileDigest::of_file(path, expected.bytes)?)
}

/// Fails unless `found` is what `path` must be.
pub(crate) fn check(path: &Path, expected: &FileDigest, found: FileDigest) -> Result<(), Error> {
    if found.fits(expected) {
        return Ok(());
    }
    Err(Error::Damaged { path: path.to_owned(), expected: expected.clone(), found })
}
