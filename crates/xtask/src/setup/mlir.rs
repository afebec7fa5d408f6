//! MLIR's C headers, which the compiler's package leaves out.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Names the package that brings the headers, and nothing else.
const REQUIREMENTS: &str = "third_party/mlir-headers.txt";

/// Takes the headers out of the packages in a folder, `mlir-c/IR.h` and so on, into another folder.
const UNPACK: &str = "
import pathlib, sys, zipfile
for package in pathlib.Path(sys.argv[1]).glob('*.whl'):
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            _, found, path = name.partition('/include/mlir-c/')
            if found and path.endswith('.h'):
                file = pathlib.Path(sys.argv[2], 'mlir-c', path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))
";

/// The headers.
#[cfg_attr(not(feature = "bindings"), expect(dead_code, reason = "only the generator reads them"))]
pub(crate) struct Headers {
    /// The folder that holds `mlir-c/`.
    pub(crate) include: PathBuf,
    /// Name and version of the package that they are from.
    pub(crate) origin: String,
}

/// Downloads and unpacks the headers. Expects the private Python environment.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Headers> {
    let requirements = workspace.path(REQUIREMENTS);
    let (include, download) = (workspace.tool("mlir-headers"), workspace.tool("mlir-headers-package"));
    let key = Key::new("mlir-headers").text(UNPACK).file(&requirements)?;
    Stamp::new(workspace.tool("mlir-headers.stamp")).unless_done(&key, || {
        say("Fetching MLIR's C headers");
        for folder in [&include, &download] {
            if folder.exists() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        let mut pip = workspace.command(workspace.venv("python"));
        pip.args(["-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--require-hashes"]);
        // Headers are the same for every machine, so the package need not be for this one.
        pip.args(["--no-deps", "--only-binary=:all:", "--platform=manylinux_2_27_x86_64"]);
        pip.args(["--python-version=3.11", "--dest"]).arg(&download);
        pip.arg("--requirement").arg(&requirements).run()?;
        let mut unpack = workspace.command(workspace.venv("python"));
        unpack.args(["-c", UNPACK]).arg(&download).arg(&include).run()?;
        Ok(fs_err::remove_dir_all(&download)?)
    })?;
    Ok(Headers { include, origin: origin(&fs_err::read_to_string(&requirements)?)? })
}

/// `name-version` of the package in a requirements file.
fn origin(requirements: &str) -> Result<String> {
    let package = requirements.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    let (name, version) = package
        .trim_end_matches([' ', '\\'])
        .split_once("==")
        .with_context(|| format!("{REQUIREMENTS} names no package and version"))?;
    Ok(format!("{name}-{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_the_pinned_package() {
        assert_eq!(origin("# Why\nsome-package==1.2 \\\n    --hash=sha256:0\n").unwrap(), "some-package-1.2");
        assert!(origin("# nothing\n").is_err());
    }
}
