//! Python wheels: the program as a script, the C interface's library, and the Python interface over it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use skipgate_core::IREE_VERSION;

use super::machine::Machine;
use super::parts::{LICENCES, Parts};
use super::{VERSION, elf, layout};
use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// The sources of the Python interface.
const PACKAGE: &str = "crates/skipgate-capi/python/skipgate";
/// What PyPI shows; its links work there.
const DESCRIPTION: &str = "crates/skipgate/README.md";
/// The tool that makes a wheel of a folder, of the Python Packaging Authority.
const REQUIREMENTS: &str = "third_party/dist-requirements.txt";

/// Writes the wheel for `machine` into `dist` and returns its path.
pub(crate) fn write(workspace: &Workspace, machine: Machine, parts: &Parts, dist: &Path) -> Result<PathBuf> {
    say(&format!("Packing the wheel for {}", machine.python()));
    let tag = format!("py3-none-{}", platform(machine, parts)?);
    let folder = dist.join(format!("work/wheel-{}", machine.python()));
    layout::clear(&folder)?;
    fill(workspace, machine, parts, &tag, &folder)?;
    let mut pack = workspace.command(packer(workspace)?);
    pack.args(["-m", "wheel", "pack"]).arg(&folder).arg("--dest-dir").arg(dist);
    pack.env("SOURCE_DATE_EPOCH", layout::commit_time(workspace)?).run()?;
    Ok(dist.join(format!("skipgate-{VERSION}-{tag}.whl")))
}

/// The platform tag: what pip compares with the system. It promises no older glibc than program and library need.
fn platform(machine: Machine, parts: &Parts) -> Result<String> {
    let needed = [elf::oldest_glibc(&parts.program)?, elf::oldest_glibc(&parts.library)?];
    let (major, minor) = needed.into_iter().max().flatten().context("the library is not for glibc")?;
    Ok(format!("manylinux_{major}_{minor}_{}", machine.python()))
}

/// Lays out what the wheel holds.
fn fill(workspace: &Workspace, machine: Machine, parts: &Parts, tag: &str, folder: &Path) -> Result<()> {
    let package = folder.join("skipgate");
    for entry in fs_err::read_dir(workspace.path(PACKAGE))? {
        let source = entry?.path();
        if source.is_file() {
            layout::copy(&source, &package)?;
        }
    }
    machine.strip(workspace, &parts.library, &package.join("libskipgate.so"))?;
    let scripts = folder.join(format!("skipgate-{VERSION}.data/scripts"));
    fs_err::create_dir_all(&scripts)?;
    machine.strip(workspace, &parts.program, &scripts.join("skipgate"))?;
    let info = folder.join(format!("skipgate-{VERSION}.dist-info"));
    for licence in LICENCES {
        layout::copy(&workspace.path(licence), &info.join("licenses"))?;
    }
    let readme = fs_err::read_to_string(workspace.path(DESCRIPTION))?;
    fs_err::write(info.join("METADATA"), metadata(machine, &readme))?;
    let generator = format!("cargo xtask dist ({VERSION})");
    let wheel = format!("Wheel-Version: 1.0\nGenerator: {generator}\nRoot-Is-Purelib: false\nTag: {tag}\n");
    Ok(fs_err::write(info.join("WHEEL"), wheel)?)
}

/// What pip and PyPI read. It differs between machines, and not by markers: a 32-bit system on a 64-bit kernel calls its
/// machine `aarch64`.
fn metadata(machine: Machine, readme: &str) -> String {
    let requirements = if machine.has_compiler() {
        format!("Requires-Dist: iree-base-compiler=={IREE_VERSION}\nRequires-Dist: numpy>=1.21\n")
    } else {
        // PyPI has no numpy for 32-bit Arm, and building it there takes hours; Debian has it.
        "Provides-Extra: numpy\nRequires-Dist: numpy>=1.21 ; extra == \"numpy\"\n".to_owned()
    };
    let licences = LICENCES.map(|file| format!("License-File: {file}\n")).concat();
    format!(
        "Metadata-Version: 2.4\n\
         Name: skipgate\n\
         Version: {VERSION}\n\
         Summary: Residual networks whose blocks can be skipped, call by call, from one compiled artifact\n\
         License-Expression: Apache-2.0 OR MIT\n\
         {licences}\
         Project-URL: Repository, {repository}\n\
         Classifier: Operating System :: POSIX :: Linux\n\
         Classifier: Typing :: Typed\n\
         Requires-Python: >=3.9\n\
         {requirements}\
         Description-Content-Type: text/markdown\n\
         \n\
         {readme}",
        repository = env!("CARGO_PKG_REPOSITORY"),
    )
}

/// A Python that has the tool which packs wheels.
fn packer(workspace: &Workspace) -> Result<PathBuf> {
    let venv = workspace.tool("venv-dist");
    let requirements = workspace.path(REQUIREMENTS);
    let key = Key::new("venv-dist").text(&venv.to_string_lossy()).file(&requirements)?;
    let python = venv.join("bin/python");
    Stamp::new(workspace.tool("venv-dist.stamp")).unless_done(&key, || {
        say("Creating the Python environment that packs wheels");
        workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv).run()?;
        let mut pip = workspace.command(&python);
        pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
        pip.args(["--require-hashes", "--requirement"]).arg(&requirements).run()
    })?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_asked_for_where_there_is_one() {
        let compiler = format!("Requires-Dist: iree-base-compiler=={IREE_VERSION}\n");
        assert!(metadata(Machine::X86_64, "").contains(&compiler));
        assert!(metadata(Machine::Aarch64, "").contains(&compiler));
        let board = metadata(Machine::Armv7, "");
        assert!(!board.contains("iree"), "{board}");
        assert!(board.contains("extra == \"numpy\""), "{board}");
    }

    #[test]
    fn the_description_follows_the_fields() {
        assert!(metadata(Machine::X86_64, "# skipgate").ends_with("text/markdown\n\n# skipgate"));
    }
}
