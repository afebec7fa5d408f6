//! Built files by key, complete or absent.

use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::{Problem, vars};

/// The folder of the entry `key`. If it does not exist, `build` makes its files in a scratch folder and returns their paths.
///
/// Two processes that race both build, and the one that finishes last takes the files of the first.
pub(crate) fn get_or_build(
    key: &str,
    build: impl FnOnce(&Path) -> Result<Vec<PathBuf>, Problem>,
) -> Result<PathBuf, Problem> {
    let root = root();
    let entry = root.join(key);
    if !entry.is_dir() {
        let scratch = vars::out_dir().join(key);
        let files = build(&scratch)?;
        publish(&files, &entry, &root.join(format!("{key}.{}", process::id())))?;
    }
    Ok(entry)
}

/// `native` in cargo's target folder: the outermost folder that cargo marks as a cache, for a cross build marks one inside.
fn root() -> PathBuf {
    let out_dir = vars::out_dir();
    let target = out_dir.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    vars::native_dir().unwrap_or_else(|| target.unwrap_or(&out_dir).join("native"))
}

fn publish(files: &[PathBuf], entry: &Path, temporary: &Path) -> io::Result<()> {
    fs::create_dir_all(temporary)?;
    for file in files {
        let copy = temporary.join(file.file_name().unwrap_or_default());
        fs::copy(file, &copy)?;
        // Cargo runs a build script again when a watched file is younger than the script's start; this file is made after.
        fs::OpenOptions::new().write(true).open(&copy)?.set_modified(past())?;
    }
    let renamed = fs::rename(temporary, entry);
    if renamed.is_err() && entry.is_dir() {
        return fs::remove_dir_all(temporary);
    }
    renamed
}

/// Before any build.
fn past() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(24 * 60 * 60)
}
