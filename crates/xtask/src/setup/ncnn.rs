//! ncnn for the board's processor, with a Python to run it: Debian's, for armhf, unpacked into the tools folder.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::debian::Archive;
use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Runs a network some times.
const SCRIPT: &str = "tests/python/ncnn_inferences.py";
/// The wheel, with its hash.
const REQUIREMENTS: &str = "tests/python/ncnn-armv7.txt";
/// What the wheel is for; Debian's Python has to be the same version.
const WHEEL: [&str; 6] = [
    "--only-binary=:all:",
    "--platform=manylinux_2_31_armv7l",
    "--implementation=cp",
    "--abi=cp311",
    "--no-deps",
    "--python-version=3.11",
];
const PYTHON: &str = "usr/bin/python3.11";
/// Python, and the libraries that it and the wheel load.
const PACKAGES: [&str; 9] = [
    "libc6:armhf",
    "libexpat1:armhf",
    "libgcc-s1:armhf",
    "libgomp1:armhf",
    "libpython3.11-minimal:armhf",
    "libpython3.11-stdlib:armhf",
    "libstdc++6:armhf",
    "python3.11-minimal:armhf",
    "zlib1g:armhf",
];

/// An emulated Python that can load ncnn.
pub(crate) struct BoardNcnn {
    root: PathBuf,
    package: PathBuf,
}

impl BoardNcnn {
    /// Unpacks both.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let ncnn = Self { root: workspace.tool("debian-armhf"), package: workspace.tool("ncnn-armv7") };
        let key = Key::new("ncnn-armv7")
            .text(&ncnn.root.to_string_lossy())
            .text(&PACKAGES.join(" "))
            .file(&workspace.path(REQUIREMENTS))?;
        Stamp::new(workspace.tool("ncnn-armv7.stamp")).unless_done(&key, || {
            say("Unpacking ncnn and Debian's Python for armv7 into the tools folder");
            ncnn.unpack_wheel(workspace)?;
            Archive::open(workspace)?.unpack(&PACKAGES, &ncnn.root)
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
        pip.args(WHEEL).args(["--requirement", REQUIREMENTS, "--dest"]).arg(&wheels).run()?;
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

    /// Program and arguments that run a Python script which takes the folder of ncnn first. The program is the dynamic
    /// loader, since the emulator looks for none in a folder of ours.
    fn command(&self, script: &Path, arguments: &[&OsStr]) -> (PathBuf, Vec<OsString>) {
        let mut libraries = OsString::new();
        for folder in ["lib/arm-linux-gnueabihf", "usr/lib/arm-linux-gnueabihf"] {
            libraries.push(self.root.join(folder));
            libraries.push(":");
        }
        let python = self.root.join(PYTHON);
        let mut all: Vec<OsString> = vec!["--library-path".into(), libraries, python.into()];
        // No packages of the site, and no compiled scripts left behind: the first run would take more instructions.
        all.extend(["-S".into(), "-B".into(), script.into(), self.package.clone().into()]);
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        (self.root.join("lib/ld-linux-armhf.so.3"), all)
    }
}
