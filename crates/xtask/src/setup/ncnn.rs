//! ncnn for boards' processors, with a Python to run it: Debian's, for the same, unpacked into the tools folder.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::board::Family;
use crate::debian::Archive;
use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Runs a network some times.
const SCRIPT: &str = "tests/python/ncnn_inferences.py";
/// The wheels, with their hashes.
const REQUIREMENTS: &str = "tests/python/ncnn-boards.txt";
/// What a wheel is for; Debian's Python has to be the same version.
const WHEEL: [&str; 5] =
    ["--only-binary=:all:", "--implementation=cp", "--abi=cp311", "--no-deps", "--python-version=3.11"];
const PYTHON: &str = "usr/bin/python3.11";
/// Python, and the libraries that it and the wheel load.
const PACKAGES: [&str; 9] = [
    "libc6",
    "libexpat1",
    "libgcc-s1",
    "libgomp1",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libstdc++6",
    "python3.11-minimal",
    "zlib1g",
];

/// The oldest system that the wheel of a family runs on.
fn platform(family: Family) -> &'static str {
    match family {
        Family::Armv7 => "manylinux_2_31_armv7l",
        Family::Aarch64 => "manylinux_2_28_aarch64",
    }
}

/// The dynamic loader in an unpacked root.
fn loader(family: Family) -> &'static str {
    match family {
        Family::Armv7 => "lib/ld-linux-armhf.so.3",
        Family::Aarch64 => "lib/ld-linux-aarch64.so.1",
    }
}

/// An emulated Python that can load ncnn.
pub(crate) struct BoardNcnn {
    family: Family,
    root: PathBuf,
    package: PathBuf,
}

impl BoardNcnn {
    /// Unpacks both.
    pub(crate) fn prepare(workspace: &Workspace, family: Family) -> Result<Self> {
        let name = format!("ncnn-{}", family.name());
        let root = workspace.tool(format!("debian-{}", family.debian()));
        let ncnn = Self { family, root, package: workspace.tool(&name) };
        let packages = PACKAGES.map(|package| format!("{package}:{}", family.debian()));
        let key = Key::new(&name)
            .text(&ncnn.root.to_string_lossy())
            .text(&packages.join(" "))
            .file(&workspace.path(REQUIREMENTS))?;
        Stamp::new(workspace.tool(name + ".stamp")).unless_done(&key, || {
            say(&format!("Unpacking ncnn and Debian's Python for {} into the tools folder", family.name()));
            ncnn.unpack_wheel(workspace)?;
            Archive::open(workspace)?.unpack(&packages.each_ref().map(String::as_str), &ncnn.root)
        })?;
        Ok(ncnn)
    }

    fn unpack_wheel(&self, workspace: &Workspace) -> Result<()> {
        let wheels = self.package.with_extension("wheels");
        for folder in [&self.package, &wheels] {
            if folder.exists() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        let python = || workspace.command(workspace.venv("python"));
        let mut pip = python();
        pip.args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]);
        pip.args(WHEEL).args(["--platform", platform(self.family)]);
        pip.args(["--requirement", REQUIREMENTS, "--dest"]).arg(&wheels).run()?;
        let wheel = fs_err::read_dir(&wheels)?.next().context("pip downloaded nothing")??.path();
        python().args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&self.package).run()?;
        Ok(fs_err::remove_dir_all(&wheels)?)
    }

    /// Program and arguments that run the network `stem`.ncnn.param `count` times on an image of one, channels, rows and
    /// columns.
    pub(crate) fn inferences(
        &self,
        workspace: &Workspace,
        stem: &Path,
        count: usize,
        image: &[usize],
    ) -> (PathBuf, Vec<OsString>) {
        let numbers: Vec<_> = [count].iter().chain(&image[1..]).map(ToString::to_string).collect();
        let arguments: Vec<_> =
            [stem.as_os_str()].into_iter().chain(numbers.iter().map(OsStr::new)).collect();
        self.command(&workspace.path(SCRIPT), &arguments)
    }

    /// `key` with everything that decides how many instructions [`Self::inferences`] takes.
    pub(crate) fn key(&self, workspace: &Workspace, key: Key, stem: &Path) -> Result<Key> {
        let key = key
            .text(self.family.name())
            .file(&workspace.path(SCRIPT))?
            .file(&workspace.path(REQUIREMENTS))?;
        key.file(&stem.with_extension("ncnn.param"))?.file(&stem.with_extension("ncnn.bin"))
    }

    /// Program and arguments that run a Python script which takes the folder of ncnn first. The program is the dynamic
    /// loader, since the emulator looks for none in a folder of ours.
    fn command(&self, script: &Path, arguments: &[&OsStr]) -> (PathBuf, Vec<OsString>) {
        let mut libraries = OsString::new();
        for folder in ["lib", "usr/lib"] {
            libraries.push(self.root.join(folder).join(self.family.gnu()));
            libraries.push(":");
        }
        let python = self.root.join(PYTHON);
        let mut all: Vec<OsString> = vec!["--library-path".into(), libraries, python.into()];
        // No packages of the site, and no compiled scripts left behind: the first run would take more instructions.
        all.extend(["-S".into(), "-B".into(), script.into(), self.package.clone().into()]);
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        (self.root.join(loader(self.family)), all)
    }
}
