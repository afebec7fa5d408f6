//! Debian's Python for 32-bit boards, under emulation.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::debian::Archive;
use crate::process::say;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Python with ctypes, numpy and pip, and every library that they load. What else they depend on would bring programs of
/// this machine along.
const PACKAGES: [&str; 17] = [
    "libblas3:armhf",
    "libbz2-1.0:armhf",
    "libc6:armhf",
    "libexpat1:armhf",
    "libffi8:armhf",
    "libgcc-s1:armhf",
    "libgfortran5:armhf",
    "liblapack3:armhf",
    "liblzma5:armhf",
    "libpython3.11-minimal:armhf",
    "libpython3.11-stdlib:armhf",
    "libssl3:armhf",
    "libstdc++6:armhf",
    "python3-numpy:armhf",
    "python3-pip-whl",
    "python3.11-minimal:armhf",
    "zlib1g:armhf",
];

/// Finds or installs it, and returns a script that runs it as `python3` would.
pub(crate) fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.tool("debian-board-python");
    let launcher = workspace.tool("board-python");
    let key = Key::new("board-python").text(&root.to_string_lossy()).text(&PACKAGES.join(" "));
    Stamp::new(workspace.tool("board-python.stamp")).unless_done(&key, || {
        let archive = Archive::open(workspace)?;
        say("Unpacking Debian's Python for boards into the tools folder");
        archive.unpack_alone(&PACKAGES, &root)?;
        fs_err::write(&launcher, script(&root, &pip(&root)?))?;
        Ok(fs_err::set_permissions(&launcher, PermissionsExt::from_mode(0o755))?)
    })?;
    Ok(launcher)
}

/// The wheel of pip, which Python runs as it is.
fn pip(root: &Path) -> Result<PathBuf> {
    let wheels = fs_err::read_dir(root.join("usr/share/python-wheels"))?;
    let mut wheels = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    let is_pip =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pip-"));
    wheels.find(is_pip).context("Debian's package of pip holds no wheel of it")
}

fn script(root: &Path, pip: &Path) -> String {
    let (root, pip) = (root.display(), pip.display());
    format!(
        r#"#!/bin/sh
libraries="{root}/usr/lib/arm-linux-gnueabihf"
packages="{root}/usr/lib/python3/dist-packages:{pip}"
exec qemu-arm -cpu cortex-a15 -L "{root}" -E LD_LIBRARY_PATH="$libraries/blas:$libraries/lapack" \
    -E PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}$packages" "{root}/usr/bin/python3.11" "$@"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_adds_to_the_path_comes_first() {
        let text = script(Path::new("/r"), Path::new("/p/pip.whl"));
        assert!(text.contains("PYTHONPATH=\"${PYTHONPATH:+$PYTHONPATH:}$packages\""), "{text}");
        assert!(text.contains("/r/usr/lib/python3/dist-packages:/p/pip.whl"), "{text}");
    }
}
