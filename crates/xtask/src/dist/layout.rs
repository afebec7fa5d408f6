//! Folders that packages are made of.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::process::CommandExt;
use crate::workspace::Workspace;

/// Makes `folder` an empty one.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(fs_err::create_dir_all(folder)?)
}

/// Copies `file`, or what it links to, into `folder` under its own name.
pub(crate) fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    write(&folder.join(name), &fs_err::read(file)?)
}

/// Writes a file that everybody can read, and the folders that it lies in.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs_err::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    fs_err::write(path, bytes)?;
    Ok(fs_err::set_permissions(path, PermissionsExt::from_mode(0o644))?)
}

/// When the commit was made that is packed, in seconds: the time of every file in a package, so that the same commit gives
/// the same bytes.
pub(crate) fn commit_time(workspace: &Workspace) -> Result<String> {
    let time = workspace.command("git").args(["log", "-1", "--format=%ct"]).read()?;
    Ok(time.trim_end().to_owned())
}
