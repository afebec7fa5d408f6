//! `skipgate sign` and `skipgate keygen`: artifacts that only the owner of a key can have made.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use serde::Serialize;
use skipgate_core::{FileDigest, MANIFEST_FILE, Manifest, SIGNATURE_FILE, VMFB_FILE, file};
use skipgate_runtime::MOST_SIGNATURE;

use crate::cli::{Format, Keygen, Sign};
use crate::report::{self, Report};

/// The environment variable with the password of a secret key.
const PASSWORD: &str = "SKIPGATE_KEY_PASSWORD";
/// What a signature says of itself, and vouches for.
const COMMENT: &str = "skipgate artifact";

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Signed {
    artifact: PathBuf,
    /// The files that the signature covers, besides the manifest.
    files: BTreeMap<String, FileDigest>,
}

impl Report for Signed {
    fn text(&self) -> String {
        let files: Vec<_> = self.files.keys().map(String::as_str).collect();
        format!("signed {}: {MANIFEST_FILE}, {}", self.artifact.display(), files.join(", "))
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Generated {
    secret_key: PathBuf,
    public_key: PathBuf,
}

impl Report for Generated {
    fn text(&self) -> String {
        format!(
            "wrote {}, for `skipgate sign` and you alone, and {}, for `--require-key` and everybody",
            self.secret_key.display(),
            self.public_key.display()
        )
    }
}

pub(crate) fn execute(arguments: &Sign, format: Format) -> Result<()> {
    let key = secret_key(&arguments.key)?;
    let files = sign(&arguments.artifact, &key)?;
    report::print(&Signed { artifact: arguments.artifact.clone(), files }, format)
}

pub(crate) fn generate(arguments: &Keygen, format: Format) -> Result<()> {
    let [secret_key, public_key] =
        ["key", "pub"].map(|extension| PathBuf::from(format!("{}.{extension}", arguments.output)));
    // An empty password is none.
    let password = env::var(PASSWORD).unwrap_or_default();
    let KeyPair { pk, sk } = KeyPair::generate_encrypted_keypair(Some(password))?;
    let (secret, public) = (sk.to_box(None)?.into_string(), pk.to_box()?.into_string());
    // A key that is there may be the only one that somebody trusts.
    let create = |path: &Path, mode, text: &str| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
    };
    create(&secret_key, 0o600, &secret)?;
    create(&public_key, 0o644, &public)?;
    report::print(&Generated { secret_key, public_key }, format)
}

/// Reads a secret key of minisign's.
pub(super) fn secret_key(path: &Path) -> Result<SecretKey> {
    let text = file::read_long_text(path, MOST_SIGNATURE)?;
    let open = |password: String| -> Result<SecretKey> {
        Ok(SecretKeyBox::from_string(&text)?.into_secret_key(Some(password))?)
    };
    // One without a password is opened by none.
    let opened = open(String::new()).or_else(|error| match env::var(PASSWORD) {
        Ok(password) => open(password),
        Err(_) => Err(error),
    });
    opened.with_context(|| {
        format!(
            "cannot use {}: expected a secret key of minisign's, with its password, if it has one, in {PASSWORD}",
            path.display()
        )
    })
}

/// Lists every file of the artifact `dir` in its manifest and signs that. Returns the files.
pub(super) fn sign(dir: &Path, key: &SecretKey) -> Result<BTreeMap<String, FileDigest>> {
    let path = dir.join(MANIFEST_FILE);
    let text = file::read_text(&path)?;
    let mut manifest =
        Manifest::from_json(&text).with_context(|| format!("cannot use {}", path.display()))?;
    let files = files(dir)?;
    let (compiled, found) = (manifest.files.get(VMFB_FILE), files.get(VMFB_FILE));
    ensure!(
        compiled.zip(found).is_some_and(|(compiled, found)| found.fits(compiled)),
        "{} is not what was compiled; compile the model again instead of signing it",
        dir.join(VMFB_FILE).display()
    );
    manifest.files.clone_from(&files);
    let text = manifest.to_json();
    let signature = minisign::sign(None, key, Cursor::new(&text), Some(COMMENT), Some(COMMENT))?;
    // In between there is a manifest without a signature, which nobody who asks for one takes.
    match fs::remove_file(dir.join(SIGNATURE_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    file::write_whole(&path, text.as_bytes())?;
    file::write_whole(&dir.join(SIGNATURE_FILE), signature.into_string().as_bytes())?;
    Ok(files)
}

/// What the manifest of the artifact `dir` lists when it is signed: all that is there, but for what nobody reads.
fn files(dir: &Path) -> Result<BTreeMap<String, FileDigest>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_str();
        let name = name.with_context(|| format!("the name of {} is no text", path.display()))?;
        if !matches!(name, MANIFEST_FILE | SIGNATURE_FILE) && !name.starts_with('.') {
            files.insert(name.to_owned(), FileDigest::of_file(&path, u64::MAX)?);
        }
    }
    Ok(files)
}
